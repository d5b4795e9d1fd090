//! What a client is told while a call runs: progress, where it gave a token for it, and messages of the log, where it
//! said from which level. Left out: the result.

#![expect(
    deprecated,
    reason = "logging is deprecated since revision 2026-07-28, and clients of older ones have it"
)]

use std::time::{Duration, Instant};

use praxis_core::CallEvent;
use rmcp::model::{
    LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam, ProgressToken,
};
use rmcp::{Peer, RoleServer};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The shortest time between two words of progress that say nothing new.
const PAUSE: Duration = Duration::from_millis(250);

/// The most characters of a tool's answer in the log.
const LONGEST: usize = 2000;

/// Who tells a client.
pub(super) struct Telling {
    peer: Peer<RoleServer>,
    token: Option<ProgressToken>,
    level: Option<LoggingLevel>,
}

impl Telling {
    /// Tells this client; nothing without a token, and without a level.
    pub(super) fn new(
        peer: Peer<RoleServer>,
        token: Option<ProgressToken>,
        level: Option<LoggingLevel>,
    ) -> Self {
        Self { peer, token, level }
    }

    /// Whether anything is told.
    pub(super) fn is_heard(&self) -> bool {
        self.token.is_some() || self.level.is_some()
    }

    /// Tells of progress; it must be more than before. A client that went away is not told.
    pub(super) async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let Some(token) = &self.token else {
            return;
        };
        let mut param = ProgressNotificationParam::new(token.clone(), progress);
        if let Some(total) = total {
            param = param.with_total(total);
        }
        if let Some(message) = message {
            param = param.with_message(message);
        }
        let _ = self.peer.notify_progress(param).await;
    }

    /// Logs; levels below the one that the client wants are dropped.
    pub(super) async fn log(&self, level: LoggingLevel, logger: &str, data: Value) {
        if self.level.is_none_or(|wanted| (level as u8) < wanted as u8) {
            return;
        }
        let param = LoggingMessageNotificationParam::new(level, data).with_logger(logger);
        let _ = self.peer.notify_logging_message(param).await;
    }

    /// Tells of the events of a function's call, until there are no more.
    pub(super) async fn events(&self, function: &str, mut events: mpsc::Receiver<CallEvent>) {
        let (mut count, mut last) = (0.0, None::<Instant>);
        while let Some(event) = events.recv().await {
            count += 1.0;
            let (message, is_news) = told(&event);
            if is_news || last.is_none_or(|last| last.elapsed() >= PAUSE) {
                self.progress(count, None, Some(&message)).await;
                last = Some(Instant::now());
            }
            if let Some(data) = logged(&event) {
                self.log(LoggingLevel::Info, function, data).await;
            }
        }
    }
}

/// What an event is called, and whether it is worth a word of its own.
fn told(event: &CallEvent) -> (String, bool) {
    match event {
        CallEvent::Retrieved(found) => (format!("found {} passages", found.passages.len()), true),
        CallEvent::ToolCalled(call) => (format!("calls {}", call.name), true),
        CallEvent::ToolAnswered { failed: true, .. } => ("a tool failed".to_owned(), true),
        CallEvent::ToolAnswered { .. } => ("a tool answered".to_owned(), true),
        CallEvent::Reasoning { .. } => ("thinks".to_owned(), false),
        CallEvent::Delta { .. } | CallEvent::Partial(_) => ("writes".to_owned(), false),
        CallEvent::Concluded { .. } | CallEvent::Finished { .. } | CallEvent::Cited { .. } => {
            ("has written".to_owned(), false)
        }
    }
}

/// What the log says of an event.
fn logged(event: &CallEvent) -> Option<Value> {
    match event {
        CallEvent::Retrieved(found) => {
            let sources = found.passages.iter().map(|passage| &passage.chunk);
            Some(json!({ "event": "retrieved", "passages": sources.collect::<Vec<_>>() }))
        }
        CallEvent::ToolCalled(call) => {
            Some(json!({ "event": "tool_called", "tool": call.name, "id": call.id }))
        }
        CallEvent::ToolAnswered { id, text, failed } => {
            let text: String = text.chars().take(LONGEST).collect();
            Some(json!({ "event": "tool_answered", "id": id, "failed": failed, "text": text }))
        }
        CallEvent::Finished { usage, .. } => Some(json!({ "event": "finished", "usage": usage })),
        _ => None,
    }
}
