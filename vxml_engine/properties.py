"""Properties (VoiceXML 2.0 6.3): defaults of the platform, times, truth values."""

import re
from collections.abc import Mapping
from typing import Final

from vxml_engine.errors import ThrownEvent

PLATFORM_DEFAULTS: Final[Mapping[str, str]] = {
    "bargein": "true",
    "confidencelevel": "0.5",
    "fetchtimeout": "10s",
    "inputmodes": "dtmf",
    "interdigittimeout": "5s",
    "termchar": "#",
    "termtimeout": "0s",
    "timeout": "7s",
    "connecttimeout": "30s",
}
"""What holds where neither the document nor the platform's operator says otherwise.

``connecttimeout`` is ours: how long a transfer rings when it does not say itself.  Recognition
of speech is not part of the platform, so ``inputmodes`` is ``dtmf``.
"""

KNOWN: Final = frozenset(PLATFORM_DEFAULTS) | {
    "audiofetchhint",
    "audiomaxage",
    "audiomaxstale",
    "bargeintype",
    "completetimeout",
    "datafetchhint",
    "datamaxage",
    "datamaxstale",
    "documentfetchhint",
    "documentmaxage",
    "documentmaxstale",
    "fetchaudio",
    "fetchaudiodelay",
    "fetchaudiominimum",
    "grammarfetchhint",
    "grammarmaxage",
    "grammarmaxstale",
    "incompletetimeout",
    "maxnbest",
    "maxspeechtimeout",
    "objectfetchhint",
    "objectmaxage",
    "objectmaxstale",
    "recordutterance",
    "recordutterancetype",
    "scriptfetchhint",
    "scriptmaxage",
    "scriptmaxstale",
    "sensitivity",
    "speedvsaccuracy",
    "universals",
}
"""The names of VoiceXML 2.1's properties (and ours)."""

_TIME: Final = re.compile(r"\+?(\d*\.?\d+|\d+\.)(ms|s)")


def parse_time(text: str) -> float | None:
    """Seconds of a time designation (``500ms``, ``1.5s``); None when it is not one."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[1]) / (1000 if match[2] == "ms" else 1)


def time_property(name: str, text: str) -> float:
    """Seconds; raises ``error.semantic`` when ``text`` is not a time designation."""
    seconds = parse_time(text)
    if seconds is None:
        raise ThrownEvent(
            "error.semantic", f"property {name}: '{text}' is not a time; write 500ms or 2s"
        )
    return seconds
