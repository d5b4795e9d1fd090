//! Forms that a server wants a person to fill in. Nobody sits at a tool, so they are declined, or answered with the
//! defaults that the form itself names (SEP-1034). Left out: asking a person.

use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction};
use serde_json::{Map, Value};

use super::config::Elicitation;

/// What a server is answered.
pub(super) fn answer(how: Elicitation, request: &ElicitRequestParams) -> ElicitResult {
    let declined = || ElicitResult::new(ElicitationAction::Decline);
    let ElicitRequestParams::FormElicitationParams {
        requested_schema, ..
    } = request
    else {
        return declined();
    };
    if how == Elicitation::Decline {
        return declined();
    }
    let Ok(schema) = serde_json::to_value(requested_schema) else {
        return declined();
    };
    match defaults(&schema) {
        Some(content) => {
            ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content))
        }
        None => declined(),
    }
}

/// The defaults of a form; none where a field that it needs has none.
fn defaults(schema: &Value) -> Option<Map<String, Value>> {
    let fields = schema.get("properties")?.as_object()?;
    let given: Map<String, Value> = fields
        .iter()
        .filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone())))
        .collect();
    let needed = schema.get("required").and_then(Value::as_array);
    let mut needed = needed.into_iter().flatten().filter_map(Value::as_str);
    needed.all(|name| given.contains_key(name)).then_some(given)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn asked(how: Elicitation, request: Value) -> Value {
        let request: ElicitRequestParams = serde_json::from_value(request).unwrap();
        serde_json::to_value(answer(how, &request)).unwrap()
    }

    fn form(required: &[&str]) -> Value {
        json!({
            "mode": "form",
            "message": "Who?",
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "name": { "type": "string", "default": "Ada" },
                    "age": { "type": "integer", "default": 36 },
                    "sure": { "type": "boolean", "default": true },
                    "city": { "type": "string" },
                },
                "required": required,
            },
        })
    }

    #[test]
    fn a_form_is_declined_unless_its_defaults_answer_it() {
        let declined = json!({ "action": "decline" });
        assert_eq!(asked(Elicitation::Decline, form(&["name"])), declined);
        assert_eq!(asked(Elicitation::Defaults, form(&["city"])), declined);
        assert_eq!(
            asked(Elicitation::Defaults, form(&["name", "age"])),
            json!({ "action": "accept", "content": { "name": "Ada", "age": 36, "sure": true } })
        );
    }

    #[test]
    fn nobody_follows_a_link() {
        let link = json!({
            "mode": "url",
            "message": "Log in",
            "url": "https://example.org/",
            "elicitationId": "1",
        });
        assert_eq!(
            asked(Elicitation::Defaults, link),
            json!({ "action": "decline" })
        );
    }
}
