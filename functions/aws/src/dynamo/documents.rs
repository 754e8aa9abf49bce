//! Documents in the table.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use birdsong_domain::ports::{
    Document, DocumentKey, DocumentKind, DocumentStore, PortError, PutOutcome, check_document,
};
use birdsong_domain::rollup::Period;
use birdsong_domain::time::{WindowStart, parse_rfc3339, rfc3339};

use super::item::{Attributes, PutId};
use super::rollups::DAYS_KEPT_LONGER;
use super::{DELETE_ITEM, DynamoStore, PUT_ITEM, found_instead, keys, system_ms, text};
use crate::errors::port_error;

/// Attributes that a document is read from.
const READ: &str = "sk, r, s";

impl DynamoStore {
    fn read_document(&self, pk: &str, item: &Attributes) -> Result<Document, PortError> {
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
        let revision = item.get("r").and_then(|r| r.as_n().ok()).and_then(|r| r.parse().ok());
        let body = item.get("s").and_then(|s| s.as_b().ok());
        match (parse_rfc3339(sk), revision, body) {
            (Some(start_ms), Some(revision), Some(body)) => {
                Ok(Document { start_ms, revision, body: body.as_ref().to_vec() })
            }
            _ => Err(PortError::Corrupt {
                what: format!("DynamoDB table {}, item {pk} / {sk}", self.table),
                reason: "sk (a time), r (a number) or s (bytes) is missing".to_owned(),
            }),
        }
    }

    /// When a document expires: series with the windows, events and notes later.
    fn document_ttl(&self, kind: DocumentKind, now_ms: i64) -> Option<i64> {
        let days = i64::from(self.ttl_days?);
        match kind {
            DocumentKind::Series | DocumentKind::Reference | DocumentKind::Revisions => self.expires_at(now_ms, 0),
            DocumentKind::Events | DocumentKind::Notes => self.expires_at(now_ms, days * (DAYS_KEPT_LONGER - 1)),
            DocumentKind::Watch | DocumentKind::Alert => None,
        }
    }
}

impl DocumentStore for DynamoStore {
    async fn documents(
        &self,
        kind: DocumentKind,
        region: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Document>, PortError> {
        let Some(span) = keys::span(WindowStart(from_ms), WindowStart(to_ms)) else { return Ok(vec![]) };
        let mut documents = vec![];
        // Those of a year are in one partition, as the roll-ups of days are.
        for pk in keys::pks(Period::Day, from_ms, to_ms, |start_ms| keys::document_pk(kind, region, start_ms)) {
            for item in self.between(&pk, &span.first, &span.last, READ).await? {
                documents.push(self.read_document(&pk, &item)?);
            }
        }
        Ok(documents)
    }

    /// As with partials, a put that finds its own id counts as stored: the SDK repeated it.
    async fn put_document(
        &self,
        key: &DocumentKey,
        body: Option<&[u8]>,
        expected: Option<u64>,
    ) -> Result<PutOutcome, PortError> {
        keys::day_of(WindowStart(key.start_ms))?;
        let pk = keys::document_pk(key.kind, &key.region, key.start_ms);
        let sk = rfc3339(key.start_ms);
        let revision = expected.map(|revision| AttributeValue::N(revision.to_string()));
        let Some(body) = body else {
            let Some(revision) = revision else { return Ok(PutOutcome::Stored) };
            let call = self.client.delete_item().table_name(&self.table).key("pk", text(&pk)).key("sk", text(&sk));
            let call = call.condition_expression("attribute_not_exists(pk) OR r = :r");
            return match call.expression_attribute_values(":r", revision).send().await {
                Ok(_) => Ok(PutOutcome::Stored),
                Err(error) => match error.as_service_error() {
                    Some(failed) if failed.is_conditional_check_failed_exception() => Ok(PutOutcome::Conflict),
                    _ => Err(port_error(DELETE_ITEM, &error)),
                },
            };
        };
        check_document(key, body)?;
        let (id, now_ms) = (PutId::random(), system_ms());
        let mut item: Attributes = [
            ("pk", text(&pk)),
            ("sk", text(&sk)),
            ("r", AttributeValue::N((expected.unwrap_or(0) + 1).to_string())),
            ("s", AttributeValue::B(Blob::new(body))),
            ("w", id.attribute()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(ttl) = self.document_ttl(key.kind, now_ms) {
            item.insert("ttl".to_owned(), AttributeValue::N(ttl.to_string()));
        }
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let call = match revision {
            None => call.condition_expression("attribute_not_exists(pk)"),
            Some(revision) => call.condition_expression("r = :r").expression_attribute_values(":r", revision),
        };
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(PutOutcome::Stored) };
        match found_instead(&error) {
            None => Err(port_error(PUT_ITEM, &error)),
            Some(Some(item)) if id.wrote(item) => Ok(PutOutcome::Stored),
            Some(_) => Ok(PutOutcome::Conflict),
        }
    }
}
