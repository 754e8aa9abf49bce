//! The web server: time-outs and limits, so that no client can block the others or use up what the rest of the
//! program needs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use birdsong_api::error::{ApiError, ErrorCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::hosts::Hosts;
use crate::page::{FrameAncestors, page};

/// Limits of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Open connections: a quarter of the file descriptors that a process usually gets.
    pub(crate) connections: usize,
    /// Time limit for the head of a request, and for an idle connection.
    pub(crate) head: Duration,
    /// How long a request may be worked on.
    pub(crate) work: Duration,
    /// Time limit for a client to read 64 KiB of its answer.
    pub(crate) stall: Duration,
    /// Longest path and query, in bytes.
    pub(crate) uri_bytes: usize,
    /// Names and values of all headers, in bytes.
    pub(crate) header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(20),
            work: Duration::from_secs(30),
            stall: Duration::from_secs(20),
            uri_bytes: 8 << 10,
            header_bytes: 16 << 10,
        }
    }
}

/// Connections beyond the limit that get an answer; further ones are closed without.
const REFUSALS: usize = 16;
/// Time limit of such an answer.
const REFUSAL: Duration = Duration::from_secs(1);
/// Pause after the system had no connection for us, such as when it has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Buffer of a connection. The minimum of hyper is 8 KiB.
const BUFFER_BYTES: usize = 64 << 10;
/// Brotli and gzip at this level need a tenth of the time of the best, for a tenth more bytes.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

/// The API and the page, asked under these names only.
pub(crate) fn with_page(api: Router, ancestors: FrameAncestors, hosts: Hosts, limits: Limits) -> Router {
    let api = api.layer(CompressionLayer::new().quality(LEVEL));
    let fallback =
        async move |method: Method, uri: Uri, headers: HeaderMap| page(&ancestors, method, uri, headers).await;
    checked(api.fallback(fallback), hosts, limits)
}

/// Checks names, sizes and time before a router sees a request.
pub(crate) fn checked(router: Router, hosts: Hosts, limits: Limits) -> Router {
    router.layer(from_fn_with_state(hosts, Hosts::check)).layer(from_fn_with_state(limits, bounded))
}

async fn bounded(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let error = |code, message| ApiError::new(code, message).into_response();
    let uri_bytes = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri_bytes > limits.uri_bytes {
        let message = format!("the address is longer than {} bytes", limits.uri_bytes);
        return error(ErrorCode::UriTooLong, message);
    }
    let header_bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > limits.header_bytes {
        let message = format!("the headers are longer than {} bytes", limits.header_bytes);
        return error(ErrorCode::HeadersTooLarge, message);
    }
    tokio::time::timeout(limits.work, next.run(request))
        .await
        .unwrap_or_else(|_| error(ErrorCode::Overloaded, "the answer took too long; try again later".to_owned()))
}

/// Answers on a listener until `stop`, and then ends connections that are idle at once and the others after
/// their answer.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let (close, closing) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            open.spawn(connection(stream, router.clone(), limits, closing.clone(), place));
        } else if let Ok(place) = refusals.clone().try_acquire_owned() {
            open.spawn(async move {
                let _place = place;
                let _ = tokio::time::timeout(REFUSAL, refuse(stream)).await;
            });
        }
    }
    drop(listener);
    let _ = close.send(true);
    while open.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are written whole; there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, limits.stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { _ = closing.wait_for(|closing| *closing).await } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}

/// Says that there is no place.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let body = r#"{"error":{"code":"overloaded","message":"too many connections; try again later","parameter":null}}"#;
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nretry-after: 2\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await?;
    stream.shutdown().await?;
    // The answer is lost when a connection is closed on bytes that were not read.
    let mut unread = [0; 1024];
    for _ in 0..64 {
        if stream.read(&mut unread).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A stream whose other end must read its answer: 64 KiB in each `stall`, or all that there is.
struct Patient<S> {
    stream: S,
    stall: Duration,
    /// When patience ends, while the other end is behind.
    until: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl<S> Patient<S> {
    fn new(stream: S, stall: Duration) -> Self {
        Self { stream, stall, until: None, taken: 0 }
    }

    fn wrote(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(n)) => {
                self.taken += n;
                if self.taken >= BUFFER_BYTES {
                    self.until = None;
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let until = self.until.get_or_insert_with(|| {
                    self.taken = 0;
                    Box::pin(tokio::time::sleep_until(Instant::now() + self.stall))
                });
                ready!(until.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        // The next request: the answer before it was read.
        if into.filled().len() > before {
            self.until = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

// Rule 8.2.
#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    /// How long a test waits for what it does not time.
    const PATIENCE: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(200);
    const ASK: &str = "GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";

    struct Running {
        address: SocketAddr,
        stop: Option<oneshot::Sender<()>>,
        serving: JoinHandle<()>,
    }

    impl Running {
        async fn start(limits: Limits) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let router = Router::new()
                .route("/small", get(|| async { "small" }))
                .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
                .route("/long", get(std::future::pending::<()>));
            let router = with_page(router, FrameAncestors::parse("'none'").unwrap(), Hosts::new(address, &[]), limits);
            let (stop, stopped) = oneshot::channel();
            let serving = tokio::spawn(serve(listener, router, limits, async { _ = stopped.await }));
            Self { address, stop: Some(stop), serving }
        }

        async fn send(&self, text: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            stream
        }

        /// Status and full text of an answer to a request whose connection the server closes.
        async fn ask(&self, text: &str) -> (String, String) {
            let answer = rest(self.send(text).await).await;
            (answer.split(' ').nth(1).unwrap_or_default().to_owned(), answer)
        }
    }

    /// What comes until the server closes the connection.
    async fn rest(mut stream: TcpStream) -> String {
        let mut answer = vec![];
        // Closed with what was not read is as good.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("no end");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn closing(request: &str) -> String {
        request.replacen("\r\n", "\r\nConnection: close\r\n", 1)
    }

    /// What happened: of 500 half requests 500 were open after 40 s.
    #[tokio::test]
    async fn half_requests_and_idle_connections_are_closed() {
        let running = Running::start(Limits { head: SHORT, ..Limits::default() }).await;
        assert_eq!(rest(running.send("GET /small HT").await).await, "");
        assert_eq!(rest(running.send("").await).await, "");
        let answer = rest(running.send(ASK).await).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("small"), "{answer}");
    }

    /// What happened: 1,100 half requests used up all file descriptors, also those of the sources.
    #[tokio::test]
    async fn connections_beyond_the_limit_are_refused_at_once() {
        let running = Running::start(Limits { connections: 2, ..Limits::default() }).await;
        let held = [running.send("GET").await, running.send("").await];
        // Accepted in order, so that those two have their places.
        let (status, answer) = running.ask(ASK).await;
        assert_eq!(status, "503", "{answer}");
        assert!(answer.contains("retry-after: 2") && answer.contains(r#"{"error":{"code":"overloaded""#), "{answer}");
        drop(held);
        let began = Instant::now();
        while running.ask(&closing(ASK)).await.0 != "200" {
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_loses_its_place() {
        let running = Running::start(Limits { connections: 1, stall: SHORT, ..Limits::default() }).await;
        let _deaf = running.send(&ASK.replace("small", "large")).await;
        let began = Instant::now();
        while running.ask(&closing(ASK)).await.0 != "200" {
            assert!(began.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn errors_of_the_server_have_the_one_shape() {
        let limits = Limits { work: SHORT, uri_bytes: 100, header_bytes: 1000, ..Limits::default() };
        let running = Running::start(limits).await;
        let ask = closing(ASK);
        for (request, status, code) in [
            (ask.replace("localhost", "evil.example"), "403", "forbidden_host"),
            (ask.replace("small", &"x".repeat(100)), "414", "uri_too_long"),
            (
                ask.replace("localhost", &format!("localhost\r\nCookie: {}", "x".repeat(1000))),
                "431",
                "headers_too_large",
            ),
            (ask.replace("small", "long"), "503", "overloaded"),
            (ask.replace("small", "gone"), "404", "unknown_path"),
            (ask.replace("GET", "DELETE").replace("small", "x"), "405", "method_not_allowed"),
        ] {
            let (found, answer) = running.ask(&request).await;
            assert_eq!(found, status, "{answer}");
            assert!(answer.contains(&format!(r#"{{"error":{{"code":"{code}","message":""#)), "{answer}");
            assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
            assert!(answer.contains("cache-control: no-store"), "{answer}");
        }
        assert_eq!(running.ask(&ask).await.0, "200");
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_and_finishes_answers() {
        let mut running = Running::start(Limits::default()).await;
        let idle = running.send("").await;
        let mut used = running.send(ASK).await;
        let mut first = [0; 12];
        used.read_exact(&mut first).await.unwrap();
        let large = running.send(&ASK.replace("small", "large")).await;
        let mut begun = [0; 12];
        large.peek(&mut begun).await.unwrap();
        running.stop.take().unwrap().send(()).unwrap();
        let (idle, used, large) = tokio::join!(rest(idle), rest(used), rest(large));
        assert!(idle.is_empty() && used.ends_with("small"), "{used}");
        assert!(large.len() > 64 << 20, "{} bytes", large.len());
        tokio::time::timeout(PATIENCE, running.serving).await.expect("the server ends").unwrap();
    }

    #[tokio::test]
    async fn answers_of_the_api_are_compressed() {
        let running = Running::start(Limits::default()).await;
        for coding in ["br", "gzip"] {
            let ask = closing(&ASK.replace("small", "large")).replacen(
                "\r\n",
                &format!("\r\nAccept-Encoding: {coding}\r\n"),
                1,
            );
            let (status, answer) = running.ask(&ask).await;
            assert_eq!(status, "200");
            assert!(answer.contains(&format!("content-encoding: {coding}")) && answer.len() < 1 << 20, "{coding}");
        }
    }
}
