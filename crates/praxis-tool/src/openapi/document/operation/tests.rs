//! Operations of small documents, and the requests that come of them.

use super::*;

/// The first operation of a document whose paths and components are these.
fn first(paths: Value, components: Value) -> Result<Described, String> {
    let document = Document::new(json!({
        "openapi": "3.0.3",
        "info": { "title": "Shop" },
        "servers": [{ "url": "https://api.example.com/v1/" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": components,
    }))?;
    let setting = Setting {
        server: None,
        variables: &BTreeMap::new(),
        base: None,
        filled: None,
    };
    read(&document, &document.listed[0], &setting)
}

fn with_body(body: Value) -> Described {
    let operation = json!({ "requestBody": body, "responses": {} });
    let components = json!({ "schemas": {
        "Base": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] },
        "User": { "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "properties": { "id": { "type": "integer", "readOnly": true }, "age": { "type": "integer" } } },
        ] },
    } });
    first(
        json!({ "/users/{name}": { "post": operation } }),
        components,
    )
    .unwrap()
}

/// What a request says: method and URL, its own headers, and its body.
fn sent(described: &Described, input: Value) -> (String, String, String) {
    let input = input.as_object().unwrap();
    let request = described.operation.request("shop/x", input).unwrap();
    let media = request.headers().get("content-type");
    let media = media
        .map(|m| m.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .unwrap_or_default();
    let line = format!("{} {}", request.method(), request.url());
    (line, media, String::from_utf8(body.to_vec()).unwrap())
}

fn names(schema: &Value) -> Vec<&str> {
    let properties = schema["properties"].as_object().unwrap();
    properties.keys().map(String::as_str).collect()
}

#[test]
fn names_that_collide_have_their_place_before_them() {
    let described = with_body(json!({
        "required": true,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } },
    }));
    let schema = &described.input_schema;
    assert_eq!(names(schema), ["path_name", "body_name", "age"]);
    assert_eq!(schema["required"], json!(["path_name", "body_name"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let (line, media, body) = sent(
        &described,
        json!({ "path_name": "a/b", "body_name": "Ada", "age": 36 }),
    );
    assert_eq!(line, "POST https://api.example.com/v1/users/a%2Fb");
    assert_eq!(media, "application/json");
    assert_eq!(body, r#"{"name":"Ada","age":36}"#);
}

#[test]
fn what_one_part_of_a_body_requires_is_as_another_part_has_it() {
    let base = json!({ "$ref": "#/components/schemas/Base" });
    let needs = |name: &str| json!({ "type": "object", "required": [name] });
    for parts in [
        json!([base, needs("name"), needs("more")]),
        json!([needs("name"), base, needs("more")]),
        json!([{ "allOf": [needs("more"), needs("name")] }, base]),
    ] {
        let content = json!({ "application/json": { "schema": { "allOf": parts } } });
        let described = with_body(json!({ "required": true, "content": content }));
        let schema = &described.input_schema;
        let properties = &schema["properties"];
        assert_eq!(
            properties["body_name"],
            json!({ "type": "string" }),
            "{parts}"
        );
        assert_eq!(properties["more"], json!({}), "{parts}");
        let needed = schema["required"].as_array().unwrap();
        assert!(needed.contains(&json!("body_name")) && needed.contains(&json!("more")));
        assert_eq!(needed.len(), 3, "{schema}");
    }
}

#[test]
fn a_body_that_is_more_than_its_properties_is_one_argument() {
    for schema in [
        json!({ "type": "array", "items": { "type": "string" } }),
        json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        json!({ "anyOf": [{ "type": "string" }, { "type": "object" }] }),
        json!({ "type": "object" }),
        json!({ "type": "object", "nullable": true, "properties": { "a": {} } }),
    ] {
        let content = json!({ "application/json": { "schema": schema } });
        let described = with_body(json!({ "required": true, "content": content }));
        assert_eq!(names(&described.input_schema), ["name", "body"], "{schema}");
    }
}

#[test]
fn a_body_that_may_be_missing_is_whole_or_not_there() {
    let user = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/User" } } });
    let described = with_body(json!({ "content": user }));
    assert_eq!(names(&described.input_schema), ["name", "body"]);
    assert_eq!(described.input_schema["required"], json!(["name"]));
    let (_, media, body) = sent(&described, json!({ "name": "x" }));
    assert_eq!((media.as_str(), body.as_str()), ("", ""));
    let loose = json!({ "application/json": { "schema": { "properties": { "a": {}, "b": {} } } } });
    let described = with_body(json!({ "content": loose }));
    assert_eq!(names(&described.input_schema), ["name", "a", "b"]);
    assert_eq!(sent(&described, json!({ "name": "x" })).2, "");
    assert_eq!(
        sent(&described, json!({ "name": "x", "b": 1 })).2,
        r#"{"b":1}"#
    );
}

#[test]
fn forms_are_written_as_their_document_says() {
    let schema = json!({ "type": "object", "properties": {
        "q": { "type": "string" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "deep": { "type": "object", "properties": { "a": { "type": "integer" } } },
        "plain": { "type": "object" },
    } });
    let described = with_body(
        json!({ "required": true, "content": { "application/x-www-form-urlencoded": {
        "schema": schema,
        "encoding": { "deep": { "style": "deepObject", "explode": true } },
    } } }),
    );
    let input = json!({ "name": "x", "q": "a b&c", "tags": ["1", "2"], "deep": { "a": 1 }, "plain": { "b": 2 } });
    let (_, media, body) = sent(&described, input);
    assert_eq!(media, "application/x-www-form-urlencoded");
    assert_eq!(
        body,
        "q=a%20b%26c&tags=1&tags=2&deep%5Ba%5D=1&plain=%7B%22b%22%3A2%7D"
    );
}

#[test]
fn a_form_of_parts_has_files_texts_and_json() {
    let schema = json!({ "type": "object", "required": ["file"], "properties": {
        "file": { "type": "string", "format": "binary" },
        "purpose": { "type": "string" },
        "meta": { "type": "object", "properties": { "a": {} } },
        "tags": { "type": "array", "items": { "type": "string" } },
    } });
    let described = with_body(
        json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } }),
    );
    let (_, media, body) = sent(
        &described,
        json!({ "name": "x", "file": "line 1\n", "purpose": "batch", "meta": { "a": 1 }, "tags": ["u", "v"] }),
    );
    let boundary = media
        .strip_prefix("multipart/form-data; boundary=")
        .unwrap();
    assert!(
        boundary.len() <= 70 && body.ends_with(&format!("--{boundary}--\r\n")),
        "{body}"
    );
    for part in [
        "name=\"file\"; filename=\"file.txt\"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nline 1\n\r\n",
        "name=\"purpose\"\r\n\r\nbatch\r\n",
        "name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n",
        "name=\"tags\"\r\n\r\nu\r\n",
        "name=\"tags\"\r\n\r\nv\r\n",
    ] {
        assert!(body.contains(part), "{part:?} is missing in {body}");
    }
}

#[test]
fn the_best_type_of_a_body_is_taken_and_one_that_is_not_written_is_told() {
    let any = json!({ "schema": { "type": "string" } });
    let described = with_body(json!({ "required": true, "content": {
        "application/xml": any, "text/plain": any, "application/vnd.api+json; v=1": any,
    } }));
    assert_eq!(
        sent(&described, json!({ "name": "x", "body": "t" })).1,
        "application/vnd.api+json; v=1"
    );
    let described = with_body(json!({ "required": true, "content": { "text/plain": any } }));
    assert_eq!(sent(&described, json!({ "name": "x", "body": "t" })).2, "t");
    let paths = json!({ "/a": { "post": {
        "requestBody": { "required": true, "content": { "application/xml": any } },
    } } });
    let error = first(paths, json!({})).unwrap_err();
    assert!(error.contains("application/xml"), "{error}");
}

#[test]
fn a_value_never_changes_the_path() {
    let described = first(json!({ "/users/{id}/files": { "get": {} } }), json!({})).unwrap();
    let url = |id: &str| {
        let input = json!({ "id": id });
        let request = described
            .operation
            .request("shop/x", input.as_object().unwrap());
        request.map(|request| request.url().to_string())
    };
    assert_eq!(
        url("a b?c#d").unwrap(),
        "https://api.example.com/v1/users/a%20b%3Fc%23d/files"
    );
    assert_eq!(
        url("..a").unwrap(),
        "https://api.example.com/v1/users/..a/files"
    );
    assert_eq!(
        url("%2e%2e").unwrap(),
        "https://api.example.com/v1/users/%252e%252e/files"
    );
    for id in [".", "..", "", "a/../../b", "a\\.."] {
        let error = url(id).unwrap_err();
        assert_eq!(error.code, praxis_core::ErrorCode::InvalidRequest, "{id}");
    }
}

/// As a service of WSGI has it, which takes `%2F` in a path for `/`.
#[test]
fn a_value_does_not_call_another_operation() {
    let paths = json!({
        "/watch/{uuid}": { "delete": {} },
        "/watch/{uuid}/history": { "delete": {}, "get": {} },
        "/watch/{uuid}/favicon": { "get": {} },
        "/watch/all": { "delete": {} },
    });
    let described = first(paths, json!({})).unwrap();
    let request = |uuid: &str| {
        let input = json!({ "uuid": uuid });
        described
            .operation
            .request("shop/x", input.as_object().unwrap())
    };
    for (uuid, other) in [
        ("7/history", "DELETE /watch/{uuid}/history"),
        ("7//history/", "DELETE /watch/{uuid}/history"),
        ("all", "DELETE /watch/all"),
    ] {
        let error = request(uuid).unwrap_err();
        assert_eq!(error.code, praxis_core::ErrorCode::InvalidRequest, "{uuid}");
        assert!(
            error.message.contains("`uuid`") && error.message.contains(other),
            "{error}"
        );
    }
    for (uuid, path) in [
        ("7/favicon", "7%2Ffavicon"),
        ("7/b", "7%2Fb"),
        ("ALL", "ALL"),
    ] {
        let url = request(uuid).unwrap().url().to_string();
        assert_eq!(url, format!("https://api.example.com/v1/watch/{path}"));
    }
}

#[test]
fn headers_take_no_line_breaks() {
    let paths = json!({ "/a": { "get": { "parameters": [
        { "name": "X-Tag", "in": "header", "schema": { "type": "string" } },
        { "name": "theme", "in": "cookie", "schema": { "type": "string" } },
        { "name": "filter[state]", "in": "query", "schema": { "type": "string" } },
        { "name": "where", "in": "query", "content": { "application/json": { "schema": { "type": "object" } } } },
    ] } } });
    let described = first(paths, json!({})).unwrap();
    assert_eq!(
        names(&described.input_schema),
        ["X-Tag", "theme", "filter_state", "where"]
    );
    let request = |input: Value| {
        described
            .operation
            .request("shop/x", input.as_object().unwrap())
    };
    let whole = request(json!({
        "X-Tag": "grün", "theme": "a;b", "filter_state": "on", "where": { "a": [1] }
    }))
    .unwrap();
    assert_eq!(whole.headers()["x-tag"].as_bytes(), "grün".as_bytes());
    assert_eq!(whole.headers()["cookie"], "theme=a%3Bb");
    assert_eq!(
        whole.url().query(),
        Some("filter%5Bstate%5D=on&where=%7B%22a%22%3A%5B1%5D%7D")
    );
    let error = request(json!({ "X-Tag": "a\r\nX-Admin: 1" })).unwrap_err();
    assert!(error.message.contains("`X-Tag`"), "{error}");
}

#[test]
fn what_it_gives_is_the_schema_of_a_good_answer() {
    let of = |responses: Value| {
        let operation = json!({ "responses": responses });
        first(json!({ "/a": { "get": operation } }), json!({}))
            .unwrap()
            .output
    };
    let json =
        |name: &str| json!({ "content": { "application/json": { "schema": { "type": name } } } });
    for (responses, expected) in [
        (
            json!({ "200": json("array"), "default": json("object") }),
            json!({ "type": "array" }),
        ),
        (
            json!({ "404": json("object"), "204": json("string") }),
            json!({ "type": "string" }),
        ),
        (
            json!({ "2XX": json("integer") }),
            json!({ "type": "integer" }),
        ),
        (
            json!({ "default": json("boolean") }),
            json!({ "type": "boolean" }),
        ),
        (
            json!({ "200": { "content": { "text/plain": {} } } }),
            json!({}),
        ),
        (json!({ "200": { "$ref": "#/nowhere" } }), json!({})),
        (json!({}), json!({})),
    ] {
        assert_eq!(of(responses.clone()), expected, "{responses}");
    }
}

#[test]
fn descriptions_are_the_documents_words_cut() {
    let of = |operation: Value| {
        first(json!({ "/a": { "get": operation } }), json!({}))
            .unwrap()
            .description
    };
    assert_eq!(of(json!({})), "GET /a of Shop");
    assert_eq!(of(json!({ "summary": "Lists." })), "Lists.");
    assert_eq!(
        of(json!({ "summary": "Lists", "description": "All of them." })),
        "Lists. All of them."
    );
    assert_eq!(
        of(json!({ "summary": "Lists", "description": "Lists all." })),
        "Lists all."
    );
    let long = of(json!({ "description": "word ".repeat(1000) }));
    assert_eq!(long.chars().count(), LONGEST_DESCRIPTION);
}

#[test]
fn credentials_are_sent_unless_an_operation_takes_none() {
    for (security, secured, locked) in [
        (json!(null), true, true),
        (json!([]), false, false),
        (json!([{}]), true, false),
        (json!([{ "key": [] }, {}]), true, false),
    ] {
        let mut operation = json!({});
        if !security.is_null() {
            operation["security"] = security.clone();
        }
        let described = first(json!({ "/a": { "get": operation } }), json!({})).unwrap();
        assert_eq!(
            (described.operation.secured, described.locked),
            (secured, locked),
            "{security}"
        );
    }
}

#[test]
fn what_it_takes_is_bounded() {
    let many: Vec<Value> = (0..101)
        .map(|i| json!({ "name": format!("p{i}"), "in": "query" }))
        .collect();
    let error = first(
        json!({ "/a": { "get": { "parameters": many } } }),
        json!({}),
    )
    .unwrap_err();
    assert!(error.contains("100 parameters"), "{error}");
    let wide: Map<String, Value> = (0..400)
        .map(|i| {
            (
                format!("field_{i}"),
                json!({ "type": "string", "description": "word ".repeat(60) }),
            )
        })
        .collect();
    let body = json!({ "required": true, "content": { "application/json": { "schema": { "properties": wide } } } });
    let error = first(
        json!({ "/a": { "post": { "requestBody": body } } }),
        json!({}),
    )
    .unwrap_err();
    assert!(error.contains("bytes to be told of"), "{error}");
}
