//! `birdsong stream`: live sources into the log.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_domain::frame::Ledger;
use birdsong_domain::ports::{DocumentStore, PostLog, Settings};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::status::SourceStatus;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::session::Stop;
use birdsong_sources::source::Source;
use birdsong_streamer::runner::Runner;
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::UnreadableStore;
use clap::Args;

use crate::archive::{self, Address};
use crate::cloud::{CloudArgs, Target};
use crate::data::Role;
use crate::prometheus::{Parts, PrometheusArgs};
use crate::reference::ReferenceArgs;
use crate::signal::stop_signal;
use crate::source::SourceArgs;
use crate::{CountArgs, DataArgs, LogFormat, data, health, metrics, now_ms};

/// Time limit for Kinesis to store the rest at the end. A Fargate task loses its spool, and is killed 60 s after it
/// was asked to stop.
const KINESIS_DRAIN: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
#[command(after_help = STREAM_HELP)]
pub(crate) struct StreamArgs {
    /// Where frames go
    #[arg(long, value_enum, default_value_t = Target::Embedded, env = "BIRDSONG_TO")]
    to: Target,
    #[command(flatten)]
    cloud: CloudArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    count: CountArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Port of GET /healthz on loopback; 0 chooses any free one; omit it to disable the check
    #[arg(long, value_name = "PORT", env = "BIRDSONG_HEALTH_PORT")]
    health_port: Option<u16>,
    /// Write each day of the log that is over into this archive: a folder, or s3://BUCKET
    /// (docs/how-to/archive-the-log.md) [default: none]
    #[arg(long, value_name = "DIR|s3://BUCKET", env = "BIRDSONG_ARCHIVE")]
    archive: Option<Address>,
    /// CloudWatch namespace of the metrics that are printed each minute with --log-format json
    #[arg(long, value_name = "NAMESPACE", default_value = "birdsong", env = "BIRDSONG_METRICS")]
    metrics: String,
    #[command(flatten)]
    prometheus: PrometheusArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
}

const STREAM_HELP: &str = "It only fills the log. On one machine, `birdsong run --source none` with the same --data
folds and serves it at the same time; on AWS the functions do.

A task's environment may hold all of it: BIRDSONG_TO, BIRDSONG_STREAM, BIRDSONG_TABLE,
BIRDSONG_SOURCE, BIRDSONG_REFERENCE, BIRDSONG_REGIONS_TOML (the file's content, or s3://BUCKET/KEY with --to kinesis),
BIRDSONG_AUTHOR_KEY (32 hex digits),
BIRDSONG_QUARANTINE_BUCKET, BIRDSONG_ARCHIVE, BIRDSONG_HEALTH_PORT, BIRDSONG_METRICS, BIRDSONG_METRICS_PORT,
BIRDSONG_LOG_FORMAT=json.";

pub(crate) fn stream(args: StreamArgs, format: LogFormat) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work(args, format));
    runtime.shutdown_background();
    done
}

async fn work(args: StreamArgs, format: LogFormat) -> Result<ExitCode> {
    let stop = Stop::new(stop_signal()?);
    if args.source.is_none() {
        bail!("--source none streams nothing; choose a source with --source");
    }
    #[cfg(feature = "aws")]
    let regions = match args.to {
        Target::Embedded => data::load_regions(&args.count)?,
        Target::Kinesis => data::load_task_regions(&args.count).await?,
    };
    #[cfg(not(feature = "aws"))]
    let regions = data::load_regions(&args.count)?;
    let regions = Arc::new(regions);
    let dir = args.data.data.clone();
    let lock = data::lock(&dir, &[Role::Log])?;
    let spool = dir.join("spool");
    match args.to {
        Target::Embedded => {
            let (log, store) = (Arc::new(SqliteLog::open(&dir)?), Arc::new(SqliteStore::open(&dir)?));
            let key = data::local_key(&dir, &log, &store).await?;
            if let Some(to) = args.archive.clone() {
                archive::keep_writing(log.clone(), log.clone(), to)?;
            }
            let sources = args.source.sources(&regions, key, &dir)?;
            let sources =
                sources.into_iter().map(|source| (source, data::Quarantine::new(Some(&dir), &data::run_id())));
            through(args, format, stop, (log, store), sources.collect(), (regions, key), spool).await?;
        }
        #[cfg(feature = "aws")]
        Target::Kinesis => {
            let (log, store) = args.cloud.connect().await?;
            let (log, store) = (Arc::new(log), Arc::new(store));
            if let Some(to) = args.archive.clone() {
                archive::keep_writing(log.clone(), store.clone(), to)?;
            }
            let key = data::installation_key(&dir, &*store, false).await?;
            let sources = args.source.sources(&regions, key, &dir)?;
            let mut with_store = vec![];
            for source in sources {
                with_store.push((source, args.cloud.unreadable(&dir, &data::run_id()).await));
            }
            through(args, format, stop, (log, store), with_store, (regions, key), spool).await?;
        }
        #[cfg(not(feature = "aws"))]
        Target::Kinesis => crate::cloud::missing()?,
    }
    drop(lock);
    Ok(ExitCode::SUCCESS)
}

async fn through<L, S, Q>(
    args: StreamArgs,
    format: LogFormat,
    stop: Stop,
    (log, settings): (Arc<L>, Arc<S>),
    sources: Vec<(Box<dyn Source>, Q)>,
    (regions, key): (Arc<Regions>, InstallationKey),
    spool: PathBuf,
) -> Result<()>
where
    L: PostLog + 'static,
    S: Settings + DocumentStore + 'static,
    Q: UnreadableStore + 'static,
{
    // What is wrong with names or rights shows here, before anything is read from a source.
    log.shards().await.context("the log cannot be used")?;
    let rules = data::fold_rules(&*settings, args.count.window).await?;
    data::publish_regions(&*settings, &regions).await?;
    data::publish_alerts(&*settings, &regions).await?;
    args.reference.start(settings.clone(), &regions, (key, &args.data.data), stop.clone())?;
    let status = Arc::new(StatusRegistry::default());
    if let Some(port) = args.health_port {
        health::serve_health(port, status.clone()).await?;
    }
    if let Some(listener) = args.prometheus.listen().await? {
        Parts { started_ms: now_ms(), status: status.clone(), ..Parts::default() }.serve(listener)?;
    }
    let namespace = (format == LogFormat::Json).then_some(args.metrics);
    let reporting = tokio::spawn(metrics::report(settings.clone(), status.clone(), namespace));
    let to = match args.to {
        Target::Embedded => args.data.data.display().to_string(),
        Target::Kinesis => args.cloud.stream.clone().unwrap_or_default(),
    };
    tracing::info!(to, regions = regions.list().len(), window_secs = rules.size.secs(), "streaming");
    let sent = SharedSent::new(SentRules::live(args.data.data.clone()));
    let drain = if args.to == Target::Kinesis { KINESIS_DRAIN } else { crate::run::DRAIN };
    let spool_dir = spool.clone();
    let runner = Runner {
        regions,
        size: rules.size,
        log,
        settings: settings.clone(),
        spool,
        sent,
        drain,
        status: status.clone(),
        clock: Arc::new(now_ms),
        jitter: rand::random::<f64>,
        run_id: data::run_id,
        stop,
    };
    let ended = runner.run(sources).await;
    reporting.abort();
    // Of all sources: which of them they belong to is in the frames.
    let left_bytes = ended.as_ref().map_or(0, |ended| ended.left_bytes);
    let left = (left_bytes > 0).then(|| {
        format!(
            "{left_bytes} bytes of posts are in {} and not in the log: the next start sends them, unless that folder is deleted \
             with this task",
            spool_dir.display()
        )
    });
    if let Some(left) = &left {
        tracing::error!("{left}");
    }
    for entry in status.entries() {
        status.update(&entry.state.source, |state| {
            state.status = SourceStatus::Stopped;
            state.connected_since_ms = None;
            state.problem = left.clone();
        });
    }
    if let Err(error) = metrics::write_states(&*settings, &status).await {
        tracing::warn!("the states of the sources could not be written: {error}");
    }
    let ended = ended?;
    let Ledger { received, sent, filtered, quarantined, duplicates, .. } = ended.ledger;
    tracing::info!(
        received,
        sent,
        filtered,
        quarantined,
        duplicates,
        dropped = ended.dropped,
        spooled_bytes = ended.left_bytes,
        lost_bytes = ended.lost_bytes,
        "stopped"
    );
    if ended.lost_bytes > 0 {
        bail!("{} bytes of frames are lost: neither the log nor the spool could be written", ended.lost_bytes);
    }
    Ok(())
}
