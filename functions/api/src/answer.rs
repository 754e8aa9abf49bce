//! Answers: JSON with an entity tag, so that unchanged answers are not loaded twice, compressed once and kept for as long
//! as they are current.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Serialize;
use tokio::time::Instant;

use crate::error::ApiError;
use crate::form::Form;

/// How long an answer may be used without asking again; the shortest time first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fresh {
    /// Not at all: a cache asks each time, which the entity tag makes cheap.
    Ask,
    /// This many minutes.
    Minutes(u32),
    /// Browsers ask each time, and a cache that all viewers share asks every few seconds. While it asks, and when it gets
    /// an error, it may answer with what it has.
    Open,
    /// A day: the counts are final.
    Closed,
    /// A day, and browsers do not ask when a page is loaded again: the address has the version of the counts.
    Versioned,
}

impl Fresh {
    fn header(self) -> String {
        match self {
            Self::Ask => "no-cache".to_owned(),
            Self::Minutes(minutes) => format!("max-age={}", minutes * 60),
            Self::Open => "public, max-age=0, s-maxage=5, stale-while-revalidate=30, stale-if-error=300".to_owned(),
            Self::Closed => "public, max-age=86400".to_owned(),
            Self::Versioned => "public, max-age=86400, immutable".to_owned(),
        }
    }
}

/// Bodies that are smaller are not compressed, by no layer around the router either.
const COMPRESS_BYTES: usize = 32;
/// Brotli and gzip at this level need a tenth of the time of the best, for a tenth more bytes.
const LEVEL: u32 = 4;

/// How a body is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Brotli,
}

impl Coding {
    /// The one that a caller likes best; of equals, the one with the fewest bytes.
    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (Self::Plain, 0.0);
        for coding in accepted.split(',') {
            let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
            let quality = quality.trim().strip_prefix("q=").map_or(1.0, |q| q.parse::<f64>().unwrap_or(0.0));
            let coding = match name.trim().to_ascii_lowercase().as_str() {
                "br" => Self::Brotli,
                "gzip" | "x-gzip" => Self::Gzip,
                _ => continue,
            };
            if quality > best.1 || (quality == best.1 && quality > 0.0 && coding == Self::Brotli) {
                best = (coding, quality);
            }
        }
        best.0
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// The entity tag of a body that a layer around the router may compress: weak, since that changes the bytes.
#[must_use]
pub fn entity_tag(body: &[u8]) -> String {
    format!("W/\"{:016x}\"", hash(body))
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    hasher.finish()
}

/// Whether the caller already has the body with this entity tag (`If-None-Match`). Tags are compared weakly: a shared cache
/// may have made a strong one weak.
#[must_use]
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    asked.split(',').any(|known| bare(known) == bare(tag) || known.trim() == "*")
}

/// Answers with `value`, or with 304 when the caller has it already.
pub(crate) fn json_answer(headers: &HeaderMap, fresh: Fresh, value: &impl Serialize) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value)?;
    let tag = entity_tag(&body);
    Ok(body_answer(headers, fresh, &tag, body))
}

/// Answers with JSON that has this entity tag, or with 304 when the caller has it already.
pub(crate) fn body_answer(headers: &HeaderMap, fresh: Fresh, tag: &str, body: impl Into<Body>) -> Response {
    let is_known = is_known(headers, tag);
    let mut response = Response::new(if is_known { Body::empty() } else { body.into() });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [(header::ETAG, tag), (header::CACHE_CONTROL, &fresh.header())] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// An answer that may be given to many callers.
#[derive(Debug)]
pub(crate) struct Answer {
    body: Bytes,
    hash: u64,
    fresh: Fresh,
    /// The form, of a path that has several.
    form: Option<Form>,
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
}

impl Answer {
    pub(crate) fn new(body: Vec<u8>, fresh: Fresh, form: Option<Form>) -> Self {
        Self { hash: hash(&body), body: body.into(), fresh, form, gzip: OnceLock::new(), brotli: OnceLock::new() }
    }

    /// Length of the body, not compressed.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    fn coded(&self, coding: Coding) -> Option<Bytes> {
        let coded = match coding {
            Coding::Plain => return Some(self.body.clone()),
            Coding::Gzip => &self.gzip,
            Coding::Brotli => &self.brotli,
        };
        coded.get().cloned()
    }

    /// The body in a coding, which is made at the first call.
    fn code(&self, coding: Coding) -> Bytes {
        match coding {
            Coding::Plain => self.body.clone(),
            Coding::Gzip => {
                self.gzip.get_or_init(|| gzip(&self.body).map_or_else(|_| self.body.clone(), Into::into)).clone()
            }
            Coding::Brotli => {
                self.brotli.get_or_init(|| brotli(&self.body).map_or_else(|_| self.body.clone(), Into::into)).clone()
            }
        }
    }

    /// The answer for a caller with these headers; with `guard` in a body that it does not share with other answers.
    pub(crate) async fn respond<G: Send + Unpin + 'static>(
        self: Arc<Self>,
        headers: &HeaderMap,
        compress: bool,
        guard: Option<G>,
    ) -> Response {
        let is_large = self.body.len() >= COMPRESS_BYTES;
        let coding = if compress && is_large { Coding::accepted(headers) } else { Coding::Plain };
        // Each form and each coding has its own bytes, and so its own strong tag.
        let other_form = self.form.filter(|form| *form != Form::Json).map(Form::name);
        let names =
            [other_form, coding.name()].into_iter().flatten().map(|name| format!("-{name}")).collect::<String>();
        let tag = format!("\"{:016x}{names}\"", self.hash);
        let (fresh, form) = (self.fresh, self.form);
        let body = if is_known(headers, &tag) {
            Bytes::new()
        } else if let Some(body) = self.coded(coding) {
            body
        } else {
            let answer = self.clone();
            let coded = tokio::task::spawn_blocking(move || answer.code(coding)).await;
            coded.unwrap_or_else(|_| Bytes::new())
        };
        let body = match guard {
            Some(guard) => Body::new(Held::new(body, guard)),
            None => Body::from(body),
        };
        let mut response = body_answer(headers, fresh, &tag, body);
        let headers = response.headers_mut();
        if let Some(form) = form {
            headers.insert(header::CONTENT_TYPE, form.content_type());
        }
        let vary = match (form.is_some(), compress && is_large) {
            (true, true) => Some("accept, accept-encoding"),
            (true, false) => Some("accept"),
            (false, true) => Some("accept-encoding"),
            (false, false) => None,
        };
        if let Some(vary) = vary {
            headers.insert(header::VARY, HeaderValue::from_static(vary));
        }
        if let Some(name) = coding.name() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::new(LEVEL));
    encoder.write_all(body)?;
    encoder.finish()
}

fn brotli(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams { quality: LEVEL as i32, ..Default::default() };
    let mut out = vec![];
    brotli::BrotliCompress(&mut &*body, &mut out, &params)?;
    Ok(out)
}

/// Answers that are current, by what was asked.
#[derive(Debug)]
pub(crate) struct Answers {
    cache: Cache<String, Kept, ByBytes>,
    largest: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    answer: Arc<Answer>,
    /// Until when it is given without asking the store.
    until: Instant,
    /// Until when it is given while it is made anew.
    stale_until: Instant,
    /// Whether it is made anew now.
    renewing: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<String, Kept> for ByBytes {
    fn weight(&self, asked: &String, kept: &Kept) -> u64 {
        // Its codings are smaller.
        (asked.len() + 2 * kept.answer.bytes() + 256) as u64
    }
}

/// What there is for a caller.
pub(crate) enum Found {
    /// A current answer.
    Current(Arc<Answer>),
    /// An answer that was current lately. Whoever gets `true` makes it anew.
    Stale(Arc<Answer>, bool),
    /// Nothing.
    Nothing,
}

impl Answers {
    /// Room for answers of this many bytes in all.
    pub(crate) fn new(bytes: u64) -> Self {
        let largest = bytes / 8;
        let items = usize::try_from(bytes / 16_384).unwrap_or(usize::MAX).max(16);
        Self { cache: Cache::with_weighter(items, bytes.max(1), ByBytes), largest }
    }

    pub(crate) fn get(&self, asked: &str) -> Found {
        use std::sync::atomic::Ordering::AcqRel;
        let Some(kept) = self.cache.get(asked) else { return Found::Nothing };
        let now = Instant::now();
        if now < kept.until {
            return Found::Current(kept.answer);
        }
        if now < kept.stale_until {
            let is_mine = !kept.renewing.swap(true, AcqRel);
            return Found::Stale(kept.answer, is_mine);
        }
        Found::Nothing
    }

    /// Whether there is room for an answer of this many bytes.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        2 * bytes as u64 <= self.largest
    }

    /// Keeps an answer that is current for `fresh`, and may be given for `stale` more.
    pub(crate) fn keep(&self, asked: String, answer: &Arc<Answer>, fresh: Duration, stale: Duration) {
        if fresh.is_zero() || !self.has_room(answer.bytes()) {
            self.cache.remove(&asked);
            return;
        }
        let until = Instant::now() + fresh;
        let kept = Kept { answer: answer.clone(), until, stale_until: until + stale, renewing: Arc::default() };
        self.cache.insert(asked, kept);
    }
}

/// A body that keeps a guard until it is sent or abandoned.
pub(crate) struct Held<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> Held<G> {
    pub(crate) fn new(bytes: impl Into<Bytes>, guard: G) -> Self {
        Self { bytes: bytes.into(), _guard: guard }
    }
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        // In pieces: a server buffers each piece, and releases the body when it has the last one.
        const PIECE: usize = 64 << 10;
        let size = self.bytes.len().min(PIECE);
        let piece = (size > 0).then(|| Ok(http_body::Frame::data(self.bytes.split_to(size))));
        std::task::Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.bytes.len() as u64)
    }
}
