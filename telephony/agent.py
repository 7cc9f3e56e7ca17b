"""The user agent, sans-IO: bytes and the clock in, bytes and events out.

    agent.receive_datagram(data, flow, now)
    for flow, data in agent.datagrams_to_send(): ...
    while event := agent.next_event(): ...
    due = agent.get_timer()          # seconds, or None
    agent.handle_timer(now)

Requests are judged in the order of RFC 3261 8.2: syntax, transaction, method, Request-URI,
extensions, body, dialog, and only then handed on.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from telephony.auth import DigestServer, Verdict
from telephony.core import ALLOW, SDP_TYPE, AgentSettings, Core, Field, check_fields, way_to
from telephony.dialogs import SipDialog
from telephony.errors import LimitReached, MessageError, StreamError
from telephony.incoming import IncomingCalls, ServerInvite
from telephony.legs import (
    AgentEvent,
    EndCause,
    Leg,
    LegControl,
    LegDirection,
    LegState,
    RegistrationChanged,
)
from telephony.limits import LEGS_MAX, REGISTRATION_S_MIN
from telephony.messages import (
    Request,
    Response,
    StreamFramer,
    check_request,
    check_response,
    parse_message,
    render_response,
    reply_head,
)
from telephony.outgoing import OutgoingCalls, Target
from telephony.registrar import Binding, Registrar, contact_fields
from telephony.timers import Timer
from telephony.transactions import Event, Key, Transaction, server_key
from telephony.transport import Flow
from telephony.trunk import Trunk
from telephony.uri import NameAddress, OpaqueUri, SipUri, Via, quote

# Methods of the field that we know of and do not serve: 405, where an unknown one gets 501.
KNOWN_METHODS = frozenset(
    {"INFO", "MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE"} | set(ALLOW.split(", "))
)
SERVED_METHODS = frozenset(ALLOW.split(", "))
_ALLOW_FIELD = ("Allow", ALLOW)
_ACCEPT_FIELD = ("Accept", SDP_TYPE)


class Policy(Protocol):
    """What the agent asks the application while it judges a request."""

    def requires_authentication(self, request: Request, source: Flow) -> bool:
        """Whether the sender of this INVITE must prove itself by digest."""

    def ha1(self, username: str, algorithm: str) -> str | None:
        """H(username:realm:password) in hexadecimal for "MD5" or "SHA-256"; None: unknown."""


class UserAgent:
    """A SIP user agent, registrar and trunk client in one."""

    def __init__(
        self,
        settings: AgentSettings,
        policy: Policy,
        control: LegControl,
        *,
        token: Callable[[int], str] = secrets.token_hex,
        secret: bytes | None = None,
    ) -> None:
        self._core = core = Core(settings, token)
        self._policy = policy
        self._control = control
        self._digest = DigestServer(settings.realm, policy.ha1, settings.algorithms, secret)
        self._registrar = Registrar()
        self._expiry: dict[str, Timer] = {}
        self.trunk = Trunk(core, settings.trunk) if settings.trunk else None
        credentials = self.trunk.credentials if self.trunk else None
        self._incoming = IncomingCalls(core, credentials)
        self._outgoing = OutgoingCalls(core)
        self._closing = False
        self.counts: Counter[str] = Counter()

    # What comes in.

    def receive_datagram(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram that came on `flow`."""
        if len(data) <= 4 and not data.strip(b"\r\n\0"):
            return  # a keep-alive (RFC 5626 4.4.1, RFC 6223)
        self._take(data, flow, now)

    def receive_stream_data(self, data: bytes, flow: Flow, now: float) -> bool:
        """Take bytes of a TCP connection; False: close it, its framing is lost."""
        framer = self._core.connections.setdefault(flow, StreamFramer())
        framer.feed(data)
        try:
            while (message := framer.next_message()) is not None:
                self._take(message, flow, now)
        except StreamError as error:
            self._refuse_head(error, flow)
            return False
        finally:
            for _ in range(framer.take_pings()):
                self._core.send(flow, b"\r\n")
        return True

    def stream_partial(self, flow: Flow) -> bool:
        """Whether a message has begun on the connection and not ended."""
        framer = self._core.connections.get(flow)
        return framer is not None and framer.partial

    def connection_lost(self, flow: Flow, now: float) -> None:
        """The TCP connection of `flow` is gone."""
        self._core.connections.pop(flow, None)
        for way in (flow, flow._replace(connection=0)):
            self._core.transactions.break_flow(way, now)
        for username in self._registrar.lose_connection(flow):
            self._contacts_changed(username, now)
        if self.trunk is not None:
            self.trunk.lose_connection(flow, now)

    def transport_failed(self, flow: Flow, now: float) -> None:
        """What was sent to `flow` could not be delivered."""
        self._core.transactions.break_flow(flow, now)

    def get_timer(self) -> float | None:
        """When handle_timer wants to be called, in seconds of the clock, or None."""
        return self._core.timers.next_due()

    def handle_timer(self, now: float) -> None:
        """Run what is due."""
        self._core.timers.run(now)

    # What goes out.

    def datagrams_to_send(self) -> list[tuple[Flow, bytes]]:
        """What to send, in order; taken out."""
        out = self._core.outbox
        if out:
            self._core.outbox = []
            return out
        return []

    def next_event(self) -> AgentEvent | None:
        """The next thing that happened, or None."""
        events = self._core.events
        return events.popleft() if events else None

    @property
    def quiet(self) -> bool:
        """Whether no call and no request of ours is under way."""
        return not (self._core.legs or self._core.dialogs or self._core.exchanges)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Every leg that has not ended."""
        return tuple(self._core.legs.values())

    def metrics(self) -> dict[str, int]:
        """Counters and gauges by name."""
        layer = self._core.transactions
        return {
            **self.counts,
            "legs": len(self._core.legs),
            "dialogs": len(self._core.dialogs),
            "client_transactions": len(layer.clients),
            "server_transactions": len(layer.servers),
            "retransmissions": layer.resent,
            "bindings": len(self._registrar),
            "trunk_registered": int(self.trunk is not None and self.trunk.registered),
        }

    # What the application asks for.

    def start(self, now: float) -> None:
        """Begin what runs by itself: the trunk's registration."""
        if self.trunk is not None:
            self.trunk.start(now)

    def shutdown(self, now: float) -> None:
        """End every call, take registrations back, refuse new calls with 503."""
        self._closing = True
        for leg in self.legs:
            self.hangup(leg, now)
        if self.trunk is not None:
            self.trunk.stop(now)

    def ring(self, leg: Leg, sdp: bytes | None, now: float) -> None:
        """See Leg.ring."""
        self._incoming.ring(leg, sdp, now)

    def answer(self, leg: Leg, sdp: bytes, now: float) -> None:
        """See Leg.answer."""
        self._incoming.answer(leg, sdp, now)

    def reject(
        self,
        leg: Leg,
        status: int,
        now: float,
        reason: str | None = None,
        headers: Sequence[Field] = (),
    ) -> None:
        """See Leg.reject. ValueError for a header with a line end."""
        check_fields(headers)
        self._incoming.reject(leg, status, now, _one_line(reason), headers)
        self._core.end(leg, EndCause.REJECTED)

    def hangup(self, leg: Leg, now: float, reason: str | None = None) -> None:
        """See Leg.hangup; `reason` becomes a Reason field's text (RFC 3326)."""
        if leg.state is LegState.UP:
            assert leg.dialog is not None
            if leg.server is not None:
                leg.server.stop()
                leg.server = None
            text = _one_line(reason)
            quoted = f'SIP ;cause=200 ;text="{quote(text)}"' if text else None
            self._core.say_goodbye(leg.dialog, self._incoming.credentials_for(leg), now, quoted)
            self._core.end(leg, EndCause.LOCAL_HANGUP)
        elif leg.direction is LegDirection.OUTGOING:
            self._outgoing.hang_up(leg, now)
        else:
            self._incoming.hang_up(leg, now, _one_line(reason))

    def answer_offer(self, leg: Leg, sdp: bytes | None, now: float) -> None:
        """Answer a LegOffer: `sdp`, or None for 488."""
        self._incoming.answer_offer(leg, sdp, now)

    def call(
        self,
        called: SipUri,
        caller: NameAddress,
        sdp: bytes,
        now: float,
        *,
        route_to: Flow | None = None,
        via_trunk: bool = False,
        headers: Sequence[Field] = (),
        max_forwards: int = 70,
    ) -> Leg:
        """Call `called`: at its address, over `route_to`, or through the trunk.

        Raises LimitReached, and ValueError for a sips: URI or `via_trunk` without a trunk.
        """
        if called.scheme != "sip":
            raise ValueError(f"{called}: no TLS here, so only sip: can be called")
        credentials = None
        flow = route_to or way_to(called)
        if via_trunk:
            if self.trunk is None:
                raise ValueError("there is no trunk to call through")
            called = self.trunk.target(called.user or "")
            caller = self.trunk.caller(caller)
            flow, credentials = route_to or self.trunk.flow, self.trunk.credentials
        leg = self._outgoing.call(
            [(called, flow)],
            called,
            caller,
            sdp,
            self._control,
            now,
            headers=headers,
            credentials=credentials,
            max_forwards=max_forwards,
        )
        leg.via_trunk = via_trunk
        return leg

    def call_phone(
        self,
        username: str,
        caller: NameAddress,
        sdp: bytes,
        now: float,
        *,
        headers: Sequence[Field] = (),
        max_forwards: int = 70,
    ) -> Leg:
        """Call every contact of a registered phone at once; the first answer wins.

        Raises LookupError where it has none.
        """
        contacts = self.contacts(username, now)
        if not contacts:
            raise LookupError(f"phone {username!r} is not registered")
        targets: list[Target] = [(binding.uri, binding.flow) for binding in contacts]
        called = SipUri("sip", username, self._core.settings.host, self._core.settings.port)
        return self._outgoing.call(
            targets,
            called,
            caller,
            sdp,
            self._control,
            now,
            headers=headers,
            max_forwards=max_forwards,
        )

    def contacts(self, username: str, now: float) -> tuple[Binding, ...]:
        """Where a phone can be reached, the preferred first."""
        return self._registrar.contacts(username, now)

    # Judging messages.

    def _take(self, data: bytes, flow: Flow, now: float) -> None:
        try:
            message = parse_message(data)
            if isinstance(message, Request):
                check_request(message)
            else:
                check_response(message)
        except MessageError as error:
            self.counts["malformed"] += 1
            self._refuse(error, flow)
            return
        if isinstance(message, Response):
            if not self._core.transactions.receive_response(message, now):
                self.counts["stray_responses"] += 1
            return
        self.counts["requests"] += 1
        reply_flow = _prepare_reply(message, flow)
        try:
            self._route(message, flow, reply_flow, now)
        except LimitReached as limit:
            self.counts["limited"] += 1
            wire = render_response(
                message, 503, reason=str(limit), to_tag=self._core.token(4), fields=[_retry_after()]
            )
            self._core.send(reply_flow, wire)

    def _refuse(self, error: MessageError, flow: Flow) -> None:
        """Answer a malformed request without a transaction; say nothing to anything else."""
        request = error.message
        if not isinstance(request, Request) or request.method == "ACK" or not request.value("via"):
            return
        try:
            flow = _prepare_reply(request, flow)
        except MessageError:
            reply_head(request)  # its Via cannot be read: back to where it came from
        tag = self._core.token(4)
        to = request.value("to") or ""
        wire = render_response(
            request,
            error.status,
            reason=error.reason,
            to_tag="" if ";tag" in to.lower() else tag,
        )
        self._core.send(flow, wire)

    def _refuse_head(self, error: StreamError, flow: Flow) -> None:
        self.counts["malformed"] += 1
        try:
            parse_message(error.head)
        except MessageError as malformed:
            malformed.status, malformed.reason = error.status, error.reason
            self._refuse(malformed, flow)
        else:
            request = parse_message(error.head)
            self._refuse(MessageError(error.status, error.reason, request), flow)

    def _route(self, request: Request, source: Flow, reply_flow: Flow, now: float) -> None:
        method = request.method
        key = server_key(request, "INVITE" if method == "ACK" else method)
        known = self._core.transactions.servers.get(key)
        if method == "ACK":
            if known is None or not known.fire(Event.ACK, now, request):
                self._acknowledge(request, now)
            return
        if known is not None:
            self.counts["repeated_requests"] += 1
            known.fire(Event.REQUEST, now, request)
            return
        transaction = self._core.transactions.start_server(request, key, reply_flow, now)
        if method == "CANCEL":
            self._cancel(transaction, server_key(request, "INVITE"), now)
            return
        try:
            self._judge(request)
            leg = self._find_dialog(request)
        except _Refusal as refusal:
            self._core.respond(
                transaction, refusal.status, now, reason=refusal.reason, fields=refusal.fields
            )
            return
        if leg is not None:
            self._within_dialog(*leg, transaction, source, now)
        else:
            self._outside_dialog(transaction, source, now)

    def _judge(self, request: Request) -> None:
        """RFC 3261 8.2.1 to 8.2.3; raises _Refusal."""
        method = request.method
        if method not in SERVED_METHODS:
            if method in KNOWN_METHODS:
                raise _Refusal(405, fields=[_ALLOW_FIELD])
            raise _Refusal(501, fields=[_ALLOW_FIELD])
        if isinstance(request.uri, OpaqueUri):
            raise _Refusal(416)
        if request.values("require"):
            raise _Refusal(420, fields=[("Unsupported", ", ".join(request.items("require")))])
        if method in ("INVITE", "UPDATE"):
            _judge_body(request)
        if method == "INVITE" and not request.to.tag:
            _judge_contact(request)

    def _find_dialog(self, request: Request) -> tuple[Leg, SipDialog] | None:
        tag = request.to.tag
        if not tag:
            if request.method in ("BYE", "UPDATE"):
                raise _Refusal(481)
            return None
        found = self._core.dialogs.get((request.call_id, tag, request.from_.tag))
        if found is None and request.method not in ("OPTIONS", "REGISTER"):
            raise _Refusal(481)
        return found

    def _acknowledge(self, ack: Request, now: float) -> None:
        found = self._core.dialogs.get((ack.call_id, ack.to.tag, ack.from_.tag))
        if found is not None:
            self._incoming.acknowledge(found[0], ack, now)

    def _cancel(self, transaction: Transaction, key: Key, now: float) -> None:
        """RFC 3261 9.2."""
        invite = self._core.transactions.servers.get(key)
        if invite is None:
            self._core.respond(transaction, 481, now)
            return
        server = invite.user
        if not isinstance(server, ServerInvite):
            self._core.respond(transaction, 200, now)
            return
        leg = server.leg
        self._core.respond(transaction, 200, now, to_tag=leg.local_tag)
        if not invite.final and leg.state in (LegState.OFFERED, LegState.RINGING):
            self._incoming.cancelled(leg, now)

    def _within_dialog(
        self, leg: Leg, dialog: SipDialog, transaction: Transaction, source: Flow, now: float
    ) -> None:
        core, method = self._core, transaction.request.method
        if not dialog.in_order(transaction.request):
            core.respond(transaction, 500, now, reason="CSeq is not higher than the last one")
            return
        if method == "BYE":
            if leg.direction is LegDirection.OUTGOING and leg.dialog is not dialog:
                core.respond(transaction, 481, now)
                return
            core.respond(transaction, 200, now)
            self._incoming.remote_bye(leg, dialog, now)
        elif method in ("INVITE", "UPDATE"):
            self._offered(leg, dialog, transaction, source, now)
        elif method == "OPTIONS":
            self._options(transaction, now)
        else:
            core.respond(transaction, 403, now, reason="REGISTER within a dialog")

    def _offered(
        self, leg: Leg, dialog: SipDialog, transaction: Transaction, source: Flow, now: float
    ) -> None:
        """RFC 3261 14.2 and RFC 3311 5.2: one offer at a time."""
        invite = transaction.request.method == "INVITE"
        if invite:
            self._incoming.imply_ack(leg, now)
        if leg.state is LegState.ENDED:
            self._core.respond(transaction, 481, now)
        elif leg.direction is LegDirection.OUTGOING and not dialog.confirmed:
            # Our own INVITE is still open (14.2).
            self._core.respond(transaction, 491, now)
        elif not invite and not transaction.request.body:
            self._incoming.update(dialog, transaction, source, now)
        elif leg.offer is not None or leg.state is not LegState.UP or leg.server is not None:
            wait = ("Retry-After", str(secrets.randbelow(11)))
            self._core.respond(transaction, 500, now, reason="Offer pending", fields=[wait])
        elif invite:
            self._incoming.reinvite(leg, dialog, transaction, source)
        else:
            self._incoming.take_offer(leg, dialog, transaction, source)

    def _outside_dialog(self, transaction: Transaction, source: Flow, now: float) -> None:
        match transaction.request.method:
            case "INVITE":
                self._invite(transaction, source, now)
            case "REGISTER":
                self._register(transaction, source, now)
            case _:
                self._options(transaction, now)

    def _options(self, transaction: Transaction, now: float) -> None:
        """RFC 3261 11.2."""
        fields = [
            _ALLOW_FIELD,
            _ACCEPT_FIELD,
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", ""),
            ("Server", self._core.settings.user_agent),
        ]
        self._core.respond(transaction, 200, now, fields=fields)

    def _invite(self, transaction: Transaction, source: Flow, now: float) -> None:
        core, request = self._core, transaction.request
        if self._incoming.merged(request):
            core.respond(transaction, 482, now)
            return
        if request.max_forwards == 0:
            # We pass calls on: a loop through us must end (RFC 7332).
            core.respond(transaction, 483, now)
            return
        from_trunk = self.trunk is not None and self.trunk.is_source(source)
        username = None
        if not from_trunk and self._policy.requires_authentication(request, source):
            values = [*request.values("proxy-authorization"), *request.values("authorization")]
            username = self._prove(transaction, values, source, now)
            if username is None:
                return
        if self._closing or len(core.legs) >= LEGS_MAX:
            why = "Shutting down" if self._closing else f"LEGS_MAX is {LEGS_MAX}"
            core.respond(transaction, 503, now, reason=why, fields=[_retry_after()])
            return
        self.counts["incoming_calls"] += 1
        self._incoming.offer(
            transaction, source, self._control, now, username=username, from_trunk=from_trunk
        )

    def _prove(
        self, transaction: Transaction, values: Sequence[str], source: Flow, now: float
    ) -> str | None:
        """The proven username, or None where the request has been answered.

        We end the call and make another, so we ask as a user agent server does: with 401
        (RFC 3261 22.2), which every phone answers.
        """
        proof = self._digest.check(transaction.request.method, values, source.host, now)
        if proof.verdict is Verdict.PROVEN:
            return proof.username
        if proof.verdict is Verdict.BLOCKED:
            self.counts["digest_blocked"] += 1
            self._core.respond(transaction, 403, now, reason="Too many wrong passwords")
            return None
        if proof.verdict is Verdict.WRONG:
            self.counts["digest_wrong"] += 1
        stale = proof.verdict is Verdict.STALE
        fields = [
            ("WWW-Authenticate", value) for value in self._digest.challenges(now, stale=stale)
        ]
        self._core.respond(transaction, 401, now, fields=fields)
        return None

    def _register(self, transaction: Transaction, source: Flow, now: float) -> None:
        """RFC 3261 10.3."""
        core, request = self._core, transaction.request
        values = request.values("authorization")
        username = self._prove(transaction, values, source, now)
        if username is None:
            return
        address = request.to.uri
        if not isinstance(address, SipUri) or address.username != username:
            core.respond(transaction, 403, now, reason="Not your address")
            return
        try:
            changed = self._registrar.register(username, request, source, now)
        except MessageError as error:
            fields = [("Min-Expires", str(REGISTRATION_S_MIN))] if error.status == 423 else []
            core.respond(transaction, error.status, now, reason=error.reason, fields=fields)
            return
        bindings = self._registrar.contacts(username, now)
        core.respond(transaction, 200, now, fields=contact_fields(bindings, now))
        self._watch_expiry(username, now)
        if changed:
            core.events.append(RegistrationChanged(username, bindings))

    def _watch_expiry(self, username: str, now: float) -> None:
        """Wake when the next binding of `username` runs out."""
        old = self._expiry.pop(username, None)
        if old is not None:
            old.cancel()
        due = self._registrar.next_expiry(username)
        if due is not None:
            self._expiry[username] = self._core.timers.start(
                due, lambda later: self._expire(username, later)
            )

    def _expire(self, username: str, now: float) -> None:
        self._expiry.pop(username, None)
        if self._registrar.expire(username, now):
            self._contacts_changed(username, now)
        else:
            self._watch_expiry(username, now)

    def _contacts_changed(self, username: str, now: float) -> None:
        contacts = self._registrar.contacts(username, now)
        self._core.events.append(RegistrationChanged(username, contacts))
        self._watch_expiry(username, now)


class _Refusal(Exception):
    """A judged request's answer, on its way to where it is sent."""

    def __init__(
        self, status: int, reason: str | None = None, fields: Sequence[Field] = ()
    ) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason
        self.fields = fields


def _judge_contact(request: Request) -> None:
    """RFC 3261 8.1.1.8: requests of ours within the dialog must have somewhere to go."""
    contacts = request.contacts
    if not isinstance((contacts[0] if contacts else request.from_).uri, SipUri):
        raise _Refusal(400, "Contact is not a SIP URI" if contacts else "Missing Contact")


def _judge_body(request: Request) -> None:
    """RFC 3261 8.2.3 and 20.1: we read and write application/sdp, unencoded."""
    if request.body and request.content_type != SDP_TYPE:
        raise _Refusal(415, fields=[_ACCEPT_FIELD])
    encoding = request.value("content-encoding")
    if request.body and encoding and encoding.lower() != "identity":
        raise _Refusal(415, fields=[("Accept-Encoding", "identity")])
    if request.values("accept"):
        accepted = {item.partition(";")[0].strip().lower() for item in request.items("accept")}
        if not accepted & {SDP_TYPE, "application/*", "*/*"}:
            raise _Refusal(406)


def _prepare_reply(request: Request, flow: Flow) -> Flow:
    """Mark the top Via with where the request came from; the flow its responses take.

    RFC 3261 18.2.1 and 18.2.2, RFC 3581 4. The maddr parameter is not followed: it would let
    anyone aim our answers at others.
    """
    via = request.vias[0]
    rport = "rport" in via.parameters
    top = None
    if rport or via.host.strip("[]").lower() != flow.host:
        marked = {**via.parameters, "received": flow.host}
        if rport:
            marked["rport"] = str(flow.port)
        top = str(Via(via.transport, via.host, via.port, marked))
    reply_head(request, top)
    if flow.reliable or rport:
        return flow
    return Flow(flow.transport, flow.host, via.port or 5060)


def _one_line(text: str | None) -> str | None:
    return None if text is None else text.replace("\r", " ").replace("\n", " ")


def _retry_after() -> Field:
    return ("Retry-After", "10")
