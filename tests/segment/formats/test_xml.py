import re
from xml.etree import ElementTree

import pytest

from ctxzip.segment.formats import xml as reader
from ctxzip.segment.tree import Builder
from ctxzip.text.units import Kind
from tests.segment.formats.checks_tables import assert_linear, assert_never_raises
from tests.segment.formats.harness import everything, outputs, tree_of

ORDERS = """<?xml version="1.0" encoding="UTF-8"?>
<!-- orders of the week -->
<orders xmlns="http://example.org/o" xmlns:x="urn:x">
  <order status="open">
    <id>1001</id>
    <customer>Ann</customer>
    <total>50</total>
    <lines>
      <line sku="A-1" qty="2"/>
      <line sku="B-2" qty="2"/>
    </lines>
  </order>
  <order status="open">
    <id>1002</id>
    <customer>Ann</customer>
    <total>50</total>
    <note>See <b>here</b>, please.</note>
    <x:code><![CDATA[ if (a < b) & c ]]></x:code>
  </order>
  <order status="paid">
    <id>1003</id>
    <customer>Bob</customer>
    <total>50</total>
  </order>
  <currency>EUR</currency>
</orders>
"""
FEED = (
    '<rss version="2.0"><channel><title>News</title>'
    "<item><title>A</title><description><![CDATA[<p>First part of it. Second <b>part</b>.</p>"
    + "<p>One more sentence that goes on and on for a while. And the next one.</p>" * 9
    + "</p>]]></description></item><item><title>B</title><description>"
    + "Many words of x &amp; y <i>and. more</i> of it. Again some. " * 15
    + "</description></item></channel></rss>"
)
POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <dependencies>
    <dependency><groupId>org.a</groupId><artifactId>core</artifactId><version>1.2</version></dependency>
    <dependency><groupId>org.a</groupId><artifactId>web</artifactId><version>1.2</version></dependency>
    <!-- old -->
    <dependency><groupId>org.b</groupId><artifactId>log</artifactId><version>1.2</version></dependency>
  </dependencies>
</project>
"""
JUNIT = """<testsuite name="pytest" tests="3" failures="1">
  <testcase classname="tests.test_a" name="test_one" time="0.01"/>
  <testcase classname="tests.test_a" name="test_two" time="0.01">
    <failure message="assert 1 == 2">def test_two():
&gt;       assert 1 == 2
E       assert 1 == 2
</failure>
  </testcase>
  <testcase classname="tests.test_b" name="test_one" time="0.01"/>
</testsuite>
"""


def element(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.strip())


def within(output: ElementTree.Element, source: ElementTree.Element) -> bool:
    """Whether an element says nothing that the source does not: children in order, injective."""
    if output.tag != source.tag or output.attrib != source.attrib:
        return False
    mine, its = "".join(output.itertext()), "".join(source.itertext())
    if not len(output) and not len(source):
        words = iter(re.sub("<[^>]*>", " ", its).split())
        found = re.sub("<[^>]*>", " ", mine).split()
        return all(any(word == other for other in words) for word in found)
    rest = iter(source)
    return all(any(within(child, other) for other in rest) for child in output)


@pytest.mark.parametrize("text", [ORDERS, POM, JUNIT])
def test_without_noise_the_data_is_the_same(text: str) -> None:
    assert reader.fits(text, 0, len(text))
    full = everything(text, reader.read)
    assert len(full) < len(text)
    bare = [ElementTree.canonicalize(x.strip(), strip_text=True) for x in (full, text)]
    assert bare[0] == bare[1]


@pytest.mark.parametrize("text", [ORDERS, POM, JUNIT, FEED])
def test_every_output_is_a_part_of_the_source(text: str) -> None:
    source = element(text if text is not FEED else everything(text, reader.read))
    for output in outputs(text, reader.read, reader.STYLE, n=25):
        assert within(element(output), source), output


@pytest.mark.parametrize(
    ("text", "record", "keys"),
    [(ORDERS, "order", {"{http://example.org/o}id"}), (POM, "dependency", {"artifactId"})],
)
def test_records_keep_what_identifies_them(text: str, record: str, keys: set[str]) -> None:
    for output in outputs(text, reader.read, reader.STYLE, n=25):
        for found in element(output).iter():
            if found.tag.split("}")[-1] == record:
                assert keys <= {child.tag for child in found}, output


def test_records_are_read_as_fields() -> None:
    tree = tree_of(ORDERS, reader.read)
    records = [tree.readings[i] for i in range(len(tree)) if tree.kind[i] == Kind.RECORD]
    assert records[0] == (
        "status: open; id: 1001; customer: Ann; total: 50; line; sku: A-1; qty: 2;"
        " line; sku: B-2; qty: 2"
    )
    assert records[3] == (
        "status: open; id: 1002; customer: Ann; total: 50; note: See here, please.;"
        " x:code: if (a < b) & c"
    )


def test_the_fields_of_a_record_stand_in_one_line() -> None:
    assert (
        '<order status="paid"><id>1003</id><customer>Bob</customer><total>50</total></order>\n'
        "<currency>EUR</currency>\n</orders>" in everything(ORDERS, reader.read)
    )
    text = '<a xml:space="preserve"> <b> x </b>  <b> y </b> </a>'
    assert everything(text, reader.read) == text


def test_omissions_are_marked_as_comments() -> None:
    marks = [o for o in outputs(ORDERS, reader.read, reader.STYLE) if "…" in o]
    assert any("\n<!-- … 2 records -->\n" in output for output in marks)


def test_drawings_are_opaque() -> None:
    text = '<svg xmlns="http://www.w3.org/2000/svg"><g><path d="M0 0"/><path d="M1 1"/></g></svg>'
    assert reader.fits(text, 0, len(text))
    assert len(tree_of(text, reader.read)) == 1


def test_what_does_not_nest_is_read_as_lines() -> None:
    text = "<a>\n<b>x</b>\n<b>y</b>\n</c>\nrest of it\n"
    tree = tree_of(text, reader.read)
    assert tree.notes
    assert tree.kind.tolist()[-2:] == [Kind.LINE, Kind.LINE]
    cut = ORDERS[:400]
    assert everything(cut, reader.read).startswith("<?xml")


@pytest.mark.parametrize(
    "text",
    [
        "<html><body><p>Hello</p></body></html>",
        "<!DOCTYPE html>\n<html><body><p>Hello</p></body></html>",
        "<table><tr><td>1</td></tr></table>",
        "<div>\n<p>x</p>\n</div>\n",
        "# Title\n\n<note>text</note>\n",
        "<INFO> started\n<INFO> stopped\n",
        "< 3 and > 4\n",
        '{"a": "<b>x</b>"}',
        "",
    ],
)
def test_other_text_is_not_taken(text: str) -> None:
    assert not reader.fits(text, 0, len(text))


def test_hostile_text_takes_linear_time() -> None:
    pieces = (
        "<a>", "<a><b>x</b></a>", "<a b='", '<a b="', "<!-- ", "<![CDATA[ ", "<?x ", "<a>t<b>",
        "</a>",
        "<a>x</a>y<b>", "<a>" + "x " * 400, "<!DOCTYPE a [", "<a><b><c>1</c></b>",
    )  # fmt: skip
    for piece in pieces:
        assert_linear(reader.read, piece, n=100, head="<r>")
        assert_linear(reader.fits, piece, n=100, head="<r>")
    deep = "<a>" * 3000 + "x" + "</a>" * 3000
    out = Builder(deep)
    reader.read(out, 0, len(deep))
    out.tree("xml")


def test_broken_text_never_raises() -> None:
    assert_never_raises(reader.fits, reader.read, ORDERS)
    assert_never_raises(reader.fits, reader.read, FEED, seed=1)
