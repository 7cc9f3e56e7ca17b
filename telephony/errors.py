"""The error tree of the telephony room.

TelephonyError
├── MessageError        a message cannot be taken; carries the status that answers it
├── StreamError         a byte stream cannot be cut into messages; close the connection
├── SdpError            a session description cannot be read (answer 400)
│   └── NoCommonCodec   it can be read, but shares no codec with us (answer 488)
├── ChallengeError      a digest challenge cannot be answered
├── StateError          a step that the state does not allow; names both
├── LimitReached        one of `telephony.limits`; names it
└── TransportError      no socket, no port, no way to the other side
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telephony.messages import Message


class TelephonyError(Exception):
    """Base of everything this room raises."""


class MessageError(TelephonyError):
    """A message that cannot be taken.

    `status` and `reason` are what RFC 3261 answers a request with; `message` holds what
    could be read of it (so that it can be answered), or None.
    """

    def __init__(self, status: int, reason: str, message: Message | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.message = message


class StreamError(TelephonyError):
    """A stream whose next message has no certain end. `head` is what was read of it."""

    def __init__(self, status: int, reason: str, head: bytes) -> None:
        super().__init__(f"{reason}: close the connection")
        self.status = status
        self.reason = reason
        self.head = head


class SdpError(TelephonyError):
    """A session description that cannot be read."""


class NoCommonCodec(SdpError):
    """A session description that offers nothing we speak."""


class ChallengeError(TelephonyError):
    """A digest challenge that cannot be answered."""


class StateError(TelephonyError):
    """A step that the state does not allow."""

    def __init__(self, subject: str, state: str, event: str) -> None:
        super().__init__(f"{subject} in state {state} cannot take {event}")
        self.state = state
        self.event = event


class LimitReached(TelephonyError):
    """A limit of `telephony.limits` was reached."""

    def __init__(self, name: str, value: float) -> None:
        super().__init__(f"{name} is {value:g}: refused")
        self.name = name


class TransportError(TelephonyError):
    """No socket, no free port, or no way to the other side."""
