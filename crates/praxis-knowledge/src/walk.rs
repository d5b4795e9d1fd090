//! A source's files: folders, files and globs to a list of paths with stable names.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use globset::{Glob, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;

use crate::config::SourceConfig;

/// A file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Path relative to the source's folder, with `/`.
    pub uri: String,
    /// Path to open.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since the epoch.
    pub modified: i64,
}

/// The files of a source, by name. Hidden files and `.toml` files are left out; links are followed,
/// loops are not.
pub(crate) fn walk(dir: &Path, source: &SourceConfig) -> Result<Vec<SourceFile>, globset::Error> {
    let exclude = set(&source.exclude)?;
    let mut files = BTreeMap::new();
    for pattern in &source.paths {
        let (root, glob) = split(dir, pattern);
        let glob = glob
            .map(|g| Glob::new(&g).map(|g| g.compile_matcher()))
            .transpose()?;
        let walk = WalkBuilder::new(&root)
            .standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .build();
        for entry in walk.filter_map(Result::ok) {
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
            let file = SourceFile {
                uri: uri.clone(),
                path: path.to_owned(),
                size: metadata.len(),
                modified,
            };
            files.insert(uri, file);
        }
    }
    Ok(files.into_values().collect())
}

fn set(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob)?);
    }
    set.build()
}

/// The part of a pattern without wildcards as a path, and the rest as a glob.
fn split(dir: &Path, pattern: &str) -> (PathBuf, Option<String>) {
    let mut root = dir.to_owned();
    let mut rest = Vec::new();
    for part in pattern.split('/') {
        if rest.is_empty() && !part.contains(['*', '?', '[', '{']) {
            root.push(part);
        } else {
            rest.push(part);
        }
    }
    (root, (!rest.is_empty()).then(|| rest.join("/")))
}

/// `path` as seen from `dir`, with `..` where it lies outside, and `/` on every system.
fn relative(dir: &Path, path: &Path) -> String {
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

    fn names(dir: &Path, paths: &[&str], exclude: &[&str]) -> Vec<String> {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        let source = SourceConfig {
            paths: own(paths),
            exclude: own(exclude),
            ..SourceConfig::default()
        };
        walk(dir, &source)
            .unwrap()
            .into_iter()
            .map(|f| f.uri)
            .collect()
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
        let dir = root.path().join("k");
        assert_eq!(names(&dir, &["."], &[]), ["a.md", "b c/文.txt"]);
        assert_eq!(
            names(&dir, &["**/*.md", "../docs/*.md", "../README.md"], &[]),
            ["../README.md", "../docs/z.md", "a.md"]
        );
        assert_eq!(names(&dir, &["."], &["b c/**"]), ["a.md"]);
        assert_eq!(names(&dir, &["missing"], &[]), Vec::<String>::new());
    }
}
