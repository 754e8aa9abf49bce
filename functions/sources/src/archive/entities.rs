//! Hashtags, mentions and links of a post, the same in both formats of X.

use std::borrow::Cow;

use birdsong_domain::frame::MAX_PER_POST;
use birdsong_domain::hashtag::Hashtags;
use birdsong_domain::post::link_host;

use crate::json::{Count, NotEmpty, Text, object};

/// Hosts of the platform itself, whose links lead to posts rather than out. `www.` is gone already.
/// Other hosts below them, such as help.x.com, are sites like any other.
const OWN_HOSTS: [&str; 10] = [
    "twitter.com",
    "mobile.twitter.com",
    "m.twitter.com",
    "pic.twitter.com",
    "x.com",
    "mobile.x.com",
    "m.x.com",
    "pic.x.com",
    "t.co",
    "twitter3e4tixl4xyajtrzo62zg5vztmjuricljdp2c5kshju4avyoid.onion",
];

object! {
    /// What a post names; v1.1 and v2 differ in some names.
    pub(super) struct Entities<'a> {
        hashtags: Vec<Hashtag<'a>> = "hashtags",
        mentions: Count = "mentions" | "user_mentions",
        urls: Vec<Url<'a>> = "urls",
        /// Photos and videos: v1.1. An older spelling of `extended_entities`, which names the first only.
        pub(super) media: NotEmpty = "media",
    }
}

object! {
    /// What `extended_entities` of v1.1 has.
    pub(super) struct ExtendedEntities {
        pub(super) media: NotEmpty = "media",
    }
}

object! {
    pub(super) struct Hashtag<'a> {
        tag: Option<Text<'a>> = "tag" | "text",
    }
}

object! {
    pub(super) struct Url<'a> {
        url: Option<Text<'a>> = "url",
        expanded_url: Option<Text<'a>> = "expanded_url",
        /// Where a chain of short links ends: v2.
        unwound_url: Option<Text<'a>> = "unwound_url",
        /// The same in v1.1.
        unwound: Option<Unwound<'a>> = "unwound",
    }
}

object! {
    pub(super) struct Unwound<'a> {
        url: Option<Text<'a>> = "url",
    }
}

impl<'a> Entities<'a> {
    /// The hashtags, and the number of those that are too long.
    pub(super) fn hashtags(&self) -> (Vec<Cow<'_, str>>, u32) {
        let mut tags = Hashtags::default();
        self.hashtags.iter().filter_map(|tag| tag.tag.as_ref()).for_each(|tag| tags.add(Cow::Borrowed(&tag.0)));
        tags.finish()
    }

    /// How many accounts are mentioned, at most [`MAX_PER_POST`].
    pub(super) fn mentions(&self) -> u32 {
        self.mentions.0.min(MAX_PER_POST as u32)
    }

    /// The hosts that links lead to, each once, without the platform's own.
    pub(super) fn hosts(&self) -> Vec<Cow<'_, str>> {
        let mut found: Vec<Cow<'_, str>> = vec![];
        for host in self.addresses().filter_map(link_host) {
            if found.len() < MAX_PER_POST && !OWN_HOSTS.contains(&&*host) && !found.contains(&host) {
                found.push(host);
            }
        }
        found
    }

    /// Whether a link leads to a post of X.
    pub(super) fn links_to_a_post(&self) -> bool {
        self.addresses().any(|address| {
            link_host(address).is_some_and(|host| OWN_HOSTS.contains(&&*host))
                && address.split_once("/status/").is_some_and(|(_, id)| id.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// Where each link leads, as far as X has followed it.
    fn addresses(&self) -> impl Iterator<Item = &str> {
        fn filled<'t>(text: &'t Option<Text<'_>>) -> Option<&'t str> {
            text.as_ref().map(|text| &*text.0).filter(|text| !text.is_empty())
        }
        self.urls.iter().filter_map(|url| {
            let unwound = || filled(&url.unwound.as_ref()?.url);
            filled(&url.unwound_url).or_else(unwound).or_else(|| filled(&url.expanded_url)).or_else(|| filled(&url.url))
        })
    }
}
