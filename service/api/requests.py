"""An HTTP request to the parameters it carries, within the limits.

Parameters come in the query, a form (urlencoded or multipart) or a JSON object; each
may be given once. Text is text; a multipart file is bytes.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message

from service.api.limits import (
    BODY_BYTES_MAX,
    BODY_S_MAX,
    PARAMETERS_MAX,
    REQUEST_ID_CHARS_MAX,
    SHOWN_CHARS_MAX,
)
from service.errors import Refused, Status
from service.scripts import SOURCE_BYTES_MAX

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
JSON = "application/json"
_parts = {"max_files": 2, "max_fields": PARAMETERS_MAX, "max_part_size": SOURCE_BYTES_MAX + 1}


@dataclass(frozen=True)
class Asked:
    """What a request asks: the key, the client's request id, and the method's parameters."""

    key: str
    request_id: str
    parameters: dict[str, str | bytes]


async def read(request: Request) -> Asked:
    """Everything a request carries. Raises `Refused`, and `ClientDisconnect` as starlette does."""
    pairs: list[tuple[str, str | bytes]] = list(request.query_params.multi_items())
    if request.method == "POST":
        try:
            async with asyncio.timeout(BODY_S_MAX):
                pairs += await _body(request)
        except TimeoutError:
            raise Refused(
                Status.LIMIT_REACHED, f"the request took longer than {BODY_S_MAX:.0f} s to arrive"
            ) from None
    parameters = _once(pairs)
    return Asked(_key(request, parameters), _request_id(request, parameters), parameters)


async def _body(request: Request) -> list[tuple[str, str | bytes]]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limited = Request(request.scope, _limited(request))
    if content_type == JSON:
        return _json(await limited.body())
    if content_type in FORMS:
        return await _form(limited)
    if await limited.body():
        raise Refused(
            Status.BAD_VALUE,
            f"the body's Content-Type is {content_type[:SHOWN_CHARS_MAX] or 'missing'}",
            hint=f"one of {', '.join((*FORMS, JSON))}",
        )
    return []


def _limited(request: Request) -> Any:
    """The request's `receive`, which refuses a body over its limit as it comes in."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES_MAX:
            raise Refused(
                Status.TOO_LONG, "the request's body is too long", hint=f"{BODY_BYTES_MAX} bytes"
            )
        return message

    return receive


async def _form(request: Request) -> list[tuple[str, str | bytes]]:
    pairs: list[tuple[str, str | bytes]] = []
    try:
        async with request.form(**_parts) as form:
            for name, value in form.multi_items():
                pairs.append((name, await value.read() if isinstance(value, UploadFile) else value))
    except (HTTPException, MultiPartException) as error:
        told = error.detail if isinstance(error, HTTPException) else error.message
        raise Refused(Status.BAD_VALUE, f"the form can't be read: {told}") from None
    return pairs


def _json(body: bytes) -> list[tuple[str, str | bytes]]:
    try:
        # Pairs, not a dictionary: a name given twice is refused like everywhere else.
        document = json.loads(body, object_pairs_hook=tuple) if body else ()
    except (ValueError, RecursionError) as error:
        raise Refused(Status.BAD_VALUE, f"the body is not JSON: {error}") from None
    if not isinstance(document, tuple):
        raise Refused(Status.BAD_VALUE, "the body must be a JSON object of parameters")
    pairs: list[tuple[str, str | bytes]] = []
    for name, value in document:
        match value:
            case None:
                continue
            case bool():
                pairs.append((name, "true" if value else "false"))
            case str() | int():
                pairs.append((name, str(value)))
            case _:
                raise Refused(
                    Status.BAD_VALUE,
                    f"the parameter {name[:SHOWN_CHARS_MAX]} must be text or a whole number",
                    field=name[:SHOWN_CHARS_MAX],
                )
    return pairs


def _once(pairs: Iterable[tuple[str, str | bytes]]) -> dict[str, str | bytes]:
    found: dict[str, str | bytes] = {}
    for name, value in pairs:
        if name in found:
            raise Refused(
                Status.BAD_VALUE,
                f"the parameter {name[:SHOWN_CHARS_MAX]} is given more than once",
                field=name[:SHOWN_CHARS_MAX],
                hint="give it once, in the query or in the body",
            )
        found[name] = value
        if len(found) > PARAMETERS_MAX:
            raise Refused(
                Status.LIMIT_REACHED, f"a request has at most {PARAMETERS_MAX} parameters"
            )
    return found


def _key(request: Request, parameters: dict[str, str | bytes]) -> str:
    """The account's key, taken out of the parameters or from the header."""
    given = parameters.pop("id", "")
    key = given if isinstance(given, str) else ""
    header = request.headers.get("authorization")
    if header is None:
        if not key:
            raise Refused(
                Status.ID_MISSING,
                "the parameter id is missing",
                field="id",
                hint="id=KEY, or the header Authorization: Bearer KEY",
            )
        return key
    scheme, _, bearer = header.partition(" ")
    bearer = bearer.strip()
    if scheme.lower() != "bearer" or not bearer:
        raise Refused(
            Status.AUTHORISATION_MISSING,
            "the header Authorization holds no key",
            hint="Authorization: Bearer KEY, or the parameter id=KEY",
        )
    if key and key != bearer:
        raise Refused(
            Status.BAD_VALUE, "id and the header Authorization hold different keys", field="id"
        )
    return bearer


def _request_id(request: Request, parameters: dict[str, str | bytes]) -> str:
    """The client's id of this request, from the header or the parameter; empty without."""
    given = parameters.pop("request_id", "")
    header = request.headers.get("idempotency-key", "")
    if header and given and header != given:
        raise Refused(Status.BAD_VALUE, "request_id and Idempotency-Key differ", field="request_id")
    chosen = header or given
    if (
        not isinstance(chosen, str)
        or len(chosen) > REQUEST_ID_CHARS_MAX
        or (chosen and not (chosen.isascii() and chosen.isprintable()))
    ):
        raise Refused(
            Status.BAD_VALUE,
            "request_id is not usable",
            field="request_id",
            hint=f"1 to {REQUEST_ID_CHARS_MAX} printable ASCII characters",
        )
    return chosen
