//! All that the program prints.
//!
//! A reader that closes the pipe (`| head -1`) is usual and not a failure: what cannot be written any more is dropped,
//! and the command continues to its end and its exit code. `println!` would panic. Text from outside is shown without
//! characters that a terminal acts on.

use std::fmt::Display;
use std::io::{self, Write};

use birdsong_domain::printable::{printable, printable_json, printable_lines};

/// A text of one or more lines on stdout.
pub(crate) fn out(text: impl Display) {
    put(io::stdout().lock(), &printable_lines(&text.to_string()));
}

/// One JSON value as a line on stdout.
pub(crate) fn out_json(value: &impl serde::Serialize) {
    put(io::stdout().lock(), &json(value));
}

/// Many JSON values, a line each, on stdout.
pub(crate) fn out_json_lines<'v, V: serde::Serialize + 'v>(values: impl IntoIterator<Item = &'v V>) {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for value in values {
        if writeln!(out, "{}", json(value)).is_err() {
            // What is left in the buffer cannot be written either, and its end would try.
            let _ = out.into_parts();
            return;
        }
    }
    let _ = out.flush();
}

/// One line on stderr.
pub(crate) fn err(text: impl Display) {
    put(io::stderr().lock(), &printable(&text.to_string()));
}

/// One JSON value as a line on stderr.
pub(crate) fn err_json(value: &impl serde::Serialize) {
    put(io::stderr().lock(), &json(value));
}

fn json(value: &impl serde::Serialize) -> String {
    // Numbers, texts and lists of such always can be written.
    let text = serde_json::to_string(value).unwrap_or_default();
    printable_json(&text).into_owned()
}

fn put(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush());
}

/// Where the log goes: stderr, and nowhere when that is closed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
