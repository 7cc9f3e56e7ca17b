"""Structured logs on the standard library's logging: call ids always, secrets never.

`configure` sets one handler on the root logger. Every record carries the call id and
the request id of the task that wrote it (`call_id`, `request_id`: context variables).
What a record is given as `extra={"caller": ...}` becomes a field of its own. Text is
cleaned on its way out: keys, PINs, passwords and Authorization never appear, URLs lose
their query and their end, and a line feed cannot forge a record.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from service.config import LogSettings

call_id: ContextVar[str] = ContextVar("call_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")

URL_CHARS_MAX = 200
TEXT_CHARS_MAX = 4000
TRACEBACK_CHARS_MAX = 20_000
HIDDEN = "***"

HIDDEN_NAMES = (
    "id|key|pin|moderator_pin|access_code|password|passwd|secret|token|api_key|idempotency-key"
)
_secret_field = re.compile(rf"(?i:{HIDDEN_NAMES}|authorization|proxy-authorization)")
_rules: tuple[tuple[re.Pattern[str], str], ...] = (
    # Credentials in a header, whole to the end of its line; then a bare bearer token.
    (re.compile(r"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=,]\s*)[^\r\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic|digest)(\s+)[A-Za-z0-9+/=._~-]{6,}"), rf"\1\2{HIDDEN}"),
    # id=KEY in a query or a form; call_id= and conf_id= are no secrets.
    (re.compile(rf"(?i)(?<![\w-])({HIDDEN_NAMES})=[^&\s\"'<>,;)]+"), rf"\1={HIDDEN}"),
    # {"pin": "1234"}, {'pin': 1234}, ('pin', '1234')
    (
        re.compile(rf"(?i)(['\"])({HIDDEN_NAMES})\1(\s*[:,]\s*)(\"[^\"]*\"|'[^']*'|[\w.-]+)"),
        rf"\1\2\1\3{HIDDEN}",
    ),
    (re.compile(rf"(?i)<({HIDDEN_NAMES})>[^<]*</"), rf"<\1>{HIDDEN}</"),
    # The query of a request line; that of a whole URL is cut by _cut_url.
    (re.compile(r"((?:^|[\s\"'])/[^\s\"'?]*)\?[^\s\"']*"), r"\1"),
    (re.compile(r"(?i)\b(sips?:[^:@\s;>]+):[^@\s]+@"), rf"\1:{HIDDEN}@"),
)
_url = re.compile(r"(?i)\b(?:https?|wss?|ftp)://[^\s\"'<>]+")
_user_information = re.compile(r"(?<=://)[^/@\s]*@")

_own_attributes = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def clean(text: str) -> str:
    """`text` without secrets, and with URLs cut to scheme, host and path."""
    text = _url.sub(lambda match: _cut_url(match[0]), text)
    for pattern, replacement in _rules:
        text = pattern.sub(replacement, text)
    return text


def _cut_url(url: str) -> str:
    short = _user_information.sub("", re.split(r"[?#]", url, maxsplit=1)[0])
    return short if len(short) <= URL_CHARS_MAX else short[: URL_CHARS_MAX - 1] + "…"


def _one_line(text: str) -> str:
    shown = clean(text)
    if len(shown) > TEXT_CHARS_MAX:
        shown = shown[: TEXT_CHARS_MAX - 1] + "…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in shown
    )


@contextmanager
def about_call(identifier: str) -> Iterator[None]:
    """Every record written inside carries this call id."""
    before = call_id.set(identifier)
    try:
        yield
    finally:
        call_id.reset(before)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What the record was given beside its text, secrets hidden."""
    context = {"call_id": call_id.get(), "request_id": request_id.get()}
    found: dict[str, Any] = {name: value for name, value in context.items() if value}
    for name, value in vars(record).items():
        if name in _own_attributes or name.startswith("_") or name == "color_message":
            continue
        if _secret_field.fullmatch(name):
            found[name] = HIDDEN
        elif value is None or isinstance(value, bool | int | float):
            found[name] = value
        else:
            found[name] = _one_line(str(value))
    return found


class _Formatter(logging.Formatter):
    def traceback(self, record: logging.LogRecord) -> str:
        """The record's traceback, cleaned and cut at its beginning; empty without one."""
        text = self.formatException(record.exc_info) if record.exc_info else ""
        return clean(text)[-TRACEBACK_CHARS_MAX:]


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(_Formatter):
    """`time LEVEL logger: text name=value ...`, a traceback on the lines that follow."""

    def format(self, record: logging.LogRecord) -> str:
        text = _one_line(record.getMessage())
        line = f"{_time(record)} {record.levelname:7} {record.name}: {text}"
        for name, value in _fields(record).items():
            shown = json.dumps(value) if isinstance(value, str) and " " in value else value
            line += f" {name}={shown}"
        traceback = self.traceback(record)
        return f"{line}\n{traceback}" if traceback else line


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, text, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        row: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": _one_line(record.getMessage()),
        }
        row |= {name: value for name, value in _fields(record).items() if name not in row}
        if traceback := self.traceback(record):
            row["traceback"] = traceback
        return json.dumps(row, ensure_ascii=False)


def configure(settings: LogSettings, stream: TextIO | None = None) -> logging.Handler:
    """Make the root logger write as `settings` say, to `stream` (standard error by default).

    Returns the handler, so that a caller who lives on can take it away again.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level.upper())
    # A library's own chatter at info says nothing that ours does not.
    for chatty in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler
