//! Made-up frames and events, of the size that a thousand posts a second make.

use std::fmt::Write as _;

use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::post::{Kind, Located, PostId, SourcePost};

/// Start of a window and of a UTC day, 2023-11-15T00:00:00Z.
pub(crate) const BEGIN_MS: i64 = 1_700_006_400_000;
/// Posts of one frame: what a region with half of the posts sends each second.
pub(crate) const POSTS: usize = 500;
/// Frames of one event: two lanes, five seconds.
pub(crate) const FRAMES: usize = 10;

/// Spreads small numbers over all 64 bits (the finalizer of `SplitMix64`).
fn scatter(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A frame of `posts` posts from the second before `cut_ms`, the `counter`th of its lane.
pub(crate) fn frame(region: &str, counter: u64, cut_ms: i64, posts: usize) -> Vec<u8> {
    let mut lines = Vec::with_capacity(posts * 160);
    for n in 0..posts as u64 {
        let at = scatter(counter << 20 | n);
        let hashtags = match at % 4 {
            0 => vec![format!("Tag{}", at % 300).into()],
            1 => vec![format!("Tag{}", at % 40).into(), "MTL".into()],
            _ => vec![],
        };
        let post = SourcePost {
            id: PostId(u128::from(1_725_000_000_000_000_000 + (counter << 32) + (n << 16))),
            time_ms: cut_ms - 1000 + n as i64 * 1000 / posts as i64,
            author: Some(scatter(at % 100_000)),
            kind: Kind::ALL[(at % 4) as usize],
            lang: ["en", "fr", "ja"][(at % 3) as usize].into(),
            hashtags,
            mentions: (at % 3) as u32,
            hosts: if at.is_multiple_of(5) { vec!["news.example".into()] } else { vec![] },
            ..SourcePost::default()
        };
        frame::put_line(&mut lines, &post, Located::Text, false);
    }
    let header = FrameHeader {
        lane: Lane::posts(region, Network::X, 0),
        source: "bench".into(),
        run: "run".into(),
        counter,
        cut_ms,
        connected_ms: BEGIN_MS,
        cut: counter,
        live: true,
        ..FrameHeader::default()
    };
    frame::encode(&header, &lines).expect("the frame can be encoded")
}

/// The `n`th event of a shard, counted from 0: [`FRAMES`] frames of [`POSTS`] posts of five seconds.
pub(crate) fn event(n: u64) -> String {
    let mut event = String::from(r#"{"Records":["#);
    for f in 0..FRAMES as u64 {
        let second = n * 5 + f / 2 + 1;
        let region = ["montreal", "toronto"][(f % 2) as usize];
        let bytes = frame(region, second, BEGIN_MS + second as i64 * 1000, POSTS);
        let sequence = format!("4959033827149025660855969253836157109592157598{:010}", n * FRAMES as u64 + f);
        let _ = write!(
            event,
            concat!(
                r#"{}{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"{region}#x#0","sequenceNumber":"{sequence}","#,
                r#""data":"{data}","approximateArrivalTimestamp":{arrived}.5}},"eventSource":"aws:kinesis","#,
                r#""eventVersion":"1.0","eventID":"shardId-000000000000:{sequence}","eventName":"aws:kinesis:record","#,
                r#""invokeIdentityArn":"arn:aws:iam::123456789012:role/birdsong-aggregator","awsRegion":"us-east-1","#,
                r#""eventSourceARN":"arn:aws:kinesis:us-east-1:123456789012:stream/birdsong-posts"}}"#
            ),
            if f == 0 { "" } else { "," },
            region = region,
            sequence = sequence,
            data = base64_simd::STANDARD.encode_to_string(bytes),
            arrived = BEGIN_MS / 1000 + second as i64,
        );
    }
    event.push_str("]}");
    event
}
