//! Addresses of live sources: `SCHEME`, `SCHEME:TARGET` and `SCHEME:TARGET?NAME=VALUE&NAME`. A target that is an
//! address with its own query has its options after a `#`: `SCHEME:URL#NAME=VALUE`.
//!
//! A value may be percent-encoded, and must be when it contains `&`, `%` or the comma between sources.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::source::{Context, KINDS, Kind, Source, SourceError, Target};

/// Longest address in bytes.
const MAX_BYTES: usize = 2048;

/// The address of a live source.
#[derive(Clone, Debug)]
pub struct Address {
    kind: &'static Kind,
    target: String,
    options: Vec<(&'static str, String)>,
}

/// An address that cannot be read. The text explains how to write it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadAddress(String);

impl Address {
    /// The kind of source.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// What follows the scheme, such as a host.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The value of an option, the last one if there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|(option, _)| *option == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of an option.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(option, _)| *option == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on: it is there without a value, or with `true`.
    ///
    /// # Errors
    /// When it has another value.
    pub fn is_on(&self, name: &str) -> Result<bool, SourceError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(self.bad(name, &format!("{other:?} is neither true nor false"))),
        }
    }

    /// Reads the value of an option.
    ///
    /// # Errors
    /// When it cannot be read; the message names the address's scheme and the option.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, SourceError>
    where
        T::Err: fmt::Display,
    {
        self.get(name).map(str::parse).transpose().map_err(|error: T::Err| self.bad(name, &error.to_string()))
    }

    /// An error about an option's value.
    #[must_use]
    pub fn bad(&self, name: &str, problem: &str) -> SourceError {
        SourceError::Config(format!("{}: option {name}: {problem}", self.kind.scheme))
    }

    /// Sets an option that the address does not have, such as that of a command-line option.
    pub fn set_default(&mut self, name: &'static str, value: &str) {
        if self.get(name).is_none() {
            self.options.push((name, value.to_owned()));
        }
    }

    /// Makes the source.
    ///
    /// # Errors
    /// When an option's value cannot be used, or a secret is missing.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Source>, SourceError> {
        (self.kind.open)(self, context)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Self::among(KINDS, text)
    }
}

impl Address {
    /// Reads an address of one of these kinds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn among(kinds: &'static [Kind], text: &str) -> Result<Self, BadAddress> {
        let bad = |problem: String| Err(BadAddress(problem));
        if text.len() > MAX_BYTES {
            return bad(format!("a source's address has at most {MAX_BYTES} bytes"));
        }
        let scheme = text.split([':', '?', '#']).next().unwrap_or_default();
        let Some(kind) = kinds.iter().find(|kind| kind.scheme == scheme) else {
            let known: Vec<_> = kinds.iter().map(Kind::syntax).collect();
            return bad(format!("there is no source {scheme:?}; the sources are {}", known.join(", ")));
        };
        let rest = text[scheme.len()..].trim_start_matches(':');
        let separator = if kind.target == Target::Url { '#' } else { '?' };
        let (target, query) = rest.split_once(separator).map_or((rest, None), |(target, query)| (target, Some(query)));
        let target = match kind.target {
            Target::Url => percent_decode_comma(target),
            Target::None | Target::Host => target.trim_start_matches("//").trim_end_matches('/').to_owned(),
        };
        match (kind.target, target.is_empty()) {
            (Target::None, false) => {
                return bad(format!("{scheme} has no {target:?}; write {scheme}, or {scheme}:?OPTION=VALUE"));
            }
            (Target::Host, true) => return bad(format!("{scheme} needs a host; write {}", kind.syntax())),
            (Target::Url, true) => return bad(format!("{scheme} needs an address; write {}", kind.syntax())),
            _ => (),
        }
        let mut options = vec![];
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(spec) = kind.options.iter().find(|spec| spec.name == name) else {
                let known: Vec<_> = kind.options.iter().map(|spec| spec.name).collect();
                return bad(match known.is_empty() {
                    true => format!("{scheme} has no options"),
                    false => format!("{scheme} has no option {name:?}; its options are {}", known.join(", ")),
                });
            };
            let Ok(value) = percent_decode_str(value).decode_utf8() else {
                return bad(format!("{scheme}: option {name}: its value is not UTF-8"));
            };
            if value.is_empty() && !spec.value.is_empty() {
                return bad(format!("{scheme}: option {name} needs a value: {name}={}", spec.value));
            }
            options.push((spec.name, value.into_owned()));
        }
        Ok(Self { kind, target, options })
    }
}

/// Commas are between sources, so an address that has one writes it as `%2C`. Nothing else of it is changed.
fn percent_decode_comma(url: &str) -> String {
    url.replace("%2C", ",").replace("%2c", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_has_a_kind_a_target_and_options() {
        for text in ["mastodon:m.example?feed=%23caf%C3%A9", "mastodon://m.example/?feed=%23café"] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.kind().scheme, address.target()), ("mastodon", "m.example"));
            assert_eq!(address.get("feed"), Some("#café"));
        }
        let address: Address = "bluesky:?host=wss://a.example&host=wss://b.example".parse().unwrap();
        assert_eq!(address.all("host").collect::<Vec<_>>(), ["wss://a.example", "wss://b.example"]);
        let address: Address = "x:?gzip&budget=5/day".parse().unwrap();
        assert_eq!((address.is_on("gzip"), address.get("budget")), (Ok(true), Some("5/day")));
        assert_eq!("x".parse::<Address>().unwrap().is_on("gzip"), Ok(false));
    }

    #[test]
    fn an_option_of_the_address_wins_over_a_default() {
        let mut address: Address = "demo:?seed=1".parse().unwrap();
        address.set_default("seed", "2");
        address.set_default("backfill", "1h");
        assert_eq!((address.get("seed"), address.get("backfill")), (Some("1"), Some("1h")));
    }

    #[test]
    fn an_error_names_the_choices() {
        for kind in KINDS {
            assert!(error("fish").contains(&kind.syntax()), "{}", error("fish"));
        }
        assert!(error("x:?bugdet=5/day").contains("its options are") && error("x:?bugdet=1").contains("budget"));
        assert!(error("x:?budget").contains("budget=DOLLARS/PERIOD"));
        assert!(error("mastodon").contains("mastodon:HOST") && error("mastodon:").contains("mastodon:HOST"));
        assert!(error("bluesky:wss://host").contains("bluesky:?OPTION=VALUE"));
        assert!(error("x:?url=%ff").contains("UTF-8"));
        assert!(error(&"x".repeat(3000)).contains("2048"));
    }
}
