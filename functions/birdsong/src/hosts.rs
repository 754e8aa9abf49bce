//! Which `Host` a request may name. A page of another site can make a browser resolve that site's name to
//! 127.0.0.1 (DNS rebinding) and read what listens there; the name in `Host` reveals it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Version, header, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use birdsong_api::error::{ApiError, ErrorCode, foreign};

/// The names under which a server may be asked.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// Only a server that the network cannot reach relies on the name.
    is_checked: bool,
    bound: IpAddr,
    more: Arc<[String]>,
}

impl Hosts {
    /// For a server on this address that may also be asked under these names.
    pub(crate) fn new(bound: SocketAddr, more: &[String]) -> Self {
        let more = more.iter().map(|name| bare(name).to_ascii_lowercase()).collect();
        Self { is_checked: bound.ip().is_loopback(), bound: bound.ip(), more }
    }

    /// Checks a request before anything else sees it.
    pub(crate) async fn check(State(hosts): State<Self>, request: Request, next: Next) -> Response {
        let authority = request.uri().authority().map(Authority::as_str);
        match hosts.refusal(request.headers(), authority, request.version()) {
            Some(error) => error.into_response(),
            None => next.run(request).await,
        }
    }

    fn refusal(&self, headers: &HeaderMap, authority: Option<&str>, version: Version) -> Option<ApiError> {
        if !self.is_checked {
            return None;
        }
        let named: Vec<_> =
            headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default()).collect();
        // Browsers always name one. HTTP/1.0 has no such header.
        if named.is_empty() && authority.is_none() && version != Version::HTTP_10 {
            return Some(ApiError::new(ErrorCode::BadRequest, "the request has no Host header"));
        }
        let wrong = named.into_iter().chain(authority).find(|host| !self.is_allowed(host))?;
        let message = format!(
            "this server does not answer to the name \"{}\"; use localhost, or start it with --allow-host NAME",
            foreign(wrong)
        );
        Some(ApiError::new(ErrorCode::ForbiddenHost, message))
    }

    fn is_allowed(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        // Whoever puts a user's name before it means to confuse.
        if authority.as_str().contains('@') {
            return false;
        }
        let name = bare(authority.host()).to_ascii_lowercase();
        let is_ours = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == self.bound);
        name == "localhost" || is_ours || self.more.contains(&name)
    }
}

/// A host without the brackets of an IPv6 address and without the dot of the root.
fn bare(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

// Rule 6.6.
#[cfg(test)]
mod tests {
    use super::*;

    fn status(hosts: &Hosts, host: Option<&str>, uri: Option<&str>, version: Version) -> u16 {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().unwrap());
        }
        hosts.refusal(&headers, uri, version).map_or(200, |error| error.into_response().status().as_u16())
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_answered() {
        let hosts = Hosts::new("127.0.0.1:8080".parse().unwrap(), &["Birds.Example".into(), "[2001:db8::1]".into()]);
        let of = |host| status(&hosts, Some(host), None, Version::HTTP_11);
        for good in [
            "localhost",
            "LocalHost:8080",
            "localhost.:1",
            "127.0.0.1",
            "127.9.8.7:65535",
            "[::1]",
            "[::1]:8080",
            "birds.example",
            "BIRDS.example:443",
            "[2001:db8::1]:80",
        ] {
            assert_eq!(of(good), 200, "{good}");
        }
        for bad in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "",
            ":8080",
            "localhost@evil.example",
            "evil@localhost",
            "localhost:80:80",
            "local host",
            "2130706433",
            "0.0.0.0",
        ] {
            assert_eq!(of(bad), 403, "{bad}");
        }
    }

    #[test]
    fn a_host_may_be_missing_only_in_http_1_0_and_the_address_counts_too() {
        let hosts = Hosts::new("[::1]:8080".parse().unwrap(), &[]);
        assert_eq!(status(&hosts, None, None, Version::HTTP_10), 200);
        assert_eq!(status(&hosts, None, None, Version::HTTP_11), 400);
        assert_eq!(status(&hosts, Some("localhost"), Some("evil.example"), Version::HTTP_11), 403);
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost".parse().unwrap());
        twice.append(header::HOST, "evil.example".parse().unwrap());
        assert!(hosts.refusal(&twice, None, Version::HTTP_11).is_some());
    }

    #[test]
    fn what_listens_to_the_network_is_asked_under_any_name() {
        let hosts = Hosts::new("0.0.0.0:8080".parse().unwrap(), &[]);
        assert_eq!(status(&hosts, Some("birds.example"), None, Version::HTTP_11), 200);
    }
}
