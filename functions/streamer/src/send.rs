//! Brings frames into the log: an outcome for each record, and only what failed is sent again.

use std::time::Duration;

use birdsong_domain::ports::{FrameRecord, PortError, PostLog, SequenceNumber};
use birdsong_sources::backoff::{Backoff, Pace};

/// Waits before a log that accepts nothing is retried.
pub(crate) const RETRY: Pace = Pace::doubling(Duration::from_millis(100), Duration::from_secs(5)).full_jitter();
/// Wait before a log that accepted a part is retried.
const RETRY_REST: Pace = Pace::doubling(Duration::from_millis(50), Duration::from_millis(50)).full_jitter();

/// Appends frames of whole cuts, and a ledger only once the log has all frames before it: a ledger in the log
/// never counts a post that is absent, whatever fails and whenever the program ends.
pub(crate) async fn append<L: PostLog>(log: &L, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
    let is_ledger = |frame: &FrameRecord| frame.lane.is_ledger();
    let count = frames.iter().filter(|frame| is_ledger(frame)).count();
    if log.keeps_prefix() || count == 0 || count == frames.len() {
        return log.append(frames).await;
    }
    let (ledgers, posts): (Vec<_>, Vec<_>) = frames.iter().cloned().partition(is_ledger);
    let posts = log.append(&posts).await;
    let ledgers = if posts.iter().all(Result::is_ok) {
        log.append(&ledgers).await
    } else {
        let wait = || PortError::Unavailable { what: "log", reason: "it does not have the frames before this".into() };
        ledgers.iter().map(|_| Err(wait())).collect()
    };
    let (mut posts, mut ledgers) = (posts.into_iter(), ledgers.into_iter());
    frames.iter().filter_map(|frame| if is_ledger(frame) { ledgers.next() } else { posts.next() }).collect()
}

/// Appends `frames` in order and retries each one that failed with a retryable error, until the log has
/// all of them. A frame that the log refuses permanently is not retried, and neither is a ledger behind it; the
/// other frames are.
///
/// `jitter` is a number from 0 to 1, new at each call: it spreads retries. `pause` waits for the given time and
/// returns whether to continue; it is where shutdown comes in.
///
/// # Errors
/// The first permanent error of a frame, or the last one when `pause` returns false; with it, the frames that
/// the log does not have.
pub async fn send_all<L: PostLog, F: Future<Output = bool>>(
    log: &L,
    mut frames: Vec<FrameRecord>,
    jitter: fn() -> f64,
    mut pause: impl FnMut(Duration) -> F,
) -> Result<(), (PortError, Vec<FrameRecord>)> {
    let mut backoff = Backoff::default();
    let (mut refused, mut refusal) = (vec![], None);
    while !frames.is_empty() {
        let outcomes = append(log, &frames).await;
        let (mut again, mut last_error, count) = (vec![], None, frames.len());
        for (frame, outcome) in frames.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => (),
                Err(error) if error.is_retryable() => {
                    last_error = Some(error);
                    again.push(frame);
                }
                Err(error) => {
                    refusal.get_or_insert(error);
                    refused.push(frame);
                }
            }
        }
        if refusal.is_some() {
            // It would count posts that the log will never have.
            let (ledgers, posts) = again.into_iter().partition(|frame| frame.lane.is_ledger());
            refused.extend::<Vec<_>>(ledgers);
            again = posts;
        }
        frames = again;
        let Some(error) = last_error.filter(|_| !frames.is_empty()) else { break };
        let pace = if frames.len() < count {
            backoff.reset();
            RETRY_REST
        } else {
            RETRY
        };
        if !pause(backoff.next(pace, jitter())).await {
            refused.extend(frames);
            return Err((refusal.unwrap_or(error), refused));
        }
    }
    refusal.map_or(Ok(()), |error| Err((error, refused)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use birdsong_domain::frame::{Lane, STREAM};
    use birdsong_domain::ports::{LogRecord, ReadFrom};

    use super::*;

    /// Does not accept the frames of one lane for a number of times.
    #[derive(Default)]
    struct Flaky {
        lane: &'static str,
        refusals: Mutex<u32>,
        /// Whether a retry is in vain.
        is_final: bool,
        keeps_prefix: bool,
        has: Mutex<Vec<String>>,
        /// Frames of each append.
        appends: Mutex<Vec<usize>>,
    }

    impl PostLog for Flaky {
        async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
            self.appends.lock().unwrap().push(frames.len());
            let take = |frame: &FrameRecord| {
                let mut refusals = self.refusals.lock().unwrap();
                if frame.lane.region() == self.lane && *refusals > 0 {
                    *refusals -= 1;
                    let (what, reason) = ("log", "busy".into());
                    let refused = self.is_final.then(|| PortError::Refused { what, reason: "no".into() });
                    return Err(refused.unwrap_or(PortError::Unavailable { what, reason }));
                }
                let mut has = self.has.lock().unwrap();
                has.push(frame.lane.region().to_owned());
                Ok((has.len() as u64).into())
            };
            frames.iter().map(take).collect()
        }

        fn keeps_prefix(&self) -> bool {
            self.keeps_prefix
        }

        async fn shards(&self) -> Result<Vec<String>, PortError> {
            Ok(vec![])
        }

        async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
            Ok(0)
        }

        async fn read(&self, _shard: &str, _from: &ReadFrom, _limit: usize) -> Result<Vec<LogRecord>, PortError> {
            Ok(vec![])
        }
    }

    fn frames(regions: &[&str]) -> Vec<FrameRecord> {
        let lane = |region: &&str| Lane::try_from(format!("{region}#x#0")).unwrap();
        regions.iter().map(|region| FrameRecord { lane: lane(region), bytes: vec![] }).collect()
    }

    // Rule 3.2.
    #[tokio::test]
    async fn a_ledger_reaches_the_log_only_behind_all_frames_that_it_counts() {
        let frames = || frames(&["a", "b", STREAM, "a", STREAM]);
        let log = Flaky { lane: "b", refusals: Mutex::new(2), ..Flaky::default() };
        let outcomes = append(&log, &frames()).await;
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true, false]);
        assert!(send_all(&log, frames(), || 0.5, |_| async { true }).await.is_ok());
        let has = log.has.lock().unwrap();
        assert_eq!(has[..2], ["a", "a"]);
        assert_eq!(has[has.len() - 3..], ["b", STREAM, STREAM]);
    }

    #[tokio::test]
    async fn ledgers_are_appended_alone_only_when_the_log_may_have_them_first() {
        let mixed = ["a", STREAM, "b"];
        let cases: [(&[&str], bool, &[usize]); 4] =
            [(&mixed, false, &[2, 1]), (&mixed, true, &[3]), (&["a", "b"], false, &[2]), (&[STREAM; 2], false, &[2])];
        for (regions, keeps_prefix, appends) in cases {
            let log = Flaky { keeps_prefix, ..Flaky::default() };
            assert!(append(&log, &frames(regions)).await.iter().all(Result::is_ok));
            assert_eq!(*log.appends.lock().unwrap(), appends, "{regions:?}, {keeps_prefix}");
        }
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_not_sent_again_and_its_ledger_neither() {
        let log = Flaky { lane: "b", refusals: Mutex::new(u32::MAX), is_final: true, ..Flaky::default() };
        let mut pauses = 0;
        let pause = |_| {
            pauses += 1;
            async { false }
        };
        let (error, left) = send_all(&log, frames(&["a", "b", STREAM]), || 0.5, pause).await.unwrap_err();
        assert!(!error.is_retryable() && pauses == 0);
        assert_eq!(left.iter().map(|frame| frame.lane.region()).collect::<Vec<_>>(), ["b", STREAM]);
    }

    #[tokio::test]
    async fn a_log_that_accepts_a_part_is_tried_again_soon() {
        for (regions, waits_ms) in [(&["b"][..], [100, 200, 400]), (&["a", "b"][..], [50, 100, 200])] {
            let log = Flaky { lane: "b", refusals: Mutex::new(3), ..Flaky::default() };
            let mut waits = vec![];
            let pause = |wait: Duration| {
                waits.push(wait.as_millis());
                async { true }
            };
            assert!(send_all(&log, frames(regions), || 1.0, pause).await.is_ok());
            assert_eq!(waits, waits_ms, "{regions:?}");
        }
    }
}
