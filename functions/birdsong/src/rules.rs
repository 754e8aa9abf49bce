//! `birdsong rules`: what X is asked for.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use birdsong_domain::printable::printable;
use birdsong_domain::region::Regions;
use birdsong_sources::http::{Network, safe_for_token};
use birdsong_sources::x;
use birdsong_sources::x::api::Api;
use birdsong_sources::x::diff::Diff;
use birdsong_sources::x::problem::Failure;
use birdsong_sources::x::rules::{self, MAX_RULE_CHARS, MAX_RULES, Plan};
use clap::{Args, Subcommand};

use crate::source;
use crate::{CountArgs, data, print};

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Show the rules that the regions make; needs no account
    Show {
        #[command(flatten)]
        count: CountArgs,
    },
    /// Set these rules at X, after X has checked them: add missing ones, delete all others of the app except
    /// those whose tags a region lists
    Sync {
        #[command(flatten)]
        count: CountArgs,
        /// Address of the X API
        #[arg(long = "x-url", value_name = "URL", default_value = x::URL, env = "BIRDSONG_X_URL")]
        url: String,
        /// Only have X check them, and show what would change
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn rules(args: &RulesArgs) -> Result<ExitCode> {
    match &args.command {
        RulesCommand::Show { count } => show(&plan(count)?),
        RulesCommand::Sync { count, url, dry_run } => {
            let wanted = plan(count)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(sync(&wanted, url, *dry_run))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn plan(count: &CountArgs) -> Result<Plan> {
    let plan = rules::plan(&data::load_regions(count)?, 100).map_err(|error| anyhow!("{error}"))?;
    for note in &plan.notes {
        print::err(format_args!("note: {note}"));
    }
    Ok(plan)
}

fn show(plan: &Plan) {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(120);
    table.set_header(["tag", "characters", "rule"]);
    for rule in &plan.rules {
        table.add_row([rule.tag.clone(), rule.value.chars().count().to_string(), rule.value.clone()]);
    }
    print::out(format_args!(
        "{table}\n{} of {MAX_RULES} rules, of at most {MAX_RULE_CHARS} characters each.",
        plan.rules.len()
    ));
    if !plan.foreign_tags.is_empty() {
        print::out(format_args!("Rules of your own with these tags are left alone: {}", plan.foreign_tags.join(", ")));
    }
}

async fn sync(plan: &Plan, url: &str, dry_run: bool) -> Result<()> {
    safe_for_token(url)?;
    let context = source::context(Arc::new(Regions::everything("all")), data::random_key(), Path::new(""));
    let token = x::token(&context)?;
    let api = Api::new(Network::new(false).context("HTTPS cannot be set up")?, url, token);
    let clock = context.clock;
    let failed = |failure: Failure| anyhow!("{}", failure.reason);
    let set = api.rules(&clock).await.map_err(failed)?;
    let diff = Diff::new(set, &plan.rules).sparing(&plan.foreign_tags);
    for rule in &diff.delete {
        print::out(format_args!("- {}  {}", printable(&rule.tag), printable(&rule.value)));
    }
    for rule in &diff.add {
        print::out(format_args!("+ {}  {}", rule.tag, rule.value));
    }
    for rule in &diff.foreign {
        print::out(format_args!("= {}  {}", printable(&rule.tag), printable(&rule.value)));
    }
    for tag in diff.missing(&plan.foreign_tags) {
        print::err(format_args!("note: no rule at X has the tag {tag:?} that a region lists: no post matches it"));
    }
    if !diff.is_empty() {
        api.check(&diff, &clock).await.map_err(failed)?;
    }
    let (adds, deletes, same, foreign) = (diff.add.len(), diff.delete.len(), diff.same, diff.foreign.len());
    let left = if foreign > 0 { format!(" {foreign} of your own are left alone.") } else { String::new() };
    if dry_run {
        print::out(format_args!(
            "X accepts them: {adds} to add, {deletes} to delete, {same} stay.{left} Nothing was changed."
        ));
        return Ok(());
    }
    api.apply(&diff, &clock).await.map_err(failed)?;
    print::out(format_args!("{adds} added, {deletes} deleted, {same} stayed.{left}"));
    Ok(())
}
