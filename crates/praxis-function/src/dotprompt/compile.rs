//! A parsed template made to do what the original does.
//!
//! In the tree that the `handlebars` crate has parsed, every path becomes a call of our own lookup
//! (paths into lists, `@` variables below blocks and in partials, and absent values are otherwise
//! errors or empty), every value that is written a call of our own writer (so that data is guarded and
//! has JavaScript's text), and every partial is wrapped in a helper that counts depth and size.

use std::collections::BTreeSet;

use handlebars::template::{
    DecoratorTemplate, HelperTemplate, Parameter, Subexpression, Template, TemplateElement,
};
use serde_json::Value;

use super::Flaw;
use super::tags::{flaw, prepare};
use super::values::guarded;

/// Helpers with a block.
pub(super) const BLOCKS: &[&str] = &["if", "unless", "each", "with", "ifEquals", "unlessEquals"];

/// Helpers that write something, or give a value.
pub(super) const INLINE: &[&str] = &[
    "role", "history", "section", "media", "json", "lookup", "log",
];

/// Inline helpers whose value is written as data is.
const VALUES: &[&str] = &["json", "lookup"];

pub(super) const GET: &str = "__get";
pub(super) const WRITE: &str = "__write";
pub(super) const SECTION: &str = "__section";
pub(super) const INVERTED: &str = "__inverted";
pub(super) const NOTHING: &str = "__nothing";
pub(super) const PARTIAL: &str = "__partial";

/// Names of the data that a template is rendered over: the input, and what `@name` refers to.
pub(super) const INPUT: &str = "input";
pub(super) const CONTEXT: &str = "context";

/// A template and what it may include.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub template: Template,
    pub uses: Uses,
}

/// Partials of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Those that it names.
    pub names: BTreeSet<String>,
    /// Those of them that it cannot do without: there is nothing to write in their place.
    pub required: BTreeSet<String>,
    /// Those that it defines within itself.
    pub inline: BTreeSet<String>,
    /// Whether it computes a name: then it may include any.
    pub any: bool,
}

/// Compiles a template.
///
/// # Errors
/// The first flaw.
pub(super) fn compile(source: &str) -> Result<Compiled, Flaw> {
    let prepared = prepare(source)?;
    let mut template = Template::compile(&prepared).map_err(|error| {
        let (line, column) = error.pos().unwrap_or((1, 1));
        Flaw {
            line,
            column,
            message: format!("not Handlebars: {}", error.reason()),
            help: "every `{{` needs its `}}`, every `{{#name}}` its `{{/name}}`".to_owned(),
        }
    })?;
    let mut rewriter = Rewriter {
        source,
        uses: Uses::default(),
        line: 1,
    };
    rewriter.template(&mut template)?;
    // Without a name the crate does not forbid that a partial includes itself, which it may as long
    // as it comes to an end.
    template.name = None;
    Ok(Compiled {
        template,
        uses: rewriter.uses,
    })
}

/// The template inside of a call of [`PARTIAL`].
pub(super) fn wrapped(template: Template) -> Template {
    let shell = format!("{{{{#{PARTIAL}}}}}x{{{{/{PARTIAL}}}}}");
    match Template::compile(&shell) {
        Ok(mut outer) => {
            if let Some(TemplateElement::HelperBlock(call)) = outer.elements.first_mut() {
                call.template = Some(template);
            }
            outer
        }
        // The shell is a constant that compiles.
        Err(_) => template,
    }
}

/// "No helper of that name", with the nearest one.
pub(super) fn unknown_helper(source: &str, at: usize, name: &str) -> Flaw {
    let known = BLOCKS.iter().chain(INLINE).copied();
    let help = match praxis_core::suggest::nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("helpers: {}", known.collect::<Vec<_>>().join(", ")),
    };
    flaw(source, at, format!("there is no helper `{name}`"), help)
}

struct Rewriter<'a> {
    source: &'a str,
    uses: Uses,
    /// Line of the outermost element at work.
    line: usize,
}

impl Rewriter<'_> {
    fn template(&mut self, template: &mut Template) -> Result<(), Flaw> {
        let lines: Vec<usize> = template.mapping.iter().map(|m| m.0).collect();
        for (i, element) in template.elements.iter_mut().enumerate() {
            self.line = lines.get(i).copied().unwrap_or(self.line);
            self.element(element)?;
        }
        Ok(())
    }

    /// A flaw at the first place from the current line on where `text` stands.
    fn flaw_at(&self, text: &str, make: impl Fn(usize) -> Flaw) -> Flaw {
        let line_start: usize = self
            .source
            .split_inclusive('\n')
            .take(self.line.saturating_sub(1))
            .map(str::len)
            .sum();
        let found = self.source[line_start..].find(text);
        make(found.map_or(line_start, |at| line_start + at))
    }

    fn helper_flaw(&self, name: &str) -> Flaw {
        self.flaw_at(name, |at| {
            if BLOCKS.contains(&name) {
                let help = format!("write `{{{{#{name} ...}}}}...{{{{/{name}}}}}`");
                flaw(self.source, at, format!("`{name}` needs a block"), help)
            } else {
                unknown_helper(self.source, at, name)
            }
        })
    }

    fn element(&mut self, element: &mut TemplateElement) -> Result<(), Flaw> {
        match element {
            TemplateElement::RawString(text) => {
                *text = guarded(std::mem::take(text));
                Ok(())
            }
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.inline(call)
            }
            TemplateElement::HelperBlock(call) => {
                self.parameters(&mut call.params, &mut call.hash)?;
                for inner in [&mut call.template, &mut call.inverse]
                    .into_iter()
                    .flatten()
                {
                    self.template(inner)?;
                }
                let name = call.name.as_name().unwrap_or_default();
                let known = [SECTION, INVERTED, "raw"].contains(&name) || BLOCKS.contains(&name);
                if known {
                    Ok(())
                } else {
                    Err(self.helper_flaw(name))
                }
            }
            TemplateElement::DecoratorBlock(block) if inline_name(block).is_some() => {
                self.uses.inline.extend(inline_name(block));
                self.wrap_inner(&mut block.template)
            }
            TemplateElement::DecoratorBlock(_) | TemplateElement::DecoratorExpression(_) => {
                Err(self.flaw_at("*", |at| {
                    let message = "the only decorator is `inline`".to_owned();
                    let help = "write `{{#*inline \"name\"}}...{{/inline}}`".to_owned();
                    flaw(self.source, at, message, help)
                }))
            }
            TemplateElement::PartialExpression(partial)
            | TemplateElement::PartialBlock(partial) => {
                match &mut partial.name {
                    Parameter::Name(name) => {
                        let bare = name.trim_matches('\'').to_owned();
                        if bare != "@partial-block" {
                            self.uses.names.insert(bare.clone());
                            if partial.template.is_none() {
                                self.uses.required.insert(bare.clone());
                            }
                        }
                        *name = bare;
                    }
                    name => {
                        self.uses.any = true;
                        self.parameter(name)?;
                    }
                }
                self.parameters(&mut partial.params, &mut partial.hash)?;
                self.wrap_inner(&mut partial.template)
            }
            _ => Ok(()),
        }
    }

    fn wrap_inner(&mut self, inner: &mut Option<Template>) -> Result<(), Flaw> {
        if let Some(mut template) = inner.take() {
            self.template(&mut template)?;
            *inner = Some(wrapped(template));
        }
        Ok(())
    }

    /// `{{path}}` or `{{helper ...}}`.
    fn inline(&mut self, call: &mut HelperTemplate) -> Result<(), Flaw> {
        self.parameters(&mut call.params, &mut call.hash)?;
        let bare = call.params.is_empty() && call.hash.is_empty();
        let name = call.name.as_name().unwrap_or_default().to_owned();
        if bare && !["history", "log", NOTHING].contains(&name.as_str()) {
            if BLOCKS.contains(&name.as_str()) || INLINE.contains(&name.as_str()) {
                return Err(self.flaw_at(&name, |at| {
                    let message = format!("the helper `{name}` needs an argument");
                    let help = format!("an input of that name is `{{{{this.{name}}}}}`");
                    flaw(self.source, at, message, help)
                }));
            }
            let mut value = call.name.clone();
            self.parameter(&mut value)?;
            call.params = vec![value];
            call.name = Parameter::Name(WRITE.to_owned());
            return Ok(());
        }
        if !bare && !INLINE.contains(&name.as_str()) {
            return Err(self.helper_flaw(&name));
        }
        if VALUES.contains(&name.as_str()) {
            let value = Subexpression::new(
                call.name.clone(),
                std::mem::take(&mut call.params),
                std::mem::take(&mut call.hash),
            );
            call.params = vec![Parameter::Subexpression(value)];
            call.name = Parameter::Name(WRITE.to_owned());
        }
        Ok(())
    }

    fn parameters(
        &mut self,
        params: &mut [Parameter],
        hash: &mut std::collections::HashMap<String, Parameter>,
    ) -> Result<(), Flaw> {
        params
            .iter_mut()
            .chain(hash.values_mut())
            .try_for_each(|p| self.parameter(p))
    }

    fn parameter(&mut self, parameter: &mut Parameter) -> Result<(), Flaw> {
        match parameter {
            Parameter::Path(_) => {
                if let Some(path) = parameter.as_name() {
                    *parameter = lookup(path);
                }
                Ok(())
            }
            Parameter::Subexpression(sub) => {
                let TemplateElement::Expression(call) = sub.element.as_mut() else {
                    return Ok(());
                };
                self.parameters(&mut call.params, &mut call.hash)?;
                let name = call.name.as_name().unwrap_or_default().to_owned();
                if call.params.is_empty() && call.hash.is_empty() {
                    *parameter = lookup(&name);
                    return Ok(());
                }
                if VALUES.contains(&name.as_str()) {
                    return Ok(());
                }
                Err(self.helper_flaw(&name))
            }
            _ => Ok(()),
        }
    }
}

/// The name that `{{#*inline "name"}}` defines.
fn inline_name(block: &DecoratorTemplate) -> Option<String> {
    match (block.name.as_name(), block.params.as_slice()) {
        (Some("inline"), [Parameter::Literal(Value::String(name))]) => Some(name.clone()),
        _ => None,
    }
}

/// A call that gives the value at a path.
fn lookup(path: &str) -> Parameter {
    let path = Parameter::Literal(Value::String(resolved(path)));
    let call = Subexpression::new(
        Parameter::Name(GET.to_owned()),
        vec![path],
        std::collections::HashMap::new(),
    );
    Parameter::Subexpression(call)
}

/// A path over our data: `@root.x` is the input's `x`, `@state.x` the context's, and the variables of
/// a loop stay what they are.
fn resolved(path: &str) -> String {
    let Some(variable) = path.strip_prefix('@') else {
        return path.to_owned();
    };
    let name_at = variable.len() - variable.trim_start_matches("../").len();
    let (name, rest) = match variable[name_at..].find(['.', '/']) {
        Some(end) => variable[name_at..].split_at(end),
        None => (&variable[name_at..], ""),
    };
    match name {
        "index" | "first" | "last" | "key" => path.to_owned(),
        "root" => format!("@root.{INPUT}{rest}"),
        _ => format!("@root.{CONTEXT}.{name}{rest}"),
    }
}
