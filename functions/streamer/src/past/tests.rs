use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use birdsong_domain::frame::{self, FrameHeader};
use birdsong_domain::ports::{FrameRecord, LogRecord, ReadFrom, SequenceNumber};
use birdsong_domain::post::{PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::session::Stop;
use birdsong_sources::source::PastSpan;
use birdsong_testkit::MemoryStore;
use tokio::sync::watch;

use super::*;
use crate::sent::{SentRules, SharedSent};

const NOW_MS: i64 = 1_700_000_000_123;

/// What a log does with frames.
enum Does {
    Accept,
    Refuse,
    /// It is unavailable, and somebody stops the program when it is tried.
    StopAway,
    /// The same, yet it refuses for good.
    StopRefuse,
}

/// A log that keeps the frames of each append.
struct Log {
    does: Does,
    appends: Mutex<Vec<Vec<FrameHeader>>>,
    posts: Mutex<Vec<u128>>,
    stop: watch::Sender<bool>,
}

impl PostLog for Log {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        if matches!(self.does, Does::Accept) {
            let read: Vec<_> = frames.iter().map(|frame| frame::decode(&frame.bytes).unwrap()).collect();
            self.posts.lock().unwrap().extend(read.iter().flat_map(|frame| &frame.posts).map(|post| post.id));
            self.appends.lock().unwrap().push(read.into_iter().map(|frame| frame.header).collect());
        }
        if matches!(self.does, Does::StopAway | Does::StopRefuse) {
            self.stop.send(true).unwrap();
        }
        let outcome = |_| {
            let (what, reason) = ("log", String::new());
            match self.does {
                Does::Accept => Ok(1u64.into()),
                Does::StopAway => Err(PortError::Unavailable { what, reason }),
                Does::Refuse | Does::StopRefuse => Err(PortError::Refused { what, reason }),
            }
        };
        frames.iter().map(outcome).collect()
    }

    fn keeps_prefix(&self) -> bool {
        true
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

/// A post a minute, in two spans: the newer one first.
struct TwoSpans {
    asked: Mutex<Vec<(Option<String>, i64)>>,
    /// Where the newer span starts, and where it ends.
    newer: (i64, i64),
}

impl Past for TwoSpans {
    fn next(&self, cursor: Option<&str>, now_ms: i64) -> Option<PastSpan> {
        self.asked.lock().unwrap().push((cursor.map(Into::into), now_ms));
        let span = |from_ms, to_ms, cursor: &str| Some(PastSpan { from_ms, to_ms, cursor: cursor.into() });
        match cursor {
            Some("start") => span(self.newer.0, self.newer.1, "newer"),
            Some("newer") => span(0, self.newer.0, "all"),
            _ => None,
        }
    }

    fn read(&self, from_ms: i64, to_ms: i64, each: &mut dyn FnMut(&SourcePost<'_>)) {
        for time_ms in (0..self.newer.1).step_by(60_000).filter(|time_ms| (from_ms..to_ms).contains(time_ms)) {
            each(&SourcePost { id: PostId(time_ms as u128), time_ms, ..SourcePost::default() });
        }
    }
}

/// Sends both spans. Returns the outcome, the runner and what was asked of the source.
#[allow(clippy::type_complexity, reason = "three things")]
async fn sent(
    does: Does,
    newer: (i64, i64),
) -> (Result<Option<String>, PastError>, Runner<Log, MemoryStore>, Vec<(Option<String>, i64)>) {
    let (stop, stopped) = watch::channel(false);
    let runner = Runner {
        regions: Arc::new(Regions::everything("all")),
        size: WindowSize::FIVE_MINUTES,
        log: Arc::new(Log { does, appends: Mutex::default(), posts: Mutex::default(), stop }),
        settings: Arc::new(MemoryStore::default()),
        spool: PathBuf::new(),
        sent: SharedSent::new(SentRules::archive(None)),
        drain: Duration::ZERO,
        status: Arc::default(),
        clock: Arc::new(|| NOW_MS),
        jitter: || 0.5,
        run_id: || "run".into(),
        stop: Stop::new(stopped),
    };
    let mut past = TwoSpans { asked: Mutex::default(), newer };
    let outcome = runner.send_past("test", Network::DEMO, &mut past, Some("start")).await;
    (outcome, runner, past.asked.into_inner().unwrap())
}

async fn point(runner: &Runner<Log, MemoryStore>) -> Option<String> {
    let text = runner.settings.setting("resume:test").await.unwrap()?;
    serde_json::from_str::<ResumePoint>(&text).unwrap().resume
}

#[tokio::test]
async fn posts_of_the_past_are_sent_span_by_span_with_a_cut_for_each_window() {
    // The newer span starts within a window, and both together are of 40 windows.
    let minute = 60_000;
    let (outcome, runner, asked) = sent(Does::Accept, (198 * minute, 200 * minute)).await;
    assert_eq!((outcome.unwrap().as_deref(), point(&runner).await.as_deref()), (Some("all"), Some("all")));
    let whole_seconds = NOW_MS - 123;
    let cursors = ["start", "newer", "all"].map(|cursor| (Some(cursor.to_owned()), whole_seconds));
    assert_eq!(asked, cursors);
    let posts: Vec<_> = runner.log.posts.lock().unwrap().iter().map(|id| *id as i64 / minute).collect();
    assert!(posts.iter().copied().eq([198, 199].into_iter().chain(0..198)), "{posts:?}");
    let appends = runner.log.appends.lock().unwrap();
    assert_eq!(appends.iter().map(Vec::len).collect::<Vec<_>>(), [2, 64, 16], "two frames a window");
    let ledgers = appends.iter().flatten().filter(|header| header.lane.is_ledger());
    let windows: Vec<_> =
        ledgers.map(|header| (header.live, header.ledgers.len(), header.ledgers[0].0 / 300_000)).collect();
    assert!(windows.iter().copied().eq([39].into_iter().chain(0..40).map(|window| (false, 1, window))), "{windows:?}");
    assert_eq!(runner.status.states()[0].status, SourceStatus::Backfill);
}

/// What is not in the log is for the next start, which must not take it for sent.
#[tokio::test(start_paused = true)]
async fn a_span_that_the_log_does_not_have_has_no_resume_point() {
    for (does, is_error) in [(Does::Refuse, true), (Does::StopRefuse, true), (Does::StopAway, false)] {
        let (outcome, runner, asked) = sent(does, (600_000, 1_200_000)).await;
        match outcome {
            Ok(cursor) => assert!(cursor.is_none() && !is_error),
            Err(error) => assert!(is_error && error.to_string().starts_with("4 frames"), "{error}"),
        }
        assert_eq!((point(&runner).await, asked.len()), (None, 1));
    }
}

#[tokio::test]
async fn nothing_is_read_once_it_is_time_to_stop() {
    let (_, runner, _) = sent(Does::Accept, (600_000, 1_200_000)).await;
    runner.log.stop.send(true).unwrap();
    let before = runner.log.appends.lock().unwrap().len();
    let mut past = TwoSpans { asked: Mutex::default(), newer: (2_400_000, 3_000_000) };
    assert_eq!(runner.send_past("test", Network::DEMO, &mut past, Some("start")).await.unwrap(), None);
    assert_eq!(runner.log.appends.lock().unwrap().len(), before);
}
