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

/// Of a page's text, in percent: more of it left out by a guess and who reads the page is to be told.
pub const TOLD: usize = 50;

/// What a block of a page is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A heading of this level, 1 being the outermost.
    Heading(u8),
    /// Running text.
    #[default]
    Paragraph,
    /// An item of a list.
    Item,
    /// Program text, kept as it is.
    Code,
    /// A table.
    Table,
}

/// Where a block of a page stands, and how much of it is in links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub kind: Kind,
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
    /// Bytes of its text as the page has it: without the marks of lists, and of what is made of the page.
    pub size: usize,
    /// Those of them in links, wherever these lead.
    pub linked: usize,
}

/// The blocks that are content, in their order, and the share of the page's text, in percent, that was left out by a
/// guess.
pub fn content<B>(blocks: Vec<B>, standing: impl Fn(&B) -> Standing) -> (Vec<B>, usize) {
    let standings: Vec<Standing> = blocks.iter().map(standing).collect();
    let (chosen, left_out) = choose(&standings);
    let kept = blocks.into_iter().zip(chosen).filter(|(_, chosen)| *chosen);
    (kept.map(|(block, _)| block).collect(), left_out)
}

/// Which of the pieces, in their order, are content, and the share of the page's text, in percent, that was left out by
/// a guess.
fn choose(pieces: &[Standing]) -> (Vec<bool>, usize) {
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
        matches!(piece.kind, Kind::Paragraph | Kind::Item)
            && piece.main == 0
            && piece.article == 0
            && piece.content == 0
            && piece.size < ENTRY
            && piece.linked * 10 >= piece.size * 9
    };
    let mut drop = vec![false; pieces.len()];
    let mut start = 0;
    while start < pieces.len() {
        let run = pieces[start..].iter().take_while(|p| entry(p)).count();
        if run >= RUN {
            drop[start..start + run].fill(true);
            let is_heading = |piece: &Standing| matches!(piece.kind, Kind::Heading(_));
            let headed = start > 0 && is_heading(pieces[start - 1]);
            let ends = pieces.get(start + run).is_none_or(|next| is_heading(next));
            if headed && ends {
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
            size,
            ..Standing::default()
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
        let blocks = vec![("notice", notice), ("text", text(150))];
        let (kept, left_out) = content(blocks, |(_, standing)| *standing);
        assert_eq!((kept, left_out), (vec![("text", text(150))], 25));
    }

    #[test]
    fn a_heading_of_a_menu_goes_with_it() {
        let heading = Standing {
            kind: Kind::Heading(2),
            ..text(5)
        };
        let link = Standing {
            kind: Kind::Item,
            linked: 10,
            ..text(10)
        };
        let menu = [&[text(200), heading][..], &[link; 4]].concat();
        assert_eq!(
            choose(&menu).0,
            [true, false, false, false, false, false],
            "at the end of the page"
        );
        let above_text = [&menu[..], &[text(20)]].concat();
        assert_eq!(
            choose(&above_text).0,
            [true, true, false, false, false, false, true]
        );
    }
}
