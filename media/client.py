"""The service's side of the media process: starts it, speaks to it, and starts it again.

Every call but ``open_leg`` and ``statistics`` only writes a message; what it causes comes as an
event. The process is a child of this one, and only that child is ever signalled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from media.dtmf import DIGITS
from media.errors import (
    BadRequest,
    BrokenMessage,
    LegExists,
    MediaUnavailable,
    PortsExhausted,
    UnknownLeg,
)
from media.g711 import LAWS, Codec
from media.limits import (
    COMMANDS_WAITING_BYTES_MAX,
    DIGITS_QUEUED_MAX,
    END_S_MAX,
    LEG_ID_CHARS_MAX,
    LEGS_MAX,
    OPEN_WAIT_S_MAX,
    PLAY_FILES_MAX,
    RESTART_S_MAX,
    SILENCE_S_MAX,
    START_S_MAX,
)
from media.messages import (
    Answer,
    Ask,
    Close,
    Command,
    Connect,
    DigitReceived,
    Event,
    FrameReader,
    Join,
    Leave,
    LegClosed,
    LegInactive,
    Mute,
    Open,
    Play,
    PlayEnded,
    PortsReady,
    ProcessDied,
    ProcessStatistics,
    Pulse,
    RecordingEnded,
    SendDigits,
    StartRecording,
    StatisticsAnswer,
    Stop,
    StopRecording,
    decode_answers,
    frame,
)

_READ_BYTES: Final = 256 * 1024
_RESTART_S_FIRST: Final = 0.1
_STEADY_S: Final = 30.0
_ROOT: Final = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True)
class MediaSettings:
    """Where media is received, and when a leg counts as gone."""

    host: str = "127.0.0.1"
    """IPv4 address the ports are bound on."""
    ports: range = range(20000, 30000)
    """UDP ports; a leg takes an even one and the next."""
    inactivity_s: float = 60.0
    """Time without a packet after which LegInactive is told."""


@dataclass
class _Life:
    """One run of the media process."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard_at: float
    ports: deque[int] = field(default_factory=deque)
    ports_left: int = 0
    ready: bool = False


class MediaClient:
    """One media process and the legs in it.

    ``on_event`` is called in the event loop, for each event in the order they happened. When the
    process dies, it is called with ProcessDied and the legs are forgotten; another process is
    started at once, and more slowly when it keeps dying.
    """

    def __init__(self, settings: MediaSettings, on_event: Callable[[Event], None]) -> None:
        self._settings = settings
        self._on_event = on_event
        self._life: _Life | None = None
        self._legs: dict[str, int] = {}
        self._closing: set[str] = set()
        self._supervisor: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._requests: dict[int, asyncio.Future[ProcessStatistics]] = {}
        self._request = 0
        self._stopping = False
        self.restarts = 0
        """How often the process was started again."""

    @property
    def pid(self) -> int | None:
        """The media process' id; None while there is none."""
        return self._life.process.pid if self._life is not None else None

    async def start(self) -> None:
        """Start the process and wait until it is ready; raises MediaUnavailable."""
        assert self._supervisor is None, "started already"
        life = await self._spawn()
        try:
            async with asyncio.timeout(START_S_MAX):
                await self._read_until_ready(life)
        except (TimeoutError, MediaUnavailable, BrokenMessage) as error:
            await self._end(life)
            self._life = None
            raise MediaUnavailable(f"the media process did not start: {error}") from error
        self._supervisor = asyncio.create_task(self._supervise(life), name="media supervisor")

    async def close(self) -> None:
        """End the process: its control socket is closed, then SIGTERM, then SIGKILL."""
        self._stopping = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        if self._life is not None:
            await self._end(self._life)
        self._forget()

    # Legs

    async def open_leg(self, leg_id: str) -> int:
        """Open a leg and return its local RTP port (RTCP is the next).

        Waits for nothing unless very many are opened at once. Raises PortsExhausted, LegExists,
        BadRequest, and MediaUnavailable while the process is being started again.
        """
        if leg_id in self._legs or leg_id in self._closing:
            raise LegExists(f"leg {leg_id!r} is open already")
        _check_name(leg_id)
        if len(self._legs) >= LEGS_MAX:
            raise PortsExhausted(f"{len(self._legs)} legs are open; LEGS_MAX is {LEGS_MAX}")
        until = asyncio.get_running_loop().time() + OPEN_WAIT_S_MAX
        while True:
            life = self._life
            if life is not None and life.ports:
                break
            if life is not None and life.ready and not life.ports_left:
                raise PortsExhausted(self._exhausted())
            left = until - asyncio.get_running_loop().time()
            if left <= 0 or self._stopping:
                if life is not None and life.ready:
                    raise PortsExhausted(self._exhausted())
                raise MediaUnavailable("the media process is being started again")
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()
        if leg_id in self._legs:
            raise LegExists(f"leg {leg_id!r} is open already")
        port = life.ports.popleft()
        self._legs[leg_id] = port
        self._send(Open(leg_id, port))
        return port

    def _exhausted(self) -> str:
        ports = self._settings.ports
        return (
            f"all RTP ports of {ports.start} to {ports.stop - 1} are in use by"
            f" {len(self._legs)} legs (or other programs); widen the range"
        )

    def connect(
        self,
        leg_id: str,
        ip: str,
        port: int,
        *,
        payload_type: int,
        codec: Codec,
        event_payload_type: int | None,
        sending: bool = True,
        latch: bool = True,
    ) -> None:
        """Say where a leg's media goes and in what form; again when it was negotiated anew.

        ``latch`` lets the source of the first packet replace the address (symmetric RTP, RFC
        4961); without it only ``ip`` is listened to. Port 0 or address 0.0.0.0 sends nothing
        until a packet has come. Raises UnknownLeg, BadRequest.
        """
        self._known(leg_id)
        if codec not in LAWS:
            raise BadRequest(f"codec {codec!r} is not one of {', '.join(LAWS)}")
        types = [payload_type] if event_payload_type is None else [payload_type, event_payload_type]
        if not all(0 <= number <= 127 for number in types) or len(set(types)) != len(types):
            raise BadRequest(f"payload types {types} must be two of 0 to 127")
        if not 0 <= port <= 65535:
            raise BadRequest(f"port {port} is not one of 0 to 65535")
        try:
            socket.inet_pton(socket.AF_INET, ip)
        except OSError:
            raise BadRequest(f"{ip!r} is not an IPv4 address") from None
        self._send(
            Connect(leg_id, ip, port, payload_type, codec, event_payload_type, sending, latch)
        )

    def play(self, leg_id: str, files: Sequence[Path], *, play_id: int, loop: bool = False) -> None:
        """Play files without a gap, instead of what is playing; PlayEnded follows for each call.

        Raises UnknownLeg, and BadRequest for more than PLAY_FILES_MAX files.
        """
        self._known(leg_id)
        if len(files) > PLAY_FILES_MAX:
            raise BadRequest(
                f"{len(files)} files to play; at most {PLAY_FILES_MAX} (PLAY_FILES_MAX)"
            )
        self._send(Play(leg_id, [os.fspath(path) for path in files], play_id, loop))

    def stop(self, leg_id: str) -> None:
        """End what is playing, if anything is; raises UnknownLeg."""
        self._known(leg_id)
        self._send(Stop(leg_id))

    def record(
        self, leg_id: str, file: Path, *, max_s: float, timeout_s: float, final_silence_s: float
    ) -> None:
        """Record what a leg's party says to a file; RecordingEnded follows.

        It ends after ``max_s`` (at most RECORDING_S_MAX), after ``timeout_s`` without speech,
        after ``final_silence_s`` of silence, at ``stop_recording`` or with the leg. Raises
        UnknownLeg.
        """
        self._known(leg_id)
        self._send(StartRecording(leg_id, os.fspath(file), max_s, timeout_s, final_silence_s))

    def stop_recording(self, leg_id: str) -> None:
        """End a recording, if there is one; raises UnknownLeg."""
        self._known(leg_id)
        self._send(StopRecording(leg_id))

    def send_digits(self, leg_id: str, digits: str) -> None:
        """Send digits (0-9 * # A-D) as telephone events; raises UnknownLeg, BadRequest."""
        self._known(leg_id)
        bad = [digit for digit in digits if digit not in DIGITS]
        if bad:
            raise BadRequest(f"{bad[0]!r} is not a digit; use {DIGITS}")
        if len(digits) > DIGITS_QUEUED_MAX:
            raise BadRequest(
                f"{len(digits)} digits; at most {DIGITS_QUEUED_MAX} (DIGITS_QUEUED_MAX)"
            )
        self._send(SendDigits(leg_id, digits))

    def join(self, leg_id: str, room_id: str, *, muted: bool = False) -> None:
        """Put a leg into a room, out of the one it is in; raises UnknownLeg, BadRequest."""
        self._known(leg_id)
        _check_name(room_id)
        self._send(Join(leg_id, room_id, muted))

    def leave(self, leg_id: str) -> None:
        """Take a leg out of its room, if it is in one; raises UnknownLeg."""
        self._known(leg_id)
        self._send(Leave(leg_id))

    def mute(self, leg_id: str, muted: bool) -> None:
        """Let the room hear a leg or not; raises UnknownLeg."""
        self._known(leg_id)
        self._send(Mute(leg_id, muted))

    def close_leg(self, leg_id: str) -> None:
        """End a leg; LegClosed follows. Does nothing for a leg that is not there."""
        if self._legs.pop(leg_id, None) is not None:
            self._closing.add(leg_id)
            self._send(Close(leg_id))

    async def statistics(self) -> ProcessStatistics:
        """Return the process' statistics; raises MediaUnavailable."""
        if self._life is None or not self._life.ready:
            raise MediaUnavailable("the media process is being started again")
        self._request += 1
        request = self._request
        answer: asyncio.Future[ProcessStatistics] = asyncio.get_running_loop().create_future()
        self._requests[request] = answer
        self._send(Ask(request))
        try:
            async with asyncio.timeout(SILENCE_S_MAX):
                return await answer
        except TimeoutError:
            raise MediaUnavailable("the media process does not answer") from None
        finally:
            self._requests.pop(request, None)

    def _known(self, leg_id: str) -> None:
        if leg_id not in self._legs:
            raise UnknownLeg(f"no leg {leg_id!r} is open")

    def _send(self, command: Command) -> None:
        life = self._life
        if life is None:
            return
        life.writer.write(frame([command]))
        transport = life.writer.transport
        if transport.get_write_buffer_size() > COMMANDS_WAITING_BYTES_MAX:
            transport.abort()  # it does not read: the supervisor takes it from here

    # The process' life

    async def _spawn(self) -> _Life:
        settings = self._settings
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        path = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH")]))
        with its:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "media.process", "--control-fd", str(its.fileno())),
                *("--host", settings.host),
                *("--ports", f"{settings.ports.start}-{settings.ports.stop - 1}"),
                *("--inactivity-s", str(settings.inactivity_s)),
                pass_fds=[its.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        ours.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        now = asyncio.get_running_loop().time()
        self._life = _Life(process, reader, writer, now)
        return self._life

    async def _read_until_ready(self, life: _Life) -> None:
        frames = FrameReader()
        while not life.ready:
            await self._read_once(life, frames)

    async def _read_once(self, life: _Life, frames: FrameReader) -> None:
        """Read what there is; raises MediaUnavailable when the process has closed."""
        try:
            data = await life.reader.read(_READ_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            raise MediaUnavailable("the media process ended")
        life.heard_at = asyncio.get_running_loop().time()
        for body in frames.feed(data):
            for answer in decode_answers(body):
                self._hear(life, answer)

    def _hear(self, life: _Life, answer: Answer) -> None:
        match answer:
            case PortsReady(ports=ports, left=left):
                life.ports.extend(ports)
                life.ports_left = left
                life.ready = True
                self._news.set()
            case StatisticsAnswer(request=request, statistics=statistics):
                future = self._requests.get(request)
                if future is not None and not future.done():
                    future.set_result(statistics)
            case Pulse():
                pass
            case LegClosed(leg_id=leg_id):
                self._closing.discard(leg_id)
                life.ports_left += 1
                self._tell(answer)
            case DigitReceived() | PlayEnded() | RecordingEnded() | LegInactive():
                self._tell(answer)

    async def _supervise(self, life: _Life) -> None:
        loop = asyncio.get_running_loop()
        pause = _RESTART_S_FIRST
        while True:
            began = loop.time()
            await self._live(life)
            status = await self._end(life)
            lost = sorted([*self._legs, *self._closing])
            self._forget()
            self._tell(ProcessDied(lost, status))
            if loop.time() - began > _STEADY_S:
                pause = _RESTART_S_FIRST
            life, pause = await self._spawn_again(pause)

    async def _spawn_again(self, pause: float) -> tuple[_Life, float]:
        """Return a new process, and the pause that is due should it die as well."""
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, RESTART_S_MAX)
            try:
                life = await self._spawn()
            except OSError:  # no memory or descriptors now: the next pause is longer
                continue
            self.restarts += 1
            return life, pause

    def _tell(self, event: Event) -> None:
        """Call on_event; an error in it is the loop's to report, and ends nothing here."""
        try:
            self._on_event(event)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"on_event failed for {event!r}", "exception": error}
            )

    async def _live(self, life: _Life) -> None:
        """Return when the process has ended, or has been silent for too long."""
        frames = FrameReader()
        while True:
            patience = SILENCE_S_MAX if life.ready else START_S_MAX
            try:
                # Not wait_for: in Python 3.11 it loses a cancellation that comes with data.
                async with asyncio.timeout_at(life.heard_at + patience):
                    await self._read_once(life, frames)
            except (MediaUnavailable, BrokenMessage, TimeoutError):
                return

    async def _end(self, life: _Life) -> int:
        """Close the control socket and see the child end; return its exit status."""
        life.writer.close()
        process = life.process
        for ask in (None, process.terminate, process.kill):
            if ask is not None:
                with contextlib.suppress(ProcessLookupError):
                    ask()
            try:
                async with asyncio.timeout(END_S_MAX):
                    return await process.wait()
            except TimeoutError:
                continue
        return await process.wait()

    def _forget(self) -> None:
        self._life = None
        self._legs.clear()
        self._closing.clear()
        for request in self._requests.values():
            if not request.done():
                request.set_exception(MediaUnavailable("the media process ended"))
        self._requests.clear()


def _check_name(name: str) -> None:
    if not 0 < len(name) <= LEG_ID_CHARS_MAX:
        raise BadRequest(
            f"a name of {len(name)} characters; 1 to {LEG_ID_CHARS_MAX} (LEG_ID_CHARS_MAX)"
        )
