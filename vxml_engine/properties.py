"""Properties (VoiceXML 2.0 6.3): defaults of the platform, times, truth values."""

import re
from collections.abc import Mapping
from typing import Final

from vxml_engine.errors import ThrownEvent

PLATFORM_DEFAULTS: Final[Mapping[str, str]] = {
    "audiofetchhint": "prefetch",
    "bargein": "true",
    "bargeintype": "speech",
    "completetimeout": "1s",
    "confidencelevel": "0.5",
    "datafetchhint": "prefetch",
    "documentfetchhint": "safe",
    "fetchaudiodelay": "2s",
    "fetchaudiominimum": "5s",
    "fetchtimeout": "10s",
    "grammarfetchhint": "prefetch",
    "incompletetimeout": "1s",
    "inputmodes": "dtmf voice",
    "maxnbest": "1",
    "maxspeechtimeout": "60s",
    "scriptfetchhint": "prefetch",
    "sensitivity": "0.5",
    "speedvsaccuracy": "0.5",
    "universals": "none",
    "interdigittimeout": "5s",
    "termchar": "#",
    "termtimeout": "0s",
    "timeout": "7s",
    "connecttimeout": "30s",
}
"""What holds where neither the document nor the platform's operator says otherwise.

``connecttimeout`` is ours: how long a transfer rings when it does not say itself.
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


def level_property(name: str, text: str) -> float:
    """A number from 0 to 1; raises ``error.semantic`` when ``text`` is not one."""
    if not re.fullmatch(r"\s*(0?\.\d+|[01](\.\d*)?)\s*", text) or not 0 <= float(text) <= 1:
        raise ThrownEvent(
            "error.semantic", f"property {name}: '{text}' is not a number from 0 to 1"
        )
    return float(text)


def whole_property(name: str, text: str) -> int:
    """A whole number from 0; raises ``error.semantic`` when ``text`` is not one."""
    if not re.fullmatch(r"\s*\d{1,9}\s*", text):
        raise ThrownEvent("error.semantic", f"property {name}: '{text}' is not a whole number")
    return int(text)


def time_property(name: str, text: str) -> float:
    """Seconds; raises ``error.semantic`` when ``text`` is not a time designation."""
    seconds = parse_time(text)
    if seconds is None:
        raise ThrownEvent(
            "error.semantic", f"property {name}: '{text}' is not a time; write 500ms or 2s"
        )
    return seconds
