//! The pieces of a page that are its content. Left out: the rules of it, which `praxis_sources::html` has for all who
//! read pages.

use praxis_sources::html::{self, Sort, Standing};

use super::walk::Piece;
use crate::document::BlockKind;

/// The pieces that are content, and the share of the page's text, in percent, that was left out by a guess.
pub(super) fn choose(pieces: Vec<Piece>) -> (Vec<Piece>, usize) {
    let standings: Vec<Standing> = pieces.iter().map(standing).collect();
    let (chosen, dropped) = html::choose(&standings);
    let kept = pieces.into_iter().zip(chosen).filter(|(_, chosen)| *chosen);
    (kept.map(|(piece, _)| piece).collect(), dropped)
}

fn standing(piece: &Piece) -> Standing {
    Standing {
        sort: match piece.kind {
            BlockKind::Heading(_) => Sort::Heading,
            BlockKind::ListItem | BlockKind::Paragraph => Sort::Text,
            _ => Sort::Other,
        },
        main: piece.main,
        article: piece.article,
        content: piece.content,
        around: piece.around,
        doubtful: piece.doubtful,
        size: piece.text.len(),
        inner: piece.text.trim_start_matches("- ").len(),
        linked: piece.linked,
    }
}
