//! The order of shards: a parent before its children.

use std::collections::HashSet;

use aws_sdk_kinesis::types::Shard;

/// Names of the shards, each behind those that it was split or merged from, else in the original
/// order. The retention removes closed shards, so a parent may be missing.
pub(super) fn parents_first(mut shards: Vec<Shard>) -> Vec<String> {
    let mut sorted = Vec::with_capacity(shards.len());
    while !shards.is_empty() {
        let waiting: HashSet<String> = shards.iter().map(|shard| shard.shard_id.clone()).collect();
        let has_parent = |shard: &Shard| {
            [&shard.parent_shard_id, &shard.adjacent_parent_shard_id]
                .into_iter()
                .flatten()
                .any(|parent| waiting.contains(parent))
        };
        let (later, now): (Vec<_>, Vec<_>) = shards.into_iter().partition(has_parent);
        if now.is_empty() {
            // Shards that descend from each other: no such thing, but no reason to loop forever.
            sorted.extend(later.into_iter().map(|shard| shard.shard_id));
            break;
        }
        sorted.extend(now.into_iter().map(|shard| shard.shard_id));
        shards = later;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parent: Option<&str>, adjacent: Option<&str>) -> Shard {
        Shard::builder()
            .shard_id(id)
            .set_parent_shard_id(parent.map(Into::into))
            .set_adjacent_parent_shard_id(adjacent.map(Into::into))
            .build()
            .unwrap()
    }

    #[test]
    fn splits_and_merges_come_behind_what_they_are_made_of() {
        let shards = vec![
            shard("5", Some("3"), Some("4")),
            shard("3", Some("1"), None),
            shard("4", Some("1"), None),
            shard("1", Some("0"), None),
            shard("2", None, None),
        ];
        assert_eq!(parents_first(shards), ["1", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(parents_first(vec![shard("1", Some("2"), None), shard("2", Some("1"), None)]), ["1", "2"]);
    }
}
