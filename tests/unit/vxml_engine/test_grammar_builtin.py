"""The builtin types (VoiceXML 2.0 appendix P): what may be pressed or said, and its value."""

from collections.abc import Iterator

import pytest

from tests.kit.grammar_case import meaning, state_after
from vxml_engine.ecmascript import Ecmascript
from vxml_engine.errors import GrammarError
from vxml_engine.grammar.builtin import BUILTIN_TYPES, builtin
from vxml_engine.grammar.network import KEYS


@pytest.fixture(scope="module")
def ecmascript() -> Iterator[Ecmascript]:
    made = Ecmascript()
    yield made
    made.close()


PRESSED = [
    ("boolean", "1", "true"),
    ("boolean", "2", "false"),
    ("boolean?y=7;n=9", "7", "true"),
    ("boolean?y=7;n=9", "9", "false"),
    ("boolean?y=3", "2", "false"),
    ("boolean?y=*;n=#", "*", "true"),
    ("digits", "0", '"0"'),
    ("digits", "00420", '"00420"'),
    ("digits?length=4", "1234", '"1234"'),
    ("digits?minlength=2;maxlength=4", "12", '"12"'),
    ("digits?minlength=2&maxlength=4", "1234", '"1234"'),
    ("digits?minlength=3;length=3;maxlength=5", "123", '"123"'),
    ("number", "120", '"120"'),
    ("number", "12*50", '"12.50"'),
    ("number", "*5", '".5"'),
    ("number", "12*", '"12"'),
    ("currency", "12", '"12.00"'),
    ("currency", "12*5", '"12.50"'),
    ("currency", "12*", '"12.00"'),
    ("currency", "12*34", '"12.34"'),
    ("currency", "*34", '"0.34"'),
    ("phone", "8005551212", '"8005551212"'),
    ("phone", "8005551212*7", '"8005551212x7"'),
    ("date", "20261125", '"20261125"'),
    ("time", "0930", '"0930?"'),
    ("time", "1200", '"1200?"'),
    ("time", "1300", '"1300h"'),
    ("time", "0015", '"0015h"'),
    ("time", "2359", '"2359h"'),
]

NOT_PRESSED = [
    ("boolean", "3"),
    ("boolean", "11"),
    ("boolean?y=7;n=9", "1"),
    ("digits", ""),
    ("digits", "1*"),
    ("digits", "A"),
    ("digits?length=4", "123"),
    ("digits?length=4", "12345"),
    ("digits?minlength=2;maxlength=4", "1"),
    ("digits?minlength=2;maxlength=4", "12345"),
    ("number", "*"),
    ("number", "1*2*3"),
    ("number", "#"),
    ("currency", "12*345"),
    ("currency", "*"),
    ("phone", "*7"),
    ("phone", "555*"),
    ("date", "20261325"),
    ("date", "20260025"),
    ("date", "20261100"),
    ("date", "20261132"),
    ("date", "261125"),
    ("time", "2400"),
    ("time", "1260"),
    ("time", "930"),
]

SAID = [
    ("boolean", "yes", "true"),
    ("boolean", "Yes, please.", "true"),
    ("boolean", "no", "false"),
    ("boolean", "no thank you", "false"),
    ("digits", "one two oh zero nine", '"12009"'),
    ("digits", "4 2", '"42"'),
    ("digits?length=2", "four two", '"42"'),
    ("number", "seven", '"7"'),
    ("number", "minus twenty one", '"-21"'),
    ("number", "twenty-one", '"21"'),
    ("number", "plus five", '"+5"'),
    ("number", "three hundred and four", '"304"'),
    ("number", "a hundred", '"100"'),
    ("number", "one hundred twenty three point four five", '"123.45"'),
    ("number", "two thousand and one", '"2001"'),
    ("number", "twelve thousand three hundred forty five", '"12345"'),
    ("number", "three million", '"3000000"'),
    ("number", "zero point oh five", '"0.05"'),
    ("phone", "eight zero zero five five five one two one two", '"8005551212"'),
    ("phone", "five five five one extension three four", '"5551x34"'),
    ("currency", "five dollars", '"5.00"'),
    ("currency", "five dollars and twenty cents", '"5.20"'),
    ("currency", "five us dollars and five cents", '"USD5.05"'),
    ("currency", "twelve euros fifty", '"EUR12.50"'),
    ("currency", "one hundred swiss francs", '"CHF100.00"'),
    ("currency", "three british pounds and ten pence", '"GBP3.10"'),
    ("currency", "a hundred yen", '"JPY100.00"'),
    ("currency", "fifty cents", '"0.50"'),
    ("date", "november twenty fifth twenty twenty six", '"20261125"'),
    ("date", "the fourth of july nineteen seventy six", '"19760704"'),
    ("date", "july fourth", '"????0704"'),
    ("date", "march thirty first two thousand five", '"20050331"'),
    ("date", "may the first nineteen oh one", '"19010501"'),
    ("date", "december", '"????12??"'),
    ("date", "june twenty twenty six", '"202606??"'),
    ("date", "august ten", '"????0810"'),
    ("time", "five", '"0500?"'),
    ("time", "five o'clock", '"0500?"'),
    ("time", "five thirty p m", '"0530p"'),
    ("time", "ten oh five a.m.", '"1005a"'),
    ("time", "half past twelve", '"1230?"'),
    ("time", "a quarter past eight in the evening", '"0815p"'),
    ("time", "quarter to one", '"1245?"'),
    ("time", "fifteen hundred hours", '"1500h"'),
    ("time", "eight hundred hours", '"0800h"'),
    ("time", "twenty three fifty nine", '"2359h"'),
    ("time", "noon", '"1200p"'),
    ("time", "midnight", '"1200a"'),
]

NOT_SAID = [
    ("boolean", "maybe"),
    ("digits", "ten"),
    ("digits?length=2", "one"),
    ("number", "point"),
    ("number", "one two"),
    ("phone", "extension three"),
    ("currency", "five"),
    ("currency", "dollars"),
    ("date", "twenty twentieth of may"),
    ("date", "may thirty second"),
    ("date", "first of second"),
    ("time", "twenty four"),
    ("time", "five sixty"),
    ("time", "five five"),
]


@pytest.mark.parametrize(("reference", "keys", "value"), PRESSED)
def test_pressed(reference: str, keys: str, value: str, ecmascript: Ecmascript) -> None:
    assert meaning(builtin(reference), keys, ecmascript) == value


@pytest.mark.parametrize(("reference", "keys"), NOT_PRESSED)
def test_not_pressed(reference: str, keys: str) -> None:
    complete, _ = state_after(builtin(reference), keys)
    assert not complete


@pytest.mark.parametrize(("reference", "text", "value"), SAID)
def test_said(reference: str, text: str, value: str, ecmascript: Ecmascript) -> None:
    assert meaning(builtin(reference, "voice"), text, ecmascript) == value


@pytest.mark.parametrize(("reference", "text"), NOT_SAID)
def test_not_said(reference: str, text: str) -> None:
    complete, _ = state_after(builtin(reference, "voice"), text)
    assert not complete


@pytest.mark.parametrize("mode", ["dtmf", "voice"])
@pytest.mark.parametrize("name", BUILTIN_TYPES)
def test_every_type_is_tested_in_both_modes(name: str, mode: str) -> None:
    rows = [reference for reference, *_ in (PRESSED if mode == "dtmf" else SAID)]
    rows += [reference for reference, *_ in (NOT_PRESSED if mode == "dtmf" else NOT_SAID)]
    assert sum(reference.partition("?")[0] == name for reference in rows) >= 3


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("weather", "there is no builtin type 'weather'"),
        ("number?sign=no", "number: unknown parameter sign"),
        ("number?y=1", "number: unknown parameter y"),
        ("date?length=8", "date: unknown parameter length"),
        ("digits?long=yes;wide=no", "digits: unknown parameter long, wide"),
        ("boolean?length=3", "boolean: unknown parameter length"),
        ("digits?minlength=5;maxlength=3", "maxlength=3 is less than minlength=5"),
        ("digits?length=4;minlength=5", "length=4 contradicts"),
        ("digits?length=4;maxlength=3", "length=4 contradicts"),
        ("digits?length=0", "is not a number from 1 to 128"),
        ("digits?length=", "is not a number from 1 to 128"),
        ("digits?minlength=-1", "is not a number from 1 to 128"),
        ("digits?maxlength=129", "is not a number from 1 to 128"),
        ("digits?maxlength=many", "is not a number from 1 to 128"),
        ("boolean?y=5;n=5", "must be two different keys"),
        ("boolean?y=2", "must be two different keys"),
        ("boolean?y=12;n=3", "must be two different keys"),
        ("boolean?y=yes", "must be two different keys"),
        ("boolean?n=", "must be two different keys"),
    ],
)
def test_refused(reference: str, message: str) -> None:
    with pytest.raises(GrammarError) as caught:
        builtin(reference)
    assert message in str(caught.value)


def test_any_key_may_be_yes_or_no(ecmascript: Ecmascript) -> None:
    for yes, no in zip(KEYS, KEYS[1:] + KEYS[0], strict=True):
        network = builtin(f"boolean?y={yes.replace('#', '%23')};n={no.replace('#', '%23')}")
        assert meaning(network, yes, ecmascript) == "true"
        assert meaning(network, no, ecmascript) == "false"


def test_a_length_that_is_reached_ends_the_input() -> None:
    assert state_after(builtin("digits?length=4"), "123") == (False, True)
    assert state_after(builtin("digits?length=4"), "1234") == (True, False)
    assert state_after(builtin("digits?minlength=2;maxlength=4"), "12") == (True, True)
    assert state_after(builtin("digits?minlength=2"), "1" * 128) == (True, True)
    assert state_after(builtin("date"), "20261125") == (True, False)
    assert state_after(builtin("time"), "2359") == (True, False)


def test_a_type_is_compiled_once() -> None:
    assert builtin("digits?length=7") is builtin("digits?length=7")
