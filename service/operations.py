"""What an account can do: one function each, the same for the API, the console and tests."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from billing import ledger
from service.calls import Call
from service.connect import ConnectOptions, connect, dial, price, reachable
from service.errors import Refused, Status
from service.legs import LegFailed
from service.limits import CALL_S_MAX, RING_S_DEFAULT, RING_S_MAX
from service.logs import about_call
from service.metering import LegMeter
from service.routing import ConferenceAt, Destination, NumberAt, PhoneAt
from service.views import BalanceView, CallView, ConferenceView

if TYPE_CHECKING:
    from service.house import House


# How a call that was not reached ended, by the called party's final SIP status.
NOT_REACHED = {
    404: "unreachable",
    408: "noanswer",
    480: "noanswer",
    486: "busy",
    487: "cancelled",
    600: "busy",
    603: "rejected",
}


class Operations:
    """The operations on one house; every one takes the account that asks."""

    def __init__(self, house: "House") -> None:
        self.house = house

    async def create_conference(
        self,
        account_id: str,
        *,
        start: datetime | None,
        duration_min: int | None,
        access: str,
        pin: str | None,
        max_participants: int | None,
    ) -> ConferenceView:
        """Make a conference; it exists for good when this returns."""
        return await self.house.conferences.create(
            account_id,
            start=start,
            duration_min=duration_min,
            access=access,
            pin=pin,
            max_participants=max_participants,
        )

    async def get_conference(self, account_id: str, conf_id: str) -> ConferenceView:
        return await self.house.conferences.get(account_id, conf_id)

    async def add_caller(self, account_id: str, conf_id: str, number: str) -> None:
        await self.house.conferences.add_caller(account_id, conf_id, number)

    async def end_conference(self, account_id: str, conf_id: str) -> None:
        await self.house.conferences.end(account_id, conf_id)

    async def create_call(
        self,
        account_id: str,
        *,
        from_: str,
        to: str,
        max_duration_s: int | None,
        timeout_s: int | None,
    ) -> str:
        """Call `from_`, then connect it to `to`; return the call's id once it is under way.

        A conference on either side is where the other side is led to, as its guest.
        Raises `Refused` before anything is sent: destinations, tariff, credit, and
        whether the conference takes somebody now.
        """
        house = self.house
        if house.stopping:
            raise Refused(Status.STOPPING, "the service is stopping")
        if len(house.calls.live) >= house.settings.sip.calls_max:
            raise Refused(Status.LIMIT_REACHED, "as many calls are up as [sip] calls_max allows")
        first, then = house.destination(from_, field="from"), house.destination(to, field="to")
        if isinstance(first, ConferenceAt):
            first, then = then, first
        options = _options(max_duration_s, timeout_s, caller=_shown(then))
        surcharge = 0
        if isinstance(then, ConferenceAt):
            house.conferences.check(account_id, then.conf_id, options)
            surcharge = house.prices.guest_per_minute
        else:
            price(house, reachable(house, then))
        first = reachable(house, first)
        if isinstance(first, PhoneAt) and not house.sip.contacts(first.username):
            raise Refused(
                Status.UNREACHABLE,
                f"phone {first.username} is not registered",
                field="from",
                hint="a phone that is registered now, or a number",
            )
        call = house.calls.begin(
            account_id=account_id, direction="outgoing", caller=str(then), called=str(first)
        )
        meter = LegMeter(house, call, price(house, first) + surcharge)
        try:
            await meter.reserve()
        except Refused:
            house.calls.end(call, "refused")
            raise
        house.spawn(self._run(call, first, then, options, meter))
        return call.id

    async def _run(
        self,
        call: Call,
        first: Destination,
        then: Destination,
        options: ConnectOptions,
        meter: LegMeter,
    ) -> None:
        with about_call(call.id):
            cause = "internal_error"
            try:
                leg = await dial(self.house, call, first, options, meter)
                call.answered()
                try:
                    connected = await connect(self.house, call, leg, then, options)
                    cause = connected.result
                finally:
                    leg.hang_up(cause)
                    cause = await leg.ended
                    await meter.settle()
            except LegFailed as failed:
                cause = NOT_REACHED.get(failed.status, "not_reached")
            except Refused as refused:
                call.note("refused", status=int(refused.status), why=refused.message)
                cause = "refused"
            finally:
                self.house.calls.end(call, cause)

    async def release_call(self, account_id: str, call_id: str) -> None:
        """Hang up a live call of the account; raises `Refused` where there is none."""
        call = self.house.calls.live.get(call_id)
        if call is None or call.account_id != account_id:
            await self.house.calls.view(account_id, call_id)  # refuses where it never was
            raise Refused(
                Status.CONFLICT,
                f"call {call_id} has ended",
                field="call_id",
                hint="only a call that is ringing or up can be released",
            )
        call.stop("released")

    async def get_call(self, account_id: str, call_id: str) -> CallView:
        return await self.house.calls.view(account_id, call_id)

    async def get_balance(self, account_id: str) -> BalanceView:
        """Return what the account has, and what it earned and spent so far."""

        def read(connection: Connection) -> BalanceView:
            has = ledger.balance(connection, account_id)
            so_far = ledger.totals(connection, account_id)
            return BalanceView(has.available, has.held, has.total, so_far.earned, so_far.spent)

        return await self.house.database.read(read)


def _options(
    max_duration_s: int | None, timeout_s: int | None, caller: str | None
) -> ConnectOptions:
    if max_duration_s is not None and not 1 <= max_duration_s <= CALL_S_MAX:
        raise Refused(
            Status.TOO_LONG,
            f"a call of {max_duration_s} s is not possible",
            field="max_duration",
            hint=f"1 to {CALL_S_MAX} seconds",
        )
    if timeout_s is not None and not 1 <= timeout_s <= RING_S_MAX:
        raise Refused(
            Status.BAD_VALUE,
            f"{timeout_s} s is not a usable time to ring",
            field="timeout",
            hint=f"1 to {RING_S_MAX} seconds",
        )
    return ConnectOptions(
        ring_s=timeout_s or RING_S_DEFAULT,
        max_s=float(max_duration_s or 0),
        caller=caller,
        invited=True,
    )


def _shown(then: Destination) -> str | None:
    """Return the number that the first party sees: the other's, where that is a number."""
    return then.number if isinstance(then, NumberAt) else None
