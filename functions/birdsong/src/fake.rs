//! `birdsong fake`: the sources' servers with made-up posts, for those who develop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use birdsong_sources::live::Clock;
use birdsong_testkit::fake::{bluesky, mastodon, x};
use clap::{Args, ValueEnum};

use crate::now_ms;
use crate::stream::stop_signal;

/// Where each of them listens unless told otherwise.
const PORT: u16 = 8090;
/// What the made-up X takes.
const TOKEN: &str = "made-up";

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
    /// How it behaves
    #[arg(long, value_enum, default_value_t = Script::Normal)]
    script: Script,
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
    /// Broken connections, silence, bad lines, repeated posts, errors
    Trouble,
}

pub(crate) fn fake(args: &FakeArgs) -> Result<ExitCode> {
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
    let has_trouble = args.script == Script::Trouble;
    // With some of the past, for those who come back with a cursor.
    let start_ms = now_ms() - 600_000;
    let (how, serving) = match args.server {
        Server::X => {
            let name = if has_trouble { "trouble" } else { "normal" };
            let options = x::Options {
                token: TOKEN.into(),
                script: x::script(name, args.seed).unwrap_or_default(),
                posts_per_s: f64::from(args.rate),
                seed: args.seed,
                has_new_names: false,
                clock,
            };
            let serving = tokio::spawn(axum::serve(listener, x::router(options)).into_future());
            (format!("X_BEARER_TOKEN={TOKEN} birdsong run --source x --x-url http://{address}"), serving)
        }
        Server::Bluesky => {
            let mut script = bluesky::Script::calm(args.seed, start_ms, args.rate);
            if has_trouble {
                script.troubles = bluesky::Trouble::ALL.to_vec();
            }
            let server = bluesky::Jetstream::new(script, clock);
            let serving = tokio::spawn(async move {
                server.listen(listener).await;
                Ok(())
            });
            (format!("birdsong run --source bluesky --bluesky-url ws://{address} --everything all"), serving)
        }
        Server::Mastodon => {
            let mut script = mastodon::Script::calm(args.seed, start_ms, args.rate);
            if has_trouble {
                script.troubles = mastodon::Trouble::ALL.to_vec();
            }
            let server = mastodon::Instance::new(script, clock);
            let how =
                format!("birdsong run --source mastodon:localhost --mastodon-url http://{address} --everything all");
            (how, tokio::spawn(server.listen(listener)))
        }
    };
    eprintln!("A made-up server listens at {address}, Ctrl-C stops it. In another terminal:\n\n    {how}\n");
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(ExitCode::SUCCESS),
        ended = serving => {
            ended?.context("the made-up server ended")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
