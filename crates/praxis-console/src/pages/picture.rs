//! An entity and what it has to do with whom, as a picture: the entity in the middle, those that are stated most often
//! around it. It says nothing that the list below it does not say, so it is for the eye alone.

use praxis_core::language::is_han;
use praxis_knowledge::GraphTriple;

use super::graph::spoken;

/// Entities around, at most; with fewer than the least, the list is as quick to read.
const MOST: usize = 12;
const LEAST: usize = 3;

/// Of the whole picture, and of a box.
const WIDTH: i32 = 668;
const BOX: (i32, i32) = (120, 42);

/// Half of the ellipse that boxes stand on, from left to right.
const REACH: f64 = 270.0;

/// What a box holds, in widths of a Chinese character.
const NAME_ROOM: f64 = 8.0;
const RELATION_ROOM: f64 = 9.4;
const CENTRE_ROOM: f64 = 9.0;

/// The width of other characters.
const NARROW: f64 = 0.56;

/// Places are those of an SVG of `width` and `height`.
#[derive(Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: i32,
    pub(crate) height: i32,
    /// The middle.
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) name: String,
    pub(crate) around: Vec<Neighbour>,
}

/// A box.
#[derive(Debug, PartialEq)]
pub(crate) struct Neighbour {
    /// Its middle, and its upper left corner.
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) left: i32,
    pub(crate) top: i32,
    pub(crate) relation: String,
    pub(crate) name: String,
    pub(crate) href: String,
}

impl Picture {
    /// The entity `here` (name and type) with triples that it is in, of which the first are drawn; `href` gives the
    /// address of an entity.
    pub(crate) fn of(
        here: (&str, &str),
        triples: &[&GraphTriple],
        href: impl Fn(&str, &str) -> String,
    ) -> Option<Self> {
        let mut others: Vec<(&str, &str, String)> = Vec::new();
        for triple in triples {
            let subject = (triple.subject.as_str(), triple.subject_type.as_str());
            let object = (triple.object.as_str(), triple.object_type.as_str());
            let (other, arrow) = if subject == here {
                (object, '→')
            } else {
                (subject, '←')
            };
            let is_known = others.iter().any(|o| (o.0, o.1) == other);
            if !is_known && others.len() < MOST {
                let relation = format!("{arrow} {}", spoken(&triple.relation));
                others.push((other.0, other.1, relation));
            }
        }
        if others.len() < LEAST {
            return None;
        }
        let rise = if others.len() > 6 { 136.0 } else { 104.0 };
        let (x, y) = (WIDTH / 2, rounded(rise) + BOX.1 / 2 + 2);
        let step = std::f64::consts::TAU / others.len() as f64;
        let around = others
            .iter()
            .enumerate()
            .map(|(at, (name, kind, relation))| {
                let angle = step * at as f64 - std::f64::consts::FRAC_PI_2;
                let x = x + rounded(REACH * angle.cos());
                let y = y + rounded(rise * angle.sin());
                Neighbour {
                    x,
                    y,
                    left: x - BOX.0 / 2,
                    top: y - BOX.1 / 2,
                    relation: short(relation, RELATION_ROOM),
                    name: short(name, NAME_ROOM),
                    href: href(name, kind),
                }
            });
        Some(Self {
            width: WIDTH,
            height: 2 * y,
            around: around.collect(),
            name: short(here.0, CENTRE_ROOM),
            x,
            y,
        })
    }
}

fn rounded(length: f64) -> i32 {
    length.round() as i32
}

/// As much of a text as there is room for.
fn short(text: &str, room: f64) -> String {
    let width = |c: char| if is_han(c) { 1.0 } else { NARROW };
    if text.chars().map(width).sum::<f64>() <= room {
        return text.to_owned();
    }
    let mut left = room - 1.0;
    let fits = text.chars().take_while(|c| {
        left -= width(*c);
        left >= 0.0
    });
    let text: String = fits.collect();
    format!("{}…", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triple(subject: &str, relation: &str, object: &str) -> GraphTriple {
        GraphTriple {
            subject: subject.to_owned(),
            subject_type: "thing".to_owned(),
            relation: relation.to_owned(),
            object: object.to_owned(),
            object_type: "thing".to_owned(),
            statements: 1,
            provenance: Vec::new(),
        }
    }

    fn drawn(triples: &[GraphTriple]) -> Option<Picture> {
        let triples: Vec<&GraphTriple> = triples.iter().collect();
        Picture::of(("me", "thing"), &triples, |name, _| format!("/{name}"))
    }

    #[test]
    fn boxes_stand_in_the_picture_and_not_on_each_other() {
        for number in LEAST..20 {
            let triples: Vec<_> = (0..number)
                .map(|n| triple("me", "knows_of", &format!("{n}")))
                .collect();
            let picture = drawn(&triples).unwrap();
            assert_eq!(picture.around.len(), number.min(MOST));
            let centre = (picture.x - 75, picture.y - 20, 150, 40);
            let boxes = picture.around.iter().map(|n| (n.left, n.top, BOX.0, BOX.1));
            let all: Vec<_> = boxes.chain([centre]).collect();
            for (at, a) in all.iter().enumerate() {
                assert!(a.0 >= 0 && a.0 + a.2 <= picture.width, "{number}: {a:?}");
                assert!(a.1 >= 0 && a.1 + a.3 <= picture.height, "{number}: {a:?}");
                for b in &all[at + 1..] {
                    let apart = a.0 + a.2 <= b.0
                        || b.0 + b.2 <= a.0
                        || a.1 + a.3 <= b.1
                        || b.1 + b.3 <= a.1;
                    assert!(apart, "{number}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_neighbour_is_drawn_once_and_the_arrow_says_which_way() {
        let triples = [
            triple("me", "studied_in", "a"),
            triple("a", "taught", "me"),
            triple("b", "taught", "me"),
            triple("me", "wrote", "c"),
        ];
        let told: Vec<_> = drawn(&triples).unwrap().around;
        let told: Vec<_> = told.iter().map(|n| (&*n.relation, &*n.href)).collect();
        let all = [
            ("→ studied in", "/a"),
            ("← taught", "/b"),
            ("→ wrote", "/c"),
        ];
        assert_eq!(told, all);
        assert_eq!(drawn(&triples[..3]), None);
    }

    #[test]
    fn long_names_are_cut_by_their_width() {
        for (name, shown) in [
            ("Fujino", "Fujino"),
            ("Fujino Genkuro of Sendai", "Fujino Genku…"),
            ("仙台医学专门学校", "仙台医学专门学校"),
            ("仙台医学专门学校附属", "仙台医学专门学…"),
        ] {
            assert_eq!(short(name, NAME_ROOM), shown);
        }
    }
}
