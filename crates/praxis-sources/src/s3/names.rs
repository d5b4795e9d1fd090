//! Names of objects that the client cannot ask for: with an empty part (`a//b`), `.` or `..` for a part, a slash at the
//! beginning or the end, or control characters. A page of a listing that holds one is an error to the client, so
//! such objects are taken out of the server's answer before the client reads it. Left out: all else that a server
//! says.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use object_store::path::Path;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::Choice;
use crate::xml::add_text;

/// The name of one that was taken out, and how many there were.
type TakenOut = Option<(String, usize)>;

/// Connects the client to its server, and takes out what it cannot ask for.
#[derive(Debug, Clone)]
pub(super) struct Names {
    choice: Arc<Choice>,
    taken_out: Arc<Mutex<TakenOut>>,
}

impl Names {
    /// Of a source that reads these objects; what it would not read is not told.
    pub fn new(choice: Arc<Choice>) -> Self {
        Self {
            choice,
            taken_out: Arc::default(),
        }
    }

    /// What is to be told of the objects that were taken out since the last time.
    pub fn told(&self) -> Option<String> {
        let taken_out = self.slot().take();
        let (name, count) = taken_out?;
        let more = match count {
            1 => String::new(),
            _ => format!(", and {} others", count - 1),
        };
        Some(format!(
            "an object cannot be asked for by its name, `{name}`{more}: rename it, without empty parts, `.` and `..` \
             between its slashes, or leave it out with `exclude`"
        ))
    }

    /// Notes names that were taken out.
    pub fn note(&self, names: Vec<String>) {
        let mut slot = self.slot();
        for name in names.into_iter().filter(|name| self.choice.takes(name)) {
            slot.get_or_insert((name, 0)).1 += 1;
        }
    }

    fn slot(&self) -> MutexGuard<'_, TakenOut> {
        // It is whole at any moment.
        self.taken_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpConnector for Names {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Readable {
            server: ReqwestConnector::default().connect(options)?,
            names: self.clone(),
        }))
    }
}

/// A server all of whose names the client can read.
#[derive(Debug)]
struct Readable {
    server: HttpClient,
    names: Names,
}

#[async_trait]
impl HttpService for Readable {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_listing = request.method().as_str() == "GET"
            && request
                .uri()
                .query()
                .is_some_and(|query| query.split('&').any(|pair| pair == "list-type=2"));
        let response = self.server.execute(request).await?;
        if !is_listing || !response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let page = body.bytes().await?;
        let readable = std::str::from_utf8(&page).ok().and_then(readable);
        let body = match readable {
            None => HttpResponseBody::from(page),
            Some((rest, names)) => {
                self.names.note(names);
                HttpResponseBody::from(rest)
            }
        };
        Ok(HttpResponse::from_parts(head, body))
    }
}

/// A page of a listing without the objects that cannot be asked for, and the names of these; `None` where all can be.
pub(super) fn readable(page: &str) -> Option<(String, Vec<String>)> {
    let page = page.strip_prefix('\u{feff}').unwrap_or(page);
    let (mut rest, mut names) = (String::new(), Vec::new());
    let mut from = 0;
    for (place, name) in objects(page)? {
        if is_readable(&name) {
            continue;
        }
        rest.push_str(page.get(from..place.start)?);
        from = place.end;
        // Names that end with a slash are folders that some programs make.
        if !name.ends_with('/') || name.contains("//") {
            names.push(name);
        }
    }
    if from == 0 {
        return None;
    }
    rest.push_str(page.get(from..)?);
    Some((rest, names))
}

/// Whether the client asks for an object by its name, and not by another.
fn is_readable(name: &str) -> bool {
    Path::parse(name).is_ok_and(|path| {
        let asked: &str = path.as_ref();
        asked == name
    })
}

/// The objects of a page: where each stands, and its name. `None` where it is no XML, which is the client's to tell.
fn objects(page: &str) -> Option<Vec<(Range<usize>, String)>> {
    let mut reader = Reader::from_str(page);
    let (mut found, mut depth) = (Vec::new(), 0usize);
    let (mut begin, mut name, mut is_name) = (None, String::new(), false);
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(element) => {
                depth += 1;
                match (depth, element.local_name().as_ref()) {
                    (2, "Contents") => {
                        begin = Some(before);
                        name.clear();
                    }
                    (3, "Key") => is_name = begin.is_some(),
                    _ => {}
                }
            }
            Event::End(_) => {
                if depth == 2
                    && let Some(begin) = begin.take()
                {
                    let end = usize::try_from(reader.buffer_position()).ok()?;
                    found.push((begin..end, std::mem::take(&mut name)));
                }
                is_name = false;
                depth = depth.checked_sub(1)?;
            }
            Event::Eof => return (depth == 0).then_some(found),
            event if is_name => add_text(&mut name, &event),
            _ => {}
        }
    }
}
