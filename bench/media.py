"""What the media process costs a leg, beside the least possible and beside Janus AudioBridge.

``python -m bench.media`` (``make bench-media``) runs in turn, in each round: a C program that
only receives and sends (the floor of one socket a leg), the media process with its legs in
rooms of five, the same with all legs in one room, and Janus with as many legs as it carries.
All get the same load: a C program with one socket a leg, 50 packets of G.711 a second each.
Processor time is that of the server's process, by leg, and of each kind the middle round counts.
Then the delay that the process adds is taken from pulses sent through an idle one.

It prints a table and writes bench/out/media.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import heapq
import json
import os
import resource
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.figures import Figure, at_least, at_most, report
from media.client import MediaClient, MediaSettings
from media.messages import Event, LegClosed, LegStatistics

HERE = Path(__file__).parent
PEERS = HERE / "media_peers"
BUILD = HERE / "build"

ROOM_LEGS = 5
LEGS_MAX = 1000
FLOOR_PORT = 10000
MEDIA_PORTS = range(12000, 14200)
LOAD_PORT = 14300
JANUS_URL = "http://127.0.0.1:18088/janus"
JANUS_PLUGINS = "/usr/lib/{machine}-linux-gnu/janus/plugins"
SETTLE_S = 1.0

PULSE_LEGS = 20
PULSE_EVERY = 12  # packets; a prime's distance from nothing, but long beyond the greatest delay
PULSE_OCTET = 0x80  # the loudest of the mu-law
SILENT_OCTET = 0xFF


@dataclass
class Load:
    """What the load program saw."""

    sent: int
    received: int
    missing: int
    late_ms: float


@dataclass
class Round:
    """One server under load."""

    cpu_percent: float
    """Of one core, by leg."""
    load: Load


@dataclass
class Measured:
    """All rounds."""

    rounds: dict[str, list[Round]] = field(default_factory=dict)
    lost: int = 0
    """Packets the media process, or the way to it, lost."""
    packets: int = 0
    late_ticks: int = 0
    delays_ms: list[float] = field(default_factory=list)

    def add(self, name: str, result: Round) -> None:
        """Note a round and say so."""
        self.rounds.setdefault(name, []).append(result)
        print(
            f"  {name:<24} {result.cpu_percent:.4f} % a leg; load sent {result.load.sent},"
            f" got {result.load.received}, missing {result.load.missing},"
            f" late {result.load.late_ms} ms",
            flush=True,
        )

    def middle(self, name: str) -> float:
        """Return the middle round's processor time by leg, in percent of a core."""
        return statistics.median(result.cpu_percent for result in self.rounds[name])


def build() -> None:
    """Compile the C programs."""
    BUILD.mkdir(exist_ok=True)
    for name in ("floor", "load"):
        source, binary = PEERS / f"{name}.c", BUILD / name
        subprocess.run(
            ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], check=True
        )


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def under_load(pid: int, ports: Sequence[int], seconds: float) -> Round:
    """Send load to ports; return what the server's process used for it, and what came back."""
    load = await asyncio.create_subprocess_exec(
        BUILD / "load",
        *(str(len(ports)), str(LOAD_PORT), str(seconds + 2 * SETTLE_S)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert load.stdin is not None
    load.stdin.write("".join(f"{port}\n" for port in ports).encode())
    load.stdin.close()
    await asyncio.sleep(SETTLE_S)
    before, began = cpu_s(pid), time.monotonic()
    await asyncio.sleep(seconds)
    used, took = cpu_s(pid) - before, time.monotonic() - began
    assert load.stdout is not None
    answer = await load.stdout.read()
    if await load.wait():
        raise SystemExit("the load program failed")
    return Round(100 * used / took / len(ports), Load(**json.loads(answer)))


# The floor


async def measure_floor(legs: int, seconds: float) -> Round:
    """Return what the C program that only receives and sends takes."""
    floor = await asyncio.create_subprocess_exec(
        BUILD / "floor",
        *(str(legs), str(FLOOR_PORT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert floor.stdin is not None
    assert floor.stdout is not None
    if await floor.stdout.readline() != b"ready\n":
        raise SystemExit("the floor program failed")
    ports = [FLOOR_PORT + 2 * leg for leg in range(legs)]
    result = await under_load(floor.pid, ports, seconds)
    floor.stdin.close()
    await floor.wait()
    return result


# The media process


class Media:
    """A media process with legs, through the client the service uses."""

    def __init__(self) -> None:
        self._closed: dict[str, LegStatistics] = {}
        self._one_closed = asyncio.Event()
        self.client = MediaClient(MediaSettings(ports=MEDIA_PORTS), self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, LegClosed):
            self._closed[event.leg_id] = event.statistics
            self._one_closed.set()

    async def open(self, legs: int, to_port: int) -> list[int]:
        """Open legs that send to to_port and on; return their ports."""
        ports = []
        for leg in range(legs):
            ports.append(await self.client.open_leg(str(leg)))
            self.client.connect(
                str(leg),
                "127.0.0.1",
                to_port + leg,
                payload_type=0,
                codec="PCMU",
                event_payload_type=101,
            )
        return ports

    def seat(self, legs: int, room_legs: int) -> None:
        """Put the legs into rooms of a size."""
        for leg in range(legs):
            self.client.join(str(leg), f"{room_legs}-{leg // room_legs}")

    async def close_legs(self, legs: int) -> list[LegStatistics]:
        """Close the legs; return what each has to say."""
        self._closed.clear()
        for leg in range(legs):
            self.client.close_leg(str(leg))
        while len(self._closed) < legs:
            self._one_closed.clear()
            await self._one_closed.wait()
        return list(self._closed.values())


@contextlib.asynccontextmanager
async def media_process() -> AsyncIterator[Media]:
    """Run a media process."""
    media = Media()
    await media.client.start()
    try:
        yield media
    finally:
        await media.client.close()


async def measure_media(legs: int, seconds: float, measured: Measured) -> None:
    """Add what the media process takes in rooms of five, and in one room."""
    async with media_process() as media:
        assert media.client.pid is not None
        for name, room_legs in (("media, rooms of five", ROOM_LEGS), ("media, one room", legs)):
            ports = await media.open(legs, LOAD_PORT)
            media.seat(legs, room_legs)
            result = await under_load(media.client.pid, ports, seconds)
            measured.add(name, result)
            for leg in await media.close_legs(legs):
                measured.lost += leg.lost + leg.late + leg.send_errors
            measured.lost += result.load.missing
            measured.packets += result.load.sent + result.load.received
        measured.late_ticks += (await media.client.statistics()).late_ticks


# Janus


class Janus:
    """Janus' HTTP interface, as far as joining rooms over plain RTP needs it."""

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=10)
        self._session = ""
        self._handles = 0

    def _post(self, path: str, **message: Any) -> dict[str, Any]:
        answer = self._http.post(JANUS_URL + path, json={"transaction": "bench", **message})
        value: dict[str, Any] = answer.json()
        if value["janus"] == "error":
            raise SystemExit(f"Janus refused {message}: {value}")
        return value

    def connect(self) -> None:
        """Make a session, once Janus answers."""
        until = time.monotonic() + 10
        while True:
            try:
                session = self._post("", janus="create")
                break
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise SystemExit("Janus did not start") from None
                time.sleep(0.05)
        self._session = f"/{session['data']['id']}"

    def _attach(self) -> str:
        handle = self._post(self._session, janus="attach", plugin="janus.plugin.audiobridge")
        return f"{self._session}/{handle['data']['id']}"

    def seat(self, legs: int, room_legs: int, to_port: int) -> list[int]:
        """Put legs into rooms; return the ports to send to."""
        owner = self._attach()
        for room in range((legs + room_legs - 1) // room_legs):
            request = {
                "request": "create",
                "room": 1000 + room,
                "sampling_rate": 8000,
                "audiolevel_event": False,
                "allow_rtp_participants": True,
                "default_prebuffering": 3,
            }
            self._post(owner, janus="message", body=request)
        return [self._join(1000 + leg // room_legs, to_port + leg) for leg in range(legs)]

    def _join(self, room: int, port: int) -> int:
        rtp = {"ip": "127.0.0.1", "port": port, "payload_type": 0}
        body = {"request": "join", "room": room, "codec": "pcmu", "rtp": rtp}
        self._post(self._attach(), janus="message", body=body)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            events = self._http.get(f"{JANUS_URL}{self._session}?maxev=10").json()
            for event in events if isinstance(events, list) else [events]:
                data = event.get("plugindata", {}).get("data", {})
                if "rtp" in data:
                    return int(data["rtp"]["port"])
                if "error" in data:
                    raise SystemExit(f"Janus refused a leg: {data}")
        raise SystemExit("Janus did not let a leg in")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


@contextlib.contextmanager
def janus_process() -> Iterator[int]:
    """Run Janus with the configuration beside this file; yield its process id."""
    plugins = JANUS_PLUGINS.format(machine=os.uname().machine)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PEERS / "janus", folder, dirs_exist_ok=True)
        process = subprocess.Popen(
            ["janus", "--configs-folder", folder, "--plugins-folder", plugins],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process.pid
        finally:
            process.kill()
            process.wait()


async def measure_janus(legs: int, seconds: float) -> Round:
    """Return what Janus takes in rooms of five."""
    with janus_process() as pid:
        janus = Janus()
        janus.connect()
        ports = janus.seat(legs, ROOM_LEGS, LOAD_PORT)
        result = await under_load(pid, ports, seconds)
        janus.close()
        return result


# Delay


def _rtp(sequence: int, leg: int, octet: int) -> bytes:
    head = bytes((0x80, 0)) + (sequence & 0xFFFF).to_bytes(2, "big")
    return (
        head + (sequence * 160).to_bytes(4, "big") + leg.to_bytes(4, "big") + bytes([octet]) * 160
    )


def send_pulses(sockets: list[socket.socket], seconds: float) -> list[float]:
    """Let pairs of legs send, one of each a pulse now and then; return the delays in ms.

    The legs begin spread over the 20 ms. A pulse's delay runs from the sending of its packet
    to the arrival of the first packet at the other leg that holds it.
    """
    selector = selectors.DefaultSelector()
    for leg, own in enumerate(sockets):
        selector.register(own, selectors.EVENT_READ, leg)
    began = time.perf_counter() + 0.05
    due = [(began + 0.02 * leg / len(sockets), 0, leg) for leg in range(len(sockets))]
    heapq.heapify(due)
    pulses: dict[int, float] = {}
    delays = []
    while due[0][0] < began + seconds:
        for key, _ in selector.select(max(0.0, due[0][0] - time.perf_counter())):
            now = time.perf_counter()
            packet = sockets[key.data].recv(2048)
            loud = min(octet & 0x7F for octet in packet[12:]) < 0x20
            if loud and key.data in pulses:
                delays.append(1000 * (now - pulses.pop(key.data)))
        while due[0][0] <= time.perf_counter():
            at, count, leg = heapq.heappop(due)
            # Even legs send pulses, odd ones listen; the first second lets the streams settle.
            pulse = leg % 2 == 0 and count > 50 and count % PULSE_EVERY == 0
            if pulse:
                pulses[leg + 1] = time.perf_counter()
            sockets[leg].send(_rtp(count, leg, PULSE_OCTET if pulse else SILENT_OCTET))
            heapq.heappush(due, (at + 0.02, count + 1, leg))
    selector.close()
    return delays


async def measure_delay(seconds: float) -> list[float]:
    """Return the delays pulses had through a media process that does little else."""
    async with media_process() as media:
        ports = await media.open(PULSE_LEGS, LOAD_PORT)
        media.seat(PULSE_LEGS, 2)
        sockets = []
        for leg, port in enumerate(ports):
            own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            own.bind(("127.0.0.1", LOAD_PORT + leg))
            own.connect(("127.0.0.1", port))
            sockets.append(own)
        try:
            return await asyncio.to_thread(send_pulses, sockets, seconds)
        finally:
            for own in sockets:
                own.close()


# The table


def figures(measured: Measured, *, with_janus: bool) -> list[Figure]:
    """Return what is held against the goals."""
    floor, media = measured.middle("floor"), measured.middle("media, rooms of five")
    one_room = measured.middle("media, one room")
    delays = sorted(measured.delays_ms)
    median = statistics.median(delays)
    p99 = delays[int(len(delays) * 0.99)]
    share = "% of a core a leg"
    rows = [
        Figure("floor, one socket a leg", floor, share),
        Figure("media process, rooms of five", media, share),
        Figure("media process, one room", one_room, share),
        at_most("rooms of five / floor", media / floor, "times", 1.3),
        at_most("one room / rooms of five", one_room / media, "times", 1.2),
    ]
    if with_janus:
        janus = measured.middle("Janus AudioBridge")
        rows += [
            Figure("Janus AudioBridge, rooms of five", janus, share),
            at_least("Janus / rooms of five", janus / media, "times", 6),
        ]
    return [
        *rows,
        at_most("packet loss added", 100 * measured.lost / measured.packets, "%", 0),
        Figure("ticks left out or late", measured.late_ticks, "ticks"),
        at_most("delay added, median", median, "ms", 60),
        at_most("delay added, p99", p99, "ms", 80),
    ]


async def run(options: argparse.Namespace) -> list[Figure]:
    """Measure everything; return the figures."""
    measured = Measured()
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", flush=True)
        measured.add("floor", await measure_floor(options.legs, options.seconds))
        await measure_media(options.legs, options.seconds, measured)
        if options.janus_legs:
            janus = await measure_janus(options.janus_legs, options.seconds)
            measured.add("Janus AudioBridge", janus)
    measured.delays_ms = await measure_delay(options.delay_seconds)
    return figures(measured, with_janus=bool(options.janus_legs))


def main() -> None:
    """Run the bench; exits 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="bench.media", description=__doc__)
    parser.add_argument("--legs", type=int, default=1000, help="of the media process and the floor")
    parser.add_argument("--janus-legs", type=int, default=200, help="0 leaves Janus out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="each server is measured for")
    parser.add_argument("--delay-seconds", type=float, default=10.0)
    options = parser.parse_args()
    if not 1 <= options.legs <= LEGS_MAX or not 0 <= options.janus_legs <= LEGS_MAX:
        parser.error(f"1 to {LEGS_MAX} legs can be had")
    missing = [name for name in ("cc", "janus") if shutil.which(name) is None]
    if "janus" in missing and options.janus_legs:
        print("janus is not installed (apt-get install janus): it is left out", file=sys.stderr)
        options.janus_legs = 0
    if "cc" in missing:
        raise SystemExit("no C compiler (apt-get install gcc libc6-dev)")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    build()
    rows = asyncio.run(run(options))
    sys.exit(report("media", rows))


if __name__ == "__main__":
    main()
