"""Recordings on the disk: kept for a session, found by their reference, limited; and whose
they are when a leg or the media process ends."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from media.client import MediaClient
from media.messages import ProcessDied, RecordingEnded
from service import recordings as limits
from service.legs import CallLeg, Legs
from service.recordings import ADDRESS, Recordings, RecordingsFull


async def test_a_recording_lasts_as_long_as_its_session(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    ada, bob = recordings.session(), recordings.session()
    reference, file = ada.begin()
    other, other_file = bob.begin()
    assert reference.startswith(ADDRESS)
    assert reference != other
    assert recordings.find(reference) is None
    file.write_bytes(b"what ada said")
    other_file.write_bytes(b"what bob said")
    assert ada.keep(reference) == 13
    assert bob.keep(other) == 13
    assert recordings.find(reference) == file
    assert await recordings.read(reference) == b"what ada said"
    await ada.close()
    assert not file.exists()
    assert await recordings.read(reference) is None
    assert await recordings.read(other) == b"what bob said"
    assert recordings.kept_bytes == 13


@pytest.mark.parametrize("name", ["", "/../../secret", "0" * 32, "http://example.org/a.wav"])
async def test_other_addresses_are_no_recordings(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    recordings = Recordings(tmp_path / "a" / "b")
    assert await recordings.read(ADDRESS + name) is None
    assert await recordings.read(name) is None


async def test_one_that_was_begun_and_never_kept_is_deleted_too(tmp_path: Path) -> None:
    session = Recordings(tmp_path).session()
    _, file = session.begin()
    file.write_bytes(b"half")
    await session.close()
    assert not file.exists()


def test_what_a_crash_left_is_deleted_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "left.wav").write_bytes(b"left")
    Recordings(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_session_keeps_so_many_and_what_failed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RECORDINGS_A_SESSION_MAX", 2)
    recordings = Recordings(tmp_path)
    session = recordings.session()
    session.begin()
    session.give_up(session.begin()[0])
    session.begin()
    with pytest.raises(RecordingsFull, match="RECORDINGS_A_SESSION_MAX"):
        session.begin()
    recordings.session().begin()


def test_all_sessions_keep_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECORDINGS_BYTES_MAX", 10)
    recordings = Recordings(tmp_path)
    session = recordings.session()
    reference, file = session.begin()
    file.write_bytes(b"0123456789")
    session.keep(reference)
    with pytest.raises(RecordingsFull, match="RECORDINGS_BYTES_MAX"):
        recordings.session().begin()


class SilentMedia:
    """A media process that does nothing by itself: the test says what it reports."""

    async def open_leg(self, leg_id: str) -> int:
        return 20_000

    def record(self, leg_id: str, file: Path, **times: float) -> None:
        pass

    def close_leg(self, leg_id: str) -> None:
        pass


async def recorded_leg() -> tuple[Legs, CallLeg, asyncio.Future[RecordingEnded]]:
    legs = Legs(cast(MediaClient, cast(Any, SilentMedia())))
    leg = await legs.open()
    recording = leg.record(Path("a.wav"), max_s=60.0, timeout_s=5.0, final_silence_s=2.0)
    return legs, leg, recording


async def test_what_was_said_before_the_hang_up_reaches_the_leg_that_has_ended() -> None:
    legs, leg, recording = await recorded_leg()
    leg.has_ended("remote")
    await asyncio.sleep(0)  # the legs hear of it
    assert len(legs) == 0
    assert not recording.done()
    end = RecordingEnded(leg.media_id, "stopped", 8000, True)
    legs.hear(end)
    assert recording.result() == end


@pytest.mark.parametrize("leg_has_ended", [False, True])
async def test_a_recording_fails_with_the_media_process(leg_has_ended: bool) -> None:
    legs, leg, recording = await recorded_leg()
    if leg_has_ended:
        leg.has_ended("remote")
        await asyncio.sleep(0)
    legs.hear(ProcessDied([leg.media_id], -9))
    assert recording.result().reason == "failed"


async def test_a_leg_that_has_ended_is_not_recorded() -> None:
    _, leg, _ = await recorded_leg()
    leg.recording_ended(RecordingEnded(leg.media_id, "max_time", 8000, True))
    leg.has_ended("remote")
    again = leg.record(Path("b.wav"), max_s=60.0, timeout_s=5.0, final_silence_s=2.0)
    assert again.result().samples == 0
