//! An answer of a model that has tools: its text taken apart into text and calls. Left out: how calls are
//! recognized (`tools::reader`).

use std::collections::VecDeque;

use futures::StreamExt;
use praxis_core::{ChatChunk, ChatStream, FinishReason, ModelError, TokenLogprob};

use crate::tools::reader::{CallReader, Read};

type Chunk = Result<ChatChunk, ModelError>;

struct Reading {
    answer: ChatStream,
    reader: CallReader,
    ready: VecDeque<Chunk>,
    /// Of tokens whose text is held back.
    logprobs: Vec<TokenLogprob>,
}

/// The answer with its calls of the tools of these names told from its text. An answer that calls ends with
/// [`FinishReason::ToolCalls`], unless it was cut off.
pub(super) fn read(answer: ChatStream, names: Vec<String>) -> ChatStream {
    let reading = Reading {
        answer,
        reader: CallReader::new(names),
        ready: VecDeque::new(),
        logprobs: Vec::new(),
    };
    futures::stream::unfold(reading, |mut reading| async move {
        loop {
            if let Some(chunk) = reading.ready.pop_front() {
                return Some((chunk, reading));
            }
            let chunk = reading.answer.next().await?;
            reading.take(chunk);
        }
    })
    .boxed()
}

impl Reading {
    fn take(&mut self, chunk: Chunk) {
        match chunk {
            Ok(ChatChunk::Delta { text, logprobs }) => {
                self.logprobs.extend(logprobs);
                let read = self.reader.push(&text);
                self.give(read);
            }
            Ok(ChatChunk::Done {
                finish_reason,
                usage,
            }) => {
                let rest = self.reader.finish();
                self.give(rest);
                let finish_reason = match finish_reason {
                    FinishReason::Stop if self.reader.calls() > 0 => FinishReason::ToolCalls,
                    other => other,
                };
                self.ready.push_back(Ok(ChatChunk::Done {
                    finish_reason,
                    usage,
                }));
            }
            other => self.ready.push_back(other),
        }
    }

    /// Log probabilities go with the text that comes next; nobody asks for those of calls.
    fn give(&mut self, read: Vec<Read>) {
        for piece in read {
            let logprobs = std::mem::take(&mut self.logprobs);
            self.ready.push_back(Ok(match piece {
                Read::Text(text) => ChatChunk::Delta { text, logprobs },
                Read::Call(call) => ChatChunk::ToolCall(call),
            }));
        }
    }
}
