//! The thread that computes: async callers hand it texts over a bounded queue and await vectors.

use std::sync::Arc;

use praxis_core::ModelError;
use rayon::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::forward::Encoder;
use super::text::TextTokenizer;

/// Jobs that may wait; more make their callers wait.
const QUEUE: usize = 16;

/// Texts computed in one go: a job that comes while these are computed waits for no more.
pub(crate) const TEXTS_AT_ONCE: usize = 64;

type Vectors = Result<Vec<Vec<f32>>, ModelError>;

/// Texts to embed, prefixes written, and where the vectors go.
pub(crate) struct Job {
    /// The texts.
    pub(crate) texts: Vec<String>,
    /// Closed where the caller has gone away: the job is then skipped.
    pub(crate) reply: oneshot::Sender<Vectors>,
}

/// What the thread computes with.
pub(crate) struct Model {
    /// The weights.
    pub(crate) encoder: Encoder,
    /// The tokenizer.
    pub(crate) tokenizer: Arc<TextTokenizer>,
    /// Most tokens of one text.
    pub(crate) max_tokens: usize,
}

impl Model {
    fn embed(&self, texts: &[String]) -> Vectors {
        let ids = texts
            .par_iter()
            .map(|text| self.tokenizer.encode(text, self.max_tokens))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ModelError::Internal(format!("the tokenizer failed: {error}")))?;
        Ok(self.encoder.encode(&ids))
    }
}

/// Starts the thread; it ends when the last sender is dropped.
pub(crate) fn start(model: Model) -> std::io::Result<mpsc::Sender<Job>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    std::thread::Builder::new()
        .name("praxis-embed".to_owned())
        .spawn(move || run(&model, receiver))?;
    Ok(sender)
}

fn run(model: &Model, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        // Jobs that wait already are computed together: single queries fill a pack.
        let mut batch = vec![first];
        let mut count = batch[0].texts.len();
        while count < TEXTS_AT_ONCE {
            let Ok(job) = jobs.try_recv() else { break };
            count += job.texts.len();
            batch.push(job);
        }
        batch.retain(|job| !job.reply.is_closed());
        let texts = batch.iter_mut().flat_map(|job| {
            // The reply needs only the number of texts.
            job.texts.iter_mut().map(std::mem::take)
        });
        let texts = texts.collect::<Vec<_>>();
        let mut vectors = match model.embed(&texts) {
            Ok(vectors) => vectors.into_iter(),
            Err(error) => {
                let problem = error.to_string();
                for job in batch {
                    // A caller that has gone away needs no answer.
                    let _ = job.reply.send(Err(ModelError::Internal(problem.clone())));
                }
                continue;
            }
        };
        for job in batch {
            let own = vectors.by_ref().take(job.texts.len()).collect();
            let _ = job.reply.send(Ok(own));
        }
    }
}
