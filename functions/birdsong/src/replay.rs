//! `birdsong replay`: archives through the very same path.

#[cfg(test)]
mod formats;
mod log_archive;
mod pipeline;
mod progress;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use birdsong_domain::network::Network;
use birdsong_domain::ports::PostLog;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::archive;
use birdsong_streamer::recovery::learn_all;
use birdsong_streamer::sent::{SentRules, SharedSent};
use clap::Args;

use self::pipeline::Plan;
use self::report::Listed;
use crate::cloud::{CloudArgs, Target};
use crate::machine::{Disk, Folded, Machine, Memory, follow};
use crate::{CountArgs, DataArgs, data, now_ms};

/// Name of this source in frames.
const SOURCE: &str = "replay";
/// Network of the posts in archives.
const NETWORK: Network = Network::X;

/// Frames that may wait for the fold in memory; they are not compressed there.
const MEMORY_LOG_BYTES: usize = 8 << 20;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Archives of posts in the formats of the X API, folders of such, or - for standard input
    ///
    /// Posts: X v2 stream lines, search pages and flattened posts, and v1.1 statuses. Text: JSON lines, arrays, pretty-printed
    /// or joined JSON, account exports (tweets.js); UTF-8 or UTF-16. Packed: gzip, bzip2, xz, zstd, tar, zip, also one in the
    /// other; the format is recognized by the first bytes, not by the name. A folder means all files below it, sorted by name,
    /// without hidden ones. The folder of an archive of the log (`birdsong archive`), or s3://BUCKET with one, means its windows: they
    /// are folded again for the regions that the posts were archived for.
    #[arg(required = true, value_name = "FILE|DIR|s3://BUCKET")]
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
    if let Some(archive) = log_archive::named(&args)? {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(log_archive::replay(&archive, &args));
    }
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
        let log = machine.log().clone();
        let plan = Plan {
            args: &args,
            files: &files,
            regions: &regions,
            rules,
            log: &*log,
            machine: Some(&machine),
            runtime: &runtime,
            sent,
            key: data::random_key(),
            dir: None,
        };
        return through(&plan);
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
            let unreadable =
                runtime.block_on(learn_all(&log, SOURCE, &sent, now_ms(), progress::of_log("the stream")))?;
            args.accept_damage(unreadable)?;
            let plan = Plan {
                args: &args,
                files: &files,
                regions: &regions,
                rules,
                log: &log,
                machine: None::<&Disk>,
                runtime: &runtime,
                sent,
                key,
                dir: Some(dir),
            };
            return through(&plan);
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
    let unreadable =
        runtime.block_on(learn_all(&*machine.log, SOURCE, &sent, now_ms(), progress::of_log("the log")))?;
    args.accept_damage(unreadable)?;
    let plan = Plan {
        args: &args,
        files: &files,
        regions: &regions,
        rules,
        log: &*machine.log,
        machine: Some(&machine),
        runtime: &runtime,
        sent,
        key,
        dir: Some(dir),
    };
    through(&plan)
}

fn through<L: PostLog, M: Machine>(plan: &Plan<'_, L, M>) -> Result<ExitCode> {
    report::print(plan, &pipeline::run(plan)?)
}

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
