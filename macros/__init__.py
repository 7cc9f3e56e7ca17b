"""VoiceMashup macros: data folders, expanded before interpretation."""

from macros.catalog import LIBRARY, Catalog, MacroDescription
from macros.errors import LibraryError, MacroError, MacroErrors, Problem

__all__ = [
    "LIBRARY",
    "Catalog",
    "LibraryError",
    "MacroDescription",
    "MacroError",
    "MacroErrors",
    "Problem",
]
