//! A fake of the X API v2: rules, the filtered stream with all its troubles, counts, and the usage.
//!
//! Each connection follows the next part of a script; what is random comes from a seed. Posts are
//! invented, made to fit the rules that are set, and, as at X, a rule with a box never matches a
//! repost. Of each post a connection gets the fields that its query asks for.

mod counts;
mod fields;
mod post;
mod rules;
mod scripts;
mod stream;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::future::IntoFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::source::Clock;
use crate::x::rules::MAX_RULES;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use birdsong_domain::time::rfc3339;
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::dice::Dice;
use crate::fake::{Fake, Order, Started};
use rules::SetRule;

pub use counts::{CountsTrouble, count_at};
pub use fields::Asked;
pub use post::{Sketch, full_post};
pub use scripts::{DISCONNECTS, chaos, passing_errors, script};

/// First millisecond of the platform's ids.
const EPOCH_MS: i64 = 1_288_834_974_657;
/// X sends something at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// X counts calls in this time.
const LIMIT_WITHIN: Duration = Duration::from_secs(15 * 60);
/// The longest backfill.
const BACKFILL: Duration = Duration::from_secs(5 * 60);

/// One thing that a connection does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Posts at [`Options::posts_per_s`] for this many seconds.
    Posts(u64),
    /// This many posts as fast as they are read.
    Burst(u64),
    /// Keep-alives only, for this many seconds.
    KeepAlives(u64),
    /// Not a byte for this many seconds.
    Silence(u64),
    /// The first half of a line, then the connection is closed.
    HalfLine,
    /// The first half of a line, then the connection breaks.
    BrokenLine,
    /// A post that comes in two chunks, cut within a character.
    SplitCharacter,
    /// A line that is not UTF-8.
    BadUtf8,
    /// A line of more than 1 MiB.
    LongLine,
    /// This many of the last posts again.
    Repeat(usize),
    /// Clocks of the posts are off by this many milliseconds more from here on.
    ClockJump(i64),
    /// A line of errors with this `disconnect_type`, then the connection is closed.
    Errors(&'static str),
    /// The connection is closed.
    Close,
    /// The connection breaks.
    Break,
}

/// The answer to one connect.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// The stream: these steps, then keep-alives forever.
    Stream(Vec<Step>),
    /// This status with this body.
    Answer(u16, String),
    /// 429 until this many seconds from now, by its headers.
    RateLimited(i64),
}

/// The token of servers that are started from the table of sources.
const TOKEN: &str = "made-up";
/// Bytes that such a server buffers for a client that does not read.
const QUEUE_BYTES: usize = 4 << 20;

/// The fake of X in the table of sources.
pub(crate) const FAKE: Fake = Fake {
    scripts: &[
        ("normal", "posts, and no trouble"),
        ("trouble", "fifty connections with silence, bad and half lines, repeated posts and errors, then normal"),
        ("silence", "posts for a minute, then not a byte on an open connection, each time"),
        ("keep-alives", "signs of life and no post"),
        ("errors", "each error that passes and each reason to close a stream, in turn; then there is no more money"),
    ],
    switches: &[
        ("new-names", "fields are named as since August 2026, such as referenced_posts"),
        ("enterprise", "enterprise access, which allows a backfill; posts continue while nobody is connected"),
        ("gzip", "compresses the stream for a client that requests it"),
    ],
    start,
};

fn start(order: &Order, listener: TcpListener) -> Started {
    let options = Options {
        token: TOKEN.into(),
        script: script(&order.script, order.seed).unwrap_or_default(),
        posts_per_s: f64::from(order.rate),
        seed: order.seed,
        has_new_names: order.has("new-names"),
        clock: order.clock.clone(),
    };
    let account = Account {
        has_backfill: order.has("enterprise"),
        gzip: order.has("gzip"),
        queue_bytes: Some(QUEUE_BYTES),
        ..Account::default()
    };
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let more = [("enterprise", "&backfill=5"), ("gzip", "&gzip")];
    let more: String = more.into_iter().filter(|(switch, _)| order.has(switch)).map(|(_, option)| option).collect();
    let router = FakeX::with(options, account).router();
    Started {
        source: format!("x:?url=http://{address}{more}"),
        environment: vec![("X_BEARER_TOKEN", TOKEN.into())],
        serving: axum::serve(listener, router).into_future().boxed(),
    }
}

/// How the server behaves.
#[derive(Clone)]
pub struct Options {
    /// The only bearer token that is accepted.
    pub token: String,
    /// The answers to the connections, in turn. The last one repeats; an empty script
    /// is a stream of keep-alives.
    pub script: Vec<Connection>,
    /// Posts a second, before sampling.
    pub posts_per_s: f64,
    /// Decides everything random.
    pub seed: u64,
    /// Spells the fields as X does since August 2026.
    pub has_new_names: bool,
    /// Times of posts, in milliseconds since 1970.
    pub clock: Clock,
}

/// What kind of account and of day it is. The default is a self-serve account at a server that waits
/// for a client that does not read.
#[derive(Clone, Debug)]
pub struct Account {
    /// Enterprise access: `backfill_minutes` is accepted, and posts are made while nobody is connected,
    /// too.
    pub has_backfill: bool,
    /// The stream is compressed for a client that accepts gzip.
    pub gzip: bool,
    /// Bytes of posts that wait for a client which does not read. Beyond, the connection is cut and
    /// they are dropped. With `None` no posts are made meanwhile.
    pub queue_bytes: Option<usize>,
    /// Longest time without a byte.
    pub keep_alive: Duration,
    /// Rules on one page at most.
    pub rules_a_page: usize,
    /// For how long a connection whose client is gone still counts as open.
    pub held: Duration,
    /// Minutes, hours or days on one page of counts at most.
    pub counts_a_page: usize,
    /// What goes wrong with requests for counts, in turn; then nothing.
    pub counts_trouble: VecDeque<CountsTrouble>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            has_backfill: false,
            gzip: false,
            queue_bytes: None,
            keep_alive: KEEP_ALIVE,
            rules_a_page: MAX_RULES,
            held: Duration::ZERO,
            counts_a_page: 1440,
            counts_trouble: VecDeque::new(),
        }
    }
}

/// What the server did so far.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Posts handed to the client, each once, with the tag of its rule, in order.
    pub posts: Vec<(u64, String)>,
    /// Posts that were made and not delivered, with the tag of their rule: dropped with the queue of
    /// a slow reader, or made while nobody was connected. A backfill removes them.
    pub missed: BTreeMap<u64, String>,
    /// Posts that have to be paid for, by UTC day since 1970: each once a day, however often it is delivered.
    pub days: BTreeMap<i64, u64>,
    /// Times that a post was handed over again.
    pub repeated: u64,
    /// Unreadable lines.
    pub unreadable: u64,
    /// Connects that became a stream.
    pub streams: u64,
    /// All connects, refused ones included.
    pub connects: u64,
    /// Connects beyond what X allows in 15 minutes.
    pub too_many_connects: u64,
    /// Other calls beyond what X allows in 15 minutes.
    pub too_many_calls: u64,
    /// Pages of rules that were listed.
    pub pages: u64,
    /// Requests for counts that were answered and have to be paid for.
    pub counts: u64,
    /// Parts of the script that were started.
    pub parts: usize,
}

/// The server alone, for callers that do not ask what it did.
pub fn router(options: Options) -> Router {
    FakeX::new(options).router()
}

/// The server.
#[derive(Clone)]
pub struct FakeX(Arc<Mutex<Server>>);

impl FakeX {
    /// A server that was never asked, with the default account.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::with(options, Account::default())
    }

    /// A server that was never asked.
    #[must_use]
    pub fn with(options: Options, account: Account) -> Self {
        let dice = Dice::of(&[options.seed]);
        Self(Arc::new(Mutex::new(Server {
            is_quiet: false,
            options,
            account,
            dice,
            rules: vec![],
            next_rule: 2_050_000_000_000_000_001,
            asked: Asked::default(),
            made: 0,
            shift_ms: 0,
            is_open: false,
            held_until: Instant::now(),
            left: None,
            limits: Limits {
                connects: Limit::new(50),
                lists: Limit::new(450),
                changes: Limit::new(100),
                usages: Limit::new(50),
                counts: Limit::new(300),
            },
            last: VecDeque::new(),
            recent: VecDeque::new(),
            got: HashSet::new(),
            billed: HashSet::new(),
            billed_day: i64::MIN,
            delivered: Delivered::default(),
        })))
    }

    /// Answers the API's addresses.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2/tweets/search/stream", get(stream::connect))
            .route("/2/tweets/search/stream/rules", get(rules::list).post(rules::change))
            .route("/2/tweets/search/stream/rules/counts", get(rules::counts))
            .route("/2/tweets/counts/recent", get(counts::recent))
            .route("/2/usage/tweets", get(usage))
            .with_state(self.clone())
    }

    /// Makes no more posts from now on. Keep-alives continue.
    pub fn be_quiet(&self) {
        self.server().is_quiet = true;
    }

    /// What it did so far.
    #[must_use]
    pub fn delivered(&self) -> Delivered {
        self.server().delivered.clone()
    }

    /// Values and tags of the rules that are set.
    #[must_use]
    pub fn rules(&self) -> Vec<(String, String)> {
        self.server().rules.iter().map(|rule| (rule.value.clone(), rule.tag.clone())).collect()
    }

    /// A stream is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.server().is_open
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Server {
    /// Makes no posts.
    is_quiet: bool,
    options: Options,
    account: Account,
    dice: Dice,
    rules: Vec<SetRule>,
    next_rule: u64,
    /// What the last connection asked for.
    asked: Asked,
    /// Posts made so far.
    made: u64,
    shift_ms: i64,
    is_open: bool,
    /// Until when a connection that is gone counts as open.
    held_until: Instant,
    /// When the next post would have come as the last connection ended.
    left: Option<Instant>,
    limits: Limits,
    /// Lines of the last posts that were delivered.
    last: VecDeque<Line>,
    /// Posts of the last minutes, delivered or not, and which were; only with backfill.
    recent: VecDeque<(Instant, Line)>,
    got: HashSet<u64>,
    /// Posts that were delivered on this day.
    billed: HashSet<u64>,
    billed_day: i64,
    delivered: Delivered,
}

struct Limits {
    connects: Limit,
    lists: Limit,
    changes: Limit,
    usages: Limit,
    counts: Limit,
}

/// So many calls in 15 minutes.
struct Limit {
    most: usize,
    calls: VecDeque<Instant>,
}

impl Limit {
    fn new(most: usize) -> Self {
        Self { most, calls: VecDeque::new() }
    }

    /// Counts a call; `false` when it is one too many.
    fn take(&mut self) -> bool {
        while self.calls.front().is_some_and(|at| at.elapsed() >= LIMIT_WITHIN) {
            self.calls.pop_front();
        }
        let is_free = self.calls.len() < self.most;
        if is_free {
            self.calls.push_back(Instant::now());
        }
        is_free
    }

    /// Adds the headers of the limit.
    fn mark(&self, mut answer: Response, now_ms: i64) -> Response {
        let waits = self.calls.front().map_or(LIMIT_WITHIN, |at| LIMIT_WITHIN.saturating_sub(at.elapsed()));
        let left = self.most.saturating_sub(self.calls.len()) as i64;
        mark(&mut answer, self.most as i64, left, now_ms + waits.as_millis() as i64);
        answer
    }

    fn refuse(&self, now_ms: i64) -> Response {
        self.mark(too_many_requests(), now_ms)
    }
}

#[derive(Clone)]
struct Line {
    id: u64,
    tag: String,
    /// With all fields.
    full: Arc<Value>,
    /// What is sent of that.
    bytes: Bytes,
}

impl Line {
    fn new(id: u64, tag: &str, full: Arc<Value>, asked: &Asked) -> Self {
        let bytes = format!("{}\r\n", asked.answer(&full)).into();
        Self { id, tag: tag.into(), full, bytes }
    }

    /// The same for another query.
    fn again(&self, asked: &Asked) -> Self {
        Self::new(self.id, &self.tag, self.full.clone(), asked)
    }
}

impl Server {
    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let wanted = format!("Bearer {}", self.options.token);
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
    }

    fn now_ms(&self) -> i64 {
        (self.options.clock)()
    }

    /// A post of this moment for one of the rules, or `None` when that rule samples and skips it.
    fn post(&mut self, at: Instant) -> Option<Line> {
        if self.rules.is_empty() || self.is_quiet {
            return None;
        }
        let chosen = self.dice.below(self.rules.len() as u64) as usize;
        if self.dice.below(100) >= self.rules[chosen].sample {
            return None;
        }
        self.made += 1;
        let time_ms = (self.options.clock)() - at.elapsed().as_millis() as i64 + self.shift_ms;
        let id = (((time_ms - EPOCH_MS) as u64) << 22) | (self.made & 0x3f_ffff);
        let (dice, rule) = (&mut self.dice, &self.rules[chosen]);
        let sketch = Sketch {
            id,
            number: self.made,
            time_ms,
            word: if rule.words.is_empty() { String::new() } else { dice.pick(&rule.words).clone() },
            lang: rule.lang.clone(),
            within: (!rule.boxes.is_empty()).then(|| *dice.pick(&rule.boxes)),
            is_repost: rule.boxes.is_empty() && rule.tag.starts_with("rt:"),
            rule: (rule.id.clone(), rule.tag.clone()),
            has_new_names: self.options.has_new_names,
        };
        let line = Line::new(id, &rule.tag, Arc::new(full_post(&sketch, dice)), &self.asked);
        if self.account.has_backfill {
            while self.recent.front().is_some_and(|(made, _)| at.saturating_duration_since(*made) > BACKFILL) {
                self.recent.pop_front();
            }
            self.recent.push_back((at, line.clone()));
        }
        Some(line)
    }

    /// Time from one post to the next.
    fn gap(&mut self) -> Duration {
        Duration::from_secs_f64((0.5 + self.dice.share()) / self.options.posts_per_s.max(1e-6))
    }

    /// Makes the posts of the time without a connection. Returns when the next post comes.
    fn catch_up(&mut self) -> Instant {
        let now = Instant::now();
        let Some(mut due) = self.left.take().filter(|_| self.account.has_backfill) else { return now };
        while due <= now {
            let post = self.post(due);
            self.miss(post);
            due += self.gap();
        }
        due
    }

    /// Nobody receives these posts.
    fn miss(&mut self, lines: impl IntoIterator<Item = Line>) {
        let got = &self.got;
        self.delivered
            .missed
            .extend(lines.into_iter().filter(|line| !got.contains(&line.id)).map(|line| (line.id, line.tag)));
    }

    /// These posts are on their way to the client.
    fn deliver(&mut self, lines: Vec<Line>) {
        let day = self.now_ms().div_euclid(86_400_000);
        if self.billed_day != day {
            self.billed.clear();
            self.billed_day = day;
        }
        for line in lines {
            if self.billed.insert(line.id) {
                *self.delivered.days.entry(day).or_default() += 1;
            }
            if self.account.has_backfill && !self.got.insert(line.id) {
                self.delivered.repeated += 1;
                continue;
            }
            self.delivered.missed.remove(&line.id);
            self.delivered.posts.push((line.id, line.tag.clone()));
            self.last.push_back(line);
            if self.last.len() > 1000 {
                self.last.pop_front();
            }
        }
    }
}

fn problem(title: &str, kind: &str, detail: &str, more: &[(&str, &str)]) -> String {
    let kind = if kind.is_empty() { "about:blank".to_owned() } else { format!("https://api.x.com/2/problems/{kind}") };
    let mut problem = json!({"title": title, "detail": detail, "type": kind});
    for (key, value) in more {
        problem[*key] = Value::from(*value);
    }
    problem.to_string()
}

/// The parameter of a request cannot be used.
fn wrong_parameter(name: &str, value: &str, message: &str) -> Response {
    let mut said: Value = serde_json::from_str(&problem(
        "Invalid Request",
        "invalid-request",
        "One or more parameters to your request was invalid.",
        &[],
    ))
    .unwrap_or_default();
    said["errors"] = json!([{"parameters": {name: [value]}, "message": message}]);
    answer(400, said.to_string())
}

fn too_many_connections() -> String {
    let detail = "This stream is currently at the maximum allowed connection limit.";
    problem("ConnectionException", "streaming-connection", detail, &[("connection_issue", "TooManyConnections")])
}

fn answer(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

fn unauthorized() -> Response {
    answer(401, json!({"title":"Unauthorized","status":401,"detail":"Unauthorized","type":"about:blank"}).to_string())
}

async fn usage(State(fake): State<FakeX>, headers: HeaderMap) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let now_ms = server.now_ms();
    if !server.limits.usages.take() {
        server.delivered.too_many_calls += 1;
        return server.limits.usages.refuse(now_ms);
    }
    let day = |(day, posts): (&i64, &u64)| json!({"date": rfc3339(day * 86_400_000), "usage": posts.to_string()});
    let days: Vec<Value> = server.delivered.days.iter().map(day).collect();
    let all: u64 = server.delivered.days.values().sum();
    let said = json!({"data": {
        "cap_reset_day": 1, "project_cap": "3000000", "project_id": "1", "project_usage": all.to_string(),
        "daily_project_usage": {"project_id": "1", "usage": days},
    }});
    server.limits.usages.mark(answer(200, said.to_string()), now_ms)
}

fn too_many_requests() -> Response {
    answer(
        429,
        json!({"title":"Too Many Requests","status":429,"detail":"Too Many Requests","type":"about:blank"}).to_string(),
    )
}

/// Reports a limit on calls. It is reset at a full second.
fn mark(answer: &mut Response, most: i64, left: i64, reset_ms: i64) {
    for (name, value) in [("limit", most), ("remaining", left), ("reset", reset_ms.div_euclid(1000) + 1)] {
        if let Ok(name) = header::HeaderName::try_from(format!("x-rate-limit-{name}")) {
            answer.headers_mut().insert(name, value.into());
        }
    }
}
