//! Sound files, decoded to one channel at their own rate, packet by packet. Formats and codecs are those of
//! symphonia, as far as its features are built in.
//!
//! A packet that is damaged is left out, as players do; a file of which most is damaged is refused. Decoders of
//! foreign files run guarded: what makes one panic is a damaged file.

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::AudioError;

/// The most channels of a file.
const MAX_CHANNELS: usize = 32;
/// The most packets one after the other that give no sample: none of the formats has so many.
const MAX_SILENT: usize = 100_000;

/// An open file.
pub(super) struct Decoder {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    /// Samples of all channels of a packet.
    interleaved: Vec<f32>,
    /// The first samples, which had to be decoded to know the rate.
    first: Vec<f32>,
    good: u64,
    bad: u64,
}

/// What came of a packet.
enum Packet {
    Samples,
    None,
    End,
}

impl Decoder {
    /// Opens a file at its beginning.
    pub(super) fn open(path: &Path) -> Result<Self, AudioError> {
        let file = File::open(path)?;
        guarded(|| Self::begin(file))?
    }

    fn begin(file: File) -> Result<Self, AudioError> {
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        // What a file is called says nothing: its bytes do.
        let probed = symphonia::default::get_probe().probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        );
        let format = probed.map_err(|_| AudioError::Format)?;
        let (decoder, track) = decoder_of(format.as_ref())?;
        let mut decoder = Self {
            format,
            decoder,
            track,
            rate: 0,
            interleaved: Vec::new(),
            first: Vec::new(),
            good: 0,
            bad: 0,
        };
        let mut first = Vec::new();
        decoder.next(&mut first)?;
        decoder.first = first;
        if decoder.rate == 0 {
            return Err(AudioError::Broken("there is no sound in it".to_owned()));
        }
        Ok(decoder)
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Appends the samples of the next packet; whether there may be more.
    pub(super) fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        if !self.first.is_empty() {
            out.append(&mut self.first);
            return Ok(true);
        }
        guarded(|| self.next(out))?
    }

    fn next(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        for _ in 0..MAX_SILENT {
            match self.packet(out)? {
                Packet::Samples => return Ok(true),
                Packet::None => {}
                Packet::End => {
                    if self.bad > self.good {
                        let what = format!("{} of its packets cannot be decoded", self.bad);
                        return Err(AudioError::Broken(what));
                    }
                    return Ok(false);
                }
            }
        }
        Err(AudioError::Broken("it goes on without sound".to_owned()))
    }

    fn packet(&mut self, out: &mut Vec<f32>) -> Result<Packet, AudioError> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Packet::End),
            // Another stream begins, as in Ogg files that were put behind each other.
            Err(Error::ResetRequired) => {
                (self.decoder, self.track) = decoder_of(self.format.as_ref())?;
                return Ok(Packet::None);
            }
            // A file that was cut ends where it was cut.
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Packet::End);
            }
            Err(Error::IoError(error)) => return Err(AudioError::Read(error)),
            Err(error) => return Err(AudioError::Broken(error.to_string())),
        };
        if packet.track_id != self.track {
            return Ok(Packet::None);
        }
        let decoded = match self.decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(Error::DecodeError(_) | Error::IoError(_)) => {
                self.bad += 1;
                return Ok(Packet::None);
            }
            Err(error) => return Err(AudioError::Broken(error.to_string())),
        };
        self.good += 1;
        let channels = decoded.num_planes();
        if channels == 0 || decoded.frames() == 0 {
            return Ok(Packet::None);
        }
        if channels > MAX_CHANNELS {
            let what = format!("it has {channels} channels");
            return Err(AudioError::Broken(what));
        }
        self.rate = decoded.spec().rate();
        self.interleaved.clear();
        decoded.copy_to_vec_interleaved(&mut self.interleaved);
        let share = 1.0 / channels as f32;
        let frames = self.interleaved.chunks_exact(channels);
        out.extend(frames.map(|frame| frame.iter().sum::<f32>() * share));
        Ok(Packet::Samples)
    }
}

/// A decoder of the first track of sound that can be decoded.
fn decoder_of(format: &dyn FormatReader) -> Result<(Box<dyn AudioDecoder>, u32), AudioError> {
    let track = format
        .default_track(TrackType::Audio)
        .ok_or(AudioError::Format)?;
    let codec = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio());
    let codec = codec.ok_or(AudioError::Format)?;
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(codec, &AudioDecoderOptions::default())
        .map_err(|error| AudioError::Codec(error.to_string()))?;
    Ok((decoder, track.id))
}

/// Runs what reads a foreign file; a panic is a damaged file.
fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, AudioError> {
    std::panic::catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| AudioError::Broken("its decoder failed".to_owned()))
}
