"""The check: every problem of a document or a grammar, before a caller meets it.

What keeps a document from running comes from reading it; in one that is valid, each rule of
``rules.RULES`` is looked for by a module of its own: variables, reach (what is never reached or
never ends), inputs, events, files, grammars, portability.
"""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from vxml_engine.check.events import check_events
from vxml_engine.check.files import check_files, entries
from vxml_engine.check.grammars import check_grammar, check_grammars
from vxml_engine.check.inputs import check_inputs
from vxml_engine.check.portability import check_portability
from vxml_engine.check.reach import check_reach
from vxml_engine.check.rules import RULES, Rule, for_upload
from vxml_engine.check.subject import Folder, Subject, Surroundings
from vxml_engine.check.variables import check_variables
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import DocumentError, LimitReached
from vxml_engine.limits import PROBLEMS_MAX
from vxml_engine.parser import Prepare, compile_tree, parse_with_places, prepare_tree
from vxml_engine.problems import Problem
from vxml_engine.reading import Reader

__all__ = [
    "RULES",
    "Folder",
    "Rule",
    "Surroundings",
    "check",
    "check_grammar",
    "for_upload",
    "leads_to",
]


def check(
    body: bytes,
    url: str,
    prepare: Prepare | None = None,
    surroundings: Surroundings | None = None,
) -> list[Problem]:
    """Every problem of a document, by line: what keeps it from running, and what it will meet.

    A document that cannot run is told why; what it means is looked at once it is valid.
    ``surroundings`` tell of the files and documents around it.
    """
    try:
        root, places = parse_with_places(body, url)
        prepare_tree(root, url, prepare)
    except DocumentError as error:
        return list(error.problems)
    document, reader = compile_tree(root, places.find)
    problems = list(reader.problems)
    ecmascript = Ecmascript()
    try:
        problems += _syntax_errors(reader, ecmascript)
        if document is not None:
            subject = Subject(root, url, places, surroundings or Surroundings())
            problems += _of_meaning(subject, ecmascript)
    finally:
        ecmascript.close()
    return sorted(set(map(_rated, problems)))[:PROBLEMS_MAX]


def _rated(problem: Problem) -> Problem:
    rule = RULES.get(problem.rule)
    return problem if rule is None else replace(problem, severity=rule.severity)


def _syntax_errors(reader: Reader, ecmascript: Ecmascript) -> list[Problem]:
    before = len(reader.problems)
    for expression in reader.expressions:
        try:
            fault = ecmascript.syntax_error(expression.source, program=expression.program)
        except LimitReached as limit:
            reader.problem(expression.node, "limit", str(limit))
            break
        if fault is not None:
            reader.problem(expression.node, "ecmascript", f"{fault}: {expression.source}")
    return reader.problems[before:]


def _of_meaning(subject: Subject, ecmascript: Ecmascript) -> list[Problem]:
    check_variables(subject)
    check_reach(subject)
    check_inputs(subject)
    check_events(subject)
    check_files(subject)
    check_grammars(subject, ecmascript)
    check_portability(subject)
    return subject.found.problems


def leads_to(
    body: bytes, url: str, surroundings: Surroundings
) -> tuple[list[tuple[str, str | None]], str | None]:
    """Where a document leads outside of itself, as ``files.entries`` tells, and its root's address.

    Nothing when it cannot be read.
    """
    try:
        root, places = parse_with_places(body, url)
    except DocumentError:
        return [], None
    if etree.QName(root).localname != "vxml":
        return [], None
    subject = Subject(root, url, places, surroundings)
    application = subject.root.get("application")
    return entries(subject), None if application is None else subject.address(application).url
