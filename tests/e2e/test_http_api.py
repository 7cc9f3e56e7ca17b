"""The HTTP API as a user meets it: curl against the running service."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from tests.kit.phone import Phone
from tests.kit.service_process import ROOT, ServiceProcess

pytestmark = pytest.mark.peer("curl")


async def curl(*words: str) -> tuple[int, str]:
    """Return the HTTP status and body that curl got."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-w", "\n%{http_code}", *words, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    body, _, status = said.decode().rpartition("\n")
    return int(status), body


def status_of(xml: str) -> dict[str, str]:
    """Return the fields of /response/status."""
    root = etree.fromstring(xml.encode())
    return {str(one.tag): one.text or "" for one in root.find("status")}  # type: ignore[union-attr]


async def test_get_and_post_xml_and_json_say_the_same(service: ServiceProcess) -> None:
    path = f"{service.url}/account/getBalance"
    code, xml = await curl(f"{path}.xml?id={service.key}")
    assert code == 200
    root = etree.fromstring(xml.encode())
    assert root.findtext("status/status_code") == "200"
    code, text = await curl(f"{path}.json", "-d", f"id={service.key}")
    found: dict[str, Any] = json.loads(text)["response"]
    assert found["status"] == {"status_code": 200, "status_msg": "done"}
    available = found["balance_info"]["available_millicredits"]
    assert root.findtext("balance_info/available_millicredits") == str(available)
    code, text = await curl(f"{path}.json", "-H", f"Authorization: Bearer {service.key}")
    assert json.loads(text)["response"] == found


async def test_a_conference_is_created_and_shown(service: ServiceProcess) -> None:
    code, xml = await curl(
        f"{service.url}/conf/createConference.xml",
        *("-d", f"id={service.key}", "-d", "duration=30", "-d", "access=pin", "-d", "pin=4711"),
    )
    assert code == 200
    made = etree.fromstring(xml.encode()).find("conference_info")
    assert made is not None
    conf_id = made.findtext("conf_id") or ""
    assert re.fullmatch(r"[0-9a-f]{6}", conf_id)
    assert re.fullmatch(r"[0-9]{6,9}", made.findtext("access_code") or "")
    assert made.findtext("phone_number") == "33199000010"
    code, text = await curl(
        f"{service.url}/conf/getConference.json?id={service.key}&conf_id={conf_id}"
    )
    shown = json.loads(text)["response"]["conference_info"]
    assert (shown["state"], shown["access"], shown["participants"]) == ("on", "pin", [])
    assert "4711" not in text


@pytest.mark.parametrize(
    ("method", "words", "http", "status", "field"),
    [
        ("account/getBalance", "", 400, "400", "id"),
        ("account/getBalance", "id=a0000b00000", 401, "401", "id"),
        ("call/createCall", "id=KEY&to=33612345678", 400, "430", "from"),
        ("call/createCall", "id=KEY&from=nobody&to=33612345678", 400, "431", "from"),
        ("call/createCall", "id=KEY&from=sip:alice@voicemashup.local&to=12", 400, "433", "to"),
        ("conf/createConference", "id=KEY&duration=121", 400, "440", "duration"),
        ("conf/getConference", "id=KEY&conf_id=000000", 404, "404", "conf_id"),
        ("conf/addCaller", "id=KEY&conf_id=000000", 400, "430", "number"),
        ("script/uploadScript", "id=KEY&name=a&source=%3Cvxml", 400, "432", "source"),
        ("number/assignNumber", "id=KEY&number=33199000003&script=none", 404, "404", "script"),
        ("call/releaseCall", "id=KEY&call_id=0000000000000000", 404, "404", "call_id"),
    ],
)
async def test_what_is_wrong_is_told_with_status_field_and_hint(
    service: ServiceProcess, method: str, words: str, http: int, status: str, field: str
) -> None:
    words = words.replace("KEY", service.key)
    code, xml = await curl(f"{service.url}/{method}.xml", "-d", words)
    told = status_of(xml)
    assert (code, told["status_code"], told.get("field")) == (http, status, field)
    assert len(told["status_msg"]) > 10
    got, text = await curl(f"{service.url}/{method}.json?{words}")
    assert got == http
    assert json.loads(text)["response"]["status"]["status_msg"] == told["status_msg"]


async def test_a_script_with_an_error_is_refused_with_its_line(service: ServiceProcess) -> None:
    source = '<vxml version="2.1">\n<form>\n<blok/>\n</form></vxml>'
    code, text = await curl(
        f"{service.url}/script/checkScript.json",
        *("-d", f"id={service.key}", "--data-urlencode", f"source={source}"),
    )
    assert code == 200
    found = json.loads(text)["response"]["script_info"]
    assert found["usable"] is False
    assert found["problems"][0]["line"] == 3
    assert "blok" in found["problems"][0]["message"]


async def test_two_numbers_are_called_and_connected(service: ServiceProcess) -> None:
    async with await Phone.start("alice") as alice, await Phone.start("bob") as bob:
        for phone in (alice, bob):
            await phone.register(service.registrar, password=service.passwords[phone.name])
        code, text = await curl(
            f"{service.url}/call/createCall.json",
            *("-d", f"id={service.key}", "-d", "from=sip:alice@voicemashup.local"),
            *("-d", "to=33199000009"),  # rings the phone bob
        )
        assert code == 200
        call_id = json.loads(text)["response"]["call_info"]["call_id"]
        first, second = await alice.incoming(), await bob.incoming()
        await second.answered()
        first.send_tone(440)
        second.send_tone(700)
        await second.hears_tone(440)
        await first.hears_tone(700)
        await curl(f"{service.url}/call/releaseCall.xml?id={service.key}&call_id={call_id}")
        assert await first.ended(5.0) == "them"
        assert await second.ended(5.0) == "them"
        for _ in range(50):
            code, text = await curl(
                f"{service.url}/call/getCall.json?id={service.key}&call_id={call_id}"
            )
            shown = json.loads(text)["response"]["call_info"]
            if shown["state"] == "ended":
                break
            await asyncio.sleep(0.1)
        assert (shown["state"], shown["cause"]) == ("ended", "released")
        assert shown["timeline"][0]["kind"] == "created"


async def test_the_curl_lines_of_the_samples_work(service: ServiceProcess) -> None:
    async with await Phone.start("alice") as alice:
        await alice.register(service.registrar, password=service.passwords["alice"])
        script = await asyncio.create_subprocess_exec(
            str(ROOT / "samples" / "api.sh"),
            service.url,
            service.key,
            "sip:alice@voicemashup.local",
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"SECONDS_OF_CALL": "1"},
        )
        call = await alice.incoming()
        await call.answered()
        assert await call.ended() == "them"
        said, _ = await script.communicate()
        assert script.returncode == 0, said.decode()
        for word in ("conf_id", "script_id", "33612345678", "call_id", '"state": "up"'):
            assert word in said.decode()


async def test_keys_reach_no_log(service: ServiceProcess) -> None:
    await curl(f"{service.url}/account/getBalance.xml?id={service.key}")
    log = await asyncio.to_thread(Path.read_text, service.log_file)
    shown_once = 1 + log.count(f"id={service.key}")  # the welcome, and its curl lines
    assert log.count(service.key) == shown_once
    assert log.count(f"getBalance.xml?id={service.key}") == 1
