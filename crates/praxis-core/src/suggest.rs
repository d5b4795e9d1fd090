//! "Did you mean": the nearest of the known names.

/// The candidate nearest to `name` by Damerau-Levenshtein distance, if near enough to be a likely
/// misspelling (at most a third of the longer name's length, at least one edit allowed).
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&lower, &c.to_lowercase()), c))
        .filter(|(d, c)| *d <= (name.chars().count().max(c.chars().count()) / 3).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_name_and_strangers_do_not() {
        let keys = ["models", "defaults", "knowledge", "limits"];
        for (typed, meant) in [
            ("modles", Some("models")),
            ("Defaults", Some("defaults")),
            ("knowlege", Some("knowledge")),
            ("experiments", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
    }
}
