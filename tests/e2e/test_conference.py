"""A real call runs a script and lands in a conference: three phones, real SIP and RTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.kit.phone import Call, CallFailed, Phone, measure_delay
from tests.kit.service_process import ServiceProcess, sample

NUMBER = "33199000003"
TONES = {"33612345671": 440.0, "33612345672": 700.0, "33612345673": 1000.0}


@pytest.fixture
async def conf_id(service: ServiceProcess) -> str:
    """A conference that is on, and a number whose script leads into it."""
    made = await service.ask("conf/createConference")
    conf_id = str(made["conference_info"]["conf_id"])
    script = sample("conference.vxml", {"12a34b": conf_id})
    await service.give_script(script, NUMBER, name="conference")
    return conf_id


@pytest.fixture
async def phones() -> AsyncIterator[list[Phone]]:
    """A phone for each tone, elsewhere on the telephone network."""
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(await Phone.start(name)) for name in TONES]
        yield started


async def participants(service: ServiceProcess, conf_id: str, count: int) -> list[dict[str, Any]]:
    """Wait until `count` participants are inside; return them all, those who left too."""
    for _ in range(200):
        shown = (await service.ask("conf/getConference", conf_id=conf_id))["conference_info"]
        everyone: list[dict[str, Any]] = shown["participants"]
        if sum(not one["left_at"] for one in everyone) == count:
            return everyone
        await asyncio.sleep(0.1)
    raise AssertionError(f"not {count} participants inside, but {everyone}")


async def all_inside(service: ServiceProcess, conf_id: str, phones: list[Phone]) -> list[Call]:
    """Let every phone dial; return the calls once all are in the conference."""
    calls = [await phone.dial(service.uri(NUMBER)) for phone in phones]
    for call in calls:
        await call.answered()
        await call.hears_speech()  # welcome
    await participants(service, conf_id, len(calls))
    return calls


async def test_everyone_hears_all_others_and_not_themselves(
    service: ServiceProcess, conf_id: str, phones: list[Phone]
) -> None:
    calls = await all_inside(service, conf_id, phones)
    for call, hz in zip(calls, TONES.values(), strict=True):
        call.send_tone(hz)
    for listener, own in zip(calls, TONES.values(), strict=True):
        for hz in set(TONES.values()) - {own}:
            await listener.hears_tone(hz)
    await asyncio.sleep(0.5)
    sounds = await asyncio.gather(*(call.listen(1.0) for call in calls))
    for sound, own in zip(sounds, TONES.values(), strict=True):
        for hz in TONES.values():
            if hz == own:
                assert sound.level_dbfs(hz) < -50
            else:
                assert sound.level_dbfs(hz) == pytest.approx(-16, abs=1.5)
        assert sound.lost == 0
    # A conversation is possible: no echo of a second ago. How fast it is, the benches tell.
    assert 0 < await measure_delay(calls[0], calls[1], 440.0) < 0.5


async def test_who_leaves_is_not_heard_any_more_and_the_account_has_earned(
    service: ServiceProcess, conf_id: str, phones: list[Phone]
) -> None:
    before = (await service.ask("account/getBalance"))["balance_info"]
    calls = await all_inside(service, conf_id, phones)
    calls[0].send_tone(440)
    await calls[1].hears_tone(440)
    await calls[0].hangup()
    everyone = await participants(service, conf_id, 2)
    assert [one["number"] for one in everyone if one["left_at"]] == ["33612345671"]
    await asyncio.sleep(0.5)
    assert (await calls[1].listen(0.5)).level_dbfs(440) < -50
    for call in calls[1:]:
        await call.hangup()
    await participants(service, conf_id, 0)
    after = (await service.ask("account/getBalance"))["balance_info"]
    # 2 credits a minute for each participant, by the second.
    earned = after["earned_millicredits"] - before["earned_millicredits"]
    assert 3 * 2000 / 60 <= earned <= 3 * 2000


async def test_the_script_goes_on_when_the_conference_ends(
    service: ServiceProcess, conf_id: str, phones: list[Phone]
) -> None:
    calls = await all_inside(service, conf_id, phones[:1])
    await calls[0].hears_silence(1.0)
    await service.ask("conf/endConference", conf_id=conf_id)
    await calls[0].hears_speech()  # the conference is over, goodbye
    assert await calls[0].ended() == "them"


async def test_a_conference_that_is_over_tells_its_caller_so(
    service: ServiceProcess, conf_id: str, phones: list[Phone]
) -> None:
    await service.ask("conf/endConference", conf_id=conf_id)
    call = await phones[0].dial(service.uri(NUMBER))
    await call.answered()
    await call.hears_speech()
    assert await call.ended() == "them"
    shown = await service.ask("conf/getConference", conf_id=conf_id)
    assert shown["conference_info"]["participants"] == []


async def test_only_listed_callers_come_into_a_conference_of_callers(
    service: ServiceProcess, phones: list[Phone]
) -> None:
    made = await service.ask("conf/createConference", access="callers")
    conf_id = made["conference_info"]["conf_id"]
    await service.ask("conf/addCaller", conf_id=conf_id, number="33612345671")
    script = sample("conference.vxml", {"12a34b": conf_id})
    await service.give_script(script, NUMBER, name="conference")
    listed, other = [await phone.dial(service.uri(NUMBER)) for phone in phones[:2]]
    await listed.answered()
    await other.answered()
    assert await other.ended() == "them"
    everyone = await participants(service, conf_id, 1)
    assert [one["number"] for one in everyone] == ["33612345671"]
    await listed.hangup()


async def test_a_number_that_reaches_nothing_is_refused(
    service: ServiceProcess, phones: list[Phone]
) -> None:
    call = await phones[0].dial(service.uri("33199099999"))
    with pytest.raises(CallFailed, match="404"):
        await call.answered()
