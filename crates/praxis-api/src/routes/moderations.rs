//! `/v1/moderations` (OpenAI API reference, "Create moderation"): texts judged here, by the application's embedder and
//! the classifier for it. OpenAI's names of models are aliases; any other name is an embedder's.
//!
//! Beside OpenAI's categories each result has `praxis`: personal data and secrets that rules found, with their places,
//! and categories of the application's own. Left out: images, which nothing here judges.

use axum::Json;
use axum::extract::State;
use praxis_core::ledger::UsageKind;
use praxis_core::{CallError, ErrorCode};
use praxis_function::moderation::{CATEGORIES, Score};
use praxis_function::personal::{Finding, Kinds, Surety, find};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// The most texts of one request, and parts of one input.
pub(crate) const MAX_INPUTS: usize = 32;

/// The most characters of a text.
pub(crate) const MAX_CHARS: usize = 100_000;

/// What OpenAI's models are called; here they are one.
const ALIASES: [&str; 6] = [
    "omni-moderation-latest",
    "omni-moderation-2024-09-26",
    "text-moderation-latest",
    "text-moderation-stable",
    "text-moderation-007",
    "praxis-moderation",
];

/// A request; fields that change nothing here are ignored.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ModerationRequest")]
pub(crate) struct Request {
    input: Value,
    #[serde(default)]
    model: String,
    #[serde(default)]
    user: Option<String>,
}

/// One result for each text; one for all parts of an input of parts.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Value>, ApiError> {
    let inputs = inputs(&request.input)?;
    let cx = state.context(caller, paying.by_user(request.user));
    let cx = cx.counted_as(UsageKind::Moderation);
    // A client that goes away ends the call.
    let _guard = cx.cancel().clone().drop_guard();
    let name = request.model.as_str();
    let model = Some(name).filter(|name| !name.is_empty() && !ALIASES.contains(name));
    let embedder = (state.embedders)(model, &cx)?;
    let texts: Vec<&str> = inputs.iter().flatten().copied().collect();
    let moderator = state.library.moderator();
    let scores = moderator.scores(embedder.as_ref(), &texts).await;
    let mut scores = scores.map_err(wrong)?.into_iter();
    let results: Vec<Value> = inputs
        .iter()
        .map(|parts| {
            let of_parts = scores.by_ref().take(parts.len());
            result(parts, &worst(of_parts))
        })
        .collect();
    Ok(Json(json!({
        "id": format!("modr-{}", cx.trace_id()),
        "model": format!("praxis-moderation:{}", embedder.identity()),
        "results": results,
    })))
}

/// An error of the moderation, about the field that can be corrected.
fn wrong(error: CallError) -> ApiError {
    let is_request = error.code == ErrorCode::InvalidRequest;
    let error = ApiError::from(error);
    if is_request {
        error.about("input")
    } else {
        error
    }
}

/// The texts that each result is about.
fn inputs(input: &Value) -> Result<Vec<Vec<&str>>, ApiError> {
    let form = "`input` must be a string, an array of strings, or an array of content parts";
    let items = match input {
        Value::String(text) => return Ok(vec![vec![checked(text, "input")?]]),
        Value::Array(items) => items,
        _ => return Err(ApiError::invalid("input", form)),
    };
    if items.is_empty() || items.len() > MAX_INPUTS {
        let message = format!(
            "`input` has {} items; between 1 and {MAX_INPUTS} are allowed",
            items.len()
        );
        return Err(ApiError::invalid("input", message));
    }
    let is_parts = items.iter().any(Value::is_object);
    let mut texts = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let place = format!("input[{i}]");
        let text = match item {
            Value::String(text) if !is_parts => text.as_str(),
            Value::Object(part) if is_parts => part_text(part, &place)?,
            _ => return Err(ApiError::invalid(&place, form)),
        };
        texts.push(checked(text, &place)?);
    }
    Ok(match is_parts {
        true => vec![texts],
        false => texts.into_iter().map(|text| vec![text]).collect(),
    })
}

fn part_text<'a>(part: &'a Map<String, Value>, place: &str) -> Result<&'a str, ApiError> {
    match part.get("type").and_then(Value::as_str) {
        Some("text") => part.get("text").and_then(Value::as_str).ok_or_else(|| {
            let place = format!("{place}.text");
            let message = format!("`{place}` must be a string");
            ApiError::invalid(&place, message)
        }),
        Some("image_url") => {
            let message =
                format!("`{place}` is an image, and images are not judged here; send text");
            Err(ApiError::invalid(place, message))
        }
        _ => {
            let place = format!("{place}.type");
            let message = format!("`{place}` must be `text`");
            Err(ApiError::invalid(&place, message))
        }
    }
}

fn checked<'a>(text: &'a str, place: &str) -> Result<&'a str, ApiError> {
    if text.chars().nth(MAX_CHARS).is_some() {
        let message =
            format!("`{place}` is longer than {MAX_CHARS} characters; send it in several texts");
        return Err(ApiError::invalid(place, message));
    }
    Ok(text)
}

/// The highest score of each category among those of some parts.
fn worst(parts: impl Iterator<Item = Vec<Score>>) -> Vec<Score> {
    let all = parts.reduce(|mut worst, part| {
        for (worst, score) in worst.iter_mut().zip(part) {
            worst.score = worst.score.max(score.score);
        }
        worst
    });
    all.unwrap_or_default()
}

fn result(parts: &[&str], scores: &[Score]) -> Value {
    let (mut categories, mut category_scores) = (Map::new(), Map::new());
    let mut applied = Map::new();
    for category in CATEGORIES {
        let score = scores.iter().find(|score| score.category == category);
        let name = || category.to_owned();
        categories.insert(name(), json!(score.is_some_and(Score::is_reached)));
        category_scores.insert(name(), json!(score.map_or(0.0, |score| score.score)));
        // What no classifier looks at was not judged.
        let types: &[&str] = if score.is_some() { &["text"] } else { &[] };
        applied.insert(name(), json!(types));
    }
    let own = scores
        .iter()
        .filter(|score| !CATEGORIES.contains(&score.category.as_str()));
    let (mut own_categories, mut own_scores) = (Map::new(), Map::new());
    for score in own {
        own_categories.insert(score.category.clone(), json!(score.is_reached()));
        own_scores.insert(score.category.clone(), json!(score.score));
    }
    let flagged = scores.iter().any(Score::is_reached);
    metrics::counter!("praxis_moderations_total", "flagged" => flagged.to_string()).increment(1);
    json!({
        "flagged": flagged,
        "categories": categories,
        "category_scores": category_scores,
        "category_applied_input_types": applied,
        "praxis": {
            "categories": own_categories,
            "category_scores": own_scores,
            "personal": personal(parts),
        },
    })
}

/// What rules find in the parts of an input: kinds and places, in characters, and never the values.
fn personal(parts: &[&str]) -> Vec<Value> {
    let of_part = |(part, text): (usize, &&str)| {
        let (mut byte, mut chars) = (0, 0);
        let mut place = |at: usize| {
            chars += text.get(byte..at).unwrap_or_default().chars().count();
            byte = at;
            chars
        };
        let mut found = Vec::new();
        for Finding {
            kind,
            range,
            surety,
        } in find(text, &Kinds::ALL)
        {
            let mut finding = json!({
                "kind": kind.name(),
                "start": place(range.start),
                "end": place(range.end),
                "proven": surety == Surety::Proven,
            });
            if parts.len() > 1 {
                finding["part"] = json!(part);
            }
            found.push(finding);
        }
        found
    };
    parts.iter().enumerate().flat_map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(category: &str, score: f32) -> Score {
        Score {
            category: category.to_owned(),
            score,
            threshold: 0.5,
        }
    }

    #[test]
    fn inputs_are_read_in_all_their_forms() {
        let part = |text: &str| json!({"type": "text", "text": text});
        for (input, wanted) in [
            (json!("a"), vec![vec!["a"]]),
            (json!(""), vec![vec![""]]),
            (json!(["a", "b"]), vec![vec!["a"], vec!["b"]]),
            (json!([part("a"), part("b")]), vec![vec!["a", "b"]]),
        ] {
            assert_eq!(inputs(&input).unwrap(), wanted, "{input}");
        }
        let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
        for (input, param, words) in [
            (json!(3), "input", "a string"),
            (json!([]), "input", "has 0 items"),
            (json!(vec!["a"; 33]), "input", "has 33 items"),
            (json!(["a", 3]), "input[1]", "a string"),
            (json!([part("a"), "b"]), "input[1]", "content parts"),
            (
                json!([part("a"), image]),
                "input[1]",
                "images are not judged here",
            ),
            (
                json!([{"type": "text"}]),
                "input[0].text",
                "must be a string",
            ),
            (
                json!([{"type": "audio"}]),
                "input[0].type",
                "must be `text`",
            ),
            (
                json!("x".repeat(MAX_CHARS + 1)),
                "input",
                "longer than 100000",
            ),
        ] {
            let body = inputs(&input).unwrap_err().body();
            assert_eq!(body["error"]["param"], param, "{body}");
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_result_has_every_category_and_says_what_was_not_judged() {
        let scores = worst(
            [
                vec![score("hate", 0.9), score("rivals", 0.1)],
                vec![score("hate", 0.2), score("rivals", 0.6)],
            ]
            .into_iter(),
        );
        let result = result(&["a", "b"], &scores);
        assert_eq!(result["flagged"], true);
        for category in CATEGORIES {
            assert_eq!(result["categories"][category], category == "hate");
            let types = &result["category_applied_input_types"][category];
            assert_eq!(
                types,
                &if category == "hate" {
                    json!(["text"])
                } else {
                    json!([])
                }
            );
        }
        assert!((result["category_scores"]["hate"].as_f64().unwrap() - 0.9).abs() < 1e-6);
        assert_eq!(result["category_scores"]["sexual"], 0.0);
        assert_eq!(result["praxis"]["categories"], json!({"rivals": true}));
        assert_eq!(result["praxis"]["personal"], json!([]));
    }

    #[test]
    fn personal_data_is_told_by_its_place() {
        let text = "写信给 ann@example.com，或者 13800138000";
        let mail = json!({"kind": "email", "start": 4, "end": 19, "proven": false});
        let phone = json!({"kind": "phone", "start": 23, "end": 34, "proven": false});
        assert_eq!(personal(&[text]), [mail.clone(), phone]);
        let mut second = mail;
        second["part"] = json!(1);
        assert_eq!(personal(&["a", "写信给 ann@example.com"]), [second]);
    }
}
