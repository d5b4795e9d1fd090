//! The one source of truth: documents, chunks and traces in SQLite.
