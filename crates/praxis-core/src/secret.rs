//! Values that must not be printed.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A secret string: `Debug` and `Display` show `***`, serialization is not offered.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value of a key such as `api_key`. It should be `env:NAME`, but a person may have written the key itself
/// there, so it is never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReference(Secret);

impl KeyReference {
    /// A reference as written.
    pub fn new(written: impl Into<String>) -> Self {
        Self(Secret::new(written))
    }

    /// What was written, for a key that may hold more than references. It may be a secret.
    pub fn written(&self) -> &str {
        self.0.expose()
    }

    /// The environment variable's name, if it is a reference to one.
    pub fn variable(&self) -> Option<&str> {
        let name = self.0.expose().strip_prefix("env:")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
        (starts && name.chars().all(plain)).then_some(name)
    }
}

impl<'de> Deserialize<'de> for KeyReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("sk-live-123");
        assert!(!format!("{secret} {secret:?}").contains("sk-live"));
        assert_eq!(secret.expose(), "sk-live-123");
    }
}
