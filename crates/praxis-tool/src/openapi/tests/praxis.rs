//! The document of Praxis itself, `docs/openapi.json`: all of its operations are functions.

use serde_json::json;

use super::*;

const OWN: &str = include_str!("../../../../../docs/openapi.json");

fn count() -> usize {
    let document: Value = serde_json::from_str(OWN).unwrap();
    let methods = ["get", "head", "post", "put", "patch", "delete"];
    let paths = document["paths"].as_object().unwrap();
    let all = paths
        .values()
        .flat_map(|item| item.as_object().unwrap().keys());
    all.filter(|word| methods.contains(&word.as_str())).count()
}

#[tokio::test]
async fn all_operations_of_praxis_are_functions() {
    let folder = folder(OWN);
    let text = "document = 'crm.openapi.yaml'\nallow_private = true\noperations = ['*']\n\
                auth = { kind = 'bearer', token = 'env:TOKEN' }";
    let made = made(text, folder.path()).await;
    assert!(made.warnings.is_empty(), "{:?}", warnings(&made));
    assert_eq!(made.tools.len(), count());
    for tool in &made.tools {
        let signature = tool.function.signature();
        let name = signature.name.replace('/', "_");
        let spec = praxis_core::ToolSpec {
            name,
            description: signature.description.clone(),
            parameters: signature.input_schema.clone(),
        };
        assert_eq!(spec.problem(), None);
        assert_eq!(
            signature.input_schema["additionalProperties"],
            json!(false),
            "{}",
            signature.name
        );
        assert!(!signature.description.is_empty());
        assert!(
            jsonschema::validator_for(&signature.output_schema).is_ok(),
            "{}",
            signature.name
        );
    }
    let search = function(&made, "crm/searchKnowledge");
    let properties = &search.signature().input_schema["properties"];
    for name in ["base", "query"] {
        assert!(
            properties.get(name).is_some(),
            "{name} is missing in {properties}"
        );
    }
    let file = function(&made, "crm/createFile");
    let required = &file.signature().input_schema["required"];
    assert_eq!(required, &json!(["file", "purpose"]));
}

#[tokio::test]
async fn the_document_of_praxis_needs_a_choice() {
    let folder = folder(OWN);
    let text = "document = 'crm.openapi.yaml'\nallow_private = true";
    let none = made(text, folder.path()).await;
    assert_eq!(none.tools.is_empty(), count() > 64);
    let few = format!("{text}\noperations = ['list*', 'POST /praxis/v1/functions/{{name}}/call']");
    let few = made(&few, folder.path()).await;
    assert!(names_of(&few).contains(&"crm/callFunction".to_owned()));
    assert!(
        names_of(&few)
            .iter()
            .all(|name| name.starts_with("crm/list") || name == "crm/callFunction")
    );
}

#[tokio::test]
async fn a_function_of_praxis_is_called_through_its_document() {
    // What Praxis answers is tested where it is made; here, what it is asked.
    let server = Told::start(|asked| {
        json_reply(
            200,
            &json!({ "output": asked.body, "key": asked.header("authorization") }),
        )
    })
    .await;
    let folder = folder(OWN);
    let text = format!(
        "document = 'crm.openapi.yaml'\nserver = '{}'\nallow_private = true\n\
         operations = ['callFunction', 'getGraph']\n\
         auth = {{ kind = 'bearer', token = 'env:TOKEN' }}",
        server.url
    );
    let made = made(&text, folder.path()).await;
    let input = json!({ "name": "desk/answer", "input": { "question": "Who may borrow?" }, "Idempotency-Key": "k1" });
    let output = call(&function(&made, "crm/callFunction"), input)
        .await
        .unwrap();
    assert_eq!(output["data"]["key"], "Bearer token-secret");
    let asked = server.asked().remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/praxis/v1/functions/desk%2Fanswer/call")
    );
    assert_eq!(asked.header("idempotency-key"), "k1");
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body, json!({ "input": { "question": "Who may borrow?" } }));
    let input = json!({ "base": "handbook", "entity": "Ada & co", "depth": 2 });
    call(&function(&made, "crm/getGraph"), input).await.unwrap();
    assert_eq!(
        server.asked()[0].target,
        "/praxis/v1/knowledge/handbook/graph?entity=Ada%20%26%20co&depth=2"
    );
}
