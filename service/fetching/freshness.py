"""How long an answer may be used again: RFC 9111 for a shared cache, with VoiceXML's say.

Pure functions of an answer and the time. `now` and all times are seconds since 1970, as
the dates in HTTP are. Names of header fields are in lower case.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime

from service.limits import CACHE_HEURISTIC_PART, CACHE_HEURISTIC_S_MAX
from vxml_engine.effects import Caching

Fields = tuple[tuple[str, str], ...]

# A number of seconds too large to count with means "never" (RFC 9111 1.2.2).
DELTA_S_MAX = 2**31
# Statuses that may be kept when nothing says for how long (RFC 9110 15.1), of those we use.
KEPT_BY_DEFAULT = frozenset({200, 203, 301, 308})
KEPT_WHERE_SAID = KEPT_BY_DEFAULT | {302, 307}
# Fields of one connection, and of an answer's body, which a 304 has no word on (RFC 9111 3.1,
# 3.2). Our bodies are stored unpacked. Cookies belong to the call that was given them.
NOT_STORED = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
NOT_UPDATED = NOT_STORED | {
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "vary",
}
# Directives that forbid a shared cache to use what is stale (RFC 9111 4.2.4, 5.2.2.10).
NEVER_STALE = ("must-revalidate", "proxy-revalidate", "s-maxage", "no-cache")
# Directives that let a shared cache keep what needed authorization (RFC 9111 3.5).
SHARED_IN_SPITE = ("must-revalidate", "public", "s-maxage")

_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?"""
)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a server answered: the whole body, unpacked, and what is needed to use it again.

    `vary` are the request's fields that chose it (RFC 9111 4.1), `digest` is the SHA-256 of
    the body in hex; the request began at `asked_at`, the header came at `came_at`.
    """

    url: str
    status: int
    fields: Fields
    body: bytes
    digest: str
    asked_at: float
    came_at: float
    vary: Fields = ()

    @property
    def content_type(self) -> str:
        """The media type as the server says it; empty where it does not."""
        return first(self.fields, "content-type") or ""


def values(fields: Fields, name: str) -> list[str]:
    """Return the values of each field of that name, in their order."""
    return [value for field, value in fields if field == name]


def first(fields: Fields, name: str) -> str | None:
    """Return the first field's value, None where there is none."""
    return next((value.strip() for field, value in fields if field == name), None)


def directives(fields: Fields) -> dict[str, str]:
    """Return Cache-Control's directives (RFC 9111 5.2); one that contradicts itself is empty."""
    found: dict[str, str] = {}
    for text in values(fields, "cache-control"):
        for match in _DIRECTIVE.finditer(text):
            name = match[1].lower()
            value = match[2] if match[2] is not None else match[3] or ""
            found[name] = value if found.get(name, value) == value else ""
    return found


def date(text: str | None) -> float | None:
    """Return the time of an HTTP date (RFC 9110 5.6.7), None where it is none."""
    try:
        told = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, OverflowError, TypeError):
        return None
    return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()


def explicit_lifetime_s(fields: Fields, came_at: float) -> float | None:
    """Return how long the server says it is fresh (RFC 9111 4.2.1), None where it does not.

    What cannot be read counts as no time at all.
    """
    said = directives(fields)
    for name in ("s-maxage", "max-age"):
        if name in said:
            return _delta_s(said[name]) or 0.0
    expires = values(fields, "expires")
    if not expires:
        return None
    until = date(expires[0])
    dated = date(first(fields, "date"))
    return max(0.0, (until or 0.0) - (came_at if dated is None else dated))


def lifetime_s(answer: Answer) -> float:
    """Return how long an answer is fresh, from when it was made (RFC 9111 4.2.1, 4.2.2)."""
    said = explicit_lifetime_s(answer.fields, answer.came_at)
    if said is not None:
        return said
    changed = date(first(answer.fields, "last-modified"))
    # An address with a query is most often an answer to what a caller entered.
    if changed is None or answer.status not in KEPT_BY_DEFAULT or "?" in answer.url:
        return 0.0
    dated = date(first(answer.fields, "date"))
    unchanged_s = (answer.came_at if dated is None else dated) - changed
    return min(max(0.0, unchanged_s * CACHE_HEURISTIC_PART), CACHE_HEURISTIC_S_MAX)


def age_s(answer: Answer, now: float) -> float:
    """Return how long ago an answer was made or validated at its origin (RFC 9111 4.2.3)."""
    dated = date(first(answer.fields, "date"))
    apparent_s = max(0.0, answer.came_at - dated) if dated is not None else 0.0
    told_s = _delta_s(first(answer.fields, "age") or "") or 0.0
    corrected_s = told_s + max(0.0, answer.came_at - answer.asked_at)
    return max(apparent_s, corrected_s) + max(0.0, now - answer.came_at)


def may_store(sent: Fields, status: int, fields: Fields, came_at: float) -> bool:
    """Return whether a shared cache may keep the answer to a GET (RFC 9111 3).

    Beyond the clause: what a call's cookies may have shaped, or what gives some, is kept only
    where the server itself says for how long.
    """
    said = directives(fields)
    if "no-store" in said or "private" in said or "*" in _varying(fields):
        return False
    if first(sent, "authorization") is not None and not said.keys() & {*SHARED_IN_SPITE}:
        return False
    lifetime = explicit_lifetime_s(fields, came_at)
    personal = first(sent, "cookie") is not None or bool(values(fields, "set-cookie"))
    if personal and not lifetime:
        return False
    if status not in (KEPT_BY_DEFAULT if lifetime is None else KEPT_WHERE_SAID):
        return False
    return lifetime is not None or any(first(fields, name) for name in ("etag", "last-modified"))


def usable(answer: Answer, now: float, caching: Caching) -> bool:
    """Return whether an answer may be used without a word to its server.

    VoiceXML 2.0 6.1.2.1: not where it is older than maxage; where it has expired, only for
    maxstale longer, and not where the server forbids that (RFC 9111 4.2.4).
    """
    said = directives(answer.fields)
    if "no-cache" in said:
        return False
    age = age_s(answer, now)
    if caching.maxage_s is not None and age > caching.maxage_s:
        return False
    stale_s = age - lifetime_s(answer)
    if stale_s < 0:
        return True
    if caching.maxstale_s is None or any(name in said for name in NEVER_STALE):
        return False
    return stale_s <= caching.maxstale_s


def conditions(answer: Answer) -> Fields:
    """Return the fields that ask a server whether an answer still holds (RFC 9111 4.3.1)."""
    asked: list[tuple[str, str]] = []
    if etag := first(answer.fields, "etag"):
        asked.append(("if-none-match", etag))
    if changed := first(answer.fields, "last-modified"):
        asked.append(("if-modified-since", changed))
    return tuple(asked)


def holds_still(answer: Answer, fields: Fields) -> bool:
    """Return whether a 304 with these fields speaks of this answer (RFC 9111 4.3.4).

    With a strong ETag it speaks of the answer that has it, and of no other.
    """
    etag = first(fields, "etag")
    return etag is None or etag.startswith("W/") or etag == first(answer.fields, "etag")


def refreshed(answer: Answer, fields: Fields, asked_at: float, came_at: float) -> Answer:
    """Return a stored answer with the fields of the 304 that validated it (RFC 9111 3.2)."""
    told = tuple(field for field in fields if field[0] not in NOT_UPDATED)
    names = {name for name, _ in told} | {"age"}
    kept = tuple(field for field in answer.fields if field[0] not in names)
    return replace(answer, fields=kept + told, asked_at=asked_at, came_at=came_at)


def vary(sent: Fields, fields: Fields) -> Fields:
    """Return the request's fields that an answer depends on (RFC 9111 4.1)."""
    return tuple((name, _joined(sent, name)) for name in sorted(_varying(fields)))


def chosen_by(answer: Answer, sent: Fields) -> bool:
    """Return whether a request would have been given this answer, by its Vary (RFC 9111 4.1)."""
    return all(_joined(sent, name) == value for name, value in answer.vary)


def request_directives(caching: Caching) -> Fields:
    """Return what tells the caches on the way what a script accepts (RFC 9111 5.2.1)."""
    told = []
    if caching.maxage_s is not None:
        told.append(f"max-age={caching.maxage_s}")
    if caching.maxstale_s is not None:
        told.append(f"max-stale={caching.maxstale_s}")
    return (("cache-control", ", ".join(told)),) if told else ()


def without(fields: Fields, names: Iterable[str]) -> Fields:
    """Return the fields that have none of these names."""
    return tuple(field for field in fields if field[0] not in names)


def _varying(fields: Fields) -> set[str]:
    names = ",".join(values(fields, "vary")).split(",")
    return {name.strip().lower() for name in names if name.strip()}


def _joined(sent: Fields, name: str) -> str:
    return ", ".join(value.strip() for value in values(sent, name))


def _delta_s(text: str) -> float | None:
    """Return a number of seconds (RFC 9111 1.2.2), None where it is none."""
    if not re.fullmatch(r"[0-9]+", text, re.ASCII):
        return None
    return float(DELTA_S_MAX) if len(text) > 10 else min(float(text), float(DELTA_S_MAX))
