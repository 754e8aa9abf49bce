//! `birdsong replay`: archives through the very same path.
//!
//! One thread reads chunks of lines, as many as there are cores parse and match them, one puts the
//! chunks back in order and cuts frames, one compresses and appends, one folds. Every channel is
//! bounded, so memory does not grow with the archive.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use birdsong_api::report::{WindowReport, stored_windows};
use birdsong_domain::frame::Ledger;
use birdsong_domain::network::Network;
use birdsong_domain::ports::PostLog;
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::archive::{self, Chunk, Found, Line, LineError, Piece};
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::recovery::learn_all;
use birdsong_streamer::send::send_all;
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::unreadable::Unreadable;
use clap::Args;
use parking_lot::Mutex;

use crate::cloud::{CloudArgs, Target};
use crate::machine::{Disk, Folded, Machine, Memory, follow};
use crate::{CountArgs, DataArgs, data, now_ms, print, table};

/// Bytes of lines that travel together.
const CHUNK_BYTES: usize = 512 << 10;
/// At a chosen speed chunks are small, so that posts come one by one rather than in heaps.
const PACED_CHUNK_BYTES: usize = 8 << 10;
/// Compressed frames that may wait for the fold in memory.
const MEMORY_LOG_BYTES: usize = 32 << 20;
/// Longest table that is printed whole.
const TABLE_ROWS: usize = 60;
/// Unreadable lines that are listed one by one.
const MAX_SHOWN_UNREADABLE: usize = 5;
/// Files that could not be read, and notes on files, that are listed one by one.
const MAX_SHOWN_FILES: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Archives of posts in the formats of the X API, folders of such, or - for standard input
    ///
    /// Posts: X v2 stream lines, search pages and flattened posts, and v1.1 statuses. Text: JSON lines, arrays, pretty-printed
    /// or joined JSON, account exports (tweets.js); UTF-8 or UTF-16. Packed: gzip, bzip2, xz, zstd, tar, zip, also one in the
    /// other; the format is recognized by the first bytes, not by the name. A folder means all files below it, sorted by name,
    /// without hidden ones.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Where the posts go
    #[arg(long, value_enum, default_value_t = Target::Embedded)]
    to: Target,
    #[command(flatten)]
    cloud: CloudArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    count: CountArgs,
    /// max, realtime (as fast as the posts were written), or a multiple of it such as 60x
    #[arg(long, default_value = "max", value_parser = parse_speed)]
    speed: Speed,
    /// Keep nothing on disk
    #[arg(long, conflicts_with = "to")]
    memory: bool,
    /// One JSON line for each window on stdout, and the ledger as one JSON line on stderr
    #[arg(long)]
    json: bool,
    /// Stop at the first line that cannot be read, instead of quarantining it
    #[arg(long)]
    strict: bool,
    /// Go on although records of the log are damaged: posts that were in them count again
    #[arg(long)]
    despite_damage: bool,
}

impl ReplayArgs {
    /// It is unknown which posts were in damaged records, so they would count twice.
    fn accept_damage(&self, unreadable: u64) -> Result<()> {
        if unreadable > 0 && !self.despite_damage {
            bail!(
                "{unreadable} records of the log are damaged, and posts of this archive that were in them would count \
                 again. Replay into another folder (--data), or go on with --despite-damage when the archive has other \
                 posts, or when the windows lack those (`birdsong reprocess` shows it)"
            );
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        "realtime" => Ok(Speed::Times(1.0)),
        _ => text
            .strip_suffix('x')
            .and_then(|times| times.parse().ok())
            .filter(|times: &f64| times.is_finite() && *times > 0.0)
            .map(Speed::Times)
            .ok_or_else(|| format!("{text:?} is no speed; write max, realtime or a multiple such as 60x")),
    }
}

pub(crate) fn replay(args: ReplayArgs) -> Result<ExitCode> {
    let mut notes = Listed::default();
    let files = archive::find(&args.files, &mut |note| notes.add(note)).map_err(anyhow::Error::msg)?;
    notes.print("note");
    let regions = data::load_regions(&args.count)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if args.memory {
        let size = args.count.window.unwrap_or(birdsong_domain::time::WindowSize::FIVE_MINUTES);
        let rules = FoldRules { size, ..FoldRules::default() };
        let machine = Memory::new(MEMORY_LOG_BYTES);
        let sent = SharedSent::new(SentRules::archive(None));
        let plan = Plan { sent, key: data::random_key(), dir: None };
        return through(&args, &files, &regions, rules, &*machine.log().clone(), Some(&machine), &runtime, plan);
    }
    let dir = &args.data.data;
    let _lock = data::lock(dir, &data::Role::ALL)?;
    let sent = SharedSent::new(SentRules::archive(Some(dir.clone())));
    if args.to == Target::Kinesis {
        #[cfg(not(feature = "aws"))]
        crate::cloud::missing()?;
        #[cfg(feature = "aws")]
        {
            let (log, settings) = runtime.block_on(args.cloud.connect())?;
            let key = runtime.block_on(data::installation_key(dir, &settings, false))?;
            let rules = runtime.block_on(data::fold_rules(&settings, args.count.window))?;
            runtime.block_on(data::publish_regions(&settings, &regions))?;
            let unreadable = runtime.block_on(learn_all(&log, SOURCE, &sent, now_ms(), progress("the stream")))?;
            args.accept_damage(unreadable)?;
            let plan = Plan { sent, key, dir: Some(dir) };
            return through(&args, &files, &regions, rules, &log, None::<&Disk>, &runtime, plan);
        }
    }
    let machine = Disk { log: Arc::new(SqliteLog::open(dir)?), store: Arc::new(SqliteStore::open(dir)?) };
    let key = runtime.block_on(data::local_key(dir, &machine.log, &machine.store))?;
    let rules = runtime.block_on(data::fold_rules(&*machine.store, args.count.window))?;
    runtime.block_on(data::publish_regions(&*machine.store, &regions))?;
    // What an earlier run left in the log is folded first, so that our ledger counts our posts only;
    // and what the log has is known, so that it is not counted again.
    let earlier = Folded::default();
    earlier.drain(None);
    runtime.block_on(follow(&machine, rules, &earlier, &data::DeadLetterFolder(Some(dir.clone()))))?;
    let unreadable = runtime.block_on(learn_all(&*machine.log, SOURCE, &sent, now_ms(), progress("the log")))?;
    args.accept_damage(unreadable)?;
    let plan = Plan { sent, key, dir: Some(dir) };
    through(&args, &files, &regions, rules, &*machine.log, Some(&machine), &runtime, plan)
}

/// Reports now and then how far a log was read, since a long one needs seconds.
fn progress(what: &str) -> impl Fn(u64) {
    let reported = std::cell::Cell::new(Instant::now());
    move |records| {
        if reported.get().elapsed() >= Duration::from_secs(2) {
            reported.set(Instant::now());
            print::err(format_args!("reading which posts {what} has already: {records} records …"));
        }
    }
}

/// Name of this source in frames.
const SOURCE: &str = "replay";
/// Network of the posts in archives.
const NETWORK: Network = Network::X;

struct Plan<'a> {
    sent: SharedSent,
    key: InstallationKey,
    dir: Option<&'a Path>,
}

/// A chunk after parsing.
struct Parsed {
    batch: Batch,
    /// Compressed bytes read so far.
    read_bytes: u64,
    /// Why the replay must stop here.
    stop: Option<String>,
}

/// Messages, of which the first are kept.
#[derive(Default)]
struct Listed {
    first: Vec<String>,
    more: u64,
}

impl Listed {
    fn add(&mut self, message: String) {
        if self.first.len() < MAX_SHOWN_FILES {
            self.first.push(message);
        } else {
            self.more += 1;
        }
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    fn print(&self, what: &str) {
        for message in &self.first {
            print::err(format_args!("{what}: {message}"));
        }
        if self.more > 0 {
            print::err(format_args!("{what}: and {} more of this kind", self.more));
        }
    }
}

/// Messages about whole files.
#[derive(Default)]
struct Files {
    notes: Listed,
    failed: Listed,
}

/// Sends everything to `log`, and folds it on `machine` when there is one.
#[expect(clippy::too_many_arguments, reason = "one call a kind of log")]
fn through<L: PostLog, M: Machine>(
    args: &ReplayArgs,
    files: &[Found],
    regions: &Regions,
    rules: FoldRules,
    log: &L,
    machine: Option<&M>,
    runtime: &tokio::runtime::Runtime,
    plan: Plan<'_>,
) -> Result<ExitCode> {
    let started = Instant::now();
    let run = data::run_id();
    let lanes = Lanes::new(regions, NETWORK);
    let origin = Origin { source: SOURCE.into(), run: run.clone(), live: false, connected_ms: now_ms() };
    let mut cutter = Cutter::new(origin, CutRules::default(), rules.size, lanes.clone(), plan.sent);
    let mut quarantine = data::Quarantine::new(plan.dir, &run);
    let folded = Folded::default();
    let is_stopped = AtomicBool::new(false);
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let chunk_bytes = if args.speed == Speed::Max { CHUNK_BYTES } else { PACED_CHUNK_BYTES };
    let bar = progress_bar(files)?;
    let (chunk_out, chunk_in) = sync_channel::<(u64, Chunk)>(workers * 2);
    let (batch_out, batch_in) = sync_channel::<(u64, Parsed)>(workers * 2);
    let (frame_out, frame_in) = sync_channel::<Vec<CutFrame>>(8);
    let chunk_in = Mutex::new(chunk_in);
    let latest_ms = now_ms() + FUTURE_LIMIT_MS;

    // Problems do not lose what came before them: everything read until then is folded.
    let (read_files, order, sending, folding) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(files, chunk_bytes, chunk_out, &is_stopped));
        for _ in 0..workers {
            let (batch_out, chunk_in, lanes, is_stopped) = (batch_out.clone(), &chunk_in, &lanes, &is_stopped);
            let key = plan.key;
            scope.spawn(move || {
                while let Some((number, chunk)) = next_chunk(chunk_in) {
                    let parsed = parse(&chunk, regions, lanes, &key, latest_ms, args.strict);
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
            let done = send(log, frame_in, runtime);
            folded.drain(None);
            done
        });
        let folding = scope.spawn(|| -> Result<()> {
            let Some(machine) = machine else { return Ok(()) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(follow(machine, rules, &folded, &data::DeadLetterFolder(plan.dir.map(Path::to_owned))))
                .map(drop)
        });
        let order = order(batch_in, &mut cutter, &mut quarantine, args.speed, &bar, frame_out);
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

    let touched = cutter.touched();
    let ledger = cutter.ledger();
    if let Some(machine) = machine {
        let mut shown = Shown::default();
        runtime.block_on(reports(machine, rules, &touched, &mut |reports| {
            if args.json { print::out_json_lines(reports) } else { shown.add(reports) }
        }))?;
        if !args.json {
            shown.print();
        }
    }
    for line in &ordered.unreadable {
        print::err(format_args!("not read: {}:{}: {}", line.origin, line.line, line.reason));
    }
    if ledger.quarantined > ordered.unreadable.len() as u64 {
        print::err(format_args!("not read: {} more lines", ledger.quarantined - ordered.unreadable.len() as u64));
    }
    if let Some(path) = quarantine.path() {
        print::err(format_args!("the lines that could not be read are listed in {}", path.display()));
    }
    let fold = machine.map(|_| (folded.aggregated.load(Ordering::Relaxed), folded.late.load(Ordering::Relaxed)));
    let is_balanced = ledger.balances() && fold.is_none_or(|(aggregated, late)| ledger.sent == aggregated + late);
    if args.json {
        print::err_json(&ledger_json(&ledger, fold, is_balanced));
    } else {
        print_ledger(&ledger, fold, started.elapsed());
    }
    read_files.notes.print("note");
    read_files.failed.print("error");
    if let Some(stop) = ordered.stop {
        bail!("{stop}; what was read before that is counted");
    }
    if !is_balanced {
        bail!("the ledger does not balance; this is a defect of birdsong, please report it");
    }
    let has_read = ledger.sent + ledger.filtered + ledger.duplicates > 0;
    let has_problems = !read_files.failed.is_empty();
    match (has_read, has_problems) {
        (true, true) => print::err("error: not all files could be read; what could be is counted"),
        (false, true) => (),
        (false, false) if ledger.quarantined > 0 || !read_files.notes.is_empty() => {
            print::err("error: nothing could be read as posts");
            return Ok(ExitCode::FAILURE);
        }
        (false, false) => print::err("note: there is nothing to read, all is empty"),
        (true, false) => (),
    }
    Ok(if has_problems { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn progress_bar(files: &[Found]) -> Result<indicatif::ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(indicatif::ProgressBar::hidden());
    }
    let bar = match archive::total_bytes(files) {
        Some(total) => indicatif::ProgressBar::new(total).with_style(indicatif::ProgressStyle::with_template(
            "{bar:32} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {msg}  {eta} left",
        )?),
        None => indicatif::ProgressBar::new_spinner()
            .with_style(indicatif::ProgressStyle::with_template("{spinner} {bytes}  {msg}")?),
    };
    Ok(bar)
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

fn parse(
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
struct Ordered {
    unreadable: Vec<Unreadable>,
    stop: Option<String>,
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

fn send<L: PostLog>(log: &L, frames: Receiver<Vec<CutFrame>>, runtime: &tokio::runtime::Runtime) -> Result<()> {
    for frames in frames {
        let records = frames.iter().map(CutFrame::encode).collect::<Result<Vec<_>, _>>()?;
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

/// Hands on the windows that this replay touched, by region, then start, some at a time: there may be millions.
async fn reports<M: Machine>(
    machine: &M,
    rules: FoldRules,
    touched: &BTreeSet<(&str, i64)>,
    each: &mut dyn FnMut(&[WindowReport]),
) -> Result<()> {
    const SLICE: i64 = 256;
    let mut touched = touched.iter().peekable();
    while let Some(&(region, first)) = touched.next() {
        let end = first.saturating_add(SLICE * rules.size.ms());
        let mut starts = BTreeSet::from([rfc3339(first)]);
        let mut last = first;
        while let Some((_, start)) = touched.next_if(|(of, start)| *of == region && *start < end) {
            starts.insert(rfc3339(*start));
            last = *start;
        }
        let (from, to) = (WindowStart(first), WindowStart(last + rules.size.ms()));
        let stored = stored_windows(&**machine.store(), region, from, to, rules, now_ms()).await;
        let mut stored = stored.with_context(|| format!("the windows of {region} cannot be read"))?;
        stored.retain(|report| starts.contains(&report.window_start));
        each(&stored);
    }
    Ok(())
}

/// The windows as people read them: the first ones, and what is to be known of all.
#[derive(Default)]
struct Shown {
    first: Vec<WindowReport>,
    count: usize,
    legend: table::Legend,
}

impl Shown {
    fn add(&mut self, reports: &[WindowReport]) {
        self.count += reports.len();
        self.first.extend(reports.iter().take(TABLE_ROWS - self.first.len()).cloned());
        reports.iter().for_each(|report| self.legend.add(report));
    }

    fn print(&self) {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "region",
            "window",
            "posts",
            "originals",
            "replies",
            "quotes",
            "reposts",
            "authors",
            "hashtags",
        ]);
        for report in &self.first {
            let mut cells = vec![report.region.clone(), report.window_start.clone()];
            let counts = [report.posts, report.originals, report.replies, report.quotes, report.reposts];
            cells.extend(counts.iter().map(u64::to_string));
            cells.extend([table::authors(report), table::hashtags(report)]);
            table.add_row(cells);
        }
        print::out(&table);
        self.legend.lines().iter().for_each(print::out);
        if self.count > TABLE_ROWS {
            print::out(format_args!("… and {} more windows; --json prints all of them", self.count - TABLE_ROWS));
        }
    }
}

fn ledger_json(ledger: &Ledger, fold: Option<(u64, u64)>, is_balanced: bool) -> serde_json::Value {
    serde_json::json!({
        "received": ledger.received,
        "filtered": ledger.filtered,
        "quarantined": ledger.quarantined,
        "duplicates": ledger.duplicates,
        "dropped": ledger.dropped,
        "sent": ledger.sent,
        "aggregated": fold.map(|(aggregated, _)| aggregated),
        "late": fold.map(|(_, late)| late),
        "balanced": is_balanced,
    })
}

fn print_ledger(ledger: &Ledger, fold: Option<(u64, u64)>, took: Duration) {
    let per_second = ledger.received as f64 / took.as_secs_f64().max(1e-6);
    print::out(format_args!(
        "received {} = sent {} + filtered {} (no region) + quarantined {} + duplicates {} + dropped {}",
        ledger.received, ledger.sent, ledger.filtered, ledger.quarantined, ledger.duplicates, ledger.dropped
    ));
    match fold {
        Some((aggregated, late)) => {
            print::out(format_args!("sent {} = aggregated {aggregated} + late {late}", ledger.sent));
        }
        None => print::out("the stream has all that was sent; its aggregator folds it now"),
    }
    print::out(format_args!("took {:.2} s, {per_second:.0} posts/s", took.as_secs_f64()));
}

#[cfg(test)]
mod formats;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("realtime"), Ok(Speed::Times(1.0)));
        assert_eq!(parse_speed("2.5x"), Ok(Speed::Times(2.5)));
        for bad in ["", "x", "0x", "-1x", "infx", "fast"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
    }
}
