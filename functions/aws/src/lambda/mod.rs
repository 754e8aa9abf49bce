//! What the Lambda functions do; their binaries only read the environment and start.

pub mod aggregator;
pub mod api;
pub mod digest;
pub mod event;
pub mod metrics;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Sets up logs as JSON lines on standard output; `RUST_LOG` chooses the level.
pub fn init_logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().json().without_time().with_env_filter(filter).init();
}

/// The present time, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A variable of the function's environment that must be set.
///
/// # Errors
/// When it is missing or empty; the text explains its purpose.
pub fn required(name: &str, purpose: &str) -> Result<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).with_context(|| {
        format!(
            "the environment variable {name} is not set: it names {purpose}; set it in the function's configuration"
        )
    })
}
