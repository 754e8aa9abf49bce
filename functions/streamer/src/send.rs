//! Brings frames into the log: an outcome for each record, and only what failed is sent again.

use std::time::Duration;

use birdsong_domain::ports::{FrameRecord, PortError, PostLog};

/// Longest wait between two tries.
const MAX_WAIT: Duration = Duration::from_secs(5);

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
        let outcomes = log.append(&frames).await;
        let mut failed = Vec::new();
        let mut last_error = None;
        let count = frames.len();
        for (frame, outcome) in frames.into_iter().zip(outcomes) {
            if let Err(error) = outcome {
                last_error = Some(error);
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
