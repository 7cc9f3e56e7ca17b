"""A reply, and its forms: XML and JSON with the same fields."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never
from xml.sax.saxutils import escape

from starlette.responses import Response

from service.api.definition import Blocks, ReplyField
from service.errors import STATUSES, Refused, Status
from service.scripts import ScriptRefused
from vxml_engine.problems import Problem

FORMATS = {"xml": "application/xml; charset=utf-8", "json": "application/json"}
# What XML 1.0 (2.2) has no way to write.
_unwritable = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_no_name = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class Reply:
    """A reply of the API: its status, and the blocks beside it."""

    status: Status
    message: str
    field: str = ""
    hint: str = ""
    blocks: Blocks = dataclasses.field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The fields under `response`."""
        status: dict[str, Any] = {"status_code": int(self.status), "status_msg": self.message}
        if self.field:
            status["field"] = self.field
        if self.hint:
            status["hint"] = self.hint
        return {"status": status, **self.blocks}

    def to_text(self) -> str:
        """The reply as text that `from_text` reads, to be kept."""
        return json.dumps(self.body)

    @classmethod
    def from_text(cls, text: str) -> "Reply":
        """The reply that `to_text` wrote."""
        blocks: dict[str, Any] = json.loads(text)
        status = blocks.pop("status")
        return cls(
            Status(status["status_code"]),
            status["status_msg"],
            status.get("field", ""),
            status.get("hint", ""),
            blocks,
        )


def done(blocks: Blocks) -> Reply:
    """The reply of a method that did what was asked."""
    return Reply(Status.DONE, STATUSES[Status.DONE].text, blocks=plain(blocks))


def refusal(refused: Refused) -> Reply:
    """The reply that says what was refused, why, and what would be right."""
    blocks: Blocks = {}
    if isinstance(refused, ScriptRefused):
        blocks = {"script_info": {"problems": [problem_fields(one) for one in refused.problems]}}
    meaning = STATUSES[refused.status].text
    message = (
        refused.message
        if refused.message.startswith(meaning)
        else (f"{meaning}: {refused.message}" if refused.message else meaning)
    )
    return Reply(refused.status, message, refused.field, refused.hint, blocks)


def problem_fields(problem: Problem) -> dict[str, Any]:
    """A problem of a script as the fields of a reply."""
    return {
        "line": problem.line,
        "column": problem.column,
        "severity": problem.severity,
        "rule": problem.rule,
        "message": problem.message,
    }


def plain(value: Any) -> Any:
    """A value as text, numbers, true and false, lists and mappings; times as ISO 8601 in UTC."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        case Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case None | bool() | int() | float() | str():
            return value
        case Sequence():
            return [plain(one) for one in value]
        case _:
            return str(value)


def response(reply: Reply, form: str, *, http_200: bool, items: Mapping[str, str]) -> Response:
    """The HTTP response of a reply as `xml` or `json`; `items` names the items of lists."""
    if form == "json":
        body = json.dumps({"response": reply.body}, ensure_ascii=False)
    else:
        body = '<?xml version="1.0" encoding="UTF-8"?>\n' + _element("response", reply.body, items)
    return Response(
        body.encode("utf-8", "replace"),
        200 if http_200 else STATUSES[reply.status].http,
        {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
        FORMATS[form],
    )


def item_names(fields: Sequence[ReplyField]) -> dict[str, str]:
    """The names of list items, by list, in the fields of a block."""
    names: dict[str, str] = {}
    for one in fields:
        if one.item:
            names[one.name] = one.item
        names |= item_names(one.fields)
    return names


def _element(name: str, value: Any, items: Mapping[str, str]) -> str:
    name = _no_name.sub("_", name)
    if not name[:1].isalpha():
        name = f"_{name}"
    match value:
        case None | "":
            return f"<{name}/>"
        case bool():
            text = "true" if value else "false"
        case int() | float():
            text = str(value)
        case str():
            text = escape(_unwritable.sub("\ufffd", value))
        case dict():
            text = "".join(_element(key, one, items) for key, one in value.items())
        case list():
            item = items.get(name, "item")
            text = "".join(_element(item, one, items) for one in value)
        case _:
            assert_never(value)
    return f"<{name}>{text}</{name}>"
