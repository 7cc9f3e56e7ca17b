"""pyVoIP, through our own sample: it dials the sample script and is heard in the conference."""

import asyncio
import sys

import pytest

from tests.kit.phone import Phone
from tests.kit.service_process import ROOT, ServiceProcess, sample

NUMBER = "33199000003"


@pytest.mark.peer("pyVoIP")
async def test_a_pyvoip_phone_dials_the_sample_and_is_heard(service: ServiceProcess) -> None:
    made = await service.ask("conf/createConference")
    conf_id = made["conference_info"]["conf_id"]
    await service.give_script(sample("conference.vxml", {"12a34b": conf_id}), NUMBER)
    async with await Phone.start("33612345678") as phone:
        call = await phone.dial(service.uri(NUMBER))
        await call.answered()
        await call.hears_speech()
        await call.hears_silence(1.0)  # the welcome is over: what comes now is the other phone
        pyvoip = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            str(ROOT / "samples" / "pyvoip_phone.py"),
            NUMBER,
            "--port",
            str(service.sip_port),
            "--user",
            "alice",
            "--password",
            service.passwords["alice"],
            "--seconds",
            "8",
            "--tone",
            "520",
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await call.hears_tone(520, 15.0)
            await asyncio.sleep(1.0)
            assert await call.hears_tone(520) > -30  # pyVoIP sends 8 bits, a third of the scale
            said, _ = await asyncio.wait_for(pyvoip.communicate(), 60)
        finally:
            if pyvoip.returncode is None:
                pyvoip.kill()
                await pyvoip.wait()
        assert f"{NUMBER} answered" in said.decode()
        assert pyvoip.returncode == 0  # it heard the welcome
