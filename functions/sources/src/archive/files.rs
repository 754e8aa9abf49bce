//! Archives of every packing, as chunks of JSON values.
//!
//! Formats are found by first bytes, not by names: compressed files, tar and zip archives, one in the other to some depth,
//! in UTF-8 or UTF-16, framed in any of the ways that people have. Memory does not grow with a file.

mod container;
mod folder;
mod format;
mod framing;
mod scanner;
mod text;
mod unpack;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use folder::{Found, find, total_bytes};
pub use format::Other;
use format::{Format, HEAD_BYTES, other_part_of_export, seems_to_hold_posts};
use framing::{Framer, Span};
use text::Utf16;
use unpack::Unpacked;

/// Containers in containers: a tar.gz of .json.bz2 files has three.
const MAX_NESTING: usize = 8;
/// Longest name that is shown.
const MAX_NAME_CHARS: usize = 300;
/// Buffer of raw bytes; a decoder reads from it.
const BUFFER_BYTES: usize = 128 << 10;

/// JSON values of one file, one behind the other.
#[derive(Debug)]
pub struct Chunk {
    /// Name of the file as given; `-` for standard input. Members of an archive follow behind a colon.
    pub file: Arc<str>,
    /// Bytes read so far of all files, as they are on disk; for progress.
    pub read_bytes: u64,
    bytes: Vec<u8>,
    first_line: u64,
    spans: Option<Vec<Span>>,
}

impl Chunk {
    /// Each value with its first line, from 1. Most are one line each, without its newline.
    pub fn values(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let spans = self.spans.iter().flatten().map(|span| (span.line, &self.bytes[span.from..span.to]));
        let mut rest = if self.spans.is_some() { &[][..] } else { &self.bytes[..] };
        let mut number = self.first_line;
        let lines = std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            number += 1;
            Some((number - 1, line))
        });
        lines.chain(spans)
    }
}

/// The values in one line that [`super::read_line`] refused: collectors that lose line ends write several on one. None when
/// there is one only.
#[must_use]
pub fn values(line: &[u8]) -> Option<Vec<&[u8]>> {
    Some(framing::values(line)?.into_iter().map(|(from, to)| &line[from..to]).collect())
}

/// A file, or a member of an archive, that could not be read, or not to its end. The others are still read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not allowed.
    #[error("{file} cannot be opened: {source}")]
    Open {
        /// Name from the command line.
        file: Arc<str>,
        /// Error of the system.
        source: io::Error,
    },
    /// Broken in the middle, such as a truncated archive; the whole values before were passed on.
    #[error("{file} cannot be read beyond line {line}: {source}")]
    Read {
        /// Name from the command line.
        file: Arc<str>,
        /// Last whole line.
        line: u64,
        /// Error of the system or the decompressor.
        source: io::Error,
    },
    /// A broken archive of files; the members before were passed on.
    #[error("{file} cannot be unpacked: {reason}")]
    Unpack {
        /// Name from the command line.
        file: Arc<str>,
        /// Error of the unpacker.
        reason: String,
    },
    /// In a format that is not read.
    #[error("{file} is {}, which birdsong does not read{}{}", other.name, if other.remedy.is_empty() { "" } else { "; " }, other.remedy)]
    Format {
        /// Name from the command line.
        file: Arc<str>,
        /// Which one.
        other: Other,
    },
    /// An archive that cannot be opened without a password.
    #[error("{file} is encrypted; unpack it with its password first")]
    Encrypted {
        /// Name from the command line.
        file: Arc<str>,
    },
    /// Containers in containers without end.
    #[error("{file} is packed more than {MAX_NESTING} times")]
    TooNested {
        /// Name from the command line.
        file: Arc<str>,
    },
}

/// The output of reading files, in order.
#[derive(Debug)]
pub enum Piece {
    /// Values.
    Chunk(Chunk),
    /// Something that contains no posts and was skipped, or looks cut off: a sentence for the user.
    Note(String),
    /// Something that was to be read and could not be.
    Failed(FileError),
}

/// Receives pieces, and returns whether to continue.
pub type Each<'a> = dyn FnMut(Piece) -> ControlFlow<()> + 'a;

/// Reads `files` in chunks of about `chunk_bytes`, until `each` breaks off.
pub fn read_files(files: &[Found], chunk_bytes: usize, each: &mut Each<'_>) {
    let mut reading = Reading { chunk_bytes: chunk_bytes.max(1), read_bytes: Arc::default(), each };
    for file in files {
        if reading.file(file).is_break() {
            return;
        }
    }
}

struct Reading<'e, 'f> {
    chunk_bytes: usize,
    read_bytes: Arc<AtomicU64>,
    each: &'e mut Each<'f>,
}

/// What is known of the bytes to be read.
#[derive(Clone, Debug)]
struct Origin<'p> {
    name: Arc<str>,
    /// Whether the user named it: then it is read in any case.
    is_named: bool,
    /// Whether values shall be handed on as they come.
    is_stream: bool,
    nesting: usize,
    /// The file on disk that has just these bytes.
    path: Option<&'p Path>,
}

/// Counts what goes through it.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl<R: io::Seek> io::Seek for Counted<R> {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

/// Returns bytes that were peeked at once more, and the error that ended them: a decoder that is asked again after an
/// error may report success.
struct Peeked<'r> {
    head: Vec<u8>,
    given: usize,
    error: Option<io::Error>,
    inner: &'r mut dyn Read,
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = &self.head[self.given..];
        if head.is_empty() {
            return self.error.take().map_or_else(|| self.inner.read(buffer), Err);
        }
        let n = head.len().min(buffer.len());
        buffer[..n].copy_from_slice(&head[..n]);
        self.given += n;
        Ok(n)
    }
}

impl<'r> Peeked<'r> {
    /// Looks at the first bytes; of a stream at no more than its first line, which may be all there is for long.
    fn new(inner: &'r mut dyn Read, is_stream: bool) -> Self {
        let mut head = vec![0; HEAD_BYTES];
        let (mut length, mut error) = (0, None);
        while length < HEAD_BYTES && !(is_stream && head[..length].contains(&b'\n')) {
            match inner.read(&mut head[length..]) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => (),
                Err(failed) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        head.truncate(length);
        Self { head, given: 0, error, inner }
    }
}

impl Reading<'_, '_> {
    fn note(&mut self, note: String) -> ControlFlow<()> {
        (self.each)(Piece::Note(note))
    }

    fn failed(&mut self, error: FileError) -> ControlFlow<()> {
        (self.each)(Piece::Failed(error))
    }

    fn counted<R>(&self, inner: R) -> Counted<R> {
        Counted { inner, count: self.read_bytes.clone() }
    }

    fn file(&mut self, found: &Found) -> ControlFlow<()> {
        let name: Arc<str> = short(&found.path.display().to_string()).into();
        let mut origin = Origin { name, is_named: found.is_named, is_stream: true, nesting: 0, path: None };
        if found.path.as_os_str() == "-" {
            return self.bytes(&mut self.counted(io::stdin()), &origin);
        }
        match File::open(&found.path).and_then(|file| Ok((file.metadata()?.is_file(), file))) {
            Ok((is_file, file)) => {
                // A pipe that the shell made, `<(zcat …)`, is no file.
                origin.is_stream = !is_file;
                origin.path = is_file.then_some(&found.path);
                self.bytes(&mut self.counted(file), &origin)
            }
            Err(source) => self.failed(FileError::Open { file: origin.name, source }),
        }
    }

    /// Reads data of any kind.
    fn bytes(&mut self, reader: &mut dyn Read, origin: &Origin<'_>) -> ControlFlow<()> {
        let file = origin.name.clone();
        let mut peeked = Peeked::new(reader, origin.is_stream);
        if let Some(source) = peeked.error.take_if(|_| peeked.head.is_empty()) {
            return self.failed(FileError::Read { file, line: 0, source });
        }
        let format = Format::of(&peeked.head);
        let seems_to_hold_posts = seems_to_hold_posts(&peeked.head);
        if !origin.is_named
            && let Some(part) = other_part_of_export(&peeked.head)
        {
            return self.note(format!("{file} is the part {part} of an account's export, without posts, left out"));
        }
        let is_container = matches!(format, Format::Packed(_) | Format::Tar | Format::Zip);
        if is_container && origin.nesting == MAX_NESTING {
            return self.failed(FileError::TooNested { file });
        }
        match format {
            Format::Packed(packing) => match Unpacked::new(packing, BufReader::with_capacity(BUFFER_BYTES, peeked)) {
                Ok(mut unpacked) => {
                    self.bytes(&mut unpacked, &Origin { nesting: origin.nesting + 1, path: None, ..origin.clone() })
                }
                Err(source) => self.failed(FileError::Open { file, source }),
            },
            Format::Tar => self.tar(peeked, origin),
            Format::Zip => self.zip(peeked, origin),
            Format::Other(other) if !origin.is_named && !other.may_hold_posts => {
                self.note(format!("{file} is {}, left out", other.name))
            }
            Format::Other(other) => self.failed(FileError::Format { file, other }),
            Format::Text if !origin.is_named && !seems_to_hold_posts => {
                self.note(format!("{file} is text and not JSON, left out"))
            }
            Format::Text => self.text(peeked, origin),
            Format::Utf16(order) => self.text(Utf16::new(peeked, order), origin),
        }
    }

    fn text(&mut self, reader: impl Read, origin: &Origin<'_>) -> ControlFlow<()> {
        let mut framer = Framer::new(reader, self.chunk_bytes, origin.is_stream);
        while let Some(piece) = framer.next_piece() {
            let (bytes, first_line, spans) = (piece.bytes, piece.first_line, piece.spans);
            let read_bytes = self.read_bytes.load(Ordering::Relaxed);
            (self.each)(Piece::Chunk(Chunk { file: origin.name.clone(), read_bytes, bytes, first_line, spans }))?;
        }
        if framer.ends_in_array() {
            self.note(format!("{} ends before its JSON array does; it may be cut off", origin.name))?;
        }
        match framer.into_failure() {
            Some((source, line)) => self.failed(FileError::Read { file: origin.name.clone(), line, source }),
            None => ControlFlow::Continue(()),
        }
    }
}

fn short(name: &str) -> String {
    name.chars().take(MAX_NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    /// Values of a file, notes, and errors.
    fn read(bytes: &[u8]) -> (u64, Vec<String>, Vec<String>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let found = Found { path: PathBuf::from(file.path()), is_named: true };
        let (mut values, mut notes, mut errors) = (0, vec![], vec![]);
        read_files(&[found], 4096, &mut |piece| {
            match piece {
                Piece::Chunk(chunk) => values += chunk.values().count() as u64,
                Piece::Note(note) => notes.push(note),
                Piece::Failed(error) => errors.push(error.to_string()),
            }
            ControlFlow::Continue(())
        });
        (values, notes, errors)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = ::tar::Builder::new(vec![]);
        for (name, bytes) in members {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            out.append_data(&mut header, name, *bytes).unwrap();
        }
        out.into_inner().unwrap()
    }

    #[test]
    fn an_error_within_the_first_bytes_is_no_end() {
        let line = b"{\"id\":\"1\"}\n";
        let (values, _, errors) = read(&[&*gzip(line), b"something that is no gzip"].concat());
        assert_eq!((values, errors.len()), (1, 1), "{errors:?}");
        let mut packed = gzip(&line.repeat(3));
        let crc = packed.len() - 6;
        packed[crc] ^= 1;
        let (_, _, errors) = read(&packed);
        assert_eq!(errors.len(), 1, "{errors:?}");
    }

    #[test]
    fn containers_in_containers_have_an_end() {
        let mut packed = b"{\"id\":\"1\"}\n".to_vec();
        for _ in 0..MAX_NESTING {
            packed = gzip(&packed);
        }
        assert_eq!(read(&packed).0, 1);
        let (values, _, errors) = read(&gzip(&packed));
        assert_eq!(values, 0);
        assert!(errors[0].contains("packed more than 8 times"), "{errors:?}");
    }

    #[test]
    fn members_of_all_kinds_are_read_or_named() {
        let line = b"{\"id\":\"1\"}\n";
        let inner = tar(&[("b.json", line)]);
        let first =
            tar(&[("a.json", line), ("a.gz", &gzip(line)), ("in.tar", &inner), ("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04")]);
        let second =
            tar(&[("c.json", b"{\"id\":\"2\"}"), ("._c.json", b"\0\x05\x16\x07"), ("picture", b"\x89PNG\r\n\x1a\n")]);
        let (values, notes, errors) = read(&[first, second].concat());
        assert_eq!(values, 4, "{errors:?}");
        assert!(notes.len() == 1 && notes[0].contains(":picture is a PNG picture"), "{notes:?}");
        assert!(errors.len() == 1 && errors[0].contains(":a.7z is a 7z archive"), "{errors:?}");
    }

    #[test]
    fn a_member_that_is_cut_off_is_an_error_of_that_member() {
        let line = b"{\"id\":\"1\"}\n";
        let whole = tar(&[("a.json", line), ("b.json", &line.repeat(1000))]);
        let (values, _, errors) = read(&whole[..512 * 5]);
        assert!((2..1000).contains(&values), "{values}");
        assert!(errors[0].contains(":b.json cannot be read beyond line"), "{errors:?}");
    }

    #[test]
    fn a_header_without_end_does_not_fill_the_memory() {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::GNULongName);
        header.set_size(100 << 20);
        header.set_path("././@LongLink").unwrap();
        header.set_cksum();
        let bomb = [&header.as_bytes()[..], &vec![b'a'; 100 << 20], &tar(&[("a.json", b"{}")])].concat();
        let (values, _, errors) = read(&gzip(&bomb));
        assert_eq!(values, 0);
        assert!(errors[0].contains("longer than 16 MiB"), "{errors:?}");
    }
}
