//! A function as a tool. Left out: which functions there are.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallError, Effect, ErrorCode, Function, json_schema};
use rmcp::model::{CallToolResult, JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::asking::Halt;
use super::call::Call;
use super::content;
use super::server::ServerTool;

/// Events of a call that wait to be told.
const WAITING: usize = 64;

/// A function as a tool.
pub(super) struct FunctionTool {
    function: Arc<dyn Function>,
    tool: Tool,
    /// Of the output, where clients are told its schema and check it.
    output: Option<jsonschema::Validator>,
}

impl FunctionTool {
    /// The tool of this name. What a prompt does is what its model makes of it, so no hint is given of that.
    pub(super) fn new(name: String, function: Arc<dyn Function>, is_prompt: bool) -> Self {
        let signature = function.signature();
        let mut tool = Tool::new(
            name,
            described(&signature.name, &signature.description),
            Arc::new(input_schema(&signature.input_schema)),
        )
        .with_title(signature.name.clone());
        let schema = &signature.output_schema;
        // A schema that does not end would bring the validator down, here and at clients.
        let output = content::told(schema).and_then(|told| {
            json_schema::ends(schema).ok()?;
            let validator = jsonschema::validator_for(schema).ok()?;
            Some((told, validator))
        });
        let output = output.map(|(told, validator)| {
            tool.output_schema = Some(Arc::new(told));
            validator
        });
        if !is_prompt {
            let effects = signature.effects;
            tool.annotations = Some(
                ToolAnnotations::new()
                    .read_only(effects.only_reads())
                    .destructive(effects.has(Effect::Irreversible))
                    .open_world(effects.has(Effect::External)),
            );
        }
        Self {
            tool,
            output,
            function,
        }
    }

    async fn called(&self, arguments: JsonObject, call: &Call) -> Result<Value, CallError> {
        let input = Value::Object(arguments);
        let name = &self.function.signature().name;
        if !call.is_heard() {
            return self.function.call(input, call.cx()).await;
        }
        let (events, received) = mpsc::channel(WAITING);
        let called = async {
            // The context ends with the call, which ends the channel of events.
            let cx = call.cx().clone().with_events(events);
            self.function.call(input, &cx).await
        };
        let (output, ()) = tokio::join!(called, call.events(name, received));
        output
    }
}

/// The schema of a tool's arguments, which the protocol wants to be of an object.
fn input_schema(schema: &Value) -> JsonObject {
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| json!("object"));
    schema
}

fn described(name: &str, description: &str) -> String {
    match description.trim() {
        "" => format!("The function `{name}`."),
        description => description.to_owned(),
    }
}

#[async_trait]
impl ServerTool for FunctionTool {
    fn tool(&self) -> &Tool {
        &self.tool
    }

    async fn call(&self, arguments: JsonObject, call: &Call) -> Result<CallToolResult, Halt> {
        let trace = json!(call.cx().trace_id());
        let result = match self.called(arguments, call).await {
            Ok(output) => self.checked(output),
            Err(error) => content::error(&error),
        };
        Ok(content::with_meta(result, "praxis/trace_id", trace))
    }
}

impl FunctionTool {
    /// An output as its result. One that does not fit the schema that clients were told, such as the words in which a
    /// function declines, would be refused by them unseen.
    fn checked(&self, output: Value) -> CallToolResult {
        let fits = self
            .output
            .as_ref()
            .is_none_or(|validator| validator.is_valid(&output));
        if fits {
            return content::result(output, &self.function.signature().output_schema);
        }
        let text = match output {
            Value::String(text) => text,
            other => other.to_string(),
        };
        content::error(&CallError::new(ErrorCode::OutputInvalid, text))
    }
}
