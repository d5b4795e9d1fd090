//! How a streamed answer is cut into events: server-sent events (WHATWG HTML, "Server-sent events"), or the binary
//! frames of AWS (Smithy, "Amazon Event Stream"). An event is no larger than it may be, however it comes.

use std::collections::VecDeque;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use reqwest::{Response, header};

use super::sse::Decoder;

/// The largest event. The longest that providers send is an image, as base64.
pub(super) const LARGEST_EVENT: usize = 32 << 20;

/// How a provider cuts its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `text/event-stream`.
    Sse,
    /// `application/vnd.amazon.eventstream`.
    #[cfg(feature = "bedrock")]
    Amazon,
}

impl Framing {
    /// The content type that announces it.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Framing::Sse => "text/event-stream",
            #[cfg(feature = "bedrock")]
            Framing::Amazon => "application/vnd.amazon.eventstream",
        }
    }

    /// Whether a response is one; servers that say nothing are believed.
    pub(super) fn is_of(self, response: &Response) -> bool {
        let Some(kind) = response.headers().get(header::CONTENT_TYPE) else {
            return true;
        };
        let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
        kind.starts_with(self.content_type())
    }
}

/// An event of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// What it is; empty where the protocol has no names.
    pub kind: String,
    pub data: String,
}

/// Why no further event comes.
#[derive(Debug)]
pub(super) enum Broken {
    Transport(reqwest::Error),
    Garbled(String),
}

pub(super) type Events = BoxStream<'static, Result<Event, Broken>>;

/// What cuts bytes into events.
trait Cut: Send {
    /// Takes more bytes, and adds the events that end in them; what is wrong comes after those before it.
    fn push(&mut self, bytes: &[u8], events: &mut VecDeque<Result<Event, Broken>>);

    /// What is wrong where no more bytes come.
    fn end(&self) -> Option<Broken>;
}

impl Cut for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut VecDeque<Result<Event, Broken>>) {
        Decoder::push(self, bytes, events);
    }

    /// An event that has not ended is none.
    fn end(&self) -> Option<Broken> {
        None
    }
}

/// The state of reading.
struct Reading {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    cut: Box<dyn Cut>,
    ready: VecDeque<Result<Event, Broken>>,
}

/// The events of a response; nothing comes after what is wrong.
pub(super) fn events(response: Response, framing: Framing) -> Events {
    let reading = Reading {
        bytes: response.bytes_stream().boxed(),
        cut: match framing {
            Framing::Sse => Box::new(Decoder::default()),
            #[cfg(feature = "bedrock")]
            Framing::Amazon => Box::new(amazon::Frames::default()),
        },
        ready: VecDeque::new(),
    };
    stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(event) => Some((Ok(event), Some(reading))),
            Err(broken) => Some((Err(broken), None)),
        }
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Event, Broken>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.cut.push(&bytes, &mut self.ready),
                Some(Err(error)) => return Some(Err(Broken::Transport(error))),
                None => return self.cut.end().map(Err),
            }
        }
    }
}

pub(super) fn too_large() -> Broken {
    Broken::Garbled(format!(
        "an event is larger than {} MiB",
        LARGEST_EVENT >> 20
    ))
}

#[cfg(feature = "bedrock")]
mod amazon {
    use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
    use aws_smithy_types::event_stream::Message;
    use bytes::BytesMut;

    use super::*;

    /// Two lengths, and two checksums.
    const SHORTEST_FRAME: usize = 16;

    /// The state between chunks.
    pub(super) struct Frames {
        decoder: MessageFrameDecoder,
        waiting: BytesMut,
    }

    impl Default for Frames {
        fn default() -> Self {
            Self {
                decoder: MessageFrameDecoder::new(),
                waiting: BytesMut::new(),
            }
        }
    }

    impl Cut for Frames {
        fn push(&mut self, bytes: &[u8], events: &mut VecDeque<Result<Event, Broken>>) {
            self.waiting.extend_from_slice(bytes);
            while let Some(length) = self.waiting.first_chunk::<4>() {
                // A frame begins with its length, so one that is too large is refused before it is kept. The
                // decoder is asked for whole ones only: of others it would take the beginning.
                let length = u32::from_be_bytes(*length) as usize;
                if length > LARGEST_EVENT {
                    events.push_back(Err(too_large()));
                    return;
                }
                if self.waiting.len() < length.max(SHORTEST_FRAME) {
                    return;
                }
                let frame = match self.decoder.decode_frame(&mut self.waiting) {
                    Ok(DecodedFrame::Complete(message)) => Ok(event(&message)),
                    Ok(DecodedFrame::Incomplete) => return,
                    Err(error) => Err(Broken::Garbled(error.to_string())),
                };
                let is_last = frame.is_err();
                events.push_back(frame);
                if is_last {
                    return;
                }
            }
        }

        fn end(&self) -> Option<Broken> {
            let cut = || Broken::Garbled("it ends inside of a frame".to_owned());
            (!self.waiting.is_empty()).then(cut)
        }
    }

    /// An event: of its type, or `exception:` and the type of what went wrong.
    fn event(message: &Message) -> Event {
        let header = |name: &str| {
            let mut all = message.headers().iter();
            let found = all.find(|header| header.name().as_str() == name)?;
            found.value().as_string().ok().map(|text| text.as_str())
        };
        let kind = match (header(":exception-type"), header(":error-code")) {
            (Some(kind), _) | (None, Some(kind)) => format!("exception:{kind}"),
            (None, None) => header(":event-type").unwrap_or_default().to_owned(),
        };
        let said = header(":error-message");
        let data = match said.filter(|_| message.payload().is_empty()) {
            Some(said) => serde_json::json!({ "message": said }).to_string(),
            None => String::from_utf8_lossy(message.payload()).into_owned(),
        };
        Event { kind, data }
    }
}
