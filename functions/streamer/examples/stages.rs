//! What each stage between a file and its windows costs for a post, on one core.
//!
//! `cargo run --release --example stages -p birdsong-streamer -- FILE REGIONS [ROUNDS]` prints nanoseconds of each stage, the
//! median over rounds. With the name of a stage instead of rounds, what comes before it is done once and the stage ten times:
//! for tools that count instructions.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use birdsong_aggregator::Aggregator;
use birdsong_domain::frame;
use birdsong_domain::network::Network;
use birdsong_domain::ports::LogRecord;
use birdsong_domain::post::{InstallationKey, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::FoldRules;
use birdsong_embedded::MemoryWindows;
use birdsong_sources::archive::{self, Chunk, Found, Piece};
use birdsong_streamer::cutter::{CutFrame, CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::sent::{SentRules, SharedSent};

type AnyError = Box<dyn std::error::Error>;

/// Bytes of lines that travel together, as in a replay.
const CHUNK_BYTES: usize = 512 << 10;
const STAGES: [&str; 8] = ["read", "parse", "match", "prepare", "cut", "store", "decode", "fold"];

fn read(path: &str) -> Vec<Chunk> {
    let mut chunks = vec![];
    archive::read_files(&[Found { path: PathBuf::from(path), is_named: true }], CHUNK_BYTES, &mut |piece| {
        if let Piece::Chunk(chunk) = piece {
            chunks.push(chunk);
        }
        ControlFlow::Continue(())
    });
    chunks
}

/// Parses all lines; `each` does more with the posts.
fn parse(chunks: &[Chunk], mut each: impl FnMut(&SourcePost<'_>)) -> u64 {
    let key = InstallationKey([7; 16]);
    let mut posts = 0;
    for (_, line) in chunks.iter().flat_map(Chunk::values) {
        let _ = archive::read_line(line, &key, &mut |post| {
            if let Ok(post) = post {
                posts += 1;
                each(&post);
            }
        });
    }
    posts
}

fn prepare(chunks: &[Chunk], regions: &Regions, lanes: &Lanes) -> Vec<Batch> {
    let of = |chunk: &Chunk| {
        let mut batch = Batch::default();
        parse(std::slice::from_ref(chunk), |post| batch.add(regions, lanes, post));
        batch
    };
    chunks.iter().map(of).collect()
}

fn cut(batches: &[Batch], lanes: &Lanes) -> Result<Vec<CutFrame>, AnyError> {
    let origin = Origin { source: "replay".into(), run: "run".into(), live: false, connected_ms: 0 };
    let sent = SharedSent::new(SentRules::archive(None));
    let mut cutter = Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes.clone(), sent);
    let mut frames = vec![];
    for batch in batches {
        cutter.take(batch, 0, &mut frames)?;
    }
    cutter.cut(0, &mut frames);
    Ok(frames)
}

fn store(frames: &[CutFrame]) -> Result<Vec<LogRecord>, AnyError> {
    let of = |(n, frame): (usize, &CutFrame)| {
        let record = frame.encode_stored()?;
        Ok(LogRecord { sequence: (n as u64 + 1).into(), arrived_ms: 0, lane: Some(record.lane), bytes: record.bytes })
    };
    frames.iter().enumerate().map(of).collect()
}

async fn fold(records: &[LogRecord]) -> Result<u64, AnyError> {
    let mut aggregator = Aggregator::new(Arc::new(MemoryWindows::default()), FoldRules::default(), 512);
    let mut posts = 0;
    for batch in records.chunks(64) {
        posts += aggregator.fold_batch("0", batch).await?.aggregated;
    }
    Ok(posts)
}

fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, regions, rest @ ..] = args.as_slice() else {
        return Err("usage: stages FILE REGIONS [ROUNDS|STAGE]".into());
    };
    let only = rest.first().and_then(|name| STAGES.iter().position(|stage| stage == name));
    let rounds = if only.is_some() { 1 } else { rest.first().map_or(Ok(5), |rounds| rounds.parse())? };
    let regions = match &**regions {
        "all" => Regions::everything("all"),
        path => Regions::parse(path, &std::fs::read_to_string(path)?)?,
    };
    let lanes = Lanes::new(&regions, Network::X);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut times: Vec<[Duration; STAGES.len()]> = vec![];
    let mut posts = 0;
    for _ in 0..rounds {
        let mut took = [Duration::ZERO; STAGES.len()];
        let mut at = 0;
        // Results stay, so that the time to free them counts nowhere.
        macro_rules! stage {
            ($work:expr) => {{
                let times = if only == Some(at) { 10 } else { 1 };
                let began = Instant::now();
                for _ in 1..times {
                    std::hint::black_box($work);
                }
                let done = $work;
                took[at] = began.elapsed();
                if only == Some(at) {
                    return Ok(());
                }
                at += 1;
                done
            }};
        }
        let chunks = stage!(read(file));
        posts = stage!(parse(&chunks, |_| ()));
        let mut found = vec![];
        stage!(parse(&chunks, |post| regions.matching(post, &mut found)));
        let batches = stage!(prepare(&chunks, &regions, &lanes));
        let frames = stage!(cut(&batches, &lanes)?);
        let records = stage!(store(&frames)?);
        stage!(
            records
                .iter()
                .map(|record| frame::decode(&record.bytes).map(|frame| frame.posts.len()))
                .collect::<Vec<_>>()
        );
        stage!(runtime.block_on(fold(&records))?);
        let _ = at;
        times.push(took);
    }
    println!("{posts} posts, {rounds} rounds; ns a post, without what the stage does of the stages before it:");
    let median = |stage: usize| {
        let mut all: Vec<_> = times.iter().map(|took| took[stage].as_nanos() as f64 / posts as f64).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    // These contain the stage before.
    let within = |stage: &str| matches!(stage, "match" | "prepare" | "fold");
    let mut sum = 0.0;
    for (n, stage) in STAGES.iter().enumerate() {
        let alone = if within(stage) { median(n) - median(n - 1) } else { median(n) };
        sum += alone;
        println!("{stage:>8} {alone:8.0}");
    }
    println!("{:>8} {sum:8.0}", "all");
    Ok(())
}
