"""SSML that comes from anybody: marks, bounds, and markup at random."""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech import limits
from speech.aio import EspeakSynthesizer
from speech.cache import AudioCache
from speech.errors import MarkupError, SpeechError
from speech.markers import append_notes, read_spoken
from speech.synthesizer import Mark

TEXT = "the morning train is late"


@pytest.fixture
async def synthesizer(tmp_path: Path) -> AsyncIterator[EspeakSynthesizer]:
    async with EspeakSynthesizer(tmp_path / "cache") as running:
        yield running


async def test_marks_are_told_again_from_the_cache(tmp_path: Path) -> None:
    ssml = f'<mark name="a"/>{TEXT}<break time="1s"/><mark name="b"/> {TEXT}'
    async with EspeakSynthesizer(tmp_path) as first:
        assert first.cached_spoken(ssml, language="en-US") is None
        spoken = await first.spoken(ssml, language="en-US")
    assert [mark.name for mark in spoken.marks] == ["a", "b"]
    assert spoken.marks[0].offset_ms < 50
    assert 2000 < spoken.marks[1].offset_ms < 2700
    with wave.open(str(spoken.file)) as audio:
        assert spoken.duration_ms == audio.getnframes() // 8
    async with EspeakSynthesizer(tmp_path) as second:
        assert second.cached_spoken(ssml, language="en-US") == spoken


async def test_other_names_of_marks_are_another_text(synthesizer: EspeakSynthesizer) -> None:
    one = await synthesizer.spoken(f'{TEXT}<mark name="a"/>', language="en")
    other = await synthesizer.spoken(f'{TEXT}<mark name="b"/>', language="en")
    assert one.marks[0].name == "a"
    assert other.marks[0].name == "b"


async def test_warnings_are_kept_with_the_audio(synthesizer: EspeakSynthesizer) -> None:
    ssml = '<s xml:lang="tlh">hello</s>'
    spoken = await synthesizer.spoken(ssml, language="en")
    assert spoken.warnings == ("no voice speaks xml:lang 'tlh': spoken by the voice around it",)
    assert synthesizer.cached_spoken(ssml, language="en") == spoken


async def test_a_thousand_marks_come_in_order(synthesizer: EspeakSynthesizer) -> None:
    ssml = "".join(f'<mark name="{number}"/>' for number in range(limits.MARKS_MAX + 5)) + TEXT
    spoken = await synthesizer.spoken(ssml, language="en")
    assert [mark.name for mark in spoken.marks] == [str(n) for n in range(limits.MARKS_MAX)]
    offsets = [mark.offset_ms for mark in spoken.marks]
    assert offsets == sorted(offsets)
    assert len(spoken.warnings) == 1
    assert "MARKS_MAX" in spoken.warnings[0]


async def test_a_file_somebody_broke_is_no_answer(synthesizer: EspeakSynthesizer) -> None:
    spoken = await synthesizer.spoken(TEXT, language="en")
    spoken.file.write_bytes(spoken.file.read_bytes()[:1000])
    assert synthesizer.cached_spoken(TEXT, language="en") is None
    with pytest.raises(SpeechError, match="cannot be read again"):
        await synthesizer.spoken(TEXT, language="en")


def test_notes_of_odd_length_leave_a_file_that_is_read(tmp_path: Path) -> None:
    for name in ("a", "ab"):
        path = tmp_path / f"{name}.wav"
        with wave.open(str(path), "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(8000)
            audio.writeframes(b"\0\0" * 800)
        append_notes(path, ((name, 5),), ("w",))
        assert read_spoken(path).marks == (Mark(name, 5),)
        assert read_spoken(path).duration_ms == 100
        assert int.from_bytes(path.read_bytes()[4:8], "little") == path.stat().st_size - 8


async def test_prosody_does_not_outlive_its_prompt(synthesizer: EspeakSynthesizer) -> None:
    asked = f'<prosody rate="x-slow">one <break time="1s"/> {TEXT}</prosody>'
    before = await synthesizer.spoken("one two three", language="en-US")
    await synthesizer.spoken(asked, language="en-US")
    after = await synthesizer.spoken("one two  three", language="en-US")  # not in the cache
    assert abs(after.duration_ms - before.duration_ms) < 30


@pytest.mark.parametrize("text", ["a\ud800b", "\udfff", "one\n\ud83d two", "a\x00b", "a\x1bb", "￾"])
async def test_what_is_no_character_is_refused(synthesizer: EspeakSynthesizer, text: str) -> None:
    assert synthesizer.cached(text, language="en") is None
    with pytest.raises(MarkupError, match=r"^line \d, column \d"):
        await synthesizer.speak(text, language="en")


HOSTILE = {
    "deep": "<p>" * 5000 + "</p>" * 5000,
    "as deep as it may be": "<emphasis xml:lang='fr'>" * 250 + "a" + "</emphasis>" * 250,
    "deep durations": "<prosody duration='1s'>" * 200 + "a" + "</prosody>" * 200,
    "a long word": "a" * 32_000,
    "many words": "word " * 6500,
    "figures": "7" * 32_000,
    "brackets": "[[" * 16_000,
    "breaks": "<break/>" * 8000,
    "breaks in time": '<break time="9s"/>' * 3000,
    "points": "." * 60_000,
    "pictures": "\N{PARTY POPPER}" * 8000,
    "one long break": '<break time="999999999s"/>',
    "a long name": f'<mark name="{"n" * 60_000}"/>a',
    "many attributes": "<p " + " ".join(f'a{n}="1"' for n in range(5000)) + ">a</p>",
    "entities": "<!DOCTYPE x [<!ENTITY a 'b'>]>&a;",
    "another document": "</speak><speak>",
    "a bomb of contours": f'<prosody contour="{"(1%,+1Hz)" * 5000}">a b</prosody>',
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_text_is_spoken_or_refused(synthesizer: EspeakSynthesizer, name: str) -> None:
    try:
        async with asyncio.timeout(limits.REQUEST_SECONDS_MAX + 5):
            spoken = await synthesizer.spoken(HOSTILE[name], language="en")
    except SpeechError:
        pass
    else:
        assert 0 < spoken.duration_ms <= limits.AUDIO_SECONDS_MAX * 1000 + 500
    assert (await synthesizer.spoken(TEXT, language="en")).duration_ms > 1000


async def test_a_process_that_died_at_rest_is_replaced_for_marks_too(
    synthesizer: EspeakSynthesizer,
) -> None:
    os.kill(synthesizer.process_ids[0], signal.SIGKILL)
    spoken = await synthesizer.spoken(f'{TEXT}<mark name="m"/>', language="en")
    assert spoken.marks[0].name == "m"


def bytes_below(folder: Path) -> int:
    """The size of every file below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


async def test_marks_are_evicted_with_their_audio(tmp_path: Path) -> None:
    async with EspeakSynthesizer(tmp_path, cache_bytes_max=60_000) as synthesizer:
        for number in range(12):
            await synthesizer.spoken(f'{TEXT} {number}<mark name="m"/>', language="en")
    assert bytes_below(tmp_path) <= 60_000
    cache = AudioCache(tmp_path)
    cache.open()
    assert cache.total_bytes > 0


# --- Markup at random

VALUES = st.one_of(
    st.sampled_from(
        [
            "x-slow",
            "fast",
            "+50%",
            "-200%",
            "0",
            "1e9",
            "50",
            "500Hz",
            "+5st",
            "-99999st",
            "2s",
            "-1s",
            "10ms",
            "(0%,+5Hz)(100%,-5Hz)",
            "strong",
            "none",
            "female",
            "8",
            "fr",
            "xx",
            "de-AT",
            "ipa",
            "x-sampa",
            "həˈloʊ",
            "date",
            "mdy",
            "digits",
            "silent",
        ]
    ),
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='<&"'), max_size=8),
)
NAMES = st.sampled_from(
    [
        "p",
        "s",
        "voice",
        "prosody",
        "emphasis",
        "break",
        "mark",
        "sub",
        "phoneme",
        "say-as",
        "audio",
        "desc",
        "lexicon",
        "shout",
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        "xml:lang",
        "gender",
        "age",
        "variant",
        "name",
        "rate",
        "pitch",
        "range",
        "volume",
        "contour",
        "duration",
        "level",
        "strength",
        "time",
        "alias",
        "ph",
        "alphabet",
        "interpret-as",
        "format",
    ]
)
WORDS = st.one_of(
    st.sampled_from(["one", "42", "[[", "]]", "12/24", " ", "guten Tag", "&amp;", "&lt;s>"]),
    st.text(st.characters(exclude_characters="<&"), max_size=12),
)


def element(name: str, attributes: dict[str, str], content: list[str]) -> str:
    told = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{told}>{''.join(content)}</{name}>"


TREES = st.recursive(
    WORDS,
    lambda inner: st.builds(
        element,
        NAMES,
        st.dictionaries(ATTRIBUTES, VALUES, max_size=3),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def speaking(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[asyncio.Runner, EspeakSynthesizer]]:
    with asyncio.Runner() as runner:
        synthesizer = EspeakSynthesizer(tmp_path_factory.mktemp("random"))
        runner.run(synthesizer.start())
        yield runner, synthesizer
        runner.run(synthesizer.close())


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ssml=TREES, language=st.sampled_from(["en-US", "fr", "de", "es", "xx"]))
def test_any_markup_is_spoken_or_refused(
    speaking: tuple[asyncio.Runner, EspeakSynthesizer], ssml: str, language: str
) -> None:
    runner, synthesizer = speaking
    try:
        spoken = runner.run(synthesizer.spoken(ssml, language=language))
    except SpeechError:
        return
    assert 0 < spoken.duration_ms <= limits.AUDIO_SECONDS_MAX * 1000 + 500
    offsets = [mark.offset_ms for mark in spoken.marks]
    assert offsets == sorted(offsets)
    assert all(0 <= offset <= spoken.duration_ms for offset in offsets)
