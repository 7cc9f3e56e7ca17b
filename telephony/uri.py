"""URIs, addresses and Via values (RFC 3261 19.1, 20.10, 20.42, 25.1).

Every pattern here is possessive, so none can backtrack: reading costs time in proportion to
the text, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from telephony.errors import MessageError
from telephony.limits import CACHED_TEXT_CHARACTERS_MAX, URI_BYTES_MAX

WORD: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"
QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'
_WS: Final = r"[ \t]*+"
_HOST: Final = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9.\-_]++"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):")
_USERINFO = re.compile(r"[^\s<>\"@]++")
_HOSTPORT = re.compile(rf"({_HOST})(?::(\d{{1,5}}+))?+")
_URI_PARAMETER = re.compile(r";([^\s;?=<>\"]++)(?:=([^\s;?<>\"]*+))?+")
_URI_HEADERS = re.compile(r"\?[^\s<>\"]*+")
_OPAQUE = re.compile(r"[^\s<>\"]++")
_NAME_ADDR = re.compile(rf"{_WS}(?:({QUOTED})|((?:{WORD}{_WS})*+)){_WS}<([^<>]*+)>{_WS}", re.S)
_ADDR_SPEC = re.compile(rf"{_WS}([A-Za-z][A-Za-z0-9+.\-]*+:[^\s;?<>,\"]++){_WS}")
_PARAMETER = re.compile(
    rf"{_WS};{_WS}({WORD}){_WS}(?:={_WS}({QUOTED}|\[[0-9A-Fa-f:.]++\]|[^\s;,\"<>?]++))?+{_WS}",
    re.S,
)
_VIA = re.compile(
    rf"{_WS}SIP{_WS}/{_WS}2\.0{_WS}/{_WS}({WORD})[ \t]++({_HOST}){_WS}"
    rf"(?::{_WS}(\d{{1,5}}+))?+{_WS}",
    re.I,
)
_PIECE = re.compile(rf"(?:[^\",<>]++|{QUOTED}|<[^<>]*+>)*+", re.S)
_ESCAPE = re.compile(r"\\(.)", re.S)
# These parameters must be in both URIs or in neither for them to be equal (RFC 3261 19.1.4).
_COMPARED_PARAMETERS: Final = ("user", "ttl", "method", "maddr", "transport")

Parameters = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip: or sips: URI. `user`, `password` and `headers` are still escaped."""

    scheme: str
    user: str | None
    host: str
    port: int | None = None
    parameters: tuple[tuple[str, str | None], ...] = ()
    headers: str = ""
    password: str | None = None

    @property
    def username(self) -> str:
        """The user part without escapes, or "" (RFC 3261 19.1.2)."""
        user = self.user or ""
        return unquote(user) if "%" in user else user

    def parameter(self, name: str) -> str | None:
        """The value of the parameter `name` ("" for one without a value), or None."""
        for key, value in self.parameters:
            if unquote(key).lower() == name:
                return unquote(value) if value else ""
        return None

    @property
    def loose(self) -> bool:
        """Whether this names a loose router (RFC 3261 16.12.1.1)."""
        return bool(self.parameters) and self.parameter("lr") is not None

    @property
    def address(self) -> tuple[str, int]:
        """Where to send: maddr or host without brackets, and port or 5060."""
        host = self.parameter("maddr") or self.host if self.parameters else self.host
        return host.strip("[]").lower(), self.port or 5060

    @property
    def transport(self) -> str:
        """The transport parameter in small letters, or "udp"."""
        return (self.parameter("transport") or "udp").lower() if self.parameters else "udp"

    @property
    def request_uri(self) -> str:
        """As the Request-URI of a request to it: without header fields (RFC 3261 19.1.5).

        They are not put into the request either: a stranger's Route would steer it.
        """
        return str(replace(self, headers="") if self.headers else self)

    def __str__(self) -> str:
        userinfo = ""
        if self.user is not None:
            secret = "" if self.password is None else f":{self.password}"
            userinfo = f"{self.user}{secret}@"
        port = "" if self.port is None else f":{self.port}"
        tail = "".join(f";{k}" if v is None else f";{k}={v}" for k, v in self.parameters)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{self.host}{port}{tail}{headers}"


@dataclass(frozen=True, slots=True)
class OpaqueUri:
    """A URI of a scheme that is not SIP's, kept as it is."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri = SipUri | OpaqueUri


def parse_uri(text: str) -> Uri:
    """The URI in `text`; MessageError 400 for a malformed one, 414 over URI_BYTES_MAX."""
    if len(text) <= CACHED_TEXT_CHARACTERS_MAX:
        return _cached_uri(text)
    if len(text) > URI_BYTES_MAX:
        raise MessageError(414, f"Request-URI Too Long (URI_BYTES_MAX is {URI_BYTES_MAX})")
    return _read_uri(text)


def _read_uri(text: str) -> Uri:
    found = _SCHEME.match(text)
    if not found:
        raise MessageError(400, "URI without a scheme")
    scheme = found[1].lower()
    start = found.end()
    if scheme not in ("sip", "sips"):
        if not _OPAQUE.fullmatch(text, start):
            raise MessageError(400, "Malformed URI")
        return OpaqueUri(found[1], text[start:])
    user = password = None
    at = text.find("@", start)
    if at >= 0:
        if not _USERINFO.fullmatch(text, start, at):
            raise MessageError(400, "Malformed user part in URI")
        user, colon, secret = text[start:at].partition(":")
        password = secret if colon else None
        start = at + 1
    return _read_host_and_rest(scheme, user, password, text, start)


def _read_host_and_rest(
    scheme: str, user: str | None, password: str | None, text: str, start: int
) -> SipUri:
    found = _HOSTPORT.match(text, start)
    if not found:
        raise MessageError(400, "Malformed host in URI")
    host, port_text = found.groups()
    port = int(port_text) if port_text else None
    if port is not None and not 0 < port < 65_536:
        raise MessageError(400, "Port out of range in URI")
    at, end = found.end(), len(text)
    parameters: list[tuple[str, str | None]] = []
    while at < end and text[at] == ";":
        found = _URI_PARAMETER.match(text, at)
        if not found:
            raise MessageError(400, "Malformed URI parameter")
        parameters.append((found[1], found[2]))
        at = found.end()
    headers = ""
    if at < end:
        found = _URI_HEADERS.fullmatch(text, at)
        if not found:
            raise MessageError(400, "Malformed URI")
        headers = text[at + 1 :]
    return SipUri(scheme, user, host, port, tuple(parameters), headers, password)


_cached_uri = lru_cache(maxsize=8_192)(_read_uri)


def parse_sip_uri(text: str) -> SipUri:
    """As parse_uri, but MessageError 416 for a scheme that is not SIP's."""
    uri = parse_uri(text)
    if isinstance(uri, OpaqueUri):
        raise MessageError(416, "Unsupported URI Scheme")
    return uri


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether two URIs are equal (RFC 3261 19.1.4)."""
    if isinstance(one, OpaqueUri) or isinstance(other, OpaqueUri):
        return one == other
    if (one.scheme, one.username, one.port) != (other.scheme, other.username, other.port):
        return False
    if unquote(one.password or "") != unquote(other.password or ""):
        return False
    if one.host.lower() != other.host.lower():
        return False
    first, second = _comparable(one), _comparable(other)
    for name in first.keys() | second.keys():
        both = name in first and name in second
        if (both or name in _COMPARED_PARAMETERS) and first.get(name) != second.get(name):
            return False
    return _header_set(one.headers) == _header_set(other.headers)


def _comparable(uri: SipUri) -> dict[str, str]:
    return {unquote(k).lower(): unquote(v or "").lower() for k, v in uri.parameters}


def _header_set(text: str) -> list[tuple[str, str]]:
    pairs = (piece.partition("=") for piece in text.split("&") if piece)
    return sorted((unquote(name).lower(), unquote(value)) for name, _, value in pairs)


@dataclass(frozen=True, slots=True)
class NameAddress:
    """A display name, a URI and header parameters: From, To, Contact, Route."""

    uri: Uri
    display_name: str = ""
    parameters: Parameters = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The tag parameter, or "" where there is none (RFC 2543 peers)."""
        return self.parameters.get("tag") or ""

    def __str__(self) -> str:
        name = f'"{quote(self.display_name)}" ' if self.display_name else ""
        tail = "".join(f";{k}" if v is None else f";{k}={v}" for k, v in self.parameters.items())
        return f"{name}<{self.uri}>{tail}"


def quote(text: str) -> str:
    """`text` as the inside of a quoted-string; line ends become spaces."""
    flat = text.replace("\r", " ").replace("\n", " ")
    return flat.replace("\\", "\\\\").replace('"', '\\"')


def unquoted(text: str) -> str:
    """A quoted-string without its quotes and escapes; other text as it is."""
    if len(text) >= 2 and text[0] == '"' and text[-1] == '"':
        return _ESCAPE.sub(r"\1", text[1:-1])
    return text


def parse_parameters(text: str, at: int = 0) -> dict[str, str | None]:
    """The ;name=value pairs of `text` from `at` to its end; MessageError 400 if malformed."""
    out: dict[str, str | None] = {}
    end = len(text)
    while at < end:
        found = _PARAMETER.match(text, at)
        if not found:
            raise MessageError(400, "Malformed header parameter")
        out[found[1].lower()] = found[2]
        at = found.end()
    return out


def parse_address(text: str) -> NameAddress:
    """A From, To, Contact or Route value (RFC 3261 20.10); MessageError 400 if malformed."""
    if len(text) <= CACHED_TEXT_CHARACTERS_MAX:
        return _cached_address(text)
    return _read_address(text)


def _read_address(text: str) -> NameAddress:
    found = _NAME_ADDR.match(text)
    if found:
        quoted, plain, uri = found.groups()
        name = unquoted(quoted) if quoted else plain.strip(" \t")
        return NameAddress(parse_uri(uri), name, parse_parameters(text, found.end()))
    found = _ADDR_SPEC.match(text)
    if found:
        return NameAddress(parse_uri(found[1]), "", parse_parameters(text, found.end()))
    raise MessageError(400, "Malformed address")


_cached_address = lru_cache(maxsize=8_192)(_read_address)


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value (RFC 3261 20.42). `transport` in capitals."""

    transport: str
    host: str
    port: int | None
    parameters: Parameters

    @property
    def branch(self) -> str:
        """The branch parameter or ""."""
        return self.parameters.get("branch") or ""

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        tail = "".join(f";{k}" if v is None else f";{k}={v}" for k, v in self.parameters.items())
        return f"SIP/2.0/{self.transport} {self.host}{port}{tail}"


def parse_via(text: str) -> Via:
    """One Via value; MessageError 400 if malformed."""
    found = _VIA.match(text)
    if not found:
        raise MessageError(400, "Malformed Via")
    transport, host, port_text = found.groups()
    port = int(port_text) if port_text else None
    if port is not None and port > 65_535:
        raise MessageError(400, "Port out of range in Via")
    return Via(transport.upper(), host, port, parse_parameters(text, found.end()))


def split_values(text: str) -> Iterator[str]:
    """The comma-separated values of a header field, blind to commas in quotes and brackets.

    MessageError 400 where a quote or bracket is not closed.
    """
    at, end = 0, len(text)
    while True:
        found = _PIECE.match(text, at)
        stop = found.end() if found else at
        if stop < end and text[stop] != ",":
            raise MessageError(400, "Unbalanced quotes or brackets")
        yield text[at:stop].strip(" \t")
        if stop >= end:
            return
        at = stop + 1
