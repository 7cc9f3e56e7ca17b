"""The speech process: ``python -m speech.espeak_process``.

Reads `wire.Speak` frames from standard input, writes audio files and answers on standard
output, and ends when its input closes. This is the only module that touches espeak-ng,
whose licence (GPLv3) stays on this side of the pipe.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import wave
from typing import BinaryIO

import espeakng_loader
import numpy as np
import soxr

from speech import limits, wire

# speak_lib.h's constants, under its own names.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
POS_CHARACTER = 1
CHARS_UTF8 = 1
SSML = 0x10

RATE_HZ = 8000
BUFFER_MS = 200
PEAK_MAX = 29_204  # -1 dBFS: resampling may overshoot, and G.711 clips just below full scale
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


_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


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

    def speak(self, ssml: str, voice: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        """Samples at RATE_HZ of an SSML document, peak at most PEAK_MAX, at least 20 ms.

        Raises AudioLimit over AUDIO_SECONDS_MAX, RuntimeError when the engine refuses.
        """
        self._audio.clear()
        self._too_long = False
        status = self._library.espeak_SetVoiceByName(voice.encode())
        if status:
            raise RuntimeError(f"espeak-ng has no voice {voice!r} (status {status})")
        text = ssml.encode() + b"\0"
        status = self._library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, POS_CHARACTER, 0, CHARS_UTF8 | SSML, None, None
        )
        if self._too_long:
            raise AudioLimit
        if status:
            raise RuntimeError(f"espeak-ng refused the text (status {status})")
        return _to_telephone(np.frombuffer(bytes(self._audio), np.int16), self._rate_hz)

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        """The library's callback: keeps ``count`` samples; 1 stops the synthesis."""
        if samples and count:
            self._audio += ctypes.string_at(samples, count * 2)
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
        samples = engine.speak(request.ssml, request.voice)
        with wave.open(request.path, "wb") as audio:
            audio.setnchannels(1)
            audio.setsampwidth(2)
            audio.setframerate(RATE_HZ)
            audio.writeframes(samples.astype("<i2").tobytes())
    except AudioLimit:
        return wire.Failed(request.number, "the audio is over its limit", too_long=True)
    except (RuntimeError, OSError) as error:
        return wire.Failed(request.number, str(error))
    return wire.Spoken(request.number, os.stat(request.path).st_size)


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
