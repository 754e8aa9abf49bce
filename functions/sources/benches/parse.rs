//! Lines to posts, on one core.

use birdsong_domain::post::InstallationKey;
use birdsong_sources::archive::read_line;
use divan::counter::{BytesCount, ItemsCount};

mod lines;

fn main() {
    divan::main();
}

#[divan::bench]
fn x_v2_stream_lines(bencher: divan::Bencher<'_, '_>) {
    let lines: Vec<String> = (0..10_000).map(lines::stream_line).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let key = InstallationKey([7; 16]);
    bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(bytes)).bench(|| {
        let mut posts = 0;
        for line in &lines {
            let _ = divan::black_box(read_line(line.as_bytes(), &key, &mut |post| posts += usize::from(post.is_ok())));
        }
        assert_eq!(posts, lines.len());
    });
}
