//! One window of a transcript: its text is searched for by beams, and by chance at rising temperatures as long as what
//! comes out repeats itself or is unlikely (Radford et al. 2022, section 4.5), and is cut into segments at its times.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::decoder::Memory;
use super::model::Model;
use super::rules::Rules;
use super::search::{Found, Search};
use super::sound::Heard;
use super::tokens::{TIME_STEP, Tokens};

/// Steps of time of an encoder's row to frames of a spectrum.
const FRAMES: usize = 2;

/// How texts are searched for and judged. The defaults are those of OpenAI's and of faster-whisper's programs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Texts that are followed at once.
    pub(super) beams: usize,
    /// Texts by chance of which the best counts.
    pub(super) best_of: usize,
    /// Temperatures, one after the other.
    pub(super) temperatures: Vec<f32>,
    /// A text that can be compressed more repeats itself.
    pub(super) ratio: f32,
    /// A text whose mean of ln p is lower is unlikely.
    pub(super) logprob: f64,
    /// Where nothing is said more likely than this, an unlikely text is left out.
    pub(super) no_speech: f32,
    /// The latest that the first text of a window may begin, in steps of 20 ms.
    pub(super) latest: usize,
    /// Above this temperature a text does not steer the next.
    pub(super) reset: f32,
    /// Whether nothing steers the next.
    pub(super) alone: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            beams: 5,
            best_of: 5,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            ratio: 2.4,
            logprob: -1.0,
            no_speech: 0.6,
            latest: 50,
            reset: 0.5,
            alone: false,
        }
    }
}

/// The text of a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// Its tokens, times among them.
    pub(super) tokens: Vec<u32>,
    /// The mean of ln p.
    pub(super) logprob: f64,
    pub(super) temperature: f32,
    pub(super) ratio: f32,
    pub(super) no_speech: f32,
}

impl Written {
    /// Whether it is to be left out: nothing is said.
    pub(super) fn is_silence(&self, settings: &Settings) -> bool {
        self.no_speech > settings.no_speech && self.logprob <= settings.logprob
    }
}

/// What a window is written with.
pub(super) struct Writer<'a> {
    pub(super) model: &'a Model,
    pub(super) heard: &'a [Heard],
    /// What stands before the text.
    pub(super) prompt: &'a [u32],
    pub(super) settings: &'a Settings,
    pub(super) stopped: &'a dyn Fn() -> bool,
    /// What chance begins with: with the same, the same comes out.
    pub(super) seed: u64,
}

impl Writer<'_> {
    /// Writes the window's text.
    pub(super) fn write(&self, memory: &mut Memory) -> Written {
        let Self {
            model, settings, ..
        } = self;
        let shape = &model.shape;
        let room = (shape.positions + 1).saturating_sub(self.prompt.len());
        let search = Search {
            decoder: &model.decoder,
            tokens: &model.tokens,
            heard: self.heard,
            rules: Rules {
                times: true,
                latest: settings.latest,
            },
            most: room.min(shape.positions / 2),
            stopped: self.stopped,
        };
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut tried: Vec<Written> = Vec::new();
        for temperature in &settings.temperatures {
            let prompt = search.prompt(self.prompt, memory);
            let no_speech = prompt.no_speech;
            let found = if *temperature > 0.0 {
                let count = settings.best_of.max(1);
                search.samples(prompt, count, *temperature, &mut random, memory)
            } else {
                search.beams(prompt, settings.beams.max(1), memory)
            };
            let written = self.judged(&found, *temperature, no_speech);
            let unlikely = written.logprob < settings.logprob;
            let silence = unlikely && written.no_speech > settings.no_speech;
            let good = written.ratio <= settings.ratio && !unlikely;
            if good || silence || (self.stopped)() {
                return written;
            }
            tried.push(written);
        }
        let last = settings.temperatures.last().copied().unwrap_or_default();
        least_bad(tried, settings.ratio, last)
    }

    fn judged(&self, found: &Found, temperature: f32, no_speech: f32) -> Written {
        let text = self.model.tokens.decode(&found.tokens);
        Written {
            logprob: found.mean(),
            tokens: found.tokens.clone(),
            temperature,
            ratio: compression(text.trim()),
            no_speech,
        }
    }
}

/// Of texts that all failed the likeliest, of those that do not repeat themselves where there are any. It counts as
/// one of the last temperature.
fn least_bad(tried: Vec<Written>, ratio: f32, temperature: f32) -> Written {
    let any = tried.iter().any(|one| one.ratio <= ratio);
    let fitting = tried.into_iter().filter(|one| !any || one.ratio <= ratio);
    let best = fitting.reduce(|best, other| {
        if other.logprob > best.logprob {
            other
        } else {
            best
        }
    });
    let none = Written {
        tokens: Vec::new(),
        logprob: f64::NEG_INFINITY,
        temperature,
        ratio: 0.0,
        no_speech: 1.0,
    };
    Written {
        temperature,
        ..best.unwrap_or(none)
    }
}

/// How many times smaller zlib makes a text.
fn compression(text: &str) -> f32 {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let written = encoder.write_all(text.as_bytes());
    match written.and_then(|()| encoder.finish()) {
        Ok(small) if !small.is_empty() => text.len() as f32 / small.len() as f32,
        _ => 1.0,
    }
}

/// A piece of a window's text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) tokens: Vec<u32>,
    /// Seconds from the window's beginning.
    pub(super) start: f64,
    pub(super) end: f64,
}

/// A window's text in pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    pub(super) pieces: Vec<Piece>,
    /// Frames after which the next window begins.
    pub(super) frames: usize,
    /// Whether all of the window was heard: behind the last time nothing is said.
    pub(super) whole: bool,
}

/// Cuts the text of a window of so many frames at its pairs of times. What follows the last pair is not finished: the
/// next window begins there and says it again.
pub(super) fn cut(tokens: &Tokens, text: &[u32], frames: usize) -> Cut {
    let time = |at: Option<&u32>| at.and_then(|id| tokens.time(*id));
    let seconds = |steps: Option<usize>| steps.unwrap_or_default() as f64 * TIME_STEP;
    let is_time = |at: usize| text.get(at).is_some_and(|id| tokens.is_time(*id));
    let whole = text.len() >= 2 && is_time(text.len() - 1) && !is_time(text.len() - 2);
    let mut ends: Vec<usize> = (1..text.len())
        .filter(|i| is_time(*i) && is_time(i - 1))
        .collect();
    if ends.is_empty() {
        let last = text.iter().rev().find_map(|id| tokens.time(*id));
        let end = match last {
            Some(last) if last > 0 => seconds(Some(last)),
            _ => frames as f64 / super::spectrogram::PER_SECOND as f64,
        };
        let piece = Piece {
            tokens: text.to_vec(),
            start: 0.0,
            end,
        };
        return Cut {
            pieces: vec![piece],
            frames,
            whole,
        };
    }
    if whole {
        ends.push(text.len());
    }
    let (mut pieces, mut from) = (Vec::new(), 0);
    for end in ends {
        let part = text.get(from..end).unwrap_or_default();
        pieces.push(Piece {
            tokens: part.to_vec(),
            start: seconds(time(part.first())),
            end: seconds(time(part.last())),
        });
        from = end;
    }
    let last = from.checked_sub(1).and_then(|at| time(text.get(at)));
    Cut {
        pieces,
        frames: if whole {
            frames
        } else {
            last.unwrap_or_default() * FRAMES
        },
        whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(logprob: f64, ratio: f32) -> Written {
        Written {
            tokens: vec![1],
            logprob,
            temperature: 0.0,
            ratio,
            no_speech: 0.1,
        }
    }

    #[test]
    fn repetition_is_told_by_compression() {
        // Python's zlib makes 0.86 and 17.4 of them.
        let (plain, repeated) = (
            compression("The quick brown fox jumps over the lazy dog."),
            compression(&"and so on ".repeat(40)),
        );
        assert!(plain < 1.0 && repeated > 10.0, "{plain} {repeated}");
        assert_eq!(compression(""), 0.0);
    }

    #[test]
    fn of_failed_texts_the_likeliest_that_does_not_repeat_itself_counts() {
        let all = vec![written(-0.2, 9.0), written(-2.0, 1.5), written(-1.5, 1.2)];
        let best = least_bad(all, 2.4, 1.0);
        assert_eq!((best.logprob, best.temperature), (-1.5, 1.0));
        let best = least_bad(vec![written(-3.0, 9.0), written(-2.0, 8.0)], 2.4, 1.0);
        assert_eq!(best.logprob, -2.0);
        assert!(least_bad(Vec::new(), 2.4, 1.0).tokens.is_empty());
    }

    #[test]
    fn silence_is_an_unlikely_text_where_nothing_is_said() {
        let settings = Settings::default();
        for (no_speech, logprob, silent) in
            [(0.9, -1.5, true), (0.9, -0.5, false), (0.3, -1.5, false)]
        {
            let text = Written {
                no_speech,
                ..written(logprob, 1.0)
            };
            assert_eq!(text.is_silence(&settings), silent, "{no_speech} {logprob}");
        }
    }
}
