//! Cold start, time of an invocation and size of the functions, beside a function that does nothing.
//!
//!     cargo build --release --locked -p birdsong-aws --bins
//!     cargo build --release --locked -p birdsong-aws --examples
//!     target/release/examples/cold_start [RUNS [FOLDER OF aggregator AND api]]
//!
//! Each process gets a Runtime API on loopback, like Lambda's, and a DynamoDB that answers at once
//! over plain HTTP: only our code is measured, without network, TLS and database.

mod dynamodb;
mod function;
mod http;
mod posts;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use birdsong_aws::DynamoStore;
use birdsong_domain::frame::{self, Lane, STREAM};
use birdsong_domain::ports::{Expected, PartialKey, REGIONS, SequenceNumber, Settings, WindowStore};
use birdsong_domain::time::{WindowStart, rfc3339};
use birdsong_domain::window::{Aggregate, FoldRules, Partial};
use serde_json::{Value, json};

use crate::dynamodb::Table;
use crate::function::Function;

const WARM_INVOCATIONS: u64 = 300;
/// Windows of a day.
const WINDOWS: u64 = 288;
/// Posts of each window of the API's table.
const POSTS_OF_WINDOW: usize = 3000;
const HOUR_MS: i64 = 3_600_000;

/// A function to be measured.
struct Subject {
    name: &'static str,
    binary: PathBuf,
    environment: Vec<(&'static str, String)>,
    event: fn(u64) -> String,
    check: fn(&str) -> Result<()>,
    first_poll: Vec<Duration>,
    first_answer: Vec<Duration>,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let runs: usize = args.next().map_or(Ok(20), |text| text.parse()).context("RUNS is no number")?;
    ensure!(runs > 0, "RUNS must be at least 1");
    let here = std::env::current_exe()?;
    let examples = here.parent().context("no folder")?;
    let release = args.next().map_or_else(|| examples.join(".."), PathBuf::from);
    let binary = |name: &str| {
        [release.join(name), release.join(name).join("bootstrap")]
            .into_iter()
            .find(|path| path.is_file())
            .with_context(|| format!("there is no {name} in {}; see the head of this example", release.display()))
    };

    let table = Arc::new(Table::default());
    let served = table.clone();
    let database = http::serve(move |request| served.answer(request))?;
    let item_bytes = fill(&format!("http://{database}"))?;
    let forgetful = http::serve(dynamodb::forgetful)?;
    let environment = |database| {
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{database}")),
            ("BIRDSONG_TABLE", "bench".to_owned()),
            ("BIRDSONG_QUARANTINE_BUCKET", "bench".to_owned()),
            ("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", "true".to_owned()),
        ]
    };
    let subject = |name, binary, environment, event, check| Subject {
        name,
        binary,
        environment,
        event,
        check,
        first_poll: vec![],
        first_answer: vec![],
    };
    let mut subjects = [
        subject("hello", examples.join("hello"), vec![], |_| r#"{"hello":"world"}"#.to_owned(), |_| Ok(())),
        subject("aggregator", binary("aggregator")?, environment(forgetful), posts::event, check_batch),
        subject("api", binary("api")?, environment(database), |_| day_request().to_string(), check_day),
    ];

    // In turn, so that other load on the machine hits all of them; the first round only warms the
    // file cache.
    for run in 0..=runs {
        for subject in &mut subjects {
            let (function, first_poll) = Function::start(&subject.binary, &subject.environment)?;
            let (answer, first_answer) = function.invoke((subject.event)(0))?;
            (subject.check)(&answer)?;
            if run > 0 {
                subject.first_poll.push(first_poll);
                subject.first_answer.push(first_answer);
            }
        }
    }
    println!(
        "Milliseconds, min/median/max of {runs} starts; a function in the warm state, of {WARM_INVOCATIONS} events."
    );
    println!(
        "An event of the aggregator: {} posts in {} frames. An answer of the API: {WINDOWS} windows,",
        posts::FRAMES * posts::POSTS,
        posts::FRAMES
    );
    println!("items of {item_bytes} bytes in two pages.\n");
    let mut printed = comfy_table::Table::new();
    printed.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    printed.set_header(["function", "to first poll", "over hello", "first event", "warm event", "peak MB", "zip MB"]);
    let hello = median(&mut subjects[0].first_poll.clone());
    for subject in &mut subjects {
        let (function, _) = Function::start(&subject.binary, &subject.environment)?;
        let mut warm = vec![];
        for n in 0..WARM_INVOCATIONS {
            let (answer, took) = function.invoke((subject.event)(n))?;
            (subject.check)(&answer)?;
            if n >= 10 {
                warm.push(took);
            }
        }
        let over = median(&mut subject.first_poll).as_secs_f64() - hello.as_secs_f64();
        printed.add_row([
            subject.name.to_owned(),
            spread(&mut subject.first_poll),
            format!("{:.1}", over * 1000.0),
            spread(&mut subject.first_answer),
            spread(&mut warm),
            format!("{:.1}", function.peak_kb() as f64 / 1024.0),
            format!("{:.2}", zipped_bytes(&subject.binary)? as f64 / 1e6),
        ]);
    }
    println!("{printed}");
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn spread(times: &mut [Duration]) -> String {
    let median = median(times);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!("{:.1} / {:.1} / {:.1}", ms(times[0]), ms(median), ms(times[times.len() - 1]))
}

/// Size of a zip's entry for the binary, deflated.
fn zipped_bytes(binary: &Path) -> Result<usize> {
    let mut deflate = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::default());
    deflate.write_all(&std::fs::read(binary)?)?;
    Ok(deflate.finish()?.len())
}

fn check_batch(answer: &str) -> Result<()> {
    ensure!(answer == r#"{"batchItemFailures":[]}"#, "the aggregator answered {answer}");
    Ok(())
}

fn check_day(answer: &str) -> Result<()> {
    let answer: Value = serde_json::from_str(answer)?;
    ensure!(answer["statusCode"] == 200, "the API answered {answer}");
    let windows: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default())?;
    let (posts, expected) = (&windows["total"]["posts"], WINDOWS * POSTS_OF_WINDOW as u64);
    ensure!(posts.as_u64() == Some(expected), "the API counted {posts} posts instead of {expected}");
    Ok(())
}

/// The dashboard's request, as API Gateway passes it on. The day starts at noon, so that its items are
/// in two partitions.
fn day_request() -> Value {
    let [from, to] = [12, 36].map(|hours| rfc3339(posts::BEGIN_MS + hours * HOUR_MS));
    let query = json!({"region": "montreal", "from": from, "to": to});
    let lists: Value = json!({"region": ["montreal"], "from": [from], "to": [to]});
    json!({
        "resource": "/{proxy+}", "path": "/api/windows", "httpMethod": "GET",
        "headers": {"Host": "api.example", "accept-encoding": "gzip"},
        "multiValueHeaders": {"Host": ["api.example"], "accept-encoding": ["gzip"]},
        "queryStringParameters": query, "multiValueQueryStringParameters": lists,
        "pathParameters": {"proxy": "api/windows"}, "stageVariables": null,
        "requestContext": {
            "resourceId": "r", "resourcePath": "/{proxy+}", "httpMethod": "GET", "path": "/live/api/windows",
            "accountId": "123456789012", "protocol": "HTTP/1.1", "stage": "live", "domainPrefix": "api",
            "requestId": "1", "domainName": "api.example", "apiId": "api", "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": null, "isBase64Encoded": false,
    })
}

/// Puts a day of windows through the real store; returns the typical size of an item.
fn fill(endpoint: &str) -> Result<u64> {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::from_conf(config.build()), "bench".into());
    let rules = FoldRules::default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (begin, mut item_bytes) = (Instant::now(), 0);
        let regions = json!([{"id": "montreal", "name": "Montréal", "boxes": [], "keywords": [], "languages": []}]);
        store.set_setting(REGIONS, &regions.to_string()).await?;
        for n in 0..WINDOWS {
            let window = WindowStart(posts::BEGIN_MS + 12 * HOUR_MS + n as i64 * rules.size.ms());
            let mut aggregate = Aggregate::default();
            for part in 0..10 {
                // Each frame has the posts of one second.
                let cut_ms = window.0 + 1000 + part * 29_000;
                let bytes = posts::frame("montreal", n * 10 + part as u64 + 1, cut_ms, POSTS_OF_WINDOW / 10);
                aggregate.fold(rules, window, &frame::decode(&bytes)?);
            }
            let mut ledger = Aggregate::default();
            ledger.frames.0 = 300;
            ledger.ledger.received = 9000;
            let fence = SequenceNumber::parse(&format!("4959033827149025660855969253836157109592157598{n:010}"));
            let fence = fence.context("a number")?;
            for (region, aggregate) in [("montreal", aggregate), (STREAM, ledger)] {
                let partial = Partial { generation: 1, fence: fence.clone(), aggregate, stored_ms: 0 };
                let key = PartialKey { lane: Lane::try_from(format!("{region}#x#0"))?, window };
                let before = store.written_bytes();
                store.put(&key, &partial, &Expected::Absent).await?;
                if region != STREAM {
                    item_bytes += store.written_bytes() - before;
                }
            }
        }
        eprintln!("cold_start: a day of windows in {:.1} s", begin.elapsed().as_secs_f64());
        Ok(item_bytes / WINDOWS)
    })
}
