//! Which posts were sent already, in bounded memory.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use birdsong_domain::post::PostId;

/// Remembers at least the last `capacity` posts and at most twice as many: two sets, of which the
/// older is forgotten when the younger is full. 17 to 40 bytes a post.
#[derive(Debug)]
pub struct Recent {
    young: HashSet<PostId, BuildHasherDefault<IdHasher>>,
    old: HashSet<PostId, BuildHasherDefault<IdHasher>>,
    capacity: usize,
}

impl Recent {
    /// Remembers at least `capacity` posts.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { young: HashSet::default(), old: HashSet::default(), capacity: capacity.max(1) }
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
            assert!(recent.young.len() + recent.old.len() <= 2000);
        }
        assert!(recent.insert(PostId::x(0)), "long forgotten");
    }
}
