//! What the name of a Claude says of it, wherever it runs: its version, and its word for how much it tries. Left out: what
//! follows of a version, which differs by whose API it is asked through.

use praxis_core::chat::ReasoningEffort;

/// A version; the newest models and previews have none in their names.
pub(super) type Version = (u32, u32);

/// The version in a name such as `claude-opus-4-5-20251101`, `claude-3-7-sonnet` or `anthropic.claude-v2:1`: its first
/// number that is no date, and the one behind it.
pub(super) fn version(name: &str) -> Option<Version> {
    let (_, rest) = name.split_once("claude")?;
    let number = |part: &str| {
        let short = (1..=2).contains(&part.len());
        part.parse::<u32>().ok().filter(|_| short)
    };
    let mut parts = rest.split(|c: char| !c.is_ascii_alphanumeric());
    while let Some(part) = parts.next() {
        if let Some(major) = number(part) {
            return Some((major, parts.next().and_then(number).unwrap_or(0)));
        }
        if let Some(old) = part.strip_prefix('v').and_then(number) {
            return Some((old, 0));
        }
    }
    None
}

/// The word for how much a model tries. Models before 4.7, and those without a version, know no `xhigh`.
pub(super) fn effort(version: Option<Version>, effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
        ReasoningEffort::XHigh if version.is_some_and(|version| version >= (4, 7)) => "xhigh",
        ReasoningEffort::XHigh | ReasoningEffort::Max => "max",
    }
}
