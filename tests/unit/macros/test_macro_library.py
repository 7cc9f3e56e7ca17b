"""Macros are folders of data: what is read from them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from macros import limits
from macros.catalog import LIBRARY, Catalog
from macros.errors import LibraryError, MacroErrors

HANG_UP = """
description = "Says goodbye and hangs up."
[inputs.words]
type = "text"
pattern = "[A-Za-z ]+"
chars_max = 20
default = "Goodbye"
description = "the last words"
example = "See you"
"""
STATEMENT = "<prompt>{{ inputs.words.value }}</prompt><disconnect/>"


def a_macro(folder: Path, description: str = HANG_UP, **templates: str) -> Path:
    """A folder of macros with the macro ``hangup``."""
    place = folder / "hangup"
    place.mkdir(parents=True)
    (place / "macro.toml").write_text(description)
    for name, text in (templates or {"executable": STATEMENT}).items():
        (place / f"{name}.xml").write_text(text)
    return folder


def test_a_folder_of_data_is_all_that_a_new_macro_needs(tmp_path: Path) -> None:
    catalog = Catalog.load(LIBRARY, a_macro(tmp_path))
    root = etree.fromstring(
        '<vxml><form><block><macro name="hangup"/><macro name="hangup">'
        '<input name="words" value="So long"/></macro></block></form></vxml>'
    )
    assert catalog.expand(root) == 2
    assert [prompt.text for prompt in root.iter("prompt")] == ["Goodbye", "So long"]
    assert len(list(root.iter("disconnect"))) == 2


def test_a_macro_stands_only_where_it_has_a_template(tmp_path: Path) -> None:
    catalog = Catalog.load(a_macro(tmp_path))
    root = etree.fromstring('<vxml><form><macro name="hangup"/></form></vxml>')
    with pytest.raises(MacroErrors, match="cannot stand in <form>"):
        catalog.expand(root)


@pytest.mark.parametrize("value", ["4 digits", "x" * 21])
def test_an_inputs_bounds_are_its_own(tmp_path: Path, value: str) -> None:
    catalog = Catalog.load(a_macro(tmp_path))
    root = etree.fromstring(
        f'<vxml><form><block><macro name="hangup"><input name="words" value="{value}"/>'
        "</macro></block></form></vxml>"
    )
    with pytest.raises(MacroErrors, match="bad-value"):
        catalog.expand(root)


def test_the_catalog_describes_itself_for_the_documentation() -> None:
    described = {each.name: each for each in Catalog.load().describe()}
    assert sorted(described) == ["say", "transfer"]
    transfer = described["transfer"]
    assert transfer.contexts == ("form", "executable")
    assert list(transfer.inputs) == ["to", "timeout", "maxtime", "from"]
    assert [name for name, each in transfer.inputs.items() if each.required] == ["to"]
    assert transfer.inputs["timeout"].default == "30s"


@pytest.mark.parametrize("described", Catalog.load().describe(), ids=lambda each: each.name)
def test_every_example_is_right(described: object) -> None:
    example = getattr(described, "example", "")
    root = etree.fromstring(f"<vxml><form>{example}<block>{example}</block></form></vxml>")
    assert Catalog.load().expand(root) == 2


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ("description = ", "macro.toml"),
        ("description = 3", "Expected `str`"),
        ('description = "x"\nextra = 1', "unknown field `extra`"),
        (HANG_UP + "optional = true", "unknown field `optional`"),
        (HANG_UP.replace('"text"', '"colour"'), "inputs.words.type is 'colour': one of dest"),
        (HANG_UP + "required = true", "required and default exclude each other"),
        (HANG_UP.replace("See you", "4 u"), "inputs.words.example is '4 u'"),
        (HANG_UP.replace('"Goodbye"', '"Bye!"'), "inputs.words.default is 'Bye!'"),
        (HANG_UP.replace("[A-Za-z ]+", "["), "inputs.words.example"),
        (HANG_UP.replace("inputs.words", 'inputs."a b"'), "inputs.a b: no name"),
        (HANG_UP + "#" * limits.TEMPLATE_BYTES_MAX, "over TEMPLATE_BYTES_MAX"),
    ],
)
def test_a_wrong_description_is_refused_with_its_file(
    tmp_path: Path, description: str, says: str
) -> None:
    with pytest.raises(LibraryError) as caught:
        Catalog.load(a_macro(tmp_path, description))
    assert caught.value.path == tmp_path / "hangup" / "macro.toml"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("<prompt>{{ inputs.word.value }}</prompt>", "has no attribute 'word'"),
        ("<prompt>{{ nothing }}</prompt>", "'nothing' is undefined"),
        ("<prompt>{{ inputs.words.value }", "unexpected"),
        ("<prompt>", "mismatch"),
        ("<prompt/>words", "without text beside them"),
        ("   ", "it must give elements"),
        ('<macro name="hangup"/>', "a macro cannot contain macros"),
        ('<if cond="x"><macro name="say"/></if>', "a macro cannot contain macros"),
        ("<x>{{ ''.__class__.__mro__ }}</x>", "unsafe"),
        ('<x a="{% for i in range(70000) %}a{% endfor %}"/>', "EXPANSION_CHARS_MAX"),
        ("<x>{% include '/etc/passwd' %}</x>", "no loader"),
    ],
)
def test_a_wrong_template_is_refused_when_it_is_loaded(
    tmp_path: Path, template: str, says: str
) -> None:
    with pytest.raises(LibraryError) as caught:
        Catalog.load(a_macro(tmp_path, executable=template))
    assert caught.value.path == tmp_path / "hangup" / "executable.xml"
    assert says in str(caught.value)


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no such folder"):
        Catalog.load(tmp_path / "nowhere")
    place = a_macro(tmp_path) / "hangup"
    (place / "executable.xml").unlink()
    with pytest.raises(LibraryError, match=r"no template: at least one of form_item\.xml"):
        Catalog.load(tmp_path)
    (place / "macro.toml").unlink()
    with pytest.raises(LibraryError, match="cannot be read"):
        Catalog.load(tmp_path)
    place.rename(tmp_path / "hang up")
    with pytest.raises(LibraryError, match="'hang up' is no name"):
        Catalog.load(tmp_path)


def test_two_macros_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="a second macro of this name"):
        Catalog.load(a_macro(tmp_path / "a"), a_macro(tmp_path / "b"))
