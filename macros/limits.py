"""Every bound of this room, with its unit in its name."""

from __future__ import annotations

MACROS_MAX = 500
"""Macro elements in one document."""

INPUT_CHARS_MAX = 4096
"""One input's value or expression, unless its macro sets less."""

EXPANSION_CHARS_MAX = 65_536
"""What one macro becomes."""

DOCUMENT_EXPANSION_CHARS_MAX = 1_048_576
"""What all macros of one document become."""

PROBLEMS_MAX = 100
"""Problems reported of one document; the rest is not looked at."""

TEMPLATE_BYTES_MAX = 65_536
"""One file of a macro's folder."""
