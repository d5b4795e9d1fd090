//! Documents of the application's knowledge bases as resources, `praxis://knowledge/BASE/documents/ID`. A caller is
//! told of those that it may read. Left out: vector stores, which are clients' own and have an API of theirs.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Clearance, DocumentId, ErrorCode, VECTOR_STORE};
use praxis_knowledge::Knowledge;
use praxis_store::{DocumentHead, Store};
use rmcp::model::{Annotations, Resource, ResourceContents, ResourceTemplate};

use super::completion;
use super::server::{Listed, ServerResources};

/// What all their URIs begin with.
const START: &str = "praxis://knowledge/";

/// How their URIs are written (RFC 6570).
const TEMPLATE: &str = "praxis://knowledge/{base}/documents/{id}";

/// The type of their texts.
const KIND: &str = "text/plain";

/// Documents that are read at a time to see whether the list has changed, and how often.
const AT_ONCE: usize = 1000;
const MOST_PAGES: usize = 100;

/// What stands between base and document in the entry that a page ends with.
const BETWEEN: char = '\n';

/// Documents of the application's knowledge bases.
pub(super) struct Documents {
    knowledge: Arc<Knowledge>,
    store: Store,
}

impl Documents {
    pub(super) fn new(knowledge: Arc<Knowledge>, store: Store) -> Self {
        Self { knowledge, store }
    }

    /// The application's bases, by name.
    fn bases(&self, clearance: &Clearance) -> Vec<String> {
        let mut names = self.knowledge.names(clearance);
        names.retain(|name| !name.starts_with(VECTOR_STORE));
        names.sort();
        names
    }

    /// Up to `most` documents of a base that can be read, behind one of them, and whether there are more.
    async fn page(
        &self,
        base: &str,
        after: Option<&str>,
        most: usize,
        clearance: &Clearance,
    ) -> Result<(Vec<DocumentHead>, bool), CallError> {
        let page = self
            .knowledge
            .document_page(base, after, most, clearance)
            .await?;
        Ok((page.items, page.has_more))
    }
}

/// A document's URI.
fn uri(base: &str, id: &str) -> String {
    format!("{START}{}/documents/{}", escaped(base), escaped(id))
}

/// The document that a URI names, if it is one of ours.
fn id(uri: &str) -> Option<DocumentId> {
    let (_, id) = uri.strip_prefix(START)?.split_once("/documents/")?;
    Some(DocumentId::from_string(unescaped(id)?))
}

/// A text as a segment of a path (RFC 3986, "unreserved").
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
    }
    all
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (char::from(rest.next()?), char::from(rest.next()?));
        let value = high.to_digit(16)? * 16 + low.to_digit(16)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn resource(base: &str, head: &DocumentHead) -> Resource {
    let id = head.id.as_str();
    let mut resource = Resource::new(uri(base, id), head.uri.clone())
        .with_description(format!("A document of the knowledge base `{base}`."))
        .with_mime_type(KIND);
    if !head.title.is_empty() {
        resource = resource.with_title(head.title.clone());
    }
    let modified = jiff::Timestamp::from_nanosecond(i128::from(head.modified)).ok();
    if let Some(modified) = modified.filter(|_| head.modified > 0) {
        let mut annotations = Annotations::default();
        annotations.last_modified = Some(modified.to_string());
        resource = resource.with_annotations(annotations);
    }
    resource
}

#[async_trait]
impl ServerResources for Documents {
    async fn list(
        &self,
        after: Option<&str>,
        most: usize,
        cx: &CallContext,
    ) -> Result<(Vec<(String, Resource)>, bool), CallError> {
        let clearance = &cx.caller().clearance;
        let after = after.and_then(|after| after.split_once(BETWEEN));
        let mut bases = self.bases(clearance).into_iter().peekable();
        let mut all = Vec::new();
        while let Some(base) = bases.next() {
            let mut behind = match after {
                Some((last, _)) if base.as_str() < last => continue,
                Some((last, document)) if base == last => Some(document.to_owned()),
                _ => None,
            };
            // A page may hold documents that could not be read, of which nobody is told.
            loop {
                let room = most.saturating_sub(all.len()).max(1);
                let (heads, more) = self.page(&base, behind.as_deref(), room, clearance).await?;
                let readable = heads.iter().filter(|head| head.error.is_none());
                all.extend(readable.map(|head| {
                    (
                        format!("{base}{BETWEEN}{}", head.uri),
                        resource(&base, head),
                    )
                }));
                if all.len() >= most {
                    return Ok((all, more || bases.peek().is_some()));
                }
                behind = heads.last().map(|head| head.uri.clone());
                if !more || behind.is_none() {
                    break;
                }
            }
        }
        Ok((all, false))
    }

    fn templates(&self) -> Vec<ResourceTemplate> {
        let template = ResourceTemplate::new(TEMPLATE, "document")
            .with_title("A document")
            .with_description("A document of a knowledge base, by the base and the document's id.")
            .with_mime_type(KIND);
        vec![template]
    }

    async fn read(
        &self,
        asked: &str,
        cx: &CallContext,
    ) -> Result<Option<Vec<ResourceContents>>, CallError> {
        let clearance = &cx.caller().clearance;
        let Some(id) = id(asked) else {
            return Ok(None);
        };
        let document = match self.knowledge.document(&id, clearance).await {
            Ok(document) => document,
            Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_ours = self.bases(clearance).contains(&document.base);
        if !is_ours || uri(&document.base, id.as_str()) != asked {
            return Ok(None);
        }
        let contents = ResourceContents::text(document.text, asked).with_mime_type(KIND);
        Ok(Some(vec![contents]))
    }

    async fn version(&self, asked: &str, cx: &CallContext) -> Result<Option<String>, CallError> {
        let Some(id) = id(asked) else {
            return Ok(None);
        };
        let head = self.store.head(&id, &cx.caller().clearance).await;
        let head = head.map_err(CallError::failure)?;
        Ok(head.map(|head| format!("{} {}", head.hash, head.modified)))
    }

    async fn listed(&self, before: Option<&Listed>, cx: &CallContext) -> Result<Listed, CallError> {
        let clearance = &cx.caller().clearance;
        let bases = self.bases(clearance);
        let mut stamp = String::new();
        for base in &bases {
            let found = self.store.base(base).await.map_err(CallError::failure)?;
            let (generation, revision) =
                found.map_or((0, 0), |found| (found.generation, found.revision));
            stamp.push_str(&format!("{base} {generation} {revision}\n"));
        }
        // What others may read changes the stamp, and must not be told.
        if let Some(before) = before.filter(|before| before.stamp == stamp) {
            return Ok(before.clone());
        }
        let mut seen = blake3::Hasher::new();
        let mut pages = 0;
        for base in &bases {
            let mut after: Option<String> = None;
            loop {
                let (heads, more) = self
                    .page(base, after.as_deref(), AT_ONCE, clearance)
                    .await?;
                for head in heads.iter().filter(|head| head.error.is_none()) {
                    seen.update(format!("{base}\n{}\n{}\n", head.id, head.title).as_bytes());
                }
                pages += 1;
                match heads.last() {
                    Some(last) if more && pages < MOST_PAGES => after = Some(last.uri.clone()),
                    _ => break,
                }
            }
        }
        Ok(Listed {
            stamp,
            seen: seen.finalize().to_hex().to_string(),
        })
    }

    fn complete(
        &self,
        template: &str,
        variable: &str,
        typed: &str,
        cx: &CallContext,
    ) -> Vec<String> {
        if template != TEMPLATE || variable != "base" {
            return Vec::new();
        }
        completion::fitting(self.bases(&cx.caller().clearance), typed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_uri_of_ours_names_no_document() {
        for text in [
            "",
            "file:///etc/passwd",
            "praxis://knowledge/handbook",
            "praxis://knowledge/handbook/documents/%",
            "praxis://knowledge/handbook/documents/%zz",
            "praxis://knowledge/handbook/documents/%ff",
        ] {
            assert!(id(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_uri_names_its_document(base in ".{1,20}", document in ".{1,20}") {
            let whole = uri(&base, &document);
            prop_assert!(whole.is_ascii());
            let found = id(&whole).unwrap();
            prop_assert_eq!(found.as_str(), document.as_str());
        }
    }
}
