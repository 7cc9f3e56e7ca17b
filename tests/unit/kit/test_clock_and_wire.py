"""The virtual clock and the bad wire."""

import pytest

from tests.kit.clock import VirtualClock
from tests.kit.wire import Faults, Wire


def test_actions_run_in_order_each_at_its_own_moment() -> None:
    clock = VirtualClock(now=10.0)
    seen: list[tuple[str, float]] = []
    clock.after(2.0, lambda: seen.append(("second", clock.now)))
    clock.after(1.0, lambda: seen.append(("first", clock())))
    clock.at(11.0, lambda: clock.after(0.5, lambda: seen.append(("added", clock.now))))
    clock.advance(3.0)
    assert seen == [("first", 11.0), ("added", 11.5), ("second", 12.0)]
    assert clock.now == 13.0


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="-1 s"):
        VirtualClock().advance(-1)


def through(wire: Wire) -> list[bytes]:
    for number in range(1000):
        wire.send(b"%d" % number, now=number * 0.02)
    return wire.arrivals(now=1e9)


def test_a_good_wire_brings_everything_in_order() -> None:
    assert through(Wire(seed=1)) == [b"%d" % number for number in range(1000)]


def test_a_bad_wire_loses_doubles_and_reorders_the_same_way_for_the_same_seed() -> None:
    faults = Faults(loss=0.1, duplicates=0.05, delay_s=0.05, jitter_s=0.06)
    wire = Wire(7, faults)
    came = through(wire)
    assert came == through(Wire(7, faults))
    assert came != through(Wire(8, faults))
    assert 60 < wire.lost < 140
    assert len(came) == 1000 - wire.lost + wire.doubled
    assert came != sorted(came, key=int)


def test_nothing_arrives_before_its_delay() -> None:
    wire = Wire(1, Faults(delay_s=0.5))
    wire.send(b"x", now=1.0)
    assert wire.arrivals(now=1.4) == []
    assert wire.next_arrival() == 1.5
    assert wire.arrivals(now=1.5) == [b"x"]
    assert wire.next_arrival() is None
