//! `birdsong export`: what the API answers, as files.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

fn birdsong(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_birdsong")).current_dir(dir).args(args).output().unwrap()
}

#[test]
fn windows_of_several_days_are_exported_once_each() {
    let dir = tempfile::tempdir().unwrap();
    let mut posts = String::new();
    // 2023-11-14T22:13:20Z, 600 posts over 50 hours.
    for n in 0..600_u64 {
        let id = (1_700_000_000_000 + n * 300_000 - 1_288_834_974_657) << 22;
        writeln!(posts, r##"{{"data":{{"id":"{id}","text":"=x #Goal","author_id":"{n}"}}}}"##).unwrap();
    }
    std::fs::write(dir.path().join("posts.jsonl"), posts).unwrap();
    let replayed = birdsong(dir.path(), &["replay", "--everything", "all", "--data", "data", "posts.jsonl"]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));

    let range = ["--data", "data", "--from", "2023-11-14T00:00:00Z", "--to", "2023-11-18T00:00:00Z"];
    let exported = birdsong(dir.path(), &[&["export", "-o", "out.csv"][..], &range].concat());
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let text = std::fs::read_to_string(dir.path().join("out.csv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().unwrap().split(',').collect();
    let column = |name| header.iter().position(|column| *column == name).unwrap();
    let (start, posts) = (column("window_start"), column("posts"));
    // No cell before these two has a comma.
    let rows: Vec<Vec<_>> = lines.map(|line| line.split(',').collect()).collect();
    let mut starts: Vec<_> = rows.iter().map(|row| row[start]).collect();
    assert_eq!(rows.iter().map(|row| row[posts].parse::<u64>().unwrap()).sum::<u64>(), 600);
    let count = starts.len();
    starts.dedup();
    assert_eq!((starts.len(), starts.is_sorted()), (count, true));

    let lines = birdsong(dir.path(), &[&["export", "--step", "1d", "--format", "ndjson"][..], &range].concat());
    let days: Vec<serde_json::Value> =
        String::from_utf8(lines.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(days.iter().map(|day| day["posts"].as_u64().unwrap()).sum::<u64>(), 600);

    // Parquet has the rows of the other forms, with types. e2e/foreign/test_parquet.py reads it with DuckDB.
    let written = birdsong(dir.path(), &[&["export", "--format", "parquet", "-o", "out.parquet"][..], &range].concat());
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let file = std::fs::File::open(dir.path().join("out.parquet")).unwrap();
    let parquet = SerializedFileReader::new(file).unwrap();
    let names: Vec<_> =
        parquet.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(names, header);
    let read: Vec<_> = parquet.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), rows.len());
    let start = |row: &parquet::record::Row| row.get_timestamp_millis(column("window_start")).unwrap();
    // From 2023-11-14, with the windows that have no posts.
    assert_eq!(start(&read[0]), 1_699_920_000_000);
    assert_eq!(read.iter().map(|row| row.get_long(column("posts")).unwrap()).sum::<i64>(), 600);

    // Steps of whole days are not cut by days.
    let lines = birdsong(dir.path(), &[&["export", "--step", "2d", "--format", "ndjson"][..], &range].concat());
    let spans: Vec<serde_json::Value> =
        String::from_utf8(lines.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(spans.iter().map(|span| span["posts"].as_u64().unwrap()).sum::<u64>(), 600);
    // A note on all regions is one row, whatever regions there are.
    let note = birdsong(dir.path(), &["note", "add", "all", "Derby", "--at", "2023-11-15T10:00:00Z", "--data", "data"]);
    assert!(note.status.success(), "{}", String::from_utf8_lossy(&note.stderr));
    let lines = birdsong(dir.path(), &[&["export", "events", "--format", "ndjson"][..], &range].concat());
    assert_eq!(String::from_utf8(lines.stdout).unwrap().matches("Derby").count(), 1);

    let wrong = birdsong(dir.path(), &[&["export", "--region", "nowhere"][..], &range].concat());
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("nowhere"));
    let nameless = birdsong(dir.path(), &[&["export", "series"][..], &range].concat());
    assert!(String::from_utf8_lossy(&nameless.stderr).contains("--tag or --host"));
}
