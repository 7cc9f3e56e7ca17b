"""A conversation with a script, as a transcript: what was said, pressed, fetched, how it ended.

Documents are given by name; ``start.vxml`` is the first one.  A document that does not begin
with an element of its own is put inside ``<vxml>``.  The lines of a transcript::

    script: Enter your PIN.            one prompt; a recording is [http://test/a.wav]
    caller: 1234                       also (silence), (hangs up)
    caller: say yes (0.7) | no (0.4)   speech: what it may have been, and how sure that is
    caller: 1 @here 300                the last mark that was played, and milliseconds since
    caller: [prompt 1] 5 [end] 1 [3] 2 keys while the first prompt is played, keys after the last
                                       one has ended, and seconds between keys
    caller: (speaks 5)                 into a recording; also (speaks 5 #), (speaks 5 maxtime),
                                       (speaks 5 hangs up), and an event: (maxspeechtimeout)
    transfer: conf:12a34b -> busy 3    the outcome; an event; over; or hangup, with the duration
    fetch: POST next.vxml a=1          every fetch but the first; -> 404 for what is not there
    fetch: a.vxml (timeout=3 maxage=60 maxstale=0 audio=http://test/a.wav,2,5)
                                       where the document says how: seconds; what is played
                                       meanwhile, after which delay and for how long at least
    log: label: text
    record: beep 60 4 #                max time, final silence, whether any key ends it
    disconnect: {"a": 1}
    end: exit 4                        reason and value; for an error, the event

``shows`` asks for more::

    listens: timeout=3 termchar=*      "settings": how it listens, where not as the platform does
    ended: 3.5                         "timing": seconds from the prompts' end to an input's end
    script: [http://test/a.wav (maxage=5)]
    fetch: a.vxml (maxage=5 prefetch)  "caching": how a recording is fetched, what may be early

The lines of the caller and the outcomes of transfers are read from the transcript that is
expected, the rest is what happened.  Time is virtual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from vxml_engine.cache import DocumentCache
from vxml_engine.collector import Collected, InputCollector, Mark
from vxml_engine.effects import (
    AudioFile,
    Caching,
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
    Utterance,
)
from vxml_engine.interpreter import Observer
from vxml_engine.properties import PLATFORM_DEFAULTS, parse_time
from vxml_engine.session import Connection, Session, SessionResult

BASE = "http://test/"
EFFECTS_MAX = 5_000
FETCH_TIMEOUT_S = 10.0


def document(text: str, name: str = "", encoding: str = "utf-8") -> bytes:
    """A whole document, from a whole one or the inside of ``<vxml>``; data stays as it is."""
    text = text.strip()
    if name.endswith((".xml", ".json", ".js", ".gram")):
        return text.encode(encoding)
    if not text.startswith(("<?xml", "<!DOCTYPE", "<vxml", "<grammar", "//")):
        text = (
            '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"'
            f' xmlns:vm="urn:voicemashup">\n{text}\n</vxml>'
        )
    return text.encode(encoding)


def spoken(segments: tuple[Segment, ...], *, caching: bool = False) -> str:
    """The text of a prompt, with its elements of SSML; with ``caching``, how audio is fetched."""
    texts = []
    for segment in segments:
        match segment:
            case Speech(ssml):
                texts.append(ssml)
            case AudioFile(url, fallback, manner):
                how = _told(_cached(manner)) if caching else ""
                inside = f" | {spoken(fallback, caching=caching)}" if fallback else ""
                texts.append(f"[{url}{how}{inside}]")
    return " ".join(texts)


class Conversation:
    """One session, driven by the caller's lines of an expected transcript."""

    def __init__(
        self,
        documents: Mapping[str, str],
        expected: str = "",
        *,
        variables: Mapping[str, str] | None = None,
        observer: Observer | None = None,
        cache: DocumentCache | None = None,
        lenient: bool = False,
        encodings: Mapping[str, str] | None = None,
        answers: Mapping[str, int | str] | None = None,
        shows: Collection[str] = (),
    ) -> None:
        """``answers``: by a document's name the status, the event of a fetch that fails, or the
        name of the document that it is redirected to.
        """
        written = encodings or {}
        self.documents = {
            BASE + name: document(text, name, written.get(name, "utf-8"))
            for name, text in documents.items()
        }
        self._answers = {BASE + name: answer for name, answer in (answers or {}).items()}
        self._shows = frozenset(shows)
        lines = [line.strip() for line in expected.strip().splitlines()]
        self._turns = [line.removeprefix("caller: ") for line in lines if line[:7] == "caller:"]
        self._transfers = [line.partition(" -> ")[2] for line in lines if line[:9] == "transfer:"]
        self.lines: list[str] = []
        self.effects: list[Effect] = []
        self.result: SessionResult | None = None
        self._session = Session(
            start_url=BASE + "start.vxml",
            connection=Connection("sip:called@test", "sip:caller@test", call_id="call-1"),
            documents=cache or DocumentCache(),
            variables=variables,
            observer=observer,
            recognizes=any(turn.startswith("say ") for turn in self._turns),
            lenient=lenient,
        )

    @property
    def transcript(self) -> str:
        """What happened, line by line."""
        return "\n".join(self.lines)

    def run(self) -> SessionResult:
        """Hold the conversation; afterwards ``transcript`` and ``effects`` tell it."""
        run = self._session.run()
        outcome: Outcome = None
        try:
            while True:
                effect = run.send(outcome)
                self.effects.append(effect)
                assert len(self.effects) < EFFECTS_MAX, "the session does not end"
                outcome = self._perform(effect)
        except StopIteration as end:
            result: SessionResult = end.value
        self.result = result
        if result.error is not None:
            self.lines.append(f"end: {result.reason} {result.error.event}")
        else:
            value = "" if result.value is None else " " + json.dumps(result.value)
            self.lines.append(f"end: {result.reason}{value}")
        return result

    def _perform(self, effect: Effect) -> Outcome:
        match effect:
            case Fetch():
                return self._fetch(effect)
            case Play(prompts):
                self._say(prompts)
                return Played()
            case Collect():
                self._say(effect.prompts)
                return self._collect(effect)
            case Record():
                self._say(effect.prompts)
                return self._record(effect)
            case Transfer():
                self._say(effect.prompts)
                return self._transfer(effect)
            case Disconnect(values):
                self.lines.append(f"disconnect: {json.dumps(values)}".replace(": {}", ":"))
                return Disconnected()
            case Log(label, text):
                self.lines.append(f"log: {label}: {text}" if label else f"log: {text}")
                return None

    def _fetch(self, effect: Fetch) -> Outcome:
        page = effect.url.partition("?")[0]
        status = self._answers.get(page, 200 if page in self.documents else 404)
        if len(self.effects) > 1:
            name = effect.url.removeprefix(BASE)
            method = "" if effect.method == "get" else "POST "
            fields = "&".join(f"{key}={value}" for key, value in effect.fields)
            line = f"fetch: {method}{name} {fields}".strip()
            line += _manner(effect, caching="caching" in self._shows)
            self.lines.append(line if status == 200 else f"{line} -> {status}")
        if isinstance(status, str) and BASE + status in self.documents:
            return Fetched(BASE + status, 200, "", self.documents[BASE + status])
        if isinstance(status, str):
            return FetchFailed(status, "it cannot be fetched")
        kind = "application/json" if page.endswith(".json") else ""
        return Fetched(effect.url, status, kind, self.documents.get(page, b""))

    def _say(self, prompts: tuple[Prompt, ...]) -> None:
        for prompt in prompts:
            kept = "" if prompt.bargein else " (no barge-in)"
            hotword = " (hotword)" if prompt.hotword else ""
            text = spoken(prompt.segments, caching="caching" in self._shows)
            self.lines.append(f"script: {text}{kept}{hotword}")

    def _next_turn(self) -> str:
        turn = self._turns.pop(0) if self._turns else "(hangs up)"
        self.lines.append(f"caller: {turn}")
        return turn

    def _collect(self, effect: Collect) -> Outcome:
        if "settings" in self._shows:
            self.lines.append(f"listens: {_settings(effect)}".strip())
        turn = self._next_turn()
        turn, mark = _mark(turn)
        if turn == "(hangs up)":
            return HungUp()
        if turn.startswith("say "):
            return Heard(tuple(map(_utterance, turn.removeprefix("say ").split(" | "))), mark)
        if turn[0] == "(" and turn != "(silence)":
            return InputFailed(turn.strip("()"))
        result, ended_s = _press(effect.collector(), "" if turn == "(silence)" else turn)
        if "timing" in self._shows:
            self.lines.append(f"ended: {ended_s:g}")
        return replace(result, mark=mark)

    def _record(self, effect: Record) -> Outcome:
        beep = "beep " if effect.beep else ""
        term = " #" if effect.dtmf_term else ""
        kind = f" {effect.media_type}" if effect.media_type else ""
        self.lines.append(
            f"record: {beep}{effect.max_time_s:g} {effect.final_silence_s:g}{term}{kind}"
        )
        turn = self._next_turn()
        spoken = re.fullmatch(r"\(speaks ([\d.]+) ?(.*)\)", turn)
        if spoken is None:
            if turn == "(hangs up)":
                return HungUp()
            return InputFailed("noinput" if turn == "(silence)" else turn.strip("()"))
        duration_s, end = float(spoken[1]), spoken[2]
        recorded = Recorded(
            reference="recording:1",
            duration_s=duration_s,
            size_bytes=int(8000 * duration_s),
            max_time=end == "maxtime",
            hung_up=end == "hangs up",
        )
        if not end or recorded.max_time or recorded.hung_up:
            return recorded
        collector = InputCollector(effect.networks, effect.settings, ())
        collected, _ = _press(collector, end)
        if collected.kind == "match":
            return replace(recorded, keys=collected.keys, grammar=collected.grammar)
        return replace(recorded, term_char=end[0] if effect.dtmf_term else "")

    def _transfer(self, effect: Transfer) -> Outcome:
        answer = self._transfers.pop(0) if self._transfers else "far_end_disconnect 60"
        kind = "" if effect.kind == "bridge" else f"({effect.kind}) "
        caller = f" from {effect.caller}" if effect.caller else ""
        self.lines.append(f"transfer: {kind}{effect.dest}{caller} -> {answer}")
        match = re.fullmatch(r"(\S+)(?: ([\d.]+))?(?: (\S+))?", answer)
        assert match is not None, answer
        duration_s = float(match[2] or 0)
        if match[1] == "hangup":
            return HungUp(duration_s)
        if match[1] == "over":
            return HandedOver()
        if match[1].startswith("error."):
            return TransferFailed(match[1], "the platform says no")
        return Transferred(match[1], duration_s, match[3] or "")  # type: ignore[arg-type]


def _mark(turn: str) -> tuple[str, Mark | None]:
    match = re.fullmatch(r"(.*) @(\S+) (\d+)", turn)
    return (match[1], Mark(match[2], int(match[3]) / 1000)) if match else (turn, None)


def _manner(fetch: Fetch, *, caching: bool) -> str:
    """How it is fetched, where a document says so; nothing for the platform's own manner."""
    told = {
        "timeout": None if fetch.timeout_s == FETCH_TIMEOUT_S else f"{fetch.timeout_s:g}",
        **_cached(replace(fetch.caching, prefetch=caching and fetch.caching.prefetch)),
        "audio": fetch.audio and f"{fetch.audio},{fetch.audio_delay_s:g},{fetch.audio_minimum_s:g}",
    }
    return _told(told)


def _cached(caching: Caching) -> dict[str, str | None]:
    return {
        "maxage": None if caching.maxage_s is None else f"{caching.maxage_s:g}",
        "maxstale": None if caching.maxstale_s is None else f"{caching.maxstale_s:g}",
        "prefetch": "" if caching.prefetch else None,
    }


def _told(told: Mapping[str, str | None]) -> str:
    """`` (name=value name)``; nothing when all values are None."""
    words = [
        f"{name}={value}" if value else name for name, value in told.items() if value is not None
    ]
    return f" ({' '.join(words)})" if words else ""


def _settings(effect: Collect) -> str:
    """The properties of an input that are not the platform's own; times in seconds."""
    told = []
    names = "timeout interdigittimeout termtimeout termchar"
    for settings, chosen in ((effect.settings, names), (effect.speech_settings, SPEECH_SETTINGS)):
        for name in chosen.split():
            value = getattr(settings, name if hasattr(settings, name) else f"{name}_s")
            default = PLATFORM_DEFAULTS.get(name, "")
            usual = parse_time(default) if isinstance(value, float) else None
            if str(value) != default and value != (_number(default) if usual is None else usual):
                told.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    return " ".join(told)


SPEECH_SETTINGS = (
    "completetimeout incompletetimeout maxspeechtimeout confidencelevel sensitivity"
    " speedvsaccuracy maxnbest"
)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[\d.]+", text) else None


def _utterance(text: str) -> Utterance:
    match = re.fullmatch(r"(.*) \(([\d.]+)\)", text)
    return Utterance(match[1], float(match[2])) if match else Utterance(text)


def _press(collector: InputCollector, turn: str) -> tuple[Collected, float]:
    """What the keys of a turn come to, and when: seconds since the prompts have ended."""
    now = 0.0
    if not turn.startswith("[prompt"):
        collector.prompts_ended(now)
    for said in re.findall(r"\[[^]]*\]|[^\s\[]", turn):
        if said[0] != "[":
            collector.digit(said, now)
        elif said == "[end]":
            collector.prompts_ended(now)
        elif said.startswith("[prompt"):
            collector.prompt_started(int(said.strip("[]").removeprefix("prompt ")) - 1)
        else:
            now = _wait(collector, now, float(said.strip("[]")))
        if collector.result is not None:
            return collector.result, now
    now = collector.run_out(now)
    assert collector.result is not None
    return collector.result, now


def _wait(collector: InputCollector, now: float, seconds: float) -> float:
    """Let time pass; it stops where the input ends."""
    end = now + seconds
    while (due := collector.get_timer()) is not None and due <= end:
        collector.handle_timer(due)
        if collector.result is not None:
            return due
    return end


def converse(documents: Mapping[str, str] | str, expected: str = "") -> Conversation:
    """Hold a whole conversation; ``documents`` may be the start document alone."""
    if isinstance(documents, str):
        documents = {"start.vxml": documents}
    conversation = Conversation(documents, expected)
    conversation.run()
    return conversation
