"""RFC 4475: the parser, the agent and the stream framing against the 49 torture messages."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from telephony.errors import MessageError, StreamError
from telephony.messages import (
    Request,
    Response,
    StreamFramer,
    check_request,
    check_response,
    parse_message,
)
from telephony.transport import Flow
from telephony.uri import SipUri
from tests.unit.telephony.conftest import TORTURE, Torture, torture_messages

# The final status our agent answers a datagram with; None: it says nothing.
ANSWERS: dict[str, int | None] = {
    "wsinv": 481,  # its To has a tag, of no dialog of ours (RFC 3261 12.2.2)
    "intmeth": 501,
    "esc01": 200,
    "escnull": 401,
    "esc02": 501,
    "lwsdisp": 200,
    "longreq": 200,
    "dblreq": 401,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 405,
    "unreason": None,
    "noreason": None,
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": None,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "baddate": 200,
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": None,
    "badbranch": 200,
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": 400,
    "bext01": 420,
    "invut": 415,
    "regaut01": 401,
    "multi01": 400,
    "mcl01": 400,
    "bcast": None,
    "zeromf": 200,
    "cparam01": 401,
    "cparam02": 401,
    "regescrt": 401,
    "sdp01": 406,
    "inv2543": 200,
}


def checked(data: bytes) -> Request | Response:
    """The message, through the parser and the validation above it."""
    message = parse_message(data)
    if isinstance(message, Request):
        check_request(message)
    else:
        check_response(message)
    return message


def by_tag(tag: str) -> bytes:
    found = [m.data for m in torture_messages() if m.tag == tag]
    if not found:
        pytest.skip(f"no torture messages in the shared data ({TORTURE})")
    return found[0]


def test_all_49_messages_are_here_unchanged() -> None:
    if not torture_messages():
        pytest.skip(f"no torture messages in the shared data ({TORTURE})")
    index = json.loads((TORTURE / "index.json").read_text())["messages"]
    assert {m["tag"] for m in index} == set(ANSWERS)
    for entry in index:
        data = (TORTURE / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["tag"]
        # What the table above says is what the message's own description asks for.
        asked = set(map(int, re.findall(r"\b[45]\d\d\b", entry["expect"])))
        answer = ANSWERS[entry["tag"]]
        if entry["parse"] == "reject" and entry["kind"] == "request":
            assert answer in asked, entry["tag"]


def test_the_parser_takes_what_is_well_formed_and_raises_its_own_error(torture: Torture) -> None:
    body = torture.data.partition(b"\r\n\r\n")[2]
    if torture.parse == "accept":
        message = parse_message(torture.data)
        assert isinstance(message, Request if torture.kind == "request" else Response)
        assert bytes(message) == torture.data
        if torture.tag == "dblreq":
            assert message.body == b""
        else:
            assert message.body == body
        return
    refusal = None
    try:
        message = checked(torture.data)
    except MessageError as error:
        refusal = error
    if refusal is not None:
        assert 400 <= refusal.status <= 699
        assert refusal.reason
    else:
        assert torture.parse == "lenient"
        assert message.body == body


def test_the_agent_answers_each_and_goes_on(world: Any, torture: Torture, sdp: bytes) -> None:
    bob, carol = world.node("192.0.2.2"), world.node("192.0.2.3")
    source = Flow("udp", "198.51.100.7", 5070)
    bob.agent.receive_datagram(torture.data, source, world.now)
    bob.flush()
    world.run(1)
    answers = [s.message for s in world.sent if s.target.host == source.host]
    final = {m.status for m in answers if isinstance(m, Response) and m.status >= 200}
    wanted = ANSWERS[torture.tag]
    assert final == ({wanted} if wanted else set())
    if not wanted:
        assert not answers
    for answer in answers:
        assert isinstance(answer, Response)
        sent = parse_best(torture.data)
        for key in ("call-id", "cseq", "from"):
            assert len(answer.values(key)) == min(len(sent.values(key)), 1)
        assert len(answer.values("via")) >= 1
    if torture.tag == "bext01":
        assert answers[0].items("unsupported") == [
            "nothingSupportsThis",
            "nothingSupportsThisEither",
        ]
    if torture.tag == "invut":
        assert answers[0].value("accept") == "application/sdp"
    if wanted in (405, 501):
        assert "INVITE" in answers[0].items("allow")
    # The next ordinary call still works.
    leg = carol.call(bob)
    world.run(1)
    assert carol.story == ["answered"]
    leg.hangup()
    world.run(40)
    assert carol.story[-1] == "ended LOCAL_HANGUP"
    # The answered INVITEs of the torture had no ACK: they end by themselves.
    world.settle()
    assert bob.agent.quiet
    assert not bob.agent.metrics()["server_transactions"]


def parse_best(data: bytes) -> Request | Response:
    """What can be read of a message, malformed or not."""
    try:
        return parse_message(data)
    except MessageError as error:
        if error.message is None:
            raise
        return error.message  # type: ignore[return-value]  # a Message is one of the two


def cut_up(pieces: list[bytes]) -> tuple[list[bytes], tuple[int, str, bytes] | None]:
    """The messages a framer makes of the pieces, and how it gave up if it did."""
    framer, out = StreamFramer(), []
    try:
        for piece in pieces:
            framer.feed(piece)
            while (message := framer.next_message()) is not None:
                out.append(message)
    except StreamError as error:
        return out, (error.status, error.reason, error.head)
    return out, None


def test_a_cut_at_any_offset_changes_nothing(torture: Torture) -> None:
    data = torture.data
    whole = cut_up([data])
    if torture.tag == "dblreq":
        assert len(whole[0]) == 2  # what a datagram drops is the next message of a stream
    for at in range(len(data) + 1):
        assert cut_up([data[:at], data[at:]]) == whole, at
    assert cut_up([data[at : at + 1] for at in range(len(data))]) == whole


def test_an_agent_hears_the_same_from_a_stream_however_it_is_cut(
    make_world: Any, torture: Torture
) -> None:
    def heard(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        world = make_world(1)
        bob = world.node("192.0.2.2")
        flow = Flow("tcp", "198.51.100.7", 5070, 1)
        open_ = True
        for piece in pieces:
            open_ = open_ and bob.agent.receive_stream_data(piece, flow, world.now)
        bob.flush()
        world.run(1)
        return [s.data for s in world.sent if s.target.host == flow.host], open_

    data = torture.data
    whole = heard([data])
    step = 7
    assert heard([data[at : at + step] for at in range(0, len(data), step)]) == whole
    assert heard([data[at : at + 1] for at in range(len(data))]) == whole
    if torture.tag in ("ncl", "mcl01"):
        assert not whole[1]  # its end cannot be known: answered 400, then closed
        assert whole[0][0].startswith(b"SIP/2.0 400 ")


def test_what_the_valid_ones_mean() -> None:
    wsinv = checked(by_tag("wsinv"))
    assert isinstance(wsinv, Request)
    assert (wsinv.max_forwards, wsinv.cseq, wsinv.to.tag) == (68, (9, "INVITE"), "1918181833n")
    assert [via.transport for via in wsinv.vias] == ["UDP", "TCP", "UDP"]
    assert wsinv.from_.display_name == r"J Rosenberg \""
    esc01 = checked(by_tag("esc01"))
    assert isinstance(esc01, Request)
    assert isinstance(esc01.uri, SipUri)
    assert esc01.uri.username == "sips:user@example.com"
    assert esc01.uri.host == "example.net"
    semi = checked(by_tag("semiuri"))
    assert isinstance(semi, Request)
    assert isinstance(semi.uri, SipUri)
    assert (semi.uri.username, semi.uri.parameters) == ("user;par=u@example.net", ())
    lws = checked(by_tag("lwsdisp"))
    assert lws.from_.display_name == "caller"
    reason = checked(by_tag("unreason"))
    assert isinstance(reason, Response)
    assert reason.reason.startswith("= 2**3 * 5**2 но сто девяносто девять")


def test_the_parameter_belongs_to_the_contact_or_to_its_uri() -> None:
    for tag, of_contact in (("cparam01", True), ("cparam02", False)):
        (contact,) = checked(by_tag(tag)).contacts
        assert isinstance(contact.uri, SipUri)
        assert ("unknownparam" in contact.parameters) is of_contact
        assert (contact.uri.parameter("unknownparam") is not None) is not of_contact


def test_requests_with_an_empty_branch_are_never_taken_for_one(world: Any) -> None:
    data = by_tag("badbranch")
    bob = world.node("192.0.2.2")
    flow = Flow("udp", "192.0.2.1", 5060)
    other = data.replace(b"badbranch.sadonfo", b"another.call").replace(b"33242", b"44")
    for message in (data, other, data):
        bob.agent.receive_datagram(message, flow, world.now)
    bob.flush()
    ids = [s.message.call_id for s in world.sent]
    assert len(ids) == 3
    assert len(set(ids)) == 2
    assert bob.agent.metrics()["repeated_requests"] == 1


def test_messages_follow_each_other_in_a_stream() -> None:
    framed = [m.data for m in torture_messages() if cut_up([m.data]) == ([m.data], None)]
    if not torture_messages():
        pytest.skip(f"no torture messages in the shared data ({TORTURE})")
    assert len(framed) > 25
    stream = b"\r\n".join(framed)
    assert cut_up([stream]) == (framed, None)
    assert cut_up([stream[at : at + 911] for at in range(0, len(stream), 911)]) == (framed, None)
