//! The rules: listed, added, deleted, counted.

use std::collections::HashMap;

use crate::x::rules::{MAX_RULE_CHARS, MAX_RULES};
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use birdsong_domain::time::rfc3339;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{FakeX, answer, problem, unauthorized, wrong_parameter};

/// A box must be narrower and lower than 25 miles.
const BOX_KM: f64 = 40.234;
const OPERATORS: [&str; 12] = [
    "bounding_box",
    "point_radius",
    "place",
    "place_country",
    "lang",
    "is",
    "has",
    "from",
    "to",
    "url",
    "sample",
    "retweets_of",
];

/// A rule and the parts of it that making posts needs.
#[derive(Clone)]
pub(super) struct SetRule {
    pub(super) id: String,
    pub(super) value: String,
    pub(super) tag: String,
    pub(super) sample: u64,
    pub(super) boxes: Vec<[f64; 4]>,
    pub(super) words: Vec<String>,
    pub(super) lang: String,
}

/// A page of the rules; the token of a page is the number of rules before it.
pub(super) async fn list(
    State(fake): State<FakeX>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let now_ms = server.now_ms();
    if !server.limits.lists.take() {
        server.delivered.too_many_calls += 1;
        return server.limits.lists.refuse(now_ms);
    }
    let most = query.get("max_results").map_or("1000", String::as_str);
    let Some(size) = most.parse().ok().filter(|size| (1..=1000).contains(size)) else {
        return wrong_parameter("max_results", most, "max_results must be 1 to 1000");
    };
    let token = query.get("pagination_token").map_or("page-0", String::as_str);
    let from = token.strip_prefix("page-").and_then(|from| from.parse::<usize>().ok());
    let Some(from) = from.filter(|from| *from <= server.rules.len()) else {
        return wrong_parameter("pagination_token", token, "the token is of no page");
    };
    server.delivered.pages += 1;
    let size = server.account.rules_a_page.clamp(1, size);
    let one = |rule: &SetRule| json!({"id": rule.id, "value": rule.value, "tag": rule.tag});
    let is_asked = |rule: &&SetRule| query.get("ids").is_none_or(|ids| ids.split(',').any(|id| id == rule.id));
    let rules: Vec<_> = server.rules.iter().filter(is_asked).skip(from).take(size).map(one).collect();
    let mut page = json!({"meta": {"sent": rfc3339(now_ms), "result_count": rules.len()}});
    if from + rules.len() < server.rules.iter().filter(is_asked).count() {
        page["meta"]["next_token"] = format!("page-{}", from + rules.len()).into();
    }
    if !rules.is_empty() {
        page["data"] = rules.into();
    }
    server.limits.lists.mark(answer(200, page.to_string()), now_ms)
}

/// How many there are, and may be.
pub(super) async fn counts(State(fake): State<FakeX>, headers: HeaderMap) -> Response {
    let server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    // X sends the caps and the sum as texts, the count of an app as a number.
    let (most, rules) = (MAX_RULES.to_string(), server.rules.len());
    let app = json!({"client_app_id": "1", "rule_count": rules});
    let said = json!({"data": {
        "cap_per_client_app": most, "cap_per_project": most, "project_rules_count": rules.to_string(),
        "client_app_rules_count": app, "all_project_client_apps": [app],
    }});
    answer(200, said.to_string())
}

pub(super) async fn change(
    State(fake): State<FakeX>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut server = fake.server();
    if !server.is_let_in(&headers) {
        return unauthorized();
    }
    let now_ms = server.now_ms();
    if !server.limits.changes.take() {
        server.delivered.too_many_calls += 1;
        return server.limits.changes.refuse(now_ms);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_set = |name: &str| query.get(name).is_some_and(|value| value == "true");
    let is_dry = is_set("dry_run");
    let sent = rfc3339(now_ms);
    match (body.get("add").and_then(Value::as_array), body.get("delete"), is_set("delete_all")) {
        (Some(add), None, false) if !add.is_empty() => {
            let before = (server.rules.clone(), server.next_rule);
            let (mut data, mut errors) = (vec![], vec![]);
            for rule in add {
                let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let (value, tag) = (text("value"), text("tag"));
                let kind = |kind: &str| format!("https://api.x.com/2/problems/{kind}");
                if let Some(same) = server.rules.iter().find(|rule| rule.value == value) {
                    errors.push(
                        json!({"value": value, "id": same.id, "title": "DuplicateRule", "type": kind("duplicate-rules")}),
                    );
                    continue;
                }
                if server.rules.len() >= MAX_RULES {
                    errors.push(
                        json!({"value": value, "title": "RulesCapExceeded", "type": kind("rule-cap"), "detail": format!("more than {MAX_RULES} rules")}),
                    );
                    continue;
                }
                let id = server.next_rule.to_string();
                match read_rule(id, &value, &tag) {
                    Ok(rule) => {
                        data.push(json!({"id": rule.id, "value": rule.value, "tag": rule.tag}));
                        server.rules.push(rule);
                        server.next_rule += 1;
                    }
                    Err(detail) => errors.push(
                        json!({"value": value, "details": [detail], "title": "UnprocessableEntity", "type": kind("invalid-rules")}),
                    ),
                }
            }
            if is_dry {
                (server.rules, server.next_rule) = before;
            }
            let (good, bad) = (data.len(), errors.len());
            let mut said = json!({"meta": {"sent": sent, "summary": {"created": good, "not_created": bad, "valid": good, "invalid": bad}}});
            if good > 0 {
                said["data"] = data.into();
            }
            if bad > 0 {
                said["errors"] = errors.into();
            }
            answer(if good > 0 { 201 } else { 200 }, said.to_string())
        }
        (None, None, true) => {
            let deleted = server.rules.len();
            if !is_dry {
                server.rules.clear();
            }
            answer(200, json!({"meta": {"sent": sent, "summary": {"deleted": deleted, "not_deleted": 0}}}).to_string())
        }
        (None, Some(delete), false) => {
            let list = |key: &str| delete.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            let (ids, values) = (list("ids"), list("values"));
            let is_meant = |rule: &SetRule| {
                ids.iter().any(|id| *id == *rule.id) || values.iter().any(|value| *value == *rule.value)
            };
            let deleted = server.rules.iter().filter(|rule| is_meant(rule)).count();
            if !is_dry {
                server.rules.retain(|rule| !is_meant(rule));
            }
            let not_deleted = (ids.len() + values.len()).saturating_sub(deleted);
            answer(
                200,
                json!({"meta": {"sent": sent, "summary": {"deleted": deleted, "not_deleted": not_deleted}}})
                    .to_string(),
            )
        }
        _ => answer(
            400,
            problem("Invalid Request", "invalid-request", "exactly one of add, delete and delete_all is needed", &[]),
        ),
    }
}

/// Reads the parts of a rule that making posts for it needs, and refuses what X would.
fn read_rule(id: String, value: &str, tag: &str) -> Result<SetRule, String> {
    let chars = value.chars().count();
    if chars > MAX_RULE_CHARS {
        return Err(format!("the rule has {chars} characters, {MAX_RULE_CHARS} are allowed"));
    }
    let mut rule = SetRule {
        id,
        value: value.into(),
        tag: tag.into(),
        sample: 100,
        boxes: vec![],
        words: vec![],
        lang: "en".into(),
    };
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '(', ')']);
        let mut is_text = false;
        let mut is_box = false;
        let end = rest.find(|c: char| {
            match c {
                '"' => is_text = !is_text,
                '[' => is_box = true,
                ']' => is_box = false,
                _ => (),
            }
            !is_text && !is_box && matches!(c, ' ' | '(' | ')')
        });
        let (term, after) = rest.split_at(end.unwrap_or(rest.len()));
        if term.is_empty() {
            break;
        }
        rest = after;
        let bare = term.strip_prefix('-').unwrap_or(term);
        match bare.split_once(':').filter(|_| !bare.starts_with(['"', '#'])) {
            None if term == "OR" => (),
            None => rule.words.push(term.trim_matches('"').into()),
            Some((operator, _)) if !OPERATORS.contains(&operator) => {
                return Err(format!("Reference to invalid operator '{operator}'"));
            }
            Some(("bounding_box", edges)) => rule.boxes.push(read_box(edges)?),
            Some(("lang", lang)) => rule.lang = lang.into(),
            Some(("sample", percent)) => {
                let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
                rule.sample = percent.ok_or("sample takes 1 to 100")?;
            }
            Some(_) => (),
        }
    }
    if rule.boxes.is_empty() && rule.words.is_empty() {
        return Err("a rule needs an operator that can stand alone".into());
    }
    Ok(rule)
}

fn read_box(text: &str) -> Result<[f64; 4], String> {
    let wrong = || format!("{text} is no box");
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(wrong)?;
    let edges: Vec<f64> = inner.split_whitespace().filter_map(|edge| edge.parse().ok()).collect();
    let [west, south, east, north] = edges[..] else { return Err(wrong()) };
    let widest = south.abs().min(north.abs());
    let widest = if south * north < 0.0 { 0.0 } else { widest };
    let (width, height) = ((east - west) * 111.32 * widest.to_radians().cos(), (north - south) * 111.32);
    if width <= 0.0 || height <= 0.0 || width >= BOX_KM || height >= BOX_KM {
        return Err(format!("the box {text} must be less than 25 miles wide and high"));
    }
    Ok([west, south, east, north])
}
