"""Amounts and how a duration becomes one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import money
from billing.errors import BadAmount
from billing.limits import CALL_SECONDS_MAX


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("200", 200_000),
        ("12.5", 12_500),
        (" 0.001 ", 1),
        ("-3.25", -3_250),
        ("0", 0),
    ],
)
def test_credits_are_read(text: str, amount: int) -> None:
    assert money.parse_credits(text) == amount


@pytest.mark.parametrize(
    "text", ["", "1,5", "1.", ".5", "1.2345", "1e3", "+1", "--1", "١", "1 000", "9" * 16]
)
def test_what_is_no_amount_of_credits_is_refused(text: str) -> None:
    with pytest.raises(BadAmount, match=r"200 or 12\.5"):
        money.parse_credits(text)


@given(st.integers(-(10**15), 10**15))
def test_what_is_written_reads_the_same(amount: int) -> None:
    assert money.parse_credits(money.format_credits(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"), [(200_000, "200"), (12_500, "12.5"), (-1, "-0.001"), (0, "0")]
)
def test_credits_are_written_without_needless_zeros(amount: int, text: str) -> None:
    assert money.format_credits(amount) == text


@pytest.mark.parametrize(
    ("duration_s", "seconds"),
    [
        (0.0, 0),
        (-1.0, 0),
        (0.000001, 1),
        (0.2, 1),
        (1.0, 1),
        (1.000001, 2),
        (60.0, 60),
        (12345.678901 + 60.0 - 12345.678901, 60),
        (CALL_SECONDS_MAX + 0.5, CALL_SECONDS_MAX),
        (1e12, CALL_SECONDS_MAX),
    ],
)
def test_started_seconds_count(duration_s: float, seconds: int) -> None:
    assert money.started_seconds(duration_s) == seconds


def test_seconds_between_two_times() -> None:
    begin = datetime(2026, 5, 1, tzinfo=UTC)
    assert money.seconds_between(begin, begin + timedelta(seconds=5, microseconds=1)) == 6
    assert money.seconds_between(begin, begin) == 0
    assert money.seconds_between(begin, begin - timedelta(seconds=5)) == 0


@pytest.mark.parametrize(
    ("price", "seconds", "amount"),
    [
        (2_000, 60, 2_000),
        (2_000, 61, 2_034),  # 2033.33
        (2_000, 1, 34),
        (9_200, 59, 9_047),  # 9046.67
        (1, 1, 1),
        (1, 61, 2),
        (0, 3_600, 0),
        (8_000, 0, 0),
    ],
)
def test_a_cost_is_rounded_up_once(price: int, seconds: int, amount: int) -> None:
    assert money.cost(price, seconds) == amount


@given(st.integers(1, 10**6), st.integers(0, 10**10))
def test_an_amount_pays_for_whole_seconds_and_not_one_more(price: int, amount: int) -> None:
    seconds = money.seconds_for(price, amount)
    assert money.cost(price, seconds) <= amount < money.cost(price, seconds + 1)
