//! The OpenAPI document is the one that the code generates, and every answer is as it describes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use birdsong_api::{Api, Limits, router, router_with};
use birdsong_domain::frame::{Lane, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, PortError, WindowStore};
use birdsong_domain::region::Regions;
use birdsong_domain::status::{SourceState, SourceStatus};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::FoldRules;
use birdsong_testkit::{Call, Hook, Hooked, sample_partial};
use http_body_util::BodyExt;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tower::ServiceExt;

/// 2023-11-14T00:00:00Z.
const DAY: i64 = 1_699_920_000_000;
const MIN: i64 = 60_000;
const REGIONS: &str = "[[region]]\nid = \"a\"\nname = \"Aa\"\nboxes = [[1.5, 45, 3, 48]]\nkeywords = [\"fog\"]\nlanguages = [\"en\"]\n\
                       rules = [\"rt:fog\"]\n[[region]]\nid = \"b\"\nlanguages = [\"fr\"]\n";

// Rule 9.10.
/// `UPDATE=1 cargo nextest run -p birdsong-api up_to_date` updates it.
#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = birdsong_api::openapi().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == generated,
        "functions/api/openapi.json is out of date; UPDATE=1 cargo nextest run -p birdsong-api up_to_date updates it"
    );
}

/// The document, with schemas that allow no other properties than those that they describe.
struct Contract(Value);

impl Contract {
    fn new() -> Self {
        let mut document: Value = serde_json::from_str(&birdsong_api::openapi().unwrap()).unwrap();
        for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            close(schema);
        }
        Self(document)
    }

    /// The answers to a GET of this path, if it is described.
    fn answers(&self, path: &str) -> Option<&Map<String, Value>> {
        self.0["paths"].get(path)?["get"]["responses"].as_object()
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
    }

    /// Asks, and checks the answer against the document. A path that it does not describe is answered with an error.
    async fn check(&self, app: &Router, method: Method, path: &str, known: Option<&str>) -> (u16, Value) {
        let mut request = Request::builder().method(method.clone()).uri(path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let status = head.status.as_u16();
        let what = format!("{method} {path}: {status}");
        let error = json!({"description": "", "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}},
        }});
        let described = match self.answers(path.split('?').next().unwrap()) {
            Some(answers) if method == Method::GET => answers.get(&status.to_string()),
            _ => (status == 404 || status == 405).then_some(&error),
        };
        let described = described.unwrap_or_else(|| panic!("{what} is not described"));
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let value = head.headers.get(name).unwrap_or_else(|| panic!("{what}: no {name}")).to_str().unwrap();
            let is_number = header["schema"]["type"] == "integer";
            assert!(!is_number || value.parse::<u32>().is_ok_and(|n| n > 0), "{what}: {name}: {value}");
        }
        let Some(content) = described.get("content") else {
            assert!(bytes.is_empty(), "{what}: a body");
            return (status, Value::Null);
        };
        assert_eq!(head.headers[header::CONTENT_TYPE], "application/json", "{what}");
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        let validator = self.validator(&content["application/json"]["schema"]);
        let wrong: Vec<_> = validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        (status, body)
    }
}

/// Forbids properties that are not described, at any depth.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("type") == Some(&json!("object")) && members.contains_key("properties") {
                members.insert("additionalProperties".into(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => (),
    }
}

/// Makes queries fail.
#[derive(Default)]
struct Outage {
    is_down: AtomicBool,
    is_refusing: AtomicBool,
}

impl Hook for Outage {
    async fn before(&self, call: Call<'_>) -> Result<(), PortError> {
        if !matches!(call, Call::Query(..) | Call::Newest) {
            return Ok(());
        }
        if self.is_down.load(Ordering::Relaxed) {
            return Err(PortError::Unavailable { what: "store", reason: "no answer".into() });
        }
        if self.is_refusing.load(Ordering::Relaxed) {
            return Err(PortError::Refused { what: "store", reason: "no".into() });
        }
        Ok(())
    }
}

type Store = Hooked<Outage>;

/// Six hours of windows with holes; the ninth is damaged.
async fn store() -> Arc<Store> {
    let store = Store::default();
    for n in (0..72).filter(|n| n % 7 != 3) {
        for region in ["a", STREAM] {
            let key = PartialKey {
                lane: Lane::try_from(format!("{region}#x#0")).unwrap(),
                window: WindowStart(DAY + n * 5 * MIN),
            };
            let partial = sample_partial(1, 1u64.into(), n.unsigned_abs() % 5);
            store.put(&key, &partial, &Expected::Absent).await.unwrap();
        }
    }
    let damaged = PartialKey { lane: Lane::posts("a", Network::X, 0), window: WindowStart(DAY + 8 * 5 * MIN) };
    store.rows.overwrite(damaged, 1, vec![1, 2, 3]);
    Arc::new(store)
}

/// A source of which everything is known, or hardly anything.
fn source(status: SourceStatus, is_known: bool) -> SourceState {
    let empty = SourceState { source: "test".into(), status, ..SourceState::default() };
    if !is_known {
        return empty;
    }
    SourceState {
        reason: Some("closed".into()),
        last_post_ms: Some(DAY),
        connected_since_ms: Some(DAY + 1),
        waiting_since_ms: Some(DAY),
        reconnects: 2,
        gaps: 1,
        replayed: 12,
        sampled: Some(0.25),
        spent_dollars: Some(1.5),
        problem: Some("the disk is full".into()),
        updated_at_ms: Some(DAY + 359 * MIN),
        ..empty
    }
}

fn api(store: Arc<Store>, regions: &str) -> Api<Store> {
    use SourceStatus::{Backfill, Connected, Starting, Stopped, Waiting};
    let states = [(Starting, false), (Backfill, false), (Connected, true), (Waiting, true), (Stopped, true)];
    let sources: Vec<_> = states.map(|(status, is_known)| source(status, is_known)).into();
    let list = if regions.is_empty() { vec![] } else { Regions::parse("test", regions).unwrap().list().to_vec() };
    Api {
        store,
        regions: Arc::new(list),
        rules: FoldRules::default(),
        now_ms: Arc::new(|| DAY + 361 * MIN),
        sources: Arc::new(move || sources.clone()),
        problems: Arc::new(|| vec!["the store is full".into()]),
        grace_ms: 0,
    }
}

// Rule 9.10.
#[tokio::test]
async fn every_answer_is_as_described() {
    let (contract, store) = (Contract::new(), store().await);
    let app = router(api(store.clone(), REGIONS));
    let (from, to) = (rfc3339(DAY), rfc3339(DAY + 360 * MIN));
    let range = format!("from={from}&to={to}");
    let asked = [
        ("/api/regions".to_owned(), 200),
        ("/api/status".into(), 200),
        ("/api/overview".into(), 200),
        ("/api/overview?a=b".into(), 400),
        (format!("/api/windows?{range}&fields=posts,networks&total_fields=hashtags&top=50"), 200),
        (format!("/api/windows?{range}&region=a,b&step=1h&total_fields=none"), 200),
        (format!("/api/windows?{range}&since={from}&version=abc&step=auto"), 200),
        (format!("/api/windows?{range}&step=7d"), 200),
        ("/healthz".into(), 200),
        ("/api/openapi.json".into(), 200),
        ("/api/windows".into(), 200),
        ("/api/windows?region=b&step=1d".into(), 200),
        (format!("/api/windows?{range}"), 200),
        (format!("/api/windows?{range}&step=900"), 200),
        (format!("/api/windows?from={from}&to={}", rfc3339(DAY + 10 * 360 * MIN)), 200),
        ("/api/windows?region=nowhere".into(), 404),
        ("/api/windows?step=m".into(), 400),
        ("/api/windows?step=7m".into(), 422),
        ("/api/windows?from=yesterday".into(), 400),
        (format!("/api/windows?from={to}&to={from}"), 422),
        ("/api/windows?when=now".into(), 400),
        ("/api/windows?region=a&region=b".into(), 400),
        ("/api/windows?region=%ff".into(), 400),
        ("/api/status?a=b".into(), 400),
        ("/api/regions?a=b".into(), 400),
        ("/api/openapi.json?a=b".into(), 400),
        ("/api/nothing".into(), 404),
        ("/api/events".into(), 200),
        (format!("/api/events?{range}&region=a&kind=rising,note&sensitivity=sensitive"), 200),
        ("/api/events?kind=party".into(), 400),
        ("/api/events?sensitivity=none".into(), 400),
        (format!("/api/events?from={to}&to={from}"), 422),
        ("/api/events?from=2020-01-01T00:00:00Z".into(), 200),
        ("/api/events?from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z".into(), 422),
        ("/api/trends".into(), 200),
        ("/api/trends?region=a,b&network=x&standing=all".into(), 200),
        ("/api/trends?standing=odd".into(), 400),
        ("/api/trends?region=nowhere".into(), 404),
        ("/api/series".into(), 422),
        ("/api/series?tag=fog".into(), 200),
        (format!("/api/series?{range}&region=a&host=a.example&step=1h"), 200),
        ("/api/series?tag=fog&host=a.example".into(), 422),
        ("/api/series?tag=%23".into(), 422),
        ("/api/series?tag=fog&step=2d".into(), 422),
        (format!("/api/series?tag=fog&from={to}&to={from}"), 422),
        (
            format!("/api/windows?{range}&fields=posts,usual,usual_low,usual_high,reference,reference_share&network=x"),
            200,
        ),
    ];
    for (path, wanted) in &asked {
        let (status, _) = contract.check(&app, Method::GET, path, None).await;
        assert_eq!(status, *wanted, "{path}");
    }
    let described: Vec<_> = contract.0["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described.len(), 9, "{described:?}");
    for path in &described {
        assert!(
            asked.iter().any(|(asked, status)| asked.split('?').next() == Some(path) && *status == 200),
            "nobody asked for {path}"
        );
        assert_eq!(contract.check(&app, Method::POST, path, None).await.0, 405);
        // A path may need a parameter.
        let path = asked.iter().find(|(asked, status)| asked.split('?').next() == Some(path) && *status == 200);
        let path = &path.map_or_else(String::new, |(path, _)| path.clone());
        let known = contract.check(&app, Method::GET, path, Some("*")).await.0;
        assert_eq!(known, if path == "/healthz" { 200 } else { 304 }, "{path}");
    }
    let (_, status) = contract.check(&app, Method::GET, "/api/status", None).await;
    let found: Vec<_> = status["sources"].as_array().unwrap().iter().map(|source| &source["status"]).collect();
    assert_eq!(found, ["starting", "backfill", "stale", "stale", "stopped"]);
    assert_eq!(status["problems"][0], "the store is full");

    let none_yet = router(api(Arc::default(), ""));
    for (path, wanted) in [("/api/regions", 200), ("/api/status", 200), ("/api/windows", 404)] {
        assert_eq!(contract.check(&none_yet, Method::GET, path, None).await.0, wanted, "{path}");
    }
}

// Rule 9.10.
#[tokio::test(start_paused = true)]
async fn every_failure_is_as_described() {
    let (contract, store) = (Contract::new(), store().await);
    let code = |(status, body): (u16, Value)| (status, body["error"]["code"].as_str().unwrap_or_default().to_owned());
    for (name, flag, wanted) in [
        ("unavailable", &store.hook.is_down, [(503, "store_unavailable"), (503, "store_unavailable")]),
        ("refusing", &store.hook.is_refusing, [(500, "store_error"), (503, "store_unavailable")]),
    ] {
        flag.store(true, Ordering::Relaxed);
        let app = router(api(store.clone(), REGIONS));
        for (path, (status, error)) in
            [("/api/windows", wanted[0]), ("/api/status", wanted[0]), ("/healthz", wanted[1])]
        {
            let found = code(contract.check(&app, Method::GET, path, None).await);
            assert_eq!(found, (status, error.to_owned()), "{path} of a store that is {name}");
        }
        flag.store(false, Ordering::Relaxed);
    }
    let limits = Limits { answer_kib: 1, ..Limits::default() };
    let app = router_with(api(store, REGIONS), limits);
    let unread = app.clone().oneshot(Request::get("/api/windows").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(code(contract.check(&app, Method::GET, "/api/windows", None).await), (503, "overloaded".into()));
    drop(unread);
}

/// The checks above must be able to fail, at each depth.
#[tokio::test]
async fn an_answer_that_is_not_as_described_is_found() {
    let contract = Contract::new();
    let app = router(api(store().await, REGIONS));
    let (_, answer) = contract.check(&app, Method::GET, "/api/windows", None).await;
    let validator = contract.validator(&json!({"$ref": "#/components/schemas/Windows"}));
    assert!(validator.is_valid(&answer));
    let wrong: [(&str, Value); 8] = [
        ("/surprise", json!(1)),
        ("/from", json!("yesterday")),
        ("/total/surprise", json!(1)),
        ("/total/posts", json!(-1)),
        ("/windows/0/completeness/flaws", json!(["tired"])),
        ("/windows/0/completeness/surprise", json!(1)),
        ("/windows/0/lag_ms", json!({"mean": 1})),
        ("/windows/0/located/point", json!("1")),
    ];
    for (path, value) in wrong {
        let mut answer = answer.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        answer.pointer_mut(parent).unwrap()[name] = value;
        assert!(!validator.is_valid(&answer), "{path}");
    }
    let mut short = answer.clone();
    short["total"].as_object_mut().unwrap().remove("lag_ms");
    assert!(!validator.is_valid(&short), "a missing property");
}
