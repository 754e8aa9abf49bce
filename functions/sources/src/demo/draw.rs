//! Random draws of a seed.

use crate::dice;

/// Draws that depend on the parts it was made of and on nothing else.
#[derive(Debug, Clone)]
pub(super) struct Dice(dice::Dice);

impl Dice {
    pub(super) fn of(parts: &[u64]) -> Self {
        Self(dice::Dice::of(parts))
    }

    /// In 0..1.
    pub(super) fn share(&mut self) -> f64 {
        (self.0.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        (self.share() * n as f64) as u64
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// By Poisson's law, by counting exponential waits.
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        let (mut n, mut left) = (0, mean);
        loop {
            left += (1.0 - self.share()).ln();
            if left < 0.0 || n > 10_000 {
                return n;
            }
            n += 1;
        }
    }

    /// About normal, with mean 0 and variance 1: the sum of four uniform draws.
    pub(super) fn normal(&mut self) -> f64 {
        ((0..4).map(|_| self.share()).sum::<f64>() - 2.0) * 3f64.sqrt()
    }

    /// Rank by Zipf's law (exponent 1) in 0..n, by the inverse of the harmonic integral.
    pub(super) fn zipf(&mut self, n: u64) -> u64 {
        let rank = ((n as f64 + 1.0).ln() * self.share()).exp() - 1.0;
        (rank as u64).min(n - 1)
    }

    pub(super) fn pick<'t, T: ?Sized>(&mut self, weighted: &'t [(&'t T, u32)]) -> Option<&'t T> {
        let total: u32 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(u64::from(total)) as u32;
        weighted.iter().find_map(|(item, weight)| {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
            None
        })
    }

    /// Shuffles by Fisher and Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
