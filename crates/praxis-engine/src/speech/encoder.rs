//! Whisper's encoder (Radford et al. 2022): two convolutions over the spectrum and layers of attention before
//! whose halves rows are normalized.

use rayon::prelude::*;

use super::config::Shape;
use super::ct2::Ct2File;
use super::linear::{
    EngineError, Linear, Norm, Projections, Rounded, add, attend, gelu, matrix_unit, norm,
};
use super::spectrogram::WINDOW_FRAMES;

/// Rows that are kept from the matrix unit: a window is computed in one way whatever its sound.
const SINGLE: usize = 0;

/// Rows that go through the feed-forward half together, so that what lies between its matrices stays in the
/// second-level cache.
const BLOCK: usize = 128;

/// A loaded encoder.
pub(super) struct Encoder {
    width: usize,
    bands: usize,
    conv1: Linear,
    conv2: Linear,
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    heads: usize,
    attention_norm: Norm,
    /// Of queries, keys and values.
    inputs: [Linear; 3],
    output: Linear,
    norm: Norm,
    up: Linear,
    down: Linear,
}

/// Memory of a window.
#[derive(Default)]
struct Memory {
    normed: Vec<f32>,
    projected: [Vec<f32>; 3],
    context: Vec<f32>,
    branch: Vec<f32>,
    expanded: Vec<f32>,
    rounded: Rounded,
}

impl Encoder {
    /// Loads the encoder of a file.
    pub(super) fn load(file: &Ct2File, shape: &Shape) -> Result<Self, EngineError> {
        let width = shape.width;
        let conv = |name: &str, inputs: usize| {
            let matrix = format!("{name}/weight");
            Ok::<_, EngineError>(Linear {
                weight: super::linear::matrix(file, &matrix, &[width, inputs, 3])?,
                bias: file.f32s(&format!("{name}/bias"), &[width])?,
            })
        };
        let (layers, heads) = shape.encoder;
        let layers =
            (0..layers).map(|i| Layer::load(file, &format!("encoder/layer_{i}"), heads, shape));
        Ok(Self {
            width,
            bands: shape.bands,
            conv1: conv("encoder/conv1", shape.bands)?,
            conv2: conv("encoder/conv2", width)?,
            positions: file.f32s(
                "encoder/position_encodings/encodings",
                &[shape.sounds, width],
            )?,
            layers: layers.collect::<Result<_, _>>()?,
            norm: norm(file, "encoder/layer_norm", width)?,
        })
    }

    /// The rows of a window's spectra, which are given frame by frame.
    pub(super) fn encode(&self, spectra: &[f32]) -> Vec<f32> {
        debug_assert_eq!(
            spectra.len(),
            WINDOW_FRAMES * self.bands,
            "frames of a window"
        );
        let mut memory = Memory::default();
        let (mut patches, mut rows) = (Vec::new(), Vec::new());
        unfold(spectra, self.bands, 1, &mut patches);
        self.conv1
            .product(&patches, SINGLE, &mut memory.rounded, &mut rows);
        gelu(&mut rows, &self.conv1.bias);
        unfold(&rows, self.width, 2, &mut patches);
        self.conv2
            .product(&patches, SINGLE, &mut memory.rounded, &mut rows);
        gelu(&mut rows, &self.conv2.bias);
        drop(patches);
        add(&mut rows, &self.positions);
        for layer in &self.layers {
            layer.run(&mut rows, &mut memory);
        }
        self.norm.apply(&mut rows);
        rows
    }
}

/// What a convolution of three frames, `stride` apart, sees of each place, in the order of its weights: for each
/// number of a frame that of the frame before, its own and that of the frame after.
fn unfold(frames: &[f32], width: usize, stride: usize, out: &mut Vec<f32>) {
    let count = frames.len() / width / stride;
    out.clear();
    out.resize(count * width * 3, 0.0);
    out.par_chunks_exact_mut(width * 3)
        .enumerate()
        .for_each(|(place, out)| {
            for tap in 0..3 {
                let Some(frame) = (place * stride + tap).checked_sub(1) else {
                    continue;
                };
                let frame = frames
                    .get(frame * width..(frame + 1) * width)
                    .unwrap_or_default();
                for (out, value) in out.chunks_exact_mut(3).zip(frame) {
                    out[tap] = *value;
                }
            }
        });
}

impl Layer {
    fn load(file: &Ct2File, name: &str, heads: usize, shape: &Shape) -> Result<Self, EngineError> {
        let width = shape.width;
        let attention = format!("{name}/self_attention");
        Ok(Self {
            heads,
            attention_norm: norm(file, &format!("{attention}/layer_norm"), width)?,
            inputs: inputs(file, &format!("{attention}/linear_0"), width)?,
            output: Linear::open(file, &format!("{attention}/linear_1"), width, width)?,
            norm: norm(file, &format!("{name}/ffn/layer_norm"), width)?,
            up: Linear::open(file, &format!("{name}/ffn/linear_0"), width, shape.wide)?,
            down: Linear::open(file, &format!("{name}/ffn/linear_1"), shape.wide, width)?,
        })
    }

    fn run(&self, rows: &mut [f32], memory: &mut Memory) {
        let Memory {
            normed,
            projected,
            context,
            branch,
            expanded,
            rounded,
        } = memory;
        let width = self.norm.weight.len();
        normed.clear();
        normed.extend_from_slice(rows);
        self.attention_norm.apply(normed);
        project(&self.inputs, normed, SINGLE, rounded, projected);
        let [query, key, value] = &self.inputs;
        let projections = Projections {
            hidden: width,
            heads: self.heads,
            rows: projected.each_ref().map(Vec::as_slice),
            biases: [&query.bias, &key.bias, &value.bias],
            amx: matrix_unit(query.weight.as_ref()),
        };
        context.resize(rows.len(), 0.0);
        attend(&projections, &[rows.len() / width], context);
        for (rows, context) in rows
            .chunks_mut(BLOCK * width)
            .zip(context.chunks(BLOCK * width))
        {
            self.output.apply(context, SINGLE, rounded, branch);
            add(rows, branch);
            normed.clear();
            normed.extend_from_slice(rows);
            self.norm.apply(normed);
            self.up.product(normed, SINGLE, rounded, expanded);
            gelu(expanded, &self.up.bias);
            self.down.apply(expanded, SINGLE, rounded, branch);
            add(rows, branch);
        }
    }
}

/// The parts of a layer that makes queries, keys and values in one.
pub(super) fn inputs(file: &Ct2File, name: &str, width: usize) -> Result<[Linear; 3], EngineError> {
    let part = |i: usize| Linear::part(file, name, width, 3 * width, i * width..(i + 1) * width);
    Ok([part(0)?, part(1)?, part(2)?])
}

/// Products of rows with some matrices in one go, without their biases.
pub(super) fn project<const N: usize>(
    linears: &[Linear; N],
    x: &[f32],
    single: usize,
    rounded: &mut Rounded,
    out: &mut [Vec<f32>; N],
) {
    let weights = linears.each_ref().map(|linear| linear.weight.as_ref());
    let x = super::linear::Input::new(x, single, &weights, rounded);
    super::linear::multiply(&x, weights, out.each_mut());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_convolution_sees_its_place_and_both_neighbours() {
        let frames: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let mut out = Vec::new();
        unfold(&frames, 2, 1, &mut out);
        assert_eq!(out[..6], [0.0, 0.0, 2.0, 0.0, 1.0, 3.0]);
        assert_eq!(out[6..12], [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!(out[18..], [4.0, 6.0, 0.0, 5.0, 7.0, 0.0]);
        unfold(&frames, 2, 2, &mut out);
        assert_eq!(out.len(), 12);
        assert_eq!(out[..6], [0.0, 0.0, 2.0, 0.0, 1.0, 3.0]);
        assert_eq!(out[6..], [2.0, 4.0, 6.0, 3.0, 5.0, 7.0]);
    }
}
