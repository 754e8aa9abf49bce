//! Rule 1.21. `birdsong archive` with the real binary: written, checked, read, pruned.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::{PartialKey, PortError, WindowStore};
use birdsong_domain::time::WindowStart;
use birdsong_domain::window::Partial;
use birdsong_embedded::SqliteStore;
use rusqlite::Connection;
use serde_json::Value;

use crate::support::birdsong;

fn succeeds(args: &[&str]) -> String {
    let output = birdsong(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fails(args: &[&str], reason: &str) {
    let output = birdsong(args);
    let all = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert!(!output.status.success() && all.contains(reason), "{args:?}: {all}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn windows(data: &Path) -> Vec<(String, Vec<u8>)> {
    let connection = Connection::open(data.join("store.sqlite")).unwrap();
    let sql = "SELECT region || '#' || lane || ' ' || window_start, state FROM partial ORDER BY 1";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

/// Counts of windows, whose fences a copy sets to 0.
fn windows_without_fence(data: &Path) -> Vec<(PartialKey, Vec<u8>)> {
    let store = SqliteStore::open(data).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let dump = runtime.block_on(async {
        let mut rows = store.query("all", WindowStart(0), WindowStart(i64::MAX)).await.unwrap();
        rows.extend(store.query(STREAM, WindowStart(0), WindowStart(i64::MAX)).await.unwrap());
        rows
    });
    let unfenced = |(key, partial): (PartialKey, Result<Partial, PortError>)| {
        (key, Partial { fence: 0u64.into(), ..partial.unwrap() }.encode().unwrap())
    };
    dump.into_iter().map(unfenced).collect()
}

#[test]
fn what_the_log_no_longer_has_is_restored_from_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (data, archive, file) = (path("data"), path("archive"), path("posts.ndjson"));
    let mut lines = String::new();
    for n in 0..2_000u64 {
        // Ids 4 ms apart; 2^22 of them are one millisecond.
        let id = 1_790_000_000_000_000_000u64 + n * (4 << 22);
        writeln!(lines, r##"{{"id":"{id}","text":"#tag{}","lang":"en","author_id":"{}"}}"##, n % 30, n % 500).unwrap();
    }
    fs::write(&file, lines).unwrap();
    succeeds(&["replay", "--json", "--everything", "all", "--data", text(&data), text(&file)]);
    let write = ["archive", "write", text(&archive), "--data", text(&data)];
    let reprocess = |more: &[&str]| -> Vec<String> {
        let args = ["reprocess", "--json", "--from", "2024-05-01T00:00:00Z", "--to", "2024-06-01T00:00:00Z", "--data"];
        [&args[..], &[text(&data)], more].concat().into_iter().map(str::to_owned).collect()
    };
    let from_archive = reprocess(&["--archive", text(&archive)]);
    let from_archive: Vec<_> = from_archive.iter().map(String::as_str).collect();
    // The day is not over.
    assert!(succeeds(&write).contains("Nothing to write"));
    fails(&from_archive, "no day is in it");

    // It all happened three days ago.
    let log = Connection::open(data.join("log.sqlite")).unwrap();
    log.execute("UPDATE record SET arrived_ms = arrived_ms - 3 * 86400000", ()).unwrap();
    let written = succeeds(&write);
    assert!(written.contains("2000 posts") && written.lines().count() >= 3, "{written}");
    assert!(succeeds(&write).contains("Nothing to write"));
    #[cfg(unix)]
    for path in files_below(&archive) {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
    assert!(succeeds(&["archive", "verify", text(&archive)]).contains("2000 posts: 0 damaged"));
    let listed = succeeds(&["archive", "list", text(&archive), "--json"]);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let posts: Vec<_> = listed.iter().map(|line| (line["region"].as_str().unwrap(), line["posts"].as_u64())).collect();
    assert_eq!(posts, [("_stream", Some(0)), ("all", Some(2000))]);

    // The log forgets, and the windows are lost.
    log.execute("INSERT INTO pruned (id, before_ms) SELECT 0, max(arrived_ms) + 1 FROM record", ()).unwrap();
    log.execute("DELETE FROM record", ()).unwrap();
    drop(log);
    let expected = windows(&data);
    assert!(expected.len() >= 2);
    Connection::open(data.join("store.sqlite")).unwrap().execute("DELETE FROM partial", ()).unwrap();
    let from_log = reprocess(&[]);
    fails(&from_log.iter().map(String::as_str).collect::<Vec<_>>(), "--archive");
    let changed =
        |output: &str| serde_json::from_str::<Value>(output.lines().last().unwrap()).unwrap()["changed"].clone();
    assert_eq!(changed(&succeeds(&from_archive)), expected.len());
    assert!(windows(&data) == expected);
    assert_eq!(changed(&succeeds(&from_archive)), 0);

    // The archive alone makes the same windows in another place. They begin before all records that it may get.
    let elsewhere = path("elsewhere");
    let replay = ["replay", "--json", "--everything", "all", "--data", text(&elsewhere), text(&archive)];
    let replayed = |output: &str| serde_json::from_str::<Value>(output.lines().last().unwrap()).unwrap();
    let first = replayed(&succeeds(&replay));
    assert_eq!((&first["posts"], &first["copied"]), (&2000.into(), &expected.len().into()), "{first}");
    assert!(windows_without_fence(&elsewhere) == windows_without_fence(&data));
    let again = replayed(&succeeds(&replay));
    assert_eq!((&again["copied"], &again["same"]), (&0.into(), &expected.len().into()), "{again}");
    assert!(!elsewhere.join("replay-of-archive").exists());
    // Posts that the place gets itself count on top, and the archive no longer replaces their windows.
    let (more, id) = (path("more.ndjson"), 1_790_000_000_000_000_000u64 + 1);
    fs::write(&more, format!(r#"{{"id":"{id}","text":"","lang":"en","author_id":"1"}}"#)).unwrap();
    succeeds(&["replay", "--json", "--everything", "all", "--data", text(&elsewhere), text(&more)]);
    let output = birdsong(&replay);
    let kept = replayed(&String::from_utf8(output.stdout).unwrap());
    assert!(!output.status.success() && kept["kept"].as_u64() > Some(0), "{kept}");
    fails(&["replay", "--memory", "--everything", "all", text(&archive)], "birdsong copy");

    // Damage is found, and nothing is folded from it.
    let damaged = files_below(&archive).into_iter().find(|path| text(path).contains("region=all")).unwrap();
    let mut bytes = fs::read(&damaged).unwrap();
    let half = bytes.len() / 2;
    bytes[half] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let name = text(damaged.strip_prefix(&archive).unwrap());
    fails(&["archive", "verify", text(&archive)], name);
    fails(&from_archive, name);
    let nowhere = path("nowhere");
    fails(&["replay", "--everything", "all", "--data", text(&nowhere), text(&archive)], "nothing was counted");
    assert!(windows(&data) == expected);

    // Another log.
    let other = path("other");
    succeeds(&["replay", "--json", "--everything", "all", "--data", text(&other), text(&file)]);
    fails(&["archive", "write", text(&archive), "--data", text(&other)], "another log");

    assert!(succeeds(&["archive", "prune", text(&archive), "--keep", "2d"]).contains("days removed"));
    assert!(files_below(&archive).iter().all(|path| !text(path).contains("region=")));
    assert!(succeeds(&["archive", "verify", text(&archive)]).contains("0 posts: 0 damaged"));
}
