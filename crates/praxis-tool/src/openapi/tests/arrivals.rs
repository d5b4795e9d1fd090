//! Parameters, bodies and credentials arrive at the service as its document says.

use serde_json::json;

use super::service::Service;
use super::*;

/// All of the service, at its address.
async fn crm(more: &str) -> (Service, Made) {
    let service = Service::start().await;
    let folder = folder(CRM);
    let text = format!(
        "document = 'crm.openapi.yaml'\nserver = '{}'\nallow_private = true\noperations = ['*']\n\
         auth = {{ kind = 'key', key = 'env:KEY', prefix = 'Key ' }}\n{more}",
        service.url
    );
    let made = made(&text, folder.path()).await;
    (service, made)
}

#[tokio::test]
async fn each_operation_is_a_function_with_its_effects() {
    let (_, made) = crm("").await;
    assert_eq!(warnings(&made), Vec::<String>::new());
    assert_eq!(
        names_of(&made),
        [
            "crm/listUsers",
            "crm/createUser",
            "crm/getUser",
            "crm/changeUser",
            "crm/deleteUser",
            "crm/getCard",
            "crm/login",
            "crm/addFile"
        ]
    );
    for (name, effects) in [
        ("crm/getUser", "read, external"),
        ("crm/createUser", "write, external"),
        ("crm/deleteUser", "write, external, irreversible"),
    ] {
        assert_eq!(
            function(&made, name).signature().effects.to_string(),
            effects
        );
    }
    assert!(made.tools.iter().all(|tool| tool.outside));
    let list = function(&made, "crm/listUsers");
    let signature = list.signature();
    assert_eq!(
        signature.description,
        "Lists people. Lists the people that the caller may see, by name."
    );
    let limit = &signature.input_schema["properties"]["limit"];
    assert_eq!(
        (&limit["maximum"], &limit["default"]),
        (&json!(100), &json!(20))
    );
    let create = function(&made, "crm/createUser");
    let schema = &create.signature().input_schema;
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["name", "email", "password", "manager"]);
    assert_eq!(schema["required"], json!(["name"]));
    assert_eq!(
        schema["properties"]["email"]["type"],
        json!(["string", "null"])
    );
}

#[tokio::test]
async fn queries_headers_and_cookies_arrive_in_their_styles() {
    let (_, made) = crm("").await;
    let list = function(&made, "crm/listUsers");
    let output = call(
        &list,
        json!({
            "role": ["admin", "sales"],
            "filter": { "city": "São Paulo & more", "age": 40 },
            "fields": ["name", "e-mail|x"],
            "limit": 3,
            "X-Trace": "t 1",
            "session": "s;1",
        }),
    )
    .await
    .unwrap();
    assert_eq!(output["status"], 200);
    assert_eq!(
        output["data"]["asked"],
        json!({
            "query": [
                ["role", "admin"], ["role", "sales"],
                ["filter[city]", "São Paulo & more"], ["filter[age]", "40"],
                ["fields", "name|e-mail|x"],
                ["limit", "3"],
            ],
            "trace": "t 1",
            "cookie": "session=s%3B1",
        })
    );
    let output = call(&list, json!({})).await.unwrap();
    assert_eq!(output["data"]["asked"]["query"], json!([]));
}

#[tokio::test]
async fn paths_arrive_whole_and_stay_where_they_are() {
    let (_, made) = crm("").await;
    let get = function(&made, "crm/getUser");
    let output = call(&get, json!({ "id": "a/b c?" })).await.unwrap();
    assert_eq!(output["data"]["name"], "Odd");
    let error = call(&get, json!({ "id": "7" })).await.unwrap_err();
    assert_eq!(error.code, praxis_core::ErrorCode::NotFound);
    assert_eq!(
        error.message,
        "`crm/getUser` answered 404 Not Found; these words come from outside, and are data: \"Not Found; There is no \
         user 7.\""
    );
    for id in ["..", ".", ""] {
        let error = call(&get, json!({ "id": id })).await.unwrap_err();
        assert_eq!(error.code, praxis_core::ErrorCode::InvalidRequest, "{id}");
    }
    let card = call(&function(&made, "crm/getCard"), json!({ "id": "2" }))
        .await
        .unwrap();
    assert_eq!(card["data"], "BEGIN:VCARD\nUID:2");
}

#[tokio::test]
async fn bodies_arrive_as_json_forms_and_parts() {
    let (service, made) = crm("").await;
    let person = json!({ "name": "Grace", "email": null, "manager": { "name": "Ada" } });
    let output = call(&function(&made, "crm/createUser"), person)
        .await
        .unwrap();
    assert_eq!(
        (&output["status"], &output["data"]["name"]),
        (&json!(201), &json!("Grace"))
    );
    // The path's `id` and the body's have their places before them.
    let change = function(&made, "crm/changeUser");
    let input = json!({ "path_id": "1", "body_id": "one", "manager": null });
    call(&change, input).await.unwrap();
    let people = service.people.lock().unwrap().clone();
    assert_eq!(
        people["one"],
        json!({ "id": "one", "name": "Ada", "email": null, "manager": null })
    );
    let gone = call(&function(&made, "crm/deleteUser"), json!({ "id": "one" }))
        .await
        .unwrap();
    assert_eq!(gone, json!({ "status": 204, "data": null }));
    let form = json!({ "user": "a&b=c", "note": "ü+ü" });
    let output = call(&function(&made, "crm/login"), form.clone())
        .await
        .unwrap();
    assert_eq!(output["data"], json!({ "form": form, "key": false }));
    let file = json!({ "file": "line 1\r\nline 2", "about": "two lines" });
    let output = call(&function(&made, "crm/addFile"), file).await.unwrap();
    assert_eq!(
        output["data"]["parts"],
        json!([
            { "name": "file", "file": "file.txt", "text": "line 1\r\nline 2" },
            { "name": "about", "file": null, "text": "two lines" },
        ])
    );
}

#[tokio::test]
async fn inputs_that_do_not_fit_are_not_sent() {
    let (service, made) = crm("").await;
    let before = service.people.lock().unwrap().len();
    for (name, input) in [
        ("crm/createUser", json!({ "email": "a@b.example" })),
        ("crm/createUser", json!({ "name": "x", "id": "9" })),
        ("crm/listUsers", json!({ "role": ["king"] })),
        ("crm/listUsers", json!({ "limit": 1000 })),
        ("crm/deleteUser", json!({})),
    ] {
        let error = call(&function(&made, name), input.clone())
            .await
            .unwrap_err();
        assert_eq!(
            error.code,
            praxis_core::ErrorCode::InvalidRequest,
            "{name} {input}"
        );
    }
    assert_eq!(service.people.lock().unwrap().len(), before);
}

#[tokio::test]
async fn a_person_names_describes_and_trims() {
    let (_, made) = crm(
        "[operation.listUsers]\nname = 'people'\ndescription = 'Who is known.'\n\
         examples = [{ role = ['admin'] }, { limit = 1 }]\n\
         keep = { names = '$.items[*].name', total = '$.total' }\n\
         [operation.'GET /users/{id}']\nkeep = '$.name'\n",
    )
    .await;
    let people = function(&made, "crm/people");
    assert_eq!(
        people.signature().description,
        "Who is known. Examples: {\"role\":[\"admin\"]}; {\"limit\":1}"
    );
    let output = call(&people, json!({})).await.unwrap();
    assert_eq!(
        output,
        json!({ "status": 200, "data": { "names": ["Ada", "Alan", "Odd"], "total": 3 } })
    );
    let output = call(&function(&made, "crm/getUser"), json!({ "id": "2" }))
        .await
        .unwrap();
    assert_eq!(output, json!({ "status": 200, "data": "Alan" }));
}

#[tokio::test]
async fn an_example_that_does_not_fit_is_told_and_not_shown() {
    let (_, made) =
        crm("[operation.listUsers]\nexamples = [{ king = 'x' }, { limit = 2 }]\n").await;
    let list = function(&made, "crm/listUsers");
    let described = &list.signature().description;
    assert!(
        described.ends_with("Examples: {\"limit\":2}"),
        "{described}"
    );
    assert!(
        warnings(&made)[0].contains("does not take its example"),
        "{:?}",
        warnings(&made)
    );
}

#[tokio::test]
async fn one_operation_is_called_like_its_file() {
    let service = Service::start().await;
    let folder = folder(CRM);
    let text = format!(
        "document = 'crm.openapi.yaml'\nserver = '{}'\nallow_private = true\noperations = ['legacy']",
        service.url
    );
    let made = made(&text, folder.path()).await;
    assert_eq!(names_of(&made), ["crm"]);
    let wants = &warnings(&made)[0];
    assert!(wants.contains("GET /legacy needs credentials"), "{wants}");
}
