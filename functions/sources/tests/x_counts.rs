//! Counts of X against the fake of it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use birdsong_domain::ports::PortError;
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::Token;
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, SourceError};
use birdsong_sources::x::counts::{self, CountsStatus, Options, Poller, ReferenceCounts, References};
use birdsong_sources::x::fake::{self, Account, CountsTrouble, FakeX, count_at};
use birdsong_testkit::context;
use tokio::time::Instant;

const TOKEN: &str = "AAAAsecret";
/// 2026-05-23T05:41:07Z
const START_MS: i64 = 1_779_514_867_000;
const MINUTE_MS: i64 = 60_000;
const SEED: u64 = 5;
const REGIONS: &str = "[[region]]\nid = \"fog\"\nboxes = [[2.2, 48.8, 2.5, 48.9]]\nkeywords = [\"fog\"]\n\
                       [[region]]\nid = \"hail\"\nkeywords = [\"hail\"]\nlanguages = [\"en\"]\n";

fn clock() -> Clock {
    let began = Instant::now();
    Arc::new(move || START_MS + began.elapsed().as_millis() as i64)
}

/// Keeps counts in memory.
#[derive(Default)]
struct Kept {
    minutes: Mutex<BTreeMap<(String, i64), u64>>,
    puts: Mutex<Vec<(String, usize)>>,
    states: Mutex<Vec<CountsStatus>>,
    /// Puts that fail before one succeeds.
    failing: AtomicU32,
}

impl Kept {
    fn of(&self, region: &str) -> BTreeMap<i64, u64> {
        let minutes = self.minutes.lock().unwrap();
        minutes.iter().filter(|((id, _), _)| id == region).map(|((_, ms), posts)| (*ms, *posts)).collect()
    }

    fn problems(&self) -> Vec<String> {
        self.states.lock().unwrap().iter().filter_map(|status| status.problem.clone()).collect()
    }

    fn dollars(&self) -> f64 {
        self.states.lock().unwrap().last().map_or(0.0, |status| status.dollars)
    }
}

impl References for Kept {
    async fn newest_ms(&self, region: &str) -> Result<Option<i64>, PortError> {
        Ok(self.of(region).keys().next_back().copied())
    }

    async fn put(&self, counts: &ReferenceCounts) -> Result<(), PortError> {
        if self.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(PortError::Unavailable { what: "the table", reason: "throttled".into() });
        }
        assert_eq!(counts.from_ms, counts.per_minute[0].0);
        self.puts.lock().unwrap().push((counts.region.clone(), counts.per_minute.len()));
        let mut minutes = self.minutes.lock().unwrap();
        minutes.extend(counts.per_minute.iter().map(|(ms, posts)| ((counts.region.clone(), *ms), *posts)));
        Ok(())
    }

    fn status(&self, status: &CountsStatus) {
        self.states.lock().unwrap().push(status.clone());
    }
}

struct Setup {
    fake: FakeX,
    clock: Clock,
    options: Options,
    regions: &'static str,
}

impl Setup {
    fn new(account: Account) -> Self {
        let clock = clock();
        let options = fake::Options {
            token: TOKEN.into(),
            script: vec![],
            posts_per_s: 1.0,
            seed: SEED,
            has_new_names: false,
            clock: clock.clone(),
        };
        let token = Token::new(TOKEN).unwrap();
        let again = token.clone();
        let options_of_client = Options {
            url: "http://localhost".into(),
            token,
            read_token: Arc::new(move || Ok(again.clone())),
            every: Duration::from_secs(3600),
            budget: None,
            dollars_a_request: counts::DOLLARS_A_REQUEST,
            journal: None,
            only: vec![],
        };
        Self { fake: FakeX::with(options, account), clock, options: options_of_client, regions: REGIONS }
    }

    fn troubled(trouble: impl IntoIterator<Item = CountsTrouble>) -> Self {
        let setup = Self::new(Account { counts_trouble: VecDeque::from_iter(trouble), ..Account::default() });
        Self { options: Options { only: vec!["hail".into()], ..setup.options.clone() }, ..setup }
    }

    fn poller(&self) -> Poller<InProcess> {
        let regions = Arc::new(Regions::parse("test", self.regions).unwrap());
        let context = context(regions, InstallationKey([7; 16]), self.clock.clone());
        Poller::new(self.options.clone(), InProcess(self.fake.router()), &context).unwrap()
    }

    /// Polls for this time.
    async fn run(&self, kept: &Kept, time: Duration) -> Result<(), SourceError> {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (poller, stop_at) = (self.poller(), async {
            tokio::time::sleep(time).await;
            stop.send(true).unwrap();
            std::future::pending::<()>().await;
        });
        tokio::select! {
            ended = poller.run(kept, Stop::new(stopped)) => ended,
            () = stop_at => unreachable!(),
        }
    }

    /// What is stored of a region is what X counts; returns the number of minutes.
    fn is_right(&self, kept: &Kept, region: &str) -> usize {
        let poller = self.poller();
        let (_, query) = poller.queries().all.iter().find(|(id, _)| id == region).unwrap();
        let found = kept.of(region);
        let (first, last) = (*found.keys().next().unwrap(), *found.keys().next_back().unwrap());
        assert_eq!(found.len() as i64, (last - first) / MINUTE_MS + 1, "without holes");
        for (ms, posts) in &found {
            assert_eq!(*posts, count_at(SEED, query, *ms), "{region} {ms}");
        }
        found.len()
    }
}

#[tokio::test(start_paused = true)]
async fn seven_days_of_minutes_come_page_by_page_and_then_what_is_new() {
    let (setup, kept) = (Setup::new(Account::default()), Kept::default());
    setup.run(&kept, Duration::from_secs(60)).await.unwrap();
    for region in ["fog", "hail"] {
        assert!((10_070..=10_080).contains(&setup.is_right(&kept, region)));
    }
    // Seven pages of a day each, for both.
    assert_eq!(setup.fake.delivered().counts, 14);
    assert!((kept.dollars() - 0.07).abs() < 1e-9, "{}", kept.dollars());
    // The next start knows what is stored.
    kept.puts.lock().unwrap().clear();
    setup.run(&kept, Duration::from_secs(3 * 3600 + 60)).await.unwrap();
    assert_eq!(setup.fake.delivered().counts, 14 + 2 * 4);
    let puts = kept.puts.lock().unwrap().clone();
    assert!(puts[2..].iter().all(|(_, minutes)| *minutes == 70 + 1), "an hour, and ten minutes again: {puts:?}");
    let newest_ms = *kept.of("fog").keys().next_back().unwrap();
    assert!((setup.clock)() - newest_ms < 5 * MINUTE_MS);
    setup.is_right(&kept, "fog");
    assert_eq!(kept.problems(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn trouble_passes_and_costs_nothing() {
    let limited = CountsTrouble::RateLimited(600);
    let trouble = [CountsTrouble::Status(500), CountsTrouble::Status(503), limited, CountsTrouble::Status(500)];
    let (setup, kept, began) = (Setup::troubled(trouble), Kept::default(), Instant::now());
    kept.failing.store(3, Ordering::Relaxed);
    setup.run(&kept, Duration::from_secs(590)).await.unwrap();
    assert!(kept.of("hail").is_empty() && began.elapsed() < Duration::from_secs(600));
    assert!(kept.problems().iter().any(|problem| problem.contains("X is failing: 503")), "{:?}", kept.problems());
    assert!(kept.problems().iter().any(|problem| problem.contains("too many calls")), "{:?}", kept.problems());

    let setup =
        Setup::troubled([CountsTrouble::Status(500), CountsTrouble::RateLimited(60), CountsTrouble::Status(502)]);
    setup.run(&kept, Duration::from_secs(600)).await.unwrap();
    setup.is_right(&kept, "hail");
    // A put that failed is repeated, not the request.
    assert_eq!(setup.fake.delivered().counts, 7);
    assert!(kept.problems().iter().any(|problem| problem.contains("cannot be stored")), "{:?}", kept.problems());
    assert_eq!(kept.states.lock().unwrap().last().unwrap().problem, None, "all is well");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_counts_is_paid_for_once_an_interval() {
    for trouble in [CountsTrouble::Damaged, CountsTrouble::Strange] {
        let (setup, kept) = (Setup::troubled([trouble.clone(), trouble.clone()]), Kept::default());
        setup.run(&kept, Duration::from_secs(3600 + 1800)).await.unwrap();
        assert_eq!((setup.fake.delivered().counts, kept.of("hail").len()), (2, 0), "{trouble:?}");
        assert!((kept.dollars() - 0.01).abs() < 1e-9 && kept.problems().len() >= 2, "{:?}", kept.problems());
        setup.run(&kept, Duration::from_secs(60)).await.unwrap();
        setup.is_right(&kept, "hail");
    }
    let (setup, kept) = (Setup::troubled([CountsTrouble::Empty]), Kept::default());
    setup.run(&kept, Duration::from_secs(60)).await.unwrap();
    assert_eq!((setup.fake.delivered().counts, kept.of("hail").len()), (1, 0), "nothing is no zero");
    assert_eq!(kept.problems(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_is_read_again_once_it_changed_and_then_refused() {
    let mut setup = Setup::new(Account::default());
    setup.options.token = Token::new("BBBBwrong").unwrap();
    let kept = Kept::default();
    setup.run(&kept, Duration::from_secs(60)).await.unwrap();
    assert!(!kept.of("fog").is_empty(), "the file has the right one");
    setup.options.read_token = Arc::new(|| Ok(Token::new("BBBBwrong").unwrap()));
    let refused = setup.run(&kept, Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(&refused, SourceError::Refused(reason) if reason.contains("bearer token")), "{refused}");
    assert!(!format!("{refused} {:?}", kept.problems()).contains("BBBBwrong"));
}

#[tokio::test(start_paused = true)]
async fn one_region_that_is_refused_does_not_stop_the_others() {
    let trouble = VecDeque::from([CountsTrouble::Status(400)]);
    let (setup, kept) = (Setup::new(Account { counts_trouble: trouble, ..Account::default() }), Kept::default());
    setup.run(&kept, Duration::from_secs(2 * 3600)).await.unwrap();
    assert!(kept.of("fog").is_empty());
    assert!(kept.problems()[0].contains("the region \"fog\" is not counted"), "{:?}", kept.problems());
    setup.is_right(&kept, "hail");
    let setup = Setup::troubled([CountsTrouble::Status(402)]);
    let refused = setup.run(&Kept::default(), Duration::from_secs(60)).await.unwrap_err();
    assert!(refused.to_string().contains("requires payment"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_kept_over_restarts_and_ends_with_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(Account::default());
    setup.options.budget = Some("0.05/day".parse().unwrap());
    setup.options.journal = Some(folder.path().join("x-counts-metered"));
    let kept = Kept::default();
    for _ in 0..3 {
        setup.run(&kept, Duration::from_secs(600)).await.unwrap();
    }
    assert_eq!(setup.fake.delivered().counts, 10, "ten requests a day");
    assert!(kept.problems().iter().any(|problem| problem.contains("used up until 2026-05-24T00:00:00")));
    // The next day it continues.
    setup.run(&kept, Duration::from_secs(24 * 3600)).await.unwrap();
    assert_eq!(setup.fake.delivered().counts, 20);
    assert!((kept.dollars() - 0.1).abs() < 1e-9, "{}", kept.dollars());
}

#[tokio::test]
async fn options_are_checked() {
    let folder = Path::new("/nonexistent");
    let regions = Arc::new(Regions::parse("test", REGIONS).unwrap());
    let mut context = context(regions, InstallationKey([7; 16]), Arc::new(|| START_MS));
    context.dir = folder.to_owned();
    let open = |text: &str, context: &_| {
        let address = counts::address(text).map_err(|error| error.to_string())?;
        counts::open(&address, context).map(|poller| poller.queries().all.len()).map_err(|error| error.to_string())
    };
    assert!(open("x-counts", &context).unwrap_err().contains("X_BEARER_TOKEN"));
    context.secrets = Arc::new(|name| Ok((name == "X_COUNTS").then(|| TOKEN.to_owned())));
    assert!(open("x-counts", &context).unwrap_err().contains("X_BEARER_TOKEN"));
    assert_eq!(open("x-counts:?token=X_COUNTS", &context), Ok(2));
    assert_eq!(open("x-counts:?token=X_COUNTS&region=fog&every=15m&budget=1/day", &context), Ok(1));
    for (bad, why) in [
        ("x-counts:?token=X_COUNTS&every=10s", "at least 1m"),
        ("x-counts:?token=X_COUNTS&every=soon", "no length of time"),
        ("x-counts:?token=X_COUNTS&budget=1", "no budget"),
        ("x-counts:?token=X_COUNTS&price=-1", "no number of US dollars"),
        ("x-counts:?token=X_COUNTS&region=frog", "no region \"frog\""),
        ("x-counts:?token=X_COUNTS&url=http://x.example", "https://"),
        ("x-counts:?tokens=X_COUNTS", "no option \"tokens\""),
        ("demo", "there is no source \"demo\""),
    ] {
        let error = open(bad, &context).unwrap_err();
        assert!(error.contains(why), "{bad}: {error}");
    }
}
