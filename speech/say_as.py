"""Say-as in words: what a number, date, time, amount or telephone number sounds like.

Covers SSML 1.0 2.1.4 with the kinds of W3C's say-as note (date, time, telephone, cardinal,
ordinal, digits, currency) and the builtin types of VoiceXML 2.0 Appendix P (``vxml:...``).
English and French have words of their own; other languages take theirs from num2words and
CLDR where these know them, and leave figures to the engine where they do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.numbers import get_currency_name
from num2words import num2words

_DIGITS_MAX = 18  # figures that num2words names; longer ones are read digit by digit

_AMOUNT_DIGITS_MAX = 15  # before the point; beyond it nobody means money


@dataclass(frozen=True)
class _Words:
    """The words of one language that no library has."""

    digits: tuple[str, ...]
    plus: str
    minus: str
    extension: str
    yes: str
    no: str
    point: str
    joiner: str  # between an amount and its cents
    cents: dict[str, tuple[str, str]]  # ISO 4217 code to one, many


_ENGLISH = _Words(
    digits=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    plus="plus",
    minus="minus",
    extension="extension",
    yes="yes",
    no="no",
    point="point",
    joiner="and",
    cents={
        "USD": ("cent", "cents"),
        "CAD": ("cent", "cents"),
        "AUD": ("cent", "cents"),
        "EUR": ("cent", "cents"),
        "GBP": ("penny", "pence"),
        "CHF": ("centime", "centimes"),
    },
)
_FRENCH = _Words(
    digits=("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
    plus="plus",
    minus="moins",
    extension="poste",
    yes="oui",
    no="non",
    point="virgule",
    joiner="et",
    cents={
        "USD": ("cent", "cents"),
        "CAD": ("cent", "cents"),
        "AUD": ("cent", "cents"),
        "EUR": ("centime", "centimes"),
        "GBP": ("penny", "pence"),
        "CHF": ("centime", "centimes"),
    },
)
_WORDS = {"en": _ENGLISH, "fr": _FRENCH}
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}


def to_words(text: str, kind: str, form: str, language: str) -> str | None:
    """``text`` as words of ``language``, said as ``kind`` (interpret-as) in format ``form``.

    None where the kind is unknown, where the text is not of its kind, or where nothing is
    known of the language: the text is then spoken as it stands.
    """
    kind = kind.strip().lower()
    builtin = kind.startswith("vxml:")
    speak = KINDS.get(kind.removeprefix("vxml:"))
    if speak is None:
        return None
    tag = language.replace("_", "-").lower().partition("-")[0]
    shape = form.strip().lower() or ("vxml" if builtin else "")
    return speak(" ".join(text.split()), shape, tag)


def _digits(text: str, _form: str, tag: str) -> str | None:
    words = _WORDS.get(tag)
    compact = re.sub(r"[\s.,-]", "", text)
    if not compact.isascii() or not re.fullmatch(r"[0-9A-Za-z*#]+", compact):
        return None
    return _one_by_one(compact, words)


def _one_by_one(compact: str, words: _Words | None) -> str:
    return " ".join(words.digits[int(c)] if words and c.isdigit() else c for c in compact)


def _cardinal(text: str, _form: str, tag: str) -> str | None:
    number = _decimal(text, tag)
    if number is None:
        return None
    return _name_number(number, tag)


def _ordinal(text: str, _form: str, tag: str) -> str | None:
    match = re.fullmatch(r"(\d{1,18})\s*(?:st|nd|rd|th|e|er|ère|re|ème|nde?|º|ª|\.)?", text.lower())
    if match is None:
        return None
    return _named(int(match[1]), tag, "ordinal")


def _boolean(text: str, _form: str, tag: str) -> str | None:
    words = _WORDS.get(tag)
    if words is None or text.lower() not in ("true", "false"):
        return None
    return words.yes if text.lower() == "true" else words.no


def _telephone(text: str, _form: str, tag: str) -> str | None:
    """Digit by digit; what separates groups is a pause; x begins an extension."""
    words = _WORDS.get(tag)
    match = re.fullmatch(
        r"(\+)?([0-9 ().\-/*#]*[0-9*#][0-9 ().\-/*#]*)(?:x|ext\.?)?\s*([0-9]+)?", text.lower()
    )
    if match is None or words is None:
        return None
    number, _, extension = text.lower().replace("ext", "x").partition("x")
    groups = [
        _one_by_one(group, words) for group in re.findall(r"[0-9*#]+", number.replace("+", ""))
    ]
    if match[1]:
        groups[0] = f"{words.plus} {groups[0]}"
    if extension:
        groups.append(f"{words.extension} {_one_by_one(re.sub('[^0-9]', '', extension), words)}")
    return ", ".join(groups)


_DATE_FORMS = ("mdy", "dmy", "ymd", "md", "dm", "ym", "my", "d", "m", "y")


def _date(text: str, form: str, tag: str) -> str | None:
    """A date in any order of SSML's formats; Appendix P's ``yyyymmdd`` with ? for unknown."""
    parts = _date_parts(text, form)
    if parts is None or _locale(tag) is None:
        return None
    year, month, day = (parts.get(letter) for letter in "ymd")
    if (month is not None and not 1 <= month <= 12) or (day is not None and not 1 <= day <= 31):
        return None
    if tag == "en":
        return _english_date(year, month, day)
    spoken: list[str] = []
    if day is not None:
        spoken.append(_named(day, tag, "ordinal" if tag == "fr" and day == 1 else "cardinal"))
    if month is not None:
        spoken.append(_month(month, tag))
    if year is not None:
        spoken.append(_named(year, tag, "year"))
    return " ".join(spoken) or None


def _english_date(year: int | None, month: int | None, day: int | None) -> str | None:
    head: list[str] = []
    if month is not None:
        head.append(_month(month, "en"))
    if day is not None:
        head.append(_named(day, "en", "ordinal"))
    tail = [] if year is None else [_named(year, "en", "year")]
    joiner = ", " if day is not None else " "
    return joiner.join([" ".join(head), *tail] if head else tail) or None


def _date_parts(text: str, form: str) -> dict[str, int] | None:
    """``text`` as year (y), month (m), day (d), those that it has; None if it is no date."""
    compact = re.fullmatch(r"([0-9?]{4})([0-9?]{2})([0-9?]{2})", text)
    if compact is not None and form in ("", "vxml", "ymd"):
        return {
            letter: int(digits)
            for letter, digits in zip("ymd", compact.groups(), strict=True)
            if "?" not in digits
        }
    form = "ymd" if form in ("", "vxml") else form
    pieces = re.findall(r"\d+", text)
    if form not in _DATE_FORMS or len(pieces) != len(form):
        return None
    if not re.fullmatch(r"\d+(?:[\s./-]+\d+)*", text) or any(len(piece) > 4 for piece in pieces):
        return None
    return {letter: int(piece) for letter, piece in zip(form, pieces, strict=True)}


_TIME = re.compile(r"(\d{1,2})(?:[:.h](\d{2})(?:[:.m](\d{2}))?)?\s*([ap])?\.?m?\.?")
_TIME_COMPACT = re.compile(r"(\d{2})(\d{2})([aph?])?")


def _time(text: str, form: str, tag: str) -> str | None:
    """A time of day: Appendix P's ``hhmmx``, or with separators; hms12 and hms24 as in SSML."""
    words = text.lower()
    if compact := _TIME_COMPACT.fullmatch(words):
        hour, minute, second, half = int(compact[1]), int(compact[2]), 0, compact[3] or ""
    elif match := _TIME.fullmatch(words):
        hour, minute = int(match[1]), int(match[2] or 0)
        second, half = int(match[3] or 0), match[4] or ""
    else:
        return None
    if hour > 24 or minute > 59 or second > 59:
        return None
    if not half and form in ("hms24", "hm24", "h24"):
        half = "h"
    match tag:
        case "en":
            return _english_time(hour, minute, second, half)
        case "fr":
            return _french_time(hour, minute, second, half)
        case _:
            return None


def _english_time(hour: int, minute: int, second: int, half: str) -> str:
    full_day = half == "h" or hour > 12 or hour == 0
    if minute == 0:
        clock = "hundred hours" if full_day else "o'clock" if half not in ("a", "p") else ""
    elif minute < 10:
        clock = f"oh {_named(minute, 'en', 'cardinal')}"
    else:
        clock = _named(minute, "en", "cardinal")
    parts = [_named(hour, "en", "cardinal"), clock]
    if second:
        parts.append(f"and {_count(second, 'en', ('second', 'seconds'))}")
    if half in ("a", "p") and not full_day:
        parts.append(f"{half} m")
    return " ".join(part for part in parts if part)


def _french_time(hour: int, minute: int, second: int, half: str) -> str:
    if half == "p" and hour < 12:
        hour += 12
    elif half == "a" and hour == 12:
        hour = 0
    parts = [_count(hour, "fr", ("heure", "heures"))]
    if minute:
        parts.append(_feminine(_named(minute, "fr", "cardinal")))
    if second:
        parts.append(f"et {_count(second, 'fr', ('seconde', 'secondes'))}")
    return " ".join(parts)


def _count(number: int, tag: str, names: tuple[str, str]) -> str:
    """A number of something; in French something feminine: une heure, vingt et une heures."""
    spoken = _named(number, tag, "cardinal")
    one = number == 1 if tag == "en" else number < 2
    return f"{_feminine(spoken) if tag == 'fr' else spoken} {names[0] if one else names[1]}"


def _feminine(spoken: str) -> str:
    return re.sub(r"\bun$", "une", spoken)


_CURRENCY = re.compile(r"([a-z]{3}|[$€£¥])?\s*(-?[\d.,\s]*\d)\s*([a-z]{3}|[$€£¥])?", re.IGNORECASE)


def _currency(text: str, _form: str, tag: str) -> str | None:
    """An amount: Appendix P's ``UUUmm.nn`` (ISO 4217), or with a symbol before or behind."""
    match = _CURRENCY.fullmatch(text)
    amount = _decimal(match[2], tag) if match else None
    locale = _locale(tag)
    if match is None or amount is None or locale is None:
        return None
    if amount.adjusted() >= _AMOUNT_DIGITS_MAX:
        return None
    unit = (match[1] or match[3] or "").upper()
    code = _SYMBOLS.get(unit, unit)
    if not code:
        return _name_number(amount, tag)
    words = _WORDS.get(tag)
    cents = words.cents.get(code) if words else None
    size = amount.copy_abs()
    rounded = size.quantize(Decimal("0.01")) if cents else size
    whole, hundredths = divmod(int(rounded * 100), 100)
    if words is None or cents is None or rounded != size:
        name = get_currency_name(code, count=amount, locale=locale)
        return f"{_name_number(amount, tag)} {name}"
    name = get_currency_name(code, count=whole, locale=locale)
    spoken = f"{_named(whole, tag, 'cardinal')} {name}"
    if hundredths:
        unit_name = cents[0] if hundredths == 1 else cents[1]
        spoken += f" {words.joiner} {_named(hundredths, tag, 'cardinal')} {unit_name}"
    return f"{words.minus} {spoken}" if amount < 0 else spoken


KINDS: dict[str, Callable[[str, str, str], str | None]] = {
    "boolean": _boolean,
    "cardinal": _cardinal,
    "currency": _currency,
    "date": _date,
    "digits": _digits,
    "number": _cardinal,
    "ordinal": _ordinal,
    "phone": _telephone,
    "telephone": _telephone,
    "time": _time,
}


def _decimal(text: str, tag: str) -> Decimal | None:
    """``text`` as a number: spaces, and commas by threes, group; in French a comma is a point."""
    compact = re.sub(r"[\s\u202f]", "", text)
    if tag != "en" and re.fullmatch(r"[+-]?\d+,\d+", compact):
        compact = compact.replace(",", ".")
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", compact):
        compact = compact.replace(",", "")
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)", compact) or not compact.isascii():
        return None
    return Decimal(compact)


def _name_number(number: Decimal, tag: str) -> str:
    """``number`` in words; the fraction is read digit by digit."""
    words = _WORDS.get(tag)
    plain = f"{number.copy_abs():f}"
    whole, _, fraction = plain.partition(".")
    if words is None:
        return f"{number:f}"
    spoken = (
        _named(int(whole), tag, "cardinal")
        if len(whole) <= _DIGITS_MAX
        else _one_by_one(whole, words)
    )
    if fraction:
        spoken += f" {words.point} {_one_by_one(fraction[:_DIGITS_MAX], words)}"
    return f"{words.minus} {spoken}" if number < 0 else spoken


def _named(number: int, tag: str, to: str) -> str:
    """``number`` by num2words; as figures in a language it does not know."""
    try:
        return str(num2words(number, lang=tag, to=to))
    except NotImplementedError:
        return str(number)


def _month(month: int, tag: str) -> str:
    locale = _locale(tag)
    assert locale is not None
    return str(locale.months["format"]["wide"][month])


def _locale(tag: str) -> Locale | None:
    try:
        return Locale.parse(tag)
    except (UnknownLocaleError, ValueError):
        return None
