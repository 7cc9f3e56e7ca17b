"""Problems found in a document: where, which rule, what to do."""

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
