"""SIP messages as the phone reads and writes them: text in, a `SipText` out, and back.

Small and strict enough for a phone among friends: UTF-8, no folded lines, no compact
forms but those of RFC 3261 7.3.3.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "e": "content-encoding",
    "s": "subject",
    "k": "supported",
}
REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    404: "Not Found",
    405: "Method Not Allowed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    600: "Busy Everywhere",
    603: "Decline",
}
URI = re.compile(r"<(sips?:[^>]*)>|(sips?:[^;,\s]+)")
TAG = re.compile(r";\s*tag\s*=\s*([^;,\s]+)")


class NotSip(ValueError):
    """A datagram that is no SIP message."""


@dataclass
class SipText:
    """One message: the words of its first line, its headers in order, its body."""

    first: tuple[str, str, str]
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def status(self) -> int:
        """The status of a response; 0 for a request."""
        return int(self.first[1]) if self.first[0] == "SIP/2.0" else 0

    @property
    def method(self) -> str:
        """The method of a request, or that of the request a response answers."""
        return self.get("cseq").split()[-1] if self.status else self.first[0]

    def all(self, name: str) -> list[str]:
        """Return every value of a header, in order (Via and Route split at their commas)."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        if name.lower() in ("via", "route", "record-route"):
            return [part.strip() for value in found for part in _split(value)]
        return found

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a header."""
        return next((v for key, v in self.headers if key.lower() == name.lower()), default)

    def add(self, name: str, value: str | int) -> "SipText":
        """Append a header; returns the message itself."""
        self.headers.append((name, str(value)))
        return self

    def encode(self) -> bytes:
        """Return the message as bytes, with its Content-Length."""
        lines = [" ".join(self.first)]
        lines += [f"{k}: {v}" for k, v in self.headers if k.lower() != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def _split(value: str) -> list[str]:
    """Split at commas outside quotes and angle brackets."""
    return re.findall(r'(?:[^,"<]|"(?:[^"\\]|\\.)*"|<[^>]*>)+', value)


def parse(data: bytes) -> SipText:
    """Return the message in `data`; raises NotSip."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise NotSip("no empty line after the headers")
    lines = head.decode("utf-8", "replace").lstrip("\r\n").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) != 3 or "SIP/2.0" not in (words[0], words[2]):
        raise NotSip(f"first line {lines[0]!r}")
    message = SipText((words[0], words[1], words[2]))
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip()
        message.add(COMPACT.get(name.lower(), name), value.strip())
    length = message.get("content-length")
    message.body = body[: int(length)] if length.isdigit() else body
    return message


def uri_of(value: str) -> str:
    """Return the URI of a name-addr or addr-spec header."""
    match = URI.search(value)
    return (match[1] or match[2]) if match else ""


def tag_of(value: str) -> str:
    """Return the tag of a From or To; an empty string where there is none."""
    match = TAG.search(value.rpartition(">")[2])
    return match[1] if match else ""


def parameter_of(value: str, name: str) -> str:
    """Return a parameter of a header value or URI; an empty string where it has none."""
    match = re.search(rf";\s*{name}\s*(?:=\s*([^;,\s>]*))?", value)
    return (match[1] or "") if match else ""


def address_of(uri: str) -> tuple[str, int]:
    """Return the host (an IPv4 address here) and port a URI names."""
    host_port = uri.split(":", 1)[1].split(";")[0].split("?")[0].rpartition("@")[2]
    host, _, port = host_port.partition(":")
    return host, int(port or 5060)


def token(prefix: str = "") -> str:
    """Return a fresh token for tags, branches and Call-IDs."""
    return prefix + secrets.token_hex(8)


_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def digest_answer(
    challenge: str, *, method: str, uri: str, user: str, password: str, count: int = 1
) -> str:
    """Return the Authorization value that answers a challenge (RFC 7616 3.4).

    Raises NotSip for an algorithm it does not know.
    """
    found = dict(re.findall(r'(\w+)\s*=\s*(?:"([^"]*)")', challenge))
    found |= {k: v for k, v in re.findall(r'(\w+)\s*=\s*([^",\s]+)', challenge) if k not in found}
    algorithm = found.get("algorithm", "MD5")
    if algorithm not in _HASHES:
        raise NotSip(f"digest algorithm {algorithm}")

    def hashed(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    realm, nonce = found.get("realm", ""), found["nonce"]
    ha1, ha2 = hashed(f"{user}:{realm}:{password}"), hashed(f"{method}:{uri}")
    answer = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}"'
    answer += f", algorithm={algorithm}"
    if "opaque" in found:
        answer += f', opaque="{found["opaque"]}"'
    if "auth" in found.get("qop", "").replace(" ", "").split(","):
        nc, cnonce = f"{count:08x}", secrets.token_hex(8)
        response = hashed(f"{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}")
        return answer + f', qop=auth, nc={nc}, cnonce="{cnonce}", response="{response}"'
    return answer + f', response="{hashed(f"{ha1}:{nonce}:{ha2}")}"'
