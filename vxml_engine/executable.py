"""Executable content (VoiceXML 2.0 5.3): each element does its work or says where to go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vxml_engine import document as d
from vxml_engine.data import load_data
from vxml_engine.ecmascript import UNDEFINED
from vxml_engine.effects import (
    Disconnect,
    Disconnected,
    HandedOver,
    HungUp,
    Log,
    Transfer,
    TransferFailed,
    Transferred,
)
from vxml_engine.errors import ThrownEvent
from vxml_engine.grammar.network import Network
from vxml_engine.interpreter import Interpreter, Run
from vxml_engine.transitions import Finished, Returned, ToDialog, ToItem, Transition


class FormControl(Protocol):
    """What executable content may do to the form it belongs to."""

    def clear(self, names: Sequence[str]) -> None:
        """``<clear>`` (VoiceXML 2.0 5.3.3): all form items when no names are given."""

    def has_item(self, name: str) -> bool:
        """Whether the form has a form item of that name."""

    def input_names(self) -> list[str]:
        """The names of the input items, as ``<submit>`` sends them by default."""


def run_content(
    interpreter: Interpreter, content: Sequence[d.Executable], form: FormControl
) -> Run[Transition | None]:
    """Execute in an anonymous scope; returns the first transition, None when there was none.

    The scope is made when something is first declared: most content declares nothing.
    """
    depth = interpreter.ecmascript.depth
    try:
        return (yield from _execute_all(interpreter, content, form, depth))
    finally:
        interpreter.ecmascript.cut(depth)


def _execute_all(
    interpreter: Interpreter, content: Sequence[d.Executable], form: FormControl, floor: int
) -> Run[Transition | None]:
    for element in content:
        interpreter.step(element.line)
        transition = yield from _execute(interpreter, element, form, floor)
        if transition is not None:
            return transition
    return None


def _execute(
    interpreter: Interpreter, element: d.Executable, form: FormControl, floor: int
) -> Run[Transition | None]:
    ecmascript = interpreter.ecmascript
    match element:
        case d.PromptElement(cond=cond):
            if cond is None or ecmascript.test(cond):
                interpreter.queue_prompt(element)
        case d.If(branches):
            for branch in branches:
                if branch.cond is None or ecmascript.test(branch.cond):
                    return (yield from _execute_all(interpreter, branch.content, form, floor))
        case d.Assign(name, expr):
            ecmascript.assign(name, expr)
        case d.Var() | d.Script() | d.Data():
            if ecmascript.depth == floor:
                ecmascript.push()
            yield from declare(interpreter, element)
        case d.Foreach():
            return (yield from _execute_each(interpreter, element, form, floor))
        case d.Throw():
            raise thrown(interpreter, element)
        case d.Reprompt():
            interpreter.reprompt = True
        case d.Clear(namelist):
            form.clear(namelist)
        case d.LogElement() | d.TransferNow():
            yield from _tell(interpreter, element, floor)
        case _:
            return (yield from _leave(interpreter, element, form))
    return None


def _execute_each(
    interpreter: Interpreter, element: d.Foreach, form: FormControl, floor: int
) -> Run[Transition | None]:
    """``<foreach>`` (VoiceXML 2.1 6): over a copy of the array made at the beginning."""
    ecmascript = interpreter.ecmascript
    length = ecmascript.begin_loop(element.array)
    try:
        if ecmascript.depth == floor:
            ecmascript.push()
        for index in range(length):
            interpreter.step(element.line)
            ecmascript.loop_item(element.item, index)
            transition = yield from _execute_all(interpreter, element.content, form, floor)
            if transition is not None:
                return transition
    finally:
        ecmascript.end_loop()
    return None


def _tell(interpreter: Interpreter, element: d.LogElement | d.TransferNow, floor: int) -> Run[None]:
    """The elements that ask something of the platform and go on."""
    match element:
        case d.LogElement():
            yield Log(*_log_text(interpreter, element))
        case d.TransferNow():
            yield from _transfer_now(interpreter, element, floor)


def _leave(
    interpreter: Interpreter,
    element: d.Goto | d.Submit | d.ReturnElement | d.Exit | d.DisconnectElement,
    form: FormControl,
) -> Run[Transition | None]:
    """The elements that end the content they stand in."""
    match element:
        case d.Goto(nextitem=str()) | d.Goto(expritem=str()):
            return _goto_item(interpreter, element, form)
        case d.Goto():
            address = interpreter.choose(element.next, element.expr, "the address")
            target = yield from interpreter.go(address, element.fetch)
            return traced(interpreter, target)
        case d.Submit():
            target = yield from _submit(interpreter, element, form)
            return traced(interpreter, target)
        case d.ReturnElement():
            return _return(interpreter, element)
        case d.Exit(expr, namelist):
            if expr is not None:
                value = interpreter.ecmascript.evaluate(expr)
                return Finished("exit", None if value is UNDEFINED else value)
            return Finished("exit", interpreter.values(namelist) if namelist else None)
        case d.DisconnectElement(namelist):
            values = interpreter.values(namelist)
            yield from interpreter.play_queued()
            if not interpreter.hung_up:
                outcome = yield Disconnect(values)
                interpreter.disconnected = isinstance(outcome, Disconnected)
            raise interpreter.hang_up()


def traced(interpreter: Interpreter, target: ToDialog) -> ToDialog:
    """Tell where it goes."""
    name = f"#{target.form.id}" if target.form.id else ""
    interpreter.trace("goto", target.document.url + name)
    return target


def declare(interpreter: Interpreter, element: d.Var | d.Script | d.Data) -> Run[None]:
    """``<var>``, ``<script>`` or ``<data>`` in the innermost scope."""
    match element:
        case d.Data():
            yield from load_data(interpreter, element)
        case d.Var(name, expr):
            interpreter.ecmascript.declare(name, expr)
        case d.Script():
            source = yield from interpreter.load_script(element)
            interpreter.ecmascript.run_script(source)


def thrown(interpreter: Interpreter, element: d.Throw | d.Destination) -> ThrownEvent:
    """The event that ``<throw>``, a choice or a link throws."""
    event = interpreter.choose(element.event, element.eventexpr, "the event")
    message = interpreter.choose(element.message, element.messageexpr, "the message")
    return ThrownEvent(event, message, element.line)


def _log_text(interpreter: Interpreter, element: d.LogElement) -> tuple[str, str]:
    texts: list[str] = []
    for part in element.parts:
        match part:
            case d.Text(text):
                texts.append(text)
            case d.ValueOf(expr):
                texts.append(interpreter.ecmascript.text(expr))
    if element.expr is not None:
        texts.append(interpreter.ecmascript.text(element.expr))
    return element.label or "", "".join(texts).strip()


def _goto_item(interpreter: Interpreter, element: d.Goto, form: FormControl) -> ToItem:
    name = interpreter.choose(element.nextitem, element.expritem, "the form item")
    if not form.has_item(name):
        raise ThrownEvent("error.badfetch", f"the form has no form item '{name}'")
    interpreter.trace("goto", name)
    return ToItem(name)


def _submit(interpreter: Interpreter, element: d.Submit, form: FormControl) -> Run[ToDialog]:
    address = interpreter.choose(element.next, element.expr, "the address")
    names = form.input_names() if element.namelist is None else element.namelist
    return (
        yield from interpreter.load(
            interpreter.place.document.resolve(address),
            element.fetch,
            element.method,
            interpreter.fields(names),
            element.enctype,
        )
    )


def _return(interpreter: Interpreter, element: d.ReturnElement) -> Returned:
    """``<return>``: its values are held until the calling dialog takes them."""
    if not interpreter.subdialogs:
        raise ThrownEvent("error.semantic", "<return> outside of a subdialog")
    if element.event is not None or element.eventexpr is not None:
        event = interpreter.choose(element.event, element.eventexpr, "the event")
        message = interpreter.choose(element.message, element.messageexpr, "the message")
        return Returned(event, message)
    for name in element.namelist:
        interpreter.ecmascript.hold(name, name)
    return Returned(None, "")


# --- Transfers


def start_transfer(
    interpreter: Interpreter, spec: d.TransferSpec, networks: tuple[Network, ...] = ()
) -> Run[Transferred]:
    """Play what waits and transfer (VoiceXML 2.0 2.3.7, 2.1 7); returns how it ended.

    Throws ``error.connection.*`` when there was none, ``connection.disconnect.transfer`` when the
    caller has been handed over, ``connection.disconnect.hangup`` when the caller has gone;
    ``interpreter.transfer_s`` is then how long it was.
    """
    interpreter.transfer_s = 0.0
    dest = interpreter.choose(spec.dest, spec.destexpr, "the destination").strip()
    if not dest:
        raise ThrownEvent("error.connection.baddestination", "the destination is empty")
    timeout_s = spec.connecttimeout_s
    audio = spec.transferaudio
    settings = interpreter.collect_settings()
    outcome = yield Transfer(
        dest=dest,
        kind=spec.kind,
        connect_timeout_s=interpreter.time("connecttimeout") if timeout_s is None else timeout_s,
        max_time_s=spec.maxtime_s,
        caller=spec.caller,
        aai=interpreter.choose(spec.aai, spec.aaiexpr, "aai"),
        prompts=interpreter.take_prompts(),
        networks=networks,
        settings=settings,
        audio=interpreter.place.document.resolve(audio) if audio else None,
    )
    match outcome:
        case Transferred(_, duration_s):
            interpreter.transfer_s = duration_s
            if duration_s > 0:
                interpreter.begin_turn()
            return outcome
        case HandedOver():
            interpreter.hung_up = interpreter.disconnected = True
            raise ThrownEvent("connection.disconnect.transfer", "the call was handed over")
        case TransferFailed(event, message):
            raise ThrownEvent(event, message)
        case HungUp(duration_s):
            interpreter.transfer_s = duration_s
            raise interpreter.hang_up()
        case _:
            raise TypeError(f"a Transfer cannot be answered with {outcome!r}")


def _transfer_now(interpreter: Interpreter, element: d.TransferNow, floor: int) -> Run[None]:
    """``<vm:transfer>``: as a bridge; execution goes on behind it."""
    if interpreter.hung_up:
        raise interpreter.hang_up()
    result: str | None = None
    try:
        outcome = yield from start_transfer(interpreter, element.spec)
        result = outcome.result
    finally:
        if element.name is not None:
            _set_result(interpreter, element.name, result, floor)


def _set_result(interpreter: Interpreter, name: str, result: str | None, floor: int) -> None:
    ecmascript = interpreter.ecmascript
    shadow = {"duration": interpreter.transfer_s, "result": result}
    try:
        ecmascript.require_declared(name)
    except ThrownEvent:
        if ecmascript.depth == floor:
            ecmascript.push()
        ecmascript.declare(name)
    ecmascript.set(name, UNDEFINED if result is None else result)
    ecmascript.set(f"{name}$", shadow)
