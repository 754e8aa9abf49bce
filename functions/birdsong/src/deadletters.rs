//! `birdsong deadletters`: what could not be read, and a second try.

mod letter;
mod place;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use birdsong_aggregator::dead_letter::DeadLetter;
use birdsong_domain::frame;
use birdsong_domain::ports::{
    DocumentStore, FrameRecord, LogRecord, PostLog, ReadFrom, RollupStore, Settings, WindowStore,
};
use birdsong_domain::revision::Cause;
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};
use birdsong_embedded::{SqliteLog, SqliteStore};
use clap::{Args, Subcommand};

use self::letter::{Found, Letter};
use self::place::Place;
use crate::cloud::CloudArgs;
use crate::{DataArgs, data, print, reprocess};

/// Groups that a list has at most; what belongs to others is counted in one line.
const MAX_GROUPS: usize = 1_000;
/// Records that are appended at once.
const APPENDED: usize = 100;

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    what: What,
}

const HELP: &str = "A dead letter is one of:
  line     of an archive or a live source that is no post. Kept with its words masked, so it cannot be tried
           again from here: replay the archive once a release reads it, and posts that count already do not count twice
  record   of the log that is damaged, or of a release that this one cannot read
  window   that could not be read or stored
  batch    of records that Lambda gave up (AWS only)

On one machine they are in quarantine/ in the data folder, on AWS in the bucket of --quarantine-bucket.

Examples:
  birdsong deadletters list                     how many, by kind, source and reason, each with an example
  birdsong deadletters show quarantine/2026/11/27/0-17.json
  birdsong deadletters retry                    try all records, windows and batches again; what succeeds is removed
  birdsong deadletters drop --all               forget all";

#[derive(Debug, Args)]
struct Where {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cloud: CloudArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Count dead letters by kind, source and reason
    List {
        /// One JSON object for each group
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Print one dead letter
    Show {
        /// Id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        at: Where,
    },
    /// Try records, windows and batches again; a post that was counted before does not count twice
    Retry {
        /// Ids [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        at: Where,
    },
    /// Remove dead letters for good
    Drop {
        /// Ids; a file of lines is removed whole
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<String>,
        /// Remove all of them
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        at: Where,
    },
}

pub(crate) fn deadletters(args: DeadLettersArgs) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(args.what))
}

async fn work(what: What) -> Result<ExitCode> {
    match what {
        What::List { json, at } => list(&at.place().await?, json).await,
        What::Show { id, at } => show(&at.place().await?, &id).await,
        What::Retry { ids, at } => {
            let place = at.place().await?;
            if at.cloud.stream.is_some() {
                #[cfg(not(feature = "aws"))]
                crate::cloud::missing()?;
                #[cfg(feature = "aws")]
                {
                    let (log, store) = at.cloud.connect().await?;
                    return retry(&place, &ids, &log, &store).await;
                }
            }
            if at.cloud.quarantine_bucket.is_some() {
                bail!("name the log and the windows of the bucket with --stream and --table");
            }
            let dir = &at.data.data;
            let _lock = data::lock(dir, &[data::Role::Log])?;
            let (log, store) = (SqliteLog::open(dir)?, SqliteStore::open(dir)?);
            retry(&place, &ids, &log, &store).await
        }
        What::Drop { ids, all: _, at } => drop_letters(&at.place().await?, &ids).await,
    }
}

impl Where {
    async fn place(&self) -> Result<Place> {
        match &self.cloud.quarantine_bucket {
            None if self.data.data.is_dir() => Ok(Place::Folder(self.data.data.clone())),
            None => bail!("there is no data folder {}; name it with --data", self.data.data.display()),
            #[cfg(feature = "aws")]
            Some(bucket) => {
                Ok(Place::Bucket(birdsong_aws::Bucket::new(&birdsong_aws::sdk_config().await, bucket.clone())))
            }
            #[cfg(not(feature = "aws"))]
            Some(_) => {
                crate::cloud::missing()?;
                bail!("there is no bucket")
            }
        }
    }
}

/// What a line of the list counts.
#[derive(Debug, serde::Serialize)]
struct Group {
    letters: u64,
    kind: &'static str,
    source: String,
    reason: String,
    newest: String,
    example: String,
}

async fn list(place: &Place, is_json: bool) -> Result<ExitCode> {
    let bar = indicatif::ProgressBar::new_spinner();
    let mut groups: BTreeMap<(&'static str, String, String), Group> = BTreeMap::new();
    let (mut total, mut others) = (0u64, 0u64);
    place
        .each(&[], async |found: Found| {
            total += 1;
            if total.is_multiple_of(100) {
                bar.set_message(format!("{total} read"));
                bar.tick();
            }
            let key = (found.letter.kind(), found.letter.source(), without_numbers(&found.letter.reason()));
            let is_full = groups.len() >= MAX_GROUPS;
            match groups.entry(key) {
                Entry::Occupied(mut group) => {
                    let group = group.get_mut();
                    group.letters += 1;
                    if found.newest >= group.newest {
                        (group.newest, group.example) = (found.newest, found.id);
                    }
                }
                Entry::Vacant(_) if is_full => others += 1,
                Entry::Vacant(place) => {
                    let (kind, source, reason) = place.key().clone();
                    place.insert(Group { letters: 1, kind, source, reason, newest: found.newest, example: found.id });
                }
            }
            Ok(())
        })
        .await?;
    bar.finish_and_clear();
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| b.letters.cmp(&a.letters).then_with(|| a.example.cmp(&b.example)));
    if is_json {
        print::out_json_lines(&groups);
        return Ok(ExitCode::SUCCESS);
    }
    if !groups.is_empty() {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["letters", "kind", "source", "reason", "newest", "example"]);
        for group in groups {
            let Group { letters, kind, source, reason, newest, example } = group;
            table.add_row([letters.to_string(), kind.to_owned(), source, reason, newest, example]);
        }
        print::out(&table);
    }
    if others > 0 {
        print::out(format_args!("{others} more have other reasons"));
    }
    print::out(format_args!("{total} dead letters."));
    Ok(ExitCode::SUCCESS)
}

/// A reason with its numbers as `N`, so that reasons that differ only by a position are one. What is part of a name, such as
/// `v1.1`, stays.
fn without_numbers(reason: &str) -> String {
    let words = reason.split(' ').map(|word| match word.trim_end_matches([',', ';', ':', '.', ')']) {
        number if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => word.replacen(number, "N", 1),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn show(place: &Place, id: &str) -> Result<ExitCode> {
    let mut is_found = false;
    place
        .each(&[id.to_owned()], async |found: Found| {
            is_found = true;
            print::out(found.letter.text());
            Ok(())
        })
        .await?;
    if !is_found {
        bail!("there is no dead letter {id}; birdsong deadletters list shows what there is");
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Default)]
struct Retried {
    appended: u64,
    windows: u64,
    lines: u64,
    removed: u64,
    left: u64,
}

async fn retry<L: PostLog, S: WindowStore + RollupStore + DocumentStore + Settings>(
    place: &Place,
    ids: &[String],
    log: &L,
    store: &S,
) -> Result<ExitCode> {
    let mut done = Retried::default();
    place
        .each(ids, async |found: Found| {
            let outcome = match &found.letter {
                Letter::Line(_) => {
                    done.lines += 1;
                    return Ok(());
                }
                Letter::Record(letter) => read_again(letter, log, store, &mut done.windows).await?,
                Letter::Batch(records) => append(log, records, &mut done.appended).await?,
                Letter::Window(letter) => match letter.window.as_deref().and_then(parse_rfc3339) {
                    Some(start_ms) => restore(start_ms, log, store, &mut done.windows).await?,
                    None => Some("it names no window".to_owned()),
                },
                Letter::Odd(reason) => Some(reason.clone()),
            };
            match outcome {
                None => {
                    place.remove(&found.file).await?;
                    done.removed += 1;
                }
                Some(reason) => {
                    print::err(format_args!("{}: {reason}", found.id));
                    done.left += 1;
                }
            }
            Ok(())
        })
        .await?;
    print::out(format_args!(
        "{} dead letters worked and were removed: {} records appended to the log, {} windows restored; {} are as before",
        done.removed, done.appended, done.windows, done.left
    ));
    if done.lines > 0 {
        print::out(format_args!(
            "{} lines have their words masked: replay what they came from. Posts that count already do not count twice.",
            done.lines
        ));
    }
    Ok(if done.left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Appends the records that are frames, in order. Returns why some of them are left.
async fn append<L: PostLog>(log: &L, records: &[LogRecord], appended: &mut u64) -> Result<Option<String>> {
    let mut unreadable = None;
    let mut frames = vec![];
    for record in records {
        match frame::decode(&record.bytes) {
            Ok(frame::Frame { header, damage: None, .. }) => {
                frames.push(FrameRecord { lane: header.lane, bytes: record.bytes.clone() });
            }
            Ok(frame::Frame { damage: Some(damage), .. }) | Err(damage) => {
                unreadable = Some(format!("record {}: {damage}", record.sequence));
            }
        }
    }
    for some in frames.chunks(APPENDED) {
        let mut some = some.to_vec();
        // Those of a lane behind one that failed must not overtake it, so all are sent again.
        while !some.is_empty() {
            let outcomes = log.append(&some).await;
            let Some(failed) = outcomes.iter().position(Result::is_err) else {
                *appended += some.len() as u64;
                break;
            };
            let error = outcomes.into_iter().nth(failed).and_then(Result::err);
            *appended += failed as u64;
            match error {
                Some(error) if failed == 0 => {
                    return Err(error).context("the log does not take the records; try again later");
                }
                _ => some.drain(..failed),
            };
        }
    }
    Ok(unreadable)
}

/// Folds the windows of a record again, if this release reads it. Returns why it does not.
async fn read_again<L: PostLog, S: WindowStore + RollupStore + DocumentStore + Settings>(
    letter: &DeadLetter,
    log: &L,
    store: &S,
    restored: &mut u64,
) -> Result<Option<String>> {
    let Some(record) = letter.log_record() else { return Ok(Some("it does not say which record it was".to_owned())) };
    let frame = match frame::decode(&record.bytes) {
        Ok(frame::Frame { damage: Some(damage), .. }) | Err(damage) => return Ok(Some(damage.to_string())),
        Ok(frame) => frame,
    };
    // A fold of the window knows the record's number already, so appending it would change nothing.
    let at = ReadFrom::Time(record.arrived_ms);
    let is_there = match log.read(&letter.shard, &at, 1).await {
        Ok(oldest) => oldest.first().is_some_and(|oldest| oldest.sequence <= record.sequence),
        Err(_) => false,
    };
    if !is_there {
        return Ok(Some("its record has left the log: replay the archive that its posts came from".to_owned()));
    }
    for window in &frame.header.windows {
        if let Some(reason) = restore(window.window_ms, log, store, restored).await? {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Folds a window again from the log. Returns why it cannot be.
async fn restore<L: PostLog, S: WindowStore + RollupStore + DocumentStore + Settings>(
    start_ms: i64,
    log: &L,
    store: &S,
    restored: &mut u64,
) -> Result<Option<String>> {
    let rules = data::stored_rules(store).await?;
    let start = rules.size.start_of(start_ms);
    let range = start..WindowStart(start.0 + rules.size.ms());
    let announce = async |entries: &[reprocess::Entry]| reprocess::announce(store, entries, Cause::Retry).await;
    match reprocess::fold::reprocess_announced(log, store, rules, range, false, |_| (), announce).await {
        Ok(receipt) => {
            reprocess::conclude(store, &receipt, rules, Cause::Retry).await?;
            *restored += 1;
            Ok(None)
        }
        Err(error) => Ok(Some(format!("the window of {} cannot be folded: {error}", rfc3339(start.0)))),
    }
}

async fn drop_letters(place: &Place, ids: &[String]) -> Result<ExitCode> {
    let removed = place.remove_all(ids).await?;
    print::out(format_args!("{removed} files of dead letters removed"));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_by_numbers_are_one() {
        assert_eq!(without_numbers("it ends too early at byte 18"), "it ends too early at byte N");
        assert_eq!(without_numbers("2 of 17, in v1.1: 3"), "N of N, in v1.1: N");
    }
}
