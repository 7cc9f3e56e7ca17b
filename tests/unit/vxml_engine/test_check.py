"""Every rule of the check: what breaks it is found at its place, what does not is let alone."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from macros import Catalog
from vxml_engine import limits
from vxml_engine.check import RULES, Surroundings, check, check_grammar, for_upload, leads_to
from vxml_engine.errors import DocumentError
from vxml_engine.parser import load_document
from vxml_engine.problems import Problem

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "checking.md"
URL = "file:///scripts/start.vxml"
HEAD = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" xmlns:vm="urn:voicemashup">'
KEYS = '<grammar mode="dtmf" version="1.0" root="r"><rule id="r">1</rule></grammar>'
SCOPED = KEYS.replace("mode", 'scope="dialog" mode')
TAGGED = KEYS.replace("1</rule>", "1<tag>a</tag></rule>")
SPOKEN = '<grammar version="1.0" root="r"><rule id="r">yes</rule></grammar>'
EXPAND = Catalog.load().expand


class Files:
    """The files around a document, by their names."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = {f"file:///scripts/{name}": text for name, text in files.items()}

    def has(self, url: str) -> bool:
        return url in self._files

    def read(self, url: str) -> bytes | None:
        text = self._files.get(url)
        return None if text is None else text.encode()


def whole(content: str) -> str:
    return content if content.startswith(("<vxml", "<?xml", "<!D")) else f"{HEAD}\n{content}</vxml>"


def found(content: str, files: Mapping[str, str] | None = None, **around: object) -> list[Problem]:
    surroundings = Surroundings(Files(files or {}), **around)  # type: ignore[arg-type]  # each by its name
    return check(whole(content).encode(), URL, EXPAND, surroundings)


def rules(content: str, files: Mapping[str, str] | None = None, **around: object) -> list[str]:
    return [problem.rule for problem in found(content, files, **around)]


# --- Each rule, by a document that breaks it; "^" stands where it is found


BROKEN = [
    # rule, the document's content
    ("root", '<?xml version="1.0"?><form/>'),
    ("version", '<vxml version="3.0"><form/></vxml>'),
    ("xml", '<vxml version="2.1"><form></vxml>'),
    ("entity", f"<!DOCTYPE vxml [<!ENTITY a 'b'>]>{HEAD}<form/></vxml>"),
    ("limit", f"{HEAD}<form>{'<block/>' * limits.DOCUMENT_ELEMENTS_MAX}</form></vxml>"),
    ("limit", f"^<script>{'f(1);' * 200_000}</script><form/>"),
    ("attribute", "^<form nmae='a'/>"),
    ("attribute-missing", "<form><block>^<assign name='a'/></block></form>"),
    ("attribute-choice", "<form><block>^<goto/></block></form>"),
    ("attribute-value", "<form>^<field name='a' modal='yes'/></form>"),
    ("element-place", "<form>^<assign name='a' expr='1'/></form>"),
    ("element-unknown", "<form>^<blok/></form>"),
    ("text", "^<form>text</form>"),
    ("duplicate-id", "<form id='a'/>^<form id='a'/>"),
    ("duplicate-name", "<form><block name='a'/>^<block name='a'/></form>"),
    ("filled-name", "^<form><filled namelist='a'/></form>"),
    ("filled-attribute", "<form><field type='digits'>^<filled mode='any'/></field></form>"),
    ("script-source", "^<script src='a.js'>1</script><form/>"),
    ("grammar-source", "<form><field>^<grammar/></field></form>"),
    ("grammar-scope", f"<form><field>^{SCOPED}</field></form>"),
    ("grammar", "<form>^<field type='digits?length=0'/></form>"),
    ("ecmascript", "<form>^<block cond='1 +'/></form>"),
    ("ecmascript", "^<script>var = 1</script><form/>"),
    ("unknown-macro", "<form>\n<macro name='trnsfer'/></form>"),
    ("wrong-place", "<form><field><macro name='say'/></field></form>"),
    ("macro-syntax", "<form><macro name='say' text='a'/></form>"),
    ("unknown-input", "<form><macro name='say'><input name='txt' value='a'/></macro></form>"),
    (
        "duplicate-input",
        "<form><macro name='say'><input name='text' value='a'/>"
        "<input name='text' value='a'/></macro></form>",
    ),
    ("missing-input", "<form><macro name='say'/></form>"),
    (
        "bad-value",
        "<form><macro name='transfer'><input name='to' value='conf:12a34b'/>"
        "<input name='timeout' value='soon'/></macro></form>",
    ),
    # Variables
    ("undeclared-variable", "<form>^<block cond='a == 1'/></form>"),
    ("undeclared-variable", "<form><block>^<assign name='a' expr='1'/></block></form>"),
    ("undeclared-variable", "<form><block>^<assign name='dialog.a' expr='1'/></block></form>"),
    ("undeclared-variable", "<form>^<block cond='!a'/></form>"),
    ("undeclared-variable", "<form><block>^<clear namelist='a'/></block></form>"),
    ("undeclared-variable", "<form><block>^<submit next='a.php' namelist='a'/></block></form>"),
    ("undeclared-variable", "<form><block>^<foreach item='i' array='a'/></block></form>"),
    ("undeclared-variable", "<form><block>^<prompt cond='a'>b</prompt></block></form>"),
    ("undeclared-variable", "<form>^<var name='a' expr='b'/><var name='b' expr='1'/></form>"),
    ("undeclared-variable", "^<var name='a' expr='f()'/><script>function f() {}</script><form/>"),
    ("undeclared-variable", "<script>^x = 1;</script><form/>"),
    (
        "undeclared-variable",
        "<script>\nfunction f(a) {\n  var b = a;\n  return b + ^c;\n}</script><form/>",
    ),
    (
        "undeclared-variable",
        "<form><block><script>var a = 1;</script></block>^<block cond='a'/></form>",
    ),
    ("undeclared-variable", "<form><block><var name='a'/></block>^<block cond='a'/></form>"),
    (
        "undeclared-variable",
        "<form id='a'><var name='x'/>^<block><goto next='#b'/></block></form>"
        "<form id='b'>^<block cond='x'/></form>",
    ),
    (
        "undeclared-variable",
        "^<link expr=\"'#' + a\"><grammar mode='dtmf' version='1.0' root='r'>"
        "<rule id='r'>1</rule></grammar></link><form/>",
    ),
    ("undeclared-member", "<form>^<block cond='document.a'/></form>"),
    ("undeclared-member", "<form>^<block cond='dialog.a == 1'/></form>"),
    ("undeclared-member", "<script>function f() { return ^document.a; }</script><form/>"),
    (
        "unknown-param",
        "<form><subdialog src='#b'>^<param name='a' expr='1'/></subdialog></form>"
        "<form id='b'><block><return/></block></form>",
    ),
    # Where it goes
    ("unknown-dialog", "<form><block>^<goto next='#b'/></block></form>"),
    ("unknown-dialog", "<form><block>^<goto next='other.vxml#b'/></block></form>"),
    ("unknown-dialog", "<form><block>^<goto expr=\"1 ? '#b' : '#c'\"/></block></form>"),
    ("unknown-item", "<form><block>^<goto nextitem='b'/></block></form>"),
    ("missing-file", "<form><block>^<goto next='none.vxml'/></block></form>"),
    ("missing-file", "^<script src='none.js'/><form/>"),
    ("missing-file", '^<vxml version="2.1" application="none.vxml"><form/></vxml>'),
    ("missing-file", "<form><field>^<grammar src='none.grxml'/></field></form>"),
    ("missing-file", "<form>^<subdialog src='none.vxml#a'/></form>"),
    ("missing-file", "<form>^<data name='d' src='none.json'/></form>"),
    ("missing-audio", "<form><block>^<audio src='none.wav'>Hello</audio></block></form>"),
    ("unreachable-dialog", "<form><block/></form>^<form id='b'><block/></form>"),
    (
        "unreachable-dialog",
        "<form><block/></form>^<menu id='b'><choice dtmf='1' next='#b'/></menu>",
    ),
    (
        "unreachable-dialog",
        "<menu dtmf='true'><choice eventexpr=\"'e' + 1\">a</choice></menu>^<form id='b'/>",
    ),
    (
        "unreachable-item",
        "<form id='a'><block><goto next='#a'/></block>^<field type='digits'/></form>",
    ),
    ("dead-code", "<form><block><exit/>^<log>never</log></block></form>"),
    ("dead-code", "<form><block>^<exit/>never</block></form>"),
    (
        "dead-code",
        "<form><block><if cond='1'><exit/><else/><disconnect/></if>^<log>a</log></block></form>",
    ),
    ("dead-code", "<form><noinput><goto next='#a'/>^<reprompt/></noinput></form><form id='a'/>"),
    ("endless-loop", "<form id='a'><block>Again.^<goto next='#a'/></block></form>"),
    (
        "endless-loop",
        "<form id='a'><block>^<goto next='#b'/></block></form>"
        "<form id='b'><block><goto next='#a'/></block></form>",
    ),
    (
        "endless-loop",
        "<form id='a'><block><if cond='1'><log>a</log></if><clear/>^<goto next='#a'/>"
        "</block></form>",
    ),
    ("endless-loop", "<form><block name='a'>^<goto nextitem='a'/></block></form>"),
    ("endless-loop", "<catch event='my.a'>^<throw event='my.a.b'/></catch><form/>"),
    # What the caller can do
    ("unanswerable", "<form>^<field name='a'><prompt>Yes?</prompt></field></form>"),
    ("unanswerable", f"<form>{KEYS}^<field name='a' modal='true'/></form>"),
    ("unanswerable", "^<menu><prompt>Yes?</prompt></menu>"),
    ("no-keys", f"<form>^<field name='a'>{SPOKEN}</field></form>"),
    ("no-keys", "^<menu id='a'><choice next='#a'>again</choice></menu>"),
    ("no-keys", "<form>^<field name='a'><option value='b'>b</option></field></form>"),
    (
        "duplicate-key",
        "<menu id='a'><choice dtmf='1' next='#a'>a</choice>"
        "^<choice dtmf='1' next='#a'>b</choice></menu>",
    ),
    (
        "duplicate-key",
        "<form><field><option dtmf='1'>a</option>^<option dtmf='1'>b</option></field></form>",
    ),
    (
        "unreachable-prompt",
        "<form><field type='digits'>^<prompt count='4'>a</prompt>"
        "<catch event='noinput nomatch' count='2'><exit/></catch></field></form>",
    ),
    ("prompt-count", "<form><block>^<prompt count='2'>a</prompt></block></form>"),
    # Events
    ("unknown-event", "<form>^<catch event='noimput'/></form>"),
    ("unknown-event", "^<catch event='error.badftech'/><form/>"),
    ("unknown-event", "^<catch event='error.nonsense'/><form/>"),
    (
        "unknown-event",
        "<form>^<catch event='my.evnt'/><block><throw event='my.event'/></block></form>",
    ),
    ("unknown-event", "<form>^<catch event='unheard.of'/></form>"),
    # Grammars
    ("grammar-file", "<form><field>^<grammar src='broken.grxml'/></field></form>"),
    ("grammar-file", "<form><field>^<grammar src='other.vxml'/></field></form>"),
    ("grammar-rule", "<form><field>^<grammar src='keys.grxml#none'/></field></form>"),
    ("grammar-rule", "<form><field>^<grammar src='keys.grxml#hidden'/></field></form>"),
    (
        "grammar-rule",
        "<form><field><grammar version='1.0' root='r' mode='dtmf'><rule id='r'>"
        "^<ruleref uri='keys.grxml#none'/></rule></grammar></field></form>",
    ),
    ("grammar-mode", "<form><field>^<grammar mode='voice' src='keys.grxml'/></field></form>"),
    ("grammar-mode", "<form><field>^<grammar mode='dtmf' src='words.gram'/></field></form>"),
    (
        "grammar-keys",
        "<form><field>^<grammar version='1.0' root='r'><rule id='r'><one-of><item>1</item>"
        "<item>2</item></one-of></rule></grammar></field></form>",
    ),
    (
        "grammar-keys",
        "<form><field>^<grammar version='1.0' root='r' tag-format='semantics/1.0'><rule id='r'>1"
        "<tag>out = 'one'</tag></rule></grammar></field></form>",
    ),
    ("grammar-type", "<form><field>^<grammar type='application/x-gsl'>a</grammar></field></form>"),
    (
        "grammar-tag",
        "<form><field><grammar version='1.0' root='r' mode='dtmf' tag-format='semantics/1.0'>"
        "<rule id='r'>1^<tag>out = = 1</tag></rule></grammar></field></form>",
    ),
    ("builtin", "<form>^<field type='colour'/></form>"),
    (
        "speech",
        '<vxml version="2.1" xml:lang="fr"><form>\n^<field type="date"/></form></vxml>',
    ),
    # Properties
    ("property", "^<property name='timout' value='1s'/><form/>"),
    ("property-value", "^<property name='timeout' value='5'/><form/>"),
    ("property-value", "^<property name='bargein' value='no'/><form/>"),
    ("property-value", "^<property name='inputmodes' value='dtmf speech'/><form/>"),
    ("property-value", "^<property name='audiofetchhint' value='stream'/><form/>"),
    ("property-value", "^<property name='confidencelevel' value='50'/><form/>"),
    ("property-value", "^<property name='maxnbest' value='many'/><form/>"),
    # Other platforms
    ("object", "<form>^<object classid='a'/></form>"),
    ("not-portable", "<form><block>^<vm:transfer dest='conf:12a34b'/></block></form>"),
    ("not-portable", "<form>^<transfer dest='tel:+33' type='bridge' vm:caller='33'/></form>"),
    ("not-portable", "^<property name='com.example.a' value='1'/><form/>"),
    ("not-portable", "^<property name='connecttimeout' value='10s'/><form/>"),
    (
        "not-portable",
        f"<form><field>^{TAGGED}</field></form>",
    ),
    ("namespace", '^<vxml version="2.1"><form/></vxml>'),
    (
        "version-feature",
        '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml"><form>\n'
        "^<data name='d' src='a'/></form></vxml>",
    ),
    (
        "version-feature",
        '<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml"><form>\n'
        "^<transfer dest='tel:+33' type='blind'/></form></vxml>",
    ),
    ("deprecated", "<form>^<transfer dest='tel:+33' bridge='true'/></form>"),
    ("deprecated", "<form>^<catch event='telephone.disconnect.hangup'/></form>"),
    ("deprecated", "<form>^<block cond='session.telephone.ani'/></form>"),
]

FILES = {
    "other.vxml": f"{HEAD}<form id='a'/></vxml>",
    "keys.grxml": '<grammar mode="dtmf" version="1.0" root="r"><rule id="r">1</rule>'
    '<rule id="hidden">2</rule></grammar>',
    "words.gram": "#ABNF 1.0;\nroot $r;\n$r = yes | no;\n",
    "broken.grxml": '<grammar version="1.0" root="r"><rule id="r"><ruleref uri="#none"/>'
    "</rule></grammar>",
}


def marked(content: str) -> tuple[str, tuple[int, int] | None]:
    """The text without its mark, and where that was, as a whole document."""
    text = whole(content)
    before, mark, after = text.rpartition("^")
    if content.startswith("^<vxml"):
        return content[1:], (1, 1)
    if not mark:
        return text, None
    return (before + after).replace("^", ""), (
        before.count("\n") + 1,
        len(before.rpartition("\n")[2].replace("^", "")) + 1,
    )


@pytest.mark.parametrize(
    ("rule", "content"), BROKEN, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(BROKEN)]
)
def test_what_breaks_a_rule_is_found_at_its_place(rule: str, content: str) -> None:
    text, place = marked(content)
    problems = check(text.encode(), URL, EXPAND, Surroundings(Files(FILES)))
    mine = [problem for problem in problems if problem.rule == rule]
    assert mine, problems
    assert all(problem.severity == RULES[rule].severity for problem in mine)
    assert mine[0].message
    if place is not None:
        assert place in [(problem.line, problem.column) for problem in mine]
    if RULES[rule].fatal and rule not in ("ecmascript", "limit"):
        with pytest.raises(DocumentError):
            load_document(text.encode(), URL, EXPAND)


GRAMMARS = [
    ("grammar", '<grammar version="1.0" root="r"><rule id="r"><item></rule></grammar>'),
    ("grammar", "#ABNF 1.0;\nroot $r;\n$r = yes | ;\n"),
    (
        "grammar-tag",
        '<grammar version="1.0" root="r" tag-format="semantics/1.0">'
        '<rule id="r">yes<tag>out = = 1</tag></rule></grammar>',
    ),
    (
        "unused-rule",
        '<grammar version="1.0" root="r"><rule id="r">yes</rule><rule id="s">no</rule></grammar>',
    ),
    ("grammar-keys", '<grammar version="1.0" root="r"><rule id="r">1</rule></grammar>'),
    (
        "grammar-rule",
        '<grammar version="1.0" root="r" mode="dtmf"><rule id="r">'
        '<ruleref uri="keys.grxml#none"/></rule></grammar>',
    ),
    (
        "grammar-mode",
        '<grammar version="1.0" root="r"><rule id="r">yes'
        '<ruleref uri="keys.grxml"/></rule></grammar>',
    ),
    (
        "grammar-rule",
        '<grammar version="1.0" root="r"><rule id="r">'
        '<ruleref uri="builtin:grammar/colour"/></rule></grammar>',
    ),
    (
        "missing-file",
        '<grammar version="1.0" root="r"><rule id="r"><ruleref uri="none.grxml"/></rule></grammar>',
    ),
]


@pytest.mark.parametrize(
    ("rule", "text"), GRAMMARS, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(GRAMMARS)]
)
def test_what_is_wrong_with_a_grammar_is_found(rule: str, text: str) -> None:
    problems = check_grammar(text.encode(), URL, Surroundings(Files(FILES)))
    assert rule in [problem.rule for problem in problems]


def test_a_good_grammar_has_no_problems() -> None:
    around = Surroundings(Files(FILES))
    assert check_grammar(FILES["words.gram"].encode(), URL, around) == []
    good = KEYS.replace("1</rule>", '<ruleref uri="keys.grxml"/></rule>').replace(
        "<rule", '<lexicon uri="none.pls"/><rule', 1
    )
    assert check_grammar(good.encode(), URL, around) == []


def test_a_fault_of_a_grammar_is_told_with_its_line() -> None:
    for text in (
        '<grammar version="1.0" root="r">\n<rule id="r">\n<ruleref uri="#none"/></rule></grammar>',
        "#ABNF 1.0;\nroot $r;\n$r = $none;\n",
    ):
        (problem,) = check_grammar(text.encode(), URL)
        assert (problem.rule, problem.line) == ("grammar", 3)


@pytest.mark.parametrize(
    ("content", "only"),
    [
        ("<property name='timout' value='1s'/><form/>", "property"),
        ("<form><block><goto next='#b'/></block></form>", "unknown-dialog"),
        ("<form><field name='a'/></form>", "unanswerable"),
        ("<form><block><exit/><exit/><exit/></block></form>", "dead-code"),
    ],
)
def test_one_fault_is_told_once(content: str, only: str) -> None:
    assert rules(content) == [only]


# --- What is right is let alone


GOOD = [
    # Variables: every scope, and what ECMAScript binds itself
    "<var name='a' expr='1'/><form><block cond='a + document.a + application.a'/></form>",
    "<form><var name='a' expr='1'/><block cond='a + dialog.a'/></form>",
    "<form><field name='a' type='digits'/><block cond='a$.utterance == a'/></form>",
    "<form><block cond=\"typeof a == 'undefined'\"/></form>",
    "<form><block cond='session.connection.remote.uri == connection.remote.uri'/></form>",
    "<form><block cond=\"application.lastresult$[0].utterance == '1'\"/></form>",
    "<form><block><foreach item='i' array='[1]'><value expr='i'/></foreach></block></form>",
    "<form><block><script>var a = 1; function f() { return a; }</script>"
    "<value expr='f()'/></block></form>",
    "<form><block><data name='d' src='a.php'/><value expr='d.documentElement'/></block></form>",
    "<script>function f(x) { var y = x; try { z(); } catch (e) { y = e; }"
    " return arguments[0] + y; }</script><form/>",
    "<script>function f() { return g(); } function g() { return later; }</script>"
    "<var name='later'/><form/>",
    "<script>var o = {a: 1, b: function () { return this.a; }}; for (var k in o) o[k];"
    " [1].map(x => x + 1); let t = `${o.a}`; label: while (t) break label;</script><form/>",
    "<script>document.made = 1;</script><form><block cond='document.made'/></form>",
    "<script>eval('var a = 1');</script><form><block cond='a'/></form>",
    "<script src='http://elsewhere/a.js'/><form><block cond='a'/></form>",
    "<script src='own.js'/><form><block cond='shared(1)'/></form>",
    "<catch event='error'><log><value expr='_event + _message'/></log></catch><form/>",
    "<catch event='error'><log><value expr='mine'/></log></catch><form><var name='mine'/></form>",
    "<form><block><vm:transfer name='t' dest='tel:+33'/>"
    "<if cond=\"t == 'busy' || t$.duration\"/></block></form>",
    "<menu id='a' dtmf='true'><prompt><enumerate><value expr='_prompt + _dtmf'/>"
    "</enumerate></prompt>"
    "<choice next='#a'>a</choice></menu>",
    "<form><block><if cond='Math.max(1, parseInt(\"2\")) == new Date().getDay()'/></block></form>",
    "<form><subdialog name='s' src='#b'><param name='p' expr='1'/><filled><if cond='s.r'/>"
    "</filled>"
    "</subdialog></form><form id='b'><var name='p'/><block><return namelist='p'/></block></form>",
    # Where it goes
    "<form><block><goto expr=\"'#' + 'b'\"/></block></form><form id='b'/>",
    "<form><block><goto expr=\"1 ? '#b' : '#c'\"/></block></form><form id='b'/><form id='c'/>",
    "<form><block><goto next='start.vxml#b'/></block></form><form id='b'/>",
    "<form/><form scope='document'><field type='digits'/></form>",
    "<link next='#b'><grammar mode='dtmf' version='1.0' root='r'><rule id='r'>1</rule>"
    "</grammar></link>"
    "<form/><form id='b'/>",
    "<form><block><goto next='handler.php#b'/></block></form>",
    "<form><block><goto next='/main.vxml'/></block></form>",
    "<form><block><submit next='none.vxml'/></block></form>",
    "<form><block><audio src='/prompts/none.wav'/><audio src='say?none.wav'/></block></form>",
    "<form><block><if cond='1'><exit/></if><log>perhaps</log></block></form>",
    "<form id='a'><field type='digits'><filled><goto next='#a'/></filled></field></form>",
    "<form id='a'><block><if cond='Math.random() &lt; 0.5'><exit/></if><goto next='#a'/>"
    "</block></form>",
    "<form id='a'><block cond='Math.random() &lt; 0.5'><goto next='#a'/></block></form>",
    "<form><block><throw event='my.a'/></block><block>heard</block><catch event='my.a'/></form>",
    "<form id='a'><block><vm:transfer dest='tel:+33'/><goto next='#a'/></block></form>",
    "<form id='a'><block><goto next='empty.vxml'/></block></form>",
    "<form id='a'><block><goto next='page.xml#a'/></block></form>",
    "<form id='a'><block><goto next='broken.xml#a'/></block></form>",
    # What the caller can do
    "<menu id='a'><choice next='#a'>a<grammar mode='dtmf' version='1.0' root='r'>"
    "<rule id='r'>1</rule></grammar></choice></menu>",
    "<form><field><option dtmf='1'>a</option></field></form>",
    "<form><field><grammar srcexpr=\"'a' + '.grxml'\"/></field></form>",
    "<form><field><grammar type='application/srgs'>#ABNF 1.0; mode dtmf; root $r; $r = 1;"
    "</grammar></field></form>",
    "<form><field type='digits'><prompt count='9'>a</prompt><noinput><assign name='dialog.n'"
    " expr='1'/><exit/></noinput><nomatch><exit/></nomatch></field><var name='n'/></form>",
    "<property name='universals' value='help'/><form><field type='digits'><prompt count='9'>a"
    "</prompt><noinput><exit/></noinput><nomatch><exit/></nomatch></field></form>",
    "<form><field name='a' type='digits'><prompt count='9'>a</prompt><noinput><exit/></noinput>"
    "<nomatch><exit/></nomatch></field><block><goto nextitem='a'/></block></form>",
    f"<form>{KEYS}<initial/><field name='a'/></form>",
    f"<form><field name='a'>{KEYS}{SPOKEN}</field></form>",
    "<form><field name='a'><grammar src='http://elsewhere/a.grxml'/></field></form>",
    "<form><field name='a'><grammar src='builtin:dtmf/digits'/></field></form>",
    "<form><field type='digits'><prompt count='3'>a</prompt>"
    "<catch event='noinput nomatch' count='2'><exit/></catch></field></form>",
    "<form><field type='digits'><prompt count='9'>a</prompt><filled><clear/></filled>"
    "<catch event='noinput nomatch' count='2'><exit/></catch></field></form>",
    "<noinput><exit/></noinput><nomatch><exit/></nomatch><form><field type='digits'>"
    "<prompt count='5'>a</prompt><noinput>Again<reprompt/></noinput></field></form>",
    # Events
    "<form><catch event='my.own'/><subdialog src='#b'/></form>"
    "<form id='b'><block><return event='my.own'/></block></form>",
    "<catch event='error.badfetch.http.404 error.unsupported.move . my.own'/><form/>",
    "<catch event='connection.disconnect error.connection help'/><form/>",
    "<form><catch event='my'/><block><throw event='my.event'/></block></form>",
    "<form><catch event='my.own'/><subdialog src='http://elsewhere/a.vxml'/></form>",
    "<form><catch event='my.own'/><block><throw eventexpr=\"'my' + '.own'\"/></block></form>",
    "<catch event='my.a'><throw event='my.b'/></catch><catch event='my.b'><exit/></catch><form/>",
    "<catch event='my.a'><throw event='my.a'/></catch><catch event='my.a' count='2'>"
    "<exit/></catch><form/>",
    # Grammars and properties
    "<form><field><grammar src='keys.grxml' mode='dtmf'/></field></form>",
    "<form><field><grammar src='words.gram'/><grammar src='keys.grxml#r'/></field></form>",
    "<property name='timeout' value='500ms'/>"
    "<property name='universals' value='help exit'/><form/>",
    # What a macro makes is the platform's own business
    "<form><block><macro name='transfer'><input name='to' value='conf:12a34b'/></macro>"
    "</block></form>",
]
NOT_MEANT = {"not-portable"}
OWN = {
    **FILES,
    "empty.vxml": f"{HEAD}</vxml>",
    "page.xml": "<html/>",
    "broken.xml": "<html>",
    "own.js": "function shared(a) { return a; }",
}


@pytest.mark.parametrize("content", GOOD)
def test_what_is_right_is_let_alone(content: str) -> None:
    problems = found(content, OWN)
    assert [problem for problem in problems if problem.rule not in NOT_MEANT] == []


def test_a_macro_is_portable_and_its_expansion_not_looked_at() -> None:
    macro = "<macro name='transfer'><input name='to' value='conf:12a34b'/></macro>"
    assert found(f"<form><block>{macro}</block></form>") == []


def test_messages_ask_for_what_was_meant() -> None:
    (problem,) = found("<form><var name='counter'/><block cond='countr'/></form>")
    assert problem.message == "'countr' is used and not declared; did you mean 'counter'?"
    (problem,) = found("<form><catch event='noimput'/></form>")
    assert problem.message.endswith("did you mean 'noinput'?")


def test_a_name_in_a_script_is_told_where_it_stands_behind_references_and_cdata() -> None:
    script = "<script><![CDATA[\nif (1 < 2) {\n  unknown();\n}]]></script><form/>"
    (problem,) = found(script)
    assert (problem.line, problem.column) == (4, 3)
    (problem,) = found("<script>if (1 &lt; 2) unknown();</script><form/>")
    assert (problem.line, problem.column) == (2, 23)


# --- The application, and other documents


def test_variables_of_the_root_document_are_known() -> None:
    leaf = (
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" application="root.vxml">'
        "<form><block cond='ours + application.ours'/><block cond='others'/></form></vxml>"
    )
    root = f"{HEAD}<var name='ours'/></vxml>"
    problems = found(leaf, {"root.vxml": root})
    assert [problem.message for problem in problems] == [
        "'others' is used and not declared; did you mean 'ours'?"
    ]


def test_where_the_root_document_cannot_be_read_nothing_is_said_about_variables() -> None:
    leaf = (
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml" application="http://a/root.vxml">'
        "<form><block cond='ours'/></form></vxml>"
    )
    assert found(leaf) == []


def test_a_roots_handlers_may_use_what_its_leaves_declare() -> None:
    root = "<catch event='error'><log><value expr='theirs'/></log></catch><form/>"
    assert rules(root) == ["undeclared-variable"]
    assert rules(root, is_root=True) == []


def test_dialogs_that_others_lead_to_are_reached() -> None:
    document = "<form/><form id='b'/>"
    assert rules(document) == ["unreachable-dialog"]
    assert rules(document, entries=frozenset({"b"})) == []


def test_where_a_document_leads_outside_is_told() -> None:
    body = whole(
        "<form><block><goto next='other.vxml#b'/></block></form><form id='c'>"
        "<subdialog src='lib.vxml'/><block><goto next='#c'/></block></form>"
    ).replace("<vxml", "<vxml application='root.vxml'")
    leads, root = leads_to(body.encode(), URL, Surroundings())
    assert leads == [("file:///scripts/other.vxml", "b"), ("file:///scripts/lib.vxml", None)]
    assert root == "file:///scripts/root.vxml"
    assert leads_to(b"<vxml", URL, Surroundings()) == ([], None)


def test_without_a_folder_no_file_is_missed() -> None:
    body = whole("<script src='none.js'/><form><block><audio src='none.wav'/></block></form>")
    assert check(body.encode(), "script") == []


# --- Uploading


def test_what_only_goes_wrong_when_it_is_reached_does_not_refuse_a_script() -> None:
    reached = found("<form><block cond='nobody'/></form>")
    assert [problem.severity for problem in reached] == ["error"]
    assert [problem.severity for problem in for_upload(reached)] == ["warning"]
    refused = for_upload(found("<form><blok/></form>"))
    assert [problem.severity for problem in refused] == ["error"]


def test_what_is_not_valid_is_told_alone() -> None:
    assert rules("<form><blok/><block cond='nobody'><goto next='none.vxml'/></block></form>") == [
        "element-unknown"
    ]


# --- Everything that runs


@pytest.mark.parametrize("path", sorted(ROOT.glob("samples/*.vxml")), ids=lambda path: path.name)
def test_the_samples_have_no_problems(path: Path) -> None:
    assert check(path.read_bytes(), path.as_uri(), EXPAND) == []


# --- The rules are those that are documented


def emitted() -> Iterator[tuple[str, str]]:
    """Every rule that a module names when it reports something: the rule and the module."""
    position = {"problem": 1, "warn": 1, "_report": 1, "Problem": 2, "add": 0, "add_at": 0}
    modules = [*ROOT.glob("vxml_engine/**/*.py"), *ROOT.glob("macros/*.py")]
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            index = position.get(name)
            if index is None or len(node.args) <= index:
                continue
            given = node.args[index]
            if isinstance(called, ast.Attribute) and name == "add" and len(node.args) < 3:
                continue  # a set's add
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                yield given.value, module.name


def test_every_rule_that_is_reported_is_in_the_table_and_every_one_of_the_table_is_reported() -> (
    None
):
    reported = dict(emitted())
    assert reported.keys() == RULES.keys()


def test_every_rule_is_documented_with_its_severity() -> None:
    sections = re.split(r"^### (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    page = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(page) == list(RULES)
    for name, text in page.items():
        rule = RULES[name]
        said = "Error, refused." if rule.fatal else f"{rule.severity.capitalize()}."
        assert text.strip().startswith(said), name


def test_every_rule_has_a_document_that_breaks_it() -> None:
    tried = {rule for rule, _ in BROKEN} | {rule for rule, _ in GRAMMARS}
    assert RULES.keys() - tried == {"macro", "too-many-macros", "expansion-too-large"}
