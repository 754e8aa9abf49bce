//! A window store in memory that does something before each call: waits, counts, or fails.

use std::future::Future;
use std::sync::Arc;

use birdsong_domain::ports::{
    Change, Document, DocumentKey, DocumentKind, DocumentStore, Expected, Live, PartialKey, PortError, PutOutcome,
    RollupRow, RollupStore, Row, RowVersion, Settings, WindowStore,
};
use birdsong_domain::rollup::{Period, Rollup, RollupKey};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;

use crate::MemoryStore;

/// A call of a [`WindowStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// [`WindowStore::load`].
    Load,
    /// [`WindowStore::put`].
    Put,
    /// [`WindowStore::keys`].
    Keys,
    /// [`WindowStore::version`].
    Version,
    /// [`WindowStore::remove`].
    Remove,
    /// [`WindowStore::query`] with its region and range.
    Query(&'a str, WindowStart, WindowStart),
    /// [`WindowStore::newest`].
    Newest,
    /// [`RollupStore::rollups`].
    Rollups,
    /// [`DocumentStore::documents`] with its range, in milliseconds.
    Documents(i64, i64),
    /// [`RollupStore::live`].
    Live,
    /// Any call of [`RollupStore`], [`DocumentStore`] or [`Settings`] that writes.
    Write,
    /// [`Settings::setting`].
    Setting,
}

/// What happens before the calls of a [`Hooked`] store.
pub trait Hook: Send + Sync {
    /// Runs before `call`.
    ///
    /// # Errors
    /// The error that the call returns instead of its result.
    fn before(&self, call: Call<'_>) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A store with a hook in front of it.
#[derive(Clone, Debug, Default)]
pub struct Hooked<H> {
    /// The store itself; calls of it run no hook.
    pub rows: Arc<MemoryStore>,
    /// Runs before each call.
    pub hook: H,
}

impl<H: Hook> WindowStore for Hooked<H> {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        self.hook.before(Call::Load).await?;
        self.rows.load(key).await
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        self.hook.before(Call::Put).await?;
        self.rows.put(key, partial, expected).await
    }

    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        self.hook.before(Call::Keys).await?;
        self.rows.keys(from, to).await
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        self.hook.before(Call::Version).await?;
        self.rows.version(key).await
    }

    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        self.hook.before(Call::Remove).await?;
        self.rows.remove(key, version).await
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        self.hook.before(Call::Query(region, from, to)).await?;
        self.rows.query(region, from, to).await
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        self.hook.before(Call::Newest).await?;
        self.rows.newest(region).await
    }
}

impl<H: Hook> RollupStore for Hooked<H> {
    async fn rollups(
        &self,
        region: &str,
        period: Period,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<RollupRow>, PortError> {
        self.hook.before(Call::Rollups).await?;
        self.rows.rollups(region, period, from_ms, to_ms).await
    }

    async fn put_rollup(
        &self,
        key: &RollupKey,
        rollup: Option<&Rollup>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.put_rollup(key, rollup, expected).await
    }

    async fn changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        self.hook.before(Call::Live).await?;
        self.rows.changes(limit).await
    }

    async fn add_change(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.add_change(region, period, start_ms).await
    }

    async fn settle(&self, change: &Change) -> Result<bool, PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.settle(change).await
    }

    async fn live(&self, regions: &[&str], from: WindowStart) -> Result<Live, PortError> {
        self.hook.before(Call::Live).await?;
        self.rows.live(regions, from).await
    }

    async fn replace_setting(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.replace_setting(key, expected, value).await
    }
}

impl<H: Hook> DocumentStore for Hooked<H> {
    async fn documents(
        &self,
        kind: DocumentKind,
        region: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Document>, PortError> {
        self.hook.before(Call::Documents(from_ms, to_ms)).await?;
        self.rows.documents(kind, region, from_ms, to_ms).await
    }

    async fn put_document(
        &self,
        key: &DocumentKey,
        body: Option<&[u8]>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.put_document(key, body, expected).await
    }
}

impl<H: Hook> Settings for Hooked<H> {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        self.hook.before(Call::Setting).await?;
        self.rows.setting(key).await
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.hook.before(Call::Write).await?;
        self.rows.set_setting(key, value).await
    }
}
