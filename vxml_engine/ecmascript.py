"""ECMAScript for one session: the scope chain of VoiceXML 2.0 section 5.1.2 on quickjs-ng.

One context a session, with limits on CPU time, memory, stack and the size of values.  Values are
exchanged as text and JSON: with a time limit set, ECMAScript cannot call back.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import quickjs

from vxml_engine.errors import LimitReached, ThrownEvent
from vxml_engine.limits import (
    SCRIPT_BYTES_MAX,
    SCRIPT_CPU_MS_MAX,
    SCRIPT_MEMORY_BYTES_MAX,
    SCRIPT_STACK_BYTES_MAX,
    SCRIPT_TURN_MS_MAX,
    SCRIPT_VALUE_CHARS_MAX,
)

_SCOPES_JS: Final = Path(__file__).with_name("scopes.js").read_text(encoding="utf-8")
_SETTLED_JS: Final = Path(__file__).with_name("settled.js").read_text(encoding="utf-8")
_DOM_JS: Final = Path(__file__).with_name("dom.js").read_text(encoding="utf-8")


class Undefined:
    """ECMAScript's ``undefined``, which JSON cannot say."""

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()
Json = Any
"""What ``json.loads`` gives: None, bool, int, float, str, list, dict."""


class Ecmascript:
    """The variables of one session.

    ``depth`` is the number of scopes on the chain; the innermost one is where ``declare`` and
    ``script`` put their names.  Every method that evaluates raises ``ThrownEvent``
    (``error.semantic``) for what the source does wrong, ``LimitReached`` for what it uses up.
    With ``lenient``, what is assigned without being declared is declared in the dialog.
    With ``seed`` (32 bits), ``Math.random`` follows it and ``Date`` tells ``set_time``'s time.
    """

    def __init__(self, *, lenient: bool = False, seed: int | None = None) -> None:
        self._lenient = lenient
        self._has_dom = False
        self._context: Any = quickjs.Context()
        self._context.set_memory_limit(SCRIPT_MEMORY_BYTES_MAX)
        self._context.set_max_stack_size(SCRIPT_STACK_BYTES_MAX)
        self._context.eval(_SCOPES_JS)
        self._settle: Any = None
        if seed is not None:
            self._settle = self._context.eval(f"{_SETTLED_JS.strip()}(globalThis, {seed})")
        self._context.set_time_limit(SCRIPT_CPU_MS_MAX / 1000)
        self._entries: dict[str, Any] = {}
        self._turn_ms = 0.0
        self.depth = 0
        self._depths: list[int] = []
        self._call("limitValue", SCRIPT_VALUE_CHARS_MAX)

    def close(self) -> None:
        """Release the context and all it holds."""
        self._entries.clear()
        self._settle = None
        self._context = None

    def set_time(self, now_s: float) -> None:
        """Let ``Date`` tell this time, seconds since 1970; only for a context with a seed."""
        self._settle(float(int(now_s * 1000)))

    def _entry(self, name: str) -> Any:
        handle = self._entries.get(name)
        if handle is None:
            handle = self._entries[name] = self._context.eval(f"vxml$.{name}")
        return handle

    def _call(self, entry: str, *arguments: object) -> str:
        handle = self._entry(entry)
        try:
            result: str = handle(*arguments)
        except quickjs.StackOverflow as error:
            raise ThrownEvent(
                "error.semantic", f"the script recurses too deeply: {error}"
            ) from None
        except quickjs.JSException as error:
            self._interrupted(str(error))
        if result[0] == "!":
            if "out of memory" in result:
                self._interrupted(result)
            raise ThrownEvent("error.semantic", result[1:])
        return result

    def _interrupted(self, text: str) -> None:
        """Translate what the script could not catch itself; always raises."""
        if "interrupted" in text:
            self._turn_ms += SCRIPT_CPU_MS_MAX
            self._check_turn()
            raise ThrownEvent(
                "error.semantic", f"the script ran for more than {SCRIPT_CPU_MS_MAX} ms of CPU"
            )
        raise LimitReached(
            "SCRIPT_MEMORY_BYTES_MAX",
            f"the session's scripts use more than {SCRIPT_MEMORY_BYTES_MAX} bytes",
        )

    def _check_turn(self) -> None:
        if self._turn_ms > SCRIPT_TURN_MS_MAX:
            raise LimitReached(
                "SCRIPT_TURN_MS_MAX",
                f"scripts ran for more than {SCRIPT_TURN_MS_MAX} ms between two inputs",
            )

    def account_time(self) -> None:
        """Add the time scripts took since the last call to the turn's, and hold its limit."""
        self._turn_ms += self._entry("spent")()
        self._check_turn()

    def begin_turn(self) -> None:
        """The caller has answered: the turn's time counts from zero."""
        self._entry("spent")()
        self._turn_ms = 0.0

    # Scopes

    def push_session(self, variables: dict[str, Json]) -> None:
        """Begin the chain with the read-only ``session`` scope."""
        self._call("pushSession", json.dumps(variables))
        self.depth += 1

    def push(self, *names: str) -> int:
        """Add a scope known as ``names`` (none: anonymous); return the depth below it."""
        self._call("push", " ".join(names))
        self.depth += 1
        return self.depth - 1

    def cut(self, depth: int) -> None:
        """Drop scopes until ``depth`` are left."""
        if depth != self.depth:
            self._call("cut", depth)
            self.depth = depth

    def suspend(self) -> None:
        """Put the chain aside and go on with ``session`` alone: a subdialog begins."""
        self._call("suspend")
        self._depths.append(self.depth)
        self.depth = 1

    def resume(self) -> None:
        """Go on with the chain put aside last."""
        self._call("resume")
        self.depth = self._depths.pop()

    # Values

    def evaluate(self, source: str) -> Json | Undefined:
        """The value of an expression, as JSON gives it; ``UNDEFINED`` for undefined."""
        result = self._call("evaluate", source)
        return UNDEFINED if result == "?" else json.loads(result[1:])

    def evaluate_apart(self, source: str) -> Json | Undefined:
        """The value of an expression that sees none of the session's variables."""
        result = self._call("apart", source)
        return UNDEFINED if result == "?" else json.loads(result[1:])

    def text(self, source: str) -> str:
        """The value of an expression, converted to a string as ECMAScript does."""
        return self._call("text", source)[1:]

    def test(self, source: str) -> bool:
        """Whether an expression's value is true in ECMAScript's sense."""
        return self._call("test", source) == "=1"

    def is_unfilled(self, name: str) -> bool:
        """Whether the variable ``name`` has the value undefined (a form item's guard)."""
        return self._call("unfilled", name) == "=1"

    def require_declared(self, name: str) -> None:
        """Raise ``error.semantic`` unless ``name`` (perhaps ``scope.name``) is declared."""
        self._call("declared", name)

    def declare(self, name: str, source: str | None = None) -> None:
        """``<var>``: declare in the innermost scope; without ``source`` an old value stays."""
        self._call("declare", name, source)

    def assign(self, name: str, source: str) -> None:
        """``<assign>``: give a declared variable, or an object's property, a value."""
        self._call("assign", name, source, self._lenient)

    def set(self, name: str, value: Json | Undefined) -> None:
        """Set a variable where it is declared, else in the innermost scope."""
        self._call("set", name, None if value is UNDEFINED else json.dumps(value))

    def set_innermost(self, name: str, value: Json) -> None:
        """Declare ``name`` in the innermost scope with a value."""
        self._call("setInnermost", name, json.dumps(value))

    def set_last_result(
        self, results: Sequence[dict[str, Json]] | None, mark: dict[str, Json]
    ) -> None:
        """Set ``application.lastresult$`` (VoiceXML 2.0 5.1.5), or only the ``mark`` told there."""
        self._call("setLastResult", json.dumps(results), json.dumps(mark))

    def declare_data(self, name: str, value: Json, *, is_xml: bool) -> None:
        """Declare ``name`` in the innermost scope: a JSON value, or nodes as a document."""
        if is_xml and not self._has_dom:
            self._call("dom", _DOM_JS)
            self._has_dom = True
        self._call("data", name, json.dumps(value), is_xml)

    def run_script(self, source: str) -> None:
        """``<script>``: run a program; what it declares belongs to the innermost scope."""
        if len(source) > SCRIPT_BYTES_MAX:
            raise ThrownEvent(
                "error.semantic",
                f"the script has {len(source)} characters, at most {SCRIPT_BYTES_MAX} are taken",
            )
        self._call("script", source)

    # Loops (VoiceXML 2.1 6)

    def begin_loop(self, source: str) -> int:
        """Begin to go through a copy of the array ``source``; returns its length."""
        return int(self._call("loop", source)[1:])

    def loop_item(self, name: str, index: int) -> None:
        """Give the variable ``name`` (declared if need be) the item at ``index``."""
        self._call("loopItem", name, index)

    def end_loop(self) -> None:
        """End the loop begun last."""
        self._call("loopEnd")

    # Values carried from one chain to another (parameters and results of subdialogs)

    def hold(self, name: str, source: str) -> None:
        """Evaluate now, keep under ``name`` for ``take`` or ``take_all``."""
        self._call("hold", name, source)

    def take(self, name: str) -> None:
        """Declare ``name`` in the innermost scope with the value held for it."""
        self._call("take", name)

    def drop(self) -> None:
        """Forget all that is held."""
        self._call("drop")

    def take_all(self, name: str) -> None:
        """Give the dialog's variable ``name`` an object made of all that is held."""
        self._call("takeAll", name)

    # Syntax, for the check

    def syntax_error(self, source: str, *, program: bool = False) -> str | None:
        """What is wrong with an expression's (or a program's) syntax, None when nothing is."""
        try:
            self._call("compilesScript" if program else "compiles", source)
        except ThrownEvent as error:
            return error.message
        return None
