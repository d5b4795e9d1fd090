//! The functions of a database whose URL is not there: prompts that name them are read, and who calls them is told what
//! to export. So one variable that is missing costs one tool, and not the application. Left out: all else.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, ErrorCode, Function, Problem, Signature};
use serde_json::Value;

use super::config::Config;
use super::{ask, functions};
use crate::toolbox::Tool;
use crate::work::{Work, tool};

/// A function that cannot be called.
struct Absent {
    signature: Signature,
    variable: String,
}

#[async_trait]
impl Work for Absent {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, _: Value, _: &CallContext) -> Result<Value, CallError> {
        let variable = &self.variable;
        let message = format!(
            "`{}`: the environment variable {variable} of `url` is not set",
            self.signature.name
        );
        Err(CallError::new(ErrorCode::Unauthorized, message)
            .with_hint(format!("export {variable}=... before Praxis starts")))
    }
}

/// The functions of the file `name`, whose `variable` is not set.
///
/// # Errors
/// A defect: a schema of theirs that is none.
pub(super) fn tools(name: &str, config: &Config, variable: &str) -> Result<Vec<Tool>, Problem> {
    let about = config.description.as_deref();
    let mut signatures = functions::signatures(name, about, None);
    signatures.push(ask::signature(name, about));
    signatures
        .into_iter()
        .map(|signature| {
            let function: Arc<dyn Function> = tool(Absent {
                signature,
                variable: variable.to_owned(),
            })?;
            Ok(Tool {
                function,
                outside: true,
            })
        })
        .collect()
}
