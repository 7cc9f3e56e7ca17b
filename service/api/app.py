"""The HTTP application: the API, `/healthz`, `/metrics` and a page that says what this is."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from service import logs
from service.accounts import Accounts
from service.api import replies, requests, values
from service.api.core import Core
from service.api.definition import Context, Method, Values
from service.api.limits import METHOD_S_MAX
from service.api.methods import FAMILIES, ITEM_NAMES
from service.api.repeats import Repeats, fingerprint
from service.api.replies import FORMATS, Reply
from service.config import Settings
from service.errors import STATUSES, Refused, Status
from service.metrics import CONTENT_TYPE, Health, Registry
from service.numbers import Numbers
from service.scripts import Scripts
from service.storage.database import Database

log = logging.getLogger(__name__)

SECONDS_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

WELCOME = """\
VoiceMashup: voice mashups and conference calls.

An HTTP API answers here: /FAMILY/METHOD.xml or .json, with the account's key as
the parameter id or as Authorization: Bearer KEY.

{methods}

    curl "{url}/account/getBalance.xml?id=KEY"

State: {url}/healthz    Metrics: {url}/metrics
Documentation, in the project's folder: docs/api.md (every method),
docs/configuration.md, docs/command-line.md
"""


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


@dataclass
class Api:
    """What the application asks to answer, and what it counts."""

    core: Core
    settings: Settings
    accounts: Accounts
    scripts: Scripts
    numbers: Numbers
    database: Database
    metrics: Registry
    state: Callable[[], Awaitable[Mapping[str, Health]]]
    now: Callable[[], datetime] = utc_now
    repeats: Repeats = field(init=False)

    def __post_init__(self) -> None:
        self.repeats = Repeats(self.database)
        self.counted = self.metrics.counter(
            "voicemashup_api_requests_total",
            "API requests answered, by method and status code.",
            ("method", "status"),
        )
        self.timed = self.metrics.histogram(
            "voicemashup_api_request_seconds",
            "How long API requests took, by method.",
            SECONDS_BOUNDS,
            ("method",),
        )

    async def call(self, request: Request) -> Response:
        """Answer `/{family}/{method}[.format]`."""
        if request.method not in ("GET", "POST"):  # a HEAD must not make a call
            return Response(status_code=405, headers={"Allow": "GET, POST"})
        reference = secrets.token_hex(6)
        forget = logs.request_id.set(reference)
        started = time.monotonic()
        family = request.path_params["family"]
        name, _, form = request.path_params["method"].partition(".")
        method = FAMILIES.get(family, {}).get(name)
        try:
            reply = await self._answer(request, family, name, form)
        except ClientDisconnect:
            log.info("the client went away before its request was whole")
            return Response(status_code=400)
        except Refused as refused:
            reply = replies.refusal(refused)
        except TimeoutError:
            log.error("a request took longer than %.0f s", METHOD_S_MAX)
            reply = Reply(Status.STOPPING, f"not done within {METHOD_S_MAX:.0f} s")
        except Exception:
            log.exception("a request failed")
            reply = Reply(
                Status.INTERNAL, f"{STATUSES[Status.INTERNAL].text}; the log has it as {reference}"
            )
        finally:
            logs.request_id.reset(forget)
        label = method.full_name if method else "unknown"
        took = time.monotonic() - started
        self.counted.add(method=label, status=str(int(reply.status)))
        self.timed.observe(took, method=label)
        log.info(
            "answered",
            extra={
                "method": label,
                "status": int(reply.status),
                "field": reply.field,
                "ms": round(took * 1000, 1),
                "request_id": reference,
            },
        )
        return self._response(reply, form or "xml", reference)

    async def _answer(self, request: Request, family: str, name: str, form: str) -> Reply:
        method = _find(family, name, form)
        asked = await requests.read(request)
        account_id = await self.accounts.authenticate(asked.key, time.monotonic())
        if account_id is None:
            raise Refused(
                Status.ID_UNKNOWN, "", field="id", hint="the key that was shown when it was made"
            )
        if asked.request_id and not method.creates:
            raise Refused(
                Status.BAD_VALUE,
                f"{method.full_name} takes no request_id: it may be repeated as it is",
                field="request_id",
            )
        given = values.take(method, asked.parameters)
        context = Context(account_id, self.now(), self.core, self.scripts, self.numbers)
        if not asked.request_id:
            return await _run(method, context, given)
        wanted = fingerprint(method, asked.parameters)
        return await self._run_once(method, context, given, asked.request_id, wanted)

    async def _run_once(
        self, method: Method, context: Context, given: Values, request_id: str, wanted: str
    ) -> Reply:
        """Run a method, or give the answer that its request_id got before."""
        account_id = context.account_id
        first = await self.repeats.begin(account_id, request_id, wanted, context.now)
        if first is not None:
            return first
        try:
            reply = await _run(method, context, given)
        except Refused as refused:
            reply = replies.refusal(refused)
        except Exception:
            # What was done is not known: a repetition must not do it again.
            await self._keep(
                account_id, request_id, Reply(Status.INTERNAL, STATUSES[Status.INTERNAL].text)
            )
            raise
        await self._keep(account_id, request_id, reply)
        return reply

    async def _keep(self, account_id: str, request_id: str, reply: Reply) -> None:
        try:
            if reply.status is Status.STOPPING:
                await self.repeats.forget(account_id, request_id)
            else:
                await self.repeats.keep(account_id, request_id, reply)
        except Refused as refused:  # the answer is right all the same
            log.error("an answer could not be kept: %s", refused)

    def _response(self, reply: Reply, form: str, reference: str) -> Response:
        response = replies.response(
            reply,
            form if form in FORMATS else "xml",
            http_200=self.settings.http.http_200,
            items=ITEM_NAMES,
        )
        response.headers["X-Request-Id"] = reference
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def lost(self, request: Request, error: Exception) -> Response:
        """Answer a path that is nothing."""
        return self._response(
            replies.refusal(
                Refused(
                    Status.NOT_FOUND,
                    f"{request.url.path[:100]} is no path of the API",
                    hint="/FAMILY/METHOD.xml or .json; families: " + ", ".join(FAMILIES),
                )
            ),
            "json" if request.url.path.endswith(".json") else "xml",
            secrets.token_hex(6),
        )

    async def health(self, request: Request) -> Response:
        """Answer `/healthz`: 200 with the state of each part, 503 where one is down."""
        parts = await self.state()
        well = all(part.ok for part in parts.values())
        return JSONResponse(
            {
                "state": "up" if well else "down",
                "node": self.settings.node.id,
                "parts": {
                    name: {"state": "up" if part.ok else "down", "detail": part.detail}
                    for name, part in parts.items()
                },
            },
            200 if well else 503,
            {"Cache-Control": "no-store"},
        )

    async def expose(self, request: Request) -> Response:
        """Answer `/metrics`."""
        return Response(self.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def welcome(self, request: Request) -> Response:
        """Answer `/`."""
        url = self.settings.http.public_url or str(request.base_url)
        listed = "\n".join(f"    {family}: {', '.join(FAMILIES[family])}" for family in FAMILIES)
        return PlainTextResponse(WELCOME.format(methods=listed, url=url.rstrip("/")))


def create_app(
    core: Core,
    settings: Settings,
    *,
    accounts: Accounts,
    scripts: Scripts,
    numbers: Numbers,
    database: Database,
    metrics: Registry,
    health: Callable[[], Awaitable[Mapping[str, Health]]],
    now: Callable[[], datetime] = utc_now,
) -> Starlette:
    """The ASGI application. `health` tells the state of each part for `/healthz`.

    Adds its own metrics to `metrics`: `voicemashup_api_requests_total` and
    `voicemashup_api_request_seconds`.
    """
    api = Api(core, settings, accounts, scripts, numbers, database, metrics, health, now)
    every = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/", api.welcome),
            Route("/healthz", api.health),
            Route("/metrics", api.expose),
            Route("/{family}/{method}", api.call, methods=every),
        ],
        exception_handlers={404: api.lost},
    )


def _find(family: str, name: str, form: str) -> Method:
    """The method of a path; raises `Refused` with what there is."""
    methods = FAMILIES.get(family)
    if methods is None:
        raise Refused(
            Status.NOT_FOUND,
            f"there is no family {values.shown(family)}",
            hint=values.closest(family, FAMILIES),
        )
    method = methods.get(name)
    if method is None:
        listed = ", ".join(methods)
        raise Refused(
            Status.NOT_FOUND,
            f"the family {family} has no method {values.shown(name)}; it has: {listed}",
            hint=values.closest(name, methods),
        )
    if form and form not in FORMATS:
        raise Refused(
            Status.NOT_FOUND,
            f"there is no format {values.shown(form)}",
            hint=f"{method.name}.xml or {method.name}.json",
        )
    return method


async def _run(method: Method, context: Context, given: Values) -> Reply:
    async with asyncio.timeout(METHOD_S_MAX):
        return replies.done(await method.run(context, given))
