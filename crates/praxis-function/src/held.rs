//! Holding a model to a form, where it can be held: a model that refuses a constraint is asked without it,
//! and from then on it is not held to such a form any more. What it writes freely is for others to check;
//! a grammar, which nobody else can check, is never left out.

use std::sync::atomic::{AtomicBool, Ordering};

use praxis_core::{CallError, ChatRequest, Constraint, ErrorCode};

/// Whether a function's model turned out to be one that cannot be held to a form of one kind.
#[derive(Debug, Default)]
pub(crate) struct Unheld(AtomicBool);

impl Unheld {
    /// Whether it is known that the model cannot be held.
    fn is_known(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks with the request's constraint, or, where the model cannot be held to it, without one: `ask`
    /// sees by the request which it is.
    ///
    /// # Errors
    /// Those of `ask`; what is wrong with the request itself is wrong without a constraint as well.
    /// `invalid_request` where the model cannot be held to a grammar.
    pub async fn ask<T, F>(
        &self,
        function: &str,
        mut request: ChatRequest,
        ask: impl Fn(ChatRequest) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        if matches!(request.constraint, Some(Constraint::Grammar(_))) {
            let answer = ask(request).await;
            return answer.map_err(|error| not_held(function, error));
        }
        if self.is_known() {
            request.constraint = None;
        }
        if request.constraint.is_none() {
            return ask(request).await;
        }
        match ask(request.clone()).await {
            // Providers differ in which constraints they know, and say so with this code alone.
            Err(error) if error.code == ErrorCode::InvalidRequest => {
                request.constraint = None;
                let answer = ask(request).await?;
                tracing::warn!(
                    function,
                    reason = error.message,
                    "the model is asked without a constraint; its output is checked"
                );
                self.0.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            other => other,
        }
    }
}

/// A refused request whose constraint was a grammar: that may be why, and nothing can take its place.
fn not_held(function: &str, mut error: CallError) -> CallError {
    if error.code != ErrorCode::InvalidRequest {
        return error;
    }
    let about = format!("`{function}` must be held to the grammar of its `praxis.constraint`: ");
    error.message.insert_str(0, &about);
    error.hint.get_or_insert_with(|| {
        "name a local model, or one whose endpoint takes grammars; a `regex` or a `choice` is checked where \
         it cannot be enforced"
            .to_owned()
    });
    error
}
