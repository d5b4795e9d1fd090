//! Which part of a large schema the model sees: the tables that score best, those that join them, and of wide tables
//! the columns that matter, within a budget of tokens. Left out: what the scores are made of (`score`).

use praxis_core::tokens::estimate;

use super::paths::{between, neighbours};
use super::score::Scores;
use crate::sql::ask::ddl::{Detail, create};
use crate::sql::{Column, Schema, Table};

/// Tables that are chosen by their scores, at least and at most; those that join them come on top.
const FEWEST: usize = 4;
const MOST: usize = 5;

/// Tables that are shown at least, as far as the schema links so many to what was found.
pub(super) const FILLED: usize = 6;

/// Share of the best score below which a table has nothing to do with the question.
const FAINT: f32 = 0.25;

/// Share of the budget that one table may take.
const WIDEST: usize = 3;

/// The tables that are shown, in the order of the schema.
pub(crate) fn choose(schema: &Schema, scores: &Scores, budget: usize) -> Vec<Table> {
    let score = |table: usize| scores.tables.get(table).copied().unwrap_or(0.0);
    let mut ranked: Vec<usize> = (0..schema.tables.len()).collect();
    // The sort keeps the order of equals.
    ranked.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    let best = ranked.first().map_or(0.0, |table| score(*table));
    let near = neighbours(&schema.tables);
    let narrow: Vec<Table> = (0..schema.tables.len())
        .map(|table| narrowed(schema, table, scores, budget / WIDEST))
        .collect();
    let cost: Vec<usize> = narrow
        .iter()
        .map(|t| estimate(&create(t, schema.dialect, Detail::Values)))
        .collect();
    let mut chosen: Vec<usize> = Vec::new();
    let mut left = budget;
    for (rank, table) in ranked.iter().enumerate() {
        // Where nothing has anything to do with the question, the budget is filled.
        let is_faint = score(*table) <= 0.0 || (rank >= FEWEST && score(*table) < FAINT * best);
        if rank >= MOST || (best > 0.0 && is_faint) {
            break;
        }
        if chosen.contains(table) {
            continue;
        }
        let path = if chosen.is_empty() {
            Vec::new()
        } else {
            between(&near, &chosen, *table)
        };
        let mut wanted: Vec<usize> = path.into_iter().filter(|t| !chosen.contains(t)).collect();
        wanted.push(*table);
        let of = |tables: &[usize]| tables.iter().map(|t| cost[*t]).sum::<usize>();
        if of(&wanted) > left {
            // Better alone than not at all.
            wanted = vec![*table];
        }
        // The best table is shown whatever it costs.
        if of(&wanted) <= left || chosen.is_empty() {
            left = left.saturating_sub(of(&wanted));
            chosen.extend(wanted);
        }
    }
    // Where little was found, what is linked to it may be meant.
    let mut at = 0;
    while chosen.len() < FILLED && at < chosen.len() {
        for next in &near[chosen[at]] {
            if chosen.len() < FILLED && !chosen.contains(next) && cost[*next] <= left {
                left -= cost[*next];
                chosen.push(*next);
            }
        }
        at += 1;
    }
    chosen.sort_unstable();
    let names: Vec<&str> = chosen
        .iter()
        .map(|t| schema.tables[*t].name.as_str())
        .collect();
    chosen
        .iter()
        .map(|table| {
            let mut table = narrow[*table].clone();
            // What is not shown cannot be joined.
            table.foreign_keys.retain(|key| {
                names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&key.table))
            });
            table
        })
        .collect()
}

/// A table with as many of its columns as fit: keys first, then the best.
fn narrowed(schema: &Schema, at: usize, scores: &Scores, budget: usize) -> Table {
    let table = &schema.tables[at];
    let mut narrow = table.clone();
    if estimate(&create(&narrow, schema.dialect, Detail::Values)) <= budget {
        return narrow;
    }
    let is_key = |column: &Column| {
        table.primary_key.contains(&column.name)
            || table
                .foreign_keys
                .iter()
                .any(|key| key.columns.contains(&column.name))
            || schema
                .tables
                .iter()
                .flat_map(|t| &t.foreign_keys)
                .any(|key| {
                    key.table.eq_ignore_ascii_case(&table.name)
                        && key.references.contains(&column.name)
                })
    };
    let score = |column: usize| {
        let own = scores
            .columns
            .get(at)
            .and_then(|c| c.get(column))
            .copied()
            .unwrap_or(0.0);
        if is_key(&table.columns[column]) {
            f32::MAX
        } else {
            own
        }
    };
    let mut ranked: Vec<usize> = (0..table.columns.len()).collect();
    ranked.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    let mut kept: Vec<usize> = Vec::new();
    narrow.columns.clear();
    let frame = estimate(&create(&narrow, schema.dialect, Detail::Values));
    let mut spent = frame;
    for column in ranked {
        let one = Table {
            columns: vec![table.columns[column].clone()],
            ..narrow.clone()
        };
        let cost = estimate(&create(&one, schema.dialect, Detail::Values)).saturating_sub(frame);
        if spent + cost > budget && score(column) < f32::MAX {
            break;
        }
        spent += cost;
        kept.push(column);
    }
    kept.sort_unstable();
    narrow.columns = kept.into_iter().map(|c| table.columns[c].clone()).collect();
    narrow
}

#[cfg(test)]
mod tests {
    use super::super::score::scores;
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::ask::fixtures::{column, music, table};

    fn names(tables: &[Table]) -> Vec<&str> {
        tables.iter().map(|t| t.name.as_str()).collect()
    }

    /// The music shop among fifty tables of something else.
    fn large() -> Schema {
        let mut schema = music(Dialect::Sqlite);
        for i in 0..50 {
            let columns = vec![
                column(&format!("zone_{i}_key"), "INTEGER", None, &[]),
                column("grid", "TEXT", Some("somewhere"), &[]),
            ];
            schema.tables.push(table(
                &format!("zone_{i}"),
                Some("a plot of land"),
                columns,
                &[],
            ));
        }
        schema
    }

    #[test]
    fn what_joins_the_chosen_tables_is_chosen_too() {
        let schema = large();
        let found = scores(&schema, "Which albums are on invoices?", None, &[]);
        let tables = choose(&schema, &found, 600);
        let chosen = names(&tables);
        for table in ["album", "track", "invoice_line", "invoice"] {
            assert!(chosen.contains(&table), "{chosen:?}");
        }
        assert!(chosen.len() < 12, "{chosen:?}");
        let order: Vec<&str> = schema
            .tables
            .iter()
            .map(|t| t.name.as_str())
            .filter(|t| chosen.contains(t))
            .collect();
        assert_eq!(chosen, order);
    }

    #[test]
    fn keys_to_tables_that_are_not_shown_are_not_shown() {
        let schema = large();
        let found = scores(&schema, "albums", None, &[]);
        let tables = choose(&schema, &found, 60);
        let shown = names(&tables);
        assert!(
            shown.contains(&"album") && !shown.contains(&"artist"),
            "{shown:?}"
        );
        for key in tables.iter().flat_map(|t| &t.foreign_keys) {
            assert!(shown.contains(&key.table.as_str()), "{key:?}");
        }
    }

    #[test]
    fn what_is_linked_to_the_little_that_was_found_is_shown() {
        let schema = large();
        let found = scores(&schema, "Blue", None, &[]);
        let tables = choose(&schema, &found, 600);
        let chosen = names(&tables);
        for table in ["album", "artist", "track"] {
            assert!(chosen.contains(&table), "{chosen:?}");
        }
        assert_eq!(chosen.len(), 6, "{chosen:?}");
    }

    #[test]
    fn the_budget_holds_and_the_best_table_is_always_there() {
        let schema = large();
        let found = scores(
            &schema,
            "total of invoices by country of customers",
            None,
            &[],
        );
        for budget in [0, 40, 100, 300, 1_000] {
            let tables = choose(&schema, &found, budget);
            let spent: usize = tables
                .iter()
                .map(|t| estimate(&create(t, schema.dialect, Detail::Values)))
                .sum();
            assert!(
                !tables.is_empty() && (spent <= budget || tables.len() == 1),
                "{budget}: {spent}"
            );
        }
    }

    #[test]
    fn a_wide_table_keeps_its_keys_and_what_is_asked_for() {
        let mut columns = vec![column("reading_id", "INTEGER", None, &[])];
        columns.extend((0..300).map(|i| column(&format!("probe_{i}"), "REAL", None, &[])));
        columns.push(column("humidity", "REAL", None, &[]));
        let schema = Schema {
            dialect: Dialect::Sqlite,
            tables: vec![table("reading", None, columns, &[])],
        };
        let found = scores(&schema, "What is the mean humidity?", None, &[]);
        let tables = choose(&schema, &found, 300);
        let kept: Vec<&str> = tables[0].columns.iter().map(|c| c.name.as_str()).collect();
        assert!(
            kept.len() < 40 && kept[0] == "reading_id" && kept.contains(&"humidity"),
            "{kept:?}"
        );
    }
}
