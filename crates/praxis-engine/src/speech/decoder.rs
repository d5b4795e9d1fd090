//! Whisper's decoder (Radford et al. 2022): token by token, over what was written before and what is heard. Of what
//! was written, keys and values lie in one store; each text that is followed says which of them it reads, so that
//! texts share what they have in common and a text that is followed in two ways costs nothing.

use rayon::prelude::*;

use super::config::Shape;
use super::ct2::Ct2File;
use super::encoder::{inputs, project};
use super::linear::{
    self, Disjoint, EngineError, Input, Isa, Kernel, Linear, Matrix, Norm, Rounded, add,
    add_to_rows, dot, gelu, multiply, norm, simd, softmax,
};
use super::sound::Heard;

/// A loaded decoder.
pub(super) struct Decoder {
    width: usize,
    heads: usize,
    /// A row for each token, for what goes in and what comes out.
    tokens: Box<dyn Matrix>,
    positions: Vec<f32>,
    layers: Vec<Layer>,
    norm: Norm,
}

struct Layer {
    own_norm: Norm,
    /// Of queries, keys and values.
    own: [Linear; 3],
    own_output: Linear,
    heard_norm: Norm,
    heard_query: Linear,
    /// Of keys and values.
    heard: [Linear; 2],
    heard_output: Linear,
    norm: Norm,
    up: Linear,
    down: Linear,
}

/// A token that is read.
pub(super) struct Row<'a> {
    pub(super) token: u32,
    /// How many tokens are before it.
    pub(super) position: usize,
    /// Where the tokens before it and it itself lie in the store.
    pub(super) reads: &'a [u32],
}

/// Keys and values of tokens, in the order in which they were read.
pub(super) struct Store {
    /// For each layer, a row for each token.
    layers: Vec<[Vec<f32>; 2]>,
    len: u32,
}

impl Store {
    /// How many tokens are in it; the next gets this place.
    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

/// Memory that is used again.
#[derive(Default)]
pub(super) struct Memory {
    rounded: Rounded,
    normed: Vec<f32>,
    own: [Vec<f32>; 3],
    query: Vec<f32>,
    context: Vec<f32>,
    branch: Vec<f32>,
    expanded: Vec<f32>,
}

/// The queries that layers ask of what is heard, where they are wanted: rows for each layer.
pub(super) type Queries = Vec<Vec<f32>>;

impl Decoder {
    /// Loads the decoder of a file.
    pub(super) fn load(file: &Ct2File, shape: &Shape) -> Result<Self, EngineError> {
        let width = shape.width;
        let (layers, heads) = shape.decoder;
        let layers = (0..layers).map(|i| Layer::load(file, &format!("decoder/layer_{i}"), shape));
        Ok(Self {
            width,
            heads,
            tokens: linear::matrix(
                file,
                "decoder/embeddings/weight",
                &[shape.vocabulary, width],
            )?,
            positions: file.f32s(
                "decoder/position_encodings/encodings",
                &[shape.positions, width],
            )?,
            layers: layers.collect::<Result<_, _>>()?,
            norm: norm(file, "decoder/layer_norm", width)?,
        })
    }

    /// Tokens that there are.
    pub(super) fn vocabulary(&self) -> usize {
        self.tokens.rows()
    }

    /// What is heard of the encoder's rows, layer by layer.
    pub(super) fn hear(&self, rows: &[f32]) -> Vec<Heard> {
        let mut rounded = Rounded::default();
        let mut projected = [Vec::new(), Vec::new()];
        let layers = self.layers.iter().map(|layer| {
            project(&layer.heard, rows, 0, &mut rounded, &mut projected);
            let biases = layer.heard.each_ref().map(|linear| linear.bias.as_slice());
            Heard::new(self.heads, projected.each_ref().map(Vec::as_slice), biases)
        });
        layers.collect()
    }

    /// A store without tokens.
    pub(super) fn store(&self) -> Store {
        Store {
            layers: self.layers.iter().map(|_| Default::default()).collect(),
            len: 0,
        }
    }

    /// Reads tokens, which get the next places in the store, and returns the last layer's rows of them. Where
    /// `queries` is given, what layers ask of the sound is put there.
    pub(super) fn read(
        &self,
        rows: &[Row<'_>],
        heard: &[Heard],
        store: &mut Store,
        memory: &mut Memory,
        mut queries: Option<&mut Queries>,
    ) -> Vec<f32> {
        let mut x = vec![0.0; rows.len() * self.width];
        for (row, x) in rows.iter().zip(x.chunks_exact_mut(self.width)) {
            // Tokens come from the model's own rows, or from a text that was checked.
            if let Some(token) = usize::try_from(row.token)
                .ok()
                .filter(|t| *t < self.tokens.rows())
            {
                self.tokens.row(token, x);
            }
            let position = self.positions.chunks_exact(self.width).nth(row.position);
            add(x, position.unwrap_or_default());
        }
        let layers = self.layers.iter().zip(heard).zip(&mut store.layers);
        for ((layer, heard), stored) in layers {
            layer.run(&mut x, rows, self.heads, heard, stored, memory);
            if let Some(queries) = &mut queries {
                queries.push(memory.query.clone());
            }
        }
        store.len += u32::try_from(rows.len()).unwrap_or_default();
        self.norm.apply(&mut x);
        x
    }

    /// The logits of all tokens for some of the rows that [`Decoder::read`] returned.
    pub(super) fn logits(&self, rows: &[f32], memory: &mut Memory, out: &mut Vec<f32>) {
        let count = rows.len() / self.width;
        let tokens = self.tokens.as_ref();
        let x = Input::new(rows, count, &[tokens], &mut memory.rounded);
        multiply(&x, [tokens], [out]);
    }

    /// Numbers of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }
}

impl Layer {
    fn load(file: &Ct2File, name: &str, shape: &Shape) -> Result<Self, EngineError> {
        let (width, wide) = (shape.width, shape.wide);
        let (own, heard) = (
            format!("{name}/self_attention"),
            format!("{name}/attention"),
        );
        let both = format!("{heard}/linear_1");
        let part =
            |i: usize| Linear::part(file, &both, width, 2 * width, i * width..(i + 1) * width);
        Ok(Self {
            own_norm: norm(file, &format!("{own}/layer_norm"), width)?,
            own: inputs(file, &format!("{own}/linear_0"), width)?,
            own_output: Linear::open(file, &format!("{own}/linear_1"), width, width)?,
            heard_norm: norm(file, &format!("{heard}/layer_norm"), width)?,
            heard_query: Linear::open(file, &format!("{heard}/linear_0"), width, width)?,
            heard: [part(0)?, part(1)?],
            heard_output: Linear::open(file, &format!("{heard}/linear_2"), width, width)?,
            norm: norm(file, &format!("{name}/ffn/layer_norm"), width)?,
            up: Linear::open(file, &format!("{name}/ffn/linear_0"), width, wide)?,
            down: Linear::open(file, &format!("{name}/ffn/linear_1"), wide, width)?,
        })
    }

    fn run(
        &self,
        x: &mut [f32],
        rows: &[Row<'_>],
        heads: usize,
        heard: &Heard,
        [keys, values]: &mut [Vec<f32>; 2],
        memory: &mut Memory,
    ) {
        let Memory {
            rounded,
            normed,
            own,
            query,
            context,
            branch,
            expanded,
        } = memory;
        // All rows go the exact way: a token is read the same whether it was given or chosen.
        let single = rows.len();
        let normalize = |x: &[f32], norm: &Norm, normed: &mut Vec<f32>| {
            normed.clear();
            normed.extend_from_slice(x);
            norm.apply(normed);
        };
        normalize(x, &self.own_norm, normed);
        project(&self.own, normed, single, rounded, own);
        for (rows, linear) in own.iter_mut().zip(&self.own) {
            add_to_rows(rows, &linear.bias);
        }
        let [queries, new_keys, new_values] = own;
        keys.extend_from_slice(new_keys);
        values.extend_from_slice(new_values);
        context.resize(x.len(), 0.0);
        attend(rows, heads, queries, (keys, values), context);
        self.own_output.apply(context, single, rounded, branch);
        add(x, branch);
        normalize(x, &self.heard_norm, normed);
        self.heard_query.apply(normed, single, rounded, query);
        heard.attend(query, context);
        self.heard_output.apply(context, single, rounded, branch);
        add(x, branch);
        normalize(x, &self.norm, normed);
        self.up.product(normed, single, rounded, expanded);
        gelu(expanded, &self.up.bias);
        self.down.apply(expanded, single, rounded, branch);
        add(x, branch);
    }
}

/// The least heads for which another thread is asked.
const GRAIN: usize = 4;

/// Attention of rows over the tokens that they read.
fn attend(
    rows: &[Row<'_>],
    heads: usize,
    queries: &[f32],
    (keys, values): (&[f32], &[f32]),
    out: &mut [f32],
) {
    let width = queries.len() / rows.len().max(1);
    let size = width / heads;
    let out = Disjoint::new(out);
    (0..rows.len() * heads)
        .into_par_iter()
        .with_min_len(GRAIN)
        .for_each(|task| {
            let (row, head) = (task / heads, task % heads);
            let at = row * width + head * size;
            simd::run(Own {
                query: &queries[at..at + size],
                reads: rows[row].reads,
                keys: &keys[head * size..],
                values: &values[head * size..],
                width,
                // SAFETY: there is room for a head, and each row's part of a head belongs to one task.
                out: unsafe { std::slice::from_raw_parts_mut(out.at(at, size), size) },
            });
        });
}

/// One head of one row. Keys and values are given from the head's first number on.
struct Own<'a> {
    query: &'a [f32],
    reads: &'a [u32],
    keys: &'a [f32],
    values: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Own<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let size = self.query.len();
        let scale = 1.0 / (size as f32).sqrt();
        let place = |at: u32| at as usize * self.width;
        let mut scores = Vec::with_capacity(self.reads.len());
        for at in self.reads {
            let at = place(*at);
            scores.push(dot(self.query, &self.keys[at..at + size]) * scale);
        }
        let share = softmax(&mut scores);
        self.out.fill(0.0);
        for (at, weight) in self.reads.iter().zip(&scores) {
            let (at, weight) = (place(*at), weight * share);
            let values = &self.values[at..at + size];
            for (out, value) in self.out.iter_mut().zip(values) {
                *out += weight * value;
            }
        }
    }
}
