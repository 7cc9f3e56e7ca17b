"""What the values of SSML's prosody and break come to, as numbers (SSML 1.0 2.2.3, 2.2.4).

A factor tells how a value differs from the voice's own: 1.0 is the voice itself. A value
that SSML does not know gives None.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

VOICE_HZ: Final = 101.0
"""What the engine's voices have as mean pitch of a sentence, measured."""

HIGH_VOICE_HZ: Final = 195.0
"""The same of its women and children."""

RANGE_HZ: Final = 80.0
"""How far the pitch of a sentence goes, from its lowest to its highest."""

PITCH_FACTORS: Final = (0.72, 1.66)
RATE_FACTORS: Final = (0.46, 2.57)
VOLUMES_MAX: Final = 165.0
RANGE_FACTORS: Final = (0.0, 1.98)

STRENGTHS: Final = frozenset({"none", "x-weak", "weak", "medium", "strong", "x-strong"})
LEVELS: Final = frozenset({"strong", "moderate", "none", "reduced"})

_PITCHES = {"x-low": 0.72, "low": 0.8, "medium": 1.0, "high": 1.25, "x-high": 1.6, "default": 1.0}
_RANGES = {"x-low": 0.2, "low": 0.6, "medium": 1.0, "high": 1.4, "x-high": 1.9, "default": 1.0}
_RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "fast": 1.25, "x-fast": 1.6, "default": 1.0}
_VOLUMES = {
    "silent": 0.0,
    "x-soft": 30.0,
    "soft": 60.0,
    "medium": 100.0,
    "loud": 130.0,
    "x-loud": 165.0,
    "default": 100.0,
}
_VALUE = re.compile(
    r"([+-]?)([0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})(%|st|hz|db)?", re.IGNORECASE
)
_TIME = re.compile(r"\+?([0-9]{1,9}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})(ms|s)")
_POINT = re.compile(r"\(\s*([0-9.]{1,8})%\s*,\s*([^\s,()]{1,16})\s*\)")


@dataclass(frozen=True)
class _Value:
    """A number with its sign (-1, 0 for none, 1) and its unit in lower case."""

    sign: int
    size: float
    unit: str

    @property
    def signed(self) -> float:
        return -self.size if self.sign < 0 else self.size


def _value(text: str) -> _Value | None:
    match = _VALUE.fullmatch(text)
    if match is None:
        return None
    sign = {"+": 1, "-": -1}.get(match[1], 0)
    return _Value(sign, float(match[2]), (match[3] or "").lower())


def _within(number: float, bounds: tuple[float, float]) -> float:
    return min(max(number, bounds[0]), bounds[1])


def _share(value: _Value) -> float:
    """A percentage as a multiplier: ``+50%`` 1.5, ``-50%`` 0.5; without a sign, itself."""
    return 1 + value.signed / 100 if value.sign else value.size / 100


def time_ms(text: str) -> int | None:
    """A CSS2 time (``500ms``, ``1.5s``) in milliseconds."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    return round(float(match[1]) * (1000 if match[2] == "s" else 1))


def rate(text: str, around: float) -> float | None:
    """The factor of a rate: a label, a multiplier of the voice's rate, or a relative change."""
    if text in _RATES:
        return _RATES[text]
    value = _value(text)
    if value is None or value.unit not in ("", "%"):
        return None
    if value.unit == "%":
        factor = around * _share(value)
    else:
        factor = around * (1 + value.signed) if value.sign else value.size
    return _within(factor, RATE_FACTORS)


def _tone(text: str, around: float, hz: float, labels: dict[str, float]) -> float | None:
    if text in labels:
        return labels[text]
    value = _value(text)
    if value is None:
        return None
    match value.unit:
        case "%":
            return around * _share(value)
        case "st":
            return around * math.pow(2, _within(value.signed / 12, (-8, 8)))
        case "" | "hz":
            return around + value.signed / hz if value.sign else value.size / hz
    return None


def pitch(text: str, around: float, voice_hz: float) -> float | None:
    """The factor of a pitch: a label, hertz, or a change in %, semitones (st) or hertz."""
    factor = _tone(text, around, voice_hz, _PITCHES)
    return None if factor is None else _within(factor, PITCH_FACTORS)


def pitch_range(text: str, around: float) -> float | None:
    """The factor of a range, written as a pitch is."""
    factor = _tone(text, around, RANGE_HZ, _RANGES)
    return None if factor is None else _within(factor, RANGE_FACTORS)


def volume(text: str, around: float) -> float | None:
    """A volume, 100 being the voice's: a label, 0 to 100, or a change (``+10``, %, dB)."""
    if text in _VOLUMES:
        return _VOLUMES[text]
    value = _value(text)
    if value is None:
        return None
    match value.unit:
        case "%":
            loud = around * _share(value)
        case "db":
            loud = around * math.pow(10, _within(value.signed / 20, (-5, 5)))
        case "" if value.sign:
            loud = around + value.signed
        case "" if value.size <= 100:
            loud = value.size
        case _:
            return None
    return _within(loud, (0.0, VOLUMES_MAX))


def contour(text: str, around: float, voice_hz: float) -> list[tuple[float, float]] | None:
    """Points of a contour, ascending: place (0 to 1) and factor of pitch there."""
    points: list[tuple[float, float]] = []
    for place, tone in _POINT.findall(text):
        factor = pitch(tone, around, voice_hz)
        try:
            points.append((float(place) / 100, factor if factor is not None else math.nan))
        except ValueError:
            return None
    rest = _POINT.sub("", text).strip()
    if rest or not points or any(math.isnan(factor) for _, factor in points):
        return None
    return sorted(points)


def at(points: list[tuple[float, float]], place: float) -> float:
    """The factor at ``place``, on straight lines between the points."""
    before = points[0]
    for point in points:
        if point[0] >= place:
            span = point[0] - before[0]
            if span <= 0:
                return point[1]
            return before[1] + (point[1] - before[1]) * (place - before[0]) / span
        before = point
    return before[1]


def tone_units(factor: float) -> int:
    """A pitch factor on the engine's scale, as measured: 50 is the voice, an octave up or down
    would be 70 or 84 units."""
    octaves = math.log2(factor)
    return min(99, max(1, round(50 + (70 if octaves > 0 else 84) * octaves)))


def range_units(factor: float) -> int:
    """A range factor on the engine's scale: 50 is the voice."""
    return min(99, max(0, round(50 * factor)))


def volume_units(loud: float) -> int:
    """A volume on the engine's scale, which above 100 grows slower than what is heard."""
    return round(loud if loud <= 100 else 100 + (loud - 100) * 1.6)
