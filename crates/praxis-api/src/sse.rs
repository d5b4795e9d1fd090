//! Streams of server-sent events that stop their call when the client goes away.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use serde_json::Value;
use tokio_util::sync::DropGuard;

/// What a handler returns.
pub(crate) type EventStream = Sse<
    axum::response::sse::KeepAliveStream<
        futures::stream::BoxStream<'static, Result<Event, Infallible>>,
    >,
>;

/// An unnamed event that carries a value.
pub(crate) fn data(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

/// A named event that carries a value.
pub(crate) fn named(name: &str, value: &Value) -> Event {
    Event::default().event(name).data(value.to_string())
}

/// Sends the events; dropping the response drops `guard`, which cancels the call.
pub(crate) fn stream(
    events: impl Stream<Item = Event> + Send + 'static,
    guard: DropGuard,
) -> EventStream {
    let events = events
        .map(move |event| {
            let _ = &guard;
            Ok(event)
        })
        .boxed();
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10)))
}
