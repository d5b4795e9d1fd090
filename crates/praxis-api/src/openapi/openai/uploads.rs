//! Files that come in parts.

use praxis_core::ErrorCode;
use serde_json::json;

use super::kind;
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::schemas::{Schemas, says};
use crate::openapi::shape::{count, file, has, may, named, object, text, time, word};
use crate::openapi::{Writer, tags};
use crate::routes::files::{LIFETIMES, PURPOSES};
use crate::routes::uploads::{Complete, Create, MAX_TYPE, MOST_PARTS};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let upload = object(
        "A file on its way.",
        [
            has("id", "Its id.", text()),
            kind("upload"),
            has("bytes", "How large the file will be.", count()),
            has(
                "created_at",
                "When it was begun, in seconds since 1970.",
                time(),
            ),
            has("expires_at", "When it is given up.", time()),
            has("filename", "The file's name.", text()),
            has("purpose", "What the file is for.", text()),
            has(
                "status",
                "Where it stands.",
                word(&["pending", "completed", "cancelled", "expired"]),
            ),
            may("file", "The file, once it is complete.", named("File")),
        ],
    );
    let upload = to.schemas.name("Upload", upload);
    let part = object(
        "A part of a file.",
        [
            has("id", "Its id.", text()),
            kind("upload.part"),
            has("created_at", "When it came, in seconds since 1970.", time()),
            has("upload_id", "The upload that it is of.", text()),
        ],
    );
    let part = to.schemas.name("UploadPart", part);
    let begin = to.schemas.taken::<Create>([
        says("filename", "Its name."),
        says("purpose", "What it is for.").within(json!({ "enum": PURPOSES })),
        says("bytes", "How large it will be."),
        says("mime_type", "Its type.").within(json!({ "minLength": 1, "maxLength": MAX_TYPE })),
        says("expires_after", "When the file goes."),
    ]);
    lifetime(&mut to.schemas);
    let complete = to.schemas.taken::<Complete>([
        says("part_ids", "The parts of the file, in order.")
            .within(json!({ "minItems": 1, "maxItems": MOST_PARTS })),
        says(
            "md5",
            "The MD5 of the whole file, which is compared with what came.",
        ),
    ]);
    let example = json!({
        "id": "upload_0193cb1c", "object": "upload", "bytes": 812, "created_at": 1_800_000_000,
        "expires_at": 1_800_003_600, "filename": "rules.md", "purpose": "assistants", "status": "pending",
    });
    to.add(
        Operation::post("/v1/uploads", "createUpload")
            .tag(tags::UPLOADS)
            .openai("uploads/create")
            .says("Begin a file that comes in parts", "Its parts follow, in any order.")
            .takes(begin, &[(
                "a file",
                json!({ "filename": "rules.md", "purpose": "assistants", "bytes": 812, "mime_type": "text/markdown" }),
            )])
            .fails(&[ErrorCode::TooLarge, ErrorCode::QuotaExceeded])
            .gives("The upload.", upload.clone(), example),
    );
    to.add(
        Operation::post("/v1/uploads/{upload}/parts", "addUploadPart")
            .tag(tags::UPLOADS)
            .openai("uploads/add-part")
            .says("Send a part", "The bytes of a part of the file.")
            .at("upload", "The upload's id.")
            .takes_form(object("A form.", [has("data", "The bytes.", file())]))
            .fails(&[ErrorCode::NotFound, ErrorCode::QuotaExceeded])
            .gives("The part.", part, json!(null)),
    );
    to.add(
        Operation::post("/v1/uploads/{upload}/complete", "completeUpload")
            .tag(tags::UPLOADS)
            .openai("uploads/complete")
            .says(
                "Complete a file",
                "Puts the parts together. The file is then as one that came whole.",
            )
            .at("upload", "The upload's id.")
            .takes(
                complete,
                &[("two parts", json!({ "part_ids": ["part_1", "part_2"] }))],
            )
            .fails(&[ErrorCode::NotFound])
            .gives("The upload, with its file.", upload.clone(), json!(null)),
    );
    to.add(
        Operation::post("/v1/uploads/{upload}/cancel", "cancelUpload")
            .tag(tags::UPLOADS)
            .openai("uploads/cancel")
            .says("Call an upload off", "Its parts are thrown away.")
            .at("upload", "The upload's id.")
            .fails(BY_NAME)
            .gives("The upload.", upload, json!(null)),
    );
}

/// What uploads, files and the output of batches have in common: after which time they go.
fn lifetime(schemas: &mut Schemas) {
    let seconds = json!({ "minimum": LIFETIMES.start(), "maximum": LIFETIMES.end() });
    schemas.explain(
        "FileLifetime",
        [
            says("anchor", "From when on."),
            says("seconds", "How long it is kept.").within(seconds),
        ],
    );
}
