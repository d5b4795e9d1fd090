//! Layering: which crate may depend on which. Dependencies point down the strata; a sideways one
//! is listed with its reason; some downward ones are forbidden on purpose; and each heavy external
//! library has one owner.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::Problem;

/// Strata from the top down, as ARCHITECTURE.md draws them.
const STRATA: &[(&str, &[&str])] = &[
    ("binary", &["praxis"]),
    ("edge", &["praxis-api", "praxis-console"]),
    (
        "capabilities",
        &[
            "praxis-function",
            "praxis-knowledge",
            "praxis-gateway",
            "praxis-tool",
        ],
    ),
    ("sources", &["praxis-sources"]),
    (
        "local runtime",
        &["praxis-engine", "praxis-hub", "praxis-vectors"],
    ),
    ("store", &["praxis-store"]),
    ("vocabulary", &["praxis-core"]),
];

/// Dependencies within a stratum, and why each is right.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    (
        "praxis-hub",
        "praxis-engine",
        "a pull converts foreign formats to GGUF",
    ),
    (
        "praxis-console",
        "praxis-api",
        "pages and API are one server with one state",
    ),
];

/// Downward dependencies that must not exist, and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    (
        "praxis-engine",
        "praxis-store",
        "the runtime knows nothing of applications",
    ),
    (
        "praxis-hub",
        "praxis-store",
        "the model cache belongs to the user, not to an application",
    ),
    (
        "praxis-gateway",
        "praxis-store",
        "spans leave through the trace port",
    ),
    (
        "praxis-function",
        "praxis-store",
        "spans leave through the trace port",
    ),
    (
        "praxis-function",
        "praxis-engine",
        "models are reached through the chat port",
    ),
    (
        "praxis-knowledge",
        "praxis-engine",
        "vectors come through the embedder port",
    ),
    (
        "praxis-tool",
        "praxis-engine",
        "models are reached through ports",
    ),
    (
        "praxis-tool",
        "praxis-store",
        "approvals and limits are kept behind a port",
    ),
    (
        "praxis-sources",
        "praxis-store",
        "what is known already is for its caller to tell",
    ),
    (
        "praxis-sources",
        "praxis-engine",
        "where documents come from has nothing to do with models",
    ),
    (
        "praxis-vectors",
        "praxis-core",
        "an index of numbers needs no vocabulary",
    ),
    (
        "praxis-vectors",
        "praxis-store",
        "the index is derived, and its caller replays into it",
    ),
];

/// External libraries that only their owners may depend on directly.
const OWNED: &[(&str, &[&str])] = &[
    ("candle-core", &["praxis-engine"]),
    ("candle-nn", &["praxis-engine"]),
    ("llguidance", &["praxis-engine"]),
    ("tokenizers", &["praxis-engine"]),
    ("rusqlite", &["praxis-store"]),
    ("sqlx", &["praxis-store", "praxis-sources", "praxis-tool"]),
    ("cap-std", &["praxis-tool"]),
    ("tantivy", &["praxis-knowledge"]),
    ("hayro", &["praxis-knowledge"]),
    ("image", &["praxis-knowledge"]),
    (
        "reqwest",
        &[
            "praxis-hub",
            "praxis-gateway",
            "praxis-sources",
            "praxis-tool",
        ],
    ),
    ("object_store", &["praxis-sources", "praxis-gateway"]),
    ("notify", &["praxis-sources"]),
    ("axum", &["praxis-api", "praxis-console"]),
    ("hyper", &["praxis-api"]),
    ("askama", &["praxis-console"]),
    ("clap", &["praxis"]),
    ("indicatif", &["praxis"]),
];

/// Crates of the repository that are no part of the product.
const TOOLS: &[&str] = &["xtask"];

/// A crate of the workspace with its direct dependencies.
#[derive(Debug, Deserialize)]
pub struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null` for a normal dependency, else `dev` or `build`.
    kind: Option<String>,
}

/// The workspace's crates, from `cargo metadata`.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {stderr}");
    Ok(serde_json::from_slice::<Metadata>(&output.stdout)?.packages)
}

/// Every dependency that the tables above do not allow.
pub fn check(packages: &[Package]) -> Vec<Problem> {
    let height: BTreeMap<&str, usize> = STRATA
        .iter()
        .rev()
        .enumerate()
        .flat_map(|(height, (_, crates))| crates.iter().map(move |name| (*name, height)))
        .collect();
    let mut problems = Vec::new();
    for package in packages {
        let from = package.name.as_str();
        let tool = TOOLS.contains(&from);
        if !tool && !height.contains_key(from) {
            problems.push(Problem::new(
                from,
                "is in no stratum; add it to xtask/src/layers.rs",
            ));
            continue;
        }
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let dev = dependency.kind.as_deref() == Some("dev");
            if let Some(message) = objection(from, to, dev, tool, &height) {
                problems.push(Problem::new(from, message));
            }
        }
    }
    problems
}

/// Crates that the code map in ARCHITECTURE.md leaves out.
pub fn unmapped(packages: &[Package], architecture: &str) -> Vec<Problem> {
    packages
        .iter()
        .filter(|package| !architecture.contains(&format!("| `{}` |", package.name)))
        .map(|package| Problem::new("ARCHITECTURE.md", format!("lacks `{}`", package.name)))
        .collect()
}

/// What is wrong with a dependency, if anything. Tests may look sideways, but not up.
fn objection(
    from: &str,
    to: &str,
    dev: bool,
    tool: bool,
    height: &BTreeMap<&str, usize>,
) -> Option<String> {
    if TOOLS.contains(&to) {
        return Some(format!(
            "depends on `{to}`, which is a tool of the repository"
        ));
    }
    if tool {
        return None;
    }
    let owners = OWNED
        .iter()
        .find(|(library, _)| *library == to)
        .map(|(_, owners)| *owners);
    if let Some(owners) = owners
        && !dev
        && !owners.contains(&from)
    {
        return Some(format!(
            "depends on `{to}`, which only {} may",
            owners.join(" and ")
        ));
    }
    let (mine, theirs) = (height.get(from)?, height.get(to)?);
    if theirs > mine {
        return Some(format!("depends upwards on `{to}`"));
    }
    if dev {
        return None;
    }
    let listed = |table: &[(&str, &str, &'static str)]| {
        table
            .iter()
            .find(|(a, b, _)| (*a, *b) == (from, to))
            .map(|(_, _, reason)| *reason)
    };
    if let Some(reason) = listed(FORBIDDEN) {
        return Some(format!("depends on `{to}`, but {reason}"));
    }
    if theirs == mine && listed(SIDEWAYS).is_none() {
        return Some(format!(
            "depends sideways on `{to}`; use a port, or list it with its reason"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<String> {
        let package = Package {
            name: name.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
        };
        check(&[package]).into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn each_kind_of_violation_is_found() {
        for (from, to, kind, expected) in [
            ("praxis-store", "praxis-core", None, None),
            ("praxis-core", "praxis-store", None, Some("upwards")),
            ("praxis-core", "praxis-store", Some("dev"), Some("upwards")),
            ("praxis-knowledge", "praxis-gateway", None, Some("sideways")),
            ("praxis-knowledge", "praxis-gateway", Some("dev"), None),
            ("praxis-hub", "praxis-engine", None, None),
            ("praxis-engine", "praxis-hub", None, Some("sideways")),
            (
                "praxis-engine",
                "praxis-store",
                None,
                Some("nothing of applications"),
            ),
            (
                "praxis-function",
                "sqlx",
                None,
                Some("only praxis-store and praxis-sources and praxis-tool may"),
            ),
            ("praxis-function", "sqlx", Some("dev"), None),
            ("praxis-store", "sqlx", None, None),
            ("praxis", "xtask", None, Some("tool of the repository")),
            ("xtask", "praxis-core", None, None),
        ] {
            let found = found(from, &[(to, kind)]);
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{from} -> {to} {kind:?}"),
                Some(part) => assert!(
                    found.len() == 1 && found[0].contains(part),
                    "{from} -> {to} {kind:?}: {found:?}"
                ),
            }
        }
    }

    #[test]
    fn a_crate_without_a_stratum_or_a_row_in_the_code_map_is_found() {
        assert!(found("praxis-new", &[])[0].contains("no stratum"));
        let package = |name: &str| Package {
            name: name.to_owned(),
            dependencies: Vec::new(),
        };
        let map = "| vocabulary | `praxis-core` | messages |";
        let problems = unmapped(&[package("praxis-core"), package("praxis-new")], map);
        assert_eq!(
            problems,
            [Problem::new("ARCHITECTURE.md", "lacks `praxis-new`")]
        );
    }
}
