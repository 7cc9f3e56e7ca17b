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
            level = await call.hears_tone(520, 15.0)
            assert level > -30
            said, _ = await asyncio.wait_for(pyvoip.communicate(), 60)
        finally:
            if pyvoip.returncode is None:
                pyvoip.kill()
                await pyvoip.wait()
        assert f"{NUMBER} answered" in said.decode()
        assert pyvoip.returncode == 0  # it heard the welcome
