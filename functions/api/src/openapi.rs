//! The OpenAPI document, generated from the handlers and the types of their answers.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, RefOr, Response, Type};
use utoipa::{Modify, OpenApi};

use crate::error::ErrorAnswer;
use crate::form::Form;

/// The document as the API serves it: what [`openapi`] generates, kept in the repository for others that generate code
/// from it. A test compares the two and shows how to update it.
pub(crate) const DOCUMENT: &str = include_str!("../openapi.json");

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Birdsong",
        version = "1",
        description = "Real-time metrics of social posts by region.\n\n\
                       All times are RFC 3339 in UTC. All counts are integers from 0; a count is exact unless its \
                       description says otherwise. Every error has the same shape, `ErrorAnswer`. Only GET and HEAD are \
                       allowed; another method is answered with 405 and the code `method_not_allowed`, a path that is \
                       not listed here with 404 and `unknown_path`. On AWS, API Gateway answers with its own errors \
                       when a request does not reach the API.\n\n\
                       Fields may be added to answers at any time. Removed or changed fields raise the version.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    // Nobody has to log in.
    security(()),
    servers((url = "/", description = "The server that answers with this document.")),
    paths(crate::overview, crate::regions, crate::windows::windows, crate::events::events, crate::trends::trends, crate::series::series, crate::status, crate::document, crate::healthz),
    tags(
        (name = "metrics", description = "Regions, their counts, and where the counts come from."),
        (name = "service", description = "The service itself."),
    ),
    components(schemas(ErrorAnswer)),
    modifiers(&Forms, &EntityTags),
)]
struct Document;

/// Describes the forms of answers that have rows.
struct Forms;

impl Modify for Forms {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let paths = ["/api/windows", "/api/events", "/api/trends", "/api/series"];
        let with_rows = document.paths.paths.iter_mut().filter(|(path, _)| paths.contains(&path.as_str()));
        for operation in with_rows.filter_map(|(_, item)| item.get.as_mut()) {
            let text = || ObjectBuilder::new().schema_type(Type::String);
            let format = ParameterBuilder::new()
                .name("format")
                .parameter_in(ParameterIn::Query)
                .description(Some(
                    "Form of the answer: `json`, or its rows as `csv` (with a header line) or `ndjson` (an object a line). It \
                     goes before the header `Accept`. Default: what `Accept` prefers, else `json`.",
                ))
                .schema(Some(text().pattern(Some("^(json|csv|ndjson)$"))));
            operation.parameters.get_or_insert_default().push(RefOr::T(format.build()));
            if let Some(RefOr::T(ok)) = operation.responses.responses.get_mut("200") {
                for form in [Form::Csv, Form::Ndjson] {
                    let content = ContentBuilder::new().schema(Some(text())).build();
                    ok.content.insert(form.media_type().to_owned(), content.into());
                }
            }
        }
    }
}

/// Describes entity tags, which all answers below `/api` have.
struct EntityTags;

impl Modify for EntityTags {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let text = || ObjectBuilder::new().schema_type(Type::String).build();
        let below_api = document.paths.paths.iter_mut().filter(|(path, _)| path.starts_with("/api/"));
        for operation in below_api.filter_map(|(_, item)| item.get.as_mut()) {
            let known = ParameterBuilder::new()
                .name("If-None-Match")
                .parameter_in(ParameterIn::Header)
                .description(Some("Entity tag of an answer that the caller has."))
                .schema(Some(text()));
            operation.parameters.get_or_insert_default().push(RefOr::T(known.build()));
            let answers = &mut operation.responses.responses;
            if let Some(RefOr::T(ok)) = answers.get_mut("200") {
                let tag = HeaderBuilder::new()
                    .description(Some("Entity tag of the answer, for `If-None-Match`."))
                    .schema(Some(text()));
                ok.headers.insert("ETag".into(), RefOr::T(tag.build()));
            }
            let not_modified = Response::new("The answer with the entity tag in `If-None-Match` is still current.");
            answers.insert("304".into(), not_modified.into());
        }
    }
}

/// The OpenAPI document of this version of the code, as JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    Document::openapi().to_pretty_json().map(|json| json + "\n")
}
