//! Where posts come from: the options of each source, and how it is started.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use birdsong_domain::network;
use birdsong_domain::post::AuthorKey;
use birdsong_domain::region::Regions;
use birdsong_sources::bluesky::{self, Bluesky, Tcp};
use birdsong_sources::demo::{self, Demo};
use birdsong_sources::http::Network;
use birdsong_sources::live::{Clock, Intake, SourceError};
use birdsong_sources::mastodon::{self, Mastodon};
use birdsong_sources::x::{self, X, api, governor};
use clap::Args;

use crate::parse_secs;

/// Where posts come from.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceArgs {
    /// Where posts come from, several with commas: demo (made up), bluesky, mastodon:HOST, x, or none
    #[arg(
        long = "source",
        value_name = "SOURCE",
        value_delimiter = ',',
        default_value = "demo",
        env = "BIRDSONG_SOURCE",
        long_help = SOURCES
    )]
    sources: Vec<Source>,
    /// Seed of the made-up stream
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How much of the past the made-up stream begins with
    #[arg(long, default_value = "1d", value_name = "TIME", value_parser = parse_secs)]
    backfill: u64,
    /// Jetstream hosts, several with commas [default: the four public ones]
    #[arg(long, value_name = "URL", value_delimiter = ',', env = "BIRDSONG_BLUESKY_URL")]
    bluesky_url: Vec<String>,
    /// Jetstream's zstd dictionary: with it, messages come in less than half as many bytes
    #[arg(long, value_name = "FILE")]
    bluesky_dictionary: Option<PathBuf>,
    /// Address of the Mastodon server, when it is not https://HOST
    #[arg(long, value_name = "URL", env = "BIRDSONG_MASTODON_URL")]
    mastodon_url: Option<String>,
    /// What to ask Mastodon for: public, local, remote, or #hashtag
    #[arg(long, value_name = "FEED", default_value = "public", value_parser = parse_feed)]
    mastodon_feed: mastodon::Feed,
    #[command(flatten)]
    x: XArgs,
}

/// What X delivered and charges for, in the data folder.
const X_JOURNAL: &str = "x-metered";

const SOURCES: &str = "Where posts come from; several with commas, or the option several times:
- demo: made-up posts in your regions, some of the past at once, then live
- bluesky: all public posts of Bluesky by Jetstream; free, without account
- mastodon:HOST: public posts that a Mastodon server knows; most want MASTODON_TOKEN in the environment
- x: the filtered stream of the X API v2; wants X_BEARER_TOKEN and costs money a post, see --x-budget
- none: nothing, only serve what is stored, such as replayed archives
Tokens may stand in a file, too, which X_BEARER_TOKEN_FILE or MASTODON_TOKEN_FILE names.
What each can do: docs/sources.md";

/// What the commands about X have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct XAccount {
    /// Address of the X API
    #[arg(long, value_name = "URL", default_value = x::URL, env = "BIRDSONG_X_URL")]
    pub(crate) x_url: String,
}

#[derive(Clone, Debug, Args)]
struct XArgs {
    #[command(flatten)]
    account: XAccount,
    /// What may be spent at X, such as 5/day or 100/month, in US dollars: less is asked for in time
    #[arg(long, value_name = "DOLLARS/PERIOD", env = "BIRDSONG_X_BUDGET")]
    x_budget: Option<governor::Budget>,
    /// What X charges for a post, in US dollars
    #[arg(long, value_name = "DOLLARS", default_value_t = governor::DOLLARS_A_POST, env = "BIRDSONG_X_PRICE")]
    x_price: f64,
    /// Minutes of posts to ask for again at each connect, 1 to 5; with enterprise access only
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u8).range(1..=5))]
    x_backfill_minutes: Option<u8>,
    /// Ask X for a compressed stream, which may come with delay
    #[arg(long)]
    x_gzip: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Demo,
    Bluesky,
    /// With the host.
    Mastodon(String),
    X,
    None,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "demo" => Ok(Self::Demo),
            "bluesky" => Ok(Self::Bluesky),
            "x" => Ok(Self::X),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix("mastodon:").filter(|host| !host.is_empty()) {
                Some(host) => Ok(Self::Mastodon(host.into())),
                None => Err(format!("there is no source {text:?}; there are demo, bluesky, mastodon:HOST, x and none")),
            },
        }
    }
}

/// A source, ready to be read.
pub(crate) enum Live {
    /// With how many seconds of the past it begins.
    Demo(Demo, u64),
    Bluesky(Bluesky<Tcp>),
    Mastodon(Mastodon<Network>),
    X(X<Network>),
    /// Ends at once with a panic.
    #[cfg(test)]
    Defect,
}

impl Live {
    /// Name in frames and in the status.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Demo(..) => demo::NAME.into(),
            Self::Bluesky(_) => bluesky::NAME.into(),
            Self::Mastodon(mastodon) => mastodon.name(),
            Self::X(_) => x::NAME.into(),
            #[cfg(test)]
            Self::Defect => "defect".into(),
        }
    }

    /// Where its posts were published.
    pub(crate) fn network(&self) -> network::Network {
        network::Network::of_source(&self.name()).unwrap_or(network::Network::UNKNOWN)
    }

    /// How far back, in milliseconds, it can get what it missed, once it has a resume point. What it cannot
    /// get within that it reports as a gap.
    pub(crate) fn reach_ms(&self) -> i64 {
        match self {
            Self::Demo(..) | Self::Mastodon(_) => i64::MAX,
            Self::Bluesky(_) => bluesky::REACH_MS,
            Self::X(x) => x.reach_ms(),
            #[cfg(test)]
            Self::Defect => 0,
        }
    }

    /// Streams until something is wrong that only people can mend, or until `stop`, when there is no
    /// error.
    pub(crate) async fn stream<I: Intake>(
        &self,
        resume: Option<&str>,
        second: i64,
        clock: &Clock,
        intake: &mut I,
        stop: impl Future<Output = ()> + Send,
    ) -> Option<SourceError> {
        match self {
            #[cfg(test)]
            Self::Defect => panic!("a defect of this source"),
            Self::Demo(demo, _) => {
                unless(stop, demo.stream(second, clock, intake)).await;
                None
            }
            Self::Bluesky(bluesky) => unless(stop, bluesky.run(resume, intake)).await,
            Self::Mastodon(mastodon) => unless(stop, mastodon.run(resume, intake)).await,
            Self::X(x) => x.stream(resume, intake, stop).await,
        }
    }
}

/// Drops `work` at `stop`: what its source has not handed on yet comes again at the next start.
async fn unless<T>(stop: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop => None,
        done = work => Some(done),
    }
}

impl SourceArgs {
    /// Nothing is to be read.
    pub(crate) fn is_none(&self) -> bool {
        self.sources == [Source::None]
    }

    /// Makes the sources that were asked for. What they have to keep over a restart is in `dir`.
    pub(crate) fn sources(
        &self,
        regions: &Arc<Regions>,
        key: AuthorKey,
        clock: &Clock,
        dir: &Path,
    ) -> Result<Vec<Live>> {
        let mut lives: Vec<Live> = vec![];
        if self.sources.len() > 1 && self.sources.contains(&Source::None) {
            bail!("--source none cannot go with others");
        }
        for source in &self.sources {
            let live = match source {
                Source::Demo => Live::Demo(Demo::new(self.seed, regions, key), self.backfill),
                Source::Bluesky => Live::Bluesky(self.bluesky(key, clock)?),
                Source::Mastodon(host) => Live::Mastodon(self.mastodon(host, key, clock)?),
                Source::X => Live::X(self.x.client(regions, key, clock, dir)?),
                Source::None => continue,
            };
            if lives.iter().any(|other| other.name() == live.name()) {
                bail!("--source names {} twice", live.name());
            }
            lives.push(live);
        }
        Ok(lives)
    }

    fn bluesky(&self, key: AuthorKey, clock: &Clock) -> Result<Bluesky<Tcp>> {
        let mut options = bluesky::Options::default();
        if !self.bluesky_url.is_empty() {
            options.hosts.clone_from(&self.bluesky_url);
        }
        if let Some(path) = &self.bluesky_dictionary {
            let bytes =
                std::fs::read(path).with_context(|| format!("the dictionary {} cannot be read", path.display()))?;
            options.dictionary = Some(bytes);
        }
        Ok(Bluesky::new(options, Tcp, key, clock.clone(), rand::random::<f64>)?)
    }

    fn mastodon(&self, host: &str, key: AuthorKey, clock: &Clock) -> Result<Mastodon<Network>> {
        let token = secret("MASTODON_TOKEN")?.map(|text| mastodon::Token::new(&text)).transpose()?;
        let server = self.mastodon_url.clone().unwrap_or_else(|| format!("https://{host}"));
        let options = mastodon::Options { server, feed: self.mastodon_feed.clone(), token };
        Ok(Mastodon::new(options, network(false)?, key, clock.clone(), rand::random::<f64>)?)
    }
}

fn parse_feed(text: &str) -> Result<mastodon::Feed, String> {
    match text {
        "public" => Ok(mastodon::Feed::Public),
        "local" => Ok(mastodon::Feed::Local),
        "remote" => Ok(mastodon::Feed::Remote),
        _ => match text.strip_prefix('#').filter(|tag| !tag.is_empty()) {
            Some(tag) => Ok(mastodon::Feed::Hashtag(tag.into())),
            None => Err(format!("there is no feed {text:?}; there are public, local, remote and a #hashtag")),
        },
    }
}

impl XArgs {
    fn client(&self, regions: &Arc<Regions>, key: AuthorKey, clock: &Clock, dir: &Path) -> Result<X<Network>> {
        if !(self.x_price.is_finite() && self.x_price >= 0.0) {
            bail!("--x-price must be a number of US dollars, not {}", self.x_price);
        }
        for note in x::rules::plan(regions, 100).map_err(|error| anyhow!("{error}"))?.notes {
            tracing::warn!("{note}");
        }
        if self.x_budget.is_none() && self.account.x_url == x::URL {
            tracing::warn!("X charges ${} a post and no budget is set: --x-budget 5/day sets one", self.x_price);
        }
        let options = x::Options {
            url: self.account.x_url.clone(),
            token: x_token()?,
            read_token: Arc::new(|| x_token().map_err(|error| format!("{error:#}"))),
            gzip: self.x_gzip,
            backfill_minutes: self.x_backfill_minutes,
            stall: x::STALL,
            journal: Some(dir.join(X_JOURNAL)),
            budget: self.x_budget,
            dollars_a_post: self.x_price,
            jitter: rand::random::<f64>,
        };
        Ok(X::new(network(self.x_gzip)?, regions.clone(), key, options, clock.clone())?)
    }
}

pub(crate) fn network(gzip: bool) -> Result<Network> {
    Network::new(gzip).context("HTTPS cannot be set up")
}

/// The bearer token of X, from the environment or a file.
pub(crate) fn x_token() -> Result<api::Token> {
    let text = secret("X_BEARER_TOKEN")?
        .context("X wants a bearer token: set X_BEARER_TOKEN, or X_BEARER_TOKEN_FILE to a file that holds it")?;
    api::Token::new(&text).map_err(|error| anyhow!("X_BEARER_TOKEN: {error}"))
}

/// The variable `name`, or the content of the file that `name`_FILE names; nothing when neither is set.
///
/// # Errors
/// When there is nothing in it: an empty secret is a mistake and is sent to nobody.
fn secret(name: &str) -> Result<Option<String>> {
    let set = |name: &str| std::env::var_os(name);
    let text = std::env::var(name).ok();
    secret_of(name, text, set(&format!("{name}_FILE")).map(PathBuf::from))
}

fn secret_of(name: &str, text: Option<String>, file: Option<PathBuf>) -> Result<Option<String>> {
    if let Some(text) = text.as_ref().filter(|text| !text.trim().is_empty()) {
        return Ok(Some(text.clone()));
    }
    if let Some(path) = file.filter(|path| !path.as_os_str().is_empty()) {
        let read = std::fs::read_to_string(&path);
        let read = read.with_context(|| format!("{name}_FILE: {} cannot be read", path.display()))?;
        if read.trim().is_empty() {
            bail!("{name}_FILE: there is no token in {}; write it into the file", path.display());
        }
        return Ok(Some(read));
    }
    if text.is_some() {
        bail!("{name} is set and empty: set it to the token, or unset it");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_token_is_a_mistake_and_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let (blank, good) = (folder.path().join("blank"), folder.path().join("good"));
        std::fs::write(&blank, " \n\t").unwrap();
        std::fs::write(&good, "token\n").unwrap();
        let of = |text: Option<&str>, file: Option<&Path>| {
            secret_of("TOKEN", text.map(str::to_owned), file.map(Path::to_owned)).map_err(|error| error.to_string())
        };
        assert_eq!(of(None, None), Ok(None));
        assert_eq!(of(Some("a"), Some(&blank)), Ok(Some("a".into())));
        assert_eq!(of(Some(""), Some(&good)), Ok(Some("token\n".into())));
        for text in ["", " \n"] {
            assert!(of(Some(text), None).unwrap_err().contains("TOKEN is set and empty"));
        }
        assert!(of(None, Some(&blank)).unwrap_err().contains("there is no token in"));
    }
}
