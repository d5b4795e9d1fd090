//! From a query to what is searched for: the question, rewritten where it leans on a conversation, and the other
//! ways of asking it. Without models, that is the question itself. Left out: what the models are asked
//! (`search::question`).

use praxis_core::embed::EmbedKind;
use praxis_core::{CallContext, CallError, ChunkId, Clearance, Query};

use super::{Asked, Opened};
use crate::config::SearchConfig;
use crate::ingest::indexed_chunk;
use crate::keyword::KeywordQuery;
use crate::knowledge::{Knowledge, internal};
use crate::scope::Scope;
use crate::search::question::{self, Probe};

/// A query, understood.
#[derive(Default)]
pub(super) struct Understood<'a> {
    /// The question as it was rewritten, where it was.
    pub question: Option<String>,
    /// The question that relevance is estimated by; `None` where there is nothing to ask, or nobody.
    pub asked: Option<Asked<'a>>,
    /// The ways of asking it.
    pub probes: Vec<Probe>,
}

impl Knowledge {
    /// What a query asks for.
    ///
    /// # Errors
    /// An embedder or a store that fails, and those of [`question::rewritten`].
    pub(super) async fn understood<'a>(
        &self,
        opened: &'a Opened,
        query: &Query,
        settings: &SearchConfig,
        scope: &Scope,
        cx: &CallContext,
    ) -> Result<Understood<'a>, CallError> {
        let assistant = self.assistant();
        let search = opened.search(self, settings, query.limit, scope);
        let settings = &settings.question;
        if opened.snapshot.indexes.vectors.len() == 0 {
            return Ok(Understood::default());
        }
        let rewritten = question::rewritten(assistant, query, settings, cx).await?;
        let text = rewritten.as_deref().unwrap_or(&query.text);
        let Some(asked) = opened.ask(text).await? else {
            return Ok(Understood {
                question: rewritten,
                ..Understood::default()
            });
        };
        // A model that has never seen a name finds no other word for it, and imagines something else.
        let (others, imagined) = if search.is_name(&KeywordQuery::of(&asked.terms))? {
            (Vec::new(), None)
        } else {
            futures::try_join!(
                question::wordings(assistant, text, settings, cx),
                question::imagined(assistant, text, settings, cx),
            )?
        };
        let vectors = match others.as_slice() {
            [] => Vec::new(),
            others => opened.embed(others.to_vec()).await?,
        };
        let imagined = match imagined {
            None => None,
            Some(passage) => {
                let vectors = opened.embedder.embed(EmbedKind::Passage, vec![passage]);
                vectors.await?.pop()
            }
        };
        let own = (asked.terms.clone(), asked.vector.clone());
        let others = others.into_iter().zip(vectors).collect();
        let probes = question::probes(own, imagined, others);
        Ok(Understood {
            question: rewritten,
            asked: Some(asked),
            probes,
        })
    }

    /// Chunks as a reranker reads them: title, headings and text. One that went away since the snapshot has
    /// none.
    pub(super) async fn texts(
        &self,
        chunks: Vec<Option<ChunkId>>,
        clearance: &Clearance,
    ) -> Result<Vec<String>, CallError> {
        let mut texts = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let found = match chunk {
                Some(chunk) => self
                    .store()
                    .chunk(&chunk, clearance)
                    .await
                    .map_err(internal)?,
                None => None,
            };
            texts.push(found.map_or_else(String::new, |found| {
                let chunk = &found.chunk;
                indexed_chunk(&found.title, &chunk.headings, &chunk.context, &chunk.text)
            }));
        }
        Ok(texts)
    }
}
