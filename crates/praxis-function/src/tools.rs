//! Tools of a prompt: other functions of the application that its model may call while it answers.
//!
//! What a model wants called is data from outside: arguments are checked by the function's own schema, and
//! what goes wrong with a call is told to the model, which may do better. Left out: how models are told of
//! tools and held to their schemas (the gateway's and the engine's).

use std::collections::BTreeMap;

use futures::StreamExt;
use praxis_core::tokens::{cut, estimate};
use praxis_core::{
    CallContext, CallError, CallEvent, ErrorCode, Message, SpanKind, ToolCall, ToolSpec,
};
use serde_json::{Value, json};

use crate::ask::Asking;
use crate::library::Functions;
use crate::technique::written;

/// Rounds of calls where the prompt says nothing (`maxTurns`), as in Genkit.
pub(crate) const MAX_TURNS: u64 = 5;

/// Calls of one round that run at a time.
const AT_ONCE: usize = 8;

/// Calls of one round that are made; the model is told of the others that they were too many.
const MOST_CALLS: usize = 16;

/// Tokens of a result that the model reads, about; what is longer is cut, and says so. All results of a round
/// take a share of the model's window at most.
const MAX_RESULT: usize = 4000;
const SHARE: usize = 4;
const LEAST_RESULT: usize = 64;

/// What marks, in the schema of a function's output, a field that is for people and programs: a picture costs a model
/// thousands of tokens and tells it nothing.
const NOT_FOR_MODELS: &str = "x-not-for-models";

/// How deep a schema is looked at for such marks.
const DEEPEST: usize = 3;

/// The tools of a prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tools {
    /// Functions by the names that models know them by.
    functions: BTreeMap<String, String>,
    /// Beginnings of names: all functions whose names begin so are tools too.
    starts: Vec<String>,
    /// Rounds of calls before the model has to answer.
    pub max_turns: u64,
}

impl Tools {
    /// Tools for these functions; a name with a `*` at its end, such as `crm/*`, stands for all that begin so.
    ///
    /// # Errors
    /// Two functions that models would know by one name, and a `*` elsewhere.
    pub fn new(functions: &[String], max_turns: Option<u64>) -> Result<Self, String> {
        let mut tools = Self {
            functions: BTreeMap::new(),
            starts: Vec::new(),
            max_turns: max_turns.unwrap_or(MAX_TURNS),
        };
        for function in functions {
            match function.strip_suffix('*') {
                Some(start) if start.contains('/') && !start.contains('*') => {
                    tools.starts.push(start.to_owned());
                }
                None if !function.contains('*') => tools.add(function)?,
                _ => {
                    return Err(format!(
                        "`{function}`: a `*` stands at the end, behind a folder of functions, as in `crm/*`"
                    ));
                }
            }
        }
        Ok(tools)
    }

    fn add(&mut self, function: &str) -> Result<(), String> {
        let name = tool_name(function);
        match self.functions.insert(name.clone(), function.to_owned()) {
            Some(other) if other != function => Err(format!(
                "`{other}` and `{function}` are one name to a model, `{name}`"
            )),
            _ => Ok(()),
        }
    }

    /// Names of the functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.values().map(String::as_str)
    }

    /// What the names of further ones begin with.
    pub fn starts(&self) -> impl Iterator<Item = &str> {
        self.starts.iter().map(String::as_str)
    }

    /// The same with all functions that its patterns stand for, but the one whose tools they are.
    ///
    /// # Errors
    /// Two functions that models would know by one name.
    pub fn expanded(&self, functions: &Functions, own: &str) -> Result<Self, CallError> {
        let mut all = Self {
            starts: Vec::new(),
            ..self.clone()
        };
        let below = self.starts.iter().flat_map(|start| functions.below(start));
        for name in below.filter(|name| name != own) {
            let added = all.add(&name);
            added.map_err(|message| CallError::new(ErrorCode::InvalidRequest, message))?;
        }
        Ok(all)
    }

    /// Those that models know by these names.
    pub fn only(&self, names: &[&str]) -> Self {
        let mut kept = self.clone();
        kept.functions
            .retain(|name, _| names.contains(&name.as_str()));
        kept
    }

    /// Tells traces what nobody is shown of the tools' arguments, before a model writes them.
    pub fn note_secrets(&self, functions: &Functions, cx: &CallContext) {
        for (name, function) in &self.functions {
            if let Ok(function) = functions.get(function)
                && !function.secrets().is_empty()
            {
                cx.secrets().of_tool(name, function.secrets());
            }
        }
    }

    /// The tools as models are told of them.
    ///
    /// # Errors
    /// `not_found` for a function that is not there.
    pub fn specs(&self, functions: &Functions) -> Result<Vec<ToolSpec>, CallError> {
        let spec = |(name, function): (&String, &String)| {
            let function = functions.get(function)?;
            let signature = function.signature();
            Ok(ToolSpec {
                name: name.clone(),
                description: signature.description.clone(),
                parameters: signature.input_schema.clone(),
            })
        };
        self.functions.iter().map(spec).collect()
    }
}

/// About how many tokens tools take in a prompt.
pub(crate) fn prompt_tokens(specs: &[ToolSpec]) -> usize {
    specs
        .iter()
        .map(|spec| estimate(&json!(spec).to_string()))
        .sum()
}

/// A function's name as models and providers take it: `desk/answer.short` is `desk_answer_short`.
fn tool_name(function: &str) -> String {
    let fits = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    function
        .chars()
        .map(fits)
        .take(praxis_core::tool::MAX_TOOL_NAME)
        .collect()
}

impl Asking<'_> {
    /// Makes the calls of one round, several at a time; gives what the model is told of them, in their
    /// order. `heard` tells the reader of each.
    ///
    /// # Errors
    /// `cancelled`; all else that goes wrong is told to the model.
    pub async fn run_tools(
        &self,
        calls: &[ToolCall],
        heard: bool,
        cx: &CallContext,
    ) -> Result<Vec<Message>, CallError> {
        let window = self.deps.chat.window(self.model);
        let share = window.map_or(MAX_RESULT, |w| w / SHARE / calls.len().max(1));
        let room = share.clamp(LEAST_RESULT, MAX_RESULT);
        let run = |(i, call)| self.run_tool(call, i < MOST_CALLS, room, heard, cx);
        let runs: Vec<_> = calls.iter().enumerate().map(run).collect();
        let mut results = futures::stream::iter(runs).buffered(AT_ONCE);
        let mut messages = Vec::with_capacity(calls.len());
        while let Some(result) = results.next().await {
            messages.push(result?);
        }
        Ok(messages)
    }

    async fn run_tool(
        &self,
        call: &ToolCall,
        made: bool,
        room: usize,
        heard: bool,
        cx: &CallContext,
    ) -> Result<Message, CallError> {
        if heard {
            cx.emit(CallEvent::ToolCalled(call.clone())).await;
        }
        let (span, inner) = cx.span(SpanKind::Tool, &call.name, self.traced(json!(call)));
        let result = if made {
            self.tool_result(call, &inner).await
        } else {
            let message = format!("more than {MOST_CALLS} calls at once; call it again if need be");
            Err(CallError::new(ErrorCode::BudgetExceeded, message))
        };
        let (text, failed) = match result {
            Ok(value) => {
                span.finish(self.traced(value.clone()));
                (shortened(&written(&self.read(call, value)), room), false)
            }
            Err(error) => {
                span.fail(&error);
                if error.code == ErrorCode::Cancelled {
                    return Err(error);
                }
                let hint = error.hint.map(|hint| format!(" ({hint})"));
                let hint = hint.unwrap_or_default();
                let text = format!("error: {}{hint}", error.message);
                (shortened(&text, room), true)
            }
        };
        if heard {
            cx.emit(CallEvent::ToolAnswered {
                id: call.id.clone(),
                text: text.clone(),
                failed,
            })
            .await;
        }
        Ok(Message::tool(&call.id, text))
    }

    /// What a model reads of a result.
    fn read(&self, call: &ToolCall, mut value: Value) -> Value {
        let function = self.tools.functions.get(&call.name);
        if let Some(Ok(function)) = function.map(|name| self.deps.functions.get(name)) {
            leave_out(&mut value, &function.signature().output_schema, 0);
        }
        value
    }

    async fn tool_result(&self, call: &ToolCall, cx: &CallContext) -> Result<Value, CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::InvalidRequest, message);
        let function = self.tools.functions.get(&call.name).ok_or_else(|| {
            let names: Vec<&str> = self.tools.functions.keys().map(String::as_str).collect();
            invalid(format!(
                "there is no tool `{}`; there are: {}",
                call.name,
                names.join(", ")
            ))
        })?;
        let arguments = call.parsed().map_err(|error| {
            invalid(format!(
                "the arguments of `{}` are no JSON: {error}",
                call.name
            ))
        })?;
        let function = self.deps.functions.get(function)?;
        let arguments = match self.veil {
            Some(veil) => veil.handed(&arguments),
            None => arguments,
        };
        let (secrets, hidden) = (cx.secrets(), function.secrets());
        secrets.of_tool(&function.signature().name, hidden);
        secrets.note(&arguments, hidden);
        // Boxed: a function may call others that call others.
        let given = Box::pin(function.call(arguments, &cx.nested()?)).await?;
        secrets.note(&given, hidden);
        Ok(self.restored(given))
    }
}

/// Takes out of a result what its schema marks as not for models.
fn leave_out(value: &mut Value, schema: &Value, depth: usize) {
    let (Some(fields), Some(parts)) = (
        value.as_object_mut(),
        schema.get("properties").and_then(Value::as_object),
    ) else {
        return;
    };
    let is_marked = |part: &Value| part.get(NOT_FOR_MODELS) == Some(&Value::Bool(true));
    fields.retain(|name, _| !parts.get(name).is_some_and(is_marked));
    if depth == DEEPEST {
        return;
    }
    for (name, part) in parts {
        if let Some(field) = fields.get_mut(name) {
            leave_out(field, part, depth + 1);
        }
    }
}

fn shortened(text: &str, room: usize) -> String {
    if estimate(text) <= room {
        return text.to_owned();
    }
    format!(
        "{}\n[cut: about {room} of {} tokens]",
        cut(text, room),
        estimate(text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_models_take() {
        let tools = |names: &[&str]| {
            let owned: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            Tools::new(&owned, None)
        };
        let found = tools(&["desk/answer.short", "add"]).unwrap();
        let names: Vec<&str> = found.functions.keys().map(String::as_str).collect();
        assert_eq!(names, ["add", "desk_answer_short"]);
        assert_eq!(found.max_turns, MAX_TURNS);
        assert!(tools(&["a", "a"]).is_ok());
        assert!(tools(&["a.b", "a/b"]).unwrap_err().contains("`a_b`"));
        let some = tools(&["add", "crm/*", "web/get_*"]).unwrap();
        assert_eq!(some.starts().collect::<Vec<_>>(), ["crm/", "web/get_"]);
        assert_eq!(some.only(&[]).functions().count(), 0);
        for wrong in ["*", "crm*", "*/get", "c*m/*"] {
            assert!(
                tools(&[wrong]).unwrap_err().contains("at the end"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_not_for_models_is_left_out_also_in_a_frame() {
        let schema = json!({
            "type": "object",
            "properties": {
                "answer": { "type": "string" },
                "chart": { "type": ["string", "null"], "x-not-for-models": true },
            },
        });
        let framed = json!({ "properties": { "from": { "type": "string" }, "content": schema } });
        let given = json!({ "answer": "12", "chart": "<svg/>", "more": 1 });
        let mut plain = given.clone();
        leave_out(&mut plain, &schema, 0);
        assert_eq!(plain, json!({ "answer": "12", "more": 1 }));
        let mut inner = json!({ "from": "sales/ask", "content": given });
        leave_out(&mut inner, &framed, 0);
        assert_eq!(inner["content"], plain);
        let mut text = json!("as it is");
        leave_out(&mut text, &schema, 0);
        assert_eq!(text, "as it is");
    }

    #[test]
    fn a_long_result_is_cut_and_says_so() {
        let long = "word ".repeat(10_000);
        let short = shortened(&long, MAX_RESULT);
        assert!(
            short.len() < 20_000 && short.ends_with("of 12500 tokens]"),
            "{short}"
        );
        assert_eq!(shortened("4", LEAST_RESULT), "4");
    }
}
