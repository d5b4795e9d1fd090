//! The files that globs name below a folder, in order. Left out: links, which may lead anywhere, and hidden files.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Input, described};

/// Entries of folders that are looked at, and how deep folders are.
const MAX_ENTRIES: usize = 100_000;
const MAX_DEPTH: usize = 16;

/// Endings of files that are tables.
const ENDINGS: [&str; 6] = ["csv", "tsv", "txt", "xlsx", "xlsm", "parquet"];

/// The ending of a file that is a table.
pub(super) fn ending(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_lowercase();
    ENDINGS.into_iter().find(|known| *known == ending)
}

/// The files of globs, by their path.
pub(super) fn walk(root: &Path, globs: &[String]) -> Vec<Input> {
    let Some(set) = set(globs) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    let mut seen = 0;
    while let Some((folder, before, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MAX_ENTRIES {
                break;
            }
            let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let shown = format!("{before}{name}");
            let path = entry.path();
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((path, format!("{shown}/"), depth + 1));
            } else if kind.is_file()
                && ending(&path).is_some()
                && set.is_match(&shown)
                && let Ok((size, modified)) = described(&path)
            {
                found.push(Input {
                    path,
                    shown,
                    size,
                    modified,
                });
            }
        }
    }
    found.sort_by(|a, b| a.shown.cmp(&b.shown));
    found
}

fn set(globs: &[String]) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = glob.strip_prefix("./").unwrap_or(glob);
        set.add(
            GlobBuilder::new(glob)
                .literal_separator(true)
                .build()
                .ok()?,
        );
    }
    set.build().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn files_are_found_below_the_folder_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/old")).unwrap();
        std::fs::create_dir_all(dir.path().join(".hidden")).unwrap();
        for name in [
            "data/b.csv",
            "data/a.CSV",
            "data/old/c.csv",
            "data/x.md",
            ".hidden/d.csv",
            "e.parquet",
        ] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let names = |globs: &[&str]| -> Vec<String> {
            let globs: Vec<String> = globs.iter().map(|g| (*g).to_owned()).collect();
            walk(dir.path(), &globs)
                .into_iter()
                .map(|input| input.shown)
                .collect()
        };
        assert_eq!(
            names(&["data/*.csv", "*.parquet"]),
            ["data/b.csv", "e.parquet"]
        );
        assert_eq!(
            names(&["./**/*.{csv,CSV}"]),
            ["data/a.CSV", "data/b.csv", "data/old/c.csv"]
        );
        assert_eq!(
            names(&["data/x.md", "../*.csv", "**/d.csv"]),
            Vec::<String>::new()
        );
    }
}
