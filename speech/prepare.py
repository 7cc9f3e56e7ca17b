"""From the inside of ``<speak>`` to the document an engine is given.

The engine does part of SSML 1.0; the rest is done here: say-as and sub become words,
pronunciations the engine's signs, prosody numbers on the engine's scales, voices and
languages those it has. What it would misread (decimals in times, ``desc``, ``[[``) it is
not shown. An attribute whose value SSML does not know is left out and told in a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from speech import limits, phonemes, prosody
from speech.errors import MarkupError, TextTooLong
from speech.say_as import KINDS, to_words
from speech.voices import find_language, find_voice

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_OPEN = "<speak>"
_SPELLED = frozenset({"characters", "letters", "spell-out", "spell"})
_GENDERS = frozenset({"male", "female", "neutral"})
_CHILD_AGE_MAX = 12


@dataclass(frozen=True)
class Prepared:
    """A whole document, its marks' names in order, and what was wrong with it.

    In the document the marks are called by their number: ``<mark name="0"/>``.
    """

    document: str
    marks: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Frame:
    """How the text at one place is spoken."""

    language: str
    voice_hz: float = prosody.VOICE_HZ
    rate: float = 1.0
    pitch: float = 1.0
    range: float = 1.0
    volume: float = 100.0


def prepare(ssml: str, language: str, voices: Mapping[str, str] | None = None) -> Prepared:
    """The document that says ``ssml`` in ``language``.

    ``ssml`` is what stands inside ``<speak>`` (SSML 1.0 3.1); ``voices`` are the engine's,
    by language tag (None: any language is taken). Raises TextTooLong and MarkupError, whose
    line and column count within ``ssml``.
    """
    root = _parse(ssml)
    tag = language if voices is None else find_language(language, voices) or language
    writer = _Writer(voices)
    writer.content(root, _Frame(language))
    document = f"<speak xml:lang={quoteattr(tag)}>{''.join(writer.out)}</speak>"
    size = len(document.encode())
    if size > limits.WORDS_BYTES_MAX:
        raise TextTooLong(size, "WORDS_BYTES_MAX", limits.WORDS_BYTES_MAX)
    return Prepared(document, tuple(writer.marks), tuple(writer.warnings))


def check_characters(ssml: str) -> None:
    """Raise MarkupError where ``ssml`` holds half a surrogate pair, which is no character."""
    for place, character in enumerate(ssml):
        if "\ud800" <= character <= "\udfff":
            line = ssml.count("\n", 0, place) + 1
            column = place - ssml.rfind("\n", 0, place)
            raise MarkupError(f"U+{ord(character):04X} is no character", line, column)


def _parse(ssml: str) -> etree._Element:
    check_characters(ssml)
    size = len(ssml.encode())
    if size > limits.SSML_BYTES_MAX:
        raise TextTooLong(size, "SSML_BYTES_MAX", limits.SSML_BYTES_MAX)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(f"{_OPEN}{ssml}</speak>", parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        column -= len(_OPEN) if line == 1 else 0
        reason = error.msg.rpartition(", line ")[0].strip()  # libxml2 puts its own place behind
        raise MarkupError(reason, line, max(1, column)) from error
    except ValueError as error:
        raise MarkupError(str(error).strip(), 1, 1) from error


class _Writer:
    """Writes the engine's document; `content` and `_element` call each other downwards.

    The parser refuses what is deeper than 256 elements.
    """

    def __init__(self, voices: Mapping[str, str] | None) -> None:
        self.out: list[str] = []
        self.marks: list[str] = []
        self.warnings: list[str] = []
        self._voices = voices
        self._durations = 0
        self._pause: tuple[int, int] | None = None  # the last timed break: where, milliseconds
        self._elements: dict[str, Callable[[etree._Element, _Frame], None]] = {
            "p": self._paragraph,
            "s": self._paragraph,
            "voice": self._voice,
            "prosody": self._prosody,
            "emphasis": self._emphasis,
            "break": self._break,
            "mark": self._mark,
            "sub": self._sub,
            "phoneme": self._phoneme,
            "say-as": self._say_as,
            "audio": self.content,
        }

    def content(self, element: etree._Element, frame: _Frame) -> None:
        """Write what stands inside ``element``."""
        self._text(element.text)
        for child in element:
            self._child(child, frame)
            self._text(child.tail)

    def _child(self, child: etree._Element, frame: _Frame) -> None:
        name = etree.QName(child).localname
        if name in ("desc", "meta", "metadata"):
            return  # notes, never spoken (SSML 1.0 2.3.2, 3.1.5, 3.1.6)
        if name == "lexicon":
            self._warn("<lexicon> is not loaded: use <phoneme> or <sub>")
            return
        write = self._elements.get(name)
        if write is None:
            self._warn(f"<{name}> is no element of SSML: its text is spoken")
            write = self.content
        language = self._language(child)
        if language is None:
            write(child, frame)
        elif name in ("p", "s", "voice"):
            write(child, replace(frame, language=language))
        else:
            self.out.append(f"<voice xml:lang={quoteattr(language)}>")
            write(child, replace(frame, language=language))
            self.out.append("</voice>")

    def _text(self, text: str | None) -> None:
        """Write text; two opening brackets would begin the engine's own signs."""
        if not text:
            return
        if text.startswith("[") and self.out and self.out[-1].endswith("["):
            self.out.append(" ")
        while "[[" in text:
            text = text.replace("[[", "[ [")
        self.out.append(escape(text))

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings and len(self.warnings) < limits.WARNINGS_MAX:
            self.warnings.append(warning[: limits.WARNING_CHARS_MAX])

    def _language(self, element: etree._Element) -> str | None:
        """The language an element asks for, where it has one and a voice speaks it."""
        wanted = element.get(XML_LANG)
        if wanted is None or self._voices is None:
            return wanted
        found = find_language(wanted, self._voices)
        if found is None:
            self._warn(f"no voice speaks xml:lang {wanted!r}: spoken by the voice around it")
        return found

    def _one_of(
        self, element: etree._Element, name: str, allowed: frozenset[str], default: str
    ) -> str:
        value = element.get(name)
        if value is None or value in allowed:
            return value or default
        self._warn(f"{name} {value!r} is none of {', '.join(sorted(allowed))}: {default} is used")
        return default

    def _paragraph(self, element: etree._Element, frame: _Frame) -> None:
        name = etree.QName(element).localname
        language = element.get(XML_LANG) and self._language(element)
        tag = f" xml:lang={quoteattr(language)}" if language else ""
        self.out.append(f"<{name}{tag}>")
        self.content(element, frame)
        self.out.append(f"</{name}>")

    def _emphasis(self, element: etree._Element, frame: _Frame) -> None:
        level = self._one_of(element, "level", prosody.LEVELS, "moderate")
        self.out.append(f'<emphasis level="{level}">')
        self.content(element, frame)
        self.out.append("</emphasis>")

    def _break(self, element: etree._Element, frame: _Frame) -> None:
        """A pause: its time, else its strength, else a medium one."""
        strength = self._one_of(element, "strength", prosody.STRENGTHS, "medium")
        time = element.get("time")
        length_ms = None if time is None else prosody.time_ms(time)
        if time is not None and length_ms is None:
            self._warn(f"break time {time!r} is no time such as 500ms or 1.5s: strength is used")
        if length_ms is None:
            self.out.append(f'<break strength="{strength}"/>')
        else:
            most = limits.AUDIO_SECONDS_MAX * 1000 + 1000  # longer is refused all the same
            if self._pause is not None and not "".join(self.out[self._pause[0] + 1 :]).strip():
                length_ms += self._pause[1]  # of two in a row the engine makes one
                del self.out[self._pause[0] :]
            self._pause = (len(self.out), length_ms)
            self.out.append(f'<break time="{min(length_ms, most)}ms"/>')

    def _mark(self, element: etree._Element, frame: _Frame) -> None:
        name = element.get("name")
        if not name:
            self._warn("<mark> without a name: left out")
        elif len(self.marks) >= limits.MARKS_MAX:
            self._warn(f"more than MARKS_MAX ({limits.MARKS_MAX}) marks: the rest is left out")
        else:
            self.out.append(f'<mark name="{len(self.marks)}"/>')
            self.marks.append(name)

    def _sub(self, element: etree._Element, frame: _Frame) -> None:
        alias = element.get("alias")
        if alias is None:
            self._warn("<sub> without an alias: its text is spoken")
            self.content(element, frame)
        else:
            self._text(alias)

    def _phoneme(self, element: etree._Element, frame: _Frame) -> None:
        alphabet = (element.get("alphabet") or "ipa").lower()
        ph = element.get("ph") or ""
        if alphabet not in phonemes.ALPHABETS:
            self._warn(f"phoneme alphabet {alphabet!r} is not known: the text is spoken")
            self.content(element, frame)
        elif signs := phonemes.engine_signs(ph, alphabet, frame.language):
            self.out.append(f" [[{escape(signs)}]] ")
        else:
            self._warn(f"phoneme {ph!r} has a sign that is not known: the text is spoken")
            self.content(element, frame)

    def _say_as(self, element: etree._Element, frame: _Frame) -> None:
        kind = (element.get("interpret-as") or "").strip().lower()
        text = "".join(str(piece) for piece in element.itertext())
        if kind in _SPELLED:
            self.out.append('<say-as interpret-as="characters">')
            self._text(text)
            self.out.append("</say-as>")
            return
        words = to_words(text, kind, element.get("format") or "", frame.language)
        if words is None:
            known = kind.removeprefix("vxml:") in KINDS
            why = f"{text!r} is no {kind} that is known" if known else f"{kind!r} is not known"
            self._warn(f"say-as: {why}: spoken as it stands")
        self._text(text if words is None else words)

    def _voice(self, element: etree._Element, frame: _Frame) -> None:
        """A voice by language, gender, age, variant, and the first name there is."""
        attributes: list[str] = []
        voice_hz = frame.voice_hz
        if element.get(XML_LANG) and (language := self._language(element)):
            attributes.append(f"xml:lang={quoteattr(language)}")
        if (name := element.get("name")) and (found := self._named(name)):
            attributes.append(f"name={quoteattr(found)}")
        gender = element.get("gender")
        if gender in _GENDERS:
            attributes.append(f'gender="{gender}"')
            voice_hz = prosody.HIGH_VOICE_HZ if gender == "female" else prosody.VOICE_HZ
        elif gender is not None:
            self._warn(f"gender {gender!r} is none of male, female, neutral: left out")
        for key in ("age", "variant"):
            value = element.get(key)
            if value is None:
                continue
            if not (value.isascii() and value.isdigit() and len(value) <= 3):
                self._warn(f"{key} {value!r} is no whole number: left out")
                continue
            attributes.append(f'{key}="{int(value)}"')
            if key == "age" and int(value) <= _CHILD_AGE_MAX:
                voice_hz = prosody.HIGH_VOICE_HZ
        self.out.append(f"<voice {' '.join(attributes)}>" if attributes else "")
        self.content(element, replace(frame, voice_hz=voice_hz))
        self.out.append("</voice>" if attributes else "")

    def _named(self, names: str) -> str | None:
        if self._voices is None:
            return names
        for name in names.split():
            if (found := find_voice(name, self._voices)) is not None:
                return found
        self._warn(f"no voice is called {names!r}: spoken by the voice around it")
        return None

    def _prosody(self, element: etree._Element, frame: _Frame) -> None:
        """Rate, pitch, range, volume, contour and duration (SSML 1.0 2.2.4)."""
        heard = replace(
            frame,
            rate=self._number(element, "rate", frame.rate, prosody.rate),
            pitch=self._number(
                element, "pitch", frame.pitch, lambda v, a: prosody.pitch(v, a, frame.voice_hz)
            ),
            range=self._number(element, "range", frame.range, prosody.pitch_range),
            volume=self._number(element, "volume", frame.volume, prosody.volume),
        )
        attributes = ""
        length = element.get("duration")
        length_ms = None if length is None else prosody.time_ms(length)
        if length is not None and not length_ms:
            self._warn(f"prosody duration {length!r} is no time such as 5s: left out")
        if length_ms and self._durations >= limits.DURATIONS_MAX:
            self._warn(f"more than DURATIONS_MAX ({limits.DURATIONS_MAX}) durations: left out")
            length_ms = None
        if length_ms:
            self._durations += 1
            heard = replace(heard, rate=frame.rate)  # a duration goes before a rate
            attributes += f' duration="{min(length_ms, limits.AUDIO_SECONDS_MAX * 1000)}"'
        if heard.rate != frame.rate:
            attributes += f' rate="{round(100 * heard.rate / frame.rate)}%"'
        if heard.pitch != frame.pitch:
            attributes += f' pitch="{prosody.tone_units(heard.pitch)}"'
        if heard.range != frame.range:
            attributes += f' range="{prosody.range_units(heard.range)}"'
        if heard.volume != frame.volume:
            attributes += f' volume="{prosody.volume_units(heard.volume)}"'
        self.out.append(f"<prosody{attributes}>" if attributes else "")
        if (line := element.get("contour")) is None or not self._contour(element, line, heard):
            self.content(element, heard)
        self.out.append("</prosody>" if attributes else "")

    def _number(
        self,
        element: etree._Element,
        name: str,
        around: float,
        read: Callable[[str, float], float | None],
    ) -> float:
        value = element.get(name)
        number = None if value is None else read(value.strip(), around)
        if value is not None and number is None:
            self._warn(f"prosody {name} {value!r} is no value of SSML's: left out")
        return around if number is None else number

    def _contour(self, element: etree._Element, line: str, frame: _Frame) -> bool:
        """Speak word by word along the contour; whether that was done."""
        points = prosody.contour(line, frame.pitch, frame.voice_hz)
        if points is None:
            self._warn(f"prosody contour {line!r} is no list of (n%,pitch): left out")
            return False
        if len(element):
            self._warn("prosody contour: only text is spoken along one, not markup")
            return False
        words = (element.text or "").split()
        length = sum(map(len, words))
        before = 0
        for word in words:
            units = prosody.tone_units(prosody.at(points, (before + len(word) / 2) / length))
            self.out.append(f'<prosody pitch="{units}">')
            self._text(word)
            self.out.append("</prosody> ")
            before += len(word)
        return True
