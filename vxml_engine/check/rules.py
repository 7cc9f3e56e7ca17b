"""Every rule of the check: how serious it is, what it says, and the clause it comes from.

docs/checking.md explains each.  A rule's severity is ``error`` where the document cannot be used,
or where it is certain to fail when it comes to that place; else ``warning``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from vxml_engine.problems import Problem, Severity

_VXML20: Final = "https://www.w3.org/TR/voicexml20/#dml"
_VXML21: Final = "https://www.w3.org/TR/voicexml21/#"
_SRGS: Final = "https://www.w3.org/TR/speech-grammar/#"
_SISR: Final = "https://www.w3.org/TR/semantic-interpretation/#"
_XML: Final = "https://www.w3.org/TR/xml/#"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    ``fatal``: a document that breaks it is refused and never runs.  ``uri`` is the clause in the
    specification; empty for macros, which are ours.
    """

    severity: Severity
    summary: str
    uri: str
    fatal: bool = False


def _fatal(summary: str, uri: str) -> Rule:
    return Rule("error", summary, uri, fatal=True)


def _error(summary: str, uri: str) -> Rule:
    return Rule("error", summary, uri)


def _warning(summary: str, uri: str) -> Rule:
    return Rule("warning", summary, uri)


_MACRO_URI: Final = ""

RULES: Final[dict[str, Rule]] = {
    # Reading
    "xml": _fatal("The file is not well-formed XML.", _XML + "sec-well-formed"),
    "entity": _fatal("Entities are not expanded.", _XML + "sec-entity-decl"),
    "limit": _fatal("The document is over one of the engine's limits.", _VXML20 + "1.2.5"),
    "root": _fatal("The document is not <vxml>.", _VXML20 + "1.5.1"),
    "version": _fatal("The version is neither 2.0 nor 2.1.", _VXML20 + "1.5.1"),
    "element-unknown": _fatal("There is no such element.", _VXML20 + "1.4"),
    "element-place": _fatal("The element cannot stand here.", _VXML20 + "1.4"),
    "text": _fatal("The element takes no text.", _VXML20 + "1.4"),
    "attribute": _fatal("The element has no such attribute.", _VXML20 + "1.4"),
    "attribute-missing": _fatal("A required attribute is missing.", _VXML20 + "1.4"),
    "attribute-choice": _fatal("Attributes exclude each other.", _VXML20 + "1.4"),
    "attribute-value": _fatal("An attribute's value is not allowed.", _VXML20 + "1.4"),
    "duplicate-id": _fatal("Two dialogs have the same id.", _VXML20 + "2.1"),
    "duplicate-name": _fatal("Two form items have the same name.", _VXML20 + "2.1.3"),
    "filled-name": _fatal("<filled> names what is no input item.", _VXML20 + "2.4"),
    "filled-attribute": _fatal(
        "A <filled> in an input item has no such attribute.", _VXML20 + "2.4"
    ),
    "script-source": _fatal("<script> has an address and a program.", _VXML20 + "5.3.12"),
    "grammar-source": _fatal("<grammar> has one source, neither none nor two.", _VXML20 + "3.1.1"),
    "grammar-scope": _fatal("The grammar cannot have a scope here.", _VXML20 + "3.1.3"),
    "grammar": _fatal("The grammar is not valid.", _SRGS + "S2"),
    "ecmascript": _fatal("The syntax of the ECMAScript is wrong.", _VXML20 + "5.1"),
    # Macros
    "macro": _fatal("The document could not be prepared.", _MACRO_URI),
    "unknown-macro": _fatal("No macro has this name.", _MACRO_URI),
    "wrong-place": _fatal("The macro cannot stand here.", _MACRO_URI),
    "macro-syntax": _fatal("<macro> or <input> is written wrongly.", _MACRO_URI),
    "unknown-input": _fatal("The macro has no such input.", _MACRO_URI),
    "duplicate-input": _fatal("An input is given twice.", _MACRO_URI),
    "missing-input": _fatal("A required input is not given.", _MACRO_URI),
    "bad-value": _fatal("An input's value is not of its type.", _MACRO_URI),
    "too-many-macros": _fatal("The document has too many macros.", _MACRO_URI),
    "expansion-too-large": _fatal("The macros become too large.", _MACRO_URI),
    # Variables
    "undeclared-variable": _error("A variable is used that nothing declares.", _VXML20 + "5.1.2"),
    "undeclared-member": _warning("A scope has no such variable.", _VXML20 + "5.1.2"),
    "unknown-param": _error("The subdialog has no variable for a <param>.", _VXML20 + "2.3.4"),
    # Where it goes
    "unknown-dialog": _error("There is no dialog of that id.", _VXML20 + "5.3.7"),
    "unknown-item": _error("The form has no form item of that name.", _VXML20 + "5.3.7"),
    "missing-file": _error("The document refers to a file that is not there.", _VXML20 + "6.1"),
    "missing-audio": _warning("A sound is not there.", _VXML20 + "4.1.3"),
    "unreachable-dialog": _warning("Nothing leads to the dialog.", _VXML20 + "1.3.1"),
    "unreachable-item": _warning("The form is left before this item.", _VXML20 + "2.1.6"),
    "dead-code": _warning("What follows is never executed.", _VXML20 + "5.3"),
    "endless-loop": _error("A loop never waits for the caller and never ends.", _VXML20 + "2.1.6"),
    # What the caller can do
    "unanswerable": _error("Nobody can answer the field.", _VXML20 + "2.3.1"),
    "no-keys": _warning("No key can answer.", _VXML20 + "3.1.2"),
    "duplicate-key": _warning("Two choices have the same keys.", _VXML20 + "2.2"),
    "unreachable-prompt": _warning("The prompt's count is never reached.", _VXML20 + "4.1.6"),
    "prompt-count": _warning("count has no effect in executable content.", _VXML20 + "4.1.6"),
    # Events
    "unknown-event": _warning("No such event is ever thrown.", _VXML20 + "5.2.6"),
    # Grammars
    "grammar-file": _error("A grammar that is referred to is not valid.", _SRGS + "S2"),
    "grammar-rule": _error("The grammar has no such rule, or a private one.", _SRGS + "S2.2"),
    "grammar-mode": _error("The grammar is for the other mode.", _SRGS + "S4.6"),
    "grammar-keys": _warning("A grammar of keys is not marked as one.", _SRGS + "S4.6"),
    "grammar-type": _warning("The grammar's media type is not known.", _VXML20 + "3.1.1.4"),
    "grammar-tag": _error("A tag's ECMAScript is wrong.", _SISR + "SI5"),
    "unused-rule": _warning("Nothing refers to the private rule.", _SRGS + "S3.2"),
    "builtin": _warning("There is no such builtin type.", _VXML20 + "2.3.1.2"),
    "speech": _warning("The builtin type knows no speech in this language.", _VXML20 + "2.3.1.2"),
    # Properties
    "property": _warning("The property has no effect.", _VXML20 + "6.3"),
    "property-value": _error("The property's value is not allowed.", _VXML20 + "6.3"),
    # Other platforms
    "object": _warning("There are no objects on this platform.", _VXML20 + "2.3.5"),
    "not-portable": _warning("Other platforms do not know this.", _VXML20 + "6.3.1"),
    "namespace": _warning("The document names no namespace.", _VXML20 + "1.5.1"),
    "version-feature": _warning(
        "This is of VoiceXML 2.1; the version is 2.0.", _VXML21.removesuffix("#")
    ),
    "deprecated": _warning("There is a newer way to say this.", _VXML21 + "sec-transfer"),
}


def for_upload(problems: Iterable[Problem]) -> list[Problem]:
    """The same problems, errors only where the document would not run at all.

    What only goes wrong when it is reached does not keep a script from being stored.
    """
    return [
        replace(problem, severity="warning")
        if problem.rule in RULES and not RULES[problem.rule].fatal
        else problem
        for problem in problems
    ]
