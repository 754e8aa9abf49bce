//! `birdsong archive`: days of the log, kept longer than the log keeps them.

mod place;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_archive::{Day, Manifest, manifests, prune, verify, write};
use birdsong_domain::ports::{LOG_ID, PostLog, Settings};
use birdsong_embedded::SqliteLog;
use clap::{Args, Subcommand};

pub(crate) use self::place::{Address, Place};
use crate::cloud::CloudArgs;
use crate::{DataArgs, now_ms, parse_secs, print};

/// How often a process that runs looks for days that are over.
const EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    what: What,
}

const HELP: &str =
    "An archive has the records of the log, by region and UTC day of arrival, as compressed JSON lines. Like the log,
it has no text and no names; it has the hashes of posts and authors for as long as you keep it.

Examples:
  birdsong archive write /archives/birdsong               all days that are over and not there yet
  birdsong archive verify /archives/birdsong              read everything, and compare it with its hashes and counts
  birdsong archive prune /archives/birdsong --keep 400d   remove older days
  birdsong reprocess --archive /archives/birdsong --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z";

#[derive(Debug, Subcommand)]
enum What {
    /// Write the days of the log that are over and not in the archive yet
    Write {
        /// Folder, or s3://BUCKET
        #[arg(value_name = "DIR|s3://BUCKET")]
        to: Address,
        /// First day, such as 2026-05-23 [default: the first that the log has whole]
        #[arg(long, value_name = "DAY", value_parser = parse_day)]
        from: Option<Day>,
        /// Last day [default: yesterday]
        #[arg(long = "to", value_name = "DAY", value_parser = parse_day)]
        until: Option<Day>,
        #[command(flatten)]
        data: DataArgs,
        #[command(flatten)]
        cloud: CloudArgs,
    },
    /// Read the whole archive, and compare it with its hashes and counts
    Verify {
        /// Folder, or s3://BUCKET
        #[arg(value_name = "DIR|s3://BUCKET")]
        of: Address,
    },
    /// List the days of an archive
    List {
        /// Folder, or s3://BUCKET
        #[arg(value_name = "DIR|s3://BUCKET")]
        of: Address,
        /// One JSON object for each region and day
        #[arg(long)]
        json: bool,
    },
    /// Remove old days from an archive for good
    Prune {
        /// Folder, or s3://BUCKET
        #[arg(value_name = "DIR|s3://BUCKET")]
        of: Address,
        /// Days that ended longer ago are removed, such as 400d
        #[arg(long, value_name = "TIME", value_parser = parse_secs)]
        keep: u64,
    },
}

fn parse_day(text: &str) -> Result<Day, String> {
    text.to_owned().try_into()
}

pub(crate) fn archive(args: ArchiveArgs) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work(args.what))
}

async fn work(what: What) -> Result<ExitCode> {
    match what {
        What::Write { to, from, until, data, cloud } => {
            let days = from.unwrap_or(Day::MIN)..until.map_or(Day::MAX, Day::next);
            if days.start >= days.end {
                bail!("--to {} is before --from {}", days.end.previous(), days.start);
            }
            let place = to.place().await?;
            if cloud.stream.is_some() {
                #[cfg(not(feature = "aws"))]
                crate::cloud::missing()?;
                #[cfg(feature = "aws")]
                {
                    let (log, store) = cloud.connect().await?;
                    return write_days(&log, &store, &place, days).await;
                }
            }
            let dir = &data.data;
            if !dir.join("log.sqlite").exists() {
                bail!("there is no log in {}: name its folder with --data", dir.display());
            }
            let log = SqliteLog::open(dir)?;
            write_days(&log, &log, &place, days).await
        }
        What::Verify { of } => verify_all(&of.place().await?).await,
        What::List { of, json } => list(&of.place().await?, json).await,
        What::Prune { of, keep } => {
            let keep_ms = i64::try_from(keep).unwrap_or(i64::MAX).saturating_mul(1000);
            let days = prune(&of.place().await?, Day::of(now_ms().saturating_sub(keep_ms))).await?;
            print::out(format_args!("{} days removed.", days.len()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What identifies a log to its archive. It is chosen when the log is first archived.
async fn log_id<S: Settings>(settings: &S) -> Result<String> {
    if let Some(id) = settings.setting(LOG_ID).await? {
        return Ok(id);
    }
    settings.set_setting(LOG_ID, &rand::random::<u64>().to_string()).await?;
    settings.setting(LOG_ID).await?.context("the log does not keep its id")
}

/// What identifies a log that was archived before.
pub(crate) async fn known_log_id<S: Settings>(settings: &S) -> Result<String> {
    let id = settings.setting(LOG_ID).await?;
    id.context("this log was never archived, so the archive is of another one")
}

async fn write_days<L: PostLog, S: Settings>(
    log: &L,
    settings: &S,
    place: &Place,
    days: std::ops::Range<Day>,
) -> Result<ExitCode> {
    let id = log_id(settings).await?;
    let written = write(log, place, &id, days, now_ms(), |manifest| {
        print::out(format_args!("{}: {}", manifest.day, summary(manifest)));
    })
    .await?;
    if written.is_empty() {
        print::out("Nothing to write: each day that is over and that the log has whole is in the archive.");
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(manifest: &Manifest) -> String {
    let bytes = indicatif::HumanBytes(manifest.bytes());
    format!("{} posts, {} records, {} files, {bytes}", manifest.posts(), manifest.records(), manifest.files.len())
}

/// Writes days into an archive as they end, on a thread of its own, for as long as the process runs. A failure is
/// logged, and tried again an hour later. `settings` has the id of the log.
pub(crate) fn keep_writing<L, S>(log: Arc<L>, settings: Arc<S>, to: Address) -> Result<()>
where
    L: PostLog + 'static,
    S: Settings + 'static,
{
    let work = async move || -> Result<()> {
        let id = log_id(&*settings).await?;
        let place = to.place().await?;
        write(&*log, &place, &id, Day::MIN..Day::MAX, now_ms(), |manifest| {
            tracing::info!(day = %manifest.day, "archived {}", summary(manifest));
        })
        .await?;
        Ok(())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("archive".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                if let Err(error) = work().await {
                    tracing::error!("the archive was not written; the next try is in an hour: {error:#}");
                }
                tokio::time::sleep(EVERY).await;
            }
        })
    })?;
    Ok(())
}

async fn verify_all(place: &Place) -> Result<ExitCode> {
    let bar = indicatif::ProgressBar::new_spinner();
    let found = verify(place, |day| {
        bar.set_message(day.to_string());
        bar.tick();
    })
    .await?;
    bar.finish_and_clear();
    for damaged in &found.damaged {
        print::out(damaged);
    }
    for day in &found.missing {
        print::out(format_args!("{day} is missing: earlier days cannot be used together with the log"));
    }
    if !found.left_over.is_empty() {
        print::out(format_args!(
            "{} files belong to no day: a write was cut short, and the next one completes them",
            found.left_over.len()
        ));
    }
    print::out(format_args!(
        "{} days, {} files, {} records, {} posts: {} damaged.",
        found.days,
        found.files,
        found.records,
        found.posts,
        found.damaged.len()
    ));
    Ok(if found.damaged.is_empty() && found.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A region of a day, as it is listed.
#[derive(Debug, Default, serde::Serialize)]
struct Listed {
    day: String,
    region: String,
    files: u64,
    records: u64,
    posts: u64,
    bytes: u64,
}

async fn list(place: &Place, is_json: bool) -> Result<ExitCode> {
    let mut listed: BTreeMap<(String, String), Listed> = BTreeMap::new();
    for manifest in manifests(place).await? {
        for file in &manifest.files {
            let key = (manifest.day.to_string(), file.region.clone());
            let (day, region) = key.clone();
            let line = listed.entry(key).or_insert(Listed { day, region, ..Listed::default() });
            line.files += 1;
            line.records += file.records;
            line.posts += file.posts;
            line.bytes += file.bytes;
        }
    }
    if is_json {
        print::out_json_lines(listed.values());
        return Ok(ExitCode::SUCCESS);
    }
    let sum = |of: fn(&Listed) -> u64| listed.values().map(of).sum::<u64>();
    let (posts, bytes) = (sum(|line| line.posts), sum(|line| line.bytes));
    if !listed.is_empty() {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["day", "region", "files", "records", "posts", "bytes"]);
        for line in listed.values() {
            let numbers = [line.files, line.records, line.posts, line.bytes].map(|number| number.to_string());
            table.add_row([vec![line.day.clone(), line.region.clone()], numbers.to_vec()].concat());
        }
        print::out(&table);
    }
    print::out(format_args!("{posts} posts, {}.", indicatif::HumanBytes(bytes)));
    Ok(ExitCode::SUCCESS)
}
