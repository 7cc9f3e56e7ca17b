"""Metrics in the Prometheus text format (version 0.0.4), and the state of each part.

A `Registry` holds metrics that are counted here (`counter`, `histogram`) and metrics
that are read when somebody asks (`watch`): a part of the service keeps its own numbers
and tells them. Every metric has a help text; `describe` lists them all.

Not thread-safe: written and read on the service's event loop.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Label values beyond this many for one metric are counted together as "other".
SERIES_MAX = 1_000

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]
Reading = float | Mapping[Labels, float]

_name = re.compile(r"voicemashup_[a-z0-9_]+")
_label = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Health:
    """The state of one part: whether it works, and what can be said about it."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Description:
    """What a metric is called and means."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]


class _Metric(Protocol):
    @property
    def description(self) -> Description: ...

    def samples(self) -> Iterator[str]: ...


class Counter:
    """A number that only grows, one for each combination of label values."""

    def __init__(self, description: Description) -> None:
        self.description = description
        self._values: dict[Labels, float] = {} if description.labels else {(): 0.0}

    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count `amount`, 0 or more, for these label values."""
        if amount < 0:
            raise ValueError(f"{self.description.name} only grows: {amount}")
        key = _key(self.description, labels, self._values)
        self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> Iterator[str]:
        """The lines of the exposition."""
        for labels, value in sorted(self._values.items()):
            yield _sample(self.description, labels, value)


class Histogram:
    """How often a value was at most each of the bounds."""

    def __init__(self, description: Description, bounds: tuple[float, ...]) -> None:
        if list(bounds) != sorted(set(bounds)) or not bounds:
            raise ValueError(f"{description.name}: bounds must rise: {bounds}")
        self.description = description
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, **labels: str) -> None:
        """Count one value for these label values."""
        key = _key(self.description, labels, self._counts)
        counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def samples(self) -> Iterator[str]:
        """The lines of the exposition: cumulative buckets, sum, count."""
        for labels, counts in sorted(self._counts.items()):
            seen = 0
            for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
                seen += count
                yield _sample(self.description, labels, seen, "_bucket", _number(bound))
            yield _sample(self.description, labels, self._sums[labels], "_sum")
            yield _sample(self.description, labels, seen, "_count")


class _Watched:
    """A number that somebody else keeps."""

    def __init__(self, description: Description, read: Callable[[], Reading]) -> None:
        self.description = description
        self._read = read

    def samples(self) -> Iterator[str]:
        reading = self._read()
        values = reading if isinstance(reading, Mapping) else {(): reading}
        for labels, value in sorted(values.items())[:SERIES_MAX]:
            yield _sample(self.description, labels, value)


class Registry:
    """All metrics of the service."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}

    def counter(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> Counter:
        """Add a counter; its name ends in `_total`."""
        counter = Counter(_described(name, "counter", help_text, labels))
        self._add(counter)
        return counter

    def histogram(
        self, name: str, help_text: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        """Add a histogram with these upper bounds."""
        histogram = Histogram(_described(name, "histogram", help_text, labels), bounds)
        self._add(histogram)
        return histogram

    def watch(
        self,
        name: str,
        kind: Literal["counter", "gauge"],
        help_text: str,
        read: Callable[[], Reading],
        labels: tuple[str, ...] = (),
    ) -> None:
        """Add a metric that `read` tells: a number, or one for each tuple of label values."""
        self._add(_Watched(_described(name, kind, help_text, labels), read))

    def describe(self) -> list[Description]:
        """Every metric's description, by name."""
        return [metric.description for _, metric in sorted(self._metrics.items())]

    def render(self) -> str:
        """The whole exposition."""
        lines: list[str] = []
        for name, metric in sorted(self._metrics.items()):
            lines.append(f"# HELP {name} {_escape(metric.description.help)}")
            lines.append(f"# TYPE {name} {metric.description.kind}")
            lines.extend(metric.samples())
        return "\n".join(lines) + "\n"

    def _add(self, metric: _Metric) -> None:
        name = metric.description.name
        if name in self._metrics:
            raise ValueError(f"there is a metric {name} already")
        self._metrics[name] = metric


def _described(name: str, kind: Kind, help_text: str, labels: tuple[str, ...]) -> Description:
    if not _name.fullmatch(name) or (kind == "counter") != name.endswith("_total"):
        raise ValueError(f"not the name of a {kind}: {name!r}; voicemashup_..., counters ..._total")
    if not help_text or not all(_label.fullmatch(label) for label in labels):
        raise ValueError(f"{name} needs a help text and plain labels: {labels}")
    return Description(name, kind, help_text, labels)


def _key(description: Description, given: dict[str, str], known: Mapping[Labels, object]) -> Labels:
    if set(given) != set(description.labels):
        raise ValueError(f"{description.name} has labels {description.labels}, not {tuple(given)}")
    key = tuple(given[label] for label in description.labels)
    if key in known or len(known) < SERIES_MAX:
        return key
    return ("other",) * len(key)


def _sample(
    description: Description, labels: Labels, value: float, suffix: str = "", bound: str = ""
) -> str:
    pairs = [
        f'{name}="{_escape(label, quotes=True)}"'
        for name, label in zip(description.labels, labels, strict=True)
    ]
    if bound:
        pairs.append(f'le="{bound}"')
    shown = "{" + ",".join(pairs) + "}" if pairs else ""
    return f"{description.name}{suffix}{shown} {_number(value)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escape(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
