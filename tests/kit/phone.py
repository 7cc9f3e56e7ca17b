"""A telephone that a script holds: real SIP (RFC 3261) over UDP or TCP, real RTP.

    phone = await Phone.start("alice")
    await phone.register("sip:127.0.0.1:5060", password="...")
    call = await phone.dial("sip:33199000001@127.0.0.1:5060")
    await call.answered()
    call.send_tone(440)
    await call.press("1")
    sound = await call.listen(2.0)          # or call.heard(2.0): the last two seconds
    await call.hangup()

A phone answers what calls it by itself (`answers=True`), or hands the call over with
`incoming()`. Nothing here comes from the product.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.kit import tones
from tests.kit.line import PACKET_S, Line, Sound
from tests.kit.sip_text import (
    REASONS,
    NotSip,
    SipText,
    address_of,
    digest_answer,
    parameter_of,
    parse,
    tag_of,
    token,
    uri_of,
)

T1_S = 0.5
T2_S = 4.0
GIVE_UP_S = 64 * T1_S
SPEECH_FRAMES = 5  # of 20 ms: what is taken for speech, not for a click
TRIES_FOR_DIGEST = 2

Address = tuple[str, int]
Send = Callable[[bytes], None]


class PhoneError(Exception):
    """What went wrong on the phone's side of a call.

    CallFailed      the other side said no (status and reason), or nothing in time
    NotHeard        what a script waited for was not heard in time
    """


class CallFailed(PhoneError):
    """A request that was refused or never answered: `status` 0 says nothing came."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class NotHeard(PhoneError):
    """A tone, speech or silence that did not come in time."""


class Phone:
    """One telephone. Make it with `start`, end it with `close` (or `async with`)."""

    def __init__(self, name: str, host: str, transport: str, law: str) -> None:
        self.name = name
        self.host = host
        self.port = 0
        self.transport = transport
        self.law = law
        self.user = name
        self.password = ""
        self.domain = host
        self.answers = True
        self.ring_s = 0.0
        self.calls: list[Call] = []
        self.messages: list[tuple[str, SipText]] = []  # all seen: ("sent" or "received", message)
        self.retransmissions_received = 0
        self._incoming: asyncio.Queue[Call] = asyncio.Queue()
        self._asked: dict[tuple[str, str], asyncio.Queue[SipText]] = {}
        self._acks: dict[str, Callable[[], None]] = {}
        self._replies: dict[tuple[str, str], bytes] = {}
        self._invites: dict[str, Call] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._udp: asyncio.DatagramTransport | None = None
        self._listener: asyncio.Server | None = None
        self._connections: dict[Address, asyncio.StreamWriter] = {}
        self._registrations = 0

    @classmethod
    async def start(
        cls,
        name: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        transport: str = "udp",
        law: str = "PCMU",
        answers: bool = True,
        ring_s: float = 0.0,
    ) -> "Phone":
        """Return a phone listening on `host`, with the `transport` "udp" or "tcp"."""
        phone = cls(name, host, transport, law)
        phone.answers, phone.ring_s = answers, ring_s
        loop = asyncio.get_running_loop()
        if transport == "tcp":
            phone._listener = await asyncio.start_server(phone._serve, host, port)
            phone.port = phone._listener.sockets[0].getsockname()[1]
        else:
            ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ear.bind((host, port))
            ear.setblocking(False)
            phone.port = ear.getsockname()[1]
            phone._udp, _ = await loop.create_datagram_endpoint(lambda: _Ear(phone), sock=ear)
        return phone

    async def __aenter__(self) -> "Phone":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up every call and leave the network."""
        for call in list(self.calls):
            with contextlib.suppress(PhoneError, TimeoutError):
                await call.hangup()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in self.calls:
            await call.line.close()
        for writer in self._connections.values():
            writer.close()
        if self._listener is not None:
            self._listener.close()
        if self._udp is not None:
            self._udp.close()

    @property
    def contact(self) -> str:
        """The URI at which this phone itself is reached."""
        suffix = ";transport=tcp" if self.transport == "tcp" else ""
        return f"sip:{self.user}@{self.host}:{self.port}{suffix}"

    # What a script asks of it

    async def register(
        self, registrar: str, *, user: str = "", password: str = "", expires_s: int = 300
    ) -> int:
        """Register (RFC 3261 10.2); returns the seconds granted. Raises CallFailed."""
        self.user, self.password = user or self.user, password or self.password
        host, port = address_of(registrar)
        self.domain = host if port == 5060 else f"{host}:{port}"
        self._registrations += 1
        call_id = getattr(self, "_register_call_id", None) or token("reg-")
        self._register_call_id = call_id
        granted = 0

        def request() -> SipText:
            identity = f"<sip:{self.user}@{self.domain}>"
            message = SipText(("REGISTER", registrar, "SIP/2.0"))
            message.add("From", f"{identity};tag={token()}").add("To", identity)
            message.add("Call-ID", call_id).add("Contact", f"<{self.contact}>")
            return message.add("Expires", expires_s)

        answer = await self.ask_with_digest(request, (host, port), self._next_register_cseq)
        if answer.status != 200:
            raise CallFailed(answer.status, answer.first[2])
        for contact in answer.all("contact"):
            if uri_of(contact).split(";")[0] == self.contact.split(";")[0]:
                granted = int(parameter_of(contact, "expires") or answer.get("expires") or 0)
        return granted

    async def unregister(self, registrar: str) -> None:
        """Take this phone's contact out again."""
        await self.register(registrar, expires_s=0)

    def _next_register_cseq(self) -> int:
        self._registrations += 1
        return self._registrations

    async def dial(self, uri: str, *, caller: str = "", via: Address | None = None) -> "Call":
        """Place a call to `uri` (through the proxy `via`, where given) and return it at once.

        `caller` is what the From header shows instead of the phone's own user.
        """
        line = await Line.open(self.host)
        line.law = self.law
        call = Call(self, line, remote_uri=uri, caller=caller or self.user)
        call.next_hop = via or address_of(uri)
        self.calls.append(call)
        self.spawn(call.place())
        return call

    async def incoming(self, timeout_s: float = 10.0) -> "Call":
        """Return the next call that rings here; raises TimeoutError."""
        return await asyncio.wait_for(self._incoming.get(), timeout_s)

    # Requests of its own

    async def ask_with_digest(
        self, request: Callable[[], SipText], to: Address, cseq: Callable[[], int]
    ) -> SipText:
        """Send the request, answer a challenge, return the last response."""
        authorization: tuple[str, str] | None = None
        for _ in range(TRIES_FOR_DIGEST):
            message = request()
            message.add("CSeq", f"{cseq()} {message.first[0]}")
            if authorization:
                message.add(*authorization)
            answer = await self.ask(message, to)
            authorization = self.authorization(answer, message)
            if authorization is None:
                break
        return answer

    def authorization(self, answer: SipText, request: SipText) -> tuple[str, str] | None:
        """Return the header that answers a 401 or 407; None where none does."""
        names = {401: ("WWW-Authenticate", "Authorization")}
        names[407] = ("Proxy-Authenticate", "Proxy-Authorization")
        if answer.status not in names or not self.password or request.get(names[answer.status][1]):
            return None
        challenge = answer.get(names[answer.status][0])
        value = digest_answer(
            challenge,
            method=request.first[0],
            uri=request.first[1],
            user=self.user,
            password=self.password,
        )
        return names[answer.status][1], value

    async def ask(
        self,
        request: SipText,
        to: Address,
        *,
        heard: Callable[[SipText], None] = lambda _: None,
        branch: str = "",
    ) -> SipText:
        """Send a request and return its final response (RFC 3261 17.1).

        Provisional responses go to `heard`. Raises CallFailed(0) when nothing comes.
        """
        branch = branch or token("z9hG4bK")
        method = request.first[0]
        self.put_via(request, branch)
        answers: asyncio.Queue[SipText] = asyncio.Queue()
        self._asked[branch, method] = answers
        data = request.encode()
        self.messages.append(("sent", request))
        await self.connect(to)
        interval, started, provisional = T1_S, time.monotonic(), False
        self.send(data, to)
        try:
            while True:
                quiet = provisional and method == "INVITE"
                try:
                    wait = None if quiet else interval
                    answer = await asyncio.wait_for(answers.get(), wait)
                except TimeoutError:
                    if time.monotonic() - started > GIVE_UP_S:
                        raise CallFailed(0, f"no answer to {method} from {to}") from None
                    if self.transport == "udp":
                        self.send(data, to)
                    interval = interval * 2 if method == "INVITE" else min(interval * 2, T2_S)
                    continue
                if answer.status >= 200:
                    return answer
                provisional = True
                heard(answer)
        finally:
            del self._asked[branch, method]

    def put_via(self, request: SipText, branch: str) -> None:
        """Set the topmost Via and what every request carries."""
        via = f"SIP/2.0/{self.transport.upper()} {self.host}:{self.port};branch={branch};rport"
        request.headers.insert(0, ("Via", via))
        request.add("Max-Forwards", 70).add("User-Agent", f"kit phone {self.name}")

    def remember_ack(self, branch: str, again: Callable[[], None]) -> None:
        """Acknowledge anew whenever the final response to `branch` comes once more."""
        self._acks[branch] = again
        again()

    # The network

    async def connect(self, to: Address) -> None:
        """Make sure there is a connection to `to`; nothing to do on UDP."""
        if self.transport == "tcp" and to not in self._connections:
            try:
                reader, writer = await asyncio.open_connection(*to)
            except OSError as error:
                raise CallFailed(0, f"no connection to {to}: {error}") from error
            self._connections[to] = writer
            self.spawn(self._read(reader, writer, to))

    def send(self, data: bytes, to: Address) -> None:
        """Put `data` on the wire."""
        if self._udp is not None:
            if not self._udp.is_closing():
                self._udp.sendto(data, to)
        elif to in self._connections and not self._connections[to].is_closing():
            self._connections[to].write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[:2]
        self._connections[peer] = writer
        self.spawn(self._read(reader, writer, peer))

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.strip():
                    continue
                length = parse(head).get("content-length")
                body = await reader.readexactly(int(length or 0))
                self.received(head + body, peer, writer.write)
        writer.close()
        if self._connections.get(peer) is writer:
            del self._connections[peer]

    def received(self, data: bytes, source: Address, back: Send) -> None:
        """Take in what came from `source`; `back` sends to where it came from."""
        if not data.strip():
            return
        try:
            message = parse(data)
        except NotSip:
            return
        self.messages.append(("received", message))
        vias = message.all("via")
        branch = parameter_of(vias[0], "branch") if vias else ""
        if message.status:
            self._response(message, branch)
            return
        method = message.first[0]
        if method == "ACK":
            call = self.call_of(message)
            if call:
                call.acknowledge_seen(message)
            return
        reply = self._replies.get((branch, method))
        if reply is not None:
            self.retransmissions_received += 1
            back(reply)
            return
        self._request(message, branch, back)

    def _response(self, message: SipText, branch: str) -> None:
        waiting = self._asked.get((branch, message.method))
        if waiting is not None:
            waiting.put_nowait(message)
        elif message.method == "INVITE" and message.status >= 200 and branch in self._acks:
            self.retransmissions_received += 1
            self._acks[branch]()

    def call_of(self, message: SipText) -> "Call | None":
        """Return the call a message belongs to, by its Call-ID."""
        wanted = message.get("call-id")
        return next((call for call in self.calls if call.call_id == wanted), None)

    def _request(self, request: SipText, branch: str, back: Send) -> None:
        method, call = request.first[0], self.call_of(request)
        match method:
            case "INVITE" if call is None and not tag_of(request.get("to")):
                self.spawn(self._ring(request, branch, back))
            case "INVITE" if call is not None:
                call.asked_again(request, branch, back)
            case "CANCEL":
                self.reply(request, branch, back, 200 if branch in self._invites else 481)
                if branch in self._invites:
                    self._invites[branch].cancelled()
            case "BYE" | "INFO" | "UPDATE" | "NOTIFY" if call is None:
                self.reply(request, branch, back, 481)
            case "BYE" if call is not None:
                self.reply(request, branch, back, 200)
                call.over("them", request.get("reason"))
            case "OPTIONS" | "INFO" | "UPDATE" | "NOTIFY" | "MESSAGE":
                self.reply(request, branch, back, 200)
            case _:
                self.reply(request, branch, back, 405 if method != "INVITE" else 481)

    async def _ring(self, request: SipText, branch: str, back: Send) -> None:
        self.reply(request, branch, back, 100)
        line = await Line.open(self.host)
        line.law = self.law
        call = Call(self, line, remote_uri=uri_of(request.get("from")), caller=self.user)
        call.called_by(request, branch, back)
        self.calls.append(call)
        self._invites[branch] = call
        self._incoming.put_nowait(call)
        call.ring()
        if self.answers:
            await asyncio.sleep(self.ring_s)
            if not call.is_over:
                await call.answer()

    def reply(
        self,
        request: SipText,
        branch: str,
        back: Send,
        status: int,
        *,
        tag: str = "",
        contact: bool = False,
        body: bytes = b"",
    ) -> bytes:
        """Answer a request (RFC 3261 8.2.6) and keep the answer for its retransmissions."""
        answer = SipText(("SIP/2.0", str(status), REASONS.get(status, "Whatever")))
        for via in request.all("via"):
            answer.add("Via", via)
        for route in request.all("record-route"):
            answer.add("Record-Route", route)
        to = request.get("to")
        if status > 100 and not tag_of(to):
            to += f";tag={tag or token()}"
        answer.add("From", request.get("from")).add("To", to)
        answer.add("Call-ID", request.get("call-id")).add("CSeq", request.get("cseq"))
        if contact:
            answer.add("Contact", f"<{self.contact}>")
        if body:
            answer.add("Content-Type", "application/sdp")
            answer.body = body
        data = answer.encode()
        self._replies[branch, request.first[0]] = data
        self.messages.append(("sent", answer))
        back(data)
        return data

    def spawn(self, work: Any) -> "asyncio.Task[Any]":
        """Run `work` until the phone is closed."""

        async def guarded() -> None:
            # What could not be said to the other side any more is in `messages`.
            with contextlib.suppress(PhoneError):
                await work

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.phone.received(data, addr, lambda answer: self.phone.send(answer, addr))


class Call:
    """One call of a phone, placed or received, with its audio `line`."""

    def __init__(self, phone: Phone, line: Line, *, remote_uri: str, caller: str) -> None:
        self.phone = phone
        self.line = line
        self.remote_uri = remote_uri
        self.caller = caller
        self.call_id = token("call-")
        self.local_tag = token()
        self.remote_tag = ""
        self.remote_target = remote_uri
        self.next_hop: Address = ("", 0)
        self.routes: list[str] = []
        self.outgoing = True
        self.started_at = time.monotonic()
        self.answered_at: float | None = None
        self.ended_by = ""  # "us" or "them"
        self.reason = ""  # the Reason header it was ended with
        self.failure: CallFailed | None = None
        self.statuses: list[int] = []  # provisional and final, as they came
        self.acknowledged = asyncio.Event()
        self.invitation: SipText | None = None
        self._cseq = 0
        self._sdp_version = 1
        self._branch = ""
        self._back: Send = lambda _: None
        self._up = asyncio.Event()
        self._ringing = asyncio.Event()
        self._over = asyncio.Event()
        self._cancel = False

    # What a script asks of it

    @property
    def is_over(self) -> bool:
        """Whether the call has failed or ended."""
        return self._over.is_set()

    async def answered(self, timeout_s: float = 10.0) -> None:
        """Wait until the call is up. Raises CallFailed, or TimeoutError."""
        up = asyncio.ensure_future(self._up.wait())
        over = asyncio.ensure_future(self._over.wait())
        done, _ = await asyncio.wait(
            (up, over), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        up.cancel()
        over.cancel()
        if self.failure is not None:
            raise self.failure
        if not done:
            raise TimeoutError(f"{self.remote_uri} did not answer in {timeout_s} s")

    async def rings(self, timeout_s: float = 10.0) -> None:
        """Wait until the other side says 180 or 183. Raises CallFailed, or TimeoutError."""
        await asyncio.wait_for(self._ringing.wait(), timeout_s)
        if self.failure is not None:
            raise self.failure

    async def ended(self, timeout_s: float = 30.0) -> str:
        """Wait until the call is over; returns who ended it, "us" or "them"."""
        await asyncio.wait_for(self._over.wait(), timeout_s)
        return self.ended_by

    async def hangup(self) -> None:
        """End the call: CANCEL before it is answered, BYE after; nothing when it is over."""
        if self.is_over:
            return
        if not self._up.is_set():
            if self.outgoing:
                await self._give_up()
            else:
                self.reject(480)
            return
        self.over("us", "")
        bye = self._in_dialog("BYE")
        await self.phone.ask(bye, self._hop())

    def ring(self) -> None:
        """Say 180 Ringing to a call that came in."""
        assert self.invitation is not None
        self.phone.reply(
            self.invitation, self._branch, self._back, 180, tag=self.local_tag, contact=True
        )

    async def answer(self) -> None:
        """Say 200 OK, again until it is acknowledged (RFC 3261 13.3.1.4)."""
        assert self.invitation is not None
        offer = self.invitation.body
        if offer and not self._take_media(offer):
            self.reject(488)
            return
        data = self.phone.reply(
            self.invitation,
            self._branch,
            self._back,
            200,
            tag=self.local_tag,
            contact=True,
            body=self.session(offer),
        )
        self._is_up()
        if self.phone.transport == "udp":
            self.phone.spawn(self._again_until_acknowledged(data))

    def reject(self, status: int = 486) -> None:
        """Refuse a call that came in."""
        assert self.invitation is not None
        data = self.phone.reply(
            self.invitation, self._branch, self._back, status, tag=self.local_tag
        )
        self.over("us", "")
        if self.phone.transport == "udp":
            self.phone.spawn(self._again_until_acknowledged(data))

    def send_tone(self, hz: float, *, dbfs: float = -16.0) -> None:
        """Send a tone from the next packet on, until told otherwise."""
        self.line.send_tone(hz, dbfs)

    def send_silence(self) -> None:
        """Send nothing but silence."""
        self.line.send_silence()

    async def play(self, samples: NDArray[np.int16]) -> None:
        """Send `samples` (8,000 a second) once; returns when they are sent."""
        await self.line.play(samples)

    async def press(self, keys: str, *, key_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys one after the other, as RFC 4733 events."""
        await self.line.press(keys, key_ms=key_ms, gap_ms=gap_ms)

    def heard(self, seconds: float) -> Sound:
        """Return what was heard in the last `seconds`."""
        now = time.monotonic()
        return self.line.heard(now - seconds, now)

    async def listen(self, seconds: float) -> Sound:
        """Listen for `seconds` from now and return what was heard."""
        begun = time.monotonic()
        await asyncio.sleep(seconds)
        return self.line.heard(begun, time.monotonic())

    async def hears_speech(self, timeout_s: float = 10.0, *, since: float | None = None) -> float:
        """Wait for sound that is no silence; returns when its first packet came. Raises NotHeard.

        `since` is the monotonic second from which it counts; now, where it is not given.
        """
        begun = time.monotonic() if since is None else since

        def loud() -> float | None:
            packets = [p for p in self.line.packets if p.at >= begun and p.payload_type in (0, 8)]
            return _first_loud(packets, self.line)

        return await self._until(loud, timeout_s, "speech")

    async def hears_tone(
        self, hz: float, timeout_s: float = 10.0, *, dbfs: float = -40.0, window_s: float = 0.3
    ) -> float:
        """Wait for a tone; returns its level in dBFS. Raises NotHeard."""

        def there() -> float | None:
            sound = self.heard(window_s)
            level = sound.level_dbfs(hz)
            return level if len(sound.samples) > window_s * 6_000 and level > dbfs else None

        return await self._until(there, timeout_s, f"a tone of {hz:g} Hz")

    async def hears_silence(
        self,
        seconds: float = 1.0,
        timeout_s: float = 20.0,
        *,
        dbfs: float = tones.SPEECH_DBFS,
    ) -> None:
        """Wait until nothing above `dbfs` has been heard for `seconds`. Raises NotHeard."""
        begun = time.monotonic()

        def quiet() -> float | None:
            long_enough = time.monotonic() - begun >= seconds
            still = tones.busy_frames(self.heard(seconds).samples, dbfs=dbfs) == 0
            return 0.0 if long_enough and still else None

        await self._until(quiet, timeout_s, f"silence of {seconds:g} s")

    async def _until(self, look: Callable[[], float | None], timeout_s: float, what: str) -> float:
        deadline = time.monotonic() + timeout_s
        while True:
            found = look()
            if found is not None:
                return found
            if self.is_over or time.monotonic() > deadline:
                how = "before the call ended" if self.is_over else f"in {timeout_s:g} s"
                raise NotHeard(f"{self.phone.name} did not hear {what} {how}")
            await asyncio.sleep(PACKET_S)

    # Placing it

    async def place(self) -> None:
        """Send the INVITE, answer a challenge, acknowledge: RFC 3261 13.2."""
        authorization: tuple[str, str] | None = None
        for _ in range(TRIES_FOR_DIGEST):
            self._cseq += 1
            self._branch = token("z9hG4bK")
            invite = self._invite(authorization)
            try:
                answer = await self.phone.ask(
                    invite, self.next_hop, heard=self._progress, branch=self._branch
                )
            except CallFailed as failure:
                self._failed(failure)
                return
            self.statuses.append(answer.status)
            self._acknowledge(invite, answer)
            authorization = self.phone.authorization(answer, invite)
            if authorization is None:
                break
        if answer.status >= 300:
            self._failed(CallFailed(answer.status, answer.first[2]))
        elif not self._take_media(answer.body):
            self._is_up()
            await self.hangup()
            self.failure = CallFailed(488, "the answer has no usable audio")
        else:
            self._is_up()
            if self._cancel:  # crossed with the answer: RFC 3261 9.1
                await self.hangup()

    def _invite(self, authorization: tuple[str, str] | None) -> SipText:
        invite = SipText(("INVITE", self.remote_uri, "SIP/2.0"))
        identity = f"<sip:{self.caller}@{self.phone.domain}>"
        invite.add("From", f"{identity};tag={self.local_tag}").add("To", f"<{self.remote_uri}>")
        invite.add("Call-ID", self.call_id).add("CSeq", f"{self._cseq} INVITE")
        invite.add("Contact", f"<{self.phone.contact}>")
        invite.add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY")
        if authorization:
            invite.add(*authorization)
        invite.add("Content-Type", "application/sdp")
        invite.body = self.session(b"")
        return invite

    def _progress(self, answer: SipText) -> None:
        self.statuses.append(answer.status)
        if answer.status > 100:
            self._ringing.set()
            if answer.body:
                self._take_media(answer.body)
        if self._cancel:
            self.phone.spawn(self._send_cancel())

    def _acknowledge(self, invite: SipText, answer: SipText) -> None:
        if answer.status < 300:
            self.remote_tag = tag_of(answer.get("to"))
            self.remote_target = uri_of(answer.get("contact")) or self.remote_uri
            self.routes = answer.all("record-route")[::-1]
            ack, hop = self._in_dialog("ACK", self._cseq), self._hop()
            self.phone.put_via(ack, token("z9hG4bK"))
        else:  # RFC 3261 17.1.1.3: the same branch, to the same place
            ack, hop = SipText(("ACK", self.remote_uri, "SIP/2.0")), self.next_hop
            ack.add("From", invite.get("from")).add("To", answer.get("to"))
            ack.add("Call-ID", self.call_id).add("CSeq", f"{self._cseq} ACK")
            self.phone.put_via(ack, self._branch)
        data = ack.encode()
        self.phone.messages.append(("sent", ack))
        self.phone.remember_ack(self._branch, lambda: self.phone.send(data, hop))

    async def _give_up(self) -> None:
        self._cancel = True
        if any(100 <= status < 200 for status in self.statuses):
            await self._send_cancel()
        await asyncio.wait_for(self._over.wait(), GIVE_UP_S)

    async def _send_cancel(self) -> None:
        cancel = SipText(("CANCEL", self.remote_uri, "SIP/2.0"))
        identity = f"<sip:{self.caller}@{self.phone.domain}>"
        cancel.add("From", f"{identity};tag={self.local_tag}").add("To", f"<{self.remote_uri}>")
        cancel.add("Call-ID", self.call_id).add("CSeq", f"{self._cseq} CANCEL")
        await self.phone.ask(cancel, self.next_hop, branch=self._branch)

    # Being called

    def called_by(self, invite: SipText, branch: str, back: Send) -> None:
        """Take over what an INVITE says of the other side."""
        self.outgoing, self.invitation = False, invite
        self._branch, self._back = branch, back
        self.call_id = invite.get("call-id")
        self.remote_tag = tag_of(invite.get("from"))
        self.remote_target = uri_of(invite.get("contact"))
        self.routes = invite.all("record-route")
        self.next_hop = address_of(self.remote_target)

    def asked_again(self, invite: SipText, branch: str, back: Send) -> None:
        """Agree to a re-INVITE (RFC 3261 14.2)."""
        self._take_media(invite.body)
        self._sdp_version += 1
        body = self.session(invite.body)
        self.acknowledged.clear()
        data = self.phone.reply(invite, branch, back, 200, contact=True, body=body)
        if self.phone.transport == "udp":
            self._back = back
            self.phone.spawn(self._again_until_acknowledged(data))

    def acknowledge_seen(self, ack: SipText) -> None:
        """The ACK has come; it carries the answer where the INVITE had no offer."""
        if ack.body:
            self._take_media(ack.body)
        self.acknowledged.set()

    def cancelled(self) -> None:
        """The caller gave up while it rang (RFC 3261 9.2)."""
        if not self._up.is_set() and not self.is_over:
            self.reject(487)
            self.ended_by = "them"

    async def _again_until_acknowledged(self, data: bytes) -> None:
        interval, waited = T1_S, 0.0
        while waited < GIVE_UP_S:
            try:
                await asyncio.wait_for(self.acknowledged.wait(), interval)
                return
            except TimeoutError:
                self._back(data)
                waited += interval
                interval = min(2 * interval, T2_S)
        self.over("us", "never acknowledged")

    # The dialog

    def _in_dialog(self, method: str, cseq: int = 0) -> SipText:
        if not cseq:
            self._cseq += 1
        request = SipText((method, self.remote_target, "SIP/2.0"))
        for route in self.routes:
            request.add("Route", route)
        mine, theirs = f"<sip:{self.caller}@{self.phone.domain}>", f"<{self.remote_uri}>"
        if self.invitation is not None:
            mine, theirs = self.invitation.get("to"), self.invitation.get("from").split(";tag")[0]
        request.add("From", f"{mine};tag={self.local_tag}")
        request.add("To", f"{theirs};tag={self.remote_tag}")
        request.add("Call-ID", self.call_id)
        return request.add("CSeq", f"{cseq or self._cseq} {method}")

    def _hop(self) -> Address:
        return address_of(uri_of(self.routes[0]) if self.routes else self.remote_target)

    def session(self, offer: bytes) -> bytes:
        """Return the session description: an offer, or the answer to `offer` (RFC 3264)."""
        line = self.line
        number = 0 if line.law == "PCMU" else 8
        kinds = f"{number} {line.event_type}" if not offer else str(number)
        lines = [
            "v=0",
            f"o=kit 1 {self._sdp_version} IN IP4 {line.host}",
            "s=-",
            f"c=IN IP4 {line.host}",
            "t=0 0",
        ]
        events = not offer or b"telephone-event/8000" in offer
        if offer and events:
            kinds += f" {line.event_type}"
        lines.append(f"m=audio {line.port} RTP/AVP {kinds}")
        lines.append(f"a=rtpmap:{number} {line.law}/8000")
        if events:
            lines.append(f"a=rtpmap:{line.event_type} telephone-event/8000")
            lines.append(f"a=fmtp:{line.event_type} 0-15")
        lines += ["a=ptime:20", "a=sendrecv"]
        return ("\r\n".join(lines) + "\r\n").encode()

    def _take_media(self, body: bytes) -> bool:
        """Read the other side's session description; returns whether audio can flow."""
        host, port, kinds = "", 0, []
        for text in body.decode("utf-8", "replace").splitlines():
            words = text.split()
            if text.startswith("c="):
                host = words[2].split("/")[0]
            elif text.startswith("m=audio"):
                port, kinds = int(words[1].split("/")[0]), words[3:]
            elif text.startswith("a=rtpmap:") and "telephone-event/8000" in text:
                self.line.event_type = int(words[0].split(":")[1])
        mine = "0" if self.line.law == "PCMU" else "8"
        if mine not in kinds:
            other = {"0": "PCMU", "8": "PCMA"}
            known = [kind for kind in kinds if kind in other]
            if not known:
                return False
            self.line.law = other[known[0]]
        if not port:
            return False
        self.line.start((host, port))
        return True

    def _is_up(self) -> None:
        self.answered_at = time.monotonic()
        self._up.set()

    def _failed(self, failure: CallFailed) -> None:
        self.failure = failure
        self._ringing.set()
        self.over("us" if self._cancel else "them", failure.reason)

    def over(self, by: str, reason: str) -> None:
        """The call has ended; its audio stops, what was heard stays."""
        if self._over.is_set():
            return
        self.ended_by, self.reason = by, reason
        self._over.set()
        self.phone.spawn(self.line.close())


def _first_loud(packets: list[Any], line: Line) -> float | None:
    """Return when the first of a run of packets that are not silent came."""
    run: list[float] = []
    for packet in packets:
        sound = line.samples_of(packet)
        if tones.loudness_dbfs(sound) > tones.SPEECH_DBFS:
            run.append(packet.at)
            if len(run) >= SPEECH_FRAMES:
                return run[0]
        elif len(run) < SPEECH_FRAMES:
            run = []
    return None


async def measure_delay(speaker: Call, listener: Call, hz: float, *, dbfs: float = -16.0) -> float:
    """Return the seconds from a sample's sending by one call to its hearing by the other.

    The speaker falls silent, then sends the tone `hz` anew, and goes on sending it.
    Raises NotHeard.
    """
    speaker.send_silence()
    await asyncio.sleep(0.4)
    begun = time.monotonic()
    speaker.send_tone(hz, dbfs=dbfs)
    await listener.hears_tone(hz, 5.0, window_s=0.1)
    await asyncio.sleep(0.1)
    sent_at = speaker.line.tone_started_at
    heard_at = listener.line.heard(begun - 0.1, time.monotonic()).onset_at(hz)
    if sent_at is None or heard_at is None:
        raise NotHeard(f"{listener.phone.name} did not hear {hz:g} Hz begin")
    return heard_at - sent_at
