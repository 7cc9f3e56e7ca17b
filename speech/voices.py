"""Which voice speaks a language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from speech.errors import UnsupportedLanguage
from speech.wire import Voice


def best_voices(voices: Iterable[Voice]) -> dict[str, str]:
    """The best voice's identifier for each language tag (lower case)."""
    best: dict[str, Voice] = {}
    for voice in voices:
        held = best.get(voice.language)
        if held is None or voice.rank < held.rank:
            best[voice.language] = voice
    return {language: voice.identifier for language, voice in best.items()}


def find_language(language: str, voices: Mapping[str, str]) -> str | None:
    """The tag of ``voices`` that an xml:lang is spoken with, by look-up (RFC 4647 3.4).

    The tag loses its last subtag until one matches (``fr-CA`` is spoken by ``fr``'s voice);
    a tag that only has regional voices takes the first of them. None where nothing matches.
    """
    wanted = language.strip().lower().replace("_", "-")
    tag = wanted
    while tag:
        if tag in voices:
            return tag
        tag = tag.rpartition("-")[0]
    primary = wanted.partition("-")[0] + "-"
    regional = sorted(known for known in voices if known.startswith(primary))
    return regional[0] if regional and wanted else None


def choose_voice(language: str, voices: Mapping[str, str]) -> str:
    """The identifier of the voice for an xml:lang tag, found as by `find_language`.

    Raises UnsupportedLanguage, which names the tags that would do.
    """
    tag = find_language(language, voices)
    if tag is None:
        raise UnsupportedLanguage(language, voices)
    return voices[tag]


def find_voice(name: str, voices: Mapping[str, str]) -> str | None:
    """The identifier of the voice called ``name``: a language tag, or an identifier."""
    wanted = name.lower()
    if wanted in voices:
        return voices[wanted]
    for identifier in voices.values():
        known = identifier.lower()
        if wanted in (known, known.rpartition("/")[2]):
            return identifier
    return None
