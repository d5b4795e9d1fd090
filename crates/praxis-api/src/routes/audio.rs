//! `/v1/audio/transcriptions` and `/v1/audio/translations` (OpenAI API reference, "Create transcription" and "Create
//! translation"). The audio goes to the disk while it arrives, and is gone when its transcript is done.
//!
//! Left out: telling speakers apart, and log probabilities of tokens.

use std::path::Path;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use praxis_core::speech::{
    Audio, SpeechTask, Transcript, TranscriptChunk, TranscriptSegment, TranscriptStream,
    TranscriptionRequest, collect, language_code, language_name,
};
use praxis_core::{ErrorCode, ModelError};
use praxis_knowledge::Upload;
use serde_json::{Value, json};

use super::form::{Most, file_name};
use crate::error::ApiError;
use crate::guard::{Admitted, Paying};
use crate::sse;
use crate::state::ApiState;

/// Bytes of a field that is no file, at most.
const MAX_FIELD: usize = 16 << 10;

/// Fields of a form, at most.
const MAX_FIELDS: usize = 32;

/// Writes down what is said.
pub(crate) async fn transcribe(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    request: Request,
) -> Result<Response, ApiError> {
    let cx = state.context(caller, paying);
    answer(&state, &cx, SpeechTask::Transcribe, request).await
}

/// Writes it down in English.
pub(crate) async fn translate(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    request: Request,
) -> Result<Response, ApiError> {
    let cx = state.context(caller, paying);
    answer(&state, &cx, SpeechTask::Translate, request).await
}

async fn answer(
    state: &ApiState,
    cx: &praxis_core::CallContext,
    task: SpeechTask,
    request: Request,
) -> Result<Response, ApiError> {
    let (file, form) = receive(state, task, request).await?;
    let wanted = form.finish(task)?;
    let guard = cx.cancel().clone().drop_guard();
    let transcriber = (state.transcribers)(wanted.model.as_deref(), cx)?;
    let request = TranscriptionRequest {
        task,
        language: wanted.language.clone(),
        prompt: wanted.prompt.clone(),
        temperature: wanted.temperature,
        words: wanted.words,
        ..TranscriptionRequest::new(Audio::File((*file).as_ref().to_owned()))
    };
    let stream = transcriber.transcribe(request, cx.cancel().clone()).await;
    let stream = stream.map_err(of_model)?;
    if wanted.stream {
        // The audio stays until the last event is sent.
        let events = events(stream).inspect(move |_| {
            let _ = &file;
        });
        return Ok(sse::stream(events, guard).into_response());
    }
    let transcript = collect(stream).await.map_err(of_model)?;
    Ok(wanted.format.response(&transcript, task, &wanted))
}

/// An error of the model, with the field that it is about.
fn of_model(error: ModelError) -> ApiError {
    let ModelError::InvalidRequest(message) = error else {
        return error.into();
    };
    let named = ["language", "prompt", "temperature"];
    let param = named
        .into_iter()
        .find(|name| message.starts_with(&format!("`{name}`")));
    ApiError::invalid(param.unwrap_or("file"), message)
}

/// A file that is there as long as this is.
type Arrived = Box<dyn AsRef<Path> + Send + Sync>;

/// Takes a form.
async fn receive(
    state: &ApiState,
    task: SpeechTask,
    request: Request,
) -> Result<(Arrived, Form), ApiError> {
    let most = Most {
        bytes: state.files.limits().max_file_bytes,
        fix: "send a compressed format, or raise `max_file_bytes` under [files] in praxis.toml",
    };
    let mut parts = most.open(request, "`file` and `model`").await?;
    let mut upload: Option<Upload> = None;
    let mut form = Form::default();
    let mut fields = 0;
    while let Some(field) = parts.next_field().await.map_err(|e| most.broken(&e))? {
        fields += 1;
        if fields > MAX_FIELDS {
            let message = format!("the form has more than {MAX_FIELDS} fields");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            form.take(&name, text(field, &name, most).await?, task)?;
        } else if upload.is_some() {
            let message = "the form has more than one `file`";
            return Err(ApiError::invalid("file", message));
        } else {
            upload = Some(keep(state, field, most).await?);
        }
    }
    let upload = upload.ok_or_else(|| ApiError::invalid("file", "the form has no `file`"))?;
    let arrived = upload.arrived().await?;
    Ok((Box::new(arrived), form))
}

/// A file on its way to the disk. What is over the limit is read to its end, and not kept: a client that is still
/// sending does not hear an answer.
async fn keep(state: &ApiState, mut field: Field<'_>, most: Most) -> Result<Upload, ApiError> {
    file_name(&field)?;
    let mut upload = state.files.receive().await?;
    let mut refused = None;
    while let Some(piece) = field.chunk().await.map_err(|e| most.broken(&e))? {
        if refused.is_none()
            && let Err(error) = upload.write(&piece).await
        {
            refused = Some(error);
        }
    }
    match refused {
        None => Ok(upload),
        Some(error) => Err(ApiError::from(error).about("file")),
    }
}

/// A field that is a text.
async fn text(mut field: Field<'_>, name: &str, most: Most) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|e| most.broken(&e))? {
        if bytes.len() + piece.len() > MAX_FIELD {
            let message = format!("`{name}` is longer than {MAX_FIELD} bytes");
            return Err(ApiError::invalid(name, message));
        }
        bytes.extend_from_slice(&piece);
    }
    let message = format!("`{name}` is not UTF-8");
    String::from_utf8(bytes).map_err(|_| ApiError::invalid(name, message))
}

/// What a form says beside its file.
#[derive(Debug, Default)]
struct Form {
    model: Option<String>,
    language: Option<String>,
    prompt: Option<String>,
    format: Option<String>,
    temperature: Option<String>,
    granularities: Vec<String>,
    stream: Option<String>,
    chunking: Option<String>,
}

/// What is wanted, checked.
#[derive(Debug, PartialEq)]
struct Wanted {
    /// `None`: the application's default.
    model: Option<String>,
    language: Option<String>,
    prompt: Option<String>,
    format: Format,
    temperature: f32,
    segments: bool,
    words: bool,
    stream: bool,
}

impl Form {
    fn take(&mut self, name: &str, value: String, task: SpeechTask) -> Result<(), ApiError> {
        let translates = task == SpeechTask::Translate;
        let place = match name {
            "model" => &mut self.model,
            "prompt" => &mut self.prompt,
            "response_format" => &mut self.format,
            "temperature" => &mut self.temperature,
            "language" if !translates => &mut self.language,
            "stream" if !translates => &mut self.stream,
            "chunking_strategy" if !translates => &mut self.chunking,
            // As clients write an object in a form.
            "chunking_strategy[type]"
            | "chunking_strategy[prefix_padding_ms]"
            | "chunking_strategy[silence_duration_ms]"
            | "chunking_strategy[threshold]"
                if !translates =>
            {
                return Ok(());
            }
            "timestamp_granularities[]" | "timestamp_granularities" if !translates => {
                self.granularities.push(value);
                return Ok(());
            }
            "include"
            | "include[]"
            | "languages"
            | "languages[]"
            | "keywords"
            | "keywords[]"
            | "known_speaker_names[]"
            | "known_speaker_references[]" => {
                let message = format!("`{name}` is not supported: the models here are Whisper's");
                return Err(ApiError::invalid(name, message));
            }
            _ => {
                let known = match translates {
                    true => "`file`, `model`, `prompt`, `response_format` and `temperature`",
                    false => {
                        "`file`, `model`, `language`, `prompt`, `response_format`, `temperature`, \
                         `timestamp_granularities[]`, `stream` and `chunking_strategy`"
                    }
                };
                let message = format!("`{name}` is no field of this form: there are {known}");
                return Err(ApiError::invalid(name, message));
            }
        };
        *place = Some(value);
        Ok(())
    }

    fn finish(self, task: SpeechTask) -> Result<Wanted, ApiError> {
        let given = |value: Option<String>| value.filter(|v| !v.trim().is_empty());
        let language = match given(self.language) {
            None => None,
            Some(language) => {
                let message =
                    format!("`language` is `{language}`: give a code of ISO 639-1, such as `en`");
                let code = language_code(&language);
                Some(
                    code.ok_or_else(|| ApiError::invalid("language", message))?
                        .to_owned(),
                )
            }
        };
        let format = Format::parse(given(self.format).as_deref())?;
        let temperature = match given(self.temperature) {
            None => 0.0,
            Some(temperature) => {
                let number = temperature.trim().parse::<f32>().ok();
                let message = "`temperature` must be a number between 0 and 1";
                let fits = number.filter(|t| (0.0..=1.0).contains(t));
                fits.ok_or_else(|| ApiError::invalid("temperature", message))?
            }
        };
        let stream = flag("stream", given(self.stream).as_deref())?;
        if stream && !matches!(format, Format::Json | Format::Text) {
            let message = "`stream` needs `response_format` json or text";
            return Err(ApiError::invalid("stream", message));
        }
        if self
            .chunking
            .is_some_and(|c| c.trim() != "auto" && !c.trim_start().starts_with('{'))
        {
            let message = "`chunking_strategy` must be `auto` or an object; audio is always cut where the model stops";
            return Err(ApiError::invalid("chunking_strategy", message));
        }
        let (mut segments, mut words) = (self.granularities.is_empty(), false);
        for granularity in &self.granularities {
            match granularity.as_str() {
                "segment" => segments = true,
                "word" => words = true,
                other => {
                    let message = format!(
                        "`timestamp_granularities[]` is `{other}`; `segment` and `word` are known"
                    );
                    return Err(ApiError::invalid("timestamp_granularities", message));
                }
            }
        }
        if !self.granularities.is_empty() && format != Format::VerboseJson {
            let message = "`timestamp_granularities[]` needs `response_format` verbose_json";
            return Err(ApiError::invalid("timestamp_granularities", message));
        }
        debug_assert!(task == SpeechTask::Transcribe || !words, "refused before");
        Ok(Wanted {
            model: given(self.model),
            language,
            prompt: given(self.prompt),
            format,
            temperature,
            segments,
            words,
            stream,
        })
    }
}

/// A truth value of a form.
fn flag(name: &str, value: Option<&str>) -> Result<bool, ApiError> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(other) => {
            let message = format!("`{name}` is `{other}`; `true` and `false` are known");
            Err(ApiError::invalid(name, message))
        }
    }
}

/// How a transcript is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Srt,
    VerboseJson,
    Vtt,
}

impl Format {
    fn parse(name: Option<&str>) -> Result<Self, ApiError> {
        Ok(match name.unwrap_or("json") {
            "json" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "verbose_json" => Self::VerboseJson,
            "vtt" => Self::Vtt,
            other => {
                let message = format!(
                    "`response_format` is `{other}`; json, text, srt, verbose_json and vtt are known"
                );
                return Err(ApiError::invalid("response_format", message));
            }
        })
    }

    fn response(self, transcript: &Transcript, task: SpeechTask, wanted: &Wanted) -> Response {
        let plain = |kind: &'static str, text: String| {
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        };
        match self {
            Self::Json => Json(brief(transcript, task)).into_response(),
            Self::VerboseJson => Json(verbose(transcript, task, wanted)).into_response(),
            Self::Text => plain("text/plain; charset=utf-8", transcript.text() + "\n"),
            Self::Srt => plain(
                "application/x-subrip; charset=utf-8",
                srt(&transcript.segments),
            ),
            Self::Vtt => plain("text/vtt; charset=utf-8", vtt(&transcript.segments)),
        }
    }
}

/// What is counted of a transcript: the seconds of its audio, begun ones too.
fn usage(transcript: &Transcript) -> Value {
    json!({ "type": "duration", "seconds": transcript.duration.ceil() })
}

fn brief(transcript: &Transcript, task: SpeechTask) -> Value {
    let mut shown = json!({ "text": transcript.text() });
    if task == SpeechTask::Transcribe {
        shown["usage"] = usage(transcript);
    }
    shown
}

fn verbose(transcript: &Transcript, task: SpeechTask, wanted: &Wanted) -> Value {
    let language = match task {
        SpeechTask::Transcribe => language_name(&transcript.language),
        SpeechTask::Translate => "english",
    };
    let mut shown = json!({
        "task": task.as_str(),
        "language": language,
        "duration": transcript.duration,
        "text": transcript.text(),
    });
    if wanted.segments {
        shown["segments"] = transcript.segments.iter().map(segment).collect();
    }
    if wanted.words {
        let words = transcript.segments.iter().flat_map(|s| &s.words);
        shown["words"] = words
            .map(|w| json!({ "word": w.word.trim(), "start": w.start, "end": w.end }))
            .collect();
    }
    if task == SpeechTask::Transcribe {
        shown["usage"] = usage(transcript);
    }
    shown
}

/// A segment as it is answered.
fn segment(segment: &TranscriptSegment) -> Value {
    json!({
        "id": segment.id,
        "seek": segment.seek,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": segment.tokens,
        "temperature": segment.temperature,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    })
}

/// Subtitles of SubRip.
fn srt(segments: &[TranscriptSegment]) -> String {
    let cues = segments.iter().zip(1..).map(|(segment, number)| {
        let (start, end) = (clock(segment.start, ','), clock(segment.end, ','));
        format!("{number}\n{start} --> {end}\n{}\n\n", cue(&segment.text))
    });
    cues.collect()
}

/// Subtitles for browsers (WebVTT).
fn vtt(segments: &[TranscriptSegment]) -> String {
    let cues = segments.iter().map(|segment| {
        let (start, end) = (clock(segment.start, '.'), clock(segment.end, '.'));
        format!("{start} --> {end}\n{}\n\n", cue(&segment.text))
    });
    std::iter::once("WEBVTT\n\n".to_owned())
        .chain(cues)
        .collect()
}

/// The text of a cue: one line that has no arrow, which would be a time.
fn cue(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace("-->", "->")
}

/// `HH:MM:SS` and thousandths.
fn clock(seconds: f64, point: char) -> String {
    let thousandths = (seconds.max(0.0) * 1000.0).round() as u64;
    let (whole, part) = (thousandths / 1000, thousandths % 1000);
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}{point}{part:03}", whole % 60)
}

/// The events of a transcript.
fn events(stream: TranscriptStream) -> impl Stream<Item = Event> + Send {
    let mut text = String::new();
    stream.filter_map(move |chunk| {
        let event = match chunk {
            Ok(TranscriptChunk::Begun { .. }) => None,
            Ok(TranscriptChunk::Segment(segment)) => {
                let delta = match text.is_empty() {
                    true => segment.text.trim_start(),
                    false => segment.text.as_str(),
                };
                text.push_str(delta);
                let event = json!({ "type": "transcript.text.delta", "delta": delta });
                (!delta.is_empty()).then(|| sse::data(&event))
            }
            Ok(TranscriptChunk::Done) => {
                let event = json!({ "type": "transcript.text.done", "text": text.trim() });
                Some(sse::data(&event))
            }
            Err(error) => Some(sse::data(&of_model(error).body())),
        };
        futures::future::ready(event)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)], task: SpeechTask) -> Result<Wanted, ApiError> {
        let mut form = Form::default();
        for (name, value) in fields {
            form.take(name, (*value).to_owned(), task)?;
        }
        form.finish(task)
    }

    #[test]
    fn a_form_says_what_is_wanted() {
        let wanted = form(
            &[("model", "whisper-1"), ("language", "German")],
            SpeechTask::Transcribe,
        );
        let wanted = wanted.unwrap();
        assert_eq!(wanted.language.as_deref(), Some("de"));
        assert_eq!(
            (wanted.format, wanted.segments, wanted.words),
            (Format::Json, true, false)
        );
        let fields = [
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("temperature", "0.4"),
            ("prompt", ""),
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.5"),
        ];
        let wanted = form(&fields, SpeechTask::Transcribe).unwrap();
        assert_eq!(
            (wanted.segments, wanted.words, wanted.temperature),
            (false, true, 0.4)
        );
        assert_eq!((wanted.model, wanted.prompt), (None, None));
    }

    #[test]
    fn what_is_wrong_with_a_form_is_named() {
        for (fields, task, param) in [
            (
                &[("language", "klingon")][..],
                SpeechTask::Transcribe,
                "language",
            ),
            (&[("language", "en")], SpeechTask::Translate, "language"),
            (
                &[("response_format", "diarized_json")],
                SpeechTask::Transcribe,
                "response_format",
            ),
            (
                &[("temperature", "2")],
                SpeechTask::Transcribe,
                "temperature",
            ),
            (
                &[("temperature", "NaN")],
                SpeechTask::Transcribe,
                "temperature",
            ),
            (&[("stream", "maybe")], SpeechTask::Transcribe, "stream"),
            (
                &[("stream", "true"), ("response_format", "srt")],
                SpeechTask::Transcribe,
                "stream",
            ),
            (&[("stream", "true")], SpeechTask::Translate, "stream"),
            (
                &[("timestamp_granularities[]", "word")],
                SpeechTask::Transcribe,
                "timestamp_granularities",
            ),
            (
                &[
                    ("timestamp_granularities[]", "letter"),
                    ("response_format", "verbose_json"),
                ],
                SpeechTask::Transcribe,
                "timestamp_granularities",
            ),
            (
                &[("include[]", "logprobs")],
                SpeechTask::Transcribe,
                "include[]",
            ),
            (&[("colour", "red")], SpeechTask::Transcribe, "colour"),
            (
                &[("chunking_strategy", "none")],
                SpeechTask::Transcribe,
                "chunking_strategy",
            ),
        ] {
            let body = form(fields, task).unwrap_err().body();
            assert_eq!(body["error"]["param"], param, "{fields:?}: {body}");
        }
    }

    fn spoken() -> Transcript {
        let segment = |id: usize, start: f64, end: f64, text: &str| TranscriptSegment {
            id,
            seek: 0,
            start,
            end,
            text: text.to_owned(),
            tokens: vec![50364, 1, 50400],
            temperature: 0.0,
            avg_logprob: -0.25,
            compression_ratio: 1.25,
            no_speech_prob: 0.5,
            words: Vec::new(),
        };
        Transcript {
            language: "en".into(),
            duration: 3725.25,
            segments: vec![
                segment(0, 0.0, 2.5, " And so --> on."),
                segment(1, 3723.04, 3725.2, " The\nend."),
            ],
        }
    }

    #[test]
    fn subtitles_have_the_times_of_segments() {
        let segments = spoken().segments;
        assert_eq!(
            srt(&segments),
            "1\n00:00:00,000 --> 00:00:02,500\nAnd so -> on.\n\n\
             2\n01:02:03,040 --> 01:02:05,200\nThe end.\n\n"
        );
        assert_eq!(
            vtt(&segments),
            "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nAnd so -> on.\n\n\
             01:02:03.040 --> 01:02:05.200\nThe end.\n\n"
        );
        assert_eq!(
            (srt(&[]), vtt(&[])),
            (String::new(), "WEBVTT\n\n".to_owned())
        );
    }

    #[test]
    fn answers_have_openais_names() {
        let transcript = spoken();
        assert_eq!(
            brief(&transcript, SpeechTask::Transcribe)["usage"],
            json!({ "type": "duration", "seconds": 3726.0 })
        );
        let wanted = form(
            &[("response_format", "verbose_json")],
            SpeechTask::Transcribe,
        )
        .unwrap();
        let shown = verbose(&transcript, SpeechTask::Transcribe, &wanted);
        assert_eq!(
            (&shown["language"], &shown["task"]),
            (&json!("english"), &json!("transcribe"))
        );
        assert_eq!(shown["segments"][1]["tokens"], json!([50364, 1, 50400]));
        assert_eq!(shown.get("words"), None);
        let french = Transcript {
            language: "fr".into(),
            ..transcript
        };
        assert_eq!(
            verbose(&french, SpeechTask::Transcribe, &wanted)["language"],
            "french"
        );
        assert_eq!(
            verbose(&french, SpeechTask::Translate, &wanted)["language"],
            "english"
        );
    }

    #[test]
    fn an_error_of_the_model_names_its_field() {
        for (message, param) in [
            (
                "`language` is `yue`, which the model does not know",
                "language",
            ),
            ("the audio is damaged: no sound", "file"),
        ] {
            let body = of_model(ModelError::InvalidRequest(message.to_owned())).body();
            assert_eq!(body["error"]["param"], param, "{message}");
        }
    }
}
