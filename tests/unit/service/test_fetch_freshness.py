"""What may be kept and used again, clause by clause (RFC 9111, VoiceXML 2.0 6.1.2)."""

import pytest

from service.fetching.freshness import (
    Answer,
    age_s,
    chosen_by,
    conditions,
    date,
    directives,
    holds_still,
    lifetime_s,
    may_store,
    refreshed,
    request_directives,
    usable,
    vary,
)
from service.limits import CACHE_HEURISTIC_S_MAX
from vxml_engine.effects import Caching

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
NOW_TEXT = "Tue, 14 Nov 2023 22:13:20 GMT"
HOUR_AGO = "Tue, 14 Nov 2023 21:13:20 GMT"
IN_A_MINUTE = "Tue, 14 Nov 2023 22:14:20 GMT"
TEN_DAYS_AGO = "Sat, 04 Nov 2023 22:13:20 GMT"
HTTP = Caching()


def fields(text: str) -> tuple[tuple[str, str], ...]:
    """Header fields as one writes them: `name: value | name: value`."""
    pairs = [line.partition(":") for line in text.split("|") if line.strip()]
    return tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)


def answer(text: str, *, status: int = 200, url: str = "http://h.example/a") -> Answer:
    return Answer(url, status, fields(text), b"body", "digest", NOW, NOW)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        # RFC 9111 4.2.1, in the order of precedence
        ("Cache-Control: max-age=60", 60),
        ("Cache-Control: s-maxage=10, max-age=60", 10),
        (f"Cache-Control: max-age=60 | Expires: {HOUR_AGO}", 60),
        (f"Date: {NOW_TEXT} | Expires: {IN_A_MINUTE}", 60),
        (f"Expires: {IN_A_MINUTE}", 60),
        (f"Date: {NOW_TEXT} | Expires: {HOUR_AGO}", 0),
        # 5.3: an Expires that is no date is in the past
        ("Expires: 0", 0),
        (f"Expires: -1 | Last-Modified: {TEN_DAYS_AGO}", 0),
        # 4.2.1: what contradicts itself or is no number is stale
        ("Cache-Control: max-age=60, max-age=5", 0),
        ("Cache-Control: max-age=60 | Cache-Control: max-age=60", 60),
        ("Cache-Control: max-age=soon", 0),
        ("Cache-Control: max-age=-5", 0),
        ("Cache-Control: max-age", 0),
        ('Cache-Control: max-age="30"', 30),
        # 5.2: names whatever their case; 1.2.2: too large a number
        ("Cache-Control: MAX-AGE=7", 7),
        ("Cache-Control: max-age=99999999999999999999", 2**31),
        # 4.2.2: by Last-Modified, a tenth of the time unchanged, a day at most
        (f"Date: {NOW_TEXT} | Last-Modified: {HOUR_AGO}", 360),
        (f"Last-Modified: {TEN_DAYS_AGO}", CACHE_HEURISTIC_S_MAX),
        (f"Date: {NOW_TEXT} | Last-Modified: {IN_A_MINUTE}", 0),
        ("ETag: x", 0),
    ],
)
def test_how_long_an_answer_is_fresh(header: str, seconds: float) -> None:
    assert lifetime_s(answer(header)) == seconds


def test_what_a_query_answered_is_not_fresh_unless_said() -> None:
    header = f"Last-Modified: {TEN_DAYS_AGO}"
    assert lifetime_s(answer(header, url="http://h.example/a?b=c")) == 0
    assert lifetime_s(answer("Cache-Control: max-age=5", url="http://h.example/a?b=c")) == 5


@pytest.mark.parametrize(
    ("header", "asked_s_before", "later_s", "age"),
    [
        # RFC 9111 4.2.3
        ("", 0, 5, 5),
        ("Age: 100", 0, 5, 105),
        ("Age: 100", 3, 5, 108),  # the time on the way counts
        (f"Date: {HOUR_AGO}", 0, 5, 3605),
        (f"Date: {HOUR_AGO} | Age: 7", 0, 0, 3600),
        (f"Date: {IN_A_MINUTE}", 0, 5, 5),  # a clock that is ahead makes nothing younger
        ("Age: no number", 0, 1, 1),
        ("", 0, -50, 0),  # nor does one that is set back
    ],
)
def test_how_old_an_answer_is(header: str, asked_s_before: float, later_s: float, age: int) -> None:
    made = Answer("http://h/", 200, fields(header), b"", "", NOW - asked_s_before, NOW)
    assert age_s(made, NOW + later_s) == age


@pytest.mark.parametrize(
    ("header", "caching", "old_s", "may_be_used"),
    [
        # VoiceXML 2.0 6.1.2.1: neither maxage nor maxstale
        ("Cache-Control: max-age=60", HTTP, 59, True),
        ("Cache-Control: max-age=60", HTTP, 60, False),
        # maxage: not when it is older, however fresh
        ("Cache-Control: max-age=60", Caching(maxage_s=10), 10, True),
        ("Cache-Control: max-age=60", Caching(maxage_s=10), 11, False),
        ("Cache-Control: max-age=60", Caching(maxage_s=0), 1, False),
        ("Cache-Control: max-age=60", Caching(maxage_s=1000), 61, False),
        # maxstale: expired by no more than that
        ("Cache-Control: max-age=60", Caching(maxstale_s=20), 80, True),
        ("Cache-Control: max-age=60", Caching(maxstale_s=20), 81, False),
        ("Cache-Control: max-age=60", Caching(maxage_s=70, maxstale_s=20), 75, False),
        ("ETag: x", Caching(maxstale_s=20), 15, True),
        # RFC 9111 4.2.4, 5.2.2: the server forbids it to be used stale
        ("Cache-Control: max-age=60, must-revalidate", Caching(maxstale_s=20), 61, False),
        ("Cache-Control: max-age=60, proxy-revalidate", Caching(maxstale_s=20), 61, False),
        ("Cache-Control: s-maxage=60", Caching(maxstale_s=20), 61, False),
        ("Cache-Control: max-age=60, must-revalidate", HTTP, 59, True),
        # 5.2.2.4: no-cache, with names of fields as without
        ("Cache-Control: max-age=60, no-cache", HTTP, 0, False),
        ('Cache-Control: max-age=60, no-cache="set-cookie"', HTTP, 0, False),
        ("Cache-Control: max-age=60, no-cache", Caching(maxstale_s=20), 0, False),
    ],
)
def test_what_may_be_used_without_asking(
    header: str, caching: Caching, old_s: float, may_be_used: bool
) -> None:
    assert usable(answer(header), NOW + old_s, caching) is may_be_used


@pytest.mark.parametrize(
    ("sent", "status", "header", "kept"),
    [
        # RFC 9111 3
        ("", 200, "Cache-Control: max-age=60", True),
        ("", 200, "ETag: x", True),
        ("", 200, f"Last-Modified: {HOUR_AGO}", True),
        ("", 200, f"Expires: {IN_A_MINUTE}", True),
        ("", 200, "Content-Type: text/xml", False),
        ("", 200, "Cache-Control: no-store, max-age=60", False),
        ("", 200, "Cache-Control: private, max-age=60", False),
        ("", 200, 'Cache-Control: max-age=60, private="x-name"', False),
        ("", 200, "Cache-Control: max-age=60 | Vary: *", False),
        ("", 200, "Cache-Control: max-age=60 | Vary: Accept", True),
        # by status (RFC 9110 15.1): a temporary redirect only where it says so
        ("", 301, "ETag: x", True),
        ("", 302, "ETag: x", False),
        ("", 302, "Cache-Control: max-age=60", True),
        ("", 404, "Cache-Control: max-age=60", False),
        ("", 500, "Cache-Control: max-age=60", False),
        ("", 206, "Cache-Control: max-age=60", False),
        # 3.5: what needed authorization
        ("Authorization: Basic eA==", 200, "Cache-Control: max-age=60", False),
        ("Authorization: Basic eA==", 200, "Cache-Control: max-age=60, public", True),
        ("Authorization: Basic eA==", 200, "Cache-Control: s-maxage=60", True),
        ("Authorization: Basic eA==", 200, "Cache-Control: max-age=9, must-revalidate", True),
        # what cookies may have shaped
        ("Cookie: a=b", 200, "Cache-Control: max-age=60", True),
        ("Cookie: a=b", 200, "ETag: x", False),
        ("Cookie: a=b", 200, "Cache-Control: max-age=0 | ETag: x", False),
        ("", 200, f"Set-Cookie: a=b | Last-Modified: {HOUR_AGO}", False),
        ("", 200, "Set-Cookie: a=b | Cache-Control: max-age=60", True),
    ],
)
def test_what_may_be_kept(sent: str, status: int, header: str, kept: bool) -> None:
    assert may_store(fields(sent), status, fields(header), NOW) is kept


def test_a_server_is_asked_by_both_validators() -> None:
    """RFC 9111 4.3.1."""
    assert conditions(answer(f'ETag: "v1" | Last-Modified: {HOUR_AGO}')) == (
        ("if-none-match", '"v1"'),
        ("if-modified-since", HOUR_AGO),
    )
    assert conditions(answer("Cache-Control: max-age=60")) == ()


def test_a_304_renews_what_is_kept_but_not_its_body() -> None:
    """RFC 9111 3.2, 4.3.4."""
    old = answer(
        'Cache-Control: max-age=60 | ETag: "v1" | Age: 50 | Content-Type: audio/wav | X-Kept: yes'
    )
    told = fields(
        "Cache-Control: max-age=90 | Content-Type: text/plain | Content-Length: 0 |"
        " Content-Encoding: gzip | Connection: close | Set-Cookie: a=b"
    )
    new = refreshed(old, told, NOW + 100, NOW + 101)
    assert new.body == b"body"
    assert new.content_type == "audio/wav"
    assert lifetime_s(new) == 90
    assert age_s(new, NOW + 101) == 1
    names = {name for name, _ in new.fields}
    assert names == {"cache-control", "etag", "content-type", "x-kept"}


def test_a_304_speaks_of_the_answer_with_its_etag() -> None:
    """RFC 9111 4.3.4."""
    old = answer('ETag: "v1"')
    assert holds_still(old, fields('ETag: "v1"'))
    assert holds_still(old, fields(""))
    assert holds_still(old, fields('ETag: W/"v1"'))
    assert not holds_still(old, fields('ETag: "v2"'))


def test_an_answer_is_for_requests_with_what_it_varies_by() -> None:
    """RFC 9111 4.1."""
    asked = fields("Accept: audio/wav | Cookie: a=b")
    by_accept = vary(asked, fields("Vary: Accept, accept-language"))
    made = Answer("http://h/", 200, (), b"", "", NOW, NOW, by_accept)
    assert chosen_by(made, fields("Accept: audio/wav | Cookie: other=1"))
    assert not chosen_by(made, fields("Accept: text/xml"))
    assert not chosen_by(made, fields("Accept: audio/wav | Accept-Language: fr"))


def test_caches_on_the_way_are_told_what_a_script_accepts() -> None:
    """RFC 9111 5.2.1.1, 5.2.1.2."""
    assert request_directives(Caching(maxage_s=0, maxstale_s=5)) == (
        ("cache-control", "max-age=0, max-stale=5"),
    )
    assert request_directives(HTTP) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_the_three_forms_of_dates(text: str) -> None:
    """RFC 9110 5.6.7."""
    assert date(text) == 784111777.0


@pytest.mark.parametrize("text", ["", "0", "tomorrow", "Sun, 99 Nov 1994 08:49:37 GMT", "(" * 99])
def test_what_is_no_date(text: str) -> None:
    assert date(text) is None


def test_directives_in_quotes_stay_whole() -> None:
    """RFC 9111 5.2: a list inside of quotes is one value."""
    found = directives(fields('Cache-Control: private="a, max-age=5", Max-Age=9 ,, foo=bar'))
    assert found == {"private": "a, max-age=5", "max-age": "9", "foo": "bar"}
