from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage.database import Database


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database.open(url)
    database.migrate()
    yield database
    database.close_now()
