"""A driver of a session that needs no phone: text for speech, turns for a caller, virtual time.

``VirtualCall.hold`` is a generator.  It performs the session's effects, tells each as a
``Happening``, and yields what it cannot know: what the caller does, how a transfer ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, assert_never, get_args
from urllib.parse import unquote, urlsplit

from lxml import etree

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
    Heard,
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
    TransferFailed,
    Transferred,
    TransferResult,
    Utterance,
)
from vxml_engine.interpreter import Trace
from vxml_engine.limits import DOCUMENT_BYTES_MAX
from vxml_engine.session import SessionResult

TRANSFER_S: Final = 60.0
"""How long the other party of a transfer stays where nothing is said of it, in seconds."""
TRANSFER_RESULTS: Final = (*get_args(TransferResult), "hangup")
"""What a transfer may end with, beside an event ``error...``: see ``ends_a_transfer``."""
_TRANSFER_FAILURES: Final = frozenset({"busy", "noanswer", "network_busy", "unknown"})
_TAGS: Final = re.compile(r"<[^>]*>")


# --- What the caller and the other party do


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys; into a recording: speak, then press them."""

    keys: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text, which the recognizer hears with ``confidence`` (0 to 1)."""

    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Silence:
    """Say and press nothing."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Hang up."""


Turn = Press | Say | Silence | HangUp


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """How a transfer ends: one of ``TRANSFER_RESULTS`` or an event ``error.*``, after seconds."""

    result: str = "far_end_disconnect"
    duration_s: float = TRANSFER_S


@dataclass(frozen=True, slots=True)
class Recording:
    """What the caller leaves in a recording; ``reference`` is an address to play."""

    reference: str = "file:///recording"
    duration_s: float = 3.0
    size_bytes: int = 24_000


Wanted = Literal["turn", "transfer"]
"""What the driver asks for: a ``Turn``, or a ``TransferAnswer``."""
Answer = Turn | TransferAnswer | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, ``at_s`` after the call began, near ``line`` of ``url``."""

    event: str
    details: dict[str, Any]
    at_s: float
    url: str
    line: int


class VirtualCall:
    """One call.  ``fetch`` gets documents, ``tell`` is told all that happens.

    The session's ``observer`` is to be ``observe``, so that its steps are told as well.
    """

    def __init__(
        self,
        fetch: Callable[[Fetch], Fetched | FetchFailed],
        tell: Callable[[Happening], None],
        recording: Recording | None = None,
    ) -> None:
        self._fetch_document = fetch
        self._tell_happening = tell
        self.recording = recording or Recording()
        """What the caller leaves in the next recording."""
        self._now_s = 0.0
        self._ahead = ""
        self._url, self._line = "", 0

    def observe(self, trace: Trace) -> None:
        """Take a step of the session."""
        self._url, self._line = trace.url, trace.line
        kind = "result" if trace.kind == "input" else trace.kind
        self._tell(kind, detail=trace.detail)

    def hold(
        self, run: Generator[Effect, Outcome, SessionResult]
    ) -> Generator[Wanted, Answer, SessionResult]:
        """Hold the call of a session's run to its end, which is told as the event ``exit``."""
        outcome: Outcome = None
        try:
            while True:
                outcome = yield from self._perform(run.send(outcome))
        except StopIteration as end:
            result: SessionResult = end.value
        finally:
            run.close()
        self.end(result)
        return result

    def end(self, result: SessionResult) -> None:
        """Tell the end."""
        self._tell("exit", **_ending(result))

    def retell(self, effect: Effect, outcome: Outcome) -> None:
        """Tell what came of an effect elsewhere, as a journal has it."""
        match effect:
            case Collect(prompts=prompts) | Record(prompts=prompts) | Transfer(prompts=prompts):
                self._say(prompts)
            case Play(prompts):
                self._say(prompts)
            case Disconnect(values):
                self._tell("disconnect", values=values)
            case Log(label, text):
                self._tell("log", label=label, text=text)
        match outcome:
            case Fetched() | FetchFailed() if isinstance(effect, Fetch):
                self._tell_fetch(effect, outcome)
            case Collected(kind="noinput"):
                self._tell("input", kind="noinput")
            case Collected(keys=keys):
                self._tell("input", kind="dtmf", keys=keys)
            case Heard(utterances):
                text = utterances[0].text if utterances else ""
                self._tell("input", kind="speech", text=text)
            case Recorded(duration_s=duration_s, size_bytes=size_bytes):
                self._tell("recorded", duration_s=duration_s, size_bytes=size_bytes)
            case InputFailed(event):
                self._tell("input", kind=event)
            case HungUp() if not isinstance(effect, Transfer):
                self._tell("input", kind="hangup")
            case Transferred() | HandedOver() | TransferFailed() | HungUp():
                assert isinstance(effect, Transfer), "only a transfer ends like one"
                self._tell_transfer(effect, outcome)

    def _tell(self, event: str, **details: Any) -> None:
        self._tell_happening(Happening(event, details, self._now_s, self._url, self._line))

    def _perform(self, effect: Effect) -> Generator[Wanted, Answer, Outcome]:
        match effect:
            case Fetch():
                return self._fetch(effect)
            case Play(prompts):
                self._say(prompts)
                return Played()
            case Collect():
                return (yield from self._collect(effect))
            case Record():
                return (yield from self._record(effect))
            case Transfer():
                return (yield from self._transfer(effect))
            case Disconnect(values):
                self._tell("disconnect", values=values)
                return Disconnected()
            case Log(label, text):
                self._tell("log", label=label, text=text)
                return None
            case _:
                assert_never(effect)

    def _fetch(self, effect: Fetch) -> Fetched | FetchFailed:
        outcome = self._fetch_document(effect)
        self._tell_fetch(effect, outcome)
        return outcome

    def _tell_fetch(self, effect: Fetch, outcome: Fetched | FetchFailed) -> None:
        match outcome:
            case Fetched(status=status):
                self._tell("fetch", method=effect.method, url=effect.url, status=status)
            case FetchFailed(event, message):
                self._tell(
                    "fetch", method=effect.method, url=effect.url, error=event, message=message
                )

    def _say(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            self._tell("prompt", text=spoken_text(prompt.segments), bargein=prompt.bargein)

    def _turn(self) -> Generator[Wanted, Answer, Turn]:
        turn = yield "turn"
        match turn:
            case Press(keys):
                self._tell("input", kind="dtmf", keys=keys)
            case Say(text, confidence):
                self._tell("input", kind="speech", text=text, confidence=confidence)
            case Silence():
                self._tell("input", kind="noinput")
            case HangUp():
                self._tell("input", kind="hangup")
            case _:
                raise TypeError(f"the caller's turn is wanted, not {turn!r}")
        return turn

    def _collect(self, effect: Collect) -> Generator[Wanted, Answer, Collected | Heard | HungUp]:
        """Keys left over from the turn before are typed ahead, into the prompts."""
        self._say(effect.prompts)
        collector = effect.collector()
        ahead, self._ahead = self._ahead, ""
        self._ahead = _press(collector, ahead, self._now_s)
        if collector.result is not None:
            return collector.result
        collector.prompts_ended(self._now_s)
        keys = ""
        match (yield from self._turn()):
            case HangUp():
                return HungUp()
            case Say(text, confidence) if effect.speech:
                return Heard((Utterance(text, confidence),))
            case Press(pressed):
                keys = pressed
            case Say() | Silence():
                # Where no grammar listens to speech, it is as good as silence.
                pass
        self._ahead += _press(collector, keys, self._now_s)
        return self._wait(collector)

    def _wait(self, collector: InputCollector) -> Collected:
        """Let the time pass until the input has ended."""
        self._now_s = collector.run_out(self._now_s)
        assert collector.result is not None, "the input has run out"
        return collector.result

    def _record(self, effect: Record) -> Generator[Wanted, Answer, Outcome]:
        self._say(effect.prompts)
        self._tell("record", beep=effect.beep, max_time_s=effect.max_time_s)
        turn = yield from self._turn()
        match turn:
            case HangUp():
                return HungUp()
            case Silence():
                return InputFailed("noinput")
        recorded = self._recorded(effect.max_time_s)
        self._now_s += recorded.duration_s
        if isinstance(turn, Press) and not recorded.max_time:
            recorded = self._ended_by_keys(effect, recorded, turn.keys)
        self._tell("recorded", duration_s=recorded.duration_s, size_bytes=recorded.size_bytes)
        return recorded

    def _recorded(self, max_time_s: float) -> Recorded:
        left = self.recording
        if not 0 < max_time_s < left.duration_s:
            return Recorded(left.reference, left.duration_s, left.size_bytes)
        size_bytes = round(left.size_bytes * max_time_s / left.duration_s)
        return Recorded(left.reference, max_time_s, size_bytes, max_time=True)

    def _ended_by_keys(self, effect: Record, recorded: Recorded, keys: str) -> Recorded:
        collector = InputCollector(effect.networks, effect.settings, ())
        collector.prompts_ended(self._now_s)
        if effect.networks:
            left = _press(collector, keys, self._now_s)
            collected = self._wait(collector)
            if collected.kind == "match":
                self._ahead += left
                return replace(recorded, keys=collected.keys, grammar=collected.grammar)
        if effect.dtmf_term:
            self._ahead += keys[1:]
            return replace(recorded, term_char=keys[0])
        return recorded

    def _transfer(self, effect: Transfer) -> Generator[Wanted, Answer, Outcome]:
        self._say(effect.prompts)
        answer = yield "transfer"
        if answer is not None and not isinstance(answer, TransferAnswer):
            raise TypeError(f"a transfer's answer is wanted, not {answer!r}")
        outcome = _transferred(effect, answer or TransferAnswer())
        self._tell_transfer(effect, outcome)
        return outcome

    def _tell_transfer(
        self, effect: Transfer, outcome: Transferred | HandedOver | TransferFailed | HungUp
    ) -> None:
        details: dict[str, Any] = {"dest": effect.dest, "kind": effect.kind}
        if effect.caller:
            details["caller"] = effect.caller
        match outcome:
            case Transferred(result, duration_s):
                self._now_s += duration_s
                details |= {"result": result, "duration_s": duration_s}
            case HungUp(duration_s):
                self._now_s += duration_s
                details |= {"result": "hangup", "duration_s": duration_s}
            case HandedOver():
                details["result"] = "handed over"
            case TransferFailed(event):
                details["result"] = event
        self._tell("transfer", **details)


def ends_a_transfer(result: str) -> bool:
    """Whether ``result`` is one of ``TRANSFER_RESULTS`` or an event ``error...``."""
    return result in TRANSFER_RESULTS or result.startswith("error.")


def _transferred(
    effect: Transfer, answer: TransferAnswer
) -> Transferred | HandedOver | TransferFailed | HungUp:
    result, duration_s = answer.result, answer.duration_s
    if not ends_a_transfer(result):
        raise ValueError(f"{result} is no result of a transfer")
    if result not in TRANSFER_RESULTS:
        return TransferFailed(result, f"{effect.dest} cannot be reached")
    if result in _TRANSFER_FAILURES:
        duration_s = 0.0
    elif 0 < effect.max_time_s < duration_s:
        result, duration_s = "maxtime_disconnect", effect.max_time_s
    if result == "hangup":
        return HungUp(duration_s)
    told = effect.kind == "bridge" or (
        effect.kind == "consultation" and result in _TRANSFER_FAILURES
    )
    if not told:
        return HandedOver()
    return Transferred(result, duration_s)  # type: ignore[arg-type]  # one of TRANSFER_RESULTS


def _press(collector: InputCollector, keys: str, now_s: float) -> str:
    """Press keys until the input has ended; returns those not needed any more."""
    while keys and collector.result is None:
        collector.digit(keys[0], now_s)
        keys = keys[1:]
    return keys


def _ending(result: SessionResult) -> dict[str, Any]:
    ending: dict[str, Any] = {"reason": result.reason, "value": result.value}
    if result.error is not None:
        error = result.error
        ending["error"] = {
            "event": error.event,
            "message": error.message,
            "file": error.url,
            "line": error.line,
        }
    return ending


# --- Files


def read_file(url: str) -> Fetched | FetchFailed:
    """What a ``file:`` address has, as far as a document may be long."""
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
