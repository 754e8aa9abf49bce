//! What changed lately: marks of hours whose roll-ups are out of date, and the newest windows of all lanes in one item.
//!
//! A mark is written before the put that it stands for, and remembered, so that most puts need none. A digest looks at a
//! mark only when it has known it for so long that every put that relied on it has ended
//! ([`DynamoStore::with_settle_ms`]); a put that took longer than its mark is remembered writes another one afterwards.
//! The clock of the writer does not matter, unless the digest has just started and the mark seems to be very old.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use birdsong_domain::frame::Lane;
use birdsong_domain::ports::{Change, Live, LiveWindow, ON_TIME_MS, PartialKey, PortError};
use birdsong_domain::rollup::{HOUR_MS, Period};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::Aggregate;
use birdsong_domain::wire::{self, Reader};
use parking_lot::Mutex;

use super::item::Attributes;
use super::{DynamoStore, QUERY, system_ms, text};
use crate::errors::port_error;

const UPDATE_ITEM: &str = "DynamoDB UpdateItem";

/// Partition of what changed lately.
const LIVE: &str = "_live";
/// Sort key of the newest windows.
const LATEST: &str = "latest";
const CHANGE: &str = "change#";
/// Behind the sort keys of all changes.
const CHANGES_END: &str = "change$";

/// How long a mark must be known until it is looked at.
const SETTLE_MS: i64 = 90_000;
/// A mark that is this many times older by the clock of its writer has settled, too.
const SETTLED_TIMES: i64 = 4;
/// Marks that are remembered.
const MAX_MARKS: usize = 4096;
/// Windows that started this much before the newest one are no longer shown: they have been final for a while.
const SHOWN_MS: i64 = 900_000;
/// Windows of each lane that are shown, however old.
const SHOWN_OF_LANE: usize = 2;
/// Windows that are older than this are not live.
const LIVE_MS: i64 = 2 * HOUR_MS;
/// Windows in one call: an expression has at most 4 KB.
const WINDOWS_AT_ONCE: usize = 150;
/// Pages of a look at what changed. More are there only while archives are replayed.
const LIVE_PAGES: usize = 4;

/// Marks that this process wrote.
#[derive(Debug)]
pub(super) struct Marks {
    settle_ms: i64,
    /// When a region's hour was marked, for windows of now and for older ones.
    written: Mutex<HashMap<(String, i64, bool), i64>>,
    /// When each stamp was seen first.
    seen: Mutex<HashMap<String, Instant>>,
}

impl Default for Marks {
    fn default() -> Self {
        Self::new(SETTLE_MS)
    }
}

impl Marks {
    pub(super) fn new(settle_ms: i64) -> Self {
        Self { settle_ms, written: Mutex::default(), seen: Mutex::default() }
    }

    /// Whether a mark that this process wrote still stands for a put now. Nobody looks at the mark of an hour before its
    /// end, but readers keep its older windows for as long as the stamp is the same.
    fn has(&self, (region, hour_ms, is_late): &(String, i64, bool), now_ms: i64) -> bool {
        let written = self.written.lock();
        let Some(written_ms) = written.get(&(region.clone(), *hour_ms, *is_late)) else { return false };
        let is_open = now_ms < hour_ms + HOUR_MS && !is_late && self.settle_ms > 0;
        is_open || now_ms - written_ms < self.settle_ms / 3
    }

    /// Those of all marks that have settled.
    fn settled(&self, marks: Vec<(Change, i64)>, now_ms: i64) -> Vec<Change> {
        let settle = Duration::from_millis(u64::try_from(self.settle_ms).unwrap_or(0));
        let mut seen = self.seen.lock();
        let before = std::mem::take(&mut *seen);
        let mut settled = vec![];
        for (change, written_ms) in marks {
            let first = before.get(&change.stamp).copied().unwrap_or_else(Instant::now);
            seen.insert(change.stamp.clone(), first);
            if first.elapsed() >= settle || now_ms - written_ms >= self.settle_ms * SETTLED_TIMES {
                settled.push(change);
            }
        }
        settled
    }

    fn wrote(&self, mark: (String, i64, bool), now_ms: i64) {
        let mut written = self.written.lock();
        if written.len() >= MAX_MARKS {
            written.clear();
        }
        written.insert(mark, now_ms);
    }
}

/// Windows that were put and are not shown yet, and the names of those that are.
#[derive(Debug, Default)]
pub(super) struct Recent {
    put: Mutex<BTreeMap<String, Vec<u8>>>,
    shown: Mutex<BTreeSet<String>>,
}

impl Recent {
    /// Notes a window that was put.
    pub(super) fn note(&self, key: &PartialKey, aggregate: &Aggregate, now_ms: i64) {
        if key.window.0 < now_ms - LIVE_MS {
            return;
        }
        let mut value = vec![];
        wire::put_i64(&mut value, now_ms);
        value.extend(aggregate.encode_lean());
        self.put.lock().insert(name(key), value);
    }

    /// Names that are shown and should not be any more.
    fn expired(&self) -> Vec<String> {
        let shown = self.shown.lock();
        let keys: Vec<_> = shown.iter().filter_map(|name| Some((name, parse_name(name)?))).collect();
        let Some(newest) = keys.iter().map(|(_, key)| key.window.0).max() else { return vec![] };
        let mut of_lane = BTreeMap::<&Lane, Vec<i64>>::new();
        for (_, key) in &keys {
            of_lane.entry(&key.lane).or_default().push(key.window.0);
        }
        of_lane.values_mut().for_each(|windows| windows.sort_unstable_by(|a, b| b.cmp(a)));
        let is_expired = |key: &PartialKey| {
            let is_of_last = of_lane[&key.lane].iter().take(SHOWN_OF_LANE).any(|window| *window == key.window.0);
            key.window.0 < newest - LIVE_MS || (key.window.0 < newest - SHOWN_MS && !is_of_last)
        };
        keys.iter().filter(|(_, key)| is_expired(key)).map(|(name, _)| (*name).clone()).collect()
    }
}

/// Name of the attribute of a window: the lane and its start in seconds.
fn name(key: &PartialKey) -> String {
    format!("{}@{}", key.lane, key.window.0.div_euclid(1000))
}

fn parse_name(name: &str) -> Option<PartialKey> {
    let (lane, secs) = name.rsplit_once('@')?;
    Some(PartialKey {
        lane: Lane::try_from(lane.to_owned()).ok()?,
        window: WindowStart(secs.parse::<i64>().ok()?.checked_mul(1000)?),
    })
}

fn window(name: &str, value: &AttributeValue) -> Option<LiveWindow> {
    let key = parse_name(name)?;
    let bytes = value.as_b().ok()?.as_ref();
    let mut reader = Reader::new(bytes);
    let stored_ms = reader.i64().ok()?;
    Some(LiveWindow { key, stored_ms, aggregate: Aggregate::decode_lean(reader.rest()).ok() })
}

fn change_sk(region: &str, period: Period, start_ms: i64) -> String {
    let order = match period {
        Period::Hour => "1",
        Period::Day => "2",
    };
    format!("{CHANGE}{order}#{}#{region}", rfc3339(start_ms))
}

/// The change of an item, and when it was written.
fn change(item: &Attributes) -> Option<(Change, i64)> {
    let text = |name| item.get(name).and_then(|value| value.as_s().ok());
    let mut parts = text("sk")?.strip_prefix(CHANGE)?.splitn(3, '#');
    let period = match parts.next()? {
        "1" => Period::Hour,
        "2" => Period::Day,
        _ => return None,
    };
    let start_ms = birdsong_domain::time::parse_rfc3339(parts.next()?)?;
    let region = parts.next()?.to_owned();
    let written_ms = item.get("m")?.as_n().ok()?.parse().ok()?;
    Some((Change { region, period, start_ms, stamp: text("c")?.clone() }, written_ms))
}

impl DynamoStore {
    /// Marks the hour of a window, unless a mark that this process wrote lately stands for it.
    pub(super) async fn mark_window(&self, key: &PartialKey, now_ms: i64) -> Result<(), PortError> {
        let hour_ms = key.window.0.div_euclid(HOUR_MS) * HOUR_MS;
        let mark = (key.lane.region().to_owned(), hour_ms, key.window.0 < now_ms - ON_TIME_MS);
        if self.marks.has(&mark, now_ms) {
            return Ok(());
        }
        self.mark(&mark.0, Period::Hour, hour_ms).await?;
        self.marks.wrote(mark, now_ms);
        Ok(())
    }

    pub(super) async fn mark(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        let stamp: u64 = rand::random();
        let item = [
            ("pk", text(LIVE)),
            ("sk", text(&change_sk(region, period, start_ms))),
            ("c", text(&format!("{stamp:016x}"))),
            ("m", AttributeValue::N(system_ms().to_string())),
        ];
        self.overwrite(item.map(|(name, value)| (name.to_owned(), value)).into()).await
    }

    /// Changes that have settled.
    pub(super) async fn settled_changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        let items = self.between(LIVE, CHANGE, CHANGES_END, "sk, c, m").await?;
        let mut settled = self.marks.settled(items.iter().filter_map(change).collect(), system_ms());
        settled.truncate(limit);
        Ok(settled)
    }

    pub(super) async fn forget_change(&self, change: &Change) -> Result<bool, PortError> {
        let sk = change_sk(&change.region, change.period, change.start_ms);
        let call = self.client.delete_item().table_name(&self.table).key("pk", text(LIVE)).key("sk", text(&sk));
        let call = call.condition_expression("c = :c").expression_attribute_values(":c", text(&change.stamp));
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(failed) if failed.is_conditional_check_failed_exception() => Ok(false),
                _ => Err(port_error(super::DELETE_ITEM, &error)),
            },
        }
    }

    /// Shows the windows that were put since the last call.
    pub(super) async fn publish_recent(&self) -> Result<(), PortError> {
        loop {
            let put: Vec<_> = {
                let mut put = self.recent.put.lock();
                let names: Vec<_> = put.keys().take(WINDOWS_AT_ONCE).cloned().collect();
                names.into_iter().filter_map(|name| put.remove_entry(&name)).collect()
            };
            if put.is_empty() {
                return Ok(());
            }
            let written: BTreeSet<_> = put.iter().map(|(name, _)| name.clone()).collect();
            let expired = self.recent.expired();
            let mut call = self.client.update_item().table_name(&self.table).key("pk", text(LIVE));
            call = call.key("sk", text(LATEST)).return_values(ReturnValue::AllNew);
            let mut sets = vec![];
            for (n, (name, value)) in put.into_iter().enumerate() {
                call = call.expression_attribute_names(format!("#s{n}"), name);
                call = call.expression_attribute_values(format!(":s{n}"), AttributeValue::B(Blob::new(value)));
                sets.push(format!("#s{n}=:s{n}"));
            }
            let mut expression = format!("SET {}", sets.join(","));
            let removed = expired.into_iter().filter(|name| !written.contains(name)).take(WINDOWS_AT_ONCE);
            let removes: Vec<_> = removed.enumerate().map(|(n, name)| (format!("#r{n}"), name)).collect();
            if !removes.is_empty() {
                let names: Vec<_> = removes.iter().map(|(placeholder, _)| &**placeholder).collect();
                expression += &format!(" REMOVE {}", names.join(","));
            }
            for (placeholder, name) in removes {
                call = call.expression_attribute_names(placeholder, name);
            }
            let answer = call.update_expression(expression).send().await;
            let item = answer.map_err(|e| port_error(UPDATE_ITEM, &e))?.attributes.unwrap_or_default();
            *self.recent.shown.lock() = item.into_keys().filter(|name| name.contains('@')).collect();
        }
    }

    /// The newest windows, and all changes, in one look.
    pub(super) async fn look_live(&self, regions: &[&str]) -> Result<Live, PortError> {
        let mut live = Live { settle_ms: self.marks.settle_ms, ..Live::default() };
        let mut start = None;
        for _ in 0..LIVE_PAGES {
            let call = self.client.query().table_name(&self.table).consistent_read(self.is_consistent);
            let call = call.key_condition_expression("pk = :pk").expression_attribute_values(":pk", text(LIVE));
            // The newest windows first: their sort key is behind those of the changes.
            let call = call.scan_index_forward(false).set_exclusive_start_key(start);
            let page = call.send().await.map_err(|e| port_error(QUERY, &e))?;
            for item in page.items.unwrap_or_default() {
                match change(&item) {
                    Some((change, _)) => live.changes.push(change),
                    None => live.windows.extend(item.iter().filter_map(|(name, value)| window(name, value))),
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        live.has_more = start.is_some();
        live.windows.retain(|window| regions.contains(&window.key.lane.region()));
        Ok(live)
    }
}
