"""Session descriptions (RFC 8866) and offer/answer (RFC 3264) for telephone audio.

We speak PCMU and PCMA at 8,000 Hz in 20 ms packets and telephone-event (RFC 4733).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from telephony.errors import NoCommonCodec, SdpError
from telephony.limits import SDP_BYTES_MAX, SDP_LINES_MAX, SDP_MEDIA_MAX

Codec = Literal["PCMU", "PCMA"]
STATIC_TYPES: Final[dict[Codec, int]] = {"PCMU": 0, "PCMA": 8}
EVENT_TYPE: Final = 101
PACKET_MS: Final = 20
_NAMES = {number: name for name, number in STATIC_TYPES.items()}
# As an rtpmap names them, with or without the number of channels.
_BY_MAP = {f"{name}/8000{one}": name for name in STATIC_TYPES for one in ("", "/1")}
_EVENT_MAPS = ("TELEPHONE-EVENT/8000", "TELEPHONE-EVENT/8000/1")


class Direction(Enum):
    """Who sends, seen from the one who writes the description (RFC 3264 5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """The direction of somebody who `sends` and `receives`."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section. `connection` is its own c= address or the session's, or None."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: str | None
    attributes: tuple[tuple[str, str], ...]

    def attribute(self, name: str) -> list[str]:
        """The values of every a=`name` line."""
        return [value for key, value in self.attributes if key == name]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """What a description says, as far as telephone audio needs it."""

    origin: str
    session_id: int
    version: int
    direction: Direction
    media: tuple[Media, ...]


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What an offer and its answer agreed on, seen from us.

    Send `codec` ("PCMU" or "PCMA") as `payload_type` to `remote_ip`:`remote_port`, key presses
    as `event_payload_type` (None: the peer takes none). `direction` is ours: on hold it does
    not send.
    """

    remote_ip: str
    remote_port: int
    payload_type: int
    codec: Codec
    event_payload_type: int | None
    direction: Direction


def parse_sdp(data: bytes) -> SessionDescription:
    """Read a session description; SdpError says which line is wrong."""
    if len(data) > SDP_BYTES_MAX:
        raise SdpError(f"{len(data)} bytes of SDP: SDP_BYTES_MAX is {SDP_BYTES_MAX}")
    text = data.decode("utf-8", "replace")
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    if len(lines) > SDP_LINES_MAX:
        raise SdpError(f"{len(lines)} lines of SDP: SDP_LINES_MAX is {SDP_LINES_MAX}")
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    if len(starts) > SDP_MEDIA_MAX:
        raise SdpError(f"{len(starts)} media in SDP: SDP_MEDIA_MAX is {SDP_MEDIA_MAX}")
    for number, line in enumerate(lines, 1):
        if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
            raise SdpError(f"SDP line {number} is not type=value: {line[:60]!r}")
    if not lines or lines[0] != "v=0":
        raise SdpError("SDP does not begin with v=0")
    session = lines[: starts[0]] if starts else lines
    origin = next((line[2:].split() for line in session if line.startswith("o=")), [])
    if len(origin) != 6:
        raise SdpError("SDP has no o= line of six fields")
    address = _connection(session, None)
    direction = _direction(_attributes(session), Direction.SENDRECV)
    ends = [*starts[1:], len(lines)]
    media = [_media(lines[a:b], address) for a, b in zip(starts, ends, strict=True)]
    return SessionDescription(
        origin[5], _number(origin[1]), _number(origin[2]), direction, tuple(media)
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise SdpError(f"SDP o= field is not a number: {text[:40]!r}")
    return int(text)


def _connection(lines: Sequence[str], default: str | None) -> str | None:
    for line in lines:
        if line.startswith("c="):
            fields = line[2:].split()
            if len(fields) != 3 or fields[0] != "IN" or fields[1] not in ("IP4", "IP6"):
                raise SdpError(f"SDP connection line is malformed: {line[:60]!r}")
            return fields[2].partition("/")[0]
    return default


def _attributes(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    out = []
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            out.append((name.strip().lower(), value.strip()))
    return tuple(out)


def _direction(attributes: Sequence[tuple[str, str]], default: Direction) -> Direction:
    for name, _ in attributes:
        if name in ("sendrecv", "sendonly", "recvonly", "inactive"):
            return Direction(name)
    return default


def _media(lines: Sequence[str], address: str | None) -> Media:
    fields = lines[0][2:].split()
    if len(fields) < 4:
        raise SdpError(f"SDP media line is malformed: {lines[0][:60]!r}")
    port = fields[1].partition("/")[0]
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65_535:
        raise SdpError(f"SDP media port is not a port: {lines[0][:60]!r}")
    return Media(
        fields[0].lower(),
        int(port),
        fields[2].upper(),
        tuple(fields[3:]),
        _connection(lines[1:], address),
        _attributes(lines[1:]),
    )


def make_offer(
    local_ip: str,
    local_port: int,
    *,
    codecs: Sequence[Codec] = ("PCMU", "PCMA"),
    direction: Direction = Direction.SENDRECV,
    session_id: int = 1,
    version: int = 1,
) -> bytes:
    """An offer of one audio stream with `codecs` in order and telephone-event."""
    lines = _session_lines(local_ip, session_id, version)
    types = [(STATIC_TYPES[name], name) for name in codecs]
    lines += _audio_lines(local_port, types, EVENT_TYPE, direction)
    return _write(lines)


def make_answer(
    offer: bytes,
    local_ip: str,
    local_port: int,
    *,
    codecs: Sequence[Codec] = ("PCMU", "PCMA"),
    direction: Direction = Direction.SENDRECV,
    session_id: int = 1,
    version: int = 1,
) -> tuple[bytes, Negotiated]:
    """The answer to `offer` and what it agrees on (RFC 3264 6).

    The offerer's order of codecs is kept. The first audio stream that shares a codec is taken
    and every other one refused with port 0. `direction` is what we would like; the answer is
    that, cut down to what the offer allows. Raises SdpError, or NoCommonCodec (answer 488).
    """
    described = parse_sdp(offer)
    chosen: Negotiated | None = None
    lines = _session_lines(local_ip, session_id, version)
    for media in described.media:
        found = None if chosen else _match(media, described, codecs, direction)
        if found is None:
            lines.append(f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}")
            continue
        chosen = found
        types = [(found.payload_type, found.codec)]
        lines += _audio_lines(local_port, types, found.event_payload_type, found.direction)
    if chosen is None:
        raise NoCommonCodec(
            f"the offer has no audio with one of {', '.join(codecs)} over RTP/AVP to an IP address"
        )
    return _write(lines), chosen


def read_answer(offer: bytes, answer: bytes) -> Negotiated:
    """What the peer's `answer` to our `offer` agrees on (RFC 3264 7).

    Raises SdpError, or NoCommonCodec where the peer refused the stream.
    """
    ours, theirs = parse_sdp(offer), parse_sdp(answer)
    offered = next((m for m in ours.media if m.kind == "audio"), None)
    if offered is None:
        raise SdpError("our offer has no audio")
    codecs = [name for _, name in _codecs(offered)]
    wanted = _direction(offered.attributes, ours.direction)
    for media in theirs.media:
        found = _match(media, theirs, codecs, wanted)
        if found is not None:
            return found
    raise NoCommonCodec(f"the answer takes none of {', '.join(codecs)}")


def _match(
    media: Media, described: SessionDescription, codecs: Sequence[Codec], wanted: Direction
) -> Negotiated | None:
    if media.kind != "audio" or media.port == 0 or media.protocol != "RTP/AVP":
        return None
    if media.connection is None or not _reachable(media.connection):
        return None
    found = next(((n, name) for n, name in _codecs(media) if name in codecs), None)
    if found is None:
        return None
    theirs = _direction(media.attributes, described.direction)
    held = media.connection in ("0.0.0.0", "::")  # noqa: S104  # RFC 2543's way to hold
    ours = Direction.of(
        sends=wanted.sends and theirs.receives and not held,
        receives=wanted.receives and theirs.sends,
    )
    return Negotiated(media.connection, media.port, *found, _event_type(media), ours)


def _reachable(address: str) -> bool:
    """Whether audio can go to `address`: one host's IP address, or the one that means hold."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not found.is_multicast and address != "255.255.255.255"


def _codecs(media: Media) -> list[tuple[int, Codec]]:
    """(payload type, name) of the codecs we know, in the order of the m= line."""
    maps = dict(_rtpmaps(media))
    out = []
    for text in media.formats:
        if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) > 127:
            continue
        number = int(text)
        codec = _BY_MAP.get(maps[number]) if number in maps else _NAMES.get(number)
        if codec is not None:
            out.append((number, codec))
    return out


def _event_type(media: Media) -> int | None:
    for number, name in _rtpmaps(media):
        if name in _EVENT_MAPS and str(number) in media.formats:
            return number
    return None


def _rtpmaps(media: Media) -> list[tuple[int, str]]:
    out = []
    for value in media.attribute("rtpmap"):
        number, _, name = value.partition(" ")
        if number.isascii() and number.isdigit() and len(number) <= 3 and int(number) <= 127:
            out.append((int(number), name.strip().upper()))
    return out


def _session_lines(local_ip: str, session_id: int, version: int) -> list[str]:
    family = "IP6" if ":" in local_ip else "IP4"
    return [
        "v=0",
        f"o=- {session_id} {version} IN {family} {local_ip}",
        "s=-",
        f"c=IN {family} {local_ip}",
        "t=0 0",
    ]


def _audio_lines(
    port: int, types: Sequence[tuple[int, str]], event_type: int | None, direction: Direction
) -> list[str]:
    formats = [str(number) for number, _ in types]
    maps = [f"a=rtpmap:{number} {name}/8000" for number, name in types]
    if event_type is not None:
        formats.append(str(event_type))
        maps += [f"a=rtpmap:{event_type} telephone-event/8000", f"a=fmtp:{event_type} 0-16"]
    return [
        f"m=audio {port} RTP/AVP {' '.join(formats)}",
        *maps,
        f"a=ptime:{PACKET_MS}",
        f"a={direction.value}",
    ]


def _write(lines: Sequence[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()
