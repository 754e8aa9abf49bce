//! Plays the server of a source with made-up posts, to try a source without an account.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use birdsong_sources::fake::{Fake, Order, Started};
use birdsong_sources::source::{KINDS, Kind};
use clap::Parser;

/// A fake server of a source, with made-up posts, for development and for trying a source without an account.
#[derive(Debug, Parser)]
#[command(name = "birdsong-fake", version, after_help = scripts())]
struct Args {
    /// Kind of source whose server to play
    #[arg(value_parser = kinds())]
    kind: String,
    /// Port on loopback; 0 chooses any free one
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// Posts a second
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How it behaves, see below
    #[arg(long, value_name = "NAME")]
    script: Option<String>,
    /// What else to switch on, see below; may be repeated
    #[arg(long = "with", value_name = "NAME")]
    switches: Vec<String>,
    /// Decides everything random
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

fn fakes() -> impl Iterator<Item = (&'static Kind, Fake)> {
    KINDS.iter().filter_map(|kind| Some((kind, kind.fake?)))
}

fn kinds() -> Vec<&'static str> {
    fakes().map(|(kind, _)| kind.scheme).collect()
}

fn scripts() -> String {
    let list = |title: &str, entries: &[(&str, &str)]| {
        let lines: String = entries.iter().map(|(name, about)| format!("\n  {name:14}{about}")).collect();
        if lines.is_empty() { String::new() } else { format!("{title}:{lines}\n") }
    };
    let of = |(kind, fake): (&Kind, Fake)| {
        let scripts = list(&format!("Scripts of {}", kind.scheme), fake.scripts);
        format!("{scripts}{}", list(&format!("Switches of {}", kind.scheme), fake.switches))
    };
    fakes().map(of).collect::<Vec<_>>().join("\n")
}

/// The wanted names, or an error that lists those that there are.
fn check(kind: &str, what: &str, wanted: &[String], known: &[(&str, &str)]) -> Result<(), String> {
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    match wanted.iter().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) if names.is_empty() => Err(format!("{kind} has no {what} {name}; it has none")),
        Some(name) => Err(format!("{kind} has no {what} {name}; it has {}", names.join(", "))),
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), String> {
    let (_, fake) = fakes().find(|(kind, _)| kind.scheme == args.kind).ok_or("there is no such kind of source")?;
    let script = args.script.unwrap_or_else(|| fake.scripts[0].0.to_owned());
    check(&args.kind, "script", std::slice::from_ref(&script), fake.scripts)?;
    check(&args.kind, "switch", &args.switches, fake.switches)?;
    let order = Order { script, switches: args.switches, rate: args.rate, seed: args.seed, clock: Arc::new(now_ms) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
        let listener = tokio::net::TcpListener::bind(wanted)
            .await
            .map_err(|error| format!("cannot listen on {wanted}: {error}; choose another port with --port"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let Started { source, environment, serving } = (fake.start)(&order, listener);
        let environment: String = environment.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        eprintln!(
            "A fake server listens at {address}, Ctrl-C stops it. In another terminal:\n\n    \
             {environment}birdsong run --source '{source}' --everything all\n"
        );
        tokio::select! {
            served = serving => served.map_err(|error| format!("the server stopped: {error}")),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}
