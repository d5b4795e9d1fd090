//! BM25 (Robertson and Zaragoza 2009) by tantivy over words and Chinese bigrams: of chunks in one index,
//! of whole documents in another. Left out: what the scores are used for (`search`).
//!
//! The index carries, in the payload of each commit, up to which generation of which store it holds all, and with each
//! text the generation that wrote its document. Commit and payload are one atomic step, so after a crash the index says
//! itself what it misses, and a commit costs what changed and not what is there.

mod damage;
mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tantivy::collector::TopDocs;
use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::query::{BooleanQuery, BoostQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing,
    TextOptions, Value,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

use crate::analyze::{Phrase, Terms, analyze, is_stopword};
pub(crate) use damage::is_damage;
use damage::{all_there, guarded};
pub(crate) use scope::{KeywordScope, KnownTexts};

/// The generation that wrote a text's document, by which scopes and whoever removes it know it.
const GENERATION: &str = "generation";

/// Words and bigrams of a text.
const WORD_COUNT: &str = "word_count";
const BIGRAM_COUNT: &str = "bigram_count";

/// How far an index is: it holds all documents that a store had at a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The store's id; empty before the first commit.
    pub store: String,
    /// The base's generation.
    pub generation: i64,
}

/// Memory of the writer before it spills to disk.
const WRITER_BYTES: usize = 64 << 20;

/// What bigrams weigh beside words.
const BIGRAM_BOOST: f32 = 0.6;

/// What a phrase weighs beside its words: a text that has them in another order cannot make up for it, as BM25
/// counts no word more than 2.2 times.
const PHRASE_BOOST: f32 = 3.0;

/// A text to index.
pub(crate) struct KeywordEntry<'a> {
    /// Id of the chunk; of the document in the index of documents.
    pub id: &'a str,
    /// The generation that wrote the document.
    pub generation: i64,
    /// Title, headings and text together.
    pub text: &'a str,
}

/// What an index is asked: terms with their weights.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct KeywordQuery {
    words: BTreeMap<String, f32>,
    bigrams: BTreeMap<String, f32>,
    phrases: Vec<Phrase>,
}

impl KeywordQuery {
    /// A question's terms by how often it names them, without words that every question has.
    pub fn of(terms: &Terms) -> Self {
        let mut query = Self {
            phrases: terms.phrases.clone(),
            ..Self::default()
        };
        for word in terms.words.iter().filter(|w| !is_stopword(w)) {
            query.add(word, 1.0);
        }
        if query.words.is_empty() {
            for word in &terms.words {
                query.add(word, 1.0);
            }
        }
        for pair in &terms.bigrams {
            *query.bigrams.entry(pair.clone()).or_default() += BIGRAM_BOOST;
        }
        query
    }

    /// Adds to the weight of a word.
    pub fn add(&mut self, word: &str, weight: f32) {
        *self.words.entry(word.to_owned()).or_default() += weight;
    }

    /// Its words.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &str> {
        self.words.keys().map(String::as_str)
    }

    /// Sum of the weights of its words.
    pub fn weight(&self) -> f32 {
        self.words.values().sum()
    }
}

/// A base's keyword index.
pub(crate) struct KeywordIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    /// Whether something looked like damage while it was searched.
    suspect: AtomicBool,
}

#[derive(Clone, Copy)]
struct Fields {
    chunk: Field,
    words: Field,
    bigrams: Field,
    generation: Field,
    word_count: Field,
    bigram_count: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let text = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::WithFreqsAndPositions),
    );
    let fields = Fields {
        chunk: schema.add_text_field("chunk", STRING | STORED),
        words: schema.add_text_field("words", text.clone()),
        bigrams: schema.add_text_field("bigrams", text),
        generation: schema.add_u64_field(GENERATION, FAST | INDEXED),
        word_count: schema.add_u64_field(WORD_COUNT, FAST),
        bigram_count: schema.add_u64_field(BIGRAM_COUNT, FAST),
    };
    (schema.build(), fields)
}

impl KeywordIndex {
    /// Opens the index in `dir`; one that is absent, or of another schema, is made anew, empty.
    ///
    /// # Errors
    /// One that is damaged ([`is_damage`]), or a disk that fails; then nothing is changed.
    pub fn open(dir: &Path) -> tantivy::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (schema, fields) = schema();
        let index = match existing(dir, &schema)? {
            Some(index) => index,
            None => {
                std::fs::remove_dir_all(dir)?;
                std::fs::create_dir_all(dir)?;
                Index::create_in_dir(dir, schema)?
            }
        };
        all_there(&index, dir)?;
        Self::over(index, fields)
    }

    /// The index in `dir` as last committed, for reading beside a process that writes it; empty where
    /// there is none yet, and where it is damaged, which that process sees to.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn open_beside(dir: &Path) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let opened = existing(dir, &schema);
        let opened = opened.and_then(|index| index.map(|i| Self::over(i, fields)).transpose());
        match opened {
            Ok(Some(index)) => Ok(index),
            Ok(None) => Self::over(Index::create_in_ram(schema), fields),
            Err(error) if is_damage(&error) => {
                tracing::warn!(dir = %dir.display(), %error, "no keywords are found meanwhile");
                Self::over(Index::create_in_ram(schema), fields)
            }
            Err(error) => Err(error),
        }
    }

    fn over(index: Index, fields: Fields) -> tantivy::Result<Self> {
        let reader = guarded(|| {
            let builder = index.reader_builder();
            builder.reload_policy(ReloadPolicy::Manual).try_into()
        })?;
        Ok(Self {
            index,
            reader,
            fields,
            suspect: AtomicBool::new(false),
        })
    }

    /// How far the last commit is.
    pub fn mark(&self) -> tantivy::Result<Mark> {
        mark_of(&self.index)
    }

    /// How far the last commit of the index in `dir` is; nowhere, where there is none that can be read.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn mark_in(dir: &Path) -> tantivy::Result<Mark> {
        let existing = existing(dir, &schema().0);
        match existing.and_then(|index| index.as_ref().map(mark_of).transpose()) {
            Ok(mark) => Ok(mark.unwrap_or_default()),
            Err(error) if is_damage(&error) => Ok(Mark::default()),
            Err(error) => Err(error),
        }
    }

    /// The documents that it has texts of, by the generations that wrote them: in order, each once.
    ///
    /// # Errors
    /// An index that cannot be read.
    pub fn documents(&self) -> tantivy::Result<Vec<u64>> {
        let searcher = self.reader.searcher();
        let mut documents: Vec<u64> = Vec::new();
        guarded(|| {
            for reader in searcher.segment_readers() {
                let generations = reader.fast_fields().u64(GENERATION)?;
                for text in reader.doc_ids_alive() {
                    let generation = generations.first(text).unwrap_or_default();
                    // The texts of a document lie side by side.
                    if documents.last() != Some(&generation) {
                        documents.push(generation);
                    }
                }
            }
            Ok(())
        })?;
        documents.sort_unstable();
        documents.dedup();
        Ok(documents)
    }

    /// Whether something looked like damage while it was searched.
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Has it looked at as if a search had met damage.
    #[cfg(test)]
    pub fn doubt(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Searches, and notes what looks like damage.
    fn noted<T>(&self, search: impl FnOnce() -> tantivy::Result<T>) -> tantivy::Result<T> {
        let found = guarded(search);
        if found.as_ref().is_err_and(is_damage) {
            self.suspect.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Makes the last commit visible to searches.
    pub fn reload(&self) -> tantivy::Result<()> {
        guarded(|| self.reader.reload())
    }

    /// Begins a change.
    pub fn writer(&self) -> tantivy::Result<KeywordWriter> {
        let writer = self.index.writer_with_num_threads(1, WRITER_BYTES)?;
        // A commit that was killed leaves files, and the next one would write some of the same names.
        writer.garbage_collect_files().wait()?;
        Ok(KeywordWriter {
            writer,
            fields: self.fields,
        })
    }

    /// Ids of the `limit` best texts for `query` by BM25, best first; within a scope, the best of its texts,
    /// and with the statistics of the texts that are known.
    pub fn search(
        &self,
        query: &KeywordQuery,
        limit: usize,
        scope: Option<&KeywordScope>,
        known: Option<&KnownTexts>,
    ) -> tantivy::Result<Vec<(String, f32)>> {
        self.noted(|| self.best(query, limit, scope, known))
    }

    fn best(
        &self,
        query: &KeywordQuery,
        limit: usize,
        scope: Option<&KeywordScope>,
        known: Option<&KnownTexts>,
    ) -> tantivy::Result<Vec<(String, f32)>> {
        let searcher = self.reader.searcher();
        let words = query.words.iter().map(|w| (self.fields.words, w));
        let bigrams = query.bigrams.iter().map(|p| (self.fields.bigrams, p));
        let clauses: Vec<(Occur, Box<dyn Query>)> = words
            .chain(bigrams)
            .map(|(field, (text, weight))| self.term(field, text, *weight))
            .chain(query.phrases.iter().map(|phrase| self.phrase(phrase)))
            .map(|clause| (Occur::Should, clause))
            .collect();
        if clauses.is_empty() {
            return Ok(Vec::new());
        }
        let query = BooleanQuery::new(clauses);
        let best = match scope {
            Some(scope) => self.search_within(&query, limit, scope, known)?,
            None => {
                let best = TopDocs::with_limit(limit.max(1)).order_by_score();
                searcher.search(&query, &best)?
            }
        };
        best.into_iter()
            .map(|(score, address)| Ok((self.id(searcher.doc(address)?), score)))
            .collect()
    }

    /// How many texts hold a word, of those that are known.
    pub fn holding(&self, word: &str, known: Option<&KnownTexts>) -> tantivy::Result<u64> {
        let term = Term::from_field_text(self.fields.words, word);
        let searcher = self.reader.searcher();
        self.noted(|| match known {
            Some(known) => known.holding(&searcher, &term),
            None => searcher.doc_freq(&term),
        })
    }

    /// Share of the texts that hold a word, of those that are known.
    pub fn frequency(&self, word: &str, known: Option<&KnownTexts>) -> tantivy::Result<f32> {
        let all = known.map_or_else(|| self.reader.searcher().num_docs(), KnownTexts::len);
        Ok(self.holding(word, known)? as f32 / all.max(1) as f32)
    }

    /// Ids of all texts in the index.
    pub fn ids(&self) -> tantivy::Result<Vec<String>> {
        let searcher = self.reader.searcher();
        let all = TopDocs::with_limit((searcher.num_docs() as usize).max(1)).order_by_score();
        self.noted(|| {
            searcher
                .search(&tantivy::query::AllQuery, &all)?
                .into_iter()
                .map(|(_, address)| Ok(self.id(searcher.doc(address)?)))
                .collect()
        })
    }

    fn id(&self, document: TantivyDocument) -> String {
        let id = document
            .get_first(self.fields.chunk)
            .and_then(|v| v.as_str());
        id.unwrap_or_default().to_owned()
    }

    /// The words of a phrase side by side, and its pairs of characters.
    fn phrase(&self, phrase: &Phrase) -> Box<dyn Query> {
        let parts = [
            (self.fields.words, &phrase.words),
            (self.fields.bigrams, &phrase.bigrams),
        ];
        let part = |(field, terms): (Field, &Vec<(usize, String)>)| -> Option<Box<dyn Query>> {
            let (first, text) = terms.first()?;
            if terms.len() == 1 {
                return Some(self.term(field, text, 1.0));
            }
            let term = |(place, text): &(usize, String)| {
                (place - first, Term::from_field_text(field, text))
            };
            let terms = terms.iter().map(term).collect();
            Some(Box::new(PhraseQuery::new_with_offset(terms)))
        };
        let parts = parts.into_iter().filter_map(part).collect();
        let whole = BooleanQuery::intersection(parts);
        Box::new(BoostQuery::new(Box::new(whole), PHRASE_BOOST))
    }

    fn term(&self, field: Field, text: &str, boost: f32) -> Box<dyn Query> {
        let term = TermQuery::new(
            Term::from_field_text(field, text),
            IndexRecordOption::WithFreqs,
        );
        Box::new(BoostQuery::new(Box::new(term), boost))
    }
}

/// A change of the index; nothing of it is seen before [`KeywordWriter::commit`].
pub(crate) struct KeywordWriter {
    writer: IndexWriter,
    fields: Fields,
}

impl KeywordWriter {
    /// Removes the texts of the document that a generation wrote.
    pub fn remove(&self, generation: u64) {
        self.writer
            .delete_term(Term::from_field_u64(self.fields.generation, generation));
    }

    /// Adds a text.
    pub fn add(&self, entry: &KeywordEntry<'_>) -> tantivy::Result<()> {
        let terms = analyze(entry.text);
        let mut document = TantivyDocument::new();
        document.add_text(self.fields.chunk, entry.id);
        let generation = u64::try_from(entry.generation).unwrap_or_default();
        document.add_u64(self.fields.generation, generation);
        document.add_u64(self.fields.word_count, terms.words.len() as u64);
        document.add_u64(self.fields.bigram_count, terms.bigrams.len() as u64);
        document.add_pre_tokenized_text(self.fields.words, tokens(terms.words, terms.word_places));
        document.add_pre_tokenized_text(
            self.fields.bigrams,
            tokens(terms.bigrams, terms.bigram_places),
        );
        self.writer.add_document(document).map(|_| ())
    }

    /// Why a change failed: the thread that writes knows, and an error only says that it is gone.
    pub fn cause(mut self, error: TantivyError) -> TantivyError {
        self.writer.prepare_commit().err().unwrap_or(error)
    }

    /// Makes the change durable, together with how far the index then is.
    pub fn commit(mut self, mark: &Mark) -> tantivy::Result<()> {
        let payload = serde_json::to_string(mark).map_err(|e| {
            TantivyError::InternalError(format!("the mark does not serialize: {e}"))
        })?;
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&payload);
        commit.commit()?;
        self.writer.wait_merging_threads()
    }
}

/// The index in `dir` where there is one of this schema. What the schema's version before wrote is none.
fn existing(dir: &Path, schema: &Schema) -> tantivy::Result<Option<Index>> {
    match guarded(|| Index::open_in_dir(dir)) {
        Ok(index) => Ok((index.schema() == *schema).then_some(index)),
        Err(
            TantivyError::OpenDirectoryError(OpenDirectoryError::DoesNotExist(_))
            | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

fn mark_of(index: &Index) -> tantivy::Result<Mark> {
    let payload = index.load_metas()?.payload.unwrap_or_default();
    Ok(serde_json::from_str(&payload).unwrap_or_default())
}

fn tokens(words: Vec<String>, places: Vec<usize>) -> PreTokenizedString {
    let tokens = places
        .into_iter()
        .zip(words)
        .map(|(position, text)| Token {
            position,
            text,
            ..Token::default()
        })
        .collect();
    PreTokenizedString {
        text: String::new(),
        tokens,
    }
}

/// Share of a query's distinct content words that a passage holds. Not weighted by rarity: in a base
/// of one document every word is rare.
pub(crate) fn coverage(query: &Terms, passage: &Terms) -> f32 {
    let wanted: BTreeSet<&String> = query.words.iter().filter(|w| !is_stopword(w)).collect();
    let found = wanted
        .iter()
        .filter(|w| passage.words.contains(**w))
        .count();
    if wanted.is_empty() {
        0.0
    } else {
        found as f32 / wanted.len() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::analyze_question;

    fn mark(generation: i64) -> Mark {
        Mark {
            store: "s".to_owned(),
            generation,
        }
    }

    fn added(dir: &Path, texts: &[&str]) -> KeywordIndex {
        let index = KeywordIndex::open(dir).unwrap();
        let writer = index.writer().unwrap();
        for (number, text) in texts.iter().enumerate() {
            let id = number.to_string();
            writer
                .add(&KeywordEntry {
                    id: &id,
                    generation: 1,
                    text,
                })
                .unwrap();
        }
        writer.commit(&mark(1)).unwrap();
        index.reload().unwrap();
        index
    }

    #[test]
    fn what_holds_the_quoted_words_as_they_stand_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let texts = [
            "Operating loss, net: loss of net, operating net loss and net operating; net loss",
            "In such a year the firm carries its net operating losses over to the next one",
            "机器的学习，学习机器，方法和机器，学习的方法，学习机器",
            "这一章讲的是机器学习方法的历史，以及它在工业里的许多用处",
            "net 机器 operating 学习 loss",
        ];
        let index = added(dir.path(), &texts);
        for (question, first) in [
            ("\"net operating loss\"", "1"),
            ("what is the “Net Operating Loss” of a firm", "1"),
            ("“机器学习方法”", "3"),
        ] {
            let query = KeywordQuery::of(&analyze_question(question));
            let found = index.search(&query, 5, None, None).unwrap();
            assert_eq!(found[0].0, first, "{question}: {found:?}");
        }
    }

    #[test]
    fn an_index_without_positions_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (now, _) = schema();
        let mut before = Schema::builder();
        for (_, entry) in now.fields() {
            let text = TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_index_option(IndexRecordOption::WithFreqs);
            match entry.name() {
                name @ ("words" | "bigrams") => {
                    before.add_text_field(name, TextOptions::default().set_indexing_options(text));
                }
                _ => {
                    before.add_field(entry.clone());
                }
            }
        }
        let index = Index::create_in_dir(dir.path(), before.build()).unwrap();
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES).unwrap();
        let mut commit = writer.prepare_commit().unwrap();
        commit.set_payload("{\"d\":1}");
        commit.commit().unwrap();
        drop((writer, index));
        // Empty, it is filled from the store.
        let index = KeywordIndex::open(dir.path()).unwrap();
        assert_eq!(index.mark().unwrap(), Mark::default());
        assert_eq!(index.index.schema(), now);
        let kept = added(dir.path(), &["heron"]);
        assert_eq!(kept.mark().unwrap(), mark(1));
        drop((index, kept));
        let again = KeywordIndex::open(dir.path()).unwrap();
        assert_eq!(again.mark().unwrap(), mark(1));
    }

    #[test]
    fn a_commit_writes_of_what_is_there_no_more_than_how_far_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let list = |documents: std::ops::RangeInclusive<i64>| {
            let index = KeywordIndex::open(dir.path()).unwrap();
            let writer = index.writer().unwrap();
            for generation in documents.clone() {
                let entry = KeywordEntry {
                    id: &format!("chunk-{generation}"),
                    generation,
                    text: "heron",
                };
                writer.add(&entry).unwrap();
            }
            writer.remove(1);
            writer.commit(&mark(*documents.end())).unwrap();
            let listed = std::fs::metadata(dir.path().join("meta.json")).unwrap();
            listed.len()
        };
        let of_few = list(2..=3);
        let of_many = list(4..=2000);
        // Another segment in the list, and no document.
        assert!(of_many < of_few + 2000, "{of_few}, then {of_many} bytes");
        let index = KeywordIndex::open(dir.path()).unwrap();
        assert_eq!(KeywordIndex::mark_in(dir.path()).unwrap(), mark(2000));
        assert_eq!(index.documents().unwrap(), (2..=2000).collect::<Vec<u64>>());
        let writer = index.writer().unwrap();
        writer.remove(7);
        writer.remove(9999);
        writer.commit(&mark(2001)).unwrap();
        index.reload().unwrap();
        let left = index.documents().unwrap();
        assert!(left.len() == 1998 && !left.contains(&7), "{}", left.len());
    }
}
