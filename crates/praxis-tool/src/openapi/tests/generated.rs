//! Properties: no document makes a mess, every schema that is made is one, and every input that fits becomes a request
//! that says what the input said.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Number, json};
use url::form_urlencoded;

use super::document::Document;
use super::request::Shape;
use super::*;

/// Words that documents are made of.
const WORDS: &[&str] = &[
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "application/json",
    "array",
    "body",
    "components",
    "const",
    "content",
    "cookie",
    "default",
    "deepObject",
    "delete",
    "deprecated",
    "description",
    "encoding",
    "enum",
    "example",
    "exclusiveMinimum",
    "explode",
    "format",
    "get",
    "header",
    "id",
    "in",
    "integer",
    "items",
    "matrix",
    "minLength",
    "minimum",
    "multipart/form-data",
    "multipleOf",
    "name",
    "not",
    "null",
    "nullable",
    "object",
    "oneOf",
    "operationId",
    "parameters",
    "path",
    "pattern",
    "post",
    "prefixItems",
    "properties",
    "query",
    "readOnly",
    "requestBody",
    "required",
    "responses",
    "schema",
    "schemas",
    "security",
    "servers",
    "string",
    "style",
    "summary",
    "text/plain",
    "type",
    "uniqueItems",
    "url",
    "writeOnly",
    "x-www-form-urlencoded",
    "200",
    "2XX",
    "/a",
    "/a/{id}",
    "#",
    "#/components/schemas/A",
    "#/components/schemas/B",
    "#/paths/~1a/get",
    "https://a.example/{x}",
    "..",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => "[a-z{}/#$~%. é-]{0,8}",
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..100).prop_map(Value::from),
        any::<f64>().prop_map(|float| Number::from_f64(float).map_or(Value::Null, Value::Number)),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 120, 6, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            4 => prop::collection::vec((word(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A schema, as far as chance makes one.
fn schema() -> impl Strategy<Value = Value> {
    let kinds = vec!["string", "integer", "object", "array", "null"];
    let leaf = prop_oneof![
        proptest::sample::select(kinds).prop_map(|kind| json!({ "type": kind })),
        proptest::sample::select(vec!["A", "B"])
            .prop_map(|name| json!({ "$ref": format!("#/components/schemas/{name}") })),
        tree(),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        let fields = prop::collection::btree_map("[ab]", inner.clone(), 1..3);
        prop_oneof![
            fields.prop_map(|f| json!({ "type": "object", "properties": f, "required": ["a"], "nullable": true })),
            inner.prop_map(|one| json!({ "type": "array", "items": one })),
            (list.clone(), "(all|any|one)Of").prop_map(|(all, key)| json!({ key: all })),
            (list, any::<bool>()).prop_map(|(all, open)| json!({ "allOf": all, "additionalProperties": open })),
        ]
    })
}

fn operation() -> impl Strategy<Value = Value> {
    let parameter = (word(), "path|query|header|cookie", schema(), word(), any::<bool>()).prop_map(
        |(name, place, schema, style, explode)| {
            json!({ "name": name, "in": place, "schema": schema, "style": style, "explode": explode })
        },
    );
    let media = "application/json|application/x-www-form-urlencoded|multipart/form-data|text/plain";
    (
        prop::collection::vec(parameter, 0..4),
        media,
        schema(),
        any::<bool>(),
        schema(),
    )
        .prop_map(|(parameters, media, body, required, answer)| {
            json!({
                "parameters": parameters,
                "requestBody": { "required": required, "content": { media: { "schema": body } } },
                "responses": { "200": { "content": { "application/json": { "schema": answer } } } },
            })
        })
}

/// What a document is told to be, in each of its parts by chance.
fn document() -> impl Strategy<Value = Value> {
    let version = proptest::sample::select(vec!["3.0.3", "3.1.0"]);
    let operations = prop::collection::vec(prop_oneof![4 => operation(), 1 => tree()], 1..4);
    (version, operations, schema(), schema(), tree()).prop_map(
        |(version, operations, a, b, rest)| {
            let paths: Map<String, Value> = operations
                .into_iter()
                .enumerate()
                .map(|(i, operation)| {
                    (
                        format!("/a{i}/{{id}}"),
                        json!({ "post": operation, "get": rest }),
                    )
                })
                .collect();
            json!({
                "openapi": version,
                "paths": paths,
                "components": { "schemas": { "A": a, "B": b } },
                "security": rest,
            })
        },
    )
}

/// Reads all operations of a document as it would be done for a file.
fn read_all(root: Value) -> Vec<Described> {
    let Ok(document) = Document::new(root) else {
        return Vec::new();
    };
    let variables = BTreeMap::new();
    let setting = Setting {
        server: Some("https://a.example/v1"),
        variables: &variables,
        base: None,
        filled: None,
    };
    let all = document
        .listed
        .iter()
        .filter_map(|listed| read(&document, listed, &setting).ok());
    all.collect()
}

fn decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    let found = form_urlencoded::parse(pair.as_bytes()).next();
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_tree_is_read_or_refused(tree in tree(), paths in tree()) {
        let _ = Document::new(tree);
        for described in read_all(json!({ "openapi": "3.1.0", "paths": paths })) {
            prop_assert!(jsonschema::validator_for(&described.input_schema).is_ok());
        }
    }

    #[test]
    fn every_schema_that_is_made_is_one_and_ends(document in document()) {
        for described in read_all(document) {
            let output = answer::schema(described.output, false);
            for schema in [&described.input_schema, &output] {
                prop_assert!(praxis_core::json_schema::ends(schema).is_ok(), "{schema}");
                let validator = jsonschema::validator_for(schema);
                prop_assert!(validator.is_ok(), "{:?} in {schema}", validator.err());
            }
            let input = &described.input_schema;
            prop_assert_eq!(&input["additionalProperties"], &json!(false));
            for name in input["required"].as_array().into_iter().flatten() {
                prop_assert!(input["properties"].get(name.as_str().unwrap()).is_some(), "{name} in {input}");
            }
        }
    }
}

/// A value of a parameter, and what it has to be at the other end.
#[derive(Debug, Clone)]
enum Sample {
    Text(String),
    Number(i64),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

impl Sample {
    fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::List(items) => json!(items),
            Self::Map(fields) => json!(fields),
        }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Text(_) => json!({ "type": "string" }),
            Self::Number(_) => json!({ "type": "integer" }),
            Self::List(_) => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Map(_) => {
                json!({ "type": "object", "additionalProperties": { "type": "string" } })
            }
        }
    }

    /// As `name=value` pairs of a query: lists repeat their name, maps are `deepObject`.
    fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Self::Text(text) => vec![pair(name, text)],
            Self::Number(number) => vec![pair(name, &number.to_string())],
            Self::List(items) => items.iter().map(|item| pair(name, item)).collect(),
            Self::Map(fields) => {
                let named = fields
                    .iter()
                    .map(|(field, value)| (format!("{name}[{field}]"), value));
                named.map(|(name, value)| pair(&name, value)).collect()
            }
        }
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let text = || "[ -~ä藤\u{1f600}\r\n]{0,10}";
    prop_oneof![
        text().prop_map(Sample::Text),
        any::<i64>().prop_map(Sample::Number),
        prop::collection::vec(text(), 0..4).prop_map(Sample::List),
        prop::collection::btree_map("[a-z\\[&=]{1,4}", text(), 0..4).prop_map(Sample::Map),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_input_that_fits_becomes_a_request_that_says_the_same(
        path in prop::collection::btree_map("[a-z]{1,6}", "[ -~ä藤]{1,10}", 0..3),
        query in prop::collection::btree_map("[a-zA-Z$.\\[\\]-]{1,8}", sample(), 0..4),
        headers in prop::collection::btree_map("x-[a-z]{1,6}", "[!-~]{1,12}", 0..3),
        body in prop::collection::btree_map("[a-zA-Z.-]{1,8}", sample(), 0..4),
    ) {
        // What a URL reads as another path is refused, whatever the schema says of it.
        let leads_up = |value: &String| value.split(['/', '\\']).any(|step| step == "." || step == "..");
        prop_assume!(!path.values().any(leads_up));
        let mut parameters = Vec::new();
        for name in path.keys() {
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
        }
        for (name, sample) in &query {
            let style = if matches!(sample, Sample::Map(_)) { "deepObject" } else { "form" };
            parameters.push(json!({ "name": name, "in": "query", "style": style, "schema": sample.schema() }));
        }
        for name in headers.keys() {
            parameters.push(json!({ "name": name, "in": "header", "schema": { "type": "string" } }));
        }
        let template: String = path.keys().map(|name| format!("/{{{name}}}")).collect();
        let properties: Map<String, Value> = body.iter().map(|(name, s)| (name.clone(), s.schema())).collect();
        let content = json!({ "application/json": { "schema": { "type": "object", "properties": properties } } });
        let operation = json!({ "parameters": parameters, "requestBody": { "required": true, "content": content } });
        let paths = json!({ format!("/p{template}"): { "post": operation } });
        let mut all = read_all(json!({ "openapi": "3.1.0", "paths": paths }));
        prop_assert_eq!(all.len(), 1);
        let described = all.remove(0);

        let mut input = Map::new();
        for parameter in &described.operation.parameters {
            let value = match parameter.place {
                Place::Path => json!(path[&parameter.name]),
                Place::Query => query[&parameter.name].value(),
                Place::Header => json!(headers[&parameter.name]),
                Place::Cookie => continue,
            };
            input.insert(parameter.argument.clone(), value);
        }
        let sent: Map<String, Value> = body.iter().map(|(name, s)| (name.clone(), s.value())).collect();
        match described.operation.body.as_ref().map(|body| &body.shape) {
            Some(Shape::Fields(fields)) => {
                for (argument, field) in fields {
                    input.insert(argument.clone(), sent[field].clone());
                }
            }
            Some(Shape::Whole(argument)) => {
                input.insert(argument.clone(), json!(sent));
            }
            None => {}
        }
        let validator = jsonschema::validator_for(&described.input_schema).unwrap();
        let whole = Value::Object(input.clone());
        prop_assert!(validator.is_valid(&whole), "{whole} in {}", described.input_schema);

        let request = described.operation.request("crm/a", &input);
        prop_assert!(request.is_ok(), "{:?}", request.err());
        let request = request.unwrap();
        prop_assert_eq!(request.url().host_str(), Some("a.example"));
        let segments: Vec<String> = request.url().path_segments().unwrap().map(decoded).collect();
        let mut expected = vec!["v1".to_owned(), "p".to_owned()];
        expected.extend(path.values().cloned());
        prop_assert_eq!(segments, expected);
        let pairs: Vec<(String, String)> = request.url().query_pairs().into_owned().collect();
        let expected: Vec<(String, String)> = query.iter().flat_map(|(name, s)| s.pairs(name)).collect();
        prop_assert_eq!(pairs, expected);
        for (name, value) in &headers {
            prop_assert_eq!(request.headers()[name.as_str()].to_str().unwrap(), value);
        }
        let bytes = request.body().and_then(reqwest::Body::as_bytes).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), Value::Object(sent));
    }
}
