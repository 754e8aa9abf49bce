//! What a start learns from the log, the spool and the settings: where a source continues, and what was sent.

use std::time::Duration;

use birdsong_domain::frame::Frame;
use birdsong_domain::ports::{PortError, PostLog, ReadFrom, Settings};
use tokio::time::Instant;

use crate::originals::Originals;
use crate::outbox::{Outbox, OutboxLimits, ResumePoint};
use crate::sent::{Learner, SharedSent};

/// How often a resume point is stored at most.
const RESUME_EVERY: Duration = Duration::from_secs(10);
/// The log's clock, ours and the source's differ by less than this, in milliseconds.
const CLOCK_MARGIN_MS: i64 = 60_000;
/// A source may deliver a post again for this long, in milliseconds: X delivers each version of a post, which may
/// be edited for half an hour; newer Jetstream hosts start up to an hour before the cursor (jetstream#343).
pub const REPEATS_MS: i64 = 75 * 60_000;
/// Records read at a time when learning what was sent.
const PAGE: usize = 256;

/// Where a source continues.
#[derive(Debug)]
pub struct Start {
    /// Everything before this is in the log or waits in the outbox.
    pub point: ResumePoint,
    /// Posts that may be reposted.
    pub originals: Originals,
}

fn resume_key(source: &str) -> String {
    format!("resume:{source}")
}

/// Finds out where a source continues, and which posts the log and the outbox have received
/// since and for [`REPEATS_MS`] before. At least `originals` posts are remembered for reposts that come without
/// words; 0 for a source that has none of these.
///
/// # Errors
/// When the settings cannot be read or written, or the log, the outbox's files or the index not be read.
pub async fn start<L: PostLog, S: Settings>(
    log: &L,
    settings: &S,
    source: &str,
    outbox: &Outbox,
    sent: &SharedSent,
    originals: usize,
    now_ms: i64,
) -> Result<Start, PortError> {
    let key = resume_key(source);
    let mut originals = Originals::new(source, originals);
    let mut point = ResumePoint { resume: None, at_ms: now_ms };
    match settings.setting(&key).await? {
        Some(text) => match serde_json::from_str(&text) {
            Ok(stored) => point = stored,
            Err(error) => {
                tracing::error!(source, "the stored resume point is damaged, the source continues from now: {error}");
            }
        },
        // When this run crashes before it has a resume point, the next one learns what it sent.
        None => save_resume(settings, source, &point).await?,
    }
    // The clock may have been wrong then.
    let from_ms = point.at_ms.min(now_ms).saturating_sub(REPEATS_MS + CLOCK_MARGIN_MS);
    let (mut learner, unreadable) = learn_log(log, Some(from_ms), sent, &mut originals, now_ms, |_| ()).await?;
    if unreadable > 0 {
        tracing::warn!(source, unreadable, "records of the log are damaged: posts in them that come again count again");
    }
    let spooled = outbox
        .learn(&mut learner, &mut sent.lock(), &mut originals, now_ms)
        .map_err(|error| PortError::Unavailable { what: "the spool folder", reason: error.to_string() })?;
    recover(log, learner, source).await?;
    Ok(Start { point: spooled.unwrap_or(point), originals })
}

/// Stores where a source continues.
///
/// # Errors
/// When the settings cannot be written.
pub async fn save_resume<S: Settings>(settings: &S, source: &str, point: &ResumePoint) -> Result<(), PortError> {
    let text = serde_json::to_string(point)
        .map_err(|error| PortError::Corrupt { what: resume_key(source), reason: error.to_string() })?;
    settings.set_setting(&resume_key(source), &text).await
}

/// Remembers all posts that the log has, for a run of `source`. `progress` receives the number of records read. Returns the
/// number of records that cannot be read: their posts are not known, and count again when they are sent again.
///
/// # Errors
/// When the log or the index cannot be read, or the log not be written.
pub async fn learn_all<L: PostLog>(
    log: &L,
    source: &str,
    sent: &SharedSent,
    now_ms: i64,
    progress: impl Fn(u64),
) -> Result<u64, PortError> {
    let (learner, unreadable) = learn_log(log, None, sent, &mut Originals::default(), now_ms, progress).await?;
    recover(log, learner, source).await?;
    Ok(unreadable)
}

/// Appends the ledgers that earlier runs of the source left out when they crashed.
async fn recover<L: PostLog>(log: &L, learner: Learner, source: &str) -> Result<(), PortError> {
    let missing = learner
        .finish(source)
        .map_err(|error| PortError::Corrupt { what: "a ledger of a crashed run".into(), reason: error.to_string() })?;
    if missing.is_empty() {
        return Ok(());
    }
    tracing::info!(
        source,
        cuts = missing.len(),
        "an earlier run ended before it could write its ledger: writing it now"
    );
    log.append(&missing).await.into_iter().try_for_each(|outcome| outcome.map(drop))
}

/// Reads the records that arrived since `from_ms`, or all.
async fn learn_log<L: PostLog>(
    log: &L,
    from_ms: Option<i64>,
    sent: &SharedSent,
    originals: &mut Originals,
    now_ms: i64,
    progress: impl Fn(u64),
) -> Result<(Learner, u64), PortError> {
    let (mut read, mut unreadable, mut learner) = (0, 0, Learner::default());
    for shard in log.shards().await? {
        let mut from = from_ms.map_or(ReadFrom::Oldest, ReadFrom::Time);
        loop {
            let records = log.read(&shard, &from, PAGE).await?;
            let Some(last) = records.last() else { break };
            from = ReadFrom::After(last.sequence.clone());
            let mut index = sent.lock();
            for record in &records {
                let frame = Frame::of(record);
                unreadable += u64::from(frame.damage.is_some());
                if frame.header.run.is_empty() {
                    continue;
                }
                originals.learn(&frame);
                learner.read(&frame, &mut index, now_ms).map_err(|error| PortError::Unavailable {
                    what: "the index of posts that were sent",
                    reason: error.to_string(),
                })?;
            }
            read += records.len() as u64;
            progress(read);
        }
    }
    Ok((learner, unreadable))
}

/// Writes resume points, not too often.
pub(crate) struct ResumePoints<'a, S> {
    pub(crate) settings: &'a S,
    pub(crate) source: &'a str,
    pub(crate) newest: Option<ResumePoint>,
    pub(crate) written: Option<Instant>,
}

impl<S: Settings> ResumePoints<'_, S> {
    pub(crate) async fn write(&mut self, at_once: bool) {
        let is_due = at_once || self.written.is_none_or(|at| at.elapsed() >= RESUME_EVERY);
        let Some(newest) = self.newest.as_ref().filter(|_| is_due) else { return };
        self.written = Some(Instant::now());
        match save_resume(self.settings, self.source, newest).await {
            Ok(()) => self.newest = None,
            Err(error) => tracing::warn!(source = self.source, "the resume point could not be written: {error}"),
        }
    }
}

/// The limits of [`OutboxLimits::default`], and files in a folder of the source's own below `dir`.
///
/// # Errors
/// When the folder cannot be made or read.
pub fn spool(dir: &std::path::Path, source: &str) -> std::io::Result<Outbox> {
    let name: String = source.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Outbox::open(Some(dir.join(name)), OutboxLimits::default())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use birdsong_domain::frame::{self, FrameHeader, Lane};
    use birdsong_domain::network::Network;
    use birdsong_domain::ports::{FrameRecord, LogRecord, SequenceNumber};
    use birdsong_domain::post::{Located, PostId, SourcePost};
    use birdsong_testkit::MemoryStore;

    use super::*;
    use crate::sent::SentRules;

    /// A log in memory, and from where it was read.
    #[derive(Default)]
    struct Log {
        records: Mutex<Vec<LogRecord>>,
        reads: Mutex<Vec<ReadFrom>>,
    }

    impl PostLog for Log {
        async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
            let mut records = self.records.lock().unwrap();
            let append = |frame: &FrameRecord| {
                let sequence = SequenceNumber::from(records.len() as u64 + 1);
                let (lane, bytes) = (Some(frame.lane.clone()), frame.bytes.clone());
                records.push(LogRecord { sequence: sequence.clone(), arrived_ms: 0, lane, bytes });
                Ok(sequence)
            };
            frames.iter().map(append).collect()
        }

        async fn shards(&self) -> Result<Vec<String>, PortError> {
            Ok(vec!["0".into()])
        }

        async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
            Ok(i64::MIN)
        }

        async fn read(&self, _shard: &str, from: &ReadFrom, limit: usize) -> Result<Vec<LogRecord>, PortError> {
            self.reads.lock().unwrap().push(from.clone());
            let is_behind = |record: &&LogRecord| !matches!(from, ReadFrom::After(last) if record.sequence <= *last);
            Ok(self.records.lock().unwrap().iter().filter(is_behind).take(limit).cloned().collect())
        }
    }

    fn frame(cut: u64) -> FrameRecord {
        let lane = Lane::posts("oslo", Network::X, 0);
        let header = FrameHeader {
            lane: lane.clone(),
            source: "test".into(),
            run: "run".into(),
            counter: cut,
            cut,
            windows: vec![frame::PostCount { window_ms: 0, posts: 1, primary: 1 }],
            ..FrameHeader::default()
        };
        let mut lines = vec![];
        let post = SourcePost { id: PostId(u128::from(cut)), ..SourcePost::default() };
        frame::put_line(&mut lines, &post, Located::All, false);
        FrameRecord { lane, bytes: frame::encode(&header, &lines).unwrap() }
    }

    #[tokio::test]
    async fn all_of_the_log_is_learned_and_the_ledger_that_it_lacks_is_written() {
        let (log, sent) = (Log::default(), SharedSent::new(SentRules::archive(None)));
        let mut damaged = frame(2);
        damaged.bytes.truncate(10);
        log.append(&[frame(1), damaged]).await;
        let progress = Mutex::new(vec![]);
        let learn =
            async |source: &str| learn_all(&log, source, &sent, 0, |read| progress.lock().unwrap().push(read)).await;
        assert_eq!(learn("another").await.unwrap(), 1);
        assert_eq!((log.records.lock().unwrap().len(), &**progress.lock().unwrap()), (2, &[2][..]));
        assert_eq!(log.reads.lock().unwrap()[0], ReadFrom::Oldest);
        log.append(&vec![frame(1); PAGE]).await;
        assert_eq!(learn("test").await.unwrap(), 1);
        assert_eq!(progress.lock().unwrap()[1..], [256, 258]);
        let mut index = sent.lock();
        let oslo = index.sets.region("oslo");
        let oslo = index.sets.of(&mut vec![oslo]);
        let missing: Vec<_> = (1..3u128).map(|id| !index.add(PostId(id), oslo, 0).unwrap().is_empty()).collect();
        assert_eq!(missing, [false, true], "a post of a damaged record counts again");
        let last = frame::decode(&log.records.lock().unwrap()[258].bytes).unwrap();
        assert_eq!((last.header.lane, last.header.cut), (Lane::ledger(Network::X, "test"), 1));
    }

    /// As far back as a source may deliver a post again, and a minute for clocks that differ.
    #[tokio::test]
    async fn a_start_reads_the_log_from_76_minutes_before_its_resume_point() {
        const NOW_MS: i64 = 1_700_000_000_000;
        let point = |resume: Option<&str>, at_ms| ResumePoint { resume: resume.map(Into::into), at_ms };
        let stored = point(Some("here"), NOW_MS - 5000);
        let cases = [
            ("no point yet", None, point(None, NOW_MS), NOW_MS),
            ("a point", Some(serde_json::to_string(&stored).unwrap()), stored, NOW_MS - 5000),
            ("a damaged one", Some("{".into()), point(None, NOW_MS), NOW_MS),
            (
                "one of a clock that was wrong",
                Some(serde_json::to_string(&point(Some("here"), NOW_MS * 2)).unwrap()),
                point(Some("here"), NOW_MS * 2),
                NOW_MS,
            ),
        ];
        for (what, setting, expected, from_ms) in cases {
            let (log, settings) = (Log::default(), MemoryStore::default());
            if let Some(text) = &setting {
                settings.set_setting("resume:test", text).await.unwrap();
            }
            let outbox = Outbox::open(None, OutboxLimits::default()).unwrap();
            let sent = SharedSent::new(SentRules::archive(None));
            let start = start(&log, &settings, "test", &outbox, &sent, 0, NOW_MS).await.unwrap();
            assert_eq!(start.point, expected, "{what}");
            assert_eq!(*log.reads.lock().unwrap(), [ReadFrom::Time(from_ms - 76 * 60_000)], "{what}");
            let now = settings.setting("resume:test").await.unwrap();
            assert_eq!(now, setting.or(Some(serde_json::to_string(&expected).unwrap())), "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resume_point_is_stored_every_ten_seconds_and_at_the_end() {
        let settings = MemoryStore::default();
        let mut points = ResumePoints { settings: &settings, source: "test", newest: None, written: None };
        let mut written = vec![];
        for second in 0..=25 {
            points.newest = Some(ResumePoint { resume: None, at_ms: second });
            points.write(false).await;
            if points.newest.is_none() {
                written.push(second);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(written, [0, 10, 20]);
        points.write(true).await;
        assert_eq!(settings.setting("resume:test").await.unwrap(), Some(r#"{"resume":null,"at_ms":25}"#.into()));
    }
}
