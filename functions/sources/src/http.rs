//! What the HTTP sources share: requests whose answers are streams, lines out of chunks, and waits
//! between tries.
//!
//! [`Http`] stands between a source and the network, so that a test can answer in place of a server
//! without sockets, in simulated time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::live::SourceError;

/// Longest time for a name look-up, a TCP connection and its TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Chunks of an answer as they come.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, HttpError>> + Send>>;

/// The network failed: no connection, or one that broke. Names no address, as that may hold a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HttpError(pub String);

/// Sends requests.
pub trait Http: Send + Sync {
    /// Sends a request and gives the answer once its head is there, whatever its status. No time
    /// limit beyond that of connecting; whoever wants one drops the future.
    ///
    /// # Errors
    /// When there is no answer.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Body>, HttpError>> + Send;
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network(reqwest::Client);

impl Network {
    /// A client of its own, with TLS roots built in. It follows no redirects, so that a token goes to
    /// no other host than the one that it was meant for. With `gzip` answers may be compressed; they
    /// are unpacked on the way.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(gzip: bool) -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("birdsong/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // The sources document HTTP/1.1. Idle connections are not kept: each try looks the name up
            // again.
            .http1_only()
            .pool_max_idle_per_host(0)
            .gzip(gzip)
            .build();
        client.map(Self).map_err(|error| HttpError(reason(&error.without_url())))
    }
}

impl Http for Network {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, HttpError> {
        let failed = |error: reqwest::Error| HttpError(reason(&error.without_url()));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let answer = self.0.execute(request).await.map_err(failed)?;
        let mut head = http::Response::builder().status(answer.status());
        if let Some(headers) = head.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let chunks: Body = Box::pin(answer.bytes_stream().map(move |chunk| chunk.map_err(failed)));
        head.body(chunks).map_err(|error| HttpError(error.to_string()))
    }
}

/// An error with its causes: reqwest alone says only "error sending request".
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Whether a token may go to this address: by HTTPS, or to this machine. Anybody on the way reads plain HTTP.
///
/// # Errors
/// When it may not; the text says what to do.
pub fn safe_for_token(url: &str) -> Result<(), SourceError> {
    let uri = url.trim().parse::<http::Uri>().ok();
    let plain = uri.as_ref().filter(|uri| uri.scheme_str().is_none_or(|scheme| !scheme.eq_ignore_ascii_case("https")));
    let Some(uri) = plain else { return Ok(()) };
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_here = bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_here {
        return Ok(());
    }
    Err(SourceError::Config(format!(
        "the token would be readable on its way to {} by plain HTTP: use an address with https://, or a tunnel that \
         listens on localhost",
        printable(host)
    )))
}

/// Reads an answer to its end, up to `limit` bytes; what is beyond is left out.
///
/// # Errors
/// When the connection breaks.
pub async fn read_all(mut body: Body, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut all = vec![];
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        all.extend_from_slice(&chunk[..chunk.len().min(limit - all.len())]);
        if all.len() == limit {
            break;
        }
    }
    Ok(all)
}

/// The begin of a server's text without what would spoil a log line.
pub(crate) fn printable(text: &str) -> String {
    birdsong_domain::printable::printable(text.trim()).chars().take(300).collect()
}

/// Longest line that [`Lines`] takes unless told otherwise.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// One line, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line without its end. May be empty.
    Line(&'a [u8]),
    /// The head of a line that is longer than the limit; the rest of it is skipped.
    Oversize(&'a [u8]),
}

/// Cuts chunks into lines that end with `\n` or `\r\n`, in bounded memory. A line that lies within one
/// chunk is not copied.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    /// Begin of a line whose end has not come yet.
    begun: Vec<u8>,
    is_skipping: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(MAX_LINE_BYTES)
    }
}

impl Lines {
    /// Lines of up to `limit` bytes, the `\r` included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, begun: vec![], is_skipping: false }
    }

    /// Hands on every line that ends in `chunk`.
    pub fn take(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let part = &chunk[from..end];
            from = end + 1;
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            if self.begun.is_empty() {
                each(self.piece(part));
            } else {
                let room = self.limit + 1 - self.begun.len();
                self.begun.extend_from_slice(&part[..part.len().min(room)]);
                each(self.piece(&self.begun));
                self.begun.clear();
            }
        }
        let rest = &chunk[from..];
        if self.is_skipping || rest.is_empty() {
            return;
        }
        let room = self.limit + 1 - self.begun.len();
        self.begun.extend_from_slice(&rest[..rest.len().min(room)]);
        if self.begun.len() > self.limit {
            each(self.piece(&self.begun));
            self.is_skipping = true;
            self.begun = vec![];
        }
    }

    /// The stream has ended: hands on the begin of a line whose end never came, if there is one.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        self.is_skipping = false;
        let begun = std::mem::take(&mut self.begun);
        (!begun.trim_ascii().is_empty()).then_some(begun)
    }

    fn piece<'a>(&self, line: &'a [u8]) -> Piece<'a> {
        if line.len() > self.limit {
            Piece::Oversize(&line[..self.limit])
        } else {
            Piece::Line(line.strip_suffix(b"\r").unwrap_or(line))
        }
    }
}

/// Waits between tries that grow until something has gone well for a while.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    is_linear: bool,
    tries: u32,
}

/// Waits are longer by up to this share, so that clients which lost their connections together do
/// not come back together.
const JITTER: f64 = 0.25;

impl Backoff {
    /// None at first, then `step` longer each time, up to `cap`.
    #[must_use]
    pub fn linear(step: Duration, cap: Duration) -> Self {
        Self { first: step, cap, is_linear: true, tries: 0 }
    }

    /// `first`, then twice as long each time, up to `cap`.
    #[must_use]
    pub fn doubling(first: Duration, cap: Duration) -> Self {
        Self { first, cap, is_linear: false, tries: 0 }
    }

    /// The next wait; `jitter` is a number from 0 to 1 that spreads it.
    pub fn wait(&mut self, jitter: f64) -> Duration {
        let factor = if self.is_linear { self.tries } else { 1u32.checked_shl(self.tries).unwrap_or(u32::MAX) };
        self.tries = self.tries.saturating_add(1);
        self.first.saturating_mul(factor).min(self.cap).mul_f64(1.0 + JITTER * jitter)
    }

    /// All is well again: the next wait is the first.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_by_https_or_to_this_machine() {
        for good in
            ["https://x.example", "HTTPS://x.example", "http://localhost:1", "http://127.0.0.2/", "http://[::1]:80"]
        {
            assert_eq!(safe_for_token(good), Ok(()), "{good}");
        }
        for bad in [
            "http://x.example",
            "HTTP://192.0.2.1",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://[::2]",
        ] {
            let error = safe_for_token(bad).unwrap_err().to_string();
            assert!(error.contains("https://"), "{bad}: {error}");
        }
    }
    use proptest::prelude::*;

    /// Each line as text, an oversize one with a `!`.
    fn lines(limit: usize, chunks: &[&[u8]]) -> (Vec<String>, Option<Vec<u8>>) {
        let (mut lines, mut found) = (Lines::new(limit), vec![]);
        for chunk in chunks {
            lines.take(chunk, |piece| match piece {
                Piece::Line(line) => found.push(String::from_utf8_lossy(line).into_owned()),
                Piece::Oversize(head) => found.push(format!("{}!", String::from_utf8_lossy(head))),
            });
        }
        (found, lines.end())
    }

    #[test]
    fn line_ends_may_lie_between_chunks() {
        let (found, rest) = lines(9, &[b"a\r", b"\n\r\nb", b"c\n\n", b"d\re\n", b"f"]);
        assert_eq!(found, ["a", "", "bc", "", "d\re"]);
        assert_eq!(rest, Some(b"f".to_vec()));
        assert_eq!(lines(9, &[b"a\n\r"]).1, None, "half a keep-alive is no line");
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_skipped_to_its_end() {
        assert_eq!(lines(4, &[b"12345\n1234\n"]).0, ["1234!", "1234"]);
        assert_eq!(lines(4, &[b"12", b"34", b"56", b"78", b"\n1\n"]).0, ["1234!", "1"]);
        assert_eq!(lines(4, &[b"123", b"456\n1\n"]).0, ["1234!", "1"]);
        assert_eq!(lines(4, &[b"123456", b"7", b"\r\n\r\n"]).0, ["1234!", ""]);
    }

    proptest! {
        #[test]
        fn the_cut_into_chunks_makes_no_difference(
            text in "[ab\r\n]{0,60}", cuts in prop::collection::vec(0usize..60, 0..8), limit in 1usize..9,
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<_> = cuts.into_iter().filter(|cut| *cut <= bytes.len()).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<_> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = lines(limit, &[bytes]);
            prop_assert_eq!(&lines(limit, &chunks), &whole);
            let ended = bytes.iter().filter(|b| **b == b'\n').count();
            prop_assert!((ended..=ended + 1).contains(&whole.0.len()));
        }
    }

    #[test]
    fn waits_grow_to_their_cap_and_begin_again() {
        let ms = |n| Duration::from_millis(n);
        let mut linear = Backoff::linear(ms(250), ms(600));
        assert_eq!([0; 4].map(|_| linear.wait(0.0)), [ms(0), ms(250), ms(500), ms(600)]);
        linear.reset();
        assert_eq!(linear.wait(1.0), ms(0));
        assert_eq!(linear.wait(1.0), ms(312) + Duration::from_micros(500));
        let mut doubling = Backoff::doubling(ms(5000), ms(320_000));
        let waits = [0; 8].map(|_| doubling.wait(0.0).as_secs());
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 320]);
        for _ in 0..100 {
            assert!(doubling.wait(1.0) <= ms(400_000));
        }
    }
}
