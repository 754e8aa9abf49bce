//! The real binary: it serves its page, and the API counts what the demo sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use birdsong_domain::post::InstallationKey;
use birdsong_domain::region::{Region, Regions};
use birdsong_domain::time::{parse_rfc3339, rfc3339};
use birdsong_sources::demo::Demo;
use birdsong_sources::source::Context;
use serde_json::Value;

const SEED: u64 = 11;

struct Running {
    child: Child,
    port: u16,
}

impl Running {
    fn start(data: &Path) -> Self {
        let seed = SEED.to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_birdsong"))
            .args(["--port", "0", "--seed", &seed, "--regions", REGIONS, "--data"])
            .arg(data)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("http://")).unwrap().unwrap();
        let port = line.split("localhost:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }

    /// Status and body.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn wait_until(&self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        while !is_true(self) {
            assert!(Instant::now() < patience, "{what} did not happen");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends it as a service manager does.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

const REGIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../regions.toml");

fn regions() -> Regions {
    Regions::parse(REGIONS, &std::fs::read_to_string(REGIONS).unwrap()).unwrap()
}

/// Posts and reposts of a region that the demo makes in a window, each once.
fn sent(regions: &Regions, region: &Region, from_ms: i64) -> (u64, u64) {
    let demo = {
        let context = Context {
            regions: std::sync::Arc::new(self::regions()),
            key: InstallationKey([0; 16]),
            clock: std::sync::Arc::new(|| 0),
            jitter: || 0.5,
            dir: "".into(),
            secrets: std::sync::Arc::new(|_| Ok(None)),
        };
        Demo::new(SEED, 0, &context)
    };
    let (mut found, mut seen) = (vec![], std::collections::HashSet::new());
    let (mut posts, mut reposts) = (0, 0);
    for second in from_ms / 1000..from_ms / 1000 + 300 {
        demo.second(second, &mut |post| {
            regions.matching(post, &mut found);
            if found.iter().any(|(n, _)| regions.list()[*n].id == region.id) && seen.insert(post.id) {
                posts += 1;
                reposts += u64::from(post.kind == birdsong_domain::post::Kind::Repost);
            }
        });
    }
    (posts, reposts)
}

#[test]
fn the_api_counts_what_the_demo_sent_and_a_restart_continues() {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(data.path());
    let (status, page) = running.get("/");
    assert_eq!(status, 200);
    assert!(page.contains("Birdsong"), "{page}");
    let is_live = |running: &Running| running.json("/api/status")["sources"][0]["status"] == "connected";
    running.wait_until("going live", is_live);
    running.wait_until("folding", |running| {
        let ledger = &running.json("/api/status")["ledger"];
        ledger["sent"].as_u64().unwrap() > 0
            && ledger["sent"].as_u64()
                == Some(ledger["aggregated"].as_u64().unwrap() + ledger["late"].as_u64().unwrap())
    });
    let first_post = running.json("/api/status")["newest_post"].clone();
    running.wait_until("a new post", |running| running.json("/api/status")["newest_post"] != first_post);
    let windows_match = |running: &Running| {
        let regions = regions();
        for region in regions.list() {
            let day = running.json(&format!("/api/windows?region={}", region.id));
            let windows = day["windows"].as_array().unwrap();
            assert!(windows.len() >= 287, "a day of windows");
            // The first may be cut by the start of the day, the last two may still grow.
            for window in windows[2..windows.len() - 2].iter().step_by(17) {
                let start = window["window_start"].as_str().unwrap();
                let expected = sent(&regions, region, parse_rfc3339(start).unwrap());
                let counts = (window["posts"].as_u64().unwrap(), window["reposts"].as_u64().unwrap());
                assert_eq!(counts, expected, "{} at {start}", region.id);
                assert_eq!(window["completeness"]["complete"], true);
            }
        }
    };
    windows_match(&running);

    // A second one may not write to the same folder.
    let second = Command::new(env!("CARGO_BIN_EXE_birdsong")).args(["--port", "0", "--data"]).arg(data.path()).output();
    let second = second.unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("--data"));
    running.stop();

    let running = Running::start(data.path());
    running.wait_until("going live again", is_live);
    windows_match(&running);
    let ledger = &running.json("/api/status")["ledger"];
    assert_eq!(ledger["balanced"], true, "{ledger}");

    // Beside the running one, reprocess changes nothing but, at most, the open window, whose newest frames may not be
    // folded yet.
    let last = ["reprocess", "--last", "1h", "--json", "--data"];
    let receipt = Command::new(env!("CARGO_BIN_EXE_birdsong")).args(last).arg(data.path()).output().unwrap();
    let text = String::from_utf8_lossy(&receipt.stdout);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (total, windows) = lines.split_last().unwrap();
    let open = windows.iter().filter_map(|window| window["window_start"].as_str()).max().unwrap();
    let is_changed = |window: &&Value| window["change"] != "same" && window["window_start"] != open;
    assert_eq!(windows.iter().find(is_changed), None, "{text}");
    assert!(total["windows"].as_u64().unwrap() > 60, "{text}");
    running.stop();
}

#[test]
fn a_used_port_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_birdsong")).args(["--port", &port, "--data"]).arg(data.path()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
}

/// A v2 line of this number, one a second.
fn line(n: u64) -> String {
    let ms = 1_700_000_100_000 + n * 1000;
    let id = (ms - 1_288_834_974_657) << 22;
    format!("{{\"data\":{{\"id\":\"{id}\",\"text\":\"x\",\"author_id\":\"{n}\",\"lang\":\"en\"}}}}\r\n")
}

fn replay(data: &Path, more: &[&str], input: &str) -> std::process::Output {
    let file = data.join("in.ndjson");
    std::fs::write(&file, input).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_birdsong"));
    command.args(["replay", "--everything", "all", "--json"]).args(more);
    command.arg("--data").arg(data.join("data")).arg(file).output().unwrap()
}

fn posts(output: &std::process::Output) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["posts"].as_u64().unwrap()).sum()
}

fn ledger(output: &std::process::Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap()
}

#[test]
fn a_replay_counts_each_post_once_however_often_it_is_run() {
    let data = tempfile::tempdir().unwrap();
    let input: String = (0..700).chain(0..10).map(line).chain(["not a post\n".into()]).collect();
    for (run, duplicates) in [(1, 10), (2, 710)] {
        let output = replay(data.path(), &[], &input);
        assert!(output.status.success());
        assert_eq!(posts(&output), 700, "run {run}");
        let ledger = ledger(&output);
        assert_eq!((&ledger["duplicates"], &ledger["quarantined"]), (&duplicates.into(), &1.into()), "run {run}");
        assert_eq!(ledger["balanced"], true);
    }
    let memory = replay(data.path(), &["--memory", "--window", "1h"], &input);
    assert_eq!(posts(&memory), 700);
    assert_eq!(String::from_utf8_lossy(&memory.stdout).lines().count(), 1, "{}", rfc3339(1_700_000_100_000));
    let quarantine = std::fs::read_dir(data.path().join("data/quarantine")).unwrap().next().unwrap().unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(quarantine.path()).unwrap()).unwrap();
    assert_eq!((&kept["line"], &kept["shape"]), (&711.into(), &"xxx x xxxx".into()));
}

#[test]
fn strict_stops_at_the_line_and_keeps_what_came_before() {
    let data = tempfile::tempdir().unwrap();
    let input: String = (0..5).map(line).chain(["{\"data\":\n".into()]).chain((5..9).map(line)).collect();
    let output = replay(data.path(), &["--strict"], &input);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in.ndjson:6: not JSON"));
    assert_eq!(posts(&output), 5);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_birdsong"));
    let output = command.args(["replay", "--memory", "nowhere.ndjson"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere.ndjson"));
}
