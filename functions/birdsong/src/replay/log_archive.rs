//! `birdsong replay` of an archive of the log: its windows, without the log that it was of.
//!
//! Posts of the log have no text, so regions cannot be matched again: each post counts in the regions that it was archived for.
//! The windows are folded in a store of their own, as live aggregation did, and then copied: with fence 0, so that a log that
//! the folder has, or gets, counts on top of them.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use birdsong_aggregator::Aggregator;
use birdsong_aggregator::copy::{Copied, copy};
use birdsong_archive::{ArchivedLog, MANIFESTS, manifests, verify};
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber, WindowStore};
use birdsong_domain::time::{FUTURE_LIMIT_MS, WindowStart, rfc3339};
use birdsong_embedded::SqliteStore;

use super::ReplayArgs;
use crate::archive::Address;
use crate::cloud::Target;
use crate::data::{self, Role};
use crate::{now_ms, print};

/// Records folded at a time.
const PAGE: usize = 256;
/// Windows that are kept while they are folded.
const WARM: usize = 512;
/// Folder, in the data folder, in which the windows are folded.
const WORK: &str = "replay-of-archive";

/// The archive of the log that the arguments name, if they name one: the folder of an archive, or a bucket.
///
/// # Errors
/// When something is named beside a bucket, or the bucket has no valid name.
pub(super) fn named(args: &ReplayArgs) -> Result<Option<Address>> {
    let is_bucket = |file: &Path| file.to_str().is_some_and(|name| name.starts_with(Address::SCHEME));
    match &args.files[..] {
        [only] if is_bucket(only) => only.display().to_string().parse().map(Some).map_err(anyhow::Error::msg),
        [only] if only.join(MANIFESTS).is_dir() => Ok(Some(Address::Folder(only.clone()))),
        files if files.iter().any(|file| is_bucket(file)) => {
            bail!("a bucket has one archive of the log, which is replayed alone: name nothing beside it")
        }
        _ => Ok(None),
    }
}

/// Folds the windows of the archive, and copies them into the data folder.
///
/// # Errors
/// When an option is of posts, or the archive is empty or damaged, or a store fails.
pub(super) async fn replay(archive: &Address, args: &ReplayArgs) -> Result<ExitCode> {
    if args.to == Target::Kinesis || args.memory {
        bail!(
            "{archive} is an archive of the log, and its windows go into a data folder: name it with --data, and copy them \
             from there (`birdsong copy`)"
        );
    }
    let place = archive.place().await?;
    let days = manifests(&place).await?;
    let Some(newest) = days.last() else {
        bail!("no day of an archive of the log is in {archive}; `birdsong archive write` puts them there")
    };
    let id = newest.log.clone();
    // All of it, before anything is counted.
    let found = verify(&place, |_| ()).await?;
    if let Some(damaged) = found.damaged.first() {
        bail!("{damaged}: nothing was counted");
    }

    let dir = &args.data.data;
    let regions = data::load_regions(&args.count)?;
    let _lock = data::lock(dir, &Role::ALL)?;
    let store = SqliteStore::open(dir)?;
    let rules = data::fold_rules(&store, args.count.window).await?;
    let work = Work::new(dir)?;
    let folded = Arc::new(SqliteStore::open(&work.0)?);
    data::fold_rules(&*folded, Some(rules.size)).await?;

    let all = WindowStart(i64::MIN)..WindowStart(i64::MAX);
    let log = ArchivedLog::open(&NoLog, &place, &id, all).await?;
    let mut aggregator = Aggregator::new(folded.clone(), rules, WARM);
    let (mut records, mut posts, mut dead, mut since_ms) = (0u64, 0u64, 0usize, i64::MIN);
    let bar = indicatif::ProgressBar::new_spinner();
    for shard in log.shards().await? {
        since_ms = since_ms.max(log.complete_since(&shard).await?);
        let mut next = ReadFrom::Oldest;
        loop {
            let page = log.read(&shard, &next, PAGE).await?;
            let Some(last) = page.last() else { break };
            next = ReadFrom::After(last.sequence.clone());
            let outcome = aggregator.fold_batch(&shard, &page).await?;
            records += page.len() as u64;
            posts += outcome.aggregated + outcome.late;
            dead += outcome.dead.len();
            bar.set_message(format!("{records} records read, up to {}", rfc3339(last.arrived_ms)));
            bar.tick();
        }
    }
    bar.finish_and_clear();
    // The first windows may have posts that arrived before the archive begins.
    if since_ms > i64::MIN {
        let first = rules.size.start_of(since_ms.saturating_add(FUTURE_LIMIT_MS + rules.size.ms() - 1));
        for key in folded.keys(WindowStart(i64::MIN), first).await? {
            folded.delete(&key).await?;
        }
        print::err(format_args!(
            "Windows before {} are left out: the archive has not all of their posts",
            rfc3339(first.0)
        ));
    }
    data::publish_regions(&store, &regions).await?;
    let copied = copy(&*folded, &store, now_ms(), |_| ()).await.context("run it again: it continues")?;
    show(args, &copied, (records, posts, dead));
    Ok(if copied.kept + copied.damaged == 0 && dead == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(args: &ReplayArgs, copied: &Copied, (records, posts, dead): (u64, u64, usize)) {
    let Copied { copied, replaced, same, kept, .. } = *copied;
    if args.json {
        print::out_json(&serde_json::json!({
            "records": records, "posts": posts, "damaged_records": dead,
            "copied": copied, "replaced": replaced, "same": same, "kept": kept,
        }));
        return;
    }
    print::out(format_args!(
        "{posts} posts of {records} records: {copied} windows are new, {replaced} were replaced, {same} were there already"
    ));
    if kept > 0 {
        print::out(format_args!("{kept} windows stay as they are: this place has counted in them itself"));
    }
    if dead > 0 {
        print::out(format_args!("{dead} records were damaged in the log already: their windows say so"));
    }
}

/// What is behind the archive: nothing.
struct NoLog;

impl PostLog for NoLog {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let refused = |_| Err(PortError::Refused { what: "the archive", reason: "it has no log".into() });
        frames.iter().map(refused).collect()
    }

    async fn shards(&self) -> Result<Vec<String>, PortError> {
        Ok(vec![])
    }

    async fn complete_since(&self, _shard: &str) -> Result<i64, PortError> {
        Ok(i64::MIN)
    }

    async fn read(&self, _shard: &str, _from: &ReadFrom, _limit: usize) -> Result<Vec<LogRecord>, PortError> {
        Ok(vec![])
    }
}

/// A folder that is removed when it is no longer needed.
struct Work(std::path::PathBuf);

impl Work {
    fn new(dir: &Path) -> Result<Self> {
        let path = dir.join(WORK);
        // What a run that was killed left behind.
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            print::err(format_args!("{} is not needed any more and cannot be removed: {error}", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ReplayArgs,
    }

    #[test]
    fn an_archive_of_the_log_is_a_folder_with_manifests_or_a_bucket() {
        let dir = tempfile::tempdir().unwrap();
        let posts = dir.path().join("posts");
        let archive = dir.path().join("archive");
        std::fs::create_dir_all(archive.join(MANIFESTS)).unwrap();
        std::fs::create_dir(&posts).unwrap();
        let [posts, archive] = [&posts, &archive].map(|path| path.to_str().unwrap());
        let named = |files: &[&str]| named(&Cli::parse_from([&["replay"], files].concat()).args);

        assert_eq!(named(&["s3://birds"]).unwrap(), Some(Address::Bucket("birds".into())));
        assert_eq!(named(&[archive]).unwrap(), Some(Address::Folder(archive.into())));
        for files in [&[posts][..], &["-"], &[posts, archive]] {
            assert_eq!(named(files).unwrap(), None, "{files:?}");
        }
        for files in [&["s3://birds", posts][..], &["s3://birds/2026"], &["s3://"]] {
            assert!(named(files).is_err(), "{files:?}");
        }
    }
}
