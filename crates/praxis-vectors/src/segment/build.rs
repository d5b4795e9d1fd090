//! Makes the files of a segment: finds centroids, gives each vector to its nearest, and writes the
//! lists one after the other. Needs little more memory than a number for each vector.

use std::fs::File;
use std::path::Path;

use rayon::prelude::*;

use super::layout::{Calibration, Head, SECTIONS, Section};
use super::{Segment, Slot, paths};
use crate::code::{Code, fine_len};
use crate::error::{Error, Result};
use crate::files::{bytes, write_at};
use crate::kmeans::{ByteRows, Centroids, train};
use crate::random::Random;
use crate::rotation::Rotation;
use crate::simd::{BLOCK, block_len};

/// Vectors in a list, on average.
const LIST: usize = 256;
/// Vectors of the sample for each list.
const SAMPLE: usize = 40;
/// Rows that one task reads and compares with centroids.
const PART: usize = 1024;
/// Lists that are encoded beside each other before they are written.
const WAVE: usize = 64;

/// Vectors of unit length that a segment is made of.
pub(crate) trait Source: Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// The id of one.
    fn id(&self, at: usize) -> u64;
    /// Reads one.
    fn vector(&self, at: usize, out: &mut [f32]) -> Result<()>;
}

/// Writes the segment `number` and opens it. Its files are not yet synchronized.
pub(crate) fn build(
    folder: &Path,
    number: u64,
    source: &dyn Source,
    rotation: &Rotation,
    dimension: usize,
    seed: u64,
) -> Result<Segment> {
    let rows = source.len();
    if rows == 0 || rows >= u32::MAX as usize / 64 {
        return Err(Error::Limit("a segment has 1 to 67 million vectors"));
    }
    let padded = crate::rotation::padded(dimension);
    let rotated = |at: usize, vector: &mut Vec<f32>, out: &mut [f32]| -> Result<()> {
        vector.resize(dimension, 0.0);
        source.vector(at, vector)?;
        rotation.apply(vector, out);
        Ok(())
    };
    let read = |indices: &[usize]| -> Result<ByteRows> {
        let (mut all, mut vector, mut out) = (ByteRows::default(), Vec::new(), vec![0.0; padded]);
        for &at in indices {
            rotated(at, &mut vector, &mut out)?;
            all.push(&out);
        }
        Ok(all)
    };
    let lists = (rows / LIST).max(1);
    let sample = Random::new(seed ^ number).sample(rows, lists * SAMPLE);
    let sample: Vec<ByteRows> = sample.par_chunks(PART).map(read).collect::<Result<_>>()?;
    let centroids = train(&sample, padded, lists, seed);
    drop(sample);

    let all: Vec<usize> = (0..rows).collect();
    let nearest: Vec<u32> = all
        .par_chunks(PART)
        .map(|part| {
            Ok(centroids
                .nearest(&read(part)?)
                .into_iter()
                .map(|n| n.0)
                .collect())
        })
        .collect::<Result<Vec<Vec<u32>>>>()?
        .concat();
    drop(all);
    let plan = Plan::new(&nearest, lists, |at| source.id(at));
    drop(nearest);

    let [codes_path, vectors_path] = paths(folder, number);
    let create = |path: &Path| File::create(path).map_err(Error::io("create", path));
    let (codes, vectors) = (create(&codes_path)?, create(&vectors_path)?);
    let mut head = plan.head(dimension, seed);
    codes
        .set_len(head.file_len() as u64)
        .map_err(Error::io("write", &codes_path))?;
    let mut sums: [crc32fast::Hasher; SECTIONS.len()] = Default::default();
    let mut vectors_sum = crc32fast::Hasher::new();
    let mut done = [0usize; SECTIONS.len()];
    let mut vectors_done = 0u64;
    let mut put = |section: Section, data: &[u8]| -> Result<()> {
        let at = SECTIONS.iter().position(|s| *s == section).unwrap_or(0);
        sums[at].update(data);
        let offset = head.section(section).start + done[at];
        done[at] += data.len();
        write_at(&codes, data, offset as u64).map_err(Error::io("write", &codes_path))
    };
    for first in (0..lists).step_by(WAVE) {
        let wave: Vec<Encoded> = (first..(first + WAVE).min(lists))
            .into_par_iter()
            .map(|list| {
                let members = plan.members(list);
                encode(members, list, &centroids, source, &rotated)
            })
            .collect::<Result<_>>()?;
        for list in &wave {
            put(Section::Blocks, &list.blocks)?;
            put(Section::Fine, &list.fine)?;
            put(Section::Ids, bytes(&list.ids))?;
            vectors_sum.update(bytes(&list.vectors));
            write_at(&vectors, bytes(&list.vectors), vectors_done)
                .map_err(Error::io("write", &vectors_path))?;
            vectors_done += size_of_val(list.vectors.as_slice()) as u64;
        }
    }
    put(Section::Tiles, &centroids.tiles)?;
    put(Section::Rows, &centroids.rows)?;
    for values in [&centroids.scales, &centroids.squares] {
        put(Section::Lists, bytes(values))?;
    }
    put(Section::BlockStarts, bytes(&plan.block_starts))?;
    put(Section::RowStarts, bytes(&plan.row_starts))?;
    plan.places(|data| put(Section::Places, data))?;
    head.checksums = sums.map(crc32fast::Hasher::finalize);
    head.vectors_checksum = vectors_sum.finalize();
    head.write(&codes, &codes_path)?;
    let mut segment = Segment::open(folder, number, dimension)?;
    if lists > 1 {
        head.calibration = segment.calibrate(rotation)?;
        head.write(&codes, &codes_path)?;
        segment = Segment::open(folder, number, dimension)?;
    }
    Ok(segment)
}

/// Which vector goes where.
struct Plan {
    order: Vec<u32>,
    row_starts: Vec<u32>,
    block_starts: Vec<u32>,
    /// Ids and their slots, ascending.
    ids: Vec<(u64, Slot)>,
}

impl Plan {
    fn new(nearest: &[u32], lists: usize, id: impl Fn(usize) -> u64) -> Self {
        let mut row_starts = vec![0u32; lists + 1];
        for list in nearest {
            row_starts[*list as usize + 1] += 1;
        }
        let mut block_starts = vec![0u32; lists + 1];
        for list in 0..lists {
            block_starts[list + 1] =
                block_starts[list] + row_starts[list + 1].div_ceil(BLOCK as u32);
            row_starts[list + 1] += row_starts[list];
        }
        let mut next = row_starts.clone();
        let mut order = vec![0u32; nearest.len()];
        let mut ids = Vec::with_capacity(nearest.len());
        for (at, list) in nearest.iter().enumerate() {
            let list = *list as usize;
            order[next[list] as usize] = at as u32;
            let slot = block_starts[list] * BLOCK as u32 + (next[list] - row_starts[list]);
            ids.push((id(at), slot));
            next[list] += 1;
        }
        ids.par_sort_unstable();
        Self {
            order,
            row_starts,
            block_starts,
            ids,
        }
    }

    fn members(&self, list: usize) -> &[u32] {
        &self.order[self.row_starts[list] as usize..self.row_starts[list + 1] as usize]
    }

    fn head(&self, dimension: usize, seed: u64) -> Head {
        let rows = self.order.len();
        let ends = self.ids.first().zip(self.ids.last());
        let (first_id, last_id) = ends.map_or((0, 0), |(first, last)| (first.0, last.0));
        // A table of slots is chosen where it takes no more memory than sorted ids.
        let dense = last_id - first_id < 3 * rows as u64;
        Head {
            dimension,
            lists: self.row_starts.len() - 1,
            rows,
            blocks: self.block_starts.last().copied().unwrap_or(0) as usize,
            seed,
            table: if dense {
                (last_id - first_id + 1) as usize
            } else {
                0
            },
            first_id,
            checksums: [0; SECTIONS.len()],
            vectors_checksum: 0,
            calibration: Calibration::default(),
        }
    }

    /// Writes where ids are.
    fn places(&self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let head = self.head(1, 0);
        if head.table > 0 {
            let mut slots = vec![Slot::MAX; head.table];
            for (id, slot) in &self.ids {
                slots[(id - head.first_id) as usize] = *slot;
            }
            return put(bytes(&slots));
        }
        put(bytes(
            &self.ids.iter().map(|(id, _)| *id).collect::<Vec<u64>>(),
        ))?;
        put(bytes(
            &self.ids.iter().map(|(_, slot)| *slot).collect::<Vec<u32>>(),
        ))
    }
}

/// A list as it is written.
struct Encoded {
    blocks: Vec<u8>,
    fine: Vec<u8>,
    ids: Vec<u64>,
    vectors: Vec<f32>,
}

/// Reads a vector, and rotates it.
type Rotated<'a> = dyn Fn(usize, &mut Vec<f32>, &mut [f32]) -> Result<()> + Sync + 'a;

fn encode(
    members: &[u32],
    list: usize,
    centroids: &Centroids,
    source: &dyn Source,
    rotated: &Rotated<'_>,
) -> Result<Encoded> {
    let (padded, count) = (centroids.padded, members.len());
    let (block_len, fine_len) = (block_len(padded), fine_len(padded));
    let mut encoded = Encoded {
        blocks: vec![0; count.div_ceil(BLOCK) * block_len],
        fine: vec![0; count * fine_len],
        ids: Vec::with_capacity(count),
        vectors: Vec::new(),
    };
    let mut centroid = vec![0.0; padded];
    centroids.values(list, &mut centroid);
    let (mut vector, mut residual, mut code) = (Vec::new(), vec![0.0; padded], Code::default());
    for (i, &at) in members.iter().enumerate() {
        rotated(at as usize, &mut vector, &mut residual)?;
        for (r, c) in residual.iter_mut().zip(&centroid) {
            *r -= c;
        }
        code.compute(&residual, &centroid);
        code.put_signs(
            i % BLOCK,
            &mut encoded.blocks[i / BLOCK * block_len..][..block_len],
        );
        code.put_fine(&mut encoded.fine[i * fine_len..][..fine_len]);
        encoded.ids.push(source.id(at as usize));
        encoded.vectors.extend_from_slice(&vector);
    }
    Ok(encoded)
}
