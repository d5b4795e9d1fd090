//! Which texts of an index count in a search. A filter says which may be results; where a caller may not
//! know of all texts, also the statistics of BM25 are those of the texts that it may know of, so that its
//! scores are those of an index without the others and tell nothing of them.
//!
//! Both are sets of numbers inside of the index, so they hold for one reader of it only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tantivy::query::{Bm25StatisticsProvider, EnableScoring, Query};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{
    BitSet, DocAddress, DocId, DocSet, Score, Searcher, SegmentReader, TERMINATED, Term,
};

use super::{Fields, GENERATION, KeywordIndex};

/// Frequencies of terms that are kept, before they are all forgotten.
const MAX_FREQUENCIES: usize = 20_000;

/// The texts that count.
pub(crate) struct KeywordScope {
    /// Those that may be results, by segment.
    results: Vec<BitSet>,
}

/// The texts that a caller may know of, and their statistics.
pub(crate) struct KnownTexts {
    segments: Vec<BitSet>,
    texts: u64,
    words: u64,
    bigrams: u64,
    /// How many of them hold a term, once it was asked.
    frequencies: Mutex<HashMap<Term, u64>>,
}

impl KeywordIndex {
    /// The texts of the documents that `allows` lets pass, by the generations that wrote them.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn scope(&self, allows: impl Fn(u64) -> bool) -> tantivy::Result<KeywordScope> {
        let searcher = self.reader.searcher();
        let readers = searcher.segment_readers().iter();
        let results = readers.map(|reader| allowed(reader, &allows));
        Ok(KeywordScope {
            results: self.noted(|| results.collect::<tantivy::Result<_>>())?,
        })
    }

    /// The texts of those documents with their statistics.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn known(&self, allows: impl Fn(u64) -> bool) -> tantivy::Result<KnownTexts> {
        let KeywordScope { results: segments } = self.scope(allows)?;
        let mut known = KnownTexts {
            segments: Vec::new(),
            texts: 0,
            words: 0,
            bigrams: 0,
            frequencies: Mutex::default(),
        };
        let searcher = self.reader.searcher();
        self.noted(|| {
            for (reader, texts) in searcher.segment_readers().iter().zip(&segments) {
                let words = reader.fast_fields().u64(super::WORD_COUNT)?;
                let bigrams = reader.fast_fields().u64(super::BIGRAM_COUNT)?;
                for text in (0..reader.max_doc()).filter(|text| texts.contains(*text)) {
                    known.texts += 1;
                    known.words += words.first(text).unwrap_or_default();
                    known.bigrams += bigrams.first(text).unwrap_or_default();
                }
            }
            Ok(())
        })?;
        known.segments = segments;
        Ok(known)
    }

    /// The best texts for a query within a scope, best first.
    pub(super) fn search_within(
        &self,
        query: &dyn Query,
        limit: usize,
        scope: &KeywordScope,
        known: Option<&KnownTexts>,
    ) -> tantivy::Result<Vec<(Score, DocAddress)>> {
        let searcher = self.reader.searcher();
        if limit == 0 || scope.results.iter().all(|segment| segment.len() == 0) {
            return Ok(Vec::new());
        }
        let statistics = known.map(|known| Statistics {
            known,
            searcher: &searcher,
            fields: self.fields,
        });
        let weight = query.weight(match &statistics {
            Some(known) => EnableScoring::enabled_from_statistics_provider(known, &searcher),
            None => EnableScoring::enabled_from_searcher(&searcher),
        })?;
        let mut best: Vec<(Score, DocAddress)> = Vec::new();
        for ((reader, results), segment) in searcher
            .segment_readers()
            .iter()
            .zip(&scope.results)
            .zip(0u32..)
        {
            let mut top = Top::new(limit);
            match known {
                None => weight.for_each_pruning(Score::MIN, reader, &mut |text, score| {
                    if results.contains(text) {
                        top.offer(score, text);
                    }
                    top.threshold()
                })?,
                // What may be passed over was computed with the statistics of all texts.
                Some(_) => weight.for_each(reader, &mut |text, score| {
                    if score > top.threshold() && results.contains(text) {
                        top.offer(score, text);
                    }
                })?,
            }
            let found = top.found.into_iter();
            best.extend(found.map(|(score, text)| (score, DocAddress::new(segment, text))));
        }
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        best.truncate(limit);
        Ok(best)
    }
}

/// The live texts of a segment that `allows` lets pass.
fn allowed(reader: &SegmentReader, allows: impl Fn(u64) -> bool) -> tantivy::Result<BitSet> {
    let generations = reader.fast_fields().u64(GENERATION)?;
    let mut set = BitSet::with_max_value(reader.max_doc());
    let alive = reader.alive_bitset();
    for text in 0..reader.max_doc() {
        if alive.is_none_or(|alive| alive.is_alive(text))
            && generations.first(text).is_some_and(&allows)
        {
            set.insert(text);
        }
    }
    Ok(set)
}

/// The best texts of a segment, which come by number: of equals the first stays.
struct Top {
    limit: usize,
    /// The best so far; the least of them first, once they are enough.
    found: Vec<(Score, DocId)>,
}

impl Top {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            found: Vec::with_capacity(limit.min(1024)),
        }
    }

    /// A text must score more than this to count.
    fn threshold(&self) -> Score {
        match self.found.last() {
            Some(least) if self.found.len() == self.limit => least.0,
            _ => Score::MIN,
        }
    }

    fn offer(&mut self, score: Score, text: DocId) {
        if self.found.len() == self.limit && score <= self.threshold() {
            return;
        }
        let at = self.found.partition_point(|(known, _)| *known >= score);
        self.found.insert(at, (score, text));
        self.found.truncate(self.limit);
    }
}

impl KnownTexts {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.texts
    }

    /// How many of them hold a term.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn holding(&self, searcher: &Searcher, term: &Term) -> tantivy::Result<u64> {
        let frequencies = || {
            self.frequencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = frequencies().get(term) {
            return Ok(*known);
        }
        let mut holding = 0;
        for (reader, known) in searcher.segment_readers().iter().zip(&self.segments) {
            let index = reader.inverted_index(term.field())?;
            let Some(mut texts) = index.read_postings(term, IndexRecordOption::Basic)? else {
                continue;
            };
            while texts.doc() != TERMINATED {
                holding += u64::from(known.contains(texts.doc()));
                texts.advance();
            }
        }
        let mut frequencies = frequencies();
        if frequencies.len() >= MAX_FREQUENCIES {
            frequencies.clear();
        }
        frequencies.insert(term.clone(), holding);
        Ok(holding)
    }
}

/// The statistics of the texts that a caller may know of.
struct Statistics<'a> {
    known: &'a KnownTexts,
    searcher: &'a Searcher,
    fields: Fields,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(if field == self.fields.bigrams {
            self.known.bigrams
        } else {
            self.known.words
        })
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.known.texts)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.known.holding(self.searcher, term)
    }
}

#[cfg(test)]
mod tests;
