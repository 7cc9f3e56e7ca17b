"""Logs: call ids on every record, fields, and never a secret."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from service import logs
from service.config import LogSettings

KEY = "a1234b56789"


class Written:
    """What a configured log wrote."""

    def __init__(self, log_format: str) -> None:
        self.stream = io.StringIO()
        self.handler = logs.configure(LogSettings(level="info", format=log_format), self.stream)
        self.logger = logging.getLogger("test.logs")

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(params=["text", "json"])
def log(request: pytest.FixtureRequest) -> Iterator[Written]:
    yield from _configured(request.param)


@pytest.fixture
def json_log() -> Iterator[Written]:
    yield from _configured("json")


def _configured(log_format: str) -> Iterator[Written]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Written(log_format)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_record_carries_the_call_and_its_fields(json_log: Written) -> None:
    with logs.about_call("c0ffee"):
        json_log.logger.info("answered after %d ms", 12, extra={"caller": "33612345678"})
    json_log.logger.info("later")
    first, second = json_log.rows
    assert first["call_id"] == "c0ffee"
    assert first["caller"] == "33612345678"
    assert first["text"] == "answered after 12 ms"
    assert first["level"] == "info"
    assert first["time"].endswith("Z")
    assert "call_id" not in second


def test_text_is_readable() -> None:
    for written in _configured("text"):
        with logs.about_call("c0ffee"):
            written.logger.warning("late", extra={"cause": "no answer"})
        assert written.text.endswith('WARNING test.logs: late call_id=c0ffee cause="no answer"\n')


@pytest.mark.parametrize(
    "said",
    [
        f"GET /call/createCall.xml?id={KEY}&to=33612345678 HTTP/1.1",
        f"id={KEY}&to=33612345678",
        f"Authorization: Bearer {KEY}",
        f"authorization: {KEY}",
        f"('authorization', 'Bearer {KEY}')",
        f"used Bearer {KEY} here",
        f'{{"id": "{KEY}", "to": "33612345678"}}',
        f"{{'pin': '{KEY}'}}",
        f"<pin>{KEY}</pin>",
        f"fetched https://user:{KEY}@example.org/a",
        f"fetched https://example.org/a?token={KEY}#x",
        f"contact sip:bob:{KEY}@example.org",
        f"password={KEY}",
        f'Proxy-Authorization: Digest username="bob", response="{KEY}"',
    ],
)
def test_no_secret_reaches_the_log(log: Written, said: str) -> None:
    log.logger.info("%s", said)
    log.logger.info("as a field", extra={"what": said})
    try:
        raise ValueError(said)
    except ValueError:
        log.logger.exception("failed")
    assert KEY not in log.text


def test_fields_with_secret_names_are_hidden(log: Written) -> None:
    log.logger.info("one", extra={"pin": "4711", "authorization": "x4711", "key": "4711"})
    assert "4711" not in log.text


def test_identifiers_that_are_no_secrets_stay(log: Written) -> None:
    log.logger.info("call_id=abc conf_id=12a34b grid=7")
    assert "call_id=abc conf_id=12a34b grid=7" in log.text


def test_urls_lose_their_query_and_their_end(log: Written) -> None:
    log.logger.info("fetched https://example.org/%s?who=me", "a" * 500)
    assert "who=me" not in log.text
    assert "a" * (logs.URL_CHARS_MAX + 1) not in log.text
    assert "https://example.org/aaa" in log.text


def test_a_line_feed_cannot_forge_a_record(log: Written) -> None:
    log.logger.info("from %s", "x\n2026-01-01 ERROR forged\x1b[31m")
    assert len(log.text.splitlines()) == 1
    assert "\x1b" not in log.text


def test_a_long_text_is_cut(log: Written) -> None:
    log.logger.info("x" * (logs.TEXT_CHARS_MAX + 10))
    assert "x" * logs.TEXT_CHARS_MAX not in log.text
    assert "…" in log.text


def test_a_traceback_is_kept_and_cut(json_log: Written) -> None:
    try:
        raise RuntimeError("y" * (logs.TRACEBACK_CHARS_MAX + 10))
    except RuntimeError:
        json_log.logger.exception("failed")
    assert len(json_log.rows[0]["traceback"]) == logs.TRACEBACK_CHARS_MAX


def test_the_level_is_kept() -> None:
    for written in _configured("text"):
        written.logger.debug("detail")
        assert written.text == ""
