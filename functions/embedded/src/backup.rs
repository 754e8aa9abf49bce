//! Copies of both files, made while other processes write them.

use std::fs::File;
use std::path::Path;

use birdsong_domain::ports::PortError;
use rusqlite::{Connection, OpenFlags};

use crate::db::{BUSY_TIMEOUT, Failure, Layout, explain};
use crate::{log, store};

/// Copies `log.sqlite` and `store.sqlite` of a data directory into another one, which must have neither. Each copy is of one
/// moment, is compact, and has been checked. `begin` is called with the name and the size in bytes of each file before it is copied.
///
/// The windows are copied first. The log may then be newer, and what it has more is folded when the copy is opened for
/// counting. The other way round, windows could have posts that the log lacks.
///
/// # Errors
/// When a file is missing, damaged, or cannot be written. What was copied by then stays.
pub fn back_up(data: &Path, into: &Path, mut begin: impl FnMut(&str, u64)) -> Result<(), PortError> {
    for layout in [&store::LAYOUT, &log::LAYOUT] {
        let from = data.join(layout.file);
        begin(layout.file, std::fs::metadata(&from).map_or(0, |metadata| metadata.len()));
        copy(layout, &from, &into.join(layout.file)).map_err(|failure| match failure {
            Failure::Port(error) => error,
            Failure::Sqlite(error) => explain(layout.what, &from, &error),
        })?;
    }
    Ok(())
}

fn copy(layout: &Layout, from: &Path, to: &Path) -> Result<(), Failure> {
    let open =
        |path| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let source = open(from)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    // One read transaction, which in WAL mode holds up nobody.
    source.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    let unwritten = |error: std::io::Error| PortError::Unavailable {
        what: layout.what,
        reason: format!("{} cannot be written: {error}", to.display()),
    };
    File::open(to).and_then(|file| file.sync_all()).map_err(unwritten)?;
    let verdict: String = open(to)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let reason = format!("the copy {} is not whole: {verdict}", to.display());
        return Err(PortError::Corrupt { what: layout.what.to_owned(), reason }.into());
    }
    Ok(())
}
