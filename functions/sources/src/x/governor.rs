//! Keeps spending within a budget: by asking for a smaller share of the posts in time, and by
//! closing the stream before the money is gone.

use std::str::FromStr;

use birdsong_domain::post::PostId;
use birdsong_domain::time::{parse_rfc3339, rfc3339};

use super::meter::{DAY_MS, Meter, Spent};
use super::usage::Usage;

/// What a post costs, in US dollars (docs.x.com, pricing, August 2026).
pub const DOLLARS_A_POST: f64 = 0.005;
/// Shares of the posts to ask for, in percent.
const STEPS: [u8; 7] = [100, 50, 25, 10, 5, 2, 1];
/// How often the share is looked at.
const LOOK_EVERY_MS: i64 = 10_000;
/// The first look needs this many posts, or this time: one early post is not a rate.
const FIRST_LOOK: (u64, i64) = (10, 300_000);
/// How quickly the rate that is reckoned with follows the one that is measured.
const SMOOTHING_MS: f64 = 300_000.0;
/// The share becomes larger no sooner than this after it changed, and only when that leaves a fifth
/// of what is left.
const WIDEN_AFTER_MS: i64 = 15 * 60_000;
const WIDEN_WITHIN: f64 = 0.8;
/// Kept back for posts that are on their way when the stream is closed: this much time at the
/// measured rate, and this share of the budget.
const BACK_SECS: f64 = 5.0;
const BACK_SHARE: f64 = 0.02;

/// US dollars a day or a month (UTC).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// US dollars.
    pub dollars: f64,
    /// How long they have to last.
    pub period: Period,
}

/// The time that a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight UTC.
    Day,
    /// From the first of the month, UTC.
    Month,
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no budget; write one such as 5/day or 100/month, in US dollars");
        let (dollars, period) = text.split_once('/').ok_or_else(wrong)?;
        let dollars: f64 = dollars.trim().trim_start_matches('$').parse().map_err(|_| wrong())?;
        let period = match period.trim() {
            "day" => Period::Day,
            "month" => Period::Month,
            _ => return Err(wrong()),
        };
        if dollars.is_finite() && dollars > 0.0 { Ok(Self { dollars, period }) } else { Err(wrong()) }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}/{}", self.dollars, if self.period == Period::Day { "day" } else { "month" })
    }
}

impl Period {
    /// Begin and end of the period around a time, in milliseconds.
    pub(super) fn around(self, now_ms: i64) -> (i64, i64) {
        let day_ms = now_ms.div_euclid(DAY_MS) * DAY_MS;
        match self {
            Self::Day => (day_ms, day_ms + DAY_MS),
            Self::Month => {
                let first = format!("{}-01T00:00:00Z", &rfc3339(now_ms)[..7]);
                let first_ms = parse_rfc3339(&first).unwrap_or(day_ms);
                // 31 days on is always in the next month.
                let next = format!("{}-01T00:00:00Z", &rfc3339(first_ms + 31 * DAY_MS)[..7]);
                (first_ms, parse_rfc3339(&next).unwrap_or(day_ms + DAY_MS))
            }
        }
    }
}

/// What to do about the money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Go on as it is.
    Keep,
    /// Ask for this share of the posts, in percent.
    Sample(u8),
    /// Close the stream until this time in milliseconds.
    PauseUntil(i64),
}

/// Meters posts and decides.
#[derive(Debug)]
pub struct Governor {
    budget: Option<Budget>,
    dollars_a_post: f64,
    meter: Meter,
    percent: u8,
    changed_ms: i64,
    /// Since when posts are counted for the rate, and how many there were.
    measured: Option<(i64, u64)>,
    /// Posts a second at the present share.
    rate: Option<f64>,
    /// The period whose budget is spent, in milliseconds.
    used_up: Option<(i64, i64)>,
}

impl Governor {
    /// Goes on with what was spent before, asking for `percent` of the posts.
    #[must_use]
    pub fn new(budget: Option<Budget>, dollars_a_post: f64, meter: Meter, percent: u8) -> Self {
        let percent = if budget.is_some() && STEPS.contains(&percent) { percent } else { 100 };
        Self {
            budget,
            dollars_a_post,
            meter,
            percent,
            changed_ms: i64::MIN / 2,
            measured: None,
            rate: None,
            used_up: None,
        }
    }

    /// Counts a post that was delivered, unless it was counted this UTC day.
    pub fn count(&mut self, id: PostId, now_ms: i64) {
        if self.meter.count(id, now_ms)
            && let Some((_, posts)) = &mut self.measured
        {
            *posts += 1;
        }
    }

    /// Adopts X's count for the month around `now_ms`, but never less than what was counted here.
    pub fn reconcile(&mut self, usage: &Usage, now_ms: i64) {
        let (first, today) = (Period::Month.around(now_ms).0.div_euclid(DAY_MS), now_ms.div_euclid(DAY_MS));
        for (day, posts) in usage.days.iter().filter(|(day, _)| (first..=today).contains(day)) {
            self.meter.raise(*day, *posts);
        }
    }

    /// The meter, which the journal follows.
    pub fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    /// What was spent, for the next start.
    #[must_use]
    pub fn spent(&self) -> &Spent {
        self.meter.spent()
    }

    /// US dollars since the first of the month.
    #[must_use]
    pub fn dollars(&self, now_ms: i64) -> f64 {
        self.spent().posts(Period::Month.around(now_ms)) as f64 * self.dollars_a_post
    }

    /// Share of the posts that is asked for, in percent.
    #[must_use]
    pub fn percent(&self) -> u8 {
        self.percent
    }

    /// The budget in words.
    #[must_use]
    pub fn budget(&self) -> Option<Budget> {
        self.budget
    }

    /// The stream is open, or is not: posts are measured while it is.
    pub fn connected(&mut self, is_connected: bool, now_ms: i64) {
        self.measured = is_connected.then_some((now_ms, 0));
    }

    /// Posts that the budget still pays for, and the period that they have to last for, in milliseconds.
    fn left(&self, now_ms: i64) -> Option<(f64, (i64, i64))> {
        let budget = self.budget?;
        let period = budget.period.around(now_ms);
        let posts = self.spent().posts(period);
        let all = budget.dollars / self.dollars_a_post;
        // A burst must not pass the budget before it shows in the smoothed rate.
        let burst = self
            .measured
            .map_or(0.0, |(since_ms, posts)| posts as f64 / ((now_ms - since_ms) as f64 / 1000.0).max(BACK_SECS));
        let rate = self.rate.unwrap_or(0.0).max(burst);
        let kept_back = (all * BACK_SHARE).max(rate * BACK_SECS).min(all / 2.0);
        Some((all - kept_back - posts as f64, period))
    }

    /// How many posts may be read and not counted yet, so that the budget is not passed by them;
    /// `None` without a budget.
    #[must_use]
    pub fn uncounted(&self) -> Option<f64> {
        Some(self.budget?.dollars / self.dollars_a_post * BACK_SHARE / 2.0)
    }

    /// What to do now. Asked after each chunk.
    pub fn look(&mut self, now_ms: i64) -> Verdict {
        // After a clock was set back, the measurement restarts.
        self.measured = self.measured.map(|(since_ms, posts)| (since_ms.min(now_ms), posts));
        self.changed_ms = self.changed_ms.min(now_ms);
        let Some((left, period)) = self.left(now_ms) else { return Verdict::Keep };
        if left <= 0.0 {
            self.used_up = Some(period);
        }
        let (_, end_ms) = period;
        // What was kept back is not spent later.
        if self.used_up == Some(period) {
            return Verdict::PauseUntil(end_ms);
        }
        let Some((since_ms, posts)) = self.measured else { return Verdict::Keep };
        let past_ms = now_ms - since_ms;
        let is_early = self.rate.is_none() && posts < FIRST_LOOK.0 && past_ms < FIRST_LOOK.1;
        if past_ms < LOOK_EVERY_MS || is_early {
            return Verdict::Keep;
        }
        self.measured = Some((now_ms, 0));
        let rate = posts as f64 * 1000.0 / past_ms as f64;
        let weight = 1.0 - (-past_ms as f64 / SMOOTHING_MS).exp();
        let rate = self.rate.map_or(rate, |before| before + (rate - before) * weight);
        self.rate = Some(rate);
        let secs = (end_ms - now_ms).max(1) as f64 / 1000.0;
        let of_all = rate * 100.0 / f64::from(self.percent);
        let fits = |percent: u8, left: f64| of_all * f64::from(percent) / 100.0 * secs <= left;
        let wanted = if fits(self.percent, left) {
            let may_widen = now_ms - self.changed_ms >= WIDEN_AFTER_MS;
            let wider = STEPS.into_iter().find(|step| *step > self.percent && fits(*step, left * WIDEN_WITHIN));
            wider.filter(|_| may_widen).unwrap_or(self.percent)
        } else {
            STEPS.into_iter().find(|step| *step < self.percent && fits(*step, left)).unwrap_or(1)
        };
        if wanted == self.percent { Verdict::Keep } else { Verdict::Sample(wanted) }
    }

    /// This share is asked for from now on.
    pub fn sampled(&mut self, percent: u8, now_ms: i64) {
        if let Some(rate) = &mut self.rate {
            *rate *= f64::from(percent) / f64::from(self.percent);
        }
        self.percent = percent;
        self.changed_ms = now_ms;
        self.measured = self.measured.map(|_| (now_ms, 0));
    }
}

#[cfg(test)]
mod tests {
    use birdsong_domain::post::InstallationKey;

    use super::*;
    use crate::x::meter::Recorded;

    const NOON_MS: i64 = 1_779_537_600_000; // 2026-05-23T12:00:00Z

    fn meter() -> Meter {
        Meter::new(InstallationKey([7; 16]), Spent::default(), Recorded::default())
    }

    fn governor(budget: &str) -> Governor {
        let mut governor = Governor::new(Some(budget.parse().unwrap()), 0.005, meter(), 100);
        governor.connected(true, NOON_MS);
        governor
    }

    /// Lets posts come for a while, as many a second as the share allows, and returns the decisions.
    fn run(governor: &mut Governor, from_ms: i64, secs: i64, rate: f64) -> Vec<(i64, Verdict)> {
        let (mut decided, mut due, mut id) = (vec![], 0.0, from_ms as u128 * 1000);
        for second in 0..secs {
            let now_ms = from_ms + second * 1000;
            due += rate * f64::from(governor.percent()) / 100.0;
            while due >= 1.0 {
                governor.count(PostId(id), now_ms);
                (id, due) = (id + 1, due - 1.0);
            }
            match governor.look(now_ms) {
                Verdict::Keep => (),
                Verdict::Sample(percent) => {
                    governor.sampled(percent, now_ms);
                    decided.push((second, Verdict::Sample(percent)));
                }
                pause @ Verdict::PauseUntil(_) => {
                    decided.push((second, pause));
                    break;
                }
            }
        }
        decided
    }

    #[test]
    fn budgets_are_read() {
        assert_eq!("5/day".parse(), Ok(Budget { dollars: 5.0, period: Period::Day }));
        assert_eq!("$12.50/month".parse::<Budget>().unwrap().to_string(), "$12.5/month");
        for bad in ["", "5", "5/week", "-1/day", "nan/day", "0/day", "inf/month"] {
            assert!(bad.parse::<Budget>().is_err(), "{bad}");
        }
    }

    #[test]
    fn periods_end_at_midnight_and_on_the_first() {
        let end = |period: Period, at: &str| rfc3339(period.around(parse_rfc3339(at).unwrap()).1);
        assert_eq!(end(Period::Day, "2026-05-23T12:00:00Z"), "2026-05-24T00:00:00Z");
        assert_eq!(end(Period::Month, "2026-01-31T23:59:59Z"), "2026-02-01T00:00:00Z");
        assert_eq!(end(Period::Month, "2026-12-01T00:00:00Z"), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_busy_stream_is_narrowed_and_lasts_until_the_end_of_the_day() {
        // 12 hours at 1 a second are 43,200 posts; the money is for 20,000.
        let mut governor = governor("100/day");
        let decided = run(&mut governor, NOON_MS, 12 * 3600, 1.0);
        assert_eq!(decided[0], (10, Verdict::Sample(25)), "{decided:?}");
        assert!(decided.iter().all(|(_, verdict)| matches!(verdict, Verdict::Sample(_))), "{decided:?}");
        let posts = posts(&governor, Period::Day, NOON_MS);
        assert!((10_000..20_000).contains(&posts), "{posts} posts");
        assert!(decided.len() < 12, "{decided:?}");
    }

    #[test]
    fn a_burst_ends_the_day_before_the_budget_is_passed() {
        let mut governor = governor("5/day");
        let decided = run(&mut governor, NOON_MS, 3600, 250.0);
        let midnight_ms = NOON_MS + DAY_MS / 2;
        assert_eq!(decided.last().unwrap().1, Verdict::PauseUntil(midnight_ms));
        assert!(posts(&governor, Period::Day, NOON_MS) <= 1000, "{:?}", governor.spent());
        governor.connected(false, NOON_MS);
        assert_eq!(governor.look(midnight_ms - 1), Verdict::PauseUntil(midnight_ms));
        assert_eq!(governor.look(midnight_ms), Verdict::Keep);
    }

    fn posts(governor: &Governor, period: Period, now_ms: i64) -> u64 {
        governor.spent().posts(period.around(now_ms))
    }

    #[test]
    fn a_post_is_paid_for_once_and_of_its_day_and_month() {
        let mut governor = governor("5/day");
        for _ in 0..3 {
            governor.count(PostId(7), NOON_MS);
        }
        governor.count(PostId(8), NOON_MS + DAY_MS);
        governor.count(PostId(9), NOON_MS + 20 * DAY_MS);
        let day = |days: i64| posts(&governor, Period::Day, NOON_MS + days * DAY_MS);
        assert_eq!([day(0), day(1), day(2), day(20)], [1, 1, 0, 1]);
        assert_eq!(posts(&governor, Period::Month, NOON_MS), 2);
        assert!(
            (governor.dollars(NOON_MS) - 0.01).abs() < 1e-9
                && (governor.dollars(NOON_MS + 9 * DAY_MS) - 0.005).abs() < 1e-9
        );
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_returns_no_money_and_ends_no_later_day() {
        let mut governor = governor("5/day");
        (0..900).for_each(|id| governor.count(PostId(id), NOON_MS));
        for (far, id) in [(400, 2000), (-400, 4000)] {
            let wrong_ms = NOON_MS + far * DAY_MS;
            (id..id + 990).for_each(|id| governor.count(PostId(id), wrong_ms));
            assert!(matches!(governor.look(wrong_ms), Verdict::PauseUntil(_)));
            governor.connected(true, NOON_MS);
            assert!(!matches!(governor.look(NOON_MS), Verdict::PauseUntil(_)), "{far}");
            assert_eq!(posts(&governor, Period::Day, NOON_MS), 900, "{far}");
        }
        governor.count(PostId(9000), NOON_MS);
        (9000..9090).for_each(|id| governor.count(PostId(id), NOON_MS));
        assert_eq!(governor.look(NOON_MS), Verdict::PauseUntil(NOON_MS + DAY_MS / 2));
    }

    #[test]
    fn what_is_kept_of_the_past_is_bounded_and_reads_back() {
        let mut governor = governor("5/day");
        (0..200).for_each(|day| governor.count(PostId(day as u128), NOON_MS + day * DAY_MS));
        let spent = governor.spent();
        assert_eq!(spent.posts((0, NOON_MS + 200 * DAY_MS)), 62);
        assert_eq!(posts(&governor, Period::Day, NOON_MS + 199 * DAY_MS), 1);
        let text = serde_json::to_string(spent).unwrap();
        assert_eq!(serde_json::from_str::<Spent>(&text).unwrap(), *spent);
    }

    #[test]
    fn what_x_counted_is_believed_when_it_is_more() {
        let mut governor = governor("5/day");
        governor.count(PostId(1), NOON_MS);
        let today = NOON_MS.div_euclid(DAY_MS);
        governor.reconcile(&Usage { days: vec![(today, 990), (today - 1, 10), (today - 40, 9999)] }, NOON_MS);
        let both = |governor: &Governor| [Period::Day, Period::Month].map(|period| posts(governor, period, NOON_MS));
        assert_eq!(both(&governor), [990, 1000]);
        assert!(matches!(governor.look(NOON_MS), Verdict::PauseUntil(_)));
        governor.reconcile(&Usage::default(), NOON_MS);
        assert_eq!(both(&governor), [990, 1000]);
    }

    #[test]
    fn one_early_post_narrows_nothing_and_a_burst_keeps_more_back() {
        let mut governor = governor("5/day");
        governor.count(PostId(1), NOON_MS);
        assert_eq!(governor.look(NOON_MS + 10_000), Verdict::Keep);
        for id in 2..=499 {
            governor.count(PostId(id), NOON_MS + 10_000);
        }
        // 499 posts within 10 s: 5 s of that is less than what is left.
        assert!(matches!(governor.look(NOON_MS + 10_000), Verdict::Sample(_)));
        governor.connected(true, NOON_MS + 10_000);
        for id in 500..=760 {
            governor.count(PostId(id), NOON_MS + 11_000);
        }
        // 261 posts within a second, and 239 are left.
        assert!(matches!(governor.look(NOON_MS + 11_000), Verdict::PauseUntil(_)));
    }

    #[test]
    fn a_quiet_stream_is_widened_again_but_not_at_once() {
        let mut governor = Governor::new(Some("100/day".parse().unwrap()), 0.005, meter(), 10);
        governor.connected(true, NOON_MS);
        governor.sampled(10, NOON_MS);
        let decided = run(&mut governor, NOON_MS, 3600, 0.1);
        assert!(decided[0].0 >= 900 && decided[0].1 == Verdict::Sample(100), "{decided:?}");
    }
}
