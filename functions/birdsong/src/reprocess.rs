//! `birdsong reprocess`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
pub(crate) use birdsong_aggregator::reprocess::{self as fold, Entry};
use birdsong_aggregator::reprocess::{Before, Change, Progress, Receipt};
use birdsong_archive::ArchivedLog;
use birdsong_digest::notes::{self, NoteError};
use birdsong_digest::revisions::{self, Corrected};
use birdsong_domain::event::Event;
use birdsong_domain::lane::Lane;
use birdsong_domain::ports::{DocumentStore, PortError, PostLog, RollupStore, Settings, WindowStore};
use birdsong_domain::revision::{Cause, LaneWindow};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period};
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SqliteLog, SqliteStore};
use clap::Args;

use crate::archive::{self, Address};
use crate::cloud::CloudArgs;
use crate::{DataArgs, data, now_ms, parse_secs, print};

#[derive(Debug, Args)]
#[command(
    after_help = "It may run beside `birdsong run`. Run twice, the second receipt shows no changes. Final windows that it corrects get a
note, which the page shows beside the counts."
)]
pub(crate) struct ReprocessArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cloud: CloudArgs,
    /// How far back from now, such as 1h or 2d
    #[arg(long, value_name = "TIME", value_parser = parse_secs, required_unless_present = "from")]
    last: Option<u64>,
    /// First time (RFC 3339), rounded down to the start of its window
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "last")]
    from: Option<i64>,
    /// End (RFC 3339), rounded up to the end of its window [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "last")]
    to: Option<i64>,
    /// Read older records from this archive of the log: a folder, or s3://BUCKET
    #[arg(long, value_name = "DIR|s3://BUCKET")]
    archive: Option<Address>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// The receipt as JSON lines
    #[arg(long)]
    json: bool,
}

fn parse_time(text: &str) -> Result<i64, String> {
    parse_rfc3339(text).ok_or_else(|| format!("{text:?} is no time; write one such as 2026-05-23T05:40:00Z"))
}

pub(crate) fn reprocess(args: ReprocessArgs) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(args))
}

async fn work(args: ReprocessArgs) -> Result<ExitCode> {
    if args.cloud.stream.is_some() {
        #[cfg(not(feature = "aws"))]
        crate::cloud::missing()?;
        #[cfg(feature = "aws")]
        {
            let (log, store) = args.cloud.connect().await?;
            return repair(args, &log, &store, &store).await;
        }
    }
    let dir = &args.data.data;
    if !dir.join("log.sqlite").exists() {
        bail!(
            "there is no log in {}: run `birdsong` or `birdsong replay` first, or name its folder with --data (on AWS, its --stream and --table)",
            dir.display()
        );
    }
    let (log, store) = (SqliteLog::open(dir)?, SqliteStore::open(dir)?);
    repair(args, &log, &log, &store).await
}

/// `known` has what is known of the log itself.
async fn repair<L: PostLog, K: Settings, S: WindowStore + RollupStore + DocumentStore + Settings>(
    args: ReprocessArgs,
    log: &L,
    known: &K,
    store: &S,
) -> Result<ExitCode> {
    let rules = data::fold_rules(store, None).await?;
    let now_ms = now_ms();
    let from_ms = args.from.or(args.last.map(|secs| now_ms - secs as i64 * 1000)).context("set --last or --from")?;
    let to_ms = args.to.unwrap_or(now_ms);
    if to_ms <= from_ms {
        bail!("--to {} is not after --from {}", rfc3339(to_ms), rfc3339(from_ms));
    }
    let from = rules.size.start_of(from_ms);
    let to = WindowStart(rules.size.start_of(to_ms - 1).0 + rules.size.ms());
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_style(indicatif::ProgressStyle::with_template("{spinner} {msg}")?);
    let range = from..to;
    let progress = |read: Progress| {
        bar.set_message(format!("{} records read, up to {}", read.records, rfc3339(read.arrived_ms)));
        bar.tick();
    };
    let announce = async |entries: &[Entry]| announce(store, entries, Cause::Reprocess).await;
    let receipt = match &args.archive {
        Some(archive) => {
            let place = archive.place().await?;
            let id = archive::known_log_id(known).await?;
            let log = ArchivedLog::open(log, &place, &id, range.clone()).await?;
            fold::reprocess_announced(&log, store, rules, range, args.dry_run, progress, announce).await
        }
        None => fold::reprocess_announced(log, store, rules, range, args.dry_run, progress, announce).await,
    };
    bar.finish_and_clear();
    let receipt = receipt?;
    if !args.dry_run {
        conclude(store, &receipt, rules, Cause::Reprocess).await?;
    }
    if args.json {
        print_json(&receipt)?;
    } else {
        print_table(&receipt, &args, from, to);
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a window is corrected: `by` a reprocess or a retry, unless another rule of the fold is the reason.
fn cause(entry: &Entry, by: Cause) -> Cause {
    if entry.cause == Cause::Rule { Cause::Rule } else { by }
}

/// Records the corrections that are about to be made. Those of ledgers are in no window of a region.
///
/// # Errors
/// When the store fails.
pub(crate) async fn announce<S: DocumentStore>(store: &S, entries: &[Entry], by: Cause) -> Result<(), PortError> {
    let corrected = entries.iter().filter_map(|entry| {
        let Lane::Posts { region, network, bucket } = &entry.key.lane else { return None };
        let lane = LaneWindow { window_ms: entry.key.window.0, network: *network, bucket: *bucket };
        let (before, after) = entry.on_time;
        Some(Corrected { region, lane, before, after, cause: cause(entry, by) })
    });
    revisions::record(store, &corrected.collect::<Vec<_>>(), now_ms()).await
}

/// What follows from a receipt: roll-ups are made again, and people see what was corrected `by` what.
pub(crate) async fn conclude<S: RollupStore + DocumentStore>(
    store: &S,
    receipt: &Receipt,
    rules: FoldRules,
    by: Cause,
) -> Result<()> {
    roll_up_again(store, receipt).await?;
    for note in corrections(receipt, rules, now_ms(), by) {
        match notes::add(store, note).await {
            Err(NoteError::Store(error)) => return Err(error.into()),
            // The receipt has it.
            Err(error) => tracing::warn!("a correction has no note: {error}"),
            Ok(()) => (),
        }
    }
    Ok(())
}

/// Lists the hours of all windows that were looked at as changed, so that the digest makes their roll-ups again, damaged or
/// lost as they may be.
async fn roll_up_again<S: RollupStore>(store: &S, receipt: &Receipt) -> Result<()> {
    let hour_ms = |entry: &Entry| entry.key.window.0.div_euclid(HOUR_MS) * HOUR_MS;
    let hours: BTreeSet<_> = receipt.entries.iter().map(|entry| (entry.key.lane.region(), hour_ms(entry))).collect();
    for (region, hour_ms) in hours {
        store.add_change(region, Period::Hour, hour_ms).await?;
    }
    Ok(())
}

/// A note for each region and day on the windows that were final and were corrected: how many, and by how much.
fn corrections(receipt: &Receipt, rules: FoldRules, now_ms: i64, by: Cause) -> Vec<Event> {
    let end_ms = |entry: &Entry| entry.key.window.0 + rules.size.ms();
    let is_corrected = |entry: &&Entry| {
        entry.change.is_correction() && end_ms(entry) + rules.lateness_ms <= now_ms && !entry.key.lane.is_ledger()
    };
    let mut days = BTreeMap::<_, Vec<&Entry>>::new();
    for entry in receipt.entries.iter().filter(is_corrected) {
        days.entry((entry.key.lane.region(), entry.key.window.0.div_euclid(DAY_MS))).or_default().push(entry);
    }
    let note = |((region, _), entries): ((&str, i64), Vec<&Entry>)| {
        // Lanes of one window are one window to people.
        let windows: BTreeSet<_> = entries.iter().map(|entry| entry.key.window.0).collect();
        let (first_ms, last_ms) = (*windows.first()?, windows.last()? + rules.size.ms());
        let before = |entry: &&Entry| if let Before::Posts(posts) = entry.before { posts } else { 0 };
        let damaged = entries.iter().filter(|entry| entry.before == Before::Damaged).count();
        let text = format!(
            "{} {} corrected by a {}: {} posts before{}, {} now",
            windows.len(),
            if windows.len() == 1 { "window" } else { "windows" },
            by.as_str(),
            entries.iter().map(before).sum::<u64>(),
            if damaged > 0 { " and what could not be read" } else { "" },
            entries.iter().filter_map(|entry| entry.after).sum::<u64>(),
        );
        Event::note(region, (first_ms, last_ms), &text)
    };
    days.into_iter().filter_map(note).collect()
}

fn before_text(before: Before) -> String {
    match before {
        Before::Missing => "missing".into(),
        Before::Damaged => "damaged".into(),
        Before::Posts(posts) => posts.to_string(),
    }
}

fn after_text(after: Option<u64>) -> String {
    after.map_or_else(|| "none".into(), |posts| posts.to_string())
}

fn change_text(change: Change) -> &'static str {
    match change {
        Change::None => "same",
        Change::Changed => "changed",
        Change::Healed => "healed",
        Change::Removed => "removed",
        Change::Kept => "kept",
        Change::LeftToLive => "left to live aggregation",
    }
}

fn print_json(receipt: &Receipt) -> Result<()> {
    for entry in &receipt.entries {
        let line = serde_json::json!({
            "lane": entry.key.lane.to_string(),
            "window_start": rfc3339(entry.key.window.0),
            "before": before_text(entry.before),
            "after": entry.after.unwrap_or(0),
            "change": change_text(entry.change),
            "why": entry.change.is_correction().then(|| cause(entry, Cause::Reprocess).as_str()),
        });
        print::out_json(&line);
    }
    let total = serde_json::json!({
        "windows": receipt.entries.len(),
        "changed": receipt.changed(),
        "removed": receipt.removed(),
        "healed": receipt.healed(),
        "kept": receipt.count(Change::Kept),
        "left_to_live": receipt.count(Change::LeftToLive),
        "unreadable": receipt.unreadable,
    });
    print::out_json(&total);
    Ok(())
}

fn print_table(receipt: &Receipt, args: &ReprocessArgs, from: WindowStart, to: WindowStart) {
    let changes: Vec<_> = receipt.entries.iter().filter(|entry| entry.change != Change::None).collect();
    if !changes.is_empty() {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["window", "lane", "posts before", "posts after", "", "why"]);
        for entry in changes {
            let mut cells = vec![rfc3339(entry.key.window.0), entry.key.lane.to_string()];
            let why = if entry.change.is_correction() { cause(entry, Cause::Reprocess).as_str() } else { "" };
            cells.extend([before_text(entry.before), after_text(entry.after)]);
            cells.extend([change_text(entry.change).to_owned(), why.to_owned()]);
            table.add_row(cells);
        }
        print::out(&table);
    }
    print::out(format_args!(
        "{} to {}: {} windows compared with the log, {} {}",
        rfc3339(from.0),
        rfc3339(to.0),
        receipt.entries.len(),
        receipt.changed(),
        if args.dry_run { "would change (dry run, nothing was stored)" } else { "changed" },
    ));
    for (count, what) in [
        (receipt.removed(), "of them removed: the log has no record of them"),
        (
            receipt.healed(),
            "of them repaired: fence or generation could not be right, and live aggregation was blocked",
        ),
        (
            receipt.count(Change::Kept),
            "without a record in the log kept: their records may be unreadable, have a wrong time, or be gone",
        ),
        (receipt.count(Change::LeftToLive), "left to live aggregation, which was always ahead"),
    ] {
        if count > 0 {
            print::out(format_args!("{count} {what}"));
        }
    }
    if receipt.unreadable > 0 {
        print::out(format_args!(
            "{} records of the log are damaged: their posts cannot be restored from it. Windows that still have them were \
             kept as they are",
            receipt.unreadable
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_domain::network::Network;
    use birdsong_domain::ports::PartialKey;

    #[test]
    fn what_was_corrected_is_noted_once_a_region_and_day() {
        let entry = |region: &str, window_ms: i64, network, before, after, change| Entry {
            key: PartialKey { lane: Lane::posts(region, network, 0), window: WindowStart(window_ms) },
            before,
            after,
            change,
            on_time: (None, 0),
            cause: Cause::Reprocess,
        };
        let posts = Before::Posts;
        let receipt = Receipt {
            entries: vec![
                entry("a", 0, Network::X, posts(3), Some(5), Change::Changed),
                entry("a", 0, Network::BLUESKY, posts(7), Some(7), Change::Healed),
                entry("a", 300_000, Network::X, posts(9), Some(9), Change::None),
                entry("a", 600_000, Network::X, Before::Damaged, Some(4), Change::Changed),
                entry("a", DAY_MS, Network::X, posts(2), None, Change::Removed),
                entry("b", 0, Network::X, Before::Missing, Some(1), Change::Kept),
                // It is not final yet.
                entry("b", DAY_MS + 600_000, Network::X, Before::Missing, Some(1), Change::Changed),
            ],
            unreadable: 0,
        };
        let notes = corrections(&receipt, FoldRules::default(), DAY_MS + 900_000, Cause::Reprocess);
        let found: Vec<_> = notes
            .iter()
            .map(|note| (&*note.region, note.start_ms, note.end_ms, note.text.as_deref().unwrap()))
            .collect();
        let first = "2 windows corrected by a reprocess: 10 posts before and what could not be read, 16 now";
        let second = "1 window corrected by a reprocess: 2 posts before, 0 now";
        assert_eq!(found, [("a", 0, 900_000, first), ("a", DAY_MS, DAY_MS + 300_000, second)]);
    }
}
