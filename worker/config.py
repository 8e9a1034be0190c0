"""The configuration: config.toml and the environment, read into frozen dataclasses."""

import os
import re
import tomllib
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path, PurePath
from typing import Annotated, Literal

from worker.errors import ConfigError
from worker.tables import Problems, Range, read_table

CONFIG_VARIABLE = "MOODSORT_CONFIG"
DATABASE_VARIABLE = "MOODSORT_DATABASE_URL"
DEFAULT_NAME = "config.toml"
BUILT_IN_BUNDLE = Path(__file__).parent / "bundles" / "default"

_DAY = 86400.0
_SQLITE = "sqlite:///"
_LISTEN = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where photos are; `inbox`, `review` and `quarantine` are names below `root`."""

    root: str = "photos"
    inbox: str = "inbox"
    review: str = "review"
    quarantine: str = "quarantine"


@dataclass(frozen=True, slots=True)
class InboxConfig:
    """How the inbox is watched and when a candidate is settled."""

    recursive: bool = True
    ignore: tuple[str, ...] = (
        *(".*", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information", "__MACOSX"),
        *("@eaDir", "#recycle", "@__thumb", "@Recycle", "lost+found"),
        *("*.part", "*.crdownload", "*.tmp", "*~"),
    )
    companions: tuple[str, ...] = ("*.xmp", "*.aae", "*.json", "*.mov")
    settle_seconds: Annotated[float, Range(0.1, 3600)] = 2.0
    rescan_seconds: Annotated[float, Range(1, _DAY)] = 30.0
    polling: Literal["auto", "always", "never"] = "auto"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Which bundle predicts, in how many processes, and which of its predictions go to review.

    `no_face` is for photos in which no face is detected; a bundle that detects none is not affected.
    """

    bundle: str = "default"
    processes: Annotated[int, Range(0, 1024)] = 0
    batch_size: Annotated[int, Range(1, 4096)] = 32
    min_confidence: Annotated[float, Range(0, 1)] = 0.0
    no_face: Literal["judge", "review"] = "judge"


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a photo may be, and what decoding it may take."""

    max_file_bytes: Annotated[int, Range(1, 2**40)] = 268_435_456
    max_pixels: Annotated[int, Range(1, 2**40)] = 250_000_000
    decode_seconds: Annotated[float, Range(0.1, 3600)] = 20.0
    memory_bytes: Annotated[int, Range(2**28, 2**50)] = 2_147_483_648


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the log is kept; a relative SQLite path is relative to the configuration file."""

    url: str = "sqlite:///moodsort.db"


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written to standard error while running."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where /metrics and /healthz are served, as HOST:PORT; nowhere where `listen` is empty."""

    listen: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a worker has to know; paths are absolute once `load_config` has read them."""

    folders: Folders = field(default_factory=Folders)
    inbox: InboxConfig = field(default_factory=InboxConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    limits: Limits = field(default_factory=Limits)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    log: LogConfig = field(default_factory=LogConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    @property
    def root(self) -> Path:
        """The folder that holds everything, absolute."""
        return Path(self.folders.root)

    @property
    def inbox_folder(self) -> Path:
        """The watched folder, absolute."""
        return self.root / self.folders.inbox

    @property
    def lock_files(self) -> dict[str, Path]:
        """The files that a worker locks, by what each stands for: the inbox, then an SQLite database."""
        files = {f"the inbox {self.inbox_folder}": self.root / f".{self.inbox_folder.name}.lock"}
        if database := self.database_file:
            files[f"the database {database}"] = database.with_name(f".{database.name}.lock")
        return files

    @property
    def bundle_folder(self) -> Path:
        """The folder of the bundle, absolute."""
        return Path(self.model.bundle)

    @property
    def processes(self) -> int:
        """How many child processes to run: as configured, or one for each core that may be used."""
        return self.model.processes or _count_usable_cores()

    @property
    def database_file(self) -> Path | None:
        """The SQLite file, or None where the log is kept by a server."""
        url = self.database.url
        return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def find_config(path: Path | None) -> Path | None:
    """Return the configuration file to read: `path`, else the environment's, else ./config.toml if there."""
    if path is not None:
        return path
    if variable := os.environ.get(CONFIG_VARIABLE):
        return Path(variable)
    default = Path(DEFAULT_NAME)
    return default if default.exists() else None


def load_config(path: Path | None = None) -> Config:
    """Read the configuration from `path`, else from where `find_config` looks; make its paths absolute.

    Raises ConfigError with every problem of the file, one to a line.
    """
    file = find_config(path)
    base = (file.parent if file else Path()).absolute()
    config = _parse(file) if file else Config()
    _raise_problems(str(file) if file else "the defaults", _find_problems(config))
    if url := os.environ.get(DATABASE_VARIABLE):
        config = replace(config, database=DatabaseConfig(url))
        _raise_problems(DATABASE_VARIABLE, _find_problems(config))
    return _resolve_paths(config, base)


def _find_problems(config: Config) -> Problems:
    problems = Problems()
    # Not extend, which would put the sentences in without escaping them.
    for problem in _check_folders(config.folders) + _check_database(config.database):
        problems.append(problem)
    if config.metrics.listen and not _LISTEN.fullmatch(config.metrics.listen):
        problems.reject("metrics.listen", config.metrics.listen, 'HOST:PORT, as in "127.0.0.1:9464", or ""')
    for key, path in _list_paths(config):
        if not _is_path(path):
            problems.reject(key, path, "a path; no such user's folder is known")
    return problems


def _list_paths(config: Config) -> list[tuple[str, str]]:
    paths = [("folders.root", config.folders.root), ("model.bundle", config.model.bundle)]
    url = config.database.url
    return [*paths, ("database.url", url.removeprefix(_SQLITE))] if url.startswith(_SQLITE) else paths


def _is_path(text: str) -> bool:
    try:
        return "\0" not in str(Path(text).expanduser())
    except RuntimeError:  # ~NAME, where there is no such user
        return False


def _parse(path: Path) -> Config:
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; name one with --config") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check what it is") from error
    except (ValueError, RecursionError) as error:
        # Not TOMLDecodeError alone: numbers of thousands of digits, bytes that are not UTF-8, deep nesting.
        raise ConfigError(f"{path}: is not TOML: {error}; correct it there") from error
    problems = Problems()
    config = read_table(Config, table, problems)
    _raise_problems(str(path), problems)
    assert config is not None
    return config


def _raise_problems(source: str, problems: Problems) -> None:
    if problems:
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems))


def _check_folders(folders: Folders) -> list[str]:
    problems = []
    names = {key: getattr(folders, key) for key in ("inbox", "review", "quarantine")}
    for key, name in names.items():
        parts = PurePath(name).parts
        if not parts or PurePath(name).is_absolute() or ".." in parts or "\0" in name:
            problems.append(f"folders.{key} is {name!r}, but takes the name of a folder below root")
    for (key, name), (outer_key, outer_name) in permutations(names.items(), 2):
        if PurePath(name).is_relative_to(outer_name):
            problems.append(f"folders.{key} lies in folders.{outer_key}; give each its own folder")
    return problems


def _check_database(database: DatabaseConfig) -> list[str]:
    url = database.url
    if url.startswith(_SQLITE) and url != _SQLITE and ":memory:" not in url and "?" not in url:
        return []
    if url.startswith(("postgresql://", "postgresql+psycopg://")):
        return []
    allowed = "sqlite:///FILE or postgresql://USER@HOST/NAME"
    return [f"database.url is {_hide_password(url)!r}, but takes {allowed}"]


def _hide_password(url: str) -> str:
    # A password may be anywhere in a URL that is wrong, so nothing is shown after its scheme.
    scheme, separator, _ = url.rpartition("://")
    return f"{scheme.partition(':')[0]}{separator}…" if "@" in url or "?" in url else url


def _resolve_paths(config: Config, base: Path) -> Config:
    bundle = config.model.bundle
    folder = BUILT_IN_BUNDLE if bundle == "default" else base / Path(bundle).expanduser()
    url = config.database.url
    if url.startswith(_SQLITE):
        url = f"{_SQLITE}{base / Path(url.removeprefix(_SQLITE)).expanduser()}"
    root = base / Path(config.folders.root).expanduser()
    return replace(
        config,
        folders=replace(config.folders, root=str(root)),
        model=replace(config.model, bundle=str(folder)),
        database=DatabaseConfig(url),
    )


def _count_usable_cores() -> int:
    # cpu_count also counts the cores that a container or taskset keeps from this process; macOS has no more.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
