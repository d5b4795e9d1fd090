//! The port through which a turn gets the tools that it needs out of many. Left out: how they are found
//! (`praxis-tool`), and what is done about those that are not (`praxis-function`).

use async_trait::async_trait;

use crate::tool::ToolSpec;

/// Chooses tools by what they say of themselves. Contract: gives the places of `most` of the tools, or of all where
/// there are no more, the best first and each once. It never fails: where a model cannot be asked, it does with less.
#[async_trait]
pub trait ToolSelector: Send + Sync {
    /// The tools that are most likely of use for what is asked.
    async fn select(&self, question: &str, tools: &[ToolSpec], most: usize) -> Vec<usize>;
}

/// The first tools, for where there is nobody to choose.
#[derive(Debug, Default, Clone, Copy)]
pub struct FirstTools;

#[async_trait]
impl ToolSelector for FirstTools {
    async fn select(&self, _: &str, tools: &[ToolSpec], most: usize) -> Vec<usize> {
        (0..tools.len().min(most)).collect()
    }
}
