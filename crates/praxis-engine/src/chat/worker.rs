//! The thread that owns a model and answers its requests together (continuous batching: Yu et al.
//! 2022, "Orca"). Each pass computes the next token of every answer in progress and pieces of
//! prompts, so that a long prompt never holds the answers up (chunked prefill: Agrawal et al. 2024,
//! "Sarathi-Serve"); how large they are is the business of [`super::planning`]. Answers do not depend
//! on what else is computed in the same pass.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use praxis_core::{FinishReason, Priority};

use super::planning::{Answers, Pace, Reader, Share, holds_up, shares};
use super::prefixes::{Prefixes, common};
use super::queue::{Queue, Wanted, share};
use super::running::{Failure, Running, Shortcuts, failed};
use super::{ChatOptions, Model};
use crate::cpu;
use crate::decoder::{BLOCK, BlockPool, Decoder, Interrupted, KvCache, Memory, Piece};
use crate::error::EngineError;

/// Rows of all answers in a pass, guesses included: those of one panel of activations, which kernels
/// multiply with a weight that was read once. One answer has room for seven guesses, two for three
/// each. From three answers on a share of the panel would be one guess or none, and rows beyond it
/// take arithmetic that is no longer hidden behind reading the weights: so nothing is guessed then.
const ROWS: usize = 8;

/// The owner of a model's sequences.
pub(super) struct Worker {
    model: Arc<Model>,
    decoder: Arc<Decoder>,
    queue: Arc<Queue>,
    /// Requests that may be answered at a time.
    parallel: usize,
    shortcuts: Shortcuts,
    pool: BlockPool,
    prefixes: Prefixes,
    /// In the order of their turns: later ones make room for earlier ones.
    running: Vec<Running>,
    memory: Memory,
    /// Whether the last pass was given up for a request that came.
    gave_way: bool,
    /// Whether answers were left out of the last pass for the first token of a new one.
    held_up: bool,
    /// What reading prompts takes here.
    pace: Pace,
}

/// What a pass computes of a request: its place among those that run, and how many tokens.
#[derive(Clone, Copy)]
struct Part {
    place: usize,
    tokens: usize,
    /// Whether it reads what is known, rather than answering.
    reads: bool,
    /// Whether the tokens are of the prompt, not of an answer that is read again.
    of_prompt: bool,
}

impl Worker {
    /// A worker for `queue`.
    pub(super) fn new(
        model: Arc<Model>,
        decoder: Arc<Decoder>,
        queue: Arc<Queue>,
        options: &ChatOptions,
    ) -> Self {
        let cache_tokens = options.cache_tokens.unwrap_or(2 * model.context);
        // The longest sequence must fit, its copy of a block that another one begins included.
        let blocks = cache_tokens.max(model.context).div_ceil(BLOCK) + 1;
        Self {
            pool: BlockPool::new(decoder.cache_shape(), blocks),
            model,
            decoder,
            queue,
            parallel: options.parallel.max(1),
            shortcuts: Shortcuts {
                prompt_lookup: options.prompt_lookup,
                jump_forward: options.jump_forward,
            },
            prefixes: Prefixes::default(),
            running: Vec::new(),
            memory: Memory::default(),
            gave_way: false,
            held_up: false,
            pace: Pace::default(),
        }
    }

    /// Bytes that keys and values may take.
    pub(super) fn max_cache_bytes(&self) -> usize {
        self.pool.max_bytes()
    }

    /// Starts the worker's thread and its computing threads.
    pub(super) fn spawn(mut self, threads: usize) -> Result<(), EngineError> {
        let pool = cpu::pool("praxis-chat", threads)?;
        std::thread::Builder::new()
            .name("praxis-chat".into())
            .spawn(move || {
                // A defect in the order of requests must not take the model away from all to come.
                loop {
                    let turn = std::panic::catch_unwind(AssertUnwindSafe(|| {
                        let more = self.admit();
                        if more {
                            pool.install(|| self.pass());
                        }
                        more
                    }));
                    match turn {
                        Ok(true) => {}
                        Ok(false) => return,
                        Err(_) => self.begin_anew(),
                    }
                }
            })
            .map_err(|e| EngineError::Resource(e.to_string()))?;
        Ok(())
    }

    /// Ends all requests that run, and forgets what was kept.
    fn begin_anew(&mut self) {
        for request in self.running.drain(..) {
            request.end(Err(failed()));
        }
        self.prefixes = Prefixes::default();
        (self.gave_way, self.held_up) = (false, false);
    }

    /// Takes requests from the queue while there is room, waiting for one where there is nothing
    /// else to do. `false` when no more will come.
    fn admit(&mut self) -> bool {
        while self.running.len() < self.parallel {
            let job = if self.running.is_empty() {
                self.queue.wait()
            } else {
                self.queue.pop(self.wanted())
            };
            let Some(job) = job else {
                return !self.running.is_empty();
            };
            let turn = job.turn();
            let cache = KvCache::new(self.decoder.cache_shape());
            let mut request = Running::new(job, cache, self.shortcuts);
            // An answer may begin with what its constraint forces, or be nothing else.
            match request.jump(&self.model).transpose() {
                None => {
                    let place = self.running.partition_point(|r| r.job.turn() <= turn);
                    self.running.insert(place, request);
                }
                Some(end) => request.end(end),
            }
        }
        true
    }

    /// Which requests there is room for.
    fn wanted(&self) -> Wanted {
        let batch = |r: &&Running| r.job.priority == Priority::Batch;
        let running = self.running.iter().filter(batch).count();
        if running < share(self.parallel, Priority::Batch) {
            Wanted::Any
        } else {
            Wanted::Interactive
        }
    }

    /// One pass of the model over what the requests need next.
    fn pass(&mut self) {
        self.queue.drop_over();
        for place in (0..self.running.len()).rev() {
            if let Some(error) = self.running[place].job.is_over() {
                self.end(place, Err(Failure::Error(error)));
            }
        }
        let parts = self.plan();
        if parts.is_empty() {
            // The memory suffices for the first request whatever else there is; were that not so,
            // waiting would not help.
            if !self.running.is_empty() {
                self.end(0, Err(failed()));
            }
            return;
        }
        let started = Instant::now();
        // A defect in one pass must not take the model away from all other requests.
        let logits = std::panic::catch_unwind(AssertUnwindSafe(|| self.compute(&parts)));
        let logits = match logits {
            Ok(Ok(logits)) => logits,
            // All were abandoned, and the next pass ends them; or a request came, and begins with it.
            Ok(Err(Interrupted)) => {
                self.gave_way = true;
                for part in &parts {
                    self.running[part.place].forget_guesses();
                }
                return;
            }
            Err(_) => {
                let mut places: Vec<_> = parts.iter().map(|part| part.place).collect();
                places.sort_unstable();
                for place in places.into_iter().rev() {
                    self.running[place].forget_guesses();
                    self.running[place].set_back();
                    self.end(place, Err(failed()));
                }
                return;
            }
        };
        self.gave_way = false;
        self.pace.learn(tokens_read(&parts), started.elapsed());
        let mut logits = logits.into_iter();
        let mut ended = Vec::new();
        for part in &parts {
            let request = &mut self.running[part.place];
            if request.pending() == 0 {
                let logits = logits.by_ref().take(request.wanted()).collect::<Vec<_>>();
                let model = &self.model;
                let go_on = AssertUnwindSafe(|| request.go_on(model, logits.into_iter()));
                let result = std::panic::catch_unwind(go_on).unwrap_or_else(|_| {
                    request.set_back();
                    Err(failed())
                });
                ended.extend(result.transpose().map(|end| (part.place, end)));
            }
            self.prefixes.keep(
                &request.tokens,
                &mut request.cache,
                &mut request.known,
                false,
            );
        }
        ended.sort_by_key(|(place, _)| *place);
        for (place, result) in ended.into_iter().rev() {
            self.end(place, result);
        }
    }

    /// Ends a request and keeps what it computed for those that begin alike.
    fn end(&mut self, place: usize, result: Result<FinishReason, Failure>) {
        let mut request = self.running.remove(place);
        self.prefixes.keep(
            &request.tokens,
            &mut request.cache,
            &mut request.known,
            true,
        );
        self.queue
            .took(request.started.elapsed(), self.running.len() + 1);
        request.end(result);
    }

    /// Chooses what the next pass computes, and makes room for it.
    fn plan(&mut self) -> Vec<Part> {
        self.share_beginnings();
        let decoding = self.running.iter().filter(|r| r.is_decoding()).count();
        // Where one pass brings a new answer to its first token, the others wait for it, since it would
        // wait for them; but not twice in a row.
        self.held_up = decoding > 0 && !self.held_up && holds_up(&self.pace, &self.readers(&[]));
        let mut parts = Vec::new();
        let answers = match (decoding, self.held_up) {
            (0, _) => Answers::None,
            (_, true) => Answers::Waiting,
            (_, false) => {
                self.plan_answers(decoding, &mut parts);
                Answers::Beside
            }
        };
        let readers = self.readers(&parts);
        let waits = |place: usize, other: usize| self.waits_for(place, other);
        for share in shares(&self.pace, answers, &readers, waits) {
            if !self.plan_reading(share, &mut parts) {
                break;
            }
        }
        if parts.is_empty() && self.held_up {
            // There is no room for it: then nobody waits for it.
            return self.plan();
        }
        parts.sort_by_key(|part: &Part| (part.of_prompt, part.place));
        parts
    }

    /// Plans the next tokens of the answers in progress, and of some of them guesses at what follows.
    fn plan_answers(&mut self, decoding: usize, parts: &mut Vec<Part>) {
        for place in 0..self.running.len() {
            if !self.running[place].is_decoding() {
                continue;
            }
            // Later requests may be set back for it; they are not planned yet.
            let tokens = self.running[place].pending();
            if !self.reserve(place, tokens, true) {
                break;
            }
            // Checking guesses is nearly free where weights are read for one row anyway.
            let guesses = self.running[place].guess((ROWS / decoding).saturating_sub(tokens));
            if guesses > 0 && !self.reserve(place, tokens + guesses, false) {
                self.running[place].forget_guesses();
            }
            parts.push(Part {
                place,
                tokens: self.running[place].pending(),
                reads: false,
                of_prompt: false,
            });
        }
    }

    /// Plans a piece of what a request reads; `false` where there is no room for it.
    fn plan_reading(&mut self, share: Share, parts: &mut Vec<Part>) -> bool {
        let Share { place, tokens } = share;
        let Running {
            tokens: all,
            cache,
            known,
            ..
        } = &mut self.running[place];
        self.prefixes.extend(all, cache, known, &self.pool);
        self.running[place].copies = 0;
        let tokens = tokens.min(self.running[place].left());
        // The oldest reads first: where there is nothing else, room is made for it.
        if !self.reserve(place, tokens, parts.is_empty() && !self.held_up) {
            return false;
        }
        let of_prompt = self.running[place].unread() > 0;
        self.running[place].begin();
        parts.push(Part {
            place,
            tokens,
            reads: true,
            of_prompt,
        });
        true
    }

    /// Finds what is kept of what requests have to read.
    fn share_beginnings(&mut self) {
        for request in &mut self.running {
            if !request.is_decoding() {
                let Running {
                    tokens,
                    cache,
                    known,
                    ..
                } = request;
                let next = self.prefixes.share(tokens, cache, known);
                request.copies = next.map_or(0, |(_, tokens)| tokens);
            }
        }
    }

    /// The requests that read, in the order of their turns, without those that are planned already and
    /// those that wait for what the first of them reads: it computes what they have in common for all.
    fn readers(&self, parts: &[Part]) -> Vec<Reader> {
        let mut readers: Vec<Reader> = Vec::new();
        for (place, request) in self.running.iter().enumerate() {
            let planned = parts.iter().any(|part| part.place == place);
            if planned || request.is_decoding() {
                continue;
            }
            let first = readers.first();
            if first.is_some_and(|first| self.waits_for(place, first.place)) {
                continue;
            }
            readers.push(Reader {
                place,
                left: request.left(),
                batch: request.job.priority == Priority::Batch,
            });
        }
        readers
    }

    /// Whether a request waits for what another, that reads before it, computes of the beginning that
    /// they have in common.
    fn waits_for(&self, place: usize, other: usize) -> bool {
        let (first, second) = (&self.running[other], &self.running[place]);
        let shared = if first.job.adapter_id() == second.job.adapter_id() {
            common(&first.tokens, &second.tokens)
        } else {
            0
        };
        shared / BLOCK * BLOCK > second.cache.len()
    }

    /// Makes room for tokens of a request: by forgetting what no request reads and, where that is
    /// allowed, by setting later requests back. `false` where there is still too little.
    fn reserve(&mut self, place: usize, tokens: usize, set_back: bool) -> bool {
        let needed = self.running[place].cache.blocks_for(tokens);
        let mut later = self.running.len();
        while !self.prefixes.make_room(needed, &self.pool) {
            later -= 1;
            if later <= place || !set_back {
                return false;
            }
            self.running[later].set_back();
        }
        self.running[place].cache.reserve(tokens, &self.pool)
    }

    fn compute(&mut self, parts: &[Part]) -> Result<Vec<Vec<f32>>, Interrupted> {
        let (running_now, wanted) = (self.running.len(), self.wanted());
        let mut jobs = Vec::new();
        let mut pieces = Vec::new();
        let mut running: Vec<_> = self.running.iter_mut().map(Some).collect();
        for part in parts {
            let Some(request) = running[part.place].take() else {
                continue;
            };
            let start = request.cache.len();
            let end = start + part.tokens;
            pieces.push(Piece {
                logits: if end == request.tokens.len() {
                    request.wanted()
                } else {
                    0
                },
                reads: part.of_prompt,
                tokens: &request.tokens[start..end],
                cache: &mut request.cache,
                adapter: request.job.adapter.as_deref(),
            });
            jobs.push(&request.job);
        }
        // A request that comes begins at once, rather than after the pass, where little is lost: of a
        // pass of answers alone, or in the first half of one that only reads. Not twice in a row.
        let read = tokens_read(parts);
        let all: usize = parts.iter().map(|part| part.tokens).sum();
        let patience = if read == 0 {
            Duration::MAX
        } else if read == all && !self.held_up {
            self.pace.time(read).unwrap_or_default() / 2
        } else {
            Duration::ZERO
        };
        let gives_way = !self.gave_way && running_now < self.parallel;
        let started = Instant::now();
        let interrupted = || {
            jobs.iter().all(|job| job.is_over().is_some())
                || (gives_way && started.elapsed() < patience && self.queue.has(wanted))
        };
        self.decoder
            .forward(&mut pieces, &mut self.memory, &interrupted)
    }
}

/// Tokens of some parts that are read rather than answered.
fn tokens_read(parts: &[Part]) -> usize {
    let reading = parts.iter().filter(|part| part.reads);
    reading.map(|part| part.tokens).sum()
}
