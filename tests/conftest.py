"""A temporary PostgreSQL server, an empty database of either kind, a home for a worker, a bundle."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.face_networks import make_face_bundle
from tests.home import Home
from tests.patience import scale

_numbers = count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scale the time-out of every test, its own or the general one, by the factor of this machine."""
    general = float(config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        item.add_marker(pytest.mark.timeout(scale(marker.args[0] if marker else general)), append=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    """Run a server on a socket in a temporary folder, and give the folder."""
    folder = Path(tempfile.mkdtemp(prefix="moodsort-pg-"))
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(folder, user)
    data = folder / "data"
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c full_page_writes=off"
    try:
        _run_postgres("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", user=user)
        _run_postgres("pg_ctl", "-D", data, "-l", folder / "log", "-o", settings, "-w", "start", user=user)
        yield folder
        _run_postgres("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", user=user)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: Path) -> str:
    """Give the URL of an empty PostgreSQL database."""
    name = f"moodsort_{next(_numbers)}"
    server = f"postgresql://postgres@/postgres?host={postgres_server}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    # It goes with the server: to drop it would wait for a checkpoint.
    return f"postgresql://postgres@/{name}?host={postgres_server}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'moodsort.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database, of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(autouse=True)
def _check_leaks() -> Iterator[None]:
    """Fail a test that leaves threads, descriptors or child processes behind."""
    this = psutil.Process()
    before = set(threading.enumerate()), this.num_fds(), this.children(recursive=True)
    yield
    assert (set(threading.enumerate()), this.num_fds(), this.children(recursive=True)) == before


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give a worker's home."""
    return Home(tmp_path)


def _run_postgres(program: str, *arguments: str | Path, user: str | None) -> None:
    # DEVNULL: the server would keep a pipe open after pg_ctl has ended.
    process = subprocess.run(
        [_find_program(program), *map(str, arguments)],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if process.returncode:
        pytest.fail(f"{program} ended with {process.returncode}")


def _find_program(program: str) -> str:
    """Find a program of PostgreSQL; Debian keeps those of the server out of PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    path = shutil.which(program) or (str(installed[-1]) if installed else None)
    if path is None:
        pytest.fail(
            f"{program} is not installed: these tests need a PostgreSQL server (apt install postgresql)"
        )
    return path


@pytest.fixture(scope="session")
def face_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a bundle that detects and classifies drawn faces; not to be changed."""
    return make_face_bundle(tmp_path_factory.mktemp("face_bundle"))
