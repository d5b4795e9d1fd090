//! Scans of `tests/fixtures/scans`, made from texts of our own, and pictures that are none. Tesseract and its
//! languages must be on the machine: `make test-ocr` installs them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::document::{BlockKind, LoadedDocument, slice};
use crate::load::tests::hostile::damaged;
use crate::load::{LoadError, LoadLimits, Loading, load_bytes, load_guarded};

/// Time that a page which is no text may take before it is given up, in the tests.
const SOON: u64 = 5;

fn scan(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans");
    std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn ready() -> Loading {
    ready_with(OcrConfig::default())
}

fn ready_with(config: OcrConfig) -> Loading {
    match Ocr::new(&config) {
        Ocr::Missing(missing) => panic!("{:?}: {}", missing.reason, missing.fix),
        ready => Loading::new(LoadLimits::default(), ready),
    }
}

/// What a picture was made from: a heading or a paragraph a line, pages apart.
fn truth(name: &str) -> Vec<Vec<(BlockKind, String)>> {
    let text = String::from_utf8(scan(name)).unwrap();
    let block = |line: &str| match line.strip_prefix("# ") {
        Some(heading) => (BlockKind::Heading(1), heading.to_owned()),
        None => (BlockKind::Paragraph, line.to_owned()),
    };
    let page = |page: &str| {
        let lines = page.lines().filter(|line| !line.trim().is_empty());
        lines.map(block).collect()
    };
    text.split("---\n").map(page).collect()
}

/// Least number of characters to add, drop or change.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Share of a text's characters that are wrong; spaces do not count, which no one sees between Chinese characters.
fn error_rate(truth: &str, read: &str) -> f64 {
    let characters =
        |text: &str| -> Vec<char> { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let truth = characters(truth);
    distance(&truth, &characters(read)) as f64 / truth.len() as f64
}

fn blocks(document: &LoadedDocument) -> Vec<(BlockKind, Option<u32>, &str)> {
    let block =
        |b: &crate::document::Block| (b.kind, b.page, slice(&document.text, b.start, b.end));
    document.blocks.iter().map(block).collect()
}

/// Each scan, its text, the pages of it that it shows, and the share of characters that may be wrong.
const SCANS: &[(&str, &str, &[usize], f64)] = &[
    ("english.pdf", "english.txt", &[0, 1], 0.01),
    ("chinese.pdf", "chinese.txt", &[0], 0.02),
    ("mixed.pdf", "mixed.txt", &[0], 0.04),
    ("worn.pdf", "mixed.txt", &[0], 0.05),
    ("fax.tiff", "english.txt", &[0, 1], 0.01),
    ("photo.jpg", "english.txt", &[1], 0.03),
    ("page.webp", "chinese.txt", &[0], 0.03),
    ("screen.png", "mixed.txt", &[0], 0.06),
];

#[test]
fn scans_are_read_with_few_wrong_characters() {
    let how = ready();
    let mut wrong = Vec::new();
    for (name, text, shown, most) in SCANS {
        let start = Instant::now();
        let document = load_bytes(name, &scan(name), how.clone()).unwrap();
        let truth = truth(text);
        let truth: Vec<&str> = shown
            .iter()
            .flat_map(|page| &truth[*page])
            .map(|(_, text)| text.as_str())
            .collect();
        let rate = error_rate(&truth.concat(), &document.text);
        let words = |text: &str| -> Vec<String> {
            let words = text.split(|c: char| !c.is_ascii_alphabetic());
            words
                .filter(|w| w.len() > 2)
                .map(str::to_lowercase)
                .collect()
        };
        let read = words(&document.text);
        let all = words(&truth.join("\n"));
        let found = all.iter().filter(|word| read.contains(word)).count();
        eprintln!(
            "{name}: {:.2} % of {} characters wrong, {found} of {} English words found, {:.1} s",
            rate * 100.0,
            truth
                .concat()
                .chars()
                .filter(|c| !c.is_whitespace())
                .count(),
            all.len(),
            start.elapsed().as_secs_f64()
        );
        if rate > *most || found * 100 < all.len() * 95 {
            wrong.push(format!("{name}: {rate:.3}\n{}", document.text));
        }
        assert_eq!(document.notes, Vec::<String>::new(), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn headings_paragraphs_and_pages_of_a_scan_are_found() {
    for (name, text) in [
        ("english.pdf", "english.txt"),
        ("chinese.pdf", "chinese.txt"),
    ] {
        let document = load_bytes(name, &scan(name), ready()).unwrap();
        let mut expected = Vec::new();
        for (number, page) in (1u32..).zip(truth(text)) {
            expected.extend(
                page.into_iter()
                    .map(|(kind, text)| (kind, Some(number), text)),
            );
        }
        let read = blocks(&document);
        let shape = |kind: BlockKind| matches!(kind, BlockKind::Heading(_));
        let kinds: Vec<_> = read
            .iter()
            .map(|(kind, page, _)| (shape(*kind), *page))
            .collect();
        let wanted: Vec<_> = expected
            .iter()
            .map(|(kind, page, _)| (shape(*kind), *page))
            .collect();
        assert_eq!(kinds, wanted, "{name}: {read:#?}");
        for ((_, _, read), (_, _, expected)) in read.iter().zip(&expected) {
            // One character of a short heading may be wrong.
            assert!(
                error_rate(expected, read) < 0.25,
                "{read} is not {expected}"
            );
        }
    }
}

#[test]
fn pictures_have_pages_only_where_they_have_several() {
    let fax = load_bytes("fax.tiff", &scan("fax.tiff"), ready()).unwrap();
    let pages: Vec<_> = fax.blocks.iter().map(|b| b.page).collect();
    assert!(
        pages.contains(&Some(1)) && pages.contains(&Some(2)),
        "{pages:?}"
    );
    let one = ready_with(OcrConfig {
        max_pages: 1,
        ..OcrConfig::default()
    });
    let cut = load_bytes("fax.tiff", &scan("fax.tiff"), one).unwrap();
    assert!(cut.text.len() < fax.text.len());
    assert_eq!(
        cut.notes,
        ["pages beyond 1 are left out, because of `max_pages` under [ocr]"]
    );
    let screen = load_bytes("screen.png", &scan("screen.png"), ready()).unwrap();
    assert!(screen.blocks.iter().all(|b| b.page.is_none()));
    assert_eq!(
        screen.format.map(crate::load::Format::name),
        Some("picture")
    );
}

#[test]
fn a_page_on_its_head_is_turned() {
    let how = ready();
    let Ocr::Ready(reader) = &how.ocr else {
        unreachable!()
    };
    let page = image::load_from_memory(&scan("fax.tiff"))
        .unwrap()
        .into_luma8();
    let (width, height) = (page.width() as usize, page.height() as usize);
    let upright = Pixels::new(width, height, page.into_raw(), Some(300)).unwrap();
    let first: Vec<String> = truth("english.txt")
        .remove(0)
        .into_iter()
        .map(|(_, t)| t)
        .collect();
    for quarters in [1, 2, 3] {
        let areas = reader.read(&upright.turned(quarters)).unwrap();
        let words = areas.iter().flatten().flat_map(|line| &line.words);
        let text: String = words.map(|word| word.text.as_str()).collect();
        let rate = error_rate(&first.concat(), &text);
        assert!(rate < 0.05, "{quarters} quarters: {rate} wrong");
    }
}

#[test]
fn the_same_scan_gives_the_same_document() {
    let load = || load_bytes("worn.pdf", &scan("worn.pdf"), ready()).unwrap();
    assert_eq!(load(), load());
}

#[test]
fn words_that_are_not_sure_are_left_out() {
    let sure = ready_with(OcrConfig {
        min_confidence: 99.0,
        ..OcrConfig::default()
    });
    let error = load_bytes("worn.pdf", &scan("worn.pdf"), sure).unwrap_err();
    assert_eq!(
        error.to_string(),
        "has no text that can be read: no text is recognized on page 1"
    );
}

#[test]
fn without_recognition_scans_say_how_to_have_it() {
    let off = Ocr::new(&OcrConfig {
        enabled: false,
        ..OcrConfig::default()
    });
    let unknown = Ocr::new(&OcrConfig {
        languages: vec!["tlh".to_owned()],
        ..OcrConfig::default()
    });
    for (ocr, reason, fix) in [
        (off, "", "`enabled = true`"),
        (
            unknown,
            ", and Tesseract has no data for the language `tlh`",
            "tesseract-ocr-tlh",
        ),
    ] {
        assert_eq!(ocr.settings(), None);
        for (name, what) in [
            (
                "worn.pdf",
                "there are only pictures on its page, as from a scanner",
            ),
            ("screen.png", "it is a picture"),
        ] {
            let how = Loading::new(LoadLimits::default(), ocr.clone());
            let error = load_bytes(name, &scan(name), how).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("has no text that can be read: {what}{reason}")
            );
            assert!(error.hint().contains(fix), "{}", error.hint());
        }
    }
}

#[test]
fn settings_that_change_the_text_change_the_base() {
    let settings = |change: fn(&mut OcrConfig)| {
        let mut config = OcrConfig::default();
        change(&mut config);
        Ocr::new(&config).settings()
    };
    let before = settings(|_| {});
    assert!(before.is_some());
    assert_eq!(before, settings(|c| c.timeout_seconds = 7));
    let changes: [fn(&mut OcrConfig); 5] = [
        |c| c.languages.reverse(),
        |c| c.dpi = 200,
        |c| c.max_pages = 3,
        |c| c.min_confidence = 50.0,
        |c| c.enabled = false,
    ];
    for change in changes {
        assert_ne!(before, settings(change));
    }
}

/// Says the same of each picture.
struct Parrot(Result<Vec<Area>, RecognizeError>, AtomicUsize);

impl Recognizer for Parrot {
    fn recognize(&self, _: &Pixels) -> Result<Vec<Area>, RecognizeError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.clone()
    }
}

fn parrot(says: Result<Vec<Area>, RecognizeError>, config: OcrConfig) -> (Arc<Parrot>, Loading) {
    let parrot = Arc::new(Parrot(says, AtomicUsize::new(0)));
    let ocr = Ocr::Ready(Reader::of(parrot.clone(), config));
    (parrot, Loading::new(LoadLimits::default(), ocr))
}

/// A PDF of so many pages with a picture, and one with text.
fn scanned(pages: usize) -> Vec<u8> {
    let kids: String = (0..=pages).map(|i| format!("{} 0 R ", 6 + i)).collect();
    let mut file = format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count {}/Kids[{kids}]>>endobj\n\
         3 0 obj<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>\nstream\nx\nendstream\nendobj\n\
         4 0 obj<</Length 26>>\nstream\nq 90 0 0 90 0 0 cm /I Do Q \nendstream\nendobj\n\
         5 0 obj<</Length 41>>\nstream\nBT /F1 9 Tf 30 30 Td (The last page) Tj ET\nendstream\nendobj\n",
        pages + 1
    );
    for index in 0..=pages {
        let content = if index == pages { 5 } else { 4 };
        file.push_str(&format!(
            "{} 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents {content} 0 R/Resources<</XObject<</I 3 0 R>>/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n",
            6 + index
        ));
    }
    file.push_str("trailer<</Root 1 0 R>>\n%%EOF\n");
    file.into_bytes()
}

#[test]
fn what_is_not_recognized_is_a_note_and_the_rest_is_read() {
    let slow = Err(RecognizeError::TooSlow(60));
    let few = OcrConfig {
        max_pages: 2,
        ..OcrConfig::default()
    };
    for (says, config, asked, notes) in [
        (
            Ok(Vec::new()),
            OcrConfig::default(),
            5,
            vec!["no text is recognized on pages 1, 2, 3, 4, 5"],
        ),
        (
            slow,
            OcrConfig::default(),
            3,
            vec![
                "page 1 took longer than 60 seconds to recognize",
                "page 2 took longer than 60 seconds to recognize",
                "page 3 took longer than 60 seconds to recognize",
                "pages 4, 5 without text: not recognized, after 3 others took too long",
            ],
        ),
        (
            Err(RecognizeError::Failed("gone".to_owned())),
            few,
            2,
            vec![
                "page 1 cannot be recognized: gone",
                "page 2 cannot be recognized: gone",
                "pages 3, 4, 5 without text: not recognized, because `max_pages` under [ocr] is 2",
            ],
        ),
    ] {
        let (parrot, how) = parrot(says, config);
        let document = load_bytes("a.pdf", &scanned(5), how).unwrap();
        assert_eq!(document.text, "The last page");
        assert_eq!(document.notes, notes);
        assert_eq!(parrot.1.load(Ordering::Relaxed), asked);
    }
    let missing = Ocr::new(&OcrConfig {
        languages: vec!["tlh".to_owned()],
        ..OcrConfig::default()
    });
    let document = load_bytes(
        "a.pdf",
        &scanned(1),
        Loading::new(LoadLimits::default(), missing),
    )
    .unwrap();
    assert_eq!(
        document.notes,
        [
            "page 1 without text, as from a scanner: not recognized, because Tesseract has no data for the language `tlh`"
        ]
    );
}

#[test]
fn a_document_may_take_its_time_for_each_page() {
    struct Slow;
    impl Recognizer for Slow {
        fn recognize(&self, _: &Pixels) -> Result<Vec<Area>, RecognizeError> {
            std::thread::sleep(Duration::from_millis(400));
            Ok(Vec::new())
        }
    }
    let limits = LoadLimits {
        timeout: Duration::from_secs(1),
        ..LoadLimits::default()
    };
    let ocr = Ocr::Ready(Reader::of(Arc::new(Slow), OcrConfig::default()));
    let document = load_guarded("a.pdf".to_owned(), scanned(6), Loading::new(limits, ocr)).unwrap();
    assert_eq!(document.text, "The last page");
}

#[test]
fn pictures_too_large_to_unpack_are_left_alone() {
    let (parrot, how) = parrot(Ok(Vec::new()), OcrConfig::default());
    let file = String::from_utf8(scanned(1)).unwrap();
    let file = file.replace("/Width 1/Height 1", "/Width 90000/Height 90000");
    let document = load_bytes("a.pdf", file.as_bytes(), how.clone()).unwrap();
    assert_eq!(
        document.notes,
        [
            "page 1 without text cannot be recognized: a picture of 90000 x 90000 pixels is over the limit"
        ]
    );
    let mut picture =
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\x86\xa0\0\x01\x86\xa0\x08\0\0\0\0".to_vec();
    picture.extend([0; 40]);
    let error = load_bytes("a.png", &picture, how).unwrap_err();
    assert!(
        matches!(error, LoadError::NoText { .. } | LoadError::Damaged(_)),
        "{error}"
    );
    assert_eq!(parrot.1.load(Ordering::Relaxed), 0);
}

#[test]
fn noise_is_given_up_in_time_and_nothing_is_left_running() {
    let how = ready_with(OcrConfig {
        timeout_seconds: SOON,
        ..OcrConfig::default()
    });
    let mut state = 7u32;
    let salt = (0..2480 * 3508).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 24 < 26 { 0 } else { 255 }
    });
    let page = image::GrayImage::from_raw(2480, 3508, salt.collect()).unwrap();
    let mut file = Vec::new();
    page.write_to(
        &mut std::io::Cursor::new(&mut file),
        image::ImageFormat::Png,
    )
    .unwrap();
    let start = Instant::now();
    let error = load_bytes("a.png", &file, how).unwrap_err();
    assert!(
        error.to_string().contains("took longer than 5 seconds"),
        "{error}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(SOON + 15),
        "{:?}",
        start.elapsed()
    );
}

/// Files of each kind, small enough to be changed byte by byte.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let picture = image::GrayImage::from_fn(60, 24, |x, y| {
        image::Luma([if (x / 3 + y / 5) % 2 == 0 { 0 } else { 255 }])
    });
    let of = |format| {
        let mut file = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(picture.clone())
            .into_rgb8()
            .write_to(&mut file, format)
            .unwrap();
        file.into_inner()
    };
    let mut all = vec![
        ("a.png", of(image::ImageFormat::Png)),
        ("a.jpg", of(image::ImageFormat::Jpeg)),
        ("a.webp", of(image::ImageFormat::WebP)),
        ("a.tiff", of(image::ImageFormat::Tiff)),
        ("a.pdf", scanned(2)),
    ];
    all.extend(["fax.tiff", "english.pdf", "photo.jpg"].map(|name| (name, scan(name))));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing is recognized here, so that all of the time is that of decoders and of the renderer.
    #[test]
    fn changed_pictures_and_scans_do_no_harm(
        which in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let samples = samples();
        let (name, bytes) = samples[which.index(samples.len())].clone();
        let bytes = damaged(bytes, flips, cut);
        let (_, how) = parrot(Ok(Vec::new()), OcrConfig { dpi: 72, ..OcrConfig::default() });
        let start = Instant::now();
        if let Err(error) = load_guarded(name.to_owned(), bytes, how) {
            prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty());
            prop_assert!(!matches!(error, LoadError::TooSlow(_)));
            prop_assert!(!error.to_string().contains("gave up"), "{name} panicked");
        }
        prop_assert!(start.elapsed() < Duration::from_secs(20), "{name} took {:?}", start.elapsed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn arbitrary_pixels_end_in_time(
        width in 1usize..300,
        height in 1usize..120,
        seed in any::<u32>(),
        dark in 0u32..256,
    ) {
        let how = ready_with(OcrConfig { timeout_seconds: SOON, ..OcrConfig::default() });
        let Ocr::Ready(reader) = &how.ocr else { unreachable!() };
        let mut state = seed;
        let gray = (0..width * height).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 24 < dark { (state >> 16) as u8 } else { 255 }
        });
        let pixels = Pixels::new(width, height, gray.collect(), Some(300)).unwrap();
        let start = Instant::now();
        match reader.read(&pixels) {
            Ok(areas) => prop_assert!(areas.iter().flatten().all(|line| !line.words.is_empty())),
            Err(error) => prop_assert!(error.is_slow(), "{error}"),
        }
        prop_assert!(start.elapsed() < Duration::from_secs(2 * SOON + 10));
    }
}
