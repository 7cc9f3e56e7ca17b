"""Compiling a tree of elements to a ``Document``: the document, its dialogs, their items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from vxml_engine import document as d
from vxml_engine.content import (
    ImplicitPrompt,
    compile_catch,
    compile_content,
    compile_declaration,
    compile_part,
    compile_prompt,
    compile_transfer,
    language_of,
    note_target,
    read_method,
    text_of,
)
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.builtin import BUILTIN_TYPES, KEYS, builtin
from vxml_engine.grammar.network import key_sequence
from vxml_engine.grammar.srgs_xml import compile_srgs
from vxml_engine.properties import KNOWN
from vxml_engine.reading import Reader, element_name
from vxml_engine.vocabulary import XML_NAMESPACE

_HANDLERS: Final = frozenset({"catch", "error", "help", "noinput", "nomatch"})
_SPEECH_TYPES: Final = frozenset({"currency", "date", "number", "phone", "time"})
_XML_TYPES: Final = frozenset({"", "application/srgs+xml", "application/xml", "text/xml"})
DEFAULT_LANGUAGE: Final = "en-US"


@dataclass(slots=True)
class _Parts:
    """What the children of a document, dialog or form item come to."""

    declarations: list[d.Var | d.Script | d.FormItem] = field(default_factory=list)
    items: list[d.FormItem] = field(default_factory=list)
    prompts: list[d.PromptElement] = field(default_factory=list)
    catches: list[d.Catch] = field(default_factory=list)
    filled: list[d.Filled] = field(default_factory=list)
    links: list[d.LinkElement] = field(default_factory=list)
    grammars: list[d.GrammarElement] = field(default_factory=list)
    options: list[d.Option] = field(default_factory=list)
    choices: list[etree._Element] = field(default_factory=list)
    parameters: list[d.Parameter] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    dialogs: list[d.Form] = field(default_factory=list)


def compile_vxml(root: etree._Element, reader: Reader) -> d.Document | None:
    """Compile ``<vxml>``; problems go to ``reader``; None when ``root`` is something else."""
    if element_name(root) != "vxml":
        reader.problem(root, "root", f"the document is <{element_name(root)}>, not <vxml>")
        return None
    reader.validate(root, "vxml")
    version = root.get("version", "")
    if version not in ("2.0", "2.1", ""):
        reader.problem(root, "version", f"version='{version}' is not 2.0 or 2.1")
    parts = _read_parts(reader, root, "vxml")
    identifiers = [dialog.id for dialog in parts.dialogs if dialog.id is not None]
    seen: set[str] = set()
    for element in root.iterchildren(etree.Element):
        identifier = element.get("id")
        if identifier in seen and element_name(element) in ("form", "menu"):
            reader.problem(element, "duplicate-id", f"there are two dialogs '{identifier}'")
        seen.add(identifier or "")
    for target in reader.dialog_targets:
        if target.name not in identifiers:
            reader.warn(
                target.element, "unknown-dialog", f"the document has no dialog '{target.name}'"
            )
    return d.Document(
        version=version,
        language=language_of(root) or DEFAULT_LANGUAGE,
        base=root.get(f"{{{XML_NAMESPACE}}}base"),
        application=root.get("application"),
        declarations=tuple(
            declaration
            for declaration in parts.declarations
            if isinstance(declaration, d.Var | d.Script)
        ),
        dialogs=tuple(parts.dialogs),
        catches=tuple(parts.catches),
        links=tuple(parts.links),
        properties=parts.properties,
    )


# --- Children


def _read_parts(reader: Reader, element: etree._Element, name: str) -> _Parts:
    """Read all children of a document, a dialog or a form item."""
    parts = _Parts()
    implicit = ImplicitPrompt()
    for piece in reader.pieces(element, name):
        if isinstance(piece, str):
            implicit.add_text(piece, reader.line(element))
            continue
        child = element_name(piece)
        if child in ("value", "audio", "enumerate"):
            implicit.add(compile_part(reader, piece), reader.line(piece))
            continue
        parts.prompts += implicit.take()
        if child in _FORM_ITEMS:
            item = _FORM_ITEMS[child](reader, piece, len(parts.items))
            parts.items.append(item)
            parts.declarations.append(item)
        else:
            _read_child(reader, piece, child, parts)
    parts.prompts += implicit.take()
    return parts


def _read_child(reader: Reader, element: etree._Element, name: str, parts: _Parts) -> None:
    match name:
        case "form":
            parts.dialogs.append(_form(reader, element))
        case "menu":
            parts.dialogs.append(_menu(reader, element))
        case "var" | "script":
            parts.declarations.append(compile_declaration(reader, element))
        case "property":
            _property(reader, element, parts)
        case "prompt":
            parts.prompts.append(compile_prompt(reader, element))
        case "filled":
            parts.filled.append(_filled(reader, element))
        case "link":
            parts.links.append(_link(reader, element))
        case "grammar":
            parts.grammars.append(_grammar(reader, element))
        case "option":
            parts.options.append(_option(reader, element))
        case "choice":
            parts.choices.append(element)
        case "param":
            parts.parameters.append(_parameter(reader, element))
        case _ if name in _HANDLERS:
            parts.catches.append(compile_catch(reader, element))
        case _:
            assert name in ("meta", "metadata"), name


def _property(reader: Reader, element: etree._Element, parts: _Parts) -> None:
    reader.validate(element, "property")
    name = element.get("name", "")
    if name not in KNOWN and "." not in name:
        reader.warn(element, "property", f"property '{name}' is not known and has no effect")
    parts.properties[name] = element.get("value", "")


def _filled(reader: Reader, element: etree._Element) -> d.Filled:
    reader.validate(element, "filled")
    return d.Filled(
        "any" if reader.choice(element, "mode", "all", "any") == "any" else "all",
        reader.names(element),
        compile_content(reader, element, "filled"),
        reader.line(element),
    )


def _parameter(reader: Reader, element: etree._Element) -> d.Parameter:
    reader.validate(element, "param")
    get = element.get
    return d.Parameter(get("name", ""), get("expr"), get("value"), reader.line(element))


# --- Dialogs


def _form(reader: Reader, element: etree._Element) -> d.Form:
    reader.validate(element, "form")
    reader.choice(element, "scope", "dialog", "document")
    reader.item_targets.clear()
    parts = _read_parts(reader, element, "form")
    names = [item.common.name for item in parts.items]
    seen: set[str] = set()
    for item, declared in zip(parts.items, _item_elements(element), strict=False):
        name = item.common.name
        if name in seen:
            reader.problem(declared, "duplicate-name", f"there are two form items '{name}'")
        seen.add(name)
    for filled in parts.filled:
        _check_filled(reader, element, filled, names)
    for target in reader.item_targets:
        if target.name not in names:
            reader.warn(
                target.element, "unknown-item", f"the form has no form item '{target.name}'"
            )
    if parts.grammars:
        reader.warn(element, "unsupported", "a form's own grammar raises error.unsupported.grammar")
    unbuilt = tuple(d.Unbuilt("grammar", reader.line(element)) for _ in parts.grammars[:1])
    return d.Form(
        id=element.get("id"),
        is_menu=False,
        declarations=tuple(parts.declarations),
        items=tuple(parts.items),
        filled=tuple(parts.filled),
        catches=tuple(parts.catches),
        links=tuple(parts.links),
        unbuilt=unbuilt,
        properties=parts.properties,
        line=reader.line(element),
    )


def _item_elements(form: etree._Element) -> list[etree._Element]:
    return [
        child for child in form if isinstance(child.tag, str) and element_name(child) in _FORM_ITEMS
    ]


def _check_filled(reader: Reader, form: etree._Element, filled: d.Filled, names: list[str]) -> None:
    for name in filled.namelist:
        if name not in names:
            reader.problem(form, "filled-name", f"<filled> names '{name}', which is no input item")


def _menu(reader: Reader, element: etree._Element) -> d.Form:
    """``<menu>``: a form with one input that has no name (VoiceXML 2.0 2.2)."""
    reader.validate(element, "menu")
    if reader.choice(element, "scope", "dialog", "document") == "document":
        reader.warn(
            element, "unsupported", "scope='document' of a menu raises error.unsupported.menu"
        )
    parts = _read_parts(reader, element, "menu")
    automatic = list("123456789") if reader.flag(element, "dtmf") else []
    choices = tuple(_choice(reader, choice, automatic) for choice in parts.choices)
    line = reader.line(element)
    common = d.Common("input$", False, None, None, line, prompts=tuple(parts.prompts))
    item = d.MenuInput(common, choices)
    scoped = element.get("scope") == "document"
    return d.Form(
        id=element.get("id"),
        is_menu=True,
        declarations=(item,),
        items=(item,),
        filled=(),
        catches=tuple(parts.catches),
        links=(),
        unbuilt=(d.Unbuilt("menu", line),) if scoped else (),
        properties=parts.properties,
        line=line,
    )


def _choice(reader: Reader, element: etree._Element, automatic: list[str]) -> d.Choice:
    reader.validate(element, "choice")
    dtmf = _keys(reader, element)
    grammars = [
        _grammar(reader, child)
        for child in reader.children(element, "choice")
        if element_name(child) == "grammar"
    ]
    if dtmf is None and automatic:
        dtmf = automatic.pop(0)
    if dtmf:
        grammars.insert(0, d.InlineGrammar(key_sequence(dtmf), reader.line(element)))
    text = "".join(
        [element.text or ""]
        + [
            ("" if element_name(child) == "grammar" else text_of(child)) + (child.tail or "")
            for child in element
            if isinstance(child.tag, str)
        ]
    )
    return d.Choice(" ".join(text.split()), dtmf, tuple(grammars), _destination(reader, element))


def _destination(reader: Reader, element: etree._Element) -> d.Destination:
    get = element.get
    note_target(reader, element, get("next"))
    return d.Destination(
        get("next"),
        get("expr"),
        get("event"),
        get("eventexpr"),
        get("message"),
        get("messageexpr"),
        get("fetchtimeout"),
        reader.line(element),
    )


def _keys(reader: Reader, element: etree._Element) -> str | None:
    """The ``dtmf`` attribute without its spaces."""
    written = element.get("dtmf")
    if written is None:
        return None
    keys = "".join(written.split())
    if not keys or any(key not in KEYS for key in keys):
        reader.problem(element, "attribute-value", f"dtmf='{written}' is not a sequence of keys")
        return None
    return keys


def _link(reader: Reader, element: etree._Element) -> d.LinkElement:
    """``<link>`` (VoiceXML 2.0 2.5)."""
    reader.validate(element, "link")
    grammars = [_grammar(reader, child) for child in reader.children(element, "link")]
    if keys := _keys(reader, element):
        grammars.insert(0, d.InlineGrammar(key_sequence(keys), reader.line(element)))
    return d.LinkElement(tuple(grammars), _destination(reader, element))


# --- Form items


def _common(reader: Reader, element: etree._Element, index: int, parts: _Parts) -> d.Common:
    get = element.get
    name = get("name")
    return d.Common(
        name=name or f"item${index}",
        named=name is not None,
        expr=get("expr"),
        cond=get("cond"),
        line=reader.line(element),
        prompts=tuple(parts.prompts),
        catches=tuple(parts.catches),
        filled=tuple(parts.filled),
        properties=parts.properties,
    )


def _block(reader: Reader, element: etree._Element, index: int) -> d.FormItem:
    reader.validate(element, "block")
    return d.Block(
        _common(reader, element, index, _Parts()), compile_content(reader, element, "block")
    )


def _field(reader: Reader, element: etree._Element, index: int) -> d.FormItem:
    reader.validate(element, "field")
    parts = _read_parts(reader, element, "field")
    if (reference := element.get("type")) is not None:
        parts.grammars.append(_builtin(reader, element, reference))
    common = _common(reader, element, index, parts)
    heard = [g for g in parts.grammars if not isinstance(g, d.VoiceGrammar)]
    if not heard and not any(option.network for option in parts.options):
        reader.warn(element, "no-keys", "the field has no grammar that a key could match")
    return d.Field(
        common=common,
        slot=element.get("slot", common.name),
        modal=bool(reader.flag(element, "modal")),
        grammars=tuple(parts.grammars),
        options=tuple(parts.options),
        links=tuple(parts.links),
    )


def _option(reader: Reader, element: etree._Element) -> d.Option:
    reader.validate(element, "option")
    for _ in reader.pieces(element, "option"):
        pass
    keys = _keys(reader, element)
    text = text_of(element)
    value = element.get("value")
    if value is None:
        value = text or keys or ""
    return d.Option(text, keys, key_sequence(keys) if keys else None, value)


def _subdialog(reader: Reader, element: etree._Element, index: int) -> d.FormItem:
    reader.validate(element, "subdialog")
    parts = _read_parts(reader, element, "subdialog")
    method, enctype = read_method(reader, element)
    get = element.get
    note_target(reader, element, get("src"))
    return d.Subdialog(
        common=_common(reader, element, index, parts),
        src=get("src"),
        srcexpr=get("srcexpr"),
        namelist=reader.names(element),
        method=method,
        enctype=enctype,
        fetchtimeout=get("fetchtimeout"),
        parameters=tuple(parts.parameters),
    )


def _transfer(reader: Reader, element: etree._Element, index: int) -> d.FormItem:
    reader.validate(element, "transfer")
    parts = _read_parts(reader, element, "transfer")
    return d.TransferItem(
        _common(reader, element, index, parts),
        compile_transfer(reader, element),
        tuple(parts.grammars),
    )


def _unbuilt_item(reader: Reader, element: etree._Element, index: int) -> d.FormItem:
    name = element_name(element)
    reader.validate(element, name)
    reader.unbuilt(element, name)
    parts = _read_parts(reader, element, name)
    return d.UnbuiltItem(_common(reader, element, index, parts), name)


_FORM_ITEMS: Final[dict[str, Callable[[Reader, etree._Element, int], d.FormItem]]] = {
    "block": _block,
    "field": _field,
    "initial": _unbuilt_item,
    "object": _unbuilt_item,
    "record": _unbuilt_item,
    "subdialog": _subdialog,
    "transfer": _transfer,
}


# --- Grammars


def _builtin(reader: Reader, element: etree._Element, reference: str) -> d.GrammarElement:
    """The keys' part of a builtin type (VoiceXML 2.0 2.3.1, appendix P)."""
    line = reader.line(element)
    name = reference.partition("?")[0]
    if name not in BUILTIN_TYPES:
        if name not in _SPEECH_TYPES:
            reader.warn(element, "builtin", f"there is no builtin type '{name}'")
        reader.warn(element, "unsupported", f"type '{name}' raises error.unsupported.builtin here")
        return d.Unbuilt("builtin", line)
    try:
        return d.InlineGrammar(builtin(reference), line)
    except GrammarError as error:
        reader.problem(element, "grammar", str(error))
        return d.VoiceGrammar(line)


def _grammar(reader: Reader, element: etree._Element) -> d.GrammarElement:
    """``<grammar>`` (VoiceXML 2.0 3.1.1): inline, at an address, or builtin."""
    reader.validate(element, "grammar")
    get = element.get
    line = reader.line(element)
    pieces = list(reader.pieces(element, "grammar"))
    inline = any(not isinstance(piece, str) or not piece.isspace() for piece in pieces)
    source = get("src") if get("src") is not None else get("srcexpr")
    if inline == (source is not None):
        both = "both an address and content" if inline else "neither an address nor content"
        reader.problem(element, "grammar-source", f"<grammar> has {both}")
        return d.VoiceGrammar(line)
    src = get("src") or ""
    if src.startswith("builtin:dtmf/"):
        return _builtin(reader, element, src.removeprefix("builtin:dtmf/"))
    mode = reader.choice(element, "mode", "voice", "dtmf")
    if mode == "voice" or src.startswith("builtin:"):
        reader.warn(
            element, "speech", "speech is not recognized here: nobody listens to this grammar"
        )
        return d.VoiceGrammar(line)
    if get("type", "") not in _XML_TYPES or any(
        isinstance(piece, str) and not piece.isspace() for piece in pieces
    ):
        reader.unbuilt(element, "grammar")
        return d.Unbuilt("grammar", line)
    if source is not None:
        return d.ExternalGrammar(get("src"), get("srcexpr"), get("fetchtimeout"), line)
    try:
        return d.InlineGrammar(compile_srgs(element), line)
    except GrammarError as error:
        reader.problem(element, "grammar", str(error))
        return d.VoiceGrammar(line)
