//! Revisions: windows whose counts changed after they were counted, when, why and by how much.
//!
//! Late posts are part of a window, so what they changed follows from it. What a reprocess corrected does not follow from
//! the log. It is kept beside the windows, one document a region and day ([`Corrections`]), and is written before the windows
//! are: a reprocess that ends in between finds the same windows to correct when it is run again.
//!
//! ```
//! use birdsong_domain::network::Network;
//! use birdsong_domain::revision::{Cause, Corrections, LaneWindow, Revision};
//!
//! let mut day = Corrections::default();
//! let lane = LaneWindow { window_ms: 0, network: Network::X, bucket: 0 };
//! day.correct(lane, (Some(7), 10), 1_700_000_000_000, Cause::Reprocess);
//! let mut revision = Revision::late(2, Some(1_600_000_000_000));
//! day.iter().for_each(|(_, correction)| revision.add(&correction.revision()));
//! assert_eq!((revision.change, revision.at_ms), (Some(5), Some(1_700_000_000_000)));
//! assert_eq!(revision.causes.iter().collect::<Vec<_>>(), [Cause::Late, Cause::Reprocess]);
//! assert_eq!(Corrections::decode(&day.encode()?)?, day);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use crate::network::Network;
use crate::sealed;
use crate::wire::{self, DecodeError, Reader};

/// Version of the byte form.
const VERSION: u8 = 1;

/// Why the counts of a window changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Posts came after it was final.
    Late,
    /// A reprocess corrected it by the log.
    Reprocess,
    /// A dead letter was tried again.
    Retry,
    /// The same records are counted by another rule: a newer release folded them again.
    Rule,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Late, Self::Reprocess, Self::Retry, Self::Rule];

    /// Its name in answers and receipts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Reprocess => "reprocess",
            Self::Retry => "retry",
            Self::Rule => "rule",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes(u8);

impl Causes {
    /// Adds a cause.
    pub fn insert(&mut self, cause: Cause) {
        self.0 |= cause.bit();
    }

    /// Those that it has, in their order.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(move |cause| self.0 & cause.bit() != 0)
    }
}

impl From<Cause> for Causes {
    fn from(cause: Cause) -> Self {
        Self(cause.bit())
    }
}

/// What changed in one window or in several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// When it was changed last, in milliseconds; `None` when not known.
    pub at_ms: Option<i64>,
    /// Why.
    pub causes: Causes,
    /// Posts now minus posts before all changes; `None` when not known.
    pub change: Option<i64>,
}

impl Revision {
    /// Nothing changed.
    pub const NONE: Self = Self { at_ms: None, causes: Causes(0), change: Some(0) };

    /// A change of which nothing is known: an older release made it.
    pub const UNKNOWN: Self = Self { at_ms: None, causes: Causes(0), change: None };

    /// What `posts` late posts changed, the last of which came in a frame that was cut at `at_ms`.
    #[must_use]
    pub fn late(posts: u64, at_ms: Option<i64>) -> Self {
        match posts {
            0 => Self::NONE,
            _ => Self { at_ms, causes: Cause::Late.into(), change: i64::try_from(posts).ok() },
        }
    }

    /// What changed in windows that late posts changed as `late` says, and corrections as `corrected` says. A change of which
    /// neither knows shows in `is_revised` only.
    #[must_use]
    pub fn of(is_revised: bool, late: Self, corrected: Self) -> Option<Self> {
        let mut all = late;
        all.add(&corrected);
        match all.is_none() {
            true => is_revised.then_some(Self::UNKNOWN),
            false => Some(all),
        }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Adds what changed elsewhere, or for another reason.
    pub fn add(&mut self, other: &Self) {
        self.at_ms = self.at_ms.max(other.at_ms);
        self.causes.0 |= other.causes.0;
        self.change = self.change.zip(other.change).and_then(|(ours, theirs)| ours.checked_add(theirs));
    }
}

/// One lane of a window of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneWindow {
    /// Start of the window, in milliseconds.
    pub window_ms: i64,
    /// Where the posts were published.
    pub network: Network,
    /// 0 unless the region is hot.
    pub bucket: u16,
}

/// What corrections did to one lane of a window. Late posts are not in these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Posts before the first correction; `None` when what was stored could not be read.
    pub before: Option<u64>,
    /// Posts after the last one.
    pub after: u64,
    /// When the last one was made, in milliseconds by the clock of who made it.
    pub at_ms: i64,
    /// Why.
    pub causes: Causes,
}

impl Correction {
    /// The change that follows from it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        let change = self.before.and_then(|before| self.after.checked_signed_diff(before));
        Revision { at_ms: Some(self.at_ms), causes: self.causes, change }
    }
}

/// The corrections of the windows of a region that start on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections(BTreeMap<LaneWindow, Correction>);

impl Corrections {
    /// Adds a correction: posts before and after, without late ones. One that was written before and made later is one
    /// correction.
    pub fn correct(&mut self, lane: LaneWindow, (before, after): (Option<u64>, u64), at_ms: i64, cause: Cause) {
        let causes = Causes::default();
        let known = self.0.entry(lane).or_insert(Correction { before, after, at_ms, causes });
        known.after = after;
        known.at_ms = known.at_ms.max(at_ms);
        known.causes.insert(cause);
    }

    /// All of them, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = (&LaneWindow, &Correction)> {
        self.0.iter()
    }

    /// The one byte form: version, corrections; CRC-32; zstd-compressed.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![VERSION];
        for (lane, correction) in &self.0 {
            wire::put_i64(&mut out, lane.window_ms);
            wire::put_bytes(&mut out, lane.network.as_str().as_bytes());
            wire::put_u64(&mut out, u64::from(lane.bucket));
            wire::put_u64(&mut out, correction.before.map_or(0, |before| before.saturating_add(1)));
            wire::put_u64(&mut out, correction.after);
            wire::put_i64(&mut out, correction.at_ms);
            out.push(correction.causes.0);
        }
        sealed::seal(out)
    }

    /// Reads what [`Corrections::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged, or another release wrote them in another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = sealed::open(bytes)?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(reader.error("version 1 of the corrections of a day"));
        }
        let mut corrections = Self::default();
        while !reader.rest().is_empty() {
            let window_ms = reader.i64()?;
            let wrong = reader.error("the name of a network");
            let network = Network::parse(reader.text()?).map_err(|_| wrong)?;
            let wrong = reader.error("a bucket");
            let bucket = u16::try_from(reader.u64()?).map_err(|_| wrong)?;
            let (before, after) = (reader.u64()?.checked_sub(1), reader.u64()?);
            let correction = Correction { before, after, at_ms: reader.i64()?, causes: Causes(reader.u8()?) };
            corrections.0.insert(LaneWindow { window_ms, network, bucket }, correction);
        }
        Ok(corrections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneWindow = LaneWindow { window_ms: -300_000, network: Network::X, bucket: 3 };

    fn only(day: &Corrections) -> Correction {
        *day.iter().next().unwrap().1
    }

    #[test]
    fn what_changed_in_several_windows_has_the_causes_of_all() {
        let of = |cause: Cause, change| Revision { at_ms: Some(1), causes: cause.into(), change: Some(change) };
        for cause in Cause::ALL {
            assert_eq!(Causes::from(cause).iter().collect::<Vec<_>>(), [cause]);
        }
        let mut both = of(Cause::Late, 3);
        both.add(&Revision { at_ms: Some(5), ..of(Cause::Reprocess, -1) });
        assert_eq!((both.at_ms, both.change), (Some(5), Some(2)));
        let mut causes = Causes::from(Cause::Reprocess);
        causes.insert(Cause::Late);
        assert_eq!((both.causes, both.causes.iter().count()), (causes, 2));
    }

    #[test]
    fn the_first_count_before_and_the_last_one_after_are_kept() {
        let mut day = Corrections::default();
        day.correct(LANE, (Some(5), 9), 100, Cause::Reprocess);
        let first = day.clone();
        day.correct(LANE, (Some(5), 9), 100, Cause::Reprocess);
        assert_eq!(day, first, "what was written before it was made counts once");
        day.correct(LANE, (Some(9), 3), 200, Cause::Rule);
        let revision = only(&day).revision();
        assert_eq!((revision.change, revision.at_ms), (Some(-2), Some(200)));
        assert_eq!(revision.causes.iter().collect::<Vec<_>>(), [Cause::Reprocess, Cause::Rule]);
    }

    #[test]
    fn causes_have_names() {
        assert_eq!(Cause::ALL.map(Cause::as_str), ["late", "reprocess", "retry", "rule"]);
    }

    #[test]
    fn what_could_not_be_read_leaves_the_change_unknown() {
        let mut day = Corrections::default();
        day.correct(LANE, (None, 9), 100, Cause::Retry);
        day = Corrections::decode(&day.encode().unwrap()).unwrap();
        assert_eq!(only(&day).revision().change, None);
        let mut sum = Revision::late(3, None);
        sum.add(&only(&day).revision());
        assert_eq!((sum.change, sum.at_ms), (None, Some(100)));
        assert!(Revision::late(0, None).is_none() && !Revision::UNKNOWN.is_none());
    }

    #[test]
    fn damaged_corrections_are_errors() {
        let mut day = Corrections::default();
        day.correct(LANE, (Some(0), 9), 100, Cause::Retry);
        let bytes = day.encode().unwrap();
        assert_eq!(Corrections::decode(&bytes).unwrap(), day);
        for cut in 0..bytes.len() {
            assert!(Corrections::decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
