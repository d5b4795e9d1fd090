//! `praxis prompts pin`: which version of a function is served. The pin is a line of `praxis.toml`:
//! the file that says what the application is, that is reviewed and that is rolled back with it.
//! Comments and order of the file stay as they are.

use praxis_core::function::now_ms;
use praxis_store::PromptVersion;
use serde_json::json;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::app::Project;
use crate::cli::Global;
use crate::config::{FILE_NAME, toml_file};
use crate::ui::{self, BOLD, DIM, Failure};
use crate::versions::{self, WorkingCopy};

/// Pins a function to a version, or to its working copy.
///
/// # Errors
/// An unknown function or version, or a file that cannot be written.
pub async fn set(
    project: &Project,
    function: &str,
    version: Option<String>,
    global: &Global,
) -> Result<(), Failure> {
    let store = versions::store(project).await?;
    let working = WorkingCopy::read(&project.root).require(function)?;
    let version = match version {
        Some(name) => versions::find(project, store.as_ref(), function, &name).await?,
        None => working,
    };
    // From now on its sources must be found, also where nobody has called it yet.
    if let Some(store) = &store {
        let seen = PromptVersion {
            function: function.to_owned(),
            version: version.hash.clone(),
            sources: version.sources.clone(),
            first_seen_ms: version.at_ms.unwrap_or_else(now_ms),
        };
        store.note_prompt_versions(&[seen]).await?;
    }
    edit(project, |pins| {
        pins.insert(function, value(version.hash.clone()));
    })?;
    let committed = versions::history(project, None, function)
        .await?
        .iter()
        .any(|v| v.hash == version.hash);
    if global.json {
        ui::out_json(&json!({
            "function": function,
            "pinned": version.hash,
            "committed": committed,
        }));
        return Ok(());
    }
    ui::out(format!(
        "{} is pinned to {}",
        ui::paint(BOLD, function),
        version.hash
    ));
    if !committed {
        ui::warn(
            "this version is in no commit: only this machine's store has it until its files are committed",
        );
    }
    ui::note(ui::paint(
        DIM,
        format_args!("[prompts.pin] in {FILE_NAME}; it is served from the next start"),
    ));
    Ok(())
}

/// Serves the working copy of a function again.
///
/// # Errors
/// A function that is not pinned, or a file that cannot be written.
pub fn remove(project: &Project, function: &str, global: &Global) -> Result<(), Failure> {
    let pins = &project.config.prompts.pin;
    if !pins.contains_key(function) {
        let failure = Failure::message(format!("`{function}` is not pinned"));
        let names: Vec<&str> = pins.keys().map(String::as_str).collect();
        return Err(if names.is_empty() {
            failure
        } else {
            failure.with_help(format!("pinned are: {}", names.join(", ")))
        });
    }
    edit(project, |pins| {
        pins.remove(function);
    })?;
    if global.json {
        ui::out_json(&json!({ "function": function, "pinned": null }));
    } else {
        ui::out(format!(
            "{} is not pinned any more",
            ui::paint(BOLD, function)
        ));
    }
    Ok(())
}

/// Changes the table of pins in `praxis.toml`.
fn edit(project: &Project, change: impl FnOnce(&mut Table)) -> Result<(), Failure> {
    toml_file::edit(&project.root.join(FILE_NAME), |document| {
        let edited = edited(document, change);
        edited.map(|_| ()).ok_or_else(|| {
            Failure::message(format!(
                "`prompts.pin` in {FILE_NAME} is no table of its own"
            ))
            .with_help("write it as [prompts.pin], with one line for each function")
        })
    })
}

/// The document's text after a change of its pins; `None` where they are written as an inline table.
fn edited(document: &mut DocumentMut, change: impl FnOnce(&mut Table)) -> Option<String> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let prompts = document
        .entry("prompts")
        .or_insert_with(implicit)
        .as_table_mut()?;
    let pins = prompts
        .entry("pin")
        .or_insert_with(|| Item::Table(Table::new()))
        .as_table_mut()?;
    change(pins);
    if pins.is_empty() {
        prompts.remove("pin");
    }
    if prompts.is_empty() {
        document.remove("prompts");
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_one_line_and_leaves_the_rest_as_it_is() {
        let source = "# mine\n[app]\nname = \"a\"  # short\n\n[server]\nport = 1\n";
        let mut document: DocumentMut = source.parse().unwrap();
        let pinned = edited(&mut document, |pins| {
            pins.insert("answer.concise", value("0123456789ab"));
        })
        .unwrap();
        assert_eq!(
            pinned,
            format!("{source}\n[prompts.pin]\n\"answer.concise\" = \"0123456789ab\"\n")
        );
        let mut document: DocumentMut = pinned.parse().unwrap();
        let removed = edited(&mut document, |pins| {
            pins.remove("answer.concise");
        });
        assert_eq!(removed.as_deref(), Some(source));
        let mut inline: DocumentMut = "prompts = { pin = {} }".parse().unwrap();
        assert_eq!(edited(&mut inline, |_| ()), None);
    }
}
