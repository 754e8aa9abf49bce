//! Builds the dashboard (`npm ci`, Vite) into the binary when its sources have changed, so that
//! `cargo run` needs no second command and a release binary carries its page.
//!
//! `BIRDSONG_SKIP_FRONTEND=1` leaves the page out, for machines without Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BIRDSONG_SKIP_FRONTEND");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("page");
    // Read when it runs: a target directory that two checkouts share holds one compiled build script for both.
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let frontend = folder.join("../../frontend");
    for input in ["index.html", "package-lock.json", "vite.config.js", "src", "public"] {
        println!("cargo::rerun-if-changed={}", frontend.join(input).display());
    }
    if std::env::var_os("BIRDSONG_SKIP_FRONTEND").is_some_and(|value| value != "0") {
        let page = "<!doctype html><title>Birdsong</title><p>This binary was built without its dashboard \
                    (BIRDSONG_SKIP_FRONTEND). The API is at /api/windows.";
        std::fs::create_dir_all(&out).expect("cargo's output folder can be written");
        std::fs::write(out.join("index.html"), page).expect("cargo's output folder can be written");
        return;
    }
    let lock = frontend.join("package-lock.json");
    let installed = frontend.join("node_modules/.package-lock.json");
    let modified = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    if modified(&installed).is_none_or(|at| Some(at) < modified(&lock)) {
        println!("cargo::warning=fetching the dashboard's packages (npm ci) …");
        npm(&frontend, &["ci", "--no-audit", "--no-fund"]);
    }
    println!("cargo::warning=building the dashboard (vite build) …");
    let out = out.display().to_string();
    npm(&frontend, &["run", "build", "--", "--outDir", &out, "--emptyOutDir"]);
}

fn npm(frontend: &Path, args: &[&str]) {
    match Command::new("npm").args(args).current_dir(frontend).output() {
        Ok(done) if done.status.success() => (),
        Ok(done) => fail(&format!(
            "`npm {}` failed in frontend/: {}{}",
            args.join(" "),
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        )),
        Err(error) => fail(&format!(
            "the dashboard needs npm ({error}): install Node.js 20 or newer, or set BIRDSONG_SKIP_FRONTEND=1 to build without the page"
        )),
    }
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}
