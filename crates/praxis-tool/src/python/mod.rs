//! Code that models write, run by Python in a sandbox: `tools/NAME.python.toml` makes `NAME/run`, `NAME/reset`,
//! `NAME/file` and, where it says so, `NAME/propose`, by which a snippet becomes a tool once a person approved it
//! (`tools/NAME.pytool.toml`).
//!
//! `host` finds Python and says what a sandbox shows of it, `driver.py` is what runs there, `interpreter` talks to it.
//! Left out: the sandbox itself (`crate::sandbox`).

mod config;
mod functions;
mod gate;
mod host;
mod inputs;
mod interpreter;
pub(crate) mod made;
mod propose;
mod proposed;
mod said;
mod session;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::{Function, Problem};

pub(crate) use self::config::Config;
use self::functions::{Fetch, Reset, Run};
use self::inputs::Inputs;
use self::interpreter::Interpreter;
use self::propose::Propose;
pub use self::proposed::{Proposal, Proposals, Tried};
use self::store::Store;
use crate::deps::ToolDeps;
use crate::toolbox::{Made, Names, Tool};
use crate::work::tool;

/// The names of the functions of a tool file.
pub(crate) fn names(name: &str, config: &Config, _: &Path, _: &Path) -> Names {
    let mut words = vec!["run", "file"];
    if config.sessions.most > 0 {
        words.push("reset");
    }
    if config.propose {
        words.push("propose");
    }
    Names::Known(
        words
            .into_iter()
            .map(|word| format!("{name}/{word}"))
            .collect(),
    )
}

/// The folder of state of a tool file.
fn state(name: &str, state: &Path) -> PathBuf {
    state.join("python").join(name)
}

/// Makes the functions of a tool file. Where code cannot run on this machine they are there all the same, say why
/// when they are called, and a warning says it now.
///
/// # Errors
/// There is no Python that could run.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let state = state(name, &deps.state);
    let interpreter = Interpreter::open(config, &deps.root, &state).await?;
    let store = Arc::new(Store::new(&state.join("files")));
    let inputs = Inputs {
        workspace: config
            .workspace
            .as_ref()
            .map(|folder| deps.root.join(folder)),
        store: Arc::clone(&store),
        most: config.limits.scratch,
    };
    // Whoever writes into the workspace need not be trusted.
    let has_workspace = inputs.workspace.is_some();
    let trusted = |function: Arc<dyn Function>| Tool {
        function,
        outside: false,
    };
    let from_files = |function: Arc<dyn Function>| Tool {
        function,
        outside: has_workspace,
    };
    let mut tools = vec![
        from_files(tool(Run::new(name, config, &interpreter, inputs, &store))?),
        from_files(tool(Fetch::new(name, &config.limits, &store))?),
    ];
    if config.sessions.most > 0 {
        tools.push(trusted(tool(Reset::new(name, &interpreter))?));
    }
    if config.propose {
        let proposals = Proposals::new(&deps.state);
        tools.push(trusted(tool(Propose::new(name, &interpreter, proposals))?));
    }
    let trial = interpreter.trial().await;
    let warning = trial.err().map(|error| Problem {
        path: "isolation".to_owned(),
        message: error.message,
        help: error.hint,
    });
    Ok(Made {
        tools,
        warnings: warning.into_iter().collect(),
    })
}
