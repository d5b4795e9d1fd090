//! Functions of what a server offers: one for each tool, one that reads resources, one that has prompts filled in.
//! Left out: the connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effect, Effects, Problem, Signature, json_schema};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, GetPromptRequestParams, Prompt,
    ReadResourceRequestParams, ServerResult, Tool as TheirTool, ToolAnnotations,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clean;
use super::config::{Config, Wanted};
use super::failure;
use super::list::Offer;
use super::result;
use super::server::{Ask, Server};
use crate::text::{hides, plain, said};
use crate::toolbox::Tool;
use crate::work::{Work, invalid, read, tool};

/// The most bytes of a description, and of one thing that it lists.
const LONGEST: usize = 4096;
const LONGEST_LINE: usize = 300;

/// What a function may do as long as the file does not say that the server's word counts.
const UNKNOWN: Effects = Effects::of(&[Effect::Write, Effect::External]);

/// What reading does.
const READS: Effects = Effects::of(&[Effect::Read, Effect::External]);

/// Names of the functions of what a server offers, in the order of the functions.
pub(super) fn names(name: &str, config: &Config, offer: &Offer) -> Vec<String> {
    let wanted = Wanted::new(&config.tools).ok();
    let has = |tool: &&TheirTool| wanted.as_ref().is_none_or(|wanted| wanted.has(&tool.name));
    let mut names: Vec<String> = Vec::new();
    for tool in offer.tools.iter().filter(has) {
        let whole = clean::name(&tool.name).map(|tool| format!("{name}/{tool}"));
        names.extend(whole.filter(|whole| !names.contains(whole)));
    }
    for (last, there) in [
        ("resource", has_resources(config, offer)),
        ("prompt", has_prompts(config, offer)),
    ] {
        let whole = format!("{name}/{last}");
        if there && !names.contains(&whole) {
            names.push(whole);
        }
    }
    names
}

fn has_resources(config: &Config, offer: &Offer) -> bool {
    config.resources && !(offer.resources.is_empty() && offer.templates.is_empty())
}

fn has_prompts(config: &Config, offer: &Offer) -> bool {
    config.prompts && !offer.prompts.is_empty()
}

/// The functions of what a server offers, and what is left out.
///
/// # Errors
/// A glob that is none.
pub(super) fn functions(
    server: &Arc<Server>,
    offer: &Offer,
) -> Result<(Vec<Tool>, Vec<Problem>), Problem> {
    let config = &server.config;
    let wanted = Wanted::new(&config.tools)?;
    let (mut tools, mut warnings) = (Vec::new(), Vec::new());
    let mut push = |made: Result<Tool, Problem>| match made {
        Ok(made) => tools.push(made),
        Err(problem) => warnings.push(problem),
    };
    let mut names: Vec<String> = Vec::new();
    for theirs in offer.tools.iter().filter(|tool| wanted.has(&tool.name)) {
        match clean::name(&theirs.name) {
            None => push(Err(left_out(theirs, "is no name of a tool"))),
            Some(name) if names.contains(&name) => {
                push(Err(left_out(theirs, "is called like another tool here")));
            }
            Some(name) => {
                push(of_tool(server, theirs, &name));
                names.push(name);
            }
        }
    }
    let is_taken = |last: &str| names.iter().any(|name| name == last);
    if has_resources(config, offer) {
        push(match is_taken("resource") {
            true => Err(taken(&server.name, "resource", "resources")),
            false => outside(Resources::new(server, offer)),
        });
    }
    if has_prompts(config, offer) {
        push(match is_taken("prompt") {
            true => Err(taken(&server.name, "prompt", "prompts")),
            false => outside(Prompts::new(server, offer)),
        });
    }
    if offer.cut {
        warnings.push(Problem {
            path: "tools".to_owned(),
            message: format!("the MCP server `{}` offers more than is taken", server.name),
            help: Some("take what is needed: `tools = [\"read_*\"]`".to_owned()),
        });
    }
    Ok((tools, warnings))
}

/// What a server gives comes from where nobody here looked.
fn outside(work: impl Work + 'static) -> Result<Tool, Problem> {
    Ok(Tool {
        function: tool(work)?,
        outside: true,
    })
}

fn taken(name: &str, last: &str, what: &str) -> Problem {
    Problem {
        path: what.to_owned(),
        message: format!("`{name}/{last}` is a tool of the server, so its {what} are not there"),
        help: Some(format!(
            "write `{what} = false`, or `\"!{last}\"` in `tools`"
        )),
    }
}

/// Why a tool is not there.
fn left_out(theirs: &TheirTool, why: &str) -> Problem {
    let name = failure::cut(&theirs.name.escape_debug().to_string());
    Problem {
        path: "tools".to_owned(),
        message: format!("`{name}` {why}, so it is left out"),
        help: Some("mend the server, or leave the tool out with `!NAME` in `tools`".to_owned()),
    }
}

/// The function of a tool, which is called `called` here.
fn of_tool(server: &Arc<Server>, theirs: &TheirTool, called: &str) -> Result<Tool, Problem> {
    let input_schema =
        clean::schema(Value::Object(Map::clone(&theirs.input_schema))).map_err(|why| {
            left_out(
                theirs,
                &format!("has an input schema that is not taken: {why}"),
            )
        })?;
    let output = match &theirs.output_schema {
        None => None,
        Some(schema) => {
            let checked = clean::schema(Value::Object(Map::clone(schema))).and_then(|schema| {
                json_schema::ends(&schema)?;
                let validator =
                    jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
                Ok((schema, validator))
            });
            Some(checked.map_err(|why| {
                left_out(
                    theirs,
                    &format!("has an output schema that is not taken: {why}"),
                )
            })?)
        }
    };
    let (output_schema, validator) = match output {
        Some((schema, validator)) => (schema, Some(validator)),
        None => (result::schema(server.config.media), None),
    };
    outside(OneTool {
        tool: theirs.name.to_string(),
        signature: Signature {
            name: format!("{}/{called}", server.name),
            description: description(&server.name, theirs),
            input_schema,
            output_schema,
            effects: effects(server.config.trust_hints, theirs.annotations.as_ref()),
        },
        output: validator,
        server: Arc::clone(server),
    })
}

fn description(server: &str, theirs: &TheirTool) -> String {
    let given = theirs.description.as_deref().unwrap_or_default();
    let given = clean::description(given, LONGEST);
    let title = plain(theirs.title.as_deref().unwrap_or_default(), LONGEST_LINE);
    match (title.as_str(), given.as_str()) {
        ("", "") => format!("The tool `{}` of the MCP server `{server}`.", theirs.name),
        (title, "") => within(title, LONGEST),
        (_, given) => within(given, LONGEST),
    }
}

/// What a tool does, by its hints. They may say that it does more than is thought; that it does less counts only where
/// the file trusts them.
fn effects(trusted: bool, hints: Option<&ToolAnnotations>) -> Effects {
    let Some(hints) = hints else {
        return UNKNOWN;
    };
    let reads = hints.read_only_hint == Some(true);
    if !trusted {
        let destroys = !reads && hints.destructive_hint == Some(true);
        return match destroys {
            true => UNKNOWN.union(Effects::of(&[Effect::Irreversible])),
            false => UNKNOWN,
        };
    }
    let mut effects = match (reads, hints.destructive_hint) {
        (true, _) => Effects::READ,
        (false, Some(false)) => Effects::of(&[Effect::Write]),
        (false, _) => Effects::of(&[Effect::Write, Effect::Irreversible]),
    };
    if hints.open_world_hint != Some(false) {
        effects = effects.union(Effects::of(&[Effect::External]));
    }
    effects
}

/// A tool of a server.
struct OneTool {
    server: Arc<Server>,
    tool: String,
    signature: Signature,
    /// Of the output that it declares.
    output: Option<jsonschema::Validator>,
}

#[async_trait]
impl Work for OneTool {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let Value::Object(arguments) = input else {
            return Err(invalid(name, "it is no JSON object"));
        };
        let params = CallToolRequestParams::new(self.tool.clone()).with_arguments(arguments);
        let given = match self.server.ask(Ask::Tool(params), cx).await? {
            ServerResult::CallToolResult(given) => given,
            ServerResult::EmptyResult(_) => CallToolResult::success(Vec::new()),
            _ => return Err(strange(&self.server.name)),
        };
        let media = self.server.config.media;
        let output = result::of_tool(name, given, self.output.is_some(), media)?;
        if let Some(validator) = &self.output
            && let Some(mistake) = validator.iter_errors(&output).next()
        {
            let at = mistake.instance_path().to_string();
            let what = said(&format!("at `{at}`: {mistake}"));
            let what = format!("gave an output of `{name}` that is not as declared; {what}");
            return Err(failure::upstream(&self.server.name, &what));
        }
        Ok(output)
    }
}

fn strange(server: &str) -> CallError {
    failure::upstream(server, "answers something else than it was asked")
}

/// Reads resources of a server.
struct Resources {
    server: Arc<Server>,
    signature: Signature,
}

impl Resources {
    fn new(server: &Arc<Server>, offer: &Offer) -> Self {
        let mut text = format!(
            "Reads a resource of the MCP server `{}` by its URI.",
            server.name
        );
        let resources = offer.resources.iter().map(|resource| {
            let title = resource.title.as_ref().unwrap_or(&resource.name);
            line(&resource.uri, title, resource.description.as_deref())
        });
        listed(&mut text, "Resources", resources);
        let templates = offer.templates.iter().map(|template| {
            let title = template.title.as_ref().unwrap_or(&template.name);
            line(
                &template.uri_template,
                title,
                template.description.as_deref(),
            )
        });
        listed(
            &mut text,
            "Further URIs are written so (RFC 6570)",
            templates,
        );
        Self {
            signature: Signature {
                name: format!("{}/resource", server.name),
                description: text,
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "uri": { "type": "string", "minLength": 1, "maxLength": 8192 },
                    },
                    "required": ["uri"],
                    "additionalProperties": false,
                }),
                output_schema: result::schema(server.config.media),
                effects: READS,
            },
            server: Arc::clone(server),
        }
    }
}

#[async_trait]
impl Work for Resources {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        #[derive(Deserialize)]
        struct Input {
            uri: String,
        }
        let Input { uri } = read(&self.signature.name, input)?;
        let ask = Ask::Resource(ReadResourceRequestParams::new(uri));
        match self.server.ask(ask, cx).await? {
            ServerResult::ReadResourceResult(given) => {
                result::of_resource(given, self.server.config.media)
            }
            _ => Err(strange(&self.server.name)),
        }
    }
}

/// Has prompts of a server filled in.
struct Prompts {
    server: Arc<Server>,
    signature: Signature,
}

impl Prompts {
    fn new(server: &Arc<Server>, offer: &Offer) -> Self {
        let mut text = format!("Fills in a prompt of the MCP server `{}`.", server.name);
        listed(&mut text, "Prompts", offer.prompts.iter().map(prompt_line));
        let names: Vec<&str> = offer
            .prompts
            .iter()
            .map(|prompt| prompt.name.as_str())
            .filter(|name| !hides(name))
            .collect();
        Self {
            signature: Signature {
                name: format!("{}/prompt", server.name),
                description: text,
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "name": { "type": "string", "enum": names },
                        "arguments": {
                            "type": "object",
                            "additionalProperties": { "type": "string" },
                        },
                    },
                    "required": ["name"],
                    "additionalProperties": false,
                }),
                output_schema: result::prompt_schema(server.config.media),
                effects: READS,
            },
            server: Arc::clone(server),
        }
    }
}

#[async_trait]
impl Work for Prompts {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        #[derive(Deserialize)]
        struct Input {
            name: String,
            #[serde(default)]
            arguments: BTreeMap<String, String>,
        }
        let input: Input = read(&self.signature.name, input)?;
        let mut params = GetPromptRequestParams::new(input.name);
        if !input.arguments.is_empty() {
            let texts = input.arguments.into_iter();
            let arguments = texts.map(|(name, text)| (name, Value::String(text)));
            params = params.with_arguments(arguments.collect());
        }
        match self.server.ask(Ask::Prompt(params), cx).await? {
            ServerResult::GetPromptResult(given) => {
                result::of_prompt(given, self.server.config.media)
            }
            _ => Err(strange(&self.server.name)),
        }
    }
}

fn prompt_line(prompt: &Prompt) -> String {
    let arguments = prompt.arguments.iter().flatten().map(|argument| {
        let mark = if argument.required == Some(true) {
            ""
        } else {
            "?"
        };
        format!("{}{mark}", argument.name)
    });
    let arguments: Vec<String> = arguments.collect();
    let called = format!("{}({})", prompt.name, arguments.join(", "));
    let title = prompt.title.as_deref().unwrap_or(&prompt.name);
    line(&called, title, prompt.description.as_deref())
}

fn line(what: &str, title: &str, description: Option<&str>) -> String {
    let line = format!("- {what}: {}", description.unwrap_or(title));
    within(&plain(&line, LONGEST_LINE), LONGEST_LINE)
}

/// Adds a list to a description, as far as there is room.
fn listed(text: &mut String, head: &str, lines: impl Iterator<Item = String>) {
    let mut begun = false;
    for line in lines {
        if text.len() + head.len() + line.len() + 16 > LONGEST {
            text.push_str("\n- and more");
            return;
        }
        if !begun {
            text.push_str(&format!("\n{head}:"));
            begun = true;
        }
        text.push('\n');
        text.push_str(&line);
    }
}

/// A text of at most so many bytes.
fn within(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
