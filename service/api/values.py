"""A parameter's text to its value, or a refusal that says what would be right."""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from service.api.definition import Kind, Method, Parameter
from service.api.limits import SHOWN_CHARS_MAX, VALUE_CHARS_MAX
from service.errors import Refused, Status
from service.numbers import normalise

# In a query, the + of +01:00 means a space: a client that forgot to encode it is understood.
_lost_plus = re.compile(r"(T[0-9:.]+) ([0-9]{2}:?[0-9]{2})$")
_conf_id = re.compile(r"[0-9a-f]{6}")
_call_id = re.compile(r"[0-9a-f]{16}")


def take(method: Method, given: Mapping[str, str | bytes]) -> dict[str, Any]:
    """The values of a method's parameters, defaults filled in.

    `given` is text by name; bytes for what was sent as a file. Empty text counts as not
    given. Raises `Refused` for an unknown, missing or unusable parameter.
    """
    known = method.by_name
    for name in given:
        if name not in known:
            raise Refused(
                Status.BAD_VALUE,
                f"{method.full_name} has no parameter {shown(name)}",
                field=name[:SHOWN_CHARS_MAX],
                hint=closest(name, known),
            )
    values: dict[str, Any] = {}
    for parameter in method.parameters:
        raw = given.get(parameter.name) or None
        if raw is None:
            if parameter.required:
                raise Refused(
                    Status.CONTENT_MISSING,
                    f"the parameter {parameter.name} is missing",
                    field=parameter.name,
                    hint=f"{expected(parameter)}, such as {parameter.example}",
                )
            values[parameter.name] = parameter.default
        else:
            values[parameter.name] = _value(parameter, raw)
    return values


def closest(name: str, known: Iterable[str]) -> str:
    """A hint towards the known name that is meant, or towards all."""
    names = list(known)
    close = difflib.get_close_matches(name[:SHOWN_CHARS_MAX], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names)}" if names else "it has none"


def shown(text: str) -> str:
    """A value as a refusal repeats it, cut."""
    return repr(text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…")


def expected(parameter: Parameter) -> str:
    """What a value of the parameter looks like, for hints and the reference."""
    least, most = parameter.least, parameter.most
    match parameter.kind:
        case Kind.TEXT:
            return f"text of {least or 1} to {most} characters"
        case Kind.INTEGER:
            return f"a whole number from {least} to {most}"
        case Kind.CHOICE:
            listed = " or ".join(f"`{choice}`" for choice in parameter.choices)
            return f"one of {listed}" if len(parameter.choices) > 1 else listed
        case Kind.TIME:
            return "an ISO 8601 time with its offset"
        case Kind.DIGITS:
            return f"{least} to {most} digits"
        case Kind.NUMBER:
            return "a telephone number in international digits"
        case Kind.DESTINATION:
            return "a number, a `sip:` URI or `conf:ID`"
        case Kind.CONF_ID:
            return "six hexadecimal digits"
        case Kind.CALL_ID:
            return "sixteen hexadecimal digits"
        case Kind.SOURCE:
            return "a VoiceXML document, as text or as an uploaded file"


def _value(parameter: Parameter, raw: str | bytes) -> Any:
    if parameter.kind is Kind.SOURCE:
        return raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
    if isinstance(raw, bytes):
        raise _refused(parameter, "a file", parameter.bad)
    text = raw.strip()
    if len(text) > VALUE_CHARS_MAX or not text.isprintable():
        raise _refused(parameter, shown(text), parameter.bad)
    match parameter.kind:
        case Kind.INTEGER:
            return _integer(parameter, text)
        case Kind.TIME:
            return _time(parameter, text)
        case Kind.NUMBER:
            return normalise(text, field=parameter.name)
        case Kind.CONF_ID:
            text = text.lower().removeprefix("conf:")
            fits = _conf_id.fullmatch(text) is not None
        case Kind.CALL_ID:
            fits = _call_id.fullmatch(text) is not None
        case Kind.CHOICE:
            fits = text in parameter.choices
        case Kind.DIGITS:
            fits = text.isascii() and text.isdigit()
            fits = fits and parameter.least <= len(text) <= parameter.most
        case Kind.TEXT:
            fits = parameter.least <= len(text) <= parameter.most
        case _:
            fits = True  # a destination is read by routing, which knows what each one is
    if not fits:
        raise _refused(parameter, shown(text), parameter.bad)
    return text


def _integer(parameter: Parameter, text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise _refused(parameter, shown(text), parameter.bad)
    value = int(text)
    if value > parameter.most:
        raise _refused(parameter, text, parameter.over)
    if value < parameter.least:
        raise _refused(parameter, text, parameter.bad)
    return value


def _time(parameter: Parameter, text: str) -> datetime:
    text = _lost_plus.sub(r"\1+\2", text)
    try:
        value = datetime.fromisoformat(text)
        aware = value.astimezone(UTC) if value.tzinfo is not None else None
    except (ValueError, OverflowError):
        raise _refused(parameter, shown(text), parameter.bad) from None
    if aware is None:
        raise _refused(
            parameter, f"{shown(text)}, which has no offset (Z or +01:00)", parameter.bad
        )
    return aware


def _refused(parameter: Parameter, what: str, status: Status) -> Refused:
    return Refused(
        status,
        f"the parameter {parameter.name} is {what}",
        field=parameter.name,
        hint=f"{expected(parameter)}, such as {parameter.example}",
    )
