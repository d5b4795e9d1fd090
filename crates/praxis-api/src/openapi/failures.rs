//! What requests fail with: the shape of an error, and an answer for each status with the codes that it carries, all
//! from the one table of `praxis-core`.

use std::collections::BTreeMap;

use praxis_core::ErrorCode;
use praxis_core::error::ERROR_CODES;
use serde_json::{Map, Value, json};

use super::shape::{anything, count, has, may, named, nullable, object, text, word};
use crate::error::ApiError;

/// The statuses of requests that may be sent again later.
const LATER: &[u16] = &[409, 429, 503];

/// Headers of answers: name, where they come, and what they say.
const HEADERS: &[(&str, Which, &str)] = &[
    (
        "x-request-id",
        Which::All,
        "The request's id: the one that the client sent in this header, else one that the server made.",
    ),
    (
        "openai-version",
        Which::OpenAi,
        "Below `/v1`: the version of OpenAI's API.",
    ),
    (
        "openai-processing-ms",
        Which::OpenAi,
        "Below `/v1`: milliseconds until the answer began.",
    ),
    (
        "retry-after",
        Which::Later,
        "Seconds after which the same request may succeed.",
    ),
    (
        "x-ratelimit-limit-requests",
        Which::Limited,
        "How many requests the limit allows that is nearest to being used up, where the caller has one.",
    ),
    (
        "x-ratelimit-remaining-requests",
        Which::Limited,
        "How many of them are left.",
    ),
    (
        "x-ratelimit-reset-requests",
        Which::Limited,
        "When all of them are there again, such as `1s` or `6m0s`.",
    ),
    (
        "x-ratelimit-limit-tokens",
        Which::Limited,
        "How many tokens the limit allows that is nearest to being used up, where the caller has one.",
    ),
    (
        "x-ratelimit-remaining-tokens",
        Which::Limited,
        "How many of them are left.",
    ),
    (
        "x-ratelimit-reset-tokens",
        Which::Limited,
        "When all of them are there again.",
    ),
];

/// Answers that have a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    OpenAi,
    Later,
    Limited,
}

/// The answer for a body that nobody here can read.
const UNREADABLE: &str = "unreadable";

/// The headers of the document by name.
pub(super) fn headers() -> Map<String, Value> {
    let header = |(name, _, about): &(&str, Which, &str)| {
        let kind = match *name {
            "retry-after" => json!({ "type": "integer", "minimum": 1 }),
            "openai-processing-ms" => count(),
            _ => text(),
        };
        let header = json!({ "description": about, "schema": kind });
        ((*name).to_owned(), header)
    };
    HEADERS.iter().map(header).collect()
}

/// References to the headers of a good answer of this path.
pub(super) fn headers_of(path: &str, limited: bool) -> Value {
    references(|which| match which {
        Which::All => true,
        Which::OpenAi => path.starts_with("/v1/"),
        Which::Later => false,
        Which::Limited => limited,
    })
}

fn references(is_of: impl Fn(Which) -> bool) -> Value {
    let all = HEADERS.iter().filter(|(_, which, _)| is_of(*which));
    let reference = |(name, ..): &(&str, Which, &str)| {
        let reference = json!({ "$ref": format!("#/components/headers/{name}") });
        ((*name).to_owned(), reference)
    };
    Value::Object(all.map(reference).collect())
}

/// The shape of an error.
pub(super) fn schema() -> Value {
    let codes: Vec<&str> = ERROR_CODES.iter().map(|code| code.as_str()).collect();
    let mut types: Vec<&str> = ERROR_CODES.iter().map(|code| code.openai_type()).collect();
    types.sort_unstable();
    types.dedup();
    let error = object(
        "What went wrong.",
        [
            has(
                "message",
                "For people: what is wrong, and how to mend it. It may change.",
                text(),
            ),
            has("type", "OpenAI's sort of error.", word(&types)),
            has(
                "param",
                "The field that it is about, such as `messages[0].content`.",
                nullable(text()),
            ),
            has(
                "code",
                "For programs: stable. What to do about each is in the answers that carry it.",
                word(&codes),
            ),
            may(
                "details",
                "What a program can use, such as the best attempt at an output.",
                anything(),
            ),
        ],
    );
    object(
        "An error, in OpenAI's shape.",
        [has("error", "The error.", error)],
    )
}

/// The answers that operations share, by the codes that they carry.
#[derive(Default)]
pub(super) struct Failures(BTreeMap<String, Value>);

impl Failures {
    /// References to the answers for these codes, by status.
    pub fn of(&mut self, codes: &[ErrorCode]) -> Vec<(u16, Value)> {
        let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
        // In the order of the table, whatever the order of an operation's list.
        for code in ERROR_CODES.iter().filter(|code| codes.contains(code)) {
            by_status.entry(code.http_status()).or_default().push(*code);
        }
        let answers = by_status.into_iter();
        answers
            .map(|(status, codes)| (status, self.answer(status, &codes)))
            .collect()
    }

    /// A reference to the answer for a body that is packed in a way that is not known, with its status.
    pub fn unreadable(&mut self) -> (u16, Value) {
        let answer = self.0.entry(UNREADABLE.to_owned());
        answer.or_insert_with(|| {
            json!({
                "description": "The body is packed in another way than with `gzip`: see its `content-encoding`.",
                "headers": references(|which| which == Which::All),
                "content": { "application/json": { "schema": named("Error") } },
            })
        });
        (415, reference(UNREADABLE))
    }

    /// All answers by name.
    pub fn finish(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }

    fn answer(&mut self, status: u16, codes: &[ErrorCode]) -> Value {
        let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let name = names.join("-");
        let found = reference(&name);
        self.0.entry(name).or_insert_with(|| {
            let told = codes.iter().map(|code| {
                let (code, remedy) = (code.as_str(), code.remedy());
                format!("`{code}`: {remedy}")
            });
            let told: Vec<String> = told.collect();
            let examples = codes.iter().map(|code| {
                let error = ApiError::new(*code, "What is wrong, and how to mend it.");
                (code.as_str().to_owned(), json!({ "value": error.body() }))
            });
            let examples: Map<String, Value> = examples.collect();
            json!({
                "description": told.join("\n\n"),
                "headers": references(|which| match which {
                    Which::All | Which::OpenAi | Which::Limited => true,
                    Which::Later => LATER.contains(&status),
                }),
                "content": { "application/json": { "schema": named("Error"), "examples": examples } },
            })
        });
        found
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_one_status_share_an_answer() {
        let mut failures = Failures::default();
        let codes = [
            ErrorCode::QuotaExceeded,
            ErrorCode::NotFound,
            ErrorCode::RateLimited,
        ];
        let found = failures.of(&codes);
        let statuses: Vec<u16> = found.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [404, 429]);
        assert_eq!(failures.of(&[ErrorCode::NotFound]), found[..1]);
        let all = failures.finish();
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["not_found", "rate_limited-quota_exceeded"]);
        assert!(all["rate_limited-quota_exceeded"]["headers"]["retry-after"].is_object());
        assert!(all["not_found"]["headers"]["retry-after"].is_null());
    }

    #[test]
    fn every_error_has_the_shape_that_is_described() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for code in ERROR_CODES {
            let error = ApiError::invalid("param", "message").about("other");
            assert!(validator.is_valid(&error.body()));
            let error = ApiError::new(*code, "message");
            assert!(validator.is_valid(&error.body()), "{}", code.as_str());
        }
    }
}
