//! The simulated world: its clock, its posts, and the trouble that the log, the store and the clock are in.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::{Kind, PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_embedded::SqliteLog;
use birdsong_sources::dice::Dice;
use birdsong_testkit::{Call, Hook};
use tokio::time::{Instant, sleep};

/// The midnight at which the world starts, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_772_323_200_000;
/// The regions that are compared with the calm run.
pub(crate) const REGIONS: &str = "\
    [[region]]\nid = \"any\"\nlanguages = [\"en\", \"fr\", \"es\"]\nhot_buckets = 4\n\
    [[region]]\nid = \"fr\"\nlanguages = [\"fr\"]\n\
    [[region]]\nid = \"fog\"\nkeywords = [\"fog\", \"#fog\"]\n";
/// A region that some lives of the streamer have beside them. Its records are damaged now and then.
pub(crate) const EXTRA: &str = "extra";
const EXTRA_REGION: &str = "[[region]]\nid = \"extra\"\nkeywords = [\"storm\"]\n";
/// By how much a wrong clock is ahead, in milliseconds.
const WRONG_MS: [i64; 2] = [-300_000, 1_200_000];

static BEGAN: OnceLock<Instant> = OnceLock::new();
/// By how much the clock of the machine is ahead, in milliseconds.
static AHEAD_MS: AtomicI64 = AtomicI64::new(0);

/// The right time, in milliseconds since 1970.
pub(crate) fn true_ms() -> i64 {
    START_MS + BEGAN.get_or_init(Instant::now).elapsed().as_millis() as i64
}

/// The time by the clock of the machine, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    true_ms() + AHEAD_MS.load(Ordering::Relaxed)
}

/// The regions file, with the extra region or without it.
pub(crate) fn regions(with_extra: bool) -> Arc<Regions> {
    let text = if with_extra { format!("{REGIONS}{EXTRA_REGION}") } else { REGIONS.to_owned() };
    Arc::new(Regions::parse("soak", &text).expect("the regions of the test are right"))
}

static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| (0..4096).map(|n| format!("Tag{n}")).collect());
static HOSTS: LazyLock<Vec<String>> = LazyLock::new(|| (0..256).map(|n| format!("site{n}.example")).collect());

/// The posts of the source: `rate` a second. A post is the same whenever it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posts {
    /// Posts a second.
    pub(crate) rate: u64,
    /// All posts.
    pub(crate) count: u64,
}

impl Posts {
    /// When the source has this post, in milliseconds since 1970.
    pub(crate) fn arrives_ms(&self, number: u64) -> i64 {
        START_MS + (number * 1000 / self.rate) as i64
    }

    /// How many posts the source has by now.
    pub(crate) fn published(&self) -> u64 {
        let passed_ms = (true_ms() - START_MS).max(0) as u64;
        (passed_ms * self.rate / 1000).min(self.count)
    }

    /// One in fifty comes up to forty minutes late, and few hashtags have most of the posts.
    pub(crate) fn post(&self, number: u64) -> SourcePost<'static> {
        let mut dice = Dice::of(&[number]);
        let late_ms = if dice.below(50) == 0 { dice.below(2_400_000) } else { dice.below(2000) };
        let lang = *dice.pick(&["en", "en", "en", "fr", "es", "de", "ja"]);
        let mut hashtags: Vec<Cow<'static, str>> = vec![];
        if dice.below(3) == 0 {
            let among = 1 << dice.below(13);
            hashtags.push(Cow::Borrowed(&TAGS[dice.below(among) as usize]));
        }
        let mut hosts: Vec<Cow<'static, str>> = vec![];
        if dice.below(10) == 0 {
            hosts.push(Cow::Borrowed(&HOSTS[dice.below(256) as usize]));
        }
        let text = match dice.below(40) {
            0 => "Fog on the bay",
            // Of a language that a region has anyway, so that no post is in the extra region alone.
            1 if lang == "en" => "A storm comes up",
            _ => "Nothing to see here",
        };
        SourcePost {
            id: PostId(u128::from(number) << 64 | u128::from(dice.draw())),
            time_ms: self.arrives_ms(number) - late_ms as i64,
            author: Some(Dice::of(&[dice.below(300_000)]).draw()),
            kind: Kind::ALL[dice.below(4) as usize],
            lang: lang.into(),
            hashtags,
            hosts,
            mentions: dice.below(3) as u32,
            has_media: dice.percent(20),
            text: text.into(),
            ..SourcePost::default()
        }
    }
}

/// What is wrong just now. The times, in milliseconds since 1970, are the ends of it.
#[derive(Debug)]
pub(crate) struct Weather {
    dice: Mutex<Dice>,
    is_over: AtomicBool,
    log_fails_until: AtomicI64,
    disk_is_full_until: AtomicI64,
    log_is_slow_until: AtomicI64,
    store_fails_until: AtomicI64,
    store_is_slow_until: AtomicI64,
    /// Calls that failed.
    pub(crate) failures: AtomicU64,
    /// Records in the log that nobody can read.
    pub(crate) damaged: AtomicU64,
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            dice: Mutex::new(Dice::of(&[seed])),
            is_over: AtomicBool::default(),
            log_fails_until: AtomicI64::default(),
            disk_is_full_until: AtomicI64::default(),
            log_is_slow_until: AtomicI64::default(),
            store_fails_until: AtomicI64::default(),
            store_is_slow_until: AtomicI64::default(),
            failures: AtomicU64::default(),
            damaged: AtomicU64::default(),
        })
    }

    /// A random number below `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).below(end)
    }

    /// From now on all is well.
    pub(crate) fn calm_down(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        AHEAD_MS.store(0, Ordering::Relaxed);
    }

    fn is(&self, until: &AtomicI64) -> bool {
        !self.is_over.load(Ordering::Relaxed) && true_ms() < until.load(Ordering::Relaxed)
    }

    /// One in this many.
    fn is_unlucky(&self, one_in: u64) -> bool {
        !self.is_over.load(Ordering::Relaxed) && self.below(one_in) == 0
    }

    fn unavailable(&self, what: &'static str, reason: &str) -> PortError {
        self.failures.fetch_add(1, Ordering::Relaxed);
        PortError::Unavailable { what, reason: reason.to_owned() }
    }

    /// Makes trouble every few minutes until it is over.
    pub(crate) async fn change(&self, log: &Log) {
        loop {
            sleep(Duration::from_millis(30_000 + self.below(270_000))).await;
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let for_ms = |most_ms| true_ms() + 2_000 + self.below(most_ms) as i64;
            match self.below(8) {
                0 => self.log_fails_until.store(for_ms(300_000), Ordering::Relaxed),
                1 => self.disk_is_full_until.store(for_ms(240_000), Ordering::Relaxed),
                2 => self.log_is_slow_until.store(for_ms(120_000), Ordering::Relaxed),
                3 => self.store_fails_until.store(for_ms(180_000), Ordering::Relaxed),
                4 => self.store_is_slow_until.store(for_ms(180_000), Ordering::Relaxed),
                5 => AHEAD_MS.store(WRONG_MS[self.below(2) as usize], Ordering::Relaxed),
                6 => AHEAD_MS.store(0, Ordering::Relaxed),
                _ => self.damage(log).await,
            }
        }
    }

    /// Puts a record into the log that nobody can read.
    async fn damage(&self, log: &Log) {
        let record = FrameRecord { lane: Lane::posts(EXTRA, Network::DEMO, 0), bytes: b"no frame".to_vec() };
        let outcomes = log.rows.append(&[record]).await;
        self.damaged.fetch_add(outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64, Ordering::Relaxed);
    }
}

/// The log on disk, in this weather.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) rows: SqliteLog,
    pub(crate) weather: Arc<Weather>,
}

impl PostLog for Log {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let weather = &self.weather;
        let slow_ms = if weather.is(&weather.log_is_slow_until) { 2_000 } else { 0 };
        sleep(Duration::from_millis(5 + weather.below(40) + weather.below(1 + slow_ms))).await;
        if weather.is(&weather.log_fails_until) {
            return frames.iter().map(|_| Err(weather.unavailable("log", "no answer"))).collect();
        }
        if weather.is(&weather.disk_is_full_until) {
            return frames.iter().map(|_| Err(weather.unavailable("log", "database or disk is full"))).collect();
        }
        if weather.is_unlucky(300) {
            // Some records are stored, and of those some answers are lost.
            let mut outcomes = vec![];
            for frame in frames {
                let is_stored = weather.below(2) == 0;
                let stored = if is_stored { self.rows.append(std::slice::from_ref(frame)).await.pop() } else { None };
                let is_answered = weather.below(2) == 0;
                outcomes.push(
                    stored.filter(|_| is_answered).unwrap_or_else(|| Err(weather.unavailable("log", "time-out"))),
                );
            }
            return outcomes;
        }
        self.rows.append(frames).await
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        self.rows.shards().await
    }

    async fn complete_since(&self, shard: &str) -> Result<i64, PortError> {
        self.rows.complete_since(shard).await
    }

    async fn read(&self, shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
        if self.weather.is(&self.weather.log_fails_until) {
            return Err(self.weather.unavailable("log", "no answer"));
        }
        self.rows.read(shard, from, limit).await
    }
}

/// The weather around the calls of the store.
#[derive(Clone, Debug)]
pub(crate) struct OfStore(pub(crate) Arc<Weather>);

impl Hook for OfStore {
    async fn before(&self, _call: Call<'_>) -> Result<(), PortError> {
        let weather = &self.0;
        if weather.is(&weather.store_is_slow_until) {
            sleep(Duration::from_millis(weather.below(400))).await;
        }
        if weather.is(&weather.store_fails_until) || weather.is_unlucky(2_000) {
            return Err(weather.unavailable("store", "no answer"));
        }
        Ok(())
    }

    async fn after(&self, _call: Call<'_>) -> Result<(), PortError> {
        if self.0.is_unlucky(2_000) {
            return Err(self.0.unavailable("store", "the answer is lost"));
        }
        Ok(())
    }
}
