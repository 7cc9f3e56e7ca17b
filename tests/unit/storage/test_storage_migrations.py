"""The revisions build the declared tables, once, and cost nothing when there is nothing to do."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.exc import OperationalError

from billing import tables as billing_tables
from service.storage import migrations
from service.storage import tables as service_tables
from service.storage.database import Database

METADATA = [service_tables.metadata, billing_tables.metadata]


def test_the_revisions_build_exactly_the_declared_tables(database: Database) -> None:
    def compare(connection: Connection) -> object:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, METADATA)

    assert database.write_now(compare) == []


def test_the_revisions_carry_every_check_constraint(database: Database) -> None:
    """Alembic's comparison leaves these out."""

    def found(connection: Connection) -> set[tuple[str, str | None]]:
        inspector = inspect(connection)
        return {
            (table, check["name"])
            for table in inspector.get_table_names()
            for check in inspector.get_check_constraints(table)
        }

    declared = MetaData()
    for metadata in METADATA:
        for table in metadata.tables.values():
            table.to_metadata(declared)
    expected = Database.open(str(database._writing.url) + ".declared")
    expected.write_now(declared.create_all)
    checks = expected.read_now(found)
    expected.close_now()
    assert database.read_now(found) == checks
    assert ("holds", "holds_hold_no_debt") in checks


def test_head_names_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_migrating_again_changes_nothing_and_loads_no_alembic(database: Database, url: str) -> None:
    script = """
import sys
from service.storage.database import Database
database = Database.open(sys.argv[1])
database.migrate()
database.close_now()
print("alembic" in sys.modules)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, url], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


def test_a_failed_migration_leaves_nothing_behind(url: str) -> None:
    database = Database.open(url)
    database.write_now(lambda c: c.exec_driver_sql("CREATE TABLE holds (x)"))
    with pytest.raises(OperationalError, match="holds"):
        database.migrate()
    assert database.read_now(lambda c: inspect(c).get_table_names()) == ["holds"]
    database.close_now()
