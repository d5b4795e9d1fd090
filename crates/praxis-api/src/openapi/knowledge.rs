//! Documents, searches, graphs, previews and passages.

use praxis_core::filter::{MAX_DEPTH, MAX_VALUES};
use praxis_core::metadata::{MAX_KEY, MAX_TEXT};
use praxis_core::{ErrorCode, Retrieval};
use praxis_knowledge::{Excerpt, FoundDocuments, GraphAnswer, GraphTriple, Preview};
use praxis_store::{DocumentCounts, DocumentHead};
use serde_json::{Value, json};

use super::operation::{BY_NAME, Operation};
use super::schemas::{Schemas, says};
use super::shape::{
    any_of, file, flag, has, limit, list, named, nullable, number, object, text, with, word,
};
use super::{Writer, tags};
use crate::routes::knowledge::{
    DEFAULT_DEPTH, DEFAULT_LIMIT, DEFAULT_TRIPLES, DOCUMENTS, GraphQuery, MAX_LIMIT, MAX_TRIPLES,
    Search,
};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    filters(&mut to.schemas);
    list_documents(to);
    search(to);
    graph(to);
    preview(to);
    passage(to);
}

/// The language of filters, which its parser holds to and serde does not know.
fn filters(schemas: &mut Schemas) {
    let scalar = any_of(&[
        with(text(), json!({ "maxLength": MAX_TEXT })),
        number(),
        flag(),
    ]);
    let key = with(text(), json!({ "minLength": 1, "maxLength": MAX_KEY }));
    let comparison = object(
        "A key compared with a value. It holds of a document if it does of one of the key's values; `ne` holds where \
         `eq` does not, also of documents without the key.",
        [
            has(
                "type",
                "How.",
                word(&["eq", "ne", "gt", "gte", "lt", "lte"]),
            ),
            has(
                "key",
                "The key of the metadata, or of a file's attributes.",
                key.clone(),
            ),
            has(
                "value",
                "The value. A text that is compared with numbers, dates or truth values is read as one.",
                scalar.clone(),
            ),
        ],
    );
    let membership = object(
        "A key compared with several values: whether one of them is among the key's (`in`), or none (`nin`).",
        [
            has("type", "How.", word(&["in", "nin"])),
            has("key", "The key.", key),
            has(
                "value",
                "The values.",
                with(list(scalar), json!({ "minItems": 1 })),
            ),
        ],
    );
    let compound = object(
        "Filters that must all hold (`and`), or one of them (`or`).",
        [
            has("type", "How.", word(&["and", "or"])),
            has(
                "filters",
                "The filters.",
                with(list(named("Filter")), json!({ "minItems": 1 })),
            ),
        ],
    );
    let closed = |schema: Value| with(schema, json!({ "additionalProperties": false }));
    schemas.name("ComparisonFilter", closed(comparison));
    schemas.name("MembershipFilter", closed(membership));
    schemas.name("CompoundFilter", closed(compound));
    schemas.amend("Filter", |_| {
        let about = format!(
            "Which documents count. Filters may be {MAX_DEPTH} deep, and have {MAX_VALUES} parts and values in all."
        );
        json!({
            "description": about,
            "anyOf": [
                named("ComparisonFilter"),
                named("MembershipFilter"),
                named("CompoundFilter"),
            ],
        })
    });
}

fn list_documents(to: &mut Writer) {
    let (counts, head) = (
        to.schemas.given::<DocumentCounts>(),
        to.schemas.given::<DocumentHead>(),
    );
    let base = object(
        "A base and some of its documents.",
        [
            has("base", "The base's name.", text()),
            has(
                "counts",
                "How many documents of it the caller may read.",
                counts,
            ),
            has(
                "last_uri",
                "The URI of the last document here, for `after`; null where there is none.",
                nullable(text()),
            ),
            has(
                "has_more",
                "Whether there are documents after these.",
                flag(),
            ),
            has("documents", "Documents, by URI.", list(head)),
        ],
    );
    let base = to.schemas.name("KnowledgeBase", base);
    let all = object(
        "Knowledge bases.",
        [has(
            "bases",
            "Those that the caller may know of.",
            list(base),
        )],
    );
    let all = to.schemas.name("KnowledgeBaseList", all);
    let example = json!({ "bases": [{
        "base": "docs",
        "counts": { "documents": 1, "failed": 0, "chunks": 3 },
        "last_uri": "rules.md",
        "has_more": false,
        "documents": [{
            "id": "3f1c", "uri": "rules.md", "source": "", "version": null, "title": "Rules",
            "hash": "b1946ac9", "size": 812, "modified": 1_800_000_000_000_000_000i64,
            "error": null, "hint": null, "chunks": 3, "metadata": { "department": "library" }, "labels": [],
        }],
    }] });
    to.add(
        Operation::get("/praxis/v1/knowledge", "listKnowledge")
            .tag(tags::KNOWLEDGE)
            .says(
                "List bases and documents",
                "The bases, with how many documents each has and the first of them, their metadata and labels.",
            )
            .asks("base", "One base alone.", text())
            .asks(
                "after",
                "The URI after which documents are wanted, which is a `last_uri`; it needs `base`.",
                text(),
            )
            .asks("limit", "The most documents in all.", limit(DOCUMENTS))
            .fails(BY_NAME)
            .gives("The bases.", all, example),
    );
}

fn search(to: &mut Writer) {
    let body = to.schemas.taken::<Search>([
        says("query", "The question, or what else is looked for."),
        says("limit", "The most results.").within(json!({
            "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
        })),
        says("level", "What is ranked: passages, or whole documents with the best passage of each."),
        says("model", "The chat model that works on the question, instead of the base's."),
        says(
            "rewrite",
            "Whether a question that leans on `history` is rewritten to stand alone.",
        ),
        says("queries", "How many other wordings of the question are searched for too.")
            .within(json!({ "maximum": 8 })),
        says("hyde", "Whether an imagined answer is searched with."),
        says("rerank", "Whether the first results are reranked: `false`, `true` (as the base has it), or settings."),
        says("filters", "Which documents count; `filter` is read too."),
    ]);
    let passages = to.schemas.given::<Retrieval>();
    let documents = to.schemas.given::<FoundDocuments>();
    let answer = any_of(&[passages, documents]);
    let example = json!({
        "passages": [{
            "chunk": "7a3e", "document": "3f1c", "title": "Rules", "uri": "rules.md",
            "headings": ["Rules", "Borrowing"], "page": null, "start": 120, "end": 161,
            "text": "Books may be kept for four weeks.", "score": 0.82, "relevance": 0.93,
        }],
        "threshold": 0.35,
    });
    to.add(
        Operation::post("/praxis/v1/knowledge/{base}/search", "searchKnowledge")
            .tag(tags::KNOWLEDGE)
            .says(
                "Search a base",
                "Passages or documents of one base, best first, with their scores and the base's threshold. A search \
                 can ask for more than its base says, or for less; what is left out stays as the base's file has it.",
            )
            .at("base", "The base's name, or the id of a vector store.")
            .takes(body, &[
                ("a question", json!({ "query": "How long may a book be kept?", "limit": 3 })),
                (
                    "a question that leans on another",
                    json!({
                        "query": "And a film?",
                        "history": [{ "role": "user", "content": "How long may a book be kept?" }],
                        "rewrite": true,
                        "rerank": { "model": "my-reranker", "depth": 20 },
                    }),
                ),
                (
                    "a filter",
                    json!({
                        "query": "parental leave",
                        "level": "document",
                        "filters": { "type": "and", "filters": [
                            { "type": "eq", "key": "department", "value": "hr" },
                            { "type": "in", "key": "year", "value": [2025, 2026] },
                        ] },
                    }),
                ),
            ])
            .paid()
            .gives("What was found: passages, or documents with `level: document`.", answer, example),
    );
}

fn graph(to: &mut Writer) {
    let fields = to.schemas.fields::<GraphQuery>([
        says("depth", "The most triples of the way to `to`.")
            .within(json!({ "minimum": 1, "maximum": 8, "default": DEFAULT_DEPTH })),
        says(
            "limit",
            "The most triples; without `entity`, the most entities.",
        )
        .within(json!({ "minimum": 1, "maximum": MAX_TRIPLES, "default": DEFAULT_TRIPLES })),
    ]);
    let answer = to.schemas.given::<GraphAnswer>();
    let triple = to.schemas.given::<GraphTriple>();
    let base = || has("base", "The base.", text());
    let said = object("", [base(), has("graph", "What the graph says.", answer)]);
    let way = object(
        "",
        [
            base(),
            has(
                "path",
                "The triples of the shortest way, in order; null where there is none.",
                nullable(list(triple)),
            ),
        ],
    );
    let example = json!({ "base": "docs", "graph": {
        "entities": [{
            "name": "Fujino Genkuro", "type": "person", "aliases": ["Mr Fujino"], "chunks": 2, "triples": 1,
        }],
        "triples": [{
            "subject": "Fujino Genkuro", "subject_type": "person", "relation": "taught",
            "object": "anatomy", "object_type": "subject", "statements": 1,
            "provenance": [{
                "chunk": "7a3e", "document": "3f1c", "uri": "sendai.md", "start": 21, "end": 57,
                "quote": "Anatomy was taught by Fujino Genkuro",
            }],
        }],
        "more": 0,
    } });
    to.add(
        Operation::get("/praxis/v1/knowledge/{base}/graph", "getGraph")
            .tag(tags::KNOWLEDGE)
            .says(
                "Ask the graph of a base",
                "What the graph says of an entity and where that is stated; with `to`, the shortest way from one \
                 entity to another; with neither, the most frequent entities. It is made of documents that the \
                 caller may read.",
            )
            .at("base", "The base's name.")
            .asks_all(fields)
            .fails(BY_NAME)
            .gives("What it says.", any_of(&[said, way]), example),
    );
}

fn preview(to: &mut Writer) {
    let preview = to.schemas.given::<Preview>();
    let form = object("", [has("file", "The file, with its name.", file())]);
    let example = json!({
        "title": "Manual", "format": "PDF", "characters": 5120, "blocks": 48, "strategy": "structure",
        "max_tokens": 128, "min_tokens": 32, "approximate": false, "notes": [],
        "chunks": [{
            "headings": ["Manual", "Installation"], "page": 3, "tokens": 96, "start": 120, "end": 560,
            "section": [100, 900], "text": "Press the key twice.",
        }],
    });
    to.add(
        Operation::post("/praxis/v1/knowledge/{base}/preview", "previewFile")
            .tag(tags::KNOWLEDGE)
            .says(
                "See how a file would be cut",
                "What a file would become in a base. It is read in memory, and nothing of it is kept. It may have \
                 `max_file_bytes` of the base's `[source]`, and of `[files]` in `praxis.toml`.",
            )
            .at("base", "The base's name.")
            .takes_form(form)
            .fails(&[ErrorCode::NotFound])
            .gives("The chunks.", preview, example),
    );
}

fn passage(to: &mut Writer) {
    let excerpt = to.schemas.given::<Excerpt>();
    let example = json!({
        "base": "docs",
        "passage": {
            "chunk": "7a3e", "document": "3f1c", "title": "Rules", "uri": "rules.md",
            "headings": ["Rules", "Borrowing"], "page": null, "start": 120, "end": 153,
            "text": "Books may be kept for four weeks.", "score": 0.0, "relevance": 0.0,
        },
        "before": "Everybody with a card may borrow books. ",
        "after": " Films may be kept for one.",
    });
    to.add(
        Operation::get("/praxis/v1/passages/{chunk}", "getPassage")
            .tag(tags::KNOWLEDGE)
            .says(
                "A passage in its surroundings",
                "For who follows a citation. A passage whose document has changed since is not found.",
            )
            .at("chunk", "The `chunk` of a passage or a citation.")
            .fails(BY_NAME)
            .gives("The passage.", excerpt, example),
    );
}
