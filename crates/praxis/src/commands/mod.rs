//! One module a command. Each takes its arguments, does its work through the application and
//! prints the outcome; none is called by another.

mod approvals;
mod call;
mod chat;
mod check;
mod docs;
mod ingest;
mod keys;
mod knowledge;
mod mcp;
mod meaning;
mod models;
mod moderation;
mod new;
mod openapi;
mod prompts;
mod search;
mod serve;
mod tools;
mod traces;
mod usage;
mod watch;

use std::path::Path;

use praxis_store::Store;

use crate::app::{self, App};
use crate::cli::{Cli, Command, Global, Knowledge, Tools};
use crate::ui::Failure;

/// Runs the command.
///
/// # Errors
/// What `main` prints before it exits with 1.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::New(args) => new::run(&args, &global),
        Command::Docs(args) => docs::run(&args),
        Command::Check => check::run(&global).await,
        Command::Openapi if app::find_root(global.app.as_deref()).is_err() => openapi::bare(),
        Command::Openapi => with_app(&global, async |app| openapi::run(app)).await,
        Command::Prompts(args) => prompts::run(args, &global).await,
        Command::Models(args) => models::run(args, &global).await,
        Command::Moderation(args) => moderation::run(args, &global).await,
        Command::Keys(args) => keys::run(args, &global).await,
        Command::Approvals(args) => approvals::run(args, &global).await,
        Command::Usage(args) => usage::run(args, &global).await,
        Command::Embed(args) => meaning::embed(args, &global).await,
        Command::Similar(args) => meaning::similar(args, &global).await,
        Command::Classify(args) => meaning::classify(args, &global).await,
        Command::Cluster(args) => meaning::cluster(args, &global).await,
        Command::Recommend(args) => meaning::recommend(args, &global).await,
        Command::Ingest(args) => {
            with_bare_app(&global, async |app| ingest::run(app, args, &global).await).await
        }
        Command::Search(args) => {
            with_bare_app(&global, async |app| search::run(app, args, &global).await).await
        }
        Command::Call(args) => {
            with_app(&global, async |app| call::run(app, args, &global).await).await
        }
        Command::Chat(args) => {
            with_app(&global, async |app| chat::run(app, args, &global).await).await
        }
        Command::Serve(args) => {
            with_app(&global, async |app| serve::run(app, args, &global).await).await
        }
        Command::Mcp(args) => with_app(&global, async |app| mcp::run(app, args).await).await,
        Command::Knowledge(Knowledge::Preview { file, base, full })
            if base.is_none() && app::find_root(global.app.as_deref()).is_err() =>
        {
            knowledge::preview_alone(&file, full, &global)
        }
        Command::Knowledge(args) => {
            with_bare_app(&global, async |app| {
                knowledge::run(app, args, &global).await
            })
            .await
        }
        Command::Tools(Tools::Login { name }) => tools::login(&name, &global).await,
        Command::Tools(Tools::Logout { name }) => tools::logout(&name, &global).await,
        Command::Tools(Tools::Proposed { name }) => tools::proposed::list(name.as_deref(), &global),
        Command::Tools(Tools::Approve { name, digest }) => {
            tools::proposed::approve(&name, digest.as_deref(), &global)
        }
        Command::Tools(Tools::Discard { name }) => tools::proposed::discard(&name, &global),
        Command::Tools(Tools::Call(args)) => {
            with_app(&global, async |app| call::run(app, args, &global).await).await
        }
        // Servers are asked by the command itself, once.
        Command::Tools(args @ Tools::Refresh { .. }) => {
            with_bare_app(&global, async |app| tools::run(app, args, &global).await).await
        }
        Command::Tools(args) => {
            with_app(&global, async |app| tools::run(app, args, &global).await).await
        }
        Command::Traces(args) => {
            with_bare_app(&global, async |app| traces::run(app, args, &global).await).await
        }
    }
}

/// Opens the application, runs `command` on it, and stores the last traces whatever came of it.
async fn with_app(
    global: &Global,
    command: impl AsyncFnOnce(&App) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let app = App::open(app::find_root(global.app.as_deref())?).await?;
    let outcome = command(&app).await;
    app.close().await;
    outcome
}

/// The same without the functions of its tools, for commands that call none.
async fn with_bare_app(
    global: &Global,
    command: impl AsyncFnOnce(&App) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let app = App::open_bare(app::find_root(global.app.as_deref())?).await?;
    let outcome = command(&app).await;
    app.close().await;
    outcome
}

/// The application's store and nothing else of it: a mistake in a prompt must not keep a key from being revoked.
async fn store_alone(global: &Global) -> Result<Store, Failure> {
    let state = app::find_root(global.app.as_deref())?.join(app::STATE_DIR);
    std::fs::create_dir_all(&state).map_err(|e| {
        Failure::message(format!("cannot create `{}`: {e}", state.display()))
            .with_help("check the folder's permissions and the free space")
    })?;
    Ok(Store::open(&state.join("praxis.db")).await?)
}

/// The text of a file that the user named; of standard input for `-`.
fn text_of(path: &Path) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|e| Failure::message(format!("cannot read `{}`: {e}", path.display())))
}

/// A token that Ctrl-C cancels; a second Ctrl-C ends the program at once.
fn cancel_on_ctrl_c() -> tokio_util::sync::CancellationToken {
    let token = tokio_util::sync::CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancelled.cancel();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
    });
    token
}
