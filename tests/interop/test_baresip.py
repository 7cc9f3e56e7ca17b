"""baresip, in both of its forms, against the service: an engine that no one here wrote."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kit import tones
from tests.kit.baresip_program import Baresip
from tests.kit.phone import Phone
from tests.kit.service_process import ServiceProcess, free_port, free_ports_in_a_row, sample

baresip = pytest.importorskip("baresip")

READ_BYTES = 16_000
MENU, CONFERENCE = "33199000001", "33199000003"


@pytest.fixture
async def softphone(service: ServiceProcess) -> AsyncIterator[object]:
    """A baresip engine registered as bob, as a user agent."""
    rtp = free_ports_in_a_row(8)
    runtime = baresip.Runtime()
    await runtime.start(
        baresip.Config(
            net_interface="127.0.0.1",
            extra_config_text=(
                f"sip_listen 127.0.0.1:{free_port(socket.SOCK_DGRAM)}\nrtp_ports {rtp}-{rtp + 7}\n"
            ),
        )
    )
    account = baresip.Account(
        user="bob", domain=f"127.0.0.1:{service.sip_port}", password=service.passwords["bob"]
    )
    agent = await baresip.UserAgent.create(runtime, account)
    await agent.register()
    yield agent
    await agent.unregister()
    await runtime.close()


async def heard(call: object, seconds: float) -> NDArray[np.int16]:
    """Return what the engine hears in `seconds`, 8,000 samples a second."""
    audio = call.audio  # type: ignore[attr-defined]
    collected = b""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        collected += audio.read(READ_BYTES)
        await asyncio.sleep(0.02)  # it never blocks: a frame later there is more
    return np.frombuffer(collected, np.int16)


@pytest.mark.peer("baresip-python")
async def test_baresip_registers_dials_hears_the_prompt_and_presses_keys(
    service: ServiceProcess, softphone: object
) -> None:
    call = await softphone.dial(service.uri(MENU))  # type: ignore[attr-defined]
    await call.wait_established()
    assert tones.busy_frames(await heard(call, 2.0)) > 25  # the menu is being said
    await call.send_dtmf("9")
    for _ in range(100):
        if call.state == baresip.CallState.CLOSED:
            break
        await asyncio.sleep(0.1)
    assert call.state == baresip.CallState.CLOSED  # goodbye, said and done by the script


@pytest.mark.peer("baresip-python")
async def test_baresip_hears_the_other_party_in_a_conference(
    service: ServiceProcess, softphone: object
) -> None:
    made = await service.ask("conf/createConference")
    conf_id = made["conference_info"]["conf_id"]
    await service.give_script(
        sample("conference.vxml", {"12a34b": conf_id}), CONFERENCE, name="conference"
    )
    async with await Phone.start("33612345678") as phone:
        other = await phone.dial(service.uri(CONFERENCE))
        await other.answered()
        other.send_tone(440)
        call = await softphone.dial(service.uri(CONFERENCE))  # type: ignore[attr-defined]
        await call.wait_established()
        sound = await heard(call, 6.0)  # the welcome, then the conference
        assert tones.busy_frames(sound[:8000]) > 10
        assert tones.level_dbfs(sound[-8000:], 440) == pytest.approx(-16, abs=3)
        await call.hangup()


@pytest.mark.peer("baresip")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_independent_phone_is_called_by_the_api_and_hears_a_conference(
    service: ServiceProcess, tmp_path: Path, transport: str
) -> None:
    made = await service.ask("conf/createConference")
    conf_id = made["conference_info"]["conf_id"]
    guest = await Baresip.start(
        tmp_path / "baresip",
        user="alice",
        password=service.passwords["alice"],
        registrar=f"127.0.0.1:{service.sip_port}",
        hz=600,
        transport=transport,
    )
    try:
        async with await Phone.start("33612345678") as phone:
            caller = await phone.dial(f"sip:conf-{conf_id}@127.0.0.1:{service.sip_port}")
            await caller.answered()
            caller.send_tone(440)
            answer = await service.ask(
                "call/createCall", from_=f"conf:{conf_id}", to="sip:alice@voicemashup.local"
            )
            await caller.hears_tone(600)
            await asyncio.sleep(2.0)
            assert await caller.hears_tone(600) == pytest.approx(-16, abs=3)
            call_id = answer["call_info"]["call_id"]
            await service.ask("call/releaseCall", call_id=call_id)
            await guest.says("terminated", 5.0)
            assert tones.level_dbfs(guest.recorded()[-8000:], 440) == pytest.approx(-16, abs=3)
    finally:
        await guest.stop()
