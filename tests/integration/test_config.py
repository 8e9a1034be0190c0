"""Reading config.toml and the environment."""

import re
from pathlib import Path

import pytest

from worker.config import BUILT_IN_BUNDLE, Config, load_config
from worker.errors import ConfigError
from worker.inference.bundle import load_bundle


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOODSORT_CONFIG", raising=False)
    monkeypatch.delenv("MOODSORT_DATABASE_URL", raising=False)


def write_config(folder: Path, text: str, name: str = "config.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read_refusal(path: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(path)
    return str(error.value).splitlines()


def test_without_a_file_the_defaults_hold_beside_the_current_folder(tmp_path: Path) -> None:
    config = load_config()
    assert config.root == tmp_path / "photos"
    assert config.inbox_folder == tmp_path / "photos" / "inbox"
    assert config.database_file == tmp_path / "moodsort.db"
    assert config.bundle_folder == BUILT_IN_BUNDLE
    assert config.processes >= 1


def test_the_shipped_configuration_holds_the_defaults(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config.toml"
    copy = write_config(tmp_path, shipped.read_text(encoding="utf-8"))
    assert load_config(copy) == load_config(write_config(tmp_path, "", "empty.toml"))


def test_the_shipped_configuration_names_every_key() -> None:
    text = (Path(__file__).parents[2] / "config.toml").read_text(encoding="utf-8")
    for table in Config.__dataclass_fields__:
        _, _, rest = text.partition(f"[{table}]")
        keys = re.findall(r"^(\w+) =", rest.partition("\n[")[0], re.MULTILINE)
        assert keys == list(getattr(Config(), table).__dataclass_fields__)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path = write_config(
        tmp_path / "etc",
        '[folders]\nroot = "../pictures"\n[model]\nbundle = "m"\n[database]\nurl = "sqlite:///a/log.db"',
    )
    config = load_config(path)
    assert config.root == tmp_path / "etc" / "../pictures"
    assert config.bundle_folder == tmp_path / "etc" / "m"
    assert config.database_file == tmp_path / "etc" / "a" / "log.db"


def test_absolute_paths_and_the_home_folder_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    config = load_config(
        write_config(tmp_path, '[folders]\nroot = "~/pictures"\n[database]\nurl = "sqlite:////var/log.db"')
    )
    assert config.root == Path("/home/me/pictures")
    assert config.database_file == Path("/var/log.db")


def test_the_environment_names_the_file_and_an_argument_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_environment = write_config(tmp_path, "[model]\nbatch_size = 5", "environment.toml")
    argument = write_config(tmp_path, "[model]\nbatch_size = 6", "argument.toml")
    write_config(tmp_path, "[model]\nbatch_size = 7")
    assert load_config().model.batch_size == 7
    monkeypatch.setenv("MOODSORT_CONFIG", str(from_environment))
    assert load_config().model.batch_size == 5
    assert load_config(argument).model.batch_size == 6


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODSORT_DATABASE_URL", "postgresql://me@host/log")
    config = load_config()
    assert config.database.url == "postgresql://me@host/log"
    assert config.database_file is None


def test_a_wrong_database_in_the_environment_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOODSORT_DATABASE_URL", "mysql://host/log")
    (line,) = read_refusal()
    assert line.startswith(
        "MOODSORT_DATABASE_URL: database.url is 'mysql://host/log', but takes sqlite:///FILE"
    )


def test_every_problem_is_reported_on_its_own_line_with_the_file(tmp_path: Path) -> None:
    path = write_config(
        tmp_path,
        """
        [inbox]
        rescan_second = 5
        polling = "sometimes"
        [model]
        min_confidence = nan
        batch_size = 0
        [limits]
        max_pixels = "many"
        """,
    )
    lines = read_refusal(path)
    assert len(lines) == 5
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any("did you mean inbox.rescan_seconds?" in line for line in lines)
    assert any("model.min_confidence is nan" in line for line in lines)


@pytest.mark.parametrize("name", ["", ".", "..", "../out", "/elsewhere", "a/../../b", "a\\u0000b"])
@pytest.mark.parametrize("key", ["inbox", "review", "quarantine"])
def test_a_folder_that_is_not_below_the_root_is_refused(tmp_path: Path, key: str, name: str) -> None:
    lines = read_refusal(write_config(tmp_path, f'[folders]\n{key} = "{name}"'))
    assert any(f"folders.{key} is" in line and "below root" in line for line in lines)


@pytest.mark.parametrize("name", ["inbox/review", "inbox", "inbox/."])
def test_a_folder_inside_another_is_refused(tmp_path: Path, name: str) -> None:
    lines = read_refusal(write_config(tmp_path, f'[folders]\nreview = "{name}"'))
    assert any("folders.review lies in folders.inbox; give each its own folder" in line for line in lines)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@host/log",
        "mysql://me:se@secret@host/log",
        "mysql://me:a/secret@host/log",
        "mysql://host/log?user=me&password=secret",
        "mysql://me:x?secret@host/log",
        "postgres:me:secret@host/log",
        "me:secret@host",
        "postgresql+asyncpg://me:secret@host/log",
    ],
)
def test_a_wrong_database_is_refused_without_showing_its_password(tmp_path: Path, url: str) -> None:
    (line,) = read_refusal(write_config(tmp_path, f'[database]\nurl = "{url}"'))
    assert "secret" not in line
    assert "but takes sqlite:///FILE or postgresql://USER@HOST/NAME" in line


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///", "sqlite:///:memory:", "log.db", "sqlite:///a?b=c"]
)
def test_a_database_that_would_not_last_is_refused(tmp_path: Path, url: str) -> None:
    assert len(read_refusal(write_config(tmp_path, f'[database]\nurl = "{url}"'))) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[folders", "is not TOML"),
        ("a = 1\na = 2", "is not TOML"),
        ("[model]\nbatch_size = " + "9" * 5000, "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
        ('[folders]\nroot = "~nobody-of-this-name/x"', "folders.root is '~nobody-of-this-name/x'"),
        ('[folders]\nroot = "a\\u0000b"', "folders.root is"),
        ('[model]\nbundle = "a\\u0000b"', "model.bundle is"),
        ('[database]\nurl = "sqlite:///~nobody-of-this-name/x.db"', "database.url is"),
        ("root = 5", "root is not a key here"),
        ("folders = 5", "folders is 5, but takes a table"),
        ("[inbox]\nsettle_seconds = 1" + "0" * 400, "inbox.settle_seconds is"),
    ],
    ids=range(11),
)
def test_a_file_that_cannot_be_meant_is_one_line_and_no_traceback(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (line,) = read_refusal(write_config(tmp_path, text))
    assert sentence in line


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'[folders]\nroot = "\xfc"')
    assert "is not TOML" in read_refusal(path)[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert read_refusal(tmp_path / "none.toml") == [
        f"{tmp_path / 'none.toml'}: there is no such file; name one with --config"
    ]


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in read_refusal(tmp_path)[0]


def test_the_built_in_bundle_is_the_default_and_holds() -> None:
    assert load_bundle(load_config().bundle_folder).manifest.classes == ("happy", "sad")
