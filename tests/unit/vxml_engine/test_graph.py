"""The dialog flow as a graph: every way out of a dialog is an arrow with what it is for."""

import re
import shutil
import subprocess

import pytest

from macros import Catalog
from vxml_engine.errors import DocumentError
from vxml_engine.graph import LABEL_CHARS_MAX, read_graph, write_dot, write_mermaid

HEAD = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xmlns:vm="urn:voicemashup">'
URL = "file:///scripts/start.vxml"
KEY = "<grammar mode='dtmf' version='1.0' root='r'><rule id='r'>1</rule></grammar>"


def arrows(content: str, *, items: bool = False) -> list[str]:
    """`from -> to`, with a `~` for a dashed one, and what stands at it, by label of vertices."""
    body = f"{HEAD}\n{content}</vxml>".encode()
    graph = read_graph(body, URL, Catalog.load().expand, items=items)
    names = {key: vertex.label for key, vertex in graph.vertices.items()}
    return [
        f"{names[arrow.source]} {'~>' if arrow.dashed else '->'} {names[arrow.target]}"
        + (f" [{arrow.label}]" if arrow.label else "")
        for arrow in graph.arrows
    ]


FLOWS = [
    # content, arrows
    ("<form id='a'/>", ["start -> form a", "form a -> end"]),
    ("\n<form/>", ["start -> form line 3", "form line 3 -> end"]),
    (
        "<form id='a'><block><goto next='#b'/></block></form><form id='b'><block><exit/>"
        "</block></form>",
        ["start -> form a", "form a -> form b", "form b -> exit"],
    ),
    (
        "<form id='a'><block><goto next='#none'/></block></form>",
        ["start -> form a", "form a -> #none (missing)"],
    ),
    (
        "<form id='a'><block><goto next='b.vxml#c'/><submit next='d.php' namelist='x y'/>"
        "</block></form>",
        ["start -> form a", "form a -> b.vxml [#c]", "form a -> d.php [submit x y]"],
    ),
    (
        "<form id='a'><block><if cond='x &lt; 1'><goto next='#b'/><elseif cond='x'/>"
        "<exit/><else/>"
        "<disconnect/></if></block></form><form id='b'/>",
        [
            "start -> form a",
            "form a -> form b [if x < 1]",
            "form a -> exit [if x]",
            "form a -> hang up [else]",
            "form b -> end",
        ],
    ),
    (
        "<form id='a'><block><goto expr=\"'#' + x\"/></block></form>",
        ["start -> form a", "form a ~> '#' + x [computed]"],
    ),
    (
        "<form id='a'><block><goto expr=\"x ? '#a' : '#b'\"/></block></form><form id='b'/>",
        ["start -> form a", "form a -> form b", "form a -> form a", "form b -> end"],
    ),
    (
        "<menu id='m'><choice dtmf='1' next='#m'>again, please</choice>"
        "<choice next='x.vxml'>out</choice>"
        "<choice event='help'/></menu>",
        [
            "start -> menu m",
            "menu m -> menu m [1: again, please]",
            "menu m -> x.vxml [out]",
            "menu m -> help (not caught) [choice]",
        ],
    ),
    (
        f"<link next='#a' dtmf='*'/><link event='op'>{KEY}</link><catch event='op'><exit/>"
        f"</catch>"
        "<form id='a'/>",
        [
            "start -> form a",
            "form a -> end",
            "from anywhere -> form a [*]",
            "from anywhere -> op [link]",
            "op -> exit",
            "from anywhere -> exit [on op]",
        ],
    ),
    (
        "<form id='a'><field type='digits'><noinput count='3'><goto next='#b'/></noinput></field>"
        "<catch><exit/></catch></form><form id='b'/>",
        [
            "start -> form a",
            "form a -> form b [on noinput, 3 times]",
            "form a -> exit [on any event]",
            "form a -> end",
            "form b -> end",
        ],
    ),
    (
        "<form id='a'><subdialog name='s' src='#b'/><subdialog src='lib.vxml#c'/></form>"
        "<form id='b'><block><return event='e'/></block></form>",
        [
            "start -> form a",
            "form a ~> form b [subdialog s]",
            "form a ~> lib.vxml [subdialog, #c]",
            "form a -> end",
            "form b -> return [e]",
        ],
    ),
    (
        "<form id='a'><transfer name='t' dest='tel:+33'/><block>"
        "<vm:transfer destexpr='x'/></block></form>",
        [
            "start -> form a",
            "form a -> tel:+33 [transfer t]",
            "form a ~> x [transfer, computed]",
            "form a -> end",
        ],
    ),
    (
        "<form id='a'><block><macro name='transfer'><input name='to' value='conf:12a34b'/>"
        "</macro>"
        "</block></form>",
        ["start -> form a", "form a -> conf:12a34b [transfer]", "form a -> end"],
    ),
    (
        "<form id='a'><block><throw event='my.a'/></block><catch event='my'>"
        "<goto next='#b'/></catch>"
        "</form><form id='b'/>",
        [
            "start -> form a",
            "my.a -> form b",
            "form a -> my.a",
            "form a -> form b [on my]",
            "form b -> end",
        ],
    ),
]


@pytest.mark.parametrize(("content", "expected"), FLOWS)
def test_each_way_out_is_an_arrow(content: str, expected: list[str]) -> None:
    assert sorted(arrows(content)) == sorted(expected)


def test_with_items_each_form_item_is_a_step() -> None:
    content = (
        "<form id='a'><block>Hi</block><field name='f' type='digits'><filled><goto nextitem='f'/>"
        "</filled></field><block name='g'><goto next='#b'/></block><noinput><exit/>"
        "</noinput></form>"
        "<form id='b'/>"
    )
    assert arrows(content, items=True) == [
        "start -> block line 2",
        "block line 2 -> field f",
        "field f -> block g",
        "field f -> field f",
        "block g -> form b",
        "from anywhere in it -> exit [on noinput]",
        "form b -> end",
    ]


def test_dialogs_are_told_apart_by_their_shape() -> None:
    graph = read_graph(f"{HEAD}<form id='a'/><menu id='b'/></vxml>".encode(), URL)
    dot = write_dot(graph)
    assert re.search(r'label="form a".*shape=box', dot)
    assert re.search(r'label="menu b".*shape=hexagon', dot)


def test_a_long_text_is_cut() -> None:
    (_, long, _) = arrows(
        f"<form id='a'><block><if cond='{'x + ' * 50}1'><exit/></if></block></form><form id='b'/>"
    )
    assert long.endswith("…]")
    assert len(long) == len("form a -> exit []") + LABEL_CHARS_MAX


def test_a_faulty_document_is_refused() -> None:
    with pytest.raises(DocumentError, match="element-unknown"):
        arrows("<fom/>")


AWKWARD = (
    "<form id='a'><block><if cond='x == \"a\\\\b\" &amp;&amp; y &lt; 2 | z'><exit/></if>"
    "</block></form>"
    "<menu id='end'><choice dtmf='#' next='#a'>a \"b\" [c] {d} | e; --&gt; f</choice></menu>"
)


def drawn(*, items: bool) -> tuple[str, str]:
    graph = read_graph(f"{HEAD}{AWKWARD}</vxml>".encode(), URL, items=items)
    return write_dot(graph), write_mermaid(graph)


@pytest.mark.parametrize("items", [False, True])
@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_every_text_as_it_is(items: bool) -> None:
    dot, _ = drawn(items=items)
    svg = subprocess.run(
        ["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True
    ).stdout
    shown = svg.replace("&quot;", '"').replace("&#45;", "-").replace("&amp;", "&")
    assert 'if x == "a\\\\b" && y &lt; 2 | z' in shown
    assert '#: a "b" [c] {d} | e; --&gt; f' in shown


@pytest.mark.parametrize("items", [False, True])
def test_in_mermaid_texts_cannot_be_taken_for_syntax(items: bool) -> None:
    _, mermaid = drawn(items=items)
    lines = mermaid.splitlines()
    assert lines[3] == "flowchart TD"
    for line in lines[4:]:
        outside = "".join(line.split('"')[::2])
        assert line.count('"') in (0, 2), line
        assert not set(outside) & set("&;#"), line
        for inside in line.split('"')[1::2]:
            assert not set(inside) & set("|<>&\\`"), line
    assert any("#35;: a #34;b#34; [c] {d} #124; e; --#62; f" in line for line in lines)
