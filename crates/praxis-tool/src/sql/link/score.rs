//! How much each table and column has to do with a question: by words in common, by meaning, by values of the question
//! that are in a column.
//!
//! What counts is that nothing is missed: a table too many costs some tokens, one too few costs the answer. Left out:
//! where meanings and values come from (`vectors`, the database), and how many tables are shown (`choose`).

use std::collections::HashMap;

use super::words::{content, terms};
use crate::sql::{Found, Schema};

/// Weights of the signals: words in common, meaning, and a value that is there.
const BY_WORDS: f32 = 1.0;
const BY_MEANING: f32 = 0.6;
const BY_VALUE: f32 = 3.0;

/// What a comment's words count beside those of a name.
const OF_COMMENT: f32 = 0.7;

/// A table's best column counts this much for the table, the second best half of that.
const OF_COLUMN: f32 = 0.7;

/// Standard deviations of likeness that count at most.
const MOST_LIKENESS: f32 = 3.0;

/// How much a question is like each table and column: cosines, by table and column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meaning {
    /// Of each table.
    pub tables: Vec<f32>,
    /// Of each table's columns.
    pub columns: Vec<Vec<f32>>,
}

/// Scores; more is better, and 0 is nothing in common.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    /// Of each table.
    pub tables: Vec<f32>,
    /// Of each table's columns.
    pub columns: Vec<Vec<f32>>,
}

/// Scores all tables and columns of a schema.
pub(crate) fn scores(
    schema: &Schema,
    question: &str,
    meaning: Option<&Meaning>,
    values: &[Found],
) -> Scores {
    let asked = content(question);
    let rarity = rarity(schema);
    let share = |text: &str| share(&asked, &terms(text), &rarity);
    let meaning = meaning.map(standardized);
    let like = |table: usize, column: Option<usize>| {
        meaning.as_ref().map_or(0.0, |meaning| {
            let found = match column {
                None => meaning.tables.get(table).copied(),
                Some(column) => meaning
                    .columns
                    .get(table)
                    .and_then(|c| c.get(column))
                    .copied(),
            };
            BY_MEANING * found.unwrap_or(0.0)
        })
    };
    let mut all = Scores {
        tables: Vec::new(),
        columns: Vec::new(),
    };
    for (t, table) in schema.tables.iter().enumerate() {
        let mut columns = Vec::new();
        for (c, column) in table.columns.iter().enumerate() {
            let mut words = share(&column.name);
            if let Some(comment) = &column.comment {
                words = words.max(OF_COMMENT * share(comment));
            }
            for sample in &column.samples {
                words = words.max(OF_COMMENT * share(sample));
            }
            let has_value = values
                .iter()
                .any(|found| found.table == table.name && found.column == column.name);
            let by_value = if has_value { BY_VALUE } else { 0.0 };
            columns.push(BY_WORDS * words + like(t, Some(c)) + by_value);
        }
        let mut words = share(&table.name);
        if let Some(comment) = &table.comment {
            words = words.max(OF_COMMENT * share(comment));
        }
        let mut best: Vec<f32> = columns.clone();
        best.sort_by(|a, b| b.total_cmp(a));
        let of_columns: f32 = best
            .iter()
            .take(2)
            .zip([OF_COLUMN, OF_COLUMN / 2.0])
            .map(|(score, weight)| score * weight)
            .sum();
        all.tables
            .push(BY_WORDS * words + like(t, None) + of_columns);
        all.columns.push(columns);
    }
    all
}

/// How rare each word is: 1 for one that a single table has, less the more tables have it.
fn rarity(schema: &Schema) -> HashMap<String, f32> {
    let mut tables: HashMap<String, usize> = HashMap::new();
    for table in &schema.tables {
        let mut text = table.name.clone();
        for part in table
            .comment
            .iter()
            .chain(table.columns.iter().map(|c| &c.name))
        {
            text.push(' ');
            text.push_str(part);
        }
        for comment in table.columns.iter().filter_map(|c| c.comment.as_ref()) {
            text.push(' ');
            text.push_str(comment);
        }
        for term in terms(&text) {
            *tables.entry(term).or_default() += 1;
        }
    }
    let all = schema.tables.len().max(1) as f32;
    let most = (1.0 + all).ln();
    tables
        .into_iter()
        .map(|(term, have)| (term, (1.0 + all / have as f32).ln() / most))
        .collect()
}

/// Which share of a text's words the question has, by their rarity, plus a little for each: a long comment with one
/// word in common is worth less than a name with one, and more than nothing.
fn share(asked: &[String], text: &[String], rarity: &HashMap<String, f32>) -> f32 {
    let weight = |term: &String| rarity.get(term).copied().unwrap_or(1.0);
    let whole: f32 = text.iter().map(weight).sum();
    if whole == 0.0 {
        return 0.0;
    }
    let common: f32 = text
        .iter()
        .filter(|term| asked.contains(term))
        .map(weight)
        .sum();
    0.7 * common / whole + 0.3 * common.min(1.0)
}

/// Likenesses in standard deviations above the mean, since the cosines of an embedder lie close together. What is
/// below the mean counts nothing.
fn standardized(meaning: &Meaning) -> Meaning {
    let columns: Vec<f32> = meaning.columns.iter().flatten().copied().collect();
    let (of_tables, of_columns) = (deviations(&meaning.tables), deviations(&columns));
    Meaning {
        tables: meaning.tables.iter().map(|x| of_tables(*x)).collect(),
        columns: meaning
            .columns
            .iter()
            .map(|columns| columns.iter().map(|x| of_columns(*x)).collect())
            .collect(),
    }
}

fn deviations(all: &[f32]) -> impl Fn(f32) -> f32 {
    let count = all.len().max(1) as f32;
    let mean = all.iter().sum::<f32>() / count;
    let spread = (all.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count).sqrt();
    move |x| {
        if spread > 1e-6 {
            ((x - mean) / spread).clamp(0.0, MOST_LIKENESS)
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::ask::fixtures::music;

    fn best(question: &str, meaning: Option<&Meaning>, values: &[Found]) -> String {
        let schema = music(Dialect::Sqlite);
        let scores = scores(&schema, question, meaning, values);
        let best = scores
            .tables
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        schema.tables[best.unwrap().0].name.clone()
    }

    #[test]
    fn words_in_common_lead_to_the_table() {
        for (question, table) in [
            ("How many albums are there?", "album"),
            ("List the longest tracks by milliseconds", "track"),
            ("Which countries do customers live in?", "customer"),
            ("发票金额最高的是哪一张", "invoice"),
            ("列出歌手", "artist"),
            ("total of each invoice", "invoice"),
        ] {
            assert_eq!(best(question, None, &[]), table, "{question}");
        }
    }

    #[test]
    fn values_and_meaning_lead_where_words_do_not() {
        let found = Found {
            table: "customer".to_owned(),
            column: "country".to_owned(),
            value: "Brazil".to_owned(),
        };
        assert_eq!(best("who is from Brazil", None, &[found]), "customer");
        let schema = music(Dialect::Sqlite);
        let mut meaning = Meaning {
            tables: vec![0.8; schema.tables.len()],
            columns: schema
                .tables
                .iter()
                .map(|t| vec![0.8; t.columns.len()])
                .collect(),
        };
        meaning.tables[2] = 0.85;
        assert_eq!(best("音乐有多长", Some(&meaning), &[]), "track");
    }

    #[test]
    fn a_question_about_nothing_scores_nothing() {
        let schema = music(Dialect::Sqlite);
        let scores = scores(&schema, "?", None, &[]);
        assert!(
            scores
                .tables
                .iter()
                .chain(scores.columns.iter().flatten())
                .all(|s| *s == 0.0)
        );
    }
}
