"""What the service's process and the media process say to each other.

Each message is a MessagePack struct with its type's name as tag; a frame on the wire is four
octets of length (network order) and an array of messages. The process answers once a tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from media.errors import BrokenMessage
from media.g711 import Codec
from media.limits import MESSAGE_BYTES_MAX


class Message(msgspec.Struct, frozen=True, tag=True):
    """Anything on the wire."""


# Commands


class Open(Message, frozen=True):
    """Make a leg of a port pair that was announced as ready."""

    leg_id: str
    port: int


class Connect(Message, frozen=True):
    """Say where a leg's media goes and comes from, and in what form."""

    leg_id: str
    ip: str
    port: int
    payload_type: int
    codec: Codec
    event_payload_type: int | None
    sending: bool
    latch: bool


class Play(Message, frozen=True):
    """Play files to a leg, one after the other, instead of what is playing."""

    leg_id: str
    files: list[str]
    play_id: int
    loop: bool


class Stop(Message, frozen=True):
    """End what a leg is played."""

    leg_id: str


class SendDigits(Message, frozen=True):
    """Send digits as telephone events."""

    leg_id: str
    digits: str


class Join(Message, frozen=True):
    """Put a leg into a room, out of the one it is in."""

    leg_id: str
    room_id: str
    muted: bool


class Leave(Message, frozen=True):
    """Take a leg out of its room."""

    leg_id: str


class Mute(Message, frozen=True):
    """Let the room hear a leg, or not."""

    leg_id: str
    muted: bool


class StartRecording(Message, frozen=True):
    """Record what a leg's party says; RecordingEnded follows."""

    leg_id: str
    file: str
    """Where the sound is written in the end: a 16-bit mono WAV at 8000 Hz."""
    max_s: float
    timeout_s: float
    """Silence at the beginning after which nobody is there."""
    final_silence_s: float
    """Silence after speech that ends it."""


class StopRecording(Message, frozen=True):
    """End a leg's recording; what was said is kept."""

    leg_id: str


class Close(Message, frozen=True):
    """End a leg and give its ports back."""

    leg_id: str


class Ask(Message, frozen=True):
    """Ask for the process' statistics."""

    request: int


Command = (
    Open
    | Connect
    | Play
    | Stop
    | SendDigits
    | Join
    | Leave
    | Mute
    | StartRecording
    | StopRecording
    | Close
    | Ask
)


# Values in events


class LegStatistics(msgspec.Struct, frozen=True):
    """What one leg received and sent."""

    packets_in: int = 0
    packets_out: int = 0
    lost: int = 0
    """Packets the sender numbered and that never came."""
    late: int = 0
    """Packets that came after their time to be played."""
    duplicates: int = 0
    discarded: int = 0
    """Datagrams that were no RTP of the leg's formats."""
    refused: int = 0
    """Packets from a source that is not the leg's."""
    concealed_frames: int = 0
    """Frames of 20 ms that had to be made up."""
    send_errors: int = 0
    jitter_ms: float = 0.0
    """Interarrival jitter (RFC 3550 6.4.1), as seen at ticks."""
    delay_ms: float = 0.0
    """What the jitter buffer adds to a packet at the least, at the last judgement."""
    silent_s: float | None = None
    """Time since the last packet; None when there was none."""
    remote_ip: str = ""
    remote_port: int = 0


class ProcessStatistics(msgspec.Struct, frozen=True):
    """How the media process fares, since it was started."""

    ticks: int
    late_ticks: int
    """Ticks that began more than a tick late, or were left out."""
    worst_tick_ms: float
    """Longest work of one tick."""
    mean_tick_ms: float
    cpu_s: float
    """Processor time used."""
    legs: int
    rooms: int
    ports_ready: int
    events_dropped: int


# Events


class PortsReady(Message, frozen=True):
    """More port pairs are bound (RTP ports); ``left`` more of the range can still be."""

    ports: list[int]
    left: int


class Pulse(Message, frozen=True):
    """A sign of life."""


class StatisticsAnswer(Message, frozen=True):
    """The answer to Ask."""

    request: int
    statistics: ProcessStatistics


class DigitReceived(Message, frozen=True):
    """A leg's party pressed a key."""

    leg_id: str
    digit: str


class PlayEnded(Message, frozen=True):
    """A play request ended: all was played, or it was stopped, replaced or impossible."""

    leg_id: str
    play_id: int
    completed: bool
    played_ms: int
    error: str = ""
    """Why it could not be played; empty otherwise."""


RecordingReason = Literal["stopped", "max_time", "final_silence", "no_input", "failed"]


class RecordingEnded(Message, frozen=True):
    """A recording has ended, and its file is written; there is none where ``samples`` is 0."""

    leg_id: str
    reason: RecordingReason
    """The end of the leg, too, counts as ``stopped``."""
    samples: int
    spoken: bool
    """Whether any of it was speech, or as loud."""
    error: str = ""
    """Why there is none; empty unless it failed."""


class LegInactive(Message, frozen=True):
    """Nothing was received for a leg; told once until something is."""

    leg_id: str
    silent_s: float


class LegClosed(Message, frozen=True):
    """A leg has ended; its ports will be used again."""

    leg_id: str
    statistics: LegStatistics


class ProcessDied(Message, frozen=True):
    """The media process ended by itself; its legs are lost. Another is being started."""

    leg_ids: list[str]
    exit_status: int


LegEvent = DigitReceived | PlayEnded | RecordingEnded | LegInactive | LegClosed
Event = LegEvent | ProcessDied
Answer = PortsReady | Pulse | StatisticsAnswer | LegEvent

_LENGTH_BYTES = 4
_encoder = msgspec.msgpack.Encoder()


def frame(messages: Sequence[Message]) -> bytes:
    """Return messages as one frame."""
    body = _encoder.encode(messages)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameReader:
    """Cuts a byte stream into frames' bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that are whole now; raises BrokenMessage for one over the limit."""
        self._buffer += data
        bodies = []
        while len(self._buffer) >= _LENGTH_BYTES:
            size = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if size > MESSAGE_BYTES_MAX:
                raise BrokenMessage(
                    f"a frame of {size} bytes on the control socket, at most"
                    f" {MESSAGE_BYTES_MAX} may be (MESSAGE_BYTES_MAX)"
                )
            if len(self._buffer) < _LENGTH_BYTES + size:
                break
            bodies.append(bytes(self._buffer[_LENGTH_BYTES : _LENGTH_BYTES + size]))
            del self._buffer[: _LENGTH_BYTES + size]
        return bodies


_commands = msgspec.msgpack.Decoder(list[Command])
_answers = msgspec.msgpack.Decoder(list[Answer])


def decode_commands(body: bytes) -> list[Command]:
    """Return a frame's commands; raises BrokenMessage."""
    try:
        return _commands.decode(body)
    except msgspec.DecodeError as error:
        raise BrokenMessage(f"a frame that holds no commands: {error}") from error


def decode_answers(body: bytes) -> list[Answer]:
    """Return a frame's answers and events; raises BrokenMessage."""
    try:
        return _answers.decode(body)
    except msgspec.DecodeError as error:
        raise BrokenMessage(f"a frame that holds no events: {error}") from error
