"""SSML 1.0 clause by clause: each file of ``ssml/`` is a prompt, and what must be heard of it.

A file names its clause and what the clause says, gives ``ssml`` (what stands inside
``<speak>``, in ``language``, en-US if not told), and under ``[heard]``:

- ``same_as``, ``unlike``: another prompt that sounds alike, or does not;
- against the prompt ``plain``, each as [least, most]: ``duration_ratio``, ``pitch_ratio``
  (median), ``spread_ratio`` (of the pitch), ``loudness_ratio``, ``longer_ms``;
- ``pause_ms``: the longest pause between words, [least, most]; ``silent``;
- ``marks``: name and [least, most] milliseconds of each;
- ``warnings``: a piece of each warning, in order; none may be there where none is told;
- ``error``: the error's name and a piece of its text.

All is measured on the real engine's audio, spoken once for the whole file.
"""

import asyncio
import tomllib
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from speech.aio import EspeakSynthesizer
from speech.errors import SpeechError
from speech.synthesizer import Spoken

HERE = Path(__file__).parent
FILES = sorted((HERE / "ssml").glob("*.toml"))
FIELDS = {"clause", "says", "ssml", "language", "plain", "heard"}
AGAINST_PLAIN = {"duration_ratio", "pitch_ratio", "spread_ratio", "loudness_ratio", "longer_ms"}
HEARD = AGAINST_PLAIN | {"same_as", "unlike", "pause_ms", "silent", "marks", "warnings", "error"}

RATE_HZ = 8000
QUIET = 30
FRAME = 320  # 40 ms
STEP = 80
VOICED_RMS = 600
PERIODS = (RATE_HZ // 400, RATE_HZ // 60)
ALIKE_MS = 25
ALIKE_DISTANCE = 0.12

Samples = np.ndarray[tuple[int], np.dtype[np.float64]]
Key = tuple[str, str]


@dataclass(frozen=True)
class Sound:
    """A spoken prompt and its samples."""

    spoken: Spoken
    samples: Samples

    @property
    def words(self) -> Samples:
        """The samples from the first sound to the last."""
        loud = np.flatnonzero(np.abs(self.samples) > QUIET)
        return self.samples[loud[0] : loud[-1] + 1] if loud.size else self.samples[:0]

    @property
    def duration_ms(self) -> float:
        return len(self.words) * 1000 / RATE_HZ

    @property
    def pause_ms(self) -> float:
        loud = np.flatnonzero(np.abs(self.words) > QUIET)
        return float(np.diff(loud).max(initial=0)) * 1000 / RATE_HZ

    @property
    def loudness(self) -> float:
        """Root mean square where there is sound."""
        loud = self.words[np.abs(self.words) > QUIET]
        return float(np.sqrt(np.mean(loud**2))) if loud.size else 0.0

    def pitches(self) -> Samples:
        """Hertz of each voiced frame, by autocorrelation; outliers by an octave left out."""
        found: list[float] = []
        words = self.words / max(1.0, np.abs(self.words).max(initial=0.0)) * 16_000
        for begin in range(0, len(words) - FRAME, STEP):
            frame = words[begin : begin + FRAME]
            if np.sqrt(np.mean(frame**2)) < VOICED_RMS:
                continue
            frame = frame - frame.mean()
            likeness = np.correlate(frame, frame, "full")[FRAME - 1 :]
            best = PERIODS[0] + int(likeness[PERIODS[0] : PERIODS[1]].argmax())
            if likeness[best] > 0.4 * likeness[0]:
                found.append(RATE_HZ / best)
        hertz = np.array(found)
        middle = np.median(hertz)
        return hertz[(hertz > middle / 1.6) & (hertz < middle * 1.6)]

    @property
    def pitch(self) -> float:
        return float(np.median(self.pitches()))

    @property
    def spread(self) -> float:
        low, high = np.percentile(self.pitches(), (10, 90))
        return float(high - low)


def distance(one: Sound, other: Sound) -> float:
    """How unlike two sounds are: the mean difference of their spectra, band by band."""
    if not one.words.size or not other.words.size:
        return 0.0 if one.words.size == other.words.size else 1.0
    size = min(len(one.words), len(other.words))
    spectra = []
    for sound in (one, other):
        frames = np.lib.stride_tricks.sliding_window_view(sound.words[:size], FRAME)[::STEP]
        power = np.abs(np.fft.rfft(frames * np.hanning(FRAME)))[:, :160]
        bands = power.reshape(len(power), 16, 10).mean(axis=2)
        spectra.append(np.log10(bands + 3000))
    return float(np.abs(spectra[0] - spectra[1]).mean())


async def speak_all(keys: set[Key], folder: Path) -> dict[Key, Sound | SpeechError]:
    """Every prompt, spoken once."""
    sounds: dict[Key, Sound | SpeechError] = {}
    async with EspeakSynthesizer(folder) as synthesizer:
        for ssml, language in sorted(keys):
            try:
                spoken = await synthesizer.spoken(ssml, language=language)
            except SpeechError as error:
                sounds[ssml, language] = error
                continue
            with wave.open(str(spoken.file)) as audio:
                samples = np.frombuffer(audio.readframes(audio.getnframes()), "<i2")
            sounds[ssml, language] = Sound(spoken, samples.astype(float))
    return sounds


CASES = {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in FILES}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Sound | SpeechError]:
    keys: set[Key] = set()
    for case in CASES.values():
        language = case.get("language", "en-US")
        heard = case["heard"]
        texts = (case["ssml"], case.get("plain"), heard.get("same_as"), heard.get("unlike"))
        keys |= {(text, language) for text in texts if text is not None}
    return asyncio.run(speak_all(keys, tmp_path_factory.mktemp("spoken")))


@pytest.mark.parametrize("name", CASES)
def test_clause(name: str, sounds: dict[Key, Sound | SpeechError]) -> None:
    case = CASES[name]
    heard = case["heard"]
    assert case.keys() <= FIELDS
    assert heard
    assert heard.keys() <= HEARD
    language = case.get("language", "en-US")
    told = f"{case['clause']}: {case['says']}"
    sound = sounds[case["ssml"], language]
    if "error" in heard:
        kind, piece = heard["error"]
        assert type(sound).__name__ == kind, told
        assert piece in str(sound), told
        return
    assert isinstance(sound, Sound), f"{told}: {sound}"

    def sound_of(text: str) -> Sound:
        found = sounds[text, language]
        assert isinstance(found, Sound), found
        return found

    warnings = sound.spoken.warnings
    expected = heard.get("warnings", [])
    assert len(warnings) == len(expected), f"{told}: {warnings}"
    for warning, piece in zip(warnings, expected, strict=True):
        assert piece in warning, told
    if "same_as" in heard:
        other = sound_of(heard["same_as"])
        assert abs(sound.duration_ms - other.duration_ms) < ALIKE_MS, told
        assert distance(sound, other) < ALIKE_DISTANCE, told
    if "unlike" in heard:
        other = sound_of(heard["unlike"])
        apart_ms = abs(sound.duration_ms - other.duration_ms)
        assert apart_ms >= ALIKE_MS or distance(sound, other) >= ALIKE_DISTANCE, told
    if "silent" in heard:
        assert (sound.loudness == 0) is heard["silent"], told
    if "pause_ms" in heard:
        least, most = heard["pause_ms"]
        assert least <= sound.pause_ms <= most, told
    if "marks" in heard:
        marks = sound.spoken.marks
        assert [mark.name for mark in marks] == [name for name, _ in heard["marks"]], told
        for mark, (_, (least, most)) in zip(marks, heard["marks"], strict=True):
            assert least <= mark.offset_ms <= most, told
    if AGAINST_PLAIN & heard.keys():
        plain = sound_of(case["plain"])
        measured = {
            "duration_ratio": lambda: sound.duration_ms / plain.duration_ms,
            "longer_ms": lambda: sound.duration_ms - plain.duration_ms,
            "pitch_ratio": lambda: sound.pitch / plain.pitch,
            "spread_ratio": lambda: sound.spread / plain.spread,
            "loudness_ratio": lambda: sound.loudness / plain.loudness,
        }
        for what in sorted(AGAINST_PLAIN & heard.keys()):
            least, most = heard[what]
            assert least <= measured[what]() <= most, f"{told}: {what}"


def test_there_are_clauses() -> None:
    assert len(FILES) >= 70
