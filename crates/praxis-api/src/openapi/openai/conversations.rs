//! What responses have in common.

use serde_json::{Value, json};

use super::responses::{included, listed};
use super::{deleted, kind, metadata, page};
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::schemas::says;
use crate::openapi::shape::{has, named, object, text, time};
use crate::openapi::{Writer, tags};
use crate::routes::conversations::{Add, Create, MOST_ITEMS, Update};

/// Where one of them is.
const ONE: &str = "/v1/conversations/{conversation}";

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let shown = object(
        "A conversation.",
        [
            has("id", "Its id.", text()),
            kind("conversation"),
            has(
                "created_at",
                "When it was made, in seconds since 1970.",
                time(),
            ),
            has("metadata", "Facts that are kept with it.", metadata()),
        ],
    );
    let shown = to.schemas.name("Conversation", shown);
    let items = page(named("ResponseItem"));
    let items = to.schemas.name("ConversationItemList", items);
    conversations(to, &shown);
    said(to, &shown, &items);
}

fn conversations(to: &mut Writer, shown: &Value) {
    let few = json!({ "maxItems": MOST_ITEMS });
    let begin = to.schemas.taken::<Create>([
        says("items", "What was said before: messages and other items.").within(few),
        says(
            "metadata",
            "Facts to keep with it: up to 16 keys of 64 characters, with values of 512.",
        ),
    ]);
    let change = to.schemas.taken::<Update>([says(
        "metadata",
        "Facts in the place of those that there are; null takes them away.",
    )]);
    let gone = deleted("conversation.deleted");
    let gone = to.schemas.name("ConversationDeleted", gone);
    to.add(
        of(
            Operation::post("/v1/conversations", "createConversation"),
            "create",
        )
        .says(
            "Make a conversation",
            "Responses that name it go on from what was said in it.",
        )
        .takes(
            begin,
            &[("one with a message", json!({ "items": [hello()] }))],
        )
        .gives("The conversation.", shown.clone(), Value::Null),
    );
    to.add(
        one(Operation::get(ONE, "getConversation"), "retrieve")
            .says("One conversation", "What is known of it.")
            .gives("The conversation.", shown.clone(), Value::Null),
    );
    to.add(
        one(Operation::post(ONE, "updateConversation"), "update")
            .says("Change a conversation", "The facts that are kept with it.")
            .takes(
                change,
                &[("a topic", json!({ "metadata": { "topic": "books" } }))],
            )
            .gives("The conversation.", shown.clone(), Value::Null),
    );
    to.add(
        one(Operation::delete(ONE, "deleteConversation"), "delete")
            .says(
                "Delete a conversation",
                "With what was said in it; its responses stay.",
            )
            .gives("That it is deleted.", gone, Value::Null),
    );
}

fn said(to: &mut Writer, shown: &Value, items: &Value) {
    let few = json!({ "minItems": 0, "maxItems": MOST_ITEMS });
    let more = to
        .schemas
        .taken::<Add>([says("items", "What is added, in order.").within(few)]);
    let place = format!("{ONE}/items");
    to.add(
        one(
            Operation::post(&place, "createConversationItems"),
            "create-items",
        )
        .says(
            "Add to a conversation",
            "Messages and other items, in order.",
        )
        .asks("include", "What is told beside the items.", included())
        .takes(more, &[("a message", json!({ "items": [hello()] }))])
        .gives("The items.", items.clone(), Value::Null),
    );
    to.add(
        listed(one(
            Operation::get(&place, "listConversationItems"),
            "list-items",
        ))
        .says("What was said", "The items of a conversation.")
        .gives("A page of items.", items.clone(), Value::Null),
    );
    let place = format!("{place}/{{item}}");
    to.add(
        one(Operation::get(&place, "getConversationItem"), "get-item")
            .says("One item", "A message, a call, or what else was said.")
            .at("item", "The item's id.")
            .asks("include", "What is told beside the item.", included())
            .gives("The item.", named("ResponseItem"), Value::Null),
    );
    to.add(
        one(
            Operation::delete(&place, "deleteConversationItem"),
            "delete-item",
        )
        .says("Delete an item", "What was said before and after it stays.")
        .at("item", "The item's id.")
        .gives("The conversation.", shown.clone(), Value::Null),
    );
}

fn hello() -> Value {
    json!({ "type": "message", "role": "user", "content": "Hello." })
}

fn of(operation: Operation, reference: &str) -> Operation {
    let reference = format!("conversations/{reference}");
    operation.tag(tags::CONVERSATIONS).openai(&reference)
}

fn one(operation: Operation, reference: &str) -> Operation {
    let operation = of(operation, reference).fails(BY_NAME);
    operation.at("conversation", "The conversation's id.")
}
