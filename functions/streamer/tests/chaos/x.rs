//! The client of X against a fake of it, through the feeder into a log that fails, in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode};
use birdsong_domain::post::{InstallationKey, Kind};
use birdsong_domain::time::{WindowSize, snowflake_ms};
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::http::{Body, Http, HttpError};
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::session::Stop;
use birdsong_sources::source::Source;
use birdsong_sources::source::{Clock, SourceError};
use birdsong_sources::x::fake::{Account, Connection, Delivered, FakeX, Options, Step, chaos, passing_errors, script};
use birdsong_sources::x::{self, X};
use birdsong_streamer::ingest::Ingest;
use birdsong_streamer::pipeline::Ended;
use birdsong_testkit::{context, until};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::windows::{Order, Windows};
use super::world::{Counted, Life, World, lives, seeds};

const TOKEN: &str = "AAAAsecret";

const REGIONS: &str = "[[region]]\nid = \"bcn\"\nboxes = [[2.05, 41.31, 2.23, 41.47]]\n\
    keywords = [\"sagrada\", \"#porta\"]\nhot_buckets = 2\n\
    [[region]]\nid = \"fr\"\nkeywords = [\"bonjour\"]\nlanguages = [\"fr\"]\n";

fn fake(world: &Arc<World>, script: Vec<Connection>, seed: u64, posts_per_s: f64) -> FakeX {
    FakeX::new(made_by(world, script, seed, posts_per_s))
}

fn made_by(world: &Arc<World>, script: Vec<Connection>, seed: u64, posts_per_s: f64) -> Options {
    let has_new_names = seed % 2 == 1;
    Options { token: TOKEN.into(), script, posts_per_s, seed, has_new_names, clock: world.clock() }
}

fn options(budget: Option<&str>) -> x::Options {
    x::Options {
        url: "https://x.example".into(),
        token: Token::new(TOKEN).unwrap(),
        read_token: Arc::new(|| Token::new(TOKEN).map_err(|error| error.to_string())),
        gzip: false,
        backfill_minutes: None,
        stall: x::STALL,
        journal: None,
        budget: budget.map(|budget| budget.parse().unwrap()),
        dollars_a_post: 0.005,
    }
}

fn client(world: &Arc<World>, fake: &FakeX, budget: Option<&str>) -> X<InProcess> {
    client_over(InProcess(fake.router()), world, options(budget))
}

fn client_over<H: Http + 'static>(http: H, world: &Arc<World>, options: x::Options) -> X<H> {
    X::new(options, http, &context(world.regions.clone(), InstallationKey([7; 16]), world.clock())).unwrap()
}

/// What one run of the streamer came to.
pub(crate) struct Run {
    /// Why the source ended, unless it was stopped.
    pub(crate) error: Option<SourceError>,
    pub(crate) ended: Ended,
    changes: Vec<Change>,
    /// Where the source would resume.
    resume: Option<Resume>,
}

/// Forwards everything and records the changes.
struct Watched<'a> {
    feeder: &'a mut Ingest,
    changes: &'a Mutex<Vec<Change>>,
    resume: Option<Resume>,
}

impl Intake for Watched<'_> {
    fn post(&mut self, post: &birdsong_domain::post::SourcePost<'_>) {
        self.feeder.post(post);
    }

    fn notice(&mut self) {
        self.feeder.notice();
    }

    fn unreadable(&mut self, reason: String, bytes: &[u8]) {
        self.feeder.unreadable(reason, bytes);
    }

    fn flush(&mut self, resume: Option<Resume>) -> BoxFuture<'_, ()> {
        self.resume = resume.clone().or(self.resume.take());
        self.feeder.flush(resume)
    }

    fn change(&mut self, change: Change) {
        self.changes.lock().unwrap().push(change.clone());
        self.feeder.change(change);
    }
}

/// Streams until `stop` completes or the source ends, then drains.
async fn run<H: Http + 'static>(
    world: &Arc<World>,
    client: &mut X<H>,
    resume: Option<&str>,
    stop: impl Future<Output = ()>,
) -> Run {
    let changes = Mutex::default();
    let lived = Life::calm(x::NAME).live(world, async |_, feeder| {
        let mut intake = Watched { feeder, changes: &changes, resume: None };
        let error = until(stop, async |stop| client.stream(resume, &mut intake, stop).await).await;
        (error, intake.resume)
    });
    let (ended, (error, resume)) = lived.await.unwrap();
    Run { error, ended, changes: changes.into_inner().unwrap(), resume }
}

fn secs(secs: u64) -> tokio::time::Sleep {
    sleep(Duration::from_secs(secs))
}

/// Waits until the whole script was delivered and some keep-alives came.
async fn script_ended(fake: &FakeX, parts: usize) {
    while fake.delivered().parts < parts {
        secs(30).await;
    }
    secs(90).await;
}

/// Every post that X delivered is in the log once, and nothing else is.
fn is_in_log_once(world: &World, fake: &FakeX, what: &str) {
    let (posts, ledger) = world.counted();
    let delivered = fake.delivered();
    is_each_there_once(&posts, &delivered, what);
    assert!(ledger.balances(), "{what}: {ledger:?}");
    assert_eq!(ledger.sent, delivered.posts.len() as u64, "{what}");
}

fn is_each_there_once(posts: &Counted, delivered: &Delivered, what: &str) {
    let wanted: BTreeSet<_> = delivered.posts.iter().map(|(id, _)| InstallationKey([7; 16]).x_post(*id).0).collect();
    assert_eq!(wanted.len(), delivered.posts.len(), "{what}: the fake made an id twice");
    let found: BTreeSet<_> = posts.keys().map(|(_, id)| *id).collect();
    let (lost, more) = (wanted.difference(&found).count(), found.difference(&wanted).count());
    assert_eq!((lost, more), (0, 0), "{what}: posts lost and invented, of {}", wanted.len());
    let twice = posts.values().filter(|posts| posts.len() > 1).count();
    assert_eq!(twice, 0, "{what}: posts that are in a lane twice, of {}", posts.len());
}

/// The windows count the delivered posts, as the fake recorded them.
fn windows_count_all(windows: &Windows, fake: &FakeX, what: &str) {
    let mut wanted = BTreeMap::<_, (u64, u64)>::new();
    for (id, tag) in fake.delivered().posts {
        let is_repost = tag.starts_with("rt:");
        let region = tag.trim_start_matches("rt:").split(':').next().unwrap().to_owned();
        let window = WindowSize::FIVE_MINUTES.start_of(snowflake_ms(id).unwrap());
        let counts = wanted.entry((region, window)).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(is_repost));
    }
    let mut found = BTreeMap::<_, (u64, u64)>::new();
    for (key, aggregate) in windows.all() {
        let counts = found.entry((key.lane.region().to_owned(), key.window)).or_default();
        *counts = (counts.0 + aggregate.posts(), counts.1 + aggregate.kinds.of(Kind::Repost));
    }
    assert_eq!(found, wanted, "{what}");
}

const STREAM_PATH: &str = "/2/tweets/search/stream";

/// Keeps what comes over the streams, one text a connection.
struct Recorder {
    http: InProcess,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Http for Recorder {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        let is_stream = request.uri().path() == STREAM_PATH;
        let answer = self.http.send(request).await?;
        if !is_stream || answer.status() != StatusCode::OK {
            return Ok(answer);
        }
        let kept = self.kept.clone();
        kept.lock().unwrap().push(vec![]);
        Ok(answer.map(|body| {
            let keep = move |chunk: &Result<Bytes, HttpError>| {
                if let (Ok(chunk), Some(last)) = (chunk, kept.lock().unwrap().last_mut()) {
                    last.extend_from_slice(chunk);
                }
            };
            Box::pin(body.inspect(keep)) as Body
        }))
    }
}

/// The lines of the delivered posts, each once, in the order in which they came.
fn delivered_lines(kept: &[Vec<u8>], fake: &FakeX) -> Vec<(i64, Bytes)> {
    let mut wanted: BTreeSet<_> = fake.delivered().posts.into_iter().map(|(id, _)| id).collect();
    let mut lines = vec![];
    for line in kept.iter().flat_map(|connection| connection.split_inclusive(|b| *b == b'\n')) {
        let read = serde_json::from_slice::<serde_json::Value>(line).ok();
        let id = read.and_then(|line| line["data"]["id"].as_str()?.parse().ok());
        if let Some(id) = id.filter(|id| wanted.remove(id)) {
            lines.push((snowflake_ms(id).unwrap(), Bytes::copy_from_slice(line)));
        }
    }
    assert!(wanted.is_empty(), "{} posts were delivered and did not come", wanted.len());
    lines
}

/// X on a calm day: one connection that delivers these lines, each when its post was written.
struct Calm {
    http: InProcess,
    lines: Arc<[(i64, Bytes)]>,
    clock: Clock,
}

impl Http for Calm {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
        if request.uri().path() != STREAM_PATH {
            return self.http.send(request).await;
        }
        let (lines, clock) = (self.lines.clone(), self.clock.clone());
        let chunks = stream::unfold(0, move |next| {
            let (lines, clock) = (lines.clone(), clock.clone());
            async move {
                let keep_alive_ms = 10_000;
                let due_in_ms = lines.get(next).map_or(i64::MAX, |(time_ms, _)| time_ms - clock());
                sleep(Duration::from_millis(due_in_ms.clamp(0, keep_alive_ms) as u64)).await;
                Some(if due_in_ms > keep_alive_ms {
                    (Ok(Bytes::from_static(b"\r\n")), next)
                } else {
                    (Ok(lines[next].1.clone()), next + 1)
                })
            }
        });
        Ok(Response::new(Box::pin(chunks) as Body))
    }
}

/// One life until the script ends or X refuses. Returns the lines of the delivered posts with their
/// times, too.
pub(crate) async fn live_through(
    world: &Arc<World>,
    script: Vec<Connection>,
    seed: u64,
) -> (FakeX, Run, Vec<(i64, Bytes)>) {
    let parts = script.len();
    let fake = fake(world, script, seed, 2.0);
    let kept = Arc::default();
    let http = Recorder { http: InProcess(fake.router()), kept: Arc::clone(&kept) };
    let mut client = client_over(http, world, options(None));
    let run = run(world, &mut client, None, script_ended(&fake, parts)).await;
    let lines = delivered_lines(&kept.lock().unwrap(), &fake);
    (fake, run, lines)
}

/// The windows of a day on which the same posts came from a calm X into a calm log.
pub(crate) async fn undisturbed(seed: u64, regions: &str, lines: Vec<(i64, Bytes)>) -> Windows {
    let world = World::new(seed, 0, regions);
    // As requested, the fake accepts the rules and nothing else.
    let rules = fake(&world, vec![], seed, 1.0);
    let (posts, last_ms) = (lines.len() as u64, lines.iter().map(|(time_ms, _)| *time_ms).max().unwrap_or(0));
    let http = Calm { http: InProcess(rules.router()), lines: lines.into(), clock: world.clock() };
    let time = Duration::from_millis((last_ms - world.now_ms()).max(0) as u64 + 60_000);
    let run = run(&world, &mut client_over(http, &world, options(None)), None, sleep(time)).await;
    assert_eq!((run.error, rules.delivered().connects), (None, 0));
    let (_, ledger) = world.counted();
    assert_eq!((ledger.received, ledger.sent, run.ended.ledger), (posts, posts, ledger), "nothing disturbs");
    Windows::of(&world).await
}

#[tokio::test(start_paused = true)]
async fn posts_come_through() {
    let world = World::new(1, 0, REGIONS);
    let fake = fake(&world, vec![Connection::Stream(vec![Step::Posts(600)])], 1, 2.0);
    let mut client = client(&world, &fake, None);
    let run = run(&world, &mut client, None, secs(3600)).await;
    assert_eq!((run.error, world.aside.0.lock().unwrap().len()), (None, 0));
    let delivered = fake.delivered();
    assert!((1000..1400).contains(&delivered.posts.len()) && delivered.streams == 1, "{delivered:?}");
    is_in_log_once(&world, &fake, "one");
    assert_eq!(run.ended.ledger.missed_ms, 0);
}

#[tokio::test(start_paused = true)]
async fn every_delivered_post_is_in_the_log_once_and_in_the_windows_of_a_calm_day_whatever_x_does() {
    for seed in seeds(0..24) {
        let what = format!("seed {seed}");
        let world = World::new(seed, 6, REGIONS);
        world.down_for_ms(world.below(900_000));
        let (fake, run, lines) = live_through(&world, chaos(seed, 20), seed).await;
        assert_eq!(run.error, None, "{what}");
        is_in_log_once(&world, &fake, &what);
        let expected = undisturbed(seed, REGIONS, lines).await;
        let found = Windows::of(&world).await;
        found.assert_same(&what, &expected, Order::Kept);
        windows_count_all(&found, &fake, &what);
        let delivered = fake.delivered();
        assert!(delivered.posts.len() > 500, "{what}");
        assert_eq!(world.aside.0.lock().unwrap().len() as u64, delivered.unreadable, "{what}");
        let ledger = run.ended.ledger;
        assert_eq!((ledger.quarantined, ledger.duplicates), (delivered.unreadable, delivered.repeated), "{what}");
        assert_eq!(delivered.too_many_connects, 0, "{what}");
        // Each time without a connection is reported.
        let gaps = run.changes.iter().filter(|change| matches!(change, Change::Gap { .. })).count() as u64;
        assert_eq!(gaps + 1, delivered.streams, "{what}");
    }
}

/// An hour of lives, most of them ended by a crash.
async fn crashes_lose_only_what_is_reported_and_count_nothing_twice(backfill_minutes: Option<u8>) {
    for seed in seeds([0, 1, 2, 1008]) {
        let what = format!("seed {seed}");
        let world = World::new(seed, 20, REGIONS);
        let parts = (0..20).map(|_| Connection::Stream(vec![Step::Posts(1 + world.below(600)), Step::Close]));
        let script = parts.chain([Connection::Stream(vec![Step::Posts(u64::MAX)])]).collect();
        let fake =
            FakeX::with(made_by(&world, script, seed, 2.0), Account { has_backfill: true, ..Account::default() });
        let (changes, first) = (Mutex::default(), OnceLock::new());
        lives(&world, x::NAME, Duration::from_secs(3600), 30, async |resume, feeder| {
            if let Some(resume) = &resume {
                let resume: serde_json::Value = serde_json::from_str(resume).unwrap();
                first.get_or_init(|| resume["last_ms"].as_i64().unwrap());
            }
            let options = x::Options { backfill_minutes, ..options(None) };
            let mut client = client_over(InProcess(fake.router()), &world, options);
            let mut intake = Watched { feeder, changes: &changes, resume: None };
            client.stream(resume.as_deref(), &mut intake, Stop::never()).await.unwrap()
        })
        .await;
        let (posts, _) = world.counted();
        let mut delivered = fake.delivered();
        if backfill_minutes.is_some() {
            assert!(delivered.missed.is_empty() && delivered.repeated > 1000, "{what}: {}", delivered.repeated);
        } else {
            assert!(delivered.missed.len() > 100 && delivered.repeated == 0, "{what}: {}", delivered.missed.len());
        }
        delivered.posts.extend(std::mem::take(&mut delivered.missed));
        let found: BTreeSet<_> = posts.keys().map(|(_, id)| *id).collect();
        let is_lost = |id: u64| {
            let time_ms = snowflake_ms(id).unwrap();
            // X has made its post of the millisecond in which we connect by then.
            let is_reported = |change: &Change| match change {
                Change::Gap { from_ms, to_ms, .. } => (*from_ms..=*to_ms).contains(&time_ms),
                _ => false,
            };
            // Lives that ended before any of their posts were stored are unknown.
            let is_known = Some(&time_ms) >= first.get();
            !found.contains(&InstallationKey([7; 16]).x_post(id).0)
                && (!is_known || changes.lock().unwrap().iter().any(is_reported))
        };
        let made = delivered.posts.len();
        delivered.posts.retain(|(id, _)| !is_lost(*id));
        let least = if backfill_minutes.is_some() { made * 9 / 10 } else { made / 2 };
        assert!(delivered.posts.len() > least, "{what}: {} of {made}", delivered.posts.len());
        is_each_there_once(&posts, &delivered, &what);
    }
}

#[tokio::test(start_paused = true)]
async fn with_backfill_crashes_lose_only_what_is_too_old_and_reported_and_count_nothing_twice() {
    crashes_lose_only_what_is_reported_and_count_nothing_twice(Some(5)).await;
}

/// What X delivered and the log did not have is lost in a crash, and reported as a gap.
#[tokio::test(start_paused = true)]
async fn without_backfill_crashes_lose_only_what_is_reported_and_count_nothing_twice() {
    crashes_lose_only_what_is_reported_and_count_nothing_twice(None).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_is_handed_on_at_a_stop() {
    for seed in seeds(0..20) {
        let world = World::new(seed, 0, REGIONS);
        let fake = fake(&world, vec![Connection::Stream(vec![Step::Burst(20_000), Step::Posts(60)])], seed, 2.0);
        let mut client = client(&world, &fake, None);
        // Nothing is idle, so that simulated time does not advance and the log accepts nothing until then.
        let many = 1000 + world.below(15_000) as usize;
        let stop = async {
            while fake.delivered().posts.len() < many {
                tokio::task::yield_now().await;
            }
        };
        let run = run(&world, &mut client, None, stop).await;
        assert_eq!((run.error, world.aside.0.lock().unwrap().len()), (None, 0), "seed {seed}");
        is_in_log_once(&world, &fake, &format!("seed {seed}"));
        let resume: serde_json::Value = serde_json::from_str(&run.resume.unwrap().cursor).unwrap();
        assert!(resume["last_ms"].as_i64().unwrap() >= world.now_ms() - 1000, "seed {seed}: {resume}");
    }
}

/// What was waited for, with the seconds.
fn waits(run: &Run) -> Vec<(&str, u64)> {
    let mut waits = vec![];
    for change in &run.changes {
        if let Change::Waiting { reason, retry_in } = change {
            waits.push((reason.as_str(), retry_in.as_secs()));
        }
    }
    waits
}

fn few_posts(last: Step) -> Connection {
    Connection::Stream(vec![Step::Posts(30), last])
}

#[tokio::test(start_paused = true)]
async fn temporary_errors_are_waited_for_as_long_as_x_asks() {
    let world = World::new(1, 0, REGIONS);
    let script = passing_errors();
    // Each is answered twice, so that the second wait shows, too.
    let mut script: Vec<_> = script.into_iter().flat_map(|answer| [answer.clone(), answer]).collect();
    script.push(few_posts(Step::KeepAlives(1)));
    let parts = script.len();
    let fake = fake(&world, script, 1, 1.0);
    let mut client = client(&world, &fake, None);
    let run = run(&world, &mut client, None, script_ended(&fake, parts)).await;
    assert_eq!(run.error, None);
    let found = waits(&run);
    let wanted = [
        ("X is failing", 5),
        ("X is failing", 11),
        ("X is failing", 22),
        ("X is failing", 45),
        ("another connection", 67),
        ("another connection", 135),
        ("too many calls to X, waiting until", 300),
        ("too many calls to X, waiting until", 300),
        ("too many calls to X, waiting (", 270),
        ("too many calls to X, waiting (", 540),
        ("X reports invalid rules", 0),
        ("X reports invalid rules", 5),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for ((reason, secs), (begin, least)) in found.iter().zip(wanted) {
        assert!(reason.starts_with(begin) && (least..=least + 5).contains(secs), "{begin}: {reason} {secs}");
    }
    is_in_log_once(&world, &fake, "passing");
}

#[tokio::test(start_paused = true)]
async fn errors_that_people_have_to_repair_end_with_a_sentence_without_the_token() {
    let answer = |status, body: &str| vec![few_posts(Step::Close), Connection::Answer(status, body.into())];
    let unauthorized = r#"{"title":"Unauthorized","status":401,"detail":"Unauthorized","type":"about:blank"}"#;
    let forbidden = r#"{"title":"Client Forbidden","reason":"client-not-enrolled","type":"https://api.x.com/2/problems/client-forbidden"}"#;
    for (script, begin) in [
        (answer(401, unauthorized), "X rejected the bearer token (Unauthorized): put "),
        (script("errors", 1).unwrap(), "X requires payment (CreditsDepleted"),
        (answer(402, ""), "X requires payment (no reason given)"),
        (answer(403, forbidden), "X refuses this app access to the filtered stream (Client Forbidden"),
        (answer(404, "<html>"), "X has no such address"),
        (answer(400, "{}"), "X does not accept the request"),
    ] {
        let world = World::new(1, 0, REGIONS);
        let fake = fake(&world, script, 1, 1.0);
        let mut client = client(&world, &fake, None);
        let run = run(&world, &mut client, None, secs(24 * 3600)).await;
        let Some(SourceError::Refused(reason)) = &run.error else { panic!("{begin}: {:?}", run.error) };
        assert!(reason.starts_with(begin), "{reason}");
        assert!(!format!("{reason} {:?}", run.changes).contains("secret"), "{reason}");
        is_in_log_once(&world, &fake, begin);
        let connects = fake.delivered().connects;
        assert!(connects == 2 || begin.contains("CreditsDepleted"), "{begin}: {connects} connects");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_changed_is_read_again() {
    let world = World::new(1, 0, REGIONS);
    let fake = fake(&world, vec![few_posts(Step::KeepAlives(1))], 1, 1.0);
    let mut options = options(None);
    options.token = Token::new("oldsecret").unwrap();
    let mut client = client_over(InProcess(fake.router()), &world, options);
    let run = run(&world, &mut client, None, secs(60)).await;
    assert_eq!((run.error, fake.delivered().streams), (None, 1));
    assert!(!format!("{:?}", run.changes).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_second_streamer_waits_for_the_first_to_end() {
    let world = World::new(1, 0, REGIONS);
    let fake = fake(&world, script("normal", 1).unwrap(), 1, 1.0);
    let [mut first, mut second] = [client(&world, &fake, None), client(&world, &fake, None)];
    let later = async {
        secs(10).await;
        run(&world, &mut second, None, secs(900)).await
    };
    let (first, second) = tokio::join!(run(&world, &mut first, None, secs(300)), later);
    assert_eq!((first.error, &second.error), (None, &None));
    assert!(waits(&second).iter().all(|(reason, _)| reason.starts_with("another connection")), "{:?}", waits(&second));
    assert_eq!((waits(&second).len(), fake.delivered().streams), (3, 2));
    is_in_log_once(&world, &fake, "two streamers");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_at_once_does_not_use_up_the_connects() {
    for last in [Step::Close, Step::Break, Step::Errors("ForceDisconnect"), Step::HalfLine] {
        let world = World::new(1, 0, REGIONS);
        let fake = fake(&world, vec![Connection::Stream(vec![last.clone()])], 1, 1.0);
        let mut client = client(&world, &fake, None);
        let run = run(&world, &mut client, None, secs(2 * 3600)).await;
        let delivered = fake.delivered();
        assert_eq!((run.error, delivered.too_many_connects), (None, 0), "{last:?}");
        assert!(delivered.connects > 20, "{last:?}: {}", delivered.connects);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_abandoned_and_the_gap_starts_with_the_silence() {
    let world = World::new(1, 0, REGIONS);
    let script = vec![few_posts(Step::Silence(3600)), Connection::Stream(vec![])];
    let fake = fake(&world, script, 1, 1.0);
    let mut client = client(&world, &fake, None);
    let began_ms = world.now_ms();
    let run = run(&world, &mut client, None, secs(600)).await;
    assert_eq!(waits(&run), [("nothing came for 30 s, not even a keep-alive", 0)]);
    let gap = run.changes.iter().find_map(|change| match change {
        Change::Gap { from_ms, to_ms, .. } => Some(((from_ms - began_ms) / 1000, (to_ms - began_ms) / 1000)),
        _ => None,
    });
    let (from, to) = gap.unwrap();
    assert!((20..=23).contains(&from) && (57..=61).contains(&to), "{from} {to}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_never_passed_and_what_was_spent_outlives_a_restart() {
    // $5 are 1,000 posts; it is less than two hours to midnight.
    for (seed, posts_per_s) in [(1, 0.005), (2, 0.3), (3, 5.0), (4, 250.0)] {
        let what = format!("{posts_per_s} posts/s");
        let world = World::new(seed, 0, REGIONS);
        let normal = |seed| fake(&world, script("normal", seed).unwrap(), seed, posts_per_s);
        let (first, second) = (normal(seed), normal(seed + 100));
        let before = run(&world, &mut client(&world, &first, Some("5/day")), None, secs(1800)).await;
        // The other server has no record of what was read before.
        let resume = before.resume.clone().unwrap().cursor;
        let after = run(&world, &mut client(&world, &second, Some("5/day")), Some(&resume), secs(3 * 3600)).await;
        assert_eq!((&before.error, &after.error), (&None, &None), "{what}");
        let mut days = first.delivered().days;
        for (day, posts) in second.delivered().days {
            *days.entry(day).or_default() += posts;
        }
        assert_eq!(days.len(), 2, "{what}");
        assert!(days.values().all(|posts| *posts <= 1000), "{what}: {days:?}");
        assert!(days.values().all(|posts| *posts >= 10), "{what}: {days:?}");
        let until_midnight = days.values().next().copied().unwrap();
        assert!(until_midnight >= 400 || posts_per_s < 0.1, "{what}: {days:?}");
        let changes = [before.changes, after.changes].concat();
        let is_sampled = changes.iter().any(|change| matches!(change, Change::Sampling { share } if *share < 1.0));
        // The fastest is closed before there is a rate to go by.
        assert_eq!(is_sampled, (0.1..100.0).contains(&posts_per_s), "{what}");
        let spent = changes.iter().rev().find_map(|change| match change {
            Change::Spent { dollars } => Some(*dollars),
            _ => None,
        });
        let delivered: u64 = days.values().sum();
        assert!((spent.unwrap() - delivered as f64 * 0.005).abs() < 0.1, "{what}: {spent:?} {delivered}");
        let (posts, ledger) = world.counted();
        let ids: BTreeSet<_> = posts.keys().map(|(_, id)| *id).collect();
        assert_eq!((ids.len() as u64, ledger.sent), (delivered, delivered), "{what}");
        assert!(ledger.balances(), "{what}: {ledger:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_exceed_a_budget_while_the_log_is_unavailable() {
    for seed in seeds(0..10) {
        let world = World::new(seed, 0, REGIONS);
        world.down_for_ms(600_000);
        let script = vec![Connection::Stream(vec![Step::Posts(5), Step::Burst(20_000)])];
        let fake = fake(&world, script, seed, 1.0);
        let run = run(&world, &mut client(&world, &fake, Some("5/day")), None, secs(3600)).await;
        let posts = fake.delivered().posts.len();
        assert!((400..=1000).contains(&posts), "seed {seed}: {posts} posts");
        assert!(waits(&run).iter().any(|(reason, _)| reason.starts_with("the budget of $5/day is used up")));
        is_in_log_once(&world, &fake, &format!("seed {seed}"));
    }
}
