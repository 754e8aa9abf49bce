//! Runs all sources of a process: starts each from where it stopped, keeps them apart, and drains them at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use birdsong_domain::ports::{PortError, PostLog, Settings};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::backoff::{Backoff, Pace};
use birdsong_sources::intake::Intake;
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, Source};
use futures_util::FutureExt;
use tokio::task::JoinSet;

use crate::cutter::CutRules;
use crate::ingest;
use crate::outbox::Outbox;
use crate::past::PastError;
use crate::pipeline::{self, Ended, Pipe, RunError};
use crate::recovery::{self, Start};
use crate::sent::SharedSent;
use crate::status::StatusRegistry;
use crate::unreadable::UnreadableStore;

/// Pauses before a start is retried.
const START_RETRY: Pace = Pace::doubling(Duration::from_millis(500), Duration::from_secs(30)).full_jitter();

/// What all sources of one process share.
pub struct Runner<L, S> {
    /// What is watched.
    pub regions: Arc<Regions>,
    /// Length of a window.
    pub size: WindowSize,
    /// Where frames go.
    pub log: Arc<L>,
    /// Where resume points are stored.
    pub settings: Arc<S>,
    /// Folder of frames that wait for the log.
    pub spool: PathBuf,
    /// The posts that the log has, by any source.
    pub sent: SharedSent,
    /// Time limit for the log to store the rest at the end.
    pub drain: Duration,
    /// Receives status updates.
    pub status: Arc<StatusRegistry>,
    /// Milliseconds since 1970.
    pub clock: Clock,
    /// A number from 0 to 1, new at each call: spreads retries.
    pub jitter: fn() -> f64,
    /// A fresh id for a run.
    pub run_id: fn() -> String,
    /// When to stop.
    pub stop: Stop,
}

/// Why a source failed.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// Log, settings or index cannot be used.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The pipeline failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The source's posts of the past cannot be sent.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The spool folder cannot be made or read.
    #[error("the spool folder {0} cannot be used: {1}")]
    Spool(PathBuf, std::io::Error),
    /// The task of a source crashed.
    #[error("a source crashed: {0}")]
    Crashed(#[from] tokio::task::JoinError),
}

impl<L: PostLog + 'static, S: Settings + 'static> Runner<L, S> {
    /// Streams from all sources at once until it is time to stop, then sends the rest. Each comes with
    /// the store for its unreadable lines.
    ///
    /// A source that ends or fails never stops the others, and is retried only at the next start.
    ///
    /// # Errors
    /// When no source could continue, the failure of the last one. A source that refuses access is not a failure: its
    /// state shows it.
    pub async fn run<Q: UnreadableStore + 'static>(
        self,
        sources: Vec<(Box<dyn Source>, Q)>,
    ) -> Result<Ended, RunnerError> {
        let (runner, count) = (Arc::new(self), sources.len());
        let mut running = JoinSet::new();
        // In the order in which they were requested.
        sources
            .iter()
            .for_each(|(source, _)| runner.status.update(&source.name(), |state| state.network = source.network()));
        for (source, unreadable) in sources {
            let runner = runner.clone();
            running.spawn(async move {
                let name = source.name();
                let ended = runner.one(source, unreadable).await;
                if let Err(error) = &ended {
                    tracing::error!(source = name, "the source failed: {error}");
                    runner.status.stopped(&name, error.to_string());
                }
                ended
            });
        }
        let (mut all, mut failures, mut last) = (Ended::default(), 0, None);
        while let Some(ended) = running.join_next().await {
            match ended.map_err(RunnerError::from).and_then(|ended| ended) {
                Ok(ended) => {
                    all.ledger.add(&ended.ledger);
                    all.dropped += ended.dropped;
                    all.left_bytes += ended.left_bytes;
                    all.lost_bytes += ended.lost_bytes;
                }
                Err(error) => {
                    failures += 1;
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last.filter(|_| failures == count) {
            return Err(error);
        }
        // The states show which sources refuse access; the rest of this process continues.
        runner.stop.clone().wait().await;
        Ok(all)
    }

    async fn one<Q: UnreadableStore>(&self, mut source: Box<dyn Source>, unreadable: Q) -> Result<Ended, RunnerError> {
        let name = source.name();
        let outbox = self.outbox(&name)?;
        let stopped = |outbox: &Outbox| Ended { left_bytes: outbox.waiting_bytes(), ..Ended::default() };
        let Some(mut start) = self.start(&name, source.originals(), &outbox).await? else {
            return Ok(stopped(&outbox));
        };
        let network = source.network();
        if let Some(past) = source.past() {
            let cursor = self.send_past(&name, network, past, start.point.resume.as_deref()).await?;
            // What is left of the past is for the next start: streaming would make it up all at once.
            if self.stop.is_now() {
                return Ok(stopped(&outbox));
            }
            start.point.resume = cursor.or(start.point.resume);
        }
        let resume = start.point.resume.clone();

        let originals = std::mem::take(&mut start.originals);
        let (mut ingest, inbox) =
            ingest::ingest(&name, source.network(), &self.regions, &self.clock, &self.status, originals);
        let pipe = self.pipe(&*source, outbox, start, unreadable);
        let feeding = async {
            let streaming = source.stream(resume.as_deref(), &mut ingest, self.stop.clone());
            // What it handed on before a panic is whole, and reaches the log as after any other end. When nothing can
            // be handed on any more, the end does not wait for it.
            let too_late = async {
                self.stop.clone().wait().await;
                tokio::time::sleep(self.drain).await;
            };
            let ended = tokio::select! {
                ended = std::panic::AssertUnwindSafe(streaming).catch_unwind() => Some(ended),
                () = too_late => None,
            };
            let refused = match ended {
                None => None,
                Some(Ok(refused)) => refused.map(|error| error.to_string()),
                Some(Err(panic)) => Some(format!(
                    "it crashed ({}): this is a defect of birdsong, please report it. It starts again with the program",
                    panic_text(&*panic)
                )),
            };
            if let Some(reason) = refused {
                tracing::error!(source = name, "the source stopped: {reason}");
                self.status.stopped(&name, reason);
                // From now on its windows show that it is disconnected.
                ingest.is_over().await;
                self.stop.clone().wait().await;
            }
            // What was gathered and not handed on yet.
            let _ = tokio::time::timeout(self.drain, ingest.flush(None)).await;
            drop(ingest);
            Ok(())
        };
        // An ingest whose pipeline has failed waits forever.
        let (ended, ()) = tokio::try_join!(pipeline::run(pipe, inbox), feeding)?;
        Ok(ended)
    }

    /// Where a source continues, as soon as log and settings can be read; `None` when it is time to stop before.
    async fn start(&self, source: &str, originals: usize, outbox: &Outbox) -> Result<Option<Start>, PortError> {
        let (mut backoff, mut stop) = (Backoff::default(), self.stop.clone());
        loop {
            let now_ms = (self.clock)();
            let start = recovery::start(&*self.log, &*self.settings, source, outbox, &self.sent, originals, now_ms);
            let started = tokio::select! {
                started = start => started,
                // Reading a large log takes a while.
                () = stop.wait() => return Ok(None),
            };
            let error = match started {
                Ok(start) => return Ok(Some(start)),
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(source, "cannot start yet, trying again: {error}");
            self.status.update(source, |state| state.reason = Some(error.to_string()));
            tokio::select! {
                () = tokio::time::sleep(backoff.next(START_RETRY, (self.jitter)())) => (),
                () = stop.wait() => return Ok(None),
            }
        }
    }

    /// Frames that an earlier run could not send, and room for more.
    fn outbox(&self, source: &str) -> Result<Outbox, RunnerError> {
        let outbox =
            recovery::spool(&self.spool, source).map_err(|error| RunnerError::Spool(self.spool.clone(), error))?;
        if !outbox.is_empty() {
            tracing::info!(
                source,
                bytes = outbox.waiting_bytes(),
                "frames of the last run wait in the spool, sending them"
            );
        }
        Ok(outbox)
    }

    fn pipe<Q: UnreadableStore>(
        &self,
        source: &dyn Source,
        outbox: Outbox,
        start: Start,
        unreadable: Q,
    ) -> Pipe<L, S, Q> {
        Pipe {
            source: source.name(),
            network: source.network(),
            run: (self.run_id)(),
            regions: self.regions.clone(),
            size: self.size,
            rules: CutRules::default(),
            log: self.log.clone(),
            settings: self.settings.clone(),
            unreadable,
            outbox,
            start,
            sent: self.sent.clone(),
            reach_ms: source.reach_ms(),
            status: self.status.clone(),
            clock: self.clock.clone(),
            jitter: self.jitter,
            drain: self.drain,
        }
    }
}

/// The message of a panic.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use birdsong_domain::network::Network;
    use birdsong_domain::ports::{FrameRecord, LogRecord, ReadFrom, SequenceNumber};
    use birdsong_domain::post::{InstallationKey, PostId, SourcePost};
    use birdsong_domain::status::SourceStatus;
    use birdsong_embedded::MemoryLog;
    use birdsong_sources::demo::Demo;
    use birdsong_sources::source::SourceError;
    use birdsong_testkit::context;
    use futures_util::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::sent::SentRules;
    use crate::unreadable::{Unreadable, UnreadableStore};

    /// Settings that are unavailable for a number of calls.
    struct Unavailable(AtomicU32);

    impl Settings for Unavailable {
        async fn setting(&self, _key: &str) -> Result<Option<String>, PortError> {
            match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
                Ok(_) => Err(PortError::Unavailable { what: "the table", reason: "throttled".into() }),
                Err(_) => Ok(None),
            }
        }

        async fn set_setting(&self, _key: &str, _value: &str) -> Result<(), PortError> {
            Ok(())
        }
    }

    struct Nowhere;

    impl UnreadableStore for Nowhere {
        async fn keep(&mut self, _lines: &[Unreadable]) -> Result<(), PortError> {
            Ok(())
        }
    }

    /// Ends at once with a panic.
    struct Defect;

    impl Source for Defect {
        fn name(&self) -> String {
            "defect".into()
        }

        fn network(&self) -> Network {
            Network::DEMO
        }

        fn reach_ms(&self) -> i64 {
            0
        }

        fn stream<'a>(
            &'a mut self,
            _resume: Option<&'a str>,
            _intake: &'a mut dyn Intake,
            _stop: Stop,
        ) -> BoxFuture<'a, Option<SourceError>> {
            async { panic!("a defect of this source") }.boxed()
        }
    }

    /// Hands on one post, and waits.
    struct Once(&'static str);

    impl Source for Once {
        fn name(&self) -> String {
            self.0.into()
        }

        fn network(&self) -> Network {
            Network::X
        }

        fn reach_ms(&self) -> i64 {
            0
        }

        fn stream<'a>(
            &'a mut self,
            _resume: Option<&'a str>,
            intake: &'a mut dyn Intake,
            mut stop: Stop,
        ) -> BoxFuture<'a, Option<SourceError>> {
            async move {
                let id = PostId(self.0.len() as u128);
                intake.post(&SourcePost { id, time_ms: now_ms(), ..SourcePost::default() });
                intake.flush(None).await;
                stop.wait().await;
                None
            }
            .boxed()
        }
    }

    /// A log that is never there.
    struct Away;

    impl PostLog for Away {
        async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
            frames.iter().map(|_| Err(PortError::Unavailable { what: "log", reason: String::new() })).collect()
        }

        async fn shards(&self) -> Result<Vec<String>, PortError> {
            Ok(vec![])
        }

        async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
            Ok(i64::MIN)
        }

        async fn read(&self, _shard: &str, _from: &ReadFrom, _limit: usize) -> Result<Vec<LogRecord>, PortError> {
            Ok(vec![])
        }
    }

    fn now_ms() -> i64 {
        std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
    }

    fn runner_of<L>(log: L, spool: &std::path::Path, away: u32, drain: Duration, stop: Stop) -> Runner<L, Unavailable> {
        Runner {
            regions: Arc::new(Regions::everything("all")),
            size: WindowSize::FIVE_MINUTES,
            log: Arc::new(log),
            settings: Arc::new(Unavailable(AtomicU32::new(away))),
            spool: spool.into(),
            drain,
            sent: SharedSent::new(SentRules::live(spool.into())),
            status: Arc::default(),
            clock: Arc::new(now_ms),
            jitter: || 0.5,
            run_id: || "run".into(),
            stop,
        }
    }

    fn runner(spool: &std::path::Path, away: u32, drain: Duration, stop: Stop) -> Runner<MemoryLog, Unavailable> {
        runner_of(MemoryLog::new(1 << 24), spool, away, drain, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_starts_as_soon_as_log_and_settings_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = watch::channel(false);
        let runner = runner(folder.path(), 20, Duration::ZERO, Stop::new(stopped));
        let outbox = runner.outbox("test").unwrap();
        assert!(runner.start("test", 0, &outbox).await.unwrap().is_some());
        assert!(runner.status.states()[0].reason.as_ref().is_some_and(|reason| reason.contains("throttled")));
        runner.settings.0.store(u32::MAX, Ordering::Relaxed);
        let (start, _) = tokio::join!(runner.start("test", 0, &outbox), async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.send(true)
        });
        assert!(start.unwrap().is_none());
    }

    // Rule 4.10.
    /// Runs in the release build, too (`make release-test`): there a panic must not end the program either.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_one_source_never_stops_another() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = watch::channel(false);
        let runner = runner(folder.path(), 0, Duration::from_secs(5), Stop::new(stopped));
        let status = runner.status.clone();
        let demo = Demo::new(1, 0, &context(runner.regions.clone(), InstallationKey([7; 16]), runner.clock.clone()));
        let sources: Vec<(Box<dyn Source>, _)> = vec![(Box::new(Defect), Nowhere), (Box::new(demo), Nowhere)];
        let running = tokio::spawn(runner.run(sources));
        let state = |name: &str| status.states().into_iter().find(|state| state.source == name).unwrap_or_default();
        while state("demo").last_post_ms.is_none() || state("defect").status != SourceStatus::Stopped {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(state("defect").reason.is_some_and(|reason| reason.contains("a defect of this source")));
        stop.send(true).unwrap();
        let ended = running.await.unwrap().unwrap();
        assert!(ended.ledger.sent > 0 && ended.ledger.balances() && ended.lost_bytes == 0, "{ended:?}");
    }

    fn sources(names: [&'static str; 2]) -> Vec<(Box<dyn Source>, Nowhere)> {
        names.map(|name| (Box::new(Once(name)) as Box<dyn Source>, Nowhere)).into()
    }

    /// The log is unavailable. What waits at the end is in the spool, or lost when that is gone.
    #[tokio::test(start_paused = true)]
    async fn the_end_sums_up_what_all_sources_left_and_lost() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        let live = async |is_spool_gone: bool| {
            let (stop, stopped) = watch::channel(false);
            let running = runner_of(Away, &spool, 0, Duration::ZERO, Stop::new(stopped)).run(sources(["a", "bc"]));
            let (ended, ()) = tokio::join!(running, async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                if is_spool_gone {
                    std::fs::remove_dir_all(&spool).unwrap();
                }
                stop.send(true).unwrap();
            });
            ended.unwrap()
        };
        let lost = live(true).await;
        assert!(lost.lost_bytes > 0 && lost.left_bytes == 0 && lost.ledger.received == 2, "{lost:?}");
        let left = live(false).await;
        let files = |name: &str| {
            std::fs::read_dir(spool.join(name)).unwrap().map(|file| file.unwrap().metadata().unwrap().len())
        };
        assert_eq!((left.left_bytes, left.lost_bytes), (files("a").chain(files("bc")).sum(), 0));
        // Stopped before they could start, both leave what waited.
        let (stop, stopped) = watch::channel(false);
        stop.send(true).unwrap();
        let runner = runner_of(Away, &spool, u32::MAX, Duration::ZERO, Stop::new(stopped));
        let ended = runner.run(sources(["a", "bc"])).await.unwrap();
        assert_eq!(ended, Ended { left_bytes: left.left_bytes, ..Ended::default() });
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_failure_of_all_sources_is_a_failure() {
        for (broken, is_failure) in [(&["a"][..], false), (&["a", "bc"][..], true)] {
            let folder = tempfile::tempdir().unwrap();
            // A file in the place of the folder.
            broken.iter().for_each(|name| std::fs::write(folder.path().join(name), b"").unwrap());
            let (stop, stopped) = watch::channel(false);
            let running =
                runner(folder.path(), 0, Duration::from_secs(5), Stop::new(stopped)).run(sources(["a", "bc"]));
            let (ended, ()) = tokio::join!(running, async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                // Nobody waits for it when all have failed.
                let _ = stop.send(true);
            });
            assert_eq!(matches!(ended, Err(RunnerError::Spool(..))), is_failure, "{ended:?}");
            assert!(is_failure || ended.is_ok_and(|ended| ended.ledger.sent == 1));
        }
    }

    #[test]
    fn a_panic_has_its_message() {
        let text = |panic: Box<dyn std::any::Any + Send>| panic_text(&*panic).to_owned();
        assert_eq!(
            [text(Box::new("a")), text(Box::new("b".to_owned())), text(Box::new(7))],
            ["a", "b", "without a message"]
        );
    }

    #[tokio::test]
    async fn a_start_that_cannot_succeed_is_not_retried() {
        /// Settings that may not be read.
        struct Refused;

        impl Settings for Refused {
            async fn setting(&self, _key: &str) -> Result<Option<String>, PortError> {
                Err(PortError::Refused { what: "the table", reason: "no rights".into() })
            }

            async fn set_setting(&self, _key: &str, _value: &str) -> Result<(), PortError> {
                Ok(())
            }
        }

        let folder = tempfile::tempdir().unwrap();
        let (_stop, stopped) = watch::channel(false);
        let Runner { regions, size, log, spool, sent, drain, status, clock, jitter, run_id, stop, .. } =
            runner(folder.path(), 0, Duration::ZERO, Stop::new(stopped));
        let settings = Arc::new(Refused);
        let runner = Runner { settings, regions, size, log, spool, sent, drain, status, clock, jitter, run_id, stop };
        let outbox = runner.outbox("test").unwrap();
        assert!(matches!(runner.start("test", 0, &outbox).await, Err(PortError::Refused { .. })));
    }
}
