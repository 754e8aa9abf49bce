//! `birdsong key`: the key that the ids of posts and authors are hashed with.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use birdsong_domain::ports::{KEY_FINGERPRINT, Settings};
use birdsong_domain::post::AuthorKey;
use birdsong_embedded::SqliteStore;
use clap::{Args, Subcommand};

use crate::cloud::CloudArgs;
use crate::{DataArgs, data, print};

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    what: What,
}

const HELP: &str = "Posts and authors are stored as hashes under this key. Whoever has the log and the key can find out
which public posts were counted and who wrote them; without the key nobody can. Keep a copy of it: when it is
lost, the posts that are stored count as unknown ones.

After a rotation the same author is another number, so that a window which has posts from before and after it counts
some authors twice, and so does a post that a source sends again from before the rotation.";

#[derive(Debug, Subcommand)]
enum What {
    /// Print what identifies the key, and whether the stored posts are hashed with it
    Show(Place),
    /// Begin with a new key: stop everything that writes first
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
                "there is no key: make one with `openssl rand -hex 16`, and give it to this command and to the streamer \
                 in BIRDSONG_AUTHOR_KEY",
            )?;
            return runtime.block_on(with(&settings, Some(key), is_rotation));
        }
    }
    if !dir.join("store.sqlite").exists() {
        bail!("there is nothing stored in {}; name the data folder with --data", dir.display());
    }
    let _lock = if is_rotation { Some(data::lock(dir)?) } else { None };
    let settings = SqliteStore::open(dir)?;
    let key = match (is_rotation, std::env::var_os("BIRDSONG_AUTHOR_KEY")) {
        (true, None) => Some(data::make_key(dir)?),
        _ => data::stored_key(dir)?,
    };
    runtime.block_on(with(&settings, key, is_rotation))
}

async fn with<S: Settings>(settings: &S, key: Option<AuthorKey>, is_rotation: bool) -> Result<ExitCode> {
    let known = settings.setting(KEY_FINGERPRINT).await?;
    let ours = key.map(|key| key.fingerprint());
    if is_rotation {
        let ours = ours.context("there is no key")?;
        settings.set_setting(KEY_FINGERPRINT, &ours).await?;
        let before = known.unwrap_or_else(|| "none".to_owned());
        print::out(format_args!("the fingerprint was {before} and is {ours} now"));
        return Ok(ExitCode::SUCCESS);
    }
    print::out(format_args!("fingerprint of the key: {}", ours.as_deref().unwrap_or("there is no key")));
    print::out(format_args!("the stored posts are hashed with: {}", known.as_deref().unwrap_or("no key yet")));
    Ok(if known.is_none() || known == ours { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
