"""What a caller hears while a script waits for a fetch (VoiceXML 2.0 6.1, 6.3.5)."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.fetching.meanwhile import fetch_with_audio
from tests.kit.loop import run_jumping
from vxml_engine.effects import Fetch

MUSIC = [Path("music.wav")]


class Phone:
    """Notes what it plays and when, in seconds since its beginning; a sound lasts `sound_s`."""

    def __init__(self, sound_s: float = 60.0) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._sound_s = sound_s
        self.heard: list[tuple[str, float]] = []
        self._playing: asyncio.Future[bool] | None = None

    @property
    def now(self) -> float:
        return round(self._clock() - self._began, 3)

    def play(self, files: Sequence[Path], *, loop: bool = False) -> asyncio.Future[bool]:
        self.heard.append((files[0].name, self.now))
        future = self._playing = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(self._sound_s, self.end)
        return future

    def end(self) -> None:
        if self._playing is not None and not self._playing.done():
            self.heard.append(("end", self.now))
            self._playing.set_result(True)

    def stop_playing(self) -> None:
        if self._playing is not None and not self._playing.done():
            self.heard.append(("stopped", self.now))
            self._playing.set_result(False)


def wait_for(
    fetch_s: float,
    *,
    delay_s: float = 2.0,
    minimum_s: float = 5.0,
    sound_s: float = 60.0,
    ready_s: float = 0.0,
    files: Sequence[Path] = MUSIC,
) -> tuple[list[tuple[str, float]], float]:
    """Return what is heard during a fetch of `fetch_s`, and when the script goes on."""

    async def work() -> tuple[list[tuple[str, float]], float]:
        phone = Phone(sound_s)
        effect = Fetch(
            url="http://h.example/",
            method="get",
            fields=(),
            enctype="",
            timeout_s=100,
            purpose="document",
            audio="http://h.example/music.wav",
            audio_delay_s=delay_s,
            audio_minimum_s=minimum_s,
        )

        async def sounds() -> Sequence[Path]:
            await asyncio.sleep(ready_s)
            return files

        assert await fetch_with_audio(effect, asyncio.sleep(fetch_s, "got"), sounds, phone) == "got"
        return phone.heard, phone.now

    return run_jumping(work())


def test_a_quick_fetch_is_silent() -> None:
    assert wait_for(1.9) == ([], 1.9)


def test_a_slow_fetch_is_heard_after_the_delay_until_it_ends() -> None:
    assert wait_for(20) == ([("music.wav", 2), ("stopped", 20)], 20)


def test_what_has_begun_is_heard_for_the_minimum() -> None:
    """`fetchaudiominimum`: even though the document is there."""
    assert wait_for(2.1) == ([("music.wav", 2), ("stopped", 7)], 7)


def test_a_sound_shorter_than_the_minimum_delays_nothing() -> None:
    assert wait_for(2.1, sound_s=1) == ([("music.wav", 2), ("end", 3)], 3)
    assert wait_for(9, sound_s=1) == ([("music.wav", 2), ("end", 3)], 9)


def test_a_sound_that_is_not_there_in_time_is_not_waited_for() -> None:
    assert wait_for(20, ready_s=30) == ([], 20)
    assert wait_for(20, ready_s=10) == ([("music.wav", 10), ("stopped", 20)], 20)


def test_without_a_sound_the_fetch_goes_on() -> None:
    assert wait_for(20, files=[]) == ([], 20)


def test_what_fails_fails_and_silences_the_sound() -> None:
    async def fail() -> None:
        await asyncio.sleep(10)
        raise ValueError("no document")

    heard = _cut(fail())
    assert heard == [("music.wav", 0), ("stopped", 10)]


def _cut(work: Coroutine[Any, Any, None]) -> list[tuple[str, float]]:
    async def run() -> list[tuple[str, float]]:
        phone = Phone()
        effect = Fetch("http://h/", "get", (), "", 100, "document")

        async def sounds() -> Sequence[Path]:
            return MUSIC

        with pytest.raises(ValueError, match="no document"):
            await fetch_with_audio(effect, work, sounds, phone)
        return phone.heard

    return run_jumping(run())


def test_who_is_cut_off_leaves_nothing_behind() -> None:
    async def run() -> None:
        phone, ended = Phone(), asyncio.Event()

        async def fetch() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                ended.set()

        async def sounds() -> Sequence[Path]:
            return MUSIC

        effect = Fetch("http://h/", "get", (), "", 100, "document")
        task = asyncio.create_task(fetch_with_audio(effect, fetch(), sounds, phone))
        await asyncio.sleep(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 1)
        assert phone.heard == [("music.wav", 0), ("stopped", 3)]

    run_jumping(run())
