"""Semantic interpretation of a match (SISR 1.0): literals, and tags as ECMAScript.

A match with scripts in it is turned into one ECMAScript expression, which the session evaluates
under its own limits, apart from its variables.
"""

import json
from collections.abc import Iterator

from vxml_engine.grammar.network import Mode, Network, Step

_RULE = (
    "var out={},latest$,text$='',rules={latest:function(){return latest$.value}},"
    "meta={current:function(){return {text:text$,score:1}},"
    "latest:function(){return {text:latest$.text,score:1}}};"
)
"""What a rule's tags find (SISR 1.0 3.3): its own value, those of the rules it refers to."""


def utterance(network: Network, steps: tuple[Step, ...]) -> str:
    """The keys or words of a match."""
    return _between(network.mode).join(step.text for step in steps if step.kind == "token")


def _between(mode: Mode) -> str:
    return "" if mode == "dtmf" else " "


def interpretation_source(network: Network, steps: tuple[Step, ...]) -> str:
    """An ECMAScript expression whose value is the interpretation of the match.

    A rule without tags has the value of the last rule it refers to, else its text
    (SISR 1.0 3.2.2); a literal tag is a string (SISR 1.0 5).
    """
    if not any(step.kind == "tag" for step in steps):
        return json.dumps(utterance(network, steps))
    used = sorted({network.rules[s.text].grammar for s in steps if s.kind == "enter"})
    lines = ["(function(){var call$=[],in$=[];"]
    # The rules of one grammar share what its header declares (SISR 1.0 3.2.1).
    lines += [
        f"in$[{number}]=(function(){{{network.headers[number]}\n;"
        "return function(){return eval(arguments[0])}})();"
        for number in used
        if network.headers[number]
    ]
    for number, (rule, body) in enumerate(_applications(network, steps)):
        function = f"(function(){{{body}}})"
        grammar = network.rules[rule].grammar
        if network.headers[grammar]:
            function = f"in$[{grammar}]({json.dumps(function)})"
        lines.append(f"call$[{number}]={function};")
    lines.append("return call$[0]().value})()")
    return "".join(lines)


def _applications(network: Network, steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    """Each use of a rule in the match, in order of entering: the rule and its function's body."""
    bodies: list[tuple[str, str]] = []
    remaining = iter(steps)
    first = next(remaining)
    assert first.kind == "enter"
    _apply(network, first.text, remaining, bodies)
    return bodies


def _apply(
    network: Network, key: str, steps: Iterator[Step], bodies: list[tuple[str, str]]
) -> None:
    """Add the body for the rule ``key``, whose steps are next, and for those it refers to."""
    rule = network.rules[key]
    number = len(bodies)
    bodies.append((key, ""))
    lines = [_RULE]
    if rule.tag_format == "draft":
        lines.append("var $=out,first$=out;")
    space = json.dumps(_between(network.mode))
    tagged = referred = False
    while (step := next(steps)).kind != "leave":
        match step.kind:
            case "token":
                lines.append(f"text$+=(text$&&{space})+{json.dumps(step.text)};")
            case "tag":
                tagged = True
                literal = rule.tag_format == "literals"
                lines.append(f"out={json.dumps(step.text)};" if literal else f"{step.text}\n;")
            case _:
                referred = True
                name = json.dumps(network.rules[step.text].name)
                lines.append(f"latest$=call$[{len(bodies)}]();rules[{name}]=latest$.value;")
                lines.append(f"meta[{name}]={{text:latest$.text,score:1}};")
                lines.append(f"if(latest$.text)text$+=(text$&&{space})+latest$.text;")
                _apply(network, step.text, steps, bodies)
    if tagged and rule.tag_format == "draft":
        lines.append("if($!==first$)out=$;")
    value = "out" if tagged else ("latest$.value" if referred else "text$")
    lines.append(f"return {{value:{value},text:text$}};")
    bodies[number] = (key, "".join(lines))
