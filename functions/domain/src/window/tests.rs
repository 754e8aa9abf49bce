//! Tests of the whole aggregate; those of a metric alone are in its file.

use proptest::prelude::*;

use super::metric::{Lag, Lateness, Metric};
use super::*;
use crate::frame::{FrameError, FrameHeader, Lane, Ledger, PostCount, SlimPost};
use crate::hashtag;
use crate::network::Network;
use crate::post::{Kind, Located};
use crate::wire::{self, DecodeError};

fn frame(counter: u64, cut_ms: i64, live: bool, posts: Vec<SlimPost>) -> Frame {
    let header = FrameHeader {
        lane: Lane::posts("r", Network::X, 0),
        source: "test".into(),
        run: "run".into(),
        counter,
        cut_ms,
        cut: 1,
        live,
        ledger: Ledger { received: 1, filtered: 1, ..Ledger::default() },
        ..FrameHeader::default()
    };
    Frame { header, posts, damage: None }
}

fn post(t: i64, author: u64) -> SlimPost {
    SlimPost {
        id: u128::from(author),
        time_ms: t,
        author: Some(author),
        kind: Kind::Repost,
        located: Located::Place,
        lang: "fr".into(),
        hashtags: vec!["Tag".into(), format!("t{}", author % 150)],
        mentions: 1,
        hosts: vec![format!("host{}.example", author % 40)],
        ..SlimPost::default()
    }
}

fn partial(aggregate: Aggregate) -> Partial {
    Partial { generation: 1, fence: 7u64.into(), aggregate, stored_ms: 0 }
}

#[test]
fn a_frame_counts_in_each_window_that_its_posts_lie_in() {
    let rules = FoldRules::default();
    let frame = frame(1, 310_000, true, vec![post(299_999, 1), post(300_000, 2), post(305_000, 2)]);
    assert_eq!(touched(rules, &frame), [WindowStart(0), WindowStart(300_000)]);
    let (mut first, mut second) = (Aggregate::default(), Aggregate::default());
    first.fold(rules, WindowStart(0), &frame);
    second.fold(rules, WindowStart(300_000), &frame);
    assert_eq!((first.posts(), second.posts()), (1, 2));
    assert_eq!((first.ledger.received, second.ledger.received), (0, 1), "the ledger belongs to the cut's window");
    assert_eq!(first.per_minute.0, [0, 0, 0, 0, 1]);
    assert_eq!(second.distinct_authors().value, 1);
    assert_eq!(second.lag, Lag { sum_ms: 15_000, max_ms: 10_000, count: 2 });
    assert_eq!((first.lateness, second.lateness), (Lateness::default(), Lateness::default()));
}

/// What each metric stores, and whether it says that it is empty. Left out are the frames that were folded, and hashtags,
/// whose profiles begin at the fifth post of a lane.
fn metrics(aggregate: &Aggregate) -> Vec<(&'static str, bool, Vec<u8>)> {
    macro_rules! list {
        ($($name:ident)+) => {
            vec![$({
                let mut bytes = vec![];
                aggregate.$name.encode(&mut bytes);
                (stringify!($name), Metric::is_empty(&aggregate.$name), bytes)
            }),+]
        };
    }
    list!(kinds per_minute languages authors mentions hosts matched_by lag lateness primary frames newest ledger damage media last_late)
}

proptest! {
    /// Posts and damage that are counted in two lanes are those that are counted in one.
    #[test]
    fn lanes_of_a_window_merge_into_the_whole(
        frames in prop::collection::vec(
            (prop::collection::vec((0i64..300_000, 0u64..40, 0usize..4, 0usize..5), 0..8), 0i64..900_000, any::<[bool; 4]>()),
            0..12,
        ),
    ) {
        let (rules, window) = (FoldRules::default(), WindowStart(0));
        let mut whole = Aggregate::default();
        let mut lanes = [Aggregate::default(), Aggregate::default()];
        for (n, (posts, cut_ms, [is_live, is_damaged, has_ledger, lane])) in frames.into_iter().enumerate() {
            let posts: Vec<_> = posts
                .into_iter()
                .map(|(time_ms, author, kind, located)| SlimPost {
                    author: (author % 5 > 0).then_some(author),
                    kind: Kind::ALL[kind],
                    located: Located::ALL[located],
                    is_copy: author % 3 == 0,
                    lang: ["fr", "en", "", "pt-BR"][kind].into(),
                    hashtags: vec![format!("t{}", author % 7)],
                    mentions: u32::from(author % 2 == 0),
                    has_media: located == 0,
                    ..post(time_ms, author)
                })
                .collect();
            let mut frame = frame(n as u64 + 1, cut_ms, is_live, posts);
            frame.header.ledger = if has_ledger { frame.header.ledger } else { Ledger::default() };
            if is_damaged {
                let primary = frame.posts.iter().filter(|post| !post.is_copy).count() as u64;
                frame.header.windows = vec![PostCount { window_ms: 0, posts: frame.posts.len() as u64, primary }];
                (frame.posts, frame.damage) = (vec![], Some(FrameError::Checksum));
            }
            whole.fold(rules, window, &frame);
            lanes[usize::from(lane)].fold(rules, window, &frame);
        }
        let [mut sum, other] = lanes;
        sum.merge(&other, true);
        for ((name, is_empty, bytes), ours) in metrics(&whole).into_iter().zip(metrics(&sum)) {
            prop_assert_eq!((name, is_empty, &bytes), (name, ours.1, &ours.2));
        }
        let tags = |aggregate: &Aggregate| {
            let top = aggregate.hashtags.top.as_ref().map(|top| top.top(7)).unwrap_or_default();
            top.into_iter().map(|tag| (tag.shown, tag.count)).collect::<Vec<_>>()
        };
        prop_assert_eq!(tags(&whole), tags(&sum));
        let nothing = metrics(&Aggregate::default());
        for ((name, is_empty, bytes), nothing) in metrics(&sum).into_iter().zip(nothing) {
            let has_nothing = if name == "per_minute" { sum.posts() == 0 } else { bytes == nothing.2 };
            prop_assert_eq!(is_empty, has_nothing, "{}", name);
        }
    }
}

/// A window with something of each metric.
fn of_all() -> Aggregate {
    let (rules, mut all) = (FoldRules::default(), Aggregate::default());
    let media = SlimPost { has_media: true, long_hashtags: 1, ..post(1, 1) };
    all.fold(rules, WindowStart(0), &frame(1, 299_000, true, vec![media; 6]));
    all.fold(rules, WindowStart(0), &frame(2, 900_000, true, vec![post(2, 2)]));
    let damaged = Frame { damage: Some(FrameError::Checksum), ..frame(3, 1, true, vec![]) };
    all.fold(rules, WindowStart(0), &damaged);
    all
}

#[test]
fn a_lean_aggregate_has_the_counts_that_need_little_room() {
    let all = of_all();
    let little = ["kinds", "lag", "lateness", "primary", "frames", "newest", "ledger", "damage", "last_late"];
    for ((name, is_empty, bytes), lean) in metrics(&all).into_iter().zip(metrics(&all.lean())) {
        assert!(!is_empty, "{name}");
        let has_it = little.contains(&name);
        assert_eq!((lean.1, lean.2 == bytes), (!has_it, has_it), "{name}");
    }
    assert!(Metric::is_empty(&all.lean().hashtags) && !all.lean().has_run_start());
    let bytes = all.encode_lean();
    assert_eq!(Aggregate::decode_lean(&bytes).unwrap().encode_lean(), bytes);
    assert_eq!(metrics(&Aggregate::decode_lean(&bytes).unwrap()), metrics(&all.lean()));
}

// Rule 1.5.
#[test]
fn a_frame_counts_once_and_one_of_no_run_each_time() {
    let rules = FoldRules::default();
    let mut twice = Aggregate::default();
    assert!(!twice.has_run_start());
    for _ in 0..2 {
        twice.fold(rules, WindowStart(0), &frame(2, 1, true, vec![post(1, 1)]));
    }
    assert_eq!((twice.posts(), twice.frames.0, twice.has_run_start()), (1, 1, false));
    twice.fold(rules, WindowStart(0), &frame(1, 1, true, vec![]));
    assert!(twice.has_run_start());
    let mut of_no_run = frame(2, 1, true, vec![post(1, 1)]);
    of_no_run.header.run = String::new();
    for _ in 0..2 {
        twice.fold(rules, WindowStart(0), &of_no_run);
    }
    assert_eq!((twice.posts(), twice.frames.0), (3, 4));
}

#[test]
fn a_window_that_starts_again_is_damaged() {
    let restarted = Aggregate::restarted();
    assert_eq!((restarted.damage.resets, restarted.posts(), restarted.is_damaged()), (1, 0, true));
    assert!(!Aggregate::default().is_damaged() && of_all().is_damaged());
}

#[test]
fn a_merged_aggregate_shrinks_to_what_can_be_stored() {
    let mut day = Aggregate::default();
    for window in 0..8 {
        let posts = (0..90u64).map(|n| SlimPost {
            hashtags: vec![format!("w{window}-{n}")],
            hosts: (n < 30).then(|| format!("w{window}-{n}.example")).into_iter().collect(),
            ..post(1, n)
        });
        // Five tags of each window have enough posts for a profile.
        let many = (0..10).map(|n| SlimPost {
            hashtags: (0..5).map(|tag| format!("p{window}-{tag}")).collect(),
            hosts: vec![],
            ..post(1, n)
        });
        let mut of_window = Aggregate::default();
        of_window.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, posts.chain(many).collect()));
        day.merge(&of_window, false);
    }
    let profiles = |aggregate: &Aggregate| {
        let keys = (0..8).flat_map(|window| (0..5).map(move |tag| format!("p{window}-{tag}")));
        keys.filter(|key| aggregate.hashtags.profiles.of(key).is_some()).count()
    };
    let sizes = |aggregate: &Aggregate| {
        let (tags, hosts) = (aggregate.hashtags.top.as_ref().unwrap(), aggregate.hosts.top.as_ref().unwrap());
        (tags.len(), hosts.len(), profiles(aggregate))
    };
    assert!(sizes(&day).0 > 256 && sizes(&day).1 > 96 && sizes(&day).2 > 24);
    day.shrink();
    assert!(sizes(&day).0 <= 256 && sizes(&day).1 <= 96 && sizes(&day).2 == 24);
}

#[test]
fn minutes_of_the_next_window_follow() {
    let rules = FoldRules::default();
    let of = |start_ms: i64| {
        let mut window = Aggregate::default();
        window.fold(rules, WindowStart(start_ms), &frame(1, start_ms, true, vec![post(start_ms + 60_000, 1)]));
        window
    };
    let mut two = of(0);
    two.merge(&of(300_000), false);
    assert_eq!(two.per_minute.0, [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]);
    let mut longer = of(0);
    longer.per_minute.0.truncate(1);
    longer.merge(&of(0), true);
    assert_eq!(longer.per_minute.0, [0, 1, 0, 0, 0], "a lane may know fewer minutes");
}

/// Posts by `authors`, one each, and further ones without author.
fn of_authors(authors: impl Iterator<Item = u64>, authorless: u64) -> Aggregate {
    let scattered = authors.map(|n| post(1, n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)));
    let nobodys = (0..authorless).map(|n| SlimPost { author: None, ..post(1, n) });
    let mut aggregate = Aggregate::default();
    let frame = frame(1, 1, true, scattered.chain(nobodys).collect());
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame);
    aggregate
}

// Rule 9.2.
#[test]
fn there_are_never_more_authors_than_posts() {
    for n in [1, 224, 225, 400, 1000, 1300, 5000] {
        for from in 0..20 {
            let authors = of_authors(from * 10_000..from * 10_000 + n, 0).distinct_authors();
            assert!(authors.value <= n && authors.low <= authors.value, "{authors:?} of {n}");
            assert!(authors.high <= n && authors.high >= authors.value, "{authors:?} of {n}");
        }
    }
}

// Rule 9.2.
#[test]
fn an_hour_has_as_many_authors_as_any_of_its_windows() {
    // The same authors in each window, in another order: each window has a separate estimate.
    for n in [1000, 1300, 3000] {
        let windows: Vec<_> = (0..12).map(|w| of_authors((0..n).map(|a| (a * 7 + w * 101) % n), 0)).collect();
        let mut hour = Aggregate::default();
        for window in &windows {
            hour.merge(window, false);
        }
        let hour = hour.distinct_authors();
        for window in windows.iter().map(Aggregate::distinct_authors) {
            assert!(window.value <= hour.value && window.low <= hour.low, "{window:?} {hour:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    // Rule 9.2.
    /// However windows are grouped into steps and a total, the total has one estimate of authors, which is
    /// not above the posts and not below that of any step or window.
    #[test]
    fn authors_add_up_the_same_in_any_order(
        spans in prop::collection::vec((0u64..2000, 0u64..700, 0u64..4), 1..8), turn in 0usize..8, size in 1usize..5,
    ) {
        let merged = |parts: &[Aggregate]| parts.iter().fold(Aggregate::default(), |mut sum, part| {
            sum.merge(part, false);
            sum
        });
        let mut windows: Vec<_> = spans.iter().map(|(from, n, nobodys)| of_authors(*from..from + n, *nobodys)).collect();
        let total = merged(&windows).distinct_authors();
        windows.rotate_left(turn % spans.len());
        prop_assert_eq!(merged(&windows).distinct_authors(), total);
        let steps: Vec<_> = windows.chunks(size).map(merged).collect();
        prop_assert_eq!(merged(&steps).distinct_authors(), total);
        prop_assert!(total.high <= steps.iter().map(Aggregate::posts).sum());
        for part in steps.iter().chain(&windows) {
            let authors = part.distinct_authors();
            prop_assert!(authors.value <= total.value && authors.low <= total.low, "{:?} {:?}", authors, total);
            prop_assert!(authors.low <= authors.value && authors.value <= authors.high);
            prop_assert!(authors.high <= part.posts());
        }
    }
}

// Rule 4.7.
#[test]
fn damaged_partials_are_errors() {
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, vec![post(1, 1)]));
    let bytes = partial(aggregate).encode().unwrap();
    assert!(Partial::decode(1, &bytes).is_ok());
    for cut in 0..bytes.len() {
        assert!(Partial::decode(1, &bytes[..cut]).is_err(), "cut at {cut}");
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[cut] ^= 1 << bit;
            // A flip may hit what zstd does not use; then the state must be the very same.
            if let Ok(read) = Partial::decode(1, &flipped) {
                assert_eq!(read.encode().unwrap(), bytes, "bit {bit} of byte {cut}");
            }
        }
    }
}

// Rule 4.3.
/// `DynamoDB` accepts items of 400 KB, and a partial of more than 1 MiB in plain is not read.
#[test]
fn the_largest_partial_can_be_stored_and_read() {
    let mut dice = 1u64;
    let mut next = move |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    // Deseret has cases and four bytes a letter. Each tag comes in more spellings than are kept.
    let mut posts = vec![];
    for n in 0..2000 {
        let letters: Vec<u32> = (0..hashtag::MAX_HASHTAG_BYTES / 4).map(|_| next(40) as u32).collect();
        for _ in 0..if n < 200 { 8 } else { 1 } {
            let tag: String =
                letters.iter().filter_map(|letter| char::from_u32(0x10400 + letter + 40 * next(2) as u32)).collect();
            let host: String = (0..253).map(|_| char::from(b'a' + next(26) as u8)).collect();
            let language: String = (0..35).map(|_| char::from(b'a' + next(26) as u8)).collect();
            posts.push(SlimPost { hashtags: vec![tag], hosts: vec![host], lang: language, ..post(1, next(1 << 40)) });
        }
    }
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 1, true, posts));
    let bytes = partial(aggregate).encode().unwrap();
    assert!(bytes.len() < 300_000, "{} bytes", bytes.len());
    assert_eq!(Partial::decode(1, &bytes).unwrap().encode().unwrap(), bytes);
}

#[test]
fn a_typical_partial_is_at_most_four_kib() {
    let posts = (0..1500).map(|n| post(n * 199, (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame(1, 299_000, true, posts));
    let bytes = partial(aggregate).encode().unwrap();
    assert!(bytes.len() <= 4096, "{} bytes", bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    // Rule 1.1.
    /// A restart between any two frames must not show in the stored bytes.
    #[test]
    fn a_reload_between_frames_changes_no_byte(posts in prop::collection::vec((0i64..300_000, 0u64..700), 0..900), every in 1usize..60) {
        let rules = FoldRules::default();
        let (mut straight, mut reloaded) = (Aggregate::default(), Aggregate::default());
        for (n, chunk) in posts.chunks(every).enumerate() {
            let frame = frame(n as u64 + 1, 299_999, true, chunk.iter().map(|(t, a)| post(*t, a * 7919)).collect());
            straight.fold(rules, WindowStart(0), &frame);
            reloaded.fold(rules, WindowStart(0), &frame);
            reloaded = Partial::decode(1, &partial(reloaded).encode().unwrap()).unwrap().aggregate;
        }
        prop_assert_eq!(partial(straight).encode().unwrap(), partial(reloaded).encode().unwrap());
    }
}

/// The state of a partial in plain, without its checksum.
fn plain(partial: &Partial) -> Vec<u8> {
    let mut plain = zstd::bulk::decompress(&partial.encode().unwrap(), MAX_PARTIAL_BYTES).unwrap();
    plain.truncate(plain.len() - 4);
    plain
}

fn read_plain(mut plain: Vec<u8>) -> Result<Partial, DecodeError> {
    plain.extend(crc32fast::hash(&plain).to_le_bytes());
    Partial::decode(1, &zstd::bulk::compress(&plain, 3).unwrap())
}

fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![];
    wire::put_u64(&mut field, tag);
    wire::put_bytes(&mut field, bytes);
    field
}

// Rule 1.9.
#[test]
fn a_field_of_a_newer_release_is_kept_byte_for_byte_and_marks_the_window() {
    let known = partial(of_authors(0..3, 1));
    let newer = [plain(&known), field(1000, b"what is it?"), field(2000, b"")].concat();
    let read = read_plain(newer.clone()).unwrap();
    assert!(read.aggregate.is_newer() && !known.aggregate.is_newer());
    assert_eq!((read.aggregate.posts(), read.aggregate.authors.authorless), (4, 1), "what is known can be read");
    assert_eq!(plain(&read), newer);
}

// Rule 1.8.
#[test]
fn a_state_has_one_form_and_all_others_are_refused() {
    let good = plain(&partial(of_authors(0..3, 0)));
    let empty = plain(&partial(Aggregate::default()));
    assert!(read_plain(good.clone()).is_ok() && read_plain(empty.clone()).is_ok());
    let kinds = field(1, &[0, 0, 0, 3]);
    assert!(good.windows(kinds.len()).any(|bytes| bytes == kinds), "three reposts");
    for (what, plain) in [
        ("a field twice", [&empty[..], &kinds, &kinds].concat()),
        ("fields in another order", [empty.clone(), field(6, &[1]), kinds.clone()].concat()),
        ("an empty field", [&empty[..], &field(1, &[0, 0, 0, 0])].concat()),
        ("a field that is too long", [&empty[..], &field(1, &[0, 0, 0, 3, 0])].concat()),
        ("a field that is too short", [&empty[..], &field(1, &[0, 0, 3])].concat()),
        ("a length beyond the end", [&empty[..], &[1, 9, 0, 0, 0, 3]].concat()),
        ("a tag of 0", [&empty[..], &field(0, &[])].concat()),
    ] {
        assert!(read_plain(plain).is_err(), "{what}");
    }
    assert!(read_plain([empty, kinds].concat()).is_ok());
}

// Rule 4.9.
#[test]
fn a_window_of_an_older_release_is_refused_as_such() {
    let mut old = plain(&partial(of_authors(0..3, 0)));
    old[0] = 4;
    let error = read_plain(old).unwrap_err().to_string();
    assert!(error.contains("another release of Birdsong wrote this one"), "{error}");
}
