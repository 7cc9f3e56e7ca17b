"""SIP over asyncio: UDP and TCP sockets, names and one timer around the sans-IO agent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, cast

from telephony.agent import UserAgent
from telephony.core import AgentSettings, TrunkSettings
from telephony.errors import TransportError
from telephony.legs import (
    AgentEvent,
    EndCause,
    IncomingCall,
    Leg,
    LegAnswered,
    LegEnded,
    LegFailed,
    LegOffer,
    LegRinging,
    RegistrationChanged,
)
from telephony.limits import (
    CONNECT_S_MAX,
    CONNECTION_BACKLOG_BYTES_MAX,
    CONNECTION_IDLE_S_MAX,
    CONNECTION_PARTIAL_S_MAX,
    CONNECTIONS_MAX,
    DATAGRAMS_PER_WAKE_MAX,
    RECEIVE_BUFFER_BYTES,
    RESOLVED_NAME_S_MAX,
    RESOLVED_NAMES_MAX,
)
from telephony.messages import Request
from telephony.registrar import Binding
from telephony.transactions import TimerValues
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri, parse_sip_uri

_LOG = logging.getLogger(__name__)
_SWEEP_S = 5.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where to listen and who to be.

    `port` and the following `ports_to_try` - 1 are tried for a UDP and a TCP socket on the same
    port (0: any). `advertised_host` is the address peers are told, by default `host`, or where
    that is a wildcard the address of the way out. `algorithms` are the digests offered, in
    order; many phones give up on one they do not know, so only MD5 unless asked for.
    """

    host: str = "127.0.0.1"
    port: int = 5060
    advertised_host: str | None = None
    realm: str = "voicemashup"
    user_agent: str = "VoiceMashup"
    ports_to_try: int = 1
    trunk: TrunkSettings | None = None
    algorithms: tuple[str, ...] = ("MD5",)
    timers: TimerValues = field(default_factory=TimerValues)


class Credentials(Protocol):
    """The phones' secrets."""

    def ha1(self, username: str, algorithm: str) -> str | None:
        """H(username:realm:password) in hexadecimal for "MD5" or "SHA-256"; None: unknown."""


class Application(Protocol):
    """What calls are for. Called from the loop; must not block.

    Every leg ends with exactly one leg_failed (outgoing and never answered) or leg_ended.
    """

    def requires_authentication(self, request: Request, source: Flow) -> bool:
        """Whether an INVITE that does not come from the trunk must prove its sender (401)."""

    def incoming_call(self, leg: Leg) -> None:
        """A new INVITE."""

    def leg_ringing(self, leg: Leg, status: int, sdp: bytes | None) -> None:
        """An outgoing leg rings; with `sdp` there is early media."""

    def leg_answered(self, leg: Leg, sdp: bytes) -> None:
        """Outgoing: answered with `sdp`. Incoming: the ACK came (`sdp`: its late answer)."""

    def leg_failed(self, leg: Leg, status: int, reason: str) -> None:
        """An outgoing leg ended unanswered."""

    def leg_ended(self, leg: Leg, cause: EndCause) -> None:
        """A leg is over."""

    def leg_offer(self, leg: Leg, sdp: bytes) -> bytes | None:
        """A new offer (b"": one is asked for); returns the answer (the offer), None for 488."""

    def registration_changed(self, username: str, contacts: tuple[Binding, ...]) -> None:
        """The contacts of a phone changed."""


class _Policy:
    """The application's and the credentials' say, as the agent asks for it."""

    def __init__(self, application: Application, credentials: Credentials) -> None:
        self.requires_authentication = application.requires_authentication
        self.ha1 = credentials.ha1


class SipEndpoint:
    """A user agent on the network."""

    def __init__(
        self, settings: EndpointSettings, application: Application, credentials: Credentials
    ) -> None:
        self._settings = settings
        self._application = application
        self._credentials = credentials
        self._address: tuple[str, int] | None = None
        self._agent: UserAgent
        self._loop: asyncio.AbstractEventLoop
        self._socket: socket.socket
        self._server: asyncio.Server | None = None
        self._connections: dict[int, _Connection] = {}
        self._by_peer: dict[tuple[str, int], _Connection] = {}
        self._waiting: dict[Flow, list[bytes]] = {}
        self._names: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[Flow] = []
        self._timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._pumping = False
        self._pump_due = False
        self._quiet = asyncio.Event()
        self._closing = False
        self._numbers = 0
        self._counts: Counter[str] = Counter()

    @property
    def address(self) -> tuple[str, int]:
        """The address peers are told; TransportError before start."""
        if self._address is None:
            raise TransportError("the SIP endpoint has not been started")
        return self._address

    async def start(self) -> None:
        """Open the sockets and begin; TransportError where no port is free."""
        self._loop = asyncio.get_running_loop()
        settings = self._settings
        udp, tcp = _bind(settings.host, settings.port, settings.ports_to_try)
        self._socket = udp
        port = udp.getsockname()[1]
        host = settings.advertised_host or _way_out(settings.host)
        self._address = (host, port)
        self._agent = UserAgent(
            AgentSettings(
                host,
                port,
                settings.realm,
                settings.user_agent,
                settings.algorithms,
                settings.trunk,
                settings.timers,
            ),
            _Policy(self._application, self._credentials),
            self,
        )
        self._loop.add_reader(udp.fileno(), self._readable)
        self._server = await self._loop.create_server(lambda: _Connection(self), sock=tcp)
        if settings.trunk is not None and not is_address(settings.trunk.host):
            await self._resolve(settings.trunk.host)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        self._agent.start(self._loop.time())
        self._pump()

    async def close(self, grace_s: float) -> None:
        """End every call, wait up to `grace_s` seconds for the answers, close the sockets."""
        if self._address is None or self._closing:
            return
        self._closing = True
        self._agent.shutdown(self._loop.time())
        self._pump()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._quiet.wait()
        for handle in (self._timer, self._sweeper):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the application asks for.

    def call(
        self,
        target: SipUri | str,
        *,
        caller: NameAddress,
        sdp: bytes,
        route_to: Flow | None = None,
        via_trunk: bool = False,
        headers: Sequence[tuple[str, str]] = (),
        max_forwards: int = 70,
    ) -> Leg:
        """Call `target`; see UserAgent.call. MessageError for a string that is no SIP URI."""
        leg = self._agent.call(
            parse_sip_uri(target) if isinstance(target, str) else target,
            caller,
            sdp,
            self._loop.time(),
            route_to=route_to,
            via_trunk=via_trunk,
            headers=headers,
            max_forwards=max_forwards,
        )
        self._pump_soon()
        return leg

    def call_phone(
        self,
        username: str,
        *,
        caller: NameAddress,
        sdp: bytes,
        headers: Sequence[tuple[str, str]] = (),
        max_forwards: int = 70,
    ) -> Leg:
        """Call every contact of a phone, the first answer wins; LookupError without any."""
        leg = self._agent.call_phone(
            username, caller, sdp, self._loop.time(), headers=headers, max_forwards=max_forwards
        )
        self._pump_soon()
        return leg

    def contacts(self, username: str) -> tuple[Binding, ...]:
        """Where a phone can be reached now."""
        return self._agent.contacts(username, self._loop.time())

    def metrics(self) -> dict[str, int]:
        """Counters and gauges by name."""
        return {**self._agent.metrics(), **self._counts, "connections": len(self._connections)}

    # LegControl: the steps of legs, with the clock.

    def ring(self, leg: Leg, sdp: bytes | None) -> None:
        """See Leg.ring."""
        self._agent.ring(leg, sdp, self._loop.time())
        self._pump_soon()

    def answer(self, leg: Leg, sdp: bytes) -> None:
        """See Leg.answer."""
        self._agent.answer(leg, sdp, self._loop.time())
        self._pump_soon()

    def reject(
        self, leg: Leg, status: int, reason: str | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        """See Leg.reject."""
        self._agent.reject(leg, status, self._loop.time(), reason, headers)
        self._pump_soon()

    def hangup(self, leg: Leg, reason: str | None) -> None:
        """See Leg.hangup."""
        self._agent.hangup(leg, self._loop.time(), reason)
        self._pump_soon()

    # The loop's side.

    def _readable(self) -> None:
        receive, agent, now = self._socket.recvfrom, self._agent, self._loop.time()
        for _ in range(DATAGRAMS_PER_WAKE_MAX):
            try:
                data, address = receive(65_535)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                _LOG.warning("SIP socket: %s", error)
                break
            try:
                agent.receive_datagram(data, Flow("udp", address[0], address[1]), now)
            except Exception:
                self._failed(f"a datagram from {address[0]}:{address[1]}")
        self._pump()

    def _failed(self, what: str) -> None:
        """A mistake of ours: one message or timer suffers from it, not the endpoint."""
        self._counts["agent_errors"] += 1
        _LOG.exception("the agent failed on %s", what)

    def _pump_soon(self) -> None:
        if not self._pumping and not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send what there is to send, tell what happened, set the timer."""
        self._pump_due = False
        if self._pumping or self._socket.fileno() < 0:
            return
        self._pumping = True
        agent = self._agent
        try:
            while True:
                for flow, data in agent.datagrams_to_send():
                    self._send(flow, data)
                event = agent.next_event()
                if event is not None:
                    self._tell(event)
                elif self._broken:
                    agent.transport_failed(self._broken.pop(0), self._loop.time())
                else:
                    break
        finally:
            self._pumping = False
        self._set_timer()
        if self._closing and agent.quiet:
            self._quiet.set()

    def _set_timer(self) -> None:
        due = self._agent.get_timer()
        if due is None:
            return
        if self._timer is not None:
            if self._timer.when() <= due:
                return  # it fires, finds nothing due and is set again
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        try:
            self._agent.handle_timer(self._loop.time())
        except Exception:
            self._failed("a timer")
        self._pump()

    def _tell(self, event: AgentEvent) -> None:
        application = self._application
        try:
            match event:
                case IncomingCall(leg):
                    application.incoming_call(leg)
                case LegRinging(leg, status, sdp):
                    application.leg_ringing(leg, status, sdp)
                case LegAnswered(leg, answer):
                    application.leg_answered(leg, answer)
                case LegFailed(leg, status, reason):
                    application.leg_failed(leg, status, reason)
                case LegEnded(leg, cause):
                    application.leg_ended(leg, cause)
                case LegOffer(leg, offer):
                    self._answer_offer(leg, offer)
                case RegistrationChanged(username, contacts):
                    application.registration_changed(username, contacts)
        except Exception:
            self._counts["application_errors"] += 1
            _LOG.exception("the application failed on %r", event)
            if isinstance(event, IncomingCall | LegAnswered):
                event.leg.hangup("Internal error")

    def _answer_offer(self, leg: Leg, offer: bytes) -> None:
        answer: bytes | None = None
        try:
            answer = self._application.leg_offer(leg, offer)
        finally:
            self._agent.answer_offer(leg, answer, self._loop.time())

    # Sending.

    def _send(self, flow: Flow, data: bytes) -> None:
        if not is_address(flow.host):
            self._send_to_name(flow, data)
        elif flow.transport == "udp":
            self._send_datagram(flow, flow.host, data)
        else:
            self._send_stream(flow, flow.host, data)

    def _send_datagram(self, flow: Flow, host: str, data: bytes) -> None:
        try:
            self._socket.sendto(data, (host, flow.port))
        except (BlockingIOError, InterruptedError):
            self._counts["datagrams_unsent"] += 1  # the transaction sends it again
        except OSError as error:
            _LOG.warning("SIP to %s:%d: %s", host, flow.port, error)
            self._broken.append(flow)

    def _send_stream(self, flow: Flow, host: str, data: bytes) -> None:
        if flow.connection:
            connection = self._connections.get(flow.connection)
        else:
            connection = self._by_peer.get((host, flow.port))
        if connection is not None:
            connection.write(data)
        elif flow.connection:
            self._broken.append(flow)
        elif flow in self._waiting:
            self._waiting[flow].append(data)
        else:
            self._waiting[flow] = [data]
            self._spawn(self._connect(flow, host))

    async def _connect(self, flow: Flow, host: str) -> None:
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self), host, flow.port
                )
            if not connection.flow.connection:
                raise ConnectionError("refused at CONNECTIONS_MAX, or gone at once")
        except OSError as error:
            _LOG.info("SIP over TCP to %s:%d: %s", host, flow.port, error or "no answer")
            del self._waiting[flow]
            self._broken.append(flow)
            self._pump_soon()
            return
        for data in self._waiting.pop(flow):
            connection.write(data)

    def _send_to_name(self, flow: Flow, data: bytes) -> None:
        expires, address = self._names.get(flow.host, (0.0, ""))
        if expires > self._loop.time():
            self._send_resolved(flow, address, data)
        elif flow in self._waiting:
            self._waiting[flow].append(data)
        else:
            self._waiting[flow] = [data]
            self._spawn(self._resolve_and_send(flow))

    def _send_resolved(self, flow: Flow, address: str, data: bytes) -> None:
        if flow.transport == "udp":
            self._send_datagram(flow, address, data)
        else:
            self._send_stream(flow, address, data)

    async def _resolve_and_send(self, flow: Flow) -> None:
        address = await self._resolve(flow.host)
        waiting = self._waiting.pop(flow)
        if address is None:
            self._broken.append(flow)
        else:
            for data in waiting:
                self._send_resolved(flow, address, data)
        self._pump_soon()

    async def _resolve(self, host: str) -> str | None:
        """The address of a host name (A or AAAA), kept for RESOLVED_NAME_S_MAX; None: unknown."""
        try:
            found = await self._loop.getaddrinfo(
                host, None, family=self._socket.family, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            _LOG.warning("host name %s: %s", host, error)
            return None
        addresses = [str(entry[4][0]) for entry in found]
        trunk = self._agent.trunk
        if trunk is not None and host == trunk.settings.host:
            trunk.addresses.update(addresses)
        self._names[host] = (self._loop.time() + RESOLVED_NAME_S_MAX, addresses[0])
        self._names.move_to_end(host)
        if len(self._names) > RESOLVED_NAMES_MAX:
            self._names.popitem(last=False)
        return addresses[0]

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Connections.

    def connected(self, connection: _Connection) -> int:
        """Take a new connection; its number, or 0 where CONNECTIONS_MAX is reached."""
        if len(self._connections) >= CONNECTIONS_MAX or self._closing:
            self._counts["connections_refused"] += 1
            return 0
        self._numbers += 1
        self._connections[self._numbers] = connection
        self._by_peer[connection.peer] = connection
        return self._numbers

    def received(self, connection: _Connection, data: bytes) -> None:
        """Bytes came over a connection."""
        keep = False
        try:
            keep = self._agent.receive_stream_data(data, connection.flow, self._loop.time())
        except Exception:
            self._failed(f"data from {connection.peer[0]}:{connection.peer[1]}")
        self._pump()
        if not keep:
            connection.close()

    def disconnected(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._connections.pop(connection.flow.connection, None)
        if self._by_peer.get(connection.peer) is connection:
            del self._by_peer[connection.peer]
        self._agent.connection_lost(connection.flow, self._loop.time())
        self._pump_soon()

    def _sweep(self) -> None:
        """Close connections that are idle, or stuck in the middle of a message."""
        now = self._loop.time()
        for connection in list(self._connections.values()):
            partial = self._agent.stream_partial(connection.flow)
            most = CONNECTION_PARTIAL_S_MAX if partial else CONNECTION_IDLE_S_MAX
            if now - connection.heard_at > most:
                connection.close()
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)


class _Connection(asyncio.Protocol):
    """One TCP connection, accepted or opened."""

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self.peer = ("", 0)
        self.flow = Flow("tcp", "", 0)
        self.heard_at = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not every event loop's transports (uvloop's) are instances of asyncio's class.
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # it was gone before we looked
            self._transport.abort()
            return
        self.peer = (peer[0], peer[1])
        self.flow = Flow("tcp", *self.peer, self._endpoint.connected(self))
        if not self.flow.connection:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.flow.connection:
            self.heard_at = self._loop.time()
            self._endpoint.received(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.flow.connection:
            self._endpoint.disconnected(self)

    def write(self, data: bytes) -> None:
        """Send, unless the peer does not read: then the connection is dropped."""
        if self._transport.get_write_buffer_size() > CONNECTION_BACKLOG_BYTES_MAX:
            self._transport.abort()
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything written is sent."""
        self._transport.close()


@lru_cache(maxsize=4_096)
def is_address(host: str) -> bool:
    """Whether `host` is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _way_out(host: str) -> str:
    """`host`, or for a wildcard the address packets leave from (none is sent)."""
    if not is_address(host) or not ipaddress.ip_address(host).is_unspecified:
        return host
    version = ipaddress.ip_address(host).version
    family, far, own = (
        (socket.AF_INET, "192.0.2.1", "127.0.0.1")
        if version == 4
        else (socket.AF_INET6, "2001:db8::1", "::1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))
        except OSError:
            return own
        return str(probe.getsockname()[0])


def _bind(host: str, port: int, tries: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port; TransportError where none is free."""
    for attempt in range(max(tries, 1)):
        wanted = port + attempt if port else 0
        try:
            return _bind_pair(host, wanted)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise TransportError(f"cannot listen on {host}:{wanted}: {error}") from error
    raise TransportError(
        f"no free port for SIP on {host} from {port} to {port + tries - 1}: "
        "stop the other program or set another port"
    )


def _bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    tcp = socket.socket(family, socket.SOCK_STREAM)
    try:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        udp.bind((host, port))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, udp.getsockname()[1]))
        tcp.listen(128)
    except OSError:
        udp.close()
        tcp.close()
        raise
    udp.setblocking(False)
    tcp.setblocking(False)
    return udp, tcp
