//! Archives of many files: tar and zip.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::ops::ControlFlow;

use zip::ZipArchive;
use zip::result::ZipError;

use super::format::WORKBOOK;
use super::{BUFFER_BYTES, FileError, Origin, Peeked, Reading, short};

/// Most bytes that the headers of one member of a tar may have, with the zeros before it: its name, and what pax adds. The
/// library keeps them in memory.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Largest zip that is kept on disk because it comes from a pipe or is inside something else.
const MAX_SPOOL_BYTES: u64 = 64 << 30;

/// Fails after a number of bytes.
struct Limited<'r, 'l> {
    inner: Peeked<'r>,
    left: &'l Cell<u64>,
}

impl Read for Limited<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        match self.left.get().checked_sub(n as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, "a member's header is longer than 16 MiB")),
        }
        Ok(n)
    }
}

/// Returns this many bytes, and an error when there are fewer.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends before this member does"));
        }
        self.left = self.left.saturating_sub(n as u64);
        Ok(n)
    }
}

/// Whether a member is something that macOS adds to archives and does not show.
fn is_of_macos(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    base.starts_with("._") || base == ".DS_Store" || name.starts_with("__MACOSX/")
}

impl Reading<'_, '_> {
    fn member(&mut self, reader: &mut dyn Read, name: &str, origin: &Origin<'_>) -> ControlFlow<()> {
        let origin = Origin {
            name: short(&format!("{}:{name}", origin.name)).into(),
            is_named: false,
            is_stream: origin.is_stream,
            nesting: origin.nesting + 1,
            path: None,
        };
        self.bytes(reader, &origin)
    }

    /// Files joined by `cat` are one tar with blocks of zeros between.
    pub(super) fn tar(&mut self, peeked: Peeked<'_>, origin: &Origin<'_>) -> ControlFlow<()> {
        let file = &origin.name;
        let unpack = |error: io::Error| FileError::Unpack { file: file.clone(), reason: error.to_string() };
        let left = Cell::new(u64::MAX);
        let mut archive = tar::Archive::new(Limited { inner: peeked, left: &left });
        archive.set_ignore_zeros(true);
        let mut entries = match archive.entries() {
            Ok(entries) => entries,
            Err(error) => return self.failed(unpack(error)),
        };
        let mut last: Option<tar::Entry<'_, Limited<'_, '_>>> = None;
        loop {
            left.set(u64::MAX);
            if let Some(mut entry) = last.take()
                && let Err(error) = io::copy(&mut entry, &mut io::sink())
            {
                return self.failed(unpack(error));
            }
            left.set(MAX_HEADER_BYTES);
            let mut entry = match entries.next() {
                None => return ControlFlow::Continue(()),
                Some(Err(error)) => return self.failed(unpack(error)),
                Some(Ok(entry)) => entry,
            };
            left.set(u64::MAX);
            let kind = entry.header().entry_type();
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if (kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) && !is_of_macos(&name) {
                let size = entry.size();
                self.member(&mut Whole { inner: &mut entry, left: size }, &name, origin)?;
            }
            last = Some(entry);
        }
    }

    /// A zip has its table of contents at the end: from a pipe it goes to a temporary file first.
    pub(super) fn zip(&mut self, mut peeked: Peeked<'_>, origin: &Origin<'_>) -> ControlFlow<()> {
        let file = origin.name.clone();
        let opened = match origin.path {
            Some(path) => File::open(path),
            None => tempfile::tempfile().and_then(|mut spool| {
                if io::copy(&mut (&mut peeked).take(MAX_SPOOL_BYTES), &mut spool)? == MAX_SPOOL_BYTES {
                    return Err(io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        "a zip from a pipe or inside an archive may have 64 GiB",
                    ));
                }
                spool.rewind()?;
                Ok(spool)
            }),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(source) => return self.failed(FileError::Open { file, source }),
        };
        let unpack = |error: ZipError| FileError::Unpack { file: file.clone(), reason: error.to_string() };
        // What was spooled is counted already.
        let mut counted = self.counted(opened);
        if origin.path.is_none() {
            counted.count = std::sync::Arc::default();
        }
        let mut archive = match ZipArchive::new(BufReader::with_capacity(BUFFER_BYTES, counted)) {
            Ok(archive) => archive,
            Err(error) => return self.failed(unpack(error)),
        };
        let is_workbook = |name: &str| name.starts_with("xl/") || name == "content.xml";
        if archive.file_names().flatten().any(|name| is_workbook(&name)) {
            return self.failed(FileError::Format { file, other: WORKBOOK });
        }
        for n in 0..archive.len() {
            let (name, is_encrypted) = match archive.by_index_raw(n) {
                Ok(entry) if !entry.is_file() => continue,
                Ok(entry) => (String::from_utf8_lossy(entry.name_raw()).into_owned(), entry.encrypted()),
                Err(error) => {
                    self.failed(unpack(error))?;
                    continue;
                }
            };
            if is_of_macos(&name) {
                continue;
            }
            if is_encrypted {
                // So are the others, as a rule; one error is enough.
                return self.failed(FileError::Encrypted { file });
            }
            match archive.by_index(n) {
                Ok(mut entry) => self.member(&mut entry, &name, origin)?,
                Err(error) => {
                    let file = short(&format!("{file}:{name}")).into();
                    self.failed(FileError::Unpack { file, reason: error.to_string() })?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}
