use super::*;
use birdsong_domain::frame::STREAM;
use birdsong_domain::network::Network;
use birdsong_domain::post::{PostId, SourcePost};
use birdsong_domain::region::Regions;
use proptest::prelude::*;

use crate::sent::SentRules;

fn post(id: u64, lang: &'static str) -> SourcePost<'static> {
    SourcePost {
        id: PostId(u128::from(id)),
        time_ms: id as i64 * 1000,
        author: Some(id % 7),
        lang: lang.into(),
        text: "word".into(),
        ..SourcePost::default()
    }
}

fn regions() -> Regions {
    let text = "[[region]]\nid = \"fr\"\nlanguages = [\"fr\"]\nhot_buckets = 3\n\
                [[region]]\nid = \"word\"\nkeywords = [\"word\"]\nlanguages = [\"fr\", \"en\"]\n";
    Regions::parse("test", text).unwrap()
}

fn cutter(regions: &Regions, live: bool, max_bytes: usize) -> Cutter {
    let origin = Origin { source: "test".into(), run: "run".into(), live, connected_ms: 0 };
    let rules = CutRules { max_bytes, ..CutRules::default() };
    Cutter::new(
        origin,
        rules,
        WindowSize::FIVE_MINUTES,
        Lanes::new(regions, Network::X),
        SharedSent::new(SentRules::archive(None)),
    )
}

#[test]
fn silence_still_sends_heartbeats_and_only_when_live() {
    let regions = regions();
    for live in [true, false] {
        let mut cutter = cutter(&regions, live, 1000);
        let mut out = vec![];
        cutter.tick(9_999, &mut out);
        assert!(out.is_empty());
        cutter.tick(10_000, &mut out);
        cutter.tick(10_001, &mut out);
        assert_eq!(out.len(), usize::from(live));
        if let Some(beat) = out.first() {
            assert_eq!((beat.header().lane.region(), beat.header().cut_ms), (STREAM, 10_000));
        }
    }
}

#[test]
fn a_post_waits_no_longer_than_the_age() {
    let regions = regions();
    let lanes = Lanes::new(&regions, Network::X);
    let mut cutter = cutter(&regions, true, 1 << 20);
    let (mut out, mut batch) = (vec![], Batch::default());
    batch.add(&regions, &lanes, &post(1, "en"));
    cutter.take(&batch, 5000, &mut out).unwrap();
    assert!(out.is_empty() && !cutter.is_drained());
    assert_eq!(cutter.ledger(), Ledger { received: 1, sent: 1, ..Ledger::default() }, "with what is not cut");
    cutter.tick(5999, &mut out);
    assert!(out.is_empty());
    cutter.tick(6000, &mut out);
    assert!(cutter.is_drained());
    assert_eq!(out.len(), 2, "the lane's frame and the ledger's");
    assert_eq!(out[1].header().ledgers, [(0, Ledger { received: 1, sent: 1, ..Ledger::default() })]);
    assert_eq!(out[0].header().windows, [PostCount { window_ms: 0, posts: 1, primary: 1 }]);
}

/// Cut time in seconds and the share in permille that was not asked for, of each frame.
fn unasked(out: &[CutFrame]) -> Vec<(i64, u64)> {
    out.iter().map(|frame| (frame.header.cut_ms / 1000, frame.header.ledger.unasked_permille)).collect()
}

// Rule 3.8.
#[test]
fn each_window_in_which_a_source_was_sampled_has_a_frame_that_states_it() {
    let mut cutter = cutter(&regions(), true, 1000);
    let mut out = vec![];
    cutter.tick(295_000, &mut out);
    cutter.sampling(0.25, 299_500, &mut out);
    cutter.sampling(0.25, 299_900, &mut out);
    for at_ms in (305_000..=595_000).step_by(10_000) {
        cutter.tick(at_ms, &mut out);
    }
    cutter.sampling(0.5, 600_000, &mut out);
    cutter.sampling(1.0, 604_999, &mut out);
    cutter.tick(605_000, &mut out);
    let all = unasked(&out);
    assert_eq!(all[..3], [(295, 0), (299, 750), (305, 750)], "also the window whose last heartbeat had been cut");
    assert_eq!(all[all.len() - 4..], [(595, 750), (600, 750), (604, 500), (605, 0)]);
    let numbers: Vec<_> = out.iter().map(|frame| frame.header.counter).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    assert_eq!(cutter.ledger().unasked_permille, 750);
}

#[test]
fn a_share_is_rounded_to_permille_and_never_up_to_all() {
    for (share, permille) in [(0.0, 1000), (0.001, 999), (0.29, 710), (0.9999, 1), (1.0, 0), (1.5, 0), (-1.0, 1000)] {
        let mut cutter = cutter(&regions(), true, 1000);
        let mut out = vec![];
        cutter.sampling(share, 0, &mut out);
        cutter.tick(10_000, &mut out);
        assert_eq!(out.last().unwrap().header.ledger.unasked_permille, permille, "{share}");
    }
}

#[test]
fn a_share_that_changes_while_disconnected_is_reported_by_the_next_frame_alone() {
    let regions = regions();
    let mut cutter = cutter(&regions, true, 1000);
    let (mut out, mut batch) = (vec![], Batch::default());
    cutter.sampling(0.5, 1000, &mut out);
    batch.add(&regions, &Lanes::new(&regions, Network::X), &post(1, "de"));
    cutter.take(&batch, 12_000, &mut out).unwrap();
    cutter.disconnected();
    cutter.sampling(1.0, 20_000, &mut out);
    assert_eq!(unasked(&out), [(1, 500), (12, 500)], "a frame would mark the window as observed");
    cutter.connected(25_000);
    cutter.tick(25_000, &mut out);
    assert_eq!(unasked(&out)[2..], [(25, 0)]);
}

/// The lines of all frames as (region, id, whether it is the first copy), and the sum of the ledgers.
fn decoded(out: &[CutFrame]) -> (Vec<(String, u128, bool)>, Ledger) {
    let (mut lines, mut ledger) = (vec![], Ledger::default());
    for frame in out {
        let frame = frame::decode(&frame.encode().unwrap().bytes).unwrap();
        frame.header.ledgers().for_each(|(_, part)| ledger.add(part));
        let region = frame.header.lane.region().to_owned();
        lines.extend(frame.posts.iter().map(|post| (region.clone(), post.id, !post.is_copy)));
    }
    lines.sort();
    (lines, ledger)
}

// Rule 7.3.
#[test]
fn a_region_that_is_added_later_gets_the_posts_that_others_have() {
    let both = "[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\n[[region]]\nid = \"b\"\nkeywords = [\"word\"]\n\
                [[region]]\nid = \"c\"\nlanguages = [\"fr\"]\nkeywords = [\"word\"]\n";
    let one = Regions::parse("test", &both[..both.find("[[region]]\nid = \"b\"").unwrap()]).unwrap();
    let both = Regions::parse("test", both).unwrap();
    let sent = SharedSent::new(SentRules::archive(None));
    let run = |regions: &Regions| {
        let origin = Origin { source: "test".into(), run: "run".into(), live: false, connected_ms: 0 };
        let lanes = Lanes::new(regions, Network::X);
        let mut cutter =
            Cutter::new(origin, CutRules::default(), WindowSize::FIVE_MINUTES, lanes.clone(), sent.clone());
        let (mut out, mut batch) = (vec![], Batch::default());
        batch.add(regions, &lanes, &post(1, "fr"));
        batch.add(regions, &lanes, &post(2, "en"));
        cutter.take(&batch, 0, &mut out).unwrap();
        cutter.cut(0, &mut out);
        let (lines, ledger) = decoded(&out);
        assert!(ledger.balances());
        assert_eq!(lines.iter().filter(|line| line.2).count() as u64, ledger.sent, "one first copy a sent post");
        (lines, ledger.duplicates)
    };
    assert_eq!(run(&one), (vec![("a".into(), 1, true)], 0));
    let added = [("b".into(), 1, true), ("b".into(), 2, true), ("c".into(), 1, false)];
    assert_eq!(run(&both), (added.to_vec(), 0), "one of the copies that are added is the first");
    assert_eq!(run(&both), (vec![], 2));
    assert_eq!(run(&one), (vec![], 1));
}

// Rule 3.4.
#[test]
fn lines_of_an_archive_count_in_the_windows_that_they_belong_to() {
    let regions = regions();
    let lanes = Lanes::new(&regions, Network::X);
    let mut cutter = cutter(&regions, false, 1 << 20);
    let broken = || crate::unreadable::Unreadable::new(&"test".into(), 1, "broken".into(), b"{");
    let mut out = vec![];
    // No post yet: the lines belong to the first one that comes.
    let mut batch = Batch::default();
    batch.add_unreadable(broken());
    batch.add(&regions, &lanes, &post(10, "en"));
    batch.add(&regions, &lanes, &post(400, "de"));
    batch.add_unreadable(broken());
    batch.add_notice();
    batch.add(&regions, &lanes, &post(900, "en"));
    batch.add(&regions, &lanes, &post(10, "en"));
    cutter.take(&batch, 5_000_000, &mut out).unwrap();
    let mut batch = Batch::default();
    batch.add_notice();
    cutter.take(&batch, 5_000_000, &mut out).unwrap();
    cutter.cut(5_000_000, &mut out);
    let frame = out.last().unwrap().header();
    assert!(frame.ledger.is_empty());
    let base = Ledger::default();
    assert_eq!(
        frame.ledgers,
        [
            (0, Ledger { received: 4, sent: 1, duplicates: 1, quarantined: 1, filtered: 1, ..base }),
            (300_000, Ledger { received: 3, filtered: 2, quarantined: 1, ..base }),
            (900_000, Ledger { received: 1, sent: 1, ..base }),
        ]
    );
    assert_eq!(decoded(&out).1, cutter.ledger());
}

/// A cutter of a Mastodon server's posts for one region, and the lanes.
fn mastodon(live: bool, max_bytes: usize) -> (Regions, Lanes, Cutter) {
    let regions = Regions::everything("all");
    let lanes = Lanes::new(&regions, Network::MASTODON);
    let origin = Origin { source: "mastodon:a".into(), run: "run".into(), live, connected_ms: 5000 };
    let rules = CutRules { max_bytes, ..CutRules::default() };
    let sent = SharedSent::new(SentRules::archive(None));
    let cutter = Cutter::new(origin, rules, WindowSize::FIVE_MINUTES, lanes.clone(), sent);
    (regions, lanes, cutter)
}

#[test]
fn each_frame_states_who_cut_it_and_since_when_that_is_connected() {
    for live in [true, false] {
        let (regions, lanes, mut cutter) = mastodon(live, 1 << 20);
        let (mut out, mut batch) = (vec![], Batch::default());
        batch.add(&regions, &lanes, &post(1, "en"));
        cutter.take(&batch, 6000, &mut out).unwrap();
        cutter.cut(6000, &mut out);
        cutter.connected(7000);
        cutter.gap(6000, 7000, &mut out);
        let ledger = || Lane::ledger(Network::MASTODON, "mastodon:a");
        let lanes = [Lane::posts("all", Network::MASTODON, 0), ledger(), ledger()];
        for (n, lane) in lanes.into_iter().enumerate() {
            let FrameHeader { lane: found, source, run, connected_ms, live: is_live, .. } = out[n].header();
            assert_eq!((found, &**source, &**run), (&lane, "mastodon:a", "run"));
            assert_eq!((*connected_ms, *is_live), (if n < 2 { 5000 } else { 7000 }, live));
        }
    }
}

#[test]
fn a_full_buffer_is_cut_within_a_batch() {
    let (regions, lanes, mut cutter) = mastodon(false, 1);
    let (mut out, mut batch) = (vec![], Batch::default());
    (1..=3).for_each(|id| batch.add(&regions, &lanes, &post(id, "en")));
    cutter.take(&batch, 0, &mut out).unwrap();
    assert_eq!(out.iter().map(|frame| frame.header().lane.is_ledger()).collect::<Vec<_>>(), [false, true].repeat(3));
}

/// Posts of an archive may be of as many windows as there are posts.
#[test]
fn no_ledger_has_more_than_512_windows() {
    for is_sent in [true, false] {
        let regions = regions();
        let lanes = Lanes::new(&regions, Network::X);
        let mut cutter = cutter(&regions, false, 1 << 20);
        let (mut out, mut batch) = (vec![], Batch::default());
        for id in 0..1100 {
            batch.add(&regions, &lanes, &post(id * 300, if is_sent { "en" } else { "de" }));
        }
        cutter.take(&batch, 0, &mut out).unwrap();
        cutter.cut(0, &mut out);
        let windows: Vec<_> = out.iter().map(|frame| frame.header().ledgers.len()).filter(|count| *count > 0).collect();
        assert_eq!(windows, [512, 512, 76], "sent: {is_sent}");
    }
}

#[test]
fn a_cutter_knows_the_windows_of_its_posts_and_the_newest_time() {
    let regions = regions();
    let lanes = Lanes::new(&regions, Network::X);
    let mut cutter = cutter(&regions, false, 1 << 20);
    assert_eq!((cutter.touched(), cutter.newest_ms()), (BTreeSet::new(), None));
    let (mut out, mut batch) = (vec![], Batch::default());
    [(1, "fr"), (700, "en"), (2, "en"), (900, "de")]
        .iter()
        .for_each(|(id, lang)| batch.add(&regions, &lanes, &post(*id, lang)));
    cutter.take(&batch, 0, &mut out).unwrap();
    assert_eq!(cutter.touched(), BTreeSet::from([("fr", 0), ("word", 0), ("word", 600_000)]));
    assert_eq!(cutter.newest_ms(), Some(900_000));
}

/// A live line without a time is of now, that of an archive is next to the post before it.
#[test]
fn lines_without_a_time_count_where_the_source_is() {
    for (live, window_ms) in [(true, 900_000), (false, 600_000)] {
        let (regions, lanes, mut cutter) = mastodon(live, 1 << 20);
        let (mut out, mut batch) = (vec![], Batch::default());
        batch.add_notice();
        batch.add(&regions, &lanes, &post(700, "en"));
        cutter.take(&batch, 1_000_000, &mut out).unwrap();
        let mut batch = Batch::default();
        batch.add_notice();
        cutter.take(&batch, 1_000_000, &mut out).unwrap();
        cutter.cut(1_000_000, &mut out);
        let mut filtered = BTreeMap::new();
        for (at_ms, ledger) in out.iter().flat_map(|frame| &frame.header().ledgers) {
            *filtered.entry(*at_ms).or_default() += ledger.filtered;
        }
        filtered.retain(|_, count| *count > 0);
        let mut expected = BTreeMap::from([(600_000, 1)]);
        *expected.entry(window_ms).or_default() += 1;
        assert_eq!(filtered, expected, "live: {live}");
    }
}

/// Each notice has the sum since the connection.
#[test]
fn what_a_source_withheld_counts_once() {
    let (_, _, mut cutter) = mastodon(true, 1 << 20);
    let mut out = vec![];
    // The last one is of a new connection.
    for total in [Some(1), Some(10), None, Some(25), Some(25), Some(5)] {
        let mut batch = Batch::default();
        match total {
            Some(total) => batch.add_withheld(total),
            None => batch.add_notice(),
        }
        cutter.take(&batch, 0, &mut out).unwrap();
    }
    assert_eq!(cutter.ledger(), Ledger { received: 6, filtered: 6, withheld: 30, ..Ledger::default() });
}

proptest! {
    /// Rule 3.1. Whatever comes and wherever it is cut, the ledgers up to any frame balance, and those up to a
    /// ledger's frame count as sent exactly the posts before it, window by window. Each post is in the frames
    /// once per region, with one primary copy.
    #[test]
    fn the_ledger_holds_in_every_prefix_of_the_log(
        posts in prop::collection::vec((0u64..600, 0usize..3), 0..200), cut in 1usize..40, max_bytes in 1usize..4000,
        live: bool,
    ) {
        let regions = regions();
        let lanes = Lanes::new(&regions, Network::X);
        let mut cutter = cutter(&regions, live, max_bytes);
        let mut out = vec![];
        for chunk in posts.chunks(cut) {
            let mut batch = Batch::default();
            for (id, lang) in chunk {
                batch.add(&regions, &lanes, &post(*id, ["fr", "en", "de"][*lang]));
            }
            batch.add_notice();
            cutter.take(&batch, 0, &mut out).unwrap();
        }
        cutter.cut(0, &mut out);
        let mut ledger = Ledger::default();
        let mut seen = std::collections::HashSet::new();
        let (mut primary, mut sent) = (BTreeMap::<i64, u64>::new(), BTreeMap::<i64, u64>::new());
        for frame in &out {
            let frame = frame::decode(&frame.encode().unwrap().bytes).unwrap();
            for (at_ms, part) in frame.header.ledgers() {
                ledger.add(part);
                *sent.entry(at_ms).or_default() += part.sent;
            }
            prop_assert!(ledger.balances(), "{:?}", ledger);
            let mut counted = BTreeMap::<i64, (u64, u64)>::new();
            for post in &frame.posts {
                let window_ms = cutter.size.start_of(post.time_ms).0;
                *primary.entry(window_ms).or_default() += u64::from(!post.is_copy);
                let counts = counted.entry(window_ms).or_default();
                *counts = (counts.0 + 1, counts.1 + u64::from(!post.is_copy));
                prop_assert!(seen.insert((frame.header.lane.region().to_owned(), post.id)));
            }
            let stated = frame.header.windows.iter().map(|count| (count.window_ms, (count.posts, count.primary)));
            prop_assert_eq!(stated.collect::<BTreeMap<_, _>>(), counted, "the header states what is in the frame");
            if frame.header.lane.is_ledger() {
                for windows in [&mut primary, &mut sent] {
                    windows.retain(|_, posts| *posts > 0);
                }
                prop_assert_eq!(&primary, &sent);
            }
        }
        prop_assert_eq!(ledger, cutter.ledger());
        prop_assert_eq!(primary.values().sum::<u64>(), ledger.sent);
    }
}
