//! `praxis check`: every file of the application, whether its models are here, what is pinned, and what `praxis serve`
//! would refuse.

use praxis_core::{Diagnostic, Problem, Severity};
use praxis_gateway::{Gateway, ModelInfo};
use praxis_hub::Cache;
use praxis_store::Store;
use serde_json::json;

use super::serve::settings;
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
    let store = versions::store(&project).await?;
    found.extend(settings::check(&project, store.as_ref()).await?);
    found.extend(pins(&project, store.as_ref()).await?);
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
async fn pins(project: &Project, store: Option<&Store>) -> Result<Vec<Diagnostic>, Failure> {
    let mut found = Vec::new();
    for (name, pinned, working) in versions::pinned(project, store).await? {
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

/// A warning for each model that the application uses and this machine lacks, and for each that it declares and that
/// cannot be asked from here: a file that is not there, a variable that is not set.
fn missing_models(project: &Project) -> Result<Vec<Diagnostic>, Failure> {
    let cache = Cache::open(None).map_err(|e| Failure::message(e.to_string()))?;
    let config = project.config.gateway().rooted(&project.root);
    let gateway = Gateway::new(config, cache).map_err(|e| Failure::message(e.to_string()))?;
    let missing = gateway.missing();
    let declared = |model: ModelInfo| {
        let config = project.config.models.get(&model.name)?;
        let told = config.provider.is_local() && missing.contains(&config.model);
        let message = format!("`{}`: {}", model.name, model.reason.filter(|_| !told)?);
        Some(Problem {
            path: format!("models.{}", model.name),
            message,
            help: None,
        })
    };
    let unusable = gateway.models().into_iter().filter_map(declared).collect();
    let unusable = versions::at_toml(&project.root, unusable).into_iter();
    let unusable = unusable.map(|problem| Diagnostic {
        severity: Severity::Warning,
        ..problem
    });
    let missing = missing.iter().map(|model| {
        Diagnostic::warning(format!("model `{model}` is not on this machine"))
            .help(format!("praxis models pull {model}"))
    });
    Ok(missing.chain(unusable).collect())
}
