//! What is no part of the API for programs that read counts: Atom feeds of events, and notes that people add.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use birdsong_digest::notes::{self, NoteError};
use birdsong_digest::revisions::Revisions;
use birdsong_domain::event::text::Language;
use birdsong_domain::event::{Event, EventKind};
use birdsong_domain::lane::STREAM;
use birdsong_domain::ports::DocumentStore;
use birdsong_domain::region::Region;
use birdsong_domain::rollup::DAY_MS;
use birdsong_domain::trend::Sensitivity;
use serde::Deserialize;

use crate::answer::{self, Fresh};
use crate::error::{ApiError, ErrorCode, foreign};
use crate::events::{EventReport, EventsQuery, read};
use crate::feeds::{Feed, atom};
use crate::params;

/// Days in a feed.
const FEED_DAYS: i64 = 7;
/// Largest request that adds a note, in bytes.
const MAX_NOTE_BYTES: usize = 4096;

/// The inputs of these paths.
pub struct Extras<S> {
    /// The store of the events and notes.
    pub store: Arc<S>,
    /// The regions.
    pub regions: Arc<Vec<Region>>,
    /// The clock, in milliseconds since 1970.
    pub now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Address of the dashboard, for links, without a slash at its end.
    pub public_url: String,
    /// What callers must send as a bearer token to add a note; `None`: nobody can.
    pub notes_token: Option<String>,
}

/// The paths `/feeds/REGION.atom`, also below `/api`, and `POST /api/notes`.
pub fn extras<S: DocumentStore + 'static>(extras: Extras<S>) -> Router {
    let feed = || get(feed::<S>).fallback(crate::wrong_method);
    Router::new()
        .route("/feeds/{file}", feed())
        .route("/api/feeds/{file}", feed())
        .route("/api/notes", post(add_note::<S>).fallback(only_post))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_NOTE_BYTES))
        .with_state(Arc::new(extras))
}

async fn only_post() -> Response {
    let message = "this path allows only POST; /api/events?kind=note lists notes";
    let mut response = ApiError::new(ErrorCode::MethodNotAllowed, message).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn feed<S: DocumentStore + 'static>(
    State(extras): State<Arc<Extras<S>>>,
    Path(file): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut named = params::named(query.as_deref(), &["language"])?;
    let language = match named.remove("language").as_deref() {
        None | Some("en") => Language::English,
        Some("fr") => Language::French,
        Some(other) => return Err(params::bad("language", format!("\"{}\" is not en or fr", foreign(other)))),
    };
    let region = |name: &str| extras.regions.iter().find(|region| region.id == name);
    let asked = file.strip_suffix(".atom").unwrap_or_default();
    let (title, mut regions) = match (asked, region(asked)) {
        (_, Some(region)) => (format!("Birdsong: {}", region.name), vec![region.id.clone()]),
        ("all", None) => ("Birdsong".to_owned(), extras.regions.iter().map(|region| region.id.clone()).collect()),
        _ => {
            let message =
                format!("there is no feed {}; there are /feeds/all.atom and /feeds/REGION.atom", foreign(&file));
            return Err(ApiError::new(ErrorCode::UnknownPath, message));
        }
    };
    regions.push(STREAM.to_owned());
    let to_ms = (extras.now_ms)() + 1;
    let query = EventsQuery {
        regions,
        range: (to_ms - FEED_DAYS * DAY_MS, to_ms),
        kinds: EventKind::ALL.to_vec(),
        theta_milli: Sensitivity::Balanced.theta_milli(),
    };
    let events = read(&*extras.store, &query).await?;
    let self_url = format!("{}/feeds/{file}", extras.public_url);
    let about = Feed { title: &title, self_url: &self_url, public_url: &extras.public_url, language };
    let body = atom(&about, &events, |id| region(id).map(|region| region.name.as_str()));
    let tag = answer::entity_tag(body.as_bytes());
    let mut response = answer::body_answer(&headers, Fresh::Minutes(1), &tag, body);
    let kind = HeaderValue::from_static("application/atom+xml; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// A note as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// Region id; all regions without one.
    region: Option<String>,
    text: String,
    /// RFC 3339; now without one.
    start: Option<String>,
    /// RFC 3339; the start without one.
    end: Option<String>,
}

async fn add_note<S: DocumentStore + 'static>(
    State(extras): State<Arc<Extras<S>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Some(token) = &extras.notes_token else {
        let message = "nobody can add notes here; set BIRDSONG_NOTES_TOKEN to allow it, or use birdsong note add";
        return Err(ApiError::new(ErrorCode::ForbiddenNote, message));
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let sent = sent.strip_prefix("Bearer ").unwrap_or_default();
    if !is_same(sent.as_bytes(), token.as_bytes()) {
        let message = "send the token as \"Authorization: Bearer TOKEN\"";
        return Err(ApiError::new(ErrorCode::WrongToken, message));
    }
    let wrong = |message: String| ApiError::new(ErrorCode::BadNote, message);
    let note: NewNote = serde_json::from_slice(&body).map_err(|error| {
        wrong(format!("the note is not JSON such as {{\"region\": \"montreal\", \"text\": \"Derby\"}}: {error}"))
    })?;
    let region = match &note.region {
        Some(id) => params::region(id, &extras.regions)?.id.clone(),
        None => STREAM.to_owned(),
    };
    let time = |name: &str, text: &Option<String>| text.as_deref().map(|text| params::time(name, text)).transpose();
    let start_ms = time("start", &note.start)?.unwrap_or_else(|| (extras.now_ms)());
    let end_ms = time("end", &note.end)?.unwrap_or(start_ms);
    let empty = || wrong("the note has no text".to_owned());
    let event = Event::note(&region, (start_ms, end_ms), &note.text).ok_or_else(empty)?;
    notes::add(&*extras.store, event.clone()).await.map_err(|error| match error {
        NoteError::Store(error) => error.into(),
        error => wrong(error.to_string()),
    })?;
    let mut response = (StatusCode::CREATED, Json(EventReport::new(event, &Revisions::default()))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Compares two tokens in a time that does not depend on where they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && differ == 0
}
