//! The dashboard's files, carried inside the binary.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use birdsong_api::answer::{entity_tag, is_known};
use birdsong_api::error::{ApiError, ErrorCode, foreign};
use include_dir::{Dir, include_dir};

static PAGE: Dir<'_> = include_dir!("$OUT_DIR/page");

/// Nothing but our own files; no inline script or style. CloudFront sends the same (`infra/modules/site/cdn.tf`).
const CONTENT_SECURITY_POLICY: [&str; 8] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
];

/// Who may show the page in a frame: sources of the directive `frame-ancestors`.
#[derive(Clone, Debug)]
pub(crate) struct FrameAncestors {
    /// The whole content policy.
    policy: HeaderValue,
}

impl FrameAncestors {
    /// Reads `'none'`, `'self'` and origins such as `https://example.org`, separated by spaces.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_origin = |source: &str| {
            let host = source.strip_prefix("https://").or_else(|| source.strip_prefix("http://"));
            host.is_some_and(|host| {
                !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:*[]".contains(c))
            })
        };
        let sources: Vec<_> = text.split_ascii_whitespace().collect();
        if let Some(other) =
            sources.iter().find(|source| !matches!(**source, "'none'" | "'self'") && !is_origin(source))
        {
            return Err(format!(
                "{other:?} is neither 'none' nor 'self' (with the quotes) nor an origin such as https://example.org"
            ));
        }
        if sources.is_empty() || (sources.contains(&"'none'") && sources.len() > 1) {
            return Err("write 'none' alone, or 'self' and origins, separated by spaces".into());
        }
        let policy = format!("{}; frame-ancestors {}", CONTENT_SECURITY_POLICY.join("; "), sources.join(" "));
        let policy = HeaderValue::from_str(&policy).map_err(|error| error.to_string())?;
        Ok(Self { policy })
    }
}

/// Below this, compression saves no packet.
const COMPRESSED_FROM: usize = 1024;

/// Compressed forms of the files, made at first use.
static COMPRESSED: LazyLock<HashMap<String, Forms>> = LazyLock::new(|| {
    let mut forms = HashMap::new();
    visit(&PAGE, &mut |path, bytes| _ = forms.insert(path.to_owned(), Forms::of(path, bytes)));
    forms
});

fn visit(dir: &Dir<'static>, each: &mut impl FnMut(&str, &'static [u8])) {
    dir.files()
        .filter_map(|file| Some((file.path().to_str()?, file)))
        .for_each(|(path, file)| each(path, file.contents()));
    dir.dirs().for_each(|dir| visit(dir, each));
}

/// A file as it is sent.
struct Forms {
    tag: String,
    content_type: &'static str,
    plain: &'static [u8],
    is_compressible: bool,
    brotli: OnceLock<Option<Bytes>>,
    gzip: OnceLock<Option<Bytes>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Forms {
    fn of(path: &str, plain: &'static [u8]) -> Self {
        let content_type = content_type(path);
        let is_text =
            content_type.starts_with("text/") || ["application/json", "image/svg+xml"].contains(&content_type);
        Self {
            tag: entity_tag(plain),
            content_type,
            plain,
            is_compressible: is_text && plain.len() >= COMPRESSED_FROM,
            brotli: OnceLock::new(),
            gzip: OnceLock::new(),
        }
    }

    /// The file in this coding, compressed once. Nothing when that fails or saves nothing.
    fn coded(&self, coding: Coding) -> Option<Bytes> {
        let smaller = |bytes: std::io::Result<Vec<u8>>| {
            bytes.ok().filter(|bytes| bytes.len() < self.plain.len()).map(Bytes::from)
        };
        match coding {
            Coding::Identity => None,
            Coding::Brotli => self.brotli.get_or_init(|| smaller(brotli(self.plain))).clone(),
            Coding::Gzip => self.gzip.get_or_init(|| smaller(gzip(self.plain))).clone(),
        }
    }
}

fn brotli(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let params = ::brotli::enc::BrotliEncoderParams { quality: 9, size_hint: plain.len(), ..Default::default() };
    let mut out = vec![];
    ::brotli::BrotliCompress(&mut &*plain, &mut out, &params)?;
    Ok(out)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::new(9));
    encoder.write_all(plain)?;
    encoder.finish()
}

/// The best coding that the caller accepts.
fn accepted(headers: &HeaderMap) -> Coding {
    let asked = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut best = Coding::Identity;
    for item in asked.flat_map(|value| value.split(',')) {
        let (name, quality) = item.split_once(';').unwrap_or((item, ""));
        let quality = quality.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        if !quality.is_ok_and(|quality| quality > 0.0) {
            continue;
        }
        match name.trim().to_ascii_lowercase().as_str() {
            "br" => return Coding::Brotli,
            "gzip" => best = Coding::Gzip,
            _ => (),
        }
    }
    best
}

/// Answers for every path that is not of the API.
pub(crate) async fn page(ancestors: &FrameAncestors, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = match file(&method, &uri, &headers).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, ancestors.policy.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn file(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Response, ApiError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::new(ErrorCode::MethodNotAllowed, "this path allows only GET and HEAD"));
    }
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path }.to_owned();
    let coding = accepted(headers);
    let found = {
        let path = path.clone();
        // Compression keeps the processor busy for a while, the first time.
        let look = move || {
            COMPRESSED.get(&path).map(|forms| (forms, forms.is_compressible.then(|| forms.coded(coding)).flatten()))
        };
        tokio::task::spawn_blocking(look).await
    };
    let found =
        found.map_err(|error| ApiError::new(ErrorCode::Internal, format!("the answer could not be made: {error}")))?;
    let Some((forms, coded)) = found else {
        let message = format!("the page {} does not exist; the dashboard is at /", foreign(uri.path()));
        return Err(ApiError::new(ErrorCode::UnknownPath, message));
    };
    let is_known = is_known(headers, &forms.tag);
    let name = coded.as_ref().map(|_| if coding == Coding::Brotli { "br" } else { "gzip" });
    let body = coded.unwrap_or_else(|| Bytes::from_static(forms.plain));
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(forms.content_type));
    if let Ok(tag) = HeaderValue::from_str(&forms.tag) {
        headers.insert(header::ETAG, tag);
    }
    if forms.is_compressible {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(name) = name.filter(|_| !is_known) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    // Vite puts a hash of the content into the names of its assets.
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    Ok(response)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> (StatusCode, HeaderMap, Bytes) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let response =
            page(&FrameAncestors::parse("'none'").unwrap(), Method::GET, path.parse().unwrap(), headers).await;
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, axum::body::to_bytes(body, 1 << 24).await.unwrap())
    }

    #[test]
    fn a_file_is_compressed_once_and_reads_the_same() {
        let plain: &'static [u8] = "birds of Paris ".repeat(500).leak().as_bytes();
        let forms = Forms::of("a.js", plain);
        let (gzip, brotli) = (forms.coded(Coding::Gzip).unwrap(), forms.coded(Coding::Brotli).unwrap());
        let (mut of_gzip, mut of_brotli) = (vec![], vec![]);
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut of_gzip).unwrap();
        ::brotli::Decompressor::new(&brotli[..], 4096).read_to_end(&mut of_brotli).unwrap();
        assert!(of_gzip == plain && of_brotli == plain && gzip.len() < 500 && brotli.len() < 500);
        assert_eq!(forms.coded(Coding::Gzip).unwrap().as_ptr(), gzip.as_ptr(), "kept");
        assert!(!Forms::of("a.png", plain).is_compressible);
        assert!(!Forms::of("a.js", &plain[..100]).is_compressible);
    }

    #[test]
    fn the_best_accepted_coding_is_used() {
        let of = |value: &str| accepted(&[(header::ACCEPT_ENCODING, value.parse().unwrap())].into_iter().collect());
        assert_eq!(of("gzip, deflate, br;q=0.1"), Coding::Brotli);
        assert_eq!(of("br;q=0, GZIP ; q=0.5"), Coding::Gzip);
        assert_eq!(of("deflate, gzip;q=x"), Coding::Identity);
        assert_eq!(accepted(&HeaderMap::new()), Coding::Identity);
    }

    #[tokio::test]
    async fn files_have_an_entity_tag_and_errors_the_one_shape() {
        let (status, headers, body) = get("/", &[]).await;
        assert!(status.is_success() && !body.is_empty());
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let (status, headers, body) = get("/index.html", &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(headers[header::ETAG], tag);
        // What happened: a page that was missing for a moment was missing for a year.
        let (status, headers, body) = get("/assets/gone.js", &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "unknown_path");
        let refused =
            page(&FrameAncestors::parse("'none'").unwrap(), Method::POST, "/".parse().unwrap(), HeaderMap::new()).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
    }

    #[tokio::test]
    async fn frames_are_allowed_as_configured() {
        let (_, headers, _) = get("/", &[]).await;
        assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().ends_with("; frame-ancestors 'none'"));
        let allowed = FrameAncestors::parse("'self'  https://news.example https://*.example.org:8443").unwrap();
        let response = page(&allowed, Method::GET, "/".parse().unwrap(), HeaderMap::new()).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.ends_with("; frame-ancestors 'self' https://news.example https://*.example.org:8443"),
            "{policy}"
        );
        for wrong in ["", "none", "'none' 'self'", "example.org", "https://a; script-src *", "https://", "*"] {
            assert!(FrameAncestors::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn cloudfront_sends_the_same_policy() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/modules/site/cdn.tf");
        let terraform = std::fs::read_to_string(path).unwrap();
        let (_, list) = terraform.split_once("content_security_policy = join(\"; \", [").unwrap();
        let (list, _) = list.split_once("])").unwrap();
        let directives: Vec<_> = list.lines().map(|line| line.trim().trim_matches([',', '"'])).collect();
        let directives: Vec<_> = directives.into_iter().filter(|line| !line.is_empty()).collect();
        let (last, others) = directives.split_last().unwrap();
        assert_eq!(others, CONTENT_SECURITY_POLICY);
        assert_eq!(*last, "frame-ancestors ${join(\" \", var.frame_ancestors)}");
    }
}
