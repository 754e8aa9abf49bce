//! `birdsong key`: the key that the ids of posts and authors are hashed with.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use birdsong_domain::ports::{KEY_FINGERPRINT, Settings};
use birdsong_domain::post::InstallationKey;
use birdsong_embedded::{SqliteLog, SqliteStore};
use clap::{Args, Subcommand};

use crate::cloud::CloudArgs;
use crate::{DataArgs, data, print};

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    what: What,
}

const HELP: &str =
    "Posts and authors are stored as hashes under this key. Whoever has the log and the key can find out which
public posts were counted and who wrote them; without the key nobody can look them up. Keep a copy of the
key, apart from copies of the data: without it, stored posts can no longer be recognised, and count again
when they are replayed.

The key is in author.key in the data folder, or in the environment variable BIRDSONG_AUTHOR_KEY (32 hex
digits). After a rotation, posts and authors get new hashes: windows that span it count some authors twice,
and posts that come again from before it count again.";

#[derive(Debug, Subcommand)]
enum What {
    /// Print what identifies the key, and whether the stored posts are hashed with it
    Show(Place),
    /// Switch to another key; stop everything that writes first
    ///
    /// When author.key or BIRDSONG_AUTHOR_KEY is already another key than the one that hashed the stored posts, that one is
    /// adopted. Otherwise a new one is made and replaces author.key. The previous key is not kept.
    Rotate(Place),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cloud: CloudArgs,
}

pub(crate) fn key(args: KeyArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (place, is_rotation) = match args.what {
        What::Show(place) => (place, false),
        What::Rotate(place) => (place, true),
    };
    let dir = &place.data.data;
    if place.cloud.stream.is_some() {
        #[cfg(not(feature = "aws"))]
        crate::cloud::missing()?;
        #[cfg(feature = "aws")]
        {
            let (_, settings) = runtime.block_on(place.cloud.connect())?;
            let key = data::stored_key(dir)?.context(
                "there is no key: make one with `openssl rand -hex 16`, and set it for this command and for the streamer \
                 in BIRDSONG_AUTHOR_KEY",
            )?;
            return runtime.block_on(with(&settings, Some(key), is_rotation));
        }
    }
    if !dir.join("store.sqlite").exists() {
        bail!("there is nothing stored in {}; name the data folder with --data", dir.display());
    }
    let _lock = if is_rotation { Some(data::lock(dir, &data::Role::ALL)?) } else { None };
    let (log, settings) = (SqliteLog::open(dir)?, SqliteStore::open(dir)?);
    let mut key = data::stored_key(dir)?;
    let known = runtime.block_on(settings.setting(KEY_FINGERPRINT))?;
    if is_rotation && key.is_none_or(|key| Some(key.fingerprint()) == known) {
        if std::env::var_os("BIRDSONG_AUTHOR_KEY").is_some() {
            bail!("BIRDSONG_AUTHOR_KEY is the key in use: set it to another one, or unset it to have one made");
        }
        key = Some(data::make_key(dir)?);
    }
    if let Some(key) = key.filter(|_| is_rotation) {
        runtime.block_on(log.set_setting(KEY_FINGERPRINT, &key.fingerprint()))?;
    }
    runtime.block_on(with(&settings, key, is_rotation))
}

async fn with<S: Settings>(settings: &S, key: Option<InstallationKey>, is_rotation: bool) -> Result<ExitCode> {
    let known = settings.setting(KEY_FINGERPRINT).await?;
    let ours = key.map(|key| key.fingerprint());
    if is_rotation {
        let ours = ours.context("there is no key")?;
        settings.set_setting(KEY_FINGERPRINT, &ours).await?;
        let before = known.unwrap_or_else(|| "none".to_owned());
        print::out(format_args!("the fingerprint of the key was {before} and is {ours} now"));
        return Ok(ExitCode::SUCCESS);
    }
    print::out(format_args!("fingerprint of the key: {}", ours.as_deref().unwrap_or("there is no key")));
    print::out(format_args!("the stored posts are hashed with: {}", known.as_deref().unwrap_or("no key yet")));
    if known.is_none() || known == ours {
        return Ok(ExitCode::SUCCESS);
    }
    print::out(
        "These differ: restore the key as author.key or in BIRDSONG_AUTHOR_KEY. If it is lost, `birdsong key rotate` \
         begins with a new one",
    );
    Ok(ExitCode::FAILURE)
}
