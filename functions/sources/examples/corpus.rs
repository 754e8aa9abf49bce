//! Writes made-up X v2 stream lines of about 1.2 KB each: `corpus POSTS > FILE`. For benches.

use std::io::Write;

#[path = "../benches/lines/mod.rs"]
mod lines;

fn main() -> std::io::Result<()> {
    let posts = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    for n in 0..posts {
        out.write_all(lines::stream_line(n).as_bytes())?;
        out.write_all(b"\r\n")?;
    }
    out.flush()
}
