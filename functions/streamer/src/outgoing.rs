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

// Rule 4.8.
#[cfg(test)]
mod tests {
    use std::fs;

    use birdsong_domain::network::Network;
    use birdsong_domain::post::{PostId, SourcePost};
    use birdsong_domain::region::Regions;
    use birdsong_domain::time::WindowSize;

    use super::*;
    use crate::cutter::{CutRules, Origin};
    use crate::outbox::OutboxLimits;
    use crate::prepare::{Batch, Lanes};
    use crate::sent::{SentRules, SharedSent};

    /// Cuts posts with these ids, and passes them on.
    fn push(outgoing: &mut Outgoing, cutter: &mut Cutter, ids: std::ops::Range<u128>) {
        let (regions, mut batch) = (Regions::everything("all"), Batch::default());
        let lanes = Lanes::new(&regions, Network::X);
        ids.for_each(|id| batch.add(&regions, &lanes, &SourcePost { id: PostId(id), ..SourcePost::default() }));
        cutter.take(&batch, 0, &mut outgoing.frames).unwrap();
        cutter.cut(0, &mut outgoing.frames);
        outgoing.push(cutter).unwrap();
    }

    fn cutter() -> Cutter {
        let origin = Origin { source: "test".into(), run: "run".into(), live: true, connected_ms: 0 };
        let lanes = Lanes::new(&Regions::everything("all"), Network::X);
        let sent = SharedSent::new(SentRules::archive(None));
        Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes, sent)
    }

    fn outgoing(dir: &std::path::Path, memory_bytes: usize, spool_bytes: u64) -> Outgoing {
        Outgoing::new(Outbox::open(Some(dir.into()), OutboxLimits { memory_bytes, spool_bytes }).unwrap())
    }

    #[test]
    fn what_a_full_spool_drops_adds_up() {
        let (dir, mut cutter) = (tempfile::tempdir().unwrap(), cutter());
        let mut outgoing = outgoing(dir.path(), 0, 0);
        push(&mut outgoing, &mut cutter, 0..3);
        // The oldest may be on its way to the log.
        push(&mut outgoing, &mut cutter, 3..5);
        push(&mut outgoing, &mut cutter, 5..6);
        assert_eq!((outgoing.dropped, outgoing.problem.as_ref()), (3, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_spool_that_cannot_be_written_is_tried_again_every_second() {
        let (dir, mut cutter) = (tempfile::tempdir().unwrap(), cutter());
        let spool = dir.path().join("spool");
        let mut outgoing = outgoing(&spool, 1 << 20, 1 << 20);
        push(&mut outgoing, &mut cutter, 0..1);
        tokio::time::sleep(PARK_AGAIN).await;
        outgoing.park_again();
        assert!(outgoing.outbox.memory_bytes() > 0, "there is no problem, and so no need");
        fs::remove_dir(&spool).unwrap();
        outgoing.park();
        assert!(outgoing.problem.as_ref().is_some_and(|problem| problem.contains("frames wait in memory")));
        fs::create_dir(&spool).unwrap();
        tokio::time::sleep(PARK_AGAIN - Duration::from_millis(1)).await;
        outgoing.park_again();
        assert!(outgoing.problem.is_some(), "not yet");
        tokio::time::sleep(Duration::from_millis(1)).await;
        outgoing.park_again();
        assert_eq!((outgoing.problem.as_ref(), outgoing.outbox.memory_bytes()), (None, 0));
        assert_eq!(fs::read_dir(&spool).unwrap().count(), 1);
    }
}
