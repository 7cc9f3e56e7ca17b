"""The command line: `voicemashup COMMAND`.

Exit status: 0 done, 1 refused or found wrong, 2 wrongly called, configured or unreadable.
Each command imports what it needs when it runs: `--help` answers at once.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.config import Settings
    from service.numbers import Number
    from service.storage.database import Database

DONE, WRONG, UNUSABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    given = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us (head, less) has gone: say nothing more, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRONG


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; docs/command-line.md describes each of them."""
    top = argparse.ArgumentParser(
        prog="voicemashup", description="Voice mashups and conference calls over SIP and HTTP."
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    configured = argparse.ArgumentParser(add_help=False)
    configured.add_argument(
        "--config", type=Path, metavar="FILE", help="the configuration file to read"
    )

    _add(commands, "serve", _serve, "run the service until it is interrupted", configured)
    _add_run(commands)
    again = _add(commands, "replay", _replay, "run a journal's session again")
    again.add_argument("journal", metavar="JOURNAL", help="a file that run --journal has written")
    again.add_argument("--json", action="store_true", help="write one JSON object a line")
    _add_check(commands)
    _add_graph(commands)
    _add(commands, "demo", _demo, "show a conference of real calls in a temporary folder")
    _add_account(commands, configured)
    _add_number(commands, configured)
    _add_phone(commands, configured)
    return top


def _add(
    commands: Any,
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    *parents: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", parents=parents
    )
    added.set_defaults(command=command)
    return added


def _add_group(commands: Any, name: str, summary: str) -> Any:
    group = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    return group.add_subparsers(metavar="ACTION", required=True)


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", _run, "run a script in the terminal, text for speech")
    run.add_argument("script", metavar="FILE|URL", help="a VoiceXML document")
    turns = run.add_argument_group(
        "what the caller does", "in the order given; without any of these, it is asked for"
    )
    turns.add_argument(
        "--dtmf",
        action=_Turn,
        metavar="KEYS",
        help="press these keys (0-9, *, #) at the next question",
    )
    turns.add_argument("--say", action=_Turn, metavar="TEXT", help="say this at the next question")
    turns.add_argument("--noinput", action=_Turn, nargs=0, help="stay silent at the next question")
    turns.add_argument("--hangup", action=_Turn, nargs=0, help="hang up at the next question")
    run.add_argument(
        "--transfer-result",
        action="append",
        default=[],
        metavar="RESULT[:SECONDS]",
        help="how the next transfer ends: busy, noanswer, hangup, error.connection, ...",
    )
    run.add_argument(
        "--record", type=Path, metavar="WAV", help="what the caller leaves in each recording"
    )
    run.add_argument(
        "--session",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the session, as callbacks of the API set them",
    )
    run.add_argument("--json", action="store_true", help="write one JSON object a line")
    run.add_argument(
        "--journal", type=Path, metavar="FILE", help="write what is needed to run it again"
    )


def _add_check(commands: Any) -> None:
    check = _add(commands, "check", _check, "list the problems of scripts and grammars")
    check.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a script, a grammar, a folder of them, or - for standard input",
    )
    check.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        metavar="FORMAT",
        help="text (one problem a line), json or sarif (SARIF 2.1.0)",
    )
    check.add_argument("--strict", action="store_true", help="count warnings as errors")


def _add_graph(commands: Any) -> None:
    graph = _add(commands, "graph", _graph, "draw where a script's dialogs lead")
    graph.add_argument("file", metavar="FILE", help="a VoiceXML document")
    graph.add_argument(
        "--format",
        choices=("svg", "dot", "mermaid"),
        metavar="FORMAT",
        help="svg (drawn by Graphviz), dot or mermaid; without it, what OUT's name says, else svg",
    )
    graph.add_argument(
        "-o", dest="output", type=Path, metavar="OUT", help="the file to write; else it is printed"
    )
    graph.add_argument("--items", action="store_true", help="show the form items, too")


def _add_account(commands: Any, configured: argparse.ArgumentParser) -> None:
    account = _add_group(commands, "account", "make accounts and their keys")
    create = _add(
        account, "create", _account_create, "make an account and its first key", configured
    )
    create.add_argument("name", metavar="NAME", help="the account's name")
    create.add_argument(
        "--credits",
        metavar="CREDITS",
        help="what it starts with, such as 200 or 12.5; without it, billing.opening_credits",
    )
    _add(account, "list", _account_list, "list the accounts", configured)
    key = _add(account, "key", _account_key, "make one more key and show it, once", configured)
    revoke = _add(account, "revoke", _account_revoke, "revoke a key", configured)
    balance = _add(
        account, "balance", _account_balance, "show what an account has, and its keys", configured
    )
    for one in (key, revoke, balance):
        one.add_argument("account", metavar="ACCOUNT", help="the account's name or id")
    revoke.add_argument(
        "key", metavar="KEY", help="the key, or its first three characters where no other has them"
    )


def _add_number(commands: Any, configured: argparse.ArgumentParser) -> None:
    number = _add_group(commands, "number", "decide what the numbers reach")
    _add(number, "list", _number_list, "list the numbers and what each reaches", configured)
    assign = _add(
        number,
        "assign",
        _number_assign,
        "let a number reach something; a new number is added",
        configured,
    )
    assign.add_argument("number", metavar="NUMBER", help="the number, such as 33199000001")
    assign.add_argument(
        "--account", required=True, metavar="ACCOUNT", help="the account's name or id"
    )
    target = assign.add_mutually_exclusive_group(required=True)
    target.add_argument("--script", metavar="SCRIPT", help="a script of the account: name or id")
    target.add_argument("--phone", metavar="USERNAME", help="a phone of the account")
    target.add_argument("--dial-in", action="store_true", help="the dial-in of the conferences")


def _add_phone(commands: Any, configured: argparse.ArgumentParser) -> None:
    phone = _add_group(commands, "phone", "make SIP accounts for phones")
    create = _add(phone, "create", _phone_create, "make a phone and show its password", configured)
    create.add_argument("username", metavar="USERNAME", help="its SIP user name")
    create.add_argument(
        "--account", required=True, metavar="ACCOUNT", help="the account's name or id"
    )
    _add(phone, "list", _phone_list, "list the phones", configured)
    password = _add(
        phone, "password", _phone_password, "give a phone a new password and show it", configured
    )
    password.add_argument("username", metavar="USERNAME", help="its SIP user name")


class _Turn(argparse.Action):
    """Collects --dtmf, --say, --noinput and --hangup in the order they are given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if self.dest == "dtmf":
            keys = str(values)
            if not keys or set(keys) - set("0123456789*#"):
                raise argparse.ArgumentError(self, f"keys are 0-9, * and #, not {keys!r}")
            turn: tuple[str, str] | str = ("dtmf", keys)
        elif self.dest == "say":
            text = " ".join(str(values).split())
            if not text:
                raise argparse.ArgumentError(self, "nothing is said; --noinput is silence")
            turn = ("say", text)
        else:
            turn = self.dest
        namespace.turns = [*getattr(namespace, "turns", ()), turn]


# The service


def _settings(given: argparse.Namespace) -> "Settings | None":
    from service.config import BadConfiguration, load

    try:
        return load(given.config, os.environ)
    except BadConfiguration as error:
        print(error, file=sys.stderr)
        return None


def _serve(given: argparse.Namespace) -> int:
    settings = _settings(given)
    if settings is None:
        return UNUSABLE
    from service import house, logs

    logs.configure(settings.log)
    return house.serve(settings)


def _demo(_: argparse.Namespace) -> int:
    from service import demo

    return demo.main()


# Scripts


def _run(given: argparse.Namespace) -> int:
    from macros import Catalog
    from service.simulator import BadOption, caller_turns, run_script, session_variables
    from service.simulator import transfer_answer as answer

    turns = getattr(given, "turns", ())
    try:
        result = run_script(
            given.script,
            turns=caller_turns(turns),
            transfers=[answer(text) for text in given.transfer_result],
            recording=given.record,
            variables=session_variables(given.session),
            output=sys.stdout,
            input=None if turns else sys.stdin,
            prepare=Catalog.load().expand,
            as_json=given.json,
            journal=given.journal,
        )
    except BadOption as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    if result.reason != "error":
        return DONE
    return WRONG if result.started else UNUSABLE


def _replay(given: argparse.Namespace) -> int:
    from macros import Catalog
    from service.simulator import replay_journal
    from vxml_engine.journal import BadJournal

    prepare = Catalog.load().expand
    try:
        packed = Path(given.journal).read_bytes()
        replayed = replay_journal(packed, output=sys.stdout, prepare=prepare, as_json=given.json)
    except (OSError, BadJournal) as error:
        print(f"{given.journal}: cannot be read: {error}", file=sys.stderr)
        return UNUSABLE
    for told in (replayed.difference, replayed.dropped):
        if told:
            print(told, file=sys.stderr)
    return WRONG if replayed.difference else DONE


def _check(given: argparse.Namespace) -> int:
    from service import check_command

    return check_command.run(given.paths, form=given.format, strict=given.strict)


def _graph(given: argparse.Namespace) -> int:
    from service import graph_command

    return graph_command.run(given.file, form=given.format, output=given.output, items=given.items)


# Accounts, numbers, phones


class _Opened:
    """The database of the configuration, and what keeps its rows."""

    def __init__(self, settings: "Settings", database: "Database") -> None:
        from service.accounts import Accounts, server_secret
        from service.numbers import Numbers
        from service.phones import Phones

        self.settings = settings
        self.database = database
        self.accounts = Accounts(database, server_secret(settings.data_folder))
        self.numbers = Numbers(database)
        self.phones = Phones(database, settings.sip.domain)


def _in_database(given: argparse.Namespace, work: Callable[[_Opened], Awaitable[None]]) -> int:
    """Do `work` on the configured database; what is refused is said on standard error."""
    settings = _settings(given)
    if settings is None:
        return UNUSABLE
    from service.errors import Refused
    from service.storage.database import Database
    from service.storage.errors import UnusableDatabase

    async def run() -> None:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
        database = Database.open(settings.database_url)
        try:
            database.migrate()
            await work(_Opened(settings, database))
        finally:
            await database.close()

    try:
        asyncio.run(run())
    except Refused as refused:
        hint = f" ({refused.hint})" if refused.hint else ""
        print(f"{refused.message}{hint}", file=sys.stderr)
        return WRONG
    except (UnusableDatabase, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    return DONE


def _account_create(given: argparse.Namespace) -> int:
    from billing.errors import BadAmount
    from billing.money import MILLICREDITS_PER_CREDIT, check_amount, format_credits, parse_credits

    async def work(opened: _Opened) -> None:
        if given.credits is None:
            millicredits = opened.settings.billing.opening_credits * MILLICREDITS_PER_CREDIT
        else:
            millicredits = check_amount(parse_credits(given.credits), least=0)
        account = await opened.accounts.create(
            given.name, opening_millicredits=millicredits, at=_now()
        )
        _show_key(await opened.accounts.create_key(account.id, at=_now()))
        print(f"account  {account.name}, {format_credits(millicredits)} credits")

    try:
        return _in_database(given, work)
    except BadAmount as error:
        print(error, file=sys.stderr)
        return UNUSABLE


def _account_list(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        for account in await opened.accounts.list_all():
            print(f"{account.id}  {account.created_at:%Y-%m-%d}  {account.name}")

    return _in_database(given, work)


def _account_key(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        account = await opened.accounts.find(given.account)
        _show_key(await opened.accounts.create_key(account.id, at=_now()))

    return _in_database(given, work)


def _account_revoke(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        account = await opened.accounts.find(given.account)
        await opened.accounts.revoke_key(account.id, given.key, at=_now())
        print("The key is revoked; a running service knows it within seconds.")

    return _in_database(given, work)


def _account_balance(given: argparse.Namespace) -> int:
    from billing import ledger
    from billing.money import format_credits

    async def work(opened: _Opened) -> None:
        account = await opened.accounts.find(given.account)
        balance = await opened.database.read(
            lambda connection: ledger.balance(connection, account.id)
        )
        print(f"available  {format_credits(balance.available)} credits")
        print(f"held       {format_credits(balance.held)} credits")
        for key in await opened.accounts.keys_of(account.id):
            revoked = f", revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else ""
            print(f"key        {key.hint}…, made {key.created_at:%Y-%m-%d}{revoked}")

    return _in_database(given, work)


def _show_key(key: str) -> None:
    print(f"key      {key}  (shown only now)")


def _number_list(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        await opened.numbers.refresh()
        names = {account.id: account.name for account in await opened.accounts.list_all()}
        for number in opened.numbers.list_of():
            owner = names.get(number.account_id or "", "free")
            print(f"{number.number:15}  {_reached(number):28}  {owner}")

    return _in_database(given, work)


def _number_assign(given: argparse.Namespace) -> int:
    from service.scripts import find_script

    async def work(opened: _Opened) -> None:
        account = await opened.accounts.find(given.account)
        script_id = None
        if given.script is not None:
            script_id = await opened.database.read(
                lambda connection: find_script(connection, account.id, given.script)
            )
        digits = await opened.numbers.add(given.number)
        assigned = await opened.numbers.assign(
            account.id, digits, script_id=script_id, phone=given.phone, dial_in=given.dial_in
        )
        print(f"{assigned.number}  {_reached(assigned)}")

    return _in_database(given, work)


def _reached(number: "Number") -> str:
    if number.dial_in:
        return "dial-in"
    if number.phone is not None:
        return f"phone {number.phone}"
    return f"script {number.script_id}" if number.script_id else "nothing"


def _phone_create(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        account = await opened.accounts.find(given.account)
        _show_password(
            given.username, await opened.phones.create(given.username, account.id, at=_now())
        )

    return _in_database(given, work)


def _phone_list(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        await opened.phones.refresh()
        names = {account.id: account.name for account in await opened.accounts.list_all()}
        for phone in opened.phones.list_of():
            print(f"{phone.username:32}  {names[phone.account_id]}")

    return _in_database(given, work)


def _phone_password(given: argparse.Namespace) -> int:
    async def work(opened: _Opened) -> None:
        _show_password(given.username, await opened.phones.new_password(given.username))

    return _in_database(given, work)


def _show_password(username: str, password: str) -> None:
    print(f"phone     {username}")
    print(f"password  {password}  (shown only now)")


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
