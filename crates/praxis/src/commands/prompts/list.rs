//! `praxis prompts list`: functions with their versions.

use praxis_core::Function;
use serde_json::json;

use crate::app::App;
use crate::cli::Global;
use crate::commands::call::excerpt;
use crate::ui::{self, Failure, YELLOW};
use crate::versions::WorkingCopy;

/// Prints the functions.
///
/// # Errors
/// None today.
pub fn run(app: &App, global: &Global) -> Result<(), Failure> {
    let working = WorkingCopy::read(&app.project.root);
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for function in app.library.functions() {
        let signature = function.signature();
        let name = &signature.name;
        let variants = app.library.variants(name);
        let here = working.version(name).map(|v| v.hash).unwrap_or_default();
        let pinned = app.project.config.prompts.pin.contains_key(name);
        let model = app.model_of(function);
        let state = match (pinned, here == function.version()) {
            (false, _) => String::new(),
            (true, true) => "pinned".to_owned(),
            (true, false) => ui::paint(YELLOW, format_args!("pinned, not {here}")),
        };
        values.push(json!({
            "name": name,
            "version": function.version(),
            "working_copy": here,
            "pinned": pinned,
            "variants": variants,
            "model": model,
            "description": signature.description,
        }));
        rows.push(vec![
            name.clone(),
            function.version().to_owned(),
            variants.join(", "),
            model.to_owned(),
            state,
            excerpt(&signature.description, 60),
        ]);
    }
    if global.json {
        ui::out_json(&json!({ "functions": values }));
        return Ok(());
    }
    if rows.is_empty() {
        ui::note("no functions yet; a function is a file prompts/NAME.prompt");
        return Ok(());
    }
    let header = [
        "function",
        "version",
        "variants",
        "model",
        "",
        "description",
    ];
    ui::out(ui::table(&header, &rows));
    Ok(())
}
