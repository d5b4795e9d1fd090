//! `praxis/calculate`: arithmetic without rounding, for models, which cannot be trusted with it.
//!
//! Whole numbers and decimals of any size are exact fractions; roots, logarithms and circles are right to the digits
//! that are shown. It is our own: of the crates that were read, fend-core parses `1-(2-(3-...` in time that doubles
//! with each parenthesis and cannot be interrupted there, and floating point loses `0.1 + 0.2`. Left out: variables,
//! equations, units (`convert`).

mod functions;
mod lexer;
pub(super) mod number;
pub(super) mod parse;
mod real;
pub(super) mod shown;

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, ErrorCode, Function, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::work::{Work, invalid, read, tool};

/// The function's name.
pub(crate) const NAME: &str = "praxis/calculate";

/// The longest expression, in characters.
const LONGEST: usize = 2000;

/// Significant digits of what has too many, where the caller does not say, and the most.
const DIGITS: u32 = 20;
const MOST_DIGITS: u32 = 60;

/// Expressions that are computed at a time.
const AT_ONCE: usize = 4;

struct Calculate {
    signature: Signature,
    places: Semaphore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    expression: String,
    digits: Option<u32>,
}

/// The calculator.
///
/// # Errors
/// None: its schema is one.
pub(super) fn function() -> Result<Arc<dyn Function>, Problem> {
    let input_schema = json!({
        "type": "object",
        "properties": {
            "expression": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST,
                "description": "such as (1 + 5%)^10 * 2500, sqrt(2), round(10/3, 2), max(3, 7), 20!, 15% of 80",
            },
            "digits": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_DIGITS,
                "description": "significant digits of a result that has no end",
            },
        },
        "required": ["expression"],
        "additionalProperties": false,
    });
    let output_schema = json!({
        "type": "object",
        "properties": {
            "result": { "type": "string" },
            "exact": { "type": "boolean" },
            "fraction": { "type": "string" },
        },
        "required": ["result", "exact"],
    });
    tool(Calculate {
        signature: Signature {
            name: NAME.to_owned(),
            description: "Computes an arithmetic expression exactly: + - * / ^ ( ) ! %, mod, and functions such as \
                          sqrt, round, min, max, sum, mean, gcd, ln, log10, log(x, base), sin (in radians)."
                .to_owned(),
            input_schema,
            output_schema,
            effects: Effects::default(),
        },
        places: Semaphore::new(AT_ONCE),
    })
}

#[async_trait]
impl Work for Calculate {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
        let input: Input = read(NAME, input)?;
        let digits = input.digits.unwrap_or(DIGITS);
        // Its work is bounded, to about half a second.
        let place = self.places.acquire().await.map_err(CallError::failure)?;
        let result = tokio::task::spawn_blocking(move || {
            let number = parse::evaluate(&input.expression)?;
            Ok(shown::shown(&number, digits))
        })
        .await
        .map_err(|_| CallError::new(ErrorCode::Internal, "the calculator ended early"))?;
        drop(place);
        let result = result.map_err(|what: String| {
            invalid(NAME, what).with_hint("write plain arithmetic, such as 2 * (3 + 4)^2")
        })?;
        let mut output = json!({ "result": result.text, "exact": result.exact });
        if let Some(fraction) = result.fraction {
            output["fraction"] = json!(fraction);
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests;
