"""Conferences: creating, states, who is let in and what the others hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conference import limits
from conference.conference import (
    STEPS,
    Access,
    Admission,
    Conference,
    Event,
    State,
    add_caller,
    admit,
    create,
    end,
    normalise_number,
    state_at,
    step,
)
from conference.directory import find_by_access_code, find_by_id
from conference.errors import (
    LANGUAGES,
    CallerNotListed,
    Ended,
    Full,
    IllegalStep,
    InvalidValue,
    LimitReached,
    NoFreeCode,
    NotStarted,
    OverTwoHours,
    Refused,
    UnknownConference,
    WrongPin,
)

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def counting() -> Callable[[int], bytes]:
    """Draws 1, 2, 3, ... in as many bytes as asked."""
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def a_conference(**wanted: Any) -> Conference:
    parameters: dict[str, Any] = {
        "account_id": "a1",
        "now": NOW,
        "draw": counting(),
        "id_taken": lambda _: False,
        "code_taken": lambda _: False,
    }
    return create(**(parameters | wanted))


def try_in(conference: Conference, **how: Any) -> Admission:
    parameters: dict[str, Any] = {"caller": None, "pin": None, "participants": 0, "now": NOW}
    return admit(conference, **(parameters | how))


def test_a_conference_starts_now_for_two_hours_unless_told() -> None:
    conference = a_conference()
    assert conference == Conference(
        conf_id="000001",
        account_id="a1",
        access_code="1000002",
        access=Access.OPEN,
        start=NOW,
        end=NOW + minutes(120),
        max_participants=100,
    )
    assert state_at(conference, NOW) is State.RUNNING


def test_a_start_in_any_zone_is_kept_in_utc() -> None:
    paris = timezone(timedelta(hours=1))
    conference = a_conference(start=datetime(2026, 11, 24, 16, 0, tzinfo=paris), duration_min=30)
    assert conference.start == NOW + minutes(60)
    assert conference.start.tzinfo is UTC
    assert conference.end - conference.start == minutes(30)


def test_identifiers_in_use_are_drawn_again() -> None:
    conference = a_conference(
        id_taken={"000001", "000002"}.__contains__, code_taken={"1000004"}.__contains__
    )
    assert (conference.conf_id, conference.access_code) == ("000003", "1000005")


@given(st.binary(min_size=8, max_size=8))
def test_identifiers_have_their_forms(drawn: bytes) -> None:
    conference = a_conference(draw=lambda size: drawn[:size])
    assert len(conference.conf_id) == 6
    assert int(conference.conf_id, 16) >= 0
    assert 6 <= len(conference.access_code) <= 9
    assert conference.access_code.isdigit()
    assert conference.access_code[0] != "0"


def test_a_source_that_never_gives_an_unused_identifier_is_an_error() -> None:
    draws = counting()
    with pytest.raises(NoFreeCode, match=r"conference identifier after DRAWS_MAX \(64\)"):
        a_conference(draw=draws, id_taken=lambda _: True)
    assert draws(1) == bytes([limits.DRAWS_MAX + 1])


@pytest.mark.parametrize(
    ("wanted", "field", "status", "right"),
    [
        ({"duration_min": 0}, "duration", 432, "1 to 120 minutes"),
        ({"duration_min": -5}, "duration", 432, "1 to 120 minutes"),
        ({"duration_min": 121}, "duration", 440, "1 to 120 minutes"),
        ({"start": datetime(2026, 11, 24, 15, 0)}, "start", 432, "offset"),  # noqa: DTZ001
        ({"start": NOW - minutes(6)}, "start", 432, "not in the past"),
        ({"start": NOW + timedelta(days=367)}, "start", 432, "at most 366 days ahead"),
        ({"access": "secret"}, "access", 432, "one of open, pin, callers"),
        ({"access": "pin"}, "pin", 430, "4 to 8 digits"),
        ({"access": "pin", "pin": "123"}, "pin", 432, "4 to 8 digits"),
        ({"access": "pin", "pin": "123456789"}, "pin", 432, "4 to 8 digits"),
        ({"access": "pin", "pin": "12a4"}, "pin", 432, "4 to 8 digits"),
        ({"access": "open", "pin": "1234"}, "pin", 432, "only with access=pin"),
        ({"max_participants": 1}, "max_participants", 432, "2 to 1000"),
        ({"max_participants": 1001}, "max_participants", 432, "2 to 1000"),
    ],
)
def test_what_is_not_usable_is_refused_by_name(
    wanted: dict[str, Any], field: str, status: int, right: str
) -> None:
    with pytest.raises(InvalidValue, match=right) as caught:
        a_conference(**wanted)
    assert caught.value.field == field
    assert caught.value.status == status
    assert str(caught.value).startswith(f"{field} is ")


@pytest.mark.parametrize(
    "wanted",
    [
        {"duration_min": 1},
        {"duration_min": 120},
        {"start": NOW - minutes(5)},
        {"start": NOW + timedelta(days=366)},
        {"access": "pin", "pin": "0000"},
        {"access": "pin", "pin": "12345678"},
        {"max_participants": 2},
        {"max_participants": 1000},
    ],
)
def test_the_limits_themselves_are_allowed(wanted: dict[str, Any]) -> None:
    a_conference(**wanted)


def test_a_pin_is_in_no_text() -> None:
    conference = a_conference(access="pin", pin="918273")
    assert "918273" not in repr(conference)
    with pytest.raises(InvalidValue) as bad:
        a_conference(access="pin", pin="918273x")
    assert "918273" not in str(bad.value)
    with pytest.raises(WrongPin) as wrong:
        try_in(conference, pin="918274")
    assert "91827" not in str(wrong.value)


# States


def test_time_moves_a_conference_through_its_states() -> None:
    conference = a_conference(start=NOW + minutes(10), duration_min=30)
    seen = [state_at(conference, NOW + minutes(after)) for after in (9.99, 10, 39.99, 40)]
    assert seen == [State.SCHEDULED, State.RUNNING, State.RUNNING, State.ENDED]


def test_a_conference_is_ended_by_request_once() -> None:
    for start in (None, NOW + minutes(10)):
        over = end(a_conference(start=start), NOW)
        assert state_at(over, NOW) is State.ENDED
        with pytest.raises(IllegalStep, match="000001 is ended: ending it is not possible"):
            end(over, NOW)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_only_the_steps_of_the_table_are_possible(state: State, event: Event) -> None:
    starts = {State.SCHEDULED: NOW + minutes(1), State.RUNNING: NOW, State.ENDED: NOW - minutes(5)}
    conference = a_conference(start=starts[state], duration_min=5)
    assert state_at(conference, NOW) is state
    if (state, event) in STEPS:
        assert step(conference, event, NOW) is STEPS[state, event]
    else:
        with pytest.raises(IllegalStep) as caught:
            step(conference, event, NOW)
        assert (caught.value.state, caught.value.event, caught.value.status) == (state, event, 409)


# Callers


def test_callers_are_added_before_and_while_it_runs() -> None:
    conference = a_conference(start=NOW + minutes(10), access="callers")
    conference = add_caller(conference, "+33 1 99 00 00 01", NOW)
    conference = add_caller(conference, "33199000002", NOW + minutes(20))
    assert add_caller(conference, "33199000002", NOW + minutes(20)) is conference
    assert conference.callers == {"33199000001", "33199000002"}
    with pytest.raises(IllegalStep, match="ended: adding a caller"):
        add_caller(conference, "33199000003", NOW + minutes(130))


@pytest.mark.parametrize("text", ["", "abc", "0199000001", "1234", "3" * 16, "sip:a@b.example"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="international digits") as caught:
        add_caller(a_conference(access="callers"), text, NOW)
    assert (caught.value.field, caught.value.status) == ("number", 433)


def test_the_list_of_callers_has_a_limit() -> None:
    numbers = frozenset(str(33_199_000_000 + each) for each in range(limits.CALLERS_MAX))
    full = replace(a_conference(access="callers"), callers=numbers)
    with pytest.raises(LimitReached, match=r"CALLERS_MAX \(1000\)") as caught:
        add_caller(full, "33299000000", NOW)
    assert caught.value.status == 429


def test_numbers_are_taken_as_people_write_them() -> None:
    for text in ("33199000001", "+33199000001", "+33 1 99 00 00 01", "+33 (1) 99.00-00/01"):
        assert normalise_number(text) == "33199000001"


# Coming in


def test_whoever_comes_in_may_stay_until_the_end() -> None:
    conference = a_conference(duration_min=30)
    assert try_in(conference) == Admission("000001", 1800.0)
    assert try_in(conference, now=NOW + minutes(29.5)) == Admission("000001", 30.0)


def test_two_hours_count_from_the_start_of_the_conference() -> None:
    longer = replace(a_conference(), end=NOW + minutes(300))
    assert try_in(longer, now=NOW + minutes(119)).max_seconds == 60
    with pytest.raises(OverTwoHours):
        try_in(longer, now=NOW + minutes(120))


def test_a_listed_caller_comes_in_others_do_not() -> None:
    conference = add_caller(a_conference(access="callers"), "33199000001", NOW)
    assert try_in(conference, caller="+33199000001")
    for stranger in ("33199000002", None, "sip:alice@example.org"):
        with pytest.raises(CallerNotListed):
            try_in(conference, caller=stranger)


def test_the_pin_lets_in_and_nothing_else_does() -> None:
    conference = add_caller(a_conference(access="pin", pin="4711"), "33199000001", NOW)
    assert try_in(conference, pin="4711")
    for wrong in ("4712", "471", "47110", "", "é711", None):
        with pytest.raises(WrongPin) as caught:
            try_in(conference, pin=wrong, caller="33199000001")
        assert caught.value.missing is (wrong is None)


def test_an_invited_guest_needs_neither_list_nor_pin_but_the_right_time() -> None:
    for conference in (a_conference(access="pin", pin="4711"), a_conference(access="callers")):
        assert try_in(conference, invited=True, caller="33199000009")
        with pytest.raises(OverTwoHours):
            try_in(conference, invited=True, now=NOW + minutes(121))
        with pytest.raises(Full):
            try_in(conference, invited=True, participants=100)


def test_only_who_may_come_in_is_told_that_it_is_full() -> None:
    conference = a_conference(access="pin", pin="4711", max_participants=2)
    assert try_in(conference, pin="4711", participants=1)
    with pytest.raises(Full):
        try_in(conference, pin="4711", participants=2)
    with pytest.raises(WrongPin):
        try_in(conference, pin="0000", participants=2)


OPEN = a_conference(duration_min=30)
LATER = a_conference(start=NOW + minutes(10))
REFUSALS: list[tuple[type[Refused], int, int, Callable[[], object], str, str]] = [
    (
        NotStarted,
        443,
        480,
        lambda: try_in(LATER),
        "The conference has not started yet. It starts in 10 minutes. Please call again then.",
        "La conférence n'a pas encore commencé. Elle commence dans 10 minutes. "
        "Veuillez rappeler à ce moment-là.",
    ),
    (
        Ended,
        444,
        410,
        lambda: try_in(OPEN, now=NOW + minutes(30)),
        "The conference has ended.",
        "La conférence est terminée.",
    ),
    (
        Ended,
        444,
        410,
        lambda: try_in(end(OPEN, NOW)),
        "The conference has ended.",
        "La conférence est terminée.",
    ),
    (
        OverTwoHours,
        440,
        410,
        lambda: try_in(a_conference(), now=NOW + minutes(120)),
        "The conference has reached its limit of two hours and is over.",
        "La conférence a atteint sa limite de deux heures et est terminée.",
    ),
    (
        CallerNotListed,
        446,
        403,
        lambda: try_in(a_conference(access="callers"), caller="33199000001"),
        "Your number is not on the list of this conference. Please ask its organiser to add it.",
        "Votre numéro n'est pas sur la liste de cette conférence. "
        "Veuillez demander à l'organisateur de l'ajouter.",
    ),
    (
        WrongPin,
        448,
        403,
        lambda: try_in(a_conference(access="pin", pin="4711"), pin="4712"),
        "This PIN is not correct.",
        "Ce code confidentiel n'est pas correct.",
    ),
    (
        WrongPin,
        448,
        403,
        lambda: try_in(a_conference(access="pin", pin="4711")),
        "This conference asks for a PIN.",
        "Cette conférence demande un code confidentiel.",
    ),
    (
        Full,
        445,
        486,
        lambda: try_in(OPEN, participants=100),
        "The conference is full.",
        "La conférence est complète.",
    ),
    (
        UnknownConference,
        404,
        404,
        lambda: find_by_id(Shelf(), "conf:ffffff"),
        "There is no conference with this code.",
        "Aucune conférence ne correspond à ce code.",
    ),
]


@pytest.mark.parametrize(("kind", "status", "sip_status", "attempt", "english", "french"), REFUSALS)
def test_every_refusal_has_its_verdict_and_its_sentence(
    kind: type[Refused],
    status: int,
    sip_status: int,
    attempt: Callable[[], object],
    english: str,
    french: str,
) -> None:
    with pytest.raises(kind) as caught:
        attempt()
    refusal = caught.value
    assert (refusal.status, refusal.sip_status) == (status, sip_status)
    assert refusal.spoken("en-US") == refusal.spoken("de") == english
    assert refusal.spoken("fr-FR") == refusal.spoken("FR_ca") == french


def test_no_refusal_is_without_sentences() -> None:
    assert {kind for kind, *_ in REFUSALS} == set(Refused.__subclasses__())
    for kind in Refused.__subclasses__():
        assert set(kind.sentences) == set(LANGUAGES)


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (5, "1 minute.", "1 minute."),
        (61, "2 minutes.", "2 minutes."),
        (119 * 60, "119 minutes.", "119 minutes."),
        (2 * 3600 + 1, "3 hours.", "3 heures."),
        (47 * 3600, "47 hours.", "47 heures."),
        (72 * 3600 - 5, "3 days.", "3 jours."),
    ],
)
def test_how_long_it_is_until_the_start_is_said_as_people_do(
    seconds: float, english: str, french: str
) -> None:
    later = a_conference(start=NOW + timedelta(seconds=seconds))
    with pytest.raises(NotStarted) as caught:
        try_in(later)
    assert f"in {english}" in caught.value.spoken("en")
    assert f"dans {french}" in caught.value.spoken("fr")


class Shelf:
    """A directory in memory."""

    def __init__(self, *conferences: Conference) -> None:
        self._conferences = conferences

    def by_id(self, conf_id: str) -> Conference | None:
        return next((each for each in self._conferences if each.conf_id == conf_id), None)

    def by_access_code(self, access_code: str) -> Conference | None:
        return next((each for each in self._conferences if each.access_code == access_code), None)


def test_a_conference_is_found_by_its_identifier_and_its_code() -> None:
    conference = replace(a_conference(), conf_id="12a34b")
    shelf = Shelf(conference)
    for text in ("12a34b", "conf:12a34b", "CONF:12A34B"):
        assert find_by_id(shelf, text) is conference
    assert find_by_access_code(shelf, conference.access_code) is conference
    with pytest.raises(UnknownConference, match="'9'"):
        find_by_access_code(shelf, "9")
