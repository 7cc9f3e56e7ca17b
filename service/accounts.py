"""Accounts and their keys.

A key is 11 characters, `a1234b56789`, shown once. Stored is its HMAC-SHA256 with the
server's secret: random keys need no slow hash, and a stolen database without the secret
is worth nothing. `Accounts.account_of` answers from memory: a request costs neither a
password hash nor a database read. Another process (the command line) may change the
tables: `refresh` takes over what it did.
"""

import hashlib
import hmac
import os
import secrets
import string
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from billing import ledger
from service.errors import Refused, Status
from service.storage.database import Database
from service.storage.tables import accounts, keys

NAME_CHARS_MAX = 200
KEYS_PER_ACCOUNT_MAX = 20
KEY_CHARS = 11
KEY_HINT_CHARS = 3
SECRET_BYTES = 32
# An unknown key asks the database (it may just have been made) at most this often.
UNKNOWN_KEY_LOOKUP_S = 1.0
# Rows are looked at again for this long, so that a writer's slower clock hides none.
REFRESH_OVERLAP = timedelta(minutes=1)

_letters = string.ascii_lowercase
_letters_and_digits = string.ascii_lowercase + string.digits


@dataclass(frozen=True)
class Account:
    """Who pays."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Key:
    """A key as it can be shown: its first characters, never itself."""

    hint: str
    created_at: datetime
    revoked_at: datetime | None


def server_secret(folder: Path) -> bytes:
    """The server's secret from `folder/secret`, made (mode 0600) where there is none.

    Raises `ValueError` where the file holds something else.
    """
    path = folder / "secret"
    if not path.exists():
        # Made whole under another name and then linked: two starts at once get one secret.
        fresh = folder / f".secret-{secrets.token_hex(8)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(secrets.token_bytes(SECRET_BYTES))
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    found = path.read_bytes()
    if len(found) != SECRET_BYTES:
        raise ValueError(
            f"{path} must hold {SECRET_BYTES} bytes, not {len(found)}: put the right file back, "
            "or delete it and make new keys"
        )
    return found


def new_key() -> str:
    """A random key; letters and digits are mixed, so that it is no word."""
    while True:
        key = secrets.choice(_letters) + "".join(
            secrets.choice(_letters_and_digits) for _ in range(KEY_CHARS - 1)
        )
        if sum(character.isdigit() for character in key) >= 2:
            return key


class Accounts:
    """The accounts of the database, with every valid key's hash in memory."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret
        self._account_by_digest: dict[bytes, str] = {}
        self._seen_until: datetime | None = None
        self._looked_up_at = float("-inf")

    async def refresh(self) -> None:
        """Take over keys made and revoked since the last time, by whichever process."""
        since = self._seen_until
        started = datetime.now(UTC)
        statement = select(keys.c.digest, keys.c.account_id, keys.c.revoked_at)
        if since is None:
            statement = statement.where(keys.c.revoked_at.is_(None))
        else:
            recent = since - REFRESH_OVERLAP
            statement = statement.where(
                or_(keys.c.created_at >= recent, keys.c.revoked_at >= recent)
            )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        for digest, account_id, revoked_at in rows:
            if revoked_at is None:
                self._account_by_digest[digest] = account_id
            else:
                self._account_by_digest.pop(digest, None)
        self._seen_until = started

    def account_of(self, key: str) -> str | None:
        """The account of a valid key, from memory."""
        return self._account_by_digest.get(self._digest(key))

    async def authenticate(self, key: str, now: float) -> str | None:
        """As `account_of`; a key that memory does not know is looked up, at most once a second.

        `now` is in seconds of a monotonic clock.
        """
        account_id = self.account_of(key)
        if account_id is None and now - self._looked_up_at >= UNKNOWN_KEY_LOOKUP_S:
            self._looked_up_at = now
            await self.refresh()
            account_id = self.account_of(key)
        return account_id

    async def create(self, name: str, *, opening_millicredits: int, at: datetime) -> Account:
        """Make an account and its ledger, opened with `opening_millicredits`.

        Raises `Refused` where the name is unusable or taken.
        """
        name = name.strip()
        if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
            raise Refused(
                Status.BAD_VALUE,
                f"an account's name has 1 to {NAME_CHARS_MAX} printable characters",
                field="name",
            )
        account = Account(secrets.token_hex(8), name, at)

        def write(connection: Connection) -> None:
            connection.execute(insert(accounts).values(id=account.id, name=name, created_at=at))
            ledger.open_account(
                connection, account.id, opening_millicredits=opening_millicredits, at=at
            )

        try:
            await self._database.write(write)
        except IntegrityError:
            raise Refused(
                Status.CONFLICT, f"there is an account {name!r} already", field="name"
            ) from None
        return account

    async def list_all(self) -> list[Account]:
        """Every account, the oldest first."""
        statement = select(accounts).order_by(accounts.c.created_at, accounts.c.id)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [Account(row.id, row.name, row.created_at) for row in rows]

    async def find(self, name_or_id: str) -> Account:
        """The account of that name or id; raises `Refused` where there is none."""
        statement = select(accounts).where(
            or_(accounts.c.id == name_or_id, accounts.c.name == name_or_id)
        )
        row = await self._database.read(lambda connection: connection.execute(statement).first())
        if row is None:
            raise Refused(
                Status.NOT_FOUND,
                f"there is no account {name_or_id!r}",
                field="account",
                hint="its name or its id, as `voicemashup account list` shows them",
            )
        return Account(row.id, row.name, row.created_at)

    async def create_key(self, account_id: str, *, at: datetime) -> str:
        """Make a key for an account and return it: the only time it is seen.

        Raises `Refused` where the account has `KEYS_PER_ACCOUNT_MAX` valid keys.
        """
        key = new_key()
        digest = self._digest(key)

        def write(connection: Connection) -> None:
            valid = connection.scalar(
                select(func.count()).where(
                    keys.c.account_id == account_id, keys.c.revoked_at.is_(None)
                )
            )
            if (valid or 0) >= KEYS_PER_ACCOUNT_MAX:
                raise Refused(
                    Status.LIMIT_REACHED,
                    f"an account has at most {KEYS_PER_ACCOUNT_MAX} valid keys",
                    hint="revoke one first",
                )
            connection.execute(
                insert(keys).values(
                    digest=digest, account_id=account_id, hint=key[:KEY_HINT_CHARS], created_at=at
                )
            )

        await self._database.write(write)
        self._account_by_digest[digest] = account_id
        return key

    async def keys_of(self, account_id: str) -> list[Key]:
        """The keys that the account has or had, the oldest first."""
        statement = select(keys).where(keys.c.account_id == account_id).order_by(keys.c.created_at)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [Key(row.hint, row.created_at, row.revoked_at) for row in rows]

    async def revoke_key(self, account_id: str, key_or_hint: str, *, at: datetime) -> None:
        """Revoke a key, named by itself or, where only one begins so, by its first characters.

        Raises `Refused` where none or several are meant.
        """
        wanted = (
            keys.c.digest == self._digest(key_or_hint)
            if len(key_or_hint) == KEY_CHARS
            else keys.c.hint == key_or_hint
        )
        valid = (keys.c.account_id == account_id) & keys.c.revoked_at.is_(None) & wanted

        def write(connection: Connection) -> bytes:
            digests = connection.scalars(select(keys.c.digest).where(valid)).all()
            if len(digests) != 1:
                raise Refused(
                    Status.NOT_FOUND if not digests else Status.CONFLICT,
                    f"{len(digests) or 'no'} valid keys of the account are meant",
                    field="key",
                    hint="the whole key, or its first characters where they are unlike the others'",
                )
            connection.execute(
                update(keys).where(keys.c.digest == digests[0]).values(revoked_at=at)
            )
            return bytes(digests[0])

        self._account_by_digest.pop(await self._database.write(write), None)

    def _digest(self, key: str) -> bytes:
        return hmac.new(self._secret, key.encode("utf-8", "replace"), hashlib.sha256).digest()
