"""The targets: each takes bytes, and only the errors it names may come of them.

A seed corpus comes from the tests' documents, so that the mutations start from what is valid.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

from macros import Catalog
from tests.kit.random_documents import BASE, RandomCaller, random_documents
from vxml_engine.cache import DocumentCache
from vxml_engine.check import check
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import DocumentError, GrammarError, LimitReached, ThrownEvent
from vxml_engine.grammar.network import Matcher
from vxml_engine.grammar.semantics import interpretation_source
from vxml_engine.parser import load_document
from vxml_engine.session import Connection, Session

ROOT = Path(__file__).resolve().parent.parent
CONFORMANCE = ROOT / "tests" / "conformance"
_CATALOG = Catalog.load()


def documents(data: bytes) -> None:
    """A document: refused with its problems, or compiled; its check never fails."""
    try:
        load_document(data, "fuzz")
    except DocumentError as error:
        assert error.problems
    check(data, "fuzz")


def grammars(data: bytes) -> None:
    """A grammar, XML or ABNF, and what follows it as tokens to be matched and interpreted."""
    body, _, said = data.rpartition(b"\n\n")
    try:
        network = DocumentCache().get_grammar(body, "fuzz")
        if network.references:
            return
        matcher = Matcher(network.starting(None))
        for token in said.decode("utf-8", "replace").split()[:20]:
            matcher.feed(token)
        if not matcher.complete:
            return
        source = interpretation_source(network, matcher.steps())
    except GrammarError:
        return
    ecmascript = Ecmascript()
    try:
        ecmascript.push_session({})
        ecmascript.evaluate_apart(source)
    except (ThrownEvent, LimitReached):
        pass
    finally:
        ecmascript.close()


def templates(data: bytes) -> None:
    """A document with macros: expanded and compiled, or refused with its problems."""
    try:
        load_document(data, "fuzz", _CATALOG.expand)
    except DocumentError as error:
        assert error.problems


def sessions(data: bytes) -> None:
    """A random session, the bytes being its seed: it ends, with legal effects only."""
    random = Random(data)  # noqa: S311  nothing secret
    session = Session(
        start_url=BASE + "start.vxml",
        connection=Connection("sip:called@test", "sip:caller@test"),
        documents=DocumentCache(),
        recognizes=random.random() < 0.5,
    )
    RandomCaller(random_documents(random), random).drive(session.run())


def _pages() -> Iterator[tuple[str, str]]:
    for file in CONFORMANCE.rglob("*.toml"):
        case = tomllib.loads(file.read_text(encoding="utf-8"))
        yield from case.get("documents", {}).items()
        for key, value in case.items():
            if isinstance(value, str) and "grammar" in key:
                yield f"{file.stem}.grxml", value


def document_seeds() -> Iterator[bytes]:
    """Whole documents of the conformance data."""
    for name, text in _pages():
        if name.endswith(".vxml"):
            inside = (
                text if text.lstrip().startswith("<?xml") else f"<vxml version='2.1'>{text}</vxml>"
            )
            yield inside.encode()


def grammar_seeds() -> Iterator[bytes]:
    """Grammars of the conformance data, each with some words behind it."""
    for _, text in _pages():
        if "#ABNF" in text[:40]:
            yield text.encode() + b"\n\nyes one 1 2"
        for grammar in re.findall(r"<grammar.*?</grammar>", text, re.DOTALL):
            yield grammar.encode() + b"\n\nyes one 1 2"


def template_seeds() -> Iterator[bytes]:
    """The samples, and each macro's example in a form and in a block."""
    for sample in (ROOT / "samples").glob("*.vxml"):
        yield sample.read_bytes()
    for macro in _CATALOG.describe():
        yield f"<vxml version='2.1'><form>{macro.example}</form></vxml>".encode()
        yield f"<vxml version='2.1'><form><block>{macro.example}</block></form></vxml>".encode()


Target = Callable[[bytes], None]
Seeds = Callable[[], Iterator[bytes]]
TARGETS: Mapping[str, tuple[Target, Seeds]] = {
    "documents": (documents, document_seeds),
    "grammars": (grammars, grammar_seeds),
    "templates": (templates, template_seeds),
    "sessions": (sessions, lambda: iter([b"1"])),
}
