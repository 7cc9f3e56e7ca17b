"""What the storage refuses.

    Refused (service.errors)
      Overloaded               too many writes are waiting; answered as 503, to be tried again
      DatabaseClosed           the service is stopping; answered as 503
    UnusableDatabase           the database cannot be opened: says which, why and what to do

Errors raised inside a work (`billing.errors`, SQLAlchemy's own) reach whoever gave the work.
"""

from service.errors import Refused, Status


class Overloaded(Refused):
    """The writer's queue is full."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            Status.STOPPING,
            f"{limit} writes are waiting for the database (WORKS_QUEUED_MAX)",
            hint="try again in a few seconds",
        )


class DatabaseClosed(Refused):
    """The database takes no more work: the service is stopping."""

    def __init__(self) -> None:
        super().__init__(
            Status.STOPPING, "the database is closed", hint="try again once the service runs"
        )


class UnusableDatabase(Exception):
    """The database named by the configuration cannot be used."""
