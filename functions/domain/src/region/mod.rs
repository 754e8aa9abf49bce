//! Regions: what to watch, from `regions.toml`, and which of them a post belongs to.
//!
//! A post belongs to a region when, in this order,
//! 1. the region matches everything,
//! 2. a rule of the source matched whose tag the region lists (exactly as written), or whose tag is the
//!    region's id, or starts with it (`id:…`, `rt:id`) like the rules that we make for X,
//! 3. the post's point is in one of the region's boxes,
//! 4. the post has no point, and the place that it names overlaps one of the boxes by at least half of the
//!    place's own area, so that a city counts for the box around it and a whole country does not,
//! 5. a keyword or hashtag of the region occurs in it.
//!
//! Languages narrow 3 to 5 and the tags that a region lists (our own rules ask for the languages
//! themselves); a region of languages only matches every post in one of them. The first way that applies
//! is kept as [`Located`].

mod alerts;
mod config;
mod geo;
mod matcher;
mod zone;

pub use config::RegionsError;
pub use matcher::normalize_text;

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::hashtag;
use crate::language;
use crate::post::{GeoBox, Located, SourcePost};
use matcher::Keywords;

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
    /// Languages (BCP 47 primary tags, canonical).
    pub languages: Vec<String>,
    /// Tags of rules that another client set at the source. Catalogues of older versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Name of the time zone that the region's people live by, such as `America/Toronto` (IANA). Only for showing times:
    /// nothing is counted by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// Lanes that the region's posts are spread over; 1 unless it is hot.
    #[serde(skip, default = "one")]
    pub hot_buckets: u16,
    /// Whether the region matches every post.
    #[serde(skip)]
    pub everything: bool,
}

fn one() -> u16 {
    1
}

/// All regions, ready for matching.
#[derive(Debug)]
pub struct Regions {
    list: Vec<Region>,
    alerts: Vec<Alert>,
    geo: Vec<(usize, GeoBox)>,
    tags: HashMap<String, Vec<usize>>,
    words: Option<Keywords>,
    by_id: HashMap<String, usize>,
    /// Regions by the tags of foreign rules that they list.
    by_rule: HashMap<String, Vec<usize>>,
    /// Regions that match every post, or every post in one of their languages.
    wide: Vec<usize>,
}

impl Regions {
    /// One region that matches every post.
    #[must_use]
    pub fn everything(id: &str) -> Self {
        let region = Region {
            id: id.to_owned(),
            name: id.to_owned(),
            boxes: vec![],
            keywords: vec![],
            languages: vec![],
            rules: vec![],
            tz: None,
            hot_buckets: 1,
            everything: true,
        };
        Self {
            by_id: HashMap::from([(id.to_owned(), 0)]),
            list: vec![region],
            alerts: vec![],
            geo: vec![],
            tags: HashMap::new(),
            words: None,
            by_rule: HashMap::new(),
            wide: vec![0],
        }
    }

    /// Reads and checks the text of a regions file; `file` is its name for error messages.
    ///
    /// # Errors
    /// The first mistake, with its line and a remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, RegionsError> {
        let (list, alerts) = config::read(file, text)?;
        let built = Self::build(list).map(|regions| Self { alerts, ..regions });
        built.map_err(|problem| config::too_many_words(file, problem))
    }

    fn build(list: Vec<Region>) -> Result<Self, String> {
        let mut regions = Self {
            by_id: list.iter().enumerate().map(|(n, region)| (region.id.clone(), n)).collect(),
            geo: vec![],
            tags: HashMap::new(),
            words: None,
            by_rule: HashMap::new(),
            wide: vec![],
            list: vec![],
            alerts: vec![],
        };
        let mut words = vec![];
        for (n, region) in list.iter().enumerate() {
            for [west, south, east, north] in &region.boxes {
                regions.geo.push((n, GeoBox { west: *west, south: *south, east: *east, north: *north }));
            }
            for keyword in &region.keywords {
                match hashtag_key(keyword) {
                    Some(key) => regions.tags.entry(key.into_owned()).or_default().push(n),
                    None => words.push((keyword.as_str(), n)),
                }
            }
            for tag in &region.rules {
                regions.by_rule.entry(tag.clone()).or_default().push(n);
            }
            if region.boxes.is_empty() && region.keywords.is_empty() && region.rules.is_empty() {
                regions.wide.push(n);
            }
        }
        regions.words = Keywords::new(&words)?;
        regions.list = list;
        Ok(regions)
    }

    /// The regions in file order.
    #[must_use]
    pub fn list(&self) -> &[Region] {
        &self.list
    }

    /// The alerts of the file.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
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
            } else if self.accepts_language(*n, &post.lang) {
                found.push((*n, Located::Text));
            }
        }
        for tag in &post.rule_tags {
            for n in self.by_rule.get(&**tag).into_iter().flatten().filter(|n| self.accepts_language(**n, &post.lang)) {
                found.push((*n, Located::Rule));
            }
            let tag = tag.strip_prefix("rt:").unwrap_or(tag);
            let id = tag.split(':').next().unwrap_or(tag);
            if let Some(n) = self.by_id.get(id) {
                found.push((*n, Located::Rule));
            }
        }
        if post.point.is_some() || post.place.is_some() {
            for (n, region_box) in &self.geo {
                let located = match (post.point, post.place) {
                    (Some(point), _) if region_box.contains(point) => Located::Point,
                    (None, Some(place)) if region_box.matches_place(place) => Located::Place,
                    _ => continue,
                };
                if self.accepts_language(*n, &post.lang) {
                    found.push((*n, located));
                }
            }
        }
        if !self.tags.is_empty() {
            for key in post.hashtags.iter().filter_map(|tag| hashtag::key(tag)) {
                for n in self.tags.get(&*key).into_iter().flatten().filter(|n| self.accepts_language(**n, &post.lang)) {
                    found.push((*n, Located::Text));
                }
            }
        }
        if let Some(words) = &self.words {
            words.find(&post.text, |n| {
                if self.accepts_language(n, &post.lang) {
                    found.push((n, Located::Text));
                }
            });
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

    /// Whether a region accepts posts in this language: primary subtags of canonical tags are compared.
    fn accepts_language(&self, n: usize, lang: &str) -> bool {
        let languages = &self.list[n].languages;
        languages.is_empty() || {
            let lang = language::canonical(lang).unwrap_or(Cow::Borrowed(lang));
            languages.iter().any(|language| language == primary(&lang))
        }
    }
}

/// The language alone, without script, region and the rest.
fn primary(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

/// The key of a keyword that is written as a `#hashtag`.
fn hashtag_key(keyword: &str) -> Option<Cow<'_, str>> {
    keyword.starts_with(['#', '＃']).then(|| hashtag::key(keyword)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::{Point, PostId};

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

[[region]]
id = "storm"
rules = ["Storm Watch", "fiji:own", "hail"]

[[region]]
id = "hail-fr"
rules = ["hail"]
languages = ["FR"]
"##;

    fn post() -> SourcePost<'static> {
        SourcePost { id: PostId(1), author: Some(1), lang: "en".into(), ..SourcePost::default() }
    }

    fn found(post: &SourcePost<'_>) -> Vec<(&'static str, Located)> {
        found_in(FILE, post)
    }

    fn found_in(file: &str, post: &SourcePost<'_>) -> Vec<(&'static str, Located)> {
        let regions = Regions::parse("regions.toml", file).unwrap();
        let mut found = vec![];
        regions.matching(post, &mut found);
        let names = ["montreal", "fiji", "french", "storm", "hail-fr"];
        found.into_iter().map(|(n, located)| (names[n], located)).collect()
    }

    #[test]
    fn a_region_without_a_number_of_lanes_has_one() {
        let text = serde_json::to_string(&Regions::parse("regions.toml", FILE).unwrap().list()[0]).unwrap();
        assert_eq!(serde_json::from_str::<Region>(&text).unwrap().hot_buckets, 1);
    }

    #[test]
    fn each_way_to_match_is_recorded() {
        let at = |lon, lat| Some(Point { lon, lat });
        assert_eq!(found(&post()), []);
        assert_eq!(found(&SourcePost { point: at(-73.6, 45.5), ..post() }), [("montreal", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(-179.9, -17.0), ..post() }), [("fiji", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(179.9, -17.0), ..post() }), [("fiji", Located::Point)]);
        assert_eq!(found(&SourcePost { point: at(0.0, -17.0), ..post() }), []);
        assert_eq!(found(&SourcePost { lang: "fr-CA".into(), ..post() }), [("french", Located::Text)]);
        assert_eq!(found(&SourcePost { hashtags: vec!["GOHABSGO".into()], ..post() }), [("montreal", Located::Text)]);
        assert_eq!(found(&SourcePost { text: "À Montréal".into(), ..post() }), [("montreal", Located::Text)]);
        for tag in ["montreal", "montreal:box", "rt:montreal"] {
            assert_eq!(
                found(&SourcePost { rule_tags: vec![tag.into()], point: at(-73.6, 45.5), ..post() }),
                [("montreal", Located::Rule)]
            );
        }
    }

    #[test]
    fn a_region_of_rules_matches_what_their_tags_mark_exactly_as_written_and_nothing_else() {
        let tagged =
            |tags: &[&'static str]| SourcePost { rule_tags: tags.iter().map(|tag| (*tag).into()).collect(), ..post() };
        assert_eq!(found(&tagged(&["Storm Watch"])), [("storm", Located::Rule)]);
        assert_eq!(found(&tagged(&["x", "Storm Watch", "hail"])), [("storm", Located::Rule)], "once");
        for other in ["storm watch", "Storm Watch ", "Storm", "rt:Storm Watch", "Storm Watch:x"] {
            assert_eq!(found(&tagged(&[other])), [], "{other}");
        }
        // Its own id is a tag of it as of every region, and a tag may mean two regions.
        assert_eq!(found(&tagged(&["rt:storm"])), [("storm", Located::Rule)]);
        assert_eq!(found(&tagged(&["fiji:own"])), [("fiji", Located::Rule), ("storm", Located::Rule)]);
        // It has no languages, yet it is no region of all languages either.
        assert_eq!(found(&SourcePost { text: "Storm Watch hail".into(), ..post() }), []);
        assert_eq!(
            found(&SourcePost { lang: "fr".into(), ..tagged(&["hail"]) }),
            [("french", Located::Text), ("storm", Located::Rule), ("hail-fr", Located::Rule)]
        );
        assert_eq!(
            found(&tagged(&["hail"])),
            [("storm", Located::Rule)],
            "languages narrow the tags that a region lists"
        );
    }

    #[test]
    fn a_language_is_one_with_any_code_in_file_and_post() {
        for (region, post_says, takes) in [
            ("in", "id", true),
            ("id", "in", true),
            ("ID", "In-ID", true),
            ("iw", "he", true),
            ("he", "iw", true),
            ("en", "EN_gb", true),
            ("en", "e", false),
            ("en", "", false),
            ("id", "it", false),
        ] {
            let file = format!("[[region]]\nid = \"a\"\nlanguages = [\"{region}\"]");
            let is_found = !found_in(&file, &SourcePost { lang: post_says.into(), ..post() }).is_empty();
            assert_eq!(is_found, takes, "{region} {post_says}");
        }
    }

    #[test]
    fn a_place_counts_when_half_of_it_is_inside() {
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
    fn a_point_outside_leaves_no_choice_to_the_place() {
        let inside = Some(GeoBox { west: -73.9, south: 45.45, east: -73.5, north: 45.65 });
        let post = SourcePost { point: Some(Point { lon: 2.3, lat: 48.8 }), place: inside, ..post() };
        assert_eq!(found(&post), []);
    }
}
