//! What a call gives, and how it came about: an answer that was kept, or what the prompt's technique comes to now.
//!
//! Left out: which answers are kept (`reuse`), and how a technique comes to one (`run`).

use std::sync::Arc;

use praxis_core::{CallContext, CallError, Passage};
use serde_json::{Map, Value, json};

use crate::function::{Extras, PromptFunction};
use crate::reuse::{Keeping, Kept, Looked};
use crate::technique::Conclusion;

/// What a call gives, and how it came about.
#[derive(Default)]
pub(crate) struct Output {
    pub value: Value,
    pub reasoning: Option<String>,
    pub confidence: Option<f32>,
    pub votes: Vec<(String, usize)>,
    /// The kept answer that it is.
    pub again: Option<Arc<Kept>>,
    /// What is to be kept of it.
    pub keeping: Option<Keeping>,
}

impl Output {
    fn of(conclusion: Conclusion) -> Self {
        Self {
            value: conclusion.output,
            reasoning: conclusion.reasoning,
            confidence: conclusion.confidence,
            votes: conclusion.votes,
            ..Self::default()
        }
    }

    fn again(kept: Arc<Kept>) -> Self {
        Self {
            value: kept.value.clone(),
            reasoning: kept.reasoning.clone(),
            confidence: kept.confidence,
            votes: kept.votes.clone(),
            again: Some(kept),
            ..Self::default()
        }
    }

    /// As traces show it: the value, and beside it what a technique has to say.
    pub fn traced(&self) -> Value {
        if self.reasoning.is_none() && self.confidence.is_none() {
            return self.value.clone();
        }
        let mut shown = json!({ "output": self.value, "reasoning": self.reasoning });
        if let Some(confidence) = self.confidence {
            shown["confidence"] = json!(confidence);
            shown["votes"] = json!(self.votes);
        }
        shown
    }
}

impl PromptFunction {
    /// The answer that is kept for the call, or what the prompt's technique comes to.
    ///
    /// # Errors
    /// The technique's.
    pub(crate) async fn answered(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        extras: &Extras,
        looked: Looked,
        cx: &CallContext,
    ) -> Result<Output, CallError> {
        let seat = match looked {
            Looked::Hit(kept) => {
                self.tell_again(&kept, cx).await;
                return Ok(Output::again(kept));
            }
            Looked::Miss(seat) => seat,
            Looked::Nothing => {
                let conclusion = self.conclude(input, passages, extras, cx).await?;
                return Ok(Output::of(conclusion));
            }
        };
        let metered = seat.metered(cx);
        let conclusion = self.conclude(input, passages, extras, &metered).await?;
        let keeping = seat.keeping(&conclusion, extras, cx);
        Ok(Output {
            keeping,
            ..Output::of(conclusion)
        })
    }
}
