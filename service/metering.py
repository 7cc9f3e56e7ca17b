"""The money of one outgoing leg while it runs: performs what `billing.metering` asks for.

Every step is written before it takes effect: the first minute is held before the
party is called, each next one while the held one still runs, and the cost is taken
when the leg has ended.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from billing import holds
from billing.errors import InsufficientCredit
from billing.metering import Exhausted, Hold, Meter, Step, Warn
from service.calls import Call
from service.errors import Refused, Status
from service.legs import CallLeg

if TYPE_CHECKING:
    from service.house import House

log = logging.getLogger(__name__)


class LegMeter:
    """Holds, extends and takes what one leg costs; a leg that costs nothing writes nothing."""

    def __init__(self, house: "House", call: Call, millicredits_per_minute: int) -> None:
        self.house = house
        self.call = call
        self.price = millicredits_per_minute
        self._meter = Meter(millicredits_per_minute)
        self._hold_id: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = False

    async def reserve(self) -> None:
        """Hold the first minute; raises `Refused` (credit too low) where the balance has less."""
        if not self.price:
            return
        account_id = self.call.account_id
        assert account_id is not None, "who calls out is known"

        def place(connection: Connection) -> int:
            return holds.place(
                connection,
                account_id=account_id,
                amount=self._meter.first_hold,
                millicredits_per_minute=self.price,
                reference=self.call.id,
                node=self.house.settings.node.id,
                at=self.house.now(),
            )

        try:
            self._hold_id = await self.house.database.write(place)
        except InsufficientCredit as error:
            raise Refused(
                Status.CREDIT_TOO_LOW,
                str(error),
                hint="top the account up, or wait until its running calls have ended",
            ) from error

    def start(self, leg: CallLeg) -> None:
        """Begin to count: the leg is answered."""
        if self._hold_id is not None:
            self._task = self.house.spawn(self._run(leg, self._hold_id))

    async def settle(self) -> int:
        """Take what the leg cost, or give the hold back where it was never answered; once.

        Returns the cost in millicredits.
        """
        if self._hold_id is None or self._settled:
            return 0
        self._settled = True
        if self._task is not None:
            self._task.cancel()
        cost, hold_id, at = self._meter.stopped(self.house.clock()), self._hold_id, self.house.now()
        memo = f"call {self.call.direction}"
        if self._task is None:
            await self.house.database.write(lambda c: holds.release(c, hold_id, at=at))
            return 0
        taken = await self.house.database.write(
            lambda connection: holds.capture(connection, hold_id, cost, at=at, memo=memo)
        )
        self.call.cost_millicredits += taken
        self.call.note("paid", millicredits=taken)
        return taken

    async def _run(self, leg: CallLeg, hold_id: int) -> None:
        clock, at = self.house.clock, self.house.now()
        await self.house.database.write(lambda c: holds.answered(c, hold_id, at=at))
        steps = self._meter.started(clock())
        while not leg.ended.done():
            while steps:
                steps += await self._perform(steps.pop(0), leg, hold_id)
            timer = self._meter.get_timer()
            if timer is None:
                return
            await asyncio.sleep(max(0.0, timer - clock()))
            steps = self._meter.due(clock())

    async def _perform(self, step: Step, leg: CallLeg, hold_id: int) -> list[Step]:
        clock, at = self.house.clock, self.house.now()
        match step:
            case Hold(amount=amount):
                try:
                    await self.house.database.write(
                        lambda c: holds.extend(c, hold_id, amount, at=at)
                    )
                except InsufficientCredit as error:
                    return self._meter.extended(clock(), ok=False, available=error.available)
                return self._meter.extended(clock(), ok=True)
            case Warn(seconds_left=seconds_left):
                self.call.note("credit_low", seconds_left=seconds_left)
            case Exhausted():
                self.call.note("credit_exhausted")
                self.call.cause = self.call.cause or "credit_exhausted"
                leg.hang_up("credit_exhausted")
        return []
