"""The media process as a process, through the client that the service uses.

Real time passes here: a process that is killed has to be noticed and started again.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from media.audiofile import wav_bytes
from media.client import MediaClient, MediaSettings
from media.errors import BadRequest, LegExists, MediaUnavailable, PortsExhausted, UnknownLeg
from media.limits import DIGITS_QUEUED_MAX, LEG_ID_CHARS_MAX, PLAY_FILES_MAX
from media.messages import Event, LegClosed, PlayEnded, ProcessDied
from tests.kit import g711, tones
from tests.kit.service_process import free_ports_in_a_row

PAIRS = 6


class Ear:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._heard = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._heard.set()

    async def hears(self, kind: type[Event], timeout_s: float = 10.0) -> Event:
        async with asyncio.timeout(timeout_s):
            while not (found := [one for one in self.events if isinstance(one, kind)]):
                self._heard.clear()
                await self._heard.wait()
        return found[0]


@pytest.fixture
async def running() -> AsyncIterator[tuple[MediaClient, Ear]]:
    ear, first = Ear(), free_ports_in_a_row(2 * PAIRS + 1)
    first += first % 2
    client = MediaClient(MediaSettings(ports=range(first, first + 2 * PAIRS)), ear)
    await client.start()
    yield client, ear
    await client.close()


def connect(client: MediaClient, leg: str, port: int) -> None:
    client.connect(leg, "127.0.0.1", port, payload_type=0, codec="PCMU", event_payload_type=101)


async def test_a_prompt_comes_every_20_ms(running, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client, ear = running
    file = tmp_path / "a.wav"
    file.write_bytes(wav_bytes(tones.tone(500, 0.5)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.setblocking(False)
        await client.open_leg("anne")
        connect(client, "anne", phone.getsockname()[1])
        client.play("anne", [file], play_id=3)
        end = await ear.hears(PlayEnded)
        assert end == PlayEnded("anne", 3, completed=True, played_ms=500)
        await asyncio.sleep(0.1)
        sound = b""
        while True:
            try:
                sound += phone.recv(2048)[12:]
            except BlockingIOError:
                break
    heard = g711.decode(sound, "PCMU")
    at = tones.onset(heard, 500)
    assert at is not None
    assert tones.level_dbfs(heard[at : at + 3900], 500) == pytest.approx(-16, abs=0.5)
    seen = await client.statistics()
    assert (seen.legs, seen.events_dropped) == (1, 0)
    client.close_leg("anne")
    closed = await ear.hears(LegClosed)
    assert isinstance(closed, LegClosed)
    assert closed.statistics.packets_out >= 25


async def test_a_killed_process_is_told_and_started_again(running) -> None:  # type: ignore[no-untyped-def]
    client, ear = running
    await client.open_leg("anne")
    pid = client.pid
    os.kill(pid, signal.SIGKILL)
    died = await ear.hears(ProcessDied)
    assert isinstance(died, ProcessDied)
    assert died.leg_ids == ["anne"]
    with pytest.raises(UnknownLeg):
        client.leave("anne")
    async with asyncio.timeout(30):
        while True:
            try:
                await client.open_leg("bruno")
                break
            except MediaUnavailable:
                await asyncio.sleep(0.05)
    assert client.restarts == 1
    assert client.pid != pid


async def test_all_ports_in_use_is_said(running) -> None:  # type: ignore[no-untyped-def]
    client, ear = running
    ports = [await client.open_leg(str(number)) for number in range(PAIRS)]
    assert all(port % 2 == 0 for port in ports)
    with pytest.raises(PortsExhausted, match="widen the range"):
        await client.open_leg("one too many")
    client.close_leg("0")
    await ear.hears(LegClosed)
    await client.open_leg("next")


async def test_wrong_arguments_are_refused_here(running, tmp_path) -> None:  # type: ignore[no-untyped-def]
    client, _ = running
    await client.open_leg("anne")
    with pytest.raises(LegExists):
        await client.open_leg("anne")
    with pytest.raises(BadRequest):
        await client.open_leg("x" * (LEG_ID_CHARS_MAX + 1))
    with pytest.raises(BadRequest, match="IPv4"):
        client.connect("anne", "host", 1, payload_type=0, codec="PCMU", event_payload_type=None)
    with pytest.raises(BadRequest, match="payload types"):
        client.connect("anne", "127.0.0.1", 1, payload_type=8, codec="PCMA", event_payload_type=8)
    with pytest.raises(BadRequest, match="65536"):
        client.connect(
            "anne", "127.0.0.1", 65536, payload_type=8, codec="PCMA", event_payload_type=None
        )
    with pytest.raises(BadRequest, match="codec"):
        client.connect(
            "anne",
            "127.0.0.1",
            1,
            payload_type=9,
            codec="G722",  # type: ignore[arg-type]
            event_payload_type=None,
        )
    with pytest.raises(BadRequest, match="PLAY_FILES_MAX"):
        client.play("anne", [tmp_path] * (PLAY_FILES_MAX + 1), play_id=1)
    with pytest.raises(BadRequest, match="not a digit"):
        client.send_digits("anne", "1x")
    with pytest.raises(BadRequest, match="DIGITS_QUEUED_MAX"):
        client.send_digits("anne", "1" * (DIGITS_QUEUED_MAX + 1))


async def test_closing_while_an_answer_comes_in_ends_as_well() -> None:
    first = free_ports_in_a_row(5)
    client = MediaClient(MediaSettings(ports=range(first, first + 4)), Ear())
    await client.start()
    for _ in range(3):
        await client.statistics()  # answered in the very turn of the loop that closes
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        await client.close()
    assert asyncio.get_running_loop().time() - begun < 5


async def test_closing_ends_the_process_and_frees_its_ports() -> None:
    ear, first = Ear(), free_ports_in_a_row(5)
    first += first % 2
    client = MediaClient(MediaSettings(ports=range(first, first + 4)), ear)
    await client.start()
    pid, port = client.pid, await client.open_leg("anne")
    assert pid is not None
    await client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
    assert ear.events == []
