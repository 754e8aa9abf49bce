//! Where a post was published.

use serde::{Deserialize, Serialize};

/// A network on which posts are published, such as `x` or `bluesky`: 1 to 16 lower-case ASCII letters, digits and
/// hyphens, without a hyphen at either end. The set is open. Counts can be filtered by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Network([u8; MAX_NETWORK_BYTES]);

/// Longest name of a network, in bytes.
pub const MAX_NETWORK_BYTES: usize = 16;

/// A text that names no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a network is named by 1 to {MAX_NETWORK_BYTES} lower-case letters, digits and hyphens between them, such as x or bluesky"
)]
pub struct BadNetwork;

impl Network {
    /// X, live or from an archive.
    pub const X: Self = Self::known("x");
    /// Bluesky.
    pub const BLUESKY: Self = Self::known("bluesky");
    /// Mastodon and what federates with it.
    pub const MASTODON: Self = Self::known("mastodon");
    /// Made-up posts.
    pub const DEMO: Self = Self::known("demo");
    /// Feeds of web sites.
    pub const WEB: Self = Self::known("web");
    /// The network of a log record whose network cannot be read, because it is damaged. No source has it.
    pub const UNKNOWN: Self = Self::known("unknown");

    /// A network of this name.
    ///
    /// # Errors
    /// When the name has another form.
    pub fn parse(name: &str) -> Result<Self, BadNetwork> {
        Self::of(name.as_bytes()).ok_or(BadNetwork)
    }

    /// The network of a source by its name: the part before the first colon, as in `mastodon:example.org`.
    ///
    /// # Errors
    /// When that names no network.
    pub fn of_source(source: &str) -> Result<Self, BadNetwork> {
        Self::parse(source.split(':').next().unwrap_or_default())
    }

    const fn known(name: &str) -> Self {
        match Self::of(name.as_bytes()) {
            Some(network) => network,
            None => panic!("the name of a known network has the right form"),
        }
    }

    const fn of(name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() > MAX_NETWORK_BYTES || name[0] == b'-' || name[name.len() - 1] == b'-' {
            return None;
        }
        let (mut bytes, mut at) = ([0; MAX_NETWORK_BYTES], 0);
        while at < name.len() {
            if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
                return None;
            }
            bytes[at] = name[at];
            at += 1;
        }
        Some(Self(bytes))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(MAX_NETWORK_BYTES);
        // Only ASCII is accepted.
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl Default for Network {
    /// [`Network::UNKNOWN`].
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({})", self.as_str())
    }
}

impl std::str::FromStr for Network {
    type Err = BadNetwork;
    fn from_str(name: &str) -> Result<Self, BadNetwork> {
        Self::parse(name)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.as_str().to_owned()
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;
    fn try_from(name: String) -> Result<Self, BadNetwork> {
        Self::parse(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_short_plain_name() {
        for name in ["x", "bluesky", "web", "a-b", "2ch", "sixteen-letters1"] {
            let network = Network::parse(name).unwrap();
            assert_eq!(network.as_str(), name);
            assert_eq!(name.parse(), Ok(network));
            assert_eq!(serde_json::to_string(&network).unwrap(), format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Network>(&format!("\"{name}\"")).unwrap(), network);
        }
        for bad in ["", "X", "a b", "a#b", "a:b", "é", "-a", "a-", "a\0", "seventeen-letters"] {
            assert_eq!(Network::parse(bad), Err(BadNetwork), "{bad:?}");
            assert!(serde_json::from_str::<Network>(&serde_json::to_string(bad).unwrap()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_order_of_networks_is_that_of_their_names() {
        let names = ["a", "a-b", "aa", "ab", "b", "web", "x"];
        let networks: Vec<_> = names.iter().map(|name| Network::parse(name).unwrap()).collect();
        assert!(names.is_sorted() && networks.is_sorted());
    }

    #[test]
    fn a_source_is_of_the_network_before_its_colon() {
        assert_eq!(Network::of_source("x"), Ok(Network::X));
        assert_eq!(Network::of_source("mastodon:example.org:8080"), Ok(Network::MASTODON));
        assert_eq!(Network::of_source(":a"), Err(BadNetwork));
    }
}
