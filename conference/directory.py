"""Where conferences are found."""

from __future__ import annotations

from typing import Protocol

from conference.conference import Conference
from conference.errors import UnknownConference


class Directory(Protocol):
    """Whoever holds the conferences: a database, or several nodes' shared one."""

    def by_id(self, conf_id: str) -> Conference | None:
        """The conference of 6 hexadecimal digits, lower case."""
        ...

    def by_access_code(self, access_code: str) -> Conference | None:
        """The conference that a caller types these digits for."""
        ...


def find_by_id(directory: Directory, text: str) -> Conference:
    """The conference called ``12a34b`` or ``conf:12a34b``. Raises UnknownConference."""
    found = directory.by_id(text.strip().lower().removeprefix("conf:"))
    if found is None:
        raise UnknownConference(text)
    return found


def find_by_access_code(directory: Directory, typed: str) -> Conference:
    """The conference whose code a caller typed. Raises UnknownConference."""
    found = directory.by_access_code(typed)
    if found is None:
        raise UnknownConference(typed)
    return found
