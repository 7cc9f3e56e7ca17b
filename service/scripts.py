"""Scripts: uploaded, checked, kept by version, and found again for each call."""

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from service.errors import Refused, Status
from service.storage.database import Database
from service.storage.tables import script_versions, scripts
from vxml_engine.problems import Problem

SOURCE_BYTES_MAX = 1024 * 1024
NAME_CHARS_MAX = 100
SCRIPTS_PER_ACCOUNT_MAX = 500
# Older versions of a script are deleted; the current one is always among the newest.
VERSIONS_PER_SCRIPT_MAX = 50
SOURCES_CACHED_BYTES_MAX = 32 * 1024 * 1024
# Problems told in the text of a refusal; `problems` has all.
PROBLEMS_IN_TEXT_MAX = 5

NAME = re.compile(r"\w[\w .()-]*")

Check = Callable[[bytes], Sequence[Problem]]


@dataclass(frozen=True)
class Uploaded:
    """A script that was taken: its version, and the warnings of its check."""

    script_id: str
    version: int
    problems: tuple[Problem, ...]


class ScriptRefused(Refused):
    """A script with errors; `problems` lists every error and warning."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        told = [f"{one.line}:{one.column}: {one.rule}: {one.message}" for one in errors]
        if len(told) > PROBLEMS_IN_TEXT_MAX:
            told[PROBLEMS_IN_TEXT_MAX:] = [f"and {len(told) - PROBLEMS_IN_TEXT_MAX} more"]
        super().__init__(
            Status.BAD_VALUE,
            "the script has errors (line:column: rule: message): " + "; ".join(told),
            field="source",
            hint="script.checkScript lists all problems without keeping the script",
        )
        self.problems = tuple(problems)


class Scripts:
    """The scripts of the database. `check` finds the problems of a source.

    What calls need is cached by content; `refresh` forgets which version is current, so
    that the next call sees what another process changed.
    """

    def __init__(self, database: Database, check: Check) -> None:
        self._database = database
        self._check = check
        self._current: dict[str, tuple[int, str]] = {}
        self._sources: OrderedDict[str, bytes] = OrderedDict()
        self._sources_bytes = 0

    def refresh(self) -> None:
        """Look up each script's current version again when it is next asked for."""
        self._current.clear()

    def check(self, source: bytes) -> tuple[Problem, ...]:
        """The problems of a source, in order; raises `Refused` where it is empty or too long."""
        if not source.strip():
            raise Refused(Status.CONTENT_MISSING, "the script is empty", field="source")
        if len(source) > SOURCE_BYTES_MAX:
            raise Refused(
                Status.TOO_LONG,
                f"the script has {len(source)} bytes",
                field="source",
                hint=f"at most {SOURCE_BYTES_MAX} bytes",
            )
        return tuple(sorted(self._check(source)))

    async def upload(self, account_id: str, name: str, source: bytes, *, at: datetime) -> Uploaded:
        """Keep a source as the new version of the account's script of that name.

        The same source as the current version's makes no new one. Raises `ScriptRefused`
        where it has errors and `Refused` where a limit is reached.
        """
        name = name.strip()
        if len(name) > NAME_CHARS_MAX or not NAME.fullmatch(name):
            raise Refused(
                Status.BAD_VALUE,
                f"{name[:NAME_CHARS_MAX]!r} is not usable as a script's name",
                field="name",
                hint=f"1 to {NAME_CHARS_MAX} letters, digits, spaces and . _ ( ) -",
            )
        problems = self.check(source)
        if any(problem.severity == "error" for problem in problems):
            raise ScriptRefused(problems)
        digest = hashlib.sha256(source).hexdigest()

        def write(connection: Connection) -> tuple[str, int]:
            return _store(connection, account_id, name, source, digest, at)

        script_id, version = await self._database.write(write)
        self._current[script_id] = (version, digest)
        return Uploaded(script_id, version, problems)

    async def load(self, script_id: str) -> tuple[bytes, int]:
        """The source and number of a script's current version; raises `Refused` (not found)."""
        known = self._current.get(script_id)
        if known is not None and known[1] in self._sources:
            self._sources.move_to_end(known[1])
            return self._sources[known[1]], known[0]
        statement = (
            select(script_versions.c.version, script_versions.c.sha256, script_versions.c.source)
            .join(scripts, scripts.c.id == script_versions.c.script_id)
            .where(scripts.c.id == script_id, scripts.c.version == script_versions.c.version)
        )
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        if row is None:
            raise Refused(Status.NOT_FOUND, f"there is no script {script_id!r}", field="script")
        self._current[script_id] = (row.version, row.sha256)
        self._remember(row.sha256, row.source)
        return row.source, row.version

    def _remember(self, digest: str, source: bytes) -> None:
        if digest not in self._sources:
            self._sources[digest] = source
            self._sources_bytes += len(source)
        while self._sources_bytes > SOURCES_CACHED_BYTES_MAX:
            _, dropped = self._sources.popitem(last=False)
            self._sources_bytes -= len(dropped)


def find_script(connection: Connection, account_id: str, name_or_id: str) -> str:
    """The id of the account's script of that name or id; raises `Refused` where there is none."""
    found = connection.scalar(
        select(scripts.c.id).where(
            scripts.c.account_id == account_id,
            or_(scripts.c.name == name_or_id, scripts.c.id == name_or_id),
        )
    )
    if found is None:
        raise Refused(Status.NOT_FOUND, f"the account has no script {name_or_id!r}", field="script")
    return str(found)


def _store(
    connection: Connection, account_id: str, name: str, source: bytes, digest: str, at: datetime
) -> tuple[str, int]:
    found = connection.execute(
        select(scripts.c.id, scripts.c.version, script_versions.c.sha256)
        .join(
            script_versions,
            (script_versions.c.script_id == scripts.c.id)
            & (script_versions.c.version == scripts.c.version),
        )
        .where(scripts.c.account_id == account_id, scripts.c.name == name)
    ).first()
    if found is not None and found.sha256 == digest:
        return found.id, found.version
    if found is None:
        owned = connection.scalar(select(func.count()).where(scripts.c.account_id == account_id))
        if (owned or 0) >= SCRIPTS_PER_ACCOUNT_MAX:
            raise Refused(
                Status.LIMIT_REACHED,
                f"an account has at most {SCRIPTS_PER_ACCOUNT_MAX} scripts",
                hint="upload under the name of one that is there",
            )
        script_id, version = secrets.token_hex(8), 1
        connection.execute(
            insert(scripts).values(
                id=script_id, account_id=account_id, name=name, version=version, created_at=at
            )
        )
    else:
        script_id, version = found.id, _newest(connection, found.id) + 1
        connection.execute(update(scripts).where(scripts.c.id == script_id).values(version=version))
    connection.execute(
        insert(script_versions).values(
            script_id=script_id, version=version, sha256=digest, source=source, created_at=at
        )
    )
    connection.execute(
        delete(script_versions).where(
            script_versions.c.script_id == script_id,
            script_versions.c.version <= version - VERSIONS_PER_SCRIPT_MAX,
        )
    )
    return script_id, version


def _newest(connection: Connection, script_id: str) -> int:
    statement = select(func.max(script_versions.c.version)).where(
        script_versions.c.script_id == script_id
    )
    return int(connection.scalar(statement) or 0)
