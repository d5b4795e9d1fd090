//! Files that clients send.

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use super::{deleted, kind, page};
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::shape::{count, file, has, may, named, object, only, text, time, word};
use crate::openapi::{Writer, tags};
use crate::routes::files::PURPOSES;
use crate::routes::paging::LONG;

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let shown = object(
        "A file.",
        [
            has("id", "Its id.", text()),
            kind("file"),
            has("bytes", "How large it is.", count()),
            has("created_at", "When it came, in seconds since 1970.", time()),
            has("filename", "Its name.", text()),
            has("purpose", "What it is for.", text()),
            has("status", "Always `processed`.", only("processed")),
            may("expires_at", "When it goes.", time()),
        ],
    );
    let shown = to.schemas.name("File", shown);
    let all = to.schemas.name("FileList", page(shown.clone()));
    let gone = to.schemas.name("FileDeleted", deleted("file"));
    let form = object(
        "A form.",
        [
            has("file", "The file, with its name.", file()),
            has("purpose", "What it is for.", word(PURPOSES)),
            may(
                "expires_after",
                "When it goes: the fields `expires_after[anchor]` and `expires_after[seconds]` of the form.",
                named("FileLifetime"),
            ),
        ],
    );
    let example = json!({
        "id": "file-0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "object": "file",
        "bytes": 812,
        "created_at": 1_800_000_000,
        "filename": "rules.md",
        "purpose": "assistants",
        "status": "processed",
    });
    to.add(
        Operation::post("/v1/files", "createFile")
            .tag(tags::FILES)
            .openai("files/create")
            .says(
                "Send a file",
                "A form with a file and what it is for. `[files]` in `praxis.toml` says how large it may be. With \
                 access labels, only callers with one of the sender's labels see it.",
            )
            .takes_form(form)
            .fails(&[ErrorCode::QuotaExceeded])
            .gives("The file.", shown.clone(), example.clone()),
    );
    let list = Operation::get("/v1/files", "listFiles")
        .tag(tags::FILES)
        .openai("files/list")
        .says("List files", "Those that the caller may see.")
        .asks("purpose", "Only those that are for this.", text())
        .fails(&[ErrorCode::InvalidRequest])
        .gives("A page of files.", all, Value::Null);
    to.add(list.paged(LONG));
    to.add(
        Operation::get("/v1/files/{file}", "retrieveFile")
            .tag(tags::FILES)
            .openai("files/retrieve")
            .says("One file", "What is known of a file.")
            .at("file", "The file's id.")
            .fails(BY_NAME)
            .gives("The file.", shown, example),
    );
    to.add(
        Operation::delete("/v1/files/{file}", "deleteFile")
            .tag(tags::FILES)
            .openai("files/delete")
            .says("Delete a file", "Also from all vector stores.")
            .at("file", "The file's id.")
            .fails(BY_NAME)
            .gives("That it is deleted.", gone, Value::Null),
    );
    to.add(
        Operation::get("/v1/files/{file}/content", "downloadFile")
            .tag(tags::FILES)
            .openai("files/retrieve-contents")
            .says("The bytes of a file", "As they were sent.")
            .at("file", "The file's id.")
            .fails(BY_NAME)
            .gives_as("application/octet-stream", "The bytes.", file(), &[]),
    );
}
