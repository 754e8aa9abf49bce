//! A scripted Mastodon server with scripted faults.
//!
//! What it sends follows from a seed alone, so two runs see the same statuses.

mod entities;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::source::Clock;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use birdsong_domain::time::rfc3339;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::fake::{Fake, Kept, Order, Pace, Started, is_at, until_trouble};

/// How often the server sends a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Most statuses on a page.
const PAGE: usize = 40;
/// Statuses of other servers arrive up to this late, under an id that contains the time of writing.
const LATEST_MS: i64 = 8_000;

/// The fake of Mastodon in the table of sources.
pub(crate) const FAKE: Fake = Fake {
    scripts: &[
        ("normal", "posts, and no trouble"),
        ("trouble", "all kinds of trouble now and then, without end"),
        ("silence", "not a byte on an open connection now and then"),
        ("errors", "breaks the connection now and then, and answers 503 for some seconds"),
    ],
    switches: &[],
    start,
};

fn start(order: &Order, listener: tokio::net::TcpListener) -> Started {
    let mut script = Script::calm(order.seed, order.start_ms(), order.rate);
    script.troubles = match order.script.as_str() {
        "trouble" => Trouble::ALL.to_vec(),
        "silence" => vec![Trouble::Silence],
        "errors" => vec![Trouble::Down],
        _ => vec![],
    };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let server = Instance::new(script, order.clock.clone());
    Started {
        source: format!("mastodon:localhost?url=http://{address}"),
        environment: vec![],
        serving: server.listen(listener).boxed(),
    }
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection breaks.
    Cut,
    /// It breaks within a line.
    HalfLine,
    /// The server ends the stream in good order.
    End,
    /// It breaks, and the next answers for some seconds are errors.
    Down,
    /// Nothing for 100 s, not even heartbeats; then it breaks.
    Silence,
    /// An update that is not UTF-8.
    BadUtf8,
    /// An update that is no whole JSON.
    Garbage,
    /// An event of nearly a megabyte.
    Long,
    /// An event of two.
    TooLong,
    /// Events of kinds that are not known, comments, and lines that end with `\r\n`.
    Odd,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Cut,
        Self::HalfLine,
        Self::End,
        Self::Down,
        Self::Silence,
        Self::BadUtf8,
        Self::Garbage,
        Self::Long,
        Self::TooLong,
        Self::Odd,
    ];
}

/// What is sent, and which faults happen.
#[derive(Clone, Debug)]
pub struct Script {
    /// Of the statuses and of the troubles.
    pub seed: u64,
    /// Time of the first event, in milliseconds.
    pub start_ms: i64,
    /// Events a second.
    pub per_sec: u32,
    /// Number of the first event behind which there are only heartbeats.
    pub until: Option<u64>,
    /// The access token that it requires, if any.
    pub token: Option<String>,
    /// From when on the token is no longer good, in milliseconds.
    pub revoked_from_ms: Option<i64>,
    /// Troubles to choose from; none is a calm server.
    pub troubles: Vec<Trouble>,
    /// Events between two troubles, on average.
    pub every_events: u64,
    /// No troubles from this time on, in milliseconds.
    pub calm_from_ms: Option<i64>,
    /// The streaming address in `/api/v2/instance`.
    pub streaming: Option<String>,
    /// Status of the timeline when it is not for us.
    pub timeline_status: Option<u16>,
    /// The authors' servers send true times, so that a status has the same time whether it is seen
    /// live or later in the timeline.
    pub is_honest: bool,
}

impl Script {
    /// A calm server without a token whose first event is at `start_ms`.
    #[must_use]
    pub fn calm(seed: u64, start_ms: i64, per_sec: u32) -> Self {
        Self {
            seed,
            start_ms,
            per_sec,
            until: None,
            token: None,
            revoked_from_ms: None,
            troubles: vec![],
            every_events: 100,
            calm_from_ms: None,
            streaming: None,
            timeline_status: None,
            is_honest: false,
        }
    }
}

/// What the server has observed of its clients.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Streams opened.
    pub streams: u64,
    /// Pages of the timeline served.
    pub pages: u64,
    /// Paths asked for, with the number of requests.
    pub paths: HashMap<String, u64>,
    down_until_ms: i64,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A new status.
    Update(Value),
    /// A status was changed.
    Edit(Value),
    /// A status is gone; often an unknown one.
    Delete(String),
}

/// The server.
pub struct Instance {
    script: Script,
    /// In milliseconds.
    pace: Pace,
    clock: Clock,
    activity: Kept<Activity>,
}

impl Instance {
    /// A server that has the events up to `clock`.
    #[must_use]
    pub fn new(script: Script, clock: Clock) -> Arc<Self> {
        let pace = Pace::new(script.seed, script.start_ms, 1000 / i64::from(script.per_sec));
        Arc::new(Self { script, pace, clock, activity: Kept::default() })
    }

    /// Client activity so far.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.activity.with(|activity| activity.clone())
    }

    /// When event `n` reaches this server, in milliseconds.
    #[must_use]
    pub fn time_ms(&self, n: u64) -> i64 {
        self.pace.time(n)
    }

    /// Number of the first event at or behind this time.
    #[must_use]
    pub fn first_from(&self, time_ms: i64) -> u64 {
        self.pace.first_from(time_ms)
    }

    /// Event `n`; `None` when there are no more.
    #[must_use]
    pub fn event(&self, n: u64) -> Option<Event> {
        if self.script.until.is_some_and(|until| n >= until) {
            return None;
        }
        let dice = &mut Dice::of(&[self.script.seed, n, 2]);
        let roll = dice.below(100);
        let status = self.status(n, dice);
        Some(match roll {
            0..75 => Event::Update(status),
            75..85 => Event::Edit(status),
            _ => Event::Delete(format!("{}", n << 20)),
        })
    }

    /// The time inside the id of status `n`.
    fn id_ms(&self, n: u64) -> i64 {
        let dice = &mut Dice::of(&[self.script.seed, n, 5]);
        let late_ms = if dice.percent(30) { dice.below(LATEST_MS as u64) as i64 } else { 0 };
        self.time_ms(n) - late_ms
    }

    fn id(&self, n: u64) -> String {
        ((self.id_ms(n) as u64) << 16 | (n & 0xffff)).to_string()
    }

    fn status(&self, n: u64, dice: &mut Dice) -> Value {
        let author = dice.below(500);
        let host = ["here.example", "remote.example", "other.example"][(author % 3) as usize];
        let created = match dice.below(20) {
            _ if self.script.is_honest => rfc3339(self.time_ms(n)),
            0 => "1999-01-01T00:00:00.000Z".into(),
            1 => "2091-01-01T00:00:00.000Z".into(),
            _ => rfc3339(self.time_ms(n)),
        };
        let mut content = String::from("<p>");
        for _ in 0..3 + dice.below(6) {
            let _ = write!(content, "{} ", dice.pick(&WORDS));
        }
        let mut tags = vec![];
        if dice.percent(40) {
            let tag = *dice.pick(&TAGS);
            let _ = write!(
                content,
                "<a href=\"https://{host}/tags/{tag}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
            );
            tags.push(json!({"name": tag, "url": format!("https://{host}/tags/{tag}")}));
        }
        if dice.percent(20) {
            content.push_str("<br /><a href=\"https://www.news.example/a?b=1&amp;c=2\" rel=\"nofollow\">news</a>");
        }
        content.push_str("</p>");
        let quote = dice.below(20);
        let language = *dice.pick(&[Some("en"), Some("fr"), Some("fr-CA"), Some("ja"), None]);
        let is_reply = dice.percent(20);
        let mut status = json!({
            "id": self.id(n), "uri": format!("https://{host}/users/u{author}/statuses/{n}"),
            "url": format!("https://{host}/@u{author}/{n}"), "created_at": created, "edited_at": null,
            "in_reply_to_id": is_reply.then_some("1"), "in_reply_to_account_id": is_reply.then_some("5"),
            "visibility": "public", "sensitive": false,
            "spoiler_text": if dice.percent(5) { "métro" } else { "" }, "language": language, "content": content,
            "reblog": null, "quote": null, "account": entities::account(author, host),
            "mentions": if dice.percent(20) { json!([entities::mention()]) } else { json!([]) },
            "tags": tags, "media_attachments": [], "emojis": [],
            "card": if dice.percent(10) { entities::card() } else { Value::Null },
            "poll": null, "replies_count": 0, "reblogs_count": 0, "favourites_count": 0, "quotes_count": 0
        });
        match quote {
            0 => {
                let mut quoted = status.clone();
                (quoted["id"], quoted["content"], quoted["tags"]) = ("1".into(), "<p>words</p>".into(), json!([]));
                status["quote"] = json!({"state": "accepted", "quoted_status": quoted});
            }
            1 => status["quote"] = json!({"state": "revoked", "quoted_status": null}),
            _ => (),
        }
        status
    }

    /// Its routes: stream, timeline and instance. As at Mastodon, a path may end with a slash.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/api/v1/instance", get(instance_v1))
            .route("/api/v1/instance/", get(instance_v1))
            .route("/api/v2/instance", get(instance))
            .route("/api/v2/instance/", get(instance))
            .route("/api/v1/streaming/health", get(|| async { "OK" }))
            .route("/api/v1/streaming/public", get(stream))
            .route("/api/v1/streaming/public/local", get(stream))
            .route("/api/v1/streaming/public/remote", get(stream))
            .route("/api/v1/streaming/hashtag", get(stream))
            .route("/api/v1/streaming/hashtag/local", get(stream))
            .route("/api/v1/streaming/{other}", get(|| async { error(400, "Unknown channel requested") }))
            .route("/api/v1/timelines/public", get(timeline))
            .route("/api/v1/timelines/tag/{tag}", get(timeline))
            .with_state(self.clone())
    }

    /// The newest statuses that a timeline carries, newest first.
    fn newest(&self, feed: &Feed, limit: usize) -> Vec<Value> {
        let mut found = vec![];
        let mut full_at_ms = None;
        for n in (0..self.first_from((self.clock)() + 1)).rev() {
            // What arrived before may still have an id behind that of the last one.
            if full_at_ms.is_some_and(|full_at_ms| self.time_ms(n) < full_at_ms - LATEST_MS) {
                break;
            }
            if let Some(Event::Update(status)) = self.event(n)
                && feed.carries(&status)
            {
                found.push((Reverse(self.id(n).parse::<u64>().unwrap_or(0)), status));
                if found.len() == limit {
                    full_at_ms = Some(self.time_ms(n));
                }
            }
        }
        found.sort_by_key(|(id, _)| *id);
        found.into_iter().take(limit).map(|(_, status)| status).collect()
    }

    /// The streaming address in its answers: of the script, or the one of the request.
    fn streaming(&self, headers: &HeaderMap) -> Option<String> {
        let asked = || headers.get(header::HOST)?.to_str().ok().map(|host| format!("ws://{host}"));
        self.script.streaming.clone().or_else(asked)
    }

    /// Accepts connections forever.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn listen(self: Arc<Self>, listener: tokio::net::TcpListener) -> io::Result<()> {
        axum::serve(listener, self.router()).await
    }

    /// Whether a request may not be answered, and how.
    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let now_ms = (self.clock)();
        let (down_until_ms, requests) = self.activity.with(|activity| {
            let requests = activity.paths.entry(path.to_owned()).or_default();
            *requests += 1;
            (activity.down_until_ms, *requests)
        });
        if now_ms < down_until_ms {
            let status = *Dice::of(&[self.script.seed, requests, 6]).pick(&[429, 500, 502, 503]);
            return Some(error(status, "not now"));
        }
        let wanted = self.script.token.as_ref().map(|token| format!("Bearer {token}"));
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let is_revoked = is_at(self.script.revoked_from_ms, now_ms);
        (wanted.is_some() && (given != wanted.as_deref() || is_revoked)).then(|| error(401, "Invalid access token"))
    }

    fn draw(&self, dice: &mut Dice) -> u64 {
        let is_calm = self.script.troubles.is_empty() || is_at(self.script.calm_from_ms, (self.clock)());
        until_trouble(dice, is_calm, self.script.every_events)
    }

    /// Writes the stream until the client is gone or a fault ends it.
    async fn write(&self, out: &Out, number: u64, feed: &Feed) -> Result<(), Over> {
        let dice = &mut Dice::of(&[self.script.seed, number, 3]);
        let mut next = self.first_from((self.clock)());
        let mut until_trouble = self.draw(dice);
        out.text(":)\n").await?;
        let mut beat_at = Instant::now() + HEARTBEAT;
        loop {
            let now_ms = (self.clock)();
            if is_at(self.script.revoked_from_ms, now_ms) {
                return Ok(());
            }
            while self.time_ms(next) <= now_ms {
                if until_trouble == 0 {
                    until_trouble = self.draw(dice);
                    self.go_wrong(out, dice).await?;
                    continue;
                }
                until_trouble -= 1;
                match self.event(next) {
                    Some(Event::Update(status)) if feed.carries(&status) => {
                        out.event("update", &status.to_string()).await?;
                    }
                    Some(Event::Edit(status)) if feed.carries(&status) => {
                        out.event("status.update", &status.to_string()).await?;
                    }
                    Some(Event::Delete(id)) => out.event("delete", &id).await?,
                    Some(Event::Update(_) | Event::Edit(_)) | None => (),
                }
                next += 1;
            }
            if Instant::now() >= beat_at {
                out.text(":thump\n").await?;
                beat_at += HEARTBEAT;
            }
            let wait = Duration::from_millis((self.time_ms(next) - (self.clock)()).max(1) as u64);
            tokio::select! {
                () = sleep(wait.min(beat_at.saturating_duration_since(Instant::now()))) => (),
                () = out.0.closed() => return Err(Over),
            }
        }
    }

    async fn go_wrong(&self, out: &Out, dice: &mut Dice) -> Result<(), Over> {
        match *dice.pick(&self.script.troubles) {
            Trouble::Cut => out.cut().await,
            Trouble::HalfLine => {
                out.text("event: update\ndata: {\"id\":\"1\",\"uri\":\"https://rem").await?;
                out.cut().await
            }
            Trouble::End => Err(Over),
            Trouble::Down => {
                let until_ms = (self.clock)() + 1000 + dice.below(20_000) as i64;
                self.activity.with(|activity| activity.down_until_ms = until_ms);
                out.cut().await
            }
            Trouble::Silence => {
                tokio::select! {
                    () = sleep(Duration::from_secs(100)) => (),
                    () = out.0.closed() => (),
                }
                out.cut().await
            }
            Trouble::BadUtf8 => out.bytes(b"event: update\ndata: {\"id\":\"1\",\"uri\":\"\xff\xfe\"}\n\n").await,
            Trouble::Garbage => out.event("update", "{\"id\":\"1\",\"uri\":\"https://x").await,
            Trouble::Long => out.event("announcement", &json!({"content": "x".repeat(1_000_000)}).to_string()).await,
            Trouble::TooLong => out.event("update", &json!({"content": "x".repeat(2_000_000)}).to_string()).await,
            Trouble::Odd => {
                out.text(":\n\n\n: a comment\r\nevent: new.kind\r\ndata: 1\r\ndata: 2\r\n\r\nretry: 5\n\n").await
            }
        }
    }
}

/// The stream has ended.
struct Over;

/// The body of an answer.
struct Out(mpsc::Sender<io::Result<Bytes>>);

impl Out {
    async fn bytes(&self, bytes: &'static [u8]) -> Result<(), Over> {
        self.0.send(Ok(Bytes::from_static(bytes))).await.map_err(|_| Over)
    }

    async fn text(&self, text: &'static str) -> Result<(), Over> {
        self.bytes(text.as_bytes()).await
    }

    /// In two chunks, cut somewhere.
    async fn event(&self, name: &str, data: &str) -> Result<(), Over> {
        let mut bytes = Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
        let rest = bytes.split_off(bytes.len() * 2 / 3);
        self.0.send(Ok(bytes)).await.map_err(|_| Over)?;
        self.0.send(Ok(rest)).await.map_err(|_| Over)
    }

    async fn cut(&self) -> Result<(), Over> {
        let _ = self.0.send(Err(io::ErrorKind::ConnectionReset.into())).await;
        Err(Over)
    }
}

fn error(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(json!({"error": text}))).into_response()
}

async fn instance(State(server): State<Arc<Instance>>, headers: HeaderMap) -> Response {
    axum::Json(entities::instance(server.streaming(&headers).as_deref())).into_response()
}

async fn instance_v1(State(server): State<Arc<Instance>>, headers: HeaderMap) -> Response {
    axum::Json(entities::instance_v1(server.streaming(&headers).as_deref())).into_response()
}

/// Which statuses a stream or a timeline carries.
#[derive(Clone, Debug, Default)]
struct Feed {
    is_local: bool,
    is_remote: bool,
    tag: Option<String>,
}

impl Feed {
    /// As the path of a stream names it.
    fn of_stream(path: &str, query: &HashMap<String, String>) -> Self {
        Self {
            is_local: path.ends_with("/local"),
            is_remote: path.ends_with("/remote"),
            tag: query.get("tag").filter(|_| path.contains("/hashtag")).map(|tag| tag.to_lowercase()),
        }
    }

    /// As the parameters of a timeline name it.
    fn of_timeline(tag: Option<&str>, query: &HashMap<String, String>) -> Self {
        let is_set = |name: &str| query.get(name).is_some_and(|value| matches!(value.as_str(), "true" | "1"));
        Self { is_local: is_set("local"), is_remote: is_set("remote"), tag: tag.map(str::to_lowercase) }
    }

    fn carries(&self, status: &Value) -> bool {
        let is_remote = status["account"]["acct"].as_str().is_some_and(|acct| acct.contains('@'));
        let has = |tag: &str| status["tags"].as_array().into_iter().flatten().any(|one| one["name"] == tag);
        !(self.is_local && is_remote || self.is_remote && !is_remote) && self.tag.as_deref().is_none_or(has)
    }
}

async fn stream(
    State(server): State<Arc<Instance>>,
    Query(query): Query<HashMap<String, String>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = server.refusal(uri.path(), &headers) {
        return refusal;
    }
    let feed = Feed::of_stream(uri.path(), &query);
    if uri.path().contains("/hashtag") && feed.tag.as_deref().is_none_or(str::is_empty) {
        return error(400, "Missing tag name parameter");
    }
    let number = server.activity.with(|activity| {
        activity.streams += 1;
        activity.streams
    });
    let (out, mut chunks) = mpsc::channel(64);
    tokio::spawn(async move {
        let _ = server.write(&Out(out), number, &feed).await;
    });
    let body = Body::from_stream(futures_util::stream::poll_fn(move |context| chunks.poll_recv(context)));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn timeline(
    State(server): State<Arc<Instance>>,
    tag: Option<Path<String>>,
    Query(query): Query<HashMap<String, String>>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Result<Response, Infallible> {
    if let Some(refusal) = server.refusal(uri.path(), &headers) {
        return Ok(refusal);
    }
    if let Some(status) = server.script.timeline_status {
        return Ok(error(status, "This method requires an authenticated user"));
    }
    server.activity.with(|activity| activity.pages += 1);
    let feed = Feed::of_timeline(tag.as_ref().map(|Path(tag)| tag.as_str()), &query);
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).min(PAGE);
    let Some(min_id) = query.get("min_id").and_then(|id| id.parse::<u64>().ok()) else {
        return Ok(axum::Json(server.newest(&feed, limit)).into_response());
    };
    let now_ms = (server.clock)();
    let mut found = vec![];
    // What arrives within the longest delay of the last one may still come before it.
    let mut full_at_ms = None;
    for n in server.first_from((min_id >> 16) as i64).. {
        let time_ms = server.time_ms(n);
        if time_ms > now_ms || full_at_ms.is_some_and(|full_at_ms| time_ms > full_at_ms + LATEST_MS) {
            break;
        }
        match server.event(n) {
            Some(Event::Update(status)) if feed.carries(&status) => {
                let id: u64 = server.id(n).parse().unwrap_or(0);
                if id > min_id {
                    found.push((id, status));
                    if found.len() == limit {
                        full_at_ms = Some(time_ms);
                    }
                }
            }
            Some(_) => (),
            None => break,
        }
    }
    found.sort_by_key(|(id, _)| *id);
    let page: Vec<_> = found.into_iter().take(limit).rev().map(|(_, status)| status).collect();
    Ok(axum::Json(page).into_response())
}

const WORDS: [&str; 14] = [
    "harbour",
    "sunrise",
    "match",
    "tonight",
    "rain &amp; snow",
    "Montréal",
    "métro",
    "coffee",
    "déjà vu",
    "東京",
    "🚀",
    "train",
    "strike",
    "bridge",
];
const TAGS: [&str; 6] = ["wx", "gohabsgo", "montréal", "photo", "東京", "jazz"];
