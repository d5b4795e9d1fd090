//! When words are said (`whisper/timing.py` of <https://github.com/openai/whisper>): some heads of the decoder look where
//! a token is heard. Their weights, without what is common to all tokens and smoothed, make a matrix of tokens and
//! sounds, and the best way through it from the first to the last (dynamic time warping, Sakoe and Chiba 1978) says when
//! each token begins.

use std::ops::Range;

use praxis_core::speech::{TranscriptSegment, TranscriptWord};
use rayon::prelude::*;

use super::decoder::{Memory, Queries, Row};
use super::linear::softmax;
use super::model::Model;
use super::sound::Heard;
use super::tokens::{TIME_STEP, Tokens};

/// Sounds over which weights are smoothed.
const SMOOTH: usize = 7;
/// Rows whose logits are computed at once.
const ROWS: usize = 32;
/// The longest that a word may be, at the middle word's length, in seconds.
const LONGEST: f64 = 0.7;
/// Marks that belong to the word behind them.
const OPENING: &str = "\"'“¿([{-";
/// Marks that belong to the word before them.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、";
/// Marks at the end of sentences.
const SENTENCE_ENDS: &str = ".。!！?？";
/// What stands alone between words.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/// Languages that are written without spaces.
const WITHOUT_SPACES: &[&str] = &["zh", "ja", "th", "lo", "my", "yue"];

/// A word and when it is said, in seconds from the window's beginning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timed {
    word: String,
    /// How many tokens it has.
    tokens: usize,
    start: f64,
    end: f64,
    probability: f32,
}

/// The words of a window's text, whose tokens are given without times, and when they are said. `frames` of the window
/// are of the audio.
pub(super) fn align(
    model: &Model,
    heard: &[Heard],
    beginning: &[u32],
    text: &[u32],
    (language, frames): (&str, usize),
    memory: &mut Memory,
) -> Vec<Timed> {
    let sounds = (frames / 2).min(model.shape.sounds);
    if text.is_empty() || sounds == 0 || model.alignment.is_empty() {
        return Vec::new();
    }
    let mut tokens = beginning.to_vec();
    tokens.push(model.tokens.no_times);
    tokens.extend_from_slice(text);
    tokens.push(model.tokens.end);
    if tokens.len() > model.shape.positions {
        return Vec::new();
    }
    let (rows, queries) = read(model, heard, &tokens, memory);
    let first = beginning.len();
    let probabilities = probabilities(model, &rows, first, text, memory);
    // From the row that tells the first token to the one that tells the end.
    let wanted = first..first + text.len() + 1;
    let matrix = weights(model, heard, &queries, wanted, sounds);
    let begins = path(&matrix, sounds);
    let words = split(&model.tokens, text, WITHOUT_SPACES.contains(&language));
    let time = |token: usize| begins.get(token).copied().unwrap_or(sounds) as f64 * TIME_STEP;
    let mut at = 0;
    let timed = words.into_iter().map(|(word, count)| {
        let range = at..at + count;
        at = range.end;
        let likely = probabilities.get(range.clone()).unwrap_or_default();
        Timed {
            word,
            tokens: count,
            start: time(range.start),
            end: time(range.end),
            probability: likely.iter().sum::<f32>() / count.max(1) as f32,
        }
    });
    let mut timed: Vec<Timed> = timed.collect();
    shorten(&mut timed);
    merge(&mut timed);
    timed
}

/// Reads tokens, one behind the other: the last layer's rows, and what layers asked of the sound.
fn read(
    model: &Model,
    heard: &[Heard],
    tokens: &[u32],
    memory: &mut Memory,
) -> (Vec<f32>, Queries) {
    let reads: Vec<u32> = (0u32..).take(tokens.len()).collect();
    let rows: Vec<Row<'_>> = tokens
        .iter()
        .enumerate()
        .map(|(position, token)| Row {
            token: *token,
            position,
            reads: &reads[..=position],
        })
        .collect();
    let (mut store, mut queries) = (model.decoder.store(), Queries::new());
    let x = model
        .decoder
        .read(&rows, heard, &mut store, memory, Some(&mut queries));
    (x, queries)
}

/// How likely each token of a text was, among tokens of text.
fn probabilities(
    model: &Model,
    rows: &[f32],
    first: usize,
    text: &[u32],
    memory: &mut Memory,
) -> Vec<f32> {
    let width = model.decoder.width();
    let words = usize::try_from(model.tokens.end).unwrap_or_default();
    let rows = rows
        .get(first * width..(first + text.len()) * width)
        .unwrap_or_default();
    let (mut out, mut logits) = (Vec::with_capacity(text.len()), Vec::new());
    for (rows, text) in rows.chunks(ROWS * width).zip(text.chunks(ROWS)) {
        model.decoder.logits(rows, memory, &mut logits);
        let rows = logits.chunks_exact(model.decoder.vocabulary());
        out.extend(rows.zip(text).map(|(logits, token)| {
            let logits = logits.get(..words).unwrap_or(logits);
            super::search::probability(logits, *token)
        }));
    }
    out
}

/// A row of weights for each of the wanted tokens: how much more than other tokens it listens to each sound, smoothed,
/// the mean of all heads that follow the sound.
fn weights(
    model: &Model,
    heard: &[Heard],
    queries: &Queries,
    wanted: Range<usize>,
    sounds: usize,
) -> Vec<f32> {
    let heads = model.alignment.iter().filter_map(|(layer, head)| {
        let (heard, queries) = (heard.get(*layer)?, queries.get(*layer)?);
        let all = heard.scores(*head, queries);
        let width = model.shape.sounds;
        let mut rows: Vec<f32> = Vec::with_capacity(all.len() / width * sounds);
        for scores in all.chunks_exact(width) {
            let from = rows.len();
            rows.extend_from_slice(&scores[..sounds]);
            let row = &mut rows[from..];
            let share = softmax(row);
            row.iter_mut().for_each(|x| *x *= share);
        }
        distinguish(&mut rows, sounds);
        Some(smooth(
            &rows[wanted.start * sounds..wanted.end * sounds],
            sounds,
        ))
    });
    let mut mean = vec![0.0; wanted.len() * sounds];
    for head in heads {
        super::linear::add(&mut mean, &head);
    }
    let share = 1.0 / model.alignment.len().max(1) as f32;
    mean.iter_mut().for_each(|x| *x *= share);
    mean
}

/// Takes from each column its mean, and makes its deviation one.
fn distinguish(rows: &mut [f32], width: usize) {
    let count = (rows.len() / width) as f32;
    let (mut sums, mut squares) = (vec![0.0f32; width], vec![0.0f32; width]);
    for row in rows.chunks_exact(width) {
        super::linear::add(&mut sums, row);
    }
    sums.iter_mut().for_each(|x| *x /= count);
    for row in rows.chunks_exact_mut(width) {
        for ((x, mean), square) in row.iter_mut().zip(&sums).zip(&mut squares) {
            *x -= mean;
            *square += *x * *x;
        }
    }
    for row in rows.chunks_exact_mut(width) {
        for (x, square) in row.iter_mut().zip(&squares) {
            let deviation = (square / count).sqrt();
            *x = if deviation > 0.0 { *x / deviation } else { 0.0 };
        }
    }
}

/// The median of each number and its neighbours in its row, which is mirrored at its ends.
fn smooth(rows: &[f32], width: usize) -> Vec<f32> {
    const HALF: usize = SMOOTH / 2;
    if width <= HALF {
        return rows.to_vec();
    }
    let mut out = vec![0.0; rows.len()];
    let both = rows
        .par_chunks_exact(width)
        .zip(out.par_chunks_exact_mut(width));
    both.for_each(|(row, out)| {
        let at = |i: usize| {
            let place = i.abs_diff(HALF);
            let place = if place >= width {
                2 * (width - 1) - place
            } else {
                place
            };
            row.get(place).copied().unwrap_or_default()
        };
        for (i, out) in out.iter_mut().enumerate() {
            let mut near: [f32; SMOOTH] = std::array::from_fn(|k| at(i + k));
            near.sort_unstable_by(f32::total_cmp);
            *out = near[HALF];
        }
    });
    out
}

/// The column in which each row of a matrix begins, on the way of the largest sum from the first corner to the last.
fn path(matrix: &[f32], width: usize) -> Vec<usize> {
    /// From which neighbour the way comes.
    #[derive(Clone, Copy)]
    enum From {
        Both,
        RowBefore,
        ColumnBefore,
    }
    let height = matrix.len() / width;
    let mut trace = vec![From::ColumnBefore; height * width];
    // Costs of the row before and of this one, with a column before the first.
    let mut above = vec![f32::INFINITY; width + 1];
    above[0] = 0.0;
    for (row, trace) in matrix
        .chunks_exact(width)
        .zip(trace.chunks_exact_mut(width))
    {
        let mut costs = vec![f32::INFINITY; width + 1];
        for (j, (value, trace)) in row.iter().zip(trace).enumerate() {
            let (both, row_before, column_before) = (above[j], above[j + 1], costs[j]);
            let (cost, from) = if both < row_before && both < column_before {
                (both, From::Both)
            } else if row_before < both && row_before < column_before {
                (row_before, From::RowBefore)
            } else {
                (column_before, From::ColumnBefore)
            };
            costs[j + 1] = cost - value;
            *trace = from;
        }
        above = costs;
    }
    let mut begins = vec![0; height];
    let (mut i, mut j) = (height, width);
    while i > 0 && j > 0 {
        begins[i - 1] = j - 1;
        match trace[(i - 1) * width + j - 1] {
            From::Both => (i, j) = (i - 1, j - 1),
            From::RowBefore => i -= 1,
            From::ColumnBefore => j -= 1,
        }
    }
    begins
}

/// The words of a text's tokens, and how many tokens each has.
fn split(tokens: &Tokens, text: &[u32], without_spaces: bool) -> Vec<(String, usize)> {
    let mut words: Vec<(String, usize)> = Vec::new();
    for (part, count) in characters(tokens, text) {
        let punctuation = PUNCTUATION.contains(part.trim());
        let begins = without_spaces || part.starts_with(' ') || punctuation;
        match words.last_mut() {
            Some((word, tokens)) if !begins => {
                word.push_str(&part);
                *tokens += count;
            }
            _ => words.push((part, count)),
        }
    }
    words
}

/// The least groups of tokens that are whole characters.
fn characters(tokens: &Tokens, text: &[u32]) -> Vec<(String, usize)> {
    let all = tokens.decode(text);
    let (mut parts, mut from, mut offset) = (Vec::new(), 0, 0);
    for end in 1..=text.len() {
        let part = tokens.decode(text.get(from..end).unwrap_or_default());
        // A character that is not whole; or the text has that very character.
        let broken = part.find(char::REPLACEMENT_CHARACTER);
        let whole = broken.is_none_or(|at| {
            let rest = all.get(offset + at..).unwrap_or_default();
            rest.starts_with(char::REPLACEMENT_CHARACTER)
        });
        if whole || end == text.len() {
            offset += part.len();
            parts.push((part, end - from));
            from = end;
        }
    }
    parts
}

/// The length of the middle word and the most of any, in seconds.
fn lengths(timed: &[Timed]) -> (f64, f64) {
    let lengths = timed.iter().map(|word| word.end - word.start);
    let mut lengths: Vec<f64> = lengths.filter(|length| *length != 0.0).collect();
    lengths.sort_unstable_by(f64::total_cmp);
    let half = lengths.len() / 2;
    let middle = match lengths.get(half) {
        None => 0.0,
        Some(upper) if lengths.len() % 2 == 1 => *upper,
        Some(upper) => (upper + lengths.get(half.wrapping_sub(1)).unwrap_or(upper)) / 2.0,
    };
    let middle = middle.min(LONGEST);
    (middle, 2.0 * middle)
}

/// Shortens marks at the ends of sentences, and words behind them, that take up a pause.
fn shorten(timed: &mut [Timed]) {
    let (_, most) = lengths(timed);
    let mut before_ends = false;
    for (i, word) in timed.iter_mut().enumerate() {
        let ends = SENTENCE_ENDS.contains(word.word.as_str());
        if i > 0 && word.end - word.start > most {
            if ends {
                word.end = word.start + most;
            } else if before_ends {
                word.start = word.end - most;
            }
        }
        before_ends = ends;
    }
}

/// Puts marks to the words that they belong to. What became part of another has no word and no tokens left.
fn merge(timed: &mut [Timed]) {
    let mut word = timed.len().saturating_sub(1);
    for mark in (0..word).rev() {
        let (head, tail) = timed.split_at_mut(word);
        let (Some(previous), Some(following)) = (head.get_mut(mark), tail.first_mut()) else {
            break;
        };
        if previous.word.starts_with(' ') && OPENING.contains(previous.word.trim()) {
            following
                .word
                .insert_str(0, &std::mem::take(&mut previous.word));
            following.tokens += std::mem::take(&mut previous.tokens);
        } else {
            word = mark;
        }
    }
    let mut word = 0;
    for mark in 1..timed.len() {
        let (head, tail) = timed.split_at_mut(mark);
        let (Some(previous), Some(following)) = (head.get_mut(word), tail.first_mut()) else {
            break;
        };
        if !previous.word.ends_with(' ') && CLOSING.contains(following.word.as_str()) {
            previous.word.push_str(&std::mem::take(&mut following.word));
            previous.tokens += std::mem::take(&mut following.tokens);
        } else {
            word = mark;
        }
    }
}

/// Gives the segments of a window their words, whose times begin at `offset` seconds, and their own ends with them.
/// `spoken` is when the last word before was said, and then when the last of these is.
pub(super) fn place(
    segments: &mut [TranscriptSegment],
    timed: &[Timed],
    tokens: &Tokens,
    offset: f64,
    spoken: &mut f64,
) {
    let (middle, most) = lengths(timed);
    let mut rest = timed.iter();
    for segment in segments {
        let count = segment.tokens.iter().filter(|id| **id < tokens.end).count();
        let mut taken = 0;
        while taken < count
            && let Some(next) = rest.next()
        {
            taken += next.tokens;
            if !next.word.is_empty() {
                segment.words.push(TranscriptWord {
                    word: next.word.clone(),
                    start: hundredths(offset + next.start),
                    end: hundredths(offset + next.end),
                    probability: next.probability,
                });
            }
        }
        bound(segment, (middle, most), *spoken);
        if !segment.words.is_empty() {
            *spoken = segment.end;
        }
    }
}

fn hundredths(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// Shortens words that take up a pause at a segment's ends, and makes its ends those of its words, or the other way
/// round where a word is far too long.
fn bound(segment: &mut TranscriptSegment, (middle, most): (f64, f64), spoken: f64) {
    let second = segment.words.get(1).map(|word| (word.start, word.end));
    let Some(first) = segment.words.first_mut() else {
        return;
    };
    let long = first.end - first.start > most
        || second.is_some_and(|(_, end)| end - first.start > 2.0 * most);
    let mut moved = None;
    if first.end - spoken > 4.0 * middle && long {
        if let Some((start, end)) = second
            && end - start > most
        {
            let border = (end / 2.0).max(end - most);
            first.end = border;
            moved = Some(border);
        }
        first.start = (first.end - most).max(0.0);
    }
    if segment.start < first.end && segment.start - 0.5 > first.start {
        first.start = (first.end - middle).min(segment.start).max(0.0);
    } else {
        segment.start = first.start;
    }
    if let (Some(border), Some(second)) = (moved, segment.words.get_mut(1)) {
        second.start = border;
    }
    let Some(last) = segment.words.last_mut() else {
        return;
    };
    if segment.end > last.start && segment.end + 0.5 < last.end {
        last.end = (last.start + middle).max(segment.end);
    } else {
        segment.end = last.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(words: &[(&str, f64, f64)]) -> Vec<Timed> {
        let one = |(word, start, end): &(&str, f64, f64)| Timed {
            word: (*word).to_owned(),
            tokens: 1,
            start: *start,
            end: *end,
            probability: 0.5,
        };
        words.iter().map(one).collect()
    }

    #[test]
    fn the_way_through_a_matrix_follows_its_ridge() {
        // Rows are told in columns 0 to 1, 2 to 4 and 5.
        let matrix = [
            [9.0, 9.0, -1.0, -1.0, -1.0, -1.0],
            [-1.0, -1.0, 9.0, 9.0, 9.0, -1.0],
            [-1.0, -1.0, -1.0, -1.0, -1.0, 9.0],
        ];
        assert_eq!(path(matrix.as_flattened(), 6), [0, 2, 5]);
        // More rows than columns: several begin in one.
        assert_eq!(path(&[1.0, -1.0, 1.0, -1.0, -1.0, 1.0], 2), [0, 0, 1]);
        assert_eq!(path(&[1.0], 1), [0]);
    }

    #[test]
    fn medians_are_those_of_mirrored_rows() {
        let row = [5.0, 1.0, 4.0, 2.0, 9.0, 3.0, 8.0, 0.0];
        // Of numpy, padded by "reflect": sort windows of 7, take the fourth.
        assert_eq!(smooth(&row, 8), [2.0, 4.0, 3.0, 4.0, 3.0, 4.0, 3.0, 8.0]);
        assert_eq!(smooth(&row[..3], 3), row[..3]);
    }

    #[test]
    fn columns_get_mean_zero_and_deviation_one() {
        let mut rows = [1.0, 7.0, 3.0, 7.0];
        distinguish(&mut rows, 2);
        assert_eq!(rows, [-1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn marks_go_to_their_words() {
        let mut words = timed(&[
            (" He", 0.0, 0.2),
            (" said", 0.2, 0.5),
            (",", 0.5, 0.6),
            (" \"", 0.6, 0.7),
            ("yes", 0.7, 1.0),
            (".", 1.0, 1.1),
            ("\"", 1.1, 1.2),
        ]);
        merge(&mut words);
        let left: Vec<(&str, usize)> = words
            .iter()
            .filter(|word| !word.word.is_empty())
            .map(|word| (word.word.as_str(), word.tokens))
            .collect();
        assert_eq!(left, [(" He", 1), (" said,", 2), (" \"yes.\"", 4)]);
        merge(&mut []);
    }

    #[test]
    fn a_mark_does_not_take_up_a_pause() {
        let mut words = timed(&[
            (" a", 0.0, 0.3),
            (" b", 0.3, 0.6),
            (".", 0.6, 5.0),
            (" c", 5.0, 9.0),
            (" d", 9.0, 9.3),
        ]);
        shorten(&mut words);
        assert!((words[2].end - 1.2).abs() < 1e-9, "{words:?}");
        assert!((words[3].start - 8.4).abs() < 1e-9, "{words:?}");
        assert_eq!((words[0].end, words[4].start), (0.3, 9.0));
    }
}
