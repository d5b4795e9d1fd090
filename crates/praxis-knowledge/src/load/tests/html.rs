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
            (BlockKind::Table, "1 | 2"),
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
            vec![(BlockKind::Table, "a | b\n1 | 2 3\n | 4")],
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
    // Tests are built without optimization, and share their machine: ten times the time is allowed.
    assert!(took.as_secs() < 8, "{took:?}");
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
