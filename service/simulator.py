"""A script in the terminal: text for speech, typed keys or words for the caller.

Time is virtual: nobody waits for a timeout.
"""

import json
import re
import secrets
import time
import wave
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

import httpx

from vxml_engine.cache import DocumentCache
from vxml_engine.effects import Fetch, Fetched, FetchFailed
from vxml_engine.grammar.network import KEYS
from vxml_engine.journal import Recorder, Replayed, Start, replay
from vxml_engine.limits import DOCUMENT_BYTES_MAX
from vxml_engine.parser import Prepare
from vxml_engine.session import Connection, SessionResult
from vxml_engine.testing.driver import (
    TRANSFER_RESULTS,
    Answer,
    HangUp,
    Happening,
    Press,
    Recording,
    Say,
    Silence,
    TransferAnswer,
    Turn,
    VirtualCall,
    Wanted,
    ends_a_transfer,
    read_file,
)

_HELP: Final = "[type keys or words; an empty line is silence; h hangs up]"


def run_script(
    path_or_url: str,
    *,
    turns: Sequence[Turn] = (),
    transfers: Sequence[TransferAnswer] = (),
    recording: Path | None = None,
    variables: Mapping[str, str] | None = None,
    output: TextIO,
    input: TextIO | None = None,  # noqa: A002 - the pair of output
    prepare: Prepare | None = None,
    as_json: bool = False,
    journal: Path | None = None,
) -> SessionResult:
    """Run a script and write what happens to `output`; return how it ended.

    The caller does `turns` in order. Then keys and words are read from `input`, a line an
    input; without `input`, or at its end, the caller hangs up. `transfers` are the ends of
    the transfers, in order; `recording` is a WAV file the caller leaves in each recording.
    `as_json` writes an object a line; `journal` is the file to write the journal to.
    Raises `BadOption` for a `recording` or `journal` that cannot be used.
    A script that cannot be read or compiled ends with the reason `error`.
    """
    start_url = _start_url(path_or_url)
    left = Recording() if recording is None else read_recording(recording)
    caller = _Caller(turns, transfers, input, None if as_json else output)
    tell = _teller(output, as_json=as_json)
    with httpx.Client(follow_redirects=True, max_redirects=5) as client:
        fetcher = _Fetcher(client, local=start_url.startswith("file:"), recording=recording)
        call = VirtualCall(fetcher.fetch, tell, left)
        recorder = Recorder(_start(start_url, variables), time.time)
        run = recorder.run(DocumentCache(prepare), call.observe)
        try:
            return _answer(call.hold(run), caller)
        finally:
            if journal is not None:
                _write(journal, recorder.packed())


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadOption(f"{path}: cannot be written: {error.strerror}") from error


def _start(start_url: str, variables: Mapping[str, str] | None) -> Start:
    return Start(
        start_url=start_url,
        connection=Connection(local_uri="sip:script@localhost", remote_uri="sip:you@localhost"),
        seed=secrets.randbits(32),
        variables=dict(variables or {}),
        recognizes=True,
    )


def replay_journal(
    packed: bytes, *, output: TextIO, prepare: Prepare | None = None, as_json: bool = False
) -> Replayed:
    """Run a journal's session again and write the conversation; raises `BadJournal`."""

    def fetch(_: Fetch) -> FetchFailed:
        raise AssertionError("a replay fetches nothing")

    call = VirtualCall(fetch, _teller(output, as_json=as_json))
    replayed = replay(packed, DocumentCache(prepare), call.observe, call.retell)
    if replayed.result is not None:
        call.end(replayed.result)
    return replayed


def _answer(run: Generator[Wanted, Answer, SessionResult], caller: "_Caller") -> SessionResult:
    try:
        wanted = next(run)
        while True:
            wanted = run.send(caller.answer(wanted))
    except StopIteration as end:
        result: SessionResult = end.value
        return result
    finally:
        run.close()


def _start_url(path_or_url: str) -> str:
    if urlsplit(path_or_url).scheme in ("http", "https", "file"):
        return path_or_url
    return Path(path_or_url).resolve().as_uri()


# What the options mean


class BadOption(Exception):
    """An option of the command has a value that means nothing."""


def read_recording(path: Path) -> Recording:
    """The recording in a WAV file, with its real duration and size; raises `BadOption`."""
    try:
        with wave.open(str(path), "rb") as opened:
            duration_s = opened.getnframes() / opened.getframerate()
        return Recording(path.resolve().as_uri(), duration_s, path.stat().st_size)
    except OSError as error:
        raise BadOption(f"{path}: cannot be read: {error.strerror}") from error
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise BadOption(f"{path}: is not a WAV file of linear samples: {error}") from error


def caller_turns(options: Sequence[tuple[str, str] | str]) -> list[Turn]:
    """The turns of the options --dtmf, --say, --noinput and --hangup, in their order."""
    turns: list[Turn] = []
    for option in options:
        match option:
            case ("dtmf", keys):
                turns.append(Press(keys))
            case ("say", text):
                turns.append(Say(text))
            case "noinput":
                turns.append(Silence())
            case _:
                turns.append(HangUp())
    return turns


def transfer_answer(text: str) -> TransferAnswer:
    """How a transfer ends, from RESULT or RESULT:SECONDS; raises `BadOption`."""
    result, colon, seconds = text.partition(":")
    if not ends_a_transfer(result):
        known = ", ".join(TRANSFER_RESULTS)
        raise BadOption(f"{result!r} is no result of a transfer: {known} or an event error....")
    if not colon:
        return TransferAnswer(result)
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", seconds):
        raise BadOption(f"{text!r}: after the colon come seconds, not {seconds!r}")
    return TransferAnswer(result, float(seconds))


def session_variables(texts: Sequence[str]) -> dict[str, str]:
    """The session's variables, from NAME=VALUE; raises `BadOption`."""
    variables = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise BadOption(f"{text!r} is not NAME=VALUE")
        variables[name] = value
    return variables


# What is written


def _teller(output: TextIO, *, as_json: bool) -> Callable[[Happening], None]:
    write = _json_line if as_json else _line
    return lambda happening: print(write(happening), file=output)


def _json_line(happening: Happening) -> str:
    told: dict[str, Any] = {"event": happening.event, "at_s": happening.at_s}
    if happening.url and happening.event != "exit":
        told |= {"file": happening.url, "line": happening.line}
    return json.dumps(told | happening.details, ensure_ascii=False)


def _line(happening: Happening) -> str:
    """What happened, as a line for the terminal; `|` begins what a caller does not notice."""
    details = happening.details
    match happening.event:
        case "prompt":
            return str(details["text"])
        case "input":
            return _input_line(details)
        case "fetch":
            failed = f": {details['message']}" if "error" in details else ""
            return f"| fetch {details['method']} {details['url']}{failed}"
        case "log":
            label = f"{details['label']}: " if details["label"] else ""
            return f"| log {label}{details['text']}"
        case "record":
            return "[beep]" if details["beep"] else "[recording]"
        case "recorded":
            return f"[recorded {details['duration_s']:g} s, {details['size_bytes']} bytes]"
        case "transfer":
            return _transfer_line(details)
        case "disconnect":
            return "[the script hangs up]"
        case "exit":
            return _end_line(details)
        case kind:
            where = f"{urlsplit(happening.url).path.rpartition('/')[2]}:{happening.line}"
            return f"| {where}: {kind} {details['detail']}"


def _input_line(details: Mapping[str, Any]) -> str:
    match details["kind"]:
        case "dtmf":
            return f"[you press {details['keys']}]"
        case "speech":
            return f"[you say {details['text']}]"
        case "noinput":
            return "[silence]"
        case _:
            return "[you hang up]"


def _transfer_line(details: Mapping[str, Any]) -> str:
    kind = "" if details["kind"] == "bridge" else f" ({details['kind']})"
    caller = f" from {details['caller']}" if "caller" in details else ""
    lasted = f" after {details['duration_s']:g} s" if "duration_s" in details else ""
    return f"[transfer to {details['dest']}{caller}{kind}: {details['result']}{lasted}]"


def _end_line(details: Mapping[str, Any]) -> str:
    value = "" if details["value"] is None else f" with {details['value']!r}"
    ended = f"[ended: {details['reason']}{value}]"
    error = details.get("error")
    if error is None:
        return ended
    where = f"{error['file']}:{error['line']}"
    return f"[error {error['event']} at {where}: {error['message']}]\n{ended}"


class _Caller:
    """Who decides what is done: the given turns, then lines of a terminal."""

    def __init__(
        self,
        turns: Sequence[Turn],
        transfers: Sequence[TransferAnswer],
        lines: TextIO | None,
        output: TextIO | None,
    ) -> None:
        self._turns = list(turns)
        self._transfers = list(transfers)
        self._lines = lines
        self._output = output
        self._told = False

    def answer(self, wanted: Wanted) -> Answer:
        """What is done now."""
        if wanted == "transfer":
            return self._transfers.pop(0) if self._transfers else None
        if self._turns:
            return self._turns.pop(0)
        return HangUp() if self._lines is None else self._typed(self._lines)

    def _typed(self, lines: TextIO) -> Turn:
        if self._output is not None:
            if not self._told:
                self._output.write(_HELP + "\n")
            self._told = True
            self._output.write("you> ")
            self._output.flush()
        line = lines.readline()
        return typed_turn(line) if line else HangUp()


def typed_turn(line: str) -> Turn:
    """The turn a typed line means: keys, words (or `say` and words), silence, `h`."""
    words = line.split()
    keys = "".join(words).upper()
    if not words:
        return Silence()
    if keys == "H":
        return HangUp()
    if words[0] == "say" and words[1:]:
        return Say(" ".join(words[1:]))
    if set(keys) <= set(KEYS):
        return Press(keys)
    return Say(" ".join(words))


class _Fetcher:
    """Files and HTTP. A script that came over the network cannot read local files."""

    def __init__(self, client: httpx.Client, *, local: bool, recording: Path | None) -> None:
        self._client = client
        self._local = local
        self._recording = recording

    def fetch(self, effect: Fetch) -> Fetched | FetchFailed:
        """Fetch within the time and size a call would allow."""
        match urlsplit(effect.url).scheme:
            case "file" if self._local:
                return read_file(effect.url)
            case "http" | "https":
                try:
                    return self._request(effect)
                except httpx.HTTPError as error:
                    return FetchFailed("error.badfetch", f"{effect.url}: {error}")
            case scheme:
                return FetchFailed(
                    "error.badfetch", f"{effect.url}: addresses of '{scheme}' are not fetched"
                )

    def _request(self, effect: Fetch) -> Fetched | FetchFailed:
        fields = dict(effect.fields) if effect.method == "post" else None
        files = None
        if fields is not None and effect.enctype == "multipart/form-data":
            files = {name: self._part(value) for name, value in fields.items()}
            fields = None
        with self._client.stream(
            effect.method.upper(), effect.url, data=fields, files=files, timeout=effect.timeout_s
        ) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > DOCUMENT_BYTES_MAX:
                    return FetchFailed(
                        "error.badfetch", f"{effect.url} has more than {DOCUMENT_BYTES_MAX} bytes"
                    )
            content_type = response.headers.get("content-type", "")
            return Fetched(str(response.url), response.status_code, content_type, bytes(body))

    def _part(self, value: str) -> tuple[str | None, str | bytes]:
        """A part of a form: a field, or the caller's recording where the value stands for it."""
        if self._recording is not None and value == self._recording.resolve().as_uri():
            return self._recording.name, self._recording.read_bytes()
        return None, value
