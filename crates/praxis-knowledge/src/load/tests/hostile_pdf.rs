//! PDFs of people who mean harm: small files that would be unpacked, shown or walked through without end. Each is refused,
//! or read as far as the bounds go; what the bounds are is asserted, not how long it took.

use md5::{Digest, Md5};

use super::packing::{deflate, zlib};
use super::pdf::{FIXTURES, document, fixture, page_of};
use super::*;

/// A mebibyte, so that four of containers are allowed and eight of everything.
const LIMITS: LoadLimits = LoadLimits {
    max_bytes: 1 << 20,
    timeout: Duration::from_secs(120),
};

/// LZW of seven megabytes of spaces: each code is the one that it makes, a character longer than the last.
fn lzw() -> Vec<u8> {
    let width = |entries: usize| match 259 + entries {
        0..512 => 9,
        512..1024 => 10,
        1024..2048 => 11,
        _ => 12,
    };
    let first = [(256, 9), (32, 9)];
    let codes = first
        .into_iter()
        .chain((0..3838).map(|i| (258 + i, width(i))));
    let bits = codes.flat_map(|(code, width)| (0..width).rev().map(move |bit| code >> bit & 1));
    let bits: Vec<usize> = bits.collect();
    let byte = |bits: &[usize]| (0..8).fold(0, |byte, i| byte << 1 | bits.get(i).unwrap_or(&0));
    bits.chunks(8).map(|bits| byte(bits) as u8).collect()
}

/// Deflate that a library refuses at its first byte and hayro-syntax reads on.
fn damaged(data: &[u8]) -> Vec<u8> {
    [&[2, 2, 0, 0, 0, 0, 0xff, 0xff][..], &deflate(data)].concat()
}

/// What the page of that file shows.
const SHOWN: &[u8] = b"BT /F1 9 Tf 30 200 Td (Kept) Tj ET";

/// A PDF whose page is in the object stream 5 with this dictionary and data, and whose table of places says so.
fn contained(dictionary: &str, data: &[u8]) -> Vec<u8> {
    file_of(dictionary, data, SHOWN, "")
}

/// The same with the content of that page, and what the table's dictionary has beside.
fn file_of(dictionary: &str, data: &[u8], content: &[u8], trailer: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut places = Vec::new();
    let stream = |dictionary: &str, data: &[u8]| {
        let head = format!("<<{dictionary}/Length {}>>\nstream\n", data.len());
        [head.as_bytes(), data, b"\nendstream"].concat()
    };
    for (number, object) in [
        (1, b"<</Type/Catalog/Pages 2 0 R>>".to_vec()),
        (2, b"<</Type/Pages/Count 1/Kids[3 0 R]>>".to_vec()),
        (4, stream("", content)),
        (5, stream(dictionary, data)),
        (7, b"/FlateDecode".to_vec()),
    ] {
        places.push((number, file.len()));
        file.extend(format!("{number} 0 obj\n").into_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let table = file.len();
    places.push((6, table));
    let entries = (0..8u32).flat_map(|number| {
        let place = places.iter().find(|(known, _)| *known == number);
        let (kind, value) = match (number, place) {
            (3, _) => (2, 5),
            (_, Some((_, place))) => (1, *place as u32),
            _ => (0, 0),
        };
        [&[kind][..], &value.to_be_bytes(), &[0]].concat()
    });
    let entries: Vec<u8> = entries.collect();
    let head = format!(
        "6 0 obj\n<</Type/XRef/Size 8/W[1 4 1]/Root 1 0 R{trailer}/Length {}>>\nstream\n",
        entries.len()
    );
    file.extend(head.into_bytes());
    file.extend(entries);
    file.extend(format!("\nendstream\nendobj\nstartxref\n{table}\n%%EOF\n").into_bytes());
    file
}

/// The members of that object stream.
fn page() -> Vec<u8> {
    b"3 0 <</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R\
      /Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>"
        .to_vec()
}

#[test]
fn a_sound_container_is_read_however_it_is_packed() {
    let first = "/N 1/First 4";
    let hexadecimal: Vec<u8> = page()
        .iter()
        .flat_map(|b| format!("{b:02x}").into_bytes())
        .collect();
    for (dictionary, data) in [
        (format!("/Type/ObjStm{first}"), page()),
        (
            format!("/Type/ObjStm{first}/Filter/FlateDecode"),
            zlib(&page()),
        ),
        (format!("{first}/Filter[/Fl]"), zlib(&page())),
        (format!("{first}/Filter/Fl"), deflate(&page())),
        (format!("{first}/Filter/Fl"), damaged(&page())),
        (format!("{first}/Filter[/AHx/Fl]"), {
            let packed = zlib(&page());
            packed
                .iter()
                .flat_map(|b| format!("{b:02x}").into_bytes())
                .collect()
        }),
        (format!("{first}/Filter/ASCIIHexDecode"), hexadecimal),
    ] {
        let read = load_bytes("a.pdf", &contained(&dictionary, &data), LIMITS);
        let read = read.unwrap_or_else(|error| panic!("{dictionary}: {error}"));
        assert_eq!(
            (read.text.as_str(), read.notes),
            ("Kept", Vec::new()),
            "{dictionary}"
        );
    }
}

#[test]
fn containers_that_unpack_to_too_much_are_refused_whatever_they_call_themselves() {
    let plain = vec![b' '; 16 << 20];
    let bomb = zlib(&plain);
    let padded = format!("/Filter/Fl/Pad({})", "x".repeat(2000));
    for (dictionary, data) in [
        ("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", bomb.clone()),
        ("/N 1/First 4/Filter/FlateDecode", bomb.clone()),
        ("/Filter/FlateDecode", bomb.clone()),
        ("/Type/O#62jStm/F#69lter/Fl#61teDecode", bomb.clone()),
        ("/F/Fl", bomb.clone()),
        (padded.as_str(), bomb.clone()),
        ("/Filter/Fl", deflate(&plain)),
        ("/Filter/Fl", damaged(&plain)),
        ("/Filter[/Fl /Fl]", zlib(&bomb)),
        ("/Filter[/FlateDecode/FlateDecode]", deflate(&bomb)),
        ("/Filter/LZWDecode", lzw()),
        ("/Filter[/LZW]", lzw()),
        ("/Filter/RunLengthDecode", b"\x81 ".repeat(60_000)),
        ("/Filter/A85", vec![b'z'; 1_500_000]),
        // Numbers of objects and their places, of which each is kept.
        (
            "/N 999999/First 4/Filter/Fl",
            zlib(&b"1 0 ".repeat(500_000)),
        ),
    ] {
        let file = contained(dictionary, &data);
        let limits = LoadLimits {
            max_bytes: LIMITS.max_bytes.max(file.len() as u64),
            ..LIMITS
        };
        match load_bytes("a.pdf", &file, limits) {
            Err(LoadError::TooLarge { limit, .. }) => assert_eq!(limit, 4 * limits.max_bytes),
            other => panic!("{dictionary}: {other:?}"),
        }
    }
}

#[test]
fn containers_whose_size_is_not_certain_are_not_unpacked() {
    let bomb = zlib(&vec![b' '; 16 << 20]);
    let wide = "/Predictor 2/BitsPerComponent 4/Columns 1000000000000";
    let wide = format!("/N 1/First 4/Filter/Fl/DecodeParms<<{wide}>>");
    let page = zlib(&page());
    for (dictionary, data) in [
        ("/N 1/First 4/Filter 7 0 R", &bomb),
        ("/N 1/First 4/Filter[7 0 R]", &bomb),
        ("/N 1/First 4/Filter/Fl/F/LZW", &bomb),
        ("/N 1/First 4/Filter/Crypt", &bomb),
        (wide.as_str(), &page),
        ("/N 1/First 4/Filter/Fl/DecodeParms 7 0 R", &page),
    ] {
        let error = load_bytes("a.pdf", &contained(dictionary, data), LIMITS).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("packed as no program packs them"),
            "{dictionary}: {told}"
        );
    }
}

/// The file of a container and a content that are encrypted, by RC4 with the empty password (ISO 32000-1, 7.6.3).
fn encrypted(dictionary: &str, data: &[u8]) -> Vec<u8> {
    const PADDING: &[u8; 32] = b"\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\
        \x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a";
    let owner = [7u8; 32];
    let sum = Md5::digest([&PADDING[..], &owner, &(-4i32).to_le_bytes(), b"id"].concat());
    let key = &sum[..5];
    let user = rc4(key, PADDING);
    let seal = |number: u8, data: &[u8]| {
        let own = Md5::digest([key, &[number, 0, 0, 0, 0]].concat());
        rc4(&own[..10], data)
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let trailer = format!(
        "/ID[<6964><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{}>/U<{}>>>",
        hex(&owner),
        hex(&user)
    );
    file_of(dictionary, &seal(5, data), &seal(4, SHOWN), &trailer)
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let mut j = 0usize;
    for i in 0..256 {
        j = (j + usize::from(state[i]) + usize::from(key[i % key.len()])) % 256;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0usize, 0usize);
    let next = |byte: &u8| {
        i = (i + 1) % 256;
        j = (j + usize::from(state[i])) % 256;
        state.swap(i, j);
        byte ^ state[(usize::from(state[i]) + usize::from(state[j])) % 256]
    };
    data.iter().map(next).collect()
}

#[test]
fn containers_of_encrypted_files_are_measured_too() {
    let read = load_bytes(
        "a.pdf",
        &encrypted("/N 1/First 4/Filter/Fl", &zlib(&page())),
        LIMITS,
    );
    assert_eq!(read.unwrap().text, "Kept");
    let bomb = vec![b' '; 16 << 20];
    for (dictionary, data) in [
        ("/N 1/First 4/Filter/Fl", zlib(&bomb)),
        ("/Filter/Fl", damaged(&bomb)),
        ("/Filter/LZW", lzw()),
    ] {
        let error = load_bytes("a.pdf", &encrypted(dictionary, &data), LIMITS);
        let refused = matches!(error, Err(LoadError::TooLarge { .. }));
        assert!(refused, "{dictionary}: {error:?}");
    }
}

#[test]
fn a_table_of_places_is_bounded_like_any_container() {
    let table = |dictionary: &str, data: &[u8]| {
        let head = format!(
            "%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]>>endobj\n\
             6 0 obj<</Root 1 0 R{dictionary}/Length {}>>stream\n",
            data.len()
        );
        let place = head.find("6 0 obj").unwrap();
        let end = format!("\nendstream endobj\nstartxref\n{place}\n%%EOF");
        [head.as_bytes(), data, end.as_bytes()].concat()
    };
    let file = table("/Size 9/W[1 1 1]/Filter/Fl", &zlib(&vec![0; 16 << 20]));
    let error = load_bytes("a.pdf", &file, LIMITS);
    assert!(
        matches!(error, Err(LoadError::TooLarge { .. })),
        "{error:?}"
    );
    // An entry of one byte, three million times.
    let file = table(
        "/Size 3000000/W[0 1 0]/Filter/Fl",
        &zlib(&vec![9; 3_000_000]),
    );
    let error = load_bytes("a.pdf", &file, LoadLimits::default()).unwrap_err();
    assert!(error.to_string().contains("more objects"), "{error}");
}

#[test]
fn bytes_that_lie_in_many_objects_are_not_walked_through_again_and_again() {
    for (what, tangle) in [
        ("strings", "1 0 obj(".repeat(60_000)),
        ("dictionaries", "<<( ".repeat(60_000)),
        ("comments", "1 % ".repeat(60_000)),
        ("lines of comments", "% 1 %\n".repeat(60_000)),
        (
            "encryptions",
            (0..20_000)
                .map(|number| format!("<</Root 1 0 R/Encrypt {number} 0 R>>"))
                .collect(),
        ),
        ("streams", "1 0 obj<<>>stream\n".repeat(60_000)),
    ] {
        let file = format!("%PDF-1.4\n{tangle}");
        let error = load_bytes("a.pdf", file.as_bytes(), LoadLimits::default()).unwrap_err();
        assert!(
            error.to_string().contains("lie in each other"),
            "{what}: {error}"
        );
    }
    let many = format!("%PDF-1.4\n1 0 obj[{}]endobj", "<<>>".repeat(510_000));
    let error = load_bytes("a.pdf", many.as_bytes(), LoadLimits::default()).unwrap_err();
    assert!(error.to_string().contains("more objects"), "{error}");
}

#[test]
fn files_of_real_programs_pass_as_they_are() {
    for name in FIXTURES {
        let read = load_bytes("a.pdf", &fixture(name), LoadLimits::default());
        let notes = read.map(|document| document.notes).unwrap_or_default();
        let odd = notes.iter().any(|note| note.contains("no program"));
        assert!(!odd, "{name}: {notes:?}");
    }
}

#[test]
fn what_a_page_shows_is_bounded_by_what_people_read() {
    let shown = |font: &str, characters: usize| {
        let content = format!("BT /F1 9 Tf 30 30 Td ({}) Tj ET", "a".repeat(characters));
        let length = content.len();
        document(&[
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
            &format!("<</Length {length}>>\nstream\n{content}\nendstream"),
            &format!("<</Type/Font/Subtype/Type1/BaseFont/Helvetica{font}>>"),
            "<</Length 40>>\nstream\n1 beginbfchar <61> <00610062> endbfchar\nendstream",
        ])
    };
    // All characters on one place, each of which stands for two, and nearly all beside the page.
    let flat = "/FirstChar 97/LastChar 97/Widths[0]/ToUnicode 6 0 R";
    for (what, font) in [("one place", flat), ("beside", "")] {
        let file = shown(font, 3_000_000);
        let read = load_bytes("a.pdf", &file, LoadLimits::default()).unwrap();
        assert!(read.text.chars().count() <= 500_100, "{what}");
        assert_eq!(read.notes.len(), 1, "{what}: {:?}", read.notes);
        assert!(read.notes[0].starts_with("page 1 cannot be read"), "{what}");
    }
    // A short string is read as the font has it.
    assert_eq!(load("a.pdf", shown(flat, 1)).text, "ab");
}

#[test]
fn a_character_does_not_stand_for_a_book() {
    let long = "0041".repeat(2000);
    let map = format!("1 beginbfchar <61> <{long}> endbfchar");
    let file = document(&[
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R/F2 7 0 R>>>>>>",
        "<</Length 66>>\nstream\nBT /F1 9 Tf 30 30 Td (a) Tj /F2 9 Tf ( b) Tj ET                   \nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        &format!("<</Length {}>>\nstream\n{map}\nendstream", map.len()),
        &format!(
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding<</Differences[98/uni{long}]>>>>"
        ),
    ]);
    let read = load("a.pdf", file);
    assert!(read.text.len() < 10, "{}", read.text.len());
}

#[test]
fn pictures_in_content_that_do_not_end_do_not_lie_in_each_other() {
    let text = "BT /F1 9 Tf 30 30 Td (before) Tj ET ";
    for pictures in [
        "BI ID EI EI ",
        "-BI ID EI EI ",
        "B#49 ID x EI EI ",
        "BI ID x ",
    ] {
        let content = format!("{text}{}", pictures.repeat(50_000));
        assert_eq!(
            load("a.pdf", page_of(&content)).text,
            "before",
            "{pictures}"
        );
    }
    let whole = "BI /W 1 /H 1 /BPC 8 /CS /G ID \u{7f} EI BT /F1 9 Tf 30 30 Td (after) Tj ET";
    assert_eq!(load("a.pdf", page_of(whole)).text, "after");
}

#[test]
fn parts_of_a_page_without_end_are_bounded() {
    let parts = "4 0 R ".repeat(200_000);
    let file = document(&[
        &format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents[{parts}]>>"),
        "<</Length 0>>\nstream\n\nendstream",
    ]);
    let error = load_bytes(
        "a.pdf",
        &file,
        LoadLimits {
            max_bytes: 2 << 20,
            ..LIMITS
        },
    );
    assert!(
        matches!(error, Err(LoadError::TooLarge { .. })),
        "{error:?}"
    );
}

#[test]
fn a_file_that_nobody_waits_for_any_more_is_given_up() {
    let (signs, _waits) = mpsc::channel();
    let state = Arc::new(AtomicU8::new(guard::ABANDONED));
    let how = Loading {
        pulse: Pulse::new(signs, state),
        ..Loading::from(LIMITS)
    };
    let file = fixture("reportlab-columns.pdf");
    let error = load_bytes("a.pdf", &file, how).unwrap_err();
    assert_eq!(error, LoadError::TooSlow(LIMITS.timeout));
}
