"""Messages between the service and a speech process.

A frame is its length (4 bytes, big-endian, without these 4) followed by one message in
MessagePack. The process writes one `Ready` when its engine is loaded, then exactly one
answer (`Spoken` or `Failed`) for each `Speak`, in order.
"""

from __future__ import annotations

import msgspec

from speech import limits

LENGTH_BYTES = 4


class Voice(msgspec.Struct, frozen=True, array_like=True):
    """A language tag (lower case), the voice that speaks it, and its rank (lower is better)."""

    language: str
    identifier: str
    rank: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The engine is loaded."""

    engine: str
    voices: tuple[Voice, ...]


class Speak(msgspec.Struct, frozen=True, tag=True):
    """Speak a whole SSML document with a voice into a new file at ``path``.

    ``marks`` are the names of the document's marks, which it calls 0, 1 and so on;
    ``warnings`` are kept in the file.
    """

    number: int
    ssml: str
    voice: str
    path: str
    marks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Spoken(msgspec.Struct, frozen=True, tag=True):
    """The file is written: a WAV of ``size_bytes``."""

    number: int
    size_bytes: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Nothing was written. ``too_long``: the audio passed its limit."""

    number: int
    reason: str
    too_long: bool = False


Answer = Ready | Spoken | Failed

_encoder = msgspec.msgpack.Encoder()
_speak_decoder = msgspec.msgpack.Decoder(Speak)
_answer_decoder: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: Speak | Answer) -> bytes:
    """The bytes of ``message`` with their length in front; ValueError over FRAME_BYTES_MAX."""
    body = _encoder.encode(message)
    if len(body) > limits.FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {len(body)} bytes is over FRAME_BYTES_MAX")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def body_length(head: bytes) -> int:
    """The length that ``head`` (LENGTH_BYTES bytes) announces; ValueError over FRAME_BYTES_MAX."""
    length = int.from_bytes(head, "big")
    if length > limits.FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes is over FRAME_BYTES_MAX")
    return length


def read_speak(body: bytes) -> Speak:
    """The request in a frame's body; msgspec.DecodeError when it is none."""
    return _speak_decoder.decode(body)


def read_answer(body: bytes) -> Answer:
    """The answer in a frame's body; msgspec.DecodeError when it is none."""
    return _answer_decoder.decode(body)
