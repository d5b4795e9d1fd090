//! What a server offers, as it said when it was last asked. A copy is kept on disk, so that an application starts
//! without its servers. Left out: what becomes of it.

use std::collections::HashSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmcp::model::{PaginatedRequestParams, Prompt, Resource, ResourceTemplate, Tool};
use rmcp::service::ServiceError;
use rmcp::{Peer, RoleClient};
use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::disk;

/// The longest wait for all lists of a server.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// The most that is taken of each list, and pages of one.
const MOST: usize = 512;
const MOST_PAGES: usize = 100;

/// The longest file of a copy.
const LARGEST: u64 = 32 << 20;

/// What a copy says of its form; another one is not read.
const FORM: u32 = 1;

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    form: u32,
    /// Which server it is of.
    server: String,
    /// Its tools.
    pub tools: Vec<Tool>,
    /// Its resources.
    pub resources: Vec<Resource>,
    /// How the URIs of further resources are written.
    pub templates: Vec<ResourceTemplate>,
    /// Its prompts.
    pub prompts: Vec<Prompt>,
    /// Whether it offers more than is taken.
    pub cut: bool,
}

/// What tells one server from another: the copy of another one is not taken for this one's.
pub(super) fn server_id(config: &Config) -> String {
    let mut hasher = blake3::Hasher::new();
    let parts = [
        config.url.as_deref().unwrap_or_default(),
        config.protocol.as_deref().unwrap_or_default(),
    ];
    for part in parts
        .into_iter()
        .chain(config.command.iter().map(String::as_str))
    {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    if let Some(cwd) = &config.cwd {
        hasher.update(cwd.as_os_str().as_encoded_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The folder of what is kept of servers.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("mcp")
}

/// Where the copy of a server's offer is.
pub(super) fn path(state: &Path, name: &str) -> PathBuf {
    folder(state).join(format!("{name}.json"))
}

/// The copy of what the server offered; none where there is none, or none of this server.
pub(super) fn kept(state: &Path, name: &str, config: &Config) -> Option<Offer> {
    let path = path(state, name);
    if std::fs::metadata(&path).ok()?.len() > LARGEST {
        return None;
    }
    let offer: Offer = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (offer.form == FORM && offer.server == server_id(config)).then_some(offer)
}

/// Keeps a copy.
///
/// # Errors
/// Where it cannot be written; then the older one is there still.
pub(super) fn keep(state: &Path, name: &str, offer: &Offer) -> std::io::Result<()> {
    disk::replace(&path(state, name), &[&serde_json::to_vec(offer)?])
}

/// Asks a server for all that it offers.
///
/// # Errors
/// Where it does not tell, or not in time.
pub(super) async fn fetch(peer: &Peer<RoleClient>, config: &Config) -> Result<Offer, ServiceError> {
    let offer = tokio::time::timeout(LONGEST, all(peer, config)).await;
    offer.unwrap_or(Err(ServiceError::Timeout { timeout: LONGEST }))
}

async fn all(peer: &Peer<RoleClient>, config: &Config) -> Result<Offer, ServiceError> {
    let info = peer.peer_info();
    let can = info.as_ref().map(|info| &info.capabilities);
    let mut offer = Offer {
        form: FORM,
        server: server_id(config),
        ..Offer::default()
    };
    if can.is_none_or(|can| can.tools.is_some()) {
        let tools = pages(|at| async move {
            let page = peer.list_tools(at).await?;
            Ok::<_, ServiceError>((page.tools, page.next_cursor))
        });
        let (tools, cut) = tools.await?;
        let mut names = HashSet::new();
        let is_new = |tool: &Tool| names.insert(tool.name.clone());
        offer.tools = tools.into_iter().filter(is_new).collect();
        offer.cut |= cut;
    }
    if config.resources && can.is_some_and(|can| can.resources.is_some()) {
        let resources = pages(|at| async move {
            let page = peer.list_resources(at).await?;
            Ok::<_, ServiceError>((page.resources, page.next_cursor))
        });
        let (resources, cut) = or_none(resources.await)?;
        let templates = pages(|at| async move {
            let page = peer.list_resource_templates(at).await?;
            Ok::<_, ServiceError>((page.resource_templates, page.next_cursor))
        });
        let (templates, cut_too) = or_none(templates.await)?;
        offer.resources = resources;
        offer.templates = templates;
        offer.cut |= cut || cut_too;
    }
    if config.prompts && can.is_some_and(|can| can.prompts.is_some()) {
        let prompts = pages(|at| async move {
            let page = peer.list_prompts(at).await?;
            Ok::<_, ServiceError>((page.prompts, page.next_cursor))
        });
        let (prompts, cut) = or_none(prompts.await)?;
        offer.prompts = prompts;
        offer.cut |= cut;
    }
    Ok(offer)
}

/// Nothing for a list that a server does not have after all.
fn or_none<T>(list: Result<(Vec<T>, bool), ServiceError>) -> Result<(Vec<T>, bool), ServiceError> {
    match list {
        Err(ServiceError::McpError(_)) => Ok((Vec::new(), false)),
        other => other,
    }
}

/// All pages of a list, and whether there is more than is taken.
async fn pages<T, P, F>(page: P) -> Result<(Vec<T>, bool), ServiceError>
where
    P: Fn(Option<PaginatedRequestParams>) -> F,
    F: Future<Output = Result<(Vec<T>, Option<String>), ServiceError>>,
{
    let (mut all, mut at): (Vec<T>, Option<String>) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let params = at
            .clone()
            .map(|at| PaginatedRequestParams::default().with_cursor(Some(at)));
        let (mut items, next) = page(params).await?;
        all.append(&mut items);
        if all.len() > MOST {
            all.truncate(MOST);
            return Ok((all, true));
        }
        // A server that gives the same page again would give it for ever.
        match next {
            Some(next) if at.as_ref() != Some(&next) => at = Some(next),
            _ => return Ok((all, false)),
        }
    }
    Ok((all, true))
}

#[cfg(test)]
mod tests;
