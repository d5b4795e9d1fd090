//! The speech model of the catalogue: what is said in a recording, when, in which language; and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

#[path = "common/models.rs"]
mod models;

use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use models::model_file;
use praxis_core::ModelError;
use praxis_core::speech::{
    Audio, SpeechTask, Transcriber, Transcript, TranscriptChunk, TranscriptionRequest, collect,
};
use praxis_engine::{SpeechEngine, SpeechOptions};
use tokio_util::sync::CancellationToken;

/// "The quick brown fox jumps over the lazy dog. Then it sleeps until the evening.", spoken by flite.
fn fox() -> Audio {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/speech/fox.ogg");
    Audio::File(PathBuf::from(path))
}

/// The model, where it was pulled.
fn engine() -> Option<SpeechEngine> {
    let file = model_file("whisper-base", "model.bin")?;
    let options = SpeechOptions {
        name: "whisper-base".into(),
        revision: "test".into(),
        max_seconds: Some(120),
        ..SpeechOptions::default()
    };
    Some(SpeechEngine::load(file.parent()?, options).unwrap())
}

async fn ask(engine: &SpeechEngine, request: TranscriptionRequest) -> Transcript {
    let stream = engine.transcribe(request, CancellationToken::new()).await;
    collect(stream.unwrap()).await.unwrap()
}

async fn refused(engine: &SpeechEngine, request: TranscriptionRequest) -> String {
    match engine.transcribe(request, CancellationToken::new()).await {
        Err(ModelError::InvalidRequest(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// Letters only.
fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| c.is_alphabetic() || *c == ' ');
    kept.collect::<String>().to_lowercase()
}

#[tokio::test]
async fn a_recording_becomes_text_with_times() {
    let Some(engine) = engine() else { return };
    assert_eq!(engine.identity(), "whisper-base@test");
    let transcript = ask(&engine, TranscriptionRequest::new(fox())).await;
    assert_eq!(transcript.language, "en");
    assert!((transcript.duration - 4.66).abs() < 0.1);
    let text = plain(&transcript.text());
    assert!(
        text.contains("quick brown fox jumps over the lazy dog"),
        "{text}"
    );
    let mut before = 0.0;
    for (id, segment) in transcript.segments.iter().enumerate() {
        assert_eq!(segment.id, id);
        assert!(
            segment.start >= before && segment.end > segment.start,
            "{segment:?}"
        );
        assert!(segment.end <= transcript.duration, "{segment:?}");
        assert!(
            segment.avg_logprob < 0.0 && segment.no_speech_prob < 0.5,
            "{segment:?}"
        );
        before = segment.start;
    }
    let again = ask(&engine, TranscriptionRequest::new(fox())).await;
    assert_eq!(transcript, again, "the same comes out every time");
}

#[tokio::test]
async fn words_have_times_in_their_segments() {
    let Some(engine) = engine() else { return };
    let request = TranscriptionRequest {
        words: true,
        language: Some("en".into()),
        ..TranscriptionRequest::new(fox())
    };
    let transcript = ask(&engine, request).await;
    for segment in &transcript.segments {
        let words: String = segment
            .words
            .iter()
            .map(|word| word.word.as_str())
            .collect();
        assert_eq!(words.trim(), segment.text.trim());
        let first = segment.words.first().unwrap();
        let last = segment.words.last().unwrap();
        assert!(
            first.start >= segment.start - 0.01 && last.end <= segment.end + 0.01,
            "{segment:?}"
        );
        for pair in segment.words.windows(2) {
            assert!(
                pair[0].start <= pair[0].end && pair[0].end <= pair[1].end,
                "{pair:?}"
            );
        }
    }
    let words = transcript
        .segments
        .iter()
        .flat_map(|segment| &segment.words);
    let dog = words
        .into_iter()
        .find(|word| plain(&word.word).trim() == "dog")
        .unwrap();
    assert!(
        (2.0..3.2).contains(&dog.end) && dog.probability > 0.3,
        "{dog:?}"
    );
}

#[tokio::test]
async fn what_is_asked_for_changes_what_is_written() {
    let Some(engine) = engine() else { return };
    let plain_text = ask(&engine, TranscriptionRequest::new(fox())).await.text();
    let translated = TranscriptionRequest {
        task: SpeechTask::Translate,
        ..TranscriptionRequest::new(fox())
    };
    assert!(plain(&ask(&engine, translated).await.text()).contains("fox"));
    // Names are written as in the text before.
    let prompted = TranscriptionRequest {
        prompt: Some("the quick brown Phox, the lazy Dogg".into()),
        ..TranscriptionRequest::new(fox())
    };
    assert_ne!(ask(&engine, prompted).await.text(), plain_text);
    let one_beam = TranscriptionRequest {
        beams: Some(1),
        ..TranscriptionRequest::new(fox())
    };
    assert!(plain(&ask(&engine, one_beam).await.text()).contains("brown fox"));
}

#[tokio::test]
async fn transcripts_are_made_at_once_and_the_same_as_alone() {
    let Some(engine) = engine() else { return };
    let alone = ask(&engine, TranscriptionRequest::new(fox())).await;
    let many = (0..4).map(|_| ask(&engine, TranscriptionRequest::new(fox())));
    for transcript in futures::future::join_all(many).await {
        assert_eq!(transcript, alone);
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anything_is_written() {
    let Some(engine) = engine() else { return };
    let silence = |seconds: usize| Audio::Samples {
        rate: 8_000,
        samples: vec![0.0; 8_000 * seconds].into(),
    };
    let with = |change: &dyn Fn(&mut TranscriptionRequest)| {
        let mut request = TranscriptionRequest::new(fox());
        change(&mut request);
        request
    };
    for (request, named) in [
        (with(&|r| r.language = Some("xx".into())), "`language`"),
        (with(&|r| r.temperature = 1.5), "`temperature`"),
        (with(&|r| r.beams = Some(99)), "`beams`"),
        (with(&|r| r.prompt = Some("a".repeat(20_000))), "`prompt`"),
        (TranscriptionRequest::new(silence(0)), "shorter"),
        (TranscriptionRequest::new(silence(121)), "longer than 120"),
        (
            TranscriptionRequest::new(Audio::File("/nowhere".into())),
            "cannot be read",
        ),
    ] {
        let told = refused(&engine, request).await;
        assert!(told.contains(named), "{named}: {told}");
    }
}

#[tokio::test]
async fn who_goes_away_stops_the_work_and_frees_its_place() {
    let Some(engine) = engine() else { return };
    let noise = Audio::Samples {
        rate: 16_000,
        samples: Arc::from(vec![0.01; 16_000 * 100]),
    };
    let cancel = CancellationToken::new();
    let request = TranscriptionRequest::new(noise.clone());
    let mut stream = engine.transcribe(request, cancel.clone()).await.unwrap();
    assert!(matches!(
        stream.next().await,
        Some(Ok(TranscriptChunk::Begun { .. }))
    ));
    cancel.cancel();
    let rest: Vec<_> = stream.collect().await;
    assert!(
        matches!(rest.last(), Some(Err(ModelError::Cancelled))),
        "{rest:?}"
    );
    // More than there is room for at once, each dropped: all are let in.
    for _ in 0..40 {
        let request = TranscriptionRequest::new(fox());
        loop {
            match engine
                .transcribe(request.clone(), CancellationToken::new())
                .await
            {
                Ok(stream) => break drop(stream),
                Err(ModelError::RateLimited { .. }) => tokio::task::yield_now().await,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    let transcript = ask(&engine, TranscriptionRequest::new(fox())).await;
    assert!(plain(&transcript.text()).contains("fox"));
}
