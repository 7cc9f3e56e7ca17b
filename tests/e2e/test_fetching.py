"""Scripts that fetch from a web server: what a caller hears, and what the server is asked."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from media.audiofile import wav_bytes
from tests.kit import tones
from tests.kit.phone import Call, Phone
from tests.kit.service_process import ServiceProcess
from tests.kit.web import Asked, Web, answer

NUMBER = "33199000003"
CALLERS = itertools.count(33612350001)
HEAD = '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service whose scripts may fetch from this machine."""
    folder = tmp_path_factory.mktemp("service")
    started = asyncio.run(ServiceProcess.start(folder, fetch={"allow_private": True}))
    try:
        yield started
    finally:
        asyncio.run(started.stop())


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web() as started:
        yield started


@pytest.fixture
async def phone() -> AsyncIterator[Phone]:
    """A phone elsewhere on the telephone network."""
    async with await Phone.start("33612345678") as started:
        yield started


async def dial(service: ServiceProcess, phone: Phone, form: str) -> Call:
    """Call a script of one form."""
    await service.give_script(f"{HEAD}<form>{form}</form></vxml>", NUMBER)
    call = await phone.dial(service.uri(NUMBER), caller=str(next(CALLERS)))
    await call.answered()
    return call


def page(form: str, *fields: str) -> bytes:
    return answer(f"{HEAD}<form>{form}</form></vxml>".encode(), *fields)


async def test_a_sound_is_heard_and_asked_for_once_while_it_is_fresh(
    service: ServiceProcess, phone: Phone, web: Web
) -> None:
    sound = wav_bytes(tones.tone(700.0, 2.0))
    web.pages["/tone.wav"] = answer(
        gzip.compress(sound), "Content-Encoding: gzip", "Cache-Control: max-age=60"
    )
    for _ in range(2):
        call = await dial(service, phone, f'<block><audio src="{web.url("/tone.wav")}"/></block>')
        await call.hears_tone(700)
        assert await call.ended() == "them"
    assert web.targets() == ["GET /tone.wav"]


async def test_each_call_has_its_own_cookies_on_its_way_through_documents(
    service: ServiceProcess, phone: Phone, web: Web
) -> None:
    """Sign in by a posted form, be redirected, and come back with the cookie."""
    signed_in = itertools.count(1)

    async def sign_in(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(
            answer(b"", f"Set-Cookie: sid={next(signed_in)}", "Location: /home", status="303 Go")
        )

    web.pages["/in"] = sign_in
    web.pages["/home"] = page('<block><goto next="next"/></block>')
    web.pages["/next"] = page("<block><log>there</log></block>")
    for _ in range(2):
        call = await dial(
            service,
            phone,
            f"""<var name="pin" expr="'1 2'"/>
            <block><submit next="{web.url("/in")}" method="post" namelist="pin"/></block>""",
        )
        assert await call.ended() == "them"
        assert await service.entries(call.caller, "log", "text") == ["there"]
    assert web.targets() == ["POST /in", "GET /home", "GET /next"] * 2
    assert [one.body for one in web.asked] == [b"pin=1+2", b"", b""] * 2
    assert [one.header.get("cookie") for one in web.asked] == [
        *(None, "sid=1", "sid=1"),
        *(None, "sid=2", "sid=2"),
    ]


async def test_what_goes_wrong_is_an_event_that_a_script_can_catch(
    service: ServiceProcess, phone: Phone, web: Web
) -> None:
    async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    web.pages |= {
        "/drip": drip,
        "/lies": answer(b"<vxml", length=9_000_000),
        "/gone": answer(status="410 Gone"),
    }
    steps = "".join(
        f'<catch event="error.badfetch" count="{number}">'
        '<log><value expr="_event"/>: <value expr="_message"/></log>'
        f'<goto next="{web.url(path)}" fetchtimeout="500ms"/></catch>'
        for number, path in enumerate(("/lies", "/gone"), 1)
    )
    call = await dial(
        service,
        phone,
        f"""<catch event="error.badfetch" count="3">
              <log><value expr="_event"/>: <value expr="_message"/></log><exit/></catch>
            {steps}
            <block><goto next="{web.url("/drip?pin=1234")}" fetchtimeout="500ms"/></block>""",
    )
    assert await call.ended() == "them"
    told = await service.entries(call.caller, "log", "text")
    assert told[0].startswith(f"error.badfetch: {web.url('/drip')}?…: no answer in 0.5 s")
    assert told[1].startswith("error.badfetch: ")
    assert "FETCH_BYTES_MAX" in told[1]
    assert told[2].startswith("error.badfetch.http.410: ")


async def test_what_was_recorded_is_sent_as_its_audio(
    service: ServiceProcess, phone: Phone, web: Web
) -> None:
    """VoiceXML 2.0 2.3.6: submit with multipart/form-data."""
    web.pages["/voicemail"] = page("<block><log>thanks</log>Thank you.</block>")
    call = await dial(
        service,
        phone,
        f"""<record name="message" beep="true" maxtime="10s" dtmfterm="true">
              <filled><submit next="{web.url("/voicemail")}" method="post"
                      enctype="multipart/form-data" namelist="message"/></filled>
            </record>""",
    )
    await call.hears_tone(1000, window_s=0.1)
    call.send_tone(500)
    await asyncio.sleep(1.5)  # what is recorded has to last
    call.send_silence()
    await call.press("#")
    assert await call.ended() == "them"
    assert await service.entries(call.caller, "log", "text") == ["thanks"]
    (asked,) = web.asked
    assert asked.header["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="message"; filename="recording.wav"' in asked.body
    assert b"Content-Type: audio/x-wav\r\n\r\nRIFF" in asked.body
    assert len(asked.body) > 16_000  # a second of 8,000 samples of 16 bits


async def test_private_addresses_are_refused_unless_configured(
    tmp_path_factory: pytest.TempPathFactory, phone: Phone, web: Web
) -> None:
    """A service as it comes: nothing of this machine is fetched, and the script is told why."""
    service = await ServiceProcess.start(tmp_path_factory.mktemp("closed"))
    try:
        web.pages["/a"] = page("<block/>")
        call = await dial(
            service,
            phone,
            f"""<catch event="error.badfetch"><log><value expr="_message"/></log><exit/></catch>
                <block><goto next="{web.url("/a")}"/></block>""",
        )
        assert await call.ended() == "them"
        (told,) = await service.entries(call.caller, "log", "text")
        assert "127.0.0.1 is at an address that is not public ([fetch] allow_private" in told
        assert web.asked == []
    finally:
        await service.stop()
