"""What the service refuses, and how it says so.

    Refused                    asked for something that can't be had: `status` says which
      (made by `refuse`)       kind, `field` names the parameter, `hint` what would be right

One table, `STATUSES`, holds every status the API can answer, its meaning and the
HTTP status that mirrors it. A failure of our own is never a `Refused`: it reaches
the log with its traceback and the caller as 500.
"""

from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """Status codes of the API, as `/response/status/status_code` carries them."""

    DONE = 200
    ID_MISSING = 400
    ID_UNKNOWN = 401
    CREDIT_TOO_LOW = 402
    RIGHT_MISSING = 403
    NOT_FOUND = 404
    CONFLICT = 409
    REQUEST_ID_REUSED = 422
    LIMIT_REACHED = 429
    CONTENT_MISSING = 430
    BAD_FROM = 431
    BAD_VALUE = 432
    BAD_NUMBER = 433
    TOO_LONG = 440
    DESTINATION_REFUSED = 441
    SOURCE_REFUSED = 442
    CONFERENCE_NOT_STARTED = 443
    CONFERENCE_ENDED = 444
    CONFERENCE_FULL = 445
    CALLER_NOT_LISTED = 446
    UNREACHABLE = 447
    WRONG_PIN = 448
    AUTHORISATION_MISSING = 450
    INTERNAL = 500
    STOPPING = 503


@dataclass(frozen=True)
class Meaning:
    """What a status means, and the HTTP status that mirrors it."""

    text: str
    http: int


STATUSES: dict[Status, Meaning] = {
    Status.DONE: Meaning("done", 200),
    Status.ID_MISSING: Meaning("the parameter id (the account's key) is missing", 400),
    Status.ID_UNKNOWN: Meaning("the key is unknown or revoked", 401),
    Status.CREDIT_TOO_LOW: Meaning("not enough credit", 402),
    Status.RIGHT_MISSING: Meaning("the key does not have the right for this method", 403),
    Status.NOT_FOUND: Meaning("nothing of that name belongs to the account", 404),
    Status.CONFLICT: Meaning("the present state does not allow it", 409),
    Status.REQUEST_ID_REUSED: Meaning("request_id was used for a different request", 422),
    Status.LIMIT_REACHED: Meaning("a limit is reached", 429),
    Status.CONTENT_MISSING: Meaning("a required parameter is missing", 400),
    Status.BAD_FROM: Meaning("the parameter from is not usable", 400),
    Status.BAD_VALUE: Meaning("a parameter has a value that is not usable", 400),
    Status.BAD_NUMBER: Meaning("the number is not usable", 400),
    Status.TOO_LONG: Meaning("the duration is over the limit", 400),
    Status.DESTINATION_REFUSED: Meaning("calls to this destination are refused", 403),
    Status.SOURCE_REFUSED: Meaning("calls from this source are refused", 403),
    Status.CONFERENCE_NOT_STARTED: Meaning("the conference has not started", 409),
    Status.CONFERENCE_ENDED: Meaning("the conference has ended", 409),
    Status.CONFERENCE_FULL: Meaning("the conference is full", 409),
    Status.CALLER_NOT_LISTED: Meaning("the conference admits only callers given by addCaller", 403),
    Status.UNREACHABLE: Meaning("the destination cannot be reached", 409),
    Status.WRONG_PIN: Meaning("the PIN is wrong", 403),
    Status.AUTHORISATION_MISSING: Meaning("authorisation is missing", 401),
    Status.INTERNAL: Meaning("internal error", 500),
    Status.STOPPING: Meaning("the service is stopping or overloaded", 500),
}


class Refused(Exception):
    """A request that is refused, with its status, the field at fault and what would be right."""

    def __init__(self, status: Status, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.hint = hint
