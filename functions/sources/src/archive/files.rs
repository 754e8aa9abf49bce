//! Files, plain or compressed, as chunks of whole lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::MAX_LINE_BYTES;

/// Whole lines of one file.
#[derive(Debug)]
pub struct Chunk {
    /// Name of the file as given; `-` for standard input.
    pub file: Arc<str>,
    /// Number of the first line in the file, from 1.
    pub first_line: u64,
    /// The lines, each but the file's last ended by a newline.
    pub bytes: Vec<u8>,
    /// Bytes read so far of all files, as they are on disk; for progress.
    pub read_bytes: u64,
}

impl Chunk {
    /// Each line with its number in the file, without its newline.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut rest = &self.bytes[..];
        let mut number = self.first_line;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            number += 1;
            Some((number - 1, line))
        })
    }
}

/// A file that could not be read, or not to its end.
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
    /// Broken in the middle, such as a truncated archive; the whole lines before have been given.
    #[error("{file} cannot be read beyond line {line}: {source}")]
    Read {
        /// Name as given.
        file: Arc<str>,
        /// Last whole line.
        line: u64,
        /// What the system or the decompressor says.
        source: io::Error,
    },
}

/// Iterates over the chunks of files, one file after the other. After an error it goes on with the
/// next file.
pub struct Chunks {
    paths: std::collections::VecDeque<PathBuf>,
    chunk_bytes: usize,
    read_bytes: Arc<AtomicU64>,
    open: Option<OpenFile>,
}

struct OpenFile {
    name: Arc<str>,
    reader: Box<dyn Read>,
    is_stream: bool,
    /// Begin of a line whose end was not read yet.
    rest: Vec<u8>,
    next_line: u64,
    is_over: bool,
    failure: Option<io::Error>,
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

/// Size of all files together, as far as they are files.
#[must_use]
pub fn total_bytes(paths: &[PathBuf]) -> Option<u64> {
    paths.iter().map(|path| path.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len())).sum()
}

impl Chunks {
    /// Reads `paths` (`-` is standard input) in chunks of about `chunk_bytes`.
    #[must_use]
    pub fn open(paths: &[PathBuf], chunk_bytes: usize) -> Self {
        Self {
            paths: paths.iter().cloned().collect(),
            chunk_bytes: chunk_bytes.max(1),
            read_bytes: Arc::default(),
            open: None,
        }
    }

    fn open_file(&self, path: &Path) -> Result<OpenFile, FileError> {
        let name: Arc<str> = path.display().to_string().into();
        let is_stream = path.as_os_str() == "-";
        let fail = |source| FileError::Open { file: name.clone(), source };
        let raw: Box<dyn Read> =
            if is_stream { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(fail)?) };
        let counted = Counted { inner: raw, count: self.read_bytes.clone() };
        let mut reader = BufReader::with_capacity(128 << 10, counted);
        let magic = reader.fill_buf().map_err(fail)?;
        let reader: Box<dyn Read> = if magic.starts_with(&[0x1f, 0x8b]) {
            Box::new(flate2::bufread::MultiGzDecoder::new(reader))
        } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Box::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(fail)?)
        } else {
            Box::new(reader)
        };
        Ok(OpenFile { name, reader, is_stream, rest: vec![], next_line: 1, is_over: false, failure: None })
    }
}

impl Iterator for Chunks {
    type Item = Result<Chunk, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(file) = &mut self.open {
                if let Some((first_line, bytes)) = file.next_lines(self.chunk_bytes) {
                    let read_bytes = self.read_bytes.load(Ordering::Relaxed);
                    return Some(Ok(Chunk { file: file.name.clone(), first_line, bytes, read_bytes }));
                }
                let ended = self.open.take()?;
                if let Some(source) = ended.failure {
                    return Some(Err(FileError::Read { file: ended.name, line: ended.next_line - 1, source }));
                }
            }
            let path = self.paths.pop_front()?;
            match self.open_file(&path) {
                Ok(file) => self.open = Some(file),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl OpenFile {
    /// The next whole lines; what stands behind the last newline waits for the next call.
    fn next_lines(&mut self, chunk_bytes: usize) -> Option<(u64, Vec<u8>)> {
        let mut bytes = std::mem::take(&mut self.rest);
        let mut searched = 0;
        while !self.is_over {
            let has_line = memchr::memchr(b'\n', &bytes[searched..]).is_some();
            if has_line && (bytes.len() >= chunk_bytes || self.is_stream) {
                break;
            }
            if !has_line {
                searched = bytes.len();
                if bytes.len() > MAX_LINE_BYTES {
                    self.skip_to_newline(&mut bytes);
                    break;
                }
            }
            self.fill(&mut bytes, chunk_bytes);
        }
        if self.next_line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        if !self.is_over {
            self.rest = bytes.split_off(whole);
        } else if self.failure.is_some() {
            // A line cut off by an error is part of that error, not a line.
            bytes.truncate(whole);
        }
        if bytes.is_empty() {
            return None;
        }
        let first_line = self.next_line;
        self.next_line += memchr::memchr_iter(b'\n', &bytes).count() as u64 + u64::from(bytes.last() != Some(&b'\n'));
        Some((first_line, bytes))
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, chunk_bytes: usize) {
        let want = chunk_bytes.saturating_sub(bytes.len()).max(16 << 10);
        let before = bytes.len();
        let read = if self.is_stream {
            bytes.resize(before + want, 0);
            let read = self.reader.read(&mut bytes[before..]);
            bytes.truncate(before + *read.as_ref().unwrap_or(&0));
            read
        } else {
            (&mut self.reader).take(want as u64).read_to_end(bytes)
        };
        match read {
            Ok(0) => self.is_over = true,
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => {
                self.is_over = true;
                self.failure = Some(error);
            }
        }
    }

    /// Reads on to the end of a line that is too long, keeping only so much of it that it is known
    /// to be too long.
    fn skip_to_newline(&mut self, bytes: &mut Vec<u8>) {
        bytes.truncate(MAX_LINE_BYTES + 1);
        let mut more = Vec::new();
        while !self.is_over {
            more.clear();
            self.fill(&mut more, 64 << 10);
            if let Some(at) = memchr::memchr(b'\n', &more) {
                bytes.extend_from_slice(&more[at..]);
                return;
            }
        }
    }
}
