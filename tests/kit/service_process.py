"""The service as a process of its own: started on free ports in a folder, stopped by its pid."""

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
VOICEMASHUP = Path(sys.executable).parent / "voicemashup"
READY = "Ctrl-C ends it."
READY_S = 60.0
PORTS_IN_A_ROW = (10_000, 32_000)
STOP_S = 20.0
STORED_S_MAX = 10.0
LOG_TAIL_LINES = 60
DOMAIN = "voicemashup.local"


class ServiceFailed(Exception):
    """The service did not start, or did not stop; the message ends with its log."""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that is free for TCP (or UDP) now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports_in_a_row(count: int) -> int:
    """Return the first of `count` UDP ports in a row, an even one, all free now.

    They lie below those that the system gives away, so that nobody takes one meanwhile.
    """
    for _ in range(200):
        first = random.randrange(PORTS_IN_A_ROW[0], PORTS_IN_A_ROW[1] - count, 2)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise ServiceFailed(f"no {count} free UDP ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def sample(name: str, instead: Mapping[str, str] | None = None) -> str:
    """Return the text of a file of samples/, with the texts of `instead` in place of others."""
    text = (ROOT / "samples" / name).read_text()
    for old, new in (instead or {}).items():
        assert old in text, f"{old!r} is not in samples/{name}"
        text = text.replace(old, new)
    return text


@dataclass
class ServiceProcess:
    """One running service. Make it with `start`."""

    folder: Path
    settings: dict[str, dict[str, Any]]
    process: subprocess.Popen[bytes] | None = None
    before: list[str] = field(default_factory=list)  # words put before the command line
    started_in_s: float = 0.0
    key: str = ""  # of the demo account, shown at the first start
    passwords: dict[str, str] = field(default_factory=dict)  # of its phones

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        before: list[str] | None = None,
        rtp_ports: int = 400,
        **sections: dict[str, Any],
    ) -> "ServiceProcess":
        """Start the service with its data in `folder`; returns once /healthz says 200.

        `sections` are laid over the configuration; `before` goes in front of the command
        (`taskset`, for one). Raises ServiceFailed.
        """
        first = free_ports_in_a_row(rtp_ports)
        settings: dict[str, dict[str, Any]] = {
            "node": {"data_folder": str(folder / "data")},
            "sip": {"host": "127.0.0.1", "port": free_port(), "domain": DOMAIN},
            "rtp": {"host": "127.0.0.1", "port_min": first, "port_max": first + rtp_ports - 1},
            "http": {"host": "127.0.0.1", "port": free_port()},
        }
        for name, values in sections.items():
            settings.setdefault(name, {}).update(values)
        service = cls(folder, settings, before=before or [])
        await service.start_again()
        return service

    @property
    def url(self) -> str:
        """The API's URL."""
        return f"http://127.0.0.1:{self.settings['http']['port']}"

    @property
    def sip_port(self) -> int:
        """The SIP port, UDP and TCP."""
        return int(self.settings["sip"]["port"])

    @property
    def registrar(self) -> str:
        """The URI at which phones register."""
        return f"sip:127.0.0.1:{self.sip_port}"

    def uri(self, user: str) -> str:
        """Return the URI of a number or phone at this service."""
        return f"sip:{user}@127.0.0.1:{self.sip_port}"

    @property
    def config_file(self) -> Path:
        """The configuration file."""
        return self.folder / "voicemashup.toml"

    @property
    def log_file(self) -> Path:
        """Where the service's output and log go."""
        return self.folder / "service.log"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "data" / "voicemashup.sqlite"

    @property
    def pid(self) -> int:
        """The process id of the service."""
        assert self.process is not None
        return self.process.pid

    async def start_again(self) -> None:
        """Start on the same folder and ports. Raises ServiceFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(_toml(self.settings))
        self.log_file.touch()
        begun = time.monotonic()
        begun_at = self.log_file.stat().st_size
        self.process = self._launch()
        async with httpx.AsyncClient() as client:
            while True:
                if self.process.poll() is not None:
                    raise ServiceFailed(f"ended at its start\n{self.log_tail()}")
                if time.monotonic() - begun > READY_S:
                    self.process.kill()
                    raise ServiceFailed(f"not ready in {READY_S} s\n{self.log_tail()}")
                said = self.log_file.read_text(errors="replace")[begun_at:]
                if READY in said and (await client.get(f"{self.url}/healthz")).status_code == 200:
                    break
                await asyncio.sleep(0.05)
        self.started_in_s = time.monotonic() - begun
        if match := re.search(r"^ +key +(\S{11})$", said, re.M):
            self.key = match[1]
        self.passwords |= dict(re.findall(r"^ +phone (\S+) +password (\S+)$", said, re.M))

    def _launch(self) -> "subprocess.Popen[bytes]":
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*self.before, str(VOICEMASHUP), "serve", "--config", str(self.config_file)],
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=_environment(),
                start_new_session=True,
            )

    async def stop(self, how: signal.Signals = signal.SIGINT) -> float:
        """Stop it as Ctrl-C does; returns the seconds it took. Raises ServiceFailed."""
        assert self.process is not None
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(how)
        while self.process.poll() is None:
            if time.monotonic() - begun > STOP_S:
                self.process.kill()
                self.process.wait()
                raise ServiceFailed(f"did not stop in {STOP_S} s\n{self.log_tail()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - begun

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def run(self, *words: str, stdin: bytes = b"") -> str:
        """Return what `voicemashup WORDS` says, with this service's configuration.

        Raises ServiceFailed where it ends with another status than 0.
        """
        done = await asyncio.to_thread(
            subprocess.run,
            [str(VOICEMASHUP), *words, "--config", str(self.config_file)],
            input=stdin,
            capture_output=True,
            cwd=ROOT,
            env=_environment(),
        )
        if done.returncode != 0:
            complaint = f"{done.stdout.decode()}{done.stderr.decode()}"
            raise ServiceFailed(f"voicemashup {' '.join(words)}: {complaint}")
        return done.stdout.decode()

    async def give_script(self, source: str, number: str, *, name: str = "test") -> str:
        """Upload a script and let `number` reach it; returns its identifier."""
        uploaded = await self.ask("script/uploadScript", name=name, source=source)
        script_id = str(uploaded["script_info"]["script_id"])
        await self.ask("number/assignNumber", number=number, script=script_id)
        return script_id

    async def ask(
        self, method: str, *, status: int = 200, **parameters: str | int
    ) -> dict[str, Any]:
        """Return what `api` answers to the demo account's key."""
        return await self.api(self.key, method, status=status, **parameters)

    async def api(
        self, key: str, method: str, *, status: int = 200, **parameters: str | int
    ) -> dict[str, Any]:
        """Return the `response` of an API method ("conf/createConference"), asked as JSON.

        `from_` stands for the parameter `from`. Raises AssertionError where its
        status_code is not `status`.
        """
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(
                f"{self.url}/{method}.json",
                data={name.rstrip("_"): str(value) for name, value in parameters.items()},
                headers={"Authorization": f"Bearer {key}"},
            )
        found: dict[str, Any] = answer.json()["response"]
        assert found["status"]["status_code"] == status, found
        return found

    async def metrics(self) -> dict[str, float]:
        """Return /metrics as name (with labels) to value."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.url}/metrics")).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in lines}

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """Return the end of the log."""
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the SQLite file, read only."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        ) as connection:
            return connection.execute(query).fetchall()

    async def entries(self, caller: str, kind: str, key: str) -> list[str]:
        """Return what the timeline of a caller's call says of a kind, once the call is stored."""
        until = time.monotonic() + STORED_S_MAX
        ended = f"from calls where caller = '{caller}' and state = 'ended'"
        while not self.rows(f"select 1 {ended}"):
            assert time.monotonic() < until, "the call is not stored"
            await asyncio.sleep(0.1)
        rows = self.rows(
            f"select json_extract(detail, '$.{key}') from call_events"
            f" where call_id = (select id {ended}) and kind = '{kind}' order by sequence"
        )
        return [text for (text,) in rows]

    def processes(self) -> list[int]:
        """Return the pids of the service's whole process tree, itself first."""
        return process_tree(self.pid)


def process_tree(pid: int) -> list[int]:
    """Return `pid` and all its descendants that run now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(after[1]), []).append(int(entry.parent.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU seconds (user and system) that these processes have used."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(after[11]) + int(after[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("VOICEMASHUP_")}
    return kept | {"PYTHONUNBUFFERED": "1"}


def _toml(settings: dict[str, dict[str, Any]]) -> str:
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            if isinstance(value, bool):
                shown = str(value).lower()
            elif isinstance(value, list | tuple):
                shown = "[" + ", ".join(f'"{one}"' for one in value) + "]"
            else:
                shown = str(value) if isinstance(value, int) else f'"{value}"'
            lines.append(f"{name} = {shown}")
    return "\n".join(lines) + "\n"
