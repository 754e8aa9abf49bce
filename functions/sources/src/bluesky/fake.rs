//! A scripted Jetstream server (first wire format) with scripted faults.
//!
//! What it sends follows from a seed alone, so two runs see the same events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::bluesky::{Dial, POST, REPOST};
use crate::source::Clock;
use birdsong_domain::time::rfc3339;
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::dice::Dice;
use crate::fake::{Fake, Kept, Order, Pace, Started, is_at, until_trouble};

/// How often the server pings.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A reader that reads nothing for this long is dropped.
const WRITE_DEADLINE: Duration = Duration::from_secs(5);
/// Events between two looks at the client's messages.
const BATCH: usize = 128;
/// Caps of the real server.
const MAX_COLLECTIONS: usize = 100;

/// How often a host of the second kind seals its archive.
const SEAL_EVERY: Duration = Duration::from_secs(3600);
/// How much of the past such a host has more, in milliseconds.
const SEALED_PAST_MS: i64 = 3_000_000;

/// The fake of Bluesky in the table of sources.
pub(crate) const FAKE: Fake = Fake {
    scripts: &[
        ("normal", "posts, and no trouble"),
        ("trouble", "all kinds of trouble now and then, without end"),
        ("silence", "not a byte on an open connection now and then"),
        ("keep-alives", "pings and no post now and then"),
        ("errors", "closes now and then, and answers 503 for some seconds"),
        (
            "replay",
            "a host of the second kind, which starts up to an hour before a young cursor, and closes now and then",
        ),
        ("future", "posts now and then whose time lies far in the future"),
    ],
    switches: &[],
    start,
};

fn start(order: &Order, listener: TcpListener) -> Started {
    let is_replay = order.script == "replay";
    let start_ms = order.start_ms() - if is_replay { SEALED_PAST_MS } else { 0 };
    let mut script = Script::calm(order.seed, start_ms, order.rate);
    script.seal_every = is_replay.then_some(SEAL_EVERY);
    script.troubles = match order.script.as_str() {
        "trouble" => Trouble::ALL.to_vec(),
        "silence" => vec![Trouble::Silence],
        "keep-alives" => vec![Trouble::Quiet],
        "errors" => vec![Trouble::GoAway],
        "replay" => vec![Trouble::Cut],
        "future" => vec![Trouble::Future],
        _ => vec![],
    };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let server = Jetstream::new(script, order.clock.clone());
    Started {
        source: format!("bluesky:?host=ws://{address}"),
        environment: vec![],
        serving: async move {
            server.listen(listener).await;
            Ok(())
        }
        .boxed(),
    }
}

/// The content id of every record, of no content at all.
const CID: &str = "bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The same of a picture.
const BLOB_CID: &str = "bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Close 1001, then 503 for some seconds.
    GoAway,
    /// The connection breaks.
    Cut,
    /// It breaks within a frame.
    HalfFrame,
    /// A text frame that is not UTF-8.
    BadUtf8,
    /// Nothing for 10 to 100 s, not even pings.
    Silence,
    /// Only pings for 10 to 200 s.
    Quiet,
    /// A message that is no whole JSON.
    Garbage,
    /// A message of a megabyte.
    Long,
    /// A message of two, longer than any reader should accept.
    TooLong,
    /// Up to 50 events once more.
    Repeat,
    /// A post whose time is more than ten minutes ahead, up to the end of time.
    Future,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::GoAway,
        Self::Cut,
        Self::HalfFrame,
        Self::BadUtf8,
        Self::Silence,
        Self::Quiet,
        Self::Garbage,
        Self::Long,
        Self::TooLong,
        Self::Repeat,
        Self::Future,
    ];
}

/// What is sent, and which faults happen.
#[derive(Clone, Debug)]
pub struct Script {
    /// Of the events and of the troubles.
    pub seed: u64,
    /// Time of the first event, in milliseconds.
    pub start_ms: i64,
    /// Events a second.
    pub per_sec: u32,
    /// Number of the first event behind which there are only notices.
    pub posts_until: Option<u64>,
    /// Troubles to choose from; none is a calm server.
    pub troubles: Vec<Trouble>,
    /// Events between two troubles, on average.
    pub every_events: u64,
    /// No troubles from this time on, in milliseconds.
    pub calm_from_ms: Option<i64>,
    /// How long events are kept.
    pub retention: Duration,
    /// An event that is no UTF-8, each time it is sent.
    pub poison: Option<u64>,
    /// By how much the clock of each host is ahead, in microseconds.
    pub skew_us: Vec<i64>,
    /// For `compress=true`; without one it is refused.
    pub dictionary: Option<Vec<u8>>,
    /// Hosts of the second kind, which seal their archive this often: a cursor younger than the last seal
    /// starts at that seal, without notice, and events have their number beside their time
    /// (bluesky-social/jetstream, issue 343). `None` is the first kind, which starts at the cursor.
    pub seal_every: Option<Duration>,
}

impl Script {
    /// A calm server whose first event is at `start_ms`.
    #[must_use]
    pub fn calm(seed: u64, start_ms: i64, per_sec: u32) -> Self {
        Self {
            seed,
            start_ms,
            per_sec,
            posts_until: None,
            troubles: vec![],
            every_events: 500,
            calm_from_ms: None,
            retention: Duration::from_secs(36 * 3600),
            poison: None,
            skew_us: vec![],
            dictionary: None,
            seal_every: None,
        }
    }
}

/// What the server has observed of its clients.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// The cursor of each connection that asked for the stream.
    pub cursors: Vec<Option<i64>>,
    /// Answers to pings.
    pub pongs: u64,
    /// Clients dropped because they did not read.
    pub slow: u64,
    /// Messages sent.
    pub sent: u64,
    /// Among them those from before the cursor of their connection.
    pub replayed: u64,
    /// Until when each host refuses, in milliseconds.
    down_until_ms: Vec<i64>,
}

/// The server; several hosts of it send the same events.
pub struct Jetstream {
    script: Script,
    /// In microseconds.
    pace: Pace,
    clock: Clock,
    activity: Kept<Activity>,
}

impl Jetstream {
    /// A server that has the events up to `clock`.
    #[must_use]
    pub fn new(script: Script, clock: Clock) -> Arc<Self> {
        let pace = Pace::new(script.seed, script.start_ms * 1000, 1_000_000 / i64::from(script.per_sec));
        Arc::new(Self { script, pace, clock, activity: Kept::default() })
    }

    /// Client activity so far.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.activity.with(|activity| activity.clone())
    }

    /// When event `n` happened, in microseconds.
    #[must_use]
    pub fn time_us(&self, n: u64) -> i64 {
        self.pace.time(n)
    }

    /// Number of the first event at or behind this time.
    #[must_use]
    pub fn first_from(&self, time_us: i64) -> u64 {
        self.pace.first_from(time_us)
    }

    /// The JSON of event `n` as a host with this skew sends it, or `None` when it is not of the wanted
    /// collections.
    #[must_use]
    pub fn event(&self, n: u64, skew_us: i64, wanted: &[String]) -> Option<String> {
        let dice = &mut self.dice(n);
        let did = did(dice);
        let is_over = self.script.posts_until.is_some_and(|end| n >= end);
        let time_us = self.time_us(n) + skew_us;
        let now = rfc3339(time_us / 1000);
        let roll = if is_over { 90 + dice.below(10) } else { dice.below(100) };
        let rkey = rkey_of(n);
        let commit = |operation: &str, collection: &str, record: Option<Value>| {
            let mut commit =
                json!({"rev": tid("3n", n), "operation": operation, "collection": collection, "rkey": rkey});
            if let Some(record) = record {
                commit["record"] = record;
                commit["cid"] = CID.into();
            }
            (collection.to_owned(), commit)
        };
        let (collection, commit) = match roll {
            0..50 => commit("create", POST, Some(post(dice, time_us))),
            50..65 => {
                // One of the last events; when that was not a new post, an unknown post.
                let original = n.saturating_sub(1 + dice.below(200));
                let author = self::did(&mut self.dice(original));
                let subject = json!({"uri": format!("at://{author}/{POST}/{}", rkey_of(original)), "cid": CID});
                commit(
                    "create",
                    REPOST,
                    Some(json!({"$type": REPOST, "createdAt": wild_time(dice, time_us), "subject": subject})),
                )
            }
            65..75 => commit("create", "app.bsky.feed.like", Some(json!({"$type": "app.bsky.feed.like", "text": 5}))),
            75..82 => commit("delete", POST, None),
            82..85 => commit("update", POST, Some(post(dice, time_us))),
            85..90 => commit("delete", REPOST, None),
            90..95 => {
                let account =
                    json!({"active": dice.percent(50), "did": did, "seq": n, "time": now, "status": "deactivated"});
                return Some(
                    json!({"did": did, "time_us": time_us, "kind": "account", "account": account}).to_string(),
                );
            }
            95..99 => {
                let identity = json!({"did": did, "handle": "walker.example", "seq": n, "time": now});
                return Some(
                    json!({"did": did, "time_us": time_us, "kind": "identity", "identity": identity}).to_string(),
                );
            }
            _ => {
                return Some(
                    json!({"did": did, "time_us": time_us, "kind": "sync", "sync": {"rev": tid("3n", n)}}).to_string(),
                );
            }
        };
        let is_wanted = wanted.is_empty() || wanted.contains(&collection);
        is_wanted.then(|| json!({"did": did, "time_us": time_us, "kind": "commit", "commit": commit}).to_string())
    }

    /// All that is by chance in event `n`; the author first.
    fn dice(&self, n: u64) -> Dice {
        Dice::of(&[self.script.seed, n, 2])
    }

    /// Accepts connections forever.
    pub async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let server = self.clone();
            tokio::spawn(async move { server.serve(0, stream).await });
        }
    }

    /// One connection to one of its hosts, from the upgrade to the end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, host: usize, stream: S) {
        let now_ms = (self.clock)();
        let is_down =
            self.activity.with(|activity| activity.down_until_ms.get(host).is_some_and(|until_ms| now_ms < *until_ms));
        let mut query = Query::default();
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let upgrade = |request: &Request, answer: Response| -> Result<Response, ErrorResponse> {
            let refuse = |status: StatusCode, text: &str| {
                let mut answer = ErrorResponse::new(Some(text.to_owned()));
                *answer.status_mut() = status;
                Err(answer)
            };
            if is_down {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "warming up");
            }
            if request.uri().path() != "/subscribe" {
                return refuse(StatusCode::NOT_FOUND, "no such page");
            }
            match Query::parse(request.uri().query().unwrap_or_default()) {
                Ok(parsed) if parsed.compress && self.script.dictionary.is_none() => {
                    refuse(StatusCode::BAD_REQUEST, "this server does not compress")
                }
                Ok(parsed) => {
                    query = parsed;
                    Ok(answer)
                }
                Err(text) => refuse(StatusCode::BAD_REQUEST, text),
            }
        };
        let Ok(ws) = accept_hdr_async(stream, upgrade).await else { return };
        let number = self.activity.with(|activity| {
            activity.cursors.push(query.cursor_us);
            activity.cursors.len() as u64
        });
        let skew_us = self.script.skew_us.get(host).copied().unwrap_or(0);
        let dice = Dice::of(&[self.script.seed, number, 3]);
        Connection { server: self, host, skew_us, query, ws, dice, until_trouble: 0, cursor: 0 }.run().await;
    }
}

#[derive(Debug, Default)]
struct Query {
    collections: Vec<String>,
    cursor_us: Option<i64>,
    compress: bool,
}

impl Query {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut query = Self::default();
        for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "wantedCollections" => query.collections.push(value.to_owned()),
                "cursor" => query.cursor_us = Some(value.parse().map_err(|_| "invalid cursor")?),
                "compress" => query.compress = value == "true",
                _ => (),
            }
        }
        if query.collections.len() > MAX_COLLECTIONS { Err("too many wanted collections") } else { Ok(query) }
    }
}

struct Connection<'s, S> {
    server: &'s Jetstream,
    host: usize,
    skew_us: i64,
    query: Query,
    ws: WebSocketStream<S>,
    dice: Dice,
    /// Events until the next fault.
    until_trouble: u64,
    /// Number of the event at the cursor.
    cursor: u64,
}

/// The connection has ended.
struct Over;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run(mut self) {
        let _ = self.stream().await;
    }

    fn now_us(&self) -> i64 {
        (self.server.clock)() * 1000
    }

    async fn stream(&mut self) -> Result<(), Over> {
        let now_us = self.now_us();
        let oldest_us = now_us - self.server.script.retention.as_micros() as i64;
        // A cursor in the future means from now on.
        let from_us = self.query.cursor_us.map(|us| us - self.skew_us).filter(|us| *us <= now_us).unwrap_or(now_us);
        let sealed_us = self.server.script.seal_every.filter(|_| self.query.cursor_us.is_some()).map(|every| {
            let every_us = (every.as_micros() as i64).max(1);
            now_us.div_euclid(every_us) * every_us
        });
        // A cursor in what is sealed is found.
        let begin_us = sealed_us.map_or(from_us, |sealed_us| from_us.min(sealed_us));
        let mut next = self.server.first_from(begin_us.max(oldest_us));
        self.cursor = self.server.first_from(from_us.max(oldest_us));
        self.until_trouble = self.draw();
        let mut ping_at = Instant::now() + PING_EVERY;
        loop {
            let mut sent = 0;
            while sent < BATCH && self.server.time_us(next) <= self.now_us() {
                if self.until_trouble == 0 {
                    self.until_trouble = self.draw();
                    self.go_wrong(&mut next).await?;
                    continue;
                }
                self.until_trouble -= 1;
                sent += 1;
                self.event(next).await?;
                next += 1;
            }
            self.flush().await?;
            let until_next = Duration::from_micros((self.server.time_us(next) - self.now_us()).max(0) as u64);
            // The clock counts milliseconds, as the timers do.
            let wake_at = (Instant::now() + until_next + Duration::from_millis(1)).min(ping_at);
            loop {
                if Instant::now() >= ping_at {
                    self.send(Message::Ping("are you there?".into())).await?;
                    self.flush().await?;
                    ping_at = Instant::now() + PING_EVERY;
                }
                let heard = if sent == BATCH {
                    // More waits.
                    match self.ws.next().now_or_never() {
                        Some(heard) => heard,
                        None => break,
                    }
                } else {
                    tokio::select! {
                        heard = self.ws.next() => heard,
                        () = sleep_until(wake_at) => break,
                    }
                };
                match heard {
                    Some(Ok(Message::Pong(_))) => self.server.activity.with(|activity| activity.pongs += 1),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
                    Some(Ok(_)) => (),
                }
            }
        }
    }

    fn draw(&mut self) -> u64 {
        let script = &self.server.script;
        let is_calm = script.troubles.is_empty() || is_at(script.calm_from_ms, (self.server.clock)());
        until_trouble(&mut self.dice, is_calm, script.every_events)
    }

    async fn event(&mut self, n: u64) -> Result<(), Over> {
        if self.server.script.poison == Some(n) {
            return self.raw(b"\x81\x04{\xff\xfe}").await;
        }
        let Some(mut text) = self.server.event(n, self.skew_us, &self.query.collections) else { return Ok(()) };
        if self.server.script.seal_every.is_some() {
            text.insert_str(1, &format!("\"cursor\":{},", 1 + n));
        }
        if n < self.cursor {
            self.server.activity.with(|activity| activity.replayed += 1);
        }
        self.text(text).await
    }

    async fn text(&mut self, text: String) -> Result<(), Over> {
        self.server.activity.with(|activity| activity.sent += 1);
        let message = match (&self.server.script.dictionary, self.query.compress) {
            (Some(dictionary), true) => {
                let mut zstd = zstd::bulk::Compressor::with_dictionary(3, dictionary).map_err(|_| Over)?;
                Message::binary(zstd.compress(text.as_bytes()).map_err(|_| Over)?)
            }
            _ => Message::text(text),
        };
        self.send(message).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match timeout(WRITE_DEADLINE, self.ws.feed(message)).await {
            Ok(done) => done.map_err(|_| Over),
            Err(_) => self.slow(),
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        match timeout(WRITE_DEADLINE, self.ws.flush()).await {
            Ok(done) => done.map_err(|_| Over),
            Err(_) => self.slow(),
        }
    }

    fn slow(&self) -> Result<(), Over> {
        self.server.activity.with(|activity| activity.slow += 1);
        Err(Over)
    }

    /// Bytes past the websocket.
    async fn raw(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.flush().await?;
        self.ws.get_mut().write_all(bytes).await.map_err(|_| Over)?;
        self.ws.get_mut().flush().await.map_err(|_| Over)
    }

    async fn go_wrong(&mut self, next: &mut u64) -> Result<(), Over> {
        let time_us = self.server.time_us(*next) + self.skew_us;
        match *self.dice.pick(&self.server.script.troubles) {
            Trouble::GoAway => {
                let until_ms = (self.server.clock)() + self.dice.below(20_000) as i64;
                self.server.activity.with(|activity| {
                    let hosts = activity.down_until_ms.len().max(self.host + 1);
                    activity.down_until_ms.resize(hosts, i64::MIN);
                    activity.down_until_ms[self.host] = until_ms;
                });
                let close = CloseFrame { code: CloseCode::Away, reason: "server shutting down".into() };
                let _ = timeout(WRITE_DEADLINE, self.ws.close(Some(close))).await;
                Err(Over)
            }
            Trouble::Cut => {
                self.flush().await?;
                Err(Over)
            }
            Trouble::HalfFrame => {
                self.raw(b"\x81\x7e\x01\x00{\"did\":\"did:plc:").await?;
                Err(Over)
            }
            Trouble::BadUtf8 => self.raw(b"\x81\x04{\xff\xfe}").await,
            Trouble::Silence => {
                self.flush().await?;
                sleep(Duration::from_secs(10 + self.dice.below(90))).await;
                Ok(())
            }
            Trouble::Quiet => {
                for _ in 0..1 + self.dice.below(20) {
                    self.send(Message::Ping("".into())).await?;
                    self.flush().await?;
                    sleep(Duration::from_secs(10)).await;
                }
                Ok(())
            }
            Trouble::Garbage => {
                let text = "{\"did\":\"did:plc:nobody\",\"time_us\":17000000000,\"kind\":\"commit\",\"commit\":{";
                self.text(text.into()).await
            }
            Trouble::Future => {
                let far_us = [11 * 60_000_000, 365 * 86_400_000_000, 1 << 62, i64::MAX][self.dice.below(4) as usize];
                let text = future(self.server.dice(*next), self.now_us().saturating_add(far_us));
                self.text(text).await
            }
            Trouble::Long => self.text(notice(time_us, 1_000_000)).await,
            Trouble::TooLong => self.text(notice(time_us, 2_000_000)).await,
            Trouble::Repeat => {
                *next = next.saturating_sub(self.dice.below(50));
                Ok(())
            }
        }
    }
}

/// A post from the future.
fn future(mut dice: Dice, time_us: i64) -> String {
    let record = post(&mut dice, 0);
    let commit = json!({"rev": tid("3n", 0), "operation": "create", "collection": POST, "rkey": tid("3f", time_us as u64),
        "record": record, "cid": CID});
    json!({"did": did(&mut dice), "time_us": time_us, "kind": "commit", "commit": commit}).to_string()
}

/// A notice of this many bytes and some.
fn notice(time_us: i64, bytes: usize) -> String {
    json!({"did": "did:plc:nobody", "time_us": time_us, "kind": "identity", "identity": {"handle": "x".repeat(bytes)}})
        .to_string()
}

fn did(dice: &mut Dice) -> String {
    // Some write much, most little.
    let (range, author) = (1 + dice.below(2000), dice.below(2000));
    format!("did:plc:{:024}", author % range)
}

fn rkey_of(n: u64) -> String {
    tid("3m", n)
}

/// A name as programs derive it from the time: 13 characters that sort as their numbers do.
fn tid(prefix: &str, n: u64) -> String {
    let digits = (0..11).rev().map(|at| b"234567abcdefghijklmnopqrstuvwxyz"[(n >> (5 * at) & 31) as usize]);
    prefix.chars().chain(digits.map(char::from)).collect()
}

/// The time that an author's program claims, which may be anything.
fn wild_time(dice: &mut Dice, time_us: i64) -> String {
    match dice.below(10) {
        0 => "1970-01-01T00:00:00Z".into(),
        1 => "2097-12-31T23:59:59.999Z".into(),
        2 => "yesterday".into(),
        _ => rfc3339(time_us / 1000 - dice.below(3000) as i64),
    }
}

const WORDS: &[&str] = &[
    "harbour",
    "sunrise",
    "match",
    "tonight",
    "rain",
    "tomorrow",
    "Montréal",
    "métro",
    "bus",
    "coffee",
    "déjà vu",
    "東京",
    "🚀",
    "train",
    "concert",
    "strike",
    "goal",
    "bridge",
    "snow",
    "Paris",
];
const TAGS: &[&str] = &["wx", "GoHabsGo", "gohabsgo", "GOHABSGO", "Montréal", "photo", "東京", "news", "Jazz"];
const HOSTS: &[&str] = &["news.example", "www.video.example", "bsky.app", "blog.example:8080"];

/// A few that many link to, and many that few do.
fn host(dice: &mut Dice) -> String {
    if dice.percent(50) { (*dice.pick(HOSTS)).into() } else { format!("site{}.example", dice.below(500)) }
}

fn post(dice: &mut Dice, time_us: i64) -> Value {
    let words: Vec<_> = (0..3 + dice.below(8)).map(|_| *dice.pick(WORDS)).collect();
    let text = words.join(" ");
    let mut record = json!({"$type": POST, "text": text, "createdAt": wild_time(dice, time_us)});
    match dice.below(6) {
        0 => (),
        1 => record["langs"] = json!([]),
        2 => record["langs"] = json!(["fr-CA", "en"]),
        3 => record["langs"] = json!(["fr"]),
        _ => record["langs"] = json!(["en"]),
    }
    if dice.percent(40) {
        let kind = |name: &str| format!("app.bsky.richtext.facet#{name}");
        let tag = json!({"$type": kind("tag"), "tag": dice.pick(TAGS)});
        let link = json!({"$type": kind("link"), "uri": format!("https://{}/a", host(dice))});
        let mention = json!({"$type": kind("mention"), "did": did(dice)});
        let facet = |features: Vec<Value>| json!({"index": {"byteStart": 0, "byteEnd": 90_000}, "features": features});
        record["facets"] = match dice.below(4) {
            0 => json!([facet(vec![tag, link])]),
            1 => json!([facet(vec![mention]), facet(vec![json!({"$type": kind("tag"), "tag": "$ABC"})])]),
            2 => json!([facet(vec![]), facet(vec![json!({"$type": kind("new"), "tag": 5.5_f64.to_string()})])]),
            _ => json!([facet(vec![tag]), facet(vec![link]), facet(vec![mention])]),
        };
    }
    if dice.percent(10) {
        record["tags"] = json!([dice.pick(TAGS), "harbour"]);
    }
    let about =
        |collection: &str| json!({"uri": format!("at://did:plc:nobody/{collection}/3maaaaaaaaa22"), "cid": CID});
    if dice.percent(35) {
        record["reply"] = json!({"root": about(POST), "parent": about(POST)});
    }
    let blob = json!({"$type": "blob", "ref": {"$link": BLOB_CID}, "mimeType": "image/jpeg", "size": 1});
    match dice.below(20) {
        0 => record["embed"] = json!({"$type": "app.bsky.embed.record", "record": about(POST)}),
        1 => record["embed"] = json!({"$type": "app.bsky.embed.record", "record": about("app.bsky.graph.list")}),
        2 => {
            record["embed"] = json!({"$type": "app.bsky.embed.recordWithMedia",
                "record": {"$type": "app.bsky.embed.record", "record": about(POST)},
                "media": {"$type": "app.bsky.embed.images", "images": [{"alt": "", "image": blob}]}});
        }
        3 | 4 => {
            let uri = format!("https://{}/b", host(dice));
            record["embed"] =
                json!({"$type": "app.bsky.embed.external", "external": {"uri": uri, "title": "t", "description": ""}});
        }
        _ => (),
    }
    record
}

/// Connects a client to a server in this process, without sockets: `ws://host0` is its first host,
/// `ws://host1` the next. Of a hundred connections, `refused_percent` fail.
pub struct InProcess {
    /// The server.
    pub server: Arc<Jetstream>,
    /// From 0 to 100.
    pub refused_percent: u64,
    /// Bytes between server and client.
    pub buffer_bytes: usize,
    dice: Kept<Dice>,
}

impl InProcess {
    /// With a buffer as a kernel has it.
    #[must_use]
    pub fn new(server: &Arc<Jetstream>, refused_percent: u64) -> Self {
        let dice = Kept::new(Dice::of(&[server.script.seed, 4]));
        Self { server: server.clone(), refused_percent, buffer_bytes: 64 << 10, dice }
    }
}

impl Dial for InProcess {
    type Stream = DuplexStream;

    async fn dial(&self, host: &str, _port: u16) -> io::Result<DuplexStream> {
        sleep(Duration::from_millis(20)).await;
        let is_refused = self.dice.with(|dice| dice.percent(self.refused_percent));
        let number = host.strip_prefix("host").and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|_| !is_refused) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (ours, theirs) = duplex(self.buffer_bytes);
        let server = self.server.clone();
        tokio::spawn(async move { server.serve(number, theirs).await });
        Ok(ours)
    }
}
