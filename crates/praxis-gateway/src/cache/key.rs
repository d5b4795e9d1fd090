//! What makes two requests the same: a hash over all that changes an answer, and over who may get it. Each thing is
//! written with its length or its kind before it, so that no two requests are written alike. What is taken apart here
//! is taken apart whole: a field that is added to a request does not compile until it is decided what it changes.

use praxis_core::chat::{Extras, Form, Layout, ReasoningEffort};
use praxis_core::{
    Caller, ChatRequest, Clearance, Constraint, Message, Part, Sampling, ToolCall, ToolChoice,
    ToolSpec,
};
use serde_json::Value;

use crate::asking::{ChatTarget, Runner};
use crate::config::Provider;

/// A request of a caller to a model.
pub(super) type Key = [u8; 32];

/// The model that is asked, as far as it changes answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Its name in `praxis.toml`. While a process runs that stands for all else of it: its file, its adapter, what is
    /// sent beside.
    pub name: &'a str,
    /// Who runs it.
    pub provider: &'a str,
    /// The provider's name for it.
    pub model: &'a str,
    /// Where it is.
    pub base_url: &'a str,
    /// How long it thinks where a request does not say.
    pub reasoning_effort: Option<ReasoningEffort>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(target: &'a ChatTarget) -> Self {
        let (provider, model, base_url) = match &target.runner {
            Runner::Local(_) => (Provider::LOCAL.as_str(), "", ""),
            Runner::Remote(endpoint) => (
                endpoint.dialect.facts().name,
                endpoint.model.as_str(),
                endpoint.base_url.as_str(),
            ),
        };
        Self {
            name: &target.name,
            provider,
            model,
            base_url,
            reasoning_effort: target.reasoning_effort,
        }
    }
}

/// The key of a request; `None` where nobody knows whose it is, and therefore who else may get its answer.
pub(super) fn of(asked: &Asked<'_>, request: &ChatRequest, caller: &Caller) -> Option<Key> {
    let mut writer = Writer(blake3::Hasher::new());
    writer.caller(caller)?;
    writer.asked(asked);
    writer.request(asked, request);
    Some(*writer.0.finalize().as_bytes())
}

struct Writer(blake3::Hasher);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    /// The order of its keys counts: models read it as it is written.
    fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    /// All bits: what is no number has some, too.
    fn float(&mut self, number: f32) {
        self.number(u64::from(number.to_bits()));
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    /// Whose answers it may get. The content comes from the prompt alone, but its speed tells that somebody asked: that
    /// is for those only who may read everything, and for who has the same key with the same labels.
    fn caller(&mut self, caller: &Caller) -> Option<()> {
        let Caller { name, clearance } = caller;
        match clearance {
            Clearance::Full => self.number(0),
            Clearance::Labels(labels) => {
                let name = name.as_deref().filter(|name| !name.is_empty())?;
                self.number(1);
                self.text(name);
                self.number(labels.len() as u64);
                for label in labels.iter() {
                    self.text(label);
                }
            }
        }
        Some(())
    }

    fn asked(&mut self, asked: &Asked<'_>) {
        // How long it thinks goes with the request, which may say otherwise.
        let Asked {
            name,
            provider,
            model,
            base_url,
            reasoning_effort: _,
        } = asked;
        for text in [name, provider, model, base_url] {
            self.text(text);
        }
    }

    fn request(&mut self, asked: &Asked<'_>, request: &ChatRequest) {
        let ChatRequest {
            // The model that is asked stands for it: a route may have chosen it.
            model: _,
            messages,
            layout,
            sampling,
            top_logprobs,
            constraint,
            tools,
            tool_choice,
            parallel_tool_calls,
            reasoning_effort,
            extras,
            // They change when and where it is answered, and not what.
            cache_key: _,
            priority: _,
            caller: _,
            timeout: _,
        } = request;
        self.list(messages, Self::message);
        self.layout(layout);
        self.sampling(sampling);
        self.maybe(*top_logprobs, |w, n| w.number(u64::from(n)));
        self.maybe(constraint.as_ref(), Self::constraint);
        self.list(tools, Self::tool);
        self.tool_choice(tool_choice);
        self.maybe(*parallel_tool_calls, |w, given| w.number(u64::from(given)));
        let effort = reasoning_effort.or(asked.reasoning_effort);
        self.maybe(effort, |w, effort| w.text(effort.as_str()));
        self.extras(extras);
    }

    fn extras(&mut self, extras: &Extras) {
        let Extras {
            verbosity,
            form,
            strict_tools,
            // They change when, at what price and from which cache it is answered, and not what.
            service_tier: _,
            cache_retention: _,
            cache_ttl: _,
        } = extras;
        let Form {
            name,
            description,
            strict,
        } = form;
        self.maybe(*verbosity, |w, given| w.text(given.as_str()));
        self.maybe(name.as_deref(), Self::text);
        self.maybe(description.as_deref(), Self::text);
        self.maybe(*strict, |w, given| w.number(u64::from(given)));
        self.list(strict_tools, |w, name| w.text(name));
    }

    fn message(&mut self, message: &Message) {
        let Message {
            role,
            content,
            tool_calls,
            tool_call_id,
            name,
        } = message;
        self.text(role.as_str());
        self.list(content, Self::part);
        self.list(tool_calls, Self::call);
        self.maybe(tool_call_id.as_deref(), Self::text);
        self.maybe(name.as_deref(), Self::text);
    }

    fn layout(&mut self, layout: &Layout) {
        match layout {
            Layout::Chat => self.number(0),
            Layout::Raw => self.number(1),
            Layout::Infill { suffix } => {
                self.number(2);
                self.text(suffix);
            }
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => {
                self.number(0);
                self.text(text);
            }
            Part::Media {
                url,
                content_type,
                detail,
            } => {
                self.number(1);
                self.text(url);
                self.maybe(content_type.as_deref(), Self::text);
                self.maybe(*detail, |w, detail| w.text(detail.as_str()));
            }
        }
    }

    fn call(&mut self, call: &ToolCall) {
        let ToolCall {
            id,
            name,
            arguments,
        } = call;
        for text in [id, name, arguments] {
            self.text(text);
        }
    }

    fn sampling(&mut self, sampling: &Sampling) {
        let Sampling {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
            seed,
            max_tokens,
            stop,
            logit_bias,
        } = sampling;
        for number in [
            temperature,
            top_p,
            min_p,
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
        ] {
            self.maybe(*number, Self::float);
        }
        for number in [top_k, max_tokens] {
            self.maybe(*number, |w, n| w.number(u64::from(n)));
        }
        self.maybe(*seed, Self::number);
        self.list(stop, |w, text| w.text(text));
        self.number(logit_bias.len() as u64);
        for (token, bias) in logit_bias {
            self.number(u64::from(*token));
            self.float(*bias);
        }
    }

    fn constraint(&mut self, constraint: &Constraint) {
        self.text(constraint.kind());
        match constraint {
            Constraint::JsonObject => {}
            Constraint::JsonSchema(schema) => self.json(schema),
            Constraint::Regex(text) | Constraint::Grammar(text) => self.text(text),
            Constraint::Choice(texts) => self.list(texts, |w, text| w.text(text)),
        }
    }

    fn tool(&mut self, tool: &ToolSpec) {
        let ToolSpec {
            name,
            description,
            parameters,
        } = tool;
        self.text(name);
        self.text(description);
        self.json(parameters);
    }

    fn tool_choice(&mut self, choice: &ToolChoice) {
        match choice {
            ToolChoice::Auto => self.number(0),
            ToolChoice::None => self.number(1),
            ToolChoice::Required => self.number(2),
            ToolChoice::Named(name) => {
                self.number(3);
                self.text(name);
            }
        }
    }
}
