//! Speed and text of transcripts: `bench_speech MODEL [--beams N] [--words] [--language CODE] FILE...` prints one JSON line
//! `{file, language, duration, seconds, text, segments}` for each sound file, read once before to warm up.
//!
//! MODEL is a folder with `model.bin`. `RAYON_NUM_THREADS` sets the threads. The counterpart for the peer is in
//! `scripts/bench/speech.py`.

use std::path::PathBuf;
use std::time::Instant;

use praxis_core::speech::{Audio, Transcriber, Transcript, TranscriptionRequest, collect};
use praxis_engine::{SpeechEngine, SpeechOptions};

#[tokio::main]
#[expect(
    clippy::print_stdout,
    reason = "the lines are what the benchmark is for"
)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: bench_speech MODEL FILE...")?,
    );
    let (mut files, mut beams, mut words, mut language) = (Vec::new(), None, false, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--beams" => beams = arguments.next().map(|n| n.parse::<usize>()).transpose()?,
            "--words" => words = true,
            "--language" => language = arguments.next(),
            file => files.push(PathBuf::from(file)),
        }
    }
    let engine = SpeechEngine::load(&model, SpeechOptions::default())?;
    let ask = async |file: &PathBuf| -> Result<Transcript, Box<dyn std::error::Error>> {
        let request = TranscriptionRequest {
            beams,
            words,
            language: language.clone(),
            ..TranscriptionRequest::new(Audio::File(file.clone()))
        };
        let stream = engine.transcribe(request, Default::default()).await?;
        Ok(collect(stream).await?)
    };
    if let Some(first) = files.first() {
        ask(first).await?;
    }
    for file in &files {
        let began = Instant::now();
        let transcript = ask(file).await?;
        let line = serde_json::json!({
            "file": file,
            "language": transcript.language,
            "duration": transcript.duration,
            "seconds": began.elapsed().as_secs_f64(),
            "text": transcript.text(),
            "segments": transcript.segments,
        });
        println!("{line}");
    }
    Ok(())
}
