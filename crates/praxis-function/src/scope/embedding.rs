//! Judging by similarity: how much nearer a question is to the scene than to what is asked elsewhere.
//!
//! Left out: training anything; a scene has its topics and a few examples, not hundreds of questions.

use praxis_core::embed::dot;
use praxis_core::{CallError, EmbedKind, Embedder};

use super::Verdict;
use crate::extension::Scene;

/// Questions outside of nearly every scene, in English and Chinese.
const ELSEWHERE: &str = include_str!("outside.txt");

/// What every assistant is asked beside its business.
const SMALL_TALK: [&str; 8] = [
    "Hello!",
    "Thank you, goodbye.",
    "Who are you?",
    "What can you help me with?",
    "你好！",
    "谢谢，再见。",
    "你是谁？",
    "你能帮我做什么？",
];

/// How many of the nearest prototypes count on each side: one alone is often near by chance.
const NEAREST_INSIDE: usize = 3;
const NEAREST_OUTSIDE: usize = 2;

/// The difference from which on a question is let in. It is below zero since topics are phrases and
/// questions resemble questions. Chosen with multilingual-e5-small (`docs/functions.md`).
const THRESHOLD: f32 = -0.0225;

/// Characters up to which a question may lean on the one before it.
const FOLLOW_UP: usize = 40;

/// The vectors that questions are compared with, and their texts.
pub(super) struct Prototypes {
    inside: Vec<(String, Vec<f32>)>,
    outside: Vec<(String, Vec<f32>)>,
}

impl Prototypes {
    /// Those of a scene.
    ///
    /// # Errors
    /// The embedder's.
    pub async fn of(scene: &Scene, embedder: &dyn Embedder) -> Result<Self, CallError> {
        let mut inside: Vec<String> = scene.topics.iter().flat_map(|t| phrases(t)).collect();
        inside.extend(Some(scene.role.clone()).filter(|role| !role.is_empty()));
        inside.extend(SMALL_TALK.map(str::to_owned));
        let mut outside: Vec<String> = scene.outside.iter().flat_map(|t| phrases(t)).collect();
        let elsewhere = ELSEWHERE.lines().map(str::trim);
        outside.extend(
            elsewhere
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
        let border = inside.len();
        let texts: Vec<String> = inside.into_iter().chain(outside).collect();
        let vectors = embedder.embed(EmbedKind::Query, texts.clone()).await?;
        let mut inside: Vec<(String, Vec<f32>)> = texts.into_iter().zip(vectors).collect();
        let outside = inside.split_off(border.min(inside.len()));
        Ok(Self { inside, outside })
    }

    /// Judges a question. A short one is also taken together with the one `before` it, which it may
    /// lean on.
    ///
    /// # Errors
    /// The embedder's.
    pub async fn judge(
        &self,
        question: &str,
        before: Option<&str>,
        threshold: Option<f32>,
        embedder: &dyn Embedder,
    ) -> Result<Verdict, CallError> {
        let mut texts = vec![question.to_owned()];
        if let Some(before) = before
            && question.chars().count() <= FOLLOW_UP
        {
            texts.push(format!("{before}\n{question}"));
        }
        let vectors = embedder.embed(EmbedKind::Query, texts).await?;
        let Some(alone) = vectors.first() else {
            return Ok(Verdict {
                inside: false,
                why: "the embedder gave no vector".to_owned(),
            });
        };
        // The mean of both: a follow-up says little by itself, a change of subject says much.
        let scores = vectors.iter().map(|vector| self.score(vector));
        let score = scores.sum::<f32>() / vectors.len() as f32;
        let inside = score > threshold.unwrap_or(THRESHOLD);
        let nearest = if inside { &self.inside } else { &self.outside };
        let nearest = ranked(nearest, alone);
        let nearest = nearest.first().map_or("", |(_, text)| *text);
        Ok(Verdict {
            inside,
            why: format!("like `{nearest}`, difference {score:.3}"),
        })
    }

    fn score(&self, vector: &[f32]) -> f32 {
        mean_of_nearest(&self.inside, vector, NEAREST_INSIDE)
            - mean_of_nearest(&self.outside, vector, NEAREST_OUTSIDE)
    }
}

fn mean_of_nearest(prototypes: &[(String, Vec<f32>)], vector: &[f32], count: usize) -> f32 {
    let mut ranked = ranked(prototypes, vector);
    ranked.truncate(count);
    ranked.iter().map(|(score, _)| score).sum::<f32>() / ranked.len().max(1) as f32
}

/// Prototypes by their likeness, the nearest first.
fn ranked<'a>(prototypes: &'a [(String, Vec<f32>)], vector: &[f32]) -> Vec<(f32, &'a str)> {
    let mut ranked: Vec<(f32, &str)> = prototypes
        .iter()
        .map(|(text, other)| (dot(other, vector), text.as_str()))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
}

/// A topic, and where it lists several things, each of them: a question is about one.
fn phrases(topic: &str) -> Vec<String> {
    let mut parts = vec![topic.to_owned()];
    let listed = topic.replace(" and ", ",").replace(" or ", ",");
    let listed: Vec<&str> = listed
        .split([',', ';', ':', '，', '、', '；', '：'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if listed.len() > 1 {
        parts.extend(listed.into_iter().map(str::to_owned));
    }
    parts
}

#[cfg(test)]
mod tests {
    use praxis_core::Language;

    use super::*;
    use crate::extension::Judge;
    use crate::function::tests::Words;

    #[test]
    fn a_topic_that_lists_things_is_each_of_them() {
        for (topic, expected) in [
            ("fees", &["fees"][..]),
            (
                "fees, fines and lost books",
                &["fees, fines and lost books", "fees", "fines", "lost books"],
            ),
            ("开放时间、地址", &["开放时间、地址", "开放时间", "地址"]),
        ] {
            assert_eq!(phrases(topic), expected);
        }
    }

    #[tokio::test]
    async fn what_is_nearer_to_the_scene_is_let_in() {
        let scene = Scene {
            role: "You know a cat and its cat.".to_owned(),
            topics: vec!["cats, cat food, cat toys".to_owned()],
            outside: vec!["dogs, dog food, dog toys".to_owned()],
            query: "q".to_owned(),
            by: Judge::Embedding,
            threshold: None,
        };
        let prototypes = Prototypes::of(&scene, &Words).await.unwrap();
        let long = "and now I would like to know something else: the dog";
        for (question, before, threshold, inside) in [
            ("a cat", None, None, true),
            ("a dog", None, None, false),
            ("a hen", None, None, true),
            ("a hen", None, Some(0.1), false),
            ("and it?", Some("a cat"), Some(0.4), true),
            ("and it?", None, Some(0.4), false),
            // What is about something else, or says enough by itself, does not lean on what was before.
            ("the dog?", Some("the hen"), None, false),
            (long, Some("a cat"), None, false),
        ] {
            let verdict = prototypes
                .judge(question, before, threshold, &Words)
                .await
                .unwrap();
            assert_eq!(verdict.inside, inside, "{question}: {verdict:?}");
        }
    }

    #[test]
    fn the_outside_is_known_in_both_languages() {
        let lines = || ELSEWHERE.lines().filter(|l| !l.starts_with('#'));
        let chinese = lines().filter(|l| Language::of(l) == Language::Chinese);
        assert_eq!((lines().count(), chinese.count()), (80, 40));
    }
}
