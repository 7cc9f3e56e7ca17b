"""The driver of a script: performs what a VoiceXML session asks for on a real call.

The session is a generator of effects; each is answered with what came of it. The
caller's hang-up answers whatever is under way.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from service.calls import Call
from service.connect import ConnectOptions, connect
from service.errors import Refused, Status
from service.legs import CallLeg
from vxml_engine.collector import Collected
from vxml_engine.effects import (
    Collect,
    Disconnect,
    Disconnected,
    Effect,
    Fetch,
    HandedOver,
    HungUp,
    InputFailed,
    Log,
    Outcome,
    Play,
    Played,
    Prompt,
    Record,
    Transfer,
    TransferFailed,
    Transferred,
)
from vxml_engine.session import Connection, Session, SessionResult

if TYPE_CHECKING:
    from service.house import House

log = logging.getLogger(__name__)


async def run_script(house: "House", call: Call, leg: CallLeg, start_url: str) -> SessionResult:
    """Run the script at `start_url` on an answered leg until it or the caller ends it.

    What goes wrong in the script ends the session and is noted in the call's
    timeline with its event, file and line.
    """
    session = Session(
        start_url=start_url,
        connection=Connection(local_uri=call.called, remote_uri=call.caller),
        documents=house.documents,
    )
    call.note("script_started", url=start_url)
    driver = _Driver(house, call, leg)
    result = await driver.drive(session.run())
    if result.error:
        call.note(
            "script_error",
            event=result.error.event,
            message=result.error.message,
            url=result.error.url,
            line=result.error.line,
        )
    call.note("script_ended", reason=result.reason)
    return result


class _Driver:
    """Performs the effects of one session on one leg."""

    def __init__(self, house: "House", call: Call, leg: CallLeg) -> None:
        self.house = house
        self.call = call
        self.leg = leg
        self.clock = asyncio.get_running_loop().time

    async def drive(self, session: Generator[Effect, Outcome, SessionResult]) -> SessionResult:
        try:
            effect = next(session)
            while True:
                effect = session.send(await self.perform(effect))
        except StopIteration as end:
            result: SessionResult = end.value
            return result
        finally:
            session.close()

    async def perform(self, effect: Effect) -> Outcome:
        """Do what the session asks for; return what came of it."""
        match effect:
            case Fetch():
                if effect.purpose == "document":
                    self.call.note("fetch", url=effect.url.partition("?")[0])
                return await self.house.fetcher.fetch(effect, self.call)
            case Play(prompts=prompts):
                return await self.play(prompts)
            case Collect():
                return await self.collect(effect)
            case Record():
                return InputFailed("error.unsupported.record", "calls are not recorded here")
            case Transfer():
                return await self.transfer(effect)
            case Disconnect():
                self.leg.hang_up("script")
                await self.leg.ended
                return Disconnected()
            case Log(label=label, text=text):
                self.call.note("log", label=label, text=text)
                return None
            case _:
                assert_never(effect)

    async def play(self, prompts: Sequence[Prompt]) -> Played | HungUp:
        playing = self.leg.play(await self.sounds(prompts))
        while not playing.done():
            await self.leg.wait()
        return HungUp() if self.leg.ended.done() else Played()

    async def sounds(self, prompts: Sequence[Prompt]) -> list[Path]:
        files = self.house.prompts.ready(prompts)
        return files if files is not None else await self.house.prompts.files(prompts, self.call)

    async def collect(self, effect: Collect) -> Outcome:
        """Play the queued prompts and feed the collector with keys and time until it is done."""
        collector = effect.collector()
        leg, clock = self.leg, self.clock
        batches = _batches(effect.prompts)
        playing: asyncio.Future[bool] | None = None
        told = False
        while collector.result is None:
            if leg.ended.done():
                return HungUp()
            while leg.digits and collector.result is None:
                collector.digit(leg.digits.popleft(), clock())
            if collector.barged_in:
                leg.stop_playing()
                batches.clear()
            if playing is None or playing.done():
                if batches:
                    index, prompts = batches.pop(0)
                    playing = leg.play(await self.sounds(prompts))
                    collector.prompt_started(index)
                    continue
                if not told:
                    told = True
                    collector.prompts_ended(clock())
            due = collector.get_timer()
            if due is not None and due <= clock():
                collector.handle_timer(clock())
            elif collector.result is None:
                await leg.wait(due)
        leg.stop_playing()
        self.call.note("input", result=collector.result.kind)
        return collector.result

    async def transfer(self, effect: Transfer) -> Outcome:
        """Connect the caller to where the script leads; tells how it ended, and its seconds."""
        if effect.prompts and isinstance(await self.play(effect.prompts), HungUp):
            return HungUp()
        ending = _EndingKeys(effect, self.clock)
        options = ConnectOptions(
            ring_s=effect.connect_timeout_s,
            max_s=effect.max_time_s,
            caller=effect.caller,
            ends_by=ending.press if effect.networks else None,
            pin=self.call.pin,
            any_account=self.call.account_id is None,
        )
        self.call.note("transfer", to=effect.dest)
        try:
            destination = self.house.destination(effect.dest, field="to")
            connected = await connect(self.house, self.call, self.leg, destination, options)
        except Refused as refused:
            self.call.note("transfer_refused", to=effect.dest, why=refused.message)
            event = TRANSFER_EVENTS.get(refused.status, "error.connection.noauthorization")
            return TransferFailed(event, refused.message)
        duration_s = connected.duration_s
        self.call.note("transfer_ended", result=connected.result, duration_s=round(duration_s, 3))
        if self.leg.ended.done():
            return HungUp(duration_s)
        if effect.kind == "blind" or (effect.kind == "consultation" and duration_s > 0):
            return HandedOver()
        return Transferred(connected.result, duration_s, ending.keys)


# What a refused transfer throws (VoiceXML 2.0 2.3.7.3); all others: noauthorization.
TRANSFER_EVENTS = {
    Status.BAD_NUMBER: "error.connection.baddestination",
    Status.NOT_FOUND: "error.connection.baddestination",
    Status.LIMIT_REACHED: "error.connection.noresource",
    Status.UNREACHABLE: "error.connection.noroute",
}


class _EndingKeys:
    """The keys of the caller that end a bridged transfer (VoiceXML 2.0 2.3.7.2)."""

    def __init__(self, effect: Transfer, clock: Callable[[], float]) -> None:
        self._effect = effect
        self._clock = clock
        self._collector = effect.collector()
        self.keys = ""

    def press(self, key: str) -> bool:
        """Take a key; tells whether the keys so far end the transfer."""
        assert self._collector is not None
        self._collector.digit(key, self._clock())
        match self._collector.result:
            case None:
                return False
            case Collected(kind="match", keys=keys):
                self.keys = keys
                return True
            case _:
                self._collector = self._effect.collector()
                return False


def _batches(prompts: Sequence[Prompt]) -> list[tuple[int, Sequence[Prompt]]]:
    """Split the queue after the last prompt that must be heard to its end.

    Each part comes with the index of its first prompt: what begins then.
    """
    protected = max((i for i, prompt in enumerate(prompts) if not prompt.bargein), default=-1) + 1
    parts = [(0, prompts[:protected]), (protected, prompts[protected:])]
    return [(index, part) for index, part in parts if part]
