//! `birdsong digest`: what happened on a day, in words.

use std::process::ExitCode;

use anyhow::{Context, Result};
use birdsong_alerts::read::Day;
use birdsong_domain::event::text::{Language, Style, UtcOffset};
use birdsong_domain::time::parse_rfc3339;
use clap::Args;

use crate::{DataArgs, data, now_ms, print};

#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// The day, such as 2026-11-26 [default: yesterday]
    #[arg(long, value_name = "DATE")]
    day: Option<String>,
    /// Language of the text
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = parse_language)]
    language: Language,
    /// The day is one there: an offset from UTC, such as +02:00
    #[arg(long, value_name = "OFFSET", default_value = "UTC", value_parser = UtcOffset::parse)]
    time_zone: UtcOffset,
    #[command(flatten)]
    data: DataArgs,
}

fn parse_language(code: &str) -> Result<Language, String> {
    Language::parse(code).ok_or_else(|| "choose en or fr".into())
}

pub(crate) fn digest(args: &DigestArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    print::out(runtime.block_on(text(args))?.trim_end());
    Ok(ExitCode::SUCCESS)
}

async fn text(args: &DigestArgs) -> Result<String> {
    let noon_ms = match &args.day {
        Some(day) => parse_rfc3339(&format!("{day}T12:00:00Z"))
            .map(|local_ms| args.time_zone.utc_ms(local_ms))
            .with_context(|| format!("{day:?} is no day; write one such as 2026-11-26"))?,
        None => args.time_zone.day_of(now_ms()).0 - 1,
    };
    let range = args.time_zone.day_of(noon_ms);
    let store = data::open_store(&args.data.data)?;
    let rules = data::stored_rules(&store).await?;
    let regions = data::published_regions(&store).await?;
    let day = Day::read(&store, rules, &regions, range).await?;
    Ok(day.text(&Style { offset: args.time_zone, ..Style::new(args.language, "") }))
}
