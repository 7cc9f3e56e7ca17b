"""What the VoiceXML engine costs: a turn, a start, a waiting session, parsing, many turns.

    make bench-engine

No call and no sound: sessions are driven in this process, CPU time is what is measured. The
table goes to the screen, the figures to bench/out/engine.json.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

from lxml import etree

from bench.figures import Figure, at_most, report
from vxml_engine.cache import DocumentCache
from vxml_engine.collector import Collected
from vxml_engine.effects import Collect, Effect, Fetch, Fetched, Outcome, Play, Played
from vxml_engine.parser import load_document
from vxml_engine.session import Connection, Session, SessionResult

URL = "http://bench/start.vxml"
FORMS = 20
TURNS = 300
STARTS = 200
WAITING = 1000
PARSES = 30
SHORT_TURNS, LONG_TURNS = 200, 2000

Run = Generator[Effect, Outcome, SessionResult]


def document() -> bytes:
    """A document of some 200 lines as authors write them: forms, fields, events, conditions."""
    forms = "\n".join(
        f"""
<form id="f{n}">
  <var name="tries" expr="0"/>
  <field name="answer" type="digits?length=1">
    <prompt>Question {n}. Press a key, <value expr="who"/>.</prompt>
    <prompt count="2">Again: question {n}.</prompt>
    <noinput>I did not hear you. <reprompt/></noinput>
    <filled>
      <assign name="tries" expr="tries + 1"/><assign name="total" expr="total + tries"/>
    </filled>
  </field>
  <block><if cond="answer == '9'"><exit/><else/><goto next="#f{(n + 1) % FORMS}"/></if></block>
</form>"""
        for n in range(FORMS)
    )
    text = f"""<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
<property name="timeout" value="5s"/>
<var name="who" expr="'caller'"/>
<var name="total" expr="0"/>
<link event="help" dtmf="0"/>
{forms}
</vxml>
"""
    return text.encode()


def start(cache: DocumentCache) -> tuple[Run, Effect]:
    """A session that waits for its document."""
    session = Session(
        start_url=URL, connection=Connection("sip:a@bench", "sip:b@bench"), documents=cache
    )
    run = session.run()
    return run, run.send(None)


def until_input(run: Run, effect: Effect, body: bytes) -> Effect:
    """Answer fetches and prompts until the session waits for the caller."""
    while not isinstance(effect, Collect):
        match effect:
            case Fetch(url=url):
                effect = run.send(Fetched(url, 200, "", body))
            case Play():
                effect = run.send(Played())
            case _:
                raise TypeError(f"the document of the benchmark asks for {effect!r}")
    return effect


def key(effect: Effect) -> Collected:
    """The key ``1``, by the grammar of the field."""
    assert isinstance(effect, Collect)
    collector = effect.collector()
    collector.prompts_ended(0.0)
    collector.digit("1", 0.0)
    collector.run_out(0.0)
    assert collector.result is not None
    return collector.result


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1e6


def measure_turns(body: bytes, turns: int) -> list[float]:
    """Milliseconds of each turn, from the key to the next input's prompts."""
    cache = DocumentCache()
    run, effect = start(cache)
    effect = until_input(run, effect, body)
    spent: list[float] = []
    for _ in range(turns):
        collected = key(effect)
        before = time.process_time_ns()
        effect = until_input(run, run.send(collected), body)
        spent.append((time.process_time_ns() - before) / 1e6)
    run.close()
    return spent


def measure_starts(body: bytes) -> list[float]:
    """Milliseconds from a new session to its first input, the document being cached."""
    cache = DocumentCache()

    def begin() -> None:
        run, effect = start(cache)
        until_input(run, effect, body)
        run.close()

    begin()
    return [timed(begin) for _ in range(STARTS)]


def measure_waiting(body: bytes) -> float:
    """KiB of memory that a session waiting for its second input holds."""
    cache = DocumentCache()
    run, effect = start(cache)
    until_input(run, effect, body)
    waiting: list[Run] = [run]
    gc.collect()
    before = resident_kib()
    for _ in range(WAITING):
        run, effect = start(cache)
        effect = until_input(run, effect, body)
        until_input(run, run.send(key(effect)), body)
        waiting.append(run)
    gc.collect()
    after = resident_kib()
    for run in waiting:
        run.close()
    return (after - before) / WAITING


def resident_kib() -> float:
    """This process's resident memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.partition("VmRSS:")[2].split()[0])


def measure_parse(body: bytes) -> tuple[float, float]:
    """Milliseconds to parse and compile, and of lxml's own parse, in turn."""
    whole: list[float] = []
    bare: list[float] = []
    for _ in range(PARSES):
        whole.append(timed(lambda: load_document(body, URL)))
        bare.append(timed(lambda: [etree.fromstring(body) for _ in range(20)]) / 20)
    return statistics.median(whole), statistics.median(bare)


def main() -> int:
    """Measure everything, print and write it; returns 0 where every goal holds."""
    body = document()
    lines = body.count(b"\n")
    measure_turns(body, 50)
    turns = sorted(measure_turns(body, TURNS))
    starts = measure_starts(body)
    compiled_ms, parsed_ms = measure_parse(body)
    short = sum(measure_turns(body, SHORT_TURNS)) / SHORT_TURNS
    many = sum(measure_turns(body, LONG_TURNS)) / LONG_TURNS
    waiting_kib = measure_waiting(body)
    print(f"a document of {lines} lines, {len(body)} bytes")
    return report(
        "engine",
        [
            at_most("CPU of a dialog turn, median", statistics.median(turns), "ms", 1),
            Figure("CPU of a dialog turn, p99", turns[int(len(turns) * 0.99)], "ms"),
            at_most(
                "start of a session, document cached, median", statistics.median(starts), "ms", 3
            ),
            at_most("memory of a session waiting for input", waiting_kib, "KiB", 300),
            Figure("parse and compile", compiled_ms, "ms"),
            Figure("lxml's own parse", parsed_ms, "ms"),
            at_most("parse and compile / lxml's own parse", compiled_ms / parsed_ms, "times", 15),
            at_most(
                f"a turn of {LONG_TURNS} / a turn of {SHORT_TURNS}", many / short, "times", 1.2
            ),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
