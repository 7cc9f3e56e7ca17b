"""Audio files as users have them become prompts, or a refusal that says why."""

import numpy as np
import pytest

from media import tones as signals
from media.audiofile import to_prompt, wav_bytes
from media.errors import AudioTooLarge, BrokenAudio
from media.limits import (
    AUDIO_CHANNELS_MAX,
    AUDIO_FILE_BYTES_MAX,
    AUDIO_RATE_HZ_MAX,
    AUDIO_RATE_HZ_MIN,
    AUDIO_SECONDS_MAX,
)
from tests.kit import g711, tones


def wave(
    samples: np.ndarray, *, rate: int, tag: int = 1, bits: int = 16, channels: int = 1
) -> bytes:
    data = samples.tobytes()
    form = (
        tag.to_bytes(2, "little")
        + channels.to_bytes(2, "little")
        + rate.to_bytes(4, "little")
        + (rate * channels * bits // 8).to_bytes(4, "little")
        + (channels * bits // 8).to_bytes(2, "little")
        + bits.to_bytes(2, "little")
    )
    body = b"WAVEfmt " + len(form).to_bytes(4, "little") + form
    body += b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def sine(rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.25 * np.sin(2 * np.pi * 500 * np.arange(round(rate * seconds)) / rate)


def heard(prompt: bytes) -> np.ndarray:
    return np.frombuffer(prompt[44:], "<i2")


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_any_rate_becomes_8000_hz(rate: int) -> None:
    sound = heard(to_prompt(wave((sine(rate) * 32767).astype("<i2"), rate=rate)))
    assert len(sound) == pytest.approx(8_000, abs=8)
    assert tones.level_dbfs(sound[800:-800], 500) == pytest.approx(-12, abs=0.2)
    assert tones.loudest_hz(sound) == pytest.approx(500, abs=1)


def test_any_width_and_form_is_taken() -> None:
    sound = sine(8_000)
    linear = (sound * 32767).astype("<i2")
    wide = (sound * (2**31 - 1)).astype("<i4")
    octets = wide.view(np.uint8).reshape(-1, 4)[:, 1:].copy()
    mu = np.frombuffer(g711.encode(linear.astype(np.int16), "PCMU"), np.uint8)
    law = np.frombuffer(g711.encode(linear.astype(np.int16), "PCMA"), np.uint8)
    files = [
        wave((sound * 127 + 128).astype(np.uint8), rate=8000, bits=8),
        wave(linear, rate=8000),
        wave(octets, rate=8000, bits=24),
        wave(wide, rate=8000, bits=32),
        wave(sound.astype("<f4"), rate=8000, tag=3, bits=32),
        wave(sound.astype("<f8"), rate=8000, tag=3, bits=64),
        wave(law, rate=8000, tag=6, bits=8),
        wave(mu, rate=8000, tag=7, bits=8),
    ]
    for file in files:
        assert tones.level_dbfs(heard(to_prompt(file)), 500) == pytest.approx(-12, abs=0.3)
    assert tones.level_dbfs(heard(to_prompt(mu.tobytes(), headerless="PCMU")), 500) > -13


def test_stereo_is_averaged() -> None:
    left = (sine(8_000) * 32767).astype("<i2")
    both = np.stack([left, np.zeros_like(left)], axis=1)
    prompt = heard(to_prompt(wave(both, rate=8000, channels=2)))
    assert len(prompt) == 8_000
    assert tones.level_dbfs(prompt, 500) == pytest.approx(-18, abs=0.2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a WAV"),
        (b"ID3\x04" + b"\x00" * 100, "not a WAV"),
        (b"RIFF\x10\x00\x00\x00WAVEdata\x00\x00\x00\x00", "fmt"),
        (wave(np.zeros(100, "<i2"), rate=8000)[:-50], "cut off"),
        (wave(np.zeros(100, "<i2"), rate=8000, tag=85), "format 85"),
        (wave(np.zeros(100, "<i2"), rate=8000, channels=AUDIO_CHANNELS_MAX + 1), "channels"),
        (wave(np.zeros(100, "<i2"), rate=8000, channels=0), "0 channels"),
        (wave(np.zeros(100, "<i2"), rate=AUDIO_RATE_HZ_MIN - 1), "sampling rate"),
        (wave(np.zeros(100, "<i2"), rate=AUDIO_RATE_HZ_MAX + 1), "sampling rate"),
        (wave(np.array([np.nan], "<f4"), rate=8000, tag=3, bits=32), "not numbers"),
    ],
)
def test_what_is_broken_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(BrokenAudio, match=reason):
        to_prompt(data)


def test_limits_of_audio_files() -> None:
    with pytest.raises(AudioTooLarge, match="AUDIO_FILE_BYTES_MAX"):
        to_prompt(b"\x00" * (AUDIO_FILE_BYTES_MAX + 1))
    long = np.zeros(2000 * (AUDIO_SECONDS_MAX + 1), np.uint8)
    with pytest.raises(AudioTooLarge, match="AUDIO_SECONDS_MAX"):
        to_prompt(wave(long, rate=2000, bits=8))


def test_signals_have_the_cadence_of_their_meaning() -> None:
    ring, busy = heard(signals.ringback()), heard(signals.busy())
    assert (len(ring), len(busy)) == (40_000, 8_000)
    assert tones.loudest_hz(ring[:12_000]) == pytest.approx(440, abs=1)
    assert tones.loudness_dbfs(ring[12_000:]) < -80
    assert tones.loudness_dbfs(busy[4_000:]) < -80
    assert tones.loudest_hz(heard(signals.beep())) == pytest.approx(1000, abs=3)


def test_a_prompt_file_is_one() -> None:
    data = wav_bytes(np.arange(10, dtype=np.int16))
    assert to_prompt(data) == data
