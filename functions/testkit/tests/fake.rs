//! The program that plays the servers of sources.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use birdsong_sources::address::Address;
use birdsong_sources::source::KINDS;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_birdsong-fake"))
}

#[test]
fn each_script_of_each_kind_starts_and_shows_how_to_read_from_it() {
    for kind in KINDS {
        let Some(fake) = kind.fake else { continue };
        for (script, _) in fake.scripts {
            let mut child = program()
                .args([kind.scheme, "--port", "0", "--script", script])
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let line = lines.find(|line| line.contains("birdsong run --source")).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            let address: Address = line.split('\'').nth(1).unwrap().parse().unwrap();
            assert_eq!(address.kind().scheme, kind.scheme, "{script}");
        }
    }
}

#[test]
fn an_unknown_script_or_switch_is_an_error_that_lists_those_that_there_are() {
    let error = |args: &[&str]| {
        let output = program().args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(error(&["mastodon", "--script", "keep-alives"]).contains("it has normal, trouble, silence, errors"));
    assert!(error(&["bluesky", "--with", "gzip"]).contains("bluesky has no switch gzip"));
    let help = String::from_utf8_lossy(&program().arg("--help").output().unwrap().stdout).into_owned();
    for fake in KINDS.iter().filter_map(|kind| kind.fake) {
        assert!(fake.scripts.iter().chain(fake.switches).all(|(name, _)| help.contains(name)), "{help}");
    }
}
