//! Something about the last posts, in bounded memory.

use std::collections::hash_map::Entry;

use birdsong_domain::post::PostId;

use crate::sent::ById;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_known_longer() {
        let mut last = LastPosts::new(100);
        for n in 0..10_000u64 {
            assert!(last.insert(PostId(u128::from(n)), n));
            assert_eq!(last.get(PostId(0)), Some(&mut 0), "{n}");
            assert!(!last.insert(PostId(u128::from(n.saturating_sub(98))), 0), "{n}");
            assert!(last.young.len() + last.old.len() <= 200);
        }
        assert_eq!(last.get(PostId(1)), None, "long forgotten");
    }
}
