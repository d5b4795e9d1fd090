//! Pages by their URLs, in Markdown: from folders of the application, or from the web. Those that were read last are
//! kept for a few minutes, so that a page that is read on is the same page. Left out: what of a page a caller gets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{CallContext, CallError, ErrorCode};
use praxis_sources::html::TOLD;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

use super::corpus::Corpus;
use super::markdown::{Written, markdown};
use super::robots::Hosts;
use super::text::decode;
use crate::egress::{Egress, Limits};
use crate::http::failed;

/// What pages may be in, best first.
const ACCEPTED: &str =
    "text/html, application/xhtml+xml, text/markdown, text/plain;q=0.9, */*;q=0.5";

/// How many pages are kept, and how long.
const MOST_KEPT: usize = 16;
const KEPT: Duration = Duration::from_secs(300);

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Where it is, after redirects.
    pub url: String,
    /// What it calls itself.
    pub title: Option<String>,
    /// Its content.
    pub markdown: String,
    /// What a caller must know of it.
    pub notes: Vec<String>,
}

/// Where pages come from.
pub(super) struct Pages {
    egress: Egress,
    limits: Limits,
    folders: Vec<Corpus>,
    /// What hosts ask; none where it does not count.
    robots: Option<Hosts>,
    kept: Mutex<VecDeque<(Instant, String, Arc<Page>)>>,
}

impl Pages {
    /// Pages of folders, and of what `egress` may ask.
    pub fn new(
        egress: Egress,
        limits: Limits,
        folders: Vec<Corpus>,
        robots: Option<Hosts>,
    ) -> Self {
        Self {
            egress,
            limits,
            folders,
            robots,
            kept: Mutex::default(),
        }
    }

    /// A page.
    ///
    /// # Errors
    /// A URL that is none or may not be asked, a server that does not answer, and what is no page: a PDF, a picture.
    pub async fn get(&self, url: &str, cx: &CallContext) -> Result<Arc<Page>, CallError> {
        let mut url = Url::parse(url.trim()).map_err(|error| {
            let message = format!("`url` is no URL: {error}");
            CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("write it whole: https://example.org/page.html")
        })?;
        url.set_fragment(None);
        if let Some(page) = self.known(url.as_str()) {
            return Ok(page);
        }
        let page = Arc::new(self.fetch(&url, cx).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, name, _)| *name != url.as_str());
        kept.truncate(MOST_KEPT - 1);
        kept.push_front((Instant::now(), url.into(), Arc::clone(&page)));
        Ok(page)
    }

    fn known(&self, url: &str) -> Option<Arc<Page>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh =
            |(read, name, _): &&(Instant, String, Arc<Page>)| name == url && read.elapsed() < KEPT;
        kept.iter().find(fresh).map(|(_, _, page)| Arc::clone(page))
    }

    async fn fetch(&self, url: &Url, cx: &CallContext) -> Result<Page, CallError> {
        if let Some(folder) = self.folders.iter().find(|folder| folder.has(url)) {
            let (kind, bytes) = folder.read(url).await?;
            return written(url.clone(), kind, bytes, Vec::new()).await;
        }
        if let Some(robots) = &self.robots {
            // What may not be asked is not asked for its robots.txt either.
            self.egress.check(url)?;
            robots.check(&self.egress, url, cx).await?;
        }
        let mut request = Request::new(Method::GET, url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let answer = self.egress.send(request, &self.limits, cx).await?;
        if let Some(error) = failed(&answer) {
            return Err(error);
        }
        if let Some(robots) = self.robots.as_ref().filter(|_| answer.url != *url) {
            robots.check(&self.egress, &answer.url, cx).await?;
        }
        let mut notes = Vec::new();
        if answer.cut {
            let bytes = self.limits.bytes;
            notes.push(format!(
                "the page has more than {bytes} bytes, and the rest is not here"
            ));
        }
        let told = answer.header("content-type").unwrap_or_default().to_owned();
        written(answer.url, &told, answer.body, notes).await
    }
}

/// What a page is in.
enum Form {
    Html,
    Text,
}

/// The form of a type of bytes.
///
/// # Errors
/// What it is instead of a page.
fn form(kind: &str, bytes: &[u8]) -> Result<Form, String> {
    let start = &bytes[..bytes.len().min(512)];
    let first = start.trim_ascii_start();
    if kind == "application/pdf" || first.starts_with(b"%PDF-") {
        return Err("a PDF; documents are read by knowledge bases, not as pages".to_owned());
    }
    match kind {
        "text/html" | "application/xhtml+xml" => Ok(Form::Html),
        "" if first.starts_with(b"<") => Ok(Form::Html),
        "" | "application/json" => Ok(Form::Text),
        kind if kind.starts_with("text/") || kind.ends_with("+json") => Ok(Form::Text),
        kind => Err(format!("of the type {kind}, and no page or text")),
    }
}

/// Bytes of a page in Markdown.
async fn written(
    url: Url,
    content_type: &str,
    bytes: Vec<u8>,
    mut notes: Vec<String>,
) -> Result<Page, CallError> {
    let told = content_type.to_owned();
    let shown = url.clone();
    // A page may be large, and a parser may be wrong: neither holds up others.
    let work = tokio::task::spawn_blocking(move || -> Result<Written, String> {
        let kind = told.split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let form = form(&kind, &bytes)?;
        let html = matches!(form, Form::Html);
        let text = decode(&told, &bytes, html).ok_or_else(|| "binary data".to_owned())?;
        Ok(match form {
            Form::Html => markdown(&text, Some(&url)),
            Form::Text => Written {
                markdown: text,
                ..Written::default()
            },
        })
    });
    let page = work.await.map_err(CallError::failure)?;
    let page = page.map_err(|what| {
        let message = format!("`{shown}` is {what}");
        CallError::new(ErrorCode::InvalidRequest, message).with_hint("look for another page")
    })?;
    if page.left_out > TOLD {
        let share = page.left_out;
        notes.push(format!(
            "{share} % of its text was taken for menus and left out"
        ));
    }
    if page.markdown.trim().is_empty() {
        notes
            .push("the page has no text; scripts may make it, and they do not run here".to_owned());
    }
    Ok(Page {
        url: shown.into(),
        title: page.title,
        markdown: page.markdown,
        notes,
    })
}
