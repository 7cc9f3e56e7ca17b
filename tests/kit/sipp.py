"""Many callers at once, by sipp: run its scenario, read its statistics."""

import asyncio
import csv
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.kit import g711, tones
from tests.kit.service_process import free_port, free_ports_in_a_row

SCENARIO = Path(__file__).with_name("sipp-caller.xml")
AUDIO_S = 1.0


@dataclass(frozen=True)
class Calls:
    """What sipp counted at the end of a run."""

    made: int
    succeeded: int
    failed: int
    retransmissions: int
    unexpected: int
    answered_in_ms: float  # mean time from INVITE to 200
    seconds: float
    at_once_max: int
    errors: str  # the first of sipp's complaints


async def call_many(
    folder: Path,
    target: str,
    number: str,
    *,
    calls: int,
    per_second: int,
    at_once: int = 2000,
    audio: bool = True,
    before: list[str] | None = None,
    limit_s: float = 180.0,
) -> Calls:
    """Place `calls` calls at `per_second` to `number` at `target` ("host:port").

    Each waits for the other side's BYE. With `audio` each sends a tone over RTP from a
    port of its own. `before` goes in front of the command (`taskset`, for one).
    Raises RuntimeError where sipp itself does not run, TimeoutError after `limit_s`.
    """
    scenario, statistics, errors = _prepare(folder, audio)
    first_audio_port = free_ports_in_a_row(64)
    command = [
        *(before or []), shutil.which("sipp") or "sipp", target,
        "-sf", str(scenario), "-s", number, "-i", "127.0.0.1", "-mi", "127.0.0.1",
        "-p", str(free_port(socket.SOCK_DGRAM)), "-m", str(calls), "-r", str(per_second),
        "-l", str(at_once),
        "-mp", str(first_audio_port), "-nostdin", "-trace_stat", "-stf", str(statistics),
        "-fd", "1", "-trace_err", "-error_file", str(errors), "-buff_size", "4000000",
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if not statistics.exists():
        raise RuntimeError(f"sipp did not run: {said.decode(errors='replace')[-2000:]}")
    return _read(statistics, errors)


def _prepare(folder: Path, audio: bool) -> tuple[Path, Path, Path]:
    """Write the scenario; return its path, and those of the files sipp will write."""
    folder.mkdir(parents=True, exist_ok=True)
    scenario, statistics = folder / "caller.xml", folder / "statistics.csv"
    errors = folder / "errors.log"
    statistics.unlink(missing_ok=True)
    errors.unlink(missing_ok=True)
    scenario.write_text(_scenario(folder, audio))
    return scenario, statistics, errors


def _scenario(folder: Path, audio: bool) -> str:
    text = SCENARIO.read_text()
    if not audio:
        return text.replace("AUDIO_PORT", "[media_port]").replace("AUDIO_ACTION", "")
    sound = folder / "tone.raw"
    sound.write_bytes(g711.encode(tones.tone(440, AUDIO_S), "PCMU"))
    action = f'<nop><action><exec rtp_stream="{sound},-1,0"/></action></nop>'
    return text.replace("AUDIO_PORT", "[rtpstream_audio_port]").replace("AUDIO_ACTION", action)


def _read(statistics: Path, errors: Path) -> Calls:
    with statistics.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    last = rows[-1]
    hours, minutes, seconds = last["ElapsedTime(C)"].split(":")[:3]
    answered = last.get("ResponseTime1(C)", "0:0:0:0").split(":")
    return Calls(
        made=int(last["TotalCallCreated"]),
        succeeded=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        unexpected=int(last["FailedUnexpectedMessage(C)"]),
        answered_in_ms=int(answered[2]) * 1000 + int(answered[3]) / 1000,
        seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
        at_once_max=max(int(row["CurrentCall"]) for row in rows),
        errors=errors.read_text(errors="replace")[:2000] if errors.exists() else "",
    )
