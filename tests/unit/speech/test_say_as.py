"""What say-as sounds like, as tables."""

from __future__ import annotations

import pytest

from speech import limits
from speech.errors import MarkupError, TextTooLong
from speech.prepare import prepare
from speech.say_as import to_words

ENGLISH = [
    ("0123", "digits", "", "zero one two three"),
    ("12a4", "vxml:digits", "", "one two a four"),
    ("*5#", "digits", "", "* five #"),
    ("1,234.50", "number", "", "one thousand, two hundred and thirty-four point five zero"),
    ("-3", "cardinal", "", "minus three"),
    ("+7", "vxml:number", "", "seven"),
    ("21st", "ordinal", "", "twenty-first"),
    ("20261124", "vxml:date", "", "November twenty-fourth, twenty twenty-six"),
    ("????1124", "vxml:date", "", "November twenty-fourth"),
    ("2026????", "vxml:date", "", "twenty twenty-six"),
    ("11/24/2026", "date", "mdy", "November twenty-fourth, twenty twenty-six"),
    ("24.11.2026", "date", "dmy", "November twenty-fourth, twenty twenty-six"),
    ("2026-11", "date", "ym", "November twenty twenty-six"),
    ("5", "date", "d", "fifth"),
    ("1430h", "vxml:time", "", "fourteen thirty"),
    ("0230p", "vxml:time", "", "two thirty p m"),
    ("0200?", "vxml:time", "", "two o'clock"),
    ("0905a", "vxml:time", "", "nine oh five a m"),
    ("14:00", "time", "hms24", "fourteen hundred hours"),
    ("2:30:01pm", "time", "hms12", "two thirty and one second p m"),
    ("USD10.50", "vxml:currency", "", "ten US dollars and fifty cents"),
    ("GBP1.01", "vxml:currency", "", "one British pound and one penny"),
    ("€2", "currency", "", "two euros"),
    ("10.5", "vxml:currency", "", "ten point five"),
    ("-€2.10", "currency", "", None),
    ("€-2.10", "currency", "", "minus two euros and ten cents"),
    ("JPY300", "currency", "", "three hundred Japanese yen"),
    ("USD1.005", "currency", "", "one point zero zero five US dollars"),
    ("5551234x99", "vxml:phone", "", "five five five one two three four, extension nine nine"),
    ("+44 20", "telephone", "", "plus four four, two zero"),
    ("true", "vxml:boolean", "", "yes"),
    ("false", "boolean", "", "no"),
]
FRENCH = [
    ("0123", "digits", "", "zéro un deux trois"),
    ("1 234,5", "number", "", "mille deux cent trente-quatre virgule cinq"),
    ("21", "ordinal", "", "vingt et unième"),
    ("1er", "ordinal", "", "premier"),
    ("20261124", "vxml:date", "", "vingt-quatre novembre deux mille vingt-six"),
    ("01/05/2026", "date", "dmy", "premier mai deux mille vingt-six"),
    ("24/11", "date", "dm", "vingt-quatre novembre"),
    ("0230p", "vxml:time", "", "quatorze heures trente"),
    ("1200a", "vxml:time", "", "zéro heure"),
    ("21:01", "time", "hms24", "vingt et une heures une"),
    ("EUR10,50", "currency", "", "dix euros et cinquante centimes"),
    ("EUR1.01", "vxml:currency", "", "un euro et un centime"),
    ("+33 1 99", "telephone", "", "plus trois trois, un, neuf neuf"),
    ("12x3", "vxml:phone", "", "un deux, poste trois"),
    ("true", "vxml:boolean", "", "oui"),
    ("false", "vxml:boolean", "", "non"),
]


@pytest.mark.parametrize(("text", "kind", "form", "words"), ENGLISH)
def test_say_as_in_english(text: str, kind: str, form: str, words: str | None) -> None:
    assert to_words(text, kind, form, "en-US") == words


@pytest.mark.parametrize(("text", "kind", "form", "words"), FRENCH)
def test_say_as_in_french(text: str, kind: str, form: str, words: str) -> None:
    assert to_words(text, kind, form, "fr-FR") == words


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        ("hello", "net", ""),
        ("hello", "", ""),
        ("hello", "number", ""),
        ("hello", "vxml:date", ""),
        ("20261324", "vxml:date", ""),
        ("11/24", "date", "mdy"),
        ("2561h", "vxml:time", ""),
        ("maybe", "vxml:boolean", ""),
        ("é", "digits", ""),
        ("call me", "telephone", ""),
        ("first", "ordinal", ""),
        ("EUR", "currency", ""),
        ("EUR" + "9" * 40, "currency", ""),
    ],
)
def test_what_is_not_of_its_kind_is_left_as_it_stands(text: str, kind: str, form: str) -> None:
    assert to_words(text, kind, form, "en") is None


def test_a_number_too_long_to_name_is_read_digit_by_digit() -> None:
    assert to_words("12" * 20, "number", "", "en") == " ".join(["one two"] * 20)


def test_other_languages_take_what_the_libraries_know() -> None:
    assert to_words("3", "ordinal", "", "de") == "dritte"
    assert to_words("20261124", "date", "", "de") == (
        "vierundzwanzig November zweitausendsechsundzwanzig"
    )
    assert to_words("EUR10.50", "currency", "", "de") == "10.50 Euro"
    assert to_words("0230p", "time", "", "de") is None


def test_words_take_the_place_of_the_element() -> None:
    document = prepare(
        'On <say-as interpret-as="vxml:date">20261124</say-as>, <emphasis>come'
        '<say-as interpret-as="digits">12</say-as></emphasis>!',
        "en-US",
    ).document
    assert document == (
        '<speak xml:lang="en-US">On November twenty-fourth, twenty twenty-six, '
        '<emphasis level="moderate">comeone two</emphasis>!</speak>'
    )


def test_the_nearest_language_decides_the_words() -> None:
    document = prepare(
        '<s xml:lang="fr"><say-as interpret-as="digits">1</say-as></s>'
        '<say-as xml:lang="fr" interpret-as="digits">2</say-as>'
        '<say-as interpret-as="digits">3</say-as>',
        "en",
    ).document
    assert '<s xml:lang="fr">un</s>' in document
    assert '<voice xml:lang="fr">deux</voice>three' in document


def test_an_unknown_kind_is_left_to_the_engine() -> None:
    inside = '<say-as interpret-as="characters">abc</say-as> &amp; &lt;'
    assert prepare(inside, "en").document == f'<speak xml:lang="en">{inside}</speak>'


def test_broken_markup_is_refused_with_its_place() -> None:
    with pytest.raises(
        MarkupError, match=r"line 2, column \d+: .* mismatch: s line 2 and p$"
    ) as caught:
        prepare("one\n<s>two</p>", "en")
    assert caught.value.line == 2
    with pytest.raises(MarkupError) as caught:
        prepare("a<b", "en")
    assert (caught.value.line, caught.value.column) == (1, 4)


def test_entities_are_not_expanded() -> None:
    with pytest.raises(MarkupError, match="secret"):
        prepare("&secret;", "en")


def test_a_text_over_its_limit_is_refused() -> None:
    prepare("é" * (limits.SSML_BYTES_MAX // 2), "fr")
    with pytest.raises(TextTooLong, match=f"{limits.SSML_BYTES_MAX + 2} bytes.*SSML_BYTES_MAX"):
        prepare("é" * (limits.SSML_BYTES_MAX // 2 + 1), "fr")


def test_a_text_that_grows_over_its_limit_in_words_is_refused() -> None:
    figures = f'<say-as interpret-as="digits">{"7" * 60_000}</say-as>'
    with pytest.raises(TextTooLong, match=r"over WORDS_BYTES_MAX \(196608\)"):
        prepare(figures, "en")
