//! The web console: server-rendered chat, sources and documents.
