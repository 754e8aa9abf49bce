//! The forms of an answer: JSON, or its rows as CSV or as one JSON object a line.
//!
//! The columns of CSV come from the OpenAPI document, so that they do not depend on what the rows happen to hold.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{ApiError, ErrorCode, foreign};
use crate::fields::Fields;
use crate::openapi::DOCUMENT;
use crate::params::{pairs, unprocessable};

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
    Ndjson,
}

impl Form {
    const ALL: [Self; 3] = [Self::Json, Self::Csv, Self::Ndjson];

    /// As the parameter `format` names it, and the ending of a file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The media type, without parameters.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            form => form.media_type(),
        })
    }

    /// The form that a request asks for, and its query without the parameter `format`, which goes before `Accept`.
    ///
    /// # Errors
    /// `unprocessable` for another format, `bad_parameter` when it occurs twice, and `not_acceptable` when `Accept` allows none
    /// of the forms.
    pub(crate) fn asked(query: &str, headers: &HeaderMap) -> Result<(Self, String), ApiError> {
        let is_format = |pair: &&str| *pair == "format" || pair.starts_with("format=");
        let rest: Vec<_> = query.split('&').filter(|pair| !is_format(pair)).collect();
        let mut formats = query.split('&').filter(is_format);
        let Some(format) = formats.next() else { return Ok((Self::accepted(headers)?, query.to_owned())) };
        if formats.next().is_some() {
            return Err(ApiError::parameter(ErrorCode::BadParameter, "format", "this parameter occurs twice"));
        }
        let name = format.strip_prefix("format=").unwrap_or_default();
        let form = Self::ALL.into_iter().find(|form| form.name() == name).ok_or_else(|| {
            unprocessable(
                "format",
                format!("\"{}\" is not a format; the formats are json, csv and ndjson", foreign(name)),
            )
        })?;
        Ok((form, rest.join("&")))
    }

    /// The form that `Accept` likes best; of equals JSON. A wildcard is JSON.
    fn accepted(headers: &HeaderMap) -> Result<Self, ApiError> {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<(String, f32)> = lines.flat_map(|line| line.split(',')).filter_map(range).collect();
        if ranges.is_empty() {
            return Ok(Self::Json);
        }
        // The most specific range that has a type counts.
        let quality = |form: Self| {
            let kind = form.media_type().split('/').next().unwrap_or_default();
            let of = |range: &str| ranges.iter().find(|(name, _)| name == range).map(|(_, quality)| *quality);
            let wild = || of(&format!("{kind}/*")).or_else(|| of("*/*"));
            of(form.media_type()).or_else(wild).unwrap_or(0.0)
        };
        let mut best = (None, 0.0);
        for form in Self::ALL {
            if quality(form) > best.1 {
                best = (Some(form), quality(form));
            }
        }
        best.0.ok_or_else(|| {
            let message = "this path answers with application/json, text/csv or application/x-ndjson; \
                           correct the header Accept, or use format=json, format=csv or format=ndjson";
            ApiError::new(ErrorCode::NotAcceptable, message)
        })
    }
}

/// A media range of `Accept` in lower case, and its quality.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
    Some((name, quality))
}

/// An answer in JSON, as far as rows are made of it.
#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    region: Option<&'a RawValue>,
    #[serde(borrow)]
    tag: Option<&'a RawValue>,
    #[serde(borrow)]
    host: Option<&'a RawValue>,
    #[serde(borrow)]
    at: Option<&'a RawValue>,
    #[serde(borrow)]
    regions: Option<Vec<Source<'a>>>,
    #[serde(borrow, alias = "steps", alias = "events", alias = "items", alias = "windows")]
    rows: Option<Vec<&'a RawValue>>,
}

/// What the cells of a column have. Each may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellType {
    /// A whole number of at most 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A time, RFC 3339.
    Time,
    /// Text.
    Text,
    /// A list, or an object whose members are not known beforehand.
    Json,
}

/// A column of the rows of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    path: Vec<String>,
    /// What its cells have.
    pub cells: CellType,
}

impl Column {
    /// Its name: that of the member, with those of the objects around it in front, separated by dots.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// The cell of a row, which is a line of NDJSON; null where the row has none.
    #[must_use]
    pub fn of<'a>(&self, row: &'a Value) -> &'a Value {
        self.path.iter().fold(row, |value, name| value.get(name).unwrap_or(&Value::Null))
    }
}

/// The columns of `/api/{path}`, such as `windows`, with all fields, in the order of CSV.
#[must_use]
pub fn columns(path: &str) -> Vec<Column> {
    let rows = rows_of(path);
    let context = rows.context.iter().map(|name| context_column(name));
    context.chain(own_columns(rows.schema, &Fields::default())).collect()
}

fn context_column(name: &str) -> Column {
    let cells = if name == "at" { CellType::Time } else { CellType::Text };
    Column { path: vec![name.to_owned()], cells }
}

/// Rows of a path.
struct Rows {
    /// Name of the type of a row in the OpenAPI document.
    schema: &'static str,
    /// Members of the answer that each row gets, because it does not have them itself.
    context: &'static [&'static str],
}

fn rows_of(path: &str) -> Rows {
    match path {
        "series" => Rows { schema: "SeriesStep", context: &["region", "tag", "host"] },
        "trends" => Rows { schema: "Trend", context: &["region", "at"] },
        "events" => Rows { schema: "Event", context: &[] },
        _ => Rows { schema: "Window", context: &[] },
    }
}

/// The rows of an answer to `path?query` in another form.
///
/// # Errors
/// When the answer is not JSON of the documented form.
pub(crate) fn write(path: &str, query: &str, json: Vec<u8>, form: Form) -> Result<Vec<u8>, ApiError> {
    if form == Form::Json {
        return Ok(json);
    }
    let rows = rows_of(path);
    let source: Source<'_> = serde_json::from_slice(&json)?;
    let columns = own_columns(rows.schema, &asked_fields(path, query)?);
    let mut out = Vec::with_capacity(json.len() / 2);
    if form == Form::Csv {
        line(&mut out, rows.context.iter().map(|name| (*name).to_owned()).chain(columns.iter().map(Column::name)));
    }
    let of_regions = source.regions.as_deref().unwrap_or(std::slice::from_ref(&source));
    for answer in of_regions {
        let context: Vec<(&str, &str)> = rows.context.iter().map(|name| (*name, answer.member(name))).collect();
        for row in answer.rows.iter().flatten() {
            if form == Form::Ndjson {
                out.push(b'{');
                for (name, value) in &context {
                    out.extend_from_slice(format!("\"{name}\":{value},").as_bytes());
                }
                out.extend_from_slice(row.get().trim_start_matches('{').as_bytes());
                out.push(b'\n');
                continue;
            }
            let value: Value = serde_json::from_str(row.get())?;
            let mut cells = Vec::with_capacity(context.len() + columns.len());
            for (_, text) in &context {
                cells.push(cell(&serde_json::from_str(text)?));
            }
            cells.extend(columns.iter().map(|column| cell(column.of(&value))));
            line(&mut out, cells.into_iter());
        }
    }
    Ok(out)
}

impl Source<'_> {
    fn member(&self, name: &str) -> &str {
        let value = match name {
            "region" => self.region,
            "tag" => self.tag,
            "host" => self.host,
            _ => self.at,
        };
        value.map_or("null", RawValue::get)
    }
}

/// The fields that `/api/windows` was asked for.
fn asked_fields(path: &str, query: &str) -> Result<Fields, ApiError> {
    let list = match path {
        "windows" => pairs(Some(query))?.into_iter().find(|(name, _)| name == "fields"),
        _ => None,
    };
    Ok(list.and_then(|(_, list)| Fields::parse(&list).ok()).unwrap_or_default())
}

/// A value as the text of a cell. Text that a spreadsheet would take for a formula gets an apostrophe.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) => {
            format!("'{text}")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A line of CSV (RFC 4180).
fn line(out: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        if cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
            out.push(b'"');
            out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The part of the OpenAPI document that columns are made of.
#[derive(Deserialize)]
struct Described {
    components: Components,
}

#[derive(Deserialize)]
struct Components {
    schemas: BTreeMap<String, Schema>,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    #[serde(default)]
    properties: InOrder<Schema>,
    #[serde(default, rename = "oneOf")]
    one_of: Vec<Schema>,
    /// The name of a type, or a list of it and "null".
    #[serde(default, rename = "type")]
    types: Value,
    format: Option<String>,
}

impl Schema {
    /// What a cell of this type has.
    fn cells(&self) -> CellType {
        let name = match &self.types {
            Value::Array(names) => names.iter().find(|name| *name != "null"),
            name => Some(name),
        };
        match (name.and_then(Value::as_str), self.format.as_deref()) {
            (Some("integer"), _) => CellType::Integer,
            (Some("number"), _) => CellType::Number,
            (Some("boolean"), _) => CellType::Boolean,
            (Some("string"), Some("date-time")) => CellType::Time,
            (Some("string"), _) => CellType::Text,
            _ => CellType::Json,
        }
    }
}

/// A JSON object with its members in their order.
#[derive(Debug)]
struct InOrder<T>(Vec<(String, T)>);

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = InOrder<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(InOrder(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

static SCHEMAS: LazyLock<BTreeMap<String, Schema>> = LazyLock::new(|| {
    serde_json::from_str::<Described>(DOCUMENT).map(|described| described.components.schemas).unwrap_or_default()
});

/// The columns of a row. Objects have a column for each member; lists, and objects whose members are not known beforehand,
/// have one column.
fn own_columns(schema: &str, fields: &Fields) -> Vec<Column> {
    let mut columns = vec![];
    for (name, of_member) in SCHEMAS.get(schema).iter().flat_map(|schema| &schema.properties.0) {
        if schema != "Window" || fields.is_column(name) {
            add_columns(of_member, vec![name.clone()], &mut columns);
        }
    }
    columns
}

fn add_columns(schema: &Schema, path: Vec<String>, columns: &mut Vec<Column>) {
    let named = |schema: &Schema| schema.reference.as_deref()?.rsplit('/').next().and_then(|name| SCHEMAS.get(name));
    let target = named(schema).or_else(|| schema.one_of.iter().find_map(named));
    match target {
        Some(target) if !target.properties.0.is_empty() => {
            for (name, of_member) in &target.properties.0 {
                add_columns(of_member, [path.clone(), vec![name.clone()]].concat(), columns);
            }
        }
        target => columns.push(Column { path, cells: target.unwrap_or(schema).cells() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: &str) -> Result<Form, ApiError> {
        Form::accepted(&[(header::ACCEPT, accept.parse().unwrap())].into_iter().collect())
    }

    #[test]
    fn columns_have_types() {
        let columns = columns("windows");
        let cells = |name: &str| columns.iter().find(|column| column.name() == name).map(|column| column.cells);
        for (name, expected) in [
            ("region", CellType::Text),
            ("window_start", CellType::Time),
            ("lifecycle", CellType::Text),
            ("posts", CellType::Integer),
            ("completeness.sampled", CellType::Number),
            ("completeness.complete", CellType::Boolean),
            ("hashtags", CellType::Json),
            ("languages", CellType::Json),
        ] {
            assert_eq!(cells(name), Some(expected), "{name}");
        }
        for path in ["windows", "series", "trends", "events"] {
            let names: Vec<_> = super::columns(path).iter().map(Column::name).collect();
            let csv = write(path, "", b"{}".to_vec(), Form::Csv).unwrap();
            assert_eq!(names.join(","), String::from_utf8(csv).unwrap().trim_end(), "{path}");
        }
    }

    #[test]
    fn the_form_is_what_accept_likes_best() {
        assert_eq!(Form::accepted(&HeaderMap::new()).unwrap(), Form::Json);
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, form) in [
            ("*/*", Form::Json),
            (browser, Form::Json),
            ("text/csv", Form::Csv),
            ("Text/CSV; q=0.5, application/json;q=0.4", Form::Csv),
            ("text/*", Form::Csv),
            ("application/x-ndjson, */*;q=0.1", Form::Ndjson),
            ("application/json;q=0, */*", Form::Csv),
        ] {
            assert_eq!(accepted(accept).unwrap(), form, "{accept}");
        }
        assert!(accepted("application/xml").is_err() && accepted("text/csv;q=0").is_err());
    }

    #[test]
    fn the_parameter_goes_before_the_header() {
        let headers: HeaderMap = [(header::ACCEPT, "application/xml".parse().unwrap())].into_iter().collect();
        let (form, rest) = Form::asked("region=a&format=csv&step=1h", &headers).unwrap();
        assert_eq!((form, rest.as_str()), (Form::Csv, "region=a&step=1h"));
        assert!(Form::asked("format=xml", &HeaderMap::new()).is_err());
        assert!(Form::asked("format=csv&format=csv", &HeaderMap::new()).is_err());
        assert!(Form::asked("format", &HeaderMap::new()).is_err());
    }

    #[test]
    fn columns_are_those_of_the_document_whatever_the_rows_hold() {
        let json = br#"{"region":"a","tag":"x","host":null,"steps":[]}"#.to_vec();
        let csv = String::from_utf8(write("series", "", json, Form::Csv).unwrap()).unwrap();
        assert_eq!(
            csv,
            "region,tag,host,start,posts,posts_high,is_known,revision.changed_at,revision.why,revision.change,usual,usual_low,usual_high\r\n"
        );
        let json = br#"{"windows":[{"region":"a","posts":3}]}"#.to_vec();
        let csv = String::from_utf8(write("windows", "fields=posts,located", json, Form::Csv).unwrap()).unwrap();
        let header = "window_start,window_end,posts,located.point,located.place,located.rule,located.text,located.all";
        assert_eq!(csv, format!("{header}\r\n,,3,,,,,\r\n"));
    }

    #[test]
    fn foreign_text_is_quoted_and_is_no_formula() {
        let event = r#"{"id":"1","kind":"note","text":"=HYPERLINK(\"x\"),\n2","windows":0,"comparison":null}"#;
        let json = format!(r#"{{"events":[{event}]}}"#).into_bytes();
        let csv = String::from_utf8(write("events", "", json.clone(), Form::Csv).unwrap()).unwrap();
        assert!(csv.ends_with(",\"'=HYPERLINK(\"\"x\"\"),\n2\"\r\n"), "{csv}");
        for text in ["=1", "+1", "-1", "@x", "\t=1", "＝1"] {
            assert_eq!(cell(&Value::from(text)), format!("'{text}"));
        }
        assert_eq!(cell(&Value::from(-1.5)), "-1.5", "a number is no foreign text");
        let ndjson = String::from_utf8(write("events", "", json, Form::Ndjson).unwrap()).unwrap();
        assert_eq!(ndjson, format!("{event}\n"), "as in JSON");
    }

    #[test]
    fn rows_have_what_the_answer_says_once() {
        let json = br#"{"regions":[{"region":"a","at":"t","items":[{"score":1.5,"subject":{"type":"host"}}]},{"region":"b","at":null,"items":[]}]}"#;
        let ndjson = String::from_utf8(write("trends", "", json.to_vec(), Form::Ndjson).unwrap()).unwrap();
        assert_eq!(ndjson, "{\"region\":\"a\",\"at\":\"t\",\"score\":1.5,\"subject\":{\"type\":\"host\"}}\n");
        let csv = String::from_utf8(write("trends", "", json.to_vec(), Form::Csv).unwrap()).unwrap();
        let lines: Vec<_> = csv.lines().collect();
        assert!(lines[0].starts_with("region,at,subject.type,subject.name,subject.key,standing,score,"), "{csv}");
        assert!(lines.len() == 2 && lines[1].starts_with("a,t,host,,,,1.5,"), "{csv}");
    }
}
