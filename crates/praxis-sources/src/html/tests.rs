//! Pages as people write them, and the blocks that are read of each.

use proptest::prelude::*;

use super::*;

/// Blocks with their kinds, and tables as rows with bars.
#[derive(Debug, Default)]
struct Blocks(Vec<(Standing, String)>);

#[derive(Debug, Default)]
struct Rows(Vec<String>);

impl Table for Rows {
    fn row(&mut self, cells: Vec<String>) {
        assert!(cells.iter().any(|cell| !cell.is_empty()), "{cells:?}");
        assert!(cells.iter().all(|cell| *cell == one_line(cell)));
        self.0.push(cells.join("|"));
    }

    fn finish(self) -> Result<String, String> {
        Ok(self.text())
    }

    fn text(self) -> String {
        self.0.join("\n")
    }
}

impl Output for Blocks {
    type Table = Rows;

    fn block(&mut self, block: Block<'_>) {
        self.0.push((block.standing, block.text));
    }
}

fn blocks(page: &str) -> Vec<(Standing, String)> {
    walk(page, Blocks::default()).0.0
}

fn read(page: &str) -> Vec<(Kind, String)> {
    let blocks = blocks(page).into_iter();
    blocks.map(|(at, text)| (at.kind, text)).collect()
}

#[test]
fn blocks_are_what_a_reader_sees() {
    use Kind::{Code, Heading, Item, Paragraph, Table};
    for (page, expected) in [
        (
            "<nav>no</nav><h2>A<br>b</h2><p>one\n two<br><br>three<p hidden>no<p>four",
            vec![
                (Heading(2), "A b"),
                (Paragraph, "one two\nthree"),
                (Paragraph, "four"),
            ],
        ),
        (
            "<aside>no</aside><main><aside>a note</aside><svg/>x</main>",
            vec![(Paragraph, "a note"), (Paragraph, "x")],
        ),
        (
            "<ol start=9><li><p>a</p><ul><li><br>b</ul><li><li>c</ol><pre>\n  d\n</pre>",
            vec![
                (Item, "9. a"),
                (Item, "- b"),
                (Item, "11. c"),
                (Code, "  d"),
            ],
        ),
        (
            "<table><caption>Days</caption><tr><th>a<th colspan=2>b\
             <tr><td rowspan=2>1<td><p>2</p>3<td><tr><td>4<td>5</table>",
            vec![(Paragraph, "Days"), (Table, "a|b|\n1|2 3|\n1|4|5")],
        ),
        // What stands in a table but in no cell is shown before it.
        (
            "<table>x<tr>y<td>1<td>2",
            vec![(Paragraph, "x"), (Paragraph, "y"), (Table, "1|2")],
        ),
        // Tables that arrange the page.
        (
            "<table><tr><td>a<td>b<tr><td><h1>c</h1>d<td>e</table>f",
            vec![
                (Paragraph, "a|b"),
                (Heading(1), "c"),
                (Paragraph, "d"),
                (Paragraph, "e"),
                (Paragraph, "f"),
            ],
        ),
        (
            "<table><tr><td>a<td><table><tr><td>b</table>c</table>",
            vec![(Paragraph, "a|"), (Paragraph, "b"), (Paragraph, "c")],
        ),
    ] {
        let read = read(page);
        let read: Vec<(Kind, &str)> = read.iter().map(|(k, t)| (*k, t.as_str())).collect();
        assert_eq!(read, expected, "{page}");
    }
}

#[test]
fn a_title_is_one_line_and_the_first() {
    let title = |page| walk(page, Blocks::default()).1;
    let page = "<title> A\n &amp; b </title><p>x<title>c</title>";
    assert_eq!(title(page).as_deref(), Some("A & b"));
    assert_eq!(title("<title> </title><p>x"), None);
    assert_eq!(title(""), None);
}

#[test]
fn a_block_knows_where_it_stands() {
    let page = "<p>before<table><tr><td>menu<td><main>text <a href='#top'>up</a></main></table>\
                <div class=sidebar>news<div>more</div></div><div class=banner>b</div>\
                <ol><li><a href='javascript:x()'>go on</a></ol><div id=content>c</div>";
    let blocks = blocks(page);
    let of = |text: &str| blocks.iter().find(|(_, t)| t == text).unwrap().0;
    assert_eq!(of("before").main, 0);
    assert_eq!(of("menu|").main, 0);
    let text = of("text up");
    assert_eq!((text.main, text.size, text.linked), (1, 7, 3));
    assert_eq!(of("news").around, of("more").around);
    assert!(of("news").around > 0 && of("b").around == 0);
    assert!(of("b").doubtful > 0 && of("c").content > 0);
    // Marks of lists are none of its text, and links count wherever they lead.
    let item = of("1. go on");
    assert_eq!((item.size, item.linked), (5, 5));
}

#[test]
fn a_message_knows_what_it_quotes() {
    struct Quotes(Vec<(String, bool)>);
    impl Output for Quotes {
        type Table = Rows;

        fn block(&mut self, block: Block<'_>) {
            self.0.push((block.text, block.quoted));
        }
    }
    let page = "<p>Yes.</p><blockquote type=cite>Really?</blockquote>Bob";
    let (quotes, _) = walk(page, Quotes(Vec::new()));
    let expected = [("Yes.", false), ("Really?", true), ("Bob", false)];
    assert_eq!(
        quotes.0,
        expected.map(|(text, quoted)| (text.to_owned(), quoted))
    );
}

#[test]
fn a_page_that_nests_without_end_is_read() {
    for open in [
        "<div>",
        "<b>",
        "<a href=/x>",
        "<ul><li>x",
        "<ol>",
        "<main>",
        "<table><tr><td>",
        "<table><tr><td rowspan=200 colspan=20>",
        "<blockquote><p>",
        "<div class=sidebar>",
        "<nav>",
    ] {
        let page = format!("before<hr>{}x", open.repeat(50_000));
        let read = read(&page);
        assert_eq!(read[0], (Kind::Paragraph, "before".to_owned()), "{open}");
        let last = &read[read.len() - 1].1;
        assert_eq!(last.ends_with('x'), open != "<nav>", "{open}");
    }
}

proptest! {
    #[test]
    fn every_page_is_read(
        pieces in prop::collection::vec(prop_oneof![
            "</?(p|b|a|li|ul|ol|table|tr|td|th|caption|pre|h1|div|br|svg)( href='/x'| colspan=3| rowspan=9| hidden)?>",
            "</?(blockquote|main|article|aside|nav|title|script|div)( class='content'| class='menu ads'| type=cite)?>",
            "[a文 |\n]|&amp;|<!--|-->|</|/>",
        ], 0..80),
    ) {
        let page = pieces.concat();
        let blocks = blocks(&page);
        for (standing, text) in &blocks {
            prop_assert!(!text.trim().is_empty());
            prop_assert!(standing.linked <= standing.size);
            let lines = standing.kind == Kind::Code || text.lines().all(|line| !line.trim().is_empty());
            prop_assert!(lines, "{text:?}");
            prop_assert!(!matches!(standing.kind, Kind::Heading(_)) || !text.contains('\n'));
        }
        let size: usize = blocks.iter().map(|(standing, _)| standing.size).sum();
        prop_assert!(size <= page.len());
        let count = blocks.len();
        let (kept, left_out) = content(blocks, |(standing, _)| *standing);
        prop_assert!(left_out <= 100 && kept.len() <= count && kept.is_empty() == (count == 0));
    }
}
