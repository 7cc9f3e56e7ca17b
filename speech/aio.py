"""The espeak-ng synthesizer: a pool of speech processes behind a cache."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from speech import limits, wire
from speech.cache import AudioCache, content_key
from speech.errors import (
    AudioTooLong,
    NotRunning,
    QueueFull,
    SpeechRefused,
    SynthesisFailed,
    SynthesisTimeout,
)
from speech.markers import read_spoken
from speech.prepare import Prepared, check_characters, prepare
from speech.synthesizer import Spoken
from speech.voices import best_voices, choose_voice

_HOUSE = Path(__file__).resolve().parent.parent


class _ProcessEnded(Exception):
    """The speech process closed its output or wrote something else than an answer."""


class _EspeakProcess:
    """One speech process; used by one request at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(cls) -> tuple[_EspeakProcess, wire.Ready]:
        """A process whose engine is loaded. Raises SynthesisFailed."""
        process = cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "speech.espeak_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=_HOUSE,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # numpy's threads have no work
                start_new_session=True,  # the terminal's signals are for the service alone
            )
        )
        try:
            async with asyncio.timeout(limits.START_SECONDS_MAX):
                match await process._receive():
                    case wire.Ready() as ready:
                        return process, ready
                    case other:
                        reason = f"it began with {other!r}"
        except TimeoutError:
            reason = f"not ready after {limits.START_SECONDS_MAX:g} s"
        except _ProcessEnded as error:
            reason = str(error)
        except BaseException:
            await process.kill()
            raise
        await process.kill()
        raise SynthesisFailed(f"the speech process did not start: {reason}")

    async def exchange(self, request: wire.Speak) -> wire.Spoken | wire.Failed:
        """The answer to ``request``. Raises _ProcessEnded."""
        try:
            self._requests.write(wire.frame(request))
            await self._requests.drain()
        except (ConnectionError, RuntimeError) as error:
            raise _ProcessEnded("the speech process takes no requests") from error
        match await self._receive():
            case wire.Spoken() | wire.Failed() as answer if answer.number == request.number:
                return answer
            case other:
                raise _ProcessEnded(f"it answered another request: {other!r}")

    async def _receive(self) -> wire.Answer:
        try:
            head = await self._answers.readexactly(wire.LENGTH_BYTES)
            body = await self._answers.readexactly(wire.body_length(head))
            return wire.read_answer(body)
        except (EOFError, ConnectionError) as error:
            raise _ProcessEnded("the speech process ended") from error
        except (ValueError, msgspec.DecodeError) as error:
            raise _ProcessEnded(f"the speech process wrote no answer: {error}") from error

    async def kill(self) -> None:
        """End it now and collect it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._requests.close()

    async def close(self) -> None:
        """Close its input; it ends by itself, or is killed after CLOSE_SECONDS_MAX."""
        self._requests.close()
        try:
            async with asyncio.timeout(limits.CLOSE_SECONDS_MAX):
                await self._process.wait()
        except TimeoutError:
            await self.kill()


class EspeakSynthesizer:
    """`speech.synthesizer.Synthesizer` on espeak-ng.

    Audio is kept in ``cache_folder``, at most ``cache_bytes_max`` bytes; ``processes``
    texts are spoken at a time. The same text asked for twice at once is spoken once. A
    process that dies is replaced and its request tried once more; one that does not answer
    within ``request_seconds_max`` is ended and replaced, and its request fails.
    """

    def __init__(
        self,
        cache_folder: Path,
        *,
        processes: int = 1,
        cache_bytes_max: int = limits.CACHE_BYTES_MAX,
        request_seconds_max: float = limits.REQUEST_SECONDS_MAX,
    ) -> None:
        if not 1 <= processes <= limits.PROCESSES_MAX:
            raise ValueError(
                f"processes is {processes}: from 1 to PROCESSES_MAX ({limits.PROCESSES_MAX})"
            )
        self._cache = AudioCache(cache_folder, cache_bytes_max)
        self._processes = processes
        self._request_seconds_max = request_seconds_max
        self._numbers = itertools.count(1)
        self._engine = ""
        self._voices: dict[str, str] = {}
        self._running = False
        self._working: set[_EspeakProcess] = set()
        self._idle: list[_EspeakProcess] = []
        self._slots = asyncio.Semaphore(processes)
        self._speaking: dict[str, asyncio.Task[Path]] = {}

    async def __aenter__(self) -> EspeakSynthesizer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def languages(self) -> tuple[str, ...]:
        """The language tags that have a voice (lower case, sorted); empty before `start`."""
        return tuple(sorted(self._voices))

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The ids of the processes that live now, for whoever watches them."""
        return tuple(process.pid for process in (*self._idle, *self._working) if process.alive)

    async def start(self) -> None:
        """Open the cache and start every process. Raises SynthesisFailed."""
        if self._running:
            return
        await asyncio.to_thread(self._cache.open)
        started = await asyncio.gather(
            *(_EspeakProcess.start() for _ in range(self._processes)), return_exceptions=True
        )
        failures = [outcome for outcome in started if isinstance(outcome, BaseException)]
        for outcome in started:
            if not isinstance(outcome, BaseException):
                process, ready = outcome
                self._idle.append(process)
                self._learn(ready)
        if failures:
            await self._end_processes()
            raise failures[0]
        self._running = True

    async def close(self) -> None:
        """Refuse what waits, end every process. Does nothing a second time."""
        self._running = False
        for task in list(self._speaking.values()):
            task.cancel()
        await asyncio.gather(*self._speaking.values(), return_exceptions=True)
        await self._end_processes()

    def cached(self, ssml: str, *, language: str) -> Path | None:
        """The file that says ``ssml`` where it was spoken before; no waiting, no process.

        None for a language without a voice and broken text too: `speak` tells why.
        """
        try:
            check_characters(ssml)
            voice = choose_voice(language, self._voices)
        except SpeechRefused:
            return None
        return self._cache.find(content_key(self._engine, voice, language, ssml))

    async def speak(self, ssml: str, *, language: str) -> Path:
        """The file (WAV, 16-bit, mono, 8000 Hz) that says ``ssml``.

        Raises UnsupportedLanguage, MarkupError, TextTooLong, AudioTooLong for the text;
        NotRunning, QueueFull, SynthesisTimeout, SynthesisFailed otherwise.
        """
        if not self._running:
            raise NotRunning
        check_characters(ssml)
        voice = choose_voice(language, self._voices)
        key = content_key(self._engine, voice, language, ssml)
        found = self._cache.find(key)
        if found is not None:
            return found
        task = self._speaking.get(key)
        if task is None:
            prepared = prepare(ssml, language, self._voices)
            if len(self._speaking) >= self._processes + limits.QUEUE_REQUESTS_MAX:
                raise QueueFull
            task = asyncio.create_task(self._synthesize(key, prepared, voice))
            self._speaking[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # Shielded: a caller who hangs up must not silence another who waits for the same text.
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if task.cancelled() and not (caller and caller.cancelling()):
                raise NotRunning from None  # it was `close` that ended the task
            raise

    def cached_spoken(self, ssml: str, *, language: str) -> Spoken | None:
        """As `cached`, with its marks; None too where the file is not as it was written."""
        path = self.cached(ssml, language=language)
        try:
            return None if path is None else read_spoken(path)
        except (OSError, ValueError):
            return None

    async def spoken(self, ssml: str, *, language: str) -> Spoken:
        """As `speak`, with the marks (VoiceXML 2.1 4), the length and the warnings."""
        path = await self.speak(ssml, language=language)
        try:
            return read_spoken(path)
        except (OSError, ValueError) as error:
            raise SynthesisFailed(f"the audio cannot be read again: {error}") from error

    def _forget(self, key: str, task: asyncio.Task[Path]) -> None:
        self._speaking.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, even if every caller has gone

    def _learn(self, ready: wire.Ready) -> None:
        self._engine = ready.engine
        self._voices = best_voices(ready.voices)

    async def _synthesize(self, key: str, prepared: Prepared, voice: str) -> Path:
        try:
            async with self._slots:  # first come, first served
                answer, draft = await self._ask(key, prepared, voice)
            match answer:
                case wire.Spoken():
                    return self._cache.keep(key, draft)
                case wire.Failed(too_long=True):
                    raise AudioTooLong
                case wire.Failed(reason=reason):
                    draft.unlink(missing_ok=True)
                    raise SynthesisFailed(f"the engine did not speak: {reason}")
        except OSError as error:
            raise SynthesisFailed(f"the audio cannot be kept: {error}") from error

    async def _ask(
        self, key: str, prepared: Prepared, voice: str
    ) -> tuple[wire.Spoken | wire.Failed, Path]:
        """One process's answer, and where it wrote; a second process where the first died."""
        for attempt in (1, 2):
            number = next(self._numbers)
            draft = self._cache.draft(key, number)
            request = wire.Speak(
                number,
                prepared.document,
                voice,
                str(draft),
                prepared.marks,
                prepared.warnings,
            )
            process = await self._process()
            self._working.add(process)
            try:
                async with asyncio.timeout(self._request_seconds_max):
                    answer = await process.exchange(request)
            except BaseException as error:
                # Cancelled too: an answer still to come would be taken for the next one's.
                await process.kill()
                draft.unlink(missing_ok=True)
                if isinstance(error, TimeoutError):
                    raise SynthesisTimeout(self._request_seconds_max) from error
                if not isinstance(error, _ProcessEnded):
                    raise
                if attempt == 2:
                    raise SynthesisFailed(f"twice for the same text: {error}") from error
            else:
                match answer:
                    case wire.Spoken():
                        self._idle.append(process)
                    case wire.Failed():
                        # An engine that stops within a text keeps its prosody for the next one.
                        await process.kill()
                return answer, draft
            finally:
                self._working.discard(process)
        raise AssertionError("two attempts end above")

    async def _process(self) -> _EspeakProcess:
        """A living process, a new one where those at rest have died."""
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            await process.kill()
        process, ready = await _EspeakProcess.start()
        self._learn(ready)
        return process

    async def _end_processes(self) -> None:
        ending, self._idle = self._idle, []
        await asyncio.gather(*(process.close() for process in ending))
