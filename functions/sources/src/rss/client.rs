//! Polls a feed.

use std::time::Duration;

use birdsong_domain::post::InstallationKey;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use tokio::time::timeout;

use crate::backoff::Pace;
use crate::http::{Body, Http, printable, read_all};
use crate::intake::{Change, Intake};
use crate::session::{Client, End, Link, Session, Stop, Wait};
use crate::source::{Clock, Context, SourceError};

use super::NAME;
use super::cursor::Cursor;
use super::message::{Feed, MAX_FEED_BYTES, read_feed};

/// Longest wait for an answer, and for its body.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two polls of a feed that says nothing about it, and the shortest that one may ask for.
const POLL_EVERY: Duration = Duration::from_secs(300);
/// Longest time between two polls that a feed may ask for.
const LONGEST_POLL: Duration = Duration::from_secs(3600);
/// Longest wait that a server may ask for after an error.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Waits after a failure.
const RETRY: Pace = Pace::doubling(Duration::from_secs(30), LONGEST_RETRY);
/// Redirects that are followed. A feed needs no token that could go astray.
const MAX_REDIRECTS: usize = 5;
/// Longest name of a source, in bytes.
const MAX_NAME_BYTES: usize = 160;
const FORMATS: &str =
    "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.1";

/// Which feed to poll.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its address.
    pub url: String,
    /// Time between two polls, instead of what the feed asks for.
    pub every: Option<Duration>,
}

/// A client of one feed.
pub struct Rss<H> {
    pub(super) name: String,
    options: Options,
    http: H,
    key: InstallationKey,
    clock: Clock,
    session: Session,
    cursor: Cursor,
}

impl<H: Http + 'static> Rss<H> {
    /// A client that hashes ids with the key of `context`.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn new(options: Options, http: H, context: &Context) -> Result<Self, SourceError> {
        let uri: Option<Uri> = options.url.parse().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")));
        let Some(host) = uri.as_ref().and_then(Uri::host) else {
            return Err(SourceError::Config(format!(
                "{:?} is no address of a feed; write it as {NAME}:https://example.org/feed.xml",
                printable(&options.url)
            )));
        };
        // A query may hold a key, which is nobody's business.
        let name = format!("{NAME}:{}", options.url.split('?').next().unwrap_or_default());
        if name.len() > MAX_NAME_BYTES || host.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SourceError::Config(format!(
                "the address of a feed has at most {MAX_NAME_BYTES} bytes before its query, all of them printable ASCII"
            )));
        }
        let session = Session { clock: context.clock.clone(), jitter: context.jitter, limit: None };
        let (key, clock) = (context.key, context.clock.clone());
        Ok(Self { name, options, http, key, clock, session, cursor: Cursor::default() })
    }

    /// Polls until the feed is gone or until `stop`, from the state of an earlier run on.
    pub(super) async fn run(
        &mut self,
        resume: Option<&str>,
        intake: &mut dyn Intake,
        stop: Stop,
    ) -> Option<SourceError> {
        if let Some(text) = resume {
            match serde_json::from_str(text) {
                Ok(cursor) => self.cursor = cursor,
                Err(_) => return Some(SourceError::Config("the stored state of the feed cannot be read".into())),
            }
        }
        let session = self.session.clone();
        session.run(self, intake, stop).await
    }

    /// Polls for as long as that goes well.
    async fn polls(&mut self, link: &mut Link<'_>) -> End {
        let mut is_connected = false;
        loop {
            let answer = match self.get().await {
                Ok(answer) => answer,
                Err(end) => return end,
            };
            let wait = match self.read(answer, &mut is_connected, link).await {
                Ok(wait) => wait,
                Err(end) => return end,
            };
            link.intake.flush(self.cursor.resume()).await;
            // Feeds that are polled together are not polled in step.
            let jitter = 1.0 + 0.1 * (self.session.jitter)();
            tokio::time::sleep(self.options.every.unwrap_or(wait).mul_f64(jitter)).await;
        }
    }

    /// Asks for the feed, following redirects.
    async fn get(&self) -> Result<Response<Body>, End> {
        let retry = |reason: String| End::Retry(reason, Wait::Paced(RETRY));
        let mut url = self.options.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::get(&url).header(ACCEPT, FORMATS);
            for (name, value) in [(IF_NONE_MATCH, &self.cursor.etag), (IF_MODIFIED_SINCE, &self.cursor.modified)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let request = request.body(Bytes::new()).map_err(|error| retry(error.to_string()))?;
            let answer = match timeout(ANSWER_TIMEOUT, self.http.send(request)).await {
                Err(_) => return Err(retry(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))),
                Ok(Err(error)) => return Err(retry(format!("the feed cannot be reached: {error}"))),
                Ok(Ok(answer)) => answer,
            };
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            let target = header(answer.headers(), LOCATION).and_then(|location| resolve(&url, location));
            url = target.ok_or_else(|| retry("the feed redirects to an address that cannot be used".into()))?;
        }
        Err(retry(format!("the feed redirects more than {MAX_REDIRECTS} times")))
    }

    /// Hands on what an answer brings. Returns how long to wait before the next poll.
    async fn read(
        &mut self,
        answer: Response<Body>,
        is_connected: &mut bool,
        link: &mut Link<'_>,
    ) -> Result<Duration, End> {
        let retry = |reason: String| End::Retry(reason, Wait::Paced(RETRY));
        let (head, body) = answer.into_parts();
        let now_ms = (self.clock)();
        let mut connected = |link: &mut Link<'_>| {
            if !std::mem::replace(is_connected, true) {
                link.connected();
            }
        };
        match head.status {
            StatusCode::OK => (),
            StatusCode::NOT_MODIFIED => {
                connected(link);
                self.cursor.is_unchanged(now_ms);
                return Ok(polite(&head.headers, None));
            }
            StatusCode::GONE => {
                return Err(End::Failed(SourceError::Refused(
                    "the feed is gone for good (410): remove it from --source".into(),
                )));
            }
            status => {
                let asked = header(&head.headers, RETRY_AFTER).and_then(|secs| secs.trim().parse().ok());
                let wait = asked.map(|secs| Wait::For(Duration::from_secs(secs).clamp(POLL_EVERY, LONGEST_RETRY)));
                return Err(End::Retry(format!("status {status}"), wait.unwrap_or(Wait::Paced(RETRY))));
            }
        }
        // One byte more shows that it is longer.
        let bytes = match timeout(ANSWER_TIMEOUT, read_all(body, MAX_FEED_BYTES + 1)).await {
            Err(_) => return Err(retry("the answer does not end".into())),
            Ok(Err(error)) => return Err(retry(format!("the connection broke: {error}"))),
            Ok(Ok(bytes)) if bytes.len() > MAX_FEED_BYTES => {
                return Err(retry(format!("the feed is longer than {} MiB", MAX_FEED_BYTES >> 20)));
            }
            Ok(Ok(bytes)) => bytes,
        };
        let (url, key) = (self.options.url.clone(), self.key);
        let parsed = tokio::task::spawn_blocking(move || (read_feed(&url, &bytes, &key), bytes)).await;
        let Ok((feed, bytes)) = parsed else { return Err(retry("the feed cannot be read".into())) };
        let feed = match feed {
            Ok(feed) => feed,
            Err(error) => {
                link.intake.unreadable(error.to_string(), &bytes[..bytes.len().min(512)]);
                return Err(retry(error.to_string()));
            }
        };
        connected(link);
        self.hand_on(&feed, now_ms, link.intake);
        self.cursor.validate(header(&head.headers, ETAG), header(&head.headers, LAST_MODIFIED));
        Ok(polite(&head.headers, feed.ttl))
    }

    fn hand_on(&mut self, feed: &Feed, now_ms: i64, intake: &mut dyn Intake) {
        let news = self.cursor.poll(&feed.entries, now_ms);
        if let Some((from_ms, to_ms)) = news.gap {
            let reason = "no entry of the last poll is in the feed any more".into();
            intake.change(Change::Gap { from_ms, to_ms, reason });
        }
        news.entries.iter().for_each(|(entry, time_ms)| intake.post(&entry.post(*time_ms)));
        for _ in 0..feed.unreadable {
            intake.unreadable("an entry has no id, or one of more than 4,096 bytes".into(), b"");
        }
    }
}

/// How long a feed asks to wait before the next poll, within bounds.
fn polite(headers: &HeaderMap, ttl: Option<Duration>) -> Duration {
    let max_age = header(headers, CACHE_CONTROL).and_then(|value| {
        let age = value.split(',').find_map(|part| part.trim().strip_prefix("max-age="))?;
        Some(Duration::from_secs(age.parse().ok()?))
    });
    max_age.into_iter().chain(ttl).max().unwrap_or_default().clamp(POLL_EVERY, LONGEST_POLL)
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The address that `location` names, seen from `base`.
fn resolve(base: &str, location: &str) -> Option<String> {
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    let base: Uri = base.parse().ok()?;
    let root = format!("{}://{}", base.scheme_str()?, base.authority()?);
    match location.strip_prefix("//") {
        Some(rest) => Some(format!("{}://{rest}", base.scheme_str()?)),
        None if location.starts_with('/') => Some(format!("{root}{location}")),
        None => {
            let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(format!("{root}{folder}/{location}"))
        }
    }
}

impl<H: Http + 'static> Client for Rss<H> {
    /// A feed has what was not handed on at the next poll, too, so that a stop drops the one under way.
    async fn connect(&mut self, link: &mut Link<'_>) -> End {
        let mut stop = link.stop.clone();
        tokio::select! {
            biased;
            () = stop.wait() => End::Stopped,
            end = self.polls(link) => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_redirects_are_resolved() {
        for (location, wanted) in [
            ("https://b.example/x", "https://b.example/x"),
            ("//b.example/x", "https://b.example/x"),
            ("/x", "https://a.example/x"),
            ("x", "https://a.example/feeds/x"),
        ] {
            assert_eq!(resolve("https://a.example/feeds/all?q=1", location).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn polls_are_as_seldom_as_the_feed_wishes_within_bounds() {
        let headers = |value: &str| HeaderMap::from_iter([(CACHE_CONTROL, value.parse().unwrap())]);
        let secs = |value: &str, ttl| polite(&headers(value), ttl).as_secs();
        assert_eq!(secs("public, max-age=900", None), 900);
        assert_eq!(secs("max-age=1", None), 300);
        assert_eq!(secs("max-age=99999999", None), 3600);
        assert_eq!(secs("no-cache", Some(Duration::from_secs(1800))), 1800);
    }
}
