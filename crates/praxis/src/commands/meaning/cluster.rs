//! `praxis cluster`: the topics of many texts.

use praxis_core::EmbedKind;
use praxis_knowledge::meaning::{choose_topics, k_means, topic_terms};
use serde_json::{Value, json};

use super::items;
use crate::cli::{Cluster, Global};
use crate::commands::call::excerpt;
use crate::ui::{self, BOLD, DIM, Failure};

/// Words that name a topic, and texts that show it.
const WORDS: usize = 6;
const TEXTS: usize = 3;

/// Characters of a text that are shown.
const SHOWN: usize = 100;

/// Where the search for topics begins; the same texts have the same topics.
const SEED: u64 = 1;

/// Finds topics and prints them, the largest first.
///
/// # Errors
/// Texts or a model that are not there.
pub async fn run(args: Cluster, global: &Global) -> Result<(), Failure> {
    let all = items::read(&args.data, &args.reading.field)?;
    let embedder = super::embedder(args.reading.model.as_deref(), global)?;
    let texts = super::texts(&all);
    let vectors = super::vectors(&*embedder, EmbedKind::Query, texts.clone()).await?;
    let topics = args.topics;
    let (found, terms) = tokio::task::spawn_blocking(move || {
        let found = match topics {
            Some(k) => k_means(&vectors, k, SEED),
            None => choose_topics(&vectors, SEED),
        };
        let terms = topic_terms(&texts, &found.cluster, found.centres.len(), WORDS);
        (found, terms)
    })
    .await
    .map_err(|e| Failure::message(e.to_string()))?;
    let members: Vec<Vec<usize>> = (0..terms.len()).map(|c| found.members(c)).collect();
    if global.json {
        let topics: Vec<Value> = terms
            .iter()
            .zip(&members)
            .map(|(terms, members)| {
                let ids: Vec<&str> = members.iter().map(|i| all[*i].id.as_str()).collect();
                json!({ "terms": terms, "size": ids.len(), "ids": ids })
            })
            .collect();
        ui::out_json(&json!({ "topics": topics }));
        return Ok(());
    }
    for (terms, members) in terms.iter().zip(&members) {
        let size = ui::paint(DIM, ui::count(members.len(), "text"));
        ui::out(format!("{}  {size}", ui::paint(BOLD, terms.join(", "))));
        for i in members.iter().take(TEXTS) {
            ui::out(format!("    {}", excerpt(&all[*i].text, SHOWN)));
        }
    }
    Ok(())
}
