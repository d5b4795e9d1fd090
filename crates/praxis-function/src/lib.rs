//! Prompt functions: a `.prompt` file (Dotprompt) becomes a [`praxis_core::Function`].
//!
//! A call passes its guard, validates its input, asks whether it belongs to the prompt's scene, retrieves passages
//! where the prompt names a knowledge base, renders the messages, and runs the prompt's technique, whose answers are
//! held to what the prompt promises. The model may call other functions meanwhile (`tools`). Left out:
//! tools that are no functions of the application.

mod answer;
mod ask;
mod choice;
pub mod dotprompt;
mod examples;
mod extension;
mod function;
mod held;
mod history;
pub mod hygiene;
mod library;
pub mod moderation;
mod output;
mod passages;
pub mod personal;
mod prefix;
mod prompt;
mod refusal;
mod reuse;
mod run;
mod schemas;
mod scope;
mod stream;
mod structured;
pub mod summary;
mod technique;
mod template;
mod tools;
pub mod version;

pub use ask::REPAIR;
pub use function::PromptFunction;
pub use library::{Deps, Functions, Known, Library, check, check_sources};
pub use moderation::{ApplicationGuard, ModelGuard, Moderator};
pub use prefix::StablePrefix;
pub use reuse::same_words;
pub use scope::Verdict;
pub use version::Sources;
