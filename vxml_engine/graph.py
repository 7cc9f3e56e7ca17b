"""The dialog flow of a document as a graph, written as DOT (Graphviz) or Mermaid.

Vertices are dialogs (with ``items`` also their form items), other documents, numbers that are
called, events and ends; arrows are what leads from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, Literal

from vxml_engine.check.flow import Lead, branches, lead_of
from vxml_engine.check.reach import takes
from vxml_engine.check.subject import Subject, Surroundings, walk
from vxml_engine.errors import DocumentError
from vxml_engine.parser import Prepare, compile_tree, parse_with_places, prepare_tree
from vxml_engine.reading import Node
from vxml_engine.vocabulary import FORM_ITEMS, HANDLERS

VertexKind = Literal[
    "start", "form", "menu", "item", "anywhere", "document", "number", "event", "computed", "end"
]

LABEL_CHARS_MAX: Final = 60
"""How long the text at an arrow may be."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """``key`` is unique; ``group`` is the dialog that a form item stands in; 0: no line."""

    key: str
    kind: VertexKind
    label: str
    line: int = 0
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Arrow:
    """``dashed``: it is only known at run time where this leads, or it comes back."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(slots=True)
class Graph:
    """The flow of one document."""

    title: str
    vertices: dict[str, Vertex] = field(default_factory=dict)
    arrows: dict[Arrow, None] = field(default_factory=dict)

    def add(self, vertex: Vertex) -> str:
        """Add a vertex, once; returns its key."""
        self.vertices.setdefault(vertex.key, vertex)
        return vertex.key

    def connect(self, arrow: Arrow) -> None:
        """Add an arrow, once."""
        self.arrows.setdefault(arrow)


def read_graph(
    body: bytes, url: str, prepare: Prepare | None = None, *, items: bool = False
) -> Graph:
    """The flow of a document; raises ``DocumentError`` when it is not valid.

    With ``items`` each form item is a vertex of its own.
    """
    root, places = parse_with_places(body, url)
    prepare_tree(root, url, prepare)
    document, reader = compile_tree(root, places.find)
    if document is None:
        raise DocumentError(url, tuple(sorted(reader.problems)))
    return _Drawing(Subject(root, url, places, Surroundings()), items=items).draw()


@dataclass(frozen=True, slots=True)
class _Context:
    """Where a lead stands: the vertex it starts from, its dialog, the handler and condition."""

    source: str
    dialog: Node | None
    event: str = ""
    cond: str = ""


class _Drawing:
    def __init__(self, subject: Subject, *, items: bool) -> None:
        self._subject = subject
        self._items = items
        self._graph = Graph(subject.url.rpartition("/")[2])
        self._keys = {id(node): f"dialog {n}" for n, node in enumerate(subject.dialogs)}

    def draw(self) -> Graph:
        subject, graph = self._subject, self._graph
        start = graph.add(Vertex("start", "start", "start"))
        for dialog in subject.dialogs:
            name = dialog.get("id") or f"line {dialog.line}"
            kind: VertexKind = "form" if dialog.name == "form" else "menu"
            graph.add(Vertex(self._keys[id(dialog)], kind, f"{dialog.name} {name}", dialog.line))
        if subject.dialogs:
            graph.connect(Arrow(start, self._entry(subject.dialogs[0])))
        for dialog in subject.dialogs:
            self._dialog(dialog)
        for node in subject.root.nodes():
            if (node.name in HANDLERS or node.name == "link") and _leads(node):
                anywhere = graph.add(Vertex("anywhere", "anywhere", "from anywhere"))
                self._element(node, _Context(anywhere, None))
        return graph

    # --- Dialogs and items

    def _entry(self, dialog: Node) -> str:
        """Where an arrow to a dialog ends: at its first form item, if those are drawn."""
        if self._items and (items := _items(dialog)):
            return self._item_key(dialog, items[0])
        return self._keys[id(dialog)]

    def _item_key(self, dialog: Node, item: Node) -> str:
        return f"{self._keys[id(dialog)]} item {_items(dialog).index(item)}"

    def _dialog(self, dialog: Node) -> None:
        key = self._keys[id(dialog)]
        items = _items(dialog)
        if self._items:
            for item in items:
                label = f"{item.name} {item.get('name') or f'line {item.line}'}"
                vertex = Vertex(self._item_key(dialog, item), "item", label, item.line, key)
                self._graph.add(vertex)
            for before, after in pairwise(items):
                source, target = self._item_key(dialog, before), self._item_key(dialog, after)
                if not _leaves(before):
                    self._graph.connect(Arrow(source, target))
        for node in dialog.nodes():
            source = key
            if self._items and node in items:
                source = self._item_key(dialog, node)
            elif self._items and items and _leads(node):
                source = self._graph.add(
                    Vertex(f"{key} anywhere", "anywhere", "from anywhere in it", group=key)
                )
            self._element(node, _Context(source, dialog))
        if not any(map(_leaves, dialog.nodes())):
            last = self._item_key(dialog, items[-1]) if self._items and items else key
            self._graph.connect(Arrow(last, self._end("end")))

    # --- What leads somewhere

    def _element(self, node: Node, context: _Context) -> None:
        """One element and all below it."""
        if (lead := lead_of(node)) is not None:
            self._lead(lead, context)
        if node.name in HANDLERS:
            context = replace(context, event=_caught(node))
        if node.name == "if":
            for cond, pieces in branches(node):
                inner = replace(context, cond="else" if cond is None else f"if {cond}")
                for piece in pieces:
                    if isinstance(piece, Node):
                        self._element(piece, inner)
            return
        for child in node.nodes():
            if child.name != "grammar":
                self._element(child, context)

    def _lead(self, lead: Lead, context: _Context) -> None:
        match lead.kind:
            case "item":
                self._to_item(lead, context)
            case "exit":
                self._arrow(context, self._end("exit"), lead)
            case "disconnect":
                self._arrow(context, self._end("hang up"), lead)
            case "return":
                self._arrow(context, self._end("return"), lead, what=" ".join(lead.texts))
            case "transfer":
                for text in lead.texts:
                    number = self._graph.add(Vertex(f"number {text}", "number", text))
                    self._arrow(context, number, lead)
                self._computed(lead, context)
            case _ if lead.is_event:
                for text in lead.texts:
                    self._arrow(context, self._event(text, context), lead)
                self._computed(lead, context)
            case _:
                for text in lead.texts:
                    target, fragment = self._address(text)
                    self._arrow(context, target, lead, what=fragment)
                self._computed(lead, context)

    def _to_item(self, lead: Lead, context: _Context) -> None:
        if not self._items or context.dialog is None:
            return
        for item in _items(context.dialog):
            if item.get("name") in lead.texts:
                self._arrow(context, self._item_key(context.dialog, item), lead)
        self._computed(lead, context)

    def _computed(self, lead: Lead, context: _Context) -> None:
        if lead.computed is not None:
            source = _short(lead.computed)
            target = self._graph.add(Vertex(f"computed {source}", "computed", source))
            self._arrow(context, target, lead, what="computed", dashed=True)

    def _address(self, text: str) -> tuple[str, str]:
        """The vertex of an address, and what is to be said of it at the arrow."""
        address = self._subject.address(text)
        if address.own:
            if address.fragment is None and self._subject.dialogs:
                return self._entry(self._subject.dialogs[0]), ""
            dialog = self._subject.ids.get(address.fragment or "")
            if dialog is not None:
                return self._entry(dialog), ""
            missing = Vertex(f"missing {address.fragment}", "document", f"{text} (missing)")
            return self._graph.add(missing), ""
        written, _, fragment = text.partition("#")
        key = self._graph.add(Vertex(f"document {written}", "document", written))
        return key, f"#{fragment}" if fragment else ""

    def _end(self, name: str) -> str:
        return self._graph.add(Vertex(f"end {name}", "end", name))

    def _event(self, event: str, context: _Context) -> str:
        """The vertex of a thrown event, with arrows to where its handlers lead."""
        where = "" if context.dialog is None else self._keys[id(context.dialog)]
        key = f"event {event} {where}"
        if key in self._graph.vertices:
            return key
        handlers = [node for node in self._handlers(context.dialog) if takes(node, event)]
        label = event if handlers else f"{event} (not caught)"
        self._graph.add(Vertex(key, "event", label))
        for handler in handlers:
            inner = _Context(key, context.dialog)
            for child in handler.nodes():
                self._element(child, inner)
        return key

    def _handlers(self, dialog: Node | None) -> Iterator[Node]:
        if dialog is not None:
            yield from (node for node in walk(dialog) if node.name in HANDLERS)
        yield from (node for node in self._subject.root.nodes() if node.name in HANDLERS)

    def _arrow(
        self, context: _Context, target: str, lead: Lead, *, what: str = "", dashed: bool = False
    ) -> None:
        parts = (context.event, context.cond, _told(lead.node), what)
        label = _short(", ".join(part for part in parts if part))
        self._graph.connect(
            Arrow(context.source, target, label, dashed or lead.kind == "subdialog")
        )


def _items(dialog: Node) -> list[Node]:
    return [node for node in dialog.nodes() if node.name in FORM_ITEMS]


def _leads(node: Node) -> bool:
    """Whether an element, or one below it, leads anywhere."""
    return any(lead_of(each) is not None for each in (node, *walk(node)))


def _leaves(node: Node) -> bool:
    """Whether something in an element leads out of its dialog, other than on an event."""
    lead = lead_of(node)
    if lead is not None and lead.kind not in ("transfer", "subdialog", "item", "link"):
        return True
    inner = [child for child in node.nodes() if child.name not in HANDLERS | {"grammar"}]
    return any(map(_leaves, inner)) and node.name not in HANDLERS


def _caught(handler: Node) -> str:
    """What a handler is for: ``on noinput nomatch, 3 times``."""
    events = handler.get("event", "") if handler.name == "catch" else handler.name
    count = handler.get("count", "1")
    told = f"on {events}" if events.strip() else "on any event"
    return told if count == "1" else f"{told}, {count} times"


def _told(node: Node) -> str:
    """What a choice, a link, a transfer or a submission says about itself."""
    match node.name:
        case "choice" | "link":
            texts = [piece for piece in node.pieces if isinstance(piece, str)]
            text = " ".join("".join(texts).split())
            keys = node.get("dtmf") or ""
            return ": ".join(part for part in (keys, text) if part) or node.name
        case "submit":
            return f"submit {node.get('namelist', '')}".strip()
        case "subdialog" | "transfer":
            return f"{node.name} {node.get('name', '')}".strip()
        case "vm:transfer":
            return "transfer"
        case _:
            return ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LABEL_CHARS_MAX else text[: LABEL_CHARS_MAX - 1] + "…"


# --- As DOT

_DOT_STYLES: Final[dict[VertexKind, str]] = {
    "start": 'shape=circle, style=filled, fillcolor="#222222", fontcolor=white',
    "form": 'shape=box, style="rounded,filled", fillcolor="#e3f0fb"',
    "menu": 'shape=hexagon, style=filled, fillcolor="#fdf0d5"',
    "item": 'shape=box, style="rounded,filled", fillcolor=white',
    "anywhere": 'shape=box, style="dashed,rounded"',
    "document": 'shape=note, style=filled, fillcolor="#eeeeee"',
    "number": 'shape=cds, style=filled, fillcolor="#e4f5e3"',
    "event": 'shape=parallelogram, style=filled, fillcolor="#fbe3e3"',
    "computed": "shape=box, style=dashed",
    "end": 'shape=oval, peripheries=2, style=filled, fillcolor="#eeeeee"',
}


def write_dot(graph: Graph) -> str:
    """The graph for Graphviz."""
    lines = [
        "digraph flow {",
        f"  label={_dot_text(graph.title)}; labelloc=t; fontname=Helvetica;",
        '  node [fontname=Helvetica, fontsize=11, margin="0.15,0.08"];',
        "  edge [fontname=Helvetica, fontsize=9];",
    ]
    groups = _grouped(graph)
    for vertex in graph.vertices.values():
        if vertex.key in groups:
            lines.append(f"  subgraph {_dot_text(f'cluster {vertex.key}')} {{")
            lines.append(f'    label={_dot_text(vertex.label)}; style=rounded; color="#88aacc";')
            lines += [f"    {_dot_vertex(item)}" for item in groups[vertex.key]]
            lines.append("  }")
        elif vertex.group is None:
            lines.append(f"  {_dot_vertex(vertex)}")
    for arrow in graph.arrows:
        attributes = [f"label={_dot_text(arrow.label)}"] if arrow.label else []
        attributes += ["style=dashed"] if arrow.dashed else []
        told = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"  {_dot_text(arrow.source)} -> {_dot_text(arrow.target)}{told};")
    return "\n".join([*lines, "}", ""])


def _dot_vertex(vertex: Vertex) -> str:
    tooltip = f"line {vertex.line}" if vertex.line else vertex.label
    return (
        f"{_dot_text(vertex.key)} [label={_dot_text(vertex.label)},"
        f" tooltip={_dot_text(tooltip)}, {_DOT_STYLES[vertex.kind]}];"
    )


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _grouped(graph: Graph) -> dict[str, list[Vertex]]:
    """The form items of each dialog that is drawn as the frame around them."""
    groups: dict[str, list[Vertex]] = {}
    for vertex in graph.vertices.values():
        if vertex.group is not None:
            groups.setdefault(vertex.group, []).append(vertex)
    return groups


# --- As Mermaid

_MERMAID_SHAPES: Final[dict[VertexKind, tuple[str, str]]] = {
    "start": ("((", "))"),
    "form": ("(", ")"),
    "menu": ("{{", "}}"),
    "item": ("[", "]"),
    "anywhere": ("[", "]"),
    "document": ("[[", "]]"),
    "number": ("[/", "/]"),
    "event": (">", "]"),
    "computed": ("[", "]"),
    "end": ("([", "])"),
}


def write_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    names = {key: f"n{number}" for number, key in enumerate(graph.vertices)}
    groups = _grouped(graph)
    lines = ["---", f"title: {_mermaid_title(graph.title)}", "---", "flowchart TD"]
    for vertex in graph.vertices.values():
        if vertex.key in groups:
            lines.append(f"  subgraph {names[vertex.key]} [{_mermaid_text(vertex.label)}]")
            lines += [f"    {_mermaid_vertex(names, item)}" for item in groups[vertex.key]]
            lines.append("  end")
        elif vertex.group is None:
            lines.append(f"  {_mermaid_vertex(names, vertex)}")
    for arrow in graph.arrows:
        line = "-.->" if arrow.dashed else "-->"
        label = f"|{_mermaid_text(arrow.label)}|" if arrow.label else ""
        lines.append(f"  {names[arrow.source]} {line}{label} {names[arrow.target]}")
    return "\n".join([*lines, ""])


def _mermaid_vertex(names: dict[str, str], vertex: Vertex) -> str:
    before, after = _MERMAID_SHAPES[vertex.kind]
    return f"{names[vertex.key]}{before}{_mermaid_text(vertex.label)}{after}"


def _mermaid_text(text: str) -> str:
    """Quoted, with what has a meaning in Mermaid or HTML as character codes."""
    return '"' + "".join(f"#{ord(c)};" if c in '"#&<>`\\|' else c for c in text) + '"'


def _mermaid_title(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
