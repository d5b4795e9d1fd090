//! Lines of a table to its rows. Which column a cell is in follows from where it stands, so that an empty cell leaves its
//! place empty, and a line that only goes on with the row above it is a part of that row. Left out: which lines are a
//! table (`flow`), and how it is written (`grid`).

use super::layout::{Cell, Line};
use super::prose::join;
use crate::load::grid::Grid;

/// Columns of a table; what stands beyond is in the last one.
const MAX_COLUMNS: usize = 64;

/// Distance of the lines of one cell, in font sizes.
const LEADING: f64 = 1.5;

/// How much nearer than rows the lines of one row are, where that tells them apart.
const CLOSE: f64 = 0.8;

/// A table as Markdown.
pub(super) fn table(lines: &[Line]) -> String {
    let columns = columns(lines);
    let pitch = pitch(lines, &columns);
    let mut filled = vec![false; columns.len()];
    let mut grid = Grid::default();
    for (index, line) in lines.iter().enumerate() {
        let places = places(&line.cells, &columns);
        let above = index
            .checked_sub(1)
            .map(|above| lines[above].base - line.base);
        let is_close = above
            .zip(pitch)
            .is_some_and(|(gap, pitch)| gap < CLOSE * pitch);
        let in_row = places.iter().all(|place| *place > 0 && filled[*place]);
        let goes_on = index > 0 && (line.cells.len() == 1 || is_close && in_row);
        if !goes_on {
            grid.row();
            filled.fill(false);
        }
        for (cell, place) in line.cells.iter().zip(places) {
            join(grid.cell(place), &cell.text);
            filled[place] = true;
        }
    }
    grid.finish()
}

/// Whether a line of one cell goes on with a cell of the table above it, of which these are the lines so far. `next` is
/// the line below it.
pub(super) fn goes_on(above: &[Line], line: &Line, next: Option<&Line>) -> bool {
    let row = above.iter().rev().find(|line| line.cells.len() > 1);
    let (Some(row), Some(last), [cell]) = (row, above.last(), line.cells.as_slice()) else {
        return false;
    };
    let size = line.size.max(1.0);
    let gap = last.base - line.base;
    let is_alike = (row.size - line.size).abs() <= 0.08 * size && row.bold == line.bold;
    if !is_alike || gap <= 0.0 || gap > LEADING * size {
        return false;
    }
    let touches = |other: &&(usize, &Cell)| cell.start < other.1.end && cell.end > other.1.start;
    let cells: Vec<(usize, &Cell)> = row.cells.iter().enumerate().collect();
    let mut touched = cells.iter().filter(touches);
    let (Some((column, other)), None) = (touched.next(), touched.next()) else {
        return false;
    };
    if *column == 0 {
        // A name in the first column goes on only if the next row is farther away: else it is a row's or a group's own.
        return next
            .is_some_and(|next| next.cells.len() > 1 && gap < CLOSE * (line.base - next.base));
    }
    // A number below a number is a value of its own, such as a sum.
    let has_letters = |cell: &Cell| cell.text.contains(char::is_alphabetic);
    has_letters(cell) && has_letters(other)
}

/// Where the columns of a table begin and end, from left to right.
fn columns(lines: &[Line]) -> Vec<(f64, f64)> {
    let mut columns: Vec<(f64, f64)> = Vec::new();
    let mut order: Vec<&Line> = lines.iter().collect();
    // Rows of many cells tell columns apart which a cell over several of them would join.
    order.sort_by_key(|line| std::cmp::Reverse(line.cells.len()));
    for cell in order.into_iter().flat_map(|line| &line.cells) {
        let first = columns.partition_point(|(_, end)| *end <= cell.start);
        let touched = columns[first..]
            .iter()
            .take_while(|(start, _)| *start < cell.end);
        match touched.count() {
            0 if columns.len() < MAX_COLUMNS => columns.insert(first, (cell.start, cell.end)),
            1 => {
                let (start, end) = columns[first];
                columns[first] = (start.min(cell.start), end.max(cell.end));
            }
            _ => {}
        }
    }
    columns
}

/// The column of each cell of a line: the first one that it stands in, or else the nearest, of those that are left.
fn places(cells: &[Cell], columns: &[(f64, f64)]) -> Vec<usize> {
    let last = columns.len().saturating_sub(1);
    let mut least = 0;
    let place = |cell: &Cell| {
        let left = least.min(last)..columns.len();
        let away = |(start, end): (f64, f64)| (start - cell.end).max(cell.start - end).max(0.0);
        let nearest = left.min_by(|a, b| away(columns[*a]).total_cmp(&away(columns[*b])));
        let place = nearest.unwrap_or(last);
        least = place + 1;
        place
    };
    cells.iter().map(place).collect()
}

/// The usual distance of a row from what is above it.
fn pitch(lines: &[Line], columns: &[(f64, f64)]) -> Option<f64> {
    let begins = |line: &Line| line.cells.len() > 1 && places(&line.cells, columns)[0] == 0;
    let rows = lines.windows(2).filter(|pair| begins(&pair[1]));
    let mut gaps: Vec<f64> = rows.map(|pair| pair[0].base - pair[1].base).collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of cells of ten points, each with where it begins; a character is five points wide.
    fn line(base: f64, cells: &[(f64, &str)]) -> Line {
        let cell = |(start, text): &(f64, &str)| Cell {
            text: (*text).to_owned(),
            start: *start,
            end: start + 5.0 * text.chars().count() as f64,
        };
        let cells: Vec<Cell> = cells.iter().map(cell).collect();
        Line {
            start: cells[0].start,
            end: cells.iter().map(|cell| cell.end).fold(0.0, f64::max),
            cells,
            base,
            size: 10.0,
            bold: false,
        }
    }

    #[test]
    fn a_value_stays_in_its_column_where_others_are_empty() {
        let lines = [
            line(700.0, &[(50.0, "Region"), (150.0, "Q1"), (250.0, "Q2")]),
            line(680.0, &[(50.0, "North"), (250.0, "30")]),
            line(660.0, &[(150.0, "12"), (250.0, "7")]),
            line(640.0, &[(50.0, "South"), (150.0, "5")]),
        ];
        assert_eq!(
            table(&lines),
            "| Region | Q1 | Q2 |\n| --- | --- | --- |\n| North |  | 30 |\n|  | 12 | 7 |\n| South | 5 |"
        );
        // No row has all columns.
        let lines = [
            line(700.0, &[(50.0, "a"), (150.0, "b")]),
            line(680.0, &[(50.0, "c"), (250.0, "d")]),
        ];
        assert_eq!(
            table(&lines),
            "| a | b |  |\n| --- | --- | --- |\n| c |  | d |"
        );
    }

    #[test]
    fn numbers_that_end_together_and_a_cell_over_columns_find_theirs() {
        let lines = [
            line(700.0, &[(50.0, "Name"), (140.0, "Price and tax, in euros")]),
            line(680.0, &[(50.0, "Small"), (160.0, "8"), (230.0, "100")]),
            line(660.0, &[(50.0, "Large"), (150.0, "800"), (240.0, "1")]),
        ];
        assert_eq!(
            table(&lines),
            "| Name | Price and tax, in euros |  |\n| --- | --- | --- |\n| Small | 8 | 100 |\n| Large | 800 | 1 |"
        );
    }

    #[test]
    fn a_cell_of_several_lines_is_one_cell() {
        let header = line(700.0, &[(50.0, "Room"), (150.0, "Note"), (300.0, "Price")]);
        let row = line(
            680.0,
            &[(50.0, "Small"), (150.0, "faces the har-"), (300.0, "40")],
        );
        let more = line(668.0, &[(150.0, "bour")]);
        let next = line(648.0, &[(50.0, "Large"), (150.0, "faces"), (300.0, "65")]);
        let both = line(636.0, &[(150.0, "hills"), (300.0, "net")]);
        let above = [header, row];
        assert!(goes_on(&above, &more, Some(&next)));
        let lines = [&above[..], &[more, next, both]].concat();
        assert_eq!(
            table(&lines),
            "| Room | Note | Price |\n| --- | --- | --- |\n| Small | faces the harbour | 40 |\n| Large | faces hills | 65 net |"
        );
    }

    #[test]
    fn what_stands_below_a_table_is_no_part_of_it() {
        let above = [
            line(700.0, &[(50.0, "Room"), (150.0, "Price")]),
            line(688.0, &[(50.0, "Small"), (150.0, "40")]),
        ];
        let row = line(640.0, &[(50.0, "Large"), (150.0, "65")]);
        for (what, below, next, expected) in [
            ("a sum", line(676.0, &[(150.0, "105")]), None, false),
            (
                "a paragraph",
                line(676.0, &[(50.0, "All prices are per night.")]),
                None,
                false,
            ),
            ("a far one", line(660.0, &[(150.0, "net")]), None, false),
            ("a short one", line(676.0, &[(50.0, "Net.")]), None, false),
            (
                "a name that goes on",
                line(676.0, &[(50.0, "rooms")]),
                Some(&row),
                true,
            ),
            ("a unit", line(676.0, &[(150.0, "euros")]), None, false),
        ] {
            assert_eq!(goes_on(&above, &below, next), expected, "{what}");
        }
        let words = [line(700.0, &[(50.0, "Room"), (150.0, "Note")])];
        assert!(goes_on(&words, &line(688.0, &[(150.0, "on it")]), None));
    }
}
