//! Which pieces of a page are its content: those in its main part, without what is around the text. What
//! is doubtful stays: a page never loses most of its text to a guess without saying so.

use std::collections::HashMap;

use super::walk::Piece;
use crate::document::BlockKind;

/// Of a part's text, in percent: more in links and it is a menu.
const LINKED: usize = 50;

/// Pieces of links only that follow on each other and are a menu.
const RUN: usize = 4;

/// Characters of an entry of a menu.
const ENTRY: usize = 80;

/// Of the text, in percent: what must be left after something is taken out by a guess.
const LEFT: usize = 25;

/// The pieces that are content, and the share of the page's text, in percent, that was left out by a guess.
pub(super) fn choose(pieces: Vec<Piece>) -> (Vec<Piece>, usize) {
    let pieces = region(pieces);
    let all = size(pieces.iter());
    let around = around(&pieces);
    let pieces = without(pieces, &around);
    let menus = menus(&pieces);
    let pieces = without(pieces, &menus);
    let left = size(pieces.iter());
    (pieces, (all - left) * 100 / all.max(1))
}

fn size<'a>(pieces: impl Iterator<Item = &'a Piece>) -> usize {
    pieces.map(|piece| piece.text.len()).sum()
}

/// The only `<main>` or the only `<article>`; else a part that calls itself content and holds half of the
/// text; else all.
fn region(pieces: Vec<Piece>) -> Vec<Piece> {
    let (mains, articles) = pieces.iter().fold((0, 0), |(mains, articles), piece| {
        (mains.max(piece.main), articles.max(piece.article))
    });
    let any = |has: &dyn Fn(&Piece) -> bool| pieces.iter().any(has);
    let in_main = |piece: &Piece| piece.main > 0;
    let in_article = |piece: &Piece| piece.article > 0;
    let in_content = |piece: &Piece| piece.content > 0;
    let keep: fn(&Piece) -> bool = if mains == 1 && any(&in_main) {
        in_main
    } else if articles == 1 && any(&in_article) {
        in_article
    } else if size(pieces.iter().filter(|p| in_content(p))) * 2
        > size(pieces.iter().filter(|p| p.around == 0))
    {
        in_content
    } else {
        |_| true
    };
    pieces.into_iter().filter(keep).collect()
}

/// Which pieces are in parts around the text.
fn around(pieces: &[Piece]) -> Vec<bool> {
    let mut parts: HashMap<usize, (usize, usize)> = HashMap::new();
    for piece in pieces {
        let part = parts.entry(piece.doubtful).or_default();
        part.0 += piece.text.len();
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
fn menus(pieces: &[Piece]) -> Vec<bool> {
    let entry = |piece: &Piece| {
        let kind = matches!(piece.kind, BlockKind::ListItem | BlockKind::Paragraph);
        let inner = piece.text.trim_start_matches("- ").len();
        kind && piece.main == 0
            && piece.article == 0
            && piece.content == 0
            && inner < ENTRY
            && piece.linked * 10 >= inner * 9
    };
    let mut drop = vec![false; pieces.len()];
    let mut start = 0;
    while start < pieces.len() {
        let run = pieces[start..].iter().take_while(|p| entry(p)).count();
        if run >= RUN {
            drop[start..start + run].fill(true);
            let next = pieces.get(start + run).map(|p| p.kind);
            let headed = start > 0 && matches!(pieces[start - 1].kind, BlockKind::Heading(_));
            if headed && matches!(next, None | Some(BlockKind::Heading(_))) {
                drop[start - 1] = true;
            }
        }
        start += run.max(1);
    }
    drop
}

/// The pieces but those to be left out, unless that is nearly all.
fn without(pieces: Vec<Piece>, drop: &[bool]) -> Vec<Piece> {
    let left = pieces.iter().zip(drop).filter(|(_, drop)| !**drop);
    let left = size(left.map(|(piece, _)| piece));
    if left * 100 < size(pieces.iter()) * LEFT {
        return pieces;
    }
    pieces
        .into_iter()
        .zip(drop)
        .filter(|(_, drop)| !**drop)
        .map(|(piece, _)| piece)
        .collect()
}
