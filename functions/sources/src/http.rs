//! HTTP for the sources: requests whose answers are streams, and bearer tokens.
//!
//! [`Http`] is between a source and the network, so that a test can answer in place of a server
//! without sockets, in simulated time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::source::SourceError;

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
    /// Sends a request and returns the answer once its head is there, with any status. No time
    /// limit beyond that of connecting; a caller with a limit drops the future.
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
    /// A client with built-in TLS roots. It follows no redirects, so that a token goes to
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

/// An error with its causes: reqwest alone reports only "error sending request".
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

/// Whether a token may go to this address: by HTTPS, or to this machine. Plain HTTP can be read by anybody on the way.
///
/// # Errors
/// When it may not; the text contains a remedy.
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

/// The start of a server's text without characters that would spoil a log line.
pub(crate) fn printable(text: &str) -> String {
    birdsong_domain::printable::printable(text.trim()).chars().take(300).collect()
}

/// A bearer token. It is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

/// A token that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Nothing but white space.
    #[error("the token is empty")]
    Empty,
    /// It contains characters that no token has, such as a line break.
    #[error("the token has characters that no token has")]
    Characters,
}

impl Token {
    /// Reads a token. White space around it is dropped.
    ///
    /// # Errors
    /// When it is empty, or has characters other than those of printable ASCII.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadToken::Empty);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadToken::Characters);
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| BadToken::Characters)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    /// The value of an `Authorization` header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Text as it may appear anywhere in a path or a query.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
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

    // Rule 6.3.
    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" AAAA%2Bsecret\n").unwrap();
        assert_eq!(token.header(), "Bearer AAAA%2Bsecret");
        assert!(!format!("{token:?} {:?}", token.header()).contains("secret\""));
        assert_eq!(format!("{token:?}"), "Token(secret)");
        assert_eq!(Token::new(" "), Err(BadToken::Empty));
        for bad in ["a b", "é", "SECRET\u{7f}"] {
            let error = Token::new(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{bad}");
        }
    }

    #[test]
    fn text_is_encoded_for_paths_and_queries() {
        assert_eq!(percent_encoded("aZ09-_.~"), "aZ09-_.~");
        assert_eq!(percent_encoded("b+/=&é"), "b%2B%2F%3D%26%C3%A9");
    }
}
