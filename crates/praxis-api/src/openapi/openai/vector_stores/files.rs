//! The files in a vector store, and batches of them.

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use super::super::{deleted, kind};
use super::{ONE, of};
use crate::openapi::Writer;
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::schemas::says;
use crate::openapi::shape::{flag, has, list, named, nullable, object, only, text, word};
use crate::routes::paging::SHORT;
use crate::routes::vector_stores::{batches, files};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    members(to);
    member(to);
    file_batches(to);
}

fn members(to: &mut Writer) {
    let body = to.schemas.taken::<files::Create>([
        says("file_id", "The file."),
        says(
            "attributes",
            "What searches can filter by: texts, numbers and truth values by key.",
        ),
        says("chunking_strategy", "How it is cut."),
    ]);
    let place = format!("{ONE}/files");
    to.add(
        of(Operation::post(&place, "createVectorStoreFile"), "vector-stores-files/createFile")
            .says(
                "Add a file",
                "It is read in the background. A file that is there already is read anew; its earlier text is found \
                 until then.",
            )
            .takes(body, &[("a file", json!({ "file_id": "file-0193cb1c", "attributes": { "year": 2026 } }))])
            .fails(&[ErrorCode::NotFound, ErrorCode::RateLimited])
            .gives("The file.", named("VectorStoreFile"), Value::Null),
    );
    let list = of(
        Operation::get(&place, "listVectorStoreFiles"),
        "vector-stores-files/listFiles",
    )
    .says(
        "List the files of a vector store",
        "With where each stands.",
    )
    .asks("filter", "Only those that stand there.", status())
    .fails(BY_NAME)
    .gives(
        "A page of files.",
        named("VectorStoreFileList"),
        Value::Null,
    );
    to.add(list.paged(SHORT));
}

fn status() -> Value {
    word(&["in_progress", "completed", "failed", "cancelled"])
}

fn member(to: &mut Writer) {
    let body = to.schemas.taken::<files::Update>([says(
        "attributes",
        "Attributes in the place of those that there are; null takes them away.",
    )]);
    let place = format!("{ONE}/files/{{file}}");
    let file = "The file's id.";
    let gone = to.schemas.name(
        "VectorStoreFileDeleted",
        deleted("vector_store.file.deleted"),
    );
    let content = object(
        "A text.",
        [
            has("type", "Always `text`.", only("text")),
            has("text", "The text as it was read.", text()),
        ],
    );
    let content = object(
        "The text of a file.",
        [
            kind("vector_store.file_content.page"),
            has("data", "The text.", list(content)),
            has("has_more", "Always false.", flag()),
            has("next_page", "Always null.", nullable(text())),
        ],
    );
    let content = to.schemas.name("VectorStoreFileContent", content);
    to.add(
        of(
            Operation::get(&place, "getVectorStoreFile"),
            "vector-stores-files/getFile",
        )
        .says("One file of a vector store", "Where it stands.")
        .at("file", file)
        .fails(BY_NAME)
        .gives("The file.", named("VectorStoreFile"), Value::Null),
    );
    to.add(
        of(
            Operation::post(&place, "updateVectorStoreFileAttributes"),
            "vector-stores-files/updateAttributes",
        )
        .says(
            "Replace a file's attributes",
            "All of them; the next search knows the new ones.",
        )
        .at("file", file)
        .takes(
            body,
            &[("a year", json!({ "attributes": { "year": 2026 } }))],
        )
        .fails(&[ErrorCode::NotFound])
        .gives("The file.", named("VectorStoreFile"), Value::Null),
    );
    to.add(
        of(
            Operation::delete(&place, "deleteVectorStoreFile"),
            "vector-stores-files/deleteFile",
        )
        .says(
            "Take a file out of a vector store",
            "The file itself stays.",
        )
        .at("file", file)
        .fails(BY_NAME)
        .gives("That it is taken out.", gone, Value::Null),
    );
    to.add(
        of(
            Operation::get(format!("{place}/content"), "retrieveVectorStoreFileContent"),
            "vector-stores-files/getContent",
        )
        .says(
            "The text of a file",
            "As it was read. A file that is not `completed` has none.",
        )
        .at("file", file)
        .fails(BY_NAME)
        .gives("The text.", content, Value::Null),
    );
}

fn file_batches(to: &mut Writer) {
    let body = to.schemas.taken::<batches::Create>([
        says("file_ids", "Files that are all added alike, up to 2,000."),
        says("files", "Instead of that, files with their own settings."),
        says("attributes", "The attributes of all of `file_ids`."),
        says("chunking_strategy", "How all of `file_ids` are cut."),
    ]);
    let place = format!("{ONE}/file_batches");
    let one = format!("{place}/{{batch}}");
    let batch = || named("VectorStoreFileBatch");
    let id = "The batch's id.";
    to.add(
        of(
            Operation::post(&place, "createVectorStoreFileBatch"),
            "vector-stores-file-batches/createBatch",
        )
        .says("Add files together", "All of them are there, or none.")
        .takes(
            body,
            &[("two files", json!({ "file_ids": ["file-1", "file-2"] }))],
        )
        .fails(&[ErrorCode::NotFound, ErrorCode::RateLimited])
        .gives("The batch.", batch(), Value::Null),
    );
    to.add(
        of(
            Operation::get(&one, "getVectorStoreFileBatch"),
            "vector-stores-file-batches/getBatch",
        )
        .says("One batch of files", "How far its files are read.")
        .at("batch", id)
        .fails(BY_NAME)
        .gives("The batch.", batch(), Value::Null),
    );
    to.add(
        of(
            Operation::post(format!("{one}/cancel"), "cancelVectorStoreFileBatch"),
            "vector-stores-file-batches/cancelBatch",
        )
        .says("Call off what is not done yet", "What was read stays.")
        .at("batch", id)
        .fails(BY_NAME)
        .gives("The batch.", batch(), Value::Null),
    );
    let list = of(
        Operation::get(format!("{one}/files"), "listFilesInVectorStoreBatch"),
        "vector-stores-file-batches/listBatchFiles",
    )
    .says("List the files of a batch", "With where each stands.")
    .at("batch", id)
    .asks("filter", "Only those that stand there.", status())
    .fails(BY_NAME)
    .gives(
        "A page of files.",
        named("VectorStoreFileList"),
        Value::Null,
    );
    to.add(list.paged(SHORT));
}
