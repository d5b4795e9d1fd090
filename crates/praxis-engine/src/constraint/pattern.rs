//! Patterns on their way into a grammar. The grammar's compiler (derivre 0.3) follows a pattern within JSON's quotes, and
//! takes a short cut for classes that have all control characters: it lets `\\` and `\"` through where `[^\\]` or `[^"]`
//! had left them out. A class without U+0000 does not go that way, and no text that people write has that character.
//!
//! Left out: what a pattern means, which is the compiler's.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, ClassSet, Visitor, visit};
use regex_syntax::hir::{Class, HirKind};

/// The same pattern, whose negated classes leave U+0000 out where they leave a quote or a backslash out. One that
/// cannot be read is given as it is, for the compiler to refuse.
pub(super) fn narrowed(pattern: &str) -> String {
    let Ok(ast) = Parser::new().parse(pattern) else {
        return pattern.to_owned();
    };
    let Ok(mut ends) = visit(&ast, Negated::default()) else {
        return pattern.to_owned();
    };
    ends.retain(|(start, end)| leaves_out(&pattern[*start..*end]));
    let mut narrowed = pattern.to_owned();
    // From the last on, so that the places of the others stay.
    ends.sort_unstable();
    for (_, end) in ends.into_iter().rev() {
        narrowed.insert_str(end - 1, r"\x00");
    }
    narrowed
}

/// Whether a class has not both characters that JSON quotes and prints.
fn leaves_out(class: &str) -> bool {
    let has = |c: char| match regex_syntax::parse(class).map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class
            .iter()
            .any(|range| range.start() <= c && c <= range.end()),
        _ => true,
    };
    !has('\\') || !has('"')
}

/// Where negated classes begin and end, in bytes.
#[derive(Default)]
struct Negated {
    places: Vec<(usize, usize)>,
}

impl Visitor for Negated {
    type Output = Vec<(usize, usize)>;
    type Err = ();

    fn finish(self) -> Result<Self::Output, ()> {
        Ok(self.places)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), ()> {
        if let Ast::ClassBracketed(class) = ast
            && class.negated
            && matches!(class.kind, ClassSet::Item(_))
        {
            let span = class.span;
            self.places.push((span.start.offset, span.end.offset));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::narrowed;

    #[test]
    fn classes_without_a_quote_or_a_backslash_lose_the_first_control_character_and_others_stay() {
        for (given, expected) in [
            (r"^[^\\]+$", r"^[^\\\x00]+$"),
            (r#"[^"]|[^\\/]*"#, r#"[^"\x00]|[^\\/\x00]*"#),
            (r"(é[^!-~])", r"(é[^!-~\x00])"),
            (r"[^]]\\[^\]\\]", r"[^]]\\[^\]\\\x00]"),
            ("[^a-z]+", "[^a-z]+"),
            (r"\[^\\]+", r"\[^\\]+"),
            ("[a-z\\\\]", "[a-z\\\\]"),
            ("(unclosed[^\\\\]", "(unclosed[^\\\\]"),
        ] {
            assert_eq!(narrowed(given), expected, "{given}");
        }
    }
}
