//! Pages of listings: which objects are taken out of them, and that all else stays as it is.

use std::sync::Arc;

use proptest::prelude::*;

use super::names::{Names, readable};
use super::*;

fn object(name: &str) -> String {
    format!(
        "<Contents><Key>{name}</Key><ETag>&quot;1&quot;</ETag><Size>3</Size><Owner><ID>x</ID></Owner></Contents>"
    )
}

fn page(objects: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Name>papers</Name>{objects}\
         <NextContinuationToken>t//1</NextContinuationToken></ListBucketResult>"
    )
}

#[test]
fn objects_that_cannot_be_asked_for_are_taken_out_of_a_page() {
    let good = [
        object("a/b.md"),
        object("a &amp; b/文.md"),
        object("..a/b.."),
    ];
    let [first, second, third] = &good;
    let kept = page(&format!("{first}{second}{third}"));
    assert_eq!(readable(&kept), None);
    for (written, name) in [
        ("a//b.md", "a//b.md"),
        ("/a.md", "/a.md"),
        ("a/../b.md", "a/../b.md"),
        ("./a.md", "./a.md"),
        ("a&#47;/b.md", "a//b.md"),
        ("a&#9;b.md", "a\tb.md"),
        ("<![CDATA[a//<b>]]>", "a//<b>"),
        ("a//", "a//"),
    ] {
        let odd = object(written);
        let given = page(&format!("{first}{odd}{second}\n{odd}{third}"));
        let (rest, names) = readable(&given).unwrap();
        assert_eq!(rest.replace('\n', ""), kept.replace('\n', ""), "{written}");
        assert_eq!(names, [name, name], "{written}");
    }
    // Folders that some programs make are no documents, and nobody is told.
    let given = page(&format!("{first}{}", object("a/")));
    let expected = (page(first), Vec::new());
    assert_eq!(readable(&given), Some(expected));
    // What is no listing is left as it is.
    for other in ["", "no XML", "<ListBucketResult><Contents><Key>a//b"] {
        assert_eq!(readable(other), None, "{other}");
    }
}

#[test]
fn of_many_names_one_is_told_unless_they_are_left_out() {
    let choice = |exclude: &str| {
        let config = S3Config {
            exclude: vec![exclude.to_owned()],
            ..S3Config::default()
        };
        Arc::new(Choice::new(&config).unwrap())
    };
    let odd = ["a//1.md", "a//2.md", "b//3.md"].map(str::to_owned);
    let told = |exclude: &str| {
        let names = Names::new(choice(exclude));
        names.note(odd.to_vec());
        let told = names.told();
        assert_eq!(names.told(), None);
        told
    };
    let note = told("none").unwrap();
    assert!(note.contains("`a//1.md`, and 2 others"), "{note}");
    assert!(told("a//*").unwrap().contains("`b//3.md`:"));
    assert_eq!(told("**"), None);
}

proptest! {
    #[test]
    fn no_page_makes_it_fail(noise in "[<>/&;#A-Za-z0-9 \"]{0,60}", key in "[a-c/.]{0,8}") {
        let _ = readable(&noise);
        if let Some((rest, _)) = readable(&page(&format!("{}{noise}", object(&key)))) {
            prop_assert_eq!(readable(&rest), None);
        }
    }
}
