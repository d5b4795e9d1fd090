//! What a source knows of the world around it. Left out: what it does there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use praxis_core::{KeyReference, Secret};

use crate::SourceError;

/// Where a source stands.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// What paths in its configuration are relative to.
    pub dir: PathBuf,
    /// A folder of its own for what it keeps; it is made when it is needed.
    pub state: PathBuf,
    /// The environment, for secrets.
    pub env: Environment,
}

/// Environment variables.
#[derive(Clone, Default)]
pub enum Environment {
    /// Those of this process.
    #[default]
    Process,
    /// Given ones, for tests.
    Fixed(BTreeMap<String, String>),
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment(***)")
    }
}

impl Place {
    /// The secret behind `env:NAME`; `key` is what the configuration calls it.
    pub(crate) fn secret(
        &self,
        key: &str,
        reference: &KeyReference,
    ) -> Result<Secret, SourceError> {
        let name = reference.variable().ok_or_else(|| {
            SourceError::settings(
                format!("`{key}` must name an environment variable"),
                format!("write `{key} = \"env:NAME\"`: secrets do not belong into files"),
            )
        })?;
        let value = match &self.env {
            Environment::Process => std::env::var(name).ok(),
            Environment::Fixed(variables) => variables.get(name).cloned(),
        };
        match value {
            Some(value) if !value.trim().is_empty() => Ok(Secret::new(value.trim())),
            _ => Err(SourceError::settings(
                format!("the environment variable {name} is not set"),
                format!("export {name}=... before `praxis ingest`"),
            )),
        }
    }

    /// Its folder, made if it is not there.
    pub(crate) fn state(&self) -> Result<&Path, SourceError> {
        std::fs::create_dir_all(&self.state).map_err(|e| {
            SourceError::unavailable(format!("cannot create `{}`: {e}", self.state.display()))
        })?;
        Ok(&self.state)
    }
}
