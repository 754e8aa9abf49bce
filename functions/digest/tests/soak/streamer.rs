//! The streamer: a source that goes back and repeats itself, and one life after the other, most of which end in a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use birdsong_domain::network::Network;
use birdsong_domain::ports::PortError;
use birdsong_domain::time::WindowSize;
use birdsong_embedded::SqliteStore;
use birdsong_sources::intake::{Change, Intake, Resume};
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Source, SourceError};
use birdsong_streamer::runner::Runner;
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::{Unreadable, UnreadableStore};
use birdsong_testkit::Hooked;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::world::{Log, OfStore, Posts, Weather, now_ms, regions, true_ms};

pub(crate) type Store = Hooked<OfStore, SqliteStore>;

/// Posts that the source goes back at most behind a resume point.
const BACK: u64 = 5_000;
/// Posts between two flushes at most.
const CHUNK: u64 = 1_000;
/// How far back a post is repeated, in milliseconds.
const REPEATS_MS: u64 = 600_000;
/// By how much the arrival times in the log may be behind the right time, in milliseconds: a clock that is wrong.
const CLOCK_MS: i64 = 300_000;

/// What the source has handed on, over all lives.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Lives of the streamer.
    pub(crate) lives: AtomicU64,
    /// Lines that the source handed on: posts, repeated posts and unreadable lines.
    pub(crate) lines: AtomicU64,
    /// The first post that it did not hand on yet, and the first one in this life.
    pub(crate) next: AtomicU64,
    in_life: AtomicU64,
}

struct Feed {
    posts: Posts,
    weather: Arc<Weather>,
    progress: Arc<Progress>,
}

impl Source for Feed {
    fn name(&self) -> String {
        "demo".into()
    }

    fn network(&self) -> Network {
        Network::DEMO
    }

    fn reach_ms(&self) -> i64 {
        i64::MAX
    }

    fn stream<'a>(
        &'a mut self,
        resume: Option<&'a str>,
        intake: &'a mut dyn Intake,
        mut stop: Stop,
    ) -> BoxFuture<'a, Option<SourceError>> {
        Box::pin(async move {
            let cursor: u64 = resume.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            let mut next = cursor.saturating_sub(self.weather.below(BACK));
            intake.change(Change::Connected);
            while !stop.is_now() {
                let until = self.posts.published().min(next + 1 + self.weather.below(CHUNK));
                let mut lines = until.saturating_sub(next);
                for number in next..until {
                    intake.post(&self.posts.post(number));
                }
                next = next.max(until);
                for _ in 0..self.weather.below(20) {
                    // One that was delivered a while ago, and now and then half a line.
                    let among = (self.posts.rate * REPEATS_MS / 1000).min(next);
                    if among > 0 {
                        intake.post(&self.posts.post(next - 1 - self.weather.below(among)));
                        lines += 1;
                    }
                }
                if self.weather.below(50) == 0 {
                    intake.unreadable("half a line".into(), b"{\"id\": ");
                    lines += 1;
                }
                if self.weather.below(400) == 0 {
                    let retry_in = Duration::from_secs(5);
                    intake.change(Change::Waiting { reason: "the connection was closed".into(), retry_in });
                    intake.flush(None).await;
                    sleep(retry_in).await;
                    intake.change(Change::Connected);
                }
                self.progress.lines.fetch_add(lines, Ordering::Relaxed);
                self.progress.next.fetch_max(next, Ordering::Relaxed);
                self.progress.in_life.store(next, Ordering::Relaxed);
                let since_ms = self.posts.arrives_ms(next.saturating_sub(BACK)) - CLOCK_MS;
                intake.flush(Some(Resume { cursor: next.to_string(), since_ms })).await;
                let pause_ms = if next < self.posts.published() { 20 } else { 500 };
                tokio::select! {
                    () = sleep(Duration::from_millis(pause_ms)) => (),
                    () = stop.wait() => (),
                }
            }
            None
        })
    }
}

/// Counts lines that could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quarantine(pub(crate) Arc<AtomicU64>);

impl UnreadableStore for Quarantine {
    async fn keep(&mut self, lines: &[Unreadable]) -> Result<(), PortError> {
        self.0.fetch_add(lines.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// All lives of the streamer, until the log has every post of the source.
pub(crate) async fn lives(
    dir: &std::path::Path,
    posts: Posts,
    log: &Arc<Log>,
    store: &Arc<Store>,
    progress: &Arc<Progress>,
    longest: Duration,
) {
    let weather = &log.weather;
    let quarantine = Quarantine::default();
    loop {
        let life = progress.lives.fetch_add(1, Ordering::Relaxed);
        let (stop, stopping) = watch::channel(false);
        let status = Arc::new(StatusRegistry::default());
        let runner = Runner {
            // The regions file is changed, and read at the next start.
            regions: regions(life % 2 == 1),
            size: WindowSize::FIVE_MINUTES,
            log: log.clone(),
            settings: store.clone(),
            spool: dir.join("spool"),
            sent: SharedSent::new(SentRules::live(dir.to_owned())),
            drain: Duration::from_millis(500),
            status: status.clone(),
            clock: Arc::new(now_ms),
            jitter: || 0.5,
            run_id: || format!("run{}", true_ms()),
            stop: Stop::new(stopping),
        };
        let feed: Box<dyn Source> = Box::new(Feed { posts, weather: weather.clone(), progress: progress.clone() });
        let run = runner.run(vec![(feed, quarantine.clone())]);
        let waits = || status.entries().iter().map(|entry| entry.waiting_bytes).sum::<u64>();
        let is_last = posts.published() == posts.count;
        progress.in_life.store(0, Ordering::Relaxed);
        if is_last {
            weather.calm_down();
            let end = async {
                while progress.in_life.load(Ordering::Relaxed) < posts.count || waits() > 0 {
                    sleep(Duration::from_secs(5)).await;
                }
                // What was handed on last is cut within a second or two.
                sleep(Duration::from_secs(10)).await;
                stop.send_replace(true);
            };
            let (ended, ()) = tokio::join!(run, end);
            let ended = ended.expect("the streamer ends in good order");
            assert_eq!((ended.left_bytes, ended.lost_bytes), (0, 0), "all that there is, is in the log");
            return;
        }
        let length = Duration::from_millis(60_000 + weather.below(longest.as_millis() as u64));
        let is_crash = weather.below(3) > 0;
        if is_crash {
            assert!(timeout(length, run).await.is_err(), "the streamer does not end by itself");
        } else {
            let (ended, ()) = tokio::join!(run, async {
                sleep(length).await;
                stop.send_replace(true);
            });
            ended.expect("the streamer ends in good order");
        }
        sleep(Duration::from_millis(1_000 + weather.below(60_000))).await;
    }
}
