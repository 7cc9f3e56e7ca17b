"""The phone's own reading and writing of SIP."""

import pytest

from tests.kit.sip_text import (
    NotSip,
    SipText,
    address_of,
    digest_answer,
    parameter_of,
    parse,
    tag_of,
    uri_of,
)


def test_a_message_survives_the_wire() -> None:
    sent = SipText(("INVITE", "sip:bob@127.0.0.1", "SIP/2.0"), body=b"v=0\r\n")
    sent.add("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2").add("CSeq", "1 INVITE")
    read = parse(sent.encode() + b"too much")
    assert read.first == sent.first
    assert read.body == b"v=0\r\n"
    assert read.all("via") == ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b;branch=2"]
    assert (read.status, read.method) == (0, "INVITE")


def test_compact_names_and_responses() -> None:
    read = parse(b"SIP/2.0 486 Busy Here\r\ni: abc\r\nCSeq: 7 INVITE\r\nl: 0\r\n\r\n")
    assert (read.status, read.method, read.get("Call-ID")) == (486, "INVITE", "abc")


@pytest.mark.parametrize("data", [b"", b"hello\r\n\r\n", b"INVITE sip:a SIP/2.0\r\n"])
def test_what_is_no_sip_is_refused(data: bytes) -> None:
    with pytest.raises(NotSip):
        parse(data)


def test_parts_of_headers() -> None:
    contact = '"A <b>" <sip:alice@10.0.0.1:5070;transport=tcp>;expires=60'
    assert uri_of('"Alice" <sip:alice@10.0.0.1:5070;transport=tcp>;expires=60').startswith(
        "sip:alice@10.0.0.1:5070"
    )
    assert parameter_of(contact, "expires") == "60"
    assert tag_of("<sip:a@b;tag=no>;tag=yes") == "yes"
    assert tag_of("<sip:a@b>") == ""
    assert address_of("sip:alice@10.0.0.1:5070;transport=tcp") == ("10.0.0.1", 5070)
    assert address_of("sip:10.0.0.1") == ("10.0.0.1", 5060)


def test_digest_answers_as_rfc_2069_and_its_erratum_compute_it() -> None:
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    answer = digest_answer(
        challenge, method="GET", uri="/dir/index.html", user="Mufasa", password="Circle Of Life"
    )
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in answer


def test_digest_with_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(NotSip, match="SHA-3"):
        digest_answer(
            'Digest realm="a", nonce="b", algorithm=SHA-3',
            method="A",
            uri="b",
            user="c",
            password="d",
        )
