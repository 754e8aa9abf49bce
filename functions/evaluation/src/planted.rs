//! Generated series whose bursts are known.

use birdsong_domain::time::WindowSize;

use crate::random::Random;
use crate::series::Series;

/// Days before the first burst: history for the baselines.
pub(crate) const HISTORY_DAYS: usize = 14;
/// Days in which bursts are planted and alarms counted.
pub(crate) const SCORED_DAYS: usize = 14;
const DAY: usize = 288;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// With a daily cycle, weekends, drift, and bursts.
    Plain,
    /// Less than one post a window, no burst.
    Quiet,
    /// As plain, and a bot posts every morning.
    Bot,
}

/// A burst: windows `first..end`, and its height in multiples of the base.
pub(crate) struct Burst {
    pub(crate) first: usize,
    pub(crate) end: usize,
    pub(crate) height: f64,
    /// Posts that it adds to fifteen minutes at its top.
    pub(crate) posts: f64,
}

pub(crate) struct Planted {
    pub(crate) series: Series,
    pub(crate) kind: Kind,
    pub(crate) bursts: Vec<Burst>,
}

/// The series of one seed.
pub(crate) fn plant(seed: u64) -> Planted {
    let mut random = Random::new(seed);
    let kind = match random.whole(0, 6) {
        0 => Kind::Quiet,
        1 => Kind::Bot,
        _ => Kind::Plain,
    };
    let days = HISTORY_DAYS + SCORED_DAYS;
    let base = match kind {
        Kind::Quiet => random.between(0.02, 0.9),
        _ => (random.between(0.3f64.ln(), 50f64.ln())).exp(),
    };
    let (cycle, phase) = (random.between(0.3, 0.8), random.between(0.0, 24.0));
    let weekend = random.between(0.6, 1.3);
    let drift = random.between(-0.25, 0.25); // of the logarithm, in a week
    let spread = if random.chance(0.4) { 0.0 } else { random.between(0.01, 0.08) };
    let wander = random.between(0.0, 0.12); // of the logarithm, over hours
    let first_weekday = random.whole(0, 7);
    let mut slow = 0.0;
    let mut rate = vec![0.0; days * DAY];
    for (at, rate) in rate.iter_mut().enumerate() {
        let hour = (at % DAY) as f64 / 12.0;
        slow = slow * 0.98 + random.normal() * wander * 0.2;
        let day = (at / DAY + first_weekday) % 7;
        *rate = base
            * (1.0 + cycle * (std::f64::consts::TAU * (hour - phase) / 24.0).cos())
            * if day >= 5 { weekend } else { 1.0 }
            * (drift * at as f64 / (7 * DAY) as f64 + slow).exp();
    }
    let mut bursts: Vec<Burst> = vec![];
    if kind != Kind::Quiet {
        for _ in 0..random.whole(1, 4) {
            let height = [1.0, 2.0, 4.0, 8.0][random.whole(0, 4)];
            let length = random.whole(6, 36); // half an hour to three hours
            let first = random.whole(HISTORY_DAYS * DAY, days * DAY - 36);
            // Eight hours apart, so that it is clear which one was found.
            if bursts.iter().all(|other| first.abs_diff(other.first) >= 96) {
                let end = first + length;
                for (step, rate) in rate[first..end].iter_mut().enumerate() {
                    // A steep start, half of the time at the top, then it fades to a third.
                    let part = step as f64 / length as f64;
                    let shape = if step == 0 { 0.6 } else { (1.0 - (part - 0.5).max(0.0) * 1.3).min(1.0) };
                    *rate += base * height * shape;
                }
                bursts.push(Burst { first, end, height, posts: 3.0 * base * height });
            }
        }
        bursts.sort_by_key(|burst| burst.first);
    }
    let mut counts = vec![];
    for rate in rate {
        let dispersed = rate * random.gamma(spread);
        counts.push(Some(random.poisson(dispersed)));
    }
    if kind == Kind::Bot {
        let (at, posts) = (random.whole(0, DAY - 3), random.between(4.0, 12.0).max(2.0 * base));
        for day in 0..days {
            for step in 0..3 {
                if let Some(Some(count)) = counts.get_mut(day * DAY + at + step) {
                    *count += random.poisson(posts);
                }
            }
        }
    }
    let size = WindowSize::FIVE_MINUTES;
    Planted { series: Series { name: format!("seed {seed}"), size, start_ms: 0, counts }, kind, bursts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_series() {
        let (one, same, other) = (plant(7), plant(7), plant(8));
        assert_eq!(one.series.counts, same.series.counts);
        assert_ne!(one.series.counts, other.series.counts);
    }

    #[test]
    fn bursts_are_where_they_are_said_to_be() {
        let all: Vec<_> = (0..200).map(plant).collect();
        assert!(all.iter().filter(|planted| planted.kind == Kind::Quiet).all(|planted| planted.bursts.is_empty()));
        let strong = all.iter().flat_map(|planted| planted.bursts.iter().map(move |burst| (planted, burst)));
        let mut seen = 0;
        for (planted, burst) in strong.filter(|(_, burst)| burst.height == 8.0 && burst.posts > 100.0) {
            let posts = |from: usize| planted.series.counts[from..from + 6].iter().flatten().sum::<u32>();
            let (during, day_before) = (posts(burst.first), posts(burst.first - DAY));
            assert!(during > 2 * day_before, "{}: {during} after {day_before}", planted.series.name);
            seen += 1;
        }
        assert!(seen > 10);
    }
}
