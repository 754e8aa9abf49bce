//! Archives into the log, by several threads.
//!
//! One thread reads chunks of lines, as many as there are cores parse and match them, one puts the
//! chunks back in order and cuts frames, one compresses and appends, one folds. Every channel is
//! bounded, so memory does not grow with the archive.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use birdsong_domain::frame::FrameError;
use birdsong_domain::ports::{FrameRecord, PostLog};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::FUTURE_LIMIT_MS;
use birdsong_domain::window::FoldRules;
use birdsong_sources::archive::{self, Chunk, Found, Line, LineError, Piece};
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::send::send_all;
use birdsong_streamer::sent::SharedSent;
use birdsong_streamer::unreadable::Unreadable;
use parking_lot::Mutex;

use super::report::{Files, MAX_SHOWN_UNREADABLE};
use super::{NETWORK, ReplayArgs, SOURCE, Speed, progress};
use crate::machine::{Folded, Machine, follow};
use crate::{data, now_ms};

/// Bytes of lines that travel together.
const CHUNK_BYTES: usize = 512 << 10;
/// At a chosen speed chunks are small, so that posts come one by one rather than in heaps.
const PACED_CHUNK_BYTES: usize = 8 << 10;

/// What a replay works with.
pub(super) struct Plan<'a, L, M> {
    pub(super) args: &'a ReplayArgs,
    pub(super) files: &'a [Found],
    pub(super) regions: &'a Regions,
    pub(super) rules: FoldRules,
    /// Where frames go.
    pub(super) log: &'a L,
    /// Folds what is sent; `None` when another program does.
    pub(super) machine: Option<&'a M>,
    pub(super) runtime: &'a tokio::runtime::Runtime,
    /// The posts that the log has.
    pub(super) sent: SharedSent,
    pub(super) key: InstallationKey,
    /// The data folder.
    pub(super) dir: Option<&'a Path>,
}

/// A replay that ran to its end, or to where it had to stop.
pub(super) struct Done {
    pub(super) started: Instant,
    pub(super) files: Files,
    pub(super) ordered: Ordered,
    /// Has the ledger, and the windows that were touched.
    pub(super) cutter: Cutter,
    pub(super) quarantine: data::Quarantine,
    /// Posts that were aggregated and that were late, when they were folded here.
    pub(super) fold: Option<(u64, u64)>,
}

/// A chunk after parsing.
pub(super) struct Parsed {
    pub(super) batch: Batch,
    /// Compressed bytes read so far.
    read_bytes: u64,
    /// Why the replay must stop here.
    pub(super) stop: Option<String>,
}

/// Sends everything to the log, and folds it on the machine when there is one.
pub(super) fn run<L: PostLog, M: Machine>(plan: &Plan<'_, L, M>) -> Result<Done> {
    let (started, speed) = (Instant::now(), plan.args.speed);
    let run = data::run_id();
    let lanes = Lanes::new(plan.regions, NETWORK);
    let origin = Origin { source: SOURCE.into(), run: run.clone(), live: false, connected_ms: now_ms() };
    let mut cutter = Cutter::new(origin, CutRules::default(), plan.rules.size, lanes.clone(), plan.sent.clone());
    let mut quarantine = data::Quarantine::new(plan.dir, &run);
    let folded = Folded::default();
    let is_stopped = AtomicBool::new(false);
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let chunk_bytes = if speed == Speed::Max { CHUNK_BYTES } else { PACED_CHUNK_BYTES };
    let bar = progress::bar(plan.files)?;
    let (chunk_out, chunk_in) = sync_channel::<(u64, Chunk)>(workers * 2);
    let (batch_out, batch_in) = sync_channel::<(u64, Parsed)>(workers * 2);
    let (frame_out, frame_in) = sync_channel::<Vec<CutFrame>>(8);
    let chunk_in = Mutex::new(chunk_in);
    let latest_ms = now_ms() + FUTURE_LIMIT_MS;

    // Problems do not lose what came before them: everything read until then is folded.
    let (read_files, order, sending, folding) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(plan.files, chunk_bytes, chunk_out, &is_stopped));
        for _ in 0..workers {
            let (batch_out, chunk_in, lanes, is_stopped) = (batch_out.clone(), &chunk_in, &lanes, &is_stopped);
            scope.spawn(move || {
                while let Some((number, chunk)) = next_chunk(chunk_in) {
                    let parsed = parse(&chunk, plan.regions, lanes, &plan.key, latest_ms, plan.args.strict);
                    if parsed.stop.is_some() {
                        is_stopped.store(true, Ordering::Relaxed);
                    }
                    if batch_out.send((number, parsed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(batch_out);
        let sending = scope.spawn(|| {
            let encode = if plan.args.memory { CutFrame::encode_stored } else { CutFrame::encode };
            let done = send(plan.log, frame_in, encode, plan.runtime);
            folded.drain(None);
            done
        });
        let folding = scope.spawn(|| -> Result<()> {
            let Some(machine) = plan.machine else { return Ok(()) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(follow(machine, plan.rules, &folded, &data::DeadLetterFolder(plan.dir.map(Path::to_owned))))
                .map(drop)
        });
        let order = order(batch_in, &mut cutter, &mut quarantine, speed, &bar, frame_out);
        let join = "a thread of the replay crashed; this is a defect of birdsong";
        let read_files = reading.join().unwrap_or_else(|_| {
            let mut files = Files::default();
            files.failed.add(join.to_owned());
            files
        });
        let sending = sending.join().unwrap_or_else(|_| bail!(join));
        let folding = folding.join().unwrap_or_else(|_| bail!(join));
        (read_files, order, sending, folding)
    });
    bar.finish_and_clear();
    let ordered = order?;
    sending?;
    folding?;
    let fold = plan.machine.map(|_| (folded.aggregated.load(Ordering::Relaxed), folded.late.load(Ordering::Relaxed)));
    Ok(Done { started, files: read_files, ordered, cutter, quarantine, fold })
}

/// Reads all files; returns the messages about those that could not be read whole.
fn read(files: &[Found], chunk_bytes: usize, out: SyncSender<(u64, Chunk)>, is_stopped: &AtomicBool) -> Files {
    let mut said = Files::default();
    let mut number = 0;
    archive::read_files(files, chunk_bytes, &mut |piece| {
        if is_stopped.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        match piece {
            Piece::Chunk(chunk) => {
                if out.send((number, chunk)).is_err() {
                    return ControlFlow::Break(());
                }
                number += 1;
            }
            Piece::Note(note) => said.notes.add(note),
            Piece::Failed(error) => said.failed.add(error.to_string()),
        }
        ControlFlow::Continue(())
    });
    said
}

fn next_chunk(chunks: &Mutex<Receiver<(u64, Chunk)>>) -> Option<(u64, Chunk)> {
    chunks.lock().recv().ok()
}

/// Reads the posts of a chunk and matches them to regions.
pub(super) fn parse(
    chunk: &Chunk,
    regions: &Regions,
    lanes: &Lanes,
    key: &InstallationKey,
    latest_ms: i64,
    is_strict: bool,
) -> Parsed {
    let mut batch = Batch::default();
    let mut stop = None;
    // Why the value, or posts in it, could not be read.
    let read = |value: &[u8], batch: &mut Batch, wrong: &mut Vec<String>| -> Result<(), LineError> {
        let read = archive::read_line(value, key, &mut |post| match post {
            Ok(post) if post.time_ms > latest_ms => wrong.push("its time is in the future".to_owned()),
            Ok(post) => batch.add(regions, lanes, &post),
            Err(error) => wrong.push(error.to_string()),
        })?;
        match read {
            Line::Notice(_) => batch.add_notice(),
            Line::Withheld(total) => batch.add_withheld(total),
            Line::Blank | Line::Posts => (),
        }
        Ok(())
    };
    let mut refuse = |n: u64, value: &[u8], batch: &mut Batch, wrong: &mut Vec<String>| {
        for reason in wrong.drain(..) {
            if is_strict {
                stop.get_or_insert_with(|| format!("{}:{n}: {reason}", chunk.file));
                return false;
            }
            batch.add_unreadable(Unreadable::new(&chunk.file, n, reason, value));
        }
        true
    };
    let mut wrong = vec![];
    'values: for (n, value) in chunk.values() {
        if let Err(error) = read(value, &mut batch, &mut wrong) {
            // Several values on a line are read one by one.
            let several = matches!(error, LineError::Syntax { .. }).then(|| archive::values(value)).flatten();
            if several.is_none() {
                wrong.push(error.to_string());
            }
            for part in several.into_iter().flatten() {
                if let Err(error) = read(part, &mut batch, &mut wrong) {
                    wrong.push(error.to_string());
                }
                if !refuse(n, part, &mut batch, &mut wrong) {
                    break 'values;
                }
            }
        }
        if !wrong.is_empty() && !refuse(n, value, &mut batch, &mut wrong) {
            break;
        }
    }
    Parsed { batch, read_bytes: chunk.read_bytes, stop }
}

/// The result of the ordered half.
#[derive(Default)]
pub(super) struct Ordered {
    /// The first ones.
    pub(super) unreadable: Vec<Unreadable>,
    /// Why the replay stopped.
    pub(super) stop: Option<String>,
}

/// Puts batches back into the order of their lines and cuts frames.
fn order(
    batches: Receiver<(u64, Parsed)>,
    cutter: &mut Cutter,
    quarantine: &mut data::Quarantine,
    speed: Speed,
    bar: &indicatif::ProgressBar,
    out: SyncSender<Vec<CutFrame>>,
) -> Result<Ordered> {
    let mut ordered = Ordered::default();
    let mut waiting = BTreeMap::new();
    let (mut next, mut frames) = (0, vec![]);
    let mut pace: Option<(Instant, i64)> = None;
    for (number, parsed) in batches {
        waiting.insert(number, parsed);
        while let Some(parsed) = waiting.remove(&next) {
            next += 1;
            if ordered.stop.is_some() {
                continue;
            }
            if let (Speed::Times(times), Some(newest_ms)) = (speed, parsed.batch.newest_ms()) {
                let (since, first_ms) = *pace.get_or_insert((Instant::now(), newest_ms));
                let due = Duration::from_millis((newest_ms - first_ms).max(0) as u64).div_f64(times);
                std::thread::sleep(due.saturating_sub(since.elapsed()));
            }
            let unreadable = parsed.batch.quarantined();
            quarantine.keep_now(unreadable).context("lines that cannot be read cannot be quarantined")?;
            let room = MAX_SHOWN_UNREADABLE - ordered.unreadable.len();
            ordered.unreadable.extend(unreadable.iter().take(room).cloned());
            cutter
                .take(&parsed.batch, now_ms(), &mut frames)
                .context("the index of posts that were sent cannot be read")?;
            if speed != Speed::Max {
                cutter.cut(now_ms(), &mut frames);
            }
            ordered.stop = parsed.stop;
            bar.set_position(parsed.read_bytes);
            bar.set_message(format!("{} posts", cutter.ledger().received));
            if !frames.is_empty() && out.send(std::mem::take(&mut frames)).is_err() {
                // The sender has an error to report.
                return Ok(ordered);
            }
        }
    }
    cutter.cut(now_ms(), &mut frames);
    let _ = out.send(frames);
    Ok(ordered)
}

/// Appends frames to the log.
fn send<L: PostLog>(
    log: &L,
    frames: Receiver<Vec<CutFrame>>,
    encode: impl Fn(&CutFrame) -> Result<FrameRecord, FrameError>,
    runtime: &tokio::runtime::Runtime,
) -> Result<()> {
    for frames in frames {
        let records = frames.iter().map(&encode).collect::<Result<Vec<_>, _>>()?;
        let pause = |wait: Duration| async move {
            tokio::time::sleep(wait).await;
            true
        };
        runtime.block_on(send_all(log, records, rand::random::<f64>, pause)).map_err(|(error, left)| {
            anyhow::Error::new(error).context(format!("{} frames could not be written to the log", left.len()))
        })?;
    }
    Ok(())
}
