"""Every row of the four transaction tables (RFC 3261 17, RFC 6026), on a clock of its own."""

from __future__ import annotations

from typing import Any

import pytest

from telephony import transactions
from telephony.errors import LimitReached, StateError
from telephony.messages import Request, Response, parse_message, render_response
from telephony.timers import Timers
from telephony.transactions import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Event,
    State,
    Table,
    TimerValues,
    Transaction,
    TransactionLayer,
    server_key,
)
from telephony.transport import Flow

UDP, TCP = Flow("udp", "192.0.2.9", 5060), Flow("tcp", "192.0.2.9", 5060, 3)
TABLES: dict[str, Table] = {
    "INVITE client": INVITE_CLIENT,
    "client": NON_INVITE_CLIENT,
    "INVITE server": INVITE_SERVER,
    "server": NON_INVITE_SERVER,
}
E, S = Event, State

# machine, state, event -> the next state and what the peer or the user notices, over UDP.
ROWS: dict[tuple[str, State, Event], tuple[State, list[str]]] = {
    ("INVITE client", S.CALLING, E.START): (S.CALLING, ["send INVITE"]),
    ("INVITE client", S.CALLING, E.TIMER_A): (S.CALLING, ["send INVITE"]),
    ("INVITE client", S.CALLING, E.TIMER_B): (S.TERMINATED, ["told 408"]),
    ("INVITE client", S.CALLING, E.PROVISIONAL): (S.PROCEEDING, ["told 180"]),
    ("INVITE client", S.CALLING, E.SUCCESS): (S.ACCEPTED, ["told 200"]),
    ("INVITE client", S.CALLING, E.FAILURE): (S.COMPLETED, ["send ACK", "told 486"]),
    ("INVITE client", S.CALLING, E.TRANSPORT_ERROR): (S.TERMINATED, ["told 503"]),
    ("INVITE client", S.CALLING, E.ABANDON): (S.TERMINATED, []),
    ("INVITE client", S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, ["told 180"]),
    ("INVITE client", S.PROCEEDING, E.SUCCESS): (S.ACCEPTED, ["told 200"]),
    ("INVITE client", S.PROCEEDING, E.FAILURE): (S.COMPLETED, ["send ACK", "told 486"]),
    ("INVITE client", S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, ["told 503"]),
    ("INVITE client", S.PROCEEDING, E.ABANDON): (S.TERMINATED, []),
    ("INVITE client", S.ACCEPTED, E.SUCCESS): (S.ACCEPTED, ["told 200"]),
    ("INVITE client", S.ACCEPTED, E.TIMER_M): (S.TERMINATED, []),
    ("INVITE client", S.COMPLETED, E.FAILURE): (S.COMPLETED, ["send ACK"]),
    ("INVITE client", S.COMPLETED, E.TIMER_D): (S.TERMINATED, []),
    ("INVITE client", S.COMPLETED, E.TRANSPORT_ERROR): (S.TERMINATED, []),
    ("client", S.TRYING, E.START): (S.TRYING, ["send OPTIONS"]),
    ("client", S.TRYING, E.TIMER_E): (S.TRYING, ["send OPTIONS"]),
    ("client", S.TRYING, E.TIMER_F): (S.TERMINATED, ["told 408"]),
    ("client", S.TRYING, E.PROVISIONAL): (S.PROCEEDING, ["told 180"]),
    ("client", S.TRYING, E.SUCCESS): (S.COMPLETED, ["told 200"]),
    ("client", S.TRYING, E.FAILURE): (S.COMPLETED, ["told 486"]),
    ("client", S.TRYING, E.TRANSPORT_ERROR): (S.TERMINATED, ["told 503"]),
    ("client", S.TRYING, E.ABANDON): (S.TERMINATED, []),
    ("client", S.PROCEEDING, E.TIMER_E): (S.PROCEEDING, ["send OPTIONS"]),
    ("client", S.PROCEEDING, E.TIMER_F): (S.TERMINATED, ["told 408"]),
    ("client", S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, ["told 180"]),
    ("client", S.PROCEEDING, E.SUCCESS): (S.COMPLETED, ["told 200"]),
    ("client", S.PROCEEDING, E.FAILURE): (S.COMPLETED, ["told 486"]),
    ("client", S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, ["told 503"]),
    ("client", S.PROCEEDING, E.ABANDON): (S.TERMINATED, []),
    ("client", S.COMPLETED, E.TIMER_K): (S.TERMINATED, []),
    ("INVITE server", S.PROCEEDING, E.START): (S.PROCEEDING, []),
    ("INVITE server", S.PROCEEDING, E.TIMER_TRYING): (S.PROCEEDING, ["send 100"]),
    ("INVITE server", S.PROCEEDING, E.REQUEST): (S.PROCEEDING, ["send 100"]),
    ("INVITE server", S.PROCEEDING, E.SEND_PROVISIONAL): (S.PROCEEDING, ["send 180"]),
    ("INVITE server", S.PROCEEDING, E.SEND_SUCCESS): (S.ACCEPTED, ["send 200"]),
    ("INVITE server", S.PROCEEDING, E.SEND_FAILURE): (S.COMPLETED, ["send 486"]),
    ("INVITE server", S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, ["undelivered"]),
    ("INVITE server", S.ACCEPTED, E.REQUEST): (S.ACCEPTED, []),
    ("INVITE server", S.ACCEPTED, E.ACK): (S.ACCEPTED, ["told ACK"]),
    ("INVITE server", S.ACCEPTED, E.SEND_SUCCESS): (S.ACCEPTED, ["send 200"]),
    ("INVITE server", S.ACCEPTED, E.TIMER_L): (S.TERMINATED, []),
    ("INVITE server", S.COMPLETED, E.REQUEST): (S.COMPLETED, ["send 486"]),
    ("INVITE server", S.COMPLETED, E.TIMER_G): (S.COMPLETED, ["send 486"]),
    ("INVITE server", S.COMPLETED, E.TIMER_H): (S.TERMINATED, ["undelivered"]),
    ("INVITE server", S.COMPLETED, E.ACK): (S.CONFIRMED, []),
    ("INVITE server", S.COMPLETED, E.TRANSPORT_ERROR): (S.TERMINATED, ["undelivered"]),
    ("INVITE server", S.CONFIRMED, E.ACK): (S.CONFIRMED, []),
    ("INVITE server", S.CONFIRMED, E.REQUEST): (S.CONFIRMED, []),
    ("INVITE server", S.CONFIRMED, E.TIMER_I): (S.TERMINATED, []),
    ("server", S.TRYING, E.START): (S.TRYING, []),
    ("server", S.TRYING, E.REQUEST): (S.TRYING, []),
    ("server", S.TRYING, E.SEND_PROVISIONAL): (S.PROCEEDING, ["send 180"]),
    ("server", S.TRYING, E.SEND_SUCCESS): (S.COMPLETED, ["send 200"]),
    ("server", S.TRYING, E.SEND_FAILURE): (S.COMPLETED, ["send 486"]),
    ("server", S.TRYING, E.TRANSPORT_ERROR): (S.TERMINATED, []),
    ("server", S.PROCEEDING, E.REQUEST): (S.PROCEEDING, ["send 180"]),
    ("server", S.PROCEEDING, E.SEND_PROVISIONAL): (S.PROCEEDING, ["send 180"]),
    ("server", S.PROCEEDING, E.SEND_SUCCESS): (S.COMPLETED, ["send 200"]),
    ("server", S.PROCEEDING, E.SEND_FAILURE): (S.COMPLETED, ["send 486"]),
    ("server", S.PROCEEDING, E.TRANSPORT_ERROR): (S.TERMINATED, []),
    ("server", S.COMPLETED, E.REQUEST): (S.COMPLETED, ["send 486"]),
    ("server", S.COMPLETED, E.TIMER_J): (S.TERMINATED, []),
    ("server", S.COMPLETED, E.TRANSPORT_ERROR): (S.TERMINATED, []),
}
# When a timer first fires, in seconds after its state was entered (RFC 3261 table 4).
DUE = {
    E.TIMER_A: 0.5,
    E.TIMER_B: 32.0,
    E.TIMER_D: 32.0,
    E.TIMER_E: 0.5,
    E.TIMER_F: 32.0,
    E.TIMER_G: 0.5,
    E.TIMER_H: 32.0,
    E.TIMER_I: 5.0,
    E.TIMER_J: 32.0,
    E.TIMER_K: 5.0,
    E.TIMER_L: 32.0,
    E.TIMER_M: 32.0,
    E.TIMER_TRYING: 0.2,
}
# The way to each state from the start.
PATH: dict[tuple[str, State], list[Event]] = {
    ("INVITE client", S.CALLING): [],
    ("INVITE client", S.PROCEEDING): [E.PROVISIONAL],
    ("INVITE client", S.ACCEPTED): [E.SUCCESS],
    ("INVITE client", S.COMPLETED): [E.FAILURE],
    ("client", S.TRYING): [],
    ("client", S.PROCEEDING): [E.PROVISIONAL],
    ("client", S.COMPLETED): [E.FAILURE],
    ("INVITE server", S.PROCEEDING): [],
    ("INVITE server", S.ACCEPTED): [E.SEND_SUCCESS],
    ("INVITE server", S.COMPLETED): [E.SEND_FAILURE],
    ("INVITE server", S.CONFIRMED): [E.SEND_FAILURE, E.ACK],
    ("server", S.TRYING): [],
    ("server", S.PROCEEDING): [E.SEND_PROVISIONAL],
    ("server", S.COMPLETED): [E.SEND_FAILURE],
}
SENDS = {E.SEND_PROVISIONAL: 180, E.SEND_SUCCESS: 200, E.SEND_FAILURE: 486}
RESPONSES = {E.PROVISIONAL: 180, E.SUCCESS: 200, E.FAILURE: 486}


def request(method: str, branch: str = "z9hG4bKabc", host: str = "192.0.2.1") -> Request:
    text = (
        f"{method} sip:bob@192.0.2.9 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:5060;rport;branch={branch}\r\n"
        "From: <sip:alice@192.0.2.1>;tag=a1\r\nTo: <sip:bob@192.0.2.9>\r\n"
        f"Call-ID: one@192.0.2.1\r\nCSeq: 7 {method}\r\nMax-Forwards: 70\r\n"
        "Route: <sip:192.0.2.50;lr>\r\nContent-Length: 0\r\n\r\n"
    )
    message = parse_message(text.encode())
    assert isinstance(message, Request)
    return message


def kind(data: bytes) -> str:
    message = parse_message(data)
    return message.method if isinstance(message, Request) else str(message.status)


class Rig:
    """One transaction, its peer and its user: `did` is what both noticed, in order."""

    def __init__(self, machine: str, flow: Flow = UDP) -> None:
        self.now = 50.0
        self.did: list[str] = []
        self.sent: list[tuple[float, bytes]] = []
        self.timers = Timers()
        self.layer = TransactionLayer(
            self.timers, TimerValues(), self._send, lambda r: render_response(r, 100)
        )
        self.request = request("INVITE" if "INVITE" in machine else "OPTIONS")
        if "client" in machine:
            self.tx = self.layer.start_client(self.request, flow, self, self.now)
        else:
            key = server_key(self.request, self.request.method)
            self.tx = self.layer.start_server(self.request, key, flow, self.now, self)

    def _send(self, flow: Flow, data: bytes) -> None:
        self.sent.append((round(self.now - 50, 3), data))
        self.did.append(f"send {kind(data)}")

    def responded(self, transaction: Transaction, response: Response, now: float) -> None:
        self.did.append(f"told {response.status}")

    def unanswered(self, transaction: Transaction, status: int, now: float) -> None:
        self.did.append(f"told {status}")

    def acknowledged(self, transaction: Transaction, ack: Request, now: float) -> None:
        self.did.append("told ACK")

    def undelivered(self, transaction: Transaction, now: float) -> None:
        self.did.append("undelivered")

    def wire(self, status: int) -> bytes:
        return render_response(self.request, status, to_tag="b1")

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.timers.next_due()) is not None and due <= end:
            self.now = due
            self.timers.run(due)
        self.now = end

    def do(self, event: Event) -> None:
        """Let `event` happen the way it does outside."""
        if event in RESPONSES:
            response = parse_message(self.wire(RESPONSES[event]))
            assert isinstance(response, Response)
            self.layer.receive_response(response, self.now)
        elif event in SENDS:
            self.tx.send(SENDS[event], self.wire(SENDS[event]), self.now)
        elif event is Event.TRANSPORT_ERROR:
            self.layer.break_flow(self.tx.flow, self.now)
        elif event in DUE:
            self.advance(DUE[event])
        elif event is Event.ACK:
            self.tx.fire(event, self.now, request("ACK"))
        elif event is not Event.START:  # the start is behind us
            self.tx.fire(event, self.now)

    def reach(self, machine: str, state: State) -> None:
        for event in PATH[(machine, state)]:
            self.do(event)
        assert self.tx.state is state


def test_the_list_of_rows_is_whole() -> None:
    rows = {
        (machine, state, event)
        for machine, table in TABLES.items()
        for state, events in table.items()
        for event in events
    }
    assert rows == set(ROWS)


@pytest.mark.parametrize(
    ("machine", "state", "event"), ROWS, ids=lambda value: getattr(value, "name", value)
)
def test_row(machine: str, state: State, event: Event) -> None:
    rig = Rig(machine)
    rig.reach(machine, state)
    wanted, did = ROWS[(machine, state, event)]
    if event in DUE:
        rig.advance(DUE[event] - 0.001)
        assert rig.tx.state is state
        rig.did.clear()
        rig.advance(0.002)
    else:
        if event is not Event.START:
            rig.did.clear()
        rig.do(event)
    assert rig.tx.state is wanted
    if event in (Event.TIMER_B, Event.TIMER_F, Event.TIMER_H):
        assert rig.did[-1:] == did
    else:
        assert rig.did == did
    kept = {**rig.layer.clients, **rig.layer.servers}
    assert (rig.tx in kept.values()) is (wanted is not S.TERMINATED)


@pytest.mark.parametrize("machine", TABLES)
def test_what_a_state_has_no_row_for_is_dropped_or_refused(machine: str) -> None:
    for where, state in PATH:
        if where != machine:
            continue
        for event in Event:
            if (machine, state, event) in ROWS or event is Event.START:
                continue
            rig = Rig(machine)
            rig.reach(machine, state)
            rig.did.clear()
            if event in SENDS and "server" in machine:
                with pytest.raises(StateError) as caught:
                    rig.do(event)
                assert (caught.value.state, caught.value.event) == (state.name, event.name)
                assert state.name in str(caught.value)
            else:
                assert not rig.tx.fire(event, rig.now)
            assert rig.tx.state is state
            assert rig.did == []


@pytest.mark.parametrize("machine", TABLES)
def test_every_transaction_ends_by_itself_and_leaves_nothing(machine: str) -> None:
    for where, state in PATH:
        unanswered = where.endswith("server") and state in (S.TRYING, S.PROCEEDING)
        if where != machine or unanswered or (where, state) == ("INVITE client", S.PROCEEDING):
            continue  # those wait for their users, who have limits of their own
        for flow in (UDP, TCP):
            rig = Rig(machine, flow)
            for event in PATH[(machine, state)]:
                rig.do(event)
            rig.advance(64.001)
            assert rig.tx.state is S.TERMINATED
            assert rig.timers.next_due() is None
            assert not rig.layer.clients
            assert not rig.layer.servers
            rig.layer.break_flow(flow, rig.now)
            assert rig.tx.state is S.TERMINATED


def times(rig: Rig, what: str) -> list[float]:
    return [at for at, data in rig.sent if kind(data) == what]


def test_an_unanswered_invite_is_sent_again_at_doubling_intervals() -> None:
    rig = Rig("INVITE client")
    rig.advance(40)
    assert times(rig, "INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert rig.did[-1] == "told 408"
    assert rig.layer.resent == 6


def test_other_requests_are_sent_again_up_to_every_four_seconds() -> None:
    rig = Rig("client")
    rig.advance(40)
    assert times(rig, "OPTIONS") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    rig = Rig("client")
    rig.do(Event.PROVISIONAL)
    rig.advance(40)
    assert times(rig, "OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert rig.did[-1] == "told 408"


def test_a_refusal_is_sent_again_until_the_ack() -> None:
    rig = Rig("INVITE server")
    rig.do(Event.SEND_FAILURE)
    rig.advance(9)
    assert times(rig, "486") == [0, 0.5, 1.5, 3.5, 7.5]
    rig.do(Event.ACK)
    rig.advance(60)
    assert len(times(rig, "486")) == 5


@pytest.mark.parametrize("machine", TABLES)
def test_a_reliable_transport_needs_no_repetition_and_no_lingering(machine: str) -> None:
    rig = Rig(machine, TCP)
    if "client" in machine:
        rig.advance(33)
        assert len(rig.sent) == 1
        assert rig.did[-1] == "told 408"
        rig = Rig(machine, TCP)
        rig.do(Event.FAILURE)
    else:
        rig.do(Event.SEND_FAILURE)
        if "INVITE" in machine:
            rig.advance(31)
            assert len(rig.sent) == 1
            rig.do(Event.ACK)
    assert rig.tx.state is S.TERMINATED


def test_the_ack_of_a_refusal_repeats_what_the_invite_said() -> None:
    rig = Rig("INVITE client")
    rig.do(Event.FAILURE)
    ack = parse_message(rig.sent[-1][1])
    assert isinstance(ack, Request)
    assert ack.uri_text == rig.request.uri_text
    assert [str(via) for via in ack.vias] == [str(rig.request.vias[0])]
    assert (ack.cseq, ack.call_id) == ((7, "ACK"), rig.request.call_id)
    assert (ack.from_.tag, ack.to.tag) == ("a1", "b1")
    assert ack.items("route") == ["<sip:192.0.2.50;lr>"]
    assert server_key(ack, "INVITE") == server_key(rig.request, "INVITE")


def test_a_trying_is_not_sent_where_an_answer_was_faster() -> None:
    rig = Rig("INVITE server")
    rig.do(Event.SEND_PROVISIONAL)
    rig.advance(5)
    rig.do(Event.REQUEST)
    assert rig.did == ["send 180", "send 180"]


def test_requests_of_two_senders_with_one_branch_are_two_transactions() -> None:
    one, other = request("OPTIONS"), request("OPTIONS", host="192.0.2.77")
    assert server_key(one, "OPTIONS") != server_key(other, "OPTIONS")
    assert server_key(one, "OPTIONS") == server_key(request("OPTIONS"), "OPTIONS")


def test_requests_without_a_branch_match_by_the_fields_of_rfc_2543() -> None:
    plain = request("INVITE", branch="1")
    again = request("INVITE", branch="1")
    assert server_key(plain, "INVITE") == server_key(again, "INVITE")
    assert server_key(request("ACK", branch="1"), "INVITE") == server_key(plain, "INVITE")
    other = parse_message(bytes(plain).replace(b"one@", b"two@"))
    assert isinstance(other, Request)
    assert server_key(other, "INVITE") != server_key(plain, "INVITE")


def test_a_response_to_nobody_or_with_a_second_via_is_dropped() -> None:
    rig = Rig("client")
    data = rig.wire(200)
    for stray in (
        data.replace(b"z9hG4bKabc", b"z9hG4bKabd"),
        data.replace(b"7 OPTIONS", b"7 BYE"),
        data.replace(b"From:", b"Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKq\r\nFrom:"),
    ):
        response = parse_message(stray)
        assert isinstance(response, Response)
        assert not rig.layer.receive_response(response, rig.now)
    assert rig.did == ["send OPTIONS"]


def test_a_broken_flow_ends_its_own_transactions_only() -> None:
    rig = Rig("client", TCP)
    other = rig.layer.start_client(request("BYE", "z9hG4bKother"), UDP, rig, rig.now)
    rig.layer.break_flow(TCP, rig.now)
    assert rig.tx.state is S.TERMINATED
    assert other.state is S.TRYING


def test_more_server_transactions_than_the_limit_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactions, "SERVER_TRANSACTIONS_MAX", 1)
    rig = Rig("server")
    again: Any = request("OPTIONS", "z9hG4bKnext")
    with pytest.raises(LimitReached, match="SERVER_TRANSACTIONS_MAX is 1"):
        rig.layer.start_server(again, server_key(again, "OPTIONS"), UDP, rig.now)
