//! Frames: the records of the post log.
//!
//! Layout: `BSF` + version byte `3`; CRC-32 (little endian), length (LEB128) and JSON of the header; CRC-32 of
//! the rest, then the uncompressed length of the post lines (LEB128) and one zstd frame with these lines, each a
//! JSON object. A frame without posts ends behind its header.
//!
//! The checksums turn a damaged record into a loud error instead of wrong numbers. The header has one of its own
//! and states how many posts there are in which window: when the posts of a frame are damaged, the windows that
//! they belong to are known. The stated lengths bound what a hostile record can make us allocate.
//!
//! A new key of the header or of a post that an older program may ignore needs no new version; anything else does.
//! Versions `1` and `2`, whose lanes have no network, are refused ([`FrameError::Old`]).

mod header;
mod ledger;
mod line;

use crate::compression;
use crate::ports::LogRecord;
use crate::wire::{self, Reader};

pub use crate::lane::{BadLane, Lane, STREAM};
pub use header::{FrameHeader, PostCount};
pub use ledger::Ledger;
pub use line::{MAX_PER_POST, SlimPost, eight_digits, put_first_copy, put_line};

const MAGIC: [u8; 4] = *b"BSF3";
const OLD_MAGICS: [[u8; 4]; 2] = [*b"BSF1", *b"BSF2"];
/// Most bytes of post lines, uncompressed, that a frame is written or read with.
pub const MAX_FRAME_BYTES: usize = 8 << 20;
/// Most bytes of a header that a frame is written or read with.
pub const MAX_HEADER_BYTES: usize = 256 << 10;

/// Why the bytes of a log record are not a frame, or are one whose posts cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Other magic or version.
    #[error("not a frame of a version that this program knows")]
    Unknown,
    /// A version that older releases wrote.
    #[error("a frame that an older release of Birdsong wrote; this one cannot read it")]
    Old,
    /// The checksum does not match.
    #[error("its checksum does not match")]
    Checksum,
    /// Compressed bytes unreadable, or longer than stated or allowed.
    #[error("the frame does not decompress to the length that it states")]
    Compression,
    /// Header or post line unreadable.
    #[error("line {line} of the frame is not what it should be: {reason}")]
    Line {
        /// 1 for the header, 2 for the first post.
        line: usize,
        /// Error of the JSON reader.
        reason: String,
    },
    /// Header or posts are longer than any frame may be.
    #[error("a frame of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Length of the header or of the posts.
        bytes: usize,
        /// [`MAX_HEADER_BYTES`] or [`MAX_FRAME_BYTES`].
        limit: usize,
    },
}

fn at_most(bytes: usize, limit: usize) -> Result<(), FrameError> {
    if bytes <= limit { Ok(()) } else { Err(FrameError::TooLarge { bytes, limit }) }
}

/// Encodes a frame. `posts` are the post lines, each ended by a newline.
///
/// # Errors
/// When the header cannot be written as JSON, header or posts exceed their limits, or zstd runs out of
/// memory.
pub fn encode(header: &FrameHeader, posts: &[u8]) -> Result<Vec<u8>, FrameError> {
    encode_with(header, posts, &|out, posts| {
        out.extend(compression::compress(posts, 1).map_err(|_| FrameError::Compression)?);
        Ok(())
    })
}

/// The same with posts that are not compressed, in blocks of zstd that hold them as they are: for a log in memory, whose
/// records are read at once.
///
/// # Errors
/// When the header cannot be written as JSON, or header or posts exceed their limits.
pub fn encode_stored(header: &FrameHeader, posts: &[u8]) -> Result<Vec<u8>, FrameError> {
    encode_with(header, posts, &|out, posts| {
        compression::store(out, posts);
        Ok(())
    })
}

/// Appends one zstd frame with these bytes.
type Pack<'p> = &'p dyn Fn(&mut Vec<u8>, &[u8]) -> Result<(), FrameError>;

fn encode_with(header: &FrameHeader, posts: &[u8], pack: Pack<'_>) -> Result<Vec<u8>, FrameError> {
    let first = serde_json::to_vec(header).map_err(|e| FrameError::Line { line: 1, reason: e.to_string() })?;
    at_most(first.len(), MAX_HEADER_BYTES)?;
    at_most(posts.len(), MAX_FRAME_BYTES)?;
    let mut record = Vec::with_capacity(first.len() + posts.len() / 4 + 32);
    record.extend_from_slice(&MAGIC);
    let mut part = |write: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), FrameError>| {
        let at = record.len();
        record.extend_from_slice(&[0; 4]);
        write(&mut record)?;
        let sum = crc32fast::hash(&record[at + 4..]);
        record[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        Ok(())
    };
    part(&mut |record| {
        wire::put_bytes(record, &first);
        Ok(())
    })?;
    if !posts.is_empty() {
        part(&mut |record| {
            wire::put_u64(record, posts.len() as u64);
            pack(record, posts)
        })?;
    }
    Ok(record)
}

/// A decoded frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// First line.
    pub header: FrameHeader,
    /// The other lines; none when they are damaged.
    pub posts: Vec<SlimPost>,
    /// Why the posts, or with an empty [`FrameHeader::run`] the header, too, cannot be read.
    pub damage: Option<FrameError>,
}

impl Frame {
    /// The frame in a record of the log. An unreadable one still names the windows that lack posts: those in
    /// its header, or, without a header, the one in which the record arrived.
    #[must_use]
    pub fn of(record: &LogRecord) -> Self {
        decode(&record.bytes).unwrap_or_else(|damage| Self {
            header: FrameHeader::unknown(record.lane.clone().unwrap_or_default(), record.arrived_ms),
            posts: vec![],
            damage: Some(damage),
        })
    }
}

/// Decodes one log record. A frame whose posts are damaged has its header, no posts, and a description of the damage.
///
/// # Errors
/// When the bytes are not a frame with an undamaged header.
pub fn decode(record: &[u8]) -> Result<Frame, FrameError> {
    let (header, body) = split(record)?;
    let header: FrameHeader = serde_json::from_slice(header).map_err(at_line(1))?;
    let posts = if body.is_empty() && header.windows.is_empty() { Ok(vec![]) } else { decode_posts(body) };
    Ok(match posts {
        Ok(posts) => Frame { header, posts, damage: None },
        Err(damage) => Frame { header, posts: vec![], damage: Some(damage) },
    })
}

/// The JSON of the header and the uncompressed post lines of a record, byte for byte as they were encoded.
///
/// # Errors
/// When the record is damaged, or is no frame of this version.
pub fn parts(record: &[u8]) -> Result<(&[u8], Vec<u8>), FrameError> {
    let (header, body) = split(record)?;
    Ok((header, if body.is_empty() { vec![] } else { unpack(body)? }))
}

/// The JSON of the header, whose checksum is right, and the rest.
fn split(record: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    if OLD_MAGICS.iter().any(|magic| record.starts_with(magic)) {
        return Err(FrameError::Old);
    }
    let rest = record.strip_prefix(&MAGIC).ok_or(FrameError::Unknown)?;
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Unknown)?;
    let mut reader = Reader::new(rest);
    let header = reader.bytes().map_err(|_| FrameError::Checksum)?;
    let body = reader.rest();
    if crc32fast::hash(&rest[..rest.len() - body.len()]) != u32::from_le_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    at_most(header.len(), MAX_HEADER_BYTES)?;
    Ok((header, body))
}

/// The posts of the lines behind the header, which is line 1.
fn decode_posts(body: &[u8]) -> Result<Vec<SlimPost>, FrameError> {
    line::read_lines(&unpack(body)?, 2)
}

/// Checksum, length and zstd frame.
fn unpack(body: &[u8]) -> Result<Vec<u8>, FrameError> {
    let (sum, body) = body.split_first_chunk::<4>().ok_or(FrameError::Checksum)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(FrameError::Checksum);
    }
    let mut reader = Reader::new(body);
    let length = reader.u64().ok().and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MAX_FRAME_BYTES);
    let length = length.ok_or(FrameError::Compression)?;
    let plain = compression::decompress(reader.rest(), length).map_err(|_| FrameError::Compression)?;
    if plain.len() == length { Ok(plain) } else { Err(FrameError::Compression) }
}

fn at_line(line: usize) -> impl Fn(serde_json::Error) -> FrameError {
    move |e| FrameError::Line { line, reason: e.to_string() }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::post::{Kind, Located};
    use proptest::prelude::*;

    fn header() -> FrameHeader {
        FrameHeader {
            lane: Lane::posts("montreal", Network::X, 0),
            source: "demo".into(),
            run: "r1".into(),
            counter: 7,
            cut_ms: 1_700_000_100_000,
            connected_ms: 1_700_000_000_000,
            cut: 7,
            live: true,
            ledger: Ledger { received: 3, sent: 2, filtered: 1, ..Ledger::default() },
            ..FrameHeader::default()
        }
    }

    pub(super) fn post() -> SlimPost {
        SlimPost {
            id: u128::MAX,
            time_ms: 1_700_000_099_000,
            author: Some(u64::MAX),
            kind: Kind::Repost,
            located: Located::Text,
            is_copy: true,
            lang: "fr".into(),
            hashtags: vec!["Montréal".into(), "\n\"".into()],
            mentions: 2,
            hosts: vec!["example.org".into()],
            ..SlimPost::default()
        }
    }

    pub(super) fn lines(posts: &[SlimPost]) -> Vec<u8> {
        let mut out = Vec::new();
        for post in posts {
            serde_json::to_writer(&mut out, post).unwrap();
            out.push(b'\n');
        }
        out
    }

    #[test]
    fn a_frame_comes_back_as_it_went_in() {
        for posts in [vec![], vec![post(), post()]] {
            let frame = Frame { header: header(), posts, damage: None };
            for encode in [encode, encode_stored] {
                let bytes = encode(&header(), &lines(&frame.posts)).unwrap();
                assert_eq!(decode(&bytes).as_ref(), Ok(&frame));
                let of_header = serde_json::to_vec(&frame.header).unwrap();
                assert_eq!(parts(&bytes), Ok((of_header.as_slice(), lines(&frame.posts))));
            }
        }
    }

    // Rule 4.7.
    #[test]
    fn every_single_flipped_byte_is_noticed() {
        let counted = FrameHeader { windows: vec![PostCount { window_ms: 0, posts: 1, primary: 0 }], ..header() };
        let bytes = encode(&counted, &lines(&[post()])).unwrap();
        let is_header_read = |at: usize| {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            decode(&damaged).is_ok()
        };
        assert!(!is_header_read(20) && is_header_read(bytes.len() - 20));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x20;
            // What is damaged behind the header leaves the header.
            let is_noticed = |bytes: &[u8]| match decode(bytes) {
                Ok(frame) => frame.damage.is_some() && frame.posts.is_empty() && frame.header == counted,
                Err(_) => true,
            };
            assert!(is_noticed(&damaged), "byte {at}");
            assert!(is_noticed(&bytes[..at]), "cut at {at}");
        }
    }

    // Rule 4.3.
    #[test]
    fn a_header_or_posts_that_are_longer_than_any_frame_may_be_are_not_written() {
        let encoders = [encode, encode_stored];
        for encode in encoders {
            assert!(encode(&header(), &vec![b'\n'; MAX_FRAME_BYTES]).is_ok());
            let limit_of = |result| match result {
                Err(FrameError::TooLarge { limit, .. }) => limit,
                other => panic!("{other:?}"),
            };
            let posts = vec![b'\n'; MAX_FRAME_BYTES + 1];
            assert_eq!(limit_of(encode(&header(), &posts)), MAX_FRAME_BYTES);
            let long = FrameHeader { source: "s".repeat(MAX_HEADER_BYTES), ..header() };
            assert_eq!(limit_of(encode(&long, b"")), MAX_HEADER_BYTES);
        }
    }

    // Rule 4.6.
    #[test]
    fn a_record_that_cannot_be_read_belongs_to_its_lane_and_the_time_at_which_it_arrived() {
        let record = |bytes| LogRecord {
            sequence: 1u64.into(),
            arrived_ms: 1_700_000_100_500,
            lane: Some(header().lane),
            bytes,
        };
        let whole = encode(&header(), &lines(&[post()])).unwrap();
        assert_eq!(Ok(Frame::of(&record(whole.clone()))), decode(&whole));
        let Frame { header: of, posts, damage } = Frame::of(&record(whole[1..].to_vec()));
        assert_eq!((of.lane, of.cut_ms, of.run.as_str()), (header().lane, 1_700_000_100_500, ""));
        assert_eq!(of.connected_ms, of.cut_ms);
        assert!(of.live && posts.is_empty() && damage.is_some());
    }

    #[test]
    fn a_frame_of_a_sampled_source_states_it_and_others_have_the_bytes_that_they_always_had() {
        let of = |unasked_permille| {
            let ledger = Ledger { unasked_permille, ..header().ledger };
            decode(&encode(&FrameHeader { ledger, ..header() }, b"").unwrap()).unwrap().header.ledger
        };
        assert_eq!((of(0).unasked_permille, of(750).unasked_permille), (0, 750));
        assert!(!Ledger { unasked_permille: 1, ..Ledger::default() }.is_empty(), "a heartbeat states it, too");
        assert!(!serde_json::to_string(&header()).unwrap().contains("unasked"));
    }

    // Rule 4.9.
    #[test]
    fn frames_of_older_releases_are_refused_by_name() {
        let mut bytes = encode(&header(), b"").unwrap();
        for version in [b'1', b'2'] {
            bytes[3] = version;
            assert_eq!(decode(&bytes), Err(FrameError::Old));
        }
        bytes[3] = b'4';
        assert_eq!(decode(&bytes), Err(FrameError::Unknown));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
            let mut framed = MAGIC.to_vec();
            framed.extend(crc32fast::hash(&bytes).to_le_bytes());
            framed.extend(&bytes);
            prop_assert!(decode(&framed).is_err());
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
