//! The filters of a container, read from its dictionary as hayro-syntax reads them. Left out: filters that a dictionary
//! does not name itself; a container needs none of these.

use std::borrow::Cow;

use super::super::lexer::{Dictionary, Key, Lexer};
use super::super::unpack::{MOST_FILTERS, Named, Parameters, Step};

/// The widest row that a container's predictor may have.
const MOST_COLUMNS: u64 = 65_535;

/// How a container is packed.
pub(super) enum Chain {
    Steps(Vec<Step>),
    /// As a picture, which hayro-syntax takes for no container.
    Picture,
    /// In a way that does not tell.
    Odd,
}

/// How the stream of a dictionary is packed.
pub(super) fn chain(lexer: &mut Lexer<'_>, dictionary: &Dictionary) -> Chain {
    let [filter, short] = [Key::Filter, Key::F].map(|key| dictionary.get(key));
    let [parameters, also] = [Key::DecodeParms, Key::Dp].map(|key| dictionary.get(key));
    if filter.is_some() && short.is_some() || parameters.is_some() && also.is_some() {
        return Chain::Odd;
    }
    match filter.or(short) {
        None => Chain::Steps(Vec::new()),
        Some(at) => steps(lexer, at, parameters.or(also)).unwrap_or(Chain::Odd),
    }
}

fn steps(lexer: &mut Lexer<'_>, at: usize, described: Option<usize>) -> Option<Chain> {
    if lexer.begins(at, b"null") {
        return Some(Chain::Steps(Vec::new()));
    }
    let is_list = lexer.byte(at)? == b'[';
    let names = if is_list {
        names(lexer, at + 1)?
    } else {
        vec![lexer.name(at)?.0]
    };
    let mut steps = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match Named::of(name) {
            Named::Packing(packing) => {
                let index = is_list.then_some(index);
                let parameters = match described {
                    Some(at) => parameters(lexer, at, index)?,
                    None => Parameters::default(),
                };
                steps.push((packing, parameters));
            }
            Named::Picture => return Some(Chain::Picture),
            Named::Crypt | Named::Unknown => return None,
        }
    }
    Some(Chain::Steps(steps))
}

fn names<'a>(lexer: &mut Lexer<'a>, mut at: usize) -> Option<Vec<Cow<'a, [u8]>>> {
    let mut names = Vec::new();
    loop {
        at = lexer.space(at)?;
        if lexer.byte(at)? == b']' {
            return Some(names);
        }
        let (name, end) = lexer.name(at)?;
        names.push(name);
        at = end;
        if names.len() > MOST_FILTERS {
            return None;
        }
    }
}

/// The parameters of a filter, of the one of that index in a list of filters; `None` for those that containers have no
/// need of: hayro-syntax makes room for a row as wide as they say.
fn parameters(lexer: &mut Lexer<'_>, mut at: usize, index: Option<usize>) -> Option<Parameters> {
    let is_list = lexer.byte(at)? == b'[';
    if is_list != index.is_some() {
        // One for a list, or a list for one, is passed over.
        let is_known = is_list || lexer.begins(at, b"<<") || lexer.begins(at, b"null");
        return is_known.then(Parameters::default);
    }
    if let Some(index) = index {
        at = lexer.space(at + 1)?;
        for _ in 0..index {
            if lexer.reference(at).is_some() {
                return None;
            }
            if lexer.byte(at)? == b']' {
                break;
            }
            let end = lexer.object(at, 0)?;
            at = lexer.space(end)?;
        }
    }
    if lexer.begins(at, b"null") || lexer.begins(at, b"]") {
        return Some(Parameters::default());
    }
    if !lexer.begins(at, b"<<") {
        return None;
    }
    let dictionary = lexer.dictionary(at, 0)?;
    let mut number = |key: Key, usual: u64| match dictionary.get(key) {
        None => Some(usual),
        Some(at) if lexer.reference(at).is_some() => None,
        Some(at) => lexer.number(at).map(|(number, _)| number),
    };
    let usual = Parameters::default();
    let found = Parameters {
        predictor: number(Key::Predictor, usual.predictor)?,
        colors: number(Key::Colors, usual.colors)?,
        bits: number(Key::BitsPerComponent, usual.bits)?,
        columns: number(Key::Columns, usual.columns)?,
        early_change: number(Key::EarlyChange, 1)? != 0,
    };
    let plain = found.colors == 1 && found.bits == 8;
    let narrow = (1..=MOST_COLUMNS).contains(&found.columns);
    let sound = match found.predictor {
        1 => true,
        2 | 10..=15 => plain && narrow,
        _ => false,
    };
    sound.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::super::super::unpack::Packing;
    use super::*;

    fn read(dictionary: &str) -> Option<Vec<Step>> {
        let mut lexer = Lexer::new(dictionary.as_bytes(), 1 << 20);
        let read = lexer.dictionary(0, 0).unwrap();
        match chain(&mut lexer, &read) {
            Chain::Steps(steps) => Some(steps),
            Chain::Picture | Chain::Odd => None,
        }
    }

    #[test]
    fn filters_are_read_in_all_their_spellings() {
        use Packing::{Ascii85, Flate, Lzw};
        for (dictionary, packings) in [
            ("<<>>", &[][..]),
            ("<</Filter null>>", &[]),
            ("<</Filter/FlateDecode>>", &[Flate]),
            ("<</F/Fl>>", &[Flate]),
            ("<</Fil#74er[/A85 /F#6c]>>", &[Ascii85, Flate]),
            (
                "<</Filter[/LZW% a comment\n/Fl]/DecodeParms[null null]>>",
                &[Lzw, Flate],
            ),
        ] {
            let steps = read(dictionary).unwrap();
            let read: Vec<Packing> = steps.iter().map(|(packing, _)| *packing).collect();
            assert_eq!(read, packings, "{dictionary}");
        }
        for odd in [
            "<</Filter 7 0 R>>",
            "<</Filter[/Fl 7 0 R]>>",
            "<</Filter/Fl/F/LZW>>",
            "<</Filter/Unknown>>",
            "<</Filter/Crypt>>",
            "<</Filter/DCTDecode>>",
            "<</F(file)>>",
            "<</Filter/Fl/DecodeParms 7 0 R>>",
            "<</Filter/Fl/DecodeParms<</Predictor 12/Columns 7 0 R>>>>",
            "<</Filter/Fl/DecodeParms<</Predictor 2/BitsPerComponent 4/Columns 1000000000000>>>>",
            "<</Filter/Fl/DecodeParms<</Predictor 12/Columns 0>>>>",
        ] {
            assert!(read(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn parameters_belong_to_their_filter() {
        let of = |dictionary: &str| {
            let steps = read(dictionary).unwrap();
            let each = steps.iter().map(|(_, parameters)| parameters.columns);
            each.collect::<Vec<_>>()
        };
        let wide = "<</Predictor 12/Columns 5>>";
        assert_eq!(of(&format!("<</Filter/Fl/DecodeParms{wide}>>")), [5]);
        assert_eq!(of(&format!("<</Filter[/A85/Fl]/DP[null {wide}]>>")), [1, 5]);
        // As hayro-syntax does not heed one for a list.
        assert_eq!(of(&format!("<</Filter[/Fl]/DecodeParms{wide}>>")), [1]);
        assert_eq!(of(&format!("<</Filter/Fl/DecodeParms[{wide}]>>")), [1]);
    }
}
