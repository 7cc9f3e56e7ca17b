"""The kit's phones among themselves: what they cannot do, no test with them can show."""

import pytest

from tests.kit.phone import CallFailed, Phone, measure_delay


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_two_phones_talk(transport: str) -> None:
    async with (
        await Phone.start("alice", transport=transport) as alice,
        await Phone.start("bob", transport=transport, law="PCMA") as bob,
    ):
        call = await alice.dial(bob.contact)
        await call.answered()
        other = await bob.incoming()
        call.send_tone(440)
        other.send_tone(700, dbfs=-20)
        assert await call.hears_tone(700) == pytest.approx(-20, abs=1)
        assert await other.hears_tone(440) == pytest.approx(-16, abs=1)
        assert (await call.listen(0.2)).level_dbfs(440) < -60
        await call.press("1#9")
        assert other.line.keys_heard == "1#9"
        assert await measure_delay(call, other, 440) < 0.06
        await other.hangup()
        assert await call.ended(2.0) == "them"
        assert other.ended_by == "us"


async def test_a_busy_phone_refuses_and_a_ringing_call_can_be_given_up() -> None:
    async with (
        await Phone.start("alice") as alice,
        await Phone.start("bob", answers=False) as bob,
    ):
        call = await alice.dial(bob.contact)
        (await bob.incoming()).reject(486)
        with pytest.raises(CallFailed, match="486"):
            await call.answered()
        call = await alice.dial(bob.contact)
        ringing = await bob.incoming()
        await call.rings()
        await call.hangup()
        assert ringing.is_over
        assert call.failure is not None
        assert call.failure.status == 487


async def test_nobody_there_is_told_by_the_caller_giving_up() -> None:
    async with await Phone.start("alice", transport="tcp") as alice:
        call = await alice.dial("sip:nobody@127.0.0.1:1;transport=tcp")
        with pytest.raises(CallFailed, match="no connection"):
            await call.answered()
