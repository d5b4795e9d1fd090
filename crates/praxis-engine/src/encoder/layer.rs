//! The weights of an encoder's layer, and what it computes for the rows of a pack.

use super::attention::{Projections, attend};
use super::config::EncoderConfig;
use super::kernels::{Norm, gelu};
use super::tensors::{Part, Tensors};
use crate::EngineError;
use crate::compute::Rounded;
use crate::compute::linear::{Input, Matrix, matrix_unit, multiply};

/// Rows that go through the feed-forward half together, so that what lies between its matrices stays
/// in the second-level cache.
const BLOCK: usize = 128;

/// Rows that are kept from the matrix unit: all go the same way, or a text's vector would depend on
/// what it is computed with.
const SINGLE: usize = 0;

/// A linear layer, `out = weight * in + bias`. Whoever uses the product adds the bias.
struct Linear {
    weight: Box<dyn Matrix>,
    bias: Vec<f32>,
}

impl Linear {
    fn load(
        tensors: &Tensors<'_>,
        part: Part,
        layer: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            weight: tensors.matrix(part, layer, outputs, inputs)?,
            bias: tensors.vector(part, layer, "bias", outputs)?,
        })
    }
}

/// Loads a layer norm.
pub(super) fn load_norm(
    tensors: &Tensors<'_>,
    part: Part,
    layer: usize,
    config: &EncoderConfig,
) -> Result<Norm, EngineError> {
    Ok(Norm {
        weight: tensors.vector(part, layer, "weight", config.hidden)?,
        bias: tensors.vector(part, layer, "bias", config.hidden)?,
        epsilon: config.epsilon,
    })
}

/// A layer of a BERT encoder (Devlin et al. 2019): attention and feed-forward, each followed by a
/// layer norm of the sum with its input.
pub(super) struct Layer {
    heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    out_norm: Norm,
}

/// Memory of a pack, kept from one to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// The rows that go from layer to layer, one a token.
    pub(super) rows: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    context: Vec<f32>,
    branch: Vec<f32>,
    expanded: Vec<f32>,
    rounded: Rounded,
}

impl Layer {
    /// Loads layer `at`.
    pub(super) fn load(
        tensors: &Tensors<'_>,
        config: &EncoderConfig,
        at: usize,
    ) -> Result<Self, EngineError> {
        let (hidden, wide) = (config.hidden, config.feed_forward);
        let square = |part| Linear::load(tensors, part, at, hidden, hidden);
        Ok(Self {
            heads: config.heads,
            query: square(Part::QUERY)?,
            key: square(Part::KEY)?,
            value: square(Part::VALUE)?,
            attention_out: square(Part::ATTENTION_OUT)?,
            attention_norm: load_norm(tensors, Part::ATTENTION_NORM, at, config)?,
            up: Linear::load(tensors, Part::UP, at, hidden, wide)?,
            down: Linear::load(tensors, Part::DOWN, at, wide, hidden)?,
            out_norm: load_norm(tensors, Part::OUT_NORM, at, config)?,
        })
    }

    /// Bytes of memory that its weights take.
    pub(super) fn bytes(&self) -> usize {
        let linears = [
            &self.query,
            &self.key,
            &self.value,
            &self.attention_out,
            &self.up,
            &self.down,
        ];
        let of_linear =
            |linear: &&Linear| linear.weight.bytes() + linear.bias.len() * size_of::<f32>();
        let norms = [&self.attention_norm, &self.out_norm];
        let values: usize = norms.iter().map(|n| n.weight.len() + n.bias.len()).sum();
        linears.iter().map(of_linear).sum::<usize>() + values * size_of::<f32>()
    }

    /// Replaces `memory.rows` by the layer's output. `ends` says where each text's rows end.
    pub(super) fn run(&self, ends: &[usize], memory: &mut Memory) {
        let Memory {
            rows,
            queries,
            keys,
            values,
            context,
            branch,
            expanded,
            rounded,
        } = memory;
        let (hidden, wide) = (self.down.weight.rows(), self.up.weight.rows());
        let weights = [&self.query, &self.key, &self.value].map(|linear| linear.weight.as_ref());
        let x = Input::new(rows, SINGLE, &weights, rounded);
        multiply(&x, weights, [&mut *queries, &mut *keys, &mut *values]);
        let projections = Projections {
            hidden,
            heads: self.heads,
            rows: [queries, keys, values],
            biases: [&self.query.bias, &self.key.bias, &self.value.bias],
            amx: matrix_unit(self.query.weight.as_ref()),
        };
        context.resize(rows.len(), 0.0);
        attend(&projections, ends, context);
        let blocks = rows.chunks_mut(BLOCK * hidden);
        for (rows, context) in blocks.zip(context.chunks(BLOCK * hidden)) {
            let mut project = |x: &[f32], linear: &Linear, out: &mut Vec<f32>| {
                let weight = linear.weight.as_ref();
                multiply(&Input::new(x, SINGLE, &[weight], rounded), [weight], [out]);
            };
            project(context, &self.attention_out, branch);
            let bias = &self.attention_out.bias;
            self.attention_norm.apply_to_sum(rows, branch, bias);
            project(rows, &self.up, expanded);
            debug_assert_eq!(expanded.len() % wide, 0, "whole rows");
            gelu(expanded, &self.up.bias);
            project(expanded, &self.down, branch);
            self.out_norm.apply_to_sum(rows, branch, &self.down.bias);
        }
    }
}
