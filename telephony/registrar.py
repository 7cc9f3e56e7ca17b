"""The registrar (RFC 3261 10.3): where each phone can be reached, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from telephony.dialogs import names_sender
from telephony.errors import MessageError
from telephony.limits import (
    BINDINGS_MAX,
    CONTACTS_PER_USER_MAX,
    REGISTRATION_S_MAX,
    REGISTRATION_S_MIN,
)
from telephony.messages import Request
from telephony.transport import Flow
from telephony.uri import NameAddress, SipUri, same_uri


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of a phone.

    `flow` leads to it: where the REGISTER came from if the phone registered itself (also behind
    a NAT, also over its TCP connection), else the Contact's address. `expires_at` in seconds of
    the agent's clock. `user_agent` is what the phone calls itself.
    """

    contact: NameAddress
    flow: Flow
    expires_at: float
    call_id: str
    number: int
    q: float
    user_agent: str

    @property
    def uri(self) -> SipUri:
        """The Request-URI of calls to it."""
        assert isinstance(self.contact.uri, SipUri)
        return self.contact.uri


class Registrar:
    """All bindings of all phones, by username."""

    __slots__ = ("_bindings", "_connections", "_count")

    def __init__(self) -> None:
        self._bindings: dict[str, tuple[Binding, ...]] = {}
        self._count = 0
        # TCP connections that a binding was made over.
        self._connections: set[Flow] = set()

    def __len__(self) -> int:
        return self._count

    def contacts(self, username: str, now: float) -> tuple[Binding, ...]:
        """Where `username` can be reached at `now`, the preferred first."""
        live = [b for b in self._bindings.get(username, ()) if b.expires_at > now]
        return tuple(sorted(live, key=lambda binding: -binding.q))

    def next_expiry(self, username: str) -> float | None:
        """When the next binding of `username` runs out, in seconds, or None."""
        return min((b.expires_at for b in self._bindings.get(username, ())), default=None)

    def expire(self, username: str, now: float) -> bool:
        """Drop what has run out at `now`; whether `username` lost a contact."""
        bindings = self._bindings.get(username, ())
        live = tuple(b for b in bindings if b.expires_at > now)
        self._store(username, live)
        return len(live) != len(bindings)

    def register(self, username: str, request: Request, flow: Flow, now: float) -> bool:
        """Carry out a REGISTER, all of it or none; whether the contacts changed.

        Raises MessageError: 400 for a wrong "*", 403 over CONTACTS_PER_USER_MAX, 423 for an
        expiry under REGISTRATION_S_MIN, 500 for one out of order, 503 over BINDINGS_MAX.
        """
        contacts = request.contacts
        before = tuple(b for b in self._bindings.get(username, ()) if b.expires_at > now)
        if request.star:
            if len(contacts) or _seconds(request.value("expires")) != 0:
                raise MessageError(400, "Contact * needs Expires: 0 and no other Contact")
            for binding in before:
                _check_order(binding, request)
            self._store(username, ())
            return bool(before)
        if not contacts:
            return False
        after = list(before)
        for contact in contacts:
            _apply(after, contact, request, flow, now)
        if len(after) > CONTACTS_PER_USER_MAX:
            raise MessageError(403, f"CONTACTS_PER_USER_MAX is {CONTACTS_PER_USER_MAX}")
        if self._count - len(before) + len(after) > BINDINGS_MAX:
            raise MessageError(503, f"BINDINGS_MAX is {BINDINGS_MAX}")
        self._store(username, tuple(after))
        if flow.connection:
            self._connections.add(flow)
        return [(b.contact.uri, b.flow) for b in before] != [(b.contact.uri, b.flow) for b in after]

    def lose_connection(self, flow: Flow) -> list[str]:
        """A TCP connection closed: its phones are reached at their Contact's address from now.

        A Contact that is the connection's own far end leads nowhere any more and is dropped.
        Returns the usernames that lost one.
        """
        if flow not in self._connections:
            return []
        self._connections.discard(flow)
        poorer = []
        for username, bindings in list(self._bindings.items()):
            if all(b.flow != flow for b in bindings):
                continue
            kept = [b for b in bindings if b.flow != flow or b.uri.address != flow[1:3]]
            moved = [
                replace(b, flow=Flow("tcp", *b.uri.address)) if b.flow == flow else b for b in kept
            ]
            self._store(username, tuple(moved))
            if len(kept) < len(bindings):
                poorer.append(username)
        return poorer

    def _store(self, username: str, bindings: tuple[Binding, ...]) -> None:
        self._count += len(bindings) - len(self._bindings.get(username, ()))
        if bindings:
            self._bindings[username] = bindings
        else:
            self._bindings.pop(username, None)


def _seconds(text: str | None) -> int:
    # A malformed or absent expiry counts as one hour (RFC 3261 20.19).
    if text is None or not text.isascii() or not text.isdigit():
        return REGISTRATION_S_MAX
    return min(int(text[:12]), REGISTRATION_S_MAX)


def _check_order(binding: Binding, request: Request) -> None:
    if binding.call_id == request.call_id and request.cseq[0] <= binding.number:
        raise MessageError(500, "CSeq is not higher than that of the binding")


def _apply(
    bindings: list[Binding], contact: NameAddress, request: Request, flow: Flow, now: float
) -> None:
    if not isinstance(contact.uri, SipUri):
        raise MessageError(400, f"Contact {contact.uri.scheme}: is not a SIP URI")
    seconds = _seconds(contact.parameters.get("expires") or request.value("expires"))
    if 0 < seconds < REGISTRATION_S_MIN:
        raise MessageError(423, "Interval Too Brief")
    found = next((b for b in bindings if same_uri(b.contact.uri, contact.uri)), None)
    if found is None:
        found = next((b for b in bindings if _same_device(b, contact, request)), None)
    if found is not None:
        _check_order(found, request)
    if seconds == 0:
        if found is not None:
            bindings.remove(found)
        return
    via = request.vias[0]
    own = len(request.vias) == 1 and names_sender(contact.uri, via, flow)
    way = flow if own else Flow(contact.uri.transport, *contact.uri.address)
    kept = {k: v for k, v in contact.parameters.items() if k != "expires"}
    binding = Binding(
        replace(contact, parameters=kept),
        way,
        now + seconds,
        request.call_id,
        request.cseq[0],
        _preference(contact.parameters.get("q")),
        request.value("user-agent") or "",
    )
    if found is None:
        bindings.append(binding)
    else:
        bindings[bindings.index(found)] = binding


def _same_device(binding: Binding, contact: NameAddress, request: Request) -> bool:
    """Whether an earlier REGISTER of the same device made `binding` (RFC 5626 4.1, 6).

    A phone that starts again or changes its network comes from another address: the old one
    is not to be rung until it expires.
    """
    names = ("+sip.instance", "reg-id")
    mine, theirs = (
        tuple(known.parameters.get(name) for name in names) for known in (binding.contact, contact)
    )
    earlier = (binding.call_id, binding.number) != (request.call_id, request.cseq[0])
    return bool(mine[0]) and mine == theirs and earlier


_Q_VALUE = re.compile(r"0(?:\.\d{0,3}+)?+|1(?:\.0{0,3}+)?+")


def _preference(text: str | None) -> float:
    return float(text) if text and _Q_VALUE.fullmatch(text) else 1.0


def contact_fields(bindings: Iterable[Binding], now: float) -> list[tuple[str, str]]:
    """The Contact fields of a 200 to REGISTER, with the seconds left (RFC 3261 10.3, 8)."""
    return [("Contact", f"{b.contact};expires={max(int(b.expires_at - now), 0)}") for b in bindings]
