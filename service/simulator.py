"""A script in the terminal: text for speech, typed keys for DTMF, and what happens meanwhile.

Another driver of the same session as a call's. Time is virtual: nobody waits for a timeout.
"""

import re
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Final, Literal, TextIO, assert_never
from urllib.parse import unquote, urlsplit

import httpx
from lxml import etree

from vxml_engine.cache import DocumentCache
from vxml_engine.collector import Collected, InputCollector
from vxml_engine.effects import (
    AudioFile,
    Collect,
    Disconnect,
    Disconnected,
    Effect,
    Fetch,
    Fetched,
    FetchFailed,
    HandedOver,
    HungUp,
    InputFailed,
    Log,
    Outcome,
    Play,
    Played,
    Prompt,
    Record,
    Recorded,
    Segment,
    Speech,
    Transfer,
    Transferred,
)
from vxml_engine.interpreter import Trace
from vxml_engine.limits import DOCUMENT_BYTES_MAX
from vxml_engine.parser import Prepare
from vxml_engine.session import Connection, Session, SessionResult

Turn = tuple[Literal["dtmf"], str] | Literal["noinput", "hangup"]
"""What the caller does at one input: press keys, stay silent, or hang up."""

KEYS: Final = "0123456789*#ABCD"
RECORDING_S: Final = 3.0
"""How long a simulated recording is, in virtual seconds."""
TRANSFER_S: Final = 60.0
"""How long the other party of a simulated transfer stays, in virtual seconds."""

_HELP: Final = "[type keys; an empty line is silence; h hangs up]"
_TAGS: Final = re.compile(r"<[^>]*>")


def run_script(
    path_or_url: str,
    *,
    turns: Sequence[Turn] = (),
    output: TextIO,
    input: TextIO | None = None,  # noqa: A002 - the pair of output
    prepare: Prepare | None = None,
    trace: bool = True,
) -> SessionResult:
    """Run a script and write what a caller would hear to `output`; return how it ended.

    The caller does `turns` in order. Then keys are read from `input`, a line an
    input; without `input`, or at its end, the caller hangs up. With `trace`, lines
    beginning with `|` tell of fetches, gotos, events, logs and transfers. A script that
    cannot be read or compiled ends with the reason `error`.
    """
    start_url = _start_url(path_or_url)
    caller = _Caller(turns, input, output)
    observer = _tracer(output) if trace else None
    session = Session(
        start_url=start_url,
        connection=Connection(local_uri="sip:script@localhost", remote_uri="sip:you@localhost"),
        documents=DocumentCache(prepare),
        observer=observer,
    )
    with httpx.Client(follow_redirects=True, max_redirects=5) as client:
        fetcher = _Fetcher(client, local=start_url.startswith("file:"))
        run = session.run()
        try:
            result = _drive(run, _Driver(fetcher, caller, output, trace=trace))
        finally:
            run.close()
    _tell_end(result, output)
    return result


def _start_url(path_or_url: str) -> str:
    if urlsplit(path_or_url).scheme in ("http", "https", "file"):
        return path_or_url
    return Path(path_or_url).resolve().as_uri()


def _drive(run: Generator[Effect, Outcome, SessionResult], driver: "_Driver") -> SessionResult:
    outcome: Outcome = None
    while True:
        try:
            effect = run.send(outcome)
        except StopIteration as end:
            result: SessionResult = end.value
            return result
        outcome = driver.perform(effect)


def _tracer(output: TextIO) -> Callable[[Trace], None]:
    def tell(trace: Trace) -> None:
        where = f"{urlsplit(trace.url).path.rpartition('/')[2]}:{trace.line}"
        output.write(f"| {where}: {trace.kind} {trace.detail}\n")

    return tell


def _tell_end(result: SessionResult, output: TextIO) -> None:
    if result.error is not None:
        error = result.error
        output.write(f"[error {error.event} at {error.url}:{error.line}: {error.message}]\n")
    value = "" if result.value is None else f" with {result.value!r}"
    output.write(f"[ended: {result.reason}{value}]\n")


class _Caller:
    """Who decides what is pressed: the given turns, then lines of a terminal."""

    def __init__(self, turns: Sequence[Turn], lines: TextIO | None, output: TextIO) -> None:
        self._turns = list(turns)
        self._lines = lines
        self._output = output
        self._told = False

    def next_turn(self) -> Turn:
        """What the caller does at this input."""
        if self._turns:
            return self._turns.pop(0)
        if self._lines is None:
            return "hangup"
        if not self._told:
            self._told = True
            self._output.write(_HELP + "\n")
        while True:
            self._output.write("keys> ")
            self._output.flush()
            line = self._lines.readline()
            keys = "".join(line.split()).upper()
            if not line or keys == "H":
                return "hangup"
            if not keys:
                return "noinput"
            if all(key in KEYS for key in keys):
                return ("dtmf", keys)
            self._output.write(f"[keys are {KEYS}]\n")


class _Driver:
    """Performs a session's effects with text."""

    def __init__(
        self, fetcher: "_Fetcher", caller: _Caller, output: TextIO, *, trace: bool
    ) -> None:
        self._fetcher = fetcher
        self._caller = caller
        self._output = output
        self._trace = trace
        self._ahead = ""

    def perform(self, effect: Effect) -> Outcome:
        """Do what the session asks for; return what came of it."""
        match effect:
            case Fetch():
                self._tell(f"fetch {effect.method} {effect.url}")
                return self._fetcher.fetch(effect)
            case Play(prompts):
                self._say(prompts)
                return Played()
            case Collect():
                return self._collect(effect)
            case Record():
                return self._record(effect)
            case Transfer():
                return self._transfer(effect)
            case Disconnect():
                self._output.write("[the script hangs up]\n")
                return Disconnected()
            case Log(label, text):
                self._tell(f"log {label}: {text}" if label else f"log {text}")
                return None
            case _:
                assert_never(effect)

    def _tell(self, line: str) -> None:
        if self._trace:
            self._output.write(f"| {line}\n")

    def _say(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            self._output.write(spoken_text(prompt.segments) + "\n")

    def _collect(self, effect: Collect) -> Collected | HungUp:
        """Keys left over from the turn before are typed ahead, into the prompts."""
        self._say(effect.prompts)
        collector = effect.collector()
        ahead, self._ahead = self._ahead, ""
        used = 0
        while used < len(ahead) and collector.result is None:
            collector.digit(ahead[used], 0.0)
            used += 1
        self._ahead = ahead[used:]
        if collector.result is not None:
            return collector.result
        collector.prompts_ended(0.0)
        keys = ""
        match self._caller.next_turn():
            case "hangup":
                self._output.write("[you hang up]\n")
                return HungUp()
            case "noinput":
                self._output.write("[silence]\n")
            case ("dtmf", keys):
                self._output.write(f"[you press {keys}]\n")
        collected, left = _press(collector, keys)
        self._ahead += left
        return collected

    def _record(self, effect: Record) -> Recorded | InputFailed | HungUp:
        """A recording without sound: the keys typed end it."""
        self._say(effect.prompts)
        if effect.beep:
            self._output.write("[beep]\n")
        match self._caller.next_turn():
            case "hangup":
                self._output.write("[you hang up]\n")
                return HungUp()
            case "noinput":
                self._output.write("[silence]\n")
                return InputFailed("noinput")
            case ("dtmf", keys):
                self._output.write(f"[you speak, then press {keys}]\n")
                term_char = keys[0] if effect.dtmf_term else ""
                return Recorded("file:///recording", RECORDING_S, 0, term_char)

    def _transfer(self, effect: Transfer) -> Transferred | HandedOver:
        self._say(effect.prompts)
        kind = "" if effect.kind == "bridge" else f" ({effect.kind})"
        caller = f" from {effect.caller}" if effect.caller else ""
        self._output.write(f"[transfer to {effect.dest}{caller}{kind}]\n")
        if effect.kind != "bridge":
            return HandedOver()
        if 0 < effect.max_time_s < TRANSFER_S:
            return Transferred("maxtime_disconnect", effect.max_time_s)
        return Transferred("far_end_disconnect", TRANSFER_S)


def _press(collector: InputCollector, keys: str) -> tuple[Collected, str]:
    """Press keys, then wait for what comes of it; also returns the keys not needed any more."""
    while keys and collector.result is None:
        collector.digit(keys[0], 0.0)
        keys = keys[1:]
    while collector.result is None:
        due = collector.get_timer()
        assert due is not None, "a collector without a result waits for something"
        collector.handle_timer(due)
    return collector.result, keys


class _Fetcher:
    """Files and HTTP. A script that came over the network cannot read local files."""

    def __init__(self, client: httpx.Client, *, local: bool) -> None:
        self._client = client
        self._local = local

    def fetch(self, effect: Fetch) -> Fetched | FetchFailed:
        """Fetch within the time and size a call would allow."""
        match urlsplit(effect.url).scheme:
            case "file" if self._local:
                return _read_file(effect.url)
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
            files = {name: (None, value) for name, value in fields.items()}
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


def _read_file(url: str) -> Fetched | FetchFailed:
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as file:
            body = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        return FetchFailed("error.badfetch", f"{path}: {error.strerror}")
    return Fetched(url, 200, "", body)


# --- Speech as text


def spoken_text(segments: Sequence[Segment]) -> str:
    """What the segments of a prompt say, as one line of text."""
    return " ".join(filter(None, map(_segment_text, segments)))


def _segment_text(segment: Segment) -> str:
    match segment:
        case Speech(ssml):
            try:
                words = _speech_text(etree.fromstring(f"<speak>{ssml}</speak>"))
            except etree.XMLSyntaxError:
                words = _TAGS.sub(" ", ssml)
            return " ".join(words.split())
        case AudioFile(url, _):
            return f"[audio {url}]"


def _speech_text(element: etree._Element) -> str:
    inside = element.get("alias") if element.tag == "sub" else None
    if inside is None:
        inside = (element.text or "") + "".join(map(_speech_text, element))
    space = " " if element.tag in ("break", "p", "s") else ""
    return space + inside + space + (element.tail or "")
