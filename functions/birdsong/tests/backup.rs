//! A backup that is made while posts come in is a data folder whose windows agree with its log.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::{Running, birdsong};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn posts(numbers: std::ops::Range<u64>) -> String {
    let mut lines = String::new();
    for n in numbers {
        // Ids 4 ms apart; 2^22 of them are one millisecond.
        let id = 1_790_000_000_000_000_000u64 + n * (4 << 22);
        writeln!(lines, r#"{{"id":"{id}","text":"","lang":"en","author_id":"{}"}}"#, n % 500).unwrap();
    }
    lines
}

/// What a replay of `file` into `data` counts: its last line, the ledger.
fn replay(data: &Path, file: &Path) -> Value {
    let output = birdsong(&["replay", "--json", "--everything", "all", "--data", text(data), text(file)]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    serde_json::from_str(stderr.lines().last().unwrap()).unwrap()
}

/// The receipt of a reprocess of everything, which changes nothing.
fn check(data: &Path) -> Value {
    let args = ["reprocess", "--dry-run", "--json", "--from", "2020-01-01T00:00:00Z", "--data"];
    let output = birdsong(&[&args[..], &[text(data)]].concat());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn a_backup_of_a_folder_in_use_agrees_with_itself_and_counts_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, first, rest) = (path("data"), path("first.ndjson"), path("rest.ndjson"));
    std::fs::write(&first, posts(0..5_000)).unwrap();
    std::fs::write(&rest, posts(0..40_000)).unwrap();
    replay(&data, &first);
    let args = ["replay", "--json", "--everything", "all", "--data", text(&data), text(&rest)];
    let mut running = Running::start(&args, &[]);
    let mut made = 0;
    loop {
        let into = path(&format!("backup-{made}"));
        let output = birdsong(&["backup", text(&into), "--data", text(&data)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!into.join("author.key").exists() && !into.with_extension("part").exists());
        made += 1;
        if running.child.try_wait().unwrap().is_some() || made == 3 {
            break;
        }
    }
    running.child.wait().unwrap();
    for n in 0..made {
        let backup = path(&format!("backup-{n}"));
        std::fs::copy(data.join("author.key"), backup.join("author.key")).unwrap();
        // The log may be newer than the windows; what it has more is folded first.
        replay(&backup, &first);
        assert_eq!(check(&backup)["changed"], 0, "backup {n}");
    }
    // Counting goes on from the backup: each post counts once.
    let backup = path("backup-0");
    let ledger = replay(&backup, &rest);
    assert_eq!(ledger["sent"].as_u64().unwrap() + ledger["duplicates"].as_u64().unwrap(), 40_000, "{ledger}");
    let windows = |data: &Path| {
        let args = [
            "export",
            "--format",
            "ndjson",
            "--from",
            "2024-05-13T00:00:00Z",
            "--to",
            "2024-05-15T00:00:00Z",
            "--data",
        ];
        let output = birdsong(&[&args[..], &[text(data)]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let counted = rows.filter(|row| row["posts"] != 0);
        counted.map(|row| (row["window_start"].to_string(), row["posts"].to_string())).collect::<Vec<_>>()
    };
    let counted = windows(&data);
    assert!(!counted.is_empty());
    assert_eq!(windows(&backup), counted);
}

#[test]
fn a_backup_overwrites_nothing_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |args: &[&str], reason: &str| {
        let output = birdsong(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && stderr.contains(reason), "{args:?}: {stderr}");
    };
    let (data, into, key) = (path("data"), path("backup"), path("author.key"));
    refused(&["backup", text(&into), "--data", text(&data)], "nothing to back up");
    assert!(!data.exists() && !into.exists());

    let file = path("posts.ndjson");
    std::fs::write(&file, posts(0..10)).unwrap();
    replay(&data, &file);
    let with_key = ["backup", text(&into), "--key", text(&key), "--data", text(&data)];
    assert!(birdsong(&with_key).status.success());
    assert_eq!(std::fs::read(&key).unwrap(), std::fs::read(data.join("author.key")).unwrap());
    refused(&with_key, "not empty");
    refused(&["backup", text(&path("other")), "--key", text(&key), "--data", text(&data)], "never overwritten");
    assert!(!path("other").exists());

    // Damage is found when the copy is made, not when it is needed.
    let store = data.join("store.sqlite");
    let mut bytes = std::fs::read(&store).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&store, bytes).unwrap();
    refused(&["backup", text(&path("third")), "--data", text(&data)], "no backup was made");
    assert!(!path("third").exists() && !path("third.part").exists());
}
