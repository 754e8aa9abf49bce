//! Which files there are.

use std::path::{Path, PathBuf};

/// A file to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// Whether the user named it, rather than a folder that it is in.
    pub is_named: bool,
}

/// The files that `paths` name. A folder means all files below it in the order of their names, except hidden ones;
/// links are followed. `note` receives what is skipped or cannot be opened.
///
/// # Errors
/// When a path does not exist, or a folder has no file: a sentence for the user.
pub fn find(paths: &[PathBuf], note: &mut dyn FnMut(String)) -> Result<Vec<Found>, String> {
    let mut found = vec![];
    for path in paths {
        if path.as_os_str() == "-" || !path.is_dir() {
            if path.as_os_str() != "-"
                && let Err(error) = path.metadata()
            {
                return Err(format!("{} is not a file that can be read: {error}", path.display()));
            }
            found.push(Found { path: path.clone(), is_named: true });
            continue;
        }
        let before = found.len();
        below(path, &mut found, note);
        if found.len() == before {
            return Err(format!("{} has no files that can be read", path.display()));
        }
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<Found>, note: &mut dyn FnMut(String)) {
    let mut hidden = 0u64;
    let entries = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let entries = entries.into_iter().filter_entry(|entry| {
        let is_hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        hidden += u64::from(is_hidden);
        !is_hidden
    });
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                found.push(Found { path: entry.into_path(), is_named: false });
            }
            Ok(entry) if entry.file_type().is_dir() => (),
            Ok(entry) => note(format!("{} is no file, left out", entry.path().display())),
            // A loop of links, a link to nothing, or a folder that we may not look into.
            Err(error) => note(format!("left out: {error}")),
        }
    }
    if hidden > 0 {
        let what = if hidden == 1 { "file or folder" } else { "files and folders" };
        note(format!("{}: {hidden} hidden {what} left out", folder.display()));
    }
}

/// Size of all files together, as far as they are files.
#[must_use]
pub fn total_bytes(files: &[Found]) -> Option<u64> {
    files.iter().map(|found| found.path.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_files_in_order_without_hidden_ones_and_loops() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("posts");
        for name in ["b/2.json", "b/10.json", "a.json", ".hidden", ".git/config"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&root, root.join("b/loop")).unwrap();
        let mut notes = vec![];
        let found = find(std::slice::from_ref(&root), &mut |note| notes.push(note)).unwrap();
        let names: Vec<_> = found.iter().map(|found| found.path.strip_prefix(&root).unwrap().to_owned()).collect();
        assert_eq!(names, ["a.json", "b/10.json", "b/2.json"].map(PathBuf::from));
        assert!(notes.iter().any(|note| note.contains("2 hidden")), "{notes:?}");
        assert!(notes.iter().any(|note| note.contains("loop")), "{notes:?}");
        assert_eq!(total_bytes(&found), Some(6));

        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert!(find(&[empty], &mut |_| ()).unwrap_err().contains("no files"));
        assert!(find(&[dir.path().join("absent")], &mut |_| ()).unwrap_err().contains("absent"));
    }
}
