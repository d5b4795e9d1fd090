//! What the conformance suite of the Model Context Protocol wants of a server (`@modelcontextprotocol/conformance`,
//! the fixtures of its README), offered by the parts that an application is offered by: the same router, guards,
//! sessions and handler. `PORT` says where; `scripts/test-mcp.sh` runs the suite against it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "an example that ends where something is wrong"
)]
#![expect(
    deprecated,
    reason = "sampling, roots and logging are deprecated, and the suite tests them"
)]

#[path = "../tests/mcp/app.rs"]
mod app;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use praxis_api::mcp::{Call, Halt, Listed, Server, ServerPrompt, ServerResources, ServerTool};
use praxis_core::{CallContext, CallError};
use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ClientCapabilities, ContentBlock, CreateMessageRequest,
    CreateMessageRequestParams, ElicitRequest, ElicitRequestParams, GetPromptResult, InputRequest,
    InputRequests, InputResponses, JsonObject, ListRootsRequest, LoggingLevel, Prompt,
    PromptArgument, PromptMessage, Resource, ResourceContents, ResourceTemplate, Role,
    SamplingCapability, SamplingMessage, Tool,
};
use serde_json::{Value, json};

/// A red pixel, and a sound without samples.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
const SOUND: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// The pause between two words of a tool that tells how it goes.
const PAUSE: Duration = Duration::from_millis(50);

/// Tools without arguments: names, and what they do.
const TOOLS: [(&str, &str); 22] = [
    ("test_simple_text", "Gives a text"),
    ("test_image_content", "Gives an image"),
    ("test_audio_content", "Gives a sound"),
    ("test_embedded_resource", "Gives a resource"),
    (
        "test_multiple_content_types",
        "Gives a text, an image and a resource",
    ),
    ("test_tool_with_logging", "Logs while it runs"),
    ("test_error_handling", "Always fails"),
    ("test_tool_with_progress", "Tells how far it is"),
    (
        "test_elicitation_sep1034_defaults",
        "Asks for values that have defaults",
    ),
    ("test_elicitation_sep1330_enums", "Asks for choices"),
    ("test_reconnection", "Takes a while"),
    ("test_missing_capability", "Needs a client with a model"),
    ("test_streaming_elicitation", "Asks for a value"),
    ("test_logging_tool", "Logs where the request says so"),
    ("test_input_required_result_elicitation", "Asks for a name"),
    (
        "test_input_required_result_sampling",
        "Asks the client's model",
    ),
    (
        "test_input_required_result_list_roots",
        "Asks for the client's folders",
    ),
    (
        "test_input_required_result_request_state",
        "Asks for a word, and remembers that",
    ),
    (
        "test_input_required_result_tampered_state",
        "The same, for a state that was changed",
    ),
    (
        "test_input_required_result_multiple_inputs",
        "Asks for three things at once",
    ),
    ("test_input_required_result_multi_round", "Asks twice"),
    (
        "test_input_required_result_capabilities",
        "Asks for what the client can do",
    ),
];

struct Fixture(Tool);

fn object(value: Value) -> JsonObject {
    value.as_object().cloned().unwrap_or_default()
}

fn tool(name: &'static str, description: &'static str, schema: Value) -> Arc<dyn ServerTool> {
    Arc::new(Fixture(Tool::new(
        name,
        description,
        Arc::new(object(schema)),
    )))
}

/// All tools.
fn tools() -> Vec<Arc<dyn ServerTool>> {
    let none = || json!({ "type": "object", "properties": {} });
    let text = |name: &str| {
        let properties = json!({ name: { "type": "string" } });
        json!({ "type": "object", "properties": properties, "required": [name] })
    };
    let header = json!({
        "type": "object",
        "properties": { "value": { "type": "string", "x-mcp-header": "Value" } },
        "required": ["value"],
    });
    let mut all: Vec<_> = TOOLS
        .iter()
        .map(|(name, about)| tool(name, about, none()))
        .collect();
    all.push(tool(
        "test_sampling",
        "Asks the client's model",
        text("prompt"),
    ));
    all.push(tool("test_elicitation", "Asks a person", text("message")));
    all.push(tool(
        "test_custom_header",
        "Takes a value that goes into a header too",
        header,
    ));
    all.push(tool(
        "json_schema_2020_12_tool",
        "Has a schema of many words",
        whole_schema(),
    ));
    all
}

/// A schema with the words that clients must keep (SEP-1613, SEP-2106).
fn whole_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "address",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
        },
        "allOf": [{ "anyOf": [{ "required": ["name"] }, { "required": ["address"] }] }],
        "if": { "required": ["address"] },
        "then": { "properties": { "address": { "required": ["street"] } } },
        "else": { "required": ["name"] },
        "additionalProperties": false,
    })
}

/// A form.
fn form(message: &str, properties: Value, required: Value) -> InputRequest {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    InputRequest::Elicitation(ElicitRequest::new(
        ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: message.to_owned(),
            requested_schema: serde_json::from_value(schema).unwrap(),
        },
    ))
}

/// A form of one text.
fn word(message: &str, name: &str) -> InputRequest {
    form(
        message,
        json!({ name: { "type": "string" } }),
        json!([name]),
    )
}

fn question(text: &str) -> InputRequest {
    let params = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(text)], 100);
    InputRequest::CreateMessage(CreateMessageRequest::new(params))
}

fn folders() -> InputRequest {
    InputRequest::ListRoots(ListRootsRequest::default())
}

/// Asks for one thing.
async fn asked(call: &Call, key: &str, request: InputRequest) -> Result<Value, Halt> {
    let mut answers = call
        .ask(InputRequests::from([(key.to_owned(), request)]))
        .await?;
    Ok(answers.remove(key).unwrap_or_default())
}

fn said(text: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn resource(uri: &str, kind: &str, text: &str) -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(kind))
}

#[async_trait]
impl ServerTool for Fixture {
    fn tool(&self) -> &Tool {
        &self.0
    }

    async fn call(&self, arguments: JsonObject, call: &Call) -> Result<CallToolResult, Halt> {
        let argument = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match &*self.0.name {
            "test_simple_text" => Ok(said("This is a simple text response for testing.")),
            "test_image_content" => Ok(CallToolResult::success(vec![ContentBlock::image(
                IMAGE,
                "image/png",
            )])),
            "test_audio_content" => Ok(CallToolResult::success(vec![ContentBlock::audio(
                SOUND,
                "audio/wav",
            )])),
            "test_embedded_resource" => {
                let text = "This is an embedded resource content.";
                let block = resource("test://embedded-resource", "text/plain", text);
                Ok(CallToolResult::success(vec![block]))
            }
            "test_multiple_content_types" => {
                let data = "{\"test\":\"data\",\"value\":123}";
                Ok(CallToolResult::success(vec![
                    ContentBlock::text("Multiple content types test:"),
                    ContentBlock::image(IMAGE, "image/png"),
                    resource("test://mixed-content-resource", "application/json", data),
                ]))
            }
            "test_error_handling" => {
                let text = "This tool intentionally returns an error for testing";
                Ok(CallToolResult::error(vec![ContentBlock::text(text)]))
            }
            "test_custom_header" => Ok(said(argument("value"))),
            "json_schema_2020_12_tool" => Ok(said(format!("Hello, {}!", argument("name")))),
            "test_reconnection" => {
                tokio::time::sleep(PAUSE * 2).await;
                Ok(said("Reconnection test completed"))
            }
            "test_tool_with_logging" | "test_logging_tool" | "test_tool_with_progress" => {
                Ok(told(&self.0.name, call).await)
            }
            name if name.starts_with("test_input_required_result_") => again(name, call).await,
            name => asks(name, argument, call).await,
        }
    }
}

/// Tools that tell something while they run.
async fn told(name: &str, call: &Call) -> CallToolResult {
    match name {
        "test_tool_with_logging" => {
            for text in [
                "Tool execution started",
                "Tool processing data",
                "Tool execution completed",
            ] {
                call.log(LoggingLevel::Info, "conformance", json!(text))
                    .await;
                tokio::time::sleep(PAUSE).await;
            }
            said("Logging test completed")
        }
        "test_logging_tool" => {
            let level = call
                .context()
                .meta
                .log_level()
                .unwrap_or(LoggingLevel::Info);
            call.log(level, "conformance", json!("logLevel was requested"))
                .await;
            said("Logging tool completed")
        }
        _ => {
            for (progress, text) in [(0.0, "Starting"), (50.0, "Halfway"), (100.0, "Complete")] {
                call.progress(progress, Some(100.0), Some(text)).await;
                tokio::time::sleep(PAUSE).await;
            }
            said("Progress test completed")
        }
    }
}

/// Tools that ask while they run, in older revisions.
async fn asks<'a>(
    name: &str,
    argument: impl Fn(&str) -> &'a str,
    call: &Call,
) -> Result<CallToolResult, Halt> {
    match name {
        "test_sampling" => {
            let answer = asked(call, "answer", question(argument("prompt"))).await?;
            let text = answer["content"]["text"]
                .as_str()
                .unwrap_or("No text response");
            Ok(said(format!("LLM response: {text}")))
        }
        "test_elicitation" => {
            let fields = json!({
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            });
            let request = form(argument("message"), fields, json!(["username", "email"]));
            let answer = asked(call, "answer", request).await?;
            Ok(said(format!("User response: {answer}")))
        }
        "test_elicitation_sep1034_defaults" => {
            let fields = json!({
                "name": { "type": "string", "description": "User's name", "default": "John Doe" },
                "age": { "type": "integer", "description": "User's age", "default": 30 },
                "score": { "type": "number", "description": "User's score", "default": 95.5 },
                "status": {
                    "type": "string",
                    "description": "User's status",
                    "enum": ["active", "inactive", "pending"],
                    "default": "active",
                },
                "verified": { "type": "boolean", "description": "Whether user is verified", "default": true },
            });
            let request = form(
                "Please provide values (all have defaults)",
                fields,
                json!([]),
            );
            let answer = asked(call, "answer", request).await?;
            Ok(said(format!("Elicitation completed: {answer}")))
        }
        "test_elicitation_sep1330_enums" => {
            let request = form("Test enum schema improvements", choices(), json!([]));
            let answer = asked(call, "answer", request).await?;
            Ok(said(format!("Enum elicitation completed: {answer}")))
        }
        "test_streaming_elicitation" => {
            asked(
                call,
                "streaming_elicitation",
                word("Provide a value", "value"),
            )
            .await?;
            Ok(said("A value was provided"))
        }
        _ => {
            let able = call.context().client_capabilities().unwrap_or_default();
            if able.sampling.is_none() {
                let mut lacking = ClientCapabilities::default();
                lacking.sampling = Some(SamplingCapability::default());
                return Err(ErrorData::missing_required_client_capability(lacking).into());
            }
            Ok(said("Required capability declared"))
        }
    }
}

/// Choices in all their spellings (SEP-1330).
fn choices() -> Value {
    let options = |start: &str| {
        json!([
            { "const": "value1", "title": format!("First {start}") },
            { "const": "value2", "title": format!("Second {start}") },
            { "const": "value3", "title": format!("Third {start}") },
        ])
    };
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "untitledSingle": { "type": "string", "enum": plain },
        "titledSingle": { "type": "string", "oneOf": options("Option") },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
        "titledMulti": { "type": "array", "items": { "anyOf": options("Choice") } },
    })
}

/// Tools whose call is made again with what they ask for (SEP-2322).
async fn again(name: &str, call: &Call) -> Result<CallToolResult, Halt> {
    let name_form = || word("What is your name?", "name");
    match name {
        "test_input_required_result_elicitation" => {
            let answer = asked(call, "user_name", name_form()).await?;
            let name = answer["content"]["name"].as_str().unwrap_or("nobody");
            Ok(said(format!("Hello, {name}!")))
        }
        "test_input_required_result_sampling" => {
            let request = question("What is the capital of France?");
            let answer = asked(call, "capital_question", request).await?;
            let text = answer["content"]["text"].as_str().unwrap_or_default();
            Ok(said(format!("Sampling response: {text}")))
        }
        "test_input_required_result_list_roots" => {
            let answer = asked(call, "client_roots", folders()).await?;
            Ok(said(format!("Client roots: {}", answer["roots"])))
        }
        "test_input_required_result_multi_round" => {
            asked(call, "step1", word("Step 1: What is your name?", "name")).await?;
            asked(
                call,
                "step2",
                word("Step 2: What is your favorite color?", "color"),
            )
            .await?;
            Ok(said("Multi-round flow complete"))
        }
        "test_input_required_result_multiple_inputs" => {
            all(
                call,
                [
                    ("user_name", name_form()),
                    ("greeting", question("Generate a greeting")),
                    ("client_roots", folders()),
                ],
            )
            .await?;
            Ok(said("All inputs received"))
        }
        "test_input_required_result_capabilities" => {
            let able = call.context().client_capabilities().unwrap_or_default();
            let wanted = [
                (able.elicitation.is_some(), "user_name", name_form()),
                (
                    able.sampling.is_some(),
                    "greeting",
                    question("Generate a greeting"),
                ),
                (able.roots.is_some(), "client_roots", folders()),
            ];
            let wanted = wanted.into_iter().filter(|(able, ..)| *able);
            all(call, wanted.map(|(_, key, request)| (key, request))).await?;
            Ok(said("Capability-aware flow complete"))
        }
        _ => {
            let request = form(
                "Please confirm",
                json!({ "ok": { "type": "boolean" } }),
                json!(["ok"]),
            );
            asked(call, "confirm", request).await?;
            Ok(said("Confirmed: state-ok"))
        }
    }
}

async fn all(
    call: &Call,
    requests: impl IntoIterator<Item = (&'static str, InputRequest)>,
) -> Result<InputResponses, Halt> {
    let requests = requests
        .into_iter()
        .map(|(key, request)| (key.to_owned(), request));
    call.ask(requests.collect()).await
}

struct Words(Prompt);

/// All prompts.
fn prompts() -> Vec<Arc<dyn ServerPrompt>> {
    let argument = |name: &str, needed: bool| {
        PromptArgument::new(name)
            .with_description("An argument of a test")
            .with_required(needed)
    };
    let arguments = vec![argument("arg1", true), argument("arg2", false)];
    let all = [
        ("test_simple_prompt", "A prompt without arguments", None),
        (
            "test_prompt_with_arguments",
            "A prompt with arguments",
            Some(arguments),
        ),
        (
            "test_prompt_with_embedded_resource",
            "A prompt with a resource",
            Some(vec![argument("resourceUri", true)]),
        ),
        ("test_prompt_with_image", "A prompt with an image", None),
        (
            "test_input_required_result_prompt",
            "A prompt that asks",
            None,
        ),
    ];
    let prompt = |(name, about, arguments)| {
        Arc::new(Words(Prompt::new(name, Some(about), arguments))) as Arc<dyn ServerPrompt>
    };
    all.into_iter().map(prompt).collect()
}

#[async_trait]
impl ServerPrompt for Words {
    fn prompt(&self) -> &Prompt {
        &self.0
    }

    async fn get(&self, arguments: JsonObject, call: &Call) -> Result<GetPromptResult, Halt> {
        let argument = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let text = |text: &str| PromptMessage::new_text(Role::User, text);
        let messages = match self.0.name.as_str() {
            "test_simple_prompt" => vec![text("This is a simple test prompt.")],
            "test_prompt_with_arguments" => {
                let (one, two) = (argument("arg1"), argument("arg2"));
                vec![text(&format!(
                    "Prompt with arguments: arg1='{one}', arg2='{two}'"
                ))]
            }
            "test_prompt_with_embedded_resource" => {
                let uri = argument("resourceUri");
                let block = resource(uri, "text/plain", "Embedded resource content for testing.");
                vec![
                    PromptMessage::new(Role::User, block),
                    text("Please process the embedded resource above."),
                ]
            }
            "test_prompt_with_image" => vec![
                PromptMessage::new(Role::User, ContentBlock::image(IMAGE, "image/png")),
                text("Please analyze the image above."),
            ],
            _ => {
                let request = word("What context should the prompt use?", "context");
                let answer = asked(call, "user_context", request).await?;
                let context = answer["content"]["context"].as_str().unwrap_or_default();
                vec![text(&format!("Prompt with elicited context: {context}"))]
            }
        };
        Ok(GetPromptResult::new(messages))
    }

    fn complete(&self, _: &str, typed: &str) -> Vec<String> {
        let words = ["paris", "park", "party", "test"].map(str::to_owned);
        words
            .into_iter()
            .filter(|word| word.starts_with(typed))
            .collect()
    }
}

/// Resources that never change.
struct Shelf;

#[async_trait]
impl ServerResources for Shelf {
    async fn list(
        &self,
        after: Option<&str>,
        most: usize,
        _: &CallContext,
    ) -> Result<(Vec<(String, Resource)>, bool), CallError> {
        let resource = |uri: &str, name: &str, kind: &str| {
            let resource = Resource::new(uri, name).with_description("A resource of a test");
            (uri.to_owned(), resource.with_mime_type(kind))
        };
        let all = [
            resource(
                "test://static-binary",
                "Static Binary Resource",
                "image/png",
            ),
            resource("test://static-text", "Static Text Resource", "text/plain"),
            resource("test://watched-resource", "Watched Resource", "text/plain"),
        ];
        let behind = all
            .into_iter()
            .filter(|(uri, _)| after.is_none_or(|after| uri.as_str() > after));
        let mut page: Vec<_> = behind.collect();
        let more = page.len() > most;
        page.truncate(most);
        Ok((page, more))
    }

    fn templates(&self) -> Vec<ResourceTemplate> {
        let template = ResourceTemplate::new("test://template/{id}/data", "Dynamic Resource")
            .with_description("A resource by its id")
            .with_mime_type("application/json");
        vec![template]
    }

    async fn read(
        &self,
        uri: &str,
        _: &CallContext,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        let contents = match uri {
            "test://static-text" | "test://watched-resource" => {
                ResourceContents::text("This is the content of the static text resource.", uri)
            }
            "test://static-binary" => {
                ResourceContents::blob(IMAGE, uri).with_mime_type("image/png")
            }
            uri => {
                let id = uri
                    .strip_prefix("test://template/")
                    .and_then(|rest| rest.strip_suffix("/data"));
                let Some(id) = id else {
                    return Ok(None);
                };
                let data =
                    json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
            }
        };
        Ok(Some(vec![contents]))
    }

    async fn version(&self, uri: &str, cx: &CallContext) -> Result<Option<String>, CallError> {
        Ok(self.read(uri, cx).await?.map(|_| "1".to_owned()))
    }

    async fn listed(&self, _: Option<&Listed>, _: &CallContext) -> Result<Listed, CallError> {
        let always = || "1".to_owned();
        Ok(Listed {
            stamp: always(),
            seen: always(),
        })
    }
}

#[tokio::main]
async fn main() {
    let port: u16 = std::env::var("PORT")
        .unwrap_or_default()
        .parse()
        .unwrap_or(8001);
    let app = app::Application::start(None).await;
    let mut server = Server::of(&app.state).with_resources(Arc::new(Shelf));
    for tool in tools() {
        server = server.with_tool(tool);
    }
    for prompt in prompts() {
        server = server.with_prompt(prompt);
    }
    let router = praxis_api::router_with(app.state.clone(), server);
    let router = praxis_api::hardened(&app.state, router);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .unwrap();
    eprintln!("http://{}/mcp", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}
