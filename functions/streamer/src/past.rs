//! Sends a source's posts of the past as an archive: none of them is late, and they carry no lag.

use std::time::Duration;

use birdsong_domain::frame::FrameError;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{PortError, PostLog, Settings};
use birdsong_domain::status::SourceStatus;
use birdsong_domain::time::rfc3339;
use birdsong_sources::source::Past;

use crate::cutter::{CutFrame, CutRules, Cutter, Origin};
use crate::outbox::ResumePoint;
use crate::prepare::{Batch, Lanes};
use crate::recovery;
use crate::runner::Runner;
use crate::send::send_all;

/// Frames that are sent together.
const FRAMES_TOGETHER: usize = 64;

/// Why posts of the past cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// A frame cannot be made.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The index of posts that were sent cannot be read.
    #[error("the index of posts that were sent cannot be read: {0}")]
    Sent(#[from] std::io::Error),
    /// The log refuses frames.
    #[error("{0} frames could not be written to the log: {1}")]
    Log(usize, PortError),
    /// The resume point cannot be stored.
    #[error(transparent)]
    Settings(#[from] PortError),
}

impl<L: PostLog + 'static, S: Settings + 'static> Runner<L, S> {
    /// Sends the posts of the past that are not sent up to `cursor`, until there are none, or until it is time to stop.
    /// Returns the cursor behind them.
    ///
    /// The newest come first: what is stored is whole after each span, and the rest fills up behind it.
    pub(crate) async fn send_past(
        &self,
        source: &str,
        network: Network,
        past: &mut dyn Past,
        cursor: Option<&str>,
    ) -> Result<Option<String>, PastError> {
        // Whole seconds.
        let now_ms = || (self.clock)().div_euclid(1000) * 1000;
        let origin = Origin { source: source.into(), run: (self.run_id)(), live: false, connected_ms: (self.clock)() };
        let lanes = Lanes::new(&self.regions, network);
        let mut cutter = Cutter::new(origin, CutRules::default(), self.size, lanes.clone(), self.sent.clone());
        self.status.update(source, |state| state.status = SourceStatus::Backfill);
        let (mut frames, mut first_ms, mut behind) = (vec![], i64::MAX, None::<String>);
        'spans: while let Some(span) = past.next(behind.as_deref().or(cursor), now_ms()) {
            let mut at_ms = span.from_ms;
            while at_ms < span.to_ms {
                if self.stop.is_now() {
                    break 'spans;
                }
                // One cut a window, so that each window is marked as observed.
                let to_ms = (self.size.start_of(at_ms).0 + self.size.ms()).min(span.to_ms);
                let mut batch = Batch::default();
                past.read(at_ms, to_ms, &mut |post| batch.add(&self.regions, &lanes, post));
                cutter.take(&batch, (self.clock)(), &mut frames)?;
                cutter.cut((self.clock)(), &mut frames);
                at_ms = to_ms;
                if (frames.len() >= FRAMES_TOGETHER || at_ms >= span.to_ms) && !self.send(&mut frames).await? {
                    break 'spans;
                }
            }
            // A span that is cut short is sent again by the next start, which knows its posts from the log.
            first_ms = first_ms.min(span.from_ms);
            let point = ResumePoint { resume: Some(span.cursor.clone()), at_ms: (self.clock)() };
            recovery::save_resume(&*self.settings, source, &point).await?;
            behind = Some(span.cursor);
            tokio::task::yield_now().await;
        }
        let made_up = cutter.ledger();
        if made_up.sent > 0 {
            tracing::info!("{source}: filled {} posts since {}", made_up.sent, rfc3339(first_ms));
        }
        Ok(behind)
    }

    /// `false` when it was time to stop before the log had all frames.
    async fn send(&self, frames: &mut Vec<CutFrame>) -> Result<bool, PastError> {
        let records = frames.iter().map(CutFrame::encode).collect::<Result<Vec<_>, _>>()?;
        frames.clear();
        let pause = |wait: Duration| {
            tracing::warn!("the log did not accept all frames, trying again");
            async move {
                tokio::time::sleep(wait).await;
                !self.stop.is_now()
            }
        };
        match send_all(&*self.log, records, self.jitter, pause).await {
            Ok(()) => Ok(true),
            Err((error, _)) if error.is_retryable() && self.stop.is_now() => Ok(false),
            Err((error, left)) => Err(PastError::Log(left.len(), error)),
        }
    }
}

#[cfg(test)]
mod tests;
