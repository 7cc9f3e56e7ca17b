"""Outgoing INVITEs (RFC 3261 13.2, 9.1): one leg, one or several forks, the first answer wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from telephony.auth import DigestCredentials
from telephony.core import ALLOW, Core, Exchange, Field, check_fields
from telephony.dialogs import SipDialog, dialog_of_response
from telephony.errors import LimitReached
from telephony.legs import (
    Leg,
    LegAnswered,
    LegControl,
    LegDirection,
    LegFailed,
    LegRinging,
    LegState,
)
from telephony.limits import FORKS_MAX, LEGS_MAX, RING_S_MAX
from telephony.messages import REASONS, Request, Response
from telephony.timers import Timer
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri

_WAITING = (LegState.CALLING, LegState.RINGING)
Target = tuple[SipUri, Flow]


class _Silent:
    """ClientUser of a CANCEL: what matters is the answer to the INVITE."""

    def responded(self, *_: object) -> None:
        """Nothing to do."""

    def unanswered(self, *_: object) -> None:
        """Nothing to do."""


class Fork:
    """One INVITE of an outgoing leg, to one target."""

    def __init__(
        self,
        calls: OutgoingCalls,
        leg: Leg,
        target: Target,
        sdp: bytes,
        fields: Sequence[Field],
        credentials: DigestCredentials | None,
        max_forwards: int,
    ) -> None:
        self._calls = calls
        self._core = calls.core
        self._leg = leg
        self._uri = target[0].request_uri
        self._sdp = sdp
        self._fields = tuple(fields)
        self._credentials = credentials
        self._max_forwards = max_forwards
        self._number = 0
        self._acks: dict[str, tuple[Flow, bytes]] = {}
        self._early: dict[str, SipDialog] = {}
        self._heard = False
        self._cancelling = False
        self._give_up: Timer | None = None
        self._rung: set[tuple[int, str, bytes]] = set()
        self.status = 0
        self.reason = ""
        self._exchange = Exchange(
            calls.core,
            self.compose,
            target[1],
            credentials=credentials,
            on_response=self._response,
            on_failure=self._failure,
        )

    @property
    def done(self) -> bool:
        """Whether a final response came, or will never come."""
        return self.status >= 200

    def start(self, now: float) -> None:
        """Send the INVITE."""
        self._exchange.start(now)

    def compose(self, flow: Flow, authorization: Sequence[Field]) -> tuple[Request, Flow]:
        """The INVITE for `flow`."""
        self._number += 1
        leg = self._leg
        fields = [
            ("Contact", self._core.contact(flow)),
            ("Allow", ALLOW),
            *authorization,
            *self._fields,
        ]
        request = self._core.request(
            "INVITE",
            self._uri,
            flow,
            from_=str(leg.caller),
            to=f"<{leg.called}>",
            call_id=leg.call_id,
            number=self._number,
            fields=fields,
            body=self._sdp,
            max_forwards=self._max_forwards,
        )
        return request, flow

    def cancel(self, now: float) -> None:
        """Give up; CANCEL goes out once a provisional response was heard (RFC 3261 9.1)."""
        if self.done or self._cancelling:
            return
        self._cancelling = True
        if self._heard:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        transaction = self._exchange.transaction
        assert transaction is not None
        invite = transaction.request
        lines = [
            (name, value)
            for name, value in invite.fields
            if name in ("Via", "From", "To", "Call-ID", "Route", "Max-Forwards")
        ]
        lines.append(("CSeq", f"{invite.cseq[0]} CANCEL"))
        cancel = Request("CANCEL", invite.uri_text, lines)
        self._core.transactions.start_client(cancel, transaction.flow, _Silent(), now)
        # RFC 3261 9.1: no final response in 64*T1 means the INVITE is cancelled.
        due = now + self._core.settings.timers.timeout
        self._give_up = self._core.timers.start(due, self._gave_up)

    def _gave_up(self, now: float) -> None:
        self._exchange.abandon(now)
        self._finish(487, REASONS[487], now)

    def _response(self, response: Response, now: float) -> None:
        if response.status < 200:
            self._provisional(response, now)
        elif response.status < 300:
            self._success(response, now)
        else:
            self._finish(response.status, response.reason, now)

    def _failure(self, status: int, now: float) -> None:
        self._finish(status, REASONS[status], now)

    def _provisional(self, response: Response, now: float) -> None:
        if not self._heard:
            self._heard = True
            if self._cancelling:
                self._send_cancel(now)
        leg, tag = self._leg, response.to.tag
        if response.status == 100 or leg.state not in _WAITING:
            return
        if tag and tag not in self._early and len(self._early) < FORKS_MAX:
            assert self._exchange.transaction is not None
            request = self._exchange.transaction.request
            dialog = dialog_of_response(request, response, self._exchange.transaction.flow)
            self._early[tag] = dialog
            self._core.dialogs[dialog.key] = (leg, dialog)
        leg.state = LegState.RINGING
        news = (response.status, tag, response.body)
        if news not in self._rung and len(self._rung) < FORKS_MAX:
            self._rung.add(news)
            self._core.events.append(LegRinging(leg, response.status, response.body or None))
            if response.body:
                leg.remote_sdp = response.body

    def _success(self, response: Response, now: float) -> None:
        tag = response.to.tag
        known = self._acks.get(tag)
        if known is not None:
            self._core.send(*known)
            return
        if len(self._acks) >= FORKS_MAX:
            return
        transaction = self._exchange.transaction
        assert transaction is not None
        dialog = dialog_of_response(transaction.request, response, transaction.flow)
        dialog.confirmed = True
        self._send_ack(dialog, tag)
        leg = self._leg
        if leg.state in _WAITING:
            self._win(dialog, response, now)
        else:
            # Cancelled too late, another fork was faster, or a second answer.
            self._core.say_goodbye(dialog, self._credentials, now)
        self._finish(response.status, response.reason, now)

    def _send_ack(self, dialog: SipDialog, tag: str) -> None:
        ack, flow = self._core.in_dialog(
            dialog, "ACK", number=dialog.local_number, fields=self._exchange.authorization
        )
        self._acks[tag] = (flow, bytes(ack))
        self._core.send(flow, bytes(ack))

    def _win(self, dialog: SipDialog, response: Response, now: float) -> None:
        leg = self._leg
        leg.dialog = dialog
        leg.state = LegState.UP
        if response.body:
            leg.remote_sdp = response.body
        if leg.ring_timer is not None:
            leg.ring_timer.cancel()
        for fork in leg.forks:
            if fork is not self:
                fork.cancel(now)
            fork.drop_early()
        self._core.dialogs[dialog.key] = (leg, dialog)
        self._core.events.append(LegAnswered(leg, leg.remote_sdp))

    def drop_early(self) -> None:
        """Forget the early dialogs."""
        for dialog in self._early.values():
            self._core.dialogs.pop(dialog.key, None)
        self._early.clear()

    def _finish(self, status: int, reason: str, now: float) -> None:
        if self._give_up is not None:
            self._give_up.cancel()
        if self.done:
            return
        self.status, self.reason = status, reason
        if status >= 300:
            self._calls.fork_failed(self._leg, self, now)


class OutgoingCalls:
    """The client side of INVITE."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def call(
        self,
        targets: Sequence[Target],
        called: SipUri,
        caller: NameAddress,
        sdp: bytes,
        control: LegControl,
        now: float,
        *,
        headers: Sequence[Field] = (),
        credentials: DigestCredentials | None = None,
        max_forwards: int = 70,
    ) -> Leg:
        """Call `targets` at once.

        Raises LimitReached over LEGS_MAX or FORKS_MAX, ValueError for a header with a line end.
        """
        if len(self.core.legs) >= LEGS_MAX:
            raise LimitReached("LEGS_MAX", LEGS_MAX)
        if len(targets) > FORKS_MAX:
            raise LimitReached("FORKS_MAX", FORKS_MAX)
        core = self.core
        tagged = replace(caller, parameters={"tag": core.token(4)})
        check_fields([("From", str(tagged)), ("To", str(called)), *headers])
        call_id = f"{core.token(12)}@{core.settings.host}"
        first = Request("INVITE", targets[0][0].request_uri, [("Call-ID", call_id)])
        leg = Leg(core.token(8), LegDirection.OUTGOING, control, first, called, tagged)
        core.legs[leg.id] = leg
        leg.forks = [
            Fork(self, leg, target, sdp, headers, credentials, max_forwards) for target in targets
        ]
        leg.ring_timer = core.timers.start(now + RING_S_MAX, lambda due: self._rang_out(leg, due))
        for fork in leg.forks:
            fork.start(now)
        return leg

    def hang_up(self, leg: Leg, now: float) -> None:
        """Give up an outgoing leg that is not answered."""
        self._fail(leg, 487, REASONS[487], now)

    def fork_failed(self, leg: Leg, fork: Fork, now: float) -> None:
        """One fork ended without an answer (RFC 3261 16.7: 6xx ends all, else the lowest)."""
        fork.drop_early()
        if leg.state not in _WAITING:
            return
        if fork.status >= 600:
            self._fail(leg, fork.status, fork.reason, now)
        elif all(each.done for each in leg.forks):
            best = min(leg.forks, key=lambda each: (each.status in (408, 503), each.status))
            self._fail(leg, best.status, best.reason, now)

    def _rang_out(self, leg: Leg, now: float) -> None:
        if leg.state in _WAITING:
            self._fail(leg, 408, f"No answer in {RING_S_MAX:g} s", now)

    def _fail(self, leg: Leg, status: int, reason: str, now: float) -> None:
        self.core.retire(leg)
        for fork in leg.forks:
            fork.cancel(now)
            fork.drop_early()
        self.core.events.append(LegFailed(leg, status, reason))
