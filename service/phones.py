"""The SIP accounts of phones, and their digest secrets in memory.

A password is random and shown once; stored are its HA1 hashes (RFC 7616 3.4.2), which
digest needs. `Phones` is telephony's `Credentials`: it answers without a database read.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from service.errors import Refused, Status
from service.routing import parse_number
from service.storage.database import Database
from service.storage.tables import phones

PHONES_PER_ACCOUNT_MAX = 1_000
PASSWORD_CHARS = 16
# No letters or digits that look alike: the password is typed into a softphone.
PASSWORD_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105 - the letters it is drawn from
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True)
class Phone:
    """A SIP account; `ha1_*` are secrets."""

    username: str
    account_id: str
    created_at: datetime
    ha1_md5: str
    ha1_sha256: str

    def __repr__(self) -> str:
        return f"Phone({self.username!r}, account_id={self.account_id!r})"


class Phones:
    """The phones of the database, all in memory; `refresh` before the first use."""

    def __init__(self, database: Database, realm: str) -> None:
        self.realm = realm
        self._database = database
        self._by_username: dict[str, Phone] = {}

    async def refresh(self) -> None:
        """Take over what the database holds, whoever wrote it."""
        statement = select(phones)
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        self._by_username = {
            row.username: Phone(
                row.username, row.account_id, row.created_at, row.ha1_md5, row.ha1_sha256
            )
            for row in rows
        }

    def ha1(self, username: str, algorithm: str) -> str | None:
        """The stored hash of a phone for `MD5` or `SHA-256`; None where there is no such phone."""
        phone = self._by_username.get(username)
        if phone is None:
            return None
        return {"MD5": phone.ha1_md5, "SHA-256": phone.ha1_sha256}.get(algorithm.upper())

    def get(self, username: str) -> Phone | None:
        """The phone of that user name, from memory."""
        return self._by_username.get(username)

    def list_of(self, account_id: str | None = None) -> list[Phone]:
        """The phones of an account, or of all, by user name."""
        return sorted(
            (
                phone
                for phone in self._by_username.values()
                if account_id is None or phone.account_id == account_id
            ),
            key=lambda phone: phone.username,
        )

    async def create(self, username: str, account_id: str, *, at: datetime) -> str:
        """Make a phone and return its password: the only time it is seen.

        Raises `Refused` where the user name is unusable or taken.
        """
        if not USERNAME.fullmatch(username) or parse_number(username):
            raise Refused(
                Status.BAD_VALUE,
                f"{username!r} is not usable as a phone's user name",
                field="username",
                hint="1 to 32 of a-z 0-9 . _ - beginning with a letter or digit, and not a "
                "telephone number, such as alice or desk-12",
            )
        if username.startswith("conf-"):
            raise Refused(
                Status.BAD_VALUE,
                "user names that begin with conf- are those of conferences",
                field="username",
            )
        password, phone = self._draw(username, account_id, at)

        def write(connection: Connection) -> None:
            owned = connection.scalar(select(func.count()).where(phones.c.account_id == account_id))
            if (owned or 0) >= PHONES_PER_ACCOUNT_MAX:
                raise Refused(
                    Status.LIMIT_REACHED, f"an account has at most {PHONES_PER_ACCOUNT_MAX} phones"
                )
            connection.execute(
                insert(phones).values(
                    username=username,
                    account_id=account_id,
                    ha1_md5=phone.ha1_md5,
                    ha1_sha256=phone.ha1_sha256,
                    created_at=at,
                )
            )

        try:
            await self._database.write(write)
        except IntegrityError:
            raise Refused(
                Status.CONFLICT, f"there is a phone {username!r} already", field="username"
            ) from None
        self._by_username[username] = phone
        return password

    async def new_password(self, username: str) -> str:
        """Give a phone another password and return it; raises `Refused` where it is unknown."""
        await self.refresh()
        known = self._by_username.get(username)
        if known is None:
            raise Refused(Status.NOT_FOUND, f"there is no phone {username!r}", field="username")
        password, phone = self._draw(username, known.account_id, known.created_at)
        statement = (
            update(phones)
            .where(phones.c.username == username)
            .values(ha1_md5=phone.ha1_md5, ha1_sha256=phone.ha1_sha256)
        )
        await self._database.write(lambda connection: connection.execute(statement).rowcount)
        self._by_username[username] = phone
        return password

    def _draw(self, username: str, account_id: str, at: datetime) -> tuple[str, Phone]:
        password = "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(PASSWORD_CHARS))
        secret = f"{username}:{self.realm}:{password}".encode()
        phone = Phone(
            username,
            account_id,
            at,
            hashlib.md5(secret, usedforsecurity=False).hexdigest(),
            hashlib.sha256(secret).hexdigest(),
        )
        return password, phone
