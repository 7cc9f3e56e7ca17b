"""What the API asks of the service; the service's house answers."""

from datetime import datetime
from typing import Protocol

from service.views import BalanceView, CallView, ConferenceView


class Core(Protocol):
    """The service as the API sees it. Every method raises `service.errors.Refused`."""

    async def create_conference(
        self,
        account_id: str,
        *,
        start: datetime | None,
        duration_min: int,
        access: str,
        pin: str | None,
        max_participants: int | None,
    ) -> ConferenceView:
        """Make a conference; `start` None: now."""
        ...

    async def add_caller(self, account_id: str, conf_id: str, number: str) -> None:
        """Let a number (international digits) into a conference."""
        ...

    async def get_conference(self, account_id: str, conf_id: str) -> ConferenceView:
        """The account's conference, over or not."""
        ...

    async def end_conference(self, account_id: str, conf_id: str) -> None:
        """End a conference now."""
        ...

    async def create_call(
        self,
        account_id: str,
        *,
        from_: str,
        to: str,
        max_duration_s: int | None,
        timeout_s: int | None,
    ) -> str:
        """Begin a call and return its id without waiting for an answer."""
        ...

    async def release_call(self, account_id: str, call_id: str) -> None:
        """Hang up a call."""
        ...

    async def get_call(self, account_id: str, call_id: str) -> CallView:
        """The account's call, live or ended."""
        ...

    async def get_balance(self, account_id: str) -> BalanceView:
        """The account's money."""
        ...
