//! Who hears of a response while it is made: nobody, the client that waits for it, or a log that clients follow from
//! anywhere in it. Left out: what there is to hear (`turn`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use praxis_store::StoredEvents;
use tokio::sync::{mpsc, oneshot, watch};

use super::event::{Event, Line};
use crate::error::ApiError;

/// Bytes of a log; then the answer is cut off.
const MAX_LOG: usize = 16 << 20;

/// Bytes of events that are kept as one row, about.
const ROW: usize = 256 << 10;

/// Events of a response, in their order, to be followed while they come.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Mutex<Lines>,
    /// How many there are, and whether that is all.
    told: watch::Sender<(usize, bool)>,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<Line>,
    bytes: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            told: watch::Sender::new((0, false)),
        }
    }
}

impl Log {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut lines = self.lines();
        lines.bytes += line.data.len();
        lines.lines.push(line);
        let count = lines.lines.len();
        drop(lines);
        self.told.send_replace((count, false));
    }

    /// Says that no more comes.
    pub fn end(&self) {
        let count = self.lines().lines.len();
        self.told.send_replace((count, true));
    }

    fn is_full(&self) -> bool {
        self.lines().bytes > MAX_LOG
    }

    /// All events and one more, as they are kept.
    pub fn rows(&self, last: &Line) -> Vec<StoredEvents> {
        let lines = self.lines();
        let mut rows: Vec<StoredEvents> = Vec::new();
        for line in lines.lines.iter().chain([last]) {
            match rows.last_mut().filter(|row| row.lines.len() < ROW) {
                Some(row) => {
                    row.lines.push('\n');
                    row.lines.push_str(&line.data);
                    row.last = line.number;
                }
                None => rows.push(StoredEvents {
                    last: line.number,
                    lines: line.data.to_string(),
                }),
            }
        }
        rows
    }

    /// The events behind the number `after`, up to the last that comes.
    pub fn follow(self: &Arc<Self>, after: Option<u64>) -> impl Stream<Item = Line> + Send + use<> {
        let told = self.told.subscribe();
        let lines = futures::stream::unfold(
            (Arc::clone(self), told, 0),
            |(log, mut told, next)| async move {
                loop {
                    let line = log.lines().lines.get(next).cloned();
                    if let Some(line) = line {
                        return Some((line, (log, told, next + 1)));
                    }
                    let (count, ended) = *told.borrow_and_update();
                    if count <= next && (ended || told.changed().await.is_err()) {
                        return None;
                    }
                }
            },
        );
        lines.filter(move |line| std::future::ready(after.is_none_or(|after| line.number > after)))
    }
}

/// The events of rows as they are kept, behind the number `after`.
pub(crate) fn kept(events: &StoredEvents, after: Option<u64>) -> Vec<Line> {
    let lines = events.lines.lines().filter_map(Line::kept);
    lines
        .filter(|line| after.is_none_or(|after| line.number > after))
        .collect()
}

/// Numbers events and passes them on.
pub(crate) struct Teller {
    to: To,
    next: u64,
}

enum To {
    Nobody,
    Client {
        lines: mpsc::Sender<Line>,
        /// Where it is said how the answer began, as long as that is not said.
        begun: Option<oneshot::Sender<Begun>>,
    },
    Log(Arc<Log>),
}

/// How an answer began: with a piece of it, or with an error that has a status of its own.
pub(crate) type Begun = Result<(), ApiError>;

/// What a client that waits is told.
pub(crate) struct Heard {
    /// How the answer begins.
    pub begun: oneshot::Receiver<Begun>,
    /// Its events.
    pub lines: BoxStream<'static, Line>,
}

/// Events that may wait for a client that waits.
const WAITING: usize = 64;

impl Teller {
    /// Nobody hears.
    pub fn nobody() -> Self {
        Self {
            to: To::Nobody,
            next: 0,
        }
    }

    /// A client hears while it waits; a slow one slows the answer.
    pub fn client() -> (Self, Heard) {
        let (lines, received) = mpsc::channel(WAITING);
        let (begun, began) = oneshot::channel();
        let heard = Heard {
            begun: began,
            lines: tokio_stream::wrappers::ReceiverStream::new(received).boxed(),
        };
        let to = To::Client {
            lines,
            begun: Some(begun),
        };
        (Self { to, next: 0 }, heard)
    }

    /// A log hears.
    pub fn log(log: Arc<Log>) -> Self {
        Self {
            to: To::Log(log),
            next: 0,
        }
    }

    /// The log, if it is one that hears.
    pub fn as_log(&self) -> Option<&Arc<Log>> {
        match &self.to {
            To::Log(log) => Some(log),
            To::Nobody | To::Client { .. } => None,
        }
    }

    /// Whether no more can be told.
    pub fn is_full(&self) -> bool {
        self.as_log().is_some_and(|log| log.is_full())
    }

    /// Says that the answer has begun.
    pub fn begin(&mut self) {
        if let To::Client { begun, .. } = &mut self.to
            && let Some(begun) = begun.take()
        {
            // Who does not wait for it any more gets the events.
            let _ = begun.send(Ok(()));
        }
    }

    /// Says that the answer failed before it began. Returns whether who waits takes it as that.
    pub fn refuse(&mut self, error: &ApiError) -> bool {
        match &mut self.to {
            To::Client { begun, .. } => begun
                .take()
                .is_some_and(|begun| begun.send(Err(error.clone())).is_ok()),
            To::Nobody => true,
            To::Log(_) => false,
        }
    }

    /// Gives an event the next number.
    pub fn number(&mut self, event: Event) -> Line {
        let number = self.next;
        self.next += 1;
        event.numbered(number)
    }

    /// Passes on an event that has a number.
    pub async fn send(&mut self, line: Line) {
        match &self.to {
            To::Nobody => {}
            // One that went away has cancelled the call.
            To::Client { lines, .. } => drop(lines.send(line).await),
            To::Log(log) => log.push(line),
        }
    }

    /// Numbers events and passes them on.
    pub async fn tell(&mut self, events: Vec<Event>) {
        if let To::Nobody = self.to {
            return;
        }
        for event in events {
            let line = self.number(event);
            self.send(line).await;
        }
    }

    /// Says that no more comes.
    pub fn end(&self) {
        if let To::Log(log) = &self.to {
            log.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::ErrorCode;

    use super::*;

    fn event(code: &str) -> Event {
        Event::error(code, "x")
    }

    fn numbers(lines: &[Line]) -> Vec<u64> {
        lines.iter().map(|line| line.number).collect()
    }

    #[tokio::test]
    async fn a_log_is_followed_from_anywhere_while_it_grows() {
        let log = Arc::new(Log::default());
        let mut teller = Teller::log(Arc::clone(&log));
        teller.tell(vec![event("a"), event("b")]).await;
        let mut early = Box::pin(log.follow(None));
        assert_eq!(early.next().await.unwrap().number, 0);
        let late = tokio::spawn(log.follow(Some(1)).collect::<Vec<_>>());
        tokio::task::yield_now().await;
        teller.tell(vec![event("c")]).await;
        teller.end();
        assert_eq!(numbers(&late.await.unwrap()), [2]);
        assert_eq!(numbers(&early.collect::<Vec<_>>().await), [1, 2]);
        let after = log.follow(Some(2)).collect::<Vec<_>>().await;
        assert_eq!(numbers(&after), [0_u64; 0]);
    }

    #[tokio::test]
    async fn what_is_kept_of_a_log_is_read_on_from_anywhere() {
        let log = Arc::new(Log::default());
        let mut teller = Teller::log(Arc::clone(&log));
        let long = "x".repeat(ROW);
        for code in ["a", "b", long.as_str(), "c"] {
            teller.tell(vec![event(code)]).await;
        }
        let last = teller.number(event("d"));
        let rows = log.rows(&last);
        let lasts: Vec<u64> = rows.iter().map(|row| row.last).collect();
        assert_eq!(lasts, [2, 4]);
        let read: Vec<Line> = rows.iter().flat_map(|row| kept(row, Some(0))).collect();
        assert_eq!(numbers(&read), [1, 2, 3, 4]);
        assert_eq!(read.last(), Some(&last));
    }

    #[tokio::test]
    async fn an_error_before_the_first_piece_is_not_an_event() {
        let error = ApiError::new(ErrorCode::NotFound, "no model");
        let (mut teller, heard) = Teller::client();
        assert!(teller.refuse(&error));
        assert!(heard.begun.await.unwrap().is_err());
        // Who waits no more, or has a piece already, gets an event.
        let (mut teller, heard) = Teller::client();
        drop(heard.begun);
        assert!(!teller.refuse(&error));
        let (mut teller, heard) = Teller::client();
        teller.begin();
        assert!(!teller.refuse(&error));
        assert!(heard.begun.await.unwrap().is_ok());
        assert!(Teller::nobody().refuse(&error));
        assert!(!Teller::log(Arc::default()).refuse(&error));
    }
}
