//! How far the past was handed on.

use std::fmt;
use std::ops::Range;

/// Seconds of the past that are handed on together.
const SPAN_SECS: i64 = 3 * 3600;
/// Seconds that have passed meanwhile are handed on in between when there are this many.
const CATCH_UP_SECS: i64 = 2;

/// What was handed on, in seconds since 1970: everything from `back` to `edge`. What is left of the past is from `goal`
/// to `back`.
///
/// As a cursor it is `edge`, or `edge/back/goal` while something is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) edge: i64,
    back: i64,
    goal: i64,
}

impl Progress {
    pub(super) fn parse(cursor: &str) -> Option<Self> {
        let mut numbers = cursor.split('/').map(|number| number.parse().ok());
        let edge = numbers.next()??;
        let (back, goal) =
            (numbers.next().map_or(Some(edge), |back| back)?, numbers.next().map_or(Some(edge), |goal| goal)?);
        (goal <= back && back <= edge && numbers.next().is_none()).then_some(Self { edge, back, goal })
    }

    /// The next seconds to hand on, and the progress after that. `earliest` is the first second that is wanted.
    pub(super) fn next(before: Option<Self>, earliest: i64, now: i64) -> Option<(Range<i64>, Self)> {
        let mut progress = match before {
            None => Self { edge: now, back: now, goal: earliest },
            // What came while nobody listened is a past of its own.
            Some(Self { edge, back, goal }) if back <= goal.max(earliest) && now - edge > SPAN_SECS => {
                Self { edge: now, back: now, goal: edge.max(earliest) }
            }
            Some(progress) => progress,
        };
        progress.goal = progress.goal.max(earliest).min(progress.back);
        let is_whole = progress.back <= progress.goal;
        let missed = now - progress.edge;
        if missed >= CATCH_UP_SECS || is_whole && missed > 0 {
            let end = now.min(progress.edge + SPAN_SECS);
            return Some((progress.edge..end, Self { edge: end, ..progress }));
        }
        let start = progress.goal.max(progress.back - SPAN_SECS);
        (!is_whole).then_some((start..progress.back, Self { back: start, ..progress }))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { edge, back, goal } if back <= goal => write!(f, "{edge}"),
            Self { edge, back, goal } => write!(f, "{edge}/{back}/{goal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const DAY: i64 = 86_400;

    /// Hands on until nothing is left, or until `most` spans; the clock goes on a second with each.
    fn hand_on(
        mut cursor: Option<String>,
        backfill: i64,
        now: &mut i64,
        most: usize,
    ) -> (Vec<Range<i64>>, Option<String>) {
        let mut spans = vec![];
        while spans.len() < most {
            let before = cursor.as_deref().map(|text| Progress::parse(text).unwrap());
            let Some((span, then)) = Progress::next(before, *now - backfill, *now) else { break };
            assert!(span.start < span.end && span.end - span.start <= SPAN_SECS);
            (spans, cursor) = ([spans, vec![span]].concat(), Some(then.to_string()));
            *now += 1;
        }
        (spans, cursor)
    }

    fn is_whole(mut spans: Vec<Range<i64>>, from: i64, to: i64) {
        spans.sort_by_key(|span| span.start);
        assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start), "{spans:?}");
        assert_eq!((spans[0].start, spans[spans.len() - 1].end), (from, to));
    }

    #[test]
    fn the_newest_comes_first_and_all_of_it_once() {
        let mut now = NOW;
        let (spans, cursor) = hand_on(None, 8 * DAY, &mut now, 1000);
        assert_eq!(spans[0], NOW - SPAN_SECS..NOW);
        let (catch_up, past): (Vec<_>, Vec<_>) = spans.iter().cloned().partition(|span| span.start >= NOW);
        assert!(past.is_sorted_by_key(|span| -span.start) && past.len() < 70);
        assert!(catch_up.len() > 20, "what is new comes in between");
        // The clock goes on, so the last seconds of the past are no longer wanted.
        let edge = catch_up[catch_up.len() - 1].end;
        let first = past[past.len() - 1].start;
        assert!((NOW - 8 * DAY..NOW - 8 * DAY + 200).contains(&first));
        assert_eq!(cursor, Some(edge.to_string()));
        is_whole(spans, first, edge);
    }

    #[test]
    fn a_restart_continues_in_the_middle() {
        let mut now = NOW;
        let (mut spans, cursor) = hand_on(None, 2 * DAY, &mut now, 5);
        assert!(cursor.as_ref().is_some_and(|cursor| cursor.contains('/')));
        now += 4 * 3600;
        let (more, cursor) = hand_on(cursor, 2 * DAY, &mut now, 1000);
        spans.extend(more);
        let edge = cursor.unwrap().parse().unwrap();
        let first = spans.iter().map(|span| span.start).min().unwrap();
        assert!((NOW - 2 * DAY + 4 * 3600..NOW - 2 * DAY + 4 * 3600 + 100).contains(&first));
        is_whole(spans, first, edge);
    }

    #[test]
    fn after_a_pause_only_what_was_missed_comes() {
        for (pause, backfill, wanted) in [(600, 8 * DAY, 600), (2 * DAY, 8 * DAY, 2 * DAY), (9 * DAY, DAY, DAY)] {
            let mut now = NOW + pause;
            let (spans, cursor) = hand_on(Some(NOW.to_string()), backfill, &mut now, 1000);
            let first = spans.iter().map(|span| span.start).min().unwrap();
            assert!((NOW + pause - wanted..NOW + pause - wanted + 20).contains(&first), "{pause} {first}");
            is_whole(spans, first, cursor.unwrap().parse().unwrap());
        }
        // A clock that was set back.
        assert_eq!(Progress::next(Progress::parse("1700000000"), NOW - DAY, NOW - 60), None);
    }

    #[test]
    fn cursors_are_read() {
        assert_eq!(Progress::parse("7"), Some(Progress { edge: 7, back: 7, goal: 7 }));
        assert_eq!(Progress::parse("7/5/3").unwrap().to_string(), "7/5/3");
        for bad in ["", "x", "7/8/3", "7/5/6", "7/5/3/1", "7/x/3", "7/"] {
            assert_eq!(Progress::parse(bad), None, "{bad}");
        }
    }
}
