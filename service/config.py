"""The configuration: one TOML file, the environment on top of it, nothing unknown.

Each section is a frozen dataclass; each of its fields carries its own documentation,
range and choices as data, from which values are checked and the reference in
`docs/configuration.md` is written. `load` is the one way to get `Settings`.
"""

import difflib
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

PREFIX = "VOICEMASHUP_"
FILE_VARIABLE = PREFIX + "CONFIG"
DEFAULT_FILE = Path("voicemashup.toml")
FILE_BYTES_MAX = 256 * 1024
PROBLEMS_SHOWN_MAX = 20

type_names: dict[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
}


class BadConfiguration(Exception):
    """The configuration can't be used; the message lists every problem and where it is."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:PROBLEMS_SHOWN_MAX]
        if len(problems) > len(shown):
            shown.append(f"and {len(problems) - len(shown)} more")
        super().__init__("\n".join(shown))
        self.problems = problems


def key(
    default: Any,
    doc: str,
    *,
    least: int | None = None,
    most: int | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    secret: bool = False,
) -> Any:
    """One key of a section: its default, what it does, and what its value may be."""
    metadata = {
        "doc": doc,
        "least": least,
        "most": most,
        "choices": choices,
        "pattern": pattern,
        "secret": secret,
    }
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class NodeSettings:
    """This running service, and where it keeps its data."""

    id: str = key(
        "node-1",
        "The name of this node. Live rows in the database carry it, so it must stay the same "
        "from one start to the next.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    )
    data_folder: str = key(
        "data",
        "The folder for the database, the prompt cache and the server's secret. It is made at "
        "the first start. A relative path starts from the working folder.",
        pattern=r".+",
    )


@dataclass(frozen=True)
class SipSettings:
    """SIP: where phones and the carrier reach us."""

    host: str = key("0.0.0.0", "The address that SIP listens on, UDP and TCP.", pattern=r"\S+")  # noqa: S104 - phones are on other machines
    port: int = key(5060, "The SIP port; 0 takes any free one.", least=0, most=65535)
    ports_to_try: int = key(
        20, "How many ports are tried, upwards from `port`, where it is taken.", least=1, most=1000
    )
    advertised_host: str = key(
        "",
        "The address or host name that SIP and SDP name as ours, where a router translates "
        "addresses. Empty: the local address towards each peer.",
        pattern=r"\S*",
    )
    domain: str = key(
        "voicemashup.local",
        "The SIP domain and digest realm of our phones. Passwords are stored hashed with it: "
        "when it changes, every phone needs a new password.",
        pattern=r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?",
    )
    incoming: str = key(
        "any",
        "Who may call our numbers without being a registered phone: `any` peer, or only the "
        "`trunk`.",
        choices=("any", "trunk"),
    )
    calls_max: int = key(
        2000, "The most calls at once; more are answered 503.", least=1, most=100_000
    )


@dataclass(frozen=True)
class TrunkSettings:
    """The carrier link for calls to and from the telephone network."""

    host: str = key("", "The carrier's SIP server. Empty: there is no trunk.", pattern=r"\S*")
    port: int = key(5060, "The carrier's SIP port.", least=1, most=65535)
    transport: str = key("udp", "The transport towards the carrier.", choices=("udp", "tcp"))
    username: str = key("", "The user name for the carrier's digest.")
    password: str = key("", "The password for the carrier's digest.", secret=True)
    register: bool = key(False, "Register with the carrier, so that it finds us.")
    addresses: tuple[str, ...] = key(
        (),
        "The IP addresses that the carrier's calls come from. Empty: those that `host` resolves "
        "to.",
        pattern=r"[0-9A-Fa-f.:]+",
    )
    caller: str = key(
        "",
        "The number shown to those we call over the trunk, as digits (`33XXXXXXXXX`). Empty: "
        "the user name.",
        pattern=r"([0-9]{3,15})?",
    )


@dataclass(frozen=True)
class RtpSettings:
    """RTP: the audio of calls."""

    host: str = key("0.0.0.0", "The address that RTP listens on.", pattern=r"\S+")  # noqa: S104 - phones are on other machines
    port_min: int = key(
        20000, "The first UDP port for audio; each leg takes two.", least=1024, most=65534
    )
    port_max: int = key(39999, "The last UDP port for audio.", least=1025, most=65535)
    inactivity_s: int = key(
        60, "Seconds without any audio after which a leg is hung up.", least=5, most=3600
    )


@dataclass(frozen=True)
class HttpSettings:
    """The HTTP API."""

    host: str = key("127.0.0.1", "The address that HTTP listens on.", pattern=r"\S+")
    port: int = key(8080, "The HTTP port; 0 takes any free one.", least=0, most=65535)
    ports_to_try: int = key(
        20, "How many ports are tried, upwards from `port`, where it is taken.", least=1, most=1000
    )
    http_200: bool = key(
        False,
        "Answer every API request with HTTP 200, whatever its `status_code`, for clients that "
        "read only the body.",
    )
    public_url: str = key(
        "",
        "The URL under which clients reach the API, used in what we print and answer. Empty: "
        "made of `host` and the port.",
        pattern=r"(https?://\S+)?",
    )


@dataclass(frozen=True)
class StorageSettings:
    """The database."""

    url: str = key(
        "",
        "The database, as `sqlite:////path/of/file.db`. Empty: `voicemashup.sqlite` in the data "
        "folder.",
        pattern=r"(sqlite:///.+)?",
    )


@dataclass(frozen=True)
class SpeechSettings:
    """Speech synthesis."""

    language: str = key(
        "en",
        "The language of prompts in scripts that do not say (`xml:lang`).",
        pattern=r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*",
    )
    processes: int = key(1, "How many synthesis processes run.", least=1, most=64)
    cache_mib: int = key(
        256, "The most MiB of synthesised prompts kept on disk.", least=1, most=1_048_576
    )


@dataclass(frozen=True)
class BillingSettings:
    """What calls cost and earn."""

    tariff: str = key(
        "", "The tariff table, a CSV file of prefixes. Empty: the one that comes with the service."
    )
    opening_credits: int = key(
        200, "The credits that a new account starts with.", least=0, most=1_000_000
    )
    conference_credits_per_minute: int = key(
        8,
        "Credits a minute that a conference's call to a guest costs, on top of the tariff.",
        least=0,
        most=10_000,
    )
    earning_credits_per_minute: int = key(
        2,
        "Credits a minute that an account earns for each participant who dials in.",
        least=0,
        most=10_000,
    )


@dataclass(frozen=True)
class FetchSettings:
    """Documents, audio and data that scripts fetch over HTTP."""

    allow_private: bool = key(
        False,
        "Let scripts fetch from private, loopback and link-local addresses. Only where all "
        "who upload scripts may reach that network.",
    )
    timeout_s: int = key(
        10,
        "Seconds that fetching a sound may take. All else has the script's `fetchtimeout`, which "
        "is 10 s where the script does not set it.",
        least=1,
        most=120,
    )
    cache_mib: int = key(
        64,
        "The most MiB of answers kept in memory for all calls, as long as their servers permit "
        "([how](fetching.md)). 0: none.",
        least=0,
        most=65_536,
    )
    ca_file: str = key(
        "",
        "A file of certificates (PEM) of authorities to trust besides the public ones, for "
        "servers of your own.",
    )


@dataclass(frozen=True)
class LogSettings:
    """The log, on standard error."""

    level: str = key(
        "info", "The least severe records written.", choices=("debug", "info", "warning", "error")
    )
    format: str = key(
        "text", "`text` for people, `json` for one JSON object a line.", choices=("text", "json")
    )


@dataclass(frozen=True)
class Settings:
    """All sections, as they hold for this run."""

    node: NodeSettings = NodeSettings()
    sip: SipSettings = SipSettings()
    trunk: TrunkSettings = TrunkSettings()
    rtp: RtpSettings = RtpSettings()
    http: HttpSettings = HttpSettings()
    storage: StorageSettings = StorageSettings()
    speech: SpeechSettings = SpeechSettings()
    billing: BillingSettings = BillingSettings()
    fetch: FetchSettings = FetchSettings()
    log: LogSettings = LogSettings()

    @property
    def data_folder(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.node.data_folder).expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The database's URL: the configured one, or the one in the data folder."""
        return self.storage.url or f"sqlite:///{self.data_folder / 'voicemashup.sqlite'}"


@cache
def sections() -> dict[str, type[Any]]:
    """The sections by name, in the order of the reference."""
    return {one.name: type(one.default) for one in fields(Settings)}


@cache
def keys(section: str) -> dict[str, tuple[Field[Any], object]]:
    """The keys of a section: name to field and type."""
    kind = sections()[section]
    hints = typing.get_type_hints(kind)
    return {one.name: (one, hints[one.name]) for one in fields(kind)}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of the file at `path` with `environ` on top of it.

    Without `path`, VOICEMASHUP_CONFIG names the file; without that,
    `voicemashup.toml` is read where it is present. Raises `BadConfiguration`
    with every problem found.
    """
    problems: list[str] = []
    chosen = path or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if chosen is None and DEFAULT_FILE.is_file():
        chosen = DEFAULT_FILE
    values: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    if chosen is not None:
        _take_file(chosen, values, problems)
    _take_environment(environ, values, problems)
    if not problems:
        settings = Settings(**{name: kind(**values[name]) for name, kind in sections().items()})
        problems.extend(_contradictions(settings))
    if problems:
        raise BadConfiguration(problems)
    return settings


def _take_file(path: Path, values: dict[str, dict[str, Any]], problems: list[str]) -> None:
    try:
        with path.open("rb") as opened:
            body = opened.read(FILE_BYTES_MAX + 1)
        if len(body) > FILE_BYTES_MAX:
            raise BadConfiguration([f"{path}: larger than {FILE_BYTES_MAX} bytes"])
        text = body.decode()
        document = tomllib.loads(text)
    except OSError as error:
        raise BadConfiguration([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadConfiguration([f"{path}: is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration([f"{path}: {error}"]) from None
    lines = _lines_of_keys(text)
    for section, table in document.items():
        where = _where(path, lines.get((section, "")) or lines.get(("", section)))
        if section not in sections():
            problems.append(f"{where}: unknown section [{section}]{_closest(section, sections())}")
        elif not isinstance(table, dict):
            problems.append(f"{where}: [{section}] is a section, not a value")
        else:
            for name, value in table.items():
                where = _where(path, lines.get((section, name)))
                _take(section, name, value, where, values, problems)


def _take(
    section: str,
    name: str,
    value: Any,
    where: str,
    values: dict[str, dict[str, Any]],
    problems: list[str],
) -> None:
    known = keys(section)
    if name not in known:
        problems.append(f"{where}: unknown key {section}.{name}{_closest(name, known)}")
        return
    one, kind = known[name]
    if kind == tuple[str, ...] and isinstance(value, list):
        value = tuple(value)
    complaint = _complaint(value, one, kind)
    if complaint:
        problems.append(f"{where}: {section}.{name} {complaint}")
    else:
        values[section][name] = value


def _take_environment(
    environ: Mapping[str, str], values: dict[str, dict[str, Any]], problems: list[str]
) -> None:
    known = {variable(section, name): (section, name) for section, name, *_ in every_key()}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE:
            continue
        if name not in known:
            closest = _closest(name, [*known, FILE_VARIABLE])
            problems.append(f"environment: unknown variable {name}{closest}")
            continue
        section, field_name = known[name]
        value = _from_text(text, keys(section)[field_name][1])
        _take(section, field_name, value, f"environment: {name}", values, problems)


def _from_text(text: str, kind: object) -> Any:
    """The value that an environment variable's text stands for; the text where it is none."""
    if kind is int and re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        return int(text)
    if kind is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _complaint(value: Any, one: Field[Any], kind: object) -> str:
    """What is wrong with a value, or nothing."""
    shown = "" if one.metadata["secret"] else f", not {value!r}"
    plain = kind if isinstance(kind, type) else tuple
    if plain is tuple:
        if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
            return f"must be {type_names[kind]}{shown}"
        parts = value
    elif type(value) is not plain:  # true is no number here, though Python's bool is an int
        return f"must be {type_names[kind]}{shown}"
    else:
        parts = (value,)
    least, most = one.metadata["least"], one.metadata["most"]
    if least is not None and not least <= value <= most:
        return f"must be from {least} to {most}{shown}"
    choices = one.metadata["choices"]
    if choices and value not in choices:
        return f"must be one of {', '.join(choices)}{shown}{_closest(value, choices)}"
    pattern = one.metadata["pattern"]
    if pattern and not all(re.fullmatch(pattern, part) for part in parts):
        return f"must look like {pattern}{shown}"
    return ""


def _contradictions(settings: Settings) -> Iterator[str]:
    """Values that are fine alone and wrong together."""
    rtp, trunk = settings.rtp, settings.trunk
    if rtp.port_max <= rtp.port_min:
        yield f"rtp.port_max ({rtp.port_max}) must be above rtp.port_min ({rtp.port_min})"
    if settings.sip.incoming == "trunk" and not trunk.host:
        yield 'sip.incoming is "trunk", but trunk.host is empty: nobody could call'
    if trunk.register and not (trunk.host and trunk.username):
        yield "trunk.register needs trunk.host and trunk.username"
    if trunk.addresses and not trunk.host:
        yield "trunk.addresses are given, but trunk.host is empty"


def _closest(name: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"


def _where(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)


def _lines_of_keys(text: str) -> dict[tuple[str, str], int]:
    """Line numbers of `[section]` as (section, "") and of `key =` as (section, key)."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([\w-]+)", line):
            section = header[1]
            found.setdefault((section, ""), number)
        elif assignment := re.match(r"\s*([\w-]+)\s*[=.]", line):
            found.setdefault((section, assignment[1]), number)
    return found


def variable(section: str, name: str) -> str:
    """The environment variable of a key: `VOICEMASHUP_SIP_PORT` for `sip.port`."""
    return f"{PREFIX}{section}_{name}".upper()


def every_key() -> Iterator[tuple[str, str, Field[Any], object]]:
    """Each key as (section, name, field, type)."""
    for section in sections():
        for name, (one, kind) in keys(section).items():
            yield section, name, one, kind


def reference() -> str:
    """The reference of every key, in Markdown; `docs/configuration.md` contains it."""
    parts = []
    for section, kind in sections().items():
        rows = [
            f"| `{name}` | {_shown_default(one.default)} | {one.metadata['doc']}{_range(one)} |"
            for name, (one, _) in keys(section).items()
        ]
        heading = f"### [{section}]\n\n{kind.__doc__}\n"
        parts.append(
            "\n".join([heading, "| key | default | meaning |", "| --- | --- | --- |", *rows])
        )
    return "\n\n".join(parts) + "\n"


def _shown_default(value: object) -> str:
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return "`[]`"
        case str():
            return f'`"{value}"`'
        case _:
            return f"`{value}`"


def _range(one: Field[Any]) -> str:
    if one.metadata["least"] is not None:
        return f" From {one.metadata['least']} to {one.metadata['most']}."
    if one.metadata["choices"]:
        return " One of " + ", ".join(f"`{choice}`" for choice in one.metadata["choices"]) + "."
    return ""
