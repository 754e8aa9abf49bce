//! Lines per second from X's stream into a log: a fake X in a separate process serves them over
//! loopback as fast as they are read, and the log only counts.
//!
//! `cargo run --release --example load -p birdsong-streamer -- [LINES]`

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use birdsong_domain::network;
use birdsong_domain::ports::{FrameRecord, LogRecord, PortError, PostLog, ReadFrom, SequenceNumber};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_sources::http::Network;
use birdsong_sources::http::Token;
use birdsong_sources::session::Stop;
use birdsong_sources::source::{Clock, Source};
use birdsong_sources::x::fake::{Connection, Options, Step, router};
use birdsong_sources::x::{self, X};
use birdsong_streamer::cutter::CutRules;
use birdsong_streamer::originals::Originals;
use birdsong_streamer::outbox::{Outbox, OutboxLimits};
use birdsong_streamer::pipeline::{self, Pipe};
use birdsong_streamer::sent::{SentRules, SharedSent};
use birdsong_streamer::status::StatusRegistry;
use birdsong_streamer::unreadable::Unreadable;
use birdsong_streamer::unreadable::UnreadableStore;
use birdsong_streamer::{ingest, recovery};
use birdsong_testkit::NoSettings;

type AnyError = Box<dyn std::error::Error>;

#[derive(Default)]
struct Counting {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl PostLog for Counting {
    async fn append(&self, frames: &[FrameRecord]) -> Vec<Result<SequenceNumber, PortError>> {
        let one = |frame: &FrameRecord| {
            self.bytes.fetch_add(frame.bytes.len() as u64, Ordering::Relaxed);
            Ok(SequenceNumber::from(self.frames.fetch_add(1, Ordering::Relaxed) + 1))
        };
        frames.iter().map(one).collect()
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

struct Nowhere;

impl UnreadableStore for Nowhere {
    async fn keep(&mut self, _lines: &[Unreadable]) -> Result<(), PortError> {
        Ok(())
    }
}

fn clock() -> Clock {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Arc::new(move || since().as_millis() as i64)
}

async fn serve(lines: u64) -> Result<(), AnyError> {
    let script = vec![Connection::Stream(vec![Step::Burst(lines)])];
    let options =
        Options { token: "t".into(), script, posts_per_s: 1.0, seed: 1, has_new_names: false, clock: clock() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, router(options)).await?)
}

async fn load(address: &str, lines: u64) -> Result<(), AnyError> {
    let text = "[[region]]\nid = \"bcn\"\nboxes = [[2.05, 41.31, 2.23, 41.47]]\nkeywords = [\"sagrada\", \"#porta\"]\n\
                [[region]]\nid = \"fr\"\nkeywords = [\"bonjour\"]\nlanguages = [\"fr\"]\n";
    let regions = Arc::new(Regions::parse("load", text)?);
    let token = Token::new("t")?;
    let options = x::Options {
        url: format!("http://{address}"),
        token: token.clone(),
        read_token: Arc::new(move || Ok(token.clone())),
        gzip: false,
        backfill_minutes: None,
        stall: x::STALL,
        journal: None,
        budget: None,
        dollars_a_post: 0.005,
    };
    let context = birdsong_testkit::context(regions.clone(), InstallationKey([7; 16]), clock());
    let mut client = X::new(options, Network::new(false)?, &context)?;
    let (log, board) = (Arc::new(Counting::default()), Arc::new(StatusRegistry::default()));
    let outbox = Outbox::open(None, OutboxLimits::default())?;
    let sent = SharedSent::new(SentRules::live(std::env::temp_dir()));
    let start = recovery::start(&*log, &NoSettings, x::NAME, &outbox, &sent, 0, clock()()).await?;
    let (mut feeder, inbox) =
        ingest::ingest(x::NAME, network::Network::X, &regions, &clock(), &board, Originals::default());
    let pipe = Pipe {
        source: x::NAME.into(),
        network: network::Network::X,
        run: "load".into(),
        regions,
        size: WindowSize::FIVE_MINUTES,
        rules: CutRules::default(),
        log: log.clone(),
        settings: Arc::new(NoSettings),
        unreadable: Nowhere,
        outbox,
        start,
        sent,
        reach_ms: 0,
        status: board.clone(),
        clock: clock(),
        jitter: || 0.5,
        drain: Duration::from_secs(10),
    };
    let running = tokio::spawn(pipeline::run(pipe, inbox));
    let began = Instant::now();
    let all_came = async {
        while board.entries().first().is_none_or(|standing| standing.ledger.received < lines) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        Some(error) = client.stream(None, &mut feeder, Stop::never()) => return Err(error.into()),
        () = all_came => (),
    }
    let secs = began.elapsed().as_secs_f64();
    drop(feeder);
    let ledger = running.await??.ledger;
    let (frames, bytes) = (log.frames.load(Ordering::Relaxed), log.bytes.load(Ordering::Relaxed));
    let per_s = lines as f64 / secs;
    println!("{lines} lines in {secs:.2} s: {per_s:.0} lines/s; {frames} frames, {bytes} bytes; {ledger:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown"));
    Ok(())
}

fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let [command, lines] = args.as_slice()
        && command == "serve"
    {
        return runtime.block_on(serve(lines.parse()?));
    }
    let lines: u64 = args.first().map_or(Ok(1_000_000), |lines| lines.parse())?;
    let mut server =
        Command::new(std::env::current_exe()?).args(["serve", &lines.to_string()]).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("no address")?).read_line(&mut address)?;
    let loaded = runtime.block_on(load(address.trim(), lines));
    server.kill()?;
    server.wait()?;
    loaded
}
