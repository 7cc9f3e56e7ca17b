"""A plane whose ticks the test counts, and parties that send and hear real datagrams.

A datagram on loopback is there as soon as it is sent, so nothing waits.
"""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from media.messages import Answer, Close, Connect, Join, Open, Play, SendDigits
from media.plane import Plane
from tests.kit import g711
from tests.kit.service_process import free_ports_in_a_row

Samples = NDArray[np.int16]
FRAME = 160
PORT_PAIRS = 80


@dataclass(frozen=True)
class Heard:
    """One packet that came: RTP's fields and the payload."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class Party:
    """The far end of one leg."""

    def __init__(self, name: str, port: int, law: str) -> None:
        self.name, self.law = name, law
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.to = ("127.0.0.1", port)
        self.ssrc, self.sequence, self.timestamp = 0x1234_0000 + port, 1000, 50_000

    @property
    def address(self) -> tuple[str, int]:
        return self.socket.getsockname()[:2]

    def rtp(
        self,
        payload: bytes,
        *,
        payload_type: int | None = None,
        sequence: int | None = None,
        timestamp: int | None = None,
        ssrc: int | None = None,
        marker: bool = False,
    ) -> bytes:
        kind = g711.PAYLOAD_TYPES[self.law] if payload_type is None else payload_type
        number = self.sequence if sequence is None else sequence
        at = self.timestamp if timestamp is None else timestamp
        return (
            bytes((0x80, marker << 7 | kind))
            + (number & 0xFFFF).to_bytes(2, "big")
            + (at & 0xFFFFFFFF).to_bytes(4, "big")
            + (self.ssrc if ssrc is None else ssrc).to_bytes(4, "big")
            + payload
        )

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.to)

    def say(self, samples: Samples) -> None:
        """Send the next packet of the stream."""
        self.send(self.rtp(g711.encode(samples, self.law)))
        self.pass_by(len(samples))

    def pass_by(self, samples: int = FRAME) -> None:
        """Use up a packet's number and time without sending it."""
        self.sequence += 1
        self.timestamp += samples

    def packets(self) -> list[Heard]:
        """Return all that has come since the last time."""
        found = []
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return found
            found.append(
                Heard(
                    data[1] & 0x7F,
                    bool(data[1] & 0x80),
                    int.from_bytes(data[2:4], "big"),
                    int.from_bytes(data[4:8], "big"),
                    int.from_bytes(data[8:12], "big"),
                    data[12:],
                )
            )

    def hears(self) -> Samples:
        """Return the sound of the audio packets that have come since the last time."""
        kind = g711.PAYLOAD_TYPES[self.law]
        parts = [
            g711.decode(one.payload, self.law) for one in self.packets() if one.payload_type == kind
        ]
        return np.concatenate([np.zeros(0, np.int16), *parts])


@dataclass
class Rig:
    """A plane and the parties of its legs."""

    plane: Plane
    ready: list[int]
    parties: dict[str, Party] = field(default_factory=dict)
    now: int = 0

    def open(
        self,
        name: str,
        room: str | None = None,
        *,
        law: str = "PCMU",
        event_type: int | None = 101,
        latch: bool = True,
        sending: bool = True,
    ) -> Party:
        port = self.ready.pop(0)
        self.plane.apply(Open(name, port))
        party = self.parties[name] = Party(name, port, law)
        self.connect(party, event_type=event_type, latch=latch, sending=sending)
        if room is not None:
            self.plane.apply(Join(name, room, False))
        return party

    def connect(
        self,
        party: Party,
        *,
        event_type: int | None = 101,
        latch: bool = True,
        sending: bool = True,
        to: tuple[str, int] | None = None,
    ) -> None:
        ip, port = to or party.address
        kind = g711.PAYLOAD_TYPES[party.law]
        self.plane.apply(
            Connect(party.name, ip, port, kind, party.law, event_type, sending, latch)  # type: ignore[arg-type]
        )

    def tick(self, count: int = 1) -> list[Answer]:
        """Do ticks one after the other; return what happened in them."""
        events = []
        for _ in range(count):
            self.now += 1
            events += self.plane.tick(self.now)
        return events

    def talk(
        self, frames: int, sounds: dict[str, Samples] | None = None
    ) -> tuple[dict[str, Samples], list[Answer]]:
        """Let all parties send for so many frames (silence unless in `sounds`).

        Returns what each heard meanwhile, and the events.
        """
        sounds = sounds or {}
        events: list[Answer] = []
        quiet = np.zeros(FRAME, np.int16)
        for party in self.parties.values():
            party.packets()
        for frame in range(frames):
            for name, party in self.parties.items():
                sound = sounds.get(name)
                part = None if sound is None else sound[frame * FRAME : (frame + 1) * FRAME]
                party.say(quiet if part is None else part)
            events += self.tick()
        return {name: party.hears() for name, party in self.parties.items()}, events

    def play(self, name: str, *files: object, play_id: int = 1, loop: bool = False) -> None:
        self.plane.apply(Play(name, [str(file) for file in files], play_id, loop))

    def press(self, name: str, digits: str) -> None:
        self.plane.apply(SendDigits(name, digits))

    def close(self, name: str) -> None:
        self.plane.apply(Close(name))
        self.parties.pop(name).socket.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    first = free_ports_in_a_row(2 * PORT_PAIRS)
    plane = Plane("127.0.0.1", range(first, first + 2 * PORT_PAIRS), inactivity_s=2.0)
    news = plane.fill_ports(0)
    assert news is not None
    made = Rig(plane, list(news.ports))
    yield made
    plane.close()
    for party in made.parties.values():
        party.socket.close()


@pytest.fixture
def wav(tmp_path) -> Callable[[Samples], object]:  # type: ignore[no-untyped-def]
    """A function that writes samples as a prompt file and returns its path."""
    from media.audiofile import wav_bytes

    def write(samples: Samples) -> object:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        path.write_bytes(wav_bytes(samples))
        return path

    return write
