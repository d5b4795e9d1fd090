//! Tables as people draw them in text: a row a line, with a bar (`|`) before, between and after its cells. Here is what
//! tells one from lines that happen to have bars. In doubt it is none: a table that is missed is still text, line by
//! line. Left out: tables that a format has itself.

use super::grid::Grid;

/// A piece of a text.
pub(super) struct Piece<'a> {
    /// Its lines, with their ends.
    pub lines: &'a str,
    /// The columns of the table that they are, if they are one.
    pub columns: Option<usize>,
}

/// A text in pieces: lines that rows could be, as long as they follow one another, and each other line by itself.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.split_inclusive('\n').next()?;
        let drawn = rest.split_inclusive('\n').take_while(|line| is_drawn(line));
        let length = drawn.map(str::len).sum::<usize>().max(first.len());
        let (lines, after) = rest.split_at(length);
        rest = after;
        Some(Piece {
            lines,
            columns: columns(lines),
        })
    })
}

/// The columns of lines that are a table: two rows at least, all with as many cells, two at least.
fn columns(lines: &str) -> Option<usize> {
    let (mut columns, mut count) = (0, 0);
    for row in rows(lines) {
        let cells = cells(row).filter(|cells| cells.len() > 1 && are_apart(cells))?;
        if count > 0 && cells.len() != columns {
            return None;
        }
        columns = cells.len();
        count += 1;
    }
    (count > 1).then_some(columns)
}

/// The rows of a table: its lines but for those that only rule rows off.
pub(super) fn rows(lines: &str) -> impl Iterator<Item = &str> {
    lines.lines().map(str::trim).filter(|line| !is_rule(line))
}

/// The text of a table, as that of every format.
pub(super) fn markdown(lines: &str) -> String {
    let mut grid = Grid::default();
    for row in rows(lines).filter_map(cells) {
        grid.row();
        for (column, cell) in row.into_iter().enumerate() {
            // A bar after a backslash is text.
            grid.add(column, &cell.trim().replace("\\|", "|"));
        }
    }
    grid.finish()
}

/// The cells of a row: of a line that begins and ends with a bar. A bar after a backslash is text.
fn cells(row: &str) -> Option<Vec<&str>> {
    let row = row.strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in row.bytes().enumerate() {
        if byte == b'|' && !escaped {
            cells.push(&row[start..at]);
            start = at + 1;
        }
        escaped = byte == b'\\';
    }
    cells.push(&row[start..]);
    // Before the last bar, too.
    (!escaped).then_some(cells)
}

/// Whether bars stand between cells. Where they enclose what they mark, as in `|x| = |y|` or `|logo| |name|`, they are
/// close to some texts and away from others.
fn are_apart(cells: &[&str]) -> bool {
    let is_spaced = |cell: &&str| cell.starts_with(' ') && cell.ends_with(' ');
    let is_close = |cell: &&str| !cell.is_empty() && !cell.starts_with(' ') && !cell.ends_with(' ');
    !(cells.iter().any(is_spaced) && cells.iter().any(is_close))
}

/// Whether a line may be a part of a table: a row, or a rule.
fn is_drawn(line: &str) -> bool {
    line.trim_start().starts_with('|') || is_rule(line.trim())
}

/// Whether a line only rules rows off: `|---|:--:|` or `+----+----+`.
fn is_rule(line: &str) -> bool {
    line.starts_with(['|', '+'])
        && line.ends_with(['|', '+'])
        && (line.contains("--") || line.contains("=="))
        && line.chars().all(|c| "|+-=: ".contains(c))
}
