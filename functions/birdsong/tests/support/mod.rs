//! What several tests of the real binary share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use birdsong_sources::fake::{Order, Started};
use birdsong_sources::source::KINDS;
use serde_json::Value;

/// Runs the program until it ends, with the key of its data folder.
pub(crate) fn birdsong(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_birdsong")).args(args).env_remove("BIRDSONG_AUTHOR_KEY").output().unwrap()
}

/// A process that is killed at the end, and its output.
pub(crate) struct Running {
    pub(crate) child: Child,
    said: Arc<Mutex<String>>,
}

impl Running {
    pub(crate) fn start(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_birdsong"));
        Self::spawn(command.args(args).envs(environment.iter().copied()))
    }

    /// With an input that stays open and empty.
    pub(crate) fn start_with_input(args: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_birdsong")).args(args).stdin(Stdio::piped()))
    }

    pub(crate) fn start_program(program: &str, args: &[&str]) -> Self {
        Self::spawn(Command::new(program).args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let hears = said.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| *hears.lock().unwrap() += &(line + "\n"))
        });
        Self { child, said }
    }

    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has printed `before` and a port number.
    pub(crate) fn port_behind(&self, before: &str) -> String {
        wait_until(&format!("{before:?} in {}", self.said()), || {
            let said = self.said();
            let (_, rest) = said.split_once(before)?;
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (port.len() < rest.len()).then_some(port)
        })
    }
}

/// The fake server of a kind of source, in this process.
pub(crate) struct FakeServer {
    /// The address of the source that reads from it.
    pub(crate) source: String,
    pub(crate) environment: Vec<(&'static str, String)>,
    _runtime: tokio::runtime::Runtime,
}

impl FakeServer {
    pub(crate) fn start(kind: &str) -> Self {
        Self::with(kind, "normal", &[])
    }

    pub(crate) fn with(kind: &str, script: &str, switches: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let since = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let order = Order {
            script: script.into(),
            switches: switches.iter().map(|switch| (*switch).to_owned()).collect(),
            rate: 40,
            seed: 1,
            clock: Arc::new(move || since(std::time::SystemTime::now()) as i64),
        };
        let kind = KINDS.iter().find(|other| other.scheme == kind).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let _entered = runtime.enter();
        let Started { source, environment, serving } = (kind.fake.unwrap().start)(&order, listener);
        runtime.spawn(serving);
        drop(_entered);
        Self { source, environment, _runtime: runtime }
    }

    pub(crate) fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// `http://127.0.0.1:PORT` of its address.
    pub(crate) fn url(&self) -> String {
        let (_, url) = self.source.split_once("url=").unwrap();
        url.split('&').next().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait_until<T>(what: &str, mut is_there: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = is_there() {
            return found;
        }
        assert!(Instant::now() < patience, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Running {
    /// Ends it as a service manager does, and returns the time that it needed.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        let (pid, began) = (self.child.id().to_string(), Instant::now());
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        (self.child.wait().unwrap(), began.elapsed())
    }
}

/// Status code and body.
pub(crate) fn get(port: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) fn get_json(port: &str, path: &str) -> Value {
    let (status, body) = get(port, path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}
