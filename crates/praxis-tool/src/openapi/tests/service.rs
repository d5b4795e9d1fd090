//! The service that `crm.openapi.yaml` describes, as axum reads requests: paths, queries, headers, JSON, forms and
//! parts are taken apart by others than those who wrote them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, Json, Multipart, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use url::form_urlencoded;

/// People by id.
type People = Arc<Mutex<BTreeMap<String, Value>>>;

/// The service, at an address of this machine.
pub struct Service {
    /// Up to and with `/v1`.
    pub url: String,
    pub people: People,
}

impl Service {
    pub async fn start() -> Self {
        let people = People::default();
        for (id, name) in [("1", "Ada"), ("2", "Alan"), ("a/b c?", "Odd")] {
            let person = json!({ "id": id, "name": name, "email": null });
            people.lock().unwrap().insert(id.to_owned(), person);
        }
        let router = Router::new()
            .route("/v1/users", get(list).post(create))
            .route("/v1/users/{id}", get(one).patch(change).delete(remove))
            .route("/v1/users/{id}/card", get(card))
            .route("/v1/files", post(keep))
            .route_layer(middleware::from_fn(with_key))
            .route("/v1/login", post(login))
            .with_state(Arc::clone(&people));
        let url = super::serve(router).await;
        Self {
            url: format!("{url}/v1"),
            people,
        }
    }
}

async fn with_key(request: Request, next: Next) -> Response {
    let key = request.headers().get("x-api-key");
    if key.is_some_and(|key| key == "Key key-secret") {
        return next.run(request).await;
    }
    problem(StatusCode::UNAUTHORIZED, "the key is not known")
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "title": status.canonical_reason(), "detail": detail }).to_string();
    (status, [("content-type", "application/problem+json")], body).into_response()
}

/// Says what it was asked as well.
async fn list(
    State(people): State<People>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Json<Value> {
    let query = query.unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let items: Vec<Value> = people.lock().unwrap().values().cloned().collect();
    Json(json!({
        "items": items,
        "total": items.len(),
        "asked": { "query": pairs, "trace": header("x-trace"), "cookie": header("cookie") },
    }))
}

async fn create(State(people): State<People>, Json(mut person): Json<Value>) -> Response {
    let mut people = people.lock().unwrap();
    let id = (people.len() + 1).to_string();
    person["id"] = json!(id);
    people.insert(id, person.clone());
    (StatusCode::CREATED, Json(person)).into_response()
}

async fn one(State(people): State<People>, Path(id): Path<String>) -> Response {
    match people.lock().unwrap().get(&id) {
        Some(person) => Json(person.clone()).into_response(),
        None => problem(StatusCode::NOT_FOUND, &format!("There is no user {id}.")),
    }
}

async fn change(
    State(people): State<People>,
    Path(id): Path<String>,
    Json(new): Json<Value>,
) -> Response {
    let mut people = people.lock().unwrap();
    let Some(mut person) = people.remove(&id) else {
        return problem(StatusCode::NOT_FOUND, "nobody");
    };
    for (field, value) in new.as_object().unwrap() {
        person[field] = value.clone();
    }
    let id = person["id"].as_str().unwrap().to_owned();
    people.insert(id, person.clone());
    Json(person).into_response()
}

async fn remove(State(people): State<People>, Path(id): Path<String>) -> StatusCode {
    match people.lock().unwrap().remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

async fn card(Path(id): Path<String>) -> Response {
    (
        [("content-type", "text/vcard")],
        format!("BEGIN:VCARD\nUID:{id}"),
    )
        .into_response()
}

async fn login(headers: HeaderMap, Form(form): Form<BTreeMap<String, String>>) -> Json<Value> {
    Json(json!({ "form": form, "key": headers.contains_key("x-api-key") }))
}

async fn keep(mut form: Multipart) -> Json<Value> {
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        let name = field.name().unwrap().to_owned();
        let file = field.file_name().map(str::to_owned);
        let text = field.text().await.unwrap();
        parts.push(json!({ "name": name, "file": file, "text": text }));
    }
    Json(json!({ "parts": parts }))
}
