"""Problems found in a document: where, which rule, what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding.

    ``line`` and ``column`` count from 1 (0: unknown); ``rule`` is a short fixed name; an
    ``error`` keeps the document from being used, a ``warning`` does not.
    """

    line: int
    column: int
    rule: str
    severity: Severity
    message: str


@runtime_checkable
class LocatedError(Protocol):
    """What an exception of a document's preparation must tell: the line it is about."""

    @property
    def line(self) -> int: ...


class LocatedProblem(Protocol):
    """One of several things wrong; ``column`` is None when it is unknown."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int | None: ...

    @property
    def rule(self) -> str: ...

    @property
    def message(self) -> str: ...


@runtime_checkable
class LocatedErrors(Protocol):
    """An exception of a document's preparation that tells all it has found."""

    @property
    def problems(self) -> Sequence[LocatedProblem]: ...
