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
    fetch_attributes,
    language_of,
    note_target,
    read_method,
    text_of,
)
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.abnf import is_abnf, parse_abnf
from vxml_engine.grammar.builtin import BUILTIN_LANGUAGES, BUILTIN_TYPES, builtin
from vxml_engine.grammar.network import KEYS, Mode, Network, key_sequence, phrase
from vxml_engine.grammar.srgs_xml import compile_srgs
from vxml_engine.properties import KNOWN
from vxml_engine.reading import Reader, element_name
from vxml_engine.vocabulary import XML_NAMESPACE

_HANDLERS: Final = frozenset({"catch", "error", "help", "noinput", "nomatch"})
_MODES: Final[tuple[Mode, ...]] = ("dtmf", "voice")
_ABNF_TYPES: Final = frozenset({"application/srgs"})
_XML_TYPES: Final = frozenset({"", "application/srgs+xml", "application/xml", "text/xml"})
DEFAULT_LANGUAGE: Final = "en-US"


@dataclass(slots=True)
class _Parts:
    """What the children of a document, dialog or form item come to."""

    declarations: list[d.Var | d.Script | d.Data | d.FormItem] = field(default_factory=list)
    items: list[d.FormItem] = field(default_factory=list)
    prompts: list[d.PromptElement] = field(default_factory=list)
    catches: list[d.Catch] = field(default_factory=list)
    filled: list[tuple[str | None, d.Filled]] = field(default_factory=list)
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
            if isinstance(declaration, d.Var | d.Script | d.Data)
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
            item, filled = _FORM_ITEMS[child](reader, piece, len(parts.items))
            parts.filled += [(item.common.name, action) for _, action in filled]
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
        case "var" | "script" | "data":
            parts.declarations.append(compile_declaration(reader, element))
        case "property":
            _property(reader, element, parts)
        case "prompt":
            parts.prompts.append(compile_prompt(reader, element))
        case "filled":
            parts.filled.append((None, _filled(reader, element)))
        case "link":
            parts.links.append(_link(reader, element))
        case "grammar":
            parts.grammars += _grammar(reader, element)
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
    wide = reader.choice(element, "scope", "dialog", "document") == "document"
    reader.item_targets.clear()
    parts = _read_parts(reader, element, "form")
    names = [item.common.name for item in parts.items]
    seen: set[str] = set()
    for item, declared in zip(parts.items, _item_elements(element), strict=False):
        name = item.common.name
        if name in seen:
            reader.problem(declared, "duplicate-name", f"there are two form items '{name}'")
        seen.add(name)
    for owner, filled in parts.filled:
        if owner is None:
            _check_filled(reader, element, filled, names)
    for target in reader.item_targets:
        if target.name not in names:
            reader.warn(
                target.element, "unknown-item", f"the form has no form item '{target.name}'"
            )
    return d.Form(
        id=element.get("id"),
        is_menu=False,
        declarations=tuple(parts.declarations),
        items=tuple(parts.items),
        filled=tuple(parts.filled),
        catches=tuple(parts.catches),
        links=tuple(parts.links),
        grammars=tuple(parts.grammars),
        document_wide=wide,
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
    wide = reader.choice(element, "scope", "dialog", "document") == "document"
    exact = reader.choice(element, "accept", "exact", "approximate") == "exact"
    parts = _read_parts(reader, element, "menu")
    automatic = list("123456789") if reader.flag(element, "dtmf") else []
    choices = tuple(_choice(reader, choice, automatic, exact) for choice in parts.choices)
    line = reader.line(element)
    common = d.Common("input$", False, None, None, line, prompts=tuple(parts.prompts))
    item = d.MenuInput(common, choices)
    return d.Form(
        id=element.get("id"),
        is_menu=True,
        declarations=(item,),
        items=(item,),
        filled=(),
        catches=tuple(parts.catches),
        links=(),
        grammars=(),
        document_wide=wide,
        properties=parts.properties,
        line=line,
    )


def _choice(
    reader: Reader, element: etree._Element, automatic: list[str], menu_exact: bool
) -> d.Choice:
    reader.validate(element, "choice")
    dtmf = _keys(reader, element)
    grammars = [
        grammar
        for child in reader.children(element, "choice")
        if element_name(child) == "grammar"
        for grammar in _grammar(reader, child)
    ]
    spoken = not grammars
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
    text = " ".join(text.split())
    accept = reader.choice(element, "accept", "", "exact", "approximate")
    exact = menu_exact if accept == "" else accept == "exact"
    if spoken and text:
        line = reader.line(element)
        grammars.append(d.InlineGrammar(phrase(text, approximate=not exact), line))
    return d.Choice(text, dtmf, tuple(grammars), _destination(reader, element))


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
        fetch_attributes(element),
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
    grammars = [
        grammar for child in reader.children(element, "link") for grammar in _grammar(reader, child)
    ]
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
        properties=parts.properties,
    )


_Item = tuple[d.FormItem, list[tuple[str | None, d.Filled]]]
"""A form item and the ``<filled>`` in it."""


def _block(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "block")
    content = compile_content(reader, element, "block")
    return d.Block(_common(reader, element, index, _Parts()), content), []


def _field(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "field")
    parts = _read_parts(reader, element, "field")
    if (reference := element.get("type")) is not None:
        parts.grammars += _builtin(reader, element, reference, _MODES)
    common = _common(reader, element, index, parts)
    networks = [g.network for g in parts.grammars if isinstance(g, d.InlineGrammar)]
    networks += [network for option in parts.options for network in option.networks]
    unknown = len(networks) < len(parts.grammars)
    if not unknown and all(network.mode == "voice" for network in networks):
        reader.warn(element, "no-keys", "the field has no grammar that a key could match")
    item = d.Field(
        common=common,
        slot=element.get("slot", common.name),
        modal=bool(reader.flag(element, "modal")),
        grammars=tuple(parts.grammars),
        options=tuple(parts.options),
        links=tuple(parts.links),
    )
    return item, parts.filled


def _option(reader: Reader, element: etree._Element) -> d.Option:
    reader.validate(element, "option")
    for _ in reader.pieces(element, "option"):
        pass
    keys = _keys(reader, element)
    text = text_of(element)
    value = element.get("value")
    if value is None:
        value = text or keys or ""
    exact = reader.choice(element, "accept", "exact", "approximate") == "exact"
    networks: list[Network] = [key_sequence(keys)] if keys else []
    if text:
        networks.append(phrase(text, approximate=not exact))
    return d.Option(text, keys, tuple(networks), value)


def _initial(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "initial")
    parts = _read_parts(reader, element, "initial")
    return d.Initial(_common(reader, element, index, parts), tuple(parts.links)), []


def _record(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "record")
    parts = _read_parts(reader, element, "record")
    modal, dtmfterm = reader.flag(element, "modal"), reader.flag(element, "dtmfterm")
    item = d.RecordItem(
        common=_common(reader, element, index, parts),
        modal=modal is not False,
        beep=bool(reader.flag(element, "beep")),
        maxtime_s=reader.time(element, "maxtime"),
        finalsilence_s=reader.time(element, "finalsilence"),
        dtmfterm=dtmfterm is not False,
        media_type=element.get("type", ""),
        grammars=tuple(parts.grammars),
        links=tuple(parts.links),
    )
    return item, parts.filled


def _object(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "object")
    reader.warn(element, "object", "there are no objects: error.unsupported.objectname is thrown")
    parts = _read_parts(reader, element, "object")
    item = d.ObjectItem(_common(reader, element, index, parts), element.get("classid", ""))
    return item, parts.filled


def _subdialog(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "subdialog")
    parts = _read_parts(reader, element, "subdialog")
    method, enctype = read_method(reader, element)
    get = element.get
    note_target(reader, element, get("src"))
    item = d.Subdialog(
        common=_common(reader, element, index, parts),
        src=get("src"),
        srcexpr=get("srcexpr"),
        namelist=reader.names(element),
        method=method,
        enctype=enctype,
        fetch=fetch_attributes(element),
        parameters=tuple(parts.parameters),
    )
    return item, parts.filled


def _transfer(reader: Reader, element: etree._Element, index: int) -> _Item:
    reader.validate(element, "transfer")
    parts = _read_parts(reader, element, "transfer")
    item = d.TransferItem(
        _common(reader, element, index, parts),
        compile_transfer(reader, element),
        tuple(parts.grammars),
    )
    return item, parts.filled


_FORM_ITEMS: Final[dict[str, Callable[[Reader, etree._Element, int], _Item]]] = {
    "block": _block,
    "field": _field,
    "initial": _initial,
    "object": _object,
    "record": _record,
    "subdialog": _subdialog,
    "transfer": _transfer,
}


# --- Grammars


def _builtin(
    reader: Reader, element: etree._Element, reference: str, modes: tuple[Mode, ...]
) -> list[d.GrammarElement]:
    """A builtin type's grammars (VoiceXML 2.0 2.3.1, appendix P)."""
    line = reader.line(element)
    name = reference.partition("?")[0]
    wide = _document_wide(reader, element)
    if name not in BUILTIN_TYPES:
        message = f"there is no builtin type '{name}'"
        reader.warn(element, "builtin", message)
        return [d.UnsupportedGrammar("error.unsupported.builtin", message, line, wide)]
    found: list[d.GrammarElement] = []
    try:
        for mode in modes:
            if mode == "voice" and not _has_language(element):
                reader.warn(element, "speech", f"'{name}' is known in English only; keys answer it")
                continue
            # The parameters y and n of boolean are for keys alone.
            spoken = mode == "voice" and name == "boolean"
            found.append(d.InlineGrammar(builtin(name if spoken else reference, mode), line, wide))
    except GrammarError as error:
        reader.problem(element, "grammar", str(error))
    return found


def _has_language(element: etree._Element) -> bool:
    inside: etree._Element | None = element
    while inside is not None:
        if (language := language_of(inside)) is not None:
            return language.partition("-")[0].lower() in BUILTIN_LANGUAGES
        inside = inside.getparent()
    return True


def _document_wide(reader: Reader, element: etree._Element) -> bool:
    if element_name(element) != "grammar":
        return False
    return reader.choice(element, "scope", "dialog", "document") == "document"


def _grammar(reader: Reader, element: etree._Element) -> list[d.GrammarElement]:
    """``<grammar>`` (VoiceXML 2.0 3.1.1): inline, at an address, or builtin."""
    reader.validate(element, "grammar")
    get = element.get
    line = reader.line(element)
    pieces = list(reader.pieces(element, "grammar"))
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    inline = bool(text.strip()) or any(not isinstance(piece, str) for piece in pieces)
    source = get("src") if get("src") is not None else get("srcexpr")
    if inline == (source is not None):
        both = "both an address and content" if inline else "neither an address nor content"
        reader.problem(element, "grammar-source", f"<grammar> has {both}")
        return []
    src = get("src") or ""
    for mode in _MODES:
        if src.startswith(f"builtin:{mode}/") or (
            mode == "voice" and src.startswith("builtin:grammar/")
        ):
            return _builtin(reader, element, src.partition("/")[2], (mode,))
    wide = _document_wide(reader, element)
    kind = get("type", "").partition(";")[0].strip()
    if kind not in _XML_TYPES | _ABNF_TYPES:
        message = f"grammars of type '{kind}' are not known; use application/srgs+xml"
        reader.warn(element, "grammar-type", message)
        return [d.UnsupportedGrammar("error.unsupported.format", message, line, wide)]
    if source is not None:
        written = get("mode")
        expected: Mode | None = next((m for m in _MODES if m == written), None)
        if written is not None and expected is None:
            reader.choice(element, "mode", "voice", "dtmf")
        fetch = fetch_attributes(element)
        return [d.ExternalGrammar(src or None, get("srcexpr"), expected, fetch, line, wide)]
    try:
        tree = element
        if kind in _ABNF_TYPES or is_abnf(text):
            tree = parse_abnf(text, line)
        network = compile_srgs(tree)
        return [d.InlineGrammar(network.starting(None), line, wide)]
    except GrammarError as error:
        reader.problem(element, "grammar", str(error))
        return []
