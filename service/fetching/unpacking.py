"""Unpacking of bodies (Content-Encoding, RFC 9110 8.4.1), never to more than is permitted.

Gzip and deflate: what Python's own library unpacks. They are all that is asked for.
"""

import zlib

from service.fetching.errors import BrokenAnswer, OverLimit
from service.limits import FETCH_BYTES_MAX, FETCH_GZIP_MEMBERS_MAX

ACCEPTED = "gzip, deflate"
GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Body:
    """Gathers a body from its pieces. Raises OverLimit and BrokenAnswer."""

    def __init__(self, encodings: list[str]) -> None:
        names = [name.strip().lower() for text in encodings for name in text.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        if len(names) > 1 or (names and names[0] not in ("gzip", "x-gzip", "deflate")):
            raise BrokenAnswer(f"it is packed as {', '.join(names)[:60]}, which was not asked for")
        self._packed = names[0].removeprefix("x-") if names else ""
        self._unpacker = zlib.decompressobj(GZIP)
        self._members = 0
        self._received_bytes = 0
        self._begin = b""  # of a deflate body, until it tells its format
        self._body = bytearray()

    def add(self, piece: bytes) -> None:
        """Take the next piece, as it came."""
        self._received_bytes += len(piece)
        if self._received_bytes > FETCH_BYTES_MAX:
            raise OverLimit(f"more than {FETCH_BYTES_MAX} bytes (FETCH_BYTES_MAX)")
        if not self._packed:
            self._body += piece
            return
        if self._members == 0:
            piece = self._begin + piece
            if len(piece) < 2:
                self._begin = piece
                return
            self._next_member(piece)
        try:
            self._unpack(piece)
        except zlib.error as error:
            raise BrokenAnswer(f"its {self._packed} is damaged: {error}") from None

    def end(self) -> bytes:
        """Return the body, after the last piece."""
        if self._packed and self._received_bytes and not self._unpacker.eof:
            raise BrokenAnswer(f"its {self._packed} breaks off")
        return bytes(self._body)

    def _unpack(self, piece: bytes) -> None:
        while piece:
            if self._unpacker.eof:
                self._next_member(piece)
            room = FETCH_BYTES_MAX + 1 - len(self._body)
            self._body += self._unpacker.decompress(piece, room)
            if len(self._body) > FETCH_BYTES_MAX:
                raise OverLimit(f"more than {FETCH_BYTES_MAX} bytes unpacked (FETCH_BYTES_MAX)")
            piece = self._unpacker.unused_data

    def _next_member(self, piece: bytes) -> None:
        """Begin the body, or the next of several gzip members (RFC 1952 2.2)."""
        self._members += 1
        if self._packed == "gzip":
            if self._members > FETCH_GZIP_MEMBERS_MAX:
                raise OverLimit(
                    f"more than {FETCH_GZIP_MEMBERS_MAX} gzip members (FETCH_GZIP_MEMBERS_MAX)"
                )
            self._unpacker = zlib.decompressobj(GZIP)
        elif self._members > 1:
            raise BrokenAnswer("something follows the end of its deflate")
        else:
            # Some servers mean the bare format by "deflate" (RFC 9110 8.4.1.2).
            is_zlib = piece[0] & 0x0F == 8 and (piece[0] << 8 | piece[1]) % 31 == 0
            self._unpacker = zlib.decompressobj(ZLIB if is_zlib else RAW)
