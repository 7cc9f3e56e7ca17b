"""Make tones, and find them again: at what level, and when they began.

Samples are int16 arrays of shape (n,) at 8,000 a second. Levels are dBFS: a sine that
reaches full scale has 0 dBFS.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_S = 8_000
FULL_SCALE = 32_767.0
SILENCE_DBFS = -120.0
ONSET_WINDOW_SAMPLES = 160
FRAME_SAMPLES = 160
SPEECH_DBFS = -45.0  # a 20 ms frame above this is not silence

Samples = NDArray[np.int16]


def tone(hz: float, seconds: float, *, dbfs: float = -16.0, first_sample: int = 0) -> Samples:
    """Return `seconds` of a sine; `first_sample` continues one that has begun before."""
    index = np.arange(first_sample, first_sample + round(seconds * SAMPLES_PER_S))
    wave = np.sin(2 * np.pi * hz * index / SAMPLES_PER_S)
    return np.rint(wave * FULL_SCALE * 10 ** (dbfs / 20)).astype(np.int16)


def silence(seconds: float) -> Samples:
    """Return `seconds` of nothing."""
    return np.zeros(round(seconds * SAMPLES_PER_S), np.int16)


def decibels(amplitude: float) -> float:
    """Return the level of a sine of `amplitude` (1.0 is full scale) in dBFS."""
    return max(20 * float(np.log10(amplitude)), SILENCE_DBFS) if amplitude > 0 else SILENCE_DBFS


def level_dbfs(samples: NDArray[Any], hz: float) -> float:
    """Return the level of the frequency `hz` in `samples`.

    One bin of a Fourier sum under a Hann window (neighbours 4 / duration away and
    further do not leak in): 0.5 s tells tones 10 Hz apart.
    """
    n = len(samples)
    if n == 0:
        return SILENCE_DBFS
    window = np.hanning(n + 1)[:n]
    turning = np.exp(-2j * np.pi * hz * np.arange(n) / SAMPLES_PER_S)
    amplitude = 2 * abs(np.dot(samples * window, turning)) / window.sum() / FULL_SCALE
    return decibels(float(amplitude))


def loudness_dbfs(samples: NDArray[Any]) -> float:
    """Return the level of a sine with the same power as `samples`, whatever they hold."""
    if len(samples) == 0:
        return SILENCE_DBFS
    power = float(np.mean(np.square(samples.astype(np.float64))))
    return decibels(float(np.sqrt(2 * power)) / FULL_SCALE)


def loudest_hz(samples: NDArray[Any]) -> float:
    """Return the frequency that holds most energy, to within a quarter of 1 / duration."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples)))
    spectrum[:8] = 0
    return float(np.argmax(spectrum)) * SAMPLES_PER_S / (4 * len(samples))


def onset(samples: NDArray[Any], hz: float, *, dbfs: float = -40.0) -> int | None:
    """Return the index of the sample where the tone `hz` begins; None where it is not heard.

    A window of 20 ms is slid over the samples. Where it is half full of the tone, its
    level is 6 dB below the tone's own: that is where the tone begins, to a millisecond.
    """
    size, hop = ONSET_WINDOW_SAMPLES, 8
    if len(samples) < size:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    turning = np.exp(-2j * np.pi * hz * np.arange(size) / SAMPLES_PER_S)
    window = np.hanning(size + 1)[:size]
    levels = np.abs(frames @ (turning * window)) * 2 / window.sum() / FULL_SCALE
    loud = np.flatnonzero(levels > 10 ** (dbfs / 20))
    if len(loud) == 0:
        return None
    settled = float(np.max(levels[loud[0] : loud[0] + 3 * size // hop]))
    begun = int(np.flatnonzero(levels[loud[0] :] >= settled / 2)[0]) + int(loud[0])
    return begun * hop + size // 2


def busy_frames(samples: NDArray[Any], *, dbfs: float = SPEECH_DBFS) -> int:
    """Return how many whole frames of 20 ms are louder than `dbfs`."""
    whole = len(samples) // FRAME_SAMPLES
    frames = samples[: whole * FRAME_SAMPLES].astype(np.float64).reshape(whole, FRAME_SAMPLES)
    amplitude = np.sqrt(2 * np.mean(np.square(frames), axis=1)) / FULL_SCALE
    return int(np.count_nonzero(amplitude > 10 ** (dbfs / 20)))
