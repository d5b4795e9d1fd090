//! A server asks a model of ours, within the tokens that the tool's file gives it for a call. Left out: tools for the
//! model, which a server could only bring itself.

#![expect(
    deprecated,
    reason = "sampling is deprecated since revision 2026-07-28, and servers of older ones use it"
)]

use std::sync::Arc;

use praxis_core::chat::collect;
use praxis_core::{
    ChatGateway, ChatRequest, FinishReason, Message, Part, Role, Sampling as Chosen,
};
use rmcp::model::{
    CreateMessageRequestParams, CreateMessageResult, ErrorData, Role as TheirRole, SamplingMessage,
    SamplingMessageContentBlock,
};

use super::handler::Running;

/// The most messages of a question.
const MOST_MESSAGES: usize = 200;

/// A model that a server may ask.
pub(super) struct Sampling {
    pub model: String,
    /// Tokens within one call.
    pub tokens: u64,
    pub chat: Arc<dyn ChatGateway>,
}

impl Sampling {
    /// The model's answer. The call that runs pays for it.
    ///
    /// # Errors
    /// A question that cannot be asked, tokens that do not suffice, and what goes wrong with the model.
    pub(super) async fn answer(
        &self,
        params: CreateMessageRequestParams,
        running: &Running,
    ) -> Result<CreateMessageResult, ErrorData> {
        let messages = messages(&params)?;
        let counted = self.chat.count_tokens(&self.model, &messages).await;
        let counted = counted.map_err(|error| failed(&error))?;
        let read = u64::try_from(counted.total()).unwrap_or(u64::MAX);
        // One question at a time: two would both have what is left.
        let mut left = running.left.lock().await;
        let Some(room) = left.checked_sub(read).filter(|room| *room > 0) else {
            let message = format!(
                "the question has {read} tokens, and {} are left of this call's",
                *left
            );
            return Err(ErrorData::invalid_request(message, None));
        };
        let most = u64::from(params.max_tokens).min(room);
        let request = ChatRequest {
            model: self.model.clone(),
            messages,
            sampling: Chosen {
                temperature: params.temperature,
                max_tokens: Some(u32::try_from(most).unwrap_or(u32::MAX)),
                stop: params.stop_sequences.clone().unwrap_or_default(),
                ..Chosen::default()
            },
            ..ChatRequest::default()
        };
        // What is not known to be less was this much.
        *left = room.saturating_sub(most);
        let stream = self.chat.chat(request, &running.cx.quiet()).await;
        let answer = collect(stream.map_err(|error| failed(&error))?).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let used = answer.usage.input_tokens + answer.usage.output_tokens;
        *left = (room + read).saturating_sub(used.max(read));
        let reason = match answer.finish_reason {
            FinishReason::Length => CreateMessageResult::STOP_REASON_END_MAX_TOKEN,
            _ => CreateMessageResult::STOP_REASON_END_TURN,
        };
        let message = SamplingMessage::assistant_text(answer.text);
        Ok(CreateMessageResult::new(message, self.model.clone()).with_stop_reason(reason))
    }
}

fn failed(error: &praxis_core::ModelError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// A server's messages as a model reads them.
fn messages(params: &CreateMessageRequestParams) -> Result<Vec<Message>, ErrorData> {
    if params.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
        return Err(ErrorData::invalid_params(
            "no tools are given to the model here",
            None,
        ));
    }
    if params.messages.is_empty() || params.messages.len() > MOST_MESSAGES {
        let message = format!("a question has 1 to {MOST_MESSAGES} messages");
        return Err(ErrorData::invalid_params(message, None));
    }
    let mut all = Vec::with_capacity(params.messages.len() + 1);
    all.extend(params.system_prompt.as_deref().map(Message::system));
    for message in &params.messages {
        let role = match message.role {
            TheirRole::User => Role::User,
            TheirRole::Assistant => Role::Assistant,
        };
        let parts: Result<Vec<Part>, ErrorData> = message.content.iter().map(part).collect();
        all.push(Message::of_parts(role, parts?));
    }
    Ok(all)
}

fn part(block: &SamplingMessageContentBlock) -> Result<Part, ErrorData> {
    let media = |data: &str, mime_type: &str| Part::Media {
        url: format!("data:{mime_type};base64,{data}"),
        content_type: Some(mime_type.to_owned()),
        detail: None,
    };
    match block {
        SamplingMessageContentBlock::Text(text) => Ok(Part::Text(text.text.clone())),
        SamplingMessageContentBlock::Image(image) => Ok(media(&image.data, &image.mime_type)),
        SamplingMessageContentBlock::Audio(audio) => Ok(media(&audio.data, &audio.mime_type)),
        _ => Err(ErrorData::invalid_params(
            "calls of tools are not handed to the model here",
            None,
        )),
    }
}

#[cfg(test)]
mod tests;
