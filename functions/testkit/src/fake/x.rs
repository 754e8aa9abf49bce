//! A fake of the X API v2: rules, the filtered stream with all its troubles, and the usage.
//!
//! Each connection follows the next part of a script; what is random comes from a seed. Posts are
//! invented, made to fit the rules that are set, and, as at X, a rule with a box never matches a
//! repost.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use birdsong_domain::time::rfc3339;
use birdsong_sources::live::Clock;
use birdsong_sources::x::rules::{MAX_RULE_CHARS, MAX_RULES};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

/// First millisecond of the platform's ids.
const EPOCH_MS: i64 = 1_288_834_974_657;
/// X sends something at least this often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Connects that X takes, and in which time.
const CONNECTS: (usize, Duration) = (50, Duration::from_secs(15 * 60));
/// A box must be narrower and lower than 25 miles.
const BOX_KM: f64 = 40.234;
/// Posts of one chunk of a burst.
const BURST: u64 = 64;
const OPERATORS: [&str; 12] = [
    "bounding_box",
    "point_radius",
    "place",
    "place_country",
    "lang",
    "is",
    "has",
    "from",
    "to",
    "url",
    "sample",
    "retweets_of",
];

/// One thing that a connection does.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Posts at [`Options::posts_per_s`] for so many seconds.
    Posts(u64),
    /// So many posts as fast as they are taken.
    Burst(u64),
    /// Keep-alives only, for so many seconds.
    KeepAlives(u64),
    /// Not a byte for so many seconds.
    Silence(u64),
    /// The first half of a line, then the connection is closed.
    HalfLine,
    /// A post that comes in two chunks, cut within a character.
    SplitCharacter,
    /// A line that is not UTF-8.
    BadUtf8,
    /// A line of more than 1 MiB.
    LongLine,
    /// The last so many posts again.
    Repeat(usize),
    /// Clocks of the posts are off by so many milliseconds more from here on.
    ClockJump(i64),
    /// A line of errors with this `disconnect_type`, then the connection is closed.
    Errors(&'static str),
    /// The connection is closed.
    Close,
    /// The connection breaks.
    Break,
}

/// What one connect gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Connection {
    /// The stream: these steps, then keep-alives for ever.
    Stream(Vec<Step>),
    /// This status with this body.
    Answer(u16, String),
    /// 429 until so many seconds from now, as the headers say.
    RateLimited(i64),
}

/// How the server behaves.
#[derive(Clone)]
pub struct Options {
    /// The only bearer token that is taken.
    pub token: String,
    /// What the connections get, in turn. The last one is what every later one gets; none at all
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

/// What the server did so far.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Posts handed to the client, each once, with the tag of its rule, in order.
    pub posts: Vec<(u64, String)>,
    /// Posts that have to be paid for, by UTC day since 1970.
    pub days: BTreeMap<i64, u64>,
    /// Times that a post was handed over again.
    pub repeated: u64,
    /// Lines that nobody can read.
    pub unreadable: u64,
    /// Connects that became a stream.
    pub streams: u64,
    /// All connects, refused ones included.
    pub connects: u64,
    /// Connects beyond what X allows in 15 minutes.
    pub too_many_connects: u64,
    /// Parts of the script that were begun.
    pub parts: usize,
}

/// A script by its name: `normal`, `trouble`, `silence` or `errors`.
#[must_use]
pub fn script(name: &str, seed: u64) -> Option<Vec<Connection>> {
    let posts = || Connection::Stream(vec![Step::Posts(u64::MAX)]);
    let some = |step: Step| Connection::Stream(vec![Step::Posts(60), step]);
    Some(match name {
        "normal" => vec![posts()],
        "trouble" => {
            let mut script = chaos(seed, 50);
            script.push(posts());
            script
        }
        "silence" => vec![some(Step::Silence(u64::MAX))],
        "errors" => {
            let mut script = passing_errors();
            script.extend(DISCONNECTS.map(|kind| some(Step::Errors(kind))));
            script.push(some(Step::Close));
            script.push(Connection::Answer(
                402,
                problem("CreditsDepleted", "credits", "the credits are used up", &[("account_id", "1")]),
            ));
            script
        }
        _ => return None,
    })
}

/// Reasons of X to close a stream.
pub const DISCONNECTS: [&str; 6] = [
    "OperationalDisconnect",
    "UpstreamOperationalDisconnect",
    "ForceDisconnect",
    "UpstreamUncleanDisconnect",
    "SlowReader",
    "InternalError",
];

/// Answers after which a client comes back.
#[must_use]
pub fn passing_errors() -> Vec<Connection> {
    vec![
        Connection::Answer(503, problem("Service Unavailable", "", "over capacity", &[])),
        Connection::Answer(500, "<html>".into()),
        Connection::Answer(429, too_many_connections()),
        Connection::RateLimited(300),
        Connection::Answer(429, r#"{"code":32,"message":"slow down"}"#.into()),
        Connection::Answer(
            409,
            problem(
                "ConnectionException",
                "streaming-connection",
                "no rules",
                &[("connection_issue", "RuleConfigurationIssue")],
            ),
        ),
    ]
}

/// A script of so many random connections, after which come keep-alives.
#[must_use]
pub fn chaos(seed: u64, connections: usize) -> Vec<Connection> {
    let mut dice = Dice::new(seed);
    let mut script = vec![];
    for _ in 0..connections {
        if dice.below(6) == 0 {
            let mut answers = passing_errors();
            script.push(answers.swap_remove(dice.below(answers.len() as u64) as usize));
            continue;
        }
        let mut steps = vec![];
        for _ in 0..1 + dice.below(6) {
            steps.push(match dice.below(9) {
                0 => Step::Burst(1 + dice.below(300)),
                1 => Step::KeepAlives(dice.below(120)),
                2 => Step::Silence(dice.below(25)),
                3 => Step::SplitCharacter,
                4 => Step::BadUtf8,
                5 if dice.below(4) == 0 => Step::LongLine,
                6 => Step::Repeat(1 + dice.below(200) as usize),
                7 => Step::ClockJump(dice.below(4000) as i64 - 2000),
                _ => Step::Posts(1 + dice.below(300)),
            });
        }
        steps.push(match dice.below(6) {
            0 => Step::Silence(40 + dice.below(600)),
            1 => Step::HalfLine,
            2 => Step::Break,
            3 => Step::Errors(DISCONNECTS[dice.below(DISCONNECTS.len() as u64) as usize]),
            _ => Step::Close,
        });
        script.push(Connection::Stream(steps));
    }
    script.push(Connection::Stream(vec![]));
    script
}

/// The server alone, for whoever does not ask what it did.
pub fn router(options: Options) -> Router {
    FakeX::new(options).router()
}

/// The server.
#[derive(Clone)]
pub struct FakeX(Arc<Mutex<Server>>);

impl FakeX {
    /// A server that was never asked.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let dice = Dice::new(options.seed);
        Self(Arc::new(Mutex::new(Server {
            options,
            dice,
            rules: vec![],
            next_rule: 2_050_000_000_000_000_001,
            made: 0,
            shift_ms: 0,
            is_open: false,
            connects: VecDeque::new(),
            last: VecDeque::new(),
            delivered: Delivered::default(),
        })))
    }

    /// Answers the API's addresses.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2/tweets/search/stream", get(connect))
            .route("/2/tweets/search/stream/rules", get(list_rules).post(change_rules))
            .route("/2/usage/tweets", get(usage))
            .with_state(self.clone())
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

    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Server {
    options: Options,
    dice: Dice,
    rules: Vec<SetRule>,
    next_rule: u64,
    /// Posts made so far.
    made: u64,
    shift_ms: i64,
    is_open: bool,
    connects: VecDeque<Instant>,
    /// Lines of the last posts.
    last: VecDeque<Line>,
    delivered: Delivered,
}

#[derive(Clone)]
struct SetRule {
    id: String,
    value: String,
    tag: String,
    sample: u64,
    boxes: Vec<[f64; 4]>,
    words: Vec<String>,
    lang: String,
}

#[derive(Clone)]
struct Line {
    id: u64,
    tag: String,
    bytes: Bytes,
}

impl Server {
    fn is_let_in(&self, headers: &HeaderMap) -> bool {
        let wanted = format!("Bearer {}", self.options.token);
        headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == wanted.as_bytes())
    }

    fn now_ms(&self) -> i64 {
        (self.options.clock)()
    }

    /// A post for one of the rules, or none when that rule takes only a share.
    fn post(&mut self) -> Option<Line> {
        if self.rules.is_empty() {
            return None;
        }
        let at = self.dice.below(self.rules.len() as u64) as usize;
        if self.dice.below(100) >= self.rules[at].sample {
            return None;
        }
        let rule = &self.rules[at];
        self.made += 1;
        let time_ms = (self.options.clock)() + self.shift_ms;
        let id = (((time_ms - EPOCH_MS) as u64) << 22) | (self.made & 0x3f_ffff);
        let (referenced, included, edits) = if self.options.has_new_names {
            ("referenced_posts", "posts", "edit_history_post_ids")
        } else {
            ("referenced_tweets", "tweets", "edit_history_tweet_ids")
        };
        let time = rfc3339(time_ms - time_ms.rem_euclid(1000));
        let author = 1_200_000_000_000_000_000 + self.dice.below(5000);
        let word = match rule.words.len() as u64 {
            0 => String::new(),
            words => rule.words[self.dice.below(words) as usize].clone(),
        };
        let text = format!("Día {} 東京 {word} #wx{}", self.made, self.made % 7).replace('"', "");
        let mut more = String::new();
        let mut includes = String::new();
        if !rule.boxes.is_empty() {
            let [west, south, east, north] = rule.boxes[self.dice.below(rule.boxes.len() as u64) as usize];
            let (lon, lat) = (west + (east - west) * self.dice.share(), south + (north - south) * self.dice.share());
            more = format!(r#","geo":{{"coordinates":{{"type":"Point","coordinates":[{lon:.5},{lat:.5}]}}}}"#);
        } else if rule.tag.starts_with("rt:") {
            let original = id - (1 << 32);
            more = format!(r#","{referenced}":[{{"type":"retweeted","id":"{original}"}}]"#);
            includes = format!(
                r#","includes":{{"{included}":[{{"id":"{original}","text":"{text}","created_at":"{time}","author_id":"7","lang":"{}"}}]}}"#,
                rule.lang
            );
        } else if self.dice.below(4) == 0 {
            more = format!(r#","{referenced}":[{{"type":"quoted","id":"{}"}}]"#, id - (1 << 33));
        }
        let line = format!(
            concat!(
                r#"{{"data":{{"id":"{id}","text":"{text}","created_at":"{time}","author_id":"{author}","#,
                r#""conversation_id":"{id}","lang":"{lang}","possibly_sensitive":false,"{edits}":["{id}"],"#,
                r#""entities":{{"hashtags":[{{"start":0,"end":4,"tag":"wx{tag_no}"}}]}}{more},"#,
                r#""public_metrics":{{"reply_count":0,"like_count":0,"quote_count":0}}}}{includes},"#,
                r#""matching_rules":[{{"id":"{rule_id}","tag":"{tag}"}}]}}"#,
                "\r\n"
            ),
            id = id,
            text = text,
            time = time,
            author = author,
            lang = rule.lang,
            edits = edits,
            tag_no = self.made % 7,
            more = more,
            includes = includes,
            rule_id = rule.id,
            tag = rule.tag,
        );
        Some(Line { id, tag: rule.tag.clone(), bytes: line.into() })
    }

    /// These posts are on their way to the client.
    fn deliver(&mut self, lines: Vec<Line>) {
        let day = self.now_ms().div_euclid(86_400_000);
        for line in lines {
            *self.delivered.days.entry(day).or_default() += 1;
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

async fn list_rules(State(fake): State<FakeX>, headers: HeaderMap) -> Response {
    let server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let sent = rfc3339(server.now_ms());
    let mut page = json!({"meta": {"sent": sent, "result_count": server.rules.len()}});
    if !server.rules.is_empty() {
        let one = |rule: &SetRule| json!({"id": rule.id, "value": rule.value, "tag": rule.tag});
        page["data"] = server.rules.iter().map(one).collect();
    }
    answer(200, page.to_string())
}

async fn change_rules(
    State(fake): State<FakeX>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_dry = query.get("dry_run").is_some_and(|dry| dry == "true");
    let sent = rfc3339(server.now_ms());
    match (body.get("add").and_then(Value::as_array), body.get("delete")) {
        (Some(add), None) if !add.is_empty() => {
            let before = (server.rules.clone(), server.next_rule);
            let (mut data, mut errors) = (vec![], vec![]);
            for rule in add {
                let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (value, tag) = (text("value"), text("tag"));
                let kind = |kind: &str| format!("https://api.x.com/2/problems/{kind}");
                if let Some(same) = server.rules.iter().find(|rule| rule.value == value) {
                    errors.push(
                        json!({"value": value, "id": same.id, "title": "DuplicateRule", "type": kind("duplicate-rules")}),
                    );
                    continue;
                }
                if server.rules.len() >= MAX_RULES {
                    errors.push(
                        json!({"value": value, "title": "RulesCapExceeded", "type": kind("rule-cap"), "detail": format!("more than {MAX_RULES} rules")}),
                    );
                    continue;
                }
                let id = server.next_rule.to_string();
                match read_rule(id, &value, &tag) {
                    Ok(rule) => {
                        data.push(json!({"id": rule.id, "value": rule.value, "tag": rule.tag}));
                        server.rules.push(rule);
                        server.next_rule += 1;
                    }
                    Err(detail) => errors.push(
                        json!({"value": value, "details": [detail], "title": "UnprocessableEntity", "type": kind("invalid-rules")}),
                    ),
                }
            }
            if is_dry {
                (server.rules, server.next_rule) = before;
            }
            let (good, bad) = (data.len(), errors.len());
            let mut said = json!({"meta": {"sent": sent, "summary": {"created": good, "not_created": bad, "valid": good, "invalid": bad}}});
            if good > 0 {
                said["data"] = data.into();
            }
            if bad > 0 {
                said["errors"] = errors.into();
            }
            answer(if good > 0 { 201 } else { 200 }, said.to_string())
        }
        (None, Some(delete)) => {
            let list = |key: &str| delete.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            let (ids, values) = (list("ids"), list("values"));
            let is_meant = |rule: &SetRule| {
                ids.iter().any(|id| *id == *rule.id) || values.iter().any(|value| *value == *rule.value)
            };
            let deleted = server.rules.iter().filter(|rule| is_meant(rule)).count();
            if !is_dry {
                server.rules.retain(|rule| !is_meant(rule));
            }
            let not_deleted = (ids.len() + values.len()).saturating_sub(deleted);
            answer(
                200,
                json!({"meta": {"sent": sent, "summary": {"deleted": deleted, "not_deleted": not_deleted}}})
                    .to_string(),
            )
        }
        _ => answer(400, problem("Invalid Request", "invalid-request", "one of add and delete is needed", &[])),
    }
}

/// Reads as much of a rule as making posts for it takes, and refuses what X would.
fn read_rule(id: String, value: &str, tag: &str) -> Result<SetRule, String> {
    let chars = value.chars().count();
    if chars > MAX_RULE_CHARS {
        return Err(format!("the rule has {chars} characters, {MAX_RULE_CHARS} are allowed"));
    }
    let mut rule = SetRule {
        id,
        value: value.into(),
        tag: tag.into(),
        sample: 100,
        boxes: vec![],
        words: vec![],
        lang: "en".into(),
    };
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '(', ')']);
        let mut is_text = false;
        let mut is_box = false;
        let end = rest.find(|c: char| {
            match c {
                '"' => is_text = !is_text,
                '[' => is_box = true,
                ']' => is_box = false,
                _ => (),
            }
            !is_text && !is_box && matches!(c, ' ' | '(' | ')')
        });
        let (term, after) = rest.split_at(end.unwrap_or(rest.len()));
        if term.is_empty() {
            break;
        }
        rest = after;
        let bare = term.strip_prefix('-').unwrap_or(term);
        match bare.split_once(':').filter(|_| !bare.starts_with(['"', '#'])) {
            None if term == "OR" => (),
            None => rule.words.push(term.trim_matches('"').into()),
            Some((operator, _)) if !OPERATORS.contains(&operator) => {
                return Err(format!("Reference to invalid operator '{operator}'"));
            }
            Some(("bounding_box", edges)) => rule.boxes.push(read_box(edges)?),
            Some(("lang", lang)) => rule.lang = lang.into(),
            Some(("sample", percent)) => {
                let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
                rule.sample = percent.ok_or("sample takes 1 to 100")?;
            }
            Some(_) => (),
        }
    }
    if rule.boxes.is_empty() && rule.words.is_empty() {
        return Err("a rule needs an operator that can stand alone".into());
    }
    Ok(rule)
}

fn read_box(text: &str) -> Result<[f64; 4], String> {
    let wrong = || format!("{text} is no box");
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(wrong)?;
    let edges: Vec<f64> = inner.split_whitespace().filter_map(|edge| edge.parse().ok()).collect();
    let [west, south, east, north] = edges[..] else { return Err(wrong()) };
    let widest = south.abs().min(north.abs());
    let widest = if south * north < 0.0 { 0.0 } else { widest };
    let (width, height) = ((east - west) * 111.32 * widest.to_radians().cos(), (north - south) * 111.32);
    if width <= 0.0 || height <= 0.0 || width >= BOX_KM || height >= BOX_KM {
        return Err(format!("the box {text} must be less than 25 miles wide and high"));
    }
    Ok([west, south, east, north])
}

async fn usage(State(fake): State<FakeX>, headers: HeaderMap) -> Response {
    let server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let day = |(day, posts): (&i64, &u64)| json!({"date": rfc3339(day * 86_400_000), "usage": posts.to_string()});
    let days: Vec<Value> = server.delivered.days.iter().map(day).collect();
    let all: u64 = server.delivered.days.values().sum();
    answer(
        200,
        json!({"data": {
            "project_cap": "3000000", "project_id": "1", "project_usage": all.to_string(),
            "daily_project_usage": {"project_id": "1", "usage": days},
        }})
        .to_string(),
    )
}

async fn connect(State(fake): State<FakeX>, headers: HeaderMap) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    server.delivered.connects += 1;
    let (most, within) = CONNECTS;
    while server.connects.front().is_some_and(|at| at.elapsed() >= within) {
        server.connects.pop_front();
    }
    if server.connects.len() >= most {
        server.delivered.too_many_connects += 1;
        return rate_limited(server.now_ms() + within.as_millis() as i64);
    }
    server.connects.push_back(Instant::now());
    if server.is_open {
        return answer(429, too_many_connections());
    }
    if server.rules.is_empty() {
        let issue = [("connection_issue", "RuleConfigurationIssue")];
        return answer(409, problem("ConnectionException", "streaming-connection", "there are no rules", &issue));
    }
    let part = server.delivered.parts.min(server.options.script.len().saturating_sub(1));
    server.delivered.parts += 1;
    match server.options.script.get(part).cloned().unwrap_or(Connection::Stream(vec![])) {
        Connection::Answer(status, body) => answer(status, body),
        Connection::RateLimited(secs) => rate_limited(server.now_ms() + secs * 1000),
        Connection::Stream(steps) => {
            server.is_open = true;
            server.delivered.streams += 1;
            drop(server);
            let open = Open { fake, steps: steps.into(), chunks: VecDeque::new(), due: Instant::now(), ends: None };
            let chunks = stream::unfold(open, |mut open| async move { Some((open.next().await?, open)) });
            ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], Body::from_stream(chunks)).into_response()
        }
    }
}

fn rate_limited(until_ms: i64) -> Response {
    let body = json!({"title":"Too Many Requests","status":429,"detail":"Too Many Requests","type":"about:blank"});
    let mut answer = answer(429, body.to_string());
    for (name, value) in [("limit", 50), ("remaining", 0), ("reset", until_ms.div_euclid(1000) + 1)] {
        if let Ok(name) = header::HeaderName::try_from(format!("x-rate-limit-{name}")) {
            answer.headers_mut().insert(name, value.into());
        }
    }
    answer
}

/// A stream that is open; dropped when the client is gone.
struct Open {
    fake: FakeX,
    steps: VecDeque<Step>,
    /// What is ready to be sent, with what is delivered by it.
    chunks: VecDeque<Chunk>,
    /// When the next post comes.
    due: Instant,
    /// When the present step ends.
    ends: Option<Instant>,
}

#[derive(Default)]
struct Chunk {
    bytes: Bytes,
    posts: Vec<Line>,
    repeated: u64,
    unreadable: u64,
    /// The connection ends after this.
    end: Option<End>,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Close,
    Break,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.fake.server().is_open = false;
    }
}

impl Open {
    async fn next(&mut self) -> Option<Result<Bytes, std::io::Error>> {
        loop {
            if let Some(chunk) = self.chunks.front_mut()
                && !chunk.bytes.is_empty()
            {
                let bytes = std::mem::take(&mut chunk.bytes);
                let mut server = self.fake.server();
                server.delivered.repeated += chunk.repeated;
                server.delivered.unreadable += chunk.unreadable;
                server.deliver(std::mem::take(&mut chunk.posts));
                if chunk.end.is_none() {
                    self.chunks.pop_front();
                }
                return Some(Ok(bytes));
            }
            match self.chunks.pop_front().and_then(|chunk| chunk.end) {
                Some(End::Close) => return None,
                Some(End::Break) => return Some(Err(std::io::Error::other("connection reset"))),
                None => self.step().await,
            }
        }
    }

    /// Goes on with the script until there may be something to send.
    async fn step(&mut self) {
        let step = self.steps.front().cloned().unwrap_or(Step::KeepAlives(u64::MAX));
        match step {
            Step::Posts(secs) => {
                let ends = self.ends(secs);
                // A pause of another step is not made up for.
                self.due = self.due.max(Instant::now() - KEEP_ALIVE);
                let until = self.due.min(ends).min(Instant::now() + KEEP_ALIVE);
                tokio::time::sleep_until(until).await;
                if until == ends {
                    self.done();
                } else if until < self.due {
                    self.chunks.push_back(Chunk { bytes: Bytes::from_static(b"\r\n"), ..Chunk::default() });
                } else {
                    let mut server = self.fake.server();
                    let mut posts = vec![];
                    while self.due <= Instant::now() && posts.len() < BURST as usize {
                        posts.extend(server.post());
                        let gap = (0.5 + server.dice.share()) / server.options.posts_per_s.max(1e-6);
                        self.due += Duration::from_secs_f64(gap);
                    }
                    drop(server);
                    self.send(posts);
                }
            }
            Step::Burst(left) => {
                let mut server = self.fake.server();
                let posts = (0..left.min(BURST)).filter_map(|_| server.post()).collect();
                drop(server);
                match left.saturating_sub(BURST) {
                    0 => self.done(),
                    left => self.steps[0] = Step::Burst(left),
                }
                self.send(posts);
            }
            Step::KeepAlives(secs) => {
                let ends = self.ends(secs);
                let until = ends.min(Instant::now() + KEEP_ALIVE);
                tokio::time::sleep_until(until).await;
                if until == ends {
                    self.done();
                } else {
                    self.chunks.push_back(Chunk { bytes: Bytes::from_static(b"\r\n"), ..Chunk::default() });
                }
            }
            Step::Silence(secs) => {
                tokio::time::sleep_until(self.ends(secs)).await;
                self.done();
            }
            Step::HalfLine => {
                self.done();
                let bytes = Bytes::from_static(b"{\"data\":{\"id\":\"2058060636507602944\",\"te");
                self.chunks.push_back(Chunk { bytes, unreadable: 1, end: Some(End::Close), ..Chunk::default() });
            }
            Step::SplitCharacter => {
                self.done();
                let post = self.fake.server().post();
                if let Some(post) = post {
                    let within = post.bytes.iter().position(|b| *b >= 0xc0).map_or(1, |at| at + 1);
                    self.send_cut(post.bytes.clone(), within, vec![post]);
                }
            }
            Step::BadUtf8 => {
                self.done();
                let bytes = b"{\"data\":{\"id\":\"2058060636507602944\",\"text\":\"\xff\xc3\"}}\r\n";
                self.chunks.push_back(Chunk { bytes: Bytes::from_static(bytes), unreadable: 1, ..Chunk::default() });
            }
            Step::LongLine => {
                self.done();
                let line = format!("{{\"data\":{{\"text\":\"{}\"}}}}\r\n", "x".repeat(1 << 20));
                let mut parts: Vec<_> = line.as_bytes().chunks(100_000).map(Bytes::copy_from_slice).collect();
                let bytes = parts.pop().unwrap_or_default();
                self.chunks.extend(parts.into_iter().map(|bytes| Chunk { bytes, ..Chunk::default() }));
                self.chunks.push_back(Chunk { bytes, unreadable: 1, ..Chunk::default() });
            }
            Step::Repeat(posts) => {
                self.done();
                let server = self.fake.server();
                let from = server.last.len().saturating_sub(posts);
                let lines: Vec<_> = server.last.iter().skip(from).map(|line| line.bytes.clone()).collect();
                drop(server);
                let repeated = lines.len() as u64;
                if repeated == 0 {
                    return;
                }
                self.chunks.push_back(Chunk { bytes: lines.concat().into(), repeated, ..Chunk::default() });
            }
            Step::ClockJump(ms) => {
                self.done();
                self.fake.server().shift_ms += ms;
            }
            Step::Errors(kind) => {
                self.done();
                let line = json!({"errors": [{
                    "title": "operational-disconnect", "disconnect_type": kind, "detail": "closed",
                    "type": "https://api.x.com/2/problems/operational-disconnect",
                }]});
                let bytes = format!("{line}\r\n").into();
                self.chunks.push_back(Chunk { bytes, end: Some(End::Close), ..Chunk::default() });
            }
            Step::Close => self.chunks.push_back(Chunk { end: Some(End::Close), ..Chunk::default() }),
            Step::Break => self.chunks.push_back(Chunk { end: Some(End::Break), ..Chunk::default() }),
        }
    }

    /// Sends posts in one chunk, or, now and then, in two.
    fn send(&mut self, posts: Vec<Line>) {
        if posts.is_empty() {
            return;
        }
        let all: Vec<_> = posts.iter().map(|post| post.bytes.clone()).collect();
        let all: Bytes = all.concat().into();
        let mut server = self.fake.server();
        let cut = if server.dice.below(4) == 0 { server.dice.below(all.len() as u64) as usize } else { 0 };
        drop(server);
        self.send_cut(all, cut, posts);
    }

    fn send_cut(&mut self, mut all: Bytes, cut: usize, posts: Vec<Line>) {
        let (mut ends, mut first) = (0, vec![]);
        let mut second = VecDeque::from(posts);
        while let Some(post) = second.front() {
            ends += post.bytes.len();
            if ends > cut {
                break;
            }
            first.extend(second.pop_front());
        }
        let head = all.split_to(cut);
        if !head.is_empty() {
            self.chunks.push_back(Chunk { bytes: head, posts: first, ..Chunk::default() });
        }
        self.chunks.push_back(Chunk { bytes: all, posts: second.into(), ..Chunk::default() });
    }

    fn ends(&mut self, secs: u64) -> Instant {
        // Beyond a hundred years timers overflow.
        *self.ends.get_or_insert_with(|| Instant::now() + Duration::from_secs(secs.min(3_000_000_000)))
    }

    fn done(&mut self) {
        self.ends = None;
        self.steps.pop_front();
    }
}

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end.max(1)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }
}
