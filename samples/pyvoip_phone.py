#!/usr/bin/env python3
"""A telephone in a few lines, with pyVoIP: dials, sends a tone, tells what it heard.

    python3 -m pip install pyVoIP        (Python up to 3.12)
    python3 samples/pyvoip_phone.py 33199000001 --user alice --password SECRET

pyVoIP's sound is 8 bits, unsigned, 8,000 samples a second: 128 is silence.
"""

import argparse
import math
import socket
import sys
import time

from pyVoIP.VoIP import CallState, VoIPPhone

FRAME = 160  # samples: 20 ms
SILENCE = 128
LOUD = 6  # from silence: less is noise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", help="what to dial")
    parser.add_argument("--server", default="127.0.0.1", help="the service's IP address")
    parser.add_argument("--port", type=int, default=5060, help="its SIP port")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to stay")
    parser.add_argument("--tone", type=float, default=440.0, help="what to send, in Hz")
    given = parser.parse_args()

    phone = VoIPPhone(
        given.server,
        given.port,
        given.user,
        given.password,
        myIP="127.0.0.1" if given.server == "127.0.0.1" else own_address(given.server),
        sipPort=free_port(),
        rtpPortLow=40_000,
        rtpPortHigh=40_999,
    )
    phone.start()
    try:
        return talk(phone, given.number, given.seconds, given.tone)
    finally:
        phone.stop()


def talk(phone: VoIPPhone, number: str, seconds: float, hz: float) -> int:
    """Call `number`, stay for `seconds` or until it hangs up; 0 where anything was heard."""
    call = phone.call(number)
    patience = time.monotonic() + 20
    while call.state == CallState.DIALING and time.monotonic() < patience:
        time.sleep(0.05)
    if call.state != CallState.ANSWERED:
        print(f"{number} did not answer", flush=True)
        return 1
    print(f"{number} answered", flush=True)
    begun, sent, loud = time.monotonic(), 0, 0
    while call.state == CallState.ANSWERED and time.monotonic() - begun < seconds:
        call.write_audio(bytes(wave(hz, n) for n in range(sent, sent + FRAME)))
        sent += FRAME
        heard = call.read_audio(FRAME, blocking=False)
        loud += max(abs(value - SILENCE) for value in heard) > LOUD
        time.sleep(max(0.0, begun + sent / 8000 - time.monotonic()))
    print(f"heard {loud * FRAME / 8000:.1f} s of sound", flush=True)
    if call.state == CallState.ANSWERED:
        call.hangup()
        print("hung up", flush=True)
    else:
        print("the other side hung up", flush=True)
    return 0 if loud else 1


def wave(hz: float, sample: int) -> int:
    return SILENCE + round(40 * math.sin(2 * math.pi * hz * sample / 8000))


def own_address(server: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((server, 9))
        return str(probe.getsockname()[0])


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
