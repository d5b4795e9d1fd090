//! Source files: module headers, sizes, leftovers, and paths of somebody's machine.

use std::path::Path;

use anyhow::{Context, Result};

use crate::Problem;

/// Lines that most Rust files stay under; more is reported, not refused.
const USUAL_LINES: usize = 300;
/// Lines that no Rust file may exceed.
const MAX_LINES: usize = 800;

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "target", "node_modules", ".praxis", "__pycache__"];

/// Endings of the files that are read.
const TEXT: &[&str] = &[
    "rs", "md", "toml", "sh", "py", "js", "mjs", "css", "html", "prompt", "yml", "yaml", "sql",
];

/// Files without such an ending that are read too.
const NAMED: &[&str] = &["Makefile", ".ci/run"];

/// Leftovers that must not be committed, as Rust code may contain them.
const LEFTOVERS: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("db", "g!("),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// A text file of the repository.
#[derive(Debug)]
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// Content.
    pub text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// Reads all text files, sorted by path.
pub fn read_all(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(root, root, &mut sources)?;
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn collect(root: &Path, dir: &Path, sources: &mut Vec<Source>) -> Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, sources)?;
            continue;
        }
        let relative = path
            .strip_prefix(root)?
            .to_string_lossy()
            .replace('\\', "/");
        let known = path
            .extension()
            .is_some_and(|e| TEXT.iter().any(|t| e == *t))
            || NAMED.contains(&relative.as_str());
        // A file that is not UTF-8 is a fixture, not a source.
        if known && let Ok(text) = std::fs::read_to_string(&path) {
            sources.push(Source {
                path: relative,
                text,
            });
        }
    }
    Ok(())
}

/// What is wrong with a file.
pub fn check(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |line: Option<usize>, message: String| {
        let place = match line {
            Some(line) => format!("{}:{line}", source.path),
            None => source.path.clone(),
        };
        problems.push(Problem::new(place, message));
    };
    if source.is_rust() {
        if !source.text.starts_with("//! ") {
            report(
                Some(1),
                "must open with `//!`: what it is for, what it leaves out".to_owned(),
            );
        }
        if source.lines() > MAX_LINES {
            report(
                None,
                format!(
                    "has {} lines, more than {MAX_LINES}: split it",
                    source.lines()
                ),
            );
        }
    }
    for (number, line) in source.text.lines().enumerate() {
        let mut found = |words: &[&str], what: &str| {
            for word in words.iter().filter(|word| line.contains(**word)) {
                report(Some(number + 1), format!("`{word}` is {what}"));
            }
        };
        found(MACHINE_PATHS, "a path of one machine");
        if source.is_rust() {
            found(LEFTOVERS, "a leftover");
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        report(None, "must end with a line feed".to_owned());
    }
    problems
}

/// One line about the sizes of the Rust files.
pub fn summary(sources: &[Source]) -> String {
    let mut sizes: Vec<(usize, &str)> = sources
        .iter()
        .filter(|s| s.is_rust())
        .map(|s| (s.lines(), s.path.as_str()))
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let total: usize = sizes.iter().map(|(lines, _)| lines).sum();
    let large = sizes
        .iter()
        .filter(|(lines, _)| *lines > USUAL_LINES)
        .count();
    let largest = sizes
        .first()
        .map_or(String::new(), |(n, path)| format!("; largest {path}, {n}"));
    format!(
        "{} Rust files, {total} lines; {large} over {USUAL_LINES} lines{largest}",
        sizes.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&source)
            .into_iter()
            .map(|p| format!("{}: {}", p.place, p.message))
            .collect()
    }

    #[test]
    fn each_kind_of_violation_is_found() {
        let long = "//! Long.\n".to_owned() + &"\n".repeat(MAX_LINES);
        let todo = format!("//! A.\nfn f() {{ {}) }}\n", LEFTOVERS[2]);
        let path = format!("See {}me/notes.txt.\n", MACHINE_PATHS[2]);
        for (file, text, expected) in [
            ("a.rs", "//! A.\n", None),
            ("a.rs", "fn f() {}\n", Some("a.rs:1: must open")),
            ("a.rs", long.as_str(), Some("a.rs: has 801 lines")),
            ("a.rs", todo.as_str(), Some("a.rs:2: ")),
            ("a.md", todo.as_str(), None),
            ("a.md", path.as_str(), Some("a.md:1: ")),
            ("a.md", "No line feed", Some("a.md: must end")),
        ] {
            let found = found(file, text);
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{file}"),
                Some(start) => {
                    assert!(
                        found.len() == 1 && found[0].starts_with(start),
                        "{file}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn ignored_folders_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("target")).unwrap();
        std::fs::create_dir_all(dir.path().join("src")).unwrap();
        for path in ["target/a.rs", "src/b.rs", "src/c.png", "Makefile"] {
            std::fs::write(dir.path().join(path), "x\n").unwrap();
        }
        let paths: Vec<String> = read_all(dir.path())
            .unwrap()
            .into_iter()
            .map(|s| s.path)
            .collect();
        assert_eq!(paths, ["Makefile", "src/b.rs"]);
    }
}
