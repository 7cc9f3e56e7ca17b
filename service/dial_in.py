"""The conferences' dial-in: the VoiceMashup script behind an access number.

A caller whom addCaller listed for one conference that is on goes straight in; others
type the access code, then the PIN where one is due, with three tries. The pages are
VoiceXML with macros like any user's, filled in here and run by the same engine.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conference import conference as rules
from conference.errors import Refused as NotAdmitted
from conference.errors import UnknownConference, WrongPin
from service.calls import Call
from service.limits import DIAL_IN_TRIES_MAX
from vxml_engine.effects import Fetch, Fetched, FetchFailed

if TYPE_CHECKING:
    from service.conferences import Conferences

START = "voicemashup://dial-in/"

_pages = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "dial_in_pages"),
    autoescape=True,
    undefined=StrictUndefined,
)


def page(conferences: "Conferences", effect: Fetch, call: Call) -> Fetched | FetchFailed:
    """Return the page of the dial-in that a session asks for, as what the caller did leads to.

    What the caller typed arrives in a POST's fields, so that it stands in no address.
    """
    typed = dict(effect.fields)
    match urlsplit(effect.url).path:
        case "/":
            text = _start(conferences, call)
        case "/code":
            text = _after_code(conferences, typed, call)
        case "/pin":
            text = _after_pin(conferences, typed, call)
        case other:
            return FetchFailed("error.badfetch", f"the dial-in has no page {other}")
    return Fetched(effect.url, 200, "application/voicexml+xml", text.encode())


def _start(conferences: "Conferences", call: Call) -> str:
    if (listed := conferences.listing(call.caller)) is not None:
        return _join(conferences, listed, call, None)
    return _ask_code(1, "Welcome to the conference service.")


def _after_code(conferences: "Conferences", typed: dict[str, str], call: Call) -> str:
    tries = _tries(typed)
    try:
        found = conferences.find_by_code(typed.get("code", ""))
    except UnknownConference as unknown:
        return _again(tries, unknown) or _ask_code(tries + 1, unknown.spoken("en"))
    if found.access is rules.Access.PIN:
        return _render("pin.vxml", code=found.access_code, tries=1, says="")
    return _join(conferences, found, call, None)


def _after_pin(conferences: "Conferences", typed: dict[str, str], call: Call) -> str:
    tries = _tries(typed)
    code = typed.get("code", "")
    try:
        return _join(conferences, conferences.find_by_code(code), call, typed.get("pin", ""))
    except WrongPin as wrong:
        says = wrong.spoken("en")
        return _again(tries, wrong) or _render("pin.vxml", code=code, tries=tries + 1, says=says)
    except UnknownConference as ended:
        return _render("goodbye.vxml", says=ended.spoken("en"))


def _join(conferences: "Conferences", found: rules.Conference, call: Call, pin: str | None) -> str:
    inside = conferences.inside(found.conf_id)
    try:
        rules.admit(
            found, caller=call.caller, pin=pin, participants=inside, now=conferences.house.now()
        )
    except WrongPin:
        raise
    except NotAdmitted as refused:
        call.note("conference_refused", conference=found.conf_id, why=str(refused))
        return _render("goodbye.vxml", says=refused.spoken("en"))
    call.pin = pin
    return _render("join.vxml", conf_id=found.conf_id, inside=inside)


def _ask_code(tries: int, says: str) -> str:
    return _render("code.vxml", tries=tries, says=says)


def _again(tries: int, refused: NotAdmitted) -> str | None:
    """Return the goodbye where no try is left, else None."""
    if tries < DIAL_IN_TRIES_MAX:
        return None
    return _render("goodbye.vxml", says=refused.spoken("en"))


def _tries(typed: dict[str, str]) -> int:
    text = typed.get("tries", "")
    return int(text) if text.isdigit() and len(text) < 4 else DIAL_IN_TRIES_MAX


def _render(name: str, **values: object) -> str:
    return _pages.get_template(name).render(values)
