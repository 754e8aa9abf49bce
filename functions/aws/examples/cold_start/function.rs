//! A function's process, and the Runtime API that it asks for work.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http::{self, Request};

/// Longer than anything here should last.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running function; killed when it is dropped.
pub(crate) struct Function {
    child: Child,
    events: Sender<String>,
    steps: Receiver<Step>,
}

enum Step {
    /// It asks for an event.
    Polled(Instant),
    /// The event is on its way.
    Sent(Instant),
    /// Its answer came.
    Answered(Instant, Result<String, String>),
}

impl Function {
    /// Starts a binary with nothing but these variables and Lambda's own; returns the time until it asked
    /// for its first event.
    pub(crate) fn start(binary: &Path, environment: &[(&str, String)]) -> Result<(Self, Duration)> {
        let (events, waiting) = channel();
        let (steps_out, steps) = channel();
        let runtime = runtime_api(waiting, steps_out)?;
        let mut command = Command::new(binary);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
        let function = Self { child, events, steps };
        match function.steps.recv_timeout(PATIENCE) {
            Ok(Step::Polled(at)) => Ok((function, at - begin)),
            _ => bail!("{} did not ask for an event", binary.display()),
        }
    }

    /// Gives it an event; the answer, and the time from one to the other.
    pub(crate) fn invoke(&self, event: String) -> Result<(String, Duration)> {
        self.events.send(event).context("the function ended")?;
        let mut sent = None;
        loop {
            match self.steps.recv_timeout(PATIENCE).context("the function did not answer")? {
                Step::Polled(_) => (),
                Step::Sent(at) => sent = Some(at),
                Step::Answered(at, answer) => {
                    let answer = answer.map_err(|error| anyhow::anyhow!("the function failed: {error}"))?;
                    return Ok((answer, at - sent.context("an answer to no event")?));
                }
            }
        }
    }

    /// The most memory that it had, in KB.
    pub(crate) fn peak_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runtime_api(waiting: Receiver<String>, steps_out: Sender<Step>) -> io::Result<SocketAddr> {
    let waiting = Mutex::new(waiting);
    http::serve(move |request: &Request| {
        let now = Instant::now();
        if request.line.contains("/invocation/next ") {
            let _ = steps_out.send(Step::Polled(now));
            let event = waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
            // Without an event the measurement has ended, and the process is about to be killed.
            let Some(event) = event else { return vec![] };
            let headers = "lambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: 4102444800000\r\n\
                           lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n\
                           content-type: application/json\r\n";
            let response = http::response("200 OK", headers, event.as_bytes());
            let _ = steps_out.send(Step::Sent(Instant::now()));
            return response;
        }
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let answer = if request.line.contains("/response ") { Ok(body) } else { Err(body) };
        let _ = steps_out.send(Step::Answered(now, answer));
        http::response("202 Accepted", "", b"")
    })
}
