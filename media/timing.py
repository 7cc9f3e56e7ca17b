"""The measures that all audio here is cut to."""

from __future__ import annotations

from typing import Final

SAMPLE_RATE_HZ: Final = 8000
SAMPLES_A_MS: Final = SAMPLE_RATE_HZ // 1000
TICK_NS: Final = 20_000_000
TICKS_A_SECOND: Final = 50
FRAME_SAMPLES: Final = 160
"""Samples of one tick."""
