//! Rules of the filtered stream, made from regions.
//!
//! A region's boxes become rules tagged `ID:box`, its keywords `ID:text`, and, since a location
//! operator never matches a repost, its keywords once more with `is:retweet`, tagged `rt:ID`. How the
//! operators work: docs.x.com, "Filtered stream: operators" and "build a rule".
//!
//! Rules whose tags a region lists belong to another client: they are neither made, changed nor deleted.

use birdsong_domain::region::{Region, Regions};
use serde::{Deserialize, Serialize};

/// Longest value of a rule, in characters.
pub const MAX_RULE_CHARS: usize = 1024;
/// Most rules of a project.
pub const MAX_RULES: usize = 1000;
/// A box must be less than 25 miles (40.23 km) wide and high; a little less, for the rounding of
/// edges and for the unknown ellipsoid on which X measures.
const MAX_BOX_KM: f64 = 40.07;
/// Kilometres of a degree: of latitude at the poles, where it is longest; of longitude at the
/// equator it is a little less.
const DEGREE_KM: f64 = 111.7;
/// Room for ` sample:100` in every rule, so that narrowing the stream never makes one too long.
const SAMPLE_CHARS: usize = 11;

/// A rule as it is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// What it asks for.
    pub value: String,
    /// What its posts are marked with.
    pub tag: String,
}

/// The rules for a set of regions, and what they cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the regions; no value occurs twice.
    pub rules: Vec<Rule>,
    /// Tags that regions list and no rule of ours has: rules with one of them are left alone.
    pub foreign_tags: Vec<String>,
    /// What X cannot do for a region, in sentences.
    pub notes: Vec<String>,
}

/// No rules can be made of these regions; the text contains the reason and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoRules(pub String);

/// Makes the rules for `regions`; `percent` from 1 to 100 is the share of the posts to ask for.
///
/// # Errors
/// When X can do nothing for any of the regions, or when there are more rules than its limit.
pub fn plan(regions: &Regions, percent: u8) -> Result<Plan, NoRules> {
    let mut plan = Plan { rules: vec![], foreign_tags: vec![], notes: vec![] };
    for region in regions.list() {
        region_rules(region, percent, &mut plan);
    }
    for region in regions.list() {
        for tag in &region.rules {
            if plan.rules.iter().any(|rule| rule.tag == *tag) {
                plan.notes.push(format!(
                    "The region {:?} lists the tag {tag:?}, which is the tag of rules that are made here; a rule of your own needs another one.",
                    region.id
                ));
            } else if !plan.foreign_tags.contains(tag) {
                plan.foreign_tags.push(tag.clone());
            }
        }
    }
    if plan.rules.is_empty() && plan.foreign_tags.is_empty() {
        return Err(NoRules(format!("X can do nothing for these regions. {}", plan.notes.join(" "))));
    }
    if plan.rules.len() > MAX_RULES {
        return Err(NoRules(format!(
            "these regions need {} rules, and X accepts {MAX_RULES}: use smaller boxes or fewer keywords",
            plan.rules.len()
        )));
    }
    Ok(plan)
}

fn region_rules(region: &Region, percent: u8, plan: &mut Plan) {
    let id = &region.id;
    if region.everything || (region.boxes.is_empty() && region.keywords.is_empty()) {
        if !region.rules.is_empty() {
            return;
        }
        let what = if region.everything { "matches every post" } else { "has languages only" };
        plan.notes.push(format!(
            "The region {id:?} {what}: a rule of X needs a box, a keyword or a #hashtag beside a language; add one, list the tag of one of your own rules, or watch it with another source."
        ));
        return;
    }
    let Terms { boxes, words, languages } = terms(region, &mut plan.notes);
    let mut add = |terms: &[String], more: &str, tag: String| {
        let end = format!("{languages}{more}");
        for value in pack(terms, &end) {
            let value = if percent < 100 { format!("{value} sample:{percent}") } else { value };
            // X refuses the same value twice. The other region's posts are found by their box or their
            // words here.
            if plan.rules.iter().all(|rule| rule.value != value) {
                plan.rules.push(Rule { value, tag: tag.clone() });
            }
        }
    };
    add(&boxes, " -is:nullcast", format!("{id}:box"));
    add(&words, " -is:retweet -is:nullcast", format!("{id}:text"));
    add(&words, " is:retweet", format!("rt:{id}"));
    if words.is_empty() && region.rules.is_empty() {
        plan.notes.push(format!(
            "Reposts in the region {id:?} cannot be counted: on X a repost has no place, so rules of boxes never match one; give the region keywords or #hashtags."
        ));
    }
}

/// What X is asked for in a region.
pub(super) struct Terms {
    pub(super) boxes: Vec<String>,
    pub(super) words: Vec<String>,
    /// Empty, or with a space in front.
    pub(super) languages: String,
}

/// The parts of a region's rules. What X cannot look for is added to `notes`.
pub(super) fn terms(region: &Region, notes: &mut Vec<String>) -> Terms {
    let mut words = vec![];
    for keyword in &region.keywords {
        match term(keyword) {
            Some(word) if words.contains(&word) => (),
            Some(word) => words.push(word),
            None => notes.push(format!("X cannot look for the keyword {keyword:?} of the region {:?}.", region.id)),
        }
    }
    let boxes = region.boxes.iter().flat_map(|edges| split(*edges)).map(|edges| box_term(&edges)).collect();
    Terms { boxes, words, languages: narrowing(&region.languages) }
}

/// ` lang:fr`, or ` (lang:fr OR lang:en)`.
fn narrowing(languages: &[String]) -> String {
    // X requires the present codes, `lang:id` and `lang:he`, though its posts still have `in` and `iw`.
    let terms: Vec<_> = languages.iter().map(|language| format!("lang:{language}")).collect();
    match terms.as_slice() {
        [] => String::new(),
        [one] => format!(" {one}"),
        many => format!(" ({})", many.join(" OR ")),
    }
}

/// Joins terms by `OR` into as few rules as possible, each ending with `end`.
fn pack(terms: &[String], end: &str) -> Vec<String> {
    let close = |terms: &[&str]| match terms {
        [one] => format!("{one}{end}"),
        many => format!("({}){end}", many.join(" OR ")),
    };
    let room = (MAX_RULE_CHARS - SAMPLE_CHARS).saturating_sub(end.chars().count() + 2);
    let (mut rules, mut held, mut chars) = (vec![], Vec::<&str>::new(), 0);
    for term in terms {
        let more = term.chars().count() + 4;
        if !held.is_empty() && chars + more > room + 4 {
            rules.push(close(&held));
            held.clear();
            chars = 0;
        }
        held.push(term);
        chars += more;
    }
    if !held.is_empty() {
        rules.push(close(&held));
    }
    rules
}

/// A keyword in the syntax of rules: a `#hashtag`, a plain word, or a phrase in quotes.
fn term(keyword: &str) -> Option<String> {
    let keyword = keyword.trim();
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    if let Some(tag) = keyword.strip_prefix(['#', '＃']).filter(|tag| is_word(tag)) {
        return Some(format!("#{tag}"));
    }
    let plain = |c: char| match c {
        // X would read what a phrase cannot contain as a space anyway: it compares words.
        '"' | '\\' | '“' | '”' | '\u{200b}' => ' ',
        '’' | '‘' | 'ʼ' | '＇' => '\'',
        c => c,
    };
    let text: String = keyword.chars().map(plain).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.chars().all(|c| c.is_ascii_punctuation() || c == ' ') {
        return None;
    }
    let is_operator = ["and", "or", "not"].contains(&text.to_lowercase().as_str());
    Some(if is_word(&text) && !is_operator { text } else { format!("\"{text}\"") })
}

fn box_term(edges: &[f64; 4]) -> String {
    let [west, south, east, north] = edges.map(degrees);
    format!("bounding_box:[{west} {south} {east} {north}]")
}

/// About a metre exact.
fn degrees(number: f64) -> String {
    let text = format!("{number:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Boxes within the limits of X that together cover a box. They are as large as possible and overlap,
/// since X matches a place only when all of it is within one of them.
fn split([west, south, east, north]: [f64; 4]) -> Vec<[f64; 4]> {
    // X accepts no box across the antimeridian.
    let mut strips = if west > east { vec![(west, 180.0), (-180.0, east)] } else { vec![(west, east)] };
    // Nor one without width, as of a box that starts or ends there.
    strips.retain(|(west, east)| west < east);
    let mut boxes = vec![];
    for (south, north) in cover(south, north, MAX_BOX_KM / DEGREE_KM) {
        // A degree of longitude is longest where the box comes closest to the equator.
        let nearest = if south <= 0.0 && north >= 0.0 { 0.0 } else { south.abs().min(north.abs()) };
        let widest = (MAX_BOX_KM / (DEGREE_KM * nearest.to_radians().cos().max(1e-3))).min(90.0);
        for (west, east) in &strips {
            boxes.extend(cover(*west, *east, widest).into_iter().map(|(west, east)| [west, south, east, north]));
        }
    }
    boxes
}

/// The fewest spans of at most `longest` that cover `from..to`, evenly placed.
fn cover(from: f64, to: f64, longest: f64) -> Vec<(f64, f64)> {
    let count = ((to - from) / longest).ceil().max(1.0);
    if count == 1.0 {
        return vec![(from, to)];
    }
    let step = (to - from - longest) / (count - 1.0);
    (0..count as usize).map(|n| from + step * n as f64).map(|from| (from, from + longest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str) -> Plan {
        plan(&Regions::parse("test", text).unwrap(), 100).unwrap()
    }

    fn values(plan: &Plan) -> Vec<(&str, &str)> {
        plan.rules.iter().map(|rule| (rule.tag.as_str(), rule.value.as_str())).collect()
    }

    #[test]
    fn a_region_becomes_a_rule_for_its_box_one_for_its_words_and_one_for_their_reposts() {
        let plan = rules(
            "[[region]]\nid = \"montreal\"\nboxes = [[-73.98, 45.41, -73.47, 45.70]]\n\
             keywords = [\"montréal\", \"ville marie\", \"#MTL\"]\nlanguages = [\"fr\", \"en\"]",
        );
        assert_eq!(
            values(&plan),
            [
                ("montreal:box", "bounding_box:[-73.98 45.41 -73.47 45.7] (lang:fr OR lang:en) -is:nullcast"),
                (
                    "montreal:text",
                    "(montréal OR \"ville marie\" OR #MTL) (lang:fr OR lang:en) -is:retweet -is:nullcast"
                ),
                ("rt:montreal", "(montréal OR \"ville marie\" OR #MTL) (lang:fr OR lang:en) is:retweet"),
            ]
        );
        assert_eq!(plan.notes, Vec::<String>::new());
    }

    #[test]
    fn what_x_cannot_do_is_reported() {
        let languages = Regions::parse("test", "[[region]]\nid = \"french\"\nlanguages = [\"fr\"]").unwrap();
        let error = plan(&languages, 100).unwrap_err().to_string();
        assert!(error.contains("\"french\" has languages only") && error.contains("another source"), "{error}");
        assert!(plan(&Regions::everything("all"), 100).unwrap_err().to_string().contains("matches every post"));
        let places = rules("[[region]]\nid = \"a\"\nboxes = [[1, 1, 1.1, 1.1]]");
        assert!(places.notes[0].contains("Reposts in the region \"a\""), "{:?}", places.notes);
        let mixed = rules(
            "[[region]]\nid = \"a\"\nlanguages = [\"he\"]\n[[region]]\nid = \"b\"\nkeywords = [\"--\", \"x\"]\nlanguages = [\"he\"]",
        );
        assert_eq!(values(&mixed)[0], ("b:text", "x lang:he -is:retweet -is:nullcast"));
        assert_eq!(mixed.notes.len(), 2, "{:?}", mixed.notes);
    }

    #[test]
    fn x_is_asked_for_languages_by_their_present_code() {
        for (written, asked) in
            [("in", "lang:id"), ("ID", "lang:id"), ("iw", "lang:he"), ("He", "lang:he"), ("ji", "lang:yi")]
        {
            let plan = rules(&format!("[[region]]\nid = \"a\"\nkeywords = [\"x\"]\nlanguages = [\"{written}\"]"));
            assert_eq!(values(&plan)[0].1, format!("x {asked} -is:retweet -is:nullcast"));
        }
        let both = rules("[[region]]\nid = \"a\"\nkeywords = [\"x\"]\nlanguages = [\"in\", \"id\"]");
        assert_eq!(values(&both)[1], ("rt:a", "x lang:id is:retweet"));
    }

    #[test]
    fn rules_of_others_are_named_and_none_is_made_for_them() {
        let text = "[[region]]\nid = \"storm\"\nrules = [\"Storm Watch\", \"hail\"]\nlanguages = [\"fr\"]\n\
                    [[region]]\nid = \"b\"\nrules = [\"hail\"]\n";
        let alone = rules(text);
        assert_eq!(alone.rules, []);
        assert_eq!(alone.foreign_tags, ["Storm Watch", "hail"]);
        assert_eq!(alone.notes, Vec::<String>::new());
        let more = format!("{text}[[region]]\nid = \"c\"\nkeywords = [\"x\"]\nrules = [\"rt:c\", \"c\", \"d:text\"]");
        let mixed = rules(&more);
        assert_eq!(values(&mixed), [("c:text", "x -is:retweet -is:nullcast"), ("rt:c", "x is:retweet")]);
        assert_eq!(mixed.foreign_tags, ["Storm Watch", "hail", "c", "d:text"]);
        assert!(mixed.notes[0].contains("\"rt:c\""), "a tag of our own rules stays ours: {:?}", mixed.notes);
    }

    #[test]
    fn a_box_that_ends_at_the_antimeridian_makes_no_rule_without_width() {
        for edges in [[180.0, 10.0, -179.9, 10.1], [179.9, 10.0, -180.0, 10.1]] {
            let boxes = split(edges);
            assert!(!boxes.is_empty() && boxes.iter().all(|[west, _, east, _]| west < east), "{boxes:?}");
        }
    }

    #[test]
    fn keywords_are_quoted_where_they_must_be() {
        for (keyword, wanted) in [
            ("paris", Some("paris")),
            (" são paulo ", Some("\"são paulo\"")),
            ("＃渋谷", Some("#渋谷")),
            ("#a-b", Some("\"#a-b\"")),
            ("or", Some("\"or\"")),
            ("say \"hi\" \\ there", Some("\"say hi there\"")),
            ("-is:retweet", Some("\"-is:retweet\"")),
            ("rock'n'roll", Some("\"rock'n'roll\"")),
            ("rock’nʼroll", Some("\"rock'n'roll\"")),
            ("grand\u{a0} \n place", Some("\"grand place\"")),
            ("grand\u{200b}place", Some("\"grand place\"")),
            ("🚀", Some("\"🚀\"")),
            ("\"", None),
        ] {
            assert_eq!(term(keyword).as_deref(), wanted, "{keyword}");
        }
    }

    #[test]
    fn a_sample_is_asked_for_in_every_rule_and_two_regions_share_one_value() {
        let text = "[[region]]\nid = \"a\"\nkeywords = [\"x\"]\n[[region]]\nid = \"b\"\nkeywords = [\"x\"]";
        let plan = plan(&Regions::parse("test", text).unwrap(), 25).unwrap();
        assert_eq!(
            values(&plan),
            [("a:text", "x -is:retweet -is:nullcast sample:25"), ("rt:a", "x is:retweet sample:25")]
        );
    }

    /// Great-circle distance in km on a sphere (haversine).
    fn km(from: (f64, f64), to: (f64, f64)) -> f64 {
        let (dlat, dlon) = ((to.1 - from.1).to_radians(), (to.0 - from.0).to_radians());
        let a = (dlat / 2.0).sin().powi(2)
            + from.1.to_radians().cos() * to.1.to_radians().cos() * (dlon / 2.0).sin().powi(2);
        2.0 * 6371.0088 * a.sqrt().asin()
    }

    proptest! {
        #[test]
        fn boxes_are_small_enough_and_cover_all(
            west in -180.0f64..180.0, width in 0.01f64..3.0, south in -85.0f64..83.0, height in 0.01f64..1.9,
            x in 0.0f64..1.0, y in 0.0f64..1.0,
        ) {
            let turn = |lon: f64| if lon > 180.0 { lon - 360.0 } else { lon };
            let boxes = split([west, south, turn(west + width), south + height]);
            for [west, south, east, north] in &boxes {
                prop_assert!(west < east && south < north);
                prop_assert!(km((*west, *south), (*west, *north)) < 40.2);
                for lat in [*south, *north, if south * north < 0.0 { 0.0 } else { *south }] {
                    prop_assert!(km((*west, lat), (*east, lat)) < 40.2, "{} km", km((*west, lat), (*east, lat)));
                }
            }
            let (lon, lat) = (turn(west + width * x), south + height * y);
            let is_held = |[west, south, east, north]: &[f64; 4]| {
                (west - 1e-9..=east + 1e-9).contains(&lon) && (south - 1e-9..=north + 1e-9).contains(&lat)
            };
            prop_assert!(boxes.iter().any(is_held), "{lon} {lat} {boxes:?}");
        }

        #[test]
        fn no_rule_is_too_long_and_no_term_is_lost(
            words in prop::collection::vec("[a-zé東]{1,30}", 1..200), languages in 0usize..26,
        ) {
            let languages: Vec<_> = (b'a'..).take(languages).map(|c| format!("x{}", char::from(c))).collect();
            let list = |items: &[String]| format!("{items:?}");
            let text = format!("[[region]]\nid = \"a\"\nkeywords = {}\nlanguages = {}", list(&words), list(&languages));
            let plan = rules(&text);
            for rule in &plan.rules {
                prop_assert!(rule.value.chars().count() + SAMPLE_CHARS <= MAX_RULE_CHARS);
            }
            for word in words {
                for tag in ["a:text", "rt:a"] {
                    let has = |rule: &&Rule| rule.tag == tag && rule.value.split([' ', '(', ')']).any(|w| w.trim_matches('"') == word);
                    prop_assert_eq!(plan.rules.iter().filter(has).count(), 1);
                }
            }
        }
    }
}
