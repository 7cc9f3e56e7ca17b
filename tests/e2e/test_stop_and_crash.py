"""The service stops as it should, and comes back from a crash with its books in order."""

import asyncio
import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from billing import ledger
from tests.kit.phone import Phone
from tests.kit.service_process import ServiceProcess, free_port, sample

NUMBER, GUEST = "33199000003", "33612345678"


def alive(pids: list[int]) -> list[int]:
    """Return those processes that still run."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def books(service: ServiceProcess) -> list[str]:
    """Return what is wrong with the ledger in the database file."""
    engine = create_engine(f"sqlite:///{service.database}")
    with engine.connect() as connection:
        problems = ledger.verify(connection)
    engine.dispose()
    return problems


async def test_ctrl_c_ends_calls_with_bye_and_stops_cleanly(tmp_path: Path) -> None:
    service = await ServiceProcess.start(tmp_path)
    pids = service.processes()
    async with await Phone.start("33612345671") as phone:
        call = await phone.dial(service.uri("33199000001"))
        await call.answered()
        await call.hears_speech()
        await service.stop()
        assert await call.ended(2.0) == "them"
    assert service.process is not None
    assert service.process.returncode == 0
    assert alive(pids) == []
    assert "Traceback" not in service.log_tail(10_000)
    assert service.rows("select state, cause from calls") == [("ended", "service_stopping")]


async def test_a_second_start_keeps_keys_numbers_and_phones(tmp_path: Path) -> None:
    service = await ServiceProcess.start(tmp_path)
    await service.give_script(sample("two-prompts.vxml"), NUMBER)
    await service.stop()
    await service.start_again()
    try:
        await service.ask("account/getBalance")
        async with await Phone.start("alice") as phone:
            await phone.register(service.registrar, password=service.passwords["alice"])
            call = await phone.dial(service.uri(NUMBER))
            await call.answered()
            await call.hears_speech()
            assert await call.ended() == "them"
    finally:
        await service.stop()


@pytest.mark.parametrize("crash", ["whole service", "media process"])
async def test_a_crash_in_a_billed_call_leaves_no_hold_and_a_ledger_of_zero(
    tmp_path: Path, crash: str
) -> None:
    trunk_port = free_port()
    async with (
        await Phone.start("carrier", port=trunk_port) as carrier,
        await Phone.start("33612345671") as caller,
    ):
        service = await ServiceProcess.start(
            tmp_path, trunk={"host": "127.0.0.1", "port": trunk_port}
        )
        made = await service.ask("conf/createConference")
        conf_id = made["conference_info"]["conf_id"]
        await service.give_script(sample("conference.vxml", {"12a34b": conf_id}), NUMBER)
        inside = await caller.dial(service.uri(NUMBER))
        await inside.answered()
        await service.ask("call/createCall", from_=f"conf:{conf_id}", to=GUEST)
        guest = await carrier.incoming()
        await guest.answered()
        guest.send_tone(440)
        await inside.hears_tone(440)
        await asyncio.sleep(3.5)  # several heartbeats, on a busy machine too
        balance = (await service.ask("account/getBalance"))["balance_info"]
        assert balance["held_millicredits"] > 0
        pids = service.processes()
        if crash == "whole service":
            service.kill()
            assert service.rows("select count(*) from holds where held_millicredits > 0") == [(1,)]
            for _ in range(100):
                if not alive(pids):
                    break
                await asyncio.sleep(0.1)
            assert alive(pids) == []  # nothing is left over that holds ports or plays on
            await service.start_again()
            await inside.hangup()  # what was cut off is answered with 481, not with silence
            await guest.hangup()
        else:
            os.kill(media_process(pids), 9)
            assert await inside.ended(10.0) == "them"
            assert await guest.ended(10.0) == "them"
            await asyncio.sleep(1.0)
        try:
            assert service.rows("select count(*) from holds where held_millicredits > 0") == [(0,)]
            assert books(service) == []
            balance = (await service.ask("account/getBalance"))["balance_info"]
            assert balance["held_millicredits"] == 0
            assert balance["spent_millicredits"] > 0  # the seconds that were talked
            assert balance["earned_millicredits"] > 0
            assert service.rows("select count(*) from calls where state <> 'ended'") == [(0,)]
            again = await caller.dial(service.uri(NUMBER))  # and it takes calls
            await again.answered()
            await again.hears_speech()
            await again.hangup()
        finally:
            await service.stop()
        assert books(service) == []


def media_process(pids: list[int]) -> int:
    """Return the one of these processes that is the media process."""
    for pid in pids[1:]:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if "media" in words:
            return pid
    raise AssertionError("no media process runs")
