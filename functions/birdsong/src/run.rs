//! `birdsong run`: everything on this machine.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_api::{Api, SourceState};
use birdsong_domain::frame;
use birdsong_domain::ports::{PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::PostId;
use birdsong_domain::region::Regions;
use birdsong_domain::time::rfc3339;
use birdsong_embedded::{SHARD, SqliteLog, SqliteStore};
use birdsong_sources::demo::{self, Demo};
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::recent::Recent;
use birdsong_streamer::send::send_all;
use clap::{Args, ValueEnum};

use crate::machine::{Disk, Folded, follow};
use crate::{CountArgs, DataArgs, data, now_ms, serve};

/// How much of the past the demo makes up when it starts.
const BACKFILL_SECS: i64 = 86_400;
/// How often the live demo looks whether a second has gone by.
const TICK: Duration = Duration::from_millis(200);
/// Posts that the live stream remembers, to find repeated ones.
const RECENT_POSTS: usize = 1 << 17;
/// How long open connections may hold up the end.
const GOODBYE: Duration = Duration::from_millis(250);
/// Where the demo continues, in the store's meta table.
const RESUME_KEY: &str = "resume:demo";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    count: CountArgs,
    /// Where posts come from
    #[arg(long, value_enum, default_value_t = Source::Demo)]
    source: Source,
    /// Seed of the made-up stream
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Port of the dashboard and the API; 0 takes any free one
    #[arg(long, default_value_t = 8080, env = "BIRDSONG_PORT")]
    port: u16,
    /// Address to listen on; anything but loopback shows the page to the network
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// A made-up stream: a day at once, then live
    Demo,
    /// None: only serve what is stored, such as replayed archives
    None,
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
    let mut stopped = std::pin::pin!(stop_signal()?);
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
    let rules = data::fold_rules(&store, args.count.window).await?;
    let catalogue = data::publish_regions(&store, &regions).await?;

    let machine = Arc::new(Disk { log: log.clone(), store: store.clone() });
    let folded = Arc::new(Folded::default());
    let aggregation = {
        let folded = folded.clone();
        std::thread::Builder::new().name("aggregator".into()).spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(follow(&*machine, rules, &folded))
        })?
    };
    let is_stopping = Arc::new(AtomicBool::new(false));
    let states = Arc::new(Mutex::new(Vec::<SourceState>::new()));
    let streaming = (args.source == Source::Demo).then(|| {
        let feed = Feed {
            demo: Demo::new(args.seed, &regions, key),
            regions: regions.clone(),
            lanes: Lanes::new(&regions),
            log,
            store: store.clone(),
            rules,
            states: states.clone(),
            is_stopping: is_stopping.clone(),
        };
        tokio::spawn(feed.stream())
    });

    let api = Api {
        store,
        regions: Arc::new(catalogue),
        rules,
        now_ms: Arc::new(now_ms),
        sources: Arc::new(move || states.lock().map(|states| states.clone()).unwrap_or_default()),
    };
    let router = serve::with_page(birdsong_api::router(api));
    let bound = listener.local_addr()?;
    let shown = if bound.ip().is_loopback() { format!("localhost:{}", bound.port()) } else { bound.to_string() };
    eprintln!("birdsong: the dashboard is at http://{shown}  (data in {}, Ctrl-C stops)", dir.display());
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
            () = &mut stopped => break,
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
    is_stopping.store(true, Ordering::Release);
    if let Some(task) = streaming.take()
        && let Err(error) = task.await.context("the streamer crashed").and_then(|done| done)
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
            eprintln!("birdsong: stopped, everything received is stored");
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Resolves at Ctrl-C or SIGTERM.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// The demo on its way into the log.
struct Feed {
    demo: Demo,
    regions: Arc<Regions>,
    lanes: Lanes,
    log: Arc<SqliteLog>,
    store: Arc<SqliteStore>,
    rules: birdsong_domain::window::FoldRules,
    states: Arc<Mutex<Vec<SourceState>>>,
    is_stopping: Arc<AtomicBool>,
}

/// Where a demo stopped.
struct Resume {
    /// First second that was not sent.
    second: i64,
    /// Last log record when that was written down.
    sequence: Option<SequenceNumber>,
}

impl Feed {
    async fn stream(self) -> Result<()> {
        let started_ms = now_ms();
        let resume = self.resume_point().await?;
        let mut recent = Recent::new(RECENT_POSTS);
        self.learn_sent(&resume, &mut recent).await?;
        let earliest = started_ms.div_euclid(1000) - BACKFILL_SECS;
        let first = resume.second.max(earliest);
        self.show("backfill", started_ms, None);

        // The past is an archive: nothing of it is late, and it says nothing about lag.
        let origin = Origin { source: demo::NAME.into(), run: data::run_id(), live: false, connected_ms: started_ms };
        let cutter =
            |origin, recent| Cutter::new(origin, CutRules::default(), self.rules.size, self.lanes.clone(), recent);
        let mut past = cutter(origin, recent);
        let (mut frames, mut second) = (vec![], first);
        let mut now_second = now_ms().div_euclid(1000);
        let window_secs = i64::from(self.rules.size.secs());
        while second < now_second && !self.is_stopping.load(Ordering::Acquire) {
            // One cut a window, so that each of them knows that it was looked at.
            let end = ((second.div_euclid(window_secs) + 1) * window_secs).min(now_second);
            let batch = self.batch(second..end);
            past.take(&batch, now_ms(), &mut frames);
            past.cut(now_ms(), &mut frames);
            second = end;
            if frames.len() >= 64 || second >= now_second {
                self.send(&mut frames, second).await?;
                tokio::task::yield_now().await;
            }
            now_second = now_ms().div_euclid(1000);
        }
        let made_up = past.ledger();
        if made_up.sent > 0 {
            tracing::info!("demo: filled {} posts since {}", made_up.sent, rfc3339(first * 1000));
        }

        let connected_ms = now_ms();
        // A run of its own: its frames are numbered from 1 again.
        let origin = Origin { source: demo::NAME.into(), run: data::run_id(), live: true, connected_ms };
        let mut live = cutter(origin, past.into_recent());
        while !self.is_stopping.load(Ordering::Acquire) {
            let now = now_ms();
            // A second's posts are all there when the second is over.
            let end = now.div_euclid(1000);
            if second < end {
                let batch = self.batch(second..end);
                self.show("connected", connected_ms, batch.newest_ms());
                live.take(&batch, now, &mut frames);
                second = end;
            }
            live.tick(now, &mut frames);
            if !frames.is_empty() {
                self.send(&mut frames, second).await?;
            }
            tokio::time::sleep(TICK).await;
        }
        live.cut(now_ms(), &mut frames);
        self.send(&mut frames, second).await
    }

    fn batch(&self, seconds: std::ops::Range<i64>) -> Batch {
        let mut batch = Batch::default();
        for second in seconds {
            self.demo.second(second, &mut |post| batch.add(&self.regions, &self.lanes, post));
        }
        batch
    }

    /// Frames into the log, then the place to continue from. When the program ends between the two,
    /// the next start learns from the log what it has beyond that place.
    async fn send(&self, frames: &mut Vec<CutFrame>, second: i64) -> Result<()> {
        let records = frames.iter().map(CutFrame::encode).collect::<Result<Vec<_>, _>>()?;
        // Frames that hold all posts before `second` only count as done when nothing is left uncut.
        let is_whole = frames.last().is_some_and(|frame| frame.header().lane.region == frame::STREAM);
        frames.clear();
        let pause = |wait: Duration| {
            let full_jitter = wait.mul_f64(rand::random::<f64>());
            tracing::warn!("the log did not take all frames, trying again");
            async move {
                tokio::time::sleep(full_jitter).await;
                true
            }
        };
        send_all(&*self.log, records, pause).await.map_err(|(error, left)| {
            anyhow::Error::new(error).context(format!("{} frames could not be written to the log", left.len()))
        })?;
        if is_whole {
            let sequence = self.log.newest_sequence().await?;
            let sequence = sequence.map_or(String::new(), |sequence| sequence.to_string());
            self.store.set_meta(RESUME_KEY, &format!("{second} {sequence}")).await?;
        }
        Ok(())
    }

    async fn resume_point(&self) -> Result<Resume> {
        let text = self.store.meta(RESUME_KEY).await?.unwrap_or_default();
        let (second, sequence) = text.split_once(' ').unwrap_or(("", ""));
        Ok(Resume { second: second.parse().unwrap_or(i64::MIN), sequence: SequenceNumber::parse(sequence) })
    }

    async fn learn_sent(&self, resume: &Resume, recent: &mut Recent) -> Result<()> {
        let mut from = resume.sequence.clone().map_or(ReadFrom::Oldest, ReadFrom::After);
        loop {
            let records = self.log.read(SHARD, &from, 256).await?;
            let Some(last) = records.last() else { return Ok(()) };
            from = ReadFrom::After(last.sequence.clone());
            for frame in records.iter().filter_map(|record| frame::decode(&record.bytes).ok()) {
                frame.posts.iter().for_each(|post| {
                    recent.insert(PostId(post.i));
                });
            }
        }
    }

    fn show(&self, state: &str, connected_ms: i64, last_post_ms: Option<i64>) {
        if let Ok(mut states) = self.states.lock() {
            let last_post = last_post_ms.map(rfc3339).or_else(|| states.first().and_then(|s| s.last_post.clone()));
            *states = vec![SourceState {
                source: demo::NAME.into(),
                state: state.into(),
                last_post,
                connected_since: Some(rfc3339(connected_ms)),
                reconnects: 0,
            }];
        }
    }
}
