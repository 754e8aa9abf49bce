//! The real binary with live sources against their fake servers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{FakeServer, Running, wait_until};

const WRONG: &str = "AAAAsecretAAAA";

fn run(data: &Path, sources: &str, more: &[&str], environment: &[(&str, &str)]) -> (Running, String) {
    let regions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regions.toml");
    let data = ["--data", data.to_str().unwrap(), "--backfill", "5m", "--port", "0"];
    let args = [&["run", "--source", sources][..], &data, more].concat();
    let args = if more.contains(&"--everything") {
        args
    } else {
        [&args[..], &["--regions", regions.to_str().unwrap()]].concat()
    };
    let running = Running::start(&args, environment);
    let port = running.port_behind("http://localhost:");
    (running, port)
}

fn status(port: &str) -> Value {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET /api/status HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn source(status: &Value, name: &str) -> Option<Value> {
    let sources = status["sources"].as_array().unwrap();
    sources.iter().find(|source| source["source"].as_str().unwrap().starts_with(name)).cloned()
}

/// Connected, with a post.
fn streams(port: &str, name: &str) -> Option<Value> {
    source(&status(port), name).filter(|source| source["status"] == "connected" && source["last_post"].is_string())
}

#[test]
fn three_live_sources_at_once_are_counted_and_the_ledger_balances() {
    let dir = tempfile::tempdir().unwrap();
    let fakes = ["x", "bluesky", "mastodon"].map(FakeServer::start);
    let sources = fakes.iter().map(|fake| fake.source.as_str()).collect::<Vec<_>>().join(",");
    let sources = sources.replace("x:?", "x:?budget=5/day&");
    let (running, port) = run(dir.path(), &sources, &[], &fakes[0].environment());
    for name in ["x", "bluesky", "mastodon:"] {
        wait_until(&format!("a post of {name}: {}", running.said()), || streams(&port, name));
    }
    wait_until("spending", || source(&status(&port), "x")?["spent_dollars"].as_f64().filter(|dollars| *dollars > 0.0));
    let ledger = wait_until("something counted", || {
        let ledger = status(&port)["ledger"].clone();
        (ledger["aggregated"].as_u64() > Some(10)).then_some(ledger)
    });
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert!(!running.said().contains(&fakes[0].environment[0].1), "{}", running.said());
}

#[test]
fn a_source_that_is_refused_names_a_remedy_and_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let x = FakeServer::start("x");
    let (running, port) = run(dir.path(), &format!("demo,{}", x.source), &[], &[("X_BEARER_TOKEN", WRONG)]);
    let refused = wait_until("the refusal", || {
        source(&status(&port), "x").filter(|source| source["status"] == "stopped" && source["reason"].is_string())
    });
    assert!(refused["reason"].as_str().unwrap().contains("token"), "{refused}");
    wait_until("the demo to continue", || streams(&port, "demo"));
    assert!(!running.said().contains(WRONG), "{}", running.said());
    assert!(!status(&port).to_string().contains(WRONG));
    assert!(
        running.said().contains("Z ERROR the source stopped: "),
        "a log in a file has no colors: {}",
        running.said()
    );
}

#[test]
fn x_without_a_token_names_what_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
        .args(["run", "--source", "x", "--port", "0", "--data"])
        .arg(dir.path())
        .env_remove("X_BEARER_TOKEN")
        .env_remove("X_BEARER_TOKEN_FILE")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("set X_BEARER_TOKEN"), "{stderr}");
}

#[test]
fn the_rules_of_x_are_set_once() {
    let x = FakeServer::start("x");
    let sync = |more: &[&str]| {
        let regions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regions.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
            .args(["rules", "sync", "--x-url", &x.url(), "--regions"])
            .arg(regions)
            .args(more)
            .envs(x.environment())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(sync(&["--dry-run"]).contains("Nothing was changed"));
    let first = sync(&[]);
    assert!(first.contains("+ paris:box") && first.contains("18 added, 0 deleted, 0 stayed"), "{first}");
    let second = sync(&[]);
    assert_eq!(second.trim(), "0 added, 0 deleted, 18 stayed.");
}

#[test]
fn the_fake_of_x_has_more_than_it_does_normally() {
    // Compressed, with the new names, and with a backfill.
    let dir = tempfile::tempdir().unwrap();
    let x = FakeServer::with("x", "normal", &["new-names", "enterprise", "gzip"]);
    assert!(x.source.ends_with("&backfill=5&gzip"), "{}", x.source);
    let (running, port) = run(dir.path(), &x.source, &[], &x.environment());
    wait_until(&format!("a post: {}", running.said()), || streams(&port, "x"));

    // Without enterprise access it names what to remove. The old options mean the same as those of the address.
    let dir = tempfile::tempdir().unwrap();
    let x = FakeServer::with("x", "keep-alives", &[]);
    let url = x.url();
    let with = |more: &[&str]| run(dir.path(), "x", &[&["--x-url", &*url], more].concat(), &x.environment());
    let (running, port) = with(&["--x-backfill-minutes", "5"]);
    let stopped =
        wait_until("the refusal", || source(&status(&port), "x").filter(|source| source["status"] == "stopped"));
    assert!(stopped["reason"].as_str().unwrap().contains("remove the option backfill"), "{stopped}");
    drop(running);
    let (_running, port) = with(&[]);
    let connected =
        wait_until("a connection", || source(&status(&port), "x").filter(|source| source["status"] == "connected"));
    assert!(connected["last_post"].is_null(), "{connected}");
}

// Rule 6.4.
#[test]
fn a_token_for_one_server_is_not_sent_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
        .args(["run", "--source", "mastodon:a.example,mastodon:b.example", "--port", "0", "--data"])
        .arg(dir.path())
        .env("MASTODON_TOKEN", WRONG)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a.example and b.example") && said.contains("?token="), "{said}");
    assert!(!said.contains(WRONG), "{said}");
}

// Rule 3.12.
/// Once `run --source none` refused to start beside the streamer, although the help of `stream` recommends it.
#[test]
fn what_a_streamer_writes_is_served_by_another_process_with_its_states() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let streamer = Running::start(&["stream", "--source", "demo:?backfill=5m", "--data", data], &[]);
    wait_until(&format!("the streamer: {}", streamer.said()), || streamer.said().contains("streaming").then_some(()));
    let (server, port) = run(dir.path(), "none", &[], &[]);
    wait_until(&format!("the demo: {}", server.said()), || streams(&port, "demo"));
    wait_until("posts of the demo", || (status(&port)["ledger"]["aggregated"].as_u64() > Some(10)).then_some(()));
    // Two that write the same are refused.
    let second = Command::new(env!("CARGO_BIN_EXE_birdsong")).args(["stream", "--data", data]).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another birdsong is writing"));
}
