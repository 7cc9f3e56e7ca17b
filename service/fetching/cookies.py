"""The cookies of one call (RFC 6265): no other call ever sends them.

There is no list of public suffixes here: a cookie may be set for `co.example`, but it
lives no longer than its call and is seen only by servers that this call itself visits.
"""

import ipaddress
from dataclasses import dataclass

import httpx

from service.fetching.freshness import date
from service.limits import COOKIE_BYTES_MAX, COOKIES_MAX, COOKIES_PER_DOMAIN_MAX

# The longest Max-Age, so that times stay numbers.
AGE_S_MAX = 10.0 * 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class _Cookie:
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires_at: float | None
    made: int  # a count, for their order

    @property
    def key(self) -> tuple[str, str, str]:
        return self.name, self.domain, self.path


class CookieJar:
    """Takes what servers set, gives what they are to be sent. `now` is seconds since 1970."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}
        self._made = 0

    def __len__(self) -> int:
        return len(self._cookies)

    def take(self, text: str, url: httpx.URL, now: float) -> None:
        """Take one Set-Cookie field of an answer from `url` (RFC 6265 5.2, 5.3).

        What breaks the rules, or is larger than COOKIE_BYTES_MAX, is left out.
        """
        cookie = self._parse(text, url, now)
        if cookie is None:
            return
        old = self._cookies.pop(cookie.key, None)
        if cookie.expires_at is not None and cookie.expires_at <= now:
            return
        if old is None:
            self._make_room(cookie.domain, now)
        self._cookies[cookie.key] = cookie

    def header(self, url: httpx.URL, now: float) -> str:
        """Return the Cookie field for a request to `url`, empty where there is none (5.4)."""
        self._expire(now)
        host, path = url.host.lower(), url.path or "/"
        fitting = [
            cookie
            for cookie in self._cookies.values()
            if (host == cookie.domain if cookie.host_only else _domain_match(host, cookie.domain))
            and _path_match(path, cookie.path)
            and (url.scheme == "https" or not cookie.secure)
        ]
        fitting.sort(key=lambda cookie: (-len(cookie.path), cookie.made))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in fitting)

    def _parse(self, text: str, url: httpx.URL, now: float) -> _Cookie | None:
        if len(text) > COOKIE_BYTES_MAX or any(ord(char) < 32 and char != "\t" for char in text):
            return None
        pair, *rest = text.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not name or not equals:
            return None
        told = {
            key.strip().lower(): said.strip()
            for key, _, said in (attribute.partition("=") for attribute in rest)
        }
        host = url.host.lower()
        domain = told.get("domain", "").lower().removeprefix(".")
        if domain and domain != host and not (_domain_match(host, domain) and "." in domain):
            return None
        host_only = not domain or (domain == host and ("." not in host or _is_address(host)))
        path = told.get("path", "")
        self._made += 1
        return _Cookie(
            name,
            value,
            domain or host,
            host_only,
            path if path.startswith("/") else _default_path(url.path),
            "secure" in told,
            _expiry(told, now),
            self._made,
        )

    def _make_room(self, domain: str, now: float) -> None:
        """Forget the expired, then the oldest, where there are too many (RFC 6265 5.3)."""
        self._expire(now)
        same = [cookie for cookie in self._cookies.values() if cookie.domain == domain]
        if len(same) >= COOKIES_PER_DOMAIN_MAX:
            del self._cookies[same[0].key]
        elif len(self._cookies) >= COOKIES_MAX:
            del self._cookies[next(iter(self._cookies))]

    def _expire(self, now: float) -> None:
        for cookie in list(self._cookies.values()):
            if cookie.expires_at is not None and cookie.expires_at <= now:
                del self._cookies[cookie.key]


def _expiry(told: dict[str, str], now: float) -> float | None:
    """Return when a cookie ends; None: with its call. Max-Age comes before Expires (5.3)."""
    age = told.get("max-age", "")
    if age.removeprefix("-").isdecimal() and age.isascii():
        return now + min(float(age[:12]), AGE_S_MAX)
    return date(told.get("expires"))


def _domain_match(host: str, domain: str) -> bool:
    """RFC 6265 5.1.3."""
    return host == domain or (host.endswith("." + domain) and not _is_address(host))


def _path_match(path: str, cookie_path: str) -> bool:
    """RFC 6265 5.1.4."""
    if not path.startswith(cookie_path):
        return False
    return cookie_path.endswith("/") or path[len(cookie_path) :][:1] in ("", "/")


def _default_path(path: str) -> str:
    """RFC 6265 5.1.4: the folder of the address."""
    folder = path.rpartition("/")[0]
    return folder if folder.startswith("/") else "/"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
