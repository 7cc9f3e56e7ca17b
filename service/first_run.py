"""The first start on a new database: a demo account with phones and numbers, and what to try.

A service whose database has accounts already is only described: keys and passwords
are shown once, when they are made.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.addresses import ANYWHERE, WILDCARDS, address_for_peer
from service.numbers import Number

if TYPE_CHECKING:
    from service.house import House

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
ACCOUNT = "demo"
PHONES = ("alice", "bob")
# Numbers that France reserves for fiction: nobody's telephone rings.
MENU, PIN, BOB, DIAL_IN = "33199000001", "33199000002", "33199000009", "33199000010"
FREE = ("33199000003", "33199000004")
SAMPLE_NUMBERS = {
    MENU: "a menu (samples/menu.vxml): press 1, 2 or 9",
    PIN: "asks for a PIN (samples/pin.vxml)",
}


@dataclass(frozen=True)
class Shown:
    """What is shown once: the demo account's key and its phones' passwords."""

    key: str
    passwords: dict[str, str]


async def welcome(house: "House") -> str:
    """Set up a new database; return what to print once the service runs."""
    shown = None
    if not await house.accounts.list_all():
        shown = await _set_up(house)
    return _describe(house, shown)


async def _set_up(house: "House") -> Shown:
    at = house.now()
    account = await house.accounts.create(ACCOUNT, opening_millicredits=house.prices.opening, at=at)
    key = await house.accounts.create_key(account.id, at=at)
    passwords = {name: await house.phones.create(name, account.id, at=at) for name in PHONES}
    for number in (MENU, PIN, *FREE, BOB, DIAL_IN):
        await house.numbers.add(number)
    await house.numbers.assign(account.id, BOB, phone="bob")
    await house.numbers.assign(account.id, DIAL_IN, dial_in=True)
    for number, name in ((MENU, "menu"), (PIN, "pin")):
        source = (SAMPLES / f"{name}.vxml").read_bytes()
        uploaded = await house.scripts.upload(account.id, name, source, at=at)
        await house.numbers.assign(account.id, number, script_id=uploaded.script_id)
    return Shown(key, passwords)


def _describe(house: "House", shown: Shown | None) -> str:
    sip_host, sip_port = house.sip.address
    advertised = house.settings.sip.advertised_host
    reached = address_for_peer(sip_host, advertised, ANYWHERE)
    web_host = house.settings.http.host
    web = f"http://{'127.0.0.1' if web_host in WILDCARDS else web_host}:{house.http_port}"
    lines = [
        "VoiceMashup runs. Ctrl-C ends it.",
        "",
        f"  SIP    {reached}:{sip_port}, UDP and TCP; domain {house.settings.sip.domain}",
        f"  HTTP   {web}",
    ]
    if shown is not None:
        lines += [
            "",
            f"The account {ACCOUNT} has {house.settings.billing.opening_credits} credits. "
            "What follows is shown only now:",
            "",
            f"  key                {shown.key}",
            *(f"  phone {name:<12} password {word}" for name, word in shown.passwords.items()),
        ]
    lines += [
        "",
        "In a softphone: the user name and password of a phone, and as its server or domain",
        f"{reached}:{sip_port}. Then dial:",
        "",
        *(f"  {one.number}   {_what(one)}" for one in house.numbers.list_of()[:20]),
    ]
    if shown is None:
        lines += [
            "",
            "Keys and passwords were shown when they were made; for new ones:",
            f"  .venv/bin/voicemashup account key {ACCOUNT}",
            "  .venv/bin/voicemashup phone password alice",
        ]
    key = shown.key if shown else "YOUR_KEY"
    lines += [
        "",
        "By HTTP (conf_id and access_code are in the first answer):",
        "",
        f"  curl '{web}/conf/createConference.json?id={key}'",
        f"  curl '{web}/call/createCall.json?id={key}&from=conf:CONF_ID&to=sip:alice@"
        f"{house.settings.sip.domain}'",
        f"  curl '{web}/account/getBalance.xml?id={key}'",
        "",
    ]
    return "\n".join(lines)


def _what(number: Number) -> str:
    """Return what a number reaches, in words."""
    if number.dial_in:
        return "the conferences' dial-in: asks for an access code"
    if number.phone is not None:
        return f"rings the phone {number.phone}"
    if number.script_id is None:
        return "nothing yet: assign a script of yours"
    return SAMPLE_NUMBERS.get(number.number, f"the script {number.script_id}")
