//! The health check of a streamer: the endpoint, and the command that asks it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::StatusCode;
use birdsong_api::SourceReport;
use birdsong_sources::http::{Http, Network, read_all};
use birdsong_streamer::status::StatusRegistry;
use clap::Args;
use serde_json::json;

use crate::hosts::Hosts;
use crate::{now_ms, print, serve};

/// A source whose loop has not run for this long is stuck, which a restart solves.
const STUCK_MS: i64 = 120_000;
/// Longest wait for an answer to the command.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Connections to the health check, of which a container opens one at a time.
const CONNECTIONS: usize = 16;

/// Serves `GET /healthz` on a port of loopback.
pub(crate) async fn serve_health(port: u16, status: Arc<StatusRegistry>) -> Result<()> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let listener =
        tokio::net::TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tracing::info!("health at http://{}/healthz", listener.local_addr()?);
    let router = axum::Router::new().route("/healthz", axum::routing::get(move || async move { health(&status) }));
    let limits = serve::Limits { connections: CONNECTIONS, ..serve::Limits::default() };
    let router = serve::checked(router, Hosts::new(listener.local_addr()?, &[]), limits);
    tokio::spawn(serve::serve(listener, router, limits, std::future::pending()));
    Ok(())
}

/// 503 only for what a restart would solve: a source whose loop is stuck. An unavailable log or source does
/// not come back by a restart.
fn health(status: &StatusRegistry) -> (StatusCode, axum::Json<serde_json::Value>) {
    let now_ms = now_ms();
    let entries = status.entries();
    let stuck: Vec<_> = entries
        .iter()
        .filter(|entry| entry.beat_ms > 0 && now_ms - entry.beat_ms > STUCK_MS)
        .map(|entry| entry.state.source.clone())
        .collect();
    let status = if stuck.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let states: Vec<_> = entries.into_iter().map(|entry| SourceReport::from(entry.state)).collect();
    (status, axum::Json(json!({"ok": stuck.is_empty(), "stuck": stuck, "sources": states})))
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Port that `birdsong stream --health-port` listens on
    #[arg(long, default_value_t = 8081, env = "BIRDSONG_HEALTH_PORT")]
    port: u16,
}

/// Checks the health of a local streamer: the health check of a container that has no shell.
pub(crate) fn ask_health(args: &HealthArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, body) = runtime.block_on(ask(args.port))?;
    print::out(String::from_utf8_lossy(&body));
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(port: u16) -> Result<(StatusCode, Vec<u8>)> {
    let url = format!("http://{}:{port}/healthz", Ipv4Addr::LOCALHOST);
    let asked = async {
        let request = axum::http::Request::get(&url).body(Bytes::new())?;
        let answer = Network::new(false)?.send(request).await?;
        let status = answer.status();
        anyhow::Ok((status, read_all(answer.into_body(), MAX_ANSWER_BYTES).await?))
    };
    let answered = tokio::time::timeout(PATIENCE, asked).await.map_err(anyhow::Error::from).and_then(|answer| answer);
    answered.with_context(|| format!("no streamer answers at {url}"))
}
