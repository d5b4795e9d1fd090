//! XML as office programs write it, by local names: which prefix a namespace has is the writer's choice.
//! Left out: document types, which Office Open XML forbids, and with them every entity of one's own.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Raw};

use crate::load::LoadError;

/// Elements inside each other beyond which a part is no document.
const MAX_DEPTH: usize = 4096;

/// What a part is read as.
pub(super) enum Event<'a> {
    /// An element begins: its local name and attributes. Empty elements begin and end.
    Start(&'a str, Attributes<'a>),
    /// An element ends.
    End(&'a str),
    /// Text, with its entities resolved.
    Text(&'a str),
}

/// Attributes of an element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl Attributes<'_> {
    /// The value of an attribute, by its local name.
    pub fn get(&self, name: &str) -> Option<String> {
        let found = self
            .0
            .attributes()
            .with_checks(false)
            .filter_map(Result::ok)
            .find(|a| a.key.local_name().as_ref() == name)?;
        let raw = found.value.into_owned();
        Some(match quick_xml::escape::unescape(&raw) {
            Ok(text) => text.into_owned(),
            Err(_) => raw.clone(),
        })
    }

    /// The relationship that the element names: an `id` with a prefix, unlike its own.
    pub fn relation(&self) -> Option<String> {
        let found = self
            .0
            .attributes()
            .with_checks(false)
            .filter_map(Result::ok)
            .find(|a| a.key.local_name().as_ref() == "id" && a.key.prefix().is_some())?;
        Some(found.value.into_owned())
    }

    /// Whether the attribute `val`, which is true if it is not there, switches something on.
    pub fn is_on(&self) -> bool {
        !matches!(
            self.get("val").as_deref(),
            Some("0" | "false" | "off" | "none")
        )
    }
}

/// What is done with a document type. Entities that it declares are dropped either way.
#[derive(Clone, Copy, PartialEq)]
enum Doctype {
    Refused,
    PassedOver,
}

/// Calls `handle` with each event of a part.
///
/// # Errors
/// [`LoadError::Damaged`], also for a document type and for absurd nesting.
pub(super) fn each(text: &str, handle: impl FnMut(Event<'_>)) -> Result<(), LoadError> {
    walk(text, Doctype::Refused, handle)
}

/// The same for formats that may have a document type.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn each_lenient(text: &str, handle: impl FnMut(Event<'_>)) -> Result<(), LoadError> {
    walk(text, Doctype::PassedOver, handle)
}

fn walk(text: &str, doctype: Doctype, mut handle: impl FnMut(Event<'_>)) -> Result<(), LoadError> {
    let damaged = |e: &dyn std::fmt::Display| LoadError::Damaged(format!("its XML is broken: {e}"));
    let mut reader = Reader::from_str(text);
    let mut depth = 0usize;
    loop {
        match reader.read_event().map_err(|e| damaged(&e))? {
            Raw::Start(e) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(damaged(&"it nests too deep"));
                }
                start(&e, &mut handle);
            }
            Raw::Empty(e) => {
                start(&e, &mut handle);
                handle(Event::End(e.local_name().as_ref()));
            }
            Raw::End(e) => {
                depth = depth.saturating_sub(1);
                handle(Event::End(e.local_name().as_ref()));
            }
            Raw::Text(text) => handle(Event::Text(&text)),
            Raw::CData(text) => handle(Event::Text(&text)),
            Raw::GeneralRef(entity) => {
                let character = entity.resolve_char_ref().ok().flatten();
                if let Some(c) = character {
                    handle(Event::Text(c.encode_utf8(&mut [0; 4])));
                } else if let Some(text) = quick_xml::escape::resolve_predefined_entity(&entity) {
                    handle(Event::Text(text));
                }
            }
            Raw::DocType(_) if doctype == Doctype::Refused => {
                return Err(LoadError::Damaged(
                    "it declares an XML document type, which is not allowed there".to_owned(),
                ));
            }
            Raw::Eof if depth > 0 => return Err(damaged(&"it ends too early")),
            Raw::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn start(element: &BytesStart<'_>, handle: &mut impl FnMut(Event<'_>)) {
    let name = element.local_name();
    handle(Event::Start(name.as_ref(), Attributes(element)));
}

/// The text of the first element of a name.
///
/// # Errors
/// [`LoadError::Damaged`].
pub(super) fn element_text(text: &str, name: &str) -> Result<Option<String>, LoadError> {
    let (mut inside, mut found) = (false, None::<String>);
    each(text, |event| match event {
        Event::Start(n, _) if n == name => inside = found.is_none(),
        Event::End(n) if n == name => inside = false,
        Event::Text(part) if inside => found.get_or_insert_default().push_str(part),
        _ => {}
    })?;
    Ok(found)
}

/// A part's bytes as text: XML is in UTF-8 or UTF-16.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, &'static str> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(&bytes) {
        let (text, broken) = encoding.decode_without_bom_handling(&bytes[mark..]);
        return if broken {
            Err("it is not text")
        } else {
            Ok(text.into_owned())
        };
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8")
}
