//! The window store on DynamoDB: one table with the keys `pk` and `sk`, both text.
//!
//! | item | `pk` | `sk` |
//! | --- | --- | --- |
//! | partial | `region#YYYY-MM-DD`, the UTC day on which its window starts | `<window start>#<network>#<bucket>`, or `#<source>` in a ledger |
//! | a day on which a region has windows | `region#days` | `YYYY-MM-DD` |
//! | setting | `_meta` | its name |
//! | roll-up of an hour | `region#hours#YYYY-MM` | as a partial |
//! | roll-up of a day | `region#days#YYYY` | as a partial |
//! | an hour or a day whose roll-ups are out of date | `_live` | `change#<1 hour, 2 day>#<start>#<region>` |
//! | the newest windows of all lanes | `_live` | `latest` |
//!
//! So 24 hours of a region are in two partitions at most, and each fits in one page. The list of
//! days answers which window is the newest, and which days of a long range are worth asking for. It
//! is written ahead of a day's first window: after a crash in between it names a day without
//! windows, which readers pass over, but never lacks a day.
//!
//! A partial's attributes: `g` generation, `f` fence (see `fence_text`), `s` state
//! ([`Partial::encode`]), `w` which put wrote it, `updated` when. `posts`, `originals`, `replies`, `quotes` and
//! `reposts` are for people who look at the table; nothing reads them back. `ttl` is when
//! DynamoDB may delete the item. Those of a roll-up: `r` revision, `s` state, `w`, `updated`, `ttl`.

mod documents;
mod item;
mod keys;
mod live;
mod rollups;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use birdsong_domain::ports::{Expected, PartialKey, PortError, PutOutcome, Row, RowVersion, Settings, WindowStore};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use futures_util::future::try_join_all;
use parking_lot::{Mutex, MutexGuard};

use crate::errors::port_error;
use item::{Attributes, Beside, Core, PutId};
use keys::Day;
use live::{Marks, Recent};

const PUT_ITEM: &str = "DynamoDB PutItem";
const GET_ITEM: &str = "DynamoDB GetItem";
const QUERY: &str = "DynamoDB Query";
const SCAN: &str = "DynamoDB Scan";
const DELETE_ITEM: &str = "DynamoDB DeleteItem";

/// Partition of settings. A region's partitions have a `#`.
const META: &str = "_meta";
/// How long windows are kept by default: a year can be compared with the one before.
const TTL_DAYS: u32 = 400;
const DAY_SECS: i64 = 86_400;
/// The list of days outlives what it lists.
const LISTED_DAYS_MORE: i64 = 30;
/// A day is listed again after this time, which moves its time to live.
const LIST_AGAIN_MS: i64 = 86_400_000;
/// Days remembered as listed.
const MAX_LISTED: usize = 4096;
/// Days asked for without a look at the list, and days asked for at once.
const DAYS_AT_ONCE: usize = 8;
/// Listed days read at a time when the newest window is sought.
const NEWEST_PAGE: i32 = 4;

/// A [`WindowStore`] in a DynamoDB table, which also holds roll-ups and a few settings. Reads are strongly consistent,
/// unless [`DynamoStore::eventually_consistent`] says otherwise.
#[derive(Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
    ttl_days: Option<u32>,
    is_consistent: bool,
    marks: Marks,
    recent: Recent,
    /// When this process last listed a day.
    listed: Mutex<HashMap<(String, Day), i64>>,
    written_bytes: AtomicU64,
}

impl DynamoStore {
    /// The store in the table named `table`. Nothing is called before the first use. Windows may be
    /// deleted 400 days after they were last written.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            ttl_days: Some(TTL_DAYS),
            is_consistent: true,
            marks: Marks::default(),
            recent: Recent::default(),
            listed: Mutex::default(),
            written_bytes: AtomicU64::new(0),
        }
    }

    /// Keeps windows this many days after they were last written, or forever. The table must have
    /// its time to live on the attribute `ttl`.
    #[must_use]
    pub fn with_ttl_days(self, ttl_days: Option<u32>) -> Self {
        Self { ttl_days, ..self }
    }

    /// Reads at half the price, of what was written some seconds ago at the latest.
    #[must_use]
    pub fn eventually_consistent(self) -> Self {
        Self { is_consistent: false, ..self }
    }

    /// Lists a change only when this process has known it for this long, in milliseconds (90,000). By then every put that
    /// it stands for has ended.
    #[must_use]
    pub fn with_settle_ms(self, settle_ms: i64) -> Self {
        Self { marks: Marks::new(settle_ms), ..self }
    }

    /// All settings, in one call.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn settings(&self) -> Result<HashMap<String, String>, PortError> {
        let items = self.between(META, " ", "~", "sk, v").await?;
        let pair = |item: &Attributes| {
            let text = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
            Some((text("sk")?, text("v")?))
        };
        Ok(items.iter().filter_map(pair).collect())
    }

    /// Bytes of all partials stored through this handle, names of attributes included: with the
    /// number of puts, the size of a typical item.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    async fn overwrite(&self, item: Attributes) -> Result<(), PortError> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        call.send().await.map(drop).map_err(|e| port_error(PUT_ITEM, &e))
    }

    async fn get(&self, pk: &str, sk: &str, attributes: &str) -> Result<Option<Attributes>, PortError> {
        let call = self.client.get_item().table_name(&self.table).key("pk", text(pk)).key("sk", text(sk));
        let answer = call.projection_expression(attributes).consistent_read(self.is_consistent).send().await;
        Ok(answer.map_err(|e| port_error(GET_ITEM, &e))?.item)
    }

    fn expires_at(&self, now_ms: i64, more_days: i64) -> Option<i64> {
        self.ttl_days.map(|days| now_ms.div_euclid(1000) + (i64::from(days) + more_days) * DAY_SECS)
    }

    fn listed(&self) -> MutexGuard<'_, HashMap<(String, Day), i64>> {
        self.listed.lock()
    }

    /// Puts a day on the list of its region, unless this process did so lately.
    async fn list_day(&self, region: &str, day: Day, now_ms: i64) -> Result<(), PortError> {
        let key = (region.to_owned(), day);
        if self.listed().get(&key).is_some_and(|listed_ms| now_ms - listed_ms < LIST_AGAIN_MS) {
            return Ok(());
        }
        let mut item: Attributes = [("pk", keys::days_pk(region)), ("sk", keys::day_name(day))]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
            .into();
        if let Some(ttl) = self.expires_at(now_ms, LISTED_DAYS_MORE) {
            item.insert("ttl".to_owned(), AttributeValue::N(ttl.to_string()));
        }
        self.overwrite(item).await?;
        let mut listed = self.listed();
        if listed.len() >= MAX_LISTED {
            listed.clear();
        }
        listed.insert(key, now_ms);
        Ok(())
    }

    /// All items of a partition with sort keys between two texts, both included, page by page.
    async fn between(&self, pk: &str, first: &str, last: &str, attributes: &str) -> Result<Vec<Attributes>, PortError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let call = self.client.query().table_name(&self.table).consistent_read(self.is_consistent);
            let call = call.key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last");
            let call = call.expression_attribute_values(":pk", text(pk));
            let call = call.expression_attribute_values(":first", text(first));
            let call = call.expression_attribute_values(":last", text(last));
            let call = call.projection_expression(attributes).set_exclusive_start_key(start);
            let page = call.send().await.map_err(|e| port_error(QUERY, &e))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Sort keys of a partition from the last one down, at most `limit`, and where to continue.
    async fn last_sks(
        &self,
        pk: &str,
        limit: i32,
        start: Option<Attributes>,
    ) -> Result<(Vec<String>, Option<Attributes>), PortError> {
        let call = self.client.query().table_name(&self.table).consistent_read(self.is_consistent);
        let call = call.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(pk));
        let call = call.projection_expression("sk").scan_index_forward(false).limit(limit);
        let page = call.set_exclusive_start_key(start).send().await.map_err(|e| port_error(QUERY, &e))?;
        let sks = page.items.unwrap_or_default().into_iter().filter_map(|mut item| match item.remove("sk") {
            Some(AttributeValue::S(sk)) => Some(sk),
            _ => None,
        });
        Ok((sks.collect(), page.last_evaluated_key))
    }

    /// The days of a span on which the region may have windows.
    async fn days(&self, region: &str, span: &keys::Span) -> Result<Vec<Day>, PortError> {
        if span.days.clone().count() <= DAYS_AT_ONCE {
            return Ok(span.days.clone().collect());
        }
        let (first, last) = (keys::day_name(*span.days.start()), keys::day_name(*span.days.end()));
        let pk = keys::days_pk(region);
        let items = self.between(&pk, &first, &last, "sk").await?;
        let listed = items.iter().map(|item| item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str));
        Ok(listed.filter_map(|sk| self.listed_day(&pk, sk)).collect())
    }

    /// A day on the list of a region. What is no day lists none, and hides no other.
    fn listed_day(&self, pk: &str, sk: &str) -> Option<Day> {
        let day = keys::parse_day(sk);
        if day.is_none() {
            tracing::error!("DynamoDB table {}, item {pk} / {sk}: the sort key is no day", self.table);
        }
        day
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The condition that an item is there and has this beside its state, and the values that it names.
fn row_condition(version: &RowVersion) -> Result<(String, HashMap<String, AttributeValue>), PortError> {
    let beside = Beside::from_version(version)?;
    let mut values = HashMap::new();
    let mut one = |name: &str, kind: &str, value: Option<AttributeValue>| match value {
        Some(value) => {
            values.insert(format!(":{name}"), value);
            format!("{name} = :{name}")
        }
        None => {
            values.insert(format!(":{name}"), text(kind));
            format!("NOT attribute_type({name}, :{name})")
        }
    };
    let generation = one("g", "N", beside.generation.map(AttributeValue::N));
    let fence = one("f", "S", beside.fence.map(AttributeValue::S));
    Ok((format!("attribute_exists(pk) AND {generation} AND {fence}"), values))
}

/// Whether the item exceeds the limit: no retry helps, and other items are not affected.
fn is_too_large<R>(error: &SdkError<PutItemError, R>) -> bool {
    use aws_sdk_dynamodb::error::ProvideErrorMetadata;
    let message = error.message().unwrap_or_default();
    error.code() == Some("ValidationException") && message.contains("Item size")
}

/// The item that a put found where its condition failed; `None` for any other error.
fn found_instead<R>(error: &SdkError<PutItemError, R>) -> Option<Option<&Attributes>> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item()),
        _ => None,
    }
}

impl Settings for DynamoStore {
    async fn setting(&self, key: &str) -> Result<Option<String>, PortError> {
        let Some(item) = self.get(META, key, "v").await? else { return Ok(None) };
        match item.get("v") {
            Some(AttributeValue::S(value)) => Ok(Some(value.clone())),
            _ => Err(PortError::Corrupt {
                what: format!("DynamoDB table {}, item {META} / {key}", self.table),
                reason: "v (text) is missing".to_owned(),
            }),
        }
    }

    async fn set_setting(&self, key: &str, value: &str) -> Result<(), PortError> {
        let item = [("pk", META), ("sk", key), ("v", value)].map(|(name, value)| (name.to_owned(), text(value)));
        self.overwrite(item.into()).await
    }
}

impl WindowStore for DynamoStore {
    async fn load(&self, key: &PartialKey) -> Result<Option<Partial>, PortError> {
        let at = keys::item_key(key)?;
        let item = self.get(&at.pk, &at.sk, item::READ).await?;
        item.map(|item| item::read(&self.table, key.lane.region(), &at.pk, &item)?.1).transpose()
    }

    /// The SDK repeats a put whose answer was lost, and the condition of the repeated one then fails because of the
    /// first one. So each put has its own id, and one that finds its id counts as stored.
    async fn put(&self, key: &PartialKey, partial: &Partial, expected: &Expected) -> Result<PutOutcome, PortError> {
        let at = keys::item_key(key)?;
        let (core, id) = (Core::of(partial)?, PutId::random());
        let now_ms = system_ms();
        self.list_day(key.lane.region(), keys::day_of(key.window)?, now_ms).await?;
        self.mark_window(key, system_ms()).await?;
        let item = item::write(&at, &core, id, partial, now_ms, self.expires_at(now_ms, 0));
        let bytes = item::size_bytes(&item) as u64;
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = match expected {
            Expected::Absent => call.condition_expression("attribute_not_exists(pk)"),
            Expected::At { generation, fence } => call
                .expression_attribute_values(":g", AttributeValue::N(generation.to_string()))
                .expression_attribute_values(":f", text(&item::fence_text(fence)?))
                .condition_expression("g = :g AND f = :f"),
            Expected::Row(version) => {
                let (condition, values) = row_condition(version)?;
                call.set_expression_attribute_values(Some(values)).condition_expression(condition)
            }
        };
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Err(error) = call.send().await {
            if is_too_large(&error) {
                let what = format!("DynamoDB table {}, item {} / {}", self.table, at.pk, at.sk);
                return Err(PortError::Corrupt {
                    what,
                    reason: format!("its {bytes} bytes are more than the table accepts"),
                });
            }
            let Some(found) = found_instead(&error) else { return Err(port_error(PUT_ITEM, &error)) };
            if !found.is_some_and(|item| id.wrote(item)) {
                return Ok(PutOutcome::Conflict);
            }
        }
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.recent.note(key, &partial.aggregate, system_ms());
        // A put that took so long that the mark may be gone.
        self.mark_window(key, system_ms()).await?;
        Ok(PutOutcome::Stored)
    }

    /// Reads the whole table: regions are part of the partition key, and an unexpected row may be of
    /// any region.
    async fn keys(&self, from: WindowStart, to: WindowStart) -> Result<Vec<PartialKey>, PortError> {
        let Some(span) = keys::span(from, to) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let call = self.client.scan().table_name(&self.table).consistent_read(self.is_consistent);
            let call = call.filter_expression("sk BETWEEN :first AND :last").projection_expression("pk, sk");
            let call = call.expression_attribute_values(":first", text(&span.first));
            let call = call.expression_attribute_values(":last", text(&span.last));
            let page = call.set_exclusive_start_key(start).send().await.map_err(|e| port_error(SCAN, &e))?;
            for item in page.items.unwrap_or_default() {
                if let (Some(AttributeValue::S(pk)), Some(AttributeValue::S(sk))) = (item.get("pk"), item.get("sk")) {
                    found.extend(keys::parse_item(pk, sk));
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    async fn version(&self, key: &PartialKey) -> Result<Option<RowVersion>, PortError> {
        let at = keys::item_key(key)?;
        let item = self.get(&at.pk, &at.sk, item::READ_VERSION).await?;
        Ok(item.map(|item| Beside::of(&item).version()))
    }

    /// A deletion whose answer was lost is repeated by the SDK and finds nothing then, which is fine.
    async fn remove(&self, key: &PartialKey, version: &RowVersion) -> Result<bool, PortError> {
        let at = keys::item_key(key)?;
        let (condition, values) = row_condition(version)?;
        self.mark_window(key, system_ms()).await?;
        let call = self.client.delete_item().table_name(&self.table).key("pk", text(&at.pk)).key("sk", text(&at.sk));
        let call = call.condition_expression(condition).set_expression_attribute_values(Some(values));
        let Err(error) = call.send().await else { return Ok(true) };
        match error.as_service_error() {
            Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(self.version(key).await?.is_none()),
            _ => Err(port_error(DELETE_ITEM, &error)),
        }
    }

    async fn query(&self, region: &str, from: WindowStart, to: WindowStart) -> Result<Vec<Row>, PortError> {
        let Some(span) = keys::span(from, to) else { return Ok(Vec::new()) };
        let mut rows = Vec::new();
        for days in self.days(region, &span).await?.chunks(DAYS_AT_ONCE) {
            let pks: Vec<_> = days.iter().map(|day| keys::day_pk(region, *day)).collect();
            let calls = pks.iter().map(|pk| self.between(pk, &span.first, &span.last, item::READ));
            for (pk, items) in pks.iter().zip(try_join_all(calls).await?) {
                for item in &items {
                    match item::read(&self.table, region, pk, item) {
                        Ok(row) => rows.push(row),
                        // Its window is unknown.
                        Err(error) => tracing::error!("an item is left out: {error}"),
                    }
                }
            }
        }
        rows.sort_by(|(a, _), (b, _)| (a.window, &a.lane).cmp(&(b.window, &b.lane)));
        Ok(rows)
    }

    async fn publish(&self) -> Result<(), PortError> {
        self.publish_recent().await
    }

    async fn newest(&self, region: &str) -> Result<Option<WindowStart>, PortError> {
        let days_pk = keys::days_pk(region);
        let mut start = None;
        loop {
            let (days, next) = self.last_sks(&days_pk, NEWEST_PAGE, start).await?;
            for day in &days {
                let Some(day) = self.listed_day(&days_pk, day) else { continue };
                let pk = keys::day_pk(region, day);
                let (sks, _) = self.last_sks(&pk, 1, None).await?;
                if let Some(sk) = sks.first() {
                    let key = keys::parse_sk(region, sk).ok_or_else(|| PortError::Corrupt {
                        what: format!("DynamoDB table {}, item {pk} / {sk}", self.table),
                        reason: "the sort key is no window and lane".to_owned(),
                    })?;
                    return Ok(Some(key.window));
                }
            }
            start = next;
            if start.is_none() {
                return Ok(None);
            }
        }
    }
}
