//! Calls beside the stream: the rules, and what X says was used.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::{Running, USAGE_EVERY, X};
use crate::http::Http;
use crate::x::diff::Diff;
use crate::x::problem::{Class, Failure};
use crate::x::rules;
use crate::x::state::is_due;
use crate::x::usage::Usage;

/// Pause before the rules are retried.
const RULES_RETRY: Duration = Duration::from_secs(60);

/// The result of a call beside the stream.
pub(super) enum Done {
    /// Rules for this share are set.
    Rules(u8),
    Usage(Usage),
}

/// A call beside the stream; its outcome says whether it is about the rules.
pub(super) type Errand = Pin<Box<dyn Future<Output = (bool, Result<Done, Failure>)> + Send>>;

impl<H: Http + 'static> X<H> {
    /// Gives X the rules for this share of the posts.
    pub(super) fn set_rules(&self, percent: u8) -> impl Future<Output = Result<Done, Failure>> + Send + use<H> {
        let (api, clock, regions) = (self.api.clone(), self.clock.clone(), self.regions.clone());
        async move {
            let wanted = rules::plan(&regions, percent)
                .map_err(|error| Failure { class: Class::Refused, reason: error.to_string() })?;
            let diff = Diff::new(api.rules(&clock).await?, &wanted.rules).sparing(&wanted.foreign_tags);
            for tag in diff.missing(&wanted.foreign_tags) {
                tracing::warn!("no rule at X has the tag {tag:?} that a region lists: no post matches it");
            }
            if !diff.is_empty() {
                api.check(&diff, &clock).await?;
                api.apply(&diff, &clock).await?;
            }
            Ok(Done::Rules(percent))
        }
    }
}

impl<H: Http + 'static> Running<'_, H> {
    /// The next call beside the stream, if one is due.
    pub(super) fn next_errand(&mut self) -> Option<Errand> {
        if is_due(self.state.rules_due) {
            self.state.rules_due = Instant::now() + RULES_RETRY;
            let rules = self.x.set_rules(self.state.governor.percent());
            return Some(Box::pin(async move { (true, rules.await) }));
        }
        if self.x.options.budget.is_some() && is_due(self.state.usage_due) {
            self.state.usage_due = Instant::now() + USAGE_EVERY;
            let (api, clock) = (self.x.api.clone(), self.x.clock.clone());
            return Some(Box::pin(async move { (false, api.usage(&clock).await.map(Done::Usage)) }));
        }
        None
    }
}
