//! `birdsong alerts`: the alerts of the regions file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use birdsong_alerts::state::{State, Tried};
use birdsong_alerts::{Alerts, Channels, Secret, engine};
use birdsong_domain::region::Regions;
use birdsong_domain::time::rfc3339;
use birdsong_domain::window::FoldRules;
use clap::{Args, Subcommand};

use crate::{CountArgs, DataArgs, data, now_ms, print};

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    #[command(flatten)]
    data: DataArgs,
    /// The file with the alerts [default: regions.toml]
    #[arg(long, value_name = "FILE", global = true)]
    regions: Option<PathBuf>,
}

const HELP: &str =
    "Alerts are [[alert]] tables of the regions file. URLs and secrets may be \"$NAME\", which stands for an
environment variable.";

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Send a made-up event through each channel, and print what happened
    Test {
        /// The alert [default: all]
        #[arg(value_name = "ID")]
        id: Option<String>,
        #[command(flatten)]
        links: LinkArgs,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LinkArgs {
    /// Address under which people open the dashboard, for the links in alerts and feeds
    #[arg(long, value_name = "URL", env = "BIRDSONG_PUBLIC_URL", value_parser = parse_url)]
    pub(crate) public_url: Option<String>,
}

fn parse_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest.filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace) && !rest.contains(['?', '#'])) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("write an address without a query, such as https://birds.example.org".into()),
    }
}

/// The alerts of a regions file, with the variables of the environment. Logs which of those are missing.
pub(crate) fn start(regions: &Regions, public_url: &str) -> Result<Alerts> {
    let alerts = of_environment(regions, public_url)?;
    for name in alerts.missing_variables() {
        tracing::error!("the environment variable {name}, which an alert needs, is not set: set it and start again");
    }
    Ok(alerts)
}

fn of_environment(regions: &Regions, public_url: &str) -> Result<Alerts> {
    let channels = Channels::new(|name| std::env::var(name).ok().map(Secret::new))?;
    Ok(Alerts::new(regions.alerts().to_vec(), channels, public_url))
}

pub(crate) fn alerts(args: AlertsArgs) -> Result<ExitCode> {
    let regions = data::load_regions(&CountArgs { regions: args.regions, everything: None, window: None })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.command {
        None => runtime.block_on(list(&regions, &args.data))?,
        Some(AlertsCommand::Test { id, links }) => return runtime.block_on(test(&regions, id.as_deref(), &links)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(regions: &Regions, data: &DataArgs) -> Result<()> {
    if regions.alerts().is_empty() {
        print::out("There are no alerts: add [[alert]] tables to the regions file.");
        return Ok(());
    }
    let store = if data.data.is_dir() { Some(data::open_store(&data.data)?) } else { None };
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "regions", "kinds", "channels", "delivered", "waiting", "given up", "last"]);
    let mut problems = vec![];
    for alert in regions.alerts() {
        let state = match &store {
            Some(store) => birdsong_alerts::state(store, &alert.id).await?,
            None => State::default(),
        };
        let kinds: Vec<_> = alert.kinds.iter().map(|kind| kind.as_str()).collect();
        let channels: Vec<_> = engine::channels(alert).into_iter().map(|channel| channel.as_str()).collect();
        table.add_row([
            alert.id.clone(),
            if alert.regions.is_empty() { "all".to_owned() } else { alert.regions.join(", ") },
            kinds.join(", "),
            channels.join(", "),
            state.delivered.to_string(),
            state.waiting.len().to_string(),
            state.failed.to_string(),
            state.delivered_ms.map_or_else(|| "never".to_owned(), rfc3339),
        ]);
        if let Some(problem) = &state.problem {
            problems.push(format!("{}: {}: given up: {}", alert.id, rfc3339(problem.at_ms), problem.reason));
        }
        if state.skipped > 0 {
            problems.push(format!("{}: {} messages were left out: too many were waiting", alert.id, state.skipped));
        }
    }
    print::out(table);
    problems.iter().for_each(print::out);
    Ok(())
}

async fn test(regions: &Regions, id: Option<&str>, links: &LinkArgs) -> Result<ExitCode> {
    let public_url = links.public_url.as_deref().unwrap_or("http://localhost:8080");
    let alerts = of_environment(regions, public_url)?.with_regions(regions.list().to_vec(), FoldRules::default());
    let chosen: Vec<_> = alerts.list().iter().filter(|alert| id.is_none_or(|id| alert.id == id)).collect();
    if chosen.is_empty() {
        match id {
            Some(id) => bail!("there is no alert {id:?} in the regions file"),
            None => bail!("there are no alerts: add [[alert]] tables to the regions file"),
        }
    }
    let mut has_failed = false;
    for alert in chosen {
        for (channel, tried) in alerts.test(alert, now_ms()).await {
            let (id, channel) = (&alert.id, channel.as_str());
            match tried {
                Tried::Delivered => print::out(format_args!("{id}: {channel}: delivered")),
                Tried::Failed { reason, .. } => {
                    has_failed = true;
                    print::out(format_args!("{id}: {channel}: failed: {reason}"));
                }
            }
        }
    }
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reads a time: RFC 3339, such as `2026-11-26T19:00:00Z`.
pub(crate) fn parse_time(text: &str) -> Result<i64> {
    birdsong_domain::time::parse_rfc3339(text).with_context(|| {
        format!("{text:?} is no time; write one such as 2026-11-26T19:00:00Z or 2026-11-26T20:00:00+01:00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_has_no_query() {
        assert_eq!(parse_url("https://birds.example.org/"), Ok("https://birds.example.org".into()));
        for bad in ["", "birds.example.org", "ftp://x", "https://", "https://x/?a", "https://x y"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
