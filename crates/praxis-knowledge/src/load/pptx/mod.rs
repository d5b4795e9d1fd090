//! PPTX (Office Open XML, ECMA-376): slides in the order in which they are shown, each with its title as
//! heading, its number as page, its bullets, tables, diagrams and speaker notes. Left out: pictures,
//! charts, comments, dates and footers, and slides that are hidden, which a note tells.

mod slide;

use std::collections::HashMap;

use super::package::Package;
use super::{LoadError, LoadLimits, xml};
use crate::document::{BlockKind, Builder, LoadedDocument};

/// The document of a PPTX file.
///
/// # Errors
/// [`LoadError::Damaged`], or [`LoadError::TooLarge`] for what unpacks beyond the limit.
pub(super) fn load(
    bytes: &[u8],
    name: &str,
    limits: LoadLimits,
) -> Result<LoadedDocument, LoadError> {
    let mut package = Package::open(bytes, limits)?;
    let main = package.main_part("ppt/presentation.xml")?;
    let presentation = package
        .part(&main)?
        .ok_or_else(|| LoadError::Damaged(format!("it has no {main}, so it is no presentation")))?;
    let mut order = Vec::new();
    xml::each(&presentation, |event| {
        if let xml::Event::Start("sldId", attributes) = event {
            order.extend(attributes.relation());
        }
    })?;
    let parts = package.relations(&main)?.into_iter();
    let mut parts: HashMap<String, String> = parts.map(|part| (part.id, part.target)).collect();
    // Each slide once, however often it is named.
    let paths = order.iter().filter_map(|id| parts.remove(id));

    let mut builder = Builder::default();
    let mut hidden = Vec::new();
    let mut broken = Vec::new();
    for (number, path) in (1u32..).zip(paths.collect::<Vec<_>>()) {
        match add(&mut package, &path, number, &mut builder) {
            Ok(Shown::Yes) => {}
            Ok(Shown::No) => hidden.push(number),
            Err(error @ LoadError::TooLarge { .. }) => return Err(error),
            Err(_) => broken.push(number),
        }
    }
    let (title, about) = package.properties()?;
    let title = title.filter(|t| is_proper(t));
    let mut document = builder.finish(title, name);
    document.metadata = about;
    if document.blocks.is_empty() && !broken.is_empty() {
        return Err(LoadError::Damaged("no slide of it can be read".to_owned()));
    }
    for (numbers, what) in [
        (broken, "cannot be read"),
        (hidden, "is hidden and left out"),
    ] {
        let each = numbers.iter().map(|n| format!("slide {n} {what}"));
        document.notes.extend(super::few(each));
    }
    Ok(document)
}

/// Whether a slide is shown.
enum Shown {
    Yes,
    No,
}

/// Adds a slide, what is drawn on it and what is said to it.
fn add(
    package: &mut Package<'_>,
    path: &str,
    number: u32,
    builder: &mut Builder,
) -> Result<Shown, LoadError> {
    let text = package
        .part(path)?
        .ok_or_else(|| LoadError::Damaged(format!("{path} is missing")))?;
    let slide = slide::read(&text)?;
    if slide.hidden {
        return Ok(Shown::No);
    }
    let mut drawn = Vec::new();
    let mut said = Vec::new();
    for part in package.relations(path)? {
        if part.kind.ends_with("/diagramData") {
            let text = package.part(&part.target)?.unwrap_or_default();
            drawn.extend(slide::diagram(&text)?);
        } else if part.kind.ends_with("/notesSlide") {
            let text = package.part(&part.target)?.unwrap_or_default();
            said.extend(slide::notes(&text)?);
        }
    }
    let page = Some(number);
    if slide.blocks.is_empty() && drawn.is_empty() && said.is_empty() && slide.title.is_empty() {
        return Ok(Shown::Yes);
    }
    // A slide without a title begins a section all the same.
    let title = match slide.title.as_str() {
        "" => format!("Slide {number}"),
        title => title.to_owned(),
    };
    builder.push(BlockKind::Heading(1), &title, page);
    for (kind, text) in slide.blocks {
        builder.push(kind, &text, page);
    }
    for text in drawn {
        builder.push(BlockKind::ListItem, &format!("- {text}"), page);
    }
    for (i, text) in said.iter().enumerate() {
        let mark = if i == 0 { "Notes: " } else { "" };
        builder.push(BlockKind::Paragraph, &format!("{mark}{text}"), page);
    }
    Ok(Shown::Yes)
}

/// Whether a person gave this title; PowerPoint fills in one of its own.
fn is_proper(title: &str) -> bool {
    let lower = title.trim().to_lowercase();
    !lower.starts_with("powerpoint") && !lower.starts_with("slide 1") && lower != "untitled"
}
