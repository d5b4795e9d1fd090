//! Versions of an application's functions: those of git's history, those that the store has seen, the
//! working copy, and the ones that `praxis.toml` pins. Left out: how they are shown.

pub mod git;

use std::path::Path;

use praxis_core::suggest::nearest;
use praxis_core::{Diagnostic, Problem};
use praxis_function::{Sources, version};
use praxis_store::Store;

use self::git::{Commit, Reach};
use crate::app::{Project, STATE_DIR};
use crate::config::FILE_NAME;
use crate::config::toml_file;
use crate::ui::Failure;

/// Fewest digits that a version may be named by.
const LEAST_DIGITS: usize = 4;

/// A version of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The hash, as traces name it.
    pub hash: String,
    /// The prompt, and the partials, schemas and data files that it uses.
    pub sources: Sources,
    /// When it was committed, or first loaded; `None` for a working copy that was never loaded.
    pub at_ms: Option<i64>,
    /// The commit that made it.
    pub commit: Option<Commit>,
}

/// The prompts of an application as they are now.
pub struct WorkingCopy(pub Sources);

impl WorkingCopy {
    /// Reads them.
    pub fn read(root: &Path) -> Self {
        Self(version::read_sources(&root.join("prompts")))
    }

    /// A function as it is now.
    pub fn version(&self, function: &str) -> Option<Version> {
        let sources = version::sources(&self.0, function)?;
        Some(Version {
            hash: version::version(function, &sources),
            sources,
            at_ms: None,
            commit: None,
        })
    }

    /// Its function of that name.
    ///
    /// # Errors
    /// A failure that names the nearest.
    pub fn require(&self, function: &str) -> Result<Version, Failure> {
        self.version(function).ok_or_else(|| {
            let failure = Failure::message(format!("no function `{function}`"));
            let names = version::functions(&self.0);
            match nearest(function, names.iter().copied()) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help(format!("there are: {}", names.join(", "))),
            }
        })
    }
}

/// The application's store, if it has been run here.
///
/// # Errors
/// A store that does not open.
pub async fn store(project: &Project) -> Result<Option<Store>, Failure> {
    let path = project.root.join(STATE_DIR).join("praxis.db");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(Store::open(&path).await?))
}

/// Versions of a function that git's history or the store has, newest first, each once.
///
/// # Errors
/// A store that fails.
pub async fn history(
    project: &Project,
    store: Option<&Store>,
    function: &str,
) -> Result<Vec<Version>, Failure> {
    let mut found: Vec<Version> = committed(&project.root, function);
    if let Some(store) = store {
        for seen in store.prompt_versions(Some(function)).await? {
            if found.iter().all(|v| v.hash != seen.version) {
                found.push(Version {
                    hash: seen.version,
                    sources: seen.sources,
                    at_ms: Some(seen.first_seen_ms),
                    commit: None,
                });
            }
        }
    }
    // Stable: what was committed in one second stays in git's order.
    found.sort_by_key(|v| std::cmp::Reverse(v.at_ms));
    Ok(found)
}

/// Versions of git's history, newest first, each with the last commit that made it.
fn committed(root: &Path, function: &str) -> Vec<Version> {
    let mut found: Vec<Version> = Vec::new();
    let mut later = String::new();
    git::walk(root, Reach::Head, &mut |commit, files| {
        let Some(sources) = version::sources(files, function) else {
            later.clear();
            return true;
        };
        let hash = version::version(function, &sources);
        let here = Some(commit.clone());
        match found.iter_mut().find(|v| v.hash == hash) {
            // The older of two neighbours made what both have.
            Some(same) if later == hash => {
                (same.at_ms, same.commit) = (Some(commit.at_ms), here);
            }
            Some(_) => {}
            None => found.push(Version {
                hash: hash.clone(),
                sources,
                at_ms: Some(commit.at_ms),
                commit: here,
            }),
        }
        later = hash;
        true
    });
    found
}

/// The version of a function that `name` means: `working`, `pinned`, or the first digits of a hash.
///
/// # Errors
/// A failure where it is none, or several.
pub async fn find(
    project: &Project,
    store: Option<&Store>,
    function: &str,
    name: &str,
) -> Result<Version, Failure> {
    let working = WorkingCopy::read(&project.root).version(function);
    let digits = match name {
        "working" => {
            return working.ok_or_else(|| Failure::message(format!("no function `{function}`")));
        }
        "pinned" => project
            .config
            .prompts
            .pin
            .get(function)
            .map(String::as_str)
            .ok_or_else(|| {
                Failure::message(format!("`{function}` is not pinned"))
                    .with_help(format!("praxis prompts pin {function}"))
            })?,
        other => other,
    };
    let mut fits: Vec<Version> = history(project, store, function).await?;
    fits.extend(working);
    fits.retain(|v| digits.len() >= LEAST_DIGITS && v.hash.starts_with(digits));
    fits.dedup_by(|a, b| a.hash == b.hash);
    let several = fits.iter().any(|v| v.hash != fits[0].hash);
    match fits.into_iter().next() {
        Some(version) if !several => Ok(version),
        Some(_) => Err(Failure::message(format!(
            "several versions of `{function}` begin with `{digits}`"
        ))
        .with_help("write more digits")),
        None => match anywhere(project, store, function, digits).await? {
            Some(version) => Ok(version),
            None => Err(
                Failure::message(format!("no version `{digits}` of `{function}`")).with_help(
                    format!("praxis prompts log {function} lists them; write at least {LEAST_DIGITS} digits"),
                ),
            ),
        },
    }
}

/// The version with exactly this hash, from the store or from any branch.
async fn anywhere(
    project: &Project,
    store: Option<&Store>,
    function: &str,
    hash: &str,
) -> Result<Option<Version>, Failure> {
    if let Some(store) = store {
        let seen = store.prompt_versions(Some(function)).await?;
        if let Some(seen) = seen.into_iter().find(|v| v.version == hash) {
            return Ok(Some(Version {
                hash: seen.version,
                sources: seen.sources,
                at_ms: Some(seen.first_seen_ms),
                commit: None,
            }));
        }
    }
    let mut found = None;
    git::walk(&project.root, Reach::Everything, &mut |commit, files| {
        found = version::sources(files, function)
            .filter(|sources| version::version(function, sources) == hash)
            .map(|sources| Version {
                hash: hash.to_owned(),
                sources,
                at_ms: Some(commit.at_ms),
                commit: Some(commit.clone()),
            });
        found.is_none()
    });
    Ok(found)
}

/// The pinned functions whose working copy differs from the pin: name, pinned version, and the hash of
/// the working copy.
///
/// # Errors
/// A diagnostic for each pin of no function or of a version that is nowhere.
pub async fn pinned(
    project: &Project,
    store: Option<&Store>,
) -> Result<Vec<(String, Version, String)>, Failure> {
    let pins = &project.config.prompts.pin;
    if pins.is_empty() {
        return Ok(Vec::new());
    }
    let files = WorkingCopy::read(&project.root);
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for (function, hash) in pins {
        let problem = |message: String| Problem {
            path: format!("prompts.pin.{function}"),
            message,
            help: Some(format!(
                "pin another version (`praxis prompts log {function}` lists them) or none: praxis \
                 prompts pin {function} --remove"
            )),
        };
        let Some(working) = files.version(function) else {
            problems.push(problem(format!(
                "`{function}` is pinned, and there is no prompts/{function}.prompt"
            )));
            continue;
        };
        if working.hash == *hash {
            continue;
        }
        match anywhere(project, store, function, hash).await? {
            Some(version) => found.push((function.clone(), version, working.hash)),
            None => problems.push(problem(format!(
                "`{function}` is pinned to {hash}, which neither the store nor git's history has"
            ))),
        }
    }
    if problems.is_empty() {
        return Ok(found);
    }
    Err(at_toml(&project.root, problems).into())
}

/// The problems with their places in `praxis.toml`.
pub fn at_toml(root: &Path, problems: Vec<Problem>) -> Vec<Diagnostic> {
    match toml_file::read(&root.join(FILE_NAME), FILE_NAME) {
        Ok(file) => problems.into_iter().map(|p| file.diagnose(p)).collect(),
        Err(problem) => vec![problem],
    }
}
