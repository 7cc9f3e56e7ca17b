"""The builtin grammars for keys (VoiceXML 2.0 appendix P): ``digits`` and ``boolean``."""

from functools import lru_cache
from urllib.parse import parse_qsl

from vxml_engine.errors import GrammarError
from vxml_engine.grammar.network import End, Fork, Key, Network, NetworkBuilder, Tag
from vxml_engine.limits import KEYS_MAX

BUILTIN_TYPES = ("boolean", "digits")
KEYS = "0123456789*#ABCD"


@lru_cache(maxsize=256)
def builtin(reference: str) -> Network:
    """The network for ``digits?minlength=3;maxlength=5`` and the like.

    Raises ``GrammarError`` for an unknown type or parameter, or contradicting lengths.
    """
    name, _, query = reference.partition("?")
    parameters = dict(parse_qsl(query.replace(";", "&"), keep_blank_values=True))
    match name:
        case "digits":
            return _digits(parameters)
        case "boolean":
            return _boolean(parameters)
        case _:
            raise GrammarError(
                f"builtin type '{name}' has no grammar for keys here; known: "
                + ", ".join(BUILTIN_TYPES)
            )


def _length(parameters: dict[str, str], name: str) -> int | None:
    value = parameters.pop(name, None)
    if value is None:
        return None
    if not value.isdecimal() or not 0 < int(value) <= KEYS_MAX:
        raise GrammarError(f"digits: {name}={value!r} is not a number from 1 to {KEYS_MAX}")
    return int(value)


def _digits(parameters: dict[str, str]) -> Network:
    length = _length(parameters, "length")
    minimum = _length(parameters, "minlength")
    maximum = _length(parameters, "maxlength")
    if parameters:
        raise GrammarError(f"digits: unknown parameter {', '.join(sorted(parameters))}")
    if length is not None:
        if not (minimum or length) <= length <= (maximum or length):
            raise GrammarError(f"digits: length={length} contradicts minlength or maxlength")
        minimum = maximum = length
    minimum = minimum or 1
    if maximum is not None and maximum < minimum:
        raise GrammarError(f"digits: maxlength={maximum} is less than minlength={minimum}")
    builder = NetworkBuilder()

    def any_digit(following: int) -> int:
        return builder.add(Fork(tuple(builder.add(Key(d, following)) for d in "0123456789")))

    node = builder.add(End())
    if maximum is None:
        loop = builder.add(Fork(()))
        builder.replace(loop, Fork((any_digit(loop), node)))
        node = loop
    else:
        end = node
        for _ in range(maximum - minimum):
            node = builder.add(Fork((any_digit(node), end)))
    for _ in range(minimum):
        node = any_digit(node)
    builder.rules["digits"] = node
    return builder.network("digits", "script")


def _boolean(parameters: dict[str, str]) -> Network:
    yes = parameters.pop("y", "1")
    no = parameters.pop("n", "2")
    if parameters:
        raise GrammarError(f"boolean: unknown parameter {', '.join(sorted(parameters))}")
    if yes not in KEYS or no not in KEYS or len(yes) != 1 or len(no) != 1 or yes == no:
        raise GrammarError(f"boolean: y={yes!r} and n={no!r} must be two different keys")
    builder = NetworkBuilder()
    end = builder.add(End())
    branches = [
        builder.add(Key(key, builder.add(Tag(f"out={value}", end))))
        for key, value in ((yes, "true"), (no, "false"))
    ]
    builder.rules["boolean"] = builder.add(Fork(tuple(branches)))
    return builder.network("boolean", "script")
