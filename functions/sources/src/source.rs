//! What a live source is, and the table of all kinds of sources.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use birdsong_domain::network::Network;
use birdsong_domain::post::{InstallationKey, SourcePost};
use birdsong_domain::region::Regions;
use futures_util::future::BoxFuture;

use crate::address::Address;
use crate::http::Token;
use crate::intake::Intake;
use crate::session::Stop;
use crate::{bluesky, demo, mastodon, rss, x};

/// The clock, in milliseconds since 1970. Waiting is done by tokio's timers, so that a test can
/// pause them and let this clock follow.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Reads the secret in the environment variable of this name; `None` when it is not set.
pub type Secrets = Arc<dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync>;

/// Every kind of live source. Help, error messages, fake servers, simulations and the deployment follow
/// from this table.
pub static KINDS: &[Kind] = &[demo::KIND, bluesky::KIND, mastodon::KIND, x::KIND, rss::KIND];

/// A live source.
pub trait Source: Send {
    /// Name in frames, ledgers and the status, such as `mastodon:mastodon.example`.
    fn name(&self) -> String;

    /// The network on which its posts were published.
    fn network(&self) -> Network;

    /// How far back, in milliseconds, it can fetch what it missed, once it has a cursor. What it cannot
    /// fetch within that time it reports as a gap.
    fn reach_ms(&self) -> i64;

    /// How many of the last posts to remember, because reposts of them come without words; 0 for none.
    fn originals(&self) -> usize {
        0
    }

    /// Posts of the past that it starts with, and that count like an archive.
    fn past(&mut self) -> Option<&mut dyn Past> {
        None
    }

    /// Streams until only a person can solve the problem, or until `stop`, when there is no error. `resume` is the
    /// cursor that it passed to [`Intake::flush`] in an earlier run.
    fn stream<'a>(
        &'a mut self,
        resume: Option<&'a str>,
        intake: &'a mut dyn Intake,
        stop: Stop,
    ) -> BoxFuture<'a, Option<SourceError>>;
}

/// Posts of the past that a source has from the start.
///
/// They are handed on in spans, and the source decides in which order: the newest first, so that there is something to
/// look at while the rest comes.
pub trait Past: Send {
    /// What to hand on next, after everything up to `cursor`; `None` when there is nothing left.
    fn next(&self, cursor: Option<&str>, now_ms: i64) -> Option<PastSpan>;

    /// Hands on all posts between these times, whole seconds in milliseconds.
    fn read(&self, from_ms: i64, to_ms: i64, each: &mut dyn FnMut(&SourcePost<'_>));
}

/// A span of the past. Its times are whole seconds, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSpan {
    /// Where it starts.
    pub from_ms: i64,
    /// Where it ends; later than it starts.
    pub to_ms: i64,
    /// The cursor when all of it was handed on.
    pub cursor: String,
}

/// Why a source ended. Whatever a retry can solve is retried inside the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The source refuses access; the text contains a remedy.
    #[error("{0}")]
    Refused(String),
    /// The configuration cannot be used; the text explains what to change.
    #[error("{0}")]
    Config(String),
}

/// Makes a source of an address.
pub type Open = fn(&Address, &Context) -> Result<Box<dyn Source>, SourceError>;

/// A kind of source.
pub struct Kind {
    /// First part of its addresses, such as `mastodon`.
    pub scheme: &'static str,
    /// The network of its posts.
    pub network: Network,
    /// What follows the scheme in an address.
    pub target: Target,
    /// What it delivers and what it needs, in one line.
    pub about: &'static str,
    /// Options that its addresses may have.
    pub options: &'static [OptionSpec],
    /// Its secret, if it has one. `infra/sources.json` has the same for Terraform.
    pub secret: Option<Secret>,
    /// Makes a source.
    pub open: Open,
    /// Its fake server, if it has one.
    #[cfg(feature = "fake")]
    pub fake: Option<crate::fake::Fake>,
}

impl Kind {
    /// How its addresses are written, without options: `demo`, `mastodon:HOST`.
    #[must_use]
    pub fn syntax(&self) -> String {
        match self.target {
            Target::None => self.scheme.to_owned(),
            Target::Host => format!("{}:HOST", self.scheme),
            Target::Url => format!("{}:URL", self.scheme),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// What an address names behind its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: there is one source of this kind.
    None,
    /// The host of a server.
    Host,
    /// A whole address with a path and its own query. Options follow a `#`.
    Url,
}

/// An option in an address.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// What its value is, such as `DOLLARS/PERIOD`; empty for a switch.
    pub value: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The command-line option that means the same.
    pub flag: Option<&'static str>,
}

/// A secret that a kind of source reads from the environment.
#[derive(Clone, Copy, Debug)]
pub struct Secret {
    /// Name of the variable; with `_FILE` behind it, that of a file which contains the secret.
    pub name: &'static str,
    /// Whether the source cannot run without it.
    pub is_required: bool,
}

/// What a source is made with.
#[derive(Clone)]
pub struct Context {
    /// The regions that posts are wanted for.
    pub regions: Arc<Regions>,
    /// Hashes ids.
    pub key: InstallationKey,
    /// The clock.
    pub clock: Clock,
    /// A number from 0 to 1, new at each call: spreads retries.
    pub jitter: fn() -> f64,
    /// Folder for what a source has to keep over a restart.
    pub dir: PathBuf,
    /// Reads secrets.
    pub secrets: Secrets,
}

impl Context {
    /// The bearer token in the variable `name`.
    ///
    /// # Errors
    /// When it cannot be read or is no token.
    pub fn token(&self, name: &str) -> Result<Option<Token>, SourceError> {
        let text = (self.secrets)(name).map_err(SourceError::Config)?;
        text.map(|text| Token::new(&text)).transpose().map_err(|error| SourceError::Config(format!("{name}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    // Rule 9.14.
    /// The deployment reads the kinds from this file.
    #[test]
    fn terraforms_list_is_that_of_the_table() {
        let of = |kind: &Kind| {
            let secret = kind.secret;
            json!({
                "scheme": kind.scheme,
                "network": kind.network,
                "secret": secret.map(|secret| secret.name),
                "secret_required": secret.is_some_and(|secret| secret.is_required),
            })
        };
        let wanted: Vec<_> = KINDS.iter().map(of).collect();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/sources.json");
        let listed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let wanted = Value::from(wanted);
        assert_eq!(listed, wanted, "write into infra/sources.json: {wanted:#}");
    }

    #[test]
    fn kinds_differ_and_their_flags_do() {
        let mut schemes: Vec<_> = KINDS.iter().map(|kind| kind.scheme).collect();
        let mut flags: Vec<_> = KINDS.iter().flat_map(|kind| kind.options).filter_map(|spec| spec.flag).collect();
        for names in [&mut schemes, &mut flags] {
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{names:?}");
        }
    }

    /// The table of options in docs/sources.md.
    fn options() -> String {
        let mut table = "| address | option | meaning |\n| --- | --- | --- |\n".to_owned();
        for kind in KINDS {
            for spec in kind.options {
                let value = if spec.value.is_empty() { String::new() } else { format!("={}", spec.value) };
                table += &format!("| `{}` | `{}{value}` | {} |\n", kind.syntax(), spec.name, spec.about);
            }
        }
        table
    }

    // Rule 9.14.
    #[test]
    fn the_documentation_has_the_options_of_the_table() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources.md");
        let docs = std::fs::read_to_string(file).unwrap();
        assert!(docs.contains(&options()), "put this table into docs/sources.md:\n\n{}", options());
        for kind in KINDS {
            assert!(docs.contains(&format!("| `{}` |", kind.syntax())), "no row about {}", kind.syntax());
        }
    }
}
