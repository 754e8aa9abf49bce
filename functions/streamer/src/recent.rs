//! Which posts were sent already, in bounded memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use birdsong_domain::frame::{Frame, Lane, STREAM};
use birdsong_domain::post::PostId;

type ById<V> = HashMap<PostId, V, BuildHasherDefault<IdHasher>>;

/// Remembers something of at least the last `capacity` posts and of at most twice as many: two maps, of
/// which the older is forgotten when the younger is full. A post is in one of them at most.
#[derive(Debug)]
pub(crate) struct LastPosts<V> {
    young: ById<V>,
    old: ById<V>,
    capacity: usize,
}

impl<V> LastPosts<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: ById::default(), old: ById::default(), capacity }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Remembers a post; `false` when it is known, and stays as it is.
    pub(crate) fn insert(&mut self, id: PostId, value: V) -> bool {
        self.make_room();
        if self.old.contains_key(&id) {
            return false;
        }
        match self.young.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(value);
                true
            }
        }
    }

    /// What is known of a post, which counts among the last ones again.
    pub(crate) fn get(&mut self, id: PostId) -> Option<&mut V> {
        if let Some(value) = self.old.remove(&id) {
            self.make_room();
            self.young.insert(id, value);
        }
        self.young.get_mut(&id)
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// Remembers at least the last `capacity` posts and at most twice as many. 17 to 40 bytes a post.
#[derive(Debug)]
pub struct Recent {
    last: LastPosts<()>,
    /// Posts of cuts that the log has in part, with the lanes that have them.
    partly: HashMap<PostId, Vec<Lane>>,
}

impl Recent {
    /// Remembers at least `capacity` posts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { last: LastPosts::new(capacity.max(1)), partly: HashMap::new() }
    }

    /// Remembers a post; `false` when it was known.
    pub fn insert(&mut self, id: PostId) -> bool {
        self.last.insert(id, ())
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
struct IdHasher(u64);

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
            assert!(recent.last.young.len() + recent.last.old.len() <= 2000);
        }
        assert!(recent.insert(PostId::x(0)), "long forgotten");
    }

    #[test]
    fn what_is_asked_for_is_known_longer() {
        let mut last = LastPosts::new(100);
        for n in 0..10_000 {
            assert!(last.insert(PostId::x(n), n));
            assert_eq!(last.get(PostId::x(0)), Some(&mut 0), "{n}");
            assert!(!last.insert(PostId::x(n.saturating_sub(98)), 0), "{n}");
            assert!(last.young.len() + last.old.len() <= 200);
        }
        assert_eq!(last.get(PostId::x(1)), None, "long forgotten");
    }
}
