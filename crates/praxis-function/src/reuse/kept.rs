//! An answer as it is kept, and what it needs of the passages that a later call finds: what it cites is there, word for
//! word, and nothing that it was not written from ranks before that. So a document that was changed, taken away or
//! hidden, and one that was added and fits better, show at the next call.

use praxis_core::{Citation, Money, Passage, TraceId, Usage};
use serde_json::Value;

/// What is equal of two passages that read alike to a model.
pub(super) type Print = [u8; 32];

/// The print of a passage.
pub(super) fn print(passage: &Passage) -> Print {
    let mut hasher = blake3::Hasher::new();
    let texts = [
        passage.document.as_str(),
        &passage.uri,
        &passage.title,
        &passage.text,
    ];
    for text in texts
        .into_iter()
        .chain(passage.headings.iter().map(String::as_str))
    {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    /// The output, without citations.
    pub value: Value,
    /// How the model came to it.
    pub reasoning: Option<String>,
    /// The share of votes that it had.
    pub confidence: Option<f32>,
    /// What was voted for.
    pub votes: Vec<(String, usize)>,
    /// The passages that it cites, by the numbers in its text.
    pub(super) cited: Vec<(u32, Print)>,
    /// All that the model read.
    pub(super) read: Vec<Print>,
    /// Tokens that it took.
    pub(super) usage: Usage,
    /// What it cost.
    pub(super) cost: Money,
    /// The call that it was given to.
    pub(super) trace: TraceId,
}

impl Kept {
    /// Whether it may answer a call that found these passages, best first.
    pub(super) fn is_borne_out(&self, found: &[Print]) -> bool {
        let mut taken = vec![false; found.len()];
        for (number, print) in &self.cited {
            let is_free = |place: &usize| found[*place] == *print && !taken[*place];
            let place = (0..found.len()).find(is_free);
            let Some(place) = place.filter(|_| *number as usize <= found.len()) else {
                return false;
            };
            taken[place] = true;
        }
        let Some(last) = taken.iter().rposition(|taken| *taken) else {
            return true;
        };
        found[..last].iter().all(|print| self.read.contains(print))
    }

    /// The same passages, those that it cites at the numbers that its text has for them.
    pub fn arranged(&self, passages: Vec<Passage>) -> Vec<Passage> {
        let mut waiting: Vec<Option<Passage>> = passages.into_iter().map(Some).collect();
        let mut places: Vec<Option<Passage>> = vec![None; waiting.len()];
        for (number, wanted) in &self.cited {
            let is_wanted = |passage: &&mut Option<Passage>| match &**passage {
                Some(passage) => print(passage) == *wanted,
                None => false,
            };
            let place = (*number as usize).checked_sub(1);
            if let Some(place) = place.and_then(|place| places.get_mut(place))
                && let Some(found) = waiting.iter_mut().find(is_wanted)
            {
                *place = found.take();
            }
        }
        let mut rest = waiting.into_iter().flatten();
        let filled = places
            .into_iter()
            .map(|place| place.or_else(|| rest.next()));
        filled.flatten().collect()
    }

    /// Its citations, of passages that were arranged for it.
    pub fn citations(&self, arranged: &[Passage]) -> Vec<Citation> {
        let citation = |(number, _): &(u32, Print)| {
            let passage = arranged.get((*number as usize).checked_sub(1)?)?.clone();
            let number = *number;
            Some(Citation { number, passage })
        };
        self.cited.iter().filter_map(citation).collect()
    }

    /// About what it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        let votes: usize = self.votes.iter().map(|(text, _)| text.len() + 48).sum();
        let prints = size_of_val(self.cited.as_slice()) + size_of_val(self.read.as_slice());
        let reasoning = self.reasoning.as_ref().map_or(0, String::len);
        size_of::<Self>() + weight(&self.value) + reasoning + votes + prints
    }
}

/// About what a value takes beside itself.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() + 16,
        Value::Array(all) => all.iter().map(|v| size_of::<Value>() + weight(v)).sum(),
        Value::Object(map) => {
            let entry =
                |(key, v): (&String, &Value)| key.len() + 64 + size_of::<Value>() + weight(v);
            map.iter().map(entry).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::{ChunkId, DocumentId};
    use serde_json::json;

    use super::*;

    fn passage(text: &str) -> Passage {
        Passage {
            chunk: ChunkId::from_string(format!("chunk of {text}")),
            document: DocumentId::from_string("d"),
            title: "t".into(),
            uri: "u".into(),
            headings: vec!["h".into()],
            page: None,
            start: 0,
            end: 1,
            text: text.into(),
            score: 1.0,
            relevance: 1.0,
        }
    }

    fn passages(texts: &[&str]) -> Vec<Passage> {
        texts.iter().map(|text| passage(text)).collect()
    }

    fn prints(texts: &[&str]) -> Vec<Print> {
        passages(texts).iter().map(print).collect()
    }

    /// An answer that was written from `read` and cites some of it by number.
    fn kept(read: &[&str], numbers: &[u32]) -> Kept {
        let read = prints(read);
        Kept {
            value: json!("x"),
            reasoning: None,
            confidence: None,
            votes: Vec::new(),
            cited: numbers
                .iter()
                .map(|n| (*n, read[*n as usize - 1]))
                .collect(),
            read,
            usage: Usage::default(),
            cost: Money::default(),
            trace: TraceId::from_string("t"),
        }
    }

    #[test]
    fn what_it_cites_has_to_be_there_and_nothing_new_before_it() {
        for (read, numbers, found, is_good) in [
            (&["a", "b"][..], &[1][..], &["a", "b"][..], true),
            (&["a", "b"], &[1], &["b", "a"], true),
            // What ranks behind it does not matter.
            (&["a", "b"], &[1], &["a", "new"], true),
            (&["a", "b"], &[1], &["new", "a"], false),
            (&["a", "b"], &[1, 2], &["a", "new", "b"], false),
            (&["a", "b"], &[1, 2], &["a", "c"], false),
            (&["a", "b"], &[2], &[], false),
            // There are fewer passages than the number in the text.
            (&["a", "b", "c"], &[3], &["c"], false),
            (&["a", "a"], &[1, 2], &["a", "b"], false),
            (&["a", "a"], &[1, 2], &["a", "a"], true),
            // Without passages there is nothing to be there.
            (&[], &[], &[], true),
        ] {
            let found = prints(found);
            assert_eq!(
                kept(read, numbers).is_borne_out(&found),
                is_good,
                "{read:?} {numbers:?}"
            );
        }
    }

    #[test]
    fn a_passage_is_another_one_where_anything_that_is_read_of_it_changes() {
        let same = passage("a");
        let moved = Passage {
            chunk: ChunkId::from_string("other"),
            start: 7,
            score: 0.1,
            ..same.clone()
        };
        assert_eq!(print(&same), print(&moved));
        let others = [
            Passage {
                text: "b".into(),
                ..same.clone()
            },
            Passage {
                title: "x".into(),
                ..same.clone()
            },
            Passage {
                uri: "x".into(),
                ..same.clone()
            },
            Passage {
                headings: vec![],
                ..same.clone()
            },
            Passage {
                document: DocumentId::from_string("x"),
                ..same.clone()
            },
        ];
        assert!(others.iter().all(|other| print(other) != print(&same)));
    }

    #[test]
    fn passages_go_to_the_numbers_of_the_text() {
        for (read, numbers, found, arranged) in [
            (
                &["a", "b", "c"][..],
                &[3][..],
                &["c", "a", "d"][..],
                &["a", "d", "c"][..],
            ),
            (&["a", "b"], &[1, 2], &["b", "a", "c"], &["a", "b", "c"]),
            (&["a", "b"], &[1], &["a", "b"], &["a", "b"]),
            (&[], &[], &["a"], &["a"]),
        ] {
            let kept = kept(read, numbers);
            let passages = kept.arranged(passages(found));
            let texts: Vec<&str> = passages.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(texts, arranged);
            for citation in kept.citations(&passages) {
                assert_eq!(citation.passage.text, read[citation.number as usize - 1]);
            }
            assert_eq!(kept.citations(&passages).len(), numbers.len());
        }
    }
}
