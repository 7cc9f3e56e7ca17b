"""Compiled documents and grammars are kept by content, and not for ever."""

import pytest

from vxml_engine import cache as cache_module
from vxml_engine.cache import DocumentCache
from vxml_engine.errors import DocumentError, GrammarError
from vxml_engine.limits import (
    DOCUMENTS_CACHED_BYTES_MAX,
    DOCUMENTS_CACHED_MAX,
    GRAMMAR_BYTES_MAX,
    GRAMMARS_CACHED_MAX,
)

URL = "http://test/"


def document(text: str) -> bytes:
    return f'<vxml version="2.1"><form><block>{text}</block></form></vxml>'.encode()


def grammar(keys: str) -> bytes:
    return f'<grammar mode="dtmf" root="a"><rule id="a">{keys}</rule></grammar>'.encode()


def test_the_same_bytes_are_one_document_whatever_their_address() -> None:
    cache = DocumentCache()
    first = cache.get(document("a"), URL + "a")
    assert cache.get(document("a"), URL + "b") is first
    assert cache.get(document("b"), URL + "a") is not first
    assert len(cache) == 2


def test_a_document_is_prepared_once() -> None:
    prepared: list[object] = []
    cache = DocumentCache(prepared.append)
    for _ in range(3):
        cache.get(document("a"), URL)
    assert len(prepared) == 1


def test_a_broken_document_is_told_each_time() -> None:
    cache = DocumentCache()
    for _ in range(2):
        with pytest.raises(DocumentError):
            cache.get(b"<vxml", URL)
    assert len(cache) == 0


def test_the_document_not_used_for_longest_goes_first() -> None:
    cache = DocumentCache()
    first = cache.get(document("0"), URL)
    second = cache.get(document("1"), URL)
    for n in range(2, DOCUMENTS_CACHED_MAX):
        cache.get(document(str(n)), URL)
    assert cache.get(document("0"), URL) is first
    cache.get(document("another"), URL)
    assert len(cache) == DOCUMENTS_CACHED_MAX
    assert cache.get(document("0"), URL) is first
    assert cache.get(document("1"), URL) is not second


def test_many_long_documents_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(document("x" * 1000))
    assert size < DOCUMENTS_CACHED_BYTES_MAX
    monkeypatch.setattr(cache_module, "DOCUMENTS_CACHED_BYTES_MAX", 3 * size)
    cache = DocumentCache()
    for letter in "abcdef":
        cache.get(document(letter * 1000), URL)
    assert len(cache) == 3


def test_grammars_are_kept_by_content() -> None:
    cache = DocumentCache()
    first = cache.get_grammar(grammar("1"), URL)
    assert cache.get_grammar(grammar("1"), URL) is first
    assert cache.get_grammar(grammar("2"), URL) is not first
    for n in range(GRAMMARS_CACHED_MAX):
        cache.get_grammar(grammar(f"9{n}"), URL)
    assert cache.get_grammar(grammar("1"), URL) is not first


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (grammar("1").ljust(GRAMMAR_BYTES_MAX + 1), "GRAMMAR_BYTES_MAX"),
        (b"<vxml/>", "not <grammar>"),
        (b"<grammar", "grammar"),
        (b'<!DOCTYPE g [<!ENTITY a "1">]><grammar mode="dtmf">&a;</grammar>', "entit"),
    ],
)
def test_what_is_no_grammar_is_told(body: bytes, told: str) -> None:
    with pytest.raises(GrammarError, match=told):
        DocumentCache().get_grammar(body, URL)
