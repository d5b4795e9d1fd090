//! An operation: what a method of a path is for, takes, gives and fails with. Left out: which there are, a module for
//! each resource.

use std::ops::RangeInclusive;

use praxis_core::ErrorCode;
use serde_json::{Map, Value, json};

use super::failures::{Failures, headers_of};
use super::shape::{limit, text, with, word};

/// Where OpenAI's own reference is.
const REFERENCE: &str = "https://platform.openai.com/docs/api-reference";

/// What the tag of OpenAI's operations is called, beside that of their resource.
pub(super) const OPENAI: &str = "OpenAI";

/// What every operation may fail with.
const ALWAYS: &[ErrorCode] = &[ErrorCode::Unauthorized, ErrorCode::Internal];

/// What those may fail with that are behind a key.
const KEYED: &[ErrorCode] = &[ErrorCode::Forbidden, ErrorCode::StorageFull];

/// What those may fail with that are sent again by a key.
const AGAIN: &[ErrorCode] = &[
    ErrorCode::IdempotencyConflict,
    ErrorCode::IdempotencyMismatch,
];

/// What a call of a model may fail with, whatever it asks for.
pub(super) const CALLS: &[ErrorCode] = &[
    ErrorCode::InvalidRequest,
    ErrorCode::ContextLengthExceeded,
    ErrorCode::NotFound,
    ErrorCode::ModelNotPulled,
    ErrorCode::RateLimited,
    ErrorCode::Timeout,
    ErrorCode::QuotaExceeded,
    ErrorCode::Upstream,
    ErrorCode::UpstreamUnauthorized,
];

/// What a call of a function may fail with beside that.
pub(super) const FUNCTIONS: &[ErrorCode] = &[
    ErrorCode::BudgetExceeded,
    ErrorCode::OutputInvalid,
    ErrorCode::OutOfScope,
    ErrorCode::ContentBlocked,
    ErrorCode::ApprovalNeeded,
    ErrorCode::Denied,
];

/// What a request for something by its name may fail with.
pub(super) const BY_NAME: &[ErrorCode] = &[ErrorCode::InvalidRequest, ErrorCode::NotFound];

/// A method of a path.
pub(super) struct Operation {
    /// In lower case, as the document has it.
    pub method: &'static str,
    /// With the names of its parameters in braces.
    pub path: String,
    id: String,
    tags: Vec<&'static str>,
    summary: String,
    about: String,
    reference: Option<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// Whether the body is a form, which cannot be sent again by a key.
    is_form: bool,
    answer: (String, Map<String, Value>),
    /// Answers of other statuses that are no errors in the shape of all others.
    others: Vec<(u16, Value)>,
    fails: Vec<ErrorCode>,
    /// Whether it is paid for, and so has limits.
    paid: bool,
    /// What a key has to be for; none where any key will do.
    scope: Option<String>,
    /// Whether it is behind the key.
    keyed: bool,
}

impl Operation {
    /// `GET`.
    pub fn get(path: impl Into<String>, id: impl Into<String>) -> Self {
        Self::of("get", path.into(), id.into())
    }

    /// `POST`.
    pub fn post(path: impl Into<String>, id: impl Into<String>) -> Self {
        Self::of("post", path.into(), id.into())
    }

    /// `DELETE`.
    pub fn delete(path: impl Into<String>, id: impl Into<String>) -> Self {
        Self::of("delete", path.into(), id.into())
    }

    fn of(method: &'static str, path: String, id: String) -> Self {
        let scope = crate::guard::scope_of(&path).map(|scope| scope.to_string());
        Self {
            method,
            path,
            id,
            tags: Vec::new(),
            summary: String::new(),
            about: String::new(),
            reference: None,
            parameters: Vec::new(),
            body: None,
            is_form: false,
            answer: (String::new(), Map::new()),
            others: Vec::new(),
            fails: Vec::new(),
            paid: false,
            scope,
            keyed: true,
        }
    }

    /// The resource that it is of.
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.tags.push(tag);
        self
    }

    /// That it is OpenAI's, and where in OpenAI's reference it stands.
    pub fn openai(mut self, page: &str) -> Self {
        self.tags.push(OPENAI);
        self.reference = Some(format!("{REFERENCE}/{page}"));
        self
    }

    /// What it does, in a few words and in more.
    pub fn says(mut self, summary: impl Into<String>, about: impl Into<String>) -> Self {
        (self.summary, self.about) = (summary.into(), about.into());
        self
    }

    /// That it needs no key.
    pub fn open(mut self) -> Self {
        self.keyed = false;
        self
    }

    /// That a model works for it, so that it is counted and limited.
    pub fn paid(mut self) -> Self {
        self.paid = true;
        self.fails(CALLS)
    }

    /// A parameter of the path.
    pub fn at(self, name: &str, about: &str) -> Self {
        self.parameter("path", name, about, json!({ "type": "string" }), true)
    }

    /// A parameter of the query that may be left out.
    pub fn asks(self, name: &str, about: &str, schema: Value) -> Self {
        self.parameter("query", name, about, schema, false)
    }

    /// A parameter of the query that has to be there.
    pub fn needs(self, name: &str, about: &str, schema: Value) -> Self {
        self.parameter("query", name, about, schema, true)
    }

    /// A header that may be sent.
    pub fn hears(self, name: &str, about: &str, schema: Value) -> Self {
        self.parameter("header", name, about, schema, false)
    }

    /// The parameters of a list as OpenAI's API pages them, with how many items a page may have and has without a word.
    pub fn paged(self, limits: (RangeInclusive<usize>, usize)) -> Self {
        self.asks("limit", "The most items.", limit(limits))
            .asks(
                "order",
                "By the time when they were made: the newest first (`desc`), or the oldest.",
                with(word(&["asc", "desc"]), json!({ "default": "desc" })),
            )
            .asks(
                "after",
                "The id of the item after which items are wanted.",
                text(),
            )
            .asks(
                "before",
                "The id of the item before which items are wanted.",
                text(),
            )
    }

    /// Parameters of the query, as a type has them.
    pub fn asks_all(self, fields: Vec<(String, Value, bool)>) -> Self {
        fields.into_iter().fold(self, |to, (name, schema, needed)| {
            let about = schema.get("description").and_then(Value::as_str);
            let about = about.unwrap_or_default().to_owned();
            to.parameter("query", &name, &about, schema, needed)
        })
    }

    /// A body in JSON, with examples: what each is of, and the body.
    pub fn takes(mut self, schema: Value, examples: &[(&str, Value)]) -> Self {
        let content = content("application/json", schema, examples);
        self.body = Some(json!({ "required": true, "content": content }));
        self.fails(&[ErrorCode::InvalidRequest])
    }

    /// A form that carries a file.
    pub fn takes_form(mut self, schema: Value) -> Self {
        let content = content("multipart/form-data", schema, &[]);
        self.is_form = true;
        self.body = Some(json!({ "required": true, "content": content }));
        self.fails(&[ErrorCode::InvalidRequest, ErrorCode::TooLarge])
    }

    /// An answer in JSON, with an example where there is one (not null).
    pub fn gives(self, about: &str, schema: Value, example: Value) -> Self {
        let example = (!example.is_null()).then_some(("an answer", example));
        self.gives_as("application/json", about, schema, example.as_slice())
    }

    /// An answer of another type, alone or beside what else it gives.
    pub fn gives_as(
        mut self,
        media_type: &str,
        about: &str,
        schema: Value,
        examples: &[(&str, Value)],
    ) -> Self {
        let (words, contents) = &mut self.answer;
        if words.is_empty() {
            about.clone_into(words);
        }
        contents.extend(content(media_type, schema, examples));
        self
    }

    /// An answer of another status that has a shape of its own.
    pub fn or_gives(mut self, status: u16, about: &str, schema: Value) -> Self {
        let answer = json!({
            "description": about,
            "headers": headers_of(&self.path, false),
            "content": content("application/json", schema, &[]),
        });
        self.others.push((status, answer));
        self
    }

    /// What it may fail with beside what all do.
    pub fn fails(mut self, codes: &[ErrorCode]) -> Self {
        self.fails.extend(codes);
        self
    }

    fn parameter(
        mut self,
        place: &str,
        name: &str,
        about: &str,
        schema: Value,
        needed: bool,
    ) -> Self {
        let mut schema = schema;
        if let Value::Object(map) = &mut schema {
            map.shift_remove("description");
        }
        self.parameters.push(json!({
            "name": name,
            "in": place,
            "required": needed,
            "description": about,
            "schema": schema,
        }));
        self
    }

    /// As the document has it.
    pub fn finish(mut self, failures: &mut Failures) -> Value {
        self.fails.extend(ALWAYS);
        if self.keyed {
            self.fails.extend(KEYED);
        }
        if self.paid {
            self = self.hears(
                "x-praxis-tags",
                "What the call is counted under, beside its key: names, separated by commas.",
                json!({ "type": "string" }),
            );
        }
        if self.method == "post" && !self.is_form {
            self.fails.extend(AGAIN);
            self = self.hears(
                "Idempotency-Key",
                "A name for the request: of those with the same one the first runs, and the others get its answer, \
                 for a day.",
                json!({ "type": "string", "minLength": 1, "maxLength": 255 }),
            );
        }
        let mut about = self.about;
        if let Some(scope) = &self.scope {
            about = format!("{about}\n\nA key has to be for `{scope}`.");
        }
        let mut value = Map::new();
        let mut put = |name: &str, part: Value| value.insert(name.to_owned(), part);
        put("operationId", Value::from(self.id));
        put("tags", json!(self.tags));
        put("summary", Value::from(self.summary));
        put("description", Value::from(about.trim()));
        if let Some(page) = self.reference {
            let words = "As OpenAI describes it";
            put("externalDocs", json!({ "description": words, "url": page }));
        }
        if !self.keyed {
            put("security", json!([]));
        }
        if !self.parameters.is_empty() {
            put("parameters", Value::from(self.parameters));
        }
        let unreadable = self.body.is_some().then(|| failures.unreadable());
        if let Some(body) = self.body {
            put("requestBody", body);
        }
        let (words, contents) = self.answer;
        let good = json!({
            "description": words,
            "headers": headers_of(&self.path, self.paid),
            "content": contents,
        });
        let mut bad = failures.of(&self.fails);
        bad.extend(unreadable);
        bad.extend(self.others);
        bad.sort_by_key(|(status, _)| *status);
        let bad = bad
            .into_iter()
            .map(|(status, answer)| (status.to_string(), answer));
        let answers = std::iter::once(("200".to_owned(), good)).chain(bad);
        put("responses", Value::Object(answers.collect()));
        Value::Object(value)
    }
}

/// A body of one type. Examples are named by what they are of.
fn content(media_type: &str, schema: Value, examples: &[(&str, Value)]) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("schema".to_owned(), schema);
    if !examples.is_empty() {
        let example = |(about, value): &(&str, Value)| {
            let name = about.replace([' ', ',', '`'], "_");
            (name, json!({ "summary": about, "value": value }))
        };
        let examples: Map<String, Value> = examples.iter().map(example).collect();
        body.insert("examples".to_owned(), Value::Object(examples));
    }
    let body = (media_type.to_owned(), Value::Object(body));
    Map::from_iter([body])
}
