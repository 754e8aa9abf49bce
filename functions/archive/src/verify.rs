//! Checks what an archive has against what its manifests state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Cursor};

use birdsong_domain::frame::Frame;
use birdsong_domain::ports::{PortError, SequenceNumber};
use zstd::stream::read::Decoder;

use crate::Day;
use crate::files::{Files, list_all};
use crate::manifest::{FileEntry, Manifest, REGIONS, damaged, days, manifest, read_file};
use crate::records::Records;

/// What [`verify`] found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Days.
    pub days: u64,
    /// Files of these days.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Posts in them.
    pub posts: u64,
    /// What is damaged or missing, each with the name of its file.
    pub damaged: Vec<String>,
    /// Days between the first and the last that are not there.
    pub missing: Vec<Day>,
    /// Files that no manifest names: a write was cut short, and does them again.
    pub left_over: Vec<String>,
}

/// Reads every file, and compares it with its manifest: length, hash, and all that is counted in it. `on_day` is called
/// for each day before its files are read.
///
/// # Errors
/// When the archive cannot be read at all. What is damaged in it is in the answer.
pub async fn verify<F: Files>(files: &F, mut on_day: impl FnMut(Day)) -> Result<Verified, PortError> {
    let mut verified = Verified::default();
    let mut named = BTreeSet::new();
    let mut unread = BTreeSet::new();
    let mut ends: BTreeMap<(String, String), SequenceNumber> = BTreeMap::new();
    let mut previous: Option<Day> = None;
    for day in days(files).await? {
        on_day(day);
        verified.days += 1;
        let mut expected = previous.map_or(day, Day::next);
        while expected < day {
            verified.missing.push(expected);
            expected = expected.next();
        }
        previous = Some(day);
        let manifest = match manifest(files, day).await {
            Ok(Some(manifest)) => manifest,
            // Pruned meanwhile.
            Ok(None) => continue,
            Err(error) => {
                unread.insert(day);
                keep(&mut verified.damaged, error)?;
                continue;
            }
        };
        for entry in &manifest.files {
            let name = entry.name(day);
            verified.files += 1;
            match check(files, &manifest, entry).await {
                Ok(()) => {
                    verified.records += entry.records;
                    verified.posts += entry.posts;
                }
                Err(error) => keep(&mut verified.damaged, error)?,
            }
            let end = ends.insert((entry.shard.clone(), entry.region.clone()), entry.last.0.clone());
            if end.is_some_and(|end| end >= entry.first.0) {
                verified.damaged.push(format!("{name} begins before an earlier file ends"));
            }
            named.insert(name);
        }
    }
    for name in list_all(files, REGIONS).await? {
        let is_of_unread = crate::files::day_of_file(&name).is_some_and(|day| unread.contains(&day));
        if !named.contains(&name) && !is_of_unread {
            verified.left_over.push(name);
        }
    }
    Ok(verified)
}

fn keep(found: &mut Vec<String>, error: PortError) -> Result<(), PortError> {
    if error.is_retryable() {
        return Err(error);
    }
    found.push(error.to_string());
    Ok(())
}

/// Reads one file.
async fn check<F: Files>(files: &F, manifest: &Manifest, entry: &FileEntry) -> Result<(), PortError> {
    let name = entry.name(manifest.day);
    let bytes = read_file(files, manifest.day, entry).await?;
    let failed = |reason: String| damaged(&name, reason);
    let decoder = Decoder::new(Cursor::new(&bytes)).map_err(|error| failed(error.to_string()))?;
    let mut records = Records::new(BufReader::new(decoder));
    let mut counted: Option<FileEntry> = None;
    while let Some(record) = records.next().map_err(failed)? {
        let frame = Frame::of(&record);
        match &mut counted {
            Some(counted) if record.sequence <= counted.last.0 => {
                return Err(failed(format!("record {} is not in order", record.sequence)));
            }
            Some(counted) => counted.add(&record, &frame),
            None => counted = Some(FileEntry::begin(&entry.shard, entry.part, &record, &frame)),
        }
    }
    if let Some(counted) = &mut counted {
        counted.finish(&bytes);
    }
    if counted.as_ref() != Some(entry) {
        return Err(failed("what is in it is not what the manifest of the day states".into()));
    }
    Ok(())
}
