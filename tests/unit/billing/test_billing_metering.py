"""The meter under a virtual clock, to the second and the millicredit."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.metering import Exhausted, Hold, Meter, Step, Warn, charge
from billing.money import cost
from billing.prices import Prices
from billing.tariff import Rate

START = 1_000.25
PRICE = 6_000  # 100 a second


@dataclass
class Payer:
    """A balance, the clock, and the house's loop around one meter."""

    meter: Meter
    available: int
    delay_s: float = 0.0  # of an extension's answer
    held: int = 0
    told: list[tuple[float, Step]] = field(default_factory=list)
    top_ups: dict[float, int] = field(default_factory=dict)

    def dial(self) -> None:
        assert self.available >= self.meter.first_hold
        self._hold(self.meter.first_hold)

    def _hold(self, amount: int) -> None:
        self.available -= amount
        self.held += amount

    def run(self, until: float) -> float:
        """Answer at `START`, run until `until` or the credit's end; return the end."""
        now = START
        steps = self.meter.started(now)
        while True:
            for step in steps:
                self.told.append((round(now - START, 3), step))
            match steps:
                case [*_, Exhausted()]:
                    return now
                case [*_, Hold(amount=amount)]:
                    now += self.delay_s
                    if now >= until:
                        return until
                    ok = amount <= self.available
                    if ok:
                        self._hold(amount)
                    steps = self.meter.extended(now, ok=ok, available=self.available)
                    continue
            timer = self.meter.get_timer()
            if timer is None or timer >= until:
                return until
            assert timer >= now, "a timer in the past was not served"
            now = timer
            for when in [when for when in self.top_ups if START + when <= now]:
                self.available += self.top_ups.pop(when)
            steps = self.meter.due(now)

    def steps(self, kind: type[Step]) -> list[tuple[float, Step]]:
        return [(when, step) for when, step in self.told if isinstance(step, kind)]


def call(price: int, balance: int, delay_s: float = 0.0) -> Payer:
    payer = Payer(Meter(price), balance, delay_s)
    payer.dial()
    return payer


def test_a_minute_is_held_before_dialling_and_one_more_at_the_answer() -> None:
    payer = call(PRICE, 200_000)
    assert payer.held == 6_000
    assert payer.meter.get_timer() is None
    assert payer.meter.started(START) == [Hold(6_000)]
    assert payer.meter.get_timer() is None  # while the answer is awaited
    assert payer.meter.extended(START, ok=True) == []
    assert payer.meter.get_timer() == START + 60


def test_the_hold_stays_a_minute_ahead() -> None:
    payer = call(PRICE, 200_000)
    payer.run(START + 300)
    assert [when for when, _ in payer.steps(Hold)] == [0, 60, 120, 180, 240]
    assert payer.held == 36_000
    assert payer.meter.stopped(START + 299.5) == 30_000
    assert payer.meter.get_timer() is None


def test_nothing_is_due_before_its_time() -> None:
    payer = call(PRICE, 200_000)
    payer.run(START + 30)
    assert payer.meter.due(START + 59.999) == []
    assert payer.meter.due(START + 60) == [Hold(6_000)]


def test_the_end_is_warned_of_sixty_seconds_before_and_comes_to_the_second() -> None:
    payer = call(PRICE, 20_000)  # 200 s
    end = payer.run(START + 1_000)
    assert payer.steps(Warn) == [(140, Warn(60))]
    assert payer.steps(Exhausted) == [(200, Exhausted())]
    assert end == START + 200
    assert payer.held == 20_000
    assert payer.meter.stopped(end) == 20_000
    assert payer.meter.due(end + 10) == []


def test_a_balance_of_one_minute_is_warned_of_at_once() -> None:
    payer = call(PRICE, 6_000)
    end = payer.run(START + 1_000)
    assert payer.steps(Warn) == [(0, Warn(60))]
    assert end == START + 60


def test_the_final_second_that_had_started_is_charged() -> None:
    payer = call(PRICE, 6_000)
    end = payer.run(START + 1_000)
    assert payer.meter.stopped(end + 0.03) == 6_100


def test_a_top_up_after_the_warning_keeps_the_call() -> None:
    payer = call(PRICE, 20_000)
    payer.top_ups = {150: 12_000}
    end = payer.run(START + 1_000)
    assert payer.steps(Warn) == [(140, Warn(60)), (260, Warn(60))]
    assert end == START + 320
    assert payer.meter.stopped(end) == 32_000


def test_a_small_top_up_is_used_to_the_last_second() -> None:
    payer = call(PRICE, 20_000)
    payer.top_ups = {150: 700}
    end = payer.run(START + 1_000)
    assert end == START + 207


def test_a_late_answer_neither_ends_nor_overcharges_a_call() -> None:
    payer = call(PRICE, 200_000, delay_s=70.0)
    end = payer.run(START + 500)
    assert end == START + 500
    assert payer.steps(Exhausted) == []


def test_an_answer_after_the_call_ended_is_taken_quietly() -> None:
    meter = Meter(PRICE)
    assert meter.started(START) == [Hold(6_000)]
    assert meter.stopped(START + 1) == 100
    assert meter.extended(START + 2, ok=True) == []
    assert meter.extended(START + 2, ok=False, available=5) == []
    assert meter.stopped(START + 9) == 100


def test_a_refusal_that_contradicts_itself_still_ends() -> None:
    """The balance is shared: another call may take what was just seen."""
    meter = Meter(PRICE)
    steps, asked = meter.started(START), []
    while steps and isinstance(steps[-1], Hold):
        asked.append(steps[-1].amount)
        steps = meter.extended(START, ok=False, available=10**9)
    assert asked == sorted(asked, reverse=True)
    assert steps == [Warn(60)]
    assert meter.get_timer() == START + 55


def test_a_free_call_asks_for_nothing() -> None:
    meter = Meter(0)
    assert meter.first_hold == 0
    assert meter.started(START) == []
    assert meter.get_timer() is None
    assert meter.due(START + 7_200) == []
    assert meter.stopped(START + 7_200) == 0


def test_a_call_that_was_never_answered_costs_nothing() -> None:
    meter = Meter(PRICE)
    assert meter.get_timer() is None
    assert meter.stopped(START) == 0


@given(
    price=st.integers(1, 100_000),
    extra=st.integers(0, 500_000),
    delay_ms=st.sampled_from([0, 3, 900]),
    length_ms=st.integers(0, 600_000),
)
def test_a_call_never_costs_more_than_its_hold_and_a_second(
    price: int, extra: int, delay_ms: int, length_ms: int
) -> None:
    payer = call(price, price + extra, delay_ms / 1_000)
    balance = payer.available + payer.held
    end = payer.run(START + length_ms / 1_000)
    charged = payer.meter.stopped(end)
    assert charged == charge(price, START, end)
    assert payer.held <= balance
    assert charged <= payer.held + cost(price, 1)
    if payer.steps(Exhausted):
        used = charge(price, START, end)
        assert used + cost(price, 2) > balance  # no credit was left unused
        assert len(payer.steps(Exhausted)) == 1
        (when, _), *_ = payer.steps(Warn)
        assert end - START - when == pytest.approx(60, abs=1 + delay_ms / 1_000 * 4)


def test_prices_of_the_service() -> None:
    prices = Prices()
    assert prices.guest(Rate("336", "France mobile", 2_500)) == 10_500
    assert prices.opening == 200_000
    assert charge(prices.participant_per_minute, START, START + 90.2) == 3_034  # 91 s


def test_earnings_are_rounded_up_once() -> None:
    assert charge(2_000, START, START) == 0
    assert charge(2_000, START, START + 0.001) == 34
    assert charge(2_000, START, START + 3_600) == 120_000
