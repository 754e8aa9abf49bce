//! The most frequent hosts of links.

use super::{Context, Metric};
use crate::frame::SlimPost;
use crate::topk::TopK;
use crate::wire::{DecodeError, Reader};

/// Link hosts with a counter in one partial.
pub const HOST_COUNTERS: usize = 32;
/// Link hosts with a counter in one roll-up.
pub const ROLLUP_HOST_COUNTERS: usize = 96;

/// Hosts of links.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// The most frequent ones; `None` when there was none.
    pub top: Option<TopK>,
}

impl Metric for Hosts {
    fn is_empty(&self) -> bool {
        self.top.is_none()
    }

    fn post(&mut self, post: &SlimPost, _context: &Context) {
        for host in &post.hosts {
            self.top.get_or_insert_with(|| TopK::new(HOST_COUNTERS)).add(host, host, post.author);
        }
    }

    fn merge(&mut self, other: &Self, _same_window: bool) {
        TopK::merge_into(&mut self.top, other.top.as_ref());
    }

    fn shrink(&mut self) {
        TopK::shrink(&mut self.top, ROLLUP_HOST_COUNTERS);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if let Some(top) = &self.top {
            top.encode(out);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { top: Some(TopK::decode(HOST_COUNTERS, ROLLUP_HOST_COUNTERS, reader)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn each_link_of_a_post_counts() {
        let hosts = |hosts: &[&str]| SlimPost {
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..SlimPost::default()
        };
        let mut counts: Hosts = counted(&[hosts(&["a.example", "b.example"]), hosts(&["b.example"])], 0);
        counts.merge(&counted(&[hosts(&["b.example"])], 0), false);
        let top = counts.top.unwrap().top(9);
        assert_eq!(
            top.iter().map(|item| (&*item.shown, item.count)).collect::<Vec<_>>(),
            [("b.example", 3), ("a.example", 1)]
        );
    }
}
