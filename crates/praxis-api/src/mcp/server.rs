//! What is offered to clients: tools, prompts and resources by their names. Left out: the protocol around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Function};
use praxis_function::Library;
use praxis_knowledge::Knowledge;
use praxis_store::Store;
use rmcp::model::{
    CallToolResult, GetPromptResult, JsonObject, Prompt, RequestStateCodec, Resource,
    ResourceContents, ResourceTemplate, Tool,
};
use tokio::sync::Semaphore;

use super::asking::Halt;
use super::call::Call;
use super::documents::Documents;
use super::prompt::PromptFile;
use super::tool::FunctionTool;
use crate::state::{ApiState, AppInfo};

/// The most calls that run at a time.
const CALLS: usize = 256;

/// The longest name of a tool that all clients take, and what it may be made of.
const LONGEST_NAME: usize = 64;

/// A tool.
#[async_trait]
pub trait ServerTool: Send + Sync {
    /// What clients are told of it.
    fn tool(&self) -> &Tool;

    /// Calls it.
    ///
    /// # Errors
    /// [`Halt::Asks`] where the client is asked first. What goes wrong with the call itself is a result that says so,
    /// for the model that made it.
    async fn call(&self, arguments: JsonObject, call: &Call) -> Result<CallToolResult, Halt>;
}

/// A prompt.
#[async_trait]
pub trait ServerPrompt: Send + Sync {
    /// What clients are told of it.
    fn prompt(&self) -> &Prompt;

    /// Fills it in.
    ///
    /// # Errors
    /// [`Halt::Asks`] where the client is asked first, [`Halt::Fails`] for arguments that do not fit and what else
    /// goes wrong.
    async fn get(&self, arguments: JsonObject, call: &Call) -> Result<GetPromptResult, Halt>;

    /// Values of an argument that begin with what was typed, the likeliest first.
    fn complete(&self, argument: &str, typed: &str) -> Vec<String> {
        let _ = (argument, typed);
        Vec::new()
    }
}

/// What a list was when it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Changes whenever the list may have changed; nobody is told of it.
    pub stamp: String,
    /// Changes when what the caller may see of the list has changed.
    pub seen: String,
}

/// Resources. A caller is told of nothing that it may not read.
#[async_trait]
pub trait ServerResources: Send + Sync {
    /// Those behind an entry that an earlier page ended with, up to `most`, each with what a page that ends with it is
    /// followed by; and whether there are more.
    ///
    /// # Errors
    /// Where they cannot be read.
    async fn list(
        &self,
        after: Option<&str>,
        most: usize,
        cx: &CallContext,
    ) -> Result<(Vec<(String, Resource)>, bool), CallError>;

    /// How URIs of resources are written that are not listed.
    fn templates(&self) -> Vec<ResourceTemplate>;

    /// Reads one; none where there is none of this URI for this caller.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn read(
        &self,
        uri: &str,
        cx: &CallContext,
    ) -> Result<Option<Vec<ResourceContents>>, CallError>;

    /// What changes with a resource; none where there is none of this URI for this caller.
    ///
    /// # Errors
    /// Where that cannot be told.
    async fn version(&self, uri: &str, cx: &CallContext) -> Result<Option<String>, CallError>;

    /// What changes with the list; `before` is what it was.
    ///
    /// # Errors
    /// Where that cannot be told.
    async fn listed(&self, before: Option<&Listed>, cx: &CallContext) -> Result<Listed, CallError>;

    /// Values of a variable of a template that begin with what was typed.
    fn complete(
        &self,
        template: &str,
        variable: &str,
        typed: &str,
        cx: &CallContext,
    ) -> Vec<String> {
        let _ = (template, variable, typed, cx);
        Vec::new()
    }
}

/// What is offered to clients.
pub struct Server {
    /// The application's title, and what it says of itself.
    pub(super) title: String,
    pub(super) about: String,
    pub(super) tools: BTreeMap<String, Arc<dyn ServerTool>>,
    /// Names of tools by the names of the functions that they are of.
    functions: BTreeMap<String, String>,
    pub(super) prompts: BTreeMap<String, Arc<dyn ServerPrompt>>,
    pub(super) resources: Vec<Arc<dyn ServerResources>>,
    /// Seals what clients keep between the rounds of a call.
    pub(super) codec: Option<RequestStateCodec>,
    pub(super) calls: Semaphore,
}

impl Server {
    /// What a server of the API offers.
    pub fn of(state: &ApiState) -> Self {
        Self::new(&state.app, &state.library, &state.knowledge, &state.store)
    }

    /// The functions of an application as tools, its prompt files as prompts, its documents as resources.
    pub fn new(
        app: &AppInfo,
        library: &Library,
        knowledge: &Arc<Knowledge>,
        store: &Store,
    ) -> Self {
        let mut key = [0; 32];
        let codec = getrandom::fill(&mut key).ok();
        let documents = Documents::new(Arc::clone(knowledge), store.clone());
        let mut server = Self {
            title: app.title.clone(),
            about: app.description.clone(),
            tools: BTreeMap::new(),
            functions: BTreeMap::new(),
            prompts: BTreeMap::new(),
            resources: vec![Arc::new(documents)],
            codec: codec.and_then(|()| RequestStateCodec::try_new(key).ok()),
            calls: Semaphore::new(CALLS),
        };
        for prompt in library.functions() {
            server.add_function(Arc::clone(prompt) as Arc<dyn Function>, true);
            if prompt.can_be_rendered() {
                let called = &prompt.signature().name;
                let name = unique(called, |name| server.prompts.contains_key(name));
                let offered = PromptFile::new(name.clone(), Arc::clone(prompt));
                server.prompts.insert(name, Arc::new(offered));
            }
        }
        for signature in library.built_in() {
            // A prompt takes the place of another function of its name.
            if !server.functions.contains_key(&signature.name)
                && let Ok(function) = library.function(&signature.name)
            {
                server.add_function(function, false);
            }
        }
        server
    }

    fn add_function(&mut self, function: Arc<dyn Function>, is_prompt: bool) {
        let called = function.signature().name.clone();
        let name = unique(&called, |name| self.tools.contains_key(name));
        let tool = FunctionTool::new(name.clone(), function, is_prompt);
        self.functions.insert(called, name.clone());
        self.tools.insert(name, Arc::new(tool));
    }

    /// The same with one more tool, in the place of another of its name.
    #[must_use]
    pub fn with_tool(mut self, tool: Arc<dyn ServerTool>) -> Self {
        self.tools.insert(tool.tool().name.to_string(), tool);
        self
    }

    /// The same with one more prompt, in the place of another of its name.
    #[must_use]
    pub fn with_prompt(mut self, prompt: Arc<dyn ServerPrompt>) -> Self {
        self.prompts.insert(prompt.prompt().name.clone(), prompt);
        self
    }

    /// The same with more resources.
    #[must_use]
    pub fn with_resources(mut self, resources: Arc<dyn ServerResources>) -> Self {
        self.resources.push(resources);
        self
    }

    /// The tool of a name, or of the function of that name.
    pub(super) fn tool(&self, name: &str) -> Option<&Arc<dyn ServerTool>> {
        let by_function = || self.tools.get(self.functions.get(name)?);
        self.tools.get(name).or_else(by_function)
    }
}

/// A function's name as clients and the models behind them take names: letters, digits, `_` and `-`, and no other's.
fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let plain = |c: char| {
        let fits = c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if fits { c } else { '_' }
    };
    let whole: String = name.chars().map(plain).collect();
    let whole = if whole.is_empty() {
        "_".to_owned()
    } else {
        whole
    };
    let mut found: String = whole.chars().take(LONGEST_NAME).collect();
    let mut n = 2;
    while is_taken(&found) {
        let end = format!("_{n}");
        found = whole.chars().take(LONGEST_NAME - end.len()).collect();
        found.push_str(&end);
        n += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_that_clients_take_and_differ() {
        let mut taken = BTreeSet::new();
        let long = "x".repeat(70);
        for (name, expected) in [
            ("answer", "answer"),
            ("desk/answer", "desk_answer"),
            ("desk.answer", "desk_answer_2"),
            ("desk_answer", "desk_answer_3"),
            ("größe", "gr__e"),
            ("", "_"),
            (&long, &"x".repeat(64)),
            (&long, &format!("{}_2", "x".repeat(62))),
        ] {
            let found = unique(name, |name| taken.contains(name));
            assert_eq!(found, expected);
            assert!(taken.insert(found));
        }
    }
}
