"""Macros in documents: what they become, and what is said of those that are wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from macros import limits
from macros.catalog import LIBRARY, VOICEXML_NAMESPACE, Catalog
from macros.definition import CONTEXTS, VM_NAMESPACE
from macros.errors import MacroErrors, Problem

CATALOG = Catalog.load(LIBRARY)
VXML = f"{{{VOICEXML_NAMESPACE}}}"
VM = f"{{{VM_NAMESPACE}}}"
TO = '<input name="to" value="conf:12a34b"/>'


def document(inside: str, namespace: str = VOICEXML_NAMESPACE) -> Any:
    """A document with ``inside`` between form items, on line 3."""
    declared = f' xmlns="{namespace}"' if namespace else ""
    return etree.fromstring(f'<vxml version="2.1"{declared}>\n<form>\n{inside}\n</form></vxml>')


def expanded(inside: str, namespace: str = VOICEXML_NAMESPACE) -> Any:
    root = document(inside, namespace)
    CATALOG.expand(root)
    return root


def problems(inside: str) -> tuple[Problem, ...]:
    root = document(inside)
    before = etree.tostring(root)
    with pytest.raises(MacroErrors) as caught:
        CATALOG.expand(root)
    assert etree.tostring(root) == before, "a refused document stays as it was"
    assert caught.value.line == caught.value.problems[0].line
    return caught.value.problems


def the_problem(inside: str) -> Problem:
    found = problems(inside)
    assert len(found) == 1, found
    return found[0]


def transfer(inputs: str) -> str:
    return f'<macro name="transfer">{inputs}</macro>'


def test_between_form_items_a_transfer_is_a_form_item() -> None:
    root = expanded(transfer(TO))
    (item,) = root.iter(f"{VXML}transfer")
    assert item.getparent().tag == f"{VXML}form"
    assert dict(item.attrib) == {
        "name": "vm_transfer_1",
        "dest": "conf:12a34b",
        "bridge": "true",
        "connecttimeout": "30s",
        "maxtime": "0s",
    }


@pytest.mark.parametrize("place", sorted(CONTEXTS["executable"].parents))
def test_inside_executable_content_a_transfer_is_a_statement(place: str) -> None:
    root = expanded(f'<block><{place} cond="a">{transfer(TO)}</{place}></block>')
    (statement,) = root.iter(f"{VM}transfer")
    assert statement.getparent().tag == f"{VXML}{place}"
    assert dict(statement.attrib) == {
        "dest": "conf:12a34b",
        "connecttimeout": "30s",
        "maxtime": "0s",
    }


def test_every_input_has_its_place() -> None:
    inputs = (
        '<input name="to" value="+33 1 99 00 00 01"/><input name="timeout" value="1500ms"/>'
        '<input name="maxtime" value="600"/><input name="from" value="+33 199-000-002"/>'
    )
    root = expanded(f"{transfer(inputs)}<block>{transfer(inputs)}</block>")
    (item,), (statement,) = root.iter(f"{VXML}transfer"), root.iter(f"{VM}transfer")
    for element, caller in ((item, f"{VM}caller"), (statement, "caller")):
        assert element.get("dest") == "33199000001"
        assert element.get("connecttimeout") == "1.5s"
        assert element.get("maxtime") == "600s"
        assert element.get(caller) == "33199000002"


def test_an_expression_is_left_for_the_running_script() -> None:
    late = transfer('<input name="to" expr="a &lt; b ? &quot;x&quot; : \'y\'"/>')
    root = expanded(f"{late}<block>{late}</block>")
    for element in (*root.iter(f"{VXML}transfer"), *root.iter(f"{VM}transfer")):
        assert element.get("destexpr") == "a < b ? \"x\" : 'y'"
        assert element.get("dest") is None


@pytest.mark.parametrize(
    ("value", "dest"),
    [
        ("33199000001", "33199000001"),
        ("+33 (1) 99.00-00/01", "33199000001"),
        ("tel:+33199000001", "33199000001"),
        ("sip:alice@example.org", "sip:alice@example.org"),
        ("SIPS:Alice@example.org;transport=tcp", "sips:Alice@example.org;transport=tcp"),
        ("sip:[2001:db8::1]:5061", "sip:[2001:db8::1]:5061"),
        ("conf:12a34b", "conf:12a34b"),
        (" CONF:12A34B ", "conf:12a34b"),
    ],
)
def test_a_destination_is_a_number_an_address_or_a_conference(value: str, dest: str) -> None:
    root = expanded(transfer(f'<input name="to" value="{value}"/>'))
    assert next(root.iter(f"{VXML}transfer")).get("dest") == dest


@pytest.mark.parametrize("namespace", [VOICEXML_NAMESPACE, ""])
@pytest.mark.parametrize("own", [None, "", VOICEXML_NAMESPACE])
def test_macros_stand_in_voicexmls_namespace_or_none(namespace: str, own: str | None) -> None:
    declared = "" if own is None else f' xmlns="{own}"'
    root = expanded(f'<macro name="transfer"{declared}>{TO}</macro>', namespace)
    prefix = f"{{{namespace}}}" if namespace else ""
    (item,) = root.iter(f"{prefix}transfer")
    assert item.getparent().tag == f"{prefix}form"


def test_elements_of_another_namespace_are_none_of_ours() -> None:
    inside = '<block><x:macro xmlns:x="urn:x" name="y"/></block>'
    assert CATALOG.expand(document(inside)) == 0


def test_what_is_produced_has_its_macros_line() -> None:
    say = '<macro name="say"><input name="text" value="hi"/></macro>'
    root = expanded(f"\n{say}\n\n<block>\n{transfer(TO)}\n</block><block/>")
    lines = {element.tag: element.sourceline for element in root.iter()}
    assert lines[f"{VXML}prompt"] == 4
    assert lines[f"{VM}transfer"] == 7
    assert next(root.iter(f"{VXML}transfer"), None) is None


def test_lines_beyond_what_the_parser_can_keep_do_no_harm() -> None:
    root = expanded("\n" * 70_000 + transfer(TO))
    assert next(root.iter(f"{VXML}transfer")).sourceline == 65_534


def test_text_around_a_macro_stays() -> None:
    root = expanded(f"<block>before {transfer(TO)} after <!-- note -->{transfer(TO)} end</block>")
    block = next(root.iter(f"{VXML}block"))
    assert "".join(block.itertext(etree.Element)) == "before  after  end"
    assert len(list(block.iter(f"{VM}transfer"))) == 2


def test_comments_inside_a_macro_are_no_matter() -> None:
    assert CATALOG.expand(document(transfer(f"<!-- where to -->\n {TO}\n"))) == 1


def test_form_items_have_names_that_nothing_else_has() -> None:
    root = expanded(f'<field name="vm_transfer_2"/>{transfer(TO) * 3}')
    names = [item.get("name") for item in root.iter(f"{VXML}transfer")]
    assert names == ["vm_transfer_1", "vm_transfer_3", "vm_transfer_4"]


def test_the_number_of_macros_is_told() -> None:
    assert CATALOG.expand(document("<block/>")) == 0
    assert CATALOG.expand(document(transfer(TO) * 3)) == 3


def test_say_says_a_text_in_a_language() -> None:
    say = (
        '<macro name="say"><input name="text" value="Bonjour &amp; bienvenue"/>'
        '<input name="lang" value="fr-FR"/></macro>'
    )
    root = expanded(f"{say}<block>{say}</block>")
    prompts = list(root.iter(f"{VXML}prompt"))
    assert [prompt.getparent().tag for prompt in prompts] == [f"{VXML}block"] * 2
    for prompt in prompts:
        assert prompt.text == "Bonjour & bienvenue"
        assert dict(prompt.attrib) == {"{http://www.w3.org/XML/1998/namespace}lang": "fr-FR"}


def test_say_says_what_an_expression_gives() -> None:
    root = expanded('<macro name="say"><input name="text" expr="name + 1"/></macro>')
    assert next(root.iter(f"{VXML}value")).get("expr") == "name + 1"


VALUES = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"
    ),
    min_size=1,
    max_size=200,
)


@given(value=VALUES, late=st.booleans())
def test_no_value_is_ever_taken_for_markup(value: str, late: bool) -> None:
    root = document('<block><macro name="say"><input name="text"/></macro></block>')
    next(root.iter(f"{VXML}input")).set("expr" if late else "value", value)
    if not value.strip():
        with pytest.raises(MacroErrors):
            CATALOG.expand(root)
        return
    CATALOG.expand(root)
    (prompt,) = root.iter(f"{VXML}prompt")
    if late:
        assert [child.get("expr") for child in prompt] == [value]
    else:
        assert (prompt.text, len(prompt)) == (value, 0)


@pytest.mark.parametrize(
    ("inside", "rule", "says"),
    [
        ('<macro name="transfert"/>', "unknown-macro", "(there is say, transfer); did you mean "),
        ('<macro name="zzz"/>', "unknown-macro", "no macro is called 'zzz' (there is say, trans"),
        ("<macro/>", "macro-syntax", "<macro> needs the attribute name"),
        (f'<macro name="transfer" x="1">{TO}</macro>', "macro-syntax", "unknown attribute 'x'"),
        (f'<macro name="transfer">to{TO}</macro>', "macro-syntax", "text is not allowed here"),
        (f'<macro name="transfer">{TO}<block/></macro>', "macro-syntax", "<block> cannot stand"),
        (
            f'<macro name="transfer">{TO}{transfer(TO)}</macro>',
            "macro-syntax",
            "<macro> cannot stand in <macro>",
        ),
        (transfer(TO + '<input value="1"/>'), "macro-syntax", "<input> needs the attribute name"),
        (transfer(TO[:-2] + ' x="1"/>'), "macro-syntax", "unknown attribute 'x': <input> has name"),
        (transfer(TO[:-2] + ' expr="x"/>'), "macro-syntax", "'to' needs either value or expr"),
        (transfer('<input name="to"/>'), "macro-syntax", "'to' needs either value or expr"),
        (
            transfer(TO + '<input name="timout" value="3"/>'),
            "unknown-input",
            "macro 'transfer' has no input 'timout' (there is from, maxtime, timeout, to); "
            "did you mean 'timeout'?",
        ),
        (transfer(TO + TO), "duplicate-input", "input 'to' is given twice, first on line 3"),
        (
            transfer(""),
            "missing-input",
            "macro 'transfer' needs input 'to' (where to: a number, a SIP address, or conf: and "
            "a conference's identifier; for example 'conf:12a34b')",
        ),
        (
            transfer('<input name="to" value="alice"/>'),
            "bad-value",
            "input 'to' is 'alice': it mus",
        ),
        (
            transfer('<input name="to" value="12a34b"/>'),
            "bad-value",
            "did you mean conf:12a34b?",
        ),
        (transfer('<input name="to" value="conf:12a34"/>'), "bad-value", "6 hexadecimal digits"),
        (transfer('<input name="to" value="0199000001"/>'), "bad-value", "as 33199000001"),
        (transfer('<input name="to" value="sip:a b@c"/>'), "bad-value", "a SIP address (sip:"),
        (transfer('<input name="to" value=""/>'), "bad-value", "it must be a number"),
        (transfer('<input name="to" expr=" "/>'), "bad-value", "'to' has an empty expr"),
        (
            transfer(TO + '<input name="timeout" expr="1"/>'),
            "bad-value",
            "'timeout' takes no expr: give it as value",
        ),
        (
            transfer(TO + '<input name="timeout" value="0"/>'),
            "bad-value",
            "input 'timeout' is '0': it must be seconds from 1 to 300, as 30 or 30s",
        ),
        (transfer(TO + '<input name="timeout" value="301s"/>'), "bad-value", "from 1 to 300"),
        (transfer(TO + '<input name="timeout" value="5m"/>'), "bad-value", "as 30 or 30s"),
        (transfer(TO + '<input name="maxtime" value="7201"/>'), "bad-value", "from 0 to 7200"),
        (transfer(TO + '<input name="from" value="me"/>'), "bad-value", "international digits"),
        (
            '<macro name="say"><input name="text" value="x"/>'
            '<input name="lang" value="?"/></macro>',
            "bad-value",
            "a language tag, as fr-FR",
        ),
        (
            f"<block><prompt>{transfer(TO)}</prompt></block>",
            "wrong-place",
            "macro 'transfer' cannot stand in <prompt>: it is a child of <block>, <catch>, <error>",
        ),
        (f'<field name="f">{transfer(TO)}</field>', "wrong-place", "cannot stand in <field>"),
    ],
)
def test_what_is_wrong_is_said_by_name_with_what_is_right(
    inside: str, rule: str, says: str
) -> None:
    problem = the_problem(inside)
    assert (problem.line, problem.column, problem.rule) == (3, None, rule)
    assert says in problem.message
    assert str(problem).startswith(f"3: {rule}: ")


def test_a_document_that_is_a_macro_is_refused() -> None:
    root = etree.fromstring(transfer(TO))
    with pytest.raises(MacroErrors, match=r"wrong-place.*outside of everything"):
        CATALOG.expand(root)


def test_every_problem_of_a_document_is_told_with_its_line() -> None:
    found = problems(
        '<macro name="nope"/>\n'
        + transfer('\n<input name="to" value="?"/>\n<input name="form" value="1"/>')
        + f"\n<field>{transfer(TO)}</field>"
    )
    assert [(problem.line, problem.rule) for problem in found] == [
        (3, "unknown-macro"),
        (5, "bad-value"),
        (6, "unknown-input"),
        (7, "wrong-place"),
    ]


# Limits


def test_a_document_has_so_many_macros() -> None:
    assert CATALOG.expand(document(transfer(TO) * limits.MACROS_MAX)) == limits.MACROS_MAX
    problem = the_problem(transfer(TO) * (limits.MACROS_MAX + 1))
    assert problem.rule == "too-many-macros"
    assert "501 macros are over MACROS_MAX (500)" in problem.message


def test_an_input_has_so_many_characters() -> None:
    def say(characters: int, kind: str) -> str:
        return f'<macro name="say"><input name="text" {kind}="{"x" * characters}"/></macro>'

    for kind in ("value", "expr"):
        expanded(say(limits.INPUT_CHARS_MAX, kind))
        problem = the_problem(say(limits.INPUT_CHARS_MAX + 1, kind))
        assert problem.rule == "bad-value"
        assert len(problem.message) < 200
    assert "at most 4096 characters, not 4097" in the_problem(say(4097, "value")).message
    assert "INPUT_CHARS_MAX (4096)" in the_problem(say(4097, "expr")).message


def test_what_macros_become_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    say = '<macro name="say"><input name="text" value="' + "x" * 1000 + '"/></macro>'
    monkeypatch.setattr(limits, "DOCUMENT_EXPANSION_CHARS_MAX", 2500)
    assert CATALOG.expand(document(say * 2)) == 2
    problem = the_problem(say * 3)
    assert problem.rule == "expansion-too-large"
    assert "over DOCUMENT_EXPANSION_CHARS_MAX (2500)" in problem.message
    monkeypatch.setattr(limits, "EXPANSION_CHARS_MAX", 900)
    assert "over EXPANSION_CHARS_MAX (900)" in the_problem(say).message


def test_no_more_problems_are_told_than_one_can_read() -> None:
    assert len(problems('<macro name="nope"/>' * 200)) == limits.PROBLEMS_MAX
    assert len(problems(transfer(TO + "<input/>" * 200))) == limits.PROBLEMS_MAX
