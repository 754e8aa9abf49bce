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
use format::{Format, HEAD_BYTES, seems_to_hold_posts};
use framing::{Framer, Span};
use text::Utf16;
use unpack::Unpacked;

/// Containers in containers: a tar.gz of .json.bz2 files has three.
const MAX_NESTING: usize = 8;
/// Longest name that is told.
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
    /// Each value with the line on which it begins, from 1. Most are one line each, without its newline.
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

/// A file, or a member of an archive, that could not be read, or not to its end. The others are read all the same.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not allowed.
    #[error("{file} cannot be opened: {source}")]
    Open {
        /// Name as given.
        file: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// Broken in the middle, such as a truncated archive; the whole values before have been given.
    #[error("{file} cannot be read beyond line {line}: {source}")]
    Read {
        /// Name as given.
        file: Arc<str>,
        /// Last whole line.
        line: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
    /// A broken archive of files; the members before have been given.
    #[error("{file} cannot be unpacked: {reason}")]
    Unpack {
        /// Name as given.
        file: Arc<str>,
        /// What the unpacker says.
        reason: String,
    },
    /// In a format that is not read.
    #[error("{file} is {}, which birdsong does not read{}{}", other.name, if other.remedy.is_empty() { "" } else { "; " }, other.remedy)]
    Format {
        /// Name as given.
        file: Arc<str>,
        /// Which one.
        other: Other,
    },
    /// An archive that cannot be opened without a password.
    #[error("{file} is encrypted; unpack it with its password first")]
    Encrypted {
        /// Name as given.
        file: Arc<str>,
    },
    /// Containers in containers without end.
    #[error("{file} is packed more than {MAX_NESTING} times")]
    TooNested {
        /// Name as given.
        file: Arc<str>,
    },
}

/// What reading files gives, in order.
#[derive(Debug)]
pub enum Piece {
    /// Values.
    Chunk(Chunk),
    /// Something that holds no posts and was left out, or looks cut off: a sentence for the user.
    Note(String),
    /// Something that was to be read and could not be.
    Failed(FileError),
}

/// Takes pieces, and says whether there shall be more.
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
    /// Whether the user named it: then it is read whatever it seems to be.
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

/// Gives bytes that were looked at once more.
struct Peeked<'r> {
    head: Vec<u8>,
    given: usize,
    inner: &'r mut dyn Read,
}

impl Read for Peeked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let head = &self.head[self.given..];
        if head.is_empty() {
            return self.inner.read(buffer);
        }
        let n = head.len().min(buffer.len());
        buffer[..n].copy_from_slice(&head[..n]);
        self.given += n;
        Ok(n)
    }
}

/// The first bytes; from a stream no more than its first line, which may be all there is for long.
fn head(reader: &mut dyn Read, is_stream: bool) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let mut length = 0;
    while length < HEAD_BYTES && !(is_stream && head[..length].contains(&b'\n')) {
        match reader.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            // What came before it counts; the decoder or the framer meets it once more.
            Err(_) if length > 0 => break,
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
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

    /// Reads whatever this is.
    fn bytes(&mut self, reader: &mut dyn Read, origin: &Origin<'_>) -> ControlFlow<()> {
        let file = origin.name.clone();
        let head = match head(reader, origin.is_stream) {
            Ok(head) => head,
            Err(source) => return self.failed(FileError::Read { file, line: 0, source }),
        };
        let format = Format::of(&head);
        let seems_to_hold_posts = seems_to_hold_posts(&head);
        let peeked = Peeked { head, given: 0, inner: reader };
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
            Format::Other(other) if !origin.is_named && other.remedy.is_empty() => {
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
