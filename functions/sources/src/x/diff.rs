//! What has to change so that X has the wanted rules.

use serde::Deserialize;

use super::rules::Rule;

/// A rule as X has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SetRule {
    /// Given by X.
    pub id: String,
    /// What it asks for.
    pub value: String,
    /// What its posts are marked with.
    #[serde(default)]
    pub tag: String,
}

/// What has to change so that X has exactly the wanted rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Rules to add.
    pub add: Vec<Rule>,
    /// Rules to delete.
    pub delete: Vec<SetRule>,
    /// Rules that stay.
    pub same: usize,
    /// Rules of other clients, which stay.
    pub foreign: Vec<SetRule>,
}

impl Diff {
    /// From what is set to what is wanted, by value and tag.
    #[must_use]
    pub fn new(set: Vec<SetRule>, wanted: &[Rule]) -> Self {
        let is_set = |rule: &&Rule| set.iter().any(|set| set.value == rule.value && set.tag == rule.tag);
        let add: Vec<_> = wanted.iter().filter(|rule| !is_set(rule)).cloned().collect();
        let same = wanted.len() - add.len();
        let is_extra = |set: &SetRule| wanted.iter().all(|rule| set.value != rule.value || set.tag != rule.tag);
        Self { add, delete: set.into_iter().filter(is_extra).collect(), same, foreign: vec![] }
    }

    /// Leaves alone the rules that have one of these tags. A rule of ours that asks for the very same is
    /// not added: X refuses a value twice, and its posts come by the other one.
    #[must_use]
    pub fn sparing(mut self, tags: &[String]) -> Self {
        let (foreign, delete) = self.delete.into_iter().partition(|rule| tags.contains(&rule.tag));
        (self.foreign, self.delete) = (foreign, delete);
        let before = self.add.len();
        self.add.retain(|rule| self.foreign.iter().all(|foreign| foreign.value != rule.value));
        self.same += before - self.add.len();
        self
    }

    /// The tags without a rule of another client: nothing comes for them.
    #[must_use]
    pub fn missing<'a>(&self, tags: &'a [String]) -> Vec<&'a str> {
        let is_there = |tag: &str| self.foreign.iter().any(|rule| rule.tag == tag);
        tags.iter().map(String::as_str).filter(|tag| !is_there(tag)).collect()
    }

    /// Nothing has to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.delete.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_differ_by_value_and_tag() {
        let set = |id: &str, value: &str, tag: &str| SetRule { id: id.into(), value: value.into(), tag: tag.into() };
        let rule = |value: &str, tag: &str| Rule { value: value.into(), tag: tag.into() };
        let diff = Diff::new(
            vec![set("1", "a", "t"), set("2", "b", "t"), set("3", "c", "")],
            &[rule("a", "t"), rule("b", "u")],
        );
        assert_eq!((diff.same, &diff.add, diff.delete.len()), (1, &vec![rule("b", "u")], 2));
        assert!(Diff::new(vec![set("1", "a", "t")], &[rule("a", "t")]).is_empty());
    }

    #[test]
    fn rules_of_others_are_left_alone() {
        let set = |id: &str, value: &str, tag: &str| SetRule { id: id.into(), value: value.into(), tag: tag.into() };
        let rule = |value: &str, tag: &str| Rule { value: value.into(), tag: tag.into() };
        let theirs = ["storm".to_owned(), "Hail".to_owned()];
        let at_x = vec![set("1", "a", "r:text"), set("2", "b", "storm"), set("3", "c", "storm"), set("4", "d", "hail")];
        let diff = Diff::new(at_x, &[rule("a", "r:text"), rule("b", "r:text"), rule("e", "r:text")]).sparing(&theirs);
        assert_eq!(diff.foreign, [set("2", "b", "storm"), set("3", "c", "storm")]);
        assert_eq!(diff.delete, [set("4", "d", "hail")], "another tag");
        assert_eq!((&diff.add, diff.same), (&vec![rule("e", "r:text")], 2), "X accepts no value twice");
        assert_eq!(diff.missing(&theirs), ["Hail"]);
        assert!(Diff::new(vec![set("1", "a", "storm")], &[]).sparing(&theirs).is_empty());
    }
}
