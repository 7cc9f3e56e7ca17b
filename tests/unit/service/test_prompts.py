"""Sounds that scripts fetch: together, kept converted, validated as their server says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media.audiofile import wav_bytes
from media.g711 import encode
from service import prompts as module
from service.calls import Call
from service.config import FetchSettings
from service.fetch import Fetcher
from service.prompts import Prompts
from tests.kit import tones
from tests.kit.clock import VirtualClock
from tests.kit.web import Asked, Web, answer
from vxml_engine.effects import AudioFile, Caching, Fetch, Fetched, Prompt, Segment

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TONE = tones.tone(440.0, 0.5)
SOUND = wav_bytes(TONE)
FRESH = "Cache-Control: max-age=60"


class World:
    """Prompts with a fetcher on loopback; no speech is asked for."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(1_700_000_000.0)
        self.fetcher = Fetcher(FetchSettings(allow_private=True), self._page, now=self.clock)
        self.recordings: dict[str, Path] = {}
        nobody: Any = None
        self.prompts = Prompts(folder, nobody, self.fetcher, self.recordings.get)
        self.call = Call("c", None, "incoming", "33612345678", "33199", NOW, lambda: NOW)

    async def _page(self, effect: Fetch, call: Call) -> Fetched:
        raise AssertionError("no page of ours is a sound")

    async def files(self, *segments: Segment) -> list[Path]:
        return await self.prompts.files([Prompt(segments, bargein=True)], self.call)

    def ready(self, *segments: Segment) -> list[Path] | None:
        return self.prompts.ready([Prompt(segments, bargein=True)])

    def failures(self) -> list[str]:
        return [one.detail["why"] for one in self.call.events if one.kind == "sound_failed"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "sounds")
    yield made
    await made.fetcher.close()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as started:
        yield started


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes each conversion."""
    done: list[int] = []
    real = module.to_prompt

    def convert(data: bytes, **more: Any) -> bytes:
        done.append(len(data))
        return real(data, **more)

    monkeypatch.setattr(module, "to_prompt", convert)
    return done


async def test_a_fresh_sound_is_at_hand_and_an_expired_one_is_not(world: World, web: Web) -> None:
    web.pages["/a.wav"] = answer(SOUND, FRESH)
    segment = AudioFile(web.url("/a.wav"), ())
    assert world.ready(segment) is None
    files = await world.files(segment)
    assert files[0].read_bytes()[44:] == TONE.tobytes()
    assert world.ready(segment) == files
    world.clock.advance(61)
    assert world.ready(segment) is None


async def test_a_sound_that_was_validated_is_not_converted_again(
    world: World, web: Web, converted: list[int]
) -> None:
    async def page(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.header.get("if-none-match") == '"1"':
            writer.write(answer(status="304 Not Modified"))
        else:
            writer.write(answer(SOUND, 'ETag: "1"', FRESH))

    web.pages["/a.wav"] = page
    segment = AudioFile(web.url("/a.wav"), ())
    first = await world.files(segment)
    world.clock.advance(61)
    assert await world.files(segment) == first
    assert (len(web.asked), len(converted)) == (2, 1)


async def test_a_script_says_how_old_a_sound_may_be(world: World, web: Web) -> None:
    """VoiceXML 2.0 6.1.2.1 on <audio>."""
    web.pages["/a.wav"] = answer(SOUND, FRESH)
    await world.files(AudioFile(web.url("/a.wav"), ()))
    world.clock.advance(5)
    assert world.ready(AudioFile(web.url("/a.wav"), (), Caching(maxage_s=4))) is None
    assert world.ready(AudioFile(web.url("/a.wav"), (), Caching(maxage_s=6))) is not None
    world.clock.advance(60)
    assert world.ready(AudioFile(web.url("/a.wav"), (), Caching(maxstale_s=9))) is not None


async def test_the_sounds_of_a_queue_are_fetched_together(world: World, web: Web) -> None:
    """Each waits until all are asked for: one after the other, they never would be."""
    all_asked = asyncio.Event()

    async def page(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(web.asked) == 3:
            all_asked.set()
        await all_asked.wait()
        writer.write(answer(SOUND))

    segments = [AudioFile(web.url(f"/{name}.wav"), ()) for name in "abc"]
    for name in "abc":
        web.pages[f"/{name}.wav"] = page
    assert len(await world.files(*segments)) == 3


async def test_g711_without_a_header_is_known_by_type_or_name(world: World, web: Web) -> None:
    """VoiceXML 2.0 appendix E."""
    law = {"PCMU": encode(TONE, "PCMU"), "PCMA": encode(TONE, "PCMA")}
    web.pages |= {
        "/u": answer(law["PCMU"], "Content-Type: audio/basic"),
        "/a": answer(law["PCMA"], "Content-Type: audio/x-alaw-basic; rate=8000"),
        "/u.ulaw": answer(law["PCMU"], "Content-Type: application/octet-stream"),
        "/a.ALAW": answer(law["PCMA"]),
        "/wav": answer(SOUND, "Content-Type: audio/basic"),
    }
    for path in web.pages:
        (file,) = await world.files(AudioFile(web.url(path), ()))
        heard = np.frombuffer(file.read_bytes()[44:], np.int16).astype(int)
        assert len(heard) == len(TONE), path
        assert np.abs(heard - TONE).max() < 1_100, path


async def test_what_cannot_be_had_is_replaced_and_noted(world: World, web: Web) -> None:
    """VoiceXML 2.0 4.1.3."""
    web.pages |= {"/good.wav": answer(SOUND), "/bad.wav": answer(b"no sound at all")}
    good = AudioFile(web.url("/good.wav"), ())
    missing = AudioFile(web.url("/none.wav?pin=1"), (AudioFile(web.url("/bad.wav"), (good,)),))
    files = await world.files(missing)
    assert files == await world.files(good)
    first, second = world.failures()
    assert first == f"{web.url('/none.wav')}?…: HTTP 404"
    assert second.startswith(f"{web.url('/bad.wav')}: ")


async def test_a_recording_is_played_by_its_reference(world: World, tmp_path: Path) -> None:
    world.recordings["voicemashup://recording/1"] = tmp_path / "said.wav"
    segment = AudioFile("voicemashup://recording/1", ())
    assert world.ready(segment) == [tmp_path / "said.wav"]
    assert await world.files(segment) == [tmp_path / "said.wav"]


async def test_so_many_sounds_stay_on_disk(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SOUND_FILES_BYTES_MAX, made small here."""
    monkeypatch.setattr(module, "SOUND_FILES_BYTES_MAX", 3 * len(SOUND))
    world = World(tmp_path / "sounds")
    for number in range(6):
        web.pages[f"/{number}"] = answer(wav_bytes(tones.tone(300.0 + 50 * number, 0.5)))
        await world.files(AudioFile(web.url(f"/{number}"), ()))
    assert len(list((tmp_path / "sounds").glob("??/*.wav"))) == 3
    assert world.prompts.ringback.exists()
    await world.fetcher.close()
