//! Steps: windows, hours or days merged while they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use birdsong_digest::read::Grain;
use birdsong_digest::reference;
use birdsong_digest::revisions::Revisions;
use birdsong_domain::reference::ReferenceDay;
use birdsong_domain::rollup::Period;
use birdsong_domain::window::FoldRules;

use crate::fields::Fields;
use crate::report::{Top, WindowReport};
use crate::series::UsualOf;
use crate::span::{Networks, Read, Span, spans};

/// What is wanted of each step, and of the total.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Fields of the steps.
    pub(crate) fields: Fields,
    /// Fields of the total.
    pub(crate) total_fields: Fields,
    /// Entries in the rankings of the total.
    pub(crate) top: Top,
    /// Only steps that changed at or after this time, in milliseconds.
    pub(crate) since_ms: Option<i64>,
}

/// Merges windows, hours or days, in order, into steps. Of a complete step it keeps only the JSON.
pub(crate) struct Steps {
    region: String,
    rules: FoldRules,
    now_ms: i64,
    step_ms: i64,
    grain: Grain,
    wanted: Wanted,
    usual: Option<UsualOf>,
    reference: BTreeMap<i64, ReferenceDay>,
    behind: Arc<BTreeSet<i64>>,
    revisions: Revisions,
    networks: Networks,
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
    pub(crate) fn new(
        region: &str,
        range: &Range<i64>,
        step_ms: i64,
        rules: FoldRules,
        now_ms: i64,
        wanted: Wanted,
    ) -> Self {
        Self {
            region: region.to_owned(),
            rules,
            now_ms,
            step_ms,
            grain: Grain::of_step(step_ms, rules.size),
            wanted,
            usual: None,
            reference: BTreeMap::new(),
            behind: Arc::default(),
            revisions: Revisions::default(),
            networks: Networks::default(),
            total: Span::empty(range.start, range.end),
            open: None,
            json: vec![],
        }
    }

    /// With what is usual in each step.
    pub(crate) fn with_usual(self, usual: UsualOf) -> Self {
        Self { usual: Some(usual), ..self }
    }

    /// With the counts of another place, by day.
    pub(crate) fn with_reference(self, reference: BTreeMap<i64, ReferenceDay>) -> Self {
        Self { reference, ..self }
    }

    /// With the hours of which posts are not in windows yet.
    pub(crate) fn with_behind(self, behind: Arc<BTreeSet<i64>>) -> Self {
        Self { behind, ..self }
    }

    /// With what a reprocess changed in windows, of these networks.
    pub(crate) fn with_revisions(self, revisions: Revisions, networks: Networks) -> Self {
        Self { revisions, networks, ..self }
    }

    /// Adds what starts in `from_ms..to_ms`, which follows what was added before.
    ///
    /// # Errors
    /// When a step cannot be written as JSON.
    pub(crate) fn add(&mut self, read: Read, range: (i64, i64), until_ms: i64) -> serde_json::Result<()> {
        for mut span in spans(read, self.grain, range, until_ms, self.rules, self.now_ms, Some(self.step_ms)) {
            span.lacks_those_of(&self.behind, Period::Hour.ms(self.rules.size));
            let of_network = |network| self.networks.asks_for(network);
            span.was_corrected(&self.revisions.of(span.start_ms(), span.end_ms(), of_network));
            let start_ms = span.start_ms().div_euclid(self.step_ms) * self.step_ms;
            if self.open.as_ref().is_some_and(|open| open.start_ms != start_ms) {
                self.close()?;
            }
            // A step of one window, hour or day needs no merging.
            if self.grain.ms(self.rules.size) == self.step_ms {
                self.done(&span)?;
                continue;
            }
            // Longer steps have no minutes.
            let has_minutes = self.step_ms <= Period::Hour.ms(self.rules.size);
            let open = self.open.get_or_insert_with(|| Open {
                start_ms,
                span: Span::empty(start_ms, start_ms + self.step_ms),
                minutes: vec![0; if has_minutes { (self.step_ms / 60_000) as usize } else { 0 }],
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
        Ok((self.total.report(&self.region, &self.wanted.total_fields, self.wanted.top), self.json))
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
        if self.wanted.since_ms.is_some_and(|since_ms| !step.has_changed_since(since_ms, self.rules)) {
            return Ok(());
        }
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        let mut report = step.report(&self.region, &self.wanted.fields, Top::default());
        let start_ms = step.start_ms();
        if let Some([usual, low, high]) =
            self.usual.as_ref().and_then(|usual| usual.step(start_ms, start_ms + self.step_ms))
        {
            (report.usual, report.usual_low, report.usual_high) = (Some(usual), Some(low), Some(high));
        }
        if !self.reference.is_empty() {
            report.reference = reference::posts(&self.reference, start_ms, start_ms + self.step_ms);
            report.reference_share = report.reference.and_then(|posts| step.share_of(posts));
        }
        self.wanted.fields.write(&report, &mut self.json)
    }
}
