"""The form interpretation algorithm (VoiceXML 2.0 2.1.6 and appendix C).

A visit to a form: initialize its variables, then again and again *select* the next form item,
*collect* what it asks for, and *process* the result, until something leads elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vxml_engine import document as d
from vxml_engine.ecmascript import UNDEFINED
from vxml_engine.effects import Collect, HungUp, InputFailed, Prompt, Record, Recorded, Speech
from vxml_engine.errors import LimitReached, ThrownEvent
from vxml_engine.events import (
    EventCounts,
    count_event,
    default_handler,
    select_catch,
)
from vxml_engine.executable import (
    declare,
    run_content,
    start_transfer,
    thrown,
    traced,
)
from vxml_engine.interpreter import Interpreter, Place, Run
from vxml_engine.limits import SUBDIALOG_DEPTH_MAX
from vxml_engine.listening import (
    Input,
    field_value,
    hear,
    item_networks,
    listen,
    slot_value,
    understand_keys,
)
from vxml_engine.prompts import Listed, select_prompts
from vxml_engine.transitions import (
    ErrorReport,
    Finished,
    Loaded,
    Returned,
    ToDialog,
    ToItem,
    Transition,
    Understood,
)

RECORDING_S_DEFAULT = 120.0
"""How long a recording lasts at most when ``maxtime`` does not say."""
FINAL_SILENCE_S_DEFAULT = 4.0
"""The silence that ends a recording when ``finalsilence`` does not say."""


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


class FormVisit:
    """One visit to a form: from entering it to leaving it."""

    def __init__(
        self, interpreter: Interpreter, target: ToDialog, parameters: Sequence[str]
    ) -> None:
        self._interpreter = interpreter
        self._ecmascript = interpreter.ecmascript
        self._document: Loaded = target.document
        self._form = target.form
        self._heard = target.heard
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
        if transition is None and self._heard is not None:
            transition = yield from self._guard(None, self._process_heard(self._heard))
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
        kind = "menu" if self._form.is_menu else "form"
        self._interpreter.trace("visit", f"{kind} {self._form.id or ''}".strip())
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
                case d.Script() | d.Data():
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
            return self._item(name)
        for item in self._form.items:
            common = item.common
            if self._ecmascript.is_unfilled(common.name) and (
                common.cond is None or self._ecmascript.test(common.cond)
            ):
                return item
        return None

    def _item(self, name: str) -> d.FormItem:
        return next(item for item in self._form.items if item.common.name == name)

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
            case d.Field() | d.MenuInput() | d.Initial():
                return (yield from self._collect_input(item))
            case d.RecordItem():
                transition = yield from self._collect_recording(item)
            case d.Subdialog():
                transition = yield from self._collect_subdialog(item)
            case d.TransferItem():
                transition = yield from self._collect_transfer(item)
            case d.ObjectItem(_, classid):
                raise ThrownEvent("error.unsupported.objectname", f"there is no object '{classid}'")
        if transition is not None:
            return transition
        return (yield from self._process([common.name]))

    def _queue_prompts(self, common: d.Common) -> None:
        counter = self._prompt_counts.get(common.name, 1)
        for prompt in select_prompts(common.prompts, counter, self._ecmascript.test):
            self._interpreter.step(prompt.line)
            self._interpreter.queue_prompt(prompt)
        self._prompt_counts[common.name] = counter + 1

    def _process(self, just_filled: Sequence[str]) -> Run[Transition | None]:
        """The process phase: the ``<filled>`` that an input sets off (VoiceXML 2.0 2.4).

        In document order; an event ends the phase, and is handled where the action stands.
        """
        for owner, filled in self._form.filled:
            if not self._sets_off(owner, filled, just_filled):
                continue
            item = None if owner is None else self._item(owner)
            self._interpreter.place.item = item.common if item is not None else None
            try:
                transition = yield from run_content(self._interpreter, filled.content, self)
            except ThrownEvent as event:
                return (yield from self._handle(event, item))
            if transition is not None:
                return transition
        return None

    def _sets_off(self, owner: str | None, filled: d.Filled, just_filled: Sequence[str]) -> bool:
        if owner is not None:
            return owner in just_filled
        names = filled.namelist or [
            item.common.name
            for item in self._form.items
            if not isinstance(item, d.Block | d.Initial)
        ]
        if not any(name in names for name in just_filled):
            return False
        return filled.mode == "any" or not any(map(self._ecmascript.is_unfilled, names))

    # --- Inputs

    def _collect_input(self, item: d.Field | d.MenuInput | d.Initial) -> Run[Transition | None]:
        interpreter = self._interpreter
        listening = yield from listen(interpreter, self._form, item)
        if interpreter.hung_up:
            return Finished(interpreter.ending("end"))
        settings = interpreter.collect_settings()
        outcome = yield Collect(
            prompts=interpreter.take_prompts(),
            networks=listening.key_networks(),
            settings=settings,
            speech=listening.speech_networks(),
            speech_settings=interpreter.speech_settings(),
        )
        return (yield from self._take(item, hear(interpreter, listening, outcome)))

    def _take(self, item: d.FormItem, entered: Input) -> Run[Transition | None]:
        """Do what the grammar that matched is for."""
        active, understood = entered.active, entered.understood
        if active.destination is not None:
            return (yield from self._follow(active.destination, active.document))
        if active.form is self._form:
            return (yield from self._process_heard(understood))
        if active.form is not None:
            root = self._interpreter.place.root
            root = None if active.document is root else root
            target = ToDialog(active.document, root, active.form, fresh=False, heard=understood)
            return traced(self._interpreter, target)
        assert isinstance(item, d.Field)
        if "interpretation" in understood.results[0]:
            value = field_value(understood.interpretation, item.slot)
            self._fill(item.common.name, value, understood)
        return (yield from self._process([item.common.name]))

    def _fill(self, name: str, value: Any, understood: Understood) -> None:
        self._ecmascript.set(f"{name}$", understood.results[0])
        self._ecmascript.set(name, value)

    def _process_heard(self, understood: Understood) -> Run[Transition | None]:
        """A form's own grammar has matched: it fills every field it has a slot for."""
        just_filled: list[str] = []
        interpretation = understood.results[0].get("interpretation")
        for item in self._form.items:
            if not isinstance(item, d.Field):
                continue
            value = slot_value(interpretation, item.slot)
            if value is not UNDEFINED:
                self._fill(item.common.name, value, understood)
                just_filled.append(item.common.name)
        if just_filled:
            for item in self._form.items:
                if isinstance(item, d.Initial):
                    self._ecmascript.set(item.common.name, True)
        return (yield from self._process(just_filled))

    def _follow(self, destination: d.Destination, document: Loaded) -> Run[Transition | None]:
        """Go where a choice or a link leads, or throw its event."""
        self._interpreter.line = destination.line or self._interpreter.line
        if destination.event is not None or destination.eventexpr is not None:
            raise thrown(self._interpreter, destination)
        address = self._interpreter.choose(destination.next, destination.expr, "the address")
        target = yield from self._interpreter.go(address, destination.fetch, document)
        return traced(self._interpreter, target)

    def _collect_recording(self, item: d.RecordItem) -> Run[Transition | None]:
        """``<record>`` (VoiceXML 2.0 2.3.6)."""
        interpreter, ecmascript = self._interpreter, self._ecmascript
        listening = yield from listen(interpreter, self._form, item)
        if interpreter.hung_up:
            return Finished(interpreter.ending("end"))
        maxtime_s = item.maxtime_s
        silence_s = item.finalsilence_s
        settings = interpreter.collect_settings()
        outcome = yield Record(
            prompts=interpreter.take_prompts(),
            beep=item.beep,
            max_time_s=RECORDING_S_DEFAULT if maxtime_s is None else maxtime_s,
            final_silence_s=FINAL_SILENCE_S_DEFAULT if silence_s is None else silence_s,
            dtmf_term=item.dtmfterm,
            media_type=item.media_type,
            networks=listening.key_networks(),
            settings=settings,
        )
        match outcome:
            case Recorded():
                pass
            case HungUp():
                raise interpreter.hang_up()
            case InputFailed(event, message):
                interpreter.begin_turn()
                raise ThrownEvent(event, message)
            case _:
                raise TypeError(f"a Record cannot be answered with {outcome!r}")
        interpreter.begin_turn()
        entered = understand_keys(interpreter, listening, outcome)
        if entered is not None and (entered.active.destination or entered.active.form):
            return (yield from self._take(item, entered))
        name = item.common.name
        ecmascript.set(f"{name}$", _recording_shadow(outcome))
        ecmascript.set(name, outcome.reference)
        if outcome.hung_up:
            raise interpreter.hang_up()
        return None

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
                item.fetch,
                item.method,
                interpreter.fields(item.namelist),
                item.enctype,
            )
        )

    def _collect_transfer(self, item: d.TransferItem) -> Run[Transition | None]:
        """``<transfer>`` (VoiceXML 2.0 2.3.7): ``name$.duration`` is set however it ends."""
        interpreter, ecmascript = self._interpreter, self._ecmascript
        name = item.common.name
        networks = yield from item_networks(interpreter, item.grammars, "dtmf")
        if interpreter.hung_up:
            return Finished(interpreter.ending("end"))
        shadow: dict[str, object] = {}
        try:
            outcome = yield from start_transfer(interpreter, item.spec, networks)
            if outcome.keys:
                shadow |= {"inputmode": "dtmf", "utterance": outcome.keys}
        finally:
            ecmascript.set(f"{name}$", {"duration": interpreter.transfer_s, **shadow})
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
            if event.message:
                ecmascript.set_innermost("_message", event.message)
            else:
                ecmascript.declare("_message")
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
            if item.common.named and not isinstance(item, d.Block | d.Initial)
        ]


def _recording_shadow(recorded: Recorded) -> dict[str, object]:
    """The shadow variables of a recording (VoiceXML 2.0 2.3.6)."""
    shadow: dict[str, object] = {
        "duration": round(recorded.duration_s * 1000),
        "size": recorded.size_bytes,
        "maxtime": recorded.max_time,
    }
    if recorded.term_char:
        shadow["termchar"] = recorded.term_char
    return shadow


def _listed(item: d.FormItem) -> list[Listed]:
    match item:
        case d.MenuInput(_, choices):
            return [Listed(choice.text, choice.dtmf) for choice in choices]
        case d.Field(options=options):
            return [Listed(option.text, option.dtmf) for option in options]
        case _:
            return []
