"""Compiled documents and grammars, kept by their content and shared by all sessions."""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256

from lxml import etree

from vxml_engine.document import Document
from vxml_engine.errors import DocumentError, GrammarError
from vxml_engine.grammar.abnf import is_abnf, parse_abnf
from vxml_engine.grammar.network import Network
from vxml_engine.grammar.srgs_xml import compile_srgs
from vxml_engine.limits import (
    DOCUMENTS_CACHED_BYTES_MAX,
    DOCUMENTS_CACHED_MAX,
    GRAMMAR_BYTES_MAX,
    GRAMMARS_CACHED_MAX,
)
from vxml_engine.parser import Prepare, load_document, parse_xml
from vxml_engine.tree import local_name, source_line


class DocumentCache:
    """Compiles what it has not seen; forgets what was not used for longest.

    ``prepare`` changes a document's tree before it is compiled.  The same bytes give the same
    document whatever their address.
    """

    def __init__(self, prepare: Prepare | None = None) -> None:
        self._prepare = prepare
        self._documents: OrderedDict[bytes, tuple[Document, int]] = OrderedDict()
        self._grammars: OrderedDict[bytes, Network] = OrderedDict()
        self._document_bytes = 0

    def __len__(self) -> int:
        return len(self._documents)

    def get(self, body: bytes, url: str) -> Document:
        """The compiled document; raises ``DocumentError``."""
        key = sha256(body).digest()
        if (found := self._documents.get(key)) is not None:
            self._documents.move_to_end(key)
            return found[0]
        document = load_document(body, url, self._prepare)
        self._documents[key] = (document, len(body))
        self._document_bytes += len(body)
        while (
            len(self._documents) > DOCUMENTS_CACHED_MAX
            or self._document_bytes > DOCUMENTS_CACHED_BYTES_MAX
        ):
            _, (_, size) = self._documents.popitem(last=False)
            self._document_bytes -= size
        return document

    def get_grammar(self, body: bytes, url: str) -> Network:
        """The compiled grammar, in XML or ABNF; its references are still to be linked.

        Raises ``GrammarError`` when it is none.
        """
        key = sha256(body).digest()
        if (found := self._grammars.get(key)) is not None:
            self._grammars.move_to_end(key)
            return found
        network = _compile_grammar(body, url)
        self._grammars[key] = network
        if len(self._grammars) > GRAMMARS_CACHED_MAX:
            self._grammars.popitem(last=False)
        return network


def _compile_grammar(body: bytes, url: str) -> Network:
    if len(body) > GRAMMAR_BYTES_MAX:
        raise GrammarError(
            f"{url} has {len(body)} bytes, at most {GRAMMAR_BYTES_MAX} are taken"
            " (GRAMMAR_BYTES_MAX)"
        )
    if (text := _abnf_text(body)) is not None:
        return compile_srgs(parse_abnf(text))
    try:
        root: etree._Element = parse_xml(body, url)
    except DocumentError as error:
        raise GrammarError(str(error)) from error
    if local_name(root) != "grammar":
        raise GrammarError(f"{url} is <{local_name(root)}>, not <grammar>", source_line(root))
    return compile_srgs(root)


def _abnf_text(body: bytes) -> str | None:
    """The text of a grammar in ABNF, in the encoding its first line tells; None for others."""
    start = body[:200].decode(
        "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace"
    )
    if not is_abnf(start.removeprefix("\u00ef\u00bb\u00bf")):
        return None
    told = re.match(r"\S+\s+[\d.]+\s+([\w-]+)", start.lstrip("\ufeff\u00ef\u00bb\u00bf \t\r\n"))
    try:
        return body.decode(told[1] if told else "utf-8-sig").removeprefix("\ufeff")
    except (LookupError, UnicodeError) as error:
        raise GrammarError(f"the grammar's encoding: {error}") from None
