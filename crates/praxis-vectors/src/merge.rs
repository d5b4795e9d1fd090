//! How segments come and go: the delta becomes one when there is enough of it, and several become
//! one when they are of a size, or when much of one was deleted. Searches go on meanwhile over what
//! there was, and so do insertions and deletions while segments are merged.

use std::sync::Arc;

use crate::delta::{Delta, Frozen};
use crate::error::Result;
use crate::index::{Index, SEED, State, Writer};
use crate::log::{Log, Record};
use crate::segment::{Segment, Slot, Source, build, paths};

/// Share of deleted vectors, in percent, from which on a segment is written anew.
const DEAD_PERCENT: usize = 30;

/// What a merge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Vectors that went from the delta into a segment.
    pub sealed: usize,
    /// Segments that became one.
    pub segments: usize,
}

impl Index {
    /// Whether there is something to tidy up.
    pub fn is_merge_due(&self) -> bool {
        self.state().delta.len() >= self.options.seal.max(1) || !self.choose().is_empty()
    }

    /// Tidies up, if there is something to tidy: makes a segment of the delta, merges segments.
    /// For a thread in the background; a second call meanwhile returns at once.
    pub fn merge(&self) -> Result<Merged> {
        let Ok(_guard) = self.merging.try_lock() else {
            return Ok(Merged::default());
        };
        let mut merged = Merged::default();
        let (chosen, number) = {
            let mut writer = self.writer();
            if self.state().delta.len() >= self.options.seal.max(1) {
                merged.sealed = self.seal(&mut writer)?;
            }
            let number = writer.next;
            writer.next += 1;
            (self.choose(), number)
        };
        if !chosen.is_empty() {
            self.join(&chosen, number)?;
            merged.segments = chosen.len();
        }
        if merged != Merged::default() {
            let mut writer = self.writer();
            let watermark = writer.watermark;
            self.persist(&mut writer, watermark)?;
        }
        Ok(merged)
    }

    /// Makes a segment of the delta, and begins a log. Returns how many vectors it has.
    pub(crate) fn seal(&self, writer: &mut Writer) -> Result<usize> {
        let state = self.state();
        let frozen = Frozen::new(&state.delta, self.dimension);
        let number = writer.next;
        writer.next += 2;
        let mut segments = state.segments.clone();
        if frozen.len() > 0 {
            segments.push(Arc::new(self.build(number, &frozen)?));
        }
        let mut log = Log::create(&self.folder, number + 1, self.dimension)?;
        for segment in &state.segments {
            let (segment, slots) = (segment.number, &*segment.dead_slots());
            if !slots.is_empty() {
                log.push(&Record::Dead { segment, slots })?;
            }
        }
        log.flush()?;
        writer.turn_to(log, &self.folder);
        self.set_state(State {
            segments,
            delta: Arc::new(Delta::default()),
        });
        Ok(frozen.len())
    }

    fn build(&self, number: u64, source: &dyn Source) -> Result<Segment> {
        build(
            &self.folder,
            number,
            source,
            &self.rotation,
            self.dimension,
            SEED,
        )
    }

    /// Segments to merge.
    fn choose(&self) -> Vec<Arc<Segment>> {
        let state = self.state();
        let sizes: Vec<(usize, usize)> = state
            .segments
            .iter()
            .map(|segment| (segment.len(), segment.dead()))
            .collect();
        choose(&sizes)
            .into_iter()
            .map(|i| state.segments[i].clone())
            .collect()
    }

    /// Makes one segment of several, without a lock but for the end.
    fn join(&self, chosen: &[Arc<Segment>], number: u64) -> Result<()> {
        let joined = Joined::new(chosen);
        let mut segment = None;
        if joined.len() > 0 {
            segment = Some(self.build(number, &joined)?);
        }
        let mut writer = self.writer();
        if let Some(segment) = &segment {
            // What died while the segment was made.
            let died = joined
                .places
                .iter()
                .filter(|(i, slot, _)| !chosen[*i as usize].is_live(*slot));
            let mut slots: Vec<Slot> = Vec::new();
            for (i, _, row) in died {
                let id = chosen[*i as usize].id(*row as usize);
                slots.extend(segment.find(id).filter(|slot| segment.kill(*slot)));
            }
            if !slots.is_empty() {
                let (segment, slots) = (segment.number, &*slots);
                writer.log.push(&Record::Dead { segment, slots })?;
                writer.log.flush()?;
            }
        }
        let state = self.state();
        let mut segments = state.segments.clone();
        segments.retain(|segment| chosen.iter().all(|c| c.number != segment.number));
        segments.extend(segment.map(Arc::new));
        self.set_state(State {
            segments,
            delta: state.delta.clone(),
        });
        let files = chosen
            .iter()
            .flat_map(|segment| paths(&self.folder, segment.number));
        writer.garbage.extend(files);
        Ok(())
    }
}

/// Which segments of these sizes (all, and dead vectors of them) to merge: as many of the small ones
/// as are together at least half as large as the largest of them, and those that are largely dead.
fn choose(sizes: &[(usize, usize)]) -> Vec<usize> {
    let live = |i: usize| sizes[i].0.saturating_sub(sizes[i].1);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|i| live(*i));
    let (mut before, mut count) = (0, 0);
    for (at, &i) in order.iter().enumerate() {
        if at > 0 && live(i) <= 2 * before {
            count = at + 1;
        }
        before += live(i);
    }
    let decayed = |i: usize| sizes[i].1 * 100 > sizes[i].0 * DEAD_PERCENT;
    let later = order[count..].iter().copied().filter(|i| decayed(*i));
    order[..count].iter().copied().chain(later).collect()
}

/// The live vectors of several segments.
struct Joined<'a> {
    segments: &'a [Arc<Segment>],
    /// Segment, slot and row.
    places: Vec<(u32, Slot, u32)>,
}

impl<'a> Joined<'a> {
    fn new(segments: &'a [Arc<Segment>]) -> Self {
        let places = segments
            .iter()
            .zip(0u32..)
            .flat_map(|(segment, i)| {
                let slots = segment.live_slots().into_iter();
                slots.map(move |(slot, row)| (i, slot, row as u32))
            })
            .collect();
        Self { segments, places }
    }
}

impl Source for Joined<'_> {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn id(&self, at: usize) -> u64 {
        let (segment, _, row) = self.places[at];
        self.segments[segment as usize].id(row as usize)
    }

    fn vector(&self, at: usize, out: &mut [f32]) -> Result<()> {
        let (segment, _, row) = self.places[at];
        self.segments[segment as usize].vector(row as usize, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_a_size_and_decayed_ones_are_merged() {
        for (sizes, expected) in [
            (&[] as &[(usize, usize)], &[] as &[usize]),
            (&[(100, 0)], &[]),
            (&[(100, 29), (1000, 0)], &[]),
            (&[(100, 31), (1000, 0)], &[0]),
            (&[(100, 0), (100, 0)], &[0, 1]),
            (&[(100, 0), (201, 0)], &[]),
            (&[(1000, 0), (64, 0), (64, 0), (16, 0)], &[3, 1, 2]),
            (&[(1000, 400), (64, 0), (64, 0)], &[1, 2, 0]),
        ] {
            assert_eq!(choose(sizes), expected, "{sizes:?}");
        }
    }
}
