//! `praxis prompts`: the versions of prompts, trying them on cases, and testing their scope.

mod beside;
mod cases;
mod checks;
mod diff;
mod list;
mod log;
mod pin;
mod prefix;
mod results;
mod scope;
mod summary;
mod trial;

use crate::app::{self, Project};
use crate::cli::{Global, Prompts};
use crate::ui::Failure;

/// Runs the subcommand. What looks at versions needs no models, and works where a pin or a prompt keeps
/// the application from being opened.
///
/// # Errors
/// Unknown functions and versions, and files that cannot be read.
pub async fn run(args: Prompts, global: &Global) -> Result<(), Failure> {
    let project = || -> Result<Project, Failure> {
        Ok(Project::load(app::find_root(global.app.as_deref())?)?)
    };
    match args {
        Prompts::List => super::with_app(global, async |app| list::run(app, global)).await,
        Prompts::Try(args) => {
            super::with_app(global, async |app| trial::run(app, args, global).await).await
        }
        Prompts::Scope(args) => {
            super::with_app(global, async |app| scope::run(app, args, global).await).await
        }
        Prompts::Log { function } => log::run(&project()?, function.as_deref(), global).await,
        Prompts::Diff { function, old, new } => {
            diff::run(&project()?, &function, old, new, global).await
        }
        Prompts::Pin {
            function,
            version,
            remove,
        } => {
            if remove {
                pin::remove(&project()?, &function, global)
            } else {
                pin::set(&project()?, &function, version, global).await
            }
        }
    }
}
