"""Documents of strangers: parsed safely, within limits, every problem with its place."""

import socket
from collections.abc import Callable

import pytest
from lxml import etree

from vxml_engine import limits
from vxml_engine.check import check
from vxml_engine.errors import DocumentError
from vxml_engine.parser import load_document, parse_xml
from vxml_engine.problems import Problem

URL = "http://test/start.vxml"
HEAD = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'


def refused(body: bytes) -> Problem:
    with pytest.raises(DocumentError) as error:
        load_document(body, URL)
    problem = next(p for p in error.value.problems if p.severity == "error")
    assert str(error.value).startswith(f"{URL}:{problem.line}:{problem.column}: {problem.rule}:")
    return problem


# --- Safety


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    asked: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        asked.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def test_a_document_type_is_not_fetched(no_network: list[object]) -> None:
    body = (
        '<!DOCTYPE vxml PUBLIC "-//W3C//DTD VOICEXML 2.1//EN"'
        ' "http://127.0.0.1:9/vxml21.dtd">' + HEAD + "<form><block/></form></vxml>"
    )
    assert load_document(body.encode(), URL).dialogs
    assert no_network == []


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "text">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY a SYSTEM "http://127.0.0.1:9/a">',
        '<!ENTITY % a SYSTEM "http://127.0.0.1:9/a"> %a;',
    ],
)
def test_entities_are_refused(declared: str, no_network: list[object]) -> None:
    body = f"<!DOCTYPE vxml [{declared}]>{HEAD}<form><block>&a;</block></form></vxml>"
    problem = refused(body.encode())
    assert problem.rule in ("entity", "xml")
    assert "root:" not in problem.message
    assert no_network == []


def test_a_billion_laughs_are_refused_at_once() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
    )
    body = f"<!DOCTYPE vxml [{entities}]>{HEAD}<form><block>&a11;</block></form></vxml>"
    assert refused(body.encode()).rule in ("entity", "xml")


def test_an_undeclared_entity_is_told_with_its_place() -> None:
    problem = refused(f"{HEAD}\n<form><block>&nbsp;</block></form></vxml>".encode())
    assert (problem.rule, problem.line) == ("xml", 2)


# --- Limits, each named in the error


def nested(depth: int) -> str:
    inner = "<if cond='true'>" * depth + "</if>" * depth
    return f"{HEAD}<form><block>{inner}</block></form></vxml>"


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        ("DOCUMENT_BYTES_MAX", f"{HEAD}<form/></vxml>".ljust(limits.DOCUMENT_BYTES_MAX + 1)),
        ("DOCUMENT_DEPTH_MAX", nested(limits.DOCUMENT_DEPTH_MAX)),
        (
            "DOCUMENT_ELEMENTS_MAX",
            f"{HEAD}<form>{'<block/>' * limits.DOCUMENT_ELEMENTS_MAX}</form></vxml>",
        ),
    ],
)
def test_a_limit_of_documents_is_named(limit: str, body: str) -> None:
    problem = refused(body.encode())
    assert problem.rule == "limit"
    assert f"({limit})" in problem.message
    assert str(getattr(limits, limit)) in problem.message


def test_below_its_limits_a_document_is_taken() -> None:
    load_document(nested(limits.DOCUMENT_DEPTH_MAX - 3).encode(), URL)
    load_document(f"{HEAD}<form/></vxml>".ljust(limits.DOCUMENT_BYTES_MAX).encode(), URL)


def test_elements_deeper_than_the_parser_itself_allows_are_an_answer_too() -> None:
    body = f"{HEAD}{'<form>' * 100_000}"
    assert refused(body.encode()).rule in ("xml", "limit")


def test_no_more_problems_are_told_than_anybody_reads() -> None:
    body = f"{HEAD}<form>{'<blok/>' * (limits.PROBLEMS_MAX + 50)}</form></vxml>"
    assert len(check(body.encode(), URL)) == limits.PROBLEMS_MAX


# --- Places


def test_a_problem_stands_where_its_tag_begins() -> None:
    body = f"""{HEAD}
<!-- <blok/> -->
<form>
  <block>text <![CDATA[<blok/>]]>
    <assign
       name="a"/>
  </block>
</form></vxml>"""
    (problem,) = check(body.encode(), URL)
    assert (problem.line, problem.column, problem.rule) == (5, 5, "attribute-missing")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_any_encoding_is_read(encoding: str) -> None:
    name = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    body = (
        f'<?xml version="1.0" encoding="{name}"?>\n{HEAD}<form><block>grüß\n</block>'
        "<blok/></form></vxml>"
    )
    (problem,) = check(body.encode(encoding), URL)
    assert (problem.line, problem.rule) == (3, "element-unknown")


def test_carriage_returns_count_as_one_line_end() -> None:
    (problem,) = check(f"{HEAD}\r\n<form>\r\n <blok/></form></vxml>".encode(), URL)
    assert (problem.line, problem.column) == (3, 2)


# --- Preparation


def preparation(error: Exception) -> Callable[[etree._Element], object]:
    def prepare(root: etree._Element) -> object:
        raise error

    return prepare


def test_a_preparation_changes_the_document() -> None:
    def prepare(root: etree._Element) -> int:
        etree.SubElement(root[0], f"{{{etree.QName(root).namespace}}}block").text = "added"
        return 1

    document = load_document(f"{HEAD}<form/></vxml>".encode(), URL, prepare)
    assert len(document.dialogs[0].items) == 1


def test_what_a_preparation_finds_is_a_problem_with_its_line() -> None:
    class Located(Exception):
        line = 7

    (problem,) = check(f"{HEAD}<form/></vxml>".encode(), URL, preparation(Located("no such macro")))
    assert (problem.line, problem.rule, problem.message) == (7, "macro", "no such macro")


def test_a_broken_preparation_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        load_document(f"{HEAD}<form/></vxml>".encode(), URL, preparation(ZeroDivisionError()))


def test_parsed_elements_know_their_line() -> None:
    root = parse_xml(b"<a>\n<b\n c='1'/></a>", URL)
    assert [element.sourceline for element in root.iter()] == [1, 2]
