"""Every sample script, called by a phone (the API's and pyVoIP's samples have their own tests)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.phone import Phone
from tests.kit.service_process import ROOT, ServiceProcess, sample

NUMBER = "33199000003"
SAMPLES = sorted(path.name for path in (ROOT / "samples").glob("*.vxml"))


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    """A phone elsewhere on the telephone network."""
    async with await Phone.start("33612345678") as started:
        yield started


@pytest.mark.parametrize("name", SAMPLES)
async def test_each_script_is_taken_without_a_word(service: ServiceProcess, name: str) -> None:
    found = await service.ask("script/checkScript", source=sample(name))
    assert found["script_info"] == {"usable": True, "problems": []}


def test_each_sample_is_named_in_the_readme() -> None:
    folder = ROOT / "samples"
    told = (folder / "README.md").read_text()
    for path in Path(folder).iterdir():
        assert path.name in told or path.name in ("README.md", "__pycache__")


async def test_two_prompts_are_said_and_the_call_is_ended(
    service: ServiceProcess, phone: Phone
) -> None:
    await service.give_script(sample("two-prompts.vxml"), NUMBER)
    call = await phone.dial(service.uri(NUMBER))
    await call.answered()
    await call.hears_speech()
    assert await call.ended() == "them"


async def test_the_menu_tells_repeats_and_says_goodbye(
    service: ServiceProcess, phone: Phone
) -> None:
    await service.give_script(sample("menu.vxml"), NUMBER)
    call = await phone.dial(service.uri(NUMBER))
    await call.answered()
    await call.hears_speech()
    await call.press("1")  # barges in
    await call.hears_silence(1.5, 30.0)  # the hours, and the menu again
    await call.press("7")
    await call.hears_speech()  # that key leads nowhere
    assert not call.is_over
    await call.press("9")
    assert await call.ended() == "them"


async def test_the_menu_ends_a_call_that_says_nothing(
    service: ServiceProcess, phone: Phone
) -> None:
    await service.give_script(sample("menu.vxml", {'"5s"': '"1s"'}), NUMBER)
    call = await phone.dial(service.uri(NUMBER))
    await call.answered()
    assert await call.ended(60.0) == "them"


async def test_the_menu_leads_to_somebody_and_comes_back(
    service: ServiceProcess, phone: Phone
) -> None:
    await service.give_script(sample("menu.vxml"), NUMBER)
    async with await Phone.start("bob", ring_s=0.5) as bob:
        await bob.register(service.registrar, password=service.passwords["bob"])
        call = await phone.dial(service.uri(NUMBER))
        await call.answered()
        await call.hears_speech()
        await call.press("2")
        other = await bob.incoming()
        await other.answered()
        call.send_tone(440)
        other.send_tone(700)
        await call.hears_tone(700)
        await other.hears_tone(440)
        await other.hangup()
        call.send_silence()
        await call.hears_speech()  # the menu again
        await call.press("9")
        assert await call.ended() == "them"


async def test_the_menu_says_that_somebody_is_busy(service: ServiceProcess, phone: Phone) -> None:
    await service.give_script(sample("menu.vxml"), NUMBER)
    async with await Phone.start("bob", answers=False) as bob:
        await bob.register(service.registrar, password=service.passwords["bob"])
        call = await phone.dial(service.uri(NUMBER))
        await call.answered()
        await call.hears_speech()
        await call.press("2")
        (await bob.incoming()).reject(486)
        await call.hears_speech()
        await call.press("9")
        assert await call.ended() == "them"


async def test_the_right_pin_lets_in_and_three_wrong_ones_do_not(
    service: ServiceProcess, phone: Phone
) -> None:
    await service.give_script(sample("pin.vxml"), NUMBER)
    for pins in (("1234",), ("1111", "2222", "3333"), ("1111", "1234")):
        call = await phone.dial(service.uri(NUMBER))
        await call.answered()
        for number, pin in enumerate(pins):
            assert not call.is_over, f"{pins}: over after {number}"
            await call.hears_speech()
            await call.press(pin, key_ms=60, gap_ms=60)
        assert await call.ended() == "them"
