//! From work to a function: the input is checked, the call leaves a span, and what is wrong is said so that a model
//! can mend it.
//!
//! Left out: effects, approvals and limits, which are `safety`'s; what is done about small slips (`mend`).

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::suggest::nearest;
use praxis_core::{
    CallContext, CallError, ErrorCode, Function, Problem, Signature, SpanKind, SpanStatus,
    json_schema,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mend::mended;

/// The most that is said about one input: mistakes, and characters of each.
const MOST_MISTAKES: usize = 5;
const LONGEST_MISTAKE: usize = 300;

/// A function but for its span and the check of its input.
#[async_trait]
pub(crate) trait Work: Send + Sync {
    /// What it is called, takes and gives.
    fn signature(&self) -> &Signature;

    /// Does it. The input fits the signature's schema.
    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError>;

    /// As [`Function::kept_here`].
    fn kept_here(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Work whose input is checked and whose calls leave spans.
pub(crate) struct Checked<W> {
    work: W,
    validator: jsonschema::Validator,
}

/// A function of some work.
///
/// # Errors
/// Its own input schema is no JSON Schema, or one that does not end.
pub(crate) fn tool(work: impl Work + 'static) -> Result<Arc<dyn Function>, Problem> {
    let signature = work.signature();
    // A schema may come from outside, and one that does not end would bring the validator down.
    let validator = json_schema::ends(&signature.input_schema).and_then(|()| {
        jsonschema::validator_for(&signature.input_schema).map_err(|error| error.to_string())
    });
    let validator = validator.map_err(|error| Problem {
        path: String::new(),
        message: format!(
            "the input schema of `{}` is no JSON Schema: {error}",
            signature.name
        ),
        help: Some("mend the schema where it comes from, or leave the operation out".to_owned()),
    })?;
    Ok(Arc::new(Checked { work, validator }))
}

#[async_trait]
impl<W: Work> Function for Checked<W> {
    fn signature(&self) -> &Signature {
        self.work.signature()
    }

    fn kept_here(&self) -> &'static [&'static str] {
        self.work.kept_here()
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.work.signature().name;
        let (input, slips) = mended(&self.work.signature().input_schema, input);
        let mut shown = json!({ "input": input });
        if !slips.is_empty() {
            shown["mended"] = json!(slips);
        }
        let (span, inner) = cx.span(SpanKind::Function, name, shown);
        let output = match self.fits(&input) {
            Ok(()) if cx.cancel().is_cancelled() => Err(praxis_core::ModelError::Cancelled.into()),
            Ok(()) => self.work.work(input, &inner).await,
            Err(error) => Err(error),
        };
        match output {
            Ok(output) => {
                span.finish(output.clone());
                Ok(output)
            }
            Err(error) => {
                match error.code {
                    ErrorCode::Cancelled => span.close(Value::Null, SpanStatus::Cancelled),
                    _ => span.fail(&error),
                }
                Err(error)
            }
        }
    }
}

impl<W: Work> Checked<W> {
    /// Whether the input is what the signature says.
    fn fits(&self, input: &Value) -> Result<(), CallError> {
        let signature = self.work.signature();
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(input)
            .take(MOST_MISTAKES)
            .map(|error| {
                let at = error.instance_path().to_string();
                let what = cut(&error.to_string());
                if at.is_empty() {
                    what
                } else {
                    format!("at `{at}`: {what}")
                }
            })
            .collect();
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(invalid(&signature.name, mistakes.join("; "))
            .with_hint(hint(&signature.input_schema, input)))
    }
}

/// What an input may have, and which name was likely meant.
fn hint(schema: &Value, input: &Value) -> String {
    let Some(properties) = json_schema::properties(json_schema::resolved(schema, schema)) else {
        return "write the input as a JSON object".to_owned();
    };
    if properties.is_empty() {
        return "it takes no input: write {}".to_owned();
    }
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|n| n == name))
    };
    let given = input.as_object();
    let strange = given.into_iter().flat_map(|given| given.keys());
    let meant = strange
        .filter(|name| !properties.contains_key(*name))
        .find_map(|name| {
            let near = nearest(name, properties.keys().map(String::as_str))?;
            Some(format!("did you mean `{near}` by `{name}`? "))
        });
    let inputs: Vec<String> = properties
        .iter()
        .map(|(name, part)| {
            let kinds = json_schema::types(json_schema::without_null(schema, part)).join(" or ");
            match (required(name), kinds.as_str()) {
                (true, "") => name.clone(),
                (true, kinds) => format!("{name} ({kinds})"),
                (false, "") => format!("{name} (optional)"),
                (false, kinds) => format!("{name} ({kinds}, optional)"),
            }
        })
        .collect();
    format!("{}inputs: {}", meant.unwrap_or_default(), inputs.join(", "))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MISTAKE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The input of the function `name`.
///
/// # Errors
/// `invalid_request` for what the type does not take.
pub(crate) fn read<T: DeserializeOwned>(name: &str, input: Value) -> Result<T, CallError> {
    serde_json::from_value(input).map_err(|error| invalid(name, error))
}

/// That something is wrong with the input of the function `name`.
pub(crate) fn invalid(name: &str, what: impl Display) -> CallError {
    CallError::new(
        ErrorCode::InvalidRequest,
        format!("input of `{name}`: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use praxis_core::{Effects, Span, TraceSink};

    use super::*;

    struct Double(Signature);

    impl Double {
        fn new(input_schema: Value) -> Self {
            Self(Signature {
                name: "math/double".to_owned(),
                description: "Doubles a number.".to_owned(),
                input_schema,
                output_schema: json!({ "type": "number" }),
                effects: Effects::default(),
            })
        }
    }

    #[async_trait]
    impl Work for Double {
        fn signature(&self) -> &Signature {
            &self.0
        }

        async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
            let number = input["number"].as_i64().unwrap();
            Ok(json!(number * 2))
        }
    }

    #[derive(Default)]
    struct Spans(Mutex<Vec<Span>>);

    impl TraceSink for Spans {
        fn record(&self, span: Span) {
            self.0.lock().unwrap().push(span);
        }
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "number": { "type": "integer" },
                "unit": { "type": "string" },
            },
            "required": ["number"],
            "additionalProperties": false,
        })
    }

    async fn called(input: Value) -> (Result<Value, CallError>, Span) {
        let spans = Arc::new(Spans::default());
        let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
        let function = tool(Double::new(schema())).unwrap();
        let output = function.call(input, &cx).await;
        let span = spans.0.lock().unwrap().remove(0);
        (output, span)
    }

    #[tokio::test]
    async fn a_call_leaves_one_span_that_says_what_was_mended() {
        let (output, span) = called(json!({ "number": "21" })).await;
        assert_eq!(output.unwrap(), json!(42));
        assert_eq!(
            (span.name.as_str(), span.kind),
            ("math/double", SpanKind::Function)
        );
        assert_eq!(span.input["mended"][0], "`/number`: a text for a number");
        let (output, span) = called(json!({ "number": 4 })).await;
        assert_eq!(output.unwrap(), json!(8));
        assert_eq!(span.input, json!({ "input": { "number": 4 } }));
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_with_its_place_and_what_is_taken() {
        for (input, message, hint) in [
            (
                json!({ "numbr": 4 }),
                "\"number\" is a required property",
                "did you mean `number` by `numbr`? inputs: number (integer), unit (string, optional)",
            ),
            (
                json!({ "number": "four" }),
                "at `/number`",
                "number (integer)",
            ),
            (json!([4]), "is not of type \"object\"", "inputs: number"),
        ] {
            let (output, span) = called(input).await;
            let error = output.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            assert!(error.message.contains(message), "{error:?}");
            assert!(error.hint.clone().unwrap().contains(hint), "{error:?}");
            assert!(matches!(span.status, SpanStatus::Error(_)));
        }
    }

    #[tokio::test]
    async fn a_call_that_is_cancelled_does_nothing() {
        let spans = Arc::new(Spans::default());
        let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
        cx.cancel().cancel();
        let function = tool(Double::new(schema())).unwrap();
        let error = function
            .call(json!({ "number": 1 }), &cx)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
        assert_eq!(spans.0.lock().unwrap()[0].status, SpanStatus::Cancelled);
    }

    #[test]
    fn a_schema_that_is_none_or_does_not_end_is_refused() {
        for schema in [
            json!({ "type": "thing" }),
            json!({ "$ref": "#" }),
            json!({ "$ref": "https://example.com/schema.json" }),
        ] {
            let problem = tool(Double::new(schema.clone())).err().unwrap();
            assert!(problem.message.contains("`math/double`"), "{schema}");
        }
    }
}
