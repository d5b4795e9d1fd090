//! Templates and their partials, rendered to messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use handlebars::{Context, Handlebars, RenderContext, Renderable};
use serde_json::{Map, Value, json};

use super::Flaw;
use super::blocks::{Block, BlockHelper};
use super::compile::{CONTEXT, INPUT, Uses, compile, wrapped};
use super::helpers::{Bounded, Inline, InlineHelper, State};
use super::messages::{Message, from_rendered};

/// What a template is rendered over.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// The inputs, by name.
    pub input: Map<String, Value>,
    /// What `@name` refers to: `state`, `auth` and whatever else the application gives.
    pub context: Map<String, Value>,
    /// The conversation so far.
    pub messages: Vec<Message>,
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderFailure(pub String);

impl std::fmt::Display for RenderFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RenderFailure {}

/// Compiled templates and partials; each may include each.
pub struct Templates {
    registry: Handlebars<'static>,
    uses: BTreeMap<String, Uses>,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new()
    }
}

impl Templates {
    /// None yet.
    pub fn new() -> Self {
        let mut registry = Handlebars::new();
        registry.register_escape_fn(handlebars::no_escape);
        let uses = BTreeMap::new();
        Self { registry, uses }
    }

    /// Adds a template, or a partial; one of the same name is replaced.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn add(&mut self, name: &str, source: &str) -> Result<(), Flaw> {
        let compiled = compile(source)?;
        let template = wrapped(compiled.template);
        self.registry.register_template(name, template);
        self.uses.insert(name.to_owned(), compiled.uses);
        Ok(())
    }

    /// Adds the partials that `name` includes, those that they include, and so on, as far as
    /// `resolve` knows them and they are not there yet.
    ///
    /// # Errors
    /// The partial that is not a template, and what is wrong with it.
    pub fn resolve(
        &mut self,
        name: &str,
        resolve: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), (String, Flaw)> {
        let mut waiting: Vec<String> = self.named_by(name);
        while let Some(partial) = waiting.pop() {
            if self.uses.contains_key(&partial) {
                continue;
            }
            if let Some(source) = resolve(&partial) {
                self.add(&partial, &source)
                    .map_err(|flaw| (partial.clone(), flaw))?;
                waiting.extend(self.named_by(&partial));
            }
        }
        Ok(())
    }

    fn named_by(&self, name: &str) -> Vec<String> {
        let uses = self.uses.get(name);
        uses.map_or_else(Vec::new, |u| u.names.iter().cloned().collect())
    }

    /// The partials that rendering `name` may include, in part or in whole: named by it, or by one of
    /// them. A template that computes a partial's name may include all that there are.
    pub fn partials_of(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![name.to_owned()];
        while let Some(current) = waiting.pop() {
            let Some(uses) = self.uses.get(&current) else {
                continue;
            };
            if uses.any {
                return self.uses.keys().filter(|k| *k != name).cloned().collect();
            }
            for partial in &uses.names {
                if found.insert(partial.clone()) {
                    waiting.push(partial.clone());
                }
            }
        }
        found
    }

    /// Partials that rendering `name` may need and that are neither here nor defined in place.
    pub fn missing(&self, name: &str) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        let mut inline = BTreeSet::new();
        for template in self.partials_of(name).into_iter().chain([name.to_owned()]) {
            if let Some(uses) = self.uses.get(&template) {
                missing.extend(uses.required.iter().cloned());
                inline.extend(uses.inline.iter().cloned());
            }
        }
        missing.retain(|partial| !self.uses.contains_key(partial) && !inline.contains(partial));
        missing
    }

    /// Whether there is a template or partial of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.uses.contains_key(name)
    }

    /// Renders `name` over `data` to messages.
    ///
    /// # Errors
    /// What the template asked for and the data do not give, or a bound that it passed.
    pub fn render(&self, name: &str, data: &Data) -> Result<Vec<Message>, RenderFailure> {
        let template = self
            .registry
            .get_template(name)
            .ok_or_else(|| RenderFailure(format!("there is no template `{name}`")))?;
        let state = Arc::new(State::default());
        let values = Context::from(json!({ INPUT: data.input, CONTEXT: data.context }));
        let mut render = RenderContext::new(None);
        for (name, kind) in Inline::ALL {
            let state = Arc::clone(&state);
            let helper = InlineHelper { kind: *kind, state };
            render.register_local_helper(name, Box::new(helper));
        }
        for (name, kind) in Block::ALL {
            let state = Arc::clone(&state);
            let helper = BlockHelper { kind: *kind, state };
            render.register_local_helper(name, Box::new(helper));
        }
        // The input is what paths begin at; the context stands beside it, not in it.
        if let Some(root) = render.block_mut() {
            root.base_path_mut().push(INPUT.to_owned());
        }
        let mut out = Bounded::new(&state);
        template
            .render(&self.registry, &values, &mut render, &mut out)
            .map_err(|error| RenderFailure(explained(&error)))?;
        Ok(from_rendered(&out.text, &state.marks(), &data.messages))
    }
}

/// The reason of an error and where in the template it is.
fn explained(error: &handlebars::RenderError) -> String {
    let reason = error.reason().to_string();
    match error.line_no {
        Some(line) => format!("line {line} of the template: {reason}"),
        None => reason,
    }
}
