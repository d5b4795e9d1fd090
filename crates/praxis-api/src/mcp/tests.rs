//! Against the crate's own client, over HTTP, as the whole API is served.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]
#![expect(deprecated, reason = "clients of older revisions have a log")]

#[path = "../../tests/mcp/app.rs"]
pub(crate) mod app;
mod client;
mod keys;

use rmcp::model::{
    ArgumentInfo, CallToolRequestParams, CompleteRequestParams, ErrorCode as Code,
    GetPromptRequestParams, JsonObject, LoggingLevel, ProtocolVersion, ReadResourceRequestParams,
    Reference, SetLevelRequestParams,
};
use serde_json::{Value, json};

use self::client::{Heard, Served, code};

/// The revisions that are asked by: the last one with sessions, and the one without.
const REVISIONS: [ProtocolVersion; 2] =
    [ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28];

fn object(value: Value) -> JsonObject {
    value.as_object().unwrap().clone()
}

fn call(name: &'static str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(name).with_arguments(object(arguments))
}

fn shown(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[tokio::test]
async fn functions_are_tools() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, _) = served.client(None, revision, false).await;
        let tools = client.peer().list_tools(None).await.unwrap().tools;
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(
            names,
            ["decline", "fail", "greet", "math_double", "tell", "wait"]
        );
        let double = shown(&tools[3]);
        assert_eq!(double["title"], "math/double");
        assert_eq!(double["inputSchema"]["required"], json!(["number"]));
        assert_eq!(double["outputSchema"]["required"], json!(["doubled"]));
        assert_eq!(
            double["annotations"],
            json!({ "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false })
        );
        assert_eq!(shown(&tools[1])["annotations"]["destructiveHint"], true);
        let greet = shown(&tools[2]);
        assert!(greet.get("annotations").is_none() && greet.get("outputSchema").is_none());

        for name in ["math_double", "math/double"] {
            let result = client
                .call_tool(call(name, json!({ "number": 21 })))
                .await
                .unwrap();
            let result = shown(&result);
            assert_eq!(result["structuredContent"], json!({ "doubled": 42 }));
            assert_eq!(result["content"][0]["text"], "{\"doubled\":42}");
            assert!(result["_meta"]["praxis/trace_id"].is_string(), "{result}");
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_to_the_model() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, _) = served.client(None, revision, false).await;
        let failed = shown(&client.call_tool(call("fail", json!({}))).await.unwrap());
        assert_eq!(failed["isError"], true);
        assert_eq!(failed["content"][0]["text"], "the service is down");
        assert_eq!(failed["_meta"]["praxis/code"], "upstream_error");
        assert_eq!(
            failed["_meta"]["praxis/details"],
            json!({ "since": "today" })
        );
        let wrong = call("math_double", json!({ "number": "many" }));
        let wrong = shown(&client.call_tool(wrong).await.unwrap());
        assert_eq!(wrong["isError"], true);
        assert_eq!(
            wrong["content"][0]["text"],
            "`number` is no integer (write a whole number)"
        );
        // Words where the schema promises an object would be refused by a client that checks.
        let declined = shown(&client.call_tool(call("decline", json!({}))).await.unwrap());
        assert_eq!(
            (&declined["isError"], &declined["content"][0]["text"]),
            (&json!(true), &json!("I may not say."))
        );
        assert!(declined.get("structuredContent").is_none());
        let unknown = client
            .call_tool(call("nothing", json!({})))
            .await
            .unwrap_err();
        assert_eq!(code(&unknown), Code::INVALID_PARAMS);
    }
}

#[tokio::test]
async fn a_call_tells_how_it_goes() {
    let served = Served::start(None).await;
    let revision = ProtocolVersion::V_2025_11_25;
    let (client, mut heard) = served.client(None, revision, false).await;
    let writes = Heard::Progress("writes".to_owned());
    let calls = Heard::Progress("calls look".to_owned());
    client.call_tool(call("tell", json!({}))).await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), writes);
    // Nobody who did not ask for the log has it.
    loop {
        let next = heard.recv().await.unwrap();
        if next != writes {
            assert_eq!(next, calls);
            break;
        }
    }
    let level = SetLevelRequestParams::new(LoggingLevel::Info);
    client.peer().set_level(level).await.unwrap();
    client.call_tool(call("tell", json!({}))).await.unwrap();
    let logged = loop {
        if let Heard::Log(data) = heard.recv().await.unwrap() {
            break data;
        }
    };
    assert_eq!(logged["tool"], "look");
}

#[tokio::test]
async fn a_call_ends_when_its_client_cancels_it() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, _) = served.client(None, revision, false).await;
        let waits = client.call_tool(call("wait", json!({})));
        tokio::select! {
            result = waits => panic!("{result:?}"),
            () = served.app.waiting.begun.notified() => {}
        }
        // What was dropped is cancelled.
        served.app.waiting.cancelled.notified().await;
    }
}

#[tokio::test]
async fn prompt_files_are_prompts() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, _) = served.client(None, revision, false).await;
        let prompts = client.peer().list_prompts(None).await.unwrap().prompts;
        let prompt = shown(&prompts[0]);
        assert_eq!((prompts.len(), &prompt["name"]), (1, &json!("greet")));
        assert_eq!(prompt["description"], "Greets somebody.");
        assert_eq!(
            prompt["arguments"],
            json!([
                { "name": "name", "description": "who is greeted", "required": true },
                { "name": "tone", "required": false },
                { "name": "times", "description": "integer", "required": false },
            ])
        );
        let get = |arguments: Value| {
            GetPromptRequestParams::new("greet").with_arguments(object(arguments))
        };
        let given = json!({ "name": "Ada", "tone": "warm", "times": "2" });
        let result = shown(&client.get_prompt(get(given)).await.unwrap());
        let text = |n: usize| {
            result["messages"][n]["content"]["text"]
                .as_str()
                .unwrap()
                .trim()
        };
        assert_eq!((text(0), text(1)), ("Be warm.", "Greet Ada."));
        assert_eq!(result["messages"][0]["role"], "user");
        for arguments in [json!({}), json!({ "name": "Ada", "times": "two" })] {
            let error = client.get_prompt(get(arguments)).await.unwrap_err();
            assert_eq!(code(&error), Code::INVALID_PARAMS, "{error}");
        }
        let reference = Reference::for_prompt("greet");
        let typed = CompleteRequestParams::new(reference, ArgumentInfo::new("tone", "w"));
        let completion = client.peer().complete(typed).await.unwrap().completion;
        assert_eq!(completion.values, ["warm"]);
    }
}

#[tokio::test]
async fn a_person_is_asked_for_what_a_prompt_lacks() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, mut heard) = served.client(None, revision, true).await;
        let get =
            GetPromptRequestParams::new("greet").with_arguments(object(json!({ "tone": "cool" })));
        let result = shown(&client.get_prompt(get).await.unwrap());
        let text = result["messages"][1]["content"]["text"].as_str().unwrap();
        assert_eq!(text.trim(), "Greet Grace.");
        assert_eq!(
            heard.recv().await,
            Some(Heard::Form(vec!["name".to_owned()]))
        );
    }
}

#[tokio::test]
async fn documents_are_resources() {
    let served = Served::start(None).await;
    for revision in REVISIONS {
        let (client, _) = served.client(None, revision, false).await;
        let resources = client.peer().list_resources(None).await.unwrap();
        let titles: Vec<_> = resources
            .resources
            .iter()
            .map(|one| one.title.clone().unwrap())
            .collect();
        assert_eq!(titles, ["Holidays", "Mergers", "Salaries"]);
        let first = shown(&resources.resources[0]);
        assert_eq!(first["uri"], "praxis://knowledge/handbook/documents/d-open");
        assert_eq!(first["name"], "Holidays.md");
        assert_eq!(first["annotations"]["lastModified"], "2023-11-14T22:13:20Z");
        let read = |uri: &str| client.read_resource(ReadResourceRequestParams::new(uri));
        let contents = shown(
            &read("praxis://knowledge/handbook/documents/d-open")
                .await
                .unwrap(),
        );
        assert_eq!(contents["contents"][0]["text"], "Thirty days a year.");
        for uri in [
            "praxis://knowledge/handbook/documents/none",
            "praxis://knowledge/other/documents/d-open",
            "file:///etc/passwd",
        ] {
            assert!(read(uri).await.is_err(), "{uri}");
        }
        let templates = client.peer().list_resource_templates(None).await.unwrap();
        let template = &templates.resource_templates[0].uri_template;
        let reference = Reference::for_resource(template.clone());
        let typed = CompleteRequestParams::new(reference, ArgumentInfo::new("base", "hand"));
        let completion = client.peer().complete(typed).await.unwrap().completion;
        assert_eq!(completion.values, ["handbook"]);
    }
}
