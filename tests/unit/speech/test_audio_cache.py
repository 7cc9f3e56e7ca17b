"""The cache of spoken audio: names, order of use, bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from speech.cache import AudioCache, content_key


def put(cache: AudioCache, name: str, size: int) -> str:
    key = content_key("engine", "voice", "en", name)
    draft = cache.draft(key, 1)
    draft.write_bytes(b"x" * size)
    cache.keep(key, draft)
    return key


def test_every_part_of_a_text_is_in_its_name() -> None:
    parts = [("e", "v", "l", "s"), ("E", "v", "l", "s"), ("e", "V", "l", "s"), ("e", "v", "L", "s")]
    parts += [("e", "v", "l", "S"), ("ev", "", "l", "s"), ("e", "v", "ls", "")]
    assert len({content_key(*some) for some in parts}) == len(parts)


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path, bytes_max=300)
    cache.open()
    first, second, third = (put(cache, name, 100) for name in "abc")
    assert cache.find(first) is not None
    fourth = put(cache, "d", 100)
    assert cache.find(second) is None
    assert not cache.path(second).exists()
    assert all(cache.find(key) for key in (first, third, fourth))
    assert cache.total_bytes == 300


def test_one_file_over_the_bound_is_still_kept(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path, bytes_max=10)
    cache.open()
    put(cache, "a", 5)
    large = put(cache, "b", 50)
    assert cache.find(large) is not None
    assert cache.total_bytes == 50


def test_the_order_of_use_survives_a_restart(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path, bytes_max=1000)
    cache.open()
    old, new = put(cache, "a", 100), put(cache, "b", 100)
    os.utime(cache.path(new), (2_000, 2_000))
    os.utime(cache.path(old), (1_000, 1_000))
    again = AudioCache(tmp_path, bytes_max=150)
    again.open()
    assert again.find(new) is not None
    assert again.find(old) is None


def test_a_use_counts_after_a_restart_too(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path, bytes_max=1000)
    cache.open()
    used, unused = put(cache, "a", 100), put(cache, "b", 100)
    os.utime(cache.path(used), (1_000, 1_000))
    os.utime(cache.path(unused), (2_000, 2_000))
    cache.find(used)
    again = AudioCache(tmp_path, bytes_max=150)
    again.open()
    assert again.find(used) is not None
    assert again.find(unused) is None


def test_what_was_half_written_is_removed(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path)
    cache.open()
    draft = cache.draft(content_key("e", "v", "l", "s"), 1)
    draft.write_bytes(b"half")
    AudioCache(tmp_path).open()
    assert not draft.exists()


def test_a_file_that_somebody_removed_is_not_found(tmp_path: Path) -> None:
    cache = AudioCache(tmp_path)
    cache.open()
    key = put(cache, "a", 10)
    cache.path(key).unlink()
    assert cache.find(key) is None
    assert cache.total_bytes == 0


def test_a_bound_is_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bytes_max is 0"):
        AudioCache(tmp_path, bytes_max=0)
