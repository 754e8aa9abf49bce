//! Rule 4.6. The real binary on a data folder that is damaged, without its key, or on a disk that is full.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Running, get, get_json, wait_until};

const POSTS: u64 = 20_000;
/// The end may last 2 s; the rest is for a busy machine.
const PROMPT: Duration = Duration::from_secs(8);

fn birdsong(args: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_birdsong")).args(args).arg("--data").arg(data).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Posts of an hour, half a day ago, counted in a data folder.
fn counted(dir: &Path) -> (PathBuf, i64) {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let start_ms = (now_ms - 12 * 3_600_000) / 300_000 * 300_000;
    let (file, data) = (dir.join("posts.jsonl"), dir.join("data"));
    let mut lines = String::new();
    for n in 0..POSTS {
        let id = ((start_ms + n as i64 * 180 - 1_288_834_974_657) << 22) as u64 + n % 4096;
        writeln!(lines, r#"{{"id":"{id}","text":"","lang":"en","author_id":"{}"}}"#, n % 500).unwrap();
    }
    fs::write(&file, lines).unwrap();
    let output = birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    assert!(output.status.success(), "{}", stderr(&output));
    (data, start_ms)
}

fn serve(data: &Path) -> (Running, String) {
    let args = ["run", "--source", "none", "--everything", "all", "--port", "0", "--data", data.to_str().unwrap()];
    let running = Running::start(&args, &[]);
    let port = running.port_behind("http://localhost:");
    (running, port)
}

fn time(ms: i64) -> String {
    birdsong_domain::time::rfc3339(ms)
}

fn windows(port: &str, start_ms: i64) -> Vec<Value> {
    let (from, to) = (time(start_ms), time(start_ms + 3_600_000));
    let answer = get_json(port, &format!("/api/windows?region=all&from={from}&to={to}"));
    answer["windows"].as_array().unwrap().clone()
}

fn posts(windows: &[Value]) -> u64 {
    windows.iter().map(|window| window["posts"].as_u64().unwrap()).sum()
}

fn corrupt(window: &Value) -> bool {
    window["completeness"]["flaws"].as_array().unwrap().contains(&"corrupt".into())
}

fn dead_letters(data: &Path) -> Vec<Value> {
    let files = walk(&data.join("quarantine")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "json"));
    files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn forget_store(data: &Path) {
    // The fingerprint of the key is in it, too.
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
}

fn flip(log: &Connection, sequence: i64, from_end: Option<usize>) {
    let mut bytes: Vec<u8> =
        log.query_row("SELECT bytes FROM record WHERE sequence = ?1", [sequence], |row| row.get(0)).unwrap();
    let at = from_end.map_or(20, |from_end| bytes.len() - from_end);
    bytes[at] ^= 4;
    log.execute("UPDATE record SET bytes = ?1 WHERE sequence = ?2", (bytes, sequence)).unwrap();
}

#[test]
fn damaged_records_are_missing_where_they_belong_and_everything_else_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (data, start_ms) = counted(dir.path());
    forget_store(&data);
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    let of_posts: Vec<i64> = log
        .prepare("SELECT sequence FROM record WHERE lane = 'all#x#0' ORDER BY sequence")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(of_posts.len() > 3, "{of_posts:?}");
    // The posts of one, and the header of another.
    flip(&log, of_posts[1], Some(10));
    flip(&log, of_posts[2], None);
    drop(log);

    let (mut running, port) = serve(&data);
    let ledger = wait_until("the log is folded", || {
        let ledger = get_json(&port, "/api/status")["ledger"].clone();
        (ledger["corrupt_records"] == 2 && ledger["sent"] == POSTS).then_some(ledger)
    });
    let count = |name: &str| ledger[name].as_u64().unwrap();
    assert_eq!((count("received"), count("sent"), count("corrupt_windows")), (POSTS, POSTS, 0), "{ledger}");
    assert!(count("corrupt") > 1000 && count("missing") > 1000, "{ledger}");
    assert_eq!(count("aggregated") + count("late") + count("corrupt") + count("missing"), POSTS, "{ledger}");
    assert_eq!(ledger["balanced"], false);
    let windows = windows(&port, start_ms);
    let (damaged, whole): (Vec<_>, Vec<_>) = windows.into_iter().partition(corrupt);
    assert!(!damaged.is_empty() && damaged.iter().all(|window| window["completeness"]["complete"] == false));
    assert!(!whole.is_empty() && posts(&whole) > 1000);
    assert_eq!(get(&port, "/healthz").0, 200, "it can be read");
    // They are kept before the checkpoint moves, which is after the windows are stored.
    let letters = wait_until("both dead letters", || Some(dead_letters(&data)).filter(|letters| letters.len() == 2));
    assert!(letters.iter().all(|letter| letter["lane"] == "all#x#0" && letter["data"].as_str().unwrap().len() > 100));
    assert!(running.terminate().0.success());
}

#[test]
fn a_dead_record_is_tried_again_when_it_can_be_read_and_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (data, start_ms) = counted(dir.path());
    forget_store(&data);
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    let sql = "SELECT sequence, bytes FROM record WHERE lane = 'all#x#0' ORDER BY sequence LIMIT 1 OFFSET 1";
    let (sequence, whole): (i64, Vec<u8>) = log.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    flip(&log, sequence, Some(10));
    drop(log);
    let (mut running, port) = serve(&data);
    wait_until("the letter is written", || (dead_letters(&data).len() == 1).then_some(()));
    wait_until("the rest is folded", || (posts(&windows(&port, start_ms)) > POSTS / 2).then_some(()));
    assert!(running.terminate().0.success());

    let run = |args: &[&str]| {
        let output = birdsong(&[&["deadletters"], args].concat(), &data);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let (_, listed, _) = run(&["list", "--json"]);
    let group: Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!((&group["letters"], &group["kind"], &group["source"]), (&1.into(), &"record".into(), &"all#x#0".into()));
    let id = group["example"].as_str().unwrap();
    let (_, shown, _) = run(&["show", id]);
    assert!(shown.contains(&sequence.to_string()), "{shown}");
    let (is_done, _, reason) = run(&["retry"]);
    assert!(!is_done && reason.contains("checksum"), "{reason}");
    let (is_done, _, reason) = run(&["retry", "quarantine/../author.key"]);
    assert!(!is_done && reason.contains("no id of a dead letter"), "{reason}");

    // As a release would read it whose reader was mended.
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    log.execute("UPDATE record SET bytes = ?1 WHERE sequence = ?2", (&whole, sequence)).unwrap();
    drop(log);
    let path = data.join(id);
    let mut letter: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    letter["data"] = base64_simd::STANDARD.encode_to_string(&whole).into();
    for _ in 0..2 {
        fs::write(&path, letter.to_string()).unwrap();
        let (is_done, said, reason) = run(&["retry", id]);
        assert!(is_done && said.contains("1 dead letters worked"), "{said} {reason}");
        assert_eq!(dead_letters(&data).len(), 0);
    }
    let (mut running, port) = serve(&data);
    let all = wait_until("each post is counted", || {
        let all = windows(&port, start_ms);
        (posts(&all) == POSTS).then_some(all)
    });
    assert!(!all.iter().any(corrupt), "{all:?}");
    assert!(running.terminate().0.success());
}

#[test]
fn lines_are_grouped_by_reason_and_dropped_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("odd.ndjson"));
    let post = r#"{"id":"1790000000000000000","text":"","author_id":"7"}"#;
    fs::write(&file, format!("{post}\n{{\"a\n{{\"bcd\n")).unwrap();
    birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    let run = |args: &[&str]| {
        let output = birdsong(&[&["deadletters"], args].concat(), &data);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let (_, listed, _) = run(&["list", "--json"]);
    let group: Value = serde_json::from_str(listed.trim()).unwrap();
    assert_eq!((&group["letters"], &group["kind"]), (&2.into(), &"line".into()), "{listed}");
    let id = group["example"].as_str().unwrap();
    assert!(run(&["show", id]).1.contains("\"shape\": "));
    let (is_done, said, _) = run(&["retry"]);
    assert!(is_done && said.contains("2 lines have their words masked"), "{said}");
    let (is_done, _, reason) = run(&["drop", id]);
    assert!(!is_done && reason.contains("name its file"), "{reason}");
    assert!(run(&["drop", "--all"]).0);
    assert!(run(&["list"]).1.contains("0 dead letters"));
    assert!(!run(&["show", id]).0);
}

/// The windows have the posts of a record that was damaged afterwards, and the ledger has its counts: nothing may remove
/// them or add them again.
#[test]
fn a_record_that_is_damaged_after_it_was_folded_removes_no_counts_and_counts_none_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (data, start_ms) = counted(dir.path());
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    let last = |lanes: &str| -> i64 {
        let query = format!("SELECT max(sequence) FROM record WHERE lane LIKE '{lanes}'");
        log.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    // The posts of one, the header of another, and a ledger, which is a header only.
    for (sequence, from_end) in [(3, Some(10)), (last("all#x#0"), None), (last("%stream%"), None)] {
        flip(&log, sequence, from_end);
    }
    drop(log);
    let file = dir.path().join("posts.jsonl");
    let output = birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    assert!(!output.status.success() && stderr(&output).contains("--despite-damage"), "{}", stderr(&output));
    let output = birdsong(&["reprocess", "--from", &time(start_ms), "--to", &time(start_ms + 3_600_000)], &data);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("kept"), "{output:?}");
    let (mut running, port) = serve(&data);
    assert_eq!(posts(&windows(&port, start_ms)), POSTS);
    let ledger = get_json(&port, "/api/status")["ledger"].clone();
    assert_eq!((&ledger["received"], &ledger["sent"]), (&POSTS.into(), &POSTS.into()), "{ledger}");
    assert!(running.terminate().0.success());
}

/// One bit of the file makes a text of a column that is a blob: SQLite reads the row without an error.
#[test]
fn a_row_whose_column_has_another_type_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = counted(dir.path());
    let path = data.join("log.sqlite");
    Connection::open(&path).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    forget_store(&data);
    let mut file = fs::read(&path).unwrap();
    // The types of a row's columns are in front of its first text, that of its last column, the blob, last.
    // In a frame's header it is behind a quotation mark.
    let mut lanes = file.windows(8).enumerate().filter(|(_, text)| text.ends_with(b"all#x#0") && text[0] != b'"');
    let before = lanes.next_back().unwrap().0;
    file[before] ^= 1;
    fs::write(&path, file).unwrap();
    let (mut running, port) = serve(&data);
    let ledger = wait_until("the log is folded", || {
        let ledger = get_json(&port, "/api/status")["ledger"].clone();
        (ledger["sent"] == POSTS && ledger["corrupt_records"] == 1).then_some(ledger)
    });
    assert!(ledger["aggregated"].as_u64() > Some(POSTS / 2) && ledger["balanced"] == false, "{ledger}");
    assert!(running.terminate().0.success());
}

#[test]
fn a_damaged_window_is_marked_until_a_reprocess_restores_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, start_ms) = counted(dir.path());
    let store = Connection::open(data.join("store.sqlite")).unwrap();
    let changed = store.execute(
        "UPDATE partial SET state = x'0badc0de' WHERE region = 'all' AND window_start = ?1",
        [start_ms + 300_000],
    );
    assert_eq!(changed, Ok(1));
    let (mut running, port) = serve(&data);
    let all = windows(&port, start_ms);
    assert_eq!(all.iter().filter(|window| corrupt(window)).count(), 1);
    assert!(corrupt(&all[1]) && posts(&all) < POSTS);
    let ledger = get_json(&port, "/api/status")["ledger"].clone();
    assert_eq!((&ledger["corrupt_windows"], &ledger["balanced"]), (&1.into(), &false.into()), "{ledger}");
    // Beside the one that serves.
    let output = birdsong(&["reprocess", "--from", &time(start_ms), "--to", &time(start_ms + 3_600_000)], &data);
    assert!(output.status.success(), "{}", stderr(&output));
    let all = wait_until("the window is whole", || {
        let all = windows(&port, start_ms);
        (!all.iter().any(corrupt)).then_some(all)
    });
    assert_eq!(posts(&all), POSTS);
    // The page can say when and why; how many posts a damaged window had is not known.
    let revision = &all[1]["revision"];
    assert_eq!((&revision["why"], &revision["change"]), (&json!(["reprocess"]), &Value::Null), "{revision}");
    let changed_at = revision["changed_at"].as_str().unwrap();
    assert!(changed_at > time(start_ms).as_str(), "{revision}");
    assert_eq!(all[0]["revision"], Value::Null);
    // The same again changes nothing, not even that.
    let output = birdsong(&["reprocess", "--from", &time(start_ms), "--to", &time(start_ms + 3_600_000)], &data);
    assert!(String::from_utf8_lossy(&output.stdout).contains(" 0 changed"), "{output:?}");
    assert_eq!(&windows(&port, start_ms)[1]["revision"], revision);
    wait_until("the ledger balances", || (get_json(&port, "/api/status")["ledger"]["balanced"] == true).then_some(()));
    assert!(running.terminate().0.success());
}

#[test]
fn posts_that_come_for_a_damaged_window_are_counted_and_nothing_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (data, start_ms) = counted(dir.path());
    let store = Connection::open(data.join("store.sqlite")).unwrap();
    store.execute("UPDATE partial SET state = x'00'", []).unwrap();
    drop(store);
    let file = dir.path().join("more.jsonl");
    let id = ((start_ms + 1000 - 1_288_834_974_657) << 22) as u64 + 99_999;
    fs::write(&file, format!(r#"{{"id":"{id}","text":"","lang":"en","author_id":"1"}}"#)).unwrap();
    let output = birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    assert!(output.status.success(), "{}", stderr(&output));
    let (mut running, port) = serve(&data);
    let all = windows(&port, start_ms);
    assert_eq!((all[0]["posts"].as_u64(), all.iter().filter(|window| corrupt(window)).count()), (Some(1), 12));
    assert!(running.terminate().0.success());
}

// Rule 6.5.
#[test]
fn a_key_that_is_gone_empty_or_another_is_an_error_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = counted(dir.path());
    let file = dir.path().join("posts.jsonl");
    let replay = || birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    let (key, right) = (data.join("author.key"), fs::read(data.join("author.key")).unwrap());
    let refused = |what: &str| {
        let output = replay();
        let said = stderr(&output);
        assert!(!output.status.success() && said.contains(what) && said.contains("birdsong key rotate"), "{said}");
    };
    fs::remove_file(&key).unwrap();
    refused("is missing");
    assert!(!key.exists(), "no new one is made");
    fs::write(&key, b"").unwrap();
    refused("is missing");
    fs::write(&key, [7; 16]).unwrap();
    refused("another key");
    fs::write(&key, [7; 15]).unwrap();
    assert!(stderr(&replay()).contains("must have 16 bytes"));
    // Without the store, which has the fingerprint, the log alone demands its key.
    fs::remove_file(&key).unwrap();
    forget_store(&data);
    refused("is missing");
    fs::write(&key, [7; 16]).unwrap();
    refused("another key");
    fs::write(&key, &right).unwrap();
    assert!(replay().status.success());
    // A rotation restarts from zero, and explains the consequences.
    let output = birdsong(&["key", "rotate"], &data);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_ne!(fs::read(&key).unwrap(), right);
    assert!(replay().status.success());
}

// Rule 6.5.
#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let file = dir.path().join("posts.jsonl");
    fs::write(&file, "not a post\n{\"id\":\"1900000000000000000\",\"text\":\"\"}\n").unwrap();
    birdsong(&["replay", "--everything", "all", file.to_str().unwrap()], &data);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files = walk(&data);
    assert!(files.iter().any(|path| path.starts_with(data.join("quarantine"))), "{files:?}");
    for path in files {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

/// A demo that runs, and its port.
fn demo(data: &Path, more: &[&str]) -> (Running, String) {
    let args = ["run", "--everything", "all", "--port", "0", "--data", data.to_str().unwrap()];
    let running = Running::start(&[&args[..], more].concat(), &[]);
    let port = running.port_behind("http://localhost:");
    (running, port)
}

fn has_problem(port: &str) -> Option<String> {
    let status = get_json(port, "/api/status");
    let of_sources = status["sources"].as_array().unwrap().iter().filter_map(|source| source["problem"].as_str());
    let all: Vec<_> =
        status["problems"].as_array().unwrap().iter().filter_map(Value::as_str).chain(of_sources).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn streams(port: &str) -> Option<()> {
    let status = get_json(port, "/api/status");
    (status["sources"][0]["status"] == "connected" && status["ledger"]["sent"].as_u64() > Some(0)).then_some(())
}

#[test]
fn a_log_that_is_removed_under_it_is_noticed_and_nothing_is_reported_as_stored() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut running, port) = demo(&data, &["--backfill", "5m"]);
    wait_until("posts come", || streams(&port));
    fs::remove_file(data.join("log.sqlite")).unwrap();
    let problem = wait_until("the problem shows", || has_problem(&port));
    assert!(problem.contains("log.sqlite was removed or replaced"), "{problem}");
    assert_eq!(get(&port, "/healthz").0, 200, "the windows can be read");
    let (status, took) = running.terminate();
    let said = running.said();
    assert!(!status.success() && took < PROMPT, "{took:?} {said}");
    assert!(!said.contains("everything received is stored") && said.contains("may be lost"), "{said}");
}

#[test]
fn it_ends_promptly_in_every_state() {
    let dir = tempfile::tempdir().unwrap();
    // While it fills weeks of the past.
    let (mut running, port) = demo(&dir.path().join("backfill"), &["--backfill", "30d", "--window", "1m"]);
    wait_until("the past comes", || {
        (get_json(&port, "/api/status")["ledger"]["sent"].as_u64() > Some(0)).then_some(())
    });
    let (status, took) = running.terminate();
    assert!(status.success() && took < PROMPT, "{took:?} {}", running.said());

    // While another program holds log and store.
    let data = dir.path().join("locked");
    let (mut running, port) = demo(&data, &["--backfill", "5m"]);
    wait_until("posts come", || streams(&port));
    let locks = ["log.sqlite", "store.sqlite"].map(|name| Connection::open(data.join(name)).unwrap());
    locks.iter().for_each(|lock| lock.execute_batch("BEGIN IMMEDIATE").unwrap());
    wait_until("the problem shows", || has_problem(&port));
    let (_, took) = running.terminate();
    let said = running.said();
    assert!(took < PROMPT && said.contains("birdsong: stopped"), "{took:?} {said}");
    drop(locks);

    // It continues where that one ended.
    let (mut running, port) = demo(&data, &["--backfill", "5m"]);
    wait_until("posts come", || streams(&port));
    wait_until("the ledger balances", || (get_json(&port, "/api/status")["ledger"]["balanced"] == true).then_some(()));
    assert!(running.terminate().0.success());

    // While a replay waits for its input.
    let replay = ["replay", "--everything", "all", "--memory", "-"];
    let mut running = Running::start_with_input(&replay);
    std::thread::sleep(Duration::from_millis(300));
    assert!(running.terminate().1 < PROMPT);
}

/// Mounts a small disk that only this test sees; where that is not allowed, nothing is tested.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_nothing_and_writing_resumes_when_there_is_room() {
    const SCRIPT: &str = "mount -t tmpfs -o size=12m tmpfs \"$1\" || exit 77
        (while [ ! -e \"$2/fill\" ]; do sleep 0.1; done
         dd if=/dev/zero of=\"$1/filler\" bs=4096 2>/dev/null
         touch \"$2/full\"
         while [ ! -e \"$2/free\" ]; do sleep 0.1; done
         rm \"$1/filler\") &
        exec \"$3\" run --everything all --port 0 --backfill 5m --data \"$1/data\"";
    let dir = tempfile::tempdir().unwrap();
    let (disk, signs) = (dir.path().join("disk"), dir.path().join("signs"));
    [&disk, &signs].iter().for_each(|path| fs::create_dir(path).unwrap());
    let paths = [disk.to_str().unwrap(), signs.to_str().unwrap(), env!("CARGO_BIN_EXE_birdsong")];
    let is_allowed = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", paths[0]]).output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("not tested: this user may not mount a disk");
        return;
    }
    let mut running = Running::start_program("unshare", &[&["-rm", "sh", "-c", SCRIPT, "sh"][..], &paths].concat());
    let port = running.port_behind("http://localhost:");
    wait_until("posts come", || streams(&port));
    fs::write(signs.join("fill"), "").unwrap();
    wait_until("the disk is full", || signs.join("full").exists().then_some(()));
    let problem = wait_until("the problem shows", || has_problem(&port));
    assert!(problem.contains("full") || problem.contains("space"), "{problem}");
    let received = || get_json(&port, "/api/status")["ledger"]["received"].as_u64().unwrap();
    assert_eq!(get(&port, "/healthz").0, 200);
    std::thread::sleep(Duration::from_secs(3));
    let before = received();
    fs::write(signs.join("free"), "").unwrap();
    wait_until("the problem is gone", || has_problem(&port).is_none().then_some(()));
    wait_until("posts are stored again", || (received() > before).then_some(()));
    wait_until("the ledger balances", || (get_json(&port, "/api/status")["ledger"]["balanced"] == true).then_some(()));
    let (status, took) = running.terminate();
    let said = running.said();
    assert!(status.success() && took < PROMPT && said.contains("everything received is stored"), "{took:?} {said}");
}
