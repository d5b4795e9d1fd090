//! What `praxis check` says of `[server]`: what `praxis serve` refuses, before anybody serves. Left out: what the file
//! itself shows to be wrong, which no command takes.

use praxis_core::function::now_ms;
use praxis_core::{Diagnostic, Problem, Severity};
use praxis_store::Store;

use super::listen::{configured_tls, open_to_all, with_files};
use super::{Door, cors, key, keys, place_of_key, valid_names, wanted};
use crate::app::Project;
use crate::config::ServerConfig;
use crate::ui::Failure;
use crate::versions;

/// An error for what cannot be served here, and a warning for what may be otherwise on the machine that serves: its
/// variables, its files and, where no store is here, its keys.
///
/// # Errors
/// A store that fails.
pub(in crate::commands) async fn check(
    project: &Project,
    store: Option<&Store>,
) -> Result<Vec<Diagnostic>, Failure> {
    let config = &project.config.server;
    let stored = match store {
        Some(store) => store.api_keys().await?,
        None => Vec::new(),
    };
    let is_configured = config.api_key.is_some() || !config.keys.is_empty();
    let valid = valid_names(&stored, now_ms());
    let refused = match wanted(is_configured, &stored, &valid, config.open) {
        Ok(door) => without_keys(config, door != Door::Open),
        Err(problem) => vec![problem],
    };
    let mut doubts = secrets(config);
    doubts.extend(certificate(project));
    let errors = match store.is_some() || config.open {
        true => refused,
        false => {
            doubts.extend(refused);
            Vec::new()
        }
    };
    let mut found = versions::at_toml(&project.root, errors);
    let doubts = versions::at_toml(&project.root, doubts).into_iter();
    found.extend(doubts.map(|doubt| Diagnostic {
        severity: Severity::Warning,
        ..doubt
    }));
    Ok(found)
}

/// What needs keys, where there are none.
fn without_keys(config: &ServerConfig, has_keys: bool) -> Vec<Problem> {
    let reached = config.host.filter(|host| !host.is_loopback() && !has_keys);
    let wrong = cors(config, has_keys).err().into_iter();
    wrong.chain(reached.map(open_to_all)).collect()
}

/// The keys whose variables are not set; where all are, the first that is another's too.
fn secrets(config: &ServerConfig) -> Vec<Problem> {
    let own = config.api_key.iter();
    let own = own.map(|reference| ("server.api_key".to_owned(), reference));
    let others = config.keys.iter().enumerate();
    let others = others.map(|(at, given)| (place_of_key(at), &given.key));
    let all = own.chain(others);
    let unset = all.filter_map(|(place, reference)| key(&place, reference).err());
    let mut found: Vec<Problem> = unset.collect();
    if found.is_empty() {
        found.extend(keys(config).err());
    }
    found
}

/// Why HTTPS cannot be spoken with the files that are here.
fn certificate(project: &Project) -> Option<Problem> {
    with_files(configured_tls(project)?).err()
}
