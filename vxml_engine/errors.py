"""What can go wrong in the engine.

    VxmlError
    |-- DocumentError        a document cannot be used: every problem found in it
    |-- GrammarError         a grammar cannot be used
    |-- ThrownEvent          a VoiceXML event on its way to a catch
    `-- LimitReached         the session has used up something and ends

A ``ThrownEvent`` never leaves a session: a catch, or the platform's default handler, takes it.
A ``LimitReached`` is not offered to the document's catches, which could only go on looping.
"""

from vxml_engine.problems import Problem


class VxmlError(Exception):
    """Anything the engine refuses."""


class DocumentError(VxmlError):
    """A document that cannot be used: ``url`` and the ``problems`` (at least one error)."""

    def __init__(self, url: str, problems: tuple[Problem, ...]) -> None:
        self.url = url
        self.problems = problems
        first = next((p for p in problems if p.severity == "error"), problems[0])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{url}:{first.line}:{first.column}: {first.rule}: {first.message}{more}")


class GrammarError(VxmlError):
    """A grammar that cannot be used; ``line`` is where, 0 when unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        self.line = line
        super().__init__(message)


class ThrownEvent(VxmlError):
    """A VoiceXML event: ``event`` is its name, ``message`` becomes ``_message``."""

    def __init__(self, event: str, message: str = "", line: int = 0) -> None:
        self.event = event
        self.message = message
        self.line = line
        super().__init__(f"{event}: {message}" if message else event)


class LimitReached(VxmlError):
    """A limit of the session: ``limit`` is its name in ``limits``, ``event`` what is reported."""

    def __init__(self, limit: str, message: str, event: str = "error.noresource") -> None:
        self.limit = limit
        self.event = event
        super().__init__(f"{message} ({limit})")
