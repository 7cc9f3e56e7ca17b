"""Every bound of this room, with its unit in its name."""

from __future__ import annotations

CONFERENCE_SECONDS_MAX = 7200
"""The two-hour rule: from a conference's start, whoever is inside."""

DURATION_MINUTES_MAX = 120
DURATION_MINUTES_DEFAULT = 120

START_PAST_SECONDS_MAX = 300
"""A start this far in the past still is "now": clocks differ, requests take time."""

START_AHEAD_DAYS_MAX = 366

PARTICIPANTS_MIN = 2
PARTICIPANTS_MAX = 1000
PARTICIPANTS_DEFAULT = 100

CALLERS_MAX = 1000
"""Numbers on one conference's list."""

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 8

ACCESS_CODE_DIGITS = 7
"""Of the 6 to 9 that the API allows: short to type, hard to guess, enough for all."""

DRAWS_MAX = 64
"""Random draws for one unused identifier."""

JOINS_MAX = 20_000
"""Entries of one conference's history: somebody who calls again and again fills it no further."""
