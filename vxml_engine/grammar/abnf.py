"""SRGS 1.0, augmented BNF form: a text becomes the tree of the XML form, which is then compiled.

Both forms say the same (SRGS 1.0 1.3), so what is said about a grammar is said in one place.
"""

import re
from typing import Final

from lxml import etree

from vxml_engine.errors import GrammarError
from vxml_engine.limits import GRAMMAR_BYTES_MAX, GRAMMAR_PARENTHESES_MAX
from vxml_engine.tree import set_source_line
from vxml_engine.vocabulary import XML_NAMESPACE

_HEADER: Final = re.compile(r"\s*#ABNF\s+(?P<version>\d+\.\d+)(?:\s+[^\s;]+)?\s*;")
_LEXEME: Final = re.compile(
    r"""(?P<space>\s+|/\*.*?\*/|//[^\r\n]*)
    |(?P<tag>\{!\{(?P<long_tag>.*?)\}!\}|\{(?P<short_tag>[^}]*)\})
    |(?P<quoted>"(?P<in_double>[^"]*)"|'(?P<in_single>[^']*)')
    |(?P<weight>/\s*(?:\d+\.?\d*|\.\d+)\s*/)
    |(?P<repeat><\s*\d+\s*(?:-\s*\d*\s*)?(?:/\s*[\d.]+\s*/)?\s*>)
    |(?P<external>\$<[^>\s]*>)
    |(?P<address><[^>\s]*>)
    |(?P<type>~<[^>\s]*>)
    |(?P<rule>\$[^\s;=|()\[\]<>{}/!"'$*+,]+)
    |(?P<language>![A-Za-z][\w-]*)
    |(?P<sign>[;=|()\[\]])
    |(?P<word>[^\s;=|()\[\]<>{}/!"$*+,]+|[*+,])""",
    re.VERBOSE | re.DOTALL,
)
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL: Final = frozenset({"$NULL", "$VOID", "$GARBAGE"})


def is_abnf(text: str) -> bool:
    """Whether a text says of itself that it is a grammar in this form."""
    return text.lstrip("\ufeff \t\r\n").startswith("#ABNF")


def parse_abnf(text: str, line: int = 1) -> etree._Element:
    """The ``<grammar>`` that ``text`` says; ``line`` is where it begins.

    Raises ``GrammarError`` where it does not follow SRGS 1.0 appendix D.
    """
    if len(text) > GRAMMAR_BYTES_MAX:
        raise GrammarError(
            f"{len(text)} characters, at most {GRAMMAR_BYTES_MAX} are taken (GRAMMAR_BYTES_MAX)"
        )
    return _Parser(text, line).parse()


class _Parser:
    """Reads one grammar, lexeme by lexeme."""

    def __init__(self, text: str, line: int) -> None:
        self._text = text.removeprefix("\ufeff")
        self._line = line
        self._counted = 0
        self._at = 0
        self._depth = 0
        self._mode = "voice"
        self._kind = "end"
        self._match: re.Match[str] | None = None

    # Lexemes

    def _next(self) -> None:
        """Go to the next lexeme: ``_kind`` and ``_match``; ``end`` behind the last."""
        while True:
            if self._match is not None:
                self._at = self._match.end()
                self._match = None
            if self._at >= len(self._text):
                self._kind = "end"
                return
            self._match = _LEXEME.match(self._text, self._at)
            if self._match is None:
                raise self._error(f"'{self._text[self._at]}' cannot stand here")
            self._kind = self._match.lastgroup or ""
            if self._kind != "space":
                return

    @property
    def _lexeme(self) -> str:
        return self._match[0] if self._match is not None else ""

    def _is(self, sign: str) -> bool:
        return self._kind in ("sign", "word") and self._lexeme == sign

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            found = f"'{self._lexeme}'" if self._lexeme else "the end"
            raise self._error(f"expected '{sign}', found {found}")
        self._next()

    def _count_lines(self) -> int:
        """The line of the lexeme."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _error(self, message: str) -> GrammarError:
        line = self._count_lines()
        return GrammarError(f"ABNF, line {line}: {message}", line)

    def _element(self, parent: etree._Element, tag: str, /, **attributes: str) -> etree._Element:
        element = etree.SubElement(parent, tag, attributes)
        set_source_line(element, min(self._count_lines(), 65_535))
        return element

    def _take(self) -> str:
        """The lexeme; goes to the next one."""
        text = self._lexeme
        self._next()
        return text

    def _text_of_quote(self) -> str:
        assert self._match is not None
        if self._kind != "quoted":
            raise self._error("expected a text in quotation marks")
        text = self._match["in_double"]
        text = self._match["in_single"] if text is None else text
        self._next()
        return text

    # The grammar

    def parse(self) -> etree._Element:
        if (strange := _NOT_IN_XML.search(self._text)) is not None:
            self._at = strange.start()
            raise self._error(f"the character U+{ord(strange[0]):04X} cannot stand in a grammar")
        header = _HEADER.match(self._text)
        if header is None:
            raise self._error("the grammar does not begin with '#ABNF 1.0;'")
        grammar = etree.Element("grammar", {"version": header["version"]})
        self._at = header.end()
        self._next()
        while self._kind == "tag" or (
            self._kind == "word" and self._lexeme not in ("public", "private")
        ):
            if self._kind == "tag":
                self._tag(grammar)
                self._expect(";")
            else:
                self._declaration(grammar)
        self._mode = grammar.get("mode", "voice")
        while self._kind != "end":
            self._rule(grammar)
        return grammar

    def _declaration(self, grammar: etree._Element) -> None:
        """One of the declarations before the rules (SRGS 1.0 4)."""
        match self._take():
            case "language":
                self._declare(grammar, f"{{{XML_NAMESPACE}}}lang", self._word("a language"))
            case "mode":
                self._declare(grammar, "mode", self._word("voice or dtmf"))
            case "root":
                if self._kind != "rule":
                    raise self._error("root needs the name of a rule")
                self._declare(grammar, "root", self._take()[1:])
            case "tag-format":
                self._declare(grammar, "tag-format", self._address())
            case "base":
                self._declare(grammar, f"{{{XML_NAMESPACE}}}base", self._address())
            case "lexicon":
                self._element(grammar, "lexicon", uri=self._address())
                self._media_type()
            case "meta" | "http-equiv" as kind:
                name = self._text_of_quote()
                self._expect("is")
                key = "name" if kind == "meta" else "http-equiv"
                self._element(grammar, "meta", **{key: name, "content": self._text_of_quote()})
            case other:
                raise self._error(f"'{other}' is no declaration")
        self._expect(";")

    def _declare(self, grammar: etree._Element, key: str, value: str) -> None:
        if key in grammar.attrib:
            raise self._error(f"{etree.QName(key).localname} is declared twice")
        grammar.set(key, value)

    def _word(self, expected: str) -> str:
        if self._kind != "word":
            raise self._error(f"expected {expected}, found '{self._lexeme}'")
        return self._take()

    def _address(self) -> str:
        if self._kind != "address":
            raise self._error("expected an address in < and >")
        return self._take()[1:-1]

    def _rule(self, grammar: etree._Element) -> None:
        scope = "private"
        if self._kind == "word" and self._lexeme in ("public", "private"):
            scope = self._take()
        if self._kind != "rule":
            raise self._error(f"expected a rule, found '{self._lexeme}'")
        if self._lexeme in _SPECIAL:
            raise self._error(f"{self._lexeme} cannot be defined")
        rule = self._element(grammar, "rule", id=self._take()[1:], scope=scope)
        self._expect("=")
        self._alternatives(rule)
        self._expect(";")

    def _alternatives(self, parent: etree._Element) -> None:
        """``a | b``: without a bar, a sequence stands in ``parent`` itself."""
        self._depth += 1
        if self._depth > GRAMMAR_PARENTHESES_MAX:
            raise self._error(
                f"parentheses nest deeper than {GRAMMAR_PARENTHESES_MAX} (GRAMMAR_PARENTHESES_MAX)"
            )
        first = self._alternative(parent)
        if self._is("|") or first.attrib:
            one_of = self._element(parent, "one-of")
            one_of.append(first)
            while self._is("|"):
                self._next()
                self._alternative(one_of)
        self._depth -= 1

    def _alternative(self, parent: etree._Element) -> etree._Element:
        item = self._element(parent, "item")
        if self._kind == "weight":
            item.set("weight", self._take().strip("/ \t\r\n"))
        self._sequence(item)
        return item

    def _sequence(self, parent: etree._Element) -> None:
        if self._kind == "end" or (self._kind == "sign" and self._lexeme in "|)];="):
            raise self._error("nothing stands where something is to be said; use $NULL")
        while self._kind != "end" and not (self._kind == "sign" and self._lexeme in "|)];="):
            self._unit(parent)

    def _unit(self, parent: etree._Element) -> None:
        """One expansion with its language and its repeat."""
        self._expansion(parent)
        if self._kind in ("language", "repeat"):
            item = self._element(parent, "item")
            if (expansion := item.getprevious()) is not None:
                item.append(expansion)
            self._suffixes(item)

    def _expansion(self, parent: etree._Element) -> None:
        match self._kind:
            case "tag":
                self._tag(parent)
            case "word":
                self._check_reserved()
                self._element(parent, "token").text = self._take()
            case "quoted":
                self._element(parent, "token").text = self._text_of_quote()
            case "rule":
                name = self._take()
                if name in _SPECIAL:
                    self._element(parent, "ruleref", special=name[1:])
                else:
                    self._element(parent, "ruleref", uri=f"#{name[1:]}")
            case "external":
                self._element(parent, "ruleref", uri=self._take()[2:-1])
                self._media_type()
            case "sign" if self._lexeme in "([":
                self._group(parent)
            case _:
                raise self._error(f"'{self._lexeme}' cannot stand here")

    def _suffixes(self, item: etree._Element) -> None:
        if self._kind == "language":
            item.set(f"{{{XML_NAMESPACE}}}lang", self._take()[1:])
        if self._kind == "repeat":
            self._repeat(item)

    def _check_reserved(self) -> None:
        """Signs of other grammar languages; ``*`` is a key, too (SRGS 1.0 2.5)."""
        if self._lexeme == "+" or (self._lexeme == "*" and self._mode != "dtmf"):
            instead = "<1->" if self._lexeme == "+" else "<0->"
            raise self._error(f"'{self._lexeme}' is reserved; a repeat is written {instead}")

    def _media_type(self) -> None:
        """What may follow an address: of what type the document there is."""
        if self._kind == "type":
            self._next()

    def _group(self, parent: etree._Element) -> None:
        optional = self._is("[")
        item = self._element(parent, "item")
        self._next()
        if self._is(")") and not optional:
            self._next()
            return  # an empty group is NULL
        self._alternatives(item)
        if optional:
            item.set("repeat", "0-1")
        self._expect("]" if optional else ")")

    def _repeat(self, item: etree._Element) -> None:
        written = "".join(self._take()[1:-1].split())
        times, _, probability = written.partition("/")
        item.set("repeat", times)
        if probability:
            item.set("repeat-prob", probability.rstrip("/"))
        if self._kind == "repeat":
            raise self._error("a repeat is repeated: put parentheses around the inner one")

    def _tag(self, parent: etree._Element) -> None:
        assert self._match is not None
        text = self._match["long_tag"]
        text = self._match["short_tag"] if text is None else text
        self._next()
        self._element(parent, "tag").text = text
