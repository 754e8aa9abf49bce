//! The part of DynamoDB that the functions need, as fast as possible.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use crate::http::{self, Request};

/// Accepts every put and has no items, so that each window restarts from zero.
pub(crate) fn forgetful(_: &Request) -> Vec<u8> {
    answer(b"{}")
}

/// Keeps every put, and repeats earlier answers unchanged.
#[derive(Default)]
pub(crate) struct Table {
    items: Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
    answers: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Table {
    pub(crate) fn answer(&self, request: &Request) -> Vec<u8> {
        let (Ok(mut items), Ok(mut answers)) = (self.items.lock(), self.answers.lock()) else { return vec![] };
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        if request.target.ends_with(".PutItem") {
            let item = body()["Item"].take();
            let text = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
            let (pk, sk) = (text("pk"), text("sk"));
            items.entry(pk).or_default().insert(sk, item);
            return answer(b"{}");
        }
        let known = answers.entry(request.body.clone()).or_insert_with(|| {
            let body = body();
            let wanted: Vec<_> = body["ProjectionExpression"].as_str().unwrap_or_default().split(", ").collect();
            let project = |item: &Value| -> Map<String, Value> {
                wanted.iter().filter_map(|name| Some(((*name).to_owned(), item.get(name)?.clone()))).collect()
            };
            let found = if request.target.ends_with(".GetItem") {
                let key = |name: &str| body["Key"][name]["S"].as_str().unwrap_or_default();
                let item = items.get(key("pk")).and_then(|partition| partition.get(key("sk")));
                item.map_or(json!({}), |item| json!({"Item": project(item)}))
            } else {
                let value = |name: &str| body["ExpressionAttributeValues"][name]["S"].as_str();
                let (first, last) = (value(":first").unwrap_or_default(), value(":last").unwrap_or("~"));
                let partition = items.get(value(":pk").unwrap_or_default());
                let range = partition.into_iter().flat_map(|p| p.range(first.to_owned()..=last.to_owned()));
                let mut items: Vec<_> = range.map(|(_, item)| project(item)).collect();
                if body["ScanIndexForward"] == false {
                    items.reverse();
                }
                items.truncate(body["Limit"].as_u64().unwrap_or(u64::MAX) as usize);
                json!({"Count": items.len(), "ScannedCount": items.len(), "Items": items})
            };
            answer(found.to_string().as_bytes())
        });
        known.clone()
    }
}

fn answer(body: &[u8]) -> Vec<u8> {
    http::response("200 OK", "content-type: application/x-amz-json-1.0\r\n", body)
}
