"""A session: one run of the interpreter for one call, as a generator of effects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vxml_engine.cache import DocumentCache
from vxml_engine.effects import Effect, HungUp, Outcome, Play, Prompt, Speech
from vxml_engine.errors import LimitReached, ThrownEvent
from vxml_engine.events import default_handler
from vxml_engine.fia import run_dialogs
from vxml_engine.interpreter import Interpreter, Observer, Run
from vxml_engine.transitions import ErrorReport, Finished, Reason


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirection the call came by, the last first (VoiceXML 2.0 5.1.4)."""

    uri: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """The call, as ``session.connection`` shows it (VoiceXML 2.0 5.1.4).

    ``originator`` is who called; ``aai`` came with the call (application-to-application).
    """

    local_uri: str
    remote_uri: str
    protocol_name: str = "sip"
    protocol_version: str = "2.0"
    call_id: str = ""
    aai: str = ""
    originator: Literal["local", "remote"] = "remote"
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How a session ended: ``value`` is what ``<exit>`` gave, as JSON has it.

    ``reason``: ``exit`` (the element), ``end`` (nothing was left to do), ``disconnect`` (the
    document hung up or handed the call over), ``hangup`` (the caller did), ``error`` (an event
    nobody caught, or a limit: then ``error`` tells which). ``started`` is False where not even
    the start document could be loaded.
    """

    reason: Reason
    value: Any = None
    error: ErrorReport | None = None
    started: bool = True


class Session:
    """One session, to be run once.

    ``variables`` become read-only variables of the ``session`` scope; ``defaults`` are values of
    properties that go before the platform's; ``observer`` is told what happens.  With
    ``recognizes`` the driver answers speech; with ``lenient`` a variable assigned without being
    declared is declared in its dialog.

    With ``seed`` (32 bits) and ``now``, the session runs again exactly as it did for the same
    outcomes: ``now`` is called once at the start and once after each outcome, and answers
    seconds since 1970 for ECMAScript's ``Date``; ``Math.random`` follows the seed.
    """

    def __init__(
        self,
        *,
        start_url: str,
        connection: Connection,
        documents: DocumentCache,
        variables: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
        observer: Observer | None = None,
        recognizes: bool = False,
        lenient: bool = False,
        seed: int | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._start_url = start_url
        self._connection = connection
        self._documents = documents
        self._variables = dict(variables or {})
        self._defaults = dict(defaults or {})
        self._observer = observer
        self._recognizes = recognizes
        self._lenient = lenient
        assert (seed is None) == (now is None), "a seed and a time are given together"
        self._seed = seed
        self._now = now

    def run(self) -> Generator[Effect, Outcome, SessionResult]:
        """The session.  The first effect is the fetch of the start document.

        Closing the generator ends the session and releases what it holds.
        """
        interpreter = Interpreter(
            self._documents,
            self._defaults,
            self._observer,
            recognizes=self._recognizes,
            lenient=self._lenient,
            seed=self._seed,
        )
        try:
            interpreter.ecmascript.push_session(self._session_variables())
            finished = yield from self._timed(interpreter, self._interpret(interpreter))
            yield from _say_the_rest(interpreter)
            return SessionResult(
                interpreter.ending(finished.reason),
                finished.value,
                finished.error,
                interpreter.started,
            )
        finally:
            interpreter.ecmascript.close()

    def _timed(self, interpreter: Interpreter, run: Run[Finished]) -> Run[Finished]:
        """Set ECMAScript's time before anything runs and after each outcome."""
        if self._now is None:
            return (yield from run)
        outcome: Outcome = None
        try:
            while True:
                interpreter.ecmascript.set_time(self._now())
                outcome = yield run.send(outcome)
        except StopIteration as end:
            finished: Finished = end.value
            return finished
        finally:
            run.close()

    def _interpret(self, interpreter: Interpreter) -> Run[Finished]:
        try:
            target = yield from interpreter.load(self._start_url)
            ending = yield from run_dialogs(interpreter, target)
        except ThrownEvent as event:
            # Only the start document's own fetch is outside of every handler.
            return self._fail(interpreter, event.event, event.message, self._start_url)
        except LimitReached as limit:
            url = interpreter.place.document.url if interpreter.started else self._start_url
            return self._fail(interpreter, limit.event, str(limit), url)
        assert isinstance(ending, Finished), "a return outside of a subdialog is an error"
        return ending

    def _fail(self, interpreter: Interpreter, event: str, message: str, url: str) -> Finished:
        """End with an error, and a sentence for the caller."""
        speech = default_handler("error").speech
        interpreter.take_prompts()
        interpreter.queue(Prompt((Speech(speech, "en-US"),), bargein=True))
        return Finished("error", error=ErrorReport(event, message, url, interpreter.line))

    def _session_variables(self) -> dict[str, Any]:
        connection = self._connection
        ends = {
            "local": {"uri": connection.local_uri},
            "remote": {"uri": connection.remote_uri},
        }
        return {
            **self._variables,
            "sessionid": connection.call_id,
            "connection": {
                **ends,
                "originator": ends[connection.originator],
                "protocol": {
                    "name": connection.protocol_name,
                    "version": connection.protocol_version,
                },
                "redirect": [
                    {"uri": redirect.uri, "reason": redirect.reason}
                    for redirect in connection.redirects
                ],
                "aai": connection.aai,
            },
        }


def _say_the_rest(interpreter: Interpreter) -> Run[None]:
    """Prompts still queued at the end are played (VoiceXML 2.0 4.1.8)."""
    prompts = interpreter.take_prompts()
    if prompts and not interpreter.hung_up and isinstance((yield Play(prompts)), HungUp):
        interpreter.hung_up = True
