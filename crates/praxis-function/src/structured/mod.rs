//! Structured output, checked and repaired: from a model's text to a value that keeps its promise, or
//! to an error that says how near the best try came.
//!
//! [`instructions`] tells the model what to write, [`partial`] shows the value while it is written,
//! [`lenient`] reads it, [`schema`] and [`checks`] say what is wrong with it, and [`repair`] decides
//! what comes next. All of it is pure: no model is asked and no function called in here.

pub(crate) mod checks;
pub(crate) mod instructions;
pub(crate) mod lenient;
pub(crate) mod partial;
pub(crate) mod path;
pub(crate) mod repair;
pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod violation;

pub(crate) use praxis_core::json_schema as locals;

/// What kind of value is expected, as far as it helps to find it in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Want {
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string, a number, a boolean or null.
    Scalar,
    /// An object or an array.
    #[default]
    Any,
}
