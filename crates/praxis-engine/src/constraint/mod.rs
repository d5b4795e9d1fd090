//! Constrained decoding: which tokens may come next in an answer that must be of some language. The
//! languages are compiled and followed by llguidance (an Earley parser over a lexer of derivatives);
//! here is what the engine adds: the model's vocabulary, a cache, schemas that are refused rather
//! than followed in part, and errors that callers can use.
//!
//! JSON is written on one line, with `, ` and `: ` between, as Python's `json.dumps` does and as
//! models have read most of it. Properties come in the order of the schema. So most of what is not
//! content has only one way to go on, and is not generated but read ([`Guide::forced`]).

mod pattern;
mod rewrite;
pub(crate) mod schema;
mod vocabulary;
pub(crate) mod walk;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, SimpleVob};
use llguidance::{Matcher, ParserFactory, TokenParser};
use praxis_core::{Constraint, ModelError};
use serde_json::json;

use crate::tokenizer::TextTokenizer;
use crate::tools::Tools;
use crate::tools::grammar::{arguments, lark};

/// Compiled constraints that are kept for requests with the same one.
const KEPT: usize = 32;

/// Lexer states of all answers that a model gives at a time. The parser does not tell how many an answer has, so each gets
/// its part of them as its limit.
const LEXER_STATES: usize = 320_000;

/// The limits of one answer: no schema in use needs more, and few suffice for most.
const OF_AN_ANSWER: RangeInclusive<usize> = 5_000..=50_000;

/// Bytes of a lexer state, at most.
const STATE_BYTES: usize = 2048;

/// Lexer states that each of so many answers may have.
fn lexer_states(answers: usize) -> usize {
    let (least, most) = OF_AN_ANSWER.into_inner();
    (LEXER_STATES / answers.max(1)).clamp(least, most)
}

/// Bytes that constraints of so many answers at a time may take.
pub(crate) fn max_bytes(answers: usize) -> usize {
    answers.saturating_mul(lexer_states(answers) * STATE_BYTES)
}

/// The constraints of one model's answers.
pub(crate) struct Constraints {
    tokenizer: Arc<TextTokenizer>,
    /// Lexer states that one answer may have.
    lexer_states: usize,
    /// Made for the first request that needs it: most models are never constrained.
    factory: OnceLock<Result<ParserFactory, String>>,
    /// The latest used first, by their text.
    compiled: Mutex<VecDeque<(String, Matcher)>>,
}

impl Constraints {
    /// Constraints over the tokens of `tokenizer`, for so many answers at a time.
    pub(crate) fn new(tokenizer: Arc<TextTokenizer>, answers: usize) -> Self {
        Self {
            tokenizer,
            lexer_states: lexer_states(answers),
            factory: OnceLock::new(),
            compiled: Mutex::default(),
        }
    }

    /// What follows `constraint` through one answer. Takes milliseconds for a constraint that was
    /// not seen lately, and up to a second for the first of a model.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`], saying what is wrong with the constraint or not supported,
    /// and where.
    pub(crate) fn guide(&self, constraint: &Constraint) -> Result<Guide, ModelError> {
        let invalid = |problem: String| {
            ModelError::InvalidRequest(format!("constraint: {}: {problem}", constraint.kind()))
        };
        let key = serde_json::to_string(constraint).map_err(|e| invalid(e.to_string()))?;
        if let Some(matcher) = self.recall(&key) {
            return Ok(Guide { matcher });
        }
        let grammar = grammar(constraint).map_err(invalid)?;
        let parser = self.vocabulary()?.create_parser(grammar).map_err(|error| {
            let problem = first_line(&error.to_string());
            invalid(match constraint {
                Constraint::JsonSchema(value) => schema::explain(value, &problem),
                _ => problem,
            })
        })?;
        Ok(self.kept(key, parser))
    }

    /// What follows an answer that may call `tools`; one without calls is held to `answer`. Arguments
    /// that cannot be held to their tool's schema are held to being an object.
    ///
    /// # Errors
    /// As [`Constraints::guide`]; of the tools nothing is refused.
    pub(crate) fn tool_guide(
        &self,
        tools: &Tools,
        answer: Option<&Constraint>,
    ) -> Result<Guide, ModelError> {
        let invalid = |problem: String| ModelError::InvalidRequest(format!("tools: {problem}"));
        let key = json!([
            tools.specs,
            tools.required,
            tools.parallel,
            tools.callable,
            answer
        ]);
        let key = key.to_string();
        if let Some(matcher) = self.recall(&key) {
            return Ok(Guide { matcher });
        }
        let factory = self.vocabulary()?;
        let mut loose: Vec<bool> = tools
            .specs
            .iter()
            .map(|tool| arguments(&tool.parameters).is_err())
            .collect();
        let compile = |loose: &[bool]| {
            let lark = lark(tools, answer, loose).map_err(invalid)?;
            let made = factory.create_parser(TopLevelGrammar::from_lark(lark));
            made.map_err(|error| invalid(first_line(&error.to_string())))
        };
        let parser = compile(&loose).or_else(|_| {
            // The compiler does not say which schema it stumbles over.
            for (tool, loose) in tools.specs.iter().zip(&mut loose) {
                let fits = arguments(&tool.parameters).is_ok_and(|schema| {
                    let grammar = TopLevelGrammar::from_json_schema(schema);
                    factory.create_parser(grammar).is_ok()
                });
                *loose = !fits;
            }
            compile(&loose)
        })?;
        for (tool, _) in tools.specs.iter().zip(&loose).filter(|(_, loose)| **loose) {
            tracing::debug!(tool = %tool.name, "arguments are not held to their schema");
        }
        Ok(self.kept(key, parser))
    }

    fn kept(&self, key: String, parser: TokenParser) -> Guide {
        let matcher = Matcher::new(Ok(parser));
        let guide = Guide {
            matcher: matcher.deep_clone(),
        };
        self.keep(key, matcher);
        guide
    }

    fn vocabulary(&self) -> Result<&ParserFactory, ModelError> {
        let made = self.factory.get_or_init(|| self.factory()).as_ref();
        made.map_err(|e| ModelError::Internal(e.clone()))
    }

    fn factory(&self) -> Result<ParserFactory, String> {
        let started = std::time::Instant::now();
        let vocabulary = vocabulary::vocabulary(Arc::clone(&self.tokenizer))?;
        let capabilities = InferenceCapabilities {
            ff_tokens: true,
            ..InferenceCapabilities::default()
        };
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let mut factory = ParserFactory::new(&vocabulary, capabilities, &slices)
            .map_err(|e| format!("the vocabulary cannot be constrained: {e}"))?;
        factory.quiet();
        factory.limits_mut().max_lexer_states = self.lexer_states;
        factory.limits_mut().verbose_errors = false;
        tracing::debug!(
            elapsed_ms = started.elapsed().as_millis() as u64,
            "vocabulary prepared for constraints"
        );
        Ok(factory)
    }

    fn recall(&self, key: &str) -> Option<Matcher> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let at = compiled.iter().position(|(k, _)| k == key)?;
        let entry = compiled.remove(at)?;
        let matcher = entry.1.deep_clone();
        compiled.push_front(entry);
        Some(matcher)
    }

    fn keep(&self, key: String, matcher: Matcher) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.push_front((key, matcher));
        compiled.truncate(KEPT);
    }
}

/// The grammar of a constraint.
fn grammar(constraint: &Constraint) -> Result<TopLevelGrammar, String> {
    Ok(match constraint {
        Constraint::JsonSchema(value) => TopLevelGrammar::from_json_schema(schema::prepare(value)?),
        Constraint::JsonObject => {
            TopLevelGrammar::from_json_schema(schema::prepare(&Constraint::any_object())?)
        }
        Constraint::Regex(regex) => TopLevelGrammar::from_regex(regex),
        Constraint::Choice(choices) => {
            if choices.is_empty() || choices.iter().any(String::is_empty) {
                return Err("it needs at least one text, and none that is empty".into());
            }
            // Lark's texts are written as JSON's.
            let texts: Result<Vec<String>, _> = choices.iter().map(serde_json::to_string).collect();
            let texts = texts.map_err(|e| e.to_string())?;
            TopLevelGrammar::from_lark(format!("start: {}", texts.join(" | ")))
        }
        Constraint::Grammar(lark) => TopLevelGrammar::from_lark(lark.clone()),
    })
}

fn first_line(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or("it cannot be compiled").trim().to_owned()
}

/// The tokens that may come next: at least one.
pub(crate) struct Mask(SimpleVob);

impl Mask {
    /// The token, where there is only one.
    pub(crate) fn only(&self) -> Option<u32> {
        let mut tokens = self.0.iter();
        tokens.next().filter(|_| tokens.next().is_none())
    }

    /// Whether a token is among them.
    pub(crate) fn allows(&self, token: u32) -> bool {
        self.0.get(token as usize)
    }

    /// Makes all other tokens impossible.
    pub(crate) fn apply(&self, logits: &mut [f32]) {
        for (word, logits) in self.0.as_slice().iter().zip(logits.chunks_mut(32)) {
            if *word == u32::MAX {
                continue;
            }
            for (bit, logit) in logits.iter_mut().enumerate() {
                if word & (1 << bit) == 0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
    }
}

/// Follows one answer through its constraint.
pub(crate) struct Guide {
    matcher: Matcher,
}

impl Guide {
    /// The tokens that may come next, those that end the turn among them where the answer may end.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] where following the constraint takes too much.
    pub(crate) fn mask(&mut self) -> Result<Mask, ModelError> {
        self.matcher.compute_mask().map(Mask).map_err(too_complex)
    }

    /// Goes on by a token that the mask allowed.
    ///
    /// # Errors
    /// As [`Guide::mask`].
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), ModelError> {
        self.matcher.consume_token(token).map_err(too_complex)
    }

    /// Tokens that come next whatever a model would say; they are still to be accepted.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        if self.is_complete() {
            return Vec::new();
        }
        self.matcher.compute_ff_tokens()
    }

    /// How many of some tokens could come next, one after the other.
    pub(crate) fn allowed(&mut self, tokens: &[u32]) -> usize {
        if self.is_complete() {
            return 0;
        }
        self.matcher.validate_tokens(tokens).unwrap_or(0)
    }

    /// Whether the answer is whole and cannot go on.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}

fn too_complex(error: impl std::fmt::Display) -> ModelError {
    ModelError::InvalidRequest(format!(
        "constraint: it cannot be followed: {}",
        first_line(&error.to_string())
    ))
}
