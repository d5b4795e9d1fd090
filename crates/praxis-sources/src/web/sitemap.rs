//! Site maps: lists of pages and of further maps, as XML or as lines, packed or not. Left out: getting them.

use std::io::Read;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::xml::add_text;

/// The most bytes of a map, unpacked: what the protocol allows, and a bit.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// Elements inside each other beyond which a file is no map.
const MAX_DEPTH: usize = 32;

/// The most pages, or maps, of one file: what the protocol allows.
pub(super) const MAX_PLACES: usize = 50_000;

/// What a map lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SiteMap {
    /// Pages.
    pub pages: Vec<String>,
    /// Further maps.
    pub maps: Vec<String>,
    /// How many more there are than a map may list.
    pub left_out: usize,
}

/// Reads a map.
///
/// # Errors
/// What is wrong with it. A map that is cut would hide pages, so nothing is kept of a broken one.
pub(crate) fn parse(bytes: &[u8]) -> Result<SiteMap, String> {
    let unpacked;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpacked = unpack(bytes, MAX_BYTES)?;
        unpacked.as_slice()
    } else {
        bytes
    };
    let text = match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => encoding.decode_without_bom_handling(&bytes[mark..]).0,
        None => String::from_utf8_lossy(bytes),
    };
    if text.trim_start().starts_with('<') {
        return xml(&text);
    }
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.by_ref().take(MAX_PLACES);
    let pages: Vec<String> = first.map(str::to_owned).collect();
    if pages.is_empty()
        || !pages
            .iter()
            .all(|l| l.starts_with("http://") || l.starts_with("https://"))
    {
        return Err("it is neither XML nor a list of URLs".to_owned());
    }
    Ok(SiteMap {
        pages,
        maps: Vec::new(),
        left_out: lines.count(),
    })
}

/// Bytes of a gzip file, up to a limit.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|e| format!("it is damaged: {e}"))?;
    if out.len() as u64 > limit {
        return Err(format!("it unpacks to more than {limit} bytes"));
    }
    Ok(out)
}

fn xml(text: &str) -> Result<SiteMap, String> {
    let broken = |e: &dyn std::fmt::Display| format!("its XML is broken: {e}");
    let mut reader = Reader::from_str(text);
    let mut map = SiteMap::default();
    let mut path: Vec<String> = Vec::new();
    let mut place = String::new();
    let mut is_map = false;
    loop {
        match reader.read_event().map_err(|e| broken(&e))? {
            Event::Start(element) => {
                // `image:loc` and the like have a prefix of their own within a page.
                let name = element.local_name().as_ref().to_ascii_lowercase();
                is_map |= path.is_empty() && matches!(name.as_str(), "urlset" | "sitemapindex");
                path.push(name);
                if path.len() > MAX_DEPTH {
                    return Err(broken(&"it nests too deep"));
                }
                place.clear();
            }
            Event::End(_) => {
                let list = match path
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .as_slice()
                {
                    [_, "url", "loc"] => Some(&mut map.pages),
                    [_, "sitemap", "loc"] => Some(&mut map.maps),
                    _ => None,
                };
                match list {
                    Some(_) if place.trim().is_empty() => {}
                    Some(list) if list.len() < MAX_PLACES => list.push(place.trim().to_owned()),
                    Some(_) => map.left_out += 1,
                    None => {}
                }
                path.pop();
                place.clear();
            }
            Event::Eof if !path.is_empty() => return Err(broken(&"it ends too early")),
            Event::Eof if !is_map => return Err("it is no site map".to_owned()),
            Event::Eof => return Ok(map),
            other => add_text(&mut place, &other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const MAP: &str = "<?xml version=\"1.0\"?><urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
        xmlns:image=\"x\"><url><loc> https://e.com/a?b=1&amp;c=2 </loc><lastmod>2026-01-01</lastmod>\
        <image:image><image:loc>https://e.com/i.png</image:loc></image:image></url>\
        <url><loc><![CDATA[https://e.com/文]]></loc></url></urlset>";

    #[test]
    fn maps_indexes_lists_and_packed_ones_are_read() {
        let map = parse(MAP.as_bytes()).unwrap();
        assert_eq!(map.pages, ["https://e.com/a?b=1&c=2", "https://e.com/文"]);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(MAP.as_bytes()).unwrap();
        assert_eq!(parse(&packed.finish().unwrap()).unwrap(), map);
        let index =
            "<sitemapindex><sitemap><loc>https://e.com/1.xml</loc></sitemap></sitemapindex>";
        assert_eq!(
            parse(index.as_bytes()).unwrap().maps,
            ["https://e.com/1.xml"]
        );
        assert_eq!(
            parse(b"https://e.com/a\n\nhttps://e.com/b\n")
                .unwrap()
                .pages
                .len(),
            2
        );
    }

    #[test]
    fn what_is_beyond_the_size_of_a_map_is_counted() {
        let more = MAX_PLACES + 3;
        let lines = "https://e.com/a\n".repeat(more);
        let xml = format!(
            "<urlset>{}</urlset>",
            "<url><loc>https://e.com/a</loc></url>".repeat(more)
        );
        for text in [lines, xml] {
            let map = parse(text.as_bytes()).unwrap();
            assert_eq!((map.pages.len(), map.left_out), (MAX_PLACES, 3));
        }
    }

    #[test]
    fn what_is_no_map_or_is_cut_is_an_error() {
        for bad in [
            "",
            "hello",
            "<html><body></body></html>",
            "<urlset><url><loc>https://e.com/a</loc></url>",
            &MAP[..200],
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&vec![b' '; 1 << 20]).unwrap();
        assert!(
            unpack(&packed.finish().unwrap(), 1000)
                .unwrap_err()
                .contains("more than 1000")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_bytes_make_it_fail(
            edits in proptest::collection::vec((0usize..1000, any::<u8>()), 0..12),
            cut in 0usize..1000,
        ) {
            let mut bytes = MAP.as_bytes().to_vec();
            for (at, byte) in edits {
                let len = bytes.len();
                bytes[at % len] = byte;
            }
            bytes.truncate(bytes.len().saturating_sub(cut % 64));
            if let Ok(map) = parse(&bytes) {
                prop_assert!(map.pages.len() + map.maps.len() <= 3);
            }
        }

        #[test]
        fn no_noise_makes_it_fail(bytes in proptest::collection::vec(any::<u8>(), 0..300), packed in any::<bool>()) {
            let mut noise = if packed { vec![0x1f, 0x8b, 8, 0] } else { b"<urlset>".to_vec() };
            noise.extend(bytes);
            let _ = parse(&noise);
        }
    }
}
