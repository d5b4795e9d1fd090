//! Values of arguments as a person types them: those that a schema lists. Left out: asking a model.

use praxis_core::json_schema::{types, without_null};
use rmcp::ErrorData;
use rmcp::model::{CompleteResult, CompletionInfo};
use serde_json::Value;

/// The values of a property that its schema lists.
pub(super) fn values(schema: &Value, property: &str) -> Vec<String> {
    let Some(part) = schema.get("properties").and_then(|all| all.get(property)) else {
        return Vec::new();
    };
    let part = without_null(schema, part);
    if let Some(listed) = part.get("enum").and_then(Value::as_array) {
        return listed
            .iter()
            .filter(|value| !value.is_null())
            .map(text)
            .collect();
    }
    if let Some(only) = part.get("const") {
        return vec![text(only)];
    }
    let branches = ["anyOf", "oneOf"]
        .iter()
        .find_map(|key| part.get(*key)?.as_array());
    if let Some(branches) = branches {
        return branches
            .iter()
            .filter_map(|branch| branch.get("const"))
            .map(text)
            .collect();
    }
    if kinds(schema, part) == ["boolean"] {
        return vec!["true".to_owned(), "false".to_owned()];
    }
    Vec::new()
}

/// The types that a part of a schema takes, beside null.
pub(super) fn kinds<'s>(schema: &'s Value, part: &'s Value) -> Vec<&'s str> {
    let mut kinds = types(without_null(schema, part));
    kinds.retain(|kind| *kind != "null");
    kinds
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Those that begin with what was typed, whatever its case.
pub(super) fn fitting(values: Vec<String>, typed: &str) -> Vec<String> {
    let typed = typed.to_lowercase();
    let fits = |value: &String| value.to_lowercase().starts_with(&typed);
    values.into_iter().filter(fits).collect()
}

/// The answer to a client.
///
/// # Errors
/// None that is known: the values are no more than it may have.
pub(super) fn answer(mut values: Vec<String>) -> Result<CompleteResult, ErrorData> {
    let total = u32::try_from(values.len()).ok();
    let more = values.len() > CompletionInfo::MAX_VALUES;
    values.truncate(CompletionInfo::MAX_VALUES);
    let info = CompletionInfo::with_pagination(values, total, more);
    let info = info.map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(info))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_lists_is_offered() {
        let schema = json!({
            "$defs": { "size": { "enum": ["small", "large", 3, null] } },
            "properties": {
                "size": { "$ref": "#/$defs/size" },
                "maybe": { "anyOf": [{ "$ref": "#/$defs/size" }, { "type": "null" }] },
                "unit": { "oneOf": [{ "const": "m", "title": "Metre" }, { "const": "km" }] },
                "sure": { "type": ["boolean", "null"] },
                "only": { "const": "this" },
                "name": { "type": "string" },
            },
        });
        for (property, wanted) in [
            ("size", &["small", "large", "3"][..]),
            ("maybe", &["small", "large", "3"]),
            ("unit", &["m", "km"]),
            ("sure", &["true", "false"]),
            ("only", &["this"]),
            ("name", &[]),
            ("none", &[]),
        ] {
            assert_eq!(values(&schema, property), wanted, "{property}");
        }
        let sizes = values(&schema, "size");
        assert_eq!(fitting(sizes.clone(), "S"), ["small"]);
        assert_eq!(fitting(sizes, "").len(), 3);
    }

    #[test]
    fn no_more_than_a_hundred_are_given() {
        let many: Vec<String> = (0..250).map(|n| n.to_string()).collect();
        let answer = serde_json::to_value(answer(many).unwrap()).unwrap();
        let completion = &answer["completion"];
        assert_eq!(completion["values"].as_array().unwrap().len(), 100);
        assert_eq!(
            (&completion["total"], &completion["hasMore"]),
            (&json!(250), &json!(true))
        );
    }
}
