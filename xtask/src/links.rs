//! Links in Markdown: one that points to a file of the repository must find it. Links to the web
//! are left to the reader's browser.

use std::path::Path;

use crate::Problem;
use crate::files::Source;

/// Every relative link whose target does not exist.
pub fn check(root: &Path, sources: &[Source]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in sources.iter().filter(|s| s.path.ends_with(".md")) {
        let folder = root.join(&source.path).parent().unwrap_or(root).to_owned();
        for (line, target) in targets(&source.text) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !folder.join(file).exists() {
                let place = format!("{}:{line}", source.path);
                problems.push(Problem::new(
                    place,
                    format!("link to `{target}`, which is not there"),
                ));
            }
        }
    }
    problems
}

/// Line number and target of each inline link that is not a URL; code blocks are skipped.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                let target = rest[..end].split_whitespace().next().unwrap_or_default();
                if !target.contains("://") && !target.starts_with("mailto:") {
                    found.push((number + 1, target));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_missing_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("docs")).unwrap();
        std::fs::write(dir.path().join("README.md"), "").unwrap();
        let text = "[a](../README.md#top) [b](#here) [c](https://example.org/x.md)\n\
                    ```\n[code](gone.md)\n```\n\
                    [d](gone.md)\n";
        let source = Source {
            path: "docs/a.md".to_owned(),
            text: text.to_owned(),
        };
        let problems = check(dir.path(), &[source]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].place, "docs/a.md:5");
    }
}
