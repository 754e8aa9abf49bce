//! Statuses that came while disconnected, read from the timeline.

use std::time::Duration;

use sonic_rs::LazyValue;
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Http, percent_encoded};
use crate::intake::{Change, Intake};
use crate::json;

use super::client::Mastodon;
use super::cursor::Cursor;
use super::status::{Read, Seen, is_newer};

/// Statuses on a page; the limit of a server.
const PAGE: usize = 40;
/// Most pages that are read after a connection: a sixth of what a server allows in five minutes.
const MAX_PAGES: usize = 50;
/// Longest time for that. Nothing of the stream is handed on meanwhile.
const MAX_FILL: Duration = Duration::from_secs(25);
/// How often one page is tried.
const PAGE_TRIES: u32 = 3;
/// Wait before the second attempt at a page; the third waits twice as long.
const PAGE_RETRY: Duration = Duration::from_secs(1);

impl<H: Http + 'static> Mastodon<H> {
    /// Reads from the timeline what came after `cursor`, oldest first, and reports what is left out as a gap.
    ///
    /// The position stays at `cursor` meanwhile: what arrives late may have an id in the midst of
    /// what was read.
    pub(super) async fn fill(&mut self, cursor: Cursor, opened_ms: i64, intake: &mut dyn Intake) {
        let began = Instant::now();
        let mut filled = cursor.clone();
        let mut lost = "more came than may be read from the timeline".to_owned();
        for _ in 0..MAX_PAGES {
            let left = MAX_FILL.saturating_sub(began.elapsed());
            let Ok(page) = timeout(left, self.page(&filled.id)).await else { break };
            let page = page.and_then(|page| match json::read_exact::<Vec<LazyValue<'_>>>(&page) {
                // Newest first.
                Ok(statuses) => Ok(self.page_posts(&statuses, Seen::Between(cursor.at_ms, opened_ms), &filled, intake)),
                Err(error) => Err(error.to_string()),
            });
            match page {
                Ok((newest, statuses)) => {
                    intake.flush(None).await;
                    let is_progress = newest.id != filled.id;
                    filled = newest;
                    // Servers leave out what the token's user has blocked, so a page may lack some.
                    if !is_progress || statuses < PAGE / 2 {
                        let newest = Cursor { id: filled.id, at_ms: opened_ms };
                        return self.position.filled(cursor, newest, (self.clock)());
                    }
                }
                Err(reason) => {
                    lost = format!("the timeline cannot be read: {reason}");
                    break;
                }
            }
        }
        intake.change(Change::Gap { from_ms: filled.at_ms.min(opened_ms), to_ms: opened_ms, reason: lost });
        self.position.lose(opened_ms);
        intake.flush(None).await;
    }

    /// Hands on the posts of a page. Returns its newest status, with the time of the one in its middle,
    /// as a single one may claim any time, and the number of statuses.
    fn page_posts(
        &self,
        statuses: &[LazyValue<'_>],
        seen: Seen,
        before: &Cursor,
        intake: &mut dyn Intake,
    ) -> (Cursor, usize) {
        let (mut newest, mut times) = (before.clone(), vec![]);
        for status in statuses.iter().rev() {
            if let Some(Read { id: Some(id), time_ms, .. }) = self.status(status.as_raw_str().as_bytes(), seen, intake)
            {
                times.push(time_ms);
                if is_newer(&id, &newest.id) {
                    newest.id = id;
                }
            }
        }
        times.sort_unstable();
        newest.at_ms = newest.at_ms.max(times.get(times.len() / 2).copied().unwrap_or(i64::MIN));
        (newest, statuses.len())
    }

    /// The page of the timeline after an id.
    async fn page(&self, id: &str) -> Result<Vec<u8>, String> {
        let address = format!("{}{}min_id={}&limit={PAGE}", self.server, self.feed.timeline(), percent_encoded(id));
        let mut tries = 1;
        loop {
            match self.get_json(&address).await {
                Err(_) if tries < PAGE_TRIES => {
                    sleep(PAGE_RETRY * tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }
}
