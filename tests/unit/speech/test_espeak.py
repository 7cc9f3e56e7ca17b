"""The synthesizer with its real engine and real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from speech import limits, wire
from speech.aio import EspeakSynthesizer
from speech.errors import (
    AudioTooLong,
    MarkupError,
    NotRunning,
    QueueFull,
    SynthesisFailed,
    SynthesisTimeout,
    UnsupportedLanguage,
)
from speech.voices import best_voices, choose_voice

ROOT = Path(__file__).resolve().parents[3]
ENGLISH = "Please say the name of the department you are calling."
FRENCH = "Veuillez dire le nom du service que vous souhaitez joindre."


@pytest.fixture
async def synthesizer(tmp_path: Path) -> AsyncIterator[EspeakSynthesizer]:
    async with EspeakSynthesizer(tmp_path / "cache") as running:
        yield running


def samples(path: Path) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    with wave.open(str(path)) as audio:
        assert audio.getframerate() == 8000
        assert audio.getnchannels() == 1
        assert audio.getsampwidth() == 2
        return np.frombuffer(audio.readframes(audio.getnframes()), "<i2")


def files(folder: Path) -> list[Path]:
    """Every file below ``folder``."""
    return [path for path in folder.rglob("*") if path.is_file()]


async def spoken(synthesizer: EspeakSynthesizer, ssml: str, language: str = "en-US") -> float:
    """How long ``ssml`` lasts, in seconds."""
    return len(samples(await synthesizer.speak(ssml, language=language))) / 8000


async def test_a_sentence_is_telephone_audio_of_a_plausible_length_and_level(
    synthesizer: EspeakSynthesizer,
) -> None:
    audio = samples(await synthesizer.speak(ENGLISH, language="en-US")).astype(float)
    assert 1.5 < len(audio) / 8000 < 5
    assert 1000 < np.sqrt((audio**2).mean()) < 12_000
    assert np.abs(audio).max() <= 29_204
    power = np.abs(np.fft.rfft(audio)) ** 2
    speech_band = power[len(power) * 300 // 4000 : len(power) * 3400 // 4000].sum()
    assert speech_band > 0.4 * power.sum()


async def test_the_loudest_text_keeps_below_full_scale(synthesizer: EspeakSynthesizer) -> None:
    loud = f'<prosody volume="x-loud"><emphasis level="strong">{ENGLISH}</emphasis></prosody>'
    audio = samples(await synthesizer.speak(loud, language="en-US")).astype(int)
    assert 20_000 < np.abs(audio).max() <= 29_204


async def test_the_same_text_sounds_different_in_another_language(
    synthesizer: EspeakSynthesizer,
) -> None:
    english = await synthesizer.speak(FRENCH, language="en-US")
    french = await synthesizer.speak(FRENCH, language="fr-FR")
    assert english != french
    assert len(samples(english)) != len(samples(french))


async def test_a_nested_language_changes_the_voice(synthesizer: EspeakSynthesizer) -> None:
    plain = await spoken(synthesizer, f"<s>{FRENCH}</s>")
    nested = await spoken(synthesizer, f'<s xml:lang="fr">{FRENCH}</s>')
    assert abs(plain - nested) > 0.05


async def test_markup_reaches_the_engine(synthesizer: EspeakSynthesizer) -> None:
    plain = await spoken(synthesizer, "one two three")
    assert await spoken(synthesizer, 'one <break time="1s"/> two three') > plain + 0.8
    assert await spoken(synthesizer, '<prosody rate="50%">one two three</prosody>') > plain * 1.4
    assert await spoken(synthesizer, '<sub alias="one two three four five">W</sub>') > plain
    assert await spoken(synthesizer, "<p><s>one</s><s>two three</s></p>") > plain
    assert await spoken(synthesizer, "1 &lt; 2 &amp; 3") > plain


async def test_say_as_is_spoken_in_words(synthesizer: EspeakSynthesizer) -> None:
    digits = '<say-as interpret-as="digits">1234</say-as>'
    assert await spoken(synthesizer, digits) == pytest.approx(
        await spoken(synthesizer, "one two three four"), abs=0.01
    )


async def test_a_text_without_words_is_a_short_silence(synthesizer: EspeakSynthesizer) -> None:
    assert not samples(await synthesizer.speak("", language="en")).any()


async def test_a_spoken_text_is_found_again_without_a_process(
    synthesizer: EspeakSynthesizer,
) -> None:
    assert synthesizer.cached(ENGLISH, language="en-US") is None
    path = await synthesizer.speak(ENGLISH, language="en-US")
    await synthesizer.close()
    assert synthesizer.process_ids == ()
    assert synthesizer.cached(ENGLISH, language="en-US") == path
    assert synthesizer.cached(ENGLISH, language="xx") is None
    with pytest.raises(NotRunning):
        await synthesizer.speak(ENGLISH, language="en-US")


async def test_the_cache_outlives_the_synthesizer(tmp_path: Path) -> None:
    async with EspeakSynthesizer(tmp_path) as first:
        path = await first.speak(ENGLISH, language="en-US")
    written = path.stat().st_ino
    async with EspeakSynthesizer(tmp_path) as second:
        assert second.cached(ENGLISH, language="en-US") == path
        assert await second.speak(ENGLISH, language="en-US") == path
    assert path.stat().st_ino == written


async def test_a_text_asked_for_many_times_at_once_is_spoken_once(
    synthesizer: EspeakSynthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_REQUESTS_MAX", 0)  # none but the first would be taken
    asked = (synthesizer.speak(ENGLISH, language="en-US") for _ in range(50))
    paths = await asyncio.gather(*asked)
    assert len(set(paths)) == 1
    assert len(files(tmp_path)) == 1


async def test_one_who_hangs_up_does_not_silence_the_others(
    synthesizer: EspeakSynthesizer,
) -> None:
    leaving = asyncio.create_task(synthesizer.speak(ENGLISH, language="en-US"))
    staying = asyncio.create_task(synthesizer.speak(ENGLISH, language="en-US"))
    await asyncio.sleep(0)  # both have asked
    leaving.cancel()
    assert (await staying).exists()
    assert leaving.cancelled()


async def test_a_killed_process_is_replaced(synthesizer: EspeakSynthesizer) -> None:
    (first,) = synthesizer.process_ids
    os.kill(first, signal.SIGKILL)
    assert await spoken(synthesizer, ENGLISH) > 1
    (second,) = synthesizer.process_ids
    assert second != first


async def test_a_process_that_hangs_is_ended_and_replaced(tmp_path: Path) -> None:
    async with EspeakSynthesizer(tmp_path, request_seconds_max=1.0) as synthesizer:
        (first,) = synthesizer.process_ids
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(SynthesisTimeout, match="over 1 s"):
            await synthesizer.speak(ENGLISH, language="en-US")
        assert first not in synthesizer.process_ids
        assert not files(tmp_path)
        assert await spoken(synthesizer, ENGLISH) > 1


async def test_several_processes_share_the_work(tmp_path: Path) -> None:
    async with EspeakSynthesizer(tmp_path, processes=2) as synthesizer:
        assert len(set(synthesizer.process_ids)) == 2
        texts = [f"number {count}" for count in range(20)]
        paths = await asyncio.gather(*(synthesizer.speak(t, language="en") for t in texts))
        assert len(set(paths)) == 20
        assert len(set(synthesizer.process_ids)) == 2


async def test_an_unsupported_language_is_refused_with_those_that_are_not(
    synthesizer: EspeakSynthesizer,
) -> None:
    with pytest.raises(UnsupportedLanguage, match=r"'tlh-QQ'.*en-us.*fr-fr"):
        await synthesizer.speak("nuqneH", language="tlh-QQ")


async def test_broken_markup_is_refused_and_harms_nobody(synthesizer: EspeakSynthesizer) -> None:
    with pytest.raises(MarkupError):
        await synthesizer.speak("</speak><speak>", language="en")
    assert await spoken(synthesizer, ENGLISH) > 1


async def test_audio_over_its_limit_is_refused_and_leaves_nothing(
    synthesizer: EspeakSynthesizer, tmp_path: Path
) -> None:
    before = await spoken(synthesizer, "Good morning. How are you?")
    pauses = '<break time="30s"/>one ' * (limits.AUDIO_SECONDS_MAX // 30 + 1)
    slow = f'<prosody rate="50%" volume="x-soft">{pauses}</prosody>'
    kept = files(tmp_path)
    with pytest.raises(AudioTooLong, match="AUDIO_SECONDS_MAX"):
        await synthesizer.speak(slow, language="en-US")
    assert files(tmp_path) == kept
    after = await spoken(synthesizer, "Good morning. How are you")
    assert after == pytest.approx(before, rel=0.1), "its prosody does not outlive it"


async def test_a_full_queue_refuses_at_once(
    synthesizer: EspeakSynthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_REQUESTS_MAX", 3)
    asked = (synthesizer.speak(f"text {count}", language="en") for count in range(10))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(outcome, Path) for outcome in outcomes) == 4
    assert sum(isinstance(outcome, QueueFull) for outcome in outcomes) == 6


async def test_closing_refuses_those_who_wait(tmp_path: Path) -> None:
    synthesizer = EspeakSynthesizer(tmp_path)
    await synthesizer.start()
    waiting = asyncio.create_task(synthesizer.speak(ENGLISH, language="en"))
    await asyncio.sleep(0)  # it has asked
    await synthesizer.close()
    with pytest.raises(NotRunning):
        await waiting
    assert synthesizer.process_ids == ()


async def test_a_folder_that_cannot_be_written_is_an_error_not_a_crash(
    synthesizer: EspeakSynthesizer, tmp_path: Path
) -> None:
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(SynthesisFailed, match="cannot be kept"):
        await synthesizer.speak(ENGLISH, language="en")
    (tmp_path / "cache").unlink()
    assert await spoken(synthesizer, ENGLISH) > 1


def test_the_process_ends_when_its_input_closes() -> None:
    command = [sys.executable, "-m", "speech.espeak_process"]
    ended = subprocess.run(command, input=b"", capture_output=True, cwd=ROOT, timeout=30)
    assert ended.returncode == 0
    head, body = ended.stdout[: wire.LENGTH_BYTES], ended.stdout[wire.LENGTH_BYTES :]
    assert wire.body_length(head) == len(body)
    assert isinstance(wire.read_answer(body), wire.Ready)


def test_a_pool_has_bounds(tmp_path: Path) -> None:
    for wrong in (0, limits.PROCESSES_MAX + 1):
        with pytest.raises(ValueError, match="PROCESSES_MAX"):
            EspeakSynthesizer(tmp_path, processes=wrong)


async def test_a_process_that_does_not_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SynthesisFailed, match="did not start"):
        await EspeakSynthesizer(tmp_path).start()


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(ValueError, match="FRAME_BYTES_MAX"):
        wire.body_length((limits.FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match="FRAME_BYTES_MAX"):
        wire.frame(wire.Speak(1, "x" * limits.FRAME_BYTES_MAX, "en", "/x"))


def test_voices_are_looked_up_as_language_ranges() -> None:
    voices = best_voices(
        [
            wire.Voice("fr", "roa/fr-BE", 8),
            wire.Voice("fr", "roa/fr", 5),
            wire.Voice("en-us", "gmw/en-US", 2),
            wire.Voice("en-gb", "gmw/en", 2),
        ]
    )
    assert choose_voice("fr-CA", voices) == "roa/fr"
    assert choose_voice("FR", voices) == "roa/fr"
    assert choose_voice("en_US", voices) == "gmw/en-US"
    assert choose_voice("en", voices) == "gmw/en"
    for unknown in ("de", "", "english"):
        with pytest.raises(UnsupportedLanguage, match="en-gb, en-us, fr"):
            choose_voice(unknown, voices)
