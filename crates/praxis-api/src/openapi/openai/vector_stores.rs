//! Vector stores, and searches in them.

mod files;
mod shapes;

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use self::shapes::{attributes, shapes};
use super::{deleted, kind};
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::schemas::says;
use crate::openapi::shape::{flag, has, list, named, nullable, number, object, only, text, with};
use crate::openapi::{Writer, tags};
use crate::routes::paging::SHORT;
use crate::routes::vector_stores::search::{MOST, MOST_QUERIES, Search, USUAL};
use crate::routes::vector_stores::stores::{Create, Modify};

/// Where one of them is.
const ONE: &str = "/v1/vector_stores/{store}";

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    shapes(&mut to.schemas);
    all(to);
    one(to);
    search(to);
    files::describe(to);
}

/// An operation of theirs, at this place of OpenAI's reference.
fn of(operation: Operation, reference: &str) -> Operation {
    let operation = operation.tag(tags::VECTOR_STORES).openai(reference);
    match operation.path.contains("{store}") {
        true => operation.at("store", "The vector store's id."),
        false => operation,
    }
}

fn all(to: &mut Writer) {
    let body = to.schemas.taken::<Create>([
        says("name", "Its name."),
        says("description", "What it is for."),
        says("file_ids", "Files to begin with, up to 500."),
        says(
            "metadata",
            "Facts to keep with it: up to 16 keys of 64 characters, with values of 512.",
        ),
        says(
            "expires_after",
            "When it expires: so many days after it was last searched or changed.",
        ),
        says("chunking_strategy", "How its files are cut."),
    ]);
    to.add(
        of(
            Operation::post("/v1/vector_stores", "createVectorStore"),
            "vector-stores/create",
        )
        .says(
            "Make a vector store",
            "Its files are read, cut, embedded and indexed in the background.",
        )
        .takes(body, &[("an empty one", json!({ "name": "handbook" }))])
        .fails(&[ErrorCode::NotFound, ErrorCode::RateLimited])
        .gives("The vector store.", named("VectorStore"), Value::Null),
    );
    let list = of(
        Operation::get("/v1/vector_stores", "listVectorStores"),
        "vector-stores/list",
    )
    .says("List vector stores", "Those that the caller may see.")
    .fails(&[ErrorCode::InvalidRequest])
    .gives(
        "A page of vector stores.",
        named("VectorStoreList"),
        Value::Null,
    );
    to.add(list.paged(SHORT));
}

fn one(to: &mut Writer) {
    let body = to.schemas.taken::<Modify>([
        says("name", "A new name; null changes nothing."),
        says("expires_after", "When it expires; null takes that away."),
        says(
            "metadata",
            "Facts in the place of those that there are; null takes them away.",
        ),
    ]);
    let gone = to
        .schemas
        .name("VectorStoreDeleted", deleted("vector_store.deleted"));
    to.add(
        of(
            Operation::get(ONE, "getVectorStore"),
            "vector-stores/retrieve",
        )
        .says(
            "One vector store",
            "What is known of it, and how far its files are read.",
        )
        .fails(BY_NAME)
        .gives("The vector store.", named("VectorStore"), Value::Null),
    );
    to.add(
        of(
            Operation::post(ONE, "modifyVectorStore"),
            "vector-stores/modify",
        )
        .says("Change a vector store", "What is not said stays.")
        .takes(
            body,
            &[(
                "an expiry",
                json!({ "expires_after": { "anchor": "last_active_at", "days": 3 } }),
            )],
        )
        .fails(&[ErrorCode::NotFound])
        .gives("The vector store.", named("VectorStore"), Value::Null),
    );
    to.add(
        of(
            Operation::delete(ONE, "deleteVectorStore"),
            "vector-stores/delete",
        )
        .says(
            "Delete a vector store",
            "Its documents and indexes; the files stay.",
        )
        .fails(BY_NAME)
        .gives("That it is deleted.", gone, Value::Null),
    );
}

fn search(to: &mut Writer) {
    let body = to.schemas.taken::<Search>([
        says("query", "The question, or several."),
        says("rewrite_query", "Whether the application's chat model finds other wordings, which are searched for too."),
        says("max_num_results", "The most passages.")
            .within(json!({ "minimum": 1, "maximum": MOST, "default": USUAL })),
        says("filters", "Which files count, by their attributes and by what documents say of themselves."),
        says("ranking_options", "How they are ranked."),
    ]);
    to.schemas.amend("VectorStoreQuery", |_| {
        json!({ "anyOf": [
            { "type": "string", "minLength": 1 },
            {
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "minItems": 1,
                "maxItems": MOST_QUERIES,
            },
        ] })
    });
    let content = object(
        "A text.",
        [
            has("type", "Always `text`.", only("text")),
            has("text", "The passage.", text()),
        ],
    );
    let hit = object(
        "A passage that was found.",
        [
            has("file_id", "The file that it is of.", text()),
            has("filename", "The file's name.", text()),
            has(
                "score",
                "The estimated probability that it bears on the question; the order looks at more than that.",
                with(number(), json!({ "minimum": 0, "maximum": 1 })),
            ),
            has(
                "attributes",
                "The file's attributes.",
                nullable(attributes()),
            ),
            has("content", "The passage.", list(content)),
        ],
    );
    let hits = object(
        "Passages, best first.",
        [
            kind("vector_store.search_results.page"),
            has("search_query", "What was searched for.", list(text())),
            has("data", "The passages.", list(hit)),
            has("has_more", "Always false.", flag()),
            has("next_page", "Always null.", nullable(text())),
        ],
    );
    let hits = to.schemas.name("VectorStoreHits", hits);
    to.add(
        of(
            Operation::post(format!("{ONE}/search"), "searchVectorStore"),
            "vector-stores/search",
        )
        .says(
            "Search a vector store",
            "The best passages for a question in plain words.",
        )
        .takes(
            body,
            &[
                (
                    "a question",
                    json!({ "query": "How long may a book be kept?", "max_num_results": 3 }),
                ),
                (
                    "two, among some files",
                    json!({
                        "query": ["otter", "lynx"],
                        "filters": { "type": "gte", "key": "year", "value": 2020 },
                        "ranking_options": { "ranker": "none", "score_threshold": 0.2 },
                    }),
                ),
            ],
        )
        .paid()
        .gives("The passages.", hits, Value::Null),
    );
}
