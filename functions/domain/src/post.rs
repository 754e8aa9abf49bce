//! One post, slimmed to what the metrics need. No text and no handle survive here (rule 6.1).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a post is. When a post is several at once, the first of repost > quote > reply > original
/// counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Neither reply, quote nor repost.
    #[default]
    Original,
    /// An answer to another post. A post that only starts with a mention is an original.
    Reply,
    /// A post that shows another one with its own words.
    Quote,
    /// Another post passed on as it is.
    Repost,
}

impl Kind {
    /// All kinds, in the order in which counters are stored.
    pub const ALL: [Self; 4] = [Self::Original, Self::Reply, Self::Quote, Self::Repost];

    /// The kind of a post from all of its marks, by precedence.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// The region matches every post.
    #[default]
    All,
}

impl Located {
    /// All ways, in the order in which counters are stored.
    pub const ALL: [Self; 5] = [Self::Point, Self::Place, Self::Rule, Self::Text, Self::All];
}

/// Identity of a post across all sources, for finding duplicates: a keyed hash of the id that the source assigned
/// ([`InstallationKey::post`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostId(pub u128);

/// The secret under which the ids of authors and posts are hashed, so that a stored number leads to nobody. A
/// post's public id would lead to its author. Made once per installation; with another key the same author is
/// another number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InstallationKey(pub [u8; 16]);

impl std::fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InstallationKey(secret)")
    }
}

impl InstallationKey {
    /// SipHash-2-4 (a keyed pseudorandom function, Aumasson and Bernstein 2012) of the author's id
    /// in the id space named `space`.
    #[must_use]
    pub fn hash(&self, space: &str, author: &str) -> u64 {
        use siphasher::sip::SipHasher24;
        use std::hash::Hasher;
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(space.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(author.as_bytes());
        hasher.finish()
    }

    /// The id of a post, in the id space named `space`, as 96 bits of SipHash-2-4-128: among a billion posts
    /// two have the same hash with a probability of one to 10^11.
    #[must_use]
    pub fn post(&self, space: &str, id: &[u8]) -> PostId {
        use siphasher::sip128::{Hasher128, SipHasher24};
        use std::hash::Hasher;
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(space.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(id);
        PostId(hasher.finish128().as_u128() >> 32)
    }

    /// The id of a post of X, whose ids are numbers: v2 and v1.1 share one id space. Its upper half is the time of writing
    /// to the second, which is no secret beside its time; kept in front of 64 bits of hash, it lets an
    /// index of posts in order of time be searched and compressed well.
    #[must_use]
    pub fn x_post(&self, id: u64) -> PostId {
        use siphasher::sip::SipHasher24;
        let hash = SipHasher24::new_with_key(&self.0).hash(&id.to_be_bytes());
        PostId(u128::from(id >> 32) << 64 | u128::from(hash))
    }

    /// Identifies the key without revealing it, in hex: a hash under it of a text that is no author's or post's id.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash("birdsong", "fingerprint of the key"))
    }
}

/// Longitude and latitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// East is positive.
    pub lon: f64,
    /// North is positive.
    pub lat: f64,
}

/// West, south, east, north in degrees; west is larger than east when the box crosses the
/// antimeridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoBox {
    /// Western edge.
    pub west: f64,
    /// Southern edge.
    pub south: f64,
    /// Eastern edge.
    pub east: f64,
    /// Northern edge.
    pub north: f64,
}

/// A post as a source yields it: the slim fields, and beside them what is needed to match regions
/// and then forgotten (text, coordinates, place, rule tags).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourcePost<'a> {
    /// Identity.
    pub id: PostId,
    /// Event time.
    pub time_ms: i64,
    /// Keyed hash of the author; `None` when the source names none, as X does by default.
    pub author: Option<u64>,
    /// Kind.
    pub kind: Kind,
    /// Language as a canonical tag ([`crate::language`]), empty when the source has none.
    pub lang: Cow<'a, str>,
    /// Hashtags as written, each once and without `#` ([`crate::hashtag::Hashtags`]). Of a repost, those
    /// of the original.
    pub hashtags: Vec<Cow<'a, str>>,
    /// Hashtags left out of `hashtags` because they are longer than the limit.
    pub long_hashtags: u32,
    /// Number of accounts mentioned.
    pub mentions: u32,
    /// Hosts of links, each once ([`link_host`]), without those of the platform itself.
    pub hosts: Vec<Cow<'a, str>>,
    /// Whether at least one photo, video, GIF or audio is attached. Of a repost, to the original, where the source
    /// includes that.
    pub has_media: bool,
    /// The text, for keywords. Of a repost, the original's.
    pub text: Cow<'a, str>,
    /// The post's own coordinates. A repost has none.
    pub point: Option<Point>,
    /// The box of the place that the post names. A repost names none.
    pub place: Option<GeoBox>,
    /// Tags of the source's rules that matched.
    pub rule_tags: Vec<Cow<'a, str>>,
    /// Of a repost that comes without text, hashtags and language of the original: the original.
    pub repost_of: Option<PostId>,
}

/// Longest host, in bytes (RFC 1035).
pub const MAX_HOST_BYTES: usize = 253;

/// The host of a web address as it is counted; `None` when the address has no usable host.
///
/// Without user, port, `www.` and the dot at its end. A name is in lower case and in Unicode: the ASCII form of an
/// internationalized name (`xn--…`) is the same host (UTS 46). An IPv6 address stays in its brackets (RFC
/// 3986, 3.2.2) and is written the one way of RFC 5952.
#[must_use]
pub fn link_host(address: &str) -> Option<Cow<'_, str>> {
    let rest = address.trim_start().split_once("://").map(|(_, rest)| rest)?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?.trim();
    if let Some(literal) = host.strip_prefix('[') {
        let (literal, port) = literal.split_once(']')?;
        // A zone (RFC 6874) means something on its own machine only.
        let address: std::net::Ipv6Addr = literal.split('%').next()?.parse().ok()?;
        return is_port(port).then(|| Cow::Owned(format!("[{address}]")));
    }
    let name = match host.split_once(':') {
        Some((_, port)) if !port.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some((name, _)) => name,
        None => host,
    };
    // Four bytes a character, and more than a name of that length has in Unicode, is no name.
    if name.len() > 4 * MAX_HOST_BYTES {
        return None;
    }
    let host = match domain(name)? {
        Cow::Borrowed(name) => Cow::Borrowed(without_www(name)),
        Cow::Owned(name) => match without_www(&name) {
            bare if bare.len() < name.len() => Cow::Owned(bare.to_owned()),
            _ => Cow::Owned(name),
        },
    };
    (!host.is_empty() && host.len() <= MAX_HOST_BYTES).then_some(host)
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

/// A domain name in lower case and Unicode. One that breaks the rules of internationalized names
/// but is a name of the domain name system stays in ASCII.
fn domain(name: &str) -> Option<Cow<'_, str>> {
    use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let has_punycode = || name.split('.').any(|label| label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("xn--")));
    if name.bytes().all(is_plain) && !has_punycode() {
        return Some(Cow::Borrowed(name));
    }
    let (unicode, result) = Uts46::new().to_unicode(name.as_bytes(), AsciiDenyList::URL, Hyphens::Allow);
    match result {
        Ok(()) => Some(unicode),
        Err(_) if name.bytes().all(|b| is_plain(b.to_ascii_lowercase())) => Some(Cow::Owned(name.to_ascii_lowercase())),
        Err(_) => None,
    }
}

/// Without the dots at the end, and without `www.` where a name of several labels is left.
fn without_www(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    name.strip_prefix("www.").filter(|bare| bare.contains('.')).unwrap_or(name)
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

    #[test]
    fn a_name_is_looked_at_up_to_its_longest_spelling() {
        // Soft hyphens do not count.
        let host = |letters: &str| {
            link_host(&format!("https://{letters}{}.example/", "\u{ad}".repeat(501))).map(Cow::into_owned)
        };
        assert_eq!(host("ab").as_deref(), Some("ab.example"), "1,012 bytes");
        assert_eq!(host("abc"), None);
    }

    #[test]
    fn one_host_has_one_spelling() {
        for (address, host) in [
            ("https://www.Example.org/a?b#c", Some("example.org")),
            ("HTTPS://WWW.EXAMPLE.ORG", Some("example.org")),
            ("http://user:secret@news.example:8080", Some("news.example")),
            ("http://user@mail@news.example:", Some("news.example")),
            ("https://example.org.", Some("example.org")),
            ("https://www.com/", Some("www.com")),
            ("https://www.www.com/", Some("www.com")),
            ("https://www.localhost./", Some("www.localhost")),
            ("https://localhost:8080/", Some("localhost")),
            ("https://192.0.2.7:443/a", Some("192.0.2.7")),
            ("https://[2001:DB8::1]:8080/status", Some("[2001:db8::1]")),
            ("https://[2001:db8:0:0:0:0:0:1]", Some("[2001:db8::1]")),
            ("https://user@[fe80::1%25eth0]/", Some("[fe80::1]")),
            ("https://[::1", None),
            ("https://[::1]x", None),
            ("https://[not an address]/", None),
            ("https://münchen.example/", Some("münchen.example")),
            ("https://xn--mnchen-3ya.example/", Some("münchen.example")),
            ("https://www.XN--MNCHEN-3YA.Example/", Some("münchen.example")),
            ("https://MU\u{308}NCHEN.example/", Some("münchen.example")),
            ("https://ｗｗｗ．ｅxample。org", Some("example.org")),
            ("https://xn--p1ai/", Some("рф")),
            ("https://xn--zzzzzzzzzzz.example/", Some("xn--zzzzzzzzzzz.example")),
            ("https://a_b.example/", Some("a_b.example")),
            ("https://two words.example/", None),
            ("https://exa%6dple.org/", None),
            ("at://did:plc:abc/app.bsky.feed.post/1", None),
            ("https://", None),
            ("https:///path", None),
            ("https://...", None),
            ("mailto:somebody", None),
            ("no address", None),
        ] {
            assert_eq!(link_host(address).as_deref(), host, "{address}");
        }
        assert_eq!(link_host(&format!("https://{}example", "a.".repeat(124))), None, "255 bytes");
        assert!(link_host(&format!("https://{}example", "a.".repeat(123))).is_some(), "253 bytes");
        assert_eq!(link_host(&format!("https://{}", "é".repeat(100_000))), None);
    }

    #[test]
    fn author_hashes_depend_on_key_and_id_space() {
        let key = InstallationKey([7; 16]);
        assert_eq!(key.hash("x", "42"), key.hash("x", "42"));
        assert_ne!(key.hash("x", "42"), key.hash("bluesky", "42"));
        assert_ne!(key.hash("x", "42"), InstallationKey([8; 16]).hash("x", "42"));
        assert_eq!(format!("{key:?}"), "InstallationKey(secret)");
        assert_ne!(key.post("a", b"b"), key.post("ab", b""));
        assert_ne!(key.x_post(1), key.x_post(2));
        assert_ne!(key.x_post(1), InstallationKey([8; 16]).x_post(1), "nobody without the key finds the post");
        assert_ne!(key.fingerprint(), InstallationKey([8; 16]).fingerprint());
    }

    #[test]
    fn ids_of_posts_have_96_bits_and_those_of_x_their_time_in_front() {
        let key = InstallationKey([7; 16]);
        for n in 0..20u64 {
            let id = 0x1c8f_9a2b_0000_0000 + n * 0x1_0000_0007;
            assert_eq!(key.x_post(id).0 >> 64, u128::from(id >> 32), "{id:x}");
            assert!((1..1 << 96).contains(&key.post("bluesky", &id.to_le_bytes()).0));
        }
        // Not always in the upper or lower part.
        let all = (0..20u64).fold(0, |all, id| all | key.post("bluesky", &id.to_le_bytes()).0);
        assert_eq!(all, (1 << 96) - 1);
    }
}
