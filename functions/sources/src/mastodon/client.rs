//! One connection to a server's event stream.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode, Uri};
use serde::Deserialize;
use tokio::time::timeout;

use birdsong_domain::post::InstallationKey;

use crate::backoff::Pace;
use crate::http::{Body, Http, HttpError, Token, printable, read_all, safe_for_token};
use crate::intake::{Change, Intake, Resume};
use crate::json;
use crate::lines::Lines;
use crate::session::{Client, Dead, End, Link, ReadAhead, Session, Stop, Wait, Watchdog};
use crate::source::{Clock, Context, SourceError};
use crate::sse::Event;

use super::cursor::{Cursor, Position};
use super::status::{Read, Seen, StatusError, read_status};
use super::{Feed, NAME, TOKEN};

/// Longest event that is read; statuses have 2 to 4 KB.
pub(super) const MAX_EVENT_BYTES: usize = 1 << 20;
/// Longest answer that is read, such as a page of the timeline.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes that are read from the socket and wait to be parsed.
const READ_AHEAD_BYTES: u32 = 4 << 20;
/// Three heartbeats: a connection without any byte for this long is dead.
const WATCHDOG: Watchdog = Watchdog { silence: Duration::from_secs(45), quiet: Duration::from_secs(45) };
/// Waits before the next attempt.
const RETRY: Pace = Pace::doubling(Duration::from_secs(1), Duration::from_secs(60));

/// Which statuses to request from whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the server, such as `https://mastodon.example`.
    pub server: String,
    /// Which statuses.
    pub feed: Feed,
    /// Access token of a user. Most servers require one.
    pub token: Option<Token>,
}

/// A client of one server.
pub struct Mastodon<H> {
    /// Without a slash at its end.
    pub(super) server: String,
    pub(super) host: String,
    pub(super) feed: Feed,
    token: Option<Token>,
    http: H,
    key: InstallationKey,
    pub(super) clock: Clock,
    session: Session,
    pub(super) position: Position,
}

impl<H: Http + 'static> Mastodon<H> {
    /// A client that hashes ids with the key of `context`.
    ///
    /// # Errors
    /// When the options cannot be used.
    pub fn new(options: Options, http: H, context: &Context) -> Result<Self, SourceError> {
        let server = options.server.trim().trim_end_matches('/').to_owned();
        let uri: Option<Uri> = server.parse().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.path() == "/");
        let Some(host) = uri.as_ref().and_then(Uri::host).map(str::to_owned) else {
            return Err(SourceError::Config(format!(
                "{server:?} is no Mastodon server; write it as https://mastodon.example"
            )));
        };
        if matches!(&options.feed, Feed::Hashtag(tag) if tag.is_empty() || tag.starts_with('#')) {
            return Err(SourceError::Config("write the hashtag of a Mastodon stream without #".into()));
        }
        let Options { feed, token, .. } = options;
        if token.is_some() {
            safe_for_token(&server)?;
        }
        let session = Session { clock: context.clock.clone(), jitter: context.jitter, limit: None };
        let position = Position::default();
        let (key, clock) = (context.key, context.clock.clone());
        Ok(Self { server, host, feed, token, http, key, clock, session, position })
    }

    /// Streams until the server refuses for good or until `stop`: from now on, and before that what has come
    /// since `resume`, a cursor of an earlier run.
    pub(super) async fn run(
        &mut self,
        resume: Option<&str>,
        intake: &mut dyn Intake,
        stop: Stop,
    ) -> Option<SourceError> {
        if let Some(text) = resume {
            let Some(cursor) = Cursor::parse(text) else {
                return Some(SourceError::Config(format!("the stored cursor {text:?} is no id and time")));
            };
            self.position.set(cursor);
        }
        let session = self.session.clone();
        session.run(self, intake, stop).await
    }

    async fn connection(&mut self, link: &mut Link<'_>) -> End {
        let retry = |reason| End::Retry(reason, Wait::Paced(RETRY));
        let streaming = self.discover().await.unwrap_or_else(|| self.server.clone());
        let answer = match self.get(&format!("{streaming}{}", self.feed.stream()), "text/event-stream").await {
            Ok(answer) => answer,
            Err(reason) => return retry(reason),
        };
        let status = answer.status();
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        if status != StatusCode::OK {
            return self.refused(status, answer.into_body()).await;
        }
        if !kind.starts_with("text/event-stream") {
            return retry(format!("the server answers with {kind:?} and not with events"));
        }
        let opened_ms = (self.clock)();
        let chunks = ReadAhead::new(answer.into_body(), WATCHDOG, READ_AHEAD_BYTES, self.clock.clone(), |chunk| {
            Some(chunk.as_ref().map_or(0, Bytes::len))
        });
        link.connected();
        link.intake.flush(None).await;
        if let Some(cursor) = self.position.resume() {
            self.fill(cursor, opened_ms, link.intake).await;
        } else if let Some(from_ms) = self.position.blind_since_ms {
            let reason = "there was no status to continue from in the timeline".into();
            link.intake.change(Change::Gap { from_ms, to_ms: opened_ms, reason });
            self.position.lose(opened_ms);
            link.intake.flush(None).await;
        }
        retry(self.listen(chunks, link.intake).await)
    }

    /// Why the stream was refused, and whether it will be again.
    async fn refused(&self, status: StatusCode, body: Body) -> End {
        let body = timeout(ANSWER_TIMEOUT, read_all(body, 4096)).await.ok().and_then(Result::ok).unwrap_or_default();
        let said = printable(&String::from_utf8_lossy(&body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => End::Failed(SourceError::Refused(format!(
                "{} refuses access to its stream ({status}). Log in there, create an application with the scope \
                 read:statuses under Preferences, Development, and put its access token into {TOKEN} or into a \
                 file named by {TOKEN}_FILE. If it is there already, it was revoked, or the server has \
                 closed its public streams",
                self.host
            ))),
            StatusCode::BAD_REQUEST => {
                End::Failed(SourceError::Config(format!("{} rejects the request: {said}", self.host)))
            }
            _ => End::Retry(format!("status {status} {said}"), Wait::Paced(RETRY)),
        }
    }

    async fn get(&self, address: &str, accept: &'static str) -> Result<Response<Body>, String> {
        let mut request = Request::get(address).header(ACCEPT, accept);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
        match timeout(ANSWER_TIMEOUT, self.http.send(request)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
        }
    }

    pub(super) async fn get_json(&self, address: &str) -> Result<Vec<u8>, String> {
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

    /// The host of the streams, where the server names another one. The token goes there, so
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
        let body = match self.get_json(&format!("{}/api/v2/instance", self.server)).await {
            Ok(body) => body,
            Err(reason) => {
                tracing::debug!(source = NAME, "the server does not name its streaming host: {reason}");
                return None;
            }
        };
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

    /// Hands on the post of a status.
    pub(super) fn status(&self, json: &[u8], seen: Seen, intake: &mut dyn Intake) -> Option<Read> {
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

    /// Hands on events until the connection ends; returns why.
    async fn listen(&mut self, mut chunks: ReadAhead<Result<Bytes, HttpError>>, intake: &mut dyn Intake) -> String {
        let (mut lines, mut event) = (Lines::new(MAX_EVENT_BYTES + 64), Event::new(MAX_EVENT_BYTES));
        loop {
            let chunk = match chunks.next().await {
                None => return "the server ended the stream".into(),
                Some(Err(Dead::Silent | Dead::Quiet)) => {
                    return format!("nothing came for {} s, not even a heartbeat", WATCHDOG.silence.as_secs());
                }
                Some(Ok(chunk)) => chunk,
            };
            let bytes = match &chunk.item {
                Ok(bytes) => bytes,
                Err(error) => return format!("the connection broke: {error}"),
            };
            let (now_ms, mut events) = (chunk.at_ms, 0);
            lines.take(bytes, |piece| {
                if !event.add(piece) {
                    return;
                }
                events += 1;
                match event.name() {
                    _ if event.is_too_long() => intake.unreadable(StatusError::TooLong.to_string(), event.data()),
                    b"update" => {
                        if let Some(Read { id: Some(id), .. }) = self.status(event.data(), Seen::Live(now_ms), intake) {
                            self.position.saw(id, now_ms);
                        }
                    }
                    // A deletion, a change, an announcement: anything but a new post.
                    _ => intake.notice(),
                }
                event.clear();
            });
            if events > 0 {
                // No id above the cursor's was received before it.
                let resume = self.position.resume();
                let resume = resume.map(|cursor| Resume { cursor: cursor.to_string(), since_ms: cursor.at_ms });
                intake.flush(resume).await;
            }
        }
    }
}

impl<H: Http + 'static> Client for Mastodon<H> {
    /// What its server has not handed on yet comes again at the next start, so that a stop drops the connection.
    async fn connect(&mut self, link: &mut Link<'_>) -> End {
        let mut stop = link.stop.clone();
        tokio::select! {
            biased;
            () = stop.wait() => End::Stopped,
            end = self.connection(link) => end,
        }
    }
}
