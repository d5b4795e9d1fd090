//! Pages as people write them, and the Markdown of each.

use proptest::prelude::*;

use super::*;

fn written(html: &str) -> String {
    let url = Url::parse("https://e.com/docs/a.html").unwrap();
    markdown(html, Some(&url)).markdown
}

#[test]
fn each_kind_of_block_has_its_form() {
    for (html, expected) in [
        (
            "<h2>A <b>title</b></h2><p>Text\n  goes   on.</p>",
            "## A **title**\n\nText goes on.",
        ),
        ("<p>one<p>two", "one\n\ntwo"),
        ("<p>a<br>b</p>", "a\nb"),
        ("<ul><li>a<li>b</ul><p>c", "- a\n- b\n\nc"),
        ("<ol start=3><li>a</li><li><p>b</p></li></ol>", "3. a\n4. b"),
        (
            "<ul><li>a<ol><li>b</li><li>c</li></ol></li><li>d</li></ul>",
            "- a\n  1. b\n  2. c\n- d",
        ),
        ("<ul><li>a<p>more</p></li></ul>", "- a\n\n  more"),
        (
            "<blockquote><p>a</p><p>b</p></blockquote>c",
            "> a\n\n> b\n\nc",
        ),
        (
            "<pre><code class='x language-rust'>fn main() {\n    go();\n}\n</code></pre>",
            "```rust\nfn main() {\n    go();\n}\n```",
        ),
        ("<pre>\na ``` b</pre>", "````\na ``` b\n````"),
        (
            "<table><caption>Days</caption><tr><th>City<th>Sky<tr><td>Paris</td><td>a|b <b>c</b></td></table>",
            "Days\n\n| City | Sky |\n| --- | --- |\n| Paris | a\\|b **c** |",
        ),
        (
            "<table><tr><td rowspan=2>a<td>b<tr><td>c<tr><td colspan=2>d</table>",
            "| a | b |\n| --- | --- |\n| a | c |\n| d |  |",
        ),
        // A table that arranges the page is none.
        (
            "<table><tr><td><h1>A</h1><p>b<td>c</table>",
            "# A\n\nb\n\nc",
        ),
        (
            "<table><tr><td>Site<tr><td><main>text</main></table>",
            "text",
        ),
        (
            "<table><tr><td>a<td><table><tr><td>b</table>c</table>",
            "a\n\nb\n\nc",
        ),
        // What stands in a table but in no cell is not lost.
        (
            "<table>x<tr><td>a<td>b<tr><td>c<td>d</table>",
            "x\n\n| a | b |\n| --- | --- |\n| c | d |",
        ),
        ("<table><tr><td>only</table>", "only"),
        ("<table><tr><td>no end", "no end"),
        ("<dl><dt>a<dd>b</dl>", "a\n\nb"),
    ] {
        assert_eq!(written(html), expected, "{html}");
    }
}

#[test]
fn marks_within_lines_stand_at_their_words() {
    for (html, expected) in [
        ("a <b> b </b>c", "a **b** c"),
        ("<b><strong>x</strong></b>", "**x**"),
        ("<i>x</i> and <code>y</code>", "*x* and `y`"),
        ("<code>a`b</code>", "`` a`b ``"),
        ("<b></b><a href=x></a>x", "x"),
        ("<a href='b.html'>B</a>", "[B](https://e.com/docs/b.html)"),
        ("<a href='/b'>B <i>c</i></a>.", "[B *c*](https://e.com/b)."),
        (
            "<a href='https://o.com/(x)'>o</a>",
            "[o](https://o.com/%28x%29)",
        ),
        (
            "<a href='#top'>up</a> <a href='javascript:x()'>run</a>",
            "up run",
        ),
        (
            "<a href=/a>a<a href=/b>b</a>",
            "[a](https://e.com/a)[b](https://e.com/b)",
        ),
        (
            "<a href=/a><h3>Card</h3><p>Text</p></a>",
            "### [Card](https://e.com/a)\n\n[Text](https://e.com/a)",
        ),
        ("<ul><li><a href=/a>x</a></ul>", "- [x](https://e.com/a)"),
        (
            "<img src=/p.png alt='A map'> x",
            "![A map](https://e.com/p.png) x",
        ),
        (
            "<img src=/p.png><img alt=x src='data:image/png;base64,AA=='>y",
            "y",
        ),
        ("caf&eacute; &lt;b&gt; &amp; 文", "café <b> & 文"),
        ("soft\u{ad}hyphen", "softhyphen"),
        ("<b>open <p>next", "**open**\n\n**next**"),
    ] {
        assert_eq!(written(html), expected, "{html}");
    }
    let based = "<base href='https://o.com/x/'><a href=y>y</a>";
    assert_eq!(written(based), "[y](https://o.com/x/y)");
    assert_eq!(markdown("<a href=/y>y</a>", None).markdown, "y");
}

#[test]
fn what_is_around_the_text_is_left_out() {
    let menu: String = (0..9)
        .map(|i| format!("<li><a href='/{i}'>Item {i}</a>"))
        .collect();
    let page = format!(
        "<html><head><title> The \n title </title><style>p {{}}</style></head><body>\
         <nav><a href=/>Home</a></nav><ul>{menu}</ul><div class='cookie-banner'>Cookies!</div>\
         <main><h1>Weather</h1><p>Sunny, with some clouds in the afternoon and a light wind.</p>\
         <script>alert('<p>no</p>')</script><p hidden>secret</p></main>\
         <footer>Imprint</footer></body></html>"
    );
    let page = markdown(&page, None);
    assert_eq!(page.title.as_deref(), Some("The title"));
    assert_eq!(
        page.markdown,
        "# Weather\n\nSunny, with some clouds in the afternoon and a light wind."
    );
    // Links make a menu wherever they lead.
    let menu: String = (0..9)
        .map(|i| format!("<li><a href='javascript:go({i})'>Item {i}</a>"))
        .collect();
    let text = "Sunny, with some clouds in the afternoon and a light wind from the west.";
    let page = markdown(&format!("<ul>{menu}</ul><p>{text}{text}</p>"), None);
    assert_eq!(page.markdown, format!("{text}{text}"));
    // Without a title, the first heading is one.
    let page = markdown("<h1>Head</h1><p>x</p>", None);
    assert_eq!(page.title.as_deref(), Some("Head"));
    assert_eq!(markdown("", None), Written::default());
    assert_eq!(
        markdown("<div id=app></div><script>go()</script>", None).markdown,
        ""
    );
}

#[test]
fn plain_text_has_no_marks() {
    for (html, text) in [
        (
            "It is <strong>sunny</strong> &amp; <a href=x>warm</a>",
            "It is sunny & warm",
        ),
        ("<p>a</p><p>b</p>", "a b"),
        ("nothing  to\ndo", "nothing to do"),
    ] {
        assert_eq!(plain(html), text);
    }
}

#[test]
fn a_page_that_nests_without_end_is_read() {
    let deep = |open: &str| format!("{}x", open.repeat(50_000));
    for open in [
        "<div>",
        "<b>",
        "<a href=/x>",
        "<ul><li>",
        "<table><tr><td>",
        "<blockquote>",
        "<ol>",
    ] {
        assert!(
            written(&deep(open)).ends_with(['x', '*', ')', '|']),
            "{open}"
        );
    }
}

proptest! {
    #[test]
    fn no_page_makes_it_fail(
        pieces in prop::collection::vec(prop_oneof![
            "</?(p|b|a|li|ul|ol|table|tr|td|th|pre|code|h1|div|nav)( href='/x'| colspan=3| rowspan=2)?>",
            "</?(blockquote|main|caption|article|aside|base|img|br)( href='/x'| src='/y' alt='z')?>",
            "[a文 |`*\n]|&amp;",
        ], 0..60),
    ) {
        let html = pieces.concat();
        let page = written(&html);
        prop_assert!(!page.ends_with('\n'));
        let _ = plain(&html);
    }
}
