//! A window store that does something around each call: waits, counts, or fails.

use std::future::{Future, ready};
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
    /// [`WindowStore::publish`].
    Publish,
    /// [`RollupStore::rollups`].
    Rollups,
    /// [`DocumentStore::documents`] with its range, in milliseconds.
    Documents(i64, i64),
    /// [`RollupStore::live`].
    Live,
    /// [`RollupStore::changes`].
    Changes,
    /// [`RollupStore::put_rollup`].
    PutRollup,
    /// [`RollupStore::add_change`].
    AddChange,
    /// [`RollupStore::settle`].
    Settle,
    /// [`RollupStore::replace_setting`].
    ReplaceSetting,
    /// [`DocumentStore::put_document`].
    PutDocument,
    /// [`Settings::setting`].
    Setting,
    /// [`Settings::set_setting`].
    SetSetting,
}

/// What happens around the calls of a [`Hooked`] store.
pub trait Hook: Send + Sync {
    /// Runs before `call`.
    ///
    /// # Errors
    /// The error that the call returns instead of its result.
    fn before(&self, call: Call<'_>) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Runs after a `call` that writes and was carried out.
    ///
    /// # Errors
    /// The error that the call returns instead of its result, as when its answer is lost.
    fn after(&self, _call: Call<'_>) -> impl Future<Output = Result<(), PortError>> + Send {
        ready(Ok(()))
    }
}

/// A store with a hook around it.
#[derive(Clone, Debug, Default)]
pub struct Hooked<H, S = MemoryStore> {
    /// The store itself; calls of it run no hook.
    pub rows: Arc<S>,
    /// Runs around each call.
    pub hook: H,
}

impl<H: Hook, S: WindowStore> WindowStore for Hooked<H, S> {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        self.hook.before(Call::Load).await?;
        self.rows.load(key).await
    }

    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        self.hook.before(Call::Put).await?;
        let done = self.rows.put(key, partial, expected).await?;
        self.hook.after(Call::Put).await?;
        Ok(done)
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
        let done = self.rows.remove(key, version).await?;
        self.hook.after(Call::Remove).await?;
        Ok(done)
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        self.hook.before(Call::Query(region, from, to)).await?;
        self.rows.query(region, from, to).await
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        self.hook.before(Call::Newest).await?;
        self.rows.newest(region).await
    }

    async fn publish(&self) -> Result<(), PortError> {
        self.hook.before(Call::Publish).await?;
        self.rows.publish().await
    }
}

impl<H: Hook, S: RollupStore> RollupStore for Hooked<H, S> {
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
        self.hook.before(Call::PutRollup).await?;
        let done = self.rows.put_rollup(key, rollup, expected).await?;
        self.hook.after(Call::PutRollup).await?;
        Ok(done)
    }

    async fn changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        self.hook.before(Call::Changes).await?;
        self.rows.changes(limit).await
    }

    async fn add_change(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        self.hook.before(Call::AddChange).await?;
        self.rows.add_change(region, period, start_ms).await?;
        self.hook.after(Call::AddChange).await
    }

    async fn settle(&self, change: &Change) -> Result<bool, PortError> {
        self.hook.before(Call::Settle).await?;
        let done = self.rows.settle(change).await?;
        self.hook.after(Call::Settle).await?;
        Ok(done)
    }

    async fn live(&self, regions: &[&str], from: WindowStart) -> Result<Live, PortError> {
        self.hook.before(Call::Live).await?;
        self.rows.live(regions, from).await
    }

    async fn replace_setting(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, PortError> {
        self.hook.before(Call::ReplaceSetting).await?;
        let done = self.rows.replace_setting(key, expected, value).await?;
        self.hook.after(Call::ReplaceSetting).await?;
        Ok(done)
    }
}

impl<H: Hook, S: DocumentStore> DocumentStore for Hooked<H, S> {
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
        self.hook.before(Call::PutDocument).await?;
        let done = self.rows.put_document(key, body, expected).await?;
        self.hook.after(Call::PutDocument).await?;
        Ok(done)
    }
}

impl<H: Hook, S: Settings> Settings for Hooked<H, S> {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        self.hook.before(Call::Setting).await?;
        self.rows.setting(key).await
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        self.hook.before(Call::SetSetting).await?;
        self.rows.set_setting(key, value).await?;
        self.hook.after(Call::SetSetting).await
    }
}
