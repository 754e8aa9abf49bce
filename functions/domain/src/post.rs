//! One post, slimmed to what the metrics need. No text and no handle survive here (rule 6).

use serde::{Deserialize, Serialize};

/// What a post is. When a post is several at once, the first of repost > quote > reply > original
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Neither reply, quote nor repost.
    Original,
    /// An answer to another post.
    Reply,
    /// A post that shows another one with words of its own.
    Quote,
    /// Another post passed on as it is.
    Repost,
}

impl Kind {
    /// All kinds, in the order in which counters are stored.
    pub const ALL: [Self; 4] = [Self::Original, Self::Reply, Self::Quote, Self::Repost];

    /// The kind of a post that is all that is said of it, by precedence.
    #[must_use]
    pub fn of(repost: bool, quote: bool, reply: bool) -> Self {
        match (repost, quote, reply) {
            (true, _, _) => Self::Repost,
            (_, true, _) => Self::Quote,
            (_, _, true) => Self::Reply,
            _ => Self::Original,
        }
    }
}

/// How it was decided that a post belongs to a region. Kept as counts, so that a reader knows how
/// sure a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Located {
    /// The post's own coordinates lie in a box of the region.
    Point,
    /// The place that the post names overlaps a box of the region.
    Place,
    /// The source's own rule, tagged with the region's id, matched.
    Rule,
    /// A keyword, hashtag or language of the region matched.
    Text,
    /// The region takes every post.
    All,
}

impl Located {
    /// All ways, in the order in which counters are stored.
    pub const ALL: [Self; 5] = [Self::Point, Self::Place, Self::Rule, Self::Text, Self::All];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_repost_quote_reply_original() {
        assert_eq!(Kind::of(true, true, true), Kind::Repost);
        assert_eq!(Kind::of(false, true, true), Kind::Quote);
        assert_eq!(Kind::of(false, false, true), Kind::Reply);
        assert_eq!(Kind::of(false, false, false), Kind::Original);
    }
}
