"""Leading a leg to a destination: another party or a conference. One way for all who ask:
scripts (transfer), the API (createCall) and our own phones (dialling).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from billing.errors import NoTariff
from service.calls import Call
from service.errors import Refused, Status
from service.legs import CallLeg, LegFailed
from service.limits import CALL_S_MAX, RING_S_DEFAULT, RING_S_MAX
from service.metering import LegMeter
from service.routing import ConferenceAt, Destination, NumberAt, PhoneAt, SipAt
from vxml_engine.effects import TransferResult

if TYPE_CHECKING:
    from service.house import House

# Final SIP status of the called party -> what the script is told (VoiceXML 2.0 2.3.7.1).
RESULTS: dict[int, TransferResult] = {
    408: "noanswer",
    480: "noanswer",
    486: "busy",
    487: "noanswer",
    500: "network_busy",
    502: "network_busy",
    503: "network_busy",
    504: "network_busy",
    600: "busy",
}
# Why the far leg ended -> what the script is told; all others are network_disconnect.
END_RESULTS: dict[str, TransferResult] = {
    "remote": "far_end_disconnect",
    "max_duration": "maxtime_disconnect",
    "released": "near_end_disconnect",
}


@dataclass(frozen=True)
class ConnectOptions:
    """How a destination is called."""

    ring_s: float = RING_S_DEFAULT
    max_s: float = 0.0  # 0: no limit but the service's own
    caller: str | None = None  # the number shown, where it is not the call's own
    pin: str | None = None  # that the caller typed for a conference
    invited: bool = False  # called by the conference: needs no PIN, no listing
    ends_by: Callable[[str], bool] | None = None  # told the leg's keys; True ends the bridge
    any_account: bool = False  # the dial-in leads into every account's conferences


@dataclass(frozen=True)
class Connected:
    """How a connection ended: VoiceXML's transfer outcome, and seconds talked."""

    result: TransferResult
    duration_s: float


async def connect(
    house: "House", call: Call, leg: CallLeg, destination: Destination, options: ConnectOptions
) -> Connected:
    """Connect `leg` and stay until either side, the time or the credit ends it.

    A leg not yet answered hears the other side ring, and is answered with it. Raises
    `Refused` where nothing was called: no tariff, no credit, no such conference.
    """
    match destination:
        case ConferenceAt(conf_id):
            leg.accept()
            return await house.conferences.enter(call, leg, conf_id, options)
        case PhoneAt() | NumberAt() | SipAt():
            return await _bridge(house, call, leg, destination, options)
        case _:
            assert_never(destination)


async def _bridge(
    house: "House", call: Call, leg: CallLeg, destination: Destination, options: ConnectOptions
) -> Connected:
    destination = reachable(house, destination)
    meter = LegMeter(house, call, price(house, destination))
    await meter.reserve()
    room = f"bridge:{leg.media_id}"
    try:
        other = await dial(
            house,
            call,
            destination,
            options,
            meter,
            on_ringing=lambda other, early: _let_hear_ringing(house, leg, other, early, room),
            given_up=leg.ended,
        )
    except LegFailed as failed:
        leg.stop_playing()
        leg.reject(failed.status, failed.reason)
        return Connected(RESULTS.get(failed.status, "unknown"), 0.0)
    leg.stop_playing()
    leg.accept()
    started = house.clock()
    leg.join(room)
    other.join(room)
    _relay_digits(leg, other, options.ends_by)
    call.note("connected", to=str(destination))
    try:
        longest = min(options.max_s or CALL_S_MAX, CALL_S_MAX)
        await asyncio.wait(
            {leg.ended, other.ended}, timeout=longest, return_when=asyncio.FIRST_COMPLETED
        )
        other.hang_up("released" if leg.ended.done() else "max_duration")
        cause = await other.ended
    finally:
        leg.on_digit = None
        other.hang_up("released")
        leg.leave()
        await meter.settle()
    return Connected(END_RESULTS.get(cause, "network_disconnect"), house.clock() - started)


def _relay_digits(leg: CallLeg, other: CallLeg, ends_by: Callable[[str], bool] | None) -> None:
    """Send the keys of either side on to the other; the leg's own may end the bridge."""

    def pressed(digit: str) -> None:
        if ends_by is not None and ends_by(digit):
            other.hang_up("released")
        else:
            other.send_digit(digit)

    leg.on_digit = pressed
    other.on_digit = leg.send_digit


def _let_hear_ringing(
    house: "House", leg: CallLeg, other: CallLeg, early_audio: bool, room: str
) -> None:
    if not leg.accepted:
        leg.ring()
    elif early_audio:
        leg.stop_playing()
        leg.join(room)
        other.join(room)
    else:
        leg.play([house.prompts.ringback], loop=True)


async def dial(
    house: "House",
    call: Call,
    destination: Destination,
    options: ConnectOptions,
    meter: LegMeter,
    *,
    on_ringing: Callable[[CallLeg, bool], None] | None = None,
    given_up: asyncio.Future[str] | None = None,
) -> CallLeg:
    """Call a destination and wait until it answers; its meter, with money held, then runs.

    `on_ringing` is told the leg, and whether it sends audio already. Gives up as soon as
    `given_up` is done: the leg on whose behalf it is called has ended. Raises
    `LegFailed` when the party is not reached; the meter is settled then.
    """
    try:
        leg = await house.open_outgoing(call, destination, options)
        call.note("dialled", to=str(destination))
        if on_ringing is not None:
            leg.on_ringing = lambda early: on_ringing(leg, early)
        await _answer(leg, min(options.ring_s or RING_S_DEFAULT, RING_S_MAX), given_up)
    except BaseException as error:
        await meter.settle()
        if isinstance(error, LegFailed):
            call.note("not_reached", to=str(destination), status=error.status, reason=error.reason)
        raise
    meter.start(leg)
    return leg


async def _answer(leg: CallLeg, ring_s: float, given_up: asyncio.Future[str] | None) -> None:
    waited = {leg.answered} | ({given_up} if given_up else set())
    done, _ = await asyncio.wait(waited, timeout=ring_s, return_when=asyncio.FIRST_COMPLETED)
    if leg.answered not in done:
        leg.hang_up("released" if done else "noanswer")
        raise LegFailed(487 if done else 480, "Given up" if done else "No answer in time")
    leg.answered.result()


def reachable(house: "House", destination: Destination) -> Destination:
    """Return where a call to `destination` really goes: a number of ours may be a phone's.

    Raises `Refused` for a number of ours that a script or the dial-in answers: calling
    it from inside would earn what nobody pays.
    """
    if isinstance(destination, PhoneAt) and house.phones.get(destination.username) is None:
        raise Refused(
            Status.BAD_NUMBER,
            f"no phone {destination.username!r} belongs to this service",
            field="to",
            hint="the user name of a phone, as sip:alice@" + house.settings.sip.domain,
        )
    if not isinstance(destination, NumberAt):
        return destination
    ours = house.numbers.get(destination.number)
    if ours is None:
        if not house.settings.trunk.host:
            raise Refused(
                Status.UNREACHABLE,
                f"there is no trunk to call {destination.number} with",
                field="to",
                hint="set [trunk] host, or call a phone that is registered here",
            )
        return destination
    if ours.phone is None:
        raise Refused(
            Status.DESTINATION_REFUSED,
            f"{ours.number} is answered by this service itself",
            field="to",
            hint="conf:ID leads into a conference; a script is called from outside",
        )
    return PhoneAt(ours.phone)


def price(house: "House", destination: Destination) -> int:
    """Return what a minute to the destination costs by the tariff, in millicredits.

    Raises `Refused` (destination refused) where the tariff has no rate: no call is
    placed without one.
    """
    try:
        match destination:
            case NumberAt(number):
                rate = house.tariff.rate_for(number)
            case PhoneAt():
                rate = house.tariff.rate_for_phone()
            case SipAt():
                rate = house.tariff.rate_for_sip()
            case ConferenceAt():
                raise Refused(
                    Status.BAD_NUMBER,
                    "a conference cannot call a conference",
                    field="to",
                    hint="a number or a sip: URI on one side, conf:ID on the other",
                )
    except NoTariff as missing:
        raise Refused(
            Status.DESTINATION_REFUSED,
            str(missing),
            field="to",
            hint="a destination that the tariff names",
        ) from missing
    return rate.millicredits_per_minute
