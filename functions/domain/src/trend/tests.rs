use super::*;
use proptest::prelude::*;

mod model;

const DAY: usize = 288;

fn minutes(minutes: u32) -> Scale {
    Scale::from(WindowSize::from_secs(minutes * 60).unwrap())
}

fn last(scale: Scale, series: &[Option<u32>]) -> Result<Score, NoScore> {
    Past::new(scale, series).score(series.len() - 1, Default::default())
}

/// A steady series with some scatter, and then these counts.
fn steady(days: usize, then: &[u32]) -> Vec<Option<u32>> {
    let mut series: Vec<_> = (0..days * DAY).map(|at| Some([3, 5, 4, 2, 6][at * 7 % 5])).collect();
    series.extend(then.iter().map(|count| Some(*count)));
    series
}

#[test]
fn spans_follow_the_window_size() {
    let spans = |m| {
        let scale = minutes(m);
        (scale.day, scale.sum, scale.long, scale.around, scale.recent)
    };
    assert_eq!(spans(1), (1440, 15, 60, 30, 120));
    assert_eq!(spans(5), (288, 3, 12, 6, 24));
    assert_eq!(spans(15), (96, 1, 4, 2, 8));
    assert_eq!(spans(45), (32, 1, 1, 1, 2));
    assert_eq!(spans(60), (24, 1, 1, 1, 2));
}

#[test]
fn a_burst_is_unusual_in_windows_of_each_size() {
    for size in [1, 2, 3, 5, 6, 10, 15, 20, 30, 45, 60] {
        let scale = minutes(size);
        let mut series: Vec<_> = (0..15 * scale.day).map(|at| Some(size * (2 + at as u32 % 2))).collect();
        let quiet = last(scale, &series).unwrap();
        assert_eq!((quiet.score_milli, quiet.verdict), (0, Verdict::Usual), "{size}");
        let end = series.len();
        series[end - scale.sum..].iter_mut().flatten().for_each(|count| *count *= 5);
        let burst = last(scale, &series).unwrap();
        assert!(burst.score_milli > Sensitivity::Strict.theta_milli(), "{size}: {burst:?}");
        assert_eq!((burst.verdict, burst.good_days, burst.missing_permille), (Verdict::Unusual, 7, 0));
    }
}

#[test]
fn a_long_weak_burst_is_found_by_its_hour() {
    let series = steady(15, &[11; 12]);
    let score = last(minutes(5), &series).unwrap();
    assert_eq!((score.windows, score.observed, score.verdict), (12, 132, Verdict::Unusual));
    let series = steady(15, &[40]);
    assert_eq!(last(minutes(5), &series).unwrap().windows, 3);
}

#[test]
fn without_two_good_days_there_is_no_baseline() {
    let scale = minutes(5);
    assert_eq!(last(scale, &steady(1, &[50])), Err(NoScore::NoBaseline { good_days: 0 }));
    assert_eq!(last(scale, &steady(2, &[50])), Err(NoScore::NoBaseline { good_days: 1 }));
    assert!(last(scale, &steady(3, &[50])).is_ok());
    assert_eq!(Past::new(scale, &[]).score(0, Default::default()), Err(NoScore::NotUsable));
    assert!(Past::new(scale, &[]).is_empty() && !Past::new(scale, &[None]).is_empty());
}

#[test]
fn what_is_missing_is_not_taken_for_silence() {
    let scale = minutes(5);
    let mut series = steady(15, &[40, 40]);
    let end = series.len();
    let whole = last(scale, &series).unwrap();
    // Two days of the baseline are lost.
    series[end - 3 * DAY..end - DAY].fill(None);
    let gap = last(scale, &series).unwrap();
    assert!(gap.score_milli > Sensitivity::Balanced.theta_milli(), "{gap:?}");
    assert!((gap.usual.expected_milli - whole.usual.expected_milli).abs() < 3_000, "{gap:?} {whole:?}");
    // At both ends of the gap, half of the neighbourhood is there: too little for a good day.
    assert_eq!(gap.good_days, 4);
    assert!((250..350).contains(&gap.missing_permille), "{gap:?}");
    // The two hours before are lost.
    series[end - 27..end - 5].fill(None);
    assert_eq!(last(scale, &series), Err(NoScore::NoRecent));
    // A sampled window.
    series[end - 2] = None;
    assert_eq!(last(scale, &series), Err(NoScore::NotUsable));
}

#[test]
fn one_author_is_no_trend() {
    let scale = minutes(5);
    let series = steady(15, &[30, 30, 30]);
    let past = Past::new(scale, &series);
    let score = |short: Evidence, long: Evidence| past.score(series.len() - 1, [short, long]).unwrap();
    let of = |authors, share| Evidence { authors: Some(authors), top_author_permille: Some(share) };
    let flooded = score(of(9, 501), of(9, 501));
    assert_eq!((flooded.verdict, flooded.score_milli), (Verdict::Flooded, 0));
    let few = score(of(2, 500), of(2, 500));
    assert_eq!((few.verdict, few.score_milli), (Verdict::TooFewAuthors, 0));
    let many = score(of(3, 500), of(3, 500));
    assert_eq!((many.verdict, many.score_milli), (Verdict::Unusual, many.level_milli));
    // The flood is in the last quarter of an hour only; the hour counts.
    let hour = score(of(2, 900), of(30, 300));
    assert_eq!((hour.verdict, hour.windows), (Verdict::Unusual, 12));
}

#[test]
fn few_posts_are_no_trend() {
    let scale = minutes(5);
    let series = |posts| [vec![Some(0); 15 * DAY], vec![Some(posts)]].concat();
    assert_eq!(last(scale, &series(4)).unwrap().verdict, Verdict::TooFewPosts);
    assert_eq!(last(scale, &series(5)).unwrap().score_milli, 5_000);
}

#[test]
fn a_new_tag_is_compared_with_its_region() {
    let scale = minutes(5);
    let region: Vec<_> = (0..15 * DAY).map(|at| Some(990 + at as u32 % 20)).collect();
    let past = Past::new(scale, &region);
    let score = |posts| past.score_new(region.len() - 1, [posts, posts], NEW_SHARE_PPM, Default::default()).unwrap();
    assert_eq!(score(3).usual.expected_milli / 100, 29, "a thousandth of 3,000 posts");
    assert_eq!(score(9).score_milli, 0);
    assert_eq!(score(u64::MAX).observed, 60 << 18, "an absurd count is cut");
    assert!(score(20).score_milli > Sensitivity::Balanced.theta_milli());
    let young = Past::new(scale, &region[..DAY]);
    assert_eq!(
        young.score_new(DAY - 1, [20, 20], NEW_SHARE_PPM, Default::default()),
        Err(NoScore::NoBaseline { good_days: 0 })
    );
}

#[test]
fn the_usual_value_of_a_step_adds_up() {
    let scale = minutes(5);
    let series = steady(15, &[]);
    let past = Past::new(scale, &series);
    let usual = |from, to| past.usual(from, to).unwrap();
    let (window, hour, day) = (usual(4000, 4001), usual(4000, 4012), usual(14 * DAY, 15 * DAY));
    assert!((3_500..4_500).contains(&window.expected_milli), "{window:?}");
    assert!((42_000..54_000).contains(&hour.expected_milli), "{hour:?}");
    assert!((1_050_000..1_300_000).contains(&day.expected_milli), "{day:?}");
    for usual in [window, hour, day] {
        assert!(usual.low_milli < usual.expected_milli && usual.expected_milli < usual.high_milli, "{usual:?}");
    }
    assert!(past.usual(4000, 4000).is_err() && past.usual(4000, 4000 + DAY + 1).is_err());
    // The step after the last window: what will be usual.
    assert!(past.usual(series.len(), series.len() + 3).is_ok());
}

#[test]
fn a_silence_needs_posts_to_be_missed() {
    let scale = minutes(5);
    let fall = |rate: u32, silent: usize, alive| {
        let mut series = vec![Some(rate); 15 * DAY];
        let end = series.len();
        series[end - silent..].fill(Some(0));
        Past::new(scale, &series).fall(end - 1, alive)
    };
    assert_eq!(fall(4, 2, true), Ok(Fall::Usual));
    let silence = fall(4, 3, true).unwrap();
    assert!(
        matches!(silence, Fall::Silence { since, expected_milli: 11_900..=12_000 } if since == 15 * DAY - 3)
            || silence == Fall::Usual,
        "{silence:?}"
    );
    let silence = fall(4, 4, true).unwrap();
    assert!(matches!(silence, Fall::Silence { since, .. } if since == 15 * DAY - 4), "{silence:?}");
    assert_eq!(fall(4, 4, false), Ok(Fall::NotProven));
    assert_eq!(fall(0, 70, true), Ok(Fall::CannotTell));
    assert_eq!(Past::new(scale, &[None]).fall(0, true), Err(NoScore::NotUsable));
}

#[test]
fn a_drop_lasts_three_windows() {
    let scale = minutes(5);
    let fall = |low: usize| {
        let mut series = vec![Some(60); 15 * DAY];
        let end = series.len();
        series[end - low..].fill(Some(2));
        Past::new(scale, &series).fall(end - 1, true).unwrap()
    };
    assert_eq!(fall(0), Fall::Usual);
    assert_eq!(fall(2), Fall::Usual);
    assert!(matches!(fall(6), Fall::Drop { observed: 6, season_milli: ..=-6000, .. }), "{:?}", fall(6));
}

/// Until the two hours before have as many posts as ever, and longer.
#[test]
fn posts_that_come_back_are_no_burst_and_more_of_them_are() {
    let scale = minutes(5);
    let scores = |silent: usize, back: u32| {
        let mut series = vec![Some(60); 15 * DAY];
        series.extend(vec![Some(0); silent]);
        series.extend(vec![Some(back); 40]);
        let past = Past::for_many(scale, &series);
        (15 * DAY + silent + 2..series.len())
            .map(|at| past.score(at, Default::default()).unwrap().score_milli)
            .collect::<Vec<_>>()
    };
    for silent in [1, 12, 40, 200] {
        assert_eq!(scores(silent, 60), [0; 38], "as on other days after {silent} windows");
        let more = scores(silent, 240);
        assert!(more[..6].iter().any(|score| *score > 4_000), "four times as many after {silent} windows: {more:?}");
    }
}

#[test]
fn the_end_of_a_burst_is_no_drop() {
    let mut series = vec![Some(60); 15 * DAY];
    series.extend([vec![Some(600); 30], vec![Some(60); 30]].concat());
    let past = Past::new(minutes(5), &series);
    for at in 15 * DAY..series.len() {
        assert_eq!(past.fall(at, true), Ok(Fall::Usual), "{} windows after its start", at - 15 * DAY);
    }
}

#[test]
fn one_burst_is_one_event_and_the_next_one_another() {
    let (scale, theta) = (minutes(5), 4_000);
    let mut tracker = Tracker::default();
    let mut step = |at, score| tracker.advance(scale, at, score, theta);
    assert_eq!(step(0, 3_999), Step::Quiet);
    assert_eq!(step(1, 4_000), Step::Opened);
    assert_eq!(step(2, 9_000), Step::GoesOn { higher: true });
    assert_eq!(step(3, 8_000), Step::GoesOn { higher: false });
    // Low for less than half an hour, and high again.
    assert_eq!(step(8, 1_999), Step::GoesOn { higher: false });
    assert_eq!(step(9, 2_000), Step::GoesOn { higher: false });
    assert_eq!(step(14, 0), Step::GoesOn { higher: false });
    assert_eq!(step(15, 0), Step::Ended { last: 9 });
    assert_eq!(step(16, 0), Step::Quiet);
    // Above the threshold, but below the peak of before.
    assert_eq!(step(17, 4_500), Step::Quiet);
    // Three hours after the peak, half of it is enough.
    assert_eq!(step(38, 4_500), Step::Quiet);
    assert_eq!(step(39, 4_501), Step::Opened);
    // A gap ends an event, too.
    assert_eq!(step(500, 0), Step::Ended { last: 39 });
}

#[test]
fn a_stored_tracker_continues() {
    let mut tracker = Tracker::default();
    tracker.advance(minutes(5), 7, 6_000, 4_000);
    let text = serde_json::to_string(&tracker).unwrap();
    assert_eq!(serde_json::from_str::<Tracker>(&text).unwrap(), tracker);
}

/// A daily cycle from 40 to 160 % of `rate`, with some scatter: half of the windows are a fifth above it, half below.
fn daily(days: usize, rate: impl Fn(usize) -> u64) -> Vec<Option<u32>> {
    (0..days * DAY)
        .map(|at| {
            let hour = at % DAY;
            let cycle = 400 + 1200 * hour.min(DAY - hour) as u64 / (DAY as u64 / 2);
            let scatter = 800 + 400 * ((at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63);
            Some((rate(at) * cycle * scatter / 1_000_000) as u32)
        })
        .collect()
}

const NONE: [usize; 0] = [];

/// Windows from day 10 on that open an event.
fn opened(series: &[Option<u32>]) -> Vec<usize> {
    let scale = minutes(5);
    let past = Past::for_many(scale, series);
    let mut tracker = Tracker::default();
    (10 * DAY..series.len())
        .filter(|at| {
            let Ok(score) = past.score(*at, Default::default()) else { return false };
            let theta = Sensitivity::Balanced.theta_milli();
            tracker.advance(scale, *at as i64, score.score_milli, theta) == Step::Opened
        })
        .collect()
}

#[test]
fn what_is_there_every_day_is_no_trend() {
    assert_eq!(opened(&daily(21, |_| 50)), NONE);
    // A bot writes 40 posts every morning.
    let mut bot = daily(21, |_| 3);
    (0..21).for_each(|day| bot[day * DAY + 96] = Some(40));
    assert_eq!(opened(&bot), NONE);
}

#[test]
fn clocks_may_change() {
    let mut series = daily(21, |_| 40);
    let shifted = series[14 * DAY + 12..].to_vec();
    series.truncate(14 * DAY);
    series.extend(shifted);
    assert_eq!(opened(&series), NONE);
}

#[test]
fn slow_growth_is_no_event() {
    assert_eq!(
        opened(&daily(21, |at| 20 + 60 * (at.clamp(12 * DAY, 16 * DAY) - 12 * DAY) as u64 / (4 * DAY) as u64)),
        NONE
    );
}

#[test]
fn gaps_and_samples_are_no_events_and_hide_none() {
    let mut series = daily(21, |_| 40);
    series[12 * DAY..14 * DAY + 70].fill(None);
    (15 * DAY..18 * DAY).step_by(41).for_each(|at| series[at] = None);
    series[19 * DAY..19 * DAY + 6].fill(None);
    assert_eq!(opened(&series), NONE);
    series[20 * DAY..20 * DAY + 3].fill(Some(200));
    assert_eq!(opened(&series), [20 * DAY]);
}

#[test]
fn two_bursts_in_three_hours_are_two_events() {
    let mut series = daily(21, |_| 10);
    let first = 15 * DAY + 100;
    for start in [first, first + 36] {
        series[start..start + 6].iter_mut().flatten().for_each(|count| *count += 60);
    }
    // The second one must reach half of the first one's peak, which takes a window more.
    assert_eq!(opened(&series), [first, first + 37]);
}

fn any_size() -> impl Strategy<Value = Scale> {
    prop::sample::select(vec![5, 10, 15, 20, 30, 45, 60]).prop_map(minutes)
}

/// A series of up to 17 days of windows, from few values that repeat, with gaps and absurd counts.
fn any_series() -> impl Strategy<Value = (Scale, Vec<Option<u32>>)> {
    let count = prop_oneof![6 => (0u32..50).prop_map(Some), 1 => Just(None), 1 => any::<u32>().prop_map(Some),
        1 => Just(Some(u32::MAX))];
    (any_size(), prop::collection::vec(count, 1..40), 0usize..17 * 288, any::<u64>()).prop_map(
        |(scale, values, windows, seed)| {
            let mut state = seed | 1;
            let series = (0..windows.min(17 * scale.day))
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    values[(state >> 40) as usize % values.len()]
                })
                .collect();
            (scale, series)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In whichever way a window is scored, its score is the same: alone, with a longer past, or among many.
    #[test]
    fn a_score_depends_on_fifteen_days_alone((scale, series) in any_series(), back in 0usize..600) {
        let Some(at) = series.len().checked_sub(1 + back) else { return Ok(()) };
        let one = Past::new(scale, &series).score(at, Default::default());
        let many = Past::for_many(scale, &series).score(at, Default::default());
        prop_assert_eq!(one, many);
        let from = at.saturating_sub(scale.history() - 1);
        let cut = &series[from..=at];
        prop_assert_eq!(one, last(scale, cut));
    }

    #[test]
    fn nothing_overflows((scale, series) in any_series(), at in 0usize..5_000, span in 0usize..400,
                         observed in any::<[u64; 2]>(), share in any::<u32>()) {
        let past = Past::for_many(scale, &series);
        if let Ok(score) = past.score(at, Default::default()) {
            prop_assert!(score.score_milli >= 0);
            prop_assert!(score.usual.low_milli <= score.usual.expected_milli);
            prop_assert!(score.usual.expected_milli <= score.usual.high_milli);
            prop_assert!(score.missing_permille <= 1000 && (2..=7).contains(&score.good_days));
        }
        let _ = past.score_new(at, observed, share, Default::default());
        let _ = past.usual(at, at + span);
        let _ = past.fall(at, true);
    }

    #[test]
    fn the_highest_counts_do_not_overflow(size in prop::sample::select(vec![1u32, 60]), seed in any::<u64>()) {
        let scale = minutes(size);
        let series: Vec<_> = (0..15 * scale.day)
            .map(|at| Some(if seed.rotate_left(at as u32 / 7) & 1 == 0 { u32::MAX } else { 0 }))
            .collect();
        let score = last(scale, &series);
        prop_assert!(score.is_ok(), "{:?}", score);
        prop_assert_eq!(score, Past::for_many(scale, &series).score(series.len() - 1, Default::default()));
    }

    #[test]
    fn a_tracker_holds_for_all_scores(steps in prop::collection::vec((0i64..500, any::<i64>()), 1..60), theta in 1i64..20_000) {
        let (scale, mut tracker, mut at, mut open) = (minutes(5), Tracker::default(), 0, false);
        for (gap, score) in steps {
            at += gap;
            let step = tracker.advance(scale, at, score, theta);
            match step {
                Step::Opened => prop_assert!(!open && score >= theta),
                Step::Quiet => prop_assert!(!open),
                Step::GoesOn { .. } | Step::Ended { .. } => prop_assert!(open),
            }
            open = tracker.open.is_some();
        }
    }
}
