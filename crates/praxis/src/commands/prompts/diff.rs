//! `praxis prompts diff`: what changed between two versions of a function, file by file.

use std::collections::BTreeSet;

use praxis_function::version::data;
use serde_json::json;
use similar::TextDiff;

use crate::app::Project;
use crate::cli::Global;
use crate::ui::{self, BOLD, CYAN, Failure, GREEN, RED};
use crate::versions::{self, Version, WorkingCopy};

/// Prints a unified diff of the prompt and all that was written for it.
///
/// # Errors
/// Versions that are nowhere.
pub async fn run(
    project: &Project,
    function: &str,
    old: Option<String>,
    new: Option<String>,
    global: &Global,
) -> Result<(), Failure> {
    let store = versions::store(project).await?;
    let store = store.as_ref();
    let new = match new {
        Some(name) => versions::find(project, store, function, &name).await?,
        None => WorkingCopy::read(&project.root).require(function)?,
    };
    let old = match old {
        Some(name) => versions::find(project, store, function, &name).await?,
        None => versions::history(project, store, function)
            .await?
            .into_iter()
            .find(|v| v.hash != new.hash)
            .ok_or_else(|| {
                Failure::message(format!("`{function}` has no version before this one"))
                    .with_help("versions come from git's history, or from calls of them here")
            })?,
    };
    let files: BTreeSet<&String> = old.sources.keys().chain(new.sources.keys()).collect();
    let changed: Vec<(&String, String)> = files
        .into_iter()
        .filter_map(|file| Some((file, unified(file, &old, &new)?)))
        .collect();
    if global.json {
        let values: Vec<_> = changed
            .iter()
            .map(|(file, diff)| json!({ "file": file, "diff": diff }))
            .collect();
        ui::out_json(&json!({
            "function": function,
            "old": old.hash,
            "new": new.hash,
            "files": values,
        }));
        return Ok(());
    }
    if changed.is_empty() {
        ui::note(format!("both are version {}", new.hash));
    }
    for (_, diff) in changed {
        for line in diff.lines() {
            ui::out(painted(line));
        }
    }
    Ok(())
}

/// The diff of one file; `None` where both versions have the same text.
fn unified(file: &str, old: &Version, new: &Version) -> Option<String> {
    let text = |version: &Version| version.sources.get(file).cloned();
    let (before, after) = (text(old), text(new));
    if before == after {
        return None;
    }
    let name = |text: &Option<String>, version: &Version| match text {
        Some(_) => format!("{}\t{}", data::path(file), version.hash),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name(&before, old), name(&after, new));
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    Some(diff.unified_diff().header(&from, &to).to_string())
}

fn painted(line: &str) -> String {
    let style = match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => BOLD,
        [b'+', ..] => GREEN,
        [b'-', ..] => RED,
        [b'@', ..] => CYAN,
        _ => return line.to_owned(),
    };
    ui::paint(style, line)
}
