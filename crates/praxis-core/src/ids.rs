//! Typed identifiers. Trace and span ids sort by time (UUID v7, RFC 9562).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(String);

        impl $name {
            /// Wraps an id that came from outside.
            pub fn from_string(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(/// One call of the outermost function and all below it.
    TraceId);
id!(/// One step of a trace.
    SpanId);
id!(/// A document: stable for one source path in one knowledge base.
    DocumentId);
id!(/// A chunk: stable for one content at one place of one document.
    ChunkId);
id!(/// A name of one type in the knowledge graph of one base: stable for base, type and normalized name.
    EntityId);

/// A new id that begins with `prefix`; ids of one prefix sort by the time when they were made.
pub fn generate(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

impl TraceId {
    /// A new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }
}

impl SpanId {
    /// A new id.
    pub fn generate() -> Self {
        Self(Uuid::now_v7().simple().to_string())
    }
}
