//! `birdsong run`: everything on this machine.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_api::Api;
use birdsong_embedded::{SqliteLog, SqliteStore};
use birdsong_sources::live::Clock;
use birdsong_streamer::live::Board;
use birdsong_streamer::sent::{SentRules, SharedSent};
use clap::Args;

use crate::machine::{Disk, Folded, follow};
use crate::source::SourceArgs;
use crate::stream::{Streamer, stop_signal};
use crate::{CountArgs, DataArgs, data, now_ms, print, serve};

/// How often it is looked whether a part has ended by itself.
const TICK: Duration = Duration::from_millis(200);
/// How long open connections may hold up the end.
const GOODBYE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    count: CountArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Port of the dashboard and the API; 0 takes any free one
    #[arg(long, default_value_t = 8080, env = "BIRDSONG_PORT")]
    port: u16,
    /// Address to listen on; anything but loopback shows the page to the network
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
}

pub(crate) fn run(args: RunArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work(args));
    // Whatever still runs by now has had its time.
    runtime.shutdown_background();
    done
}

async fn work(args: RunArgs) -> Result<ExitCode> {
    // Signals are caught from the first moment, so that a stop during the start is clean, too.
    let mut stopped = stop_signal()?;
    let regions = Arc::new(data::load_regions(&args.count)?);
    let address = SocketAddr::new(args.host, args.port);
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is taken by another program (another birdsong?): stop it, or choose another port with --port",
            args.port
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot listen on {address}")),
    };
    let dir = &args.data.data;
    let _lock = data::lock(dir)?;
    let key = data::author_key(dir)?;
    let log = Arc::new(SqliteLog::open(dir)?);
    let store = Arc::new(SqliteStore::open(dir)?);
    let rules = data::fold_rules(&*store, args.count.window).await?;
    let catalogue = data::publish_regions(&*store, &regions).await?;

    let machine = Arc::new(Disk { log: log.clone(), store: store.clone() });
    let folded = Arc::new(Folded::default());
    let aggregation = {
        let folded = folded.clone();
        std::thread::Builder::new().name("aggregator".into()).spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(follow(&*machine, rules, &folded))
        })?
    };
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let board = Arc::new(Board::default());
    let clock: Clock = Arc::new(now_ms);
    let sources = args.source.sources(&regions, key, &clock)?;
    let streaming = (!sources.is_empty()).then(|| {
        let streamer = Streamer {
            regions: regions.clone(),
            rules,
            log,
            settings: store.clone(),
            spool: dir.join("spool"),
            sent: SharedSent::new(SentRules::live(dir.to_owned())),
            board: board.clone(),
            stop: stopping,
        };
        let sources = sources.into_iter().map(|live| (live, data::Quarantine::new(Some(dir), &data::run_id())));
        tokio::spawn(streamer.run(sources.collect()))
    });

    let api = Api {
        store,
        regions: Arc::new(catalogue),
        rules,
        now_ms: Arc::new(now_ms),
        sources: Arc::new(move || board.states()),
    };
    let router = serve::with_page(birdsong_api::router(api));
    let bound = listener.local_addr()?;
    let shown = if bound.ip().is_loopback() { format!("localhost:{}", bound.port()) } else { bound.to_string() };
    print::err(format_args!("birdsong: the dashboard is at http://{shown}  (data in {}, Ctrl-C stops)", dir.display()));
    let (goodbye, told) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(
        axum::serve(listener, router)
            .with_graceful_shutdown(async {
                let _ = told.await;
            })
            .into_future(),
    );

    // Any part that ends by itself ends all of it; otherwise the signal does.
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
    if let Some(task) = streaming.take()
        && let Err(error) = task.await.context("the streamer crashed").and_then(|ended| ended)
    {
        failure = Some(error);
    }
    folded.drain.store(true, Ordering::Release);
    match tokio::task::spawn_blocking(move || aggregation.join()).await? {
        Ok(Ok(())) => (),
        Ok(Err(error)) => failure = Some(error),
        Err(_) => failure = Some(anyhow::anyhow!("the aggregator crashed")),
    }
    let _ = goodbye.send(());
    let _ = tokio::time::timeout(GOODBYE, serving).await;
    match failure {
        Some(error) => Err(error),
        None => {
            print::err("birdsong: stopped, everything received is stored");
            Ok(ExitCode::SUCCESS)
        }
    }
}
