//! Feeds, and notes that people add.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use birdsong_api::{Extras, extras};
use birdsong_domain::region::Regions;
use birdsong_testkit::MemoryStore;
use http_body_util::BodyExt;
use tower::ServiceExt;

/// 2023-11-14T00:00:00Z.
const NOW: i64 = 1_699_920_000_000;

fn router(token: Option<&str>) -> Router {
    let regions = Regions::parse("test", "[[region]]\nid = \"a\"\nname = \"A & B\"\nlanguages = [\"en\"]\n").unwrap();
    extras(Extras {
        store: Arc::new(MemoryStore::default()),
        regions: Arc::new(regions.list().to_vec()),
        now_ms: Arc::new(|| NOW),
        public_url: "https://birds.example".into(),
        notes_token: token.map(str::to_owned),
    })
}

async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, String) {
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn note(app: &Router, token: &str, body: &str) -> (StatusCode, String) {
    let request = Request::post("/api/notes").header("authorization", format!("Bearer {token}"));
    ask(app, request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_note_needs_the_token_and_is_in_the_feed() {
    let app = router(Some("secret"));
    for (token, body, wanted) in [
        ("wrong", r#"{"text": "Derby"}"#, StatusCode::UNAUTHORIZED),
        ("", r#"{"text": "Derby"}"#, StatusCode::UNAUTHORIZED),
        ("secret", "Derby", StatusCode::BAD_REQUEST),
        ("secret", r#"{"text": " "}"#, StatusCode::BAD_REQUEST),
        ("secret", r#"{"text": "x", "place": "y"}"#, StatusCode::BAD_REQUEST),
        ("secret", r#"{"text": "x", "start": "today"}"#, StatusCode::BAD_REQUEST),
        ("secret", r#"{"text": "x", "region": "b"}"#, StatusCode::NOT_FOUND),
        ("secret", r#"{"text": "x", "end": "2024-11-14T00:00:00Z"}"#, StatusCode::BAD_REQUEST),
        ("secret", r#"{"text": "Derby <1>", "region": "a", "start": "2023-11-13T20:00:00Z"}"#, StatusCode::CREATED),
    ] {
        let (status, answer) = note(&app, token, body).await;
        assert_eq!(status, wanted, "{body}: {answer}");
    }
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(5000));
    assert_eq!(note(&app, "secret", &large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/feeds/a.atom", "/api/feeds/a.atom", "/feeds/all.atom", "/feeds/a.atom?language=fr"] {
        let (status, feed) = ask(&app, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(feed.contains("Derby &lt;1&gt;") && feed.contains("<feed"), "{feed}");
    }
    for (path, wanted) in [
        ("/feeds/b.atom", StatusCode::NOT_FOUND),
        ("/feeds/a", StatusCode::NOT_FOUND),
        ("/feeds/a.atom?language=xx", StatusCode::BAD_REQUEST),
        ("/api/notes", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(ask(&app, Request::get(path).body(Body::empty()).unwrap()).await.0, wanted, "{path}");
    }
    assert_eq!(note(&router(None), "secret", r#"{"text": "Derby"}"#).await.0, StatusCode::FORBIDDEN);
}
