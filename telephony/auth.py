"""HTTP digest for SIP, both sides (RFC 3261 22, RFC 7616, RFC 8760): MD5 and SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from telephony.errors import ChallengeError
from telephony.limits import (
    DIGEST_FAILURES_MAX,
    DIGEST_FAILURES_WINDOW_S,
    DIGEST_SOURCES_MAX,
    NONCE_S_MAX,
    NONCES_MAX,
)
from telephony.uri import QUOTED, WORD, quote, unquoted

ALGORITHMS: Final = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
_FIELD = re.compile(rf"[ \t,]*+({WORD})[ \t]*+=[ \t]*+({QUOTED}|[^\s,\"]++)[ \t]*+", re.S)

Ha1 = Callable[[str, str], str | None]


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge or of credentials; None for another scheme."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    fields: dict[str, str] = {}
    at, end = 0, len(rest)
    while at < end:
        found = _FIELD.match(rest, at)
        if not found:
            return fields if not rest[at:].strip(" \t,") else None
        fields[found[1].lower()] = unquoted(found[2])
        at = found.end()
    return fields


def _hash(algorithm: str, text: str) -> str:
    return ALGORITHMS[algorithm](text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_ha1(algorithm: str, username: str, realm: str, password: str) -> str:
    """H(username:realm:password) in hexadecimal; `algorithm` is "MD5" or "SHA-256"."""
    return _hash(algorithm, f"{username}:{realm}:{password}")


def digest_response(
    algorithm: str,
    ha1: str,
    nonce: str,
    method: str,
    uri: str,
    *,
    qop: str = "",
    nonce_count: str = "",
    cnonce: str = "",
) -> str:
    """The response value of RFC 7616 3.4.1, or of RFC 2069 where `qop` is empty."""
    ha2 = _hash(algorithm, f"{method}:{uri}")
    if qop:
        return _hash(algorithm, f"{ha1}:{nonce}:{nonce_count}:{cnonce}:{qop}:{ha2}")
    return _hash(algorithm, f"{ha1}:{nonce}:{ha2}")


class Verdict(Enum):
    """What the credentials of a request prove."""

    PROVEN = "proven"
    ABSENT = "absent"
    STALE = "stale"
    WRONG = "wrong"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Proof:
    """A verdict, and the proven username where there is one."""

    verdict: Verdict
    username: str = ""


_ABSENT: Final = Proof(Verdict.ABSENT)


class DigestServer:
    """Challenges and checks (RFC 3261 22.4).

    A nonce carries its own time and signature, so nothing is kept for one until it is used;
    then the highest nonce count is, and a count that does not grow makes the nonce stale.
    A client without qop may use a nonce once.
    """

    def __init__(
        self,
        realm: str,
        ha1: Ha1,
        algorithms: Sequence[str] = ("MD5",),
        secret: bytes | None = None,
    ) -> None:
        self.realm = realm
        self.algorithms = tuple(algorithms)
        self._ha1 = ha1
        self._secret = secret if secret is not None else secrets.token_bytes(32)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._floor = float("-inf")
        self._issued = 0
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def nonce(self, now: float) -> str:
        """A fresh nonce, good for NONCE_S_MAX seconds from `now`."""
        self._issued += 1
        stamp = f"{int(now * 1000):x}.{self._issued:x}"
        return f"{stamp}.{self._sign(stamp)}"

    def _sign(self, stamp: str) -> str:
        return hmac.new(self._secret, stamp.encode(), hashlib.sha256).hexdigest()[:24]

    def challenges(self, now: float, *, stale: bool = False) -> tuple[str, ...]:
        """Values for WWW-Authenticate or Proxy-Authenticate, one for each algorithm."""
        mark = ", stale=true" if stale else ""
        return tuple(
            f'Digest realm="{quote(self.realm)}", nonce="{self.nonce(now)}", '
            f'algorithm={algorithm}, qop="auth"{mark}'
            for algorithm in self.algorithms
        )

    def check(self, method: str, values: Sequence[str], source: str, now: float) -> Proof:
        """What the Authorization or Proxy-Authorization `values` prove at `now`.

        `source` is the sender's address: too many wrong ones from there are not looked at.
        """
        for value in values:
            fields = parse_digest(value)
            if fields is None or fields.get("realm") != self.realm:
                continue
            if self._blocked(source, now):
                return Proof(Verdict.BLOCKED)
            proof = self._check_fields(method, fields, now)
            if proof.verdict is Verdict.WRONG:
                self._note_failure(source, now)
            return proof
        return _ABSENT

    def _check_fields(self, method: str, fields: dict[str, str], now: float) -> Proof:
        algorithm = fields.get("algorithm", "MD5").upper()
        nonce, qop = fields.get("nonce", ""), fields.get("qop", "")
        username = fields.get("username", "")
        if algorithm not in self.algorithms or qop not in ("", "auth"):
            return _ABSENT
        count_text = fields.get("nc", "")
        if qop and (len(count_text) != 8 or not _is_hexadecimal(count_text)):
            return Proof(Verdict.WRONG)
        issued = self._issued_at(nonce)
        if issued is None or issued < self._floor or not 0 <= now - issued + 0.001 <= NONCE_S_MAX:
            return Proof(Verdict.STALE)
        ha1 = self._ha1(username, algorithm)
        expected = digest_response(
            algorithm,
            ha1 or _hash(algorithm, self._sign(username)),
            nonce,
            method,
            fields.get("uri", ""),
            qop=qop,
            nonce_count=count_text,
            cnonce=fields.get("cnonce", ""),
        )
        given = fields.get("response", "").lower().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(expected.encode(), given) or ha1 is None:
            return Proof(Verdict.WRONG)
        if not self._count(nonce, int(count_text, 16) if qop else 1, issued):
            return Proof(Verdict.STALE)
        return Proof(Verdict.PROVEN, username)

    def _issued_at(self, nonce: str) -> float | None:
        stamp, _, signature = nonce.rpartition(".")
        if not nonce.isascii() or not hmac.compare_digest(self._sign(stamp), signature):
            return None
        return int(stamp.partition(".")[0], 16) / 1000

    def _count(self, nonce: str, count: int, issued: float) -> bool:
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        if len(self._counts) > NONCES_MAX:
            forgotten, _ = self._counts.popitem(last=False)
            # A nonce whose count is forgotten must not be usable again.
            self._floor = max(self._floor, (self._issued_at(forgotten) or issued) + 0.001)
        return True

    def _blocked(self, source: str, now: float) -> bool:
        since, count = self._failures.get(source, (now, 0))
        return count >= DIGEST_FAILURES_MAX and now - since < DIGEST_FAILURES_WINDOW_S

    def _note_failure(self, source: str, now: float) -> None:
        since, count = self._failures.get(source, (now, 0))
        if now - since >= DIGEST_FAILURES_WINDOW_S:
            since, count = now, 0
        self._failures[source] = (since, count + 1)
        self._failures.move_to_end(source)
        if len(self._failures) > DIGEST_SOURCES_MAX:
            self._failures.popitem(last=False)


def _is_hexadecimal(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """A username and password to answer challenges with."""

    username: str
    password: str


def answer_challenge(
    challenges: Sequence[str],
    credentials: DigestCredentials,
    method: str,
    uri: str,
    *,
    nonce_count: int = 1,
    cnonce: str = "",
) -> str:
    """The value of Authorization or Proxy-Authorization that answers `challenges`.

    The strongest algorithm is taken. Raises ChallengeError where none can be answered.
    """
    readable = [fields for fields in map(parse_digest, challenges) if fields and "nonce" in fields]
    for algorithm in ALGORITHMS:
        for fields in readable:
            if fields.get("algorithm", "MD5").upper() == algorithm:
                return _answer(fields, algorithm, credentials, method, uri, nonce_count, cnonce)
    raise ChallengeError(f"no digest challenge with MD5 or SHA-256 in {list(challenges)!r}")


def _answer(
    fields: dict[str, str],
    algorithm: str,
    credentials: DigestCredentials,
    method: str,
    uri: str,
    nonce_count: int,
    cnonce: str,
) -> str:
    offered = [word.strip().lower() for word in fields.get("qop", "").split(",")]
    if offered != [""] and "auth" not in offered:
        raise ChallengeError(f"qop {fields['qop']!r} is not auth")
    qop = "auth" if offered != [""] else ""
    realm, nonce = fields.get("realm", ""), fields["nonce"]
    cnonce = cnonce or secrets.token_hex(8)
    count = f"{nonce_count:08x}"
    ha1 = digest_ha1(algorithm, credentials.username, realm, credentials.password)
    response = digest_response(
        algorithm, ha1, nonce, method, uri, qop=qop, nonce_count=count, cnonce=cnonce
    )
    parts = [
        f'Digest username="{quote(credentials.username)}"',
        f'realm="{quote(realm)}"',
        f'nonce="{quote(nonce)}"',
        f'uri="{uri}"',
        f'response="{response}"',
        f"algorithm={algorithm}",
    ]
    if "opaque" in fields:
        parts.append(f'opaque="{quote(fields["opaque"])}"')
    if qop:
        parts.append(f'qop=auth, nc={count}, cnonce="{cnonce}"')
    return ", ".join(parts)
