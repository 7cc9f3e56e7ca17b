"""Cookies, clause by clause (RFC 6265)."""

import httpx
import pytest

from service.fetching.cookies import CookieJar
from service.limits import COOKIE_BYTES_MAX, COOKIES_MAX, COOKIES_PER_DOMAIN_MAX

NOW = 1_700_000_000.0
SITE = httpx.URL("http://www.shop.example/cart/list?x=1")


def jar_with(*texts: str, at: httpx.URL = SITE) -> CookieJar:
    jar = CookieJar()
    for text in texts:
        jar.take(text, at, NOW)
    return jar


def sent(jar: CookieJar, url: str, later_s: float = 0) -> str:
    return jar.header(httpx.URL(url), NOW + later_s)


@pytest.mark.parametrize(
    ("text", "url", "header"),
    [
        ("a=b", "http://www.shop.example/cart/list", "a=b"),
        # 5.1.4: the default path is the folder
        ("a=b", "http://www.shop.example/cart", "a=b"),
        ("a=b", "http://www.shop.example/cart/more/deep", "a=b"),
        ("a=b", "http://www.shop.example/cartoon", ""),
        ("a=b", "http://www.shop.example/", ""),
        ("a=b; Path=/", "http://www.shop.example/", "a=b"),
        ("a=b; Path=relative", "http://www.shop.example/", ""),
        ("a=b; Path=/cart/", "http://www.shop.example/cart/x", "a=b"),
        ("a=b; Path=/cart/", "http://www.shop.example/cart", ""),
        # 5.1.3: for the host alone, or its domain
        ("a=b; Path=/", "http://shop.example/", ""),
        ("a=b; Path=/; Domain=shop.example", "http://shop.example/", "a=b"),
        ("a=b; Path=/; Domain=.SHOP.example", "http://other.shop.example/", "a=b"),
        ("a=b; Path=/; Domain=shop.example", "http://eshop.example/", ""),
        ("a=b; Path=/; Domain=other.example", "http://other.example/", ""),
        ("a=b; Path=/; Domain=example", "http://shop.example/", ""),
        ("a=b; Path=/; Domain=cart.www.shop.example", "http://cart.www.shop.example/", ""),
        ("a=b; Path=/; Domain=", "http://www.shop.example/", "a=b"),
        # 5.4: secure cookies go over TLS only
        ("a=b; Path=/; Secure", "http://www.shop.example/", ""),
        ("a=b; Path=/; Secure; HttpOnly", "https://www.shop.example/", "a=b"),
        # 5.2: how it is written
        (" a = b c ; Path=/", "http://www.shop.example/", "a=b c"),
        ("a=b=c; Path=/", "http://www.shop.example/", "a=b=c"),
        ('a="b"; Path=/', "http://www.shop.example/", 'a="b"'),
        ("a=; Path=/", "http://www.shop.example/", "a="),
        ("=b; Path=/", "http://www.shop.example/", ""),
        ("nothing; Path=/", "http://www.shop.example/", ""),
        ("a=b\r\nX: y; Path=/", "http://www.shop.example/", ""),
    ],
)
def test_where_a_cookie_is_sent(text: str, url: str, header: str) -> None:
    assert sent(jar_with(text), url) == header


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("Max-Age=60", 60),
        ("Expires=Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Expires=Tue, 14-Nov-2023 22:14:20 GMT", 60),
        ("Max-Age=60; Expires=Tue, 14 Nov 2000 22:14:20 GMT", 60),
    ],
)
def test_a_cookie_ends(attributes: str, seconds: int) -> None:
    jar = jar_with(f"a=b; Path=/; {attributes}")
    assert sent(jar, "http://www.shop.example/", seconds - 1) == "a=b"
    assert sent(jar, "http://www.shop.example/", seconds) == ""
    assert len(jar) == 0


@pytest.mark.parametrize("attributes", ["", "Max-Age=soon", "Expires=later"])
def test_a_cookie_without_an_end_lasts_as_long_as_its_call(attributes: str) -> None:
    jar = jar_with(f"a=b; Path=/; {attributes}")
    assert sent(jar, "http://www.shop.example/", 10**6) == "a=b"


@pytest.mark.parametrize(
    "end", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_server_takes_its_cookie_back(end: str) -> None:
    jar = jar_with("a=b; Path=/", f"a=b; Path=/; {end}")
    assert sent(jar, "http://www.shop.example/") == ""


def test_longer_paths_first_then_the_older() -> None:
    """5.4."""
    jar = jar_with("a=1; Path=/", "b=2; Path=/cart", "c=3; Path=/", "d=4; Path=/cart")
    assert sent(jar, "http://www.shop.example/cart/x") == "b=2; d=4; a=1; c=3"


def test_the_same_name_domain_and_path_is_the_same_cookie() -> None:
    jar = jar_with("a=1; Path=/", "a=2; Path=/", "a=3; Path=/cart")
    assert sent(jar, "http://www.shop.example/cart/x") == "a=3; a=2"


def test_an_address_has_no_domains() -> None:
    at = httpx.URL("http://192.0.2.1/")
    assert sent(jar_with("a=b; Domain=0.2.1", at=at), "http://192.0.2.1/") == ""
    assert sent(jar_with("a=b; Domain=192.0.2.1", at=at), "http://192.0.2.1/") == "a=b"
    assert sent(jar_with("a=b; Domain=192.0.2.1", at=at), "http://9.192.0.2.1/") == ""


def test_too_large_a_cookie_is_left_out() -> None:
    """COOKIE_BYTES_MAX."""
    head = "a=b; Path=/; x="
    fits = head + "x" * (COOKIE_BYTES_MAX - len(head))
    assert len(jar_with(fits)) == 1
    assert len(jar_with(fits + "x")) == 0


def test_one_domain_holds_so_many_cookies_the_oldest_go() -> None:
    """COOKIES_PER_DOMAIN_MAX."""
    jar = jar_with(*(f"c{n}=v; Path=/" for n in range(COOKIES_PER_DOMAIN_MAX + 1)))
    header = sent(jar, "http://www.shop.example/")
    assert len(jar) == COOKIES_PER_DOMAIN_MAX
    assert "c0=v" not in header.split("; ")
    assert f"c{COOKIES_PER_DOMAIN_MAX}=v" in header


def test_one_call_holds_so_many_cookies() -> None:
    """COOKIES_MAX."""
    jar = CookieJar()
    for number in range(COOKIES_MAX + 5):
        jar.take("a=b; Path=/", httpx.URL(f"http://h{number}.example/"), NOW)
    assert len(jar) == COOKIES_MAX
    assert sent(jar, "http://h0.example/") == ""
    assert sent(jar, f"http://h{COOKIES_MAX + 4}.example/") == "a=b"
