"""From prompts to sound files: text is spoken, addresses are fetched, both are cached.

What is there already needs no waiting (`ready`): a script whose prompts were played
once before starts to speak at the next tick. Whether a fetched sound may be played again
is for its server and script to say (`service.fetch`); what it was converted to is kept
by its content.
"""

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from media.audiofile import to_prompt
from media.errors import MediaError
from media.g711 import Codec
from media.tones import beep, ringback
from service.calls import Call
from service.fetch import Fetcher
from service.fetching.freshness import Answer
from service.fetching.reach import shown
from service.limits import SOUND_FILES_BYTES_MAX
from speech.cache import AudioCache
from speech.errors import SpeechError
from speech.synthesizer import Synthesizer
from vxml_engine.effects import AudioFile, FetchFailed, Prompt, Segment, Speech

log = logging.getLogger(__name__)

# G.711 without a header (VoiceXML 2.0 appendix E).
HEADERLESS_TYPES: dict[str, Codec] = {"audio/basic": "PCMU", "audio/x-alaw-basic": "PCMA"}
HEADERLESS_SUFFIXES: dict[str, Codec] = {".ulaw": "PCMU", ".ul": "PCMU", ".alaw": "PCMA"}
HEADERS = (b"RIFF", b".snd")


class Prompts:
    """Makes the files that a leg plays."""

    def __init__(
        self,
        folder: Path,
        synthesizer: Synthesizer,
        fetcher: Fetcher,
        find_recording: Callable[[str], Path | None],
    ) -> None:
        self._folder = folder
        self._synthesizer = synthesizer
        self._fetcher = fetcher
        self._find_recording = find_recording
        folder.mkdir(parents=True, exist_ok=True)
        self._sounds = AudioCache(folder, SOUND_FILES_BYTES_MAX)
        self._sounds.open()
        self._drafts = itertools.count(1)
        self.ringback = self._keep(ringback())
        self.beep = self._keep(beep())

    def ready(self, prompts: Sequence[Prompt]) -> list[Path] | None:
        """Return the prompts' files where all are at hand, else None."""
        files: list[Path] = []
        for prompt in prompts:
            for segment in prompt.segments:
                match segment:
                    case Speech(ssml, language):
                        try:
                            file = self._synthesizer.cached(ssml, language=language)
                        except SpeechError:
                            return None  # what is wrong is told where it is spoken
                    case AudioFile():
                        file = self._sound_at_hand(segment)
                if file is None:
                    return None
                files.append(file)
        return files

    async def files(self, prompts: Sequence[Prompt], call: Call) -> list[Path]:
        """Return the prompts' files in order, making those that are missing.

        What can't be spoken or fetched is left out, noted in the call's timeline; an
        address that fails is replaced by its fall-back (VoiceXML 2.0 4.1.3).
        """
        segments = [segment for prompt in prompts for segment in prompt.segments]
        made = await asyncio.gather(*(self._files_of(segment, call) for segment in segments))
        return [file for files in made for file in files]

    async def say(self, text: str, language: str, call: Call) -> list[Path]:
        """Return the files that speak one plain sentence of ours."""
        return await self._files_of(Speech(text, language), call)

    async def _files_of(self, segment: Segment, call: Call) -> list[Path]:
        match segment:
            case Speech(ssml, language):
                try:
                    return [await self._synthesizer.speak(ssml, language=language)]
                except SpeechError as error:
                    call.note("prompt_failed", why=str(error))
                    log.warning("a prompt cannot be spoken: %s", error)
                    return []
            case AudioFile(fallback=fallback):
                file = self._find_recording(segment.url) or await self._sound(segment, call)
                if file is not None:
                    return [file]
                made = [await self._files_of(other, call) for other in fallback]
                return [file for files in made for file in files]

    def _sound_at_hand(self, wanted: AudioFile) -> Path | None:
        if (recording := self._find_recording(wanted.url)) is not None:
            return recording
        found = self._fetcher.at_hand(wanted.url, wanted.caching)
        return None if found is None else self._sounds.find(_key(found))

    async def _sound(self, wanted: AudioFile, call: Call) -> Path | None:
        """Return a fetched sound, converted; None, noted in the timeline, where that fails."""
        found = await self._fetcher.get(wanted.url, wanted.caching, call)
        if isinstance(found, FetchFailed):
            call.note("sound_failed", why=found.message)
            return None
        key = _key(found)
        if (file := self._sounds.find(key)) is not None:
            return file
        try:
            sound = await asyncio.to_thread(to_prompt, found.body, headerless=_headerless(found))
        except MediaError as error:
            call.note("sound_failed", why=f"{shown(wanted.url)}: {error}")
            return None
        draft = self._sounds.draft(key, next(self._drafts))
        draft.write_bytes(sound)
        return self._sounds.keep(key, draft)

    def _keep(self, sound: bytes) -> Path:
        file = self._folder / f"{hashlib.sha256(sound).hexdigest()}.wav"
        if not file.exists():
            draft = file.with_suffix(".draft")
            draft.write_bytes(sound)
            draft.replace(file)
        return file


def _headerless(sound: Answer) -> Codec | None:
    """Return the codec of G.711 without a header, by media type or file name."""
    if sound.body.startswith(HEADERS):
        return None
    media_type = sound.content_type.partition(";")[0].strip().lower()
    if media_type in ("", "application/octet-stream"):
        return HEADERLESS_SUFFIXES.get(PurePosixPath(urlsplit(sound.url).path).suffix.lower())
    return HEADERLESS_TYPES.get(media_type)


def _key(sound: Answer) -> str:
    """Return the name of what a sound is converted to: by its bytes, and how they are read."""
    codec = _headerless(sound)
    return sound.digest if codec is None else f"{sound.digest}-{codec}"
