"""Pronunciations in IPA or X-SAMPA as the engine's own signs (SSML 1.0 2.1.5).

The engine's signs follow Kirshenbaum's ASCII notation, with signs of its own for English
vowels. A sign without an entry gives None: the text itself is then spoken.
"""

from __future__ import annotations

from typing import Final

ALPHABETS: Final = frozenset({"ipa", "x-sampa"})

_ENGLISH: Final = {
    "tʃ": "tS", "dʒ": "dZ", "aɪ": "aI", "aʊ": "aU", "ɔɪ": "OI", "eɪ": "eI", "oʊ": "oU",
    "əʊ": "oU", "ɪə": "i@", "eə": "e@", "ʊə": "U@", "ɑː": "A:", "ɔː": "O:", "uː": "u:",
    "iː": "i:", "ɜː": "3:", "ɝ": "3:", "ɚ": "3", "ɑ": "A:", "ɒ": "0", "ɔ": "O:", "æ": "a",
    "a": "a", "ʌ": "V", "ə": "@", "ɛ": "E", "e": "E", "ɪ": "I", "i": "i", "ʊ": "U",
    "u": "u:", "o": "oU",
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g", "f": "f",
    "v": "v", "θ": "T", "ð": "D", "s": "s", "z": "z", "ʃ": "S", "ʒ": "Z", "h": "h",
    "m": "m", "n": "n", "ŋ": "N", "l": "l", "r": "r", "ɹ": "r", "j": "j", "w": "w",
    "ɾ": "t#", "ʔ": "?",
    "ˈ": "'", "ˌ": ",", "ː": "", ".": "", "ˑ": "", "‿": "", " ": "||",
}  # fmt: skip
_COMMON: Final = {
    "tʃ": "tS", "ts": "ts", "a": "a", "aː": "a:", "e": "e", "eː": "e:", "ɛ": "E", "i": "i",
    "iː": "i:", "o": "o", "oː": "o:", "ɔ": "O", "u": "u", "uː": "u:", "y": "y", "ə": "@",
    "ø": "Y", "œ": "W",
    "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "g", "ɡ": "g", "f": "f", "v": "v",
    "s": "s", "z": "z", "ʃ": "S", "ʒ": "Z", "m": "m", "n": "n", "ŋ": "N", "l": "l", "r": "r",
    "ʁ": "r", "j": "j", "w": "w", "ˈ": "'", "ˌ": ",", "ː": ":", ".": "", " ": "||",
}  # fmt: skip
_SAMPA: Final = {
    "A": "ɑ", "Q": "ɒ", "O": "ɔ", "{": "æ", "V": "ʌ", "@": "ə", "E": "ɛ", "I": "ɪ", "U": "ʊ",
    "3": "ɜ", "2": "ø", "9": "œ", "T": "θ", "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", "R": "ʁ",
    "4": "ɾ", "?": "ʔ", ":": "ː", '"': "ˈ", "%": "ˌ",
}  # fmt: skip
_SIGN_CHARS_MAX: Final = 2


def engine_signs(ph: str, alphabet: str, language: str) -> str | None:
    """``ph`` in the engine's signs for ``language``; None where a sign is unknown."""
    ipa = ph if alphabet == "ipa" else _from_sampa(ph)
    signs = _ENGLISH if language.lower().partition("-")[0] == "en" else _COMMON
    spoken: list[str] = []
    place = 0
    text = " ".join(ipa.split())
    while place < len(text):
        for length in range(_SIGN_CHARS_MAX, 0, -1):
            sign = text[place : place + length]
            if len(sign) == length and sign in signs:
                spoken.append(signs[sign])
                place += length
                break
        else:
            return None
    joined = "".join(spoken)
    return joined if joined.strip("|',") else None


def _from_sampa(ph: str) -> str:
    """X-SAMPA with one character a sign, and ``r\\`` and ``@```, as IPA."""
    text = ph.replace("r\\", "ɹ").replace("@`", "ɚ").replace("3`", "ɝ")
    return "".join(_SAMPA.get(character, character) for character in text)
