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
from vxml_engine.reading import Node, Reader, element_name
from vxml_engine.tree import source_line
from vxml_engine.vocabulary import HANDLERS, XML_NAMESPACE

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
    choices: list[Node] = field(default_factory=list)
    parameters: list[d.Parameter] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    dialogs: list[d.Form] = field(default_factory=list)


def compile_vxml(element: etree._Element, reader: Reader) -> d.Document | None:
    """Compile ``<vxml>``; problems go to ``reader``; None when ``element`` is something else."""
    if (name := element_name(element)) != "vxml":
        stray = Node(element, name, {}, source_line(element))
        reader.problem(stray, "root", f"the document is <{name}>, not <vxml>")
        return None
    root = reader.read(element, "vxml")
    version = root.get("version", "")
    if version not in ("2.0", "2.1", ""):
        reader.problem(root, "version", f"version='{version}' is not 2.0 or 2.1")
    parts = _read_parts(reader, root)
    identifiers = {dialog.id for dialog in parts.dialogs}
    seen: set[str] = set()
    for node in root.nodes():
        identifier = node.get("id")
        if identifier in seen and node.name in ("form", "menu"):
            reader.problem(node, "duplicate-id", f"there are two dialogs '{identifier}'")
        seen.add(identifier or "")
    for target in reader.dialog_targets:
        if target.name not in identifiers:
            reader.warn(
                target.node, "unknown-dialog", f"the document has no dialog '{target.name}'"
            )
    return d.Document(
        version=version,
        language=root.get("xml:lang") or DEFAULT_LANGUAGE,
        base=root.get("xml:base"),
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


def _read_parts(reader: Reader, node: Node) -> _Parts:
    """Read all children of a document, a dialog or a form item."""
    parts = _Parts()
    implicit = ImplicitPrompt()
    for piece in node.pieces:
        if isinstance(piece, str):
            implicit.add_text(piece, node.line)
            continue
        child = piece.name
        if child in ("value", "audio", "enumerate"):
            implicit.add(compile_part(reader, piece), piece.line)
            continue
        parts.prompts += implicit.take()
        if child in _FORM_ITEMS:
            item, filled = _FORM_ITEMS[child](reader, piece, len(parts.items))
            parts.filled += [(item.common.name, action) for _, action in filled]
            parts.items.append(item)
            parts.declarations.append(item)
        else:
            _read_child(reader, piece, parts)
    parts.prompts += implicit.take()
    return parts


def _read_child(reader: Reader, node: Node, parts: _Parts) -> None:
    match node.name:
        case "form":
            parts.dialogs.append(_form(reader, node))
        case "menu":
            parts.dialogs.append(_menu(reader, node))
        case "var" | "script" | "data":
            parts.declarations.append(compile_declaration(reader, node))
        case "property":
            _property(reader, node, parts)
        case "prompt":
            parts.prompts.append(compile_prompt(reader, node))
        case "filled":
            parts.filled.append((None, _filled(reader, node)))
        case "link":
            parts.links.append(_link(reader, node))
        case "grammar":
            parts.grammars += _grammar(reader, node)
        case "option":
            parts.options.append(_option(reader, node))
        case "choice":
            parts.choices.append(node)
        case "param":
            parts.parameters.append(_parameter(node))
        case name if name in HANDLERS:
            parts.catches.append(compile_catch(reader, node))
        case name:
            assert name in ("meta", "metadata"), name


def _property(reader: Reader, node: Node, parts: _Parts) -> None:
    name = node.get("name", "")
    if name not in KNOWN and "." not in name:
        reader.warn(node, "property", f"property '{name}' is not known and has no effect")
    parts.properties[name] = node.get("value", "")


def _check_own_filled(reader: Reader, item: Node) -> None:
    """A ``<filled>`` inside an input item is for that item alone (VoiceXML 2.0 2.4)."""
    for child in item.nodes():
        for attribute in ("mode", "namelist"):
            if child.name == "filled" and child.get(attribute) is not None:
                reader.problem(
                    child, "filled-attribute", f"a <filled> inside an input item has no {attribute}"
                )


def _filled(reader: Reader, node: Node) -> d.Filled:
    return d.Filled(
        "any" if reader.choice(node, "mode", "all", "any") == "any" else "all",
        reader.names(node),
        compile_content(reader, node),
        node.line,
    )


def _parameter(node: Node) -> d.Parameter:
    get = node.get
    return d.Parameter(get("name", ""), get("expr"), get("value"), node.line)


# --- Dialogs


def _form(reader: Reader, node: Node) -> d.Form:
    wide = reader.choice(node, "scope", "dialog", "document") == "document"
    reader.item_targets.clear()
    parts = _read_parts(reader, node)
    names = [item.common.name for item in parts.items]
    inputs = [item.common.name for item in parts.items if not isinstance(item, d.Block | d.Initial)]
    seen: set[str] = set()
    item_nodes = [child for child in node.nodes() if child.name in _FORM_ITEMS]
    for item, declared in zip(parts.items, item_nodes, strict=True):
        name = item.common.name
        if name in seen:
            reader.problem(declared, "duplicate-name", f"there are two form items '{name}'")
        seen.add(name)
        _check_own_filled(reader, declared)
    for owner, filled in parts.filled:
        if owner is None:
            _check_filled(reader, node, filled, inputs)
    for target in reader.item_targets:
        if target.name not in names:
            reader.warn(target.node, "unknown-item", f"the form has no form item '{target.name}'")
    return d.Form(
        id=node.get("id"),
        is_menu=False,
        declarations=tuple(parts.declarations),
        items=tuple(parts.items),
        filled=tuple(parts.filled),
        catches=tuple(parts.catches),
        links=tuple(parts.links),
        grammars=tuple(parts.grammars),
        document_wide=wide,
        properties=parts.properties,
        line=node.line,
    )


def _check_filled(reader: Reader, form: Node, filled: d.Filled, inputs: list[str]) -> None:
    for name in filled.namelist:
        if name not in inputs:
            reader.problem(form, "filled-name", f"<filled> names '{name}', which is no input item")


def _menu(reader: Reader, node: Node) -> d.Form:
    """``<menu>``: a form with one input that has no name (VoiceXML 2.0 2.2)."""
    wide = reader.choice(node, "scope", "dialog", "document") == "document"
    exact = reader.choice(node, "accept", "exact", "approximate") == "exact"
    parts = _read_parts(reader, node)
    automatic = list("123456789") if reader.flag(node, "dtmf") else []
    choices = tuple(_choice(reader, choice, automatic, exact) for choice in parts.choices)
    line = node.line
    common = d.Common("input$", False, None, None, line, prompts=tuple(parts.prompts))
    item = d.MenuInput(common, choices)
    return d.Form(
        id=node.get("id"),
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


def _choice(reader: Reader, node: Node, automatic: list[str], menu_exact: bool) -> d.Choice:
    dtmf = _keys(reader, node)
    grammars = [
        grammar
        for child in node.nodes()
        if child.name == "grammar"
        for grammar in _grammar(reader, child)
    ]
    spoken = not grammars
    if dtmf is None and automatic:
        dtmf = automatic.pop(0)
    if dtmf:
        grammars.insert(0, d.InlineGrammar(key_sequence(dtmf), node.line))
    text = text_of(node)
    accept = reader.choice(node, "accept", "", "exact", "approximate")
    exact = menu_exact if accept == "" else accept == "exact"
    if spoken and text:
        line = node.line
        grammars.append(d.InlineGrammar(phrase(text, approximate=not exact), line))
    return d.Choice(text, dtmf, tuple(grammars), _destination(reader, node))


def _destination(reader: Reader, node: Node) -> d.Destination:
    get = node.get
    note_target(reader, node, get("next"))
    return d.Destination(
        get("next"),
        get("expr"),
        get("event"),
        get("eventexpr"),
        get("message"),
        get("messageexpr"),
        fetch_attributes(node),
        node.line,
    )


def _keys(reader: Reader, node: Node) -> str | None:
    """The ``dtmf`` attribute without its spaces."""
    written = node.get("dtmf")
    if written is None:
        return None
    keys = "".join(written.split())
    if not keys or any(key not in KEYS for key in keys):
        reader.problem(node, "attribute-value", f"dtmf='{written}' is not a sequence of keys")
        return None
    return keys


def _link(reader: Reader, node: Node) -> d.LinkElement:
    """``<link>`` (VoiceXML 2.0 2.5)."""
    grammars = [grammar for child in node.nodes() for grammar in _grammar(reader, child)]
    if keys := _keys(reader, node):
        grammars.insert(0, d.InlineGrammar(key_sequence(keys), node.line))
    return d.LinkElement(tuple(grammars), _destination(reader, node))


# --- Form items


def _common(node: Node, index: int, parts: _Parts) -> d.Common:
    get = node.get
    name = get("name")
    return d.Common(
        name=name or f"item${index}",
        named=name is not None,
        expr=get("expr"),
        cond=get("cond"),
        line=node.line,
        prompts=tuple(parts.prompts),
        catches=tuple(parts.catches),
        properties=parts.properties,
    )


_Item = tuple[d.FormItem, list[tuple[str | None, d.Filled]]]
"""A form item and the ``<filled>`` in it."""


def _block(reader: Reader, node: Node, index: int) -> _Item:
    content = compile_content(reader, node)
    return d.Block(_common(node, index, _Parts()), content), []


def _field(reader: Reader, node: Node, index: int) -> _Item:
    parts = _read_parts(reader, node)
    if (reference := node.get("type")) is not None:
        parts.grammars += _builtin(reader, node, reference, _MODES)
    common = _common(node, index, parts)
    item = d.Field(
        common=common,
        slot=node.get("slot", common.name),
        modal=bool(reader.flag(node, "modal")),
        grammars=tuple(parts.grammars),
        options=tuple(parts.options),
        links=tuple(parts.links),
    )
    return item, parts.filled


def _option(reader: Reader, node: Node) -> d.Option:
    keys = _keys(reader, node)
    text = text_of(node)
    value = node.get("value")
    if value is None:
        value = text or keys or ""
    exact = reader.choice(node, "accept", "exact", "approximate") == "exact"
    networks: list[Network] = [key_sequence(keys)] if keys else []
    if text:
        networks.append(phrase(text, approximate=not exact))
    return d.Option(text, keys, tuple(networks), value)


def _initial(reader: Reader, node: Node, index: int) -> _Item:
    parts = _read_parts(reader, node)
    return d.Initial(_common(node, index, parts), tuple(parts.links)), []


def _record(reader: Reader, node: Node, index: int) -> _Item:
    parts = _read_parts(reader, node)
    modal, dtmfterm = reader.flag(node, "modal"), reader.flag(node, "dtmfterm")
    item = d.RecordItem(
        common=_common(node, index, parts),
        modal=modal is not False,
        beep=bool(reader.flag(node, "beep")),
        maxtime_s=reader.time(node, "maxtime"),
        finalsilence_s=reader.time(node, "finalsilence"),
        dtmfterm=dtmfterm is not False,
        media_type=node.get("type", ""),
        grammars=tuple(parts.grammars),
        links=tuple(parts.links),
    )
    return item, parts.filled


def _object(reader: Reader, node: Node, index: int) -> _Item:
    reader.warn(node, "object", "there are no objects: error.unsupported.objectname is thrown")
    parts = _read_parts(reader, node)
    item = d.ObjectItem(_common(node, index, parts), node.get("classid", ""))
    return item, parts.filled


def _subdialog(reader: Reader, node: Node, index: int) -> _Item:
    parts = _read_parts(reader, node)
    method, enctype = read_method(reader, node)
    get = node.get
    note_target(reader, node, get("src"))
    item = d.Subdialog(
        common=_common(node, index, parts),
        src=get("src"),
        srcexpr=get("srcexpr"),
        namelist=reader.names(node),
        method=method,
        enctype=enctype,
        fetch=fetch_attributes(node),
        parameters=tuple(parts.parameters),
    )
    return item, parts.filled


def _transfer(reader: Reader, node: Node, index: int) -> _Item:
    parts = _read_parts(reader, node)
    item = d.TransferItem(
        _common(node, index, parts),
        compile_transfer(reader, node),
        tuple(parts.grammars),
    )
    return item, parts.filled


_FORM_ITEMS: Final[dict[str, Callable[[Reader, Node, int], _Item]]] = {
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
    reader: Reader, node: Node, reference: str, modes: tuple[Mode, ...]
) -> list[d.GrammarElement]:
    """A builtin type's grammars (VoiceXML 2.0 2.3.1, appendix P)."""
    line = node.line
    name = reference.partition("?")[0]
    wide = _document_wide(reader, node)
    if name not in BUILTIN_TYPES:
        message = f"there is no builtin type '{name}'"
        reader.warn(node, "builtin", message)
        return [d.UnsupportedGrammar("error.unsupported.builtin", message, line, wide)]
    found: list[d.GrammarElement] = []
    try:
        for mode in modes:
            if mode == "voice" and not _has_language(node):
                reader.warn(node, "speech", f"'{name}' is known in English only; keys answer it")
                continue
            # The parameters y and n of boolean are for keys alone.
            spoken = mode == "voice" and name == "boolean"
            found.append(d.InlineGrammar(builtin(name if spoken else reference, mode), line, wide))
    except GrammarError as error:
        reader.problem(node, "grammar", str(error))
    return found


def _has_language(node: Node) -> bool:
    inside: etree._Element | None = node.element
    while inside is not None:
        if (language := inside.get(f"{{{XML_NAMESPACE}}}lang")) is not None:
            return language.partition("-")[0].lower() in BUILTIN_LANGUAGES
        inside = inside.getparent()
    return True


def _document_wide(reader: Reader, node: Node) -> bool:
    """Whether a form's grammar is of the document's scope; others have none (3.1.3)."""
    if node.name != "grammar":
        return False
    parent = node.element.getparent()
    within = "" if parent is None else etree.QName(parent).localname
    if node.get("scope") is not None and within != "form":
        reader.problem(node, "grammar-scope", f"a <grammar> of <{within}> cannot have a scope")
        return False
    return reader.choice(node, "scope", "dialog", "document") == "document"


def _grammar(reader: Reader, node: Node) -> list[d.GrammarElement]:
    """``<grammar>`` (VoiceXML 2.0 3.1.1): inline, at an address, or builtin."""
    get = node.get
    line = node.line
    text = "".join(piece for piece in node.pieces if isinstance(piece, str))
    inline = bool(text.strip()) or bool(node.nodes())
    source = get("src") if get("src") is not None else get("srcexpr")
    if inline == (source is not None):
        both = "both an address and content" if inline else "neither an address nor content"
        reader.problem(node, "grammar-source", f"<grammar> has {both}")
        return []
    src = get("src") or ""
    for mode in _MODES:
        if src.startswith(f"builtin:{mode}/") or (
            mode == "voice" and src.startswith("builtin:grammar/")
        ):
            return _builtin(reader, node, src.partition("/")[2], (mode,))
    wide = _document_wide(reader, node)
    kind = get("type", "").partition(";")[0].strip()
    if kind not in _XML_TYPES | _ABNF_TYPES:
        message = f"grammars of type '{kind}' are not known; use application/srgs+xml"
        reader.warn(node, "grammar-type", message)
        return [d.UnsupportedGrammar("error.unsupported.format", message, line, wide)]
    if source is not None:
        written = get("mode")
        expected: Mode | None = next((m for m in _MODES if m == written), None)
        if written is not None and expected is None:
            reader.choice(node, "mode", "voice", "dtmf")
        fetch = fetch_attributes(node)
        return [d.ExternalGrammar(src or None, get("srcexpr"), expected, fetch, line, wide)]
    try:
        tree = node.element
        if kind in _ABNF_TYPES or is_abnf(text):
            tree = parse_abnf(text, line)
        network = compile_srgs(tree)
        return [d.InlineGrammar(network.starting(None), line, wide)]
    except GrammarError as error:
        reader.problem(node, "grammar", str(error))
        return []
