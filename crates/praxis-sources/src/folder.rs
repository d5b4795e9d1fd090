//! Files of this machine: folders, files and globs to a list of paths with stable names.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use globset::Glob;
use ignore::WalkBuilder;

use crate::config::{FolderConfig, globs};
use crate::{Content, Entry, Listing, Locator, Place, Run, Source, SourceError};

/// Folders of this machine.
pub(crate) struct Folder {
    config: FolderConfig,
    place: Place,
}

impl Folder {
    pub fn new(config: FolderConfig, place: Place) -> Self {
        Self { config, place }
    }
}

#[async_trait]
impl Source for Folder {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        run.check()?;
        let (dir, config) = (self.place.dir.clone(), self.config.clone());
        let listing =
            tokio::task::spawn_blocking(move || walk(&dir, &config.paths, &config.exclude))
                .await
                .map_err(SourceError::unavailable)??;
        (run.progress)(listing.entries.len());
        Ok(listing)
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        let Locator::File(path) = &entry.locator else {
            return Err(SourceError::Gone(entry.uri.clone()));
        };
        let (path, limit) = (path.clone(), self.config.max_file_bytes);
        tokio::task::spawn_blocking(move || read(&path, limit))
            .await
            .map_err(SourceError::unavailable)?
    }
}

/// A file's name and bytes, up to a limit.
fn read(path: &Path, limit: u64) -> Result<Content, SourceError> {
    use std::io::Read;
    let cannot = |e: std::io::Error| SourceError::Unavailable(format!("cannot be read: {e}"));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > limit {
        let size = std::fs::metadata(path).map_or(bytes.len() as u64, |m| m.len());
        return Err(SourceError::TooLarge { size, limit });
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    Ok(Content {
        name: name.unwrap_or_default(),
        bytes,
        title: None,
    })
}

/// The files of some paths, by name. Hidden files and `.toml` files are left out; links are followed, loops are
/// not. What cannot be looked at makes the listing incomplete.
pub(crate) fn walk(
    dir: &Path,
    paths: &[String],
    exclude: &[String],
) -> Result<Listing, SourceError> {
    let wrong = |e: globset::Error| SourceError::settings(e.to_string(), "mend the glob");
    let exclude = globs(exclude).map_err(wrong)?;
    let mut files = BTreeMap::new();
    let mut notes = Vec::new();
    for pattern in paths {
        let (root, glob) = split(dir, pattern);
        let glob = glob
            .map(|g| Glob::new(&g).map(|g| g.compile_matcher()))
            .transpose()
            .map_err(wrong)?;
        if !root.exists() {
            notes.push(format!(
                "`{pattern}` is not there: restore it, or take it out of `paths` to remove its documents"
            ));
            continue;
        }
        let walk = WalkBuilder::new(&root)
            .standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                // A link into a folder above it, or to nothing, hides nothing that could be read.
                Err(error) if is_link_trouble(&error) => continue,
                Err(error) => {
                    notes.push(error.to_string());
                    continue;
                }
            };
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "toml") || !path.is_file() {
                continue;
            }
            let below = path.strip_prefix(&root).unwrap_or(path);
            if glob.as_ref().is_some_and(|g| !g.is_match(below)) {
                continue;
            }
            let uri = relative(dir, path);
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            if exclude.is_match(&uri) {
                continue;
            }
            let modified = metadata
                .modified()
                .ok()
                .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
                .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
            let entry = Entry {
                uri: uri.clone(),
                version: None,
                size: metadata.len(),
                modified,
                locator: Locator::File(path.to_owned()),
            };
            files.insert(uri, entry);
        }
    }
    let complete = notes.is_empty();
    Ok(Listing::new(files.into_values().collect(), complete, notes))
}

fn is_link_trouble(error: &ignore::Error) -> bool {
    match error {
        ignore::Error::Loop { .. } => true,
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => is_link_trouble(err),
        other => other
            .io_error()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound),
    }
}

/// The part of a pattern without wildcards as a path, and the rest as a glob.
pub(crate) fn split(dir: &Path, pattern: &str) -> (PathBuf, Option<String>) {
    let mut root = dir.to_owned();
    let mut rest = Vec::new();
    for (i, part) in pattern.split('/').enumerate() {
        if rest.is_empty() && !part.contains(['*', '?', '[', '{']) {
            // An absolute path begins with an empty part.
            root.push(if i == 0 && part.is_empty() { "/" } else { part });
        } else {
            rest.push(part);
        }
    }
    (root, (!rest.is_empty()).then(|| rest.join("/")))
}

/// `path` as seen from `dir`, with `..` where it lies outside, and `/` on every system.
pub(crate) fn relative(dir: &Path, path: &Path) -> String {
    let normal = |p: &Path| -> Vec<String> {
        let mut parts = Vec::new();
        for part in p.components() {
            match part {
                Component::ParentDir if parts.last().is_some_and(|l| l != "..") => {
                    parts.pop();
                }
                Component::CurDir => {}
                other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
            }
        }
        parts
    };
    let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_owned());
    let (base, target) = (normal(&absolute(dir)), normal(&absolute(path)));
    let common = base.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", base.len() - common);
    up.chain(target[common..].iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(dir: &Path, paths: &[&str], exclude: &[&str]) -> Listing {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        walk(dir, &own(paths), &own(exclude)).unwrap()
    }

    fn names(dir: &Path, paths: &[&str], exclude: &[&str]) -> Vec<String> {
        let listing = listed(dir, paths, exclude);
        assert!(listing.complete, "{:?}", listing.notes);
        listing.entries.into_iter().map(|f| f.uri).collect()
    }

    #[test]
    fn folders_globs_and_neighbours_are_found_under_stable_names() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "k/a.md",
            "k/b c/文.txt",
            "k/x.toml",
            "k/.hidden/y.md",
            "docs/z.md",
            "README.md",
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        std::os::unix::fs::symlink(root.path().join("k"), root.path().join("k/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("k/broken.md")).unwrap();
        let dir = root.path().join("k");
        assert_eq!(names(&dir, &["."], &[]), ["a.md", "b c/文.txt"]);
        assert_eq!(
            names(&dir, &["**/*.md", "../docs/*.md", "../README.md"], &[]),
            ["../README.md", "../docs/z.md", "a.md"]
        );
        assert_eq!(names(&dir, &["."], &["b c/**"]), ["a.md"]);
        let absolute = format!("{}/docs/*.md", root.path().display());
        assert_eq!(names(&dir, &[&absolute], &[]), ["../docs/z.md"]);
    }

    #[test]
    fn a_folder_that_is_missing_does_not_look_empty() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.md"), "x").unwrap();
        let listing = listed(root.path(), &[".", "missing"], &[]);
        assert_eq!(listing.entries.len(), 1);
        assert!(
            !listing.complete && listing.notes[0].contains("missing"),
            "{listing:?}"
        );
    }
}
