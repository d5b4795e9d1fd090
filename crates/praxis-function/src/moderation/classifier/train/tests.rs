//! Reading labelled lines, and classifiers that are made of them.

use super::*;

#[test]
fn labels_are_read_in_all_their_forms() {
    let content = "\u{feff}{\"text\": \"a\", \"labels\": {\"x\": true, \"y\": 0, \"z\": null}, \"split\": \"test\"}\n\n\
                   {\"text\": \"一\", \"labels\": [\"y\", \"hate\"], \"source\": \"s\"}\n\
                   {\"text\": \"c\", \"labels\": [], \"lang\": \"de\", \"split\": \"valid\"}";
    let found = read(content).unwrap();
    let labels = |i: usize| -> Vec<(&str, bool)> {
        let labels = found[i].labels.iter();
        labels
            .map(|(name, label)| (name.as_str(), *label))
            .collect()
    };
    assert_eq!(labels(0), [("x", true), ("y", false)]);
    assert_eq!(labels(1), [("hate", true), ("x", false), ("y", true)]);
    assert_eq!(labels(2), [("hate", false), ("x", false), ("y", false)]);
    let langs: Vec<&str> = found.iter().map(|e| e.lang.as_str()).collect();
    assert_eq!(langs, ["en", "zh", "de"]);
    assert_eq!((found[0].part, found[2].part), (Part::Test, Part::Valid));
    assert_eq!(categories(&found), ["hate", "x", "y"]);
}

#[test]
fn a_line_that_is_none_is_named() {
    for (content, line, part) in [
        ("", 0, "holds no labelled line"),
        ("{\"text\": \"a\"}", 1, "missing field `labels`"),
        ("\n{\"text\": \" \", \"labels\": []}", 2, "`text` is empty"),
        (
            "{\"text\": \"a\", \"labels\": {\"x\": 2}}",
            1,
            "`labels.x` is 2",
        ),
        ("{\"text\": \"a\", \"labels\": [3]}", 1, "names no category"),
        (
            "{\"text\": \"a\", \"labels\": \"x\"}",
            1,
            "an object or a list",
        ),
        (
            "{\"text\": \"a\", \"labels\": [\"a b\"]}",
            1,
            "`a b` cannot be",
        ),
        (
            "{\"text\": \"a\", \"labels\": [], \"split\": \"dev\"}",
            1,
            "dev",
        ),
    ] {
        let (at, problem) = read(content).unwrap_err();
        assert_eq!(at, line, "{problem}");
        assert!(problem.contains(part), "{problem}");
    }
}

#[test]
fn texts_without_a_part_get_one_by_what_they_say() {
    let mut counts = [0usize; 3];
    for i in 0..1000 {
        let text = format!("text {i}");
        assert_eq!(Part::of(&text), Part::of(&text));
        counts[Part::of(&text) as usize] += 1;
    }
    assert!((540..660).contains(&counts[0]), "{counts:?}");
    assert!((150..250).contains(&counts[1]), "{counts:?}");
}

/// Lines that are of `right` where the first number of their vector is high, and of `rare` where the second is.
fn lines(count: u16) -> (Vec<Example>, Vec<Vec<Vec<f32>>>) {
    let line = |i: u16| {
        let x = f32::from(i % 20) / 20.0;
        let rare = i.is_multiple_of(11);
        let labels = [("right".to_owned(), x > 0.5), ("rare".to_owned(), rare)];
        let example = Example {
            text: format!("text {i}"),
            labels: labels.into_iter().collect(),
            lang: if i.is_multiple_of(2) { "en" } else { "zh" }.to_owned(),
            source: String::new(),
            part: match i % 5 {
                0..=2 => Part::Train,
                3 => Part::Valid,
                _ => Part::Test,
            },
        };
        let vector = vec![x, if rare { 1.0 } else { 0.0 }, 0.3];
        // A long text is what its worst window is.
        let windows = match i % 3 {
            0 => vec![vec![0.0, 0.0, 0.3], vector],
            _ => vec![vector],
        };
        (example, windows)
    };
    (0..count).map(line).unzip()
}

#[test]
fn what_can_be_told_apart_is() {
    let (examples, vectors) = lines(600);
    let classifier = train("words@1", &examples, &vectors, 1e-4).unwrap();
    assert_eq!(classifier.identity(), "words@1");
    let names: Vec<&str> = classifier.categories().collect();
    assert_eq!(names, ["rare", "right"]);
    let rows = measure(&classifier, &examples, &vectors, Part::Test);
    let shown: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row.category.as_str(), row.lang.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("rare", "all"),
            ("rare", "en"),
            ("rare", "zh"),
            ("right", "all"),
            ("right", "en"),
            ("right", "zh")
        ]
    );
    for row in &rows {
        assert!(row.auc.unwrap() > 0.97, "{row:?}");
        assert!(row.f1.unwrap() > 0.8, "{row:?}");
    }
    // The same lines make the same bytes, and the bytes are read again.
    let again = train("words@1", &examples, &vectors, 1e-4).unwrap();
    assert_eq!(again.to_bytes(), classifier.to_bytes());
    assert_eq!(Classifier::parse(&again.to_bytes()).unwrap(), classifier);
}

#[test]
fn what_cannot_be_learnt_is_named() {
    let (mut examples, vectors) = lines(40);
    assert!(
        train("w", &examples, &vectors, 0.0)
            .unwrap_err()
            .contains("above 0")
    );
    assert!(train("w", &examples, &vectors[1..], 1.0).is_err());
    for example in &mut examples {
        example.labels.insert("all".to_owned(), true);
    }
    let problem = train("w", &examples, &vectors, 1.0).unwrap_err();
    assert!(
        problem.contains("`all`") && problem.contains("is not of it"),
        "{problem}"
    );
}
