"""SIP dialogs (RFC 3261 12): the state two user agents share, and requests within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telephony.messages import Message, Request, Response
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri, Via, parse_address

DialogKey = tuple[str, str, str]


@dataclass(slots=True)
class SipDialog:
    """One dialog, seen from our side.

    `local` and `remote` are the From and To values (with tags) of a request of ours. `flow` is
    where the peer was last heard, `direct` whether requests may go back there.
    """

    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str
    local_number: int
    remote_number: int | None
    routes: tuple[str, ...]
    target: NameAddress
    flow: Flow
    direct: bool
    confirmed: bool = False

    @property
    def key(self) -> DialogKey:
        """Call-ID, local tag, remote tag."""
        return (self.call_id, self.local_tag, self.remote_tag)

    def in_order(self, request: Request) -> bool:
        """Note the CSeq of a request of the peer; False where it is not new (12.2.2)."""
        number = request.cseq[0]
        if self.remote_number is not None and number <= self.remote_number:
            return False
        self.remote_number = number
        return True

    def refresh_target(self, message: Message, flow: Flow, via: Via | None) -> None:
        """Take the Contact of a target refresh request or response (12.2.1.2, 12.2.2)."""
        contacts = message.contacts
        if contacts and isinstance(contacts[0].uri, SipUri):
            self.target = contacts[0]
            self.flow = flow
            if via is not None:
                self.direct = not self.routes and names_sender(contacts[0].uri, via, flow)

    def route(self) -> tuple[str, tuple[str, ...], SipUri | None]:
        """Request-URI, Route values and the URI to send to (RFC 3261 12.2.1.1, 8.1.2).

        The last is None where the dialog's flow leads to the peer.
        """
        uri = self.target.uri
        assert isinstance(uri, SipUri)
        target = uri.request_uri
        if not self.routes:
            return target, (), None if self.direct else uri
        first = parse_address(self.routes[0]).uri
        assert isinstance(first, SipUri)
        if first.loose:
            return target, self.routes, first
        # A strict router (RFC 2543): it becomes the Request-URI, the target comes last.
        return str(first), (*self.routes[1:], f"<{target}>"), first


def names_sender(contact: SipUri, via: Via, flow: Flow) -> bool:
    """Whether a Contact is the device that spoke to us itself, perhaps from behind a NAT.

    Then the flow it spoke from leads to it, whatever address it believes it has (RFC 3581), and
    over TCP its connection does (RFC 3261 18.1.1).
    """
    host, port = contact.address
    spoken = via.host.strip("[]").lower()
    if flow.reliable:
        return host in (spoken, flow.host)
    return (host, port) in ((spoken, via.port or 5060), (flow.host, flow.port))


def _usable_routes(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(parse_address(value).uri, SipUri))


def dialog_of_invite(request: Request, local_tag: str, flow: Flow) -> SipDialog:
    """The UAS's dialog for an INVITE it answers (RFC 3261 12.1.1); MessageError 400.

    The Contact, or without one the From, must be a SIP URI.
    """
    contacts = request.contacts
    # RFC 2543 peers need not send a Contact: their From stands for it.
    target = contacts[0] if contacts else request.from_
    routes = _usable_routes(request.items("record-route"))
    vias = request.vias
    direct = len(vias) == 1 and not routes
    if direct and contacts and isinstance(target.uri, SipUri):
        direct = names_sender(target.uri, vias[0], flow)
    to = request.value("to") or ""
    return SipDialog(
        request.call_id,
        to if request.to.tag else f"{to};tag={local_tag}",
        local_tag,
        request.value("from") or "",
        request.from_.tag,
        0,
        request.cseq[0],
        routes,
        target,
        flow,
        direct,
    )


def dialog_of_response(request: Request, response: Response, flow: Flow) -> SipDialog:
    """The UAC's dialog for a response with a To tag (RFC 3261 12.1.2); MessageError 400.

    `flow` is where the request went.
    """
    contacts = [c for c in response.contacts if isinstance(c.uri, SipUri)]
    asked = request.uri
    target = contacts[0] if contacts else NameAddress(asked)
    routes = tuple(reversed(_usable_routes(response.items("record-route"))))
    direct = not routes and (
        not contacts
        or (
            isinstance(asked, SipUri)
            and isinstance(target.uri, SipUri)
            and (target.uri.address == asked.address or target.uri.address == flow[1:3])
        )
    )
    return SipDialog(
        request.call_id,
        request.value("from") or "",
        request.from_.tag,
        response.value("to") or "",
        response.to.tag,
        request.cseq[0],
        None,
        routes,
        target,
        flow,
        direct,
    )
