//! Counts of another program, stored to be shown beside ours: `--reference`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use birdsong_digest::reference;
use birdsong_domain::ports::{DocumentStore, PortError};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::Regions;
use birdsong_sources::address::Address;
use birdsong_sources::session::Stop;
use birdsong_sources::x::counts::{self, CountsStatus, ReferenceCounts, References};
use clap::Args;

use crate::{now_ms, source};

#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// Counts to show beside ours, such as x-counts:?every=1h&budget=2/day (docs/sources.md)
    #[arg(long, value_name = "ADDRESS", value_parser = counts::address, env = "BIRDSONG_REFERENCE")]
    reference: Option<Address>,
}

impl ReferenceArgs {
    /// Polls until `stop`, if there is an address. Failures are logged.
    ///
    /// # Errors
    /// When the address or its token cannot be used.
    pub(crate) fn start<S: DocumentStore + 'static>(
        &self,
        store: Arc<S>,
        regions: &Arc<Regions>,
        (key, dir): (InstallationKey, &Path),
        stop: Stop,
    ) -> Result<()> {
        let Some(address) = &self.reference else { return Ok(()) };
        let poller = counts::open(address, &source::context(regions.clone(), key, dir))?;
        tokio::spawn(async move {
            if let Err(error) = poller.run(&Stored(store), stop).await {
                tracing::error!("there will be no reference counts: {error}");
            }
        });
        Ok(())
    }
}

/// Where reference counts are stored.
struct Stored<S>(Arc<S>);

impl<S: DocumentStore> References for Stored<S> {
    async fn newest_ms(&self, region: &str) -> Result<Option<i64>, PortError> {
        reference::newest_ms(&*self.0, region, now_ms()).await
    }

    async fn put(&self, counts: &ReferenceCounts) -> Result<(), PortError> {
        reference::put(&*self.0, &counts.region, &counts.per_minute).await
    }

    fn status(&self, status: &CountsStatus) {
        if let Some(problem) = &status.problem {
            tracing::warn!("reference counts: {problem}");
        }
    }
}
