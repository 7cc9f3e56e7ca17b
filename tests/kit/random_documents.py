"""Random well-formed documents, after the vocabulary's own table, and random conversations.

All choices are made by one ``random.Random``, so a seed (or hypothesis) gives the same again.
Most documents can be used; the rest are refused as any author's would be.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from xml.sax.saxutils import escape, quoteattr

from vxml_engine.collector import Mark
from vxml_engine.effects import (
    Collect,
    Disconnect,
    Disconnected,
    Effect,
    Fetch,
    Fetched,
    FetchFailed,
    HandedOver,
    Heard,
    HungUp,
    InputFailed,
    Log,
    Outcome,
    Play,
    Played,
    Prompt,
    Record,
    Recorded,
    Transfer,
    TransferFailed,
    Transferred,
    Utterance,
)
from vxml_engine.session import SessionResult
from vxml_engine.vocabulary import EXECUTABLE, FORM_ITEMS, RULES

BASE = "http://test/"
DEPTH_MAX = 6
CHILDREN_MAX = 4
TURNS_MAX = 12
EFFECTS_MAX = 20_000

NAMES = ("a", "b", "c", "document.d", "n1")
DIALOGS = ("f1", "f2", "f3")
EXPRESSIONS = (
    "1", "'x'", "a", "b", "a + 1", "undefined", "null", "missing", "true", "[1, 2, 'z']",
    "{x: 1, y: [2]}", "a == 1", "a$.utterance", "application.lastresult$", "d.documentElement",
    "session.connection.remote.uri", "dialog.a = 2", "function(){ return 1 }", "''", "1 +", "x.y",
    "_event", "_prompt", "Number.MAX_VALUE", "'\\u00e9\\u4e2d'", "while(1);",
)  # fmt: skip
CONDITIONS = ("true", "false", "a == '1'", "a == undefined", "missing", "b", "_event == 'x'", "1 +")
EVENTS = (
    "noinput", "nomatch", "help", "cancel", "exit", "error", "error.badfetch", "error.semantic",
    "connection.disconnect.hangup", "connection.disconnect", "x", "x.y", "x.y.z", "", ".",
)  # fmt: skip
PAGES = ("start.vxml", "leaf.vxml", "root.vxml")
ADDRESSES = (
    "#f1", "#f2", "#nowhere", "leaf.vxml", "leaf.vxml#f2", "root.vxml#f1", "start.vxml",
    "missing.vxml", "http://test/leaf.vxml", "data.xml", "data.json", "code.js", "words.grxml",
    "words.gram", "builtin:dtmf/digits?length=2", "builtin:grammar/boolean", "", "::", "slow",
)  # fmt: skip
VALUES: Mapping[str, tuple[str, ...]] = {
    "version": ("2.0", "2.1", "2.1", "2.1"),
    "application": ("root.vxml", "root.vxml", "missing.vxml"),
    "xml:base": ("http://test/", "sub/"),
    "xml:lang": ("en", "fr-FR", "x"),
    "id": DIALOGS,
    "scope": ("dialog", "document"),
    "dtmf": ("1", "2", "1 2", "*", "#"),
    "accept": ("exact", "approximate"),
    "name": NAMES,
    "type": ("boolean", "digits?length=2", "number", "date", "time", "phone", "currency", "x"),
    "slot": ("a", "x", "x.y"),
    "modal": ("true", "false"),
    "bridge": ("true", "false"),
    "beep": ("true", "false"),
    "dtmfterm": ("true", "false"),
    "bargein": ("true", "false"),
    "bargeintype": ("speech", "hotword"),
    "method": ("get", "post"),
    "enctype": ("application/x-www-form-urlencoded", "multipart/form-data"),
    "mode": ("all", "any"),
    "count": ("1", "2", "3"),
    "event": EVENTS,
    "namelist": ("a", "a b", "b c", "missing", ""),
    "dest": ("tel:+33612345678", "conf:12a34b", "sip:a@b", ""),
    "fetchhint": ("prefetch", "safe"),
    "maxage": ("0", "60"),
    "maxstale": ("0", "60"),
    "item": ("i", "a"),
    "array": ("[1,2,3]", "a", "[]", "missing"),
    "value": ("1", "x", "true", "5s", ""),
    "content": ("x",),
    "strength": ("none", "strong"),
    "level": ("strong",),
    "ph": ("t@m",),
    "interpret-as": ("date", "digits"),
    "alias": ("as",),
    "nextitem": ("a", "b", "c", "missing"),
    "classid": ("builtin:x",),
    "charset": ("utf-8", "x"),
}
GRAMMAR_VALUES: Mapping[str, tuple[str, ...]] = {
    "mode": ("dtmf", "voice"),
    "root": ("r",),
    "version": ("1.0",),
    "type": ("application/srgs+xml", "application/srgs+xml", "text/x"),
    "tag-format": ("semantics/1.0", "semantics/1.0-literals"),
    "weight": ("1.0",),
}
TIMES = ("0s", "100ms", "5s", "1.5s", "2s")
PROPERTIES = (
    ("timeout", TIMES), ("interdigittimeout", TIMES), ("termchar", ("#", "", "1")),
    ("termtimeout", TIMES), ("bargein", ("true", "false")), ("inputmodes", ("dtmf", "voice", "")),
    ("universals", ("all", "none", "help cancel")), ("maxnbest", ("1", "3", "x")),
    ("confidencelevel", ("0.5", "1.0", "x")), ("fetchtimeout", TIMES), ("fetchaudio", ("a.wav",)),
    ("fetchaudiodelay", TIMES), ("documentmaxage", ("0", "x")), ("bargeintype", ("hotword",)),
)  # fmt: skip
SCRIPTS = (
    "var s = 1;", "function f() { return a; }", "a = 1;", "missing = 1;", "throw 'x';", "}",
    "for (var i = 0; i < 1000; i++);", "var big = new Array(100); big.join('x');",
)  # fmt: skip
SPOKEN = ("prompt", "audio", "enumerate", "choice", "log")
ONLY_EXECUTABLE = EXECUTABLE - {"value", "audio", "enumerate", "foreach"}
TEXTS = ("Hello.", " ", "one & two", "<not>", "\u4e2d\u6587", "Press 1.")
RULES_OF_GRAMMARS = (
    '<rule id="r"><one-of><item>1</item><item>2 3</item></one-of></rule>',
    '<rule id="r">yes<tag>out.x = 1; out.a = "z"</tag></rule>',
    '<rule id="r"><item repeat="1-3"><ruleref uri="#s"/></item></rule><rule id="s">1</rule>',
    '<rule id="r"><ruleref uri="words.grxml#w"/></rule>',
    '<rule id="r"><ruleref special="GARBAGE"/>no<tag>throw 1</tag></rule>',
)
FIXED = {
    "data.xml": "<a><b c='1'>x</b><!-- note --><d/></a>",
    "data.json": '{"x": [1, {"y": null}]}',
    "code.js": "var loaded = 1;",
    "words.grxml": '<grammar root="w" mode="dtmf"><rule id="w" scope="public">1</rule></grammar>',
    "words.gram": "#ABNF 1.0; root $w; mode voice; public $w = yes | no;",
}


@dataclass
class _Writer:
    """Writes one document."""

    random: Random
    taken: set[str] = field(default_factory=set)
    spoken: int = 0

    def some(self, chance: float) -> bool:
        return self.random.random() < chance

    def document(self) -> str:
        dialogs = [self.element(self.random.choice(("form", "form", "menu")), 1, id=name)
                   for name in DIALOGS[: self.random.randint(1, 3)]]  # fmt: skip
        other = sorted(RULES["vxml"].children - {"form", "menu"})
        always = "".join(f"<var name={quoteattr(name)}/>" for name in ("a", "b", "d"))
        before = [self.element(name, 1) for name in self.random.choices(other, k=2)]
        attributes = ' version="2.1"'
        if self.some(0.3):
            attributes += f" application={quoteattr(self.value('vxml', 'application'))}"
        space = ' xmlns="http://www.w3.org/2001/vxml" xmlns:vm="urn:voicemashup"'
        return f"<vxml{space}{attributes}>{always}{''.join(before + dialogs)}</vxml>"

    def value(self, element: str, attribute: str) -> str:
        choose = self.random.choice
        if attribute == "cond":
            return choose(CONDITIONS) if self.some(0.3) else "true"
        if attribute == "expr" or attribute.endswith("expr"):
            if attribute == "eventexpr":
                return choose([repr(event) for event in EVENTS])
            if attribute == "expritem":
                return choose(("'a'", "'b'", "missing"))
            if attribute == "srcexpr" or (element in ("goto", "submit") and attribute == "expr"):
                return choose([*(repr(address) for address in ADDRESSES), "missing"])
            return choose(EXPRESSIONS) if self.some(0.3) else choose(EXPRESSIONS[:4])
        if attribute == "namelist" and self.some(0.7):
            return "a"
        if element == "grammar" and attribute in GRAMMAR_VALUES:
            return choose(GRAMMAR_VALUES[attribute])
        if element == "menu" and attribute == "dtmf":
            return choose(("true", "false"))
        if attribute == "type" and element in ("transfer", "record"):
            return {
                "transfer": choose(("bridge", "blind", "consultation")),
                "record": choose(("audio/x-wav", "audio/x")),
            }[element]
        if attribute in ("next", "src", "transferaudio", "fetchaudio"):
            return choose(ADDRESSES)
        if "timeout" in attribute or attribute in ("maxtime", "finalsilence", "time"):
            return choose(TIMES)
        return choose(VALUES.get(attribute, ("x", "1")))

    def attributes(self, element: str) -> dict[str, str]:
        rule = RULES[element]
        wanted = set(rule.required)
        groups = [*rule.one_of, *rule.at_most_one]
        grouped = {name for group in groups for name in group}
        for group in rule.one_of:
            wanted.add(self.random.choice(sorted(group)))
        for group in rule.at_most_one:
            offered = sorted(group & rule.attributes)
            if offered and not wanted & group and self.some(0.3):
                wanted.add(self.random.choice(offered))
        for name in sorted(rule.attributes - grouped):
            if self.some(0.2):
                wanted.add(name)
        return {name: self.value(element, name) for name in sorted(wanted)}

    def element(self, name: str, depth: int, **fixed: str) -> str:
        attributes = {**self.attributes(name), **fixed}
        if name == "property":
            known, values = self.random.choice(PROPERTIES)
            attributes = {"name": known, "value": self.random.choice(values)}
        if name == "form":
            self.taken = set()
        if name in FORM_ITEMS:
            free = [one for one in ("a", "b", "c") if one not in self.taken]
            attributes["name"] = free[0] if free else f"n{len(self.taken)}"
            self.taken.add(attributes["name"])
            if self.some(0.9):
                attributes.pop("expr", None)
        if name == "filled":
            attributes.pop("namelist", None)
        if name == "grammar" and not {"src", "srcexpr"} & attributes.keys():
            attributes |= {"root": "r", "type": "application/srgs+xml"}
        if name == "data":
            attributes.setdefault("name", "d")
        written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        return f"<{name}{written}>{self.content(name, depth, attributes)}</{name}>"

    def content(self, name: str, depth: int, attributes: Mapping[str, str]) -> str:
        rule = RULES[name]
        if name == "script":
            return "" if {"src", "srcexpr"} & attributes.keys() else escape(self.script())
        if name == "grammar":
            if {"src", "srcexpr"} & attributes.keys():
                return ""
            return self.random.choice(RULES_OF_GRAMMARS)
        parts: list[str] = []
        children = sorted(rule.children - {"else", "elseif"})
        if name in SPOKEN:
            self.spoken += 1
        if self.spoken:
            children = [child for child in children if child not in ONLY_EXECUTABLE]
        if depth < DEPTH_MAX and children:
            chosen = self.random.choices(children, k=self.random.randint(0, CHILDREN_MAX))
            parts += [self.element(child, depth + 1) for child in chosen]
        if name == "menu" and depth < DEPTH_MAX:
            parts += [self.element("choice", depth + 1) for _ in range(2)]
        if name == "if" and self.some(0.3):
            parts.append("<else/>")
            parts.append(self.element("log", depth + 1))
        if name in SPOKEN:
            self.spoken -= 1
        if rule.text and self.some(0.4):
            parts.append(escape(self.random.choice(TEXTS)))
        return "".join(parts)

    def script(self) -> str:
        return self.random.choice(SCRIPTS)


def random_documents(random: Random) -> dict[str, str]:
    """Pages by name; ``start.vxml`` is the first, ``root.vxml`` may be an application's root."""
    pages = {name: _Writer(random).document() for name in PAGES}
    return {**FIXED, **pages}


class IllegalEffect(AssertionError):
    """The session asked for something that no driver could or should do."""


class RandomCaller:
    """Drives a session with random outcomes, and holds each effect to what is legal."""

    def __init__(self, documents: Mapping[str, str], random: Random) -> None:
        self._documents = documents
        self._random = random
        self._turns = 0
        self._gone = False
        self.effects: list[Effect] = []
        self.outcomes: list[Outcome] = []

    def drive(self, run: Generator[Effect, Outcome, SessionResult]) -> SessionResult:
        """Drive to the end; raises ``IllegalEffect``, or whatever the session lets escape."""
        outcome: Outcome = None
        try:
            while True:
                effect = run.send(outcome)
                self.effects.append(effect)
                if len(self.effects) > EFFECTS_MAX:
                    raise IllegalEffect("the session does not end")
                self._check(effect)
                outcome = self._answer(effect)
                self.outcomes.append(outcome)
        except StopIteration as end:
            result: SessionResult = end.value
            return result

    def _check(self, effect: Effect) -> None:
        legal = True
        match effect:
            case Fetch(url, method, fields):
                legal = url.partition(":")[0].isalpha() and "#" not in url
                legal = legal and not (method == "get" and fields) and effect.timeout_s >= 0
            case Play(prompts):
                legal = bool(prompts) and not self._gone
            case Collect(networks=networks, speech=speech):
                legal = bool(networks or speech) and not self._gone
                legal = legal and all(n.mode == "dtmf" for n in networks)
                legal = legal and all(n.mode == "voice" for n in speech)
            case Record() | Transfer() | Disconnect():
                legal = not self._gone
        for prompt in getattr(effect, "prompts", ()):
            legal = legal and isinstance(prompt, Prompt) and bool(prompt.segments)
        if not legal:
            raise IllegalEffect(repr(effect))

    def _answer(self, effect: Effect) -> Outcome:
        choose, chance = self._random.choice, self._random.random()
        match effect:
            case Fetch(url=url):
                return self._fetch(url, chance)
            case Log():
                return None
            case Disconnect():
                self._gone = True
                return Disconnected()
        self._turns += 1
        if self._turns > TURNS_MAX or chance < 0.05:
            self._gone = True
            return HungUp(choose((0.0, 3.0)))
        match effect:
            case Play():
                return Played()
            case Collect():
                return self._enter(effect)
            case Record():
                self._gone = chance > 0.9
                recorded = Recorded("recording:1", 2.0, 16_000, hung_up=self._gone)
                return recorded if self._gone or chance > 0.3 else InputFailed("noinput")
            case Transfer(kind=kind):
                if kind != "bridge" and chance > 0.5:
                    self._gone = True
                    return HandedOver()
                if chance > 0.9:
                    return TransferFailed("error.connection.noroute", "no route")
                return Transferred(choose(("busy", "noanswer", "far_end_disconnect")), 1.0)
        raise AssertionError(effect)

    def _fetch(self, url: str, chance: float) -> Outcome:
        page = url.removeprefix(BASE).partition("?")[0]
        if chance < 0.05:
            return FetchFailed("error.badfetch", "no answer")
        if page not in self._documents:
            return Fetched(url, 404, "", b"")
        kind = "application/json" if page.endswith(".json") else ""
        return Fetched(url, 200, kind, self._documents[page].encode())

    def _enter(self, effect: Collect) -> Outcome:
        choose = self._random.choice
        mark = choose((None, None, Mark("m", 0.5)))
        if effect.speech and self._random.random() < 0.5:
            said = choose(("yes", "no", "one two", "help", "x"))
            return Heard((Utterance(said, choose((0.2, 0.6, 1.0))), Utterance("no", 0.5)), mark)
        if self._random.random() < 0.1:
            return InputFailed("maxspeechtimeout")
        collector = effect.collector()
        collector.prompts_ended(0.0)
        for key in choose(("", "1", "2", "12", "1#", "*", "9999999")):
            collector.digit(key, 0.0)
        collector.run_out(0.0)
        assert collector.result is not None
        return replace(collector.result, mark=mark)


def told(documents: Mapping[str, str]) -> str:
    """The random pages, for a failure's message."""
    return json.dumps({name: documents[name] for name in PAGES}, indent=1)
