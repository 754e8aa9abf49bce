//! Rule 7.4. The same posts make the same windows in every format and framing of an archive.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use birdsong_api::report::WindowReport;
use birdsong_domain::frame::Ledger;
use birdsong_domain::ports::PostLog;
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_domain::time::{SNOWFLAKE_EPOCH_MS, WindowSize, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_sources::archive;
use birdsong_streamer::cutter::{CutRules, Cutter, Origin};
use birdsong_streamer::prepare::Lanes;
use birdsong_streamer::sent::{SentRules, SharedSent};
use serde_json::{Value, json};

use super::pipeline::parse;
use super::report::reports;
use super::{MEMORY_LOG_BYTES, NETWORK};
use crate::data;
use crate::machine::{Folded, Machine, Memory, follow};

/// 1,000 archives in CI; another range by `BIRDSONG_SEEDS`, such as `1000..5000`.
fn seeds() -> std::ops::Range<u64> {
    let Ok(wanted) = std::env::var("BIRDSONG_SEEDS") else { return 0..1000 };
    let range = wanted.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("BIRDSONG_SEEDS={wanted}: give a range such as 1000..1100"))
}

const REGIONS: &str = r##"
[[region]]
id = "box"
boxes = [[2.0, 41.0, 2.5, 41.6]]
[[region]]
id = "words"
keywords = ["R&B", "high tide", "isn't", "#Storm"]
[[region]]
id = "indonesian"
languages = ["id"]
[[region]]
id = "tagged"
rules = ["rule-7"]
[[region]]
id = "pacific"
boxes = [[170.0, -25.0, -170.0, -10.0]]
"##;

/// A number generator (SplitMix64, Steele et al. 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// The content of a post, in any format.
#[derive(Clone, Debug)]
struct Post {
    id: u64,
    /// Ids of its earlier versions, oldest first.
    earlier: Vec<u64>,
    author: Option<u64>,
    lang: &'static str,
    /// As people wrote it.
    text: String,
    hashtags: Vec<&'static str>,
    /// Where links lead in the end.
    links: Vec<&'static str>,
    mentions: Vec<u64>,
    reply_to: Option<u64>,
    /// The user that is answered or addressed.
    to_user: Option<u64>,
    quotes: Option<u64>,
    /// Of a repost, the original's text and tags are in `text` and `hashtags`.
    repost_of: Option<u64>,
    /// Longitude, latitude.
    point: Option<[f64; 2]>,
    place: Option<[f64; 4]>,
    rule: Option<&'static str>,
    is_long: bool,
}

fn posts(dice: &mut Dice) -> Vec<Post> {
    const TEXTS: [&str; 7] =
        ["R&B tonight", "high\u{a0}tide", "nothing <3", "isn’t it", "東京 & more", "", "a \"quote\" \\ back"];
    const TAGS: [&str; 7] = ["Storm", "STORM", "storm", "Montréal", "Tokyo2020", "東京", "fog"];
    const LINKS: [&str; 5] = [
        "https://news.example/a?b=1&c=2",
        "https://mobile.twitter.com/a/status/1",
        "http://[2001:db8::1]:8080/x",
        "https://xn--caf-dma.example/",
        "https://www.Example.org",
    ];
    let start_ms = 1_715_600_000_000 + dice.below(86_400_000) as i64;
    let count = 5 + dice.below(40);
    let mut all = vec![];
    for _ in 0..count {
        let snowflake = |dice: &mut Dice| {
            let ms = start_ms + dice.below(1_500_000) as i64;
            ((ms - SNOWFLAKE_EPOCH_MS) as u64) << 22 | dice.below(1 << 22)
        };
        let id = snowflake(dice);
        let other = |dice: &mut Dice, odds| dice.one_in(odds).then(|| 1_700_000_000_000_000_000 + dice.below(1 << 30));
        let is_repost = dice.one_in(5);
        let hashtags: Vec<_> = (0..dice.below(4)).map(|_| *dice.of(&TAGS)).collect();
        let mut text = (*dice.of(&TEXTS)).to_owned();
        for tag in &hashtags {
            let _ = write!(text, " #{tag}");
        }
        let reply_to = other(dice, 4);
        let place = *dice.of(&[
            [2.1, 41.2, 2.2, 41.4],
            [1.0, 40.0, 2.3, 41.5],
            [179.0, -18.0, -179.0, -17.0],
            [-179.2, 18.0, 179.9, 71.0],
        ]);
        all.push(Post {
            id,
            // An edit is of the last half hour.
            earlier: if dice.one_in(8) { vec![id - (1 + dice.below(1 << 20))] } else { vec![] },
            author: (!dice.one_in(10)).then(|| 1 + dice.below(12)),
            lang: dice.of::<&str>(&["en", "in", "iw", "und", "pt"]),
            text,
            hashtags,
            links: (0..dice.below(3)).map(|_| *dice.of(&LINKS)).collect(),
            mentions: (0..dice.below(3)).collect(),
            reply_to,
            to_user: if reply_to.is_some() || dice.one_in(4) { Some(dice.below(50) + 1) } else { None },
            quotes: other(dice, 6),
            repost_of: is_repost.then(|| 1_700_000_000_000_000_000 + dice.below(1 << 30)),
            point: (!is_repost && dice.one_in(6)).then(|| *dice.of(&[[2.1, 41.3], [0.0, 0.0], [-179.5, -17.5]])),
            place: (!is_repost && dice.one_in(3)).then_some(place),
            rule: dice.one_in(5).then(|| *dice.of(&["rule-7", "words", "other"])),
            is_long: dice.one_in(6),
        });
        if dice.one_in(6) {
            all.push(all[dice.below(all.len() as u64) as usize].clone());
        }
    }
    all
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How v2 is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum V2 {
    Line,
    Page,
    Flat,
}

/// The post itself, the entries that it needs among the includes, and the tags of rules.
fn v2(post: &Post, form: V2, has_new_names: bool) -> (Value, Vec<Value>, Vec<Value>) {
    let name = |old: &str, new: &str| if has_new_names { new.to_owned() } else { old.to_owned() };
    let hashtags: Vec<_> = post.hashtags.iter().map(|tag| json!({"tag": tag, "start": 0, "end": 1})).collect();
    let urls: Vec<_> = post
        .links
        .iter()
        .map(|link| json!({"url": "https://t.co/x", "expanded_url": "https://short.example/1", "unwound_url": link}))
        .collect();
    let mentions: Vec<_> = post.mentions.iter().map(|id| json!({"username": "u", "id": id.to_string()})).collect();
    let entities = json!({"hashtags": hashtags, "urls": urls, "mentions": mentions});
    let text = escaped(&post.text);
    let mut object = json!({"id": post.id.to_string(), "lang": post.lang, "created_at": rfc3339(0)});
    let (mut posts, mut places) = (vec![], vec![]);
    let mut references = vec![];
    for (kind, id) in [("replied_to", post.reply_to), ("quoted", post.quotes)] {
        references.extend(id.map(|id| json!({"type": kind, "id": id.to_string()})));
    }
    if let Some(of) = post.repost_of {
        let mut reference = json!({"type": "retweeted", "id": of.to_string()});
        let original = json!({"id": of.to_string(), "text": text, "entities": entities});
        if form == V2::Flat {
            reference["text"] = json!(text);
            reference["entities"] = entities.clone();
        } else {
            posts.push(original);
        }
        references.push(reference);
        object["text"] = json!("RT @u: cut…");
    } else if post.is_long {
        object["text"] = json!("cut…");
        object[name("note_tweet", "note_post")] = json!({"text": text, "entities": entities});
    } else {
        object["text"] = json!(text);
        object["entities"] = entities;
    }
    if !references.is_empty() {
        object[name("referenced_tweets", "referenced_posts")] = json!(references);
    }
    object[name("edit_history_tweet_ids", "edit_history_post_ids")] =
        json!(post.earlier.iter().chain([&post.id]).map(u64::to_string).collect::<Vec<_>>());
    if let Some(author) = post.author {
        object["author_id"] = json!(author.to_string());
    }
    if let Some(user) = post.to_user {
        object["in_reply_to_user_id"] = json!(user.to_string());
    }
    if let Some(point) = post.point {
        object["geo"]["coordinates"] = json!({"type": "Point", "coordinates": point});
    }
    if let Some(place) = post.place {
        let id = format!("{place:?}");
        object["geo"]["place_id"] = json!(id);
        if form == V2::Flat {
            object["geo"]["geo"] = json!({"type": "Feature", "bbox": place});
        } else {
            places.push(json!({"id": id, "geo": {"type": "Feature", "bbox": place}}));
        }
    }
    let rules: Vec<_> = post.rule.iter().map(|tag| json!({"id": "1", "tag": tag})).collect();
    if form == V2::Flat && !rules.is_empty() {
        object["matching_rules"] = json!(rules);
    }
    let mut includes = vec![];
    includes.extend(posts.into_iter().map(|one| json!([name("tweets", "posts"), one])));
    includes.extend(places.into_iter().map(|one| json!(["places", one])));
    (object, includes, rules)
}

fn includes(entries: &[Value]) -> Value {
    let mut all = json!({});
    for entry in entries {
        let list = all.as_object_mut().unwrap().entry(entry[0].as_str().unwrap()).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(entry[1].clone());
    }
    all
}

fn v1(post: &Post, is_extended: bool) -> Value {
    let hashtags: Vec<_> = post.hashtags.iter().map(|tag| json!({"text": tag, "indices": [0, 1]})).collect();
    let urls: Vec<_> = post.links.iter().map(|link| json!({"url": "https://t.co/x", "expanded_url": "https://short.example/1", "unwound": {"url": link}})).collect();
    let mentions: Vec<_> =
        post.mentions.iter().map(|id| json!({"screen_name": "u", "id": id, "id_str": id.to_string()})).collect();
    let entities = json!({"hashtags": hashtags, "urls": urls, "user_mentions": mentions, "symbols": []});
    let text = escaped(&post.text);
    let words = if is_extended {
        json!({"full_text": text, "entities": entities})
    } else if post.is_long {
        json!({"text": "cut…", "truncated": true, "entities": {"hashtags": []}, "extended_tweet": {"full_text": text, "entities": entities}})
    } else {
        json!({"text": text, "entities": entities})
    };
    let id = |id: u64| json!(id.to_string());
    let mut status = json!({
        "created_at": "Mon May 13 12:00:00 +0000 2024", "id": post.id, "id_str": id(post.id), "lang": post.lang,
        "retweeted": false, "favorited": false, "in_reply_to_status_id": post.reply_to, "in_reply_to_status_id_str": post.reply_to.map(id),
        "in_reply_to_user_id": post.to_user, "in_reply_to_user_id_str": post.to_user.map(id), "coordinates": null, "place": null,
    });
    match post.author {
        Some(author) => status["user"] = json!({"id": author, "id_str": id(author)}),
        None => status["user"] = json!({}),
    }
    let merge = |into: &mut Value, from: &Value| {
        for (key, value) in from.as_object().unwrap() {
            into[key] = value.clone();
        }
    };
    if let Some(of) = post.repost_of {
        let mut original = json!({"id": of, "id_str": id(of), "user": {"id": 5, "id_str": "5"}});
        merge(&mut original, &words);
        status["retweeted_status"] = original;
        status[if is_extended { "full_text" } else { "text" }] = json!("RT @u: cut…");
        status["entities"] = json!({"hashtags": []});
    } else {
        merge(&mut status, &words);
    }
    if let Some(quoted) = post.quotes {
        status["is_quote_status"] = json!(true);
        status["quoted_status_id_str"] = id(quoted);
    }
    if !post.earlier.is_empty() {
        let ids: Vec<_> = post.earlier.iter().chain([&post.id]).map(u64::to_string).collect();
        status["edit_history"] = json!({"initial_tweet_id": ids[0], "edit_tweet_ids": ids});
    }
    if let Some(point) = post.point {
        status["coordinates"] = json!({"type": "Point", "coordinates": point});
        status["geo"] = json!({"type": "Point", "coordinates": [point[1], point[0]]});
    }
    if let Some([west, south, east, north]) = post.place {
        let ring = [[west, south], [west, north], [east, north], [east, south]];
        status["place"] = json!({"id": "1", "bounding_box": {"type": "Polygon", "coordinates": [ring]}});
    }
    if let Some(rule) = post.rule {
        status["matching_rules"] = json!([{"tag": rule, "id": 1, "id_str": "1"}]);
    }
    status
}

/// The posts in one of eight formats, as the values of an archive.
fn written(posts: &[Post], format: u64) -> Vec<Value> {
    let has_new_names = format % 2 == 1;
    match format {
        0 | 1 => posts
            .iter()
            .map(|post| {
                let (data, entries, rules) = v2(post, V2::Line, has_new_names);
                json!({"data": data, "includes": includes(&entries), "matching_rules": rules})
            })
            .collect(),
        2 | 3 => posts
            // Rules belong to a page as a whole, so those that a rule matched are alone.
            .chunk_by(|a, b| a.rule.is_none() && b.rule.is_none())
            .map(|page| {
                let parts: Vec<_> = page.iter().map(|post| v2(post, V2::Page, has_new_names)).collect();
                let data: Vec<_> = parts.iter().map(|part| &part.0).collect();
                let entries: Vec<_> = parts.iter().flat_map(|part| part.1.clone()).collect();
                json!({"data": data, "includes": includes(&entries), "matching_rules": parts[0].2, "meta": {"result_count": page.len()}})
            })
            .collect(),
        4 | 5 => posts.iter().map(|post| v2(post, V2::Flat, has_new_names).0).collect(),
        _ => posts.iter().map(|post| v1(post, format == 7)).collect(),
    }
}

/// The values in one of the framings that are read.
fn framed(values: &[Value], framing: u64) -> Vec<u8> {
    let lines = |separator: &str| values.iter().map(Value::to_string).collect::<Vec<_>>().join(separator);
    match framing {
        0 => lines("\n").into_bytes(),
        1 => format!("[{}]", lines(",")).into_bytes(),
        2 => format!("[\n{}\n]\n", lines(",\n")).into_bytes(),
        3 => values
            .iter()
            .map(|value| serde_json::to_string_pretty(value).unwrap() + "\n")
            .collect::<String>()
            .into_bytes(),
        4 => lines("").into_bytes(),
        5 => std::iter::once(0xfeff).chain(lines("\r\n").encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        _ => {
            let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            packed.write_all(lines("\n").as_bytes()).unwrap();
            packed.finish().unwrap()
        }
    }
}

/// What `replay --json` would print of an archive.
fn replayed(archive: &[u8], regions: &Regions, dir: &Path, runtime: &tokio::runtime::Runtime) -> (Vec<String>, Ledger) {
    let path = dir.join("archive");
    std::fs::write(&path, archive).unwrap();
    let (lanes, rules, machine) = (Lanes::new(regions, NETWORK), FoldRules::default(), Memory::new(MEMORY_LOG_BYTES));
    assert_eq!(rules.size, WindowSize::FIVE_MINUTES);
    let origin = Origin { source: "replay".into(), run: "run".into(), live: false, connected_ms: 0 };
    let sent = SharedSent::new(SentRules::archive(None));
    let mut cutter = Cutter::new(origin, CutRules::default(), rules.size, lanes.clone(), sent);
    let files = archive::find(&[path], &mut |note| panic!("{note}")).unwrap();
    let mut frames = vec![];
    archive::read_files(&files, 1 << 30, &mut |piece| {
        let archive::Piece::Chunk(chunk) = piece else { panic!("{piece:?}") };
        let parsed = parse(&chunk, regions, &lanes, &InstallationKey([7; 16]), i64::MAX, true);
        assert_eq!(parsed.stop, None);
        cutter.take(&parsed.batch, 0, &mut frames).unwrap();
        std::ops::ControlFlow::Continue(())
    });
    cutter.cut(0, &mut frames);
    let records: Vec<_> = frames.iter().map(|frame| frame.encode().unwrap()).collect();
    let folded = Folded::default();
    folded.drain(None);
    let reports = runtime.block_on(async {
        assert!(machine.log().append(&records).await.iter().all(Result::is_ok));
        follow(&machine, rules, &folded, &data::DeadLetterFolder(None)).await.unwrap();
        let mut lines = vec![];
        let mut each = |reports: &[WindowReport]| {
            lines.extend(reports.iter().map(|report| serde_json::to_string(report).unwrap()));
        };
        reports(&machine, rules, &cutter.touched(), &mut each).await.unwrap();
        lines
    });
    (reports, cutter.ledger())
}

#[test]
fn the_same_posts_make_the_same_windows_in_every_format_and_framing() {
    let regions = Regions::parse("test", REGIONS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut windows, mut counted) = (0, 0);
    for seed in seeds() {
        let mut dice = Dice(seed);
        let posts = posts(&mut dice);
        let expected = replayed(&framed(&written(&posts, 0), 0), &regions, dir.path(), &runtime);
        assert!(expected.1.balances(), "seed {seed}: {:?}", expected.1);
        windows += expected.0.len();
        counted += expected.1.sent;
        for format in 1..8 {
            let framing = dice.below(7);
            let found = replayed(&framed(&written(&posts, format), framing), &regions, dir.path(), &runtime);
            assert_eq!(found, expected, "seed {seed}, format {format}, framing {framing}");
        }
    }
    assert!(windows > 0 && counted > 0);
}
