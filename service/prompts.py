"""From prompts to sound files: text is spoken, addresses are fetched, both are cached.

What is there already needs no waiting (`ready`): a script whose prompts were played
once before starts to speak at the next tick.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from media.audiofile import to_prompt
from media.errors import MediaError
from media.tones import beep, ringback
from service.calls import Call
from service.fetch import Fetcher
from service.limits import SOUND_FRESH_S, SOUNDS_REMEMBERED_MAX
from speech.errors import SpeechError
from speech.synthesizer import Synthesizer
from vxml_engine.effects import AudioFile, FetchFailed, Prompt, Segment, Speech

log = logging.getLogger(__name__)


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
        self._sounds: OrderedDict[str, tuple[Path, float]] = OrderedDict()  # address -> fresh until
        folder.mkdir(parents=True, exist_ok=True)
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
                    case AudioFile(url):
                        file = self._fresh_sound(url)
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
            case AudioFile(url, fallback):
                if (file := self._fresh_sound(url)) is not None:
                    return [file]
                if (file := await self._fetch_sound(url, call)) is not None:
                    return [file]
                made = [await self._files_of(other, call) for other in fallback]
                return [file for files in made for file in files]

    def _fresh_sound(self, url: str) -> Path | None:
        if (recording := self._find_recording(url)) is not None:
            return recording
        found = self._sounds.get(url)
        if found is None or found[1] < asyncio.get_running_loop().time():
            return None
        return found[0]

    async def _fetch_sound(self, url: str, call: Call) -> Path | None:
        fetched = await self._fetcher.get(url)
        if isinstance(fetched, FetchFailed):
            call.note("sound_failed", why=fetched.message)
            return None
        try:
            sound = await asyncio.to_thread(to_prompt, fetched.body)
        except MediaError as error:
            call.note("sound_failed", why=f"{url}: {error}")
            return None
        file = self._keep(sound)
        self._sounds[url] = (file, asyncio.get_running_loop().time() + SOUND_FRESH_S)
        self._sounds.move_to_end(url)
        while len(self._sounds) > SOUNDS_REMEMBERED_MAX:
            self._sounds.popitem(last=False)
        return file

    def _keep(self, sound: bytes) -> Path:
        file = self._folder / f"{hashlib.sha256(sound).hexdigest()}.wav"
        if not file.exists():
            draft = file.with_suffix(".draft")
            draft.write_bytes(sound)
            draft.replace(file)
        return file
