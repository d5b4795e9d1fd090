//! How many tokens a conversation takes as a prompt. The plain functions take a processor for as long as tokenizing takes;
//! a server counts by [`ChatEngine::counting`].

use praxis_core::{ChatRequest, Message, ModelError, TokenCount};

use super::ChatEngine;

impl ChatEngine {
    /// What `count` gives, done on a thread for blocking work: `engine.counting(move |engine|
    /// engine.count_each(&messages))`. As many counts are done at a time as there are processors, together with the
    /// preparation of requests, and as many may wait as requests may.
    ///
    /// # Errors
    /// [`ModelError::RateLimited`] where too many wait, and what `count` fails with.
    pub async fn counting<T: Send + 'static>(
        &self,
        count: impl FnOnce(&Self) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let engine = self.clone();
        self.handle.preparing.count(move || count(&engine)).await
    }

    /// Tokens that the prompt of a request has, whatever its layout. Blocks while it is tokenized.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where no prompt can be made of it, [`ModelError::ContextLengthExceeded`] with the
    /// least tokens that it can have where its bytes alone show that it does not fit.
    pub fn count_prompt(&self, request: &ChatRequest) -> Result<usize, ModelError> {
        let (layout, messages) = (&request.layout, &request.messages);
        Ok(self.handle.model.prompt_of(layout, messages, &[])?.len())
    }

    /// Tokens that a conversation takes as a prompt, with all that the chat template adds. Blocks while it is tokenized.
    ///
    /// # Errors
    /// As [`ChatEngine::count_prompt`].
    pub fn count_tokens(&self, messages: &[Message]) -> Result<usize, ModelError> {
        Ok(self.handle.model.prompt(messages, &[])?.len())
    }

    /// The same, told apart by message. What the template puts around each message is measured on
    /// short ones; what else it adds is the frame, so that the sum is exact. A conversation of which its bytes alone show
    /// that it does not fit is estimated. Blocks while it is tokenized.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where the template refuses the messages.
    pub fn count_each(&self, messages: &[Message]) -> Result<TokenCount, ModelError> {
        let total = match self.count_tokens(messages) {
            Err(ModelError::ContextLengthExceeded { .. }) => {
                return Ok(TokenCount::estimate(messages));
            }
            counted => counted?,
        };
        let turn = [Message::user("a"), Message::assistant("a")];
        let longer = [turn[0].clone(), turn[1].clone(), turn[0].clone()];
        let two = self
            .count_tokens(&longer)?
            .saturating_sub(self.count_tokens(&turn[..1])?);
        let around = (two / 2).saturating_sub(self.text_tokens("a")?.len());
        let mut each = messages
            .iter()
            .map(|m| Ok(self.text_tokens(&m.text())?.len() + around))
            .collect::<Result<Vec<usize>, ModelError>>()?;
        // A template may leave something out, such as what a model thought in earlier turns.
        let mut over = each.iter().sum::<usize>().saturating_sub(total);
        for size in &mut each {
            let less = over.min(size.saturating_sub(1));
            *size -= less;
            over -= less;
        }
        Ok(TokenCount {
            frame: total.saturating_sub(each.iter().sum()),
            messages: each,
            exact: true,
        })
    }
}
