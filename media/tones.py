"""Call progress tones of the French network (440 Hz), as prompt files to be played in a loop."""

from __future__ import annotations

import numpy as np

from media.audiofile import wav_bytes
from media.timing import SAMPLE_RATE_HZ

_TONE_HZ = 440.0
_BEEP_HZ = 1000.0
_LEVEL = 4000.0  # peak; -18 dB of full scale
_EDGE_S = 0.005


def tone(frequency_hz: float, on_s: float, off_s: float = 0.0) -> bytes:
    """Return a prompt file with one tone and the silence after it; the edges are softened."""
    count = round(on_s * SAMPLE_RATE_HZ)
    time = np.arange(count) / SAMPLE_RATE_HZ
    edges = np.clip(np.minimum(time, time[::-1]) / _EDGE_S, 0, 1)
    wave = _LEVEL * np.sin(2 * np.pi * frequency_hz * time) * edges
    silence = np.zeros(round(off_s * SAMPLE_RATE_HZ))
    return wav_bytes(np.rint(np.concatenate([wave, silence])).astype(np.int16))


def ringback() -> bytes:
    """Return what a caller hears while the other party rings: 1.5 s on, 3.5 s off."""
    return tone(_TONE_HZ, 1.5, 3.5)


def busy() -> bytes:
    """Return what a caller hears when the other party is busy: 0.5 s on, 0.5 s off."""
    return tone(_TONE_HZ, 0.5, 0.5)


def beep() -> bytes:
    """Return a short beep, as before a recording or when somebody enters a room."""
    return tone(_BEEP_HZ, 0.2)
