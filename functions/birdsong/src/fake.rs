//! `birdsong fake`: the sources' servers with made-up posts, for those who develop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use birdsong_sources::live::Clock;
use birdsong_testkit::fake::{bluesky, mastodon, x};
use clap::{Args, ValueEnum};

use crate::stream::stop_signal;
use crate::{now_ms, print};

/// Where each of them listens unless told otherwise.
const PORT: u16 = 8090;
/// What the made-up X takes.
const TOKEN: &str = "made-up";
/// How often a made-up Jetstream of the second kind seals its archive.
const SEAL_EVERY: Duration = Duration::from_secs(3600);
/// Bytes that the made-up X holds back for a client that does not read.
const QUEUE_BYTES: usize = 4 << 20;

#[derive(Debug, Args)]
pub(crate) struct FakeArgs {
    /// Whose server to play
    server: Server,
    /// Port on loopback; 0 takes any free one
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Posts a second
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How it behaves; not every server knows every script
    #[arg(long, value_enum, default_value_t = Script::Normal)]
    script: Script,
    /// X: fields are named as since August 2026, such as referenced_posts
    #[arg(long)]
    new_names: bool,
    /// X: enterprise access, which takes --x-backfill-minutes; posts go on while nobody is connected
    #[arg(long)]
    enterprise: bool,
    /// X: compresses the stream for a client with --x-gzip
    #[arg(long)]
    gzip: bool,
    /// Decides everything random
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Server {
    /// The X API v2: rules, the filtered stream, the usage
    X,
    /// Jetstream
    Bluesky,
    /// A Mastodon server
    Mastodon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Script {
    /// Posts, and nothing that goes wrong
    Normal,
    /// Fifty connections with silence, bad and half lines, repeated posts and errors, then normal (x);
    /// all kinds of trouble now and then, without end (bluesky, mastodon)
    Trouble,
    /// Posts for a minute, then not a byte on an open connection, each time (x); now and then (bluesky,
    /// mastodon)
    Silence,
    /// A sign of life and no post: always (x), now and then (bluesky)
    KeepAlives,
    /// Each error that passes and each reason to close a stream, in turn; at last there is no more money
    /// (x). Closes now and then and answers 503 for some seconds (bluesky, mastodon)
    Errors,
    /// A host of the second kind, which begins up to an hour before a young cursor, and closes now and then
    /// (bluesky)
    Replay,
    /// Posts now and then whose time lies far in the future (bluesky)
    Future,
}

impl Server {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Script {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The troubles of it at Jetstream.
    fn of_bluesky(self) -> Option<Vec<bluesky::Trouble>> {
        use bluesky::Trouble;
        match self {
            Self::Normal => Some(vec![]),
            Self::Trouble => Some(Trouble::ALL.to_vec()),
            Self::Silence => Some(vec![Trouble::Silence]),
            Self::KeepAlives => Some(vec![Trouble::Quiet]),
            Self::Errors => Some(vec![Trouble::GoAway]),
            Self::Replay => Some(vec![Trouble::Cut]),
            Self::Future => Some(vec![Trouble::Future]),
        }
    }

    /// The troubles of it at a Mastodon server.
    fn of_mastodon(self) -> Option<Vec<mastodon::Trouble>> {
        use mastodon::Trouble;
        match self {
            Self::Normal => Some(vec![]),
            Self::Trouble => Some(Trouble::ALL.to_vec()),
            Self::Silence => Some(vec![Trouble::Silence]),
            Self::KeepAlives | Self::Replay | Self::Future => None,
            Self::Errors => Some(vec![Trouble::Down]),
        }
    }
}

/// The script, or which ones there are.
fn known<T>(args: &FakeArgs, of: impl Fn(Script) -> Option<T>) -> Result<T> {
    if let Some(script) = of(args.script) {
        return Ok(script);
    }
    let there = Script::value_variants().iter().filter(|script| of(**script).is_some());
    let there: Vec<_> = there.map(|script| script.name()).collect();
    bail!("{} has no script {}; it has {}", args.server.name(), args.script.name(), there.join(", "))
}

pub(crate) fn fake(args: &FakeArgs) -> Result<ExitCode> {
    if args.server != Server::X && (args.new_names || args.enterprise || args.gzip) {
        bail!("--new-names, --enterprise and --gzip are of x, not of {}", args.server.name());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(serve(args));
    runtime.shutdown_background();
    done
}

async fn serve(args: &FakeArgs) -> Result<ExitCode> {
    let mut stop = stop_signal()?;
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = tokio::net::TcpListener::bind(wanted).await.with_context(|| format!("cannot listen on {wanted}"))?;
    let address = listener.local_addr()?;
    let clock: Clock = Arc::new(now_ms);
    // With some of the past, for those who come back with a cursor.
    let start_ms = now_ms() - 600_000;
    let (how, serving) = match args.server {
        Server::X => {
            let options = x::Options {
                token: TOKEN.into(),
                script: known(args, |script| x::script(&script.name(), args.seed))?,
                posts_per_s: f64::from(args.rate),
                seed: args.seed,
                has_new_names: args.new_names,
                clock,
            };
            let account = x::Account {
                has_backfill: args.enterprise,
                gzip: args.gzip,
                queue_bytes: Some(QUEUE_BYTES),
                ..x::Account::default()
            };
            let router = x::FakeX::with(options, account).router();
            let serving = tokio::spawn(axum::serve(listener, router).into_future());
            let more = [(args.enterprise, " --x-backfill-minutes 5"), (args.gzip, " --x-gzip")];
            let more: String = more.into_iter().filter(|(is_on, _)| *is_on).map(|(_, option)| option).collect();
            (format!("X_BEARER_TOKEN={TOKEN} birdsong run --source x --x-url http://{address}{more}"), serving)
        }
        Server::Bluesky => {
            // Of the second kind, an hour of the past.
            let start_ms = if args.script == Script::Replay { start_ms - 3_000_000 } else { start_ms };
            let mut script = bluesky::Script::calm(args.seed, start_ms, args.rate);
            script.troubles = known(args, Script::of_bluesky)?;
            script.seal_every = (args.script == Script::Replay).then_some(SEAL_EVERY);
            let server = bluesky::Jetstream::new(script, clock);
            let serving = tokio::spawn(async move {
                server.listen(listener).await;
                Ok(())
            });
            (format!("birdsong run --source bluesky --bluesky-url ws://{address} --everything all"), serving)
        }
        Server::Mastodon => {
            let mut script = mastodon::Script::calm(args.seed, start_ms, args.rate);
            script.troubles = known(args, Script::of_mastodon)?;
            let server = mastodon::Instance::new(script, clock);
            let how =
                format!("birdsong run --source mastodon:localhost --mastodon-url http://{address} --everything all");
            (how, tokio::spawn(server.listen(listener)))
        }
    };
    print::err_lines(format_args!(
        "A made-up server listens at {address}, Ctrl-C stops it. In another terminal:\n\n    {how}\n"
    ));
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(ExitCode::SUCCESS),
        ended = serving => {
            ended?.context("the made-up server ended")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
