//! `praxis prompts log`: the versions of functions, with what the traces say about each.

use praxis_function::version;
use praxis_store::VersionUse;
use serde_json::{Value, json};

use crate::app::Project;
use crate::cli::Global;
use crate::commands::call::excerpt;
use crate::commands::traces::{duration, when};
use crate::ui::{self, DIM, Failure, GREEN, YELLOW};
use crate::versions::{self, Version, WorkingCopy};

/// A version as it is shown.
struct Line {
    function: String,
    version: Version,
    current: bool,
    pinned: bool,
    used: Option<VersionUse>,
}

/// Prints the versions of one function, or of all.
///
/// # Errors
/// A function that is neither in the folder nor in any history, or a store that fails.
pub async fn run(
    project: &Project,
    function: Option<&str>,
    global: &Global,
) -> Result<(), Failure> {
    let store = versions::store(project).await?;
    let working = WorkingCopy::read(&project.root);
    let names: Vec<String> = match function {
        Some(name) => vec![name.to_owned()],
        None => version::functions(&working.0)
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    let used = match &store {
        Some(store) => store.version_use(function).await?,
        None => Vec::new(),
    };
    let mut lines = Vec::new();
    for name in names {
        let mut found = versions::history(project, store.as_ref(), &name).await?;
        let here = working.version(&name);
        if found.is_empty() && here.is_none() {
            working.require(&name)?;
        }
        let current = here.as_ref().map(|v| v.hash.clone()).unwrap_or_default();
        if let Some(here) = here {
            let committed = |v: &Version| v.hash == current && v.commit.is_some();
            if !found.iter().any(committed) {
                // What is in no commit stands above all that is, whenever it was first run.
                let at = found.iter().position(|v| v.hash == current);
                let first = at.map_or(here, |at| found.remove(at));
                found.insert(0, first);
            }
        }
        let pin = project.config.prompts.pin.get(&name);
        lines.extend(found.into_iter().map(|version| {
            Line {
                current: version.hash == current,
                pinned: pin == Some(&version.hash),
                used: used
                    .iter()
                    .find(|u| u.function == name && u.version == version.hash)
                    .cloned(),
                function: name.clone(),
                version,
            }
        }));
    }
    if global.json {
        let values: Vec<Value> = lines.iter().map(value).collect();
        ui::out_json(&json!({ "versions": values }));
        return Ok(());
    }
    let header = [
        "function",
        "version",
        "when",
        "commit",
        "author",
        "subject",
        "calls",
        "mean cost",
        "mean time",
        "",
    ];
    let from = usize::from(function.is_some());
    let rows: Vec<Vec<String>> = lines.iter().map(|l| row(l).split_off(from)).collect();
    ui::out(ui::table(&header[from..], &rows));
    Ok(())
}

fn row(line: &Line) -> Vec<String> {
    let Line { version, used, .. } = line;
    let (commit, author, subject) = match &version.commit {
        Some(commit) => (
            commit.short().to_owned(),
            excerpt(&commit.author, 20),
            excerpt(&commit.subject, 40),
        ),
        None if line.current => (
            ui::paint(YELLOW, "working copy"),
            String::new(),
            String::new(),
        ),
        None => (
            ui::paint(DIM, "not committed"),
            String::new(),
            String::new(),
        ),
    };
    let (calls, cost, time) = match used {
        Some(used) => (
            used.calls.to_string(),
            format!("${:.6}", mean_cost(used)),
            duration(used.mean_us),
        ),
        None => ("0".to_owned(), String::new(), String::new()),
    };
    let mut marks = Vec::new();
    if line.current {
        marks.push(ui::paint(GREEN, "current"));
    }
    if line.pinned {
        marks.push(ui::paint(YELLOW, "pinned"));
    }
    vec![
        line.function.clone(),
        version.hash.clone(),
        version.at_ms.map(when).unwrap_or_default(),
        commit,
        author,
        subject,
        calls,
        cost,
        time,
        marks.join(", "),
    ]
}

fn value(line: &Line) -> Value {
    let Line { version, used, .. } = line;
    json!({
        "function": line.function,
        "version": version.hash,
        "at_ms": version.at_ms,
        "commit": version.commit.as_ref().map(|c| json!({
            "id": c.id,
            "author": c.author,
            "subject": c.subject,
        })),
        "working_copy": line.current && version.commit.is_none(),
        "current": line.current,
        "pinned": line.pinned,
        "files": version.sources.keys().collect::<Vec<_>>(),
        "calls": used.as_ref().map_or(0, |u| u.calls),
        "failed": used.as_ref().map_or(0, |u| u.failed),
        "mean_cost_usd": used.as_ref().map(mean_cost),
        "mean_ms": used.as_ref().map(|u| u.mean_us as f64 / 1e3),
    })
}

/// Mean cost of a call in dollars.
fn mean_cost(used: &VersionUse) -> f64 {
    used.cost.0 as f64 / 1e6 / used.calls.max(1) as f64
}
