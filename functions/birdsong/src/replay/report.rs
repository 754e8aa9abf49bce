//! What a replay prints at its end: the windows, the lines and files that could not be read, and the ledger.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_api::report::{WindowReport, stored_windows};
use birdsong_domain::frame::Ledger;
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;

use super::pipeline::{Done, Plan};
use crate::machine::Machine;
use crate::{now_ms, print, table};

/// Longest table that is printed whole.
const TABLE_ROWS: usize = 60;
/// Unreadable lines that are listed one by one.
pub(super) const MAX_SHOWN_UNREADABLE: usize = 5;
/// Files that could not be read, and notes on files, that are listed one by one.
const MAX_SHOWN_FILES: usize = 20;

/// Messages, of which the first are kept.
#[derive(Default)]
pub(super) struct Listed {
    first: Vec<String>,
    more: u64,
}

impl Listed {
    pub(super) fn add(&mut self, message: String) {
        if self.first.len() < MAX_SHOWN_FILES {
            self.first.push(message);
        } else {
            self.more += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    pub(super) fn print(&self, what: &str) {
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
pub(super) struct Files {
    pub(super) notes: Listed,
    pub(super) failed: Listed,
}

/// Prints the result, and returns the exit code.
///
/// # Errors
/// When the replay had to stop, windows cannot be read, or the ledger does not balance.
pub(super) fn print<L, M: Machine>(plan: &Plan<'_, L, M>, done: &Done) -> Result<ExitCode> {
    let touched = done.cutter.touched();
    let ledger = done.cutter.ledger();
    if let Some(machine) = plan.machine {
        let mut shown = Shown::default();
        plan.runtime.block_on(reports(machine, plan.rules, &touched, &mut |reports| {
            if plan.args.json { print::out_json_lines(reports) } else { shown.add(reports) }
        }))?;
        if !plan.args.json {
            shown.print();
        }
    }
    for line in &done.ordered.unreadable {
        print::err(format_args!("not read: {}:{}: {}", line.origin, line.line, line.reason));
    }
    if ledger.quarantined > done.ordered.unreadable.len() as u64 {
        print::err(format_args!("not read: {} more lines", ledger.quarantined - done.ordered.unreadable.len() as u64));
    }
    if let Some(path) = done.quarantine.path() {
        print::err(format_args!("the lines that could not be read are listed in {}", path.display()));
    }
    let fold = done.fold;
    let is_balanced = ledger.balances() && fold.is_none_or(|(aggregated, late)| ledger.sent == aggregated + late);
    if plan.args.json {
        print::err_json(&ledger_json(&ledger, fold, is_balanced));
    } else {
        print_ledger(&ledger, fold, done.started.elapsed());
    }
    done.files.notes.print("note");
    done.files.failed.print("error");
    if let Some(stop) = &done.ordered.stop {
        bail!("{stop}; what was read before that is counted");
    }
    if !is_balanced {
        bail!("the ledger does not balance; this is a defect of birdsong, please report it");
    }
    let has_read = ledger.sent + ledger.filtered + ledger.duplicates > 0;
    let has_problems = !done.files.failed.is_empty();
    match (has_read, has_problems) {
        (true, true) => print::err("error: not all files could be read; what could be is counted"),
        (false, true) => (),
        (false, false) if ledger.quarantined > 0 || !done.files.notes.is_empty() => {
            print::err("error: nothing could be read as posts");
            return Ok(ExitCode::FAILURE);
        }
        (false, false) => print::err("note: there is nothing to read, all is empty"),
        (true, false) => (),
    }
    Ok(if has_problems { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Hands on the windows that this replay touched, by region, then start, some at a time: there may be millions.
pub(super) async fn reports<M: Machine>(
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
