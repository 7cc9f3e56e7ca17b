"""The tables of the service; those of the ledger are `billing.tables`.

Times are aware UTC, stored as microseconds since 1970 (`UtcTime`): equal on every
database, ordered, exact. Every row that is live names the node that holds it.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as integer microseconds since 1970-01-01T00:00Z."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value!r}")
        return (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + value * MICROSECOND


metadata = MetaData()

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("alive_at", UtcTime, nullable=False),  # the last moment the node is known to have lived
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # keyed hash of the key
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("hint", String(3), nullable=False),  # first characters, to tell keys apart
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

phones = Table(
    "phones",
    metadata,
    Column("username", String(64), primary_key=True),  # of the SIP account
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("ha1_md5", String(32), nullable=False),
    Column("ha1_sha256", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

scripts = Table(
    "scripts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("version", Integer, nullable=False),  # the one that calls run
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("account_id", "name"),
)

script_versions = Table(
    "script_versions",
    metadata,
    Column("script_id", ForeignKey("scripts.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# A number reaches exactly one of: a script, a phone, the conferences' dial-in.
numbers = Table(
    "numbers",
    metadata,
    Column("number", String(15), primary_key=True),  # international digits, no + or 00
    Column("account_id", ForeignKey("accounts.id"), index=True),  # none: free to be assigned
    Column("script_id", ForeignKey("scripts.id")),
    Column("phone", ForeignKey("phones.username")),
    Column("dial_in", Boolean, nullable=False, default=False),
)

conferences = Table(
    "conferences",
    metadata,
    Column("id", String(6), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("access_code", String(9), nullable=False, unique=True),
    Column("access", String(8), nullable=False),
    Column("pin", String(8)),
    Column("max_participants", Integer, nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
)

conference_callers = Table(
    "conference_callers",
    metadata,
    Column("conference_id", ForeignKey("conferences.id"), primary_key=True),
    Column("number", String(15), primary_key=True),
    Column("added_at", UtcTime, nullable=False),
)

participants = Table(
    "participants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conference_id", ForeignKey("conferences.id"), nullable=False, index=True),
    Column("call_id", String(32), nullable=False, index=True),
    Column("number", String(200), nullable=False),
    Column("inbound", Boolean, nullable=False),  # earns, where it is
    Column("node", String(64), nullable=False),
    Column("joined_at", UtcTime, nullable=False),
    Column("left_at", UtcTime),
)
Index("participants_inside", participants.c.node, participants.c.left_at)

calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    # None until a caller at the conferences' dial-in has named a conference.
    Column("account_id", ForeignKey("accounts.id")),
    Column("direction", String(8), nullable=False),  # incoming, outgoing
    Column("caller", String(200), nullable=False),
    Column("called", String(200), nullable=False),
    Column("state", String(12), nullable=False),  # ringing, up, ended
    Column("node", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("cause", String(40)),
    Column("cost_millicredits", BigInteger, nullable=False, default=0),
    Column("earned_millicredits", BigInteger, nullable=False, default=0),
)
Index("calls_of_account", calls.c.account_id, calls.c.created_at)
Index("calls_live", calls.c.node, calls.c.state)

call_events = Table(
    "call_events",
    metadata,
    Column("call_id", ForeignKey("calls.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("detail", JSON, nullable=False),
)

# Replies already given, by the account's request_id: a repeated request gets the same one.
replies = Table(
    "replies",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("request_id", String(100), primary_key=True),
    Column("request_sha256", String(64), nullable=False),
    Column("reply", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
