"""The elements of VoiceXML 2.1 and SSML 1.0: attributes, children, required and exclusive ones.

The table is what the parser checks a document against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VXML_NAMESPACE: Final = "http://www.w3.org/2001/vxml"
SRGS_NAMESPACE: Final = "http://www.w3.org/2001/06/grammar"
SSML_NAMESPACE: Final = "http://www.w3.org/2001/10/synthesis"
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
VM_NAMESPACE: Final = "urn:voicemashup"
"""Elements and attributes of ours, written ``vm:`` below."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an element may have; ``one_of``: groups of which exactly one must be there."""

    attributes: frozenset[str]
    children: frozenset[str]
    required: frozenset[str] = frozenset()
    one_of: tuple[frozenset[str], ...] = ()
    at_most_one: tuple[frozenset[str], ...] = ()
    text: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FETCH = "fetchhint fetchtimeout maxage maxstale"
_EVENT_HANDLERS = "catch error help noinput nomatch"
HANDLERS: Final = _words(_EVENT_HANDLERS)
_SPEECH = "audio break emphasis enumerate foreach mark p phoneme prosody s say-as sub value voice"
_IN_PROMPT = _SPEECH + " desc lexicon metadata meta"
EXECUTABLE: Final = _words(
    "assign clear data disconnect exit foreach goto if log prompt reprompt return script submit"
    " throw var value audio enumerate vm:transfer"
)
_EXECUTABLE = " ".join(sorted(EXECUTABLE))
_FORM_ITEMS = "block field initial object record subdialog transfer"
FORM_ITEMS: Final = _words(_FORM_ITEMS)
_ITEM = "name expr cond"
_INPUT_CHILDREN = _EVENT_HANDLERS + " filled prompt property value audio enumerate"
_LEADS_TO = _words("next expr event eventexpr")
_MESSAGE = _words("message messageexpr")
_THROWN = (_words("event eventexpr"),)


def _rule(
    attributes: str,
    children: str = "",
    *,
    required: str = "",
    one_of: tuple[frozenset[str], ...] = (),
    at_most_one: tuple[frozenset[str], ...] = (),
    text: bool = False,
) -> Rule:
    return Rule(_words(attributes), _words(children), _words(required), one_of, at_most_one, text)


_HANDLER = _rule("count cond", _EXECUTABLE, text=True)
_TRANSFER_ONE = (_words("dest destexpr"),)
_TRANSFER_MOST = (_words("bridge type"), _words("aai aaiexpr"))
_NEXT_EXPR = (_words("next expr"),)

RULES: Final[dict[str, Rule]] = {
    "vxml": _rule(
        "version application xml:base xml:lang",
        "data form link menu meta metadata property script var " + _EVENT_HANDLERS,
        required="version",
    ),
    "form": _rule(
        "id scope",
        f"{_FORM_ITEMS} data filled grammar link property script var {_EVENT_HANDLERS}",
    ),
    "menu": _rule(
        "id scope dtmf accept",
        f"audio choice enumerate prompt property value {_EVENT_HANDLERS}",
        text=True,
    ),
    "choice": _rule(
        f"dtmf accept next expr event eventexpr message messageexpr fetchaudio {_FETCH}",
        "grammar audio break emphasis p s say-as sub value",
        one_of=(_LEADS_TO,),
        at_most_one=(_MESSAGE,),
        text=True,
    ),
    "block": _rule(_ITEM, _EXECUTABLE, text=True),
    "field": _rule(f"{_ITEM} type slot modal", f"grammar link option {_INPUT_CHILDREN}", text=True),
    "option": _rule("dtmf accept value", text=True),
    "initial": _rule(
        _ITEM, f"link {_EVENT_HANDLERS} prompt property value audio enumerate", text=True
    ),
    "object": _rule(
        f"{_ITEM} classid codebase codetype data type archive {_FETCH}",
        f"param {_INPUT_CHILDREN}",
        text=True,
    ),
    "record": _rule(
        f"{_ITEM} modal beep maxtime finalsilence dtmfterm type dest",
        f"grammar link {_INPUT_CHILDREN}",
        text=True,
    ),
    "subdialog": _rule(
        f"{_ITEM} src srcexpr namelist method enctype fetchaudio {_FETCH}",
        f"param {_INPUT_CHILDREN}",
        one_of=(_words("src srcexpr"),),
        text=True,
    ),
    "transfer": _rule(
        f"{_ITEM} dest destexpr bridge type connecttimeout maxtime transferaudio aai aaiexpr"
        " vm:caller",
        f"grammar {_INPUT_CHILDREN}",
        one_of=_TRANSFER_ONE,
        at_most_one=_TRANSFER_MOST,
        text=True,
    ),
    "vm:transfer": _rule(
        "name dest destexpr connecttimeout maxtime caller aai aaiexpr",
        one_of=_TRANSFER_ONE,
        at_most_one=_TRANSFER_MOST,
    ),
    "param": _rule(
        "name expr value valuetype type", required="name", one_of=(_words("expr value"),)
    ),
    "filled": _rule("mode namelist", _EXECUTABLE, text=True),
    "catch": _rule("event count cond", _EXECUTABLE, text=True),
    "error": _HANDLER,
    "help": _HANDLER,
    "noinput": _HANDLER,
    "nomatch": _HANDLER,
    "link": _rule(
        f"next expr event eventexpr message messageexpr dtmf fetchaudio {_FETCH}",
        "grammar",
        one_of=(_LEADS_TO,),
        at_most_one=(_MESSAGE,),
    ),
    "property": _rule("name value", required="name value"),
    "meta": _rule("name content http-equiv", required="content"),
    "metadata": _rule(""),
    "var": _rule("name expr", required="name"),
    "assign": _rule("name expr", required="name expr"),
    "script": _rule(
        f"src srcexpr charset {_FETCH}", at_most_one=(_words("src srcexpr"),), text=True
    ),
    "if": _rule("cond", f"{_EXECUTABLE} else elseif", required="cond", text=True),
    "elseif": _rule("cond", required="cond"),
    "else": _rule(""),
    "log": _rule("label expr", "value", text=True),
    "throw": _rule("event eventexpr message messageexpr", one_of=_THROWN, at_most_one=(_MESSAGE,)),
    "reprompt": _rule(""),
    "clear": _rule("namelist"),
    "goto": _rule(
        f"next expr nextitem expritem fetchaudio {_FETCH}",
        one_of=(_words("next expr nextitem expritem"),),
    ),
    "submit": _rule(f"next expr namelist method enctype fetchaudio {_FETCH}", one_of=_NEXT_EXPR),
    "return": _rule(
        "namelist event eventexpr message messageexpr",
        at_most_one=(_words("namelist event eventexpr"), _MESSAGE),
    ),
    "exit": _rule("expr namelist", at_most_one=(_words("expr namelist"),)),
    "disconnect": _rule("namelist"),
    "data": _rule(
        f"name src srcexpr namelist method enctype fetchaudio {_FETCH}",
        one_of=(_words("src srcexpr"),),
    ),
    "foreach": _rule("item array", f"{_EXECUTABLE} {_IN_PROMPT}", required="item array", text=True),
    "prompt": _rule(
        "bargein bargeintype cond count timeout xml:lang xml:base", _IN_PROMPT, text=True
    ),
    "value": _rule("expr mode recsrc", required="expr"),
    "audio": _rule(f"src expr {_FETCH}", _IN_PROMPT, one_of=(_words("src expr"),), text=True),
    "enumerate": _rule("", _IN_PROMPT, text=True),
    "break": _rule("time strength"),
    "emphasis": _rule("level", _IN_PROMPT, text=True),
    "mark": _rule("name nameexpr", one_of=(_words("name nameexpr"),)),
    "p": _rule("xml:lang", _IN_PROMPT, text=True),
    "s": _rule("xml:lang", _IN_PROMPT, text=True),
    "phoneme": _rule("ph alphabet", required="ph", text=True),
    "prosody": _rule("pitch contour range rate duration volume", _IN_PROMPT, text=True),
    "say-as": _rule("interpret-as format detail", "value", required="interpret-as", text=True),
    "sub": _rule("alias", required="alias", text=True),
    "voice": _rule("xml:lang gender age variant name", _IN_PROMPT, text=True),
    "desc": _rule("xml:lang", text=True),
    "lexicon": _rule("uri type"),
    "grammar": _rule(
        f"src srcexpr type mode root scope tag-format version weight xml:lang xml:base {_FETCH}",
        "rule tag meta metadata lexicon",
        at_most_one=(_words("src srcexpr"),),
        text=True,
    ),
}

SSML_MARKUP: Final = _words("break emphasis p s phoneme prosody say-as sub voice")
"""Elements that go to the synthesizer as they are."""
