//! Judging by the model: it sorts the question among the scene's topics, small talk and all else.
//!
//! Small models answer "does this belong here?" with yes whatever is asked, and name a topic rightly far
//! more often; so they are asked for the topic. Pure: who asks is `scope`.

use praxis_core::Message;

use super::Verdict;
use crate::extension::Scene;

/// What every assistant is asked beside its business.
const SMALL_TALK: &str = "a greeting, thanks, or a question about the assistant itself";

/// The number of what is none of the topics.
const OUTSIDE: usize = 0;

/// Characters of the message before that are shown.
const BEFORE: usize = 400;

/// What questions are sorted into.
pub(super) struct Sorting<'a> {
    role: &'a str,
    /// Topics by their numbers less one; the last is small talk.
    kinds: Vec<&'a str>,
    outside: &'a [String],
}

impl<'a> Sorting<'a> {
    /// The topics of a scene; its role where it names none.
    pub fn of(scene: &'a Scene) -> Self {
        let mut kinds: Vec<&str> = scene.topics.iter().map(String::as_str).collect();
        if kinds.is_empty() {
            kinds.push("what this assistant is there for");
        }
        kinds.push(SMALL_TALK);
        Self {
            role: &scene.role,
            kinds,
            outside: &scene.outside,
        }
    }

    /// What the model may answer.
    pub fn choices(&self) -> Vec<String> {
        (OUTSIDE..=self.kinds.len())
            .map(|number| number.to_string())
            .collect()
    }

    /// The question to the model. All but its last message is the same for each question, so that a
    /// local model reads it once.
    pub fn messages(&self, question: &str, before: Option<&str>) -> Vec<Message> {
        let mut messages = vec![Message::system(self.instruction())];
        for (text, number) in self.examples() {
            messages.push(Message::user(text));
            messages.push(Message::assistant(number.to_string()));
        }
        messages.push(Message::user(match before {
            None => question.to_owned(),
            Some(before) => {
                let before: String = before.chars().take(BEFORE).collect();
                format!("(The message before: {before})\n{question}")
            }
        }));
        messages
    }

    fn instruction(&self) -> String {
        let mut text = String::new();
        if !self.role.is_empty() {
            text.push_str(&format!("{}\n", self.role));
        }
        text.push_str("Sort each message by what it is about.\n0: something else");
        if !self.outside.is_empty() {
            text.push_str(&format!(", such as {}", self.outside.join("; ")));
        }
        for (i, kind) in self.kinds.iter().enumerate() {
            text.push_str(&format!("\n{}: {kind}", i + 1));
        }
        text.push_str("\nWrite only the number.");
        text
    }

    /// Messages that are sorted already: of each side, and two of the topics as if one asked for them.
    fn examples(&self) -> Vec<(String, usize)> {
        let small_talk = self.kinds.len();
        // Topics have the numbers before that of small talk.
        let topics = small_talk - 1;
        let of_topic = |number: usize| (format!("{}?", self.kinds[number - 1]), number);
        let fixed = |text: &str, number: usize| (text.to_owned(), number);
        let mut examples = vec![
            fixed("Hello!", small_talk),
            fixed("Tell me a joke.", OUTSIDE),
            of_topic(1),
            fixed("加拿大的首都是哪里？", OUTSIDE),
            fixed("你是谁？", small_talk),
        ];
        if topics > 1 {
            examples.push(of_topic(topics / 2 + 1));
        }
        examples.push(fixed("How do I install Docker on Ubuntu?", OUTSIDE));
        examples
    }

    /// What an answer says: the first number in it. An answer without one lets nothing in.
    pub fn read(&self, answer: &str) -> Verdict {
        let number = answer
            .split(|c: char| !c.is_ascii_digit())
            .find_map(|digits| digits.parse::<usize>().ok());
        let kind = number
            .and_then(|number| number.checked_sub(1))
            .and_then(|i| self.kinds.get(i));
        match kind {
            Some(kind) => Verdict {
                inside: true,
                why: format!("about {kind}"),
            },
            None if number == Some(OUTSIDE) => Verdict {
                inside: false,
                why: "about something else".to_owned(),
            },
            None => Verdict {
                inside: false,
                why: format!("the model named no topic: {}", answer.trim()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::Judge;

    fn scene(role: &str, topics: &[&str], outside: &[&str]) -> Scene {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
        Scene {
            role: role.to_owned(),
            topics: owned(topics),
            outside: owned(outside),
            query: "q".to_owned(),
            by: Judge::Model,
            threshold: None,
        }
    }

    #[test]
    fn the_question_names_role_topics_outside_and_what_was_said_before() {
        let scene = scene("You are the desk.", &["fees", "cards"], &["recipes"]);
        let sorting = Sorting::of(&scene);
        assert_eq!(sorting.choices(), ["0", "1", "2", "3"]);
        let messages = sorting.messages("And for children?", Some("What is a card?"));
        let system = messages[0].text();
        for part in [
            "You are the desk.\n",
            "0: something else, such as recipes\n",
            "1: fees\n2: cards\n3: a greeting",
        ] {
            assert!(system.contains(part), "{part}: {system}");
        }
        let last = messages[messages.len() - 1].text();
        assert_eq!(
            last,
            "(The message before: What is a card?)\nAnd for children?"
        );
        let alone = sorting.messages("Fees?", None);
        assert_eq!(alone[alone.len() - 1].text(), "Fees?");
        assert_eq!(alone[..alone.len() - 1], messages[..messages.len() - 1]);
    }

    #[test]
    fn an_answer_is_read_by_its_first_number() {
        let scene = scene("A desk.", &["fees"], &[]);
        let sorting = Sorting::of(&scene);
        for (answer, inside, why) in [
            ("1", true, "about fees"),
            ("2", true, "about a greeting"),
            ("0", false, "about something else"),
            ("The answer is 1: fees", true, "about fees"),
            ("7", false, "named no topic: 7"),
            ("none", false, "named no topic: none"),
            ("", false, "named no topic"),
        ] {
            let verdict = sorting.read(answer);
            assert_eq!(verdict.inside, inside, "{answer}");
            assert!(verdict.why.contains(why), "{answer}: {verdict:?}");
        }
    }

    #[test]
    fn a_scene_may_have_a_role_alone() {
        let scene = scene("You help with taxes.", &[], &[]);
        let sorting = Sorting::of(&scene);
        assert_eq!(sorting.choices(), ["0", "1", "2"]);
        let system = sorting.messages("q", None)[0].text().into_owned();
        assert!(
            system.starts_with("You help with taxes.\n")
                && system.contains("1: what this assistant"),
            "{system}"
        );
    }
}
