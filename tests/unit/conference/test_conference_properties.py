"""Whatever happens: nobody inside at the wrong time, and the roster counts right."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from conference import limits
from conference.conference import Access, Conference, Event, State, admit, end, state_at, step
from conference.errors import AlreadyInside, IllegalStep, LimitReached, NotInside, Refused
from conference.roster import Joined, Participant, Roster

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
TWO_HOURS = timedelta(hours=2)
MOMENTS = st.integers(-20_000, 20_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


def conference(start: datetime, duration_s: int, places: int = 5) -> Conference:
    return Conference(
        conf_id="12a34b",
        account_id="a1",
        access_code="1234567",
        access=Access.OPEN,
        start=start,
        end=start + timedelta(seconds=duration_s),
        max_participants=places,
    )


@given(
    start=MOMENTS,
    duration_s=st.integers(1, 20_000),
    now=MOMENTS,
    invited=st.booleans(),
    ended_at=st.none() | MOMENTS,
)
@settings(max_examples=500)
def test_nobody_is_inside_at_the_wrong_time(
    start: datetime, duration_s: int, now: datetime, invited: bool, ended_at: datetime | None
) -> None:
    asked = conference(start, duration_s)
    if ended_at is not None and ended_at <= now:
        try:
            asked = end(asked, ended_at)
        except IllegalStep:
            assert state_at(asked, ended_at) is State.ENDED
    right = start <= now < min(asked.end, start + TWO_HOURS) and asked.ended_at is None
    try:
        admission = admit(asked, caller=None, pin=None, participants=0, now=now, invited=invited)
    except Refused:
        assert not right
    else:
        assert right
        assert admission.max_seconds > 0
        leaves = now + timedelta(seconds=admission.max_seconds)
        assert leaves <= asked.end
        assert leaves <= start + TWO_HOURS


class AnyEvening(RuleBasedStateMachine):
    """Callers come and go, the clock goes on, somebody may end the conference."""

    legs = Bundle("legs")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.conference = conference(NOW + timedelta(seconds=600), 5400)
        self.roster = Roster()
        self.must_leave: dict[str, datetime] = {}
        self.numbers = 0

    @rule(seconds=st.integers(0, 1500))
    def time_passes(self, seconds: int) -> None:
        """As the house does it: whose time is up goes."""
        self.now += timedelta(seconds=seconds)
        for leg, moment in list(self.must_leave.items()):
            if moment <= self.now:
                self.roster.leave(leg, moment)
                del self.must_leave[leg]

    @rule(target=legs)
    def somebody_calls(self) -> str:
        self.numbers += 1
        leg = f"leg{self.numbers}"
        self._try(leg)
        return leg

    @rule(leg=legs)
    def somebody_calls_again(self, leg: str) -> None:
        if leg in self.must_leave:
            with pytest.raises(AlreadyInside):
                self.roster.join(leg, None, self.now)
        else:
            self._try(leg)

    @rule(leg=legs)
    def somebody_hangs_up(self, leg: str) -> None:
        if leg not in self.must_leave:
            with pytest.raises(NotInside):
                self.roster.leave(leg, self.now)
            return
        left = self.roster.leave(leg, self.now)
        assert left.participant.left_at == self.now
        del self.must_leave[leg]

    @rule()
    def it_is_ended(self) -> None:
        if state_at(self.conference, self.now) is State.ENDED:
            with pytest.raises(IllegalStep):
                step(self.conference, Event.END, self.now)
            return
        self.conference = end(self.conference, self.now)
        inside = self.roster.count
        assert [left.inside for left in self.roster.leave_all(self.now)] == list(
            range(inside - 1, -1, -1)
        )
        self.must_leave.clear()

    def _try(self, leg: str) -> None:
        try:
            admission = admit(
                self.conference,
                caller=None,
                pin=None,
                participants=self.roster.count,
                now=self.now,
            )
        except Refused:
            return
        joined = self.roster.join(leg, None, self.now)
        assert joined == Joined(Participant(leg, None, self.now), self.roster.count)
        self.must_leave[leg] = self.now + timedelta(seconds=admission.max_seconds)

    @invariant()
    def the_count_is_right(self) -> None:
        assert self.roster.count == len(self.must_leave) <= self.conference.max_participants
        assert {each.leg_id for each in self.roster.inside} == set(self.must_leave)
        open_stays = [each for each in self.roster.history if each.left_at is None]
        assert tuple(open_stays) == self.roster.inside

    @invariant()
    def nobody_is_inside_at_the_wrong_time(self) -> None:
        if state_at(self.conference, self.now) is not State.RUNNING:
            assert self.roster.count == 0
        for stay in self.roster.history:
            assert stay.joined_at >= self.conference.start
            assert (stay.left_at or self.now) <= self.conference.last_moment
            assert 0 <= stay.seconds(self.now) <= TWO_HOURS.total_seconds()


TestAnyEvening = AnyEvening.TestCase
TestAnyEvening.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_history_keeps_every_stay() -> None:
    roster = Roster()
    roster.join("a", "33199000001", NOW)
    roster.join("b", None, NOW + timedelta(seconds=5))
    left = roster.leave("a", NOW + timedelta(seconds=60))
    assert left.participant.seconds(NOW + timedelta(hours=1)) == 60
    roster.join("a", "33199000001", NOW + timedelta(seconds=90))
    assert [(stay.leg_id, stay.number) for stay in roster.history] == [
        ("a", "33199000001"),
        ("b", None),
        ("a", "33199000001"),
    ]
    assert [stay.leg_id for stay in roster.inside] == ["b", "a"]
    assert roster.inside[1].seconds(NOW + timedelta(seconds=100)) == 10


def test_the_history_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOINS_MAX", 3)
    roster = Roster()
    for _ in range(3):
        roster.join("a", None, NOW)
        roster.leave("a", NOW)
    with pytest.raises(LimitReached, match="JOINS_MAX"):
        roster.join("a", None, NOW)


def test_a_conference_is_not_changed_by_ending_it() -> None:
    before = conference(NOW, 600)
    assert end(before, NOW) == replace(before, ended_at=NOW)
    assert before.ended_at is None
