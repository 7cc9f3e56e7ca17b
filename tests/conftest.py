"""What every test may ask for, and a loud word about what could not be tested.

`@pytest.mark.peer("sipp")` marks a test that needs a program (or Python package) no one
here wrote. Where it is missing the test is skipped and the summary names it; with CI=true
in the environment it fails. Tests that need the shared data skip where that is absent.
"""

import asyncio
import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.service_process import ServiceProcess

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
PYTHON_PEERS = {"baresip-python": "baresip", "pyVoIP": "pyVoIP"}
NO_SHARED_DATA = "the shared data is not there"

missing_peers: Counter[str] = Counter()
without_shared_data: Counter[str] = Counter()


def peer_is_here(name: str) -> bool:
    """Return whether the peer `name` can be run: a program, or a Python package."""
    if name in PYTHON_PEERS:
        return importlib.util.find_spec(PYTHON_PEERS[name]) is not None
    return shutil.which(name) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        for name in mark.args:
            if peer_is_here(name):
                continue
            missing_peers[name] += 1
            said = f"the peer {name} is not installed: run scripts/debian-peers or make test"
            if os.environ.get("CI") == "true":
                pytest.fail(said, pytrace=False)
            pytest.skip(said)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):  # type: ignore[no-untyped-def]
    """Show the end of the service's log with a test that failed."""
    report = yield
    service = getattr(item, "funcargs", {}).get("service")
    if report.failed and isinstance(service, ServiceProcess):
        report.sections.append((f"log of the service ({service.folder})", service.log_tail()))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple) and "shared" in report.longrepr[2]:
        without_shared_data[report.nodeid.partition("::")[0]] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    write = terminalreporter.write_line
    if missing_peers:
        terminalreporter.section("PEERS THAT ARE MISSING", yellow=True, bold=True)
        for name, count in sorted(missing_peers.items()):
            write(f"{name}: {count} tests not run against it", yellow=True)
    if without_shared_data:
        terminalreporter.section("SHARED DATA THAT IS MISSING", yellow=True, bold=True)
        write(f"looked for it at {SHARED}", yellow=True)
        for file, count in sorted(without_shared_data.items()):
            write(f"{file}: {count} tests not run", yellow=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data shared by several projects; skips the test where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"{NO_SHARED_DATA}: {SHARED} (shared data)")
    return SHARED


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The service as a process, one for the tests of a file; stopped as Ctrl-C does."""
    started = asyncio.run(ServiceProcess.start(tmp_path_factory.mktemp("service")))
    try:
        yield started
    finally:
        asyncio.run(started.stop())
