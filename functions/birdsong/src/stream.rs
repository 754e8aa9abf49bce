//! Live sources into the log, for `birdsong run` and `birdsong stream`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::http::StatusCode;
use birdsong_api::SourceReport;
use birdsong_domain::frame::Ledger;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{self, PostLog, Settings};
use birdsong_domain::region::Regions;
use birdsong_domain::status::SourceStatus;
use birdsong_domain::time::rfc3339;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::demo::{self, Demo};
use birdsong_sources::live::{Clock, Intake};
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::live::{self, Aside, Board, Ended, Pipe, Start};
use birdsong_streamer::outbox::{Outbox, ResumePoint};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::send::send_all;
use birdsong_streamer::sent::{SentRules, SharedSent};
use clap::Args;
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::{CloudArgs, Target};
use crate::hosts::Hosts;
use crate::source::{Live, SourceArgs};
use crate::{CountArgs, DataArgs, LogFormat, data, now_ms, print, serve};

/// Posts of Bluesky, whose reposts come without words, that are remembered at least: 12 to 24 MB.
const ORIGINALS: usize = 50_000;
/// How long Kinesis may take for the rest at the end. A Fargate task loses its spool, and is killed 60 s after it was
/// asked to stop.
const KINESIS_DRAIN: Duration = Duration::from_secs(20);
/// First and longest wait before a source is started again that could not be.
const START_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often the sources' states are written to the settings.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// How often metrics are printed.
const METRICS_EVERY: Duration = Duration::from_secs(60);
/// A source that has not gone round for this long is stuck, which a restart mends.
const STUCK_MS: i64 = 120_000;
/// Connections to the health check, of which a container opens one at a time.
const HEALTH_CONNECTIONS: usize = 16;

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
    /// Port of GET /healthz on loopback; 0 takes any free one, and without it there is none
    #[arg(long, value_name = "PORT", env = "BIRDSONG_HEALTH_PORT")]
    health_port: Option<u16>,
    /// CloudWatch namespace of the metrics that are printed each minute with --log-format json
    #[arg(long, value_name = "NAMESPACE", default_value = "birdsong", env = "BIRDSONG_METRICS")]
    metrics: String,
}

const STREAM_HELP: &str = "It only fills the log. On one machine, `birdsong run --source none` with the same --data
folds and serves it; on AWS the functions do.

A task's environment may hold all of it: BIRDSONG_TO, BIRDSONG_STREAM, BIRDSONG_TABLE,
BIRDSONG_SOURCE, BIRDSONG_REGIONS_TOML (the file's content), BIRDSONG_AUTHOR_KEY (32 hex digits),
BIRDSONG_QUARANTINE_BUCKET, BIRDSONG_HEALTH_PORT, BIRDSONG_METRICS, BIRDSONG_LOG_FORMAT=json.";

/// What all sources of one process share.
pub(crate) struct Streamer<L, S> {
    pub(crate) regions: Arc<Regions>,
    pub(crate) rules: FoldRules,
    pub(crate) log: Arc<L>,
    pub(crate) settings: Arc<S>,
    /// Folder of frames that wait for the log.
    pub(crate) spool: PathBuf,
    /// The posts that the log has, by any source.
    pub(crate) sent: SharedSent,
    /// How long the log may take for the rest at the end.
    pub(crate) drain: Duration,
    pub(crate) board: Arc<Board>,
    /// True when it is time to stop.
    pub(crate) stop: watch::Receiver<bool>,
}

impl<L: PostLog + 'static, S: Settings + 'static> Streamer<L, S> {
    /// Streams from all sources at once until told to stop, and sends what is left then. Each comes with
    /// the place for its unreadable lines.
    ///
    /// A source that ends or fails never stops the others, and is tried again only at the next start.
    ///
    /// # Errors
    /// When none of them could go on, the failure of the last one. That a source refuses us is none: it
    /// is told in the states.
    pub(crate) async fn run<Q: Aside + 'static>(self, sources: Vec<(Live, Q)>) -> Result<Ended> {
        let (streamer, count) = (Arc::new(self), sources.len());
        let mut running = JoinSet::new();
        // In the order in which they were asked for.
        sources
            .iter()
            .for_each(|(source, _)| streamer.board.tell(&source.name(), |state| state.network = source.network()));
        for (source, aside) in sources {
            let streamer = streamer.clone();
            running.spawn(async move {
                let name = source.name();
                let ended = streamer.one(source, aside).await;
                if let Err(error) = &ended {
                    tracing::error!(source = name, "the source failed: {error:#}");
                    streamer.board.stopped(&name, format!("{error:#}"));
                }
                ended
            });
        }
        let (mut all, mut failures, mut last) = (Ended::default(), 0, None);
        while let Some(ended) = running.join_next().await {
            match ended.context("a source crashed").and_then(|ended| ended) {
                Ok(ended) => {
                    all.ledger.add(&ended.ledger);
                    all.dropped += ended.dropped;
                    all.left_bytes += ended.left_bytes;
                    all.lost_bytes += ended.lost_bytes;
                }
                Err(error) => {
                    failures += 1;
                    last = Some(error);
                }
            }
        }
        if let Some(error) = last.filter(|_| failures == count) {
            return Err(error);
        }
        // Sources that refuse us are told of; what else this process does goes on.
        let mut stop = streamer.stop.clone();
        let _ = stop.wait_for(|stop| *stop).await;
        Ok(all)
    }

    async fn one<Q: Aside>(&self, source: Live, aside: Q) -> Result<Ended> {
        let clock: Clock = Arc::new(now_ms);
        let name = source.name();
        let outbox = self.outbox(&name)?;
        let originals = if matches!(source, Live::Bluesky(_)) { ORIGINALS } else { 0 };
        let Some(mut start) = self.start(&name, originals, &outbox).await? else {
            return Ok(Ended { left_bytes: outbox.waiting_bytes(), ..Ended::default() });
        };
        let resume = start.point.resume.clone();
        let mut second = 0;
        if let Live::Demo(demo, backfill) = &source {
            second = resume.as_ref().and_then(|text| text.parse().ok()).unwrap_or(i64::MIN);
            second = second.max(now_ms().div_euclid(1000) - i64::try_from(*backfill).unwrap_or(i64::MAX));
            second = self.backfill(demo, second).await?;
            // What is left of the past is for the next start: streaming would make it up all at once.
            if *self.stop.borrow() {
                return Ok(Ended { left_bytes: outbox.waiting_bytes(), ..Ended::default() });
            }
        }

        let originals = std::mem::take(&mut start.originals);
        let (mut feeder, inbox) = live::feeder(&name, source.network(), &self.regions, &clock, &self.board, originals);
        let pipe = Pipe { reach_ms: source.reach_ms(), ..self.pipe(&source, outbox, start, aside, &clock) };
        let (mut stop, mut end) = (self.stop.clone(), self.stop.clone());
        let feeding = async {
            let stopped = async { _ = stop.wait_for(|stop| *stop).await };
            let streaming = source.stream(resume.as_deref(), second, &clock, &mut feeder, stopped);
            // What it handed on before a panic is whole, and reaches the log as after any other end. When nothing can
            // be handed on any more, the end does not wait for it.
            let mut stopping = self.stop.clone();
            let too_late = async {
                _ = stopping.wait_for(|stop| *stop).await;
                tokio::time::sleep(self.drain).await;
            };
            let ended = tokio::select! {
                ended = std::panic::AssertUnwindSafe(streaming).catch_unwind() => Some(ended),
                () = too_late => None,
            };
            let refused = match ended {
                None => None,
                Some(Ok(refused)) => refused.map(|error| error.to_string()),
                Some(Err(panic)) => Some(format!(
                    "it crashed ({}): this is a defect of birdsong, please report it. It starts again with the program",
                    panic_text(&*panic)
                )),
            };
            if let Some(reason) = refused {
                tracing::error!(source = name, "the source stopped: {reason}");
                self.board.stopped(&name, reason);
                // From now on its windows show that nobody listens.
                feeder.is_over().await;
                let _ = end.wait_for(|stop| *stop).await;
            }
            // What was gathered and not handed on yet.
            let _ = tokio::time::timeout(self.drain, feeder.flush(None)).await;
            drop(feeder);
            Ok(())
        };
        // A feeder whose runner has failed waits for ever.
        let (ended, ()) = tokio::try_join!(live::run(pipe, inbox), feeding)?;
        Ok(ended)
    }

    /// Where a source goes on, as soon as log and settings can tell; `None` when told to stop before.
    async fn start(&self, source: &str, originals: usize, outbox: &Outbox) -> Result<Option<Start>> {
        let (mut wait, mut stop) = (START_RETRY.0, self.stop.clone());
        loop {
            let start = live::start(&*self.log, &*self.settings, source, outbox, &self.sent, originals, now_ms());
            let started = tokio::select! {
                started = start => started,
                // Reading a large log takes a while.
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
            };
            let error = match started {
                Ok(start) => return Ok(Some(start)),
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error.into()),
            };
            tracing::warn!(source, "cannot start yet, trying again: {error}");
            self.board.tell(source, |state| state.reason = Some(error.to_string()));
            tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(rand::random::<f64>())) => wait = (wait * 2).min(START_RETRY.1),
                _ = stop.wait_for(|stop| *stop) => return Ok(None),
            }
        }
    }

    /// Frames that an earlier run could not send, and room for more.
    fn outbox(&self, source: &str) -> Result<Outbox> {
        let outbox = live::spool(&self.spool, source)
            .with_context(|| format!("the spool folder {} cannot be used", self.spool.display()))?;
        if !outbox.is_empty() {
            tracing::info!(
                source,
                bytes = outbox.waiting_bytes(),
                "frames of the last run wait in the spool, sending them"
            );
        }
        Ok(outbox)
    }

    fn pipe<Q: Aside>(&self, source: &Live, outbox: Outbox, start: Start, aside: Q, clock: &Clock) -> Pipe<L, S, Q> {
        Pipe {
            source: source.name(),
            network: source.network(),
            run: data::run_id(),
            regions: self.regions.clone(),
            size: self.rules.size,
            rules: CutRules::default(),
            log: self.log.clone(),
            settings: self.settings.clone(),
            aside,
            outbox,
            start,
            sent: self.sent.clone(),
            reach_ms: 0,
            board: self.board.clone(),
            clock: clock.clone(),
            jitter: rand::random::<f64>,
            drain: self.drain,
        }
    }

    /// Sends the demo's posts from `second` on until now, as an archive: nothing of it is late, and it
    /// says nothing about lag. Gives the first second that is left.
    async fn backfill(&self, demo: &Demo, first: i64) -> Result<i64> {
        let origin = Origin { source: demo::NAME.into(), run: data::run_id(), live: false, connected_ms: now_ms() };
        let lanes = Lanes::new(&self.regions, Network::DEMO);
        let mut past = Cutter::new(origin, CutRules::default(), self.rules.size, lanes.clone(), self.sent.clone());
        self.board.tell(demo::NAME, |state| state.status = SourceStatus::Backfill);
        let (mut frames, mut second) = (vec![], first);
        let mut now_second = now_ms().div_euclid(1000);
        let window_secs = i64::from(self.rules.size.secs());
        while second < now_second && !*self.stop.borrow() {
            // One cut a window, so that each of them knows that it was looked at.
            let end = ((second.div_euclid(window_secs) + 1) * window_secs).min(now_second);
            let mut batch = Batch::default();
            for second in second..end {
                demo.second(second, &mut |post| batch.add(&self.regions, &lanes, post));
            }
            past.take(&batch, now_ms(), &mut frames)?;
            past.cut(now_ms(), &mut frames);
            second = end;
            if frames.len() >= 64 || second >= now_second {
                if !self.send(&mut frames).await? {
                    break;
                }
                let point = ResumePoint { resume: Some(second.to_string()), at_ms: now_ms() };
                live::save_resume(&*self.settings, demo::NAME, &point).await?;
                tokio::task::yield_now().await;
            }
            now_second = now_ms().div_euclid(1000);
        }
        let made_up = past.ledger();
        if made_up.sent > 0 {
            tracing::info!("demo: filled {} posts since {}", made_up.sent, rfc3339(first * 1000));
        }
        Ok(second)
    }

    /// `false` when it was time to stop before the log had all frames.
    async fn send(&self, frames: &mut Vec<CutFrame>) -> Result<bool> {
        let records = frames.iter().map(CutFrame::encode).collect::<Result<Vec<_>, _>>()?;
        frames.clear();
        let pause = |wait: Duration| {
            let full_jitter = wait.mul_f64(rand::random::<f64>());
            tracing::warn!("the log did not take all frames, trying again");
            let stop = self.stop.clone();
            async move {
                tokio::time::sleep(full_jitter).await;
                !*stop.borrow()
            }
        };
        match send_all(&*self.log, records, pause).await {
            Ok(()) => Ok(true),
            Err((error, _)) if error.is_retryable() && *self.stop.borrow() => Ok(false),
            Err((error, left)) => {
                let failed = format!("{} frames could not be written to the log", left.len());
                Err(anyhow::Error::new(error).context(failed))
            }
        }
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

pub(crate) fn stream(args: StreamArgs, format: LogFormat) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work(args, format));
    runtime.shutdown_background();
    done
}

async fn work(args: StreamArgs, format: LogFormat) -> Result<ExitCode> {
    let stop = stop_signal()?;
    if args.source.is_none() {
        bail!("--source none streams nothing; choose a source with --source");
    }
    let regions = Arc::new(data::load_regions(&args.count)?);
    let dir = args.data.data.clone();
    let lock = data::lock(&dir)?;
    let spool = dir.join("spool");
    let clock: Clock = Arc::new(now_ms);
    match args.to {
        Target::Embedded => {
            let (log, store) = (Arc::new(SqliteLog::open(&dir)?), Arc::new(SqliteStore::open(&dir)?));
            let key = data::local_key(&dir, &log, &store).await?;
            let sources = args.source.sources(&regions, key, &clock, &dir)?;
            let sources = sources.into_iter().map(|live| (live, data::Quarantine::new(Some(&dir), &data::run_id())));
            through(args, format, stop, (log, store), sources.collect(), regions, spool).await?;
        }
        #[cfg(feature = "aws")]
        Target::Kinesis => {
            let (log, store) = args.cloud.connect().await?;
            let key = data::installation_key(&dir, &store, false).await?;
            let sources = args.source.sources(&regions, key, &clock, &dir)?;
            let mut with_aside = vec![];
            for live in sources {
                with_aside.push((live, args.cloud.aside(&dir, &data::run_id()).await));
            }
            through(args, format, stop, (Arc::new(log), Arc::new(store)), with_aside, regions, spool).await?;
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
    stop: watch::Receiver<bool>,
    (log, settings): (Arc<L>, Arc<S>),
    sources: Vec<(Live, Q)>,
    regions: Arc<Regions>,
    spool: PathBuf,
) -> Result<()>
where
    L: PostLog + 'static,
    S: Settings + 'static,
    Q: Aside + 'static,
{
    // What is wrong with names or rights shows here, before anything is read from a source.
    log.shards().await.context("the log cannot be used")?;
    let rules = data::fold_rules(&*settings, args.count.window).await?;
    data::publish_regions(&*settings, &regions).await?;
    let board = Arc::new(Board::default());
    if let Some(port) = args.health_port {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let listener =
            tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!("health at http://{}/healthz", listener.local_addr()?);
        let board = board.clone();
        let router = axum::Router::new().route("/healthz", axum::routing::get(move || async move { health(&board) }));
        let limits = serve::Limits { connections: HEALTH_CONNECTIONS, ..serve::Limits::default() };
        let router = serve::checked(router, Hosts::new(listener.local_addr()?, &[]), limits);
        tokio::spawn(serve::serve(listener, router, limits, std::future::pending()));
    }
    let namespace = (format == LogFormat::Json).then_some(args.metrics);
    let telling = tokio::spawn(tell(settings.clone(), board.clone(), namespace));
    let to = match args.to {
        Target::Embedded => args.data.data.display().to_string(),
        Target::Kinesis => args.cloud.stream.clone().unwrap_or_default(),
    };
    tracing::info!(to, regions = regions.list().len(), window_secs = rules.size.secs(), "streaming");
    let sent = SharedSent::new(SentRules::live(args.data.data.clone()));
    let drain = if args.to == Target::Kinesis { KINESIS_DRAIN } else { crate::run::DRAIN };
    let streamer =
        Streamer { regions, rules, log, settings: settings.clone(), spool, sent, drain, board: board.clone(), stop };
    let ended = streamer.run(sources).await;
    telling.abort();
    for standing in board.standings() {
        board.tell(&standing.state.source, |state| {
            state.status = SourceStatus::Stopped;
            state.connected_since_ms = None;
        });
    }
    if let Err(error) = tell_states(&*settings, &board).await {
        tracing::warn!("the sources' states could not be written: {error}");
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

/// 503 only for what a restart would mend: a source whose loop stands still. A log or a source that
/// is away is not mended by a restart.
fn health(board: &Board) -> (StatusCode, axum::Json<serde_json::Value>) {
    let now_ms = now_ms();
    let standings = board.standings();
    let stuck: Vec<_> = standings
        .iter()
        .filter(|standing| standing.beat_ms > 0 && now_ms - standing.beat_ms > STUCK_MS)
        .map(|standing| standing.state.source.clone())
        .collect();
    let status = if stuck.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let states: Vec<_> = standings.into_iter().map(|standing| SourceReport::from(standing.state)).collect();
    (status, axum::Json(json!({"ok": stuck.is_empty(), "stuck": stuck, "sources": states})))
}

async fn tell_states<S: Settings>(settings: &S, board: &Board) -> Result<()> {
    let now_ms = now_ms();
    let mut states = board.states();
    states.iter_mut().for_each(|state| state.updated_at_ms = Some(now_ms));
    Ok(settings.set_setting(ports::SOURCES, &serde_json::to_string(&states)?).await?)
}

/// Writes the states for the API, and metrics for CloudWatch into `namespace`, from time to time.
async fn tell<S: Settings>(settings: Arc<S>, board: Arc<Board>, namespace: Option<String>) {
    let mut before = Vec::<(String, Ledger)>::new();
    let mut metrics = tokio::time::interval(METRICS_EVERY);
    let mut states = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            _ = states.tick() => if let Err(error) = tell_states(&*settings, &board).await {
                tracing::warn!("the sources' states could not be written: {error}");
            },
            _ = metrics.tick() => for standing in board.standings() {
                let source = &standing.state.source;
                let last = before.iter().find(|(name, _)| name == source).map(|(_, ledger)| *ledger).unwrap_or_default();
                if let Some(namespace) = &namespace {
                    print::out_json(&metrics_line(namespace, &standing, last, now_ms()));
                }
                before.retain(|(name, _)| name != source);
                before.push((source.clone(), standing.ledger));
            },
        }
    }
}

/// What happened since `last`, in the embedded metric format that CloudWatch reads out of log lines.
fn metrics_line(namespace: &str, standing: &live::Standing, last: Ledger, now_ms: i64) -> serde_json::Value {
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let names = ["received", "sent", "filtered", "unreadable", "duplicates", "dropped", "reconnects", "gaps"];
    let mut metrics: Vec<_> =
        names.iter().map(|name| metric(name, "Count")).chain([metric("waiting_bytes", "Bytes")]).collect();
    let now = standing.ledger;
    let state = &standing.state;
    // What is not known is left out. Lag is below zero when the source's clock is ahead of ours.
    let known = [
        ("connected", "None", Some(json!(u8::from(state.status == SourceStatus::Connected)))),
        ("sampled", "None", Some(json!(state.sampled.unwrap_or(1.0)))),
        ("lag_ms", "Milliseconds", standing.newest_ms.map(|newest_ms| json!(now_ms - newest_ms))),
        ("spent_dollars", "None", state.spent_dollars.map(|dollars| json!(dollars))),
    ];
    let known: Vec<_> = known.into_iter().filter_map(|(name, unit, value)| Some((name, unit, value?))).collect();
    metrics.extend(known.iter().map(|(name, unit, _)| metric(name, unit)));
    let mut line = json!({
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": namespace, "Dimensions": [["service", "source"]], "Metrics": metrics,
            }],
        },
        "service": "streamer",
        "source": standing.state.source,
        "received": now.received - last.received,
        "sent": now.sent - last.sent,
        "filtered": now.filtered - last.filtered,
        "unreadable": now.quarantined - last.quarantined,
        "duplicates": now.duplicates - last.duplicates,
        "dropped": now.dropped - last.dropped,
        "reconnects": standing.state.reconnects,
        "gaps": standing.state.gaps,
        "waiting_bytes": standing.waiting_bytes,
    });
    for (name, _, value) in known {
        line[name] = value;
    }
    line
}

/// Becomes true at Ctrl-C or SIGTERM.
pub(crate) fn stop_signal() -> Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        let _ = stop.send(true);
    });
    Ok(stopped)
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Port that `birdsong stream --health-port` listens on
    #[arg(long, default_value_t = 8081, env = "BIRDSONG_HEALTH_PORT")]
    port: u16,
}

/// Asks a streamer on this machine how it does: the health check of a container that has no shell.
pub(crate) fn ask_health(args: &HealthArgs) -> Result<ExitCode> {
    use std::io::{Read, Write};
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port);
    let patience = Duration::from_secs(4);
    let asked = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(1 << 20).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().with_context(|| format!("no streamer answers at http://{address}/healthz"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    print::out(body);
    Ok(if head.split(' ').nth(1) == Some("200") { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use birdsong_domain::ports::PortError;
    use birdsong_domain::status::SourceState;
    use birdsong_embedded::MemoryLog;

    use super::*;

    /// Settings that are away for so many calls.
    struct Away(AtomicU32);

    impl Settings for Away {
        async fn setting(&self, _key: &str) -> Result<Option<String>, PortError> {
            match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
                Ok(_) => Err(PortError::Unavailable { what: "the table", reason: "throttled".into() }),
                Err(_) => Ok(None),
            }
        }

        async fn set_setting(&self, _key: &str, _value: &str) -> Result<(), PortError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_starts_as_soon_as_log_and_settings_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = watch::channel(false);
        let streamer = Streamer {
            regions: Arc::new(Regions::everything("all")),
            rules: FoldRules::default(),
            log: Arc::new(MemoryLog::new(1 << 20)),
            settings: Arc::new(Away(AtomicU32::new(20))),
            spool: folder.path().into(),
            drain: Duration::ZERO,
            sent: SharedSent::new(SentRules::live(folder.path().into())),
            board: Arc::new(Board::default()),
            stop: stopped,
        };
        let outbox = streamer.outbox("test").unwrap();
        assert!(streamer.start("test", 0, &outbox).await.unwrap().is_some());
        assert!(streamer.board.states()[0].reason.as_ref().is_some_and(|reason| reason.contains("throttled")));
        streamer.settings.0.store(u32::MAX, Ordering::Relaxed);
        let (start, _) = tokio::join!(streamer.start("test", 0, &outbox), async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            stop.send(true)
        });
        assert!(start.unwrap().is_none());
    }

    /// Runs in the release build, too (`make release-test`): there a panic must not end the program either.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_in_one_source_never_stops_another() {
        let folder = tempfile::tempdir().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (regions, board) = (Arc::new(Regions::everything("all")), Arc::new(Board::default()));
        let log = Arc::new(MemoryLog::new(1 << 24));
        let streamer = Streamer {
            regions: regions.clone(),
            rules: FoldRules::default(),
            log: log.clone(),
            settings: Arc::new(Away(AtomicU32::new(0))),
            spool: folder.path().into(),
            drain: Duration::from_secs(5),
            sent: SharedSent::new(SentRules::live(folder.path().into())),
            board: board.clone(),
            stop: stopped,
        };
        let demo = Live::Demo(Demo::new(1, &regions, data::random_key()), 0);
        let aside = || data::Quarantine::new(None, "test");
        let running = tokio::spawn(streamer.run(vec![(Live::Defect, aside()), (demo, aside())]));
        let state = |name: &str| board.states().into_iter().find(|state| state.source == name).unwrap_or_default();
        while state("demo").last_post_ms.is_none() || state("defect").status != SourceStatus::Stopped {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(state("defect").reason.is_some_and(|reason| reason.contains("a defect of this source")));
        stop.send(true).unwrap();
        let ended = running.await.unwrap().unwrap();
        assert!(ended.ledger.sent > 0 && ended.ledger.balances() && ended.lost_bytes == 0, "{ended:?}");
    }

    #[test]
    fn a_metrics_line_tells_what_happened_since_the_last_one_and_how_the_source_does() {
        let ledger = Ledger { received: 30, sent: 20, dropped: 4, ..Ledger::default() };
        let state = SourceState {
            source: "x".into(),
            status: SourceStatus::Connected,
            sampled: Some(0.25),
            spent_dollars: Some(7.5),
            ..SourceState::default()
        };
        let mut standing = live::Standing { state, newest_ms: Some(10_250), ledger, ..live::Standing::default() };
        let last = Ledger { received: 10, sent: 5, ..Ledger::default() };
        let told = |standing: &live::Standing| {
            let line = metrics_line("birds-of-paris", standing, last, 10_000);
            assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "birds-of-paris");
            let of_line = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().clone();
            for metric in &of_line {
                assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
            }
            (of_line.len(), line)
        };
        let (metrics, line) = told(&standing);
        assert_eq!((&line["received"], &line["sent"], &line["dropped"]), (&json!(20), &json!(15), &json!(4)));
        assert_eq!((&line["lag_ms"], &line["connected"]), (&json!(-250), &json!(1)), "clocks differ");
        assert_eq!((&line["sampled"], &line["spent_dollars"]), (&json!(0.25), &json!(7.5)));
        standing.state = SourceState { status: SourceStatus::Waiting, ..SourceState::default() };
        standing.newest_ms = None;
        let (fewer, line) = told(&standing);
        assert_eq!((&line["connected"], &line["sampled"]), (&json!(0), &json!(1.0)));
        assert_eq!((fewer, line.get("lag_ms"), line.get("spent_dollars")), (metrics - 2, None, None));
    }
}
