"""The endpoint over real loopback sockets: two of them, UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from telephony import aio
from telephony.aio import EndpointSettings, SipEndpoint
from telephony.auth import digest_ha1
from telephony.core import TrunkSettings
from telephony.errors import TransportError
from telephony.legs import EndCause, Leg
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri

CALLER = NameAddress(SipUri("sip", "alice", "127.0.0.1"), "Alice")


class Recorder:
    """An application that answers everything and remembers what happened."""

    def __init__(self, sdp: bytes) -> None:
        self.sdp = sdp
        self.happened: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def requires_authentication(self, request: Any, source: Flow) -> bool:
        return False

    def ha1(self, username: str, algorithm: str) -> str | None:
        return digest_ha1(algorithm, username, "voicemashup", "secret")

    def incoming_call(self, leg: Leg) -> None:
        self.happened.put_nowait(("incoming", leg))
        if leg.called.user == "broken":
            raise RuntimeError("an application's mistake")
        leg.ring()
        leg.answer(self.sdp)

    def leg_ringing(self, leg: Leg, status: int, sdp: bytes | None) -> None:
        self.happened.put_nowait(("ringing", leg, status))

    def leg_answered(self, leg: Leg, sdp: bytes) -> None:
        self.happened.put_nowait(("answered", leg, sdp))

    def leg_failed(self, leg: Leg, status: int, reason: str) -> None:
        self.happened.put_nowait(("failed", leg, status))

    def leg_ended(self, leg: Leg, cause: EndCause) -> None:
        self.happened.put_nowait(("ended", leg, cause))

    def leg_offer(self, leg: Leg, sdp: bytes) -> bytes | None:
        return self.sdp

    def registration_changed(self, username: str, contacts: Any) -> None:
        self.happened.put_nowait(("contacts", username, len(contacts)))

    async def wait(self, what: str) -> tuple[Any, ...]:
        """The next thing that happens; it must be `what`."""
        async with asyncio.timeout(10):
            news = await self.happened.get()
        assert news[0] == what, news
        return news


Start = Callable[..., Any]


@pytest.fixture
async def start(sdp: bytes) -> AsyncIterator[Start]:
    """Starts endpoints on free loopback ports; closes them."""
    running: list[SipEndpoint] = []

    async def begin(**options: Any) -> tuple[SipEndpoint, Recorder]:
        recorder = Recorder(sdp)
        endpoint = SipEndpoint(EndpointSettings(port=0, **options), recorder, recorder)
        await endpoint.start()
        running.append(endpoint)
        return endpoint, recorder

    yield begin
    for endpoint in running:
        await endpoint.close(2)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_over_real_sockets(start: Start, sdp: bytes, transport: str) -> None:
    alice, alice_app = await start()
    bob, bob_app = await start()
    host, port = bob.address
    target = f"sip:bob@{host}:{port};transport={transport}"
    leg = alice.call(target, caller=CALLER, sdp=sdp)
    _, answered = await bob_app.wait("incoming")
    assert answered.source.transport == transport
    await alice_app.wait("ringing")
    assert (await alice_app.wait("answered"))[1:] == (leg, sdp)
    await bob_app.wait("answered")
    answered.hangup()
    assert (await alice_app.wait("ended"))[2] is EndCause.REMOTE_BYE
    assert (await bob_app.wait("ended"))[2] is EndCause.LOCAL_HANGUP


async def test_a_request_too_large_for_a_datagram_goes_over_tcp(start: Start, sdp: bytes) -> None:
    alice, alice_app = await start()
    bob, bob_app = await start()
    host, port = bob.address
    headers = [("X-Long", "x" * 1_300)]
    alice.call(f"sip:bob@{host}:{port}", caller=CALLER, sdp=sdp, headers=headers)
    _, leg = await bob_app.wait("incoming")
    assert leg.source.transport == "tcp"
    await alice_app.wait("ringing")
    await alice_app.wait("answered")


async def test_a_large_request_falls_back_to_udp_where_tcp_is_refused(
    start: Start, sdp: bytes
) -> None:
    alice, _ = await start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        port = phone.getsockname()[1]
        headers = [("X-Long", "x" * 1_300)]
        leg = alice.call(f"sip:bob@127.0.0.1:{port}", caller=CALLER, sdp=sdp, headers=headers)
        async with asyncio.timeout(10):
            data = await asyncio.get_running_loop().sock_recv(phone, 65_535)
        assert data.startswith(
            f"INVITE sip:bob@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP".encode()
        )
        refusal = data.partition(b"\r\n")[2].partition(b"User-Agent")[0]
        address = alice.address
        phone.sendto(b"SIP/2.0 486 Busy\r\n" + refusal + b"\r\n", address)
        leg.hangup()


async def test_a_refused_connection_fails_the_call(start: Start, sdp: bytes) -> None:
    alice, app = await start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        port = taken.getsockname()[1]
        alice.call(f"sip:bob@127.0.0.1:{port};transport=tcp", caller=CALLER, sdp=sdp)
        assert (await app.wait("failed"))[2] == 503


async def test_names_are_resolved(start: Start, sdp: bytes) -> None:
    alice, app = await start()
    bob, _ = await start()
    alice.call(f"sip:bob@localhost:{bob.address[1]}", caller=CALLER, sdp=sdp)
    await app.wait("ringing")
    await app.wait("answered")
    alice.call("sip:bob@nowhere.invalid", caller=CALLER, sdp=sdp)
    assert (await app.wait("failed"))[2] == 503


async def test_the_next_free_port_is_taken_and_none_is_an_error(sdp: bytes) -> None:
    recorder = Recorder(sdp)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        second = SipEndpoint(EndpointSettings(port=port, ports_to_try=20), recorder, recorder)
        await second.start()
        assert port < second.address[1] < port + 20
        await second.close(1)
        with pytest.raises(TransportError, match="no free port"):
            await SipEndpoint(EndpointSettings(port=port), recorder, recorder).start()


async def test_close_hangs_up_and_waits_for_the_answer(start: Start, sdp: bytes) -> None:
    alice, alice_app = await start()
    bob, bob_app = await start()
    host, port = bob.address
    alice.call(f"sip:bob@{host}:{port}", caller=CALLER, sdp=sdp)
    await bob_app.wait("incoming")
    await bob_app.wait("answered")
    await alice.close(5)
    assert (await bob_app.wait("ended"))[2] is EndCause.REMOTE_BYE
    # The INVITE, lingering for timer M, and the BYE, for timer K.
    assert alice.metrics()["client_transactions"] <= 2
    for what in ("ringing", "answered", "ended"):
        await alice_app.wait(what)


async def test_a_mistake_of_the_application_ends_the_call_not_the_endpoint(
    start: Start, sdp: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    alice, app = await start()
    bob, _ = await start()
    host, port = bob.address
    alice.call(f"sip:broken@{host}:{port}", caller=CALLER, sdp=sdp)
    assert (await app.wait("failed"))[2] == 480
    assert bob.metrics()["application_errors"] == 1
    alice.call(f"sip:bob@{host}:{port}", caller=CALLER, sdp=sdp)
    await app.wait("ringing")
    await app.wait("answered")


async def test_a_phone_registers_over_tcp_and_is_called_on_its_connection(
    start: Start, sdp: bytes
) -> None:
    server, server_app = await start()
    host, port = server.address
    trunk = TrunkSettings(
        host, port, "tcp", "1001", "secret", realm_host="voicemashup", register=True
    )
    phone, phone_app = await start(trunk=trunk)
    assert await server_app.wait("contacts") == ("contacts", "1001", 1)
    (binding,) = server.contacts("1001")
    assert binding.flow.connection
    server.call_phone("1001", caller=CALLER, sdp=sdp)
    _, leg = await phone_app.wait("incoming")
    assert leg.source.transport == "tcp"
    await server_app.wait("ringing")
    await server_app.wait("answered")
    assert server.metrics()["connections"] == 1
    await phone.close(5)
    assert (await server_app.wait("ended"))[0] == "ended"
    assert await server_app.wait("contacts") == ("contacts", "1001", 0)


async def test_lost_framing_answers_400_and_closes_the_connection(start: Start) -> None:
    endpoint, _ = await start()
    reader, writer = await asyncio.open_connection(*endpoint.address)
    writer.write(
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\n"
        b"Content-Length: -1\r\n\r\n"
    )
    async with asyncio.timeout(10):
        answer = await reader.read()  # until it is closed
    assert answer.startswith(b"SIP/2.0 400 ")
    writer.close()
    await writer.wait_closed()


async def test_more_connections_than_the_limit_are_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "CONNECTIONS_MAX", 1)
    endpoint, _ = await start()
    first = await asyncio.open_connection(*endpoint.address)
    first[1].write(b"\r\n\r\n")
    async with asyncio.timeout(10):
        assert await first[0].readexactly(2) == b"\r\n"  # the keep-alive's answer, RFC 5626
        second = await asyncio.open_connection(*endpoint.address)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second[0].readexactly(1)
    assert endpoint.metrics()["connections_refused"] == 1
    for _, writer in (first, second):
        writer.close()
