//! `GET /metrics` for Prometheus, on a port of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use birdsong_domain::frame::Ledger;
use birdsong_domain::metrics::prometheus::{CONTENT_TYPE, Text};
use birdsong_domain::metrics::{aggregator, digest, http, process, source};
use birdsong_streamer::status::StatusRegistry;
use clap::Args;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::digest::Digested;
use crate::hosts::Hosts;
use crate::machine::Folded;
use crate::{metrics, now_ms, serve};

/// The port that OpenTelemetry's exporters have.
const DEFAULT_PORT: u16 = 9464;
/// Connections, of which a scraper opens one.
const CONNECTIONS: usize = 16;
/// Upper bounds of the durations of answers, in milliseconds.
const BOUNDS_MS: [f64; 12] = [0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 5_000.0];
/// Classes of status codes.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Args)]
pub(crate) struct PrometheusArgs {
    /// Port of GET /metrics for Prometheus; 0 chooses any free one, off disables it [default: 9464]
    #[arg(long, value_name = "PORT", value_parser = parse_port, env = "BIRDSONG_METRICS_PORT")]
    metrics_port: Option<MetricsPort>,
    /// Address that GET /metrics listens on; anything but loopback shows it to the network
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", env = "BIRDSONG_METRICS_HOST")]
    metrics_host: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricsPort {
    Off,
    On(u16),
}

fn parse_port(text: &str) -> Result<MetricsPort, String> {
    match text {
        "off" => Ok(MetricsPort::Off),
        _ => text.parse().map(MetricsPort::On).map_err(|_| "expected a port such as 9464, 0 or off".to_owned()),
    }
}

impl PrometheusArgs {
    /// Listens; `None` when it is off, or when nobody chose the port and it is taken.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(crate) async fn listen(&self) -> Result<Option<TcpListener>> {
        let port = match self.metrics_port {
            Some(MetricsPort::Off) => return Ok(None),
            Some(MetricsPort::On(port)) => port,
            None => DEFAULT_PORT,
        };
        let address = SocketAddr::new(self.metrics_host, port);
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && self.metrics_port.is_none() => {
                tracing::warn!(
                    "port {port} is used by another program, so there is no /metrics; choose another port with \
                     --metrics-port, or off"
                );
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                "port {port} is used by another program: choose another port for /metrics with --metrics-port, or off"
            ),
            Err(error) => Err(error).with_context(|| format!("cannot listen on {address} for /metrics")),
        }
    }
}

/// The parts of the process that count something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// Start of the process, in milliseconds since 1970.
    pub(crate) started_ms: i64,
    /// Its sources.
    pub(crate) status: Arc<StatusRegistry>,
    /// Its aggregator, digest and web server, if it has them.
    pub(crate) folded: Option<Arc<Folded>>,
    pub(crate) digested: Option<Arc<Digested>>,
    pub(crate) answered: Option<Arc<Answered>>,
}

impl Parts {
    /// All metrics as text.
    fn text(&self, now_ms: i64) -> String {
        let mut text = Text::default();
        text.add(&process::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.into());
        text.add(&process::START, &[], self.started_ms.into());
        for entry in self.status.entries() {
            let samples = metrics::samples(&entry, Ledger::default(), now_ms);
            text.add_all(&source::GROUP, &[&entry.state.source], &samples);
        }
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        if let Some(folded) = &self.folded {
            let late = now(&folded.late);
            let samples = [
                (&aggregator::RECORDS, now(&folded.records).into()),
                (&aggregator::POSTS, (now(&folded.aggregated) + late).into()),
                (&aggregator::LATE, late.into()),
                (&aggregator::CONFLICTS, now(&folded.conflicts).into()),
                (&aggregator::QUARANTINED, now(&folded.dead).into()),
                (&aggregator::PARTIALS, now(&folded.stored).into()),
                (&aggregator::LAG, folded.lag_ms.load(Ordering::Relaxed).into()),
                (&aggregator::BLOCKED, folded.problem().is_some().into()),
            ];
            text.add_all(&aggregator::GROUP, &[], &samples);
        }
        if let Some(digested) = &self.digested {
            let samples = [
                (&digest::RUNS, now(&digested.runs).into()),
                (&digest::FAILURES, now(&digested.failures).into()),
                (&digest::REDONE, now(&digested.redone).into()),
                (&digest::ROLLUPS, now(&digested.rollups).into()),
                (&digest::CONFLICTS, now(&digested.conflicts).into()),
                (&digest::DURATION, now(&digested.duration_ms).into()),
            ];
            text.add_all(&digest::GROUP, &[], &samples);
            let ended_ms = digested.ended_ms.load(Ordering::Relaxed);
            if ended_ms > 0 {
                text.add(&digest::LAST_SUCCESS, &[], ended_ms.into());
            }
        }
        if let Some(answered) = &self.answered {
            answered.write(&mut text);
        }
        text.finish()
    }

    /// Serves the metrics until the runtime ends.
    ///
    /// # Errors
    /// When the system does not know the address of the listener.
    pub(crate) fn serve(self, listener: TcpListener) -> io::Result<()> {
        let address = listener.local_addr()?;
        let metrics = move || {
            let headers = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
            std::future::ready((headers, self.text(now_ms())))
        };
        let nothing = async || (StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
        let router = Router::new().route("/metrics", get(metrics)).fallback(nothing);
        let limits = serve::Limits { connections: CONNECTIONS, ..serve::Limits::default() };
        let router = serve::checked(router, Hosts::new(address, &[]), limits);
        tokio::spawn(serve::serve(listener, router, limits, std::future::pending()));
        tracing::info!("metrics at http://{address}/metrics");
        Ok(())
    }
}

/// What the web server has answered.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    classes: [AtomicU64; CLASSES.len()],
    /// Numbers of answers up to each bound, and beyond the last one.
    durations: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_us: AtomicU64,
}

impl Answered {
    /// The router, whose answers are counted.
    pub(crate) fn count(self: &Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), counted))
    }

    fn add(&self, status: StatusCode, duration: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        let ms = duration.as_secs_f64() * 1000.0;
        let bucket = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn write(&self, text: &mut Text) {
        for (class, count) in CLASSES.iter().zip(&self.classes) {
            text.add(&http::RESPONSES, &[("class", class)], count.load(Ordering::Relaxed).into());
        }
        let counts: Vec<_> = self.durations.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let buckets: Vec<_> = BOUNDS_MS.into_iter().zip(counts.iter().copied()).collect();
        let beyond = counts.last().copied().unwrap_or_default();
        let sum_ms = self.sum_us.load(Ordering::Relaxed) as f64 / 1000.0;
        text.add_histogram(&http::DURATION, &buckets, beyond, sum_ms);
    }
}

async fn counted(State(answered): State<Arc<Answered>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    answered.add(response.status(), started.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use birdsong_domain::metrics::{GROUPS, Kind};
    use birdsong_domain::status::SourceStatus;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn all_parts() -> Parts {
        let status = StatusRegistry::default();
        status.update("mastodon:a", |state| {
            (state.status, state.spent_dollars, state.gaps) = (SourceStatus::Connected, Some(1.5), 2);
        });
        let digested = Digested::default();
        digested.ended_ms.store(1_700_000_000_750, Ordering::Relaxed);
        Parts {
            started_ms: 1_700_000_000_500,
            status: Arc::new(status),
            folded: Some(Arc::default()),
            digested: Some(Arc::new(digested)),
            answered: Some(Arc::default()),
        }
    }

    #[test]
    fn a_port_is_a_number_or_off() {
        assert_eq!(parse_port("0"), Ok(MetricsPort::On(0)));
        assert_eq!(parse_port("off"), Ok(MetricsPort::Off));
        for bad in ["65536", "-1", "none", ""] {
            assert!(parse_port(bad).unwrap_err().contains("off"), "{bad}");
        }
    }

    /// No metric of the table is forgotten. The lag of a source is there once a post is.
    #[test]
    fn every_metric_of_the_table_is_in_the_text() {
        let text = all_parts().text(1_700_000_001_000);
        let of_text: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let mut of_table = BTreeSet::new();
        for metric in GROUPS.iter().flat_map(|group| group.metrics) {
            let kind = match metric.kind {
                Kind::Counter | Kind::Sum => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            of_table.extend(metric.prometheus.map(|name| format!("{name} {kind}")));
        }
        of_table.remove("birdsong_source_lag_seconds gauge");
        assert_eq!(of_text, of_table.iter().map(String::as_str).collect());
    }

    #[test]
    fn values_are_those_of_the_parts() {
        let parts = all_parts();
        let folded = parts.folded.as_ref().unwrap();
        folded.aggregated.store(7, Ordering::Relaxed);
        folded.late.store(3, Ordering::Relaxed);
        parts.digested.as_ref().unwrap().duration_ms.store(250, Ordering::Relaxed);
        let answered = parts.answered.as_ref().unwrap();
        answered.add(StatusCode::OK, Duration::from_micros(400));
        answered.add(StatusCode::NOT_MODIFIED, Duration::from_millis(7));
        answered.add(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(30));
        let text = parts.text(1_700_000_001_000);
        for line in [
            concat!("birdsong_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "process_start_time_seconds 1700000000.5",
            "birdsong_source_connected{source=\"mastodon:a\"} 1",
            "birdsong_source_spent_dollars{source=\"mastodon:a\"} 1.5",
            "birdsong_source_gaps_total{source=\"mastodon:a\"} 2",
            "birdsong_aggregator_posts_total 10",
            "birdsong_aggregator_late_posts_total 3",
            "birdsong_aggregator_blocked 0",
            "birdsong_digest_duration_seconds 0.25",
            "birdsong_digest_last_success_timestamp_seconds 1700000000.75",
            "birdsong_http_responses_total{class=\"2xx\"} 1",
            "birdsong_http_responses_total{class=\"3xx\"} 1",
            "birdsong_http_responses_total{class=\"4xx\"} 0",
            "birdsong_http_responses_total{class=\"5xx\"} 1",
            "birdsong_http_response_duration_seconds_bucket{le=\"0.0005\"} 1",
            "birdsong_http_response_duration_seconds_bucket{le=\"0.01\"} 2",
            "birdsong_http_response_duration_seconds_bucket{le=\"5\"} 2",
            "birdsong_http_response_duration_seconds_bucket{le=\"+Inf\"} 3",
            "birdsong_http_response_duration_seconds_sum 30.0074",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn only_get_and_head_of_metrics_are_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        all_parts().serve(listener).unwrap();
        let answer = ask(address, "GET /metrics").await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\r\n\r\n# HELP birdsong_build_info"),
            "{answer}"
        );
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(!answer.contains("access-control"), "{answer}");
        let head = ask(address, "HEAD /metrics").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
        for (request, status) in [("POST /metrics", "405"), ("GET /", "404"), ("GET /metrics/x", "404")] {
            let answer = ask(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
    }

    #[tokio::test]
    async fn the_default_port_may_be_taken_and_a_chosen_one_may_not() {
        let args = |metrics_port| PrometheusArgs { metrics_port, metrics_host: IpAddr::from([127, 0, 0, 1]) };
        // Held here, unless something else on this machine has it.
        let _held = TcpListener::bind(("127.0.0.1", DEFAULT_PORT)).await;
        assert!(args(None).listen().await.unwrap().is_none());
        let error = args(Some(MetricsPort::On(DEFAULT_PORT))).listen().await.unwrap_err().to_string();
        assert!(error.contains("9464") && error.contains("--metrics-port"), "{error}");
        assert!(args(Some(MetricsPort::Off)).listen().await.unwrap().is_none());
        let free = args(Some(MetricsPort::On(0))).listen().await.unwrap().unwrap();
        assert!(free.local_addr().unwrap().ip().is_loopback());
    }
}
