"""The command line: what each command prints and answers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from service import cli
from service.accounts import Accounts, server_secret
from service.config import load
from service.storage.database import Database

KEY = re.compile(r"\b[a-z][a-z0-9]{10}\b")
GOOD = """<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form><block><prompt>Hello.</prompt></block></form>
</vxml>
"""
FAULTY = """<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form>
    <block><macro name="trnsfer"/></block>
  </form>
</vxml>
"""


class Console:
    """Runs commands on a configuration of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "voicemashup.toml"
        self.config.write_text(f'[node]\ndata_folder = "{folder / "data"}"\n')
        self.capsys = capsys
        self.errors = ""

    def __call__(self, *words: str, status: int = 0) -> str:
        assert cli.main([*words, "--config", str(self.config)]) == status
        out, self.errors = self.capsys.readouterr()
        return out


@pytest.fixture
def console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Console:
    monkeypatch.chdir(tmp_path)
    return Console(tmp_path, capsys)


def test_an_account_is_made_with_its_key(console: Console, tmp_path: Path) -> None:
    said = console("account", "create", "Ada")
    found = KEY.search(said)
    assert found
    assert "200 credits" in said
    settings = load(console.config, {})
    database = Database.open(settings.database_url)
    accounts = Accounts(database, server_secret(settings.data_folder))
    import asyncio

    asyncio.run(accounts.refresh())
    assert accounts.account_of(found[0])
    database.close_now()
    assert "Ada" in console("account", "list")


def test_an_account_may_start_with_other_credits(console: Console) -> None:
    assert "12.5 credits" in console("account", "create", "Ada", "--credits", "12.5")
    assert "available  12.5 credits" in console("account", "balance", "Ada")
    console("account", "create", "Bob", "--credits", "-1", status=2)
    assert "-1" in console.errors
    console("account", "create", "Bob", "--credits", "x", status=2)
    assert "Bob" not in console("account", "list")


def test_a_name_that_is_taken_is_refused(console: Console) -> None:
    console("account", "create", "Ada")
    console("account", "create", "Ada", status=1)
    assert "there is an account 'Ada' already" in console.errors


def test_keys_are_made_and_revoked(console: Console) -> None:
    console("account", "create", "Ada")
    said = console("account", "key", "Ada")
    found = KEY.search(said)
    assert found
    console("account", "revoke", "Ada", found[0])
    shown = console("account", "balance", "Ada")
    assert f"{found[0][:3]}…" in shown
    assert shown.count("revoked") == 1
    console("account", "revoke", "Ada", found[0], status=1)
    console("account", "key", "Bob", status=1)
    assert "voicemashup account list" in console.errors


def test_phones_are_made_and_listed(console: Console) -> None:
    console("account", "create", "Ada")
    first = console("phone", "create", "alice", "--account", "Ada")
    second = console("phone", "password", "alice")
    passwords = [re.search(r"\b[a-z2-9]{16}\b", said) for said in (first, second)]
    assert passwords[0]
    assert passwords[1]
    assert passwords[0][0] != passwords[1][0]
    assert re.search(r"^alice +Ada$", console("phone", "list"), re.MULTILINE)
    console("phone", "password", "bob", status=1)


def test_numbers_are_assigned_and_listed(console: Console) -> None:
    console("account", "create", "Ada")
    console("phone", "create", "alice", "--account", "Ada")
    said = console("number", "assign", "01 99 00 00 01", "--account", "Ada", "--phone", "alice")
    assert said == "33199000001  phone alice\n"
    console("number", "assign", "33199000002", "--account", "Ada", "--dial-in")
    listed = console("number", "list").splitlines()
    assert [line.split() for line in listed] == [
        ["33199000001", "phone", "alice", "Ada"],
        ["33199000002", "dial-in", "Ada"],
    ]
    console("number", "assign", "33199000001", "--account", "Ada", "--script", "menu", status=1)
    assert "no script 'menu'" in console.errors
    console("number", "assign", "12", "--account", "Ada", "--dial-in", status=1)
    assert "33612345678" in console.errors


def test_a_bad_configuration_is_said(console: Console) -> None:
    console.config.write_text("[sip]\nprot = 1\n")
    console("account", "list", status=2)
    assert "did you mean port?" in console.errors
    console("serve", status=2)
    assert "did you mean port?" in console.errors


def test_a_database_that_cannot_be_opened_is_said(console: Console, tmp_path: Path) -> None:
    console.config.write_text(
        console.config.read_text() + '[storage]\nurl = "sqlite:////nowhere/at/all.db"\n'
    )
    console("account", "list", status=2)
    assert "/nowhere/at" in console.errors


def test_a_good_script_has_nothing_to_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "good.vxml"
    path.write_text(GOOD)
    assert cli.main(["check", str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_a_faulty_script_is_told_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, faulty = tmp_path / "good.vxml", tmp_path / "faulty.vxml"
    good.write_text(GOOD)
    faulty.write_text(FAULTY)
    assert cli.main(["check", str(faulty), str(good)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert re.match(rf"{re.escape(str(faulty))}:4:\d+: unknown-macro: .*transfer", line)


def test_an_unreadable_script_has_its_own_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(tmp_path / "none.vxml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


RUNS = """<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml">
  <form>
    <field name="key" type="digits?length=1"><prompt>Press a key.</prompt></field>
    <block>
      <prompt>You pressed <value expr="key"/>.</prompt>
      <if cond="key == '9'"><throw event="error.mine"/></if>
    </block>
  </form>
</vxml>
"""


def test_a_script_runs_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.vxml"
    path.write_text(RUNS)
    assert cli.main(["run", str(path), "--noinput", "--dtmf", "4"]) == 0
    said = capsys.readouterr().out
    assert said.index("Press a key.") < said.index("[silence]") < said.index("[you press 4]")
    assert "You pressed 4." in said
    assert cli.main(["run", str(path), "--hangup"]) == 0
    assert "[you hang up]" in capsys.readouterr().out


def test_a_script_that_fails_says_where_and_has_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.vxml"
    path.write_text(RUNS)
    assert cli.main(["run", str(path), "--dtmf", "9"]) == 1
    assert re.search(r"error\.mine at .*keys\.vxml:7", capsys.readouterr().out)
    assert cli.main(["run", str(tmp_path / "none.vxml"), "--hangup"]) == 2
    assert "No such file" in capsys.readouterr().out
    path.write_text("<vxml")
    assert cli.main(["run", str(path), "--hangup"]) == 2


def test_what_the_caller_does_is_kept_in_order() -> None:
    words = ["run", "a.vxml", "--dtmf", "12", "--noinput", "--dtmf", "#", "--hangup"]
    assert cli.parser().parse_args(words).turns == [
        ("dtmf", "12"),
        "noinput",
        ("dtmf", "#"),
        "hangup",
    ]


def test_keys_that_no_phone_has_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "a.vxml", "--dtmf", "1x"])
    assert "keys are 0-9, * and #" in capsys.readouterr().err


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from service import cli; cli.parser().format_help(); "
        "print(sorted({'numpy', 'numba', 'sqlalchemy', 'starlette', 'lxml', 'phonenumbers', "
        "'asyncio.windows'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
