//! Headers and parameters as a file writes them: texts with places for values, and secrets, `env:NAME`, also behind a
//! word such as `Bearer env:NAME`. Left out: where they are sent.

use praxis_core::{CallError, ErrorCode, KeyReference, Problem};
use reqwest::header::{HeaderName, HeaderValue};

use super::problem;
use super::template::{Template, Values};
use crate::egress::secret;

/// Headers that belong to the connection and are set by the client alone.
const RESERVED: [&str; 11] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
    "proxy-authorization",
];

/// Words in names of headers whose values are secrets.
const SECRET: [&str; 5] = ["authorization", "cookie", "token", "secret", "api-key"];

/// What a header or a parameter says.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Text(Template),
    Secret {
        /// What the file calls it.
        key: String,
        /// What stands before it.
        before: String,
        reference: KeyReference,
    },
}

/// Whether a value names a secret.
pub(super) fn is_secret(value: &KeyReference) -> bool {
    split(value.written()).is_some()
}

/// What stands before `env:NAME`, and that.
fn split(text: &str) -> Option<(&str, &str)> {
    let at = text.find("env:")?;
    let (before, reference) = text.split_at(at);
    (before.is_empty() || before.ends_with(' ')).then_some((before, reference))
}

impl Said {
    /// Reads a value; `key` is what the file calls it.
    ///
    /// # Errors
    /// A text that is no template, or an `env:` without a name.
    pub fn parse(key: &str, text: &str) -> Result<Self, String> {
        let Some((before, reference)) = split(text) else {
            return Ok(Self::Text(Template::parse(text)?));
        };
        let reference = KeyReference::new(reference);
        if reference.variable().is_none() {
            return Err(format!(
                "`{key}` names no environment variable behind `env:`"
            ));
        }
        Ok(Self::Secret {
            key: key.to_owned(),
            before: before.to_owned(),
            reference,
        })
    }

    /// Names of its places.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Text(template) => template.names().collect(),
            Self::Secret { .. } => Vec::new(),
        }
    }

    /// What is sent; none where a value is not there.
    ///
    /// # Errors
    /// A secret that is not there.
    pub fn text(&self, values: &Values) -> Result<Option<String>, CallError> {
        match self {
            Self::Text(template) => Ok(template.text(values)),
            Self::Secret {
                key,
                before,
                reference,
            } => {
                let secret = secret(key, reference)?;
                Ok(Some(format!("{before}{}", secret.expose())))
            }
        }
    }

    /// What is sent as a parameter: as often as the template says; not at all where a value is not there.
    ///
    /// # Errors
    /// A secret that is not there.
    pub fn texts(&self, values: &Values) -> Result<Vec<String>, CallError> {
        match self {
            Self::Text(template) => Ok(template.texts(values)),
            Self::Secret { .. } => Ok(self.text(values)?.into_iter().collect()),
        }
    }

    /// What is sent as a header; none where a value is not there.
    ///
    /// # Errors
    /// A secret that is not there, or a value that no header can have.
    pub fn header(&self, name: &str, values: &Values) -> Result<Option<HeaderValue>, CallError> {
        let Some(text) = self.text(values)? else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            let message =
                format!("the value of the header `{name}` has characters that none may have");
            CallError::new(ErrorCode::InvalidRequest, message)
        })?;
        value.set_sensitive(matches!(self, Self::Secret { .. }));
        Ok(Some(value))
    }
}

/// What is wrong with a header of a file, and the fix.
pub(super) fn mistake(name: &str, value: &KeyReference) -> Option<(String, &'static str)> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(lower.as_bytes()).is_err() {
        return Some((format!("`{name}` is no header"), "write it as X-Api-Key"));
    }
    if RESERVED.contains(&lower.as_str()) {
        let message = format!("`{name}` is set by the client alone");
        return Some((message, "leave it out"));
    }
    if SECRET.iter().any(|word| lower.contains(word)) && !is_secret(value) {
        let message = format!("`{name}` is a secret, and secrets do not belong into files");
        return Some((message, "write \"env:NAME\" or \"Bearer env:NAME\""));
    }
    match Said::parse(name, value.written()) {
        Ok(Said::Text(_)) if HeaderValue::from_str(value.written()).is_err() => {
            let message = format!("`{name}` has characters that no header may have");
            Some((message, "write it on one line"))
        }
        Ok(_) => None,
        Err(error) => Some((error, "write \"env:NAME\", or a text with {places}")),
    }
}

/// Whether a caller may set a header itself: none that belongs to the connection, and none that could be a secret.
pub(super) fn is_free(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    !RESERVED.contains(&lower.as_str())
        && !SECRET.iter().any(|word| lower.contains(word))
        && !lower.starts_with("proxy-")
        && !lower.starts_with("x-forwarded")
        && lower != "forwarded"
}

/// Secrets of a file that are not there now: calls fail until they are.
pub(crate) fn warnings(values: impl Iterator<Item = (String, KeyReference)>) -> Vec<Problem> {
    let missing = values.filter_map(|(key, value)| {
        let (_, reference) = split(value.written())?;
        let reference = KeyReference::new(reference);
        reference.variable()?;
        let error = secret(&key, &reference).err()?;
        let help = error.hint.unwrap_or_default();
        Some(problem(&key, error.message, &help))
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_read_when_they_are_sent_and_never_shown() {
        let values = json!({ "word": "hello" }).as_object().unwrap().clone();
        for (text, sent) in [
            ("{word} there", Some("hello there")),
            ("{other}", None),
            ("plain", Some("plain")),
        ] {
            let said = Said::parse("a", text).unwrap();
            assert_eq!(said.text(&values).unwrap().as_deref(), sent, "{text}");
        }
        // A variable that every machine has.
        let said = Said::parse("headers.A", "Bearer env:PATH").unwrap();
        let header = said.header("A", &values).unwrap().unwrap();
        let path = std::env::var("PATH").unwrap();
        assert_eq!(header.to_str().unwrap(), format!("Bearer {}", path.trim()));
        assert!(header.is_sensitive() && !format!("{header:?}").contains("Bearer"));
        assert!(Said::parse("a", "env:").is_err());
        let said = Said::parse("a", "{word}").unwrap();
        let values = json!({ "word": "a\r\nX-Admin: yes" });
        let values = values.as_object().unwrap();
        assert!(said.header("a", values).is_err());
    }

    #[test]
    fn headers_of_the_connection_and_secrets_in_files_are_refused() {
        for (name, value, part) in [
            ("X-Api-Key", "env:KEY", ""),
            ("Authorization", "Bearer env:KEY", ""),
            ("Accept", "application/json", ""),
            ("X-City", "{city}", ""),
            ("a b", "x", "no header"),
            ("Host", "evil.test", "client alone"),
            ("Content-Length", "0", "client alone"),
            ("Authorization", "Bearer sk-live", "do not belong"),
            ("X-Api-Key", "sk-live", "do not belong"),
            ("X-A", "env:", "no environment variable"),
            ("X-A", "{", "begins or ends"),
            ("X-A", "a\nb", "no header may have"),
        ] {
            let found = mistake(name, &KeyReference::new(value));
            let message = found.map(|(message, _)| message).unwrap_or_default();
            assert!(message.contains(part), "{name}: {message}");
            assert_eq!(message.is_empty(), part.is_empty(), "{name}: {message}");
            assert!(!message.contains("sk-live"));
        }
        for (name, free) in [
            ("Accept", true),
            ("X-Page", true),
            ("Authorization", false),
            ("Cookie", false),
            ("X-Auth-Token", false),
            ("Host", false),
            ("X-Forwarded-For", false),
        ] {
            assert_eq!(is_free(name), free, "{name}");
        }
    }

    #[test]
    fn secrets_that_are_not_there_are_told_when_the_tools_are_made() {
        let values = [
            (
                "headers.A".to_owned(),
                KeyReference::new("Bearer env:PRAXIS_TEST_NO_SUCH_VARIABLE"),
            ),
            ("headers.B".to_owned(), KeyReference::new("env:PATH")),
            ("query.c".to_owned(), KeyReference::new("{city}")),
        ];
        let found = warnings(values.into_iter());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "headers.A");
        assert!(found[0].message.contains("PRAXIS_TEST_NO_SUCH_VARIABLE"));
    }
}
