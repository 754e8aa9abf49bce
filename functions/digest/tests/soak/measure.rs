//! What the process and its data folder need, minute by minute.

use std::fmt::Write;
use std::path::Path;

/// One row of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    /// Simulated minutes since the start.
    pub(crate) minute: u64,
    /// Real seconds since the start.
    pub(crate) real_secs: u64,
    /// Posts that the source handed on.
    pub(crate) posts: u64,
    /// Starts of the streamer.
    pub(crate) lives: u64,
    /// Calls of the log and the store that failed.
    pub(crate) failures: u64,
    /// Resident memory, in KiB.
    pub(crate) memory_kib: u64,
    /// Open descriptors.
    pub(crate) descriptors: u64,
    /// Files in the data folder, without those of the spool.
    pub(crate) files: u64,
    /// Files of the spool: one for each cut that waits for the log, and many of them while the log fails.
    pub(crate) spool_files: u64,
    /// Bytes of the log, of the store, and of the spool.
    pub(crate) log_bytes: u64,
    pub(crate) store_bytes: u64,
    pub(crate) spool_bytes: u64,
}

impl Row {
    pub(crate) const HEAD: &str =
        "minute,real_secs,posts,lives,failures,memory_kib,descriptors,files,log_bytes,store_bytes,spool_bytes\n";

    /// Looks at the process and the folder.
    pub(crate) fn look(self, dir: &Path) -> Self {
        let mut row = self;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        row.memory_kib = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        row.descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64);
        row.count(dir);
        row
    }

    fn count(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.count(&path);
                continue;
            }
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.split('.').next() {
                Some("log") => (self.files, self.log_bytes) = (self.files + 1, self.log_bytes + bytes),
                Some("store") => (self.files, self.store_bytes) = (self.files + 1, self.store_bytes + bytes),
                _ => (self.spool_files, self.spool_bytes) = (self.spool_files + 1, self.spool_bytes + bytes),
            }
        }
    }

    /// As a line of the table.
    pub(crate) fn write(&self, table: &mut String) {
        let Self { minute, real_secs, posts, lives, failures, memory_kib, descriptors, files, .. } = self;
        let Self { log_bytes, store_bytes, spool_bytes, .. } = self;
        let _ = writeln!(
            table,
            "{minute},{real_secs},{posts},{lives},{failures},{memory_kib},{descriptors},{files},{log_bytes},{store_bytes},{spool_bytes}"
        );
    }
}

fn median(rows: &[Row], of: impl Fn(&Row) -> u64) -> u64 {
    let mut values: Vec<u64> = rows.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// What grew: medians of the last quarter beside those of the quarter behind the first `warm_minutes`. The store keeps
/// every window, so that it grows by what a window has; it must not grow faster at the end.
pub(crate) fn grown(rows: &[Row], warm_minutes: u64, is_log_full: bool) -> Vec<String> {
    let warm: Vec<Row> = rows.iter().filter(|row| row.minute > warm_minutes).copied().collect();
    let quarter = warm.len() / 4;
    if quarter == 0 {
        return vec!["there are too few minutes to compare".to_owned()];
    }
    let (first, last) = (&warm[..quarter], &warm[warm.len() - quarter..]);
    let mut grown = vec![];
    let mut check = |what: &str, before: u64, after: u64, slack: u64| {
        if after > before + before / 5 + slack {
            grown.push(format!("{what}: {before} at first, {after} at the end"));
        }
    };
    check("memory in KiB", median(first, |row| row.memory_kib), median(last, |row| row.memory_kib), 16 << 10);
    check("descriptors", median(first, |row| row.descriptors), median(last, |row| row.descriptors), 8);
    check("files", median(first, |row| row.files), median(last, |row| row.files), 4);
    check("bytes of the spool", median(first, |row| row.spool_bytes), median(last, |row| row.spool_bytes), 1 << 20);
    if is_log_full {
        check("bytes of the log", median(first, |row| row.log_bytes), median(last, |row| row.log_bytes), 16 << 20);
    }
    let growth = |part: &[Row]| part[part.len() - 1].store_bytes.saturating_sub(part[0].store_bytes);
    check("growth of the store in bytes", growth(first), growth(last), 4 << 20);
    grown
}

#[test]
fn what_grows_is_named_and_what_swings_is_not() {
    let flat = |minute: u64| Row {
        minute,
        memory_kib: 100_000 + minute % 7 * 1_000,
        descriptors: 20 + minute % 3,
        files: 7,
        log_bytes: 400 << 20,
        store_bytes: minute << 20,
        ..Row::default()
    };
    let rows: Vec<Row> = (1..=1_440).map(flat).collect();
    assert_eq!(grown(&rows, 240, true), Vec::<String>::new());
    let leaks = |row: &Row| Row {
        memory_kib: row.memory_kib + row.minute * 100,
        descriptors: row.descriptors + row.minute / 60,
        store_bytes: row.store_bytes * row.minute,
        ..*row
    };
    let rows: Vec<Row> = rows.iter().map(leaks).collect();
    let found = grown(&rows, 240, true);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("memory") && found[2].starts_with("growth of the store"), "{found:?}");
}
