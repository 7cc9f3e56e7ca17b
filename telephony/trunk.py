"""The trunk: a carrier we call through, are called from, and may register with."""

from __future__ import annotations

from collections.abc import Sequence

from telephony.auth import DigestCredentials
from telephony.core import Core, Exchange, Field, TrunkSettings
from telephony.messages import Request, Response
from telephony.timers import Timer
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri

RETRY_S_FIRST = 5.0
RETRY_S_MAX = 300.0


class Trunk:
    """One trunk of the agent. `registered` says whether its registration stands."""

    def __init__(self, core: Core, settings: TrunkSettings) -> None:
        self._core = core
        self.settings = settings
        self.flow = Flow(settings.transport, settings.host, settings.port)
        self.credentials = (
            DigestCredentials(settings.username, settings.password) if settings.username else None
        )
        self.addresses = {settings.host.strip("[]").lower(), *settings.addresses}
        self.registered = False
        self._call_id = f"{core.token(12)}@{core.settings.host}"
        self._number = 0
        self._retry_s = RETRY_S_FIRST
        self._timer: Timer | None = None
        self._expires_s = settings.expires_s
        self._tag = core.token(4)
        self._leaving = False

    @property
    def domain(self) -> str:
        """The host of the trunk's addresses."""
        return self.settings.realm_host or self.settings.host

    def is_source(self, flow: Flow) -> bool:
        """Whether a request from `flow` comes from the trunk."""
        return flow.host in self.addresses

    def target(self, user: str) -> SipUri:
        """The Request-URI of `user` (a number) at the trunk."""
        port = None if self.settings.port == 5060 else self.settings.port
        parameters = (("transport", "tcp"),) if self.settings.transport == "tcp" else ()
        return SipUri("sip", user, self.domain, port, parameters)

    def caller(self, caller: NameAddress) -> NameAddress:
        """`caller` with the trunk's host, as carriers ask of From."""
        user = caller.uri.user if isinstance(caller.uri, SipUri) else None
        return NameAddress(
            SipUri("sip", user or self.settings.username or None, self.domain),
            caller.display_name,
        )

    def start(self, now: float) -> None:
        """Register, where the settings ask for it."""
        if self.settings.register:
            self._register(now)

    def stop(self, now: float) -> None:
        """Take the registration back (RFC 3261 10.2.2)."""
        if self._timer is not None:
            self._timer.cancel()
        if self.registered:
            self._leaving = True
            self._expires_s = 0
            self._register(now)

    def lose_connection(self, flow: Flow, now: float) -> None:
        """A TCP connection closed: calls cannot come over it, so register again."""
        ours = flow.port == self.settings.port and self.is_source(flow)
        if self.registered and self.flow.reliable and ours:
            self._failure(503, now)

    def _register(self, now: float) -> None:
        Exchange(
            self._core,
            self._compose,
            self.flow,
            credentials=self.credentials,
            on_response=self._response,
            on_failure=self._failure,
        ).start(now)

    def _compose(self, flow: Flow, authorization: Sequence[Field]) -> tuple[Request, Flow]:
        self._number += 1
        settings = self.settings
        own = f"<sip:{settings.username}@{self.domain}>"
        user = f"sip:{settings.username}@"
        contact = self._core.contact(flow).replace("sip:", user, 1)
        fields = [("Contact", contact), ("Expires", str(self._expires_s))]
        request = self._core.request(
            "REGISTER",
            f"sip:{self.domain}",
            flow,
            from_=f"{own};tag={self._tag}",
            to=own,
            call_id=self._call_id,
            number=self._number,
            fields=[*fields, *authorization],
        )
        return request, flow

    def _response(self, response: Response, now: float) -> None:
        if response.status < 200:
            return
        if self._leaving:
            self.registered = False
        elif response.status < 300:
            self.registered = True
            self._retry_s = RETRY_S_FIRST
            granted = self._granted(response)
            self._again(max(granted - 30.0, granted / 2), now)
        elif response.status == 423 and self._longer(response.value("min-expires")):
            self._register(now)
        else:
            self._failure(response.status, now)

    def _longer(self, text: str | None) -> bool:
        """Take the Min-Expires of a 423; False where it is not longer than what we asked."""
        asked = self._expires_s
        if text and text.isascii() and text.isdigit() and len(text) <= 6:
            self._expires_s = max(asked, int(text))
        return self._expires_s > asked

    def _granted(self, response: Response) -> float:
        """The seconds the registrar granted for our Contact (RFC 3261 10.2.4).

        Where none is ours the registrar has rewritten it: then the shortest counts.
        """
        own = (self._core.settings.host.lower(), self._core.settings.port)
        contacts = response.contacts
        ours = [c for c in contacts if isinstance(c.uri, SipUri) and c.uri.address == own]
        texts = [contact.parameters.get("expires") for contact in ours or contacts]
        for found in (texts, [response.value("expires")]):
            seconds = [
                float(text)
                for text in found
                if text and text.isascii() and text.isdigit() and len(text) <= 9
            ]
            if seconds:
                return max(min(seconds), 1.0)
        return float(self._expires_s)

    def _failure(self, _status: int, now: float) -> None:
        self.registered = False
        if not self._leaving:
            self._again(self._retry_s, now)
            self._retry_s = min(2 * self._retry_s, RETRY_S_MAX)

    def _again(self, seconds: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._core.timers.start(now + seconds, self._register)
