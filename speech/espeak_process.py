"""The speech process: ``python -m speech.espeak_process``.

Reads `wire.Speak` frames from standard input, writes audio files and answers on standard
output, and ends when its input closes. This is the only module that touches espeak-ng,
whose licence (GPLv3) stays on this side of the pipe.
"""

from __future__ import annotations

import copy
import ctypes
import os
import signal
import sys
import wave
from pathlib import Path
from typing import BinaryIO

import espeakng_loader
import numpy as np
import soxr
from lxml import etree

from speech import limits, wire
from speech.markers import append_notes
from speech.prosody import RATE_FACTORS

# speak_lib.h's constants, under its own names.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
POS_CHARACTER = 1
CHARS_UTF8 = 1
SSML = 0x10
PHONEMES = 0x100
OWN_PROSODY = ((1, 175), (2, 100), (3, 50), (4, 50))  # rate (words a minute), volume, pitch, range
EVENT_LIST_TERMINATED = 0
EVENT_MARK = 3

RATE_HZ = 8000
BUFFER_MS = 200
PEAK_MAX = 29_204  # -1 dBFS: resampling may overshoot, and G.711 clips just below full scale
SILENCE_LEVEL = 30  # a sample quieter than this is a pause
SILENCE_SAMPLES = 160  # a text without words still is a file that can be played


class _VoiceRecord(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("private_1", ctypes.c_ubyte),
        ("private_score", ctypes.c_int),
        ("private_spare", ctypes.c_void_p),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
    )


_Events = ctypes.POINTER(_Event)
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, _Events)


class AudioLimit(Exception):
    """The text would be spoken for longer than AUDIO_SECONDS_MAX."""


class Engine:
    """espeak-ng, loaded once in this process. Raises RuntimeError where it refuses."""

    def __init__(self) -> None:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Info.restype = ctypes.c_char_p
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceRecord))
        data = os.fsencode(espeakng_loader.get_data_path())
        rate = library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, data, INITIALIZE_DONT_EXIT
        )
        if rate <= 0:
            raise RuntimeError(f"espeak-ng did not load its data from {os.fsdecode(data)}")
        self._library = library
        self._rate_hz: int = rate
        self._audio = bytearray()
        self._audio_bytes_max = limits.AUDIO_SECONDS_MAX * rate * 2
        self._too_long = False
        self._marks: list[tuple[int, int]] = []
        self._callback = _SYNTH_CALLBACK(self._take)  # kept: the library holds only a pointer
        library.espeak_SetSynthCallback(self._callback)
        self.version = f"espeak-ng {library.espeak_Info(None).decode()}"

    def voices(self) -> tuple[wire.Voice, ...]:
        """Every language tag with the voices that speak it."""
        found: list[wire.Voice] = []
        records = self._library.espeak_ListVoices(None)
        index = 0
        while records[index]:
            record = records[index].contents
            # A list of: priority byte, tag, NUL; ended by a priority of 0.
            address = record.languages
            while rank := ctypes.c_ubyte.from_address(address).value:
                tag = ctypes.string_at(address + 1)
                found.append(wire.Voice(tag.decode().lower(), record.identifier.decode(), rank))
                address += len(tag) + 2
            index += 1
        return tuple(found)

    def speak(
        self, ssml: str, voice: str
    ) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], tuple[tuple[int, int], ...]]:
        """Samples at RATE_HZ of an SSML document, and its marks: number and milliseconds.

        Peak at most PEAK_MAX, at least 20 ms. Prosody with a duration (milliseconds) is
        fitted to it. Raises AudioLimit over AUDIO_SECONDS_MAX, RuntimeError when the engine
        refuses.
        """
        if " duration=" in ssml:
            ssml = self._fitted(ssml, voice)
        samples = self._synthesize(ssml, voice)
        return _to_telephone(samples, self._rate_hz), tuple(self._marks)

    def _synthesize(self, ssml: str, voice: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        self._audio.clear()
        self._marks.clear()
        self._too_long = False
        status = self._library.espeak_SetVoiceByName(voice.encode())
        if status:
            raise RuntimeError(f"espeak-ng has no voice {voice!r} (status {status})")
        for parameter, value in OWN_PROSODY:  # the engine may keep what the last text asked for
            self._library.espeak_SetParameter(parameter, value, 0)
        text = ssml.encode() + b"\0"
        flags = CHARS_UTF8 | SSML | PHONEMES
        status = self._library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, POS_CHARACTER, 0, flags, None, None
        )
        if self._too_long:
            raise AudioLimit
        if status:
            raise RuntimeError(f"espeak-ng refused the text (status {status})")
        return np.frombuffer(bytes(self._audio), np.int16)

    def _fitted(self, ssml: str, voice: str) -> str:
        """The document with rates in place of durations: each part is spoken once to measure it.

        A rate has its bounds: a duration beyond them is approached (SSML 1.0 2.2.4 allows it).
        """
        root = etree.fromstring(ssml, etree.XMLParser(huge_tree=True))
        for element in list(root.iter("prosody"))[::-1]:
            wanted = element.get("duration")
            if wanted is None:
                continue
            del element.attrib["duration"]
            alone = copy.deepcopy(element)
            alone.tail = None
            for around in element.iterancestors():
                shell = copy.copy(around)
                del shell[:]
                shell.text = shell.tail = None
                shell.append(alone)
                alone = shell
            samples = self._synthesize(etree.tostring(alone, encoding="unicode"), voice)
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > SILENCE_LEVEL)
            if loud.size:
                natural_ms = int(loud[-1] - loud[0]) * 1000 / self._rate_hz
                factor = min(max(natural_ms / int(wanted), RATE_FACTORS[0]), RATE_FACTORS[1])
                element.set("rate", f"{round(100 * factor)}%")
        return etree.tostring(root, encoding="unicode")

    def _take(self, samples: int | None, count: int, events: ctypes._Pointer[_Event]) -> int:
        """The library's callback: keeps ``count`` samples and marks; 1 stops the synthesis."""
        if samples and count:
            self._audio += ctypes.string_at(samples, count * 2)
        index = 0
        while events and events[index].type != EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == EVENT_MARK and event.name:
                self._marks.append((int(event.name), event.audio_position_ms))
            index += 1
        self._too_long = len(self._audio) > self._audio_bytes_max
        return int(self._too_long)


def _to_telephone(
    samples: np.ndarray[tuple[int], np.dtype[np.int16]], rate_hz: int
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """``samples`` at RATE_HZ, quieter where a peak would pass PEAK_MAX."""
    if not samples.size:
        return np.zeros(SILENCE_SAMPLES, np.int16)
    resampled = soxr.resample(samples.astype(np.float32), rate_hz, RATE_HZ, "HQ")
    peak = float(np.abs(resampled).max(initial=0.0))
    if peak > PEAK_MAX:
        resampled *= PEAK_MAX / peak
    whole = np.rint(resampled).astype(np.int16)
    return np.pad(whole, (0, max(0, SILENCE_SAMPLES - whole.size)))


def _answer(engine: Engine, request: wire.Speak) -> wire.Spoken | wire.Failed:
    try:
        samples, reached = engine.speak(request.ssml, request.voice)
        with wave.open(request.path, "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(RATE_HZ)
            audio.writeframes(samples.astype("<i2").tobytes())
        append_notes(Path(request.path), _named(request.marks, reached, samples), request.warnings)
    except AudioLimit:
        return wire.Failed(request.number, "the audio is over its limit", too_long=True)
    except (RuntimeError, OSError) as error:
        return wire.Failed(request.number, str(error))
    return wire.Spoken(request.number, os.stat(request.path).st_size)


def _named(
    names: tuple[str, ...],
    reached: tuple[tuple[int, int], ...],
    samples: np.ndarray[tuple[int], np.dtype[np.int16]],
) -> tuple[tuple[str, int], ...]:
    """Every mark with its place in milliseconds, ascending.

    The engine tells about a hundred marks of a clause; one that it leaves out is where the
    one before it is.
    """
    end_ms = samples.size * 1000 // RATE_HZ
    places = dict(reached)
    placed: list[tuple[str, int]] = []
    before = 0
    for number, name in enumerate(names):
        before = min(max(before, places.get(number, before)), end_ms)
        placed.append((name, before))
    return tuple(placed)


def _send(output: BinaryIO, message: wire.Answer) -> None:
    output.write(wire.frame(message))
    output.flush()


def main() -> None:
    """Serve requests until standard input closes."""
    # The service ends its processes itself: a Ctrl-C in its terminal is not for them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the library's own prints stay off the wire
    engine = Engine()
    _send(answers, wire.Ready(engine.version, engine.voices()))
    while len(head := requests.read(wire.LENGTH_BYTES)) == wire.LENGTH_BYTES:
        body = requests.read(wire.body_length(head))
        _send(answers, _answer(engine, wire.read_speak(body)))


if __name__ == "__main__":
    main()
