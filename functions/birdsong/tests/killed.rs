//! Rule 7.2. A replay that is killed and run again counts each post once.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const POSTS: u64 = 60_000;

#[test]
fn a_replay_killed_at_any_point_and_run_again_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("posts.jsonl"), folder.path().join("data"));
    let mut lines = String::new();
    for n in 0..POSTS {
        // Ids 4 ms apart; 2^22 of them are one millisecond.
        let id = 1_790_000_000_000_000_000u64 + n * (4 << 22);
        writeln!(lines, r#"{{"id":"{id}","text":"","lang":"en","author_id":"{}"}}"#, n % 500).unwrap();
    }
    std::fs::write(&file, lines).unwrap();
    let replay = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_birdsong"));
        command.args(["replay", "--json", "--everything", "all", "--data"]).arg(&data).arg(&file);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut killed = 0;
    for wait_ms in [20, 60, 100, 160, 240] {
        let mut running = replay().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        killed += u32::from(running.try_wait().unwrap().is_none());
        // SIGKILL: nothing is flushed.
        running.kill().unwrap();
        running.wait().unwrap();
    }
    assert!(killed > 0, "each run was over before it could be killed");
    let output = replay().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let windows = stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(windows.map(|window| window["posts"].as_u64().unwrap()).sum::<u64>(), POSTS, "{stderr}");
    let ledger: serde_json::Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["sent"].as_u64().unwrap() + ledger["duplicates"].as_u64().unwrap(), POSTS, "{ledger}");
}
