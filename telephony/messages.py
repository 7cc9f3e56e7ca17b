"""SIP messages (RFC 3261 7 and 20): read lazily, written from what was read.

`parse_message` splits the header lines once and keeps the bytes; a header is parsed when it is
asked for, and remembered. `check_request` and `check_response` are the validation above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from telephony.errors import MessageError, StreamError
from telephony.limits import HEADER_FIELDS_MAX, MESSAGE_BYTES_MAX
from telephony.uri import (
    WORD,
    NameAddress,
    OpaqueUri,
    SipUri,
    Uri,
    Via,
    parse_address,
    parse_parameters,
    parse_uri,
    parse_via,
    split_values,
)

COMPACT_FORMS: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
}
# Names as peers mostly write them, so that the common ones cost one look-up.
_KEYS: Final = {
    spelling: key
    for key in (
        *COMPACT_FORMS.values(),
        *("cseq", "max-forwards", "user-agent", "allow", "route", "record-route", "accept"),
        *("require", "proxy-require", "authorization", "proxy-authorization", "expires"),
        *("www-authenticate", "proxy-authenticate", "server", "date", "min-expires"),
    )
    for spelling in (key, key.title(), key.upper())
} | {"CSeq": "cseq", "Call-ID": "call-id", "WWW-Authenticate": "www-authenticate"}
_SINGLE: Final = ("call-id", "cseq", "from", "to", "max-forwards", "content-length", "content-type")

_FOLD = re.compile(r"\r\n[ \t]++")
_WORD = re.compile(WORD)
_REQUEST_LINE = re.compile(rf"({WORD}) ([^\s<>]++) SIP/(\d++\.\d++)", re.I)
_STATUS_LINE = re.compile(r"SIP/(\d++\.\d++) (\d{3})(?: ([^\r\n]*+))?+", re.I)
_CSEQ = re.compile(rf"(\d++)[ \t]++({WORD})")
_MEDIA_TYPE = re.compile(rf"({WORD})[ \t]*+/[ \t]*+({WORD})[ \t]*+")


class Message:
    """What requests and responses share: header fields in order, and a body."""

    __slots__ = ("_contacts", "_cseq", "_from", "_index", "_lines", "_raw", "_to", "_vias", "body")

    def __init__(
        self,
        lines: list[tuple[str, str]],
        index: dict[str, list[str]] | None = None,
        body: bytes = b"",
        raw: bytes | None = None,
    ) -> None:
        self._lines = lines
        self._index = index
        self._raw = raw
        self.body = body
        self._vias: tuple[Via, ...] | None = None
        self._from: NameAddress | None = None
        self._to: NameAddress | None = None
        self._cseq: tuple[int, str] | None = None
        self._contacts: tuple[NameAddress, ...] | None = None

    @property
    def start_line(self) -> str:
        """The first line without its line end."""
        raise NotImplementedError

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """All header fields as (name, value), in order, names as they were written."""
        return self._lines

    def values(self, key: str) -> list[str]:
        """The values of every field named `key` (small letters, long form), unsplit."""
        index = self._index
        if index is None:
            index = self._index = {}
            for name, value in self._lines:
                index.setdefault(_key(name), []).append(value)
        return index.get(key, [])

    def value(self, key: str) -> str | None:
        """The first value of `key`, or None."""
        found = self.values(key)
        return found[0] if found else None

    def items(self, key: str) -> list[str]:
        """The values of `key` with comma-separated ones taken apart; MessageError 400."""
        found = self.values(key)
        if len(found) == 1 and "," not in found[0]:
            return [found[0]] if found[0] else []
        return [item for value in found if value for item in split_values(value)]

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Via values, the nearest first; MessageError 400 if one is malformed."""
        if self._vias is None:
            self._vias = tuple(parse_via(item) for item in self.items("via"))
        return self._vias

    @property
    def from_(self) -> NameAddress:
        """The From field; MessageError 400 where missing or malformed."""
        if self._from is None:
            self._from = parse_address(self._needed("from", "From"))
        return self._from

    @property
    def to(self) -> NameAddress:
        """The To field; MessageError 400 where missing or malformed."""
        if self._to is None:
            self._to = parse_address(self._needed("to", "To"))
        return self._to

    @property
    def call_id(self) -> str:
        """The Call-ID; MessageError 400 where missing."""
        return self._needed("call-id", "Call-ID")

    @property
    def cseq(self) -> tuple[int, str]:
        """The CSeq as (number, method); MessageError 400, also at 2**31 and over."""
        if self._cseq is None:
            found = _CSEQ.fullmatch(self._needed("cseq", "CSeq"))
            if not found:
                raise MessageError(400, "Malformed CSeq")
            self._cseq = (_scalar(found[1], 2**31 - 1, "CSeq"), found[2])
        return self._cseq

    @property
    def contacts(self) -> tuple[NameAddress, ...]:
        """All Contact values ("*" is none of them, see `star`); MessageError 400."""
        if self._contacts is None:
            items = self.items("contact")
            self._contacts = tuple(parse_address(item) for item in items if item != "*")
        return self._contacts

    @property
    def star(self) -> bool:
        """Whether a Contact is "*" (RFC 3261 10.2.2)."""
        return "*" in self.items("contact")

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0 to 255, or None; MessageError 400."""
        text = self.value("max-forwards")
        return None if text is None else _scalar(text, 255, "Max-Forwards")

    @property
    def content_type(self) -> str:
        """The media type in small letters without parameters, or ""; MessageError 400."""
        text = self.value("content-type")
        if not text:
            return ""
        found = _MEDIA_TYPE.match(text)
        if not found:
            raise MessageError(400, "Malformed Content-Type")
        parse_parameters(text, found.end())
        return f"{found[1]}/{found[2]}".lower()

    def _needed(self, key: str, name: str) -> str:
        value = self.value(key)
        if not value:
            raise MessageError(400, f"Missing {name}")
        return value

    def __bytes__(self) -> bytes:
        """The message on the wire: the bytes it was read from, or written out once."""
        if self._raw is None:
            lines = "\r\n".join([f"{name}: {value}" for name, value in self._lines])
            head = f"{self.start_line}\r\n{lines}\r\nContent-Length: {len(self.body)}\r\n\r\n"
            self._raw = head.encode("utf-8", "surrogateescape") + self.body
        return self._raw


class Request(Message):
    """A request. `uri_text` is the Request-URI as written; `uri` reads it."""

    __slots__ = ("method", "reply_head", "uri_text", "version")

    def __init__(
        self,
        method: str,
        uri_text: str,
        lines: list[tuple[str, str]],
        index: dict[str, list[str]] | None = None,
        body: bytes = b"",
        raw: bytes | None = None,
        version: str = "2.0",
    ) -> None:
        super().__init__(lines, index, body, raw)
        self.method = method
        self.uri_text = uri_text
        self.version = version
        self.reply_head: str | None = None

    @property
    def start_line(self) -> str:
        """The Request-Line."""
        return f"{self.method} {self.uri_text} SIP/{self.version}"

    @property
    def uri(self) -> Uri:
        """The Request-URI; MessageError 400 or 414."""
        return parse_uri(self.uri_text)


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status", "version")

    def __init__(
        self,
        status: int,
        reason: str,
        lines: list[tuple[str, str]],
        index: dict[str, list[str]] | None = None,
        body: bytes = b"",
        raw: bytes | None = None,
        version: str = "2.0",
    ) -> None:
        super().__init__(lines, index, body, raw)
        self.status = status
        self.reason = reason
        self.version = version

    @property
    def start_line(self) -> str:
        """The Status-Line."""
        return f"SIP/{self.version} {self.status} {self.reason}"


def _key(name: str) -> str:
    found = _KEYS.get(name)
    if found is not None:
        return found
    key = name.rstrip(" \t").lower()
    return COMPACT_FORMS.get(key, key)


def _scalar(text: str, most: int, name: str) -> int:
    digits = text.lstrip("0") or "0" if text else ""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) > most:
        raise MessageError(400, f"{name} is not a number from 0 to {most}")
    return int(digits)


def parse_message(data: bytes) -> Request | Response:
    """The message in one datagram, or cut from a stream (RFC 3261 7, 18.3).

    Octets past Content-Length are dropped. Raises MessageError whose `message` holds what
    could be read, so that a request can still be answered.
    """
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")  # RFC 3261 7.5
    if len(data) > MESSAGE_BYTES_MAX:
        raise MessageError(513, f"Message Too Large (MESSAGE_BYTES_MAX is {MESSAGE_BYTES_MAX})")
    end = data.find(b"\r\n\r\n")
    whole = end >= 0
    head = (data[:end] if whole else data).decode("utf-8", "surrogateescape")
    body = data[end + 4 :] if whole else b""
    if "\r\n " in head or "\r\n\t" in head:
        head = _FOLD.sub(" ", head)
    first, *rest = head.split("\r\n")
    lines, index, problem = _split_fields(rest)
    message = _start(first, lines, index, data)
    if not whole:
        problem = "Header fields without an end"
    elif head.count("\n") + head.count("\r") != 2 * len(rest):
        problem = "Line end that is not CRLF in the header fields"
    if problem:
        raise MessageError(400, problem, message)
    if message.version != "2.0":
        raise MessageError(505, "Version Not Supported", message)
    message.body = _cut_body(message, body)
    return message


def _split_fields(
    rest: list[str],
) -> tuple[list[tuple[str, str]], dict[str, list[str]], str | None]:
    lines: list[tuple[str, str]] = []
    index: dict[str, list[str]] = {}
    problem: str | None = None
    keys = _KEYS
    for line in rest:
        name, colon, value = line.partition(":")
        key = keys.get(name)
        if key is None:
            name = name.rstrip(" \t")
            if not colon or not _WORD.fullmatch(name):
                problem = "Malformed header field"
                continue
            key = _key(name)
        value = value.strip(" \t")
        lines.append((name, value))
        if key in index:
            index[key].append(value)
        else:
            index[key] = [value]
    if len(lines) > HEADER_FIELDS_MAX:
        problem = f"Too many header fields (HEADER_FIELDS_MAX is {HEADER_FIELDS_MAX})"
    return lines, index, problem


def _start(
    first: str, lines: list[tuple[str, str]], index: dict[str, list[str]], raw: bytes
) -> Request | Response:
    found = _REQUEST_LINE.fullmatch(first)
    if found:
        return Request(found[1], found[2], lines, index, b"", raw, found[3])
    found = _STATUS_LINE.fullmatch(first)
    if found:
        status = int(found[2])
        if not 100 <= status <= 699:
            raise MessageError(400, "Status code out of range")
        return Response(status, found[3] or "", lines, index, b"", raw, found[1])
    method, _, tail = first.partition(" ")
    if not _WORD.fullmatch(method) or not tail.rstrip(" ").endswith("SIP/2.0"):
        raise MessageError(400, "Not a SIP message")
    raise MessageError(400, "Malformed Request-Line", Request(method, "", lines, index, b"", raw))


def _cut_body(message: Request | Response, body: bytes) -> bytes:
    # Several Content-Length fields are for check_request to refuse: nothing is cut here.
    lengths = message.values("content-length")
    if len(lengths) != 1:
        return body
    try:
        length = _scalar(lengths[0], MESSAGE_BYTES_MAX, "Content-Length")
    except MessageError as error:
        error.message = message
        raise
    if length > len(body):
        raise MessageError(400, "Content-Length is larger than the message", message)
    return body[:length] if length < len(body) else body


def check_request(request: Request) -> None:
    """Refuse a request that breaks the rules every method shares (RFC 3261 8.1.1, 8.2).

    Raises MessageError with the status that answers it, its `message` set.
    """
    try:
        _check_common(request)
        number_method = request.cseq[1]
        if number_method != request.method:
            raise MessageError(400, "CSeq method is not the request's method")
        if not request.vias:
            raise MessageError(400, "Missing Via")
        uri = request.uri
        if isinstance(uri, SipUri) and uri.headers:
            raise MessageError(400, "Header fields in the Request-URI")
        _ = request.max_forwards, request.contacts, request.content_type
        for value in request.items("record-route"):
            parse_address(value)
        if request.method == "REGISTER" and isinstance(request.to.uri, OpaqueUri):
            raise MessageError(400, "To of a REGISTER is not a SIP URI")
    except MessageError as error:
        error.message = request
        raise


def check_response(response: Response) -> None:
    """Refuse a response that no transaction can be matched with; MessageError."""
    _check_common(response)
    if not response.vias:
        raise MessageError(400, "Missing Via")
    _ = response.contacts
    for value in response.items("record-route"):
        parse_address(value)


def _check_common(message: Request | Response) -> None:
    for key in _SINGLE:
        if len(message.values(key)) > 1:
            raise MessageError(400, f"Several {key.title()} fields")
    _ = message.call_id, message.from_, message.to, message.cseq, message.vias


def reply_head(request: Request, top_via: str | None = None) -> str:
    """The header lines a response copies: Via, From, Call-ID, CSeq (RFC 3261 8.2.6.2).

    `top_via` replaces the first Via value. Kept with the request.
    """
    if request.reply_head is None:
        vias = request.values("via")
        if top_via is not None:
            vias = [top_via, *request.items("via")[1:]]
        out = [f"Via: {value}\r\n" for value in vias]
        for key, name in (("from", "From"), ("call-id", "Call-ID"), ("cseq", "CSeq")):
            value = request.value(key)
            if value is not None:
                out.append(f"{name}: {value}\r\n")
        text = "".join(out)
        if text.count("\n") != len(out) or text.count("\r") != len(out):
            # What a malformed request smuggled in must not become a line of ours.
            text = "".join(line[:-2].replace("\r", " ").replace("\n", " ") + "\r\n" for line in out)
        request.reply_head = text
    return request.reply_head


def render_response(
    request: Request,
    status: int,
    *,
    reason: str | None = None,
    to_tag: str = "",
    fields: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """The bytes of a response to `request` (RFC 3261 8.2.6), to_tag added where To has none."""
    to = (request.value("to") or "").replace("\r", " ").replace("\n", " ")
    if to:
        to = f"To: {to};tag={to_tag}\r\n" if to_tag else f"To: {to}\r\n"
    extra = "".join([f"{name}: {value}\r\n" for name, value in fields])
    phrase = REASONS.get(status, "Unknown") if reason is None else reason
    head = (
        f"SIP/2.0 {status} {phrase}\r\n{reply_head(request)}{to}{extra}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


class StreamFramer:
    """Cuts a byte stream into messages by Content-Length (RFC 3261 18.3, RFC 5626 3.5.1).

    `feed` what arrived, then call `next_message` until it returns None. `pings` counts the
    double CRLFs that ask for a CRLF back; the caller takes them with `take_pings`.
    """

    __slots__ = ("_buffer", "_pings", "_scanned", "_total")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._total = 0
        self._pings = 0

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._scanned > 0

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        self._buffer += data

    def take_pings(self) -> int:
        """How many keep-alive pings arrived since the last call."""
        pings, self._pings = self._pings, 0
        return pings

    def next_message(self) -> bytes | None:
        """The next whole message, or None until more arrives.

        Raises StreamError where its end cannot be known or is past MESSAGE_BYTES_MAX.
        """
        buffer = self._buffer
        if not self._scanned:
            self._drop_line_ends()
            if len(buffer) < 4 and b"\r\n\r\n".startswith(buffer):
                return None
        if not self._total and not self._find_end():
            return None
        total = self._total
        if len(buffer) < total:
            return None
        message = bytes(buffer[:total])
        del buffer[:total]
        self._scanned = self._total = 0
        return message

    def _find_end(self) -> bool:
        """Whether the header fields are whole; then `_total` is the length of the message."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(self._scanned - 3, 0))
        self._scanned = len(buffer)
        if end < 0:
            if self._scanned > MESSAGE_BYTES_MAX:
                raise self._broken(513, "Header fields over MESSAGE_BYTES_MAX", self._scanned)
            return False
        self._total = end + 4 + self._content_length(end)
        if self._total > MESSAGE_BYTES_MAX:
            raise self._broken(513, f"Message over MESSAGE_BYTES_MAX {MESSAGE_BYTES_MAX}", end + 4)
        return True

    def _drop_line_ends(self) -> None:
        buffer = self._buffer
        at = 0
        while buffer.startswith(b"\r\n", at):
            if buffer.startswith(b"\r\n\r\n", at):
                self._pings += 1
                at += 4
            elif len(buffer) - at in (2, 3) and b"\r\n\r\n".startswith(bytes(buffer[at:])):
                break  # half a ping so far, or a lone line end: the next bytes tell
            else:
                at += 2
        del buffer[:at]

    def _content_length(self, end: int) -> int:
        found = {
            value.strip(b" \t\r\n") for value in _LENGTH_FIELDS.findall(self._buffer, 0, end + 2)
        }
        if len(found) != 1:
            reason = "Several Content-Lengths" if found else "Missing Content-Length"
            raise self._broken(400, reason, end + 4)
        text = found.pop()
        if not text.isdigit() or len(text) > 9:
            raise self._broken(400, "Malformed Content-Length", end + 4)
        return int(text)

    def _broken(self, status: int, reason: str, end: int) -> StreamError:
        return StreamError(status, reason, bytes(self._buffer[: min(end, MESSAGE_BYTES_MAX)]))


_LENGTH_FIELDS = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*+:((?:[^\r\n]++|\r\n[ \t]++)*+)(?=\r\n)", re.I
)
