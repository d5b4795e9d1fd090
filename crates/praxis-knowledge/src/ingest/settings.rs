//! What decides the chunks that documents become: where it changes, documents are read anew, one by one. Left out: reading it.

use praxis_core::{CallError, ErrorCode};

use crate::config::{BaseConfig, OcrConfig};
use crate::knowledge::internal;
use crate::load::ocr::Ocr;
use crate::segment::Strategy;

/// The key of what decides how text in pictures is recognized.
const RECOGNIZED: &str = "ocr";

/// The key of what a chat model writes about chunks.
const CONTEXT: &str = "context";

/// The key of documents that an embedder refuses.
const REFUSED: &str = "refused";

/// The key of the revision.
const REVISION_KEY: &str = "revision";

/// Grows where loaders or the cut make other text or other chunks of the same files: then documents that an older
/// revision read are read again. Those that come out the same are not embedded again, so what is embedded of the same
/// chunks, as their headings or a document's summary, needs a key of its own to change.
const REVISION: u64 = 4;

/// Whether text in pictures is recognized here, as the settings of a base want it.
pub(crate) async fn recognition(config: &OcrConfig) -> Result<Ocr, CallError> {
    let config = config.clone();
    let ocr = tokio::task::spawn_blocking(move || Ocr::new(&config)).await;
    ocr.map_err(internal)
}

/// All that decides what chunks a document becomes, and what is written about them. What is off is not among it: bases
/// without it need not be read anew. Nor is the application's default chat model: another one makes nothing anew by
/// itself, for it would cost an answer for each chunk.
pub(super) fn settings(base: &BaseConfig, ocr: &Ocr) -> String {
    let segment = &base.segment;
    let mut settings = serde_json::json!({
        "max_tokens": segment.max_tokens,
        "min_tokens": segment.min_tokens,
    });
    if let Some(settings) = settings.as_object_mut() {
        settings.insert(REVISION_KEY.to_owned(), REVISION.into());
        // The usual one is not noted: bases from before there were others need not be read anew.
        if segment.strategy != Strategy::default() {
            let strategy = serde_json::json!(segment.strategy);
            settings.insert("strategy".to_owned(), strategy);
        }
        if let Some(recognized) = ocr.settings() {
            settings.insert(RECOGNIZED.to_owned(), recognized);
        }
        if base.context.enabled {
            let written = serde_json::json!({
                "model": base.context.model(),
                "situate": base.context.situate,
                "questions": base.context.questions,
                "window_tokens": base.context.window_tokens,
                "revision": 1,
            });
            settings.insert(CONTEXT.to_owned(), written);
        }
    }
    settings.to_string()
}

/// The settings of a document whose chunks lack some of what a chat model is to write: equal to none that a base can
/// have, so that the next ingest takes it up again.
pub(super) fn unfinished(settings: &str) -> String {
    let mut settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    settings[CONTEXT] = serde_json::json!("unfinished");
    settings.to_string()
}

/// The settings of a document whose texts an embedder refuses: equal to none that a base can have, as above.
pub(crate) fn refused(settings: &str) -> String {
    let mut settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    settings[REFUSED] = serde_json::json!(true);
    settings.to_string()
}

/// Whether a document of these settings is what an older revision of the loaders and the cut made of its file.
pub(crate) fn is_outdated(settings: &str) -> bool {
    let settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    let revision = settings
        .get(REVISION_KEY)
        .and_then(serde_json::Value::as_u64);
    revision.is_none_or(|revision| revision < REVISION)
}

/// Whether a document of these settings has texts that an embedder refuses.
pub(super) fn is_refused(settings: &str) -> bool {
    let settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    settings.get(REFUSED).is_some()
}

/// Refuses to lose text that was recognized, because this build or this machine could not recognize it again.
pub(super) fn keep_recognized(
    stored: &str,
    config: &OcrConfig,
    ocr: &Ocr,
) -> Result<(), CallError> {
    let stored: serde_json::Value = serde_json::from_str(stored).unwrap_or_default();
    let reason = match ocr {
        Ocr::Missing(missing) if config.enabled && stored.get(RECOGNIZED).is_some() => missing,
        _ => return Ok(()),
    };
    let message = format!(
        "the base has text of scanned pages, which would be lost: {}",
        reason.reason.as_deref().unwrap_or("nothing recognizes it")
    );
    let fix = format!(
        "nothing was changed: {}; or give the text up with `enabled = false` under [ocr] of the base",
        reason.fix
    );
    Err(CallError::new(ErrorCode::InvalidRequest, message).with_hint(fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognized_text_is_not_lost_by_accident() {
        let plain = settings(&BaseConfig::default(), &Ocr::off());
        assert_eq!(
            plain, r#"{"max_tokens":128,"min_tokens":32,"revision":4}"#,
            "bases without recognition are not read anew"
        );
        let mut flowing = BaseConfig::default();
        flowing.segment.strategy = Strategy::Sentences;
        assert!(settings(&flowing, &Ocr::off()).contains(r#""strategy":"sentences""#));
        let mut written = BaseConfig::default();
        written.context.enabled = true;
        let written = settings(&written, &Ocr::off());
        assert_ne!(written, plain);
        assert_ne!(unfinished(&written), written);
        assert_eq!(unfinished(&unfinished(&written)), unfinished(&written));
        assert_ne!(refused(&plain), plain);
        assert_eq!(refused(&refused(&plain)), refused(&plain));
        assert!(is_refused(&refused(&plain)) && !is_refused(&plain));
        for current in [&plain, &refused(&plain), &unfinished(&written)] {
            assert!(!is_outdated(current), "{current}");
        }
        let older = plain.replace(":4}", ":3}");
        for old in [older.as_str(), "a digest", ""] {
            assert!(is_outdated(old), "{old}");
        }
        let recognized = r#"{"max_tokens":128,"min_tokens":32,"revision":3,"ocr":{"dpi":300}}"#;
        let wanted = OcrConfig {
            // Nobody has its data.
            languages: vec!["tlh_klingon".to_owned()],
            ..OcrConfig::default()
        };
        let unwanted = OcrConfig {
            enabled: false,
            ..wanted.clone()
        };
        let cannot = Ocr::new(&wanted);
        for (stored, config, is_kept) in [
            (recognized, &wanted, false),
            (recognized, &unwanted, true),
            (plain.as_str(), &wanted, true),
            ("not JSON", &wanted, true),
        ] {
            let kept = keep_recognized(stored, config, &cannot);
            assert_eq!(kept.is_ok(), is_kept, "{stored}");
            if let Err(error) = kept {
                let hint = error.hint.unwrap_or_default();
                assert!(hint.contains("enabled = false"), "{hint}");
                assert!(
                    hint.contains("--features ocr") || hint.contains("apt install"),
                    "{hint}"
                );
            }
        }
    }
}
