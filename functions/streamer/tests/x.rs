//! The client of X against a fake of it, through the feeder into a log that fails, in simulated time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use birdsong_domain::frame::STREAM;
use birdsong_domain::post::{AuthorKey, PostId};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::live::{Change, Intake, SourceError};
use birdsong_sources::x::api::Token;
use birdsong_sources::x::{self, X};
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::live::{self, Board, Ended, Pipe};
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_testkit::fake::InProcess;
use birdsong_testkit::fake::x::{Connection, FakeX, Options, Step, chaos};
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

fn client(world: &Arc<World>, fake: &FakeX, budget: Option<&str>) -> X<InProcess> {
    let options = x::Options {
        url: "http://x.example".into(),
        token: Token::new(TOKEN).unwrap(),
        read_token: Arc::new(|| Token::new(TOKEN).map_err(str::to_owned)),
        gzip: false,
        backfill_minutes: None,
        stall: x::STALL,
        budget: budget.map(|budget| budget.parse().unwrap()),
        dollars_a_post: 0.005,
        jitter: || 0.5,
    };
    X::new(InProcess(fake.router()), regions(), AuthorKey([7; 16]), options, world.clock()).unwrap()
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
    stop: impl Future<Output = ()>,
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
        let error = tokio::select! {
            error = client.stream(resume, &mut intake) => Some(error),
            () = stop => None,
        };
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
    for seed in 0..40 {
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
