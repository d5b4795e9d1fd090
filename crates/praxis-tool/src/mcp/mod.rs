//! Tools of servers that speak the Model Context Protocol: `tools/NAME.mcp.toml` names a program or a URL, and what
//! the server offers are functions `NAME/TOOL`, `NAME/resource` and `NAME/prompt`.
//!
//! The protocol is the `rmcp` crate's (revisions 2024-11-05 to 2026-07-28); here is what its freedom is kept within:
//! whose environment a program sees, where a URL may lead, what a server may ask of us, how long all that may take.
//! Left out: our own server (`praxis-api`), and whether a call may be made (`safety`).

mod clean;
mod config;
mod connect;
mod elicitation;
mod failure;
mod functions;
mod handler;
mod list;
mod oauth;
mod result;
mod sampling;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::toml_file::TomlFile;
use praxis_core::{CallError, ChatGateway, ErrorCode, Problem};

pub(crate) use self::config::Config;
use self::server::Server;
use crate::deps::ToolDeps;
use crate::toolbox::{Made, Names};

/// The folders of an application that servers have to do with.
#[derive(Debug, Clone)]
struct Place {
    /// The application's.
    root: PathBuf,
    /// Where tools keep what they know.
    state: PathBuf,
}

/// The functions of a server. What it offers is read from the copy that is kept; without one it is asked.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let place = Place {
        root: deps.root.clone(),
        state: deps.state.clone(),
    };
    made(name, config, &place, &deps.chat).await
}

async fn made(
    name: &str,
    config: &Config,
    place: &Place,
    chat: &Arc<dyn ChatGateway>,
) -> Result<Made, Problem> {
    let server = Arc::new(Server::new(name, config, place.clone(), chat));
    let mut warnings = Vec::new();
    if list::kept(&place.state, name, config).is_none()
        && let Err(error) = asked(&server).await
    {
        warnings.push(Problem {
            path: String::new(),
            message: format!("the tools of `{name}` are not there: {}", error.message),
            help: error
                .hint
                .or_else(|| Some(format!("`praxis tools refresh {name}` asks again"))),
        });
    }
    let Some(offer) = list::kept(&place.state, name, config) else {
        if warnings.is_empty() {
            warnings.push(Problem {
                path: String::new(),
                message: format!("what `{name}` offers cannot be kept"),
                help: Some(format!("can `{}` be written?", place.state.display())),
            });
        }
        return Ok(Made {
            tools: Vec::new(),
            warnings,
        });
    };
    let (tools, left_out) = functions::functions(&server, &offer)?;
    warnings.extend(left_out);
    Ok(Made { tools, warnings })
}

/// Asks a server for the first time, within the time that a start may take.
async fn asked(server: &Server) -> Result<(), CallError> {
    let peer = tokio::time::timeout(list::LONGEST, server.peer()).await;
    peer.unwrap_or_else(|_| {
        let message = format!("the MCP server did not answer within {:?}", list::LONGEST);
        Err(CallError::new(ErrorCode::Timeout, message))
    })
    .map(|_| ())
}

/// Names of the functions of a server, as far as they are known.
pub(crate) fn names(name: &str, config: &Config, _: &Path, state: &Path) -> Names {
    match list::kept(state, name, config) {
        Some(offer) => Names::Known(functions::names(name, config, &offer)),
        None => Names::Below(format!("{name}/")),
    }
}

/// Logs in at the server of `tools/NAME.mcp.toml` in the application `root`. `state` is the folder of
/// [`ToolDeps::state`]; `show` is given the link that a person follows in a browser of this machine.
///
/// # Errors
/// Where there is no such file, the server wants no login or does not say how, or the person does not finish it.
pub async fn login(
    root: &Path,
    state: &Path,
    name: &str,
    show: impl FnOnce(&str) + Send,
) -> Result<(), CallError> {
    let (config, place) = found(root, state, name)?;
    oauth::login(name, &config, &place, show).await
}

/// Forgets the login at a server, and says whether there was one.
///
/// # Errors
/// Where there is no such file, or it cannot be forgotten.
pub async fn logout(root: &Path, state: &Path, name: &str) -> Result<bool, CallError> {
    let (config, place) = found(root, state, name)?;
    oauth::logout(name, &config, &place).await
}

/// The configuration of a server by its name.
fn found(root: &Path, state: &Path, name: &str) -> Result<(Config, Place), CallError> {
    let is_name = !name.is_empty() && !name.contains(['/', '\\', '\0']);
    let shown = format!("tools/{name}.mcp.toml");
    let text = match is_name {
        true => std::fs::read_to_string(root.join(&shown)),
        false => Err(std::io::ErrorKind::NotFound.into()),
    };
    let text = text.map_err(|error| {
        CallError::new(
            ErrorCode::NotFound,
            format!("`{shown}` cannot be read: {error}"),
        )
        .with_hint("name the file without its `.mcp.toml`")
    })?;
    let file = TomlFile::new(&shown, text);
    let wrong = |message: String| {
        CallError::new(ErrorCode::InvalidRequest, format!("`{shown}`: {message}"))
            .with_hint("`praxis check` says where")
    };
    let config: Config = file.parse().map_err(|found| wrong(found.message))?;
    if let Some(problem) = config.problems().into_iter().next() {
        return Err(wrong(problem.message));
    }
    let place = Place {
        root: root.to_owned(),
        state: state.to_owned(),
    };
    Ok((config, place))
}

#[cfg(test)]
mod tests;
