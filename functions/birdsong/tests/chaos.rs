//! Rule 3.5. The real binary is killed at random moments while a made-up server streams, and must have what the server
//! made in the end: the posts that the server counts, in the windows that an undisturbed twin has, with a ledger that
//! balances.
//!
//! `BIRDSONG_KILLS` (20) is the number of kills in all, and `BIRDSONG_SEED` decides when; both are printed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use birdsong_domain::frame::{self, Lane, STREAM};
use birdsong_domain::network::Network;
use birdsong_domain::ports::{Expected, PartialKey, RollupStore, WindowStore};
use birdsong_domain::post::InstallationKey;
use birdsong_domain::rollup::{DAY_MS, HOUR_MS, Period, Rollups, of_hours, of_rows};
use birdsong_domain::time::{WindowSize, WindowStart};
use birdsong_embedded::SqliteStore;
use birdsong_sources::bluesky::fake as bluesky;
use birdsong_sources::dice::Dice;
use birdsong_sources::mastodon::fake as mastodon;
use birdsong_sources::source::Clock;
use birdsong_sources::x::fake as x;
use birdsong_testkit::sample_partial;
use rusqlite::Connection;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::support::{Running, get_json, wait_until};

const POST: &str = "app.bsky.feed.post";
const REPOST: &str = "app.bsky.feed.repost";
const TOKEN: &str = "made-up";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn real_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// The clock of a server: it stops until it is started, and from a moment on again, so that what the server has made
/// between the two is all that there is.
#[derive(Clone)]
struct Stage {
    open_ms: i64,
    started_ms: Arc<AtomicI64>,
    end_ms: Arc<AtomicI64>,
}

impl Stage {
    fn new() -> Self {
        let later = || Arc::new(AtomicI64::new(i64::MAX));
        Self { open_ms: real_ms(), started_ms: later(), end_ms: later() }
    }

    fn now_ms(&self) -> i64 {
        let since_ms = real_ms().saturating_sub(self.started_ms.load(Ordering::Relaxed)).max(0);
        (self.open_ms + since_ms).min(self.end_ms.load(Ordering::Relaxed))
    }

    fn start(&self) {
        self.started_ms.store(real_ms(), Ordering::Relaxed);
    }

    /// Stops it and returns its time.
    fn end(&self) -> i64 {
        let end_ms = self.now_ms();
        self.end_ms.store(end_ms, Ordering::Relaxed);
        end_ms
    }

    fn clock(&self) -> Clock {
        let stage = self.clone();
        Arc::new(move || stage.now_ms())
    }
}

fn start(source: &[&str], data: &Path) -> (Running, String) {
    let running = start_without_port(source, data);
    let port = running.port_behind("http://localhost:");
    (running, port)
}

fn connected(port: &str) -> Option<()> {
    (get_json(port, "/api/status")["sources"][0]["status"] == "connected").then_some(())
}

fn ledger(port: &str) -> Value {
    get_json(port, "/api/status")["ledger"].clone()
}

/// Waits until the ledger no longer changes, and returns it.
fn settled(port: &str) -> Value {
    let mut last = (Value::Null, Instant::now());
    wait_until("the ledger stops changing", || {
        let ledger = ledger(port);
        if ledger != last.0 {
            last = (ledger, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(4)).then(|| last.0.clone())
    })
}

/// The posts of the windows, without their arrival.
fn windows(port: &str) -> Vec<Value> {
    let windows = get_json(port, "/api/windows?region=all")["windows"].as_array().unwrap().clone();
    let of_posts = |window: Value| {
        let kept = [
            "window_start",
            "posts",
            "originals",
            "replies",
            "quotes",
            "reposts",
            "authors",
            "authorless",
            "per_minute",
            "languages",
            "hashtags",
            "mentions",
            "link_hosts",
        ];
        Value::Object(kept.into_iter().map(|name| (name.to_owned(), window[name].clone())).collect())
    };
    windows.into_iter().filter(|window| window["posts"] != 0).map(of_posts).collect()
}

/// A life after the other, each ended by SIGKILL, and a last one that continues.
fn killed(name: &str, share: u64, source: &[&str], data: &Path, first: Running) -> (Running, String) {
    let (kills, seed) = (setting("BIRDSONG_KILLS", 20) * share / 100, setting("BIRDSONG_SEED", 1));
    eprintln!("{name}: {kills} kills, BIRDSONG_SEED={seed}");
    let mut dice = Dice::of(&[seed, share]);
    resumable(data);
    let mut running = first;
    for _ in 0..kills.max(1) {
        std::thread::sleep(Duration::from_millis(20 + dice.below(1500)));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        running = start_without_port(source, data);
    }
    let port = running.port_behind("http://localhost:");
    (running, port)
}

/// Waits until a resume point is stored: a life without one cannot ask for what it missed.
fn resumable(data: &Path) {
    wait_until("a resume point is stored", || {
        let store = Connection::open(data.join("store.sqlite")).unwrap();
        let sql = "SELECT value FROM meta WHERE key LIKE 'resume:%' AND value NOT LIKE '%\"resume\":null%'";
        store.query_row(sql, [], |row| row.get::<_, String>(0)).ok()
    });
}

/// Ids of the posts that the log has.
fn posts_in(data: &Path) -> BTreeSet<u128> {
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    let mut records = log.prepare("SELECT bytes FROM record").unwrap();
    let frames = records.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    frames.flat_map(|bytes| frame::decode(&bytes.unwrap()).unwrap().posts).map(|post| post.id).collect()
}

fn start_without_port(source: &[&str], data: &Path) -> Running {
    let data = data.to_str().unwrap();
    let args = [&["run", "--window", "1m", "--port", "0", "--data", data], source].concat();
    // One key, so that twins have the same hashes.
    let key = "000102030405060708090a0b0c0d0e0f";
    let environment = [("X_BEARER_TOKEN", TOKEN), ("MASTODON_TOKEN", TOKEN), ("BIRDSONG_AUTHOR_KEY", key)];
    Running::start(&args, &environment)
}

/// Two that start together in separate folders, `twin` and `killed`, after the life of the second.
fn twins(name: &str, share: u64, source: &[&str], dir: &Path, stage: &Stage) -> [(Running, String); 2] {
    let (undisturbed, data) = (start(source, &dir.join("twin")), dir.join("killed"));
    let (first, first_port) = start(source, &data);
    for port in [&undisturbed.1, &first_port] {
        wait_until("it connects", || connected(port));
    }
    stage.start();
    let killed = killed(name, share, source, &data, first);
    std::thread::sleep(Duration::from_secs(1));
    [undisturbed, killed]
}

/// How many posts and reposts the server made in the time of the stage.
fn made(server: &bluesky::Jetstream, stage: &Stage, end_ms: i64) -> u64 {
    let wanted = [POST.to_owned(), REPOST.to_owned()];
    let events = server.first_from(stage.open_ms * 1000)..server.first_from(end_ms * 1000 + 1);
    let is_new = |n: &u64| {
        let event: Option<Value> = server.event(*n, 0, &wanted).map(|text| serde_json::from_str(&text).unwrap());
        event.is_some_and(|event| event["commit"]["operation"] == "create")
    };
    events.filter(is_new).count() as u64
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn listener(runtime: &Runtime) -> (TcpListener, String) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

#[test]
fn bluesky_killed_at_random_has_the_posts_and_the_windows_of_its_twin() {
    let (runtime, stage, dir) = (runtime(), Stage::new(), tempfile::tempdir().unwrap());
    let script = bluesky::Script::calm(setting("BIRDSONG_SEED", 1), stage.open_ms, 2000);
    let server = bluesky::Jetstream::new(script, stage.clock());
    let (listener, port) = listener(&runtime);
    runtime.spawn(server.clone().listen(listener));
    let url = format!("ws://127.0.0.1:{port}");
    let source = ["--everything", "all", "--source", "bluesky", "--bluesky-url", &url];
    let [(mut twin, twin_port), (mut running, port)] = twins("bluesky", 40, &source, dir.path(), &stage);
    let end_ms = stage.end();

    let truth = made(&server, &stage, end_ms);
    assert!(truth > 1000, "{truth}");
    for (name, port) in [("the twin", &twin_port), ("the killed one", &port)] {
        let ledger = settled(port);
        assert_eq!(ledger["balanced"], true, "{name}: {ledger}");
        assert_eq!(ledger["sent"].as_u64(), Some(truth), "{name}: {ledger}");
        assert_eq!(
            ledger["aggregated"].as_u64().unwrap() + ledger["late"].as_u64().unwrap(),
            truth,
            "{name}: {ledger}"
        );
    }
    assert_eq!(windows(&port), windows(&twin_port));
    assert!(running.terminate().0.success() && twin.terminate().0.success());
}

#[test]
fn mastodon_killed_at_random_has_the_posts_of_its_twin() {
    let (runtime, stage, dir) = (runtime(), Stage::new(), tempfile::tempdir().unwrap());
    let script = mastodon::Script::calm(setting("BIRDSONG_SEED", 1), stage.open_ms, 100);
    let server = mastodon::Instance::new(script, stage.clock());
    let (listener, port) = listener(&runtime);
    runtime.spawn(server.clone().listen(listener));
    let url = format!("http://127.0.0.1:{port}");
    let source = ["--everything", "all", "--source", "mastodon:far.example", "--mastodon-url", &url];
    let [(mut twin, twin_port), (mut running, port)] = twins("mastodon", 30, &source, dir.path(), &stage);
    stage.end();
    let [twins, ours] = [&twin_port, &port].map(|port| settled(port));
    for ledger in [&twins, &ours] {
        assert_eq!(ledger["balanced"], true, "{ledger}");
    }
    // A status that arrives twice counts once; the times are ours, so the windows may differ.
    let (twins, ours) = (posts_in(&dir.path().join("twin")), posts_in(&dir.path().join("killed")));
    let events = server.first_from(stage.open_ms)..server.first_from(stage.now_ms() + 1);
    let of_event = |n: &u64| match server.event(*n) {
        Some(mastodon::Event::Update(status)) => {
            let key = InstallationKey(std::array::from_fn(|n| n as u8));
            Some(key.post("mastodon", status["uri"].as_str()?.as_bytes()).0)
        }
        _ => None,
    };
    let missing: Vec<_> = events
        .clone()
        .filter(|n| of_event(n).is_some_and(|id| twins.contains(&id) && !ours.contains(&id)))
        .map(|n| (n - events.start, server.time_ms(n) - stage.open_ms))
        .collect();
    assert_eq!(missing, [], "numbers of events and their times, in milliseconds from the start");
    assert_eq!(ours, twins);
    assert!(running.terminate().0.success() && twin.terminate().0.success());
}

#[test]
fn x_killed_at_random_has_what_the_server_delivered_and_pays_once() {
    let (runtime, stage, dir) = (runtime(), Stage::new(), tempfile::tempdir().unwrap());
    let options = x::Options {
        token: TOKEN.into(),
        script: x::script("normal", 1).unwrap(),
        posts_per_s: 100.0,
        seed: setting("BIRDSONG_SEED", 1),
        has_new_names: false,
        clock: stage.clock(),
    };
    let account = x::Account { has_backfill: true, ..x::Account::default() };
    let server = x::FakeX::with(options, account);
    let (listener, port) = listener(&runtime);
    let router = server.router();
    runtime.spawn(async move { axum::serve(listener, router).await });
    let url = format!("http://127.0.0.1:{port}");
    let regions = concat!(env!("CARGO_MANIFEST_DIR"), "/../../regions.toml");
    let source = ["--regions", regions, "--source", "x", "--x-url", &url, "--x-backfill-minutes", "5"];
    let data = dir.path().join("killed");
    let (first, first_port) = start(&source, &data);
    wait_until("it connects", || connected(&first_port));
    stage.start();
    let (mut running, port) = killed("x", 30, &source, &data, first);
    std::thread::sleep(Duration::from_secs(1));
    server.be_quiet();
    let ledger = settled(&port);
    let delivered = server.delivered();
    assert_eq!((ledger["balanced"].clone(), delivered.missed.len()), (true.into(), 0), "{ledger}");
    assert_eq!(ledger["sent"].as_u64(), Some(delivered.posts.len() as u64), "{ledger}");
    let paid = delivered.days.values().sum::<u64>() as f64 * 0.005;
    // The state follows the posts with a delay.
    wait_until(&format!("${paid} are spent"), || {
        let spent = get_json(&port, "/api/status")["sources"][0]["spent_dollars"].as_f64();
        spent.is_some_and(|spent| (spent - paid).abs() < 1e-6).then_some(())
    });
    assert!(running.terminate().0.success());
}

/// A disk that is full now and then, under a program that is killed now and then.
#[cfg(target_os = "linux")]
#[test]
fn bluesky_killed_on_a_disk_that_is_full_now_and_then_has_all_posts_in_the_end() {
    const SCRIPT: &str = "mount -t tmpfs -o size=10m tmpfs \"$1\" || exit 77
        while [ ! -e \"$2/end\" ]; do
            if [ -e \"$2/full\" ]; then dd if=/dev/zero of=\"$1/filler\" bs=4096 2>/dev/null; else rm -f \"$1/filler\"; fi
            sleep 0.2
        done &
        first=1
        while [ ! -e \"$2/end\" ]; do
            \"$3\" run --everything all --window 1m --port \"$4\" --data \"$1/data\" --source bluesky --bluesky-url \"$5\" &
            echo $! > \"$2/pid.new\"; mv \"$2/pid.new\" \"$2/pid\"
            wait $!
        done";
    let (runtime, stage, dir) = (runtime(), Stage::new(), tempfile::tempdir().unwrap());
    let (disk, signs) = (dir.path().join("disk"), dir.path().join("signs"));
    [&disk, &signs].iter().for_each(|path| std::fs::create_dir(path).unwrap());
    let is_allowed = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs"]).arg(&disk).output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user may not mount a disk");
        return;
    }
    let seed = setting("BIRDSONG_SEED", 1);
    let server = bluesky::Jetstream::new(bluesky::Script::calm(seed, stage.open_ms, 200), stage.clock());
    let (listener, fake_port) = listener(&runtime);
    runtime.spawn(server.clone().listen(listener));
    let port = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap().local_addr().unwrap().port().to_string();
    let url = format!("ws://127.0.0.1:{fake_port}");
    let paths = [disk.to_str().unwrap(), signs.to_str().unwrap(), env!("CARGO_BIN_EXE_birdsong"), &port, &url];
    let mut running =
        Running::start_program("unshare", &[&["-rm", "--kill-child", "sh", "-c", SCRIPT, "sh"][..], &paths].concat());
    running.port_behind("http://localhost:");
    wait_until("it connects", || connected(&port));
    stage.start();
    // The disk is not visible from here, so this waits longer than it needs to store a resume point.
    wait_until("posts are stored", || (ledger(&port)["sent"].as_u64() > Some(100)).then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    let mut dice = Dice::of(&[seed, 9]);
    let kills = (setting("BIRDSONG_KILLS", 20) / 5).max(2);
    eprintln!("full disk: {kills} kills, BIRDSONG_SEED={seed}");
    for n in 0..kills {
        let full = signs.join("full");
        if n % 2 == 0 {
            std::fs::write(&full, "").unwrap()
        } else {
            std::fs::remove_file(&full).unwrap()
        }
        std::thread::sleep(Duration::from_millis(500 + dice.below(2500)));
        let pid = std::fs::read_to_string(signs.join("pid")).unwrap();
        let _ = Command::new("kill").args(["-KILL", pid.trim()]).output();
    }
    let _ = std::fs::remove_file(signs.join("full"));
    std::thread::sleep(Duration::from_secs(2));
    let end_ms = stage.end();
    let truth = made(&server, &stage, end_ms);
    wait_until("it serves", || std::net::TcpStream::connect(format!("127.0.0.1:{port}")).ok());
    let ledger = settled(&port);
    assert_eq!((&ledger["balanced"], ledger["sent"].as_u64()), (&true.into(), Some(truth)), "{ledger}");
    std::fs::write(signs.join("end"), "").unwrap();
    let pid = std::fs::read_to_string(signs.join("pid")).unwrap();
    let _ = Command::new("kill").args(["-TERM", pid.trim()]).output();
    running.child.wait().unwrap();
}

/// Rules 1.1 and 8.1. Windows come in while the program that rolls them up is killed.
#[test]
fn the_digest_killed_at_random_has_the_rollups_of_its_windows() {
    const REGIONS: &str =
        "[[region]]\nid = \"a\"\nlanguages = [\"en\"]\n[[region]]\nid = \"b\"\nlanguages = [\"fr\"]\n";
    let dir = tempfile::tempdir().unwrap();
    let (data, regions) = (dir.path().join("data"), dir.path().join("regions.toml"));
    std::fs::write(&regions, REGIONS).unwrap();
    let source = ["--source", "none", "--regions", regions.to_str().unwrap()];
    let start = || {
        let data = data.to_str().unwrap();
        Running::start(&[&["run", "--port", "0", "--data", data], &source[..]].concat(), &[])
    };
    // The first life makes the folder.
    let mut running = start();
    running.port_behind("http://localhost:");
    let runtime = runtime();
    let store = SqliteStore::open(&data).unwrap();
    let (kills, seed) = ((setting("BIRDSONG_KILLS", 20) / 2).max(2), setting("BIRDSONG_SEED", 1));
    eprintln!("digest: {kills} kills, BIRDSONG_SEED={seed}");
    let mut dice = Dice::of(&[seed, 11]);
    let size = WindowSize::FIVE_MINUTES;
    let first_ms = real_ms() / DAY_MS * DAY_MS - 4 * DAY_MS;
    let mut put = |number: u64| {
        let lanes =
            [Lane::posts("a", Network::X, 0), Lane::posts("b", Network::DEMO, 0), Lane::ledger(Network::X, "x")];
        let window = WindowStart(first_ms + dice.below(3 * 288) as i64 * size.ms());
        let key = PartialKey { lane: lanes[dice.below(3) as usize].clone(), window };
        runtime.block_on(async {
            let stored = store.load(&key).await.unwrap();
            let expected = stored.map_or(Expected::Absent, |partial| Expected::At {
                generation: partial.generation,
                fence: partial.fence,
            });
            let partial = sample_partial(1, (number + 1).into(), number % 7);
            store.put(&key, &partial, &expected).await.unwrap();
        });
    };
    for n in 0..kills {
        (0..60).for_each(|window| put(n * 60 + window));
        // While it opens its files, rolls up, or rests.
        std::thread::sleep(Duration::from_millis(5 + (n * n * 37) % 400));
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        running = start();
    }
    wait_until("nothing is left to roll up", || {
        let changes = runtime.block_on(store.changes(1)).unwrap();
        changes.is_empty().then_some(())
    });
    let mut made = Rollups::new();
    for region in ["a", "b", STREAM] {
        let rows = runtime.block_on(store.query(region, WindowStart(0), WindowStart(i64::MAX))).unwrap();
        let hours = of_rows(rows, Period::Hour, size);
        made.extend(of_hours(hours.clone(), size));
        made.extend(hours);
    }
    assert!(made.len() > 100 && made.keys().all(|key| key.start_ms < first_ms + 3 * DAY_MS + HOUR_MS));
    let made: std::collections::BTreeMap<_, _> =
        made.into_iter().map(|(key, rollup)| (key, rollup.encode().unwrap())).collect();
    assert_eq!(runtime.block_on(store.dump_rollups()).unwrap(), made);
}
