//! The thread that owns a model and answers its requests together (continuous batching: Yu et al.
//! 2022, "Orca"). Each pass computes the next token of every answer in progress and a piece of one
//! prompt, so that a long prompt never holds the answers up (chunked prefill: Agrawal et al. 2024,
//! "Sarathi-Serve"). Answers do not depend on what else is computed in the same pass.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use praxis_core::{FinishReason, Priority};

use super::prefixes::{Prefixes, common};
use super::queue::{Queue, Wanted, share};
use super::running::{Failure, Running, Shortcuts, failed};
use super::{ChatOptions, Model};
use crate::cpu;
use crate::decoder::{BLOCK, BlockPool, Decoder, Interrupted, KvCache, Memory, Piece};
use crate::error::EngineError;

/// Prompt tokens in a pass without answers in progress: enough to use each weight many times.
const ALONE: usize = 512;

/// Rows of all answers in a pass, guesses included: those of one panel of activations.
const ROWS: usize = 8;

/// Prompt tokens in a pass beside answers, which wait for them.
const BESIDE: usize = 128;

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
        let mut parts = Vec::new();
        let decoding = self.running.iter().filter(|r| r.is_decoding()).count();
        // Where one pass brings a new answer to its first token, the others wait for it, since it would
        // wait for them; but not twice in a row.
        let unread = |r: &Running| if r.is_decoding() { 0 } else { r.unread() };
        let short = |r: &Running| (1..=BESIDE).contains(&unread(r));
        self.held_up = decoding > 0 && !self.held_up && self.running.iter().any(short);
        for place in 0..self.running.len() {
            if self.held_up || !self.running[place].is_decoding() {
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
        let mut budget = if decoding == 0 { ALONE } else { BESIDE };
        let (order, kept) = self.reading_order(&parts, budget);
        // The first of those that have a beginning in common computes it for all.
        let mut reading: Vec<usize> = Vec::new();
        for place in order {
            if budget == 0 {
                break;
            }
            let request = &mut self.running[place];
            if !request.is_decoding() {
                let Running {
                    tokens,
                    cache,
                    known,
                    ..
                } = request;
                self.prefixes.extend(tokens, cache, known, &self.pool);
            }
            if reading.iter().any(|other| self.waits_for(place, *other)) {
                continue;
            }
            let request = &self.running[place];
            let most = if reading.is_empty() {
                budget - kept
            } else {
                budget
            };
            // An answer that was set back is read again, but computed as an answer.
            let tokens = match request.unread() {
                0 => request.pending().min(most),
                unread => unread.min(most),
            };
            if !self.reserve(place, tokens, parts.is_empty() && !self.held_up) {
                break;
            }
            let of_prompt = self.running[place].unread() > 0;
            self.running[place].begin();
            reading.push(place);
            budget -= tokens;
            parts.push(Part {
                place,
                tokens,
                reads: true,
                of_prompt,
            });
        }
        if parts.is_empty() && self.held_up {
            // There is no room for it: then nobody waits for it.
            return self.plan();
        }
        parts.sort_by_key(|part: &Part| (part.of_prompt, part.place));
        parts
    }

    /// The places of requests that read, in the order in which they do, and how many tokens of the pass
    /// the first leaves to others: prompts that fit into three quarters of it whole come second, so that
    /// a short one does not wait until long ones are read.
    fn reading_order(&self, parts: &[Part], budget: usize) -> (Vec<usize>, usize) {
        let reads = |place: &usize| {
            let planned = parts.iter().any(|part| part.place == *place);
            let held_up = self.held_up && self.running[*place].is_decoding();
            !planned && !held_up
        };
        let mut places = (0..self.running.len()).filter(reads);
        let Some(first) = places.next() else {
            return (Vec::new(), 0);
        };
        let mut kept = 0;
        let (short, long): (Vec<usize>, Vec<usize>) = places.partition(|place| {
            let unread = self.running[*place].unread();
            let fits =
                (1..=budget / 4 * 3 - kept).contains(&unread) && !self.waits_for(*place, first);
            kept += if fits { unread } else { 0 };
            fits
        });
        ([vec![first], short, long].concat(), kept)
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
        // A pass of answers alone gives way to a request that comes, so that its first token does
        // not wait for two passes; but not twice in a row.
        let gives_way =
            !self.gave_way && running_now < self.parallel && parts.iter().all(|part| !part.reads);
        let interrupted = || {
            jobs.iter().all(|job| job.is_over().is_some()) || (gives_way && self.queue.has(wanted))
        };
        self.decoder
            .forward(&mut pieces, &mut self.memory, &interrupted)
    }
}
