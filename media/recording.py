"""What the parties of legs say, kept in memory until something ends it, then written to a file.

A frame is taken after the jitter buffer, once a tick, so what is recorded is what a room would
have heard. Files are written by a thread of their own: no tick waits for a disk.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media.audiofile import wav_head
from media.errors import BadRequest
from media.legs import LegTable
from media.limits import RECORDING_S_MAX, RECORDINGS_MAX
from media.messages import RecordingEnded, RecordingReason, StartRecording
from media.timing import FRAME_SAMPLES, TICKS_A_SECOND

SPEECH_RMS: Final = 260.0
"""Level from which a frame is speech: -42 dB of full scale, above a quiet line's noise."""
SPEECH_FRAMES: Final = 3
"""Frames of 20 ms in a row that are the beginning of speech; fewer are a click."""

_FRAME: Final = np.arange(FRAME_SAMPLES)


@dataclass
class _Recording:
    """One recording under way; times are in frames."""

    command: StartRecording
    samples: NDArray[np.int16]
    timeout: int
    final_silence: int
    frames: int = 0
    loud_run: int = 0
    quiet_run: int = 0
    spoken: bool = False

    def take(self, frame: NDArray[np.int16], loud: bool) -> RecordingReason | None:
        """Keep a frame (int16 [160]); return why the recording ends with it, if it does."""
        begin = self.frames * FRAME_SAMPLES
        self.samples[begin : begin + FRAME_SAMPLES] = frame
        self.frames += 1
        self.loud_run = self.loud_run + 1 if loud else 0
        self.quiet_run = 0 if loud else self.quiet_run + 1
        if self.loud_run >= SPEECH_FRAMES:
            self.spoken = True
        if not self.spoken and self.loud_run == 0 and self.frames >= self.timeout:
            return "no_input"
        if self.spoken and self.quiet_run >= self.final_silence:
            return "final_silence"
        if (self.frames + 1) * FRAME_SAMPLES > len(self.samples):
            return "max_time"
        return None


class Recorder:
    """All recordings of one plane, by the rows of their legs."""

    def __init__(self) -> None:
        self._by_row: dict[int, _Recording] = {}
        self._ended: list[RecordingEnded] = []
        self._writing: deque[Future[RecordingEnded]] = deque()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="recordings")

    def start(self, row: int, command: StartRecording) -> None:
        """Begin with the next frame; raises BadRequest where the leg is recorded already.

        Beyond RECORDINGS_MAX at once it ends at once, failed.
        """
        if row in self._by_row:
            raise BadRequest(f"leg {command.leg_id!r} is being recorded already")
        if len(self._by_row) >= RECORDINGS_MAX:
            error = f"{RECORDINGS_MAX} legs are being recorded (RECORDINGS_MAX)"
            self._ended.append(RecordingEnded(command.leg_id, "failed", 0, False, error))
            return
        # Memory that is not touched is not used: a long limit costs nothing by itself.
        frames = _frames(min(command.max_s, RECORDING_S_MAX))
        self._by_row[row] = _Recording(
            command,
            np.empty(frames * FRAME_SAMPLES, np.int16),
            _frames(command.timeout_s),
            _frames(command.final_silence_s),
        )

    def stop(self, row: int) -> None:
        """End a leg's recording, if there is one; what was said is kept."""
        if row in self._by_row:
            self._end(row, "stopped")

    def take(self, table: LegTable, rings: NDArray[np.int16]) -> None:
        """Take this tick's frame of each leg that is recorded."""
        if not self._by_row:
            return
        rows = np.fromiter(self._by_row, np.intp, len(self._by_row))
        begins = table["mix_at"][rows]
        frames = rings[rows[:, None], begins[:, None] + _FRAME]
        frames[table["play_at"][rows] < 0] = 0  # nothing has come yet
        power = np.square(frames, dtype=np.float32).mean(axis=1)
        loud = (power >= SPEECH_RMS**2).tolist()
        for index, (row, recording) in enumerate(list(self._by_row.items())):
            reason = recording.take(frames[index], loud[index])
            if reason is not None:
                self._end(row, reason)

    def ended(self) -> list[RecordingEnded]:
        """Return what has ended and, where there is a file, is written, since the last time."""
        while self._writing and self._writing[0].done():
            self._ended.append(self._writing.popleft().result())
        ended, self._ended = self._ended, []
        return ended

    def settle(self) -> None:
        """Wait until every file is written."""
        for writing in self._writing:
            writing.exception()

    def close(self) -> None:
        """Write what waits to be written, and end the thread."""
        self._writer.shutdown()

    def _end(self, row: int, reason: RecordingReason) -> None:
        recording = self._by_row.pop(row)
        if reason == "no_input" or recording.frames == 0:
            self._ended.append(RecordingEnded(recording.command.leg_id, reason, 0, False))
        else:
            self._writing.append(self._writer.submit(_write, recording, reason))


def _frames(seconds: float) -> int:
    return max(1, round(seconds * TICKS_A_SECOND))


def _write(recording: _Recording, reason: RecordingReason) -> RecordingEnded:
    """Write the file; a disk that refuses is told by the event."""
    command = recording.command
    samples = recording.samples[: recording.frames * FRAME_SAMPLES].astype("<i2", copy=False)
    try:
        with open(command.file, "wb") as file:
            file.write(wav_head(samples.nbytes))
            file.write(samples.data)
    except OSError as error:
        why = f"{command.file}: {error.strerror or error}"
        return RecordingEnded(command.leg_id, "failed", 0, False, why)
    return RecordingEnded(command.leg_id, reason, len(samples), recording.spoken)
