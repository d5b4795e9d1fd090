//! From what a model claims of a chunk to what the chunk bears out: every triple has a quote that stands in the
//! chunk, and names that stand there or in the title or headings above it. What does not is dropped and counted.
//! Types and relations are those of the vocabulary, where there is one. Left out: asking (`build`).

use std::collections::HashMap;

use super::names::{is_name, normalize, term};
use super::reading::{ClaimedTriple, Claims};
use crate::config::GraphConfig;

/// The type of what a triple names and the model gave no type, in an open vocabulary.
const UNTYPED: &str = "other";

/// The most characters of a type or relation; longer ones are sentences.
const MAX_TERM: usize = 48;

/// Letters below it are of scripts that put spaces between words: Latin, Greek and Cyrillic.
const SPACED: char = '\u{530}';

/// What a vocabulary allows, as terms; empty for an open one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vocabulary {
    pub kinds: Vec<String>,
    pub relations: Vec<String>,
    /// The most triples of a chunk.
    pub most: usize,
}

impl Vocabulary {
    pub fn of(config: &GraphConfig) -> Self {
        let terms = |texts: &[String]| {
            let mut terms: Vec<String> = Vec::new();
            for text in texts {
                let term = term(text);
                if !term.is_empty() && !terms.contains(&term) {
                    terms.push(term);
                }
            }
            terms
        };
        Self {
            kinds: terms(&config.entities),
            relations: terms(&config.relations),
            most: config.max_triples,
        }
    }

    fn allows(terms: &[String], term: &str) -> bool {
        let sized = !term.is_empty() && term.chars().count() <= MAX_TERM;
        sized && (terms.is_empty() || terms.iter().any(|t| t == term))
    }
}

/// A chunk to be borne out by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub text: &'a str,
    /// Title and headings above it.
    pub above: &'a str,
}

/// What a chunk bears out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grounded {
    /// Each name and type once, in the order of the answer.
    pub names: Vec<GroundedName>,
    pub triples: Vec<GroundedTriple>,
    /// Triples that were dropped.
    pub dropped: u64,
}

/// A name that stands in a chunk, or above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroundedName {
    /// Normalized.
    pub key: String,
    pub kind: String,
    /// As the model writes it.
    pub name: String,
}

/// A triple with its quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroundedTriple {
    /// Place of the subject among the names.
    pub subject: usize,
    pub relation: String,
    pub object: usize,
    /// First character of the quote in the chunk.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
}

/// What of the claims a chunk bears out.
pub(crate) fn ground(claims: &Claims, on: Ground<'_>, vocabulary: &Vocabulary) -> Grounded {
    let mut names = Names {
        text: Searchable::of(on.text),
        above: Searchable::of(on.above),
        found: Vec::new(),
        by_key: HashMap::new(),
    };
    for claim in &claims.entities {
        let kind = term(&claim.kind);
        if Vocabulary::allows(&vocabulary.kinds, &kind) {
            names.add(&claim.name, &kind);
        }
    }
    let mut triples: Vec<GroundedTriple> = Vec::new();
    let mut dropped = 0;
    for claim in &claims.triples {
        let grounded = names.triple(claim, vocabulary);
        let same = |a: &GroundedTriple, b: &GroundedTriple| {
            (a.subject, &a.relation, a.object) == (b.subject, &b.relation, b.object)
        };
        match grounded {
            // Said twice is no mistake, and said once.
            Some(new) if triples.iter().any(|old| same(old, &new)) => {}
            Some(new) if triples.len() < vocabulary.most => triples.push(new),
            _ => dropped += 1,
        }
    }
    Grounded {
        names: names.found,
        triples,
        dropped,
    }
}

struct Names {
    text: Searchable,
    above: Searchable,
    found: Vec<GroundedName>,
    /// The first of each key: a triple says a name without its type.
    by_key: HashMap<String, usize>,
}

impl Names {
    /// The place of a name with this type, if it stands somewhere.
    fn add(&mut self, name: &str, kind: &str) -> Option<usize> {
        let key = normalize(name);
        if !is_name(&key) {
            return None;
        }
        let known = |n: &GroundedName| n.key == key && n.kind == kind;
        if let Some(place) = self.found.iter().position(known) {
            return Some(place);
        }
        if !self.text.names(name) && !self.above.names(name) {
            return None;
        }
        let place = self.found.len();
        self.by_key.entry(key.clone()).or_insert(place);
        self.found.push(GroundedName {
            key,
            kind: kind.to_owned(),
            name: name.split_whitespace().collect::<Vec<_>>().join(" "),
        });
        Some(place)
    }

    fn end(&mut self, name: &str, vocabulary: &Vocabulary) -> Option<usize> {
        match self.by_key.get(&normalize(name)) {
            Some(place) => Some(*place),
            // In a closed vocabulary, what has no type has no place.
            None if vocabulary.kinds.is_empty() => self.add(name, UNTYPED),
            None => None,
        }
    }

    fn triple(&mut self, claim: &ClaimedTriple, vocabulary: &Vocabulary) -> Option<GroundedTriple> {
        let relation = term(&claim.relation);
        if !Vocabulary::allows(&vocabulary.relations, &relation) {
            return None;
        }
        let (start, end) = self.text.find(&claim.quote)?;
        let subject = self.end(&claim.subject, vocabulary)?;
        let object = self.end(&claim.object, vocabulary)?;
        (subject != object).then_some(GroundedTriple {
            subject,
            relation,
            object,
            start,
            end,
        })
    }
}

/// A text that quotes are looked for in: white space between words counts alike however it is laid out, and so
/// do quotation marks however they are drawn.
struct Searchable {
    plain: String,
    /// Of each character of `plain`: its byte there, and which character of the text it is.
    places: Vec<(usize, usize)>,
}

impl Searchable {
    fn of(text: &str) -> Self {
        let mut searchable = Self {
            plain: String::with_capacity(text.len()),
            places: Vec::new(),
        };
        let mut spaced = true;
        for (place, c) in text.chars().enumerate() {
            let c = plain(c);
            if c == ' ' && spaced {
                continue;
            }
            spaced = c == ' ';
            searchable.places.push((searchable.plain.len(), place));
            searchable.plain.push(c);
        }
        searchable
    }

    /// Whether a name stands there, and not as a part of a longer word.
    fn names(&self, name: &str) -> bool {
        let wanted = Self::wanted(name);
        let (first, last) = (wanted.chars().next(), wanted.chars().next_back());
        let mut places = self.plain.match_indices(&wanted);
        let joined = |a: Option<char>, b: Option<char>| {
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && c < SPACED);
            letter(a) && letter(b)
        };
        wanted.chars().any(char::is_alphanumeric)
            && places.any(|(at, _)| {
                let before = self.plain[..at].chars().next_back();
                let after = self.plain[at + wanted.len()..].chars().next();
                !joined(before, first) && !joined(last, after)
            })
    }

    /// What is looked for.
    fn wanted(text: &str) -> String {
        let mut wanted = Self::of(text).plain;
        wanted.truncate(wanted.trim_end().len());
        wanted
    }

    /// Where a quote stands: its first character and the one after its last.
    fn find(&self, quote: &str) -> Option<(usize, usize)> {
        let wanted = Self::wanted(quote);
        if !wanted.chars().any(char::is_alphanumeric) {
            return None;
        }
        let at = self.plain.find(&wanted)?;
        let character = |byte: usize| {
            let index = self.places.partition_point(|(b, _)| *b < byte);
            self.places.get(index).map(|(_, place)| *place)
        };
        let start = character(at)?;
        let last = wanted.chars().next_back().map_or(0, char::len_utf8);
        let end = character(at + wanted.len() - last)? + 1;
        Some((start, end))
    }
}

fn plain(c: char) -> char {
    match c {
        c if c.is_whitespace() => ' ',
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reading::ClaimedEntity;
    use super::*;

    const TEXT: &str = "In 1904 Lu Xun went to\n  Sendai. There “Fujino” taught him anatomy.\n藤野先生教他解剖学。";

    fn triple(quote: &str, subject: &str, relation: &str, object: &str) -> ClaimedTriple {
        ClaimedTriple {
            quote: quote.to_owned(),
            subject: subject.to_owned(),
            relation: relation.to_owned(),
            object: object.to_owned(),
        }
    }

    fn claims(entities: &[(&str, &str)], triples: Vec<ClaimedTriple>) -> Claims {
        let entity = |(name, kind): &(&str, &str)| ClaimedEntity {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
        };
        Claims {
            entities: entities.iter().map(entity).collect(),
            triples,
            is_answer: true,
        }
    }

    fn here() -> Ground<'static> {
        Ground {
            text: TEXT,
            above: "Years in Japan",
        }
    }

    fn open() -> Vocabulary {
        Vocabulary {
            most: 8,
            ..Vocabulary::default()
        }
    }

    #[test]
    fn what_the_chunk_says_is_kept_with_its_quote_and_all_else_is_dropped() {
        let entities = [
            ("Lu Xun", "Person"),
            ("Sendai", "place"),
            ("Fujino", "person"),
            ("Tokyo", "place"),
            ("He", "person"),
            ("natom", "part"),
        ];
        let said = claims(
            &entities,
            vec![
                triple("Lu Xun went to Sendai.", "Lu Xun", "went to", "Sendai"),
                triple("Lu Xun went to Sendai.", "lu xun", "went_to", "SENDAI"),
                triple("\"Fujino\" taught him", "Fujino", "teaches", "Lu Xun"),
                triple("Lu Xun went to Tokyo.", "Lu Xun", "went to", "Sendai"),
                triple("Lu Xun", "Lu Xun", "visits", "Tokyo"),
                triple("Lu Xun", "Lu Xun", "is", "Lu Xun"),
                triple("", "Lu Xun", "likes", "Sendai"),
                triple("taught him", "Fujino", "works in", "Japan"),
                triple("藤野先生教他解剖学", "藤野先生", "教", "解剖学"),
            ],
        );
        let grounded = ground(&said, here(), &open());
        let shown: Vec<(String, String)> = grounded
            .triples
            .iter()
            .map(|t| {
                let quote: String = TEXT.chars().skip(t.start).take(t.end - t.start).collect();
                let name = |at: usize| &grounded.names[at].name;
                let said = format!("{} {} {}", name(t.subject), t.relation, name(t.object));
                (said, quote)
            })
            .collect();
        let expected = [
            ("Lu Xun went_to Sendai", "Lu Xun went to\n  Sendai."),
            ("Fujino teaches Lu Xun", "“Fujino” taught him"),
            ("Fujino works_in Japan", "taught him"),
            ("藤野先生 教 解剖学", "藤野先生教他解剖学"),
        ];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(shown, expected);
        assert_eq!(grounded.dropped, 4);
        assert_eq!(grounded.names[0].kind, "person");
        assert!(
            grounded
                .names
                .iter()
                .all(|n| !["Tokyo", "He", "natom"].contains(&n.name.as_str()))
        );
    }

    #[test]
    fn a_closed_vocabulary_lets_nothing_else_in() {
        let vocabulary = Vocabulary {
            kinds: vec!["person".to_owned(), "place".to_owned()],
            relations: vec!["went_to".to_owned()],
            most: 1,
        };
        let quote = "Lu Xun went to Sendai.";
        let said = claims(
            &[
                ("Lu Xun", "person"),
                ("Sendai", "city"),
                ("Sendai", "place"),
                ("Fujino", "teacher"),
            ],
            vec![
                triple(quote, "Lu Xun", "lives in", "Sendai"),
                triple(quote, "Lu Xun", "went to", "Fujino"),
                triple(quote, "Lu Xun", "went to", "Sendai"),
                triple(quote, "Sendai", "went to", "Lu Xun"),
            ],
        );
        let grounded = ground(&said, here(), &vocabulary);
        assert_eq!(grounded.names.len(), 2);
        assert_eq!((grounded.triples.len(), grounded.dropped), (1, 3));
        assert_eq!(grounded.names[grounded.triples[0].object].kind, "place");
    }

    proptest! {
        #[test]
        fn every_triple_has_its_quote_and_its_names_in_the_chunk(
            text in "[A-C ab\\n鲁迅。“”]{0,60}",
            above in "[A-C ]{0,9}",
            parts in proptest::collection::vec(("[A-C ab鲁迅\"]{0,6}", "[A-C鲁迅 ]{0,3}", "[a-z_ ]{0,6}", "[A-C鲁迅 ]{0,3}"), 0..12),
            most in 0usize..4,
        ) {
            let triples = parts.iter().map(|(q, s, r, o)| triple(q, s, r, o)).collect();
            let said = claims(&[("A", "x"), ("鲁迅", "person")], triples);
            let vocabulary = Vocabulary { most, ..Vocabulary::default() };
            let grounded = ground(&said, Ground { text: &text, above: &above }, &vocabulary);
            let length = text.chars().count();
            prop_assert!(grounded.triples.len() <= most);
            prop_assert!(grounded.triples.len() as u64 + grounded.dropped <= parts.len() as u64);
            for t in &grounded.triples {
                prop_assert!(t.start < t.end && t.end <= length, "{t:?} of {length}");
                prop_assert!(t.subject != t.object && !t.relation.is_empty());
                prop_assert!(t.subject.max(t.object) < grounded.names.len());
            }
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            let all = format!("{}|{}", squeezed(&text), squeezed(&above));
            for name in &grounded.names {
                prop_assert!(!name.key.is_empty());
                prop_assert!(all.contains(&squeezed(&name.name)), "{name:?} in {all}");
            }
        }
    }
}
