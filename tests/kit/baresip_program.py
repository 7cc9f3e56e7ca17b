"""The softphone baresip as a program: answers by itself or dials, plays a file, records."""

import asyncio
import contextlib
import shutil
import socket
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.kit import tones
from tests.kit.service_process import free_port, free_ports_in_a_row

MODULES = Path("/usr/lib/baresip/modules")
START_S = 10.0
STOP_S = 5.0
PLAYED_S = 120.0  # the end of the file ends the call


@dataclass
class Baresip:
    """A running baresip. Make it with `start`, end it with `stop`."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process
    said: list[str] = field(default_factory=list)
    reader: "asyncio.Task[None] | None" = None

    @classmethod
    async def start(
        cls,
        folder: Path,
        *,
        user: str,
        password: str,
        registrar: str,
        hz: float = 600.0,
        transport: str = "udp",
        dial: str = "",
    ) -> "Baresip":
        """Return a baresip registered as `user`, answering by itself and sending a tone.

        `registrar` is "host:port"; `dial` a URI to call at once.
        """
        port = free_port(socket.SOCK_DGRAM)
        _configure(folder, port, f"sip:{user}@{registrar};transport={transport}", password, hz)
        words = ["-f", str(folder), *(["-e", f"/dial {dial}"] if dial else [])]
        process = await asyncio.create_subprocess_exec(
            "timeout",
            "-k",
            "2",
            "120",
            shutil.which("baresip") or "baresip",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
        )
        phone = cls(folder, port, process)
        phone.reader = asyncio.create_task(phone._read())
        await phone.says("} 200 OK (", START_S)
        return phone

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(line.decode(errors="replace").rstrip())

    async def says(self, words: str, timeout_s: float) -> None:
        """Wait until it has printed `words`; raises TimeoutError with what it printed."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not any(words in line for line in self.said):
            if loop.time() > deadline or self.process.returncode is not None:
                raise TimeoutError(f"baresip did not say {words!r}:\n" + "\n".join(self.said))
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self.reader is not None:
            self.reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.reader

    def recorded(self) -> NDArray[np.int16]:
        """Return what the other side was heard to send (8,000 samples a second)."""
        files = sorted(self.folder.glob("dump-*-dec.wav"))
        if not files:
            return np.zeros(0, np.int16)
        # The file's header is written at the end of the call: the sound behind it is there now.
        data = files[-1].read_bytes()[44:]
        return np.frombuffer(data[: len(data) & ~1], np.int16)


def _configure(folder: Path, port: int, aor: str, password: str, hz: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sound = folder / "tone.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(tones.SAMPLES_PER_S)
        file.writeframes(tones.tone(hz, PLAYED_S).tobytes())
    rtp = free_ports_in_a_row(8)
    (folder / "accounts").write_text(
        f"<{aor}>;auth_pass={password};answermode=auto;regint=300;audio_codecs=PCMU/8000/1\n"
    )
    (folder / "contacts").write_text("")
    modules = ["g711", "aufile", "aubridge", "sndfile"]
    applications = ["account", "menu"]
    lines = [
        f"sip_listen 127.0.0.1:{port}",
        "net_interface 127.0.0.1",
        f"rtp_ports {rtp}-{rtp + 7}",
        "audio_player aubridge,nowhere",
        f"audio_source aufile,{sound}",
        "audio_alert aubridge,nowhere",
        "audio_channels 1-1",
        "rtp_stats no",
        f"snd_path {folder}",
        f"module_path {MODULES}",
        *(f"module {name}.so" for name in modules),
        *(f"module_app {name}.so" for name in applications),
    ]
    (folder / "config").write_text("\n".join(lines) + "\n")
