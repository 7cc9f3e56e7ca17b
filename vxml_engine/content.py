"""Compiling what is executed and what is spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from lxml import etree

from vxml_engine import document as d
from vxml_engine.reading import Expression, Reader, Target, element_name
from vxml_engine.vocabulary import (
    EXECUTABLE,
    SSML_MARKUP,
    VM_NAMESPACE,
    XML_NAMESPACE,
)

_INLINE = frozenset({"value", "audio", "enumerate"})
_XML_LANG = f"{{{XML_NAMESPACE}}}lang"
_XML_BASE = f"{{{XML_NAMESPACE}}}base"


def language_of(element: etree._Element) -> str | None:
    """The element's own ``xml:lang``."""
    return element.get(_XML_LANG)


# --- What is spoken


def compile_parts(reader: Reader, element: etree._Element, name: str) -> tuple[d.Part, ...]:
    """The content of a prompt, an audio or an element of SSML."""
    parts: list[d.Part] = []
    for piece in reader.pieces(element, name):
        if isinstance(piece, str):
            parts.append(d.Text(_collapse(piece)))
        elif (part := compile_part(reader, piece)) is not None:
            parts.append(part)
    return tuple(parts)


def _collapse(text: str) -> str:
    words = " ".join(text.split())
    before = " " if text[0].isspace() and words else ""
    after = " " if text[-1].isspace() else ""
    return before + words + after


def fetch_attributes(element: etree._Element) -> d.FetchAttributes:
    """The attributes that tell how to fetch (VoiceXML 2.0 6.1)."""
    names = ("fetchtimeout", "fetchhint", "maxage", "maxstale", "fetchaudio")
    return d.FetchAttributes(*(element.get(name) for name in names))


def compile_part(reader: Reader, element: etree._Element) -> d.Part | None:
    """One element of a prompt; None for what is only a note."""
    name = element_name(element)
    line = reader.line(element)
    reader.validate(element, name)
    match name:
        case "value":
            return d.ValueOf(element.get("expr", ""), line)
        case "audio":
            content = compile_parts(reader, element, name)
            fetch = fetch_attributes(element)
            return d.Audio(element.get("src"), element.get("expr"), content, line, fetch)
        case "mark":
            return d.MarkPart(element.get("name"), element.get("nameexpr"), line)
        case "foreach":
            reader.loop(element)
            content = compile_parts(reader, element, name)
            return d.ForeachPart(element.get("item", ""), element.get("array", ""), content, line)
        case "enumerate":
            return d.Enumerate(compile_parts(reader, element, name), line)
        case "desc" | "meta" | "metadata" | "lexicon":
            return None
        case _ if name not in SSML_MARKUP:
            reader.problem(element, "element-place", f"<{name}> cannot stand in what is spoken")
            return None
        case _:
            attributes = tuple(
                ("xml:lang" if key == _XML_LANG else str(key), str(value))
                for key, value in sorted(element.attrib.items())
                if key == _XML_LANG or not str(key).startswith("{")
            )
            return d.Markup(name, attributes, compile_parts(reader, element, name))


def compile_prompt(reader: Reader, element: etree._Element) -> d.PromptElement:
    """``<prompt>`` (VoiceXML 2.0 4.1)."""
    reader.validate(element, "prompt")
    return d.PromptElement(
        parts=compile_parts(reader, element, "prompt"),
        count=reader.count(element),
        cond=element.get("cond"),
        bargein=reader.flag(element, "bargein"),
        timeout_s=reader.time(element, "timeout"),
        language=language_of(element),
        line=reader.line(element),
        base=element.get(_XML_BASE),
        bargeintype=reader.choice(element, "bargeintype", "", "speech", "hotword") or None,
    )


class ImplicitPrompt:
    """Gathers text, values and audio that stand outside a ``<prompt>`` into one."""

    def __init__(self) -> None:
        self._parts: list[d.Part] = []
        self._line = 0

    def add(self, part: d.Part | None, line: int) -> None:
        """Add the next part."""
        if part is not None:
            self._line = self._line or line
            self._parts.append(part)

    def add_text(self, text: str, line: int) -> None:
        """Add text; space alone does not begin a prompt."""
        if self._parts or not text.isspace():
            self.add(d.Text(_collapse(text)), line)

    def take(self) -> list[d.PromptElement]:
        """The prompt gathered so far, if there is one; a new one begins."""
        if not self._parts:
            return []
        prompt = d.PromptElement(tuple(self._parts), 1, None, None, None, None, self._line)
        self._parts, self._line = [], 0
        return [prompt]


# --- Executable content


def compile_content(reader: Reader, element: etree._Element, name: str) -> tuple[d.Executable, ...]:
    """The executable content of ``element``."""
    return _compile_pieces(reader, element, reader.pieces(element, name))


def _compile_pieces(
    reader: Reader, parent: etree._Element, pieces: Iterable[str | etree._Element]
) -> tuple[d.Executable, ...]:
    content: list[d.Executable] = []
    implicit = ImplicitPrompt()
    for piece in pieces:
        if isinstance(piece, str):
            implicit.add_text(piece, reader.line(parent))
        elif element_name(piece) in _INLINE:
            implicit.add(compile_part(reader, piece), reader.line(piece))
        else:
            content += implicit.take()
            content.append(_compile_executable(reader, piece))
    content += implicit.take()
    return tuple(content)


def _compile_executable(reader: Reader, element: etree._Element) -> d.Executable:
    name = element_name(element)
    line = reader.line(element)
    get = element.get
    if (compile_element := _COMPILERS.get(name)) is not None:
        return compile_element(reader, element)
    reader.validate(element, name)
    if name == "log":
        parts = compile_parts(reader, element, name)
        return d.LogElement(get("label"), get("expr"), parts, line)
    for _ in reader.pieces(element, name):
        pass  # nothing may stand in it: what does is noted
    match name:
        case "assign":
            return d.Assign(get("name", ""), get("expr", ""), line)
        case "throw":
            return d.Throw(get("event"), get("eventexpr"), get("message"), get("messageexpr"), line)
        case "reprompt":
            return d.Reprompt(line)
        case "return":
            return d.ReturnElement(
                reader.names(element),
                get("event"),
                get("eventexpr"),
                get("message"),
                get("messageexpr"),
                line,
            )
        case "vm:transfer":
            return d.TransferNow(get("name"), compile_transfer(reader, element), line)
        case _:
            return _compile_other(reader, element, name)


def _compile_other(reader: Reader, element: etree._Element, name: str) -> d.Executable:
    line = reader.line(element)
    get = element.get
    match name:
        case "clear":
            return d.Clear(reader.names(element), line)
        case "exit":
            return d.Exit(get("expr"), reader.names(element), line)
        case "disconnect":
            return d.DisconnectElement(reader.names(element), line)
        case "goto":
            note_target(reader, element, get("next"))
            if (item := get("nextitem")) is not None:
                reader.item_targets.append(Target(item, element))
            return d.Goto(
                get("next"),
                get("expr"),
                get("nextitem"),
                get("expritem"),
                fetch_attributes(element),
                line,
            )
        case "submit":
            method, enctype = read_method(reader, element)
            namelist = None if get("namelist") is None else reader.names(element)
            fetch = fetch_attributes(element)
            return d.Submit(get("next"), get("expr"), namelist, method, enctype, fetch, line)
        case _:
            raise AssertionError(name)


def _compile_if(reader: Reader, element: etree._Element) -> d.If:
    """``<if>``: ``<elseif>`` and ``<else>`` are marks between its parts."""
    reader.validate(element, "if")
    branches: list[d.Branch] = []
    cond: str | None = element.get("cond", "")
    pieces: list[str | etree._Element] = []
    closed = False
    for piece in reader.pieces(element, "if"):
        name = "" if isinstance(piece, str) else element_name(piece)
        if isinstance(piece, str) or name not in ("else", "elseif"):
            pieces.append(piece)
            continue
        reader.validate(piece, name)
        for _ in reader.pieces(piece, name):
            pass
        if closed:
            reader.problem(piece, "element-place", f"<{name}> cannot follow <else>")
        branches.append(d.Branch(cond, _compile_pieces(reader, element, pieces)))
        pieces = []
        cond = piece.get("cond", "") if name == "elseif" else None
        closed = name == "else"
    branches.append(d.Branch(cond, _compile_pieces(reader, element, pieces)))
    return d.If(tuple(branches), reader.line(element))


def _compile_foreach(reader: Reader, element: etree._Element) -> d.Foreach:
    """``<foreach>`` (VoiceXML 2.1 6): what is spoken in it is one prompt each time."""
    reader.validate(element, "foreach")
    reader.loop(element)
    content: list[d.Executable] = []
    implicit = ImplicitPrompt()
    for piece in reader.pieces(element, "foreach"):
        if isinstance(piece, str):
            implicit.add_text(piece, reader.line(element))
        elif element_name(piece) in _COMPILERS or element_name(piece) in _ONLY_EXECUTABLE:
            content += implicit.take()
            content.append(_compile_executable(reader, piece))
        else:
            implicit.add(compile_part(reader, piece), reader.line(piece))
    content += implicit.take()
    return d.Foreach(
        element.get("item", ""), element.get("array", ""), tuple(content), reader.line(element)
    )


def _compile_data(reader: Reader, element: etree._Element) -> d.Data:
    reader.validate(element, "data")
    for _ in reader.pieces(element, "data"):
        pass
    method, enctype = read_method(reader, element)
    get = element.get
    return d.Data(
        get("name"),
        get("src"),
        get("srcexpr"),
        reader.names(element),
        method,
        enctype,
        fetch_attributes(element),
        reader.line(element),
    )


def compile_declaration(reader: Reader, element: etree._Element) -> d.Var | d.Script | d.Data:
    """``<var>``, ``<script>`` or ``<data>``."""
    line = reader.line(element)
    get = element.get
    if element_name(element) == "data":
        return _compile_data(reader, element)
    if element_name(element) == "var":
        reader.validate(element, "var")
        for _ in reader.pieces(element, "var"):
            pass
        return d.Var(get("name", ""), get("expr"), line)
    reader.validate(element, "script")
    source = "".join(p for p in reader.pieces(element, "script") if isinstance(p, str))
    external = get("src") is not None or get("srcexpr") is not None
    if external and source.strip():
        reader.problem(element, "script-source", "<script> has both an address and a program")
    if not external:
        reader.expressions.append(Expression(source, element, program=True))
    fetch = fetch_attributes(element)
    return d.Script(source, get("src"), get("srcexpr"), fetch, line, get("charset"))


_ONLY_EXECUTABLE: Final = EXECUTABLE - _INLINE
_COMPILERS: Final[dict[str, Callable[[Reader, etree._Element], d.Executable]]] = {
    "data": _compile_data,
    "foreach": _compile_foreach,
    "if": _compile_if,
    "prompt": compile_prompt,
    "script": compile_declaration,
    "var": compile_declaration,
}


def compile_catch(reader: Reader, element: etree._Element) -> d.Catch:
    """``<catch>`` and its short forms (VoiceXML 2.0 5.2.2)."""
    name = element_name(element)
    reader.validate(element, name)
    events = reader.names(element, "event") if name == "catch" else (name,)
    return d.Catch(
        tuple(event.removesuffix(".") for event in events if event != "."),
        reader.count(element),
        element.get("cond"),
        compile_content(reader, element, name),
        reader.line(element),
    )


# --- Shared by content and form items


def note_target(reader: Reader, element: etree._Element, address: str | None) -> None:
    """Remember a reference to a dialog of this document, for the check."""
    if address is not None and address.startswith("#"):
        reader.dialog_targets.append(Target(address[1:], element))


def read_method(reader: Reader, element: etree._Element) -> tuple[d.Method, str]:
    """``method`` and ``enctype`` of a submission."""
    method = reader.choice(element, "method", "get", "post")
    enctype = reader.choice(
        element, "enctype", "application/x-www-form-urlencoded", "multipart/form-data"
    )
    return ("post" if method == "post" else "get"), enctype


def compile_transfer(reader: Reader, element: etree._Element) -> d.TransferSpec:
    """The attributes of ``<transfer>`` or ``<vm:transfer>``."""
    get = element.get
    ours = element_name(element) == "vm:transfer"
    kind: d.TransferKind = "bridge"
    if not ours:
        match reader.choice(element, "type", "", "bridge", "blind", "consultation"):
            case "":
                kind = "bridge" if reader.flag(element, "bridge") else "blind"
            case "blind":
                kind = "blind"
            case "consultation":
                kind = "consultation"
    return d.TransferSpec(
        dest=get("dest"),
        destexpr=get("destexpr"),
        kind=kind,
        connecttimeout_s=reader.time(element, "connecttimeout"),
        maxtime_s=reader.time(element, "maxtime") or 0.0,
        caller=get("caller") if ours else get(f"{{{VM_NAMESPACE}}}caller"),
        aai=get("aai"),
        aaiexpr=get("aaiexpr"),
        transferaudio=get("transferaudio"),
    )


def text_of(element: etree._Element) -> str:
    """All text inside, with single spaces."""
    return " ".join("".join(str(text) for text in element.itertext()).split())
