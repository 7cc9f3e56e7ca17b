"""The house: joins the rooms, starts and stops them, and keeps the node alive.

Started in this order and stopped in the reverse: storage (with what a crash left
behind settled), speech, media, SIP, HTTP.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import resource
import signal
import socket
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy import Connection, Update, insert, select, update

from billing import holds
from billing.prices import Prices
from billing.tariff import Tariff, default_tariff
from macros import Catalog
from media.client import MediaClient, MediaSettings
from media.errors import MediaError
from service import dial_in
from service.accounts import Accounts, server_secret
from service.addresses import ANYWHERE, WILDCARDS, address_for_peer
from service.api.app import create_app
from service.calls import Call, Calls
from service.conferences import Conferences, settle_stays
from service.config import Settings
from service.connect import ConnectOptions
from service.errors import Refused
from service.fetch import Fetcher
from service.first_run import welcome
from service.legs import CallLeg, LegFailed, Legs
from service.metrics import Health, Registry
from service.numbers import Numbers
from service.operations import Operations
from service.phones import Phones
from service.prompts import Prompts
from service.reception import Reception
from service.recordings import Recordings
from service.routing import Destination, NumberAt, PhoneAt, SipAt, parse_destination
from service.scripts import Scripts
from service.storage.database import Database
from service.storage.tables import calls as call_rows
from service.storage.tables import nodes
from speech.aio import EspeakSynthesizer
from speech.errors import SpeechError
from telephony.aio import EndpointSettings, SipEndpoint
from telephony.core import TrunkSettings
from telephony.sdp import make_offer
from telephony.uri import NameAddress, SipUri
from vxml_engine.cache import DocumentCache
from vxml_engine.check import check, for_upload
from vxml_engine.effects import Fetch, Fetched, FetchFailed

log = logging.getLogger(__name__)

# A call that a crash cuts off is paid until the last heartbeat.
HEARTBEAT_S = 1.0
REFRESH_EVERY_BEATS = 5
# How long running calls may take to end when the service stops.
CALLS_END_S_MAX = 3.0
GOODBYE_S_MAX = 2.0


class House:
    """One running service. `start` it, `close` it; in between it takes calls."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = False
        self.folder = settings.data_folder
        self.folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        self.clock = loop.time
        self.prices = _prices(settings)
        self.tariff = _tariff(settings)
        catalog = Catalog.load()
        self.documents = DocumentCache(catalog.expand)
        self.database = Database.open(settings.database_url)
        self.accounts = Accounts(self.database, server_secret(self.folder))
        self.phones = Phones(self.database, settings.sip.domain)
        self.numbers = Numbers(self.database)
        self.scripts = Scripts(
            self.database, lambda source: for_upload(check(source, "script", catalog.expand))
        )
        self.calls = Calls(self.database, settings.node.id, self.now)
        self.conferences = Conferences(self)
        self.media = MediaClient(
            MediaSettings(
                host=settings.rtp.host,
                ports=range(settings.rtp.port_min, settings.rtp.port_max + 1),
                inactivity_s=float(settings.rtp.inactivity_s),
            ),
            self._hear_media,
        )
        self.legs = Legs(self.media)
        self.speech = EspeakSynthesizer(
            self.folder / "speech",
            processes=settings.speech.processes,
            cache_bytes_max=settings.speech.cache_mib * 1024 * 1024,
        )
        self.recordings = Recordings(self.folder / "recordings")
        self.fetcher = Fetcher(settings.fetch, self._own_page, self.recordings.read)
        self.prompts = Prompts(
            self.folder / "sounds", self.speech, self.fetcher, self.recordings.find
        )
        self.reception = Reception(self)
        self.sip = SipEndpoint(_sip_settings(settings), self.reception, self.phones)
        self.operations = Operations(self)
        self.metrics = Registry()
        self.http_port = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: uvicorn.Server | None = None

    def now(self) -> datetime:
        return datetime.now(UTC)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something of the house's own; its failure reaches the log."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task failed", exc_info=error)

    # Starting and stopping

    async def start(self) -> None:
        """Start every room; raises what keeps one from starting."""
        self.database.migrate()
        settled = await self.database.write(self._settle)
        if any(settled):
            log.warning(
                "settled after a crash: %d calls, %d holds, %d stays in conferences", *settled
            )
        await self.refresh()
        await self.conferences.load()
        await asyncio.gather(self.media.start(), self.speech.start())
        await self.sip.start()
        self.watch()
        self.spawn(self.calls.store_for_ever())
        self.spawn(self._beat())

    async def serve_http(self) -> None:
        """Start HTTP on the configured port, or the next free one."""
        http = self.settings.http
        listener = _listen(http.host, http.port, http.ports_to_try)
        self.http_port = listener.getsockname()[1]
        app = create_app(
            self.operations,
            self.settings,
            accounts=self.accounts,
            scripts=self.scripts,
            numbers=self.numbers,
            database=self.database,
            metrics=self.metrics,
            health=self.health,
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", server_header=False
        )
        self._server = _Server(config)
        self.spawn(self._server.serve(sockets=[listener]))
        while not self._server.started:  # noqa: ASYNC110  uvicorn tells no other way
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """End the calls with BYE, store what there is, stop every room."""
        self.stopping = True
        for call in list(self.calls.live.values()):
            call.stop("service_stopping")
        deadline = self.clock() + CALLS_END_S_MAX
        while self.calls.live and self.clock() < deadline:  # noqa: ASYNC110  bounded, once
            await asyncio.sleep(0.02)
        await self.sip.close(GOODBYE_S_MAX)
        if self._server is not None:
            self._server.should_exit = True
        await self.fetcher.close()
        await asyncio.gather(self.media.close(), self.speech.close())
        await self.calls.store()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.database.close()

    def _settle(self, connection: Connection) -> tuple[int, int, int]:
        """Settle what this node left behind when it last ended without closing."""
        node_id, now = self.settings.node.id, self.now()
        alive_at = connection.scalar(select(nodes.c.alive_at).where(nodes.c.id == node_id))
        if alive_at is None:
            connection.execute(insert(nodes).values(id=node_id, started_at=now, alive_at=now))
            return 0, 0, 0
        settlements = holds.settle_node(connection, node_id, alive_at=alive_at, at=now)
        for one in settlements:
            connection.execute(
                update(call_rows)
                .where(call_rows.c.id == one.reference)
                .values(cost_millicredits=call_rows.c.cost_millicredits + one.captured)
            )
        rate = self.prices.participant_per_minute
        stays = settle_stays(connection, node_id, rate, alive_at=alive_at)
        ended = connection.execute(
            update(call_rows)
            .where(call_rows.c.node == node_id, call_rows.c.state != "ended")
            .values(state="ended", cause="node_failure", ended_at=alive_at)
        ).rowcount
        connection.execute(
            update(nodes).where(nodes.c.id == node_id).values(started_at=now, alive_at=now)
        )
        return ended, len(settlements), stays

    async def _beat(self) -> None:
        """Write that the node lives, and take over what the command line changed."""
        statement = update(nodes).where(nodes.c.id == self.settings.node.id)
        for beat in itertools.count(1):
            await asyncio.sleep(HEARTBEAT_S)
            alive = statement.values(alive_at=self.now())
            try:
                await self.database.write(partial(_execute, statement=alive))
                if beat % REFRESH_EVERY_BEATS == 0:
                    await self.refresh()
            except Exception:
                log.exception("the heartbeat could not be written; it is tried again")

    async def refresh(self) -> None:
        """Take over accounts, phones, numbers and scripts as the database has them."""
        await self.accounts.refresh()
        await self.phones.refresh()
        await self.numbers.refresh()
        self.scripts.refresh()

    # What the flows of calls need

    def is_ours(self, host: str) -> bool:
        """Tell whether a SIP host is this service: its domain, or an address it listens on."""
        host = host.strip("[]").lower()
        sip = self.settings.sip
        if host in (sip.domain.lower(), sip.advertised_host.lower(), sip.host.lower()):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host == "localhost"
        return sip.host in WILDCARDS and (address.is_loopback or _is_local(host))

    def destination(self, text: str, *, field: str) -> Destination:
        return parse_destination(text, is_ours=self.is_ours, field=field)

    def audio_address(self, peer_ip: str) -> str:
        """Return the IP address that `peer_ip` should send its audio to."""
        try:
            ipaddress.ip_address(peer_ip)
        except ValueError:
            peer_ip = ANYWHERE
        return address_for_peer(self.settings.rtp.host, self.settings.sip.advertised_host, peer_ip)

    def sip_authority(self) -> str:
        """Return host and port of our SIP URIs."""
        host, port = self.sip.address
        shown = address_for_peer(host, self.settings.sip.advertised_host, ANYWHERE)
        return shown if port == 5060 else f"{shown}:{port}"

    def dial_in_number(self) -> str:
        """Return a number that the conferences' dial-in answers, or an empty text."""
        return next((one.number for one in self.numbers.list_of() if one.dial_in), "")

    async def open_outgoing(
        self, call: Call, destination: Destination, options: ConnectOptions
    ) -> CallLeg:
        """Send an INVITE to a destination; raises `LegFailed` where there is no way to it."""
        leg = await self.legs.open()
        call.add_leg(leg)
        caller = self._caller(options.caller or call.caller, destination)
        match destination:
            case PhoneAt(username):
                found = self.sip.contacts(username)
                peer = found[0].flow.host if found else ""
            case _:
                peer = ""
        leg.local_sdp = make_offer(self.audio_address(peer), leg.port)
        match destination:
            case PhoneAt(username):
                if not peer:
                    leg.has_ended("not_registered")
                    raise LegFailed(480, f"{username} is not registered")
                sip = self.sip.call_phone(username, caller=caller, sdp=leg.local_sdp)
            case NumberAt(number):
                trunk = self.settings.trunk
                target = SipUri("sip", number, trunk.host, trunk.port)
                sip = self.sip.call(target, caller=caller, sdp=leg.local_sdp, via_trunk=True)
            case SipAt(uri):
                sip = self.sip.call(uri, caller=caller, sdp=leg.local_sdp)
            case _:
                raise AssertionError(f"{destination} is no party to be called")
        self.legs.join_sip(leg, sip)
        return leg

    def _caller(self, text: str, destination: Destination) -> NameAddress:
        """Return who the called party is told is calling."""
        user = text.removeprefix("sip:").partition("@")[0].replace(":", "-")
        if isinstance(destination, NumberAt) and not user.isdigit():
            user = self.settings.trunk.caller or self.settings.trunk.username or "anonymous"
        return NameAddress(SipUri("sip", user or "anonymous", self.settings.sip.domain))

    async def speak(self, call: Call, leg: CallLeg, text: str, language: str) -> None:
        """Speak one sentence of ours to a leg, to its end."""
        playing = leg.play(await self.prompts.say(text, language, call))
        while not playing.done():
            await leg.wait()

    async def _own_page(self, effect: Fetch, call: Call) -> Fetched | FetchFailed:
        if effect.url.startswith(dial_in.START):
            return dial_in.page(self.conferences, effect, call)
        script_id = effect.url.removeprefix("voicemashup://script/")
        try:
            source, _ = await self.scripts.load(script_id)
        except Refused as refused:
            return FetchFailed("error.badfetch.http.404", refused.message)
        return Fetched(effect.url, 200, "application/voicexml+xml", source)

    def _hear_media(self, event: Any) -> None:
        self.legs.hear(event)

    # What can be seen of it

    def watch(self) -> None:
        """Let the metrics read the rooms' own numbers."""
        watch = self.metrics.watch
        watch(
            "voicemashup_calls_live", "gauge", "Calls that live now.", lambda: len(self.calls.live)
        )
        watch(
            "voicemashup_calls_ended_total",
            "counter",
            "Calls that have ended, by cause.",
            lambda: {(cause,): float(count) for cause, count in self.calls.ended_total.items()},
            ("cause",),
        )
        watch("voicemashup_legs", "gauge", "Legs with audio.", lambda: len(self.legs))
        watch(
            "voicemashup_conferences",
            "gauge",
            "Conferences not over.",
            lambda: len(self.conferences),
        )
        watch(
            "voicemashup_participants",
            "gauge",
            "Participants inside conferences.",
            self.conferences.participants,
        )
        watch(
            "voicemashup_media_restarts_total",
            "counter",
            "How often the media process was started again.",
            lambda: self.media.restarts,
        )
        watch(
            "voicemashup_sip",
            "gauge",
            "SIP's own counters, by name.",
            lambda: {(name,): float(value) for name, value in self.sip.metrics().items()},
            ("name",),
        )

    async def health(self) -> dict[str, Health]:
        """Return the state of each part."""
        media = Health(True)
        try:
            seen = await self.media.statistics()
            media = Health(True, f"{seen.legs} legs, {seen.late_ticks} late of {seen.ticks} ticks")
        except MediaError as error:
            media = Health(False, str(error))
        storage = Health(True)
        try:
            await self.database.read(lambda connection: connection.scalar(select(1)))
        except Exception as error:
            storage = Health(False, str(error))
        speaking = bool(self.speech.process_ids)
        return {
            "sip": Health(not self.stopping, "stopping" if self.stopping else ""),
            "media": media,
            "speech": Health(speaking, "" if speaking else "no synthesis process lives"),
            "storage": storage,
        }


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: the house has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def serve(settings: Settings) -> int:
    """Run the service until SIGINT or SIGTERM; return the exit status."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    house = House(settings)
    try:
        await house.start()
        await house.serve_http()
        print(await welcome(house), flush=True)
        await stop.wait()
        print("Stopping: calls are ended ...", flush=True)
        return 0
    except (OSError, MediaError, SpeechError) as error:
        print(f"The service cannot start: {error}", file=sys.stderr)
        return 1
    finally:
        await house.close()


def _execute(connection: Connection, statement: Update) -> None:
    connection.execute(statement)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _prices(settings: Settings) -> Prices:
    return Prices(
        guest_per_minute=settings.billing.conference_credits_per_minute * 1000,
        participant_per_minute=settings.billing.earning_credits_per_minute * 1000,
        opening=settings.billing.opening_credits * 1000,
    )


def _tariff(settings: Settings) -> Tariff:
    if not settings.billing.tariff:
        return default_tariff()
    return Tariff.parse(Path(settings.billing.tariff).read_text(encoding="utf-8"))


def _sip_settings(settings: Settings) -> EndpointSettings:
    sip, trunk = settings.sip, settings.trunk
    return EndpointSettings(
        host=sip.host,
        port=sip.port,
        advertised_host=sip.advertised_host or None,
        realm=sip.domain,
        user_agent="VoiceMashup",
        ports_to_try=sip.ports_to_try,
        trunk=TrunkSettings(
            host=trunk.host,
            port=trunk.port,
            transport=trunk.transport,
            username=trunk.username,
            password=trunk.password,
            addresses=trunk.addresses,
            register=trunk.register,
        )
        if trunk.host
        else None,
    )


def _listen(host: str, port: int, ports_to_try: int) -> socket.socket:
    """Return a listening TCP socket on the port or, where it is taken, the next free one."""
    last: OSError | None = None
    for candidate in range(port, port + max(1, ports_to_try if port else 1)):
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(512)
        except OSError as error:
            listener.close()
            last = error
            continue
        listener.setblocking(False)
        return listener
    raise OSError(f"no HTTP port is free from {port} on {host}: {last}")


def _is_local(host: str) -> bool:
    """Tell whether an IP address is one of this machine's: only those can be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
