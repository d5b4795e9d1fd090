//! Foreign keys as a graph of tables: what has to be joined so that two tables meet.
//!
//! Left out: which tables are wanted (`score`).

use std::collections::VecDeque;

use crate::sql::Table;

/// The most tables that stand between two that are joined.
const MOST_BETWEEN: usize = 3;

/// Which tables are linked by a foreign key, in either direction, in the order of the tables.
pub(crate) fn neighbours(tables: &[Table]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); tables.len()];
    for (from, table) in tables.iter().enumerate() {
        for key in &table.foreign_keys {
            let to = tables
                .iter()
                .position(|t| t.name.eq_ignore_ascii_case(&key.table));
            if let Some(to) = to.filter(|to| *to != from) {
                all[from].push(to);
                all[to].push(from);
            }
        }
    }
    for near in &mut all {
        near.sort_unstable();
        near.dedup();
    }
    all
}

/// The tables between `to` and the nearest of `from`, both ends left out: none where they are linked, or where no path
/// is short enough.
pub(crate) fn between(neighbours: &[Vec<usize>], from: &[usize], to: usize) -> Vec<usize> {
    if from.contains(&to) || to >= neighbours.len() {
        return Vec::new();
    }
    let mut before: Vec<Option<usize>> = vec![None; neighbours.len()];
    let mut steps: Vec<Option<usize>> = vec![None; neighbours.len()];
    let mut queue = VecDeque::from([to]);
    steps[to] = Some(0);
    while let Some(at) = queue.pop_front() {
        let taken = steps[at].unwrap_or(0);
        if from.contains(&at) {
            let mut path = Vec::new();
            let mut step = before[at];
            while let Some(table) = step.filter(|table| *table != to) {
                path.push(table);
                step = before[table];
            }
            return path;
        }
        if taken > MOST_BETWEEN {
            continue;
        }
        for next in &neighbours[at] {
            if steps[*next].is_none() {
                steps[*next] = Some(taken + 1);
                before[*next] = Some(at);
                queue.push_back(*next);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;
    use crate::sql::ask::fixtures::music;

    #[test]
    fn the_shortest_path_of_joins_is_found() {
        let tables = music(Dialect::Sqlite).tables;
        let near = neighbours(&tables);
        let at = |name: &str| tables.iter().position(|t| t.name == name).unwrap();
        let path = |from: &[&str], to: &str| {
            let from: Vec<usize> = from.iter().map(|name| at(name)).collect();
            let found = between(&near, &from, at(to));
            found
                .into_iter()
                .map(|i| tables[i].name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(path(&["artist"], "album"), Vec::<&str>::new());
        assert_eq!(path(&["artist"], "track"), ["album"]);
        assert_eq!(path(&["album"], "invoice"), ["track", "invoice_line"]);
        assert_eq!(path(&["artist", "track"], "invoice"), ["invoice_line"]);
        // Farther apart than anybody joins.
        assert_eq!(path(&["artist"], "customer"), Vec::<&str>::new());
        assert_eq!(path(&["artist"], "artist"), Vec::<&str>::new());
    }
}
