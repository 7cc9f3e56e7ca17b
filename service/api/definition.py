"""What a method of the API is, as data.

Routing, validation, the texts of refusals and the reference in docs/api.md all come
from these values; nothing is said twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from service.api.core import Core
from service.errors import Status
from service.numbers import Numbers
from service.scripts import Scripts

Values = Mapping[str, Any]
Blocks = dict[str, dict[str, Any]]


class Kind(Enum):
    """What a parameter's value is; the text is how the reference calls it."""

    TEXT = "text"
    INTEGER = "whole number"
    CHOICE = "choice"
    TIME = "time"
    DIGITS = "digits"
    NUMBER = "number"
    DESTINATION = "destination"
    CONF_ID = "conference"
    CALL_ID = "call"
    SOURCE = "script"


@dataclass(frozen=True)
class Parameter:
    """One parameter: its value's kind, range, and what is answered where it is not so.

    `least` and `most` are a range for whole numbers, lengths for texts and digits. `bad`
    is the status of an unusable value, `over` that of one above the range.
    """

    name: str
    kind: Kind
    description: str
    example: str
    required: bool = False
    default: Any = None
    least: int = 0
    most: int = 0
    choices: tuple[str, ...] = ()
    bad: Status = Status.BAD_VALUE
    over: Status = Status.BAD_VALUE


@dataclass(frozen=True)
class ReplyField:
    """One field of a reply's block; a list names its items and their fields."""

    name: str
    description: str
    item: str = ""
    fields: tuple["ReplyField", ...] = ()


@dataclass(frozen=True)
class Context:
    """Whose request it is, when, and what may be asked to answer it."""

    account_id: str
    now: datetime
    core: Core
    scripts: Scripts
    numbers: Numbers


Run = Callable[[Context, Values], Awaitable[Blocks]]


@dataclass(frozen=True)
class Method:
    """One method. `statuses` are those beside `COMMON_STATUSES` that it answers.

    `creates`: takes `request_id`. `run` does it and returns the reply's block.
    """

    family: str
    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    block: str
    fields: tuple[ReplyField, ...]
    run: Run
    example: tuple[tuple[str, str], ...] = ()
    statuses: tuple[Status, ...] = ()
    creates: bool = False
    notes: str = ""

    @property
    def full_name(self) -> str:
        """`family.method`, as texts name it."""
        return f"{self.family}.{self.name}"

    @property
    def by_name(self) -> dict[str, Parameter]:
        """Its parameters by name."""
        return {parameter.name: parameter for parameter in self.parameters}


COMMON_STATUSES = (
    Status.DONE,
    Status.ID_MISSING,
    Status.ID_UNKNOWN,
    Status.AUTHORISATION_MISSING,
    Status.BAD_VALUE,
    Status.LIMIT_REACHED,
    Status.INTERNAL,
    Status.STOPPING,
)
