//! Helpers with blocks, as the original has them: what is true, how loops name their variables, what a
//! section does with its value.
//!
//! The crate's own differ: an empty object is false to them, 0 ends a `with`, variables of an outer loop
//! are lost in an inner one.

use std::sync::Arc;

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, Output,
    PathAndJson, RenderContext, Renderable, Template,
};
use serde_json::Value;

use super::compile::{INVERTED, PARTIAL, SECTION};
use super::helpers::{Bounded, State, failed};
use super::values::{is_empty, strictly_equal, truthy};

/// A helper with a block.
#[derive(Clone, Copy)]
pub(super) enum Block {
    If { wanted: bool },
    Equals { wanted: bool },
    Each,
    With,
    Section,
    Inverted,
    Partial,
}

impl Block {
    pub(super) const ALL: &'static [(&'static str, Block)] = &[
        ("if", Block::If { wanted: true }),
        ("unless", Block::If { wanted: false }),
        ("ifEquals", Block::Equals { wanted: true }),
        ("unlessEquals", Block::Equals { wanted: false }),
        ("each", Block::Each),
        ("with", Block::With),
        (SECTION, Block::Section),
        (INVERTED, Block::Inverted),
        (PARTIAL, Block::Partial),
    ];
}

/// A block helper in one rendering.
pub(super) struct BlockHelper {
    pub(super) kind: Block,
    pub(super) state: Arc<State>,
}

impl HelperDef for BlockHelper {
    fn call<'reg: 'rc, 'rc>(
        &self,
        h: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let mut walk = Walk {
            h,
            registry,
            context,
            render,
            out,
            state: &self.state,
        };
        self.state.deeper(|| match self.kind {
            Block::If { wanted } => {
                let include_zero = h
                    .hash_get("includeZero")
                    .is_some_and(|v| truthy(v.value(), false));
                let value = walk.value("if")?.value();
                walk.choose(truthy(value, include_zero) == wanted)
            }
            Block::Equals { wanted } => {
                let equal = strictly_equal(h.param(0), h.param(1));
                walk.choose(equal == wanted)
            }
            Block::Each => {
                let value = walk.value("each")?;
                walk.each(value)
            }
            Block::With => {
                let value = walk.value("with")?;
                if is_empty(value.value()) {
                    walk.choose(false)
                } else {
                    walk.inside(value)
                }
            }
            Block::Section => {
                let value = walk.value("section")?;
                match value.value() {
                    Value::Bool(true) => walk.choose(true),
                    Value::Bool(false) | Value::Null => walk.choose(false),
                    Value::Array(_) => walk.each(value),
                    _ => walk.inside(value),
                }
            }
            Block::Inverted => {
                let value = walk.value("section")?.value();
                walk.choose(is_empty(value))
            }
            Block::Partial => {
                // Held back, so that what is written within counts each time it is repeated.
                let mut text = Bounded::new(&self.state);
                if let Some(template) = h.template() {
                    template.render(registry, context, walk.render, &mut text)?;
                }
                Ok(walk.out.write(&text.text)?)
            }
        })
    }
}

/// One call of a block helper.
struct Walk<'a, 'reg: 'rc, 'rc> {
    h: &'a Helper<'rc>,
    registry: &'reg Handlebars<'reg>,
    context: &'rc Context,
    render: &'a mut RenderContext<'reg, 'rc>,
    out: &'a mut dyn Output,
    state: &'a State,
}

impl<'a, 'reg: 'rc, 'rc> Walk<'a, 'reg, 'rc> {
    fn value(&self, name: &str) -> Result<&'a PathAndJson<'rc>, handlebars::RenderError> {
        self.h
            .param(0)
            .ok_or_else(|| failed(format!("`{{{{#{name}}}}}` needs a value")))
    }

    fn write(&mut self, template: Option<&'rc Template>) -> HelperResult {
        match template {
            Some(t) => t.render(self.registry, self.context, self.render, self.out),
            None => Ok(()),
        }
    }

    /// The block, or what stands after its `else`.
    fn choose(&mut self, first: bool) -> HelperResult {
        self.write(if first {
            self.h.template()
        } else {
            self.h.inverse()
        })
    }

    /// A scope in which the variables of the loops around are still known.
    fn scope(&self) -> BlockContext<'rc> {
        let mut block = BlockContext::new();
        if let Some(parent) = self.render.block() {
            block
                .local_variables_mut()
                .clone_from(parent.local_variables());
        }
        block
    }

    /// The block with `value` as `this`.
    fn inside(&mut self, value: &PathAndJson<'rc>) -> HelperResult {
        let mut block = self.scope();
        let path = value.context_path();
        match path {
            Some(path) => block.base_path_mut().clone_from(path),
            None => block.set_base_value(value.value().clone()),
        }
        if let Some(name) = self.h.block_param() {
            let mut params = BlockParams::new();
            if path.is_some() {
                params.add_path(name, Vec::new())?;
            } else {
                params.add_value(name, value.value().clone())?;
            }
            block.set_block_params(params);
        }
        self.render.push_block(block);
        let result = self.choose(true);
        self.render.pop_block();
        result
    }

    /// The block for each element or entry.
    fn each(&mut self, value: &PathAndJson<'rc>) -> HelperResult {
        let path = value.context_path();
        match value.value() {
            Value::Array(all) if !all.is_empty() => {
                for (i, element) in all.iter().enumerate() {
                    let key = Value::from(i);
                    self.round(path, key, &i.to_string(), element, (i, all.len()))?;
                }
                Ok(())
            }
            Value::Object(map) if !map.is_empty() => {
                for (i, (key, element)) in map.iter().enumerate() {
                    self.round(
                        path,
                        Value::from(key.as_str()),
                        key,
                        element,
                        (i, map.len()),
                    )?;
                }
                Ok(())
            }
            _ => self.choose(false),
        }
    }

    fn round(
        &mut self,
        path: Option<&Vec<String>>,
        key: Value,
        step: &str,
        element: &Value,
        (index, count): (usize, usize),
    ) -> HelperResult {
        self.state.step()?;
        let mut block = self.scope();
        block.set_local_var("first", Value::from(index == 0));
        block.set_local_var("last", Value::from(index + 1 == count));
        block.set_local_var("index", Value::from(index));
        block.set_local_var("key", key.clone());
        match path {
            Some(path) => {
                let base = block.base_path_mut();
                base.clone_from(path);
                base.push(step.to_owned());
            }
            None => block.set_base_value(element.clone()),
        }
        let (name, key_name) = match self.h.block_param_pair() {
            Some((name, key_name)) => (Some(name), Some(key_name)),
            None => (self.h.block_param(), None),
        };
        let mut params = BlockParams::new();
        if let Some(name) = name {
            if path.is_some() {
                params.add_path(name, Vec::new())?;
            } else {
                params.add_value(name, element.clone())?;
            }
        }
        if let Some(key_name) = key_name {
            params.add_value(key_name, key)?;
        }
        block.set_block_params(params);
        self.render.push_block(block);
        let result = self.choose(true);
        self.render.pop_block();
        result
    }
}
