//! `praxis similar`: the texts nearest to a query, or those that say the same; and `praxis recommend`:
//! what somebody may like next.

use std::path::Path;

use praxis_core::EmbedKind;
use praxis_core::suggest::nearest as nearest_name;
use praxis_knowledge::meaning;
use serde_json::{Value, json};

use super::items::{self, Item};
use crate::cli::{Global, Recommend, Similar};
use crate::commands::call::excerpt;
use crate::ui::{self, DIM, Failure};

/// Texts among which twins are looked for: every pair is compared.
const MOST_PAIRED: usize = 50_000;

/// Characters of a text that are shown.
const SHOWN: usize = 100;

/// Finds what is near to the query, or groups of twins.
///
/// # Errors
/// Texts or a model that are not there.
pub async fn similar(args: Similar, global: &Global) -> Result<(), Failure> {
    let all = items::read(&args.data, &args.reading.field)?;
    let embedder = super::embedder(args.reading.model.as_deref(), global)?;
    if let Some(threshold) = args.duplicates {
        if all.len() > MOST_PAIRED {
            return Err(Failure::message(format!(
                "{} texts are too many to compare each with each; {MOST_PAIRED} are the most",
                all.len()
            )));
        }
        let vectors = super::vectors(&*embedder, EmbedKind::Query, super::texts(&all)).await?;
        let groups = tokio::task::spawn_blocking(move || meaning::duplicates(&vectors, threshold))
            .await
            .map_err(|e| Failure::message(e.to_string()))?;
        return print_groups(&all, &groups, global);
    }
    let Some(query) = args.query else {
        return Err(Failure::message("there is nothing to compare with")
            .with_help("write a text behind the command, or ask for --duplicates"));
    };
    let vectors = super::vectors(&*embedder, EmbedKind::Passage, super::texts(&all)).await?;
    let wanted = super::vectors(&*embedder, EmbedKind::Query, vec![query]).await?;
    let wanted = wanted.first().map(Vec::as_slice).unwrap_or_default();
    print(
        &all,
        &meaning::nearest(wanted, &vectors, args.limit),
        global,
    )
}

/// Recommends texts by those that are liked and disliked.
///
/// # Errors
/// Ids that no text has; texts or a model that are not there.
pub async fn recommend(args: Recommend, global: &Global) -> Result<(), Failure> {
    let all = items::read(&args.data, &args.reading.field)?;
    let liked = named(&all, &args.like, &args.data)?;
    let disliked = named(&all, &args.dislike, &args.data)?;
    let embedder = super::embedder(args.reading.model.as_deref(), global)?;
    let vectors = super::vectors(&*embedder, EmbedKind::Passage, super::texts(&all)).await?;
    print(
        &all,
        &meaning::recommend(&vectors, &liked, &disliked, args.limit),
        global,
    )
}

/// Places of the items with these ids.
fn named(all: &[Item], ids: &[String], path: &Path) -> Result<Vec<usize>, Failure> {
    let place = |id: &String| {
        all.iter().position(|item| item.id == *id).ok_or_else(|| {
            let known = all.iter().map(|item| item.id.as_str());
            let failure =
                Failure::message(format!("no text of {} has the id `{id}`", path.display()));
            match nearest_name(id, known) {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure.with_help("without an `id`, a text's id is the number of its line"),
            }
        })
    };
    ids.iter().map(place).collect()
}

fn print(all: &[Item], found: &[(usize, f32)], global: &Global) -> Result<(), Failure> {
    if global.json {
        let found: Vec<Value> = found
            .iter()
            .map(|(i, cosine)| json!({ "id": all[*i].id, "text": all[*i].text, "cosine": cosine }))
            .collect();
        ui::out_json(&Value::Array(found));
        return Ok(());
    }
    for (i, cosine) in found {
        let item = &all[*i];
        let id = ui::paint(DIM, format_args!("{:>5}", item.id));
        ui::out(format!("{cosine:.3} {id}  {}", excerpt(&item.text, SHOWN)));
    }
    Ok(())
}

fn print_groups(all: &[Item], groups: &[Vec<usize>], global: &Global) -> Result<(), Failure> {
    if global.json {
        let ids = |group: &Vec<usize>| group.iter().map(|i| json!(all[*i].id)).collect();
        ui::out_json(&Value::Array(groups.iter().map(ids).collect()));
        return Ok(());
    }
    for group in groups {
        for (n, i) in group.iter().enumerate() {
            let mark = if n == 0 { "" } else { "  = " };
            let id = ui::paint(DIM, format_args!("{:>5}", all[*i].id));
            ui::out(format!("{id}  {mark}{}", excerpt(&all[*i].text, SHOWN)));
        }
    }
    let more: usize = groups.iter().map(|g| g.len() - 1).sum();
    ui::note(format!(
        "{more} of {} texts say what another one says",
        all.len()
    ));
    Ok(())
}
