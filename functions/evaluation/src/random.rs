//! A small deterministic generator: the same seed gives the same series on every machine.

/// `SplitMix64` (Steele, Lea and Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in [low, high).
    pub(crate) fn whole(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low).max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Gamma with mean 1 and variance `spread` (Marsaglia and Tsang 2000).
    pub(crate) fn gamma(&mut self, spread: f64) -> f64 {
        if spread <= 0.0 {
            return 1.0;
        }
        let shape = 1.0 / spread;
        let (shape_up, factor) =
            if shape < 1.0 { (shape + 1.0, (1.0 - self.unit()).powf(1.0 / shape)) } else { (shape, 1.0) };
        let d = shape_up - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.unit()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v * factor / shape;
            }
        }
    }

    /// Poisson with this mean; means above 500 are split, which is exact.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 500.0 {
            return self.poisson(mean / 2.0) + self.poisson(mean / 2.0);
        }
        let limit = (-mean.max(0.0)).exp();
        let (mut product, mut count) = (self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_mean_and_variance() {
        let mut random = Random::new(1);
        let mut check = |mean: f64, variance: f64, draw: &mut dyn FnMut(&mut Random) -> f64| {
            let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut random)).collect();
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            let spread = draws.iter().map(|draw| (draw - average).powi(2)).sum::<f64>() / draws.len() as f64;
            assert!((average - mean).abs() < 0.04 * mean.max(1.0), "{average} is not {mean}");
            assert!((spread / variance - 1.0).abs() < 0.1, "{spread} is not {variance}");
        };
        check(0.5, 1.0 / 12.0, &mut Random::unit);
        check(0.0, 1.0, &mut Random::normal);
        check(1.0, 0.1, &mut |random| random.gamma(0.1));
        check(1.0, 3.0, &mut |random| random.gamma(3.0));
        check(0.7, 0.7, &mut |random| f64::from(random.poisson(0.7)));
        check(900.0, 900.0, &mut |random| f64::from(random.poisson(900.0)));
    }
}
