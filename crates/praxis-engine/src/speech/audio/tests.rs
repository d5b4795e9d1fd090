//! Audio from files that are written here, and from memory.

use std::f64::consts::TAU;

use super::*;

/// Samples of a tone.
fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f32> {
    let count = (f64::from(rate) * seconds) as u32;
    let sample = |i: u32| (TAU * hertz * f64::from(i) / f64::from(rate)).sin() * 0.5;
    (0..count).map(|i| sample(i) as f32).collect()
}

fn read(audio: &Audio) -> Result<Vec<f32>, AudioError> {
    let mut samples = Samples::open(audio)?;
    let mut out = Vec::new();
    while samples.read(&mut out)? {}
    Ok(out)
}

fn memory(rate: u32, samples: Vec<f32>) -> Audio {
    Audio::Samples {
        rate,
        samples: samples.into(),
    }
}

/// A WAV file of 16-bit samples.
fn wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|x| ((x * 32767.0).round() as i16).to_le_bytes())
        .collect();
    let len = u32::try_from(data.len()).unwrap();
    let mut out = b"RIFF".to_vec();
    out.extend((36 + len).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    out.extend(channels.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend((rate * u32::from(channels) * 2).to_le_bytes());
    out.extend((channels * 2).to_le_bytes());
    out.extend(b"\x10\0data");
    out.extend(len.to_le_bytes());
    out.extend(data);
    out
}

fn written(bytes: &[u8]) -> (tempfile::NamedTempFile, Audio) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let audio = Audio::File(file.path().to_owned());
    (file, audio)
}

#[test]
fn tones_keep_their_pitch_and_loudness_at_every_rate() {
    for rate in [
        8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 44_056, 96_000,
    ] {
        let out = read(&memory(rate, tone(rate, 440.0, 1.5))).unwrap();
        assert_eq!(out.len(), 24_000, "{rate}");
        let wanted = tone(RATE, 440.0, 1.5);
        // The ends are next to silence that the tone does not have.
        for (i, (x, y)) in out.iter().zip(&wanted).enumerate().skip(200).take(23_600) {
            assert!((x - y).abs() < 1e-3, "{rate}: {x} for {y} at {i}");
        }
    }
}

#[test]
fn what_16_khz_cannot_hold_is_silent() {
    for hertz in [8_200.0, 12_000.0, 20_000.0] {
        let out = read(&memory(48_000, tone(48_000, hertz, 1.0))).unwrap();
        let loudest = out[200..15_800]
            .iter()
            .fold(0.0f32, |max, x| max.max(x.abs()));
        assert!(loudest < 1e-4, "{hertz}: {loudest}");
    }
}

#[test]
fn channels_of_a_file_are_mixed() {
    let (left, right) = (tone(44_100, 300.0, 0.5), tone(44_100, 700.0, 0.5));
    let both: Vec<f32> = left
        .iter()
        .zip(&right)
        .flat_map(|(l, r)| [*l, *r])
        .collect();
    let mixed: Vec<f32> = left
        .iter()
        .zip(&right)
        .map(|(l, r)| (l + r) / 2.0)
        .collect();
    let (_file, audio) = written(&wav(44_100, 2, &both));
    let (ours, wanted) = (read(&audio).unwrap(), read(&memory(44_100, mixed)).unwrap());
    assert_eq!(ours.len(), wanted.len());
    for (x, y) in ours.iter().zip(&wanted) {
        assert!((x - y).abs() < 1e-3, "{x} {y}");
    }
}

#[test]
fn a_file_that_was_cut_is_heard_up_to_there() {
    let bytes = wav(16_000, 1, &tone(16_000, 440.0, 1.0));
    let (_file, audio) = written(&bytes[..bytes.len() - 8_000]);
    let heard = read(&audio).unwrap().len();
    assert!((10_000..=12_000).contains(&heard), "{heard}");
}

#[test]
fn what_is_no_audio_is_told_by_its_kind() {
    for (bytes, what) in [
        (&b""[..], "no format"),
        (
            b"a text that is not audio at all, and goes on for a while",
            "no format",
        ),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0", "no format"),
        (&wav(16_000, 1, &[]), "no sound"),
        (&wav(1_000, 1, &[0.0; 100]), "1000 samples a second"),
    ] {
        let (_file, audio) = written(bytes);
        let told = read(&audio).unwrap_err().to_string();
        assert!(told.contains(what), "{what}: {told}");
    }
    let missing = Audio::File("/nowhere/at/all.wav".into());
    assert!(matches!(read(&missing), Err(AudioError::Read(_))));
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let out = read(&memory(
        RATE,
        vec![f32::NAN, 7.0, -7.0, f32::INFINITY, 0.25],
    ))
    .unwrap();
    assert_eq!(out, [0.0, 1.0, -1.0, 0.0, 0.25]);
}

proptest::proptest! {
    /// Bytes of a file may be changed anywhere.
    #[test]
    fn no_file_makes_it_panic(
        at in 0usize..3_000,
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..60),
        cut in 0usize..3_000,
    ) {
        let mut file = wav(8_000, 1, &tone(8_000, 200.0, 0.2));
        for (place, byte) in file.iter_mut().skip(at).zip(&bytes) {
            *place = *byte;
        }
        file.truncate(file.len().saturating_sub(cut));
        let (_file, audio) = written(&file);
        let _ = read(&audio);
    }
}
