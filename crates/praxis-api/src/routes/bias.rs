//! `logit_bias` of chats and completions (OpenAI API reference): what is added to the logits of tokens, by their ids. Left
//! out: which tokens a model has, which it says itself.

use std::collections::BTreeMap;

use praxis_core::Sampling;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The bounds of biases, as the numbers of JSON are.
pub(crate) const MAX_BIAS: f64 = Sampling::MAX_BIAS as f64;
pub(crate) const MAX_BIASED: usize = Sampling::MAX_BIASED;

/// The biases of a request.
///
/// # Errors
/// A key that is no token's id, a value that is no bias, or too many of them.
pub(super) fn biases(given: Option<&Map<String, Value>>) -> Result<BTreeMap<u32, f32>, ApiError> {
    let invalid = |message: String| Err(ApiError::invalid("logit_bias", message));
    let Some(given) = given else {
        return Ok(BTreeMap::new());
    };
    if given.len() > MAX_BIASED {
        let count = given.len();
        return invalid(format!(
            "`logit_bias` has {count} tokens, {MAX_BIASED} are the most"
        ));
    }
    let mut biases = BTreeMap::new();
    for (token, bias) in given {
        let Ok(id) = token.parse::<u32>() else {
            return invalid(format!(
                "`logit_bias` has the key `{token}`: write the id of a token, such as `\"50256\"`"
            ));
        };
        let number = bias.as_f64();
        let Some(number) = number.filter(|n| (-MAX_BIAS..=MAX_BIAS).contains(n)) else {
            return invalid(format!(
                "`logit_bias` of the token {id} is {bias}: write a number between -100 and 100"
            ));
        };
        biases.insert(id, number as f32);
    }
    Ok(biases)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(given: &Value) -> Result<BTreeMap<u32, f32>, ApiError> {
        biases(given.as_object())
    }

    #[test]
    fn biases_are_read_by_the_ids_of_tokens() {
        assert!(read(&Value::Null).unwrap().is_empty());
        assert!(read(&json!({})).unwrap().is_empty());
        let wanted = BTreeMap::from([(5, -100.0), (50256, 2.5)]);
        assert_eq!(read(&json!({ "50256": 2.5, "5": -100 })).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_token_and_no_bias_is_refused_by_name() {
        let many: Map<String, Value> = (0..=MAX_BIASED)
            .map(|id| (id.to_string(), json!(1)))
            .collect();
        for given in [
            json!({ "a": 1 }),
            json!({ "-1": 1 }),
            json!({ "4294967296": 1 }),
            json!({ "5": 100.5 }),
            json!({ "5": -101 }),
            json!({ "5": "1" }),
            json!({ "5": null }),
            Value::Object(many),
        ] {
            let error = read(&given).unwrap_err().body();
            assert_eq!(error["error"]["param"], "logit_bias", "{error}");
            assert_eq!(error["error"]["code"], "invalid_request", "{error}");
        }
    }
}
