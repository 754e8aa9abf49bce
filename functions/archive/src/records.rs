//! Records as lines: what a file has, before it is compressed.
//!
//! ```text
//! {"record":"17","arrived_ms":1779494400000,"posts":1,"header":{…}}
//! {…}                                                                  the post, as its line is in the log
//! {"record":"18","arrived_ms":1779494401000,"lane":"fog#x#0","damaged":"…"}
//! ```
//!
//! A record that is damaged in the log is kept as it is, in base64.

use std::io::{BufRead, Read};

use birdsong_domain::frame::{self, Frame, FrameHeader, Lane};
use birdsong_domain::ports::LogRecord;
use serde::{Deserialize, Serialize};

use crate::manifest::Sequence;

/// Longest line, in bytes: a header or a post has less, and a damaged record of the largest frame, too.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// A damaged record.
#[derive(Serialize)]
struct Damaged<'a> {
    record: &'a str,
    arrived_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<&'a Lane>,
    damaged: String,
}

/// The first line of any record.
#[derive(Deserialize)]
struct First {
    record: Sequence,
    arrived_ms: i64,
    #[serde(default)]
    posts: u64,
    header: Option<FrameHeader>,
    lane: Option<Lane>,
    damaged: Option<String>,
}

/// Appends the lines of a record.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &LogRecord, frame: &Frame) {
    let parts = frame::parts(&record.bytes).ok().filter(|_| frame.damage.is_none());
    let Some((header, lines)) = parts else {
        let damaged = Damaged {
            record: record.sequence.as_str(),
            arrived_ms: record.arrived_ms,
            lane: record.lane.as_ref(),
            damaged: base64_simd::STANDARD.encode_to_string(&record.bytes),
        };
        // Texts and numbers always can be written.
        let _ = serde_json::to_writer(&mut *out, &damaged);
        out.push(b'\n');
        return;
    };
    let lines: Vec<_> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let (sequence, arrived_ms, posts) = (&record.sequence, record.arrived_ms, lines.len());
    let first = format!("{{\"record\":\"{sequence}\",\"arrived_ms\":{arrived_ms},\"posts\":{posts},\"header\":");
    out.extend_from_slice(first.as_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(b"}\n");
    for line in lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
}

/// Reads records from lines.
pub(crate) struct Records<R> {
    lines: R,
    number: u64,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(lines: R) -> Self {
        Self { lines, number: 0 }
    }

    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// A description of what is wrong; nothing can be read behind it.
    pub(crate) fn next(&mut self) -> Result<Option<LogRecord>, String> {
        let mut line = vec![];
        if !self.line(&mut line)? {
            return Ok(None);
        }
        let number = self.number;
        let bad = |reason: String| format!("line {number}: {reason}");
        let First { record, arrived_ms, posts, header, lane, damaged } =
            serde_json::from_slice(&line).map_err(|error| bad(error.to_string()))?;
        let (lane, bytes) = match (header, damaged) {
            (Some(header), None) => {
                let mut lines = vec![];
                for _ in 0..posts {
                    if !self.line(&mut lines)? {
                        return Err(bad("posts of this record are missing".into()));
                    }
                }
                let bytes = frame::encode_stored(&header, &lines).map_err(|error| bad(error.to_string()))?;
                (Some(header.lane), bytes)
            }
            (None, Some(damaged)) => {
                let bytes = base64_simd::STANDARD.decode_to_vec(damaged).map_err(|error| bad(error.to_string()))?;
                (lane, bytes)
            }
            _ => return Err(bad("it has neither a header nor damaged bytes".into())),
        };
        Ok(Some(LogRecord { sequence: record.0, arrived_ms, lane, bytes }))
    }

    /// Appends the next line, with its end. `false` at the end.
    fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, String> {
        self.number += 1;
        let read = self.lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line);
        let read = read.map_err(|error| format!("line {}: {error}", self.number))?;
        if read > 0 && line.last() != Some(&b'\n') {
            return Err(format!("line {} is cut off, or longer than {MAX_LINE_BYTES} bytes", self.number));
        }
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::network::Network;
    use proptest::prelude::*;

    fn again(record: &LogRecord) -> LogRecord {
        let mut lines = vec![];
        put_record(&mut lines, record, &Frame::of(record));
        let mut records = Records::new(lines.as_slice());
        let read = records.next().unwrap().unwrap();
        assert_eq!(records.next(), Ok(None));
        read
    }

    #[test]
    fn a_record_comes_back_with_all_that_is_folded() {
        let header = FrameHeader { lane: Lane::posts("fog", Network::X, 0), counter: 7, ..FrameHeader::default() };
        let line = br#"{"id":"00000000000000000000000000000001","t":1,"is":"original"}"#;
        for lines in [&b""[..], line, &[&line[..], b"\n\n", line, b"\n"].concat()] {
            let bytes = frame::encode(&header, lines).unwrap();
            let record = LogRecord { sequence: 7u64.into(), arrived_ms: 5, lane: Some(header.lane.clone()), bytes };
            let read = again(&record);
            assert_eq!(Frame::of(&read), Frame::of(&record));
            assert_eq!((read.sequence, read.arrived_ms, read.lane), (record.sequence, record.arrived_ms, record.lane));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_record_comes_back_as_it_was(bytes: Vec<u8>, arrived_ms: i64, is_known: bool) {
            let lane = is_known.then(|| Lane::posts("fog", Network::X, 0));
            let record = LogRecord { sequence: 1u64.into(), arrived_ms, lane, bytes };
            prop_assert_eq!(again(&record), record);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let mut records = Records::new(bytes.as_slice());
            while let Ok(Some(_)) = records.next() {}
        }
    }
}
