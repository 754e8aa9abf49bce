//! The hot paths behind the parser, on one core: match, encode, decode, fold.

use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::post::{Kind, Located, Point, PostId, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use divan::counter::ItemsCount;

const POSTS: u64 = 2000;

fn main() {
    divan::main();
}

fn posts() -> Vec<SourcePost<'static>> {
    (0..POSTS)
        .map(|n| SourcePost {
            id: PostId(u128::from(1_725_000_000_000_000_000 + (n << 22))),
            time_ms: 1_700_000_100_000 + n as i64 * 100,
            author: Some(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 50_000 * 7919),
            kind: Kind::ALL[(n % 4) as usize],
            lang: ["en", "fr", "ja"][(n % 3) as usize].into(),
            hashtags: vec![format!("Tag{}", n * n % 300).into()],
            mentions: 1,
            hosts: vec!["news.example".into()],
            text: "a day like any other, with a match in Montréal tonight and rain tomorrow".into(),
            point: Some(Point { lon: (n % 360) as f64 - 180.0, lat: 45.5 }),
            ..SourcePost::default()
        })
        .collect()
}

fn lines() -> Vec<u8> {
    let mut lines = vec![];
    posts().iter().for_each(|post| frame::put_line(&mut lines, post, Located::All, false));
    lines
}

fn header() -> FrameHeader {
    FrameHeader {
        lane: Lane::posts("all", Network::X, 0),
        source: "bench".into(),
        run: "run".into(),
        counter: 1,
        cut_ms: 1_700_000_300_000,
        cut: 1,
        ..FrameHeader::default()
    }
}

#[divan::bench]
fn match_regions(bencher: divan::Bencher<'_, '_>) {
    let regions = Regions::parse("regions.toml", include_str!("../../../regions.toml")).expect("the file is right");
    let posts = posts();
    let mut found = vec![];
    bencher.counter(ItemsCount::new(POSTS)).bench_local(|| {
        posts.iter().for_each(|post| regions.matching(divan::black_box(post), &mut found));
    });
}

#[divan::bench]
fn write_lines(bencher: divan::Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(POSTS)).with_inputs(posts).bench_refs(|posts| {
        let mut lines = Vec::with_capacity(1 << 20);
        posts.iter().for_each(|post| frame::put_line(&mut lines, post, Located::All, false));
        lines
    });
}

#[divan::bench]
fn encode_frame(bencher: divan::Bencher<'_, '_>) {
    let (header, lines) = (header(), lines());
    bencher.counter(ItemsCount::new(POSTS)).bench(|| frame::encode(&header, divan::black_box(&lines)));
}

#[divan::bench]
fn decode_frame(bencher: divan::Bencher<'_, '_>) {
    let bytes = frame::encode(&header(), &lines()).expect("it can be encoded");
    bencher.counter(ItemsCount::new(POSTS)).bench(|| frame::decode(divan::black_box(&bytes)));
}

#[divan::bench]
fn fold_frame(bencher: divan::Bencher<'_, '_>) {
    let frame = frame::decode(&frame::encode(&header(), &lines()).expect("it can be encoded")).expect("it is a frame");
    bencher.counter(ItemsCount::new(POSTS)).bench(|| {
        let mut aggregate = Aggregate::default();
        aggregate.fold(FoldRules::default(), WindowStart(1_700_000_100_000), divan::black_box(&frame));
        aggregate
    });
}

/// A quiet second of a region: three posts.
#[divan::bench]
fn encode_small_frame(bencher: divan::Bencher<'_, '_>) {
    let (header, lines) = (header(), lines());
    let end = lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).map_or(0, |(at, _)| at + 1);
    bencher.bench(|| frame::encode(&header, divan::black_box(&lines[..end])));
}

/// What a put of a window writes.
#[divan::bench]
fn encode_window(bencher: divan::Bencher<'_, '_>) {
    let frame = frame::decode(&frame::encode(&header(), &lines()).expect("it can be encoded")).expect("it is a frame");
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(1_700_000_100_000), &frame);
    let partial = Partial { generation: 1, fence: 7u64.into(), aggregate, stored_ms: 0 };
    bencher.bench(|| divan::black_box(&partial).encode());
}
