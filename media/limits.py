"""The media room's limits. Each has its unit in its name and a test that reaches it."""

from __future__ import annotations

from typing import Final

# Legs and ports
LEGS_MAX: Final = 8192
"""Legs in one media process."""
PORTS_READY_MAX: Final = 64
"""Port pairs bound ahead of use, so that opening a leg waits for nothing."""
LEG_ID_CHARS_MAX: Final = 128
"""Characters of a leg's or a room's name."""

# Receiving
PACKETS_A_LEG_A_TICK_MAX: Final = 32
"""Datagrams read from one leg's port in one tick; a flood waits, and its queue is bounded."""
DATAGRAM_BYTES_MAX: Final = 1500
"""Bytes of one datagram that are read; longer ones are cut, and then refused."""
PACKET_SAMPLES_MAX: Final = 960
"""Samples of one packet (120 ms); longer ones are refused."""
JITTER_FRAMES_MAX: Final = 24
"""Frames of 20 ms a leg's jitter buffer can hold (480 ms)."""
JITTER_EXTRA_FRAMES_MAX: Final = 4
"""Frames of 20 ms the play-out delay may grow by when packets come late."""
EVENTS_A_TICK_MAX: Final = 4096
"""Digits and prompt ends reported by one tick; what is beyond is dropped and counted."""

# Playing and sending
PLAY_FILES_MAX: Final = 64
"""Files in one play request."""
PROMPT_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of a prompt file that the media process will map (67 minutes)."""
DIGITS_QUEUED_MAX: Final = 128
"""Digits that wait to be sent on one leg."""

# Recording
RECORDINGS_MAX: Final = 100
"""Legs that are recorded at once; each keeps its sound in memory (16 kB a second)."""
RECORDING_S_MAX: Final = 300.0
"""Length of one recording, whatever was asked for."""

# Audio files
AUDIO_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of an audio file given for conversion."""
AUDIO_SECONDS_MAX: Final = 3600
"""Length of an audio file given for conversion."""
AUDIO_CHANNELS_MAX: Final = 8
"""Channels of an audio file given for conversion."""
AUDIO_RATE_HZ_MIN: Final = 2000
"""Lowest sampling rate of an audio file given for conversion."""
AUDIO_RATE_HZ_MAX: Final = 192_000
"""Highest sampling rate of an audio file given for conversion."""

# Control socket
MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Bytes of one framed batch of messages."""
COMMANDS_WAITING_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of commands the process has not read; beyond, it counts as hung and is ended."""
START_S_MAX: Final = 180.0
"""Time the process has to be ready (the first start on a machine compiles its kernels)."""
SILENCE_S_MAX: Final = 10.0
"""Time without a sign of life after which the process counts as hung and is ended."""
OPEN_WAIT_S_MAX: Final = 2.0
"""Time opening a leg waits for ports when many are opened at once."""
END_S_MAX: Final = 2.0
"""Time the process has to end after SIGTERM, before SIGKILL."""
RESTART_S_MAX: Final = 10.0
"""Longest pause before a process that keeps dying is started again."""
