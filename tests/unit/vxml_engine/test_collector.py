"""Keys and their timing (VoiceXML 2.0 6.3.3 and appendix D), at times given by the test."""

import pytest

from vxml_engine.collector import Collected, CollectSettings, InputCollector
from vxml_engine.grammar.builtin import builtin
from vxml_engine.grammar.network import Network, key_sequence
from vxml_engine.limits import KEYS_MAX

DIGITS = builtin("digits")
FOUR = builtin("digits?length=4")
TWO_TO_FOUR = builtin("digits?minlength=2;maxlength=4")


def collector(
    *networks: Network,
    bargein: tuple[bool, ...] = (),
    timeout_s: float = 7.0,
    interdigit_s: float = 3.0,
    term_s: float = 0.0,
    termchar: str = "#",
) -> InputCollector:
    settings = CollectSettings(timeout_s, interdigit_s, term_s, termchar)
    return InputCollector(networks, settings, bargein)


def press(made: InputCollector, keys: str, at: float = 0.0, every: float = 0.0) -> float:
    for key in keys:
        made.digit(key, at)
        at += every
    return at


# --- timeout


def test_silence_is_noinput_after_the_timeout() -> None:
    made = collector(FOUR, bargein=(True,))
    assert made.get_timer() is None, "the timeout starts when the prompts have ended"
    made.prompts_ended(10.0)
    assert made.get_timer() == 17.0
    made.handle_timer(16.9)
    assert made.result is None
    made.handle_timer(17.0)
    assert made.result == Collected("noinput")
    assert made.get_timer() is None


def test_a_key_stops_the_timeout() -> None:
    made = collector(FOUR)
    made.prompts_ended(0.0)
    made.digit("1", 6.9)
    made.handle_timer(7.0)
    assert made.result is None
    assert made.get_timer() == pytest.approx(9.9)


def test_a_timeout_of_nothing_is_noinput_at_once() -> None:
    made = collector(FOUR, timeout_s=0.0)
    made.prompts_ended(5.0)
    assert made.get_timer() == 5.0


# --- interdigittimeout


def test_the_time_between_keys_starts_anew_with_each() -> None:
    made = collector(DIGITS)
    made.prompts_ended(0.0)
    press(made, "123", at=1.0, every=2.0)
    assert made.get_timer() == 8.0
    made.handle_timer(8.0)
    assert made.result == Collected("match", "123", 0)


def test_too_few_keys_are_no_match_after_the_interdigittimeout() -> None:
    made = collector(FOUR)
    made.prompts_ended(0.0)
    press(made, "12")
    made.handle_timer(3.0)
    assert made.result == Collected("nomatch", "12")


def test_keys_that_match_nothing_are_gathered_until_the_caller_pauses() -> None:
    made = collector(key_sequence("1"))
    made.prompts_ended(0.0)
    press(made, "999", every=1.0)
    assert made.result is None
    made.handle_timer(5.0)
    assert made.result == Collected("nomatch", "999")


# --- termtimeout and termchar


def test_a_full_input_needs_no_wait() -> None:
    made = collector(FOUR)
    made.prompts_ended(0.0)
    press(made, "1234")
    assert made.result == Collected("match", "1234", 0)


def test_the_termtimeout_waits_for_the_termchar() -> None:
    made = collector(FOUR, term_s=1.5)
    made.prompts_ended(0.0)
    press(made, "1234", at=2.0)
    assert made.result is None
    assert made.get_timer() == 3.5
    made.digit("#", 3.0)
    assert made.result == Collected("match", "1234", 0)


def test_a_key_in_the_termtimeout_spoils_the_match() -> None:
    made = collector(FOUR, term_s=1.5)
    made.prompts_ended(0.0)
    press(made, "12345")
    made.handle_timer(100.0)
    assert made.result == Collected("nomatch", "12345")


def test_without_a_termchar_nothing_is_waited_for() -> None:
    made = collector(FOUR, term_s=1.5, termchar="")
    made.prompts_ended(0.0)
    press(made, "1234")
    assert made.result == Collected("match", "1234", 0)


def test_the_termchar_ends_and_is_not_part_of_the_input() -> None:
    made = collector(TWO_TO_FOUR)
    made.prompts_ended(0.0)
    press(made, "12#")
    assert made.result == Collected("match", "12", 0)


def test_the_termchar_too_early_is_no_match() -> None:
    made = collector(TWO_TO_FOUR)
    made.prompts_ended(0.0)
    press(made, "1#")
    assert made.result == Collected("nomatch", "1")


def test_another_termchar() -> None:
    made = collector(DIGITS, termchar="9")
    made.prompts_ended(0.0)
    press(made, "12")
    made.digit("#", 0.0)
    made.handle_timer(50.0)
    assert made.result == Collected("nomatch", "12#")
    made = collector(key_sequence("12"), key_sequence("123"), termchar="9")
    made.prompts_ended(0.0)
    press(made, "129")
    assert made.result == Collected("match", "12", 0)


def test_a_termchar_the_grammar_wants_is_a_key() -> None:
    made = collector(key_sequence("1#"))
    made.prompts_ended(0.0)
    press(made, "1#")
    assert made.result == Collected("match", "1#", 0)


def test_a_termchar_alone() -> None:
    made = collector(DIGITS)
    made.prompts_ended(0.0)
    press(made, "#")
    assert made.result == Collected("nomatch", "")


# --- Several grammars


def test_the_first_grammar_that_matches_wins() -> None:
    made = collector(builtin("digits?length=2"), key_sequence("12"))
    made.prompts_ended(0.0)
    press(made, "12")
    assert made.result == Collected("match", "12", 0)


def test_a_longer_grammar_is_waited_for() -> None:
    made = collector(key_sequence("1"), key_sequence("12"))
    made.prompts_ended(0.0)
    made.digit("1", 0.0)
    assert made.get_timer() == 3.0
    made.digit("2", 1.0)
    assert made.result == Collected("match", "12", 1)


def test_the_shorter_grammar_matches_when_the_caller_stops() -> None:
    made = collector(key_sequence("12"), key_sequence("1"))
    made.prompts_ended(0.0)
    made.digit("1", 0.0)
    made.handle_timer(3.0)
    assert made.result == Collected("match", "1", 1)


def test_no_grammar_at_all() -> None:
    made = collector()
    made.prompts_ended(0.0)
    press(made, "1")
    made.handle_timer(3.0)
    assert made.result == Collected("nomatch", "1")


def test_keys_after_the_result_are_not_taken() -> None:
    made = collector(key_sequence("1"))
    made.prompts_ended(0.0)
    press(made, "12")
    assert made.result == Collected("match", "1", 0)


def test_endless_keys_end_at_the_limit() -> None:
    made = collector(DIGITS)
    made.prompts_ended(0.0)
    press(made, "1" * (KEYS_MAX + 10))
    assert made.result == Collected("match", "1" * KEYS_MAX, 0)


# --- Barge-in


def test_a_key_barges_in() -> None:
    made = collector(FOUR, bargein=(True, True))
    made.prompt_started(0)
    assert not made.barged_in
    made.digit("1", 0.5)
    assert made.barged_in
    assert made.get_timer() == 3.5, "the next key is waited for, not the end of the prompts"


def test_keys_during_a_prompt_without_bargein_are_discarded() -> None:
    made = collector(FOUR, bargein=(False, True))
    made.prompt_started(0)
    made.digit("9", 0.5)
    assert not made.barged_in
    made.prompt_started(1)
    press(made, "1234", at=1.0)
    assert made.barged_in
    assert made.result == Collected("match", "1234", 0)


def test_a_prompt_that_must_be_heard_protects_those_before_it() -> None:
    made = collector(FOUR, bargein=(True, False))
    made.prompt_started(0)
    made.digit("9", 0.5)
    assert not made.barged_in
    made.prompts_ended(2.0)
    press(made, "1234", at=2.5)
    assert made.result == Collected("match", "1234", 0)


def test_a_driver_that_tells_no_prompt_is_on_the_safe_side() -> None:
    made = collector(FOUR, bargein=(True, False, True))
    made.digit("9", 0.1)
    assert not made.barged_in
    made = collector(FOUR, bargein=(True, True))
    made.digit("1", 0.1)
    assert made.barged_in
