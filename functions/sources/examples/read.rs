//! Reads archives as `birdsong replay` does, up to its first thread and on one core: `read FILE…`. For benches.

use std::ops::ControlFlow;
use std::time::Instant;

use birdsong_domain::post::InstallationKey;
use birdsong_sources::archive::{self, Piece};

fn main() -> Result<(), String> {
    let paths: Vec<_> = std::env::args_os().skip(1).map(std::path::PathBuf::from).collect();
    let files = archive::find(&paths, &mut |note| eprintln!("{note}"))?;
    for is_parsed in [false, true] {
        let (started, key) = (Instant::now(), InstallationKey([7; 16]));
        let (mut values, mut posts, mut bytes) = (0u64, 0u64, 0);
        archive::read_files(&files, 512 << 10, &mut |piece| {
            match piece {
                Piece::Chunk(chunk) => {
                    bytes = chunk.read_bytes;
                    for (_, value) in chunk.values() {
                        values += 1;
                        if is_parsed {
                            let _ = archive::read_line(value, &key, &mut |post| posts += u64::from(post.is_ok()));
                        }
                    }
                }
                Piece::Note(note) => eprintln!("{note}"),
                Piece::Failed(error) => eprintln!("{error}"),
            }
            ControlFlow::Continue(())
        });
        let took = started.elapsed().as_secs_f64();
        let what = if is_parsed { "read and parsed" } else { "read" };
        println!("{what}: {values} values, {posts} posts, {:.0} MB/s, {took:.3} s", bytes as f64 / took / 1e6);
    }
    Ok(())
}
