//! `praxis/approved`: makes a call that waited for an approval, by the approval's id. What was approved is kept with
//! its arguments, so that a model has to repeat an id and no letter of them, and asking again gives the result of the
//! first time. Left out: approving, which no function can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::approval::ApprovalState;
use praxis_core::{
    Approvals, CallContext, CallError, Effects, ErrorCode, Function, Signature, SpanKind,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Guarded;
use super::told;
use crate::deps::ToolDeps;
use crate::work::read;

/// The function's name.
pub(crate) const APPROVED: &str = "praxis/approved";

struct Approved {
    signature: Signature,
    functions: BTreeMap<String, Arc<Guarded>>,
    approvals: Arc<dyn Approvals>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    approval: String,
}

/// The function for these others, which stand behind their policies.
pub(crate) fn approved(functions: &[Arc<Guarded>], deps: &ToolDeps) -> Arc<dyn Function> {
    Arc::new(Approved::new(functions, Arc::clone(&deps.approvals)))
}

impl Approved {
    fn new(functions: &[Arc<Guarded>], approvals: Arc<dyn Approvals>) -> Self {
        let named = functions.iter().map(|function| {
            let name = function.signature().name.clone();
            (name, Arc::clone(function))
        });
        let about = "Makes a call that waited for an approval and was approved, and gives its result. A call that was \
                     made already is not made again: its result is given.";
        Self {
            signature: Signature {
                name: APPROVED.to_owned(),
                description: about.to_owned(),
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "approval": {
                            "type": "string",
                            "description": "the id that the call was told to wait for; it begins with `approval-`",
                        },
                    },
                    "required": ["approval"],
                    "additionalProperties": false,
                }),
                output_schema: json!({}),
                effects: Effects::READ,
            },
            functions: named.collect(),
            approvals,
        }
    }

    async fn made(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let Input { approval: id } = read(APPROVED, input)?;
        let id = id.trim();
        let found = self.approvals.find(id).await?;
        let user = cx.payer().user.as_deref();
        let approval = found.filter(|found| found.is_of(cx.caller(), user));
        let approval = approval.ok_or_else(|| told::unknown(id))?;
        let name = &approval.function;
        let function = self.functions.get(name).ok_or_else(|| {
            let message = format!("`{name}` is not a tool of this application any more");
            CallError::new(ErrorCode::NotFound, message)
        })?;
        // What it gives is what the function gives.
        cx.secrets().of_tool(APPROVED, function.secrets());
        match approval.state {
            ApprovalState::Approved | ApprovalState::Done => {}
            ApprovalState::Pending | ApprovalState::Consumed => return Err(told::waits(&approval)),
            ApprovalState::Denied => return Err(told::refused(&approval)),
            ApprovalState::Failed | ApprovalState::Expired => return Err(told::over(&approval)),
        }
        // The approval is used up, also where the policy would let the call through without one by now.
        Box::pin(function.make(&approval, &cx.nested()?)).await
    }
}

#[async_trait]
impl Function for Approved {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let (span, inner) = cx.span(SpanKind::Function, APPROVED, json!({ "input": input }));
        match self.made(input, &inner).await {
            Ok(output) => {
                span.finish(output.clone());
                Ok(output)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
