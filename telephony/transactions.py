"""SIP transactions (RFC 3261 17 with RFC 6026): the states and legal steps are tables.

Four machines, each a table `state -> event -> (next state, actions)`. An action is a function
of the transaction, the clock's value and the message. Timers stand on one heap. A message from
the network that a state has no step for is dropped; a step asked for by the user that the state
does not allow raises StateError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Protocol

from telephony.errors import LimitReached, StateError
from telephony.limits import SERVER_TRANSACTIONS_MAX
from telephony.messages import Message, Request, Response
from telephony.timers import Timer, Timers
from telephony.transport import Flow

MAGIC_COOKIE = "z9hG4bK"


@dataclass(frozen=True, slots=True)
class TimerValues:
    """The base values in seconds (RFC 3261 table 4)."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    trying: float = 0.2

    @property
    def timeout(self) -> float:
        """64 times T1: timers B, D, F, H, J, L and M."""
        return 64 * self.t1


class State(IntEnum):
    """States of all four machines."""

    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    ACCEPTED = 4
    COMPLETED = 5
    CONFIRMED = 6
    TERMINATED = 7


class Event(IntEnum):
    """What can happen to a transaction."""

    START = 1
    PROVISIONAL = 2
    SUCCESS = 3
    FAILURE = 4
    REQUEST = 5
    ACK = 6
    SEND_PROVISIONAL = 7
    SEND_SUCCESS = 8
    SEND_FAILURE = 9
    TRANSPORT_ERROR = 10
    ABANDON = 11
    TIMER_A = 12
    TIMER_B = 13
    TIMER_D = 14
    TIMER_E = 15
    TIMER_F = 16
    TIMER_G = 17
    TIMER_H = 18
    TIMER_I = 19
    TIMER_J = 20
    TIMER_K = 21
    TIMER_L = 22
    TIMER_M = 23
    TIMER_TRYING = 24


class ClientUser(Protocol):
    """Who sent the request of a client transaction."""

    def responded(self, transaction: Transaction, response: Response, now: float) -> None:
        """A response arrived (RFC 6026: a 2xx to INVITE may arrive several times)."""

    def unanswered(self, transaction: Transaction, status: int, now: float) -> None:
        """No final response will come: 408 after timer B or F, 503 after a transport error."""


class ServerUser(Protocol):
    """Who answers the request of an INVITE server transaction."""

    def acknowledged(self, transaction: Transaction, ack: Request, now: float) -> None:
        """An ACK with the INVITE's own branch came after a 2xx (RFC 2543 peers)."""

    def undelivered(self, transaction: Transaction, now: float) -> None:
        """The final response was never acknowledged (timer H) or could not be sent."""


Key = tuple[str, ...]
Action = Callable[["Transaction", float, "bytes | Message | None"], None]
Table = Mapping[State, Mapping[Event, tuple[State, tuple[Action, ...]]]]


class Transaction:
    """One transaction. `wire` is what is sent again: the request, or the last response."""

    __slots__ = (
        "ack",
        "flow",
        "interval",
        "key",
        "layer",
        "request",
        "state",
        "table",
        "timers",
        "user",
        "wire",
    )

    def __init__(
        self,
        layer: TransactionLayer,
        table: Table,
        state: State,
        key: Key,
        request: Request,
        flow: Flow,
        user: ClientUser | ServerUser | None,
    ) -> None:
        self.layer = layer
        self.table = table
        self.state = state
        self.key = key
        self.request = request
        self.flow = flow
        self.user = user
        self.wire = b""
        self.ack = b""
        self.interval = 0.0
        self.timers: dict[Event, Timer] = {}

    def fire(self, event: Event, now: float, message: bytes | Message | None = None) -> bool:
        """Take the step for `event`; False where the state has none."""
        row = self.table[self.state].get(event)
        if row is None:
            return False
        self.state = row[0]
        if self.state is State.TERMINATED:
            self.layer.forget(self)
        for action in row[1]:
            action(self, now, message)
        return True

    def send(self, status: int, wire: bytes, now: float) -> None:
        """Send a response of `status`; StateError where the state does not allow it."""
        if status < 200:
            event = Event.SEND_PROVISIONAL
        else:
            event = Event.SEND_SUCCESS if status < 300 else Event.SEND_FAILURE
        if not self.fire(event, now, wire):
            raise StateError(
                f"{self.request.method} server transaction", self.state.name, event.name
            )

    @property
    def final(self) -> bool:
        """Whether a final response has been sent or received."""
        return self.state >= State.ACCEPTED

    def start_timer(self, event: Event, delay: float, now: float) -> None:
        """Fire `event` in `delay` seconds."""
        self.timers[event] = self.layer.timers.start(now + delay, partial(self.fire, event))

    def stop_timers(self) -> None:
        """No timer of this transaction will fire."""
        for timer in self.timers.values():
            timer.action = None
        self.timers.clear()


# Actions. Each is (transaction, now, message) -> None.


def _send_request(tx: Transaction, _now: float, _message: object) -> None:
    tx.layer.send(tx.flow, tx.wire)


def _send_response(tx: Transaction, _now: float, message: bytes | Message | None) -> None:
    assert isinstance(message, bytes)
    tx.wire = message
    tx.layer.send(tx.flow, message)


def _send_again(tx: Transaction, _now: float, _message: object) -> None:
    if tx.wire:
        tx.layer.resent += 1
        tx.layer.send(tx.flow, tx.wire)


def _answer_again(tx: Transaction, now: float, message: object) -> None:
    (_send_again if tx.wire else _send_trying)(tx, now, message)


def _send_trying(tx: Transaction, _now: float, _message: object) -> None:
    if not tx.wire:
        tx.wire = tx.layer.trying(tx.request)
        tx.layer.send(tx.flow, tx.wire)


def _send_ack(tx: Transaction, _now: float, message: bytes | Message | None) -> None:
    # RFC 3261 17.1.1.3: same branch, the To of the response.
    if isinstance(message, Response):
        tx.ack = _non_success_ack(tx.request, message)
    tx.layer.send(tx.flow, tx.ack)


def _pass_response(tx: Transaction, now: float, message: bytes | Message | None) -> None:
    assert isinstance(message, Response)
    tx.user.responded(tx, message, now)  # type: ignore[union-attr]  # client tables only


def _pass_ack(tx: Transaction, now: float, message: bytes | Message | None) -> None:
    if tx.user is not None:
        assert isinstance(message, Request)
        tx.user.acknowledged(tx, message, now)  # type: ignore[union-attr]  # server table only


def _time_out(tx: Transaction, now: float, _message: object) -> None:
    tx.user.unanswered(tx, 408, now)  # type: ignore[union-attr]  # client tables only


def _break_down(tx: Transaction, now: float, _message: object) -> None:
    tx.user.unanswered(tx, 503, now)  # type: ignore[union-attr]  # client tables only


def _report_undelivered(tx: Transaction, now: float, _message: object) -> None:
    if tx.user is not None:
        tx.user.undelivered(tx, now)  # type: ignore[union-attr]  # server tables only


def _stop(tx: Transaction, _now: float, _message: object) -> None:
    tx.stop_timers()


def _retransmit(event: Event, *, capped: bool) -> Action:
    """(Re)start a retransmission timer that doubles from T1, up to T2 where `capped`."""

    def action(tx: Transaction, now: float, _message: object) -> None:
        if tx.flow.reliable:
            return
        values = tx.layer.values
        tx.interval = tx.interval * 2 if tx.interval else values.t1
        if capped and tx.interval > values.t2:
            tx.interval = values.t2
        tx.start_timer(event, tx.interval, now)

    return action


def _slow(event: Event) -> Action:
    """Retransmit every T2 from now on (RFC 3261 17.1.2.2, Proceeding)."""

    def action(tx: Transaction, now: float, _message: object) -> None:
        if not tx.flow.reliable:
            tx.interval = tx.layer.values.t2
            tx.start_timer(event, tx.interval, now)

    return action


def _timeout(event: Event) -> Action:
    def action(tx: Transaction, now: float, _message: object) -> None:
        tx.start_timer(event, tx.layer.values.timeout, now)

    return action


def _linger(event: Event, *, t4: bool) -> Action:
    """Absorb retransmissions for T4 or 64*T1; no time at all over a reliable transport."""

    def action(tx: Transaction, now: float, _message: object) -> None:
        if tx.flow.reliable:
            tx.fire(event, now)
        else:
            values = tx.layer.values
            tx.start_timer(event, values.t4 if t4 else values.timeout, now)

    return action


def _delay_trying(tx: Transaction, now: float, _message: object) -> None:
    tx.start_timer(Event.TIMER_TRYING, tx.layer.values.trying, now)


_S, _E = State, Event

INVITE_CLIENT: Table = {
    _S.CALLING: {
        _E.START: (
            _S.CALLING,
            (_send_request, _retransmit(_E.TIMER_A, capped=False), _timeout(_E.TIMER_B)),
        ),
        _E.TIMER_A: (_S.CALLING, (_send_again, _retransmit(_E.TIMER_A, capped=False))),
        _E.TIMER_B: (_S.TERMINATED, (_time_out,)),
        _E.PROVISIONAL: (_S.PROCEEDING, (_stop, _pass_response)),
        _E.SUCCESS: (_S.ACCEPTED, (_stop, _timeout(_E.TIMER_M), _pass_response)),
        _E.FAILURE: (
            _S.COMPLETED,
            (_stop, _send_ack, _pass_response, _linger(_E.TIMER_D, t4=False)),
        ),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_break_down,)),
        _E.ABANDON: (_S.TERMINATED, ()),
    },
    _S.PROCEEDING: {
        _E.PROVISIONAL: (_S.PROCEEDING, (_pass_response,)),
        _E.SUCCESS: (_S.ACCEPTED, (_timeout(_E.TIMER_M), _pass_response)),
        _E.FAILURE: (_S.COMPLETED, (_send_ack, _pass_response, _linger(_E.TIMER_D, t4=False))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_break_down,)),
        _E.ABANDON: (_S.TERMINATED, ()),
    },
    _S.ACCEPTED: {
        _E.SUCCESS: (_S.ACCEPTED, (_pass_response,)),
        _E.TIMER_M: (_S.TERMINATED, ()),
    },
    _S.COMPLETED: {
        _E.FAILURE: (_S.COMPLETED, (_send_ack,)),
        _E.TIMER_D: (_S.TERMINATED, ()),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, ()),
    },
    _S.TERMINATED: {},
}

NON_INVITE_CLIENT: Table = {
    _S.TRYING: {
        _E.START: (
            _S.TRYING,
            (_send_request, _retransmit(_E.TIMER_E, capped=True), _timeout(_E.TIMER_F)),
        ),
        _E.TIMER_E: (_S.TRYING, (_send_again, _retransmit(_E.TIMER_E, capped=True))),
        _E.TIMER_F: (_S.TERMINATED, (_time_out,)),
        _E.PROVISIONAL: (_S.PROCEEDING, (_pass_response,)),
        _E.SUCCESS: (_S.COMPLETED, (_stop, _pass_response, _linger(_E.TIMER_K, t4=True))),
        _E.FAILURE: (_S.COMPLETED, (_stop, _pass_response, _linger(_E.TIMER_K, t4=True))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_break_down,)),
        _E.ABANDON: (_S.TERMINATED, ()),
    },
    _S.PROCEEDING: {
        _E.TIMER_E: (_S.PROCEEDING, (_send_again, _slow(_E.TIMER_E))),
        _E.TIMER_F: (_S.TERMINATED, (_time_out,)),
        _E.PROVISIONAL: (_S.PROCEEDING, (_pass_response,)),
        _E.SUCCESS: (_S.COMPLETED, (_stop, _pass_response, _linger(_E.TIMER_K, t4=True))),
        _E.FAILURE: (_S.COMPLETED, (_stop, _pass_response, _linger(_E.TIMER_K, t4=True))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_break_down,)),
        _E.ABANDON: (_S.TERMINATED, ()),
    },
    _S.COMPLETED: {
        _E.TIMER_K: (_S.TERMINATED, ()),
    },
    _S.TERMINATED: {},
}

INVITE_SERVER: Table = {
    _S.PROCEEDING: {
        _E.START: (_S.PROCEEDING, (_delay_trying,)),
        _E.TIMER_TRYING: (_S.PROCEEDING, (_send_trying,)),
        _E.REQUEST: (_S.PROCEEDING, (_answer_again,)),
        _E.SEND_PROVISIONAL: (_S.PROCEEDING, (_stop, _send_response)),
        _E.SEND_SUCCESS: (_S.ACCEPTED, (_stop, _send_response, _timeout(_E.TIMER_L))),
        _E.SEND_FAILURE: (
            _S.COMPLETED,
            (
                _stop,
                _send_response,
                _retransmit(_E.TIMER_G, capped=True),
                _timeout(_E.TIMER_H),
            ),
        ),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_report_undelivered,)),
    },
    _S.ACCEPTED: {
        _E.REQUEST: (_S.ACCEPTED, ()),
        _E.ACK: (_S.ACCEPTED, (_pass_ack,)),
        _E.SEND_SUCCESS: (_S.ACCEPTED, (_send_response,)),
        _E.TIMER_L: (_S.TERMINATED, ()),
    },
    _S.COMPLETED: {
        _E.REQUEST: (_S.COMPLETED, (_send_again,)),
        _E.TIMER_G: (_S.COMPLETED, (_send_again, _retransmit(_E.TIMER_G, capped=True))),
        _E.TIMER_H: (_S.TERMINATED, (_report_undelivered,)),
        _E.ACK: (_S.CONFIRMED, (_stop, _linger(_E.TIMER_I, t4=True))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, (_report_undelivered,)),
    },
    _S.CONFIRMED: {
        _E.ACK: (_S.CONFIRMED, ()),
        _E.REQUEST: (_S.CONFIRMED, ()),
        _E.TIMER_I: (_S.TERMINATED, ()),
    },
    _S.TERMINATED: {},
}

NON_INVITE_SERVER: Table = {
    _S.TRYING: {
        _E.START: (_S.TRYING, ()),
        _E.REQUEST: (_S.TRYING, ()),
        _E.SEND_PROVISIONAL: (_S.PROCEEDING, (_send_response,)),
        _E.SEND_SUCCESS: (_S.COMPLETED, (_send_response, _linger(_E.TIMER_J, t4=False))),
        _E.SEND_FAILURE: (_S.COMPLETED, (_send_response, _linger(_E.TIMER_J, t4=False))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, ()),
    },
    _S.PROCEEDING: {
        _E.REQUEST: (_S.PROCEEDING, (_send_again,)),
        _E.SEND_PROVISIONAL: (_S.PROCEEDING, (_send_response,)),
        _E.SEND_SUCCESS: (_S.COMPLETED, (_send_response, _linger(_E.TIMER_J, t4=False))),
        _E.SEND_FAILURE: (_S.COMPLETED, (_send_response, _linger(_E.TIMER_J, t4=False))),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, ()),
    },
    _S.COMPLETED: {
        _E.REQUEST: (_S.COMPLETED, (_send_again,)),
        _E.TIMER_J: (_S.TERMINATED, ()),
        _E.TRANSPORT_ERROR: (_S.TERMINATED, ()),
    },
    _S.TERMINATED: {},
}


def server_key(request: Request, method: str) -> Key:
    """The key that retransmissions of `request` share (RFC 3261 17.2.3).

    `method` is the matched transaction's: INVITE for an ACK, or for the request a CANCEL is
    about. Without a branch of its own the fields RFC 2543 names are taken.
    """
    via = request.vias[0]
    branch = via.branch
    number = str(request.cseq[0])
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        # With the number: phones there are send the INVITE that answers a 401 on the branch of
        # the one that was refused. A retransmission, an ACK and a CANCEL repeat the number.
        return (branch, via.host.lower(), str(via.port or 5060), number, method)
    return (
        request.uri_text,
        request.from_.tag,
        request.call_id,
        number,
        f"{via.transport} {via.host.lower()}:{via.port or 5060} {branch}",
        method,
    )


def _non_success_ack(request: Request, response: Response) -> bytes:
    lines = [
        ("Via", request.values("via")[0]),
        ("From", request.values("from")[0]),
        ("To", response.values("to")[0]),
        ("Call-ID", request.call_id),
        ("CSeq", f"{request.cseq[0]} ACK"),
        ("Max-Forwards", "70"),
    ]
    lines += [("Route", value) for value in request.values("route")]
    return bytes(Request("ACK", request.uri_text, lines))


class TransactionLayer:
    """All transactions of one agent."""

    __slots__ = ("_by_flow", "clients", "resent", "send", "servers", "timers", "trying", "values")

    def __init__(
        self,
        timers: Timers,
        values: TimerValues,
        send: Callable[[Flow, bytes], None],
        trying: Callable[[Request], bytes],
    ) -> None:
        self.timers = timers
        self.values = values
        self.send = send
        self.trying = trying
        self.clients: dict[Key, Transaction] = {}
        self.servers: dict[Key, Transaction] = {}
        self._by_flow: dict[Flow, dict[Transaction, None]] = {}
        self.resent = 0

    def start_client(
        self, request: Request, flow: Flow, user: ClientUser, now: float
    ) -> Transaction:
        """Send `request` on `flow` in a new client transaction; its Via has the branch."""
        key = (request.vias[0].branch, request.method)
        invite = request.method == "INVITE"
        table = INVITE_CLIENT if invite else NON_INVITE_CLIENT
        state = State.CALLING if invite else State.TRYING
        transaction = Transaction(self, table, state, key, request, flow, user)
        transaction.wire = bytes(request)
        self.clients[key] = transaction
        self._by_flow.setdefault(flow, {})[transaction] = None
        transaction.fire(Event.START, now)
        return transaction

    def start_server(
        self, request: Request, key: Key, flow: Flow, now: float, user: ServerUser | None = None
    ) -> Transaction:
        """A new server transaction for `request`; responses go to `flow`.

        Raises LimitReached at SERVER_TRANSACTIONS_MAX.
        """
        if len(self.servers) >= SERVER_TRANSACTIONS_MAX:
            raise LimitReached("SERVER_TRANSACTIONS_MAX", SERVER_TRANSACTIONS_MAX)
        invite = request.method == "INVITE"
        table = INVITE_SERVER if invite else NON_INVITE_SERVER
        state = State.PROCEEDING if invite else State.TRYING
        transaction = Transaction(self, table, state, key, request, flow, user)
        self.servers[key] = transaction
        self._by_flow.setdefault(flow, {})[transaction] = None
        transaction.fire(Event.START, now)
        return transaction

    def receive_response(self, response: Response, now: float) -> bool:
        """Give `response` to its client transaction; False where there is none (17.1.3)."""
        via = response.vias[0]
        transaction = self.clients.get((via.branch, response.cseq[1]))
        if transaction is None or len(response.vias) > 1:
            return False
        status = response.status
        if status < 200:
            event = Event.PROVISIONAL
        else:
            event = Event.SUCCESS if status < 300 else Event.FAILURE
        return transaction.fire(event, now, response)

    def forget(self, transaction: Transaction) -> None:
        """Drop a terminated transaction and its timers."""
        transaction.stop_timers()
        for table in (self.clients, self.servers):
            if table.get(transaction.key) is transaction:
                del table[transaction.key]
        on_flow = self._by_flow.get(transaction.flow, {})
        on_flow.pop(transaction, None)
        if not on_flow:
            self._by_flow.pop(transaction.flow, None)

    def break_flow(self, flow: Flow, now: float) -> None:
        """Tell every transaction on `flow` that the transport failed."""
        for transaction in list(self._by_flow.get(flow, ())):
            transaction.fire(Event.TRANSPORT_ERROR, now)
