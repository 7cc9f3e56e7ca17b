"""The least that can answer a call: the product's parser, a socket, and nothing else.

Answers an INVITE with 180 and 200, and says BYE when the call has lasted a given time, as a
script does. No transactions, no audio, no storage: what it costs is the floor under the
service's cost for the same messages.

    python -m bench.call_peers.bare_responder PORT CALL_SECONDS
"""

import asyncio
import secrets
import signal
import socket
import sys
from typing import cast

import uvloop

from telephony.errors import TelephonyError
from telephony.messages import Request, check_request, parse_message, render_response

RECEIVE_BUFFER_BYTES = 4 << 20
Address = tuple[str, int]


class BareResponder(asyncio.DatagramProtocol):
    """Answers what comes to its port."""

    def __init__(self, port: int, call_s: float) -> None:
        self.call_s = call_s
        self.contact = f"<sip:127.0.0.1:{port}>"
        self.session = (
            b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            b"m=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=inactive\r\n"
        )
        self.waiting: dict[str, str] = {}  # calls not acknowledged yet: Call-ID to our tag

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            message = parse_message(data)
            if not isinstance(message, Request):
                return
            check_request(message)
        except TelephonyError:
            return
        if message.method == "INVITE":
            tag = self.waiting.setdefault(message.call_id, secrets.token_hex(4))
            self.transport.sendto(render_response(message, 180, to_tag=tag), addr)
            fields = [("Contact", self.contact), ("Content-Type", "application/sdp")]
            answer = render_response(message, 200, to_tag=tag, fields=fields, body=self.session)
            self.transport.sendto(answer, addr)
        elif message.method == "ACK":
            if self.waiting.pop(message.call_id, None) is not None:
                loop = asyncio.get_running_loop()
                loop.call_later(self.call_s, self.hang_up, message, addr)
        else:
            self.transport.sendto(render_response(message, 200), addr)

    def hang_up(self, ack: Request, addr: Address) -> None:
        """Say BYE in the dialog of an ACK."""
        bye = (
            f"BYE sip:{addr[0]}:{addr[1]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{secrets.token_hex(8)};rport\r\n"
            f"From: {ack.value('to')}\r\nTo: {ack.value('from')}\r\n"
            f"Call-ID: {ack.call_id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        self.transport.sendto(bye.encode(), addr)


async def main(port: int, call_s: float) -> None:
    """Answer on `port` until SIGTERM."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    ear.bind(("127.0.0.1", port))
    ear.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: BareResponder(port, call_s), sock=ear)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready", flush=True)
    await stopped.wait()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
