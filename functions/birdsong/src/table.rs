//! Cells of the table that `replay` prints: an estimate shows as one.

use birdsong_api::report::{Flaw, WindowReport};
use birdsong_domain::printable::printable;

/// Hashtags of one row.
const TOP: usize = 3;

/// Distinct authors: one number when it is exact, else with its bounds.
pub(crate) fn authors(report: &WindowReport) -> String {
    let (value, low, high) = (report.authors, report.authors_low, report.authors_high);
    if low == high { value.to_string() } else { format!("{value} ({low}–{high})") }
}

/// The most frequent hashtags. Counts may be too low and are never too high.
pub(crate) fn hashtags(report: &WindowReport) -> String {
    let top = report.hashtags.get(..TOP).unwrap_or(&report.hashtags);
    let tags: Vec<_> = top.iter().map(|tag| format!("#{} {}", printable(&tag.tag), tag.count)).collect();
    // All counts of a window have the same error.
    match top.iter().map(|tag| tag.error).max() {
        Some(error) if error > 0 && top.len() > 1 => format!("{} (each up to {error} more)", tags.join(", ")),
        Some(error) if error > 0 => format!("{} (up to {error} more)", tags.join(", ")),
        _ => tags.join(", "),
    }
}

/// The notes that a reader of the table needs; empty when all numbers are exact.
#[derive(Debug, Default)]
pub(crate) struct Legend {
    has_estimates: bool,
    authorless: u64,
    long_hashtags: u64,
    is_damaged: bool,
}

impl Legend {
    pub(crate) fn add(&mut self, report: &WindowReport) {
        self.has_estimates |= report.authors_low < report.authors_high;
        self.authorless += report.authorless;
        self.long_hashtags += report.long_hashtags;
        self.is_damaged |= report.completeness.flaws.contains(&Flaw::Corrupt);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![];
        if self.has_estimates {
            lines.push("authors: estimate (with 95 % probability the number is within these bounds)".to_owned());
        }
        if self.authorless > 0 {
            lines.push(format!(
                "{} posts name no author; each may be by another author or not, as the bounds show",
                self.authorless
            ));
        }
        if self.long_hashtags > 0 {
            lines.push(format!("{} hashtags were longer than the limit and have no count", self.long_hashtags));
        }
        if self.is_damaged {
            lines.push(
                "posts are missing, as records of the log or stored windows are damaged: `birdsong reprocess` restores \
                 what the log still holds"
                    .to_owned(),
            );
        }
        lines
    }
}

// Rule 9.4.
#[cfg(test)]
mod tests {
    use super::*;
    use birdsong_api::report::{HashtagCount, Lifecycle};

    fn report(tags: &[(&str, u64, u64)], authors: [u64; 3]) -> WindowReport {
        let hashtag = |(tag, count, error): &(&str, u64, u64)| HashtagCount {
            tag: (*tag).to_owned(),
            count: *count,
            error: *error,
        };
        let [authors_low, authors, authors_high] = authors;
        WindowReport {
            region: "all".into(),
            lifecycle: Lifecycle::Final,
            authors,
            authors_low,
            authors_high,
            hashtags: tags.iter().map(hashtag).collect(),
            ..WindowReport::default()
        }
    }

    #[test]
    fn a_count_that_may_be_too_low_shows_by_how_much() {
        let exact = [3, 3, 3];
        assert_eq!(hashtags(&report(&[("storm", 2375, 625)], exact)), "#storm 2375 (up to 625 more)");
        let two = [("storm", 2375, 625), ("rain", 700, 625)];
        assert_eq!(hashtags(&report(&two, exact)), "#storm 2375, #rain 700 (each up to 625 more)");
        assert_eq!(hashtags(&report(&[("fog", 3, 0), ("sun", 2, 0)], exact)), "#fog 3, #sun 2");
        assert_eq!(hashtags(&report(&[], exact)), "");
        assert_eq!(hashtags(&report(&[("a", 1, 0), ("b", 1, 0), ("c", 1, 0), ("d", 1, 0)], exact)), "#a 1, #b 1, #c 1");
    }

    #[test]
    fn an_estimate_shows_its_bounds_and_an_exact_number_none() {
        let (exact, estimate) = (report(&[], [3, 3, 3]), report(&[], [960, 980, 1000]));
        assert_eq!((authors(&exact).as_str(), authors(&estimate).as_str()), ("3", "980 (960–1000)"));
        let legend = |reports: &[&WindowReport]| {
            let mut legend = Legend::default();
            reports.iter().for_each(|report| legend.add(report));
            legend.lines().len()
        };
        assert_eq!(legend(&[&exact]), 0);
        assert_eq!(legend(&[&exact, &estimate]), 1);
        let missing = WindowReport { authorless: 2, long_hashtags: 1, ..exact };
        assert_eq!(legend(&[&missing]), 2);
    }
}
