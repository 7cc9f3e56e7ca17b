"""Tests of scripts with pytest: the fixture ``vxml`` calls a script, without a phone.

    def test_one_tells_the_hours(vxml):
        call = vxml("menu.vxml")
        call.hears("press 1")
        call.presses("1")
        call.hears("nine to five")

The plug-in comes with the package (entry point ``pytest11``).  Macros are expanded by whatever
the fixture ``vxml_prepare`` returns, which a ``conftest.py`` may override.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vxml_engine.parser import Prepare
from vxml_engine.session import Connection
from vxml_engine.testing.conversation import Conversation, Page

Caller = Callable[..., Conversation]


@pytest.fixture
def vxml_prepare() -> Prepare | None:
    """What changes documents before they are read; override it to expand macros."""
    return None


@pytest.fixture
def vxml(request: pytest.FixtureRequest, vxml_prepare: Prepare | None) -> Iterator[Caller]:
    """Call a script: a file beside the test, an absolute path, or an address among the pages."""
    calls: list[Conversation] = []

    def call(
        document: str | Path,
        *,
        pages: Mapping[str, Page] | None = None,
        variables: Mapping[str, str] | None = None,
        connection: Connection | None = None,
        prepare: Prepare | None = vxml_prepare,
        recognizes: bool = True,
    ) -> Conversation:
        """Begin a call; the arguments are those of ``Conversation``."""
        begun = Conversation(
            _located(document, request.path.parent),
            pages=pages,
            variables=variables,
            connection=connection,
            prepare=prepare,
            recognizes=recognizes,
        )
        calls.append(begun)
        return begun

    yield call
    for begun in calls:
        begun.close()


def _located(document: str | Path, folder: Path) -> str | Path:
    if isinstance(document, str) and urlsplit(document).scheme in ("http", "https", "file"):
        return document
    return folder / document
