//! Prompt functions: a `.prompt` file (Dotprompt) becomes a [`praxis_core::Function`].
//!
//! A call validates its input, retrieves passages where the prompt names a knowledge base, renders
//! the messages, streams the model's answer through the citation filter, and resolves what it cites.
//! Left out for now: techniques, repair of structured output, tools.

mod answer;
mod function;
mod library;
mod passages;
mod picoschema;
mod prompt;
mod refusal;
mod template;

pub use function::PromptFunction;
pub use library::{Deps, Known, Library, check};
