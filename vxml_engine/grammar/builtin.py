"""The builtin types (VoiceXML 2.0 appendix P): grammars for keys and, in English, for speech."""

from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from vxml_engine.errors import GrammarError
from vxml_engine.grammar.abnf import parse_abnf
from vxml_engine.grammar.builtin_rules import DTMF_RULES, VOICE_RULES
from vxml_engine.grammar.network import KEYS, Mode, Network
from vxml_engine.grammar.srgs_xml import compile_srgs
from vxml_engine.limits import KEYS_MAX

BUILTIN_TYPES: Final = ("boolean", "currency", "date", "digits", "number", "phone", "time")
BUILTIN_LANGUAGES: Final = ("en",)
"""The languages whose speech the builtin types know, without country."""


@lru_cache(maxsize=256)
def builtin(reference: str, mode: Mode = "dtmf") -> Network:
    """The network for ``digits?minlength=3;maxlength=5`` and the like.

    Raises ``GrammarError`` for an unknown type or parameter, or contradicting lengths.
    """
    name, _, query = reference.partition("?")
    parameters = dict(parse_qsl(query.replace(";", "&"), keep_blank_values=True))
    if name not in BUILTIN_TYPES:
        raise GrammarError(
            f"there is no builtin type '{name}'; there are: " + ", ".join(BUILTIN_TYPES)
        )
    rules = (DTMF_RULES if mode == "dtmf" else VOICE_RULES)[name]
    if name == "digits":
        rules = rules.replace("TIMES", _length(parameters))
    elif name == "boolean":
        rules = _answers(rules, parameters)
    if parameters:
        raise GrammarError(f"{name}: unknown parameter {', '.join(sorted(parameters))}")
    header = f"#ABNF 1.0; mode {mode}; root ${name}; tag-format <semantics/1.0>;"
    return compile_srgs(parse_abnf(header + rules))


def _number(parameters: dict[str, str], name: str) -> int | None:
    value = parameters.pop(name, None)
    if value is None:
        return None
    if not value.isdecimal() or not 0 < int(value) <= KEYS_MAX:
        raise GrammarError(f"digits: {name}={value!r} is not a number from 1 to {KEYS_MAX}")
    return int(value)


def _length(parameters: dict[str, str]) -> str:
    """How many digits there are, as a repeat is written."""
    length = _number(parameters, "length")
    minimum = _number(parameters, "minlength")
    maximum = _number(parameters, "maxlength")
    if length is not None:
        if not (minimum or length) <= length <= (maximum or length):
            raise GrammarError(f"digits: length={length} contradicts minlength or maxlength")
        minimum = maximum = length
    minimum = minimum or 1
    if maximum is not None and maximum < minimum:
        raise GrammarError(f"digits: maxlength={maximum} is less than minlength={minimum}")
    return f"<{minimum}-{maximum or ''}>"


def _answers(rules: str, parameters: dict[str, str]) -> str:
    """The keys for yes and no."""
    yes = parameters.pop("y", "1")
    no = parameters.pop("n", "2")
    if yes not in KEYS or no not in KEYS or len(yes) != 1 or len(no) != 1 or yes == no:
        raise GrammarError(f"boolean: y={yes!r} and n={no!r} must be two different keys")
    return rules.replace("YES", yes).replace("NO", no)
