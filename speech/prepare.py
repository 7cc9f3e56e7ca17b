"""From the inside of ``<speak>`` to the document an engine is given."""

from __future__ import annotations

from lxml import etree

from speech import limits
from speech.errors import MarkupError, TextTooLong
from speech.say_as import to_words

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_OPEN = "<speak>"


def prepare(ssml: str, language: str) -> str:
    """A whole SSML document in ``language`` with every say-as expanded to words.

    ``ssml`` is what stands inside ``<speak>`` (SSML 1.0 3.1). Raises TextTooLong and
    MarkupError, whose line and column count within ``ssml``.
    """
    size = len(ssml.encode())
    if size > limits.SSML_BYTES_MAX:
        raise TextTooLong(size, "SSML_BYTES_MAX", limits.SSML_BYTES_MAX)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(f"{_OPEN}{ssml}</speak>", parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        column -= len(_OPEN) if line == 1 else 0
        reason = error.msg.rpartition(", line ")[0]  # libxml2 puts its own place behind
        raise MarkupError(reason, line, max(1, column)) from error
    root.set(XML_LANG, language)
    for element in list(root.iter("say-as", "{*}say-as")):
        _replace(element, language)
    document = etree.tostring(root, encoding="unicode")
    size = len(document.encode())
    if size > limits.WORDS_BYTES_MAX:
        raise TextTooLong(size, "WORDS_BYTES_MAX", limits.WORDS_BYTES_MAX)
    return document


def _replace(element: etree._Element, language: str) -> None:
    """Put the words of one say-as in its place, where its kind is known."""
    spoken_in = next(
        (tag for owner in (element, *element.iterancestors()) if (tag := owner.get(XML_LANG))),
        language,
    )
    words = to_words(
        "".join(str(piece) for piece in element.itertext()),
        element.get("interpret-as") or "",
        element.get("format") or "",
        spoken_in,
    )
    if words is None:
        return  # the engine knows it (characters), or speaks its text as it stands
    parent = element.getparent()
    assert parent is not None
    if element.get(XML_LANG):
        speaker = etree.Element("voice", {XML_LANG: spoken_in})
        speaker.text = words
        speaker.tail = element.tail
        parent.replace(element, speaker)
        return
    text = words + (element.tail or "")
    before = element.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + text
    else:
        parent.text = (parent.text or "") + text
    element.tail = None
    parent.remove(element)
