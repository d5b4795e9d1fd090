//! A chat model in this process: [`ChatEngine`]. One thread owns the model and answers several
//! requests together, begun in the order of the queue; handles are cheap to clone. A request is
//! checked, rendered and tokenized and its constraint compiled before it is queued, so that its
//! mistakes are errors of [`ChatModel::chat`] itself.

#[cfg(any(test, feature = "cuda"))]
mod alone;
mod answer;
mod cgroup;
mod count;
mod lookup;
mod memory;
mod planning;
mod prefixes;
mod prepare;
mod prompt;
mod queue;
mod running;
mod tool_calls;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::{ChatChunk, ChatModel, ChatRequest, ChatStream, Constraint, Message, ModelError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::constraint::walk::{Walk, begins, walk};
use crate::constraint::{self, Constraints};
use crate::cpu;
use crate::decoder::{Adapter, BLOCK, BlockPool, Decoder};
use crate::error::EngineError;
use crate::gguf::Gguf;
use crate::sampler::{Sampler, validate};
use crate::template::{ChatTemplate, Today};
use crate::tokenizer::TextTokenizer;
use crate::tools::Tools;
pub use memory::ChatMemory;
use memory::Plan;
use prepare::{Deadline, Preparing, within};
use queue::{Job, Queue};
use worker::Worker;

/// Where a chat model computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// On the processor.
    #[default]
    Cpu,
    /// On an NVIDIA GPU: the first that this process sees. Only with the feature `cuda`.
    Cuda,
}

impl Device {
    /// Whether this build can compute there; whether the machine can, shows when a model is loaded.
    ///
    /// # Errors
    /// [`EngineError::Gpu`], with the way out.
    pub fn is_built(self) -> Result<(), EngineError> {
        if self == Self::Cpu || cfg!(feature = "cuda") {
            return Ok(());
        }
        Err(EngineError::Gpu(
            "this program is built without CUDA; build it with `--features cuda`, or set \
             `device = \"cpu\"`"
                .into(),
        ))
    }
}

/// How a chat model is run.
#[derive(Debug, Clone, Copy)]
pub struct ChatOptions {
    /// Where it computes. On a GPU, requests are answered one after the other, without adapters, and
    /// `threads`, `parallel`, `cache_tokens` and `prompt_lookup` mean nothing.
    pub device: Device,
    /// Tokens of prompt and answer together; `None`: what the model was trained for, at most 8192.
    pub context_length: Option<usize>,
    /// Threads that compute; `None`: all processors that this process may use.
    pub threads: Option<usize>,
    /// Requests that may wait; more are refused with [`ModelError::RateLimited`].
    pub queue: usize,
    /// Requests that are answered at a time; others wait.
    pub parallel: usize,
    /// Tokens whose keys and values are in memory, of requests that are being answered and of past
    /// ones, kept for those with the same beginning; `None`: twice `context_length`. One sequence of
    /// `context_length` always fits.
    pub cache_tokens: Option<usize>,
    /// Whether tokens that an answer may copy from its prompt are guessed and checked together, while
    /// one or two answers are in progress. It changes how soon answers come, not what they are.
    pub prompt_lookup: bool,
    /// Whether tokens that a constraint leaves no choice about are read together rather than generated
    /// one by one. It changes how soon answers come, not what they are.
    pub jump_forward: bool,
    /// The current date for templates that print it, formatted as `strftime` does; `None` for a
    /// format that is invalid.
    pub today: fn(&str) -> Option<String>,
}

impl ChatOptions {
    /// The context window that is asked for; a model may be made for a smaller one.
    fn window(&self) -> usize {
        self.context_length.unwrap_or(DEFAULT_CONTEXT)
    }
}

impl Default for ChatOptions {
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            context_length: None,
            threads: None,
            queue: 64,
            parallel: 16,
            cache_tokens: None,
            prompt_lookup: true,
            jump_forward: true,
            today: local_date,
        }
    }
}

/// The context window that is given where none is asked for: keys and values of long windows take
/// memory that a small machine may not have.
pub const DEFAULT_CONTEXT: usize = 8192;

fn local_date(format: &str) -> Option<String> {
    jiff::fmt::strtime::format(format, &jiff::Zoned::now()).ok()
}

/// What all threads share of a model, wherever it computes.
struct Model {
    tokenizer: Arc<TextTokenizer>,
    constraints: Constraints,
    /// None of a base model, which goes on with texts alone.
    template: Option<ChatTemplate>,
    context: usize,
}

impl Model {
    /// The parts of a file that are not its decoder, for answers of at most `context` tokens.
    fn open(
        file: &Gguf,
        vocabulary: usize,
        context: usize,
        options: &ChatOptions,
    ) -> Result<Self, EngineError> {
        let tokenizer = TextTokenizer::open(file)?;
        if tokenizer.len() > vocabulary {
            return Err(file.damaged(format!(
                "the tokenizer has {} tokens, the tensor `token_embd.weight` {vocabulary} rows",
                tokenizer.len()
            )));
        }
        let key = "tokenizer.chat_template";
        let today: Today = options.today;
        let template = file
            .optional_text(key)?
            .map(|source| {
                ChatTemplate::compile(source, tokenizer.names().clone(), today)
                    .map_err(|e| file.damaged(format!("`{key}`: {e}")))
            })
            .transpose()?;
        let tokenizer = Arc::new(tokenizer);
        Ok(Self {
            constraints: Constraints::new(Arc::clone(&tokenizer), options.parallel),
            tokenizer,
            template,
            context,
        })
    }
}

/// A chat model loaded from a GGUF file. Cloning it gives another handle of the same model; the
/// model is freed when the last handle is dropped and the last answer has ended.
///
/// A handle may have an adapter ([`ChatEngine::with_adapter`]): requests of all handles are answered
/// together, each with its handle's adapter.
#[derive(Clone)]
pub struct ChatEngine {
    handle: Arc<Handle>,
    adapter: Option<Arc<Adapter>>,
}

struct Handle {
    model: Arc<Model>,
    /// `None` where the model is on a GPU.
    decoder: Option<Arc<Decoder>>,
    queue: Arc<Queue>,
    /// Where requests are tokenized and their constraints compiled.
    preparing: Preparing,
    memory: ChatMemory,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for ChatEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatEngine")
            .field("context_length", &self.context_length())
            .field("adapter", &self.adapter)
            .finish()
    }
}

impl ChatEngine {
    /// Loads a model. Blocks for as long as that takes (well under a second for a file that the
    /// system has cached).
    ///
    /// # Errors
    /// [`EngineError`], naming the file and what is wrong with it.
    pub fn load(path: &Path, options: ChatOptions) -> Result<Self, EngineError> {
        options.device.is_built()?;
        #[cfg(feature = "cuda")]
        if options.device == Device::Cuda {
            return Self::load_onto(path, &options, &crate::gpu::cuda()?);
        }
        let started = Instant::now();
        let file = Gguf::open(path)?;
        let decoder = Arc::new(Decoder::open(&file)?);
        let token_bytes = BlockPool::new(decoder.cache_shape(), 1).max_bytes() / BLOCK;
        let plan = Plan::new(&options, decoder.context(), token_bytes, memory::room())?;
        let options = ChatOptions {
            cache_tokens: Some(plan.cache),
            ..options
        };
        let model = Model::open(&file, decoder.vocabulary(), plan.context, &options)?;
        let model = Arc::new(model);
        let threads = options.threads.unwrap_or_else(cpu::threads).max(1);
        let queue = Arc::new(Queue::new(options.queue.max(1)));
        let (shared, jobs) = (Arc::clone(&model), Arc::clone(&queue));
        let worker = Worker::new(shared, Arc::clone(&decoder), jobs, &options);
        let memory = ChatMemory {
            weights: decoder.weight_bytes(),
            max_cache: worker.max_cache_bytes(),
            max_constraints: constraint::max_bytes(options.parallel),
        };
        worker.spawn(threads)?;
        tracing::info!(
            path = %path.display(),
            context_length = model.context,
            threads,
            weight_bytes = memory.weights,
            max_cache_bytes = memory.max_cache,
            elapsed_ms = started.elapsed().as_millis() as u64,
            "chat model loaded"
        );
        Ok(Self::with(model, queue, Some(decoder), memory, &options))
    }

    /// Loads a model onto one of candle's devices.
    #[cfg(any(test, feature = "cuda"))]
    fn load_onto(
        path: &Path,
        options: &ChatOptions,
        device: &candle_core::Device,
    ) -> Result<Self, EngineError> {
        let started = Instant::now();
        let file = Gguf::open(path)?;
        let decoder = crate::gpu::Decoder::open(&file, device, options.window())?;
        let model = Model::open(&file, decoder.vocabulary(), decoder.window(), options)?;
        let model = Arc::new(model);
        let queue = Arc::new(Queue::new(options.queue.max(1)));
        let (shared, jobs) = (Arc::clone(&model), Arc::clone(&queue));
        alone::Worker::new(shared, decoder, jobs, options.jump_forward)?.spawn()?;
        tracing::info!(
            path = %path.display(),
            context_length = model.context,
            device = ?device.location(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "chat model loaded"
        );
        let memory = ChatMemory::default();
        Ok(Self::with(model, queue, None, memory, options))
    }

    fn with(
        model: Arc<Model>,
        queue: Arc<Queue>,
        decoder: Option<Arc<Decoder>>,
        memory: ChatMemory,
        options: &ChatOptions,
    ) -> Self {
        Self {
            handle: Arc::new(Handle {
                model,
                decoder,
                queue,
                preparing: Preparing::new(options.queue),
                memory,
            }),
            adapter: None,
        }
    }

    /// Loads a LoRA adapter (Hu et al. 2021) and gives a handle that answers with it: a GGUF file as
    /// llama.cpp writes it, or a folder as PEFT saves it. The model stays where it is, in memory once;
    /// answers with it, with other adapters and without go on meanwhile and beside. The adapter is
    /// freed when its last handle is dropped and its last answer has ended; loading a file again
    /// gives what the file has then. Blocks for as long as reading the file takes.
    ///
    /// # Errors
    /// [`EngineError`], naming the file, the tensor or key, and the way out: the adapter was made for
    /// another model, is damaged, or changes what cannot be changed here (embeddings, output head,
    /// norms, biases; DoRA).
    pub fn with_adapter(&self, path: &Path) -> Result<Self, EngineError> {
        let started = Instant::now();
        let Some(decoder) = &self.handle.decoder else {
            return Err(EngineError::Gpu(format!(
                "the adapter `{}` works on the CPU only; merge it into the model, or set \
                 `device = \"cpu\"`",
                path.display()
            )));
        };
        let adapter = decoder.adapter(path)?;
        tracing::info!(
            path = %path.display(),
            adapter_bytes = adapter.bytes(),
            elapsed_ms = started.elapsed().as_millis() as u64,
            "adapter loaded"
        );
        Ok(Self {
            handle: Arc::clone(&self.handle),
            adapter: Some(Arc::new(adapter)),
        })
    }

    /// Bytes of memory that this handle's adapter takes beside the model.
    pub fn adapter_bytes(&self) -> usize {
        self.adapter.as_ref().map_or(0, |adapter| adapter.bytes())
    }

    /// Bytes of memory that the model takes, whatever handles there are; nothing of one on a GPU.
    pub fn memory(&self) -> ChatMemory {
        self.handle.memory
    }

    /// Tokens of prompt and answer together.
    pub fn context_length(&self) -> usize {
        self.handle.model.context
    }

    /// The tokens of a conversation as a prompt, for tests against a reference.
    #[doc(hidden)]
    pub fn prompt_tokens(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.handle.model.prompt(messages, &[])
    }

    /// The tokens of a plain text, for tests against a reference.
    #[doc(hidden)]
    pub fn text_tokens(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.handle
            .model
            .tokenizer
            .encode(text)
            .map_err(ModelError::Internal)
    }

    /// A text walked through a constraint as if the model had written it, for tests and benchmarks.
    #[doc(hidden)]
    pub fn walk(&self, constraint: &Constraint, text: &str) -> Result<Walk, ModelError> {
        let model = &self.handle.model;
        let guide = model.constraints.guide(constraint)?;
        Ok(walk(guide, &model.tokenizer, text))
    }

    /// Whether a text is the beginning of what a constraint takes, for tests and benchmarks.
    #[doc(hidden)]
    pub fn begins(&self, constraint: &Constraint, text: &str) -> Result<bool, ModelError> {
        let model = &self.handle.model;
        let guide = model.constraints.guide(constraint)?;
        begins(guide, &model.tokenizer, text).map_err(ModelError::Internal)
    }

    /// Logits after each of `positions` (ascending) of a sequence whose first `prompt` tokens are
    /// read as a prompt and the others as an answer, for tests against a reference; on the CPU only.
    #[doc(hidden)]
    pub fn logits(&self, tokens: &[u32], prompt: usize, positions: &[usize]) -> Vec<Vec<f32>> {
        use crate::decoder::{BlockPool, KvCache, Memory, Piece};
        let Some(decoder) = &self.handle.decoder else {
            return Vec::new();
        };
        let pool = BlockPool::new(decoder.cache_shape(), usize::MAX);
        let (mut cache, mut memory) = (KvCache::new(decoder.cache_shape()), Memory::default());
        let end = positions.last().map_or(0, |last| last + 1);
        let mut all = Vec::new();
        for (part, reads) in [(0..end.min(prompt), true), (end.min(prompt)..end, false)] {
            if part.is_empty() {
                continue;
            }
            let first = positions.iter().find(|at| part.contains(at));
            let first = *first.unwrap_or(&part.end);
            cache.reserve(part.len(), &pool);
            let piece = Piece {
                tokens: &tokens[part.clone()],
                cache: &mut cache,
                logits: part.end - first,
                reads,
                adapter: self.adapter.as_deref(),
            };
            let logits = decoder.forward(&mut [piece], &mut memory, &|| false);
            let logits = logits.into_iter().flatten().zip(first..);
            all.extend(
                logits
                    .filter(|(_, at)| positions.contains(at))
                    .map(|(l, _)| l),
            );
        }
        all
    }
}

#[async_trait]
impl ChatModel for ChatEngine {
    async fn chat(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
    ) -> Result<ChatStream, ModelError> {
        let tokens = self.handle.model.tokenizer.len();
        validate(&request.sampling, request.top_logprobs, tokens)?;
        if request.messages.iter().any(Message::has_media) {
            let model = request.model;
            return Err(ModelError::TextOnly { model });
        }
        let tools = Tools::of(&request)?;
        let names = tools.names(request.constraint.is_some());
        let calls = tools.callable;
        let came = Instant::now();
        let deadline = request.timeout.map(|timeout| (came + timeout, timeout));
        let (priority, caller) = (request.priority, request.caller.as_deref());
        let place = self.handle.queue.place(priority, caller)?;
        let model = Arc::clone(&self.handle.model);
        let (messages, constraint) = (request.messages, request.constraint);
        let layout = request.layout;
        // A long prompt takes milliseconds to tokenize, and a constraint as long to compile.
        let prepare = move |stop: &CancellationToken| -> Result<_, ModelError> {
            let guide = match &constraint {
                answer if calls => Some(model.constraints.tool_guide(&tools, answer.as_ref())?),
                Some(constraint) => Some(model.constraints.guide(constraint)?),
                None if tools.is_empty() => None,
                None => Some(model.constraints.tool_guide(&tools, None)?),
            };
            if stop.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            let prompt = model.prompt_of(&layout, &messages, &tools.specs)?;
            Ok((prompt, guide, place))
        };
        let preparing = &self.handle.preparing;
        let (prompt, guide, place) = preparing.run(&cancel, deadline, prepare).await?;
        let context = self.handle.model.context;
        if prompt.len() >= context {
            return Err(ModelError::ContextLengthExceeded {
                prompt_tokens: prompt.len(),
                context_length: context,
            });
        }
        let room = context - prompt.len();
        let (sender, receiver) = mpsc::unbounded_channel();
        place.take(Job {
            adapter: self.adapter.clone(),
            max_tokens: request
                .sampling
                .max_tokens
                .map_or(room, |n| room.min(n as usize)),
            sampler: Sampler::new(&request.sampling, &prompt),
            stop: request.sampling.stop,
            prompt,
            top_logprobs: request.top_logprobs.map(usize::from),
            guide,
            priority: request.priority,
            came,
            timeout: request.timeout,
            sender,
            cancel: cancel.clone(),
        });
        let answer = stream(receiver, cancel, deadline, Arc::clone(&self.handle));
        Ok(if calls {
            tool_calls::read(answer, names)
        } else {
            answer
        })
    }
}

type Chunk = Result<ChatChunk, ModelError>;

/// The chunks of a job as they come. Cancelling, or the end of its time, ends the stream at once,
/// without waiting for the worker to notice; the handle keeps the model alive until the answer has
/// ended.
fn stream(
    receiver: mpsc::UnboundedReceiver<Chunk>,
    cancel: CancellationToken,
    deadline: Deadline,
    handle: Arc<Handle>,
) -> ChatStream {
    let stopped = || {
        Err(ModelError::Broken(
            "the engine stopped before the answer ended".into(),
        ))
    };
    let state = Some((receiver, cancel, handle));
    futures::stream::unfold(state, move |state| async move {
        let (mut receiver, cancel, handle) = state?;
        let chunk = within(receiver.recv(), &cancel, deadline).await;
        let chunk = chunk.and_then(|chunk| chunk.unwrap_or_else(stopped));
        let ended = matches!(chunk, Err(_) | Ok(ChatChunk::Done { .. }));
        Some((chunk, (!ended).then_some((receiver, cancel, handle))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::tests::{adapters, model};

    #[tokio::test]
    async fn an_adapter_is_freed_after_its_last_answer() {
        let Some(path) = model("smollm2-135m-instruct") else {
            return;
        };
        let base = ChatEngine::load(&path, ChatOptions::default()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let tensors = adapters::peft_tensors(&adapters::random(&adapters::SMOLLM2, 1, 1));
        let path = adapters::write_peft(folder.path(), &adapters::peft_config(1, 1.0), &tensors);
        let adapted = base.with_adapter(&path).unwrap();
        let adapter = Arc::downgrade(adapted.adapter.as_ref().unwrap());
        let mut request = ChatRequest {
            messages: vec![Message::user("Hi")],
            ..ChatRequest::default()
        };
        request.sampling.max_tokens = Some(8);
        let stream = adapted.chat(request, CancellationToken::new()).await;
        drop(adapted);
        assert!(adapter.upgrade().is_some(), "an answer needs it");
        praxis_core::chat::collect(stream.unwrap()).await.unwrap();
        for _ in 0..1000 {
            if adapter.upgrade().is_none() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the adapter is still in memory");
    }
}
