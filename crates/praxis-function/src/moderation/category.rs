//! The categories of the OpenAI API's moderation, in its order; applications may train others beside them.

/// What a text may be.
pub const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// The most bytes of a category's name.
pub(crate) const MAX_NAME: usize = 64;

/// Whether a category may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(fits)
}

/// What is meant by a category, for models that are asked; nothing for those of applications.
pub(crate) fn meaning(category: &str) -> &'static str {
    match category {
        "harassment" => "insults, bullies or torments a person",
        "harassment/threatening" => "harasses a person and threatens with violence or serious harm",
        "hate" => {
            "demeans or attacks people for race, origin, religion, gender, orientation or disability"
        }
        "hate/threatening" => "attacks such a group and threatens or calls for violence against it",
        "illicit" => "asks for or gives advice on how to commit a crime or another illicit act",
        "illicit/violent" => "the same for violent acts, or for getting a weapon",
        "self-harm" => "promotes, encourages or depicts suicide, cutting or eating disorders",
        "self-harm/intent" => "somebody says that they harm themselves, or mean to",
        "self-harm/instructions" => "asks for or gives ways to harm oneself, or urges to do it",
        "sexual" => "meant to arouse, or offers sexual services; not education or medicine",
        "sexual/minors" => "sexual content with anybody under 18",
        "violence" => "threatens with, calls for or glorifies violence or the suffering of others",
        "violence/graphic" => "shows death or injury in graphic detail",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_category_has_a_name_and_a_meaning() {
        for category in CATEGORIES {
            assert!(
                is_name(category) && !meaning(category).is_empty(),
                "{category}"
            );
        }
        for name in ["", "two words", "a\n", &"x".repeat(65)] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("竞争对手") && meaning("竞争对手").is_empty());
    }
}
