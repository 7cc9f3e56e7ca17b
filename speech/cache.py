"""Spoken audio on disk, found by content: ``<folder>/<2 hex>/<sha256>.wav``."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import OrderedDict
from pathlib import Path

from speech import limits

PREPARATION = "2"
"""Goes into every key; counts up when the same text would be prepared or stored differently."""


def content_key(engine: str, voice: str, language: str, ssml: str) -> str:
    """The name (SHA-256, 64 hex digits) of what ``ssml`` sounds like."""
    digest = hashlib.sha256()
    for part in (PREPARATION, engine, voice, language, ssml):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


class AudioCache:
    """Files by content, bounded in total bytes; the least recently used go first.

    ``bytes_max`` bounds what is kept; one newest file stays even if it alone is larger, so
    that what was just spoken can be played.
    """

    def __init__(self, folder: Path, bytes_max: int = limits.CACHE_BYTES_MAX) -> None:
        if bytes_max <= 0:
            raise ValueError(f"bytes_max is {bytes_max}: it must be positive")
        self._folder = folder.resolve()
        self._bytes_max = bytes_max
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._total_bytes = 0

    @property
    def total_bytes(self) -> int:
        """Bytes of audio held now."""
        return self._total_bytes

    def open(self) -> None:
        """Take over what earlier runs left, oldest use first; removes half-written files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[float, str, int]] = []
        for path in self._folder.glob("??/*"):
            if path.suffix == ".part":
                path.unlink(missing_ok=True)
            elif path.suffix == ".wav":
                status = path.stat()
                found.append((status.st_mtime, path.stem, status.st_size))
        self._sizes = OrderedDict((key, size) for _, key, size in sorted(found))
        self._total_bytes = sum(self._sizes.values())
        self._evict()

    def path(self, key: str) -> Path:
        """Where the audio called ``key`` is, or would be."""
        return self._folder / key[:2] / f"{key}.wav"

    def find(self, key: str) -> Path | None:
        """The file, now the most recently used; None where there is none."""
        if key not in self._sizes:
            return None
        path = self.path(key)
        try:
            os.utime(path)  # the order of use survives a restart in the files' times
        except FileNotFoundError:  # somebody cleaned the folder
            self._total_bytes -= self._sizes.pop(key)
            return None
        self._sizes.move_to_end(key)
        return path

    def draft(self, key: str, number: int) -> Path:
        """Where to write the audio before `keep`: beside its place, under a name of its own."""
        folder = self._folder / key[:2]
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key}.{os.getpid()}-{number}.part"

    def keep(self, key: str, draft: Path) -> Path:
        """Move a written draft to its place (atomically) and make room for it."""
        size = draft.stat().st_size
        path = self.path(key)
        draft.replace(path)
        self._total_bytes += size - self._sizes.pop(key, 0)
        self._sizes[key] = size
        self._evict()
        return path

    def _evict(self) -> None:
        while self._total_bytes > self._bytes_max and len(self._sizes) > 1:
            key, size = self._sizes.popitem(last=False)
            self._total_bytes -= size
            with contextlib.suppress(FileNotFoundError):
                self.path(key).unlink()
