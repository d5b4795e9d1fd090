//! The functions of an application in the document: a path for each, with its own input and output.

use praxis_core::Signature;
use serde_json::{Value, json};

use super::failures::Failures;
use super::functions::{EVENT, call_answer, state, stream};
use super::operation::{FUNCTIONS, Operation};
use super::shape::{has, named, object, with};
use super::tags;

/// Adds the functions to a document.
pub(super) fn add(document: &mut Value, functions: &[Signature]) {
    let mut failures = Failures::default();
    for function in functions {
        let (input, output) = (
            part(&function.name, "input"),
            part(&function.name, "output"),
        );
        let schemas = [
            (&input, &function.input_schema),
            (&output, &function.output_schema),
        ];
        for (name, schema) in schemas {
            let mut schema = schema.clone();
            rebase(&mut schema, name);
            document["components"]["schemas"][name.as_str()] = schema;
        }
        let operation = operation(function, &input, &output);
        let (path, method) = (operation.path.clone(), operation.method);
        document["paths"][path] = json!({ method: operation.finish(&mut failures) });
    }
    for (name, answer) in failures.finish() {
        document["components"]["responses"][name] = answer;
    }
}

fn operation(function: &Signature, input: &str, output: &str) -> Operation {
    let name = &function.name;
    let input = has("input", "The input.", named(input));
    let body = object("", [input, state(), stream()]);
    let body = with(body, json!({ "additionalProperties": false }));
    let summary = format!("Call `{name}`");
    Operation::post(path(name), format!("call.{}", escaped(name, '.')))
        .tag(tags::APPLICATION)
        .says(summary, function.description.clone())
        .takes(body, &[])
        .gives(
            "The output, whole or as events.",
            call_answer(named(output)),
            Value::Null,
        )
        .gives_as("text/event-stream", "", named(EVENT), &[])
        .paid()
        .fails(FUNCTIONS)
}

/// Where a function is called.
fn path(name: &str) -> String {
    format!("/praxis/v1/functions/{}/call", escaped(name, '%'))
}

/// What the schema of a function's input or output is called.
fn part(name: &str, part: &str) -> String {
    format!("function.{}.{part}", escaped(name, '.'))
}

/// A name in letters and digits of ASCII, `-` and `_`; all else as the bytes that it has, behind `sign`.
fn escaped(name: &str, sign: char) -> String {
    name.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push(sign);
            out.push_str(&format!("{byte:02X}"));
        }
        out
    })
}

/// Lets the references of a schema that lead into itself lead to where it lies in the document.
fn rebase(schema: &mut Value, name: &str) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(|inner| rebase(inner, name)),
        Value::Object(map) => {
            // With it, it would be a document of its own.
            if map.get("$schema").is_some_and(Value::is_string) {
                map.shift_remove("$schema");
            }
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(inside) = reference.strip_prefix('#')
            {
                *reference = format!("{}{name}{inside}", super::SCHEMAS);
            }
            map.values_mut().for_each(|inner| rebase(inner, name));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_a_path_and_schemas_of_its_own() {
        let point = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": { "at": { "$ref": "#/$defs/point" }, "$ref": { "type": "string" } },
            "$defs": { "point": { "type": "array", "items": { "$ref": "#" } } },
        });
        let function = Signature {
            name: "praxis/search/my docs".to_owned(),
            description: "Finds.".to_owned(),
            input_schema: point,
            output_schema: json!(true),
            effects: praxis_core::Effects::default(),
        };
        let mut document = json!({ "paths": {}, "components": { "schemas": {}, "responses": {} } });
        add(&mut document, &[function]);
        let path = "/praxis/v1/functions/praxis%2Fsearch%2Fmy%20docs/call";
        let post = &document["paths"][path]["post"];
        assert_eq!(post["operationId"], "call.praxis.2Fsearch.2Fmy.20docs");
        let body = &post["requestBody"]["content"]["application/json"]["schema"];
        let name = "function.praxis.2Fsearch.2Fmy.20docs.input";
        assert_eq!(
            body["properties"]["input"]["$ref"],
            format!("#/components/schemas/{name}")
        );
        let input = &document["components"]["schemas"][name];
        let inside = format!("#/components/schemas/{name}/$defs/point");
        assert_eq!(input["properties"]["at"]["$ref"], inside);
        assert_eq!(input["properties"]["$ref"]["type"], "string");
        let whole = format!("#/components/schemas/{name}");
        assert_eq!(input["$defs"]["point"]["items"]["$ref"], whole);
        assert!(input["$schema"].is_null());
        for answer in post["responses"].as_object().unwrap().values() {
            if let Some(reference) = answer["$ref"].as_str() {
                let there = document.pointer(reference.trim_start_matches('#'));
                assert!(there.is_some(), "{reference}");
            }
        }
    }

    #[test]
    fn names_that_differ_stay_different() {
        let names = ["a/b", "a_b", "a.b", "a.2Fb", "a-b", "ä"];
        let parts: std::collections::BTreeSet<String> =
            names.iter().map(|name| part(name, "input")).collect();
        assert_eq!(parts.len(), names.len());
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(parts.iter().all(|part| part.chars().all(fits)));
    }
}
