//! The client of X against a fake of it: what a connection may do, a clock that is set, real sockets.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use birdsong_domain::post::{InstallationKey, Kind, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::snowflake_ms;
use birdsong_sources::dice::Dice;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::http::{Body, Http, HttpError, Network};
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::source::Source;
use birdsong_sources::source::{Clock, SourceError};
use birdsong_sources::x::fake::{Account, Connection, FakeX, Options, Step, chaos};
use birdsong_sources::x::meter::{Journal, Meter, Spent};
use birdsong_sources::x::{self, X};
use birdsong_testkit::{context, until};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Request, Response};
use tokio::time::Instant;

const TOKEN: &str = "AAAAsecret";
/// 2026-05-23T05:41:07Z
const START_MS: i64 = 1_779_514_867_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// The true time, which X has, and by how much the client's clock is wrong.
struct Time {
    start_ms: i64,
    began: Instant,
    off_ms: AtomicI64,
}

impl Time {
    fn new() -> Arc<Self> {
        Self::at(START_MS)
    }

    fn at(start_ms: i64) -> Arc<Self> {
        Arc::new(Self { start_ms, began: Instant::now(), off_ms: AtomicI64::new(0) })
    }

    fn true_ms(&self) -> i64 {
        self.start_ms + self.began.elapsed().as_millis() as i64
    }

    fn of_x(self: &Arc<Self>) -> Clock {
        let time = self.clone();
        Arc::new(move || time.true_ms())
    }

    fn of_client(self: &Arc<Self>) -> Clock {
        let time = self.clone();
        Arc::new(move || time.true_ms() + time.off_ms.load(Ordering::Relaxed))
    }

    fn set_off(&self, ms: i64) {
        self.off_ms.store(ms, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Received {
    posts: Vec<u128>,
    /// How many of them were handed on.
    handed_on: usize,
    reposts: usize,
    unreadable: Vec<String>,
    /// With the true time.
    changes: Vec<(i64, Change)>,
    /// Where the source would resume.
    resume: Option<Resume>,
}

impl Received {
    fn gaps(&self) -> Vec<(i64, i64)> {
        let gap = |change: &Change| match change {
            Change::Gap { from_ms, to_ms, .. } => Some((*from_ms, *to_ms)),
            _ => None,
        };
        self.changes.iter().filter_map(|(_, change)| gap(change)).collect()
    }

    /// What was waited for, with the seconds.
    fn waits(&self) -> Vec<(String, u64)> {
        let wait = |change: &Change| match change {
            Change::Waiting { reason, retry_in } => Some((reason.clone(), retry_in.as_secs())),
            _ => None,
        };
        self.changes.iter().filter_map(|(_, change)| wait(change)).collect()
    }

    /// What was reported to fail beside the stream, and when it worked again.
    fn troubles(&self) -> Vec<Option<String>> {
        let trouble = |change: &Change| match change {
            Change::Trouble { reason } => Some(reason.clone()),
            _ => None,
        };
        self.changes.iter().filter_map(|(_, change)| trouble(change)).collect()
    }

    /// Posts of the month by the last report of what was spent.
    fn spent(&self) -> f64 {
        let spent = |change: &Change| match change {
            Change::Spent { dollars } => Some(dollars / 0.005),
            _ => None,
        };
        self.changes.iter().rev().find_map(|(_, change)| spent(change)).unwrap_or(0.0).round()
    }

    /// True times of the connects.
    fn connects(&self) -> Vec<i64> {
        self.changes.iter().filter(|(_, change)| *change == Change::Connected).map(|(at_ms, _)| *at_ms).collect()
    }
}

/// Accepts everything, and blocks until a given time if asked to.
#[derive(Clone)]
struct Sink {
    time: Arc<Time>,
    received: Arc<Mutex<Received>>,
    shut_until: Arc<Mutex<Instant>>,
}

impl Sink {
    fn new(time: &Arc<Time>) -> Self {
        Self { time: time.clone(), received: Arc::default(), shut_until: Arc::new(Mutex::new(Instant::now())) }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }
}

impl Intake for Sink {
    fn post(&mut self, post: &SourcePost<'_>) {
        let mut received = self.received();
        received.posts.push(post.id.0);
        received.reposts += usize::from(post.kind == Kind::Repost);
    }

    fn notice(&mut self) {}

    fn unreadable(&mut self, reason: String, _bytes: &[u8]) {
        self.received().unreadable.push(reason);
    }

    fn flush(&mut self, resume: Option<Resume>) -> BoxFuture<'_, ()> {
        {
            let mut received = self.received();
            received.handed_on = received.posts.len();
            if resume.is_some() {
                received.resume = resume;
            }
        }
        let until = *self.shut_until.lock().unwrap();
        tokio::time::sleep_until(until).boxed()
    }

    fn change(&mut self, change: Change) {
        let at_ms = self.time.true_ms();
        self.received().changes.push((at_ms, change));
    }
}

fn regions() -> Arc<Regions> {
    let text = "[[region]]\nid = \"bcn\"\nboxes = [[2.05, 41.31, 2.23, 41.47]]\nkeywords = [\"sagrada\", \"#porta\"]\n\
                [[region]]\nid = \"fr\"\nkeywords = [\"bonjour\"]\nlanguages = [\"fr\"]\n";
    Arc::new(Regions::parse("test", text).unwrap())
}

fn fake(time: &Arc<Time>, script: Vec<Connection>, seed: u64, posts_per_s: f64, account: Account) -> FakeX {
    let has_new_names = seed % 2 == 1;
    let options = Options { token: TOKEN.into(), script, posts_per_s, seed, has_new_names, clock: time.of_x() };
    FakeX::with(options, account)
}

fn options() -> x::Options {
    x::Options {
        url: "https://x.example".into(),
        token: Token::new(TOKEN).unwrap(),
        read_token: Arc::new(|| Token::new(TOKEN).map_err(|error| error.to_string())),
        gzip: false,
        backfill_minutes: None,
        stall: x::STALL,
        journal: None,
        budget: None,
        dollars_a_post: 0.005,
    }
}

/// Streams until `stop` completes or the source ends.
async fn run<H: Http + 'static>(
    http: H,
    options: x::Options,
    sink: &Sink,
    stop: impl Future<Output = ()>,
) -> Option<SourceError> {
    let context = context(regions(), InstallationKey([7; 16]), sink.time.of_client());
    let mut client = X::new(options, http, &context).unwrap();
    let resume = sink.received().resume.clone();
    let resume = resume.as_ref().map(|resume| &*resume.cursor);
    until(stop, async |stop| client.stream(resume, &mut sink.clone(), stop).await).await
}

async fn run_here(fake: &FakeX, options: x::Options, sink: &Sink, secs: u64) -> Option<SourceError> {
    run(InProcess(fake.router()), options, sink, tokio::time::sleep(Duration::from_secs(secs))).await
}

fn posts(secs: u64, more: &[Step]) -> Connection {
    Connection::Stream([&[Step::Posts(secs)], more].concat())
}

fn trouble(times: usize) -> Vec<Connection> {
    vec![Connection::Answer(503, String::new()); times]
}

/// Each delivered post was handed on, and each post that nobody received lies within a reported gap.
fn nothing_is_lost_unreported(fake: &FakeX, sink: &Sink, what: &str) {
    let (delivered, received) = (fake.delivered(), sink.received());
    let wanted: BTreeSet<_> = delivered.posts.iter().map(|(id, _)| InstallationKey([7; 16]).x_post(*id).0).collect();
    let found: BTreeSet<_> = received.posts.iter().copied().collect();
    assert!(wanted == found, "{what}: {} posts lost, of {}", wanted.difference(&found).count(), wanted.len());
    let gaps = received.gaps();
    for id in delivered.missed.keys() {
        let at_ms = snowflake_ms(*id).unwrap();
        let is_reported = gaps.iter().any(|(from_ms, to_ms)| (*from_ms..*to_ms).contains(&at_ms));
        assert!(is_reported, "{what}: a post at {} s is missed, gaps {gaps:?}", (at_ms - START_MS) / 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn with_backfill_only_what_is_too_old_for_it_is_lost_and_reported() {
    for seed in 0..12 {
        let what = format!("seed {seed}");
        let (time, account) = (Time::new(), Account { has_backfill: true, ..Account::default() });
        // 503 is waited for 5 s, then 10 s, and so on: 17 s, then 354 s or more.
        let is_long = seed >= 6;
        let mut script = vec![posts(100 + seed, &[Step::Close])];
        script.extend(trouble(if is_long { 6 } else { 2 }));
        script.push(posts(u64::MAX, &[]));
        let (fake, sink) = (fake(&time, script, seed, 2.0, account), Sink::new(&time));
        let options = x::Options { backfill_minutes: Some(1), ..options() };
        assert_eq!(run_here(&fake, options, &sink, 900).await, None, "{what}");
        nothing_is_lost_unreported(&fake, &sink, &what);
        let delivered = fake.delivered();
        assert_eq!(delivered.streams, 2, "{what}");
        assert_eq!(delivered.repeated > 0, !is_long, "{what}: the last minute comes again");
        let (gaps, missed) = (sink.received().gaps(), delivered.missed.len());
        assert_eq!(
            (gaps.len(), missed > 400),
            if is_long { (1, true) } else { (0, false) },
            "{what}: {gaps:?} {missed}"
        );
        assert!(is_long || missed == 0, "{what}: {missed}");
        if let Some((from_ms, to_ms)) = gaps.first() {
            let connected_ms = sink.received().connects()[1];
            assert!((connected_ms - 60_000..connected_ms - 45_000).contains(to_ms), "{what}");
            assert!((80_000..100_000 + 1000 * seed as i64).contains(&(from_ms - START_MS)), "{what}");
        }
    }
}

/// The second stream breaks before anything of the backfill has come.
struct BreaksOnce {
    http: InProcess,
    streams: AtomicUsize,
}

impl Http for BreaksOnce {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let is_stream = request.uri().path() == "/2/tweets/search/stream";
        let answer = self.http.send(request).await?;
        if !is_stream || answer.status() != 200 || self.streams.fetch_add(1, Ordering::Relaxed) != 1 {
            return Ok(answer);
        }
        let chunks = [Ok(Bytes::from_static(b"\r\n")), Err(HttpError("reset".into()))];
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_did_not_come_is_still_owed() {
    // 503 is waited for 5 s, then 10 s, and so on, here this many times before the connection that
    // breaks and once behind it.
    for (minutes, times, gaps) in [(5, 5, 1), (5, 3, 0), (1, 3, 1), (1, 5, 2)] {
        let what = format!("{minutes} minutes of backfill, {times} times 503");
        let (time, account) = (Time::new(), Account { has_backfill: true, ..Account::default() });
        let mut script = vec![posts(100, &[Step::Close])];
        script.extend(trouble(times));
        script.push(posts(u64::MAX, &[]));
        script.extend(trouble(1));
        script.push(posts(u64::MAX, &[]));
        let (fake, sink) = (fake(&time, script, 1, 2.0, account), Sink::new(&time));
        let http = BreaksOnce { http: InProcess(fake.router()), streams: AtomicUsize::new(0) };
        let options = x::Options { backfill_minutes: Some(minutes), ..options() };
        assert_eq!(run(http, options, &sink, tokio::time::sleep(Duration::from_secs(900))).await, None, "{what}");
        nothing_is_lost_unreported(&fake, &sink, &what);
        let received = sink.received().gaps();
        assert_eq!((fake.delivered().streams, received.len()), (3, gaps), "{what}: {received:?}");
        assert!(received.windows(2).all(|pair| pair[0].1 == pair[1].0), "{what}: reported once each, {received:?}");
        assert_eq!(fake.delivered().missed.is_empty(), gaps == 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_without_backfill_is_noticed_at_the_first_connect() {
    let time = Time::new();
    let fake = fake(&time, vec![posts(u64::MAX, &[])], 1, 1.0, Account::default());
    let sink = Sink::new(&time);
    let options = x::Options { backfill_minutes: Some(2), ..options() };
    let error = run_here(&fake, options, &sink, 900).await.unwrap().to_string();
    assert!(error.contains("remove the option backfill") && error.contains("not available"), "{error}");
    assert_eq!((fake.delivered().streams, fake.delivered().connects), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn what_x_drops_for_a_slow_reader_lies_within_a_gap() {
    for seed in 0..3 {
        let what = format!("seed {seed}");
        let account = Account { queue_bytes: Some(1 << 20), ..Account::default() };
        let time = Time::new();
        let fake = fake(&time, vec![posts(u64::MAX, &[])], seed, 250.0, account);
        let sink = Sink::new(&time);
        *sink.shut_until.lock().unwrap() = Instant::now() + Duration::from_secs(60);
        // A minute fits into what is read ahead, five do not.
        let shut = sink.clone();
        let again = async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            *shut.shut_until.lock().unwrap() = Instant::now() + Duration::from_secs(300);
            tokio::time::sleep(Duration::from_secs(330)).await;
        };
        assert_eq!(run(InProcess(fake.router()), options(), &sink, again).await, None, "{what}");
        nothing_is_lost_unreported(&fake, &sink, &what);
        let (waits, missed) = (sink.received().waits(), fake.delivered().missed.len());
        assert!(waits.len() == 1 && waits[0].0.contains("because we read too slowly"), "{what}: {waits:?}");
        assert!(missed > 1000, "{what}: {missed} posts dropped");
        let gaps = sink.received().gaps();
        let (from_ms, to_ms) = gaps[0];
        assert!(gaps.len() == 1 && to_ms - from_ms < 300_000, "{what}: {gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_x_drops_for_a_slow_reader_comes_again_with_backfill() {
    let account = Account { queue_bytes: Some(1 << 20), has_backfill: true, ..Account::default() };
    let time = Time::new();
    let (fake, sink) = (fake(&time, vec![posts(u64::MAX, &[])], 1, 250.0, account), Sink::new(&time));
    *sink.shut_until.lock().unwrap() = Instant::now() + Duration::from_secs(150);
    let options = x::Options { backfill_minutes: Some(5), ..options() };
    assert_eq!(run_here(&fake, options, &sink, 200).await, None);
    nothing_is_lost_unreported(&fake, &sink, "backfill");
    assert!(sink.received().waits()[0].0.contains("because we read too slowly"));
    assert!(fake.delivered().missed.is_empty() && sink.received().gaps().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_caught_up_leaves_no_long_gap() {
    for off_s in [0, 20, -20] {
        let what = format!("off by {off_s} s");
        let time = Time::new();
        time.set_off(off_s * 1000);
        let account = Account { queue_bytes: Some(64 << 20), ..Account::default() };
        let script = vec![posts(400, &[Step::Close]), posts(u64::MAX, &[])];
        let (fake, sink) = (fake(&time, script, 1, 250.0, account), Sink::new(&time));
        let shut = sink.clone();
        let once = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            *shut.shut_until.lock().unwrap() = Instant::now() + Duration::from_secs(100);
            tokio::time::sleep(Duration::from_secs(400)).await;
        };
        assert_eq!(run(InProcess(fake.router()), options(), &sink, once).await, None, "{what}");
        nothing_is_lost_unreported(&fake, &sink, &what);
        let gaps = sink.received().gaps();
        let longest = Duration::from_secs(8 + off_s.unsigned_abs());
        assert!(gaps.len() == 1 && gaps[0].1 - gaps[0].0 <= longest.as_millis() as i64, "{what}: {gaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_x_still_keeps_for_a_connection_that_is_gone_is_waited_for() {
    let time = Time::new();
    let account = Account { held: Duration::from_secs(300), ..Account::default() };
    // It falls silent, so that the client abandons it and X does not know.
    let script = vec![posts(60, &[Step::Silence(u64::MAX)]), posts(u64::MAX, &[])];
    let (fake, sink) = (fake(&time, script, 1, 1.0, account), Sink::new(&time));
    assert_eq!(run_here(&fake, options(), &sink, 900).await, None);
    let waits = sink.received().waits();
    let secs: Vec<_> = waits.iter().map(|(_, secs)| *secs).collect();
    assert_eq!(secs, [0, 67, 135, 270], "{waits:?}");
    assert!(waits[1..].iter().all(|(reason, _)| reason.starts_with("another connection")), "{waits:?}");
    assert_eq!((fake.delivered().streams, fake.delivered().connects, sink.received().gaps().len()), (2, 5, 1));
    nothing_is_lost_unreported(&fake, &sink, "held");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_now_and_then_ends_nothing_and_hides_nothing() {
    for seed in 0..24 {
        let what = format!("seed {seed}");
        let mut dice = Dice::of(&[seed, 99]);
        let time = Time::new();
        let script = chaos(seed, 20);
        let parts = script.len();
        let (fake, sink) = (fake(&time, script, seed, 2.0, Account::default()), Sink::new(&time));
        let (clock, mut latest_ms) = (time.clone(), 0);
        let latest = &mut latest_ms;
        let server = fake.clone();
        // Half of the times it is right again.
        let jumps = async move {
            while server.delivered().parts < parts {
                tokio::time::sleep(Duration::from_secs(1 + dice.below(120))).await;
                let sign = if dice.percent(50) { 1 } else { -1 };
                let off_ms = match dice.below(6) {
                    0 => sign * DAY_MS,
                    1 => sign * dice.below(DAY_MS as u64) as i64,
                    2 => sign * dice.below(20) as i64 * MINUTE_MS,
                    _ => 0,
                };
                *latest = (*latest).max(clock.of_client()());
                clock.set_off(off_ms);
            }
            tokio::time::sleep(Duration::from_secs(90)).await;
            *latest = (*latest).max(clock.of_client()());
        };
        let mut options = options();
        if seed % 3 == 0 {
            options.budget = Some("100/day".parse().unwrap());
        }
        // The waits of X alone are two hours at most.
        let running = run(InProcess(fake.router()), options, &sink, jumps);
        let error = tokio::time::timeout(Duration::from_secs(8 * 3600), running).await;
        assert_eq!(error.unwrap_or_else(|_| panic!("{what}: the script did not end")), None, "{what}");
        let (delivered, received) = (fake.delivered(), sink.received());
        let wanted: BTreeSet<_> =
            delivered.posts.iter().map(|(id, _)| InstallationKey([7; 16]).x_post(*id).0).collect();
        assert!(wanted == received.posts.iter().copied().collect(), "{what}");
        assert_eq!(delivered.too_many_connects, 0, "{what}");
        let gaps = received.gaps();
        assert_eq!(gaps.len() as u64 + 1, delivered.streams, "{what}: each time without a connection is reported");
        for (from_ms, to_ms) in gaps {
            let is_sane = from_ms < to_ms && to_ms - from_ms <= DAY_MS && to_ms <= latest_ms;
            assert!(is_sane, "{what}: {from_ms} {to_ms} {latest_ms}");
        }
        assert!(received.waits().iter().all(|(_, secs)| *secs <= 3600), "{what}: {:?}", received.waits());
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_leaves_the_whole_gap() {
    // When the clock is a day off, and when it is right again: within the connection, or after it.
    for (off_ms, from, to) in [(DAY_MS, 10, 40), (DAY_MS, 10, 65), (-DAY_MS, 10, 40), (5 * MINUTE_MS, 50, 65)] {
        let what = format!("off by {off_ms} ms from {from} s to {to} s");
        let time = Time::new();
        let mut script = vec![posts(60, &[Step::Close])];
        script.extend(trouble(3));
        script.push(posts(u64::MAX, &[]));
        let (fake, sink) = (fake(&time, script, 1, 1.0, Account::default()), Sink::new(&time));
        let clock = time.clone();
        let jumps = async move {
            tokio::time::sleep(Duration::from_secs(from)).await;
            clock.set_off(off_ms);
            tokio::time::sleep(Duration::from_secs(to - from)).await;
            clock.set_off(0);
            tokio::time::sleep(Duration::from_secs(200)).await;
        };
        assert_eq!(run(InProcess(fake.router()), options(), &sink, jumps).await, None, "{what}");
        let gaps = sink.received().gaps();
        let connected_ms = sink.received().connects()[1];
        let (from_ms, to_ms) = gaps[0];
        assert_eq!((gaps.len(), to_ms), (1, connected_ms), "{what}");
        assert!((START_MS + 50_000..START_MS + 60_000).contains(&from_ms), "{what}: {}", from_ms - START_MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_in_an_earlier_run_hides_no_gap() {
    // Ahead, it reports only what is sure; behind, at most a day.
    for (off_ms, longest_ms) in [(DAY_MS, 8000), (-20 * DAY_MS, DAY_MS)] {
        let time = Time::new();
        let fake = fake(&time, vec![posts(u64::MAX, &[])], 1, 1.0, Account::default());
        let sink = Sink::new(&time);
        time.set_off(off_ms);
        assert_eq!(run_here(&fake, options(), &sink, 60).await, None);
        time.set_off(0);
        assert_eq!(run_here(&fake, options(), &sink, 60).await, None);
        let gaps = sink.received().gaps();
        let connects = sink.received().connects();
        let (from_ms, to_ms) = gaps[0];
        assert_eq!((gaps.len(), to_ms), (1, connects[1]), "{off_ms}");
        assert!((7000..=longest_ms).contains(&(to_ms - from_ms)), "{off_ms}: {}", to_ms - from_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_ends_no_wait_that_x_asked_for() {
    let time = Time::new();
    let script = vec![Connection::RateLimited(600), posts(u64::MAX, &[])];
    let (fake, sink) = (fake(&time, script, 1, 1.0, Account::default()), Sink::new(&time));
    let clock = time.clone();
    let jumps = async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        clock.set_off(DAY_MS);
        tokio::time::sleep(Duration::from_secs(700)).await;
    };
    assert_eq!(run(InProcess(fake.router()), options(), &sink, jumps).await, None);
    let connected = sink.received().connects()[0] - START_MS;
    assert!((600_000..620_000).contains(&connected), "{connected}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_makes_no_wait_of_hours() {
    for behind_ms in [20 * MINUTE_MS, 23 * 60 * MINUTE_MS] {
        let time = Time::new();
        time.set_off(-behind_ms);
        let script = vec![Connection::RateLimited(600), posts(u64::MAX, &[])];
        let (fake, sink) = (fake(&time, script, 1, 1.0, Account::default()), Sink::new(&time));
        assert_eq!(run_here(&fake, options(), &sink, 1000).await, None);
        assert_eq!((sink.received().waits()[0].1, fake.delivered().streams), (67, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_gives_no_budget_back() {
    // $5 are 1,000 posts. Another day that the clock was in, wrongly, has a separate budget.
    for (jumps_ms, days) in [
        ([10 * MINUTE_MS, -10 * MINUTE_MS, 0, 5 * MINUTE_MS], 1),
        ([-DAY_MS, 0, -DAY_MS, 0], 2),
        ([DAY_MS, 0, DAY_MS, 0], 2),
    ] {
        let what = format!("{jumps_ms:?}");
        let time = Time::new();
        let fake = fake(&time, vec![posts(u64::MAX, &[])], 1, 5.0, Account::default());
        let (sink, clock) = (Sink::new(&time), time.clone());
        let jumps = async move {
            for off_ms in jumps_ms.into_iter().chain(jumps_ms) {
                tokio::time::sleep(Duration::from_secs(400)).await;
                clock.set_off(off_ms);
            }
            tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
        };
        let options = x::Options { budget: Some("5/day".parse().unwrap()), ..options() };
        assert_eq!(run(InProcess(fake.router()), options, &sink, jumps).await, None, "{what}");
        let posts = fake.delivered().posts.len();
        assert!((400..=1000 * days).contains(&posts), "{what}: {posts} posts");
        nothing_is_lost_unreported(&fake, &sink, &what);
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_is_a_pause_until_the_next_day_and_other_waits_are_none() {
    let time = Time::new();
    let mut script = trouble(1);
    script.push(posts(u64::MAX, &[]));
    let (fake, sink) = (fake(&time, script, 1, 50.0, Account::default()), Sink::new(&time));
    let options = x::Options { budget: Some("1/day".parse().unwrap()), ..options() };
    let started_ms = time.true_ms();
    assert_eq!(run_here(&fake, options, &sink, 1800).await, None);
    let received = sink.received();
    let pause = received.changes.iter().position(|(_, change)| matches!(change, Change::Paused { .. })).unwrap();
    let midnight_ms = (started_ms.div_euclid(DAY_MS) + 1) * DAY_MS;
    assert_eq!(received.changes[pause].1, Change::Paused { until_ms: midnight_ms });
    let waits = |changes: &[(i64, Change)]| {
        changes.iter().filter(|(_, change)| matches!(change, Change::Waiting { .. })).count()
    };
    assert!(waits(&received.changes[..pause]) > 0, "the trouble before was no pause");
    assert!(waits(&received.changes[pause..]) > 0, "a pause is also a wait");
}

/// The fake on a socket; returns its address.
async fn listen(fake: &FakeX) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, fake.router()).into_future());
    format!("http://{address}")
}

/// Until that many posts were handed on and nothing more came for a moment.
async fn all_posts(sink: Sink, posts: usize) {
    let patience = Instant::now() + Duration::from_secs(30);
    while sink.received().posts.len() < posts && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn over_a_socket_bad_lines_and_broken_ones_cost_nothing_else() {
    let mut reposts = vec![];
    // The same seed parity is the same spelling: old, new.
    for seed in [2, 3] {
        let what = format!("seed {seed}");
        let time = Time::new();
        let script = vec![
            Connection::Stream(vec![
                Step::Burst(300),
                Step::SplitCharacter,
                Step::BadUtf8,
                Step::LongLine,
                Step::Burst(300),
                Step::HalfLine,
            ]),
            Connection::Stream(vec![Step::Burst(100), Step::BrokenLine]),
            Connection::Stream(vec![Step::Burst(300)]),
        ];
        let (fake, sink) = (fake(&time, script, seed, 1.0, Account::default()), Sink::new(&time));
        let options = x::Options { url: listen(&fake).await, ..options() };
        let error = run(Network::new(false).unwrap(), options, &sink, all_posts(sink.clone(), 1001)).await;
        assert_eq!(error, None, "{what}");
        nothing_is_lost_unreported(&fake, &sink, &what);
        let received = sink.received();
        let reasons = &received.unreadable;
        assert_eq!(
            (received.posts.len(), reasons.len(), fake.delivered().unreadable),
            (1001, 4, 4),
            "{what}: {reasons:?}"
        );
        for wanted in ["longer than 1 MiB", "within the line"] {
            assert!(reasons.iter().any(|reason| reason.contains(wanted)), "{what}: {reasons:?}");
        }
        let waits = received.waits();
        assert_eq!((waits.len(), received.gaps().len()), (2, 2), "{what}: {waits:?}");
        assert!(waits[0].0.contains("closed") && waits[1].0.contains("broke"), "{what}: {waits:?}");
        assert!(!format!("{reasons:?} {:?}", received.changes).contains("secret"), "{what}");
        reposts.push(received.reposts);
    }
    assert!(reposts.iter().all(|reposts| (250..550).contains(reposts)), "{reposts:?}");
}

/// Opens the stream by hand; rules must be set.
async fn open(network: &Network, url: &str, encoding: Option<&str>) -> Body {
    let mut request = http::Request::builder()
        .uri(format!("{url}/2/tweets/search/stream"))
        .header("authorization", format!("Bearer {TOKEN}"));
    if let Some(encoding) = encoding {
        request = request.header("accept-encoding", encoding);
    }
    let answer = network.send(request.body(Bytes::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::OK);
    answer.into_body()
}

async fn set_rule(network: &Network, url: &str) {
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("{url}/2/tweets/search/stream/rules"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Bytes::from_static(br#"{"add":[{"value":"cat","tag":"cat:text"}]}"#))
        .unwrap();
    assert_eq!(network.send(request).await.unwrap().status(), http::StatusCode::CREATED);
}

#[tokio::test]
async fn a_compressed_stream_comes_without_waiting_for_more() {
    let account = Account { gzip: true, keep_alive: Duration::from_millis(50), ..Account::default() };
    let time = Time::new();
    let script = vec![Connection::Stream(vec![Step::Burst(100)])];
    let by_hand = fake(&time, script.clone(), 1, 1.0, account.clone());
    let url = listen(&by_hand).await;
    let (plain, zipped) = (Network::new(false).unwrap(), Network::new(true).unwrap());
    set_rule(&plain, &url).await;
    // Only who asks for it has it compressed.
    for (encoding, is_zipped) in [("gzip", true), ("identity", false)] {
        let mut body = open(&plain, &url, Some(encoding)).await;
        let first = body.next().await.unwrap().unwrap();
        assert_eq!(first.starts_with(&[0x1f, 0x8b]), is_zipped, "{encoding}");
        drop(body);
        while by_hand.is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let reading = async {
        let mut body = open(&zipped, &url, None).await;
        let (mut lines, mut last) = (0, Bytes::new());
        while lines < 103 {
            last = body.next().await.unwrap().unwrap();
            lines += last.iter().filter(|b| **b == b'\n').count();
        }
        last
    };
    let last = tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
    assert_eq!(last, "\r\n", "each keep-alive comes alone");

    // The client accepts keep-alives as a sign of life, and has all posts.
    let fake = fake(&time, script, 1, 1.0, account);
    let sink = Sink::new(&time);
    let stall = Duration::from_secs(2);
    let options = x::Options { url: listen(&fake).await, gzip: true, stall, ..options() };
    let error = run(zipped, options, &sink, tokio::time::sleep(Duration::from_secs(3))).await;
    assert_eq!((error, sink.received().waits()), (None, vec![]));
    assert_eq!((sink.received().posts.len(), fake.delivered().streams), (100, 1));
    nothing_is_lost_unreported(&fake, &sink, "gzip");
}

#[tokio::test]
async fn an_end_of_a_compressed_stream_is_an_end() {
    let time = Time::new();
    let account = Account { gzip: true, ..Account::default() };
    let script = vec![
        Connection::Stream(vec![Step::Burst(50), Step::Close]),
        Connection::Stream(vec![Step::Burst(50), Step::BrokenLine]),
        Connection::Stream(vec![Step::Burst(50)]),
    ];
    let (fake, sink) = (fake(&time, script, 1, 1.0, account), Sink::new(&time));
    let options = x::Options { url: listen(&fake).await, gzip: true, ..options() };
    let error = run(Network::new(true).unwrap(), options, &sink, all_posts(sink.clone(), 150)).await;
    let received = sink.received();
    assert_eq!((error, received.waits().len(), received.unreadable.len()), (None, 2, 1));
    drop(received);
    nothing_is_lost_unreported(&fake, &sink, "gzip");
}

// Rule 7.5.
/// What happened: 30 SIGKILLs with a backfill of five minutes made $1,827 of $178, since what was metered was not kept.
#[tokio::test(start_paused = true)]
async fn however_often_it_is_killed_each_post_is_paid_for_once_a_day() {
    // Twenty minutes before midnight, so that both days are charged, and in the same month.
    let start_ms = START_MS.div_euclid(DAY_MS) * DAY_MS + DAY_MS - 20 * MINUTE_MS;
    for seed in 0..4 {
        let what = format!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("metered");
        let recorded = || {
            let (_, recorded) = Journal::open(&journal).unwrap();
            Meter::new(InstallationKey([7; 16]), Spent::default(), recorded).spent().days().clone()
        };
        let (time, mut dice) = (Time::at(start_ms), Dice::of(&[seed, 5]));
        let account = Account { has_backfill: true, ..Account::default() };
        let (fake, sink) = (fake(&time, vec![posts(u64::MAX, &[])], seed, 0.3, account), Sink::new(&time));
        let options = || x::Options { backfill_minutes: Some(5), journal: Some(journal.clone()), ..options() };
        let mut handed_on = BTreeSet::new();
        for kill in 0..40 {
            // Half of them without the resume point, which has a sum, too.
            if seed % 2 == 0 {
                sink.received().resume = None;
            }
            let alive = Duration::from_millis(20_000 + dice.below(60_000));
            let killed = tokio::time::timeout(alive, run_here(&fake, options(), &sink, u64::MAX >> 20)).await;
            assert!(killed.is_err(), "{what}: {killed:?}");
            let received = sink.received();
            handed_on.extend(received.posts[..received.handed_on].iter().copied());
            drop(received);
            let paid: u64 = recorded().values().sum();
            assert!(paid >= handed_on.len() as u64, "{what}: {paid} of {} after kill {kill}", handed_on.len());
        }
        // What was on its way when it was killed comes again.
        assert_eq!(run_here(&fake, options(), &sink, 30).await, None, "{what}");
        let delivered = fake.delivered();
        assert!(delivered.repeated > 1000 && delivered.days.len() == 2, "{what}: {delivered:?}");
        assert_eq!(recorded(), delivered.days, "{what}");
        assert_eq!(sink.received().spent(), delivered.days.values().sum::<u64>() as f64, "{what}");
    }
}

// Rule 7.5.
#[tokio::test(start_paused = true)]
async fn nothing_is_handed_on_before_its_cost_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    let time = Time::new();
    // Nothing comes at first, so that there is nothing to write.
    let script = vec![Connection::Stream(vec![Step::KeepAlives(10), Step::Posts(u64::MAX)])];
    let (fake, sink) = (fake(&time, script, 1, 1.0, Account::default()), Sink::new(&time));
    let (at_work, path) = (sink.clone(), inner.clone());
    let disk = async move {
        let sleep = |secs| tokio::time::sleep(Duration::from_secs(secs));
        sleep(20).await;
        let waits = at_work.received().waits();
        assert!(waits[0].0.contains("which keeps what is spent, cannot be opened"), "{waits:?}");
        std::fs::create_dir(&path).unwrap();
        // Opened, and gone before anything is written.
        while !path.join("metered").exists() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        std::fs::remove_dir_all(&path).unwrap();
        sleep(60).await;
        let troubles = at_work.received().troubles();
        assert!(troubles.len() == 1 && troubles[0].as_ref().unwrap().contains("the stream waits"), "{troubles:?}");
        assert!(at_work.received().handed_on == 0 && !at_work.received().posts.is_empty());
        std::fs::create_dir(&path).unwrap();
        sleep(60).await;
        assert_eq!(at_work.received().troubles().last(), Some(&None));
    };
    let options = x::Options { journal: Some(inner.join("metered")), ..options() };
    assert_eq!(run(InProcess(fake.router()), options, &sink, disk).await, None);
    nothing_is_lost_unreported(&fake, &sink, "disk");
    let received = sink.received();
    assert_eq!(received.handed_on, received.posts.len());
    assert_eq!(received.spent(), fake.delivered().posts.len() as f64);
}

/// Rules cannot be listed for a while.
struct NoRules {
    http: InProcess,
    time: Arc<Time>,
    away_ms: std::ops::Range<i64>,
}

impl Http for NoRules {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let is_away = self.away_ms.contains(&(self.time.true_ms() - START_MS));
        if is_away && request.uri().path().ends_with("/rules") {
            return Err(HttpError("connection refused".into()));
        }
        self.http.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn rules_that_repeatedly_fail_to_sync_are_reported_while_the_stream_continues() {
    for (away_mins, is_reported) in [(16, false), (25, true)] {
        let time = Time::new();
        let (fake, sink) = (fake(&time, vec![posts(u64::MAX, &[])], 1, 1.0, Account::default()), Sink::new(&time));
        let http = NoRules {
            http: InProcess(fake.router()),
            time: time.clone(),
            away_ms: MINUTE_MS..away_mins * MINUTE_MS - 30_000,
        };
        assert_eq!(run(http, options(), &sink, tokio::time::sleep(Duration::from_secs(1800))).await, None);
        nothing_is_lost_unreported(&fake, &sink, "rules");
        let received = sink.received();
        assert_eq!((received.connects().len(), received.waits().len()), (1, 0));
        let troubles = received.troubles();
        if is_reported {
            let reason = troubles[0].as_ref().unwrap();
            assert!(reason.contains("rules at X") && reason.contains("connection refused"), "{reason}");
            assert_eq!(troubles[1..], [None]);
        } else {
            assert!(troubles.is_empty(), "once is no trouble: {troubles:?}");
        }
    }
}

#[test]
fn a_token_is_not_sent_in_clear() {
    let options = x::Options { url: "http://x.example".into(), ..options() };
    let context = context(regions(), InstallationKey([7; 16]), Time::new().of_client());
    let made = X::new(options, Network::new(false).unwrap(), &context);
    assert!(matches!(made, Err(SourceError::Config(text)) if text.contains("https://")));
}
