"""What a caller hears while a script waits for a fetch (VoiceXML 2.0 6.1, `fetchaudio`)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vxml_engine.effects import Fetch

T = TypeVar("T")


class Plays(Protocol):
    """A leg, as far as it plays sounds."""

    def play(self, files: Sequence[Path], *, loop: bool = False) -> asyncio.Future[bool]:
        """Play sounds in order; the future is done when they end, or the leg does."""

    def stop_playing(self) -> None:
        """Stop what plays."""


async def fetch_with_audio(
    effect: Fetch,
    fetched: Coroutine[Any, Any, T],
    sounds: Callable[[], Awaitable[Sequence[Path]]],
    leg: Plays,
) -> T:
    """Return what `fetched` gives; where it takes longer than the effect's delay, play meanwhile.

    `sounds` gives the files of the effect's audio; where there are none in time, nothing is
    played. What plays is heard for the effect's minimum, even where the fetch ends before, and
    is then stopped; it is played once.
    """
    fetching = asyncio.create_task(fetched)
    preparing = asyncio.ensure_future(_gathered(sounds))
    try:
        await asyncio.wait({fetching}, timeout=effect.audio_delay_s)
        if not fetching.done():
            await asyncio.wait({fetching, preparing}, return_when=asyncio.FIRST_COMPLETED)
        if not fetching.done() and (files := preparing.result()):
            await _play(files, fetching, effect.audio_minimum_s, leg)
        return await fetching
    finally:
        for task in (fetching, preparing):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await preparing


async def _play(
    files: Sequence[Path], fetching: "asyncio.Task[T]", minimum_s: float, leg: Plays
) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + minimum_s
    playing = leg.play(files)
    try:
        await asyncio.wait({fetching})
        if not playing.done() and (left_s := until - loop.time()) > 0:
            await asyncio.wait({playing}, timeout=left_s)
    finally:
        leg.stop_playing()


async def _gathered(sounds: Callable[[], Awaitable[Sequence[Path]]]) -> Sequence[Path]:
    return await sounds()
