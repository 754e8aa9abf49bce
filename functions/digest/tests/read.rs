//! Rules 1.11 and 8.1. What is out of date, how coarse a range is read, and which reads a store is spared.

use std::sync::{Arc, Mutex};

use birdsong_digest::read::{Grain, Parts, Reader, Seen, Stale, Tag};
use birdsong_domain::frame::Lane;
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Change, Expected, Live, ON_TIME_MS, PartialKey, PortError, WindowStore};
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, MemoryStore, sample_partial};

use crate::DAY;

const MINUTE_MS: i64 = 60_000;

fn change(region: &str, period: Period, start_ms: i64) -> Change {
    Change { region: region.into(), period, start_ms, stamp: format!("s{}", (start_ms - DAY) / HOUR_MS) }
}

/// Hours 5, 7 and 30 of one region, its first day, and hour 5 of another one.
fn changes() -> Vec<Change> {
    let mut changes = [5, 7, 30].map(|hour| change("a", Period::Hour, DAY + hour * HOUR_MS)).to_vec();
    changes.push(change("a", Period::Day, DAY));
    changes.push(change("b", Period::Hour, DAY + 5 * HOUR_MS));
    changes
}

fn cut() -> Stale {
    let live = Live { has_more: true, ..Live::default() };
    Stale::of_live(&live, &mut Seen::default(), DAY)
}

fn hours(from: i64, to: i64) -> (i64, i64) {
    (DAY + from * HOUR_MS, DAY + to * HOUR_MS)
}

#[test]
fn a_step_is_read_in_the_coarsest_grain_that_divides_it() {
    let size = WindowSize::FIVE_MINUTES;
    let cases = [
        (7 * DAY_MS, Grain::Period(Period::Day)),
        (DAY_MS, Grain::Period(Period::Day)),
        (12 * HOUR_MS, Grain::Period(Period::Hour)),
        (HOUR_MS, Grain::Period(Period::Hour)),
        (90 * MINUTE_MS, Grain::Window),
        (5 * MINUTE_MS, Grain::Window),
    ];
    for (step_ms, grain) in cases {
        assert_eq!(Grain::of_step(step_ms, size), grain, "{step_ms}");
    }
    let lengths = [Grain::Window, Grain::Period(Period::Hour), Grain::Period(Period::Day)].map(|grain| grain.ms(size));
    assert_eq!(lengths, [5 * MINUTE_MS, HOUR_MS, DAY_MS]);
}

#[test]
fn a_time_is_out_of_date_when_a_changed_hour_overlaps_it() {
    let (stale, cut) = (Stale::new(&changes()), cut());
    // From, to; whether windows and days are out of date, the number of hours, and the stamps.
    let cases = [
        ((4, 5), false, true, 0, None),
        ((5, 6), true, true, 1, Some("s5")),
        ((5, 8), true, true, 2, Some("s5 s7")),
        ((6, 7), false, true, 0, None),
        ((7, 31), true, true, 2, Some("s7 s30")),
        ((24, 30), false, false, 0, None),
        ((30, 31), true, true, 1, Some("s30")),
        ((31, 40), false, false, 0, None),
    ];
    for ((from, to), windows, days, count, stamps) in cases {
        let range = hours(from, to);
        assert_eq!(stale.has("a", Grain::Window, range), windows, "{from}..{to}");
        assert_eq!(stale.has("a", Grain::Period(Period::Hour), range), windows, "{from}..{to}");
        assert_eq!(stale.has("a", Grain::Period(Period::Day), range), days, "{from}..{to}");
        assert_eq!(stale.hours("a", range.0, range.1), count, "{from}..{to}");
        let tag = stale.tag("a", range.0, range.1);
        assert_eq!(tag.map(|tag| tag.stamps).as_deref(), stamps, "{from}..{to}");
        assert!(!stale.has("c", Grain::Window, range) && stale.tag("c", range.0, range.1).is_none());
        // The list was too long: all may be out of date.
        assert!(cut.has("a", Grain::Window, range));
        assert_eq!(cut.hours("a", range.0, range.1), (to - from) as u64);
        assert_eq!(cut.tag("a", range.0, range.1), Some(Tag { stamps: String::new(), until_ms: None }));
    }
    // In the middle of a clock hour.
    let (from_ms, to_ms) = (DAY + 5 * HOUR_MS + 50 * MINUTE_MS, DAY + 6 * HOUR_MS + 30 * MINUTE_MS);
    assert!(stale.has("a", Grain::Window, (from_ms, to_ms)));
    assert_eq!((stale.hours("a", from_ms, to_ms), cut.hours("a", from_ms, to_ms)), (1, 1));
    assert_eq!(stale.tag("a", from_ms, to_ms).unwrap().stamps, "s5");
    assert_eq!((stale.hours("a", to_ms, from_ms), cut.hours("a", to_ms, from_ms - HOUR_MS)), (0, 0));
    // The second day has an hour that changed, and is not on the list itself.
    assert!(stale.has("a", Grain::Period(Period::Day), hours(24, 48)));
    assert!(!stale.has("b", Grain::Period(Period::Day), hours(24, 48)));
    assert!(stale.has("a", Grain::Period(Period::Day), (DAY + 9 * HOUR_MS, DAY + 10 * HOUR_MS)));
}

/// Where several puts may have the same stamp, nothing is kept until the stamp is old enough.
#[test]
fn what_was_put_under_a_young_stamp_is_not_kept() {
    let live = |settle_ms| Live { changes: changes(), settle_ms, ..Live::default() };
    let until = |stale: &Stale, from, to| {
        let (from_ms, to_ms) = hours(from, to);
        stale.tag("a", from_ms, to_ms).unwrap().until_ms
    };
    let (mut seen, now_ms) = (Seen::default(), DAY + 40 * HOUR_MS);
    let alone = Stale::of_live(&live(0), &mut seen, now_ms);
    assert_eq!(until(&alone, 5, 6), Some(i64::MAX), "each put has its own stamp");
    let mut seen = Seen::default();
    let settled = |now_ms: i64| Some(now_ms - ON_TIME_MS - 1000);
    for (later_ms, is_young) in [(0, true), (999, true), (1000, false), (5000, false)] {
        let now_ms = now_ms + later_ms;
        let stale = Stale::of_live(&live(1000), &mut seen, now_ms);
        assert_eq!(until(&stale, 5, 6), if is_young { None } else { settled(now_ms) }, "{later_ms}");
    }
    // A new stamp beside old ones.
    let mut more = live(1000);
    more.changes[1].stamp = "new".into();
    let stale = Stale::of_live(&more, &mut seen, now_ms + 6000);
    assert_eq!([until(&stale, 5, 6), until(&stale, 7, 8)], [settled(now_ms + 6000), None]);
    assert_eq!(until(&stale, 5, 8), None, "one of them is young");
    // One that was off the list for a while is young again.
    let none = Stale::of_live(&Live { settle_ms: 1000, ..Live::default() }, &mut seen, now_ms + 7000);
    assert!(none.tag("a", DAY, now_ms).is_none());
    let again = Stale::of_live(&live(1000), &mut seen, now_ms + 8000);
    assert_eq!(until(&again, 5, 6), None);
}

/// Notes what is read: roll-ups, or windows with the hours from which and to which.
#[derive(Debug, Default)]
struct Reads(Mutex<Vec<String>>);

impl Hook for Reads {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        let hour = |start: WindowStart| (start.0 - DAY) as f64 / HOUR_MS as f64;
        let read = match call {
            Call::Query(_, from, to) => format!("windows {}..{}", hour(from), hour(to)),
            Call::Rollups => "rollups".to_owned(),
            _ => return Ok(()),
        };
        self.0.lock().unwrap().push(read);
        Ok(())
    }
}

impl Reads {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Two days with a window in each hour of a region.
async fn two_days() -> Hooked<Reads> {
    let store = Hooked { rows: Arc::new(MemoryStore::default()), hook: Reads::default() };
    for hour in 0..48 {
        let key = PartialKey {
            lane: Lane::posts("a", Network::X, 0),
            window: WindowStart(DAY + hour * HOUR_MS + 10 * MINUTE_MS),
        };
        store.put(&key, &sample_partial(1, 1u64.into(), hour as u64), &Expected::Absent).await.unwrap();
    }
    let mut digest = birdsong_digest::Digest::new(store.rows.clone(), FoldRules::default());
    digest.run(&["a"], DAY + 4 * DAY_MS, || false).await.unwrap();
    store
}

#[tokio::test]
async fn what_is_known_is_not_read_again() {
    let (store, rules, parts) = (two_days().await, FoldRules::default(), Parts::new(64 << 20));
    let far_ms = DAY + 9 * DAY_MS;
    let read = async |stale: &Stale, grain, range, version: &str, now_ms: i64, until_ms: i64| {
        let reader = Reader { store: &store, rules, stale, until_ms, kept: Some((&parts, version, now_ms)) };
        let found = reader.parts("a", grain, range).await.unwrap();
        let starts: Vec<_> = found.iter().map(|part| (part.start_ms - DAY) / HOUR_MS).collect();
        (starts, store.hook.take())
    };
    let none = Stale::default();
    let list = |from: i64, to: i64| Vec::from_iter(from..to);
    let windows = async |stale: &Stale, from, to, version: &str| {
        read(stale, Grain::Window, hours(from, to), version, far_ms, i64::MAX).await
    };
    // Hours that are not known are read together.
    assert_eq!(windows(&none, 3, 6, "1").await, (list(3, 6), vec!["windows 3..6".into()]));
    assert_eq!(windows(&none, 3, 6, "1").await, (list(3, 6), vec![]));
    assert_eq!(windows(&none, 1, 9, "1").await, (list(1, 9), vec!["windows 1..3".into(), "windows 6..9".into()]));
    assert_eq!(windows(&none, 2, 4, "2").await, (list(2, 4), vec!["windows 2..4".into()]), "another version");
    let stale = Stale::new(&changes());
    // Of a list of changes by itself nothing is known of their stamps' ages.
    assert_eq!(windows(&stale, 4, 6, "2").await, (list(4, 6), vec!["windows 4..6".into()]));
    // Hours and days come from roll-ups, but for those that changed.
    let hourly = async |stale: &Stale, from, to| {
        read(stale, Grain::Period(Period::Hour), hours(from, to), "2", far_ms, i64::MAX).await
    };
    assert_eq!(hourly(&none, 10, 20).await, (list(10, 20), vec!["rollups".into()]));
    assert_eq!(hourly(&none, 12, 22).await, (list(12, 22), vec!["rollups".into()]));
    let (found, reads) = hourly(&stale, 28, 33).await;
    assert_eq!((found, reads), (list(28, 33), ["rollups", "rollups", "windows 30..31"].map(String::from).to_vec()));
    let daily =
        async |stale: &Stale| read(stale, Grain::Period(Period::Day), hours(0, 48), "3", far_ms, i64::MAX).await;
    assert_eq!(daily(&none).await, (vec![0, 24], vec!["rollups".into()]));
    assert_eq!(daily(&none).await, (vec![0, 24], vec![]));
    let (found, reads) = daily(&cut()).await;
    assert_eq!(found, [0, 24]);
    // Six hours at a time, so that memory is bounded.
    let pieces: Vec<_> = (0..48).step_by(6).map(|from| format!("windows {from}..{}", from + 6)).collect();
    assert_eq!(reads, pieces);
}

#[tokio::test]
async fn windows_are_kept_when_they_are_final() {
    let (store, rules, parts) = (two_days().await, FoldRules::default(), Parts::new(64 << 20));
    let none = Stale::default();
    let read = async |now_ms: i64, until_ms: i64| {
        let reader = Reader { store: &store, rules, stale: &none, until_ms, kept: Some((&parts, "1", now_ms)) };
        let found = reader.parts("a", Grain::Window, hours(3, 6)).await.unwrap();
        let starts: Vec<_> = found.iter().map(|part| (part.start_ms - DAY) / HOUR_MS).collect();
        (starts, store.hook.take())
    };
    // A quarter past five: two minutes for late posts, and one minute in which clocks may differ.
    let now_ms = DAY + 5 * HOUR_MS + 15 * MINUTE_MS;
    assert_eq!(read(now_ms, i64::MAX).await, (vec![3, 4, 5], vec!["windows 3..6".into()]));
    let from = |minutes: i64| format!("windows {}..6", 5.0 + minutes as f64 / 60.0);
    assert_eq!(read(now_ms + 3 * MINUTE_MS, i64::MAX).await, (vec![3, 4, 5], vec![from(10)]));
    assert_eq!(read(now_ms + 8 * MINUTE_MS, i64::MAX).await, (vec![3, 4, 5], vec![from(15)]));
    assert_eq!(read(now_ms + HOUR_MS, i64::MAX).await, (vec![3, 4, 5], vec![from(20)]));
    assert_eq!(read(now_ms + HOUR_MS, i64::MAX).await, (vec![3, 4, 5], vec![]));
    // What starts later is left out, known or not.
    assert_eq!(read(now_ms + HOUR_MS, DAY + 5 * HOUR_MS + 10 * MINUTE_MS).await, (vec![3, 4], vec![]));
}
