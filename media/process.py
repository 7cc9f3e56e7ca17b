"""The media process: a tick every 20 ms, and between ticks the control socket.

``python -m media.process --control-fd N --host A --ports FIRST-LAST --inactivity-s S``

It is started by media.client, speaks media.messages over the inherited Unix socket, and ends
when that socket closes or at SIGTERM. Ticks stand at absolute times: a late one does not move
those after it, and whole ticks that were missed are left out.
"""

from __future__ import annotations

import argparse
import gc
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Final

from media.compilation import is_compiled, note_compiled
from media.errors import BrokenMessage, MediaError
from media.limits import MESSAGE_BYTES_MAX
from media.messages import (
    Answer,
    Ask,
    FrameReader,
    ProcessStatistics,
    Pulse,
    StatisticsAnswer,
    decode_commands,
    frame,
)
from media.plane import Plane
from media.timing import TICK_NS, TICKS_A_SECOND

_READ_BYTES: Final = 256 * 1024
_NS_A_MS: Final = 1_000_000


class _End(Exception):
    """The control socket closed, or SIGTERM came."""


class Process:
    """The loop around a plane. Its clock is the monotonic one, in nanoseconds."""

    def __init__(self, plane: Plane, control: socket.socket) -> None:
        self._plane = plane
        self._control = control
        self._control.setblocking(False)
        self._reader = FrameReader()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._unsent = bytearray()
        self._answers: list[Answer] = []
        self._ticks = 0
        self._late_ticks = 0
        self._work_ns = 0
        self._worst_ns = 0

    def run(self) -> None:
        """Tick until the other end closes."""
        began = time.monotonic_ns()
        tick = 0
        while True:
            tick += 1
            late_ns = time.monotonic_ns() - (began + tick * TICK_NS)
            if late_ns > TICK_NS:
                missed = late_ns // TICK_NS
                self._late_ticks += missed
                tick += missed
            try:
                self._wait(began + tick * TICK_NS)
            except _End:
                return
            work = time.monotonic_ns()
            self._do_tick(tick)
            work = time.monotonic_ns() - work
            self._ticks += 1
            self._work_ns += work
            self._worst_ns = max(self._worst_ns, work)

    def _do_tick(self, tick: int) -> None:
        self._answers.extend(self._plane.tick(tick))
        news = self._plane.fill_ports(tick)
        if news is not None:
            self._answers.append(news)
        if tick % TICKS_A_SECOND == 0:
            self._answers.append(Pulse())
        self._flush()

    def _wait(self, until_ns: int) -> None:
        """Serve the control socket until a time; raises _End."""
        while True:
            left_ns = until_ns - time.monotonic_ns()
            # poll counts in milliseconds: the rest is slept, and commands then wait below one.
            if self._poll.poll(max(0, left_ns // _NS_A_MS)):
                self._read()
            elif left_ns <= _NS_A_MS:
                break
        left_ns = until_ns - time.monotonic_ns()
        if left_ns > 0:
            time.sleep(left_ns / 1e9)

    def _read(self) -> None:
        try:
            data = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            raise _End from None
        if not data:
            raise _End
        for body in self._reader.feed(data):
            for command in decode_commands(body):
                if isinstance(command, Ask):
                    self._answers.append(StatisticsAnswer(command.request, self._statistics()))
                    continue
                try:
                    self._plane.apply(command)
                except MediaError as error:
                    print(f"media process: {error}", file=sys.stderr, flush=True)

    def _flush(self) -> None:
        """Send what there is to say; what the socket does not take now waits."""
        for begin in range(0, len(self._answers), 1024):
            self._unsent += frame(self._answers[begin : begin + 1024])
        self._answers.clear()
        if not self._unsent:
            return
        if len(self._unsent) > 64 * MESSAGE_BYTES_MAX:
            raise BrokenMessage("the service has not read its media process' events; ending")
        try:
            sent = self._control.send(self._unsent)
        except BlockingIOError:
            return
        except ConnectionError:
            return  # the next read says so
        del self._unsent[:sent]

    def _statistics(self) -> ProcessStatistics:
        return ProcessStatistics(
            ticks=self._ticks,
            late_ticks=self._late_ticks,
            worst_tick_ms=round(self._worst_ns / _NS_A_MS, 3),
            mean_tick_ms=round(self._work_ns / max(1, self._ticks) / _NS_A_MS, 3),
            cpu_s=time.process_time(),
            legs=self._plane.leg_count,
            rooms=self._plane.room_count,
            ports_ready=self._plane.ports_ready,
            events_dropped=self._plane.events_dropped,
        )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="media.process", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--ports", required=True, help="FIRST-LAST, both included")
    parser.add_argument("--inactivity-s", type=float, required=True)
    return parser.parse_args(arguments)


def compile_kernels() -> None:
    """Have every kernel compiled, or read from the cache; say so when it takes long."""
    fresh = not is_compiled()
    if fresh:
        print("media process: compiling its kernels, once ...", file=sys.stderr, flush=True)
    plane = Plane("127.0.0.1", range(0), 1.0)
    plane.tick(1)
    plane.close()
    if fresh:
        note_compiled()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the media process."""
    options = _parse(arguments)
    # Ctrl-C is the service's to hear: it ends its calls first, and then this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    control = socket.socket(fileno=options.control_fd)
    compile_kernels()
    first, _, last = options.ports.partition("-")
    plane = Plane(options.host, range(int(first), int(last) + 1), options.inactivity_s)
    gc.collect()
    gc.freeze()
    try:
        Process(plane, control).run()
    finally:
        plane.close()
        control.close()


if __name__ == "__main__":
    main()
