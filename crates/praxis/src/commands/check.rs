//! `praxis check`: every file of the application, whether its models are here, and what is pinned.

use praxis_core::{Diagnostic, Severity};
use praxis_gateway::Gateway;
use praxis_hub::Cache;
use serde_json::json;

use crate::app::{self, Project};
use crate::cli::Global;
use crate::ui::{self, Failure, GREEN};
use crate::versions;

/// Checks and reports.
///
/// # Errors
/// All diagnostics, if one of them is an error.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let root = app::find_root(global.app.as_deref())?;
    let project = Project::load(root)?;
    let mut found = project.check_prompts();
    found.extend(project.warnings.iter().cloned());
    found.extend(missing_models(&project)?);
    found.extend(pins(&project).await?);
    if found.iter().any(|d| d.severity == Severity::Error) {
        return Err(found.into());
    }
    if global.json {
        ui::out_json(&json!({ "ok": true, "diagnostics": found }));
    } else {
        found.iter().for_each(ui::diagnostic);
        ui::out(format!("{} {}", ui::paint(GREEN, "ok"), project.name()));
    }
    Ok(())
}

/// A warning for each function whose working copy is not what is served, and what is wrong with the
/// version that is.
async fn pins(project: &Project) -> Result<Vec<Diagnostic>, Failure> {
    let store = versions::store(project).await?;
    let mut found = Vec::new();
    for (name, pinned, working) in versions::pinned(project, store.as_ref()).await? {
        let place = format!("prompts@{}", pinned.hash);
        found.extend(praxis_function::check_sources(
            &pinned.sources,
            &place,
            &project.known(),
        ));
        found.push(
            Diagnostic::warning(format!(
                "`{name}` is pinned to {}; the working copy, {working}, is not served",
                pinned.hash
            ))
            .help(format!("praxis prompts diff {name} pinned")),
        );
    }
    Ok(found)
}

/// A warning for each model that the application uses and this machine lacks.
fn missing_models(project: &Project) -> Result<Vec<Diagnostic>, Failure> {
    let cache = Cache::open(None).map_err(|e| Failure::message(e.to_string()))?;
    let gateway = Gateway::new(project.config.gateway(), cache)
        .map_err(|e| Failure::message(e.to_string()))?;
    Ok(gateway
        .missing()
        .into_iter()
        .map(|model| {
            Diagnostic::warning(format!("model `{model}` is not on this machine"))
                .help(format!("praxis models pull {model}"))
        })
        .collect())
}
