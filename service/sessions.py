"""The driver of a script: performs what a VoiceXML session asks for on a real call.

The session is a generator of effects; each is answered with what came of it. The
caller's hang-up answers whatever is under way.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from media.messages import RecordingEnded
from media.timing import SAMPLE_RATE_HZ
from service.calls import Call
from service.connect import ConnectOptions, connect
from service.errors import Refused, Status
from service.legs import CallLeg
from service.recordings import MEDIA_TYPE, MEDIA_TYPES, RecordingsFull, SessionRecordings
from vxml_engine.collector import Collected, InputCollector
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
    Recorded,
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
    recordings = house.recordings.session()
    try:
        result = await _Driver(house, call, leg, recordings).drive(session.run())
    finally:
        await recordings.close()
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

    def __init__(
        self, house: "House", call: Call, leg: CallLeg, recordings: SessionRecordings
    ) -> None:
        self.house = house
        self.call = call
        self.leg = leg
        self.recordings = recordings
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
                return await self.record(effect)
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

    async def record(self, effect: Record) -> Outcome:
        """Play the prompts and the tone, then record (VoiceXML 2.0 2.3.6).

        Keys typed before it began count for nothing. A key during the prompts stops those it
        may stop, and only keys that match a grammar end the recording before it begins.
        """
        kind = effect.media_type.partition(";")[0].strip().lower()
        if kind not in MEDIA_TYPES:
            return InputFailed(
                "error.unsupported.format", f"{kind}: recordings are {MEDIA_TYPE} here"
            )
        self.leg.digits.clear()
        keys = _RecordingKeys(effect, self.clock)
        await self.introduce(effect, keys)
        if self.leg.ended.done():
            return HungUp()
        if keys.match is not None:
            return Recorded("", 0.0, 0, keys=keys.match.keys, grammar=keys.match.grammar)
        try:
            reference, file = self.recordings.begin()
        except RecordingsFull as full:
            return InputFailed("error.noresource", str(full))
        recording = self.leg.record(
            file,
            max_s=effect.max_time_s,
            timeout_s=effect.settings.timeout_s,
            final_silence_s=effect.final_silence_s,
        )
        await self.listen(recording, keys, dtmf_term=effect.dtmf_term)
        end = recording.result()
        self.call.note("recording", ended_by=end.reason, duration_s=end.samples / SAMPLE_RATE_HZ)
        return self.recorded(reference, end, keys)

    async def introduce(self, effect: Record, keys: "_RecordingKeys") -> None:
        """Play what comes before a recording, as far as keys let it."""
        leg = self.leg
        for _, prompts in _batches(effect.prompts):
            playing = leg.play(await self.sounds(prompts))
            while not playing.done():
                await leg.wait(keys.due)
                if not prompts[-1].bargein:
                    leg.digits.clear()  # VoiceXML 2.0 4.1.5: they are discarded
                if keys.take(leg.digits):
                    leg.stop_playing()
        if effect.beep and keys.match is None:
            playing = leg.play([self.house.prompts.beep])
            while not playing.done():
                await leg.wait(keys.due)
                keys.take(leg.digits)
        keys.stray = ""  # what was pressed before it began does not end it

    async def listen(
        self, recording: asyncio.Future[RecordingEnded], keys: "_RecordingKeys", *, dtmf_term: bool
    ) -> None:
        """Wait for a recording's end, and bring it about when keys do."""
        stopped = False
        while not recording.done():
            if not stopped:
                keys.take(self.leg.digits)
                if not dtmf_term:
                    keys.stray = ""
                if keys.match is not None or keys.stray:
                    stopped = True
                    self.leg.stop_recording()
            await self.leg.wait(None if stopped else keys.due)

    def recorded(self, reference: str, end: RecordingEnded, keys: "_RecordingKeys") -> Outcome:
        """Return what a script is told of a recording's end."""
        hung_up = self.leg.ended.done()
        if end.samples == 0:
            self.recordings.give_up(reference)
        if hung_up and not end.spoken:
            return HungUp()
        if end.reason == "failed":
            return InputFailed("error.noresource", end.error)
        if end.reason == "no_input":
            return InputFailed("noinput")
        return Recorded(
            reference if end.samples else "",
            duration_s=end.samples / SAMPLE_RATE_HZ,
            size_bytes=self.recordings.keep(reference) if end.samples else 0,
            term_char=keys.stray,
            max_time=end.reason == "max_time",
            hung_up=hung_up,
            keys=keys.match.keys if keys.match else "",
            grammar=keys.match.grammar if keys.match else -1,
        )

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


class _RecordingKeys:
    """The keys of the caller during a recording (VoiceXML 2.0 2.3.6, dtmfterm).

    `match` is set by keys that a grammar takes; `stray` is the last key that fits none.
    """

    def __init__(self, effect: Record, clock: Callable[[], float]) -> None:
        self._networks = effect.networks
        self._settings = effect.settings
        self._clock = clock
        self.match: Collected | None = None
        self.stray = ""
        self._begin()

    def _begin(self) -> None:
        self._collector = InputCollector(self._networks, self._settings, ())
        self._last = ""

    @property
    def due(self) -> float | None:
        """When `take` must be called though no key has come; None while keys decide alone."""
        return None if self.match else self._collector.get_timer()

    def take(self, digits: deque[str]) -> bool:
        """Take the keys that have come, and the time; tells whether there were keys."""
        pressed = False
        while digits and self.match is None:
            pressed = True
            self._press(digits.popleft())
        if self.match is None and self._last:
            self._collector.handle_timer(self._clock())
            self._judge()
        return pressed

    def _press(self, key: str) -> None:
        self._last = key
        self._collector.digit(key, self._clock())
        self._judge()

    def _judge(self) -> None:
        """See whether a grammar has taken the keys so far, or none can any more."""
        result = self._collector.result
        if result is not None and result.kind == "match":
            self.match = result
        elif result is not None or not self._collector.possible:
            self.stray = self._last
            self._begin()


def _batches(prompts: Sequence[Prompt]) -> list[tuple[int, Sequence[Prompt]]]:
    """Split the queue after the last prompt that must be heard to its end.

    Each part comes with the index of its first prompt: what begins then.
    """
    protected = max((i for i, prompt in enumerate(prompts) if not prompt.bargein), default=-1) + 1
    parts = [(0, prompts[:protected]), (protected, prompts[protected:])]
    return [(index, part) for index, part in parts if part]
