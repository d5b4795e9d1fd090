//! A tiny model of random weights, made here: it says nothing sensible, and goes every way that a large one goes. What
//! sensible models say is tested in `tests/speech.rs`.

use praxis_core::speech::{
    Audio, SpeechTask, Transcript, TranscriptChunk, TranscriptionRequest, collect,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tempfile::TempDir;

use super::config::Config;
use super::ct2::tests::Writer;
use super::rules::Rules;
use super::tokens::Tokens;
use super::window::cut;
use super::*;

/// The words of the tiny model, its tokens from 0 on.
const WORDS: [&str; 8] = ["Ġso", "Ġit", "Ġis", ",", ".", "Ġnow", "â", "Ķ"];
/// Its marks, the tokens behind its words.
const MARKS: [&str; 10] = [
    "endoftext",
    "startoftranscript",
    "en",
    "zh",
    "translate",
    "transcribe",
    "startoflm",
    "startofprev",
    "nospeech",
    "notimestamps",
];
/// The end, and the first time.
const END: u32 = 8;
const FIRST_TIME: u32 = 18;
/// All its tokens.
const VOCABULARY: usize = 18 + 1501;
/// Numbers in a row.
const WIDTH: usize = 16;

/// Writes `tokenizer.json` and `config.json`.
fn write_tokens(folder: &Path) {
    let vocab = WORDS
        .iter()
        .zip(0u32..)
        .map(|(word, id)| ((*word).to_owned(), json!(id)));
    let vocab: serde_json::Map<_, _> = vocab.collect();
    let marks = MARKS.iter().zip(8u32..).map(|(mark, id)| {
        json!({
            "id": id, "content": format!("<|{mark}|>"), "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    });
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": marks.collect::<Vec<_>>(),
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": { "type": "BPE", "vocab": vocab, "merges": [], "ignore_merges": true },
    });
    let config = json!({
        "alignment_heads": [[0, 1], [1, 0]],
        "lang_ids": [10, 11],
        "suppress_ids": [7],
        "suppress_ids_begin": [3, 8],
    });
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

fn tokens() -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    write_tokens(folder.path());
    let config = Config::from_folder(folder.path()).unwrap();
    Tokens::from_folder(folder.path(), &config, VOCABULARY).unwrap()
}

/// Writes a model of two layers each.
fn write_model(folder: &Path) {
    let mut random = StdRng::seed_from_u64(11);
    let mut writer = Writer::new();
    let mut put = |name: String, shape: &[usize]| {
        let scale = if name.ends_with("gamma") { 0.1 } else { 0.6 };
        let count = shape.iter().product::<usize>();
        let one = f32::from(name.ends_with("gamma"));
        let mut values: Vec<f32> = (0..count)
            .map(|_| one + scale * (random.random::<f32>() - 0.5))
            .collect();
        // The end is unlikely, or nothing would be said.
        if name == "decoder/layer_norm/beta" {
            values.fill(0.5);
        } else if name == "decoder/embeddings/weight" {
            let end = END as usize * WIDTH;
            values[end..end + WIDTH].fill(-0.3);
        }
        writer.halves(&name, shape, &values);
    };
    let wide = 2 * WIDTH;
    for (name, inputs) in [("conv1", 80), ("conv2", WIDTH)] {
        put(format!("encoder/{name}/weight"), &[WIDTH, inputs, 3]);
        put(format!("encoder/{name}/bias"), &[WIDTH]);
    }
    for (stack, positions) in [("encoder", 1500), ("decoder", 448)] {
        put(
            format!("{stack}/position_encodings/encodings"),
            &[positions, WIDTH],
        );
        let mut norm = |name: String| {
            put(format!("{name}/gamma"), &[WIDTH]);
            put(format!("{name}/beta"), &[WIDTH]);
        };
        norm(format!("{stack}/layer_norm"));
        for layer in 0..2 {
            let layer = format!("{stack}/layer_{layer}");
            norm(format!("{layer}/self_attention/layer_norm"));
            norm(format!("{layer}/ffn/layer_norm"));
            if stack == "decoder" {
                norm(format!("{layer}/attention/layer_norm"));
            }
        }
        let mut linear = |name: String, outputs: usize, inputs: usize| {
            put(format!("{name}/weight"), &[outputs, inputs]);
            put(format!("{name}/bias"), &[outputs]);
        };
        for layer in 0..2 {
            let layer = format!("{stack}/layer_{layer}");
            linear(format!("{layer}/self_attention/linear_0"), 3 * WIDTH, WIDTH);
            linear(format!("{layer}/self_attention/linear_1"), WIDTH, WIDTH);
            linear(format!("{layer}/ffn/linear_0"), wide, WIDTH);
            linear(format!("{layer}/ffn/linear_1"), WIDTH, wide);
            if stack == "decoder" {
                linear(format!("{layer}/attention/linear_0"), WIDTH, WIDTH);
                linear(format!("{layer}/attention/linear_1"), 2 * WIDTH, WIDTH);
                linear(format!("{layer}/attention/linear_2"), WIDTH, WIDTH);
            }
        }
    }
    put("decoder/embeddings/weight".to_owned(), &[VOCABULARY, WIDTH]);
    for stack in ["encoder", "decoder"] {
        writer.number(&format!("{stack}/num_heads"), 2);
    }
    let bytes = writer.finish(&[("decoder/projection/weight", "decoder/embeddings/weight")]);
    std::fs::write(folder.join("model.bin"), bytes).unwrap();
}

fn model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_tokens(folder.path());
    write_model(folder.path());
    folder
}

fn engine() -> SpeechEngine {
    let options = SpeechOptions {
        name: "tiny".into(),
        revision: "1".into(),
        threads: Some(2),
        max_seconds: Some(100),
    };
    SpeechEngine::load(model().path(), options).unwrap()
}

/// A tone that goes up and down.
fn sound(seconds: u32) -> Audio {
    let sample = |i: u32| (i as f32 * 0.05 + (i as f32 * 0.000_3).sin() * 40.0).sin() * 0.3;
    Audio::Samples {
        rate: 16_000,
        samples: (0..seconds * 16_000).map(sample).collect(),
    }
}

async fn ask(engine: &SpeechEngine, request: TranscriptionRequest) -> Transcript {
    let stream = engine.transcribe(request, CancellationToken::new()).await;
    collect(stream.unwrap()).await.unwrap()
}

#[tokio::test]
async fn whatever_a_model_says_its_times_are_in_order_and_in_the_audio() {
    let engine = engine();
    for (words, task, temperature) in [
        (false, SpeechTask::Transcribe, 0.0),
        (true, SpeechTask::Translate, 0.0),
        (true, SpeechTask::Transcribe, 0.8),
    ] {
        let request = TranscriptionRequest {
            words,
            task,
            temperature,
            prompt: Some("so it is".into()),
            beams: Some(2),
            ..TranscriptionRequest::new(sound(35))
        };
        let transcript = ask(&engine, request.clone()).await;
        assert!(["en", "zh"].contains(&transcript.language.as_str()));
        assert_eq!(transcript.duration, 35.0);
        assert!(!transcript.segments.is_empty());
        let mut seek = 0;
        for (id, segment) in transcript.segments.iter().enumerate() {
            assert_eq!(segment.id, id);
            assert!(segment.seek >= seek && segment.seek < 3_500, "{segment:?}");
            assert!(
                segment.end <= segment.seek as f64 / 100.0 + 30.01,
                "{segment:?}"
            );
            assert!(
                segment.start < segment.end && segment.end <= 35.0,
                "{segment:?}"
            );
            assert!(segment.avg_logprob < 0.0 && segment.compression_ratio > 0.0);
            assert!(
                segment
                    .tokens
                    .iter()
                    .all(|id| *id < END || *id >= FIRST_TIME)
            );
            assert!(words || segment.words.is_empty());
            assert!(
                segment.words.iter().all(|word| word.start <= word.end),
                "{segment:?}"
            );
            seek = segment.seek;
        }
        assert_eq!(
            ask(&engine, request).await,
            transcript,
            "the same comes out again"
        );
    }
}

#[tokio::test]
async fn a_transcript_is_the_same_whatever_else_is_made() {
    let engine = engine();
    let request = |seconds| TranscriptionRequest {
        beams: Some(2),
        ..TranscriptionRequest::new(sound(seconds))
    };
    let alone = [
        ask(&engine, request(3)).await,
        ask(&engine, request(33)).await,
    ];
    let together = [request(3), request(33)].map(|request| ask(&engine, request));
    assert_eq!(futures::future::join_all(together).await, alone);
}

#[tokio::test]
async fn a_stream_begins_with_the_language_and_ends_where_it_is_stopped() {
    let engine = engine();
    let cancel = CancellationToken::new();
    let request = TranscriptionRequest::new(sound(90));
    let mut stream = engine.transcribe(request, cancel.clone()).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(
        matches!(first, TranscriptChunk::Begun { duration: 90.0, .. }),
        "{first:?}"
    );
    cancel.cancel();
    let last = stream.collect::<Vec<_>>().await.pop();
    assert!(matches!(last, Some(Err(ModelError::Cancelled))), "{last:?}");
}

#[tokio::test]
async fn no_more_transcripts_are_made_at_once_than_there_is_room_for() {
    let engine = engine();
    let room = &engine.shared.room;
    let taken: Vec<_> = (0..JOBS).map(|_| room.take(None).unwrap()).collect();
    let ask = || {
        engine.transcribe(
            TranscriptionRequest::new(sound(1)),
            CancellationToken::new(),
        )
    };
    let refused = ask().await.err();
    assert!(
        matches!(refused, Some(ModelError::RateLimited { .. })),
        "{refused:?}"
    );
    drop(taken);
    assert!(collect(ask().await.unwrap()).await.is_ok());
    // A transcript that is done has given its place back, and so has one that nobody waits for any more.
    drop(ask().await.unwrap());
    while !room.are_free() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_that_asks_for_many_transcripts_leaves_places_for_others() {
    let engine = engine();
    let room = &engine.shared.room;
    let taken: Vec<_> = (0..JOBS / 2)
        .map(|_| room.take(Some("ann")).unwrap())
        .collect();
    let ask = |caller: &str| {
        let request = TranscriptionRequest {
            caller: Some(caller.to_owned()),
            ..TranscriptionRequest::new(sound(1))
        };
        engine.transcribe(request, CancellationToken::new())
    };
    match ask("ann").await.err() {
        Some(ModelError::RateLimited { message, .. }) => {
            assert!(message.contains("8 of the 16 places"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert!(collect(ask("bob").await.unwrap()).await.is_ok());
    drop(taken);
    assert!(collect(ask("ann").await.unwrap()).await.is_ok());
}

#[tokio::test]
async fn what_a_request_gets_wrong_is_named() {
    let engine = engine();
    let with = |change: &dyn Fn(&mut TranscriptionRequest)| {
        let mut request = TranscriptionRequest::new(sound(1));
        change(&mut request);
        request
    };
    for (request, named) in [
        (
            with(&|r| r.language = Some("de".into())),
            "`language` is `de`",
        ),
        (with(&|r| r.temperature = f32::NAN), "`temperature`"),
        (with(&|r| r.beams = Some(0)), "`beams`"),
        (with(&|r| r.prompt = Some("a".repeat(20_000))), "`prompt`"),
        (with(&|r| r.audio = sound(0)), "shorter"),
        (with(&|r| r.audio = sound(101)), "longer than 100 seconds"),
        (
            with(&|r| r.audio = Audio::File("/nowhere".into())),
            "cannot be read",
        ),
    ] {
        let told = engine
            .transcribe(request, CancellationToken::new())
            .await
            .err();
        let Some(ModelError::InvalidRequest(told)) = told else {
            panic!("{told:?}")
        };
        assert!(told.contains(named), "{named}: {told}");
    }
}

#[test]
fn a_model_that_lacks_something_is_told() {
    for (file, content, named) in [
        ("config.json", "{", "config.json"),
        (
            "config.json",
            r#"{"lang_ids": [10], "alignment_heads": [[2, 0]]}"#,
            "alignment_heads",
        ),
        ("config.json", "{}", "multilingual"),
        ("tokenizer.json", "{}", "tokenizer.json"),
        ("model.bin", "", "empty"),
        ("model.bin", "\u{6}\0\0\0", "ends within"),
    ] {
        let folder = model();
        std::fs::write(folder.path().join(file), content).unwrap();
        let told = SpeechEngine::load(folder.path(), SpeechOptions::default()).err();
        let told = told.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(named), "{file}: {told}");
        std::fs::remove_file(folder.path().join(file)).unwrap();
        assert!(SpeechEngine::load(folder.path(), SpeechOptions::default()).is_err());
    }
}

/// The token of a time.
const fn at(steps: u32) -> u32 {
    FIRST_TIME + steps
}

/// Which tokens of a few may come next.
fn may_follow(chosen: &[u32], likely: &[(u32, f32)], looked_at: &[u32]) -> Vec<u32> {
    let rules = Rules {
        times: true,
        latest: 50,
    };
    let mut logits = vec![0.0; VOCABULARY];
    for (token, logit) in likely {
        logits[*token as usize] = *logit;
    }
    rules.apply(&tokens(), chosen, &mut logits);
    let left = looked_at
        .iter()
        .filter(|id| logits[**id as usize] > f32::NEG_INFINITY);
    left.copied().collect()
}

#[test]
fn times_come_in_pairs_and_do_not_run_backwards() {
    // Words are likelier than all times together, but where that is said.
    let words = [(0, 20.0), (3, 20.0), (END, 20.0)];
    let looked_at = [
        0,
        3,
        7,
        END,
        9,
        17,
        at(0),
        at(10),
        at(11),
        at(50),
        at(51),
        at(1500),
    ];
    for (chosen, left) in [
        // First a time, not too late.
        (&[][..], &[at(0), at(10), at(11), at(50)][..]),
        // Text behind it.
        (&[at(10)], &[0, 3, END]),
        // Behind text more text, the end, or a later time.
        (&[at(10), 0], &[0, 3, END, at(11), at(50), at(51), at(1500)]),
        // Behind the time of an end the next begins, not before, or all ends.
        (
            &[at(0), 0, at(11)],
            &[END, at(11), at(50), at(51), at(1500)],
        ),
        // Behind two times text.
        (&[at(0), 0, at(11), at(11)], &[0, 3, END]),
        (&[at(0), 0, at(1500), at(1500), 1], &[0, 3, END]),
    ] {
        assert_eq!(may_follow(chosen, &words, &looked_at), left, "{chosen:?}");
    }
    // Many times are likelier together than a word is.
    let likely = [(0, 5.0)];
    assert_eq!(
        may_follow(&[at(0), 1], &likely, &[0, 1, END, at(1), at(9)]),
        [at(1), at(9)]
    );
}

#[test]
fn without_times_none_come_and_no_text_begins_with_nothing() {
    let rules = Rules {
        times: false,
        latest: 50,
    };
    let mut logits = vec![0.0; VOCABULARY];
    rules.apply(&tokens(), &[], &mut logits);
    let left: Vec<usize> = (0..VOCABULARY).filter(|i| logits[*i] == 0.0).collect();
    // Languages are none of what a config suppresses.
    assert_eq!(left, [0, 1, 2, 4, 5, 6, 10, 11]);
}

#[test]
fn texts_are_cut_at_their_pairs_of_times() {
    let tokens = tokens();
    let show = |text: &[u32]| {
        let cut = cut(&tokens, text, 2_500);
        let pieces = cut.pieces.iter().map(|p| (p.tokens.len(), p.start, p.end));
        (pieces.collect::<Vec<_>>(), cut.frames, cut.whole)
    };
    for (text, pieces, frames, whole) in [
        // Two pieces, and one that is not finished.
        (
            &[at(0), 0, at(50), at(60), 1, at(100), at(100), 2][..],
            &[(3, 0.0, 1.0), (3, 1.2, 2.0)][..],
            200,
            false,
        ),
        // The last time says that nothing follows.
        (
            &[at(0), 0, at(50), at(50), 1, at(100)],
            &[(3, 0.0, 1.0), (3, 1.0, 2.0)],
            2_500,
            true,
        ),
        (&[at(5), 0, at(50)], &[(3, 0.0, 1.0)], 2_500, true),
        // Without an end.
        (&[at(0), 0, 1], &[(3, 0.0, 25.0)], 2_500, false),
        (&[0, 1], &[(2, 0.0, 25.0)], 2_500, false),
        (&[], &[(0, 0.0, 25.0)], 2_500, false),
    ] {
        assert_eq!(show(text), (pieces.to_vec(), frames, whole), "{text:?}");
    }
}

#[test]
fn marks_in_a_text_do_not_steer() {
    let tokens = tokens();
    assert_eq!(tokens.encode(" so it is<|translate|>."), [0, 1, 2, 4]);
    assert_eq!(tokens.decode(&[at(0), 0, 1, 9, 4, END]), " so it.");
    assert_eq!(tokens.beginning(10, SpeechTask::Translate), [9, 10, 12]);
    assert_eq!(
        (tokens.language("zh"), tokens.language("de")),
        (Some(11), None)
    );
    assert_eq!((tokens.time(at(7)), tokens.time(17)), (Some(7), None));
}
