//! Which posts were sent already, in bounded memory.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use birdsong_domain::frame::{Frame, Lane, STREAM};
use birdsong_domain::post::PostId;

/// Remembers at least the last `capacity` posts and at most twice as many: two sets, of which the
/// older is forgotten when the younger is full. 17 to 40 bytes a post.
#[derive(Debug)]
pub struct Recent {
    young: HashSet<PostId, BuildHasherDefault<IdHasher>>,
    old: HashSet<PostId, BuildHasherDefault<IdHasher>>,
    capacity: usize,
    /// Posts of cuts that the log has in part, with the lanes that have them.
    partly: HashMap<PostId, Vec<Lane>>,
}

impl Recent {
    /// Remembers at least `capacity` posts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: HashSet::default(), old: HashSet::default(), capacity: capacity.max(1), partly: HashMap::new() }
    }

    /// Remembers a post; `false` when it was known.
    pub fn insert(&mut self, id: PostId) -> bool {
        if self.old.contains(&id) || !self.young.insert(id) {
            return false;
        }
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }

    /// Lanes that have a post already although its cut is not whole in the log. Asked once.
    pub(crate) fn take_partly(&mut self, id: PostId) -> Vec<Lane> {
        if self.partly.is_empty() { vec![] } else { self.partly.remove(&id).unwrap_or_default() }
    }
}

/// Reads a log and tells which posts were sent. A run that crashed may have got only some frames of
/// its last cut into the log; the posts of such a cut count as sent to those lanes only, so that,
/// repeated by the source, they go to the others.
#[derive(Debug, Default)]
pub struct Learner {
    open: HashMap<(String, u64), OpenCut>,
}

#[derive(Debug, Default)]
struct OpenCut {
    lanes: HashMap<Lane, Vec<PostId>>,
    /// How many frames beside the ledger's there are, once that is known.
    frames: Option<u32>,
}

impl Learner {
    /// Takes a frame in, from any shard.
    pub fn read(&mut self, frame: Frame, recent: &mut Recent) {
        let header = frame.header;
        if header.cut == 0 {
            return;
        }
        let key = (header.run, header.cut);
        let cut = self.open.entry(key.clone()).or_default();
        if header.lane.region == STREAM {
            cut.frames = Some(header.frames);
        } else {
            cut.lanes.insert(header.lane, frame.posts.iter().map(|post| PostId(post.i)).collect());
        }
        if cut.frames.is_some_and(|frames| cut.lanes.len() >= frames as usize)
            && let Some(cut) = self.open.remove(&key)
        {
            for id in cut.lanes.into_values().flatten() {
                recent.insert(id);
            }
        }
    }

    /// The log is read to its end.
    pub fn finish(self, recent: &mut Recent) {
        for (lane, ids) in self.open.into_values().flat_map(|cut| cut.lanes) {
            for id in ids {
                recent.partly.entry(id).or_default().push(lane.clone());
            }
        }
    }
}

/// Ids are hashes or hold a worker and sequence number in their low bits; one multiplication by a
/// large odd constant (2^64 / golden ratio) spreads them over the table. Ids made to collide can
/// only slow the streamer that takes them.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.write_u128(u128::from(*b));
        }
    }

    fn write_u128(&mut self, id: u128) {
        let mixed = (self.0 ^ id as u64 ^ (id >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_posts_are_known_and_memory_is_bounded() {
        let mut recent = Recent::new(1000);
        for n in 0..100_000u64 {
            assert!(recent.insert(PostId::x(n)));
            assert!(!recent.insert(PostId::x(n)));
            assert!(!recent.insert(PostId::x(n.saturating_sub(999))), "{n}");
            assert!(recent.young.len() + recent.old.len() <= 2000);
        }
        assert!(recent.insert(PostId::x(0)), "long forgotten");
    }
}
