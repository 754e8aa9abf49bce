//! Brings frames into the log: an outcome for each record, and only what failed is sent again.

use std::time::Duration;

use birdsong_domain::frame::STREAM;
use birdsong_domain::ports::{FrameRecord, PortError, PostLog, SequenceNumber};

/// Longest wait between two tries.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Appends frames of whole cuts, and a ledger only once the log has all frames before it: a ledger in the log
/// never counts a post that is not there, whatever fails and whenever the program ends.
pub(crate) async fn append<L: PostLog>(log: &L, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
    let is_ledger = |frame: &FrameRecord| frame.lane.region == STREAM;
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

/// Appends `frames` in order, again and again what failed with a retryable error, until the log has
/// all of them.
///
/// `pause` waits for the given time and says whether to go on; it is where full jitter and shutdown
/// come in.
///
/// # Errors
/// A permanent error of the log, or the last one when `pause` says to stop; with it, the frames that
/// the log does not have.
pub async fn send_all<L: PostLog, F: Future<Output = bool>>(
    log: &L,
    mut frames: Vec<FrameRecord>,
    mut pause: impl FnMut(Duration) -> F,
) -> Result<(), (PortError, Vec<FrameRecord>)> {
    let mut wait = Duration::from_millis(50);
    while !frames.is_empty() {
        let outcomes = append(log, &frames).await;
        let mut failed = Vec::new();
        let mut last_error = None;
        let count = frames.len();
        for (frame, outcome) in frames.into_iter().zip(outcomes) {
            if let Err(error) = outcome {
                // That of a ledger may only say that it waits.
                last_error = Some(last_error.filter(|error: &PortError| !error.is_retryable()).unwrap_or(error));
                failed.push(frame);
            }
        }
        let Some(error) = last_error else { return Ok(()) };
        if !matches!(error, PortError::Unavailable { .. }) {
            return Err((error, failed));
        }
        wait = if failed.len() < count { Duration::from_millis(50) } else { (wait * 2).min(MAX_WAIT) };
        if !pause(wait).await {
            return Err((error, failed));
        }
        frames = failed;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use birdsong_domain::frame::Lane;
    use birdsong_domain::ports::{LogRecord, ReadFrom};

    use super::*;

    /// Refuses the frames of one lane so many times.
    struct Flaky {
        lane: &'static str,
        refusals: Mutex<u32>,
        has: Mutex<Vec<String>>,
    }

    impl PostLog for Flaky {
        async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
            let take = |frame: &FrameRecord| {
                let mut refusals = self.refusals.lock().unwrap();
                if frame.lane.region == self.lane && *refusals > 0 {
                    *refusals -= 1;
                    return Err(PortError::Unavailable { what: "log", reason: "busy".into() });
                }
                let mut has = self.has.lock().unwrap();
                has.push(frame.lane.region.clone());
                Ok((has.len() as u64).into())
            };
            frames.iter().map(take).collect()
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

    #[tokio::test]
    async fn a_ledger_reaches_the_log_only_behind_all_frames_that_it_counts() {
        let frame = |region: &str| FrameRecord { lane: Lane::new(region, 0), bytes: vec![] };
        let frames = || ["a", "b", STREAM, "a", STREAM].map(frame).to_vec();
        let log = Flaky { lane: "b", refusals: Mutex::new(2), has: Mutex::default() };
        let outcomes = append(&log, &frames()).await;
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true, false]);
        assert!(send_all(&log, frames(), |_| async { true }).await.is_ok());
        let has = log.has.lock().unwrap();
        assert_eq!(has[..2], ["a", "a"]);
        assert_eq!(has[has.len() - 3..], ["b", STREAM, STREAM]);
    }
}
