//! The client of X against a fake of it, through the feeder into a log that fails, in simulated time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame::STREAM;
use birdsong_domain::ports::WindowStore;
use birdsong_domain::post::{AuthorKey, Kind, PostId};
use birdsong_domain::region::Regions;
use birdsong_domain::time::{WindowSize, WindowStart, snowflake_ms};
use birdsong_domain::window::FoldRules;
use birdsong_sources::live::{Change, Intake, SourceError};
use birdsong_sources::x::api::Token;
use birdsong_sources::x::{self, X};
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::live::{self, Board, Ended, Pipe};
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_testkit::MemoryStore;
use birdsong_testkit::fake::InProcess;
use birdsong_testkit::fake::x::{Connection, FakeX, Options, Step, chaos, passing_errors, script};
use world::{Lines, World, counted};

const TOKEN: &str = "AAAAsecret";

fn regions() -> Arc<Regions> {
    let text = "[[region]]\nid = \"bcn\"\nboxes = [[2.05, 41.31, 2.23, 41.47]]\nkeywords = [\"sagrada\", \"#porta\"]\n\
                [[region]]\nid = \"fr\"\nkeywords = [\"bonjour\"]\nlanguages = [\"fr\"]\n";
    Arc::new(Regions::parse("test", text).unwrap())
}

fn fake(world: &Arc<World>, script: Vec<Connection>, seed: u64, posts_per_s: f64) -> FakeX {
    let has_new_names = seed % 2 == 1;
    FakeX::new(Options { token: TOKEN.into(), script, posts_per_s, seed, has_new_names, clock: world.clock() })
}

fn options(budget: Option<&str>) -> x::Options {
    x::Options {
        url: "http://x.example".into(),
        token: Token::new(TOKEN).unwrap(),
        read_token: Arc::new(|| Token::new(TOKEN).map_err(str::to_owned)),
        gzip: false,
        backfill_minutes: None,
        stall: x::STALL,
        budget: budget.map(|budget| budget.parse().unwrap()),
        dollars_a_post: 0.005,
        jitter: || 0.5,
    }
}

fn client(world: &Arc<World>, fake: &FakeX, budget: Option<&str>) -> X<InProcess> {
    X::new(InProcess(fake.router()), regions(), AuthorKey([7; 16]), options(budget), world.clock()).unwrap()
}

/// What one run of the streamer came to.
struct Run {
    /// Why the source ended, unless it was stopped.
    error: Option<SourceError>,
    ended: Ended,
    /// Lines put aside.
    aside: usize,
    told: Vec<Change>,
    /// Where the source would go on.
    resume: Option<String>,
}

/// Hands everything on and notes what was told.
struct Watched {
    feeder: live::Feeder,
    told: Vec<Change>,
    resume: Option<String>,
}

impl Intake for Watched {
    fn post(&mut self, post: &birdsong_domain::post::SourcePost<'_>) {
        self.feeder.post(post);
    }

    fn notice(&mut self) {
        self.feeder.notice();
    }

    fn unreadable(&mut self, reason: String, bytes: &[u8]) {
        self.feeder.unreadable(reason, bytes);
    }

    async fn flush(&mut self, resume: Option<String>) {
        self.resume = resume.clone().or(self.resume.take());
        self.feeder.flush(resume).await;
    }

    fn change(&mut self, change: Change) {
        self.told.push(change.clone());
        self.feeder.change(change);
    }
}

/// Streams until `stop` is over or the source ends, then drains.
async fn run(
    world: &Arc<World>,
    name: &str,
    client: &X<InProcess>,
    resume: Option<&str>,
    stop: impl Future<Output = ()> + Send,
) -> Run {
    let board = Arc::new(Board::default());
    let (feeder, inbox) = live::feeder(x::NAME, &regions(), &world.clock(), &board);
    let outbox = Outbox::open(None, OutboxLimits::default()).unwrap();
    let start = loop {
        if let Ok(start) = live::start(&**world, &**world, x::NAME, &outbox, 100_000, world.now_ms()).await {
            break start;
        }
    };
    let aside = Lines::default();
    let pipe = Pipe {
        source: x::NAME.into(),
        run: name.into(),
        regions: regions(),
        size: WindowSize::FIVE_MINUTES,
        rules: CutRules::default(),
        log: world.clone(),
        settings: world.clone(),
        aside: aside.clone(),
        outbox,
        start,
        board,
        clock: world.clock(),
        jitter: || 0.5,
        drain: Duration::from_secs(3600),
    };
    let streaming = async move {
        let mut intake = Watched { feeder, told: vec![], resume: None };
        let error = client.stream(resume, &mut intake, stop).await;
        intake.feeder.flush(None).await;
        (error, intake.told, intake.resume)
    };
    let (ended, (error, told, resume)) = tokio::join!(live::run(pipe, inbox), streaming);
    let aside = aside.0.lock().unwrap().len();
    Run { error, ended: ended.unwrap(), aside, told, resume }
}

fn secs(secs: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_secs(secs))
}

/// Until all of the script was given and some keep-alives came.
async fn script_is_over(fake: &FakeX, parts: usize) {
    while fake.delivered().parts < parts {
        secs(30).await;
    }
    secs(90).await;
}

/// Every post that X delivered is in the log once, and nothing else is.
fn is_in_log_once(world: &World, fake: &FakeX, what: &str) {
    let (counts, ledger) = counted(world);
    let delivered = fake.delivered();
    let wanted: BTreeSet<_> = delivered.posts.iter().map(|(id, _)| PostId::x(*id).0).collect();
    assert_eq!(wanted.len(), delivered.posts.len(), "{what}: the fake made an id twice");
    let found: BTreeSet<_> = counts.keys().filter(|(region, _)| region != STREAM).map(|(_, id)| *id).collect();
    let (lost, more) = (wanted.difference(&found).count(), found.difference(&wanted).count());
    assert_eq!((lost, more), (0, 0), "{what}: posts lost and invented, of {}", wanted.len());
    assert!(counts.values().all(|n| *n == 1), "{what}: a post stands twice in a lane");
    assert!(ledger.balances(), "{what}: {ledger:?}");
    assert_eq!(ledger.sent, wanted.len() as u64, "{what}");
}

/// The windows made of the log count the delivered posts, as if nothing had ever failed.
async fn windows_count_all(world: &World, fake: &FakeX, what: &str) {
    let store = Arc::new(MemoryStore::default());
    let mut aggregator = Aggregator::new(store.clone(), FoldRules::default(), 64);
    let records = world.records.lock().unwrap().clone();
    for batch in records.chunks(100) {
        aggregator.fold_batch(batch).await.unwrap();
    }
    let mut wanted = BTreeMap::<_, (u64, u64)>::new();
    for (id, tag) in fake.delivered().posts {
        let is_repost = tag.starts_with("rt:");
        let region = tag.trim_start_matches("rt:").split(':').next().unwrap().to_owned();
        let window = WindowSize::FIVE_MINUTES.start_of(snowflake_ms(id).unwrap());
        let counts = wanted.entry((region, window)).or_default();
        *counts = (counts.0 + 1, counts.1 + u64::from(is_repost));
    }
    let repost = Kind::ALL.iter().position(|kind| *kind == Kind::Repost).unwrap();
    let mut found = BTreeMap::<_, (u64, u64)>::new();
    for region in ["bcn", "fr"] {
        for (key, partial) in store.query(region, WindowStart(0), WindowStart(i64::MAX)).await.unwrap() {
            let counts = (partial.aggregate.posts(), partial.aggregate.kinds[repost]);
            if counts.0 > 0 {
                found.insert((key.lane.region, key.window), counts);
            }
        }
    }
    assert_eq!(found, wanted, "{what}");
}

#[tokio::test(start_paused = true)]
async fn posts_come_through() {
    let world = World::new(1, 0);
    let fake = fake(&world, vec![Connection::Stream(vec![Step::Posts(600)])], 1, 2.0);
    let client = client(&world, &fake, None);
    let run = run(&world, "one", &client, None, secs(3600)).await;
    assert_eq!((run.error, run.aside), (None, 0));
    let delivered = fake.delivered();
    assert!((1000..1400).contains(&delivered.posts.len()) && delivered.streams == 1, "{delivered:?}");
    is_in_log_once(&world, &fake, "one");
    assert_eq!(run.ended.ledger.missed_ms, 0);
}

#[tokio::test(start_paused = true)]
async fn every_delivered_post_is_in_the_log_once_whatever_x_does() {
    for seed in 0..24 {
        let what = format!("seed {seed}");
        let world = World::new(seed, 6);
        world.away_until_ms.store(world.now_ms() + world.dice.below(900_000) as i64, Ordering::Relaxed);
        let script = chaos(seed, 20);
        let parts = script.len();
        let fake = fake(&world, script, seed, 2.0);
        let client = client(&world, &fake, None);
        let run = run(&world, "one", &client, None, script_is_over(&fake, parts)).await;
        assert_eq!(run.error, None, "{what}");
        is_in_log_once(&world, &fake, &what);
        windows_count_all(&world, &fake, &what).await;
        let delivered = fake.delivered();
        assert!(delivered.posts.len() > 500, "{what}");
        assert_eq!(run.aside as u64, delivered.unreadable, "{what}");
        let ledger = run.ended.ledger;
        assert_eq!((ledger.quarantined, ledger.duplicates), (delivered.unreadable, delivered.repeated), "{what}");
        assert_eq!(delivered.too_many_connects, 0, "{what}");
        // Every time without a connection is told.
        let gaps = run.told.iter().filter(|change| matches!(change, Change::Gap { .. })).count() as u64;
        assert_eq!(gaps + 1, delivered.streams, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_ahead_is_handed_on_at_a_stop() {
    for seed in 0..20 {
        let world = World::new(seed, 0);
        let fake = fake(&world, vec![Connection::Stream(vec![Step::Burst(20_000), Step::Posts(60)])], seed, 2.0);
        let client = client(&world, &fake, None);
        // Nothing is idle, so that time stands still and the log takes nothing until then.
        let many = 1000 + world.dice.below(15_000) as usize;
        let stop = async {
            while fake.delivered().posts.len() < many {
                tokio::task::yield_now().await;
            }
        };
        let run = run(&world, "one", &client, None, stop).await;
        assert_eq!((run.error, run.aside), (None, 0), "seed {seed}");
        is_in_log_once(&world, &fake, &format!("seed {seed}"));
        let resume: serde_json::Value = serde_json::from_str(&run.resume.unwrap()).unwrap();
        assert!(resume["last_ms"].as_i64().unwrap() >= world.now_ms() - 1000, "seed {seed}: {resume}");
    }
}

/// What was waited for, with the seconds.
fn waits(run: &Run) -> Vec<(&str, u64)> {
    let mut waits = vec![];
    for change in &run.told {
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
async fn what_passes_is_waited_for_as_long_as_x_wants() {
    let world = World::new(1, 0);
    let script = passing_errors();
    // Each is answered twice, so that the second wait shows, too.
    let mut script: Vec<_> = script.into_iter().flat_map(|answer| [answer.clone(), answer]).collect();
    script.push(few_posts(Step::KeepAlives(1)));
    let parts = script.len();
    let fake = fake(&world, script, 1, 1.0);
    let client = client(&world, &fake, None);
    let run = run(&world, "one", &client, None, script_is_over(&fake, parts)).await;
    assert_eq!(run.error, None);
    let found = waits(&run);
    let wanted = [
        ("X has trouble", 5),
        ("X has trouble", 11),
        ("X has trouble", 22),
        ("X has trouble", 45),
        ("another connection", 67),
        ("another connection", 135),
        ("too many calls to X, waiting until", 300),
        ("too many calls to X, waiting until", 300),
        ("too many calls to X, waiting (", 270),
        ("too many calls to X, waiting (", 540),
        ("X finds the rules wrong", 0),
        ("X finds the rules wrong", 5),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for ((reason, secs), (begin, least)) in found.iter().zip(wanted) {
        assert!(reason.starts_with(begin) && (least..=least + 5).contains(secs), "{begin}: {reason} {secs}");
    }
    is_in_log_once(&world, &fake, "passing");
}

#[tokio::test(start_paused = true)]
async fn what_people_have_to_mend_ends_with_a_sentence_without_the_token() {
    let answer = |status, body: &str| vec![few_posts(Step::Close), Connection::Answer(status, body.into())];
    let unauthorized = r#"{"title":"Unauthorized","status":401,"detail":"Unauthorized","type":"about:blank"}"#;
    let forbidden = r#"{"title":"Client Forbidden","reason":"client-not-enrolled","type":"https://api.x.com/2/problems/client-forbidden"}"#;
    for (script, begin) in [
        (answer(401, unauthorized), "X does not take the bearer token (Unauthorized, Unauthorized): put "),
        (script("errors", 1).unwrap(), "X wants to be paid first (CreditsDepleted"),
        (answer(402, ""), "X wants to be paid first (no reason given)"),
        (answer(403, forbidden), "X does not let this app use the filtered stream (Client Forbidden"),
        (answer(404, "<html>"), "X knows no such address"),
        (answer(400, "{}"), "X does not accept the request"),
    ] {
        let world = World::new(1, 0);
        let fake = fake(&world, script, 1, 1.0);
        let client = client(&world, &fake, None);
        let run = run(&world, "one", &client, None, secs(24 * 3600)).await;
        let Some(SourceError::Refused(reason)) = &run.error else { panic!("{begin}: {:?}", run.error) };
        assert!(reason.starts_with(begin), "{reason}");
        assert!(!format!("{reason} {:?}", run.told).contains("secret"), "{reason}");
        is_in_log_once(&world, &fake, begin);
        let connects = fake.delivered().connects;
        assert!(connects == 2 || begin.contains("CreditsDepleted"), "{begin}: {connects} connects");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_changed_is_read_again() {
    let world = World::new(1, 0);
    let fake = fake(&world, vec![few_posts(Step::KeepAlives(1))], 1, 1.0);
    let mut options = options(None);
    options.token = Token::new("oldsecret").unwrap();
    let client = X::new(InProcess(fake.router()), regions(), AuthorKey([7; 16]), options, world.clock()).unwrap();
    let run = run(&world, "one", &client, None, secs(60)).await;
    assert_eq!((run.error, fake.delivered().streams), (None, 1));
    assert!(!format!("{:?}", run.told).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_second_streamer_waits_for_the_first_to_end() {
    let world = World::new(1, 0);
    let fake = fake(&world, script("normal", 1).unwrap(), 1, 1.0);
    let clients = [client(&world, &fake, None), client(&world, &fake, None)];
    let second = async {
        secs(10).await;
        run(&world, "two", &clients[1], None, secs(900)).await
    };
    let (first, second) = tokio::join!(run(&world, "one", &clients[0], None, secs(300)), second);
    assert_eq!((first.error, &second.error), (None, &None));
    assert!(waits(&second).iter().all(|(reason, _)| reason.starts_with("another connection")), "{:?}", waits(&second));
    assert_eq!((waits(&second).len(), fake.delivered().streams), (3, 2));
    is_in_log_once(&world, &fake, "two streamers");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_at_once_does_not_use_up_the_connects() {
    for last in [Step::Close, Step::Break, Step::Errors("ForceDisconnect"), Step::HalfLine] {
        let world = World::new(1, 0);
        let fake = fake(&world, vec![Connection::Stream(vec![last.clone()])], 1, 1.0);
        let client = client(&world, &fake, None);
        let run = run(&world, "one", &client, None, secs(2 * 3600)).await;
        let delivered = fake.delivered();
        assert_eq!((run.error, delivered.too_many_connects), (None, 0), "{last:?}");
        assert!(delivered.connects > 20, "{last:?}: {}", delivered.connects);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up_and_the_gap_begins_with_the_silence() {
    let world = World::new(1, 0);
    let script = vec![few_posts(Step::Silence(3600)), Connection::Stream(vec![])];
    let fake = fake(&world, script, 1, 1.0);
    let client = client(&world, &fake, None);
    let began_ms = world.now_ms();
    let run = run(&world, "one", &client, None, secs(600)).await;
    assert_eq!(waits(&run), [("nothing came for 30 s, not even a keep-alive", 0)]);
    let gap = run.told.iter().find_map(|change| match change {
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
        let world = World::new(seed, 0);
        let normal = |seed| fake(&world, script("normal", seed).unwrap(), seed, posts_per_s);
        let (first, second) = (normal(seed), normal(seed + 100));
        let before = run(&world, "one", &client(&world, &first, Some("5/day")), None, secs(1800)).await;
        // The other server knows nothing of what was read before.
        let resume = before.resume.clone().unwrap();
        let after = run(&world, "two", &client(&world, &second, Some("5/day")), Some(&resume), secs(3 * 3600)).await;
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
        let told = [before.told, after.told].concat();
        let is_sampled = told.iter().any(|change| matches!(change, Change::Sampling { share } if *share < 1.0));
        // The fastest is closed before there is a rate to go by.
        assert_eq!(is_sampled, (0.1..100.0).contains(&posts_per_s), "{what}");
        let spent = told.iter().rev().find_map(|change| match change {
            Change::Spent { dollars } => Some(*dollars),
            _ => None,
        });
        let delivered: u64 = days.values().sum();
        assert!((spent.unwrap() - delivered as f64 * 0.005).abs() < 0.1, "{what}: {spent:?} {delivered}");
        let (counts, ledger) = counted(&world);
        let ids: BTreeSet<_> = counts.keys().map(|(_, id)| *id).collect();
        assert_eq!((ids.len() as u64, ledger.sent), (delivered, delivered), "{what}");
        assert!(ledger.balances(), "{what}: {ledger:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_does_not_pass_a_budget_while_the_log_is_away() {
    for seed in 0..10 {
        let world = World::new(seed, 0);
        world.away_until_ms.store(world.now_ms() + 600_000, Ordering::Relaxed);
        let script = vec![Connection::Stream(vec![Step::Posts(5), Step::Burst(20_000)])];
        let fake = fake(&world, script, seed, 1.0);
        let run = run(&world, "one", &client(&world, &fake, Some("5/day")), None, secs(3600)).await;
        let posts = fake.delivered().posts.len();
        assert!((400..=1000).contains(&posts), "seed {seed}: {posts} posts");
        assert!(waits(&run).iter().any(|(reason, _)| reason.starts_with("the budget of $5/day is used up")));
        is_in_log_once(&world, &fake, &format!("seed {seed}"));
    }
}
