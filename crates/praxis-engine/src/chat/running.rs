//! One request that is being answered: its tokens so far, their keys and values, and the text that
//! came of them.

use std::time::Instant;

use praxis_core::{ChatChunk, FinishReason, ModelError, TokenLogprob, Usage};

use super::Model;
use super::answer::{Answer, Piece};
use super::lookup::Lookup;
use super::prefixes::Known;
use super::queue::Job;
use crate::constraint::Guide;
use crate::decoder::KvCache;
use crate::sampler::{best, log_denominator};

/// Why a request ends without an answer.
pub(super) enum Failure {
    /// Nobody waits any more.
    Abandoned,
    /// The model's numbers broke down.
    Error(ModelError),
}

/// A defect: of one request, not of the engine.
pub(super) fn failed() -> Failure {
    Failure::Error(ModelError::Internal(
        "the engine failed on this request".into(),
    ))
}

/// What was computed of a sequence's beginning, wherever it is kept.
pub(super) trait Computed {
    /// Tokens that are in it.
    fn len(&self) -> usize;

    /// Forgets all after the first `tokens`.
    fn truncate(&mut self, tokens: usize);
}

impl Computed for KvCache {
    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, tokens: usize) {
        self.truncate(tokens);
    }
}

/// Ways to need fewer passes, none of which changes an answer.
#[derive(Clone, Copy)]
pub(super) struct Shortcuts {
    /// What answers copy from their prompts is guessed.
    pub(super) prompt_lookup: bool,
    /// What a constraint forces is written at once.
    pub(super) jump_forward: bool,
}

/// Forced tokens that are read beside other answers like one of theirs; more are read like a prompt.
const JUMP: usize = 32;

/// A request that is being answered.
pub(super) struct Running<C = KvCache> {
    pub(super) job: Job,
    /// Prompt and answer, during a pass guesses behind them; the cache holds their beginning.
    pub(super) tokens: Vec<u32>,
    /// How many of them are the prompt.
    prompt: usize,
    guesses: usize,
    lookup: Option<Lookup>,
    /// Whether tokens that the constraint forces are written without a pass for each.
    jump_forward: bool,
    /// Those of them that were written last.
    jumped: usize,
    pub(super) cache: C,
    /// How far the kept beginnings reach into it.
    pub(super) known: Known,
    /// Tokens behind them that are kept too, in a block that is copied when reading begins.
    pub(super) copies: usize,
    pub(super) started: Instant,
    answer: Answer,
    usage: Usage,
    /// Whether the prompt was computed once.
    begun: bool,
}

impl Running {
    /// Gives up keys and values, to compute them again later.
    pub(super) fn set_back(&mut self) {
        self.cache.clear();
        self.known = Known::nothing(self.job.adapter_id());
    }
}

impl<C: Computed> Running<C> {
    /// Starts a request with a cache that is empty or holds the beginning of its prompt.
    pub(super) fn new(mut job: Job, cache: C, shortcuts: Shortcuts) -> Self {
        Self {
            prompt: job.prompt.len(),
            tokens: std::mem::take(&mut job.prompt),
            guesses: 0,
            lookup: shortcuts.prompt_lookup.then(Lookup::new),
            // Each token's log probability needs the logits before it, which only a pass gives.
            jump_forward: shortcuts.jump_forward && job.top_logprobs.is_none(),
            jumped: 0,
            cache,
            known: Known::nothing(job.adapter_id()),
            copies: 0,
            started: Instant::now(),
            answer: Answer::new(std::mem::take(&mut job.stop)),
            usage: Usage::default(),
            begun: false,
            job,
        }
    }

    /// Tokens whose keys and values are not there yet; the logits after the last are wanted next.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.cache.len()
    }

    /// How many tokens of the prompt are not computed.
    pub(super) fn unread(&self) -> usize {
        self.prompt.saturating_sub(self.cache.len())
    }

    /// Tokens that it has to read: of its prompt; then of its answer, where it was set back and reads
    /// that again, but as an answer is computed.
    pub(super) fn left(&self) -> usize {
        let left = match self.unread() {
            0 => self.pending(),
            unread => unread,
        };
        // At least one is always computed, for the logits after it.
        left.saturating_sub(self.copies).max(1)
    }

    /// Whether it is answering, a token or a few in each pass, rather than reading its prompt.
    pub(super) fn is_decoding(&self) -> bool {
        self.begun && self.unread() == 0 && self.pending() <= 1 + self.jumped.min(JUMP)
    }

    /// Notes what was found of the prompt when computing begins.
    pub(super) fn begin(&mut self) {
        if !self.begun {
            self.usage.input_tokens = self.prompt as u64;
            self.usage.cached_tokens = self.cache.len().min(self.prompt) as u64;
            self.begun = true;
        }
    }

    /// Adds guesses at what follows, at most so many; returns how many.
    pub(super) fn guess(&mut self, most: usize) -> usize {
        let Some(lookup) = &mut self.lookup else {
            return 0;
        };
        let mut guesses = lookup.guess(&self.tokens, most);
        if let (Some(guide), false) = (&mut self.job.guide, guesses.is_empty()) {
            guesses.truncate(guide.allowed(&guesses));
        }
        self.guesses = guesses.len();
        self.tokens.extend(guesses);
        self.guesses
    }

    /// How many logits are wanted of a pass that computes all tokens.
    pub(super) fn wanted(&self) -> usize {
        1 + self.guesses
    }

    /// Removes guesses that no pass has checked.
    pub(super) fn forget_guesses(&mut self) {
        self.tokens.truncate(self.tokens.len() - self.guesses);
        self.guesses = 0;
    }

    /// Goes on by the logits after the last token and after each guess, as far as the guesses were
    /// right. The reason, where the answer ends.
    pub(super) fn go_on(
        &mut self,
        model: &Model,
        logits: impl Iterator<Item = Vec<f32>>,
    ) -> Result<Option<FinishReason>, Failure> {
        let guesses = self.tokens.split_off(self.tokens.len() - self.guesses);
        self.guesses = 0;
        let (mut right, mut end) = (0, Ok(None));
        for mut logits in logits {
            end = self.next(model, &mut logits);
            if !matches!(end, Ok(None)) || guesses.get(right) != self.tokens.last() {
                break;
            }
            right += 1;
        }
        // The last token was chosen and not computed; what was computed behind it are wrong guesses.
        let goes_on = matches!(end, Ok(None));
        self.cache
            .truncate(self.tokens.len() - usize::from(goes_on));
        if let Some(lookup) = &mut self.lookup {
            lookup.learn(guesses.len(), right, self.tokens.len());
        }
        if goes_on { self.jump(model) } else { end }
    }

    /// Writes the tokens that the constraint leaves no choice about (jump-forward decoding: Zheng et
    /// al. 2024, "SGLang"). The reason, where the answer ends with them.
    pub(super) fn jump(&mut self, model: &Model) -> Result<Option<FinishReason>, Failure> {
        self.jumped = 0;
        let forced = match &mut self.job.guide {
            Some(guide) if self.jump_forward => guide.forced(),
            _ => return Ok(None),
        };
        for token in forced {
            self.job.sampler.note(token);
            self.usage.forced_tokens += 1;
            let end = self.write(model, token, None)?;
            if end.is_some() {
                return Ok(end);
            }
            self.jumped += 1;
        }
        Ok(None)
    }

    /// Chooses the next token by the logits after the last, and sends what text comes of it. The
    /// reason, where the answer ends with it.
    fn next(
        &mut self,
        model: &Model,
        logits: &mut Vec<f32>,
    ) -> Result<Option<FinishReason>, Failure> {
        logits.truncate(model.tokenizer.len());
        if !logits.iter().all(|l| l.is_finite()) {
            let problem = "the model computed no valid numbers; its file may be damaged";
            return Err(Failure::Error(ModelError::Broken(problem.into())));
        }
        let unfiltered = self.job.top_logprobs.map(|_| logits.clone());
        let guide = self.job.guide.as_mut();
        let mask = guide.map(Guide::mask).transpose().map_err(Failure::Error)?;
        let token = self.job.sampler.sample(logits, mask.as_ref());
        if model.tokenizer.is_end(token) {
            return self.finish(FinishReason::Stop);
        }
        let logprob = unfiltered
            .zip(self.job.top_logprobs)
            .map(|(logits, n)| logprob(model, &logits, token, n));
        self.write(model, token, logprob)
    }

    /// Adds a token to the answer, and sends what text comes of it. The reason, where the answer
    /// ends with it; only where it goes on is the token to be computed.
    fn write(
        &mut self,
        model: &Model,
        token: u32,
        logprob: Option<TokenLogprob>,
    ) -> Result<Option<FinishReason>, Failure> {
        self.usage.output_tokens += 1;
        let mut complete = false;
        if let Some(guide) = &mut self.job.guide {
            guide.accept(token).map_err(Failure::Error)?;
            complete = guide.is_complete();
        }
        let piece = self.answer.push(model.tokenizer.bytes(token), logprob);
        let stopped = piece.stopped;
        self.send(piece)?;
        if stopped {
            return Ok(Some(FinishReason::Stop));
        }
        if complete {
            return self.finish(FinishReason::Stop);
        }
        if self.usage.output_tokens >= self.job.max_tokens as u64 {
            return self.finish(FinishReason::Length);
        }
        self.tokens.push(token);
        Ok(None)
    }

    /// Sends what was held back of the text.
    fn finish(&mut self, reason: FinishReason) -> Result<Option<FinishReason>, Failure> {
        let rest = self.answer.finish();
        self.send(rest)?;
        Ok(Some(reason))
    }

    fn send(&self, piece: Piece) -> Result<(), Failure> {
        let Piece { text, logprobs, .. } = piece;
        if text.is_empty() && logprobs.is_empty() {
            return Ok(());
        }
        self.job
            .sender
            .send(Ok(ChatChunk::Delta { text, logprobs }))
            .map_err(|_| Failure::Abandoned)
    }

    /// Tells the caller how it ended.
    pub(super) fn end(&self, result: Result<FinishReason, Failure>) {
        let end = match result {
            Ok(finish_reason) => Ok(ChatChunk::Done {
                finish_reason,
                usage: self.usage,
            }),
            Err(Failure::Abandoned) => Err(ModelError::Cancelled),
            Err(Failure::Error(error)) => Err(error),
        };
        // Nobody may be listening any more, which is fine.
        let _ = self.job.sender.send(end);
    }
}

fn logprob(model: &Model, logits: &[f32], token: u32, alternatives: usize) -> TokenLogprob {
    let denominator = log_denominator(logits);
    let entry = |token: u32| {
        let bytes = model.tokenizer.bytes(token);
        TokenLogprob {
            token: String::from_utf8_lossy(bytes).into_owned(),
            logprob: logits[token as usize] - denominator,
            bytes: Some(bytes.to_vec()),
            top_logprobs: Vec::new(),
        }
    };
    let top_logprobs = best(logits, alternatives).into_iter().map(entry).collect();
    TokenLogprob {
        top_logprobs,
        ..entry(token)
    }
}
