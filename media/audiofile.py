"""Audio files as users have them, made into prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from media.errors import AudioTooLarge, BrokenAudio
from media.g711 import Codec, decode
from media.limits import (
    AUDIO_CHANNELS_MAX,
    AUDIO_FILE_BYTES_MAX,
    AUDIO_RATE_HZ_MAX,
    AUDIO_RATE_HZ_MIN,
    AUDIO_SECONDS_MAX,
)
from media.prompts import find_chunks
from media.timing import SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

_EXTENSIBLE: Final = 0xFFFE


def wav_bytes(samples: NDArray[np.int16]) -> bytes:
    """Return a prompt file: a 16-bit mono WAV at 8000 Hz of int16 [n]."""
    data = samples.astype("<i2").tobytes()
    return wav_head(len(data)) + data


def wav_head(data_bytes: int) -> bytes:
    """Return what stands before so many bytes of samples in a prompt file."""
    form = (
        b"fmt \x10\x00\x00\x00\x01\x00\x01\x00"
        + SAMPLE_RATE_HZ.to_bytes(4, "little")
        + (SAMPLE_RATE_HZ * 2).to_bytes(4, "little")
        + b"\x02\x00\x10\x00"
    )
    head = b"WAVE" + form + b"data" + data_bytes.to_bytes(4, "little")
    return b"RIFF" + (len(head) + data_bytes).to_bytes(4, "little") + head


@dataclass(frozen=True)
class _Form:
    """A WAV file's fmt chunk."""

    tag: int
    channels: int
    rate_hz: int
    bits: int


def to_prompt(data: bytes, *, headerless: Codec | None = None) -> bytes:
    """Return a prompt file (16-bit mono WAV at 8000 Hz) of an audio file's bytes.

    WAV files may hold integers of 8, 16, 24 or 32 bits, floats of 32 or 64, A-law or mu-law, at
    any rate, in up to AUDIO_CHANNELS_MAX channels, which are averaged. ``headerless`` takes the
    bytes as G.711 at 8000 Hz (.ulaw, .alaw). Raises BrokenAudio and AudioTooLarge.
    """
    if len(data) > AUDIO_FILE_BYTES_MAX:
        raise AudioTooLarge(
            f"an audio file of {len(data)} bytes; at most {AUDIO_FILE_BYTES_MAX} are taken"
            " (AUDIO_FILE_BYTES_MAX)"
        )
    if headerless is not None:
        _check_length(len(data), SAMPLE_RATE_HZ)
        return wav_bytes(decode(data, headerless))
    form, payload = _read_wav(data)
    samples = _mono(form, payload)
    _check_length(len(samples), form.rate_hz)
    if form.rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, form.rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    # What resampling overshoots is cut, not wrapped.
    limited = np.clip(np.rint(samples * 32768.0), -32768, 32767)
    return wav_bytes(limited.astype(np.int16))


def _check_length(samples: int, rate_hz: int) -> None:
    if samples > AUDIO_SECONDS_MAX * rate_hz:
        raise AudioTooLarge(
            f"audio of {samples // rate_hz} s; at most {AUDIO_SECONDS_MAX} are taken"
            " (AUDIO_SECONDS_MAX)"
        )


def _read_wav(data: bytes) -> tuple[_Form, bytes]:
    """Return form and samples' bytes; raises BrokenAudio."""
    chunks = find_chunks(data)
    if not chunks:
        raise BrokenAudio("not a WAV file (no RIFF WAVE header); convert it to WAV")
    if b"fmt " not in chunks or b"data" not in chunks:
        raise BrokenAudio("a WAV file without a 'fmt ' chunk before a 'data' chunk")
    begin, end = chunks[b"fmt "]
    raw = data[begin:end]
    if len(raw) < 16:
        raise BrokenAudio(f"a WAV file whose 'fmt ' chunk has {len(raw)} bytes instead of 16")
    tag, channels = _number(raw, 0, 2), _number(raw, 2, 2)
    if tag == _EXTENSIBLE and len(raw) >= 26:
        tag = _number(raw, 24, 2)
    form = _Form(tag, channels, _number(raw, 4, 4), _number(raw, 14, 2))
    if not 1 <= form.channels <= AUDIO_CHANNELS_MAX:
        raise BrokenAudio(f"{form.channels} channels; 1 to {AUDIO_CHANNELS_MAX} are taken")
    if not AUDIO_RATE_HZ_MIN <= form.rate_hz <= AUDIO_RATE_HZ_MAX:
        raise BrokenAudio(
            f"a sampling rate of {form.rate_hz} Hz; {AUDIO_RATE_HZ_MIN} to {AUDIO_RATE_HZ_MAX}"
            " are taken"
        )
    begin, end = chunks[b"data"]
    if end > len(data):
        raise BrokenAudio(f"the file is cut off: {end - len(data)} bytes of sound are missing")
    return form, data[begin:end]


def _number(raw: bytes, at: int, size: int) -> int:
    return int.from_bytes(raw[at : at + size], "little")


def _mono(form: _Form, payload: bytes) -> Floats:
    """Return samples as float32 [n], full scale 1, channels averaged; raises BrokenAudio."""
    width = max(1, form.bits // 8)
    whole = len(payload) - len(payload) % (width * form.channels)
    samples = _floats(form, payload[:whole])
    if form.channels > 1:
        samples = samples.reshape(-1, form.channels).mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples)


def _floats(form: _Form, payload: bytes) -> Floats:
    """Return samples of any of the forms as float32, full scale 1; raises BrokenAudio.

    The format tags are 1 for PCM, 3 for floats, 6 for A-law and 7 for mu-law.
    """
    match form.tag, form.bits:
        case (1, 8):
            return _scaled(np.frombuffer(payload, np.uint8).astype(np.int16) - 128, 2**7)
        case (1, 16):
            return _scaled(np.frombuffer(payload, "<i2"), 2**15)
        case (1, 24):
            octets = np.frombuffer(payload, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(octets), 4), np.uint8)
            wide[:, 1:] = octets
            return _scaled(wide.view("<i4")[:, 0], 2**31)
        case (1, 32):
            return _scaled(np.frombuffer(payload, "<i4"), 2**31)
        case (3, 32 | 64):
            values = np.frombuffer(payload, f"<f{form.bits // 8}")
            if not np.isfinite(values).all():
                raise BrokenAudio("samples that are not numbers (infinite or NaN)")
            return _scaled(np.clip(values, -1, 1), 1)
        case (6, 8):
            return _scaled(decode(payload, "PCMA"), 2**15)
        case (7, 8):
            return _scaled(decode(payload, "PCMU"), 2**15)
    raise BrokenAudio(
        f"WAV format {form.tag} with {form.bits} bits; known are PCM of 8, 16, 24 and 32 bits,"
        " float, A-law and mu-law"
    )


def _scaled(values: NDArray[Any], full_scale: int) -> Floats:
    scaled: Floats = values.astype(np.float32) / np.float32(full_scale)
    return scaled
