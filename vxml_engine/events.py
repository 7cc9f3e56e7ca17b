"""Events: which handler takes one (VoiceXML 2.0 5.2.4), and what happens when none does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from vxml_engine.document import Catch

EventCounts = dict[str, int]
"""How often an event, and everything its name begins with, was thrown; ``""``: any event."""


def prefixes(event: str) -> list[str]:
    """``a.b.c`` -> ``["a.b.c", "a.b", "a", ""]``: the names a handler may have for it."""
    tokens = event.split(".")
    return [".".join(tokens[:n]) for n in range(len(tokens), 0, -1)] + [""]


def count_event(counts: EventCounts, event: str) -> None:
    """Count ``event`` under its name and every prefix (VoiceXML 2.0 5.2.2)."""
    for prefix in prefixes(event):
        counts[prefix] = counts.get(prefix, 0) + 1


def select_catch(
    catches: Iterable[Catch],
    event: str,
    counts: EventCounts,
    satisfied: Callable[[Catch], bool],
) -> Catch | None:
    """The handler for ``event``; ``catches`` come innermost scope first, in document order.

    Those whose name and ``cond`` fit and whose count is not above the event's; of these the
    highest count; of these the first.
    """
    names = set(prefixes(event))
    best: Catch | None = None
    for catch in catches:
        matching = [name for name in catch.events or ("",) if name in names]
        if not matching or catch.count > max(counts.get(name, 0) for name in matching):
            continue
        if (best is None or catch.count > best.count) and satisfied(catch):
            best = catch
    return best


@dataclass(frozen=True, slots=True)
class DefaultHandler:
    """What the platform does: says something (perhaps), then goes on or ends the session."""

    speech: str
    then: Literal["reprompt", "exit", "continue", "error", "hangup"]


_DEFAULT_HANDLERS: Final[dict[str, DefaultHandler]] = {
    "cancel": DefaultHandler("", "continue"),
    "error": DefaultHandler("Sorry, this service has a problem. Goodbye.", "error"),
    "exit": DefaultHandler("", "exit"),
    "help": DefaultHandler("Sorry, there is no help here.", "reprompt"),
    "noinput": DefaultHandler("", "reprompt"),
    "nomatch": DefaultHandler("Sorry, that is not a valid choice.", "reprompt"),
    "maxspeechtimeout": DefaultHandler("Sorry, that was too long.", "reprompt"),
    "connection.disconnect": DefaultHandler("", "hangup"),
    "": DefaultHandler("Sorry, this service has a problem. Goodbye.", "error"),
}


def default_handler(event: str) -> DefaultHandler:
    """The platform's handler for ``event`` (the table of VoiceXML 2.0 5.2.5)."""
    return next(_DEFAULT_HANDLERS[p] for p in prefixes(event) if p in _DEFAULT_HANDLERS)
