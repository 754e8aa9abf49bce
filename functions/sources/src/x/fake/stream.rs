//! The stream: one connection, and what happens on it.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;

use super::{
    Asked, Connection, FakeX, Line, Step, answer, mark, problem, too_many_connections, too_many_requests, unauthorized,
    wrong_parameter,
};

/// Posts of one chunk of a burst.
const BURST: u64 = 64;

pub(super) async fn connect(
    State(fake): State<FakeX>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    server.delivered.connects += 1;
    let now_ms = server.now_ms();
    if !server.limits.connects.take() {
        server.delivered.too_many_connects += 1;
        return server.limits.connects.refuse(now_ms);
    }
    let backfill = match query.get("backfill_minutes") {
        None => Duration::ZERO,
        Some(asked) => match asked.parse::<u64>() {
            Ok(0) => Duration::ZERO,
            Ok(minutes) if minutes <= 5 && server.account.has_backfill => Duration::from_secs(minutes * 60),
            Ok(minutes) if minutes <= 5 => {
                return wrong_parameter("backfill_minutes", asked, "backfill_minutes is not available to this account");
            }
            _ => return wrong_parameter("backfill_minutes", asked, "backfill_minutes must be 0 to 5"),
        },
    };
    let asked = match Asked::parse(&query) {
        Ok(asked) => asked,
        Err((name, value)) => return wrong_parameter(name, &value, &format!("{name} does not know [{value}]")),
    };
    if server.is_open || Instant::now() < server.held_until {
        // These headers describe the whole project, not the slot of a connection.
        let mut answer = answer(429, too_many_connections());
        mark(&mut answer, 40_000, 39_999, now_ms + 900_000);
        return answer;
    }
    if server.rules.is_empty() {
        let issue = [("connection_issue", "RuleConfigurationIssue")];
        return answer(409, problem("ConnectionException", "streaming-connection", "there are no rules", &issue));
    }
    let part = server.delivered.parts.min(server.options.script.len().saturating_sub(1));
    server.delivered.parts += 1;
    let steps = match server.options.script.get(part).cloned().unwrap_or(Connection::Stream(vec![])) {
        Connection::Answer(status, body) => return answer(status, body),
        Connection::RateLimited(secs) => {
            let mut answer = too_many_requests();
            mark(&mut answer, 50, 0, now_ms + secs * 1000);
            return answer;
        }
        Connection::Stream(steps) => steps,
    };
    server.is_open = true;
    server.delivered.streams += 1;
    server.asked = asked;
    let due = server.catch_up();
    let is_old = |made: &Instant| made.elapsed() > backfill;
    let again = server.recent.iter().filter(|(made, _)| !is_old(made)).map(|(_, line)| line.again(&server.asked));
    let again: Vec<_> = again.collect();
    let is_zipped = server.account.gzip
        && headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .any(|takes| takes.as_bytes().windows(4).any(|w| w == b"gzip"));
    drop(server);
    let mut open = Open {
        fake: fake.clone(),
        steps: steps.into(),
        chunks: VecDeque::new(),
        due,
        ends: None,
        is_cut: false,
        has_ended: false,
    };
    if !backfill.is_zero() {
        again.chunks(BURST as usize).for_each(|part| open.send(part.to_vec(), false));
    }
    let kind = (header::CONTENT_TYPE, "application/json; charset=utf-8");
    let mut answer = if is_zipped {
        ([kind, (header::CONTENT_ENCODING, "gzip")], zipped(open)).into_response()
    } else {
        let chunks = stream::unfold(open, |mut open| async move { Some((open.next().await?, open)) });
        ([kind], Body::from_stream(chunks)).into_response()
    };
    let server = fake.server();
    answer = server.limits.connects.mark(answer, now_ms);
    answer
}

/// The stream, compressed. What is sent can be unpacked at once, without waiting for more.
fn zipped(open: Open) -> Body {
    let zip = GzEncoder::new(vec![], Compression::fast());
    Body::from_stream(stream::unfold((open, Some(zip)), |(mut open, zip)| async move {
        let mut zip = zip?;
        let (bytes, zip) = match open.next().await {
            Some(Ok(bytes)) => match zip.write_all(&bytes).and_then(|()| zip.flush()) {
                Ok(()) => (Ok(std::mem::take(zip.get_mut())), Some(zip)),
                Err(error) => (Err(error), None),
            },
            Some(Err(error)) => (Err(error), None),
            None => (zip.finish(), None),
        };
        Some((bytes.map(Bytes::from), (open, zip)))
    }))
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
    /// The client read too slowly.
    is_cut: bool,
    /// The server has ended it.
    has_ended: bool,
}

#[derive(Default)]
struct Chunk {
    bytes: Bytes,
    posts: Vec<Line>,
    /// Waits in the queue of the server.
    is_queued: bool,
    /// Begins within a line.
    is_rest: bool,
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
        let is_posting = self.is_cut || matches!(self.steps.front(), Some(Step::Posts(_)));
        let mut server = self.fake.server();
        server.is_open = false;
        if !self.has_ended {
            server.held_until = Instant::now() + server.account.held;
        }
        server.left = Some(if is_posting { self.due } else { Instant::now() });
        server.miss(self.chunks.drain(..).flat_map(|chunk| chunk.posts));
    }
}

impl Open {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            self.fill();
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
                Some(end) => {
                    self.has_ended = true;
                    // What was sent is on its way by then.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    return (end == End::Break).then(|| Err(io::Error::other("connection reset")));
                }
                None => self.step().await,
            }
        }
    }

    /// Goes on with the script until there may be something to send.
    async fn step(&mut self) {
        let step = self.steps.front().cloned().unwrap_or(Step::KeepAlives(u64::MAX));
        match step {
            Step::Posts(secs) => {
                let ends = self.begin_posts(secs);
                let account = self.fake.server().account.clone();
                if account.queue_bytes.is_none() {
                    // What a client does not wait for is made up for only in part.
                    self.due = self.due.max(Instant::now() - account.keep_alive);
                }
                let until = self.due.min(ends).min(Instant::now() + account.keep_alive);
                tokio::time::sleep_until(until).await;
                if until == ends {
                    self.done();
                } else if until < self.due {
                    self.keep_alive();
                } else if account.queue_bytes.is_none() {
                    let posts = self.make(Instant::now(), usize::MAX);
                    self.send(posts, false);
                }
            }
            Step::Burst(left) => {
                let mut server = self.fake.server();
                let posts = (0..left.min(BURST)).filter_map(|_| server.post(Instant::now())).collect();
                drop(server);
                match left.saturating_sub(BURST) {
                    0 => self.done(),
                    left => self.steps[0] = Step::Burst(left),
                }
                self.send(posts, false);
            }
            Step::KeepAlives(secs) => {
                let ends = self.ends(secs);
                let until = ends.min(Instant::now() + self.fake.server().account.keep_alive);
                tokio::time::sleep_until(until).await;
                if until == ends {
                    self.done();
                } else {
                    self.keep_alive();
                }
            }
            Step::Silence(secs) => {
                tokio::time::sleep_until(self.ends(secs)).await;
                self.done();
            }
            Step::HalfLine => self.half_line(End::Close),
            Step::BrokenLine => self.half_line(End::Break),
            Step::SplitCharacter => {
                self.done();
                let post = self.fake.server().post(Instant::now());
                if let Some(post) = post {
                    let within = post.bytes.iter().position(|b| *b >= 0xc0).map_or(1, |at| at + 1);
                    self.send_cut(post.bytes.clone(), within, vec![post], false);
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
                self.errors(kind);
            }
            Step::Close => self.chunks.push_back(Chunk { end: Some(End::Close), ..Chunk::default() }),
            Step::Break => self.chunks.push_back(Chunk { end: Some(End::Break), ..Chunk::default() }),
        }
    }

    fn half_line(&mut self, end: End) {
        self.done();
        let bytes = Bytes::from_static(b"{\"data\":{\"id\":\"2058060636507602944\",\"te");
        self.chunks.push_back(Chunk { bytes, unreadable: 1, end: Some(end), ..Chunk::default() });
    }

    fn keep_alive(&mut self) {
        self.chunks.push_back(Chunk { bytes: Bytes::from_static(b"\r\n"), ..Chunk::default() });
    }

    /// Says why, then ends.
    fn errors(&mut self, kind: &str) {
        let line = json!({"errors": [{
            "title": "operational-disconnect", "disconnect_type": kind, "detail": "closed",
            "type": "https://api.x.com/2/problems/operational-disconnect",
        }]});
        let bytes = format!("{line}\r\n").into();
        self.chunks.push_back(Chunk { bytes, end: Some(End::Close), ..Chunk::default() });
    }

    /// When the step of posts ends; starts it if necessary.
    fn begin_posts(&mut self, secs: u64) -> Instant {
        if self.ends.is_none() {
            self.due = self.due.max(Instant::now());
        }
        self.ends(secs)
    }

    /// Makes the posts that are due, up to this many bytes.
    fn make(&mut self, until: Instant, most_bytes: usize) -> Vec<Line> {
        let mut server = self.fake.server();
        let (mut posts, mut bytes) = (vec![], 0);
        while self.due <= until && bytes <= most_bytes && (most_bytes < usize::MAX || posts.len() < BURST as usize) {
            if let Some(post) = server.post(self.due) {
                bytes += post.bytes.len();
                posts.push(post);
            }
            self.due += server.gap();
        }
        posts
    }

    /// Queues what was posted while the client did not read, and cuts the connection when that is too
    /// much.
    fn fill(&mut self) {
        let Some(Step::Posts(secs)) = self.steps.front() else { return };
        let ends = self.begin_posts(*secs);
        let Some(room) = self.fake.server().account.queue_bytes else { return };
        let posts = self.make(ends.min(Instant::now()), room);
        posts.chunks(BURST as usize).for_each(|part| self.send(part.to_vec(), true));
        let queued = self.chunks.iter().filter(|chunk| chunk.is_queued).map(|chunk| chunk.bytes.len()).sum::<usize>();
        if queued > room {
            self.is_cut = true;
            self.steps.clear();
            // A line that is on its way comes whole.
            let rest = self.chunks.pop_front_if(|chunk| chunk.is_rest);
            self.fake.server().miss(self.chunks.drain(..).flat_map(|chunk| chunk.posts));
            self.chunks.extend(rest);
            self.errors("SlowReader");
        }
    }

    /// Sends posts in one chunk, or, now and then, in two.
    fn send(&mut self, posts: Vec<Line>, is_queued: bool) {
        if posts.is_empty() {
            return;
        }
        let all: Vec<_> = posts.iter().map(|post| post.bytes.clone()).collect();
        let all: Bytes = all.concat().into();
        let mut server = self.fake.server();
        let cut = if server.dice.below(4) == 0 { server.dice.below(all.len() as u64) as usize } else { 0 };
        drop(server);
        self.send_cut(all, cut, posts, is_queued);
    }

    fn send_cut(&mut self, mut all: Bytes, cut: usize, posts: Vec<Line>, is_queued: bool) {
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
        let is_rest = !head.is_empty();
        if !head.is_empty() {
            self.chunks.push_back(Chunk { bytes: head, posts: first, is_queued, ..Chunk::default() });
        }
        self.chunks.push_back(Chunk { bytes: all, posts: second.into(), is_queued, is_rest, ..Chunk::default() });
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
