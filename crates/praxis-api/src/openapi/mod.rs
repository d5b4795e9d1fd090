//! The API as an OpenAPI 3.1 document: `GET /openapi.json`, `praxis openapi`, and `docs/openapi.json`, which is
//! generated from here.
//!
//! A module for each resource says what its operations are for, take and give. Requests have the schemas of the types
//! that handlers read (`schemas`), errors come from the table of codes (`failures`), the scopes of keys from the
//! guard, limits from the constants of handlers; a test holds the paths and methods to the router. Left out: the page
//! that shows it (`praxis-console`).

mod application;
mod approvals;
mod failures;
mod functions;
mod knowledge;
mod openai;
mod operation;
mod routes;
mod schemas;
mod serve;
mod server;
mod shape;
#[cfg(test)]
pub(crate) mod tests;
mod traces;

use std::sync::LazyLock;

use praxis_core::Signature;
use serde_json::{Map, Value, json};

use self::failures::Failures;
use self::operation::{OPENAI, Operation};
use self::schemas::Schemas;

pub(crate) use self::routes::Routes;
pub use self::serve::Document;
pub(crate) use self::serve::show;

/// Where schemas are in the document, as a JSON pointer.
const SCHEMAS_PATH: &str = "/components/schemas";

/// What references to schemas begin with.
const SCHEMAS: &str = "#/components/schemas/";

/// What the document says of the whole.
const ABOUT: &str = "\
Praxis applies large language models: an application is a folder of prompts and documents, and this server calls its \
functions, searches its documents, and speaks OpenAI's API, so that OpenAI's own clients work with it.\n\n\
Paths below `/v1` are OpenAI's; what Praxis adds to an answer is in the field `praxis`. A function of the application \
is a model there, called `function:NAME`. Paths below `/praxis/v1` say what OpenAI's API has no words for.\n\n\
Every answer has the header `x-request-id`. Errors have one shape, `Error`; their `code` is stable. An address that \
is not here is a 404, and a method that an address does not have is a 405 with the header `allow`. A body has at most \
8 MiB, a form with a file more.\n\n\
Where the server has keys, requests need one: `Authorization: Bearer KEY`. A key says which documents its caller may \
read, and what it may not read is a 404, as what is not there.";

/// The words that group operations.
mod tags {
    /// Functions, called by their signature.
    pub const FUNCTIONS: &str = "Functions";
    /// The application's own, each with its path.
    pub const APPLICATION: &str = "Functions of the application";
    /// Documents and graphs.
    pub const KNOWLEDGE: &str = "Knowledge";
    /// What calls did, and what is said of them.
    pub const TRACES: &str = "Traces";
    /// Calls of tools that wait.
    pub const APPROVALS: &str = "Approvals";
    /// The process itself.
    pub const SERVER: &str = "Server";
    /// OpenAI's chat.
    pub const CHAT: &str = "Chat";
    /// OpenAI's newer way to ask.
    pub const RESPONSES: &str = "Responses";
    /// What responses remember.
    pub const CONVERSATIONS: &str = "Conversations";
    /// OpenAI's older way to ask.
    pub const COMPLETIONS: &str = "Completions";
    /// Vectors.
    pub const EMBEDDINGS: &str = "Embeddings";
    /// Judging texts.
    pub const MODERATIONS: &str = "Moderations";
    /// Speech to text.
    pub const AUDIO: &str = "Audio";
    /// Models and functions by name.
    pub const MODELS: &str = "Models";
    /// Files that clients send.
    pub const FILES: &str = "Files";
    /// Files that come in parts.
    pub const UPLOADS: &str = "Uploads";
    /// Requests that nobody waits for.
    pub const BATCHES: &str = "Batches";
    /// Knowledge bases that clients make.
    pub const VECTOR_STORES: &str = "Vector stores";
    /// Reports.
    pub const USAGE: &str = "Usage";

    /// What each is about, in the order of the document.
    pub const ALL: &[(&str, &str)] = &[
        (
            FUNCTIONS,
            "What the application can do, called by its signature.",
        ),
        (
            APPLICATION,
            "A path for each function, with its own input and output.",
        ),
        (
            KNOWLEDGE,
            "The documents of the application, and what is found in them.",
        ),
        (
            TRACES,
            "What calls did, step by step, and what people say of them.",
        ),
        (
            APPROVALS,
            "Calls of tools that wait for a person, and the log of all calls.",
        ),
        (CHAT, "Answers of models and functions."),
        (
            RESPONSES,
            "Answers that the server keeps, as OpenAI's newer API has them.",
        ),
        (CONVERSATIONS, "What responses have in common."),
        (
            COMPLETIONS,
            "How a text goes on, as OpenAI's older API has it.",
        ),
        (EMBEDDINGS, "Vectors of texts."),
        (MODERATIONS, "Whether a text may do harm."),
        (
            AUDIO,
            "Speech to text: OpenAI's audio API by Whisper models.",
        ),
        (MODELS, "Functions and models, which clients call alike."),
        (FILES, "Files that clients send."),
        (UPLOADS, "Files that come in parts."),
        (BATCHES, "Many requests that nobody waits for."),
        (
            VECTOR_STORES,
            "Documents thrown in by clients, and asked in plain words.",
        ),
        (USAGE, "What was used, by day."),
        (SERVER, "For machines that watch this one."),
        (super::OPENAI, "As OpenAI's API has it."),
    ];
}

/// What the modules of resources write into.
struct Writer {
    schemas: Schemas,
    operations: Vec<Operation>,
}

impl Writer {
    fn add(&mut self, operation: Operation) {
        self.operations.push(operation);
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| written().0);

/// The document without any application: what is committed as `docs/openapi.json`.
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// The document with these functions, each at a path of its own.
pub fn of_application(functions: &[Signature]) -> Value {
    let mut document = document().clone();
    application::add(&mut document, functions);
    document
}

/// The document, and what is wrong with it.
fn written() -> (Value, Vec<String>) {
    let mut writer = Writer {
        schemas: Schemas::new(),
        operations: Vec::new(),
    };
    writer.schemas.name("Error", failures::schema());
    for resource in [
        functions::describe,
        knowledge::describe,
        traces::describe,
        approvals::describe,
        openai::describe,
        server::describe,
    ] {
        resource(&mut writer);
    }
    let Writer {
        schemas,
        operations,
    } = writer;
    let (mut failures, mut flaws) = (Failures::default(), Vec::new());
    let mut paths = Map::new();
    for operation in operations {
        let (path, method) = (operation.path.clone(), operation.method);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if !methods[method].is_null() {
            flaws.push(format!("{method} {} is described twice", operation.path));
        }
        methods[method] = operation.finish(&mut failures);
    }
    let (schemas, more) = schemas.finish();
    flaws.extend(more);
    let tag = |(name, about): &(&str, &str)| json!({ "name": name, "description": about });
    let tags: Vec<Value> = tags::ALL.iter().map(tag).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Praxis",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8787", "description": "Where `praxis serve` listens unless it is told otherwise" }],
        "security": [{ "key": [] }, {}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `praxis keys create`, or of `praxis.toml`. A server without keys answers this machine alone, and needs none.",
                },
            },
            "headers": failures::headers(),
            "responses": failures.finish(),
            "schemas": schemas,
        },
    });
    (document, flaws)
}
