//! Pictures: PNG, JPEG, WebP and TIFF with all its pages, recognized. Left out: other formats of pictures, and
//! pictures inside of documents other than PDF.

use super::ocr::Ocr;
use super::{LoadError, Loading};
use crate::document::LoadedDocument;

/// The document of a picture, with pages where it has several.
///
/// # Errors
/// [`LoadError::NoText`] where nothing is recognized, or nobody can; [`LoadError::Damaged`].
pub(super) fn load(bytes: &[u8], name: &str, how: &Loading) -> Result<LoadedDocument, LoadError> {
    match &how.ocr {
        #[cfg(feature = "ocr")]
        Ocr::Ready(reader) => recognized::load(bytes, name, reader, &how.pulse),
        Ocr::Missing(missing) => {
            let _ = (bytes, name);
            Err(missing.no_text("it is a picture".to_owned()))
        }
    }
}

#[cfg(feature = "ocr")]
mod recognized {
    use std::borrow::Cow;
    use std::io::Cursor;

    use image::imageops::FilterType;
    use image::metadata::Orientation;
    use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

    use crate::document::{Builder, LoadedDocument};
    use crate::load::ocr::{MAX_PIXELS, Pixels, Reader};
    use crate::load::pdf::{self, Recognized};
    use crate::load::{LoadError, Pulse, few};

    /// The most pixels that are unpacked; a picture of more than are looked at is made smaller.
    const MAX_UNPACKED: u64 = 150_000_000;

    /// The most bytes that are unpacked.
    const MAX_BYTES: u64 = 4 * MAX_UNPACKED;

    /// A picture of fewer pixels is made larger: that of a screen has letters too small for the engine.
    const SMALL: u64 = 1_000_000;

    /// Dots per inch that a picture is taken to have; only how lines compare matters.
    const DPI: f64 = 300.0;

    pub fn load(
        bytes: &[u8],
        name: &str,
        reader: &Reader,
        pulse: &Pulse,
    ) -> Result<LoadedDocument, LoadError> {
        let all = pages(bytes, reader.config.max_pages + 1);
        let beyond = all.len() > reader.config.max_pages;
        let several = all.len() > 1;
        let (mut recognized, mut failures) = (Vec::new(), Vec::new());
        for (number, page) in (1u32..).zip(all).take(reader.config.max_pages) {
            let areas = pixels(&page).and_then(|pixels| {
                let areas = reader
                    .read(&pixels)
                    .map_err(|error| no_text(format!("it {error}")))?;
                Ok((areas, pixels.height()))
            });
            match areas {
                Ok((areas, height)) => recognized.push(Recognized {
                    number,
                    areas,
                    height,
                    dpi: DPI,
                }),
                Err(error) if !several => return Err(error),
                Err(error) => failures.push(format!("page {number} {error}")),
            }
            pulse.beat();
        }
        let mut builder = Builder::default();
        pdf::recognized_blocks(recognized, &mut builder);
        let mut document = builder.finish(None, name);
        if document.blocks.is_empty() {
            return Err(no_text(match failures.into_iter().next() {
                Some(failure) => failure,
                None => "no text is recognized in it".to_owned(),
            }));
        }
        document.notes = few(failures.into_iter());
        if beyond {
            document.notes.push(format!(
                "pages beyond {} are left out, because of `max_pages` under [ocr]",
                reader.config.max_pages
            ));
        }
        if !several {
            for block in &mut document.blocks {
                block.page = None;
            }
        }
        Ok(document)
    }

    fn no_text(reason: String) -> LoadError {
        LoadError::NoText {
            reason,
            fix: "exclude it, or give it in a sharper picture".to_owned(),
        }
    }

    /// A picture for each page. The pages of a TIFF are a chain of directories, and a decoder shows the one
    /// that the header names.
    fn pages(bytes: &[u8], most: usize) -> Vec<Cow<'_, [u8]>> {
        let starts = directories(bytes, most).unwrap_or_default();
        if starts.len() < 2 {
            return vec![Cow::Borrowed(bytes)];
        }
        let page = |start: [u8; 4]| {
            let mut page = bytes.to_vec();
            page[4..8].copy_from_slice(&start);
            Cow::Owned(page)
        };
        starts.into_iter().map(page).collect()
    }

    /// Where the directories of a TIFF are, as its header writes it; some, if the chain is broken.
    fn directories(bytes: &[u8], most: usize) -> Option<Vec<[u8; 4]>> {
        let little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let four = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        let number = |four: [u8; 4]| match little {
            true => u32::from_le_bytes(four),
            false => u32::from_be_bytes(four),
        };
        let mut starts: Vec<[u8; 4]> = Vec::new();
        let mut next = four(4);
        while let Some(start) = next.filter(|s| number(*s) != 0 && !starts.contains(s)) {
            if starts.len() >= most {
                break;
            }
            starts.push(start);
            let at = number(start) as usize;
            let count = bytes.get(at..at + 2).map(|two| match little {
                true => u16::from_le_bytes([two[0], two[1]]),
                false => u16::from_be_bytes([two[0], two[1]]),
            });
            next = count.and_then(|count| four(at + 2 + 12 * usize::from(count)));
        }
        Some(starts)
    }

    /// The pixels of a picture as they are looked at: upright as its camera says, on white paper, neither tiny nor
    /// huge.
    fn pixels(bytes: &[u8]) -> Result<Pixels, LoadError> {
        let damaged = |error: image::ImageError| LoadError::Damaged(error.to_string());
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| LoadError::Damaged(error.to_string()))?;
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_UNPACKED || decoder.total_bytes() > MAX_BYTES
        {
            return Err(no_text(format!(
                "it has {width} x {height} pixels, which is over the limit"
            )));
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        picture.apply_orientation(orientation);
        let mut gray = picture.into_luma_alpha8();
        for pixel in gray.pixels_mut() {
            let [shade, opacity] = pixel.0.map(u32::from);
            pixel.0[0] = ((shade * opacity + 255 * (255 - opacity)) / 255) as u8;
            pixel.0[1] = 255;
        }
        let gray = DynamicImage::from(gray).into_luma8();
        let count = u64::from(width) * u64::from(height);
        let scale = if count > MAX_PIXELS {
            (MAX_PIXELS as f64 / count as f64).sqrt()
        } else if count < SMALL {
            2.0
        } else {
            1.0
        };
        let side = |pixels: u32| ((f64::from(pixels) * scale) as u32).max(1);
        let gray = if scale == 1.0 {
            gray
        } else {
            let (width, height) = (side(gray.width()), side(gray.height()));
            image::imageops::resize(&gray, width, height, FilterType::CatmullRom)
        };
        let (width, height) = (gray.width() as usize, gray.height() as usize);
        Pixels::new(width, height, gray.into_raw(), None)
            .ok_or_else(|| LoadError::Damaged("it has no pixels".to_owned()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_pages_of_a_tiff_are_found_and_a_ring_of_them_ends() {
            let tiff = |next: u32| {
                [
                    &b"II*\0\x08\0\0\0"[..],
                    &[0, 0],
                    &14u32.to_le_bytes(),
                    &[0, 0],
                    &next.to_le_bytes(),
                ]
                .concat()
            };
            let starts = |bytes: &[u8]| directories(bytes, 9).unwrap();
            assert_eq!(starts(&tiff(0)), [[8, 0, 0, 0], [14, 0, 0, 0]]);
            assert_eq!(starts(&tiff(8)).len(), 2);
            assert_eq!(starts(&tiff(u32::MAX)).len(), 3);
            assert_eq!(directories(&tiff(0), 1).unwrap().len(), 1);
            assert_eq!(directories(b"\x89PNG", 9), None);
            assert_eq!(pages(&tiff(0), 9)[1][4], 14);
        }
    }
}
