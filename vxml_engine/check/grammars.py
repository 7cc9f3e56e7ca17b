"""Grammars: those of a document, and files of their own (SRGS 1.0, SISR 1.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urldefrag, urljoin

from lxml import etree

from vxml_engine.check.subject import Findings, Subject, Surroundings, walk
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import DocumentError, GrammarError
from vxml_engine.grammar.abnf import is_abnf, parse_abnf
from vxml_engine.grammar.builtin import builtin
from vxml_engine.grammar.network import KEYS, Mode, Network
from vxml_engine.grammar.srgs_xml import compile_srgs
from vxml_engine.limits import GRAMMAR_BYTES_MAX
from vxml_engine.parser import Places, parse_with_places
from vxml_engine.problems import Problem
from vxml_engine.reading import Node
from vxml_engine.tree import local_name, source_line
from vxml_engine.vocabulary import XML_NAMESPACE

_SCRIPTS: Final = frozenset({"semantics/1.0", ""})


@dataclass(frozen=True, slots=True)
class GrammarFile:
    """A file that was read: its network, or what is wrong with it."""

    network: Network | None
    fault: str = ""
    line: int = 0


@lru_cache(maxsize=64)
def read_grammar(body: bytes, url: str) -> GrammarFile:
    """Compile a grammar in either form."""
    try:
        return GrammarFile(compile_srgs(_tree(body, url)))
    except GrammarError as error:
        return GrammarFile(None, str(error), error.line)
    except DocumentError as error:
        first = error.problems[0]
        return GrammarFile(None, first.message, first.line)


def _tree(body: bytes, url: str) -> etree._Element:
    if len(body) > GRAMMAR_BYTES_MAX:
        raise GrammarError(f"the grammar has {len(body)} bytes, over GRAMMAR_BYTES_MAX")
    wide = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = body.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    if is_abnf(text):
        return parse_abnf(text)
    root = parse_with_places(body, url)[0]
    if local_name(root) != "grammar":
        raise GrammarError(f"the file is <{local_name(root)}>, not <grammar>", source_line(root))
    return root


# --- References


@dataclass(frozen=True, slots=True)
class _Reference:
    """Something that refers to a grammar, with the mode it must be of, if that is told."""

    element: etree._Element
    address: str
    mode: Mode | None


def check_grammars(subject: Subject, ecmascript: Ecmascript) -> None:
    """Report grammars that are wrong, or not those that are meant."""
    for node in walk(subject.root):
        if node.name == "grammar" and subject.is_written(node):
            if node.get("src") is not None:
                _check_address(subject, node, node.get("src", ""))
            elif node.get("srcexpr") is None:
                _check_inline(subject, node, ecmascript)


def _check_address(subject: Subject, node: Node, src: str) -> None:
    url = subject.address(src, node.get("xml:base") or "").url + _fragment(src)
    written = node.get("mode")
    mode: Mode | None = "dtmf" if written == "dtmf" else "voice" if written == "voice" else None
    reference = _Reference(node.element, src, mode)
    _check_reference(subject.found, subject.surroundings, url, reference)


def _check_inline(subject: Subject, node: Node, ecmascript: Ecmascript) -> None:
    text = "".join(piece for piece in node.pieces if isinstance(piece, str))
    tree = parse_abnf(text, node.line) if is_abnf(text) else node.element
    mode: Mode = "dtmf" if tree.get("mode") == "dtmf" else "voice"
    for element in tree.iter(etree.Element):
        uri = element.get("uri")
        if local_name(element) == "ruleref" and uri and not uri.startswith("#"):
            url = subject.address(uri, node.get("xml:base") or "").url + _fragment(uri)
            reference = _Reference(element, uri, mode)
            _check_reference(subject.found, subject.surroundings, url, reference)
    _check_mode(subject.found, tree, mode)
    _check_tags(subject.found, tree, ecmascript)


def _fragment(address: str) -> str:
    fragment = urldefrag(address)[1]
    return f"#{fragment}" if fragment else ""


def _check_reference(
    found: Findings, surroundings: Surroundings, whole: str, reference: _Reference
) -> None:
    """Look at a grammar that is referred to, where it can be looked at."""
    url, rule = urldefrag(whole)
    if url.startswith("builtin:"):
        _check_builtin(found, url, reference)
        return
    folder = surroundings.folder
    if folder is None or not url.startswith("file:") or reference.address.startswith("/"):
        return
    if "?" in reference.address:
        return
    body = folder.read(url)
    if body is None:
        message = f"there is no file '{reference.address}'"
        found.add("missing-file", reference.element, message)
        return
    grammar = read_grammar(body, url)
    if grammar.network is None:
        where = f":{grammar.line}" if grammar.line else ""
        message = f"{urldefrag(reference.address)[0]}{where}: {grammar.fault}"
        found.add("grammar-file", reference.element, message)
        return
    try:
        grammar.network.starting(rule or None)
    except GrammarError as error:
        found.add("grammar-rule", reference.element, f"{reference.address}: {error}")
    if reference.mode is not None and grammar.network.mode != reference.mode:
        message = f"{reference.address} is for {grammar.network.mode}, not for {reference.mode}"
        found.add("grammar-mode", reference.element, message)


def _check_builtin(found: Findings, url: str, reference: _Reference) -> None:
    kind, _, name = url.removeprefix("builtin:").partition("/")
    if local_name(reference.element) == "grammar":
        return  # the document's reader has looked at it
    try:
        builtin(name, "dtmf" if kind == "dtmf" else "voice")
    except GrammarError as error:
        found.add("grammar-rule", reference.element, str(error))


def _is_of_keys(grammar: etree._Element) -> bool:
    """Whether all that a grammar in XML says are single keys."""
    tokens = [token for rule in grammar for text in _texts(rule) for token in text.split()]
    return bool(tokens) and all(len(token) == 1 and token in KEYS for token in tokens)


def _texts(element: etree._Element) -> Iterator[str]:
    if not isinstance(element.tag, str) or local_name(element) in ("tag", "example", "meta"):
        return
    if element.text:
        yield element.text
    for child in element:
        yield from _texts(child)
        if child.tail:
            yield child.tail


# --- Files


def check_grammar(body: bytes, url: str, surroundings: Surroundings | None = None) -> list[Problem]:
    """Every problem of a grammar in a file of its own, in XML or ABNF, by line."""
    surroundings = surroundings or Surroundings()
    grammar = read_grammar(body, url)
    if grammar.network is None:
        kind = "limit" if "_MAX" in grammar.fault else "grammar"
        return [Problem(grammar.line or 1, 1, kind, "error", grammar.fault)]
    root = _tree(body, url)
    places = Places(body, root)
    found = Findings(places)
    mode = grammar.network.mode
    base = urljoin(url, root.get(f"{{{XML_NAMESPACE}}}base") or "")
    for element in root.iter(etree.Element):
        uri = element.get("uri")
        if local_name(element) == "ruleref" and uri and not uri.startswith("#"):
            reference = _Reference(element, uri, mode)
            _check_reference(found, surroundings, urljoin(base, uri), reference)
    _check_rules(found, root)
    _check_mode(found, root, mode)
    ecmascript = Ecmascript()
    try:
        _check_tags(found, root, ecmascript)
    finally:
        ecmascript.close()
    return sorted(set(found.problems))


def _check_rules(found: Findings, root: etree._Element) -> None:
    used = {root.get("root")}
    for element in root.iter(etree.Element):
        uri = element.get("uri") or ""
        if local_name(element) == "ruleref" and uri.startswith("#"):
            used.add(uri[1:])
    for element in root.iterchildren(etree.Element):
        name = element.get("id")
        private = element.get("scope", "private") == "private"
        if local_name(element) == "rule" and private and name not in used:
            found.add("unused-rule", element, f"nothing refers to the rule '{name}'")


def _check_mode(found: Findings, grammar: etree._Element, mode: Mode) -> None:
    if mode == "voice" and _is_of_keys(grammar):
        message = 'this grammar has nothing but keys and is for speech; write mode="dtmf"'
        found.add("grammar-keys", grammar, message)


def _check_tags(found: Findings, grammar: etree._Element, ecmascript: Ecmascript) -> None:
    """Look at the syntax of tags that are ECMAScript (SISR 1.0 5)."""
    if (grammar.get("tag-format") or "").strip() not in _SCRIPTS:
        return
    for tag in grammar.iter(etree.Element):
        if local_name(tag) == "tag" and tag.text:
            fault = ecmascript.syntax_error(tag.text, program=True)
            if fault is not None:
                found.add("grammar-tag", tag, f"{fault}: {tag.text}")
