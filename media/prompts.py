"""Prompt files: 16-bit mono WAV at 8000 Hz, mapped into memory while any leg plays them.

A file must not be changed or cut while it is played (a cache by content never does).
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import Final

import numpy as np

from media.errors import BrokenPrompt
from media.limits import PROMPT_FILE_BYTES_MAX
from media.timing import SAMPLE_RATE_HZ

_RIFF_BYTES: Final = 12
_CHUNK_BYTES: Final = 8
_STREAMED: Final = 0x7FFF_0000
"""A data chunk's length from here on means "to the end of the file"."""


@dataclass
class MappedPrompt:
    """One file in memory."""

    path: str
    mapping: mmap.mmap
    address: int
    """Of the first sample."""
    samples: int
    users: int = 0


def find_chunks(data: bytes | mmap.mmap) -> dict[bytes, tuple[int, int]]:
    """Return begin and end of a RIFF WAVE file's ``fmt`` and ``data`` chunks.

    The end is where the chunk's own length says, even beyond the end of the file, except that
    the placeholder length of a streamed file means the file's end. Empty when it is no WAVE.
    """
    if data[:4] != b"RIFF" or data[8:_RIFF_BYTES] != b"WAVE":
        return {}
    chunks: dict[bytes, tuple[int, int]] = {}
    at = _RIFF_BYTES
    while at + _CHUNK_BYTES <= len(data):
        name = data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + _CHUNK_BYTES], "little")
        begin = at + _CHUNK_BYTES
        end = len(data) if name == b"data" and size >= _STREAMED else begin + size
        chunks.setdefault(name, (begin, end))
        if name == b"data":
            break
        at = end + size % 2
    return chunks


def _sample_span(path: str, data: mmap.mmap) -> tuple[int, int]:
    """Return begin and end of the samples; raises BrokenPrompt."""
    chunks = find_chunks(data)
    if b"fmt " not in chunks or b"data" not in chunks:
        raise BrokenPrompt(f"{path}: not a WAV file with a format and data")
    begin, end = chunks[b"fmt "]
    form = data[begin : min(end, begin + 16)]
    wanted = b"\x01\x00\x01\x00" + SAMPLE_RATE_HZ.to_bytes(4, "little")
    if len(form) < 16 or form[:8] != wanted or form[14:16] != b"\x10\x00":
        raise BrokenPrompt(f"{path}: not 16-bit mono PCM at {SAMPLE_RATE_HZ} Hz; convert it first")
    begin, end = chunks[b"data"]
    if end > len(data):
        raise BrokenPrompt(f"{path}: cut off, {end - len(data)} bytes are missing")
    return begin, end


def map_prompt(path: str) -> MappedPrompt:
    """Map a file, with its pages read in now so that no tick waits for a disk.

    Raises BrokenPrompt when it is not there, not in the form above, or over
    PROMPT_FILE_BYTES_MAX.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 < size <= PROMPT_FILE_BYTES_MAX:
                raise BrokenPrompt(
                    f"{path}: {size} bytes; at least one and at most {PROMPT_FILE_BYTES_MAX}"
                    " (PROMPT_FILE_BYTES_MAX) can be played"
                )
            mapping = mmap.mmap(
                file.fileno(),
                size,
                flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE,
                prot=mmap.PROT_READ,
            )
    except OSError as error:
        raise BrokenPrompt(f"{path}: {error.strerror or error}") from error
    try:
        begin, end = _sample_span(path, mapping)
    except BrokenPrompt:
        mapping.close()
        raise
    # The view is dropped at once, so that the mapping can be closed; the address stays good.
    address = int(np.frombuffer(mapping, np.uint8).ctypes.data)
    return MappedPrompt(path, mapping, address + begin, (end - begin) // 2)


class PromptStore:
    """The files in use, each mapped once however many legs play it."""

    def __init__(self) -> None:
        self._mapped: dict[str, MappedPrompt] = {}

    def __len__(self) -> int:
        return len(self._mapped)

    def acquire(self, path: str) -> MappedPrompt:
        """Return the file, mapped; raises BrokenPrompt. Give it back with ``release``."""
        prompt = self._mapped.get(path)
        if prompt is None:
            prompt = self._mapped[path] = map_prompt(path)
        prompt.users += 1
        return prompt

    def release(self, prompt: MappedPrompt) -> None:
        """Give a file back; the last to do so unmaps it."""
        prompt.users -= 1
        if prompt.users == 0:
            del self._mapped[prompt.path]
            prompt.mapping.close()
