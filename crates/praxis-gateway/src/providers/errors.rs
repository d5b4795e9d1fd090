//! What the errors of compatible providers say beyond their status: codes of their own, and words in which the
//! window's size stands.

use praxis_core::ModelError;
use serde_json::Value;

/// A field of an error, a text or a number; empty where there is none.
pub(super) fn field(body: &str, name: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = json.get("error").filter(|error| error.is_object());
    match error.unwrap_or(&json).get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The same words in another sense.
pub(super) fn meant(error: ModelError, sense: impl FnOnce(String) -> ModelError) -> ModelError {
    match error {
        ModelError::InvalidRequest(said)
        | ModelError::NotFound(said)
        | ModelError::Unauthorized(said)
        | ModelError::Unavailable(said)
        | ModelError::RateLimited { message: said, .. } => sense(said),
        other => other,
    }
}

/// The provider has no room now.
pub(super) fn busy(message: String) -> ModelError {
    ModelError::RateLimited {
        message,
        retry_after: None,
    }
}

/// A prompt that does not fit: the window's size stands right behind the words `window`, that of the prompt behind
/// `prompt`, which is empty where none is told.
pub(super) fn too_long(said: &str, prompt: &str, window: &str) -> Option<ModelError> {
    Some(ModelError::ContextLengthExceeded {
        context_length: number_after(said, window)?,
        prompt_tokens: number_after(said, prompt).unwrap_or_default(),
    })
}

fn number_after(text: &str, words: &str) -> Option<usize> {
    let (_, after) = text.split_once(words).filter(|_| !words.is_empty())?;
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    after.get(..after.len() - rest.len())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_where_providers_put_them() {
        for body in [
            r#"{"error":{"code":"1302","message":"slow down"}}"#,
            r#"{"error":{"code":1302,"message":"slow down"}}"#,
            r#"{"code":"1302","message":"slow down","request_id":"r"}"#,
            r#"{"error":"slow down","code":1302,"message":"slow down"}"#,
        ] {
            let fields = (field(body, "code"), field(body, "message"));
            assert_eq!(
                fields,
                ("1302".to_owned(), "slow down".to_owned()),
                "{body}"
            );
        }
        assert_eq!(field("<html>", "code"), "");
        assert_eq!(field("[]", "code"), "");
    }

    #[test]
    fn a_window_is_read_where_it_is_told() {
        let said = "model token limit: 8192 (requested: 9001)";
        let found = too_long(said, "requested: ", "limit: ");
        assert!(matches!(
            found,
            Some(ModelError::ContextLengthExceeded {
                prompt_tokens: 9001,
                context_length: 8192
            })
        ));
        let found = too_long(said, "elsewhere: ", "limit: ");
        assert!(matches!(
            found,
            Some(ModelError::ContextLengthExceeded {
                prompt_tokens: 0,
                context_length: 8192
            })
        ));
        assert!(too_long(said, "requested: ", "limit").is_none());
        assert!(too_long("limit: 99999999999999999999999", "", "limit: ").is_none());
        assert!(too_long("limit: é", "", "limit: ").is_none());
    }
}
