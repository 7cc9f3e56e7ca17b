"""A leg: one party's call with us, as the application sees it; and what happens to it.

Every leg ends with exactly one `LegFailed` (an outgoing one that was never answered) or
`LegEnded` (every other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from telephony.dialogs import SipDialog
from telephony.errors import StateError
from telephony.messages import Request
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri

if TYPE_CHECKING:
    from telephony.incoming import ServerInvite
    from telephony.outgoing import Fork
    from telephony.registrar import Binding
    from telephony.timers import Timer
    from telephony.transactions import Transaction


class LegDirection(Enum):
    """Who calls whom."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class LegState(Enum):
    """Where a leg is. ANSWERING: 200 sent, ACK not yet here."""

    OFFERED = "offered"
    CALLING = "calling"
    RINGING = "ringing"
    ANSWERING = "answering"
    UP = "up"
    ENDED = "ended"


# What the application may ask of a leg, by state. Asked of an ended leg it does nothing: the
# end may have crossed the request.
LEGAL_STEPS: dict[LegState, frozenset[str]] = {
    LegState.OFFERED: frozenset({"ring", "answer", "reject", "hangup"}),
    LegState.CALLING: frozenset({"hangup"}),
    LegState.RINGING: frozenset({"ring", "answer", "reject", "hangup"}),
    LegState.ANSWERING: frozenset({"hangup"}),
    LegState.UP: frozenset({"hangup"}),
    LegState.ENDED: frozenset(),
}


class EndCause(Enum):
    """Why a leg ended."""

    REMOTE_BYE = "the other side hung up"
    CANCELLED = "the caller gave up before the answer"
    LOCAL_HANGUP = "we hung up"
    REJECTED = "we rejected it"
    NO_ACK = "the answer was never acknowledged"
    TRANSPORT = "the way to the other side broke"


class LegControl(Protocol):
    """What carries out a leg's steps: it knows the clock and the wire."""

    def ring(self, leg: Leg, sdp: bytes | None) -> None:
        """Send 180, or 183 with `sdp`."""

    def answer(self, leg: Leg, sdp: bytes) -> None:
        """Send 200 with `sdp`."""

    def reject(
        self, leg: Leg, status: int, reason: str | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Send a final failure."""

    def hangup(self, leg: Leg, reason: str | None) -> None:
        """End the leg the way its state asks for."""


class Leg:
    """One party's SIP dialog with us.

    `request` is the INVITE (ours or theirs), `source` the flow it came from (None for ours),
    `username` the phone proven by digest, `from_trunk` whether it came from the trunk, `called`
    and `caller` who is meant and who asks, `remote_sdp` the last description of the peer.
    """

    def __init__(
        self,
        leg_id: str,
        direction: LegDirection,
        control: LegControl,
        request: Request,
        called: SipUri,
        caller: NameAddress,
    ) -> None:
        self.id = leg_id
        self.direction = direction
        self.state = LegState.OFFERED if direction is LegDirection.INCOMING else LegState.CALLING
        self.request = request
        self.call_id = request.call_id
        self.called = called
        self.caller = caller
        self.source: Flow | None = None
        self.username: str | None = None
        self.from_trunk = False
        self.via_trunk = False
        self.remote_sdp = b""
        self.dialog: SipDialog | None = None
        self.server: ServerInvite | None = None
        self.forks: list[Fork] = []
        self.ring_timer: Timer | None = None
        self.local_tag = ""
        self.offer: Transaction | None = None
        self._control = control

    def __repr__(self) -> str:
        return f"<Leg {self.id} {self.direction.value} {self.state.value} {self.call_id}>"

    def ring(self, sdp: bytes | None = None) -> None:
        """Tell the caller it rings: 180, or 183 with `sdp`. StateError unless unanswered."""
        if self._allows("ring"):
            self._control.ring(self, sdp)

    def answer(self, sdp: bytes) -> None:
        """Answer with `sdp` (an offer where the INVITE had none). StateError if answered."""
        if self._allows("answer"):
            self._control.answer(self, sdp)

    def reject(
        self, status: int, reason: str | None = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Refuse with a status from 300 to 699. StateError once answered."""
        if not 300 <= status <= 699:
            raise ValueError(f"{status} is not a final failure: take one from 300 to 699")
        if self._allows("reject"):
            self._control.reject(self, status, reason, headers)

    def hangup(self, reason: str | None = None) -> None:
        """End the leg: CANCEL, BYE or a refusal, as its state asks for. Idempotent."""
        if self._allows("hangup"):
            self._control.hangup(self, reason)

    def _allows(self, step: str) -> bool:
        if self.state is LegState.ENDED:
            return False
        outgoing = self.direction is LegDirection.OUTGOING and step != "hangup"
        if outgoing or step not in LEGAL_STEPS[self.state]:
            raise StateError(f"{self.direction.value} leg {self.id}", self.state.name, step)
        return True


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A new INVITE: ring, answer, reject or hang up its leg."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class LegRinging:
    """A provisional response over 100 to an outgoing leg, perhaps with early media."""

    leg: Leg
    status: int
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """An outgoing leg was answered (`sdp`: the answer), or the ACK of an incoming one came.

    There `sdp` is the body of the ACK, the answer where we made the offer; also after a
    re-INVITE without an offer.
    """

    leg: Leg
    sdp: bytes


@dataclass(frozen=True, slots=True)
class LegFailed:
    """An outgoing leg ended unanswered: 408 without an answer, 487 cancelled, 503 no way."""

    leg: Leg
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class LegEnded:
    """A leg is over."""

    leg: Leg
    cause: EndCause


@dataclass(frozen=True, slots=True)
class LegOffer:
    """A re-INVITE or UPDATE brings a new offer (b"": the peer wants ours).

    `UserAgent.answer_offer` must follow at once.
    """

    leg: Leg
    sdp: bytes


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """The contacts of a phone changed."""

    username: str
    contacts: tuple[Binding, ...]


AgentEvent = (
    IncomingCall | LegRinging | LegAnswered | LegFailed | LegEnded | LegOffer | RegistrationChanged
)
