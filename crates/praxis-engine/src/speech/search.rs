//! The search for the text of a window: by beams, which follow the likeliest beginnings at once, or by chance. Both
//! are as CTranslate2 has them (`src/decoding.cc`), whose scores and ends faster-whisper's users know: a text is done
//! when its end is among the beams' best, and as many as there are beams are weighed by the mean of ln p.

use rand::Rng;
use rand::rngs::StdRng;

use super::decoder::{Decoder, Memory, Row, Store};
use super::rules::{Rules, largest, log_sum};
use super::sound::Heard;
use super::tokens::Tokens;

/// A text that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Its tokens, times among them, without the end.
    pub(super) tokens: Vec<u32>,
    /// The sum of ln p of all of them and the end.
    pub(super) logprob: f64,
}

impl Found {
    /// What texts are weighed by.
    fn score(&self) -> f64 {
        match self.tokens.len() {
            0 => f64::NEG_INFINITY,
            count => self.logprob / count as f64,
        }
    }

    /// The mean of ln p with the end.
    pub(super) fn mean(&self) -> f64 {
        self.logprob / (self.tokens.len() + 1) as f64
    }
}

/// What a search is for.
pub(super) struct Search<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) tokens: &'a Tokens,
    pub(super) heard: &'a [Heard],
    pub(super) rules: Rules,
    /// The most tokens of a text.
    pub(super) most: usize,
    /// Whether nobody waits any more; asked for each token.
    pub(super) stopped: &'a dyn Fn() -> bool,
}

/// What stands before a text, read.
pub(super) struct Prompt {
    store: Store,
    /// Logits of what comes first.
    logits: Vec<f32>,
    len: usize,
    /// How likely nothing is said.
    pub(super) no_speech: f32,
}

/// A text that is followed.
#[derive(Debug, Clone)]
struct Beam {
    tokens: Vec<u32>,
    /// Where its tokens and those before lie in the store.
    reads: Vec<u32>,
    logprob: f64,
}

impl Search<'_> {
    /// Reads what stands before a text; the mark of the start is in it.
    pub(super) fn prompt(&self, prompt: &[u32], memory: &mut Memory) -> Prompt {
        let mut store = self.decoder.store();
        let reads: Vec<u32> = (0u32..).take(prompt.len()).collect();
        let rows: Vec<Row<'_>> = prompt
            .iter()
            .enumerate()
            .map(|(position, token)| Row {
                token: *token,
                position,
                reads: &reads[..=position],
            })
            .collect();
        let x = self
            .decoder
            .read(&rows, self.heard, &mut store, memory, None);
        let width = self.decoder.width();
        let row = |i: usize| x.get(i * width..(i + 1) * width).unwrap_or_default();
        let start = prompt.iter().position(|id| *id == self.tokens.start);
        let mut logits = Vec::new();
        self.decoder
            .logits(row(start.unwrap_or_default()), memory, &mut logits);
        let no_speech = probability(&logits, self.tokens.no_speech);
        self.decoder
            .logits(row(prompt.len().saturating_sub(1)), memory, &mut logits);
        Prompt {
            store,
            logits,
            len: prompt.len(),
            no_speech,
        }
    }

    /// The likeliest text, of `width` that are followed at once.
    pub(super) fn beams(&self, prompt: Prompt, width: usize, memory: &mut Memory) -> Found {
        let Prompt {
            mut store,
            mut logits,
            len,
            ..
        } = prompt;
        let mut beams = vec![Beam {
            tokens: Vec::new(),
            reads: (0u32..).take(len).collect(),
            logprob: 0.0,
        }];
        let mut found: Vec<Found> = Vec::new();
        for step in 0..self.most {
            let candidates = self.candidates(&beams, &mut logits, 2 * width);
            let last = step + 1 == self.most;
            let mut next: Vec<Beam> = Vec::with_capacity(width);
            // Where a text ends, one of the second half takes its place.
            let (first, second) = candidates.split_at(width.min(candidates.len()));
            let mut others = second.iter().filter(|c| c.token != self.tokens.end);
            for candidate in first {
                let Some(beam) = beams.get(candidate.beam) else {
                    continue;
                };
                let ends = candidate.token == self.tokens.end;
                if ends || last {
                    let mut tokens = beam.tokens.clone();
                    if !ends {
                        tokens.push(candidate.token);
                    }
                    found.push(Found {
                        tokens,
                        logprob: candidate.logprob,
                    });
                }
                let follow = if ends { others.next() } else { Some(candidate) };
                next.extend(follow.and_then(|c| Some(beams.get(c.beam)?.with(c))));
            }
            if last || next.is_empty() || found.len() >= width || (self.stopped)() {
                break;
            }
            self.step(&mut next, len, &mut store, memory, &mut logits);
            beams = next;
        }
        best(found)
    }

    /// The best of some texts by chance: the likelier, the oftener.
    pub(super) fn samples(
        &self,
        prompt: Prompt,
        count: usize,
        temperature: f32,
        random: &mut StdRng,
        memory: &mut Memory,
    ) -> Found {
        let Prompt {
            mut store,
            logits: first,
            len,
            ..
        } = prompt;
        let beam = Beam {
            tokens: Vec::new(),
            reads: (0u32..).take(len).collect(),
            logprob: 0.0,
        };
        let mut beams = vec![beam; count];
        let mut logits = first.repeat(count);
        let mut found: Vec<Found> = Vec::new();
        for step in 0..self.most {
            let mut next = Vec::with_capacity(beams.len());
            let vocabulary = self.decoder.vocabulary();
            for (beam, logits) in beams.iter().zip(logits.chunks_exact_mut(vocabulary)) {
                self.rules.apply(self.tokens, &beam.tokens, logits);
                let all = log_sum(logits);
                let token = draw(logits, temperature, random);
                let logit = logits.get(token).copied().unwrap_or(f32::NEG_INFINITY);
                let candidate = Candidate {
                    beam: 0,
                    token: u32::try_from(token).unwrap_or(self.tokens.end),
                    logprob: beam.logprob + f64::from(logit - all),
                };
                let ends = candidate.token == self.tokens.end;
                if ends || step + 1 == self.most {
                    let mut tokens = beam.tokens.clone();
                    if !ends {
                        tokens.push(candidate.token);
                    }
                    found.push(Found {
                        tokens,
                        logprob: candidate.logprob,
                    });
                } else {
                    next.push(beam.with(&candidate));
                }
            }
            if next.is_empty() || (self.stopped)() {
                break;
            }
            self.step(&mut next, len, &mut store, memory, &mut logits);
            beams = next;
        }
        best(found)
    }

    /// The likeliest ways in which beams may go on, the likeliest first.
    fn candidates(&self, beams: &[Beam], logits: &mut [f32], count: usize) -> Vec<Candidate> {
        let mut all = Vec::with_capacity(beams.len() * count);
        let vocabulary = self.decoder.vocabulary();
        for (i, (beam, logits)) in beams
            .iter()
            .zip(logits.chunks_exact_mut(vocabulary))
            .enumerate()
        {
            self.rules.apply(self.tokens, &beam.tokens, logits);
            let sum = log_sum(logits);
            all.extend(
                largest(logits, count)
                    .into_iter()
                    .map(|(token, logit)| Candidate {
                        beam: i,
                        token: u32::try_from(token).unwrap_or(self.tokens.end),
                        logprob: beam.logprob + f64::from(logit - sum),
                    }),
            );
        }
        all.sort_by(|a, b| b.logprob.total_cmp(&a.logprob));
        all.truncate(count);
        all
    }

    /// Reads the last token of each beam, and puts the logits of what may follow in their place.
    fn step(
        &self,
        beams: &mut [Beam],
        before: usize,
        store: &mut Store,
        memory: &mut Memory,
        logits: &mut Vec<f32>,
    ) {
        for (place, beam) in (store.len()..).zip(beams.iter_mut()) {
            beam.reads.push(place);
        }
        let rows: Vec<Row<'_>> = beams
            .iter()
            .map(|beam| Row {
                token: beam.tokens.last().copied().unwrap_or(self.tokens.end),
                position: before + beam.tokens.len() - 1,
                reads: &beam.reads,
            })
            .collect();
        let x = self.decoder.read(&rows, self.heard, store, memory, None);
        self.decoder.logits(&x, memory, logits);
    }
}

impl Beam {
    /// The beam and a token more.
    fn with(&self, candidate: &Candidate) -> Self {
        let mut beam = self.clone();
        beam.tokens.push(candidate.token);
        beam.logprob = candidate.logprob;
        beam
    }
}

/// A way in which a text may go on.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    beam: usize,
    token: u32,
    logprob: f64,
}

/// The text of the best score; one without tokens where none was found.
fn best(found: Vec<Found>) -> Found {
    let best = found.into_iter().reduce(|best, other| {
        if other.score() > best.score() {
            other
        } else {
            best
        }
    });
    best.unwrap_or(Found {
        tokens: Vec::new(),
        logprob: f64::NEG_INFINITY,
    })
}

/// How likely a token is.
pub(super) fn probability(logits: &[f32], token: u32) -> f32 {
    let logit = usize::try_from(token).ok().and_then(|i| logits.get(i));
    logit.map_or(0.0, |logit| (logit - log_sum(logits)).exp())
}

/// A token by chance, at a temperature.
fn draw(logits: &[f32], temperature: f32, random: &mut StdRng) -> usize {
    let most = logits.iter().fold(f32::NEG_INFINITY, |max, x| max.max(*x));
    let weight = |x: f32| f64::from((x - most) / temperature).exp();
    let total: f64 = logits.iter().map(|x| weight(*x)).sum();
    let mut left = random.random::<f64>() * total;
    let mut last = 0;
    for (i, x) in logits.iter().enumerate() {
        if *x == f32::NEG_INFINITY {
            continue;
        }
        last = i;
        left -= weight(*x);
        if left < 0.0 {
            break;
        }
    }
    last
}
