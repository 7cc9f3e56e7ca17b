"""Conferences on this node: their rows, who is inside, their audio room and their money.

Who may come in is the conference room's decision (`conference.admit`); here it takes
effect: a refusal is spoken, the participant's row is written before the leg joins the
audio, and leaving writes the row's end and the earnings in one transaction.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from billing import ledger
from billing.money import cost, seconds_between
from conference import conference as rules
from conference.directory import find_by_access_code, find_by_id
from conference.errors import ConferenceError, InvalidValue, UnknownConference
from conference.errors import Refused as NotAdmitted
from conference.limits import DRAWS_MAX, DURATION_MINUTES_DEFAULT, PARTICIPANTS_DEFAULT
from conference.roster import Roster
from service.calls import Call
from service.connect import Connected, ConnectOptions
from service.errors import Refused, Status
from service.legs import CallLeg
from service.routing import parse_number
from service.storage.tables import conference_callers, conferences, participants
from service.views import ConferenceView, ParticipantView

if TYPE_CHECKING:
    from service.house import House


@dataclass
class Live:
    """A conference that is not over, and who is in it."""

    conference: rules.Conference
    roster: Roster = field(default_factory=Roster)
    ended: asyncio.Future[str] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Conferences:
    """The conferences of this node; a `conference.directory.Directory` of those not over."""

    def __init__(self, house: "House") -> None:
        self.house = house
        self._live: dict[str, Live] = {}
        self._by_code: dict[str, str] = {}

    async def load(self) -> None:
        """Take over the conferences that the database holds and whose time is not over."""
        now = self.house.now()
        for found in await self.house.database.read(lambda connection: _read_open(connection, now)):
            self._remember(found)

    def _remember(self, conference: rules.Conference) -> Live:
        live = self._live.setdefault(conference.conf_id, Live(conference))
        self._by_code[conference.access_code] = conference.conf_id
        left_s = (conference.last_moment - self.house.now()).total_seconds()
        asyncio.get_running_loop().call_later(max(left_s, 0.0), self._over, live)
        return live

    def _over(self, live: Live) -> None:
        """End a conference whose time is up, and forget it."""
        if not live.ended.done():
            live.ended.set_result("conference_ended")
        self._live.pop(live.conference.conf_id, None)
        self._by_code.pop(live.conference.access_code, None)

    def __len__(self) -> int:
        return len(self._live)

    def participants(self) -> int:
        """Return how many are inside all conferences."""
        return sum(live.roster.count for live in self._live.values())

    def by_id(self, conf_id: str) -> rules.Conference | None:
        live = self._live.get(conf_id)
        return live.conference if live else None

    def by_access_code(self, access_code: str) -> rules.Conference | None:
        return self.by_id(self._by_code.get(access_code, ""))

    def find_by_code(self, access_code: str) -> rules.Conference:
        """Return the conference whose code was typed; raises `UnknownConference`."""
        return find_by_access_code(self, access_code)

    def listing(self, caller: str) -> rules.Conference | None:
        """Return the one conference that is on and lists this number, if it is one."""
        number, now = parse_number(caller), self.house.now()
        if number is None:
            return None
        found = [
            live.conference
            for live in self._live.values()
            if number in live.conference.callers
            and rules.state_at(live.conference, now) is rules.State.RUNNING
        ]
        return found[0] if len(found) == 1 else None

    def inside(self, conf_id: str) -> int:
        """Return how many are inside a conference."""
        live = self._live.get(conf_id)
        return live.roster.count if live else 0

    # What an account does with its conferences

    async def create(
        self,
        account_id: str,
        *,
        start: datetime | None,
        duration_min: int | None,
        access: str,
        pin: str | None,
        max_participants: int | None,
    ) -> ConferenceView:
        """Make a conference and return it once it is stored; raises `Refused`."""
        now = self.house.now()
        for tries_left in range(DRAWS_MAX, 0, -1):
            made = self._draw(account_id, now, start, duration_min, access, pin, max_participants)
            try:
                await self.house.database.write(partial(_insert, made=made, now=now))
                break
            except IntegrityError:
                # Drawn before, for a conference that is over: memory forgets those.
                if tries_left == 1:
                    raise
        self._remember(made)
        return self._view(made, ())

    def _draw(
        self,
        account_id: str,
        now: datetime,
        start: datetime | None,
        duration_min: int | None,
        access: str,
        pin: str | None,
        max_participants: int | None,
    ) -> rules.Conference:
        try:
            return rules.create(
                account_id=account_id,
                now=now,
                draw=secrets.token_bytes,
                id_taken=lambda conf_id: conf_id in self._live,
                code_taken=lambda code: code in self._by_code,
                start=start,
                duration_min=DURATION_MINUTES_DEFAULT if duration_min is None else duration_min,
                access=access,
                pin=pin,
                max_participants=PARTICIPANTS_DEFAULT
                if max_participants is None
                else max_participants,
            )
        except ConferenceError as error:
            raise as_refused(error) from error

    async def get(self, account_id: str, conf_id: str) -> ConferenceView:
        """Return a conference of the account, over or not, with its history; raises `Refused`."""
        conf_id = conf_id.removeprefix("conf:").lower()
        found = await self.house.database.read(lambda connection: _read_one(connection, conf_id))
        if found is None or found[0].account_id != account_id:
            raise as_refused(UnknownConference(conf_id))
        return self._view(*found)

    async def add_caller(self, account_id: str, conf_id: str, number: str) -> None:
        """Let a number in, before the conference and while it runs; raises `Refused`."""

        def add(conference: rules.Conference) -> rules.Conference:
            return rules.add_caller(conference, number, self.house.now())

        live, changed = self._change(account_id, conf_id, add)
        new = changed.callers - live.conference.callers
        rows = [
            {"conference_id": changed.conf_id, "number": one, "added_at": self.house.now()}
            for one in new
        ]
        live.conference = changed
        if rows:
            await self.house.database.write(
                lambda connection: connection.execute(insert(conference_callers), rows).rowcount
            )

    async def end(self, account_id: str, conf_id: str) -> None:
        """End a conference now: everybody inside leaves; raises `Refused`."""

        def end(conference: rules.Conference) -> rules.Conference:
            return rules.end(conference, self.house.now())

        live, changed = self._change(account_id, conf_id, end)
        statement = (
            update(conferences)
            .where(conferences.c.id == changed.conf_id)
            .values(ended_at=changed.ended_at)
        )
        await self.house.database.write(lambda connection: connection.execute(statement).rowcount)
        live.conference = changed
        self._over(live)

    def _change(
        self,
        account_id: str,
        conf_id: str,
        change: Callable[[rules.Conference], rules.Conference],
    ) -> tuple[Live, rules.Conference]:
        try:
            found = find_by_id(self, conf_id)
            if found.account_id != account_id:
                raise UnknownConference(conf_id)
            return self._live[found.conf_id], change(found)
        except ConferenceError as error:
            raise as_refused(error) from error

    # Coming in

    def check(self, account_id: str | None, conf_id: str, options: ConnectOptions) -> None:
        """Raise `Refused` where somebody could not come in right now."""
        try:
            self._admit(account_id, None, conf_id, options)
        except ConferenceError as error:
            raise as_refused(error) from error

    def _admit(
        self, account_id: str | None, caller: str | None, conf_id: str, options: ConnectOptions
    ) -> tuple[Live, rules.Admission]:
        found = find_by_id(self, conf_id)
        if found.account_id != account_id and not options.any_account:
            raise UnknownConference(conf_id)
        live = self._live[found.conf_id]
        admission = rules.admit(
            found,
            caller=caller,
            pin=options.pin,
            participants=live.roster.count,
            now=self.house.now(),
            invited=options.invited,
        )
        return live, admission

    async def enter(
        self, call: Call, leg: CallLeg, conf_id: str, options: ConnectOptions
    ) -> Connected:
        """Lead a leg into a conference and stay until it leaves or the conference is over.

        Who may not come in hears why; then `Refused` is raised.
        """
        try:
            live, admission = self._admit(call.account_id, call.caller, conf_id, options)
            live.roster.join(leg.media_id, call.caller, self.house.now())
        except ConferenceError as error:
            call.note("conference_refused", conference=conf_id, why=str(error))
            if isinstance(error, NotAdmitted):
                language = self.house.settings.speech.language
                await self.house.speak(call, leg, error.spoken(language), language)
            raise as_refused(error) from error
        conference = live.conference
        call.account_id = call.account_id or conference.account_id
        started = self.house.clock()
        row_id = None
        try:
            row_id = await self._came_in(call, conference.conf_id)
            leg.join(f"conf:{conference.conf_id}")
            call.note("conference_joined", conference=conference.conf_id)
            await asyncio.wait(
                {leg.ended, live.ended},
                timeout=admission.max_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            live.roster.leave(leg.media_id, self.house.now())
            leg.leave()
            if row_id is not None:
                await asyncio.shield(self._went(call, conference, row_id))
        over = live.ended.done() or not leg.ended.done()
        return Connected(
            "near_end_disconnect" if over else "far_end_disconnect", self.house.clock() - started
        )

    async def _came_in(self, call: Call, conf_id: str) -> int:
        row = {
            "conference_id": conf_id,
            "call_id": call.id,
            "number": call.called if call.direction == "outgoing" else call.caller,
            "inbound": call.earns,
            "node": self.house.settings.node.id,
            "joined_at": self.house.now(),
            "left_at": None,
        }

        def write(connection: Connection) -> int:
            key = connection.execute(insert(participants), row).inserted_primary_key
            assert key is not None
            return int(key[0])

        return await self.house.database.write(write)

    async def _went(self, call: Call, conference: rules.Conference, row_id: int) -> None:
        at = self.house.now()
        rate = self.house.prices.participant_per_minute
        earned = await self.house.database.write(
            lambda connection: leave(connection, row_id, conference.account_id, rate, left_at=at)
        )
        call.earned_millicredits += earned
        call.note("conference_left", conference=conference.conf_id, earned_millicredits=earned)

    def _view(
        self, conference: rules.Conference, stays: tuple[ParticipantView, ...]
    ) -> ConferenceView:
        return ConferenceView(
            conf_id=conference.conf_id,
            access_code=conference.access_code,
            phone_number=self.house.dial_in_number(),
            sip_uri=f"sip:conf-{conference.conf_id}@{self.house.sip_authority()}",
            start=conference.start,
            end=conference.end,
            access=conference.access,
            state=str(rules.state_at(conference, self.house.now())),
            participants=stays,
        )


def leave(
    connection: Connection,
    row_id: int,
    account_id: str,
    rate: int,
    *,
    left_at: datetime,
) -> int:
    """End a stay and pay what it earned; return the amount, in millicredits.

    `rate` is what a minute of an incoming participant earns. A stay that has ended
    already earns nothing more: nothing is paid twice.
    """
    of_row = participants.c.id == row_id
    stay = connection.execute(select(participants).where(of_row)).one()
    if stay.left_at is not None:
        return 0
    connection.execute(update(participants).where(of_row).values(left_at=left_at))
    if not stay.inbound:
        return 0
    earned = cost(rate, seconds_between(stay.joined_at, left_at))
    ledger.earn(
        connection,
        account_id,
        earned,
        reference=stay.call_id,
        at=left_at,
        memo=f"conference {stay.conference_id}",
    )
    return earned


def settle_stays(connection: Connection, node: str, rate: int, *, alive_at: datetime) -> int:
    """End the stays that a dead node left open, at the last moment it is known to have lived.

    Returns how many there were; each earns what it lasted until then.
    """
    open_stays = connection.execute(
        select(participants.c.id, participants.c.joined_at, conferences.c.account_id)
        .join(conferences, conferences.c.id == participants.c.conference_id)
        .where(participants.c.node == node, participants.c.left_at.is_(None))
    ).all()
    for stay in open_stays:
        left_at = max(alive_at, stay.joined_at)
        leave(connection, stay.id, stay.account_id, rate, left_at=left_at)
    return len(open_stays)


def as_refused(error: ConferenceError) -> Refused:
    """Return the API's refusal for one of the conference room's."""
    if isinstance(error, InvalidValue):
        return Refused(Status(error.status), str(error), field=error.field, hint=error.hint)
    status = Status.TOO_LONG if error.status == Status.TOO_LONG else Status(error.status)
    return Refused(status, str(error), field="conf_id")


def _insert(connection: Connection, made: rules.Conference, now: datetime) -> None:
    connection.execute(
        insert(conferences),
        {
            "id": made.conf_id,
            "account_id": made.account_id,
            "access_code": made.access_code,
            "access": str(made.access),
            "pin": made.pin,
            "max_participants": made.max_participants,
            "start": made.start,
            "end": made.end,
            "ended_at": None,
            "created_at": now,
        },
    )


def _conference(connection: Connection, row: object) -> rules.Conference:
    values = row._mapping  # type: ignore[attr-defined]  # a Row of `conferences`
    callers = connection.scalars(
        select(conference_callers.c.number).where(
            conference_callers.c.conference_id == values["id"]
        )
    )
    return rules.Conference(
        conf_id=values["id"],
        account_id=values["account_id"],
        access_code=values["access_code"],
        access=rules.Access(values["access"]),
        start=values["start"],
        end=values["end"],
        max_participants=values["max_participants"],
        pin=values["pin"],
        callers=frozenset(callers),
        ended_at=values["ended_at"],
    )


def _read_open(connection: Connection, now: datetime) -> list[rules.Conference]:
    rows = connection.execute(
        select(conferences).where(conferences.c.end > now, conferences.c.ended_at.is_(None))
    ).all()
    return [_conference(connection, row) for row in rows]


def _read_one(
    connection: Connection, conf_id: str
) -> tuple[rules.Conference, tuple[ParticipantView, ...]] | None:
    row = connection.execute(select(conferences).where(conferences.c.id == conf_id)).first()
    if row is None:
        return None
    stays = connection.execute(
        select(participants)
        .where(participants.c.conference_id == conf_id)
        .order_by(participants.c.id)
    )
    return _conference(connection, row), tuple(
        ParticipantView(stay.number, stay.joined_at, stay.left_at) for stay in stays
    )
