//! What a transcript costs its caller, however it ends, over a model that says what it is told to and a ledger that
//! writes down what it is asked.

use std::sync::{Mutex, PoisonError};

use praxis_core::ledger::What;
use praxis_core::speech::{Audio, TranscriptSegment};
use praxis_core::trace::NoTrace;
use praxis_core::{
    Claim, ErrorCode, LedgerError, Limit, Money, Payer, Refusal, Remaining, Reserved, Subject,
    Ticket,
};

use super::*;

/// A model that hears 61.2 seconds of audio, and writes down what is said up to 20.5.
struct Heard(Vec<fn() -> Chunk>);

fn begun() -> Chunk {
    Ok(TranscriptChunk::Begun {
        language: "en".to_owned(),
        duration: 61.2,
    })
}

fn segment() -> Chunk {
    Ok(TranscriptChunk::Segment(TranscriptSegment {
        id: 0,
        seek: 0,
        start: 0.0,
        end: 20.5,
        text: " And so on.".to_owned(),
        tokens: Vec::new(),
        temperature: 0.0,
        avg_logprob: -0.2,
        compression_ratio: 1.0,
        no_speech_prob: 0.0,
        words: Vec::new(),
    }))
}

fn done() -> Chunk {
    Ok(TranscriptChunk::Done)
}

fn broken() -> Chunk {
    Err(ModelError::Broken("it broke".to_owned()))
}

#[async_trait]
impl Transcriber for Heard {
    fn identity(&self) -> String {
        "heard@1".to_owned()
    }

    async fn transcribe(
        &self,
        request: TranscriptionRequest,
        _: CancellationToken,
    ) -> Result<TranscriptStream, ModelError> {
        assert_eq!(request.caller.as_deref(), Some("hr"), "whose place it is");
        let chunks: Vec<Chunk> = self.0.iter().map(|chunk| chunk()).collect();
        Ok(stream::iter(chunks).boxed())
    }
}

/// What a ledger was asked, in order.
#[derive(Debug, PartialEq)]
enum Asked {
    Reserved { requests: u64, micros: i64 },
    Settled(Spent),
    GivenBack,
    Noted(Spent),
}

/// A ledger with room for so much money.
struct Book {
    room: i64,
    asked: Mutex<Vec<Asked>>,
}

impl Book {
    fn note_down(&self, asked: Asked) {
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(asked);
    }
}

#[async_trait]
impl Ledger for Book {
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError> {
        if claim.money.0 > self.room {
            let (subject, limit) = claim.limits[0].clone();
            return Err(LedgerError::Refused(Refusal {
                limit,
                subject,
                asked: claim.asks(What::Money),
                left: 0,
                retry_after: None,
                remaining: Remaining::default(),
            }));
        }
        self.note_down(Asked::Reserved {
            requests: claim.requests,
            micros: claim.money.0,
        });
        Ok(Reserved {
            ticket: Ticket::new(()),
            remaining: Remaining::default(),
        })
    }

    async fn settle(&self, _: Ticket, spent: Spent) {
        self.note_down(Asked::Settled(spent));
    }

    async fn give_back(&self, _: Ticket) {
        self.note_down(Asked::GivenBack);
    }

    async fn note(&self, _: Vec<Subject>, spent: Spent) {
        self.note_down(Asked::Noted(spent));
    }
}

fn spent(audio_seconds: u64, micros: i64, failed: bool) -> Spent {
    Spent {
        kind: UsageKind::Transcription,
        model: "whisper".to_owned(),
        usage: Usage {
            audio_seconds,
            ..Usage::default()
        },
        money: Money(micros),
        failed,
    }
}

/// What a caller with these limits gets, up to so many chunks, and what the ledger was asked.
async fn heard(
    chunks: &[fn() -> Chunk],
    taken: usize,
    limits: &[&str],
    (audio_minute, room): (f64, i64),
) -> (Vec<Chunk>, Option<ModelError>, Vec<Asked>) {
    let book = Arc::new(Book {
        room,
        asked: Mutex::default(),
    });
    let payer = Payer {
        key: Some("hr".to_owned()),
        ..Payer::default()
    };
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    let model = Counted {
        transcriber: Arc::new(Heard(chunks.to_vec())),
        name: "whisper".to_owned(),
        price: Price {
            audio_minute,
            ..Price::default()
        },
        ledger: Some(book.clone()),
        cx: CallContext::new(Arc::new(NoTrace)).with_payer(payer, limits.into()),
    };
    let samples = Audio::Samples {
        rate: 16_000,
        samples: [].into(),
    };
    let request = TranscriptionRequest::new(samples);
    let stream = model.transcribe(request, CancellationToken::new()).await;
    let (got, refused) = match stream {
        Ok(stream) => (stream.take(taken).collect().await, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let asked = std::mem::take(&mut *book.asked.lock().unwrap());
    (got, refused, asked)
}

#[tokio::test]
async fn a_transcript_counts_by_the_seconds_of_its_audio() {
    let whole: &[fn() -> Chunk] = &[begun, segment, done];
    let reserved = |requests, micros| Asked::Reserved { requests, micros };
    for (limits, minute, wanted) in [
        // 62 seconds have begun.
        (&[][..], 0.006, vec![Asked::Noted(spent(62, 6_200, false))]),
        (
            &["5 requests/minute"],
            0.0,
            vec![reserved(1, 0), Asked::Settled(spent(62, 0, false))],
        ),
        (
            &["5 requests/minute", "1 usd/day"],
            0.006,
            vec![
                reserved(1, 0),
                reserved(0, 6_200),
                Asked::Settled(spent(62, 6_200, false)),
                Asked::GivenBack,
            ],
        ),
    ] {
        let (got, refused, asked) = heard(whole, 9, limits, (minute, 1_000_000)).await;
        assert!(refused.is_none(), "{refused:?}");
        assert_eq!(got.len(), 3, "{got:?}");
        assert!(matches!(got[2], Ok(TranscriptChunk::Done)));
        assert_eq!(asked, wanted, "{limits:?}");
    }
}

#[tokio::test]
async fn nothing_is_told_of_what_a_limit_has_no_room_for() {
    let whole: &[fn() -> Chunk] = &[begun, segment, done];
    let (got, refused, asked) = heard(whole, 9, &["1 usd"], (0.006, 6_199)).await;
    let error = refused.unwrap();
    assert_eq!(error.code(), ErrorCode::QuotaExceeded);
    assert!(error.to_string().contains("may use 1 usd"), "{error}");
    assert!(got.is_empty());
    let wanted = [
        Asked::Reserved {
            requests: 1,
            micros: 0,
        },
        Asked::Settled(spent(0, 0, true)),
    ];
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn what_was_listened_to_before_an_end_that_is_none_counts() {
    // Up to 20.5 seconds of it: 21 have begun.
    for (chunks, taken) in [
        (&[begun as fn() -> Chunk, segment, broken][..], 9),
        (&[begun, segment, segment, done], 2),
    ] {
        let (_, refused, asked) = heard(chunks, taken, &[], (0.006, 0)).await;
        assert!(refused.is_none());
        assert_eq!(asked, [Asked::Noted(spent(21, 2_100, true))]);
    }
}
