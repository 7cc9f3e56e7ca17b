"""Where compiled kernels are kept, and the decorator that makes a function one.

numba keys its cache by the file of the kernel itself, not by the files of what it calls. The
folder is therefore named after the sources, numba, Python and the processor: an upgrade never
meets machine code of its predecessor.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from numba.core.registry import cpu_target

Function = TypeVar("Function", bound=Callable[..., Any])

_FOLDERS_KEPT = 4
_NO_KERNELS = {
    *("audiofile.py", "client.py", "dtmf.py", "errors.py", "messages.py", "plane.py", "ports.py"),
    *("process.py", "prompts.py", "tones.py"),
}
"""Files that no kernel reads; any other change compiles anew."""


def _folder() -> Path:
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        if source.name not in _NO_KERNELS:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    processor = cpu_target.target_context.codegen().magic_tuple()
    digest.update(f"{numba.__version__} {sys.version} {processor}".encode())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "voicemashup" / "kernels" / digest.hexdigest()[:16]


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


FOLDER: Final = _folder()
"""This version's compiled kernels."""
CACHED: Final = _usable(FOLDER)
"""False where the user's cache folder cannot be written: every start compiles then."""
if CACHED:
    vars(numba.config)["CACHE_DIR"] = str(FOLDER)


def kernel(function: Function) -> Function:
    """Return the function compiled on first call, without Python in it, and kept on disk."""
    return cast(Function, numba.njit(cache=CACHED, error_model="numpy")(function))


def is_compiled() -> bool:
    """Return whether every kernel of this version has been compiled and kept before."""
    return CACHED and (FOLDER / "complete").exists()


def note_compiled() -> None:
    """Record that every kernel is on disk, and drop the folders of old versions."""
    if not CACHED:
        return
    (FOLDER / "complete").touch()
    folders = sorted(FOLDER.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in folders[_FOLDERS_KEPT:]:
        if old != FOLDER:
            shutil.rmtree(old, ignore_errors=True)
