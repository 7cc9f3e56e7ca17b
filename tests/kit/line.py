"""The audio of one call: RTP sent every 20 ms, all that arrives kept with its moment."""

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.kit import g711, tones

PACKET_SAMPLES = 160
PACKET_S = 0.020
PACKETS_KEPT_MAX = 30_000  # ten minutes
EVENT_END_REPEATS = 3  # RFC 4733 2.5.1.4
EVENT_VOLUME = 10  # dBm0 below zero
KEYS = "0123456789*#ABCD"


@dataclass(frozen=True)
class Packet:
    """An RTP packet that arrived: when (monotonic seconds), and what it carried."""

    at: float
    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes


@dataclass(frozen=True)
class Sound:
    """What was heard: samples in the sender's own order, and when each packet came.

    `arrivals` holds (index of the packet's first sample, monotonic second of arrival);
    what never came is silence. `lost` counts packets missing from the sequence.
    """

    samples: NDArray[np.int16]
    arrivals: list[tuple[int, float]] = field(default_factory=list)
    lost: int = 0

    def level_dbfs(self, hz: float) -> float:
        """Return the level of one tone."""
        return tones.level_dbfs(self.samples, hz)

    def onset_at(self, hz: float) -> float | None:
        """Return the monotonic second at which the tone began to be heard, or None."""
        index = tones.onset(self.samples, hz)
        if index is None:
            return None
        before = [arrival for arrival in self.arrivals if arrival[0] <= index]
        if not before:
            return None
        first, at = before[-1]
        return at + (index - first) / tones.SAMPLES_PER_S


@dataclass
class _Key:
    """A key being pressed: what is left of it to send."""

    event: int
    packets_left: int
    timestamp: int = -1
    duration: int = 0
    ends_left: int = EVENT_END_REPEATS
    sent: asyncio.Event = field(default_factory=asyncio.Event)


class Line(asyncio.DatagramProtocol):
    """An RTP port and what goes through it. Sends to `remote` once `start` was called."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.law = "PCMU"
        self.event_type = 101
        self.remote: tuple[str, int] | None = None
        self.packets: deque[Packet] = deque(maxlen=PACKETS_KEPT_MAX)
        self.keys_heard = ""
        self.key_sent_at: float | None = None
        self.tone_started_at: float | None = None
        self._tone: tuple[float, float] | None = None
        self._tone_sample = 0
        self._queue: deque[NDArray[np.int16]] = deque()
        self._queue_empty = asyncio.Event()
        self._keys: deque[_Key] = deque()
        self._heard_event_timestamp = -1
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 31)
        self._ssrc = secrets.randbelow(1 << 32)
        self._arrived = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self._rtcp: socket.socket | None = None
        self._sender: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, host: str) -> "Line":
        """Return a line on a free even port, its odd neighbour held for RTCP."""
        loop = asyncio.get_running_loop()
        for _ in range(50):
            rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                rtp.bind((host, 0))
                port = rtp.getsockname()[1]
                if port % 2:
                    raise OSError("odd port")
                rtcp.bind((host, port + 1))
            except OSError:
                rtp.close()
                rtcp.close()
                continue
            rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
            rtp.setblocking(False)
            transport, line = await loop.create_datagram_endpoint(lambda: cls(host), sock=rtp)
            line._transport, line._rtcp, line.port = transport, rtcp, port
            return line
        raise OSError(f"no free pair of ports on {host}")

    def start(self, remote: tuple[str, int]) -> None:
        """Send to `remote` from now on, silence at first."""
        self.remote = remote
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send_on())

    async def close(self) -> None:
        """Stop sending and give the ports back."""
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
        if self._transport is not None:
            self._transport.close()
        if self._rtcp is not None:
            self._rtcp.close()

    # What is sent

    def send_tone(self, hz: float, dbfs: float) -> None:
        self._tone, self._tone_sample, self.tone_started_at = (hz, dbfs), 0, None

    def send_silence(self) -> None:
        self._tone, self.tone_started_at = None, None
        self._queue.clear()
        self._queue_empty.set()

    async def play(self, samples: NDArray[np.int16]) -> None:
        """Send `samples` once; returns when the last of them is sent."""
        short = -len(samples) % PACKET_SAMPLES
        whole = np.concatenate([samples, np.zeros(short, np.int16)])
        self._queue.extend(whole.reshape(-1, PACKET_SAMPLES))
        self._queue_empty.clear()
        await self._queue_empty.wait()

    async def press(self, keys: str, *, key_ms: int, gap_ms: int) -> None:
        """Send `keys` as telephone events (RFC 4733); returns when the last one has ended."""
        for key in keys:
            event = _Key(KEYS.index(key.upper()), max(1, round(key_ms / 20)))
            self._keys.append(event)
            await event.sent.wait()
            await asyncio.sleep(gap_ms / 1000)

    async def _send_on(self) -> None:
        due = time.monotonic()
        while True:
            self._send_packet()
            due += PACKET_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _send_packet(self) -> None:
        assert self._transport is not None
        assert self.remote is not None
        if self._keys:
            payload_type, marker, timestamp, payload = self._key_packet(self._keys[0])
        else:
            payload_type, marker, timestamp = g711.PAYLOAD_TYPES[self.law], False, self._timestamp
            payload = g711.encode(self._next_samples(), self.law)
        header = struct.pack(
            "!BBHII", 0x80, payload_type | marker << 7, self._sequence, timestamp, self._ssrc
        )
        self._transport.sendto(header + payload, self.remote)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + PACKET_SAMPLES) & 0xFFFFFFFF

    def _key_packet(self, key: _Key) -> tuple[int, bool, int, bytes]:
        """Return payload type, marker, timestamp and payload of a key's next packet."""
        first = key.timestamp < 0
        if first:
            key.timestamp = self._timestamp
            self.key_sent_at = time.monotonic()
        if key.packets_left > 0:
            key.packets_left -= 1
            key.duration += PACKET_SAMPLES
        ended = key.packets_left == 0
        if ended:
            key.ends_left -= 1
        if key.ends_left == 0:
            self._keys.popleft()
            key.sent.set()
        payload = struct.pack("!BBH", key.event, ended << 7 | EVENT_VOLUME, key.duration)
        return self.event_type, first, key.timestamp, payload

    def _next_samples(self) -> NDArray[np.int16]:
        if self._queue:
            samples = self._queue.popleft()
            if not self._queue:
                self._queue_empty.set()
            return samples
        if self._tone is None:
            return np.zeros(PACKET_SAMPLES, np.int16)
        if self._tone_sample == 0:
            self.tone_started_at = time.monotonic()
        hz, dbfs = self._tone
        samples = tones.tone(hz, PACKET_S, dbfs=dbfs, first_sample=self._tone_sample)
        self._tone_sample += PACKET_SAMPLES
        return samples

    # What is heard

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < 12 or data[0] >> 6 != 2:
            return
        _, kind, sequence, timestamp, _ = struct.unpack_from("!BBHII", data)
        payload = data[12 + 4 * (data[0] & 15) :]
        packet = Packet(time.monotonic(), sequence, timestamp, kind & 0x7F, kind >= 0x80, payload)
        if packet.payload_type == self.event_type:
            self._hear_key(packet)
        self.packets.append(packet)
        self._arrived.set()

    def _hear_key(self, packet: Packet) -> None:
        if len(packet.payload) >= 4 and packet.timestamp != self._heard_event_timestamp:
            self._heard_event_timestamp = packet.timestamp
            self.keys_heard += KEYS[packet.payload[0] & 15]

    def samples_of(self, packet: Packet) -> NDArray[np.int16]:
        """Return the samples of one audio packet."""
        return g711.decode(packet.payload, "PCMU" if packet.payload_type == 0 else "PCMA")

    async def next_packet(self, timeout_s: float) -> None:
        """Wait for a packet; raises TimeoutError."""
        self._arrived.clear()
        await asyncio.wait_for(self._arrived.wait(), timeout_s)

    def heard(self, since: float, until: float) -> Sound:
        """Return what arrived between two monotonic seconds, on the sender's time line.

        A jump of the sender's clock or sequence (a new source) begins a new stretch right
        behind the old one.
        """
        stretches: list[list[Packet]] = []
        for packet in self.packets:
            if not since <= packet.at < until or packet.payload_type not in (0, 8):
                continue
            last = stretches[-1][-1] if stretches else None
            near = last is not None and abs(_difference(packet.timestamp, last.timestamp)) < 80_000
            if not near:
                stretches.append([])
            stretches[-1].append(packet)
        parts: list[NDArray[np.int16]] = []
        arrivals: list[tuple[int, float]] = []
        lost = base = 0
        for stretch in stretches:
            samples, placed = _laid_out(stretch)
            arrivals += [(base + index, at) for index, at in placed]
            parts.append(samples)
            base += len(samples)
            numbers = {_difference(p.sequence << 16, stretch[0].sequence << 16) for p in stretch}
            lost += ((max(numbers) - min(numbers)) >> 16) + 1 - len(numbers)
        whole = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        return Sound(whole, sorted(arrivals), lost)


def _difference(a: int, b: int) -> int:
    """Return a - b on a circle of 32 bits, as a signed number."""
    return ((a - b + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def _laid_out(packets: list[Packet]) -> tuple[NDArray[np.int16], list[tuple[int, float]]]:
    """Return one stretch's samples by RTP timestamp, and where each packet begins."""
    origin = packets[0].timestamp
    offsets = [_difference(packet.timestamp, origin) for packet in packets]
    lowest = min(offsets)
    size = max(o + len(p.payload) for o, p in zip(offsets, packets, strict=True)) - lowest
    samples = np.zeros(size, np.int16)
    placed = []
    for offset, packet in zip(offsets, packets, strict=True):
        law = "PCMU" if packet.payload_type == 0 else "PCMA"
        first = offset - lowest
        samples[first : first + len(packet.payload)] = g711.decode(packet.payload, law)
        placed.append((first, packet.at))
    return samples, placed
