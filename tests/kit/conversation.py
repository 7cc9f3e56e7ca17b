"""A conversation with a script, as a transcript: what was said, pressed, fetched, how it ended.

Documents are given by name; ``start.vxml`` is the first one.  A document that does not begin
with an element of its own is put inside ``<vxml>``.  The lines of a transcript::

    script: Enter your PIN.            one prompt; a recording is [http://test/a.wav]
    caller: 1234                       also (silence), (hangs up)
    transfer: conf:12a34b -> busy 3    the outcome; an event; or hangup, with the duration
    fetch: POST next.vxml a=1          every fetch but the first; -> 404 for what is not there
    log: label: text
    disconnect: {"a": 1}
    end: exit 4                        reason and value; for an error, the event

The lines of the caller and the outcomes of transfers are read from the transcript that is
expected, the rest is what happened.  Time is virtual.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from vxml_engine.cache import DocumentCache
from vxml_engine.effects import (
    AudioFile,
    Collect,
    Disconnect,
    Disconnected,
    Effect,
    Fetch,
    Fetched,
    HungUp,
    Log,
    Outcome,
    Play,
    Played,
    Prompt,
    Segment,
    Speech,
    Transfer,
    TransferFailed,
    Transferred,
)
from vxml_engine.interpreter import Observer
from vxml_engine.session import Connection, Session, SessionResult

BASE = "http://test/"
EFFECTS_MAX = 5_000


def document(text: str) -> bytes:
    """A whole document, from a whole one or the inside of ``<vxml>``."""
    text = text.strip()
    if not text.startswith(("<?xml", "<!DOCTYPE", "<vxml", "<grammar", "//")):
        text = (
            '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"'
            f' xmlns:vm="urn:voicemashup">\n{text}\n</vxml>'
        )
    return text.encode()


def spoken(segments: tuple[Segment, ...]) -> str:
    """The text of a prompt, with its elements of SSML."""
    texts = []
    for segment in segments:
        match segment:
            case Speech(ssml):
                texts.append(ssml)
            case AudioFile(url, fallback):
                inside = f" | {spoken(fallback)}" if fallback else ""
                texts.append(f"[{url}{inside}]")
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
    ) -> None:
        self.documents = {BASE + name: document(text) for name, text in documents.items()}
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
        status = 200 if page in self.documents else 404
        if len(self.effects) > 1:
            name = effect.url.removeprefix(BASE)
            method = "" if effect.method == "get" else "POST "
            fields = "&".join(f"{key}={value}" for key, value in effect.fields)
            line = f"fetch: {method}{name} {fields}".strip()
            self.lines.append(line if status == 200 else f"{line} -> {status}")
        return Fetched(effect.url, status, "", self.documents.get(page, b""))

    def _say(self, prompts: tuple[Prompt, ...]) -> None:
        for prompt in prompts:
            kept = "" if prompt.bargein else " (no barge-in)"
            self.lines.append(f"script: {spoken(prompt.segments)}{kept}")

    def _collect(self, effect: Collect) -> Outcome:
        turn = self._turns.pop(0) if self._turns else "(hangs up)"
        self.lines.append(f"caller: {turn}")
        if turn == "(hangs up)":
            return HungUp()
        collector = effect.collector()
        collector.prompts_ended(0.0)
        for key in "" if turn == "(silence)" else turn:
            collector.digit(key, 0.0)
        while collector.result is None:
            due = collector.get_timer()
            assert due is not None
            collector.handle_timer(due)
        return collector.result

    def _transfer(self, effect: Transfer) -> Outcome:
        answer = self._transfers.pop(0) if self._transfers else "far_end_disconnect 60"
        kind = "" if effect.bridge else "(blind) "
        caller = f" from {effect.caller}" if effect.caller else ""
        self.lines.append(f"transfer: {kind}{effect.dest}{caller} -> {answer}")
        match = re.fullmatch(r"(\S+)(?: ([\d.]+))?(?: (\S+))?", answer)
        assert match is not None, answer
        duration_s = float(match[2] or 0)
        if match[1] == "hangup":
            return HungUp(duration_s)
        if match[1].startswith("error."):
            return TransferFailed(match[1], "the platform says no")
        return Transferred(match[1], duration_s, match[3] or "")  # type: ignore[arg-type]


def converse(documents: Mapping[str, str] | str, expected: str = "") -> Conversation:
    """Hold a whole conversation; ``documents`` may be the start document alone."""
    if isinstance(documents, str):
        documents = {"start.vxml": documents}
    conversation = Conversation(documents, expected)
    conversation.run()
    return conversation
