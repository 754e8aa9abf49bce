//! Which statuses of a server to read.

use std::str::FromStr;

use crate::http::percent_encoded;

/// Which statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// All public statuses that the server knows.
    Public,
    /// Those of the server's accounts.
    Local,
    /// Those of other servers.
    Remote,
    /// Those with a hashtag, written without `#`.
    Hashtag(String),
}

impl Feed {
    pub(super) fn stream(&self) -> String {
        match self {
            Self::Public => "/api/v1/streaming/public".into(),
            Self::Local => "/api/v1/streaming/public/local".into(),
            Self::Remote => "/api/v1/streaming/public/remote".into(),
            Self::Hashtag(tag) => format!("/api/v1/streaming/hashtag?tag={}", percent_encoded(tag)),
        }
    }

    /// Ends where a query's first or next parameter starts.
    pub(super) fn timeline(&self) -> String {
        match self {
            Self::Public => "/api/v1/timelines/public?".into(),
            Self::Local => "/api/v1/timelines/public?local=true&".into(),
            Self::Remote => "/api/v1/timelines/public?remote=true&".into(),
            Self::Hashtag(tag) => format!("/api/v1/timelines/tag/{}?", percent_encoded(tag)),
        }
    }
}

impl FromStr for Feed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "public" => Ok(Self::Public),
            "local" => Ok(Self::Local),
            "remote" => Ok(Self::Remote),
            _ => match text.strip_prefix('#').filter(|tag| !tag.is_empty()) {
                Some(tag) => Ok(Self::Hashtag(tag.into())),
                None => Err(format!("there is no feed {text:?}; there are public, local, remote and a #hashtag")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashtag_is_encoded_for_an_address() {
        let feed: Feed = "#montréal & co".parse().unwrap();
        assert_eq!(feed.stream(), "/api/v1/streaming/hashtag?tag=montr%C3%A9al%20%26%20co");
        assert_eq!(feed.timeline(), "/api/v1/timelines/tag/montr%C3%A9al%20%26%20co?");
        assert!("#".parse::<Feed>().is_err() && "home".parse::<Feed>().unwrap_err().contains("remote"));
    }
}
