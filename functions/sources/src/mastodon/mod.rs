//! Mastodon and whatever speaks its client API: server-sent events of a public stream.
//!
//! The stream has no places, so regions find posts by keyword, hashtag and language. A server sends
//! no reposts on these streams, and no replies to others except on those of a hashtag.
//!
//! The stream cannot be resumed. What came while nobody listened is read from the timeline, a bounded
//! number of pages; what is older is a gap, and told.

mod html;
mod status;
mod tags;

use std::fmt;
use std::time::Duration;

use birdsong_domain::post::AuthorKey;
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode, Uri};
use serde::Deserialize;
use sonic_rs::LazyValue;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::archive::json;
use crate::http::{Backoff, Body, Http, Lines, Piece, printable, read_all, safe_for_token};
use crate::live::{Change, Clock, Intake, Resume, SourceError};
use status::is_newer;

pub use status::{Read, Seen, StatusError, read_status};

/// Id space of the source; its name is this, a colon and the host.
pub const NAME: &str = "mastodon";
/// Longest event that is read; statuses have 2 to 4 KB.
const MAX_EVENT_BYTES: usize = 1 << 20;
/// Longest answer that is read, such as a page of the timeline.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Three heartbeats: a connection without any byte for this long is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// First and longest wait before the next try.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A connection that lasted this long was a good one.
const GOOD_SPELL: Duration = Duration::from_secs(60);
/// Statuses on a page of the timeline; the most that a server gives.
const PAGE: usize = 40;
/// Most pages that are read after a connection: a sixth of what a server allows in five minutes.
const MAX_PAGES: usize = 50;
/// Longest time for that. Nothing is read from the stream meanwhile.
const MAX_FILL: Duration = Duration::from_secs(25);
/// How often one page is tried.
const PAGE_TRIES: u32 = 3;
/// The resume point is at least this far behind the newest status, and at most twice: statuses from
/// other servers arrive late and under ids that tell when they were written. In milliseconds.
const REWIND_MS: i64 = 15_000;

/// A secret that opens a server; shown nowhere.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// An access token.
    ///
    /// # Errors
    /// When it is empty or holds what no token has, such as a line break.
    pub fn new(token: &str) -> Result<Self, SourceError> {
        if token.trim().is_empty() {
            return Err(SourceError::Config("the Mastodon token is empty".into()));
        }
        let header = HeaderValue::try_from(format!("Bearer {}", token.trim()));
        let mut header =
            header.map_err(|_| SourceError::Config("the Mastodon token holds characters that no token has".into()))?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// Which statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// All public statuses that the server knows.
    Public,
    /// Those of its own accounts.
    Local,
    /// Those of other servers.
    Remote,
    /// Those with a hashtag, given without `#`.
    Hashtag(String),
}

impl Feed {
    fn stream(&self) -> String {
        match self {
            Self::Public => "/api/v1/streaming/public".into(),
            Self::Local => "/api/v1/streaming/public/local".into(),
            Self::Remote => "/api/v1/streaming/public/remote".into(),
            Self::Hashtag(tag) => format!("/api/v1/streaming/hashtag?tag={}", percent_encoded(tag)),
        }
    }

    /// Ends with the begin of a query.
    fn timeline(&self) -> String {
        match self {
            Self::Public => "/api/v1/timelines/public?".into(),
            Self::Local => "/api/v1/timelines/public?local=true&".into(),
            Self::Remote => "/api/v1/timelines/public?remote=true&".into(),
            Self::Hashtag(tag) => format!("/api/v1/timelines/tag/{}?", percent_encoded(tag)),
        }
    }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(b));
        } else {
            encoded.push_str(&format!("%{b:02X}"));
        }
    }
    encoded
}

/// What to ask of whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the server, such as `https://mastodon.example`.
    pub server: String,
    /// Which statuses.
    pub feed: Feed,
    /// Access token of a user. Most servers want one.
    pub token: Option<Token>,
}

/// A client of one server.
pub struct Mastodon<H> {
    /// Without a slash at its end.
    server: String,
    host: String,
    feed: Feed,
    token: Option<Token>,
    http: H,
    key: AuthorKey,
    clock: Clock,
    jitter: fn() -> f64,
}

/// Why a connection ended.
enum End {
    /// The next try may go well.
    Retry(String),
    /// It will not.
    Stop(SourceError),
}

impl<H: Http> Mastodon<H> {
    /// A client that hashes authors with `key`. `jitter` gives a number from 0 to 1, anew at each call.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn new(
        options: Options,
        http: H,
        key: AuthorKey,
        clock: Clock,
        jitter: fn() -> f64,
    ) -> Result<Self, SourceError> {
        let server = options.server.trim().trim_end_matches('/').to_owned();
        let uri: Option<Uri> = server.parse().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.path() == "/");
        let Some(host) = uri.as_ref().and_then(Uri::host).map(str::to_owned) else {
            return Err(SourceError::Config(format!(
                "{server:?} is no Mastodon server; write it as https://mastodon.example"
            )));
        };
        if matches!(&options.feed, Feed::Hashtag(tag) if tag.is_empty() || tag.starts_with('#')) {
            return Err(SourceError::Config("the hashtag of a Mastodon stream is given without #".into()));
        }
        let Options { feed, token, .. } = options;
        if token.is_some() {
            safe_for_token(&server)?;
        }
        Ok(Self { server, host, feed, token, http, key, clock, jitter })
    }

    /// Name of the source: `mastodon:` and the host.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{NAME}:{}", self.host)
    }

    /// Streams until the server refuses for good: from now on, and before that what has come since
    /// `resume`, which [`Intake::flush`] was told.
    pub async fn run<I: Intake>(&self, resume: Option<&str>, intake: &mut I) -> SourceError {
        let mut place = Place::default();
        if let Some(text) = resume {
            let Some(mark) = Mark::parse(text) else {
                return SourceError::Config(format!("the stored resume point {text:?} is no id and time"));
            };
            place.set(mark);
        }
        let mut backoff = Backoff::doubling(RETRY.0, RETRY.1);
        loop {
            let began = Instant::now();
            let reason = match self.connection(&mut place, intake).await {
                End::Retry(reason) => reason,
                End::Stop(error) => return error,
            };
            if began.elapsed() >= GOOD_SPELL {
                backoff.reset();
            }
            let retry_in = backoff.wait((self.jitter)());
            intake.change(Change::Waiting { reason, retry_in });
            intake.flush(None).await;
            sleep(retry_in).await;
        }
    }

    async fn connection<I: Intake>(&self, place: &mut Place, intake: &mut I) -> End {
        let streaming = self.discover().await.unwrap_or_else(|| self.server.clone());
        let answer = match self.get(&format!("{streaming}{}", self.feed.stream()), "text/event-stream").await {
            Ok(answer) => answer,
            Err(reason) => return End::Retry(reason),
        };
        let status = answer.status();
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        if status != StatusCode::OK {
            return self.refused(status, answer.into_body()).await;
        }
        if !kind.starts_with("text/event-stream") {
            return End::Retry(format!("the server answers with {kind:?} and not with events"));
        }
        let opened_ms = (self.clock)();
        intake.change(Change::Connected);
        intake.flush(None).await;
        if let Some(mark) = place.resume() {
            self.fill(mark, opened_ms, place, intake).await;
        } else if let Some(from_ms) = place.blind_since_ms {
            let reason = "nothing came by which the timeline could be asked".into();
            intake.change(Change::Gap { from_ms, to_ms: opened_ms, reason });
            place.lose(opened_ms);
            intake.flush(None).await;
        }
        self.listen(answer.into_body(), place, intake).await
    }

    /// Why the stream was refused, and whether it will be again.
    async fn refused(&self, status: StatusCode, body: Body) -> End {
        let body = timeout(ANSWER_TIMEOUT, read_all(body, 4096)).await.ok().and_then(Result::ok).unwrap_or_default();
        let said = printable(&String::from_utf8_lossy(&body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => End::Stop(SourceError::Refused(format!(
                "{} does not let us read its stream ({status}). Log in there, make an application with the scope \
                 read:statuses under Preferences, Development, and give its access token in MASTODON_TOKEN or in a \
                 file named by MASTODON_TOKEN_FILE. If it is there already, it was revoked, or the server has \
                 closed its public streams",
                self.host
            ))),
            StatusCode::BAD_REQUEST => {
                End::Stop(SourceError::Config(format!("{} does not take the request: {said}", self.host)))
            }
            _ => End::Retry(format!("status {status} {said}")),
        }
    }

    async fn get(&self, address: &str, accept: &'static str) -> Result<Response<Body>, String> {
        let mut request = Request::get(address).header(ACCEPT, accept);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, &token.0);
        }
        let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
        match timeout(ANSWER_TIMEOUT, self.http.send(request)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        }
    }

    async fn get_json(&self, address: &str) -> Result<Vec<u8>, String> {
        let answer = self.get(address, "application/json").await?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(format!("status {status}"));
        }
        match timeout(ANSWER_TIMEOUT, read_all(answer.into_body(), MAX_ANSWER_BYTES)).await {
            Ok(body) => body.map_err(|error| error.to_string()),
            Err(_) => Err("the answer does not end".into()),
        }
    }

    /// The host of the streams, where the server says that it is another one. The token goes there, so
    /// never over a connection less safe than the one that named it.
    async fn discover(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Instance {
            configuration: Option<Configuration>,
        }
        #[derive(Deserialize)]
        struct Configuration {
            urls: Option<Urls>,
        }
        #[derive(Deserialize)]
        struct Urls {
            streaming: Option<String>,
        }
        let body = self.get_json(&format!("{}/api/v2/instance", self.server)).await.ok()?;
        let instance: Instance = json::read_exact(&body).ok()?;
        let address = instance.configuration?.urls?.streaming?;
        let address = address.trim_end_matches('/');
        if let Some(rest) = address.strip_prefix("wss://").or_else(|| address.strip_prefix("https://")) {
            return Some(format!("https://{rest}"));
        }
        let rest = address.strip_prefix("ws://").or_else(|| address.strip_prefix("http://"))?;
        let plain = format!("http://{rest}");
        let is_safe = self.token.is_none() || safe_for_token(&plain).is_ok();
        (self.server.starts_with("http://") && is_safe).then_some(plain)
    }

    /// Reads from the timeline what came behind `mark`, oldest first, and tells of what is left out.
    ///
    /// The resume point stays at `mark` meanwhile: what arrives late may have an id in the midst of
    /// what was read.
    async fn fill<I: Intake>(&self, mark: Mark, opened_ms: i64, place: &mut Place, intake: &mut I) {
        let began = Instant::now();
        let mut filled = mark.clone();
        let mut lost = "more came than the timeline may be asked for".to_owned();
        for _ in 0..MAX_PAGES {
            let left = MAX_FILL.saturating_sub(began.elapsed());
            let Ok(page) = timeout(left, self.page(&filled.id)).await else { break };
            let page = page.and_then(|page| match json::read_exact::<Vec<LazyValue<'_>>>(&page) {
                // Newest first.
                Ok(statuses) => Ok(self.page_posts(&statuses, Seen::Between(mark.at_ms, opened_ms), &filled, intake)),
                Err(error) => Err(error.to_string()),
            });
            match page {
                Ok((newest, statuses)) => {
                    intake.flush(None).await;
                    let is_progress = newest.id != filled.id;
                    filled = newest;
                    // Servers leave out what the token's user has blocked, so a page may lack some.
                    if !is_progress || statuses < PAGE / 2 {
                        return place.filled(mark, Mark { id: filled.id, at_ms: opened_ms }, (self.clock)());
                    }
                }
                Err(reason) => {
                    lost = format!("the timeline cannot be read: {reason}");
                    break;
                }
            }
        }
        intake.change(Change::Gap { from_ms: filled.at_ms.min(opened_ms), to_ms: opened_ms, reason: lost });
        place.lose(opened_ms);
        intake.flush(None).await;
    }

    /// Hands on the posts of a page. Gives its newest status, with the time of the one in its middle,
    /// as a single one may claim any time, and the number of statuses.
    fn page_posts<I: Intake>(
        &self,
        statuses: &[LazyValue<'_>],
        seen: Seen,
        before: &Mark,
        intake: &mut I,
    ) -> (Mark, usize) {
        let (mut newest, mut times) = (before.clone(), vec![]);
        for status in statuses.iter().rev() {
            if let Some(Read { id: Some(id), time_ms, .. }) = self.status(status.as_raw_str().as_bytes(), seen, intake)
            {
                times.push(time_ms);
                if is_newer(&id, &newest.id) {
                    newest.id = id;
                }
            }
        }
        times.sort_unstable();
        newest.at_ms = newest.at_ms.max(times.get(times.len() / 2).copied().unwrap_or(i64::MIN));
        (newest, statuses.len())
    }

    /// The page of the timeline behind an id.
    async fn page(&self, id: &str) -> Result<Vec<u8>, String> {
        let address = format!("{}{}min_id={}&limit={PAGE}", self.server, self.feed.timeline(), percent_encoded(id));
        let mut tries = 1;
        loop {
            match self.get_json(&address).await {
                Err(_) if tries < PAGE_TRIES => {
                    sleep(RETRY.0 * tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    fn status<I: Intake>(&self, json: &[u8], seen: Seen, intake: &mut I) -> Option<Read> {
        match read_status(json, seen, &self.key, &mut |post| intake.post(post)) {
            Ok(read) => {
                if !read.is_post {
                    intake.notice();
                }
                Some(read)
            }
            Err(error) => {
                intake.unreadable(error.to_string(), json);
                None
            }
        }
    }

    async fn listen<I: Intake>(&self, mut body: Body, place: &mut Place, intake: &mut I) -> End {
        let (mut lines, mut event) = (Lines::new(MAX_EVENT_BYTES + 64), Event::default());
        loop {
            let chunk = tokio::select! {
                chunk = body.next() => chunk,
                () = sleep_until(Instant::now() + SILENCE) => {
                    return End::Retry(format!("nothing came for {} s, not even a heartbeat", SILENCE.as_secs()));
                }
            };
            let chunk = match chunk {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => return End::Retry(format!("the connection broke: {error}")),
                None => return End::Retry("the server ended the stream".into()),
            };
            let (now_ms, mut events) = ((self.clock)(), 0);
            lines.take(&chunk, |piece| {
                if !event.take(piece) {
                    return;
                }
                events += 1;
                match event.name() {
                    _ if event.is_too_long => intake.unreadable(StatusError::TooLong.to_string(), &event.data),
                    b"update" => {
                        if let Some(Read { id: Some(id), .. }) = self.status(&event.data, Seen::Live(now_ms), intake) {
                            place.saw(id, now_ms);
                        }
                    }
                    // A deletion, a change, an announcement: whatever it is, no new post.
                    _ => intake.notice(),
                }
                event.clear();
            });
            if events > 0 {
                // No id above the mark's was received before it.
                let resume = place.resume().map(|mark| Resume { place: mark.to_string(), since_ms: mark.at_ms });
                intake.flush(resume).await;
            }
        }
    }
}

/// The lines of one event.
#[derive(Default)]
struct Event {
    name: Vec<u8>,
    data: Vec<u8>,
    is_too_long: bool,
}

impl Event {
    /// Takes a line; `true` when the event is complete.
    fn take(&mut self, piece: Piece<'_>) -> bool {
        let line = match piece {
            Piece::Oversize(head) => {
                self.is_too_long = !head.starts_with(b":");
                self.data = head[..head.len().min(512)].to_vec();
                return false;
            }
            Piece::Line(line) => line,
        };
        if line.is_empty() {
            let is_event = !self.name.is_empty() || !self.data.is_empty();
            return is_event;
        }
        let value = |name: &[u8]| line.strip_prefix(name).map(|value| value.strip_prefix(b" ").unwrap_or(value));
        if let Some(name) = value(b"event:") {
            self.name = name.to_vec();
        } else if let Some(data) = value(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            // Many lines may be too long, too.
            if self.data.len() + data.len() > MAX_EVENT_BYTES {
                self.is_too_long = true;
            } else {
                self.data.extend_from_slice(data);
            }
        }
        // Anything else is a comment, such as the heartbeat, or a field that has no meaning here.
        false
    }

    fn name(&self) -> &[u8] {
        &self.name
    }

    fn clear(&mut self) {
        self.name.clear();
        self.data.clear();
        self.is_too_long = false;
    }
}

/// Behind which status, and since when in milliseconds, nobody may have listened.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    id: String,
    at_ms: i64,
}

impl Mark {
    fn parse(text: &str) -> Option<Self> {
        let (id, at_ms) = text.split_once(' ')?;
        Some(Self { id: id.to_owned(), at_ms: at_ms.parse().ok()? })
    }
}

impl fmt::Display for Mark {
    /// As it is stored. Mastodon's ids have milliseconds in front of 16 bits that tell the statuses of one
    /// millisecond apart. Without these the id names no status, and what comes again for it is a duplicate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.parse::<u64>() {
            Ok(id) if self.id.len() >= SNOWFLAKE_DIGITS => write!(f, "{} {}", id >> 16 << 16, self.at_ms),
            _ => write!(f, "{} {}", self.id, self.at_ms),
        }
    }
}

/// The id of the time [`REWIND_MS`] before that of an id with milliseconds in it.
fn earlier_by_rewind(id: &str) -> Option<String> {
    let number: u64 = id.parse().ok().filter(|_| id.len() >= SNOWFLAKE_DIGITS)?;
    Some(number.saturating_sub((REWIND_MS as u64) << 16).to_string())
}

/// Fewest digits of an id with milliseconds in it: those of 2017, when Mastodon began with them, have 17.
const SNOWFLAKE_DIGITS: usize = 17;

/// Where the stream stands: the newest status, and where it was some seconds ago.
#[derive(Debug, Default)]
struct Place {
    newest: Option<Mark>,
    /// Older and younger of the points in the past, and when the younger was taken.
    marks: Option<(Mark, Mark, i64)>,
    /// Since when, in milliseconds, there was neither a status nor a timeline that would tell where we
    /// are.
    blind_since_ms: Option<i64>,
}

impl Place {
    /// What came between the marks is handed on. For a while the older one still counts: what arrives
    /// late may have an id between them.
    fn filled(&mut self, from: Mark, to: Mark, now_ms: i64) {
        self.newest = Some(Mark { id: to.id.clone(), at_ms: now_ms });
        self.marks = Some((from, to, now_ms));
    }

    /// What came before this time is lost and told: the next status is a new begin.
    fn lose(&mut self, since_ms: i64) {
        *self = Self { blind_since_ms: Some(since_ms), ..Self::default() };
    }

    fn set(&mut self, mark: Mark) {
        self.blind_since_ms = None;
        self.marks = Some((mark.clone(), mark.clone(), mark.at_ms));
        self.newest = Some(mark);
    }

    /// A status was handed on.
    fn saw(&mut self, id: String, now_ms: i64) {
        let Some(newest) = &mut self.newest else {
            // What arrives late may have an id before the very first one.
            let id = earlier_by_rewind(&id).unwrap_or(id);
            return self.set(Mark { id, at_ms: now_ms });
        };
        if let Some((older, younger, taken_ms)) = &mut self.marks
            && now_ms - *taken_ms >= REWIND_MS
        {
            // After a long silence both are what was newest before it.
            let is_silence_over = now_ms - newest.at_ms > 2 * REWIND_MS;
            *older = if is_silence_over { newest.clone() } else { younger.clone() };
            *younger = newest.clone();
            *taken_ms = now_ms;
        }
        newest.at_ms = now_ms;
        if is_newer(&id, &newest.id) {
            newest.id = id;
        }
    }

    fn resume(&self) -> Option<Mark> {
        self.marks.as_ref().map(|(older, ..)| older.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_mark_names_no_status_and_lies_before_its_own() {
        let mark = Mark { id: "114567890123456789".into(), at_ms: 7 };
        let stored = Mark::parse(&mark.to_string()).unwrap();
        assert_ne!(stored.id, mark.id);
        assert!(is_newer(&mark.id, &stored.id));
        let text = Mark { id: "AqLmXyZ".into(), at_ms: 7 };
        assert_eq!(Mark::parse(&text.to_string()), Some(text));
    }

    #[test]
    fn the_resume_point_is_some_seconds_back_and_no_further() {
        let mut place = Place::default();
        assert_eq!(place.resume(), None);
        let id = |second: i64| format!("{}", 1000 + second);
        for second in (0..300).chain(5000..5300) {
            place.saw(id(second), second * 1000);
            let back = second * 1000 - place.resume().unwrap().at_ms;
            let is_warm = (40..300).contains(&second) || second > 5040;
            assert!(!is_warm || (15_000..=31_000).contains(&back), "{back} at {second}");
        }
        assert_eq!(Mark::parse(&place.resume().unwrap().to_string()), place.resume());
        // A status that is late does not take the place back.
        place.saw(id(10), 5_300_000);
        assert_eq!(place.newest.unwrap().id, id(5299));
    }

    #[test]
    fn a_long_silence_is_not_gone_back_over() {
        let mut place = Place::default();
        for second in 0..100 {
            place.saw(format!("{}", 1000 + second), second * 1000);
        }
        place.saw("2000".into(), 9_000_000);
        assert_eq!(place.resume(), Some(Mark { id: "1099".into(), at_ms: 99_000 }));
    }

    #[test]
    fn a_token_shows_nowhere() {
        let token = Token::new(" abcSECRETdef\n").unwrap();
        let options = Options { server: "https://m.example".into(), feed: Feed::Local, token: Some(token.clone()) };
        assert!(!format!("{token:?} {options:?} {:?}", token.0).contains("SECRET"));
        let error = Token::new("SECRET\u{7f}").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }

    #[test]
    fn hashtags_are_written_so_that_an_address_takes_them() {
        let feed = Feed::Hashtag("montréal & co".into());
        assert_eq!(feed.stream(), "/api/v1/streaming/hashtag?tag=montr%C3%A9al%20%26%20co");
        assert_eq!(feed.timeline(), "/api/v1/timelines/tag/montr%C3%A9al%20%26%20co?");
    }
}
