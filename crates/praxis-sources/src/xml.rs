//! The text of XML's elements, piece by piece. Left out: which elements there are.

use quick_xml::events::Event;

/// Adds what an event says to a text, with its references resolved; nothing of what is no text.
pub(crate) fn add_text(text: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(more) => text.push_str(more),
        Event::CData(more) => text.push_str(more),
        Event::GeneralRef(entity) => {
            if let Some(c) = entity.resolve_char_ref().ok().flatten() {
                text.push(c);
            } else if let Some(resolved) = quick_xml::escape::resolve_predefined_entity(entity) {
                text.push_str(resolved);
            }
        }
        _ => {}
    }
}
