"""A virtual wire: agents on a virtual clock, with seeded loss, duplication and reordering."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from telephony.agent import UserAgent
from telephony.auth import digest_ha1
from telephony.core import AgentSettings
from telephony.legs import (
    AgentEvent,
    IncomingCall,
    Leg,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegOffer,
    LegRinging,
    RegistrationChanged,
)
from telephony.messages import Request, Response, parse_message
from telephony.sdp import make_offer
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri, parse_sip_uri
from tests.kit.wire import Faults, Wire

SDP = make_offer("192.0.2.1", 40_000)
TORTURE = Path(__file__).resolve().parents[4] / "shared" / "sip-torture"


@dataclass
class Sent:
    """One message on the wire."""

    at: float
    source: Flow
    target: Flow
    data: bytes

    @property
    def message(self) -> Request | Response:
        return parse_message(self.data)

    @property
    def kind(self) -> str:
        """The method, or "status method"."""
        message = self.message
        if isinstance(message, Request):
            return message.method
        return f"{message.status} {message.cseq[1]}"


class Node:
    """An agent at an address, its events, and what its user does with them."""

    def __init__(self, world: World, settings: AgentSettings, passwords: dict[str, str]) -> None:
        self.world = world
        self.settings = settings
        self.passwords = passwords
        self.challenge: Callable[[Request, Flow], bool] = lambda request, source: False
        counter = itertools.count(1)
        self.agent = UserAgent(
            settings,
            self,
            self,
            token=lambda n: f"{settings.host.replace('.', '')}x{next(counter)}",
            secret=b"secret",
        )
        self.events: list[AgentEvent] = []
        self.told_at = 0.0  # when the last event came
        self.on_call: Callable[[Leg], None] = lambda leg: leg.answer(SDP)
        self.on_event: Callable[[AgentEvent], None] = lambda event: None
        self.on_offer: Callable[[Leg, bytes], bytes | None] = lambda leg, sdp: SDP

    # Policy

    def requires_authentication(self, request: Request, source: Flow) -> bool:
        return self.challenge(request, source)

    def ha1(self, username: str, algorithm: str) -> str | None:
        password = self.passwords.get(username)
        if password is None:
            return None
        return digest_ha1(algorithm, username, self.settings.realm, password)

    # LegControl

    def ring(self, leg: Leg, sdp: bytes | None) -> None:
        self.agent.ring(leg, sdp, self.world.now)
        self.flush()

    def answer(self, leg: Leg, sdp: bytes) -> None:
        self.agent.answer(leg, sdp, self.world.now)
        self.flush()

    def reject(
        self, leg: Leg, status: int, reason: str | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        self.agent.reject(leg, status, self.world.now, reason, headers)
        self.flush()

    def hangup(self, leg: Leg, reason: str | None) -> None:
        self.agent.hangup(leg, self.world.now, reason)
        self.flush()

    def flush(self) -> None:
        """Put what the agent has to say on the wire and tell its user what happened."""
        for flow, data in self.agent.datagrams_to_send():
            self.world.send(self, flow, data)
        while (event := self.agent.next_event()) is not None:
            self.events.append(event)
            self.told_at = self.world.now
            match event:
                case IncomingCall(leg):
                    self.on_call(leg)
                case LegOffer(leg, sdp):
                    self.agent.answer_offer(leg, self.on_offer(leg, sdp), self.world.now)
            self.on_event(event)
            for flow, data in self.agent.datagrams_to_send():
                self.world.send(self, flow, data)

    def call(self, other: Node | str, **options: Any) -> Leg:
        uri: SipUri = parse_sip_uri(
            other if isinstance(other, str) else f"sip:bob@{other.settings.host}"
        )
        caller = NameAddress(SipUri("sip", "alice", self.settings.host), "Alice")
        leg = self.agent.call(uri, caller, options.pop("sdp", SDP), self.world.now, **options)
        self.flush()
        return leg

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def story(self) -> list[str]:
        """The events in short: what a user would tell."""
        out = []
        for event in self.events:
            match event:
                case IncomingCall():
                    out.append("incoming")
                case LegRinging(status=status):
                    out.append(f"ringing {status}")
                case LegAnswered():
                    out.append("answered")
                case LegFailed(status=status):
                    out.append(f"failed {status}")
                case LegEnded(cause=cause):
                    out.append(f"ended {cause.name}")
                case LegOffer():
                    out.append("offer")
                case RegistrationChanged(contacts=contacts):
                    out.append(f"contacts {len(contacts)}")
        return out


class World:
    """The wire and the clock. Nodes are at port 5060; what reaches no node is kept in `raw`."""

    def __init__(self, seed: int = 1, faults: Faults | None = None) -> None:
        self.now = 100.0
        self.seed = seed
        self.faults = faults or Faults(delay_s=0.001)
        self.nodes: dict[tuple[str, int], Node] = {}
        self.raw: dict[tuple[str, int], list[bytes]] = {}
        self.sent: list[Sent] = []
        self.drop: Callable[[Sent], bool] = lambda sent: False
        self._wires: dict[tuple[Flow, tuple[str, int]], Wire] = {}
        self._connections: dict[frozenset[tuple[str, int]], int] = {}

    def node(self, host: str, passwords: dict[str, str] | None = None, **settings: Any) -> Node:
        node = Node(self, AgentSettings(host, 5060, **settings), passwords or {})
        self.nodes[(host, 5060)] = node
        return node

    def send(self, node: Node, flow: Flow, data: bytes) -> None:
        own = (node.settings.host, node.settings.port)
        self.put(own, flow, data)

    def put(self, own: tuple[str, int], flow: Flow, data: bytes) -> None:
        """Send `data` from the address `own` to `flow`."""
        end = (flow.host, flow.port)
        number = 0
        if flow.reliable:
            number = self._connections.setdefault(frozenset((own, end)), len(self._connections) + 1)
        sent = Sent(self.now, Flow(flow.transport, *own, number), flow, data)
        self.sent.append(sent)
        if self.drop(sent):
            return
        wire = self._wires.get((sent.source, end))
        if wire is None:
            faults = Faults(delay_s=self.faults.delay_s) if flow.reliable else self.faults
            wire = Wire(self.seed * 1_000 + len(self._wires), faults)
            self._wires[(sent.source, end)] = wire
        wire.send(data, self.now)

    def cut(self, one: Node, other: Node) -> None:
        """The TCP connection between two nodes breaks; both hear of it."""
        ends = [(node.settings.host, node.settings.port) for node in (one, other)]
        number = self._connections.pop(frozenset(ends))
        for node, far in ((one, ends[1]), (other, ends[0])):
            node.agent.connection_lost(Flow("tcp", *far, number), self.now)
            node.flush()

    def run(self, seconds: float) -> None:
        """Let `seconds` pass: datagrams arrive and timers fire in order."""
        end = self.now + seconds
        while True:
            times = [node.agent.get_timer() for node in self.nodes.values()]
            times += [wire.next_arrival() for wire in self._wires.values()]
            due = min((time for time in times if time is not None), default=end + 1)
            if due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self._step()

    def _step(self) -> None:
        for (source, end), wire in list(self._wires.items()):
            for data in wire.arrivals(self.now):
                self._arrive(source, end, data)
        for node in self.nodes.values():
            node.agent.handle_timer(self.now)
            node.flush()

    def _arrive(self, source: Flow, end: tuple[str, int], data: bytes) -> None:
        node = self.nodes.get(end)
        if node is None:
            self.raw.setdefault(end, []).append(data)
            return
        if source.reliable:
            node.agent.receive_stream_data(data, source, self.now)
        else:
            node.agent.receive_datagram(data, source, self.now)
        node.flush()

    def kinds(self, source: Node | None = None) -> list[str]:
        """What was sent, in order, by `source` or by anyone."""
        return [
            sent.kind
            for sent in self.sent
            if source is None or sent.source.host == source.settings.host
        ]

    def settle(self) -> None:
        """Let every timer of RFC 3261 run out."""
        self.run(400)


@dataclass
class Torture:
    """One message of RFC 4475."""

    tag: str
    kind: str
    parse: str
    data: bytes = field(repr=False)


def torture_messages() -> list[Torture]:
    """All 49, or none where the shared data is absent."""
    index = TORTURE / "index.json"
    if not index.exists():
        return []
    return [
        Torture(m["tag"], m["kind"], m["parse"], (TORTURE / m["file"]).read_bytes())
        for m in json.loads(index.read_text())["messages"]
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `torture` each of the 49 messages."""
    if "torture" in metafunc.fixturenames:
        messages = torture_messages()
        if not messages:
            mark = pytest.mark.skip(reason=f"no torture messages in {TORTURE}")
            metafunc.parametrize("torture", [pytest.param(None, marks=mark)])
            return
        metafunc.parametrize("torture", messages, ids=[m.tag for m in messages])


@pytest.fixture
def world() -> World:
    """A quiet wire."""
    return World()


@pytest.fixture
def make_world() -> Callable[..., World]:
    """A wire with a seed and faults of the test's own."""

    def make(seed: int, **faults: float) -> World:
        return World(seed, Faults(**faults))

    return make


@pytest.fixture
def sdp() -> bytes:
    """An ordinary offer."""
    return SDP
