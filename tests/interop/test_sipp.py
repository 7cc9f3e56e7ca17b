"""sipp, a thousand times: every call is answered, spoken to, and ended by the script."""

import asyncio
from pathlib import Path

import pytest

from tests.kit import sipp
from tests.kit.phone import Phone
from tests.kit.service_process import ServiceProcess, sample

NUMBER = "33199000003"
CALLS, PER_SECOND = 1000, 50


def ended(metrics: dict[str, float]) -> dict[str, int]:
    """Return the calls that have ended, by cause."""
    name = "voicemashup_calls_ended_total"
    return {key: int(value) for key, value in metrics.items() if key.startswith(name)}


@pytest.mark.peer("sipp")
async def test_a_thousand_calls_at_fifty_a_second_all_end_as_they_should(
    service: ServiceProcess, tmp_path: Path
) -> None:
    await service.give_script(sample("two-prompts.vxml"), NUMBER, name="two-prompts")
    async with await Phone.start("33612345678") as phone:
        before = ended(await service.metrics())
        running = asyncio.create_task(
            sipp.call_many(
                tmp_path,
                f"127.0.0.1:{service.sip_port}",
                NUMBER,
                calls=CALLS,
                per_second=PER_SECOND,
            )
        )
        await asyncio.sleep(CALLS / PER_SECOND / 2)
        call = await phone.dial(service.uri(NUMBER))
        await call.answered()
        await call.hears_speech()  # the others do not crowd it out
        assert await call.ended() == "them"
        calls = await running
    assert (calls.made, calls.succeeded, calls.failed) == (CALLS, CALLS, 0), calls.errors
    after = ended(await service.metrics())
    new = {cause: after[cause] - before.get(cause, 0) for cause in after}
    assert {cause: count for cause, count in new.items() if count} == {
        'voicemashup_calls_ended_total{cause="script"}': CALLS + 1
    }
    assert (await service.metrics())["voicemashup_calls_live"] == 0
    assert (await service.metrics())["voicemashup_legs"] == 0
