"""Where SIP meets calls: every incoming INVITE finds what it reaches, or its refusal.

`Reception` is telephony's `Application`. Who may reach what:

    one of our phones (proven by digest)   anything; what leaves the house is paid
    anybody else                           our numbers and conferences, nothing else
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from media.errors import PortsExhausted
from service import dial_in
from service.calls import Call
from service.connect import ConnectOptions, connect
from service.errors import STATUSES, Refused, Status
from service.legs import CallLeg
from service.limits import ANSWER_CONFIRMED_S_MAX
from service.logs import about_call
from service.numbers import Number
from service.routing import ConferenceAt, Destination, NumberAt, PhoneAt
from service.sessions import run_script
from telephony.errors import NoCommonCodec, SdpError
from telephony.legs import EndCause, Leg, LegState
from telephony.messages import Request
from telephony.registrar import Binding
from telephony.sdp import make_answer, make_offer, read_answer
from telephony.transport import Flow
from telephony.uri import SipUri

if TYPE_CHECKING:
    from service.house import House

log = logging.getLogger(__name__)

# How a leg's end is told in a call's record.
END_CAUSES = {
    EndCause.REMOTE_BYE: "remote",
    EndCause.CANCELLED: "cancelled",
    EndCause.LOCAL_HANGUP: "released",
    EndCause.REJECTED: "rejected",
    EndCause.NO_ACK: "no_ack",
    EndCause.TRANSPORT: "transport",
}
# The SIP status that mirrors a refusal; all others are 403 Forbidden.
SIP_STATUSES = {
    Status.NOT_FOUND: 404,
    Status.BAD_NUMBER: 404,
    Status.LIMIT_REACHED: 503,
    Status.STOPPING: 503,
    Status.INTERNAL: 500,
    Status.CREDIT_TOO_LOW: 402,
}

Flowing = Callable[[Call, CallLeg], Awaitable[str]]


@dataclass(frozen=True)
class Reached:
    """What an INVITE reaches: whose call it is, its direction, and what it runs."""

    account_id: str | None
    direction: str
    earns: bool
    run: Flowing


class Reception:
    """Takes what SIP reports: new calls, and how the legs fare."""

    def __init__(self, house: "House") -> None:
        self.house = house

    # Who is it

    def requires_authentication(self, request: Request, source: Flow) -> bool:
        """Tell whether an INVITE claims to be one of our phones: it then has to prove it."""
        uri = request.from_.uri
        return (
            isinstance(uri, SipUri)
            and self.house.is_ours(uri.host)
            and self.house.phones.get(uri.username) is not None
        )

    # New calls

    def incoming_call(self, sip: Leg) -> None:
        self.house.spawn(self._receive(sip))

    async def _receive(self, sip: Leg) -> None:
        try:
            reached = self._find(sip)
            leg = await self.house.legs.open()
        except Refused as refused:
            log.info("a call to %s is refused: %s", sip.called.username, refused.message)
            status = SIP_STATUSES.get(refused.status, 403)
            sip.reject(status, headers=[("Retry-After", "10")] if status == 503 else [])
            return
        except PortsExhausted as error:
            log.warning("a call is refused: %s", error)
            sip.reject(503, headers=[("Retry-After", "10")])
            return
        self.house.legs.join_sip(leg, sip)
        if sip.state is LegState.ENDED:
            leg.has_ended("cancelled")
            return
        if not self._offer_or_answer(leg, sip):
            return
        call = self.house.calls.begin(
            account_id=reached.account_id,
            direction=reached.direction,
            caller=sip.username or _shown(sip.caller.uri),
            called=_shown(sip.called),
        )
        call.earns = reached.earns
        call.add_leg(leg)
        with about_call(call.id):
            await self._run(call, leg, reached.run)

    async def _run(self, call: Call, leg: CallLeg, run: Flowing) -> None:
        cause = "internal_error"
        try:
            cause = await run(call, leg)
        except Refused as refused:
            call.note("refused", status=int(refused.status), why=refused.message)
            cause = "refused"
            leg.reject(SIP_STATUSES.get(refused.status, 403), STATUSES[refused.status].text)
        except Exception:
            log.exception("the call failed")
            leg.reject(500)
        finally:
            leg.hang_up(cause)
            self.house.calls.end(call, await leg.ended)

    def _offer_or_answer(self, leg: CallLeg, sip: Leg) -> bool:
        """Prepare our SDP; without an offer in the INVITE, ours goes out with the 200."""
        peer = sip.source.host if sip.source else ""
        ip = self.house.audio_address(peer)
        if not sip.remote_sdp:
            leg.local_sdp = make_offer(ip, leg.port)
            return True
        try:
            leg.local_sdp, negotiated = make_answer(sip.remote_sdp, ip, leg.port)
        except SdpError as error:
            log.info("a call is refused: %s", error)
            leg.reject(488 if isinstance(error, NoCommonCodec) else 400, str(error)[:60])
            return False
        leg.connect_audio(negotiated)
        return True

    def _find(self, sip: Leg) -> Reached:
        """Return what the INVITE reaches; raises `Refused`."""
        house = self.house
        if house.stopping:
            raise Refused(Status.STOPPING, "the service is stopping")
        if len(house.calls.live) >= house.settings.sip.calls_max:
            raise Refused(
                Status.LIMIT_REACHED, f"[sip] calls_max = {house.settings.sip.calls_max} is reached"
            )
        destination = house.destination(str(sip.called), field="to")
        phone = house.phones.get(sip.username) if sip.username else None
        if phone is None and house.settings.sip.incoming == "trunk" and not sip.from_trunk:
            raise Refused(Status.SOURCE_REFUSED, "only the trunk may call our numbers")
        if isinstance(destination, NumberAt) and (number := house.numbers.get(destination.number)):
            return self._at_number(number, earns=phone is None)
        if phone is not None:
            return Reached(phone.account_id, "outgoing", False, self._connecting(destination))
        if isinstance(destination, ConferenceAt):
            found = house.conferences.by_id(destination.conf_id)
            if found is not None:
                run = self._connecting(destination)
                return Reached(found.account_id, "incoming", True, run)
        raise Refused(Status.NOT_FOUND, f"{sip.called.username!r} reaches nothing here")

    def _at_number(self, number: Number, *, earns: bool) -> Reached:
        if number.dial_in:
            return Reached(None, "incoming", earns, self._running(dial_in.START))
        if number.script_id is not None:
            start = f"voicemashup://script/{number.script_id}"
            return Reached(number.account_id, "incoming", earns, self._running(start))
        if number.phone is not None:
            run = self._connecting(PhoneAt(number.phone))
            return Reached(number.account_id, "incoming", False, run)
        raise Refused(Status.NOT_FOUND, f"{number.number} reaches nothing yet")

    def _running(self, start_url: str) -> Flowing:
        async def run(call: Call, leg: CallLeg) -> str:
            leg.accept()
            await self._confirmed(leg)
            call.answered()
            result = await run_script(self.house, call, leg, start_url)
            return "script_error" if result.reason == "error" else "completed"

        return run

    def _connecting(self, destination: Destination) -> Flowing:
        async def run(call: Call, leg: CallLeg) -> str:
            leg.on_accepted = call.answered
            connected = await connect(
                self.house, call, leg, destination, ConnectOptions(pin=call.pin)
            )
            return connected.result

        return run

    async def _confirmed(self, leg: CallLeg) -> None:
        """Wait for the ACK: what is played before it, the phone may not play."""
        either: set[asyncio.Future[Any]] = {leg.answered, leg.ended}
        await asyncio.wait(
            either,
            timeout=ANSWER_CONFIRMED_S_MAX,
            return_when=asyncio.FIRST_COMPLETED,
        )

    # How legs fare

    def leg_ringing(self, sip: Leg, status: int, sdp: bytes | None) -> None:
        if (leg := self.house.legs.of_sip(sip)) is None:
            return
        early = bool(sdp) and self._take_answer(leg, sdp or b"")
        if leg.on_ringing is not None:
            leg.on_ringing(early)

    def leg_answered(self, sip: Leg, sdp: bytes) -> None:
        if (leg := self.house.legs.of_sip(sip)) is None:
            return
        if sdp and not self._take_answer(leg, sdp):
            leg.hang_up("bad_sdp")
            return
        leg.was_answered()

    def leg_failed(self, sip: Leg, status: int, reason: str) -> None:
        if (leg := self.house.legs.of_sip(sip)) is not None:
            leg.has_failed(status, reason)

    def leg_ended(self, sip: Leg, cause: EndCause) -> None:
        if (leg := self.house.legs.of_sip(sip)) is not None:
            leg.has_ended(END_CAUSES[cause])

    def leg_offer(self, sip: Leg, sdp: bytes) -> bytes | None:
        """Answer a new offer on a running leg: hold, resume, another address."""
        if (leg := self.house.legs.of_sip(sip)) is None:
            return None
        leg.sdp_version += 1
        ip = self.house.audio_address(sip.source.host if sip.source else "")
        try:
            answer, negotiated = make_answer(sdp, ip, leg.port, version=leg.sdp_version)
        except SdpError as error:
            log.info("a new offer is refused: %s", error)
            return None
        leg.connect_audio(negotiated)
        return answer

    def registration_changed(self, username: str, contacts: tuple[Binding, ...]) -> None:
        log.info("phone %s has %d contacts", username, len(contacts))

    def _take_answer(self, leg: CallLeg, sdp: bytes) -> bool:
        try:
            leg.connect_audio(read_answer(leg.local_sdp, sdp))
        except SdpError as error:
            log.warning("the other side's SDP is not usable: %s", error)
            return False
        return True


def _shown(uri: object) -> str:
    """Return the party of a URI as a call shows it: the number, or the whole address."""
    if isinstance(uri, SipUri):
        user = uri.username
        return user if user.isdigit() else f"sip:{user}@{uri.host}" if user else str(uri)
    return str(uri)
