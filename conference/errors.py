"""What a conference refuses, and how it says so.

::

    ConferenceError
    ├── InvalidValue        a parameter is not usable: ``field``, ``value``, ``hint``
    ├── LimitReached        one of this room's limits: ``limit`` names it
    ├── IllegalStep         the conference's state does not allow it: ``state``, ``event``
    ├── NoFreeCode          no unused identifier was drawn
    ├── AlreadyInside       a leg joins twice
    ├── NotInside           a leg that is not inside leaves
    └── Refused             somebody may not come in; carries its verdict
        ├── UnknownConference
        ├── NotStarted
        ├── Ended
        ├── OverTwoHours
        ├── CallerNotListed
        ├── WrongPin
        └── Full

Every error has ``status``, the code of the API. A `Refused` also has ``sip_status``
(RFC 3261 21) and ``spoken(language)``, the sentence its caller hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import ClassVar, TypeVar

from conference import limits

LANGUAGES = ("en", "fr")
"""Languages that have spoken sentences; the first one stands in for any other."""

Words = TypeVar("Words")


class ConferenceError(Exception):
    """Any refusal of this room."""

    status: int = 409


class InvalidValue(ConferenceError):
    """``value`` is not usable as ``field``; ``hint`` says what would be right."""

    def __init__(self, field: str, value: object, hint: str, *, status: int = 432) -> None:
        self.field = field
        self.value = value
        self.hint = hint
        self.status = status
        super().__init__(f"{field} is {value!r}: {hint}")


class LimitReached(ConferenceError):
    """``limit`` (a name of `conference.limits`) is reached."""

    status = 429

    def __init__(self, limit: str, most: int, hint: str) -> None:
        self.limit = limit
        self.most = most
        super().__init__(f"{limit} ({most}) is reached: {hint}")


class IllegalStep(ConferenceError):
    """``event`` cannot happen in ``state``."""

    def __init__(self, conf_id: str, state: str, event: str) -> None:
        self.state = state
        self.event = event
        super().__init__(f"conference {conf_id} is {state}: {event} is not possible")


class NoFreeCode(ConferenceError):
    """So many draws gave identifiers in use that something is wrong with them."""

    status = 503

    def __init__(self, what: str) -> None:
        super().__init__(
            f"no unused {what} after DRAWS_MAX ({limits.DRAWS_MAX}) draws: "
            "end conferences that are over, or check the random source"
        )


class AlreadyInside(ConferenceError):
    """A leg joins a conference that it is in."""

    def __init__(self, leg_id: str) -> None:
        super().__init__(f"leg {leg_id!r} is inside already: a leg joins once")


class NotInside(ConferenceError):
    """A leg leaves a conference that it is not in."""

    def __init__(self, leg_id: str) -> None:
        super().__init__(f"leg {leg_id!r} is not inside: only who joined leaves")


def _in(words: Mapping[str, Words], language: str) -> Words:
    """The words of ``language`` (an xml:lang tag), or of the first of LANGUAGES."""
    tag = language.replace("_", "-").lower().partition("-")[0]
    return words.get(tag, words[LANGUAGES[0]])


class Refused(ConferenceError):
    """Somebody may not come in."""

    sip_status: int = 403
    sentences: ClassVar[dict[str, str]]

    def spoken(self, language: str) -> str:
        """The sentence for the caller in ``language`` (an xml:lang tag); English for others."""
        return _in(self.sentences, language)


class UnknownConference(Refused):
    """No conference has this identifier or access code."""

    status = 404
    sip_status = 404
    sentences: ClassVar = {
        "en": "There is no conference with this code.",
        "fr": "Aucune conférence ne correspond à ce code.",
    }

    def __init__(self, what: str) -> None:
        super().__init__(f"no conference is called {what!r}: check its identifier or access code")


class NotStarted(Refused):
    """The conference starts later: at ``start``, in ``seconds`` seconds."""

    status = 443
    sip_status = 480
    sentences: ClassVar = {
        "en": "The conference has not started yet. It starts in {time}. Please call again then.",
        "fr": "La conférence n'a pas encore commencé. Elle commence dans {time}. "
        "Veuillez rappeler à ce moment-là.",
    }
    units: ClassVar = {
        "en": (("minute", "minutes"), ("hour", "hours"), ("day", "days")),
        "fr": (("minute", "minutes"), ("heure", "heures"), ("jour", "jours")),
    }

    def __init__(self, conf_id: str, start: datetime, now: datetime) -> None:
        self.start = start
        self.seconds = (start - now).total_seconds()
        super().__init__(
            f"conference {conf_id} starts at {start.isoformat()}: nobody comes in before"
        )

    def spoken(self, language: str) -> str:
        """How long it is until the start, in minutes, hours or days, rounded up."""
        units = _in(self.units, language)
        count, unit = ceil(self.seconds / 60), units[0]
        if count >= 120:
            count, unit = ceil(self.seconds / 3600), units[1]
        if unit is units[1] and count >= 48:
            count, unit = ceil(self.seconds / 86_400), units[2]
        return super().spoken(language).format(time=f"{count} {unit[0 if count == 1 else 1]}")


class Ended(Refused):
    """The conference is over."""

    status = 444
    sip_status = 410
    sentences: ClassVar = {
        "en": "The conference has ended.",
        "fr": "La conférence est terminée.",
    }

    def __init__(self, conf_id: str, at: datetime) -> None:
        self.at = at
        super().__init__(f"conference {conf_id} ended at {at.isoformat()}: create another one")


class OverTwoHours(Refused):
    """Two hours have passed since the conference's start."""

    status = 440
    sip_status = 410
    sentences: ClassVar = {
        "en": "The conference has reached its limit of two hours and is over.",
        "fr": "La conférence a atteint sa limite de deux heures et est terminée.",
    }

    def __init__(self, conf_id: str, start: datetime) -> None:
        super().__init__(
            f"conference {conf_id} started at {start.isoformat()}: over "
            f"CONFERENCE_SECONDS_MAX ({limits.CONFERENCE_SECONDS_MAX} s), create another one"
        )


class CallerNotListed(Refused):
    """The conference admits only numbers given with addCaller."""

    status = 446
    sip_status = 403
    sentences: ClassVar = {
        "en": "Your number is not on the list of this conference. "
        "Please ask its organiser to add it.",
        "fr": "Votre numéro n'est pas sur la liste de cette conférence. "
        "Veuillez demander à l'organisateur de l'ajouter.",
    }

    def __init__(self, conf_id: str, caller: str | None) -> None:
        self.caller = caller
        who = "a caller without a number" if caller is None else f"caller {caller!r}"
        super().__init__(
            f"conference {conf_id} admits only listed callers, not {who}: use addCaller"
        )


class WrongPin(Refused):
    """The PIN is missing or wrong. The message never has the PIN."""

    status = 448
    sip_status = 403
    sentences: ClassVar = {
        "en": "This PIN is not correct.",
        "fr": "Ce code confidentiel n'est pas correct.",
    }
    sentences_missing: ClassVar = {
        "en": "This conference asks for a PIN.",
        "fr": "Cette conférence demande un code confidentiel.",
    }

    def __init__(self, conf_id: str, *, missing: bool) -> None:
        self.missing = missing
        what = "no PIN was given" if missing else "the PIN is wrong"
        super().__init__(f"conference {conf_id} admits who knows its PIN: {what}")

    def spoken(self, language: str) -> str:
        """One sentence for a wrong PIN, another where none was given."""
        return _in(self.sentences_missing if self.missing else self.sentences, language)


class Full(Refused):
    """As many participants as allowed are inside."""

    status = 445
    sip_status = 486
    sentences: ClassVar = {
        "en": "The conference is full.",
        "fr": "La conférence est complète.",
    }

    def __init__(self, conf_id: str, max_participants: int) -> None:
        super().__init__(
            f"conference {conf_id} has its max_participants ({max_participants}) inside: "
            "try again when somebody has left"
        )
