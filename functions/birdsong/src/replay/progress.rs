//! How far a replay is, on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use birdsong_sources::archive::{self, Found};

use crate::print;

/// Reports now and then how far a log was read, since a long one needs seconds.
pub(super) fn of_log(what: &str) -> impl Fn(u64) {
    let reported = std::cell::Cell::new(Instant::now());
    move |records| {
        if reported.get().elapsed() >= Duration::from_secs(2) {
            reported.set(Instant::now());
            print::err(format_args!("reading which posts {what} has already: {records} records …"));
        }
    }
}

/// A bar of the bytes of the archives; hidden when stderr is no terminal.
pub(super) fn bar(files: &[Found]) -> Result<indicatif::ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(indicatif::ProgressBar::hidden());
    }
    let bar = match archive::total_bytes(files) {
        Some(total) => indicatif::ProgressBar::new(total).with_style(indicatif::ProgressStyle::with_template(
            "{bar:32} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left",
        )?),
        None => indicatif::ProgressBar::new_spinner()
            .with_style(indicatif::ProgressStyle::with_template("{spinner} {bytes}  {msg}")?),
    };
    Ok(bar)
}
