"""How many calls a second one core carries, what a call costs, how soon a key is answered.

    make bench-calls            (ARGS="--seconds 15 --rates 100 150 200")

The service runs `samples/two-prompts.vxml` on one core, sipp calls it from the other: every
call is set up, spoken to over RTP by the script, and ended by the script's BYE. In the same
run sipp calls a bare responder built on the same parser, and a phone presses keys in
`samples/menu.vxml` and measures the time to the first packet of the next prompt. The table
goes to the screen, the figures to bench/out/calls.json.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.figures import Figure, at_least, at_most
from bench.figures import report as report_figures
from tests.kit import g711, sipp
from tests.kit.line import Packet
from tests.kit.phone import Call, Phone
from tests.kit.service_process import (
    ServiceProcess,
    cpu_seconds,
    free_port,
    process_tree,
    sample,
)
from tests.kit.sipp import Calls

ROOT = Path(__file__).resolve().parent.parent
BENCH_NUMBER, MENU_NUMBER = "33199000002", "33199000001"
RTP_PORTS = 4000
SETTLE_S = 2.0
BARE_CALL_S = 1.5
SET_UPS_GOAL = 100
KEY_MS_GOAL = 60.0
MENU_CALLS, KEYS_A_CALL = 8, 5
QUIET_S = 0.6  # longer than a pause between two words
SILENT_SAMPLE, SILENT_DBFS = 8, -66.0  # of 32,767: the smallest step of G.711
SERVICE_CORE, SIPP_CORE = 0, 1


@dataclass(frozen=True)
class Step:
    """One run of sipp at one rate."""

    rate: int
    calls: Calls
    cpu_ms_per_call: float
    core_busy: float  # of the service's core, 0 to 1
    late_ticks: float


async def main(rates: list[int], seconds: float) -> int:
    """Measure, print, write; returns 0 where every goal holds."""
    with tempfile.TemporaryDirectory(prefix="voicemashup-bench-") as name:
        folder = Path(name)
        service = await ServiceProcess.start(
            folder / "service",
            before=on_core(SERVICE_CORE),
            rtp_ports=RTP_PORTS,
            billing={"opening_credits": 1_000_000},
            log={"level": "warning"},
        )
        try:
            await service.give_script(sample("two-prompts.vxml"), BENCH_NUMBER, name="bench")
            await service.give_script(sample("menu.vxml"), MENU_NUMBER, name="menu")
            await step(service, folder, 20, 2.0)  # prompts are synthesised, code is warm
            steps = [await step(service, folder, rate, seconds) for rate in rates]
            delays = await key_delays(service)
        finally:
            await service.stop()
        async with bare_responder() as (port, pid):
            bare = [await bare_step(folder, port, pid, rate, seconds) for rate in rates]
    return report(steps, bare, delays)


def on_core(core: int) -> list[str]:
    """Return the words that keep a command, and all it starts, on one core."""
    return ["taskset", "-c", str(core)]


async def step(service: ServiceProcess, folder: Path, rate: int, seconds: float) -> Step:
    """Call the service at `rate` for `seconds`; its CPU is that of its whole process tree."""
    before_cpu = cpu_seconds(service.processes())
    before_late = late_ticks(await service.metrics())
    begun = time.monotonic()
    calls = await sipp.call_many(
        folder / f"sipp-{rate}",
        f"127.0.0.1:{service.sip_port}",
        BENCH_NUMBER,
        calls=round(rate * seconds),
        per_second=rate,
        before=on_core(SIPP_CORE),
    )
    took = time.monotonic() - begun
    used = cpu_seconds(service.processes()) - before_cpu
    late = late_ticks(await service.metrics()) - before_late
    await asyncio.sleep(SETTLE_S)
    return Step(rate, calls, used / calls.made * 1000, used / took, late)


def late_ticks(metrics: dict[str, float]) -> float:
    """Return how many ticks of the media process were late so far."""
    return sum(value for name, value in metrics.items() if "late" in name and "tick" in name)


@asynccontextmanager
async def bare_responder() -> AsyncIterator[tuple[int, int]]:
    """Run the bare responder on the service's core; gives its port and pid."""
    port = free_port()
    words = [sys.executable, "-m", "bench.call_peers.bare_responder", str(port), str(BARE_CALL_S)]
    process = await asyncio.create_subprocess_exec(
        *on_core(SERVICE_CORE), *words, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


async def bare_step(folder: Path, port: int, pid: int, rate: int, seconds: float) -> Step:
    """Call the bare responder at `rate` for `seconds`."""
    before = cpu_seconds(process_tree(pid))
    begun = time.monotonic()
    calls = await sipp.call_many(
        folder / f"bare-{rate}",
        f"127.0.0.1:{port}",
        BENCH_NUMBER,
        calls=round(rate * seconds),
        per_second=rate,
        audio=False,
        before=on_core(SIPP_CORE),
    )
    took = time.monotonic() - begun
    used = cpu_seconds(process_tree(pid)) - before
    return Step(rate, calls, used / calls.made * 1000, used / took, 0)


async def key_delays(service: ServiceProcess) -> list[float]:
    """Return the milliseconds from a key to the first packet of what it leads to."""
    async with await Phone.start("33612345678") as phone:
        calls = [await phone.dial(service.uri(MENU_NUMBER)) for _ in range(MENU_CALLS)]
        return [delay for one in await asyncio.gather(*map(delays_of, calls)) for delay in one]


async def delays_of(call: Call) -> list[float]:
    """Press 1 after each menu's prompt; return the delays."""
    await call.answered()
    delays = []
    for _ in range(KEYS_A_CALL):
        await call.hears_speech(15.0)
        await call.hears_silence(QUIET_S, 20.0, dbfs=SILENT_DBFS)
        await call.press("1")
        sent_at = call.line.key_sent_at
        assert sent_at is not None
        await call.hears_speech(5.0, since=sent_at)
        delays.append((first_sound_at(call, sent_at) - sent_at) * 1000)
    await call.hangup()
    return delays


def sounds(packet: Packet) -> bool:
    """Whether a packet carries more than digital silence."""
    loudest = np.abs(g711.decode(packet.payload, "PCMU").astype(np.int32)).max(initial=0)
    return packet.payload_type == 0 and bool(loudest > SILENT_SAMPLE)


def first_sound_at(call: Call, since: float) -> float:
    """Return when the first packet after `since` came that was not silent."""
    return next(p.at for p in call.line.packets if p.at >= since and sounds(p))


def report(steps: list[Step], bare: list[Step], delays: list[float]) -> int:
    """Print the table, write the figures; returns 0 where every goal holds."""
    print(
        f"{'':22}{'calls/s':>8}{'calls':>7}{'failed':>7}{'resent':>7}{'200 OK':>9}"
        f"{'CPU/call':>10}{'core':>6}{'late ticks':>11}"
    )
    for name, rows in (("service", steps), ("bare responder", bare)):
        for one in rows:
            print(
                f"{name:22}{one.rate:8}{one.calls.made:7}{one.calls.failed:7}"
                f"{one.calls.retransmissions:7}{one.calls.answered_in_ms:6.0f} ms"
                f"{one.cpu_ms_per_call:7.2f} ms{one.core_busy:6.0%}{one.late_ticks:11.0f}"
            )
    held = [one.rate for one in steps if one.calls.failed == 0 and one.calls.succeeded]
    best = max(held, default=0)
    at = next((i for i, one in enumerate(steps) if one.rate == best), len(steps) - 1)
    ratio = steps[at].cpu_ms_per_call / bare[at].cpu_ms_per_call
    median = statistics.median(delays)
    return report_figures(
        "calls",
        [
            at_least("set-ups a second with no failure, one core", best, "1/s", SET_UPS_GOAL),
            Figure("CPU per call of the service", steps[at].cpu_ms_per_call, "ms"),
            Figure("CPU per call of the bare responder", bare[at].cpu_ms_per_call, "ms"),
            Figure("CPU per call against the bare responder", ratio, "times"),
            at_most("key to first packet of the next prompt, median", median, "ms", KEY_MS_GOAL),
            Figure("key to first packet of the next prompt, worst", max(delays), "ms"),
        ],
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 150, 200])
    parser.add_argument("--seconds", type=float, default=15.0)
    given = parser.parse_args()
    if os.cpu_count() == 1:
        sys.exit("two cores are needed: one for the service, one for sipp")
    sys.exit(asyncio.run(main(given.rates, given.seconds)))
