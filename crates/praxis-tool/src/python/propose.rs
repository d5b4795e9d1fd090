//! `NAME/propose`: a snippet that works becomes a proposal. Its tests run in the sandbox first; what does not pass them
//! is not kept. Left out: approving, which only a person does (`proposed`).

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::function::now_ms;
use praxis_core::{CallContext, CallError, Effects, ErrorCode, Signature, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::interpreter::{Interpreter, LONGEST};
use super::proposed::{Proposal, Proposals, Tried, bad_name, is_name};
use crate::work::{Work, invalid, read};

/// Tests of one proposal.
const MOST_TESTS: usize = 8;

/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1000;

/// `NAME/propose`.
pub(super) struct Propose {
    signature: Signature,
    tool: String,
    interpreter: Arc<Interpreter>,
    proposals: Proposals,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    description: String,
    input_schema: Value,
    code: String,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    input: Map<String, Value>,
    /// What has to come out; whatever does, where nothing is said.
    output: Option<Value>,
}

impl Propose {
    pub fn new(tool: &str, interpreter: &Arc<Interpreter>, proposals: Proposals) -> Self {
        Self {
            signature: Signature {
                name: format!("{tool}/propose"),
                description: "Proposes Python code that works as a tool, for a person to approve. Its tests are run \
                              first. The tool is not there before a person has approved it."
                    .to_owned(),
                input_schema: schema(),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "proposed": { "type": "string", "description": "the tool's name" },
                        "tests": {
                            "type": "array",
                            "description": "what the tests gave",
                            "items": { "type": "object" },
                        },
                        "next": { "type": "string", "description": "what a person does to have the tool" },
                    },
                    "required": ["proposed", "tests", "next"],
                }),
                // What is proposed does nothing, and nobody has it but a person who is asked.
                effects: Effects::default(),
            },
            tool: tool.to_owned(),
            interpreter: Arc::clone(interpreter),
            proposals,
        }
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "the tool's name: letters, digits, `_` and `-`" },
            "description": {
                "type": "string",
                "maxLength": LONGEST_DESCRIPTION,
                "description": "what the tool does, in a sentence",
            },
            "input_schema": {
                "type": "object",
                "description": "JSON Schema of the tool's input, of type `object`",
            },
            "code": {
                "type": "string",
                "maxLength": LONGEST,
                "description": "Python code that defines `run(...)`. It gets the input's properties by their names and \
                                gives back what can be JSON.",
            },
            "tests": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_TESTS,
                "items": {
                    "type": "object",
                    "properties": {
                        "input": { "type": "object", "description": "an input" },
                        "output": { "description": "what must come out; leave it out to see what does" },
                    },
                    "required": ["input"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["name", "description", "input_schema", "code", "tests"],
        "additionalProperties": false,
    })
}

#[async_trait]
impl Work for Propose {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        if !is_name(&input.name) {
            return Err(refused(name, bad_name(&input.name)));
        }
        let validator = validator(&input.input_schema).map_err(|what| invalid(name, what))?;
        let mut tests = Vec::with_capacity(input.tests.len());
        for (place, test) in input.tests.into_iter().enumerate() {
            let given = Value::Object(test.input.clone());
            if let Err(error) = validator.validate(&given) {
                let what =
                    format!("the input of test {place} does not fit `input_schema`: {error}");
                return Err(invalid(name, what));
            }
            let output = self.interpreter.call(&input.code, test.input, cx).await;
            let output = output.map_err(|error| told(place, error))?;
            if let Some(wanted) = test.output.filter(|wanted| *wanted != output) {
                let what = format!("test {place} gave {output}, and {wanted} was to come out");
                return Err(invalid(name, what));
            }
            tests.push(Tried {
                input: given,
                output,
            });
        }
        let proposal = Proposal {
            name: input.name,
            description: input.description,
            interpreter: self.tool.clone(),
            input_schema: input.input_schema,
            code: input.code,
            tests,
            caller: cx.caller().clone(),
            trace: cx.trace_id().to_string(),
            proposed_ms: now_ms(),
        };
        let kept = self.proposals.keep(&proposal);
        kept.map_err(|problem| refused(name, problem))?;
        Ok(json!({
            "proposed": proposal.name,
            "tests": proposal.tests,
            "next": format!("a person reads and approves it: `praxis tools approve {}`", proposal.name),
        }))
    }
}

/// What checks inputs of a schema.
///
/// # Errors
/// What is wrong with it.
pub(super) fn validator(schema: &Value) -> Result<jsonschema::Validator, String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("`input_schema` must be of type `object`".to_owned());
    }
    json_schema::ends(schema)?;
    jsonschema::validator_for(schema)
        .map_err(|error| format!("`input_schema` is no JSON Schema: {error}"))
}

/// An error of a test, with its number. That nothing ran at all stays what it is.
fn told(place: usize, error: CallError) -> CallError {
    match error.code {
        ErrorCode::Upstream if error.details.is_some() => CallError {
            code: ErrorCode::InvalidRequest,
            message: format!("test {place} failed: {}", error.message),
            ..error
        },
        _ => error,
    }
}

fn refused(name: &str, problem: praxis_core::Problem) -> CallError {
    let error = invalid(name, problem.message);
    match problem.help {
        Some(help) => error.with_hint(help),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_of_an_object_and_ends() {
        assert!(validator(&json!({ "type": "object" })).is_ok());
        for schema in [
            json!({}),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": { "a": { "type": "thing" } } }),
        ] {
            assert!(validator(&schema).is_err(), "{schema}");
        }
    }
}
