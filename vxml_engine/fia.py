"""The form interpretation algorithm (VoiceXML 2.0 2.1.6 and appendix C).

A visit to a form: initialize its variables, then again and again *select* the next form item,
*collect* what it asks for, and *process* the result, until something leads elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vxml_engine import document as d
from vxml_engine.ecmascript import UNDEFINED
from vxml_engine.effects import Collect, Prompt, Speech
from vxml_engine.errors import LimitReached, ThrownEvent
from vxml_engine.events import (
    EventCounts,
    count_event,
    default_handler,
    select_catch,
)
from vxml_engine.executable import (
    collected_or_thrown,
    declare,
    last_result,
    run_content,
    start_transfer,
    thrown,
    traced,
)
from vxml_engine.grammar.network import Network, match_keys
from vxml_engine.grammar.semantics import interpretation_source
from vxml_engine.interpreter import Interpreter, Place, Run
from vxml_engine.limits import SUBDIALOG_DEPTH_MAX
from vxml_engine.prompts import Listed, select_prompts
from vxml_engine.transitions import (
    ErrorReport,
    Finished,
    Loaded,
    Returned,
    ToDialog,
    ToItem,
    Transition,
)


def run_dialogs(
    interpreter: Interpreter, target: ToDialog, parameters: Sequence[str] = ()
) -> Run[Finished | Returned]:
    """Interpret from ``target`` on until the session or the subdialog ends.

    ``parameters`` are the names of values held for the first dialog.
    """
    active: Place | None = None
    while True:
        interpreter.count_transition()
        active = _enter(interpreter, target, active)
        visit = FormVisit(interpreter, target, parameters)
        parameters = ()
        transition = yield from visit.run()
        match transition:
            case ToDialog():
                target = transition
            case Finished() | Returned():
                return transition
            case ToItem():
                raise AssertionError("a visit follows its own items")


def _enter(interpreter: Interpreter, target: ToDialog, active: Place | None) -> Place:
    """Make the scopes of ``target``'s application and document (VoiceXML 2.0 1.5.2).

    The application's scope stays when the root document does, except from a root to itself.
    What is to be initialized is left in the place's ``pending`` for the visit to do, because it
    may throw.
    """
    ecmascript = interpreter.ecmascript
    place = Place(target.document, target.root)
    interpreter.place = place
    if active is not None and not target.fresh:
        ecmascript.cut(2 if target.root is None else 3)
        return place
    application = target.root or target.document
    stays = (
        active is not None
        and (active.root or active.document).url == application.url
        and not (active.root is None and target.root is None)
    )
    if not stays:
        ecmascript.cut(1)
        ecmascript.push("application", "document")
        ecmascript.set_innermost("lastresult$", [])
        place.pending.append(application)
    else:
        ecmascript.cut(2)
    if target.root is not None:
        place.pending.append(target.document)
    return place


@dataclass(frozen=True, slots=True)
class _Active:
    """A grammar that is listened to, and what a match of it does."""

    network: Network
    action: d.Option | d.Destination | None


class FormVisit:
    """One visit to a form: from entering it to leaving it."""

    def __init__(
        self, interpreter: Interpreter, target: ToDialog, parameters: Sequence[str]
    ) -> None:
        self._interpreter = interpreter
        self._ecmascript = interpreter.ecmascript
        self._document: Loaded = target.document
        self._form = target.form
        self._parameters = parameters
        self._prompt_counts: dict[str, int] = {}
        self._item_events: dict[str, EventCounts] = {}
        self._form_events: EventCounts = {}
        self._next_item: str | None = None
        self._skip_prompts = False

    # --- The algorithm

    def run(self) -> Run[Transition]:
        """Visit the form; returns where to go then."""
        interpreter = self._interpreter
        transition = yield from self._guard(None, self._initialize())
        while transition is None or isinstance(transition, ToItem):
            if isinstance(transition, ToItem):
                self._next_item = transition.name
            interpreter.place.item = None
            interpreter.step(self._form.line)
            try:
                item = self._select()
            except ThrownEvent as event:
                transition = yield from self._handle(event, None)
                continue
            if item is None:
                return Finished("end")
            transition = yield from self._guard(item, self._visit(item))
        return transition

    def _initialize(self) -> Run[Transition | None]:
        """Initialization: the document's part that is still to do, then the form's."""
        place = self._interpreter.place
        while place.pending:
            loaded = place.pending.pop(0)
            if loaded is place.document and place.root is not None:
                self._ecmascript.push("document")
            for declaration in loaded.document.declarations:
                self._interpreter.step(declaration.line)
                yield from declare(self._interpreter, declaration)
        place.form = self._form
        self._interpreter.line = self._form.line
        self._ecmascript.push("dialog")
        if self._form.is_menu:
            self._interpreter.trace("visit", f"menu {self._form.id or ''}".strip())
        else:
            self._interpreter.trace("visit", f"form {self._form.id or ''}".strip())
        for unbuilt in self._form.unbuilt:
            raise ThrownEvent(
                f"error.unsupported.{unbuilt.tag}",
                f"this <{unbuilt.tag}> is not supported",
                unbuilt.line,
            )
        yield from self._declare_all()
        return None

    def _declare_all(self) -> Run[None]:
        waiting = set(self._parameters)
        for declaration in self._form.declarations:
            match declaration:
                case d.Var(name, expr, line):
                    self._interpreter.step(line)
                    if name in waiting:
                        waiting.discard(name)
                        self._ecmascript.take(name)
                    else:
                        self._ecmascript.declare(name, expr)
                case d.Script():
                    self._interpreter.step(declaration.line)
                    yield from declare(self._interpreter, declaration)
                case _:
                    self._ecmascript.declare(declaration.common.name, declaration.common.expr)
        if waiting:
            raise ThrownEvent(
                "error.semantic",
                f"the subdialog declares no variable {', '.join(sorted(waiting))} for a <param>",
            )

    def _guard(
        self, item: d.FormItem | None, work: Run[Transition | None]
    ) -> Run[Transition | None]:
        """Do ``work``; an event it throws is handled in the scope of ``item`` or the form."""
        try:
            return (yield from work)
        except ThrownEvent as event:
            return (yield from self._handle(event, item))

    def _select(self) -> d.FormItem | None:
        """The select phase: the item told, else the first whose guard is not satisfied."""
        if self._next_item is not None:
            name, self._next_item = self._next_item, None
            return next(item for item in self._form.items if item.common.name == name)
        for item in self._form.items:
            common = item.common
            if self._ecmascript.is_unfilled(common.name) and (
                common.cond is None or self._ecmascript.test(common.cond)
            ):
                return item
        return None

    def _visit(self, item: d.FormItem) -> Run[Transition | None]:
        """The collect phase, and after an input the process phase."""
        common = item.common
        self._interpreter.place.item = common
        self._interpreter.line = common.line
        skip, self._skip_prompts = self._skip_prompts, False
        self._interpreter.listed = _listed(item)
        if not skip and not isinstance(item, d.Block):
            self._queue_prompts(common)
        match item:
            case d.Block(_, content):
                self._ecmascript.set(common.name, True)
                return (yield from run_content(self._interpreter, content, self))
            case d.Field() | d.MenuInput():
                transition = yield from self._collect_keys(item)
            case d.Subdialog():
                transition = yield from self._collect_subdialog(item)
            case d.TransferItem():
                transition = yield from self._collect_transfer(item)
            case d.UnbuiltItem(_, tag):
                raise ThrownEvent(f"error.unsupported.{tag}", f"<{tag}> is not supported")
        if transition is not None:
            return transition
        return (yield from self._process(item))

    def _queue_prompts(self, common: d.Common) -> None:
        counter = self._prompt_counts.get(common.name, 1)
        for prompt in select_prompts(common.prompts, counter, self._ecmascript.test):
            self._interpreter.step(prompt.line)
            self._interpreter.queue_prompt(prompt)
        self._prompt_counts[common.name] = counter + 1

    def _process(self, item: d.FormItem) -> Run[Transition | None]:
        """The process phase: the actions this item's being filled sets off."""
        name = item.common.name
        for filled in item.common.filled:
            transition = yield from run_content(self._interpreter, filled.content, self)
            if transition is not None:
                return transition
        self._interpreter.place.item = None
        return (yield from self._guard(None, self._process_form(name)))

    def _process_form(self, name: str) -> Run[Transition | None]:
        """The form's own ``<filled>`` (VoiceXML 2.0 2.4)."""
        for filled in self._form.filled:
            names = filled.namelist or self.input_names()
            if name not in names:
                continue
            if filled.mode == "all" and any(map(self._ecmascript.is_unfilled, names)):
                continue
            transition = yield from run_content(self._interpreter, filled.content, self)
            if transition is not None:
                return transition
        return None

    # --- Inputs

    def _collect_keys(self, item: d.Field | d.MenuInput) -> Run[Transition | None]:
        interpreter = self._interpreter
        active = yield from self._active_grammars(item)
        if interpreter.hung_up:
            return Finished(interpreter.ending("end"))
        settings = interpreter.collect_settings()
        networks = tuple(grammar.network for grammar in active)
        outcome = yield Collect(interpreter.take_prompts(), networks, settings)
        collected = collected_or_thrown(interpreter, outcome)
        if not 0 <= collected.grammar < len(active):
            raise TypeError(f"a Collect of {len(active)} grammars was answered with {collected!r}")
        grammar = active[collected.grammar]
        steps = match_keys(grammar.network, collected.keys)
        if steps is None:
            raise TypeError(f"{collected!r} does not match the grammar it names")
        if isinstance(grammar.action, d.Option):
            interpretation: object = grammar.action.value
        else:
            source = interpretation_source(grammar.network, steps)
            interpretation = self._ecmascript.evaluate(source)
        result = last_result(collected.keys, interpretation, 1.0)
        self._ecmascript.set_last_result([result])
        if isinstance(grammar.action, d.Destination):
            return (yield from self._follow(grammar.action))
        assert isinstance(item, d.Field)
        name = item.common.name
        if isinstance(interpretation, dict) and item.slot in interpretation:
            interpretation = interpretation[item.slot]
        self._ecmascript.set(f"{name}$", result)
        self._ecmascript.set(name, interpretation)
        return None

    def _follow(self, destination: d.Destination) -> Run[Transition | None]:
        """Go where a choice or a link leads, or throw its event."""
        self._interpreter.line = destination.line
        if destination.event is not None or destination.eventexpr is not None:
            raise thrown(self._interpreter, destination)
        address = self._interpreter.choose(destination.next, destination.expr, "the address")
        target = yield from self._interpreter.go(address, destination.fetchtimeout)
        return traced(self._interpreter, target)

    def _active_grammars(self, item: d.Field | d.MenuInput) -> Run[list[_Active]]:
        """What is listened to, in order of precedence (VoiceXML 2.0 3.1.4)."""
        wanted: list[tuple[d.GrammarElement, d.Destination | None]] = []
        active: list[_Active] = []
        links: list[d.LinkElement] = []
        if isinstance(item, d.MenuInput):
            for choice in item.choices:
                wanted += [(grammar, choice.destination) for grammar in choice.grammars]
        else:
            wanted += [(grammar, None) for grammar in item.grammars]
            links += item.links
        place = self._interpreter.place
        if not (isinstance(item, d.Field) and item.modal):
            links += self._form.links
            for document in place.documents():
                links += document.links
        wanted += [(grammar, link.destination) for link in links for grammar in link.grammars]
        speech_only = False
        if isinstance(item, d.Field):
            active += [_Active(o.network, o) for o in item.options if o.network is not None]
        for grammar, destination in wanted:
            network = yield from self._network(grammar)
            speech_only = speech_only or network is None
            if network is not None:
                active.append(_Active(network, destination))
        if not active:
            raise _nothing_to_hear(speech_only)
        return active

    def _network(self, grammar: d.GrammarElement) -> Run[Network | None]:
        match grammar:
            case d.InlineGrammar(network):
                return network
            case d.ExternalGrammar():
                return (yield from self._interpreter.load_grammar(grammar))
            case d.VoiceGrammar():
                return None
            case d.Unbuilt(tag, line):
                raise ThrownEvent(
                    f"error.unsupported.{tag}", f"this {tag} is not supported for keys", line
                )

    def _collect_subdialog(self, item: d.Subdialog) -> Run[Transition | None]:
        """``<subdialog>`` (VoiceXML 2.0 2.3.4): another context, and back with its values."""
        interpreter, ecmascript = self._interpreter, self._ecmascript
        if interpreter.subdialogs >= SUBDIALOG_DEPTH_MAX:
            raise LimitReached(
                "SUBDIALOG_DEPTH_MAX", f"subdialogs nest deeper than {SUBDIALOG_DEPTH_MAX}"
            )
        target = yield from self._subdialog_target(item)
        ecmascript.drop()
        for parameter in item.parameters:
            source = parameter.expr
            if source is None:
                source = json.dumps(parameter.value)
            ecmascript.hold(parameter.name, source)
        traced(interpreter, target)
        place, listed = interpreter.place, interpreter.listed
        ecmascript.suspend()
        interpreter.subdialogs += 1
        names = [parameter.name for parameter in item.parameters]
        ending = yield from run_dialogs(interpreter, target, names)
        if isinstance(ending, Finished):
            return ending
        interpreter.subdialogs -= 1
        ecmascript.resume()
        interpreter.place, interpreter.listed = place, listed
        interpreter.line = item.common.line
        interpreter.trace("return", ending.event or "")
        if ending.event is not None:
            raise ThrownEvent(ending.event, ending.message, item.common.line)
        ecmascript.take_all(item.common.name)
        return None

    def _subdialog_target(self, item: d.Subdialog) -> Run[ToDialog]:
        interpreter = self._interpreter
        address = interpreter.choose(item.src, item.srcexpr, "the subdialog's address")
        place = interpreter.place
        if address.startswith("#") and not item.namelist:
            return interpreter.to_dialog(place.document, place.root, address[1:], fresh=True)
        return (
            yield from interpreter.load(
                place.document.resolve(address),
                item.fetchtimeout,
                item.method,
                interpreter.fields(item.namelist),
                item.enctype,
            )
        )

    def _collect_transfer(self, item: d.TransferItem) -> Run[Transition | None]:
        """``<transfer>`` (VoiceXML 2.0 2.3.7): ``name$.duration`` is set however it ends."""
        interpreter, ecmascript = self._interpreter, self._ecmascript
        name = item.common.name
        networks: list[Network] = []
        for grammar in item.grammars:
            network = yield from self._network(grammar)
            if network is not None:
                networks.append(network)
        if interpreter.hung_up:
            return Finished(interpreter.ending("end"))
        shadow: dict[str, object] = {}
        try:
            outcome = yield from start_transfer(interpreter, item.spec, tuple(networks))
            if outcome.keys:
                shadow |= {"inputmode": "dtmf", "utterance": outcome.keys}
        finally:
            ecmascript.set(f"{name}$", {"duration": interpreter.transfer_s, **shadow})
        if item.spec.kind == "blind":
            interpreter.hung_up = interpreter.disconnected = True
            raise ThrownEvent("connection.disconnect.transfer", "the call was handed over")
        ecmascript.set(name, outcome.result)
        return None

    # --- Events

    def _handle(self, event: ThrownEvent, item: d.FormItem | None) -> Run[Transition | None]:
        """Handle an event, and those its handler throws (VoiceXML 2.0 5.2)."""
        counts = self._form_events
        if item is not None:
            counts = self._item_events.setdefault(item.common.name, {})
        while True:
            self._interpreter.step(event.line or self._interpreter.line)
            self._interpreter.trace("throw", str(event))
            count_event(counts, event.event)
            try:
                return (yield from self._catch(event, item, counts))
            except ThrownEvent as another:
                event = another

    def _catch(
        self, event: ThrownEvent, item: d.FormItem | None, counts: EventCounts
    ) -> Run[Transition | None]:
        """Run the handler of one event; the next prompts are left out unless it reprompts."""
        interpreter, ecmascript = self._interpreter, self._ecmascript
        interpreter.place.item = item.common if item is not None else None
        interpreter.reprompt = False
        line = interpreter.line
        depth = ecmascript.push()
        try:
            ecmascript.set_innermost("_event", event.event)
            ecmascript.set_innermost("_message", event.message)
            catch = select_catch(self._catches(item), event.event, counts, self._satisfied)
            if catch is None:
                return self._default(event, line)
            transition = yield from run_content(interpreter, catch.content, self)
        finally:
            if ecmascript.depth > depth:
                ecmascript.cut(depth)
        self._skip_prompts = not interpreter.reprompt
        return transition

    def _catches(self, item: d.FormItem | None) -> Iterable[d.Catch]:
        if item is not None:
            yield from item.common.catches
        yield from self._form.catches
        for document in self._interpreter.place.documents():
            yield from document.catches

    def _satisfied(self, catch: d.Catch) -> bool:
        return catch.cond is None or self._ecmascript.test(catch.cond)

    def _default(self, event: ThrownEvent, line: int) -> Transition | None:
        """What the platform does with an event nobody catches (VoiceXML 2.0 5.2.5)."""
        interpreter = self._interpreter
        handler = default_handler(event.event)
        if handler.speech:
            interpreter.queue(Prompt((Speech(handler.speech, "en-US"),), bargein=True))
        match handler.then:
            case "reprompt":
                self._skip_prompts = False
            case "continue":
                self._skip_prompts = True
            case "exit":
                return Finished("exit")
            case "hangup":
                return Finished(interpreter.ending("hangup"))
            case "error":
                url = self._document.url
                report = ErrorReport(event.event, event.message, url, event.line or line)
                return Finished("error", error=report)
        return None

    # --- What executable content asks of the form

    def clear(self, names: Sequence[str]) -> None:
        for name in names:
            self._ecmascript.require_declared(name)
        for name in names or [item.common.name for item in self._form.items]:
            self._ecmascript.set(name, UNDEFINED)
            self._prompt_counts.pop(name, None)
            self._item_events.pop(name, None)

    def has_item(self, name: str) -> bool:
        return any(item.common.name == name for item in self._form.items)

    def input_names(self) -> list[str]:
        return [
            item.common.name
            for item in self._form.items
            if item.common.named and not isinstance(item, d.Block)
        ]


def _listed(item: d.FormItem) -> list[Listed]:
    match item:
        case d.MenuInput(_, choices):
            return [Listed(choice.text, choice.dtmf) for choice in choices]
        case d.Field(options=options):
            return [Listed(option.text, option.dtmf) for option in options]
        case _:
            return []


def _nothing_to_hear(speech_only: bool) -> ThrownEvent:
    if speech_only:
        return ThrownEvent(
            "error.unsupported.grammar",
            "only speech could answer here, and speech is not recognized: add a DTMF grammar",
        )
    return ThrownEvent("error.semantic", "an input is expected, but no grammar is active")
