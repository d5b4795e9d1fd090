//! What a request says in words that only some providers have: how long an answer is to be, what it may cost, how its
//! form is called. Left out: how a provider says it, and what becomes of a word that it has not (it is left out, and the
//! trace says so). Local models go without all of it.

use serde::{Deserialize, Serialize};

/// The words. The default says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// How long the answer is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Verbosity>,
    /// How soon the answer is needed, and at what price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// How long the provider may keep the prompt in its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_retention: Option<CacheRetention>,
    /// How long it should at least: `ttl` of OpenAI's `prompt_cache_options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_ttl: Option<String>,
    /// How the schema of the answer is told.
    #[serde(skip_serializing_if = "Form::is_plain")]
    pub form: Form,
    /// The tools, by name, whose arguments the provider has to hold to their schemas (OpenAI's `strict`). Local models
    /// always do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strict_tools: Vec<String>,
}

impl Extras {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// OpenAI's names of what is said and changes an answer or its price, for a provider that has none of the words.
    /// What is said of caches is no more than advice.
    pub fn asked(&self) -> Vec<&'static str> {
        let tier = self.service_tier.is_some_and(ServiceTier::differs);
        let all = [
            ("verbosity", self.verbosity.is_some()),
            ("service_tier", tier),
            ("strict", !self.strict_tools.is_empty()),
        ];
        let asked = all.into_iter().filter(|(_, asked)| *asked);
        asked.map(|(name, _)| name).collect()
    }
}

/// How long an answer is to be (OpenAI's `verbosity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// To the point.
    Low,
    /// As models do it unasked.
    Medium,
    /// With all that there is to say.
    High,
}

impl Verbosity {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How soon an answer is needed, and at what price (OpenAI's `service_tier`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// As the account is set.
    Auto,
    /// At the usual price.
    Default,
    /// Later, and cheaper.
    Flex,
    /// From what the account has reserved.
    Scale,
    /// Sooner, and dearer.
    Priority,
    /// The same.
    Fast,
}

impl ServiceTier {
    /// Whether it is another than the usual one.
    pub fn differs(self) -> bool {
        !matches!(self, Self::Auto | Self::Default)
    }

    /// Its name on the wire, unless it costs more than the price that a model is counted at: a client's word must not
    /// spend more of the operator's money than its limits know of.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Auto => Some("auto"),
            Self::Default => Some("default"),
            Self::Flex => Some("flex"),
            Self::Scale | Self::Priority | Self::Fast => None,
        }
    }
}

/// How long a provider may keep a prompt (OpenAI's `prompt_cache_retention`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum CacheRetention {
    /// Some minutes, in memory.
    #[serde(rename = "in_memory")]
    InMemory,
    /// A day.
    #[serde(rename = "24h")]
    Day,
}

/// How the schema that an answer is held to is told (OpenAI's `response_format.json_schema`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// What the answer is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the answer is for; models read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the provider has to hold the answer to the schema, or else refuse; `None`: where the schema lets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

impl Form {
    /// Whether nothing is said.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_not_written_and_words_are_openais() {
        let extras = Extras {
            verbosity: Some(Verbosity::Low),
            service_tier: Some(ServiceTier::Flex),
            cache_retention: Some(CacheRetention::Day),
            form: Form {
                strict: Some(false),
                ..Form::default()
            },
            ..Extras::default()
        };
        let written = json!({
            "verbosity": "low",
            "service_tier": "flex",
            "cache_retention": "24h",
            "form": { "strict": false },
        });
        assert_eq!(serde_json::to_value(&extras).unwrap(), written);
        assert_eq!(serde_json::from_value::<Extras>(written).unwrap(), extras);
        assert_eq!(extras.asked(), ["verbosity", "service_tier"]);
        let nothing = Extras::default();
        assert!(nothing.is_empty() && nothing.asked().is_empty());
        assert_eq!(serde_json::to_value(&nothing).unwrap(), json!({}));
    }

    #[test]
    fn a_tier_that_costs_more_than_the_price_has_no_word() {
        for (tier, word) in [
            ("auto", Some("auto")),
            ("default", Some("default")),
            ("flex", Some("flex")),
            ("priority", None),
            ("fast", None),
            ("scale", None),
        ] {
            let tier: ServiceTier = serde_json::from_value(json!(tier)).unwrap();
            assert_eq!(tier.word(), word, "{tier:?}");
        }
    }
}
