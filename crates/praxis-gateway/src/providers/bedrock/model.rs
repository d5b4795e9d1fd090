//! What a model takes, as far as its id says. Makers differ in what Converse leaves to them, and Claude from version
//! to version (Amazon Bedrock user guide: "Prompt caching", "Adaptive thinking", "Extended thinking", and the cards of
//! the models; API reference, "ToolChoice"). An ARN that names no model says nothing: such a model is asked for
//! nothing special.

use praxis_core::chat::ReasoningEffort;

use crate::providers::claude::{self, Version, version};

/// A model by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model<'a> {
    id: &'a str,
    maker: Maker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// Anthropic. Previews have no version: they are as the newest.
    Claude(Option<Version>),
    Nova,
    MistralLarge,
    Other,
}

/// How a model is told to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It cannot be, as far as is known.
    Untold,
    /// By the most tokens that it thinks.
    Budget,
    /// By how much it tries; when it thinks is its own choice.
    Effort,
}

impl<'a> Model<'a> {
    pub fn of(id: &'a str) -> Self {
        let maker = if id.contains("anthropic.claude") {
            Maker::Claude(version(id))
        } else if id.contains("amazon.nova") {
            Maker::Nova
        } else if id.contains("mistral.mistral-large") {
            Maker::MistralLarge
        } else {
            Maker::Other
        };
        Self { id, maker }
    }

    pub fn is_claude(self) -> bool {
        matches!(self.maker, Maker::Claude(_))
    }

    /// Whether it is a Claude of this version or a later one.
    fn since(self, first: Version) -> bool {
        matches!(self.maker, Maker::Claude(version) if version.is_none_or(|v| v >= first))
    }

    /// Whether it can be made to call a certain tool.
    pub fn calls_named(self) -> bool {
        match self.maker {
            Maker::Claude(_) => !self.refuses_force(),
            Maker::Nova => true,
            Maker::MistralLarge | Maker::Other => false,
        }
    }

    /// Whether it can be made to call some tool.
    pub fn calls_any(self) -> bool {
        self.calls_named() || self.maker == Maker::MistralLarge
    }

    /// Claude has ceased to take forced calls, but for the smallest models.
    fn refuses_force(self) -> bool {
        let first = if self.is_largest() { (5, 1) } else { (5, 5) };
        self.since(first) && !self.id.contains("haiku")
    }

    /// Whether it is of the lines that are above Opus.
    fn is_largest(self) -> bool {
        self.id.contains("claude-fable") || self.id.contains("claude-mythos")
    }

    /// Whether it takes points up to which a prompt is kept; others refuse the whole question for one.
    pub fn caches(self) -> bool {
        match self.maker {
            Maker::Claude(Some((3, 5))) => self.id.contains("haiku"),
            Maker::Claude(_) => self.since((3, 7)),
            Maker::Nova => true,
            Maker::MistralLarge | Maker::Other => false,
        }
    }

    /// Whether it takes such a point behind its tools, results and media, too.
    pub fn caches_all(self) -> bool {
        self.is_claude() && self.caches()
    }

    /// Whether it takes `temperature` and its like.
    pub fn samples(self) -> bool {
        !self.since((4, 7))
    }

    /// Whether it refuses `temperature` and `top_p` at once.
    pub fn takes_one_of_both(self) -> bool {
        self.since((4, 1))
    }

    pub fn thinking(self) -> Thinking {
        if self.since((4, 6)) {
            Thinking::Effort
        } else if self.since((3, 7)) {
            Thinking::Budget
        } else {
            Thinking::Untold
        }
    }

    /// Whether it thinks where nothing is said.
    pub fn thinks_unasked(self) -> bool {
        self.since((5, 0))
    }

    /// Whether it can be told not to think.
    pub fn can_rest(self) -> bool {
        self.maker == Maker::Claude(Some((5, 0))) && !self.is_largest()
    }

    /// Its word for how much it tries.
    pub fn effort(self, effort: ReasoningEffort) -> &'static str {
        match self.maker {
            Maker::Claude(version) => claude::effort(version, effort),
            _ => claude::effort(None, effort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_wherever_an_id_has_it() {
        for (id, expected) in [
            ("anthropic.claude-v2:1", Some((2, 0))),
            ("anthropic.claude-instant-v1", Some((1, 0))),
            ("anthropic.claude-3-haiku-20240307-v1:0", Some((3, 0))),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Some((3, 7))),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1",
                Some((4, 6)),
            ),
            ("global.anthropic.claude-opus-5-5", Some((5, 5))),
            ("anthropic.claude-mythos-preview", None),
            ("anthropic.claude-", None),
            ("", None),
        ] {
            assert_eq!(version(id), expected, "{id}");
        }
    }

    #[test]
    fn a_model_takes_what_its_maker_says() {
        let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
        // A certain tool, any tool, points for caches, such points behind tools, sampling, both kinds of it.
        for (id, expected) in [
            (
                "anthropic.claude-3-haiku-20240307-v1:0",
                "named any - - samples both",
            ),
            (
                "anthropic.claude-3-5-sonnet-20241022-v2:0",
                "named any - - samples both",
            ),
            (
                "anthropic.claude-3-5-haiku-20241022-v1:0",
                "named any caches all samples both",
            ),
            (
                "anthropic.claude-sonnet-4-20250514-v1:0",
                "named any caches all samples both",
            ),
            (
                "anthropic.claude-haiku-4-5-20251001-v1:0",
                "named any caches all samples -",
            ),
            ("anthropic.claude-opus-4-7", "named any caches all - -"),
            ("anthropic.claude-fable-5-1", "- - caches all - -"),
            ("anthropic.claude-sonnet-5-5", "- - caches all - -"),
            ("anthropic.claude-haiku-5-5", "named any caches all - -"),
            (
                "us.amazon.nova-lite-v1:0",
                "named any caches - samples both",
            ),
            ("mistral.mistral-large-2407-v1:0", "- any - - samples both"),
            ("meta.llama3-1-70b-instruct-v1:0", "- - - - samples both"),
            (arn, "- - - - samples both"),
        ] {
            let model = Model::of(id);
            let is = [
                ("named", model.calls_named()),
                ("any", model.calls_any()),
                ("caches", model.caches()),
                ("all", model.caches_all()),
                ("samples", model.samples()),
                ("both", !model.takes_one_of_both()),
            ];
            let words = is.map(|(word, is)| if is { word } else { "-" });
            assert_eq!(words.join(" "), expected, "{id}");
        }
    }

    #[test]
    fn a_model_thinks_in_the_way_of_its_version() {
        use ReasoningEffort::{Minimal, XHigh};
        for (id, thinking, most, unasked, rests) in [
            (
                "anthropic.claude-3-5-sonnet-20241022-v2:0",
                Thinking::Untold,
                "max",
                false,
                false,
            ),
            (
                "anthropic.claude-3-7-sonnet-20250219-v1:0",
                Thinking::Budget,
                "max",
                false,
                false,
            ),
            (
                "anthropic.claude-opus-4-5-20251101-v1:0",
                Thinking::Budget,
                "max",
                false,
                false,
            ),
            (
                "anthropic.claude-sonnet-4-6",
                Thinking::Effort,
                "max",
                false,
                false,
            ),
            (
                "anthropic.claude-opus-4-8",
                Thinking::Effort,
                "xhigh",
                false,
                false,
            ),
            (
                "anthropic.claude-opus-5",
                Thinking::Effort,
                "xhigh",
                true,
                true,
            ),
            (
                "anthropic.claude-fable-5",
                Thinking::Effort,
                "xhigh",
                true,
                false,
            ),
            (
                "anthropic.claude-opus-5-5",
                Thinking::Effort,
                "xhigh",
                true,
                false,
            ),
            (
                "anthropic.claude-mythos-preview",
                Thinking::Effort,
                "max",
                true,
                false,
            ),
            (
                "amazon.nova-pro-v1:0",
                Thinking::Untold,
                "max",
                false,
                false,
            ),
        ] {
            let model = Model::of(id);
            assert_eq!(model.thinking(), thinking, "{id}");
            assert_eq!(
                (model.effort(Minimal), model.effort(XHigh)),
                ("low", most),
                "{id}"
            );
            assert_eq!(
                (model.thinks_unasked(), model.can_rest()),
                (unasked, rests),
                "{id}"
            );
        }
    }
}
