use proptest::prelude::*;

use super::*;
use crate::frame::{Frame, FrameHeader, SlimPost};
use crate::time::WindowStart;
use crate::window::{Aggregate, FoldRules};

fn window(posts: &[(&str, u64)], network: Network) -> WindowSeries {
    let line = |(tag, author): &(&str, u64)| SlimPost {
        author: Some(author.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        hashtags: vec![(*tag).to_owned()],
        ..SlimPost::default()
    };
    let lane = Lane::posts("a", network, 0);
    let header = FrameHeader { lane: lane.clone(), run: "r".into(), counter: 1, ..FrameHeader::default() };
    let frame = Frame { header, posts: posts.iter().map(line).collect(), ..Frame::default() };
    let mut aggregate = Aggregate::default();
    aggregate.fold(FoldRules::default(), WindowStart(0), &frame);
    let rollup = Rollup { aggregate, ..Rollup::default() };
    WindowSeries::new([(&lane, &rollup)], WindowSize::FIVE_MINUTES)
}

fn stored(day: &DaySeries) -> DaySeries {
    let bytes = day.encode().unwrap();
    let read = DaySeries::decode(&bytes).unwrap();
    assert_eq!(read.encode().unwrap(), bytes);
    read
}

#[test]
fn windows_are_replaced_and_what_they_had_is_gone() {
    let mut day = DaySeries::default();
    day.set(
        0..12,
        [(0, window(&[("Fog", 1), ("Fog", 2), ("sun", 1)], Network::X)), (3, window(&[("fog", 1)], Network::X))],
    );
    day = stored(&day);
    let key = (Item::Hashtag, "fog".into());
    assert_eq!((day.items[&key].spelling(..), day.items[&key].posts(), day.items.len()), ("Fog", 3, 2));
    assert_eq!(day.windows[&0].networks[&Network::X].posts, 3);
    let mut other = day.clone();
    other.set(0..12, [(1, window(&[("rain", 1)], Network::X))]);
    let mut fresh = DaySeries::default();
    fresh.set(0..12, [(1, window(&[("rain", 1)], Network::X))]);
    assert_eq!((stored(&other), other.items.len()), (fresh, 1));
}

// Rule 1.17. Found by digest/tests/model.
#[test]
fn the_spelling_of_a_hashtag_does_not_depend_on_the_order_in_which_windows_come() {
    let windows = [("Fog", 1), ("FOG", 1), ("fog", 2)];
    let put = |day: &mut DaySeries, position: u16, (tag, posts): (&str, u64)| {
        let posts: Vec<_> = (0..posts).map(|author| (tag, author)).collect();
        day.set(position..position + 1, [(position, window(&posts, Network::X))]);
        *day = stored(day);
    };
    let key = (Item::Hashtag, "fog".into());
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut day = DaySeries::default();
        // A window that is replaced leaves no spelling behind.
        put(&mut day, 0, ("fOG", 5));
        order.iter().for_each(|position| put(&mut day, *position, windows[usize::from(*position)]));
        let mut at_once = DaySeries::default();
        (0..3).for_each(|position| put(&mut at_once, position, windows[usize::from(position)]));
        assert_eq!(day, at_once, "{order:?}");
        let spellings = [day.items[&key].spelling(..), day.items[&key].spelling(..2), day.items[&key].spelling(1..2)];
        assert_eq!(spellings, ["fog", "Fog", "FOG"]);
    }
}

#[test]
fn a_day_that_is_too_large_loses_its_rarest_items_and_says_so_in_its_floors() {
    let mut day = DaySeries::default();
    for position in 0..288u16 {
        let tags: Vec<_> = (0..20u128)
            .map(|n| {
                let noise = (u128::from(position) * 20 + n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                format!("{noise:032x}{:032x}", noise.wrapping_mul(noise))
            })
            .collect();
        let mut posts: Vec<_> =
            tags.iter().enumerate().map(|(n, tag)| (&**tag, n as u64 * 77 + u64::from(position))).collect();
        posts.extend((0..9).map(|n| ("often", n * 31 + u64::from(position) * 7)));
        day.set(position..position + 1, [(position, window(&posts, Network::X))]);
    }
    assert!(day.encode().unwrap().len() <= MAX_BYTES);
    let read = stored(&day);
    let halves = [day.items.len() / 2, day.items.len() / 4];
    assert!(halves.contains(&read.items.len()), "half of them are left out, perhaps twice: {}", read.items.len());
    assert_eq!(read.items[&(Item::Hashtag, "often".into())].entries.len(), 288);
    assert!(read.windows.values().all(|window| window.floors[0] >= 1));
}

#[test]
fn authors_of_several_windows_are_united() {
    let entry = |posts: &[(&str, u64)]| {
        let window = window(posts, Network::X);
        window.items.into_values().next().unwrap().1
    };
    let (one, two, three) = (entry(&[("a", 1)]), entry(&[("a", 2)]), entry(&[("a", 3), ("a", 1)]));
    assert_eq!(evidence([&one]), (1, Some(1000)));
    assert_eq!(evidence([&one, &two, &three]).0, 3);
    let flood = entry(&[("a", 9); 40]);
    assert_eq!(evidence([&flood]), (1, Some(1000)));
    let (authors, share) = evidence([&flood, &two]);
    assert!(authors == 2 && (950..=975).contains(&share.unwrap()), "{share:?}");
}

#[test]
fn nothing_is_known_of_the_authors_of_no_posts() {
    assert_eq!(evidence([]), (0, None));
}

fn any_watch() -> impl Strategy<Value = Watch> {
    (any::<[bool; 5]>(), 0u64..=1000).prop_map(|(flags, unasked_permille)| Watch {
        is_known: flags[0],
        is_missed: flags[1],
        is_lost: flags[2],
        is_damaged: flags[3],
        is_restart: flags[4],
        unasked_permille,
    })
}

proptest! {
    #[test]
    fn lanes_of_a_network_are_watched_together(one in any_watch(), other in any_watch()) {
        let mut both = one;
        both.add(other);
        let expected = Watch {
            is_known: one.is_known || other.is_known,
            is_missed: one.is_missed || other.is_missed,
            is_lost: one.is_lost || other.is_lost,
            is_damaged: one.is_damaged || other.is_damaged,
            is_restart: one.is_restart || other.is_restart,
            unasked_permille: one.unasked_permille.max(other.unasked_permille),
        };
        prop_assert_eq!(both, expected);
        prop_assert_eq!(Watch::from_bits(both.bits()), both);
    }

    // Rule 1.17.
    #[test]
    fn a_day_follows_from_its_last_windows(
        windows in prop::collection::vec((0u16..6, prop::collection::vec((0usize..4, 0u64..4), 0..5)), 1..20),
    ) {
        let tags = ["Fog", "FOG", "fog", "Sun"];
        let of = |posts: &[(usize, u64)]| {
            let posts: Vec<_> = posts.iter().map(|(tag, author)| (tags[*tag], *author)).collect();
            window(&posts, Network::X)
        };
        let (mut day, mut last) = (DaySeries::default(), BTreeMap::new());
        for (position, posts) in &windows {
            day.set(*position..position + 1, [(*position, of(posts))]);
            last.insert(*position, of(posts));
        }
        let mut fresh = DaySeries::default();
        fresh.set(0..6, last);
        prop_assert_eq!(&day, &fresh);
        prop_assert_eq!(&stored(&day), &day);
    }
}

#[test]
fn a_window_is_whole_unless_posts_may_be_missing() {
    let whole = Watch { is_known: true, is_restart: true, ..Watch::default() };
    assert!(whole.is_whole() && Watch::default().is_whole());
    for flawed in [
        Watch { is_missed: true, ..whole },
        Watch { is_lost: true, ..whole },
        Watch { is_damaged: true, ..whole },
        Watch { unasked_permille: 1, ..whole },
    ] {
        assert!(!flawed.is_whole(), "{flawed:?}");
    }
}

#[test]
fn posts_are_those_of_a_network_or_of_all() {
    let mut two = window(&[("a", 1), ("a", 2)], Network::X);
    two.networks.extend(window(&[("a", 1)], Network::BLUESKY).networks);
    assert_eq!(
        [None, Some(Network::X), Some(Network::BLUESKY), Some(Network::MASTODON)].map(|of| two.posts(of)),
        [3, 2, 1, 0]
    );
}

#[test]
fn reference_counts_stand_in_for_a_day_of_which_nothing_is_known() {
    let (mut reference, size) = (ReferenceDay::default(), WindowSize::from_secs(60).unwrap());
    reference.set(0, 7);
    reference.set(1439, 8);
    let mut day = DaySeries::default();
    assert!(day.is_empty());
    day.stand_in(Network::X, &reference, size);
    let window = |posts| {
        let watch = Watch { is_known: true, ..Watch::default() };
        let networks = BTreeMap::from([(Network::X, NetworkWindow { posts, watch, authors: 0 })]);
        DayWindow { networks, is_reference: true, ..DayWindow::default() }
    };
    assert_eq!(day.windows, BTreeMap::from([(0, window(7)), (1439, window(8))]));
    assert!(!day.is_empty());
    let before = day.clone();
    reference.set(5, 1);
    day.stand_in(Network::X, &reference, size);
    assert_eq!(day, before, "something is known by now");
}

#[test]
fn a_fingerprint_is_of_the_windows_before_a_position() {
    let of = |last: &[(&str, u64)]| {
        let mut day = DaySeries::default();
        day.set(0..2, [(3, window(&[("fog", 1)], Network::X)), (4, window(last, Network::X))]);
        day
    };
    let (one, other) = (of(&[("fog", 2)]), of(&[("sun", 2)]));
    assert_eq!(one.fingerprint(4), other.fingerprint(4));
    assert_ne!(one.fingerprint(5), other.fingerprint(5));
}

#[test]
fn late_posts_and_those_without_authors_are_stored() {
    let mut day = DaySeries::default();
    let late_posts =
        [(0, Late::default()), (1, Late { posts: 5, last_ms: Some(1 << 40) }), (4, Late { posts: 3, last_ms: None })];
    for (position, late) in late_posts {
        day.set(
            position..position + 1,
            [(position, WindowSeries { is_revised: true, late, ..window(&[("a", 1); 3], Network::X) })],
        );
    }
    let mut nobodys = window(&[("a", 1)], Network::X);
    nobodys.items.values_mut().for_each(|(_, entry)| entry.authors = Authors::default());
    day.set(5..6, [(5, nobodys)]);
    assert_eq!(stored(&day), day);
}

#[test]
fn windows_alone_are_stored_however_large_they_are() {
    let mut day = DaySeries::default();
    let mut dice = 1u64;
    for position in 0..1440 {
        let networks =
            [Network::X, Network::BLUESKY, Network::MASTODON, Network::DEMO, Network::WEB].into_iter().map(|network| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (network, NetworkWindow { posts: dice, authors: dice.rotate_left(32), ..NetworkWindow::default() })
            });
        day.windows.insert(position, DayWindow { networks: networks.collect(), ..DayWindow::default() });
    }
    assert!(day.encode().unwrap().len() > MAX_BYTES);
    assert_eq!(stored(&day), day);
}

#[test]
fn days_of_each_version_are_read_and_positions_are_those_of_a_day() {
    let read = |plain: Vec<u8>| DaySeries::decode(&sealed::seal(plain).unwrap());
    // One network, and one window of it with five posts at position 2.
    let head = |version: u8, is_revised: u8| [vec![version, 1, 1], b"x".to_vec(), vec![1, 2, 2 | is_revised]].concat();
    let tag = [&[0, 1, b'a', 0, 1, 2, 5][..], &[1 << 2 | 1, 7, 0, 5]].concat();
    for (bytes, authors, late, others) in [
        ([head(1, 1), vec![0, 5, 1], vec![3, 0], tag.clone()].concat(), 0, 0, 0),
        ([head(2, 1), vec![0, 5, 1, 4], vec![3, 0], tag.clone()].concat(), 4, 0, 0),
        ([head(3, 1), vec![0, 5, 1, 4], vec![3, 0], tag.clone(), vec![1, 2, 1, b'A']].concat(), 4, 0, 1),
        ([head(4, 1), vec![6 << 1], vec![0, 5, 1, 4], vec![3, 0], tag.clone(), vec![0]].concat(), 4, 6, 0),
    ] {
        let day = read(bytes).unwrap();
        let window = &day.windows[&2];
        let network = window.networks[&Network::X];
        assert_eq!((network.posts, network.authors, network.watch.is_known), (5, authors, true));
        assert_eq!((window.is_revised, window.late.posts, window.floors), (true, late, [3, 0]));
        let item = &day.items[&(Item::Hashtag, "a".into())];
        assert_eq!((item.posts(), item.others.len(), item.entries[&2].authors.count), (5, others, 1));
    }
    for version in [0, 5] {
        assert!(read(vec![version, 0, 0]).is_err());
    }
    let at = |position: u16| {
        let mut plain = vec![VERSION, 0, 1];
        wire::put_u64(&mut plain, position.into());
        read([plain, vec![0, 0, 0]].concat())
    };
    assert!(at(1439).is_ok() && at(1440).is_err());
}
