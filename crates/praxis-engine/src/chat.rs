//! The chat engine: one thread owns a decoder and answers requests in turn.
//!
//! Left out for now: several answers at once (continuous batching), which the scheduler brings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use praxis_core::{
    ChatChunk, ChatModel, ChatRequest, ChatStream, FinishReason, Message, ModelError, TokenLogprob,
    Usage,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::decoder::{Decoder, KvCache};
use crate::error::EngineError;
use crate::gguf::Gguf;
use crate::sampler::{Sampler, log_sum_exp, top};
use crate::stream::TextStream;
use crate::template::ChatTemplate;
use crate::tokenizer::Tokenizer;

/// How a chat engine runs.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// The most tokens of one sequence, prompt and answer; the model's own limit if that is lower.
    pub context_length: usize,
    /// Requests that may wait; one more is refused as rate limited.
    pub queue: usize,
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self { context_length: 8192, queue: 64 }
    }
}

/// Tokens read between two looks at the cancellation token. Large enough for the matrix products to
/// run at full rate, small enough to stop within a few seconds.
const PREFILL_CHUNK: usize = 256;

/// Sequences whose keys and values are kept, so that a prompt that begins as an earlier one did is
/// read from where they part.
const KEPT_SEQUENCES: usize = 2;

/// A chat model on this machine. Cloning is cheap; the model is freed with the last clone.
#[derive(Clone)]
pub struct ChatEngine {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

struct Shared {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    context_length: usize,
}

struct Job {
    prompt: Vec<u32>,
    sampler: Sampler,
    stop: Vec<String>,
    max_tokens: usize,
    top_logprobs: Option<u8>,
    cancel: CancellationToken,
    reply: mpsc::Sender<Result<ChatChunk, ModelError>>,
}

impl ChatEngine {
    /// Loads a GGUF decoder (architectures llama and qwen2). Blocks until it is ready.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or holds another architecture.
    pub fn load(path: &Path, options: &ChatOptions) -> Result<Self, EngineError> {
        let gguf = Gguf::open(path)?;
        let decoder = Decoder::from_gguf(&gguf)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        let template = ChatTemplate::new(
            gguf.text("tokenizer.chat_template").ok(),
            tokenizer.bos_text(),
            tokenizer.eos_text(),
        )
        .map_err(|e| EngineError::damaged(path, format!("`tokenizer.chat_template`: {e}")))?;
        let shared = Arc::new(Shared {
            tokenizer,
            template,
            context_length: options.context_length.min(decoder.context()),
        });
        let (jobs, queue) = mpsc::channel(options.queue);
        let worker = Worker { decoder, shared: Arc::clone(&shared), kept: Vec::new() };
        std::thread::Builder::new()
            .name("praxis-chat".to_owned())
            .spawn(move || worker.run(queue))
            .map_err(|e| EngineError::read(path, e))?;
        Ok(Self { shared, jobs })
    }

    /// The most tokens of one sequence, prompt and answer.
    pub fn context_length(&self) -> usize {
        self.shared.context_length
    }

    /// Tokens of a conversation as the model reads it, its template included.
    ///
    /// # Errors
    /// What the model's template refuses.
    pub fn count_tokens(&self, messages: &[Message]) -> Result<usize, ModelError> {
        Ok(self.shared.prompt(messages)?.len())
    }
}

impl Shared {
    fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let guarded: Vec<Message> =
            messages.iter().map(|m| Message::new(m.role, self.tokenizer.guard(&m.content))).collect();
        let rendered = self.template.render(&guarded).map_err(|e| {
            ModelError::InvalidRequest(format!("the model's chat template refused the messages: {e}"))
        })?;
        Ok(self.tokenizer.encode_template(&rendered)?)
    }
}

#[async_trait]
impl ChatModel for ChatEngine {
    async fn chat(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
    ) -> Result<ChatStream, ModelError> {
        if request.messages.is_empty() {
            return Err(ModelError::InvalidRequest("`messages` is empty".into()));
        }
        if request.top_logprobs.is_some_and(|n| n > 20) {
            return Err(ModelError::InvalidRequest("`top_logprobs` is over 20".into()));
        }
        let prompt = self.shared.prompt(&request.messages)?;
        if prompt.len() >= self.shared.context_length {
            return Err(ModelError::ContextLengthExceeded {
                prompt_tokens: prompt.len(),
                context_length: self.shared.context_length,
            });
        }
        let room = self.shared.context_length - prompt.len();
        let max_tokens = request.sampling.max_tokens.map_or(room, |n| room.min(n as usize));
        let (reply, mut chunks) = mpsc::channel(32);
        let cancel = cancel.child_token();
        let job = Job {
            sampler: Sampler::new(&request.sampling, &prompt)?,
            prompt,
            stop: request.sampling.stop,
            max_tokens,
            top_logprobs: request.top_logprobs,
            cancel: cancel.clone(),
            reply,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ModelError::RateLimited {
                message: "the local model's queue is full".into(),
                retry_after: Some(Duration::from_secs(5)),
            },
            mpsc::error::TrySendError::Closed(_) => {
                ModelError::Internal("the local model's thread has ended".into())
            }
        })?;
        let guard = cancel.drop_guard();
        Ok(Box::pin(futures::stream::poll_fn(move |cx| {
            // The guard lives in the stream: dropping the stream cancels the answer.
            let _ = &guard;
            chunks.poll_recv(cx)
        })))
    }
}

struct Worker {
    decoder: Decoder,
    shared: Arc<Shared>,
    /// Most recently used last.
    kept: Vec<(Vec<u32>, KvCache)>,
}

impl Worker {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(mut job) = queue.blocking_recv() {
            // An answer that nobody waits for is not begun.
            if job.cancel.is_cancelled() || job.reply.is_closed() {
                continue;
            }
            if let Err(error) = self.answer(&mut job) {
                let _ = job.reply.blocking_send(Err(error));
            }
        }
    }

    /// Takes the kept sequence that shares the longest beginning with `prompt`, cut to that
    /// beginning; at least one token is left to be read.
    fn start(&mut self, prompt: &[u32]) -> (Vec<u32>, KvCache) {
        let shared = |tokens: &[u32]| {
            let same = tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
            same.min(prompt.len() - 1)
        };
        let best = (0..self.kept.len()).max_by_key(|i| shared(&self.kept[*i].0));
        if let Some(best) = best
            && shared(&self.kept[best].0) > 0
        {
            let (mut tokens, mut cache) = self.kept.remove(best);
            let length = shared(&tokens).min(cache.len());
            tokens.truncate(length);
            self.decoder.truncate(&mut cache, length);
            return (tokens, cache);
        }
        (Vec::new(), self.decoder.new_cache())
    }

    fn keep(&mut self, tokens: Vec<u32>, cache: KvCache) {
        self.kept.push((tokens, cache));
        if self.kept.len() > KEPT_SEQUENCES {
            self.kept.remove(0);
        }
    }

    fn answer(&mut self, job: &mut Job) -> Result<(), ModelError> {
        let (mut tokens, mut cache) = self.start(&job.prompt);
        let outcome = self.generate(job, &mut tokens, &mut cache);
        // Whatever came of it, what has been read stays useful.
        tokens.truncate(cache.len());
        self.keep(tokens, cache);
        outcome
    }

    fn generate(
        &self,
        job: &mut Job,
        tokens: &mut Vec<u32>,
        cache: &mut KvCache,
    ) -> Result<(), ModelError> {
        let mut usage = Usage {
            input_tokens: job.prompt.len() as u64,
            cached_tokens: tokens.len() as u64,
            output_tokens: 0,
        };
        let Some(mut logits) = self.prefill(job, tokens, cache)? else {
            return Err(ModelError::Cancelled);
        };
        let mut stream = TextStream::new(std::mem::take(&mut job.stop));
        let mut logprobs = Vec::new();
        let finish_reason = loop {
            if job.cancel.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let plain = job.top_logprobs.map(|n| (n, logits.clone()));
            let token = job.sampler.next(&mut logits);
            usage.output_tokens += 1;
            if self.shared.tokenizer.is_end(token) {
                break FinishReason::Stop;
            }
            if let Some((n, plain)) = plain {
                logprobs.push(self.logprob(token, &plain, n));
            }
            let released = stream.push(self.shared.tokenizer.bytes(token));
            if !send(job, released.text, &mut logprobs) {
                return Err(ModelError::Cancelled);
            }
            if released.stopped {
                break FinishReason::Stop;
            }
            if usage.output_tokens as usize >= job.max_tokens {
                break FinishReason::Length;
            }
            tokens.push(token);
            logits = self.decoder.forward(&[token], cache, true)?.unwrap_or_default();
        };
        let rest = stream.finish();
        send(job, rest.text, &mut logprobs);
        let _ = job.reply.blocking_send(Ok(ChatChunk::Done { finish_reason, usage }));
        Ok(())
    }

    /// Reads the rest of the prompt; `None` if the caller went away meanwhile.
    fn prefill(
        &self,
        job: &Job,
        tokens: &mut Vec<u32>,
        cache: &mut KvCache,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        let mut logits = None;
        while tokens.len() < job.prompt.len() {
            if job.cancel.is_cancelled() || job.reply.is_closed() {
                return Ok(None);
            }
            let end = (tokens.len() + PREFILL_CHUNK).min(job.prompt.len());
            let chunk = &job.prompt[tokens.len()..end];
            logits = self.decoder.forward(chunk, cache, end == job.prompt.len())?;
            tokens.extend_from_slice(chunk);
        }
        Ok(logits)
    }

    fn logprob(&self, token: u32, logits: &[f32], alternatives: u8) -> TokenLogprob {
        let norm = log_sum_exp(logits);
        let entry = |token: u32, logit: f32| {
            let bytes = self.shared.tokenizer.bytes(token).to_vec();
            TokenLogprob {
                token: String::from_utf8_lossy(&bytes).into_owned(),
                logprob: logit - norm,
                bytes: Some(bytes),
                top_logprobs: Vec::new(),
            }
        };
        let mut chosen = entry(token, logits.get(token as usize).copied().unwrap_or(f32::MIN));
        if alternatives > 0 {
            chosen.top_logprobs =
                top(logits, alternatives as usize).into_iter().map(|(t, l)| entry(t, l)).collect();
        }
        chosen
    }
}

/// Sends text, if there is any; `false` if nobody listens.
fn send(job: &Job, text: String, logprobs: &mut Vec<TokenLogprob>) -> bool {
    if text.is_empty() && logprobs.is_empty() {
        return !job.reply.is_closed();
    }
    let chunk = ChatChunk::Delta { text, logprobs: std::mem::take(logprobs) };
    job.reply.blocking_send(Ok(chunk)).is_ok()
}
