//! Frames on their way from the cutter through the outbox, with the disk work kept off the runtime's threads.

use std::time::Duration;

use birdsong_domain::frame::FrameError;
use birdsong_domain::ports::FrameRecord;
use birdsong_sources::intake::Resume;
use tokio::time::Instant;

use crate::cutter::{CutFrame, Cutter};
use crate::durable::blocking;
use crate::outbox::{Cut, Dropped, Outbox, ResumePoint};

/// Pause before the spool is retried when it could not be written.
const PARK_AGAIN: Duration = Duration::from_secs(1);

/// Frames that are cut, and the outbox in front of the log.
pub(crate) struct Outgoing {
    pub(crate) outbox: Outbox,
    /// Cut and not in the outbox yet.
    pub(crate) frames: Vec<CutFrame>,
    /// Newest resume point; it belongs to a cut only when nothing was left uncut.
    pub(crate) resume: Option<Resume>,
    /// Posts that a full spool dropped.
    pub(crate) dropped: u64,
    /// Why frames that should be in a file are not.
    pub(crate) problem: Option<String>,
    /// When to try that again.
    park_at: Instant,
}

impl Outgoing {
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self { outbox, frames: vec![], resume: None, dropped: 0, problem: None, park_at: Instant::now() }
    }

    /// Works on the outbox; `on_files` is whether that may wait for the disk.
    fn work<T>(&mut self, on_files: bool, work: impl FnOnce(&mut Outbox) -> T) -> T {
        if on_files { blocking(|| work(&mut self.outbox)) } else { work(&mut self.outbox) }
    }

    /// The frames of the oldest cut.
    pub(crate) fn front(&mut self) -> Option<Vec<FrameRecord>> {
        self.work(self.outbox.touches_files(None), |outbox| outbox.front().map(|cut| cut.records.clone()))
    }

    /// The log has the oldest cut but for these frames. Returns the resume point behind it once it has all.
    pub(crate) fn settle(&mut self, left: Vec<FrameRecord>) -> Option<ResumePoint> {
        self.work(self.outbox.touches_files(None), |outbox| outbox.settle(left))
    }

    /// Writes to the spool what waits in memory.
    pub(crate) fn park(&mut self) {
        let parked = self.work(true, Outbox::park);
        self.note(parked.map(|()| Dropped::default()));
    }

    /// Tries again to write what waits in memory because the spool could not be written.
    pub(crate) fn park_again(&mut self) {
        if self.problem.is_some() && Instant::now() >= self.park_at {
            self.park();
        }
    }

    /// Reports the result of writing to the spool.
    fn note(&mut self, pushed: std::io::Result<Dropped>) {
        match pushed {
            Ok(dropped) => {
                self.problem = None;
                if dropped.posts > 0 {
                    self.dropped += dropped.posts;
                    tracing::error!(
                        posts = dropped.posts,
                        "the log is unavailable and the spool is full: the oldest posts are dropped"
                    );
                }
            }
            Err(error) => {
                self.park_at = Instant::now() + PARK_AGAIN;
                let problem = format!("the spool cannot be written: {error}; frames wait in memory");
                if self.problem.as_ref() != Some(&problem) {
                    tracing::error!("{problem}");
                }
                self.problem = Some(problem);
            }
        }
    }

    /// Encodes the frames that were cut and passes them to the outbox.
    pub(crate) fn push(&mut self, cutter: &Cutter) -> Result<(), FrameError> {
        if self.frames.is_empty() {
            return Ok(());
        }
        let records = self.frames.iter().map(CutFrame::encode).collect::<Result<_, _>>()?;
        self.frames.clear();
        let resume = if cutter.is_drained() { self.resume.take() } else { None };
        let resume = resume.map(|Resume { cursor, since_ms }| ResumePoint { resume: Some(cursor), at_ms: since_ms });
        let cut = Cut { records, resume };
        let pushed = self.work(self.outbox.touches_files(Some(&cut)), |outbox| outbox.push(cut));
        self.note(pushed);
        Ok(())
    }
}
