"""A script that records its caller: what is said comes back, and what ends the recording."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from tests.kit.phone import Call, Phone
from tests.kit.service_process import ServiceProcess

NUMBER = "33199000003"
BEEP_HZ = 1000
CALLERS = itertools.count(33612345001)

SCRIPT = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
<form>
  <record name="message" beep="{beep}" maxtime="{maxtime}" finalsilence="{finalsilence}"
          dtmfterm="{dtmfterm}" type="{type}">
    <property name="timeout" value="1s"/>
    <prompt>{prompt}</prompt>
    <grammar mode="dtmf" root="r" version="1.0"><rule id="r">99</rule></grammar>
    <noinput><log>nobody</log><exit/></noinput>
    <error><log>error <value expr="_event"/></log><exit/></error>
    <catch event="connection.disconnect.hangup">
      <log>gone, left <value expr="message ? message$.duration : 'nothing'"/></log>
    </catch>
    <filled>
      <log>ended <value expr="message$.termchar"/> <value expr="message$.maxtime"/></log>
      <log>length <value expr="message$.duration"/> <value expr="message$.size"/></log>
      <audio expr="message"/>
    </filled>
  </record>
</form>
</vxml>"""


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    """A phone elsewhere on the telephone network."""
    async with await Phone.start("33612345678") as started:
        yield started


async def dial(service: ServiceProcess, phone: Phone, **more: str) -> Call:
    """Call a script that records; its attributes are `more`."""
    usual = {"beep": "true", "maxtime": "20s", "finalsilence": "10s", "dtmfterm": "true"}
    usual |= {"type": "audio/x-wav", "prompt": "", **more}
    await service.give_script(SCRIPT.format(**usual), NUMBER)
    call = await phone.dial(service.uri(NUMBER), caller=str(next(CALLERS)))
    await call.answered()
    return call


def recordings_of(service: ServiceProcess) -> list[str]:
    """Return the names of the recordings on the disk."""
    return [path.name for path in (service.folder / "data" / "recordings").iterdir()]


async def test_what_is_said_until_a_key_is_played_back(
    service: ServiceProcess, phone: Phone
) -> None:
    call = await dial(service, phone)
    await call.hears_tone(BEEP_HZ, window_s=0.1)
    call.send_tone(440)
    await asyncio.sleep(1.5)
    call.send_silence()
    assert call.heard(1.0).level_dbfs(440) < -60
    await call.press("#")
    await call.hears_tone(440)
    assert (await call.listen(0.5)).level_dbfs(440) == pytest.approx(-16, abs=1)
    assert len(recordings_of(service)) == 1
    assert await call.ended() == "them"
    ended, length = await service.entries(call.caller, "log", "text")
    assert ended == "ended # false"
    duration_ms, size = map(int, length.split()[1:])
    assert 1200 < duration_ms < 2200
    assert size == 44 + duration_ms * 16
    assert recordings_of(service) == []


async def test_nobody_who_speaks_is_no_input(service: ServiceProcess, phone: Phone) -> None:
    call = await dial(service, phone)
    assert await call.ended() == "them"
    assert await service.entries(call.caller, "log", "text") == ["nobody"]
    assert recordings_of(service) == []


async def test_silence_ends_it_and_so_does_the_time(service: ServiceProcess, phone: Phone) -> None:
    call = await dial(service, phone, beep="false", finalsilence="1s")
    call.send_tone(440)
    await asyncio.sleep(0.5)
    call.send_silence()
    assert await call.ended() == "them"
    assert (await service.entries(call.caller, "log", "text"))[0] == "ended undefined false"
    call = await dial(service, phone, beep="false", maxtime="1s")
    call.send_tone(440)
    await asyncio.sleep(1.5)
    call.send_silence()
    assert await call.ended() == "them"
    assert await service.entries(call.caller, "log", "text") == [
        "ended undefined true",
        "length 1000 16044",
    ]


async def test_a_caller_who_hangs_up_leaves_what_was_said(
    service: ServiceProcess, phone: Phone
) -> None:
    call = await dial(service, phone, beep="false")
    call.send_tone(440)
    await asyncio.sleep(1.0)
    await call.hangup()
    (left,) = await service.entries(call.caller, "log", "text")
    assert left.startswith("gone, left ")
    assert 500 < int(left.split()[-1]) < 1500
    call = await dial(service, phone, beep="false")
    await call.hangup()
    assert await service.entries(call.caller, "log", "text") == ["gone, left nothing"]
    assert recordings_of(service) == []


async def test_only_a_grammar_s_keys_end_it_without_dtmfterm(
    service: ServiceProcess, phone: Phone
) -> None:
    call = await dial(service, phone, beep="false", dtmfterm="false")
    call.send_tone(440)
    for keys in ("#", "95"):
        async with asyncio.timeout(2.0):  # on a call that has ended, no key is ever sent
            await call.press(keys)
        await asyncio.sleep(0.3)
        assert not call.is_over
    await call.press("99")
    call.send_silence()
    assert await call.ended() == "them"
    assert (await service.entries(call.caller, "log", "text"))[0] == "ended undefined false"


async def test_a_key_stops_the_prompt_and_the_recording_begins(
    service: ServiceProcess, phone: Phone
) -> None:
    call = await dial(service, phone, prompt="one two three four five six seven eight nine ten")
    await call.hears_speech()
    await call.press("1")
    await call.hears_tone(BEEP_HZ, 1.0, window_s=0.1)
    assert not call.is_over
    call.send_tone(440)
    await asyncio.sleep(0.5)
    assert not call.is_over
    call.send_silence()
    await call.press("2")
    assert await call.ended() == "them"
    assert (await service.entries(call.caller, "log", "text"))[0] == "ended 2 false"


async def test_a_form_that_is_not_known_is_refused(service: ServiceProcess, phone: Phone) -> None:
    call = await dial(service, phone, type="video/mp4")
    assert await call.ended() == "them"
    assert await service.entries(call.caller, "log", "text") == ["error error.unsupported.format"]
