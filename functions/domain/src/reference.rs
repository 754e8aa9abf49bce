//! Reference counts: how many posts another place counted for a region, minute by minute. They are no posts of ours; they
//! show how complete ours are, and stand in for a baseline that is not there yet.
//!
//! ```
//! use birdsong_domain::reference::ReferenceDay;
//! use birdsong_domain::time::WindowSize;
//!
//! let mut day = ReferenceDay::default();
//! assert!(day.set(0, 2) && day.set(7, 5) && !day.set(7, 5));
//! assert_eq!(day.window(0, WindowSize::FIVE_MINUTES), None, "four minutes are not known");
//! (1..5).for_each(|minute| drop(day.set(minute, 1)));
//! assert_eq!(day.window(0, WindowSize::FIVE_MINUTES), Some(6));
//! assert_eq!(ReferenceDay::decode(&day.encode()?)?, day);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use crate::sealed;
use crate::time::WindowSize;
use crate::wire::{self, DecodeError, Reader};

/// Minutes of a day.
pub const DAY_MINUTES: usize = 1440;
const VERSION: u8 = 1;

/// The minutes of one region on one day, from midnight UTC. The body of a document of the kind
/// [`crate::ports::DocumentKind::Reference`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceDay {
    /// Posts by minute of the day; minutes that are not known are left out.
    minutes: BTreeMap<u16, u64>,
}

impl ReferenceDay {
    /// Sets the count of a minute of the day. Returns whether that is news; minutes beyond the day are not.
    pub fn set(&mut self, minute: usize, posts: u64) -> bool {
        let Some(minute) = u16::try_from(minute).ok().filter(|minute| usize::from(*minute) < DAY_MINUTES) else {
            return false;
        };
        self.minutes.insert(minute, posts) != Some(posts)
    }

    /// Posts in the window at `position` of the day; `None` when not all of its minutes are known.
    #[must_use]
    pub fn window(&self, position: usize, size: WindowSize) -> Option<u64> {
        let minutes = size.minutes();
        let first = position.checked_mul(minutes)?;
        (first..first.checked_add(minutes)?).map(|minute| self.minutes.get(&u16::try_from(minute).ok()?).copied()).sum()
    }

    /// Posts in a minute of the day, when it is known.
    #[must_use]
    pub fn minute(&self, minute: usize) -> Option<u64> {
        self.minutes.get(&u16::try_from(minute).ok()?).copied()
    }

    /// Whether no minute is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// The one byte form: version, minutes as differences, posts; CRC-32; zstd-compressed.
    ///
    /// # Errors
    /// When zstd fails.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut out = vec![VERSION];
        let mut next = 0;
        for (minute, posts) in &self.minutes {
            wire::put_u64(&mut out, u64::from(minute - next));
            wire::put_u64(&mut out, *posts);
            next = minute + 1;
        }
        sealed::seal(out)
    }

    /// Reads what [`ReferenceDay::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let plain = sealed::open(bytes)?;
        let mut reader = Reader::new(&plain);
        if reader.u8()? != VERSION {
            return Err(reader.error("version 1 of the reference counts"));
        }
        let (mut day, mut next) = (Self::default(), 0u64);
        while !reader.rest().is_empty() {
            let minute = next.checked_add(reader.u64()?).and_then(|minute| u16::try_from(minute).ok());
            let minute = minute.filter(|minute| usize::from(*minute) < DAY_MINUTES);
            let minute = minute.ok_or(reader.error("a minute of the day"))?;
            day.minutes.insert(minute, reader.u64()?);
            next = u64::from(minute) + 1;
        }
        Ok(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_known_when_all_of_its_minutes_are() {
        let mut day = ReferenceDay::default();
        assert!(day.is_empty());
        (5..10).chain([1439]).for_each(|minute| assert!(day.set(minute, minute as u64)));
        assert!(!day.is_empty() && !day.set(DAY_MINUTES, 1), "no minute of the day");
        assert_eq!((day.minute(7), day.minute(4), day.minute(1 << 16 | 7)), (Some(7), None, None));
        let window = |position, minutes: u32| day.window(position, WindowSize::from_secs(minutes * 60).unwrap());
        assert_eq!((window(1, 5), window(0, 5), window(2, 5), window(0, 10)), (Some(35), None, None, None));
        assert_eq!((window(1439, 1), window(1440, 1), window(usize::MAX, 1)), (Some(1439), None, None));
        assert_eq!(ReferenceDay::decode(&day.encode().unwrap()).unwrap(), day);
    }

    #[test]
    fn minutes_behind_the_day_are_damage() {
        let at = |minute: u64| {
            let mut state = vec![VERSION];
            wire::put_u64(&mut state, minute);
            state.push(1);
            ReferenceDay::decode(&sealed::seal(state).unwrap()).map(|day| day.minutes.len())
        };
        assert_eq!(at(1439), Ok(1));
        assert!(at(1440).is_err() && at(u64::MAX).is_err());
    }
}
