//! A search in a folder of the application: the engine of closed networks, of examples and of tests. Left out: the
//! index (`index`) and the folder (`web`).

use praxis_core::Problem;
use url::Url;

use super::Found;
use super::index::{Index, terms};
use crate::web::{Corpus, Written, decode, markdown};

/// Bytes of all pages together that are read.
const LARGEST: u64 = 64 << 20;

/// Characters of a snippet.
const SNIPPET: usize = 240;

/// A page that can be found.
struct Indexed {
    title: String,
    url: String,
    text: String,
}

/// A folder with an index of its pages.
pub(super) struct Local {
    pages: Vec<Indexed>,
    index: Index,
}

impl Local {
    /// The pages of a folder, as they are now, and what of them is not found.
    pub async fn open(corpus: &Corpus) -> (Self, Vec<Problem>) {
        let (urls, more) = corpus.urls();
        let (mut pages, mut warnings, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut all = !more;
        for url in urls {
            let Ok((kind, page)) = corpus.read(&url).await else {
                warnings.push(warning(format!("`{url}` cannot be read, and is not found")));
                continue;
            };
            bytes += page.len() as u64;
            if bytes > LARGEST {
                all = false;
                break;
            }
            match decode(kind, &page, kind == "text/html") {
                Some(text) => pages.push(indexed(&url, kind, &text)),
                None => warnings.push(warning(format!("`{url}` is no text, and is not found"))),
            }
        }
        if !all {
            let message = "the folder has more pages than are read; the rest is not found";
            warnings.push(warning(message.to_owned()));
        }
        let texts = pages
            .iter()
            .map(|page| (page.title.as_str(), page.text.as_str()));
        let index = Index::new(texts);
        (Self { pages, index }, warnings)
    }

    /// The pages that have most to do with a question, best first.
    pub fn search(&self, question: &str, count: usize) -> Vec<Found> {
        let asked = terms(question);
        let found = self.index.search(question, count).into_iter();
        found
            .filter_map(|(number, _)| self.pages.get(number))
            .map(|page| Found {
                title: page.title.clone(),
                url: page.url.clone(),
                snippet: snippet(&page.text, &asked),
            })
            .collect()
    }
}

fn warning(message: String) -> Problem {
    Problem {
        path: "folder".to_owned(),
        message,
        help: Some("take pages out of the folder, or make it a knowledge base".to_owned()),
    }
}

fn indexed(url: &Url, kind: &str, text: &str) -> Indexed {
    let page = match kind {
        "text/html" => markdown(text, Some(url)),
        _ => Written {
            title: text.lines().find_map(|line| {
                let title = line.strip_prefix("# ")?.trim();
                (!title.is_empty()).then(|| title.to_owned())
            }),
            markdown: text.to_owned(),
            left_out: 0,
        },
    };
    let last = || {
        let path = url.path().trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    Indexed {
        title: page.title.unwrap_or_else(last),
        url: url.to_string(),
        text: page.markdown,
    }
}

/// The line of a text that has most of the words, from its first one on where it is long.
fn snippet(text: &str, asked: &[String]) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches(['#', '-', '>', ' ', '|']));
    let lines = lines.filter(|line| line.chars().any(char::is_alphanumeric));
    let score = |line: &&str| {
        let mut words = terms(line);
        words.sort();
        words.dedup();
        words.iter().filter(|word| asked.contains(word)).count()
    };
    let mut best: Option<(usize, &str)> = None;
    for line in lines {
        let score = score(&line);
        // Of two, the first.
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, line));
        }
    }
    let Some((_, line)) = best else {
        return String::new();
    };
    let line = line.trim_end_matches([' ', '|']);
    if line.chars().count() <= SNIPPET {
        return line.to_owned();
    }
    let lower = line.to_lowercase();
    let at = asked
        .iter()
        .filter_map(|word| lower.find(word.as_str()))
        .min();
    // Some words before the first that was asked for. Lower case may be longer, so this is about right.
    let before = lower[..at.unwrap_or(0)].chars().count().saturating_sub(40);
    let total = line.chars().count();
    let start = before.min(total - SNIPPET);
    let part: String = line.chars().skip(start).take(SNIPPET).collect();
    let (left, right) = (
        if start > 0 { "…" } else { "" },
        if start + SNIPPET < total { "…" } else { "" },
    );
    format!("{left}{part}{right}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_where_the_words_are() {
        let text =
            "# Weather\n\nGeneral words.\n\n- The temperature in Paris is 21 degrees.\n\n| a | b |";
        let snippet = |text: &str, asked: &str| super::snippet(text, &terms(asked));
        assert_eq!(
            snippet(text, "temperature paris"),
            "The temperature in Paris is 21 degrees."
        );
        assert_eq!(snippet(text, "volcano"), "Weather");
        assert_eq!(snippet("", "x"), "");
        let long = format!("{} needle {}", "hay ".repeat(200), "hay ".repeat(200));
        let found = snippet(&long, "needle");
        assert!(found.contains("needle") && found.starts_with('…') && found.ends_with('…'));
        assert!(found.chars().count() <= SNIPPET + 2);
        assert_eq!(snippet("上海今天多云。\n明天有雨。", "明天"), "明天有雨。");
    }
}
