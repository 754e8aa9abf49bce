//! The network and a router in this process answer alike.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use birdsong_sources::fake::InProcess;
use birdsong_sources::http::{Http, HttpError, Network, read_all};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

fn router() -> Router {
    let slow = || async {
        let chunks = stream::iter(["one", "two"]).then(|chunk| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, std::io::Error>(chunk)
        });
        Body::from_stream(chunks)
    };
    let broken = || async {
        let chunks = [Ok(Bytes::from("one")), Err(std::io::Error::other("gone"))];
        // The first chunk must be on its way before the connection breaks.
        Body::from_stream(stream::iter(chunks).then(|chunk| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            chunk
        }))
    };
    let echo = |headers: HeaderMap, body: Bytes| async move {
        let agent = headers.get("user-agent").map(|agent| agent.to_str().unwrap().to_owned()).unwrap_or_default();
        let encoding = headers.contains_key("accept-encoding");
        (StatusCode::IM_A_TEAPOT, [("x-echo", "yes")], format!("{agent} {encoding} {}", body.len()))
    };
    let zipped = || async { "many words ".repeat(1000) };
    Router::new()
        .route("/slow", get(slow))
        .route("/broken", get(broken))
        .route("/echo", get(echo).post(echo))
        .route("/zipped", get(zipped).layer(tower_http::compression::CompressionLayer::new()))
        .route("/elsewhere", get(|| async { axum::response::Redirect::to("/echo") }))
}

fn request(method: &str, base: &str, path: &str, body: &'static str) -> http::Request<Bytes> {
    http::Request::builder().method(method).uri(format!("{base}{path}")).body(Bytes::from(body)).unwrap()
}

async fn answers(http: &impl Http, base: &str) {
    let mut slow = http.send(request("GET", base, "/slow", "")).await.unwrap().into_body();
    assert_eq!(slow.next().await.unwrap().unwrap(), "one");
    assert_eq!(slow.next().await.unwrap().unwrap(), "two");
    assert!(slow.next().await.is_none());
    let mut broken = http.send(request("GET", base, "/broken", "")).await.unwrap().into_body();
    assert_eq!(broken.next().await.unwrap().unwrap(), "one");
    assert!(broken.next().await.unwrap().is_err());
    let echo = http.send(request("POST", base, "/echo", "12345")).await.unwrap();
    assert_eq!((echo.status(), echo.headers()["x-echo"].to_str().unwrap()), (StatusCode::IM_A_TEAPOT, "yes"));
    let text = String::from_utf8(read_all(echo.into_body(), 1000).await.unwrap()).unwrap();
    assert!(text.ends_with("false 5"), "{text}");
    let elsewhere = http.send(request("GET", base, "/elsewhere", "")).await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn a_router_in_this_process_answers_in_simulated_time() {
    answers(&InProcess(router()), "http://x.example").await;
}

#[tokio::test]
async fn the_network_answers_and_its_errors_name_no_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, router()).into_future());
    let network = Network::new(false).unwrap();
    answers(&network, &base).await;
    let echo = network.send(request("GET", &base, "/echo", "")).await.unwrap();
    let text = String::from_utf8(read_all(echo.into_body(), 1000).await.unwrap()).unwrap();
    assert!(text.starts_with("birdsong/"), "{text}");
    let zipped = Network::new(true).unwrap().send(request("GET", &base, "/zipped", "")).await.unwrap();
    assert_eq!(read_all(zipped.into_body(), 1 << 20).await.unwrap().len(), 11_000);
    serving.abort();
    let _ = serving.await;
    let HttpError(reason) = network.send(request("GET", &base, "/echo?access_token=secret", "")).await.err().unwrap();
    assert!(reason.contains("refused") && !reason.contains("secret") && !reason.contains("127.0.0.1"), "{reason}");
}
