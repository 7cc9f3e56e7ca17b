"""All legs and rooms of one media process. It knows no clock: a tick's number is its time."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from media.dtmf import DIGITS, DigitSender
from media.errors import BadRequest, BrokenPrompt, LegExists, PortsExhausted, UnknownLeg
from media.g711 import DECODE, ENCODE, LAWS
from media.jitter import START_SAMPLES
from media.kernels import DIGIT_EVENT, tick_rooms
from media.legs import (
    RING_SAMPLES,
    LegTable,
    address_text,
    address_words,
    new_legs,
    new_plays,
    new_rings,
)
from media.limits import EVENTS_A_TICK_MAX, LEGS_MAX, PLAY_FILES_MAX
from media.messages import (
    Answer,
    Close,
    Command,
    Connect,
    DigitReceived,
    Join,
    Leave,
    LegClosed,
    LegInactive,
    LegStatistics,
    Mute,
    Open,
    Play,
    PlayEnded,
    PortsReady,
    SendDigits,
    StartRecording,
    Stop,
    StopRecording,
)
from media.ports import PortPair, PortPool
from media.prompts import MappedPrompt, PromptStore
from media.recording import Recorder
from media.timing import FRAME_SAMPLES, SAMPLES_A_MS, TICKS_A_SECOND

_ROWS_AT_FIRST: Final = 64
_FILL_TICKS: Final = 5


@dataclass
class _Playing:
    play_id: int
    prompts: list[MappedPrompt]


@dataclass
class _Leg:
    """What the Python side keeps of a leg, besides its row."""

    leg_id: str
    row: int
    pair: PortPair
    room_id: str | None = None
    playing: _Playing | None = None
    digits: DigitSender = field(default_factory=DigitSender)
    inactive_told: bool = False


class Plane:
    """Legs, rooms, and what they play; driven by commands and ticks.

    Events that commands cause come out of the next tick, in order.
    """

    def __init__(self, host: str, ports: range, inactivity_s: float) -> None:
        self._pool = PortPool(host, ports)
        self._inactivity_ticks = max(1, round(inactivity_s * TICKS_A_SECOND))
        self._table: LegTable = new_legs(_ROWS_AT_FIRST)
        self._rings = new_rings(_ROWS_AT_FIRST)
        self._plays = new_plays(_ROWS_AT_FIRST)
        self._free = list(range(_ROWS_AT_FIRST - 1, -1, -1))
        self._legs: dict[str, _Leg] = {}
        self._by_row: dict[int, _Leg] = {}
        self._rooms: dict[str, dict[int, None]] = {}
        self._sending_digits: dict[int, _Leg] = {}
        self._prompts = PromptStore()
        self._recorder = Recorder()
        self._members = np.zeros(0, np.int32)
        self._begins = np.zeros(1, np.int32)
        self._gains = np.zeros(0, np.float32)
        self._laid_out = True
        self._raw_events = np.zeros((EVENTS_A_TICK_MAX, 3), np.int32)
        self._waiting: list[Answer] = []
        self._tick = 0
        self._announced = False
        self.events_dropped = 0

    # What can be asked

    @property
    def leg_count(self) -> int:
        """Open legs."""
        return len(self._legs)

    @property
    def room_count(self) -> int:
        """Rooms with at least one leg."""
        return len(self._rooms)

    @property
    def ports_ready(self) -> int:
        """Port pairs that are bound and not taken."""
        return self._pool.ready

    @property
    def prompts_mapped(self) -> int:
        """Prompt files in memory."""
        return len(self._prompts)

    def statistics_of(self, leg_id: str) -> LegStatistics:
        """Return a leg's statistics; raises UnknownLeg."""
        return self._statistics(self._leg(leg_id))

    # Commands

    def apply(self, command: Command) -> None:
        """Do one command; raises MediaError when it names what is not there.

        It takes effect with the next tick.
        """
        match command:
            case Open():
                self._open(command)
            case Connect():
                self._connect(self._leg(command.leg_id), command)
            case Play():
                self._play(self._leg(command.leg_id), command)
            case Stop():
                self._end_play(self._leg(command.leg_id), completed=False)
            case SendDigits():
                leg = self._leg(command.leg_id)
                leg.digits.add(command.digits)
                self._sending_digits[leg.row] = leg
            case Join():
                leg = self._leg(command.leg_id)
                self._leave(leg)
                leg.room_id = command.room_id
                self._rooms.setdefault(command.room_id, {})[leg.row] = None
                self._table["muted"][leg.row] = command.muted
            case Leave():
                self._leave(self._leg(command.leg_id))
            case Mute():
                self._table["muted"][self._leg(command.leg_id).row] = command.muted
            case StartRecording():
                self._recorder.start(self._leg(command.leg_id).row, command)
            case StopRecording():
                self._recorder.stop(self._leg(command.leg_id).row)
            case Close():
                self._close(self._leg(command.leg_id))
            case _:
                raise BadRequest(f"{type(command).__name__} is not for the plane")

    def _leg(self, leg_id: str) -> _Leg:
        try:
            return self._legs[leg_id]
        except KeyError:
            raise UnknownLeg(f"no leg {leg_id!r} is open in the media process") from None

    def _row(self, row: int) -> Any:
        """Return the row as a numpy record that writes through."""
        return self._table[row]

    def _open(self, command: Open) -> None:
        if command.leg_id in self._legs:
            raise LegExists(f"leg {command.leg_id!r} is open already")
        if not self._free:
            self._grow()
        pair = self._pool.take(command.port)
        if pair is None:
            raise PortsExhausted(f"port {command.port} is not ready")
        row = self._free.pop()
        self._table[row] = np.zeros((), self._table.dtype)
        leg = self._row(row)
        leg["fd"], leg["rtcp_fd"] = pair.rtp.fileno(), pair.rtcp.fileno()
        leg["event_payload_type"] = -1
        leg["out_ssrc"] = secrets.randbits(32)
        leg["out_sequence"] = secrets.randbits(15)  # far from its wrap, RFC 3550 5.1 and 3711
        leg["out_timestamp_base"] = secrets.randbits(32)
        leg["out_marker"] = 1
        leg["gain"] = 1.0
        leg["play_at"] = -1
        self._legs[command.leg_id] = self._by_row[row] = _Leg(command.leg_id, row, pair)
        self._laid_out = False

    def _grow(self) -> None:
        rows = len(self._table)
        if rows >= LEGS_MAX:
            raise BadRequest(f"{rows} legs are open; more may not be (LEGS_MAX)")
        more = min(rows, LEGS_MAX - rows)
        self._table = np.concatenate([self._table, new_legs(more)])
        self._rings = np.concatenate([self._rings, new_rings(more)])
        self._plays = np.concatenate([self._plays, new_plays(more)])
        self._free = list(range(rows + more - 1, rows - 1, -1))

    def _connect(self, leg: _Leg, command: Connect) -> None:
        row = self._row(leg.row)
        try:
            port_word, ip_word = address_words(command.ip, command.port)
        except OSError:
            raise BadRequest(f"leg {leg.leg_id!r}: {command.ip!r} is not an IPv4 address") from None
        if command.port == 0 or ip_word == 0:
            port_word = 0  # no address is known: nothing is sent until a packet tells it
        if not row["connected"]:
            row["connected"], row["last_tick"] = 1, self._tick
        moved = (row["signalled_port"], row["signalled_ip"]) != (port_word, ip_word)
        if moved or row["latch"] != command.latch:
            row["signalled_port"], row["signalled_ip"] = port_word, ip_word
            row["peer_port"], row["peer_ip"] = port_word, ip_word
            row["latched"] = 0
        row["latch"] = command.latch
        row["law"] = LAWS[command.codec]
        row["payload_type"] = command.payload_type
        event_type = command.event_payload_type
        row["event_payload_type"] = -1 if event_type is None else event_type
        row["sending"] = command.sending

    def _play(self, leg: _Leg, command: Play) -> None:
        self._end_play(leg, completed=False)
        prompts: list[MappedPrompt] = []
        try:
            if len(command.files) > PLAY_FILES_MAX:
                raise BadRequest(f"{len(command.files)} files; PLAY_FILES_MAX is {PLAY_FILES_MAX}")
            prompts.extend(self._prompts.acquire(path) for path in command.files)
        except (BrokenPrompt, BadRequest) as error:
            for prompt in prompts:
                self._prompts.release(prompt)
            self._waiting.append(
                PlayEnded(
                    leg.leg_id, command.play_id, completed=False, played_ms=0, error=str(error)
                )
            )
            return
        heard = [prompt for prompt in prompts if prompt.samples]
        if not heard:
            for prompt in prompts:
                self._prompts.release(prompt)
            self._waiting.append(
                PlayEnded(leg.leg_id, command.play_id, completed=True, played_ms=0)
            )
            return
        for index, prompt in enumerate(heard):
            self._plays[leg.row, index] = prompt.address, prompt.samples
        row = self._row(leg.row)
        row["play_file"] = row["play_offset"] = row["play_samples"] = 0
        row["play_loop"] = command.loop
        row["play_files"] = len(heard)
        leg.playing = _Playing(command.play_id, prompts)

    def _end_play(self, leg: _Leg, *, completed: bool) -> None:
        playing, leg.playing = leg.playing, None
        if playing is None:
            return
        row = self._row(leg.row)
        row["play_files"] = 0
        played_ms = int(row["play_samples"]) // SAMPLES_A_MS
        for prompt in playing.prompts:
            self._prompts.release(prompt)
        self._waiting.append(
            PlayEnded(leg.leg_id, playing.play_id, completed=completed, played_ms=played_ms)
        )

    def _leave(self, leg: _Leg) -> None:
        self._laid_out = False
        if leg.room_id is None:
            return
        room = self._rooms[leg.room_id]
        del room[leg.row]
        if not room:
            del self._rooms[leg.room_id]
        leg.room_id = None
        self._table["muted"][leg.row] = 0

    def _close(self, leg: _Leg) -> None:
        self._end_play(leg, completed=False)
        self._recorder.stop(leg.row)
        self._leave(leg)
        self._sending_digits.pop(leg.row, None)
        self._waiting.append(LegClosed(leg.leg_id, self._statistics(leg)))
        del self._legs[leg.leg_id], self._by_row[leg.row]
        self._free.append(leg.row)
        self._pool.give_back(leg.pair)

    # Ticks

    def tick(self, tick: int) -> list[Answer]:
        """Do the tick of a number; return what happened since the one before.

        Numbers only rise; those left out are time that passed: nothing is sent for them, and
        what should have been heard in them is not heard later.
        """
        assert tick > self._tick, (tick, self._tick)
        skipped, self._tick = tick - self._tick - 1, tick
        if not self._laid_out:
            self._lay_out()
        if self._sending_digits:
            self._send_digits(tick)
        count = tick_rooms(
            self._table,
            self._rings,
            self._plays,
            self._members,
            self._begins,
            self._gains,
            self._raw_events,
            DECODE,
            ENCODE,
            tick,
            skipped,
        )
        if count:
            self._read_events(count)
        self._recorder.take(self._table, self._rings)
        self._waiting.extend(self._recorder.ended())
        if tick % TICKS_A_SECOND == 0:
            self._tell_inactive(tick)
        events, self._waiting = self._waiting, []
        return events

    def fill_ports(self, tick: int) -> PortsReady | None:
        """Bind ports ahead of use; return the news about them, if any (the first time, always)."""
        if self._pool.ready and tick % _FILL_TICKS:
            return None
        new = self._pool.fill()
        if not new and self._announced:
            return None
        self._announced = True
        return PortsReady(new, self._pool.left)

    def settle(self) -> None:
        """Wait until what was recorded is on the disk; the next tick tells of it."""
        self._recorder.settle()

    def close(self) -> None:
        """Close every socket, and write what was recorded."""
        self._recorder.close()
        for leg in self._legs.values():
            leg.pair.close()
        self._pool.close()

    def _lay_out(self) -> None:
        """Write the rooms as the kernel reads them: members one room after the other."""
        rooms = [list(room) for room in self._rooms.values()]
        rooms.extend([leg.row] for leg in self._legs.values() if leg.room_id is None)
        sizes = [len(room) for room in rooms]
        self._begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        self._members = np.array([row for room in rooms for row in room], np.int32)
        self._gains = np.ones(len(rooms), np.float32)
        self._laid_out = True

    def _send_digits(self, tick: int) -> None:
        for index, leg in list(self._sending_digits.items()):
            row = self._row(index)
            row["digit"] = 0
            if leg.digits.done:
                del self._sending_digits[index]
                continue
            event_type = int(row["event_payload_type"])
            if event_type < 0 or not row["sending"] or not row["peer_port"]:
                continue
            event = leg.digits.step()
            if event is None:
                continue
            row["digit"] = 1
            timestamp = int(row["out_timestamp_base"]) + tick * FRAME_SAMPLES - event.age_samples
            sequence = int(row["out_sequence"])
            packet = (
                bytes((0x80, (0x80 if event.marker else 0) | event_type))
                + sequence.to_bytes(2, "big")
                + (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
                + int(row["out_ssrc"]).to_bytes(4, "big")
                + event.payload
            )
            row["out_sequence"] = (sequence + 1) & 0xFFFF
            with contextlib.suppress(OSError):
                leg.pair.rtp.sendto(packet, address_text(row["peer_port"], row["peer_ip"]))
                row["packets_out"] += 1

    def _read_events(self, count: int) -> None:
        self.events_dropped += max(0, count - EVENTS_A_TICK_MAX)
        for row, kind, value in self._raw_events[:count].tolist():
            leg = self._by_row[row]
            if kind == DIGIT_EVENT:
                self._waiting.append(DigitReceived(leg.leg_id, DIGITS[value]))
            else:
                self._end_play(leg, completed=True)

    def _silent_legs(self, tick: int) -> Iterator[tuple[_Leg, int]]:
        silent = tick - self._table["last_tick"]
        silent[self._table["connected"] == 0] = 0
        for leg in self._legs.values():
            yield leg, int(silent[leg.row])

    def _tell_inactive(self, tick: int) -> None:
        for leg, silent in self._silent_legs(tick):
            if silent < self._inactivity_ticks:
                leg.inactive_told = False
            elif not leg.inactive_told:
                leg.inactive_told = True
                self._waiting.append(LegInactive(leg.leg_id, silent / TICKS_A_SECOND))

    def _statistics(self, leg: _Leg) -> LegStatistics:
        row = self._row(leg.row)
        section = row["sequence_high"] - row["sequence_first"] + 1 - row["section_packets"]
        started = bool(row["started"])
        slack = int(row["window_slack"])
        delay = slack if 0 < slack < RING_SAMPLES else START_SAMPLES
        remote_ip, remote_port = address_text(row["peer_port"], row["peer_ip"])
        return LegStatistics(
            packets_in=int(row["packets_in"]),
            packets_out=int(row["packets_out"]),
            lost=int(row["lost_before"]) + max(0, int(section) if started else 0),
            late=int(row["late"]),
            duplicates=int(row["duplicates"]),
            discarded=int(row["discarded"]),
            refused=int(row["refused"]),
            concealed_frames=int(row["concealed_frames"]),
            send_errors=int(row["send_errors"]),
            jitter_ms=round(float(row["jitter"]) / SAMPLES_A_MS, 2),
            delay_ms=delay / SAMPLES_A_MS if started else 0.0,
            silent_s=(self._tick - int(row["last_tick"])) / TICKS_A_SECOND if started else None,
            remote_ip=remote_ip,
            remote_port=remote_port,
        )
