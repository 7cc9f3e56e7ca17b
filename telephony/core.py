"""What every part of the agent shares: timers, transactions, dialogs, what goes out."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from telephony.auth import DigestCredentials, answer_challenge, parse_digest
from telephony.dialogs import DialogKey, SipDialog
from telephony.errors import ChallengeError
from telephony.legs import AgentEvent, EndCause, Leg, LegEnded, LegState
from telephony.limits import DATAGRAM_REQUEST_BYTES_MAX
from telephony.messages import Request, Response, StreamFramer, render_response
from telephony.timers import Timers
from telephony.transactions import (
    MAGIC_COOKIE,
    Event,
    TimerValues,
    Transaction,
    TransactionLayer,
)
from telephony.transport import Flow
from telephony.uri import SipUri

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE"
SDP_TYPE = "application/sdp"
Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TrunkSettings:
    """A carrier. `addresses` are the IP addresses its calls come from, besides its host's.

    `realm_host` stands in From and To where it is not `host`; `register` asks for a client
    registration of `expires_s` seconds.
    """

    host: str
    port: int = 5060
    transport: str = "udp"
    username: str = ""
    password: str = ""
    realm_host: str = ""
    addresses: tuple[str, ...] = ()
    register: bool = False
    expires_s: int = 600


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What a user agent is. `host` and `port` are what it tells its peers."""

    host: str
    port: int
    realm: str = "voicemashup"
    user_agent: str = "VoiceMashup"
    algorithms: tuple[str, ...] = ("MD5",)
    trunk: TrunkSettings | None = None
    timers: TimerValues = field(default_factory=TimerValues)


class Core:
    """Shared state and the ways out of the agent. Knows no clock and no socket."""

    def __init__(
        self, settings: AgentSettings, token: Callable[[int], str] = secrets.token_hex
    ) -> None:
        self.settings = settings
        self.token = token
        self.timers = Timers()
        self.outbox: list[tuple[Flow, bytes]] = []
        self.events: deque[AgentEvent] = deque()
        self.transactions = TransactionLayer(self.timers, settings.timers, self.send, _trying)
        # What arrived of each open TCP connection that was heard of.
        self.connections: dict[Flow, StreamFramer] = {}
        self.dialogs: dict[DialogKey, tuple[Leg, SipDialog]] = {}
        self.legs: dict[str, Leg] = {}
        self.exchanges = 0
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.local = f"{host}:{settings.port}"

    def send(self, flow: Flow, data: bytes) -> None:
        """Put bytes on the way to `flow`."""
        self.outbox.append((flow, data))

    def contact(self, flow: Flow) -> str:
        """Our Contact for a peer at `flow`."""
        return f"<sip:{self.local};transport=tcp>" if flow.reliable else f"<sip:{self.local}>"

    def request(
        self,
        method: str,
        uri: str,
        flow: Flow,
        *,
        from_: str,
        to: str,
        call_id: str,
        number: int,
        routes: Iterable[str] = (),
        fields: Iterable[Field] = (),
        body: bytes = b"",
        max_forwards: int = 70,
    ) -> Request:
        """A request of ours with a new branch (RFC 3261 8.1.1)."""
        branch = MAGIC_COOKIE + self.token(8)
        lines = [
            ("Via", f"SIP/2.0/{flow.transport.upper()} {self.local};rport;branch={branch}"),
            ("Max-Forwards", str(max_forwards)),
            ("From", from_),
            ("To", to),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            *[("Route", value) for value in routes],
            *fields,
            ("User-Agent", self.settings.user_agent),
        ]
        if body:
            lines.append(("Content-Type", SDP_TYPE))
        return Request(method, uri, lines, None, body)

    def in_dialog(
        self,
        dialog: SipDialog,
        method: str,
        *,
        number: int | None = None,
        fields: Iterable[Field] = (),
    ) -> tuple[Request, Flow]:
        """A request within `dialog` and where to send it (RFC 3261 12.2.1.1).

        Takes the next CSeq, or `number` for the ACK of a 2xx.
        """
        if number is None:
            dialog.local_number += 1
            number = dialog.local_number
        if dialog.flow.connection and dialog.flow not in self.connections:
            dialog.direct = False
        uri, routes, hop = dialog.route()
        flow = dialog.flow if hop is None else way_to(hop)
        request = self.request(
            method,
            uri,
            flow,
            from_=dialog.local,
            to=dialog.remote,
            call_id=dialog.call_id,
            number=number,
            routes=routes,
            fields=fields,
        )
        return request, flow

    def respond(
        self,
        transaction: Transaction,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        to_tag: str | None = None,
        fields: Iterable[Field] = (),
        body: bytes = b"",
    ) -> bytes:
        """Send a response in a server transaction; returns its bytes."""
        request = transaction.request
        if to_tag is None:
            to_tag = self.token(4)
        tag = "" if status == 100 or request.to.tag else to_tag
        wire = render_response(request, status, reason=reason, to_tag=tag, fields=fields, body=body)
        transaction.send(status, wire, now)
        return wire

    def end(self, leg: Leg, cause: EndCause) -> None:
        """The leg is over; told once."""
        if leg.state is not LegState.ENDED:
            self.retire(leg)
            self.events.append(LegEnded(leg, cause))

    def retire(self, leg: Leg) -> None:
        """The leg is over; the caller tells."""
        leg.state = LegState.ENDED
        self.legs.pop(leg.id, None)
        if leg.ring_timer is not None:
            leg.ring_timer.cancel()

    def say_goodbye(
        self,
        dialog: SipDialog,
        credentials: DigestCredentials | None,
        now: float,
        reason: str | None = None,
    ) -> None:
        """Send BYE and, once it is over, forget the dialog (RFC 3261 15.1.1).

        Until then a BYE of the peer that crosses ours is still answered 200 (RFC 5407 3.2.1).
        """
        fields = [("Reason", reason)] if reason else []

        def compose(_flow: Flow, authorization: Sequence[Field]) -> tuple[Request, Flow]:
            return self.in_dialog(dialog, "BYE", fields=[*fields, *authorization])

        def over(answer: Response | int, _now: float) -> None:
            if isinstance(answer, int) or answer.status >= 200:
                self.dialogs.pop(dialog.key, None)

        Exchange(
            self, compose, dialog.flow, credentials=credentials, on_response=over, on_failure=over
        ).start(now)


def _trying(request: Request) -> bytes:
    """100, with the request's Timestamp (RFC 3261 8.2.6.1)."""
    stamps = [("Timestamp", value) for value in request.values("timestamp")]
    return render_response(request, 100, fields=stamps)


def check_fields(fields: Iterable[Field]) -> None:
    """ValueError where a header field would smuggle in another line."""
    for name, value in fields:
        if any(character in name + value for character in "\r\n"):
            raise ValueError(f"header {name!r} holds a line end")


def way_to(uri: SipUri) -> Flow:
    """The flow to the address a URI names (RFC 3261 18.1.1; host names are left as they are)."""
    return Flow("tcp" if uri.transport == "tcp" else "udp", *uri.address)


Compose = Callable[[Flow, Sequence[Field]], tuple[Request, Flow]]


class Exchange:
    """A request and its retries: a challenge answered, a large one moved to TCP and back.

    `compose` writes the request for a flow with the credentials to carry, and says where it
    goes. Responses that no retry answers go to `on_response`; `on_failure` hears 408 or 503.
    A proxy and the server behind it may both ask for credentials (RFC 3261 22.3).
    """

    __slots__ = (
        "_challenges",
        "_compose",
        "_core",
        "_credentials",
        "_flow",
        "_moved",
        "_no_stream",
        "_on_failure",
        "_on_response",
        "_open",
        "authorization",
        "transaction",
    )

    def __init__(
        self,
        core: Core,
        compose: Compose,
        flow: Flow,
        *,
        credentials: DigestCredentials | None = None,
        on_response: Callable[[Response, float], None] | None = None,
        on_failure: Callable[[int, float], None] | None = None,
    ) -> None:
        self._core = core
        self._compose = compose
        self._flow = flow
        self._credentials = credentials
        self._on_response = on_response
        self._on_failure = on_failure
        # By name of the field that answers: the challenges, how many came, uses of the nonce.
        self._challenges: dict[str, tuple[list[str], int, int]] = {}
        self._moved = False
        self._no_stream = False
        self._open = False
        self.authorization: tuple[Field, ...] = ()
        self.transaction: Transaction | None = None

    def start(self, now: float) -> None:
        """Send the request."""
        request, flow = self._compose(self._flow, self.authorization)
        if (
            not (flow.reliable or self._no_stream)
            and len(bytes(request)) > DATAGRAM_REQUEST_BYTES_MAX
        ):
            # Too large for a datagram: RFC 3261 18.1.1 asks for TCP.
            self._moved = True
            flow = Flow("tcp", flow.host, flow.port)
            request = _over(request, flow)
        if not self._open:
            self._open = True
            self._core.exchanges += 1
        self.transaction = self._core.transactions.start_client(request, flow, self, now)

    def abandon(self, now: float) -> None:
        """Wait no longer for a final response."""
        if self.transaction is not None and not self.transaction.final:
            self.transaction.fire(Event.ABANDON, now)
            self._close()

    def responded(self, transaction: Transaction, response: Response, now: float) -> None:
        """ClientUser: a response."""
        if response.status >= 200:
            if transaction is self.transaction and self._retry(transaction, response, now):
                return
            self._close()
        if self._on_response is not None:
            self._on_response(response, now)

    def unanswered(self, transaction: Transaction, status: int, now: float) -> None:
        """ClientUser: no final response."""
        if status == 503 and self._moved and not self._no_stream:
            self._no_stream = True
            self.start(now)
            return
        self._close()
        if self._on_failure is not None:
            self._on_failure(status, now)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._core.exchanges -= 1

    def _retry(self, transaction: Transaction, response: Response, now: float) -> bool:
        if response.status not in (401, 407) or self._credentials is None:
            return False
        key, name = (
            ("www-authenticate", "Authorization")
            if response.status == 401
            else ("proxy-authenticate", "Proxy-Authorization")
        )
        challenges = response.values(key)
        _, came, _ = self._challenges.get(name, ([], 0, 0))
        stale = any(
            fields.get("stale", "").lower() == "true"
            for fields in map(parse_digest, challenges)
            if fields
        )
        if came >= (2 if stale else 1):
            return False
        self._challenges[name] = (challenges, came + 1, 0)
        try:
            self.authorization = self._answer_challenges(self._credentials, transaction.request)
        except ChallengeError:
            return False
        self.start(now)
        return True

    def _answer_challenges(
        self, credentials: DigestCredentials, request: Request
    ) -> tuple[Field, ...]:
        out = []
        for name, (challenges, came, uses) in self._challenges.items():
            self._challenges[name] = (challenges, came, uses + 1)
            value = answer_challenge(
                challenges,
                credentials,
                request.method,
                request.uri_text,
                nonce_count=uses + 1,
                cnonce=self._core.token(8),
            )
            out.append((name, value))
        return tuple(out)


def _over(request: Request, flow: Flow) -> Request:
    """The same request with its own Via's transport changed to that of `flow`."""
    name, via = request.fields[0]
    _, _, rest = via.partition(" ")
    lines: Sequence[Field] = [
        (name, f"SIP/2.0/{flow.transport.upper()} {rest}"),
        *request.fields[1:],
    ]
    return Request(request.method, request.uri_text, list(lines), None, request.body)
