//! The real binary with live sources against the made-up servers of `birdsong fake`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

mod support;

use support::{Running, wait_until};

const TOKEN: &str = "made-up";
const WRONG: &str = "AAAAsecretAAAA";

fn fake(server: &str) -> (Running, String) {
    fake_with(server, &[])
}

fn fake_with(server: &str, more: &[&str]) -> (Running, String) {
    let running = Running::start(&[&["fake", server, "--port", "0", "--rate", "40"], more].concat(), &[]);
    let port = running.port_behind("127.0.0.1:");
    (running, port)
}

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
    let ((_x, x), (_bluesky, bluesky), (_mastodon, mastodon)) = (fake("x"), fake("bluesky"), fake("mastodon"));
    let addresses = [
        "--x-url",
        &format!("http://127.0.0.1:{x}"),
        "--bluesky-url",
        &format!("ws://127.0.0.1:{bluesky}"),
        "--mastodon-url",
        &format!("http://127.0.0.1:{mastodon}"),
        "--x-budget",
        "5/day",
    ];
    let (running, port) = run(dir.path(), "x,bluesky,mastodon:localhost", &addresses, &[("X_BEARER_TOKEN", TOKEN)]);
    for name in ["x", "bluesky", "mastodon:"] {
        wait_until(&format!("a post of {name}: {}", running.said()), || streams(&port, name));
    }
    wait_until("spending", || source(&status(&port), "x")?["spent_dollars"].as_f64().filter(|dollars| *dollars > 0.0));
    let ledger = wait_until("something counted", || {
        let ledger = status(&port)["ledger"].clone();
        (ledger["aggregated"].as_u64() > Some(10)).then_some(ledger)
    });
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert!(!running.said().contains(TOKEN), "{}", running.said());
}

#[test]
fn a_source_that_is_refused_says_what_to_do_and_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (_x, x) = fake("x");
    let address = format!("http://127.0.0.1:{x}");
    let (running, port) = run(dir.path(), "demo,x", &["--x-url", &address], &[("X_BEARER_TOKEN", WRONG)]);
    let refused = wait_until("the refusal", || {
        source(&status(&port), "x").filter(|source| source["status"] == "stopped" && source["reason"].is_string())
    });
    assert!(refused["reason"].as_str().unwrap().contains("token"), "{refused}");
    wait_until("the demo to go on", || streams(&port, "demo"));
    assert!(!running.said().contains(WRONG), "{}", running.said());
    assert!(!status(&port).to_string().contains(WRONG));
    assert!(
        running.said().contains("Z ERROR the source stopped: "),
        "a log in a file has no colors: {}",
        running.said()
    );
}

#[test]
fn x_without_a_token_says_what_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
        .args(["run", "--source", "x", "--port", "0", "--data"])
        .arg(dir.path())
        .env_remove("X_BEARER_TOKEN")
        .env_remove("X_BEARER_TOKEN_FILE")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("set X_BEARER_TOKEN"), "{told}");
}

#[test]
fn the_rules_of_x_are_set_once() {
    let (_x, x) = fake("x");
    let sync = |more: &[&str]| {
        let regions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regions.toml");
        let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
            .args(["rules", "sync", "--x-url", &format!("http://127.0.0.1:{x}"), "--regions"])
            .arg(regions)
            .args(more)
            .env("X_BEARER_TOKEN", TOKEN)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(sync(&["--dry-run"]).contains("Nothing was changed"));
    let first = sync(&[]);
    assert!(first.contains("+ paris:box") && first.contains("18 added, 0 deleted, 0 stayed"), "{first}");
    let second = sync(&[]);
    assert_eq!(second.trim(), "0 added, 0 deleted, 18 stayed.");
}

#[test]
fn the_made_up_x_has_more_than_it_does_normally() {
    // Compressed, with the new names, and with a backfill.
    let dir = tempfile::tempdir().unwrap();
    let (made, x) = fake_with("x", &["--new-names", "--enterprise", "--gzip"]);
    wait_until("the options", || made.said().contains("--x-backfill-minutes 5 --x-gzip").then_some(()));
    let address = format!("http://127.0.0.1:{x}");
    let options = ["--x-url", &address, "--x-gzip", "--x-backfill-minutes", "5"];
    let (running, port) = run(dir.path(), "x", &options, &[("X_BEARER_TOKEN", TOKEN)]);
    wait_until(&format!("a post: {}", running.said()), || streams(&port, "x"));

    // Without enterprise access it says what to leave off.
    let dir = tempfile::tempdir().unwrap();
    let (_x, x) = fake_with("x", &["--script", "keep-alives"]);
    let address = format!("http://127.0.0.1:{x}");
    let with =
        |more: &[&str]| run(dir.path(), "x", &[&["--x-url", &*address], more].concat(), &[("X_BEARER_TOKEN", TOKEN)]);
    let (running, port) = with(&["--x-backfill-minutes", "5"]);
    let stopped =
        wait_until("the refusal", || source(&status(&port), "x").filter(|source| source["status"] == "stopped"));
    assert!(stopped["reason"].as_str().unwrap().contains("leave off --x-backfill-minutes"), "{stopped}");
    drop(running);
    let (_running, port) = with(&[]);
    let connected =
        wait_until("a connection", || source(&status(&port), "x").filter(|source| source["status"] == "connected"));
    assert!(connected["last_post"].is_null(), "{connected}");
}

#[test]
fn each_script_of_a_made_up_server_starts_or_says_which_there_are() {
    for script in ["normal", "trouble", "silence", "keep-alives", "errors"] {
        for server in ["x", "bluesky", "mastodon"] {
            let running = Running::start(&["fake", server, "--port", "0", "--script", script], &[]);
            if (server, script) == ("mastodon", "keep-alives") {
                let wanted = "mastodon has no script keep-alives; it has normal, trouble, silence, errors";
                wait_until("the list", || running.said().contains(wanted).then_some(()));
            } else {
                running.port_behind("listens at 127.0.0.1:");
            }
        }
    }
    let help = Command::new(env!("CARGO_BIN_EXE_birdsong")).args(["fake", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for line in ["- keep-alives: A sign of life", "- errors:", "- silence:", "--enterprise", "--new-names"] {
        assert!(help.contains(line), "{line} in {help}");
    }
    let running = Running::start(&["fake", "bluesky", "--port", "0", "--gzip"], &[]);
    wait_until("what it is of", || running.said().contains("are of x, not of bluesky").then_some(()));
}
