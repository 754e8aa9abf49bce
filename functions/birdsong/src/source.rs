//! The options that choose live sources.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_sources::address::{Address, BadAddress};
use birdsong_sources::source::{Clock, Context, KINDS, Secrets, Source, Target};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::now_ms;

/// No source: what is stored is served.
const NONE: &str = "none";

/// Where posts come from.
#[derive(Clone, Debug)]
pub(crate) struct SourceArgs {
    /// `None` for [`NONE`].
    sources: Vec<Option<Address>>,
}

/// An option of the command line that sets an option of all addresses of one kind, as before addresses had
/// options.
struct Synonym {
    scheme: &'static str,
    option: &'static str,
    flag: &'static str,
    is_switch: bool,
}

fn synonyms() -> impl Iterator<Item = Synonym> {
    KINDS.iter().flat_map(|kind| {
        kind.options.iter().filter_map(|spec| {
            let is_switch = spec.value.is_empty();
            spec.flag.map(|flag| Synonym { scheme: kind.scheme, option: spec.name, flag, is_switch })
        })
    })
}

fn parse(text: &str) -> Result<Option<Address>, BadAddress> {
    if text == NONE { Ok(None) } else { text.parse().map(Some) }
}

/// All kinds with their options, from the table of sources.
fn long_help() -> String {
    let mut help =
        "Where posts come from; several with commas, or the option several times. Options follow a ?, as in\n\
         'x:?budget=5/day&gzip'; write , as %2C and & as %26 in a value.\n"
            .to_owned();
    for kind in KINDS {
        help += &format!("\n{}: {}", kind.syntax(), kind.about);
        if let Some(secret) = kind.secret {
            let need = if secret.is_required { "Required" } else { "Its token" };
            help += &format!("\n    {need} in the environment: {0}, or the file named by {0}_FILE", secret.name);
        }
        for spec in kind.options {
            let value = if spec.value.is_empty() { String::new() } else { format!("={}", spec.value) };
            let sign = if kind.target == Target::Url { '#' } else { '?' };
            help += &format!("\n    {sign}{}{value}  {}", spec.name, spec.about);
        }
    }
    help + &format!(
        "\n{NONE}: no source; only serve what is stored, such as replayed archives\n\nMore in docs/sources.md."
    )
}

impl Args for SourceArgs {
    fn augment_args(command: Command) -> Command {
        let known: Vec<_> = KINDS.iter().map(|kind| kind.syntax()).collect();
        let source = Arg::new("source")
            .long("source")
            .value_name("SOURCE")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .default_value("demo")
            .env("BIRDSONG_SOURCE")
            .help(format!("Where posts come from, several with commas: {} or {NONE}", known.join(", ")))
            .long_help(long_help())
            .value_parser(ValueParser::new(parse));
        synonyms().fold(command.arg(source), |command, synonym| {
            let arg = Arg::new(synonym.flag).long(synonym.flag).hide(true);
            let arg = match synonym.is_switch {
                true => arg.action(ArgAction::SetTrue),
                // Those of the demo would catch variables that mean something else.
                false if synonym.flag.starts_with(synonym.scheme) => {
                    arg.env(format!("BIRDSONG_{}", synonym.flag.replace('-', "_").to_uppercase()))
                }
                false => arg,
            };
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut sources: Vec<_> =
            matches.get_many::<Option<Address>>("source").into_iter().flatten().cloned().collect();
        for Synonym { scheme, option, flag, is_switch } in synonyms() {
            let value = match is_switch {
                true => matches.get_flag(flag).then_some("true"),
                false => matches.get_one::<String>(flag).map(String::as_str),
            };
            let Some(value) = value else { continue };
            for address in sources.iter_mut().flatten().filter(|address| address.kind().scheme == scheme) {
                address.set_default(option, value);
            }
        }
        Ok(Self { sources })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SourceArgs {
    /// Nothing is to be read.
    pub(crate) fn is_none(&self) -> bool {
        self.sources.iter().all(Option::is_none)
    }

    /// Makes the sources. What they have to keep over a restart is in `dir`.
    pub(crate) fn sources(
        &self,
        regions: &Arc<Regions>,
        key: InstallationKey,
        dir: &Path,
    ) -> Result<Vec<Box<dyn Source>>> {
        if self.sources.len() > 1 && self.sources.iter().any(Option::is_none) {
            bail!("--source {NONE} cannot be combined with other sources");
        }
        self.check_tokens()?;
        let context = context(regions.clone(), key, dir);
        let mut sources: Vec<Box<dyn Source>> = vec![];
        for address in self.sources.iter().flatten() {
            let source = address.open(&context)?;
            if sources.iter().any(|other| other.name() == source.name()) {
                bail!("--source names {} twice", source.name());
            }
            sources.push(source);
        }
        Ok(sources)
    }

    /// A token that opens one server is not sent to another.
    fn check_tokens(&self) -> Result<()> {
        for kind in KINDS {
            let Some(secret) = kind.secret else { continue };
            let of_kind = self.sources.iter().flatten().filter(|address| address.kind().scheme == kind.scheme);
            let shared: Vec<_> = of_kind.filter(|address| address.get("token").is_none()).collect();
            if shared.len() > 1 && secret_of_environment(secret.name)?.is_some() {
                let names: Vec<_> = shared.iter().map(|address| address.target()).collect();
                bail!(
                    "{} would be sent to {}: name a variable for each in its address, such as {}:{}?token=TOKEN_2, or \
                     ?token=none",
                    secret.name,
                    names.join(" and "),
                    kind.scheme,
                    names.last().unwrap_or(&"HOST")
                );
            }
        }
        Ok(())
    }
}

/// What sources are made with in this program.
pub(crate) fn context(regions: Arc<Regions>, key: InstallationKey, dir: &Path) -> Context {
    let clock: Clock = Arc::new(now_ms);
    let secrets: Secrets = Arc::new(|name| secret_of_environment(name).map_err(|error| format!("{error:#}")));
    Context { regions, key, clock, jitter: rand::random::<f64>, dir: dir.to_owned(), secrets }
}

/// The variable `name`, or the content of the file that `name`_FILE names; `None` when neither is set.
///
/// # Errors
/// When it is empty: an empty secret is a mistake and is sent to nobody.
fn secret_of_environment(name: &str) -> Result<Option<String>> {
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

    fn args(line: &[&str]) -> Result<SourceArgs, clap::Error> {
        let command = SourceArgs::augment_args(Command::new("test"));
        SourceArgs::from_arg_matches(&command.try_get_matches_from([&["test"], line].concat())?)
    }

    #[test]
    fn old_flags_set_options_of_addresses_and_the_address_wins() {
        let parsed = args(&["--source", "x:?budget=5/day,demo", "--x-budget", "9/day", "--x-gzip", "--seed", "7"]);
        let sources = parsed.unwrap().sources;
        let (x, demo) = (sources[0].as_ref().unwrap(), sources[1].as_ref().unwrap());
        assert_eq!((x.get("budget"), x.is_on("gzip")), (Some("5/day"), Ok(true)));
        assert_eq!((demo.get("seed"), demo.get("budget")), (Some("7"), None));
        assert!(args(&["--source", "none"]).unwrap().is_none() && !args(&[]).unwrap().is_none());
        assert!(args(&["--source", "fish"]).unwrap_err().to_string().contains("mastodon:HOST"));
    }

    #[test]
    fn help_lists_every_option_of_every_kind() {
        let help = long_help();
        for kind in KINDS {
            assert!(help.contains(&format!("\n{}: ", kind.syntax())), "{}", kind.scheme);
            assert!(
                kind.options.iter().all(|spec| help.contains(&format!(
                    "{}{}",
                    if kind.target == Target::Url { '#' } else { '?' },
                    spec.name
                ))),
                "{}",
                kind.scheme
            );
            assert!(kind.secret.is_none_or(|secret| help.contains(secret.name)), "{}", kind.scheme);
        }
    }

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
