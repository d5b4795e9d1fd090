//! What kind of Whisper a folder holds: the sizes that the shapes of its variables tell, and what `config.json`
//! says of its tokens and heads.

use std::path::Path;

use serde::Deserialize;

use super::ct2::Ct2File;
use super::linear::EngineError;
use super::spectrogram::WINDOW_FRAMES;

/// What CTranslate2 calls the kind of model.
const SPEC: &str = "WhisperSpec";
/// The most bytes of `config.json`.
const MAX_CONFIG: u64 = 1 << 20;
/// The most layers of an encoder or decoder; the largest Whisper has 32.
const MAX_LAYERS: usize = 128;
/// The widest rows: more would be no Whisper.
const MAX_WIDTH: usize = 8192;

/// Sizes of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bands of a spectrum.
    pub(super) bands: usize,
    /// Numbers of a row between layers.
    pub(super) width: usize,
    /// Numbers between the two matrices of a feed-forward layer.
    pub(super) wide: usize,
    /// Rows that the encoder makes of a window.
    pub(super) sounds: usize,
    /// The most tokens of a text, with all that stands before it.
    pub(super) positions: usize,
    /// Tokens.
    pub(super) vocabulary: usize,
    /// Layers and heads of the encoder.
    pub(super) encoder: (usize, usize),
    /// Layers and heads of the decoder.
    pub(super) decoder: (usize, usize),
}

impl Shape {
    /// The sizes of the model in a file.
    ///
    /// # Errors
    /// [`EngineError`] where it is no Whisper, or one that is not computed here.
    pub(super) fn of(file: &Ct2File) -> Result<Self, EngineError> {
        if file.spec() != SPEC {
            let problem = format!("it is a `{}`, not a `{SPEC}`", file.spec());
            return Err(EngineError::unsupported(file.path(), problem));
        }
        let two = |name: &str| match *file.shape(name)? {
            [a, b] => Ok((a, b)),
            ref shape => {
                let problem = format!("the variable `{name}` has shape {shape:?}");
                Err(EngineError::damaged(file.path(), problem))
            }
        };
        let (vocabulary, width) = two("decoder/embeddings/weight")?;
        let (sounds, _) = two("encoder/position_encodings/encodings")?;
        let (positions, _) = two("decoder/position_encodings/encodings")?;
        let (wide, _) = two("encoder/layer_0/ffn/linear_0/weight")?;
        let bands = match *file.shape("encoder/conv1/weight")? {
            [_, bands, 3] => bands,
            ref shape => {
                let problem = format!("the first convolution has shape {shape:?}");
                return Err(EngineError::unsupported(file.path(), problem));
            }
        };
        let stack = |name: &str| {
            let heads = usize::try_from(file.number(&format!("{name}/num_heads"))?).unwrap_or(0);
            let layer = |i: usize| file.has(&format!("{name}/layer_{i}/ffn/linear_0/weight"));
            let layers = (0..MAX_LAYERS).take_while(|i| layer(*i)).count();
            if heads == 0 || layers == 0 || !width.is_multiple_of(heads) {
                let problem = format!("its {name} has {layers} layers and {heads} heads");
                return Err(EngineError::damaged(file.path(), problem));
            }
            Ok((layers, heads))
        };
        let shape = Self {
            bands,
            width,
            wide,
            sounds,
            positions,
            vocabulary,
            encoder: stack("encoder")?,
            decoder: stack("decoder")?,
        };
        shape.check(file.path())?;
        Ok(shape)
    }

    fn check(&self, path: &Path) -> Result<(), EngineError> {
        let fits = (1..=MAX_WIDTH).contains(&self.width)
            && (1..=4 * MAX_WIDTH).contains(&self.wide)
            && (1..=256).contains(&self.bands)
            && self.sounds * 2 == WINDOW_FRAMES
            && (16..=4096).contains(&self.positions);
        if fits {
            return Ok(());
        }
        let problem = format!("its sizes are none of a Whisper: {self:?}");
        Err(EngineError::unsupported(path, problem))
    }
}

/// What `config.json` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    /// Layers and heads of the decoder whose attention follows the sound.
    pub(super) alignment_heads: Vec<(usize, usize)>,
    /// The tokens of languages.
    pub(super) lang_ids: Vec<u32>,
    /// Tokens that are no speech.
    pub(super) suppress_ids: Vec<u32>,
    /// Tokens that no text begins with.
    pub(super) suppress_ids_begin: Vec<u32>,
}

impl Config {
    /// Reads it from a model's folder.
    pub(super) fn from_folder(folder: &Path) -> Result<Self, EngineError> {
        let path = folder.join("config.json");
        let text = read_text(&path, MAX_CONFIG)?;
        serde_json::from_str(&text).map_err(|error| EngineError::damaged(&path, error.to_string()))
    }
}

/// A file of at most so many bytes.
pub(super) fn read_text(path: &Path, most: u64) -> Result<String, EngineError> {
    let found = std::fs::metadata(path).map_err(|error| EngineError::read(path, error))?;
    if found.len() > most {
        let problem = format!("it has {} bytes, more than {most}", found.len());
        return Err(EngineError::damaged(path, problem));
    }
    std::fs::read_to_string(path).map_err(|error| EngineError::read(path, error))
}
