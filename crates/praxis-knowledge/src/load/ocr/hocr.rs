//! hOCR, the HTML in which engines tell what they read, to areas. Left out: all of it but areas, lines and words.

use super::{Area, Line, Place, Word};
use crate::load::xml::{self, Event};

/// Lines of a page beyond which it is no page that people read.
const MAX_LINES: usize = 20_000;

/// The areas of a page, in the file's order. What makes no sense is left out.
pub(in crate::load) fn areas(hocr: &str) -> Vec<Area> {
    let mut areas: Vec<Area> = Vec::new();
    let (mut lines, mut in_word) = (0, false);
    let read = xml::each_lenient(hocr, |event| match event {
        Event::Start(_, attributes) => {
            let title = || attributes.get("title").unwrap_or_default();
            match attributes.get("class").as_deref() {
                Some("ocr_carea") => areas.push(Area::new()),
                Some("ocr_line" | "ocr_header" | "ocr_caption" | "ocr_textfloat") => {
                    lines += 1;
                    if areas.is_empty() {
                        areas.push(Area::new());
                    }
                    if let Some(area) = areas.last_mut().filter(|_| lines <= MAX_LINES) {
                        area.push(line(&title()));
                    }
                }
                Some("ocrx_word") => {
                    let open = areas.last_mut().and_then(|area| area.last_mut());
                    if let Some(line) = open {
                        line.words.push(word(&title()));
                    }
                    in_word = true;
                }
                _ => {}
            }
        }
        Event::Text(text) if in_word => {
            let line = areas.last_mut().and_then(|area| area.last_mut());
            if let Some(word) = line.and_then(|line| line.words.last_mut()) {
                word.text.push_str(text.trim());
            }
        }
        Event::Text(_) => {}
        Event::End(name) => in_word &= name != "span",
    });
    if let Err(error) = read {
        tracing::debug!(%error, "hOCR of a page");
    }
    for area in &mut areas {
        area.retain(|line| !line.words.is_empty());
    }
    areas.retain(|area| !area.is_empty());
    areas
}

/// The numbers behind a key of a title such as `bbox 0 0 9 9; x_wconf 96`.
fn numbers<'t>(title: &'t str, key: &str) -> impl Iterator<Item = f64> + 't {
    let part = title.split(';').find_map(|part| {
        let rest = part.trim().strip_prefix(key)?;
        rest.starts_with(' ').then_some(rest)
    });
    let words = part.unwrap_or_default().split_whitespace();
    words.map_while(|word| word.parse().ok().filter(|n: &f64| n.is_finite()))
}

fn place(title: &str) -> Place {
    let mut sides = numbers(title, "bbox");
    let mut side = || sides.next().unwrap_or_default();
    Place {
        left: side(),
        top: side(),
        right: side(),
        bottom: side(),
    }
}

fn line(title: &str) -> Line {
    let place = place(title);
    let offset = numbers(title, "baseline").nth(1).unwrap_or_default();
    Line {
        words: Vec::new(),
        baseline: place.bottom + offset,
        upright: numbers(title, "textangle").next().unwrap_or_default() == 0.0,
    }
}

fn word(title: &str) -> Word {
    Word {
        text: String::new(),
        confidence: numbers(title, "x_wconf").next().unwrap_or_default() as f32,
        place: place(title),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0"?><html><head><title></title></head><body>
  <div class='ocr_page' id='page_1' title='image "stdin"; bbox 0 0 1749 2481; ppageno 0'>
   <div class='ocr_carea' title="bbox 168 190 870 255">
    <p class='ocr_par' lang='eng' title="bbox 168 190 870 255">
     <span class='ocr_header' title="bbox 168 190 870 255; baseline -0.024 -2; x_size 53.5; x_descenders 7.3">
      <span class='ocrx_word' title='bbox 168 192 329 255; x_wconf 96'>Q&amp;A</span>
      <span class='ocrx_word' title='bbox 361 186 434 259; x_wconf 40'><strong>手册</strong></span>
     </span>
    </p>
   </div>
   <div class='ocr_carea' title="bbox 0 0 9 9"></div>
   <div class='ocr_carea' title="bbox 0 300 9 400">
     <span class='ocr_line' title="bbox 0 300 20 400; textangle 90"><span class='ocrx_word'>&#65;</span></span>
   </div></div></body></html>"#;

    #[test]
    fn areas_lines_and_words_have_their_places() {
        let areas = areas(PAGE);
        assert_eq!(areas.len(), 2);
        let heading = &areas[0][0];
        assert_eq!(heading.baseline, 253.0);
        assert!(heading.upright && !areas[1][0].upright);
        let words: Vec<_> = areas
            .iter()
            .flatten()
            .flat_map(|l| &l.words)
            .map(|w| (w.text.as_str(), w.confidence))
            .collect();
        assert_eq!(words, [("Q&A", 96.0), ("手册", 40.0), ("A", 0.0)]);
        assert_eq!(
            heading.words[0].place,
            Place {
                left: 168.0,
                top: 192.0,
                right: 329.0,
                bottom: 255.0
            }
        );
    }

    #[test]
    fn a_page_that_is_cut_or_makes_no_sense_costs_only_itself() {
        for end in 0..PAGE.len() {
            if PAGE.is_char_boundary(end) {
                areas(&PAGE[..end]);
            }
        }
        let strange = "<span class='ocr_line' title='bbox a; x_size nan; baseline 1'><span class='ocrx_word' title='x_wconf 1e999'>x";
        let areas = areas(strange);
        assert_eq!(areas[0][0].words[0].confidence, 0.0);
        assert_eq!(areas[0][0].baseline, 0.0);
    }
}
