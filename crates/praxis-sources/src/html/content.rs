//! Which pieces of a page are its content: those in its main part, without what is around the text. What
//! is doubtful stays: a page never loses most of its text to a guess without saying so. Left out: what the pieces say.

use std::collections::HashMap;

/// Of a part's text, in percent: more in links and it is a menu.
const LINKED: usize = 50;

/// Pieces of links only that follow on each other and are a menu.
const RUN: usize = 4;

/// Characters of an entry of a menu.
const ENTRY: usize = 80;

/// Of the text, in percent: what must be left after something is taken out by a guess.
const LEFT: usize = 25;

/// What a piece of a page is, as far as the choice goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A heading.
    Heading,
    /// A paragraph or an item of a list: what menus are made of.
    Text,
    /// Anything else: a table, code.
    Other,
}

/// Where a piece of a page stands, and how much of it is in links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub sort: Sort,
    /// Which `<main>` of the page it stands in, from 1; 0 for none.
    pub main: usize,
    /// Which `<article>`, likewise.
    pub article: usize,
    /// Which part that calls itself content, likewise.
    pub content: usize,
    /// Which part around the text, likewise.
    pub around: usize,
    /// Which part that is around the text if it is mostly links, likewise.
    pub doubtful: usize,
    /// Bytes of its text.
    pub size: usize,
    /// Bytes of its text without the mark of a list.
    pub inner: usize,
    /// Bytes of its text in links.
    pub linked: usize,
}

/// Which of the pieces, in their order, are content, and the share of the page's text, in percent, that was left out by
/// a guess.
pub fn choose(pieces: &[Standing]) -> (Vec<bool>, usize) {
    let kept = region(pieces);
    let all: usize = kept.iter().map(|i| pieces[*i].size).sum();
    let kept = without(pieces, kept, around);
    let kept = without(pieces, kept, menus);
    let left: usize = kept.iter().map(|i| pieces[*i].size).sum();
    let mut chosen = vec![false; pieces.len()];
    for i in kept {
        chosen[i] = true;
    }
    (chosen, (all - left) * 100 / all.max(1))
}

/// The only `<main>` or the only `<article>`; else a part that calls itself content and holds half of the
/// text; else all.
fn region(pieces: &[Standing]) -> Vec<usize> {
    let (mains, articles) = pieces.iter().fold((0, 0), |(mains, articles), piece| {
        (mains.max(piece.main), articles.max(piece.article))
    });
    let in_main = |piece: &Standing| piece.main > 0;
    let in_article = |piece: &Standing| piece.article > 0;
    let in_content = |piece: &Standing| piece.content > 0;
    let size = |has: fn(&Standing) -> bool| -> usize {
        pieces.iter().filter(|p| has(p)).map(|p| p.size).sum()
    };
    let keep: fn(&Standing) -> bool = if mains == 1 && pieces.iter().any(in_main) {
        in_main
    } else if articles == 1 && pieces.iter().any(in_article) {
        in_article
    } else if size(in_content) * 2 > size(|piece| piece.around == 0) {
        in_content
    } else {
        |_| true
    };
    (0..pieces.len()).filter(|i| keep(&pieces[*i])).collect()
}

/// Which pieces are in parts around the text.
fn around(pieces: &[&Standing]) -> Vec<bool> {
    let mut parts: HashMap<usize, (usize, usize)> = HashMap::new();
    for piece in pieces {
        let part = parts.entry(piece.doubtful).or_default();
        part.0 += piece.size;
        part.1 += piece.linked;
    }
    let menu = |number: usize| {
        let (all, linked) = parts.get(&number).copied().unwrap_or_default();
        number > 0 && linked * 100 > all * LINKED
    };
    pieces
        .iter()
        .map(|piece| piece.around > 0 || menu(piece.doubtful))
        .collect()
}

/// Which pieces are entries of menus: short, all links, many of them together. Headings above them go
/// with them.
fn menus(pieces: &[&Standing]) -> Vec<bool> {
    let entry = |piece: &Standing| {
        piece.sort == Sort::Text
            && piece.main == 0
            && piece.article == 0
            && piece.content == 0
            && piece.inner < ENTRY
            && piece.linked * 10 >= piece.inner * 9
    };
    let mut drop = vec![false; pieces.len()];
    let mut start = 0;
    while start < pieces.len() {
        let run = pieces[start..].iter().take_while(|p| entry(p)).count();
        if run >= RUN {
            drop[start..start + run].fill(true);
            let next = pieces.get(start + run).map(|p| p.sort);
            let headed = start > 0 && pieces[start - 1].sort == Sort::Heading;
            if headed && matches!(next, None | Some(Sort::Heading)) {
                drop[start - 1] = true;
            }
        }
        start += run.max(1);
    }
    drop
}

/// The pieces but those to be left out, unless that is nearly all.
fn without(
    pieces: &[Standing],
    kept: Vec<usize>,
    unwanted: fn(&[&Standing]) -> Vec<bool>,
) -> Vec<usize> {
    let here: Vec<&Standing> = kept.iter().map(|i| &pieces[*i]).collect();
    let drop = unwanted(&here);
    let all: usize = here.iter().map(|p| p.size).sum();
    let stays = here.iter().zip(&drop).filter(|(_, drop)| !**drop);
    let left: usize = stays.map(|(piece, _)| piece.size).sum();
    if left * 100 < all * LEFT {
        return kept;
    }
    let stays = kept.into_iter().zip(drop).filter(|(_, drop)| !*drop);
    stays.map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(size: usize) -> Standing {
        Standing {
            sort: Sort::Text,
            main: 0,
            article: 0,
            content: 0,
            around: 0,
            doubtful: 0,
            size,
            inner: size,
            linked: 0,
        }
    }

    #[test]
    fn the_main_part_counts_and_menus_do_not() {
        let link = |size| Standing {
            linked: size,
            ..text(size)
        };
        let in_main = |size| Standing {
            main: 1,
            ..text(size)
        };
        let notice = Standing {
            around: 1,
            ..text(50)
        };
        let menu = [link(10), link(12), link(8), link(9)];
        for (pieces, kept) in [
            (vec![text(100), in_main(60)], vec![false, true]),
            (vec![notice, text(100)], vec![false, true]),
            // Two parts that are each the main one tell nothing.
            (
                vec![
                    in_main(60),
                    Standing {
                        main: 2,
                        ..text(60)
                    },
                ],
                vec![true, true],
            ),
            (
                [&menu[..], &[text(200)]].concat(),
                vec![false, false, false, false, true],
            ),
            // Nearly all of the page is links: then they are its content.
            (menu.to_vec(), vec![true; 4]),
        ] {
            assert_eq!(choose(&pieces).0, kept, "{pieces:?}");
        }
        assert_eq!(choose(&[notice, text(50)]).1, 50);
        assert_eq!(choose(&[]), (Vec::new(), 0));
    }
}
