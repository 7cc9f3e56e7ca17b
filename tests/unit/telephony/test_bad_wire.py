"""Calls over a wire that loses, doubles and reorders: all end, and both sides agree how.

Hypothesis plays the two users and gives each run its wire; the clock is virtual.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from telephony.legs import EndCause, Leg, LegAnswered, LegEnded, LegFailed, LegState
from tests.kit.wire import Faults
from tests.unit.telephony.conftest import SDP, Node, World

# How the caller's and the called side of one call may have ended, each as its user was told.
NEVER_ARRIVED = ""
AGREED = {
    # The caller failed with: what the called side saw.
    "failed 486": {"REJECTED"},
    "failed 480": {"LOCAL_HANGUP"},
    # Given up: the CANCEL won, or the 200 did and a BYE followed, or the other was as fast.
    "failed 487": {NEVER_ARRIVED, "CANCELLED", "REMOTE_BYE", "REJECTED", "LOCAL_HANGUP"},
    "LOCAL_HANGUP": {"REMOTE_BYE", "LOCAL_HANGUP"},
    "REMOTE_BYE": {"LOCAL_HANGUP"},
}
# The longest a user waits for the end of what he began: a BYE or CANCEL after a lost ACK.
END_S_MAX = 64.0


class Calls(RuleBasedStateMachine):
    """Two users: alice calls, bob is called; both do what they like, when they like."""

    @initialize(
        seed=st.integers(0, 2**20),
        loss=st.sampled_from((0.0, 0.05, 0.2)),
        duplicates=st.sampled_from((0.0, 0.3)),
        jitter=st.sampled_from((0.0, 0.05, 0.7)),
    )
    def begin(self, seed: int, loss: float, duplicates: float, jitter: float) -> None:
        self.world = World(seed, Faults(loss, duplicates, 0.01, jitter))
        self.alice = self.world.node("192.0.2.1")
        self.bob = self.world.node("192.0.2.2")
        self.made: list[Leg] = []
        self.taken: list[Leg] = []
        self.bob.on_call = self.taken.append

    @rule()
    def call(self) -> None:
        self.made.append(self.alice.call(self.bob))

    @rule(data=st.data(), side=st.sampled_from(("made", "taken")))
    def hang_up(self, data: Any, side: str) -> None:
        legs = getattr(self, side)
        if legs:
            data.draw(st.sampled_from(legs)).hangup()

    @rule(data=st.data(), what=st.sampled_from(("ring", "answer", "answer", "reject")))
    def react(self, data: Any, what: str) -> None:
        open_ = [leg for leg in self.taken if leg.state in (LegState.OFFERED, LegState.RINGING)]
        if not open_:
            return
        leg = data.draw(st.sampled_from(open_))
        match what:
            case "ring":
                leg.ring()
            case "answer":
                leg.answer(SDP)
            case "reject":
                leg.reject(486)

    @rule(seconds=st.sampled_from((0.005, 0.03, 0.3, 1.0, 5.0)))
    def wait(self, seconds: float) -> None:
        self.world.run(seconds)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.run(0.5)
        for leg in self.taken + self.made:
            leg.hangup()
        quiet_from = world.now
        world.run(END_S_MAX)
        for leg in self.taken:
            leg.hangup()  # a call that came only now: its INVITE had been lost until then
        world.settle()
        assert max(self.alice.told_at, self.bob.told_at) <= quiet_from + END_S_MAX
        check_nothing_is_left(self.alice)
        check_nothing_is_left(self.bob)
        ends = {leg.call_id: end_of(self.bob, leg) for leg in self.taken}
        assert len(ends) == len(self.taken)  # a call is told once, however often it arrives
        for leg in self.made:
            assert ends.get(leg.call_id, NEVER_ARRIVED) in AGREED[end_of(self.alice, leg)]


def end_of(node: Node, leg: Leg) -> str:
    """How the user of `node` was told that `leg` ended: once, and not answered after it."""
    assert leg.state is LegState.ENDED
    told = [event for event in node.events if getattr(event, "leg", None) is leg]
    ends = [event for event in told if isinstance(event, LegEnded | LegFailed)]
    assert len(ends) == 1
    assert told[-1] is ends[0]
    assert sum(isinstance(event, LegAnswered) for event in told) <= 1
    if isinstance(ends[0], LegFailed):
        return f"failed {ends[0].status}"
    return str(ends[0].cause.name)


def check_nothing_is_left(node: Node) -> None:
    agent = node.agent
    assert agent.quiet
    assert agent.get_timer() is None
    metrics = agent.metrics()
    for gauge in ("legs", "dialogs", "client_transactions", "server_transactions"):
        assert metrics[gauge] == 0, gauge


Calls.TestCase.settings = settings(
    max_examples=120, stateful_step_count=25, deadline=None, derandomize=True
)
TestCalls = Calls.TestCase


@pytest.mark.parametrize("seed", range(12))
def test_a_call_gets_through_a_wire_that_loses_every_third_datagram(
    make_world: Any, seed: int, sdp: bytes
) -> None:
    world = make_world(seed, loss=0.33, duplicates=0.2, delay_s=0.02, jitter_s=0.3)
    alice, bob = world.node("192.0.2.1"), world.node("192.0.2.2")

    def ring_and_answer(leg: Leg) -> None:
        leg.ring()
        leg.answer(sdp)

    bob.on_call = ring_and_answer
    leg = alice.call(bob)
    world.run(33)
    assert leg.state is LegState.UP
    leg.hangup()
    world.settle()
    assert [told for told in alice.story if "ringing" not in told] == [
        "answered",
        "ended LOCAL_HANGUP",
    ]
    assert bob.story == ["incoming", "answered", "ended REMOTE_BYE"]
    check_nothing_is_left(alice)
    check_nothing_is_left(bob)


def test_a_wire_that_breaks_for_good_ends_the_call_on_both_sides(world: Any) -> None:
    alice, bob = world.node("192.0.2.1"), world.node("192.0.2.2")
    leg = alice.call(bob)
    world.run(1)
    world.drop = lambda sent: True
    leg.hangup()
    bob.agent.hangup(bob.events[0].leg, world.now)
    bob.flush()
    world.settle()
    assert bob.of(LegEnded)[0].cause is EndCause.LOCAL_HANGUP
    check_nothing_is_left(alice)
    check_nothing_is_left(bob)
