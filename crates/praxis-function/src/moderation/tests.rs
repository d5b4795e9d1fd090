//! Scores of texts over vectors that tell by words.

use super::classifier::tests::of_axes;
use super::*;
use crate::function::tests::Words;

#[tokio::test]
async fn a_text_is_what_its_worst_window_is() {
    let moderator = Moderator::new(Some(of_axes("words", &["violence", "brand"], 3)));
    let harmless = "Nothing is here. ".repeat(60);
    let long = format!("{harmless}\nA cat. {harmless}");
    let texts = ["a cat", "a dog", "nothing", long.as_str(), ""];
    let scores = moderator.scores(&Words, &texts).await.unwrap();
    let reached: Vec<Vec<&str>> = scores
        .iter()
        .map(|scores| {
            let reached = scores.iter().filter(|score| score.is_reached());
            reached.map(|score| score.category.as_str()).collect()
        })
        .collect();
    let wanted: [&[&str]; 5] = [&["violence"], &["brand"], &[], &["violence"], &[]];
    assert_eq!(reached, wanted);
    assert!(scores[4].iter().all(|score| score.score == 0.0));
    let categories = moderator.categories();
    assert_eq!(
        (categories.len(), categories.last().unwrap().as_str()),
        (14, "brand")
    );
}

#[tokio::test]
async fn an_embedder_without_a_classifier_is_named_with_the_way_out() {
    for (moderator, message) in [
        (
            Moderator::default(),
            "no classifier of the moderation reads vectors of `words`",
        ),
        (
            Moderator::new(Some(of_axes("others@1", &["violence"], 3))),
            "reads vectors of `others@1`, and the embedder is `words`",
        ),
    ] {
        let error = moderator.scores(&Words, &["a"]).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.message.contains(message), "{error}");
        assert!(error.hint.unwrap().contains("praxis moderation train"));
    }
}

#[tokio::test]
async fn more_than_can_be_judged_is_refused() {
    let moderator = Moderator::new(Some(of_axes("words", &["violence"], 3)));
    let long = "x".repeat(windows::WINDOW * MOST_WINDOWS + 1);
    let error = moderator.scores(&Words, &[&long]).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(error.message.contains("307200 characters"), "{error}");
}
