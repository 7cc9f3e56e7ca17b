"""What is listened to at an input (VoiceXML 2.0 3.1.4), and what was understood (3.1.6).

Grammars are gathered from the inside out: those of the form item, of its form, of the document
and its document-wide dialogs, of the application's root.  Each knows what a match of it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from vxml_engine import document as d
from vxml_engine.collector import Collected, Mark
from vxml_engine.ecmascript import UNDEFINED
from vxml_engine.effects import Heard, HungUp, InputFailed, Recorded, Utterance
from vxml_engine.errors import ThrownEvent
from vxml_engine.grammar.network import Mode, Network, match_tokens, phrase, words
from vxml_engine.grammar.semantics import interpretation_source
from vxml_engine.interpreter import Interpreter, Run
from vxml_engine.transitions import Loaded, Understood

UNIVERSALS = ("help", "cancel", "exit")
"""The events that a caller may say anywhere, where the property of that name allows."""


@dataclass(frozen=True, slots=True)
class Active:
    """A grammar that is listened to.

    A match leads to ``destination``, or fills the form item visited (with the value of
    ``option``), or is for the items of ``form``, one of the document it stands in.
    """

    network: Network
    document: Loaded
    destination: d.Destination | None = None
    option: d.Option | None = None
    form: d.Form | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """All that is listened to, by how it is entered, each in order of precedence."""

    keys: tuple[Active, ...]
    speech: tuple[Active, ...]

    def key_networks(self) -> tuple[Network, ...]:
        return tuple(active.network for active in self.keys)

    def speech_networks(self) -> tuple[Network, ...]:
        return tuple(active.network for active in self.speech)


_Wanted = tuple[d.GrammarElement | Network, Active]
"""A grammar before it is fetched and linked; its ``Active`` has no network yet."""


def listen(interpreter: Interpreter, form: d.Form, item: d.FormItem) -> Run[Listening]:
    """The grammars active while ``item`` is visited."""
    wanted = _Gathering(interpreter, form).gather(item)
    modes = interpreter.input_modes()
    keys: list[Active] = []
    speech: list[Active] = []
    unheard = False
    for grammar, active in wanted:
        if isinstance(grammar, d.ExternalGrammar) and grammar.mode not in (None, *modes):
            unheard = True
            continue
        network = yield from _network(interpreter, grammar, active.document)
        if network.mode not in modes:
            unheard = True
            continue
        (keys if network.mode == "dtmf" else speech).append(replace(active, network=network))
    if not keys and not speech and not isinstance(item, d.RecordItem):
        raise _nothing_to_hear(unheard)
    return Listening(tuple(keys), tuple(speech))


def item_networks(
    interpreter: Interpreter, grammars: Sequence[d.GrammarElement], mode: Mode
) -> Run[tuple[Network, ...]]:
    """The grammars of one form item alone, for keys or for speech."""
    networks: list[Network] = []
    for grammar in grammars:
        network = yield from _network(interpreter, grammar, interpreter.place.document)
        if network.mode == mode and mode in interpreter.input_modes():
            networks.append(network)
    return tuple(networks)


def _network(
    interpreter: Interpreter, grammar: d.GrammarElement | Network, document: Loaded
) -> Run[Network]:
    match grammar:
        case Network():
            return grammar
        case d.InlineGrammar():
            return (yield from interpreter.linked_grammar(grammar, document))
        case d.ExternalGrammar():
            return (yield from interpreter.load_grammar(grammar, document))
        case d.UnsupportedGrammar(event, message, line):
            raise ThrownEvent(event, message, line)


def _nothing_to_hear(unheard: bool) -> ThrownEvent:
    if unheard:
        return ThrownEvent(
            "error.unsupported.grammar",
            "only speech could answer here, and speech is not recognized: add a DTMF grammar",
        )
    return ThrownEvent("error.semantic", "an input is expected, but no grammar is active")


class _Gathering:
    """Goes through the scopes from the inside out."""

    def __init__(self, interpreter: Interpreter, form: d.Form) -> None:
        self._interpreter = interpreter
        self._form = form
        place = interpreter.place
        self._documents = [place.document] + ([place.root] if place.root else [])

    def gather(self, item: d.FormItem) -> list[_Wanted]:
        here = self._documents[0]
        found = list(_of_item(item, here))
        if isinstance(item, d.Field | d.RecordItem) and item.modal:
            return found
        found += _of_form(self._form, here)
        for document in self._documents:
            found += _of_links(document.document.links, document)
            for form in document.document.dialogs:
                if form is not self._form:
                    found += _of_form_elsewhere(form, document)
        return found + list(self._universals())

    def _universals(self) -> Iterator[_Wanted]:
        """``help``, ``cancel`` and ``exit`` (VoiceXML 2.0 6.3.6)."""
        told = self._interpreter.property_value("universals").split()
        for event in UNIVERSALS:
            if "all" in told or event in told:
                yield _wanted(phrase(event), self._documents[0], _throwing(event))


def _throwing(event: str) -> d.Destination:
    return d.Destination(None, None, event, None, None, None, d.NO_ATTRIBUTES, 0)


def _wanted(
    grammar: d.GrammarElement | Network,
    document: Loaded,
    destination: d.Destination | None = None,
    option: d.Option | None = None,
    form: d.Form | None = None,
) -> _Wanted:
    return grammar, Active(_NOTHING, document, destination, option, form)


_NOTHING = phrase("")


def _of_item(item: d.FormItem, document: Loaded) -> Iterator[_Wanted]:
    match item:
        case d.MenuInput(_, choices):
            yield from _of_choices(choices, document)
        case d.Field(grammars=grammars, options=options, links=links):
            for grammar in grammars:
                yield _wanted(grammar, document)
            for option in options:
                for network in option.networks:
                    yield _wanted(network, document, option=option)
            yield from _of_links(links, document)
        case d.RecordItem(grammars=grammars, links=links):
            for grammar in grammars:
                yield _wanted(grammar, document)
            yield from _of_links(links, document)
        case d.Initial(links=links):
            yield from _of_links(links, document)
        case _:
            raise AssertionError(f"{type(item).__name__} does not listen")


def _of_choices(choices: Sequence[d.Choice], document: Loaded) -> Iterator[_Wanted]:
    for choice in choices:
        for grammar in choice.grammars:
            yield _wanted(grammar, document, choice.destination)


def _of_links(links: Sequence[d.LinkElement], document: Loaded) -> Iterator[_Wanted]:
    for link in links:
        for grammar in link.grammars:
            yield _wanted(grammar, document, link.destination)


def _of_form(form: d.Form, document: Loaded) -> Iterator[_Wanted]:
    for grammar in form.grammars:
        yield _wanted(grammar, document, form=form)
    yield from _of_links(form.links, document)


def _of_form_elsewhere(form: d.Form, document: Loaded) -> Iterator[_Wanted]:
    """The document-wide grammars of a dialog that is not being visited."""
    if form.is_menu:
        if form.document_wide:
            for item in form.items:
                yield from _of_item(item, document)
        return
    for grammar in form.grammars:
        if form.document_wide or grammar.document_wide:
            yield _wanted(grammar, document, form=form)


# --- What came


@dataclass(frozen=True, slots=True)
class Input:
    """An input that matched: the grammar, and what it means."""

    active: Active
    understood: Understood


def hear(interpreter: Interpreter, listening: Listening, outcome: object) -> Input:
    """What an outcome of an input means; throws noinput, nomatch, and that the caller has gone.

    ``application.lastresult$`` is set (VoiceXML 2.0 5.1.5).
    """
    match outcome:
        case HungUp():
            raise interpreter.hang_up()
        case InputFailed(event, message):
            interpreter.begin_turn()
            raise ThrownEvent(event, message)
        case Collected("noinput", mark=mark):
            interpreter.begin_turn()
            _remember(interpreter, None, mark)
            raise ThrownEvent("noinput")
        case Collected(kind, keys, grammar, mark):
            interpreter.begin_turn()
            spoken: tuple[Utterance, ...] = (Utterance(keys),)
            candidates = listening.keys[grammar : grammar + 1] if kind == "match" else ()
            return _understand(interpreter, candidates, spoken, "dtmf", mark)
        case Heard(utterances, mark):
            interpreter.begin_turn()
            level = interpreter.level("confidencelevel")
            sure = tuple(said for said in utterances if said.confidence >= level)
            candidates = listening.speech if sure else ()
            return _understand(interpreter, candidates, sure or utterances, "voice", mark)
        case _:
            raise TypeError(f"an input cannot be answered with {outcome!r}")


def understand_keys(
    interpreter: Interpreter, listening: Listening, recorded: Recorded
) -> Input | None:
    """The input that ended a recording; None when none of these grammars did."""
    if not 0 <= recorded.grammar < len(listening.keys):
        return None
    said = (Utterance(recorded.keys),)
    candidates = listening.keys[recorded.grammar : recorded.grammar + 1]
    return _understand(interpreter, candidates, said, "dtmf", None)


def _understand(
    interpreter: Interpreter,
    candidates: Sequence[Active],
    utterances: Sequence[Utterance],
    mode: Literal["dtmf", "voice"],
    mark: Mark | None,
) -> Input:
    results: list[dict[str, Any]] = []
    first: Active | None = None
    for said in utterances[: interpreter.maxnbest()]:
        for active in candidates:
            value = _interpretation(interpreter, active, said.text, mode)
            if value is not None:
                first = first or active
                results.append(_result(said, mode, value[0]))
                break
    if first is None:
        interpreter.trace("input", f"{utterances[0].text if utterances else ''} (no match)")
        _remember(interpreter, [_result(said, mode, UNDEFINED) for said in utterances[:1]], mark)
        raise ThrownEvent("nomatch")
    interpreter.trace("input", results[0]["utterance"])
    _remember(interpreter, results, mark)
    if mark is not None:
        results[0] |= _marked(mark)
    return Input(first, Understood(tuple(results), first.destination))


def _interpretation(
    interpreter: Interpreter, active: Active, text: str, mode: Literal["dtmf", "voice"]
) -> tuple[Any] | None:
    """What ``text`` means by one grammar; None when it does not match."""
    tokens = list(text) if mode == "dtmf" else words(text)
    steps = match_tokens(active.network, tokens)
    if steps is None:
        return None
    if active.option is not None:
        return (active.option.value,)
    return (interpreter.ecmascript.evaluate_apart(interpretation_source(active.network, steps)),)


def _result(said: Utterance, mode: Literal["dtmf", "voice"], value: object) -> dict[str, Any]:
    result: dict[str, Any] = {
        "utterance": said.text,
        "inputmode": mode,
        "confidence": said.confidence,
    }
    if value is not UNDEFINED:
        result["interpretation"] = value
    return result


def _marked(mark: Mark) -> dict[str, Any]:
    return {"markname": mark.name, "marktime": round(mark.time_s * 1000)}


def _remember(
    interpreter: Interpreter, results: list[dict[str, Any]] | None, mark: Mark | None
) -> None:
    interpreter.ecmascript.set_last_result(results, _marked(mark) if mark is not None else {})


# --- What it fills


def slot_value(interpretation: Any, slot: str) -> Any:
    """The property ``slot`` (perhaps ``a.b``) of an interpretation; UNDEFINED when it has none."""
    for name in slot.split("."):
        if not isinstance(interpretation, dict) or name not in interpretation:
            return UNDEFINED
        interpretation = interpretation[name]
    return interpretation


def field_value(interpretation: Any, slot: str) -> Any:
    """What a field-level grammar gives its field (VoiceXML 2.0 3.1.6.2)."""
    value = slot_value(interpretation, slot)
    return interpretation if value is UNDEFINED else value
