//! Speech to text.

use serde_json::{Value, json};

use crate::openapi::operation::Operation;
use crate::openapi::shape::{
    count, file, flag, has, list, may, number, object, only, text, with, word,
};
use crate::openapi::{Writer, tags};

/// How a transcript may be answered.
const FORMATS: &[&str] = &["json", "text", "srt", "verbose_json", "vtt"];

/// Describes it.
pub(super) fn describe(to: &mut Writer) {
    let (segment, word_of) = (segment(), word_with_times());
    to.schemas.name("TranscriptionSegment", segment);
    to.schemas.name("TranscriptionWord", word_of);
    let usage = object(
        "What is counted of it.",
        [
            has("type", "Always `duration`.", only("duration")),
            has("seconds", "Seconds of the audio, begun ones too.", number()),
        ],
    );
    let usage = to.schemas.name("TranscriptionUsage", usage);
    let transcript = to.schemas.name("Transcription", whole(usage));
    let event = object(
        "An event of a streamed transcript.",
        [has(
            "data",
            "In JSON: `transcript.text.delta` with text to append as `delta`; at the end `transcript.text.done` with \
             all of the `text`; an `Error` where it broke off.",
            text(),
        )],
    );
    let event = to.schemas.name("TranscriptionEvent", event);
    let stream = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hello.\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hello.\"}\n\n";
    let mut fields = common();
    fields.extend([
        may(
            "language",
            "The language that is spoken, as a code of ISO 639-1; without it the model finds out.",
            text(),
        ),
        may(
            "timestamp_granularities[]",
            "Whose times are wanted, with `verbose_json`.",
            list(word(&["segment", "word"])),
        ),
        may("stream", "Whether the text comes as it is written.", flag()),
        may("chunking_strategy", "Changes nothing here.", text()),
    ]);
    to.add(plain(
        Operation::post("/v1/audio/transcriptions", "createTranscription")
            .tag(tags::AUDIO)
            .openai("audio/createTranscription")
            .says(
                "Write down what is said",
                "In the language that is spoken. Telling speakers apart and probabilities of tokens are not supported.",
            )
            .takes_form(object("A form.", fields))
            .paid()
            .gives("The transcript.", transcript.clone(), example())
            .gives_as(
                "text/event-stream",
                "The transcript as it is written.",
                event,
                &[("a stream", json!(stream))],
            ),
    ));
    to.add(plain(
        Operation::post("/v1/audio/translations", "createTranslation")
            .tag(tags::AUDIO)
            .openai("audio/createTranslation")
            .says(
                "Write down in English what is said",
                "Whatever language it is said in.",
            )
            .takes_form(object("A form.", common()))
            .paid()
            .gives("The transcript.", transcript, Value::Null),
    ));
}

/// Fields that both have.
fn common() -> Vec<crate::openapi::shape::Field> {
    vec![
        has(
            "file",
            "The audio: WAV, FLAC, MP3, AAC or ALAC in MP4 (M4A), or Vorbis in Ogg or WebM.",
            file(),
        ),
        has(
            "model",
            "A speech model; `whisper-1` is the default one.",
            text(),
        ),
        may(
            "prompt",
            "Text that would stand before: names and spellings, or the end of what came before.",
            text(),
        ),
        may(
            "response_format",
            "How it is answered.",
            with(word(FORMATS), json!({ "default": "json" })),
        ),
        may(
            "temperature",
            "How freely words are chosen; at 0 more freely only where that fails.",
            json!({ "type": "number", "minimum": 0, "maximum": 1, "default": 0 }),
        ),
    ]
}

/// An operation that may answer with texts.
fn plain(operation: Operation) -> Operation {
    operation
        .gives_as("text/plain", "The text.", text(), &[])
        .gives_as("application/x-subrip", "Subtitles.", text(), &[])
        .gives_as("text/vtt", "Subtitles.", text(), &[])
}

fn whole(usage: Value) -> Value {
    let named = crate::openapi::shape::named;
    object(
        "A transcript.",
        [
            has("text", "The text.", text()),
            may(
                "task",
                "What was written, with `verbose_json`.",
                word(&["transcribe", "translate"]),
            ),
            may("language", "The language, by its English name.", text()),
            may("duration", "Seconds of the audio.", number()),
            may(
                "segments",
                "The text in pieces.",
                list(named("TranscriptionSegment")),
            ),
            may(
                "words",
                "The words, where they were asked for.",
                list(named("TranscriptionWord")),
            ),
            may("usage", "What is counted of it.", usage),
        ],
    )
}

fn segment() -> Value {
    object(
        "A piece of a transcript.",
        [
            has("id", "Its number, from 0.", count()),
            has(
                "seek",
                "Where the piece of audio begins that it was read from, in hundredths of a second.",
                count(),
            ),
            has("start", "When it begins, in seconds.", number()),
            has("end", "When it ends.", number()),
            has("text", "Its text.", text()),
            has(
                "tokens",
                "Its tokens, those of times among them.",
                list(count()),
            ),
            has(
                "temperature",
                "How freely they were chosen in the end.",
                number(),
            ),
            has(
                "avg_logprob",
                "The mean of ln p of its piece's tokens.",
                number(),
            ),
            has(
                "compression_ratio",
                "How much its piece's text can be compressed.",
                number(),
            ),
            has(
                "no_speech_prob",
                "How likely nothing is said in its piece.",
                number(),
            ),
        ],
    )
}

fn word_with_times() -> Value {
    object(
        "A word.",
        [
            has("word", "The word with the punctuation at it.", text()),
            has("start", "When it begins, in seconds.", number()),
            has("end", "When it ends.", number()),
        ],
    )
}

fn example() -> Value {
    json!({ "text": "Hello.", "usage": { "type": "duration", "seconds": 2 } })
}
