"""The demo: the whole service in a temporary folder, three phones and a guest in a conference.

Real SIP, RTP and HTTP on loopback. The phones are those of the test kit, written
independently of the rooms they test. Every phone sends a tone of its own; at the end
stands who heard which tone at what level and delay, the calls' timelines, and the
account's money. The exit status is 0 only if everybody heard all others and not
themselves.
"""

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.first_run import FREE, SAMPLES

if TYPE_CHECKING:
    from tests.kit.phone import Call
    from tests.kit.service_process import ServiceProcess

HEARD_DBFS = -30.0  # a tone sent at -16 dBFS is heard when it arrives above this
SILENT_DBFS = -50.0  # and not heard below this
LISTEN_S = 2.0
NAMES = ("anne", "bruno", "chloe")
TONES_HZ = {"anne": 450.0, "bruno": 640.0, "chloe": 910.0, "guest": 1290.0}


@dataclass(frozen=True)
class Heard:
    """What one phone heard of another's tone: level in dBFS, and delay in seconds."""

    level_dbfs: float
    delay_s: float | None


def main() -> int:
    """Run the demo; return the exit status."""
    if not (SAMPLES.parent / "tests" / "kit").is_dir():
        print("The demo needs the test kit: run it in a checkout, with `make demo`.")
        return 2
    sys.path.insert(0, str(SAMPLES.parent))
    with tempfile.TemporaryDirectory(prefix="voicemashup-demo-") as folder:
        return asyncio.run(_demo(Path(folder)))


async def _demo(folder: Path) -> int:
    from tests.kit.service_process import ServiceProcess

    _say("starting the service in a temporary folder")
    service = await ServiceProcess.start(folder)
    _say(f"it runs: HTTP {service.url}, SIP port {service.sip_port}")
    try:
        return await _conference(service)
    finally:
        stopped_s = await service.stop()
        _say(f"the service has stopped in {stopped_s:.1f} s")


async def _conference(service: "ServiceProcess") -> int:
    from tests.kit.phone import Phone

    key, password = service.key, service.passwords["alice"]
    conf_id = await _prepare(service, key)
    guest = await Phone.start("alice")
    phones = [await Phone.start(name) for name in NAMES]
    try:
        await guest.register(service.registrar, user="alice", password=password)
        _say("the phone alice has registered: it will be the guest")
        calls: dict[str, Call] = {}
        for number, (name, phone) in enumerate(zip(NAMES, phones, strict=True), 1):
            calls[name] = await phone.dial(service.uri(FREE[0]), caller=f"3363998000{number}")
            await calls[name].answered()
            await calls[name].hears_speech()
            _say(f"{name} has dialled {FREE[0]} and hears the script speak")
        made = await service.api(
            key,
            "call/createCall",
            from_=f"conf:{conf_id}",
            to="sip:alice@voicemashup.local",
        )
        calls["guest"] = await guest.incoming()
        await calls["guest"].answered()
        _say("the conference has called its guest, who answered")
        heard = await _listen(calls)
        for call in calls.values():
            await call.hangup()
        _say("all have hung up")
        await asyncio.sleep(1.0)
        good = _show_heard(heard)
        await _show_calls(service, key, conf_id, made["call_info"]["call_id"])
        return 0 if good else 1
    finally:
        for phone in (*phones, guest):
            await phone.close()


async def _prepare(service: "ServiceProcess", key: str) -> str:
    """Make the conference, upload the script that leads into it, assign it to a number."""
    made = await service.api(key, "conf/createConference", duration=10)
    conf_id = str(made["conference_info"]["conf_id"])
    _say(f"createConference: conf:{conf_id}")
    script = (SAMPLES / "conference.vxml").read_text().replace("conf:12a34b", f"conf:{conf_id}")
    uploaded = await service.api(key, "script/uploadScript", name="conference", source=script)
    script_id = uploaded["script_info"]["script_id"]
    _say(f"uploadScript: {script_id}, version {uploaded['script_info']['version']}")
    await service.api(key, "number/assignNumber", number=FREE[0], script=script_id)
    _say(f"assignNumber: {FREE[0]}")
    return conf_id


async def _listen(calls: "dict[str, Call]") -> dict[tuple[str, str], Heard]:
    """Let every phone send its tone and all listen; then measure delays pair by pair."""
    from tests.kit.phone import measure_delay

    for call in calls.values():
        await call.hears_silence(1.0)
    for name, call in calls.items():
        call.send_tone(TONES_HZ[name])
        _say(f"{name} sends {TONES_HZ[name]:.0f} Hz")
    await asyncio.sleep(0.5)
    sounds = await asyncio.gather(*(call.listen(LISTEN_S) for call in calls.values()))
    levels = {
        (listener, speaker): sound.level_dbfs(TONES_HZ[speaker])
        for listener, sound in zip(calls, sounds, strict=True)
        for speaker in calls
    }
    _say("measuring delays")
    names = list(calls)
    delays: dict[tuple[str, str], float] = {}
    for index, speaker in enumerate(names):
        listener = names[(index + 1) % len(names)]
        delays[listener, speaker] = await measure_delay(
            calls[speaker], calls[listener], TONES_HZ[speaker]
        )
    return {pair: Heard(level, delays.get(pair)) for pair, level in levels.items()}


def _show_heard(heard: dict[tuple[str, str], Heard]) -> bool:
    names = list(TONES_HZ)
    print("\nWho heard whom (dBFS; delay in ms where it was measured)\n")
    print(f"{'':>10}" + "".join(f"{f'{name} {TONES_HZ[name]:.0f} Hz':>20}" for name in names))
    good = True
    for listener in names:
        cells = []
        for speaker in names:
            one = heard[listener, speaker]
            own = listener == speaker
            right = one.level_dbfs < SILENT_DBFS if own else one.level_dbfs > HEARD_DBFS
            good = good and right
            delay = "" if one.delay_s is None else f"  {one.delay_s * 1000:.0f} ms"
            mark = "" if right else " !"
            shown = "not heard" if one.level_dbfs < SILENT_DBFS else f"{one.level_dbfs:.1f}"
            cells.append(f"{shown}{delay}{mark}")
        print(f"{listener:>10}" + "".join(f"{cell:>20}" for cell in cells))
    told = (
        "Everybody heard all others, nobody themselves." if good else "NOT as it should be: see !"
    )
    print(f"\n{told}")
    return good


async def _show_calls(service: "ServiceProcess", key: str, conf_id: str, call_id: str) -> None:
    made = await service.api(key, "conf/getConference", conf_id=conf_id)
    print("\nParticipants\n")
    for one in made["conference_info"]["participants"]:
        print(f"  {one['number']:<24} {one['joined_at']}  to  {one['left_at']}")
    found = await service.api(key, "call/getCall", call_id=call_id)
    print("\nTimeline of the guest's call\n")
    begun: datetime | None = None
    for entry in found["call_info"]["timeline"]:
        at = datetime.fromisoformat(entry["at"])
        begun = begun or at
        print(
            f"  {(at - begun).total_seconds():8.3f} s  {entry['kind']:<20} {_flat(entry['detail'])}"
        )
    balance = (await service.api(key, "account/getBalance"))["balance_info"]
    print("\nMoney, in credits\n")
    for name in ("earned", "spent", "available"):
        print(f"  {name:<10} {int(balance[f'{name}_millicredits']) / 1000:10.3f}")
    print()


def _flat(detail: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items())


_begun = time.monotonic()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _begun:6.1f} s  {text}", flush=True)
