//! The posts of one connection: read, counted, made durable as costs, and handed on.

use std::time::Duration;

use birdsong_domain::time::is_future;

use super::errand::{Done, Errand};
use super::{Chunk, Chunks, Ended, JOURNAL_RETRY, Running};
use crate::archive::{self, Line};
use crate::http::{Http, HttpError};
use crate::intake::Intake;
use crate::lines::{Lines, Piece};
use crate::session::{Dead, Stop};
use crate::x::NAME;
use crate::x::governor::Verdict;
use crate::x::problem::{Class, Failure, classify_line};

/// A reader that was blocked for this long, or that waited for bytes for this long, shows whether it
/// keeps up.
const STANDSTILL: Duration = Duration::from_secs(1);
/// Chunks that are recorded together at most, when that many wait: one wait for the disk is enough for them.
const RECORDED_TOGETHER: usize = 256;

/// What came on one connection.
#[derive(Default)]
pub(super) struct Incoming {
    lines: Lines,
    /// We fell behind and have not caught up. If X disconnects now, its buffered posts are lost, so that
    /// only the times of the posts themselves are sure.
    is_behind: bool,
    /// Time of the newest post, in milliseconds.
    newest_ms: i64,
}

impl<H: Http + 'static> Running<'_, H> {
    /// Hands on what is read, and keeps rules and usage up to date beside it, until that ends.
    pub(super) async fn read_on(
        &mut self,
        chunks: &mut Chunks,
        incoming: &mut Incoming,
        intake: &mut dyn Intake,
        stop: &mut Stop,
    ) -> Ended {
        let mut errand: Option<Errand> = None;
        loop {
            errand = errand.or_else(|| self.next_errand());
            tokio::select! {
                () = stop.wait() => return Ended::Stopped,
                chunk = chunks.next() => {
                    let mut ended = self.take(chunk, incoming, intake);
                    // What waits is recorded with it.
                    for _ in 1..RECORDED_TOGETHER {
                        if ended.is_some() {
                            break;
                        }
                        let Some(chunk) = chunks.try_next() else { break };
                        ended = self.take(Some(chunk), incoming, intake);
                    }
                    let is_recorded = tokio::select! {
                        biased;
                        () = self.record(intake) => true,
                        () = stop.wait() => false,
                    };
                    if !is_recorded {
                        return Ended::Stopped;
                    }
                    let now_ms = self.now_ms();
                    let resume = self.state.report(now_ms, false, intake);
                    intake.flush(resume).await;
                    if let Some(ended) = ended {
                        return ended;
                    }
                }
                done = async { match errand.as_mut() {
                    Some(errand) => errand.await,
                    None => std::future::pending().await,
                } } => {
                    errand = None;
                    let now_ms = self.now_ms();
                    match done {
                        (_, Ok(Done::Rules(percent))) => self.state.rules_are_set(percent, intake),
                        (_, Ok(Done::Usage(usage))) => self.state.governor.reconcile(&usage, now_ms),
                        // The stream itself meets these, too, and reports more.
                        (_, Err(failure)) if failure.class == Class::Refused => return failure.into(),
                        (true, Err(failure)) => self.state.rules_failed(&failure, intake),
                        // Without it our own count decides.
                        (false, Err(_)) => (),
                    }
                }
            }
        }
    }

    /// Hands on the content of a chunk, and decides whether the stream continues.
    fn take(
        &mut self,
        chunk: Option<Result<Chunk, Dead>>,
        incoming: &mut Incoming,
        intake: &mut dyn Intake,
    ) -> Option<Ended> {
        let broken = match &chunk {
            Some(Ok(Chunk { item: Ok(_), .. })) => None,
            Some(Ok(Chunk { item: Err(HttpError(reason)), .. })) => Some(format!("the connection broke: {reason}")),
            Some(Err(Dead::Silent | Dead::Quiet)) => {
                Some(format!("nothing came for {} s, not even a keep-alive", self.x.options.stall.as_secs()))
            }
            None => Some("the connection was closed".into()),
        };
        let failure = match (chunk, broken) {
            (Some(Ok(chunk)), None) => self.read(&chunk, incoming, intake),
            (_, reason) => {
                if let Some(begun) = incoming.lines.end() {
                    intake.unreadable("the connection ended within the line".into(), &begun);
                }
                Some(Failure::network(reason.unwrap_or_default()))
            }
        };
        let now_ms = self.now_ms();
        let verdict = self.state.governor.look(now_ms);
        if let Verdict::Sample(percent) = verdict {
            self.state.sample(percent, now_ms, intake);
        }
        match (failure, verdict) {
            (Some(failure), _) => Some(failure.into()),
            (None, Verdict::PauseUntil(until_ms)) => Some(Ended::Paid(until_ms)),
            (None, _) => None,
        }
    }

    /// Makes durable what was counted, as soon as the disk allows it. Nothing is read or handed on meanwhile.
    async fn record(&mut self, intake: &mut dyn Intake) {
        let mut has_failed = false;
        while let Err(error) = self.state.record_once().await {
            let reason = format!("the stream waits, because the costs cannot be written to disk: {error}");
            self.state.trouble(Some(reason), intake);
            has_failed = true;
            tokio::time::sleep(JOURNAL_RETRY).await;
        }
        if has_failed {
            self.state.trouble(None, intake);
        }
    }

    /// Closes the stream and hands on what was read of it, which is paid for.
    pub(super) async fn finish(&mut self, mut chunks: Chunks, mut incoming: Incoming, intake: &mut dyn Intake) {
        chunks.close();
        while let Some(Ok(chunk)) = chunks.next().await {
            self.read(&chunk, &mut incoming, intake);
            for _ in 1..RECORDED_TOGETHER {
                let Some(Ok(chunk)) = chunks.try_next() else { break };
                self.read(&chunk, &mut incoming, intake);
            }
            self.hand_on_last(intake).await;
        }
        // What was read before a stop that came while the disk did not accept it.
        self.hand_on_last(intake).await;
    }

    /// Hands on at the end. A full disk is not waited for: the cursor has the sum, too, and the
    /// posts are worth more than the certainty that it survives a crash at this moment.
    async fn hand_on_last(&mut self, intake: &mut dyn Intake) {
        if let Err(error) = self.state.record_once().await {
            tracing::error!(source = NAME, "the costs could not be written to disk: {error}");
        }
        intake.flush(None).await;
    }

    /// Hands on the content of a chunk. Returns X's message about the end of the stream.
    fn read(&mut self, chunk: &Chunk, incoming: &mut Incoming, intake: &mut dyn Intake) -> Option<Failure> {
        let Ok(bytes) = &chunk.item else { return None };
        let now_ms = self.now_ms();
        let mut ended = None;
        // X bills by the day of delivery.
        let received_ms = chunk.at_ms;
        let Incoming { lines, is_behind, newest_ms } = incoming;
        let governor = &mut self.state.governor;
        lines.take(bytes, |piece| {
            let line = match piece {
                Piece::Line(line) => line,
                Piece::Oversize(head) => {
                    intake.unreadable("the line is longer than 1 MiB".into(), head);
                    return;
                }
            };
            let read = archive::read_line(line, &self.x.key, &mut |post| match post {
                Ok(post) => {
                    governor.count(post.id, received_ms);
                    // One from the far future does not show how far the stream was received.
                    if !is_future(post.time_ms, now_ms) {
                        *newest_ms = post.time_ms.max(*newest_ms);
                    }
                    intake.post(&post);
                }
                Err(error) => intake.unreadable(error.to_string(), line),
            });
            match read {
                Ok(Line::Blank | Line::Posts) => (),
                Ok(Line::Notice("errors" | "title")) => ended = Some(classify_line(line)),
                Ok(Line::Notice(_) | Line::Withheld(_)) => intake.notice(),
                Err(error) => intake.unreadable(error.to_string(), line),
            }
        });
        *is_behind |= chunk.blocked_for >= STANDSTILL;
        if chunk.waited >= STANDSTILL {
            *is_behind = false;
        }
        let reception = &mut self.state.reception;
        if !*is_behind {
            reception.received(chunk.at_ms, chunk.at);
        } else if reception.last_ms().is_none_or(|last_ms| last_ms < *newest_ms) {
            // X sends roughly in the order of time.
            let late = Duration::from_millis(u64::try_from(chunk.at_ms - *newest_ms).unwrap_or(0));
            reception.received(*newest_ms, chunk.at.checked_sub(late).unwrap_or(chunk.at));
        }
        ended
    }
}
