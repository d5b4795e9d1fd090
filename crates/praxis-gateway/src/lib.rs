//! One chat and embedding interface over the local engine and any OpenAI-compatible endpoint.
