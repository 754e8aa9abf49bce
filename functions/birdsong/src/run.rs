//! `birdsong run`: everything on this machine.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_api::{Api, Extras, Limits};
use birdsong_domain::ports::{self, Settings};
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::session::Stop;
use birdsong_streamer::runner::Runner;
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use clap::Args;

use crate::alerts::LinkArgs;
use crate::archive::{self, Address};
use crate::data::Role;
use crate::hosts::Hosts;
use crate::machine::{Disk, Folded, Followed, follow};
use crate::page::FrameAncestors;
use crate::prometheus::{Answered, Parts, PrometheusArgs};
use crate::reference::ReferenceArgs;
use crate::signal::stop_signal;
use crate::source::SourceArgs;
use crate::{CountArgs, DataArgs, alerts, data, digest, metrics, now_ms, print, serve};

/// How often the parts are checked for one that has ended.
const TICK: Duration = Duration::from_millis(200);
/// Time limit for the log to store what the sources sent last, and for the windows to catch up with the log; the rest
/// then waits in the spool and in the log.
pub(crate) const DRAIN: Duration = Duration::from_millis(500);
/// How long answers are used again: nobody looks more often.
const REUSE: Duration = Duration::from_secs(1);
/// How much longer they are given while they are made anew.
const STALE: Duration = Duration::from_secs(2);
/// How long open connections may delay the end.
const GOODBYE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    count: CountArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Port of the dashboard and the API; 0 chooses any free one
    #[arg(long, default_value_t = 8080, env = "BIRDSONG_PORT")]
    port: u16,
    /// Address to listen on; anything but loopback shows the page to the network
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// Answer under this name, too, such as that of a reverse proxy in front; may be repeated.
    /// Needed on loopback only, where names other than localhost are refused: a page of another site could
    /// make the browser ask
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Who may show charts in a frame: 'none', or 'self' and origins (scheme and host), separated by spaces
    /// (docs/how-to/embed-a-chart.md)
    #[arg(long, value_name = "SOURCES", default_value = "'none'", value_parser = FrameAncestors::parse, env = "BIRDSONG_FRAME_ANCESTORS")]
    frame_ancestors: FrameAncestors,
    /// Write each day of the log that is over into this archive: a folder, or s3://BUCKET
    /// (docs/how-to/archive-the-log.md) [default: none]
    #[arg(long, value_name = "DIR|s3://BUCKET", env = "BIRDSONG_ARCHIVE")]
    archive: Option<Address>,
    #[command(flatten)]
    links: LinkArgs,
    #[command(flatten)]
    prometheus: PrometheusArgs,
    #[command(flatten)]
    reference: ReferenceArgs,
    /// Lets whoever sends this token add notes (POST /api/notes)
    #[arg(long, env = "BIRDSONG_NOTES_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    notes_token: Option<String>,
}

pub(crate) fn run(args: RunArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work(args));
    // Whatever still runs by now has had its time.
    runtime.shutdown_background();
    done
}

async fn work(args: RunArgs) -> Result<ExitCode> {
    let started_ms = now_ms();
    // Signals are caught from the first moment, so that a stop during the start is clean, too.
    let mut stopped = stop_signal()?;
    let regions = Arc::new(data::load_regions(&args.count)?);
    let address = SocketAddr::new(args.host, args.port);
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is used by another program (another birdsong?): stop it, or choose another port with --port",
            args.port
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot listen on {address}")),
    };
    let metrics_listener = args.prometheus.listen().await?;
    let dir = &args.data.data;
    // Without sources, `birdsong stream` may fill the log at the same time.
    let roles = if args.source.is_none() { &[Role::Windows][..] } else { &Role::ALL };
    let _lock = data::lock(dir, roles)?;
    let log = Arc::new(SqliteLog::open(dir)?);
    let store = Arc::new(SqliteStore::open(dir)?);
    // Only posts that come need the key; what is stored can be served without it.
    let key = match args.source.is_none() {
        true => data::random_key(),
        false => data::local_key(dir, &log, &store).await?,
    };
    let rules = data::fold_rules(&*store, args.count.window).await?;
    let catalogue = data::publish_regions(&*store, &regions).await?;

    if let Some(to) = args.archive {
        archive::keep_writing(log.clone(), log.clone(), to)?;
    }
    let machine = Arc::new(Disk { log: log.clone(), store: store.clone() });
    let folded = Arc::new(Folded::default());
    let aggregation = {
        let (folded, letters) = (folded.clone(), data::DeadLetterFolder(Some(dir.clone())));
        std::thread::Builder::new().name("aggregator".into()).spawn(move || -> Result<Followed> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let followed = runtime.block_on(follow(&*machine, rules, &folded, &letters));
            // A call that waits for a locked file does not delay the end.
            runtime.shutdown_background();
            followed
        })?
    };
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let bound = listener.local_addr()?;
    let public_url = args.links.public_url.clone().unwrap_or_else(|| format!("http://localhost:{}", bound.port()));
    let alerts = alerts::start(&regions, &public_url)?.with_regions(catalogue.clone(), rules);
    let digested = digest::start(store.clone(), rules, alerts, stopping.clone())?;
    let status = Arc::new(StatusRegistry::default());
    let sources = args.source.sources(&regions, key, dir)?;
    args.reference.start(store.clone(), &regions, (key, dir), Stop::new(stopping.clone()))?;
    let states = metrics::States::new(status.clone(), sources.is_empty());
    let reporting = tokio::spawn(states.clone().keep(store.clone()));
    let streaming = (!sources.is_empty()).then(|| {
        let runner = Runner {
            regions: regions.clone(),
            size: rules.size,
            log: log.clone(),
            settings: store.clone(),
            drain: DRAIN,
            spool: dir.join("spool"),
            sent: SharedSent::new(SentRules::live(dir.to_owned())),
            status: status.clone(),
            clock: Arc::new(now_ms),
            jitter: rand::random::<f64>,
            run_id: data::run_id,
            stop: Stop::new(stopping),
        };
        let sources = sources.into_iter().map(|source| (source, data::Quarantine::new(Some(dir), &data::run_id())));
        tokio::spawn(runner.run(sources.collect()))
    });

    let api = Api {
        problems: Arc::new({
            let folded = folded.clone();
            move || folded.problem().into_iter().collect()
        }),
        grace_ms: 0,
        store: store.clone(),
        regions: Arc::new(catalogue),
        rules,
        now_ms: Arc::new(now_ms),
        sources: Arc::new(move || states.current()),
    };
    let extras = birdsong_api::extras(Extras {
        store: store.clone(),
        regions: api.regions.clone(),
        now_ms: api.now_ms.clone(),
        public_url: public_url.trim_end_matches('/').to_owned(),
        notes_token: args.notes_token,
    });
    let limits = serve::Limits::default();
    let answers =
        birdsong_api::router_with(api, Limits { reuse: REUSE, stale: STALE, compress: true, ..Limits::default() });
    let answered = Arc::new(Answered::default());
    let hosts = Hosts::new(bound, &args.allow_host);
    let router = answered.count(serve::with_page(answers.merge(extras), args.frame_ancestors, hosts, limits));
    let shown = if bound.ip().is_loopback() { format!("localhost:{}", bound.port()) } else { bound.to_string() };
    print::err(format_args!("birdsong: the dashboard is at http://{shown}  (data in {}, Ctrl-C stops)", dir.display()));
    if let Some(listener) = metrics_listener {
        let (folded, answered) = (Some(folded.clone()), Some(answered));
        Parts { started_ms, status, folded, digested: Some(digested), answered }.serve(listener)?;
    }
    let (goodbye, is_over) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(serve::serve(listener, router, limits, async { _ = is_over.await }));

    // If any part ends, all of it ends; otherwise the signal ends it.
    let mut failure = None;
    let mut streaming = streaming;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => break,
            served = &mut serving => {
                failure = Some(anyhow::anyhow!("the web server stopped: {served:?}"));
                break;
            }
            () = tokio::time::sleep(TICK) => {
                let has_ended = streaming.as_ref().is_some_and(tokio::task::JoinHandle::is_finished);
                if has_ended || aggregation.is_finished() {
                    break;
                }
            }
        }
    }
    // Drain from the source to the store: first no new posts, then every frame folded.
    let _ = stop.send(true);
    let mut left = Left::default();
    if let Some(task) = streaming.take() {
        match task.await.context("the streamer crashed").and_then(|ended| Ok(ended?)) {
            Ok(ended) => (left.spooled_bytes, left.lost_bytes) = (ended.left_bytes, ended.lost_bytes),
            Err(error) => failure = Some(error),
        }
    }
    reporting.abort();
    folded.drain(Some(std::time::Instant::now() + DRAIN));
    match tokio::task::spawn_blocking(move || aggregation.join()).await? {
        Ok(Ok(followed)) => left.is_behind = followed == Followed::Behind,
        Ok(Err(error)) => failure = Some(error),
        Err(_) => failure = Some(anyhow::anyhow!("the aggregator crashed")),
    }
    left.problem = folded.problem();
    let are_files_here = async { log.newest_sequence().await.and(store.setting(ports::WINDOW_SECS).await.map(drop)) };
    left.missing = match tokio::time::timeout(GOODBYE, are_files_here).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("log or store are locked by another program".to_owned()),
    };
    let _ = goodbye.send(());
    let _ = tokio::time::timeout(GOODBYE, serving).await;
    match failure {
        Some(error) => Err(error),
        None => Ok(left.report_end()),
    }
}

/// What is not where it should be at the end.
#[derive(Debug, Default)]
struct Left {
    /// The windows lack records of the log.
    is_behind: bool,
    /// What blocked the aggregator.
    problem: Option<String>,
    /// Frames that wait in the spool, and frames that are nowhere.
    spooled_bytes: u64,
    lost_bytes: u64,
    /// Why log or store cannot be read.
    missing: Option<String>,
}

impl Left {
    fn report_end(&self) -> ExitCode {
        let mut notes = vec![];
        if self.lost_bytes > 0 {
            notes.push(format!(
                "{} bytes of frames are lost, since neither the log nor the spool could be written; a source that can \
                 go on from where it was will send those posts again",
                self.lost_bytes
            ));
        }
        if let Some(reason) = &self.missing {
            notes.push(format!("what was stored last may be lost: {reason}"));
        }
        let is_lost = !notes.is_empty();
        if self.spooled_bytes > 0 {
            notes.push(format!("{} bytes of frames wait in the spool for the next start", self.spooled_bytes));
        }
        if self.is_behind && !is_lost {
            let why = self.problem.as_ref().map_or_else(String::new, |problem| format!(" ({problem})"));
            notes.push(format!("the log is safe and the windows lack its end{why}; the next start continues there"));
        }
        if notes.is_empty() {
            print::err("birdsong: stopped, everything received is stored");
        } else {
            print::err(format_args!("birdsong: stopped; {}", notes.join("; ")));
        }
        if is_lost { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
