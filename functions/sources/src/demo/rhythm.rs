//! How many posts a region writes at a time: by day, by week, and with some weather.

use std::f64::consts::TAU;

use super::draw::Dice;

/// Posts in five minutes, on the average of a week, of the regions in turn.
const POSTS: [f64; 6] = [40.0, 32.0, 54.0, 36.0, 26.0, 48.0];
/// Of a region that is not named here: all posts of the network.
const EVERYTHING: f64 = 135.0;
/// Of the region in which little is written.
const QUIET: f64 = 2.4;
/// From Monday to Sunday.
const WEEK: [f64; 7] = [0.98, 1.0, 1.01, 1.03, 1.12, 0.94, 0.86];
/// The number of posts wanders around its usual course by this share...
const WANDERING: f64 = 0.06;
/// ...and is somewhere else after this many seconds.
const WANDERING_SECS: i64 = 1200;
const DAY_SECS: i64 = 86_400;

/// The rhythm of one region.
#[derive(Debug, Clone)]
pub(super) struct Rhythm {
    seed: u64,
    region: u64,
    /// Posts in five minutes.
    mean: f64,
    /// How much more is written in the evening than in the night.
    swing: f64,
    lon: f64,
}

impl Rhythm {
    pub(super) fn new(seed: u64, region: u64, lon: f64, is_quiet: bool, is_everything: bool) -> Self {
        let mean = match (is_quiet, is_everything) {
            (_, true) => EVERYTHING,
            (true, _) => QUIET,
            _ => POSTS[region as usize % POSTS.len()],
        };
        let swing = Dice::of(&[seed, region, 0x50]).between(0.45, 0.65);
        Self { seed, region, mean, swing, lon }
    }

    /// Posts in five minutes on the average of a week.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// Second (since 1970) of the minute in which the sun's time there is `hour` on local day `day`.
    pub(super) fn at(&self, day: i64, hour: f64) -> i64 {
        day * DAY_SECS + ((hour - self.lon / 15.0) * 60.0).floor() as i64 * 60
    }

    /// Days since 1970 and hours of the day, by the sun.
    pub(super) fn local(&self, second: i64) -> (i64, f64) {
        let second = second + (self.lon * 240.0) as i64;
        (second.div_euclid(DAY_SECS), second.rem_euclid(DAY_SECS) as f64 / 3600.0)
    }

    /// Usual posts per second around a time, in seconds since 1970: a low at 4 o'clock, a high in the evening, less on
    /// weekends.
    pub(super) fn usual(&self, second: i64) -> f64 {
        let (day, hour) = self.local(second);
        let of_day =
            1.0 - self.swing * (TAU * (hour - 4.0) / 24.0).cos() + 0.12 * (2.0 * TAU * (hour - 20.0) / 24.0).cos();
        // A day passes into the next one between its noon and that of the next one. 1970 began on a Thursday.
        let (first, part) = if hour < 12.0 { (day - 1, hour / 24.0 + 0.5) } else { (day, hour / 24.0 - 0.5) };
        let week = |day: i64| WEEK[(day + 3).rem_euclid(7) as usize];
        let of_week = week(first) + (week(first + 1) - week(first)) * part;
        self.mean / 300.0 * of_day * of_week
    }

    /// Posts per second, with the wandering of this time.
    pub(super) fn rate(&self, second: i64) -> f64 {
        let (knot, part) = (second.div_euclid(WANDERING_SECS), second.rem_euclid(WANDERING_SECS));
        let drawn = |knot: i64| Dice::of(&[self.seed, self.region, knot as u64, 0x51]).normal();
        let part = part as f64 / WANDERING_SECS as f64;
        let (before, after) = (drawn(knot), drawn(knot + 1));
        self.usual(second) * (WANDERING * (before + (after - before) * part)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONDAY: i64 = 1_779_667_200; // 2026-05-25T00:00:00Z

    #[test]
    fn a_region_has_its_night_and_its_weekend() {
        for (region, lon) in [(0, -73.7), (5, 139.7)] {
            let rhythm = Rhythm::new(1, region, lon, false, false);
            let at = |day: i64, hour: f64| rhythm.usual(rhythm.at(MONDAY / DAY_SECS + day, hour)) * 300.0;
            assert!(at(1, 20.0) > 2.0 * at(1, 4.0), "{} {}", at(1, 20.0), at(1, 4.0));
            assert!(at(6, 15.0) < 0.9 * at(1, 15.0), "a Sunday");
            let week: f64 = (0..7 * 24).map(|hour| at(0, f64::from(hour))).sum::<f64>() / 168.0;
            assert!((week / rhythm.mean() - 1.0).abs() < 0.03, "{week}");
            let jumps = |of: &dyn Fn(i64) -> f64| {
                let each = (0..7 * 288).map(|n| (of(MONDAY + n * 300), of(MONDAY + n * 300 + 300)));
                each.map(|(a, b)| (b / a - 1.0).abs()).fold(0.0, f64::max)
            };
            assert!(jumps(&|second| rhythm.usual(second)) < 0.04, "without steps");
            assert!(jumps(&|second| rhythm.rate(second)) < 0.15);
        }
        assert_eq!(Rhythm::new(1, 1, 10.0, true, false).mean(), QUIET);
    }

    #[test]
    fn local_time_is_that_of_the_sun() {
        let rhythm = Rhythm::new(1, 0, -75.0, false, false);
        assert_eq!(rhythm.local(MONDAY), (MONDAY / DAY_SECS - 1, 19.0));
        assert_eq!(rhythm.at(MONDAY / DAY_SECS, 7.0), MONDAY + 12 * 3600);
    }
}
