import re

import pytest

from ctxzip.segment.formats import html as reader
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind
from tests.segment.formats.checks_html import page
from tests.segment.formats.checks_tables import assert_linear, assert_never_raises, assert_rows
from tests.segment.formats.harness import everything, outputs, tree_of

SHOP = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8"><title>Shipping &amp; returns</title>
  <script>var a = "<p>no</p>";</script><style>p { color: red }</style>
</head>
<body class="page">
<nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav>
<div id="cookie-banner"><p>We use cookies.</p><button>Accept</button></div>
<main>
  <h1 class="big">Shipping</h1>
  <!-- prices of May -->
  <p>We ship to <b>all of Europe</b>.
     Orders above <span class="n">50</span> EUR are free. Mr. Smith pays <a href="x">more</a>.</p>
  <h2>Supported</h2>
  <p>These work:</p>
  <ul class="l">
    <li>Iceland</li>
    <li>Norway
      <ul><li>Svalbard</li><li>Oslo</li></ul>
    </li>
    <li><p>Greenland. It is far away.</p></li>
  </ul>
  <h2>Not supported</h2>
  <ul>
    <li>Andorra</li>
    <li>Oslo</li>
  </ul>
  <h2>Prices</h2>
  <table class="t"><caption>Prices of 2024</caption>
   <thead><tr><th>Zone</th><th>Weight</th><th>Price</th></tr></thead>
   <tbody>
   <tr><td class="z">A</td><td>1 kg</td><td>5 EUR</td></tr>
   <tr><td>B</td><td>1 kg</td><td>7 EUR</td></tr>
   <tr><td>C</td><td></td><td>5 EUR</td></tr>
   <tr><td>A</td><td>2 kg</td><td>7<br>EUR</td></tr>
   </tbody>
  </table>
  <h3>Code</h3>
  <pre><code class="lang-py"><span>def</span> f():
    <span>return</span> 1

    x = 2
  </code></pre>
  <blockquote><p>Great shop!</p></blockquote>
  <dl><dt>SKU<dd>Number of a thing.<dt>EAN</dt><dd>Bar code.</dd></dl>
  <details><summary>How long does it take?</summary>Three days. <p>Five in winter.</p></details>
  <label>Size</label> <select name="s"><option value=1>Small<option selected>Large</select>
</main>
<footer><p>All rights reserved by the shop</p></footer>
</body></html>
"""
MINIFIED = (
    "<div><h2>T</h2><p>One two.</p><p>Three four. Five.</p><ul><li>x</li><li>y</li></ul>"
    "<div>C</div><div>D</div>E<br>F <span>Price</span><span class=v>5</span></div>"
)
TABLE = """<table class="data" border="1">
<tr><th>Year</th><th>Team</th></tr>
<tr class="odd">
<td>1998</td>
<td>4th, Central</td>
</tr>
<tr class="even">
<td>1999</td>
<td></td>
</tr>
<tr class="odd">
<td>2000</td>
<td>4th, Central</td>
</tr>
</table>
"""
NOISE = {"script", "style", "nav", "footer"}


def hidden(text: str) -> str:
    """A source without what the reader takes for no content."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<div id="cookie.*?</div>', "", text, flags=re.DOTALL)
    return re.sub(r"<footer>.*?</footer>", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("text", [SHOP, MINIFIED, TABLE])
def test_nothing_of_the_content_is_lost(text: str) -> None:
    assert reader.fits(text, 0, len(text))
    source, full = page(hidden(text)), page(everything(text, reader.read))
    assert not full.stray
    said = [fact for fact in full.facts if fact[0] != "text"]
    assert said == [fact for fact in source.facts if fact[0] != "text"]
    words = [word for word in full.words if word not in ("Shipping", "&", "returns")]
    expected = [word for word in source.words if word not in ("Shipping", "&", "returns")]
    assert "".join(words).replace("/", "") == "".join(expected).replace("/", "")


@pytest.mark.parametrize("text", [SHOP, MINIFIED, TABLE])
def test_every_output_says_what_the_source_says(text: str) -> None:
    source = page(hidden(text)).facts
    for output in outputs(text, reader.read, reader.STYLE, n=25):
        found = page(output)
        assert not found.stray, output
        assert_rows(
            [fact for fact in source if fact[0] != "text"],
            [fact for fact in found.facts if fact[0] != "text"],
            output,
        )
        assert not re.search(r"<[^>]*(<|$)|&(?!amp;)", output), output
        for tag in ("ul", "table", "pre", "h1", "h2", "h3", "blockquote", "dl", "select"):
            assert output.count(f"<{tag}>") == output.count(f"</{tag}>"), output


def test_noise_is_gone() -> None:
    full = everything(SHOP, reader.read)
    for word in ("cookies", "Home", "rights", "color", "var a", "class", "href", "May"):
        assert word not in full
    assert full.startswith(
        "<title>Shipping &amp; returns</title>\n<h1>Shipping</h1>\nWe ship to all"
    )
    assert "pays more.\n<h2>Supported</h2>\nThese work:\n<ul>\n<li>Iceland\n<li>Norway" in full
    assert "<pre>def f():\n    return 1\n\n    x = 2\n</pre>" in full
    assert "\n<tr><td>C<td><td>5 EUR</tr>\n" in full


def test_words_never_glue_together() -> None:
    full = everything(MINIFIED, reader.read)
    assert full.startswith("<h2>T</h2>One two.<p>Three four. Five.<ul><li>x<li>y</ul>")
    words = [word for word in re.split(r"<[^>]*>|[\s/]+", full) if word]
    assert words[-7:] == ["y", "C", "D", "E", "F", "Price", "5"]
    text = '<div><p class="a">One</p><p class="b">Two</p></div>'
    assert everything(text, reader.read) == "One Two"
    text = "<pre><b>def</b><i>f</i></pre><p>H<sub>2</sub>O <b>B</b>old</p>"
    assert everything(text, reader.read) == "<pre>deff</pre>H2O Bold"


def test_parts_belong_to_headings_lists_and_questions() -> None:
    tree = tree_of(SHOP, reader.read)
    text = SHOP

    def path(words: str) -> list[str]:
        start = text.index(words)
        i = next(k for k in range(len(tree)) if tree.start[k] <= start < tree.end[k])
        found = []
        while tree.parent[i] >= 0:
            i = tree.parent[i]
            found.append(tree.labels[i] or text[tree.start[i] : tree.end[i]].split("\n")[0])
        return found

    assert path("Greenland") == ['<ul class="l">', "These work:", "Supported", "Shipping"]
    assert path("Svalbard") == [
        "<ul>",
        "<li>Norway",
        '<ul class="l">',
        "These work:",
        "Supported",
        "Shipping",
    ]
    assert path("2 kg") == ["Zone | Weight | Price", "Prices", "Shipping"]
    assert path("Five in") == ["How long does it take?", "Code", "Prices", "Shipping"]
    assert path("Bar code") == ["EAN", "<dl>", "Code", "Prices", "Shipping"]


def test_cells_that_span_keep_their_rows_together() -> None:
    text = (
        "<table><tr><th>Zone</th><th>Kg</th><th>Price</th></tr>\n"
        '<tr><td rowspan="2" class=x>A</td><td>1</td><td>5</td></tr>\n'
        "<tr><td>2</td><td>7</td></tr>\n"
        "<tr><td colspan=3>Express</td></tr>\n<tr><td>A</td><td>1</td><td>9</td></tr></table>"
    )
    tree = tree_of(text, reader.read)
    assert tree.parent.tolist() == [-1, 0, 1, 0, 3, 0]
    assert tree.readings[2] == "Zone: A; Kg: 2; Price: 7"
    assert '<td rowspan="2">A' in everything(text, reader.read)


def test_a_page_laid_out_with_tables_is_no_table() -> None:
    text = (
        "<table><tr><td><table><tr><td>Menu</td></tr></table></td>\n<td><h1>Title</h1>"
        "<p>First sentence. Second one.</p></td></tr></table>"
    )
    tree = tree_of(text, reader.read)
    assert Kind.ROW not in tree.kind.tolist()
    assert everything(text, reader.read) == "Menu\n<h1>Title</h1>First sentence. Second one."


def test_a_page_of_nothing_but_navigation_is_content() -> None:
    text = "<nav><ul><li>Home</li><li>Shop</li></ul></nav>"
    assert everything(text, reader.read) == "<ul><li>Home<li>Shop</ul>"


def test_truncated_pages_are_read() -> None:
    for cut in range(0, len(SHOP), 7):
        text = SHOP[:cut]
        out = Builder(text)
        if reader.read(out, 0, len(text)) is not False:
            out.tree("html")


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\nSome <b>bold</b> text with a <br> in it.\n",
        '<p align="center"><img src="x.png"></p>\n\n# Project\n\nA library for `x`.\n\n## Install\n'
        "\nRun it with care and read the manual first.\n",
        "<?xml version='1.0'?>\n<a><b>x</b></a>\n",
        "<orders><order><id>1</id></order></orders>\n",
        "if a < b and c > d:\n    pass\n",
        "2024-01-01 <INFO> started\n2024-01-02 <INFO> stopped\n",
        "List<String> a = new ArrayList<>();\n",
        '{"html": "<p>x</p>"}\n',
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    pieces = (
        "<div>", "<ul><li>", "<table><tr><td>", "<!-- ", "<script>", "<a href='", '<p "', "<nav>x",
        "<h1>a", "<b>x</b><i>y</i>", "</div>", "<pre>\n", "<dl><dt>a", "<select><option>", "<a <b ",
        "<table><tr><td>a</td><td>b</td></tr></table>", "<details><summary>a</summary>",
        "<![CDATA[ <",
    )  # fmt: skip
    for piece in pieces:
        assert_linear(reader.read, piece, n=70)
        assert_linear(reader.fits, piece, n=70)


def test_broken_text_never_raises() -> None:
    assert_never_raises(reader.fits, reader.read, SHOP)
    assert_never_raises(reader.fits, reader.read, MINIFIED, seed=1)
