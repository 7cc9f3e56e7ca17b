"""The schema's revisions, and how a database is brought to the newest.

A new revision is a file in `versions/`, written out by hand in Alembic's terms; `HEAD`
names the newest. Tests hold both: the revisions build exactly the declared tables,
and `HEAD` is the last of them.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

HEAD = "0001"

_version = Table("alembic_version", MetaData(), Column("version_num", String(32)))


def upgrade(connection: Connection) -> None:
    """Upgrade the database behind `connection`, inside its transaction, to `HEAD`.

    A database that is there already costs two small queries: Alembic itself, slow to
    load, is imported only where there is something to do.
    """
    if inspect(connection).has_table("alembic_version") and (
        connection.execute(select(_version.c.version_num)).scalar_one_or_none() == HEAD
    ):
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
