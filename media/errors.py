"""What can go wrong in the media room.

MediaError
├── AudioFileError            a file given as audio cannot become a prompt
│   ├── BrokenAudio           it is damaged, or of a format that is not known
│   └── AudioTooLarge         it is larger or longer than the limits say
├── BrokenPrompt              a prompt file is not a 16-bit mono WAV at 8000 Hz, or is not there
├── BrokenMessage             the other end of the control socket sent what cannot be read
├── PortsExhausted            every pair of ports of the range is in use
├── UnknownLeg                no leg of that name is open (or it was lost with its process)
├── LegExists                 a leg of that name is open already
├── BadRequest                an argument is outside of what the call takes
└── MediaUnavailable          the media process is not there now; it is being started again
"""

from __future__ import annotations


class MediaError(Exception):
    """Root of the media room's errors."""


class AudioFileError(MediaError):
    """A file given as audio cannot become a prompt."""


class BrokenAudio(AudioFileError):
    """The audio file is damaged, or of a format that is not known."""


class AudioTooLarge(AudioFileError):
    """The audio file is larger or longer than the limits say."""


class BrokenPrompt(MediaError):
    """A prompt file is missing, or not a 16-bit mono WAV at 8000 Hz."""


class BrokenMessage(MediaError):
    """The other end of the control socket sent what cannot be read."""


class PortsExhausted(MediaError):
    """Every pair of ports of the configured range is in use."""


class UnknownLeg(MediaError):
    """No leg of that name is open."""


class LegExists(MediaError):
    """A leg of that name is open already."""


class BadRequest(MediaError):
    """An argument is outside of what the call takes."""


class MediaUnavailable(MediaError):
    """The media process is not there now; it is being started again."""
