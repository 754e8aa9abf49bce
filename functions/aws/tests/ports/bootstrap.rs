//! The functions as real processes, against a Runtime API of our own, DynamoDB in this process and a
//! bucket that is a list.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post, put};
use birdsong_aws::DynamoStore;
use birdsong_domain::frame::{self, FrameHeader, Lane};
use birdsong_domain::network::Network;
use birdsong_domain::ports::Settings;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::emulators::{NAME, create_table, dynamodb, dynamodb_client, plain_http};

/// Paths and contents of what was put.
type Bucket = Arc<Mutex<Vec<(String, Value)>>>;

/// A window's start.
const BEGIN: i64 = 1_700_000_100_000;

struct Runtime {
    waiting: Mutex<VecDeque<String>>,
    more: Notify,
    answers: mpsc::UnboundedSender<Result<Value, String>>,
}

/// A function's process; killed with the test.
struct Function {
    child: Child,
    runtime: Arc<Runtime>,
    answers: mpsc::UnboundedReceiver<Result<Value, String>>,
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> (HeaderMap, String) {
    loop {
        let found = runtime.waiting.lock().unwrap().pop_front();
        if let Some(payload) = found {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("lambda-runtime-aws-request-id", "1"),
                ("lambda-runtime-deadline-ms", "4102444800000"),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:test"),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            return (headers, payload);
        }
        runtime.more.notified().await;
    }
}

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn start(binary: &str, environment: &[(&str, String)]) -> Function {
    let (sender, answers) = mpsc::unbounded_channel();
    let runtime = Arc::new(Runtime { waiting: Mutex::default(), more: Notify::new(), answers: sender });
    let answered = async |State(runtime): State<Arc<Runtime>>, body: String| {
        let _ = runtime.answers.send(Ok(serde_json::from_str(&body).unwrap_or(Value::String(body))));
        StatusCode::ACCEPTED
    };
    let failed = async |State(runtime): State<Arc<Runtime>>, body: String| {
        let _ = runtime.answers.send(Err(body));
        StatusCode::ACCEPTED
    };
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
        .with_state(runtime.clone());
    let child = Command::new(binary)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", serve(router).await.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "test")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("BIRDSONG_TABLE", NAME)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Function { child, runtime, answers }
}

impl Function {
    async fn invoke(&mut self, payload: &Value) -> Result<Value, String> {
        self.runtime.waiting.lock().unwrap().push_back(payload.to_string());
        self.runtime.more.notify_one();
        let answer = tokio::time::timeout(Duration::from_secs(60), self.answers.recv()).await;
        answer.expect("the function did not answer within a minute").unwrap()
    }
}

fn record(n: u64, data: &[u8]) -> Value {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "all#x#0", "sequenceNumber": n.to_string(),
            "data": base64_simd::STANDARD.encode_to_string(data), "approximateArrivalTimestamp": 1_700_000_200.5,
        },
        "eventSource": "aws:kinesis",
        "eventID": format!("shardId-000000000000:{n}"),
    })
}

fn a_frame(n: u64) -> Vec<u8> {
    let header = FrameHeader {
        lane: Lane::posts("all", Network::X, 0),
        source: "test".into(),
        run: "run".into(),
        counter: n,
        cut_ms: BEGIN + n as i64 * 1000,
        connected_ms: BEGIN,
        cut: 1,
        live: true,
        ..FrameHeader::default()
    };
    let time = BEGIN + n as i64 * 900;
    let line = format!("{{\"i\":{n},\"t\":{time},\"a\":{n},\"k\":\"repost\",\"l\":\"all\",\"g\":\"fr\"}}\n");
    frame::encode(&header, line.as_bytes()).unwrap()
}

fn request(method: &str, path: &str, query: &[(&str, &str)]) -> Value {
    let single: Value = query.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let multiple: Value = query.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method,
        "headers": {"Host": "api.example", "accept-encoding": "gzip"},
        "multiValueHeaders": {"Host": ["api.example"], "accept-encoding": ["gzip"]},
        "queryStringParameters": single, "multiValueQueryStringParameters": multiple,
        "pathParameters": {"proxy": path.trim_start_matches('/')}, "stageVariables": null,
        "requestContext": {
            "resourceId": "r", "resourcePath": "/{proxy+}", "httpMethod": method, "path": format!("/live{path}"),
            "accountId": "000000000000", "protocol": "HTTP/1.1", "stage": "live", "domainPrefix": "api",
            "requestId": "1", "domainName": "api.example", "apiId": "api", "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": null, "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn events_go_in_at_one_function_and_come_out_at_the_other() {
    let database = dynamodb().await;
    let client = dynamodb_client(database, plain_http());
    create_table(&client).await;
    let store = DynamoStore::new(client, NAME.into());
    let regions = json!([{"id": "all", "name": "Everything", "boxes": [], "keywords": [], "languages": []}]);
    store.set_setting("regions", &regions.to_string()).await.unwrap();

    let bucket = Bucket::default();
    let keep = async |State(bucket): State<Bucket>, uri: Uri, body: String| {
        // The SDK may send the body in signed chunks; the object is the part between the braces.
        let object = body.find('{').zip(body.rfind('}')).map(|(from, to)| &body[from..=to]);
        let object = serde_json::from_str(object.unwrap_or_default()).unwrap_or_default();
        bucket.lock().unwrap().push((uri.path().to_owned(), object));
    };
    let s3 = serve(Router::new().route("/{bucket}/{*key}", put(keep)).with_state(bucket.clone())).await;
    let environment = [
        ("AWS_ENDPOINT_URL", format!("http://{database}")),
        ("AWS_ENDPOINT_URL_S3", format!("http://{s3}")),
        ("BIRDSONG_QUARANTINE_BUCKET", "letters".to_owned()),
        ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".to_owned()),
    ];

    let mut aggregator = start(env!("CARGO_BIN_EXE_aggregator"), &environment).await;
    let good: Vec<_> = (1..=5).map(|n| record(n, &a_frame(n))).collect();
    let done = json!({"batchItemFailures": []});
    assert_eq!(aggregator.invoke(&json!({"Records": good})).await.unwrap(), done);
    let mut again = good.clone();
    again.push(record(6, b"no frame"));
    again.push(record(7, &a_frame(7)));
    assert_eq!(aggregator.invoke(&json!({"Records": again})).await.unwrap(), done);
    let error = aggregator.invoke(&json!({"Records": [{"Sns": {}}]})).await.unwrap_err();
    assert!(error.contains("Kinesis event source mapping"), "{error}");
    {
        let bucket = bucket.lock().unwrap();
        let [(path, object)] = &bucket[..] else { panic!("{bucket:?}") };
        assert_eq!(path, "/letters/quarantine/2023/11/14/shardId-000000000000-6.json");
        assert_eq!(object["sequence_number"], "6");
    }

    let mut api = start(env!("CARGO_BIN_EXE_api"), &environment).await;
    let range = [("region", "all"), ("from", "2023-11-14T22:10:00Z"), ("to", "2023-11-14T22:30:00Z")];
    let answer = api.invoke(&request("GET", "/api/windows", &range)).await.unwrap();
    // Compression is the gateway's.
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)), "{answer}");
    let header = |name: &str| answer["multiValueHeaders"][name][0].as_str().or(answer["headers"][name].as_str());
    assert_eq!(header("access-control-allow-origin"), Some("*"));
    let windows: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&windows["total"]["posts"], &windows["total"]["reposts"]), (&json!(6), &json!(6)), "{windows}");

    let wrong = api.invoke(&request("GET", "/api/windows", &[("region", "nowhere")])).await.unwrap();
    assert!(wrong["statusCode"].as_u64().is_some_and(|status| (400..500).contains(&status)), "{wrong}");
    let asked = api.invoke(&request("OPTIONS", "/api/windows", &[])).await.unwrap();
    assert_eq!(asked["statusCode"], 204, "{asked}");
}

#[test]
fn a_function_that_lacks_its_table_names_what_to_set() {
    for binary in [env!("CARGO_BIN_EXE_aggregator"), env!("CARGO_BIN_EXE_api")] {
        let output = Command::new(binary).env_clear().output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(stderr.contains("BIRDSONG_TABLE") && stderr.contains("set it"), "{stderr}");
    }
}
