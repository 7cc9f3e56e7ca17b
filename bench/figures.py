"""Measured figures: the table on the screen and `bench/out/NAME.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

OUT = Path(__file__).resolve().parent / "out"


@dataclass(frozen=True)
class Figure:
    """One measured value; ``goal`` says what it should be, ``holds`` whether it is.

    Without a goal there is nothing to hold, and ``holds`` is None.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    holds: bool | None = None


def at_most(name: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that must not be above ``goal``."""
    return Figure(name, value, unit, f"at most {goal:g}", value <= goal)


def at_least(name: str, value: float, unit: str, goal: float) -> Figure:
    """A figure that must not be below ``goal``."""
    return Figure(name, value, unit, f"at least {goal:g}", value >= goal)


def report(name: str, figures: Sequence[Figure]) -> int:
    """Print the table and write it as JSON; returns 0 where every goal holds, else 1."""
    print(f"\n{'figure':<52}{'value':>11}  {'unit':<19}{'goal':<14}")
    for one in figures:
        verdict = {True: "holds", False: "MISSED", None: ""}[one.holds]
        print(f"{one.name:<52}{one.value:>11.4g}  {one.unit:<19}{one.goal:<14}{verdict}")
    OUT.mkdir(exist_ok=True)
    file = OUT / f"{name}.json"
    file.write_text(json.dumps({"figures": [asdict(one) for one in figures]}, indent=2) + "\n")
    print(f"\nwritten to {file}")
    return 0 if all(one.holds is not False for one in figures) else 1
