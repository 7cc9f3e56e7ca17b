"""The fixture ``vxml``, as somebody who tests a script meets it."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from vxml_engine.testing import plugin
from vxml_engine.testing.conversation import Conversation
from vxml_engine.testing.plugin import vxml, vxml_prepare  # noqa: F401 - fixtures, before a reinstall

Caller = Callable[..., Conversation]
ROOT = Path(__file__).resolve().parents[3]

MENU = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
<form>
  <field name="f" type="digits">
    <prompt>Welcome. Type a number.</prompt>
    <noinput>Nobody there? <reprompt/></noinput>
    <filled>
      <prompt>You typed <value expr="f"/>.</prompt>
    </filled>
  </field>
  <record name="r"><prompt>Speak now.</prompt></record>
  <transfer name="t" dest="tel:+331" bridge="true"/>
  <block>
    <submit next="done.vxml" namelist="f t"/>
  </block>
</form>
</vxml>"""
DONE = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
<form><block>Thank you.<exit expr="'done'"/></block></form></vxml>"""


@pytest.fixture
def call(vxml: Caller) -> Conversation:  # noqa: F811 - the fixture
    return vxml(
        "http://a.test/menu.vxml", pages={"http://a.test/menu.vxml": MENU, "done.vxml": DONE}
    )


def test_a_conversation_from_the_first_prompt_to_the_value_of_exit(call: Conversation) -> None:
    call.hears("Welcome")
    call.stays_silent()
    call.hears("Nobody there?")
    call.hears("Type a number.")
    call.presses("12")
    call.hears("You typed 12.")
    call.hears("Speak now.")
    call.records(seconds=2)
    call.is_transferred_to("tel:+331", result="busy")
    call.hears("Thank you.")
    call.sends("done.vxml", f=12, t="busy")
    call.ends("exit", value="done")


def test_a_caller_who_hangs_up(call: Conversation) -> None:
    call.hangs_up()
    call.ends("hangup")


def test_a_failure_shows_the_conversation_with_the_lines_of_the_script(call: Conversation) -> None:
    call.presses("7")
    with pytest.raises(AssertionError) as failed:
        call.hears("Goodbye")
    lines = [line.split(maxsplit=1) for line in str(failed.value).splitlines() if line]
    assert lines[0] == ["the", "caller hears 'Goodbye', but did not"]
    assert lines[2:] == [
        ["fetches", "get http://a.test/menu.vxml: 200"],
        ["menu.vxml:2", "says: Welcome. Type a number."],
        ["menu.vxml:2", "> caller presses 7"],
        ["menu.vxml:4", "says: You typed 7."],
        ["menu.vxml:4", "says: Speak now."],
        ["menu.vxml:4", "records"],
    ]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda call: call.records(), "the script records nothing now"),
        (lambda call: call.is_transferred_to("tel:+331"), "the script waits for the caller"),
        (lambda call: call.ends(), "the script waits for the caller"),
        (lambda call: call.sends("done.vxml", f=1), "never asked there"),
        (lambda call: (call.hangs_up(), call.presses("1")), "the call is over"),
        (lambda call: (call.hangs_up(), call.ends("exit")), "it ended with 'hangup'"),
        (lambda call: (call.hears("Welcome"), call.hears("Welcome")), "but did not"),
        (
            lambda call: (call.presses("1"), call.records(), call.is_transferred_to("tel:+332")),
            "it went to tel:\\+331",
        ),
    ],
)
def test_a_step_that_does_not_fit(
    call: Conversation, step: Callable[[Conversation], object], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        step(call)


def test_what_the_caller_heard_before_a_turn_is_not_heard_after_it(call: Conversation) -> None:
    call.presses("1")
    with pytest.raises(AssertionError):
        call.hears("Welcome")


def test_other_values_sent_or_returned_than_expected(call: Conversation) -> None:
    call.presses("1")
    call.records()
    call.is_transferred_to("tel:+331", result="noanswer")
    with pytest.raises(AssertionError, match="noanswer"):
        call.sends("done.vxml", t="busy")
    with pytest.raises(AssertionError, match="the value 'x', but it was 'done'"):
        call.ends(value="x")


def test_keys_and_results_that_do_not_exist(call: Conversation) -> None:
    with pytest.raises(ValueError, match="keys are some of"):
        call.presses("1x")
    with pytest.raises(ValueError, match="noanswer"):
        call.is_transferred_to("tel:+331", result="no_answer")


def test_a_script_that_cannot_be_used_fails_at_once(vxml: Caller) -> None:  # noqa: F811
    with pytest.raises(AssertionError, match="cannot be used"):
        vxml("nowhere.vxml")


def test_words_and_their_confidence(vxml: Caller) -> None:  # noqa: F811 - the fixture
    said = """<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form>
    <field name="f"><option>sales</option>
      <filled><exit expr="[f, f$.confidence]"/></filled></field></form></vxml>"""
    call = vxml("http://a.test/", pages={"http://a.test/": said})
    call.says("sales", confidence=0.75)
    call.ends("exit", value=["sales", 0.75])


def test_the_plug_in_is_registered_with_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"voicemashup": plugin.__name__}


TEST = """
import pytest

@pytest.fixture
def vxml_prepare():
    def prepare(root):
        root[0][0].text = "Prepared."
    return prepare

def test_a(vxml):
    vxml("a.vxml").hears("Prepared.")
    vxml("a.vxml", prepare=None).hears("Plain.")

def test_b(vxml):
    vxml("a.vxml").hears("Plain.")
"""


def test_a_file_beside_the_test_and_a_conftest_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.vxml").write_text(
        '<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">'
        "<form><block>Plain.</block></form></vxml>"
    )
    (tmp_path / "test_a.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(
        "from vxml_engine.testing.plugin import vxml, vxml_prepare\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "1 failed, 1 passed" in done.stdout
    assert "the caller hears 'Plain.', but did not" in done.stdout
    assert "says: Prepared." in done.stdout
