//! From the address of a Jetstream host to a websocket.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// Longest message that a connection survives; a longer one breaks it. Four times the readable size, so
/// that a message that is somewhat too long is quarantined alone.
pub(super) const MAX_FRAME_BYTES: usize = 4 << 20;

/// Makes connections, so that a test can put its own server at the other end.
pub trait Dial: Send + Sync {
    /// A connection; TLS is laid over it.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects to a port of a host.
    ///
    /// # Errors
    /// When there is no connection.
    fn dial(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The network.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Dial for Tcp {
    type Stream = TcpStream;

    async fn dial(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        TcpStream::connect((host, port)).await
    }
}

/// A Jetstream host.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Without the path.
    address: String,
    pub(super) name: String,
    port: u16,
}

impl Host {
    /// `wss://name[:port]`, or `ws://` for a server on this machine.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let address = address.trim().trim_end_matches('/');
        let uri: Uri = address.parse().ok()?;
        let port = match uri.scheme_str()? {
            "wss" => 443,
            "ws" => 80,
            _ => return None,
        };
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let name = uri.host().filter(|_| is_bare)?.trim_matches(['[', ']']).to_owned();
        Some(Self { address: address.to_owned(), name, port: uri.port_u16().unwrap_or(port) })
    }
}

/// TLS with the roots and the crypto provider that are built in.
pub(super) fn tls() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Opens the websocket of this path and query at `host`.
pub(super) async fn open<D: Dial>(
    dial: &D,
    tls: &Arc<rustls::ClientConfig>,
    host: &Host,
    path: &str,
) -> Result<WebSocketStream<MaybeTlsStream<D::Stream>>, Error> {
    let stream = dial.dial(&host.name, host.port).await?;
    let uri: Uri = format!("{}{path}", host.address).parse()?;
    let request =
        ClientRequestBuilder::new(uri).with_header("User-Agent", concat!("birdsong/", env!("CARGO_PKG_VERSION")));
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_FRAME_BYTES)).max_frame_size(Some(MAX_FRAME_BYTES));
    let connector = Connector::Rustls(tls.clone());
    Ok(client_async_tls_with_config(request, stream, Some(limits), Some(connector)).await?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_a_port_and_no_path() {
        for (address, found) in [
            ("wss://jetstream1.us-east.bsky.network", Some(("jetstream1.us-east.bsky.network", 443))),
            (" ws://127.0.0.1:8000/ ", Some(("127.0.0.1", 8000))),
            ("ws://[::1]:8000", Some(("::1", 8000))),
            ("wss://host/subscribe", None),
            ("https://host", None),
            ("host", None),
            ("", None),
        ] {
            let host = Host::parse(address);
            assert_eq!(host.as_ref().map(|host| (&*host.name, host.port)), found, "{address}");
        }
    }

    #[test]
    fn tls_can_be_set_up() {
        assert!(tls().is_ok());
    }
}
