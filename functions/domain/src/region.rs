//! Regions: what to watch, from `regions.toml`, and which of them a post belongs to.
//!
//! A post belongs to a region when, in this order,
//! 1. the region takes everything,
//! 2. a rule of the source whose tag is the region's id (or `id:…`, `rt:id`) matched,
//! 3. the post's point lies in one of the region's boxes,
//! 4. the place that it names overlaps one of the boxes by at least half of the place's own area, so
//!    that a city counts for the box around it and a whole country does not,
//! 5. a keyword or hashtag of the region occurs in it.
//!
//! Languages narrow 3 to 5; a region of languages only takes every post in one of them. The first
//! way that holds is kept as [`Located`].

use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::hashtag;
use crate::post::{GeoBox, Located, Point, SourcePost};

/// Share of a place's area that must lie in a region's box.
const PLACE_OVERLAP: f64 = 0.5;
/// Most buckets that a hot region may be spread over.
const MAX_BUCKETS: u16 = 64;

/// One validated region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Short name for machines: lower-case letters, digits, `-` and `_`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Boxes as `[west, south, east, north]`.
    pub boxes: Vec<[f64; 4]>,
    /// Keywords, phrases and `#hashtags`, as written in the file.
    pub keywords: Vec<String>,
    /// Languages (BCP 47 primary tags).
    pub languages: Vec<String>,
    /// Lanes that the region's posts are spread over; 1 unless it is hot.
    #[serde(skip, default = "one")]
    pub hot_buckets: u16,
    /// Whether the region takes every post.
    #[serde(skip)]
    pub everything: bool,
}

fn one() -> u16 {
    1
}

/// A mistake in a regions file: where it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}\n  {remedy}")]
pub struct RegionsError {
    /// Name of the file as given.
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
    hot_buckets: Option<Spanned<i64>>,
}

/// All regions, ready for matching.
#[derive(Debug)]
pub struct Regions {
    list: Vec<Region>,
    geo: Vec<(usize, GeoBox)>,
    tags: HashMap<String, Vec<usize>>,
    words: Option<(AhoCorasick, Vec<usize>)>,
    by_id: HashMap<String, usize>,
    /// Regions that take every post, or every post in one of their languages.
    wide: Vec<usize>,
}

impl Regions {
    /// One region that takes every post.
    #[must_use]
    pub fn everything(id: &str) -> Self {
        let region = Region {
            id: id.to_owned(),
            name: id.to_owned(),
            boxes: vec![],
            keywords: vec![],
            languages: vec![],
            hot_buckets: 1,
            everything: true,
        };
        Self {
            by_id: HashMap::from([(id.to_owned(), 0)]),
            list: vec![region],
            geo: vec![],
            tags: HashMap::new(),
            words: None,
            wide: vec![0],
        }
    }

    /// Reads and checks the text of a regions file; `file` is its name for error messages.
    ///
    /// # Errors
    /// The first mistake, with its line and a remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, RegionsError> {
        let fail = |span: Range<usize>, problem: String, remedy: &str| RegionsError {
            file: file.to_owned(),
            line: text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1,
            problem,
            remedy: remedy.to_owned(),
        };
        let raw: RawFile = toml::from_str(text).map_err(|e| {
            let problem = e.message().to_owned();
            let remedy = if problem.starts_with("unknown field") {
                "a region has id, name, boxes, keywords, languages and hot_buckets; correct or remove this key"
            } else {
                "write each region as [[region]] with id = \"…\" and at least one of boxes = [[west, south, east, north]], keywords = [\"…\"], languages = [\"…\"]"
            };
            fail(e.span().unwrap_or(0..0), problem, remedy)
        })?;
        if raw.region.is_empty() {
            return Err(fail(
                0..0,
                "there is no region in this file".into(),
                "add at least one [[region]] with an id and boxes, keywords or languages",
            ));
        }
        let mut list: Vec<Region> = Vec::new();
        for spanned in raw.region {
            let whole = spanned.span();
            let raw = spanned.into_inner();
            let (id_span, id) = (raw.id.span(), raw.id.into_inner());
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) || id.starts_with('_') {
                return Err(fail(
                    id_span,
                    format!("the id {id:?} is not possible"),
                    "take 1 to 64 lower-case letters, digits, - and _, not beginning with _",
                ));
            }
            if list.iter().any(|region| region.id == id) {
                return Err(fail(id_span, format!("the id {id:?} is used twice"), "give each region an id of its own"));
            }
            let mut boxes = Vec::new();
            for spanned in raw.boxes {
                let span = spanned.span();
                boxes
                    .push(checked_box(&spanned.into_inner()).map_err(|(problem, remedy)| fail(span, problem, remedy))?);
            }
            let mut keywords = Vec::new();
            for spanned in raw.keywords {
                let (span, keyword) = (spanned.span(), spanned.into_inner());
                if hashtag::key(&keyword).is_none() {
                    return Err(fail(
                        span,
                        format!("the keyword {keyword:?} is empty or too long"),
                        "write a word, a phrase or a #hashtag of 1 to 140 bytes",
                    ));
                }
                keywords.push(keyword);
            }
            let mut languages = Vec::new();
            for spanned in raw.languages {
                let (span, language) = (spanned.span(), spanned.into_inner());
                if !(2..=8).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_alphabetic()) {
                    return Err(fail(
                        span,
                        format!("{language:?} is no language code"),
                        "write the primary code alone, such as \"en\", \"fr\" or \"ja\"",
                    ));
                }
                languages.push(language.to_ascii_lowercase());
            }
            let hot_buckets = match raw.hot_buckets {
                None => 1,
                Some(spanned) => {
                    let (span, n) = (spanned.span(), spanned.into_inner());
                    u16::try_from(n).ok().filter(|n| (1..=MAX_BUCKETS).contains(n)).ok_or_else(|| {
                        fail(
                            span,
                            format!("hot_buckets = {n} is not possible"),
                            "take 1 to 64; leave it out unless one region has more than 1,000 frames a second",
                        )
                    })?
                }
            };
            if boxes.is_empty() && keywords.is_empty() && languages.is_empty() {
                return Err(fail(
                    whole,
                    format!("the region {id:?} has nothing to match"),
                    "give it boxes, keywords or languages",
                ));
            }
            let name = raw.name.unwrap_or_else(|| id.clone());
            list.push(Region { id, name, boxes, keywords, languages, hot_buckets, everything: false });
        }
        Self::build(list).map_err(|problem| fail(0..0, problem, "use fewer or shorter keywords"))
    }

    fn build(list: Vec<Region>) -> Result<Self, String> {
        let mut regions = Self {
            by_id: list.iter().enumerate().map(|(n, region)| (region.id.clone(), n)).collect(),
            geo: vec![],
            tags: HashMap::new(),
            words: None,
            wide: vec![],
            list: vec![],
        };
        let (mut patterns, mut owners) = (vec![], vec![]);
        for (n, region) in list.iter().enumerate() {
            for [west, south, east, north] in &region.boxes {
                regions.geo.push((n, GeoBox { west: *west, south: *south, east: *east, north: *north }));
            }
            for keyword in &region.keywords {
                if let Some(key) = keyword.starts_with(['#', '＃']).then(|| hashtag::key(keyword)).flatten() {
                    regions.tags.entry(key.into_owned()).or_default().push(n);
                } else {
                    patterns.push(hashtag::fold(keyword.trim()).into_owned());
                    owners.push(n);
                }
            }
            if region.boxes.is_empty() && region.keywords.is_empty() {
                regions.wide.push(n);
            }
        }
        if !patterns.is_empty() {
            let automaton = AhoCorasick::new(&patterns).map_err(|e| format!("the keywords cannot be compiled: {e}"))?;
            regions.words = Some((automaton, owners));
        }
        regions.list = list;
        Ok(regions)
    }

    /// The regions in file order.
    #[must_use]
    pub fn list(&self) -> &[Region] {
        &self.list
    }

    /// Index in [`Regions::list`] of the region with this id.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Fills `found` with the regions (index into [`Regions::list`]) that `post` belongs to and how
    /// that was decided; each region once, in index order.
    pub fn matching(&self, post: &SourcePost<'_>, found: &mut Vec<(usize, Located)>) {
        found.clear();
        for n in &self.wide {
            if self.list[*n].everything {
                found.push((*n, Located::All));
            } else if self.speaks(*n, &post.lang) {
                found.push((*n, Located::Text));
            }
        }
        for tag in &post.rule_tags {
            let tag = tag.strip_prefix("rt:").unwrap_or(tag);
            let id = tag.split(':').next().unwrap_or(tag);
            if let Some(n) = self.by_id.get(id) {
                found.push((*n, Located::Rule));
            }
        }
        if post.point.is_some() || post.place.is_some() {
            for (n, region_box) in &self.geo {
                let located = match (post.point, post.place) {
                    (Some(point), _) if region_box.holds(point) => Located::Point,
                    (None, Some(place)) if region_box.takes(place) => Located::Place,
                    _ => continue,
                };
                if self.speaks(*n, &post.lang) {
                    found.push((*n, located));
                }
            }
        }
        if !self.tags.is_empty() {
            for key in post.hashtags.iter().filter_map(|tag| hashtag::key(tag)) {
                for n in self.tags.get(&*key).into_iter().flatten().filter(|n| self.speaks(**n, &post.lang)) {
                    found.push((*n, Located::Text));
                }
            }
        }
        if let Some((automaton, owners)) = &self.words {
            let text = hashtag::fold(&post.text);
            for hit in automaton.find_overlapping_iter(&*text) {
                let n = owners[hit.pattern().as_usize()];
                if is_whole_word(&text, hit.range()) && self.speaks(n, &post.lang) {
                    found.push((n, Located::Text));
                }
            }
        }
        if found.len() > 1 {
            // The order of precedence of the module's text: everything, rule, point, place, text.
            let rank = |located: &Located| match located {
                Located::All => 0,
                Located::Rule => 1,
                Located::Point => 2,
                Located::Place => 3,
                Located::Text => 4,
            };
            found.sort_unstable_by_key(|(n, located)| (*n, rank(located)));
            found.dedup_by_key(|(n, _)| *n);
        }
    }

    /// Whether a region takes posts in this language.
    fn speaks(&self, n: usize, lang: &str) -> bool {
        let languages = &self.list[n].languages;
        let primary = lang.split(['-', '_']).next().unwrap_or(lang);
        languages.is_empty() || languages.iter().any(|language| language.eq_ignore_ascii_case(primary))
    }
}

/// A hit counts when it is not a piece of a longer word. Scripts without spaces between words
/// (Chinese, Japanese, Thai …) have no such border, so there every hit counts.
fn is_whole_word(text: &str, hit: Range<usize>) -> bool {
    let glued = |inner: Option<char>, outer: Option<char>| match (inner, outer) {
        (Some(inner), Some(outer)) => is_spaced_letter(inner) && is_spaced_letter(outer),
        _ => false,
    };
    let before = glued(text[hit.clone()].chars().next(), text[..hit.start].chars().next_back());
    let after = glued(text[hit.clone()].chars().next_back(), text[hit.end..].chars().next());
    !before && !after
}

fn is_spaced_letter(c: char) -> bool {
    let unspaced = matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !unspaced
}

fn checked_box(edges: &[f64]) -> Result<[f64; 4], (String, &'static str)> {
    const SHAPE: &str = "write [west, south, east, north] in degrees, such as [-73.98, 45.41, -73.47, 45.70]";
    let Ok(edges @ [west, south, east, north]) = <[f64; 4]>::try_from(edges) else {
        return Err((format!("a box has four edges, not {}", edges.len()), SHAPE));
    };
    if edges.iter().any(|edge| !edge.is_finite()) {
        return Err(("an edge of the box is not a number".into(), SHAPE));
    }
    if !(-180.0..=180.0).contains(&west) || !(-180.0..=180.0).contains(&east) {
        return Err((
            format!("west {west} or east {east} is beyond 180 degrees"),
            "longitudes go from -180 to 180; a box across the antimeridian has west larger than east, such as [177.0, -19.0, -178.0, -16.0]",
        ));
    }
    if !(-90.0..=90.0).contains(&south) || !(-90.0..=90.0).contains(&north) {
        return Err((
            format!("south {south} or north {north} is beyond 90 degrees"),
            "latitudes go from -90 to 90; are latitude and longitude swapped?",
        ));
    }
    if south >= north {
        return Err((format!("south {south} is not below north {north}"), SHAPE));
    }
    if west == east {
        return Err((format!("the box has no width: west and east are both {west}"), SHAPE));
    }
    Ok(edges)
}

impl GeoBox {
    fn width(&self) -> f64 {
        let width = self.east - self.west;
        if width < 0.0 { width + 360.0 } else { width }
    }

    fn has_longitude(&self, lon: f64) -> bool {
        if self.west <= self.east {
            (self.west..=self.east).contains(&lon)
        } else {
            lon >= self.west || lon <= self.east
        }
    }

    /// Whether a point lies in the box, edges included.
    #[must_use]
    pub fn holds(&self, point: Point) -> bool {
        (self.south..=self.north).contains(&point.lat) && self.has_longitude(point.lon)
    }

    /// Whether at least half of the place's area lies in this box. A place without area is a point
    /// or a line and counts by its middle.
    #[must_use]
    pub fn takes(&self, place: GeoBox) -> bool {
        let height = place.north - place.south;
        if height <= 0.0 || place.width() <= 0.0 {
            let lon = place.west + place.width() / 2.0;
            let lon = if lon > 180.0 { lon - 360.0 } else { lon };
            return self.holds(Point { lon, lat: place.south + height / 2.0 });
        }
        let shared_height = place.north.min(self.north) - place.south.max(self.south);
        if shared_height <= 0.0 {
            return false;
        }
        // Measured eastwards from the place's western edge; the box may begin before it, so it is
        // also tried one turn earlier.
        let from = (self.west - place.west).rem_euclid(360.0);
        let shared = |from: f64| (place.width().min(from + self.width()) - from.max(0.0)).max(0.0);
        let shared_width = shared(from) + shared(from - 360.0);
        shared_width * shared_height >= PLACE_OVERLAP * place.width() * height
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::{Kind, PostId};
    use proptest::prelude::*;

    const FILE: &str = r##"
[[region]]
id = "montreal"
name = "Montréal"
boxes = [[-73.98, 45.41, -73.47, 45.70]]
keywords = ["montréal", "#GoHabsGo", "東京"]

[[region]]
id = "fiji"
boxes = [[177.0, -19.0, -178.0, -16.0]]

[[region]]
id = "french"
languages = ["fr"]
"##;

    fn post() -> SourcePost<'static> {
        SourcePost {
            id: PostId::x(1),
            time_ms: 0,
            author: 1,
            kind: Kind::Original,
            lang: "en".into(),
            hashtags: vec![],
            long_hashtags: 0,
            mentions: 0,
            hosts: vec![],
            text: "".into(),
            point: None,
            place: None,
            rule_tags: vec![],
            repost_of: None,
        }
    }

    fn found(post: &SourcePost<'_>) -> Vec<(&'static str, Located)> {
        let regions = Regions::parse("regions.toml", FILE).unwrap();
        let mut found = vec![];
        regions.matching(post, &mut found);
        found.into_iter().map(|(n, located)| (["montreal", "fiji", "french"][n], located)).collect()
    }

    #[test]
    fn each_way_to_belong_is_told() {
        let at = |lon, lat| Some(Point { lon, lat });
        assert_eq!(found(&post()), []);
        assert_eq!(found(&SourcePost { point: at(-73.6, 45.5), ..post() }), [("montreal", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(-179.9, -17.0), ..post() }), [("fiji", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(179.9, -17.0), ..post() }), [("fiji", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(0.0, -17.0), ..post() }), []);
        assert_eq!(found(&SourcePost { lang: "fr-CA".into(), ..post() }), [("french", Located::Text)]);
        assert_eq!(found(&SourcePost { hashtags: vec!["GOHABSGO".into()], ..post() }), [("montreal", Located::Text)]);
        for tag in ["montreal", "montreal:box", "rt:montreal"] {
            assert_eq!(
                found(&SourcePost { rule_tags: vec![tag.into()], point: at(-73.6, 45.5), ..post() }),
                [("montreal", Located::Rule)]
            );
        }
    }

    #[test]
    fn keywords_are_whole_words_in_any_case_and_script() {
        for (text, hit) in [
            ("MONTRÉAL!", true),
            ("in Montre\u{301}al, today", true),
            ("#montréal", true),
            ("montréalais", false),
            ("montreal", false),
            ("今日は東京です", true),
        ] {
            let is_found = !found(&SourcePost { text: text.into(), ..post() }).is_empty();
            assert_eq!(is_found, hit, "{text}");
        }
    }

    #[test]
    fn a_place_counts_when_half_of_it_lies_inside() {
        let place =
            |west, south, east, north| SourcePost { place: Some(GeoBox { west, south, east, north }), ..post() };
        assert_eq!(found(&place(-73.9, 45.45, -73.5, 45.65)), [("montreal", Located::Place)]);
        assert_eq!(found(&place(-141.0, 41.7, -52.6, 83.1)), [], "a country is not in a city");
        assert_eq!(found(&place(-73.6, 45.5, -73.6, 45.5)), [("montreal", Located::Place)], "a place may be a point");
        assert_eq!(found(&place(-73.6, 45.5, -73.1, 45.6)), [], "a quarter only");
        assert_eq!(found(&place(179.0, -18.0, -179.0, -17.0)), [("fiji", Located::Place)]);
        assert_eq!(found(&place(-179.9, -18.0, -178.5, -17.0)), [("fiji", Located::Place)]);
    }

    #[test]
    fn mistakes_name_file_line_and_remedy() {
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
            ("[[region]]\nid = \"a\"\nlanguages = [\"french!\"]", 3, "language code"),
            ("[[region]]\nid = \"a\"\nkeywords = [\"x\", \"#\"]", 3, "empty or too long"),
            ("[[region]]\nid = \"a\"\nlanguages = [\"fr\"]\nhot_buckets = 0", 4, "hot_buckets"),
            ("[[region]]\nid = \"a\"\nlanguage = [\"fr\"]", 3, "unknown field"),
            ("[[region]]\nid = montreal\n", 2, ""),
        ] {
            let error = Regions::parse("my.toml", text).unwrap_err();
            assert_eq!((error.file.as_str(), error.line), ("my.toml", line), "{text}\n{error}");
            assert!(error.problem.contains(problem), "{error}");
            assert!(!error.remedy.is_empty());
        }
    }

    proptest! {
        #[test]
        fn a_box_takes_itself_and_points_on_its_edges(west in -180.0f64..180.0, width in 0.1f64..359.0, south in -89.0f64..80.0, height in 0.1f64..9.0) {
            let east = west + width;
            let east = if east > 180.0 { east - 360.0 } else { east };
            let area = GeoBox { west, south, east, north: south + height };
            prop_assert!(area.takes(area));
            let corner = Point { lon: west, lat: south };
            prop_assert!(area.holds(corner));
        }
    }
}
