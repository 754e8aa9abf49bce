//! Cuts frames into `PutRecords` requests, lane by lane in order.

use std::collections::HashSet;

use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{FrameRecord, PortError};

use super::PUT_RECORDS;

/// Records in one request. Source: quotas of Kinesis Data Streams.
const MAX_RECORDS: usize = 500;
/// Bytes in one request, partition keys included: the limit before it was raised to 10 MiB in 2025,
/// which every emulator accepts, too.
const MAX_REQUEST_BYTES: usize = 5 << 20;
/// Bytes of a record with its partition key, unless the stream was allowed more.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// Characters of a partition key.
const MAX_KEY_CHARS: usize = 256;

/// A record of a request.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which of the frames.
    pub(super) index: usize,
    /// Partition key.
    pub(super) key: String,
}

/// The content of the next request, and the frames before its end that are in no request.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) entries: Vec<Entry>,
    /// Frames that are not sent, and why.
    pub(super) left: Vec<(usize, PortError)>,
}

/// Cuts requests from a list of frames.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    frames: &'a [FrameRecord],
    next: usize,
    held: HashSet<&'a Lane>,
}

impl<'a> Requests<'a> {
    pub(super) fn new(frames: &'a [FrameRecord]) -> Self {
        Self { frames, next: 0, held: HashSet::new() }
    }

    /// Sends no more frames of the lane of frame `index`, which failed.
    pub(super) fn hold(&mut self, index: usize) {
        self.held.insert(&self.frames[index].lane);
    }

    /// The frames not yet in any request.
    pub(super) fn rest(&self) -> std::ops::Range<usize> {
        self.next..self.frames.len()
    }

    /// The next request; one without entries means that there is nothing more to send.
    pub(super) fn cut(&mut self) -> Request {
        let mut request = Request::default();
        let mut size = 0;
        while let Some(frame) = self.frames.get(self.next)
            && request.entries.len() < MAX_RECORDS
        {
            let key = frame.lane.to_string();
            let bytes = key.len() + frame.bytes.len();
            if self.held.contains(&frame.lane) {
                let reason = "held back behind a frame of its lane that failed".to_owned();
                request.left.push((self.next, PortError::Unavailable { what: PUT_RECORDS, reason }));
            } else if bytes > MAX_RECORD_BYTES || key.chars().count() > MAX_KEY_CHARS {
                let reason = format!(
                    "a frame of {bytes} bytes with its key {key:?}, but a record may have {MAX_RECORD_BYTES} bytes, and its key {MAX_KEY_CHARS} characters; cut smaller frames"
                );
                request.left.push((self.next, PortError::Refused { what: PUT_RECORDS, reason }));
            } else if size + bytes > MAX_REQUEST_BYTES {
                break;
            } else {
                size += bytes;
                request.entries.push(Entry { index: self.next, key });
            }
            self.next += 1;
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::network::Network;

    fn frames(list: &[(&str, usize)]) -> Vec<FrameRecord> {
        list.iter()
            .map(|(region, size)| FrameRecord { lane: Lane::posts(region, Network::X, 0), bytes: vec![0; *size] })
            .collect()
    }

    fn indexes(request: &Request) -> Vec<usize> {
        request.entries.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn a_request_has_500_records_at_most() {
        let frames = frames(&[("a", 10); 1001]);
        let mut requests = Requests::new(&frames);
        let sizes: Vec<_> = std::iter::from_fn(|| Some(requests.cut().entries.len())).take(4).collect();
        assert_eq!(sizes, [500, 500, 1, 0]);
    }

    #[test]
    fn a_request_has_5_mib_at_most_with_its_keys() {
        // Five of these with their keys of 3 bytes are 5 MiB to the byte.
        let largest = MAX_RECORD_BYTES - "a#x#0".len();
        let frames =
            frames(&[("a", largest), ("a", largest), ("a", largest), ("a", largest), ("a", largest), ("a", 0)]);
        let mut requests = Requests::new(&frames);
        assert_eq!(indexes(&requests.cut()), [0, 1, 2, 3, 4]);
        assert_eq!(requests.rest(), 5..6);
        assert_eq!(indexes(&requests.cut()), [5]);
    }

    #[test]
    fn a_frame_over_1_mib_is_refused_alone() {
        let frames = frames(&[("a", 1), ("a", MAX_RECORD_BYTES - 2), ("a", 2), (&"é".repeat(255), 1)]);
        let request = Requests::new(&frames).cut();
        assert_eq!(indexes(&request), [0, 2]);
        assert_eq!(request.left.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3]);
        assert!(request.left.iter().all(|(_, error)| !error.is_retryable()));
    }

    #[test]
    fn a_held_lane_waits_and_the_others_continue() {
        let mut list = vec![("a", 10); 500];
        list.extend([("a", 1), ("b", 1), ("a", 2)]);
        let frames = frames(&list);
        let mut requests = Requests::new(&frames);
        assert_eq!(requests.cut().entries.len(), 500);
        requests.hold(3);
        let request = requests.cut();
        assert_eq!(indexes(&request), [501]);
        assert_eq!(request.left.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [500, 502]);
        assert!(request.left.iter().all(|(_, error)| error.is_retryable()));
    }
}
