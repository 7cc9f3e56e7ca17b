"""The API over HTTP: methods, refusals, repetitions, formats, health and metrics."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from lxml import etree

from service.accounts import Accounts
from service.api import app as app_module
from service.api import limits
from service.api import requests as requests_module
from service.api.app import create_app
from service.api.definition import Method, ReplyField
from service.api.methods import METHODS
from service.api.requests import FORMS
from service.config import HttpSettings, Settings
from service.errors import Refused, Status
from service.metrics import Health, Registry
from service.numbers import Numbers
from service.phones import Phones
from service.scripts import Scripts
from service.storage.database import Database
from service.views import BalanceView, CallView, ConferenceView, ParticipantView, TimelineEntry
from vxml_engine.problems import Problem

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CALL = "0a1b2c3d4e5f6071"
NUMBER = "33199000001"


@dataclass
class FakeCore:
    """Answers as a service would, and remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    error: Exception | None = None

    def _note(self, name: str, **given: Any) -> None:
        self.asked.append((name, given))
        if self.error is not None:
            raise self.error

    def _conference(self, conf_id: str, access: str = "open") -> ConferenceView:
        return ConferenceView(
            conf_id=conf_id,
            access_code="1234567",
            phone_number=NUMBER,
            sip_uri=f"sip:conf-{conf_id}@voice.example",
            start=NOW,
            end=NOW + timedelta(minutes=30),
            access=access,
            state="on",
            participants=(
                ParticipantView("33612345678", NOW),
                ParticipantView('sip:"a&b"<x>', NOW, NOW + timedelta(seconds=5)),
            ),
        )

    async def create_conference(self, account_id: str, **given: Any) -> ConferenceView:
        self._note("create_conference", account_id=account_id, **given)
        return self._conference("12a34b", given["access"])

    async def add_caller(self, account_id: str, conf_id: str, number: str) -> None:
        self._note("add_caller", account_id=account_id, conf_id=conf_id, number=number)

    async def get_conference(self, account_id: str, conf_id: str) -> ConferenceView:
        self._note("get_conference", account_id=account_id, conf_id=conf_id)
        return self._conference(conf_id)

    async def end_conference(self, account_id: str, conf_id: str) -> None:
        self._note("end_conference", account_id=account_id, conf_id=conf_id)

    async def create_call(self, account_id: str, **given: Any) -> str:
        self._note("create_call", account_id=account_id, **given)
        return f"{len(self.asked):016x}"

    async def release_call(self, account_id: str, call_id: str) -> None:
        self._note("release_call", account_id=account_id, call_id=call_id)

    async def get_call(self, account_id: str, call_id: str) -> CallView:
        self._note("get_call", account_id=account_id, call_id=call_id)
        return CallView(
            call_id=call_id,
            direction="outgoing",
            caller="conf:12a34b",
            called="33612345678",
            state="up",
            created=NOW,
            answered=NOW + timedelta(seconds=3),
            ended=None,
            duration_s=0,
            cause="",
            cost_millicredits=4250,
            earned_millicredits=0,
            timeline=(TimelineEntry(NOW, "created", {"to": "33612345678", "1 <odd>": [1, None]}),),
        )

    async def get_balance(self, account_id: str) -> BalanceView:
        self._note("get_balance", account_id=account_id)
        return BalanceView(195_500, 4_500, 200_000, 0, 0)


def check(source: bytes) -> list[Problem]:
    if b"fault" in source:
        return [Problem(2, 7, "bad", "error", "fault"), Problem(1, 1, "odd", "warning", "hm")]
    return [Problem(1, 1, "odd", "warning", "hm")] if b"odd" in source else []


class Service:
    """The application over a database of its own, called as a client calls it."""

    def __init__(self, database: Database, accounts: Accounts, http: HttpSettings) -> None:
        self.core = FakeCore()
        self.database = database
        self.accounts = accounts
        self.numbers = Numbers(database)
        self.metrics = Registry()
        self.health = {"sip": Health(True, "5060"), "storage": Health(True)}
        self.now = NOW
        self.key = ""
        self.account_id = ""
        app = create_app(
            self.core,
            Settings(http=http),
            accounts=accounts,
            scripts=Scripts(database, check),
            numbers=self.numbers,
            database=database,
            metrics=self.metrics,
            health=self._state,
            now=lambda: self.now,
        )
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://voice.example"
        )

    async def _state(self) -> dict[str, Health]:
        return self.health

    async def open(self) -> None:
        self.account_id = (await self.accounts.create("Eve", opening_millicredits=0, at=NOW)).id
        self.key = await self.accounts.create_key(self.account_id, at=NOW)
        await self.numbers.add(NUMBER)

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The `response` of a method asked as JSON by GET."""
        answer = await self.client.get(f"/{method}.json", params={"id": self.key} | parameters)
        body: dict[str, Any] = answer.json()["response"]
        assert answer.headers["x-request-id"]
        return body

    async def refused(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The status of a method that refuses."""
        body = await self.ask(method, **parameters)
        status: dict[str, Any] = body["status"]
        assert status["status_code"] != 200
        return status


@pytest.fixture
async def service(
    database: Database, accounts: Accounts, request: pytest.FixtureRequest
) -> AsyncIterator[Service]:
    made = Service(database, accounts, getattr(request, "param", HttpSettings()))
    await made.open()
    async with made.client:
        yield made


async def prepared(service: Service, method: Method) -> dict[str, str]:
    """The parameters of a method's example, with what they need made ready."""
    if method.name == "assignNumber":
        await Phones(service.database, "voice.example").create("alice", service.account_id, at=NOW)
    return dict(method.example)


def field_names(fields: tuple[ReplyField, ...]) -> list[str]:
    return [one.name for one in fields]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
async def test_every_example_is_answered_with_the_documented_fields(
    service: Service, method: Method
) -> None:
    given = await prepared(service, method)
    body = await service.ask(f"{method.family}/{method.name}", **given)
    assert body["status"] == {"status_code": 200, "status_msg": "done"}
    assert list(body) == ["status", method.block]
    assert list(body[method.block]) == field_names(method.fields)
    for one in method.fields:
        for item in body[method.block][one.name] if one.item else ():
            assert list(item) == field_names(one.fields)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
async def test_xml_has_the_same_fields(service: Service, method: Method) -> None:
    given = await prepared(service, method)
    answer = await service.client.post(
        f"/{method.family}/{method.name}", data={"id": service.key} | given
    )
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    root = etree.fromstring(answer.content)
    assert root.tag == "response"
    assert root.findtext("status/status_code") == "200"
    assert root.findtext("status/status_msg") == "done"
    block = root.find(method.block)
    assert block is not None
    assert [child.tag for child in block] == field_names(method.fields)
    for one in method.fields:
        if one.item:
            assert {child.tag for child in block.iterfind(f"{one.name}/*")} <= {one.item}


async def test_xml_carries_what_is_awkward(service: Service) -> None:
    answer = await service.client.get(
        "/conf/getConference.xml", params={"id": service.key, "conf_id": "12a34b"}
    )
    root = etree.fromstring(answer.content)
    assert root.findtext("conference_info/participants/participant[2]/number") == 'sip:"a&b"<x>'
    assert root.findtext("conference_info/participants/participant[1]/left_at") == ""
    assert root.findtext("conference_info/start") == "2026-03-02T09:00:00.000Z"
    answer = await service.client.get(
        "/call/getCall.xml", params={"id": service.key, "call_id": CALL}
    )
    detail = etree.fromstring(answer.content).find("call_info/timeline/entry/detail")
    assert detail is not None
    assert [child.tag for child in detail] == ["to", "_1__odd_"]


# What the service is asked to do


async def test_create_conference_hands_its_values_on(service: Service) -> None:
    body = await service.ask(
        "conf/createConference",
        start="2026-03-02T14:00:00+01:00",
        duration="30",
        access="pin",
        pin="4711",
        max_participants="10",
    )
    assert body["conference_info"]["conf_id"] == "12a34b"
    ((name, given),) = service.core.asked
    assert name == "create_conference"
    assert given == {
        "account_id": service.account_id,
        "start": datetime(2026, 3, 2, 13, 0, tzinfo=UTC),
        "duration_min": 30,
        "access": "pin",
        "pin": "4711",
        "max_participants": 10,
    }


async def test_create_conference_has_defaults(service: Service) -> None:
    await service.ask("conf/createConference", pin="", start="")
    ((_, given),) = service.core.asked
    assert given["start"] is None
    assert given["duration_min"] == 120
    assert given["access"] == "open"
    assert given["pin"] is None


async def test_a_plus_lost_in_a_query_is_understood(service: Service) -> None:
    answer = await service.client.get(
        f"/conf/createConference.json?id={service.key}&start=2026-03-02T14:00:00+01:00"
    )
    assert answer.status_code == 200
    assert service.core.asked[0][1]["start"] == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)


async def test_create_call_hands_its_values_on(service: Service) -> None:
    body = await service.ask(
        "call/createCall", **{"from": "conf:12a34b", "to": "33612345678", "timeout": 20}
    )
    assert re.fullmatch("[0-9a-f]{16}", body["call_info"]["call_id"])
    assert service.core.asked[0][1] == {
        "account_id": service.account_id,
        "from_": "conf:12a34b",
        "to": "33612345678",
        "max_duration_s": None,
        "timeout_s": 20,
    }


async def test_add_caller_normalises_the_number(service: Service) -> None:
    body = await service.ask("conf/addCaller", conf_id="conf:12A34B", number="+33 6 12 34 56 78")
    assert body["caller_info"] == {"conf_id": "12a34b", "number": "33612345678"}
    assert service.core.asked[0][1]["number"] == "33612345678"


async def test_money_is_told_in_millicredits_and_credits(service: Service) -> None:
    body = await service.ask("account/getBalance")
    assert body["balance_info"]["available_millicredits"] == 195_500
    assert body["balance_info"]["credits"] == "195.5"
    body = await service.ask("call/getCall", call_id=CALL)
    assert body["call_info"]["credits"] == "-4.25"
    assert body["call_info"]["ended"] is None


async def test_a_script_is_uploaded_and_a_number_runs_it(service: Service) -> None:
    answer = await service.client.post(
        "/script/uploadScript.json",
        data={"id": service.key, "name": "menu"},
        files={"file": ("menu.vxml", b"<vxml>odd</vxml>")},
    )
    info = answer.json()["response"]["script_info"]
    assert info["version"] == 1
    assert info["problems"][0]["severity"] == "warning"
    body = await service.ask("number/assignNumber", number=NUMBER, script=info["script_id"])
    assert body["number_info"]["script"] == info["script_id"]
    body = await service.ask("number/listNumbers")
    assert [one["number"] for one in body["number_info"]["numbers"]] == [NUMBER]


async def test_a_script_with_errors_is_refused_with_all_problems(service: Service) -> None:
    answer = await service.client.post(
        "/script/uploadScript.xml", data={"id": service.key, "name": "m", "source": "fault"}
    )
    assert answer.status_code == 400
    root = etree.fromstring(answer.content)
    assert root.findtext("status/status_code") == "432"
    assert "2:7: bad: fault" in (root.findtext("status/status_msg") or "")
    assert root.findtext("script_info/problems/problem[1]/rule") == "odd"
    assert root.findtext("script_info/problems/problem[2]/line") == "2"


async def test_check_script_tells_and_keeps_nothing(service: Service) -> None:
    body = await service.ask("script/checkScript", source="fault")
    assert body["script_info"]["usable"] is False
    assert len(body["script_info"]["problems"]) == 2
    status = await service.refused("script/checkScript")
    assert (status["status_code"], status["field"]) == (430, "source")


# Refusals


@pytest.mark.parametrize(
    ("method", "parameters", "code", "field_name", "said"),
    [
        ("conf/createConference", {"duration": "180"}, 440, "duration", "1 to 120"),
        ("conf/createConference", {"duration": "0"}, 432, "duration", "1 to 120"),
        ("conf/createConference", {"duration": "x"}, 432, "duration", "whole number"),
        ("conf/createConference", {"duration": "9" * 30}, 432, "duration", "whole number"),
        ("conf/createConference", {"access": "opne"}, 432, "access", "`open`"),
        ("conf/createConference", {"pin": "12a4"}, 432, "pin", "4 to 8 digits"),
        ("conf/createConference", {"start": "noon"}, 432, "start", "ISO 8601"),
        ("conf/createConference", {"start": "2026-03-02T09:00"}, 432, "start", "offset"),
        ("conf/createConference", {"start": "0001-01-01T00:00+14:00"}, 432, "start", "8601"),
        ("conf/createConference", {"strat": "x"}, 432, "strat", "did you mean start?"),
        ("conf/createConference", {"max_participants": "1"}, 432, "max_participants", "2 to"),
        ("conf/getConference", {}, 430, "conf_id", "12a34b"),
        ("conf/getConference", {"conf_id": "12a34"}, 432, "conf_id", "six hexadecimal"),
        ("conf/addCaller", {"conf_id": "12a34b", "number": "12"}, 433, "number", "33612345678"),
        ("conf/addCaller", {"conf_id": "12a34b"}, 430, "number", "international"),
        ("call/createCall", {"to": "33612345678"}, 430, "from", "conf:"),
        ("call/createCall", {"from": "a\x01", "to": "1"}, 431, "from", "conf:"),
        ("call/createCall", {"from": "a" * 301, "to": "1"}, 431, "from", "conf:"),
        ("call/getCall", {"call_id": "../x"}, 432, "call_id", "sixteen"),
        ("number/assignNumber", {"number": NUMBER}, 430, "script", "one of script, phone"),
        ("number/assignNumber", {"number": NUMBER, "phone": "bob"}, 404, "phone", "user name"),
        ("account/getBalance", {"x": "1"}, 432, "x", "it has none"),
        ("account/getBalance", {"request_id": "1"}, 432, "request_id", ""),
    ],
)
async def test_bad_input_is_refused_with_field_and_what_is_right(
    service: Service,
    method: str,
    parameters: dict[str, str],
    code: int,
    field_name: str,
    said: str,
) -> None:
    status = await service.refused(method, **parameters)
    assert (status["status_code"], status.get("field")) == (code, field_name)
    assert said in status["status_msg"] + status.get("hint", "")
    assert service.core.asked == []


@pytest.mark.parametrize(
    ("status", "http"), [(402, 402), (404, 404), (409, 409), (441, 403), (447, 409), (503, 500)]
)
async def test_what_the_service_refuses_is_mirrored(
    service: Service, status: int, http: int
) -> None:
    service.core.error = Refused(Status(status), "because", field="to", hint="other")
    answer = await service.client.get(
        f"/call/createCall.json?id={service.key}&from=conf:12a34b&to=33612345678"
    )
    assert answer.status_code == http
    told = answer.json()["response"]["status"]
    assert told["status_code"] == status
    assert told["status_msg"].endswith(": because")
    assert (told["field"], told["hint"]) == ("to", "other")


@pytest.mark.parametrize("service", [HttpSettings(http_200=True)], indirect=True)
async def test_http_is_200_always_where_it_is_configured(service: Service) -> None:
    answer = await service.client.get("/account/getBalance.xml")
    assert answer.status_code == 200
    assert etree.fromstring(answer.content).findtext("status/status_code") == "400"


async def test_a_failure_of_ours_shows_nothing_and_names_its_log_record(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.core.error = RuntimeError("the secret inside")
    answer = await service.client.get(f"/account/getBalance.json?id={service.key}")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text
    reference = answer.headers["x-request-id"]
    assert reference in answer.json()["response"]["status"]["status_msg"]
    assert "the secret inside" in caplog.text
    assert service.key not in caplog.text


async def test_a_method_that_hangs_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "METHOD_S_MAX", 0.0)

    async def hang(account_id: str) -> BalanceView:
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")

    service.core.get_balance = hang  # type: ignore[method-assign]
    status = await service.refused("account/getBalance")
    assert status["status_code"] == 503


# Keys


@pytest.mark.parametrize(
    ("parameters", "header", "http", "code"),
    [
        ({}, None, 400, 400),
        ({"id": ""}, None, 400, 400),
        ({"id": "a1234b56789"}, None, 401, 401),
        ({}, "Bearer a1234b56789", 401, 401),
        ({}, "Basic abc", 401, 450),
        ({}, "Bearer ", 401, 450),
        ({"id": "x"}, "Bearer a1234b56789", 400, 432),
    ],
)
async def test_without_a_right_key_nothing_is_done(
    service: Service, parameters: dict[str, str], header: str | None, http: int, code: int
) -> None:
    headers = {"Authorization": header} if header else {}
    answer = await service.client.get(
        "/account/getBalance.json", params=parameters, headers=headers
    )
    assert answer.status_code == http
    assert answer.json()["response"]["status"]["status_code"] == code
    assert service.core.asked == []


async def test_a_bearer_key_is_taken(service: Service) -> None:
    answer = await service.client.get(
        "/account/getBalance.json", headers={"Authorization": f"bearer {service.key}"}
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


# Forms of requests


async def test_json_bodies_carry_parameters(service: Service) -> None:
    answer = await service.client.post(
        "/conf/createConference.json",
        json={"id": service.key, "duration": 30, "access": "open", "pin": None},
    )
    assert answer.status_code == 200
    assert service.core.asked[0][1]["duration_min"] == 30


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("application/json", "{", "not JSON"),
        ("application/json", "[" * 100_000, "not JSON"),
        ("application/json", "[1]", "must be a JSON object"),
        ("application/json", '{"duration": 1.5}', "duration must be text or a whole number"),
        ("application/json", '{"pin": "1", "pin": "2"}', "pin is given more than once"),
        ("application/json", '{"duration": {"a": 1}}', "duration must be text"),
        ("text/plain", "duration=3", "text/plain"),
        ("multipart/form-data", "x", "can't be read"),
        ("multipart/form-data; boundary=x", "junk", "can't be read"),
        ("application/x-www-form-urlencoded", "pin=1&pin=2", "pin is given more than once"),
    ],
)
async def test_bodies_that_cannot_be_read_are_refused(
    service: Service, content_type: str, body: str, said: str
) -> None:
    answer = await service.client.post(
        f"/conf/createConference.json?id={service.key}",
        content=body,
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == 400
    assert said in answer.json()["response"]["status"]["status_msg"]
    assert service.core.asked == []


async def test_a_parameter_in_query_and_body_is_refused(service: Service) -> None:
    answer = await service.client.post(
        f"/conf/createConference.json?id={service.key}&duration=3", data={"duration": "4"}
    )
    assert "more than once" in answer.text


async def test_a_body_over_the_limit_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_module, "BODY_BYTES_MAX", 100)
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        answer = await service.client.post(
            "/script/checkScript.json",
            content=b"x" * 101,
            headers={"Content-Type": content_type},
        )
        assert answer.json()["response"]["status"]["status_code"] == 440


async def test_a_body_that_does_not_arrive_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests_module, "BODY_S_MAX", 0.0)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"id="
        await asyncio.Event().wait()

    answer = await service.client.post(
        "/conf/createConference.json", content=stuck(), headers={"Content-Type": FORMS[0]}
    )
    assert answer.json()["response"]["status"]["status_code"] == 429


async def test_parameters_are_limited(service: Service) -> None:
    many = {f"p{number}": "1" for number in range(limits.PARAMETERS_MAX)}
    status = await service.refused("account/getBalance", **many)
    assert status["status_code"] == 429


async def test_text_for_a_file_and_a_file_for_text(service: Service) -> None:
    answer = await service.client.post(
        "/conf/createConference.json", data={"id": service.key}, files={"pin": ("a", b"1234")}
    )
    assert answer.json()["response"]["status"]["field"] == "pin"


async def test_unknown_methods_are_told_what_there_is(service: Service) -> None:
    answer = await service.client.get("/conf/createConferense.json")
    assert answer.status_code == 404
    status = answer.json()["response"]["status"]
    assert "createConference, addCaller, getConference, endConference" in status["status_msg"]
    assert status["hint"] == "did you mean createConference?"
    assert "known: conf, call" in (await service.client.get("/xyz/abc")).text
    assert "getBalance.json" in (await service.client.get("/account/getBalance.yaml")).text
    lost = await service.client.get("/a/b/c.json")
    assert lost.status_code == 404
    assert "families: conf, call" in lost.json()["response"]["status"]["hint"]


@pytest.mark.parametrize("verb", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_get_and_post_do_something(service: Service, verb: str) -> None:
    answer = await service.client.request(verb, f"/conf/createConference.json?id={service.key}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert service.core.asked == []


# Repetitions

CREATE = "/call/createCall"


async def test_a_repetition_gets_the_first_answer_in_either_format(service: Service) -> None:
    asked = {"id": service.key, "from": "conf:12a34b", "to": "33612345678", "request_id": "r 1"}
    first = await service.client.post(f"{CREATE}.json", data=asked)
    service.now += timedelta(hours=23)
    asked.pop("request_id")
    again = await service.client.post(
        f"{CREATE}.xml", json=asked, headers={"Idempotency-Key": "r 1"}
    )
    call_id = first.json()["response"]["call_info"]["call_id"]
    assert etree.fromstring(again.content).findtext("call_info/call_id") == call_id
    assert len(service.core.asked) == 1


async def test_a_request_id_for_something_else_is_refused(service: Service) -> None:
    await service.ask("call/createCall", **{"from": "1", "to": "2", "request_id": "r1"})
    answer = await service.client.get(f"{CREATE}.json?id={service.key}&from=1&to=3&request_id=r1")
    assert answer.status_code == 422
    status = await service.refused("conf/createConference", request_id="r1")
    assert (status["status_code"], status["field"]) == (422, "request_id")
    assert len(service.core.asked) == 1


async def test_a_request_id_is_the_accounts_own_and_lasts_a_day(service: Service) -> None:
    asked = {"from": "1", "to": "2", "request_id": "r1"}
    await service.ask("call/createCall", **asked)
    stranger = await service.accounts.create("Mallory", opening_millicredits=0, at=NOW)
    mine, service.key = service.key, await service.accounts.create_key(stranger.id, at=NOW)
    await service.ask("call/createCall", **asked)
    assert len(service.core.asked) == 2
    service.key = mine
    service.now += timedelta(hours=24)
    await service.ask("call/createCall", **asked)
    assert len(service.core.asked) == 3


async def test_a_refusal_is_repeated_but_not_when_nothing_was_tried(service: Service) -> None:
    asked = {"from": "1", "to": "2", "request_id": "r1"}
    service.core.error = Refused(Status.CREDIT_TOO_LOW, "no money")
    await service.ask("call/createCall", **asked)
    service.core.error = None
    assert (await service.refused("call/createCall", **asked))["status_code"] == 402
    service.core.error = Refused(Status.STOPPING, "stopping")
    asked["request_id"] = "r2"
    assert (await service.refused("call/createCall", **asked))["status_code"] == 503
    service.core.error = None
    body = await service.ask("call/createCall", **asked)
    assert body["status"]["status_code"] == 200


async def test_a_failure_is_not_tried_again(service: Service) -> None:
    asked = {"from": "1", "to": "2", "request_id": "r1"}
    service.core.error = RuntimeError("half done")
    assert (await service.refused("call/createCall", **asked))["status_code"] == 500
    service.core.error = None
    assert (await service.refused("call/createCall", **asked))["status_code"] == 500
    assert len(service.core.asked) == 1


async def test_a_request_under_way_is_not_done_twice(service: Service) -> None:
    asked = {"from": "1", "to": "2", "request_id": "r1"}
    inner: list[dict[str, Any]] = []
    create = service.core.create_call

    async def slow(account_id: str, **given: Any) -> str:
        inner.append(await service.refused("call/createCall", **asked))
        return await create(account_id, **given)

    service.core.create_call = slow  # type: ignore[method-assign]
    body = await service.ask("call/createCall", **asked)
    assert body["status"]["status_code"] == 200
    assert inner[0]["status_code"] == 409
    assert len(service.core.asked) == 1


@pytest.mark.parametrize("request_id", ["x" * (limits.REQUEST_ID_CHARS_MAX + 1), "é"])
async def test_unusable_request_ids_are_refused(service: Service, request_id: str) -> None:
    status = await service.refused("conf/createConference", request_id=request_id)
    assert status["field"] == "request_id"


async def test_two_request_ids_are_refused(service: Service) -> None:
    answer = await service.client.get(
        f"/conf/createConference.json?id={service.key}&request_id=a",
        headers={"Idempotency-Key": "b"},
    )
    assert "differ" in answer.text


# What is beside the API


async def test_health_tells_the_parts(service: Service) -> None:
    answer = await service.client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "state": "up",
        "node": "node-1",
        "parts": {
            "sip": {"state": "up", "detail": "5060"},
            "storage": {"state": "up", "detail": ""},
        },
    }
    service.health["sip"] = Health(False, "no socket")
    answer = await service.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["state"] == "down"


async def test_requests_are_counted_by_method_and_status(service: Service) -> None:
    await service.ask("account/getBalance")
    await service.client.get("/account/getBalance")
    await service.client.get("/nonsense/at-all")
    answer = await service.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    name = "voicemashup_api_requests_total"
    assert f'{name}{{method="account.getBalance",status="200"}} 1\n' in answer.text
    assert f'{name}{{method="account.getBalance",status="400"}} 1\n' in answer.text
    assert f'{name}{{method="unknown",status="404"}} 1\n' in answer.text
    assert 'voicemashup_api_request_seconds_count{method="account.getBalance"} 2' in answer.text


async def test_the_first_page_says_what_this_is(service: Service) -> None:
    answer = await service.client.get("/")
    assert "VoiceMashup" in answer.text
    assert "createConference" in answer.text
    assert "docs/api.md" in answer.text


async def test_replies_survive_being_kept(service: Service) -> None:
    asked = {"request_id": "r1", "duration": "30"}
    first = await service.ask("conf/createConference", **asked)
    assert json.dumps(await service.ask("conf/createConference", **asked)) == json.dumps(first)
