"""What a script submits: the body of a POST (VoiceXML 2.0 5.3.8), and what it accepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from service.fetching.errors import OverLimit
from service.limits import FETCH_SENT_BYTES_MAX
from service.recordings import MEDIA_TYPE

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
# How a recording is called where it is sent.
RECORDING_NAME = "recording.wav"

# What each purpose can use, the most liked first (RFC 9110 12.5.1).
ACCEPTED = {
    "document": "application/voicexml+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5",
    "grammar": "application/srgs+xml, application/srgs, application/xml;q=0.9, */*;q=0.5",
    "script": "application/ecmascript, text/javascript, application/javascript, */*;q=0.5",
    "data": "application/xml, text/xml, application/json;q=0.9, */*;q=0.5",
    "audio": "audio/x-wav, audio/wav, audio/basic, audio/x-alaw-basic, audio/*;q=0.8, */*;q=0.5",
}


@dataclass(frozen=True, slots=True)
class Form:
    """The body of a POST and its media type."""

    content_type: str
    body: bytes


def form(fields: Sequence[tuple[str, str]], enctype: str, recordings: Mapping[str, bytes]) -> Form:
    """Return fields as a form, in their order.

    As multipart/form-data, a value that is the reference of one of `recordings` is sent as its
    audio, a file. Raises OverLimit above FETCH_SENT_BYTES_MAX.
    """
    if enctype != MULTIPART:
        return _limited(Form(URLENCODED, urlencode(fields).encode("ascii")))
    parts = [(name, _part(value, recordings)) for name, value in fields]
    sent_bytes = sum(len(part[1]) for _, part in parts)
    if sent_bytes > FETCH_SENT_BYTES_MAX:
        raise OverLimit(f"{sent_bytes} bytes to be sent (FETCH_SENT_BYTES_MAX)")
    if not parts:
        boundary = "empty-form"
        return Form(f"{MULTIPART}; boundary={boundary}", f"--{boundary}--\r\n".encode())
    request = httpx.Request("POST", "http://form.invalid/", files=parts)
    return _limited(Form(request.headers["content-type"], request.read()))


def _part(
    value: str, recordings: Mapping[str, bytes]
) -> tuple[None, bytes] | tuple[str, bytes, str]:
    if (audio := recordings.get(value)) is not None:
        return RECORDING_NAME, audio, MEDIA_TYPE
    return None, value.encode()


def _limited(made: Form) -> Form:
    if len(made.body) > FETCH_SENT_BYTES_MAX:
        raise OverLimit(f"{len(made.body)} bytes to be sent (FETCH_SENT_BYTES_MAX)")
    return made
