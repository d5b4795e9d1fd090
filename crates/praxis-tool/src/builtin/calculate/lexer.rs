//! An expression as tokens, in all the ways in which people and models write arithmetic.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::number::Outcome;

/// The largest exponent of a number such as `1e30`.
const MOST_EXPONENT: i32 = 5000;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(BigRational),
    /// A function, a constant, `mod` or `of`, in lower case.
    Name(String),
    /// One of `+ - * / ^ ( ) , ! % °`.
    Sign(char),
}

/// The tokens of a text, each with the character at which it begins, from 1.
///
/// # Errors
/// What stands there that is no arithmetic.
pub(super) fn tokens(text: &str) -> Outcome<Vec<(Token, usize)>> {
    let mut lexer = Lexer {
        chars: text.chars().map(plain).collect(),
        at: 0,
        tokens: Vec::new(),
        calls: Vec::new(),
    };
    while lexer.at < lexer.chars.len() {
        lexer.step()?;
    }
    Ok(lexer.tokens)
}

/// The sign that is meant by one of its other forms: those of Chinese input methods, and of typography.
fn plain(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '−' | '–' | '—' => '-',
        '×' | '·' | '∙' | '⋅' => '*',
        '÷' | '∕' => '/',
        '\u{3000}' | '\u{a0}' | '\u{202f}' => ' ',
        other => other,
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<(Token, usize)>,
    /// Of the parentheses that are open: whether they hold the arguments of a function.
    calls: Vec<bool>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn is_digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|c| c.is_ascii_digit())
    }

    fn push(&mut self, token: Token, start: usize) {
        self.tokens.push((token, start + 1));
    }

    fn sign(&mut self, c: char) {
        self.push(Token::Sign(c), self.at);
        self.at += 1;
    }

    fn step(&mut self) -> Outcome<()> {
        let Some(c) = self.peek(0) else {
            return Ok(());
        };
        match c {
            c if c.is_whitespace() => self.at += 1,
            '0'..='9' => self.number()?,
            '.' if self.is_digit(1) => self.number()?,
            '*' if self.peek(1) == Some('*') => {
                self.push(Token::Sign('^'), self.at);
                self.at += 2;
            }
            '(' => {
                let is_call =
                    matches!(self.tokens.last(), Some((Token::Name(name), _)) if !is_word(name));
                self.calls.push(is_call);
                self.sign('(');
            }
            ')' => {
                self.calls.pop();
                self.sign(')');
            }
            '+' | '-' | '*' | '/' | '^' | ',' | '!' | '%' | '°' => self.sign(c),
            '²' | '³' => {
                let power = if c == '²' { 2 } else { 3 };
                self.push(Token::Sign('^'), self.at);
                let power = BigRational::from_integer(BigInt::from(power));
                self.push(Token::Number(power), self.at);
                self.at += 1;
            }
            '√' => {
                self.push(Token::Name("sqrt".to_owned()), self.at);
                self.at += 1;
            }
            c if c.is_alphabetic() => {
                let start = self.at;
                while self
                    .peek(0)
                    .is_some_and(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
                {
                    self.at += 1;
                }
                let name: String = self.chars[start..self.at].iter().collect();
                self.push(Token::Name(name.to_lowercase()), start);
            }
            // What is asked for is what stands before it.
            '=' | '?'
                if self.chars[self.at..]
                    .iter()
                    .all(|c| matches!(c, '=' | '?') || c.is_whitespace()) =>
            {
                self.at = self.chars.len();
            }
            '<' | '>' | '=' => {
                return Err(
                    self.here("comparisons and equations are not computed; compute both sides")
                );
            }
            '$' | '€' | '£' | '¥' | '￥' => {
                return Err(self.here("leave the sign of the currency out"));
            }
            other => return Err(self.here(&format!("`{other}` is no part of arithmetic"))),
        }
        Ok(())
    }

    fn here(&self, what: &str) -> String {
        format!("{what} (character {})", self.at + 1)
    }

    fn number(&mut self) -> Outcome<()> {
        let start = self.at;
        if self.peek(0) == Some('0')
            && let Some(radix) = self.peek(1).and_then(radix)
            && self.peek(2).is_some_and(|c| c.is_digit(radix))
        {
            self.at += 2;
            let digits = self.run(|c| c.is_digit(radix));
            let value = BigInt::parse_bytes(digits.as_bytes(), radix).unwrap_or_default();
            self.push(Token::Number(BigRational::from_integer(value)), start);
            return Ok(());
        }
        let mut digits = self.run(|c| c.is_ascii_digit());
        self.thousands(&mut digits);
        let mut behind = 0;
        if self.peek(0) == Some('.') && (self.is_digit(1) || !digits.is_empty()) {
            self.at += 1;
            let fraction = self.run(|c| c.is_ascii_digit());
            behind = fraction.len();
            digits.push_str(&fraction);
        }
        if self.peek(0) == Some('.') && self.is_digit(1) {
            return Err(self.here("a number has one decimal point"));
        }
        let exponent = self.exponent()?;
        let value = BigInt::parse_bytes(digits.as_bytes(), 10).unwrap_or_default();
        let behind = i32::try_from(behind).unwrap_or(i32::MAX);
        let shift = exponent.saturating_sub(behind);
        let tens = BigInt::from(10).pow(shift.unsigned_abs());
        let value = if shift >= 0 {
            BigRational::from_integer(value * tens)
        } else {
            BigRational::new(value, tens)
        };
        self.push(Token::Number(value), start);
        Ok(())
    }

    /// Digits, with `_` between them left out.
    fn run(&mut self, is_digit: impl Fn(char) -> bool) -> String {
        let mut digits = String::new();
        while let Some(c) = self.peek(0) {
            if is_digit(c) {
                digits.push(c);
            } else if c != '_' || digits.is_empty() || !self.peek(1).is_some_and(&is_digit) {
                break;
            }
            self.at += 1;
        }
        digits
    }

    /// Groups of three digits behind commas, where a comma is not between arguments.
    fn thousands(&mut self, digits: &mut String) {
        if self.calls.last() == Some(&true) || !(1..=3).contains(&digits.len()) {
            return;
        }
        while self.peek(0) == Some(',')
            && (1..=3).all(|ahead| self.is_digit(ahead))
            && !self.is_digit(4)
        {
            let group = &self.chars[self.at + 1..self.at + 4];
            digits.extend(group);
            self.at += 4;
        }
    }

    /// `e-3` behind a number.
    fn exponent(&mut self) -> Outcome<i32> {
        let signed = matches!(self.peek(1), Some('+' | '-'));
        if !matches!(self.peek(0), Some('e' | 'E')) || !self.is_digit(1 + usize::from(signed)) {
            return Ok(0);
        }
        let negative = self.peek(1) == Some('-');
        self.at += 1 + usize::from(signed);
        let digits = self.run(|c| c.is_ascii_digit());
        match digits.parse::<i32>() {
            Ok(n) if n <= MOST_EXPONENT => Ok(if negative { -n } else { n }),
            _ => Err(self.here(&format!(
                "an exponent of a number is {MOST_EXPONENT} at most"
            ))),
        }
    }
}

/// Whether a name stands between two values, or is one, and so takes no arguments.
pub(super) fn is_word(name: &str) -> bool {
    matches!(name, "mod" | "of" | "times" | "plus" | "minus" | "x")
}

fn radix(c: char) -> Option<u32> {
    match c {
        'x' | 'X' => Some(16),
        'b' | 'B' => Some(2),
        'o' | 'O' => Some(8),
        _ => None,
    }
}
