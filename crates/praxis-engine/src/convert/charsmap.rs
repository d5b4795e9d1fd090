//! Compiling character rewrites to SentencePiece's `precompiled_charsmap`: the counterpart of the
//! reader in `encoder::charsmap`, which describes the layout.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A node of the trie before it is laid out.
#[derive(Default)]
struct Node {
    children: BTreeMap<u8, usize>,
    value: Option<u32>,
}

/// The bytes of the map that rewrites each character to its text.
pub(super) fn compile(rewrites: &[(char, String)]) -> Vec<u8> {
    let mut replacements = Vec::new();
    let mut offsets = HashMap::new();
    let mut nodes = vec![Node::default()];
    for (from, to) in rewrites {
        let offset = *offsets.entry(to.as_str()).or_insert_with(|| {
            let offset = replacements.len() as u32;
            replacements.extend(to.as_bytes());
            replacements.push(0);
            offset
        });
        let mut buffer = [0; 4];
        let mut at = 0;
        for byte in from.encode_utf8(&mut buffer).bytes() {
            at = match nodes[at].children.get(&byte) {
                Some(child) => *child,
                None => {
                    let child = nodes.len();
                    nodes.push(Node::default());
                    nodes[at].children.insert(byte, child);
                    child
                }
            };
        }
        nodes[at].value = Some(offset);
    }
    let units = lay_out(&nodes);
    let mut out = ((units.len() * 4) as u32).to_le_bytes().to_vec();
    out.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
    out.extend(replacements);
    out
}

/// Places each node's children at a base of their own, where all their places are free.
fn lay_out(nodes: &[Node]) -> Vec<u32> {
    let mut units = vec![0u32; 256];
    let mut taken = vec![false; 256];
    taken[0] = true;
    let mut bases = HashSet::new();
    let mut lowest = 1;
    let mut open = std::collections::VecDeque::from([(0usize, 0usize)]);
    while let Some((node, place)) = open.pop_front() {
        let node = &nodes[node];
        let mut labels = node.children.keys().copied().collect::<Vec<_>>();
        if node.value.is_some() {
            labels.insert(0, 0);
        }
        if labels.is_empty() {
            continue;
        }
        while taken.get(lowest).copied().unwrap_or(false) {
            lowest += 1;
        }
        // Offsets of fewer than 21 bits are stored plainly; the units of all of Unicode's rewrites
        // stay far below that.
        let mut base = lowest;
        loop {
            let free = |label: &u8| {
                !taken
                    .get(base ^ usize::from(*label))
                    .copied()
                    .unwrap_or(false)
            };
            if base != place && !bases.contains(&base) && labels.iter().all(free) {
                break;
            }
            base += 1;
        }
        bases.insert(base);
        let needed = (base | 0xFF) + 1;
        if units.len() < needed {
            units.resize(needed, 0);
            taken.resize(needed, false);
        }
        units[place] |= ((base ^ place) as u32) << 10;
        if let Some(value) = node.value {
            units[place] |= 1 << 8;
            units[base] = value | 1 << 31;
            taken[base] = true;
        }
        for (label, child) in &node.children {
            let at = base ^ usize::from(*label);
            units[at] = u32::from(*label);
            taken[at] = true;
            open.push_back((*child, at));
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::compile;
    use crate::encoder::Charsmap;

    #[test]
    fn what_is_compiled_is_what_the_reader_rewrites() {
        let rewrites = (0x20u32..0x3000)
            .step_by(7)
            .chain([0xFF21, 0x1D400, 0x2F800])
            .filter_map(char::from_u32)
            .enumerate()
            .map(|(at, from)| {
                (
                    from,
                    if at % 5 == 0 {
                        String::new()
                    } else {
                        format!("<{at}>")
                    },
                )
            })
            .collect::<Vec<_>>();
        let map = Charsmap::parse(&compile(&rewrites)).unwrap();
        for (from, to) in &rewrites {
            assert_eq!(
                map.rewrite(&format!("\u{1}{from}\u{2}")),
                format!("\u{1}{to}\u{2}")
            );
        }
        for kept in ["\u{1}", "é\u{10FFFF}", "!"] {
            let named = rewrites.iter().any(|(from, _)| kept.contains(*from));
            assert!(named || map.rewrite(kept) == kept, "{kept:?}");
        }
        assert_eq!(map.rewrite(""), "");
    }
}
