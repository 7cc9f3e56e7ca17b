"""Semantic interpretation of a match (SISR 1.0): literals, and tags as ECMAScript.

A match with scripts in it is turned into one ECMAScript expression, which the session evaluates
under its own limits.
"""

import json

from vxml_engine.grammar.network import Network, Step


def utterance(steps: tuple[Step, ...]) -> str:
    """The keys of a match."""
    return "".join(step.text for step in steps if step.kind == "key")


def interpretation_source(network: Network, steps: tuple[Step, ...]) -> str:
    """An ECMAScript expression whose value is the interpretation of the match.

    A rule without tags has the value of the last rule it refers to, else its text
    (SISR 1.0 3.2.2); a literal tag is a string (SISR 1.0 5).
    """
    if not any(step.kind == "tag" for step in steps):
        return json.dumps(utterance(steps))
    if network.tag_format == "literals":
        return json.dumps(next(s.text for s in reversed(steps) if s.kind == "tag"))
    body = _rule_body(list(reversed(steps)))
    return f"(function(){{{body}}})().value"


def _rule_body(steps: list[Step]) -> str:
    """The body of the function for the rule that the last of ``steps`` (a stack) enters."""
    steps.pop()
    lines = [
        "var out={},latest$,text$='',rules={latest:function(){return latest$}},"
        "meta={current:function(){return {text:text$}}};"
    ]
    tagged = referred = False
    while (step := steps.pop()).kind != "leave":
        match step.kind:
            case "key":
                lines.append(f"text$+={json.dumps(step.text)};")
            case "tag":
                tagged = True
                lines.append(f"{step.text}\n;")
            case _:
                referred = True
                steps.append(step)
                name = json.dumps(step.text)
                lines.append(f"var rule$=(function(){{{_rule_body(steps)}}})();")
                lines.append(f"latest$=rules[{name}]=rule$.value;text$+=rule$.text;")
    value = "out" if tagged else ("latest$" if referred else "text$")
    lines.append(f"return {{value:{value},text:text$}};")
    return "".join(lines)
