"""The configuration: defaults, file, environment, and what is wrong said clearly."""

from pathlib import Path

import pytest

from service import config
from service.config import BadConfiguration, Settings, load

DOCS = Path(__file__).parents[3] / "docs"


def written(folder: Path, text: str) -> Path:
    path = folder / "voicemashup.toml"
    path.write_text(text)
    return path


def refusal(path: Path | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(path, environ or {})
    return str(caught.value)


def test_nothing_given_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {"PATH": "/bin"}) == Settings()


def test_the_file_of_the_working_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "[sip]\nport = 5070\n")
    monkeypatch.chdir(tmp_path)
    assert load(None, {}).sip.port == 5070


def test_the_variable_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[trunk]\nhost = "sip.example"\naddresses = ["192.0.2.1"]\n')
    settings = load(None, {"VOICEMASHUP_CONFIG": str(path)})
    assert settings.trunk.host == "sip.example"
    assert settings.trunk.addresses == ("192.0.2.1",)


def test_the_environment_outranks_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[http]\nport = 9000\nhttp_200 = false\n")
    environ = {
        "VOICEMASHUP_HTTP_PORT": "9001",
        "VOICEMASHUP_HTTP_HTTP_200": "true",
        "VOICEMASHUP_TRUNK_HOST": "sip.example",
        "VOICEMASHUP_TRUNK_ADDRESSES": "192.0.2.1, 192.0.2.2",
    }
    settings = load(path, environ)
    assert settings.http.port == 9001
    assert settings.http.http_200 is True
    assert settings.trunk.addresses == ("192.0.2.1", "192.0.2.2")


def test_unknown_names_are_refused_with_line_and_the_closest(tmp_path: Path) -> None:
    path = written(tmp_path, "[sip]\nprot = 1\n\n[strage]\nurl = 'x'\n")
    message = refusal(path)
    assert f"{path}:2: unknown key sip.prot; did you mean port?" in message
    assert f"{path}:4: unknown section [strage]; did you mean storage?" in message


def test_an_unknown_variable_is_refused_with_the_closest(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, ""), {"VOICEMASHUP_SIP_PROT": "1"})
    assert "unknown variable VOICEMASHUP_SIP_PROT; did you mean VOICEMASHUP_SIP_PORT?" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sip]\nport = 70000", ":2: sip.port must be from 0 to 65535, not 70000"),
        ("[sip]\nport = true", ":2: sip.port must be a whole number, not True"),
        ('[sip]\nport = "5060"', "sip.port must be a whole number, not '5060'"),
        ('[sip]\nincoming = "trnk"', "one of any, trunk, not 'trnk'; did you mean trunk?"),
        ("[trunk]\naddresses = [1]", "trunk.addresses must be a list of texts"),
        ('[trunk]\naddresses = ["x y"]', "trunk.addresses must look like"),
        ('[node]\nid = "a b"', "node.id must look like"),
        ("sip = 1", ":1: [sip] is a section, not a value"),
        ("[sip\n", "line 1"),
        ("[rtp]\nport_min = 30000\nport_max = 29000", "rtp.port_max (29000) must be above"),
        ('[sip]\nincoming = "trunk"', "trunk.host is empty"),
        ("[trunk]\nregister = true", "needs trunk.host and trunk.username"),
    ],
)
def test_a_bad_value_is_said_with_what_would_be_right(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(written(tmp_path, text))


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "[sip]\nport = -1\n[http]\nport = -1\n"))
    assert "sip.port" in message
    assert "http.port" in message


def test_a_bad_variable_is_named() -> None:
    message = refusal(None, {"VOICEMASHUP_HTTP_PORT": "many"})
    assert "VOICEMASHUP_HTTP_PORT: http.port must be a whole number, not 'many'" in message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.toml")


def test_an_oversized_file_is_an_error(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "#" * (config.FILE_BYTES_MAX + 1)))
    assert str(config.FILE_BYTES_MAX) in message


def test_many_problems_are_cut(tmp_path: Path) -> None:
    text = "[sip]\n" + "".join(f"x{number} = 1\n" for number in range(30))
    assert "and 10 more" in refusal(written(tmp_path, text))


def test_secrets_are_neither_shown_nor_repeated(tmp_path: Path) -> None:
    settings = load(written(tmp_path, '[trunk]\npassword = "s3cret"\n'), {})
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in refusal(written(tmp_path, '[trunk]\npassword = ["s3cret"]\n'))


def test_every_default_is_a_value_that_could_be_written() -> None:
    for section, name, one, kind in config.every_key():
        assert config._complaint(one.default, one, kind) == "", f"{section}.{name}"
        assert one.metadata["doc"].endswith("."), f"{section}.{name}"


def test_the_page_holds_the_reference_of_every_key() -> None:
    page = (DOCS / "configuration.md").read_text()
    assert config.reference() in page, (
        "docs/configuration.md is behind: put in it what "
        "`python -c 'from service.config import reference; print(reference())'` prints"
    )
