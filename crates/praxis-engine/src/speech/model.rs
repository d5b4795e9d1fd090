//! A Whisper model as it is on the disk, loaded: the folder that CTranslate2's converter writes.

use std::path::Path;

use super::config::{Config, Shape};
use super::ct2::Ct2File;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::linear::EngineError;
use super::tokens::Tokens;

/// A loaded model.
pub(super) struct Model {
    pub(super) shape: Shape,
    pub(super) tokens: Tokens,
    pub(super) encoder: Encoder,
    pub(super) decoder: Decoder,
    /// Layers and heads of the decoder whose attention follows the sound.
    pub(super) alignment: Vec<(usize, usize)>,
}

impl Model {
    /// Loads `model.bin`, `config.json` and `tokenizer.json` of a folder.
    ///
    /// # Errors
    /// [`EngineError`] where one is missing, damaged, or of a model that is not run here.
    pub(super) fn load(folder: &Path) -> Result<Self, EngineError> {
        let file = Ct2File::open(&folder.join("model.bin"))?;
        let shape = Shape::of(&file)?;
        let config = Config::from_folder(folder)?;
        let (layers, heads) = shape.decoder;
        let exists = |(layer, head): &(usize, usize)| *layer < layers && *head < heads;
        if !config.alignment_heads.iter().all(exists) {
            let problem = format!(
                "`alignment_heads` names heads that are not among {layers} layers of {heads}"
            );
            return Err(EngineError::damaged(&folder.join("config.json"), problem));
        }
        Ok(Self {
            tokens: Tokens::from_folder(folder, &config, shape.vocabulary)?,
            encoder: Encoder::load(&file, &shape)?,
            decoder: Decoder::load(&file, &shape)?,
            alignment: config.alignment_heads,
            shape,
        })
    }
}
