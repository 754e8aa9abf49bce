//! A full spool: the oldest cuts lose their posts, and keep their ledgers, which count them as dropped.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use birdsong_domain::frame::{self, FrameError, FrameHeader, Ledger};
use birdsong_domain::ports::FrameRecord;

use super::{Cut, Outbox, file};

/// What was pushed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Posts dropped.
    pub posts: u64,
}

impl Outbox {
    /// Takes posts out of the oldest files until the limit is kept.
    pub(super) fn make_room(&mut self) -> io::Result<Dropped> {
        let mut dropped = Dropped::default();
        let read_number = self.front.as_ref().map(|(number, _)| *number);
        let mut at = 0;
        while at < self.spooled.len() && self.spooled_bytes > self.limits.spool_bytes {
            let oldest = &self.spooled[at];
            // What is just being sent is not touched.
            if oldest.is_emptied || Some(oldest.number) == read_number {
                at += 1;
                continue;
            }
            let number = oldest.number;
            let cut = match file::read(&self.path(number)?) {
                Err(error) if file::is_gone(&error) => {
                    self.quarantine_file(at, &error);
                    continue;
                }
                cut => cut?,
            };
            let (posts, cut) = without_posts(cut).map_err(io::Error::other)?;
            // A file for each cut would fill the disk too, only slower.
            let older = self.emptied_before(at, read_number)?;
            let joined = older.and_then(|(path, older)| Some((Some(path), join(&older, &cut)?)));
            let (gone, cut) = joined.unwrap_or((None, cut));
            let bytes = file::write(&self.path(number)?, &cut)?;
            let spooled = &mut self.spooled[at];
            self.spooled_bytes = self.spooled_bytes - spooled.bytes + bytes;
            (spooled.bytes, spooled.is_emptied) = (bytes, true);
            dropped.posts += posts;
            if let Some(path) = gone {
                // Should this fail, some posts are counted as dropped twice.
                fs::remove_file(path)?;
                self.forget_file(at - 1);
            }
        }
        Ok(dropped)
    }

    /// The file in front of `at` and its content, when its posts were dropped, too.
    fn emptied_before(&self, at: usize, read_number: Option<u64>) -> io::Result<Option<(PathBuf, Cut)>> {
        let older = at.checked_sub(1).map(|at| &self.spooled[at]);
        let Some(older) = older.filter(|older| older.is_emptied && Some(older.number) != read_number) else {
            return Ok(None);
        };
        let path = self.path(older.number)?;
        Ok(file::read(&path).ok().map(|cut| (path, cut)))
    }
}

/// The cut with nothing but its ledger, in which what was sent is dropped.
fn without_posts(cut: Cut) -> Result<(u64, Cut), FrameError> {
    let mut posts = 0;
    let mut records = vec![];
    for record in cut.records.into_iter().filter(|record| record.lane.is_ledger()) {
        let mut header = frame::decode(&record.bytes)?.header;
        for ledger in std::iter::once(&mut header.ledger).chain(header.ledgers.iter_mut().map(|(_, ledger)| ledger)) {
            posts += ledger.sent;
            ledger.dropped += std::mem::take(&mut ledger.sent);
        }
        records.push(FrameRecord { lane: record.lane, bytes: frame::encode(&header, b"")? });
    }
    Ok((posts, Cut { records, resume: cut.resume }))
}

/// Both cuts in one, when each is one ledger of the same run and minute, and so cut in the same window.
fn join(older: &Cut, newer: &Cut) -> Option<Cut> {
    let ledger_of = |cut: &Cut| match &cut.records[..] {
        [record] => frame::decode(&record.bytes).ok().map(|frame| (record.lane.clone(), frame.header)),
        _ => None,
    };
    let ((_, older), (lane, mut header)) = (ledger_of(older)?, ledger_of(newer)?);
    let key = |header: &FrameHeader| (header.run.clone(), header.cut_ms.div_euclid(60_000), header.connected_ms);
    if key(&older) != key(&header) {
        return None;
    }
    header.ledger.add(&older.ledger);
    let mut windows: BTreeMap<i64, Ledger> = BTreeMap::new();
    for (window_ms, ledger) in older.ledgers.iter().chain(&header.ledgers) {
        windows.entry(*window_ms).or_default().add(ledger);
    }
    header.ledgers = windows.into_iter().collect();
    let record = FrameRecord { lane, bytes: frame::encode(&header, b"").ok()? };
    Some(Cut { records: vec![record], resume: newer.resume.clone() })
}

// Rule 4.8.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::{cut, point};
    use crate::outbox::{OutboxLimits, ResumePoint};

    /// Sends all that waits: the sum of its ledgers, by minute, and the resume points.
    fn sent_all(outbox: &mut Outbox) -> (BTreeMap<i64, Ledger>, Vec<ResumePoint>) {
        let (mut minutes, mut order) = (BTreeMap::<_, Ledger>::new(), vec![]);
        while let Some(cut) = outbox.front() {
            for record in &cut.records {
                let header = frame::decode(&record.bytes).unwrap().header;
                minutes.entry(header.cut_ms / 60_000).or_default().add(&header.ledger);
            }
            order.extend(outbox.settle(vec![]));
        }
        (minutes, order)
    }

    #[test]
    fn a_full_spool_drops_the_oldest_posts_and_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        let dropped: u64 = (0..30).map(|n| outbox.push(cut(n, 10 + n)).unwrap().posts).sum();
        assert!(outbox.spooled_bytes <= 12_000 && dropped > 0);
        // The oldest is on its way already.
        let newest = outbox.spooled.iter().filter(|file| !file.is_emptied).count() as u64 - 1;
        assert!(newest >= 2, "{newest}");
        let (minutes, order) = sent_all(&mut outbox);
        for (minute, sum) in &minutes {
            let cuts = *minute as u64 * 6..*minute as u64 * 6 + 6;
            assert_eq!(sum.received, cuts.clone().map(|n| 10 + n).sum::<u64>(), "{minute}");
            assert_eq!(
                sum.dropped,
                cuts.filter(|n| *n > 0 && n + newest < 30).map(|n| 10 + n).sum::<u64>(),
                "{minute}"
            );
            assert!(sum.balances());
        }
        assert_eq!((minutes.len(), minutes.values().map(|sum| sum.dropped).sum::<u64>()), (5, dropped));
        // Those of one minute leave as one.
        assert!(order.is_sorted_by_key(|point| point.at_ms) && order.last() == Some(&point(29)), "{order:?}");
    }

    #[test]
    fn a_spool_that_stays_full_keeps_a_file_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        let mut dropped = 0;
        for n in 0..120 {
            // The log comes and goes.
            if n % 17 == 0 {
                outbox.front();
            }
            dropped += outbox.push(cut(n, 1)).unwrap().posts;
        }
        let emptied = outbox.spooled.iter().filter(|file| file.is_emptied).count();
        assert!((19..40).contains(&emptied), "{emptied}");
        let bytes: u64 = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert_eq!((outbox.waiting_bytes(), fs::read_dir(dir.path()).unwrap().count()), (bytes, outbox.spooled.len()));
        let (minutes, _) = sent_all(&mut outbox);
        let sum = |count: fn(&Ledger) -> u64| minutes.values().map(count).sum::<u64>();
        assert_eq!((sum(|ledger| ledger.received), sum(|ledger| ledger.dropped)), (120, dropped));
        assert!(minutes.values().all(|ledger| ledger.received == 6), "{minutes:?}");
    }

    #[test]
    fn a_damaged_file_does_not_keep_a_full_spool_from_making_room() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, spool_bytes: 12_000 };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..2).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        let damaged = outbox.path(outbox.spooled[1].number).unwrap();
        // Half a header is no end of a file.
        fs::write(&damaged, b"{\n").unwrap();
        (2..30).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        assert!(outbox.spooled_bytes <= 12_000 && damaged.with_extension("damaged").exists());
    }

    #[test]
    fn a_spool_at_its_limit_drops_nothing_and_one_beyond_it_what_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        (0..3).for_each(|n| _ = outbox.push(cut(n, 1)).unwrap());
        outbox.limits.spool_bytes = outbox.spooled_bytes;
        assert_eq!(outbox.make_room().unwrap().posts, 0);
        outbox.limits.spool_bytes = 0;
        assert_eq!(outbox.make_room().unwrap().posts, 2, "the oldest may be on its way to the log");
        assert_eq!(outbox.spooled.len(), 2, "the others are of one minute");
    }

    /// Its file is forgotten when the log has it, so nothing else may be in that by then.
    #[test]
    fn what_is_on_its_way_to_the_log_is_not_joined_with_what_follows() {
        let dir = tempfile::tempdir().unwrap();
        let limits = OutboxLimits { memory_bytes: 0, ..OutboxLimits::default() };
        let mut outbox = Outbox::open(Some(dir.path().into()), limits).unwrap();
        outbox.push(cut(0, 1)).unwrap();
        let mut outbox = Outbox::open(Some(dir.path().into()), OutboxLimits { spool_bytes: 0, ..limits }).unwrap();
        assert_eq!(outbox.make_room().unwrap().posts, 1);
        assert!(outbox.front().is_some());
        (1..3).for_each(|n| assert_eq!(outbox.push(cut(n, 1)).unwrap().posts, 1));
        let (minutes, _) = sent_all(&mut outbox);
        assert_eq!(minutes[&0], Ledger { received: 3, dropped: 3, ..Ledger::default() });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
