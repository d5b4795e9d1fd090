//! What `praxis.cache` makes of pairs of questions: `reuse PAIRS VECTORS` prints, for each least cosine, which share of
//! paraphrases would get the kept answer and which share of questions that only look alike, by vectors alone and with
//! the words that decide.
//!
//! PAIRS has a line for each question, `{"id", "lang", "part", "question", "same": [...], "other": [{"kind",
//! "question"}]}`; VECTORS a line for each text, `{"text", "embedding"}`, as `praxis embed --kind query --out` writes
//! them. `scripts/bench-reuse.sh` runs this.

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use praxis_core::embed::dot;
use praxis_function::same_words;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The least cosines that are tried.
const LEAST: [f32; 12] = [
    0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99,
];

#[derive(Deserialize)]
struct Line {
    id: String,
    lang: String,
    part: String,
    question: String,
    same: Vec<String>,
    other: Vec<Other>,
}

#[derive(Deserialize)]
struct Other {
    kind: String,
    question: String,
}

#[derive(Deserialize)]
struct Embedded {
    text: String,
    embedding: Vec<f32>,
}

/// Two questions, compared.
struct Pair {
    cosine: f32,
    words: bool,
    about: String,
}

type Vectors = HashMap<String, Vec<f32>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pairs, vectors] = arguments.as_slice() else {
        return Err("usage: reuse PAIRS VECTORS".into());
    };
    let lines: Vec<Line> = read(pairs)?;
    let vectors = read::<Embedded>(vectors)?.into_iter();
    let vectors: Vectors = vectors.map(|e| (e.text, e.embedding)).collect();
    let mut groups: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line.lang.as_str(), line.part.as_str()))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for (lang, part) in groups {
        let of = |line: &&Line| line.lang == lang && line.part == part;
        let lines: Vec<&Line> = lines.iter().filter(of).collect();
        let mut same = Vec::new();
        let mut other = Vec::new();
        for line in &lines {
            for text in &line.same {
                same.push(pair(&line.question, text, &line.id, &vectors)?);
            }
            for Other { kind, question } in &line.other {
                let about = format!("{}, {kind}", line.id);
                other.push(pair(&line.question, question, &about, &vectors)?);
            }
        }
        let mut strangers = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            for next in &lines[at + 1..] {
                strangers.push(pair(&line.question, &next.question, &line.id, &vectors)?);
            }
        }
        for least in LEAST {
            let cells = [&same, &other, &strangers].map(|pairs| {
                let like = |pair: &&Pair| pair.cosine >= least;
                let by_words = pairs.iter().filter(like).filter(|pair| pair.words);
                (
                    share(pairs.iter().filter(like).count(), pairs.len()),
                    share(by_words.count(), pairs.len()),
                )
            });
            let [
                (hits, hits_words),
                (false_hits, false_words),
                (far, far_words),
            ] = cells;
            rows.push(format!(
                "| {lang} | {part} | {least} | {hits} | {false_hits} | {far} | {hits_words} | {false_words} \
                 | {far_words} |"
            ));
        }
        let false_ones = other.into_iter().chain(strangers);
        wrong.extend(false_ones.filter(|pair| pair.words));
    }
    print(&rows, &wrong);
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the table is what the measurement is for"
)]
fn print(rows: &[String], wrong: &[Pair]) {
    println!(
        "Hits are paraphrases; false hits are questions that look alike, and any others of the language.\n"
    );
    println!(
        "| language | part | least cosine | hits | false hits | others | hits by words too | false hits | others |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows {
        println!("{row}");
    }
    if !wrong.is_empty() {
        println!("\nOne by their words, and two in truth:\n");
    }
    for pair in wrong {
        println!("- {:.3} {}", pair.cosine, pair.about);
    }
}

/// The lines of a file of JSON Lines.
fn read<T: DeserializeOwned>(path: &str) -> Result<Vec<T>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let read = |(number, line): (usize, &str)| {
        let read = serde_json::from_str(line);
        read.map_err(|error| format!("{path}, line {}: {error}", number + 1).into())
    };
    lines.enumerate().map(read).collect()
}

fn pair(one: &str, other: &str, about: &str, vectors: &Vectors) -> Result<Pair, Box<dyn Error>> {
    let vector = |text: &str| {
        let found = vectors.get(text);
        found.ok_or_else(|| format!("there is no vector of `{text}`"))
    };
    Ok(Pair {
        cosine: dot(vector(one)?, vector(other)?),
        words: same_words(one, other),
        about: format!("{about}: {one} | {other}"),
    })
}

fn share(part: usize, all: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / all.max(1) as f64)
}
