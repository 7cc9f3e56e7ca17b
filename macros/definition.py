"""One macro, read from its folder: ``macro.toml`` and a template a context.

``macro.toml``::

    description = "..."

    [inputs.to]
    type = "destination"       # one of macros.inputs.TYPES
    description = "..."
    example = "conf:12a34b"    # a right value; the templates are tried with it
    required = true            # or a default (a value), or neither
    expr = true                # may be given as ECMAScript, evaluated when the script runs
    min, max                   # of seconds
    pattern, chars_max         # of text

A context is a place in VoiceXML where the macro may stand; it is supported by having its
template (`CONTEXTS`). Templates are Jinja2, sandboxed, with every value escaped and every
undefined name an error. They see ``inputs.NAME``, each with ``value`` or ``expr`` (the other is
None) and ``given``, and ``unique``: a name that no other form item of the document has.
They are written without a namespace, which stands for the document's own; ``vm:`` is the
product's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lxml import etree

from macros import limits
from macros.errors import LibraryError
from macros.inputs import TYPES

VM_NAMESPACE = "urn:voicemashup"
XML_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Context:
    """A kind of place: the file of its template, and the elements it is a child of."""

    template: str
    parents: frozenset[str]


CONTEXTS: dict[str, Context] = {
    "form": Context("form_item.xml", frozenset({"form"})),
    "executable": Context(
        "executable.xml",
        frozenset(
            {
                "block",
                "catch",
                "error",
                "filled",
                "foreach",
                "help",
                "if",
                "noinput",
                "nomatch",
            }
        ),
    ),
}
"""VoiceXML 2.0 2.1 (form items) and 5.3 (executable content)."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One typed input, as ``macro.toml`` describes it."""

    type: str
    description: str
    example: str
    required: bool = False
    default: str | None = None
    expr: bool = False
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    chars_max: int = limits.INPUT_CHARS_MAX

    def normalise(self, value: str) -> str:
        """The normal form of ``value``; ValueError with what would be right."""
        if len(value) > self.chars_max:
            raise ValueError(f"at most {self.chars_max} characters, not {len(value)}")
        return TYPES[self.type](value, self)


class _Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    description: str
    inputs: dict[str, Input] = {}


@dataclass(frozen=True, slots=True)
class Given:
    """What a template sees of an input: its ``value`` or its ``expr``."""

    value: str | None = None
    expr: str | None = None

    @property
    def given(self) -> bool:
        """Whether there is anything, a default included."""
        return self.value is not None or self.expr is not None


class ExpansionTooLarge(Exception):
    """A template gave more than EXPANSION_CHARS_MAX."""


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro that can be expanded."""

    name: str
    folder: Path
    description: str
    inputs: Mapping[str, Input]
    templates: Mapping[str, Template]  # by context

    def expand(
        self, context: str, given: Mapping[str, Given], unique: str, namespace: str | None
    ) -> tuple[list[etree._Element], int]:
        """The elements that the macro becomes in ``context``, and how many characters they are.

        ``given`` has normal values; defaults are filled in here. Raises ExpansionTooLarge, and
        LibraryError where the template is at fault.
        """
        seen = {
            name: given.get(name) or Given(value=described.default)
            for name, described in self.inputs.items()
        }
        try:
            text = self.templates[context].render(inputs=seen, unique=unique)
        except Exception as error:  # a template is a program: it may fail in any way
            raise self._template_error(context, error) from error
        if len(text) > limits.EXPANSION_CHARS_MAX:
            raise ExpansionTooLarge
        default = f" xmlns={quoteattr(namespace)}" if namespace else ""
        try:
            wrapper = etree.fromstring(
                f'<expansion{default} xmlns:vm="{VM_NAMESPACE}">{text}</expansion>', _parser()
            )
        except etree.XMLSyntaxError as error:
            raise self._template_error(context, error) from error
        if not len(wrapper) or any(
            piece and piece.strip() for piece in (wrapper.text, *(child.tail for child in wrapper))
        ):
            raise self._template_error(context, "it must give elements, without text beside them")
        if any(etree.QName(element).localname == "macro" for element in wrapper.iter()):
            raise self._template_error(context, "a macro cannot contain macros")
        return list(wrapper), len(text)

    def _template_error(self, context: str, reason: object) -> LibraryError:
        return LibraryError(self.folder / CONTEXTS[context].template, f"{reason}")


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def read_macro(folder: Path) -> Macro:
    """The macro in ``folder``, named as the folder. Raises LibraryError.

    Every template is tried: with all inputs, with the required ones, and with expressions.
    """
    name = folder.name
    if not XML_NAME.fullmatch(name):
        raise LibraryError(folder, f"{name!r} is no name: letters, digits, - and _")
    described = _read_description(folder / "macro.toml")
    macro = Macro(name, folder, described.description, described.inputs, _read_templates(folder))
    whole = {key: Given(value=each.normalise(each.example)) for key, each in macro.inputs.items()}
    least = {key: whole[key] for key, each in macro.inputs.items() if each.required}
    late = {key: Given(expr="x") for key, each in macro.inputs.items() if each.expr}
    for context in macro.templates:
        for trial in (whole, least, least | late):
            try:
                macro.expand(context, trial, "unique", None)
            except ExpansionTooLarge:
                raise LibraryError(
                    folder / CONTEXTS[context].template, "gives more than EXPANSION_CHARS_MAX"
                ) from None
    return macro


def _read_description(path: Path) -> _Description:
    try:
        described = msgspec.convert(tomllib.loads(_read(path)), _Description)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise LibraryError(path, str(error)) from error
    for name, each in described.inputs.items():
        where = f"inputs.{name}"
        if not XML_NAME.fullmatch(name):
            raise LibraryError(path, f"{where}: no name: letters, digits, - and _")
        if each.type not in TYPES:
            raise LibraryError(path, f"{where}.type is {each.type!r}: one of {', '.join(TYPES)}")
        if each.required and each.default is not None:
            raise LibraryError(path, f"{where}: required and default exclude each other")
        for key, value in (("example", each.example), ("default", each.default)):
            try:
                if value is not None and (normal := each.normalise(value)) != value:
                    raise ValueError(f"its normal form, {normal!r}")
            except (ValueError, re.error) as error:
                raise LibraryError(path, f"{where}.{key} is {value!r}: {error}") from error
    return described


def _read_templates(folder: Path) -> dict[str, Template]:
    environment = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates = {}
    for context, place in CONTEXTS.items():
        path = folder / place.template
        if path.exists():
            try:
                templates[context] = environment.from_string(_read(path))
            except TemplateError as error:
                raise LibraryError(path, str(error)) from error
    if not templates:
        files = ", ".join(place.template for place in CONTEXTS.values())
        raise LibraryError(folder, f"no template: at least one of {files}")
    return templates


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > limits.TEMPLATE_BYTES_MAX:
            raise LibraryError(path, f"over TEMPLATE_BYTES_MAX ({limits.TEMPLATE_BYTES_MAX})")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryError(path, f"cannot be read: {error}") from error
