//! Posts in each minute.

use super::{Context, Metric};
use crate::frame::{Frame, SlimPost};
use crate::wire::{self, DecodeError, Reader};

const MINUTE_MS: i64 = 60_000;

/// Posts in each minute of the window, in order; of a window without posts perhaps no minutes at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerMinute(pub Vec<u64>);

impl Metric for PerMinute {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|posts| *posts == 0)
    }

    fn frame(&mut self, _frame: &Frame, context: &Context) {
        self.0.resize(context.rules.size.minutes(), 0);
    }

    fn post(&mut self, post: &SlimPost, context: &Context) {
        if let Some(minute) = self.0.get_mut(((post.time_ms - context.window.0) / MINUTE_MS) as usize) {
            *minute += 1;
        }
    }

    /// Minutes of a later window follow ours.
    fn merge(&mut self, other: &Self, same_window: bool) {
        if !same_window {
            self.0.extend(&other.0);
            return;
        }
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(ours, theirs)| *ours += theirs);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        wire::put_u64(out, self.0.len() as u64);
        self.0.iter().for_each(|posts| wire::put_u64(out, *posts));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut minutes = vec![];
        for _ in 0..reader.u64()? {
            minutes.push(reader.u64()?);
        }
        Ok(Self(minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, stored};
    use super::*;

    #[test]
    fn a_post_counts_in_its_minute() {
        let mut minutes = PerMinute::default();
        minutes.frame(&Frame::default(), &context(0));
        for time_ms in [0, 59_999, 60_000, 299_999] {
            minutes.post(&SlimPost { time_ms, ..SlimPost::default() }, &context(0));
        }
        let mut later = stored(&minutes);
        assert_eq!(later.0, [2, 1, 0, 0, 1]);
        later.merge(&minutes, true);
        assert_eq!(later.0, [4, 2, 0, 0, 2]);
        later.merge(&minutes, false);
        assert_eq!(later.0, [4, 2, 0, 0, 2, 2, 1, 0, 0, 1]);
    }
}
