//! The value of an expression, by recursive descent over its tokens.
//!
//! What is read in two ways is refused with the words for each, since a wrong number looks like a right one:
//! `6/2(1+2)`, `200 + 10%`, `log(8)`. Left out: variables and comparisons.

use praxis_core::suggest::nearest;

use super::functions;
use super::lexer::{Token, is_word, tokens};
use super::number::{Budget, Number, Outcome};

/// How deep parentheses, signs and powers may be nested.
const MOST_DEPTH: usize = 100;

/// The most arguments of a function.
const MOST_ARGUMENTS: usize = 1000;

/// The value of an expression.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn evaluate(text: &str) -> Outcome<Number> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err("the expression is empty".to_owned());
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        budget: Budget::new(),
    };
    let value = parser.sum()?.value;
    match parser.peek() {
        None => Ok(value),
        Some(Token::Sign(')')) => Err(parser.here("there is a `)` without its `(`")),
        Some(Token::Sign(',')) => Err(parser.here(
            "a comma is between arguments, or between groups of three digits; write decimals with a point",
        )),
        Some(_) => Err(parser.here("an operator is missing")),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    depth: usize,
    budget: Budget,
}

/// A value, and whether it is written as a percentage and nothing else.
struct Term {
    value: Number,
    percent: bool,
}

impl Term {
    fn plain(value: Number) -> Self {
        Self {
            value,
            percent: false,
        }
    }
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn takes(&mut self, c: char) -> bool {
        let is = self.peek() == Some(&Token::Sign(c));
        self.at += usize::from(is);
        is
    }

    /// Takes one of these words.
    fn word(&mut self, words: &[&str]) -> bool {
        let is = matches!(self.peek(), Some(Token::Name(name)) if words.contains(&name.as_str()));
        self.at += usize::from(is);
        is
    }

    fn here(&self, what: &str) -> String {
        match self.tokens.get(self.at) {
            Some((_, place)) => format!("{what} (character {place})"),
            None => format!("{what} (at the end)"),
        }
    }

    fn sum(&mut self) -> Outcome<Term> {
        let mut left = self.product()?;
        loop {
            let minus = if self.takes('+') || self.word(&["plus"]) {
                false
            } else if self.takes('-') || self.word(&["minus"]) {
                true
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            // Only of 1 are both readings one.
            if right.percent && !left.percent && left.value.as_small() != Some(1) {
                let sign = if minus { '-' } else { '+' };
                return Err(format!(
                    "`a {sign} b%` is read in two ways: write `a * (1 {sign} b%)` for b percent of a, or \
                     `a {sign} b/100`"
                ));
            }
            let value = if minus {
                left.value.sub(&right.value, &mut self.budget)?
            } else {
                left.value.add(&right.value, &mut self.budget)?
            };
            left = Term {
                value,
                percent: left.percent && right.percent,
            };
        }
    }

    fn product(&mut self) -> Outcome<Term> {
        let mut left = self.signed()?;
        let mut divided = false;
        loop {
            let value = if self.takes('*') || self.word(&["of", "times", "x"]) {
                let right = self.signed()?;
                left.value.mul(&right.value, &mut self.budget)?
            } else if self.takes('/') {
                if self.peek() == Some(&Token::Sign('/')) {
                    return Err(self.here("write floor(a / b) for a whole division"));
                }
                divided = true;
                let right = self.signed()?;
                left.value.div(&right.value, &mut self.budget)?
            } else if self.takes('%') || self.word(&["mod"]) {
                let right = self.signed()?;
                left.value.modulo(&right.value, &mut self.budget)?
            } else if self.begins_factor() {
                if divided {
                    return Err(self.here(
                        "a product without `*` behind a division is read in two ways: write `*`, and parentheses",
                    ));
                }
                let right = self.power()?;
                left.value.mul(&right.value, &mut self.budget)?
            } else {
                return Ok(left);
            };
            left = Term::plain(value);
        }
    }

    /// Whether a factor follows that needs no `*` before it.
    fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Name(name)) => !is_word(name),
            Some(Token::Sign(c)) => *c == '(',
            _ => false,
        }
    }

    fn signed(&mut self) -> Outcome<Term> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.here(&format!("it is nested more than {MOST_DEPTH} deep")));
        }
        let term = if self.takes('-') {
            let term = self.signed()?;
            Term {
                value: term.value.neg(),
                percent: term.percent,
            }
        } else if self.takes('+') {
            self.signed()?
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(term)
    }

    /// A power; of several, the last comes first, and before the sign: -2^2 is -4.
    fn power(&mut self) -> Outcome<Term> {
        let base = self.postfix()?;
        if !self.takes('^') {
            return Ok(base);
        }
        let exponent = self.signed()?;
        let value = base.value.pow(&exponent.value, &mut self.budget)?;
        Ok(Term::plain(value))
    }

    fn postfix(&mut self) -> Outcome<Term> {
        let mut term = Term::plain(self.primary()?);
        loop {
            if self.takes('!') {
                term = Term::plain(functions::factorial(&term.value, &mut self.budget)?);
            } else if self.takes('°') {
                let degree = functions::degree(&mut self.budget)?;
                term = Term::plain(term.value.mul(&degree, &mut self.budget)?);
            } else if self.is_percent() {
                self.at += 1;
                let hundred = Number::whole(100);
                term = Term {
                    value: term.value.div(&hundred, &mut self.budget)?,
                    percent: true,
                };
            } else {
                return Ok(term);
            }
        }
    }

    /// Whether a `%` follows that is no division with a rest: nothing to divide by stands behind it.
    fn is_percent(&self) -> bool {
        if self.peek() != Some(&Token::Sign('%')) {
            return false;
        }
        match self.tokens.get(self.at + 1) {
            Some((Token::Number(_), _)) => false,
            Some((Token::Name(name), _)) => is_word(name),
            Some((Token::Sign(c), _)) => *c != '(',
            None => true,
        }
    }

    fn primary(&mut self) -> Outcome<Number> {
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(self.here("a number is missing"));
        };
        match token {
            Token::Number(value) => {
                self.at += 1;
                if matches!(self.peek(), Some(Token::Number(_))) {
                    return Err(self.here("an operator is missing between two numbers"));
                }
                Ok(Number::exact(value))
            }
            Token::Sign('(') => {
                self.at += 1;
                let value = self.sum()?.value;
                self.close()?;
                Ok(value)
            }
            Token::Name(name) if !is_word(&name) => self.named(&name),
            _ => Err(self.here("a number is missing")),
        }
    }

    fn close(&mut self) -> Outcome<()> {
        if self.takes(')') {
            return Ok(());
        }
        match self.peek() {
            Some(Token::Sign(',')) => {
                Err(self.here("a comma is between the arguments of a function"))
            }
            Some(_) => Err(self.here("an operator or a `)` is missing")),
            None => Err(self.here("a `)` is missing")),
        }
    }

    /// A constant, or a function with its arguments.
    fn named(&mut self, name: &str) -> Outcome<Number> {
        if let Some(value) = functions::constant(name) {
            self.at += 1;
            return Ok(value);
        }
        if !functions::NAMES.contains(&name) {
            return Err(self.here(&unknown(name)));
        }
        self.at += 1;
        if !self.takes('(') {
            return Err(self.here(&format!("write the argument of `{name}` in parentheses")));
        }
        let mut arguments = Vec::new();
        if !self.takes(')') {
            loop {
                arguments.push(self.sum()?.value);
                if arguments.len() > MOST_ARGUMENTS {
                    return Err(self.here("a function has too many arguments"));
                }
                if !self.takes(',') {
                    break;
                }
            }
            self.close()?;
        }
        functions::call(name, &arguments, &mut self.budget)
    }
}

fn unknown(name: &str) -> String {
    let known = functions::NAMES.iter().chain(functions::CONSTANTS);
    let help = match nearest(name, known.copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "there are no variables; units are converted by praxis/convert".to_owned(),
    };
    format!("`{name}` is no function and no constant: {help}")
}
