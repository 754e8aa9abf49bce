//! Roll-ups in the table.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use birdsong_domain::ports::{Change, Live, PortError, PutOutcome, RollupRow, RollupStore};
use birdsong_domain::rollup::{Period, Rollup, RollupKey};
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};
use futures_util::future::try_join_all;

use super::item::{Attributes, PutId};
use super::{DAYS_AT_ONCE, DELETE_ITEM, DynamoStore, META, PUT_ITEM, found_instead, keys, system_ms, text};
use crate::errors::port_error;

/// Attributes that a roll-up is read from.
const READ: &str = "sk, r, s, updated";
/// Days are kept this many times longer than windows and hours: years can be compared.
pub(super) const DAYS_KEPT_LONGER: i64 = 5;

impl DynamoStore {
    fn read_rollup(&self, region: &str, period: Period, pk: &str, item: &Attributes) -> Option<RollupRow> {
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
        let corrupt = |reason: String| PortError::Corrupt {
            what: format!("DynamoDB table {}, item {pk} / {sk}", self.table),
            reason,
        };
        let Some(key) = keys::parse_sk(region, sk) else {
            // Its time is unknown.
            tracing::error!("an item is left out: {}", corrupt("the sort key is no start and lane".to_owned()));
            return None;
        };
        let revision = item.get("r").and_then(|r| r.as_n().ok()).and_then(|r| r.parse().ok());
        let state = item.get("s").and_then(|s| s.as_b().ok());
        let stored_ms = item.get("updated").and_then(|at| at.as_s().ok()).and_then(|at| parse_rfc3339(at)).unwrap_or(0);
        let rollup = match state.zip(revision) {
            Some((state, _)) => Rollup::decode(state.as_ref())
                .map(|rollup| Rollup { stored_ms, ..rollup })
                .map_err(|error| corrupt(error.to_string())),
            None => Err(corrupt("r (a number) or s (bytes) is missing".to_owned())),
        };
        let key = RollupKey { start_ms: key.window.0, lane: key.lane, period };
        Some(RollupRow { key, revision: revision.unwrap_or(0), rollup })
    }
}

impl RollupStore for DynamoStore {
    async fn rollups(
        &self,
        region: &str,
        period: Period,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<RollupRow>, PortError> {
        let Some(span) = keys::span(WindowStart(from_ms), WindowStart(to_ms)) else { return Ok(vec![]) };
        let mut rows = vec![];
        for pks in keys::rollup_pks(region, period, from_ms, to_ms).chunks(DAYS_AT_ONCE) {
            let calls = pks.iter().map(|pk| self.between(pk, &span.first, &span.last, READ));
            for (pk, items) in pks.iter().zip(try_join_all(calls).await?) {
                rows.extend(items.iter().filter_map(|item| self.read_rollup(region, period, pk, item)));
            }
        }
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(rows)
    }

    /// As with partials, a put that finds its own id counts as stored: the SDK repeated it.
    async fn put_rollup(
        &self,
        key: &RollupKey,
        rollup: Option<&Rollup>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        let at = keys::rollup_key(key)?;
        let Some(rollup) = rollup else {
            let Some(revision) = expected else { return Ok(PutOutcome::Stored) };
            let call = self.client.delete_item().table_name(&self.table).key("pk", text(&at.pk));
            let call = call.key("sk", text(&at.sk)).condition_expression("attribute_not_exists(pk) OR r = :r");
            let call = call.expression_attribute_values(":r", AttributeValue::N(revision.to_string()));
            return match call.send().await {
                Ok(_) => Ok(PutOutcome::Stored),
                Err(error) => match error.as_service_error() {
                    Some(failed) if failed.is_conditional_check_failed_exception() => Ok(PutOutcome::Conflict),
                    _ => Err(port_error(DELETE_ITEM, &error)),
                },
            };
        };
        let (id, now_ms) = (PutId::random(), system_ms());
        let state = rollup.encode().map_err(PortError::cannot_encode)?;
        let mut item: Attributes = [
            ("pk", text(&at.pk)),
            ("sk", text(&at.sk)),
            ("r", AttributeValue::N((expected.unwrap_or(0) + 1).to_string())),
            ("s", AttributeValue::B(Blob::new(state))),
            ("w", id.attribute()),
            ("posts", AttributeValue::N(rollup.aggregate.posts().to_string())),
            ("updated", text(&rfc3339(now_ms))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let more_days = match (key.period, self.ttl_days) {
            (Period::Day, Some(days)) => i64::from(days) * (DAYS_KEPT_LONGER - 1),
            _ => 0,
        };
        if let Some(ttl) = self.expires_at(now_ms, more_days) {
            item.insert("ttl".to_owned(), AttributeValue::N(ttl.to_string()));
        }
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = match expected {
            None => call.condition_expression("attribute_not_exists(pk)"),
            // A damaged one has no revision.
            Some(0) => call.condition_expression("attribute_not_exists(r)"),
            Some(revision) => call
                .condition_expression("r = :r")
                .expression_attribute_values(":r", AttributeValue::N(revision.to_string())),
        };
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(PutOutcome::Stored) };
        match found_instead(&error) {
            None => Err(port_error(PUT_ITEM, &error)),
            Some(Some(item)) if id.wrote(item) => Ok(PutOutcome::Stored),
            Some(_) => Ok(PutOutcome::Conflict),
        }
    }

    async fn changes(&self, limit: usize) -> Result<Vec<Change>, PortError> {
        self.settled_changes(limit).await
    }

    async fn add_change(&self, region: &str, period: Period, start_ms: i64) -> Result<(), PortError> {
        self.mark(region, period, start_ms).await
    }

    async fn settle(&self, change: &Change) -> Result<bool, PortError> {
        self.forget_change(change).await
    }

    async fn live(&self, regions: &[&str], _from: WindowStart) -> Result<Live, PortError> {
        self.look_live(regions).await
    }

    async fn replace_setting(&self, key: &str, expected: Option<&str>, value: &str) -> Result<bool, PortError> {
        let item = [("pk", META), ("sk", key), ("v", value)].map(|(name, value)| (name.to_owned(), text(value)));
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item.into()));
        let call = match expected {
            None => call.condition_expression("attribute_not_exists(pk)"),
            Some(expected) => call.condition_expression("v = :v").expression_attribute_values(":v", text(expected)),
        };
        match call.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_condition(&error) => Ok(false),
            Err(error) => Err(port_error(PUT_ITEM, &error)),
        }
    }
}

fn is_condition<R>(error: &SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError, R>) -> bool {
    found_instead(error).is_some()
}
