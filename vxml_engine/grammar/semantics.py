"""Semantic interpretation of a match (SISR 1.0): literals, and tags as ECMAScript.

A match is turned into one ECMAScript expression, which the session evaluates under its own
limits, apart from its variables.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from vxml_engine.grammar.network import Mode, Network, Step, TagFormat

_USE: Final = """
function use$(space) {
  var text = '', latest, last = {text: '', score: 1};
  var rules = {latest: function () { return latest }};
  var meta = {current: function () { return {text: text, score: 1} },
              latest: function () { return last }};
  function add(more) { if (more) text += (text && space) + more }
  return {
    rules: rules, meta: meta, add: add,
    refer: function (name, result) {
      rules[name] = latest = result.value;
      meta[name] = last = {text: result.text, score: 1};
      add(result.text)
    },
    leave: function (value) { return {value: value, text: text} },
    latest: function () { return {value: latest, text: text} },
    matched: function () { return {value: text, text: text} }
  }
}
"""
"""What the tags of one use of a rule find: the values and texts of the rules it refers to, and its
own text so far (SISR 1.0 3.3)."""


def utterance(network: Network, steps: tuple[Step, ...]) -> str:
    """The keys or words of a match."""
    return _between(network.mode).join(step.text for step in steps if step.kind == "token")


def _between(mode: Mode) -> str:
    return "" if mode == "dtmf" else " "


def interpretation_source(network: Network, steps: tuple[Step, ...]) -> str:
    """An ECMAScript expression whose value is the interpretation of the match.

    A rule without tags has the value of the last rule it refers to, else its text
    (SISR 1.0 5); a literal tag is a string (SISR 1.0 3.1).  A grammar that names no tag format
    and where no tag was met means the text itself.
    """
    tagged = any(step.kind == "tag" for step in steps)
    if not tagged and network.rules[network.root].tag_format == "draft":
        return json.dumps(utterance(network, steps))
    used = sorted({network.rules[s.text].grammar for s in steps if s.kind == "enter"})
    lines = [f"(function(){{var call$=[],in$=[];{_USE}"]
    # The rules of one grammar share what its header declares (SISR 1.0 4.2).
    lines += [
        f"in$[{number}]=(function(){{{network.headers[number]}\n;"
        "return function(){return eval(arguments[0])}})();"
        for number in used
        if network.headers[number]
    ]
    for number, application in enumerate(_applications(network, steps)):
        function = application.function(json.dumps(_between(network.mode)))
        grammar = network.rules[application.rule].grammar
        if network.headers[grammar]:
            function = f"in$[{grammar}]({json.dumps(function)})"
        lines.append(f"call$[{number}]={function};")
    lines.append("return call$[0]().value})()")
    return "".join(lines)


@dataclass(slots=True)
class _Application:
    """A use of a rule in a match: the statements its steps amount to."""

    rule: str
    tag_format: TagFormat
    lines: list[str] = field(default_factory=list)
    tagged: bool = False
    referred: bool = False

    def tag(self, text: str) -> None:
        """A tag: a literal, or a script of its own."""
        self.tagged = True
        literal = self.tag_format == "literals"
        self.lines.append(f"out={json.dumps(text)};" if literal else f"{text}\n;")

    def refer(self, name: str, number: int) -> None:
        """A reference to the rule ``name``, whose application has this number."""
        self.referred = True
        self.lines.append(f"u$.refer({json.dumps(name)},call$[{number}]());")

    def function(self, space: str) -> str:
        """The function whose call gives the rule's value and text."""
        begin = f"var u$=use$({space}),rules=u$.rules,meta=u$.meta,out={{}};"
        end = "return u$.matched()"
        if self.tagged:
            end = "return u$.leave(out)"
        elif self.referred:
            end = "return u$.latest()"
        if self.tag_format == "draft":
            begin, end = f"{begin}var $=out,first$=out;", f"if($!==first$)out=$;{end}"
        return f"(function(){{{begin}{''.join(self.lines)}{end}}})"


def _applications(network: Network, steps: Sequence[Step]) -> list[_Application]:
    """Each use of a rule in the match, in order of entering."""
    found: list[_Application] = []
    inside: list[_Application] = []
    for step in steps:
        match step.kind:
            case "enter":
                rule = network.rules[step.text]
                if inside:
                    inside[-1].refer(rule.name, len(found))
                inside.append(_Application(step.text, rule.tag_format))
                found.append(inside[-1])
            case "leave":
                inside.pop()
            case "token":
                inside[-1].lines.append(f"u$.add({json.dumps(step.text)});")
            case "tag":
                inside[-1].tag(step.text)
    return found
