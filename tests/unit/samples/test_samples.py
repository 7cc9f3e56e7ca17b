"""What a caller meets in each sample script."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from macros import Catalog
from service.cli import main
from vxml_engine.parser import Prepare
from vxml_engine.session import Connection
from vxml_engine.testing.conversation import Conversation
from vxml_engine.testing.plugin import vxml  # noqa: F401 - the fixture, before a reinstall

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
SCRIPTS = sorted(path.name for path in SAMPLES.glob("*.vxml"))
THANKS = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
<form><block>Thank you.</block></form></vxml>"""

Call = Callable[..., Conversation]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture
def vxml_prepare(catalog: Catalog) -> Prepare:
    return catalog.expand


@pytest.fixture
def call(vxml: Call) -> Call:  # noqa: F811 - the fixture
    def begin(name: str, **begins_with: Any) -> Conversation:
        return vxml(SAMPLES / name, recognizes=False, **begins_with)

    return begin


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_passes_the_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SAMPLES / name)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_stands_in_the_readme_and_has_a_test(name: str) -> None:
    assert f"[{name}]({name})" in (SAMPLES / "README.md").read_text()
    assert f'"{name}"' in Path(__file__).read_text()


def test_conference(call: Call) -> None:
    on = call("conference.vxml")
    on.hears("You are entering the conference.")
    on.is_transferred_to("conf:12a34b")
    on.hears("The conference is over.")
    on.ends("disconnect")


def test_menu_tells_the_hours_and_puts_through(call: Call) -> None:
    on = call("menu.vxml")
    on.presses("1")
    on.hears("from nine to five")
    on.presses("2")
    on.is_transferred_to("tel:+33199000009", result="busy")
    on.hears("Everybody is speaking already.")
    on.presses("9")
    on.hears("Goodbye.")
    on.ends("disconnect")


def test_menu_says_goodbye_after_the_third_silence(call: Call) -> None:
    on = call("menu.vxml")
    for _ in range(2):
        on.stays_silent()
        on.hears("I did not hear a key.")
    on.stays_silent()
    on.hears("Goodbye.")
    on.ends("disconnect")


def test_pin(call: Call) -> None:
    on = call("pin.vxml")
    on.presses("4321")
    on.hears("That is not right.")
    on.presses("1234")
    on.hears("you are in")
    on.ends("exit")


def test_pin_refuses_after_three_tries(call: Call) -> None:
    on = call("pin.vxml")
    for _ in range(3):
        on.presses("4321")
    on.hears("That was the last try.")
    on.ends("disconnect")


def test_two_prompts(call: Call) -> None:
    on = call("two-prompts.vxml")
    on.hears("Hello.")
    on.hears("Goodbye.")
    on.ends("disconnect")


# --- Voice mail

VOICEMAIL = "https://example.org/voicemail"


def test_voicemail_is_played_back_recorded_again_and_sent(call: Call) -> None:
    on = call("voicemail.vxml", pages={VOICEMAIL: THANKS})
    on.hears("Leave a message")
    on.records(seconds=5, key="#")
    on.hears("Your message: [audio file:///recording] To send it, press 1.")
    on.presses("2")
    on.hears("Leave a message")
    on.records(seconds=4)
    on.presses("1")
    on.hears("Thank you.")
    on.sends(VOICEMAIL, message="file:///recording", caller="sip:caller@test")
    assert on.requests[-1].enctype == "multipart/form-data"


def test_voicemail_is_sent_where_the_caller_only_stays(call: Call) -> None:
    on = call("voicemail.vxml", pages={VOICEMAIL: THANKS})
    on.records()
    on.stays_silent()
    on.hears("Thank you.")
    on.sends(VOICEMAIL, message="file:///recording")


def test_voicemail_of_nobody_and_without_a_server(call: Call) -> None:
    on = call("voicemail.vxml")
    on.stays_silent()
    on.hears("I heard nothing.")
    on.stays_silent()
    on.hears("Goodbye.")
    on.ends("disconnect")

    on = call("voicemail.vxml")
    on.records()
    on.presses("1")
    on.hears("could not be sent")
    on.hears("Goodbye.")
    on.ends("disconnect")


# --- Survey

SURVEY = "https://example.org/survey"


def test_survey_sends_the_three_answers(call: Call) -> None:
    on = call("survey.vxml", pages={SURVEY: THANKS})
    on.hears("There are three questions.")
    on.presses("9")
    on.hears("Press a key from 1 to 5.")
    on.presses("4")
    on.hears("recommend")
    on.stays_silent()
    on.hears("I did not hear a key.")
    on.presses("2")
    on.hears("how many years")
    on.presses("12#")
    on.hears("Thank you.")
    on.sends(SURVEY, satisfied="4", recommends="false", years="12")


def test_survey_that_nobody_answers_or_keeps(call: Call) -> None:
    on = call("survey.vxml")
    for _ in range(3):
        on.stays_silent()
    on.hears("Then another time.")
    on.ends("disconnect")

    on = call("survey.vxml", pages={SURVEY: 503})
    on.presses("4")
    on.presses("1")
    on.presses("3#")
    on.hears("could not be kept")
    on.ends("disconnect")


# --- A number to call back

CALLBACK = "https://example.org/callback"


def test_callback_sends_the_number_that_was_confirmed(call: Call) -> None:
    on = call("callback.vxml", pages={CALLBACK: {}})
    on.hears("Type your number")
    on.presses("123#")
    on.hears("six to fifteen digits")
    on.presses("33612345679#")
    on.hears("You typed 33612345679.")
    on.presses("2")
    on.hears("Type your number")
    on.presses("33612345678#")
    on.presses("1")
    on.hears("we will call")
    on.sends(CALLBACK, number="33612345678")
    on.ends("disconnect")


def test_callback_without_a_server(call: Call) -> None:
    on = call("callback.vxml")
    on.presses("33612345678#")
    on.presses("1")
    on.hears("could not be kept")
    on.ends("disconnect")


# --- Queue


def test_queue_tries_the_numbers_in_turn(call: Call) -> None:
    on = call("queue.vxml")
    on.hears("We are connecting you.")
    on.is_transferred_to("tel:+33199000009", result="busy")
    on.hears("stay on the line")
    on.is_transferred_to("tel:+33199000010", result="error.connection.noroute")
    on.hears("stay on the line")
    on.is_transferred_to("tel:+33199000009", result="near_end_disconnect", seconds=90)
    on.hears("Thank you for calling.")
    on.ends("disconnect")


def test_queue_gives_up_after_three_rounds_or_an_hour(call: Call) -> None:
    on = call("queue.vxml")
    for _ in range(3):
        on.is_transferred_to("tel:+33199000009", result="noanswer")
        on.is_transferred_to("tel:+33199000010", result="busy")
    on.hears("Nobody is free.")
    on.ends("disconnect")

    on = call("queue.vxml")
    on.is_transferred_to("tel:+33199000009", seconds=4000)
    on.hears("An hour is over.")
    on.ends("disconnect")


# --- Weather, languages, screening

WEATHER = "https://example.org/weather.json"


def test_weather_is_announced_day_by_day(call: Call) -> None:
    days = [
        {"name": "Today", "sky": "sunny", "high": 21},
        {"name": "Tomorrow", "sky": "rain", "high": 14},
    ]
    on = call("weather-data.vxml", pages={WEATHER: {"place": "Lyon", "days": days}})
    on.hears("The weather in Lyon. Today: sunny, 21 degrees. Tomorrow: rain, 14 degrees.")
    on.ends("disconnect")


@pytest.mark.parametrize("pages", [{}, {WEATHER: 404}, {WEATHER: []}])
def test_weather_that_nobody_knows(call: Call, pages: dict[str, Any]) -> None:
    on = call("weather-data.vxml", pages=pages)
    on.hears("not known now")
    on.ends("disconnect")


@pytest.mark.parametrize(("key", "welcome"), [("1", "Welcome."), ("2", "Bienvenue.")])
def test_two_languages(call: Call, key: str, welcome: str) -> None:
    on = call("two-languages.vxml")
    on.hears("For English, press 1. Pour le français, tapez 2.")
    on.presses(key)
    on.hears(welcome)
    on.ends("disconnect")


def test_english_where_the_caller_does_not_choose(call: Call) -> None:
    on = call("two-languages.vxml")
    on.presses("7")
    on.hears("For English")
    on.stays_silent()
    on.stays_silent()
    on.hears("Welcome.")


def who_calls(number: str) -> Connection:
    return Connection("sip:33199000003@test", f"sip:{number}@test")


def test_screening_puts_known_callers_through(call: Call) -> None:
    on = call("screening.vxml", connection=who_calls("33612345678"))
    on.is_transferred_to("33199000009")
    on.hears("Goodbye.")
    on.ends("disconnect")


def test_screening_turns_unwanted_callers_away(call: Call) -> None:
    on = call("screening.vxml", connection=who_calls("33699999999"))
    on.hears("no calls from yours")
    on.ends("disconnect")


def test_screening_asks_others_for_a_key(call: Call) -> None:
    on = call("screening.vxml")
    key = next(digit for digit in "0123456789" if f"press {digit}." in str(on))
    on.presses(key)
    on.is_transferred_to("33199000009")

    on = call("screening.vxml")
    on.presses("*")
    on.hears("To be connected")
    on.presses("*")
    on.hears("Goodbye.")
    on.ends("disconnect")

    on = call("screening.vxml")
    key = next(digit for digit in "0123456789" if f"press {digit}." not in str(on))
    on.presses(key)
    on.hears("Goodbye.")
    on.ends("disconnect")
