"""What can go wrong while fetching; each message is the reason, without the address.

FetchProblem              nothing came of a fetch: error.badfetch
├── AddressRefused        scripts may not reach that address
├── Unreachable           no such name, no connection, no valid certificate
├── BrokenAnswer          what the server sent is no HTTP answer, or breaks off
├── OverLimit             a named limit was reached
└── BadStatus             the server answered, but not with what was asked for:
                          error.badfetch.http.NNN
"""


class FetchProblem(Exception):
    """Nothing came of a fetch."""

    event = "error.badfetch"


class AddressRefused(FetchProblem):
    """Scripts may not reach that address."""


class Unreachable(FetchProblem):
    """No such name, no connection, or no valid certificate."""


class BrokenAnswer(FetchProblem):
    """What the server sent is no HTTP answer, or breaks off."""


class OverLimit(FetchProblem):
    """A named limit was reached."""


class BadStatus(FetchProblem):
    """The server answered with a status that is not a success (VoiceXML 2.0 5.2.6)."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.event = f"error.badfetch.http.{status}"
