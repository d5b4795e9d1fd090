//! Files of the kind `http` and what their functions send to a real server.

use std::sync::Arc;

use praxis_core::{CallError, ErrorCode, Function};
use serde_json::json;

use super::*;
use crate::egress::site::{Reply, Site, context};

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// The function of a file for a server at a private address.
fn function(text: &str) -> Arc<dyn Function> {
    let config = config(&format!("allow_private = true\n{text}"));
    assert_eq!(config.problems(), Vec::new());
    let egress = Egress::new(&config.egress()).unwrap();
    match config.request {
        true => tool(General::new("weather", &config, egress)).unwrap(),
        false => tool(Fixed::new("weather", &config, egress).unwrap()).unwrap(),
    }
}

async fn call(function: &Arc<dyn Function>, input: Value) -> Result<Value, CallError> {
    let output = function.call(input, &context()).await?;
    let validator = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    assert!(validator.is_valid(&output), "{output}");
    Ok(output)
}

#[tokio::test]
async fn a_few_lines_make_a_function_of_a_service() {
    let site = Site::new().await;
    site.put(
        "/v1/New%20York",
        Reply::of(
            "application/json",
            r#"{"current": {"temp": 21, "sky": "clear"}, "junk": [1, 2, 3]}"#,
        ),
    );
    let url = site.direct("/v1/{city}?units=metric");
    let function = function(&format!(
        "description = \"The weather now.\"\nurl = \"{url}\"\nkeep = \"$.current\"\n\
         [query]\nlang = \"{{lang}}\"\nkey = \"env:PATH\"\n\
         [headers]\nX-Api-Key = \"env:PATH\"\n\
         [input]\ncity = \"string, the city\"\n\"lang?\" = \"string\"\n"
    ));
    let signature = function.signature();
    assert_eq!(signature.description, "The weather now.");
    assert_eq!(signature.input_schema["required"], json!(["city"]));
    assert!(signature.effects.only_reads() && signature.effects.has(Effect::External));
    let output = call(&function, json!({ "city": "New York" }))
        .await
        .unwrap();
    assert_eq!(output, json!({ "data": { "temp": 21, "sky": "clear" } }));
    let asked = site.asked().remove(0);
    let secret = std::env::var("PATH").unwrap();
    assert_eq!(asked.headers["x-api-key"], secret.trim());
    assert!(asked.target.starts_with("/v1/New%20York?units=metric&key="));
    assert!(asked.headers["accept"].starts_with("application/json"));
    // Neither a step up in the tree nor a parameter comes out of a value.
    let error = call(&function, json!({ "city": ".." })).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(site.asked().is_empty());
    let given = json!({ "city": "New York", "lang": "de&key=stolen" });
    call(&function, given).await.unwrap();
    assert!(site.asked()[0].target.contains("lang=de%26key%3Dstolen"));
}

#[tokio::test]
async fn bodies_are_json_or_forms_and_what_is_left_out_is_not_sent() {
    let site = Site::new().await;
    site.put("/orders", Reply::of("text/plain", "taken").status(201));
    let url = site.direct("/orders");
    let orders = function(&format!(
        "url = \"{url}\"\nbody = {{ item = \"{{item}}\", count = \"{{count}}\", note = \"for {{who}}\", \
         source = \"desk\" }}\n\
         [input]\nitem = \"string\"\ncount = \"integer\"\n\"who?\" = \"string\"\n"
    ));
    assert!(!orders.signature().effects.only_reads());
    let given = json!({ "item": "mill\", \"admin\": \"yes", "count": 2 });
    let output = call(&orders, given).await.unwrap();
    assert_eq!(output, json!({ "data": "taken" }));
    let asked = site.asked().remove(0);
    assert_eq!(
        (asked.method.as_str(), &asked.headers["content-type"][..]),
        ("POST", "application/json")
    );
    let sent: Value = serde_json::from_str(&asked.body).unwrap();
    let expected = json!({ "item": "mill\", \"admin\": \"yes", "count": 2, "source": "desk" });
    assert_eq!(sent, expected);

    let forms = function(&format!(
        "url = \"{url}\"\nmethod = \"PUT\"\nform = {{ a = \"b\", tag = \"{{tags}}\" }}\n[input]\ntags = \"string[]\"\n"
    ));
    call(&forms, json!({ "tags": ["x y", "&"] })).await.unwrap();
    let asked = site.asked().remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.body.as_str()),
        ("PUT", "a=b&tag=x+y&tag=%26")
    );
}

#[tokio::test]
async fn what_a_service_says_of_a_failure_comes_with_its_code() {
    let site = Site::new().await;
    let function = function(&format!(
        "url = \"{}\"\n[input]\nid = \"string\"\n",
        site.direct("/{id}")
    ));
    for (status, code) in [
        (400, ErrorCode::InvalidRequest),
        (401, ErrorCode::Unauthorized),
        (404, ErrorCode::NotFound),
        (429, ErrorCode::RateLimited),
        (500, ErrorCode::Upstream),
    ] {
        let reply = Reply::of("application/json", "{\"error\":\n \"no such city\"}");
        site.put("/x", reply.status(status).header("retry-after", "7"));
        let error = call(&function, json!({ "id": "x" })).await.unwrap_err();
        assert_eq!(error.code, code, "{status}");
        assert!(error.message.contains(&status.to_string()), "{error}");
        assert!(error.message.contains("no such city") && !error.message.contains('\n'));
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }
    for (kind, body, part) in [
        ("image/png", "x", "image/png"),
        ("application/json", "{", "is none"),
    ] {
        site.put("/x", Reply::of(kind, body));
        let error = call(&function, json!({ "id": "x" })).await.unwrap_err();
        assert!(error.message.contains(part), "{kind}: {error}");
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_in_its_form_and_says_so() {
    let site = Site::new().await;
    let items: Vec<Value> = (0..500).map(|i| json!({ "id": i })).collect();
    let body = json!({ "items": items }).to_string();
    site.put("/list", Reply::of("application/json", body));
    let url = site.direct("/list");
    let short = function(&format!("url = \"{url}\"\nmax_tokens = 100\n"));
    let output = call(&short, json!({})).await.unwrap();
    let kept = output["data"]["items"].as_array().unwrap();
    assert!(!kept.is_empty() && kept.len() < 100, "{output}");
    assert!(output["note"].as_str().unwrap().contains("cut"));
    let lost = function(&format!("url = \"{url}\"\nkeep = \"$.item\"\n"));
    let output = call(&lost, json!({})).await.unwrap();
    assert_eq!(output["data"], Value::Null);
    assert!(output["note"].as_str().unwrap().contains("item"));
    let small = function(&format!("url = \"{url}\"\nmax_bytes = 1000\n"));
    let error = call(&small, json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert!(error.hint.unwrap().contains("max_bytes"));
}

#[tokio::test]
async fn requests_of_a_caller_stay_within_hosts_methods_and_headers() {
    let site = Site::new().await;
    site.put("/a", Reply::of("application/json", "{\"x\": 1}"));
    site.put("/away", Reply::moved(302, "http://169.254.169.254/"));
    let function = function(&format!(
        "request = true\nallow = [\"{}\"]\nmethods = [\"GET\", \"POST\"]\n[headers]\nX-Api-Key = \"env:PATH\"\n",
        site.address
    ));
    assert!(!function.signature().effects.only_reads());
    let url = site.direct("/a?b=c");
    let output = call(
        &function,
        json!({ "url": url, "headers": { "X-Page": "2" } }),
    )
    .await;
    let output = output.unwrap();
    assert_eq!(
        (&output["status"], &output["data"]),
        (&json!(200), &json!({ "x": 1 }))
    );
    assert_eq!(output["headers"]["content-type"], "application/json");
    let asked = site.asked().remove(0);
    assert_eq!(
        (asked.target.as_str(), &asked.headers["x-page"][..]),
        ("/a?b=c", "2")
    );
    assert!(asked.headers.contains_key("x-api-key"));
    let body = json!({ "method": "POST", "url": url, "body": { "y": [1] } });
    call(&function, body).await.unwrap();
    assert_eq!(site.asked()[0].body, "{\"y\":[1]}");
    let missing = call(&function, json!({ "url": site.direct("/none") }))
        .await
        .unwrap();
    assert_eq!(missing["status"], 404);
    site.asked();
    for input in [
        json!({ "url": "http://127.0.0.2/" }),
        json!({ "url": "http://example.org/" }),
        json!({ "url": "nothing" }),
        json!({ "url": url, "method": "DELETE" }),
        json!({ "url": url, "body": "x" }),
        json!({ "url": url, "headers": { "X-Api-Key": "mine" } }),
        json!({ "url": url, "headers": { "Authorization": "mine" } }),
        json!({ "url": url, "headers": { "Host": "evil.test" } }),
        json!({ "url": url, "headers": { "X-A": "a\r\nHost: evil.test" } }),
        json!({ "url": url, "headers": { "a b": "x" } }),
    ] {
        let error = call(&function, input.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{input}: {error}");
    }
    assert!(site.asked().is_empty());
    let error = call(&function, json!({ "url": site.direct("/away") })).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[test]
fn mistakes_of_a_file_name_their_key_and_their_fix() {
    const URL: &str = "url = \"https://a.test/{b}\"\n";
    let with = |text: &str| format!("{URL}{text}[input]\nb = \"string\"\n");
    for (text, path, part) in [
        (String::new(), "url", "no `url`"),
        (
            "url = \"https://{host}/\"\n".to_owned(),
            "url",
            "in its host",
        ),
        (URL.to_owned(), "url", "`{b}` has no value"),
        (
            format!("{URL}[input]\n\"b?\" = \"string\"\n"),
            "input",
            "the path needs it",
        ),
        (
            format!("{URL}[input]\nb = \"string\"\nc = \"string\"\n"),
            "input",
            "goes nowhere",
        ),
        (with("method = \"FETCH\"\n"), "method", "no method"),
        (
            with("method = \"GET\"\nbody = { a = 1 }\n"),
            "method",
            "no body",
        ),
        (with("methods = [\"GET\"]\n"), "methods", "request = true"),
        (with("body = { a = \"{\" }\n"), "body", "begins or ends"),
        (with("body = { a = 1 }\nform = { a = 1 }\n"), "form", "both"),
        (with("query = { a = [1] }\n"), "query.a", "no text"),
        (
            with("headers = { Authorization = \"Bearer x\" }\n"),
            "headers.Authorization",
            "do not belong",
        ),
        (with("keep = \"items\"\n"), "keep", "no JSONPath"),
        (
            with("output = { type = \"thing\" }\n"),
            "output",
            "no JSON Schema",
        ),
        (with("timeout = \"11m\"\n"), "timeout", "too long"),
        (with("max_bytes = 0\n"), "max_bytes", "out of range"),
        (with("max_tokens = 0\n"), "max_tokens", "out of range"),
        (with("allow = [\"https://b.test\"]\n"), "allow", "a URL"),
        ("request = true\n".to_owned(), "allow", "needs `allow`"),
        (
            "request = true\nallow = [\"a.test\"]\nkeep = \"$\"\n".to_owned(),
            "keep",
            "each call",
        ),
        (
            "request = true\nallow = [\"*\"]\nheaders = { X-Key = \"env:PATH\" }\n".to_owned(),
            "allow",
            "goes to each host",
        ),
    ] {
        let found = config(&text).problems();
        let here = found.iter().find(|p| p.path == path);
        let here = here.unwrap_or_else(|| panic!("{text}: {found:?}"));
        assert!(here.message.contains(part), "{text}: {here}");
        assert!(
            here.help.as_ref().is_some_and(|help| !help.is_empty()),
            "{here}"
        );
    }
    assert_eq!(config(&with("")).problems(), Vec::new());
    assert!(toml::from_str::<Config>("uri = \"x\"").is_err());
}
