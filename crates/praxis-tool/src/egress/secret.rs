//! Secrets that go out with requests: `env:NAME` in a file, the variable's value at the moment of the call. Left out:
//! what they open.

use praxis_core::{CallError, ErrorCode, KeyReference, Secret};

/// The secret behind `env:NAME`; `key` is what the file calls it.
///
/// # Errors
/// `unauthorized` where the variable is not set, or it is no reference.
pub(crate) fn secret(key: &str, reference: &KeyReference) -> Result<Secret, CallError> {
    let Some(name) = reference.variable() else {
        let message = format!("`{key}` names no environment variable");
        return Err(CallError::new(ErrorCode::Unauthorized, message)
            .with_hint("write \"env:NAME\": secrets do not belong into files"));
    };
    match std::env::var(name) {
        Ok(value) if !value.trim().is_empty() => Ok(Secret::new(value.trim())),
        _ => {
            let message = format!("the environment variable {name} of `{key}` is not set");
            Err(CallError::new(ErrorCode::Unauthorized, message)
                .with_hint(format!("export {name}=... before Praxis starts")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_not_there_names_its_variable_and_not_what_was_written() {
        let given = |text: &str| secret("headers.X-Key", &KeyReference::new(text)).unwrap_err();
        let error = given("env:PRAXIS_TEST_NO_SUCH_VARIABLE");
        assert!(error.message.contains("PRAXIS_TEST_NO_SUCH_VARIABLE"));
        assert_eq!(error.code, ErrorCode::Unauthorized);
        let error = given("sk-live-123");
        let text = format!("{error:?}");
        assert!(!text.contains("sk-live") && text.contains("headers.X-Key"));
        // A variable that every machine has.
        let found = secret("a", &KeyReference::new("env:PATH")).unwrap();
        assert_eq!(found.expose(), std::env::var("PATH").unwrap().trim());
    }
}
