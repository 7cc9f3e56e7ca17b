"""``<data>`` (VoiceXML 2.1 5): an XML document as a read-only DOM, or a JSON value."""

from __future__ import annotations

import json
from typing import Any, cast

from lxml import etree

from vxml_engine import document as d
from vxml_engine.errors import DocumentError, ThrownEvent
from vxml_engine.interpreter import Interpreter, Run
from vxml_engine.parser import parse_tree
from vxml_engine.vocabulary import XML_NAMESPACE


def load_data(interpreter: Interpreter, element: d.Data) -> Run[None]:
    """Fetch the data and declare its variable in the innermost scope.

    Throws ``error.badfetch`` when it is neither well-formed XML nor, by its media type, JSON.
    """
    address = interpreter.choose(element.src, element.srcexpr, "the data's address")
    fetched = yield from interpreter.fetch(
        interpreter.place.document.resolve(address),
        "data",
        element.fetch,
        element.method,
        interpreter.fields(element.namelist),
        element.enctype,
    )
    if element.name is None:
        return
    if _is_json(fetched.content_type):
        try:
            value = json.loads(fetched.body)
        except (ValueError, RecursionError) as error:
            raise ThrownEvent("error.badfetch", f"{fetched.url} is no JSON: {error}") from None
        interpreter.ecmascript.declare_data(element.name, value, is_xml=False)
        return
    try:
        root = parse_tree(fetched.body, fetched.url, notes=True)
    except DocumentError as error:
        raise ThrownEvent("error.badfetch", str(error)) from None
    interpreter.ecmascript.declare_data(element.name, _document_node(root), is_xml=True)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


# --- Nodes, as dom.js takes them: [type, name, namespace, value, attributes, children]

_Node = list[Any]


def _document_node(root: etree._Element) -> _Node:
    before = [_node(note) for note in reversed(list(root.itersiblings(preceding=True)))]
    after = [_node(note) for note in root.itersiblings()]
    return [9, "#document", None, None, [], [*before, _node(root), *after]]


def _node(node: etree._Element) -> _Node:
    kind = cast(Any, node.tag)  # the stubs know names only
    if kind is etree.Comment:
        return [8, "#comment", None, node.text or "", [], []]
    if kind is etree.ProcessingInstruction:
        target = cast(etree._ProcessingInstruction, node).target
        return [7, target, None, node.text or "", [], []]
    name = etree.QName(node)
    prefix = f"{node.prefix}:" if node.prefix else ""
    children = [_text(node.text)] if node.text else []
    for child in node:
        children.append(_node(child))
        if child.tail:
            children.append(_text(child.tail))
    attributes = [_attribute(node, str(key), str(value)) for key, value in node.attrib.items()]
    return [1, prefix + name.localname, name.namespace, None, attributes, children]


def _text(text: str) -> _Node:
    return [3, "#text", None, text, [], []]


def _attribute(node: etree._Element, key: str, value: str) -> _Node:
    namespace, _, local = key.rpartition("}")
    if not namespace:
        return [key, None, value]
    namespace = namespace.removeprefix("{")
    prefixes = {uri: prefix for prefix, uri in node.nsmap.items() if prefix}
    prefix = {XML_NAMESPACE: "xml", **prefixes}[namespace]
    return [f"{prefix}:{local}", namespace, value]
