//! Which frames of each run a window has counted, so that a frame that is in the log twice counts once.
//!
//! An append that timed out may have succeeded; the streamer sends it again, with the same run and
//! number, and then the log has it twice.

use super::Metric;
use crate::wire::{self, DecodeError, Reader};

/// Runs tracked per window, evicted least recently used.
const MAX_RUNS: usize = 8;
const WORDS: usize = 8;
/// Number of the first frame of a lane in a run.
const FIRST: u64 = 1;
/// Frames of a run may change places within one append, which has at most 500 records. What is further
/// behind than this can only be a repetition.
const REACH: u64 = 64 * WORDS as u64;

/// Frames counted, by run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenFrames {
    /// Least recently used first.
    runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    /// Hash of the run's id.
    id: u64,
    /// Highest number counted.
    highest: u64,
    /// Bit `n` is whether `highest - n` was counted.
    counted: [u64; WORDS],
}

impl SeenFrames {
    /// Records a frame; `false` when it was recorded before.
    pub(crate) fn count(&mut self, run: &str, counter: u64) -> bool {
        let id = siphasher::sip::SipHasher13::new().hash(run.as_bytes());
        let mut run = match self.runs.iter().position(|run| run.id == id) {
            Some(at) => self.runs.remove(at),
            None => {
                if self.runs.len() >= MAX_RUNS {
                    self.runs.remove(0);
                }
                Run { id, highest: counter, counted: [0; WORDS] }
            }
        };
        let is_new = run.count(counter);
        self.runs.push(run);
        is_new
    }
}

impl SeenFrames {
    /// Whether it has the first frame of a run.
    pub(crate) fn has_first(&self) -> bool {
        self.runs.iter().any(|run| {
            let back = run.highest.wrapping_sub(FIRST);
            run.highest >= FIRST && back < REACH && run.has(back)
        })
    }

    /// Whether it has a frame that `other` lacks. What is out of the other's reach is not known to be missing there.
    pub(crate) fn has_beyond(&self, other: &Self) -> bool {
        self.runs.iter().any(|run| {
            let theirs = other.runs.iter().find(|theirs| theirs.id == run.id);
            (0..REACH.min(run.highest.saturating_add(1))).filter(|age| run.has(*age)).any(|age| {
                let counter = run.highest - age;
                theirs.is_none_or(|theirs| match theirs.highest.checked_sub(counter) {
                    Some(age) => age < REACH && !theirs.has(age),
                    None => true,
                })
            })
        })
    }
}

impl Metric for SeenFrames {
    fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Frames of different lanes, and of an answer, are not compared.
    fn merge(&mut self, _other: &Self, _same_window: bool) {}

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.runs.len() as u64);
        for run in &self.runs {
            wire::put_u64(out, run.id);
            wire::put_u64(out, run.highest);
            run.counted.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut seen = Self::default();
        for _ in 0..reader.u64()? {
            if seen.runs.len() == MAX_RUNS {
                return Err(reader.error("at most eight runs"));
            }
            let (id, highest) = (reader.u64()?, reader.u64()?);
            let mut counted = [0; WORDS];
            for byte in 0..8 * WORDS {
                counted[byte / 8] |= u64::from(reader.u8()?) << (8 * (byte % 8));
            }
            seen.runs.push(Run { id, highest, counted });
        }
        Ok(seen)
    }
}

impl Run {
    /// Whether the frame was counted that is `age` before the highest one, less than [`REACH`].
    fn has(&self, age: u64) -> bool {
        self.counted[(age / 64) as usize] >> (age % 64) & 1 == 1
    }

    fn count(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            self.shift(counter - self.highest);
            self.highest = counter;
        }
        let age = self.highest - counter;
        if age >= REACH {
            return false;
        }
        let is_new = !self.has(age);
        self.counted[(age / 64) as usize] |= 1 << (age % 64);
        is_new
    }

    /// Makes everything `by` older.
    fn shift(&mut self, by: u64) {
        let (words, bits) = ((by / 64).min(WORDS as u64) as usize, by % 64);
        for at in (0..WORDS).rev() {
            let word = |back: usize| at.checked_sub(back).map_or(0, |from| self.counted[from]);
            let carried = if bits == 0 { 0 } else { word(words + 1) >> (64 - bits) };
            self.counted[at] = (word(words) << bits) | carried;
        }
    }
}

// Rule 1.5.
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain set, for numbers that are out of order by less than the reach.
        #[test]
        fn counts_each_frame_once(steps in prop::collection::vec((0u64..700, 0u64..500, 0usize..3), 1..300)) {
            let mut seen = SeenFrames::default();
            let mut plain = std::collections::HashSet::new();
            let mut highest = [0u64; 3];
            for (forward, back, run) in steps {
                let counter = (highest[run] + forward).saturating_sub(back).max(1);
                if highest[run].saturating_sub(counter) >= REACH {
                    continue;
                }
                highest[run] = highest[run].max(counter);
                prop_assert_eq!(seen.count(["a", "b", "c"][run], counter), plain.insert((run, counter)));
                let has_first = ["a", "b", "c"].iter().enumerate().any(|(run, _)| {
                    plain.contains(&(run, FIRST)) && highest[run] - FIRST < REACH
                });
                prop_assert_eq!(seen.has_first(), has_first);
                let mut bytes = vec![];
                seen.encode(&mut bytes);
                let mut reader = Reader::new(&bytes);
                prop_assert_eq!(&SeenFrames::decode(&mut reader).unwrap(), &seen);
                prop_assert!(reader.finish().is_ok());
            }
        }
    }

    #[test]
    fn a_run_has_a_first_frame_until_it_is_out_of_reach() {
        let mut seen = SeenFrames::default();
        assert!(seen.is_empty() && !seen.has_first());
        seen.count("a", 0);
        assert!(!seen.is_empty() && !seen.has_first());
        seen.count("a", FIRST);
        assert!(seen.has_first());
        seen.count("a", REACH);
        assert!(seen.has_first());
        seen.count("a", REACH + 1);
        assert!(!seen.has_first());
    }

    proptest! {
        /// Against plain sets, which forget nothing: numbers stay within the reach.
        #[test]
        fn a_frame_beyond_another_window_is_found(frames in prop::collection::vec((0u64..500, 0usize..3, 0u8..4), 0..40)) {
            let (mut seen, mut plain) = <([SeenFrames; 2], [std::collections::HashSet<_>; 2])>::default();
            for (counter, run, whose) in frames {
                // Most frames are in both.
                for window in (0..2).filter(|window| usize::from(whose) != *window) {
                    seen[window].count(["a", "b", "c"][run], counter);
                    plain[window].insert((run, counter));
                }
            }
            prop_assert_eq!(seen[0].has_beyond(&seen[1]), !plain[0].is_subset(&plain[1]));
            prop_assert_eq!(seen[1].has_beyond(&seen[0]), !plain[1].is_subset(&plain[0]));
            prop_assert!(!seen[0].has_beyond(&seen[0].clone()));
        }
    }

    #[test]
    fn what_is_out_of_reach_is_not_missing() {
        let of = |counters: &[u64]| {
            let mut seen = SeenFrames::default();
            for counter in counters {
                seen.count("a", *counter);
            }
            seen
        };
        assert!(of(&[1, 2]).has_beyond(&of(&[2, REACH])));
        assert!(!of(&[1, 2]).has_beyond(&of(&[2, REACH + 1])));
        assert!(of(&[u64::MAX]).has_beyond(&of(&[u64::MAX - 1])));
        assert!(!of(&[]).has_beyond(&of(&[])) && of(&[0]).has_beyond(&of(&[])));
    }

    #[test]
    fn the_least_recently_used_run_is_forgotten_first() {
        let mut seen = SeenFrames::default();
        for run in 0..MAX_RUNS {
            assert!(seen.count(&run.to_string(), 1));
        }
        assert!(!seen.count("0", 1));
        assert!(seen.count("another", 1));
        assert!(!seen.count("0", 1));
        assert!(seen.count("1", 1), "forgotten");
    }

    #[test]
    fn what_is_far_behind_is_a_repetition() {
        let mut seen = SeenFrames::default();
        assert!(seen.count("a", 1000));
        assert!(seen.count("a", 1000 - REACH + 1));
        assert!(!seen.count("a", 1000 - REACH));
    }
}
