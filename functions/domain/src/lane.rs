//! Lanes: the sequences of frames whose order matters.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::network::Network;

/// One ordered sequence of frames. Its text form is the partition key of the log, at most 256 bytes long:
/// `montreal#x#0` for posts, `_stream#mastodon#mastodon:example.org` for the ledger of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Lane {
    /// Posts of one region and network.
    Posts {
        /// Region id.
        region: String,
        /// Where the posts were published.
        network: Network,
        /// 0 unless the region is hot.
        bucket: u16,
    },
    /// The ledger of one source: what became of the lines that it delivered.
    Ledger {
        /// Where the source's posts were published.
        network: Network,
        /// The source's name, as [`ledger_name`] has it.
        source: String,
    },
}

/// Pseudo-region of the ledgers, which belong to no region. No region's id may start with an underscore.
pub const STREAM: &str = "_stream";

/// Longest name of a source in a lane, in bytes. With [`STREAM`], the longest network and two `#` it stays below the
/// 256 characters that a partition key of Kinesis may have.
pub const MAX_LEDGER_NAME_BYTES: usize = 200;

impl Lane {
    /// Bucket `bucket` of the posts of `network` in `region`.
    #[must_use]
    pub fn posts(region: &str, network: Network, bucket: u16) -> Self {
        Self::Posts { region: region.to_owned(), network, bucket }
    }

    /// The ledger of `source`, with any name.
    #[must_use]
    pub fn ledger(network: Network, source: &str) -> Self {
        Self::Ledger { network, source: ledger_name(source).into_owned() }
    }

    /// The lane of a record without a readable lane.
    #[must_use]
    pub fn unknown() -> Self {
        Self::ledger(Network::UNKNOWN, Network::UNKNOWN.as_str())
    }

    /// Region id, or [`STREAM`] for a ledger.
    #[must_use]
    pub fn region(&self) -> &str {
        match self {
            Self::Posts { region, .. } => region,
            Self::Ledger { .. } => STREAM,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        match self {
            Self::Posts { network, .. } | Self::Ledger { network, .. } => *network,
        }
    }

    /// Whether it is the ledger of a source.
    #[must_use]
    pub fn is_ledger(&self) -> bool {
        matches!(self, Self::Ledger { .. })
    }

    /// The text form without the region: `x#0` or `mastodon#mastodon:example.org`.
    #[must_use]
    pub fn within_region(&self) -> String {
        match self {
            Self::Posts { network, bucket, .. } => format!("{network}#{bucket}"),
            Self::Ledger { network, source } => format!("{network}#{source}"),
        }
    }

    /// The lane of `region` whose [`Lane::within_region`] is `rest`; `None` when no lane has that form.
    #[must_use]
    pub fn parse_within(region: &str, rest: &str) -> Option<Self> {
        let (network, part) = rest.split_once('#')?;
        let network = Network::parse(network).ok()?;
        let lane = match region {
            "" => return None,
            STREAM => Self::ledger(network, part),
            _ => Self::posts(region, network, part.parse().ok()?),
        };
        // One lane has one text: no leading zero or sign, and no name that would be written in another way.
        (lane.within_region() == rest).then_some(lane)
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self::unknown()
    }
}

/// The name of a source in the text form of its lane: the name itself when it has 1 to 200 bytes and neither `#` nor
/// control characters. Any other name is made to fit, with a hash of the whole at its end.
#[must_use]
pub fn ledger_name(source: &str) -> Cow<'_, str> {
    const KEPT_BYTES: usize = 160;
    let is_bad = |c: char| c == '#' || c.is_control();
    if !source.is_empty() && source.len() <= MAX_LEDGER_NAME_BYTES && !source.contains(is_bad) {
        return Cow::Borrowed(source);
    }
    let end = (0..=source.len().min(KEPT_BYTES)).rev().find(|end| source.is_char_boundary(*end)).unwrap_or(0);
    let hash = SipHasher13::new().hash(source.as_bytes());
    Cow::Owned(format!("{}~{hash:016x}", source[..end].replace(is_bad, "_")))
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.region(), self.within_region())
    }
}

impl From<Lane> for String {
    fn from(lane: Lane) -> Self {
        lane.to_string()
    }
}

/// A text that is no lane.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a lane is written region#network#bucket, or {STREAM}#network#source, not {0:?}")]
pub struct BadLane(String);

impl TryFrom<String> for Lane {
    type Error = BadLane;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        // From the end: tests have regions with a `#`.
        let parsed = text.rsplit_once('#').and_then(|(head, _)| {
            let (region, _) = head.rsplit_once('#')?;
            Self::parse_within(region, &text[region.len() + 1..])
        });
        parsed.ok_or(BadLane(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lane_has_one_text() {
        let ledger = Lane::ledger(Network::MASTODON, "mastodon:example.org");
        for (lane, text) in [
            (Lane::posts("montreal", Network::X, 0), "montreal#x#0"),
            (Lane::posts("a#1", Network::X, 65_535), "a#1#x#65535"),
            (ledger, "_stream#mastodon#mastodon:example.org"),
            (Lane::unknown(), "_stream#unknown#unknown"),
        ] {
            assert_eq!(lane.is_ledger(), text.starts_with(STREAM), "{text}");
            assert_eq!(lane.to_string(), text);
            assert_eq!(Lane::try_from(text.to_owned()).as_ref(), Ok(&lane));
            assert_eq!(Lane::parse_within(lane.region(), &lane.within_region()), Some(lane));
        }
        for bad in ["", "a", "a#0", "#x#0", "a#X#0", "a#x#", "a#x#-1", "a#x#+1", "a#x#01", "a#x#65536", "_stream#x#"] {
            assert!(Lane::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    // Rule 3.15.
    #[test]
    fn sources_with_other_names_have_other_lanes() {
        let long = "rss:https://example.org/".to_owned() + &"é".repeat(300);
        let names = ["", "a#b", "a_b", "a\nb", &long, &long[..long.len() - 2]];
        let mut lanes: Vec<_> = names.iter().map(|name| Lane::ledger(Network::WEB, name).to_string()).collect();
        lanes.sort_unstable();
        lanes.dedup();
        assert_eq!(lanes.len(), names.len(), "{lanes:?}");
    }

    proptest! {
        // Rule 3.15.
        #[test]
        fn any_source_has_a_lane_that_is_read_back_and_fits_a_partition_key(source in "\\PC{0,80}|[a#:é\u{1}]{0,400}") {
            let lane = Lane::ledger(Network::parse("sixteen-letters1").unwrap(), &source);
            let text = lane.to_string();
            prop_assert!(text.len() <= 256, "{}", text);
            prop_assert_eq!(Lane::try_from(text), Ok(lane));
        }
    }
}
