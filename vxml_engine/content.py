"""Compiling what is executed and what is spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from vxml_engine import document as d
from vxml_engine.reading import Expression, Node, Reader, Target
from vxml_engine.vocabulary import EXECUTABLE, SSML_MARKUP

_INLINE = frozenset({"value", "audio", "enumerate"})
_FETCH = ("fetchtimeout", "fetchhint", "maxage", "maxstale", "fetchaudio")


# --- What is spoken


def compile_parts(reader: Reader, node: Node) -> tuple[d.Part, ...]:
    """The content of a prompt, an audio or an element of SSML."""
    parts: list[d.Part] = []
    for piece in node.pieces:
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


def fetch_attributes(node: Node) -> d.FetchAttributes:
    """The attributes that tell how to fetch (VoiceXML 2.0 6.1)."""
    if node.attributes.keys().isdisjoint(_FETCH):
        return d.NO_ATTRIBUTES
    return d.FetchAttributes(*map(node.get, _FETCH))


def compile_part(reader: Reader, node: Node) -> d.Part | None:
    """One element of a prompt; None for what is only a note."""
    name = node.name
    line = node.line
    match name:
        case "value":
            return d.ValueOf(node.get("expr", ""), line)
        case "audio":
            content = compile_parts(reader, node)
            fetch = fetch_attributes(node)
            return d.Audio(node.get("src"), node.get("expr"), content, line, fetch)
        case "mark":
            return d.MarkPart(node.get("name"), node.get("nameexpr"), line)
        case "foreach":
            reader.loop(node)
            content = compile_parts(reader, node)
            return d.ForeachPart(node.get("item", ""), node.get("array", ""), content, line)
        case "enumerate":
            return d.Enumerate(compile_parts(reader, node), line)
        case "desc" | "meta" | "metadata" | "lexicon":
            return None
        case _ if name not in SSML_MARKUP:
            reader.problem(node, "element-place", f"<{name}> cannot stand in what is spoken")
            return None
        case _:
            attributes = tuple(
                (key, value)
                for key, value in sorted(node.attributes.items())
                if key == "xml:lang" or ":" not in key
            )
            return d.Markup(name, attributes, compile_parts(reader, node))


def compile_prompt(reader: Reader, node: Node) -> d.PromptElement:
    """``<prompt>`` (VoiceXML 2.0 4.1)."""
    return d.PromptElement(
        parts=compile_parts(reader, node),
        count=reader.count(node),
        cond=node.get("cond"),
        bargein=reader.flag(node, "bargein"),
        timeout_s=reader.time(node, "timeout"),
        language=node.get("xml:lang"),
        line=node.line,
        base=node.get("xml:base"),
        bargeintype=reader.choice(node, "bargeintype", "", "speech", "hotword") or None,
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


def compile_content(reader: Reader, node: Node) -> tuple[d.Executable, ...]:
    """The executable content of ``element``."""
    return _compile_pieces(reader, node, node.pieces)


def _compile_pieces(
    reader: Reader, parent: Node, pieces: Iterable[str | Node]
) -> tuple[d.Executable, ...]:
    content: list[d.Executable] = []
    implicit = ImplicitPrompt()
    for piece in pieces:
        if isinstance(piece, str):
            implicit.add_text(piece, parent.line)
        elif piece.name in _INLINE:
            implicit.add(compile_part(reader, piece), piece.line)
        else:
            content += implicit.take()
            content.append(_compile_executable(reader, piece))
    content += implicit.take()
    return tuple(content)


def _compile_executable(reader: Reader, node: Node) -> d.Executable:
    name = node.name
    line = node.line
    get = node.get
    if (compile_element := _COMPILERS.get(name)) is not None:
        return compile_element(reader, node)
    if name == "log":
        parts = compile_parts(reader, node)
        return d.LogElement(get("label"), get("expr"), parts, line)
    match name:
        case "assign":
            return d.Assign(get("name", ""), get("expr", ""), line)
        case "throw":
            return d.Throw(get("event"), get("eventexpr"), get("message"), get("messageexpr"), line)
        case "reprompt":
            return d.Reprompt(line)
        case "return":
            return d.ReturnElement(
                reader.names(node),
                get("event"),
                get("eventexpr"),
                get("message"),
                get("messageexpr"),
                line,
            )
        case "vm:transfer":
            return d.TransferNow(get("name"), compile_transfer(reader, node), line)
        case _:
            return _compile_other(reader, node, name)


def _compile_other(reader: Reader, node: Node, name: str) -> d.Executable:
    line = node.line
    get = node.get
    match name:
        case "clear":
            return d.Clear(reader.names(node), line)
        case "exit":
            return d.Exit(get("expr"), reader.names(node), line)
        case "disconnect":
            return d.DisconnectElement(reader.names(node), line)
        case "goto":
            note_target(reader, node, get("next"))
            if (item := get("nextitem")) is not None:
                reader.item_targets.append(Target(item, node))
            return d.Goto(
                get("next"),
                get("expr"),
                get("nextitem"),
                get("expritem"),
                fetch_attributes(node),
                line,
            )
        case "submit":
            method, enctype = read_method(reader, node)
            namelist = None if get("namelist") is None else reader.names(node)
            fetch = fetch_attributes(node)
            return d.Submit(get("next"), get("expr"), namelist, method, enctype, fetch, line)
        case _:
            raise AssertionError(name)


def _compile_if(reader: Reader, node: Node) -> d.If:
    """``<if>``: ``<elseif>`` and ``<else>`` are marks between its parts."""
    branches: list[d.Branch] = []
    cond: str | None = node.get("cond", "")
    pieces: list[str | Node] = []
    closed = False
    for piece in node.pieces:
        name = "" if isinstance(piece, str) else piece.name
        if isinstance(piece, str) or name not in ("else", "elseif"):
            pieces.append(piece)
            continue
        if closed:
            reader.problem(piece, "element-place", f"<{name}> cannot follow <else>")
        branches.append(d.Branch(cond, _compile_pieces(reader, node, pieces)))
        pieces = []
        cond = piece.get("cond", "") if name == "elseif" else None
        closed = name == "else"
    branches.append(d.Branch(cond, _compile_pieces(reader, node, pieces)))
    return d.If(tuple(branches), node.line)


def _compile_foreach(reader: Reader, node: Node) -> d.Foreach:
    """``<foreach>`` (VoiceXML 2.1 6): what is spoken in it is one prompt each time."""
    reader.loop(node)
    content: list[d.Executable] = []
    implicit = ImplicitPrompt()
    for piece in node.pieces:
        if isinstance(piece, str):
            implicit.add_text(piece, node.line)
        elif piece.name in _COMPILERS or piece.name in _ONLY_EXECUTABLE:
            content += implicit.take()
            content.append(_compile_executable(reader, piece))
        else:
            implicit.add(compile_part(reader, piece), piece.line)
    content += implicit.take()
    return d.Foreach(node.get("item", ""), node.get("array", ""), tuple(content), node.line)


def _compile_data(reader: Reader, node: Node) -> d.Data:
    method, enctype = read_method(reader, node)
    get = node.get
    return d.Data(
        get("name"),
        get("src"),
        get("srcexpr"),
        reader.names(node),
        method,
        enctype,
        fetch_attributes(node),
        node.line,
    )


def compile_declaration(reader: Reader, node: Node) -> d.Var | d.Script | d.Data:
    """``<var>``, ``<script>`` or ``<data>``."""
    line = node.line
    get = node.get
    if node.name == "data":
        return _compile_data(reader, node)
    if node.name == "var":
        return d.Var(get("name", ""), get("expr"), line)
    source = "".join(p for p in node.pieces if isinstance(p, str))
    external = get("src") is not None or get("srcexpr") is not None
    if external and source.strip():
        reader.problem(node, "script-source", "<script> has both an address and a program")
    if not external:
        reader.expressions.append(Expression(source, node, program=True))
    fetch = fetch_attributes(node)
    return d.Script(source, get("src"), get("srcexpr"), fetch, line, get("charset"))


_ONLY_EXECUTABLE: Final = EXECUTABLE - _INLINE
_COMPILERS: Final[dict[str, Callable[[Reader, Node], d.Executable]]] = {
    "data": _compile_data,
    "foreach": _compile_foreach,
    "if": _compile_if,
    "prompt": compile_prompt,
    "script": compile_declaration,
    "var": compile_declaration,
}


def compile_catch(reader: Reader, node: Node) -> d.Catch:
    """``<catch>`` and its short forms (VoiceXML 2.0 5.2.2)."""
    name = node.name
    events = reader.names(node, "event") if name == "catch" else (name,)
    return d.Catch(
        tuple(event.removesuffix(".") for event in events if event != "."),
        reader.count(node),
        node.get("cond"),
        compile_content(reader, node),
        node.line,
    )


# --- Shared by content and form items


def note_target(reader: Reader, node: Node, address: str | None) -> None:
    """Remember a reference to a dialog of this document, for the check."""
    if address is not None and address.startswith("#"):
        reader.dialog_targets.append(Target(address[1:], node))


def read_method(reader: Reader, node: Node) -> tuple[d.Method, str]:
    """``method`` and ``enctype`` of a submission."""
    method = reader.choice(node, "method", "get", "post")
    enctype = reader.choice(
        node, "enctype", "application/x-www-form-urlencoded", "multipart/form-data"
    )
    return ("post" if method == "post" else "get"), enctype


def compile_transfer(reader: Reader, node: Node) -> d.TransferSpec:
    """The attributes of ``<transfer>`` or ``<vm:transfer>``."""
    get = node.get
    ours = node.name == "vm:transfer"
    kind: d.TransferKind = "bridge"
    if not ours:
        match reader.choice(node, "type", "", "bridge", "blind", "consultation"):
            case "":
                kind = "bridge" if reader.flag(node, "bridge") else "blind"
            case "blind":
                kind = "blind"
            case "consultation":
                kind = "consultation"
    return d.TransferSpec(
        dest=get("dest"),
        destexpr=get("destexpr"),
        kind=kind,
        connecttimeout_s=reader.time(node, "connecttimeout"),
        maxtime_s=reader.time(node, "maxtime") or 0.0,
        caller=get("caller") if ours else get("vm:caller"),
        aai=get("aai"),
        aaiexpr=get("aaiexpr"),
        transferaudio=get("transferaudio"),
    )


def text_of(node: Node) -> str:
    """All text inside that is not a grammar's, with single spaces."""
    return " ".join(_texts(node).split())


def _texts(node: Node) -> str:
    return "".join(
        piece if isinstance(piece, str) else "" if piece.name == "grammar" else _texts(piece)
        for piece in node.pieces
    )
