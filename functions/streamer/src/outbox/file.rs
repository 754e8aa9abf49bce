//! The file of a cut: a header of one line with the resume point and the lengths of the frames, then the frames.

use std::fs;
use std::io;
use std::path::Path;

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::FrameRecord;
use serde::{Deserialize, Serialize};

use super::{Cut, ResumePoint};
use crate::durable;

/// First line of a spool file; the frames follow, one behind the other.
#[derive(Serialize, Deserialize)]
struct FileHeader {
    resume: Option<ResumePoint>,
    /// Checksum of the frames' bytes.
    crc: u32,
    frames: Vec<(Lane, usize)>,
}

/// Writes a cut to a file that is whole or absent, and returns its length in bytes.
pub(super) fn write(path: &Path, cut: &Cut) -> io::Result<u64> {
    let mut crc = crc32fast::Hasher::new();
    cut.records.iter().for_each(|record| crc.update(&record.bytes));
    let frames = cut.records.iter().map(|record| (record.lane.clone(), record.bytes.len())).collect();
    let header = FileHeader { resume: cut.resume.clone(), crc: crc.finalize(), frames };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    cut.records.iter().for_each(|record| bytes.extend_from_slice(&record.bytes));
    durable::write(path, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Whether a file will never be readable; other errors may pass.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound)
}

/// Reads the cut in a file.
///
/// # Errors
/// Of the kind `InvalidData` when the file is no whole cut; those of the disk otherwise.
pub(super) fn read(path: &Path) -> io::Result<Cut> {
    let bytes = fs::read(path)?;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
    let end = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| wrong("has no header"))?;
    let header: FileHeader = serde_json::from_slice(&bytes[..end]).map_err(|error| wrong(&error.to_string()))?;
    let mut rest = &bytes[end + 1..];
    if crc32fast::hash(rest) != header.crc {
        // Each frame has checksums of its own. A damaged one goes to the log too, where its posts count
        // as corrupt in the windows that they belong to.
        tracing::error!("{}: its checksum is wrong, so some of its posts may be lost", path.display());
    }
    let mut records = Vec::with_capacity(header.frames.len());
    for (lane, length) in header.frames {
        let (frame, after) = rest.split_at_checked(length).ok_or_else(|| wrong("is too short"))?;
        records.push(FrameRecord { lane, bytes: frame.to_vec() });
        rest = after;
    }
    Ok(Cut { records, resume: header.resume })
}

// Rule 4.8.
#[cfg(test)]
mod tests {
    use birdsong_domain::frame;

    use super::*;
    use crate::outbox::tests::{cut, drain, point};
    use crate::outbox::{Outbox, OutboxLimits};

    #[test]
    fn a_file_that_is_not_a_cut_is_counted_and_the_rest_continues() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..4).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        let bytes = fs::read(&damaged).unwrap();
        fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(drain(&mut outbox), [point(0), point(2), point(3)]);
        assert!(damaged.with_extension("damaged").exists());
        assert_eq!((outbox.take_damaged(), outbox.take_damaged()), (1, 0));
    }

    #[test]
    fn a_damaged_frame_in_a_file_goes_to_the_log_which_reports_the_missing_posts() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..2).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 0));
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        let mut bytes = fs::read(&damaged).unwrap();
        // In the lines of the post, which do not compress.
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(&damaged, &bytes).unwrap();
        outbox.front();
        assert_eq!(outbox.settle(vec![]), Some(point(0)));
        let frames = outbox.front().unwrap().records.iter().map(|record| frame::decode(&record.bytes).unwrap());
        let damages: Vec<_> = frames.map(|frame| frame.damage.is_some()).collect();
        assert_eq!(damages, [true, false]);
        assert_eq!((outbox.settle(vec![]), outbox.take_damaged()), (Some(point(1)), 0));
    }
}
