"""Calls between two agents over a quiet wire, as their users see them."""

from __future__ import annotations

from typing import Any

from telephony.legs import LegState


def test_a_call_is_answered_and_the_caller_hangs_up(world: Any, sdp: bytes) -> None:
    alice, bob = world.node("192.0.2.1"), world.node("192.0.2.2")

    def ring_and_answer(leg: Any) -> None:
        leg.ring()
        leg.answer(sdp)

    bob.on_call = ring_and_answer
    leg = alice.call(bob)
    world.run(1)
    assert leg.state is LegState.UP
    leg.hangup()
    world.settle()
    assert alice.story == ["ringing 180", "answered", "ended LOCAL_HANGUP"]
    assert bob.story == ["incoming", "answered", "ended REMOTE_BYE"]
    assert world.kinds() == ["INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE"]
    assert alice.agent.quiet
    assert bob.agent.quiet
