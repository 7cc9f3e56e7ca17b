"""Whose packets are taken, where packets go, and what legs and ports may be."""

import socket

import numpy as np
import pytest

from media.errors import BadRequest, BrokenMessage, LegExists, PortsExhausted, UnknownLeg
from media.limits import LEGS_MAX, MESSAGE_BYTES_MAX, PORTS_READY_MAX
from media.messages import (
    Close,
    FrameReader,
    LegClosed,
    LegInactive,
    Open,
    decode_answers,
    decode_commands,
    frame,
)
from media.plane import Plane
from media.ports import PortPool
from tests.kit import tones
from tests.kit.service_process import free_ports_in_a_row

from .conftest import FRAME, Party, Rig

QUIET = np.zeros(FRAME, np.int16)


def stranger(party: Party) -> Party:
    other = Party("stranger", party.to[1], "PCMU")
    other.ssrc = 666
    return other


def test_audio_goes_where_it_comes_from_behind_a_nat(rig: Rig) -> None:
    """What is signalled is a private address; the first packet tells the real one (RFC 4961)."""
    anne = rig.open("anne")
    rig.connect(anne, to=("127.0.0.1", 9))
    rig.tick(2)
    assert anne.packets() == []
    anne.say(QUIET)
    rig.tick(2)
    assert len(anne.packets()) == 2
    assert rig.plane.statistics_of("anne").remote_port == anne.address[1]


def test_a_stranger_cannot_take_over_a_leg_that_talks(rig: Rig) -> None:
    anne, bruno = rig.open("anne", "r"), rig.open("bruno", "r")
    thief = stranger(anne)
    rig.talk(10)
    for number in range(50):
        anne.say(QUIET)
        thief.say(tones.tone(700, 0.02, first_sample=number * FRAME))
        bruno.say(QUIET)
        rig.tick()
    assert thief.packets() == []
    assert tones.level_dbfs(bruno.hears(), 700) < -60
    assert rig.plane.statistics_of("anne").refused == 50
    thief.socket.close()


def test_a_phone_that_moved_is_found_again(rig: Rig) -> None:
    anne = rig.open("anne")
    rig.talk(10)
    moved = stranger(anne)
    moved.ssrc, moved.sequence, moved.timestamp = anne.ssrc, anne.sequence, anne.timestamp
    moved.say(QUIET)  # the same stream from another port: its NAT was rebound
    rig.tick(2)
    assert len(moved.packets()) == 2
    other = stranger(anne)
    rig.tick(101)  # two seconds of silence: another source may come in its place
    other.say(QUIET)
    rig.tick(2)
    assert len(other.packets()) == 2
    moved.socket.close()
    other.socket.close()


def test_without_latching_only_the_signalled_host_may_send(rig: Rig) -> None:
    anne = rig.open("anne", latch=False)
    rig.connect(anne, to=("127.0.0.2", anne.address[1]), latch=False)
    anne.say(QUIET)
    rig.tick()
    assert rig.plane.statistics_of("anne").refused == 1


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80",
        b"\x00" * 172,  # version 0
        b"\x80\x48" + b"\x01" * 170,  # payload type 72: RTCP on the RTP port
        b"\x80\x0d" + b"\x01" * 20,  # comfort noise that was not negotiated
        b"\x90\x00" + b"\x01" * 10 + b"\x00\x00\xff\xff",  # an extension longer than the packet
        b"\xa0\x00" + b"\x01" * 20 + b"\xff",  # padding longer than the packet
        b"\x8f\x00" + b"\x01" * 20,  # fifteen CSRCs that are not there
        b"\x80\x00" + b"\x01" * 10,  # no sound in it
        b"\x80\x00" + b"\x01" * 10 + b"\x55" * 1200,  # 150 ms in one packet
    ],
)
def test_what_is_no_audio_of_ours_is_counted_and_harmless(rig: Rig, datagram: bytes) -> None:
    anne = rig.open("anne")
    anne.send(datagram)
    rig.tick()
    assert rig.plane.statistics_of("anne").discarded == 1
    anne.say(QUIET)
    rig.tick()
    assert rig.plane.statistics_of("anne").packets_in == 1


def test_extensions_sources_and_padding_are_passed_over(rig: Rig) -> None:
    anne, bruno = rig.open("anne", "r"), rig.open("bruno", "r")
    for number in range(30):
        plain = anne.rtp(b"")
        sound = tones.tone(500, 0.02, first_sample=number * FRAME)
        from tests.kit import g711

        payload = g711.encode(sound, "PCMU")
        anne.send(
            bytes((plain[0] | 0x30 | 1,))
            + plain[1:]
            + b"\x00\x00\x00\x01"  # a contributing source
            + b"\xbe\xde\x00\x01\x10\x7f\x00\x00"  # a header extension
            + payload
            + b"\x00\x00\x03"
        )
        anne.pass_by()
        rig.tick()
    assert tones.level_dbfs(bruno.hears()[4 * FRAME :], 500) == pytest.approx(-16, abs=0.3)


def test_a_phone_that_has_gone_disturbs_nobody(rig: Rig) -> None:
    anne, bruno = rig.open("anne", "r"), rig.open("bruno", "r")
    rig.talk(5)
    anne.socket.close()  # its port answers with ICMP from now on
    del rig.parties["anne"]
    heard, _ = rig.talk(50, {"bruno": tones.tone(500, 1.0)})
    assert len(heard["bruno"]) == 50 * FRAME
    assert bruno.packets() == []


def test_silence_of_a_leg_is_told_once(rig: Rig) -> None:
    anne = rig.open("anne")
    rig.talk(10)
    events = rig.tick(250)
    told = [one for one in events if isinstance(one, LegInactive)]
    assert [one.leg_id for one in told] == ["anne"]
    assert told[0].silent_s == pytest.approx(2, abs=1)
    anne.say(QUIET)
    rig.tick(60)
    assert len([one for one in rig.tick(150) if isinstance(one, LegInactive)]) == 1


def test_a_closed_leg_tells_its_statistics_and_gives_its_port_back(rig: Rig) -> None:
    anne = rig.open("anne")
    rig.talk(20)
    rig.plane.apply(Close("anne"))
    (closed,) = [one for one in rig.tick() if isinstance(one, LegClosed)]
    assert (closed.statistics.packets_in, closed.statistics.packets_out) == (20, 20)
    assert rig.plane.leg_count == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", anne.to[1]))


def test_unknown_and_doubled_legs_are_refused_by_name(rig: Rig) -> None:
    rig.open("anne")
    with pytest.raises(LegExists, match="anne"):
        rig.plane.apply(Open("anne", rig.ready[0]))
    with pytest.raises(UnknownLeg, match="nobody"):
        rig.plane.apply(Close("nobody"))
    with pytest.raises(PortsExhausted, match="1234"):
        rig.plane.apply(Open("bruno", 1234))


def test_rtp_ports_are_even_with_rtcp_beside_and_bound_ahead() -> None:
    first = free_ports_in_a_row(12)
    pool = PortPool("127.0.0.1", range(first, first + 12))
    new = pool.fill()
    assert all(port % 2 == 0 for port in new)
    assert len(new) in (5, 6)  # a range that begins oddly loses a pair
    for port in new:
        pair = pool.take(port)
        assert pair is not None
        assert pair.rtcp.getsockname()[1] == port + 1
        pool.give_back(pair)
    assert pool.take(new[0]) is None  # given back, not ready again before it is bound
    assert sorted(pool.fill()) == sorted(new)
    pool.close()


def test_a_port_in_use_elsewhere_is_passed_over() -> None:
    first = free_ports_in_a_row(8)
    first += first % 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", first + 1))
        pool = PortPool("127.0.0.1", range(first, first + 4))
        assert pool.fill() == [first + 2]
        pool.close()


def test_limits_of_legs_and_ports() -> None:
    first = free_ports_in_a_row(4 * PORTS_READY_MAX)
    plane = Plane("127.0.0.1", range(first, first + 4 * PORTS_READY_MAX), 60.0)
    news = plane.fill_ports(0)
    assert news is not None
    assert len(news.ports) == PORTS_READY_MAX
    plane._free.clear()
    plane._table = np.zeros(LEGS_MAX, plane._table.dtype)
    with pytest.raises(BadRequest, match="LEGS_MAX"):
        plane.apply(Open("one too many", news.ports[0]))
    plane.close()


def test_messages_between_the_processes_survive_any_cut() -> None:
    commands = [Open("anne", 4000), Close("anne")]
    wire = frame(commands) * 3
    reader, found = FrameReader(), []
    for at in range(len(wire)):
        found += reader.feed(wire[at : at + 1])
    assert [decode_commands(one) for one in found] == [commands] * 3


def test_broken_messages_are_refused() -> None:
    with pytest.raises(BrokenMessage, match="MESSAGE_BYTES_MAX"):
        FrameReader().feed((MESSAGE_BYTES_MAX + 1).to_bytes(4, "big"))
    for decode in (decode_commands, decode_answers):
        with pytest.raises(BrokenMessage):
            decode(b"\x91\xc0")
        with pytest.raises(BrokenMessage):
            decode(b"nonsense")
