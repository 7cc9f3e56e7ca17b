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


def choose_voice(language: str, voices: Mapping[str, str]) -> str:
    """The identifier of the voice for an xml:lang tag, by look-up (RFC 4647 3.4).

    The tag loses its last subtag until one matches (``fr-CA`` is spoken by ``fr``'s voice);
    a tag that only has regional voices takes the first of them. Raises UnsupportedLanguage,
    which names the tags that would do.
    """
    wanted = language.strip().lower().replace("_", "-")
    tag = wanted
    while tag:
        if tag in voices:
            return voices[tag]
        tag = tag.rpartition("-")[0]
    primary = wanted.partition("-")[0] + "-"
    regional = sorted(known for known in voices if known.startswith(primary))
    if regional and wanted:
        return voices[regional[0]]
    raise UnsupportedLanguage(language, voices)
