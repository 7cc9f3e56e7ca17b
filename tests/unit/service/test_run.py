"""`voicemashup run`: what a caller does, what is written, and the exit status."""

import io
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from service import cli
from service.simulator import run_script


def script(folder: Path, inside: str) -> str:
    path = folder / "script.vxml"
    path.write_text(f'<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">\n{inside}\n</vxml>')
    return str(path)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


SPEECH = """<form><field name="who">
<grammar mode="voice" version="1.0" root="r" xml:lang="en-US" xmlns="http://www.w3.org/2001/06/grammar">
<rule id="r"><one-of><item>sales</item><item>support</item></one-of></rule></grammar>
<prompt>Who?</prompt><nomatch>Pardon?<reprompt/></nomatch></field>
<block><exit expr="who"/></block></form>"""


def test_what_is_said_is_recognized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", script(tmp_path, SPEECH), "--say", "cheese", "--say", "sales", "--json"]
    assert cli.main(words) == 0
    lines = told(capsys)
    assert [one["text"] for one in lines if one["event"] == "prompt"] == ["Who?", "Pardon?", "Who?"]
    assert lines[-1] == {"event": "exit", "at_s": 0.0, "reason": "exit", "value": "sales"}


def test_words_are_typed_as_speech_and_h_hangs_up(tmp_path: Path) -> None:
    output = io.StringIO()
    path = script(tmp_path, SPEECH)
    result = run_script(path, output=output, input=io.StringIO("cheese\n\nsay support\n"))
    assert (result.reason, result.value) == ("exit", "support")
    said = output.getvalue()
    assert said.index("[you say cheese]") < said.index("[silence]") < said.index("say support]")
    assert run_script(path, output=output, input=io.StringIO("h\n")).reason == "hangup"


TRANSFER = """<form><transfer name="t" dest="tel:+33199000009" bridge="true">
<catch event="error.connection"><exit expr="_event"/></catch></transfer>
<block><exit expr="t + ' ' + t$.duration"/></block></form>"""


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("busy", "busy 0"),
        ("near_end_disconnect:12.5", "near_end_disconnect 12.5"),
        ("error.connection.noroute", "error.connection.noroute"),
    ],
)
def test_a_transfer_ends_as_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, value: str
) -> None:
    words = ["run", script(tmp_path, TRANSFER), "--transfer-result", given, "--json", "--hangup"]
    assert cli.main(words) == 0
    assert told(capsys)[-1]["value"] == value


def test_the_callers_recording_has_its_duration_and_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "left.wav"
    with wave.open(str(sound), "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(8000)
        opened.writeframes(bytes(2 * 8000 * 5))
    path = script(
        tmp_path,
        '<form><record name="r" maxtime="60s" dtmfterm="true"/>'
        "<block><exit expr=\"r$.duration + ' ' + r$.size + ' ' + r$.termchar\"/></block></form>",
    )
    assert cli.main(["run", path, "--record", str(sound), "--dtmf", "#", "--json"]) == 0
    assert told(capsys)[-1]["value"] == f"5000 {sound.stat().st_size} #"
    sound.write_bytes(b"RIFF")
    assert cli.main(["run", path, "--record", str(sound), "--dtmf", "#"]) == 2
    assert "left.wav: is not a WAV file" in capsys.readouterr().err


def test_variables_of_the_session_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script(tmp_path, '<form><block><exit expr="session.order"/></block></form>')
    assert cli.main(["run", path, "--session", "order=4=2", "--json", "--hangup"]) == 0
    assert told(capsys)[-1]["value"] == "4=2"


@pytest.mark.parametrize(
    "words",
    [["--transfer-result", "bsy"], ["--transfer-result", "busy:x"], ["--session", "order"]],
)
def test_an_option_that_means_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli.main(["run", script(tmp_path, TRANSFER), *words]) == 2
    assert words[1].removeprefix("busy:") in capsys.readouterr().err


def test_the_last_object_tells_an_error_and_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script(tmp_path, '<form>\n<block>\n<throw event="error.mine"/>\n</block></form>')
    assert cli.main(["run", path, "--hangup", "--json"]) == 1
    error = told(capsys)[-1]["error"]
    assert (error["event"], error["line"]) == ("error.mine", 4)
    assert error["file"] == Path(path).as_uri()


def test_time_passes_in_silence_but_nobody_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = script(
        tmp_path,
        '<form><field name="f" type="digits"><property name="timeout" value="50s"/>'
        "<noinput><exit/></noinput></field></form>",
    )
    assert cli.main(["run", path, "--noinput", "--json"]) == 0
    assert told(capsys)[-1]["at_s"] == 50.0
