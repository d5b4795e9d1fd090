//! Tool files `NAME.files.toml`: a folder in which a model reads and writes.
//!
//! ```toml
//! folder = "workspace"
//! read_only = false
//! ```
//!
//! The functions are `NAME/list`, `read`, `write`, `append`, `edit` and `delete`, which moves to a trash that only
//! people empty. Left out: files that are no text, paths outside of the folder, and changes of files that programs obey
//! (`workspace`).

mod operations;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effect, Effects, ErrorCode, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use self::operations::Operation;
use super::workspace::{Workspace, folder_problems};
use crate::deps::ToolDeps;
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Ties, Tool};
use crate::work::{Work, tool};

/// A `files` tool file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The folder, below the application's.
    pub folder: String,
    /// Whether nothing may be changed in it.
    #[serde(default)]
    pub read_only: bool,
    /// What it may hold.
    #[serde(default)]
    pub limits: Limits,
    /// Approvals, effects and rates.
    #[serde(default)]
    pub policy: PolicyConfig,
}

/// `[limits]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of all files, those of the trash too.
    pub total: u64,
    /// Files and folders.
    pub count: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: 1 << 20,
            total: 100 << 20,
            count: 2000,
        }
    }
}

/// The largest limits: what is counted at each change.
const MOST_FILE: u64 = 64 << 20;
const MOST_COUNT: usize = 100_000;

impl Config {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = folder_problems("folder", &self.folder);
        let limits = [
            ("limits.file", self.limits.file, MOST_FILE),
            ("limits.count", self.limits.count as u64, MOST_COUNT as u64),
        ];
        for (key, value, most) in limits {
            if !(1..=most).contains(&value) {
                all.push(Problem {
                    path: key.to_owned(),
                    message: format!("`{key}` is {value}"),
                    help: Some(format!("write a number from 1 to {most}")),
                });
            }
        }
        if self.limits.total < self.limits.file {
            all.push(Problem {
                path: "limits.total".to_owned(),
                message: "all files may have less bytes together than one".to_owned(),
                help: Some("raise `limits.total`, or lower `limits.file`".to_owned()),
            });
        }
        all
    }

    /// The folder, and whether a model may write there.
    pub(crate) fn ties(&self) -> Ties {
        Ties {
            folder: Some(self.folder.clone()),
            writes: !self.read_only,
            ..Ties::default()
        }
    }

    fn operations(&self) -> impl Iterator<Item = Operation> {
        let read_only = self.read_only;
        let all = Operation::ALL.into_iter();
        all.filter(move |operation| !read_only || operation.only_reads())
    }
}

/// Names of its functions.
pub(crate) fn names(name: &str, config: &Config, _: &Path, _: &Path) -> Names {
    let all = config.operations().map(|o| format!("{name}/{}", o.word()));
    Names::Known(all.collect())
}

/// Makes its functions.
///
/// # Errors
/// A folder that cannot be made or opened.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let workspace = Arc::new(Workspace::open(&deps.root, &config.folder)?);
    let mut tools = Vec::new();
    for operation in config.operations() {
        let function = tool(Files {
            operation,
            signature: signature(name, operation, &config.folder),
            workspace: Arc::clone(&workspace),
            limits: config.limits,
        })?;
        tools.push(Tool {
            function,
            outside: false,
        });
    }
    Ok(Made {
        tools,
        warnings: Vec::new(),
    })
}

struct Files {
    operation: Operation,
    signature: Signature,
    workspace: Arc<Workspace>,
    limits: Limits,
}

fn signature(name: &str, operation: Operation, folder: &str) -> Signature {
    let (properties, required) = operation.inputs();
    Signature {
        name: format!("{name}/{}", operation.word()),
        description: operation.description(folder),
        input_schema: json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }),
        output_schema: json!({ "type": "object" }),
        effects: if operation.only_reads() {
            Effects::READ
        } else {
            Effects::of(&[Effect::Read, Effect::Write])
        },
    }
}

#[async_trait]
impl Work for Files {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
        let (operation, limits) = (self.operation, self.limits);
        let (workspace, name) = (Arc::clone(&self.workspace), self.signature.name.clone());
        let done = tokio::task::spawn_blocking(move || {
            operation.run(input, &name, &workspace, &limits, praxis_core::now_s)
        });
        done.await
            .map_err(|_| CallError::new(ErrorCode::Internal, "the work on a file ended early"))?
    }
}

#[cfg(test)]
mod tests;
