//! The regions file, read and checked.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::zone::checked_zone;
use super::{Region, alerts, hashtag_key, matcher, primary};
use crate::alert::Alert;
use crate::hashtag::MAX_HASHTAG_CHARS;
use crate::language;

/// Most buckets that a hot region may be spread over.
const MAX_BUCKETS: u16 = 64;
/// Longest keyword that is no hashtag, in characters: a short sentence. X's rules have 1,024.
const MAX_KEYWORD_CHARS: usize = 200;
/// Longest tag of a rule, in characters: what X's PowerTrack allows. The API v2 documents no limit.
const MAX_TAG_CHARS: usize = 255;

/// A mistake in a regions file: where it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}\n  {remedy}")]
pub struct RegionsError {
    /// Name of the file, unchanged.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    region: Vec<Spanned<RawRegion>>,
    #[serde(default)]
    alert: Vec<Spanned<alerts::RawAlert>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegion {
    id: Spanned<String>,
    name: Option<String>,
    #[serde(default)]
    boxes: Vec<Spanned<Vec<f64>>>,
    #[serde(default)]
    keywords: Vec<Spanned<String>>,
    #[serde(default)]
    languages: Vec<Spanned<String>>,
    #[serde(default)]
    rules: Vec<Spanned<String>>,
    tz: Option<Spanned<String>>,
    hot_buckets: Option<Spanned<i64>>,
}

/// What is wrong with one item of a region, and what to do about it.
pub(super) type Mistake = (String, String);

pub(super) fn too_many_words(file: &str, problem: String) -> RegionsError {
    RegionsError { file: file.to_owned(), line: 1, problem, remedy: "use fewer or shorter keywords".to_owned() }
}

/// Reads and checks the text of a regions file.
pub(super) fn read(file: &str, text: &str) -> Result<(Vec<Region>, Vec<Alert>), RegionsError> {
    let fail = |span: Range<usize>, (problem, remedy): Mistake| RegionsError {
        file: file.to_owned(),
        line: text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1,
        problem,
        remedy,
    };
    let raw: RawFile = toml::from_str(text).map_err(|e| {
        let problem = e.message().to_owned();
        let remedy = if problem.starts_with("unknown field") {
            "a region has id, name, boxes, keywords, languages, rules, tz and hot_buckets, and docs/reference/regions.md has the fields of an alert; correct or remove this key"
        } else {
            "write each region as [[region]] with id = \"…\" and at least one of boxes = [[west, south, east, north]], keywords = [\"…\"], languages = [\"…\"], rules = [\"…\"]"
        };
        fail(e.span().unwrap_or(0..0), (problem, remedy.into()))
    })?;
    if raw.region.is_empty() {
        let remedy = "add at least one [[region]] with an id and boxes, keywords, languages or rules";
        return Err(fail(0..0, ("there is no region in this file".into(), remedy.into())));
    }
    let mut list: Vec<Region> = Vec::new();
    for spanned in raw.region {
        let whole = spanned.span();
        let raw = spanned.into_inner();
        let id = checked(raw.id, checked_id).map_err(|(span, mistake)| fail(span, mistake))?;
        let (id_span, id) = id;
        if list.iter().any(|region| region.id == id) {
            let mistake = (format!("the id {id:?} is used twice"), "use each id for one region only".into());
            return Err(fail(id_span, mistake));
        }
        let boxes = all(raw.boxes, |edges| checked_box(&edges)).map_err(|(span, mistake)| fail(span, mistake))?;
        let keywords = all(raw.keywords, checked_keyword).map_err(|(span, mistake)| fail(span, mistake))?;
        let mut languages = all(raw.languages, checked_language).map_err(|(span, mistake)| fail(span, mistake))?;
        let mut rules = all(raw.rules, checked_tag).map_err(|(span, mistake)| fail(span, mistake))?;
        for list in [&mut languages, &mut rules] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|item| seen.insert(item.clone()));
        }
        let tz = match raw.tz {
            Some(spanned) => Some(checked(spanned, checked_zone).map_err(|(span, mistake)| fail(span, mistake))?.1),
            None => None,
        };
        let hot_buckets = match raw.hot_buckets {
            Some(spanned) => checked(spanned, checked_buckets).map_err(|(span, mistake)| fail(span, mistake))?.1,
            None => 1,
        };
        if boxes.is_empty() && keywords.is_empty() && languages.is_empty() && rules.is_empty() {
            let mistake =
                (format!("the region {id:?} has nothing to match"), "add boxes, keywords, languages or rules".into());
            return Err(fail(whole, mistake));
        }
        let name = raw.name.unwrap_or_else(|| id.clone());
        list.push(Region { id, name, boxes, keywords, languages, rules, tz, hot_buckets, everything: false });
    }
    let alerts = alerts::read(raw.alert, &list).map_err(|(span, mistake)| fail(span, mistake))?;
    Ok((list, alerts))
}

/// Checks one item and keeps its place in the file.
pub(super) fn checked<T, U>(
    spanned: Spanned<T>,
    check: impl Fn(T) -> Result<U, Mistake>,
) -> Result<(Range<usize>, U), (Range<usize>, Mistake)> {
    let span = spanned.span();
    match check(spanned.into_inner()) {
        Ok(item) => Ok((span, item)),
        Err(mistake) => Err((span, mistake)),
    }
}

pub(super) fn all<T, U>(
    items: Vec<Spanned<T>>,
    check: impl Fn(T) -> Result<U, Mistake>,
) -> Result<Vec<U>, (Range<usize>, Mistake)> {
    items.into_iter().map(|item| checked(item, &check).map(|(_, item)| item)).collect()
}

pub(super) fn checked_id(id: String) -> Result<String, Mistake> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) || id.starts_with('_') {
        let remedy = "use 1 to 64 lower-case letters, digits, - and _, not starting with _";
        return Err((format!("the id {id:?} is not possible"), remedy.into()));
    }
    Ok(id)
}

fn checked_keyword(keyword: String) -> Result<String, Mistake> {
    let remedy = format!(
        "write a word or phrase of 1 to {MAX_KEYWORD_CHARS} characters, or a #hashtag of 1 to {MAX_HASHTAG_CHARS}"
    );
    let is_right = if keyword.starts_with(['#', '＃']) {
        hashtag_key(&keyword).is_some()
    } else {
        keyword.chars().count() <= MAX_KEYWORD_CHARS && !matcher::normalize_keyword(&keyword).is_empty()
    };
    if !is_right {
        return Err((format!("the keyword {keyword:?} is empty or too long"), remedy));
    }
    if keyword.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err((format!("the keyword {keyword:?} has a control character"), remedy));
    }
    Ok(keyword)
}

/// A language alone, in its present code; further subtags of a post (`pt-BR`) are not compared.
fn checked_language(language: String) -> Result<String, Mistake> {
    let canonical = language::canonical(&language).filter(|_| language.bytes().all(|b| b.is_ascii_alphabetic()));
    match canonical {
        Some(canonical) => Ok(primary(&canonical).to_owned()),
        None => Err((
            format!("{language:?} is no language code"),
            "write the primary code alone, such as \"en\", \"fr\" or \"ja\"".into(),
        )),
    }
}

fn checked_tag(tag: String) -> Result<String, Mistake> {
    let problem = if tag.trim().is_empty() {
        "is empty"
    } else if tag.chars().any(char::is_control) {
        "has a control character"
    } else if tag.chars().count() > MAX_TAG_CHARS {
        "is too long"
    } else {
        return Ok(tag);
    };
    let remedy = "write the tag exactly as the rule at the source has it, 1 to 255 characters in one line";
    Err((format!("the tag of a rule {tag:?} {problem}"), remedy.into()))
}

fn checked_buckets(n: i64) -> Result<u16, Mistake> {
    u16::try_from(n).ok().filter(|n| (1..=MAX_BUCKETS).contains(n)).ok_or_else(|| {
        let remedy = "use 1 to 64; leave it out unless one region has more than 1,000 frames a second";
        (format!("hot_buckets = {n} is not possible"), remedy.into())
    })
}

fn checked_box(edges: &[f64]) -> Result<[f64; 4], Mistake> {
    const SHAPE: &str = "write [west, south, east, north] in degrees, such as [-73.98, 45.41, -73.47, 45.70]";
    let Ok(edges @ [west, south, east, north]) = <[f64; 4]>::try_from(edges) else {
        return Err((format!("a box has four edges, not {}", edges.len()), SHAPE.into()));
    };
    if edges.iter().any(|edge| !edge.is_finite()) {
        return Err(("an edge of the box is not a number".into(), SHAPE.into()));
    }
    if !(-180.0..=180.0).contains(&west) || !(-180.0..=180.0).contains(&east) {
        return Err((
            format!("west {west} or east {east} is beyond 180 degrees"),
            "longitudes go from -180 to 180; a box across the antimeridian has west larger than east, such as [177.0, -19.0, -178.0, -16.0]".into(),
        ));
    }
    if !(-90.0..=90.0).contains(&south) || !(-90.0..=90.0).contains(&north) {
        return Err((
            format!("south {south} or north {north} is beyond 90 degrees"),
            "latitudes go from -90 to 90; are latitude and longitude swapped?".into(),
        ));
    }
    if south >= north {
        return Err((format!("south {south} is not below north {north}"), SHAPE.into()));
    }
    if west == east || (west == 180.0 && east == -180.0) {
        let remedy = "let west and east differ; a box around the whole globe is [-180, south, 180, north]";
        return Err((format!("the box has no width: west {west} and east {east} are one meridian"), remedy.into()));
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use crate::region::{Region, Regions};

    fn one(text: &str) -> Region {
        Regions::parse("my.toml", text).unwrap().list()[0].clone()
    }

    #[test]
    fn bounds_of_ids_and_boxes_are_inclusive() {
        let is_read = |text: String| Regions::parse("my.toml", &text).is_ok();
        let of_id = |id: &str| is_read(format!("[[region]]\nid = \"{id}\"\nlanguages = [\"fr\"]"));
        assert!(of_id(&"a".repeat(64)) && of_id("a-b_2"));
        assert!(!of_id("") && !of_id(&"a".repeat(65)) && !of_id(&"a".repeat(66)));
        let of_box = |edges: &str| is_read(format!("[[region]]\nid = \"a\"\nboxes = [[{edges}]]"));
        for (edges, is_right) in [
            ("-180, -90, 180, 90", true),
            ("180, -19, -178, -16", true),
            ("177, -19, -180, -16", true),
            ("180, -19, -180, -16", false),
        ] {
            assert_eq!(of_box(edges), is_right, "{edges}");
        }
    }

    #[test]
    fn mistakes_name_file_line_and_remedy() {
        let long = |what: &str, n: usize| format!("[[region]]\nid = \"a\"\n{what} = [\"{}\"]", "x".repeat(n));
        for (text, line, problem) in [
            ("", 1, "no region"),
            ("[[region]]\nid = \"a\"\n", 1, "nothing to match"),
            (
                "[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\n[[region]]\nid = \"a\"\nlanguages = [\"fr\"]",
                5,
                "used twice",
            ),
            ("[[region]]\nid = \"A b\"\nlanguages = [\"fr\"]", 2, "not possible"),
            ("[[region]]\nid = \"_stream\"\nlanguages = [\"fr\"]", 2, "not possible"),
            ("[[region]]\nid = \"a\"\nboxes = [\n  [1, 2, 3],\n]", 4, "four edges"),
            ("[[region]]\nid = \"a\"\nboxes = [\n  [45.4, -73.9, 45.7, 173.4],\n]", 4, "beyond 90"),
            ("[[region]]\nid = \"a\"\nboxes = [[0, 9, 1, 8]]", 3, "not below"),
            ("[[region]]\nid = \"a\"\nboxes = [[-190, 1, 1, 8]]", 3, "beyond 180"),
            ("[[region]]\nid = \"a\"\nboxes = [[nan, 1, 1, 8]]", 3, "not a number"),
            ("[[region]]\nid = \"a\"\nboxes = [[7, 1, 7, 8]]", 3, "no width"),
            ("[[region]]\nid = \"a\"\nboxes = [[180, 1, -180, 8]]", 3, "no width"),
            ("[[region]]\nid = \"a\"\nlanguages = [\"french!\"]", 3, "language code"),
            ("[[region]]\nid = \"a\"\nlanguages = [\"pt-BR\"]", 3, "language code"),
            ("[[region]]\nid = \"a\"\nkeywords = [\"x\", \"#\"]", 3, "empty or too long"),
            ("[[region]]\nid = \"a\"\nkeywords = [\" \\u200b\\n\"]", 3, "empty or too long"),
            ("[[region]]\nid = \"a\"\nkeywords = [\"a\\u001b[2J\"]", 3, "control character"),
            (&long("keywords", 201), 3, "too long"),
            ("[[region]]\nid = \"a\"\nrules = [\"x\", \" \"]", 3, "is empty"),
            ("[[region]]\nid = \"a\"\nrules = [\"a\\nb\"]", 3, "control character"),
            (&long("rules", 256), 3, "too long"),
            ("[[region]]\nid = \"a\"\nrules = \"x\"", 3, ""),
            ("[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\nhot_buckets = 0", 4, "hot_buckets"),
            ("[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\ntz = \"EST\"", 4, "time zone"),
            ("[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\ntz = \"Mars/Olympus\"", 4, "no area \"Mars\""),
            ("[[region]]\nid = \"a\"\nlanguage = [\"fr\"]", 3, "unknown field"),
            ("[[region]]\nid = montreal\n", 2, ""),
        ] {
            let error = Regions::parse("my.toml", text).unwrap_err();
            assert_eq!((error.file.as_str(), error.line), ("my.toml", line), "{text}\n{error}");
            assert!(error.problem.contains(problem), "{error}");
            assert!(!error.remedy.is_empty());
            assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
        }
    }

    #[test]
    fn languages_are_kept_in_their_present_code() {
        let region = one("[[region]]\nid = \"a\"\nlanguages = [\"in\", \"ID\", \"Iw\", \"JI\", \"fr\"]");
        assert_eq!(region.languages, ["id", "he", "yi", "fr"]);
    }

    #[test]
    fn tags_of_rules_are_kept_as_they_are_written() {
        let long = "é".repeat(255);
        let region =
            one(&format!("[[region]]\nid = \"a\"\nrules = [\"Storm Watch\", \"rt:x\", \"Storm Watch\", \"{long}\"]"));
        assert_eq!(region.rules, ["Storm Watch", "rt:x", &long]);
    }

    #[test]
    fn the_catalogue_of_an_older_version_is_read_and_a_region_without_rules_and_zone_is_written_as_then() {
        let old = r#"{"id":"a","name":"A","boxes":[],"keywords":["x"],"languages":[]}"#;
        let region: Region = serde_json::from_str(old).unwrap();
        assert!(region.rules.is_empty() && region.tz.is_none());
        assert_eq!(serde_json::to_string(&region).unwrap(), old);
        let with = Region { rules: vec!["t".into()], tz: Some("Asia/Tokyo".into()), ..region };
        assert_eq!(serde_json::from_str::<Region>(&serde_json::to_string(&with).unwrap()).unwrap(), with);
    }
}
