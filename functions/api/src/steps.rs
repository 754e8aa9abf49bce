//! Steps: windows merged while they are read.

use std::ops::Range;

use birdsong_domain::time::WindowStart;
use birdsong_domain::window::FoldRules;

use crate::report::WindowReport;
use crate::span::{Read, Span, spans};

/// Merges windows, in order, into steps. Of a complete step it keeps only the JSON.
pub(crate) struct Steps {
    region: String,
    rules: FoldRules,
    now_ms: i64,
    step_ms: i64,
    total: Span,
    open: Option<Open>,
    json: Vec<u8>,
}

/// A step that more windows may follow.
struct Open {
    start_ms: i64,
    span: Span,
    minutes: Vec<u64>,
}

impl Steps {
    /// Steps of `step_ms` of a range of a region.
    pub(crate) fn new(region: &str, range: &Range<i64>, step_ms: i64, rules: FoldRules, now_ms: i64) -> Self {
        let total = Span::empty(range.start, range.end);
        Self { region: region.to_owned(), rules, now_ms, step_ms, total, open: None, json: vec![] }
    }

    /// Adds the windows that start in `from..to`, which follow those added before.
    ///
    /// # Errors
    /// When a step cannot be written as JSON.
    pub(crate) fn add(&mut self, read: Read, from: WindowStart, to: WindowStart) -> serde_json::Result<()> {
        for span in spans(read, from, to, self.rules, self.now_ms, true) {
            let start_ms = span.start_ms().div_euclid(self.step_ms) * self.step_ms;
            if self.open.as_ref().is_some_and(|open| open.start_ms != start_ms) {
                self.close()?;
            }
            // A step of one window needs no merging.
            if span.minutes().len() as i64 * 60_000 == self.step_ms {
                self.done(&span)?;
                continue;
            }
            let open = self.open.get_or_insert_with(|| Open {
                start_ms,
                span: Span::empty(start_ms, start_ms + self.step_ms),
                minutes: vec![0; (self.step_ms / 60_000) as usize],
            });
            // A window that is not stored leaves its minutes at 0.
            let at = ((span.start_ms() - start_ms) / 60_000) as usize;
            for (slot, n) in open.minutes.iter_mut().skip(at).zip(span.minutes()) {
                *slot = *n;
            }
            open.span.add(&span);
        }
        Ok(())
    }

    /// The total, and all steps as JSON separated by commas. `reaches_on` when the range ends later than the windows.
    ///
    /// # Errors
    /// When a step cannot be written as JSON.
    pub(crate) fn finish(mut self, reaches_on: bool) -> serde_json::Result<(WindowReport, Vec<u8>)> {
        self.close()?;
        self.total.lay_minutes(vec![]);
        if reaches_on {
            self.total.reaches_into_the_future(self.step_ms, self.now_ms);
        }
        Ok((self.total.report(&self.region), self.json))
    }

    fn close(&mut self) -> serde_json::Result<()> {
        match self.open.take() {
            Some(mut open) => {
                open.span.lay_minutes(open.minutes);
                self.done(&open.span)
            }
            None => Ok(()),
        }
    }

    fn done(&mut self, step: &Span) -> serde_json::Result<()> {
        self.total.add(step);
        // The total has no minutes, which would add up.
        self.total.lay_minutes(vec![]);
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        serde_json::to_writer(&mut self.json, &step.report(&self.region))
    }
}
