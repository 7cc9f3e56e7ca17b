"""A session runs again exactly from its journal."""

import json
import zlib
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vxml_engine import journal
from vxml_engine.cache import DocumentCache
from vxml_engine.effects import Effect, Fetch, Fetched, FetchFailed, Outcome
from vxml_engine.journal import BadJournal, Recorder, Replayed, Start, replay
from vxml_engine.session import Connection, SessionResult
from vxml_engine.testing.driver import (
    Answer,
    HangUp,
    Press,
    Say,
    Silence,
    TransferAnswer,
    VirtualCall,
)

EFFECTS_MAX = 400


def clock() -> Callable[[], float]:
    """Time that passes unevenly, from a second of 2026 on."""
    ticks: Iterator[float] = iter(1_772_442_000.0 + 0.731 * n * n for n in range(100_000))
    return lambda: next(ticks)


class Held:
    """A call that was held, with its effects, outcomes and journal."""

    def __init__(self, inside: str, turns: list[Answer], seed: int = 7) -> None:
        self.inside = inside
        self.steps: list[tuple[Effect, Outcome]] = []
        start = Start("http://test/a.vxml", Connection("sip:a@test", "sip:b@test"), seed)
        self.recorder = Recorder(start, clock())
        self._turns = [turn for turn in turns if not isinstance(turn, TransferAnswer)]
        self._transfers = [turn for turn in turns if isinstance(turn, TransferAnswer)]
        self.result = self._hold()

    def fetch(self, effect: Fetch) -> Fetched | FetchFailed:
        if effect.url != "http://test/a.vxml":
            return FetchFailed("error.badfetch", "nothing there")
        xml = f'<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">{self.inside}</vxml>'
        return Fetched(effect.url, 200, "", xml.encode())

    def _hold(self) -> SessionResult | None:
        """Hold the call; None where it was left after many effects."""
        call = VirtualCall(self.fetch, lambda happening: None)
        run = call.hold(self._watched(call))
        answer: Answer = None
        try:
            wanted = next(run)
            while len(self.steps) < EFFECTS_MAX:
                if wanted == "transfer":
                    answer = self._transfers.pop(0) if self._transfers else None
                else:
                    answer = self._turns.pop(0) if self._turns else HangUp()
                wanted = run.send(answer)
        except StopIteration as end:
            result: SessionResult = end.value
            return result
        run.close()
        return None

    def _watched(self, call: VirtualCall) -> Generator[Effect, Outcome, SessionResult]:
        run = self.recorder.run(DocumentCache(), call.observe)
        outcome: Outcome = None
        while True:
            try:
                effect = run.send(outcome)
            except StopIteration as end:
                result: SessionResult = end.value
                return result
            outcome = yield effect
            self.steps.append((effect, outcome))

    def again(self) -> tuple[Replayed, list[tuple[Effect, Outcome]]]:
        steps: list[tuple[Effect, Outcome]] = []
        replayed = replay(
            self.recorder.packed(), DocumentCache(), tell=lambda *step: steps.append(step)
        )
        return replayed, steps


RANDOM = """<form><field name="f" type="digits"><prompt>
<value expr="Math.random() + ' ' + Date.now() + ' ' + new Date() + performance.now()"/>
</prompt></field>
<block><exit expr="[Math.random(), new Date().toISOString()]"/></block></form>"""


def test_random_numbers_and_times_are_the_same_again() -> None:
    held = Held(RANDOM, [Press("12")])
    replayed, steps = held.again()
    assert replayed == Replayed(held.result)
    assert repr(steps) == repr(held.steps)


def test_another_seed_has_other_random_numbers_and_time_passes() -> None:
    first, other = Held(RANDOM, [Press("1")]), Held(RANDOM, [Press("1")], seed=8)
    assert first.result is not None
    assert other.result is not None
    assert first.result.value[0] != other.result.value[0]
    assert first.result.value[1] == other.result.value[1] == "2026-03-02T09:00:02.924Z"


def test_the_first_difference_is_told() -> None:
    held = Held("<form><block>One.</block></form>", [])
    lines = zlib.decompress(held.recorder.packed()).splitlines()
    steps = [number for number, line in enumerate(lines) if b'"effect"' in line]
    changed = json.loads(lines[steps[1]])
    changed["effect"] = "0" * 16
    lines[steps[1]] = json.dumps(changed).encode()
    replayed = replay(zlib.compress(b"\n".join(lines)), DocumentCache())
    assert replayed.difference.startswith("step 2 differs: now it is Play(")
    assert "One." in replayed.difference


def test_what_a_full_journal_drops_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "JOURNAL_STEPS_MAX", 2)
    held = Held("<form><block><log>a</log><log>b</log><log>c</log></block></form>", [])
    replayed, steps = held.again()
    assert replayed.dropped == f"the journal lacks {len(held.steps) - 2} steps"
    assert steps == held.steps[:2]


@pytest.mark.parametrize("packed", [b"", b"x", zlib.compress(b"[]"), zlib.compress(b'{"a": 1}')])
def test_what_is_no_journal_is_refused(packed: bytes) -> None:
    with pytest.raises(BadJournal):
        replay(packed, DocumentCache())


BLOCKS = st.sampled_from(
    [
        "<block>Hello <value expr='Math.random()'/>.</block>",
        "<block><log expr='Date.now()'/></block>",
        "<block><if cond='Math.random() &lt; 0.5'><exit expr='Date.now()'/></if></block>",
        "<block><if cond='Math.random() &lt; 0.5'><goto next='#f'/></if></block>",
        "<block><throw event='error.mine'/></block>",
        "<block><goto next='none.vxml'/></block>",
        "<block><disconnect/></block>",
        "<field type='digits?maxlength=2'>Type.<nomatch>No.<reprompt/></nomatch></field>",
        "<field type='boolean'>Yes?<noinput count='2'><exit/></noinput></field>",
        "<record beep='true' maxtime='2s' dtmfterm='true'/>",
        "<transfer dest='tel:+33199000009' type='bridge'/>",
        "<transfer dest='tel:+33199000009' type='consultation'/>",
    ]
)
TURNS: st.SearchStrategy[Answer] = st.one_of(
    st.text("0123456789*#", min_size=1, max_size=5).map(Press),
    st.sampled_from(
        [
            Silence(),
            Say("yes"),
            TransferAnswer("busy"),
            TransferAnswer("hangup", 3.0),
            TransferAnswer("error.connection.noroute"),
        ]
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(BLOCKS, min_size=1, max_size=6),
    turns=st.lists(TURNS, max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_session_runs_again_as_it_did(
    blocks: list[str], turns: list[Answer], seed: int
) -> None:
    held = Held(f"<form id='f'>{''.join(blocks)}</form>", turns, seed)
    replayed, steps = held.again()
    assert replayed.difference == ""
    assert repr(steps) == repr(held.steps)
    assert replayed.result == held.result
