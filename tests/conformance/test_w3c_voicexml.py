"""W3C's own tests of VoiceXML 2.0, through a reader of their ``conf:`` elements.

``conf:pass`` and ``conf:fail`` end the test; ``conf:dtmf`` and ``conf:speech`` are what the
caller enters at the input item they stand in; ``conf:grammar`` and ``conf:phrase`` stand for
what the caller may say.
"""

from pathlib import Path

import pytest
from lxml import etree

from tests.kit.conversation import BASE, Conversation
from vxml_engine.cache import DocumentCache

CONF = "{http://www.w3.org/2002/vxml-conformance}"
TESTS = ["332", "333", "334", "336", "337", "338"]


class ConformanceReader:
    """Turns a test into a plain document: what is said or pressed, and what is a pass."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def prepare(self, root: etree._Element) -> None:
        """Replace the elements of the tests' namespace."""
        for element in list(root.iter(f"{CONF}*")):
            vxml = etree.QName(root).namespace
            match etree.QName(element).localname:
                case "pass":
                    element.tag, element.attrib["expr"] = f"{{{vxml}}}exit", "'pass'"
                case "fail":
                    told = element.attrib.pop("expr", repr(element.attrib.pop("reason", "")))
                    element.tag, element.attrib["expr"] = f"{{{vxml}}}exit", f"'fail ' + {told}"
                case "dtmf":
                    self.turns.append(f"caller: {element.get('value')}")
                    _remove(element, "")
                case "speech":
                    self.turns.append(f"caller: say {element.get('value')}")
                    _remove(element, "")
                case "phrase":
                    _remove(element, element.get("utterance", ""))
                case "grammar":
                    element.tag = f"{{{vxml}}}grammar"
                    element.set("root", "said")
                    rule = etree.SubElement(element, f"{{{vxml}}}rule", {"id": "said"})
                    rule.text = element.attrib.pop("utterance")
                    element.attrib.pop("interp", None)


def _remove(element: etree._Element, text: str) -> None:
    parent = element.getparent()
    assert parent is not None
    text += element.tail or ""
    previous = element.getprevious()
    if previous is None:
        parent.text = (parent.text or "") + text
    else:
        previous.tail = (previous.tail or "") + text
    parent.remove(element)


@pytest.mark.parametrize("number", TESTS)
def test_assertion(number: str, shared_data: Path) -> None:
    folder = shared_data / "conformance" / "w3c-vxml20" / number
    documents = {
        path.name.replace(".txml", ".vxml"): path.read_text(encoding="utf-8")
        for path in folder.iterdir()
    }
    documents["start.vxml"] = documents.pop(f"{number}.vxml")
    reader = ConformanceReader()
    cache = DocumentCache(reader.prepare)
    cache.get(documents["start.vxml"].encode(), BASE)
    conversation = Conversation(documents, "\n".join(reader.turns), cache=cache)
    result = conversation.run()
    assert result.value == "pass", conversation.transcript
