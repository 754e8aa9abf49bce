//! The dashboard's files, carried inside the binary.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use include_dir::{Dir, include_dir};

static PAGE: Dir<'_> = include_dir!("$OUT_DIR/page");

/// Nothing but our own files; no inline script or style.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
                                       frame-ancestors 'none'; form-action 'none'";

/// Adds the page to the API.
pub(crate) fn with_page(api: Router) -> Router {
    api.fallback(page).layer(tower_http::compression::CompressionLayer::new())
}

async fn page(method: Method, uri: Uri) -> Response<Body> {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let (status, content_type, body) = match PAGE.get_file(path) {
        _ if method != Method::GET && method != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "this page can only be read\n".as_bytes())
        }
        Some(file) => (StatusCode::OK, content_type(path), file.contents()),
        None => (StatusCode::NOT_FOUND, "text/plain", "there is no such page; the dashboard is at /\n".as_bytes()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Vite puts a hash of the content into the names of its assets.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
