//! `praxis tools`: the functions that are there without a prompt, and the servers that some of them are of.

pub mod proposed;

use praxis_core::{Diagnostic, Severity, Signature, json_schema};
use praxis_tool::{mcp_login, mcp_logout};
use serde_json::{Value, json};

use super::call::excerpt;
use crate::app::{self, App};
use crate::cli::{Global, Tools};
use crate::ui::{self, BOLD, CYAN, DIM, Failure, GREEN};

/// What begins the names of functions that are there without a file; no tool file may be called so.
const BUILT_IN: &str = "praxis";

/// Characters of a description in a list.
const LONGEST: usize = 80;

/// Lists, shows or asks anew.
///
/// # Errors
/// A name that is none, tool files with mistakes, and one that is asked anew by its name and gives nothing.
pub async fn run(app: &App, args: Tools, global: &Global) -> Result<(), Failure> {
    match args {
        Tools::List { start } => {
            list(app, start.as_deref().unwrap_or_default(), global);
            Ok(())
        }
        Tools::Show { name } => show(app, &name, global),
        Tools::Refresh { name } => refresh(app, name.as_deref(), global).await,
        // The others are no business of the application's functions.
        Tools::Call(_)
        | Tools::Login { .. }
        | Tools::Logout { .. }
        | Tools::Proposed { .. }
        | Tools::Approve { .. }
        | Tools::Discard { .. } => Ok(()),
    }
}

/// Logs in at a server. It needs no application that runs: the login may be what keeps it from running well.
///
/// # Errors
/// The server's, and those of a person who does not finish.
pub async fn login(name: &str, global: &Global) -> Result<(), Failure> {
    let root = app::find_root(global.app.as_deref())?;
    let state = app::tool_state(&root);
    let show = |link: &str| {
        ui::note(format!(
            "open this link to log in:\n  {}",
            ui::paint(CYAN, link)
        ));
    };
    mcp_login(&root, &state, name, show).await?;
    told(&format!("logged in at `{name}`"), global);
    Ok(())
}

/// Forgets a login.
///
/// # Errors
/// A file that is not there, or cannot be written.
pub async fn logout(name: &str, global: &Global) -> Result<(), Failure> {
    let root = app::find_root(global.app.as_deref())?;
    let was = mcp_logout(&root, &app::tool_state(&root), name).await?;
    let what = if was {
        "logged out of"
    } else {
        "there was no login at"
    };
    told(&format!("{what} `{name}`"), global);
    Ok(())
}

fn told(what: &str, global: &Global) {
    match global.json {
        true => ui::out_json(&json!({ "ok": true, "message": what })),
        false => ui::out(what),
    }
}

fn effects(signature: &Signature) -> String {
    let words: Vec<&str> = signature
        .effects
        .iter()
        .map(|effect| effect.as_str())
        .collect();
    if words.is_empty() {
        return "read".to_owned();
    }
    words.join(", ")
}

fn list(app: &App, start: &str, global: &Global) {
    let mut tools = app.library.built_in();
    tools.retain(|tool| tool.name.starts_with(start));
    if global.json {
        ui::out_json(&json!({ "tools": tools }));
        return;
    }
    let row = |tool: &Signature| {
        vec![
            tool.name.clone(),
            effects(tool),
            excerpt(&tool.description, LONGEST),
        ]
    };
    let rows: Vec<Vec<String>> = tools.iter().map(row).collect();
    ui::out(ui::table(&["tool", "effects", "what it does"], &rows));
}

fn show(app: &App, name: &str, global: &Global) -> Result<(), Failure> {
    let function = app.library.function(name)?;
    let tool = function.signature();
    if global.json {
        ui::out_json(&json!(tool));
        return Ok(());
    }
    ui::out(ui::paint(BOLD, &tool.name));
    ui::out(&tool.description);
    ui::out(ui::paint(DIM, format_args!("effects: {}", effects(tool))));
    let schema = &tool.input_schema;
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let inputs = json_schema::properties(json_schema::resolved(schema, schema));
    let rows: Vec<Vec<String>> = inputs
        .into_iter()
        .flatten()
        .map(|(name, part)| {
            let kinds = json_schema::types(json_schema::without_null(schema, part)).join(" or ");
            let about = part.get("description").and_then(Value::as_str);
            vec![
                name.clone(),
                kinds,
                if is_required(name) { "required" } else { "" }.to_owned(),
                excerpt(about.unwrap_or_default(), LONGEST),
            ]
        })
        .collect();
    if rows.is_empty() {
        ui::out("takes nothing");
    } else {
        ui::out(ui::table(&["input", "type", "", "what it is"], &rows));
    }
    ui::out(ui::paint(DIM, "gives"));
    ui::out_json(&tool.output_schema);
    Ok(())
}

async fn refresh(app: &App, name: Option<&str>, global: &Global) -> Result<(), Failure> {
    let toolbox = &app.project.toolbox;
    let mut loaded = toolbox.refresh(app.tool_deps(), name).await?;
    let names: Vec<&str> = loaded
        .functions
        .iter()
        .map(|f| f.signature().name.as_str())
        .filter(|function| is_of(function, name))
        .collect();
    if let (Some(name), true) = (name, names.is_empty()) {
        let problem = Diagnostic::error(format!("`{name}` gave no tools"));
        let fix = "what it offered before stays in use; mend what is told above, and ask again";
        loaded.diagnostics.push(problem.help(fix));
    }
    let errors = loaded
        .diagnostics
        .iter()
        .any(|d| d.severity == Severity::Error);
    if errors {
        return Err(loaded.diagnostics.into());
    }
    if global.json {
        ui::out_json(&json!({ "ok": true, "tools": names, "diagnostics": loaded.diagnostics }));
        return Ok(());
    }
    loaded.diagnostics.iter().for_each(ui::diagnostic);
    let tools = ui::count(names.len(), "tool");
    ui::out(format!("{} {tools}", ui::paint(GREEN, "ok")));
    Ok(())
}

/// Whether a function is of the tool file `file`; without one, of any: not of those that are built in.
fn is_of(function: &str, file: Option<&str>) -> bool {
    let of = function.split('/').next();
    match file {
        Some(_) => of == file,
        None => of != Some(BUILT_IN),
    }
}
