//! Pages as they are found on the web.

use super::*;

#[test]
fn what_a_reader_reads_is_kept_and_nothing_else() {
    let page = "<title>T</title><nav>Menu</nav><main><h1>A &amp; B</h1><p>one <b>two</b><br>three</p>\
         <script>if (a < b) x('</p>')</script><style>p { color: red }</style>\
         <div hidden>no<div>no</div>no</div><p style='display: none'>no</p>\
         <p aria-hidden=true>no</p><template><p>no</p></template><select><option>no</select>\
         <ul><li>i</li><li hidden>no<li>j</ul>\
         <table><tr><td>1</td><td>2</td></tr></table></main><footer>Imprint</footer>";
    let document = load("x.html", page);
    assert_eq!(document.title, "T");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "A & B"),
            (BlockKind::Paragraph, "one two\nthree"),
            (BlockKind::ListItem, "- i"),
            (BlockKind::ListItem, "- j"),
            (BlockKind::Table, "| 1 | 2 |\n| --- | --- |"),
        ]
    );
}

#[test]
fn structure_survives_the_ways_that_pages_are_written() {
    let table = "<table><thead><tr><th>a<th>b<tbody><tr><td><p>1</p><td><ul><li>2<li>3</ul><tr><td><td>4</table>";
    let arranging =
        "<table><tr><td>Site<td><h2>News</h2><p>Text<table><tr><td>x<td>y</table></table>";
    for (name, page, expected) in [
        (
            "entities",
            "<p>&lt;a&gt; &eacute;&#20320;&#x597d;&nbsp;&copy; &unknown;",
            vec![(BlockKind::Paragraph, "<a> é你好 © &unknown;")],
        ),
        (
            "code keeps its lines",
            "<pre>\nfn f() {\n    <b>1</b>\n}\n</pre>",
            vec![(BlockKind::Code, "fn f() {\n    1\n}")],
        ),
        (
            "numbered and nested lists",
            "<ol start=3><li><p>c</p><ul><li>x</ul><li>d</ol><p>end",
            vec![
                (BlockKind::ListItem, "3. c"),
                (BlockKind::ListItem, "- x"),
                (BlockKind::ListItem, "4. d"),
                (BlockKind::Paragraph, "end"),
            ],
        ),
        (
            "blocks in cells",
            table,
            vec![(
                BlockKind::Table,
                "| a | b |\n| --- | --- |\n| 1 | 2 3 |\n|  | 4 |",
            )],
        ),
        (
            "a table that arranges the page",
            arranging,
            vec![
                (BlockKind::Paragraph, "Site"),
                (BlockKind::Heading(2), "News"),
                (BlockKind::Paragraph, "Text"),
                (BlockKind::Paragraph, "x"),
                (BlockKind::Paragraph, "y"),
            ],
        ),
        (
            "cells over several rows, with a caption",
            "<table><caption>Weather</caption><tr><th>City<th>Day<th>Sky\
             <tr><td rowspan=2>Paris<td>1<td>sun<tr><td>2<td>rain</table>",
            vec![
                (BlockKind::Paragraph, "Weather"),
                (
                    BlockKind::Table,
                    "| City | Day | Sky |\n| --- | --- | --- |\n| Paris | 1 | sun |\n| Paris | 2 | rain |",
                ),
            ],
        ),
        (
            "a table around the main content",
            "<table><tr><td>Site<td>Menu<tr><td><main><p>Text</p></main></table>",
            vec![(BlockKind::Paragraph, "Text")],
        ),
        (
            "lines of headings and items",
            "<h2>One<br>line</h2><ul><li><br>item</ul>",
            vec![
                (BlockKind::Heading(2), "One line"),
                (BlockKind::ListItem, "- item"),
            ],
        ),
        (
            "words of one paragraph",
            "<p>Hello,\n  <i>wor</i>ld\t!</p>and<div>more</div>text",
            vec![
                (BlockKind::Paragraph, "Hello, world !"),
                (BlockKind::Paragraph, "and"),
                (BlockKind::Paragraph, "more"),
                (BlockKind::Paragraph, "text"),
            ],
        ),
        (
            "two articles are two parts of one page",
            "<p>before</p><article>a</article><article>b</article>",
            vec![
                (BlockKind::Paragraph, "before"),
                (BlockKind::Paragraph, "a"),
                (BlockKind::Paragraph, "b"),
            ],
        ),
    ] {
        assert_eq!(blocks(&load("x.html", page)), expected, "{name}");
    }
}

#[test]
fn a_page_is_read_in_the_encoding_that_it_declares() {
    let body = "<p>鲁迅在仙台学习医学。</p>";
    for (head, encoding) in [
        ("<meta charset=gbk>", encoding_rs::GBK),
        (
            "<meta http-equiv=Content-Type content='text/html; charset=big5'>",
            encoding_rs::BIG5,
        ),
        ("<meta charset=gb2312>", encoding_rs::UTF_8),
        ("", encoding_rs::GB18030),
    ] {
        let page = format!("<title>中文</title>{head}{body}");
        let (bytes, ..) = encoding.encode(&page);
        let document = load("x.html", bytes);
        let read = (document.title.as_str(), document.text.as_str());
        let expected = ("中文", "鲁迅在仙台学习医学。");
        // Big5 has no simplified characters.
        if encoding == encoding_rs::BIG5 {
            assert_eq!(read.0, expected.0);
        } else {
            assert_eq!(read, expected, "{head}");
        }
    }
}

#[test]
fn five_megabytes_are_read_in_well_under_a_second() {
    let item = "<div class='x'><h2>Heading</h2><p>Some <a href='/x'>linked</a> text &amp; more.</p></div>\n";
    let page = item.repeat((5 << 20) / item.len());
    let start = std::time::Instant::now();
    let document = load("x.html", &page);
    let took = start.elapsed();
    assert!(document.blocks.len() > 100_000);
    // Tests are built without optimization, and share their machine: fifty times the time is allowed. Work that grows
    // with the square of the size would take longer still.
    assert!(took.as_secs() < 40, "{took:?}");
}

#[test]
fn a_hundred_thousand_nested_elements_are_read() {
    for open in [
        "<div>",
        "<b>",
        "<ul><li>",
        "<table><tr><td>",
        "<blockquote><p>",
        "<svg>",
    ] {
        let page = format!("<p>before</p>{}inside", open.repeat(100_000));
        let start = std::time::Instant::now();
        let document = load("x.html", &page);
        assert!(document.text.starts_with("before"), "{open}");
        assert_eq!(document.text.ends_with("inside"), open != "<svg>", "{open}");
        assert!(start.elapsed().as_secs() < 8, "{open}");
    }
}

/// A page as many sites build it: menus in plain lists, notices in boxes, the text in `<div>`s.
fn site(content: &str) -> String {
    let menu: String = ["Home", "News", "Shop", "About us", "Contact"]
        .map(|name| format!("<li><a href='/x'>{name}</a></li>"))
        .concat();
    let teasers: String = (0..6)
        .map(|i| format!("<div><a href='/{i}'>Another story number {i}</a></div>"))
        .collect();
    format!(
        "<title>T</title><body><div class='site-header'><ul>{menu}</ul></div>\
         <div id='cookie-notice'><p>We use cookies to improve your visit. <button>Yes</button></p></div>\
         {content}\
         <div class='col sidebar-right'><h3>Weather</h3><p>Sunny with some clouds in the south.</p></div>\
         <h2>More stories</h2>{teasers}\
         <div class='page_footer'><p>All rights reserved by the publisher.</p></div>"
    )
}

#[test]
fn menus_notices_and_link_lists_are_left_out() {
    let text = "The lighthouse keeper wrote down the weather every evening before supper, as <a href='/k'>keepers</a> do. ";
    let content = format!(
        "<div><div><h1>The keeper</h1><p>{}</p><ul><li><a href='/a'>a link</a> in a list</li><li>oil</li></ul><p>{}</p></div></div>",
        text.repeat(3),
        text.repeat(2)
    );
    let document = load("x.html", site(&content));
    let kept = blocks(&document);
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert_eq!(kept[0], (BlockKind::Heading(1), "The keeper"));
    assert_eq!(kept[2], (BlockKind::ListItem, "- a link in a list"));
    assert!(document.notes.is_empty(), "{:?}", document.notes);

    // A part that calls itself the content is believed where it holds most of the text.
    let page = format!(
        "<p>Before.</p><div id=content><p>{}</p></div><p>After.</p>",
        text.repeat(5)
    );
    assert!(load("x.html", page).text.starts_with("The lighthouse"));
    let page = format!("<div id=content>Short.</div><p>{}</p>", text.repeat(5));
    assert!(load("x.html", page).text.starts_with("Short."));
    // Nor do numbers make a text of links.
    let links: String = (0..5)
        .map(|i| format!("<li><a href='/{i}'>Page {i}</a>"))
        .collect();
    let page = format!("<ol>{links}</ol><p>{}</p>", text.repeat(5));
    assert_eq!(load("x.html", page).blocks.len(), 1);
    // A menu of dishes is none of links.
    let page = "<div class=menu><h2>Menu</h2><p>Soup of the day</p><p>Fish with potatoes</p></div>";
    assert_eq!(load("x.html", page).blocks.len(), 3);
}

#[test]
fn a_page_is_never_left_out_altogether() {
    let links: String = (0..20)
        .map(|i| format!("<li><a href='/{i}'>Page number {i}</a></li>"))
        .collect();
    let index = load("x.html", format!("<h1>Index</h1><ul>{links}</ul>"));
    assert_eq!(index.blocks.len(), 21);
    let all = load(
        "x.html",
        "<div class=sidebar><p>All that there is.</p></div>",
    );
    assert_eq!(all.text, "All that there is.");
    // What goes to a guess is told where it is much.
    let words = "some words of a box ".repeat(20);
    let page = format!(
        "<p>{words}</p><div class=newsletter><p>{}</p></div>",
        words.repeat(2)
    );
    let document = load("x.html", page);
    assert_eq!(document.blocks.len(), 1);
    assert!(
        document.notes[0].contains("66 % of its text"),
        "{:?}",
        document.notes
    );
}
