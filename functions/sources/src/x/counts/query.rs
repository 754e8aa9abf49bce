//! What is counted: one query for each region, made of the parts of its rules.

use birdsong_domain::region::{Region, Regions};

use crate::source::SourceError;
use crate::x::rules::{Terms, terms};

/// Longest query, in characters.
pub const MAX_QUERY_CHARS: usize = 512;
/// X counts no reposts, so they are left out by name, too; and no posts that are advertisements only.
const END: &str = " -is:retweet -is:nullcast";

/// The queries of a set of regions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// Id of a region, and its query, in the order of the regions.
    pub all: Vec<(String, String)>,
    /// What X cannot count, in sentences.
    pub notes: Vec<String>,
}

/// Makes the queries of those regions that `only` lists, or of all when it lists none.
///
/// # Errors
/// When a query would be longer than X accepts, when `only` lists a region that does not exist, or when X can count
/// none of them; the text names the region and a remedy.
pub fn queries(regions: &Regions, only: &[String]) -> Result<Queries, SourceError> {
    let config = |text: String| Err(SourceError::Config(format!("x-counts: {text}")));
    if let Some(unknown) = only.iter().find(|id| regions.list().iter().all(|region| region.id != **id)) {
        return config(format!("there is no region {unknown:?}"));
    }
    let (mut all, mut notes) = (vec![], vec![]);
    for region in regions.list().iter().filter(|region| only.is_empty() || only.contains(&region.id)) {
        let Some(query) = query(region, &mut notes) else { continue };
        let chars = query.chars().count();
        if chars > MAX_QUERY_CHARS {
            return config(format!(
                "the region {:?} needs a query of {chars} characters, and X accepts {MAX_QUERY_CHARS}: give it smaller \
                 boxes or fewer keywords, or name the other regions by region=ID",
                region.id
            ));
        }
        all.push((region.id.clone(), query));
    }
    if all.is_empty() {
        return config(format!("X can count nothing for these regions. {}", notes.join(" ")));
    }
    Ok(Queries { all, notes })
}

/// Posts in one of the boxes or with one of the keywords, in one of the languages.
fn query(region: &Region, notes: &mut Vec<String>) -> Option<String> {
    let Terms { boxes, words, languages } = terms(region, notes);
    let all: Vec<_> = boxes.into_iter().chain(words).collect();
    if region.everything || all.is_empty() {
        notes.push(format!("X cannot count the region {:?}: it has neither a box nor a keyword.", region.id));
        return None;
    }
    let any = if all.len() == 1 { all.concat() } else { format!("({})", all.join(" OR ")) };
    Some(format!("{any}{languages}{END}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, only: &[&str]) -> Result<Queries, String> {
        let only: Vec<_> = only.iter().map(|id| (*id).to_owned()).collect();
        queries(&Regions::parse("test", text).unwrap(), &only).map_err(|error| error.to_string())
    }

    const TWO: &str = "[[region]]\nid = \"montreal\"\nboxes = [[-73.98, 45.41, -73.47, 45.70]]\n\
                       keywords = [\"montréal\", \"ville marie\", \"#MTL\"]\nlanguages = [\"fr\", \"en\"]\n\
                       [[region]]\nid = \"fog\"\nkeywords = [\"fog\"]\n";

    #[test]
    fn a_region_is_counted_by_its_boxes_words_and_languages() {
        let queries = of(TWO, &[]).unwrap();
        assert_eq!(
            queries.all,
            [
                (
                    "montreal".into(),
                    "(bounding_box:[-73.98 45.41 -73.47 45.7] OR montréal OR \"ville marie\" OR #MTL) \
                     (lang:fr OR lang:en) -is:retweet -is:nullcast"
                        .to_owned()
                ),
                ("fog".into(), "fog -is:retweet -is:nullcast".to_owned()),
            ]
        );
        assert_eq!(of(TWO, &["fog"]).unwrap().all.len(), 1);
        assert!(of(TWO, &["frog"]).unwrap_err().contains("no region \"frog\""));
    }

    #[test]
    fn what_x_cannot_count_is_named() {
        let mixed = format!("{TWO}[[region]]\nid = \"french\"\nlanguages = [\"fr\"]\n");
        let queries = of(&mixed, &[]).unwrap();
        assert!(queries.all.len() == 2 && queries.notes[0].contains("\"french\""), "{queries:?}");
        assert!(of(&mixed, &["french"]).unwrap_err().contains("neither a box nor a keyword"));
        let words: Vec<_> = (0..60).map(|n| format!("\"keyword{n}\"")).collect();
        let long = format!("{TWO}[[region]]\nid = \"long\"\nkeywords = [{}]\n", words.join(", "));
        let error = of(&long, &[]).unwrap_err();
        assert!(error.contains("the region \"long\" needs a query of") && error.contains("X accepts 512"), "{error}");
        assert_eq!(of(&long, &["fog", "montreal"]).unwrap().all.len(), 2);
    }
}
