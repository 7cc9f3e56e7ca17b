"""One party of a call: its SIP leg and its audio, as one thing.

`Legs` opens them and hands what SIP and media report to the leg it concerns. A
`CallLeg` holds plain state (answered? ended? digits typed? still playing?) and one
waiter: who drives a leg looks at the state, and sleeps in `wait` until something
changed.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from media.client import MediaClient
from media.errors import BadRequest
from media.messages import (
    DigitReceived,
    Event,
    LegClosed,
    LegInactive,
    PlayEnded,
    ProcessDied,
    RecordingEnded,
)
from service.limits import TYPED_AHEAD_DIGITS_MAX
from telephony.errors import SdpError
from telephony.legs import Leg
from telephony.sdp import Negotiated

log = logging.getLogger(__name__)


class LegFailed(Exception):
    """The called party was not reached: the final SIP status and its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


class CallLeg:
    """One party: what it did so far, and what can be done to it."""

    def __init__(self, media: MediaClient, media_id: str, port: int) -> None:
        self.media = media
        self.media_id = media_id
        self.port = port
        self.sip: Leg | None = None
        self.digits: deque[str] = deque(maxlen=TYPED_AHEAD_DIGITS_MAX)
        self.on_digit: Callable[[str], None] | None = None  # set while digits are relayed
        self.on_ringing: Callable[[bool], None] | None = None  # told whether audio comes with it
        self.on_accepted: Callable[[], None] | None = None
        self.local_sdp = b""  # what we answer or offer
        self.sdp_version = 1
        self.accepted = False  # we sent 200, or got it
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.end_cause = ""  # why we end it, where we do
        self._plays = itertools.count(1)
        self._playing: tuple[int, asyncio.Future[bool]] | None = None
        self._recording: asyncio.Future[RecordingEnded] | None = None
        self._changed = asyncio.Event()
        self.answered.add_done_callback(_retrieved)

    # What SIP and media report

    def heard_digit(self, digit: str) -> None:
        if self.on_digit:
            self.on_digit(digit)
        else:
            self.digits.append(digit)
            self._changed.set()

    def play_ended(self, play_id: int, completed: bool) -> None:
        if self._playing and self._playing[0] == play_id and not self._playing[1].done():
            self._playing[1].set_result(completed)
            self._changed.set()

    def recording_ended(self, event: RecordingEnded) -> None:
        if self._recording is not None and not self._recording.done():
            self._recording.set_result(event)
            self._changed.set()

    def was_answered(self) -> None:
        self.accepted = True
        if not self.answered.done():
            self.answered.set_result(None)
            self._changed.set()

    def has_failed(self, status: int, reason: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(LegFailed(status, reason))
        self.has_ended("failed")

    def has_ended(self, cause: str) -> None:
        if not self.ended.done():
            self.ended.set_result(self.end_cause or cause)
        if not self.answered.done():
            self.answered.set_exception(LegFailed(487, "Ended before it was answered"))
        if self._playing and not self._playing[1].done():
            self._playing[1].set_result(False)
        self._changed.set()

    # What is done to it

    def ring(self) -> None:
        """Tell an incoming call's phone that the other side rings."""
        if not self.accepted and self.sip is not None and not self.ended.done():
            self.sip.ring()

    def accept(self) -> None:
        """Answer an incoming call, once."""
        if not self.accepted and self.sip is not None and not self.ended.done():
            self.accepted = True
            self.sip.answer(self.local_sdp)
            if self.on_accepted is not None:
                self.on_accepted()

    def reject(self, status: int, reason: str | None = None) -> None:
        """Refuse an incoming call that was not answered."""
        if not self.accepted and self.sip is not None and not self.ended.done():
            self.sip.reject(status, reason)
            self.has_ended("rejected")

    def connect_audio(self, negotiated: Negotiated) -> None:
        """Send audio where the other side's SDP says, as it says.

        Raises `telephony.errors.SdpError` where that is no address audio can go to.
        """
        if self.ended.done():
            return
        try:
            self.media.connect(
                self.media_id,
                negotiated.remote_ip,
                negotiated.remote_port,
                payload_type=negotiated.payload_type,
                codec=negotiated.codec,
                event_payload_type=negotiated.event_payload_type,
                sending=negotiated.direction.sends,
            )
        except BadRequest as error:
            raise SdpError(str(error)) from error

    def join(self, room_id: str) -> None:
        """Enter an audio room."""
        if not self.ended.done():
            self.media.join(self.media_id, room_id)

    def leave(self) -> None:
        """Leave the audio room."""
        if not self.ended.done():
            self.media.leave(self.media_id)

    def send_digit(self, digit: str) -> None:
        """Send a key press to the party."""
        if not self.ended.done():
            self.media.send_digits(self.media_id, digit)

    def play(self, files: Sequence[Path], *, loop: bool = False) -> asyncio.Future[bool]:
        """Play sounds in order, instead of what plays now.

        The future tells whether they were played to the end (False: stopped, or the leg ended).
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._playing and not self._playing[1].done():
            self._playing[1].set_result(False)
        if self.ended.done() or not files:
            future.set_result(not self.ended.done())
            return future
        play_id = next(self._plays)
        self._playing = (play_id, future)
        self.media.play(self.media_id, files, play_id=play_id, loop=loop)
        return future

    def stop_playing(self) -> None:
        if self._playing and not self._playing[1].done() and not self.ended.done():
            self.media.stop(self.media_id)
            self._playing[1].set_result(False)

    @property
    def is_recorded(self) -> bool:
        """Whether a recording is under way, or being written."""
        return self._recording is not None and not self._recording.done()

    def record(
        self, file: Path, *, max_s: float, timeout_s: float, final_silence_s: float
    ) -> asyncio.Future[RecordingEnded]:
        """Record what the party says to a file; the future tells when it is written.

        It ends as `MediaClient.record` says; a leg that ends leaves what was said.
        """
        assert not self.is_recorded, "one recording at a time"
        self._recording = asyncio.get_running_loop().create_future()
        if self.ended.done():
            self.recording_ended(RecordingEnded(self.media_id, "stopped", 0, False))
        else:
            self.media.record(
                self.media_id,
                file,
                max_s=max_s,
                timeout_s=timeout_s,
                final_silence_s=final_silence_s,
            )
        return self._recording

    def stop_recording(self) -> None:
        """End the recording; its future tells when it is written."""
        if not self.ended.done():
            self.media.stop_recording(self.media_id)

    def hang_up(self, cause: str) -> None:
        """End the leg whatever its state; `ended` tells `cause` when it has."""
        if self.ended.done():
            return
        self.end_cause = self.end_cause or cause
        if self.sip is None:
            self.has_ended(cause)
        else:
            self.sip.hangup()

    async def wait(self, until: float | None = None) -> None:
        """Sleep until the leg's state changed, or the loop's clock shows `until` seconds."""
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()


class Legs:
    """All legs of this node, and the way of SIP's and media's reports to them."""

    def __init__(self, media: MediaClient) -> None:
        self.media = media
        self._by_media: dict[str, CallLeg] = {}
        self._by_sip: dict[str, CallLeg] = {}
        self._being_written: dict[str, CallLeg] = {}  # ended; what they said is not yet a file
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._by_media)

    async def open(self) -> CallLeg:
        """Open the audio of a leg; raises `media.errors.PortsExhausted`."""
        media_id = f"leg{next(self._numbers)}"
        port = await self.media.open_leg(media_id)
        leg = CallLeg(self.media, media_id, port)
        self._by_media[media_id] = leg
        leg.ended.add_done_callback(lambda _: self._close(leg))
        return leg

    def join_sip(self, leg: CallLeg, sip: Leg) -> None:
        leg.sip = sip
        self._by_sip[sip.id] = leg

    def of_sip(self, sip: Leg) -> CallLeg | None:
        return self._by_sip.get(sip.id)

    def _close(self, leg: CallLeg) -> None:
        self.media.close_leg(leg.media_id)
        if leg.is_recorded:
            self._being_written[leg.media_id] = leg
        self._by_media.pop(leg.media_id, None)
        if leg.sip is not None:
            self._by_sip.pop(leg.sip.id, None)

    def hear(self, event: Event) -> None:
        """Hand a report of the media process to the leg it concerns."""
        match event:
            case DigitReceived(leg_id=leg_id, digit=digit):
                if leg := self._by_media.get(leg_id):
                    leg.heard_digit(digit)
            case PlayEnded(leg_id=leg_id, play_id=play_id, completed=completed):
                if leg := self._by_media.get(leg_id):
                    leg.play_ended(play_id, completed)
            case RecordingEnded(leg_id=leg_id):
                if leg := self._being_written.pop(leg_id, None) or self._by_media.get(leg_id):
                    leg.recording_ended(event)
            case LegInactive(leg_id=leg_id, silent_s=silent_s):
                if leg := self._by_media.get(leg_id):
                    log.warning("no audio from the leg for %.0f s: it is ended", silent_s)
                    leg.hang_up("no_audio")
            case ProcessDied(leg_ids=leg_ids):
                log.error("the media process died; %d legs are ended", len(leg_ids))
                self._lose_recordings()
                for leg_id in leg_ids:
                    if leg := self._by_media.get(leg_id):
                        leg.hang_up("media_failure")
            case LegClosed():
                pass

    def _lose_recordings(self) -> None:
        """What was recorded went with the media process."""
        error = "the media process died"
        for leg in (*self._by_media.values(), *self._being_written.values()):
            leg.recording_ended(RecordingEnded(leg.media_id, "failed", 0, False, error))
        self._being_written.clear()

    def hang_up_all(self, cause: str) -> None:
        for leg in list(self._by_media.values()):
            leg.hang_up(cause)


def _retrieved(future: asyncio.Future[None]) -> None:
    # A leg may fail while nobody awaits its answer: that is no lost exception.
    if not future.cancelled():
        future.exception()
