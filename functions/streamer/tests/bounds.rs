//! Rule 4.3. No input makes the program write what it cannot read. Posts whose fields are as large as they may come
//! pass through parser, frame and window, in the format of each source.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use birdsong_domain::frame::{self, Frame, MAX_PER_POST};
use birdsong_domain::hashtag::MAX_HASHTAG_BYTES;
use birdsong_domain::language::MAX_TAG_BYTES;
use birdsong_domain::network::Network;
use birdsong_domain::post::{InstallationKey, MAX_HOST_BYTES, SourcePost};
use birdsong_domain::region::Regions;
use birdsong_domain::time::WindowSize;
use birdsong_domain::window::{Aggregate, FoldRules, Partial, touched};
use birdsong_sources::{archive, bluesky, mastodon};
use birdsong_streamer::cutter::{CutRules, Cutter, Origin};
use birdsong_streamer::prepare::{Batch, Lanes};
use birdsong_streamer::sent::{SentRules, SharedSent};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: InstallationKey = InstallationKey([7; 16]);
/// Limit of a Kinesis record before 2025, and still that of most clients.
const RECORD_BYTES: usize = 1 << 20;
/// A DynamoDB item may have 400 KB; the rest is for the attributes next to the state.
const STATE_BYTES: usize = 390_000;

/// A text as hostile as a field may bring it.
#[derive(Clone, Debug)]
struct Hostile {
    letters: &'static str,
    count: usize,
    seed: u64,
}

impl Hostile {
    /// Each with its own letters, so that nothing compresses and no two are the same.
    fn text(&self, n: usize) -> String {
        let letters: Vec<char> = self.letters.chars().collect();
        let mut x = self.seed.wrapping_add(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..self.count)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                letters[(x % letters.len() as u64) as usize]
            })
            .collect()
    }
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let letters = prop::sample::select(vec![
        "abcdefghijklmnopqrstuvwxyz0123456789-",
        "\u{10400}\u{10401}\u{10402}\u{10428}\u{10429}東京ﷺ",
        "a\u{300}\u{301}\u{302}\u{200b}\u{fe0f}",
        "\"\\\u{1}\u{7f}\n,}]",
        "#＃@:/. ",
        "ﬃẞİŉΐ",
    ]);
    let count = prop_oneof![4 => 0usize..40, 4 => 90usize..110, 2 => 200usize..2000, 1 => Just(20_000)];
    (letters, count, any::<u64>()).prop_map(|(letters, count, seed)| Hostile { letters, count, seed })
}

#[derive(Clone, Debug)]
struct Post {
    tag: Hostile,
    lang: Hostile,
    host: Hostile,
    id: Hostile,
    /// How many of each.
    many: usize,
    minute: i64,
}

fn post() -> impl Strategy<Value = Post> {
    let many = prop_oneof![3 => 0usize..4, 2 => 60usize..70, 1 => Just(400)];
    (hostile(), hostile(), hostile(), hostile(), many, 0i64..20_000).prop_map(|(tag, lang, host, id, many, minute)| {
        // Many of the largest would only make the test slow.
        let many = if tag.count + host.count > 10_000 { many.min(4) } else { many };
        Post { tag, lang, host, id, many, minute }
    })
}

impl Post {
    fn tags(&self) -> Vec<String> {
        (0..self.many).map(|n| self.tag.text(n)).collect()
    }

    fn links(&self) -> Vec<String> {
        (0..self.many).map(|n| format!("https://{}/{}", self.host.text(n), self.host.text(n + 1000))).collect()
    }

    fn v1(&self, n: usize) -> Value {
        json!({
            "id_str": (1_700_000_000_000_000_000 + n as u64).to_string(),
            "timestamp_ms": (1_700_000_000_000 + self.minute * 60_000).to_string(),
            "text": self.tag.text(7), "lang": self.lang.text(n), "user": {"id_str": self.id.text(n)},
            "entities": {
                "hashtags": self.tags().iter().map(|tag| json!({"text": tag})).collect::<Vec<_>>(),
                "urls": self.links().iter().map(|url| json!({"expanded_url": url})).collect::<Vec<_>>(),
                "user_mentions": self.tags().iter().map(|tag| json!({"screen_name": tag})).collect::<Vec<_>>(),
            },
        })
    }

    fn v2(&self, n: usize) -> Value {
        json!({"data": {
            "id": (1_800_000_000_000_000_000 + n as u64).to_string(), "text": self.tag.text(7), "lang": self.lang.text(n),
            "author_id": self.id.text(n),
            "entities": {
                "hashtags": self.tags().iter().map(|tag| json!({"tag": tag})).collect::<Vec<_>>(),
                "urls": self.links().iter().map(|url| json!({"expanded_url": url})).collect::<Vec<_>>(),
            },
        }})
    }

    fn bluesky(&self, n: usize) -> Value {
        let feature = |kind: &str, field: &str, text: &String| json!({"features": [{"$type": format!("app.bsky.richtext.facet#{kind}"), field: text}]});
        let links = self.links();
        let facets = links.iter().map(|link| feature("link", "uri", link));
        json!({
            "did": self.id.text(n), "time_us": 1_700_000_000_000_000i64 + self.minute * 60_000_000, "kind": "commit",
            "commit": {
                "operation": "create", "collection": "app.bsky.feed.post", "rkey": format!("{n}{}", self.id.text(1)),
                "record": {
                    "text": self.tag.text(7), "langs": [self.lang.text(n), self.lang.text(n + 1)], "tags": self.tags(),
                    "facets": facets.chain(self.tags().iter().map(|tag| feature("tag", "tag", tag))).collect::<Vec<_>>(),
                },
            },
        })
    }

    fn mastodon(&self, n: usize) -> Value {
        let words: Vec<_> = self.links().iter().map(|link| format!("<a href=\"{link}\">x</a>")).collect();
        json!({
            "id": (111_000_000_000_000_000 + n as u64).to_string(), "uri": format!("{n}{}", self.id.text(n)),
            "created_at": "2026-05-23T05:40:00.000Z", "visibility": "public", "language": self.lang.text(n),
            "account": {"id": self.id.text(n), "uri": self.id.text(n), "url": self.id.text(n), "acct": self.id.text(n)},
            "content": words.concat(), "mentions": [],
            "tags": self.tags().iter().map(|tag| json!({"name": tag})).collect::<Vec<_>>(),
        })
    }

    fn read(&self, n: usize, each: &mut dyn FnMut(&SourcePost<'_>)) {
        for line in [self.v1(n), self.v2(n)] {
            let _ = archive::read_line(line.to_string().as_bytes(), &KEY, &mut |post| {
                if let Ok(post) = post {
                    each(&post);
                }
            });
        }
        let message = self.bluesky(n).to_string();
        let _ = bluesky::read_message(message.as_bytes(), &KEY, each);
        let status = self.mastodon(n).to_string();
        let _ = mastodon::read_status(status.as_bytes(), mastodon::Seen::Live(1_700_000_000_000), &KEY, each);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn whatever_the_parsers_let_through_can_be_written_and_read(posts in prop::collection::vec(post(), 1..60)) {
        let regions = "[[region]]\nid = \"all\"\nlanguages = [\"en\", \"und\"]\n";
        let regions = [Regions::everything("all"), Regions::parse("test", regions).unwrap()];
        for (regions, live) in regions.iter().zip([true, false]) {
            let lanes = Lanes::new(regions, Network::X);
            let origin = Origin { source: "test".into(), run: "run".into(), live, connected_ms: 0 };
            let sent = SharedSent::new(SentRules::archive(None));
            let mut cutter = Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes.clone(), sent);
            let (mut frames, mut read) = (vec![], 0u64);
            for (n, post) in posts.iter().enumerate() {
                let mut batch = Batch::default();
                post.read(n, &mut |post| {
                    read += 1;
                    assert!(post.lang.len() <= MAX_TAG_BYTES, "{}", post.lang);
                    assert!(post.hashtags.len() <= MAX_PER_POST && post.hosts.len() <= MAX_PER_POST);
                    assert!(post.hashtags.iter().all(|tag| tag.len() <= MAX_HASHTAG_BYTES));
                    assert!(post.hosts.iter().all(|host| host.len() <= MAX_HOST_BYTES));
                    assert!(post.mentions <= MAX_PER_POST as u32);
                    batch.add(regions, &lanes, post);
                });
                cutter.take(&batch, 1_700_000_000_000, &mut frames).unwrap();
            }
            cutter.cut(1_700_000_000_000, &mut frames);
            prop_assert!(read > 0);
            let ledger = cutter.ledger();
            prop_assert!(ledger.balances() && ledger.received == read, "{:?}", ledger);

            let (rules, mut windows) = (FoldRules::default(), BTreeMap::<_, Aggregate>::new());
            for cut in &frames {
                let record = cut.encode().unwrap();
                prop_assert!(record.bytes.len() < RECORD_BYTES, "{} bytes", record.bytes.len());
                let frame = frame::decode(&record.bytes).unwrap();
                prop_assert_eq!(&frame.damage, &None);
                fold(rules, &frame, &mut windows);
            }
            for aggregate in windows.into_values() {
                let partial = Partial { generation: 1, fence: 7u64.into(), aggregate, stored_ms: 0 };
                let state = partial.encode().unwrap();
                prop_assert!(state.len() < STATE_BYTES, "{} bytes", state.len());
                prop_assert_eq!(Partial::decode(1, &state).unwrap().encode().unwrap(), state);
            }
        }
    }
}

fn fold(rules: FoldRules, frame: &Frame, windows: &mut BTreeMap<(String, i64), Aggregate>) {
    for window in touched(rules, frame) {
        windows.entry((frame.header.lane.to_string(), window.0)).or_default().fold(rules, window, frame);
    }
}

/// An archive may have as many windows as lines, also where none of them matches a region.
#[test]
fn a_ledger_of_very_many_windows_is_cut_into_frames_that_can_be_read() {
    for regions in
        [Regions::everything("all"), Regions::parse("t", "[[region]]\nid = \"none\"\nkeywords = [\"xyz\"]\n").unwrap()]
    {
        let lanes = Lanes::new(&regions, Network::X);
        let origin = Origin { source: "test".into(), run: "run".into(), live: false, connected_ms: 0 };
        let sent = SharedSent::new(SentRules::archive(None));
        let mut cutter = Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes.clone(), sent);
        let mut batch = Batch::default();
        for n in 0..30_000i64 {
            let line = json!({"id_str": (n + 1).to_string(), "timestamp_ms": (n * 300_000).to_string(), "text": "a"});
            archive::read_line(line.to_string().as_bytes(), &KEY, &mut |post| {
                batch.add(&regions, &lanes, &post.unwrap())
            })
            .unwrap();
        }
        let mut frames = vec![];
        cutter.take(&batch, 0, &mut frames).unwrap();
        cutter.cut(0, &mut frames);
        let mut windows = BTreeMap::new();
        for cut in &frames {
            let record = cut.encode().unwrap();
            assert!(record.bytes.len() < RECORD_BYTES, "{} bytes", record.bytes.len());
            fold(FoldRules::default(), &frame::decode(&record.bytes).unwrap(), &mut windows);
        }
        let received: u64 = windows.values().map(|window| window.ledger.received).sum();
        assert_eq!((received, cutter.ledger().received), (30_000, 30_000));
    }
}
