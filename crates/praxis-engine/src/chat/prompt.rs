//! Prompts: what the messages of a request are as tokens. A conversation is laid out by the model's chat template; a
//! raw text stands as it is, and gets the token that begins a text where the file says `add_bos_token`, as llama.cpp
//! has it; a gap is marked with the tokens that the model was taught to fill it by (Bavarian et al. 2022, "Efficient
//! Training of Language Models to Fill in the Middle", in the order prefix, suffix, middle). Left out: templates.

use praxis_core::chat::{Layout, raw_text};
use praxis_core::{Message, ModelError, ToolSpec};

use super::Model;

/// What stands before the prefix, before the suffix and before the middle, as families of models spell it: Qwen,
/// StarCoder and Granite, SantaCoder, DeepSeek, GLM, and Code Llama.
static GAPS: [[&str; 3]; 7] = [
    ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
    ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
    ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
    [
        "<\u{ff5c}fim\u{2581}begin\u{ff5c}>",
        "<\u{ff5c}fim\u{2581}hole\u{ff5c}>",
        "<\u{ff5c}fim\u{2581}end\u{ff5c}>",
    ],
    ["<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"],
    ["\u{2581}<PRE>", "\u{2581}<SUF>", "\u{2581}<MID>"],
    ["<PRE>", "<SUF>", "<MID>"],
];

impl Model {
    /// The prompt of messages, whatever they are to the model.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where no prompt can be made of them, [`ModelError::ContextLengthExceeded`] with the
    /// least tokens that they can have where already their bytes show that they do not fit.
    pub(super) fn prompt_of(
        &self,
        layout: &Layout,
        messages: &[Message],
        tools: &[ToolSpec],
    ) -> Result<Vec<u32>, ModelError> {
        if !(layout.is_chat() || tools.is_empty()) {
            return Err(ModelError::InvalidRequest(
                "tools: a raw text is no conversation in which tools could be called".into(),
            ));
        }
        match layout {
            Layout::Chat => self.prompt(messages, tools),
            Layout::Raw => self.raw(&raw_text(messages)),
            Layout::Infill { suffix } => self.gap(&raw_text(messages), suffix),
        }
    }

    /// The prompt of a conversation.
    ///
    /// # Errors
    /// As [`Model::prompt_of`].
    pub(super) fn prompt(
        &self,
        messages: &[Message],
        tools: &[ToolSpec],
    ) -> Result<Vec<u32>, ModelError> {
        if messages.is_empty() {
            return Err(ModelError::InvalidRequest("messages: there is none".into()));
        }
        let template = self.template.as_ref().ok_or_else(|| {
            ModelError::InvalidRequest(
                "messages: the model has no chat template (`tokenizer.chat_template`), so it is a base model: send it \
                 texts to go on with, at `/v1/completions`, or name a model that chats"
                    .into(),
            )
        })?;
        let rendered = template.render(messages, tools, &self.tokenizer)?;
        self.may_fit(self.tokenizer.least(&rendered.text, rendered.sentinel))?;
        let tokens = self
            .tokenizer
            .encode_template(&rendered.text, rendered.sentinel)
            .map_err(failed)?;
        if tokens.is_empty() {
            return Err(ModelError::InvalidRequest(
                "messages: the model's chat template makes no prompt of them".into(),
            ));
        }
        Ok(tokens)
    }

    /// The prompt of a text as it stands. Of an empty one it is the token that begins a text, also where the model
    /// does not want one before other texts.
    fn raw(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.may_fit(self.tokenizer.least(text, None))?;
        let mut tokens = self.tokenizer.encode_template(text, None).map_err(failed)?;
        if tokens.is_empty() && self.is_mark(&self.tokenizer.names().bos) {
            tokens.push(self.mark(&self.tokenizer.names().bos)?);
        }
        if tokens.is_empty() {
            return Err(ModelError::InvalidRequest(
                "prompt: it is empty, and the model has no token that begins a text; send some text".into(),
            ));
        }
        Ok(tokens)
    }

    /// The prompt of a gap between two texts.
    fn gap(&self, prefix: &str, suffix: &str) -> Result<Vec<u32>, ModelError> {
        let known = |marks: &&[&str; 3]| marks.iter().all(|mark| self.is_mark(mark));
        let Some([before, behind, middle]) = GAPS.iter().find(known) else {
            return Err(ModelError::InvalidRequest(
                "suffix: the model has no tokens that mark a gap (such as `<|fim_middle|>`), so it was not taught to \
                 fill one; leave `suffix` out, or name a model such as Qwen2.5-Coder"
                    .into(),
            ));
        };
        self.may_fit(self.tokenizer.least(prefix, None) + self.tokenizer.least(suffix, None))?;
        // The first mark brings the token that begins a text along, where the model wants one.
        let mut tokens = self
            .tokenizer
            .encode_template(before, None)
            .map_err(failed)?;
        tokens.extend(self.tokenizer.encode(prefix).map_err(failed)?);
        tokens.push(self.mark(behind)?);
        tokens.extend(self.tokenizer.encode(suffix).map_err(failed)?);
        tokens.push(self.mark(middle)?);
        Ok(tokens)
    }

    /// Refuses what cannot fit the window before it is tokenized, which would take seconds for some megabytes. `least`
    /// is the least tokens that it can have.
    fn may_fit(&self, least: usize) -> Result<(), ModelError> {
        if least < self.context {
            return Ok(());
        }
        Err(ModelError::ContextLengthExceeded {
            prompt_tokens: least,
            context_length: self.context,
        })
    }

    /// Whether a text is one of the model's control tokens.
    fn is_mark(&self, text: &str) -> bool {
        self.tokenizer.specials().has(text)
    }

    /// The token of a text for which [`Model::is_mark`] holds.
    fn mark(&self, text: &str) -> Result<u32, ModelError> {
        let tokens = self.tokenizer.encode_template(text, None);
        let last = tokens.map_err(failed)?.last().copied();
        last.ok_or_else(|| failed(format!("`{text}` has no token")))
    }
}

fn failed(error: String) -> ModelError {
    ModelError::Internal(format!("the tokenizer failed: {error}"))
}

#[cfg(test)]
mod tests;
