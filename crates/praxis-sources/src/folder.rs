//! Files of this machine: folders, files and globs to a list of paths with stable names.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use globset::{GlobMatcher, GlobSet};
use ignore::WalkBuilder;

use crate::config::FolderConfig;
use crate::glob::{path_glob, path_globs};
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
/// not. What cannot be looked at makes the listing incomplete, and a folder without any file is told: whether it was
/// emptied or is not mounted does not show.
pub(crate) fn walk(
    dir: &Path,
    paths: &[String],
    exclude: &[String],
) -> Result<Listing, SourceError> {
    let wrong = |e: globset::Error| SourceError::settings(e.to_string(), "mend the glob");
    let mut found = Found {
        exclude: path_globs(exclude).map_err(wrong)?,
        files: BTreeMap::new(),
        empty: Vec::new(),
        notes: Vec::new(),
    };
    for pattern in paths {
        let (root, glob) = split(dir, pattern);
        let glob = glob
            .map(|g| path_glob(&g).map(|g| g.compile_matcher()))
            .transpose()
            .map_err(wrong)?;
        match std::fs::metadata(&root) {
            Ok(_) => found.look(dir, &root, glob.as_ref()),
            Err(error) if error.kind() == ErrorKind::NotFound => found.notes.push(format!(
                "`{pattern}` is not there: restore it, or take it out of `paths` to remove its documents"
            )),
            Err(error) => {
                found.notes.push(format!("`{pattern}` cannot be looked at: {error}"));
            }
        }
    }
    let complete = found.notes.is_empty();
    let files = found.files.into_values().collect();
    Ok(Listing {
        empty: found.empty,
        ..Listing::new(files, complete, found.notes)
    })
}

/// What a walk found so far.
struct Found {
    exclude: GlobSet,
    files: BTreeMap<String, Entry>,
    empty: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    /// Takes up the files below a path that is there.
    fn look(&mut self, dir: &Path, root: &Path, glob: Option<&GlobMatcher>) {
        let walk = WalkBuilder::new(root)
            .standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .build();
        let (before, mut holds_files) = (self.notes.len(), false);
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let trouble = self.trouble(dir, root, &error);
                    self.notes.extend(trouble);
                    continue;
                }
            };
            holds_files |= entry.file_type().is_some_and(|t| t.is_file());
            let path = entry.path();
            let below = path.strip_prefix(root).unwrap_or(path);
            if is_toml(path) || glob.is_some_and(|g| !g.is_match(below)) {
                continue;
            }
            let uri = relative(dir, path);
            if self.exclude.is_match(&uri) {
                continue;
            }
            let metadata = match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(_) => continue,
                Err(error) if path != root && is_gone(path, &error) => continue,
                Err(error) => {
                    self.notes
                        .push(format!("`{uri}` cannot be looked at: {error}"));
                    continue;
                }
            };
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
            self.files.insert(uri, entry);
        }
        if !holds_files && self.notes.len() == before {
            self.empty.push(relative(dir, root));
        }
    }

    /// What is to be told of something that a walk stumbled over; nothing where no document can be behind it.
    fn trouble(&self, dir: &Path, root: &Path, error: &ignore::Error) -> Option<String> {
        let (path, cause) = match error {
            // What a link into a folder above it leads to is found there.
            ignore::Error::Loop { .. } => return None,
            ignore::Error::WithDepth { err, .. } => return self.trouble(dir, root, err),
            ignore::Error::WithPath { path, err } => (path, err.io_error()),
            other => return Some(other.to_string()),
        };
        let below = path.strip_prefix(root).unwrap_or(path);
        let is_hidden = |part: Component<'_>| match part {
            Component::Normal(name) => name.as_encoded_bytes().starts_with(b"."),
            _ => false,
        };
        let uri = relative(dir, path);
        if below.components().any(is_hidden) || is_toml(path) || self.exclude.is_match(&uri) {
            return None;
        }
        match cause {
            Some(cause) if path != root && is_gone(path, cause) => None,
            Some(cause) if cause.kind() == ErrorKind::NotFound => Some(format!(
                "`{uri}` is a link to something that is not there: restore that, or remove the link"
            )),
            _ => Some(error.to_string()),
        }
    }
}

/// Files that describe others, and are no documents.
fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "toml")
}

/// Whether something that could not be looked at went meanwhile, and is no link to nothing.
fn is_gone(path: &Path, error: &std::io::Error) -> bool {
    let is_missing = |error: &std::io::Error| error.kind() == ErrorKind::NotFound;
    is_missing(error) && std::fs::symlink_metadata(path).is_err_and(|e| is_missing(&e))
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
        // As editors lock files.
        std::os::unix::fs::symlink("nowhere", root.path().join("k/.#a.md")).unwrap();
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
    fn a_star_stays_within_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("k");
        for file in ["a.md", "drafts/b.md", "drafts/old/c.md", "../wiki/d/e.md"] {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        for (paths, exclude, expected) in [
            (vec!["*.md"], vec![], vec!["a.md"]),
            (vec!["drafts/*"], vec![], vec!["drafts/b.md"]),
            (vec!["."], vec!["drafts/*"], vec!["a.md", "drafts/old/c.md"]),
            (
                vec!["."],
                vec!["*.md"],
                vec!["drafts/b.md", "drafts/old/c.md"],
            ),
            (vec!["."], vec!["**/*.md"], vec![]),
            (vec!["."], vec!["drafts/**"], vec!["a.md"]),
            (vec!["../wiki/*.md"], vec![], vec![]),
            (vec!["../wiki/*/*.md"], vec![], vec!["../wiki/d/e.md"]),
        ] {
            let found = names(&dir, &paths, &exclude);
            assert_eq!(found, expected, "{paths:?} without {exclude:?}");
        }
    }

    #[test]
    fn what_cannot_be_looked_at_does_not_look_gone() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.md"), "x").unwrap();
        // A link to a share that is not mounted.
        symlink("nowhere/docs", root.path().join("share")).unwrap();
        let listing = listed(root.path(), &["."], &[]);
        assert_eq!(
            (listing.entries.len(), listing.complete),
            (1, false),
            "{listing:?}"
        );
        assert!(listing.notes[0].contains("`share`"), "{listing:?}");
        assert_eq!(names(root.path(), &["."], &["share"]), ["a.md"]);

        let locked = root.path().join("locked");
        std::fs::create_dir(&locked).unwrap();
        std::fs::write(locked.join("b.md"), "x").unwrap();
        // Its files can be listed and not looked at; nothing stops who may do everything.
        let permit = |mode| std::fs::set_permissions(&locked, PermissionsExt::from_mode(mode));
        permit(0o400).unwrap();
        if std::fs::metadata(locked.join("b.md")).is_err() {
            let listing = listed(root.path(), &["."], &["share"]);
            assert!(
                !listing.complete && listing.notes[0].contains("locked/b.md"),
                "{listing:?}"
            );
        }
        permit(0o700).unwrap();
    }

    #[test]
    fn a_folder_without_files_is_told() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["mount/inner", "used"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("used/docs.toml"), "").unwrap();
        let listing = listed(root.path(), &["mount/**/*.md", "used"], &[]);
        assert_eq!(
            (listing.empty.as_slice(), listing.complete),
            (["mount".to_owned()].as_slice(), true),
            "{listing:?}"
        );
        let own = listed(&root.path().join("mount"), &["."], &[]);
        assert_eq!(own.empty, [""]);
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
