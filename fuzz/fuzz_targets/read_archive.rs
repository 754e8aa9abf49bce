//! An archive of the log: any manifest, with any file, is verified, or is damaged with a reason, never a panic. The input is
//! a manifest and, behind a zero byte, the lines of its files. Checksums and lengths are made right.
#![no_main]

use birdsong_archive::{FileEntry, Manifest, MemoryFiles, verify};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (manifest, lines) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let files = MemoryFiles::default();
    let Ok(file) = zstd::bulk::compress(lines, 1) else { return };
    let store = |name: String, bytes: Vec<u8>| drop(files.change(|files| files.insert(name, bytes)));
    let text = match serde_json::from_slice::<Manifest>(manifest) {
        Ok(mut manifest) => {
            for entry in &mut manifest.files {
                *entry = FileEntry { bytes: file.len() as u64, sha256: sha256(&file), ..entry.clone() };
                store(entry.name(manifest.day), file.clone());
            }
            serde_json::to_vec(&manifest).expect("it was read")
        }
        Err(_) => manifest.to_vec(),
    };
    let mut stored = format!("{{\"sha256\":\"{}\",\"manifest\":", sha256(&text)).into_bytes();
    stored.extend(text);
    stored.push(b'}');
    store("manifests/2026-05-23.json".to_owned(), stored);
    // Files in memory answer at once.
    let _ = verify(&files, |_| ()).now_or_never().expect("nothing to wait for");
});
