//! Looks at a running server as many viewers do, and prints how many answers a second it gives and how long they take:
//!
//! ```text
//! cargo run --release -p birdsong --example look -- 127.0.0.1:8080 /api/overview '/api/windows?step=15m'
//! ```
//!
//! Options before the address: `--connections N` (16), `--secs N` (5), `--encoding NAME` (identity), `--again` (asks with
//! the entity tag of the first answer, so that answers are 304). The last column is the bytes of one answer.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Options {
    connections: usize,
    secs: u64,
    encoding: String,
    again: bool,
    address: String,
    paths: Vec<String>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        connections: 16,
        secs: 5,
        encoding: "identity".into(),
        again: false,
        address: String::new(),
        paths: vec![],
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--connections" => options.connections = value()?.parse()?,
            "--secs" => options.secs = value()?.parse()?,
            "--encoding" => options.encoding = value()?,
            "--again" => options.again = true,
            _ if options.address.is_empty() => options.address = arg,
            _ => options.paths.push(arg),
        }
    }
    if options.paths.is_empty() {
        bail!("usage: look [--connections N] [--secs N] [--encoding NAME] [--again] ADDRESS PATH …");
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = options()?;
    println!("{:>9} {:>8} {:>8} {:>8} {:>9}  path", "answers/s", "p50 ms", "p99 ms", "max ms", "bytes");
    for path in &options.paths {
        let mut head =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: {}\r\n", options.address, options.encoding);
        let first = ask(&mut TcpStream::connect(&options.address).await?, &format!("{head}\r\n")).await?;
        if options.again {
            head += &format!("If-None-Match: {}\r\n", first.tag.context("the answer has no entity tag")?);
        }
        let wanted = if options.again { 304 } else { 200 };
        let (request, until) = (format!("{head}\r\n"), Instant::now() + Duration::from_secs(options.secs));
        let viewers = (0..options.connections).map(|_| {
            let (address, request) = (options.address.clone(), request.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let mut times = vec![];
                while Instant::now() < until {
                    let start = Instant::now();
                    let answer = ask(&mut stream, &request).await?;
                    // What changes each second is whole each second.
                    if answer.status != wanted && answer.status != 200 {
                        bail!("the server answered {}", answer.status);
                    }
                    times.push(start.elapsed());
                }
                Ok(times)
            })
        });
        let mut times = vec![];
        for viewer in viewers.collect::<Vec<_>>() {
            times.extend(viewer.await??);
        }
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        let rate = times.len() as f64 / options.secs as f64;
        println!("{rate:>9.0} {:>8.2} {:>8.2} {:>8.2} {:>9}  {path}", at(0.5), at(0.99), at(1.0), first.bytes);
    }
    Ok(ExitCode::SUCCESS)
}

struct Answer {
    status: u16,
    tag: Option<String>,
    bytes: usize,
}

/// Sends a request, and reads its answer to the end: with a length, or without a body.
async fn ask(stream: &mut TcpStream, request: &str) -> Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    let mut read = Vec::with_capacity(64 << 10);
    let end = loop {
        if let Some(at) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut read).await? == 0 {
            bail!("the server closed the connection");
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    let header = |name: &str| {
        let of = |line: &str| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        head.lines().filter_map(of).find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let bytes =
        if status == 304 { 0 } else { header("content-length").context("the answer has no length")?.parse()? };
    while read.len() < end + bytes {
        if stream.read_buf(&mut read).await? == 0 {
            bail!("the answer is cut off");
        }
    }
    Ok(Answer { status, tag: header("etag"), bytes })
}
