"""A test's conversation with a script: what is heard and done, checked step by step.

Every method checks that the script is where the test says, then goes on; a step that does not
fit raises ``AssertionError`` with the conversation until there and the script's lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

from vxml_engine.cache import DocumentCache
from vxml_engine.effects import Fetch, Fetched, FetchFailed
from vxml_engine.grammar.network import KEYS
from vxml_engine.parser import Prepare
from vxml_engine.session import Connection, Session, SessionResult
from vxml_engine.testing.driver import (
    TRANSFER_RESULTS,
    TRANSFER_S,
    Answer,
    HangUp,
    Happening,
    Press,
    Recording,
    Say,
    Silence,
    TransferAnswer,
    VirtualCall,
    Wanted,
    ends_a_transfer,
    read_file,
)

Page = str | bytes | int | Mapping[str, Any] | list[Any]
"""An answer over HTTP: a body, a status without one, or what is sent as JSON."""

RECORDING_BYTES_PER_S: Final = 16_000  # linear samples of 16 bits, 8,000 a second
ANY: Final = object()
"""A value that is not looked at."""
_UNTOLD: Final = frozenset({"visit", "goto", "return", "result"})


class Conversation:
    """One call of a script, from its first prompt on.

    ``document`` is a path or an address.  Addresses of ``file:`` are read from disk; all others
    are answered from ``pages``, whose keys are addresses, also relative to the document's; an
    address with a query is looked for without it as well.  ``prepare`` changes a document before
    it is read, as macros do.  With ``recognizes`` the platform takes words.
    """

    def __init__(
        self,
        document: Path | str,
        *,
        pages: Mapping[str, Page] | None = None,
        variables: Mapping[str, str] | None = None,
        connection: Connection | None = None,
        prepare: Prepare | None = None,
        recognizes: bool = True,
    ) -> None:
        url = document.resolve().as_uri() if isinstance(document, Path) else document
        self._pages = {urljoin(url, key): page for key, page in (pages or {}).items()}
        self._happenings: list[Happening] = []
        self._heard_to = 0
        self._wanted: Wanted | None = None
        self.requests: list[Fetch] = []
        """All that was fetched, in order."""
        self.result: SessionResult | None = None
        """How the call ended; None while it lasts."""
        self._call = VirtualCall(self._fetch, self._happenings.append)
        session = Session(
            start_url=url,
            connection=connection or Connection("sip:script@test", "sip:caller@test"),
            documents=DocumentCache(prepare),
            variables=variables,
            observer=self._call.observe,
            recognizes=recognizes,
        )
        self._run = self._call.hold(session.run())
        self._go_on(None)
        self._must_have_started()

    # --- What the caller does

    def presses(self, keys: str) -> None:
        """The caller presses keys; in a recording, after having spoken."""
        wrong = set(keys) - set(KEYS)
        if wrong or not keys:
            raise ValueError(f"{keys!r}: keys are some of {KEYS}")
        self._take_turn(f"the caller presses {keys}", Press(keys))

    def says(self, text: str, confidence: float = 1.0) -> None:
        """The caller says words, heard with ``confidence`` (0 to 1)."""
        self._take_turn(f"the caller says {text!r}", Say(text, confidence))

    def stays_silent(self) -> None:
        """The caller does nothing until the time is up."""
        self._take_turn("the caller stays silent", Silence())

    def hangs_up(self) -> None:
        """The caller hangs up."""
        self._take_turn("the caller hangs up", HangUp())

    def records(self, seconds: float = 3.0, key: str = "") -> None:
        """The caller speaks into a ``<record>`` and ends it with ``key``, or with silence."""
        self._need("turn", "the caller leaves a recording")
        if self._happenings[-1].event != "record":
            self._fail("the caller leaves a recording, but the script records nothing now")
        self._call.recording = Recording(
            duration_s=seconds, size_bytes=round(seconds * RECORDING_BYTES_PER_S)
        )
        self._go_on(Press(key) if key else Say(f"(for {seconds:g} s)"))

    def is_transferred_to(
        self, dest: str, result: str = "far_end_disconnect", seconds: float = TRANSFER_S
    ) -> None:
        """The script transfers to ``dest``, and that ends with ``result`` after ``seconds``.

        ``result`` is one of ``driver.TRANSFER_RESULTS`` or an event ``error...``.
        """
        if not ends_a_transfer(result):
            raise ValueError(f"{result!r}: a transfer ends with {', '.join(TRANSFER_RESULTS)}")
        self._need("transfer", f"the caller is transferred to {dest}")
        before = len(self._happenings)
        self._go_on(TransferAnswer(result, seconds))
        transfers = (each for each in self._happenings[before:] if each.event == "transfer")
        led_to = next(transfers).details["dest"]
        if led_to != dest:
            self._fail(f"the caller is transferred to {dest}, but it went to {led_to}")

    # --- What the test expects

    def hears(self, text: str) -> None:
        """Since the caller's last turn, and after what was heard before, this text is said.

        It may be a part of a prompt; spaces and line ends count as one space.
        """
        wanted = " ".join(text.split())
        for index in range(self._heard_to, len(self._happenings)):
            happening = self._happenings[index]
            if happening.event == "prompt" and wanted in happening.details["text"]:
                self._heard_to = index + 1
                return
        self._fail(f"the caller hears {wanted!r}, but did not")

    def sends(self, address: str, **fields: Any) -> None:
        """The last request to ``address`` (without its query) carried these fields, as text."""
        url = urljoin(self._start_url(), address)
        for request in reversed(self.requests):
            if request.url.partition("?")[0] != url:
                continue
            query = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
            sent = dict(query) | dict(request.fields)
            if {name: sent.get(name) for name in fields} != {
                name: str(value) for name, value in fields.items()
            }:
                self._fail(f"the script sends {fields} to {url}, but sent {sent}")
            return
        self._fail(f"the script sends something to {url}, but never asked there")

    def ends(self, reason: str | None = None, value: Any = ANY, error: str | None = None) -> None:
        """The call is over: for this reason, with this value of ``<exit>``, by this event.

        Reasons are those of ``SessionResult``: ``exit``, ``end``, ``disconnect``, ``hangup``,
        ``error``.
        """
        result = self.result
        if result is None:
            return self._fail(f"the call ends, but {self._waits()}")
        if reason is not None and result.reason != reason:
            self._fail(f"the call ends with {reason!r}, but it ended with {result.reason!r}")
        if value is not ANY and result.value != value:
            self._fail(f"the call ends with the value {value!r}, but it was {result.value!r}")
        event = result.error.event if result.error else None
        if error is not None and event != error:
            self._fail(f"the call ends by {error}, but that was {event}")
        return None

    def close(self) -> None:
        """Leave the call and release what it holds."""
        self._run.close()

    def __str__(self) -> str:
        """The conversation until now, a line a happening, with the script's lines."""
        return "\n".join(filter(None, map(_line, self._happenings)))

    # --- How it goes on

    def _take_turn(self, what: str, turn: Answer) -> None:
        self._need("turn", what)
        self._go_on(turn)

    def _need(self, wanted: Wanted, what: str) -> None:
        if self._wanted != wanted:
            self._fail(f"{what}, but {self._waits()}")

    def _go_on(self, answer: Answer) -> None:
        self._heard_to = len(self._happenings)
        try:
            self._wanted = self._run.send(answer)
        except StopIteration as end:
            self._wanted = None
            self.result = end.value

    def _must_have_started(self) -> None:
        if self.result is not None and not self.result.started:
            self._fail("the script cannot be used")

    def _waits(self) -> str:
        match self._wanted:
            case "turn":
                return "the script waits for the caller"
            case "transfer":
                return "the script is transferring the caller (is_transferred_to)"
            case _:
                return "the call is over"

    def _fail(self, what: str) -> None:
        __tracebackhide__ = True
        raise AssertionError(f"{what}\n\nThe conversation:\n{self}")

    # --- What is fetched

    def _start_url(self) -> str:
        return self.requests[0].url

    def _fetch(self, effect: Fetch) -> Fetched | FetchFailed:
        self.requests.append(effect)
        url = effect.url
        page = self._pages.get(url, self._pages.get(url.partition("?")[0]))
        if page is not None:
            return _answered(url, page)
        if urlsplit(url).scheme == "file":
            return read_file(url)
        return FetchFailed("error.badfetch", f"{url} is not among the test's pages")


def _answered(url: str, page: Page) -> Fetched:
    match page:
        case int():
            return Fetched(url, page, "", b"")
        case bytes():
            return Fetched(url, 200, "", page)
        case str():
            return Fetched(url, 200, "", page.encode())
        case _:
            return Fetched(url, 200, "application/json", json.dumps(page).encode())


# --- The conversation as text


def _line(happening: Happening) -> str:
    if happening.event in _UNTOLD:
        return ""
    file = urlsplit(happening.url).path.rpartition("/")[2]
    where = f"{file}:{happening.line}" if happening.line else ""
    return f"  {where:<22} {_told(happening.event, happening.details)}"


def _told(event: str, details: Mapping[str, Any]) -> str:
    match event:
        case "prompt":
            return f"says: {details['text']}"
        case "input":
            return _input(details)
        case "fetch":
            came = details.get("message", details.get("status"))
            return f"fetches {details['method']} {details['url']}: {came}"
        case "log":
            return f"logs: {details['label']} {details['text']}"
        case "record":
            return "records"
        case "recorded":
            return f"has recorded {details['duration_s']:g} s"
        case "transfer":
            return f"transfers to {details['dest']}: {details['result']}"
        case "disconnect":
            return "hangs up"
        case "exit":
            error = details.get("error")
            why = f": {error['event']}: {error['message']}" if error else ""
            return f"ends: {details['reason']}, value {details['value']!r}{why}"
        case _:
            return f"{event}: {details['detail']}"


def _input(details: Mapping[str, Any]) -> str:
    match details["kind"]:
        case "dtmf":
            return f"> caller presses {details['keys']}"
        case "speech":
            return f"> caller says {details['text']}"
        case "noinput":
            return "> caller stays silent"
        case _:
            return "> caller hangs up"
