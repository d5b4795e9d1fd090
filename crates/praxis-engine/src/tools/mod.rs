//! Tools on the local engine: how a chat template is told of them, what the model may write to call one,
//! and how calls are read from its text.
//!
//! There is one form, that of Hermes and Qwen: a call is a JSON object with `name` and `arguments`
//! between two marks. Models whose template knows these marks get tools and calls from their template;
//! all others are told of the form in the system message ([`layout`]). Either way they are held to it
//! ([`grammar`]), so that a call is always one that can be made. Left out: who runs tools.

pub(crate) mod grammar;
pub(crate) mod layout;
pub(crate) mod reader;

use std::io;

use praxis_core::{ChatRequest, ModelError, ToolChoice, ToolSpec};
use serde::Serialize;
use serde_json::ser::Formatter;

/// What stands before a call.
pub(crate) const OPEN: &str = "<tool_call>";

/// What stands behind it.
pub(crate) const CLOSE: &str = "</tool_call>";

/// A call up to its arguments; they and `}` follow.
pub(crate) fn head(name: &str) -> String {
    format!("{{\"name\": {}, \"arguments\": ", serde_json::json!(name))
}

/// The tools of a request that its model may call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tools {
    pub(crate) specs: Vec<ToolSpec>,
    /// Whether it must call one rather than answer.
    pub(crate) required: bool,
    /// Whether it may call several at once.
    pub(crate) parallel: bool,
    /// Whether it may call any; those that it may not are told of all the same, so that a conversation's
    /// beginning stays what it is.
    pub(crate) callable: bool,
}

impl Tools {
    /// Those of a request.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] for a tool that is none, two of one name, or a choice of a tool
    /// that is not there.
    pub(crate) fn of(request: &ChatRequest) -> Result<Self, ModelError> {
        let invalid = |message: String| Err(ModelError::InvalidRequest(message));
        for (i, tool) in request.tools.iter().enumerate() {
            if let Some(problem) = tool.problem() {
                return invalid(format!("tools[{i}]: {problem}"));
            }
            if request.tools[..i].iter().any(|t| t.name == tool.name) {
                return invalid(format!("tools[{i}]: there are two of name `{}`", tool.name));
            }
        }
        let mut tools = Self {
            specs: request.tools.clone(),
            required: false,
            parallel: request.parallel_tool_calls.unwrap_or(true),
            callable: !request.tools.is_empty() && request.tool_choice != ToolChoice::None,
        };
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::None => {}
            ToolChoice::Required if tools.specs.is_empty() => {
                return invalid("tool_choice: a call is required, and there are no tools".into());
            }
            ToolChoice::Required => tools.required = true,
            ToolChoice::Named(name) => {
                tools.specs.retain(|tool| tool.name == *name);
                if tools.specs.is_empty() {
                    return invalid(format!("tool_choice: there is no tool `{name}`"));
                }
                tools.required = true;
                tools.parallel = false;
            }
        }
        Ok(tools)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Names by which calls without marks are known: none where an answer has a form of its own, which may
    /// look like a call.
    pub(crate) fn names(&self, has_form: bool) -> Vec<String> {
        if has_form {
            return Vec::new();
        }
        self.specs.iter().map(|tool| tool.name.clone()).collect()
    }
}

/// JSON on one line with `, ` and `: ` between, as Python's `json.dumps` writes it and as models have
/// read most of it.
///
/// # Errors
/// What cannot be written as JSON.
pub(crate) fn spaced_json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut out, Spaced,
    ))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if first {
            Ok(())
        } else {
            writer.write_all(b", ")
        }
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use praxis_core::tool::no_parameters;
    use serde_json::{Value, json};

    use super::*;

    /// A tool of that name.
    pub(crate) fn spec(name: &str, parameters: Value) -> ToolSpec {
        ToolSpec {
            name: name.to_owned(),
            description: format!("What {name} does."),
            parameters,
        }
    }

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({"a": [1, "x, y: \"z\"", []], "b": {}, "c": "<é>"});
        assert_eq!(
            spaced_json(&value).unwrap(),
            r#"{"a": [1, "x, y: \"z\"", []], "b": {}, "c": "<é>"}"#
        );
    }

    #[test]
    fn choices_leave_the_tools_that_may_be_called() {
        let request = |choice: ToolChoice| ChatRequest {
            tools: vec![spec("a", no_parameters()), spec("b", no_parameters())],
            tool_choice: choice,
            ..ChatRequest::default()
        };
        for (choice, names, required, parallel) in [
            (ToolChoice::Auto, &["a", "b"][..], false, true),
            (ToolChoice::None, &["a", "b"], false, true),
            (ToolChoice::Required, &["a", "b"], true, true),
            (ToolChoice::Named("b".into()), &["b"], true, false),
        ] {
            let tools = Tools::of(&request(choice.clone())).unwrap();
            let found: Vec<&str> = tools.specs.iter().map(|t| t.name.as_str()).collect();
            assert_eq!(found, names);
            assert_eq!((tools.required, tools.parallel), (required, parallel));
            assert_eq!(tools.callable, choice != ToolChoice::None);
        }
        for (request, said) in [
            (request(ToolChoice::Named("c".into())), "no tool `c`"),
            (
                ChatRequest {
                    tool_choice: ToolChoice::Required,
                    ..ChatRequest::default()
                },
                "no tools",
            ),
            (
                ChatRequest {
                    tools: vec![spec("a", no_parameters()), spec("a", no_parameters())],
                    ..ChatRequest::default()
                },
                "two of name `a`",
            ),
            (
                ChatRequest {
                    tools: vec![spec("a b", no_parameters())],
                    ..ChatRequest::default()
                },
                "tools[0]: `a b` is no name",
            ),
            (
                ChatRequest {
                    tools: vec![spec("a", json!([]))],
                    ..ChatRequest::default()
                },
                "no JSON Schema of an object",
            ),
        ] {
            let error = Tools::of(&request).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
