//! A history: what happens to an installation, step by step, drawn from a seed.

use std::fmt;

use birdsong_sources::dice::Dice;

use crate::world::{AGGREGATORS, DIGESTS, NAMES, REPROCESS, STREAMER};

const MINUTE_MS: i64 = 60_000;
/// Keeps what is drawn for a history apart from what is drawn in its steps.
const PLAN: u64 = 0x706c_616e;

/// Lengths of windows. Short ones take long, as a day has many of them.
const WINDOW_MINUTES: [u32; 24] =
    [60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 60, 45, 45, 30, 15, 5];

/// What happens next. A step draws what it needs from a seed of its own, so that it stays the same when others are
/// left out.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Posts are published; the source has them from now on.
    Posts { seed: u64, count: u64 },
    /// Time passes.
    Wait { ms: i64 },
    /// All clocks but that of the log are wrong by this much from now on, in milliseconds.
    Clock { off_ms: i64 },
    /// These programs, by number, run at the same time. Of 1,000 calls of the log and the store, `trouble` fail; the programs in
    /// `crash` end at one of their first calls.
    Round { seed: u64, programs: Vec<usize>, trouble: u64, crash: Vec<usize> },
    /// A shard of the log is split, or two are merged.
    Reshard { seed: u64 },
    /// A stored row is lost, damaged, altered or made up.
    Alter { seed: u64 },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Posts { count, .. } => write!(f, "{count} posts are published"),
            Self::Wait { ms } => write!(f, "{} s pass", ms / 1000),
            Self::Clock { off_ms } => write!(f, "the clocks are wrong by {} s", off_ms / 1000),
            Self::Round { programs, trouble, crash, .. } => {
                let names = |of: &[usize]| of.iter().map(|program| NAMES[*program]).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "at the same time: {}; {trouble} of 1,000 calls fail; will crash: {}",
                    names(programs),
                    names(crash)
                )
            }
            Self::Reshard { .. } => write!(f, "a shard is split, or two are merged"),
            Self::Alter { .. } => write!(f, "a stored row is lost, damaged, altered or made up"),
        }
    }
}

impl Step {
    /// The same step with less in it.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        match self.clone() {
            Self::Posts { seed, count } => (1..count).map(|count| Self::Posts { seed, count }).collect(),
            Self::Round { seed, programs, trouble, crash } => {
                let round = |programs: &[usize], trouble, crash: &[usize]| Self::Round {
                    seed,
                    programs: programs.to_vec(),
                    trouble,
                    crash: crash.to_vec(),
                };
                let without =
                    |program: &usize| -> Vec<usize> { programs.iter().copied().filter(|of| of != program).collect() };
                let fewer = programs.iter().map(|program| round(&without(program), trouble, &crash));
                let calm = [round(&programs, 0, &[]), round(&programs, 0, &crash), round(&programs, trouble, &[])];
                fewer.chain(calm.into_iter().filter(|_| trouble > 0 || !crash.is_empty())).collect()
            }
            _ => vec![],
        }
    }
}

/// A world, and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) window_minutes: u32,
    /// Buckets of each region.
    pub(crate) regions: Vec<u64>,
    /// Partials that an aggregator keeps.
    pub(crate) cache: usize,
    /// When it begins, in milliseconds after a midnight.
    pub(crate) begin_ms: i64,
    /// How long a source may repeat a post, in milliseconds.
    pub(crate) repeats_ms: i64,
    pub(crate) steps: Vec<Step>,
}

impl History {
    /// The history of a seed: always the same.
    pub(crate) fn of(seed: u64) -> Self {
        let dice = &mut Dice::of(&[PLAN, seed]);
        let has_clock_jumps = dice.percent(15);
        let has_damage = dice.percent(12);
        let count = 3 + dice.below(9);
        let mut steps = vec![];
        for number in 0..count {
            steps.push(step(dice, seed ^ number << 48, has_clock_jumps, has_damage));
        }
        Self {
            window_minutes: *dice.pick(&WINDOW_MINUTES),
            regions: (0..1 + dice.below(3)).map(|_| *dice.pick(&[1, 1, 2, 3])).collect(),
            cache: *dice.pick(&[0, 1, 2, 64]),
            begin_ms: dice.below(24 * 60) as i64 * MINUTE_MS + dice.below(60_000) as i64,
            // A start learns what was sent in the last 75 minutes; a clock may be wrong by an hour of these.
            repeats_ms: if has_clock_jumps { 10 } else { 60 } * MINUTE_MS,
            steps,
        }
    }

    /// The same without some of its steps.
    pub(crate) fn without(&self, from: usize, to: usize) -> Self {
        let mut less = self.clone();
        less.steps.drain(from..to);
        less
    }

    /// Whether rows are altered, which only a reprocess repairs.
    pub(crate) fn has_damage(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Alter { .. }))
    }
}

fn step(dice: &mut Dice, salt: u64, has_clock_jumps: bool, has_damage: bool) -> Step {
    let seed = dice.draw() ^ salt;
    match dice.below(20) {
        0..5 => Step::Posts { seed, count: 1 + dice.below(5) },
        5..8 => Step::Wait {
            ms: *dice.pick(&[10_000, 4, 20, 70, 200, 600].map(|n: i64| if n < 1000 { n * MINUTE_MS } else { n })),
        },
        8 if has_clock_jumps => Step::Clock { off_ms: *dice.pick(&[0, -9, 20, 55].map(|minutes| minutes * MINUTE_MS)) },
        9 | 10 => Step::Reshard { seed },
        11 if has_damage => Step::Alter { seed },
        _ => round(dice, seed),
    }
}

fn round(dice: &mut Dice, seed: u64) -> Step {
    let mut programs = vec![];
    for (program, percent) in [
        (STREAMER, 60),
        (AGGREGATORS[0], 65),
        (AGGREGATORS[1], 40),
        (DIGESTS[0], 35),
        (DIGESTS[1], 25),
        (REPROCESS, 12),
    ] {
        if dice.percent(percent) {
            programs.push(program);
        }
    }
    let crash = programs.iter().copied().filter(|_| dice.percent(25)).collect();
    Step::Round { seed, programs, trouble: *dice.pick(&[0, 0, 30, 150]), crash }
}
