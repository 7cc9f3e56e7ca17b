"""The state of one session, and what every part of it needs: values, prompts, fetching, limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from vxml_engine import document as d
from vxml_engine.cache import DocumentCache
from vxml_engine.collector import CollectSettings, SpeechSettings
from vxml_engine.ecmascript import UNDEFINED, Ecmascript
from vxml_engine.effects import (
    Caching,
    Effect,
    Fetch,
    Fetched,
    FetchFailed,
    HungUp,
    Outcome,
    Play,
    Prompt,
)
from vxml_engine.errors import DocumentError, GrammarError, LimitReached, ThrownEvent
from vxml_engine.grammar.builtin import builtin
from vxml_engine.grammar.network import Network, link
from vxml_engine.limits import (
    FETCHES_PER_TURN_MAX,
    GRAMMARS_LINKED_MAX,
    PROMPTS_QUEUED_MAX,
    STEPS_PER_TURN_MAX,
    SUBMIT_CHARS_MAX,
    TRANSITIONS_PER_TURN_MAX,
    URL_CHARS_MAX,
)
from vxml_engine.prompts import Listed, PromptMaker
from vxml_engine.properties import (
    PLATFORM_DEFAULTS,
    level_property,
    time_property,
    whole_property,
)
from vxml_engine.transitions import Loaded, Reason, ToDialog, split_fragment

T = TypeVar("T")
Run = Generator[Effect, Outcome, T]
"""A part of a session: yields effects, is sent outcomes, returns ``T``."""

URLENCODED = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Trace:
    """Something an author wants to see: ``kind`` is goto, visit, throw, input or return."""

    kind: Literal["goto", "visit", "throw", "input", "return"]
    detail: str
    url: str
    line: int


Observer = Callable[[Trace], None]


@dataclass(slots=True)
class Place:
    """What is being interpreted; catches, links and properties are looked for from the inside.

    ``pending`` are the documents whose variables are still to be initialized.
    """

    document: Loaded
    root: Loaded | None
    form: d.Form | None = None
    item: d.Common | None = None
    pending: list[Loaded] = field(default_factory=list)

    def documents(self) -> list[d.Document]:
        """The document, and its application's root."""
        return [self.document.document] + ([self.root.document] if self.root else [])


class Interpreter:
    """One session's state.  ``place`` is set as soon as the first document is there."""

    place: Place

    def __init__(
        self,
        documents: DocumentCache,
        defaults: Mapping[str, str],
        observer: Observer | None,
        *,
        recognizes: bool = False,
        lenient: bool = False,
        seed: int | None = None,
    ) -> None:
        self.recognizes = recognizes
        self.ecmascript = Ecmascript(lenient=lenient, seed=seed)
        self.documents = documents
        self.listed: Sequence[Listed] = ()
        self.reprompt = False
        self.hung_up = False
        self.disconnected = False
        self.line = 0
        self.subdialogs = 0
        self.transfer_s = 0.0
        self._defaults = {**PLATFORM_DEFAULTS, **defaults}
        self._observer = observer
        self._queue: list[Prompt] = []
        self._queue_timeout_s: float | None = None
        self._grammars: dict[str, Network] = {}
        # The network linked is kept beside the whole, so that its id stays its own.
        self._linked_inline: dict[tuple[str, int, int], tuple[Network, Network]] = {}
        self._steps = 0
        self._transitions = 0
        self._fetches = 0

    @property
    def started(self) -> bool:
        """Whether there is a place: the first document has been loaded."""
        return hasattr(self, "place")

    # Limits of a turn

    def begin_turn(self) -> None:
        """The caller has done something: the turn's limits count from zero."""
        self._steps = self._transitions = self._fetches = 0
        self.ecmascript.begin_turn()

    def step(self, line: int) -> None:
        """Count one step, at ``line``."""
        self.line = line
        self._steps += 1
        if self._steps > STEPS_PER_TURN_MAX:
            raise LimitReached(
                "STEPS_PER_TURN_MAX",
                f"more than {STEPS_PER_TURN_MAX} elements executed without any input",
            )
        self.ecmascript.account_time()

    def count_transition(self) -> None:
        """Count one change of dialog."""
        self._transitions += 1
        if self._transitions > TRANSITIONS_PER_TURN_MAX:
            raise LimitReached(
                "TRANSITIONS_PER_TURN_MAX",
                f"more than {TRANSITIONS_PER_TURN_MAX} changes of dialog without any input",
            )

    def trace(
        self, kind: Literal["goto", "visit", "throw", "input", "return"], detail: str
    ) -> None:
        """Tell the observer, if there is one."""
        if self._observer is not None:
            self._observer(Trace(kind, detail, self.place.document.url, self.line))

    # Properties

    def property_value(self, name: str) -> str:
        """A property's value, from the innermost scope that sets it."""
        if not self.started:
            return self._defaults.get(name, "")
        place = self.place
        if place.item is not None and name in place.item.properties:
            return place.item.properties[name]
        if place.form is not None and name in place.form.properties:
            return place.form.properties[name]
        for document in place.documents():
            if name in document.properties:
                return document.properties[name]
        return self._defaults.get(name, "")

    def time(self, name: str) -> float:
        """A property's value in seconds."""
        return time_property(name, self.property_value(name))

    def level(self, name: str) -> float:
        """A property's value, from 0 to 1."""
        return level_property(name, self.property_value(name))

    def maxnbest(self) -> int:
        """How many results an input may have."""
        return max(1, whole_property("maxnbest", self.property_value("maxnbest")))

    def speech_settings(self) -> SpeechSettings:
        """What a recognizer is to know here (VoiceXML 2.0 6.3.2)."""
        return SpeechSettings(
            language=self.place.document.document.language,
            completetimeout_s=self.time("completetimeout"),
            incompletetimeout_s=self.time("incompletetimeout"),
            maxspeechtimeout_s=self.time("maxspeechtimeout"),
            confidencelevel=self.level("confidencelevel"),
            sensitivity=self.level("sensitivity"),
            speedvsaccuracy=self.level("speedvsaccuracy"),
            maxnbest=self.maxnbest(),
            hotword=self.property_value("bargeintype").strip() == "hotword",
        )

    def caching(self, kind: str, attributes: d.FetchAttributes) -> Caching:
        """How something of this kind may be fetched, by its attributes and the properties."""
        return Caching(
            maxage_s=self._seconds(f"{kind}maxage", attributes.maxage),
            maxstale_s=self._seconds(f"{kind}maxstale", attributes.maxstale),
            prefetch=(attributes.fetchhint or self.property_value(f"{kind}fetchhint"))
            == "prefetch",
        )

    def _seconds(self, name: str, written: str | None) -> int | None:
        text = self.property_value(name) if written is None else written
        return whole_property(name, text) if text else None

    def input_modes(self) -> frozenset[str]:
        """``dtmf`` and ``voice``, as far as they are wanted here and there is a recognizer."""
        wanted = frozenset(self.property_value("inputmodes").split())
        return wanted if self.recognizes else wanted - {"voice"}

    def collect_settings(self) -> CollectSettings:
        """The timing of an input here (VoiceXML 2.0 6.3.3)."""
        timeout_s = self._queue_timeout_s
        return CollectSettings(
            timeout_s=self.time("timeout") if timeout_s is None else timeout_s,
            interdigittimeout_s=self.time("interdigittimeout"),
            termtimeout_s=self.time("termtimeout"),
            termchar=self.property_value("termchar").strip(),
        )

    # Values

    def choose(self, literal: str | None, expr: str | None, what: str) -> str:
        """An attribute, or the text of its ``expr`` form; throws when that is undefined."""
        if expr is None:
            return literal or ""
        value = self.ecmascript.evaluate(expr)
        if value is UNDEFINED or value is None:
            raise ThrownEvent("error.semantic", f"{what} is undefined: {expr}")
        return value if isinstance(value, str) else self.ecmascript.text(expr)

    def values(self, names: Sequence[str]) -> dict[str, Any]:
        """The values of a namelist; an undefined one is None."""
        found: dict[str, Any] = {}
        for name in names:
            value = self.ecmascript.evaluate(name)
            found[name] = None if value is UNDEFINED else value
        return found

    def fields(self, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """What a namelist submits: texts, objects property by property (VoiceXML 2.0 5.3.8)."""
        found: list[tuple[str, str]] = []
        for name in names:
            value = self.ecmascript.evaluate(name)
            if isinstance(value, dict | list):
                found += _flatten(name, value)
            else:
                found.append((name, self.ecmascript.text(name)))
        if sum(len(name) + len(value) for name, value in found) > SUBMIT_CHARS_MAX:
            raise ThrownEvent(
                "error.badfetch",
                f"more than {SUBMIT_CHARS_MAX} characters to submit (SUBMIT_CHARS_MAX)",
            )
        return tuple(found)

    # Prompts

    def queue_prompt(self, prompt: d.PromptElement) -> None:
        """Make a prompt now and play it when the session next waits."""
        document = self.place.document
        base = document.resolve(prompt.base) if prompt.base is not None else None
        maker = PromptMaker(
            self.ecmascript,
            prompt.language or document.document.language,
            document.resolve if base is None else lambda address: urljoin(base, address),
            self.listed,
            lambda attributes: self.caching("audio", attributes),
        )
        segments = maker.make(prompt.parts)
        self._queue_timeout_s = prompt.timeout_s
        if not segments:
            return
        bargein = prompt.bargein
        if bargein is None:
            bargein = self.property_value("bargein").strip() != "false"
        kind = prompt.bargeintype or self.property_value("bargeintype").strip()
        self.queue(Prompt(segments, bargein, kind == "hotword"))

    def queue(self, prompt: Prompt) -> None:
        """Add a finished prompt to the queue."""
        if len(self._queue) >= PROMPTS_QUEUED_MAX:
            raise LimitReached(
                "PROMPTS_QUEUED_MAX", f"more than {PROMPTS_QUEUED_MAX} prompts wait to be played"
            )
        self._queue.append(prompt)

    def take_prompts(self) -> tuple[Prompt, ...]:
        """All that waits to be played; the queue is empty then."""
        prompts = tuple(self._queue)
        self._queue = []
        self._queue_timeout_s = None
        return prompts

    def play_queued(self) -> Run[None]:
        """Play what waits, to the end; throws when the caller hangs up."""
        prompts = self.take_prompts()
        if prompts and not self.hung_up and isinstance((yield Play(prompts)), HungUp):
            raise self.hang_up()

    # The caller

    def hang_up(self) -> ThrownEvent:
        """Note that the caller has gone; returns the event to raise."""
        self.hung_up = True
        return ThrownEvent("connection.disconnect.hangup", "the caller has hung up")

    def ending(self, reason: Reason) -> Reason:
        """The session's reason to end: that the call is over comes before the rest."""
        if self.hung_up and reason != "error":
            return "disconnect" if self.disconnected else "hangup"
        return reason

    # Fetching

    def fetch(
        self,
        url: str,
        purpose: Literal["document", "script", "grammar", "data"],
        attributes: d.FetchAttributes,
        method: d.Method = "get",
        fields: tuple[tuple[str, str], ...] = (),
        enctype: str = URLENCODED,
    ) -> Run[Fetched]:
        """Fetch an absolute address; throws ``error.badfetch`` and those below it.

        A fragment is left out: it never goes to a server (RFC 3986 3.5).
        """
        url = split_fragment(url)[0]
        if method == "get" and fields:
            parts = urlsplit(url)
            query = "&".join(filter(None, (parts.query, urlencode(fields))))
            url, fields = urlunsplit(parts._replace(query=query)), ()
        if len(url) > URL_CHARS_MAX:
            raise ThrownEvent(
                "error.badfetch", f"the address has {len(url)} characters (URL_CHARS_MAX)"
            )
        self._fetches += 1
        if self._fetches > FETCHES_PER_TURN_MAX:
            raise LimitReached(
                "FETCHES_PER_TURN_MAX",
                f"more than {FETCHES_PER_TURN_MAX} fetches in one turn",
            )
        timeout = attributes.fetchtimeout or self.property_value("fetchtimeout")
        timeout_s = time_property("fetchtimeout", timeout)
        caching = self.caching(purpose, attributes)
        audio = None
        if purpose in ("document", "data"):
            audio = yield from self._fetch_audio(attributes)
        outcome = yield Fetch(
            url,
            method,
            fields,
            enctype,
            timeout_s,
            purpose,
            caching,
            audio,
            self.time("fetchaudiodelay") if audio else 0.0,
            self.time("fetchaudiominimum") if audio else 0.0,
        )
        match outcome:
            case Fetched(status=status) if 200 <= status < 300:
                return outcome
            case Fetched(status=status):
                raise ThrownEvent(
                    f"error.badfetch.http.{status}", f"{url} answered with status {status}"
                )
            case FetchFailed(event, message):
                raise ThrownEvent(event, message)
            case _:
                raise TypeError(f"a Fetch cannot be answered with {outcome!r}")

    def _fetch_audio(self, attributes: d.FetchAttributes) -> Run[str | None]:
        """What is played during a fetch; what waits in the queue is played before it."""
        address = attributes.fetchaudio or self.property_value("fetchaudio")
        if not address or not self.started or self.hung_up:
            return None
        yield from self.play_queued()
        return self.place.document.resolve(address)

    def load(
        self,
        address: str,
        attributes: d.FetchAttributes = d.NO_ATTRIBUTES,
        method: d.Method = "get",
        fields: tuple[tuple[str, str], ...] = (),
        enctype: str = URLENCODED,
    ) -> Run[ToDialog]:
        """Fetch a document (absolute address) and its root; returns the way to its dialog.

        Throws ``error.badfetch`` when one of them cannot be used, or has no such dialog.
        """
        url, fragment = split_fragment(address)
        fetched = yield from self.fetch(url, "document", attributes, method, fields, enctype)
        loaded = self._compile(fetched)
        root: Loaded | None = None
        if loaded.document.application is not None:
            root = yield from self._load_root(loaded, attributes)
        return self.to_dialog(loaded, root, fragment, fresh=True)

    def _compile(self, fetched: Fetched) -> Loaded:
        url = split_fragment(fetched.url)[0]
        try:
            return Loaded(url, self.documents.get(fetched.body, url))
        except DocumentError as error:
            raise ThrownEvent("error.badfetch", str(error)) from None

    def _load_root(self, leaf: Loaded, attributes: d.FetchAttributes) -> Run[Loaded]:
        url = split_fragment(leaf.resolve(leaf.document.application or ""))[0]
        if self.started:
            for active in (self.place.root, self.place.document):
                if active is not None and active.url == url and self._is_application(active):
                    return active
        root = self._compile((yield from self.fetch(url, "document", attributes)))
        if root.document.application is not None:
            raise ThrownEvent(
                "error.semantic", f"{url} is a root document and cannot name another one"
            )
        return root

    def _is_application(self, loaded: Loaded) -> bool:
        return loaded is (self.place.root or self.place.document)

    def to_dialog(
        self, document: Loaded, root: Loaded | None, name: str | None, *, fresh: bool
    ) -> ToDialog:
        """The way to a dialog of a document at hand."""
        form = document.document.dialog(name)
        if form is None:
            missing = f"no dialog '{name}'" if name else "no dialog at all"
            raise ThrownEvent("error.badfetch", f"{document.url} has {missing}")
        return ToDialog(document, root, form, fresh)

    def go(
        self, address: str, attributes: d.FetchAttributes, document: Loaded | None = None
    ) -> Run[ToDialog]:
        """The way to ``address``, which may be a dialog (``#name``) of the document it stands in.

        ``document`` is that, when it is not the one being interpreted but its root.
        """
        place = self.place
        document = document or place.document
        if address.startswith("#"):
            root = None if document is place.root else place.root
            return self.to_dialog(document, root, address[1:], fresh=False)
        return (yield from self.load(document.resolve(address), attributes))

    def load_script(self, script: d.Script) -> Run[str]:
        """The program of a ``<script>``."""
        if script.src is None and script.srcexpr is None:
            return script.source
        address = self.choose(script.src, script.srcexpr, "the script's address")
        url = self.place.document.resolve(address)
        fetched = yield from self.fetch(url, "script", script.fetch)
        encoding = script.charset or _charset(fetched.content_type) or "utf-8-sig"
        try:
            return fetched.body.decode(encoding)
        except (LookupError, UnicodeDecodeError) as error:
            raise ThrownEvent("error.badfetch", f"{url} is not {encoding}: {error}") from None

    # Grammars

    def load_grammar(self, grammar: d.ExternalGrammar, document: Loaded) -> Run[Network]:
        """A grammar that ``document`` refers to; fetched once a session."""
        address = self.choose(grammar.src, grammar.srcexpr, "the grammar's address")
        absolute = document.resolve(address)
        if (known := self._grammars.get(absolute)) is not None:
            return known
        url, rule = split_fragment(absolute)
        try:
            network = yield from self._grammar_at(url, grammar.fetch)
            if grammar.mode is not None and grammar.mode != network.mode:
                raise GrammarError(f"{url} is a grammar for {network.mode}, not {grammar.mode}")
            network = yield from self._linked(network.starting(rule), url, grammar.fetch)
        except GrammarError as error:
            raise ThrownEvent("error.badfetch", str(error), grammar.line) from None
        self._grammars[absolute] = network
        return network

    def linked_grammar(self, grammar: d.InlineGrammar, document: Loaded) -> Run[Network]:
        """A grammar that stands in ``document``, with all it refers to."""
        network = grammar.network
        if not network.references:
            return network
        key = (document.resolve(""), grammar.line, id(network))
        if (known := self._linked_inline.get(key)) is None:
            try:
                linked = yield from self._linked(network, document.resolve(""), d.NO_ATTRIBUTES)
            except GrammarError as error:
                raise ThrownEvent("error.badfetch", str(error), grammar.line) from None
            known = self._linked_inline[key] = (network, linked)
        return known[1]

    def _linked(self, network: Network, url: str, attributes: d.FetchAttributes) -> Run[Network]:
        if not network.references:
            return network
        others: dict[str, Network] = {}
        waiting = [(url, network)]
        while waiting:
            base, part = waiting.pop()
            for reference in part.references:
                target = split_fragment(urljoin(base, reference))[0]
                if target == url or target in others:
                    continue
                if len(others) >= GRAMMARS_LINKED_MAX:
                    raise GrammarError(
                        f"{url} reaches more than {GRAMMARS_LINKED_MAX} other grammars"
                        " (GRAMMARS_LINKED_MAX)"
                    )
                others[target] = yield from self._grammar_at(target, attributes)
                waiting.append((target, others[target]))
        return link(network, url, others)

    def _grammar_at(self, url: str, attributes: d.FetchAttributes) -> Run[Network]:
        """The grammar at an address, not linked; ``builtin:`` ones need no fetch.

        Where the address is redirected, what the grammar refers to is relative to where it came
        from in the end.
        """
        if url.startswith("builtin:"):
            kind, _, name = url.removeprefix("builtin:").partition("/")
            return builtin(name, "dtmf" if kind == "dtmf" else "voice")
        fetched = yield from self.fetch(url, "grammar", attributes)
        network = self.documents.get_grammar(fetched.body, fetched.url)
        return network if fetched.url == url else network.based_at(fetched.url)


def _charset(content_type: str) -> str | None:
    """The ``charset`` parameter of a media type."""
    match = re.search(r"charset=\"?([\w.:-]+)", content_type, re.IGNORECASE)
    return match[1] if match else None


def _flatten(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """An object's properties as ``name.property`` and their texts."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _flatten(f"{name}.{key}", inner)
        case list():
            for index, inner in enumerate(value):
                yield from _flatten(f"{name}.{index}", inner)
        case _:
            yield name, _plain_text(value)


def _plain_text(value: Any) -> str:
    """A JSON value as ECMAScript's String() gives it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value)
