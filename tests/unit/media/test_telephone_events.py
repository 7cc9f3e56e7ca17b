"""Keys as telephone events, both ways (RFC 4733)."""

import pytest

from media.dtmf import DIGITS, event_payload
from media.errors import BadRequest
from media.limits import DIGITS_QUEUED_MAX
from media.messages import Answer, DigitReceived

from .conftest import Party, Rig


def press(rig: Rig, anne: Party, code: int, *, skip: set[int] = frozenset()) -> list[Answer]:  # type: ignore[assignment]
    """Press a key as phones do: five updates, the end three times, all of one timestamp."""
    at, events = anne.timestamp, []
    for step in range(8):
        end = step >= 5
        payload = event_payload(code, 160 * min(step + 1, 6), end=end)
        if step not in skip:
            anne.send(anne.rtp(payload, payload_type=101, timestamp=at, marker=step == 0))
        anne.sequence += 1
        events += rig.tick()
    anne.timestamp += 8 * 160
    return events


def digits(events: list[Answer]) -> str:
    return "".join(one.digit for one in events if isinstance(one, DigitReceived))


def test_each_key_is_told_once(rig: Rig) -> None:
    anne = rig.open("anne")
    assert "".join(digits(press(rig, anne, code)) for code in range(16)) == DIGITS


def test_a_key_is_told_at_its_first_packet(rig: Rig) -> None:
    anne = rig.open("anne")
    anne.send(anne.rtp(event_payload(5, 160, end=False), payload_type=101, marker=True))
    assert digits(rig.tick()) == "5"


@pytest.mark.parametrize("skip", [{0, 1, 2}, {5, 6, 7}, {0, 1, 2, 3, 4, 5, 6}, {1, 3, 6}])
def test_lost_packets_lose_no_key_and_double_none(rig: Rig, skip: set[int]) -> None:
    anne = rig.open("anne")
    assert digits(press(rig, anne, 7, skip=skip) + press(rig, anne, 7, skip=skip)) == "77"


def test_a_long_key_is_one_key(rig: Rig) -> None:
    anne = rig.open("anne")
    events = []
    for step in range(150):  # 3 s
        payload = event_payload(1, min(160 * (step + 1), 0xFFFF), end=False)
        anne.send(anne.rtp(payload, payload_type=101))
        anne.sequence += 1
        events += rig.tick()
    assert digits(events) == "1"


def test_events_beyond_the_keys_and_broken_ones_are_no_keys(rig: Rig) -> None:
    anne = rig.open("anne")
    assert digits(press(rig, anne, 16)) == ""  # hook flash
    anne.send(anne.rtp(b"\x05\x00", payload_type=101))
    assert rig.tick() == []
    assert rig.plane.statistics_of("anne").discarded == 1


def test_without_negotiation_events_are_nothing(rig: Rig) -> None:
    anne = rig.open("anne", event_type=None)
    assert digits(press(rig, anne, 3)) == ""
    assert rig.plane.statistics_of("anne").discarded == 8


def test_digits_are_sent_as_the_clause_says(rig: Rig) -> None:
    anne = rig.open("anne")
    rig.tick(3)
    anne.packets()
    rig.press("anne", "4#")
    rig.tick(30)
    packets = anne.packets()
    events = [one for one in packets if one.payload_type == 101]
    assert [one.payload[0] for one in events] == [4] * 7 + [11] * 7
    first = events[:7]
    assert [one.marker for one in first] == [True] + [False] * 6
    assert {one.timestamp for one in first} == {first[0].timestamp}
    assert [bool(one.payload[1] & 0x80) for one in first] == [False] * 4 + [True] * 3
    durations = [int.from_bytes(one.payload[2:4], "big") for one in first]
    assert durations == [160, 320, 480, 640, 800, 800, 800]
    # One row of sequence numbers for audio and events (RFC 4733 2.1).
    assert [(one.sequence - packets[0].sequence) & 0xFFFF for one in packets] == list(range(30))
    gap = events[7].timestamp - first[0].timestamp
    assert gap >= 8 * (100 + 40)


def test_keys_sent_by_one_plane_are_heard_by_another_in_row(rig: Rig) -> None:
    """Our own digits, looped back into another leg."""
    anne, bruno = rig.open("anne"), rig.open("bruno")
    rig.connect(anne, to=("127.0.0.1", bruno.to[1]))
    rig.press("anne", "0123456789*#ABCD")
    assert digits(rig.tick(16 * 13)) == "0123456789*#ABCD"


def test_too_many_or_no_digits_are_refused(rig: Rig) -> None:
    rig.open("anne")
    with pytest.raises(BadRequest, match="'x' is not a digit"):
        rig.press("anne", "12x")
    with pytest.raises(BadRequest, match="DIGITS_QUEUED_MAX"):
        rig.press("anne", "1" * (DIGITS_QUEUED_MAX + 1))
