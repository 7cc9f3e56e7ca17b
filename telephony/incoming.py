"""Incoming INVITEs (RFC 3261 13.3, 14.2): ring, answer, reject, re-INVITE, until ACK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from telephony.core import ALLOW, SDP_TYPE, Core
from telephony.dialogs import SipDialog, dialog_of_invite
from telephony.legs import (
    EndCause,
    IncomingCall,
    Leg,
    LegAnswered,
    LegControl,
    LegDirection,
    LegOffer,
    LegState,
)
from telephony.messages import Request
from telephony.timers import Timer
from telephony.transactions import Transaction
from telephony.transport import Flow
from telephony.uri import SipUri

if TYPE_CHECKING:
    from telephony.auth import DigestCredentials


class ServerInvite:
    """One INVITE we answer; its 2xx is sent again until the ACK comes (RFC 3261 13.3.1.4)."""

    __slots__ = ("_calls", "_deadline", "_interval", "_timer", "leg", "transaction", "wire")

    # A proxy gives up on an INVITE it hears nothing about for three minutes (RFC 3261 13.3.1.1).
    RING_AGAIN_S: Final = 60.0

    def __init__(self, calls: IncomingCalls, leg: Leg, transaction: Transaction) -> None:
        self._calls = calls
        self.leg = leg
        self.transaction = transaction
        self.wire = b""
        self._timer: Timer | None = None
        self._interval = 0.0
        self._deadline = 0.0

    def keep_ringing(self, status: int, wire: bytes, now: float) -> None:
        """The provisional response `wire` has been sent; send it each RING_AGAIN_S seconds."""
        self.stop()

        def again(due: float) -> None:
            self.transaction.send(status, wire, due)
            self.keep_ringing(status, wire, due)

        self._timer = self._calls.core.timers.start(now + self.RING_AGAIN_S, again)

    def await_ack(self, wire: bytes, now: float) -> None:
        """The 2xx `wire` has been sent."""
        self.stop()
        values = self._calls.core.settings.timers
        self.wire = wire
        self._interval = values.t1
        self._deadline = now + values.timeout
        self._timer = self._calls.core.timers.start(now + self._interval, self._again)

    def stop(self) -> None:
        """Nothing is sent again: the ACK came, or nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _again(self, now: float) -> None:
        core = self._calls.core
        if now >= self._deadline:
            self._calls.never_acknowledged(self, now)
            return
        core.transactions.resent += 1
        core.send(self.transaction.flow, self.wire)
        self._interval = min(2 * self._interval, core.settings.timers.t2)
        due = min(now + self._interval, self._deadline)
        self._timer = core.timers.start(due, self._again)

    def acknowledged(self, _transaction: Transaction, ack: Request, now: float) -> None:
        """ServerUser: an ACK matched the INVITE's own transaction (RFC 2543 peers)."""
        self._calls.acknowledge(self.leg, ack, now)

    def undelivered(self, _transaction: Transaction, _now: float) -> None:
        """ServerUser: the final response did not arrive, or the connection broke."""
        self._calls.undelivered(self.leg)


class IncomingCalls:
    """The server side of INVITE."""

    def __init__(self, core: Core, credentials: DigestCredentials | None) -> None:
        self.core = core
        self._credentials = credentials
        self._allow = ("Allow", ALLOW)
        self._merged: dict[tuple[str, str, int], str] = {}

    def merged(self, request: Request) -> bool:
        """Whether this INVITE already reached us on another way (RFC 3261 8.2.2.2)."""
        return (request.call_id, request.from_.tag, request.cseq[0]) in self._merged

    def offer(
        self,
        transaction: Transaction,
        source: Flow,
        control: LegControl,
        now: float,
        *,
        username: str | None,
        from_trunk: bool,
    ) -> Leg:
        """A leg for a new INVITE; the application hears of it.

        It ends by itself when the INVITE's Expires has passed (RFC 3261 13.3.1).
        """
        request = transaction.request
        called = request.uri
        assert isinstance(called, SipUri)
        leg = Leg(
            self.core.token(8), LegDirection.INCOMING, control, request, called, request.from_
        )
        leg.source, leg.username, leg.from_trunk = source, username, from_trunk
        leg.remote_sdp = request.body
        leg.local_tag = self.core.token(4)
        leg.server = ServerInvite(self, leg, transaction)
        transaction.user = leg.server
        self.core.legs[leg.id] = leg
        self._merged[(request.call_id, request.from_.tag, request.cseq[0])] = leg.id
        self.core.events.append(IncomingCall(leg))
        seconds = request.value("expires") or ""
        if seconds.isascii() and seconds.isdigit() and len(seconds) < 10:
            leg.ring_timer = self.core.timers.start(
                now + int(seconds), lambda due: self._expired(leg, due)
            )
        return leg

    def _expired(self, leg: Leg, now: float) -> None:
        if leg.state in (LegState.OFFERED, LegState.RINGING):
            self.cancelled(leg, now)

    def ring(self, leg: Leg, sdp: bytes | None, now: float) -> None:
        """180, or 183 with early media; makes the early dialog."""
        self._ensure_dialog(leg)
        leg.state = LegState.RINGING
        status = 183 if sdp else 180
        wire = self._respond(leg, status, now, sdp or b"")
        assert leg.server is not None
        leg.server.keep_ringing(status, wire, now)

    def answer(self, leg: Leg, sdp: bytes, now: float) -> None:
        """200 with `sdp`, sent again until the ACK."""
        dialog = self._ensure_dialog(leg)
        dialog.confirmed = True
        leg.state = LegState.ANSWERING
        if leg.ring_timer is not None:
            leg.ring_timer.cancel()
        self._forget_merge(leg)
        assert leg.server is not None
        leg.server.await_ack(self._respond(leg, 200, now, sdp), now)

    def reject(
        self,
        leg: Leg,
        status: int,
        now: float,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """A final failure in place of an answer."""
        assert leg.server is not None
        leg.server.stop()
        self._forget(leg)
        self.core.respond(
            leg.server.transaction,
            status,
            now,
            reason=reason,
            to_tag=leg.local_tag,
            fields=headers,
        )

    def hang_up(self, leg: Leg, now: float, reason: str | None) -> None:
        """End an incoming leg that has no ACK yet."""
        if leg.state is LegState.ANSWERING:
            # RFC 3261 15: no BYE before the ACK; it follows in acknowledge or when none came.
            self.core.end(leg, EndCause.LOCAL_HANGUP)
        else:
            self.reject(leg, 480, now, reason)
            self.core.end(leg, EndCause.LOCAL_HANGUP)

    def cancelled(self, leg: Leg, now: float, cause: EndCause = EndCause.CANCELLED) -> None:
        """The caller sent CANCEL, or BYE before the answer: 487."""
        self.reject(leg, 487, now)
        self.core.end(leg, cause)

    def acknowledge(self, leg: Leg, ack: Request, now: float) -> None:
        """An ACK within the leg's dialog."""
        server = leg.server
        if server is None or not server.wire:
            return
        if ack.cseq[0] != server.transaction.request.cseq[0]:
            return
        self._confirmed(leg, server, ack.body, now)

    def imply_ack(self, leg: Leg, now: float) -> None:
        """A re-INVITE came before the ACK: the peer has our 2xx (RFC 5407 3.1.4).

        Not where that 2xx held our offer: its answer is still to come.
        """
        server = leg.server
        if server is not None and server.wire and server.transaction.request.body:
            self._confirmed(leg, server, b"", now)

    def _confirmed(self, leg: Leg, server: ServerInvite, answer: bytes, now: float) -> None:
        """The 2xx of `server` arrived, and with it `answer` if it was a late offer."""
        server.stop()
        leg.server = None
        assert leg.dialog is not None
        if leg.state is LegState.ENDED:
            self.core.say_goodbye(leg.dialog, self.credentials_for(leg), now)
            return
        if server.transaction.request.body:
            answer = b""
        if answer:
            leg.remote_sdp = answer
        first = leg.state is LegState.ANSWERING
        leg.state = LegState.UP
        if first or answer:
            self.core.events.append(LegAnswered(leg, answer))

    def never_acknowledged(self, server: ServerInvite, now: float) -> None:
        """No ACK in 64*T1: the dialog ends with BYE (RFC 3261 13.3.1.4)."""
        leg = server.leg
        if leg.server is server and leg.dialog is not None:
            leg.server = None
            self.core.say_goodbye(leg.dialog, self.credentials_for(leg), now)
            self.core.end(leg, EndCause.NO_ACK)

    def undelivered(self, leg: Leg) -> None:
        """The way back to the caller broke; that ends only a leg without an answer."""
        if leg.state in (LegState.OFFERED, LegState.RINGING):
            assert leg.server is not None
            leg.server.stop()
            self._forget(leg)
            self.core.end(leg, EndCause.TRANSPORT)

    def reinvite(self, leg: Leg, dialog: SipDialog, transaction: Transaction, source: Flow) -> None:
        """A new INVITE within an established dialog (RFC 3261 14.2)."""
        leg.server = ServerInvite(self, leg, transaction)
        transaction.user = leg.server
        self.take_offer(leg, dialog, transaction, source)

    def update(self, dialog: SipDialog, transaction: Transaction, source: Flow, now: float) -> None:
        """An UPDATE without an offer: the peer's address changed (RFC 3311 5.2)."""
        dialog.refresh_target(transaction.request, source, transaction.request.vias[0])
        fields = [("Contact", self.core.contact(source)), self._allow]
        self.core.respond(transaction, 200, now, fields=fields)

    def take_offer(
        self, leg: Leg, dialog: SipDialog, transaction: Transaction, source: Flow
    ) -> None:
        """The offer of a re-INVITE or UPDATE, for the application to answer."""
        dialog.refresh_target(transaction.request, source, transaction.request.vias[0])
        leg.offer = transaction
        self.core.events.append(LegOffer(leg, transaction.request.body))

    def answer_offer(self, leg: Leg, sdp: bytes | None, now: float) -> None:
        """Answer the open offer of a re-INVITE or UPDATE: 200 with `sdp`, or 488 for None."""
        transaction, leg.offer = leg.offer, None
        if transaction is None or transaction.final:
            return
        if sdp is None:
            leg.server = None if transaction.request.method == "INVITE" else leg.server
            self.core.respond(transaction, 488, now)
            return
        if transaction.request.body:
            leg.remote_sdp = transaction.request.body
        fields = [
            ("Contact", self.core.contact(transaction.flow)),
            self._allow,
            ("Content-Type", SDP_TYPE),
        ]
        wire = self.core.respond(transaction, 200, now, fields=fields, body=sdp)
        if leg.server is not None and leg.server.transaction is transaction:
            leg.server.await_ack(wire, now)

    def remote_bye(self, leg: Leg, dialog: SipDialog, now: float) -> None:
        """The peer sent BYE, already answered 200."""
        self.core.dialogs.pop(dialog.key, None)
        if leg.offer is not None and not leg.offer.final:
            self.core.respond(leg.offer, 487, now)
            leg.offer = None
        if leg.server is not None:
            if not leg.server.transaction.final:
                self.cancelled(leg, now, EndCause.REMOTE_BYE)
            leg.server.stop()
            leg.server = None
        self.core.end(leg, EndCause.REMOTE_BYE)

    def credentials_for(self, leg: Leg) -> DigestCredentials | None:
        """What to answer challenges with on this leg."""
        return self._credentials if leg.from_trunk or leg.via_trunk else None

    def _ensure_dialog(self, leg: Leg) -> SipDialog:
        if leg.dialog is None:
            assert leg.source is not None
            leg.dialog = dialog_of_invite(leg.request, leg.local_tag, leg.source)
            self.core.dialogs[leg.dialog.key] = (leg, leg.dialog)
        return leg.dialog

    def _respond(self, leg: Leg, status: int, now: float, sdp: bytes) -> bytes:
        assert leg.server is not None
        transaction = leg.server.transaction
        fields = [("Record-Route", value) for value in leg.request.values("record-route")]
        fields.append(("Contact", self.core.contact(transaction.flow)))
        fields.append(self._allow)
        if sdp:
            fields.append(("Content-Type", SDP_TYPE))
        return self.core.respond(
            transaction, status, now, to_tag=leg.local_tag, fields=fields, body=sdp
        )

    def _forget(self, leg: Leg) -> None:
        self._forget_merge(leg)
        if leg.dialog is not None:
            self.core.dialogs.pop(leg.dialog.key, None)

    def _forget_merge(self, leg: Leg) -> None:
        request = leg.request
        self._merged.pop((request.call_id, request.from_.tag, request.cseq[0]), None)
