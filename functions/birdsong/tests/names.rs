//! Rule 6.2. Nobody can be named from what is stored. The test knows all ids, names and texts of the posts, and
//! looks for them in every file of the data folder: as they are, as numbers, and hashed without the key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use birdsong_domain::frame;
use birdsong_domain::post::InstallationKey;
use rusqlite::Connection;
use serde_json::json;

use crate::support::{FakeServer, Running, get_json, wait_until};

fn walk(dir: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// Every file of the folder as it is, and all that is compressed in log and store.
fn all_bytes(data: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = walk(data)
        .into_iter()
        .filter(|path| path.file_name().unwrap() != "author.key")
        .map(|path| (path.display().to_string(), fs::read(path).unwrap()))
        .collect();
    let rows = |file: &str, sql: &str| -> Vec<Vec<u8>> {
        let connection = Connection::open(data.join(file)).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for (n, record) in rows("log.sqlite", "SELECT bytes FROM record").into_iter().enumerate() {
        let frame = frame::decode(&record).unwrap();
        let posts: Vec<_> = frame.posts.iter().map(|post| serde_json::to_string(post).unwrap()).collect();
        all.push((format!("log record {n}"), format!("{:?} {}", frame.header, posts.join("\n")).into_bytes()));
        // The numbers as bytes, too.
        all.push((
            format!("ids of log record {n}"),
            frame.posts.iter().flat_map(|post| post.id.to_le_bytes()).collect(),
        ));
    }
    for (n, state) in rows("store.sqlite", "SELECT state FROM partial").into_iter().enumerate() {
        all.push((format!("window {n}"), zstd::decode_all(&*state).unwrap()));
    }
    all
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn neither_posts_nor_authors_of_an_archive_can_be_found_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("posts.jsonl"));
    let (mut lines, mut needles) = (String::new(), vec![]);
    let nobody = InstallationKey([0; 16]);
    for n in 0..500u64 {
        let (id, author) = (1_724_551_528_980_676_608 + ((n * 7919) << 22), 1_240_000_000_000_000_000 + n * 104_729);
        let (name, text) = (format!("handle_of_{n}"), format!("what person {n} said aloud"));
        let post = json!({
            "data": {"id": id.to_string(), "author_id": author.to_string(), "text": text, "lang": "en"},
            "includes": {"users": [{"id": author.to_string(), "username": name, "name": "Somebody"}]},
        });
        // Some cannot be read, and go to quarantine.
        let line = if n % 10 == 0 { post.to_string().replace("\"id\"", "\"id\":}") } else { post.to_string() };
        lines += &(line + "\n");
        needles.extend([
            id.to_string().into_bytes(),
            author.to_string().into_bytes(),
            name.into_bytes(),
            text.into_bytes(),
        ]);
        needles.extend([id.to_le_bytes(), id.to_be_bytes(), author.to_le_bytes(), author.to_be_bytes()].map(Vec::from));
        for hash in [nobody.x_post(id).0, u128::from(nobody.hash("x", &author.to_string()))] {
            needles.push(hash.to_string().into_bytes());
        }
        needles.push(nobody.hash("x", &author.to_string()).to_le_bytes().into());
    }
    fs::write(&file, lines).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_birdsong"))
        .args(["replay", "--everything", "all", "--data", data.to_str().unwrap(), file.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("sent 450 "), "{output:?}");
    for (name, bytes) in all_bytes(&data) {
        for needle in &needles {
            assert!(!contains(&bytes, needle), "{} is in {name}", String::from_utf8_lossy(needle));
        }
    }
    // With the key they are found: the test looks in the right places.
    let key = InstallationKey(fs::read(data.join("author.key")).unwrap().try_into().unwrap());
    let id = key.x_post(1_724_551_528_980_676_608 + (7919 << 22)).0.to_string();
    assert!(all_bytes(&data).iter().any(|(_, bytes)| contains(bytes, id.as_bytes())));
}

#[test]
fn no_account_of_a_live_source_is_in_the_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    let fakes = ["bluesky", "mastodon"].map(FakeServer::start);
    let sources = fakes.iter().map(|fake| fake.source.as_str()).collect::<Vec<_>>().join(",");
    let data = dir.path().join("data");
    let args = ["run", "--everything", "all", "--port", "0", "--source", &sources, "--data", data.to_str().unwrap()];
    let mut running = Running::start(&args, &[("MASTODON_TOKEN", "made-up")]);
    let port = running.port_behind("http://localhost:");
    wait_until("posts of both come", || {
        let status = get_json(&port, "/api/status");
        let sources = status["sources"].as_array().unwrap();
        let all = sources.len() == 2 && sources.iter().all(|source| source["last_post"].is_string());
        (all && status["ledger"]["sent"].as_u64() > Some(200)).then_some(())
    });
    assert!(running.terminate().0.success());
    for (name, bytes) in all_bytes(&data) {
        for needle in ["did:plc:", "at://", "/users/", "/statuses/"] {
            assert!(!contains(&bytes, needle.as_bytes()), "{needle} is in {name}");
        }
    }
}
